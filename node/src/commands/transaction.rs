//! `MULTI`, `EXEC`, `DISCARD`, `WATCH`, `UNWATCH` (`multi.c`).

use super::call::Call;
use super::error::{CommandError, Outcome};
use super::spec::{Categories, CommandNumber, Flags, Spec, command, keys, quiet_command};
use super::{Refusal, perform};
use crate::clients::{self, QueuedCommand, Transaction};
use crate::ids::ClientId;
use crate::input::CommandLine;
use crate::node::Node;
use crate::replication;
use crate::reply::Reply;

const ANYTIME: Flags = Flags::NOSCRIPT.union(Flags::LOADING).union(Flags::STALE);
const ALWAYS: Flags = ANYTIME.union(Flags::FAST).union(Flags::ALLOW_BUSY);

const fn about(spec: Spec, since: &'static str, summary: &'static str) -> Spec {
    spec.about("transactions", since, summary)
        .categories(Categories::TRANSACTION)
}

pub(super) const COMMANDS: &[Spec] = &[
    about(
        command("multi", 1, ALWAYS, multi),
        "1.2.0",
        "Starts a transaction.",
    ),
    about(
        quiet_command("exec", 1, ANYTIME.union(Flags::SKIP_SLOWLOG), exec),
        "1.2.0",
        "Executes all commands in a transaction.",
    ),
    about(
        command("discard", 1, ALWAYS, discard),
        "2.0.0",
        "Discards a transaction.",
    ),
    about(
        command("watch", -2, ALWAYS, watch),
        "2.2.0",
        "Has a transaction fail if keys change before it.",
    )
    .keys(&[keys(1, -1, 1, &["RO"])]),
    about(
        command("unwatch", 1, ALWAYS, unwatch),
        "2.2.0",
        "Forgets about watched keys.",
    ),
];

/// The commands that run although a transaction was begun.
const NOT_QUEUED: [&str; 6] = ["exec", "discard", "multi", "watch", "quit", "reset"];

/// Commands that are answered after they ran, when the answer to `EXEC` has left. Redis, which
/// stands still meanwhile, takes them in a transaction.
const ANSWERED_LATE: [&str; 3] = ["migrate", "bgrewriteaof", "config|rewrite"];

pub(super) fn answers_late(spec: &Spec) -> bool {
    ANSWERED_LATE.contains(&spec.name)
}

/// Whether a command of a client in a transaction waits for `EXEC`.
pub(super) fn is_queued(spec: &Spec) -> bool {
    !NOT_QUEUED.contains(&spec.name)
}

/// Keeps a command for `EXEC` (`queueMultiCommand`).
pub(super) fn queue(
    node: &mut Node,
    client: ClientId,
    number: CommandNumber,
    spec: &'static Spec,
    words: CommandLine,
) -> Reply {
    let session = node.clients.get_mut(client);
    if let Some(session) = session.and_then(|client| client.session.as_deref_mut())
        && let Some(transaction) = &mut session.transaction
        && !transaction.is_aborted
        && !session.is_stale
    {
        transaction.push(QueuedCommand {
            number,
            spec,
            words,
        });
    }
    Reply::Simple("QUEUED".into())
}

/// A command was refused: the transaction it stands in will fail, and one that it was to end is
/// over (`flagTransaction`, `execCommandAbort`).
pub(super) fn refused(
    node: &mut Node,
    client: ClientId,
    spec: Option<&Spec>,
    refusal: Refusal,
) -> CommandError {
    let session = node.clients.get_mut(client);
    let Some(session) = session.and_then(|client| client.session.as_deref_mut()) else {
        return refusal.error;
    };
    let is_exec = spec.is_some_and(|spec| spec.name == "exec");
    if !is_exec {
        if let Some(transaction) = &mut session.transaction {
            transaction.is_aborted = true;
        }
        return refusal.error;
    }
    end(node, client);
    if refusal.redirects {
        return refusal.error;
    }
    CommandError::coded(format_args!(
        "EXECABORT Transaction discarded because of: {}",
        refusal.error
    ))
}

/// Forgets a client's transaction and what it watched (`discardTransaction`); returns the
/// transaction and whether a watched key changed.
pub(super) fn end(node: &mut Node, client: ClientId) -> Option<(Transaction, bool)> {
    clients::unwatch_all(node, client);
    let session = node.clients.get_mut(client)?.session.as_deref_mut()?;
    let is_stale = std::mem::take(&mut session.is_stale);
    Some((session.transaction.take()?, is_stale))
}

fn multi(call: &mut Call<'_>) -> Outcome {
    let client = call.client();
    let Some(client) = client.and_then(|client| call.node.clients.get_mut(client)) else {
        return Ok(Reply::OK);
    };
    let session = client.session_mut();
    if session.transaction.is_some() {
        return Err(CommandError::fixed("ERR MULTI calls can not be nested"));
    }
    session.transaction = Some(Transaction::default());
    Ok(Reply::OK)
}

fn discard(call: &mut Call<'_>) -> Outcome {
    let client = call.client().filter(|&client| is_in_one(call.node, client));
    let Some(client) = client else {
        return Err(CommandError::fixed("ERR DISCARD without MULTI"));
    };
    end(call.node, client);
    Ok(Reply::OK)
}

fn is_in_one(node: &Node, client: ClientId) -> bool {
    let client = node.clients.get(client);
    client.is_some_and(|client| client.transaction().is_some())
}

/// Runs what was queued. What it changes reaches replicas and files as one.
fn exec(call: &mut Call<'_>) -> Result<Option<Reply>, CommandError> {
    let client = call.client();
    let node = &mut *call.node;
    let client = match client {
        Some(client) if is_in_one(node, client) => client,
        Some(_) | None => return Err(CommandError::fixed("ERR EXEC without MULTI")),
    };
    let has_expired = clients::has_expired(node, client);
    let Some((transaction, is_stale)) = end(node, client) else {
        return Ok(None);
    };
    if transaction.is_aborted {
        return Err(CommandError::fixed(
            "EXECABORT Transaction discarded because of previous errors.",
        ));
    }
    if is_stale || has_expired {
        return Ok(Some(Reply::NilArray));
    }
    node.clients.begin_collecting(client);
    replication::begin_transaction(node);
    for queued in transaction.commands {
        let QueuedCommand {
            number,
            spec,
            words,
        } = queued;
        if let Some(reply) = perform(node, client, number, spec, words) {
            clients::reply(node, client, reply);
        }
    }
    replication::end_transaction(node);
    Ok(Some(Reply::Array(node.clients.end_collecting())))
}

fn watch(call: &mut Call<'_>) -> Outcome {
    let client = call.client();
    let Some(client) = client else {
        return Ok(Reply::OK);
    };
    if is_in_one(call.node, client) {
        return Err(CommandError::fixed("ERR WATCH inside MULTI is not allowed"));
    }
    let session = call.node.clients.get(client);
    let session = session.and_then(|client| client.session.as_deref());
    if session.is_some_and(|session| session.is_stale) {
        return Ok(Reply::OK);
    }
    for key in &call.words[1..] {
        clients::watch(call.node, client, key);
    }
    Ok(Reply::OK)
}

fn unwatch(call: &mut Call<'_>) -> Outcome {
    if let Some(client) = call.client() {
        clients::unwatch_all(call.node, client);
        let session = call.node.clients.get_mut(client);
        if let Some(session) = session.and_then(|client| client.session.as_deref_mut()) {
            session.is_stale = false;
        }
    }
    Ok(Reply::OK)
}
