//! Replication: histories, offsets, and who follows whom.
//!
//! One stream of commands runs from a master to its replicas. A history id names it, an offset in
//! bytes measures it. `source` is the master's half, `follower` the replica's.

mod backlog;
mod follower;
mod source;

use std::collections::BTreeMap;
use std::net::SocketAddr;

use crate::action::Action;
use crate::clients;
use crate::cluster::{MYSELF, PeerIndex};
use crate::config::Config;
use crate::election;
use crate::engine::Bug;
use crate::engine::Quirk;
use crate::fact::{ElectionReset, Fact, RoleChange};
use crate::ids::{ClientId, ReplicationId};
use crate::input::CommandLine;
use crate::manual_failover;
use crate::membership;
use crate::message::NodeFlags;
use crate::node::Node;
use crate::open_slots;
use crate::word::Word;

use self::backlog::Backlog;
pub(crate) use self::follower::{LinkState, from_master};
pub(crate) use self::source::{
    Replica, ReplicaState, acknowledged_by, ask_for_acks_now, begin_transaction, end_transaction,
    feed_replicas, good_replicas, propagate, psync, replconf, replica_closed, request_acks,
    set_slot_takers,
};

/// What a node knows of its replication stream.
#[derive(Debug)]
pub(crate) struct Replication {
    id: ReplicationId,
    /// The history this one forked from (`replid2`).
    previous_id: ReplicationId,
    /// The first offset that is not common with it (`second_replid_offset`).
    forked_at: Option<u64>,
    /// Bytes produced (master) or applied (replica).
    offset: u64,
    /// Running digest of the stream, for the checkers.
    digest: u64,
    /// On a replica: whether `id` and `offset` mean anything (`master` or `cached_master` is set).
    has_history: bool,
    backlog: Option<Backlog>,
    replicas: BTreeMap<ClientId, Replica>,
    /// What the commands of a transaction that runs are to feed.
    transaction: Option<Held>,
    follower: Option<follower::Follower>,
    /// Since when the link to the master is down, Unix s; 0: it never was up.
    down_since_s: i64,
    /// Whether the stream's next command needs a SELECT before it (`slaveseldb == -1`).
    needs_select: bool,
    wants_acks: bool,
    good_replicas: u16,
    cron_loops: u64,
    noted_offset: u64,
    pub(crate) full_syncs: u64,
    pub(crate) partial_syncs: u64,
    pub(crate) refused_partial_syncs: u64,
}

/// What the commands of a transaction that runs are to feed, and what they wrote.
#[derive(Debug, Default)]
struct Held {
    commands: Vec<CommandLine>,
    writes: Vec<u64>,
}

impl Replication {
    /// Whether a transaction runs.
    pub(crate) const fn is_in_transaction(&self) -> bool {
        self.transaction.is_some()
    }

    /// Keeps the digests of what a command of a transaction wrote until it is known where they
    /// stand in the stream.
    pub(crate) fn hold_writes(&mut self, writes: impl Iterator<Item = u64>) {
        if let Some(held) = &mut self.transaction {
            held.writes.extend(writes);
        }
    }

    pub(crate) const fn new(id: ReplicationId, _config: &Config) -> Self {
        Self {
            id,
            previous_id: ReplicationId::ZERO,
            forked_at: None,
            offset: 0,
            digest: 0,
            has_history: false,
            backlog: None,
            replicas: BTreeMap::new(),
            transaction: None,
            follower: None,
            down_since_s: 0,
            needs_select: true,
            wants_acks: false,
            good_replicas: 0,
            cron_loops: 0,
            noted_offset: 0,
            full_syncs: 0,
            partial_syncs: 0,
            refused_partial_syncs: 0,
        }
    }

    /// The history's id.
    pub(crate) const fn id(&self) -> ReplicationId {
        self.id
    }

    /// Running digest of the stream, for the checkers.
    pub(crate) const fn stream_digest(&self) -> u64 {
        self.digest
    }

    /// What a snapshot on disk tells of its place in a history, if that means anything to a
    /// replica (`rdbPopulateSaveInfo`).
    pub(crate) const fn saved_position(&self) -> Option<(ReplicationId, u64)> {
        let is_fed = self.follower.is_none() && self.backlog.is_some();
        if is_fed || self.has_history {
            Some((self.id, self.offset))
        } else {
            None
        }
    }

    /// The history it forked from, and the first offset that is not common.
    pub(crate) fn previous(&self) -> (ReplicationId, Option<u64>) {
        (self.previous_id, self.forked_at)
    }

    /// `master_repl_offset`.
    pub(crate) const fn own_offset(&self) -> u64 {
        self.offset
    }

    /// Whether a replica's link to its master is up and in sync.
    pub(crate) fn link_up(&self) -> bool {
        self.link_state() == Some(LinkState::Connected)
    }

    /// The state of a replica's link to its master; `None` on a master.
    pub(crate) fn link_state(&self) -> Option<LinkState> {
        self.follower.as_ref().map(|follower| follower.state)
    }

    /// The address of the master followed, and Unix s of its last sign of life.
    pub(crate) fn master(&self) -> Option<(SocketAddr, i64)> {
        self.follower
            .as_ref()
            .map(|follower| (follower.to, follower.last_interaction_s))
    }

    /// Since when the link to the master is down, Unix s; 0: never up.
    pub(crate) const fn down_since_s(&self) -> i64 {
        self.down_since_s
    }

    /// The attached replicas.
    pub(crate) fn replicas(&self) -> impl Iterator<Item = (ClientId, &Replica)> {
        self.replicas
            .iter()
            .map(|(&client, replica)| (client, replica))
    }

    /// Whether a client is a replica.
    pub(crate) fn is_replica(&self, client: ClientId) -> bool {
        self.replicas.get(&client).is_some_and(Replica::is_attached)
    }

    /// Lets the backlog grow to another size (`resizeReplicationBacklog`).
    pub(crate) fn resize_backlog(&mut self, limit_bytes: u64) {
        if let Some(backlog) = &mut self.backlog {
            backlog.resize(limit_bytes);
        }
    }

    /// First offset and length of the backlog, bytes, if there is one.
    pub(crate) fn backlog(&self) -> Option<(u64, u64)> {
        self.backlog
            .as_ref()
            .map(|backlog| (backlog.first_offset(), backlog.len_bytes()))
    }
}

/// The offset a node announces: produced by a master, applied by a replica
/// (`replicationGetSlaveOffset`).
pub(crate) fn offset(node: &Node) -> u64 {
    let replication = &node.replication;
    if node.cluster.myself().is_master() || replication.has_history {
        replication.offset
    } else {
        0
    }
}

/// A file told of the history it was written in. A replica goes on with it; a master goes on
/// under a new id, and whoever has the old one may follow (`loadDataFromDisk`).
pub(crate) fn restore(node: &mut Node, id: ReplicationId, offset: u64, digest: u64) {
    let is_master = node.cluster.myself().is_master();
    let limit_bytes = node.config.repl_backlog_size_bytes;
    let replication = &mut node.replication;
    (replication.offset, replication.digest) = (offset, digest);
    if is_master {
        replication.previous_id = id;
        replication.forked_at = Some(offset + 1);
        replication.backlog = Some(Backlog::new(offset, limit_bytes));
    } else {
        replication.id = id;
        replication.has_history = true;
    }
}

/// How old a replica's data may be, s.
pub(crate) fn data_age_s(node: &Node) -> i64 {
    match &node.replication.follower {
        Some(follower) if follower.state == LinkState::Connected => {
            node.unix_s() - follower.last_interaction_s
        }
        Some(_) | None => node.unix_s() - node.replication.down_since_s,
    }
}

/// `CLUSTER REPLICATE`, after the checks.
pub(crate) fn replicate(node: &mut Node, master: PeerIndex) {
    follow(node, master, RoleChange::Operator);
    node.update_state_later();
    node.save_config(false);
}

/// Makes this node a replica of `master` (`clusterSetMaster`).
pub(crate) fn follow(node: &mut Node, master: PeerIndex, why: RoleChange) {
    // The shard goes on with its open slots under its new master; another's are another matter.
    let mends = node.has_quirk(Quirk::MendsOpenSlots);
    let keeps_open_slots =
        why == RoleChange::SlotsTaken && open_slots::share_shard(node, master, MYSELF);
    if mends && !keeps_open_slots {
        node.cluster.migrating.clear();
        node.cluster.importing.clear();
    }
    let myself = node.cluster.myself();
    if myself.is_master() {
        let was = NodeFlags::MASTER | NodeFlags::MIGRATE_TO;
        node.cluster.remark(MYSELF, was, NodeFlags::REPLICA);
        node.cluster.topology += 1;
        if !mends {
            node.cluster.migrating.clear();
            node.cluster.importing.clear();
        }
    } else if let Some(old) = myself.replica_of {
        membership::remove_replica(node, old, MYSELF);
    }
    node.cluster.myself_mut().replica_of = Some(master);
    membership::join_shard(node, MYSELF, master);
    membership::add_replica(node, master, MYSELF);
    let id = node.cluster[master].id;
    node.note(Fact::Role {
        replica_of: Some(id),
        why,
    });
    set_master(node, master);
    manual_failover::reset(node);
    if node.has_quirk(Quirk::NewMasterResetsElection) {
        election::reset(node, ElectionReset::NewMaster);
    }
}

/// Starts to follow a master's stream (`replicationSetMaster`).
pub(crate) fn set_master(node: &mut Node, master: PeerIndex) {
    let address = node.cluster[master].address;
    let Some(ip) = address.ip else { return };
    let replication = &mut node.replication;
    if replication.follower.is_none() {
        // A master that turns replica may go on from where its own history stands.
        replication.has_history = true;
    }
    clients::redirect_blocked(node);
    follower::follow(node, SocketAddr::new(ip, address.port));
}

/// Follows the master as soon as its address is known: after a start, or a lost address.
pub(crate) fn adopt_master_address(node: &mut Node) {
    let myself = node.cluster.myself();
    if let Some(master) = myself.replica_of.filter(|_| myself.is_replica())
        && node.replication.follower.is_none()
        && !node.cluster[master].flags.contains(NodeFlags::NOADDR)
    {
        set_master(node, master);
    }
}

/// The winner of an election goes on under a history of its own.
pub(crate) fn promote(node: &mut Node) {
    unset_master(node);
    if node.has_bug(Bug::PromotedEmpty) {
        node.store.clear();
    }
    node.note(Fact::Role {
        replica_of: None,
        why: RoleChange::Promoted,
    });
}

/// Stops following; the history forks here (`replicationUnsetMaster`).
pub(crate) fn unset_master(node: &mut Node) {
    if node.replication.follower.take().is_none() {
        return;
    }
    node.outbox.push(Action::CloseMaster);
    let id = node.random.names.replication_id();
    let replication = &mut node.replication;
    let previous = std::mem::replace(&mut replication.id, id);
    replication.previous_id = previous;
    replication.forked_at = Some(replication.offset + 1);
    replication.has_history = false;
    replication.needs_select = true;
    replication.down_since_s = 0;
    let offset = replication.offset;
    node.note(Fact::ReplicationIdChanged {
        id,
        previous: Box::new(previous),
        offset,
    });
    // Replicas must learn of the new id: they come back at once and resync partially.
    source::disconnect_replicas(node);
    clients::redirect_blocked(node);
}

/// Goes on under another id, of which no replica knows (`changeReplicationId`,
/// `clearReplicationId2`).
pub(crate) fn change_id(node: &mut Node) {
    let id = node.random.names.replication_id();
    let replication = &mut node.replication;
    replication.id = id;
    replication.previous_id = ReplicationId::ZERO;
    replication.forked_at = None;
}

/// `replicationCron`, once a second.
pub(crate) fn cron(node: &mut Node) {
    follower::cron(node);
    source::cron(node);
    node.replication.cron_loops += 1;
}

/// Before the node sleeps: asks for acknowledgements, tells how far the stream moved.
pub(crate) fn turn_end(node: &mut Node) {
    source::ask_for_acks(node);
    if node.replication.offset != node.replication.noted_offset {
        note_position(node);
    }
}

/// Tells where the stream stands.
fn note_position(node: &mut Node) {
    let replication = &mut node.replication;
    replication.noted_offset = replication.offset;
    let (id, offset, digest) = (replication.id, replication.offset, replication.digest);
    node.note(Fact::Stream { id, offset, digest });
}

/// Room for a command whose digest is taken in one go.
const DIGEST_ROOM: usize = 256;

/// The digest of a stream after one more command.
fn digest_on(digest: u64, command: &[Word]) -> u64 {
    let mut room = [0; DIGEST_ROOM];
    let mut end = 0;
    for word in command {
        let Some((len, place)) = room[end..].split_first_chunk_mut() else {
            return digest_of_long(digest, command);
        };
        *len = (word.len() as u64).to_le_bytes();
        if let (Some(bytes), Some(place)) = (word.in_place(), place.first_chunk_mut()) {
            *place = *bytes;
        } else if let Some(place) = place.get_mut(..word.len()) {
            place.copy_from_slice(word);
        } else {
            return digest_of_long(digest, command);
        }
        end += len.len() + word.len();
    }
    xxhash_rust::xxh3::xxh3_64_with_seed(&room[..end], digest)
}

/// The same for a command of any length; to set it up takes longer than to hash a short one.
fn digest_of_long(digest: u64, command: &[Word]) -> u64 {
    let mut hash = xxhash_rust::xxh3::Xxh3::with_seed(digest);
    for word in command {
        hash.update(&(word.len() as u64).to_le_bytes());
        hash.update(word);
    }
    hash.digest()
}

/// Moves the stream on by one command.
fn advance(replication: &mut Replication, command: CommandLine, wire_len: usize) {
    replication.offset += wire_len as u64;
    replication.digest = digest_on(replication.digest, &command);
    if let Some(backlog) = &mut replication.backlog {
        backlog.push(replication.offset, command, wire_len);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_long_command_has_the_digest_a_short_one_would_have() {
        for len in [0, 1, 20, 200, 1000] {
            let command = [Word::from("SET"), Word::from(vec![b'x'; len])];
            assert_eq!(digest_on(7, &command), digest_of_long(7, &command));
        }
    }
}
