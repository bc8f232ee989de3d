//! Pauses: writes, or all commands, are held back for a time.

use super::Clients;
use crate::fact::Fact;
use crate::node::Node;
use crate::time::WallMillis;

/// Which commands a pause holds back (`pause_type`).
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub(crate) enum PauseKind {
    /// Those that may change keys.
    Writes,
    /// All.
    All,
}

/// What a pause is for. Each has its own end (`pause_purpose`).
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum PausePurpose {
    /// `CLIENT PAUSE`.
    Operator,
    /// A shutdown: the replicas catch up.
    Shutdown,
    /// A manual failover: the replica catches up with a stream that stands still.
    Failover,
}

/// The pauses in force.
#[derive(Debug, Default)]
pub(super) struct Pauses {
    operator: Option<Pause>,
    shutdown: Option<Pause>,
    failover: Option<Pause>,
    /// The strongest of them, as last looked at. A pause whose time is over holds on until
    /// somebody looks, as upstream: the cron, or a key that expires.
    in_force: Option<Pause>,
}

#[derive(Clone, Copy, Debug)]
struct Pause {
    kind: PauseKind,
    ends: WallMillis,
}

impl Clients {
    /// What is held back now.
    pub(crate) fn paused(&self) -> Option<PauseKind> {
        self.pauses.in_force.map(|pause| pause.kind)
    }
}

/// Whether writes are held back (`areClientsPaused`).
pub(crate) fn writes_paused(node: &Node) -> bool {
    node.clients.paused().is_some()
}

/// Holds back writes for a manual failover.
pub(crate) fn pause_writes(node: &mut Node, until: WallMillis) {
    pause(node, PausePurpose::Failover, PauseKind::Writes, until);
}

/// Ends what [`pause_writes`] began.
pub(crate) fn resume_writes(node: &mut Node) {
    resume(node, PausePurpose::Failover);
}

/// Holds back commands. A longer or stronger pause for the same purpose stays (`pauseClients`).
pub(crate) fn pause(node: &mut Node, purpose: PausePurpose, kind: PauseKind, until: WallMillis) {
    let pause = node
        .clients
        .pauses
        .of(purpose)
        .get_or_insert(Pause { kind, ends: until });
    pause.kind = pause.kind.max(kind);
    pause.ends = pause.ends.max(until);
    update(node);
}

/// Ends a pause (`unpauseClients`).
pub(crate) fn resume(node: &mut Node, purpose: PausePurpose) {
    if node.clients.pauses.of(purpose).take().is_some() {
        update(node);
    }
}

/// Ends the pauses whose time is over; true if one is still in force
/// (`checkClientPauseTimeoutAndReturnIfPaused`).
pub(crate) fn check_pause(node: &mut Node) -> bool {
    let now = node.wall();
    if node
        .clients
        .pauses
        .in_force
        .is_some_and(|pause| pause.ends < now)
    {
        update(node);
    }
    writes_paused(node)
}

/// Finds the strongest pause anew. If it is weaker than before, postponed commands get another
/// chance (`updateClientPauseTypeAndEndTime`).
fn update(node: &mut Node) {
    let now = node.wall();
    let before = node.clients.paused();
    let pauses = &mut node.clients.pauses;
    for pause in [
        &mut pauses.operator,
        &mut pauses.shutdown,
        &mut pauses.failover,
    ] {
        *pause = pause.filter(|pause| pause.ends >= now);
    }
    let strongest = [pauses.operator, pauses.shutdown, pauses.failover]
        .into_iter()
        .flatten()
        .max_by_key(|pause| (pause.kind, pause.ends));
    pauses.in_force = strongest;
    let after = node.clients.paused();
    if before.is_some() != after.is_some() {
        node.note(if after.is_some() {
            Fact::WritesPaused
        } else {
            Fact::WritesResumed
        });
    }
    if after < before {
        for client in std::mem::take(&mut node.clients.postponed) {
            super::unblock(node, client);
        }
    }
}

impl Pauses {
    const fn of(&mut self, purpose: PausePurpose) -> &mut Option<Pause> {
        match purpose {
            PausePurpose::Operator => &mut self.operator,
            PausePurpose::Shutdown => &mut self.shutdown,
            PausePurpose::Failover => &mut self.failover,
        }
    }
}
