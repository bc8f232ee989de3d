//! Sweeps and comparisons, as a user runs them.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod support;

use std::collections::BTreeMap;
use std::path::Path;

use redrill::Drill;
use redrill::reports::sweep::Sweep as Swept;
use redrill::sim::trace::{Event, FaultEvent, FaultKind, Operation, Phase, Trace};
use redrill::sim::{Run, WorldKind, run};
use redrill::sweep::{Finished, Journal, JournalError, Options, Sweep, SweepError};
use support::redrill;

/// A kill and a stall at times that are drawn, on a lossy network, while hosts stop for a moment now
/// and then.
const DRILL: &str = r#"
name = "two-faults"
question = "What do two faults cost?"
duration = "20s"
[cluster]
zones = ["a", "b", "c"]
[config]
cluster-node-timeout = 2000
[workload]
clients = { per-zone = 1, rate = "40/s" }
keys = "uniform(500)"
[[step]]
at = "2s"
jitter = "2s"
crash = "one:master"
restart-after = "8s"
[[step]]
at = "4s"
jitter = "8s"
stall = "r1"
for = "900ms"
[[step]]
at = "0s"
degrade = { between = ["zone:a", "zone:b"], loss = 0.02, delay = "+1ms" }
for = "15s"
[[weather.pause]]
on = "all"
cause = "vm-steal"
rate = "4/min"
length = "uniform(20ms, 1200ms)"
"#;

fn options(set: &[&str], seeds: u64) -> Options {
    Options {
        set: set.iter().map(|set| (*set).to_owned()).collect(),
        seeds: Some(0..seeds),
        ..Options::default()
    }
}

fn timeouts(values: &str, seeds: u64) -> Sweep {
    let set = format!("config.cluster-node-timeout={values}");
    Sweep::parse(DRILL, &options(&[&set], seeds)).unwrap_or_else(|bad| panic!("{bad}"))
}

fn json(swept: &Swept) -> String {
    serde_json::to_string_pretty(swept).unwrap()
}

fn run_with(timeout: &str, seed: u64) -> Run {
    let drill = Drill::parse(DRILL).unwrap();
    let drill = drill
        .set(&format!("config.cluster-node-timeout={timeout}"))
        .unwrap();
    run(drill.scenario(), seed, WorldKind::Event).unwrap()
}

/// When the cluster had formed, and when each fault began, whom it hit.
fn faults(trace: &Trace) -> (u64, Vec<(u64, FaultKind, Vec<u16>)>) {
    let mut formed_us = 0;
    let mut faults = Vec::new();
    for record in &trace.records {
        if record.event.begins(Phase::Disturb) {
            formed_us = record.at_us;
        }
        if let Some(FaultEvent::Began { fault, touched, .. }) = record.event.fault() {
            faults.push((record.at_us, fault, touched.nodes.to_vec()));
        }
    }
    (formed_us, faults)
}

/// The operations of all clients, each with its end.
fn operations(trace: &Trace) -> impl Iterator<Item = (u64, &Operation)> {
    trace.records.iter().filter_map(|record| {
        let Event::Operation(operation) = &record.event else {
            return None;
        };
        Some((record.at_us, operation))
    })
}

/// What each client did, by its number: when it was due, on which key, whether it wrote.
fn load(trace: &Trace) -> BTreeMap<(u16, u32), (u64, u64, Option<u64>)> {
    operations(trace)
        .map(|(_, it)| ((it.client, it.number), (it.issued_us, it.key, it.write)))
        .collect()
}

/// When operations ended before the first node was hit: that is what latencies decide.
fn answered_before_the_fault(trace: &Trace) -> Vec<(u64, u16, u32)> {
    let (_, faults) = faults(trace);
    let hit = faults.iter().find(|it| it.1 != FaultKind::Degrade).unwrap();
    operations(trace)
        .filter(|(at_us, _)| *at_us < hit.0)
        .map(|(at_us, it)| (at_us, it.client, it.number))
        .collect()
}

#[test]
fn a_seed_brings_the_same_weather_whatever_the_node_timeout() {
    let mut compared = 0;
    for seed in 0..4 {
        let short = run_with("1000", seed).trace;
        for timeout in ["2000", "5000", "15000"] {
            let long = run_with(timeout, seed).trace;
            assert_eq!(short.header.epoch_ms, long.header.epoch_ms);
            let ids = |trace: &Trace| -> Vec<_> {
                trace
                    .header
                    .nodes
                    .iter()
                    .map(|node| (node.id, node.address.clone()))
                    .collect()
            };
            assert_eq!(ids(&short), ids(&long));
            assert_eq!(faults(&short), faults(&long), "seed {seed}, {timeout}");
            let (one, other) = (load(&short), load(&long));
            let both = one
                .iter()
                .filter_map(|(number, it)| Some((it, other.get(number)?)));
            let both: Vec<_> = both.collect();
            assert!(both.len() > 1000, "{}", both.len());
            assert!(
                both.iter().all(|(one, other)| one == other),
                "seed {seed}, {timeout}"
            );
            let answered = answered_before_the_fault(&short);
            compared += answered.len();
            assert_eq!(
                answered,
                answered_before_the_fault(&long),
                "seed {seed}, {timeout}"
            );
        }
    }
    assert!(compared > 500, "{compared}");
}

#[test]
fn threads_change_nothing() {
    let with_jobs = |jobs| {
        let mut options = options(&["config.cluster-node-timeout=1000,4000"], 3);
        options.jobs = jobs;
        let sweep = Sweep::parse(DRILL, &options).unwrap();
        json(&sweep.run(&Finished::default(), |_, _| Ok(())).unwrap())
    };
    assert_eq!(with_jobs(1), with_jobs(2));
}

#[test]
fn an_interrupted_sweep_goes_on_to_the_same_result() {
    let sweep = timeouts("1000,4000", 3);
    let whole = json(&sweep.run(&Finished::default(), |_, _| Ok(())).unwrap());
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("runs.ndjson");
    // All runs are kept, in the order in which they ended.
    let (journal, _) = Journal::open(folder.path(), &sweep).unwrap();
    sweep
        .run(&Finished::default(), |place, run| journal.keep(place, run))
        .unwrap();
    drop(journal);
    let kept = std::fs::read(&path).unwrap();
    let ends: Vec<usize> = (0..kept.len()).filter(|at| kept[*at] == b'\n').collect();
    assert_eq!(ends.len(), 7, "a header and six runs");
    // Whether the interrupt came between two lines, within one, or within the header.
    for (length, runs) in [
        (0, 0),
        (ends[0] / 2, 0),
        (ends[0] + 1, 0),
        (ends[2] + 1, 2),
        (ends[4] - 10, 3),
        (kept.len() - 1, 5),
        (kept.len(), 6),
    ] {
        std::fs::write(&path, &kept[..length]).unwrap();
        let (journal, finished) = Journal::open(folder.path(), &sweep).unwrap();
        assert_eq!(finished.len(), runs, "{length}");
        let made = std::sync::atomic::AtomicUsize::new(0);
        let swept = sweep
            .run(&finished, |place, run| {
                made.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
                journal.keep(place, run)
            })
            .unwrap();
        assert_eq!(made.into_inner(), 6 - runs, "{length}");
        assert_eq!(json(&swept), whole, "{length}");
        let (_, finished) = Journal::open(folder.path(), &sweep).unwrap();
        assert_eq!(finished.len(), 6, "{length}");
    }
}

#[test]
fn a_sweep_stops_when_its_runs_cannot_be_kept() {
    let sweep = timeouts("1000,4000", 50);
    let failed = sweep.run(&Finished::default(), |_, _| {
        Err(JournalError::File {
            path: "runs.ndjson".into(),
            error: std::io::Error::other("the disk is full"),
        })
    });
    assert!(matches!(failed, Err(SweepError::Journal(_))));
}

#[test]
fn runs_of_another_sweep_are_not_mixed_in() {
    let folder = tempfile::tempdir().unwrap();
    drop(Journal::open(folder.path(), &timeouts("1000,4000", 3)).unwrap());
    let open = |sweep: &Sweep| Journal::open(folder.path(), sweep).map(|_| ());
    open(&timeouts("1000,4000", 100)).expect("more seeds of the same sweep");
    let other = open(&timeouts("1000,5000", 3)).unwrap_err().to_string();
    assert!(
        other.contains("what is varied differs. Give another --out"),
        "{other}"
    );
    let drill = DRILL.replace("40/s", "50/s");
    let set = ["config.cluster-node-timeout=1000,4000"];
    let other = Sweep::parse(&drill, &options(&set, 3)).unwrap();
    assert!(
        open(&other)
            .unwrap_err()
            .to_string()
            .contains("the drill differs")
    );
    std::fs::write(folder.path().join("runs.ndjson"), "{}\n").unwrap();
    let damaged = open(&timeouts("1000,4000", 3)).unwrap_err().to_string();
    assert!(damaged.contains("damaged in line 1"), "{damaged}");
}

#[test]
fn a_recorded_trace_is_a_part_of_the_drill() {
    let folder = tempfile::tempdir().unwrap();
    let drill = folder.path().join("recorded.toml");
    std::fs::write(
        &drill,
        format!("{DRILL}\n[weather]\ntrace = \"pauses.csv\"\n"),
    )
    .unwrap();
    let set = ["config.cluster-node-timeout=1000,4000"];
    let digest = |pauses: &str| {
        std::fs::write(folder.path().join("pauses.csv"), pauses).unwrap();
        Sweep::from_file(&drill, &options(&set, 3))
            .unwrap()
            .digest()
    };
    let one = digest("100,m1,80\n");
    assert_eq!(
        one,
        digest("at_ms,node,pause_ms\n100,m1,80\n"),
        "said in other words"
    );
    assert_ne!(one, digest("100,m1,81\n"));
}

#[test]
fn the_drill_says_what_to_sweep_and_the_command_line_wins() {
    let table = r#"
        [sweep]
        set = { "config.cluster-node-timeout" = "1000..4000:log3" }
        seeds = 7
        slo = "write-gap p95 < 5s"
    "#;
    let drill = format!("{DRILL}{table}");
    let read = |options: &Options| Sweep::parse(&drill, options).unwrap();
    let by_itself = read(&Options::default());
    assert_eq!(
        (by_itself.configuration_count(), by_itself.run_count()),
        (3, 21)
    );
    let other = read(&options(&["config.cluster-node-timeout=1000,2000"], 5));
    assert_eq!((other.configuration_count(), other.run_count()), (2, 10));
    let one_more = read(&options(&["workload.writes=0.2,0.8"], 5));
    assert_eq!(one_more.configuration_count(), 6);
    let fixed = Options {
        set: vec!["config.cluster-node-timeout=1000".into()],
        ..Options::default()
    };
    let nothing_left = Sweep::parse(&drill, &fixed).unwrap_err().to_string();
    assert!(
        nothing_left.contains("there is nothing to sweep"),
        "{nothing_left}"
    );
}

#[test]
fn everything_wrong_with_a_sweep_is_told_with_its_place() {
    let mistakes = |options: &Options, table: &str| {
        let bad = Sweep::parse(&format!("{DRILL}{table}"), options).unwrap_err();
        bad.to_string()
    };
    let line = Options {
        set: vec![
            "config.cluster-node-timeout=1000..15000:log".into(),
            "step[0].restart-after=1s,2s".into(),
        ],
        slo: vec!["write-gap p99 < 10sec, false-failover < 1/day".into()],
        ..Options::default()
    };
    let table = "[sweep]\nset = { \"config.x\" = \"1..\", config.y = 3 }\nseeds = \"many\"\nslo = \"p99 < 3s\"\nshow = 1\n";
    let values = options(
        &[
            "config.cluster-node-timeout=1000,soon",
            "step[0].restart-after=1s,2s",
        ],
        1,
    );
    insta::assert_snapshot!(format!(
        "{}\n\n{}\n\n{}",
        mistakes(&line, ""),
        mistakes(&options(&["workload.writes=0.1,0.2"], 1), table),
        mistakes(&values, "")
    ));
}

fn write_drill(folder: &Path) {
    std::fs::write(folder.join("two-faults.toml"), DRILL).unwrap();
}

const SET: &str = "config.cluster-node-timeout=1000..4000:log3";

#[test]
fn a_sweep_is_told_and_goes_on_where_it_ended() {
    let folder = tempfile::tempdir().unwrap();
    write_drill(folder.path());
    let arguments = [
        "sweep",
        "two-faults.toml",
        "--set",
        SET,
        "--seeds",
        "12",
        "--out",
        "out",
        "--slo",
        "write-gap p50 < 5s, false-failovers < 2000/day",
    ];
    let done = redrill(folder.path(), &arguments);
    assert_eq!(done.code, 0, "{}", done.err);
    let begins =
        "two-faults\nWhat do two faults cost?\nredis-7.0, event world, 3 configurations x 12";
    assert!(done.out.starts_with(begins), "{}", done.out);
    for title in [
        "Write gap",
        "Read gap",
        "Where a failover's time goes",
        "Failovers and false alarms",
        "What it costs",
        "Against cluster-node-timeout 2000  as it is now",
        "Objectives",
        "Advice\n  Take cluster-node-timeout",
    ] {
        assert!(
            done.out.contains(&format!("\n{title}")),
            "{title}: {}",
            done.out
        );
    }
    let ends = "results  out/sweep.json\nreport   out/report.html\n";
    assert!(done.out.ends_with(ends), "{}", done.out);
    let page = std::fs::read_to_string(folder.path().join("out/report.html")).unwrap();
    for words in [
        "redrill sweep two-faults.toml --set",
        "now: 2000",
        "<h2 id=\"advice\">",
    ] {
        assert!(page.contains(words), "{words}");
    }
    for name in ["trade-off", "pareto", "phases", "differences"] {
        for ending in ["svg", "png"] {
            let path = folder.path().join(format!("out/charts/{name}.{ending}"));
            assert!(path.exists(), "{}", path.display());
        }
    }
    let first = std::fs::read(folder.path().join("out/sweep.json")).unwrap();
    // Again: nothing is left to run, and nothing changes.
    let again = redrill(folder.path(), &arguments);
    assert!(
        again.err.contains("36 of 36 runs are in out already"),
        "{}",
        again.err
    );
    assert_eq!(again.out, done.out);
    assert_eq!(
        std::fs::read(folder.path().join("out/sweep.json")).unwrap(),
        first
    );
    let rows = std::fs::read_to_string(folder.path().join("out/runs.csv")).unwrap();
    assert_eq!(rows.lines().count(), 37);
    let columns: Vec<usize> = rows.lines().map(|row| row.split(',').count()).collect();
    assert!(columns.iter().all(|count| *count == columns[0]));
}

#[test]
fn a_sweep_ends_as_its_objectives_do() {
    let folder = tempfile::tempdir().unwrap();
    write_drill(folder.path());
    let with_slo = |slo: &str| {
        let arguments = [
            "sweep",
            "two-faults.toml",
            "--set",
            SET,
            "--seeds",
            "6",
            "--out",
            "out",
            "--slo",
            slo,
            "--format",
            "ndjson",
        ];
        let done = redrill(folder.path(), &arguments);
        assert_eq!(
            done.out.lines().count(),
            if done.code == 3 { 0 } else { 19 },
            "{}",
            done.err
        );
        done.code
    };
    assert_eq!(with_slo("write-gap p50 < 20s"), 0);
    assert_eq!(with_slo("write-gap p50 < 1s"), 100);
    assert_eq!(with_slo("write-gap p99 < 20s"), 103);
    assert_eq!(with_slo("write-gap p99 < 20"), 3);
    let one = [
        "sweep",
        "two-faults.toml",
        "--set",
        "config.cluster-node-timeout=1000",
    ];
    let done = redrill(folder.path(), &one);
    assert_eq!(done.code, 3);
    assert!(
        done.err.contains("there is nothing to sweep"),
        "{}",
        done.err
    );
}

/// A sweep of six seeds, whose result is called so.
fn swept(folder: &Path, name: &str, further: &[&str]) {
    let mut arguments = vec!["sweep", "two-faults.toml", "--set", SET, "--out", name];
    arguments.extend(further);
    let done = redrill(folder, &arguments);
    assert_eq!(done.code, 0, "{}", done.err);
}

#[test]
fn two_sweeps_are_compared_by_configuration_and_seed() {
    let folder = tempfile::tempdir().unwrap();
    write_drill(folder.path());
    swept(folder.path(), "a", &["--seeds", "6"]);
    swept(
        folder.path(),
        "b",
        &["--seeds", "6", "--set", "disk.fsync=60ms"],
    );
    swept(folder.path(), "c", &["--seeds", "6..12"]);
    let compare = |one: &str, other: &str| redrill(folder.path(), &["compare", one, other]);
    let done = compare("a/sweep.json", "b/sweep.json");
    assert_eq!((done.code, done.err.as_str()), (0, ""));
    let sections: Vec<&str> = done.out.split("\n\n").collect();
    for (section, timeout) in sections.iter().zip(["1000", "2000", "4000"]) {
        let begins = format!("{timeout}: paired by 6 seeds that both have, on the same weather\n");
        assert!(section.starts_with(&begins), "{section}");
        let votes = section
            .lines()
            .find(|line| line.contains("vote-time"))
            .unwrap();
        assert!(
            votes.contains("worse"),
            "each vote waits for the disk: {section}"
        );
        assert!(
            section.contains("the same:") && section.contains("lost-acked-writes"),
            "{section}"
        );
    }
    let done = compare("a/sweep.json", "c/sweep.json");
    assert_eq!(done.code, 0, "{}", done.err);
    assert!(
        done.out
            .contains("they have no seed in common: 6 runs against 6"),
        "{}",
        done.out
    );
    let same = compare("a/sweep.json", "a/sweep.json");
    assert!(
        same.out.contains("the same") && !same.out.contains("worse"),
        "{}",
        same.out
    );
}

#[test]
fn two_runs_of_a_drill_are_compared_and_nothing_else_is() {
    let folder = tempfile::tempdir().unwrap();
    write_drill(folder.path());
    for (name, timeout) in [("a.json", "1000"), ("b.json", "3000")] {
        let set = format!("config.cluster-node-timeout={timeout}");
        let arguments = [
            "run",
            "two-faults.toml",
            "--seeds",
            "0..8",
            "--format",
            "json",
            "--set",
            &set,
        ];
        let done = redrill(folder.path(), &arguments);
        std::fs::write(folder.path().join(name), done.out).unwrap();
    }
    let compare = |one: &str, other: &str| redrill(folder.path(), &["compare", one, other]);
    let done = compare("a.json", "b.json");
    assert_eq!((done.code, done.err.as_str()), (0, ""));
    assert!(
        done.out.starts_with("paired by 8 seeds that both have"),
        "{}",
        done.out
    );
    assert!(
        done.out
            .lines()
            .any(|line| line.contains("write-gap") && line.contains("worse"))
    );
    std::fs::write(folder.path().join("other.json"), "{\"schema_version\": 1}").unwrap();
    std::fs::write(folder.path().join("torn.json"), "{\"schema_version\": 1, ").unwrap();
    for (file, said) in [
        ("none.json", "cannot read none.json: No such file"),
        (
            "other.json",
            "neither a sweep.json nor what `run --format json` prints",
        ),
        ("torn.json", "cannot read torn.json: it is not JSON"),
    ] {
        let done = compare("a.json", file);
        assert_eq!((done.code, done.out.as_str()), (3, ""), "{file}");
        assert!(done.err.contains(said), "{}", done.err);
    }
    swept(folder.path(), "sweep", &["--seeds", "2"]);
    let done = compare("a.json", "sweep/sweep.json");
    assert_eq!(done.code, 2);
    assert!(
        done.err.contains("no configuration in common"),
        "{}",
        done.err
    );
}

#[test]
fn measured_points_stand_on_the_curve_and_a_bad_file_is_told_before_anything_runs() {
    let folder = tempfile::tempdir().unwrap();
    write_drill(folder.path());
    let measured = concat!(
        env!("CARGO_MANIFEST_DIR"),
        "/calibration/redis_kill_nt2000.jsonl"
    );
    let sweep = |path: &str| {
        let arguments = [
            "sweep",
            "two-faults.toml",
            "--set",
            "config.cluster-node-timeout=1000,3000",
            "--seeds",
            "2",
            "--out",
            "out",
            "--measured",
            path,
        ];
        redrill(folder.path(), &arguments)
    };
    let bad = sweep("two-faults.toml");
    assert_eq!(bad.code, 3, "{}", bad.err);
    assert!(
        bad.err.contains("this is not a measured trial"),
        "{}",
        bad.err
    );
    assert!(!folder.path().join("out").exists());
    let good = sweep(measured);
    assert_eq!(good.code, 0, "{}", good.err);
    let chart = std::fs::read_to_string(folder.path().join("out/charts/trade-off.svg")).unwrap();
    assert!(chart.contains("redis 7.0.15 measured, a master killed: write gap median"));
}
