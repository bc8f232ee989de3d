//! The drill language, held against folders of good and bad drills.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use std::fs;
use std::path::{Path, PathBuf};

use redrill::Look;

const LOOK: Look = Look {
    color: false,
    width_columns: 100,
};

fn folder(name: &str) -> Vec<PathBuf> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join(name);
    let mut files: Vec<PathBuf> = fs::read_dir(root)
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .filter(|path| path.extension().is_some_and(|ending| ending == "toml"))
        .collect();
    files.sort();
    assert!(!files.is_empty(), "{name} is empty");
    files
}

fn stem(path: &Path) -> String {
    path.file_stem().unwrap().to_str().unwrap().to_owned()
}

fn load_text(path: &Path, overrides: &[&str]) -> Result<redrill::Loaded, redrill::BadDrill> {
    let text = fs::read_to_string(path).unwrap();
    let overrides: Vec<String> = overrides.iter().map(|&text| text.to_owned()).collect();
    redrill::parse(
        &format!("{}.toml", stem(path)),
        &stem(path),
        &text,
        &overrides,
    )
}

#[test]
fn every_bad_drill_is_told_all_its_mistakes() {
    for path in folder("tests/bad") {
        let bad = load_text(&path, &[]).expect_err(&stem(&path));
        let warnings = bad.warnings.iter().map(|warning| warning.render(LOOK));
        let warnings: String = warnings.collect();
        insta::assert_snapshot!(
            format!("bad__{}", stem(&path)),
            format!("{}\n{warnings}", bad.render(LOOK))
        );
    }
}

#[test]
fn good_drills_load_without_a_doubt() {
    for path in folder("tests/good") {
        match load_text(&path, &[]) {
            Ok(loaded) => assert_eq!(loaded.warnings.len(), 0, "{:?}", loaded.warnings),
            Err(bad) => panic!("{bad}"),
        }
    }
}

#[test]
fn the_drill_library_loads_without_a_doubt() {
    for path in folder("drills") {
        let name = stem(&path);
        let loaded = load_text(&path, &[]).unwrap_or_else(|bad| panic!("{bad}"));
        let warnings: Vec<&str> = loaded
            .warnings
            .iter()
            .map(redrill::Mistake::message)
            .collect();
        match name.as_str() {
            // The layout it warns of is the very question.
            "even-split" => assert_eq!(warnings.len(), 2),
            _ => assert_eq!(warnings, [""; 0], "{name}"),
        }
        assert_eq!(loaded.scenario.name, name);
    }
}

#[test]
fn every_drill_of_the_library_answers_one_question_told_in_its_first_line() {
    for path in folder("drills") {
        let text = fs::read_to_string(&path).unwrap();
        let loaded = load_text(&path, &[]).unwrap();
        let question = loaded.scenario.question.unwrap_or_default();
        assert!(question.ends_with('?'), "{}", path.display());
        let comment: Vec<&str> = (text.lines())
            .take_while(|line| line.starts_with("# "))
            .map(|line| &line[2..])
            .collect();
        let sentence = comment.join(" ");
        let asked = sentence.split_inclusive('?').next().unwrap_or_default();
        assert!(
            asked.starts_with(question.trim_end_matches('?')),
            "{asked} / {question}"
        );
        // What is tuned has objectives in its [sweep] instead.
        let tunes = stem(&path).starts_with("tune-");
        assert!(
            tunes || !loaded.scenario.expectations.is_empty(),
            "{}",
            path.display()
        );
    }
}

#[test]
fn an_expectation_below_the_physical_floor_is_doubted() {
    let warned = |line: &str| {
        let text = format!("[config]\ncluster-node-timeout = 5000\n[expect]\n{line}\n");
        let loaded = redrill::parse("drill.toml", "drill", &text, &[]).unwrap();
        let warnings = loaded.warnings.iter().map(|warning| warning.render(LOOK));
        warnings.collect::<String>()
    };
    insta::assert_snapshot!(warned("failover-time = [\"median < 4s\", \"p(99) < 7s\"]"));
    assert_eq!(warned("failover-time = \"p(99) < 10s\""), "");
    assert_eq!(warned("failover-time = \"median < 7s\""), "");
    assert_eq!(warned("failover-time = \"min > 1s\""), "");
    assert_ne!(warned("detection-time = \"max < 4s\""), "");
    assert_ne!(warned("write-gap = \"mean < 5s\""), "");
}

#[test]
fn the_design_of_a_drill_becomes_the_scenario_it_says() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/good/design.toml");
    let scenario = load_text(&path, &[]).unwrap().scenario;
    insta::assert_debug_snapshot!(scenario.steps);
    insta::assert_debug_snapshot!(scenario.expectations);
    insta::assert_debug_snapshot!(scenario.workload);
    assert_eq!(scenario.config.cluster_node_timeout_ms, 5000);
    assert!(!scenario.config.cluster_require_full_coverage);
    // The last timed step is at 240 s; 30 s more for what follows from it.
    assert_eq!(scenario.duration_us, 270_000_000);
}

#[test]
fn the_weather_of_a_drill_becomes_what_it_says() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/good/weather.toml");
    let loaded = load_text(&path, &[]).unwrap();
    insta::assert_debug_snapshot!(loaded.scenario.weather);
    let other = load_text(&path, &["weather.pause.1.rate=12/h"]).unwrap();
    let every_us = |loaded: &redrill::Loaded| loaded.scenario.weather.pauses[0].every.mean_us();
    assert_eq!(every_us(&loaded), 2.0 * every_us(&other));
}
