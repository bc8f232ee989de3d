//! V4: epochs never go back on a node, and no two masters use one config epoch after convergence.
//!
//! An epoch that a node only heard of is not synced by Redis when it is adopted, so a crash may
//! take it. What must survive is what the state file held when the process ended (what was synced,
//! if the host lost power), and every epoch that the node itself made and others have seen:
//! Redis syncs it before it leaves (`CLUSTER_TODO_FSYNC_CONFIG`). `CLUSTER SET-CONFIG-EPOCH` is
//! the exception, it saves without a sync; `CLUSTER RESET HARD` may set epochs to 0.
//!
//! Two masters with one config epoch see it at the next packet between them
//! (`clusterHandleConfigEpochCollision`), and no link is silent for longer than half a
//! node-timeout: they must differ after a node-timeout and two seconds.

use redrill_node::{EpochChange, Fact};

use super::{Checker, Code, Findings, Picture};
use crate::scenario::CrashKind;
use crate::trace::{Event, NodeNumber, Phase, ProcessChange, Record, StateLoad};

/// Watches epochs.
pub(super) struct Epochs {
    nodes: Vec<Memory>,
}

#[derive(Clone, Default)]
struct Memory {
    written: u64,
    synced: u64,
    /// What the state file must hold at the next start.
    expected: u64,
    /// What the state file held at this start, if the log says.
    loaded: Option<u64>,
    /// The highest epoch it made and that is known to have left it.
    seen_by_others: u64,
    /// Where that was.
    seen_place: usize,
    /// An epoch an operator set: saved without a sync.
    unsynced: Option<u64>,
    /// Since when it has its config epoch.
    config_epoch_since_us: u64,
}

const COLLISION_SLACK_US: u64 = 2_000_000;

impl Epochs {
    pub(super) fn new(nodes: usize) -> Self {
        Self {
            nodes: vec![Memory::default(); nodes],
        }
    }
}

impl Checker for Epochs {
    fn code(&self) -> Code {
        Code::V4
    }

    fn observe(
        &mut self,
        picture: &Picture<'_>,
        place: usize,
        record: &Record,
        findings: &mut Findings,
    ) {
        let at_us = record.at_us;
        match &record.event {
            Event::StateSaved {
                node,
                synced,
                current_epoch,
                ..
            } => {
                let Some(memory) = self.nodes.get_mut(usize::from(*node)) else {
                    return;
                };
                memory.written = *current_epoch;
                if *synced {
                    memory.synced = *current_epoch;
                }
            }
            Event::Process {
                node,
                change: ProcessChange::Crashed(kind),
            } => {
                let Some(memory) = self.nodes.get_mut(usize::from(*node)) else {
                    return;
                };
                memory.expected = match kind {
                    CrashKind::PowerOff => memory.synced,
                    CrashKind::Kill | CrashKind::Shutdown => memory.written,
                };
                memory.loaded = None;
            }
            Event::StateLoaded { node, outcome } => {
                let Some(memory) = self.nodes.get_mut(usize::from(*node)) else {
                    return;
                };
                memory.loaded = match outcome {
                    StateLoad::Whole { current_epoch, .. } => Some(*current_epoch),
                    StateLoad::Absent | StateLoad::Torn => None,
                };
            }
            Event::Node { node, fact } => {
                self.observe_fact(picture, *node, fact, place, at_us, findings);
            }
            Event::Phase {
                phase: Phase::Audit,
            } => self.judge_unique(picture, at_us, findings),
            Event::Phase { .. }
            | Event::Process { .. }
            | Event::FaultBegan { .. }
            | Event::FaultEnded { .. }
            | Event::FaultMissed { .. }
            | Event::WeatherBegan { .. }
            | Event::WeatherEnded { .. }
            | Event::Operator { .. }
            | Event::Operation(_)
            | Event::Audited { .. }
            | Event::BusTraffic { .. }
            | Event::Remark { .. } => {}
        }
    }

    fn finish(self, _: &Picture<'_>, _: &mut Findings) {}
}

impl Epochs {
    fn observe_fact(
        &mut self,
        picture: &Picture<'_>,
        node: NodeNumber,
        fact: &Fact,
        place: usize,
        at_us: u64,
        findings: &mut Findings,
    ) {
        let Some(now) = picture.node(node) else {
            return;
        };
        if let Fact::Started {
            id, current_epoch, ..
        } = fact
        {
            if picture.number(*id) == Some(node) {
                self.judge_start(picture, node, *current_epoch, place, at_us, findings);
            } else if let Some(memory) = self.nodes.get_mut(usize::from(node)) {
                *memory = Memory::default();
            }
        } else if let Fact::CurrentEpoch { epoch } = fact {
            // Only CLUSTER RESET HARD goes back, to 0.
            if *epoch < now.current_epoch && *epoch != 0 {
                let words = format!(
                    "currentEpoch of {} went back from {} to {epoch}",
                    picture.name(node),
                    now.current_epoch
                );
                findings.violation(Code::V4, at_us, &[node], &[place], words);
            }
        } else if let Fact::ConfigEpoch { epoch, why } = fact {
            let Some(memory) = self.nodes.get_mut(usize::from(node)) else {
                return;
            };
            memory.config_epoch_since_us = at_us;
            if *why == EpochChange::Operator {
                memory.unsynced = Some(*epoch);
            }
            let by_hand = matches!(why, EpochChange::Reset | EpochChange::Operator);
            if *why == EpochChange::Reset {
                *memory = Memory::default();
            }
            if *epoch < now.config_epoch && !by_hand {
                let words = format!(
                    "the config epoch of {} went back from {} to {epoch}",
                    picture.name(node),
                    now.config_epoch
                );
                findings.violation(Code::V4, at_us, &[node], &[place], words);
            }
        } else if let Fact::PeerConfigEpoch { node: peer, epoch } = fact {
            let Some(peer) = picture.number(*peer) else {
                return;
            };
            let before = now.view.peer(peer).config_epoch;
            self.left(peer, *epoch, place);
            if *epoch < before && picture.operators.members_us.is_none() {
                let words = format!(
                    "{} held config epoch {before} of {} and took {epoch} for it",
                    picture.name(node),
                    picture.name(peer)
                );
                findings.violation(Code::V4, at_us, &[node, peer], &[place], words);
            }
        } else if let Fact::VoteGranted { to, epoch, .. } | Fact::VoteRefused { to, epoch, .. } =
            fact
            && let Some(candidate) = picture.number(*to)
        {
            self.left(candidate, *epoch, place);
        }
    }

    /// Others have seen an epoch that `node` made.
    fn left(&mut self, node: NodeNumber, epoch: u64, place: usize) {
        let Some(memory) = self.nodes.get_mut(usize::from(node)) else {
            return;
        };
        if epoch > memory.seen_by_others && memory.unsynced != Some(epoch) {
            memory.seen_by_others = epoch;
            memory.seen_place = place;
        }
    }

    fn judge_start(
        &mut self,
        picture: &Picture<'_>,
        node: NodeNumber,
        current_epoch: u64,
        place: usize,
        at_us: u64,
        findings: &mut Findings,
    ) {
        let Some(memory) = self.nodes.get_mut(usize::from(node)) else {
            return;
        };
        let name = picture.name(node);
        let expected = memory.loaded.unwrap_or(memory.expected);
        if current_epoch < expected {
            let words = format!(
                "{name} started with currentEpoch {current_epoch}, but its state file held {expected}"
            );
            findings.violation(Code::V4, at_us, &[node], &[place], words);
        } else if current_epoch < memory.seen_by_others {
            let words = format!(
                "{name} had let others know of its epoch {} and came back with currentEpoch {current_epoch}",
                memory.seen_by_others
            );
            findings.violation(Code::V4, at_us, &[node], &[memory.seen_place, place], words);
        }
        memory.config_epoch_since_us = at_us;
        memory.seen_by_others = memory.seen_by_others.min(current_epoch);
        if let Some(loaded) = memory.loaded {
            memory.written = memory.written.min(loaded);
            memory.synced = memory.synced.min(loaded);
        }
    }

    fn judge_unique(&self, picture: &Picture<'_>, at_us: u64, findings: &mut Findings) {
        let mut owners: Vec<(u64, NodeNumber)> = picture
            .running()
            .filter(|(number, node)| node.replica_of.is_none() && node.view.slots.owns_any(*number))
            .map(|(number, node)| (node.config_epoch, number))
            .filter(|(epoch, _)| *epoch > 0)
            .collect();
        owners.sort_unstable();
        let bound_us = picture.node_timeout_us() + COLLISION_SLACK_US;
        for pair in owners.windows(2) {
            let &[(epoch, one), (other_epoch, other)] = pair else {
                continue;
            };
            if epoch != other_epoch {
                continue;
            }
            let since_us = [one, other]
                .into_iter()
                .flat_map(|node| {
                    let known = self.nodes.get(usize::from(node));
                    let changed = known.map_or(0, |memory| memory.config_epoch_since_us);
                    [changed, picture.reach.unsettled_us(node)]
                })
                .max()
                .unwrap_or(at_us);
            if !picture.reach.talk(one, other) || at_us.saturating_sub(since_us) <= bound_us {
                continue;
            }
            let words = format!(
                "{} and {} are masters with slots and both use config epoch {epoch} since {:.1} s",
                picture.name(one),
                picture.name(other),
                (at_us - since_us) as f64 / 1e6,
            );
            findings.violation(Code::V4, at_us, &[one, other], &[], words);
        }
    }
}

#[cfg(test)]
mod tests {
    use redrill_node::NodeId;

    use super::super::testing::{Log, assert_breaks, assert_valid, id};
    use super::*;

    const M2: NodeNumber = 1;

    fn saved(log: &mut Log, synced: bool, current_epoch: u64) {
        let last_vote_epoch = 0;
        log.event(Event::StateSaved {
            node: M2,
            synced,
            current_epoch,
            last_vote_epoch,
        });
    }

    fn back(log: &mut Log, held: u64, current_epoch: u64) {
        log.later(500).process("m2", ProcessChange::Started);
        let outcome = StateLoad::Whole {
            current_epoch: held,
            last_vote_epoch: 0,
        };
        log.event(Event::StateLoaded { node: M2, outcome });
        log.started("m2", current_epoch, 0);
        log.later(2500)
            .state("m2", true, redrill_node::StateReason::AllGood);
    }

    #[test]
    fn an_epoch_that_goes_back_in_one_life_is_flagged() {
        let mut log = Log::formed();
        log.fact("m2", Fact::CurrentEpoch { epoch: 9 });
        log.later(5).fact("m2", Fact::CurrentEpoch { epoch: 8 });
        assert_breaks(&log.converge_and_check(), Code::V4, "went back from 9 to 8");
    }

    #[test]
    fn a_node_that_starts_below_its_state_file_is_flagged() {
        let mut log = Log::formed();
        saved(&mut log, true, 5);
        log.later(10).crash("m2", CrashKind::Kill);
        back(&mut log, 5, 1);
        assert_breaks(&log.converge_and_check(), Code::V4, "its state file held 5");
    }

    #[test]
    fn an_epoch_only_heard_of_may_go_with_the_power() {
        let mut log = Log::formed();
        saved(&mut log, true, 5);
        log.fact("m2", Fact::CurrentEpoch { epoch: 9 });
        saved(&mut log, false, 9);
        log.later(10).crash("m2", CrashKind::PowerOff);
        back(&mut log, 5, 5);
        assert_valid(&log.converge_and_check());
    }

    #[test]
    fn an_epoch_that_others_saw_must_survive_a_power_loss() {
        let mut log = Log::formed();
        saved(&mut log, true, 5);
        log.fact(
            "m2",
            Fact::ConfigEpoch {
                epoch: 9,
                why: EpochChange::Bump,
            },
        );
        log.later(1).fact(
            "m1",
            Fact::PeerConfigEpoch {
                node: id("m2"),
                epoch: 9,
            },
        );
        log.later(10).crash("m2", CrashKind::PowerOff);
        back(&mut log, 5, 5);
        assert_breaks(
            &log.converge_and_check(),
            Code::V4,
            "came back with currentEpoch 5",
        );
    }

    #[test]
    fn a_peers_epoch_that_goes_back_in_a_view_is_flagged() {
        let mut log = Log::formed();
        log.fact(
            "m1",
            Fact::PeerConfigEpoch {
                node: id("m2"),
                epoch: 9,
            },
        );
        log.later(5).fact(
            "m1",
            Fact::PeerConfigEpoch {
                node: id("m2"),
                epoch: 8,
            },
        );
        assert_breaks(
            &log.converge_and_check(),
            Code::V4,
            "m1 held config epoch 9 of m2",
        );
    }

    fn collision(log: &mut Log) {
        log.fact(
            "m2",
            Fact::ConfigEpoch {
                epoch: 3,
                why: EpochChange::Takeover,
            },
        );
        let node: NodeId = id("m2");
        log.later(1);
        for viewer in ["m1", "m3"] {
            log.fact(viewer, Fact::PeerConfigEpoch { node, epoch: 3 });
        }
    }

    #[test]
    fn two_masters_that_keep_one_config_epoch_are_flagged() {
        let mut log = Log::formed();
        collision(&mut log);
        assert_breaks(
            &log.converge_and_check(),
            Code::V4,
            "both use config epoch 3",
        );
    }

    #[test]
    fn a_collision_that_was_resolved_is_fine() {
        let mut log = Log::formed();
        collision(&mut log);
        log.later(1).fact("m2", Fact::CurrentEpoch { epoch: 4 });
        log.fact(
            "m2",
            Fact::ConfigEpoch {
                epoch: 4,
                why: EpochChange::Collision,
            },
        );
        assert_valid(&log.converge_and_check());
    }

    #[test]
    fn a_collision_of_a_moment_ago_may_still_be_resolved() {
        let mut log = Log::formed();
        log.phase(Phase::Heal).phase(Phase::Converge).later(10_000);
        collision(&mut log);
        log.later(500).phase(Phase::Audit);
        assert_valid(&log.check());
    }
}
