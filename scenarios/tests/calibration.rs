//! The simulation, held against failovers that were measured on real servers.

#![allow(clippy::unwrap_used, clippy::panic)]

use std::path::{Path, PathBuf};

use redrill::calibration::compare;
use redrill::reports::calibration::measured::{self, Cell};
use redrill::reports::calibration::table;

/// Simulated trials of each cell; `CALIBRATION_SEEDS=1000` takes more.
const SEEDS: u64 = 200;

/// What may lie outside: cells that begin so, what, and why. Nothing else may.
const KNOWN: &[(&str, &str, &str)] = &[("redis_stop", "write gap: grain", CLIENT)];

/// Where the stalled master itself ends the outage, the gap is the stall to within milliseconds, of
/// which the measuring client makes 1 to 5 itself.
const CLIENT: &str = "the client's own time";

fn measured_cells() -> Vec<Cell> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("calibration");
    let mut files: Vec<PathBuf> = std::fs::read_dir(root)
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .collect();
    files.sort();
    let files = files
        .iter()
        .filter(|path| path.extension().is_some_and(|it| it == "jsonl"));
    let read = |path: &PathBuf| measured::read(&std::fs::read_to_string(path).unwrap()).unwrap();
    files.flat_map(read).collect()
}

#[test]
fn the_simulation_fails_over_as_real_servers_do() {
    let cells = measured_cells();
    assert!(cells.len() >= 15, "{}", cells.len());
    let jobs = std::thread::available_parallelism().map_or(1, usize::from);
    let seeds = std::env::var("CALIBRATION_SEEDS").map_or(SEEDS, |seeds| seeds.parse().unwrap());
    let mut news = Vec::new();
    let mut tables = String::new();
    let mut met = vec![0; KNOWN.len()];
    for cell in &cells {
        let comparison = compare(cell, 0..seeds, jobs).unwrap_or_else(|error| panic!("{error}"));
        for what in comparison.outside() {
            let is_known =
                |known: &(&str, &str, &str)| cell.name.starts_with(known.0) && known.1 == what;
            match KNOWN.iter().position(is_known) {
                Some(known) => met[known] += 1,
                None => {
                    tables.push_str(&table::cell(&comparison));
                    news.push(format!("{}: {what}", cell.name));
                }
            }
        }
    }
    assert!(news.is_empty(), "outside: {news:#?}\n{tables}");
    // What is inside everywhere must leave the list.
    for (known, met) in KNOWN.iter().zip(met) {
        assert!(met > 0, "no longer outside: {known:?}");
    }
}

#[test]
fn a_cell_is_one_experiment_and_keeps_all_its_trials() {
    let cells = measured_cells();
    let trials = |name: &str| {
        let cell = cells.iter().find(|cell| cell.name == name);
        cell.map(|cell| cell.trials.len())
    };
    assert_eq!(trials("redis_kill_nt2000"), Some(40));
    assert_eq!(trials("redis_kill_nt5000"), Some(40));
    assert_eq!(trials("redis_partition3x_nt2000"), Some(15));
    assert_eq!(trials("redis_kill2_5masters_nt2000"), Some(10));
    assert_eq!(
        cells.iter().map(|cell| cell.trials.len()).sum::<usize>(),
        240
    );
}
