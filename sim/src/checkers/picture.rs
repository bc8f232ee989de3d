//! What the log says now: processes, roles, views, cuts. Kept once for all rules.
//!
//! A view is built from facts alone. A node tells at every start `Started`, its `Role`, one
//! `SlotsOwned` (`restored`) for each owner in its state file; after that every change. What a
//! node of a pre-formed cluster knows of its peers at the start is what the header says.

mod view;

use indexmap::IndexMap;
use redrill_node::{EpochChange, Fact, NodeId, RoleChange, SlotChange, SlotRange, StateReason};
use rustc_hash::FxBuildHasher;

use self::view::NO_PEER;
pub use self::view::{PeerPicture, View};
use super::operators::OperatorActs;
use super::reach::Reach;
use crate::scenario::CrashKind;
use crate::trace::{
    Event, FaultEvent, Header, NodeNumber, Phase, ProcessChange, Record, StateLoad,
};

/// What the log says up to a record.
#[derive(Debug)]
pub struct Picture<'t> {
    header: &'t Header,
    ids: IndexMap<NodeId, NodeNumber, FxBuildHasher>,
    nodes: Vec<NodePicture>,
    phase: Option<Phase>,
    phase_since_us: u64,
    now_us: u64,
    /// Who can hear whom.
    pub reach: Reach,
    /// What operators did.
    pub operators: OperatorActs,
}

/// One node of [`Header::nodes`] as it is now.
#[derive(Debug)]
pub struct NodePicture {
    /// Its process.
    pub process: Process,
    /// Since when the process is as it is.
    pub process_since_us: u64,
    /// When it last started.
    pub started_us: u64,
    /// How often it started.
    pub starts: u32,
    /// The role it last started with, and keeps: no change of role since then.
    pub role_unchanged_since_start: bool,
    /// Its master by its own word; `None` for a master.
    pub replica_of: Option<NodeNumber>,
    /// Whether its cluster state is ok.
    pub state_ok: bool,
    /// Since when.
    pub state_since_us: u64,
    /// What decided it.
    pub state_why: Option<StateReason>,
    /// `currentEpoch` by its own word.
    pub current_epoch: u64,
    /// Its config epoch by its own word.
    pub config_epoch: u64,
    /// Whether its link to its master is up and in sync.
    pub master_link_up: bool,
    /// Whether it ever told of a client's write (`Fact::Wrote`); a live server does not.
    pub tells_writes: bool,
    /// Whether `CLUSTER RESET HARD` just took its id: the next one it tells is its own.
    loses_id: bool,
    /// How it sees the cluster.
    pub view: View,
}

/// What a process does.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Process {
    /// The log does not say yet.
    Unknown,
    /// It runs.
    Running,
    /// It stands still.
    Stalled,
    /// It ended.
    Down,
}

impl<'t> Picture<'t> {
    /// The picture before the first record.
    #[must_use]
    pub fn new(header: &'t Header) -> Self {
        let count = header.nodes.len();
        let ids = header.nodes.iter().map(|node| node.id).zip(0..).collect();
        let mut picture = Self {
            header,
            ids,
            nodes: Vec::with_capacity(count),
            phase: None,
            phase_since_us: 0,
            now_us: 0,
            reach: Reach::new(count),
            operators: OperatorActs::default(),
        };
        for info in &header.nodes {
            picture.nodes.push(NodePicture {
                process: Process::Unknown,
                process_since_us: 0,
                started_us: 0,
                starts: 0,
                role_unchanged_since_start: true,
                replica_of: info.replica_of,
                state_ok: false,
                state_since_us: 0,
                state_why: None,
                current_epoch: 0,
                config_epoch: 0,
                master_link_up: false,
                tells_writes: false,
                loses_id: false,
                view: View::of_peers(peers_of_header(header)),
            });
        }
        picture
    }

    /// What ran.
    #[must_use]
    pub const fn header(&self) -> &'t Header {
        self.header
    }

    /// Time of the record last taken in.
    #[must_use]
    pub const fn now_us(&self) -> u64 {
        self.now_us
    }

    /// `cluster-node-timeout`, microseconds.
    #[must_use]
    pub fn node_timeout_us(&self) -> u64 {
        u64::try_from(self.header.node_timeout_ms).unwrap_or(0) * 1000
    }

    /// The phase the run is in.
    #[must_use]
    pub const fn phase(&self) -> Option<Phase> {
        self.phase
    }

    /// When the phase began.
    #[must_use]
    pub const fn phase_since_us(&self) -> u64 {
        self.phase_since_us
    }

    /// A node of the header.
    #[must_use]
    pub fn node(&self, node: NodeNumber) -> Option<&NodePicture> {
        self.nodes.get(usize::from(node))
    }

    /// Every node of the header.
    pub fn nodes(&self) -> impl Iterator<Item = (NodeNumber, &NodePicture)> {
        (0..).zip(&self.nodes)
    }

    /// Every node of the header whose process runs.
    pub fn running(&self) -> impl Iterator<Item = (NodeNumber, &NodePicture)> {
        self.nodes()
            .filter(|(_, node)| node.process == Process::Running)
    }

    /// The number of a node; numbers past the header's nodes are ids that the drill did not name.
    #[must_use]
    pub fn number(&self, id: NodeId) -> Option<NodeNumber> {
        self.ids.get(&id).copied()
    }

    /// The name of a node, or the beginning of its id.
    #[must_use]
    pub fn name(&self, node: NodeNumber) -> String {
        if let Some(info) = self.header.nodes.get(usize::from(node)) {
            return info.name.clone();
        }
        let id = self.ids.iter().find(|(_, number)| **number == node);
        id.map_or_else(|| "an unknown node".into(), |(id, _)| short(*id))
    }

    /// The name of the node with an id, or the beginning of the id.
    #[must_use]
    pub fn name_of(&self, id: NodeId) -> String {
        self.number(id)
            .map_or_else(|| short(id), |node| self.name(node))
    }

    /// Names of nodes, as a list in words.
    #[must_use]
    pub fn names(&self, nodes: &[NodeNumber]) -> String {
        let names: Vec<String> = nodes.iter().map(|node| self.name(*node)).collect();
        match names.split_last() {
            None => "nobody".into(),
            Some((only, [])) => only.clone(),
            Some((last, others)) => format!("{} and {last}", others.join(", ")),
        }
    }

    /// A directive as the drill set it.
    #[must_use]
    pub fn config(&self, directive: &str) -> Option<&str> {
        self.header.config.get(directive).map(String::as_str)
    }

    /// A directive that is a number; `default` if the drill does not set it.
    #[must_use]
    pub fn config_number(&self, directive: &str, default: i64) -> i64 {
        self.config(directive)
            .and_then(|value| value.trim().parse().ok())
            .unwrap_or(default)
    }

    fn intern(&mut self, id: NodeId) -> NodeNumber {
        let next = self.ids.len() as NodeNumber;
        *self.ids.entry(id).or_insert(next)
    }

    /// Takes in the next record.
    pub fn apply(&mut self, record: &Record) {
        self.now_us = record.at_us;
        match record.event.fault() {
            Some(FaultEvent::Began {
                source,
                fault,
                touched,
                ..
            }) => self.reach.fault_began(source, fault, touched, record.at_us),
            Some(FaultEvent::Ended(source)) => self.reach.fault_ended(source, record.at_us),
            None => {}
        }
        match &record.event {
            Event::Phase { phase } => {
                self.phase = Some(*phase);
                self.phase_since_us = record.at_us;
            }
            Event::Node { node, fact } => self.apply_fact(*node, fact, record.at_us),
            Event::Process { node, change } => self.apply_process(*node, *change, record.at_us),
            Event::StateLoaded { node, outcome } => self.apply_state(*node, *outcome),
            Event::Operator {
                command, failed, ..
            } => {
                self.operators.note(command, *failed, record.at_us);
            }
            Event::StateSaved { .. }
            | Event::FaultBegan { .. }
            | Event::FaultEnded { .. }
            | Event::FaultMissed { .. }
            | Event::WeatherBegan { .. }
            | Event::WeatherEnded { .. }
            | Event::Operation(_)
            | Event::Audited { .. }
            | Event::BusTraffic { .. }
            | Event::Remark { .. } => {}
        }
    }

    fn apply_process(&mut self, node: NodeNumber, change: ProcessChange, at_us: u64) {
        let Some(picture) = self.nodes.get_mut(usize::from(node)) else {
            return;
        };
        picture.process = match change {
            ProcessChange::Started => {
                picture.started_us = at_us;
                picture.starts += 1;
                picture.role_unchanged_since_start = true;
                picture.state_ok = false;
                picture.state_since_us = at_us;
                picture.state_why = None;
                picture.master_link_up = false;
                Process::Running
            }
            ProcessChange::Crashed(kind) => {
                if kind == CrashKind::PowerOff {
                    for peer in &mut picture.view.peers {
                        peer.role_unsure = true;
                        peer.suspicion_unsure |= peer.ever_suspected;
                    }
                }
                Process::Down
            }
            ProcessChange::Stalled(_) => Process::Stalled,
            ProcessChange::Resumed => Process::Running,
        };
        picture.process_since_us = at_us;
        self.reach
            .process_changed(node, picture.process == Process::Running, at_us);
    }

    fn apply_state(&mut self, node: NodeNumber, outcome: StateLoad) {
        let Some(picture) = self.nodes.get_mut(usize::from(node)) else {
            return;
        };
        match outcome {
            StateLoad::Absent | StateLoad::Torn => picture.view.peers.clear(),
            StateLoad::Whole { .. } => {}
        }
    }

    fn apply_fact(&mut self, node: NodeNumber, fact: &Fact, at_us: u64) {
        let place = usize::from(node);
        if place >= self.nodes.len() {
            return;
        }
        if self.nodes[place].process == Process::Unknown {
            self.nodes[place].process = Process::Running;
            self.nodes[place].process_since_us = at_us;
        }
        match fact {
            Fact::Wrote { .. } => self.nodes[place].tells_writes = true,
            Fact::Started {
                id, current_epoch, ..
            } => {
                self.ids.insert(*id, node);
                let picture = &mut self.nodes[place];
                picture.current_epoch = *current_epoch;
                picture.config_epoch = 0;
                picture.view.forget_slots(at_us);
                for peer in &mut picture.view.peers {
                    peer.config_epoch = 0;
                }
                picture.view.peer_mut(node).known = true;
            }
            Fact::Role { replica_of, why } => self.apply_role(node, *replica_of, *why),
            Fact::ClusterState { ok, why } => {
                let picture = &mut self.nodes[place];
                picture.state_ok = *ok;
                picture.state_since_us = at_us;
                picture.state_why = Some(*why);
            }
            Fact::CurrentEpoch { epoch } => self.nodes[place].current_epoch = *epoch,
            Fact::ElectionStarted { epoch, .. } => {
                let picture = &mut self.nodes[place];
                picture.current_epoch = picture.current_epoch.max(*epoch);
            }
            Fact::ConfigEpoch { epoch, why } => {
                let picture = &mut self.nodes[place];
                if *why == EpochChange::Reset {
                    picture.loses_id = true;
                    picture.current_epoch = 0;
                }
                picture.config_epoch = *epoch;
                picture.view.peer_mut(node).config_epoch = *epoch;
            }
            Fact::PeerConfigEpoch { node: peer, epoch } => {
                let peer = self.intern(*peer);
                self.nodes[place].view.peer_mut(peer).config_epoch = *epoch;
            }
            Fact::SlotsOwned {
                owner,
                epoch,
                slots,
                why,
            } => {
                let owner = owner.map(|id| self.intern(id));
                self.apply_slots(node, owner, *epoch, slots, *why, at_us);
            }
            Fact::HandshakeCompleted { node: own } if self.nodes[place].loses_id => {
                self.nodes[place].loses_id = false;
                self.ids.insert(*own, node);
            }
            Fact::HandshakeCompleted { node: peer } | Fact::NodeAdded { node: peer } => {
                let peer = self.intern(*peer);
                self.nodes[place].view.peer_mut(peer).known = true;
            }
            Fact::NodeRemoved { node: peer } => {
                let peer = self.intern(*peer);
                self.drop_slots(node, peer, at_us);
                *self.nodes[place].view.peer_mut(peer) = NO_PEER;
            }
            Fact::PeerRole {
                node: peer,
                replica_of,
            } => {
                let peer = self.intern(*peer);
                let replica_of = replica_of.map(|id| self.intern(id));
                if replica_of.is_some() && peer != node {
                    self.drop_slots(node, peer, at_us);
                }
                let seen = self.nodes[place].view.peer_mut(peer);
                seen.known = true;
                seen.replica_of = replica_of;
                seen.role_unsure = false;
            }
            Fact::PossiblyFailing { node: peer }
            | Fact::NoLongerPossiblyFailing { node: peer }
            | Fact::MarkedFailing { node: peer, .. }
            | Fact::FailReceived { node: peer, .. }
            | Fact::FailCleared { node: peer, .. } => {
                let peer = self.intern(*peer);
                mark(self.nodes[place].view.peer_mut(peer), fact);
            }
            Fact::MasterLinkLost | Fact::SyncStarted { .. } => {
                self.nodes[place].master_link_up = false;
            }
            Fact::FullResyncDone { .. } | Fact::PartialResyncDone { .. } => {
                self.nodes[place].master_link_up = true;
            }
            Fact::HandshakeStarted { .. }
            | Fact::HandshakeTimedOut { .. }
            | Fact::AddressUpdated { .. }
            | Fact::FailureReported { .. }
            | Fact::FailureReportWithdrawn { .. }
            | Fact::ElectionScheduled { .. }
            | Fact::RankUpdated { .. }
            | Fact::MasterRankUpdated { .. }
            | Fact::ElectionReset { .. }
            | Fact::VoteGranted { .. }
            | Fact::VoteRefused { .. }
            | Fact::VoteReceived { .. }
            | Fact::ElectionWon { .. }
            | Fact::FailoverUnable { .. }
            | Fact::ManualFailoverAccepted { .. }
            | Fact::ManualFailoverRequested { .. }
            | Fact::ManualFailoverOffset { .. }
            | Fact::ManualFailoverReady
            | Fact::ManualFailoverTimedOut
            | Fact::SlotMigration { .. }
            | Fact::UpdateSent { .. }
            | Fact::DirtySlotsDeleted { .. }
            | Fact::MigratingToOrphan { .. }
            | Fact::ReplicaAttached { .. }
            | Fact::ReplicationIdChanged { .. }
            | Fact::Stream { .. }
            | Fact::WaitAnswered { .. }
            | Fact::GoodReplicas { .. }
            | Fact::WritesPaused
            | Fact::WritesResumed
            | Fact::Flushed { .. }
            | Fact::BadPacket { .. }
            | Fact::BadCommand { .. }
            | Fact::UnknownSender { .. } => {}
        }
    }

    fn apply_role(&mut self, node: NodeNumber, replica_of: Option<NodeId>, why: RoleChange) {
        let replica_of = replica_of.map(|id| self.intern(id));
        let picture = &mut self.nodes[usize::from(node)];
        if why != RoleChange::Start {
            picture.role_unchanged_since_start = false;
        }
        picture.replica_of = replica_of;
        picture.master_link_up = false;
        picture.view.peer_mut(node).replica_of = replica_of;
    }

    fn apply_slots(
        &mut self,
        node: NodeNumber,
        owner: Option<NodeNumber>,
        epoch: u64,
        slots: &[SlotRange],
        why: SlotChange,
        at_us: u64,
    ) {
        let picture = &mut self.nodes[usize::from(node)];
        for range in slots {
            picture.view.assign(*range, owner, at_us);
        }
        let Some(owner) = owner else { return };
        let peer = picture.view.peer_mut(owner);
        match why {
            SlotChange::Restored => peer.config_epoch = epoch,
            SlotChange::Claimed
            | SlotChange::Promoted
            | SlotChange::Operator
            | SlotChange::SetSlot
            | SlotChange::OwnerGone
            | SlotChange::FoundKeys => peer.config_epoch = peer.config_epoch.max(epoch),
        }
        if owner == node {
            picture.config_epoch = picture.view.peer(node).config_epoch;
        }
    }

    fn drop_slots(&mut self, node: NodeNumber, owner: NodeNumber, at_us: u64) {
        let view = &mut self.nodes[usize::from(node)].view;
        let ranges: Vec<_> = view.slots.ranges_of(owner).collect();
        for range in ranges {
            view.assign(range, None, at_us);
        }
    }
}

fn mark(peer: &mut PeerPicture, fact: &Fact) {
    let suspected = matches!(fact, Fact::PossiblyFailing { .. });
    let failed = matches!(fact, Fact::MarkedFailing { .. } | Fact::FailReceived { .. });
    peer.suspected = suspected;
    peer.suspicion_unsure = false;
    peer.failed = failed;
    peer.ever_suspected |= suspected | failed;
}

fn peers_of_header(header: &Header) -> Vec<PeerPicture> {
    let peer = |info: &crate::trace::NodeInfo| PeerPicture {
        known: true,
        replica_of: info.replica_of,
        ..NO_PEER
    };
    header.nodes.iter().map(peer).collect()
}

fn short(id: NodeId) -> String {
    let mut text = id.to_string();
    text.truncate(8);
    text
}
