//! Three public guides to Redis Cluster, step by step. Where a guide's own step fails with the
//! real tools, too, the step is run as it stands, its failure is held, and what the guide means
//! follows it.

use crate::Test;
use crate::place::Place;
use crate::tools::Tool;

pub(crate) const TESTS: &[Test] = &[
    Test {
        name: "guide_000_scaling_with_redis_cluster",
        needs: &[Tool::Cli, Tool::PythonClient],
        run: scaling_with_redis_cluster,
    },
    Test {
        name: "guide_001_sharding_and_masterless_failover",
        needs: &[Tool::Cli],
        run: sharding_and_masterless_failover,
    },
    Test {
        name: "guide_002_how_to_set_up_redis_cluster_for_high_availability",
        needs: &[Tool::Cli, Tool::PythonClient],
        run: how_to_set_up_redis_cluster_for_high_availability,
    },
];

#[track_caller]
fn says(text: &str, wanted: &[&str]) {
    for wanted in wanted {
        assert!(text.contains(wanted), "no `{wanted}` in:\n{text}");
    }
}

/// Waits until each of these ports knows all the others, and what they are.
fn acquainted(place: &Place, ports: &[u16]) {
    for &port in ports {
        place.eventually(&format!("{port} knows {} nodes", ports.len()), |place| {
            let nodes = place.cli(port, &["CLUSTER", "NODES"]);
            nodes.lines().count() == ports.len() && !nodes.contains("handshake")
        });
    }
}

/// Waits until the replica at a port follows its master.
fn following(place: &Place, port: u16) {
    place.eventually(&format!("{port} follows its master"), |place| {
        let role = place.cli(port, &["ROLE"]);
        role.starts_with("slave") && role.contains("connected")
    });
}

/// The id of the node at a port.
fn id(place: &Place, port: u16) -> String {
    place.cli(port, &["CLUSTER", "MYID"])
}

/// Waits until `redis-cli --cluster check` finds nothing to say: slots that moved are known to
/// some nodes later than to others.
fn check(place: &mut Place) {
    let here = format!("127.0.0.1:{}", place.port(7000));
    place.eventually("nothing is found by a check", |place| {
        let checked = place.cli(7000, &["--cluster", "check", &here]);
        checked.contains("[OK] All nodes agree about slots configuration.")
            && checked.contains("[OK] All 16384 slots covered.")
            && !checked.contains("[WARNING]")
    });
    place.shell("redis-cli --cluster check 127.0.0.1:7000");
}

fn scaling_with_redis_cluster(place: &mut Place) {
    // 1. Prepare configuration files, 2. start the servers.
    for port in ["7000", "7001", "7002"] {
        let file = "cat > redis-7000.conf << EOF
port 7000
cluster-enabled yes
cluster-config-file nodes-7000.conf
cluster-node-timeout 5000
appendonly yes
dir /opt/redis-cluster/7000
EOF
mkdir -p 7000";
        place.shell(&file.replace("7000", port));
        place.shell(&format!("redis-server redis-{port}.conf &"));
    }
    answer(place, &[7000, 7001, 7002]);

    // 3. Create the cluster.
    let created = place.shell_with(
        "redis-cli --cluster create 127.0.0.1:7000 127.0.0.1:7001 127.0.0.1:7002 --cluster-replicas 0",
        &["yes"],
    );
    says(
        &created.text,
        &[
            "Master[0] -> Slots 0 - 5460",
            "Master[1] -> Slots 5461 - 10922",
            "Master[2] -> Slots 10923 - 16383",
            "[OK] All 16384 slots covered.",
        ],
    );
    place.whole(&[7000, 7001, 7002]);

    connecting_as_a_client(place);
    slot_aware_operations(place);
    scaling_out_and_in(place);
}

fn answer(place: &Place, ports: &[u16]) {
    for &port in ports {
        place.eventually(&format!("{port} answers"), |place| {
            place.cli(port, &["PING"]) == "PONG"
        });
    }
}

fn connecting_as_a_client(place: &mut Place) {
    // The guide names its startup node by a dict, which was redis-py-cluster's way; redis-py
    // takes a ClusterNode, and fails on the dict before it has spoken to any server.
    let program = r#"
from redis.cluster import RedisCluster, ClusterNode

rc = RedisCluster(
startup_nodes=[ClusterNode("127.0.0.1", 7000)],
decode_responses=True
)

rc.set("user:1001", "alice")
print(rc.get("user:1001"))
"#;
    assert_eq!(place.python(program), "alice\n");
}

fn slot_aware_operations(place: &mut Place) {
    let across = place.shell("redis-cli -c -p 7000 MGET user:1001 user:2001");
    says(
        &across,
        &["CROSSSLOT Keys in request don't hash to the same slot"],
    );
    let tagged = place.shell(
        r#"redis-cli -c -p 7000 << EOF
SET user:{group1}:1001 "alice"
SET user:{group1}:1002 "bob"
MGET user:{group1}:1001 user:{group1}:1002
EOF"#,
    );
    says(&tagged, &["OK", "alice", "bob"]);
}

fn scaling_out_and_in(place: &mut Place) {
    let fill =
        "for i in $(seq 1 300); do echo \"SET key:$i value:$i\"; done | redis-cli -c -p 7000";
    let filled = place.shell(fill);
    assert_eq!(filled.matches("OK").count(), 300, "{filled}");

    // Start the new server, add the node, rebalance.
    place.shell("sed s/7000/7003/g redis-7000.conf > redis-7003.conf; mkdir -p 7003");
    place.shell("redis-server redis-7003.conf &");
    answer(place, &[7003]);
    let added = place.shell("redis-cli --cluster add-node 127.0.0.1:7003 127.0.0.1:7000");
    says(&added, &["[OK] New node added correctly."]);
    acquainted(place, &[7000, 7001, 7002, 7003]);
    place.whole(&[7000, 7001, 7002, 7003]);
    let rebalanced = place.shell("redis-cli --cluster rebalance 127.0.0.1:7000");
    says(&rebalanced, &["*** No rebalancing needed!"]);
    // A new master is left out unless one asks for it.
    place.shell("redis-cli --cluster rebalance 127.0.0.1:7000 --cluster-use-empty-masters");
    check(place);
    let slots = |place: &Place| {
        let info = place.cli(7003, &["CLUSTER", "NODES"]);
        let own = info
            .lines()
            .find(|line| line.contains("myself"))
            .unwrap()
            .to_owned();
        own.split(' ').skip(8).count()
    };
    assert_eq!(slots(place), 3, "a range of each of the three others");
    values_are_whole(place);

    // Scaling in: migrate the slots away, remove the node.
    let (from, to) = (id(place, 7003), id(place, 7000));
    let resharded = place.shell_with(
        "redis-cli --cluster reshard 127.0.0.1:7000",
        &["4096", &to, &from, "done", "yes"],
    );
    assert!(resharded.success, "{}", resharded.text);
    check(place);
    assert_eq!(slots(place), 0);
    let removed = place
        .shell("redis-cli --cluster del-node 127.0.0.1:7000 $(redis-cli -p 7003 cluster myid)");
    says(
        &removed,
        &["Sending CLUSTER FORGET messages to the cluster"],
    );
    place.eventually("three nodes are left", |place| {
        place
            .cli(7000, &["CLUSTER", "INFO"])
            .contains("cluster_known_nodes:3")
    });
    check(place);
    values_are_whole(place);
}

fn values_are_whole(place: &mut Place) {
    let read = "for i in $(seq 1 300); do echo \"GET key:$i\"; done | redis-cli -c -p 7000 | grep -v Redirected";
    let values = place.shell(read);
    let wanted: Vec<String> = (1..=300).map(|i| format!("value:{i}")).collect();
    assert_eq!(values.lines().collect::<Vec<_>>(), wanted);
}

fn sharding_and_masterless_failover(place: &mut Place) {
    // The third option is the guide's own invention; it is warned of.
    for port in ["7000", "7001", "7002", "7003"] {
        let start = "mkdir -p 7000; cd 7000; redis-server --port 7000 --cluster-config-file nodes-7000.conf --cluster-save-config > log &";
        place.shell(&start.replace("7000", port));
    }
    answer(place, &[7000, 7001, 7002, 7003]);
    let created = place.shell_with(
        "redis-cli --cluster create 127.0.0.1:7000 127.0.0.1:7001 127.0.0.1:7002 --cluster-replicas 0",
        &["yes"],
    );
    says(&created.text, &["[OK] All 16384 slots covered."]);
    place.whole(&[7000, 7001, 7002]);

    // The guide's option is called --cluster-master-id, says redis-cli.
    let refused = place.shell_with(
        "redis-cli --cluster add-node 127.0.0.1:7003 127.0.0.1:7000 --cluster-slave --cluster-master-node $(redis-cli -p 7001 cluster myid)",
        &[],
    );
    assert!(!refused.success, "{}", refused.text);
    let added = place.shell(
        "redis-cli --cluster add-node 127.0.0.1:7003 127.0.0.1:7000 --cluster-slave --cluster-master-id $(redis-cli -c -p 7000 CLUSTER NODES | grep 7001@ | cut -d' ' -f1)",
    );
    says(&added, &["[OK] New node added correctly."]);
    following(place, 7003);
    check(place);

    // "If the client is on the wrong node, that node will respond with a MOVED redirect."
    says(
        &place.shell("redis-cli -p 7001 GET foo"),
        &["MOVED 12182 127.0.0.1:"],
    );

    // "failover: Manually initiates a failover for a specific master."
    let called = place.shell("redis-cli --cluster call 127.0.0.1:7000 PING");
    assert_eq!(called.matches("PONG").count(), 4, "{called}");
    says(&place.shell("redis-cli -p 7003 CLUSTER FAILOVER"), &["OK"]);
    place.eventually("7003 is a master", |place| {
        place.cli(7003, &["ROLE"]).starts_with("master")
    });
    place.eventually("7001 follows it", |place| {
        place.cli(7001, &["ROLE"]).starts_with("slave")
    });
    place.whole(&[7000, 7001, 7002, 7003]);
    says(
        &place.shell("redis-cli --cluster info 127.0.0.1:7000"),
        &["in 3 masters."],
    );
    place.eventually("every node sees the new master", |place| {
        [7000, 7001, 7002, 7003].iter().all(|&port| {
            let nodes = place.cli(port, &["CLUSTER", "NODES"]);
            nodes.lines().filter(|line| line.contains("master")).count() == 3
        })
    });
    says(
        &place.shell("redis-cli --cluster fix 127.0.0.1:7000"),
        &["[OK] All 16384 slots covered."],
    );
}

fn how_to_set_up_redis_cluster_for_high_availability(place: &mut Place) {
    set_up_six_nodes(place);
    verify_the_cluster(place);
    connect_from_an_application(place);
    simulate_failover(place);
    add_nodes(place);
}

const CONFIGURATION: &str = r#"
mkdir -p /opt/redis-cluster/{7000,7001,7002,7003,7004,7005,7006,7007}
for port in 7000 7001 7002 7003 7004 7005 7006 7007; do
cat > /opt/redis-cluster/$port/redis.conf << EOF
# Basic settings
port $port
bind 0.0.0.0

# Enable cluster mode
cluster-enabled yes
cluster-config-file nodes-$port.conf
cluster-node-timeout 5000

# Persistence settings
appendonly yes
appendfilename "appendonly-$port.aof"
dir /opt/redis-cluster/$port

# Memory limit - adjust for your environment
maxmemory 256mb
maxmemory-policy allkeys-lru

# Logging
logfile /opt/redis-cluster/$port/redis.log
loglevel notice
EOF
done"#;

fn set_up_six_nodes(place: &mut Place) {
    // Steps 1 and 2. The guide binds to 0.0.0.0 without a password, which protected mode allows
    // to clients of the same host.
    place.shell(CONFIGURATION);
    place.shell(
        "for port in 7000 7001 7002 7003 7004 7005; do
    redis-server /opt/redis-cluster/$port/redis.conf &
    echo \"Started Redis on port $port\"
done",
    );
    answer(place, &[7000, 7001, 7002, 7003, 7004, 7005]);
    let pings = place.shell(
        "for port in 7000 7001 7002 7003 7004 7005; do
    redis-cli -p $port ping
done",
    );
    assert_eq!(pings, "PONG\n".repeat(6));

    // Step 3.
    let created = place.shell_with(
        "redis-cli --cluster create \\
    127.0.0.1:7000 \\
    127.0.0.1:7001 \\
    127.0.0.1:7002 \\
    127.0.0.1:7003 \\
    127.0.0.1:7004 \\
    127.0.0.1:7005 \\
    --cluster-replicas 1",
        &["yes"],
    );
    says(
        &created.text,
        &[
            "[OK] All nodes agree about slots configuration.",
            "[OK] All 16384 slots covered.",
        ],
    );
    place.whole(&[7000, 7001, 7002, 7003, 7004, 7005]);
}

fn verify_the_cluster(place: &mut Place) {
    place.eventually("six nodes are known", |place| {
        place
            .cli(7000, &["CLUSTER", "INFO"])
            .contains("cluster_known_nodes:6")
    });
    says(
        &place.shell("redis-cli -p 7000 cluster info"),
        &[
            "cluster_state:ok",
            "cluster_slots_assigned:16384",
            "cluster_slots_ok:16384",
            "cluster_known_nodes:6",
            "cluster_size:3",
        ],
    );
    place.eventually("three follow the three others", |place| {
        let nodes = place.cli(7000, &["CLUSTER", "NODES"]);
        nodes.lines().filter(|line| line.contains("slave ")).count() == 3
    });
    let nodes = place.shell("redis-cli -p 7000 cluster nodes");
    let owners = nodes.lines().filter(|line| line.contains(" connected "));
    assert_eq!(owners.count(), 3, "{nodes}");
}

fn connect_from_an_application(place: &mut Place) {
    let program = r#"
from redis.cluster import RedisCluster

# Connect to the Redis Cluster
# The client discovers all nodes from the startup node
cluster = RedisCluster(
    host="127.0.0.1",
    port=7000,
    decode_responses=True,
    # Skip full cluster coverage check during development
    skip_full_coverage_check=True
)

# Basic operations work the same as standalone Redis
cluster.set("user:1", "alice")
value = cluster.get("user:1")
print(f"Got value: {value}")

# Hash tags force related keys to the same slot
# Keys with the same {tag} go to the same node
cluster.set("{order:100}.items", "item1,item2")
cluster.set("{order:100}.total", "59.99")
cluster.set("{order:100}.status", "pending")

# This allows multi-key operations on related data
pipe = cluster.pipeline()
pipe.get("{order:100}.items")
pipe.get("{order:100}.total")
pipe.get("{order:100}.status")
results = pipe.execute()
print(f"Order data: {results}")
"#;
    assert_eq!(
        place.python(program),
        "Got value: alice\nOrder data: ['item1,item2', '59.99', 'pending']\n"
    );
}

fn simulate_failover(place: &mut Place) {
    // A reader of the guide takes longer than a replica's first copy; a test does not.
    for port in [7003, 7004, 7005] {
        following(place, port);
    }
    let masters = place.shell("redis-cli -p 7000 cluster nodes | grep master");
    assert_eq!(masters.lines().count(), 3, "{masters}");
    place.shell("redis-cli -p 7001 DEBUG sleep 30 > /dev/null 2>&1 &");
    let sleeper = format!(":{}@", place.port(7001));
    let promoted = |place: &Place| {
        let nodes = place.cli(7000, &["CLUSTER", "NODES"]);
        let line_of = |port: &str| {
            nodes
                .lines()
                .find(|line| line.contains(port))
                .map(str::to_owned)
        };
        let failed = line_of(&sleeper).is_some_and(|line| line.contains("fail"));
        let masters = nodes
            .lines()
            .filter(|line| line.contains("master") && !line.contains("fail"));
        failed && masters.count() == 3
    };
    place.eventually("the replica is promoted", promoted);
    place.whole(&[7000]);
    let state = place.shell("redis-cli -p 7000 cluster info | grep cluster_state");
    says(&state, &["cluster_state:ok"]);
    place.eventually("7001 comes back as a replica", |place| {
        place.cli(7001, &["ROLE"]).starts_with("slave")
    });
    place.whole(&[7000, 7001, 7002, 7003, 7004, 7005]);
}

fn add_nodes(place: &mut Place) {
    place.shell("redis-server /opt/redis-cluster/7006/redis.conf &");
    answer(place, &[7006]);
    let added = place.shell("redis-cli --cluster add-node 127.0.0.1:7006 127.0.0.1:7000");
    says(&added, &["[OK] New node added correctly."]);
    acquainted(place, &[7000, 7001, 7002, 7003, 7004, 7005, 7006]);
    place.whole(&[7006]);
    place.shell(
        "redis-cli --cluster reshard 127.0.0.1:7000 \\
    --cluster-from $(redis-cli -p 7000 cluster myid) \\
    --cluster-to $(redis-cli -p 7006 cluster myid) \\
    --cluster-slots 4096 \\
    --cluster-yes",
    );
    check(place);
    place.shell("redis-server /opt/redis-cluster/7007/redis.conf &");
    answer(place, &[7007]);
    let added = place.shell(
        "redis-cli --cluster add-node 127.0.0.1:7007 127.0.0.1:7000 \\
    --cluster-slave \\
    --cluster-master-id $(redis-cli -p 7006 cluster myid)",
    );
    says(&added, &["[OK] New node added correctly."]);
    following(place, 7007);
    check(place);
}
