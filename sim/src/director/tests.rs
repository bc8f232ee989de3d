//! Every fault of a drill, in every world.
#![allow(clippy::wildcard_enum_match_arm)]

use redrill_node::{Fact, SlotRange};

use crate::samples::{SECOND, after, at, cluster, kill_master, named};
use crate::scenario::{
    ClientSpec, CrashKind, Formation, Latency, Scenario, Selector, StallKind, Step, StepAction,
};
use crate::trace::{Event, Outcome, Phase, ProcessChange, StateLoad, Touched, Trace};
use crate::{RunError, WorldKind, run};

fn traces(scenario: &Scenario, seed: u64) -> impl Iterator<Item = (WorldKind, Trace)> {
    WorldKind::ALL
        .iter()
        .map(move |&world| match run(scenario, seed, world) {
            Ok(run) => (world, run.trace),
            Err(error) => panic!("{world}: {error}"),
        })
}

fn with_steps(steps: Vec<Step>) -> Scenario {
    Scenario {
        steps,
        ..cluster(3, 1)
    }
}

/// Times at which something happened, microseconds after the disturbance began.
fn times(trace: &Trace, mut what: impl FnMut(&Event) -> bool) -> Vec<i64> {
    let began_us = phase_us(trace, Phase::Disturb);
    let records = trace.records.iter().filter(|record| what(&record.event));
    records
        .map(|record| record.at_us as i64 - began_us as i64)
        .collect()
}

fn phase_us(trace: &Trace, phase: Phase) -> u64 {
    let found = trace
        .records
        .iter()
        .find(|record| record.event == Event::Phase { phase });
    found.map(|record| record.at_us).unwrap()
}

fn wins(trace: &Trace) -> Vec<i64> {
    times(trace, |event| {
        matches!(
            event,
            Event::Node {
                fact: Fact::ElectionWon { .. },
                ..
            }
        )
    })
}

fn remarks(trace: &Trace) -> Vec<&str> {
    let remarks = trace
        .records
        .iter()
        .filter_map(|record| match &record.event {
            Event::Remark { text } => Some(text.as_str()),
            _ => None,
        });
    remarks.collect()
}

/// The words of the fault that a step did.
fn words(trace: &Trace, wanted: u16) -> String {
    let found = trace.records.iter().find_map(|record| match &record.event {
        Event::FaultBegan { step, touched, .. } if *step == wanted => {
            Some(touched.words.to_string())
        }
        _ => None,
    });
    found.unwrap_or_else(|| "never began".to_owned())
}

fn missed(trace: &Trace) -> Vec<(u16, &str)> {
    let missed = trace
        .records
        .iter()
        .filter_map(|record| match &record.event {
            Event::FaultMissed { step, why } => Some((*step, why.as_str())),
            _ => None,
        });
    missed.collect()
}

/// Operators' answers: the node, the reply, whether it failed.
fn answers(trace: &Trace) -> Vec<(u16, &str, bool)> {
    let answers = trace
        .records
        .iter()
        .filter_map(|record| match &record.event {
            Event::Operator {
                node,
                reply,
                failed,
                ..
            } => Some((*node, reply.as_str(), *failed)),
            _ => None,
        });
    answers.collect()
}

/// Acknowledgements by a node in a span of time after the disturbance began, seconds.
fn acknowledgements(trace: &Trace, node: u16, from_s: f64, to_s: f64) -> usize {
    let times = times(trace, |event| match event {
        Event::Operation(operation) => {
            operation.outcome == Outcome::Ok && operation.node == Some(node)
        }
        _ => false,
    });
    let span = from_s * 1e6..to_s * 1e6;
    times
        .into_iter()
        .filter(|&at_us| span.contains(&(at_us as f64)))
        .count()
}

/// Every acknowledged write that the audit did not find.
fn lost(trace: &Trace) -> usize {
    let acknowledged = trace
        .records
        .iter()
        .filter_map(|record| match &record.event {
            Event::Operation(operation) if operation.outcome == Outcome::Ok => {
                Some((operation.key, operation.write?))
            }
            _ => None,
        });
    let found: Vec<(u64, u64)> = trace
        .records
        .iter()
        .filter_map(|record| match record.event {
            Event::Audited { key, found, .. } => Some((key, found?)),
            _ => None,
        })
        .collect();
    let found: std::collections::BTreeSet<_> = found.into_iter().collect();
    acknowledged.filter(|write| !found.contains(write)).count()
}

#[test]
fn a_quiet_drill_serves_everything_and_loses_nothing() {
    for (world, trace) in traces(&cluster(3, 1), 1) {
        assert!(remarks(&trace).is_empty(), "{world}: {:?}", remarks(&trace));
        assert!(wins(&trace).is_empty());
        let failed = times(
            &trace,
            |event| matches!(event, Event::Operation(operation) if operation.outcome != Outcome::Ok),
        );
        assert!(failed.is_empty(), "{world}: {failed:?}");
        let served: Vec<usize> = (0..3)
            .map(|node| acknowledgements(&trace, node, 0.0, 10.0))
            .collect();
        assert!(
            served.iter().all(|&count| (490..=501).contains(&count)),
            "{world}: {served:?}"
        );
        assert_eq!(lost(&trace), 0);
        let phases: Vec<Phase> = trace
            .records
            .iter()
            .filter_map(|record| match record.event {
                Event::Phase { phase } => Some(phase),
                _ => None,
            })
            .collect();
        let all = [
            Phase::Form,
            Phase::Disturb,
            Phase::Heal,
            Phase::Converge,
            Phase::Audit,
            Phase::Done,
        ];
        assert_eq!(phases, all);
    }
}

#[test]
fn records_stand_in_order_of_time_and_hashes_repeat() {
    for world in WorldKind::ALL {
        let scenario = kill_master();
        let first = run(&scenario, 3, *world).unwrap();
        let in_order = first.trace.records.is_sorted_by_key(|record| record.at_us);
        assert!(in_order, "{world}");
        let elsewhere = std::thread::scope(|scope| {
            let threads = [3, 4, 3].map(|seed| {
                let scenario = &scenario;
                scope.spawn(move || run(scenario, seed, *world).unwrap())
            });
            threads.map(|thread| thread.join().unwrap())
        });
        assert_eq!(elsewhere[0].trace_hash, first.trace_hash, "{world}");
        assert_eq!(elsewhere[0], elsewhere[2], "{world}");
        assert_ne!(elsewhere[0].trace_hash, elsewhere[1].trace_hash, "{world}");
    }
}

#[test]
fn a_killed_master_is_replaced_and_comes_back_as_a_replica() {
    for (world, trace) in traces(&kill_master(), 1) {
        assert_eq!(words(&trace, 0), "m1 (127.0.0.1:7000) is killed");
        let won = wins(&trace);
        assert_eq!(won.len(), 1, "{world}");
        assert!((4_500_000..7_500_000).contains(&won[0]), "{world}: {won:?}");
        assert_eq!(acknowledgements(&trace, 0, 2.01, 99.0), 0);
        assert!(acknowledgements(&trace, 3, 8.0, 14.0) > 250);
        let restored = StateLoad::Whole {
            current_epoch: 6,
            last_vote_epoch: 0,
        };
        let loaded = times(&trace, |event| {
            *event
                == Event::StateLoaded {
                    node: 0,
                    outcome: restored,
                }
        });
        assert_eq!(loaded.len(), 2, "{world}");
        assert_eq!(loaded[1] / 1_000_000, 12);
        assert!(remarks(&trace).is_empty(), "{world}: {:?}", remarks(&trace));
        assert_eq!(lost(&trace), 0, "{world}");
    }
}

#[test]
fn debug_sleep_stalls_and_is_timed_by_the_server() {
    let stall = StepAction::Stall {
        target: named("m1"),
        how: StallKind::DebugSleep,
    };
    let scenario = with_steps(vec![at(SECOND, Some(SECOND), stall)]);
    for (world, trace) in traces(&scenario, 1) {
        assert_eq!(
            words(&trace, 0),
            "m1 (127.0.0.1:7000) stalls: DEBUG SLEEP 1"
        );
        let stalled = times(&trace, |event| {
            let change = ProcessChange::Stalled(StallKind::DebugSleep);
            *event == Event::Process { node: 0, change }
        });
        let resumed = times(&trace, |event| {
            *event
                == Event::Process {
                    node: 0,
                    change: ProcessChange::Resumed,
                }
        });
        assert_eq!(stalled.len(), 1, "{world}");
        assert!(
            (1_000_000..1_010_000).contains(&stalled[0]),
            "{world}: {stalled:?}"
        );
        assert!(
            (1_000_000..1_003_000).contains(&(resumed[0] - stalled[0])),
            "{world}"
        );
        assert_eq!(acknowledgements(&trace, 0, 1.02, 2.0), 0, "{world}");
        assert!(acknowledgements(&trace, 0, 2.0, 9.0) > 300, "{world}");
        assert!(wins(&trace).is_empty());
        let ended = times(&trace, |event| *event == Event::FaultEnded { step: 0 });
        assert!(
            (2_000_000..2_020_000).contains(&ended[0]),
            "{world}: {ended:?}"
        );
    }
}

#[test]
fn sigstop_of_three_node_timeouts_fails_over_and_the_old_master_yields() {
    let stall = StepAction::Stall {
        target: named("m1"),
        how: StallKind::Sigstop,
    };
    let scenario = Scenario {
        duration_us: 12 * SECOND,
        ..with_steps(vec![at(2 * SECOND, Some(6 * SECOND), stall)])
    };
    for (world, trace) in traces(&scenario, 2) {
        assert_eq!(words(&trace, 0), "m1 (127.0.0.1:7000) stalls: SIGSTOP");
        assert_eq!(wins(&trace).len(), 1, "{world}");
        assert_eq!(acknowledgements(&trace, 0, 2.0, 8.0), 0, "{world}");
        let demoted = times(&trace, |event| {
            matches!(
                event,
                Event::Node {
                    node: 0,
                    fact: Fact::Role {
                        replica_of: Some(_),
                        ..
                    }
                }
            )
        });
        assert!(
            (8_000_000..8_500_000).contains(&demoted[0]),
            "{world}: {demoted:?}"
        );
    }
}

#[test]
fn a_minority_stops_acknowledging_and_the_cut_heals() {
    let mut scenario = with_steps(vec![at(
        2 * SECOND,
        Some(8 * SECOND),
        StepAction::Partition {
            groups: vec![vec![named("m1"), named("inside")], vec![Selector::Rest]],
        },
    )]);
    scenario.duration_us = 12 * SECOND;
    scenario.workload.clients.push(ClientSpec {
        name: "inside".to_owned(),
        hedge_us: None,
        sticky: true,
        ..scenario.workload.clients[0].clone()
    });
    for (world, trace) in traces(&scenario, 1) {
        assert_eq!(wins(&trace).len(), 1, "{world}");
        assert!(
            acknowledgements(&trace, 0, 2.1, 3.9) > 50,
            "{world}: the minority goes on"
        );
        assert_eq!(
            acknowledgements(&trace, 0, 6.0, 10.0),
            0,
            "{world}: then it stops"
        );
        assert!(lost(&trace) > 0, "{world}: what it acknowledged is lost");
        assert!(remarks(&trace).is_empty(), "{world}: {:?}", remarks(&trace));
        let cut = trace.records.iter().find_map(|record| match &record.event {
            Event::FaultBegan { touched, .. } => Some(touched),
            _ => None,
        });
        let Touched {
            cut,
            nodes,
            clients,
            ..
        } = &**cut.unwrap();
        // Two hosts on one side, five nodes and three clients on the other.
        assert_eq!(
            (cut.len(), nodes.len(), clients.len()),
            (2 * 2 * 8, 6, 4),
            "{world}"
        );
        assert!(cut.contains(&(0, 1)) && cut.contains(&(1, 9)) && !cut.contains(&(0, 9)));
    }
}

#[test]
fn an_isolated_replica_misses_the_stream_and_catches_up() {
    let cut = StepAction::Isolate {
        targets: vec![named("r2")],
    };
    let scenario = with_steps(vec![at(2 * SECOND, Some(3 * SECOND), cut)]);
    for (world, trace) in traces(&scenario, 1) {
        assert!(wins(&trace).is_empty(), "{world}");
        assert!(remarks(&trace).is_empty(), "{world}: {:?}", remarks(&trace));
        assert_eq!(lost(&trace), 0);
        let streams = times(&trace, |event| {
            matches!(
                event,
                Event::Node {
                    node: 4,
                    fact: Fact::Stream { .. }
                }
            )
        });
        let inside = streams
            .iter()
            .filter(|at_us| (2_010_000..5_000_000).contains(*at_us));
        assert_eq!(inside.count(), 0, "{world}");
    }
}

#[test]
fn a_one_way_block_is_felt_both_ways() {
    let block = StepAction::Block {
        from: named("m1"),
        to: Selector::Clients,
    };
    let scenario = with_steps(vec![at(2 * SECOND, Some(3 * SECOND), block)]);
    for (world, trace) in traces(&scenario, 1) {
        assert_eq!(words(&trace, 0), "nothing passes from m1 to clients");
        assert_eq!(acknowledgements(&trace, 0, 2.01, 5.0), 0, "{world}");
        assert!(acknowledgements(&trace, 0, 6.0, 10.0) > 150, "{world}");
        let wrote = times(&trace, |event| {
            matches!(
                event,
                Event::Node {
                    node: 0,
                    fact: Fact::Wrote { .. }
                }
            )
        });
        let inside = wrote
            .iter()
            .filter(|at_us| (2_010_000..5_000_000).contains(*at_us))
            .count();
        assert!(inside > 0, "{world}: requests still pass");
    }
}

#[test]
fn a_loss_of_power_is_silent_and_the_node_comes_back_with_what_was_synced() {
    let crash = StepAction::Crash {
        target: named("m1"),
        how: CrashKind::PowerOff,
        restart_after_us: Some(8 * SECOND),
    };
    let scenario = Scenario {
        duration_us: 12 * SECOND,
        ..with_steps(vec![at(2 * SECOND, None, crash)])
    };
    for (world, trace) in traces(&scenario, 1) {
        assert_eq!(words(&trace, 0), "m1 (127.0.0.1:7000) loses power");
        assert_eq!(wins(&trace).len(), 1, "{world}");
        let lost_links = times(&trace, |event| {
            matches!(
                event,
                Event::Node {
                    fact: Fact::MasterLinkLost,
                    ..
                }
            )
        });
        assert!(
            lost_links.iter().all(|at_us| *at_us > 4_000_000),
            "{world}: nobody is told at once: {lost_links:?}"
        );
        assert!(remarks(&trace).is_empty(), "{world}: {:?}", remarks(&trace));
    }
}

#[test]
fn a_shutdown_and_a_restart_by_steps() {
    let crash = StepAction::Crash {
        target: named("r1"),
        how: CrashKind::Shutdown,
        restart_after_us: None,
    };
    let restart = StepAction::Restart {
        target: named("r1"),
    };
    let scenario = with_steps(vec![
        at(2 * SECOND, None, crash),
        at(4 * SECOND, None, restart),
    ]);
    for (world, trace) in traces(&scenario, 1) {
        assert_eq!(words(&trace, 0), "r1 (127.0.0.1:7003) shuts down");
        assert_eq!(words(&trace, 1), "r1 (127.0.0.1:7003) starts again");
        let started = times(&trace, |event| {
            *event
                == Event::Process {
                    node: 3,
                    change: ProcessChange::Started,
                }
        });
        assert_eq!(started.len(), 2, "{world}");
        assert_eq!(started[1], 4_000_000);
        assert!(remarks(&trace).is_empty(), "{world}: {:?}", remarks(&trace));
    }
}

#[test]
fn a_node_left_down_is_started_when_the_drill_heals() {
    let crash = StepAction::Crash {
        target: Selector::ReplicaOf(Box::new(named("m2"))),
        how: CrashKind::Kill,
        restart_after_us: None,
    };
    let scenario = with_steps(vec![at(2 * SECOND, None, crash)]);
    for (world, trace) in traces(&scenario, 1) {
        assert_eq!(words(&trace, 0), "r2 (127.0.0.1:7004) is killed");
        let started = times(&trace, |event| {
            *event
                == Event::Process {
                    node: 4,
                    change: ProcessChange::Started,
                }
        });
        assert_eq!(started.last().copied(), Some(10_000_000), "{world}");
        assert!(remarks(&trace).is_empty(), "{world}: {:?}", remarks(&trace));
    }
}

#[test]
fn degraded_links_slow_operations_down() {
    let degrade = StepAction::Degrade {
        from: Selector::Clients,
        to: Selector::All,
        both_ways: true,
        loss: 0.0,
        delay_us: 20_000,
    };
    let scenario = with_steps(vec![at(2 * SECOND, Some(3 * SECOND), degrade)]);
    for (world, trace) in traces(&scenario, 1) {
        let latencies: Vec<(u64, u64)> = trace
            .records
            .iter()
            .filter_map(|record| match &record.event {
                Event::Operation(operation) => {
                    Some((operation.issued_us, record.at_us - operation.issued_us))
                }
                _ => None,
            })
            .collect();
        let began_us = phase_us(&trace, Phase::Disturb);
        let slow = latencies
            .iter()
            .filter(|(issued_us, _)| (2_100_000..4_900_000).contains(&(issued_us - began_us)));
        let fastest_us = slow.map(|latency| latency.1).min().unwrap();
        assert!(
            (40_000..45_000).contains(&fastest_us),
            "{world}: {fastest_us}"
        );
        let usual = latencies
            .iter()
            .filter(|(issued_us, _)| issued_us - began_us < 1_900_000);
        assert!(
            usual.map(|latency| latency.1).max().unwrap() < 10_000,
            "{world}"
        );
    }
}

#[test]
fn a_clock_jumps_and_jumps_back() {
    let jump = StepAction::Clock {
        target: named("r1"),
        jump_ms: -70_000,
    };
    let nodes = |on| StepAction::Run {
        command: "CLUSTER NODES".to_owned(),
        on: named(on),
    };
    let scenario = with_steps(vec![
        at(2 * SECOND, Some(3 * SECOND), jump),
        at(4_500_000, None, nodes("r1")),
        at(4_500_000, None, nodes("r2")),
        at(9 * SECOND, None, nodes("r1")),
        at(9 * SECOND, None, nodes("r2")),
    ]);
    for (world, trace) in traces(&scenario, 1) {
        assert_eq!(
            words(&trace, 0),
            "the wall clock of r1 (127.0.0.1:7003) jumps by -70000 ms"
        );
        let ended = times(&trace, |event| *event == Event::FaultEnded { step: 0 });
        assert_eq!(ended, [5_000_000], "{world}");
        // The lowest time at which each last heard a pong, by its own clock.
        let heard_ms: Vec<i64> = answers(&trace)
            .iter()
            .map(|answer| {
                let pongs = answer
                    .1
                    .lines()
                    .filter_map(|line| line.split(' ').nth(5)?.parse().ok());
                pongs.filter(|&pong_ms| pong_ms > 0).min().unwrap()
            })
            .collect();
        let apart_ms: Vec<i64> = heard_ms.chunks(2).map(|pair| pair[1] - pair[0]).collect();
        assert!(apart_ms[1].abs() < 2_000, "{world}: {apart_ms:?}");
        assert!(
            (68_000..72_000).contains(&apart_ms[0]),
            "{world}: {apart_ms:?}"
        );
    }
}

#[test]
fn a_slow_disk_delays_the_vote() {
    let slow = StepAction::SlowDisk {
        target: Selector::Masters,
        fsync: Latency::Constant {
            value_us: 300_000.0,
        },
    };
    let mut scenario = kill_master();
    scenario.steps.insert(0, at(SECOND, None, slow));
    let reaction_us = |trace: &Trace| {
        let asked = times(trace, |event| {
            matches!(
                event,
                Event::Node {
                    fact: Fact::ElectionStarted { .. },
                    ..
                }
            )
        });
        wins(trace)[0] - asked[0]
    };
    let fast: Vec<_> = traces(&kill_master(), 1).collect();
    for ((world, slow), (_, fast)) in traces(&scenario, 1).zip(fast) {
        assert!(
            reaction_us(&fast) < 20_000,
            "{world}: {}",
            reaction_us(&fast)
        );
        assert!(
            reaction_us(&slow) > 300_000,
            "{world}: {}",
            reaction_us(&slow)
        );
    }
}

#[test]
fn an_operator_fails_over_by_hand_and_the_answer_is_recorded() {
    let failover = StepAction::Run {
        command: "CLUSTER FAILOVER".to_owned(),
        on: named("r2"),
    };
    let bad = StepAction::Run {
        command: "CLUSTER FORGET {id:m1}".to_owned(),
        on: named("m1"),
    };
    let scenario = with_steps(vec![at(2 * SECOND, None, failover), at(SECOND, None, bad)]);
    for (world, trace) in traces(&scenario, 1) {
        assert_eq!(words(&trace, 0), "r2 (127.0.0.1:7004): CLUSTER FAILOVER");
        let answers = answers(&trace);
        assert_eq!(answers[1], (4, "OK", false), "{world}");
        assert_eq!((answers[0].0, answers[0].2), (0, true), "{world}");
        assert!(
            answers[0].1.starts_with("(error) ERR I tried hard"),
            "{world}: {answers:?}"
        );
        assert_eq!(wins(&trace).len(), 1, "{world}");
        assert_eq!(lost(&trace), 0, "{world}");
    }
}

#[test]
fn an_operator_moves_slots_with_their_keys_and_nothing_else() {
    let moves = |from: &str, to: &str| StepAction::MoveSlots {
        slots: vec![SlotRange { first: 0, last: 9 }],
        from: named(from),
        to: named(to),
    };
    let scenario = with_steps(vec![
        at(2 * SECOND, None, moves("m1", "m2")),
        // They are not there any more.
        at(4 * SECOND, None, moves("m1", "m3")),
    ]);
    for (world, trace) in traces(&scenario, 1) {
        assert_eq!(words(&trace, 0), "slots 0-9 move from m1 to m2");
        assert_eq!(remarks(&trace), ["10 slots were moved"], "{world}");
        let missed = trace.records.iter().find_map(|record| match &record.event {
            Event::FaultMissed { step: 1, why } => Some(why.as_str()),
            _ => None,
        });
        let why = missed.unwrap_or_default();
        assert!(
            why.starts_with("no slot was moved: `CLUSTER SETSLOT 0 MIGRATING "),
            "{why}"
        );
        assert!(why.ends_with("I'm not the owner of hash slot 0"), "{why}");
        assert_eq!((wins(&trace).len(), lost(&trace)), (0, 0), "{world}");
    }
}

#[test]
fn load_changes_and_comes_back() {
    let calm = StepAction::Load { factor: 0.0 };
    let scenario = with_steps(vec![at(2 * SECOND, Some(2 * SECOND), calm)]);
    for (world, trace) in traces(&scenario, 1) {
        assert_eq!(acknowledgements(&trace, 1, 2.05, 4.0), 0, "{world}");
        let after = acknowledgements(&trace, 1, 4.0, 6.0);
        assert!((98..=102).contains(&after), "{world}: {after}");
    }
}

#[test]
fn a_step_follows_a_log_line_and_one_that_never_comes_is_missed() {
    let mut scenario = kill_master();
    let kill = StepAction::Stall {
        target: named("r2"),
        how: StallKind::Sigstop,
    };
    scenario
        .steps
        .push(after("start of election delayed", kill));
    let never = StepAction::Load { factor: 2.0 };
    scenario.steps.push(after("the sky falls", never));
    for (world, trace) in traces(&scenario, 1) {
        let scheduled = times(&trace, |event| {
            matches!(
                event,
                Event::Node {
                    fact: Fact::ElectionScheduled { .. },
                    ..
                }
            )
        });
        let began = times(&trace, |event| {
            matches!(event, Event::FaultBegan { step: 1, .. })
        });
        assert!((0..=1_000).contains(&(began[0] - scheduled[0])), "{world}");
        let why = "no log line contained \"the sky falls\" often enough";
        assert_eq!(missed(&trace), [(2, why)], "{world}");
    }
}

#[test]
fn a_step_that_hits_nobody_is_missed_and_one_that_changes_nothing_is_empty() {
    let crash = |target| StepAction::Crash {
        target,
        how: CrashKind::Kill,
        restart_after_us: None,
    };
    let scenario = with_steps(vec![
        at(
            SECOND,
            None,
            crash(Selector::ReplicaOf(Box::new(named("r1")))),
        ),
        at(2 * SECOND, None, crash(named("r1"))),
        at(3 * SECOND, None, crash(named("r1"))),
        at(20 * SECOND, None, crash(named("m1"))),
    ]);
    for (world, trace) in traces(&scenario, 1) {
        let expected = [
            (0, "nobody is replica of r1"),
            (3, "it was due after the end of the drill"),
        ];
        assert_eq!(missed(&trace), expected, "{world}");
        assert_eq!(words(&trace, 2), "nobody is killed");
    }
}

#[test]
fn a_cluster_forms_by_meeting() {
    let mut scenario = cluster(3, 1);
    scenario.cluster.formation = Formation::Meet;
    for (world, trace) in traces(&scenario, 1) {
        let served = acknowledgements(&trace, 0, 0.0, 10.0);
        assert!(served > 490, "{world}: {served}");
        assert!(remarks(&trace).is_empty(), "{world}: {:?}", remarks(&trace));
    }
}

#[test]
fn a_cluster_that_cannot_form_says_what_is_pending() {
    let mut scenario = cluster(3, 1);
    scenario.cluster.nodes[1].slots[0].last -= 1;
    for world in WorldKind::ALL {
        match run(&scenario, 1, *world) {
            Err(RunError::NotFormed { pending, .. }) => {
                assert!(
                    pending.starts_with("the cluster state of "),
                    "{world}: {pending}"
                );
            }
            other => panic!("{world}: {other:?}"),
        }
    }
}

#[test]
fn a_host_that_is_back_soon_resets_its_old_connections() {
    let crash = StepAction::Crash {
        target: named("m1"),
        how: CrashKind::PowerOff,
        restart_after_us: Some(SECOND),
    };
    for seed in 1..6 {
        for (world, trace) in traces(&with_steps(vec![at(2 * SECOND, None, crash.clone())]), seed) {
            let dropped = times(&trace, |event| {
                matches!(
                    event,
                    Event::Node {
                        node: 3,
                        fact: Fact::MasterLinkLost,
                        ..
                    }
                )
            });
            assert!(wins(&trace).is_empty());
            assert!(
                dropped.len() == 1 && dropped[0] < 6_000_000,
                "{world} {seed}: {dropped:?}"
            );
        }
    }
}

/// Keys that the audit read, and keys that it could not read.
fn audited(trace: &Trace) -> (usize, usize) {
    let nodes = trace
        .records
        .iter()
        .filter_map(|record| match record.event {
            Event::Audited { node, .. } => Some(node),
            _ => None,
        });
    let (read, unread): (Vec<_>, Vec<_>) = nodes.partition(Option::is_some);
    (read.len(), unread.len())
}

#[test]
fn the_audit_reads_every_key_at_one_instant() {
    for (world, trace) in traces(&kill_master(), 1) {
        let (read, unread) = audited(&trace);
        assert!(read > 1500, "{world}: {read}");
        assert_eq!(unread, 0, "{world}");
        let mut times = times(&trace, |event| matches!(event, Event::Audited { .. }));
        times.dedup();
        assert_eq!(times.len(), 1, "{world}");
    }
}

#[test]
fn keys_of_a_node_that_sleeps_on_are_given_up_after_five_seconds() {
    let sleep = StepAction::Run {
        command: "DEBUG SLEEP 60".to_owned(),
        on: named("m1"),
    };
    let mut scenario = Scenario {
        steps: vec![at(9 * SECOND, None, sleep)],
        converge_within_us: SECOND,
        ..cluster(3, 0)
    };
    scenario.config.cluster_require_full_coverage = false;
    for (world, trace) in traces(&scenario, 1) {
        let (read, unread) = audited(&trace);
        assert!(read > 900 && unread > 400, "{world}: {read} {unread}");
        let times = times(&trace, |event| matches!(event, Event::Audited { .. }));
        let took_us = times[times.len() - 1] - times[0];
        assert!(
            (5_000_000..5_200_000).contains(&took_us),
            "{world}: {took_us}"
        );
    }
}
