//! The simulation, held against failovers that were measured on real servers.

#![allow(clippy::unwrap_used, clippy::panic)]

use std::path::{Path, PathBuf};

use redrill::calibration::compare;
use redrill::reports::calibration::measured::{self, Cell};
use redrill::reports::calibration::table;

/// Simulated trials of each cell. `redrill calibrate` with more of them draws the same picture.
const SEEDS: u64 = 60;

/// What is known to lie outside, and why. A cell that comes inside must leave this list.
const KNOWN: &[(&str, &str, &str)] = &[
    ("redis_stop0.5x_nt2000", WRITE_GAP, COMPUTING_TAKES_NO_TIME),
    ("redis_stop0.9x_nt2000", WRITE_GAP, COMPUTING_TAKES_NO_TIME),
    ("redis_stop1.1x_nt2000", WRITE_GAP, COMPUTING_TAKES_NO_TIME),
    ("redis_stop1.25x_nt2000", WRITE_GAP, COMPUTING_TAKES_NO_TIME),
    ("redis_stop1.5x_nt2000", WRITE_GAP, COMPUTING_TAKES_NO_TIME),
];

const WRITE_GAP: &str = "write gap: distribution";

/// Where the stalled master itself ends the outage, the gap is the stall to within milliseconds.
/// A real server and a real client need 1 to 3 ms of them to be scheduled and to work off what
/// waited; in the simulation computing takes no time.
const COMPUTING_TAKES_NO_TIME: &str = "computing takes no time";

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
    let mut tables = String::new();
    let mut outside = Vec::new();
    for cell in &cells {
        let comparison = compare(cell, 0..SEEDS, jobs).unwrap_or_else(|error| panic!("{error}"));
        let of_cell = comparison.outside();
        if !of_cell.is_empty() {
            tables.push_str(&table::cell(&comparison));
        }
        outside.extend(of_cell.into_iter().map(|what| (cell.name.clone(), what)));
    }
    let known: Vec<(String, String)> = KNOWN
        .iter()
        .map(|(cell, what, _why)| ((*cell).to_owned(), (*what).to_owned()))
        .collect();
    let news: Vec<_> = outside.iter().filter(|it| !known.contains(it)).collect();
    let gone: Vec<_> = known.iter().filter(|it| !outside.contains(it)).collect();
    assert!(
        news.is_empty() && gone.is_empty(),
        "newly outside: {news:#?}\nno longer outside: {gone:#?}\n{tables}"
    );
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
