use super::*;
use crate::cluster::Report;
use crate::fact::FailoverKind;
use crate::nodes_conf::SavedState;
use crate::reply::Reply;

/// The node whose output of `CLUSTER NODES` was recorded, with what it knew.
fn recorded() -> (Lone, &'static str) {
    let nodes = include_str!("../../../tests/fixtures/cluster-nodes.after-failover.txt");
    let file = format!(
        "{}\nvars currentEpoch 8 lastVoteEpoch 0\n",
        nodes.trim_end()
    );
    let saved = SavedState::parse(file.as_bytes()).unwrap();
    let now = Now {
        mono: Mono(0),
        wall: WallMillis(1_795_249_402_000),
    };
    let config = Config {
        port: 7000,
        bus_port: 17000,
        protected_mode: false,
        ..Config::default()
    };
    let mut node = Node::new(config, Seed([7; 32]), saved, now).unwrap();
    node.cluster.state_ok = true;
    let mut lone = Lone {
        node,
        now,
        actions: Vec::new(),
    };
    let peer = "10.9.9.1:5000".parse().unwrap();
    lone.give(Input::ClientAccepted {
        client: ALICE,
        peer,
        local: [10, 0, 0, 1].into(),
    });
    (lone, nodes)
}

fn id(number: u8) -> String {
    format!("{number:02x}").repeat(20)
}

#[test]
fn cluster_nodes_says_of_a_real_cluster_what_redis_said() {
    let (mut lone, nodes) = recorded();
    let mut real: Vec<&str> = nodes.trim_end().lines().collect();
    real.sort_unstable();
    let told = lone.ask("CLUSTER NODES");
    assert!(told.ends_with('\n'));
    // A node that has just started has not heard of anybody yet, and has no links.
    let told: Vec<String> = told.lines().map(without_contact).collect();
    let real: Vec<String> = real.into_iter().map(without_contact).collect();
    let mut sorted = told.clone();
    sorted.sort_unstable();
    assert_eq!(sorted, real);
}

/// A line without the times of ping and pong and the state of the link.
fn without_contact(line: &str) -> String {
    let word = |(place, word): (usize, &str)| match place {
        4 | 5 | 7 => "*".to_owned(),
        _ => word.to_owned(),
    };
    let words: Vec<String> = line.split(' ').enumerate().map(word).collect();
    words.join(" ")
}

#[test]
fn cluster_nodes_shows_every_kind_of_node_and_slot() {
    let mut lone = serving();
    let replica = lone.know(2, NodeFlags::REPLICA);
    let failed = lone.know(3, NodeFlags::MASTER | NodeFlags::FAIL);
    lone.know(
        4,
        NodeFlags::HANDSHAKE | NodeFlags::NOADDR | NodeFlags::PFAIL,
    );
    lone.know(5, NodeFlags::empty());
    let cluster = &mut lone.node.cluster;
    cluster.rename(MYSELF, NodeId([1; 20]));
    cluster.myself_mut().config_epoch = 7;
    cluster[replica].replica_of = Some(MYSELF);
    cluster.myself_mut().replicas.push(replica);
    cluster[replica].hostname = Some("two.example".into());
    cluster.set_pong_received(replica, WallMillis(1_795_249_377_522));
    cluster.set_ping_sent(failed, Some(WallMillis(1_795_249_384_056)));
    cluster[failed].config_epoch = 2;
    cluster.set_owner(5, Some(failed));
    cluster.set_owner(9, None);
    cluster.migrating.insert(1, failed);
    cluster.importing.insert(5, failed);
    let slaves = lone.ask(&format!("CLUSTER SLAVES {}", id(1)));
    assert_eq!(slaves, lone.ask(&format!("CLUSTER REPLICAS {}", id(1))));
    let before = lone.session(&[
        "CLUSTER NODES",
        &format!("CLUSTER REPLICAS {}", id(1)),
        "CLUSTER SLOTS",
        "CLUSTER INFO",
    ]);
    lone.node.cluster[replica].offset = 14;
    let in_sync = lone.session(&["CLUSTER SLOTS", "CLUSTER SHARDS"]);
    let by_name = lone.session(&[
        "CONFIG SET cluster-preferred-endpoint-type hostname",
        "CLUSTER SLOTS",
    ]);
    insta::assert_snapshot!(format!(
        "{before}# The replica told its offset.\n{in_sync}{by_name}"
    ));
}

#[test]
fn cluster_info_counts_messages_by_type() {
    let mut lone = serving();
    lone.node.cluster.sent[0] = 15;
    lone.node.cluster.sent[6] = 1;
    lone.node.cluster.received[8] = 2;
    let info = lone.ask("CLUSTER INFO");
    let counters: Vec<&str> = info
        .lines()
        .filter(|line| line.contains("messages"))
        .collect();
    assert_eq!(
        counters,
        [
            "cluster_stats_messages_ping_sent:15",
            "cluster_stats_messages_auth-ack_sent:1",
            "cluster_stats_messages_sent:16",
            "cluster_stats_messages_mfstart_received:2",
            "cluster_stats_messages_received:2",
        ]
    );
}

#[test]
fn slots_are_taken_and_given_up() {
    let mut lone = fresh(Config::default());
    lone.check(&[
        ("CLUSTER ADDSLOTS 0 1 2", "OK"),
        ("CLUSTER ADDSLOTS 2", "-ERR Slot 2 is already busy"),
        (
            "CLUSTER ADDSLOTS 7 7",
            "-ERR Slot 7 specified multiple times",
        ),
        (
            "CLUSTER ADDSLOTS 16384",
            "-ERR Invalid or out of range slot",
        ),
        ("CLUSTER ADDSLOTS x", "-ERR Invalid or out of range slot"),
        (
            "CLUSTER ADDSLOTS",
            "-ERR wrong number of arguments for 'cluster|addslots' command",
        ),
        ("CLUSTER DELSLOTS 1", "OK"),
        ("CLUSTER DELSLOTS 1", "-ERR Slot 1 is already unassigned"),
        (
            "CLUSTER DELSLOTS 0 0",
            "-ERR Slot 0 specified multiple times",
        ),
        ("CLUSTER ADDSLOTSRANGE 10 20 30 40", "OK"),
        (
            "CLUSTER ADDSLOTSRANGE 5 4",
            "-ERR start slot number 5 is greater than end slot number 4",
        ),
        (
            "CLUSTER ADDSLOTSRANGE 50 60 55 70",
            "-ERR Slot 55 specified multiple times",
        ),
        (
            "CLUSTER ADDSLOTSRANGE 50 60 70",
            "-ERR wrong number of arguments for 'cluster|addslotsrange' command",
        ),
        (
            "CLUSTER ADDSLOTSRANGE 50",
            "-ERR wrong number of arguments for 'cluster|addslotsrange' command",
        ),
        (
            "CLUSTER ADDSLOTSRANGE 19 21",
            "-ERR Slot 19 is already busy",
        ),
        ("CLUSTER DELSLOTSRANGE 10 15", "OK"),
        (
            "CLUSTER DELSLOTSRANGE 10 15",
            "-ERR Slot 10 is already unassigned",
        ),
    ]);
    let ranges = |lone: &Lone| {
        let ranges = lone.node.cluster.myself().slots.ranges();
        ranges.iter().map(ToString::to_string).collect::<Vec<_>>()
    };
    assert_eq!(ranges(&lone), ["0", "2", "16-20", "30-40"]);
    lone.check(&[("CLUSTER FLUSHSLOTS", "OK")]);
    assert!(ranges(&lone).is_empty());
    let mut lone = serving();
    lone.check(&[
        ("SET k v", "OK"),
        (
            "CLUSTER FLUSHSLOTS",
            "-ERR DB must be empty to perform CLUSTER FLUSHSLOTS.",
        ),
    ]);
}

#[test]
fn a_slot_moves_step_by_step() {
    let mut lone = serving();
    let other = lone.know(2, NodeFlags::MASTER);
    let replica = lone.know(3, NodeFlags::REPLICA);
    lone.node.cluster.set_owner(12, Some(other));
    lone.ask("SET foo bar");
    let line = |text: &str| {
        text.replace('@', &id(2))
            .replace('%', &id(3))
            .replace('!', &id(9))
    };
    for (command, expected) in [
        ("SETSLOT 16384 STABLE", "-ERR Invalid or out of range slot"),
        (
            "SETSLOT 12182 MIGRATING",
            "-ERR Invalid CLUSTER SETSLOT action or number of arguments. Try CLUSTER HELP",
        ),
        (
            "SETSLOT 12182 FLYING @",
            "-ERR Invalid CLUSTER SETSLOT action or number of arguments. Try CLUSTER HELP",
        ),
        (
            "SETSLOT 12 MIGRATING @",
            "-ERR I'm not the owner of hash slot 12",
        ),
        (
            "SETSLOT 12182 MIGRATING !",
            "-ERR I don't know about node !",
        ),
        (
            "SETSLOT 12182 MIGRATING me",
            "-ERR I don't know about node me",
        ),
        (
            "SETSLOT 12182 MIGRATING %",
            "-ERR Target node is not a master",
        ),
        (
            "SETSLOT 12182 IMPORTING @",
            "-ERR I'm already the owner of hash slot 12182",
        ),
        ("SETSLOT 12 IMPORTING !", "-ERR I don't know about node !"),
        ("SETSLOT 12 IMPORTING %", "-ERR Target node is not a master"),
        ("SETSLOT 12182 NODE !", "-ERR Unknown node !"),
        ("SETSLOT 12182 NODE %", "-ERR Target node is not a master"),
        (
            "SETSLOT 12182 NODE @",
            "-ERR Can't assign hashslot 12182 to a different node while I still hold keys for this hash slot.",
        ),
        ("SETSLOT 12182 MIGRATING @", "OK"),
        ("SETSLOT 12 IMPORTING @", "OK"),
    ] {
        assert_eq!(
            lone.ask(&format!("CLUSTER {}", line(command))),
            line(expected),
            "{command}"
        );
    }
    let cluster = &lone.node.cluster;
    assert_eq!(
        (cluster.migrating.get(&12182), cluster.importing.get(&12)),
        (Some(&other), Some(&other))
    );
    lone.check(&[
        ("CLUSTER SETSLOT 12182 STABLE", "OK"),
        ("CLUSTER SETSLOT 12 STABLE", "OK"),
    ]);
    assert!(lone.node.cluster.migrating.is_empty() && lone.node.cluster.importing.is_empty());
    let myself = lone.node.cluster.myself().id;
    lone.ask(&line("CLUSTER SETSLOT 12 IMPORTING @"));
    assert_eq!(lone.ask(&format!("CLUSTER SETSLOT 12 NODE {myself}")), "OK");
    assert_eq!(lone.node.cluster.owner(12), Some(MYSELF));
    assert!(lone.node.cluster.importing.is_empty());
    lone.ask("DEL foo");
    assert_eq!(lone.ask(&line("CLUSTER SETSLOT 12182 NODE @")), "OK");
    assert_eq!(lone.node.cluster.owner(12182), Some(other));
    let _ = replica;
    lone.become_replica_of(other);
    lone.check(&[(
        "CLUSTER SETSLOT 1 STABLE",
        "-ERR Please use SETSLOT only with masters.",
    )]);
}

#[test]
fn keys_are_counted_and_listed_by_slot() {
    let mut lone = serving();
    lone.check(&[
        ("CLUSTER KEYSLOT foo", "12182"),
        ("CLUSTER KEYSLOT {foo}bar", "12182"),
        ("MSET {foo}1 a {foo}2 b {foo}3 c", "OK"),
        ("CLUSTER COUNTKEYSINSLOT 12182", "3"),
        ("CLUSTER COUNTKEYSINSLOT 1", "0"),
        ("CLUSTER COUNTKEYSINSLOT 16384", "-ERR Invalid slot"),
        ("CLUSTER COUNTKEYSINSLOT -1", "-ERR Invalid slot"),
        (
            "CLUSTER COUNTKEYSINSLOT x",
            "-ERR value is not an integer or out of range",
        ),
        ("CLUSTER GETKEYSINSLOT 12182 2", r#"["{foo}3", "{foo}2"]"#),
        (
            "CLUSTER GETKEYSINSLOT 12182 99",
            r#"["{foo}3", "{foo}2", "{foo}1"]"#,
        ),
        (
            "CLUSTER GETKEYSINSLOT 12182 -1",
            "-ERR Invalid slot or number of keys",
        ),
        (
            "CLUSTER GETKEYSINSLOT 16384 1",
            "-ERR Invalid slot or number of keys",
        ),
    ]);
}

#[test]
fn nodes_are_met_and_forgotten() {
    let mut lone = serving();
    lone.check(&[
        ("CLUSTER MEET 10.0.0.2 7002", "OK"),
        ("CLUSTER MEET 10.0.0.3 7003 7103", "OK"),
        ("CLUSTER MEET ::1 7004", "OK"),
        (
            "CLUSTER MEET nowhere 7002",
            "-ERR Invalid node address specified: nowhere:7002",
        ),
        (
            "CLUSTER MEET 10.0.0.2 0",
            "-ERR Invalid node address specified: 10.0.0.2:0",
        ),
        (
            "CLUSTER MEET 10.0.0.2 60000",
            "-ERR Invalid node address specified: 10.0.0.2:60000",
        ),
        (
            "CLUSTER MEET 10.0.0.2 7002 70000",
            "-ERR Invalid node address specified: 10.0.0.2:7002",
        ),
        (
            "CLUSTER MEET 10.0.0.2 x",
            "-ERR Invalid TCP base port specified: x",
        ),
        (
            "CLUSTER MEET 10.0.0.2 7002 x",
            "-ERR Invalid TCP bus port specified: x",
        ),
        (
            "CLUSTER MEET 10.0.0.2",
            "-ERR wrong number of arguments for 'cluster|meet' command",
        ),
        (
            "CLUSTER MEET 10.0.0.2 1 2 3",
            "-ERR unknown subcommand or wrong number of arguments for 'MEET'. Try CLUSTER HELP.",
        ),
    ]);
    let met: Vec<(u16, u16)> = lone
        .node
        .cluster
        .peers()
        .filter(|(_, peer)| peer.in_handshake())
        .map(|(_, peer)| (peer.address.port, peer.address.bus_port))
        .collect();
    assert_eq!(met, [(7002, 17002), (7003, 7103), (7004, 17004)]);
    let myself = lone.node.cluster.myself().id;
    lone.know(2, NodeFlags::MASTER);
    assert_eq!(
        lone.ask(&format!("CLUSTER FORGET {myself}")),
        "-ERR I tried hard but I can't forget myself..."
    );
    assert_eq!(
        lone.ask(&format!("CLUSTER FORGET {}", id(8))),
        format!("-ERR Unknown node {}", id(8))
    );
    assert_eq!(lone.ask(&format!("CLUSTER FORGET {}", id(2))), "OK");
    assert!(lone.node.cluster.find(NodeId([2; 20])).is_none());
    lone.become_replica();
    assert_eq!(
        lone.ask(&format!("CLUSTER FORGET {}", id(2))),
        "-ERR Can't forget my master!"
    );
}

#[test]
fn an_empty_master_becomes_a_replica() {
    let mut lone = fresh(Config::default());
    lone.know(2, NodeFlags::MASTER);
    lone.know(3, NodeFlags::REPLICA);
    let myself = lone.node.cluster.myself().id;
    assert_eq!(
        lone.ask(&format!("CLUSTER REPLICATE {myself}")),
        "-ERR Can't replicate myself"
    );
    assert_eq!(
        lone.ask(&format!("CLUSTER REPLICATE {}", id(8))),
        format!("-ERR Unknown node {}", id(8))
    );
    assert_eq!(
        lone.ask(&format!("CLUSTER REPLICATE {}", id(3))),
        "-ERR I can only replicate a master, not a replica."
    );
    lone.ask("CLUSTER ADDSLOTS 1");
    let occupied = "-ERR To set a master the node must be empty and without assigned slots.";
    assert_eq!(lone.ask(&format!("CLUSTER REPLICATE {}", id(2))), occupied);
    lone.ask("CLUSTER DELSLOTS 1");
    assert_eq!(lone.ask(&format!("CLUSTER REPLICATE {}", id(2))), "OK");
    assert!(lone.node.cluster.myself().is_replica());
    assert_eq!(
        lone.ask(&format!("CLUSTER REPLICAS {myself}")),
        "-ERR The specified node is not a master"
    );
}

#[test]
fn only_a_replica_with_a_reachable_master_fails_over() {
    let mut lone = serving();
    lone.check(&[
        ("CLUSTER FAILOVER", "-ERR You should send CLUSTER FAILOVER to a replica"),
        ("CLUSTER FAILOVER GENTLY", "-ERR syntax error"),
        ("CLUSTER FAILOVER FORCE TAKEOVER", "-ERR unknown subcommand or wrong number of arguments for 'FAILOVER'. Try CLUSTER HELP."),
    ]);
    lone.become_replica();
    lone.check(&[(
        "CLUSTER FAILOVER",
        "-ERR Master is down or failed, please use CLUSTER FAILOVER FORCE",
    )]);
    lone.check(&[("CLUSTER FAILOVER FORCE", "OK")]);
    assert!(lone.facts().contains(&&Fact::ManualFailoverAccepted {
        how: FailoverKind::Force
    }));
    lone.check(&[("CLUSTER FAILOVER TAKEOVER", "OK")]);
    assert!(lone.node.cluster.myself().is_master());
    let mut orphan = fresh(Config::default());
    let flags = NodeFlags::MYSELF | NodeFlags::REPLICA;
    orphan.node.cluster.set_flags(MYSELF, flags);
    orphan.check(&[(
        "CLUSTER FAILOVER",
        "-ERR I'm a replica but my master is unknown to me",
    )]);
}

#[test]
fn epochs_are_set_and_bumped() {
    let mut lone = fresh(Config::default());
    lone.check(&[
        (
            "CLUSTER SET-CONFIG-EPOCH -1",
            "-ERR Invalid config epoch specified: -1",
        ),
        (
            "CLUSTER SET-CONFIG-EPOCH x",
            "-ERR value is not an integer or out of range",
        ),
        ("CLUSTER SET-CONFIG-EPOCH 5", "OK"),
        (
            "CLUSTER SET-CONFIG-EPOCH 6",
            "-ERR Node config epoch is already non-zero",
        ),
        ("CLUSTER BUMPEPOCH", "STILL 5"),
    ]);
    let other = lone.know(2, NodeFlags::MASTER);
    lone.node.cluster[other].config_epoch = 9;
    lone.node.cluster.current_epoch = 9;
    lone.check(&[
        ("CLUSTER BUMPEPOCH", "BUMPED 10"),
        (
            "CLUSTER SET-CONFIG-EPOCH 7",
            "-ERR The user can assign a config epoch only when the node does not know any other node.",
        ),
    ]);
}

#[test]
fn a_node_without_keys_is_reset() {
    let mut lone = serving();
    let myself = lone.node.cluster.myself().id;
    lone.know(2, NodeFlags::MASTER);
    lone.check(&[
        ("SET k v", "OK"),
        (
            "CLUSTER RESET",
            "-ERR CLUSTER RESET can't be called with master nodes containing keys",
        ),
        ("FLUSHALL", "OK"),
        ("CLUSTER RESET SOMEHOW", "-ERR syntax error"),
        ("CLUSTER RESET SOFT", "OK"),
        ("CLUSTER MYID", &format!("\"{myself}\"")),
    ]);
    assert_eq!(lone.node.cluster.node_count(), 1);
    lone.check(&[("CLUSTER RESET HARD", "OK")]);
    assert_ne!(lone.node.cluster.myself().id, myself);
}

#[test]
fn failure_reports_are_counted_while_they_are_fresh() {
    let mut lone = serving();
    let suspect = lone.know(2, NodeFlags::MASTER);
    let by = lone.know(3, NodeFlags::MASTER);
    let at = lone.now.wall;
    lone.node
        .cluster
        .reports
        .insert(suspect, vec![Report { by, at }]);
    let ask = format!("CLUSTER COUNT-FAILURE-REPORTS {}", id(2));
    assert_eq!(lone.ask(&ask), "1");
    lone.pass_ms(30_001);
    assert_eq!(lone.ask(&ask), "0");
    lone.check(&[("CLUSTER COUNT-FAILURE-REPORTS x", "-ERR Unknown node x")]);
}

#[test]
fn the_state_file_is_written_before_saveconfig_is_answered() {
    let mut lone = serving();
    lone.check(&[("CLUSTER SAVECONFIG", "OK")]);
    let place = |wanted: fn(&Action) -> bool| lone.actions.iter().position(wanted);
    let saved = place(|action| matches!(action, Action::Persist { sync: true, .. }));
    let answered = place(|action| matches!(action, Action::Reply { .. }));
    assert!(saved.is_some() && saved < answered);
}

#[test]
fn links_are_described() {
    let mut lone = serving();
    lone.ask("CLUSTER MEET 10.0.0.2 7002");
    assert_eq!(lone.ask("CLUSTER LINKS"), "[]");
    lone.cron();
    let met = lone
        .node
        .cluster
        .peers()
        .nth(1)
        .map(|(_, peer)| peer.id)
        .unwrap();
    let told = lone.ask("CLUSTER LINKS").replace(&met.to_string(), "ID");
    insta::assert_snapshot!(told, @r#"[{"direction": "to", "node": "ID", "create-time": 1700000000000, "events": "w", "send-buffer-allocated": 0, "send-buffer-used": 0}]"#);
}

#[test]
fn the_shape_of_shards_is_that_of_the_real_one() {
    let mut lone = serving();
    lone.actions.clear();
    lone.send(ALICE, "CLUSTER SHARDS");
    lone.end_turn();
    let shards = lone.actions.iter().find_map(|action| match action {
        Action::Reply {
            reply: Reply::Array(shards),
            ..
        } => Some(shards.clone()),
        _ => None,
    });
    let keys = |reply: &Reply| match reply {
        Reply::Map(pairs) => pairs.iter().map(|(key, _)| shown(key)).collect::<Vec<_>>(),
        _ => Vec::new(),
    };
    assert_eq!(keys(&shards.unwrap()[0]), [r#""slots""#, r#""nodes""#]);
}
