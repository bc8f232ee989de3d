//! Lanes: what each node was, and what was wrong with it, over time.

use std::collections::{BTreeMap, BTreeSet};

use redrill_node::{Fact, Slot, SlotSet};
use redrill_sim::scenario::{CrashKind, StallKind};
use redrill_sim::trace::{
    Event, FaultEvent, FaultSource, NodeNumber, Phase, ProcessChange, Record, Trace,
};

use super::{Names, Span};

/// A node's lane.
#[derive(Clone, PartialEq, Debug)]
pub struct Lane {
    /// The node.
    pub node: NodeNumber,
    /// Its name.
    pub name: String,
    /// `host:port`.
    pub address: String,
    /// Its roles, without gaps.
    pub roles: Vec<RoleSpan>,
    /// When it was stalled, crashed or cut off; may overlap.
    pub troubles: Vec<TroubleSpan>,
    /// When it said `cluster_state:fail` while it ran.
    pub state_fail: Vec<Span>,
}

/// What a node is.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub enum Role {
    /// A master with slots.
    Master,
    /// A master without slots: it votes on nothing and serves nothing.
    EmptyMaster,
    /// A replica.
    Replica {
        /// Of which node; `None` if it was never in the drill.
        of: Option<NodeNumber>,
    },
}

/// A role while it lasted.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct RoleSpan {
    /// Which.
    pub role: Role,
    /// When.
    pub span: Span,
    /// The config epoch a master had at the end of the span; 0 if it never said, or was a replica.
    pub config_epoch: u64,
}

/// What is wrong with a node.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Trouble {
    /// Its process stands still.
    Stalled(StallKind),
    /// Its process is gone.
    Crashed(CrashKind),
    /// It cannot exchange anything with most of the voting masters.
    CutOff,
    /// Something does not pass between it and some other host.
    PartlyCutOff,
}

/// A trouble while it lasted.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct TroubleSpan {
    /// Which.
    pub trouble: Trouble,
    /// When.
    pub span: Span,
}

impl Lane {
    /// Its role at an instant.
    #[must_use]
    pub fn role_at(&self, at_us: u64) -> Role {
        self.roles
            .iter()
            .rev()
            .find(|role| role.span.from_us <= at_us)
            .or(self.roles.first())
            .map_or(Role::EmptyMaster, |role| role.role)
    }

    /// What is wrong with it at an instant; the gravest if several.
    #[must_use]
    pub fn trouble_at(&self, at_us: u64) -> Option<Trouble> {
        self.troubles
            .iter()
            .filter(|trouble| trouble.span.from_us <= at_us && at_us < trouble.span.to_us)
            .map(|trouble| trouble.trouble)
            .min_by_key(|trouble| match trouble {
                Trouble::Crashed(_) => 0,
                Trouble::Stalled(_) => 1,
                Trouble::CutOff => 2,
                Trouble::PartlyCutOff => 3,
            })
    }
}

/// The lanes of all nodes, in the header's order.
pub(super) fn lanes(trace: &Trace, names: &Names<'_>, run: Span) -> Vec<Lane> {
    let header = &trace.header;
    let mut builders: Vec<Builder> = (0..header.nodes.len())
        .map(|place| Builder::new(trace, place))
        .collect();
    for record in &trace.records {
        match &record.event {
            Event::Node { node, fact } => {
                if let Some(builder) = builders.get_mut(usize::from(*node)) {
                    builder.fact(names, record.at_us, fact);
                }
            }
            Event::Process { node, change } => {
                if let Some(builder) = builders.get_mut(usize::from(*node)) {
                    builder.process(record.at_us, *change);
                }
            }
            Event::Phase { .. }
            | Event::StateSaved { .. }
            | Event::StateLoaded { .. }
            | Event::FaultBegan { .. }
            | Event::FaultEnded { .. }
            | Event::FaultMissed { .. }
            | Event::WeatherBegan { .. }
            | Event::WeatherEnded { .. }
            | Event::Operator { .. }
            | Event::Operation(_)
            | Event::Audited { .. }
            | Event::BusTraffic { .. }
            | Event::Remark { .. } => {}
        }
    }
    let mut lanes: Vec<Lane> = builders
        .into_iter()
        .map(|builder| builder.finish(trace, run))
        .collect();
    add_cuts(trace, run, &mut lanes);
    lanes
}

/// A lane while the log is read.
struct Builder {
    node: NodeNumber,
    roles: Vec<RoleSpan>,
    troubles: Vec<TroubleSpan>,
    open_trouble: Option<(Trouble, u64)>,
    state_fail: Vec<Span>,
    failing_since: Option<u64>,
    owned: SlotSet,
    replica_of: Option<Option<NodeNumber>>,
    config_epoch: u64,
}

impl Builder {
    fn new(trace: &Trace, place: usize) -> Self {
        let info = &trace.header.nodes[place];
        let owned = info
            .slots
            .iter()
            .flat_map(|range| range.first..=range.last)
            .collect::<SlotSet>();
        let mut builder = Self {
            node: NodeNumber::try_from(place).unwrap_or(NodeNumber::MAX),
            roles: Vec::new(),
            troubles: Vec::new(),
            open_trouble: None,
            state_fail: Vec::new(),
            failing_since: None,
            owned,
            replica_of: info.replica_of.map(Some),
            config_epoch: 0,
        };
        builder.role_changed(0);
        builder
    }

    fn fact(&mut self, names: &Names<'_>, at_us: u64, fact: &Fact) {
        // Only the facts that bear on a lane; a new one that does must be added here.
        if let Fact::Role { replica_of, .. } = fact {
            self.replica_of = replica_of.map(|master| names.number(master));
            self.role_changed(at_us);
        } else if let Fact::SlotsOwned { owner, slots, .. } = fact {
            let mine = owner.and_then(|owner| names.number(owner)) == Some(self.node);
            for slot in slots.iter().flat_map(|range| range.first..=range.last) {
                self.own(slot, mine);
            }
            self.role_changed(at_us);
        } else if let Fact::ConfigEpoch { epoch, .. } = fact {
            self.config_epoch = *epoch;
            if let Some(role) = self.roles.last_mut()
                && role.role == Role::Master
            {
                role.config_epoch = *epoch;
            }
        } else if let Fact::ClusterState { ok, .. } = fact {
            self.state(at_us, *ok);
        } else if let Fact::Started { .. } = fact {
            self.state(at_us, false);
        }
    }

    fn own(&mut self, slot: Slot, mine: bool) {
        if mine {
            self.owned.insert(slot);
        } else {
            self.owned.remove(slot);
        }
    }

    fn state(&mut self, at_us: u64, ok: bool) {
        match (ok, self.failing_since) {
            (false, None) => self.failing_since = Some(at_us),
            (true, Some(from_us)) => {
                self.state_fail.push(Span {
                    from_us,
                    to_us: at_us,
                });
                self.failing_since = None;
            }
            (true, None) | (false, Some(_)) => {}
        }
    }

    fn process(&mut self, at_us: u64, change: ProcessChange) {
        self.close_trouble(at_us);
        match change {
            // A node comes up with `cluster_state:fail` and says when that changes.
            ProcessChange::Started => self.state(at_us, false),
            ProcessChange::Resumed => {}
            ProcessChange::Crashed(kind) => {
                self.open_trouble = Some((Trouble::Crashed(kind), at_us));
                self.state(at_us, true);
            }
            ProcessChange::Stalled(kind) => {
                self.open_trouble = Some((Trouble::Stalled(kind), at_us));
            }
        }
    }

    fn close_trouble(&mut self, at_us: u64) {
        if let Some((trouble, from_us)) = self.open_trouble.take() {
            let span = Span {
                from_us,
                to_us: at_us,
            };
            self.troubles.push(TroubleSpan { trouble, span });
        }
    }

    fn role_changed(&mut self, at_us: u64) {
        let role = match self.replica_of {
            Some(of) => Role::Replica { of },
            None if self.owned.is_empty() => Role::EmptyMaster,
            None => Role::Master,
        };
        if let Some(last) = self.roles.last_mut() {
            if last.role == role {
                return;
            }
            last.span.to_us = at_us;
            if last.span.length_us() == 0 {
                self.roles.pop();
            }
        }
        let span = Span {
            from_us: at_us,
            to_us: at_us,
        };
        self.roles.push(RoleSpan {
            role,
            span,
            config_epoch: match role {
                Role::Master | Role::EmptyMaster => self.config_epoch,
                Role::Replica { .. } => 0,
            },
        });
    }

    fn finish(mut self, trace: &Trace, run: Span) -> Lane {
        self.close_trouble(run.to_us);
        self.state(run.to_us, true);
        if let Some(last) = self.roles.last_mut() {
            last.span.to_us = run.to_us;
        }
        let info = &trace.header.nodes[usize::from(self.node)];
        Lane {
            node: self.node,
            name: info.name.clone(),
            address: info.address.clone(),
            roles: self.roles,
            troubles: self.troubles,
            state_fail: self.state_fail,
        }
    }
}

/// Adds to the lanes when each node was cut off, from what the faults cut.
fn add_cuts(trace: &Trace, run: Span, lanes: &mut [Lane]) {
    let mut cuts: BTreeMap<FaultSource, Vec<(u16, u16)>> = BTreeMap::new();
    let mut open: Vec<Option<(Trouble, u64)>> = vec![None; lanes.len()];
    for record in &trace.records {
        if !change_cuts(record, &mut cuts) {
            continue;
        }
        let troubles = who_is_cut_off(&cuts, lanes, record.at_us);
        for (place, trouble) in troubles.into_iter().enumerate() {
            if open[place].map(|(trouble, _)| trouble) == trouble {
                continue;
            }
            if let Some((trouble, from_us)) = open[place].take() {
                let span = Span {
                    from_us,
                    to_us: record.at_us,
                };
                lanes[place].troubles.push(TroubleSpan { trouble, span });
            }
            open[place] = trouble.map(|trouble| (trouble, record.at_us));
        }
    }
    for (lane, open) in lanes.iter_mut().zip(open) {
        if let Some((trouble, from_us)) = open {
            let span = Span {
                from_us,
                to_us: run.to_us,
            };
            lane.troubles.push(TroubleSpan { trouble, span });
        }
        lane.troubles.sort_by_key(|trouble| trouble.span.from_us);
    }
}

/// Follows what is cut; true if something changed.
fn change_cuts(record: &Record, cuts: &mut BTreeMap<FaultSource, Vec<(u16, u16)>>) -> bool {
    match record.event.fault() {
        Some(FaultEvent::Began {
            source, touched, ..
        }) if !touched.cut.is_empty() => {
            cuts.entry(source).or_default().extend(&touched.cut);
            true
        }
        Some(FaultEvent::Began { .. }) => false,
        Some(FaultEvent::Ended(source)) => cuts.remove(&source).is_some(),
        None if record.event.begins(Phase::Converge) => {
            let changed = !cuts.is_empty();
            cuts.clear();
            changed
        }
        None => false,
    }
}

/// A node is cut off when it cannot talk both ways with most of the masters (itself included). A
/// node that only lacks some hosts is partly cut off, unless its other side is cut off: then it
/// is on the side that goes on.
fn who_is_cut_off(
    cuts: &BTreeMap<FaultSource, Vec<(u16, u16)>>,
    lanes: &[Lane],
    at_us: u64,
) -> Vec<Option<Trouble>> {
    let mut severed: Vec<BTreeSet<usize>> = vec![BTreeSet::new(); lanes.len()];
    for &(from, to) in cuts.values().flatten() {
        let (from, to) = (usize::from(from), usize::from(to));
        if from < lanes.len() && to < lanes.len() {
            severed[from].insert(to);
            severed[to].insert(from);
        }
    }
    let masters: BTreeSet<usize> = (0..lanes.len())
        .filter(|&place| lanes[place].role_at(at_us) == Role::Master)
        .collect();
    let cut_off: Vec<bool> = severed
        .iter()
        .map(|lost| {
            let reachable = masters.difference(lost).count();
            !lost.is_empty() && reachable * 2 <= masters.len()
        })
        .collect();
    severed
        .iter()
        .enumerate()
        .map(|(place, lost)| {
            if cut_off[place] {
                Some(Trouble::CutOff)
            } else if lost.iter().any(|&other| !cut_off[other]) {
                Some(Trouble::PartlyCutOff)
            } else {
                None
            }
        })
        .collect()
}
