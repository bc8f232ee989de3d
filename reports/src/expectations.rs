//! Expectations held against what runs measured.
//!
//! A measure has one value a failover, a mistake or a run ([`Measure::per`]); the values of all runs
//! are pooled. Failovers that nothing caused have no times but the gaps: they are false failovers.
//! Quantiles interpolate linearly between neighbours (type 7 of Hyndman and Fan), as in
//! [`quantile`]. A statistic of no values cannot be judged, except `count`: the number of values of
//! a measure that has not one value a run, else the sum over the runs.

use redrill_sim::scenario::{
    Comparison, Expectation, Measure, Per, Statistic, Step, StepExpectation, Unit,
};
use serde::{Deserialize, Serialize};

use crate::measures::{Failover, Measures};
use crate::statistics::quantile;

/// How an expectation ended.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum ExpectationOutcome {
    /// It holds.
    Met,
    /// There is nothing to hold it against.
    NotEnoughData,
    /// It does not hold.
    Missed,
}

/// An expectation of `[expect]` and what was measured.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
pub struct EvaluatedExpectation {
    /// As it was written.
    pub text: String,
    /// The line of the drill file.
    pub line: usize,
    /// What is measured.
    pub measure: Measure,
    /// Which statistic of it.
    pub statistic: Statistic,
    /// With what it is compared: ms for times.
    pub bound: f64,
    /// What was measured: ms for times; `None` without values.
    pub measured: Option<f64>,
    /// Number of values it rests on.
    pub samples: usize,
    /// Whether it holds.
    pub outcome: ExpectationOutcome,
}

impl EvaluatedExpectation {
    /// What the measured value is: `count` makes a number of any measure.
    #[must_use]
    pub fn unit(&self) -> Unit {
        match self.statistic {
            Statistic::Count => Unit::Number,
            Statistic::Min
            | Statistic::Mean
            | Statistic::Median
            | Statistic::Percentile(_)
            | Statistic::Max => self.measure.unit(),
        }
    }
}

/// A step's `expect` in one run.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct EvaluatedStep {
    /// Index of the step.
    pub step: u16,
    /// The line of the drill file.
    pub line: usize,
    /// What was expected.
    pub expected: StepExpectation,
    /// Number of promotions the step caused; `None` if it did not happen.
    pub failovers: Option<u64>,
    /// Whether it holds.
    pub outcome: ExpectationOutcome,
}

/// The values of a measure over runs.
#[must_use]
pub fn values(measure: Measure, runs: &[&Measures]) -> Vec<f64> {
    let failovers = |value: fn(&Failover) -> Option<f64>| -> Vec<f64> {
        let failovers = runs.iter().flat_map(|run| &run.failovers);
        failovers.filter_map(value).collect()
    };
    // What nothing caused has no beginning.
    let caused = |value: fn(&Failover) -> Option<f64>| -> Vec<f64> {
        let failovers = runs.iter().flat_map(|run| &run.failovers);
        let caused = failovers.filter(|failover| failover.fault_at_ms.is_some());
        caused.filter_map(value).collect()
    };
    let each = |value: fn(&Measures) -> f64| runs.iter().map(|run| value(run)).collect();
    let some =
        |value: fn(&Measures) -> Option<f64>| runs.iter().filter_map(|run| value(run)).collect();
    match measure {
        Measure::FailoverTime => caused(|it| Some(it.won_ms)),
        Measure::DetectionTime => caused(|it| it.first_pfail_ms),
        Measure::AgreementTime => caused(Failover::agreement_ms),
        Measure::ElectionDelay => caused(Failover::election_delay_ms),
        Measure::VoteTime => caused(Failover::vote_ms),
        Measure::ConvergenceTime => failovers(Failover::convergence_ms),
        Measure::CatchUpTime => failovers(Failover::catch_up_ms),
        Measure::WriteGap => failovers(|it| it.write_gap_ms),
        Measure::ReadGap => failovers(|it| it.read_gap_ms),
        Measure::WriteUnavailability => each(|run| run.write_unavailable_ms),
        Measure::ReadUnavailability => each(|run| run.read_unavailable_ms),
        Measure::CoverageGap => each(|run| run.coverage_gap_ms),
        Measure::LostAckedWrites => each(|run| run.lost_acked_writes as f64),
        Measure::FalseFailovers => each(|run| run.false_failovers as f64),
        Measure::Failovers => each(|run| run.failovers.len() as f64),
        Measure::Mistakes => each(|run| run.mistakes.count() as f64),
        Measure::MistakeTime => runs
            .iter()
            .flat_map(|run| run.mistakes.lengths_ms.iter().copied())
            .collect(),
        Measure::FailedOperations => some(|run| run.operations.failed_share),
        Measure::LatencyP99 => some(|run| run.operations.latency.map(|latency| latency.p99_ms)),
        Measure::DualMasterTime => each(|run| run.dual_master_ms),
        Measure::BusBandwidth => some(|run| run.bus_bytes_per_node_s),
    }
}

/// Holds the expectations of a drill against its runs.
#[must_use]
pub fn evaluate(expectations: &[Expectation], runs: &[&Measures]) -> Vec<EvaluatedExpectation> {
    expectations
        .iter()
        .map(|expectation| evaluate_one(expectation, runs))
        .collect()
}

fn evaluate_one(expectation: &Expectation, runs: &[&Measures]) -> EvaluatedExpectation {
    let mut values = values(expectation.measure, runs);
    values.sort_unstable_by(f64::total_cmp);
    let nothing_ran = runs.is_empty();
    let measured =
        statistic(expectation.measure, expectation.statistic, &values).filter(|_| !nothing_ran);
    let outcome = match measured {
        None => ExpectationOutcome::NotEnoughData,
        Some(measured) if holds(measured, expectation.comparison, expectation.bound) => {
            ExpectationOutcome::Met
        }
        Some(_) => ExpectationOutcome::Missed,
    };
    EvaluatedExpectation {
        text: expectation.text.clone(),
        line: expectation.line,
        measure: expectation.measure,
        statistic: expectation.statistic,
        bound: expectation.bound,
        measured,
        samples: values.len(),
        outcome,
    }
}

/// A statistic of ascending values of a measure. `None` if it has none.
fn statistic(measure: Measure, statistic: Statistic, sorted: &[f64]) -> Option<f64> {
    match statistic {
        Statistic::Min => sorted.first().copied(),
        Statistic::Max => sorted.last().copied(),
        Statistic::Mean => {
            (!sorted.is_empty()).then(|| sorted.iter().sum::<f64>() / sorted.len() as f64)
        }
        Statistic::Median => quantile(sorted, 0.5),
        Statistic::Percentile(percent) => quantile(sorted, percent / 100.0),
        Statistic::Count if measure.per() != Per::Run => Some(sorted.len() as f64),
        Statistic::Count => Some(sorted.iter().sum()),
    }
}

fn holds(measured: f64, comparison: Comparison, bound: f64) -> bool {
    match comparison {
        Comparison::Less => measured < bound,
        Comparison::LessOrEqual => measured <= bound,
        // Both are counts or were written by hand: what is equal is equal.
        Comparison::Equal => measured.total_cmp(&bound).is_eq(),
        Comparison::GreaterOrEqual => measured >= bound,
        Comparison::Greater => measured > bound,
    }
}

/// Holds the `expect` of each step against one run.
#[must_use]
pub fn evaluate_steps(steps: &[Step], run: &Measures) -> Vec<EvaluatedStep> {
    let expecting = (0..).zip(steps).filter_map(|(number, step)| {
        step.expectation
            .map(|expected| (number, step.line, expected))
    });
    expecting
        .map(|(step, line, expected)| {
            let failovers = run
                .steps
                .iter()
                .find(|measure| measure.step == step)
                .map(|it| it.failovers);
            let outcome = match (failovers, expected) {
                (None, _) => ExpectationOutcome::NotEnoughData,
                (Some(0), StepExpectation::NoFailover) => ExpectationOutcome::Met,
                (Some(0), StepExpectation::Failover) => ExpectationOutcome::Missed,
                (Some(_), StepExpectation::Failover) => ExpectationOutcome::Met,
                (Some(_), StepExpectation::NoFailover) => ExpectationOutcome::Missed,
            };
            EvaluatedStep {
                step,
                line,
                expected,
                failovers,
                outcome,
            }
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use redrill_sim::scenario::{StepAction, Trigger};

    use super::*;
    use crate::measures::{FailoverHow, StepMeasure};

    fn failover(won_ms: f64, fault_at_ms: Option<f64>) -> Failover {
        Failover {
            node: "m1".into(),
            promoted: "r1".into(),
            epoch: 4,
            how: FailoverHow::Automatic,
            step: Some(0),
            weather: None,
            is_false: fault_at_ms.is_none(),
            fault_at_ms,
            first_pfail_ms: Some(won_ms / 2.0),
            fail_ms: None,
            election_start_ms: None,
            first_vote_ms: None,
            won_ms,
            ..Failover::default()
        }
    }

    fn run(won_ms: &[f64]) -> Measures {
        Measures {
            failovers: won_ms
                .iter()
                .map(|won_ms| failover(*won_ms, Some(5000.0)))
                .collect(),
            coverage_gap_ms: won_ms.iter().copied().fold(0.0, f64::max),
            lost_acked_writes: 2,
            steps: vec![StepMeasure {
                step: 0,
                began_ms: 5000.0,
                failovers: won_ms.len() as u64,
            }],
            ..Measures::default()
        }
    }

    fn expect(
        measure: Measure,
        statistic: Statistic,
        comparison: Comparison,
        bound: f64,
    ) -> Expectation {
        Expectation {
            measure,
            statistic,
            comparison,
            bound,
            text: "it".into(),
            line: 3,
        }
    }

    fn outcome(expectation: Expectation, runs: &[Measures]) -> (Option<f64>, ExpectationOutcome) {
        let runs: Vec<&Measures> = runs.iter().collect();
        let evaluated = &evaluate(&[expectation], &runs)[0];
        (evaluated.measured, evaluated.outcome)
    }

    #[test]
    fn failovers_of_all_runs_are_pooled() {
        let runs = [run(&[3000.0, 4000.0]), run(&[]), run(&[5000.0])];
        let median = expect(
            Measure::FailoverTime,
            Statistic::Median,
            Comparison::Less,
            4000.0,
        );
        assert_eq!(
            outcome(median, &runs),
            (Some(4000.0), ExpectationOutcome::Missed)
        );
        let max = expect(
            Measure::FailoverTime,
            Statistic::Max,
            Comparison::LessOrEqual,
            5000.0,
        );
        assert_eq!(outcome(max, &runs), (Some(5000.0), ExpectationOutcome::Met));
        let mean = expect(
            Measure::DetectionTime,
            Statistic::Mean,
            Comparison::Greater,
            1999.0,
        );
        assert_eq!(
            outcome(mean, &runs),
            (Some(2000.0), ExpectationOutcome::Met)
        );
    }

    #[test]
    fn quantiles_interpolate() {
        let runs = [run(&[1000.0, 2000.0, 3000.0, 4000.0])];
        let p95 = Statistic::Percentile(95.0);
        let p95 = expect(Measure::FailoverTime, p95, Comparison::Less, 4000.0);
        let (measured, outcome) = outcome(p95, &runs);
        assert!((measured.unwrap() - 3850.0).abs() < 1e-9);
        assert_eq!(outcome, ExpectationOutcome::Met);
    }

    #[test]
    fn measures_of_runs_have_one_value_each() {
        let runs = [run(&[3000.0]), run(&[])];
        let gap = expect(Measure::CoverageGap, Statistic::Min, Comparison::Equal, 0.0);
        assert_eq!(outcome(gap, &runs), (Some(0.0), ExpectationOutcome::Met));
        let lost = expect(
            Measure::LostAckedWrites,
            Statistic::Count,
            Comparison::Equal,
            4.0,
        );
        assert_eq!(outcome(lost, &runs), (Some(4.0), ExpectationOutcome::Met));
        let failovers = expect(Measure::Failovers, Statistic::Max, Comparison::Less, 1.0);
        assert_eq!(
            outcome(failovers, &runs),
            (Some(1.0), ExpectationOutcome::Missed)
        );
    }

    #[test]
    fn a_statistic_of_nothing_cannot_be_judged() {
        let max = expect(
            Measure::FailoverTime,
            Statistic::Max,
            Comparison::Less,
            5000.0,
        );
        assert_eq!(
            outcome(max, &[run(&[])]),
            (None, ExpectationOutcome::NotEnoughData)
        );
        let count = expect(
            Measure::FailoverTime,
            Statistic::Count,
            Comparison::Equal,
            0.0,
        );
        assert_eq!(
            outcome(count.clone(), &[run(&[])]),
            (Some(0.0), ExpectationOutcome::Met)
        );
        assert_eq!(
            outcome(count, &[]),
            (None, ExpectationOutcome::NotEnoughData)
        );
        let share = expect(
            Measure::FailedOperations,
            Statistic::Max,
            Comparison::Less,
            0.1,
        );
        assert_eq!(
            outcome(share, &[run(&[])]),
            (None, ExpectationOutcome::NotEnoughData)
        );
    }

    #[test]
    fn failovers_that_nothing_caused_have_no_failover_time() {
        let mut odd = run(&[]);
        odd.failovers.push(failover(900.0, None));
        let count = expect(
            Measure::FailoverTime,
            Statistic::Count,
            Comparison::Equal,
            0.0,
        );
        assert_eq!(outcome(count, &[odd]).1, ExpectationOutcome::Met);
    }

    fn steps(expectation: StepExpectation) -> Vec<Step> {
        vec![Step {
            trigger: Trigger::At {
                at_us: 0,
                jitter_us: 0,
            },
            action: StepAction::Load { factor: 1.0 },
            lasts_us: None,
            expectation: Some(expectation),
            line: 9,
        }]
    }

    #[test]
    fn a_step_is_held_against_the_promotions_it_caused() {
        let one = |expected, run: &Measures| evaluate_steps(&steps(expected), run)[0].outcome;
        let (none, some) = (run(&[]), run(&[3000.0]));
        assert_eq!(
            one(StepExpectation::Failover, &some),
            ExpectationOutcome::Met
        );
        assert_eq!(
            one(StepExpectation::Failover, &none),
            ExpectationOutcome::Missed
        );
        assert_eq!(
            one(StepExpectation::NoFailover, &some),
            ExpectationOutcome::Missed
        );
        assert_eq!(
            one(StepExpectation::NoFailover, &none),
            ExpectationOutcome::Met
        );
        let mut missed = run(&[]);
        missed.steps.clear();
        let unjudged = one(StepExpectation::NoFailover, &missed);
        assert_eq!(unjudged, ExpectationOutcome::NotEnoughData);
    }
}
