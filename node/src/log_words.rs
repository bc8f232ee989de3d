//! Facts in the words of Redis 7.0's log, so that a run can be held against a production log.
//!
//! A fact that Redis logs has Redis's line, verbatim but for what the fact does not know (an
//! address, the other side of an epoch collision). A fact that Redis does not log has plain words
//! in the same style; they never contain a phrase of another line, because drills trigger steps
//! on parts of these lines.

use std::fmt;

use crate::fact::{
    ElectionReset, EpochChange, Fact, FailCleared, FailoverKind, FailoverObstacle, RoleChange,
    SlotChange, SlotMigration, VoteRefusal,
};
use crate::ids::NodeId;
use crate::slot::SlotRange;

/// How loud Redis is about something (`LL_*`).
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub enum LogLevel {
    /// `loglevel debug`
    Debug,
    /// `loglevel verbose`
    Verbose,
    /// `loglevel notice`
    Notice,
    /// `loglevel warning`
    Warning,
}

impl LogLevel {
    /// The character that stands before the message in a log file.
    #[must_use]
    pub const fn symbol(self) -> char {
        match self {
            Self::Debug => '.',
            Self::Verbose => '-',
            Self::Notice => '*',
            Self::Warning => '#',
        }
    }
}

impl fmt::Display for LogLevel {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(match self {
            Self::Debug => "debug",
            Self::Verbose => "verbose",
            Self::Notice => "notice",
            Self::Warning => "warning",
        })
    }
}

impl Fact {
    /// The line Redis would log, without time, process and level. `name` says how a node is
    /// called: its 40 digits as in a real log, or its name in a drill.
    #[must_use]
    pub fn log_line(&self, name: &dyn Fn(NodeId) -> String) -> String {
        match self {
            Self::Started {
                id, restored: true, ..
            } => format!("Node configuration loaded, I'm {}", name(*id)),
            Self::Started { id, .. } => {
                format!("No cluster configuration found, I'm {}", name(*id))
            }
            Self::Role { replica_of, why } => role_line(replica_of.map(name), *why),
            Self::ClusterState { ok, .. } => {
                format!("Cluster state changed: {}", if *ok { "ok" } else { "fail" })
            }

            Self::HandshakeStarted { node } => {
                format!("Handshake with node {} started.", name(*node))
            }
            Self::HandshakeCompleted { node } => {
                format!("Handshake with node {} completed.", name(*node))
            }
            Self::HandshakeTimedOut { node } => {
                format!("Handshake with node {} timed out.", name(*node))
            }
            Self::NodeAdded { node } => format!("Node {} learned of by gossip.", name(*node)),
            Self::NodeRemoved { node } => format!("Node {} removed from the table.", name(*node)),
            Self::AddressUpdated { node } => format!("Address updated for node {}", name(*node)),
            Self::PeerRole { node, replica_of } => match replica_of {
                Some(master) => format!("Node {} replicates {} now.", name(*node), name(*master)),
                None => format!("Node {} is a master now.", name(*node)),
            },

            Self::PossiblyFailing { node } => format!("*** NODE {} possibly failing", name(*node)),
            Self::NoLongerPossiblyFailing { node } => {
                format!("*** NODE {} answers again, PFAIL removed", name(*node))
            }
            Self::FailureReported { node, by } => {
                let (by, node) = (name(*by), name(*node));
                format!("Node {by} reported node {node} as not reachable.")
            }
            Self::FailureReportWithdrawn { node, by } => {
                let (by, node) = (name(*by), name(*node));
                format!("Node {by} reported node {node} is back online.")
            }
            Self::MarkedFailing { node, .. } => {
                format!("Marking node {} as failing (quorum reached).", name(*node))
            }
            Self::FailReceived { node, from } => {
                let (from, node) = (name(*from), name(*node));
                format!("FAIL message received from {from} about {node}")
            }
            Self::FailCleared { node, why } => {
                format!(
                    "Clear FAIL state for node {}: {}",
                    name(*node),
                    clear_words(*why)
                )
            }

            Self::ElectionScheduled {
                delay_ms,
                rank,
                offset,
                ..
            } => format!(
                "Start of election delayed for {delay_ms} milliseconds \
                 (rank #{rank}, offset {offset})."
            ),
            Self::RankUpdated { rank, added_ms } => {
                format!("Replica rank updated to #{rank}, added {added_ms} milliseconds of delay.")
            }
            Self::MasterRankUpdated { rank, added_ms } => format!(
                "Failed primary rank updated to #{rank}, added {added_ms} milliseconds of delay."
            ),
            Self::ElectionReset { epoch, why } => match why {
                ElectionReset::Claim { by, epoch: claimed } => format!(
                    "Failover election in progress for epoch {epoch}, but received a claim from \
                     node {} with an equal or higher epoch {claimed}. Resetting the election \
                     since we cannot win an election in the past.",
                    name(*by)
                ),
                ElectionReset::NewMaster => {
                    format!("Failover election for epoch {epoch} forgotten: I have a new master.")
                }
                ElectionReset::ManualFailover => format!(
                    "Failover election in progress for epoch {epoch}, but received a new manual \
                     failover. Resetting the election."
                ),
            },
            Self::ElectionStarted { epoch, .. } => {
                format!("Starting a failover election for epoch {epoch}.")
            }
            Self::VoteGranted { to, epoch, .. } => {
                format!("Failover auth granted to {} for epoch {epoch}", name(*to))
            }
            Self::VoteRefused { to, epoch, why } => format!(
                "Failover auth denied to {}: {}",
                name(*to),
                refusal_words(**why, *epoch)
            ),
            Self::VoteReceived {
                from,
                election_epoch,
                votes,
                ..
            } => format!(
                "Vote granted by {} for epoch {election_epoch} (votes {votes}).",
                name(*from)
            ),
            Self::ElectionWon { how, .. } => match how {
                FailoverKind::Automatic | FailoverKind::Manual | FailoverKind::Force => {
                    "Failover election won: I'm the new master.".to_owned()
                }
                FailoverKind::Takeover => "Took my master's place without an election.".to_owned(),
            },
            Self::FailoverUnable { why } => {
                format!("Currently unable to failover: {}", obstacle_words(*why))
            }

            Self::ManualFailoverAccepted { how } => accepted_words(*how).to_owned(),
            Self::ManualFailoverRequested { by } => {
                format!("Manual failover requested by replica {}.", name(*by))
            }
            Self::ManualFailoverOffset { offset } => {
                format!("Received replication offset for paused master manual failover: {offset}")
            }
            Self::ManualFailoverReady => "All master replication stream processed, \
                                          manual failover can start."
                .to_owned(),
            Self::ManualFailoverTimedOut => "Manual failover timed out.".to_owned(),

            Self::CurrentEpoch { epoch } => format!("currentEpoch set to {epoch}"),
            Self::ConfigEpoch { epoch, why } => config_epoch_line(*epoch, *why),
            Self::PeerConfigEpoch { node, epoch } => {
                format!("configEpoch of node {} is {epoch} now", name(*node))
            }
            Self::SlotsOwned {
                owner,
                epoch,
                slots,
                why,
            } => slots_line(owner.map(name), *epoch, slots, *why),
            Self::SlotMigration { slot, state } => match state {
                SlotMigration::Migrating(to) => format!("Slot {slot} migrates to {}.", name(*to)),
                SlotMigration::Importing(from) => {
                    format!("Slot {slot} is imported from {}.", name(*from))
                }
                SlotMigration::Stable => format!("Slot {slot} is stable."),
            },
            Self::UpdateSent { to, about } => format!(
                "Node {} has old slots configuration, sending an UPDATE message about {}",
                name(*to),
                name(*about)
            ),
            Self::DirtySlotsDeleted { keys } => {
                format!("Deleted {keys} keys of slots that another master owns now.")
            }
            Self::MigratingToOrphan { master } => {
                format!("Migrating to orphaned master {}", name(*master))
            }

            Self::MasterLinkLost => "Connection with master lost.".to_owned(),
            Self::SyncStarted { from } => match from {
                Some((id, offset)) => {
                    format!("Trying a partial resynchronization (request {id}:{offset}).")
                }
                None => "Partial resynchronization not possible (no cached master)".to_owned(),
            },
            Self::FullResyncDone { .. } => {
                "MASTER <-> REPLICA sync: Finished with success".to_owned()
            }
            Self::PartialResyncDone { .. } => "MASTER <-> REPLICA sync: Master accepted a \
                                               Partial Resynchronization."
                .to_owned(),
            Self::ReplicaAttached { port, full } => {
                if *full {
                    format!("Synchronization with replica :{port} succeeded")
                } else {
                    format!("Partial resynchronization request from :{port} accepted.")
                }
            }
            Self::ReplicationIdChanged {
                id,
                previous,
                offset,
            } => format!(
                "Setting secondary replication ID to {previous}, valid up to offset: {offset}. \
                 New replication ID is {id}"
            ),
            Self::Stream { offset, .. } => format!("Replication stream at offset {offset}."),
            Self::Wrote { offset, .. } => format!("Write executed, stream at offset {offset}."),
            Self::WaitAnswered { offset, replicas } => {
                format!("WAIT answered: {replicas} replicas have offset {offset}.")
            }
            Self::GoodReplicas { count, enough } => {
                let words = if *enough { "enough" } else { "not enough" };
                format!("{count} good replicas, {words} to accept writes.")
            }

            Self::WritesPaused => "Writes of clients are paused.".to_owned(),
            Self::WritesResumed => "Writes of clients go on.".to_owned(),
            Self::Flushed { keys } => format!("All {keys} keys deleted."),
            Self::BadPacket { error } => format!("Bad message from the cluster bus: {error}"),
            Self::BadCommand { error } => format!("Protocol error from client: {error}"),
            Self::UnknownSender { node } => {
                format!("Ignoring message of unknown node {}", name(*node))
            }
        }
    }

    /// The level Redis logs it at; [`LogLevel::Debug`] for most of what Redis does not log.
    #[must_use]
    pub const fn level(&self) -> LogLevel {
        match self {
            Self::ClusterState { .. }
            | Self::AddressUpdated { .. }
            | Self::ElectionScheduled { .. }
            | Self::RankUpdated { .. }
            | Self::MasterRankUpdated { .. }
            | Self::ElectionReset { .. }
            | Self::ElectionStarted { .. }
            | Self::VoteGranted { .. }
            | Self::VoteRefused { .. }
            | Self::ElectionWon { .. }
            | Self::FailoverUnable { .. }
            | Self::ManualFailoverAccepted { .. }
            | Self::ManualFailoverRequested { .. }
            | Self::ManualFailoverOffset { .. }
            | Self::ManualFailoverReady
            | Self::ManualFailoverTimedOut
            | Self::MigratingToOrphan { .. }
            | Self::MasterLinkLost
            | Self::ReplicationIdChanged { .. }
            | Self::BadPacket { .. } => LogLevel::Warning,
            Self::ConfigEpoch { why, .. } => match why {
                EpochChange::Restored => LogLevel::Debug,
                EpochChange::Collision => LogLevel::Verbose,
                EpochChange::Election
                | EpochChange::Takeover
                | EpochChange::Bump
                | EpochChange::Operator
                | EpochChange::Import
                | EpochChange::Reset => LogLevel::Warning,
            },
            Self::SlotsOwned { why, .. } => match why {
                SlotChange::FoundKeys => LogLevel::Warning,
                SlotChange::Promoted | SlotChange::Operator | SlotChange::SetSlot => {
                    LogLevel::Notice
                }
                SlotChange::Restored | SlotChange::Claimed | SlotChange::OwnerGone => {
                    LogLevel::Debug
                }
            },
            Self::Role { why, .. } => match why {
                RoleChange::SlotsTaken | RoleChange::SubReplica => LogLevel::Warning,
                RoleChange::Start
                | RoleChange::Promoted
                | RoleChange::ReplicaMigration
                | RoleChange::Operator
                | RoleChange::Reset => LogLevel::Notice,
            },
            Self::Started { .. }
            | Self::NodeRemoved { .. }
            | Self::MarkedFailing { .. }
            | Self::FailReceived { .. }
            | Self::FailCleared { .. }
            | Self::SlotMigration { .. }
            | Self::DirtySlotsDeleted { .. }
            | Self::SyncStarted { .. }
            | Self::FullResyncDone { .. }
            | Self::PartialResyncDone { .. }
            | Self::ReplicaAttached { .. }
            | Self::GoodReplicas { .. }
            | Self::Flushed { .. } => LogLevel::Notice,
            Self::HandshakeTimedOut { .. }
            | Self::FailureReportWithdrawn { .. }
            | Self::UpdateSent { .. }
            | Self::WritesPaused
            | Self::WritesResumed
            | Self::BadCommand { .. } => LogLevel::Verbose,
            Self::FailureReported { .. } => LogLevel::Verbose,
            Self::HandshakeStarted { .. }
            | Self::HandshakeCompleted { .. }
            | Self::NodeAdded { .. }
            | Self::PeerRole { .. }
            | Self::PossiblyFailing { .. }
            | Self::NoLongerPossiblyFailing { .. }
            | Self::VoteReceived { .. }
            | Self::CurrentEpoch { .. }
            | Self::PeerConfigEpoch { .. }
            | Self::Stream { .. }
            | Self::Wrote { .. }
            | Self::WaitAnswered { .. }
            | Self::UnknownSender { .. } => LogLevel::Debug,
        }
    }
}

fn role_line(master: Option<String>, why: RoleChange) -> String {
    let Some(master) = master else {
        return match why {
            RoleChange::Start => "Running as a master.".to_owned(),
            RoleChange::Promoted
            | RoleChange::SlotsTaken
            | RoleChange::SubReplica
            | RoleChange::ReplicaMigration
            | RoleChange::Operator => "Turned from a replica into a master.".to_owned(),
            RoleChange::Reset => "Turned into a master by CLUSTER RESET.".to_owned(),
        };
    };
    match why {
        RoleChange::Start => format!("Running as a replica of {master}."),
        RoleChange::SlotsTaken => {
            format!("Configuration change detected. Reconfiguring myself as a replica of {master}")
        }
        RoleChange::SubReplica => {
            format!("I'm a sub-replica! Reconfiguring myself as a replica of grandmaster {master}")
        }
        RoleChange::Operator => format!("Made a replica of {master} by CLUSTER REPLICATE."),
        RoleChange::ReplicaMigration | RoleChange::Promoted | RoleChange::Reset => {
            format!("Made a replica of {master}.")
        }
    }
}

const fn clear_words(why: FailCleared) -> &'static str {
    match why {
        FailCleared::ReplicaReachable => "replica is reachable again.",
        FailCleared::MasterWithoutSlots => "master without slots is reachable again.",
        FailCleared::NobodyServesItsSlots => {
            "is reachable again and nobody is serving its slots after some time."
        }
    }
}

fn refusal_words(why: VoteRefusal, epoch: u64) -> String {
    match why {
        VoteRefusal::StaleEpoch { current_epoch } => {
            format!("reqEpoch ({epoch}) < curEpoch({current_epoch})")
        }
        VoteRefusal::AlreadyVoted => format!("already voted for epoch {epoch}"),
        VoteRefusal::IsMaster => "it is a master node".to_owned(),
        VoteRefusal::MasterUnknown => "I don't know its master".to_owned(),
        VoteRefusal::MasterIsUp => "its master is up".to_owned(),
        VoteRefusal::VotedForThatMaster { wait_ms } => {
            format!("can't vote about this master before {wait_ms} milliseconds")
        }
        VoteRefusal::StaleSlotEpoch {
            slot,
            slot_epoch,
            request_epoch,
        } => format!("slot {slot} epoch ({slot_epoch}) > reqEpoch ({request_epoch})"),
    }
}

const fn obstacle_words(why: FailoverObstacle) -> &'static str {
    match why {
        FailoverObstacle::DataAge => {
            "Disconnected from master for longer than allowed. Please check the \
             'cluster-replica-validity-factor' configuration option."
        }
        FailoverObstacle::WaitingDelay => "Waiting the delay before I can start a new failover.",
        FailoverObstacle::Expired => "Failover attempt expired.",
        FailoverObstacle::WaitingVotes => "Waiting for votes, but majority still not reached.",
    }
}

const fn accepted_words(how: FailoverKind) -> &'static str {
    match how {
        FailoverKind::Automatic | FailoverKind::Manual => "Manual failover user request accepted.",
        FailoverKind::Force => "Forced failover user request accepted.",
        FailoverKind::Takeover => "Taking over the master (user request).",
    }
}

fn config_epoch_line(epoch: u64, why: EpochChange) -> String {
    match why {
        EpochChange::Restored => format!("configEpoch is {epoch}"),
        EpochChange::Election => format!("configEpoch set to {epoch} after successful failover"),
        EpochChange::Collision => {
            format!("WARNING: configEpoch collision. configEpoch set to {epoch}")
        }
        EpochChange::Operator => {
            format!("configEpoch set to {epoch} via CLUSTER SET-CONFIG-EPOCH")
        }
        EpochChange::Reset => format!("configEpoch set to {epoch} via CLUSTER RESET HARD"),
        EpochChange::Takeover | EpochChange::Bump | EpochChange::Import => {
            format!("New configEpoch set to {epoch}")
        }
    }
}

fn slots_line(owner: Option<String>, epoch: u64, slots: &[SlotRange], why: SlotChange) -> String {
    let plural = match slots {
        [range] if range.first == range.last => "",
        _ => "s",
    };
    let mut list: Vec<String> = slots.iter().take(4).map(ToString::to_string).collect();
    if slots.len() > 4 {
        list.push(format!("{} more ranges", slots.len() - 4));
    }
    let list = list.join(", ");
    match (owner, why) {
        (_, SlotChange::FoundKeys) => {
            format!("I have keys for unassigned slot {list}. Taking responsibility for it.")
        }
        (Some(owner), _) => format!("Slot{plural} {list} owned by {owner} (configEpoch {epoch})."),
        (None, _) => format!("Slot{plural} {list} owned by nobody."),
    }
}

#[cfg(test)]
mod tests;
