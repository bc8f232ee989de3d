//! Drills of the library that teach something, run: it is what the nodes do. `conformance.rs` runs
//! them all.

#![allow(clippy::unwrap_used, clippy::panic)]

use std::path::Path;

use redrill::Drill;
use redrill_node::Engine;

#[test]
fn the_lower_of_two_timeouts_is_the_quicker_failover() {
    let kill = Path::new(env!("CARGO_MANIFEST_DIR")).join("drills/kill-master.toml");
    let median = |timeout: &str| {
        let drill = Drill::from_file(&kill).unwrap();
        let drill = drill
            .set(&format!("config.cluster-node-timeout={timeout}"))
            .unwrap();
        let outcome = drill.seeds(0..6).run().unwrap();
        outcome.assert_valid().summary.quantiles["write_gap_ms"].p50
    };
    let (low, high) = (median("2000"), median("5000"));
    assert!(low < 5000.0 && high > 6000.0, "{low} {high}");
}

#[test]
fn every_drill_of_the_library_passes_with_every_engine() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("drills");
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        let stem = path.file_stem().unwrap().to_str().unwrap();
        if path.extension().is_none_or(|ending| ending != "toml") {
            continue;
        }
        // The long ones are for `redrill sweep`, which varies the engine too.
        if std::fs::read_to_string(&path)
            .unwrap()
            .contains("\n[sweep]")
        {
            continue;
        }
        // A drill of another engine shows what older ones have not.
        let own = Drill::from_file(&path).unwrap().scenario().engine;
        let later = Engine::ALL.iter().filter(|engine| **engine >= own);
        for engine in later.filter(|engine| **engine != Engine::Redis70) {
            let engine = engine.name();
            let drill = Drill::from_file(&path).unwrap();
            let drill = drill.set(&format!("engine={engine}")).unwrap();
            let outcome = drill.seeds(0..5).run().unwrap();
            let failures = &outcome.summary.failures;
            assert!(outcome.passed(), "{engine}, {stem}: {failures:#?}");
        }
    }
}

#[test]
fn a_timeout_fit_for_the_network_replaces_no_healthy_master() {
    let low = Path::new(env!("CARGO_MANIFEST_DIR")).join("drills/timeout-too-low.toml");
    let drill = Drill::from_file(&low).unwrap();
    let drill = drill.set("config.cluster-node-timeout=5000").unwrap();
    let outcome = drill.seeds(0..4).run().unwrap();
    assert_eq!(outcome.summary.quantiles["false_failovers"].max, 0.0);
    assert!(!outcome.passed(), "the drill expects the opposite");
}

#[test]
fn the_replica_that_lags_is_not_promoted() {
    let lags = Path::new(env!("CARGO_MANIFEST_DIR")).join("drills/replica-lags.toml");
    let outcome = Drill::from_file(&lags).unwrap().seeds(0..4).run().unwrap();
    for run in &outcome.summary.runs {
        let failovers = &run.measures.as_ref().unwrap().failovers;
        let promoted: Vec<&str> = failovers.iter().map(|it| it.promoted.as_str()).collect();
        assert_eq!(promoted, ["r1b"], "seed {}", run.seed);
    }
}

/// Runs the drill of a reshard that loses a master at one end.
fn reshard(engine: &str, loses: &str, seeds: std::ops::Range<u64>) -> redrill::Outcome {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("drills/reshard-loses-a-master.toml");
    let drill = Drill::from_file(&path).unwrap();
    let drill = drill.set(&format!("engine={engine}")).unwrap();
    let drill = drill.set(&format!("step.2.crash={loses}")).unwrap();
    drill.seeds(seeds).run().unwrap()
}

#[test]
fn slots_on_their_way_outlive_a_master_from_valkey_8_on() {
    for loses in ["m1", "m2"] {
        // In run 23 the replica of the target hears of an older claim before its master's.
        for seeds in [0..3, 23..24] {
            let outcome = reshard("valkey-8.0", loses, seeds);
            let failures = &outcome.summary.failures;
            assert!(outcome.passed(), "{loses}: {failures:#?}");
        }
    }
}

#[test]
fn a_slot_whose_source_dies_has_no_owner_for_its_target_in_redis_7() {
    let outcome = reshard("redis-7.0", "m1", 0..3);
    let failures = format!("{:?}", outcome.summary.failures);
    assert!(!outcome.passed());
    assert!(
        failures.contains("in the view of m2 nobody owns slot 100"),
        "{failures}"
    );
}
