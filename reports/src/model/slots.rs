//! The slot strip: how many slots had one server, none, or two claimants, over time.
//!
//! A node serves a slot when its process runs, it is a master, it owns the slot in its own view
//! and its own cluster state is ok. That is what decides whether it would answer a client, so the
//! strip is exact: no sampling, and no trust in what others believe of the node.

use std::collections::{BTreeMap, BTreeSet};

use redrill_node::{Fact, SLOT_COUNT, SlotRange};
use redrill_sim::trace::{Event, NodeNumber, Trace};

use super::lanes::{Lane, Role, Trouble};
use super::{Names, Span};

/// Who served the slots, over time.
#[derive(Clone, PartialEq, Debug)]
pub struct SlotStrip {
    /// All slots together.
    pub all: SlotRow,
    /// The slots that each master had at the start.
    pub rows: Vec<SlotRow>,
}

/// A group of slots.
#[derive(Clone, PartialEq, Debug)]
pub struct SlotRow {
    /// Who had them at the start; `None` for slots that nobody had, and for all slots together.
    pub first_owner: Option<NodeNumber>,
    /// The slots.
    pub ranges: Vec<SlotRange>,
    /// What became of them, without gaps.
    pub spans: Vec<SlotSpan>,
}

/// A group of slots while nothing changed.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct SlotSpan {
    /// When.
    pub span: Span,
    /// Slots that exactly one node served.
    pub served: u16,
    /// Slots that exactly one node served, and that node was cut off from most masters.
    pub cut_off: u16,
    /// Slots that no node served.
    pub nobody: u16,
    /// Slots that two or more nodes served.
    pub contested: u16,
    /// The nodes that served any of them.
    pub by: Vec<NodeNumber>,
}

impl SlotRow {
    /// Number of slots in the group.
    #[must_use]
    pub fn slot_count(&self) -> u32 {
        self.ranges
            .iter()
            .map(|range| u32::from(range.last - range.first) + 1)
            .sum()
    }
}

impl SlotSpan {
    /// Whether every slot of the group was served by exactly one node that was not cut off.
    #[must_use]
    pub const fn is_whole(&self) -> bool {
        self.cut_off == 0 && self.nobody == 0 && self.contested == 0
    }
}

/// The slot strip of a run.
pub(super) fn strip(trace: &Trace, names: &Names<'_>, run: Span, lanes: &[Lane]) -> SlotStrip {
    let pieces = pieces(trace);
    let mut replay = Replay::new(trace, &pieces, lanes.len());
    let groups = groups(trace, &pieces);
    let all: Vec<usize> = (0..pieces.len()).collect();
    let mut rows: Vec<SlotRow> = groups
        .iter()
        .map(|(owner, members)| row(*owner, members, &pieces))
        .collect();
    let mut whole = row(None, &all, &pieces);

    let mut from_us = 0;
    let changes = changes(trace, names, lanes);
    for (&at_us, changes) in changes.range(..run.to_us) {
        if at_us > from_us {
            let span = Span {
                from_us,
                to_us: at_us,
            };
            for (row, (_, members)) in rows.iter_mut().zip(&groups) {
                extend(row, replay.count(span, members, &pieces));
            }
            extend(&mut whole, replay.count(span, &all, &pieces));
            from_us = at_us;
        }
        for change in changes {
            replay.apply(change, &pieces);
        }
    }
    let span = Span {
        from_us,
        to_us: run.to_us,
    };
    for (row, (_, members)) in rows.iter_mut().zip(&groups) {
        extend(row, replay.count(span, members, &pieces));
    }
    extend(&mut whole, replay.count(span, &all, &pieces));
    SlotStrip { all: whole, rows }
}

/// Something that bears on who serves what.
enum Change<'a> {
    Owns(NodeNumber, &'a [SlotRange], bool),
    Able(NodeNumber, bool),
    CutOff(NodeNumber, bool),
}

fn changes<'a>(
    trace: &'a Trace,
    names: &Names<'_>,
    lanes: &[Lane],
) -> BTreeMap<u64, Vec<Change<'a>>> {
    let mut changes: BTreeMap<u64, Vec<Change<'a>>> = BTreeMap::new();
    for record in &trace.records {
        if let Event::Node {
            node,
            fact: Fact::SlotsOwned { owner, slots, .. },
        } = &record.event
            && names.has(*node)
        {
            let mine = owner.and_then(|owner| names.number(owner)) == Some(*node);
            changes
                .entry(record.at_us)
                .or_default()
                .push(Change::Owns(*node, slots, mine));
        }
    }
    for lane in lanes {
        for span in able(lane) {
            let mut note = |at_us: u64, able| {
                changes
                    .entry(at_us)
                    .or_default()
                    .push(Change::Able(lane.node, able));
            };
            note(span.from_us, true);
            note(span.to_us, false);
        }
        for trouble in &lane.troubles {
            if trouble.trouble == Trouble::CutOff {
                let mut note = |at_us: u64, cut_off| {
                    changes
                        .entry(at_us)
                        .or_default()
                        .push(Change::CutOff(lane.node, cut_off));
                };
                note(trouble.span.from_us, true);
                note(trouble.span.to_us, false);
            }
        }
    }
    // Where one span ends and the next begins at the same instant, the end comes first.
    for at in changes.values_mut() {
        at.sort_by_key(|change| matches!(change, Change::Able(_, true) | Change::CutOff(_, true)));
    }
    changes
}

/// When a node would serve the slots it owns: it is a master, it runs, its cluster state is ok.
fn able(lane: &Lane) -> Vec<Span> {
    let mut spans: Vec<Span> = lane
        .roles
        .iter()
        .filter(|role| matches!(role.role, Role::Master | Role::EmptyMaster))
        .map(|role| role.span)
        .collect();
    for trouble in &lane.troubles {
        match trouble.trouble {
            Trouble::Stalled(_) | Trouble::Crashed(_) => spans = without(&spans, trouble.span),
            Trouble::CutOff | Trouble::PartlyCutOff => {}
        }
    }
    for &fail in &lane.state_fail {
        spans = without(&spans, fail);
    }
    spans
}

fn without(spans: &[Span], hole: Span) -> Vec<Span> {
    let mut left = Vec::with_capacity(spans.len() + 1);
    for &span in spans {
        let before = Span {
            from_us: span.from_us,
            to_us: span.to_us.min(hole.from_us),
        };
        let after = Span {
            from_us: span.from_us.max(hole.to_us),
            to_us: span.to_us,
        };
        if !span.touches(hole) {
            left.push(span);
            continue;
        }
        left.extend(
            [before, after]
                .into_iter()
                .filter(|span| span.length_us() > 0),
        );
    }
    left
}

/// The coarsest ranges such that every change of ownership moves whole ranges.
fn pieces(trace: &Trace) -> Vec<SlotRange> {
    let mut starts: BTreeSet<u32> = BTreeSet::from([0, SLOT_COUNT as u32]);
    let mut cut = |range: &SlotRange| {
        starts.insert(u32::from(range.first));
        starts.insert(u32::from(range.last) + 1);
    };
    for node in &trace.header.nodes {
        node.slots.iter().for_each(&mut cut);
    }
    for record in &trace.records {
        if let Event::Node {
            fact: Fact::SlotsOwned { slots, .. },
            ..
        } = &record.event
        {
            slots.iter().for_each(&mut cut);
        }
    }
    let starts: Vec<u32> = starts.into_iter().collect();
    starts
        .windows(2)
        .map(|pair| SlotRange {
            first: pair[0] as u16,
            last: (pair[1] - 1) as u16,
        })
        .collect()
}

/// The pieces by who had them at the start, in order of slots; last, those nobody had.
fn groups(trace: &Trace, pieces: &[SlotRange]) -> Vec<(Option<NodeNumber>, Vec<usize>)> {
    let mut groups: Vec<(Option<NodeNumber>, Vec<usize>)> = Vec::new();
    let mut unowned = Vec::new();
    for (index, piece) in pieces.iter().enumerate() {
        let owner = trace
            .header
            .nodes
            .iter()
            .position(|node| node.slots.iter().any(|range| covers(*range, *piece)))
            .and_then(|place| NodeNumber::try_from(place).ok());
        match (owner, groups.iter_mut().find(|(other, _)| *other == owner)) {
            (None, _) => unowned.push(index),
            (Some(_), Some((_, members))) => members.push(index),
            (Some(_), None) => groups.push((owner, vec![index])),
        }
    }
    if !unowned.is_empty() {
        groups.push((None, unowned));
    }
    groups
}

const fn covers(range: SlotRange, piece: SlotRange) -> bool {
    range.first <= piece.first && piece.last <= range.last
}

fn row(first_owner: Option<NodeNumber>, members: &[usize], pieces: &[SlotRange]) -> SlotRow {
    let mut ranges: Vec<SlotRange> = Vec::new();
    for &index in members {
        let piece = pieces[index];
        match ranges.last_mut() {
            Some(range) if range.last + 1 == piece.first => range.last = piece.last,
            _ => ranges.push(piece),
        }
    }
    SlotRow {
        first_owner,
        ranges,
        spans: Vec::new(),
    }
}

fn extend(row: &mut SlotRow, next: SlotSpan) {
    match row.spans.last_mut() {
        Some(last)
            if (last.served, last.cut_off, last.nobody, last.contested)
                == (next.served, next.cut_off, next.nobody, next.contested)
                && last.by == next.by =>
        {
            last.span.to_us = next.span.to_us;
        }
        _ => row.spans.push(next),
    }
}

/// Who owns what and who is able, at one instant.
struct Replay {
    owned: Vec<BTreeSet<usize>>,
    able: Vec<bool>,
    cut_off: Vec<bool>,
    /// The nodes that serve each piece.
    servers: Vec<BTreeSet<NodeNumber>>,
}

impl Replay {
    fn new(trace: &Trace, pieces: &[SlotRange], nodes: usize) -> Self {
        let owned = trace
            .header
            .nodes
            .iter()
            .map(|node| {
                (0..pieces.len())
                    .filter(|&index| node.slots.iter().any(|range| covers(*range, pieces[index])))
                    .collect()
            })
            .collect();
        Self {
            owned,
            able: vec![false; nodes],
            cut_off: vec![false; nodes],
            servers: vec![BTreeSet::new(); pieces.len()],
        }
    }

    fn apply(&mut self, change: &Change<'_>, pieces: &[SlotRange]) {
        match *change {
            Change::Owns(node, ranges, mine) => {
                for range in ranges {
                    self.own(node, *range, mine, pieces);
                }
            }
            Change::Able(node, able) => {
                let place = usize::from(node);
                self.able[place] = able;
                for &index in &self.owned[place] {
                    if able {
                        self.servers[index].insert(node);
                    } else {
                        self.servers[index].remove(&node);
                    }
                }
            }
            Change::CutOff(node, cut_off) => self.cut_off[usize::from(node)] = cut_off,
        }
    }

    fn own(&mut self, node: NodeNumber, range: SlotRange, mine: bool, pieces: &[SlotRange]) {
        let place = usize::from(node);
        let first = pieces.partition_point(|piece| piece.last < range.first);
        for (index, piece) in pieces.iter().enumerate().skip(first) {
            if piece.first > range.last {
                break;
            }
            if mine {
                self.owned[place].insert(index);
                if self.able[place] {
                    self.servers[index].insert(node);
                }
            } else {
                self.owned[place].remove(&index);
                self.servers[index].remove(&node);
            }
        }
    }

    fn count(&self, span: Span, members: &[usize], pieces: &[SlotRange]) -> SlotSpan {
        let mut counted = SlotSpan {
            span,
            served: 0,
            cut_off: 0,
            nobody: 0,
            contested: 0,
            by: Vec::new(),
        };
        let mut by = BTreeSet::new();
        for &index in members {
            let size = pieces[index].last - pieces[index].first + 1;
            let servers = &self.servers[index];
            by.extend(servers.iter().copied());
            match (servers.len(), servers.first()) {
                (1, Some(&only)) if self.cut_off[usize::from(only)] => counted.cut_off += size,
                (1, _) => counted.served += size,
                (0, _) => counted.nobody += size,
                _ => counted.contested += size,
            }
        }
        counted.by = by.into_iter().collect();
        counted
    }
}
