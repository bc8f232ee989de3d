//! Failure detection: suspicion (PFAIL), reports, agreement (FAIL), and taking them back.

use crate::cluster::{PeerIndex, Report};
use crate::engine::{Bug, Quirk};
use crate::fact::{Fact, FailCleared, FailureReport};
use crate::gossip;
use crate::ids::NodeId;
use crate::message::{Body, Message, MessageFlags, NodeFlags};
use crate::node::{Node, Todo};

/// Failure reports are valid for this many node-timeouts (`CLUSTER_FAIL_REPORT_VALIDITY_MULT`).
const REPORT_VALIDITY_TIMEOUTS: i64 = 2;

/// A master that nobody replaced is taken back after this many node-timeouts
/// (`CLUSTER_FAIL_UNDO_TIME_MULT`).
const UNDO_TIMEOUTS: i64 = 2;

/// Suspects a peer that owes a pong and sent nothing for longer than the node-timeout. True if
/// that is new.
pub(crate) fn suspect_if_silent(
    node: &mut Node,
    index: PeerIndex,
    ping_delay_ms: i64,
    data_delay_ms: i64,
) -> bool {
    if ping_delay_ms.min(data_delay_ms) <= node.config.cluster_node_timeout_ms {
        return false;
    }
    let peer = &node.cluster[index];
    if peer.flags.intersects(NodeFlags::PFAIL | NodeFlags::FAIL) {
        return false;
    }
    let id = peer.id;
    node.cluster.mark(index, NodeFlags::PFAIL);
    node.cluster.suspects.insert(index);
    node.cluster.topology += 1;
    node.note(Fact::PossiblyFailing { node: id });
    let alone = node.cluster.size == 1 && node.cluster.myself().votes();
    if alone && node.has_quirk(Quirk::SoleMasterMarksFail) {
        mark_failing_if_agreed(node, index);
    }
    true
}

/// A master reported a peer as PFAIL or FAIL (`clusterNodeAddFailureReport`).
pub(crate) fn report(node: &mut Node, index: PeerIndex, by: PeerIndex) {
    let now = node.wall();
    let reports = node.cluster.reports.entry(index).or_default();
    if let Some(report) = reports.iter_mut().find(|report| report.by == by) {
        report.at = now;
        return;
    }
    reports.push(Report { by, at: now });
    let (id, by) = (node.cluster[index].id, node.cluster[by].id);
    node.note(Fact::FailureReported { node: id, by });
}

/// A master no longer reports a peer (`clusterNodeDelFailureReport`).
pub(crate) fn withdraw_report(node: &mut Node, index: PeerIndex, by: PeerIndex) {
    let Some(reports) = node.cluster.reports.get_mut(&index) else {
        return;
    };
    let Some(place) = reports.iter().position(|report| report.by == by) else {
        return;
    };
    reports.remove(place);
    expire_reports(node, index);
    let (id, by) = (node.cluster[index].id, node.cluster[by].id);
    node.note(Fact::FailureReportWithdrawn { node: id, by });
}

/// Number of valid failure reports about a peer (`clusterNodeFailureReportsCount`).
pub(crate) fn report_count(node: &mut Node, index: PeerIndex) -> usize {
    expire_reports(node, index);
    node.cluster.reports.get(&index).map_or(0, Vec::len)
}

fn expire_reports(node: &mut Node, index: PeerIndex) {
    let expire = !node.has_bug(Bug::ReportsNeverExpire);
    let validity_ms = node.config.cluster_node_timeout_ms * REPORT_VALIDITY_TIMEOUTS;
    let now = node.wall();
    let Some(reports) = node.cluster.reports.get_mut(&index) else {
        return;
    };
    reports.retain(|report| !expire || now.since_ms(report.at) <= validity_ms);
    if reports.is_empty() {
        node.cluster.reports.remove(&index);
    }
}

/// Marks a suspected peer FAIL and tells everyone, if a quorum of masters agrees
/// (`markNodeAsFailingIfNeeded`).
pub(crate) fn mark_failing_if_agreed(node: &mut Node, index: PeerIndex) {
    let peer = &node.cluster[index];
    if !peer.is_timed_out() || peer.is_failed() {
        return;
    }
    let myself = node.cluster.myself();
    let counted_self = if node.has_quirk(Quirk::OnlyVotersMarkFail) {
        myself.votes()
    } else {
        myself.is_master()
    };
    let agreeing = report_count(node, index) as u16 + u16::from(counted_self);
    let needed = node.cluster.quorum();
    let enough = if node.has_bug(Bug::FailsShortOfQuorum) {
        needed - 1
    } else {
        needed
    };
    if agreeing < enough {
        return;
    }
    let now = node.wall();
    let known = node.cluster.reports.get(&index);
    let reports = known
        .into_iter()
        .flatten()
        .map(|report| FailureReport {
            by: node.cluster[report.by].id,
            age_ms: now.since_ms(report.at),
        })
        .collect();
    set_failed(node, index);
    let id = node.cluster[index].id;
    node.note(Fact::MarkedFailing {
        node: id,
        reports,
        counted_self,
        needed,
    });
    let message = Message {
        header: gossip::header(node, MessageFlags::empty()),
        body: Body::Fail(id),
    };
    gossip::broadcast(node, message);
}

/// A FAIL message arrived. It is believed, and not passed on.
pub(crate) fn received(node: &mut Node, from: PeerIndex, about: NodeId) {
    let Some(index) = node.cluster.find(about) else {
        return;
    };
    if node.cluster[index]
        .flags
        .intersects(NodeFlags::FAIL | NodeFlags::MYSELF)
    {
        return;
    }
    set_failed(node, index);
    if node.cluster.myself().replica_of == Some(index) && node.has_quirk(Quirk::FailStartsElection)
    {
        node.todo |= Todo::HANDLE_FAILOVER;
    }
    let from = node.cluster[from].id;
    node.note(Fact::FailReceived { node: about, from });
}

fn set_failed(node: &mut Node, index: PeerIndex) {
    let now = node.wall();
    node.cluster
        .remark(index, NodeFlags::PFAIL, NodeFlags::FAIL);
    node.cluster[index].fail_time = now;
    node.cluster.suspects.remove(&index);
    node.cluster.topology += 1;
    node.update_state_later();
    node.save_config(false);
}

/// A pong arrived: a suspicion ends at once, a FAIL under conditions
/// (`clearNodeFailureIfNeeded`).
pub(crate) fn reachable_again(node: &mut Node, index: PeerIndex) {
    let peer = &node.cluster[index];
    let id = peer.id;
    if peer.is_timed_out() {
        node.cluster.unmark(index, NodeFlags::PFAIL);
        node.cluster.suspects.remove(&index);
        node.cluster.topology += 1;
        node.note(Fact::NoLongerPossiblyFailing { node: id });
        node.update_state_later();
        node.save_config(false);
        return;
    }
    if !peer.is_failed() {
        return;
    }
    let failed_for_ms = node.now.wall.since_ms(peer.fail_time);
    let why = if peer.is_replica() {
        FailCleared::ReplicaReachable
    } else if peer.slots.is_empty() {
        FailCleared::MasterWithoutSlots
    } else if failed_for_ms > node.config.cluster_node_timeout_ms * UNDO_TIMEOUTS {
        FailCleared::NobodyServesItsSlots
    } else {
        return;
    };
    node.cluster.unmark(index, NodeFlags::FAIL);
    node.cluster.topology += 1;
    node.note(Fact::FailCleared { node: id, why });
    node.update_state_later();
    node.save_config(false);
}
