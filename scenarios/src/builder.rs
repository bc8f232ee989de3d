//! Drills from Rust: what a `cargo test` user writes.

use std::fmt;
use std::ops::Range;
use std::path::Path;

use redrill_reports::expectations::{EvaluatedExpectation, evaluate};
use redrill_reports::measures::Measures;
use redrill_reports::summary::{DrillOutcome, Failure, Invocation, RunSummary, Summary};
use redrill_sim::checkers::{Findings, check};
use redrill_sim::scenario::Scenario;
use redrill_sim::trace::Trace;
use redrill_sim::{Run, RunError, WorldKind, run_seeds};

use crate::drill::{self, BadDrill, Loaded, Mistake};

/// A drill that is ready to run.
#[derive(Clone, Debug)]
pub struct Drill {
    source: Source,
    overrides: Vec<String>,
    loaded: Loaded,
    seeds: Range<u64>,
    world: WorldKind,
    world_is_given: bool,
    jobs: usize,
}

/// What a drill was read from, so that it can be read again.
#[derive(Clone, Debug)]
struct Source {
    shown: String,
    default_name: String,
    text: String,
}

/// What came of a drill.
#[derive(Clone, PartialEq, Debug)]
pub struct Outcome {
    /// Everything that was measured and judged.
    pub summary: Summary,
}

/// A run that has just ended, on the thread that ran it.
#[derive(Clone, Copy, Debug)]
pub struct Ended<'a> {
    /// What it comes to.
    pub summary: &'a RunSummary,
    /// Its event log; what there is of it if the cluster did not form.
    pub trace: Option<&'a Trace>,
    /// What the checkers found; `None` if it came to no end.
    pub findings: Option<&'a Findings>,
    /// The drill's expectations, held against this run alone.
    pub expectations: &'a [EvaluatedExpectation],
    /// The command that repeats it.
    pub command: &'a str,
}

/// Why a drill did not run.
#[derive(Clone, PartialEq, Debug, thiserror::Error)]
pub enum NothingRan {
    /// There is no seed in the range.
    #[error("there is no seed in {}..{}: the second number is not part of the range", .0.start, .0.end)]
    NoSeeds(Range<u64>),
    /// The scenario cannot be run, or no thread could be started.
    #[error(transparent)]
    Impossible(#[from] RunError),
}

impl Drill {
    /// Reads a drill file.
    ///
    /// # Errors
    /// [`BadDrill`] with every mistake in it, or that the file cannot be read.
    pub fn from_file(path: impl AsRef<Path>) -> Result<Self, BadDrill> {
        Self::from_file_with(path, &[])
    }

    /// Reads a drill file and changes values of it, each as `path=value`.
    ///
    /// # Errors
    /// As [`Drill::from_file`].
    pub fn from_file_with(path: impl AsRef<Path>, overrides: &[String]) -> Result<Self, BadDrill> {
        let path = path.as_ref();
        let stem = path.file_stem().unwrap_or_default();
        Self::read(
            Source {
                shown: path.display().to_string(),
                default_name: stem.to_string_lossy().into_owned(),
                text: drill::read_text(path)?,
            },
            overrides,
        )
    }

    /// Reads the text of a drill.
    ///
    /// # Errors
    /// [`BadDrill`] with every mistake in it.
    pub fn parse(text: &str) -> Result<Self, BadDrill> {
        Self::read(
            Source {
                shown: "drill.toml".to_owned(),
                default_name: "drill".to_owned(),
                text: text.to_owned(),
            },
            &[],
        )
    }

    fn read(source: Source, overrides: &[String]) -> Result<Self, BadDrill> {
        let loaded = drill::parse(&source.shown, &source.default_name, &source.text, overrides)?;
        Ok(Self {
            source,
            overrides: overrides.to_vec(),
            loaded,
            seeds: 0..1,
            world: WorldKind::Event,
            world_is_given: false,
            jobs: std::thread::available_parallelism().map_or(1, usize::from),
        })
    }

    /// Changes a value of the drill, as `--set path=value` does on the command line:
    /// `config.cluster-node-timeout=2000`.
    ///
    /// # Errors
    /// [`BadDrill`] if the drill is not fine with that value.
    pub fn set(mut self, change: &str) -> Result<Self, BadDrill> {
        self.overrides.push(change.to_owned());
        let source = &self.source;
        self.loaded = drill::parse(
            &source.shown,
            &source.default_name,
            &source.text,
            &self.overrides,
        )?;
        Ok(self)
    }

    /// Runs these seeds. One run, of seed 0, if this is not called.
    #[must_use]
    pub fn seeds(mut self, seeds: Range<u64>) -> Self {
        self.seeds = seeds;
        self
    }

    /// Runs one seed.
    #[must_use]
    pub fn seed(self, seed: u64) -> Self {
        self.seeds(seed..seed.saturating_add(1))
    }

    /// Runs in this world. [`WorldKind::Event`] if this is not called.
    #[must_use]
    pub fn world(mut self, world: WorldKind) -> Self {
        self.world = world;
        self.world_is_given = true;
        self
    }

    /// Runs on this many threads. As many as the machine has cores if this is not called. Changes
    /// nothing but the time it takes.
    #[must_use]
    pub fn jobs(mut self, jobs: usize) -> Self {
        self.jobs = jobs;
        self
    }

    /// What is doubtful about the drill.
    #[must_use]
    pub fn warnings(&self) -> &[Mistake] {
        &self.loaded.warnings
    }

    /// What will run.
    #[must_use]
    pub fn scenario(&self) -> &Scenario {
        &self.loaded.scenario
    }

    /// What a run will do, in words.
    #[must_use]
    pub fn describe(&self) -> String {
        drill::describe::describe(&self.loaded.scenario)
    }

    /// Runs all seeds.
    ///
    /// # Errors
    /// [`NothingRan`] if there is no seed or the scenario cannot be run. What goes wrong in a run
    /// is part of the [`Outcome`].
    pub fn run(&self) -> Result<Outcome, NothingRan> {
        self.run_with(|_| ())
    }

    /// Runs all seeds and shows each run to `each` as soon as it has ended, on the thread that ran
    /// it and in any order.
    ///
    /// # Errors
    /// As [`Drill::run`].
    pub fn run_with(&self, each: impl Fn(&Ended<'_>) + Sync) -> Result<Outcome, NothingRan> {
        let seeds: Vec<u64> = self.seeds.clone().collect();
        if seeds.is_empty() {
            return Err(NothingRan::NoSeeds(self.seeds.clone()));
        }
        let invocation = self.invocation();
        let scenario = self.scenario();
        let judged = run_seeds(scenario, &seeds, self.world, self.jobs, |seed, run| {
            judge(scenario, seed, run, &invocation.repeat(seed), &each)
        })?;
        let runs: Vec<RunSummary> = judged.into_iter().collect::<Result<_, RunError>>()?;
        Ok(Outcome {
            summary: Summary::new(scenario, self.world.name(), &invocation, runs),
        })
    }

    fn invocation(&self) -> Invocation {
        Invocation {
            drill: self.source.shown.clone(),
            world: self.world_is_given.then(|| self.world.name().to_owned()),
            set: self.overrides.clone(),
            further: Vec::new(),
        }
    }
}

/// Judges a run and shows it to `each`. An error if no run of this scenario can be made.
pub(crate) fn judge(
    scenario: &Scenario,
    seed: u64,
    run: Result<Run, RunError>,
    command: &str,
    each: &(impl Fn(&Ended<'_>) + Sync),
) -> Result<RunSummary, RunError> {
    match run {
        Ok(run) => {
            let findings = check(&run.trace);
            let measures = Measures::of(&run.trace, &findings);
            let expectations = evaluate(&scenario.expectations, &[&measures]);
            let summary =
                RunSummary::new(scenario, &run.trace, run.trace_hash, &findings, measures);
            each(&Ended {
                summary: &summary,
                trace: Some(&run.trace),
                findings: Some(&findings),
                expectations: &expectations,
                command,
            });
            Ok(summary)
        }
        Err(RunError::NotFormed { pending, trace }) => {
            let words = format!("the cluster did not form: {pending}");
            let summary = RunSummary::failed(seed, words);
            each(&Ended {
                summary: &summary,
                trace: Some(&trace),
                findings: None,
                expectations: &[],
                command,
            });
            Ok(summary)
        }
        Err(
            error @ (RunError::Plan(_)
            | RunError::TooManyClients(_)
            | RunError::World { .. }
            | RunError::Threads(_)),
        ) => Err(error),
    }
}

impl Outcome {
    /// Whether every run is valid and every expectation is met.
    #[must_use]
    pub fn passed(&self) -> bool {
        self.summary.outcome == DrillOutcome::Pass
    }

    /// What went wrong, worst first, each with the command that repeats it.
    #[must_use]
    pub fn failures(&self) -> &[Failure] {
        &self.summary.failures
    }

    /// Ends a test if anything went wrong.
    ///
    /// # Panics
    /// Unless every run is valid and every expectation is met. The message says what went wrong
    /// and which one command repeats it.
    #[track_caller]
    #[allow(clippy::panic, reason = "this is how a test fails")]
    pub fn assert_valid(&self) -> &Self {
        if !self.passed() {
            panic!("{self}");
        }
        self
    }
}

/// Failures that are told one by one; the rest is counted.
const TOLD: usize = 10;

impl fmt::Display for Outcome {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let failures = &self.summary.failures;
        let runs = self.summary.runs.len();
        writeln!(formatter, "{}: {runs} runs", self.summary.drill)?;
        for failure in failures.iter().take(TOLD) {
            match failure.seed {
                Some(seed) => writeln!(formatter, "seed {seed}: {}", failure.words)?,
                None => writeln!(formatter, "{}", failure.words)?,
            }
            writeln!(formatter, "  {}", failure.repeat)?;
        }
        if failures.len() > TOLD {
            writeln!(formatter, "and {} more", failures.len() - TOLD)?;
        }
        Ok(())
    }
}
