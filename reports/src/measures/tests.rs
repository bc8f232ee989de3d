//! Measures of runs written by hand and of logs that are changed on purpose.

use redrill_sim::checkers;
use redrill_sim::scenario::StallKind;
use redrill_sim::trace::{
    Event, FaultKind, Operation, Outcome, ProcessChange, Record, Touched, Trace,
};
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
        touched: Box::new(Touched {
            nodes: [node].into(),
            clients: [].into(),
            words: "m2 is stopped: VM steal".into(),
            cut: [].into(),
        }),
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
fn a_pause_that_the_master_lives_through_deserves_no_failover_however_long() {
    for lasts_us in [1_900_000, 8_000_000] {
        let measures = measured(&paused_by_weather(lasts_us));
        let [failover] = &measures.failovers[..] else {
            panic!("{measures:#?}")
        };
        assert!(failover.is_false, "{}", phases(failover));
        assert_eq!(
            (failover.step, failover.weather),
            (None, Some(WeatherKind::VmSteal))
        );
        assert_eq!(measures.false_failovers, 1);
        assert!(measures.mistakes.count() > 0, "{:?}", measures.mistakes);
        assert!(measures.unanswered.is_empty(), "{:?}", measures.unanswered);
    }
}

#[test]
fn suspicions_of_a_killed_node_are_no_mistakes() {
    for trace in [sample::kill_master(), sample::partition_and_stall()] {
        let mistakes = measured(&trace).mistakes;
        assert_eq!((mistakes.count(), mistakes.failed), (0, 0), "{mistakes:?}");
    }
}

#[test]
fn suspicions_of_a_node_that_was_not_out_are_mistakes_and_have_a_length() {
    let mut trace = sample::kill_master();
    let hit = |record: &Record| {
        matches!(
            record.event,
            Event::Process { .. } | Event::FaultBegan { .. }
        )
    };
    trace.records.retain(|record| !hit(record));
    let suspicions = |trace: &Trace| {
        let first = |record: &&Record| {
            let Event::Node { fact, .. } = &record.event else {
                return false;
            };
            matches!(fact, redrill_node::Fact::PossiblyFailing { .. })
        };
        trace.records.iter().filter(first).count()
    };
    let mistakes = measured(&trace).mistakes;
    assert!(suspicions(&trace) > 1);
    assert!(mistakes.count() >= suspicions(&trace), "{mistakes:?}");
    assert_eq!(mistakes.failed, 1, "the masters agreed once");
    assert!(
        mistakes.lengths_ms.iter().all(|ms| *ms > 0.0),
        "{mistakes:?}"
    );
    // Without an end, they last until the load ends.
    trace.records.retain(|record| {
        let Event::Node { fact, .. } = &record.event else {
            return true;
        };
        !matches!(
            fact,
            redrill_node::Fact::FailCleared { .. }
                | redrill_node::Fact::NoLongerPossiblyFailing { .. }
        )
    });
    let open = measured(&trace).mistakes;
    assert_eq!((open.lengths_ms.len(), open.count()), (0, mistakes.count()));
}

#[test]
fn suspicions_of_a_paused_node_are_mistakes() {
    for lasts_us in [1_900_000, 8_000_000] {
        let mistakes = measured(&paused_by_weather(lasts_us)).mistakes;
        assert!(mistakes.count() > 0 && mistakes.failed == 1, "{mistakes:?}");
    }
}

#[test]
fn an_outage_that_nobody_answers_is_kept_apart() {
    let mut trace = sample::kill_master();
    let answered = measured(&trace);
    assert_eq!(answered.unanswered, []);
    let won = |record: &Record| {
        let Event::Node { fact, .. } = &record.event else {
            return false;
        };
        matches!(fact, redrill_node::Fact::ElectionWon { .. })
    };
    trace.records.retain(|record| !won(record));
    let measures = measured(&trace);
    let [unanswered] = &measures.unanswered[..] else {
        panic!("{measures:#?}")
    };
    let failover = &answered.failovers[0];
    assert_eq!(unanswered.node, failover.node);
    assert_eq!(Some(unanswered.fault_at_ms), failover.fault_at_ms);
    assert_eq!(unanswered.out_ms, 8000.0, "it came back by itself");
    assert_eq!(unanswered.write_gap_ms, failover.write_gap_ms);
    assert!(measures.failovers.is_empty());
}

#[test]
fn the_phases_of_a_failover_add_up_to_it() {
    let measures = measured(&sample::kill_master());
    let failover = &measures.failovers[0];
    let phases = [
        failover.first_pfail_ms,
        failover.agreement_ms(),
        failover.election_delay_ms(),
        failover.vote_ms(),
    ];
    let sum: f64 = phases.into_iter().flatten().sum();
    assert!((sum - failover.won_ms).abs() < 1e-6, "{phases:?}");
    assert!(failover.catch_up_ms().is_some_and(|ms| ms >= 0.0));
}

#[test]
fn bus_traffic_is_taken_from_the_beginning_of_the_load_to_its_end() {
    let mut trace = sample::kill_master();
    let mut add = |at_us: u64, sent_bytes: u64| {
        let nodes = trace.header.nodes.len();
        let event = Event::BusTraffic {
            sent_bytes: vec![Some(sent_bytes); nodes].into(),
        };
        let place = trace
            .records
            .partition_point(|record| record.at_us <= at_us);
        trace.records.insert(place, Record { at_us, event });
    };
    add(5_000_000, 1000);
    add(9_000_000, 9000);
    assert_eq!(measured(&trace).bus_bytes_per_node_s, Some(2000.0));
    assert_eq!(measured(&sample::kill_master()).bus_bytes_per_node_s, None);
}
