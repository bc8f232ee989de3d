//! `WAIT`: clients that wait for replicas to acknowledge what they wrote. So does a command that
//! runs on the replicas first.

use super::{Blocked, ClientFlags, Queued, close, key_waits, reply, unblock};
use crate::commands;
use crate::fact::Fact;
use crate::ids::ClientId;
use crate::input::CommandLine;
use crate::node::Node;
use crate::replication;
use crate::reply::Reply;
use crate::time::WallMillis;

/// What a client waits for.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Wait {
    /// The replication offset to be acknowledged.
    pub(crate) offset: u64,
    /// By how many replicas.
    pub(crate) replicas: i64,
    /// How long; `None`: for ever.
    pub(crate) deadline: Option<WallMillis>,
}

/// Blocks a client until enough replicas acknowledged an offset, and has them asked.
pub(crate) fn wait(node: &mut Node, client: ClientId, wait: Wait) {
    let Some(waiting) = node.clients.table.get_mut(&client) else {
        return;
    };
    waiting.blocked = Some(Blocked::Wait(wait));
    node.clients.waiting.push_front(client);
    replication::request_acks(node);
}

/// Blocks a client until enough replicas acknowledged its command, which runs then
/// (`blockClientForReplicaAck`).
pub(crate) fn wait_before_running(
    node: &mut Node,
    client: ClientId,
    until: Wait,
    words: CommandLine,
) {
    if let Some(waiting) = node.clients.table.get_mut(&client) {
        waiting.session_mut().awaits_replicas = Some(words);
        wait(node, client, until);
    }
}

/// The command that a client wants run once replicas acknowledged it; it is over now.
fn take_awaiting(node: &mut Node, client: ClientId) -> Option<CommandLine> {
    let client = node.clients.get_mut(client)?;
    client.session.as_mut()?.awaits_replicas.take()
}

/// Ends the waits whose time is over, the earliest first (`handleBlockedClientsTimeout`).
pub(super) fn end_overdue(node: &mut Node) {
    if node.clients.waiting.is_empty() {
        return;
    }
    let now = node.wall();
    let mut overdue: Vec<(WallMillis, ClientId)> = waits(node)
        .filter_map(|(client, wait)| Some((wait.deadline?, client)))
        .filter(|&(deadline, _)| deadline < now)
        .collect();
    overdue.sort_unstable();
    for (_, client) in overdue {
        end(node, client);
    }
}

/// Ends the waits that came to what they waited for (`processClientsWaitingReplicas`). One count
/// serves every wait that it covers, as upstream.
pub(super) fn end_satisfied(node: &mut Node) {
    if node.clients.waiting.is_empty() {
        return;
    }
    let mut last: Option<(u64, u16)> = None;
    for (client, wait) in waits(node).collect::<Vec<_>>() {
        let counted = last.filter(|&(offset, replicas)| {
            offset >= wait.offset && i64::from(replicas) >= wait.replicas
        });
        let replicas = match counted {
            Some((_, replicas)) => replicas,
            None => replication::acknowledged_by(node, wait.offset),
        };
        if i64::from(replicas) < wait.replicas {
            continue;
        }
        if counted.is_none() {
            last = Some((wait.offset, replicas));
        }
        let Some(words) = take_awaiting(node, client) else {
            answer(node, client, wait, replicas);
            continue;
        };
        unblock(node, client);
        if let Some(client) = node.clients.get_mut(client) {
            client.flags.insert(ClientFlags::REPLICATED);
            client.queue.push_front(Queued::Command(words));
        }
    }
}

/// Ends a client's wait now, as if its time were over; false if it does not wait.
pub(crate) fn unblock_waiting(node: &mut Node, client: ClientId, why: Option<Reply>) -> bool {
    if key_waits::waits(node, client) {
        let answer = why.unwrap_or(Reply::NilArray);
        key_waits::stop_waiting_for_keys(node, client, Some(answer));
        return true;
    }
    let waits = node
        .clients
        .get(client)
        .is_some_and(|client| client.waits_for().is_some());
    match why {
        Some(error) if waits => {
            take_awaiting(node, client);
            reply(node, client, error);
            unblock(node, client);
        }
        None if waits => end(node, client),
        Some(_) | None => {}
    }
    waits
}

/// The node begins or ceases to follow a master: nobody's wait can end well any more, and what the
/// clients read later would be something else (`disconnectAllBlockedClients`). Postponed commands
/// stay.
pub(crate) fn redirect_blocked(node: &mut Node) {
    let waiting = waits(node).map(|(client, _)| client);
    let waiting: Vec<ClientId> = waiting.chain(key_waits::all(node)).collect();
    for client in waiting {
        reply(
            node,
            client,
            Reply::error(
                "UNBLOCKED force unblock from blocking operation, \
                 instance state changed (master -> replica?)",
            ),
        );
        close(node, client);
    }
    node.store.note_ready_keys(false);
}

fn end(node: &mut Node, client: ClientId) {
    let waiting = node.clients.get(client);
    if let Some(wait) = waiting.and_then(|client| client.waits_for()) {
        if take_awaiting(node, client).is_some() {
            unblock(node, client);
            reply(node, client, commands::no_replicas());
            return;
        }
        let replicas = replication::acknowledged_by(node, wait.offset);
        answer(node, client, wait, replicas);
    }
}

fn answer(node: &mut Node, client: ClientId, wait: Wait, replicas: u16) {
    unblock(node, client);
    reply(node, client, Reply::Integer(i64::from(replicas)));
    note_wait(node, wait.offset, replicas);
}

/// A `WAIT` was answered.
pub(crate) fn note_wait(node: &mut Node, offset: u64, replicas: u16) {
    node.note(Fact::WaitAnswered { offset, replicas });
}

fn waits(node: &Node) -> impl Iterator<Item = (ClientId, Wait)> {
    node.clients.waiting.iter().filter_map(|&client| {
        let wait = node.clients.get(client)?.waits_for()?;
        Some((client, wait))
    })
}
