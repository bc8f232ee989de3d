//! Replica migration: a shard with spare replicas gives one to a master that has none.

use crate::cluster::{MYSELF, PeerIndex};
use crate::fact::RoleChange;
use crate::message::NodeFlags;
use crate::node::Node;
use crate::replication;

/// A master must be without replicas for this long, ms (`CLUSTER_SLAVE_MIGRATION_DELAY`).
const ORPHANED_FOR_MS: i64 = 5000;

/// What decides whether a migration is called for at all.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Spread {
    /// The topology it was counted in.
    topology: u64,
    orphaned: usize,
    /// Working replicas of the master that has most.
    most: usize,
    in_my_shard: usize,
}

/// The replica's part of `clusterCron`: moves this replica if it is its turn.
pub(crate) fn cron(node: &mut Node) {
    let myself = node.cluster.myself();
    let Some(master) = myself.replica_of.filter(|_| myself.is_replica()) else {
        return;
    };
    if node.spread.topology != node.cluster.topology {
        node.spread = count(node, master);
    }
    let Spread {
        orphaned,
        most,
        in_my_shard,
        ..
    } = node.spread;
    if orphaned > 0
        && most >= 2
        && in_my_shard == most
        && node.config.cluster_allow_replica_migration
    {
        migrate(node, master, most);
    }
}

fn count(node: &Node, master: PeerIndex) -> Spread {
    let mut spread = Spread {
        topology: node.cluster.topology,
        ..Spread::default()
    };
    for (index, peer) in node.cluster.peers() {
        let leave_out = NodeFlags::MYSELF | NodeFlags::NOADDR | NodeFlags::HANDSHAKE;
        if peer.flags.intersects(leave_out) || !peer.is_master() || peer.is_failed() {
            continue;
        }
        let working = working_replicas(node, index);
        if working == 0 && !peer.slots.is_empty() && peer.flags.contains(NodeFlags::MIGRATE_TO) {
            spread.orphaned += 1;
        }
        spread.most = working.max(spread.most);
        if index == master {
            spread.in_my_shard = working;
        }
    }
    spread
}

/// `clusterHandleSlaveMigration`.
fn migrate(node: &mut Node, master: PeerIndex, most: usize) {
    if !node.cluster.state_ok {
        return;
    }
    let down = NodeFlags::FAIL | NodeFlags::PFAIL;
    let siblings = &node.cluster[master].replicas;
    let healthy = siblings
        .iter()
        .filter(|&&index| !node.cluster[index].flags.intersects(down))
        .count();
    if healthy <= usize::from(node.config.cluster_migration_barrier) {
        return;
    }
    let now = node.wall();
    let mut target = None;
    let mut candidate = node.cluster.myself().id;
    for index in node.cluster.places() {
        let Some(peer) = node.cluster.get(index) else {
            continue;
        };
        let working = if peer.is_master() {
            working_replicas(node, index)
        } else {
            0
        };
        let orphaned = !peer.is_replica()
            && !peer.is_failed()
            && peer.flags.contains(NodeFlags::MIGRATE_TO)
            && working == 0;
        if working == most {
            let smallest = peer
                .replicas
                .iter()
                .map(|&replica| node.cluster[replica].id)
                .min();
            candidate = smallest.map_or(candidate, |smallest| smallest.min(candidate));
        }
        if orphaned {
            if target.is_none() && !peer.slots.is_empty() {
                target = Some(index);
            }
            let since = node.cluster[index].orphaned_time().unwrap_or(now);
            node.cluster[index].set_orphaned_time(Some(since));
        } else {
            node.cluster[index].set_orphaned_time(None);
        }
    }
    let Some(target) = target.filter(|_| candidate == node.cluster[MYSELF].id) else {
        return;
    };
    let orphaned_for_ms = node.cluster[target]
        .orphaned_time()
        .map_or(0, |since| now.since_ms(since));
    if orphaned_for_ms > ORPHANED_FOR_MS {
        replication::follow(node, target, RoleChange::ReplicaMigration);
        node.save_config(false);
    }
}

/// `clusterCountNonFailingSlaves`.
fn working_replicas(node: &Node, index: PeerIndex) -> usize {
    node.cluster[index]
        .replicas
        .iter()
        .filter(|&&replica| !node.cluster[replica].is_failed())
        .count()
}
