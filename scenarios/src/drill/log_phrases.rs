//! Lines that nodes log, to tell a trigger that will never come before the run.

use super::selector::Names;
use super::suggest::nearest;

/// Log lines of a node, with `_` for what varies.
const LINES: &[&str] = &[
    "Node configuration loaded, I'm _",
    "Cluster state changed: ok",
    "Cluster state changed: fail",
    "*** NODE _ possibly failing",
    "*** NODE _ answers again, PFAIL removed",
    "Node _ reported node _ as not reachable.",
    "Node _ still reports node _ as not reachable.",
    "Node _ reported node _ is back online.",
    "Marking node _ as failing (quorum reached).",
    "FAIL message received from _ about _",
    "Clear FAIL state for node _: replica is reachable again.",
    "Clear FAIL state for node _: master without slots is reachable again.",
    "Clear FAIL state for node _: is reachable again and nobody is serving its slots after some \
     time.",
    "Start of election delayed for _ milliseconds (rank #_, offset _).",
    "Replica rank updated to #_, added _ milliseconds of delay.",
    "Failed primary rank updated to #_, added _ milliseconds of delay.",
    "Failover election in progress for epoch _, but received a claim from node _ with an equal or \
     higher epoch _. Resetting the election since we cannot win an election in the past.",
    "Failover election for epoch _ forgotten: I have a new master.",
    "Failover election in progress for epoch _, but received a new manual failover. Resetting the \
     election.",
    "Starting a failover election for epoch _.",
    "Failover auth granted to _ for epoch _",
    "Failover auth denied to _: reqEpoch (_) < curEpoch(_)",
    "Failover auth denied to _: already voted for epoch _",
    "Failover auth denied to _: it is a master node",
    "Failover auth denied to _: I don't know its master",
    "Failover auth denied to _: its master is up",
    "Failover auth denied to _: can't vote about this master before _ milliseconds",
    "Failover auth denied to _: slot _ epoch (_) > reqEpoch (_)",
    "Vote granted by _ for epoch _ (votes _).",
    "Failover election won: I'm the new master.",
    "Took my master's place without an election.",
    "Currently unable to failover: Disconnected from master for longer than allowed. Please check \
     the 'cluster-replica-validity-factor' configuration option.",
    "Currently unable to failover: Waiting the delay before I can start a new failover.",
    "Currently unable to failover: Failover attempt expired.",
    "Currently unable to failover: Waiting for votes, but majority still not reached.",
    "Manual failover user request accepted.",
    "Forced failover user request accepted.",
    "Taking over the master (user request).",
    "Manual failover requested by replica _.",
    "Received replication offset for paused master manual failover: _",
    "All master replication stream processed, manual failover can start.",
    "Manual failover timed out.",
    "configEpoch set to _ after successful failover",
    "WARNING: configEpoch collision. configEpoch set to _",
    "New configEpoch set to _",
    "currentEpoch set to _",
    "Node _ has old slots configuration, sending an UPDATE message about _",
    "Slot _ migrates to _.",
    "Slot _ is imported from _.",
    "Slot _ is stable.",
    "Migrating to orphaned master _",
    "Configuration change detected. Reconfiguring myself as a replica of _",
    "I'm a sub-replica! Reconfiguring myself as a replica of grandmaster _",
    "Turned from a replica into a master.",
    "Connection with master lost.",
    "Trying a partial resynchronization (request _:_).",
    "Partial resynchronization not possible (no cached master)",
    "MASTER <-> REPLICA sync: Finished with success",
    "MASTER <-> REPLICA sync: Master accepted a Partial Resynchronization.",
    "Writes of clients are paused.",
    "Writes of clients go on.",
];

/// Phrases that drills wait for, to suggest.
const PHRASES: &[&str] = &[
    "possibly failing",
    "quorum reached",
    "FAIL message received",
    "start of election delayed",
    "starting a failover election",
    "failover auth granted",
    "failover auth denied",
    "vote granted",
    "failover election won",
    "cluster state changed: fail",
    "cluster state changed: ok",
    "manual failover can start",
    "manual failover timed out",
    "clear FAIL state",
    "connection with master lost",
    "partial resynchronization",
    "finished with success",
];

/// Whether some node may log a line that contains `text`. Lines that are not known here count as
/// unsaid, which costs a warning.
pub(crate) fn is_said(text: &str, names: &Names<'_>) -> bool {
    let text = wildcard(text, |word| {
        word.chars().all(|letter| letter.is_ascii_digit()) || names.find(word).is_some()
    });
    LINES.iter().any(|line| line.to_lowercase().contains(&text))
}

/// The phrase most like `text`.
pub(crate) fn nearest_phrase(text: &str) -> Option<&'static str> {
    nearest(text, PHRASES.iter().copied())
}

/// `text` in lower case, with `_` for every word that varies.
fn wildcard(text: &str, varies: impl Fn(&str) -> bool) -> String {
    let mut result = String::new();
    let mut rest = text;
    while !rest.is_empty() {
        let end = (rest.find(|letter: char| !letter.is_alphanumeric() && letter != '-'))
            .unwrap_or(rest.len());
        let (word, after) = rest.split_at(end);
        match word.is_empty() {
            false if varies(word) => result.push('_'),
            false => result.push_str(&word.to_lowercase()),
            true => {}
        }
        let mark = after.chars().next().map_or(0, char::len_utf8);
        result.push_str(&after[..mark].to_lowercase());
        rest = &after[mark..];
    }
    result
}

#[cfg(test)]
mod tests {
    use redrill_node::{
        ElectionReset, EpochChange, Fact, FailoverKind, NodeId, RoleChange, StateReason,
        VoteRefusal,
    };
    use redrill_sim::scenario::{Cluster, Formation};

    use super::*;

    fn is_said_in_a_cluster_of_nobody(text: &str) -> bool {
        let cluster = Cluster {
            zones: Vec::new(),
            nodes: Vec::new(),
            formation: Formation::Formed,
            starts_apart_us: None,
        };
        let names = Names {
            cluster: &cluster,
            clients: &[],
            complete: true,
        };
        is_said(text, &names)
    }

    #[test]
    fn parts_of_lines_are_recognised() {
        for text in [
            "vote granted",
            "Failover auth granted",
            "for epoch 7",
            "QUORUM reached",
        ] {
            assert!(is_said_in_a_cluster_of_nobody(text), "{text}");
        }
        assert!(!is_said_in_a_cluster_of_nobody("vote given"));
        assert_eq!(
            nearest_phrase("failover election one"),
            Some("failover election won")
        );
        for phrase in PHRASES {
            assert!(is_said_in_a_cluster_of_nobody(phrase), "{phrase}");
        }
    }

    #[test]
    fn the_list_says_what_nodes_say() {
        let node = NodeId::ZERO;
        let facts = [
            Fact::ClusterState {
                ok: false,
                why: StateReason::Minority,
            },
            Fact::PossiblyFailing { node },
            Fact::NoLongerPossiblyFailing { node },
            Fact::FailReceived { node, from: node },
            Fact::RankUpdated {
                rank: 1,
                added_ms: 1000,
            },
            Fact::MasterRankUpdated {
                rank: 1,
                added_ms: 500,
            },
            Fact::ElectionReset {
                epoch: 4,
                why: ElectionReset::Claim { by: node, epoch: 4 },
            },
            Fact::ElectionReset {
                epoch: 4,
                why: ElectionReset::NewMaster,
            },
            Fact::ElectionReset {
                epoch: 4,
                why: ElectionReset::ManualFailover,
            },
            Fact::VoteRefused {
                to: node,
                epoch: 4,
                why: Box::new(VoteRefusal::MasterIsUp),
            },
            Fact::ManualFailoverAccepted {
                how: FailoverKind::Force,
            },
            Fact::ManualFailoverRequested { by: node },
            Fact::ManualFailoverOffset { offset: 12 },
            Fact::ManualFailoverReady,
            Fact::ManualFailoverTimedOut,
            Fact::CurrentEpoch { epoch: 3 },
            Fact::ConfigEpoch {
                epoch: 4,
                why: EpochChange::Collision,
            },
            Fact::Role {
                replica_of: Some(node),
                why: RoleChange::SlotsTaken,
            },
            Fact::UpdateSent {
                to: node,
                about: node,
            },
            Fact::MigratingToOrphan { master: node },
            Fact::MasterLinkLost,
        ];
        for fact in facts {
            let line = fact.log_line(&|_| "1".to_owned());
            assert!(is_said_in_a_cluster_of_nobody(&line), "{line}");
        }
    }
}
