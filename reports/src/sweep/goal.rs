//! Objectives, and whether a configuration meets them.

use redrill_sim::scenario::{Comparison, Measure, Unit};
use serde::{Deserialize, Serialize};

use super::statistics::{PerDay, QuantileEstimate, comes_one_by_one, values};
use crate::measures::Measures;
use crate::statistics::{Bound, lower_bound, poisson_rate, upper_bound};

/// The most values or runs that are said to decide a question; more are as good as never.
const MOST_RUNS: u64 = 10_000_000;

/// What differs by less than this share is the same: no number of runs tells them apart.
const SAME: f64 = 1e-6;

/// The most values that a rank is looked for among.
const MOST_VALUES: usize = 1_000_000;

/// An objective: an upper limit.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
pub struct Goal {
    /// What is limited.
    pub measure: Measure,
    /// Which statistic of it.
    pub statistic: GoalStatistic,
    /// Whether the limit itself is allowed.
    pub comparison: Comparison,
    /// The limit: ms for times, by day for rates.
    pub bound: f64,
    /// As it was written.
    pub text: String,
}

/// What an objective limits.
#[derive(Clone, Copy, PartialEq, Debug, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum GoalStatistic {
    /// A quantile, 0 to 1 without the ends.
    Quantile(f64),
    /// The greatest value that was seen.
    Max,
    /// How much of it there is in a day.
    PerDay,
}

/// Whether an objective is met, from best to worst.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Judgement {
    /// With 95 % confidence.
    Met,
    /// The interval holds the limit.
    Inconclusive,
    /// It is missed with 95 % confidence.
    Missed,
}

/// An objective held against a configuration.
#[derive(Clone, PartialEq, Debug, Serialize)]
pub struct Judged {
    /// Whether it is met.
    pub judgement: Judgement,
    /// What was measured; `None` if it is not bounded by what was seen.
    pub estimate: Option<f64>,
    /// What it is not below, if that is known.
    pub low: Option<f64>,
    /// What it is not above, if that is known.
    pub high: Option<f64>,
    /// Number of values it rests on; for rates, the number of events.
    pub values: u64,
    /// How many more runs would likely decide it, if it is open and they would.
    pub more_runs: Option<u64>,
}

impl Goal {
    /// Holds it against the runs of a configuration.
    #[must_use]
    pub fn judge(&self, runs: &[&Measures]) -> Judged {
        let mut sorted = values(self.measure, runs);
        sorted.sort_unstable_by(f64::total_cmp);
        match self.statistic {
            GoalStatistic::Quantile(share) => self.judge_quantile(&sorted, share, runs.len()),
            GoalStatistic::Max => self.judge_max(&sorted),
            GoalStatistic::PerDay => self.judge_rate(runs),
        }
    }

    fn allows(&self, value: f64) -> bool {
        match self.comparison {
            Comparison::Less => value < self.bound,
            Comparison::LessOrEqual | Comparison::Equal => value <= self.bound,
            Comparison::Greater => value > self.bound,
            Comparison::GreaterOrEqual => value >= self.bound,
        }
    }

    fn judge_quantile(&self, sorted: &[f64], share: f64, runs: usize) -> Judged {
        let QuantileEstimate {
            estimate,
            low,
            high,
        } = QuantileEstimate::of(sorted, share);
        let judgement = match (low, high) {
            (_, Bound::At(high)) if self.allows(high) => Judgement::Met,
            (Bound::At(low), _) if !self.allows(low) => Judgement::Missed,
            (Bound::Censored, _) => Judgement::Missed,
            (Bound::At(_) | Bound::TooFew { .. }, _) => Judgement::Inconclusive,
        };
        let allowed = sorted.iter().filter(|value| self.allows(**value)).count();
        let more_runs = (judgement == Judgement::Inconclusive)
            .then(|| values_to_decide(sorted.len(), allowed, share))
            .flatten()
            .map(|more| runs_for(more, sorted.len(), runs));
        Judged {
            judgement,
            estimate,
            low: low.value(),
            high: high.value(),
            values: sorted.len() as u64,
            more_runs,
        }
    }

    /// No number of runs tells what the greatest of all would be: it is held against those seen.
    fn judge_max(&self, sorted: &[f64]) -> Judged {
        let greatest = sorted.last().copied();
        let judgement = match greatest {
            None => Judgement::Inconclusive,
            Some(greatest) if self.allows(greatest) => Judgement::Met,
            Some(_) => Judgement::Missed,
        };
        let greatest = greatest.filter(|value| value.is_finite());
        Judged {
            judgement,
            estimate: greatest,
            low: greatest,
            high: greatest,
            values: sorted.len() as u64,
            more_runs: None,
        }
    }

    fn judge_rate(&self, runs: &[&Measures]) -> Judged {
        let Some(rate) = PerDay::of(self.measure, runs) else {
            return Judged {
                judgement: Judgement::Inconclusive,
                estimate: None,
                low: None,
                high: None,
                values: 0,
                more_runs: None,
            };
        };
        let judgement = match rate.high {
            Some(high) if self.allows(high) => Judgement::Met,
            Some(_) | None if rate.amount > 0.0 && !self.allows(rate.low) => Judgement::Missed,
            Some(_) | None => Judgement::Inconclusive,
        };
        let more_runs = (judgement == Judgement::Inconclusive)
            .then(|| self.runs_to_decide(&rate, runs.len()))
            .flatten();
        Judged {
            judgement,
            estimate: Some(rate.estimate),
            low: Some(rate.low),
            high: rate.high,
            values: match self.measure.unit() {
                Unit::Number => rate.amount as u64,
                Unit::Time | Unit::Share => runs.len() as u64,
            },
            more_runs,
        }
    }

    /// How many more runs would decide about a rate if it stays what it is.
    fn runs_to_decide(&self, rate: &PerDay, runs: usize) -> Option<u64> {
        let high = rate.high?;
        if (rate.estimate - self.bound).abs() <= SAME * self.bound {
            return None;
        }
        let days = match rate.amount > 0.0 {
            true => rate.amount / rate.estimate,
            false => poisson_rate(0, 1.0)?.high / high,
        };
        let would_decide = |times: f64| {
            if comes_one_by_one(self.measure) || rate.amount == 0.0 {
                let amount = (rate.amount * times).round() as u64;
                return poisson_rate(amount, days * times)
                    .is_some_and(|rate| self.allows(rate.high) || !self.allows(rate.low));
            }
            // The interval shrinks with the root of the number of runs.
            let shrunk = |end: f64| rate.estimate + (end - rate.estimate) / times.sqrt();
            self.allows(shrunk(high)) || !self.allows(shrunk(rate.low))
        };
        let runs = runs as u64;
        let total = least(runs, MOST_RUNS, |total| {
            would_decide(total as f64 / runs as f64)
        })?;
        Some(total - runs)
    }
}

/// How many more values would decide whether a quantile is allowed, if the share of allowed ones
/// stays what it is.
fn values_to_decide(count: usize, allowed: usize, share: f64) -> Option<u64> {
    if count == 0 {
        return None;
    }
    let would_decide = |total: u64| {
        let allowed = (allowed as f64 / count as f64 * total as f64).round() as usize;
        let mut values = vec![0.0; allowed.min(total as usize)];
        values.resize(total as usize, 1.0);
        let is_met = upper_bound(&values, share) == Bound::At(0.0);
        is_met || lower_bound(&values, share) == Bound::At(1.0)
    };
    let total = least(count as u64, MOST_VALUES as u64, would_decide)?;
    Some(total - count as u64)
}

/// How many runs give so many more values.
fn runs_for(values: u64, count: usize, runs: usize) -> u64 {
    (values as f64 * runs as f64 / count.max(1) as f64).ceil() as u64
}

/// The least number from `from` to `most` that holds, as far as what holds goes on to hold.
fn least(from: u64, most: u64, holds: impl Fn(u64) -> bool) -> Option<u64> {
    let mut above = from.max(1);
    while !holds(above) {
        if above >= most {
            return None;
        }
        above = (above * 2).min(most);
    }
    let mut below = from;
    while below < above {
        let middle = u64::midpoint(below, above);
        if holds(middle) {
            above = middle;
        } else {
            below = middle + 1;
        }
    }
    Some(above)
}
