//! Every cause of the ledger, and what is none.

use redrill_node::{Fact, FailoverKind, RoleChange, SlotChange, StateReason};

use super::super::testing::{Log, THIRDS, assert_breaks, assert_valid, history, id};
use super::super::{Code, Findings, LossCause, Verdict};
use super::Order;
use crate::scenario::{CrashKind, StallKind};
use crate::trace::{Event, Outcome, ProcessChange, StateLoad};

fn whole() -> StateLoad {
    StateLoad::Whole {
        current_epoch: 3,
        last_vote_epoch: 0,
    }
}

/// `m1` wrote key 1 at offset 200, `r1` has it.
fn replicated() -> Log {
    let mut log = Log::formed();
    log.write(1, 11, "m1", 200).applied("r1", 200);
    log
}

fn m1_returns(log: &mut Log) {
    log.later(1000).start("m1", whole());
    log.later(10).m1_follows_r1(200);
}

#[track_caller]
fn assert_lost(findings: &Findings, expected: &[(u64, LossCause)]) {
    let lost: Vec<(u64, LossCause)> = findings
        .ledger
        .lost
        .iter()
        .map(|lost| (lost.write, lost.cause))
        .collect();
    assert_eq!(lost, expected, "{:#?}", findings.ledger.lost);
}

#[test]
fn what_is_found_is_not_lost() {
    let mut log = replicated();
    log.write(1, 12, "m1", 300);
    log.converged().audited(1, Some(12), "m1");
    let findings = log.check();
    assert_valid(&findings);
    assert_lost(&findings, &[]);
    assert_eq!(
        (findings.ledger.acknowledged, findings.ledger.audited),
        (2, 1)
    );
}

#[test]
fn a_write_that_died_with_its_master_is_a1() {
    let mut log = replicated();
    log.write(1, 12, "m1", 300);
    log.at(20_000).crash("m1", CrashKind::Kill);
    log.later(1600).agree_on_failure("m1").elect_r1(200);
    m1_returns(&mut log);
    log.converged().audited(1, Some(11), "r1");
    let findings = log.check();
    assert_valid(&findings);
    assert_lost(&findings, &[(12, LossCause::NotReplicated)]);
    let lost = &findings.ledger.lost[0];
    assert_eq!(lost.why, "r1 had not received it when m1 died");
    assert_eq!(lost.evidence.len(), 5);
}

#[test]
fn a_write_to_a_master_that_had_not_learned_is_a2() {
    let mut log = replicated();
    log.at(20_000)
        .process("m1", ProcessChange::Stalled(StallKind::DebugSleep));
    log.later(1600).agree_on_failure("m1").elect_r1(200);
    log.later(1000).process("m1", ProcessChange::Resumed);
    log.write(1, 12, "m1", 300);
    log.m1_follows_r1(200);
    log.converged().audited(1, Some(11), "r1");
    let findings = log.check();
    assert_valid(&findings);
    assert_lost(&findings, &[(12, LossCause::Superseded)]);
    assert!(findings.ledger.lost[0].why.contains("had not learned"));
}

#[test]
fn a_write_of_the_minority_before_the_election_is_a2() {
    let mut log = replicated();
    let step = {
        log.at(20_000);
        log.cut_off(&["m1"])
    };
    log.later(500).write(1, 12, "m1", 300);
    log.at(21_600).state("m1", false, StateReason::Minority);
    log.agree_on_failure("m1").elect_r1(200);
    log.later(1000).heal(step).m1_follows_r1(200);
    log.converged().audited(1, Some(11), "r1");
    let findings = log.check();
    assert_valid(&findings);
    assert_lost(&findings, &[(12, LossCause::Superseded)]);
    assert!(
        findings.ledger.lost[0]
            .why
            .contains("was elected without having received it")
    );
}

/// `r1` takes over by hand while `m1` lives; write 12 never reached it.
fn by_hand(how: FailoverKind) -> Findings {
    let mut log = replicated();
    log.write(1, 12, "m1", 300);
    if how == FailoverKind::Manual {
        log.fact("r1", Fact::ManualFailoverReady);
    }
    log.asks("r1", "m1", 4);
    log.later(1)
        .votes("m2", "r1", "m1", 4)
        .votes("m3", "r1", "m1", 4);
    log.later(1)
        .counts("r1", "m2", 4, 1)
        .counts("r1", "m3", 4, 2);
    log.wins("r1", "m1", 4, how, 200);
    log.takes_over("r1", "m1", 4, 200, &["m2", "m3", "r2", "r3"])
        .m1_follows_r1(200);
    log.converged().audited(1, Some(11), "r1");
    log.check()
}

#[test]
fn a_write_lost_by_force_is_a3() {
    for how in [FailoverKind::Force, FailoverKind::Takeover] {
        let findings = by_hand(how);
        assert_valid(&findings);
        assert_lost(&findings, &[(12, LossCause::Forced)]);
    }
}

#[test]
fn a_write_lost_by_a_manual_failover_has_no_excuse() {
    let findings = by_hand(FailoverKind::Manual);
    assert_breaks(&findings, Code::D, "which waits for every write");
    assert_lost(&findings, &[(12, LossCause::Unexplained)]);
}

#[test]
fn a_master_that_comes_back_empty_in_time_is_a4() {
    let mut log = replicated();
    log.at(20_000).crash("m1", CrashKind::Kill);
    log.later(300).start("m1", whole());
    log.later(2100).state("m1", true, StateReason::AllGood);
    log.stream("m1", 21, 50, 50);
    log.fact(
        "r1",
        Fact::FullResyncDone {
            id: history(21),
            offset: 50,
            keys: 0,
        },
    );
    log.converged().audited(1, None, "m1");
    let findings = log.check();
    assert_valid(&findings);
    assert_lost(&findings, &[(11, LossCause::NotPersisted)]);
}

#[test]
fn a_master_without_replicas_that_comes_back_empty_is_a4_too() {
    let mut log = replicated();
    log.at(20_000)
        .crash("r1", CrashKind::Kill)
        .crash("m1", CrashKind::Kill);
    log.later(9000).start("m1", whole()).start("r1", whole());
    log.later(2100).state("m1", true, StateReason::AllGood);
    log.state("r1", true, StateReason::AllGood);
    log.converged().audited(1, None, "m1");
    let findings = log.check();
    assert_valid(&findings);
    assert_lost(&findings, &[(11, LossCause::NotPersisted)]);
}

#[test]
fn a_persistent_master_that_comes_back_empty_has_no_excuse() {
    let mut log = replicated();
    log.trace.header.nodes[0].persistent = true;
    log.at(20_000).crash("m1", CrashKind::Kill);
    log.later(300).start("m1", whole());
    log.later(2100).state("m1", true, StateReason::AllGood);
    log.stream("m1", 21, 250, 50);
    log.converged().audited(1, None, "m1");
    assert_breaks(
        &log.check(),
        Code::D,
        "the node that was read had applied it",
    );
}

#[test]
fn a_write_that_another_replica_acknowledged_to_wait_is_a5() {
    let mut log = replicated();
    log.write(1, 12, "m1", 300);
    log.fact(
        "m1",
        Fact::WaitAnswered {
            offset: 300,
            replicas: 1,
        },
    );
    log.at(20_000).crash("m1", CrashKind::Kill);
    log.later(1600).agree_on_failure("m1").elect_r1(200);
    m1_returns(&mut log);
    log.converged().audited(1, Some(11), "r1");
    let findings = log.check();
    assert_valid(&findings);
    assert_lost(&findings, &[(12, LossCause::WaitedElsewhere)]);
}

#[test]
fn a_write_that_the_promoted_replica_had_applied_must_be_there() {
    let mut log = replicated();
    log.at(20_000).crash("m1", CrashKind::Kill);
    log.later(1600).agree_on_failure("m1").elect_r1(200);
    m1_returns(&mut log);
    log.converged().audited(1, None, "r1");
    let findings = log.check();
    assert_breaks(
        &findings,
        Code::D,
        "1 write acknowledged by m1 and lost: the node that was read had applied it",
    );
}

#[test]
fn a_usurper_whose_branch_ends_has_no_excuse() {
    // redis-8752: r1 "wins" with old votes, serves for a while, and m1 prevails.
    let mut log = replicated();
    log.wins("r1", "m1", 4, FailoverKind::Manual, 200);
    let (forked, previous) = (history(11), history(1));
    log.fact(
        "r1",
        Fact::ReplicationIdChanged {
            id: forked,
            previous: Box::new(previous),
            offset: 200,
        },
    );
    log.fact(
        "r1",
        Fact::Role {
            replica_of: None,
            why: RoleChange::Promoted,
        },
    );
    log.write(1, 12, "r1", 300);
    let replica_of = Some(id("m1"));
    log.fact(
        "r1",
        Fact::Role {
            replica_of,
            why: RoleChange::SlotsTaken,
        },
    );
    log.fact(
        "r1",
        Fact::FullResyncDone {
            id: previous,
            offset: 200,
            keys: 1,
        },
    );
    log.converged().audited(1, Some(11), "m1");
    let findings = log.check();
    assert_eq!(
        findings.broken(),
        [Code::V2, Code::D],
        "{:#?}",
        findings.violations
    );
    assert_lost(&findings, &[(12, LossCause::Unexplained)]);
}

#[test]
fn writes_that_overlap_the_one_found_are_not_counted() {
    let mut log = replicated();
    // 12 and 13 are under way at the same time; 12 was found.
    log.later(1).fact(
        "m1",
        Fact::Wrote {
            write: 13,
            offset: 300,
        },
    );
    log.fact(
        "m1",
        Fact::Wrote {
            write: 12,
            offset: 400,
        },
    )
    .stream("m1", 1, 400, 400);
    log.later(5).operation(1, Some(13), "m1", 5, Outcome::Ok);
    log.operation(1, Some(12), "m1", 7, Outcome::Ok);
    log.converged().audited(1, Some(12), "m1");
    let findings = log.check();
    assert_valid(&findings);
    assert_lost(&findings, &[]);
}

#[test]
fn an_unacknowledged_write_that_was_executed_late_may_have_won() {
    let mut log = replicated();
    // 12 timed out, 13 was acknowledged, and only then 12 was executed.
    log.later(500)
        .operation(1, Some(12), "m1", 500, Outcome::Timeout);
    log.write(1, 13, "m1", 300);
    log.later(500)
        .fact(
            "m1",
            Fact::Wrote {
                write: 12,
                offset: 400,
            },
        )
        .stream("m1", 1, 400, 400);
    log.converged().audited(1, Some(12), "m1");
    let findings = log.check();
    assert_valid(&findings);
    assert_lost(&findings, &[]);
}

#[test]
fn a_value_that_nobody_wrote_is_flagged() {
    let mut log = replicated();
    log.converged().audited(1, Some(99), "m1");
    assert_breaks(
        &log.check(),
        Code::D,
        "a value in slot 7 on m1 that no client wrote",
    );
}

#[test]
fn a_key_that_cannot_be_read_leaves_the_question_open() {
    let mut log = replicated();
    log.converged().event(Event::Audited {
        key: 1,
        found: None,
        node: None,
    });
    let findings = log.check();
    assert_eq!(
        findings.verdict(),
        Verdict::Unknown,
        "{:#?}",
        findings.violations
    );
    assert_eq!(findings.ledger.unread, 1);
}

#[test]
fn a_log_without_an_audit_leaves_the_question_open() {
    let findings = replicated().converge_and_check();
    assert_eq!(findings.verdict(), Verdict::Unknown);
    assert!(
        findings.unknowns[0]
            .words
            .contains("1 acknowledged writes were never read back")
    );
}

#[test]
fn keys_that_an_operator_dropped_are_an_open_question() {
    let mut log = replicated();
    let (command, reply) = ("FLUSHALL".into(), "OK".into());
    log.later(10).event(Event::Operator {
        node: 0,
        command,
        reply,
        failed: false,
    });
    log.fact("m1", Fact::Flushed { keys: 1 });
    log.converged().audited(1, None, "m1");
    let findings = log.check();
    assert_eq!(
        findings.verdict(),
        Verdict::Unknown,
        "{:#?}",
        findings.violations
    );
    assert_lost(&findings, &[(11, LossCause::Open)]);
}

#[test]
fn a_live_server_that_tells_no_writes_is_judged_by_promotions() {
    let mut log = Log::formed();
    log.at(19_999).operation(1, Some(11), "m1", 2, Outcome::Ok);
    log.at(20_000).crash("m1", CrashKind::Kill);
    log.later(1600).agree_on_failure("m1").elect_r1(200);
    m1_returns(&mut log);
    log.converged().audited(1, None, "r1");
    let findings = log.check();
    assert_valid(&findings);
    assert_lost(&findings, &[(11, LossCause::NotReplicated)]);
}

#[test]
fn slots_deleted_because_they_were_lost_are_an_open_question() {
    let mut log = replicated();
    let slots = THIRDS[0];
    log.owned("m1", Some(id("m1")), 1, slots, SlotChange::SetSlot);
    log.fact("m1", Fact::DirtySlotsDeleted { keys: 1 });
    log.converged().audited(1, None, "m1");
    let findings = log.check();
    assert_lost(&findings, &[(11, LossCause::Open)]);
}

proptest::proptest! {
    #[test]
    fn an_order_is_that_of_a_stable_sort(
        keys in proptest::collection::vec(
            proptest::prop_oneof![0..4_u64, proptest::num::u64::ANY, (u64::MAX - 2)..=u64::MAX],
            0..300,
        ),
    ) {
        let mut sorted: Vec<(u64, usize)> = keys.iter().copied().zip(0..).collect();
        sorted.sort();
        let order = Order::by_key(&keys, |key| *key);
        let told = order.groups().flat_map(|(key, places)| places.map(move |place| (key, place)));
        assert_eq!(told.collect::<Vec<_>>(), sorted);
        let distinct: std::collections::BTreeSet<u64> = keys.into_iter().collect();
        assert_eq!(order.groups().count(), distinct.len());
    }
}
