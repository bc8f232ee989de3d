//! The summary of a drill's runs: the one object that `--format json` prints.

use std::collections::BTreeMap;

use redrill_sim::TraceHash;
use redrill_sim::checkers::{Code, Findings, Verdict};
use redrill_sim::scenario::{Expectation, Measure, Scenario, Unit};
use redrill_sim::trace::{Header, Trace};
use serde::{Deserialize, Serialize};

use crate::expectations::{
    EvaluatedExpectation, EvaluatedStep, ExpectationOutcome, evaluate, evaluate_steps, values,
};
use crate::measures::Measures;
pub use crate::statistics::Quantiles;

/// Version of the summary's format.
pub const SCHEMA_VERSION: u32 = 1;

/// The summary of a drill's runs.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
pub struct Summary {
    /// [`SCHEMA_VERSION`].
    pub schema_version: u32,
    /// The drill's name.
    pub drill: String,
    /// The question it answers.
    pub question: Option<String>,
    /// The world it ran in.
    pub world: String,
    /// The engine.
    pub engine: String,
    /// The configuration as written in the drill, overrides included.
    pub config: BTreeMap<String, String>,
    /// The worst of all runs and expectations.
    pub outcome: DrillOutcome,
    /// The worst verdict of all runs.
    pub verdict: Verdict,
    /// The seeds, in order.
    pub seeds: Vec<u64>,
    /// The runs, in the order of the seeds.
    pub runs: Vec<RunSummary>,
    /// Quantiles of each measure over all runs, by its name in a drill; measures without values
    /// are left out.
    pub quantiles: BTreeMap<String, Quantiles>,
    /// The expectations of `[expect]`.
    pub expectations: Vec<EvaluatedExpectation>,
    /// What went wrong, worst first, each with the command that repeats it.
    pub failures: Vec<Failure>,
}

/// One run.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
pub struct RunSummary {
    /// Its seed.
    pub seed: u64,
    /// Its verdict.
    pub verdict: Verdict,
    /// What it measured; `None` if it came to no end.
    #[serde(flatten)]
    pub measures: Option<Measures>,
    /// Number of records in its event log.
    pub events: usize,
    /// The event log's hash; `None` if the run came to no end.
    pub trace_hash: Option<TraceHash>,
    /// Broken rules, by time.
    pub violations: Vec<BrokenRule>,
    /// What could not be judged.
    pub unknowns: Vec<String>,
    /// The `expect` of each step that has one.
    pub steps_expected: Vec<EvaluatedStep>,
    /// Why the run came to no end, if it did not.
    pub error: Option<String>,
}

/// A broken rule.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
pub struct BrokenRule {
    /// Which.
    pub code: Code,
    /// When, ms since the run began.
    pub at_ms: f64,
    /// By which nodes.
    pub nodes: Vec<String>,
    /// What happened.
    pub words: String,
    /// Lines of the event log that prove it, from 1 (the header is line 1).
    pub lines: Vec<usize>,
}

/// Something that went wrong.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
pub struct Failure {
    /// How bad it is.
    pub outcome: DrillOutcome,
    /// The seed; `None` if it is about all runs together.
    pub seed: Option<u64>,
    /// What went wrong.
    pub words: String,
    /// The command that repeats it.
    pub repeat: String,
}

/// How a drill ended, from best to worst; the worst wins. A broken invariant weighs more than a
/// missed expectation, for it means that no measure can be trusted; a missed expectation weighs
/// more than an open question, for it was measured.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum DrillOutcome {
    /// All is well.
    Pass,
    /// Something could not be judged.
    Inconclusive,
    /// An expectation was missed.
    ExpectationMissed,
    /// An invariant broke.
    InvariantBroken,
}

/// What was asked on the command line, so that a failure can be repeated exactly.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Invocation {
    /// The drill file as it was given.
    pub drill: String,
    /// The world, if it was given.
    pub world: Option<String>,
    /// The overrides (`config.cluster-node-timeout=2000`), in order.
    pub set: Vec<String>,
    /// Other arguments that change what happens (`--bug NAME`), word by word.
    pub further: Vec<String>,
}

impl DrillOutcome {
    /// The exit code of the command line.
    #[must_use]
    pub const fn exit_code(self) -> u8 {
        match self {
            Self::Pass => 0,
            Self::ExpectationMissed => 100,
            Self::InvariantBroken => 102,
            Self::Inconclusive => 103,
        }
    }
}

impl From<Verdict> for DrillOutcome {
    fn from(verdict: Verdict) -> Self {
        match verdict {
            Verdict::Valid => Self::Pass,
            Verdict::Unknown => Self::Inconclusive,
            Verdict::Invalid => Self::InvariantBroken,
        }
    }
}

impl From<ExpectationOutcome> for DrillOutcome {
    fn from(outcome: ExpectationOutcome) -> Self {
        match outcome {
            ExpectationOutcome::Met => Self::Pass,
            ExpectationOutcome::NotEnoughData => Self::Inconclusive,
            ExpectationOutcome::Missed => Self::ExpectationMissed,
        }
    }
}

impl Invocation {
    /// The command that repeats the run of one seed.
    #[must_use]
    pub fn repeat(&self, seed: u64) -> String {
        self.command(&["--seed".into(), seed.to_string()])
    }

    /// The command that repeats the runs of several seeds.
    #[must_use]
    pub fn repeat_all(&self, seeds: &[u64]) -> String {
        match seeds {
            [] => self.command(&[]),
            [seed] => self.repeat(*seed),
            [first, .., last] => self.command(&[
                "--seeds".into(),
                format!("{first}..{}", last.saturating_add(1)),
            ]),
        }
    }

    fn command(&self, seeds: &[String]) -> String {
        let mut words = vec!["redrill".to_owned(), "run".into(), self.drill.clone()];
        words.extend_from_slice(seeds);
        if let Some(world) = &self.world {
            words.extend(["--world".into(), world.clone()]);
        }
        for set in &self.set {
            words.extend(["--set".into(), set.clone()]);
        }
        words.extend_from_slice(&self.further);
        command_line(&words)
    }
}

/// Words as a POSIX shell reads them back.
#[must_use]
pub fn command_line(words: &[String]) -> String {
    let quoted: Vec<String> = words.iter().map(|word| quoted(word)).collect();
    quoted.join(" ")
}

/// A word as a POSIX shell reads it back.
fn quoted(word: &str) -> String {
    let plain = |c: char| c.is_ascii_alphanumeric() || "-_./=:,+@%".contains(c);
    if !word.is_empty() && word.chars().all(plain) {
        return word.to_owned();
    }
    format!("'{}'", word.replace('\'', r"'\''"))
}

impl RunSummary {
    /// The summary of a run that came to its end.
    #[must_use]
    pub fn new(
        scenario: &Scenario,
        trace: &Trace,
        trace_hash: TraceHash,
        findings: &Findings,
        measures: Measures,
    ) -> Self {
        let steps_expected = evaluate_steps(&scenario.steps, &measures);
        Self {
            seed: trace.header.seed,
            verdict: findings.verdict(),
            measures: Some(measures),
            events: trace.records.len(),
            trace_hash: Some(trace_hash),
            violations: broken_rules(&trace.header, findings),
            unknowns: findings
                .unknowns
                .iter()
                .map(|unknown| unknown.words.clone())
                .collect(),
            steps_expected,
            error: None,
        }
    }

    /// The summary of a run that came to no end.
    #[must_use]
    pub const fn failed(seed: u64, error: String) -> Self {
        Self {
            seed,
            verdict: Verdict::Unknown,
            measures: None,
            events: 0,
            trace_hash: None,
            violations: Vec::new(),
            unknowns: Vec::new(),
            steps_expected: Vec::new(),
            error: Some(error),
        }
    }

    /// The worst of its verdict and its steps' expectations.
    #[must_use]
    pub fn outcome(&self) -> DrillOutcome {
        let steps = self.steps_expected.iter().map(|step| step.outcome.into());
        steps
            .chain([self.verdict.into()])
            .max()
            .unwrap_or(DrillOutcome::Pass)
    }

    fn failures(&self, invocation: &Invocation) -> Vec<Failure> {
        let failure = |outcome: DrillOutcome, words: String| Failure {
            outcome,
            seed: Some(self.seed),
            words,
            repeat: invocation.repeat(self.seed),
        };
        let mut failures: Vec<Failure> = Vec::new();
        for broken in &self.violations {
            let words = format!("{}: {}", broken.code, broken.words);
            failures.push(failure(DrillOutcome::InvariantBroken, words));
        }
        for step in &self.steps_expected {
            let outcome = DrillOutcome::from(step.outcome);
            let words = match (step.outcome, step.failovers) {
                (ExpectationOutcome::Met, _) => continue,
                (_, None) => format!("step {} (line {}) did not happen", step.step + 1, step.line),
                (_, Some(0)) => format!(
                    "step {} (line {}): nobody was promoted",
                    step.step + 1,
                    step.line
                ),
                (_, Some(_)) => format!(
                    "step {} (line {}): a replica was promoted",
                    step.step + 1,
                    step.line
                ),
            };
            failures.push(failure(outcome, words));
        }
        for unknown in self.unknowns.iter().chain(&self.error) {
            failures.push(failure(DrillOutcome::Inconclusive, unknown.clone()));
        }
        failures
    }
}

fn broken_rules(header: &Header, findings: &Findings) -> Vec<BrokenRule> {
    let name = |node: &u16| {
        header
            .nodes
            .get(usize::from(*node))
            .map_or_else(|| "?".to_owned(), |info| info.name.clone())
    };
    findings
        .violations
        .iter()
        .map(|violation| BrokenRule {
            code: violation.code,
            at_ms: violation.at_us as f64 / 1000.0,
            nodes: violation.nodes.iter().map(name).collect(),
            words: violation.words.clone(),
            lines: violation.evidence.iter().map(|place| place + 2).collect(),
        })
        .collect()
}

impl Summary {
    /// Sums up the runs of a drill, which stand in the order of their seeds.
    #[must_use]
    pub fn new(
        scenario: &Scenario,
        world: &str,
        invocation: &Invocation,
        runs: Vec<RunSummary>,
    ) -> Self {
        let seeds: Vec<u64> = runs.iter().map(|run| run.seed).collect();
        let measures: Vec<&Measures> = runs
            .iter()
            .filter_map(|run| run.measures.as_ref())
            .collect();
        let expectations = evaluate(&scenario.expectations, &measures);
        let quantiles = quantiles(&measures);
        let verdict = runs
            .iter()
            .map(|run| run.verdict)
            .max()
            .unwrap_or(Verdict::Unknown);
        let mut failures: Vec<Failure> = runs
            .iter()
            .flat_map(|run| run.failures(invocation))
            .collect();
        for (expectation, evaluated) in scenario.expectations.iter().zip(&expectations) {
            failures.extend(missed(expectation, evaluated, invocation, &runs));
        }
        failures.sort_by_key(|failure| std::cmp::Reverse(failure.outcome));
        let outcome = failures
            .iter()
            .map(|failure| failure.outcome)
            .chain([verdict.into()])
            .max()
            .unwrap_or(DrillOutcome::Pass);
        Self {
            schema_version: SCHEMA_VERSION,
            drill: scenario.name.clone(),
            question: scenario.question.clone(),
            world: world.to_owned(),
            engine: scenario.engine.name().to_owned(),
            config: scenario.config_text.clone(),
            outcome,
            verdict,
            seeds,
            runs,
            quantiles,
            expectations,
            failures,
        }
    }
}

/// An expectation that was not met. If one run misses it alone, that one repeats it.
fn missed(
    expectation: &Expectation,
    evaluated: &EvaluatedExpectation,
    invocation: &Invocation,
    runs: &[RunSummary],
) -> Option<Failure> {
    let words = match (evaluated.outcome, evaluated.measured) {
        (ExpectationOutcome::Met, _) => return None,
        (ExpectationOutcome::Missed, Some(measured)) => {
            format!("{}: measured {}", evaluated.text, rounded(measured))
        }
        (ExpectationOutcome::Missed | ExpectationOutcome::NotEnoughData, _) => {
            format!("{}: there is nothing to measure", evaluated.text)
        }
    };
    let misses = |run: &&RunSummary| {
        run.measures.as_ref().is_some_and(|measures| {
            let alone = evaluate(std::slice::from_ref(expectation), &[measures]);
            alone.iter().any(|alone| alone.outcome == evaluated.outcome)
        })
    };
    let seed = runs.iter().find(misses).map(|run| run.seed);
    let seeds: Vec<u64> = runs.iter().map(|run| run.seed).collect();
    Some(Failure {
        outcome: evaluated.outcome.into(),
        seed,
        words,
        repeat: seed.map_or_else(
            || invocation.repeat_all(&seeds),
            |seed| invocation.repeat(seed),
        ),
    })
}

/// At most three digits after the point, and none that say nothing.
fn rounded(value: f64) -> String {
    let text = format!("{value:.3}");
    text.trim_end_matches('0').trim_end_matches('.').to_owned()
}

fn quantiles(runs: &[&Measures]) -> BTreeMap<String, Quantiles> {
    Measure::ALL
        .into_iter()
        .filter_map(|measure| {
            let mut values = values(measure, runs);
            values.sort_unstable_by(f64::total_cmp);
            Some((measure_key(measure), Quantiles::of(&values)?))
        })
        .collect()
}

/// The key of a measure: its name in a drill, with the unit where it is a time.
#[must_use]
pub fn measure_key(measure: Measure) -> String {
    let name = measure.name().replace('-', "_");
    match measure.unit() {
        Unit::Time => name + "_ms",
        Unit::Number | Unit::Share => name,
    }
}

#[cfg(test)]
mod tests {
    use redrill_node::{Config, Engine};
    use redrill_sim::checkers;
    use redrill_sim::scenario::{
        Cluster, Comparison, Disk, Formation, Keys, Latency, Network, Statistic, Step, StepAction,
        StepExpectation, Trigger, Workload,
    };

    use super::*;
    use crate::sample;

    /// A drill as far as a summary needs it: one step, which must cause a failover.
    fn scenario(expectations: &[(Measure, Statistic, Comparison, f64, &str)]) -> Scenario {
        let latency = Latency::Constant { value_us: 25.0 };
        let expectation = |(line, it): (usize, &(Measure, Statistic, Comparison, f64, &str))| {
            let (measure, statistic, comparison, bound, text) = *it;
            Expectation {
                measure,
                statistic,
                comparison,
                bound,
                text: text.into(),
                line,
            }
        };
        Scenario {
            name: "kill-master".into(),
            question: Some("How long do clients wait?".into()),
            engine: Engine::default(),
            cluster: Cluster {
                zones: vec!["a".into()],
                nodes: Vec::new(),
                formation: Formation::Formed,
                starts_apart_us: None,
            },
            network: Network {
                within_zone: latency,
                between_zones: latency,
                pairs: BTreeMap::new(),
                mss_bytes: 1448,
                mss_between_zones_bytes: 1448,
                bandwidth_bytes_per_s: None,
            },
            disk: Disk { fsync: latency },
            config: Config::default(),
            config_text: BTreeMap::from([("cluster-node-timeout".into(), "2000".into())]),
            workload: Workload {
                clients: Vec::new(),
                keys: Keys::Unique,
                writes: 1.0,
                read_from_replicas: false,
                value_bytes: 24,
            },
            weather: redrill_sim::weather::Weather::default(),
            steps: vec![Step {
                trigger: Trigger::At {
                    at_us: 0,
                    jitter_us: 0,
                },
                action: StepAction::Load { factor: 1.0 },
                lasts_us: None,
                expectation: Some(StepExpectation::Failover),
                line: 12,
            }],
            expectations: (20..).zip(expectations).map(expectation).collect(),
            duration_us: 0,
            converge_within_us: 0,
        }
    }

    /// The sample's run under some seeds; only what `change` does differs.
    fn runs(scenario: &Scenario, seeds: &[u64], change: impl Fn(&mut Trace)) -> Vec<RunSummary> {
        let run = |seed: &u64| {
            let mut trace = sample::kill_master();
            trace.header.seed = *seed;
            change(&mut trace);
            let findings = checkers::check(&trace);
            let measures = Measures::of(&trace, &findings);
            RunSummary::new(scenario, &trace, TraceHash::of(&trace), &findings, measures)
        };
        seeds.iter().map(run).collect()
    }

    fn valid(mut runs: Vec<RunSummary>) -> Vec<RunSummary> {
        for run in &mut runs {
            run.verdict = Verdict::Valid;
            run.violations.clear();
            run.unknowns.clear();
        }
        runs
    }

    fn invocation() -> Invocation {
        Invocation {
            drill: "drills/kill-master.toml".into(),
            world: Some("event".into()),
            set: vec!["config.cluster-node-timeout=2000".into()],
            further: Vec::new(),
        }
    }

    fn summary(scenario: &Scenario, runs: Vec<RunSummary>) -> Summary {
        Summary::new(scenario, "event", &invocation(), runs)
    }

    const FAST: (Measure, Statistic, Comparison, f64, &str) = (
        Measure::FailoverTime,
        Statistic::Max,
        Comparison::Less,
        4000.0,
        "failover-time: max < 4s",
    );
    const TOO_FAST: (Measure, Statistic, Comparison, f64, &str) = (
        Measure::FailoverTime,
        Statistic::Max,
        Comparison::Less,
        3000.0,
        "failover-time: max < 3s",
    );

    #[test]
    fn a_drill_that_holds_passes() {
        let scenario = scenario(&[FAST]);
        let summary = summary(&scenario, valid(runs(&scenario, &[0, 1], |_| ())));
        assert_eq!(
            summary.outcome,
            DrillOutcome::Pass,
            "{:#?}",
            summary.failures
        );
        assert_eq!(summary.outcome.exit_code(), 0);
        assert_eq!(summary.seeds, [0, 1]);
        assert_eq!(summary.quantiles["failover_time_ms"].count, 2);
    }

    #[test]
    fn a_missed_expectation_names_the_seed_that_repeats_it() {
        let scenario = scenario(&[FAST, TOO_FAST]);
        let summary = summary(&scenario, valid(runs(&scenario, &[7, 8], |_| ())));
        assert_eq!(summary.outcome.exit_code(), 100);
        let [failure] = &summary.failures[..] else {
            panic!("{:#?}", summary.failures)
        };
        assert_eq!(failure.words, "failover-time: max < 3s: measured 3520");
        assert_eq!(
            failure.repeat,
            "redrill run drills/kill-master.toml --seed 7 --world event --set config.cluster-node-timeout=2000"
        );
    }

    #[test]
    fn a_sum_over_runs_is_repeated_by_all_of_them() {
        let measure = Measure::Failovers;
        let sum = (
            measure,
            Statistic::Count,
            Comparison::Less,
            2.0,
            "failovers: count < 2",
        );
        let scenario = scenario(&[sum]);
        let summary = summary(&scenario, valid(runs(&scenario, &[3, 4], |_| ())));
        assert_eq!(summary.failures[0].seed, None);
        assert!(
            summary.failures[0].repeat.contains("--seeds 3..5"),
            "{:#?}",
            summary.failures
        );
    }

    #[test]
    fn the_worst_wins() {
        let scenario = scenario(&[TOO_FAST]);
        let mut runs = valid(runs(&scenario, &[0, 1, 2], |_| ()));
        runs[1].verdict = Verdict::Unknown;
        runs[1].unknowns = vec!["step 1 touched nothing".into()];
        assert_eq!(summary(&scenario, runs.clone()).outcome.exit_code(), 100);
        runs[2].verdict = Verdict::Invalid;
        let broken = BrokenRule {
            code: Code::V1,
            at_ms: 1.0,
            nodes: vec!["m2".into()],
            words: "m2 voted 2 times in epoch 4".into(),
            lines: vec![10, 12],
        };
        runs[2].violations = vec![broken];
        let summary = summary(&scenario, runs);
        assert_eq!(summary.outcome.exit_code(), 102);
        let order: Vec<DrillOutcome> = summary.failures.iter().map(|it| it.outcome).collect();
        assert_eq!(
            order,
            [
                DrillOutcome::InvariantBroken,
                DrillOutcome::ExpectationMissed,
                DrillOutcome::Inconclusive
            ]
        );
        assert_eq!(summary.failures[0].words, "V1: m2 voted 2 times in epoch 4");
        assert!(summary.failures[0].repeat.contains("--seed 2"));
    }

    #[test]
    fn a_step_whose_failover_did_not_come_is_a_missed_expectation() {
        let scenario = scenario(&[]);
        let without = |trace: &mut Trace| {
            trace
                .records
                .retain(|record| !format!("{:?}", record.event).contains("ElectionWon"));
        };
        let summary = summary(&scenario, valid(runs(&scenario, &[5], without)));
        assert_eq!(summary.outcome, DrillOutcome::ExpectationMissed);
        assert_eq!(
            summary.failures[0].words,
            "step 1 (line 12): nobody was promoted"
        );
    }

    #[test]
    fn a_run_that_came_to_no_end_is_inconclusive() {
        let scenario = scenario(&[]);
        let failed = RunSummary::failed(3, "the cluster did not form".into());
        let summary = summary(&scenario, vec![failed]);
        assert_eq!(summary.outcome.exit_code(), 103);
        assert_eq!(summary.failures[0].words, "the cluster did not form");
        assert_eq!(
            Summary::new(&scenario, "event", &invocation(), Vec::new())
                .outcome
                .exit_code(),
            103
        );
    }

    #[test]
    fn an_expectation_without_values_is_inconclusive() {
        let measure = Measure::LatencyP99;
        let latency = (
            measure,
            Statistic::Max,
            Comparison::Less,
            5.0,
            "latency-p99: max < 5ms",
        );
        let scenario = scenario(&[latency]);
        let without = |trace: &mut Trace| {
            trace
                .records
                .retain(|record| !matches!(record.event, redrill_sim::trace::Event::Operation(_)));
        };
        let summary = summary(&scenario, valid(runs(&scenario, &[5], without)));
        assert_eq!(summary.outcome.exit_code(), 103);
        assert_eq!(
            summary.failures[0].words,
            "latency-p99: max < 5ms: there is nothing to measure"
        );
    }

    #[test]
    fn words_with_spaces_are_quoted_for_the_shell() {
        let invocation = Invocation {
            drill: "my drills/a'b.toml".into(),
            further: vec!["--bug".into(), "votes-twice".into()],
            ..Invocation::default()
        };
        assert_eq!(
            invocation.repeat(1),
            r"redrill run 'my drills/a'\''b.toml' --seed 1 --bug votes-twice"
        );
    }

    #[test]
    fn the_object_is_the_documented_one() {
        let scenario = scenario(&[FAST]);
        let mut runs = valid(runs(&scenario, &[0], |_| ()));
        runs[0].trace_hash = Some(TraceHash(0xfeed));
        let summary = summary(&scenario, runs);
        insta::assert_snapshot!(serde_json::to_string_pretty(&summary).unwrap());
    }

    #[test]
    fn what_is_written_can_be_read_back() {
        let scenario = scenario(&[FAST]);
        let mut runs = runs(&scenario, &[0], |_| ());
        runs.push(RunSummary::failed(1, "no end".into()));
        let summary = summary(&scenario, runs);
        let text = serde_json::to_string(&summary).unwrap();
        assert_eq!(serde_json::from_str::<Summary>(&text).unwrap(), summary);
    }
}
