//! Real servers and this project's in one cluster, on the same bus.

use crate::Test;
use crate::place::{Make, Place};
use crate::tools::Tool;

const NEEDS: &[Tool] = &[Tool::Cli, Tool::RealServer];

pub(crate) const TESTS: &[Test] = &[
    Test {
        name: "real_masters_with_redrill_replicas_fail_over_and_back",
        needs: NEEDS,
        run: |place| fail_over_and_back(place, Make::Redis, Make::Redrill),
    },
    Test {
        name: "redrill_masters_with_real_replicas_fail_over_and_back",
        needs: NEEDS,
        run: |place| fail_over_and_back(place, Make::Redrill, Make::Redis),
    },
    Test {
        name: "slots_move_between_real_and_redrill_masters_with_their_keys",
        needs: NEEDS,
        run: slots_move_both_ways,
    },
];

/// Three masters of one make on 7000 to 7002 and their replicas of another on 7003 to 7005, all
/// in sync.
pub(crate) fn cluster(place: &mut Place, masters: Make, replicas: Make) {
    for port in 7000..7006 {
        place.start(if port < 7003 { masters } else { replicas }, port, &[]);
    }
    place.shell(
        "redis-cli --cluster create 127.0.0.1:7000 127.0.0.1:7001 127.0.0.1:7002 \\
    127.0.0.1:7003 127.0.0.1:7004 127.0.0.1:7005 --cluster-replicas 1 --cluster-yes",
    );
    settled(place);
}

/// Waits until the cluster is whole and every replica follows its master.
pub(crate) fn settled(place: &Place) {
    for port in 7000..7006 {
        place.eventually(&format!("{port} finds the cluster whole"), |place| {
            let info = place.cli(port, &["CLUSTER", "INFO"]);
            let nodes = place.cli(port, &["CLUSTER", "NODES"]);
            let replicas = nodes.lines().filter(|line| line.contains("slave "));
            info.contains("cluster_state:ok")
                && !nodes.contains("fail")
                && nodes.lines().count() == 6
                && replicas.count() == 3
        });
        place.eventually(&format!("{port} is a master or in sync"), |place| {
            let role = place.cli(port, &["ROLE"]);
            role.starts_with("master") || role.contains("connected")
        });
    }
}

/// The port of the replica of the master at a port.
pub(crate) fn replica_of(place: &Place, master: u16) -> u16 {
    let role = place.cli(master, &["ROLE"]);
    let found = (7000..7006).find(|&port| {
        port != master
            && role
                .lines()
                .any(|line| line == place.port(port).to_string())
    });
    found.unwrap_or_else(|| panic!("{master} has no replica: {role}"))
}

/// A value of every type, in a slot of the first master.
const FILL: &[&[&str]] = &[
    &["SET", "{b}string", "text"],
    &["SET", "{b}number", "12345"],
    &["SETEX", "{b}expiring", "1000", "soon"],
    &["HSET", "{b}hash", "field", "value", "other", "17"],
    &["RPUSH", "{b}list", "one", "2", "three"],
    &["SADD", "{b}numbers", "3", "1", "2"],
    &["SADD", "{b}set", "a", "b", "c"],
    &[
        "ZADD",
        "{b}sorted",
        "1.5",
        "one and a half",
        "-inf",
        "least",
    ],
];

/// What of it can be read in one way only.
const READ: &[&[&str]] = &[
    &["GET", "{b}string"],
    &["GET", "{b}number"],
    &["GET", "{b}expiring"],
    &["HGET", "{b}hash", "other"],
    &["LRANGE", "{b}list", "0", "-1"],
    &["SCARD", "{b}numbers"],
    &["SISMEMBER", "{b}set", "b"],
    &["ZRANGE", "{b}sorted", "0", "-1", "WITHSCORES"],
    &["HLEN", "{b}long"],
];

fn fill(place: &mut Place) {
    for words in FILL {
        let said = place.cli(7000, words);
        assert!(
            !said.contains("ERR") && !said.is_empty(),
            "{words:?}: {said}"
        );
    }
    // One that is too large to be packed.
    let fields = "for i in $(seq 1 1000); do echo \"HSET {b}long field-$i value-$i\"; done | redis-cli -p 7000";
    assert_eq!(place.shell(fields).lines().count(), 1000);
}

/// What the node at a port reads of what [`fill`] wrote, replicas included.
fn read(place: &Place, port: u16) -> Vec<String> {
    let port_text = place.port(port).to_string();
    READ.iter()
        .map(|words| {
            let script = format!("READONLY\n{}\n", words.join(" "));
            let said = place.cli_with(&["-p", &port_text], &script);
            said.trim_start_matches("OK\n").to_owned()
        })
        .collect()
}

fn fail_over_and_back(place: &mut Place, masters: Make, replicas: Make) {
    cluster(place, masters, replicas);
    fill(place);
    let written = read(place, 7000);
    let replica = replica_of(place, 7000);
    place.eventually("the replica has every type", |place| {
        read(place, replica) == written
    });

    place.kill(7000);
    place.eventually("the replica is promoted", |place| {
        place.cli(replica, &["ROLE"]).starts_with("master")
    });
    place.eventually("it serves", |place| {
        place.cli(replica, &["SET", "{b}after", "the failover"]) == "OK"
    });
    assert_eq!(read(place, replica), written);

    // The old master comes back, follows, and takes over by hand.
    place.start(masters, 7000, &[]);
    settled(place);
    place.eventually("the old master has it all", |place| {
        read(place, 7000) == written
            && place
                .cli_with(
                    &["-p", &place.port(7000).to_string()],
                    "READONLY\nGET {b}after\n",
                )
                .contains("the failover")
    });
    assert_eq!(place.cli(7000, &["CLUSTER", "FAILOVER"]), "OK");
    place.eventually("it is a master again", |place| {
        place.cli(7000, &["ROLE"]).starts_with("master")
    });
    settled(place);
    assert_eq!(replica_of(place, 7000), replica);
    place.shell("redis-cli --cluster check 127.0.0.1:7000");
    let role = place.cli(replica, &["INFO", "replication"]);
    assert!(role.contains("master_link_status:up"), "{role}");
    // Handed over by hand, the stream goes on where it was: nothing is copied anew.
    let stats = place.cli(7000, &["INFO", "stats"]);
    assert!(stats.contains("sync_partial_ok:1"), "{stats}");
}

fn slots_move_both_ways(place: &mut Place) {
    place.start(Make::Redis, 7000, &[]);
    place.start(Make::Redrill, 7001, &[]);
    place.start(Make::Redis, 7002, &[]);
    place.shell(
        "redis-cli --cluster create 127.0.0.1:7000 127.0.0.1:7001 127.0.0.1:7002 --cluster-yes",
    );
    place.whole(&[7000, 7001, 7002]);
    fill(place);
    let written = read(place, 7000);
    for (from, to) in [(7000, 7001), (7001, 7002)] {
        let moved = place.shell(&format!(
            "redis-cli --cluster reshard 127.0.0.1:7000 --cluster-from $(redis-cli -p {from} cluster myid) \\
    --cluster-to $(redis-cli -p {to} cluster myid) --cluster-slots 16384 --cluster-yes",
        ));
        assert!(!moved.contains("ERR"), "{moved}");
        place.eventually("the slot is served where it went", |place| {
            read(place, to) == written
        });
        place.eventually("the check is clean", |place| {
            let here = format!("127.0.0.1:{}", place.port(7000));
            let checked = place.cli(7000, &["--cluster", "check", &here]);
            checked.contains("[OK] All nodes agree") && !checked.contains("[WARNING]")
        });
    }
}
