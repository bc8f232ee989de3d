//! Doubts about a drill that is otherwise fine: expectations that no cluster can meet.

use redrill_sim::scenario::{Comparison, Expectation, Measure, Statistic, Step, StepAction};

use super::mistake::{Draft, Mistakes};
use super::source::Span;
use super::units::duration_text;
use super::validate::Checked;

/// Times between which a measure of a failover lies by the rules of the protocol alone, ms.
#[derive(Clone, Copy, PartialEq, Debug)]
pub(crate) struct Floor {
    /// None is quicker.
    pub(crate) quickest_ms: f64,
    /// Up to this long is ordinary luck.
    pub(crate) ordinary_ms: f64,
}

/// What the protocol alone takes. A node is suspected one node-timeout after its last answer at
/// the earliest, and as late as half a timeout more because a healthy peer is pinged only that
/// often; a replica then waits 500 ms, and up to 500 ms at random, before it asks for votes.
pub(crate) fn floor(measure: Measure, node_timeout_ms: f64) -> Option<Floor> {
    match measure {
        Measure::DetectionTime => Some(Floor {
            quickest_ms: node_timeout_ms,
            ordinary_ms: 1.5 * node_timeout_ms,
        }),
        Measure::FailoverTime | Measure::WriteGap => Some(Floor {
            quickest_ms: node_timeout_ms + 500.0,
            ordinary_ms: 1.5 * node_timeout_ms + 1000.0,
        }),
        // A coverage gap may be short or absent: it depends on which nodes know.
        Measure::AgreementTime
        | Measure::ElectionDelay
        | Measure::VoteTime
        | Measure::ConvergenceTime
        | Measure::CatchUpTime
        | Measure::ReadGap
        | Measure::WriteUnavailability
        | Measure::ReadUnavailability
        | Measure::CoverageGap
        | Measure::LostAckedWrites
        | Measure::FalseFailovers
        | Measure::Failovers
        | Measure::Mistakes
        | Measure::MistakeTime
        | Measure::FailedOperations
        | Measure::LatencyP99
        | Measure::DualMasterTime
        | Measure::BusBandwidth => None,
    }
}

/// Adds a warning for every expectation below the floor.
pub(super) fn advise(checked: &Checked, mistakes: &mut Mistakes) {
    // A failover that an operator asks for waits for nothing.
    if checked.scenario.steps.iter().any(asks_for_failover) {
        return;
    }
    let node_timeout_ms = checked.scenario.config.cluster_node_timeout_ms as f64;
    let pairs = checked
        .scenario
        .expectations
        .iter()
        .zip(&checked.expectation_spans);
    for (expectation, span) in pairs {
        if let Some(floor) = floor(expectation.measure, node_timeout_ms)
            && let Some(draft) = below(expectation, floor, node_timeout_ms, *span)
        {
            mistakes.add(draft);
        }
    }
}

/// Whether a step sends `CLUSTER FAILOVER`.
pub(crate) fn asks_for_failover(step: &Step) -> bool {
    match &step.action {
        StepAction::Run { command, .. } => command
            .to_uppercase()
            .split_whitespace()
            .take(2)
            .eq(["CLUSTER", "FAILOVER"]),
        StepAction::Partition { .. }
        | StepAction::Isolate { .. }
        | StepAction::Block { .. }
        | StepAction::Stall { .. }
        | StepAction::Crash { .. }
        | StepAction::Restart { .. }
        | StepAction::Degrade { .. }
        | StepAction::Clock { .. }
        | StepAction::SlowDisk { .. }
        | StepAction::MoveSlots { .. }
        | StepAction::Load { .. } => false,
    }
}

fn below(
    expectation: &Expectation,
    floor: Floor,
    node_timeout_ms: f64,
    span: Span,
) -> Option<Draft> {
    let bounds_above = match expectation.comparison {
        Comparison::Less | Comparison::LessOrEqual | Comparison::Equal => true,
        Comparison::GreaterOrEqual | Comparison::Greater => false,
    };
    if !bounds_above || expectation.statistic == Statistic::Count {
        return None;
    }
    let speaks_of_the_slowest = match expectation.statistic {
        Statistic::Max => true,
        Statistic::Percentile(percent) => percent > 75.0,
        Statistic::Min | Statistic::Mean | Statistic::Median | Statistic::Count => false,
    };
    let text = |ms: f64| duration_text(ms * 1000.0);
    let timeout = text(node_timeout_ms);
    if expectation.bound < floor.quickest_ms {
        return Some(
            Draft::warning(
                "an expectation below the physical floor",
                span,
                format!("no failover takes less than {}", text(floor.quickest_ms)),
            )
            .help(format!(
                "with cluster-node-timeout {timeout} expect {} to {}",
                text(floor.quickest_ms),
                text(floor.ordinary_ms)
            )),
        );
    }
    if speaks_of_the_slowest && expectation.bound < floor.ordinary_ms {
        return Some(
            Draft::warning(
                "an expectation that healthy failovers will miss",
                span,
                format!("an ordinary one takes up to {}", text(floor.ordinary_ms)),
            )
            .help(format!(
                "with cluster-node-timeout {timeout} expect {} to {}",
                text(floor.quickest_ms),
                text(floor.ordinary_ms)
            )),
        );
    }
    None
}
