//! `SHUTDOWN`: the server ends, once its replicas have what it has (`prepareForShutdown`).

use super::call::Call;
use super::error::{CommandError, Outcome};
use super::spec::{Flags, Spec, quiet_command};
use crate::clients::{self, PauseKind, PausePurpose};
use crate::log_words::LogLevel;
use crate::node::Node;
use crate::persistence::{self, Shutdown};
use crate::replication;
use crate::reply::Reply;
use crate::time::WallMillis;

const FLAGS: Flags = Flags::ADMIN
    .union(Flags::NOSCRIPT)
    .union(Flags::LOADING)
    .union(Flags::STALE)
    .union(Flags::NO_MULTI)
    .union(Flags::ALLOW_BUSY);

pub(super) const COMMANDS: &[Spec] = &[quiet_command("shutdown", -1, FLAGS, shutdown).about(
    "server",
    "1.0.0",
    "Synchronously saves the keyspace and ends the server.",
)];

/// A shutdown that waits for replicas.
#[derive(Debug)]
pub(crate) struct Pending {
    how: Shutdown,
    /// When it waits no longer.
    until: WallMillis,
}

fn shutdown(call: &mut Call<'_>) -> Result<Option<Reply>, CommandError> {
    let (mut how, mut now, mut abort) = (Shutdown::default(), false, false);
    for place in 1..call.words.len() {
        let contradicts = |save| how.save.is_some_and(|said| said != save);
        if call.says(place, "nosave") && !contradicts(false) {
            how.save = Some(false);
        } else if call.says(place, "save") && !contradicts(true) {
            how.save = Some(true);
        } else if call.says(place, "now") {
            now = true;
        } else if call.says(place, "force") {
            how.force = true;
        } else if call.says(place, "abort") {
            abort = true;
        } else {
            return Err(CommandError::SYNTAX);
        }
    }
    if abort {
        if call.words.len() > 2 {
            return Err(CommandError::SYNTAX);
        }
        return abandon(call.node).map(Some);
    }
    how.client = call.client();
    if let Some(client) = how.client {
        clients::block_for_shutdown(call.node, client);
    }
    begin(call.node, how, now);
    Ok(None)
}

/// The process is asked to end from outside.
pub(crate) fn terminate(node: &mut Node) {
    begin(node, Shutdown::default(), false);
}

fn begin(node: &mut Node, how: Shutdown, now: bool) {
    if node.clients.shutdown.is_some() {
        return;
    }
    node.log(LogLevel::Warning, "User requested shutdown...");
    let timeout_s = node.config.number_of("shutdown-timeout");
    if now || timeout_s == 0 || is_ready(node) {
        finish(node, how);
        return;
    }
    let until = WallMillis(node.wall().0.saturating_add(timeout_s.saturating_mul(1000)));
    node.clients.shutdown = Some(Pending { how, until });
    replication::ask_for_acks_now(node);
    let for_ever = WallMillis(i64::MAX);
    clients::pause(node, PausePurpose::Shutdown, PauseKind::Writes, for_ever);
    node.log(
        LogLevel::Notice,
        "Waiting for replicas before shutting down.",
    );
}

/// Whether every replica has everything (`isReadyToShutdown`).
fn is_ready(node: &Node) -> bool {
    let offset = node.replication.own_offset();
    let mut replicas = node.replication.replicas();
    replicas.all(|(_, replica)| !replica.is_attached() || replica.acknowledged == offset)
}

/// The shutdown's part of `serverCron`.
pub(crate) fn cron(node: &mut Node) {
    let now = node.wall();
    let is_over = node
        .clients
        .shutdown
        .as_ref()
        .is_some_and(|pending| now >= pending.until);
    if node.clients.shutdown.is_some()
        && (is_over || is_ready(node))
        && let Some(pending) = node.clients.shutdown.take()
    {
        clients::resume(node, PausePurpose::Shutdown);
        finish(node, pending.how);
    }
}

/// Saves what has to be saved, and ends the process (`finishShutdown`).
fn finish(node: &mut Node, how: Shutdown) {
    let offset = node.replication.own_offset();
    let attached: Vec<u64> = (node.replication.replicas())
        .filter(|(_, replica)| replica.is_attached())
        .map(|(_, replica)| replica.acknowledged)
        .collect();
    if !attached.is_empty() {
        let in_sync = attached
            .iter()
            .filter(|&&acknowledged| acknowledged == offset);
        let line = format!(
            "{} of {} replicas are in sync when shutting down.",
            in_sync.count(),
            attached.len()
        );
        node.log(LogLevel::Notice, line);
    }
    persistence::shutdown(node, how);
}

/// `SHUTDOWN ABORT`
fn abandon(node: &mut Node) -> Outcome {
    if node.clients.shutdown.take().is_none() {
        return Err(CommandError::fixed("ERR No shutdown in progress."));
    }
    clients::resume(node, PausePurpose::Shutdown);
    clients::unblock_shutdown(node);
    node.log(LogLevel::Notice, "Shutdown manually aborted.");
    Ok(Reply::OK)
}
