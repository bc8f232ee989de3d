//! A finished sweep: the same drill under several configurations, seed by seed on the same weather.
//!
//! [`SweepData`] is what was run; everything else is a pure function of it. [`Sweep`] holds both, for
//! tables, pictures and `sweep.json`.

mod advice;
pub mod compare;
mod csv;
mod goal;
mod statistics;
pub mod table;
#[cfg(test)]
mod tests;

use std::collections::BTreeMap;

use redrill_sim::scenario::Measure;
use serde::{Deserialize, Serialize};

use crate::statistics::{Compared, Difference, compare_paired};
use crate::summary::{DrillOutcome, RunSummary};

pub use advice::{Advice, Pareto, ParetoPoint};
pub use csv::csv;
pub use goal::{Goal, GoalStatistic, Judged, Judgement};
pub use statistics::{MeasureStatistics, PerDay, QuantileEstimate, Share, Statistics, values};

/// Version of the format of `sweep.json`.
pub const SCHEMA_VERSION: u32 = 1;

/// A finished sweep and what it says.
#[derive(Clone, PartialEq, Debug, Serialize)]
pub struct Sweep {
    /// What was run.
    #[serde(flatten)]
    pub data: SweepData,
    /// What each configuration comes to, in their order.
    pub statistics: Vec<Statistics>,
    /// How each configuration differs from the [`Sweep::base`], in their order; empty for that one.
    pub differences: Vec<Vec<MeasureDifference>>,
    /// The configuration that the others are compared with: the one the drill has by itself, or the
    /// first.
    pub base: usize,
    /// What to make of it.
    pub advice: Advice,
}

/// What was run.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
pub struct SweepData {
    /// [`SCHEMA_VERSION`].
    pub schema_version: u32,
    /// What the file is.
    pub kind: Kind,
    /// The drill's name.
    pub drill: String,
    /// The question it answers.
    pub question: Option<String>,
    /// The world it ran in.
    pub world: String,
    /// What was varied.
    pub axes: Vec<Axis>,
    /// The place of the configuration that the drill has by itself, if it is among them.
    pub current: Option<usize>,
    /// The seeds, in order: every configuration ran all of them.
    pub seeds: Vec<u64>,
    /// What was asked for with `--slo`.
    pub goals: Vec<Goal>,
    /// The configurations: the last axis varies fastest.
    pub configurations: Vec<Configuration>,
}

/// What a JSON file of a sweep is.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Kind {
    /// A sweep.
    Sweep,
}

/// Something that was varied.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
pub struct Axis {
    /// Its place in the drill: `config.cluster-node-timeout`.
    pub path: String,
    /// Its values.
    pub values: Vec<AxisValue>,
    /// The value that the drill has by itself, if it is a part of the configuration.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub own: Option<AxisValue>,
}

/// A value of an axis.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
pub struct AxisValue {
    /// As it would be written behind `--set path=`.
    pub text: String,
    /// Where it stands on an axis of numbers: ms for times. `None` if it is no number.
    pub position: Option<f64>,
}

/// A configuration and its runs.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
pub struct Configuration {
    /// Its values, with commas between them.
    pub label: String,
    /// Which value it has of each axis.
    pub places: Vec<usize>,
    /// The engine.
    pub engine: String,
    /// The configuration as written in the drill, overrides included.
    pub config: BTreeMap<String, String>,
    /// The runs, in the order of the seeds.
    pub runs: Vec<RunSummary>,
}

/// How a configuration differs from another in a measure.
#[derive(Clone, PartialEq, Debug, Serialize)]
pub struct MeasureDifference {
    /// The measure.
    pub measure: Measure,
    /// The difference.
    #[serde(flatten)]
    pub difference: Difference,
}

/// What configurations of a sweep are compared in.
const COMPARED: [(Measure, Compared); 6] = [
    (Measure::WriteGap, Compared::Quantile(0.5)),
    (Measure::WriteGap, Compared::Quantile(0.95)),
    (Measure::FailoverTime, Compared::Quantile(0.5)),
    (Measure::FailoverTime, Compared::Quantile(0.95)),
    (Measure::FalseFailovers, Compared::Mean),
    (Measure::LostAckedWrites, Compared::Mean),
];

impl Axis {
    /// The last part of the path, which is what people call it.
    #[must_use]
    pub fn name(&self) -> &str {
        self.path.rsplit('.').next().unwrap_or(&self.path)
    }
}

impl SweepData {
    /// A configuration's value on each axis, as people write it.
    #[must_use]
    pub fn values_of(&self, configuration: usize) -> Vec<&str> {
        let places = self.configurations[configuration].places.iter();
        places
            .zip(&self.axes)
            .map(|(value, axis)| {
                let value = axis.values.get(*value);
                value.map_or("", |value| value.text.trim_matches('"'))
            })
            .collect()
    }
}

impl Sweep {
    /// Says what a finished sweep comes to.
    #[must_use]
    pub fn new(data: SweepData) -> Self {
        let statistics: Vec<Statistics> = (data.configurations.iter())
            .map(|it| Statistics::of(&it.runs))
            .collect();
        let base = data.current.unwrap_or(0);
        let differences = (0..data.configurations.len())
            .map(|place| match place == base {
                true => Vec::new(),
                false => differences(&data.configurations, base, place),
            })
            .collect();
        let advice = Advice::of(&data, &statistics);
        Self {
            data,
            statistics,
            differences,
            base,
            advice,
        }
    }

    /// How the sweep ended: whether its runs can be trusted, and whether a configuration meets the
    /// objectives.
    #[must_use]
    pub fn outcome(&self) -> DrillOutcome {
        let runs = self.statistics.iter().map(|it| {
            if it.invalid > 0 {
                DrillOutcome::InvariantBroken
            } else if it.unknown > 0 {
                DrillOutcome::Inconclusive
            } else {
                DrillOutcome::Pass
            }
        });
        let best = self
            .advice
            .best()
            .map_or(DrillOutcome::Pass, |best| match best {
                Judgement::Met => DrillOutcome::Pass,
                Judgement::Inconclusive => DrillOutcome::Inconclusive,
                Judgement::Missed => DrillOutcome::ExpectationMissed,
            });
        runs.chain([best]).max().unwrap_or(DrillOutcome::Pass)
    }
}

/// The worst value of a measure in one run: what is compared seed by seed. `None` if it has none.
fn of_run(measure: Measure, run: &RunSummary) -> Option<f64> {
    let measures = run.measures.as_ref()?;
    values(measure, &[measures])
        .into_iter()
        .max_by(f64::total_cmp)
}

fn differences(
    configurations: &[Configuration],
    base: usize,
    place: usize,
) -> Vec<MeasureDifference> {
    let (base, other) = (&configurations[base].runs, &configurations[place].runs);
    COMPARED
        .into_iter()
        .filter_map(|(measure, compared)| {
            let pairs: Vec<(f64, f64)> = (base.iter().zip(other))
                .filter_map(|(one, other)| Some((of_run(measure, one)?, of_run(measure, other)?)))
                .collect();
            let difference = compare_paired(&pairs, compared)?;
            Some(MeasureDifference {
                measure,
                difference,
            })
        })
        .collect()
}
