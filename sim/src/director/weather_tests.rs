//! The weather, in every world.
#![allow(clippy::wildcard_enum_match_arm)]

use redrill_node::{AppendFsync, Fact};

use crate::checkers::{Findings, check};
use crate::samples::{SECOND, at, cluster, named};
use crate::scenario::{CrashKind, Latency, Scenario, Selector, StallKind, StepAction};
use crate::trace::{Event, FaultKind, ProcessChange, Trace};
use crate::weather::{
    HostCrash, LinkEnd, Pause, PauseCause, RecordedLink, RecordedPause, Spell, SpellLinks, Weather,
    WeatherKind, ZoneOutage, ZoneOutageKind,
};
use crate::{WorldKind, run};

fn traces(scenario: &Scenario) -> impl Iterator<Item = (WorldKind, Trace)> {
    WorldKind::ALL
        .iter()
        .map(move |&world| match run(scenario, 1, world) {
            Ok(run) => (world, run.trace),
            Err(error) => panic!("{world}: {error}"),
        })
}

fn under(weather: Weather) -> Scenario {
    Scenario {
        weather,
        ..cluster(3, 1)
    }
}

fn recorded(at_us: u64, node: Option<u16>, lasts_us: u64, cause: PauseCause) -> RecordedPause {
    RecordedPause {
        at_us,
        node,
        lasts_us,
        cause,
    }
}

fn pauses(pauses: &[RecordedPause]) -> Scenario {
    under(Weather {
        recorded_pauses: pauses.into(),
        ..Weather::default()
    })
}

fn constant(value_us: f64) -> Latency {
    Latency::Constant { value_us }
}

/// What the weather did: kind, fault, nodes, and how long it took.
fn done(trace: &Trace) -> Vec<(WeatherKind, FaultKind, Vec<u16>, u64)> {
    let ended = |number: u32| {
        let end = trace.records.iter().find(
            |record| matches!(record.event, Event::WeatherEnded { weather } if weather == number),
        );
        end.map_or(u64::MAX, |record| record.at_us)
    };
    let began = trace
        .records
        .iter()
        .filter_map(|record| match &record.event {
            Event::WeatherBegan {
                weather,
                kind,
                fault,
                touched,
                ..
            } => Some((
                *kind,
                *fault,
                touched.nodes.to_vec(),
                ended(*weather) - record.at_us,
            )),
            _ => None,
        });
    began.collect()
}

fn changes(trace: &Trace, node: u16) -> Vec<ProcessChange> {
    let changes = trace
        .records
        .iter()
        .filter_map(|record| match record.event {
            Event::Process { node: at, change } if at == node => Some(change),
            _ => None,
        });
    changes.skip(1).collect()
}

fn wins(trace: &Trace) -> usize {
    let is_win = |event: &Event| {
        matches!(
            event,
            Event::Node {
                fact: Fact::ElectionWon { .. },
                ..
            }
        )
    };
    trace
        .records
        .iter()
        .filter(|record| is_win(&record.event))
        .count()
}

fn judged(trace: &Trace) -> Findings {
    let findings = check(trace);
    assert_eq!(findings.violations, [], "{}", trace.header.world);
    findings
}

fn is_about(length_us: u64, wanted_us: u64) -> bool {
    (wanted_us..wanted_us + 20_000).contains(&length_us)
}

#[test]
fn each_cause_makes_the_stall_that_fits_it() {
    let second = |place: u64, cause| recorded(place * SECOND, Some(0), 300_000, cause);
    let scenario = pauses(&[
        second(1, PauseCause::Fork),
        second(2, PauseCause::SlowCommand),
        second(3, PauseCause::VmSteal),
        second(4, PauseCause::Swap),
        second(5, PauseCause::AofFsync),
    ]);
    for (world, trace) in traces(&scenario) {
        let (sleep, stop) = (StallKind::DebugSleep, StallKind::Sigstop);
        let done = done(&trace);
        let kinds: Vec<FaultKind> = done.iter().map(|it| it.1).collect();
        let wanted = [
            FaultKind::Stall(sleep),
            FaultKind::Stall(sleep),
            FaultKind::Stall(stop),
            FaultKind::Stall(stop),
            FaultKind::SlowDisk,
        ];
        assert_eq!(kinds, wanted, "{world}");
        assert!(
            done.iter().all(|it| is_about(it.3, 300_000)),
            "{world}: {done:?}"
        );
        let stalls: Vec<ProcessChange> = [sleep, sleep, stop, stop]
            .into_iter()
            .flat_map(|how| [ProcessChange::Stalled(how), ProcessChange::Resumed])
            .collect();
        assert_eq!(changes(&trace, 0), stalls, "{world}");
        assert_eq!(wins(&trace), 0, "{world}");
        assert_eq!(judged(&trace).unknowns, [], "{world}");
    }
}

#[test]
fn a_pause_longer_than_the_node_timeout_costs_the_master_its_place() {
    for cause in [PauseCause::Fork, PauseCause::VmSteal] {
        let mut scenario = pauses(&[recorded(SECOND, Some(0), 7 * SECOND, cause)]);
        scenario.duration_us = 12 * SECOND;
        for (world, trace) in traces(&scenario) {
            assert_eq!(wins(&trace), 1, "{world}");
            assert_eq!(judged(&trace).unknowns, [], "{world}");
        }
    }
}

#[test]
fn pauses_that_overlap_end_when_both_are_over() {
    let scenario = pauses(&[
        recorded(SECOND, Some(0), 900_000, PauseCause::VmSteal),
        recorded(SECOND + 200_000, Some(0), 300_000, PauseCause::Swap),
        recorded(SECOND + 400_000, Some(0), 1_200_000, PauseCause::VmSteal),
        recorded(4 * SECOND, Some(1), 900_000, PauseCause::Fork),
        recorded(4 * SECOND + 300_000, Some(1), 300_000, PauseCause::VmSteal),
    ]);
    for (world, trace) in traces(&scenario) {
        let resumed = |node| {
            let times = trace.records.iter().filter(|record| {
                record.event
                    == Event::Process {
                        node,
                        change: ProcessChange::Resumed,
                    }
            });
            times.map(|record| record.at_us).collect::<Vec<u64>>()
        };
        let began_us = trace
            .records
            .iter()
            .find(|record| matches!(record.event, Event::WeatherBegan { .. }))
            .unwrap()
            .at_us;
        for (node, wanted_us) in [(0, 1_600_000), (1, 3_900_000)] {
            let times = resumed(node);
            assert_eq!(times.len(), 1, "{world}: {times:?}");
            assert!(
                is_about(times[0] - began_us, wanted_us),
                "{world}: {times:?} {began_us}"
            );
        }
        judged(&trace);
    }
}

#[test]
fn weather_that_strikes_nobody_is_passed_over() {
    let mut scenario = pauses(&[recorded(3 * SECOND, Some(0), SECOND, PauseCause::Fork)]);
    let crash = StepAction::Crash {
        target: named("m1"),
        how: CrashKind::Kill,
        restart_after_us: Some(4 * SECOND),
    };
    scenario.steps = vec![at(2 * SECOND, None, crash)];
    for (world, trace) in traces(&scenario) {
        assert_eq!(done(&trace), [], "{world}");
        assert_eq!(judged(&trace).unknowns, [], "{world}");
    }
}

#[test]
fn a_set_by_role_is_asked_when_the_time_has_come() {
    // r1 is a master once m1 is gone, and forks no more as a replica.
    let scenario = Scenario {
        duration_us: 30 * SECOND,
        ..under(Weather {
            pauses: vec![Pause {
                target: Selector::Replicas,
                cause: PauseCause::Fork,
                every: constant(2e6),
                lasts: constant(10e3),
            }],
            crashes: vec![HostCrash {
                target: named("m1"),
                how: CrashKind::Kill,
                every: constant(20e6),
                restart_after: constant(8e6),
            }],
            ..Weather::default()
        })
    };
    for (world, trace) in traces(&scenario) {
        let mut role_changed_us = u64::MAX;
        let mut paused = Vec::new();
        for record in &trace.records {
            match &record.event {
                Event::Node {
                    node: 3,
                    fact: Fact::ElectionWon { .. },
                } => role_changed_us = record.at_us,
                Event::WeatherBegan {
                    kind: WeatherKind::Fork,
                    touched,
                    ..
                } => paused.push((touched.nodes[0], record.at_us)),
                _ => (),
            }
        }
        assert_ne!(role_changed_us, u64::MAX, "{world}");
        let of_r1 = |after: bool| {
            let hit = |it: &&(u16, u64)| it.0 == 3 && (it.1 > role_changed_us) == after;
            paused.iter().filter(hit).count()
        };
        assert!(of_r1(false) > 0 && of_r1(true) == 0, "{world}: {paused:?}");
        assert!(
            paused.iter().any(|(node, _)| *node == 0),
            "{world}: m1 came back as a replica"
        );
        judged(&trace);
    }
}

#[test]
fn a_zone_is_cut_off_or_loses_power_and_comes_back() {
    for (how, fault) in [
        (ZoneOutageKind::Cut, FaultKind::Partition),
        (
            ZoneOutageKind::PowerOff,
            FaultKind::Crash(CrashKind::PowerOff),
        ),
    ] {
        let mut scenario = under(Weather {
            zone_outages: vec![ZoneOutage {
                zones: vec![1],
                how,
                every: constant(20e6),
                lasts: constant(6e6),
            }],
            ..Weather::default()
        });
        scenario.duration_us = 30 * SECOND;
        for (world, trace) in traces(&scenario) {
            let done = done(&trace);
            assert!(!done.is_empty() && done.len() <= 2, "{world}: {done:?}");
            for outage in &done {
                let (kind, nodes) = (WeatherKind::ZoneOutage, vec![1, 3]);
                assert_eq!(
                    (outage.0, outage.1, &outage.2),
                    (kind, fault, &nodes),
                    "{world}"
                );
            }
            assert!(wins(&trace) >= 1, "{world}");
            judged(&trace);
        }
    }
}

#[test]
fn a_host_that_crashes_in_a_dark_zone_stays_down_as_long_as_the_zone() {
    let outage = ZoneOutage {
        zones: vec![1],
        how: ZoneOutageKind::PowerOff,
        every: constant(30e6),
        lasts: constant(6e6),
    };
    let weather = Weather {
        zone_outages: vec![outage],
        crashes: vec![HostCrash {
            target: named("m2"),
            how: CrashKind::Kill,
            every: constant(3e6),
            restart_after: constant(100e3),
        }],
        ..Weather::default()
    };
    let scenario = Scenario {
        duration_us: 40 * SECOND,
        ..under(weather)
    };
    for (world, trace) in traces(&scenario) {
        let (mut dark_until_us, mut struck) = (0, 0);
        for record in &trace.records {
            match &record.event {
                Event::WeatherBegan {
                    kind: WeatherKind::ZoneOutage,
                    lasts_us,
                    ..
                } => dark_until_us = record.at_us + lasts_us,
                Event::WeatherBegan {
                    kind: WeatherKind::Crash,
                    ..
                } if record.at_us < dark_until_us => struck += 1,
                Event::Process {
                    node: 1,
                    change: ProcessChange::Started,
                } => assert!(record.at_us >= dark_until_us, "{world}: it has no power"),
                _ => (),
            }
        }
        assert!(struck > 0, "{world}: nothing was tried");
        judged(&trace);
    }
}

#[test]
fn a_spell_makes_links_bad_for_its_time() {
    let spell = |links| Spell {
        every: constant(5e6),
        lasts: constant(1e6),
        links,
        loss: 0.2,
        delay: Some(constant(30e3)),
    };
    let weather = Weather {
        spells: vec![
            spell(SpellLinks::OfEach(named("m1"))),
            spell(SpellLinks::Between(
                Selector::Zones(vec![0]),
                Selector::Zones(vec![1]),
            )),
            spell(SpellLinks::OneWay(named("m2"), named("r2"))),
        ],
        ..Weather::default()
    };
    for (world, trace) in traces(&under(weather.clone())) {
        let done = done(&trace);
        assert!(done.len() >= 3, "{world}: {done:?}");
        assert!(done.iter().all(|it| it.1 == FaultKind::Degrade), "{world}");
        let touched: Vec<&Vec<u16>> = done.iter().map(|it| &it.2).collect();
        for nodes in [vec![0], vec![0, 1, 3, 5], vec![1, 4]] {
            assert!(touched.contains(&&nodes), "{world}: {touched:?}");
        }
        judged(&trace);
    }
}

#[test]
fn links_are_as_slow_as_they_were_recorded() {
    let line = |at_us, round_trip_us| RecordedLink {
        at_us,
        ends: (LinkEnd::Zone(0), LinkEnd::Zone(1)),
        round_trip_us,
        loss: 0.0,
    };
    let scenario = under(Weather {
        recorded_links: [
            line(0, 4_000),
            line(4 * SECOND, 400_000),
            line(6 * SECOND, 200),
        ]
        .into(),
        ..Weather::default()
    });
    for (world, trace) in traces(&scenario) {
        let done = done(&trace);
        assert_eq!(
            done.len(),
            1,
            "{world}: only what is bad is told of, {done:?}"
        );
        assert!(is_about(done[0].3, 2 * SECOND), "{world}");
        assert_eq!(
            (done[0].0, done[0].1),
            (WeatherKind::Spell, FaultKind::Degrade)
        );
        judged(&trace);
    }
}

#[test]
fn an_fsync_pause_holds_up_writes_as_appendfsync_says() {
    for (fsync, stalled_us) in [
        (None, 0),
        (Some(AppendFsync::Everysec), 1_000_000),
        (Some(AppendFsync::Always), 3_000_000),
        (Some(AppendFsync::No), 0),
    ] {
        let mut scenario = pauses(&[recorded(SECOND, Some(0), 3 * SECOND, PauseCause::AofFsync)]);
        scenario.config.cluster_node_timeout_ms = 8_000;
        if let Some(fsync) = fsync {
            scenario.config.appendonly = true;
            scenario.config.appendfsync = fsync;
        }
        for (world, trace) in traces(&scenario) {
            let times: Vec<u64> = trace
                .records
                .iter()
                .filter(|record| {
                    matches!(
                        record.event,
                        Event::Process {
                            node: 0,
                            change: ProcessChange::Stalled(_) | ProcessChange::Resumed
                        }
                    )
                })
                .map(|record| record.at_us)
                .collect();
            let took_us = times.chunks(2).map(|pair| pair[1] - pair[0]).sum::<u64>();
            assert!(
                took_us.abs_diff(stalled_us) < 20_000,
                "{world}, {fsync:?}: {took_us}"
            );
            judged(&trace);
        }
    }
}
