//! Engine profiles: which server's behaviour the node has.

use serde::{Deserialize, Serialize};

/// The server a node behaves like.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug, Default, Serialize, Deserialize)]
#[non_exhaustive]
pub enum Engine {
    /// Redis 7.0 (7.0.15).
    #[default]
    #[serde(rename = "redis-7.0")]
    Redis70,
}

impl Engine {
    /// Every engine, oldest first.
    pub const ALL: &'static [Self] = &[Self::Redis70];

    /// The name in a drill file.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Redis70 => "redis-7.0",
        }
    }

    /// The version `INFO` and `HELLO` tell.
    #[must_use]
    pub const fn version(self) -> &'static str {
        match self {
            Self::Redis70 => "7.0.15",
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
