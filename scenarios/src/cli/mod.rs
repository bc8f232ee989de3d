//! The command line.

mod bench;
mod calibrate;
mod check;
mod compare;
mod exit;
mod files;
mod human;
mod import;
mod init;
mod output;
mod replay;
mod run;
mod sweep;

use std::num::{NonZeroU32, NonZeroU64, NonZeroUsize};
use std::path::PathBuf;

use clap::{CommandFactory, Parser, Subcommand};
use redrill::import::ZoneRule;
use redrill::sim::WorldKind;
use redrill_node::Engine;

pub(crate) use exit::Exit;

/// Failover drills for Redis Cluster.
///
/// redrill runs real cluster-node logic on a simulated network, breaks it as a drill file says,
/// checks what must never break, and draws what happened.
#[derive(Debug, Parser)]
#[command(name = "redrill", version, after_help = exit::HELP, max_term_width = 100)]
pub(crate) struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    Run(RunArguments),
    Sweep(SweepArguments),
    Compare(CompareArguments),
    Check(CheckArguments),
    Replay(ReplayArguments),
    Bench(BenchArguments),
    Init(InitArguments),
    Import(ImportArguments),
    Calibrate(CalibrateArguments),
    Completions(CompletionsArguments),
}

/// Run a drill and tell what came of it.
///
/// A run of one seed writes its event log, pictures and report.html into
/// redrill-out/DRILL-SEED, or into --out. Runs of several seeds write nothing without --out; with
/// it, a summary.json and a folder for each of the first seeds that fail.
#[derive(Debug, clap::Args)]
pub(crate) struct RunArguments {
    /// The drill file.
    #[arg(value_name = "DRILL.toml")]
    drill: PathBuf,
    /// The seed: the same seed gives the same run.
    #[arg(long, default_value_t = 0, value_name = "N", conflicts_with = "seeds")]
    seed: u64,
    /// Run every seed from A to B - 1 and tell of all of them together.
    #[arg(long, value_name = "A..B")]
    seeds: Option<run::Seeds>,
    /// The world it runs in.
    #[arg(long, value_name = "WORLD", value_parser = WorldParser)]
    world: Option<WorldKind>,
    /// The engine whose behaviour the nodes have, in place of the drill's.
    #[arg(long, value_name = "ENGINE", value_parser = EngineParser)]
    engine: Option<Engine>,
    /// Change a value of the drill, as in config.cluster-node-timeout=2000.
    #[arg(long, value_name = "PATH=VALUE")]
    set: Vec<String>,
    /// Where to write the files.
    #[arg(long, value_name = "DIR")]
    out: Option<PathBuf>,
    /// What goes to standard output. ndjson is a line a run, and one for all of them together.
    #[arg(long, value_enum, default_value_t = Format::Human)]
    format: Format,
    /// Print the timeline of each run.
    #[arg(long)]
    timeline: bool,
    /// Threads; as many as there are cores by default. The results do not depend on it.
    #[arg(long, value_name = "N")]
    jobs: Option<NonZeroUsize>,
}

/// Run a drill under many configurations, on the same weather, and tell which one to take.
///
/// Every configuration runs the same seeds. Finished runs are kept in runs.ndjson at once: the same
/// command goes on where an interrupted one stopped. At the end the folder holds sweep.json, with
/// everything, runs.csv, a row a run, report.html, which needs no network, and its charts.
#[derive(Debug, clap::Args)]
pub(crate) struct SweepArguments {
    /// The drill file. Its [sweep] says what the options do not.
    #[arg(value_name = "DRILL.toml")]
    drill: PathBuf,
    /// What to vary, one or two places of the drill: config.cluster-node-timeout=1000..15000:log8,
    /// 1000..5000:step500, or values with commas between them. A single value is a change, as with
    /// run.
    #[arg(long, value_name = "PATH=VALUES")]
    set: Vec<String>,
    /// Vary the engine.
    #[arg(long, value_name = "ENGINE,...")]
    engine: Option<String>,
    /// How many seeds each configuration runs, or which: 500, 100..600.
    #[arg(long, value_name = "N|A..B")]
    seeds: Option<sweep::Seeds>,
    /// What to aim at: "write-gap p99 < 10s, false-failovers < 0.01/day".
    #[arg(long, value_name = "LIMITS")]
    slo: Vec<String>,
    /// The world it runs in.
    #[arg(long, value_name = "WORLD", value_parser = WorldParser)]
    world: Option<WorldKind>,
    /// Trials measured on real servers, a JSON object a line: their medians are drawn on the
    /// trade-off curve over cluster-node-timeout.
    #[arg(long, value_name = "MEASURED.jsonl")]
    measured: Vec<PathBuf>,
    /// Where to write the files; redrill-out/DRILL-sweep-DIGEST by default.
    #[arg(long, value_name = "DIR")]
    out: Option<PathBuf>,
    /// What goes to standard output. ndjson is a line a run, and one for all of them together.
    #[arg(long, value_enum, default_value_t = Format::Human)]
    format: Format,
    /// Threads; as many as there are cores by default. The results do not depend on it.
    #[arg(long, value_name = "N")]
    jobs: Option<NonZeroUsize>,
}

/// Hold two results against each other: two sweep.json, or two outputs of run --format json.
///
/// Runs of the same drill are paired by configuration and seed, for they met the same weather; all
/// others are compared without pairs. The table says which, what differs, and how sure that is.
#[derive(Debug, clap::Args)]
pub(crate) struct CompareArguments {
    /// What to compare with.
    #[arg(value_name = "A.json")]
    first: PathBuf,
    /// What is compared.
    #[arg(value_name = "B.json")]
    second: PathBuf,
    /// What goes to standard output. ndjson is a line a configuration.
    #[arg(long, value_enum, default_value_t = Format::Human)]
    format: Format,
}

/// Judge and draw a saved event log again.
#[derive(Debug, clap::Args)]
pub(crate) struct ReplayArguments {
    /// The event log of a run.
    #[arg(value_name = "EVENTS.ndjson")]
    log: PathBuf,
    /// Where to write the files; nothing is written otherwise.
    #[arg(long, value_name = "DIR")]
    out: Option<PathBuf>,
    /// Print the timeline.
    #[arg(long)]
    timeline: bool,
}

/// Measure how fast drills run on this machine.
///
/// Each row is one run in a process of its own: three masters or more, each with a replica, one of
/// them killed. Runs that would take longer than --patience are cut short; the column of simulated
/// seconds tells. Below the table stands how many seeds of the drill kill-master are run, checked
/// and measured in a second on all cores.
#[derive(Debug, clap::Args)]
pub(crate) struct BenchArguments {
    /// The rows: how many nodes the clusters have (even, 6 at least), and behind an @ how many
    /// operations per second their clients make if not --rate.
    #[arg(
        long,
        value_delimiter = ',',
        default_value = "6,6@1000,50,100,1000",
        value_name = "N[@RATE],..."
    )]
    nodes: Vec<bench::Size>,
    /// The worlds. If none is given: all for the smallest clusters, event for the others.
    #[arg(long, value_delimiter = ',', value_parser = WorldParser, value_name = "WORLD,...")]
    world: Vec<WorldKind>,
    /// Client operations per second, all clients together.
    #[arg(long, default_value = "100", value_name = "PER-SECOND")]
    rate: NonZeroU32,
    /// How many simulated seconds of the drill a run should have.
    #[arg(long, default_value = "60", value_name = "SECONDS")]
    seconds: NonZeroU32,
    /// The cluster-node-timeout in milliseconds; if none is given, 5000 for up to 100 nodes and 15000
    /// for more.
    #[arg(long, value_name = "MS")]
    node_timeout: Option<NonZeroU32>,
    /// How many seeds of kill-master are run; 0: none.
    #[arg(long, default_value = "200", value_name = "N")]
    seeds: u64,
    /// How many seconds a run may take about.
    #[arg(long, default_value = "10", value_name = "SECONDS")]
    patience: NonZeroU32,
    /// What goes to standard output.
    #[arg(long, value_enum, default_value_t = Format::Human)]
    format: Format,
    /// Measure this one here, for the process that asked.
    #[arg(long, hide = true)]
    alone: bool,
}

/// What results look like.
#[derive(Clone, Copy, PartialEq, Eq, Debug, clap::ValueEnum)]
pub(crate) enum Format {
    /// For people.
    Human,
    /// One JSON object.
    Json,
    /// One JSON object a line.
    Ndjson,
}

/// Reads a world's name and lists the worlds in `--help`.
#[derive(Clone, Debug)]
struct WorldParser;

impl clap::builder::TypedValueParser for WorldParser {
    type Value = WorldKind;

    fn parse_ref(
        &self,
        command: &clap::Command,
        argument: Option<&clap::Arg>,
        value: &std::ffi::OsStr,
    ) -> Result<WorldKind, clap::Error> {
        let names = WorldKind::ALL.iter().map(|world| world.name());
        let names = clap::builder::PossibleValuesParser::new(names);
        let name = names.parse_ref(command, argument, value)?;
        let world = WorldKind::ALL.iter().find(|world| world.name() == name);
        world
            .copied()
            .ok_or_else(|| clap::Error::new(clap::error::ErrorKind::InvalidValue))
    }

    fn possible_values(
        &self,
    ) -> Option<Box<dyn Iterator<Item = clap::builder::PossibleValue> + '_>> {
        let names = WorldKind::ALL.iter().map(|world| world.name());
        Some(Box::new(names.map(clap::builder::PossibleValue::new)))
    }
}

/// Reads an engine by its name.
#[derive(Clone, Copy)]
struct EngineParser;

impl clap::builder::TypedValueParser for EngineParser {
    type Value = Engine;

    fn parse_ref(
        &self,
        command: &clap::Command,
        argument: Option<&clap::Arg>,
        value: &std::ffi::OsStr,
    ) -> Result<Engine, clap::Error> {
        let names = Engine::ALL.iter().map(|engine| engine.name());
        let names = clap::builder::PossibleValuesParser::new(names);
        let name = names.parse_ref(command, argument, value)?;
        let engine = Engine::ALL.iter().find(|engine| engine.name() == name);
        engine
            .copied()
            .ok_or_else(|| clap::Error::new(clap::error::ErrorKind::InvalidValue))
    }

    fn possible_values(
        &self,
    ) -> Option<Box<dyn Iterator<Item = clap::builder::PossibleValue> + '_>> {
        let names = Engine::ALL.iter().map(|engine| engine.name());
        Some(Box::new(names.map(clap::builder::PossibleValue::new)))
    }
}

/// The changes of a drill that the options ask for.
fn changes(engine: Option<Engine>, set: &[String]) -> Vec<String> {
    let engine = engine.map(|engine| format!("engine={}", engine.name()));
    engine.into_iter().chain(set.iter().cloned()).collect()
}

/// Read a drill, tell its mistakes, and say in words what a run will do.
#[derive(Debug, clap::Args)]
pub(crate) struct CheckArguments {
    /// The drill files.
    #[arg(required = true, value_name = "DRILL.toml")]
    drills: Vec<PathBuf>,
    /// The engine whose behaviour the nodes have, in place of the drill's.
    #[arg(long, value_name = "ENGINE", value_parser = EngineParser)]
    engine: Option<Engine>,
    /// Change a value of the drill, as in config.cluster-node-timeout=2000.
    #[arg(long, value_name = "PATH=VALUE")]
    set: Vec<String>,
    /// Say nothing of drills that are fine.
    #[arg(long, short)]
    quiet: bool,
}

/// Write a commented drill to start from.
#[derive(Debug, clap::Args)]
pub(crate) struct InitArguments {
    /// Where to write it.
    #[arg(default_value = "drill.toml", value_name = "DRILL.toml")]
    path: PathBuf,
}

/// Make a drill from a real cluster: from CLUSTER NODES or a nodes.conf.
#[derive(Debug, clap::Args)]
pub(crate) struct ImportArguments {
    /// A nodes.conf, or what CLUSTER NODES printed; `-` reads it from standard input.
    #[arg(value_name = "FILE")]
    file: PathBuf,
    /// Which nodes stand in a zone: by host, host:port, port, or their name in the drill.
    #[arg(long, value_name = "NAME=HOST[:PORT],...")]
    zone: Vec<ZoneRule>,
    /// The drill's name.
    #[arg(long)]
    name: Option<String>,
    /// Write the drill here instead of to standard output. Never overwrites.
    #[arg(long, short, value_name = "DRILL.toml")]
    out: Option<PathBuf>,
}

/// Hold the simulation against trials measured on real servers.
///
/// Each experiment in the files becomes a drill that is run with many seeds; measured and simulated
/// quantiles stand side by side, phase by phase. Ends with 100 if any lies outside of what was
/// measured.
#[derive(Debug, clap::Args)]
pub(crate) struct CalibrateArguments {
    /// Measured trials, a JSON object a line.
    #[arg(required = true, value_name = "MEASURED.jsonl")]
    measured: Vec<PathBuf>,
    /// Simulated trials of each experiment.
    #[arg(long, default_value = "200", value_name = "N")]
    seeds: NonZeroU64,
    /// Where to write the tables, the pictures and the values; nothing is written otherwise.
    #[arg(long, value_name = "DIR")]
    out: Option<PathBuf>,
    /// Threads; as many as there are cores by default. The results do not depend on it.
    #[arg(long, value_name = "N")]
    jobs: Option<NonZeroUsize>,
}

/// Print the completions of a shell.
#[derive(Debug, clap::Args)]
pub(crate) struct CompletionsArguments {
    /// The shell.
    shell: clap_complete::Shell,
}

/// Does what the command line says.
pub(crate) fn main() -> Exit {
    let cli = match Cli::try_parse() {
        Ok(cli) => cli,
        Err(error) => {
            let is_help = !error.use_stderr();
            let _ = error.print();
            return if is_help { Exit::Pass } else { Exit::Usage };
        }
    };
    match cli.command {
        Command::Run(arguments) => run::run(&arguments),
        Command::Sweep(arguments) => sweep::sweep(&arguments),
        Command::Compare(arguments) => compare::compare(&arguments),
        Command::Replay(arguments) => replay::replay(&arguments),
        Command::Bench(arguments) => bench::bench(&arguments),
        Command::Check(arguments) => check::check(&arguments),
        Command::Init(arguments) => init::init(&arguments),
        Command::Import(arguments) => import::import(&arguments),
        Command::Calibrate(arguments) => calibrate::calibrate(&arguments),
        Command::Completions(arguments) => {
            let mut script = Vec::new();
            let mut command = Cli::command();
            clap_complete::generate(arguments.shell, &mut command, "redrill", &mut script);
            output::result(&String::from_utf8_lossy(&script));
            Exit::Pass
        }
    }
}
