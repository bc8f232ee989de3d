//! The part of a run that reports open at.

use redrill_node::Fact;
use redrill_sim::trace::{Event, Trace};

use super::Span;
use super::faults::FaultBand;
use super::slots::SlotStrip;

/// What is shown before the fault and after recovery.
const MARGIN_US: u64 = 2_000_000;

/// The shortest window, so that a fault without consequences can be read too.
const SHORTEST_US: u64 = 6_000_000;

/// From 2 s before the first fault to 2 s after recovery: after the last replica was promoted,
/// the last slot was served again and the last claim was settled. If the faults did nothing of
/// that, to 2 s after the last of them. The whole run without a fault.
pub(super) fn around_incident(
    trace: &Trace,
    run: Span,
    origin_us: u64,
    slots: &SlotStrip,
    faults: &[FaultBand],
) -> Span {
    if faults.is_empty() {
        return run;
    }
    let mut recovered_us = origin_us;
    for span in &slots.all.spans {
        if span.span.to_us > origin_us && !span.is_whole() {
            recovered_us = recovered_us.max(span.span.to_us);
        }
    }
    for record in trace
        .records
        .iter()
        .filter(|record| record.at_us >= origin_us)
    {
        if let Event::Node {
            fact: Fact::ElectionWon { .. },
            ..
        } = record.event
        {
            recovered_us = recovered_us.max(record.at_us);
        }
    }
    if recovered_us == origin_us {
        let ends = faults.iter().map(|fault| fault.span.to_us);
        recovered_us = ends.max().unwrap_or(origin_us);
    }
    let from_us = origin_us.saturating_sub(MARGIN_US);
    let to_us = recovered_us
        .saturating_add(MARGIN_US)
        .max(from_us.saturating_add(SHORTEST_US));
    Span {
        from_us,
        to_us: to_us.min(run.to_us),
    }
}
