//! The replica's half: the handshake with the master, the snapshot, the stream.

use std::net::SocketAddr;

use crate::word::Word;

use super::backlog::Backlog;
use super::source;
use crate::action::{Action, ToMaster};
use crate::clients;
use crate::commands;
use crate::engine::{Bug, Quirk};
use crate::fact::Fact;
use crate::ids::ReplicationId;
use crate::input::{CommandLine, FromMaster, Snapshot};
use crate::log_words::LogLevel;
use crate::node::Node;
use crate::open_slots;
use crate::persistence;
use crate::reply::Reply;

/// What a replica knows of its link to the master.
#[derive(Debug)]
pub(super) struct Follower {
    pub(super) to: SocketAddr,
    pub(super) state: LinkState,
    /// Unix s of the last progress of the handshake or transfer (`repl_transfer_lastio`).
    last_progress_s: i64,
    /// Unix s of the master's last sign of life.
    pub(super) last_interaction_s: i64,
    /// Commands of a transaction that has not arrived whole: none of them counts as applied.
    transaction: Option<Vec<(CommandLine, usize)>>,
    /// The snapshot under way.
    incoming: Option<(ReplicationId, u64)>,
}

/// How far the link to the master has come (`repl_state`).
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum LinkState {
    /// To be opened.
    Connect,
    /// Being opened.
    Connecting,
    /// PING was sent.
    Greeted,
    /// AUTH was sent.
    Authenticating,
    /// REPLCONFs were sent; this many answers are to come.
    Introduced(u8),
    /// PSYNC was sent.
    Asked,
    /// The snapshot is on its way.
    Transfer,
    /// In sync.
    Connected,
}

/// Begins to follow a master at an address.
pub(super) fn follow(node: &mut Node, to: SocketAddr) {
    if node.replication.link_up() {
        node.replication.down_since_s = node.unix_s();
    }
    node.replication.follower = Some(Follower {
        to,
        state: LinkState::Connect,
        last_progress_s: node.unix_s(),
        last_interaction_s: 0,
        transaction: None,
        incoming: None,
    });
    connect(node);
}

fn connect(node: &mut Node) {
    let now_s = node.unix_s();
    let Some(follower) = &mut node.replication.follower else {
        return;
    };
    follower.state = LinkState::Connecting;
    follower.transaction = None;
    follower.last_progress_s = now_s;
    node.outbox.push(Action::ConnectMaster { to: follower.to });
}

/// Something arrived from the master.
pub(crate) fn from_master(node: &mut Node, event: FromMaster) {
    let now_s = node.unix_s();
    let Some(follower) = &mut node.replication.follower else {
        return;
    };
    follower.last_progress_s = now_s;
    let state = follower.state;
    match event {
        FromMaster::Up => {
            set_state(node, LinkState::Greeted);
            send(node, &["PING"]);
        }
        FromMaster::Down(_) => lost(node, state),
        FromMaster::Progress => follower.last_interaction_s = now_s,
        FromMaster::Reply(reply) => answered(node, state, &reply),
        FromMaster::FullResync { id, offset } => {
            follower.incoming = Some((id, offset));
            follower.state = LinkState::Transfer;
        }
        FromMaster::Continue { id } => resumed(node, id),
        FromMaster::Snapshot(snapshot) => load(node, &snapshot),
        FromMaster::Stream { command, wire_len } => {
            follower.last_interaction_s = now_s;
            take(node, command, wire_len);
        }
    }
}

/// An answer to a handshake command (`syncWithMaster`).
fn answered(node: &mut Node, state: LinkState, reply: &Reply) {
    let failed = matches!(reply, Reply::Error(_));
    match state {
        LinkState::Greeted => {
            let needs_password = matches!(reply, Reply::Error(text) if text.starts_with("NOAUTH"));
            if failed && !needs_password {
                give_up(node);
                return;
            }
            if let Some(password) = node.config.masterauth.clone() {
                let user = node.config.masteruser.clone();
                match user {
                    Some(user) => send(node, &["AUTH", &user, &password]),
                    None => send(node, &["AUTH", &password]),
                }
                set_state(node, LinkState::Authenticating);
                return;
            }
            introduce(node);
        }
        LinkState::Authenticating => {
            if let Reply::Error(text) = reply {
                let line = format!("Unable to AUTH to MASTER: -{text}");
                node.log(LogLevel::Warning, line);
                give_up(node);
                return;
            }
            introduce(node);
        }
        // Old masters do not know every REPLCONF option: errors are not fatal.
        LinkState::Introduced(1) => ask(node),
        LinkState::Introduced(left) => set_state(node, LinkState::Introduced(left - 1)),
        // -NOMASTERLINK, -LOADING and the like: later.
        LinkState::Asked => give_up(node),
        LinkState::Connect | LinkState::Connecting | LinkState::Transfer | LinkState::Connected => {
        }
    }
}

/// Tells the master where this node is and what it understands.
fn introduce(node: &mut Node) {
    let announced = node.config.number_of("replica-announce-port");
    let port = if announced == 0 {
        node.config.port.into()
    } else {
        announced
    };
    send(node, &["REPLCONF", "listening-port", &port.to_string()]);
    let mut answers = 2;
    let ip = node.config.text_of("replica-announce-ip");
    if !ip.is_empty() {
        send(node, &["REPLCONF", "ip-address", &ip]);
        answers += 1;
    }
    send(node, &["REPLCONF", "capa", "eof", "capa", "psync2"]);
    if node.has_quirk(Quirk::ReplicatesSetSlot) {
        send(node, &["REPLCONF", "version", node.config.engine.version()]);
        answers += 1;
    }
    set_state(node, LinkState::Introduced(answers));
}

fn ask(node: &mut Node) {
    let replication = &node.replication;
    let from = replication
        .has_history
        .then_some((replication.id, replication.offset + 1));
    match from {
        Some((id, next)) => send(node, &["PSYNC", &id.to_string(), &next.to_string()]),
        None => send(node, &["PSYNC", "?", "-1"]),
    }
    set_state(node, LinkState::Asked);
    node.note(Fact::SyncStarted { from });
}

/// The stream goes on where it had stopped.
fn resumed(node: &mut Node, id: Option<ReplicationId>) {
    if let Some(id) = id.filter(|&id| id != node.replication.id) {
        let replication = &mut node.replication;
        replication.previous_id = std::mem::replace(&mut replication.id, id);
        replication.forked_at = Some(replication.offset + 1);
        source::disconnect_replicas(node);
    }
    if node.replication.backlog.is_none() {
        node.replication.backlog = Some(Backlog::new(
            node.replication.offset,
            node.config.repl_backlog_size_bytes,
        ));
    }
    connected(node);
    let (id, offset) = (node.replication.id, node.replication.offset);
    node.note(Fact::PartialResyncDone { id, offset });
}

fn load(node: &mut Node, snapshot: &Snapshot) {
    let Some((id, offset)) = node
        .replication
        .follower
        .as_mut()
        .and_then(|follower| follower.incoming.take())
    else {
        return;
    };
    source::disconnect_replicas(node);
    clients::touch_all(node);
    node.store.load(&snapshot.entries);
    let restarts_aof = node.persistence.appends();
    let replication = &mut node.replication;
    replication.id = id;
    replication.previous_id = ReplicationId::ZERO;
    replication.forked_at = None;
    replication.offset = offset;
    replication.digest = snapshot.stream_digest;
    replication.has_history = true;
    replication.backlog = Some(Backlog::new(offset, node.config.repl_backlog_size_bytes));
    open_slots::take_in(node, &snapshot.open_slots);
    connected(node);
    send_ack(node);
    let keys = node.store.len() as u64;
    node.note(Fact::FullResyncDone { id, offset, keys });
    if restarts_aof {
        persistence::sync_began(node);
    }
}

fn connected(node: &mut Node) {
    let now_s = node.unix_s();
    node.replication.down_since_s = 0;
    if let Some(follower) = &mut node.replication.follower {
        follower.state = LinkState::Connected;
        follower.last_interaction_s = now_s;
    }
}

/// Takes a command of the stream. A transaction is applied once it has arrived whole, so that
/// readers never see a part of it, and a resync never begins in its middle.
fn take(node: &mut Node, command: CommandLine, wire_len: usize) {
    let Some(follower) = &mut node.replication.follower else {
        return;
    };
    let is = |name: &[u8]| matches!(&*command, [word] if word.eq_ignore_ascii_case(name));
    match &mut follower.transaction {
        None if is(b"multi") => follower.transaction = Some(vec![(command, wire_len)]),
        None => apply(node, command, wire_len),
        Some(held) => {
            let is_whole = is(b"exec");
            held.push((command, wire_len));
            if is_whole {
                for (command, wire_len) in follower.transaction.take().unwrap_or_default() {
                    apply(node, command, wire_len);
                }
            }
        }
    }
}

fn apply(node: &mut Node, command: CommandLine, wire_len: usize) {
    let is_get_ack = command.len() >= 2
        && command[0].eq_ignore_ascii_case(b"REPLCONF")
        && command[1].eq_ignore_ascii_case(b"GETACK");
    let skipped = node.has_bug(Bug::SkipsStream)
        && (node.replication.offset / wire_len.max(1) as u64) % 100 == 99;
    if !is_get_ack && !skipped {
        commands::apply_from_master(node, &command);
    }
    if skipped {
        node.replication.offset += wire_len as u64;
    } else {
        source::relay(node, command, wire_len);
    }
    if is_get_ack {
        send_ack(node);
    }
}

/// The connection is gone (`replicationHandleMasterDisconnection`): at once once more, so that the
/// backlog still reaches.
fn lost(node: &mut Node, state: LinkState) {
    if state == LinkState::Connected {
        node.replication.down_since_s = node.unix_s();
        node.note(Fact::MasterLinkLost);
        connect(node);
    } else {
        set_state(node, LinkState::Connect);
    }
}

fn give_up(node: &mut Node) {
    node.outbox.push(Action::CloseMaster);
    set_state(node, LinkState::Connect);
}

/// The replica's half of `replicationCron`.
pub(super) fn cron(node: &mut Node) {
    let (now_s, timeout_s) = (node.unix_s(), node.config.repl_timeout_s);
    let Some(follower) = &node.replication.follower else {
        return;
    };
    match follower.state {
        LinkState::Connect => connect(node),
        LinkState::Connected => {
            if now_s - follower.last_interaction_s > timeout_s {
                node.outbox.push(Action::CloseMaster);
                lost(node, LinkState::Connected);
            }
        }
        LinkState::Connecting
        | LinkState::Greeted
        | LinkState::Authenticating
        | LinkState::Introduced(_)
        | LinkState::Asked
        | LinkState::Transfer => {
            if now_s - follower.last_progress_s > timeout_s {
                node.outbox.push(Action::CloseMaster);
                connect(node);
            }
        }
    }
    if node.replication.link_up() {
        send_ack(node);
    }
}

fn send_ack(node: &mut Node) {
    let offset = node.replication.offset.to_string();
    send(node, &["REPLCONF", "ACK", &offset]);
}

fn send(node: &mut Node, words: &[&str]) {
    let command = words
        .iter()
        .map(|word| Word::copy_from_slice(word.as_bytes()))
        .collect();
    node.outbox
        .push(Action::ToMaster(ToMaster::Command(command)));
}

fn set_state(node: &mut Node, state: LinkState) {
    if let Some(follower) = &mut node.replication.follower {
        follower.state = state;
    }
}
