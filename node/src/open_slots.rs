//! Slots on their way from one master to another, as Valkey 8.0 keeps them through failovers.
//!
//! Where they are opened and closed by hand is [`crate::slots`].

use crate::cluster::{MYSELF, PeerIndex};
use crate::engine::Quirk;
use crate::epoch;
use crate::fact::{EpochChange, SlotChange, SlotMigration};
use crate::node::Node;
use crate::slot::{Slot, SlotSet};
use crate::slots::{self, give};

/// A claim as it was taken in.
#[derive(Clone, Copy)]
pub(crate) struct Claim<'a> {
    pub(crate) claimant: PeerIndex,
    pub(crate) epoch: u64,
    pub(crate) slots: &'a SlotSet,
    /// Those of them that were not the claimant's before.
    pub(crate) gained: &'a SlotSet,
}

/// Whether two nodes are known to be of one shard (`areInSameShard`).
pub(crate) fn share_shard(node: &Node, one: PeerIndex, other: PeerIndex) -> bool {
    node.cluster[one].shard_id == node.cluster[other].shard_id
}

/// Finds the other ends of open slots again after somebody's claim, before the slots get their new
/// owner: a failover leads to the new master, while a slot that went to a third shard is not on
/// its way any more (`clusterUpdateSlotsConfigWith`).
///
/// The slots are returned of whose end this master never heard: their source does not claim them
/// any longer.
pub(crate) fn mend(node: &mut Node, claim: Claim<'_>) -> SlotSet {
    let cluster = &node.cluster;
    let nothing_open = cluster.migrating.is_empty() && cluster.importing.is_empty();
    if nothing_open || !node.has_quirk(Quirk::MendsOpenSlots) {
        return SlotSet::new();
    }
    let Claim {
        claimant,
        epoch,
        slots,
        gained,
    } = claim;
    let mut ended = Vec::new();
    let mut targets = Vec::new();
    for (&slot, &target) in &cluster.migrating {
        let old = &cluster[target];
        let outdated = old.config_epoch < epoch || old.is_replica();
        if gained.contains(slot) {
            if !share_shard(node, claimant, MYSELF) {
                ended.push(slot);
            }
        } else if !slots.contains(slot)
            && target != claimant
            && outdated
            && share_shard(node, target, claimant)
        {
            targets.push(slot);
        }
    }
    let mut sources = Vec::new();
    let mut missed = SlotSet::new();
    for (&slot, &source) in &cluster.importing {
        if gained.contains(slot) && source != claimant {
            if share_shard(node, source, claimant) {
                sources.push(slot);
            } else {
                ended.push(slot);
            }
        } else if !slots.contains(slot) && source == claimant && cluster.myself().is_master() {
            missed.insert(slot);
        }
    }
    for slot in targets {
        slots::set_migrating(node, slot, claimant);
    }
    for slot in sources {
        slots::set_importing(node, slot, claimant);
    }
    for slot in ended {
        slots::set_stable(node, slot);
    }
    missed
}

/// Takes slots of whose end this master never heard: it is where they were going.
pub(crate) fn finish(node: &mut Node, missed: &SlotSet) {
    for slot in missed.iter() {
        slots::set_stable(node, slot);
        if node.cluster.owner(slot) == Some(MYSELF) {
            continue;
        }
        let set: SlotSet = [slot].into_iter().collect();
        let epoch = node.cluster.myself().config_epoch;
        give(node, &set, Some(MYSELF), epoch, SlotChange::SetSlot);
        epoch::bump(node, EpochChange::Import);
        node.update_state_later();
        node.save_config(true);
    }
}

/// What a full resync tells a replica of open slots (`clusterEncodeOpenSlotsAuxField`).
pub(crate) fn synced(node: &Node) -> Vec<(Slot, SlotMigration)> {
    if !node.has_quirk(Quirk::SyncsOpenSlots) {
        return Vec::new();
    }
    let id = |index: PeerIndex| node.cluster[index].id;
    let importing = node.cluster.importing.iter();
    let importing = importing.map(|(&slot, &from)| (slot, SlotMigration::Importing(id(from))));
    let migrating = node.cluster.migrating.iter();
    let migrating = migrating.map(|(&slot, &to)| (slot, SlotMigration::Migrating(id(to))));
    importing.chain(migrating).collect()
}

/// A replica takes in what a full resync told (`clusterDecodeOpenSlotsAuxField`). Of nodes it does
/// not know it will hear by gossip; a slot that is on its way to or from one waits until then for
/// an operator.
pub(crate) fn take_in(node: &mut Node, open: &[(Slot, SlotMigration)]) {
    if !node.has_quirk(Quirk::SyncsOpenSlots) {
        return;
    }
    for &(slot, state) in open {
        match state {
            SlotMigration::Importing(source) => {
                if let Some(source) = node.cluster.find(source) {
                    slots::set_importing(node, slot, source);
                }
            }
            SlotMigration::Migrating(target) => {
                if let Some(target) = node.cluster.find(target) {
                    slots::set_migrating(node, slot, target);
                }
            }
            SlotMigration::Stable => {}
        }
    }
}
