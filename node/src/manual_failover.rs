//! Manual failover: `CLUSTER FAILOVER` and its FORCE and TAKEOVER forms.

use crate::clients;
use crate::cluster::{MYSELF, PeerIndex};
use crate::election;
use crate::engine::Quirk;
use crate::epoch;
use crate::fact::{ElectionReset, EpochChange, Fact, FailoverKind};
use crate::gossip::{self, PingKind};
use crate::ids::LinkId;
use crate::message::Body;
use crate::node::{Node, Todo};
use crate::replication;
use crate::time::WallMillis;

/// How long a manual failover may take, ms (`CLUSTER_MF_TIMEOUT`).
const TIMEOUT_MS: i64 = 5000;

/// The master pauses its writers for this many times the timeout (`CLUSTER_MF_PAUSE_MULT`).
const PAUSE_TIMEOUTS: i64 = 2;

/// A manual failover under way, on either side (`mf_*`).
#[derive(Debug, Default)]
pub(crate) struct ManualFailover {
    ends: Option<WallMillis>,
    kind: Option<FailoverKind>,
    /// On the master: the replica that asked.
    replica: Option<PeerIndex>,
    /// On the replica: the offset at which the paused master stands.
    master_offset: Option<u64>,
    can_start: bool,
}

impl ManualFailover {
    /// Whether one is under way here, on either side.
    pub(crate) const fn is_running(&self) -> bool {
        self.ends.is_some()
    }

    /// Whether the replica may ask for votes.
    pub(crate) const fn can_start(&self) -> bool {
        self.ends.is_some() && self.can_start
    }

    /// Whether this master is paused for that replica.
    pub(crate) fn is_for(&self, index: PeerIndex) -> bool {
        self.is_running() && self.replica == Some(index)
    }

    /// On the master: the replica that is waited for.
    pub(crate) const fn replica(&self) -> Option<PeerIndex> {
        self.replica
    }

    /// Its kind, on the replica.
    pub(crate) const fn kind(&self) -> Option<FailoverKind> {
        self.kind
    }

    /// A peer left the table.
    pub(crate) fn peer_removed(&mut self, index: PeerIndex) {
        if self.replica == Some(index) {
            self.replica = None;
        }
    }
}

/// `CLUSTER FAILOVER`, on a replica, after the checks.
pub(crate) fn request(node: &mut Node, kind: FailoverKind) {
    let Some(master) = node.cluster.myself().replica_of else {
        return;
    };
    reset(node);
    let ends = node.wall().plus_ms(TIMEOUT_MS);
    node.manual_failover.ends = Some(ends);
    node.manual_failover.kind = Some(kind);
    node.note(Fact::ManualFailoverAccepted { how: kind });
    match kind {
        FailoverKind::Takeover => {
            epoch::bump(node, EpochChange::Takeover);
            let epoch = node.cluster.myself().config_epoch;
            election::replace_master(node, master, kind, epoch, 0);
        }
        FailoverKind::Force => may_start(node),
        FailoverKind::Manual | FailoverKind::Automatic => {
            gossip::send_to(node, master, Body::ManualFailoverStart);
        }
    }
}

/// A replica of this master wants its place: writers are paused until it caught up.
pub(crate) fn requested_by(node: &mut Node, replica: PeerIndex, link: LinkId) {
    if node.cluster[replica].replica_of != Some(MYSELF) {
        return;
    }
    reset(node);
    let now = node.wall();
    node.manual_failover.ends = Some(now.plus_ms(TIMEOUT_MS));
    node.manual_failover.replica = Some(replica);
    clients::pause_writes(node, now.plus_ms(TIMEOUT_MS * PAUSE_TIMEOUTS));
    let by = node.cluster[replica].id;
    node.note(Fact::ManualFailoverRequested { by });
    // At once, so that the replica learns the offset without waiting for a ping.
    gossip::send_ping(node, link, PingKind::Ping);
}

/// A paused member's header told its offset.
pub(crate) fn master_is_paused(node: &mut Node, sender: PeerIndex, offset: u64) {
    let myself = node.cluster.myself();
    let waits = node.manual_failover.is_running() && node.manual_failover.master_offset.is_none();
    if !(waits && myself.is_replica() && myself.replica_of == Some(sender)) {
        return;
    }
    node.manual_failover.master_offset = Some(offset);
    node.note(Fact::ManualFailoverOffset { offset });
    node.todo |= Todo::HANDLE_MANUAL_FAILOVER;
}

/// Whether the replica has caught up with its paused master (`clusterHandleManualFailover`).
pub(crate) fn advance(node: &mut Node) {
    if !node.manual_failover.is_running() || node.manual_failover.can_start {
        return;
    }
    let Some(master_offset) = node.manual_failover.master_offset else {
        return;
    };
    if master_offset == replication::offset(node) {
        may_start(node);
        node.note(Fact::ManualFailoverReady);
        node.todo |= Todo::HANDLE_FAILOVER;
    } else {
        node.todo |= Todo::HANDLE_MANUAL_FAILOVER;
    }
}

/// The replica may ask for votes (`manualFailoverCanStart`).
fn may_start(node: &mut Node) {
    node.manual_failover.can_start = true;
    if node.has_quirk(Quirk::ManualFailoverResetsElection) {
        election::reset(node, ElectionReset::ManualFailover);
    }
}

/// Gives up when the time is over (`manualFailoverCheckTimeout`).
pub(crate) fn check_timeout(node: &mut Node) {
    if node
        .manual_failover
        .ends
        .is_some_and(|ends| ends < node.now.wall)
    {
        node.note(Fact::ManualFailoverTimedOut);
        reset(node);
    }
}

/// Ends any manual failover here; writers flow again (`resetManualFailover`).
pub(crate) fn reset(node: &mut Node) {
    if node.manual_failover.replica.is_some() {
        clients::resume_writes(node);
    }
    node.manual_failover = ManualFailover::default();
}
