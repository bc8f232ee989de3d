//! Fault bands: when each scripted fault held.

use std::collections::BTreeMap;

use redrill_sim::trace::{ClientNumber, Event, FaultKind, NodeNumber, Phase, Trace};

use super::Span;

/// A scripted fault while it held.
#[derive(Clone, PartialEq, Debug)]
pub struct FaultBand {
    /// Index of the step in the drill.
    pub step: u16,
    /// What it does.
    pub kind: FaultKind,
    /// In words.
    pub words: String,
    /// When it held. A fault that is over at once (a crash, a command) is as short as it can be.
    pub span: Span,
    /// Whether it holds for a time, or is over at once.
    pub lasts: bool,
    /// The nodes it touched.
    pub nodes: Vec<NodeNumber>,
    /// The clients it touched.
    pub clients: Vec<ClientNumber>,
}

impl FaultBand {
    /// Its words without the list of everyone it touched, for where there is little room.
    #[must_use]
    pub fn label(&self) -> &str {
        self.words
            .split_once(" [")
            .map_or(&self.words, |(label, _)| label)
    }

    /// Whether it touched nothing: then the run tells nothing.
    #[must_use]
    pub fn touched_nothing(&self) -> bool {
        self.nodes.is_empty() && self.clients.is_empty() && self.kind != FaultKind::Load
    }
}

/// The faults of a run. One that never ends holds until healing, or to the end.
pub(super) fn bands(trace: &Trace, run: Span) -> Vec<FaultBand> {
    let mut bands: Vec<FaultBand> = Vec::new();
    let mut open: BTreeMap<u16, Vec<usize>> = BTreeMap::new();
    for record in &trace.records {
        match &record.event {
            Event::FaultBegan {
                step,
                fault,
                nodes,
                clients,
                words,
                ..
            } => {
                open.entry(*step).or_default().push(bands.len());
                bands.push(FaultBand {
                    step: *step,
                    kind: *fault,
                    words: words.to_string(),
                    span: Span {
                        from_us: record.at_us,
                        to_us: run.to_us,
                    },
                    lasts: !instant(*fault),
                    nodes: nodes.to_vec(),
                    clients: clients.to_vec(),
                });
            }
            Event::FaultEnded { step } => {
                for index in open.remove(step).unwrap_or_default() {
                    bands[index].span.to_us = record.at_us;
                    bands[index].lasts = true;
                }
            }
            Event::Phase {
                phase: Phase::Converge,
            } => {
                for index in open.values().flatten() {
                    bands[*index].span.to_us = record.at_us;
                }
                open.clear();
            }
            Event::Phase { .. }
            | Event::Node { .. }
            | Event::Process { .. }
            | Event::StateSaved { .. }
            | Event::StateLoaded { .. }
            | Event::FaultMissed { .. }
            | Event::Operator { .. }
            | Event::Operation(_)
            | Event::Audited { .. }
            | Event::Remark { .. } => {}
        }
    }
    for band in &mut bands {
        if !band.lasts {
            band.span.to_us = band.span.from_us;
        }
    }
    bands
}

/// Whether a fault of this kind is over as soon as it has happened, unless it is undone later.
const fn instant(kind: FaultKind) -> bool {
    match kind {
        FaultKind::Crash(_) | FaultKind::Restart | FaultKind::Run | FaultKind::Clock => true,
        FaultKind::Partition
        | FaultKind::Block
        | FaultKind::Stall(_)
        | FaultKind::Degrade
        | FaultKind::SlowDisk
        | FaultKind::Load => false,
    }
}
