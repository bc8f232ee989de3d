//! Which configuration to take.

use redrill_sim::scenario::Measure;
use serde::Serialize;

use super::goal::{Judged, Judgement};
use super::statistics::Statistics;
use super::{Goal, SweepData};
use crate::measures::Measures;

/// What to make of a sweep.
#[derive(Clone, PartialEq, Debug, Serialize)]
pub struct Advice {
    /// The objectives held against each configuration, in their order; empty without objectives.
    pub judged: Vec<Vec<Judged>>,
    /// Which configurations no other one beats.
    pub pareto: Pareto,
    /// The configuration it would choose: of those that meet every objective, the one whose worst
    /// interval stays furthest below its limit.
    pub chosen: Option<usize>,
    /// That distance: the greatest share of a limit that the choice may use up.
    pub uses_of_limit: Option<f64>,
}

/// The trade between two measures, less of each being better.
#[derive(Clone, PartialEq, Debug, Serialize)]
pub struct Pareto {
    /// The measure whose 95th percentile counts.
    pub delay: Measure,
    /// The measure whose rate by day counts.
    pub rate: Measure,
    /// The configurations, in their order.
    pub points: Vec<ParetoPoint>,
}

/// A configuration in the trade.
#[derive(Clone, Copy, PartialEq, Debug, Serialize)]
pub struct ParetoPoint {
    /// The delay, ms; `None` if it lies where runs had ended, or nothing was measured.
    pub delay_ms: Option<f64>,
    /// The rate.
    pub per_day: Option<f64>,
    /// Whether no other configuration is better in one and as good in the other.
    pub on_front: bool,
}

impl Advice {
    pub(super) fn of(data: &SweepData, statistics: &[Statistics]) -> Self {
        let judged: Vec<Vec<Judged>> = match data.goals.is_empty() {
            true => Vec::new(),
            false => (data.configurations.iter())
                .map(|configuration| {
                    let measures: Vec<&Measures> = (configuration.runs.iter())
                        .filter_map(|run| run.measures.as_ref())
                        .collect();
                    data.goals
                        .iter()
                        .map(|goal| goal.judge(&measures))
                        .collect()
                })
                .collect(),
        };
        let best = (0..judged.len())
            .filter_map(|place| Some((place, use_of_limits(&data.goals, &judged[place])?)))
            .min_by(|one, other| one.1.total_cmp(&other.1));
        Self {
            judged,
            pareto: Pareto::of(statistics),
            chosen: best.map(|(place, _)| place),
            uses_of_limit: best.map(|(_, share)| share),
        }
    }

    /// Whether a configuration meets every objective: the worst of them counts. `None` without
    /// objectives.
    #[must_use]
    pub fn judgement(&self, configuration: usize) -> Option<Judgement> {
        let goals = self.judged.get(configuration)?;
        goals.iter().map(|goal| goal.judgement).max()
    }

    /// How near the best configuration comes to meeting every objective. `None` without objectives.
    #[must_use]
    pub fn best(&self) -> Option<Judgement> {
        (0..self.judged.len())
            .filter_map(|place| self.judgement(place))
            .min()
    }

    /// How many more runs would likely decide about a configuration that is open; `None` if it is
    /// not, or no number of runs is known to.
    #[must_use]
    pub fn more_runs(&self, configuration: usize) -> Option<u64> {
        let open = self.judged.get(configuration)?.iter();
        let mut open = open.filter(|goal| goal.judgement == Judgement::Inconclusive);
        open.try_fold(0, |most: u64, goal| Some(most.max(goal.more_runs?)))
    }
}

/// The greatest share of a limit that a configuration may use up; `None` unless all are met.
fn use_of_limits(goals: &[Goal], judged: &[Judged]) -> Option<f64> {
    let shares = goals.iter().zip(judged).map(|(goal, judged)| {
        let met = judged.judgement == Judgement::Met;
        let high = judged.high.filter(|_| met)?;
        Some(if goal.bound > 0.0 {
            high / goal.bound
        } else {
            1.0
        })
    });
    shares
        .collect::<Option<Vec<f64>>>()?
        .into_iter()
        .max_by(f64::total_cmp)
}

impl Pareto {
    fn of(statistics: &[Statistics]) -> Self {
        let has_writes = (statistics.iter()).any(|it| it.measure(Measure::WriteGap).is_some());
        let delay = match has_writes {
            true => Measure::WriteGap,
            false => Measure::FailoverTime,
        };
        let rate = Measure::FalseFailovers;
        let places: Vec<Option<(f64, f64)>> = statistics
            .iter()
            .map(|it| {
                let delay = it.measure(delay)?.p95.estimate.unwrap_or(f64::INFINITY);
                Some((delay, it.measure(rate)?.per_day?.estimate))
            })
            .collect();
        let beats = |one: (f64, f64), other: (f64, f64)| {
            one.0 <= other.0 && one.1 <= other.1 && one != other
        };
        let point = |place: &Option<(f64, f64)>| ParetoPoint {
            delay_ms: place.map(|it| it.0).filter(|delay| delay.is_finite()),
            per_day: place.map(|it| it.1),
            on_front: place.is_some_and(|it| {
                it.0.is_finite() && !places.iter().flatten().any(|other| beats(*other, it))
            }),
        };
        Self {
            delay,
            rate,
            points: places.iter().map(point).collect(),
        }
    }
}
