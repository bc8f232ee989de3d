//! What a node reports of itself, in Redis's own log words.
//!
//! Facts are the raw material of the event log: every report and every checker reads them and
//! nothing else. The node emits a fact where Redis logs a line, and where a rule of the protocol
//! decided something that a checker must be able to verify.

use serde::{Deserialize, Serialize};

use crate::ids::{NodeId, ReplicationId};
use crate::slot::SlotRange;

/// One thing a node did, saw or decided.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
#[serde(tag = "fact", rename_all = "kebab-case")]
pub enum Fact {
    // -- life ------------------------------------------------------------------------------
    /// The node started.
    Started {
        /// Its id.
        id: NodeId,
        /// Whether a state file was found.
        restored: bool,
        /// The epoch it remembers.
        current_epoch: u64,
        /// The last vote it remembers.
        last_vote_epoch: u64,
    },
    /// The node's role at start, and every change of it.
    Role {
        /// Its master; `None` for a master.
        replica_of: Option<NodeId>,
        /// Why it changed.
        why: RoleChange,
    },
    /// The state the node would answer `CLUSTER INFO` with changed.
    ClusterState {
        /// Ok or fail.
        ok: bool,
        /// What decided it.
        why: StateReason,
    },

    // -- membership ------------------------------------------------------------------------
    /// A handshake with an address began.
    HandshakeStarted {
        /// The made-up id it goes by for now.
        node: NodeId,
    },
    /// The node at that address told its name.
    HandshakeCompleted {
        /// Its id.
        node: NodeId,
    },
    /// Nobody answered in time.
    HandshakeTimedOut {
        /// The made-up id.
        node: NodeId,
    },
    /// A node was learned of by gossip.
    NodeAdded {
        /// Its id.
        node: NodeId,
    },
    /// A node was removed from the table (`CLUSTER FORGET`, `CLUSTER RESET`).
    NodeRemoved {
        /// Its id.
        node: NodeId,
    },
    /// A node's address changed.
    AddressUpdated {
        /// Its id.
        node: NodeId,
    },
    /// A peer's role changed in this node's view.
    PeerRole {
        /// The peer.
        node: NodeId,
        /// Its master; `None` for a master.
        replica_of: Option<NodeId>,
    },

    // -- failure detection -----------------------------------------------------------------
    /// The node alone suspects a peer (PFAIL).
    PossiblyFailing {
        /// The peer.
        node: NodeId,
    },
    /// The suspicion ended with a pong.
    NoLongerPossiblyFailing {
        /// The peer.
        node: NodeId,
    },
    /// A master's gossip reported a peer as failing. Renewals of the report are not noted; the
    /// age of the last one stands in [`Fact::MarkedFailing`].
    FailureReported {
        /// The peer reported.
        node: NodeId,
        /// Who reported it.
        by: NodeId,
    },
    /// A reporter took its report back.
    FailureReportWithdrawn {
        /// The peer.
        node: NodeId,
        /// Who had reported it.
        by: NodeId,
    },
    /// The node marked a peer FAIL because a quorum agreed.
    MarkedFailing {
        /// The peer.
        node: NodeId,
        /// The reports it rests on, without the node's own opinion.
        reports: Box<[FailureReport]>,
        /// Whether the node counted its own opinion.
        counted_self: bool,
        /// Votes needed.
        needed: u16,
    },
    /// Another node's FAIL message marked a peer.
    FailReceived {
        /// The peer.
        node: NodeId,
        /// Who sent it.
        from: NodeId,
    },
    /// A FAIL mark was removed.
    FailCleared {
        /// The peer.
        node: NodeId,
        /// Why.
        why: FailCleared,
    },

    // -- election --------------------------------------------------------------------------
    /// A replica will ask for votes after a delay.
    ElectionScheduled {
        /// The failing master.
        master: NodeId,
        /// Delay in ms.
        delay_ms: i64,
        /// Rank among the siblings.
        rank: u16,
        /// The replica's offset.
        offset: u64,
        /// Whether it is a manual failover.
        manual: bool,
    },
    /// A sibling turned out to have better data.
    RankUpdated {
        /// The new rank.
        rank: u16,
        /// Delay added, ms.
        added_ms: i64,
    },
    /// Other masters failed or came back while a replica waited: its master's rank among the failed
    /// changed.
    MasterRankUpdated {
        /// The new rank.
        rank: u16,
        /// Delay added, ms; negative if it became shorter.
        added_ms: i64,
    },
    /// An election is given up, so that the next may begin at once.
    ElectionReset {
        /// The epoch of the election that is given up.
        epoch: u64,
        /// Why.
        why: ElectionReset,
    },
    /// A replica asked for votes.
    ElectionStarted {
        /// The epoch of the election.
        epoch: u64,
        /// The failing master.
        master: NodeId,
        /// Votes needed, as this node counts the cluster.
        needed: u16,
    },
    /// A master voted.
    VoteGranted {
        /// For whom.
        to: NodeId,
        /// For which master's place.
        master: Box<NodeId>,
        /// In which epoch.
        epoch: u64,
    },
    /// A master did not vote.
    VoteRefused {
        /// Whom it refused.
        to: NodeId,
        /// The epoch asked for.
        epoch: u64,
        /// Why.
        why: Box<VoteRefusal>,
    },
    /// A vote was counted.
    VoteReceived {
        /// From whom.
        from: NodeId,
        /// The voter's current epoch.
        voter_epoch: u64,
        /// The election's epoch as the candidate has it.
        election_epoch: u64,
        /// Votes so far.
        votes: u16,
    },
    /// The candidate takes its master's place.
    ElectionWon {
        /// The election's epoch.
        epoch: u64,
        /// Votes counted.
        votes: u16,
        /// Votes needed.
        needed: u16,
        /// The master replaced.
        master: NodeId,
        /// How it came about.
        how: FailoverKind,
        /// The replica's offset at that moment.
        offset: u64,
    },
    /// Why a failover does not happen yet (`clusterLogCantFailover`).
    FailoverUnable {
        /// The reason.
        why: FailoverObstacle,
    },

    // -- manual failover -------------------------------------------------------------------
    /// `CLUSTER FAILOVER` was accepted by a replica.
    ManualFailoverAccepted {
        /// Its kind.
        how: FailoverKind,
    },
    /// A master pauses its writers for a replica.
    ManualFailoverRequested {
        /// The replica.
        by: NodeId,
    },
    /// The replica knows the offset it must reach.
    ManualFailoverOffset {
        /// The paused master's offset.
        offset: u64,
    },
    /// The replica reached it.
    ManualFailoverReady,
    /// It took too long.
    ManualFailoverTimedOut,

    // -- epochs and slots ------------------------------------------------------------------
    /// `currentEpoch` changed.
    CurrentEpoch {
        /// The new value.
        epoch: u64,
    },
    /// The node's own config epoch changed.
    ConfigEpoch {
        /// The new value.
        epoch: u64,
        /// Why.
        why: EpochChange,
    },
    /// A peer's config epoch changed in this node's view.
    PeerConfigEpoch {
        /// The peer.
        node: NodeId,
        /// The new value.
        epoch: u64,
    },
    /// Slots changed owner in this node's view.
    SlotsOwned {
        /// The new owner; `None`: nobody.
        owner: Option<NodeId>,
        /// The owner's config epoch.
        epoch: u64,
        /// The slots.
        slots: Box<[SlotRange]>,
        /// Why.
        why: SlotChange,
    },
    /// A slot is being moved away (`SETSLOT MIGRATING`), taken in (`IMPORTING`) or neither
    /// (`STABLE`).
    SlotMigration {
        /// The slot.
        slot: u16,
        /// Which.
        state: SlotMigration,
    },
    /// A peer with a stale view of a slot was told.
    UpdateSent {
        /// The peer.
        to: NodeId,
        /// The owner it was told of.
        about: NodeId,
    },
    /// Keys of slots that were lost to another master were deleted.
    DirtySlotsDeleted {
        /// Number of keys.
        keys: u64,
    },
    /// A replica moves to a master without replicas.
    MigratingToOrphan {
        /// The master.
        master: NodeId,
    },

    // -- replication -----------------------------------------------------------------------
    /// The connection to the master was lost.
    MasterLinkLost,
    /// The replica asks for a sync.
    SyncStarted {
        /// The history and the next byte it asks for; `None` asks for a full resync.
        from: Option<(ReplicationId, u64)>,
    },
    /// The snapshot is loaded and the stream goes on behind it.
    FullResyncDone {
        /// History.
        id: ReplicationId,
        /// Offset.
        offset: u64,
        /// Keys loaded.
        keys: u64,
    },
    /// The stream goes on where it had stopped.
    PartialResyncDone {
        /// History.
        id: ReplicationId,
        /// Offset.
        offset: u64,
    },
    /// A master accepted a replica.
    ReplicaAttached {
        /// The replica's client port, as it announced it.
        port: u16,
        /// Whether it needed the snapshot.
        full: bool,
    },
    /// The history forked: a promoted replica goes on under an id of its own.
    ReplicationIdChanged {
        /// The new id.
        id: ReplicationId,
        /// The old id, valid up to `offset`.
        previous: Box<ReplicationId>,
        /// Offset of the fork.
        offset: u64,
    },
    /// Where the node's replication stream stands at the end of a turn in which it moved.
    Stream {
        /// History.
        id: ReplicationId,
        /// Bytes produced (master) or applied (replica).
        offset: u64,
        /// A running digest of the stream, comparable between nodes of one history.
        digest: u64,
    },
    /// A master executed a client's write.
    Wrote {
        /// `write_digest(key, value)`, as the client computed it too.
        write: u64,
        /// The offset right after it.
        offset: u64,
    },
    /// A `WAIT` was answered.
    WaitAnswered {
        /// The offset it waited for.
        offset: u64,
        /// Replicas that had acknowledged it.
        replicas: u16,
    },
    /// The master accepts, or no longer accepts, writes for want of replicas
    /// (`min-replicas-to-write`).
    GoodReplicas {
        /// How many are attached and timely.
        count: u16,
        /// Whether that is enough.
        enough: bool,
    },

    // -- clients ---------------------------------------------------------------------------
    /// Writes are held back.
    WritesPaused,
    /// Writes flow again.
    WritesResumed,
    /// All keys were deleted.
    Flushed {
        /// Number of keys.
        keys: u64,
    },

    // -- trouble ---------------------------------------------------------------------------
    /// A packet could not be read.
    BadPacket {
        /// What is wrong with it.
        error: Box<str>,
    },
    /// A client's bytes could not be read.
    BadCommand {
        /// What is wrong with them.
        error: Box<str>,
    },
    /// A message of a node that is not a member was dropped.
    UnknownSender {
        /// The id it gave.
        node: NodeId,
    },
}

/// One failure report that a FAIL rests on.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct FailureReport {
    /// The reporting master.
    pub by: NodeId,
    /// Age of the report, ms.
    pub age_ms: i64,
}

/// Why a node's role changed.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum RoleChange {
    /// It is the role the node started with.
    Start,
    /// It won an election or took over.
    Promoted,
    /// Its slots went to another master.
    SlotsTaken,
    /// Its master became a replica.
    SubReplica,
    /// It moved to an orphaned master.
    ReplicaMigration,
    /// `CLUSTER REPLICATE`.
    Operator,
    /// `CLUSTER RESET`.
    Reset,
}

/// What decided the cluster state.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum StateReason {
    /// All conditions hold.
    AllGood,
    /// A slot has no owner (and full coverage is required).
    SlotUnowned,
    /// A slot's owner is FAIL (and full coverage is required).
    SlotOwnerFailed,
    /// Fewer voting masters are reachable than a quorum.
    Minority,
}

/// Why a FAIL mark was removed.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum FailCleared {
    /// A replica is reachable again.
    ReplicaReachable,
    /// A master without slots is reachable again.
    MasterWithoutSlots,
    /// Nobody took its slots in 2 x node-timeout.
    NobodyServesItsSlots,
}

/// How a replica became a master.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum FailoverKind {
    /// Its master failed.
    Automatic,
    /// `CLUSTER FAILOVER`.
    Manual,
    /// `CLUSTER FAILOVER FORCE`.
    Force,
    /// `CLUSTER FAILOVER TAKEOVER`.
    Takeover,
}

/// Why an election is given up before its time.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", tag = "reset-by")]
pub enum ElectionReset {
    /// Another master claims an epoch that is not lower: the election can no longer be won.
    Claim {
        /// The master.
        by: NodeId,
        /// The epoch it claims.
        #[serde(rename = "claimed")]
        epoch: u64,
    },
    /// The replica has another master now.
    NewMaster,
    /// A manual failover may begin.
    ManualFailover,
}

/// Why a master did not vote, in the order of the checks.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", tag = "reason")]
pub enum VoteRefusal {
    /// The request's epoch is older than the voter's.
    StaleEpoch {
        /// The voter's current epoch.
        current_epoch: u64,
    },
    /// The voter voted in this epoch.
    AlreadyVoted,
    /// The requester is a master.
    IsMaster,
    /// The voter does not know the requester's master.
    MasterUnknown,
    /// The requester's master is not FAIL.
    MasterIsUp,
    /// The voter voted for a replica of that master less than 2 x node-timeout ago.
    VotedForThatMaster {
        /// How long it will refuse on, ms.
        wait_ms: i64,
    },
    /// A claimed slot is owned under a higher epoch.
    StaleSlotEpoch {
        /// The slot.
        slot: u16,
        /// Its owner's config epoch.
        slot_epoch: u64,
        /// The config epoch of the request.
        request_epoch: u64,
    },
}

/// Why a failover does not happen (`CLUSTER_CANT_FAILOVER_*`).
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum FailoverObstacle {
    /// The replica was cut off from its master for too long.
    DataAge,
    /// The election delay runs.
    WaitingDelay,
    /// The election expired.
    Expired,
    /// Votes are missing.
    WaitingVotes,
}

/// Why the node's own config epoch changed.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum EpochChange {
    /// It is the epoch the node started with.
    Restored,
    /// It won an election.
    Election,
    /// `CLUSTER FAILOVER TAKEOVER`.
    Takeover,
    /// Another master had the same one.
    Collision,
    /// `CLUSTER BUMPEPOCH`.
    Bump,
    /// `CLUSTER SET-CONFIG-EPOCH`.
    Operator,
    /// A slot was imported.
    Import,
    /// `CLUSTER RESET HARD`.
    Reset,
}

/// Why slots changed owner in a view.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum SlotChange {
    /// Read from the state file.
    Restored,
    /// A header or an UPDATE claimed them.
    Claimed,
    /// The node took its master's place.
    Promoted,
    /// `ADDSLOTS`, `DELSLOTS`, `FLUSHSLOTS`.
    Operator,
    /// `SETSLOT NODE`.
    SetSlot,
    /// The owner became a replica or was removed.
    OwnerGone,
    /// Keys were found for an unassigned slot at start.
    FoundKeys,
}

/// What a slot is doing.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum SlotMigration {
    /// Moving away to this node.
    Migrating(NodeId),
    /// Being taken in from this node.
    Importing(NodeId),
    /// Neither.
    Stable,
}

/// The digest by which a client's write is recognised in the event log: of the command's key and
/// value.
#[must_use]
pub fn write_digest(key: &[u8], value: &[u8]) -> u64 {
    write_digest_of(key_digest(key), value)
}

/// [`write_digest`] of a key whose [`key_digest`] is known.
#[must_use]
pub fn write_digest_of(key_digest: u64, value: &[u8]) -> u64 {
    xxhash_rust::xxh3::xxh3_64_with_seed(value, key_digest)
}

/// The digest by which a key is recognised in the event log.
#[must_use]
pub fn key_digest(key: &[u8]) -> u64 {
    xxhash_rust::xxh3::xxh3_64(key)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_fact_leaves_room_for_where_and_when_in_a_cache_line() {
        assert!(size_of::<Fact>() <= 48, "{}", size_of::<Fact>());
    }
}
