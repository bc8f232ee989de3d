//! `redrill bench`

use std::process::Command;
use std::str::FromStr;
use std::time::{Duration, Instant};

use indicatif::ProgressBar;
use redrill::Drill;
use redrill::sim::{Run, WorldKind, run};
use serde::{Deserialize, Serialize};

use super::table::{Side, Table};
use super::{BenchArguments, Exit, Format, output};

/// The length of the run that tells how long a longer one takes.
const TRIAL_S: u32 = 5;

/// The number of nodes of a cluster.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Nodes(u16);

/// Not a size that can be measured.
#[derive(Debug, thiserror::Error)]
#[error("expected an even number from 6 to 2000: half of them are masters")]
pub(crate) struct BadNodes;

impl FromStr for Nodes {
    type Err = BadNodes;

    fn from_str(text: &str) -> Result<Self, BadNodes> {
        match text.trim().parse() {
            Ok(nodes) if (6..=2000).contains(&nodes) && nodes % 2 == 0 => Ok(Self(nodes)),
            Ok(_) | Err(_) => Err(BadNodes),
        }
    }
}

/// One run, measured.
#[derive(Debug, Serialize, Deserialize)]
struct Measured {
    world: String,
    nodes: u16,
    operations_per_s: u32,
    /// How long the run was for its nodes, from their start to the end of the audit.
    simulated_s: f64,
    /// How long it took, without the checks.
    wall_s: f64,
    /// Simulated by wall seconds.
    speed: f64,
    /// What the scheduler had happen; a world without a scheduler has none.
    events: Option<u64>,
    events_per_s: Option<f64>,
    /// How long the checkers took beside that.
    checks_s: f64,
    /// The most memory that the process had; only Linux tells.
    peak_memory_bytes: Option<u64>,
}

pub(crate) fn bench(arguments: &BenchArguments) -> Exit {
    if arguments.alone {
        return alone(arguments);
    }
    let worlds = match arguments.world.is_empty() {
        true => WorldKind::ALL,
        false => &arguments.world,
    };
    let mut rows = Vec::new();
    for &Nodes(nodes) in &arguments.nodes {
        for world in worlds {
            let spinner =
                ProgressBar::new_spinner().with_message(format!("{world}, {nodes} nodes"));
            spinner.enable_steady_tick(Duration::from_millis(100));
            let measured = in_its_own_process(arguments, *world, nodes);
            spinner.finish_and_clear();
            match measured {
                Ok(measured) => rows.push(measured),
                Err(why) => {
                    output::error(&format!("{world}, {nodes} nodes: {why}"));
                    return Exit::NothingRan;
                }
            }
        }
    }
    match printed(arguments.format, &rows) {
        Ok(text) => {
            output::result(&text);
            Exit::Pass
        }
        Err(error) => {
            output::error(&error.to_string());
            Exit::Usage
        }
    }
}

/// Memory can only be told of a whole process.
fn in_its_own_process(
    arguments: &BenchArguments,
    world: WorldKind,
    nodes: u16,
) -> Result<Measured, String> {
    let program = std::env::current_exe().map_err(|error| error.to_string())?;
    let output = Command::new(program)
        .args(["bench", "--alone", "--world", world.name()])
        .args(["--nodes", &nodes.to_string()])
        .args(["--rate", &arguments.rate.to_string()])
        .args(["--seconds", &arguments.seconds.to_string()])
        .args(["--patience", &arguments.patience.to_string()])
        .output()
        .map_err(|error| error.to_string())?;
    if !output.status.success() {
        return Err(String::from_utf8_lossy(&output.stderr).trim().to_owned());
    }
    serde_json::from_slice(&output.stdout).map_err(|error| error.to_string())
}

/// Measures the first world and size of the command line and prints it as JSON.
fn alone(arguments: &BenchArguments) -> Exit {
    let (Some(world), Some(Nodes(nodes))) = (arguments.world.first(), arguments.nodes.first())
    else {
        return Exit::Usage;
    };
    let measured = measure(arguments, *world, *nodes)
        .and_then(|measured| serde_json::to_string(&measured).map_err(|error| error.to_string()));
    match measured {
        Ok(text) => {
            output::result(&text);
            Exit::Pass
        }
        Err(why) => {
            output::error(&why);
            Exit::NothingRan
        }
    }
}

fn measure(arguments: &BenchArguments, world: WorldKind, nodes: u16) -> Result<Measured, String> {
    let rate = arguments.rate.get();
    let wanted_s = arguments.seconds.get();
    let (trial, trial_wall) = timed(nodes, rate, wanted_s.min(TRIAL_S), world)?;
    // What a second more costs is not known apart from start and end: it costs less than this.
    let affordable = f64::from(arguments.patience.get()) / trial_wall.as_secs_f64();
    let seconds = f64::from(wanted_s.min(TRIAL_S)) * affordable;
    let (run, wall) = match seconds >= 2.0 * f64::from(TRIAL_S) && wanted_s > TRIAL_S {
        true => timed(nodes, rate, wanted_s.min(seconds as u32), world)?,
        false => (trial, trial_wall),
    };
    let simulated_us = run.trace.records.last().map_or(0, |record| record.at_us);
    let simulated_s = simulated_us as f64 / 1e6;
    let wall_s = wall.as_secs_f64();
    let peak_memory_bytes = peak_memory_bytes();
    let started = Instant::now();
    let findings = redrill::sim::checkers::check(&run.trace);
    let checks_s = started.elapsed().as_secs_f64();
    if let Some(violation) = findings.violations.first() {
        return Err(format!("an invariant broke: {violation:?}"));
    }
    Ok(Measured {
        world: world.name().to_owned(),
        nodes,
        operations_per_s: rate,
        simulated_s,
        wall_s,
        speed: simulated_s / wall_s,
        events: run.scheduled_events,
        events_per_s: run.scheduled_events.map(|events| events as f64 / wall_s),
        checks_s,
        peak_memory_bytes,
    })
}

fn timed(nodes: u16, rate: u32, seconds: u32, world: WorldKind) -> Result<(Run, Duration), String> {
    let drill = Drill::parse(&drill(nodes, rate, seconds)).map_err(|bad| bad.to_string())?;
    let started = Instant::now();
    let run = run(drill.scenario(), 0, world).map_err(|error| error.to_string())?;
    Ok((run, started.elapsed()))
}

/// A master is killed at a quarter of the time and comes back at half of it. Large clusters are
/// run with the longer node-timeout that they have in production.
fn drill(nodes: u16, rate: u32, seconds: u32) -> String {
    let masters = nodes / 2;
    let timeout_ms = if nodes > 100 { 15_000 } else { 5000 };
    let (down_ms, up_ms) = (seconds * 250, seconds * 250);
    let each = f64::from(rate) / 2.0;
    format!(
        r#"schema = 1
name = "bench"
duration = "{seconds}s"

[cluster]
masters = {masters}
replicas-per-master = 1

[config]
cluster-node-timeout = {timeout_ms}

[workload]
clients = {{ count = 2, rate = "{each}/s", timeout = "500ms" }}
keys = "uniform(10000)"

[[step]]
at = "{down_ms}ms"
crash = "m1"
restart-after = "{up_ms}ms"
"#
    )
}

/// The high-water mark of the process's memory.
fn peak_memory_bytes() -> Option<u64> {
    let status = std::fs::read_to_string("/proc/self/status").ok()?;
    let line = status
        .lines()
        .find_map(|line| line.strip_prefix("VmHWM:"))?;
    let kilobytes: u64 = line.trim().strip_suffix("kB")?.trim().parse().ok()?;
    Some(kilobytes * 1024)
}

fn printed(format: Format, rows: &[Measured]) -> Result<String, serde_json::Error> {
    match format {
        Format::Human => Ok(table(rows)),
        Format::Json => Ok(serde_json::to_string_pretty(rows)? + "\n"),
        Format::Ndjson => rows
            .iter()
            .map(|row| Ok(serde_json::to_string(row)? + "\n"))
            .collect(),
    }
}

fn table(rows: &[Measured]) -> String {
    let mut table = Table::new(&[
        ("nodes", Side::Right),
        ("world", Side::Left),
        ("operations", Side::Right),
        ("simulated", Side::Right),
        ("wall", Side::Right),
        ("× real time", Side::Right),
        ("events/s", Side::Right),
        ("ns/event", Side::Right),
        ("checks", Side::Right),
        ("peak memory", Side::Right),
    ]);
    let maybe = |value: Option<f64>, digits: usize| {
        value.map_or_else(|| "-".to_owned(), |value| format!("{value:.digits$}"))
    };
    for row in rows {
        let memory = row
            .peak_memory_bytes
            .map(|bytes| bytes as f64 / 1_048_576.0);
        table.row(vec![
            row.nodes.to_string(),
            row.world.clone(),
            format!("{}/s", row.operations_per_s),
            format!("{:.1} s", row.simulated_s),
            format!("{:.3} s", row.wall_s),
            format!("{:.1}", row.speed),
            maybe(row.events_per_s, 0),
            maybe(row.events_per_s.map(|rate| 1e9 / rate), 0),
            format!("{:.3} s", row.checks_s),
            format!("{} MiB", maybe(memory, 0)),
        ]);
    }
    table.render("")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_drill_is_fine_at_every_size() {
        for nodes in [6, 100, 102, 2000] {
            let text = drill(nodes, 100, 60);
            let drill = Drill::parse(&text).unwrap_or_else(|bad| panic!("{bad}"));
            assert_eq!(drill.scenario().cluster.nodes.len(), usize::from(nodes));
        }
    }

    #[test]
    fn sizes_are_even_and_have_three_masters() {
        assert_eq!("6".parse::<Nodes>().ok(), Some(Nodes(6)));
        for bad in ["", "x", "4", "7", "2002", "-6"] {
            assert!(bad.parse::<Nodes>().is_err(), "{bad}");
        }
    }

    #[test]
    fn a_run_is_measured() {
        let arguments = BenchArguments {
            nodes: vec![Nodes(6)],
            world: vec![WorldKind::Event],
            rate: std::num::NonZeroU32::MIN,
            seconds: std::num::NonZeroU32::MIN,
            patience: std::num::NonZeroU32::MIN,
            format: Format::Human,
            alone: true,
        };
        let measured =
            measure(&arguments, WorldKind::Event, 6).unwrap_or_else(|why| panic!("{why}"));
        assert!(measured.simulated_s > 1.0 && measured.events > Some(100));
        assert!(table(&[measured]).contains("event"));
    }
}
