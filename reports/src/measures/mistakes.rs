//! The mistakes of the failure detector, after Chen, Toueg and Aguilera, "On the quality of service
//! of failure detectors" (2002): suspicions of a node that was not out, and how long each lasted.

use std::collections::BTreeMap;

use redrill_node::Fact;
use redrill_sim::checkers::Picture;
use redrill_sim::trace::{
    Event, FaultEvent, FaultSource, NodeNumber, Phase, ProcessChange, Record,
};
use redrill_sim::weather::WeatherKind;
use serde::{Deserialize, Serialize};

use super::outages::Outages;
use super::since_ms;

/// Suspicions (PFAIL or FAIL) by one node of another that had not failed: it was neither down nor
/// stalled nor cut off for the node-timeout, or only weather held it up that it lived through.
#[derive(Clone, PartialEq, Debug, Default, Serialize, Deserialize)]
pub struct Mistakes {
    /// How long each lasted, ms, by their end: until the suspicion was taken back, or one of the
    /// two nodes ended.
    pub lengths_ms: Vec<f64>,
    /// How long those had lasted that still did when the load ended, ms.
    pub open_ms: Vec<f64>,
    /// How often the masters agreed on FAIL of a node that was not out.
    pub failed: u64,
}

impl Mistakes {
    /// Number of mistakes.
    #[must_use]
    pub fn count(&self) -> usize {
        self.lengths_ms.len() + self.open_ms.len()
    }
}

/// Watches what nodes think of each other.
#[derive(Debug)]
pub(super) struct Detector {
    timeout_us: u64,
    is_under_load: bool,
    /// The silence of each node's process.
    processes: Vec<Silence>,
    /// The silence of links, sender first; only of those that were ever cut.
    links: BTreeMap<(NodeNumber, NodeNumber), Silence>,
    /// What each fault cut.
    cut_by: BTreeMap<FaultSource, Vec<(NodeNumber, NodeNumber)>>,
    /// Which weather holds up which nodes that live through it.
    held_up: BTreeMap<FaultSource, Vec<NodeNumber>>,
    /// Since when an observer is mistaken about a node.
    open: BTreeMap<(NodeNumber, NodeNumber), u64>,
    mistakes: Mistakes,
}

/// When something was silent for as long as the node-timeout.
#[derive(Clone, Copy, Debug, Default)]
struct Silence {
    /// How many causes make it silent now, and since when one does.
    causes: u32,
    since_us: u64,
    /// When it last ended after at least a node-timeout.
    long_until_us: Option<u64>,
}

impl Silence {
    fn begin(&mut self, at_us: u64) {
        if self.causes == 0 {
            self.since_us = at_us;
        }
        self.causes += 1;
    }

    fn end(&mut self, at_us: u64, timeout_us: u64) {
        let was_silent = self.causes > 0;
        self.causes = self.causes.saturating_sub(1);
        if was_silent && self.causes == 0 && at_us.saturating_sub(self.since_us) >= timeout_us {
            self.long_until_us = Some(at_us);
        }
    }

    /// Whether it explains a suspicion at a time.
    fn explains(&self, at_us: u64, timeout_us: u64) -> bool {
        let goes_on = self.causes > 0 && at_us.saturating_sub(self.since_us) >= timeout_us;
        // What was heard last before it ended may still be all that was heard.
        let just_ended = self
            .long_until_us
            .is_some_and(|until_us| until_us + timeout_us >= at_us);
        goes_on || just_ended
    }
}

impl Detector {
    pub(super) fn new(picture: &Picture<'_>) -> Self {
        Self {
            timeout_us: picture.node_timeout_us(),
            is_under_load: false,
            processes: vec![Silence::default(); picture.header().nodes.len()],
            links: BTreeMap::new(),
            cut_by: BTreeMap::new(),
            held_up: BTreeMap::new(),
            open: BTreeMap::new(),
            mistakes: Mistakes::default(),
        }
    }

    /// Sees a record that the picture has not taken in yet.
    pub(super) fn observe(&mut self, picture: &Picture<'_>, outages: &Outages, record: &Record) {
        let at_us = record.at_us;
        if let Some(fault) = record.event.fault() {
            self.fault(fault, at_us);
        }
        match &record.event {
            Event::Node { node, fact } => self.fact(picture, outages, *node, fact, at_us),
            Event::Process { node, change } => self.process(*node, *change, at_us),
            Event::Phase { phase } => match phase {
                Phase::Disturb => self.is_under_load = true,
                Phase::Audit => self.is_under_load = false,
                Phase::Form | Phase::Heal | Phase::Converge | Phase::Done => {}
            },
            Event::StateSaved { .. }
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

    /// What it comes to when the load ends.
    pub(super) fn end(mut self, load_end_us: u64) -> Mistakes {
        let open = self.open.values();
        let lengths = open.map(|since_us| since_ms(load_end_us.max(*since_us), *since_us));
        self.mistakes.open_ms = lengths.collect();
        self.mistakes
    }

    fn fault(&mut self, fault: FaultEvent<'_>, at_us: u64) {
        match fault {
            FaultEvent::Began {
                source,
                weather,
                touched,
                ..
            } => {
                self.cut(source, &touched.cut, at_us);
                if weather.is_some_and(WeatherKind::spares_the_host) {
                    self.held_up.insert(source, touched.nodes.to_vec());
                }
            }
            FaultEvent::Ended(source) => {
                self.heal(source, at_us);
                self.held_up.remove(&source);
            }
        }
    }

    fn fact(
        &mut self,
        picture: &Picture<'_>,
        outages: &Outages,
        observer: NodeNumber,
        fact: &Fact,
        at_us: u64,
    ) {
        if let Fact::PossiblyFailing { node }
        | Fact::MarkedFailing { node, .. }
        | Fact::FailReceived { node, .. } = fact
        {
            let Some(suspect) = picture.number(*node) else {
                return;
            };
            let agreed = matches!(fact, Fact::MarkedFailing { .. });
            self.suspected(picture, outages, (observer, suspect), agreed, at_us);
        } else if let Fact::NoLongerPossiblyFailing { node }
        | Fact::FailCleared { node, .. }
        | Fact::NodeRemoved { node } = fact
            && let Some(suspect) = picture.number(*node)
        {
            self.close((observer, suspect), at_us);
        }
    }

    fn suspected(
        &mut self,
        picture: &Picture<'_>,
        outages: &Outages,
        pair: (NodeNumber, NodeNumber),
        agreed: bool,
        at_us: u64,
    ) {
        let (observer, suspect) = pair;
        let seen = picture.node(observer).map(|node| *node.view.peer(suspect));
        let is_new = seen.is_some_and(|peer| !peer.suspected && !peer.failed);
        if !self.is_under_load || !(is_new || agreed) {
            return;
        }
        if self.is_silent(pair, at_us) || self.is_out(outages, suspect, at_us) {
            return;
        }
        if is_new {
            self.open.insert(pair, at_us);
        }
        if agreed
            && !picture
                .running()
                .any(|(_, node)| node.view.peer(suspect).failed)
        {
            self.mistakes.failed += 1;
        }
    }

    /// Whether the observer had no word from the other for the node-timeout, or the other none of
    /// its.
    fn is_silent(&self, (observer, suspect): (NodeNumber, NodeNumber), at_us: u64) -> bool {
        let process = self.processes.get(usize::from(suspect));
        let links = [(observer, suspect), (suspect, observer)];
        let links = links.iter().filter_map(|link| self.links.get(link));
        process
            .into_iter()
            .chain(links)
            .any(|silence| silence.explains(at_us, self.timeout_us))
    }

    /// Whether the masters had reason to fail it.
    fn is_out(&self, outages: &Outages, suspect: NodeNumber, at_us: u64) -> bool {
        outages.of(suspect).any(|outage| {
            outage.deserves_failover(at_us, self.timeout_us)
                && outage
                    .to_us
                    .is_none_or(|ended_us| ended_us + self.timeout_us >= at_us)
        })
    }

    fn process(&mut self, node: NodeNumber, change: ProcessChange, at_us: u64) {
        let is_held_up = self.held_up.values().any(|nodes| nodes.contains(&node));
        let Some(silence) = self.processes.get_mut(usize::from(node)) else {
            return;
        };
        match change {
            ProcessChange::Stalled(_) if is_held_up => {}
            ProcessChange::Stalled(_) if silence.causes == 0 => silence.begin(at_us),
            ProcessChange::Crashed(_) => {
                if silence.causes == 0 {
                    silence.begin(at_us);
                }
                let over: Vec<_> = (self.open.keys().copied())
                    .filter(|(observer, suspect)| *observer == node || *suspect == node)
                    .collect();
                for pair in over {
                    self.close(pair, at_us);
                }
            }
            ProcessChange::Stalled(_) => {}
            ProcessChange::Started | ProcessChange::Resumed => {
                silence.end(at_us, self.timeout_us);
            }
        }
    }

    fn cut(&mut self, source: FaultSource, cut: &[(u16, u16)], at_us: u64) {
        let nodes = self.processes.len() as u16;
        let between = cut.iter().filter(|(from, to)| *from < nodes && *to < nodes);
        let pairs = self.cut_by.entry(source).or_default();
        for pair in between {
            self.links.entry(*pair).or_default().begin(at_us);
            pairs.push(*pair);
        }
    }

    fn heal(&mut self, source: FaultSource, at_us: u64) {
        for pair in self.cut_by.remove(&source).unwrap_or_default() {
            if let Some(silence) = self.links.get_mut(&pair) {
                silence.end(at_us, self.timeout_us);
            }
        }
    }

    fn close(&mut self, pair: (NodeNumber, NodeNumber), at_us: u64) {
        // What the end of the load left open is not closed by what comes after it.
        if self.is_under_load
            && let Some(since_us) = self.open.remove(&pair)
        {
            self.mistakes.lengths_ms.push(since_ms(at_us, since_us));
        }
    }
}
