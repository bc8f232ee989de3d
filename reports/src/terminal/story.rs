//! Events put together into lines that read well.

use redrill_sim::trace::{NodeNumber, Phase};

use super::signs::Sign;
use crate::model::{EventKind, EventLine, Model, Weight};

/// Nodes that say the same within this time share a line.
const TOGETHER_US: u64 = 10_000;
/// The same in a cluster of more than [`MANY`] nodes, where every line would be said many times.
const TOGETHER_OF_MANY_US: u64 = 500_000;
const MANY: usize = 24;

/// A line.
pub(super) struct Line {
    /// When its first event happened.
    pub(super) at_us: u64,
    /// When its last event happened.
    pub(super) last_us: u64,
    /// The nodes concerned and their signs.
    pub(super) marks: Vec<(NodeNumber, Sign)>,
    /// The words.
    pub(super) text: String,
    /// What the words are coloured like.
    pub(super) sign: Option<Sign>,
}

/// Lines while they are put together.
struct Draft<'a> {
    events: Vec<&'a EventLine>,
    /// What a fault did to nodes at the same instant.
    effects: Vec<&'a EventLine>,
}

/// The lines of a run, from the moment the cluster had formed.
pub(super) fn lines(model: &Model) -> Vec<Line> {
    let begin_us = model
        .phases
        .iter()
        .find(|(phase, _)| *phase > Phase::Form)
        .map_or(0, |(_, span)| span.from_us);
    let story = model
        .events
        .iter()
        .filter(|event| event.weight == Weight::Story && event.at_us >= begin_us);
    let together_us = if model.header.nodes.len() > MANY {
        TOGETHER_OF_MANY_US
    } else {
        TOGETHER_US
    };
    let mut drafts: Vec<Draft<'_>> = Vec::new();
    for event in story {
        let recent = drafts
            .iter_mut()
            .rev()
            .take_while(|draft| event.at_us <= draft.events[0].at_us.saturating_add(together_us))
            .find(|draft| belongs(draft, event));
        match recent {
            Some(draft) if draft.events[0].kind == EventKind::Fault => draft.effects.push(event),
            Some(draft) => draft.events.push(event),
            None => drafts.push(Draft {
                events: vec![event],
                effects: Vec::new(),
            }),
        }
    }
    drafts.iter().map(|draft| line(model, draft)).collect()
}

/// Whether an event is another node saying the same, or what a fault did.
fn belongs(draft: &Draft<'_>, event: &EventLine) -> bool {
    let first = draft.events[0];
    let same = first.kind == event.kind
        && first.text == event.text
        && event.node.is_some()
        && draft.events.iter().all(|other| other.node != event.node);
    let effect = first.kind == EventKind::Fault
        && matches!(event.kind, EventKind::Crash | EventKind::Stall)
        && draft.effects.iter().all(|other| other.node != event.node);
    same || effect
}

fn line(model: &Model, draft: &Draft<'_>) -> Line {
    let first = draft.events[0];
    let names: Vec<&str> = draft
        .events
        .iter()
        .filter_map(|event| Some(model.header.nodes[usize::from(event.node?)].name.as_str()))
        .collect();
    let names = listed(&names);
    let mut text = if first.kind == EventKind::Fault {
        format!("fault: {}", first.text)
    } else if names.is_empty() {
        first.text.clone()
    } else if first.kind == EventKind::Operator {
        format!("{names}: {} (operator)", first.text)
    } else {
        format!("{names}: {}", first.text)
    };
    if let Some(note) = first.note.as_ref().filter(|_| draft.events.len() == 1) {
        text.push_str(&format!(" ({note})"));
    }
    let marks = draft
        .events
        .iter()
        .chain(&draft.effects)
        .filter_map(|event| Some((event.node?, Sign::Event(event.kind))))
        .collect();
    Line {
        at_us: first.at_us,
        last_us: draft.events.last().map_or(first.at_us, |last| last.at_us),
        marks,
        text,
        sign: tinted(first.kind).then_some(Sign::Event(first.kind)),
    }
}

/// `m1, m2, m3`, `m1, m2, m3, m4 and 296 more`
fn listed(names: &[&str]) -> String {
    if names.len() > 6 {
        format!("{} and {} more", names[..4].join(", "), names.len() - 4)
    } else {
        names.join(", ")
    }
}

/// Only what a reader looks for first is coloured.
const fn tinted(kind: EventKind) -> bool {
    matches!(
        kind,
        EventKind::Fault | EventKind::Won | EventKind::Fail | EventKind::FaultMissed
    )
}
