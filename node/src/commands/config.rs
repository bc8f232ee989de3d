//! `CONFIG` (`config.c`).

use super::call::Call;
use super::error::{CommandError, Outcome};
use super::spec::{Flags, Spec, command, container};
use crate::reply::Reply;

const ANYTIME: Flags = Flags::LOADING.union(Flags::STALE);
const OPERATOR: Flags = ANYTIME.union(Flags::ADMIN).union(Flags::NOSCRIPT);

pub(super) const COMMANDS: &[Spec] = &[container("config", SUBCOMMANDS).about(
    "server",
    "2.0.0",
    "Holds the commands about the configuration.",
)];

const SUBCOMMANDS: &[Spec] = &[
    command("config|help", 2, ANYTIME, help).about("server", "5.0.0", "Lists the subcommands."),
    command("config|resetstat", 2, OPERATOR, resetstat).about(
        "server",
        "2.0.0",
        "Sets the counters of INFO to zero.",
    ),
    command("config|rewrite", 2, OPERATOR, rewrite).about(
        "server",
        "2.8.0",
        "Writes the configuration file anew.",
    ),
];
fn help(call: &mut Call<'_>) -> Outcome {
    call.help(&[
        "GET <pattern> [<pattern> ...]",
        "    Tell the parameters whose names match.",
        "SET <directive> <value> [<directive> <value> ...]",
        "    Change parameters.",
        "RESETSTAT",
        "    Set the counters of INFO to zero.",
        "REWRITE",
        "    Write the configuration file anew.",
    ])
}

fn resetstat(call: &mut Call<'_>) -> Outcome {
    call.node.clients.stats.reset();
    Ok(Reply::OK)
}

/// A node has no files of its own: whoever started it keeps its configuration.
fn rewrite(_: &mut Call<'_>) -> Outcome {
    Err(CommandError::fixed(
        "ERR The server is running without a config file",
    ))
}
