//! `redrill bench`

use std::num::NonZeroU32;
use std::process::Command;
use std::str::FromStr;
use std::time::{Duration, Instant};

use indicatif::ProgressBar;
use redrill::reports::table::{Side, Table};
use redrill::sim::{Run, WorldKind, run};
use redrill::{BenchDrill, Drill};
use serde::{Deserialize, Serialize};

use super::{BenchArguments, Exit, Format, output};

/// The length of the run that tells how long a longer one takes.
const TRIAL_S: u32 = 5;

/// Short runs are repeated for this long, or so often; what counts is the median.
const REPEATED_UP_TO: Duration = Duration::from_secs(1);
const MOST_REPEATS: usize = 15;

/// Larger clusters are measured in the world of events alone, unless another is asked for.
const SMALL_NODES: u16 = 6;

/// A drill that is run with many seeds.
const SEEDED: &str = include_str!("../../drills/kill-master.toml");

/// The size of a row: nodes, and operations per second if not the usual.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Size {
    nodes: u16,
    rate_per_s: Option<NonZeroU32>,
}

/// Not a size that can be measured.
#[derive(Debug, thiserror::Error)]
#[error(
    "expected an even number from 6 to 2000 (half of them are masters), and perhaps @ and \
     operations per second: 6@1000"
)]
pub(crate) struct BadSize;

impl FromStr for Size {
    type Err = BadSize;

    fn from_str(text: &str) -> Result<Self, BadSize> {
        let (nodes, rate) = match text.trim().split_once('@') {
            Some((nodes, rate)) => (nodes, Some(rate)),
            None => (text.trim(), None),
        };
        let rate_per_s = rate
            .map(|rate| rate.parse().map_err(|_| BadSize))
            .transpose()?;
        match nodes.parse() {
            Ok(nodes) if (6..=2000).contains(&nodes) && nodes % 2 == 0 => {
                Ok(Self { nodes, rate_per_s })
            }
            Ok(_) | Err(_) => Err(BadSize),
        }
    }
}

/// What was measured.
#[derive(Debug, Serialize)]
struct Report {
    rows: Vec<Measured>,
    seeded: Option<Seeded>,
}

/// One run, measured.
#[derive(Debug, Serialize, Deserialize)]
struct Measured {
    world: String,
    nodes: u16,
    node_timeout_ms: u32,
    operations_per_s: u32,
    /// How long the run was for its nodes, from their start to the end of the audit.
    simulated_s: f64,
    /// How long it took, without the checks: the median, if it was repeated.
    wall_s: f64,
    /// Simulated by wall seconds.
    speed: f64,
    /// What the scheduler had happen; a world without a scheduler has none.
    events: Option<u64>,
    events_per_s: Option<f64>,
    /// What an event costs, by what one costs in the first row that has any.
    event_cost_ratio: Option<f64>,
    /// How long the checkers took beside that.
    checks_s: f64,
    /// The most memory that the process had; only Linux tells.
    peak_memory_bytes: Option<u64>,
}

/// Many seeds of one drill: run, checked and measured.
#[derive(Debug, Serialize)]
struct Seeded {
    drill: String,
    seeds: u64,
    threads: usize,
    wall_s: f64,
    seeds_per_s: f64,
}

pub(crate) fn bench(arguments: &BenchArguments) -> Exit {
    if arguments.alone {
        return alone(arguments);
    }
    let report = match measure_all(arguments) {
        Ok(report) => report,
        Err(why) => {
            output::error(&why);
            return Exit::NothingRan;
        }
    };
    output::printed(printed(arguments.format, &report))
}

fn measure_all(arguments: &BenchArguments) -> Result<Report, String> {
    let mut rows: Vec<Measured> = Vec::new();
    for size in &arguments.nodes {
        let worlds = match (arguments.world.as_slice(), size.nodes) {
            ([], ..=SMALL_NODES) => WorldKind::ALL,
            ([], _) => &[WorldKind::Event],
            (worlds, _) => worlds,
        };
        for world in worlds {
            let name = format!("{world}, {} nodes", size.nodes);
            let mut measured =
                while_it_spins(&name, || in_its_own_process(arguments, *world, *size))
                    .map_err(|why| format!("{name}: {why}"))?;
            let first = rows.iter().find_map(|row| row.events_per_s);
            measured.event_cost_ratio = first
                .or(measured.events_per_s)
                .and_then(|first| Some(first / measured.events_per_s?));
            rows.push(measured);
        }
    }
    let seeded = match arguments.seeds {
        0 => None,
        seeds => Some(while_it_spins("kill-master", || with_many_seeds(seeds))?),
    };
    Ok(Report { rows, seeded })
}

fn while_it_spins<T>(name: &str, work: impl FnOnce() -> T) -> T {
    let spinner = ProgressBar::new_spinner().with_message(name.to_owned());
    spinner.enable_steady_tick(Duration::from_millis(100));
    let done = work();
    spinner.finish_and_clear();
    done
}

fn with_many_seeds(seeds: u64) -> Result<Seeded, String> {
    let threads = std::thread::available_parallelism().map_or(1, usize::from);
    let drill = Drill::parse(SEEDED).map_err(|bad| bad.to_string())?;
    let started = Instant::now();
    let outcome = drill.seeds(0..seeds).jobs(threads).run();
    outcome.map_err(|error| error.to_string())?;
    let wall_s = started.elapsed().as_secs_f64();
    Ok(Seeded {
        drill: "kill-master".to_owned(),
        seeds,
        threads,
        wall_s,
        seeds_per_s: seeds as f64 / wall_s,
    })
}

/// Memory can only be told of a whole process.
fn in_its_own_process(
    arguments: &BenchArguments,
    world: WorldKind,
    size: Size,
) -> Result<Measured, String> {
    let rate_per_s = size.rate_per_s.unwrap_or(arguments.rate);
    let program = std::env::current_exe().map_err(|error| error.to_string())?;
    let node_timeout = arguments.node_timeout.map(|timeout| timeout.to_string());
    let node_timeout = node_timeout.map(|timeout| ["--node-timeout".to_owned(), timeout]);
    let output = Command::new(program)
        .args(["bench", "--alone", "--world", world.name()])
        .args(["--nodes", &format!("{}@{rate_per_s}", size.nodes)])
        .args(["--seconds", &arguments.seconds.to_string()])
        .args(["--patience", &arguments.patience.to_string()])
        .args(node_timeout.into_iter().flatten())
        .output()
        .map_err(|error| error.to_string())?;
    if !output.status.success() {
        return Err(String::from_utf8_lossy(&output.stderr).trim().to_owned());
    }
    serde_json::from_slice(&output.stdout).map_err(|error| error.to_string())
}

/// Measures the first world and size of the command line and prints it as JSON.
fn alone(arguments: &BenchArguments) -> Exit {
    let (Some(world), Some(size)) = (arguments.world.first(), arguments.nodes.first()) else {
        return Exit::Usage;
    };
    let measured = measure(arguments, *world, *size)
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

fn measure(arguments: &BenchArguments, world: WorldKind, size: Size) -> Result<Measured, String> {
    let usual_ms = BenchDrill::usual_node_timeout_ms(size.nodes);
    let wanted = BenchDrill {
        nodes: size.nodes,
        rate_per_s: size.rate_per_s.unwrap_or(arguments.rate).get(),
        seconds: arguments.seconds.get(),
        node_timeout_ms: arguments.node_timeout.map_or(usual_ms, NonZeroU32::get),
    };
    let short = BenchDrill {
        seconds: wanted.seconds.min(TRIAL_S),
        ..wanted
    };
    let (trial, trial_wall) = timed(short, world)?;
    // What a second more costs is not known apart from start and end: it costs less than this.
    let affordable = f64::from(arguments.patience.get()) / trial_wall.as_secs_f64();
    let seconds = f64::from(short.seconds) * affordable;
    let affordable = BenchDrill {
        seconds: wanted.seconds.min(seconds as u32),
        ..wanted
    };
    let (run, mut walls) = match seconds >= 2.0 * f64::from(TRIAL_S) && short != wanted {
        true => repeated(affordable, world)?,
        false => (trial, vec![trial_wall]),
    };
    walls.sort_unstable();
    let wall = walls[walls.len() / 2];
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
        nodes: wanted.nodes,
        node_timeout_ms: wanted.node_timeout_ms,
        operations_per_s: wanted.rate_per_s,
        simulated_s,
        wall_s,
        speed: simulated_s / wall_s,
        events: run.scheduled_events,
        events_per_s: run.scheduled_events.map(|events| events as f64 / wall_s),
        event_cost_ratio: None,
        checks_s,
        peak_memory_bytes,
    })
}

/// Runs a drill, and again as long as that takes next to no time: a short run says more of what the
/// machine did before it than of itself.
fn repeated(bench: BenchDrill, world: WorldKind) -> Result<(Run, Vec<Duration>), String> {
    let (mut run, wall) = timed(bench, world)?;
    let mut walls = vec![wall];
    while walls.len() < MOST_REPEATS && walls.iter().sum::<Duration>() < REPEATED_UP_TO {
        let again = timed(bench, world)?;
        run = again.0;
        walls.push(again.1);
    }
    Ok((run, walls))
}

fn timed(bench: BenchDrill, world: WorldKind) -> Result<(Run, Duration), String> {
    let drill = Drill::parse(&bench.text()).map_err(|bad| bad.to_string())?;
    let started = Instant::now();
    let run = run(drill.scenario(), 0, world).map_err(|error| error.to_string())?;
    Ok((run, started.elapsed()))
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

fn printed(format: Format, report: &Report) -> Result<String, serde_json::Error> {
    match format {
        Format::Human => Ok(table(&report.rows) + &line(report.seeded.as_ref())),
        Format::Json => Ok(serde_json::to_string_pretty(report)? + "\n"),
        Format::Ndjson => {
            let rows = report.rows.iter().map(serde_json::to_string);
            let seeded = report.seeded.iter().map(serde_json::to_string);
            rows.chain(seeded).map(|line| Ok(line? + "\n")).collect()
        }
    }
}

fn line(seeded: Option<&Seeded>) -> String {
    seeded.map_or_else(String::new, |seeded| {
        format!(
            "\n{}: {:.1} seeds/s ({} seeds on {} threads in {:.1} s)\n",
            seeded.drill, seeded.seeds_per_s, seeded.seeds, seeded.threads, seeded.wall_s
        )
    })
}

fn table(rows: &[Measured]) -> String {
    let mut table = Table::new(&[
        ("nodes", Side::Right),
        ("timeout", Side::Right),
        ("world", Side::Left),
        ("operations", Side::Right),
        ("simulated", Side::Right),
        ("wall", Side::Right),
        ("× real time", Side::Right),
        ("events/s", Side::Right),
        ("ns/event", Side::Right),
        ("× first", Side::Right),
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
            format!("{} ms", row.node_timeout_ms),
            row.world.clone(),
            format!("{}/s", row.operations_per_s),
            format!("{:.1} s", row.simulated_s),
            format!("{:.3} s", row.wall_s),
            format!("{:.1}", row.speed),
            maybe(row.events_per_s, 0),
            maybe(row.events_per_s.map(|rate| 1e9 / rate), 0),
            maybe(row.event_cost_ratio, 2),
            format!("{:.3} s", row.checks_s),
            format!("{} MiB", maybe(memory, 0)),
        ]);
    }
    table.render("")
}

#[cfg(test)]
mod tests {
    use super::*;

    const SIX: Size = Size {
        nodes: 6,
        rate_per_s: None,
    };

    #[test]
    fn sizes_are_even_and_have_three_masters() {
        let nodes = |nodes, rate_per_s| Size {
            nodes,
            rate_per_s: NonZeroU32::new(rate_per_s),
        };
        assert_eq!("6".parse::<Size>().ok(), Some(nodes(6, 0)));
        assert_eq!("50@1000".parse::<Size>().ok(), Some(nodes(50, 1000)));
        for bad in ["", "x", "4", "7", "2002", "-6", "6@", "6@0", "6@x", "@100"] {
            assert!(bad.parse::<Size>().is_err(), "{bad}");
        }
    }

    #[test]
    fn a_run_is_measured() {
        let arguments = BenchArguments {
            nodes: vec![SIX],
            world: vec![WorldKind::Event],
            rate: std::num::NonZeroU32::MIN,
            seconds: std::num::NonZeroU32::MIN,
            node_timeout: None,
            seeds: 0,
            patience: std::num::NonZeroU32::MIN,
            format: Format::Human,
            alone: true,
        };
        let measured =
            measure(&arguments, WorldKind::Event, SIX).unwrap_or_else(|why| panic!("{why}"));
        assert!(measured.simulated_s > 1.0 && measured.events > Some(100));
        assert!(table(&[measured]).contains("event"));
    }
}
