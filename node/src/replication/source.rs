//! The master's half: replicas attach, the stream is fed to them, their acknowledgements counted.

use std::sync::Arc;

use crate::word::Word;

use super::backlog::Backlog;
use super::{LinkState, Replication, advance};
use crate::action::{Action, FullResync, SnapshotMark, ToReplica};
use crate::clients;
use crate::engine::Quirk;
use crate::fact::Fact;
use crate::ids::{ClientId, ReplicationId};
use crate::input::{CommandLine, Snapshot};
use crate::node::Node;
use crate::open_slots;
use crate::persistence;
use crate::reply::Reply;
use crate::wire::resp::{command_len, string_to_i64};

/// A replica, or a client that introduces itself as one.
#[derive(Clone, Debug)]
pub(crate) struct Replica {
    pub(crate) state: ReplicaState,
    /// The client port it announced.
    pub(crate) port: u16,
    /// The address it announced, if it did.
    pub(crate) announced_ip: Option<Box<str>>,
    /// The offset it acknowledged.
    pub(crate) acknowledged: u64,
    /// When it last did, Unix s.
    pub(crate) acknowledged_s: i64,
    /// Whether it takes a snapshot that a mark ends (`SLAVE_CAPA_EOF`).
    takes_mark: bool,
    /// Whether it asked by `SYNC`, which is answered by the snapshot alone (`CLIENT_PRE_PSYNC`).
    is_plain: bool,
    /// Whether it wants a snapshot and no stream (`rdb-only`).
    wants_no_stream: bool,
    /// Whether it wants a snapshot without the keyspace (`rdb-filter-only`): functions alone, of
    /// which there are none.
    wants_no_keys: bool,
    /// Whether the stream waits for its first acknowledgement
    /// (`repl_start_cmd_stream_on_ack`).
    is_held: bool,
    /// Whether its version takes `CLUSTER SETSLOT` from the stream.
    takes_set_slot: bool,
}

/// How far a replica's synchronization has come.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum ReplicaState {
    /// It introduced itself (`REPLCONF`), no more.
    Introduced,
    /// It waits for a snapshot, since this Unix s.
    WaitsForSnapshot(i64),
    /// It follows the stream.
    Online,
}

impl Replica {
    const fn new() -> Self {
        Self {
            state: ReplicaState::Introduced,
            port: 0,
            announced_ip: None,
            acknowledged: 0,
            acknowledged_s: 0,
            takes_mark: false,
            is_plain: false,
            wants_no_stream: false,
            wants_no_keys: false,
            is_held: false,
            takes_set_slot: false,
        }
    }

    /// Whether it counts as a replica yet.
    pub(crate) fn is_attached(&self) -> bool {
        self.state != ReplicaState::Introduced
    }
}

/// Feeds a command that changed the keyspace to the append-only file and to the stream
/// (`propagateNow`). What several commands make one transaction goes between `MULTI` and `EXEC`,
/// which are fed in the same way.
pub(crate) fn propagate(node: &mut Node, command: impl Into<CommandLine>) {
    if let Some(held) = &mut node.replication.transaction {
        held.commands.push(command.into());
        return;
    }
    if !node.persistence.appends() {
        feed_replicas(node, command);
        return;
    }
    let command = command.into();
    persistence::append(node, &command);
    feed_replicas(node, command);
}

/// What is fed from here on belongs together.
pub(crate) fn begin_transaction(node: &mut Node) {
    node.replication.transaction = Some(super::Held::default());
}

/// Feeds what belongs together, between `MULTI` and `EXEC` if it is several commands
/// (`propagatePendingCommands`).
pub(crate) fn end_transaction(node: &mut Node) {
    let Some(held) = node.replication.transaction.take() else {
        return;
    };
    let wraps = held.commands.len() > 1;
    if wraps {
        propagate(node, [Word::from_static(b"MULTI")]);
    }
    for command in held.commands {
        propagate(node, command);
    }
    if wraps {
        propagate(node, [Word::from_static(b"EXEC")]);
    }
    let offset = super::offset(node);
    for write in held.writes {
        node.note(Fact::Wrote { write, offset });
    }
}

/// Feeds a command to the stream alone (`replicationFeedSlaves`).
pub(crate) fn feed_replicas(node: &mut Node, command: impl Into<CommandLine>) {
    let replication = &mut node.replication;
    let nobody_listens =
        replication.backlog.is_none() && !replication.replicas.values().any(Replica::is_attached);
    if replication.follower.is_some() || nobody_listens {
        return;
    }
    if replication.needs_select {
        replication.needs_select = false;
        feed(node, ["SELECT", "0"].map(Word::from).into());
    }
    feed(node, command.into());
}

/// Passes on a command of this replica's own master to its replicas.
pub(super) fn relay(node: &mut Node, command: CommandLine, wire_len: usize) {
    for (&client, replica) in &node.replication.replicas {
        if replica.state == ReplicaState::Online {
            node.outbox.push(Action::ToReplica {
                client,
                what: ToReplica::Stream(Arc::clone(&command)),
            });
        }
    }
    // Handed on, not shared once more: to count who shares it takes longer than all the rest.
    advance(&mut node.replication, command, wire_len);
}

fn feed(node: &mut Node, command: CommandLine) {
    let wire_len = command_len(&command);
    relay(node, command, wire_len);
}

/// Number of replicas that acknowledged `offset` (`replicationCountAcksByOffset`).
pub(crate) fn acknowledged_by(node: &Node, offset: u64) -> u16 {
    let online = node
        .replication
        .replicas
        .values()
        .filter(|replica| replica.state == ReplicaState::Online);
    online
        .filter(|replica| replica.acknowledged >= offset)
        .count() as u16
}

/// Number of replicas that are attached and timely, as of the last count.
pub(crate) const fn good_replicas(node: &Node) -> u16 {
    node.replication.good_replicas
}

/// Has the replicas asked for their offsets at the end of the turn.
pub(crate) const fn request_acks(node: &mut Node) {
    node.replication.wants_acks = true;
}

pub(super) fn ask_for_acks(node: &mut Node) {
    if node.replication.wants_acks && !clients::writes_paused(node) {
        node.replication.wants_acks = false;
        feed_replicas(node, ["REPLCONF", "GETACK", "*"].map(Word::from));
    }
}

/// Asks the replicas for their offsets before anything else is held back
/// (`sendGetackToReplicas`).
pub(crate) fn ask_for_acks_now(node: &mut Node) {
    if !clients::writes_paused(node) {
        feed_replicas(node, ["REPLCONF", "GETACK", "*"].map(Word::from));
    }
}

/// `PSYNC` and `SYNC`. The answer goes out as [`ToReplica`].
pub(crate) fn psync(node: &mut Node, client: ClientId, arguments: &[Word]) -> Option<Reply> {
    if node.replication.is_replica(client) {
        return None;
    }
    if node
        .replication
        .follower
        .as_ref()
        .is_some_and(|follower| follower.state != LinkState::Connected)
    {
        return Some(Reply::error(
            "NOMASTERLINK Can't SYNC while not connected with my master",
        ));
    }
    let now_s = node.unix_s();
    let replica = node
        .replication
        .replicas
        .entry(client)
        .or_insert_with(Replica::new);
    replica.acknowledged_s = now_s;
    replica.is_plain = arguments.is_empty();
    if let [id, next] = arguments {
        let Some(next) = std::str::from_utf8(next)
            .ok()
            .and_then(|text| text.parse::<i64>().ok())
        else {
            return Some(Reply::error("ERR value is not an integer or out of range"));
        };
        if let Some(next) = u64::try_from(next)
            .ok()
            .filter(|&next| continues(&node.replication, id, next))
        {
            resume(node, client, next);
            return None;
        }
        if id.as_ref() != b"?" {
            node.replication.refused_partial_syncs += 1;
        }
    }
    node.replication.full_syncs += 1;
    if node.replication.backlog.is_none() {
        start_history(node);
    }
    set_state(node, client, ReplicaState::WaitsForSnapshot(now_s));
    if node.config.repl_diskless_sync_delay_s == 0 {
        send_snapshot(node, client);
    }
    None
}

/// Whether the stream from `next` on continues what a replica has of history `id`
/// (`masterTryPartialResynchronization`).
fn continues(replication: &Replication, id: &[u8], next: u64) -> bool {
    let Ok(id) = ReplicationId::from_hex(&id.to_ascii_lowercase()) else {
        return false;
    };
    let same = id == replication.id;
    let ancestor =
        id == replication.previous_id && replication.forked_at.is_some_and(|fork| next <= fork);
    let held = replication
        .backlog
        .as_ref()
        .is_some_and(|backlog| backlog.from(next).is_some());
    (same || ancestor) && held
}

fn resume(node: &mut Node, client: ClientId, next: u64) {
    node.replication.partial_syncs += 1;
    set_state(node, client, ReplicaState::Online);
    let id = node.replication.id;
    node.outbox.push(Action::ToReplica {
        client,
        what: ToReplica::Continue { id },
    });
    if let Some(backlog) = &node.replication.backlog {
        for command in backlog.from(next).into_iter().flatten() {
            node.outbox.push(Action::ToReplica {
                client,
                what: ToReplica::Stream(Arc::clone(command)),
            });
        }
    }
    attached(node, client, false);
}

/// With the first replica, a master's history begins to count.
fn start_history(node: &mut Node) {
    if node.replication.follower.is_none() {
        node.replication.id = node.random.names.replication_id();
        node.replication.previous_id = ReplicationId::ZERO;
        node.replication.forked_at = None;
    }
    let limit_bytes = node.config.repl_backlog_size_bytes;
    node.replication.backlog = Some(Backlog::new(node.replication.offset, limit_bytes));
    // Said before anything is written to it, so that its origin is known.
    super::note_position(node);
}

fn send_snapshot(node: &mut Node, client: ClientId) {
    let replication = &mut node.replication;
    replication.needs_select = true;
    let (id, offset, stream_digest) = (replication.id, replication.offset, replication.digest);
    let is_diskless = node.config.repl_diskless_sync;
    let open_slots = open_slots::synced(node);
    let Some(replica) = node.replication.replicas.get_mut(&client) else {
        return;
    };
    let mark = (replica.takes_mark && is_diskless).then(|| snapshot_mark(id, offset, client));
    replica.is_held = mark.is_some();
    let closes = replica.wants_no_stream;
    let entries = if replica.wants_no_keys {
        Arc::default()
    } else {
        node.store.snapshot()
    };
    let what = ToReplica::FullResync(Box::new(FullResync {
        announced: !replica.is_plain,
        closes,
        id,
        offset,
        snapshot: Snapshot {
            entries,
            stream_digest,
            open_slots,
        },
        mark,
    }));
    set_state(node, client, ReplicaState::Online);
    node.outbox.push(Action::ToReplica { client, what });
    if closes {
        disconnect(node, client);
    } else {
        attached(node, client, true);
    }
}

/// The last major version whose replicas refuse `CLUSTER SETSLOT` (7.2.255).
const LAST_WITHOUT_SET_SLOT: u32 = 7;

/// Number of replicas that follow the stream and take `CLUSTER SETSLOT` from it.
pub(crate) fn set_slot_takers(node: &Node) -> usize {
    let replicas = node.replication.replicas.values();
    replicas
        .filter(|replica| replica.state == ReplicaState::Online && replica.takes_set_slot)
        .count()
}

/// Something that no snapshot holds but by a chance that never comes.
fn snapshot_mark(id: ReplicationId, offset: u64, client: ClientId) -> SnapshotMark {
    let mut seed = offset ^ client.0.rotate_left(32);
    let mut bytes = [0; 20];
    for part in bytes.chunks_mut(8) {
        seed = xxhash_rust::xxh3::xxh3_64_with_seed(&id.0, seed);
        part.copy_from_slice(&seed.to_le_bytes()[..part.len()]);
    }
    ReplicationId(bytes).to_hex()
}

fn attached(node: &mut Node, client: ClientId, full: bool) {
    let port = node
        .replication
        .replicas
        .get(&client)
        .map_or(0, |replica| replica.port);
    node.note(Fact::ReplicaAttached { port, full });
    count_good_replicas(node);
}

fn set_state(node: &mut Node, client: ClientId, state: ReplicaState) {
    if let Some(replica) = node.replication.replicas.get_mut(&client) {
        replica.state = state;
    }
}

/// `REPLCONF`. `None`: no answer.
pub(crate) fn replconf(node: &mut Node, client: ClientId, arguments: &[Word]) -> Option<Reply> {
    if !arguments.len().is_multiple_of(2) {
        return Some(Reply::error("ERR syntax error"));
    }
    for pair in arguments.chunks_exact(2) {
        let (option, value) = (&pair[0], &pair[1]);
        let text = String::from_utf8_lossy(value);
        match option.to_ascii_lowercase().as_slice() {
            b"listening-port" => match text.parse() {
                Ok(port) => introduce(node, client).port = port,
                Err(_) => return Some(Reply::error("ERR value is not an integer or out of range")),
            },
            b"ip-address" => introduce(node, client).announced_ip = Some(text.into()),
            // Other abilities are of no use here.
            b"capa" => introduce(node, client).takes_mark |= value.eq_ignore_ascii_case(b"eof"),
            b"rdb-only" => match string_to_i64(value) {
                Some(only) => introduce(node, client).wants_no_stream = only == 1,
                None => return Some(Reply::error("ERR value is not an integer or out of range")),
            },
            b"rdb-filter-only" => {
                introduce(node, client).wants_no_keys = true;
                let unknown = |filter: &&str| !filter.eq_ignore_ascii_case("functions");
                if let Some(filter) = text.split_whitespace().find(unknown) {
                    return Some(Reply::Error(
                        format!("ERR Unsupported rdb-filter-only option: {filter}").into(),
                    ));
                }
            }
            b"version" if node.has_quirk(Quirk::ReplicatesSetSlot) => {
                let major = text.split('.').next().and_then(|major| major.parse().ok());
                let takes_set_slot = major.is_some_and(|major: u32| major > LAST_WITHOUT_SET_SLOT);
                introduce(node, client).takes_set_slot = takes_set_slot;
            }
            b"ack" => {
                acknowledge(node, client, &text);
                return None;
            }
            b"getack" => return None,
            _ => {
                let option = String::from_utf8_lossy(option);
                return Some(Reply::Error(
                    format!("ERR Unrecognized REPLCONF option: {option}").into(),
                ));
            }
        }
    }
    Some(Reply::OK)
}

fn introduce(node: &mut Node, client: ClientId) -> &mut Replica {
    node.replication
        .replicas
        .entry(client)
        .or_insert_with(Replica::new)
}

fn acknowledge(node: &mut Node, client: ClientId, text: &str) {
    let now_s = node.unix_s();
    if let (Some(replica), Ok(offset)) = (
        node.replication.replicas.get_mut(&client),
        text.parse::<u64>(),
    ) {
        replica.acknowledged = replica.acknowledged.max(offset);
        replica.acknowledged_s = now_s;
        if std::mem::take(&mut replica.is_held) {
            let what = ToReplica::Release;
            node.outbox.push(Action::ToReplica { client, what });
        }
    }
}

/// A replica's connection ended.
pub(crate) fn replica_closed(node: &mut Node, client: ClientId) {
    if node
        .replication
        .replicas
        .remove(&client)
        .is_some_and(|replica| replica.is_attached())
    {
        count_good_replicas(node);
    }
}

/// Sends every replica away; they come back and resync (`disconnectSlaves`).
pub(super) fn disconnect_replicas(node: &mut Node) {
    let attached = node
        .replication
        .replicas
        .iter()
        .filter(|(_, replica)| replica.is_attached());
    for client in attached.map(|(&client, _)| client).collect::<Vec<_>>() {
        disconnect(node, client);
    }
}

fn disconnect(node: &mut Node, client: ClientId) {
    node.replication.replicas.remove(&client);
    clients::closed(node, client);
    node.outbox.push(Action::CloseClient { client });
    count_good_replicas(node);
}

/// The master's half of `replicationCron`.
pub(super) fn cron(node: &mut Node) {
    let any_attached = node.replication.replicas.values().any(Replica::is_attached);
    let period = node.config.repl_ping_replica_period_s.max(1).unsigned_abs();
    if any_attached && node.replication.cron_loops.is_multiple_of(period) {
        let hand_over = node.manual_failover.is_running() && clients::writes_paused(node);
        if !hand_over && node.replication.follower.is_none() {
            let needs_select = node.replication.needs_select;
            // A ping goes to whatever database is selected: it needs no SELECT.
            node.replication.needs_select = false;
            feed_replicas(node, [Word::from_static(b"PING")]);
            node.replication.needs_select = needs_select;
        }
    }
    drop_silent_replicas(node);
    let (now_s, delay_s) = (node.unix_s(), node.config.repl_diskless_sync_delay_s);
    let waiting: Vec<(ClientId, i64)> = (node.replication.replicas.iter())
        .filter_map(|(&client, replica)| match replica.state {
            ReplicaState::WaitsForSnapshot(since_s) => Some((client, since_s)),
            ReplicaState::Introduced | ReplicaState::Online => None,
        })
        .collect();
    if waiting
        .iter()
        .any(|&(_, since_s)| now_s - since_s >= delay_s)
    {
        for (client, _) in waiting {
            send_snapshot(node, client);
        }
    }
    count_good_replicas(node);
}

fn drop_silent_replicas(node: &mut Node) {
    let (now_s, timeout_s) = (node.unix_s(), node.config.repl_timeout_s);
    let silent: Vec<ClientId> = (node.replication.replicas.iter())
        .filter(|(_, replica)| {
            replica.state == ReplicaState::Online && now_s - replica.acknowledged_s > timeout_s
        })
        .map(|(&client, _)| client)
        .collect();
    for client in silent {
        disconnect(node, client);
    }
}

/// `refreshGoodSlavesCount`.
fn count_good_replicas(node: &mut Node) {
    let (wanted, max_lag_s) = (
        node.config.min_replicas_to_write,
        node.config.min_replicas_max_lag_s,
    );
    if wanted == 0 || max_lag_s == 0 {
        return;
    }
    let now_s = node.unix_s();
    let online = node
        .replication
        .replicas
        .values()
        .filter(|replica| replica.state == ReplicaState::Online);
    let good = online
        .filter(|replica| now_s - replica.acknowledged_s <= max_lag_s)
        .count() as u16;
    let before = std::mem::replace(&mut node.replication.good_replicas, good);
    if (before >= wanted) != (good >= wanted) {
        node.note(Fact::GoodReplicas {
            count: good,
            enough: good >= wanted,
        });
    }
}
