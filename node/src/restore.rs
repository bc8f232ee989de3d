//! From the state file to a running node and back (`clusterLoadConfig`, `clusterSaveConfig`,
//! `verifyClusterConfigWithData`).

use std::sync::Arc;

use crate::cluster::{ClusterState, MYSELF, Peer, PeerIndex};
use crate::config::Config;
use crate::directory::Directory;
use crate::engine::{Bug, Quirk};
use crate::fact::{EpochChange, Fact, RoleChange, SlotChange};
use crate::ids::NodeId;
use crate::message::{Address, NodeFlags};
use crate::node::{ConfigError, Node};
use crate::nodes_conf::{SavedNode, SavedState};
use crate::random::Randomness;
use crate::slot::SlotSet;
use crate::state_file::StateFile;
use crate::time::WallMillis;

/// A node that never ran before.
pub(crate) fn fresh(
    config: &Config,
    random: &mut Randomness,
    directory: &Arc<Directory>,
    now: WallMillis,
) -> ClusterState {
    let flags = NodeFlags::MYSELF | NodeFlags::MASTER;
    let myself = Peer::new(
        random.names.node_id(),
        flags,
        own_address(config, None),
        now,
    );
    let mut cluster = ClusterState::new(myself, random.names.number(), directory, now);
    if config.engine.has(Quirk::ShardIds) {
        cluster.myself_mut().shard_id = random.names.node_id();
    }
    cluster
}

/// A node that remembers.
pub(crate) fn cluster(
    config: &Config,
    saved: SavedState,
    hash_seed: u64,
    directory: &Arc<Directory>,
    now: WallMillis,
) -> Result<ClusterState, ConfigError> {
    let selves = saved
        .nodes
        .iter()
        .filter(|node| node.flags.contains(NodeFlags::MYSELF))
        .count();
    let Some(myself) = saved
        .nodes
        .iter()
        .find(|node| node.flags.contains(NodeFlags::MYSELF))
        .filter(|_| selves == 1)
    else {
        return Err(ConfigError::Myself(selves));
    };
    let mut cluster = ClusterState::new(
        peer(myself, own_address(config, myself.address.ip), now),
        hash_seed,
        directory,
        now,
    );
    restore_times(&mut cluster, MYSELF, myself, now);
    for node in saved
        .nodes
        .iter()
        .filter(|node| !node.flags.contains(NodeFlags::MYSELF))
    {
        if cluster.find(node.id).is_none() {
            let index = cluster.add(peer(node, node.address, now));
            restore_times(&mut cluster, index, node, now);
        }
    }
    for node in &saved.nodes {
        let Some(index) = cluster.find(node.id) else {
            continue;
        };
        if let Some(master) = node.replica_of {
            let master = find_or_add(&mut cluster, master, now);
            cluster[index].replica_of = Some(master);
            cluster[master].replicas.push(index);
        }
        cluster.set_owner_of_all(&node.slots, index);
        for &(slot, target) in &node.migrating {
            let target = find_or_add(&mut cluster, target, now);
            cluster.migrating.insert(slot, target);
        }
        for &(slot, source) in &node.importing {
            let source = find_or_add(&mut cluster, source, now);
            cluster.importing.insert(slot, source);
        }
    }
    for node in &saved.nodes {
        let Some(index) = cluster.find(node.id) else {
            continue;
        };
        // A file of an older engine has none: a replica has its master's, anybody else its own.
        let of_master = cluster[index].replica_of.map(|master| cluster[master].id);
        let of_master = of_master.and_then(|master| saved.nodes.iter().find(|it| it.id == master));
        let inherited = of_master.map(|master| master.shard_id.unwrap_or(master.id));
        cluster[index].shard_id = node.shard_id.or(inherited).unwrap_or(node.id);
    }
    mark_masters_with_replicas(&mut cluster);
    for index in cluster.places() {
        cluster.watch(index);
    }
    cluster.current_epoch = saved.current_epoch;
    cluster.last_vote_epoch = saved.last_vote_epoch;
    if config.has_bug(Bug::ForgetsVotes) {
        cluster.last_vote_epoch = 0;
    }
    if config.has_bug(Bug::ForgetsEpoch) {
        cluster.current_epoch = 0;
    } else {
        let greatest = cluster
            .peers()
            .map(|(_, peer)| peer.config_epoch)
            .max()
            .unwrap_or(0);
        cluster.current_epoch = cluster.current_epoch.max(greatest);
    }
    Ok(cluster)
}

/// What goes into the state file now. Nodes in handshake are left out.
pub(crate) fn saved(node: &Node) -> StateFile {
    let tells_shard = node.has_quirk(Quirk::ShardIds);
    let in_names = if tells_shard {
        None
    } else {
        StateFile::in_names(&node.cluster)
    };
    debug_assert!(
        (in_names.iter()).all(|file| *file.state() == spelled(node)),
        "what is saved depends on how it is kept"
    );
    in_names.unwrap_or_else(|| spelled(node).into())
}

fn spelled(node: &Node) -> SavedState {
    let cluster = &node.cluster;
    let members = cluster.peers().filter(|(_, peer)| !peer.in_handshake());
    let tells_shard = node.has_quirk(Quirk::ShardIds);
    SavedState {
        nodes: members
            .map(|(index, peer)| SavedNode {
                shard_id: tells_shard.then_some(peer.shard_id),
                ..saved_node(cluster, index)
            })
            .collect(),
        current_epoch: cluster.current_epoch,
        last_vote_epoch: cluster.last_vote_epoch,
    }
}

/// What is saved, and told by `CLUSTER NODES`, of one node.
pub(crate) fn saved_node(cluster: &ClusterState, index: PeerIndex) -> SavedNode {
    let id = |index: PeerIndex| cluster[index].id;
    let peer = &cluster[index];
    SavedNode {
        id: peer.id,
        address: peer.address,
        hostname: peer.hostname.clone(),
        shard_id: None,
        flags: peer
            .flags
            .difference(NodeFlags::MEET | NodeFlags::MIGRATE_TO),
        replica_of: peer.replica_of.map(id),
        ping_sent_ms: peer.ping_sent().map_or(0, |sent| sent.0),
        pong_received_ms: cluster.pong_received(index).0,
        config_epoch: config_epoch_shown(cluster, peer),
        link_up: index == MYSELF || peer.is_linked(),
        slots: Arc::clone(&peer.slots),
        migrating: own(
            index,
            cluster
                .migrating
                .iter()
                .map(|(&slot, &target)| (slot, id(target)))
                .collect(),
        ),
        importing: own(
            index,
            cluster
                .importing
                .iter()
                .map(|(&slot, &source)| (slot, id(source)))
                .collect(),
        ),
    }
}

/// Tells what the node starts with.
pub(crate) fn announce(node: &mut Node, restored: bool) {
    let myself = node.cluster.myself();
    let (id, config_epoch) = (myself.id, myself.config_epoch);
    let replica_of = myself.replica_of.map(|master| node.cluster[master].id);
    let (current_epoch, last_vote_epoch) =
        (node.cluster.current_epoch, node.cluster.last_vote_epoch);
    node.note(Fact::Started {
        id,
        restored,
        current_epoch,
        last_vote_epoch,
    });
    node.note(Fact::Role {
        replica_of,
        why: RoleChange::Start,
    });
    node.note(Fact::ConfigEpoch {
        epoch: config_epoch,
        why: EpochChange::Restored,
    });
    let owned: Vec<_> = node
        .cluster
        .peers()
        .filter(|(_, peer)| !peer.slots.is_empty())
        .map(|(_, peer)| (peer.id, peer.config_epoch, peer.slots.ranges()))
        .collect();
    for (owner, epoch, slots) in owned {
        node.note(Fact::SlotsOwned {
            owner: Some(owner),
            epoch,
            slots: slots.into(),
            why: SlotChange::Restored,
        });
    }
    if !restored {
        node.save_config(true);
    }
    node.noted_epoch = current_epoch;
}

fn own<T>(index: PeerIndex, items: Vec<T>) -> Vec<T> {
    if index == MYSELF { items } else { Vec::new() }
}

/// `clusterGenNodeDescription` prints a replica's master's epoch.
fn config_epoch_shown(cluster: &ClusterState, peer: &Peer) -> u64 {
    match peer.replica_of {
        Some(master) if peer.is_replica() => cluster[master].config_epoch,
        Some(_) | None => peer.config_epoch,
    }
}

pub(crate) fn own_address(config: &Config, known: Option<std::net::IpAddr>) -> Address {
    Address {
        ip: config.announce_ip.or(known),
        port: config.announced_port(),
        bus_port: config.announced_bus_port(),
    }
}

fn peer(saved: &SavedNode, address: Address, now: WallMillis) -> Peer {
    let mut peer = Peer::new(saved.id, saved.flags, address, now);
    peer.hostname.clone_from(&saved.hostname);
    peer.config_epoch = if saved.replica_of.is_some() {
        0
    } else {
        saved.config_epoch
    };
    if peer.is_failed() {
        peer.fail_time = now;
    }
    peer
}

/// Saved times are not trusted: they only tell whether there was one.
fn restore_times(cluster: &mut ClusterState, index: PeerIndex, saved: &SavedNode, now: WallMillis) {
    cluster.set_ping_sent(index, (saved.ping_sent_ms != 0).then_some(now));
    if saved.pong_received_ms != 0 {
        cluster.set_pong_received(index, now);
    }
}

fn find_or_add(cluster: &mut ClusterState, id: NodeId, now: WallMillis) -> PeerIndex {
    let nowhere = Address {
        ip: None,
        port: 0,
        bus_port: 0,
    };
    match cluster.find(id) {
        Some(index) => index,
        None => cluster.add(Peer::new(id, NodeFlags::empty(), nowhere, now)),
    }
}

fn mark_masters_with_replicas(cluster: &mut ClusterState) {
    let any_replicas = cluster.peers().any(|(_, peer)| !peer.replicas.is_empty());
    for index in cluster.places() {
        let Some(peer) = cluster.get(index) else {
            continue;
        };
        if !peer.replicas.is_empty() || (any_replicas && *peer.slots != SlotSet::new()) {
            cluster.mark(index, NodeFlags::MIGRATE_TO);
        }
    }
}
