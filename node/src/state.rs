//! The cluster state: whether this node serves (`clusterUpdateState`).

use crate::cluster::Peer;
use crate::engine::Bug;
use crate::fact::{Fact, StateReason};
use crate::message::NodeFlags;
use crate::node::{Node, Todo};
use crate::time::WallMillis;

/// After it was in the minority, a master waits at least this long before it serves again, ms
/// (`CLUSTER_MIN_REJOIN_DELAY`).
const REJOIN_DELAY_MIN_MS: i64 = 500;

/// And at most this long, ms (`CLUSTER_MAX_REJOIN_DELAY`).
const REJOIN_DELAY_MAX_MS: i64 = 5000;

/// After a start, a master waits this long before it serves, ms (`CLUSTER_WRITABLE_DELAY`).
const WRITABLE_DELAY_MS: i64 = 2000;

/// What the state depends on beside the node table.
#[derive(Debug, Default)]
pub(crate) struct Health {
    /// When the state was first judged.
    first_call: Option<WallMillis>,
    /// When this node was last in the minority.
    in_minority: WallMillis,
}

/// Judges the cluster anew.
pub(crate) fn update(node: &mut Node) {
    node.todo.remove(Todo::UPDATE_STATE);
    let now = node.wall();
    let first_call = *node.health.first_call.get_or_insert(now);
    let is_master = node.cluster.myself().is_master();
    if is_master
        && !node.cluster.state_ok
        && now.since_ms(first_call) < WRITABLE_DELAY_MS
        && !node.has_bug(Bug::NoRestartDelay)
    {
        return;
    }
    let mut why = if node.config.cluster_require_full_coverage {
        coverage(node)
    } else {
        StateReason::AllGood
    };
    let reachable = count_masters(node);
    if reachable < node.cluster.quorum() {
        why = StateReason::Minority;
        node.health.in_minority = now;
    }
    let ok = why == StateReason::AllGood;
    if ok == node.cluster.state_ok {
        return;
    }
    let rejoin_delay_ms = node
        .config
        .cluster_node_timeout_ms
        .clamp(REJOIN_DELAY_MIN_MS, REJOIN_DELAY_MAX_MS);
    if ok
        && is_master
        && now.since_ms(node.health.in_minority) < rejoin_delay_ms
        && !node.has_bug(Bug::NoRestartDelay)
    {
        return;
    }
    node.cluster.state_ok = ok;
    node.note(Fact::ClusterState { ok, why });
}

fn coverage(node: &Node) -> StateReason {
    let failed_owner = |(_, peer): (_, &Peer)| peer.is_failed() && !peer.slots.is_empty();
    if !node.cluster.is_covered() {
        StateReason::SlotUnowned
    } else if node.cluster.peers().any(failed_owner) {
        StateReason::SlotOwnerFailed
    } else {
        StateReason::AllGood
    }
}

/// Counts the masters with slots into `size`, and returns how many of them are reachable.
fn count_masters(node: &mut Node) -> u16 {
    let (mut size, mut reachable) = (0, 0);
    for (_, peer) in node.cluster.peers().filter(|(_, peer)| peer.votes()) {
        size += 1;
        if !peer.flags.intersects(NodeFlags::FAIL | NodeFlags::PFAIL) {
            reachable += 1;
        }
    }
    node.cluster.size = size;
    reachable
}
