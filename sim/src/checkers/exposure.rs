//! How long slots had two masters that would serve them, or none.
//!
//! A node would serve a slot if it runs, is a master that owns it by its own word, and its cluster
//! state is ok. Two such nodes under different epochs for a while are legal; it is the time in
//! which writes can be lost. Measured from the first disturbance to the audit.

use redrill_node::SlotRange;
use serde::{Deserialize, Serialize};

use super::picture::{Picture, Process};
use super::slot_map::{add_range, overlap};
use crate::trace::{Event, Header, NodeNumber, Outcome, Phase, Record};

/// Slots with two masters or none.
#[derive(Clone, PartialEq, Debug, Default, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub struct Exposure {
    /// Times in which two nodes would serve the same slots, by their beginning.
    pub dual_masters: Vec<DualMaster>,
    /// Times in which nobody would serve slots, by their end.
    pub unserved: Vec<UnservedSlots>,
}

/// A time in which two nodes would serve the same slots.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub struct DualMaster {
    /// The node that served them before, and the one that came in.
    pub nodes: (NodeNumber, NodeNumber),
    /// Their config epochs when it began.
    pub epochs: (u64, u64),
    /// The slots.
    pub slots: Vec<SlotRange>,
    /// From, microseconds since the run began.
    pub from_us: u64,
    /// To.
    pub to_us: u64,
    /// The part of it in which both acknowledged writes to these slots: from the later one's first
    /// to the earlier one's last acknowledgement; 0 if they do not overlap.
    pub both_acknowledged_us: u64,
}

/// A time in which nobody would serve slots.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub struct UnservedSlots {
    /// The slots.
    pub slots: Vec<SlotRange>,
    /// From, microseconds since the run began.
    pub from_us: u64,
    /// To.
    pub to_us: u64,
}

impl Exposure {
    /// The longest time in which some slot had nobody to serve it, microseconds.
    #[must_use]
    pub fn coverage_gap_us(&self) -> u64 {
        self.unserved
            .iter()
            .map(|gap| gap.to_us - gap.from_us)
            .max()
            .unwrap_or(0)
    }

    /// The longest time in which two masters acknowledged writes to the same slots, microseconds.
    #[must_use]
    pub fn dual_master_us(&self) -> u64 {
        self.dual_masters
            .iter()
            .map(|dual| dual.both_acknowledged_us)
            .max()
            .unwrap_or(0)
    }
}

/// Follows who would serve what.
pub(super) struct Watch {
    served: Vec<Vec<SlotRange>>,
    /// Number of nodes that would serve each slot.
    count: Vec<u16>,
    /// Since when nobody does, by slot; only slots that somebody owned at the start.
    unserved_since_us: Vec<Option<u64>>,
    initial: Vec<SlotRange>,
    measuring: bool,
    duals: Vec<Dual>,
    exposure: Exposure,
}

struct Dual {
    nodes: (NodeNumber, NodeNumber),
    epochs: (u64, u64),
    slots: Vec<SlotRange>,
    from_us: u64,
    acknowledged: [Option<(u64, u64)>; 2],
}

impl Watch {
    pub(super) fn new(header: &Header) -> Self {
        let mut initial = Vec::new();
        for slots in header.nodes.iter().flat_map(|node| &node.slots) {
            add_range(&mut initial, *slots);
        }
        Self {
            served: vec![Vec::new(); header.nodes.len()],
            count: vec![0; redrill_node::SLOT_COUNT],
            unserved_since_us: vec![None; redrill_node::SLOT_COUNT],
            initial,
            measuring: false,
            duals: Vec::new(),
            exposure: Exposure::default(),
        }
    }

    /// Sees a record that the picture has taken in.
    pub(super) fn observe(&mut self, picture: &Picture<'_>, record: &Record) {
        let at_us = record.at_us;
        match &record.event {
            Event::Process { node, .. } => self.update(picture, *node, at_us),
            Event::Node { node, fact } if fact.changes_service() => {
                self.update(picture, *node, at_us);
            }
            Event::Operation(operation) => {
                if self.duals.is_empty() || operation.outcome != Outcome::Ok {
                    return;
                }
                if let (Some(node), Some(_)) = (operation.node, operation.write) {
                    self.acknowledged(node, operation.slot, at_us);
                }
            }
            Event::Phase {
                phase: Phase::Disturb,
            } => self.begin(at_us),
            Event::Phase {
                phase: Phase::Audit | Phase::Done,
            } => self.end(at_us),
            Event::Phase { .. }
            | Event::Node { .. }
            | Event::StateSaved { .. }
            | Event::StateLoaded { .. }
            | Event::FaultBegan { .. }
            | Event::FaultEnded { .. }
            | Event::FaultMissed { .. }
            | Event::WeatherBegan { .. }
            | Event::WeatherEnded { .. }
            | Event::Operator { .. }
            | Event::Audited { .. }
            | Event::BusTraffic { .. }
            | Event::Remark { .. } => {}
        }
    }

    pub(super) fn finish(mut self, at_us: u64) -> Exposure {
        self.end(at_us);
        let exposure = &mut self.exposure;
        exposure
            .dual_masters
            .sort_by_key(|dual| (dual.from_us, dual.nodes));
        exposure
            .unserved
            .sort_by_key(|gap| (gap.to_us, gap.from_us));
        self.exposure
    }

    fn begin(&mut self, at_us: u64) {
        self.measuring = true;
        for slots in &self.initial {
            for slot in slots.first..=slots.last {
                let place = usize::from(slot);
                self.unserved_since_us[place] = (self.count[place] == 0).then_some(at_us);
            }
        }
    }

    fn end(&mut self, at_us: u64) {
        if !self.measuring {
            return;
        }
        for slots in self.initial.clone() {
            self.close_gaps(slots, at_us);
        }
        for dual in std::mem::take(&mut self.duals) {
            self.close_dual(dual, at_us);
        }
        self.measuring = false;
    }

    fn update(&mut self, picture: &Picture<'_>, node: NodeNumber, at_us: u64) {
        let Some(now) = picture.node(node) else {
            return;
        };
        let serves = now.process == Process::Running && now.state_ok && now.replica_of.is_none();
        if !serves && self.served[usize::from(node)].is_empty() {
            return;
        }
        let served: Vec<SlotRange> = if serves {
            now.view.slots.ranges_of(node).collect()
        } else {
            Vec::new()
        };
        if self.served[usize::from(node)] == served {
            return;
        }
        let before = std::mem::replace(&mut self.served[usize::from(node)], served.clone());
        for slots in &served {
            for slot in slots.first..=slots.last {
                self.count[usize::from(slot)] += 1;
            }
        }
        for slots in &before {
            for slot in slots.first..=slots.last {
                let place = usize::from(slot);
                self.count[place] -= 1;
                if self.measuring && self.count[place] == 0 {
                    self.unserved_since_us[place] = Some(at_us);
                }
            }
        }
        for slots in served {
            self.close_gaps(slots, at_us);
        }
        self.update_duals(picture, node, at_us);
    }

    /// Ends the gaps of slots that are served, or of all when measuring ends.
    fn close_gaps(&mut self, slots: SlotRange, at_us: u64) {
        if !self.measuring {
            return;
        }
        for slot in slots.first..=slots.last {
            let Some(from_us) = self.unserved_since_us[usize::from(slot)].take() else {
                continue;
            };
            if from_us == at_us {
                continue;
            }
            let gaps = &mut self.exposure.unserved;
            match gaps.last_mut() {
                Some(gap) if gap.from_us == from_us && gap.to_us == at_us => {
                    add_slot(&mut gap.slots, slot);
                }
                Some(_) | None => {
                    let slots = vec![SlotRange {
                        first: slot,
                        last: slot,
                    }];
                    gaps.push(UnservedSlots {
                        slots,
                        from_us,
                        to_us: at_us,
                    });
                }
            }
        }
    }

    fn update_duals(&mut self, picture: &Picture<'_>, node: NodeNumber, at_us: u64) {
        let epoch = |node: NodeNumber| picture.node(node).map_or(0, |now| now.config_epoch);
        let mut kept = Vec::with_capacity(self.duals.len());
        let mut ended = Vec::new();
        for dual in std::mem::take(&mut self.duals) {
            let concerned = dual.nodes.0 == node || dual.nodes.1 == node;
            if concerned && self.shared(dual.nodes.0, dual.nodes.1) != dual.slots {
                ended.push(dual);
            } else {
                kept.push(dual);
            }
        }
        self.duals = kept;
        for dual in ended {
            self.close_dual(dual, at_us);
        }
        let contested = self.served[usize::from(node)]
            .iter()
            .any(|slots| (slots.first..=slots.last).any(|slot| self.count[usize::from(slot)] > 1));
        if !contested || !self.measuring {
            return;
        }
        for other in 0..self.served.len() as NodeNumber {
            let slots = self.shared(other, node);
            let known = self
                .duals
                .iter()
                .any(|dual| dual.nodes == (other, node) || dual.nodes == (node, other));
            if other == node || slots.is_empty() || known {
                continue;
            }
            self.duals.push(Dual {
                nodes: (other, node),
                epochs: (epoch(other), epoch(node)),
                slots,
                from_us: at_us,
                acknowledged: [None; 2],
            });
        }
    }

    fn shared(&self, one: NodeNumber, other: NodeNumber) -> Vec<SlotRange> {
        let mut shared = Vec::new();
        for mine in &self.served[usize::from(one)] {
            for theirs in &self.served[usize::from(other)] {
                shared.extend(overlap(*mine, *theirs));
            }
        }
        shared
    }

    fn acknowledged(&mut self, node: NodeNumber, slot: u16, at_us: u64) {
        for dual in &mut self.duals {
            let side = if dual.nodes.0 == node {
                0
            } else if dual.nodes.1 == node {
                1
            } else {
                continue;
            };
            if dual
                .slots
                .iter()
                .any(|slots| (slots.first..=slots.last).contains(&slot))
            {
                let first_us = dual.acknowledged[side].map_or(at_us, |(first_us, _)| first_us);
                dual.acknowledged[side] = Some((first_us, at_us));
            }
        }
    }

    fn close_dual(&mut self, dual: Dual, at_us: u64) {
        if dual.from_us == at_us {
            return;
        }
        let both_acknowledged_us = match dual.acknowledged {
            [Some((first_one, last_one)), Some((first_other, last_other))] => last_one
                .min(last_other)
                .saturating_sub(first_one.max(first_other)),
            [_, None] | [None, Some(_)] => 0,
        };
        self.exposure.dual_masters.push(DualMaster {
            nodes: dual.nodes,
            epochs: dual.epochs,
            slots: dual.slots,
            from_us: dual.from_us,
            to_us: at_us,
            both_acknowledged_us,
        });
    }
}

fn add_slot(ranges: &mut Vec<SlotRange>, slot: u16) {
    match ranges.last_mut() {
        Some(last) if last.last + 1 == slot => last.last = slot,
        Some(_) | None => ranges.push(SlotRange {
            first: slot,
            last: slot,
        }),
    }
}

/// Facts that can change what a node would serve.
trait ChangesService {
    fn changes_service(&self) -> bool;
}

impl ChangesService for redrill_node::Fact {
    fn changes_service(&self) -> bool {
        matches!(
            self,
            Self::ClusterState { .. }
                | Self::SlotsOwned { .. }
                | Self::Role { .. }
                | Self::Started { .. }
                | Self::PeerRole { .. }
                | Self::NodeRemoved { .. }
        )
    }
}

#[cfg(test)]
mod tests {
    use super::super::testing::{Log, THIRDS};
    use super::*;
    use crate::scenario::{CrashKind, StallKind};
    use crate::trace::{ProcessChange, StateLoad};

    #[test]
    fn the_gap_of_a_killed_master_ends_with_its_successor() {
        let mut log = Log::formed();
        log.trace
            .header
            .config
            .insert("cluster-require-full-coverage".into(), "no".into());
        log.at(20_000).crash("m1", CrashKind::Kill);
        log.later(1600).agree_on_failure("m1").elect_r1(100);
        log.later(1000).start(
            "m1",
            StateLoad::Whole {
                current_epoch: 3,
                last_vote_epoch: 0,
            },
        );
        log.later(10).m1_follows_r1(100);
        let exposure = log.converge_and_check().exposure;
        // Dead at 20.000 s, in r1's place at 22.503 s.
        assert_eq!(
            exposure.coverage_gap_us(),
            2_503_000,
            "{:#?}",
            exposure.unserved
        );
        assert!(exposure.dual_masters.is_empty());
    }

    #[test]
    fn a_stalled_master_that_wakes_beside_its_successor_is_exposure() {
        let mut log = Log::formed();
        log.at(20_000)
            .process("m1", ProcessChange::Stalled(StallKind::Sigstop));
        log.later(1600).agree_on_failure("m1").elect_r1(100);
        log.at(25_000).process("m1", ProcessChange::Resumed);
        for (at_ms, node, write) in [
            (25_010, "m1", 1),
            (25_020, "r1", 2),
            (25_030, "m1", 3),
            (25_035, "r1", 4),
        ] {
            log.at(at_ms)
                .operation(write, Some(write), node, 1, Outcome::Ok);
        }
        log.at(25_050).m1_follows_r1(100);
        let exposure = log.converge_and_check().exposure;
        let [dual] = &exposure.dual_masters[..] else {
            panic!("{exposure:#?}")
        };
        assert_eq!((dual.nodes, dual.epochs), ((3, 0), (4, 1)));
        assert_eq!(dual.slots, [THIRDS[0]]);
        assert_eq!((dual.from_us, dual.to_us), (25_000_000, 25_050_000));
        assert_eq!(exposure.dual_master_us(), 10_000);
    }

    #[test]
    fn a_slot_nobody_comes_back_for_is_a_gap_until_the_audit() {
        let mut log = Log::formed();
        log.at(20_000).crash("m1", CrashKind::Kill);
        let exposure = log.converge_and_check().exposure;
        let [gap] = &exposure.unserved[..] else {
            panic!("{exposure:#?}")
        };
        assert_eq!(gap.slots, [THIRDS[0]]);
        assert_eq!((gap.from_us, gap.to_us), (20_000_000, 30_000_000));
    }
}
