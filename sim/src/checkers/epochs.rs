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
            | Event::Operator { .. }
            | Event::Operation(_)
            | Event::Audited { .. }
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
