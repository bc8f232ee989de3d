//! `redrill run` and `redrill replay`, run as a user runs them.

#![allow(clippy::unwrap_used, clippy::panic)]

mod support;

use serde_json::Value;
use support::{Done, redrill};
use tempfile::TempDir;

/// A failover in ten simulated seconds.
const KILL: &str = r#"
name = "kill"
question = "Is a killed master replaced?"
duration = "10s"
[config]
cluster-node-timeout = 1000
[workload]
clients = { per-master = 1, rate = "20/s" }
[[step]]
at = "1s"
jitter = "1s"
crash = "m1"
restart-after = "6s"
expect = "failover"
[expect]
failover-time = "max < 4s"
false-failovers = "count == 0"
"#;

fn folder_with(drill: &str) -> TempDir {
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("kill.toml"), drill).unwrap();
    folder
}

fn json(done: &Done) -> Value {
    serde_json::from_str(&done.out).unwrap_or_else(|error| panic!("{error}: {}", done.out))
}

fn hashes(summary: &Value) -> Vec<&str> {
    let runs = summary["runs"].as_array().unwrap();
    runs.iter()
        .map(|run| run["trace_hash"].as_str().unwrap())
        .collect()
}

#[test]
fn a_run_that_passes_says_so_and_writes_everything_that_can_be_looked_at() {
    let folder = folder_with(KILL);
    let done = redrill(folder.path(), &["run", "kill.toml", "--seed", "3"]);
    assert_eq!((done.code, done.err.as_str()), (0, ""), "{}", done.out);
    for said in [
        "PASS",
        "seed 3",
        "m1 to r1",
        "acknowledged writes lost: 0",
        "met  failover-time max < 4s",
        "redrill-out/kill-3/report.html",
    ] {
        assert!(done.out.contains(said), "{said}: {}", done.out);
    }
    for file in [
        "events.ndjson",
        "summary.json",
        "timeline.svg",
        "timeline.png",
        "report.html",
    ] {
        let path = folder.path().join("redrill-out/kill-3").join(file);
        assert!(path.metadata().unwrap().len() > 100, "{file}");
    }
}

#[test]
fn a_saved_log_is_judged_and_drawn_as_the_run_was() {
    let folder = folder_with(KILL);
    let done = redrill(folder.path(), &["run", "kill.toml", "--out", "first"]);
    let trace = |text: &str| {
        let line = text.lines().find(|line| line.starts_with("trace "));
        line.unwrap().to_owned()
    };
    let again = redrill(
        folder.path(),
        &[
            "replay",
            "first/events.ndjson",
            "--out",
            "second",
            "--timeline",
        ],
    );
    assert_eq!((again.code, again.err.as_str()), (0, ""), "{}", again.out);
    assert_eq!(trace(&again.out), trace(&done.out));
    assert!(again.out.contains("Failover election won"), "{}", again.out);
    for file in ["events.ndjson", "timeline.svg", "timeline.png"] {
        let read = |folder_name| std::fs::read(folder.path().join(folder_name).join(file)).unwrap();
        assert_eq!(read("first"), read("second"), "{file}");
    }
}

#[test]
fn a_log_that_is_cut_off_is_refused_with_its_line() {
    let folder = folder_with(KILL);
    redrill(folder.path(), &["run", "kill.toml", "--out", "first"]);
    let path = folder.path().join("first/events.ndjson");
    let log = std::fs::read(&path).unwrap();
    std::fs::write(&path, &log[..log.len() / 2]).unwrap();
    let done = redrill(folder.path(), &["replay", "first/events.ndjson"]);
    assert_eq!(done.code, 3);
    assert!(done.err.contains("line "), "{}", done.err);
    assert_eq!(redrill(folder.path(), &["replay", "none.ndjson"]).code, 3);
}

#[test]
fn seeds_give_the_same_hashes_on_any_number_of_threads() {
    let folder = folder_with(KILL);
    let run = |jobs| {
        let arguments = [
            "run",
            "kill.toml",
            "--seeds",
            "0..6",
            "--format",
            "json",
            "--jobs",
            jobs,
        ];
        json(&redrill(folder.path(), &arguments))
    };
    let (one, two) = (run("1"), run("2"));
    assert_eq!(one, two);
    let mut hashes = hashes(&one);
    hashes.sort_unstable();
    hashes.dedup();
    assert_eq!(hashes.len(), 6, "seeds must differ");
    assert!(!folder.path().join("redrill-out").exists());
}

#[test]
fn json_tells_every_failover_phase_by_phase() {
    let folder = folder_with(KILL);
    let done = redrill(folder.path(), &["run", "kill.toml", "--format", "json"]);
    let summary = json(&done);
    assert_eq!(summary["schema_version"], 1);
    assert_eq!(summary["drill"], "kill");
    let run = &summary["runs"][0];
    assert_eq!(run["verdict"], "valid");
    let failover = &run["failovers"][0];
    assert_eq!(failover["node"], "m1");
    let at = |key: &str| {
        failover[key]
            .as_f64()
            .unwrap_or_else(|| panic!("{key}: {failover}"))
    };
    let phases = [
        "first_pfail_ms",
        "fail_ms",
        "election_start_ms",
        "first_vote_ms",
        "won_ms",
    ];
    let times = phases.map(at);
    assert!(times.is_sorted(), "{times:?}");
    assert!(at("write_gap_ms") > at("first_pfail_ms"));
    assert!(summary["quantiles"]["failover_time_ms"]["p50"].is_f64());
    assert_eq!(summary["expectations"][0]["outcome"], "met");
}

#[test]
fn ndjson_is_a_line_a_run_and_one_for_all() {
    let folder = folder_with(KILL);
    let arguments = ["run", "kill.toml", "--seeds", "4..6", "--format", "ndjson"];
    let done = redrill(folder.path(), &arguments);
    let lines: Vec<Value> = done
        .out
        .lines()
        .map(|line| serde_json::from_str(line).unwrap())
        .collect();
    assert_eq!(lines.len(), 3);
    assert_eq!(
        (&lines[0]["seed"], &lines[1]["seed"]),
        (&4.into(), &5.into())
    );
    assert_eq!(lines[2]["drill"], "kill");
}

#[test]
fn a_missed_expectation_is_exit_100_with_the_command_that_repeats_it() {
    let folder = folder_with(&KILL.replace("max < 4s", "min > 9s"));
    let arguments = [
        "run",
        "kill.toml",
        "--set",
        "config.cluster-node-timeout=1200",
    ];
    let done = redrill(folder.path(), &arguments);
    assert_eq!(done.code, 100, "{}", done.out);
    assert!(
        done.out.contains("MISSED  an expectation was missed"),
        "{}",
        done.out
    );
    let repeat = "redrill run kill.toml --seed 0 --set config.cluster-node-timeout=1200";
    assert!(done.out.contains(repeat), "{}", done.out);
}

#[test]
fn a_step_without_its_failover_is_exit_100() {
    let folder = folder_with(&KILL.replace("restart-after = \"6s\"", "restart-after = \"100ms\""));
    let done = redrill(folder.path(), &["run", "kill.toml"]);
    assert_eq!(done.code, 100, "{}", done.out);
    assert!(done.out.contains("nobody was promoted"), "{}", done.out);
}

#[test]
fn failing_seeds_get_files_of_their_own() {
    let folder = folder_with(&KILL.replace("expect = \"failover\"", "expect = \"no-failover\""));
    let arguments = ["run", "kill.toml", "--seeds", "0..2", "--out", "all"];
    assert_eq!(redrill(folder.path(), &arguments).code, 100);
    for file in ["summary.json", "seed-0/report.html", "seed-1/events.ndjson"] {
        assert!(folder.path().join("all").join(file).exists(), "{file}");
    }
}

#[test]
fn a_step_that_touched_nothing_makes_the_run_inconclusive() {
    // By then r1 is the master of the slot and m1 its replica: nobody replicates m1.
    let step = "[[step]]\nat = \"9s\"\ncrash = \"replica-of:m1\"\n[expect]";
    let folder = folder_with(&KILL.replace("[expect]", step));
    let done = redrill(folder.path(), &["run", "kill.toml"]);
    assert_eq!(done.code, 103, "{}", done.out);
    assert!(done.out.contains("INCONCLUSIVE"), "{}", done.out);
    assert!(done.out.contains("step 2"), "{}", done.out);
}

#[test]
fn a_run_that_cannot_be_is_exit_4() {
    let many = KILL.replace("per-master = 1", "count = 10000");
    let groups = format!("{many}\n[[workload.more]]");
    assert_eq!(
        redrill(folder_with(&groups).path(), &["run", "kill.toml"]).code,
        3
    );
    let two = "clients = [{ count = 10000 }, { count = 10000 }]";
    let drill = KILL.replace("clients = { per-master = 1, rate = \"20/s\" }", two);
    let done = redrill(folder_with(&drill).path(), &["run", "kill.toml"]);
    assert_eq!(done.code, 4, "{}{}", done.out, done.err);
    assert!(done.err.contains("20000 clients"), "{}", done.err);
}

#[test]
fn seeds_and_worlds_that_do_not_exist_are_wrong_usage() {
    let folder = folder_with(KILL);
    for arguments in [
        &["run", "kill.toml", "--seeds", "5..5"][..],
        &["run", "kill.toml", "--seeds", "5"],
        &["run", "kill.toml", "--seed", "1", "--seeds", "0..5"],
        &["run", "kill.toml", "--world", "moon"],
        &["run", "kill.toml", "--jobs", "0"],
    ] {
        let done = redrill(folder.path(), arguments);
        assert_eq!((done.code, done.out.as_str()), (2, ""), "{arguments:?}");
    }
}

#[test]
fn an_output_folder_that_cannot_be_made_is_told() {
    let folder = folder_with(KILL);
    let done = redrill(
        folder.path(),
        &["run", "kill.toml", "--out", "kill.toml/inside"],
    );
    assert_eq!(done.code, 2);
    assert!(
        done.err.contains("cannot make the folder kill.toml/inside"),
        "{}",
        done.err
    );
}

#[test]
fn a_test_that_fails_names_the_command_that_repeats_it() {
    let drill = redrill::Drill::parse(&KILL.replace("max < 4s", "max < 1s")).unwrap();
    let outcome = drill.seeds(0..2).run().unwrap();
    assert!(!outcome.passed());
    let panic = std::panic::catch_unwind(|| {
        outcome.assert_valid();
    });
    let message = *panic.unwrap_err().downcast::<String>().unwrap();
    assert!(message.contains("failover-time max < 1s"), "{message}");
    assert!(
        message.contains("redrill run drill.toml --seed"),
        "{message}"
    );
}

#[test]
fn a_drill_from_rust_can_be_changed_before_it_runs() {
    let drill = redrill::Drill::parse(KILL).unwrap();
    let slower = drill
        .clone()
        .set("config.cluster-node-timeout=2000")
        .unwrap();
    let median = |drill: redrill::Drill| {
        let outcome = drill.seeds(0..4).run().unwrap();
        outcome.summary.quantiles["failover_time_ms"].p50
    };
    assert!(median(slower) > median(drill.clone()) + 500.0);
    assert!(drill.set("cluster.mastres=5").is_err());
    assert!(redrill::Drill::from_file("no such file").is_err());
}

/// Weather that takes a master away once, and many small things beside.
const WEATHER: &str = r#"
name = "weather"
question = "What does the weather do?"
duration = "40s"
[cluster]
zones = ["a", "b", "c"]
[config]
cluster-node-timeout = 2000
[workload]
clients = { per-master = 1, rate = "20/s" }
[weather]
trace = "pauses.csv"
[[weather.pause]]
on = "all"
cause = "fork"
rate = "10/min"
length = "uniform(20ms, 90ms)"
[[weather.pause]]
on = "all"
cause = "aof-fsync"
rate = "10/min"
length = "uniform(20ms, 90ms)"
[[weather.spell]]
on = "replicas"
rate = "2/min"
for = "uniform(200ms, 900ms)"
loss = 0.1
delay = "+5ms"
[expect]
failovers = "count == 1"
false-failovers = "count == 1"
"#;

#[test]
fn a_failover_by_the_weather_names_it_in_every_world() {
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("weather.toml"), WEATHER).unwrap();
    let pauses = folder.path().join("pauses.csv");
    std::fs::write(&pauses, "at_ms,node,pause_ms\n5000,m2,9000\n").unwrap();
    for world in ["event", "turmoil"] {
        let arguments = ["run", "weather.toml", "--world", world, "--seed", "1"];
        let out = ["--format", "json", "--out", world];
        let done = redrill(folder.path(), &[&arguments[..], &out[..]].concat());
        assert_eq!(done.code, 0, "{world}: {} {}", done.out, done.err);
        let summary = json(&done);
        for run in summary["runs"].as_array().unwrap() {
            let failover = &run["failovers"][0];
            assert_eq!(failover["weather"], "vm-steal", "{world}: {failover}");
            assert_eq!(failover["step"], Value::Null, "{world}");
            // The host lives through it: to replace its master is a mistake, however long it takes.
            assert_eq!(failover["false"], true, "{world}");
        }
    }
    // A log holds what happened: it is judged without the file that the weather came from.
    std::fs::remove_file(&pauses).unwrap();
    let log = walk(&folder.path().join("event")).remove(0);
    let done = redrill(folder.path(), &["replay", log.to_str().unwrap()]);
    assert_eq!(done.code, 0, "{} {}", done.out, done.err);
    assert!(done.out.contains("m2 to r2"), "{}", done.out);
}

#[test]
fn two_configurations_meet_the_same_weather() {
    let folder = tempfile::tempdir().unwrap();
    let drill = WEATHER.replace("trace = \"pauses.csv\"", "");
    std::fs::write(folder.path().join("weather.toml"), drill).unwrap();
    let weather = |timeout: &str| {
        let set = format!("config.cluster-node-timeout={timeout}");
        let out = format!("out-{timeout}");
        let arguments = ["run", "weather.toml", "--set", &set, "--out", &out];
        let done = redrill(folder.path(), &[&arguments[..], &["--seed", "5"]].concat());
        assert!(
            done.err.is_empty() || done.code == 100,
            "{} {}",
            done.out,
            done.err
        );
        let mut began = Vec::new();
        let mut formed_us = 0;
        for log in walk(&folder.path().join(out)) {
            for line in std::fs::read_to_string(log).unwrap().lines() {
                let record: Value = serde_json::from_str(line).unwrap();
                if record["phase"] == "disturb" {
                    formed_us = record["at_us"].as_u64().unwrap();
                }
                if record["event"] == "weather-began" {
                    let at_us = record["at_us"].as_u64().unwrap() - formed_us;
                    began.push((
                        at_us,
                        record["kind"].to_string(),
                        record["nodes"].to_string(),
                    ));
                }
            }
        }
        assert!(began.len() > 20, "{began:?}");
        began
    };
    assert_eq!(weather("2000"), weather("7000"));
}

/// The event logs in a folder.
fn walk(folder: &std::path::Path) -> Vec<std::path::PathBuf> {
    let mut found = Vec::new();
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            found.extend(walk(&path));
        } else if path.ends_with("events.ndjson") {
            found.push(path);
        }
    }
    found
}
