//! Slots: who owns them, and how claims are weighed.

use std::sync::Arc;

use crate::clients;
use crate::cluster::{MYSELF, PeerIndex};
use crate::engine::{Bug, Quirk};
use crate::fact::{EpochChange, Fact, RoleChange, SlotChange, SlotMigration};
use crate::gossip::{self, Audience};
use crate::ids::NodeId;
use crate::message::{Body, Header, NodeFlags};
use crate::node::Node;
use crate::open_slots::{self, Claim};
use crate::slot::{Slot, SlotSet};
use crate::{epoch, membership, replication};

/// Compares the slots a member's header claims with what is known, takes them in, and tells the
/// member if it is behind. `was_replica`: it spoke as a replica until now.
pub(crate) fn take_in_header(
    node: &mut Node,
    sender: PeerIndex,
    was_replica: bool,
    header: &Header,
) {
    let peer = &node.cluster[sender];
    let master = if peer.is_master() {
        Some(sender)
    } else {
        peer.replica_of
    };
    let Some(master) = master else { return };
    // A new master of a shard without slots is news too.
    let is_promoted = was_replica && master == sender && node.has_quirk(Quirk::MendsOpenSlots);
    let known = &node.cluster[master].slots;
    if Arc::ptr_eq(known, &header.slots) && !is_promoted {
        return;
    }
    if known == &header.slots && !is_promoted {
        // So that the next message is compared by its address.
        node.cluster[master].slots = Arc::clone(&header.slots);
        return;
    }
    if node.cluster[sender].is_master() {
        claim(node, sender, header.config_epoch, &header.slots);
    }
    correct_stale_claim(node, sender, header);
}

/// An UPDATE message: somebody tells this node that it is behind.
pub(crate) fn take_in_update(
    node: &mut Node,
    about: NodeId,
    config_epoch: u64,
    slots: &Arc<SlotSet>,
) {
    let Some(index) = node.cluster.find(about) else {
        return;
    };
    if node.cluster[index].config_epoch >= config_epoch {
        return;
    }
    if node.cluster[index].is_replica() {
        membership::set_master(node, index);
    }
    epoch::set_peer(node, index, config_epoch);
    claim(node, index, config_epoch, slots);
}

/// A claim to slots under an epoch (`clusterUpdateSlotsConfigWith`): each is rebound if nobody
/// holds it under an epoch as high. A master that lost its last slot becomes a replica of whoever
/// took it.
fn claim(node: &mut Node, claimant: PeerIndex, claimed_epoch: u64, slots: &Arc<SlotSet>) {
    if claimant == MYSELF || node.has_bug(Bug::IgnoresClaims) {
        return;
    }
    let myself = node.cluster.myself();
    let my_shard = if myself.is_master() {
        Some(MYSELF)
    } else {
        myself.replica_of
    };
    let any_epoch = node.has_bug(Bug::RebindsToOlderEpoch);
    let mends = node.has_quirk(Quirk::MendsOpenSlots);
    let in_my_shard = mends && open_slots::share_shard(node, claimant, MYSELF);
    let (mut gained, mut dirty) = (SlotSet::new(), SlotSet::new());
    let mut taken_from_my_shard = 0_usize;
    for slot in slots.iter() {
        let owner = node.cluster.owner(slot);
        if owner == Some(claimant) {
            node.cluster.unclaimed_by_owner.remove(slot);
            continue;
        }
        if !mends && node.cluster.importing.contains_key(&slot) {
            continue;
        }
        let outranked = owner.is_none_or(|owner| node.cluster[owner].config_epoch < claimed_epoch);
        if !(node.cluster.is_unclaimed(slot) || outranked || any_epoch) {
            continue;
        }
        if owner == Some(MYSELF) && node.store.count_in_slot(slot) > 0 {
            dirty.insert(slot);
        }
        if owner.is_some() && owner == my_shard {
            taken_from_my_shard += 1;
        }
        gained.insert(slot);
    }
    let unclaimed: Vec<Slot> = node.cluster[claimant]
        .slots
        .iter()
        .filter(|&slot| !slots.contains(slot))
        .collect();
    for slot in unclaimed {
        node.cluster.unclaimed_by_owner.insert(slot);
    }
    let missed = open_slots::mend(
        node,
        Claim {
            claimant,
            epoch: claimed_epoch,
            slots,
            gained: &gained,
        },
    );
    if !gained.is_empty() {
        give(
            node,
            &gained,
            Some(claimant),
            claimed_epoch,
            SlotChange::Claimed,
        );
        share_bitmap(node, claimant, slots);
        node.update_state_later();
        node.save_config(true);
    }
    open_slots::finish(node, &missed);
    let has_nothing = my_shard.is_some_and(|shard| node.cluster[shard].slots.is_empty());
    let lost_everything = taken_from_my_shard > 0 && has_nothing;
    let failed_over = if mends {
        in_my_shard
    } else {
        slots.len() == taken_from_my_shard
    };
    // Nobody takes slots from a shard that has none: its new master is known by its epoch.
    let replaced = in_my_shard
        && has_nothing
        && slots.is_empty()
        && node.cluster.myself().replica_of != Some(claimant)
        && my_shard.is_some_and(|shard| node.cluster[shard].config_epoch < claimed_epoch);
    let may_follow = node.config.cluster_allow_replica_migration || failed_over;
    if (lost_everything && may_follow) || replaced {
        replication::follow(node, claimant, RoleChange::SlotsTaken);
        node.update_state_later();
        node.save_config(true);
    } else if let Some(grandmaster) = grandmaster(node) {
        replication::follow(node, grandmaster, RoleChange::SubReplica);
        node.update_state_later();
        node.save_config(true);
    } else if !dirty.is_empty() {
        let keys = dirty.iter().map(|slot| node.store.delete_slot(slot)).sum();
        clients::touch_all(node);
        node.note(Fact::DirtySlotsDeleted { keys });
    }
}

/// The master of this replica's master, if that became a replica itself.
fn grandmaster(node: &Node) -> Option<PeerIndex> {
    let master = node.cluster.myself().replica_of?;
    node.cluster[master]
        .replica_of
        .filter(|&grandmaster| grandmaster != MYSELF)
}

/// Tells a member that claims a slot under an outdated epoch who owns it. One owner a packet.
fn correct_stale_claim(node: &mut Node, sender: PeerIndex, header: &Header) {
    if node.has_bug(Bug::IgnoresClaims) {
        return;
    }
    let stale = header.slots.iter().find_map(|slot| {
        let owner = node.cluster.owner(slot).filter(|&owner| owner != sender)?;
        let outranked = node.cluster[owner].config_epoch > header.config_epoch;
        (outranked && !node.cluster.is_unclaimed(slot)).then_some(owner)
    });
    if let Some(owner) = stale {
        send_update(node, sender, owner);
    }
}

/// `clusterSendUpdate`.
fn send_update(node: &mut Node, to: PeerIndex, owner: PeerIndex) {
    let known = &node.cluster[owner];
    let (id, config_epoch) = (known.id, known.config_epoch);
    let slots = if node.cluster.unclaimed_by_owner.is_empty() {
        Arc::clone(&known.slots)
    } else {
        // The owner no longer claims these: they must not be advertised for it.
        Arc::new(
            known
                .slots
                .iter()
                .filter(|&slot| !node.cluster.unclaimed_by_owner.contains(slot))
                .collect(),
        )
    };
    if gossip::send_to(
        node,
        to,
        Body::Update {
            node: id,
            config_epoch,
            slots,
        },
    ) {
        let to = node.cluster[to].id;
        node.note(Fact::UpdateSent { to, about: id });
    }
}

/// The winner of an election takes its master's slots.
pub(crate) fn take_over(node: &mut Node, from: PeerIndex) {
    let slots = SlotSet::clone(&node.cluster[from].slots);
    let epoch = node.cluster.myself().config_epoch;
    give(node, &slots, Some(MYSELF), epoch, SlotChange::Promoted);
}

/// `CLUSTER ADDSLOTS`, after the checks. A slot being imported is no longer (`clusterUpdateSlots`).
pub(crate) fn add(node: &mut Node, slots: &[Slot]) {
    let set: SlotSet = slots.iter().copied().collect();
    for slot in slots {
        node.cluster.importing.remove(slot);
    }
    let epoch = node.cluster.myself().config_epoch;
    give(node, &set, Some(MYSELF), epoch, SlotChange::Operator);
    node.update_state_later();
    node.save_config(false);
}

/// `CLUSTER DELSLOTS`, after the checks.
pub(crate) fn remove(node: &mut Node, slots: &[Slot]) {
    let set: SlotSet = slots.iter().copied().collect();
    release(node, &set, SlotChange::Operator);
    node.update_state_later();
    node.save_config(false);
}

/// `CLUSTER FLUSHSLOTS`, after the checks.
pub(crate) fn flush(node: &mut Node) {
    release_all(node, MYSELF, SlotChange::Operator);
    node.update_state_later();
    node.save_config(false);
}

/// `CLUSTER SETSLOT MIGRATING`, after the checks.
pub(crate) fn set_migrating(node: &mut Node, slot: Slot, target: PeerIndex) {
    node.cluster.migrating.insert(slot, target);
    let target = node.cluster[target].id;
    moved(node, slot, SlotMigration::Migrating(target));
}

/// `CLUSTER SETSLOT IMPORTING`, after the checks.
pub(crate) fn set_importing(node: &mut Node, slot: Slot, source: PeerIndex) {
    node.cluster.importing.insert(slot, source);
    let source = node.cluster[source].id;
    moved(node, slot, SlotMigration::Importing(source));
}

/// `CLUSTER SETSLOT STABLE`.
pub(crate) fn set_stable(node: &mut Node, slot: Slot) {
    node.cluster.migrating.remove(&slot);
    node.cluster.importing.remove(&slot);
    moved(node, slot, SlotMigration::Stable);
}

/// `CLUSTER SETSLOT NODE`, after the checks: the end of a migration, on either side.
pub(crate) fn assign(node: &mut Node, slot: Slot, owner: PeerIndex) {
    if node.store.count_in_slot(slot) == 0 {
        node.cluster.migrating.remove(&slot);
    }
    // A replica that has this from its master's stream does as its master will.
    let my_shard = node.cluster.myself().replica_of.unwrap_or(MYSELF);
    let was_mine = node.cluster.owner(slot) == Some(my_shard);
    let set: SlotSet = [slot].into_iter().collect();
    let owner_epoch = node.cluster[owner].config_epoch;
    give(node, &set, Some(owner), owner_epoch, SlotChange::SetSlot);
    let lost_last_slot = was_mine && owner != my_shard && node.cluster[my_shard].slots.is_empty();
    if lost_last_slot && node.config.cluster_allow_replica_migration {
        replication::follow(node, owner, RoleChange::SlotsTaken);
        node.save_config(true);
    }
    if owner == MYSELF && node.cluster.importing.contains_key(&slot) {
        epoch::bump(node, EpochChange::Import);
        node.cluster.importing.remove(&slot);
        gossip::broadcast_pong(node, Audience::Everyone);
    } else if owner == my_shard {
        node.cluster.importing.remove(&slot);
    }
    node.update_state_later();
    node.save_config(false);
}

/// Takes all of a node's slots from it (`clusterDelNodeSlots`).
pub(crate) fn release_all(node: &mut Node, index: PeerIndex, why: SlotChange) {
    let slots = SlotSet::clone(&node.cluster[index].slots);
    release(node, &slots, why);
}

/// Leaves slots without an owner (`clusterDelSlot`).
pub(crate) fn release(node: &mut Node, slots: &SlotSet, why: SlotChange) {
    let owned: SlotSet = slots
        .iter()
        .filter(|&slot| node.cluster.owner(slot).is_some())
        .collect();
    give(node, &owned, None, 0, why);
}

/// Binds slots to an owner, or to nobody.
pub(crate) fn give(
    node: &mut Node,
    slots: &SlotSet,
    owner: Option<PeerIndex>,
    epoch: u64,
    why: SlotChange,
) {
    if slots.is_empty() {
        return;
    }
    if owner.is_some_and(|owner| node.cluster[owner].slots.is_empty()) && any_replicas(node) {
        // From its first slot on, replicas may migrate to it (`clusterNodeSetSlotBit`).
        if let Some(owner) = owner {
            node.cluster.mark(owner, NodeFlags::MIGRATE_TO);
        }
    }
    clients::leave_slots(node, slots);
    node.cluster.set_owner_of(slots, owner);
    node.cluster.unclaimed_by_owner.remove_all(slots);
    node.cluster.topology += 1;
    let owner = owner.map(|owner| node.cluster[owner].id);
    node.note(Fact::SlotsOwned {
        owner,
        epoch,
        slots: slots.ranges().into(),
        why,
    });
}

fn any_replicas(node: &Node) -> bool {
    node.cluster
        .peers()
        .any(|(_, peer)| !peer.is_replica() && !peer.replicas.is_empty())
}

/// Keeps one bitmap for the message and the table where they are equal: a thousand nodes that
/// know a thousand nodes each share a thousand bitmaps.
fn share_bitmap(node: &mut Node, owner: PeerIndex, slots: &Arc<SlotSet>) {
    if node.cluster[owner].slots == *slots {
        node.cluster[owner].slots = Arc::clone(slots);
    }
}

fn moved(node: &mut Node, slot: Slot, state: SlotMigration) {
    node.note(Fact::SlotMigration { slot, state });
    node.update_state_later();
    node.save_config(false);
}
