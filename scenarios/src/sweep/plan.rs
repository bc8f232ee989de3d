//! What a sweep will run: a drill, read once for each configuration.

use std::ops::Range;
use std::path::Path;

use redrill_reports::sweep::Goal;
use redrill_sim::WorldKind;
use redrill_sim::scenario::Scenario;

use super::grid;
use super::journal::Finished;
use crate::drill::{self, Arguments, Axis, BadDrill, Loaded, Mistake};

/// How often each configuration is run if nobody says.
const DEFAULT_SEEDS: Range<u64> = 0..100;

/// The most axes that `--set` may make.
const MOST_AXES: usize = 2;

/// The most configurations of a sweep.
const MOST_CONFIGURATIONS: usize = 1000;

/// What a command line says of a sweep. It wins over the drill's `[sweep]`.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Options {
    /// Each `path=values`: what has several values is varied.
    pub set: Vec<String>,
    /// Engines to vary, with commas between them.
    pub engines: Option<String>,
    /// The seeds that each configuration runs.
    pub seeds: Option<Range<u64>>,
    /// Objectives such as `write-gap p99 < 10s`.
    pub slo: Vec<String>,
    /// The world.
    pub world: WorldKind,
    /// Threads. Changes nothing but the time it takes.
    pub jobs: usize,
}

/// A sweep that is ready to run.
#[derive(Clone, Debug)]
pub struct Sweep {
    pub(super) text: String,
    pub(super) shown: String,
    pub(super) fixed: Vec<String>,
    pub(super) axes: Vec<Axis>,
    pub(super) goals: Vec<Goal>,
    pub(super) seeds: Range<u64>,
    pub(super) world: WorldKind,
    pub(super) jobs: usize,
    pub(super) base: Scenario,
    pub(super) configurations: Vec<Planned>,
    warnings: Vec<Mistake>,
}

/// A configuration of a sweep.
#[derive(Clone, Debug)]
pub(super) struct Planned {
    /// Which value it has of each axis.
    pub(super) places: Vec<usize>,
    /// The `--set` that make it.
    pub(super) set: Vec<String>,
    pub(super) scenario: Scenario,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            set: Vec::new(),
            engines: None,
            seeds: None,
            slo: Vec::new(),
            world: WorldKind::Event,
            jobs: std::thread::available_parallelism().map_or(1, usize::from),
        }
    }
}

impl Sweep {
    /// Reads a drill file and what to vary of it.
    ///
    /// # Errors
    /// [`BadDrill`] with every mistake in the drill, the options and the values, or that the file
    /// cannot be read.
    pub fn from_file(path: impl AsRef<Path>, options: &Options) -> Result<Self, BadDrill> {
        let path = path.as_ref();
        let stem = path.file_stem().unwrap_or_default().to_string_lossy();
        let text = drill::read_text(path)?;
        Self::read(&path.display().to_string(), &stem, text, options)
    }

    /// Reads the text of a drill and what to vary of it.
    ///
    /// # Errors
    /// [`BadDrill`] with every mistake in the drill, the options and the values.
    pub fn parse(text: &str, options: &Options) -> Result<Self, BadDrill> {
        Self::read("drill.toml", "drill", text.to_owned(), options)
    }

    fn read(
        shown: &str,
        default_name: &str,
        text: String,
        options: &Options,
    ) -> Result<Self, BadDrill> {
        let arguments = Arguments::read(&options.set, options.engines.as_deref(), &options.slo)?;
        let load = |set: &[String]| drill::parse(shown, default_name, &text, set);
        let base = load(&arguments.fixed)?;
        let axes = axes(&base, &arguments)?;
        let configurations = configurations(&axes, &arguments.fixed, load)?;
        let goals = match arguments.goals.is_empty() {
            true => base.sweep.goals,
            false => arguments.goals,
        };
        let seeds = options.seeds.clone().or(base.sweep.seeds);
        Ok(Self {
            shown: shown.to_owned(),
            fixed: arguments.fixed,
            axes,
            goals,
            seeds: seeds.unwrap_or(DEFAULT_SEEDS),
            world: options.world,
            jobs: options.jobs,
            base: base.scenario,
            configurations,
            warnings: base.warnings,
            text,
        })
    }

    /// The drill's name.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.base.name
    }

    /// Whether a place of the drill is among what is varied.
    #[must_use]
    pub fn varies(&self, path: &str) -> bool {
        self.axes.iter().any(|axis| axis.path == path)
    }

    /// What is doubtful about the drill.
    #[must_use]
    pub fn warnings(&self) -> &[Mistake] {
        &self.warnings
    }

    /// Number of configurations.
    #[must_use]
    pub fn configuration_count(&self) -> usize {
        self.configurations.len()
    }

    /// The seeds that each configuration runs.
    #[must_use]
    pub fn seeds(&self) -> Range<u64> {
        self.seeds.clone()
    }

    /// Number of runs.
    #[must_use]
    pub fn run_count(&self) -> u64 {
        (self.seeds.end - self.seeds.start) * self.configurations.len() as u64
    }

    /// How many of its runs are finished.
    #[must_use]
    pub fn count_of(&self, finished: &Finished) -> u64 {
        let is_mine = |(configuration, seed): &(usize, u64)| {
            *configuration < self.configurations.len() && self.seeds.contains(seed)
        };
        finished.keys().filter(|key| is_mine(key)).count() as u64
    }

    /// A configuration's values, with commas between them.
    pub(super) fn label(&self, places: &[usize]) -> String {
        let values = places.iter().zip(&self.axes);
        let values: Vec<&str> = values
            .map(|(place, axis)| axis.values[*place].trim_matches('"'))
            .collect();
        values.join(", ")
    }

    /// Where a value stands on its axis.
    pub(super) fn position(text: &str) -> Option<f64> {
        grid::position(text)
    }
}

/// What is varied: by the drill, unless the command line says otherwise of the same place.
fn axes(base: &Loaded, arguments: &Arguments) -> Result<Vec<Axis>, BadDrill> {
    let fixed = |axis: &Axis| {
        let mut fixed = arguments.fixed.iter();
        fixed.any(|set| {
            set.split('=')
                .next()
                .is_some_and(|path| Axis::path(path) == axis.path)
        })
    };
    let mut axes: Vec<Axis> = base.sweep.axes.clone();
    axes.retain(|axis| !fixed(axis));
    for axis in &arguments.axes {
        match axes.iter_mut().find(|it| it.path == axis.path) {
            Some(same) => same.values.clone_from(&axis.values),
            None => axes.push(axis.clone()),
        }
    }
    let bad =
        |message: String, help: &str| Err(BadDrill::one(Mistake::without_place(message, help)));
    let varied = axes.iter().filter(|axis| axis.values.len() > 1).count();
    let by_set = axes.iter().filter(|axis| axis.path != "engine").count();
    let count = axes.iter().map(|axis| axis.values.len()).product::<usize>();
    if varied == 0 {
        return bad(
            "there is nothing to sweep".to_owned(),
            "say what to vary: --set config.cluster-node-timeout=1000..15000:log8, or [sweep] in \
             the drill",
        );
    }
    if by_set > MOST_AXES {
        let paths: Vec<&str> = axes.iter().map(|axis| axis.path.as_str()).collect();
        return bad(
            format!("{by_set} things to vary at once: {}", paths.join(", ")),
            "vary one or two; give the others one value each",
        );
    }
    if count > MOST_CONFIGURATIONS {
        return bad(
            format!("{count} configurations, at most {MOST_CONFIGURATIONS} can be swept"),
            "take fewer points",
        );
    }
    Ok(axes)
}

/// Every combination of values, read as drills. All mistakes are told, each once.
fn configurations(
    axes: &[Axis],
    fixed: &[String],
    load: impl Fn(&[String]) -> Result<Loaded, BadDrill>,
) -> Result<Vec<Planned>, BadDrill> {
    let mut configurations = Vec::new();
    let mut mistakes: Vec<Mistake> = Vec::new();
    for places in combinations(axes) {
        let values = axes.iter().zip(&places);
        let values = values.map(|(axis, place)| format!("{}={}", axis.path, axis.values[*place]));
        let set: Vec<String> = fixed.iter().cloned().chain(values).collect();
        match load(&set) {
            Ok(loaded) => configurations.push(Planned {
                places,
                set,
                scenario: loaded.scenario,
            }),
            Err(bad) => {
                for mistake in bad.mistakes {
                    let look = crate::Look::default();
                    let text = mistake.render(look);
                    if mistakes.iter().all(|known| known.render(look) != text) {
                        mistakes.push(mistake);
                    }
                }
            }
        }
    }
    match mistakes.is_empty() {
        true => Ok(configurations),
        false => Err(BadDrill {
            mistakes,
            warnings: Vec::new(),
        }),
    }
}

/// All combinations of places; the last axis varies fastest.
fn combinations(axes: &[Axis]) -> Vec<Vec<usize>> {
    let mut all: Vec<Vec<usize>> = vec![Vec::new()];
    for axis in axes {
        all = all
            .into_iter()
            .flat_map(|places| {
                (0..axis.values.len()).map(move |place| {
                    let mut places = places.clone();
                    places.push(place);
                    places
                })
            })
            .collect();
    }
    all
}
