//! Fault bands: when each fault held, of the script and of the weather.
//!
//! Weather has many faults that nobody notices. Those are folded: only one that was long enough to
//! make the cluster react is a band of its own, the others of a kind share a strip.

use std::collections::{BTreeMap, BTreeSet};

use redrill_sim::trace::{
    ClientNumber, FaultEvent, FaultKind, FaultSource, NodeNumber, Phase, Trace,
};
use redrill_sim::weather::WeatherKind;

use super::Span;
use crate::text::length;

/// The most faults of the weather that have a band of their own.
const MOST_NOTABLE: usize = 24;

/// A fault while it held.
#[derive(Clone, PartialEq, Debug)]
pub struct FaultBand {
    /// The step of the drill or the weather that made it.
    pub source: FaultSource,
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

/// What the weather did of one kind, without what has a band of its own.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct WeatherStrip {
    /// Of what kind.
    pub kind: WeatherKind,
    /// When, in order of beginning; may overlap.
    pub spans: Vec<Span>,
}

impl WeatherStrip {
    /// How often, and how long the longest was: `12 fork pauses, the longest 340 ms`.
    #[must_use]
    pub fn words(&self) -> String {
        let longest_us = self.spans.iter().map(|span| span.length_us()).max();
        let longest = length(longest_us.unwrap_or(0));
        match self.spans.len() {
            1 => format!("1 {}, {longest}", self.kind.words()),
            count => format!("{count} {}, the longest {longest}", self.kind.plural()),
        }
    }
}

/// The faults of a run: bands of their own, and the rest of the weather by kind.
pub(super) fn faults(trace: &Trace, run: Span) -> (Vec<FaultBand>, Vec<WeatherStrip>) {
    let mut bands = all(trace, run);
    let notable = notable(trace, &bands);
    let mut strips: BTreeMap<WeatherKind, Vec<Span>> = BTreeMap::new();
    bands.retain(|(band, kind)| match (band.source, kind) {
        (FaultSource::Weather(number), Some(kind)) if !notable.contains(&number) => {
            strips.entry(*kind).or_default().push(band.span);
            false
        }
        (FaultSource::Weather(_) | FaultSource::Step(_), _) => true,
    });
    let strips = strips
        .into_iter()
        .map(|(kind, spans)| WeatherStrip { kind, spans });
    (
        bands.into_iter().map(|(band, _)| band).collect(),
        strips.collect(),
    )
}

/// The numbers of what the weather did that is worth a line of its own.
pub(super) fn notable_weather(trace: &Trace, run: Span) -> BTreeSet<u32> {
    notable(trace, &all(trace, run))
}

/// What took a node away for as long as the node-timeout, or might have; the longest if there are
/// many.
fn notable(trace: &Trace, bands: &[(FaultBand, Option<WeatherKind>)]) -> BTreeSet<u32> {
    let timeout_us = u64::try_from(trace.header.node_timeout_ms).unwrap_or(0) * 1000;
    let mut found: Vec<(bool, u64, u32)> = Vec::new();
    for (band, kind) in bands {
        let FaultSource::Weather(number) = band.source else {
            continue;
        };
        let grave = matches!(kind, Some(WeatherKind::ZoneOutage | WeatherKind::Crash));
        let length_us = band.span.length_us();
        if grave || length_us >= timeout_us {
            found.push((grave, length_us, number));
        }
    }
    found.sort_unstable_by_key(|(grave, length_us, number)| {
        (!grave, std::cmp::Reverse(*length_us), *number)
    });
    let kept = found.into_iter().take(MOST_NOTABLE);
    kept.map(|(_, _, number)| number).collect()
}

/// Every fault of a run. One that never ends holds until healing, or to the end.
fn all(trace: &Trace, run: Span) -> Vec<(FaultBand, Option<WeatherKind>)> {
    let mut bands: Vec<(FaultBand, Option<WeatherKind>)> = Vec::new();
    let mut open: BTreeMap<FaultSource, Vec<usize>> = BTreeMap::new();
    for record in &trace.records {
        match record.event.fault() {
            Some(FaultEvent::Began {
                source,
                fault,
                weather,
                touched,
            }) => {
                open.entry(source).or_default().push(bands.len());
                let words = match weather {
                    Some(_) => format!("{} (weather)", touched.words),
                    None => touched.words.to_string(),
                };
                let band = FaultBand {
                    source,
                    kind: fault,
                    words,
                    span: Span {
                        from_us: record.at_us,
                        to_us: run.to_us,
                    },
                    lasts: weather.is_some() || !instant(fault),
                    nodes: touched.nodes.to_vec(),
                    clients: touched.clients.to_vec(),
                };
                bands.push((band, weather));
            }
            Some(FaultEvent::Ended(source)) => {
                for index in open.remove(&source).unwrap_or_default() {
                    bands[index].0.span.to_us = record.at_us;
                    bands[index].0.lasts = true;
                }
            }
            None if record.event.begins(Phase::Converge) => {
                for index in open.values().flatten() {
                    bands[*index].0.span.to_us = record.at_us;
                }
                open.clear();
            }
            None => {}
        }
    }
    for (band, _) in &mut bands {
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
