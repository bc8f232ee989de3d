//! Runs a sweep.

use std::sync::atomic::{AtomicBool, Ordering};

use redrill_reports::summary::{Invocation, RunSummary};
use redrill_reports::sweep::{
    Axis, AxisValue, Configuration, Kind, SCHEMA_VERSION, Sweep as Swept, SweepData,
};
use redrill_sim::{RunError, in_parallel, run};

use super::journal::{Finished, JournalError};
use super::plan::{Planned, Sweep};
use crate::builder::judge;

/// Why a sweep came to no end.
#[derive(Debug, thiserror::Error)]
pub enum SweepError {
    /// A configuration cannot be run, or no thread could be started.
    #[error("with {configuration}: {error}")]
    Impossible {
        /// Its values.
        configuration: String,
        /// Why.
        error: RunError,
    },
    /// No thread could be started.
    #[error(transparent)]
    Threads(RunError),
    /// A finished run could not be kept.
    #[error(transparent)]
    Journal(#[from] JournalError),
}

impl Sweep {
    /// Runs every configuration with every seed, unless it is among `finished`. Each run is given
    /// to `each` with the place of its configuration, on the thread that ran it and in any order;
    /// an error of it ends the sweep. The result is the same in whatever order and on however many
    /// threads it was made, and whatever was finished before.
    ///
    /// # Errors
    /// [`SweepError`] if a configuration cannot be run, or `each` fails.
    pub fn run(
        &self,
        finished: &Finished,
        each: impl Fn(usize, &RunSummary) -> Result<(), JournalError> + Sync,
    ) -> Result<Swept, SweepError> {
        // Seed by seed, so that an interrupted sweep knows as much of each configuration.
        let wanted = self.seeds.clone().flat_map(|seed| {
            (0..self.configurations.len()).map(move |configuration| (configuration, seed))
        });
        let missing: Vec<(usize, u64)> = wanted.filter(|key| !finished.contains_key(key)).collect();
        let has_failed = AtomicBool::new(false);
        let made = in_parallel(missing.len(), self.jobs, |place| {
            if has_failed.load(Ordering::Relaxed) {
                return Ok(None);
            }
            let (configuration, seed) = missing[place];
            let run = self.run_one(configuration, seed);
            let kept = run.and_then(|run| {
                each(configuration, &run)?;
                Ok(Some((configuration, run)))
            });
            has_failed.fetch_or(kept.is_err(), Ordering::Relaxed);
            kept
        });
        let mut by_configuration: Vec<Vec<RunSummary>> =
            vec![Vec::new(); self.configurations.len()];
        for ((configuration, seed), run) in finished {
            if self.seeds.contains(seed)
                && let Some(runs) = by_configuration.get_mut(*configuration)
            {
                runs.push(run.clone());
            }
        }
        for run in made.map_err(SweepError::Threads)? {
            if let Some((configuration, run)) = run? {
                by_configuration[configuration].push(run);
            }
        }
        for runs in &mut by_configuration {
            runs.sort_by_key(|run| run.seed);
        }
        Ok(Swept::new(self.data(by_configuration)))
    }

    fn run_one(&self, configuration: usize, seed: u64) -> Result<RunSummary, SweepError> {
        let planned = &self.configurations[configuration];
        let command = self.invocation(planned).repeat(seed);
        let run = run(&planned.scenario, seed, self.world);
        judge(&planned.scenario, seed, run, &command, &|_| ()).map_err(|error| {
            SweepError::Impossible {
                configuration: self.label(&planned.places),
                error,
            }
        })
    }

    fn invocation(&self, planned: &Planned) -> Invocation {
        let is_default = self.world == redrill_sim::WorldKind::Event;
        Invocation {
            drill: self.shown.clone(),
            world: (!is_default).then(|| self.world.name().to_owned()),
            set: planned.set.clone(),
            further: Vec::new(),
        }
    }

    fn data(&self, runs: Vec<Vec<RunSummary>>) -> SweepData {
        let value = |text: &String| AxisValue {
            text: text.clone(),
            position: Self::position(text),
        };
        let own = |path: &str| {
            let name = path.strip_prefix("config.")?;
            self.base.config_text.get(name).map(value)
        };
        let axes = self.axes.iter().map(|axis| Axis {
            path: axis.path.clone(),
            values: axis.values.iter().map(value).collect(),
            own: own(&axis.path),
        });
        let configurations =
            self.configurations
                .iter()
                .zip(runs)
                .map(|(planned, runs)| Configuration {
                    label: self.label(&planned.places),
                    places: planned.places.clone(),
                    engine: planned.scenario.engine.name().to_owned(),
                    config: planned.scenario.config_text.clone(),
                    runs,
                });
        SweepData {
            schema_version: SCHEMA_VERSION,
            kind: Kind::Sweep,
            drill: self.base.name.clone(),
            question: self.base.question.clone(),
            world: self.world.name().to_owned(),
            axes: axes.collect(),
            current: (self.configurations.iter()).position(|it| it.scenario == self.base),
            seeds: self.seeds.clone().collect(),
            goals: self.goals.clone(),
            configurations: configurations.collect(),
        }
    }
}
