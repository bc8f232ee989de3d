//! What was measured on real servers, as points for the trade-off curve.

use redrill_sim::scenario::Measure;

use super::ReferencePoint;
use crate::calibration::Victim;
use crate::calibration::measured::{Cell, Fault};
use crate::statistics::{median_interval, quantile};

impl ReferencePoint {
    /// Of each experiment the failover time and the write gap, at its node-timeout.
    #[must_use]
    pub fn of_measured(cells: &[Cell]) -> Vec<Self> {
        let points = cells.iter().flat_map(|cell| {
            [
                point(cell, Measure::WriteGap, |it| it.write_gap_ms),
                point(cell, Measure::FailoverTime, |it| it.won_ms),
            ]
        });
        points.flatten().collect()
    }
}

fn point(cell: &Cell, measure: Measure, of: fn(&Victim) -> Option<f64>) -> Option<ReferencePoint> {
    let values = |victims: &[Victim]| -> Vec<f64> { victims.iter().filter_map(of).collect() };
    let by_trial: Vec<Vec<f64>> = cell.trials.iter().map(|it| values(&it.victims)).collect();
    let mut all: Vec<f64> = by_trial.iter().flatten().copied().collect();
    all.sort_unstable_by(f64::total_cmp);
    let median = quantile(&all, 0.5)?;
    let interval = median_interval(&by_trial)?;
    let experiment = &cell.experiment;
    Some(ReferencePoint {
        label: format!(
            "{} measured, {}: {} median",
            experiment.server,
            fault(experiment.fault),
            super::words::measure(measure)
        ),
        x: f64::from(experiment.node_timeout_ms),
        measure,
        median,
        low: interval.low,
        high: interval.high,
    })
}

const fn fault(fault: Fault) -> &'static str {
    match fault {
        Fault::Kill => "a master killed",
        Fault::KillMasterReplica => "a master and its replica killed",
        Fault::Kill2 => "two masters killed",
        Fault::DebugSleep => "a master in DEBUG SLEEP",
        Fault::Stop => "a master stopped",
        Fault::Stop2 => "two masters stopped",
        Fault::Partition => "a master cut off",
    }
}
