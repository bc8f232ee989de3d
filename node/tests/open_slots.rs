//! Slots on their way when a master fails: what each engine's replicas know of them.

#![allow(
    clippy::expect_used,
    clippy::panic,
    clippy::wildcard_enum_match_arm,
    unreachable_pub,
    reason = "a test names what it looks for and fails loudly"
)]

mod support;

use redrill_node::{Engine, Quirk, Reply};
use support::{Cluster, id};

/// Every engine, and whether slots that are on their way outlive its masters.
fn engines() -> impl Iterator<Item = (Engine, bool)> {
    let all = Engine::ALL.iter();
    all.map(|engine| (*engine, engine.has(Quirk::ReplicatesSetSlot)))
}

fn formed(engine: Engine, replicas: usize) -> Cluster {
    let mut cluster = Cluster::formed(3, replicas, |config| config.engine = engine);
    cluster.settle();
    cluster.run_ms(2500);
    cluster
}

/// Sends a command and lets the replicas answer if it waits for them.
fn send(cluster: &mut Cluster, host: usize, line: &str) {
    let reply = cluster.command(host, line);
    assert!(matches!(reply, Reply::Simple(_) | Reply::Nil), "{reply:?}");
    cluster.run_ms(50);
}

/// Slot 0 leaves node 0 for node 1.
fn open(cluster: &mut Cluster) {
    send(
        cluster,
        1,
        &format!("CLUSTER SETSLOT 0 IMPORTING {}", id(0)),
    );
    send(
        cluster,
        0,
        &format!("CLUSTER SETSLOT 0 MIGRATING {}", id(1)),
    );
}

fn close(cluster: &mut Cluster, source: usize, target: usize) {
    for host in [target, source] {
        send(
            cluster,
            host,
            &format!("CLUSTER SETSLOT 0 NODE {}", id(target)),
        );
    }
}

/// What a node says of its open slots.
fn open_at(cluster: &mut Cluster, host: usize) -> Vec<String> {
    let text = match cluster.command(host, "CLUSTER NODES") {
        Reply::Bulk(bytes) => String::from_utf8_lossy(&bytes).into_owned(),
        Reply::Verbatim(text) => text,
        other => panic!("{other:?}"),
    };
    let words = text.split_whitespace();
    let open = words.filter(|word| word.starts_with('['));
    open.map(str::to_owned).collect()
}

fn comes_from(host: usize) -> Vec<String> {
    vec![format!("[0-<-{}]", id(host))]
}

fn goes_to(host: usize) -> Vec<String> {
    vec![format!("[0->-{}]", id(host))]
}

#[test]
fn replicas_know_of_open_slots_where_the_engine_tells_them() {
    for (engine, told) in engines() {
        let mut cluster = formed(engine, 1);
        open(&mut cluster);
        assert_eq!(open_at(&mut cluster, 1), comes_from(0), "{engine:?}");
        assert_eq!(open_at(&mut cluster, 0), goes_to(1), "{engine:?}");
        let nothing = Vec::new();
        let (source, target) = if told {
            (goes_to(1), comes_from(0))
        } else {
            (nothing.clone(), nothing)
        };
        assert_eq!(open_at(&mut cluster, 3), source, "{engine:?}");
        assert_eq!(open_at(&mut cluster, 4), target, "{engine:?}");
        close(&mut cluster, 0, 1);
        cluster.run_ms(2000);
        for host in 0..6 {
            assert_eq!(open_at(&mut cluster, host), [""; 0], "{engine:?} {host}");
            let owner = cluster.node(host).view().owner(0);
            assert_eq!(owner, Some(id(1)), "{engine:?} {host}");
        }
    }
}

#[test]
fn a_new_target_goes_on_where_its_master_told_it() {
    for (engine, told) in engines() {
        let mut cluster = formed(engine, 1);
        open(&mut cluster);
        cluster.kill(1);
        cluster.run_until(9000, "node 4 is master", |cluster| {
            cluster.node(4).view().is_master()
        });
        cluster.run_ms(1000);
        let nothing = Vec::new();
        let (source, target) = if told {
            (goes_to(4), comes_from(0))
        } else {
            // The source sends clients to a dead node, and the new one knows of nothing.
            (goes_to(1), nothing)
        };
        assert_eq!(open_at(&mut cluster, 0), source, "{engine:?}");
        assert_eq!(open_at(&mut cluster, 4), target, "{engine:?}");
    }
}

#[test]
fn a_new_source_goes_on_where_its_master_told_it() {
    for (engine, told) in engines() {
        let mut cluster = formed(engine, 1);
        open(&mut cluster);
        cluster.kill(0);
        cluster.run_until(9000, "node 3 is master", |cluster| {
            cluster.node(3).view().is_master()
        });
        cluster.run_ms(1000);
        let nothing = Vec::new();
        let (source, target) = if told {
            (goes_to(1), comes_from(3))
        } else {
            (nothing, comes_from(0))
        };
        assert_eq!(open_at(&mut cluster, 3), source, "{engine:?}");
        assert_eq!(open_at(&mut cluster, 1), target, "{engine:?}");
    }
}

#[test]
fn a_slot_that_arrived_at_a_master_that_died_is_its_replicas() {
    for (engine, told) in engines() {
        let mut cluster = formed(engine, 1);
        open(&mut cluster);
        // The target dies before the bus tells anybody that the slot is its own.
        cluster.cut(&[1], &[0, 2, 3, 4, 5]);
        send(
            &mut cluster,
            1,
            &format!("CLUSTER SETSLOT 0 NODE {}", id(1)),
        );
        cluster.kill(1);
        cluster.heal();
        send(
            &mut cluster,
            0,
            &format!("CLUSTER SETSLOT 0 NODE {}", id(1)),
        );
        cluster.run_until(12_000, "node 4 is master", |cluster| {
            cluster.node(4).view().is_master()
        });
        cluster.run_ms(3000);
        let owner = cluster.node(2).view().owner(0);
        if told {
            assert_eq!(owner, Some(id(4)), "{engine:?}\n{}", cluster.log());
        } else {
            assert_ne!(owner, Some(id(4)), "{engine:?}\n{}", cluster.log());
        }
    }
}

#[test]
fn a_replica_that_synchronizes_late_learns_of_open_slots() {
    for (engine, told) in engines() {
        let mut cluster = formed(engine, 1);
        cluster.kill(4);
        cluster.run_ms(100);
        open(&mut cluster);
        cluster.start(4);
        cluster.run_ms(5000);
        let wanted = if told { comes_from(0) } else { Vec::new() };
        assert_eq!(open_at(&mut cluster, 4), wanted, "{engine:?}");
    }
}

#[test]
fn a_master_waits_for_its_replicas_as_long_as_it_is_told_and_then_refuses() {
    for (engine, told) in engines() {
        let mut cluster = formed(engine, 1);
        let line = format!("CLUSTER SETSLOT 0 IMPORTING {} TIMEOUT 300", id(0));
        cluster.stall(4, 1000);
        let reply = cluster.command(1, &line);
        if !told {
            assert!(
                matches!(&reply, Reply::Error(text) if text.contains("Invalid CLUSTER SETSLOT"))
            );
            continue;
        }
        assert_eq!(reply, Reply::Nil);
        cluster.run_ms(500);
        assert_eq!(open_at(&mut cluster, 1), [""; 0], "{engine:?}");
        // The replica that was late has done it for all that.
        cluster.run_ms(1000);
        assert_eq!(open_at(&mut cluster, 4), comes_from(0), "{engine:?}");
        assert_eq!(open_at(&mut cluster, 1), [""; 0], "{engine:?}");
    }
}

#[test]
fn a_timeout_needs_a_value() {
    for (engine, told) in engines().filter(|(_, told)| *told) {
        let mut cluster = formed(engine, 1);
        let line = format!("CLUSTER SETSLOT 0 IMPORTING {} TIMEOUT", id(0));
        let reply = cluster.command(1, &line);
        assert_eq!(reply, Reply::error("ERR Missing timeout value"), "{told}");
        let reply = cluster.command(1, &format!("{line} -1"));
        assert_eq!(reply, Reply::error("ERR timeout is negative"));
        let reply = cluster.command(4, &line);
        assert_eq!(
            reply,
            Reply::error("ERR Please use SETSLOT only with masters.")
        );
    }
}

#[test]
fn a_master_without_replicas_does_it_at_once() {
    for (engine, _) in engines() {
        let mut cluster = formed(engine, 0);
        let reply = cluster.command(1, &format!("CLUSTER SETSLOT 0 IMPORTING {}", id(0)));
        assert_eq!(reply, Reply::OK, "{engine:?}");
        assert_eq!(open_at(&mut cluster, 1), comes_from(0));
    }
}

#[test]
fn a_replica_sends_its_readers_on_where_the_engine_has_it_so() {
    for (engine, told) in engines() {
        let mut cluster = formed(engine, 1);
        open(&mut cluster);
        // Slot 0 has this key.
        let replies = cluster.commands(3, &["READONLY", "GET 3560"]);
        let reply = format!("{:?}", replies.last());
        assert_eq!(reply.contains("ASK 0 "), told, "{engine:?}: {reply}");
        let reply = format!("{:?}", cluster.command(3, "GET 3560"));
        assert!(reply.contains("MOVED 0 "), "{engine:?}: {reply}");
    }
}
