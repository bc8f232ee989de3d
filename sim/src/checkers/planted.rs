//! Broken nodes in whole runs: each planted bug makes the rule fire that watches for it, and the
//! same scenario with the same seeds is valid without the bug.

use redrill_node::Bug;

use super::{Code, Findings, Verdict, check};
use crate::samples::{SECOND, after, at, cluster, kill_master, named};
use crate::scenario::{CrashKind, Latency, Scenario, Step, StepAction};
use crate::{WorldKind, run};

const SEEDS: std::ops::Range<u64> = 0..4;

fn findings(scenario: &Scenario, seed: u64) -> Findings {
    let world: WorldKind = "event".parse().expect("the event world");
    let run = run(scenario, seed, world).expect("a run to its end");
    check(&run.trace)
}

/// Runs a scenario with and without a bug. `code` must break with it, in some of the runs at
/// least; beside it only `consequences` may. Nothing may break without it.
#[track_caller]
fn assert_caught(bug: Bug, code: Code, consequences: &[Code], scenario: &Scenario) {
    assert_caught_within(SEEDS, bug, code, consequences, scenario);
}

#[track_caller]
fn assert_caught_within(
    seeds: std::ops::Range<u64>,
    bug: Bug,
    code: Code,
    consequences: &[Code],
    scenario: &Scenario,
) {
    let mut broken = scenario.clone();
    broken.config.bugs = vec![bug];
    let mut caught = 0;
    for seed in seeds {
        let without = findings(scenario, seed);
        assert_eq!(
            without.verdict(),
            Verdict::Valid,
            "seed {seed} without {bug:?}: {:#?}{:#?}",
            without.violations,
            without.unknowns
        );
        let with = findings(&broken, seed);
        caught += usize::from(with.broken().contains(&code));
        for violation in &with.violations {
            assert!(
                violation.code == code || consequences.contains(&violation.code),
                "seed {seed} with {bug:?}: {violation:#?}"
            );
        }
    }
    assert!(caught > 0, "{bug:?} was never caught by {code}");
}

fn with_steps(steps: Vec<Step>, duration_s: u64) -> Scenario {
    Scenario {
        steps,
        duration_us: duration_s * SECOND,
        ..cluster(3, 1)
    }
}

fn crash(name: &str, how: CrashKind, restart_after_ms: u64) -> StepAction {
    StepAction::Crash {
        target: named(name),
        how,
        restart_after_us: Some(restart_after_ms * 1000),
    }
}

fn isolate(names: &[&str]) -> StepAction {
    StepAction::Isolate {
        targets: names.iter().map(|name| named(name)).collect(),
    }
}

/// `m1` dies, and as soon as `r1` is elected, `m2`, which voted, is killed and starts again.
fn voter_restarts() -> Scenario {
    let kill = at(2 * SECOND, None, crash("m1", CrashKind::Kill, 12_000));
    let restart = after("failover election won", crash("m2", CrashKind::Kill, 300));
    with_steps(vec![kill, restart], 16)
}

/// A voter loses power in the very moment in which it votes; its disk is slow.
fn voter_loses_power() -> Scenario {
    let kill = at(2 * SECOND, None, crash("m1", CrashKind::Kill, 16_000));
    let dark = after(
        "failover auth granted",
        crash("m2", CrashKind::PowerOff, 1000),
    );
    let mut scenario = with_steps(vec![kill, dark], 22);
    scenario.disk.fsync = Latency::Constant { value_us: 20_000.0 };
    scenario
}

#[test]
fn a_voter_that_forgets_its_votes_breaks_v1() {
    assert_caught(Bug::ForgetsVotes, Code::V1, &[], &voter_restarts());
}

#[test]
fn a_voter_that_grants_everything_breaks_v1() {
    // Two shards elect at the same time, far enough apart to take the same epoch.
    let kills = ["m1", "m2"]
        .map(|name| at(2 * SECOND, None, crash(name, CrashKind::Kill, 16_000)))
        .to_vec();
    let mut scenario = Scenario {
        steps: kills,
        duration_us: 24 * SECOND,
        ..cluster(5, 1)
    };
    let far = Latency::Constant {
        value_us: 150_000.0,
    };
    scenario.network.between_zones = far;
    scenario.network.within_zone = far;
    for client in &mut scenario.workload.clients {
        client.timeout_us = SECOND;
        client.hedge_us = None;
    }
    // They do in about two runs of five.
    assert_caught_within(
        0..12,
        Bug::VotesTwice,
        Code::V1,
        &[Code::V2, Code::V4, Code::S],
        &scenario,
    );
}

#[test]
fn a_candidate_that_wins_too_early_breaks_v2() {
    let mut scenario = kill_master();
    scenario.network.between_zones = Latency::Uniform {
        low_us: 500.0,
        high_us: 5000.0,
    };
    assert_caught(Bug::WinsShortOfQuorum, Code::V2, &[], &scenario);
}

#[test]
fn a_voter_that_skips_the_slot_epochs_breaks_v3() {
    // r1 does not hear that m1 has a new epoch, and m1 dies before it can tell.
    let bump = StepAction::Run {
        command: "CLUSTER BUMPEPOCH".into(),
        on: named("m1"),
    };
    let steps = vec![
        at(2 * SECOND, Some(5 * SECOND), isolate(&["r1"])),
        at(4 * SECOND, None, bump),
        at(6_900_000, None, crash("m1", CrashKind::Kill, 12_000)),
    ];
    assert_caught(Bug::NoSlotEpochCheck, Code::V3, &[], &with_steps(steps, 22));
}

#[test]
fn a_node_that_forgets_its_epoch_breaks_v4() {
    let steps = vec![at(2 * SECOND, None, crash("m2", CrashKind::Kill, 300))];
    assert_caught(Bug::ForgetsEpoch, Code::V4, &[], &with_steps(steps, 10));
}

#[test]
fn masters_that_keep_a_common_epoch_break_v4() {
    let mut scenario = with_steps(Vec::new(), 10);
    scenario.cluster.nodes[1].config_epoch = scenario.cluster.nodes[0].config_epoch;
    assert_caught(Bug::NoCollisionHandling, Code::V4, &[], &scenario);
}

#[test]
fn a_node_that_needs_no_quorum_for_fail_breaks_f() {
    assert_caught(Bug::FailsShortOfQuorum, Code::F, &[], &kill_master());
}

#[test]
fn reports_that_never_expire_break_f() {
    // m2 reports m1 and is cut off; long after that m1 dies, and only m3 is left to say so.
    let groups = vec![vec![named("m1")], vec![named("m2")]];
    let steps = vec![
        at(
            2 * SECOND,
            Some(7 * SECOND),
            StepAction::Partition { groups },
        ),
        at(7 * SECOND, Some(20 * SECOND), isolate(&["m2", "r2"])),
        at(14 * SECOND, None, crash("m1", CrashKind::Kill, 12_000)),
    ];
    assert_caught(
        Bug::ReportsNeverExpire,
        Code::F,
        &[],
        &with_steps(steps, 30),
    );
}

#[test]
fn a_node_that_serves_in_state_fail_breaks_w() {
    assert_caught(Bug::ServesWhileFailed, Code::W, &[], &kill_master());
}

#[test]
fn a_master_without_a_restart_delay_breaks_w() {
    let steps = vec![at(2 * SECOND, None, crash("m2", CrashKind::Kill, 300))];
    assert_caught(Bug::NoRestartDelay, Code::W, &[], &with_steps(steps, 10));
}

#[test]
fn a_view_that_believes_older_claims_breaks_s() {
    let consequences = [Code::C, Code::D, Code::L, Code::V4];
    assert_caught(
        Bug::RebindsToOlderEpoch,
        Code::S,
        &consequences,
        &kill_master(),
    );
}

#[test]
fn views_that_never_change_break_c() {
    let consequences = [Code::S, Code::L, Code::D];
    assert_caught(Bug::IgnoresClaims, Code::C, &consequences, &kill_master());
}

#[test]
fn a_replica_that_never_stands_breaks_l() {
    let steps = vec![at(2 * SECOND, None, crash("m1", CrashKind::Kill, 12_000))];
    assert_caught(Bug::NeverElects, Code::L, &[], &with_steps(steps, 18));
}

#[test]
fn a_replica_that_skips_commands_breaks_d() {
    assert_caught(
        Bug::SkipsStream,
        Code::D,
        &[],
        &with_steps(vec![quiet()], 10),
    );
}

#[test]
fn a_replica_that_is_promoted_empty_breaks_d() {
    assert_caught(Bug::PromotedEmpty, Code::D, &[], &kill_master());
}

#[test]
fn a_vote_that_leaves_before_it_is_saved_breaks_v1() {
    assert_caught(Bug::VotesBeforeSync, Code::V1, &[], &voter_loses_power());
}

#[test]
fn a_state_file_written_in_place_breaks_p() {
    assert_caught(
        Bug::TornStateFile,
        Code::P,
        &[Code::C, Code::S, Code::L],
        &voter_loses_power(),
    );
}

/// A step that changes nothing for nodes.
fn quiet() -> Step {
    at(SECOND, None, StepAction::Load { factor: 1.0 })
}

#[test]
fn redis_8752_is_really_there() {
    // FAILOVER on B, on A, on B again within the time in which an election is kept: B "wins" with
    // the votes of the first time. It is no planted bug but Redis 7.0's own.
    let failover = |name: &str| StepAction::Run {
        command: "CLUSTER FAILOVER".into(),
        on: named(name),
    };
    let steps = vec![
        at(2 * SECOND, None, failover("r1")),
        at(4 * SECOND, None, failover("m1")),
        at(6 * SECOND, None, failover("r1")),
    ];
    let scenario = with_steps(steps, 20);
    let broken: Vec<Vec<Code>> = SEEDS
        .map(|seed| findings(&scenario, seed).broken())
        .collect();
    assert!(
        broken.iter().all(|codes| codes.contains(&Code::V2)),
        "{broken:?}"
    );
}
