//! What the runs of one configuration allow one to say.

use std::collections::BTreeMap;

use redrill_sim::checkers::Verdict;
use redrill_sim::scenario::{Measure, Per, Unit};
use serde::Serialize;

use crate::expectations;
use crate::measures::{Measures, Unanswered};
use crate::statistics::{
    Bound, lower_bound, poisson_rate, quantile, ratio_interval, upper_bound, wilson,
};
use crate::summary::RunSummary;

/// ms in a day.
const DAY_MS: f64 = 86_400_000.0;

/// The least outage that counts among the gaps: the same for every configuration.
const NOTICED_MS: f64 = 1000.0;

/// What a configuration comes to.
#[derive(Clone, PartialEq, Debug, Serialize)]
pub struct Statistics {
    /// Number of runs.
    pub runs: usize,
    /// Those in which the cluster did not form.
    pub without_end: usize,
    /// Those that could not be judged.
    pub unknown: usize,
    /// Those in which an invariant broke.
    pub invalid: usize,
    /// How long the clusters were under load, days.
    pub observed_days: f64,
    /// Promotions that a fault or an operator caused.
    pub failovers: u64,
    /// Outages that lasted for the node-timeout and got no failover before they or the run ended.
    pub unanswered: u64,
    /// Acknowledged writes that were lost, by cause.
    pub lost_by_cause: BTreeMap<String, u64>,
    /// Its measures; those without values are left out.
    pub measures: BTreeMap<Measure, MeasureStatistics>,
}

/// What a measure comes to.
#[derive(Clone, PartialEq, Debug, Serialize)]
pub struct MeasureStatistics {
    /// Number of values: one a failover, a mistake or a run ([`Measure::per`]).
    pub values: usize,
    /// Those of them that are only known to be longer than what was seen.
    pub censored: usize,
    /// The mean; `None` if some are censored.
    pub mean: Option<f64>,
    /// The median.
    pub p50: QuantileEstimate,
    /// The 95th percentile.
    pub p95: QuantileEstimate,
    /// The 99th percentile.
    pub p99: QuantileEstimate,
    /// The greatest; `None` if some are censored.
    pub max: Option<f64>,
    /// How much of it there is in a day, if it adds up.
    pub per_day: Option<PerDay>,
    /// The share of runs in which there was any of it, if it adds up.
    pub runs_with_any: Option<Share>,
}

/// A quantile and where it may lie.
#[derive(Clone, Copy, PartialEq, Debug, Serialize)]
pub struct QuantileEstimate {
    /// Of the values; `None` if it lies among those that are censored.
    pub estimate: Option<f64>,
    /// It is not lower, with 95 % confidence.
    pub low: Bound,
    /// It is not higher, with 95 % confidence.
    pub high: Bound,
}

/// A rate.
#[derive(Clone, Copy, PartialEq, Debug, Serialize)]
pub struct PerDay {
    /// How much there was.
    pub amount: f64,
    /// Amount by days.
    pub estimate: f64,
    /// Lower end of the 95 % interval.
    pub low: f64,
    /// Upper end of it; `None` if nothing was seen and nobody knows how much it would be.
    pub high: Option<f64>,
}

/// A share.
#[derive(Clone, Copy, PartialEq, Debug, Serialize)]
pub struct Share {
    /// How often.
    pub hits: usize,
    /// Out of.
    pub of: usize,
    /// Lower end of Wilson's 95 % interval.
    pub low: f64,
    /// Upper end of it.
    pub high: f64,
}

/// The values of a measure over runs, in which what did not end is infinite: failovers that were
/// deserved and had not happened when everything was healed, gaps and mistakes that lasted until the
/// load ended. Gaps are those of failovers and of every outage of a slot owner of a second or more,
/// so that configurations are held to the same outages.
#[must_use]
pub fn values(measure: Measure, runs: &[&Measures]) -> Vec<f64> {
    match measure {
        Measure::FailoverTime => {
            let unanswered = runs.iter().flat_map(|run| &run.unanswered);
            let waited = unanswered.filter(|it| it.is_open && it.deserved_failover);
            let unanswered = waited.count();
            let mut times = expectations::values(measure, runs);
            times.extend(std::iter::repeat_n(f64::INFINITY, unanswered));
            times
        }
        Measure::WriteGap => runs.iter().flat_map(|run| write_gaps(run)).collect(),
        Measure::ReadGap => runs.iter().flat_map(|run| read_gaps(run)).collect(),
        Measure::MistakeTime => {
            let open: usize = runs.iter().map(|run| run.mistakes.open_ms.len()).sum();
            let mut times = expectations::values(measure, runs);
            times.extend(std::iter::repeat_n(f64::INFINITY, open));
            times
        }
        Measure::DetectionTime
        | Measure::AgreementTime
        | Measure::ElectionDelay
        | Measure::VoteTime
        | Measure::ConvergenceTime
        | Measure::CatchUpTime
        | Measure::WriteUnavailability
        | Measure::ReadUnavailability
        | Measure::CoverageGap
        | Measure::LostAckedWrites
        | Measure::FalseFailovers
        | Measure::Failovers
        | Measure::Mistakes
        | Measure::FailedOperations
        | Measure::LatencyP99
        | Measure::DualMasterTime
        | Measure::BusBandwidth => expectations::values(measure, runs),
    }
}

fn write_gaps(run: &Measures) -> Vec<f64> {
    let failovers = (run.failovers.iter()).map(|it| (it.write_gap_ms, it.write_gap_is_open));
    let others = noticed(run).map(|it| (it.write_gap_ms, it.write_gap_is_open));
    failovers.chain(others).filter_map(known_gap).collect()
}

fn read_gaps(run: &Measures) -> Vec<f64> {
    let failovers = (run.failovers.iter()).map(|it| (it.read_gap_ms, it.read_gap_is_open));
    let others = noticed(run).map(|it| (it.read_gap_ms, it.read_gap_is_open));
    failovers.chain(others).filter_map(known_gap).collect()
}

/// The outages that are told whatever the node-timeout.
fn noticed(run: &Measures) -> impl Iterator<Item = &Unanswered> {
    run.unanswered.iter().filter(|it| it.out_ms >= NOTICED_MS)
}

fn known_gap((ms, is_open): (Option<f64>, bool)) -> Option<f64> {
    Some(if is_open { f64::INFINITY } else { ms? })
}

impl Statistics {
    /// Of the runs of a configuration.
    #[must_use]
    pub fn of(runs: &[RunSummary]) -> Self {
        let measures: Vec<&Measures> = runs
            .iter()
            .filter_map(|run| run.measures.as_ref())
            .collect();
        let count = |verdict: Verdict| runs.iter().filter(|run| run.verdict == verdict).count();
        let mut lost_by_cause = BTreeMap::new();
        for (cause, lost) in measures.iter().flat_map(|run| &run.lost_by_cause) {
            *lost_by_cause.entry(cause.clone()).or_insert(0) += lost;
        }
        let failovers = measures.iter().flat_map(|run| &run.failovers);
        Self {
            runs: runs.len(),
            without_end: runs.len() - measures.len(),
            unknown: count(Verdict::Unknown),
            invalid: count(Verdict::Invalid),
            observed_days: measures.iter().map(|run| days(run)).sum(),
            failovers: failovers.filter(|it| !it.is_false).count() as u64,
            unanswered: (measures.iter().flat_map(|run| &run.unanswered))
                .filter(|it| it.deserved_failover)
                .count() as u64,
            lost_by_cause,
            measures: Measure::ALL
                .into_iter()
                .filter_map(|measure| Some((measure, MeasureStatistics::of(measure, &measures)?)))
                .collect(),
        }
    }

    /// A measure's; `None` if it has no values.
    #[must_use]
    pub fn measure(&self, measure: Measure) -> Option<&MeasureStatistics> {
        self.measures.get(&measure)
    }
}

impl MeasureStatistics {
    fn of(measure: Measure, runs: &[&Measures]) -> Option<Self> {
        let mut sorted = values(measure, runs);
        if sorted.is_empty() {
            return None;
        }
        sorted.sort_unstable_by(f64::total_cmp);
        let censored = sorted.iter().filter(|value| value.is_infinite()).count();
        let finite = |value: f64| Some(value).filter(|value| value.is_finite());
        let quantile = |share| QuantileEstimate::of(&sorted, share);
        let adds_up = measure.adds_up() && measure.per() == Per::Run;
        Some(Self {
            values: sorted.len(),
            censored,
            mean: finite(sorted.iter().sum::<f64>() / sorted.len() as f64),
            p50: quantile(0.5),
            p95: quantile(0.95),
            p99: quantile(0.99),
            max: sorted.last().copied().and_then(finite),
            per_day: adds_up.then(|| PerDay::of(measure, runs)).flatten(),
            runs_with_any: adds_up.then(|| {
                let hits = sorted.iter().filter(|value| **value > 0.0).count();
                Share::of(hits, sorted.len())
            }),
        })
    }
}

impl QuantileEstimate {
    /// Of ascending values.
    #[must_use]
    pub fn of(sorted: &[f64], share: f64) -> Self {
        Self {
            estimate: quantile(sorted, share).filter(|value| value.is_finite()),
            low: lower_bound(sorted, share),
            high: upper_bound(sorted, share),
        }
    }
}

impl PerDay {
    /// Of a measure that adds up. Failovers come one by one: their interval is Poisson's. What comes
    /// in clusters (a failover that loses one write often loses more) is resampled run by run.
    /// `None` without exposure.
    #[must_use]
    pub fn of(measure: Measure, runs: &[&Measures]) -> Option<Self> {
        let by_run: Vec<(f64, f64)> = runs
            .iter()
            .map(|run| (values(measure, &[run]).iter().sum(), days(run)))
            .collect();
        let amount: f64 = by_run.iter().map(|run| run.0).sum();
        let exposure: f64 = by_run.iter().map(|run| run.1).sum();
        if comes_one_by_one(measure) || amount == 0.0 {
            let rate = poisson_rate(amount as u64, exposure)?;
            let is_known = measure.unit() == Unit::Number;
            return Some(Self {
                amount,
                estimate: rate.estimate,
                low: rate.low,
                high: is_known.then_some(rate.high),
            });
        }
        let interval = ratio_interval(&by_run)?;
        Some(Self {
            amount,
            estimate: amount / exposure,
            low: interval.low,
            high: Some(interval.high),
        })
    }
}

/// Whether a count of it is one of independent events.
pub(super) fn comes_one_by_one(measure: Measure) -> bool {
    matches!(measure, Measure::Failovers | Measure::FalseFailovers)
}

impl Share {
    fn of(hits: usize, of: usize) -> Self {
        let interval = wilson(hits, of);
        Self {
            hits,
            of,
            low: interval.low,
            high: interval.high,
        }
    }
}

fn days(run: &Measures) -> f64 {
    run.observed_ms / DAY_MS
}
