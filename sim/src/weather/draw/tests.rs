#![allow(clippy::wildcard_enum_match_arm)]

use proptest::prelude::*;

use super::*;
use crate::samples::{SECOND, cluster, named};
use crate::scenario::{CrashKind, Scenario};
use crate::weather::{
    HostCrash, LinkEnd, Pause, RecordedLink, RecordedPause, ZoneOutage, ZoneOutageKind,
};

const HOUR_US: u64 = 3600 * SECOND;

fn lognormal(p50_us: f64, p99_us: f64) -> Latency {
    Latency::Lognormal { p50_us, p99_us }
}

fn every(mean_us: f64) -> Latency {
    Latency::Exponential { mean_us }
}

fn pause(cause: PauseCause, every: Latency) -> Pause {
    Pause {
        target: Selector::All,
        cause,
        every,
        lasts: lognormal(80e3, 900e3),
    }
}

fn forks(every: Latency) -> Weather {
    Weather {
        pauses: vec![pause(PauseCause::Fork, every)],
        ..Weather::default()
    }
}

fn drawn(weather: &Weather, scenario: &Scenario, duration_us: u64, seed: u64) -> Vec<Gust> {
    draw(weather, &scenario.cluster, duration_us, &Streams::new(seed)).unwrap()
}

/// Times, lengths and hosts of pauses, by the name of the host.
fn pauses(gusts: &[Gust], scenario: &Scenario, wanted: PauseCause) -> Vec<(u64, u64, String)> {
    let nodes = &scenario.cluster.nodes;
    let found = gusts.iter().filter_map(|gust| match gust.strike {
        Strike::Pause { cause, node, .. } if cause == wanted => {
            let name = nodes[usize::from(node)].name.clone();
            Some((gust.at_us, gust.lasts_us, name))
        }
        _ => None,
    });
    found.collect()
}

/// Everything at once.
fn storm() -> Weather {
    Weather {
        spells: vec![Spell {
            every: every(60e6),
            lasts: lognormal(2e6, 20e6),
            links: SpellLinks::OfEach(Selector::Masters),
            loss: 0.1,
            delay: Some(lognormal(1e3, 9e3)),
        }],
        pauses: vec![
            pause(PauseCause::Fork, every(100e6)),
            pause(PauseCause::VmSteal, every(50e6)),
            pause(PauseCause::Fork, every(1000e6)),
        ],
        zone_outages: vec![ZoneOutage {
            zones: vec![0, 1, 2],
            how: ZoneOutageKind::Cut,
            every: every(1000e6),
            lasts: lognormal(5e6, 60e6),
        }],
        crashes: vec![HostCrash {
            target: named("m1"),
            how: CrashKind::Kill,
            every: every(900e6),
            restart_after: lognormal(5e6, 60e6),
        }],
        ..Weather::default()
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(24))]

    #[test]
    fn things_happen_as_often_as_their_rate_says(
        seed: u64,
        mean_s in 5.0_f64..60.0,
        shape in 0_u8..4,
    ) {
        let scenario = cluster(3, 1);
        let mean_us = mean_s * 1e6;
        let rhythm = match shape {
            0 => every(mean_us),
            1 => Latency::Constant { value_us: mean_us },
            2 => Latency::Uniform { low_us: 0.5 * mean_us, high_us: 1.5 * mean_us },
            _ => Latency::Normal { mean_us, deviation_us: mean_us / 10.0 },
        };
        let gusts = drawn(&forks(rhythm), &scenario, 20 * HOUR_US, seed);
        for node in 0..6 {
            let count = gusts
                .iter()
                .filter(|gust| matches!(gust.strike, Strike::Pause { node: at, .. } if at == node))
                .count() as f64;
            let expected = 20.0 * 3600.0 / mean_s;
            // Five deviations of a Poisson count.
            prop_assert!((count - expected).abs() < 5.0 * expected.sqrt(), "{count} {expected}");
        }
        prop_assert!(gusts.is_sorted_by_key(|gust| gust.at_us));
        prop_assert!(gusts.iter().all(|gust| gust.at_us + gust.lasts_us <= 20 * HOUR_US));
    }

    #[test]
    fn nothing_of_the_weather_depends_on_the_configuration(seed: u64, timeout_ms in 100_i64..60_000) {
        let scenario = Scenario { weather: storm(), duration_us: HOUR_US, ..cluster(3, 1) };
        let mut other = scenario.clone();
        other.config.cluster_node_timeout_ms = timeout_ms;
        other.steps = crate::samples::kill_master().steps;
        other.workload.clients.clear();
        let gusts = |scenario| crate::plan::Plan::new(scenario, seed).unwrap().gusts;
        prop_assert_eq!(gusts(&scenario), gusts(&other));
    }

    #[test]
    fn one_kind_of_weather_does_not_move_another(seed: u64) {
        let scenario = cluster(3, 1);
        let all = drawn(&storm(), &scenario, HOUR_US, seed);
        let alone = drawn(&Weather { pauses: vec![storm().pauses.remove(1)], ..Weather::default() },
            &scenario, HOUR_US, seed);
        prop_assert_eq!(
            pauses(&all, &scenario, PauseCause::VmSteal),
            pauses(&alone, &scenario, PauseCause::VmSteal)
        );
        let alone = drawn(&Weather { zone_outages: storm().zone_outages, ..Weather::default() },
            &scenario, HOUR_US, seed);
        let outages = |gusts: &[Gust]| -> Vec<Gust> {
            let of_zones = |gust: &&Gust| matches!(gust.strike, Strike::ZoneOutage { .. });
            gusts.iter().filter(of_zones).copied().collect()
        };
        prop_assert_eq!(outages(&all), outages(&alone));
    }

    #[test]
    fn other_lengths_move_nothing_and_a_longer_drill_only_adds(seed: u64) {
        let scenario = cluster(3, 1);
        let usual = drawn(&storm(), &scenario, HOUR_US, seed);
        let mut longer = storm();
        for pause in &mut longer.pauses {
            pause.lasts = lognormal(160e3, 1800e3);
        }
        let stretched = drawn(&longer, &scenario, HOUR_US, seed);
        let times = |gusts: &[Gust]| -> Vec<(u64, Strike)> {
            gusts.iter().map(|gust| (gust.at_us, gust.strike)).collect()
        };
        prop_assert_eq!(times(&usual), times(&stretched));
        let shorter = drawn(&storm(), &scenario, HOUR_US / 2, seed);
        let first: Vec<Gust> = usual.iter().filter(|gust| gust.at_us < HOUR_US / 2).copied().collect();
        prop_assert_eq!(times(&shorter), times(&first));
    }

    #[test]
    fn a_host_keeps_its_weather_in_a_larger_cluster(seed: u64) {
        let (small, large) = (cluster(3, 1), cluster(5, 1));
        let of = |scenario: &Scenario, host: &str| -> Vec<(u64, u64, String)> {
            let gusts = drawn(&storm(), scenario, HOUR_US, seed);
            let mut all = pauses(&gusts, scenario, PauseCause::Fork);
            all.retain(|(_, _, name)| name == host);
            all
        };
        for host in ["m1", "r2"] {
            prop_assert_eq!(of(&small, host), of(&large, host));
        }
    }
}

#[test]
fn hosts_do_not_pause_together_even_on_a_fixed_rhythm() {
    let scenario = cluster(3, 1);
    let ten_minutes = Latency::Constant { value_us: 600e6 };
    let gusts = drawn(&forks(ten_minutes), &scenario, HOUR_US, 7);
    let mut first: Vec<u64> = gusts.iter().take(6).map(|gust| gust.at_us).collect();
    assert!(first.iter().all(|at_us| *at_us < 600 * SECOND), "{first:?}");
    first.dedup_by(|one, other| one.abs_diff(*other) < SECOND);
    assert_eq!(first.len(), 6);
    assert_eq!(gusts.len(), 36);
}

#[test]
fn heavy_tails_are_not_cut_off() {
    let scenario = cluster(3, 1);
    let mut weather = forks(every(1e6));
    weather.pauses[0].lasts = Latency::Pareto {
        p50_us: 10e3,
        p99_us: 200e3,
    };
    let gusts = drawn(&weather, &scenario, 8 * HOUR_US, 3);
    let longest_us = gusts.iter().map(|gust| gust.lasts_us).max().unwrap();
    // One in 170000: about 10 s; a table that ends at one in 4096 would say 0.6 s.
    assert!(longest_us > 2 * SECOND, "{longest_us}");
}

#[test]
fn what_was_recorded_happens_when_it_was_recorded() {
    let scenario = cluster(3, 1);
    let recorded = |at_us, node| RecordedPause {
        at_us,
        node,
        lasts_us: SECOND,
        cause: PauseCause::VmSteal,
    };
    let link = |at_us, zone| RecordedLink {
        at_us,
        ends: (LinkEnd::Zone(0), LinkEnd::Zone(zone)),
        round_trip_us: 700,
        loss: 0.0,
    };
    let weather = Weather {
        recorded_pauses: [
            recorded(5, None),
            recorded(9, Some(2)),
            recorded(HOUR_US, None),
        ]
        .into(),
        recorded_links: [link(1, 1), link(1, 2), link(7, 1)].into(),
        ..Weather::default()
    };
    let gusts = drawn(&weather, &scenario, HOUR_US, 1);
    let times: Vec<u64> = gusts.iter().map(|gust| gust.at_us).collect();
    assert_eq!(
        times,
        [1, 5, 5, 5, 5, 5, 5, 7, 9],
        "what comes after the drill is left out"
    );
    assert_eq!(gusts[0].strike, Strike::Links { first: 0, count: 2 });
    assert_eq!(gusts[7].strike, Strike::Links { first: 2, count: 1 });
}

#[test]
fn more_than_a_run_can_keep_is_refused() {
    let scenario = cluster(3, 1);
    let weather = forks(every(1e3));
    let found = draw(&weather, &scenario.cluster, HOUR_US, &Streams::new(1));
    assert_eq!(found, Err(TooMuchWeather));
    assert!(
        TooMuchWeather
            .to_string()
            .contains("more than 200000 things")
    );
}
