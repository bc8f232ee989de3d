use std::collections::BTreeSet;

use super::*;

/// Lines of six real nodes: a manual failover, then a master that stands still for 30 s.
const REAL_LOG: &str = include_str!("../../tests/data/redis-7.0.15-failovers.log");

const MASTER: &str = "830223a2a54652b685a7e02d8c71fc8b9f0a50da";
const REPLICA: &str = "f8f4be0abbfa1426db63469e362bab961ff122dc";
const OTHER: &str = "77eed471eebcbef308daec9122905c2fab84f72f";
const PROMOTED: &str = "afa365d7bcd6f88701c3297debb9cf16e0ba779d";

fn id(text: &str) -> NodeId {
    text.parse().unwrap()
}

fn replication_id(text: &str) -> crate::ids::ReplicationId {
    text.parse().unwrap()
}

fn hex(id: NodeId) -> String {
    id.to_string()
}

/// `19676:S 21 Nov 2026 08:23:10.190 # Failover election won` as `# Failover election won`.
fn without_time(line: &str) -> &str {
    line.splitn(6, ' ').nth(5).unwrap()
}

fn logged() -> Vec<Fact> {
    let (master, replica, other, promoted) = (id(MASTER), id(REPLICA), id(OTHER), id(PROMOTED));
    vec![
        Fact::Started {
            id: replica,
            restored: false,
            current_epoch: 0,
            last_vote_epoch: 0,
        },
        Fact::ConfigEpoch {
            epoch: 6,
            why: EpochChange::Operator,
        },
        Fact::HandshakeCompleted { node: other },
        Fact::ClusterState {
            ok: true,
            why: crate::fact::StateReason::AllGood,
        },
        Fact::ManualFailoverAccepted {
            how: FailoverKind::Manual,
        },
        Fact::ManualFailoverRequested { by: promoted },
        Fact::ManualFailoverOffset { offset: 579 },
        Fact::ManualFailoverReady,
        Fact::FailureReported {
            node: master,
            by: promoted,
        },
        Fact::PossiblyFailing { node: master },
        Fact::MarkedFailing {
            node: master,
            reports: Box::default(),
            counted_self: true,
            needed: 2,
        },
        Fact::FailReceived {
            node: master,
            from: other,
        },
        Fact::ClusterState {
            ok: false,
            why: crate::fact::StateReason::SlotOwnerFailed,
        },
        Fact::ElectionScheduled {
            master,
            delay_ms: 589,
            rank: 0,
            offset: 659,
            manual: false,
        },
        Fact::FailoverUnable {
            why: FailoverObstacle::WaitingVotes,
        },
        Fact::ElectionStarted {
            epoch: 8,
            master,
            needed: 2,
        },
        Fact::VoteGranted {
            to: promoted,
            master: Box::new(other),
            epoch: 7,
        },
        Fact::VoteRefused {
            to: replica,
            epoch: 8,
            why: Box::new(VoteRefusal::MasterIsUp),
        },
        Fact::ElectionWon {
            epoch: 8,
            votes: 2,
            needed: 2,
            master,
            how: FailoverKind::Automatic,
            offset: 659,
        },
        Fact::ConfigEpoch {
            epoch: 8,
            why: EpochChange::Election,
        },
        Fact::ReplicationIdChanged {
            id: replication_id("c71956e3ace54b30cd6edd06fd058c5081227d1e"),
            previous: Box::new(replication_id("7dffaf0af75bf710e0c0edd7662c0339d6d4704a")),
            offset: 660,
        },
        Fact::Role {
            replica_of: Some(replica),
            why: RoleChange::SlotsTaken,
        },
        Fact::UpdateSent {
            to: master,
            about: replica,
        },
        Fact::FailCleared {
            node: master,
            why: FailCleared::MasterWithoutSlots,
        },
        Fact::FailureReportWithdrawn {
            node: master,
            by: promoted,
        },
        Fact::MasterLinkLost,
        Fact::SyncStarted {
            from: Some((
                replication_id("7dffaf0af75bf710e0c0edd7662c0339d6d4704a"),
                660,
            )),
        },
        Fact::FullResyncDone {
            id: replication_id("7dffaf0af75bf710e0c0edd7662c0339d6d4704a"),
            offset: 0,
            keys: 0,
        },
        Fact::PartialResyncDone {
            id: replication_id("7dffaf0af75bf710e0c0edd7662c0339d6d4704a"),
            offset: 0,
        },
    ]
}

#[test]
fn facts_that_redis_logs_have_its_words_and_its_level() {
    let real: BTreeSet<&str> = REAL_LOG.lines().map(without_time).collect();
    for fact in logged() {
        let line = format!("{} {}", fact.level().symbol(), fact.log_line(&hex));
        assert!(real.contains(line.as_str()), "not in the real log: {line}");
    }
}

#[test]
fn every_line_of_the_real_excerpt_is_said_by_a_fact() {
    let said: BTreeSet<String> = logged()
        .iter()
        .map(|fact| format!("{} {}", fact.level().symbol(), fact.log_line(&hex)))
        .collect();
    for line in REAL_LOG.lines().map(without_time) {
        assert!(said.contains(line), "no fact says: {line}");
    }
}

#[test]
fn a_node_goes_by_the_name_the_caller_gives_it() {
    let fact = Fact::VoteGranted {
        to: id(REPLICA),
        master: Box::new(id(MASTER)),
        epoch: 8,
    };
    let line = fact.log_line(&|_| "r2".to_owned());
    assert_eq!(line, "Failover auth granted to r2 for epoch 8");
}

#[test]
fn many_slot_ranges_are_told_in_one_short_line() {
    let range = |first, last| SlotRange { first, last };
    let owned = |slots: Vec<SlotRange>| Fact::SlotsOwned {
        owner: Some(id(MASTER)),
        epoch: 3,
        slots: slots.into(),
        why: SlotChange::Claimed,
    };
    let m2 = |_| "m2".to_owned();
    assert_eq!(
        owned(vec![range(7, 7)]).log_line(&m2),
        "Slot 7 owned by m2 (configEpoch 3)."
    );
    let many = (0..100).map(|n| range(n * 10, n * 10 + 1)).collect();
    assert_eq!(
        owned(many).log_line(&m2),
        "Slots 0-1, 10-11, 20-21, 30-31, 96 more ranges owned by m2 (configEpoch 3)."
    );
}
