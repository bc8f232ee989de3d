//! Times in which a master was really down or unreachable.

use redrill_node::SlotRange;
use redrill_sim::checkers::Picture;
use redrill_sim::trace::{Event, FaultKind, FaultSource, Header, NodeNumber, Record};
use redrill_sim::weather::WeatherKind;

/// The outages of all nodes.
#[derive(Debug)]
pub(super) struct Outages {
    list: Vec<Outage>,
    /// Place of the outage that goes on, by node.
    open: Vec<Option<usize>>,
    /// The last fault that touched each node.
    faults: Vec<Option<Fault>>,
    version: u64,
    changed_us: Option<u64>,
}

/// A time in which a node's process was down or stood still, or in which it could not talk to a
/// quorum of the other masters, which were up.
#[derive(Clone, Debug)]
pub(super) struct Outage {
    pub(super) node: NodeNumber,
    pub(super) from_us: u64,
    pub(super) to_us: Option<u64>,
    /// What made it, if a fault touched the node before.
    pub(super) fault: Option<Fault>,
    /// The slots it owned by its own word when it began.
    pub(super) slots: Vec<SlotRange>,
}

/// A fault that may have caused a failover.
#[derive(Clone, Copy, Debug)]
pub(super) enum Fault {
    /// A step of the script.
    Step(u16),
    /// The weather.
    Weather(WeatherKind),
}

impl Outages {
    pub(super) fn new(header: &Header) -> Self {
        let nodes = header.nodes.len();
        Self {
            list: Vec::new(),
            open: vec![None; nodes],
            faults: vec![None; nodes],
            version: 0,
            changed_us: None,
        }
    }

    /// Sees a record that the picture has not taken in yet.
    pub(super) fn observe(&mut self, picture: &Picture<'_>, record: &Record) {
        if picture.reach.version() != self.version {
            // What changes at one instant is one change.
            let changed_us = *self.changed_us.get_or_insert(picture.now_us());
            if record.at_us > changed_us {
                self.look(picture);
            }
        }
        match &record.event {
            Event::FaultBegan { step, touched, .. } => {
                self.touched(&touched.nodes, Fault::Step(*step));
            }
            Event::WeatherBegan { kind, touched, .. } => {
                self.touched(&touched.nodes, Fault::Weather(*kind));
            }
            Event::Phase { .. }
            | Event::Node { .. }
            | Event::Process { .. }
            | Event::StateSaved { .. }
            | Event::StateLoaded { .. }
            | Event::FaultEnded { .. }
            | Event::FaultMissed { .. }
            | Event::WeatherEnded { .. }
            | Event::Operator { .. }
            | Event::Operation(_)
            | Event::Audited { .. }
            | Event::BusTraffic { .. }
            | Event::Remark { .. } => {}
        }
    }

    fn touched(&mut self, nodes: &[NodeNumber], by: Fault) {
        for node in nodes {
            let place = usize::from(*node);
            if let Some(fault) = self.faults.get_mut(place) {
                *fault = Some(by);
            }
            // Who dies during a pause has failed all the same.
            if let Some(&Some(outage)) = self.open.get(place)
                && !by.spares_the_host()
            {
                self.list[outage].fault = Some(by);
            }
        }
    }

    /// Takes stock after a change.
    pub(super) fn look(&mut self, picture: &Picture<'_>) {
        let changed_us = self.changed_us.take().unwrap_or(picture.now_us());
        self.version = picture.reach.version();
        for (node, now) in picture.nodes() {
            let out = !picture.reach.runs(node)
                || is_cut_off(picture, node)
                || disk_is_held_up(picture, node);
            let place = usize::from(node);
            match (out, self.open[place]) {
                (true, None) => {
                    self.open[place] = Some(self.list.len());
                    self.list.push(Outage {
                        node,
                        from_us: changed_us,
                        to_us: None,
                        fault: self.faults[place],
                        slots: match now.replica_of {
                            Some(_) => Vec::new(),
                            None => now.view.slots.ranges_of(node).collect(),
                        },
                    });
                }
                (false, Some(outage)) => {
                    self.list[outage].to_us = Some(changed_us);
                    self.open[place] = None;
                }
                (true, Some(_)) | (false, None) => {}
            }
        }
    }

    /// All of them, by when they began.
    pub(super) fn all(&self) -> &[Outage] {
        &self.list
    }

    /// The outages of a node, in order.
    pub(super) fn of(&self, node: NodeNumber) -> impl DoubleEndedIterator<Item = &Outage> {
        self.list.iter().filter(move |outage| outage.node == node)
    }

    /// Whether a node was out at any time between two.
    pub(super) fn any_within(&self, node: NodeNumber, from_us: u64, to_us: u64) -> bool {
        self.of(node).any(|outage| {
            outage.from_us <= to_us && outage.to_us.is_none_or(|ended_us| ended_us > from_us)
        })
    }
}

impl Fault {
    /// Whether nobody failed. What a script does is meant to be a failure.
    const fn spares_the_host(self) -> bool {
        match self {
            Self::Step(_) => false,
            Self::Weather(kind) => kind.spares_the_host(),
        }
    }
}

impl Outage {
    /// Whether the node failed, and had been out for the node-timeout at a time.
    pub(super) fn deserves_failover(&self, at_us: u64, timeout_us: u64) -> bool {
        !self.fault.is_some_and(Fault::spares_the_host) && self.length_until_us(at_us) >= timeout_us
    }

    /// How much of it lies before a time, microseconds.
    pub(super) fn length_until_us(&self, at_us: u64) -> u64 {
        self.to_us
            .map_or(at_us, |ended_us| ended_us.min(at_us))
            .saturating_sub(self.from_us)
    }
}

/// Whether the weather holds up a node's disk. Its event loop may stand still until it goes on, and
/// nothing in the log tells whether it does.
fn disk_is_held_up(picture: &Picture<'_>, node: NodeNumber) -> bool {
    picture.reach.active().iter().any(|fault| {
        matches!(fault.source, FaultSource::Weather(_))
            && fault.fault == FaultKind::SlowDisk
            && fault.nodes.contains(&node)
    })
}

/// Whether a quorum of the masters a node knows runs but cannot exchange words with it.
fn is_cut_off(picture: &Picture<'_>, node: NodeNumber) -> bool {
    let Some(now) = picture.node(node) else {
        return false;
    };
    if picture.reach.active().is_empty() {
        return false;
    }
    let voters = now.view.voting_masters();
    let out_of_touch = voters
        .iter()
        .filter(|voter| {
            **voter != node && picture.reach.runs(**voter) && !picture.reach.talk(node, **voter)
        })
        .count();
    out_of_touch > voters.len() / 2
}
