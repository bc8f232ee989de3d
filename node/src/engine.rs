//! Engine profiles: which server's behaviour the node has.
//!
//! An engine is a set of [`Quirk`]s, each a difference from Redis 7.0 that changes a failover, with
//! the change of the upstream project that made it. What an engine has, every later one has too.
//! A [`Bug`] is something else: a deviation from every engine, for testing the checkers.

use serde::{Deserialize, Serialize};

/// The server a node behaves like. Ordered by age.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug, Default, Serialize, Deserialize)]
#[non_exhaustive]
pub enum Engine {
    /// Redis 7.0 (7.0.15), its bugs included (redis-8752).
    #[default]
    #[serde(rename = "redis-7.0")]
    Redis70,
    /// Redis 7.2 (7.2.6).
    #[serde(rename = "redis-7.2")]
    Redis72,
    /// Valkey 8.0 (8.0.1).
    #[serde(rename = "valkey-8.0")]
    Valkey80,
    /// Valkey 8.1 (8.1.0).
    #[serde(rename = "valkey-8.1")]
    Valkey81,
    /// Valkey 9.0 (9.0.0).
    #[serde(rename = "valkey-9.0")]
    Valkey90,
}

impl Engine {
    /// Every engine, oldest first.
    pub const ALL: &'static [Self] = &[
        Self::Redis70,
        Self::Redis72,
        Self::Valkey80,
        Self::Valkey81,
        Self::Valkey90,
    ];

    /// The name in a drill file.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Redis70 => "redis-7.0",
            Self::Redis72 => "redis-7.2",
            Self::Valkey80 => "valkey-8.0",
            Self::Valkey81 => "valkey-8.1",
            Self::Valkey90 => "valkey-9.0",
        }
    }

    /// The server's own version, as `HELLO` tells it.
    #[must_use]
    pub const fn version(self) -> &'static str {
        match self {
            Self::Redis70 => "7.0.15",
            Self::Redis72 => "7.2.6",
            Self::Valkey80 => "8.0.1",
            Self::Valkey81 => "8.1.0",
            Self::Valkey90 => "9.0.0",
        }
    }

    /// The version of Redis it claims to be compatible with: `redis_version` of `INFO`.
    #[must_use]
    pub const fn redis_version(self) -> &'static str {
        match self {
            Self::Redis70 | Self::Redis72 => self.version(),
            Self::Valkey80 | Self::Valkey81 | Self::Valkey90 => "7.2.4",
        }
    }

    /// What it calls itself in `HELLO` and `INFO`.
    #[must_use]
    pub const fn server(self) -> &'static str {
        match self {
            Self::Redis70 | Self::Redis72 => "redis",
            Self::Valkey80 | Self::Valkey81 | Self::Valkey90 => "valkey",
        }
    }

    /// What it has, that bears on a failover or a drill, and redrill has not.
    #[must_use]
    pub const fn not_modelled(self) -> &'static [&'static str] {
        match self {
            Self::Redis70 | Self::Redis72 | Self::Valkey80 | Self::Valkey81 => &[],
            Self::Valkey90 => &[
                "there is no CLUSTER MIGRATESLOTS: atomic slot migration (valkey#1949) is missing",
            ],
        }
    }

    /// Whether it has a quirk.
    #[must_use]
    pub fn has(self, quirk: Quirk) -> bool {
        self >= quirk.since()
    }
}

/// A difference from Redis 7.0 that changes a failover. [`Quirk::reference`] names the change that
/// made it, and the function it is in.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
#[non_exhaustive]
pub enum Quirk {
    /// Nodes have a shard id beside their own: a replica has that of its master. It travels in
    /// pings and stands in the state file.
    ShardIds,
    /// `CLUSTER FORGET` spreads with pings, so that one node need be told.
    GossipsForget,
    /// The only master of a cluster marks a silent node FAIL at once; nobody could report to it.
    SoleMasterMarksFail,
    /// Replicas with equal offsets rank by node id, so that they do not ask for votes at once.
    RankTieByNodeId,
    /// A replica whose rank becomes better while it waits asks earlier. Before, a rank could only
    /// become worse.
    RankMayImprove,
    /// A replica that gets another master forgets its election, so that its votes are not counted
    /// again (redis-8752) and the next failover does not wait for the retry time of the last.
    NewMasterResetsElection,
    /// A replica of a master without slots fails over too.
    EmptyShardFailsOver,
    /// A master without slots neither reports a node as failing nor counts itself when it marks one
    /// FAIL.
    OnlyVotersMarkFail,
    /// The config epoch of a node is taken from its header only if it is a master.
    EpochFromMastersOnly,
    /// `CLUSTER SETSLOT` runs on the replicas before it runs on the master, which waits for them as
    /// long as `TIMEOUT` says (2 s).
    ReplicatesSetSlot,
    /// A full resync carries the slots that are on their way.
    SyncsOpenSlots,
    /// The two ends of a slot's way are found again after a failover of either, and what a master
    /// missed of its end is made up for.
    MendsOpenSlots,
    /// A replica sends its readers on with ASK and TRYAGAIN as its master does.
    ReplicasAsk,
    /// A candidate that hears another master claim its epoch or a higher one begins anew at once
    /// instead of waiting for the retry time.
    ClaimResetsElection,
    /// Each failed master with a smaller shard id delays an election by half a second more, so that
    /// the elections of several shards do not fall into one epoch.
    FailedMasterRank,
    /// A voter may vote for one master's replicas again within two node-timeouts.
    NoVoteGuard,
    /// A manual failover that may begin resets an election that was under way or has expired.
    ManualFailoverResetsElection,
    /// The delay of an election is a thirtieth of the node-timeout, at most 500 ms; the random part
    /// and the delays for ranks scale with it.
    DelayScalesWithTimeout,
    /// A replica that is told of its master's FAIL schedules its election at the end of the turn
    /// instead of at its next cron.
    FailStartsElection,
}

impl Quirk {
    /// Every quirk, oldest first.
    pub const ALL: &'static [Self] = &[
        Self::ShardIds,
        Self::GossipsForget,
        Self::SoleMasterMarksFail,
        Self::RankTieByNodeId,
        Self::RankMayImprove,
        Self::NewMasterResetsElection,
        Self::EmptyShardFailsOver,
        Self::OnlyVotersMarkFail,
        Self::EpochFromMastersOnly,
        Self::ReplicatesSetSlot,
        Self::SyncsOpenSlots,
        Self::MendsOpenSlots,
        Self::ReplicasAsk,
        Self::ClaimResetsElection,
        Self::FailedMasterRank,
        Self::NoVoteGuard,
        Self::ManualFailoverResetsElection,
        Self::DelayScalesWithTimeout,
        Self::FailStartsElection,
    ];

    /// Its name in the docs.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::ShardIds => "shard-ids",
            Self::GossipsForget => "gossips-forget",
            Self::SoleMasterMarksFail => "sole-master-marks-fail",
            Self::RankTieByNodeId => "rank-tie-by-node-id",
            Self::RankMayImprove => "rank-may-improve",
            Self::NewMasterResetsElection => "new-master-resets-election",
            Self::EmptyShardFailsOver => "empty-shard-fails-over",
            Self::OnlyVotersMarkFail => "only-voters-mark-fail",
            Self::EpochFromMastersOnly => "epoch-from-masters-only",
            Self::ReplicatesSetSlot => "replicates-setslot",
            Self::SyncsOpenSlots => "syncs-open-slots",
            Self::MendsOpenSlots => "mends-open-slots",
            Self::ReplicasAsk => "replicas-ask",
            Self::ClaimResetsElection => "claim-resets-election",
            Self::FailedMasterRank => "failed-master-rank",
            Self::NoVoteGuard => "no-vote-guard",
            Self::ManualFailoverResetsElection => "manual-failover-resets-election",
            Self::DelayScalesWithTimeout => "delay-scales-with-timeout",
            Self::FailStartsElection => "fail-starts-election",
        }
    }

    /// The first engine that has it.
    #[must_use]
    pub const fn since(self) -> Engine {
        match self {
            Self::ShardIds | Self::GossipsForget | Self::SoleMasterMarksFail => Engine::Redis72,
            Self::RankTieByNodeId
            | Self::RankMayImprove
            | Self::NewMasterResetsElection
            | Self::EmptyShardFailsOver
            | Self::OnlyVotersMarkFail
            | Self::EpochFromMastersOnly
            | Self::ReplicatesSetSlot
            | Self::SyncsOpenSlots
            | Self::MendsOpenSlots
            | Self::ReplicasAsk => Engine::Valkey80,
            Self::ClaimResetsElection
            | Self::FailedMasterRank
            | Self::NoVoteGuard
            | Self::ManualFailoverResetsElection => Engine::Valkey81,
            Self::DelayScalesWithTimeout | Self::FailStartsElection => Engine::Valkey90,
        }
    }

    /// The change upstream that made it, and the function it is in.
    #[must_use]
    pub const fn reference(self) -> &'static str {
        match self {
            Self::ShardIds => "redis#10536, updateShardId",
            Self::GossipsForget => "redis#10869, clusterProcessPingExtensions",
            Self::SoleMasterMarksFail => "redis#12824, clusterCron",
            Self::RankTieByNodeId => "valkey#762, clusterGetReplicaRank",
            Self::RankMayImprove => "valkey#762, clusterHandleReplicaFailover",
            Self::NewMasterResetsElection => "valkey#782, clusterSetPrimary",
            Self::EmptyShardFailsOver => "valkey#445, clusterHandleReplicaFailover",
            Self::OnlyVotersMarkFail => "valkey#634, markNodeAsFailingIfNeeded",
            Self::EpochFromMastersOnly => "valkey#754, clusterProcessPacket",
            Self::ReplicatesSetSlot => "valkey#445 and valkey#981, clusterCommandSetSlot",
            Self::SyncsOpenSlots => "valkey#586, clusterEncodeOpenSlotsAuxField",
            Self::MendsOpenSlots => "valkey#445, clusterUpdateSlotsConfigWith",
            Self::ReplicasAsk => "valkey#495, getNodeByQuery",
            Self::ClaimResetsElection => "valkey#1009 and valkey#1339, clusterProcessPacket",
            Self::FailedMasterRank => "valkey#1018, clusterGetFailedPrimaryRank",
            Self::NoVoteGuard => "valkey#1305 and valkey#1356, clusterSendFailoverAuthIfNeeded",
            Self::ManualFailoverResetsElection => "valkey#1274, manualFailoverCanStart",
            Self::DelayScalesWithTimeout => "valkey#2449, clusterHandleReplicaFailover",
            Self::FailStartsElection => "valkey#2209, clusterProcessPacket",
        }
    }
}

/// Deliberate deviations from the engine, each a bug that makes one checker fire. A node in
/// service has none of them. They exist so that the checkers can be tested: a checker that never
/// saw a broken node proves nothing.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
#[non_exhaustive]
pub enum Bug {
    /// `lastVoteEpoch` is not saved: a voter votes twice after a restart (redis-1479). Breaks V1.
    ForgetsVotes,
    /// The voter grants every request in an epoch. Breaks V1.
    VotesTwice,
    /// A candidate counts itself elected one vote short of the quorum. Breaks V2.
    WinsShortOfQuorum,
    /// The voter skips the slot-epoch check (no-slot-epoch-check). Breaks V3.
    NoSlotEpochCheck,
    /// A restarted node begins with `currentEpoch` 0. Breaks V4.
    ForgetsEpoch,
    /// Two masters keep the same config epoch. Breaks V4.
    NoCollisionHandling,
    /// One report less than a quorum marks FAIL. Breaks F.
    FailsShortOfQuorum,
    /// Failure reports never expire. Breaks F.
    ReportsNeverExpire,
    /// Writes are accepted while the cluster state is fail. Breaks W.
    ServesWhileFailed,
    /// No delay before writes after a restart (no-restart-delay). Breaks W.
    NoRestartDelay,
    /// Slots are rebound to an older epoch. Breaks S.
    RebindsToOlderEpoch,
    /// UPDATE messages are never sent nor headers' claims of others believed: views never
    /// converge. Breaks C.
    IgnoresClaims,
    /// A replica never asks for votes. Breaks L.
    NeverElects,
    /// A replica skips every hundredth command of the stream. Breaks D.
    SkipsStream,
    /// A promoted replica starts empty. Breaks D.
    PromotedEmpty,
    /// A vote leaves before the state file is durable. Breaks V1 under power loss.
    VotesBeforeSync,
    /// The state file is truncated in place instead of replaced. Breaks P under power loss.
    TornStateFile,
}
