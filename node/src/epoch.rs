//! Epochs: who may claim what, in which order.

use crate::cluster::PeerIndex;
use crate::election;
use crate::engine::{Bug, Quirk};
use crate::fact::{EpochChange, Fact};
use crate::message::Header;
use crate::node::Node;

/// The greatest epoch this node knows of (`clusterGetMaxEpoch`).
pub(crate) fn greatest(node: &Node) -> u64 {
    let claimed = node
        .cluster
        .peers()
        .map(|(_, peer)| peer.config_epoch)
        .max()
        .unwrap_or(0);
    claimed.max(node.cluster.current_epoch)
}

/// Gives this node the greatest config epoch without asking anyone, unless it has it alone
/// already (`clusterBumpConfigEpochWithoutConsensus`). The new epoch, if there is one.
pub(crate) fn bump(node: &mut Node, why: EpochChange) -> Option<u64> {
    let mine = node.cluster.myself().config_epoch;
    if mine != 0 && mine == greatest(node) {
        return None;
    }
    node.cluster.current_epoch += 1;
    let epoch = node.cluster.current_epoch;
    set_own(node, epoch, why);
    node.save_config(true);
    Some(epoch)
}

/// `CLUSTER SET-CONFIG-EPOCH`, after the checks.
pub(crate) fn set_config_epoch(node: &mut Node, epoch: u64) {
    set_own(node, epoch, EpochChange::Operator);
    node.cluster.current_epoch = node.cluster.current_epoch.max(epoch);
    node.update_state_later();
    node.save_config(false);
}

/// Sets this node's own config epoch.
pub(crate) fn set_own(node: &mut Node, epoch: u64, why: EpochChange) {
    node.cluster.myself_mut().config_epoch = epoch;
    node.note(Fact::ConfigEpoch { epoch, why });
}

/// Two masters have the same config epoch: the one with the smaller id takes a new one
/// (`clusterHandleConfigEpochCollision`). `announced` is what the other's header says.
pub(crate) fn resolve_collision(node: &mut Node, sender: PeerIndex, announced: u64) {
    let (myself, other) = (node.cluster.myself(), &node.cluster[sender]);
    let same = announced == myself.config_epoch && other.config_epoch == myself.config_epoch;
    let collides = same && other.is_master() && myself.is_master();
    if !collides || other.id <= myself.id || node.has_bug(Bug::NoCollisionHandling) {
        return;
    }
    node.cluster.current_epoch += 1;
    let epoch = node.cluster.current_epoch;
    set_own(node, epoch, EpochChange::Collision);
    node.save_config(true);
}

/// Adopts what a member's header says of epochs.
pub(crate) fn adopt(node: &mut Node, sender: PeerIndex, header: &Header) {
    let (current_epoch, config_epoch) = (header.current_epoch, header.config_epoch);
    node.cluster.current_epoch = node.cluster.current_epoch.max(current_epoch);
    let believed = header.replica_of.is_none() || !node.has_quirk(Quirk::EpochFromMastersOnly);
    if believed && config_epoch > node.cluster[sender].config_epoch {
        set_peer(node, sender, config_epoch);
        election::heard_claim(node, sender, config_epoch);
    }
}

/// Sets what a peer's config epoch is held to be.
pub(crate) fn set_peer(node: &mut Node, index: PeerIndex, epoch: u64) {
    let peer = &mut node.cluster[index];
    peer.config_epoch = epoch;
    let (id, is_master) = (peer.id, peer.is_master());
    if is_master {
        // A replica announces its master's epoch: that is no news.
        node.note(Fact::PeerConfigEpoch { node: id, epoch });
    }
    node.save_config(true);
}

/// Reports `currentEpoch` if it moved. Called after every input.
pub(crate) fn note_changes(node: &mut Node) {
    let epoch = node.cluster.current_epoch;
    if std::mem::replace(&mut node.noted_epoch, epoch) != epoch {
        node.note(Fact::CurrentEpoch { epoch });
    }
}
