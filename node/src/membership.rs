//! Who is in the cluster: handshakes, links, addresses, roles of peers, forgetting.

use std::net::{IpAddr, SocketAddr};

use crate::action::Action;
use crate::clients;
use crate::cluster::{Link, MYSELF, Peer, PeerIndex};
use crate::engine::Quirk;
use crate::fact::{EpochChange, Fact, RoleChange, SlotChange};
use crate::failure;
use crate::ids::{LinkId, NodeId};
use crate::message::{Address, Gossip, Header, NodeFlags, Ping};
use crate::node::Node;
use crate::slot::SlotSet;
use crate::{replication, slots};

/// How long gossip about a forgotten node is ignored, s (`CLUSTER_BLACKLIST_TTL`).
const BLACKLIST_S: i64 = 60;

/// The address given to `CLUSTER MEET` cannot be used.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct InvalidAddress;

/// `CLUSTER MEET`: starts a handshake unless one with that address is under way
/// (`clusterStartHandshake`).
pub(crate) fn meet(
    node: &mut Node,
    ip: IpAddr,
    port: u16,
    bus_port: u16,
) -> Result<(), InvalidAddress> {
    if port == 0 || bus_port == 0 {
        return Err(InvalidAddress);
    }
    let address = Address {
        ip: Some(ip),
        port,
        bus_port,
    };
    if !node
        .cluster
        .peers()
        .any(|(_, peer)| peer.in_handshake() && peer.address == address)
    {
        start_handshake(node, address, NodeFlags::HANDSHAKE | NodeFlags::MEET);
    }
    Ok(())
}

/// A MEET of a stranger arrived: a handshake with it begins.
pub(crate) fn met(node: &mut Node, header: &Header, link: &Link) {
    let address = Address {
        ip: header.ip.or(link.remote_ip),
        port: header.port,
        bus_port: header.bus_port,
    };
    start_handshake(node, address, NodeFlags::HANDSHAKE);
    node.save_config(false);
}

fn start_handshake(node: &mut Node, address: Address, flags: NodeFlags) {
    let made_up = node.random.names.node_id();
    node.cluster
        .add(Peer::new(made_up, flags, address, node.wall()));
    node.note(Fact::HandshakeStarted { node: made_up });
}

/// The node behind a handshake told its name.
pub(crate) fn complete_handshake(node: &mut Node, index: PeerIndex, id: NodeId, flags: NodeFlags) {
    node.cluster.rename(index, id);
    // Until its pings tell.
    node.cluster[index].shard_id = id;
    let role = flags & (NodeFlags::MASTER | NodeFlags::REPLICA);
    node.cluster.remark(index, NodeFlags::HANDSHAKE, role);
    node.cluster.topology += 1;
    node.cluster.watch(index);
    node.note(Fact::HandshakeCompleted { node: id });
    node.save_config(false);
}

/// Nobody answered the handshake in time.
pub(crate) fn handshake_timed_out(node: &mut Node, index: PeerIndex) {
    let id = node.cluster[index].id;
    node.note(Fact::HandshakeTimedOut { node: id });
    remove(node, index);
}

/// A member told of a node this one does not know.
pub(crate) fn learn_of(node: &mut Node, entry: &Gossip) {
    let now = node.wall();
    node.cluster.blacklist.retain(|_, until| *until >= now);
    if node.cluster.blacklist.contains_key(&entry.node) {
        return;
    }
    // The exact flags are adopted, as upstream does, save the teller's own mark of itself.
    let flags = entry.flags.difference(NodeFlags::MYSELF);
    node.cluster
        .add(Peer::new(entry.node, flags, entry.address, now));
    node.note(Fact::NodeAdded { node: entry.node });
}

/// Lets the configuration show in what this node announces of itself
/// (`clusterUpdateMyselfFlags`).
pub(crate) fn announce_own_flags(node: &mut Node) {
    let no_failover = node.config.cluster_replica_no_failover;
    let mut flags = node.cluster.myself().flags;
    if flags.contains(NodeFlags::NOFAILOVER) != no_failover {
        flags.set(NodeFlags::NOFAILOVER, no_failover);
        node.cluster.set_flags(MYSELF, flags);
        node.save_config(false);
        node.update_state_later();
    }
}

/// Opens the link to a peer.
pub(crate) fn connect(node: &mut Node, index: PeerIndex) {
    let now = node.wall();
    let address = node.cluster[index].address;
    let Some(ip) = address.ip else { return };
    let link = node.cluster.next_link();
    let entry = Link {
        id: link,
        peer: Some(index),
        inbound: false,
        up: false,
        created: now,
        remote_ip: Some(ip),
        local_ip: None,
    };
    node.cluster.add_link(entry);
    node.cluster.set_link(index, Some(link));
    node.cluster.attend(index);
    node.outbox.push(Action::ConnectLink {
        link,
        to: SocketAddr::new(ip, address.bus_port),
    });
}

/// Closes a link and forgets it (`freeClusterLink`).
pub(crate) fn close_link(node: &mut Node, link: LinkId) {
    if forget_link(node, link) {
        node.outbox.push(Action::CloseLink { link });
    }
}

/// Forgets a link that is gone. False if it was not known.
pub(crate) fn forget_link(node: &mut Node, link: LinkId) -> bool {
    let Some(entry) = node.cluster.remove_link(link) else {
        return false;
    };
    if let Some(index) = entry.peer
        && node.cluster.get(index).is_some()
    {
        let peer = &mut node.cluster[index];
        if peer.link() == Some(link) {
            node.cluster.set_link(index, None);
            node.cluster.unconnected.insert(index);
        } else if peer.inbound_link == Some(link) {
            peer.inbound_link = None;
        }
    }
    true
}

/// Ties an accepted link to the member that speaks on it, replacing an older one.
pub(crate) fn bind_inbound(node: &mut Node, link: LinkId, index: PeerIndex) {
    if let Some(old) = node.cluster[index].inbound_link {
        close_link(node, old);
    }
    node.cluster[index].inbound_link = Some(link);
    if let Some(entry) = node.cluster.link_mut(link) {
        entry.peer = Some(index);
    }
}

/// Adopts the address a member speaks from, if it is another than the one known
/// (`nodeUpdateAddressIfNeeded`). True if it was.
pub(crate) fn update_address(
    node: &mut Node,
    index: PeerIndex,
    link: LinkId,
    header: &Header,
) -> bool {
    if node.cluster[index].link() == Some(link) {
        return false;
    }
    let reached = || node.cluster.link(link)?.remote_ip;
    let Some(ip) = header.ip.or_else(reached) else {
        return false;
    };
    let address = Address {
        ip: Some(ip),
        port: header.port,
        bus_port: header.bus_port,
    };
    if node.cluster[index].address == address {
        return false;
    }
    move_peer(node, index, address);
    let id = node.cluster[index].id;
    node.note(Fact::AddressUpdated { node: id });
    if node.cluster.myself().is_replica() && node.cluster.myself().replica_of == Some(index) {
        replication::set_master(node, index);
    }
    true
}

/// A peer is reached elsewhere now.
pub(crate) fn move_peer(node: &mut Node, index: PeerIndex, address: Address) {
    if let Some(link) = node.cluster[index].link() {
        close_link(node, link);
    }
    node.cluster.set_address(index, address);
    node.cluster.unmark(index, NodeFlags::NOADDR);
    node.cluster.watch(index);
}

/// Somebody else answers at a peer's address: its address is not known any more.
pub(crate) fn lose_address(node: &mut Node, index: PeerIndex, link: LinkId) {
    node.cluster.mark(index, NodeFlags::NOADDR);
    let nowhere = Address {
        ip: None,
        port: 0,
        bus_port: 0,
    };
    node.cluster.set_address(index, nowhere);
    close_link(node, link);
    node.save_config(false);
}

/// A peer speaks as a master (`clusterSetNodeAsMaster`).
pub(crate) fn set_master(node: &mut Node, index: PeerIndex) {
    if node.cluster[index].is_master() {
        return;
    }
    if let Some(master) = node.cluster[index].replica_of {
        remove_replica(node, master, index);
        if index != MYSELF {
            node.cluster.mark(index, NodeFlags::MIGRATE_TO);
        }
    }
    node.cluster
        .remark(index, NodeFlags::REPLICA, NodeFlags::MASTER);
    let peer = &mut node.cluster[index];
    peer.replica_of = None;
    let id = peer.id;
    node.cluster.topology += 1;
    if index != MYSELF {
        node.note(Fact::PeerRole {
            node: id,
            replica_of: None,
        });
    }
    node.save_config(false);
    node.update_state_later();
}

/// A peer speaks as a replica of `master`, which may not be known.
pub(crate) fn set_replica(node: &mut Node, index: PeerIndex, master: Option<PeerIndex>) {
    if node.cluster[index].is_master() {
        slots::release_all(node, index, SlotChange::OwnerGone);
        let was = NodeFlags::MASTER | NodeFlags::MIGRATE_TO;
        node.cluster.remark(index, was, NodeFlags::REPLICA);
        node.cluster.topology += 1;
        node.save_config(false);
        node.update_state_later();
    }
    let Some(master) = master.filter(|&master| node.cluster[index].replica_of != Some(master))
    else {
        return;
    };
    if let Some(old) = node.cluster[index].replica_of {
        remove_replica(node, old, index);
    }
    add_replica(node, master, index);
    node.cluster[index].replica_of = Some(master);
    join_shard(node, index, master);
    let (id, master) = (node.cluster[index].id, node.cluster[master].id);
    node.note(Fact::PeerRole {
        node: id,
        replica_of: Some(master),
    });
    node.save_config(false);
}

/// A node joins its master's shard (`updateShardId`).
pub(crate) fn join_shard(node: &mut Node, index: PeerIndex, master: PeerIndex) {
    let shard_id = node.cluster[master].shard_id;
    set_shard(node, index, shard_id);
}

/// What a member's ping extensions tell of shards and of nodes to forget
/// (`clusterProcessPingExtensions`).
pub(crate) fn take_in_extensions(node: &mut Node, sender: PeerIndex, ping: &Ping) {
    if !node.has_quirk(Quirk::ShardIds) || node.cluster.get(sender).is_none() {
        return;
    }
    if node.has_quirk(Quirk::GossipsForget) {
        for &(id, ttl_s) in &ping.forgotten {
            let known = node.cluster.find(id).filter(|&index| index != MYSELF);
            let myself = node.cluster.myself();
            if let Some(index) = known.filter(|&index| myself.replica_of != Some(index)) {
                blacklist(node, id, i64::try_from(ttl_s).unwrap_or(BLACKLIST_S));
                remove(node, index);
                node.update_state_later();
                node.save_config(false);
            }
        }
    }
    let Some(peer) = node.cluster.get(sender) else {
        return;
    };
    let inherited = peer.replica_of.filter(|_| peer.is_replica());
    let shard_id = ping
        .shard_id
        .or_else(|| Some(node.cluster[inherited?].shard_id));
    if let Some(shard_id) = shard_id {
        set_shard(node, sender, shard_id);
    }
}

/// The nodes that pings tell to forget, and for how many seconds more. None where forgetting is not
/// gossiped.
pub(crate) fn forgotten(node: &Node) -> Vec<(NodeId, u64)> {
    if !node.has_quirk(Quirk::GossipsForget) || node.cluster.blacklist.is_empty() {
        return Vec::new();
    }
    let now = node.wall();
    let left = node.cluster.blacklist.iter().map(|(id, until)| {
        let left_s = until.since_ms(now).div_euclid(1000);
        (*id, u64::try_from(left_s).unwrap_or(0))
    });
    left.filter(|(_, left_s)| *left_s > 0).collect()
}

fn set_shard(node: &mut Node, index: PeerIndex, shard_id: NodeId) {
    if !node.has_quirk(Quirk::ShardIds) {
        return;
    }
    if node.cluster[index].shard_id != shard_id {
        node.cluster[index].shard_id = shard_id;
        node.save_config(false);
    }
    // A replica is where its master is.
    let myself = node.cluster.myself();
    if index != MYSELF && myself.replica_of == Some(index) && myself.shard_id != shard_id {
        node.cluster.myself_mut().shard_id = shard_id;
        node.save_config(true);
    }
}

fn blacklist(node: &mut Node, id: NodeId, for_s: i64) {
    let until = node.wall().plus_ms(for_s.saturating_mul(1000));
    node.cluster.blacklist.insert(id, until);
}

/// `clusterNodeAddSlave`.
pub(crate) fn add_replica(node: &mut Node, master: PeerIndex, replica: PeerIndex) {
    node.cluster.topology += 1;
    let replicas = &mut node.cluster[master].replicas;
    if !replicas.contains(&replica) {
        replicas.push(replica);
        node.cluster.mark(master, NodeFlags::MIGRATE_TO);
    }
}

/// `clusterNodeRemoveSlave`.
pub(crate) fn remove_replica(node: &mut Node, master: PeerIndex, replica: PeerIndex) {
    node.cluster.topology += 1;
    let replicas = &mut node.cluster[master].replicas;
    if let Some(place) = replicas.iter().position(|&known| known == replica) {
        replicas.remove(place);
        if replicas.is_empty() {
            node.cluster.unmark(master, NodeFlags::MIGRATE_TO);
        }
    }
}

/// `CLUSTER FORGET`, after the checks.
pub(crate) fn forget(node: &mut Node, index: PeerIndex) {
    let id = node.cluster[index].id;
    blacklist(node, id, BLACKLIST_S);
    remove(node, index);
    node.update_state_later();
    node.save_config(false);
}

/// Takes a peer out of the table and out of all that points at it (`clusterDelNode`).
pub(crate) fn remove(node: &mut Node, index: PeerIndex) {
    node.cluster.importing.retain(|_, source| *source != index);
    node.cluster.migrating.retain(|_, target| *target != index);
    slots::release_all(node, index, SlotChange::OwnerGone);
    node.cluster.reports.retain(|_, reports| {
        reports.retain(|report| report.by != index);
        !reports.is_empty()
    });
    let peer = &node.cluster[index];
    let (link, inbound, master) = (peer.link(), peer.inbound_link, peer.replica_of);
    let handshake = peer.in_handshake();
    for replica in peer.replicas.clone() {
        node.cluster[replica].replica_of = None;
    }
    if let Some(master) = master {
        remove_replica(node, master, index);
    }
    for link in [link, inbound].into_iter().flatten() {
        close_link(node, link);
    }
    if let Some(peer) = node.cluster.take(index)
        && !handshake
    {
        node.note(Fact::NodeRemoved { node: peer.id });
    }
    node.manual_failover.peer_removed(index);
}

/// `CLUSTER RESET`, after the checks (`clusterReset`).
pub(crate) fn reset(node: &mut Node, hard: bool) {
    if node.cluster.myself().is_replica() {
        set_master(node, MYSELF);
        replication::unset_master(node);
        let keys = node.store.clear();
        node.note(Fact::Flushed { keys });
        node.note(Fact::Role {
            replica_of: None,
            why: RoleChange::Reset,
        });
    }
    node.cluster.migrating.clear();
    node.cluster.importing.clear();
    crate::manual_failover::reset(node);
    let all: SlotSet = (0..crate::slot::SLOT_COUNT as u16).collect();
    slots::release(node, &all, SlotChange::Operator);
    for index in node.cluster.places().filter(|&index| index != MYSELF) {
        if node.cluster.get(index).is_some() {
            remove(node, index);
        }
    }
    if hard {
        node.cluster.current_epoch = 0;
        node.cluster.last_vote_epoch = 0;
        node.cluster.myself_mut().config_epoch = 0;
        let id = node.random.names.node_id();
        node.cluster.rename(MYSELF, id);
        node.cluster.myself_mut().shard_id = id;
        node.note(Fact::ConfigEpoch {
            epoch: 0,
            why: EpochChange::Reset,
        });
        node.note(Fact::HandshakeCompleted { node: id });
    }
    clients::redirect_blocked(node);
    node.update_state_later();
    node.save_config(true);
}

/// Whether a peer's pong takes back this node's own suspicion of it.
pub(crate) fn heard_pong(node: &mut Node, index: PeerIndex) {
    let now = node.wall();
    node.cluster.set_pong_received(index, now);
    node.cluster.set_ping_sent(index, None);
    failure::reachable_again(node, index);
    node.cluster.attend(index);
}
