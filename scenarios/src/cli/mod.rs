//! The command line.

mod check;
mod exit;
mod import;
mod init;
mod output;

use std::path::PathBuf;

use clap::{CommandFactory, Parser, Subcommand};
use redrill::import::ZoneRule;

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
    Check(CheckArguments),
    Init(InitArguments),
    Import(ImportArguments),
    Completions(CompletionsArguments),
}

/// Read a drill, tell its mistakes, and say in words what a run will do.
#[derive(Debug, clap::Args)]
pub(crate) struct CheckArguments {
    /// The drill files.
    #[arg(required = true, value_name = "DRILL.toml")]
    drills: Vec<PathBuf>,
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
        Command::Check(arguments) => check::check(&arguments),
        Command::Init(arguments) => init::init(&arguments),
        Command::Import(arguments) => import::import(&arguments),
        Command::Completions(arguments) => {
            let mut script = Vec::new();
            let mut command = Cli::command();
            clap_complete::generate(arguments.shell, &mut command, "redrill", &mut script);
            output::result(&String::from_utf8_lossy(&script));
            Exit::Pass
        }
    }
}
