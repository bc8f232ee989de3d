//! Measures of runs written by hand and of logs that are changed on purpose.

use redrill_sim::checkers;
use redrill_sim::scenario::StallKind;
use redrill_sim::trace::{Event, FaultKind, Operation, Outcome, ProcessChange, Record, Trace};
use redrill_sim::weather::WeatherKind;

use super::*;
use crate::sample;

fn measured(trace: &Trace) -> Measures {
    Measures::of(trace, &checkers::check(trace))
}

/// One failover in words, to be compared at a glance.
fn phases(failover: &Failover) -> String {
    let ms = |value: Option<f64>| value.map_or_else(|| "-".to_owned(), |ms| format!("{ms:.0}"));
    format!(
        "{} by {} ({:?}{}): fault at {}, pfail {}, fail {}, asked {}, vote {}, won {:.0}, ok {}, gap {}",
        failover.node,
        failover.promoted,
        failover.how,
        if failover.is_false { ", false" } else { "" },
        ms(failover.fault_at_ms),
        ms(failover.first_pfail_ms),
        ms(failover.fail_ms),
        ms(failover.election_start_ms),
        ms(failover.first_vote_ms),
        failover.won_ms,
        ms(failover.state_ok_ms),
        ms(failover.write_gap_ms),
    )
}

#[test]
fn a_killed_masters_failover_is_measured_from_the_kill() {
    let measures = measured(&sample::kill_master());
    let [failover] = &measures.failovers[..] else {
        panic!("{measures:#?}")
    };
    insta::assert_snapshot!(phases(failover));
    assert_eq!(measures.false_failovers, 0);
    assert_eq!(measures.steps.len(), 1);
    assert_eq!(measures.steps[0].failovers, 1);
}

#[test]
fn a_cut_off_masters_failover_is_measured_from_the_cut() {
    let measures = measured(&sample::partition_and_stall());
    let [failover] = &measures.failovers[..] else {
        panic!("{measures:#?}")
    };
    insta::assert_snapshot!(phases(failover));
    assert_eq!(failover.step, Some(0));
    let per_step: Vec<u64> = measures.steps.iter().map(|step| step.failovers).collect();
    assert_eq!(per_step, [1, 0]);
}

#[test]
fn a_failover_of_a_master_that_was_not_hit_is_false() {
    let mut trace = sample::kill_master();
    trace.records.retain(|record| {
        !matches!(
            record.event,
            Event::Process { .. } | Event::FaultBegan { .. }
        )
    });
    let measures = measured(&trace);
    let [failover] = &measures.failovers[..] else {
        panic!("{measures:#?}")
    };
    assert!(failover.is_false);
    assert_eq!(measures.false_failovers, 1);
    assert_eq!(
        (failover.fault_at_ms, failover.first_pfail_ms),
        (None, Some(0.0))
    );
}

#[test]
fn a_stall_shorter_than_the_node_timeout_deserves_no_failover() {
    let mut trace = sample::kill_master();
    let killed = trace
        .records
        .iter()
        .position(|record| {
            matches!(
                record.event,
                Event::Process {
                    change: redrill_sim::trace::ProcessChange::Crashed(_),
                    ..
                }
            )
        })
        .expect("the sample kills a master");
    let at_us = trace.records[killed].at_us + 1_900_000;
    let Event::Process { node, .. } = trace.records[killed].event else {
        unreachable!()
    };
    let change = redrill_sim::trace::ProcessChange::Resumed;
    let place = trace.records.partition_point(|record| record.at_us < at_us);
    trace.records.insert(
        place,
        Record {
            at_us,
            event: Event::Process { node, change },
        },
    );
    let measures = measured(&trace);
    let [failover] = &measures.failovers[..] else {
        panic!("{measures:#?}")
    };
    assert!(failover.is_false, "{}", phases(failover));
    assert!(failover.fault_at_ms.is_some());
}

fn operation(outcome: Outcome, took_us: u64) -> Operation {
    Operation {
        client: 0,
        number: 0,
        issued_us: 1_000_000,
        write: None,
        key: took_us,
        slot: 1,
        node: None,
        requests: 1,
        outcome,
    }
}

#[test]
fn failed_operations_and_latencies_are_told_apart() {
    let mut tally = Tally::default();
    for took_us in [1000, 2000, 3000, 4000] {
        tally.add(&operation(Outcome::Ok, took_us), 1_000_000 + took_us);
    }
    tally.add(&operation(Outcome::Timeout, 0), 1_500_000);
    let operations = tally.sum();
    assert_eq!((operations.total, operations.ok), (5, 4));
    assert_eq!(operations.failed_share, Some(0.2));
    assert_eq!(operations.failed.get("timeout"), Some(&1));
    let latency = operations.latency.expect("some succeeded");
    assert_eq!((latency.p50_ms, latency.max_ms), (2.5, 4.0));
}

#[test]
fn nothing_measured_is_not_zero() {
    let operations = Tally::default().sum();
    assert_eq!((operations.failed_share, operations.latency), (None, None));
}

/// The sample, its kill replaced by a pause of the weather that lasts for so long.
fn paused_by_weather(lasts_us: u64) -> Trace {
    let mut trace = sample::kill_master();
    let mut places = trace
        .records
        .iter()
        .enumerate()
        .filter_map(|(place, record)| {
            let crashed = matches!(
                record.event,
                Event::Process {
                    change: ProcessChange::Crashed(_),
                    ..
                }
            );
            crashed.then_some(place)
        });
    let crashed = places.next().expect("the sample kills a master");
    let from_us = trace.records[crashed].at_us;
    let Event::Process { node, .. } = trace.records[crashed].event else {
        unreachable!()
    };
    trace.records.retain(|record| {
        let fault = matches!(
            record.event,
            Event::FaultBegan { .. } | Event::FaultEnded { .. }
        );
        let later = record.at_us >= from_us && matches!(record.event, Event::Process { .. });
        !fault && !later
    });
    let how = StallKind::Sigstop;
    let process = |change| Event::Process { node, change };
    let began = Event::WeatherBegan {
        weather: 0,
        kind: WeatherKind::VmSteal,
        fault: FaultKind::Stall(how),
        lasts_us,
        nodes: [node].into(),
        clients: [].into(),
        words: "m2 is stopped: VM steal".into(),
        cut: [].into(),
    };
    trace.records.extend([
        Record {
            at_us: from_us,
            event: began,
        },
        Record {
            at_us: from_us,
            event: process(ProcessChange::Stalled(how)),
        },
        Record {
            at_us: from_us + lasts_us,
            event: process(ProcessChange::Resumed),
        },
        Record {
            at_us: from_us + lasts_us,
            event: Event::WeatherEnded { weather: 0 },
        },
    ]);
    trace.records.sort_by_key(|record| record.at_us);
    trace
}

#[test]
fn weather_longer_than_the_node_timeout_deserves_its_failover() {
    let measures = measured(&paused_by_weather(8_000_000));
    let [failover] = &measures.failovers[..] else {
        panic!("{measures:#?}")
    };
    assert!(!failover.is_false, "{}", phases(failover));
    assert_eq!(
        (failover.step, failover.weather),
        (None, Some(WeatherKind::VmSteal))
    );
    assert_eq!(measures.false_failovers, 0);
    assert!(
        failover.first_pfail_ms.is_some_and(|ms| ms > 1900.0),
        "{}",
        phases(failover)
    );
}

#[test]
fn weather_shorter_than_the_node_timeout_deserves_none() {
    let measures = measured(&paused_by_weather(1_900_000));
    let [failover] = &measures.failovers[..] else {
        panic!("{measures:#?}")
    };
    assert!(failover.is_false, "{}", phases(failover));
    assert_eq!(failover.weather, Some(WeatherKind::VmSteal));
    assert_eq!(measures.false_failovers, 1);
}
