//! The picture a report draws, before anybody draws it: lanes, bands, strips, markers.
//!
//! Every report (terminal, SVG, PNG, HTML) is drawn from one [`Model`], so they cannot disagree.
//! Times are microseconds since the run began, as in the event log.

mod clients;
mod events;
mod failovers;
mod faults;
mod lanes;
mod slots;
mod window;

use std::collections::{BTreeMap, BTreeSet};

use redrill_node::NodeId;
use redrill_sim::checkers::{self, Findings};
use redrill_sim::trace::{Event, Header, NodeNumber, Phase, Trace};
use serde::Serialize;

use crate::measures::Measures;

pub use clients::{Bucket, ClientStrip, Failures};
pub use events::{EventKind, EventLine, Weight};
pub use failovers::{Failover, Part};
pub use faults::{FaultBand, WeatherStrip};
pub use lanes::{Lane, Role, RoleSpan, Trouble, TroubleSpan};
pub use slots::{SlotRow, SlotSpan, SlotStrip};

/// From `from_us` up to, without, `to_us`.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize)]
pub struct Span {
    /// Start.
    pub from_us: u64,
    /// End.
    pub to_us: u64,
}

impl Span {
    /// How long it lasts.
    #[must_use]
    pub const fn length_us(self) -> u64 {
        self.to_us.saturating_sub(self.from_us)
    }

    /// Whether it shares time with another.
    #[must_use]
    pub const fn touches(self, other: Self) -> bool {
        self.from_us < other.to_us && other.from_us < self.to_us
    }

    /// Whether an instant lies in it, both ends included.
    #[must_use]
    pub const fn contains(self, at_us: u64) -> bool {
        self.from_us <= at_us && at_us <= self.to_us
    }
}

/// A run as a picture.
#[derive(Clone, PartialEq, Debug)]
pub struct Model {
    /// What ran.
    pub header: Header,
    /// The whole run.
    pub run: Span,
    /// The first fault, or where load began if there is none: time 0 for readers.
    pub origin_us: u64,
    /// What reports open at: 2 s before the first fault to 2 s after recovery.
    pub window: Span,
    /// The phases of the run.
    pub phases: Vec<(Phase, Span)>,
    /// The zones, and the lanes of their nodes in order.
    pub zones: Vec<Zone>,
    /// The scripted faults and what the weather did that matters, in order of their beginning.
    pub faults: Vec<FaultBand>,
    /// The rest of what the weather did, by kind.
    pub weather: Vec<WeatherStrip>,
    /// The promotions, in order.
    pub failovers: Vec<Failover>,
    /// What happened, in order; what is only noise is left out.
    pub events: Vec<EventLine>,
    /// Who served the slots.
    pub slots: SlotStrip,
    /// How the clients fared.
    pub clients: ClientStrip,
}

/// A zone and its nodes.
#[derive(Clone, PartialEq, Debug)]
pub struct Zone {
    /// Its name.
    pub name: String,
    /// Its nodes, masters of the start first.
    pub lanes: Vec<Lane>,
}

impl Model {
    /// The picture of a run, after judging and measuring it.
    #[must_use]
    pub fn of(trace: &Trace) -> Self {
        let findings = checkers::check(trace);
        let measures = Measures::of(trace, &findings);
        Self::judged(trace, &findings, &measures)
    }

    /// The picture of a run that was judged and measured before.
    #[must_use]
    pub fn judged(trace: &Trace, findings: &Findings, measures: &Measures) -> Self {
        let end_us = trace.records.last().map_or(0, |record| record.at_us).max(1);
        let run = Span {
            from_us: 0,
            to_us: end_us,
        };
        let phases = phases(trace, run);
        let (faults, weather) = faults::faults(trace, run);
        let origin_us = origin(&faults, &phases);
        let names = Names::new(&trace.header);
        let lanes = lanes::lanes(trace, &names, run);
        let slots = slots::strip(trace, &names, run, &lanes);
        let failovers = failovers::failovers(trace, &names, measures);
        let window = window::around_incident(trace, run, origin_us, &slots, &faults);
        Self {
            header: trace.header.clone(),
            run,
            origin_us,
            window,
            phases,
            zones: by_zone(&trace.header, lanes),
            faults,
            weather,
            failovers,
            events: events::lines(trace, &names, run),
            slots,
            clients: clients::strip(trace, run, &findings.ledger),
        }
    }

    /// All lanes, zone by zone.
    pub fn lanes(&self) -> impl Iterator<Item = &Lane> {
        self.zones.iter().flat_map(|zone| &zone.lanes)
    }

    /// The nodes that are drawn of a part of the run: all if there are no more than `all`, else
    /// those to which most happened, at most `some`.
    #[must_use]
    pub fn drawn(&self, part: Span, all: usize, some: usize) -> BTreeSet<NodeNumber> {
        if self.lanes().count() <= all {
            return self.lanes().map(|lane| lane.node).collect();
        }
        let mut weights: BTreeMap<NodeNumber, usize> = self
            .lanes()
            .map(|lane| {
                let troubles = lane.troubles.iter();
                let hit = troubles
                    .filter(|trouble| trouble.span.touches(part))
                    .count();
                (lane.node, hit * 1000)
            })
            .collect();
        let story = self
            .events
            .iter()
            .filter(|event| event.weight == Weight::Story && part.contains(event.at_us));
        for event in story {
            let leads = matches!(event.kind, EventKind::Won | EventKind::Election);
            if let Some(weight) = event.node.and_then(|node| weights.get_mut(&node)) {
                *weight += if leads { 100 } else { 1 };
            }
        }
        weights.retain(|_, weight| *weight > 0);
        let mut order: Vec<(NodeNumber, usize)> = weights.into_iter().collect();
        order.sort_by_key(|(node, weight)| (std::cmp::Reverse(*weight), *node));
        order.into_iter().take(some).map(|(node, _)| node).collect()
    }

    /// Milliseconds from the first fault to an instant.
    #[must_use]
    pub fn relative_ms(&self, at_us: u64) -> f64 {
        (at_us as f64 - self.origin_us as f64) / 1000.0
    }
}

/// The nodes of a run by their ids.
#[derive(Clone, Debug)]
pub(crate) struct Names<'a> {
    header: &'a Header,
    numbers: BTreeMap<NodeId, NodeNumber>,
}

impl<'a> Names<'a> {
    pub(crate) fn new(header: &'a Header) -> Self {
        let numbers = header
            .nodes
            .iter()
            .zip(0..)
            .map(|(node, number)| (node.id, number));
        Self {
            header,
            numbers: numbers.collect(),
        }
    }

    /// The number of the node with an id; `None` if it was never in the drill.
    pub(crate) fn number(&self, id: NodeId) -> Option<NodeNumber> {
        self.numbers.get(&id).copied()
    }

    /// Whether there is a node with a number: a log from a file may say anything.
    pub(crate) fn has(&self, number: NodeNumber) -> bool {
        usize::from(number) < self.header.nodes.len()
    }

    /// What a node is called: its name in the drill, or the start of its id.
    pub(crate) fn name(&self, id: NodeId) -> String {
        self.number(id).map_or_else(
            || id.to_string().chars().take(8).collect(),
            |number| self.header.nodes[usize::from(number)].name.clone(),
        )
    }
}

fn by_zone(header: &Header, lanes: Vec<Lane>) -> Vec<Zone> {
    let mut zones: Vec<Zone> = header
        .zones
        .iter()
        .map(|name| Zone {
            name: name.clone(),
            lanes: Vec::new(),
        })
        .collect();
    // A node whose zone is none of the drill's stands in one of its own.
    zones.push(Zone {
        name: "?".to_owned(),
        lanes: Vec::new(),
    });
    for lane in lanes {
        let zone = header.nodes[usize::from(lane.node)].zone;
        let place = zone.min(header.zones.len());
        zones[place].lanes.push(lane);
    }
    zones.retain(|zone| !zone.lanes.is_empty());
    zones
}

fn phases(trace: &Trace, run: Span) -> Vec<(Phase, Span)> {
    let mut phases: Vec<(Phase, Span)> = Vec::new();
    for record in &trace.records {
        let Event::Phase { phase } = record.event else {
            continue;
        };
        if let Some((_, span)) = phases.last_mut() {
            span.to_us = record.at_us;
        }
        let span = Span {
            from_us: record.at_us,
            to_us: run.to_us,
        };
        phases.push((phase, span));
    }
    phases
}

fn origin(faults: &[FaultBand], phases: &[(Phase, Span)]) -> u64 {
    let disturbed = phases
        .iter()
        .find(|(phase, _)| *phase == Phase::Disturb)
        .map_or(0, |(_, span)| span.from_us);
    faults.first().map_or(disturbed, |fault| fault.span.from_us)
}

#[cfg(test)]
mod tests;
