//! Snapshots by command (`rdb.c`, `aof.c`).

use super::call::Call;
use super::error::{CommandError, Outcome};
use super::spec::{Categories, Flags, Spec, command, quiet_command};
use crate::persistence;
use crate::reply::Reply;

const OPERATOR: Flags = Flags::ADMIN
    .union(Flags::NOSCRIPT)
    .union(Flags::NO_ASYNC_LOADING);
const ANYTIME: Flags = Flags::LOADING.union(Flags::STALE).union(Flags::FAST);

pub(super) const COMMANDS: &[Spec] = &[
    quiet_command("bgrewriteaof", 1, OPERATOR, bgrewriteaof).about(
        "server",
        "1.0.0",
        "Rewrites the append-only file beside the loop.",
    ),
    command("bgsave", -1, OPERATOR, bgsave).about(
        "server",
        "1.0.0",
        "Saves the keyspace beside the loop.",
    ),
    command("lastsave", 1, ANYTIME, lastsave)
        .about("server", "1.0.0", "Tells when the keyspace was last saved.")
        .categories(Categories::ADMIN.union(Categories::DANGEROUS))
        .tips(&["nondeterministic_output"]),
    quiet_command("save", 1, OPERATOR.union(Flags::NO_MULTI), save).about(
        "server",
        "1.0.0",
        "Saves the keyspace while everybody waits.",
    ),
];

fn bgrewriteaof(call: &mut Call<'_>) -> Result<Option<Reply>, CommandError> {
    let client = call.client();
    Ok(persistence::rewrite_command(call.node, client))
}

fn bgsave(call: &mut Call<'_>) -> Outcome {
    let schedule = call.words.len() == 2 && call.says(1, "schedule");
    if call.words.len() > 1 && !schedule {
        return Err(CommandError::SYNTAX);
    }
    Ok(persistence::save_beside_command(call.node, schedule))
}

fn lastsave(call: &mut Call<'_>) -> Outcome {
    Ok(Reply::Integer(persistence::last_save_s(call.node)))
}

fn save(call: &mut Call<'_>) -> Result<Option<Reply>, CommandError> {
    let client = call.client();
    Ok(persistence::save_command(call.node, client))
}
