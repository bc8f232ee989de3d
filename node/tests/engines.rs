//! What another engine changes about a failover: each quirk beside the behaviour it replaced, over
//! all engines.

#![allow(
    clippy::expect_used,
    clippy::panic,
    clippy::wildcard_enum_match_arm,
    unreachable_pub,
    reason = "a test names what it looks for and fails loudly"
)]

mod support;

use redrill_node::{Engine, Fact, Quirk, Reply};
use support::{Cluster, id};

/// Every engine, and whether it has a quirk. There is at least one with and one without.
fn engines(quirk: Quirk) -> impl Iterator<Item = (Engine, bool)> {
    let all = Engine::ALL;
    assert!(all.iter().any(|engine| engine.has(quirk)) && !Engine::Redis70.has(quirk));
    all.iter().map(move |engine| (*engine, engine.has(quirk)))
}

fn formed(engine: Engine, masters: usize, replicas: usize) -> Cluster {
    let mut cluster = Cluster::formed(masters, replicas, |config| config.engine = engine);
    cluster.settle();
    cluster
}

fn text(reply: &Reply) -> String {
    match reply {
        Reply::Bulk(bytes) => String::from_utf8_lossy(bytes).into_owned(),
        Reply::Verbatim(text) => text.clone(),
        other => format!("{other:?}"),
    }
}

/// The epochs that a node won, in order.
fn epochs_won(cluster: &Cluster, host: usize) -> Vec<u64> {
    let won = cluster.facts_of(host).filter_map(|(_, fact)| match fact {
        Fact::ElectionWon { epoch, .. } => Some(*epoch),
        _ => None,
    });
    won.collect()
}

#[test]
fn quirks_only_ever_come_in() {
    for quirk in Quirk::ALL {
        let has: Vec<bool> = Engine::ALL
            .iter()
            .map(|engine| engine.has(*quirk))
            .collect();
        assert!(has.is_sorted() && has != [false; 5] && !has[0], "{quirk:?}");
        assert!(quirk.reference().contains('#'), "{quirk:?}");
    }
}

#[test]
fn the_docs_name_every_quirk_with_its_engine_and_its_reference() {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../docs/engines.md");
    let docs = std::fs::read_to_string(path).expect("the docs");
    for quirk in Quirk::ALL {
        let (name, since) = (quirk.name(), quirk.since().name());
        let row = format!("| `{name}` | `{since}` | {} |", quirk.reference());
        assert!(docs.contains(&row), "{row}");
    }
    for engine in Engine::ALL {
        assert!(
            docs.contains(&format!("| {} |", engine.version())),
            "{engine:?}"
        );
    }
}

#[test]
fn every_engine_replaces_a_killed_master_and_tells_its_version() {
    for engine in Engine::ALL {
        let mut cluster = formed(*engine, 3, 1);
        let info = text(&cluster.command(0, "INFO server"));
        let told = format!("redis_version:{}\r\n", engine.redis_version());
        assert!(info.contains(&told), "{engine:?}: {info}");
        let valkey = format!("valkey_version:{}\r\n", engine.version());
        assert_eq!(
            info.contains(&valkey),
            engine.server() == "valkey",
            "{engine:?}"
        );
        let hello = format!("{:?}", cluster.command(0, "HELLO"));
        assert!(
            hello.contains(engine.version()) && hello.contains(engine.server()),
            "{hello}"
        );
        cluster.kill(0);
        cluster.run_until(8000, "node 3 is master", |cluster| {
            cluster.node(3).view().is_master()
        });
        cluster.run_ms(500);
        for host in [1, 2, 4, 5] {
            assert_eq!(
                cluster.node(host).view().owner(0),
                Some(id(3)),
                "{engine:?}"
            );
        }
    }
}

#[test]
fn replicas_of_one_offset_stand_in_line_by_node_id() {
    for (engine, new) in engines(Quirk::RankTieByNodeId) {
        let mut cluster = formed(engine, 3, 2);
        cluster.kill(0);
        cluster.run_ms(6000);
        let first_rank = |host| {
            let mut ranks = cluster.facts_of(host).filter_map(|(_, fact)| match fact {
                Fact::ElectionScheduled { rank, .. } => Some(*rank),
                _ => None,
            });
            ranks.next()
        };
        let ranks = (first_rank(3), first_rank(6));
        let wanted = if new {
            (Some(0), Some(1))
        } else {
            (Some(0), Some(0))
        };
        assert_eq!(ranks, wanted, "{engine:?}\n{}", cluster.log());
    }
}

#[test]
fn the_delay_of_an_election_scales_with_the_node_timeout() {
    for (engine, new) in engines(Quirk::DelayScalesWithTimeout) {
        for timeout_ms in [2000, 15_000] {
            let mut cluster = Cluster::formed(3, 1, |config| {
                config.engine = engine;
                config.cluster_node_timeout_ms = timeout_ms;
            });
            cluster.settle();
            cluster.kill(0);
            cluster.run_ms(30_000);
            let delay_ms = cluster.facts_of(3).find_map(|(_, fact)| match fact {
                Fact::ElectionScheduled { delay_ms, .. } => Some(*delay_ms),
                _ => None,
            });
            let fixed_ms = if new { timeout_ms / 30 } else { 500 };
            let delay_ms = delay_ms.expect("an election");
            assert!(
                (fixed_ms..2 * fixed_ms).contains(&delay_ms),
                "{engine:?}: {delay_ms}"
            );
        }
    }
}

#[test]
fn old_votes_are_forgotten_with_the_old_master() {
    for (engine, new) in engines(Quirk::NewMasterResetsElection) {
        let mut cluster = Cluster::formed(3, 1, |config| {
            config.engine = engine;
            config.cluster_node_timeout_ms = 5000;
        });
        cluster.settle();
        for host in [3, 0, 3] {
            cluster.command(host, "CLUSTER FAILOVER");
            cluster.run_ms(3000);
        }
        let mut epochs = epochs_won(&cluster, 3);
        let wins = epochs.len();
        epochs.dedup();
        // redis-8752: it wins the first epoch again, without a vote. Without that it must ask, and
        // is refused as long as voters may not vote for the same master again.
        let again = engine.has(Quirk::NoVoteGuard) || !new;
        assert_eq!(
            wins,
            if again { 2 } else { 1 },
            "{engine:?}\n{}",
            cluster.log()
        );
        assert_eq!(epochs.len() == wins, new, "{engine:?}: {epochs:?}");
    }
}

#[test]
fn the_only_master_marks_a_silent_replica_as_failing() {
    for (engine, new) in engines(Quirk::SoleMasterMarksFail) {
        let mut cluster = formed(engine, 1, 1);
        cluster.kill(1);
        cluster.run_ms(8000);
        let marked = cluster.count(|fact| matches!(fact, Fact::MarkedFailing { .. }));
        assert_eq!(marked > 0, new, "{engine:?}\n{}", cluster.log());
    }
}

#[test]
fn a_master_that_has_just_started_does_not_take_itself_for_the_only_one() {
    for engine in Engine::ALL {
        let mut cluster = Cluster::formed(3, 1, |config| {
            config.engine = *engine;
            config.cluster_node_timeout_ms = 500;
        });
        cluster.settle();
        // It starts into a minority, and counts the masters two seconds later at the earliest.
        cluster.kill(0);
        cluster.cut(&[0], &[1, 2, 3, 4, 5]);
        cluster.start(0);
        let since = cluster.facts.len();
        cluster.run_ms(1900);
        let marked = |(_, host, fact): &&(u64, usize, Fact)| {
            *host == 0 && matches!(fact, Fact::MarkedFailing { .. })
        };
        let facts = &cluster.facts[since..];
        let suspected = |(_, host, fact): &(u64, usize, Fact)| {
            *host == 0 && matches!(fact, Fact::PossiblyFailing { .. })
        };
        assert!(facts.iter().any(suspected), "{engine:?}\n{}", cluster.log());
        assert_eq!(
            facts.iter().filter(marked).count(),
            0,
            "{engine:?}\n{}",
            cluster.log()
        );
    }
}

/// Takes the slots of the first of three masters away in everybody's view.
fn empty_the_first_shard(cluster: &mut Cluster) {
    for host in 0..6 {
        let reply = cluster.command(host, "CLUSTER DELSLOTSRANGE 0 5460");
        assert_eq!(reply, Reply::OK, "{host}");
    }
    cluster.run_ms(1000);
}

#[test]
fn a_shard_without_slots_fails_over_too() {
    for (engine, new) in engines(Quirk::EmptyShardFailsOver) {
        let mut cluster = formed(engine, 3, 1);
        empty_the_first_shard(&mut cluster);
        cluster.kill(0);
        cluster.run_ms(9000);
        assert_eq!(
            cluster.node(3).view().is_master(),
            new,
            "{engine:?}\n{}",
            cluster.log()
        );
    }
}

#[test]
fn a_master_without_slots_does_not_count_itself() {
    for (engine, new) in engines(Quirk::OnlyVotersMarkFail) {
        let mut cluster = formed(engine, 3, 1);
        empty_the_first_shard(&mut cluster);
        // Of two voters one is cut off: the other alone is no quorum.
        cluster.cut(&[2], &[0, 1, 3, 4, 5]);
        cluster.run_ms(9000);
        let marked = cluster
            .facts_of(0)
            .any(|(_, fact)| matches!(fact, Fact::MarkedFailing { .. }));
        assert_eq!(marked, !new, "{engine:?}\n{}", cluster.log());
    }
}

#[test]
fn a_shard_has_an_id_that_its_replicas_share() {
    for (engine, new) in engines(Quirk::ShardIds) {
        let mut cluster = formed(engine, 3, 1);
        cluster.run_ms(3000);
        let ids: Vec<String> = (0..6)
            .map(|host| text(&cluster.command(host, "CLUSTER MYSHARDID")))
            .collect();
        if !new {
            assert!(
                ids.iter().all(|id| id.contains("ERR")),
                "{engine:?}: {ids:?}"
            );
            continue;
        }
        for host in 0..3 {
            assert_eq!(ids[host].len(), 40, "{ids:?}");
            assert_eq!(ids[host], ids[host + 3], "{engine:?}");
        }
        assert!(ids[0] != ids[1] && ids[1] != ids[2], "{ids:?}");
        // It stays when the shard fails over, and a replica that moves takes the other's.
        cluster.kill(0);
        cluster.run_ms(8000);
        assert_eq!(text(&cluster.command(3, "CLUSTER MYSHARDID")), ids[0]);
        cluster.command(4, &format!("CLUSTER REPLICATE {}", id(2)));
        assert_eq!(text(&cluster.command(4, "CLUSTER MYSHARDID")), ids[2]);
    }
}

#[test]
fn a_node_need_be_forgotten_once_only() {
    for (engine, new) in engines(Quirk::GossipsForget) {
        let mut cluster = formed(engine, 3, 1);
        cluster.kill(5);
        cluster.run_ms(8000);
        let reply = cluster.command(0, &format!("CLUSTER FORGET {}", id(5)));
        assert_eq!(reply, Reply::OK);
        cluster.run_ms(5000);
        let known = (0..5).filter(|host| {
            let view = cluster.node(*host).view();
            view.peers().any(|peer| peer.id == id(5))
        });
        let known: Vec<usize> = known.collect();
        let wanted: &[usize] = if new { &[] } else { &[1, 2, 3, 4] };
        assert_eq!(known, wanted, "{engine:?}");
    }
}
