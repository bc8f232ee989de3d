//! Two results held against each other: two sweeps, or two runs of a drill.

use std::collections::BTreeMap;

use redrill_sim::scenario::{Measure, Unit};
use serde::{Deserialize, Serialize};

use super::{SweepData, of_run};
use crate::statistics::{Compared, Difference, Finding, compare_paired, compare_unpaired};
use crate::summary::{self, RunSummary, Summary};
use crate::table::{Side, Table};
use crate::text::{grouped, in_unit, time};

/// Version of the format of a comparison.
pub const SCHEMA_VERSION: u32 = 1;

/// A result that can be compared.
#[derive(Clone, PartialEq, Debug)]
pub struct Results {
    /// The drill.
    pub drill: String,
    /// The world it ran in.
    pub world: String,
    /// The configurations: a sweep has several, a run of a drill one, without a label.
    pub configurations: Vec<(String, Vec<RunSummary>)>,
}

/// Why a file holds no results.
#[derive(Debug, thiserror::Error)]
pub enum BadResults {
    /// It is not JSON.
    #[error("it is not JSON: {0}")]
    NotJson(serde_json::Error),
    /// It is something else.
    #[error("it is neither a sweep.json nor what `run --format json` prints")]
    NotResults,
    /// It lacks something, or has something else in its place.
    #[error("it is not what redrill writes: {0}")]
    Malformed(serde_json::Error),
    /// It is of another version.
    #[error("its schema_version is {found}, this redrill reads {known}")]
    Version {
        /// Its version.
        found: u64,
        /// The one that can be read.
        known: u32,
    },
}

/// Why two results cannot be compared.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
pub enum Incomparable {
    /// They have no configuration in common.
    #[error(
        "they have no configuration in common: the first has {first}; the second has {second}. \
         Sweep the same values, or compare two runs of one configuration each"
    )]
    NoneInCommon {
        /// The configurations of the first.
        first: String,
        /// Those of the second.
        second: String,
    },
    /// A configuration has nothing that was measured in both.
    #[error("nothing was measured in both of them")]
    NothingMeasured,
}

/// Two results held against each other.
#[derive(Clone, PartialEq, Debug, Serialize)]
pub struct Comparison {
    /// [`SCHEMA_VERSION`].
    pub schema_version: u32,
    /// The drills.
    pub drills: [String; 2],
    /// What was compared, in the order of the first result.
    pub configurations: Vec<ConfigurationComparison>,
    /// The configurations that only one of them has.
    pub left_out: [Vec<String>; 2],
}

/// Two configurations held against each other.
#[derive(Clone, PartialEq, Debug, Serialize)]
pub struct ConfigurationComparison {
    /// What the configuration is called in each; empty for a run of a drill.
    pub labels: [String; 2],
    /// Whether the runs met the same weather, seed by seed.
    pub paired: bool,
    /// Why they were not paired.
    pub not_paired: Option<NotPaired>,
    /// The runs of each.
    pub runs: [usize; 2],
    /// The seeds they have in common.
    pub common_seeds: usize,
    /// The measures; those that either has no values of are left out.
    pub measures: Vec<Verdict>,
}

/// Why runs were not paired.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum NotPaired {
    /// The drills have different names.
    OtherDrill,
    /// They ran in different worlds.
    OtherWorld,
    /// They have no seed in common.
    OtherSeeds,
}

/// How two configurations differ in a measure.
#[derive(Clone, PartialEq, Debug, Serialize)]
pub struct Verdict {
    /// The measure.
    pub measure: Measure,
    /// What that means.
    pub verdict: BetterOrWorse,
    /// The difference.
    #[serde(flatten)]
    pub difference: Difference,
}

/// What a difference means.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum BetterOrWorse {
    /// The second one is better.
    Better,
    /// It is worse.
    Worse,
    /// Every pair is equal.
    Same,
    /// The interval holds zero.
    Inconclusive,
}

/// What is compared of each measure.
const COMPARED: [(Measure, &[Compared]); 16] = {
    const TIMES: &[Compared] = &[Compared::Quantile(0.5), Compared::Quantile(0.95)];
    const MEAN: &[Compared] = &[Compared::Mean];
    [
        (Measure::WriteGap, TIMES),
        (Measure::ReadGap, TIMES),
        (Measure::FailoverTime, TIMES),
        (Measure::DetectionTime, TIMES),
        (Measure::AgreementTime, TIMES),
        (Measure::ElectionDelay, TIMES),
        (Measure::VoteTime, TIMES),
        (Measure::ConvergenceTime, TIMES),
        (Measure::CatchUpTime, TIMES),
        (Measure::CoverageGap, TIMES),
        (Measure::WriteUnavailability, MEAN),
        (Measure::ReadUnavailability, MEAN),
        (Measure::FalseFailovers, MEAN),
        (Measure::Mistakes, MEAN),
        (Measure::LostAckedWrites, MEAN),
        (Measure::BusBandwidth, MEAN),
    ]
};

impl Results {
    /// Reads a `sweep.json`, or what `run --format json` printed.
    ///
    /// # Errors
    /// [`BadResults`] if the text is neither.
    pub fn read(text: &str) -> Result<Self, BadResults> {
        #[derive(Deserialize)]
        struct Head {
            schema_version: Option<u64>,
            kind: Option<String>,
            quantiles: Option<serde::de::IgnoredAny>,
        }
        // Anything that is no object has none of the keys.
        let value: serde_json::Value = serde_json::from_str(text).map_err(BadResults::NotJson)?;
        let head: Head = serde_json::from_value(value).map_err(|_| BadResults::NotResults)?;
        let version = |known: u32| match head.schema_version {
            Some(found) if found != u64::from(known) => Err(BadResults::Version { found, known }),
            Some(_) | None => Ok(()),
        };
        if head.kind.as_deref() == Some("sweep") {
            version(super::SCHEMA_VERSION)?;
            let data: SweepData = serde_json::from_str(text).map_err(BadResults::Malformed)?;
            return Ok(data.into());
        }
        if head.quantiles.is_none() {
            return Err(BadResults::NotResults);
        }
        version(summary::SCHEMA_VERSION)?;
        let summary: Summary = serde_json::from_str(text).map_err(BadResults::Malformed)?;
        Ok(summary.into())
    }
}

impl From<SweepData> for Results {
    fn from(data: SweepData) -> Self {
        let configurations = data.configurations.into_iter();
        Self {
            drill: data.drill,
            world: data.world,
            configurations: configurations.map(|it| (it.label, it.runs)).collect(),
        }
    }
}

impl From<Summary> for Results {
    fn from(summary: Summary) -> Self {
        Self {
            drill: summary.drill,
            world: summary.world,
            configurations: vec![(String::new(), summary.runs)],
        }
    }
}

impl Comparison {
    /// Holds the second result against the first.
    ///
    /// # Errors
    /// [`Incomparable`] if they have nothing in common.
    pub fn of(first: &Results, second: &Results) -> Result<Self, Incomparable> {
        let pairs = pairs(first, second);
        if pairs.is_empty() {
            let labels = |results: &Results| {
                let labels = results.configurations.iter().map(|it| match it.0.as_str() {
                    "" => "one without a label",
                    label => label,
                });
                labels.collect::<Vec<_>>().join("; ")
            };
            return Err(Incomparable::NoneInCommon {
                first: labels(first),
                second: labels(second),
            });
        }
        let weather = if first.drill != second.drill {
            Some(NotPaired::OtherDrill)
        } else if first.world != second.world {
            Some(NotPaired::OtherWorld)
        } else {
            None
        };
        let configurations: Vec<ConfigurationComparison> = pairs
            .iter()
            .map(|(one, other)| {
                let (one, other) = (&first.configurations[*one], &second.configurations[*other]);
                configuration(one, other, weather)
            })
            .collect();
        if configurations.iter().all(|it| it.measures.is_empty()) {
            return Err(Incomparable::NothingMeasured);
        }
        let left_out = |results: &Results, taken: &dyn Fn(usize) -> bool| {
            let configurations = results.configurations.iter().enumerate();
            let left = configurations.filter(|(place, _)| !taken(*place));
            left.map(|(_, it)| it.0.clone()).collect()
        };
        Ok(Self {
            schema_version: SCHEMA_VERSION,
            drills: [first.drill.clone(), second.drill.clone()],
            left_out: [
                left_out(first, &|place| pairs.iter().any(|pair| pair.0 == place)),
                left_out(second, &|place| pairs.iter().any(|pair| pair.1 == place)),
            ],
            configurations,
        })
    }
}

/// Configurations with the same label; the only ones of both, whatever they are called.
fn pairs(first: &Results, second: &Results) -> Vec<(usize, usize)> {
    if let ([_], [_]) = (&first.configurations[..], &second.configurations[..]) {
        return vec![(0, 0)];
    }
    let places: BTreeMap<&str, usize> = (second.configurations.iter().zip(0..))
        .map(|(it, place)| (it.0.as_str(), place))
        .collect();
    let pairs = first.configurations.iter().enumerate();
    pairs
        .filter_map(|(place, it)| Some((place, *places.get(it.0.as_str())?)))
        .collect()
}

fn configuration(
    (first_label, first): &(String, Vec<RunSummary>),
    (second_label, second): &(String, Vec<RunSummary>),
    weather: Option<NotPaired>,
) -> ConfigurationComparison {
    let by_seed: BTreeMap<u64, &RunSummary> = second.iter().map(|run| (run.seed, run)).collect();
    let common: Vec<(&RunSummary, &RunSummary)> = first
        .iter()
        .filter_map(|run| Some((run, *by_seed.get(&run.seed)?)))
        .collect();
    let not_paired = weather.or(common.is_empty().then_some(NotPaired::OtherSeeds));
    let mut measures = Vec::new();
    for (measure, list) in COMPARED {
        let difference = |compared: Compared| match not_paired {
            None => {
                let pairs: Vec<(f64, f64)> = (common.iter())
                    .filter_map(|(one, other)| {
                        Some((of_run(measure, one)?, of_run(measure, other)?))
                    })
                    .collect();
                compare_paired(&pairs, compared)
            }
            Some(_) => {
                let values = |runs: &[RunSummary]| -> Vec<f64> {
                    runs.iter().filter_map(|run| of_run(measure, run)).collect()
                };
                compare_unpaired(&values(first), &values(second), compared)
            }
        };
        let found = list.iter().filter_map(|compared| difference(*compared));
        measures.extend(found.map(|difference| Verdict {
            measure,
            verdict: verdict(&difference),
            difference,
        }));
    }
    ConfigurationComparison {
        labels: [first_label.clone(), second_label.clone()],
        paired: not_paired.is_none(),
        not_paired,
        runs: [first.len(), second.len()],
        common_seeds: common.len(),
        measures,
    }
}

/// Less is better of everything that is compared.
fn verdict(difference: &Difference) -> BetterOrWorse {
    let is_same = [difference.estimate, difference.low, difference.high] == [0.0; 3];
    match difference.finding {
        Finding::Lower => BetterOrWorse::Better,
        Finding::Higher => BetterOrWorse::Worse,
        Finding::Inconclusive if is_same => BetterOrWorse::Same,
        Finding::Inconclusive => BetterOrWorse::Inconclusive,
    }
}

/// A comparison for people.
#[must_use]
pub fn render(comparison: &Comparison) -> String {
    let mut text = String::new();
    for configuration in &comparison.configurations {
        if !text.is_empty() {
            text.push('\n');
        }
        text.push_str(&head(configuration));
        text.push_str(&table(configuration));
    }
    for (labels, which) in comparison.left_out.iter().zip(["first", "second"]) {
        if !labels.is_empty() {
            let labels = labels.join("; ");
            text.push_str(&format!("\nonly the {which} has {labels}\n"));
        }
    }
    text
}

fn head(configuration: &ConfigurationComparison) -> String {
    let [first, second] = &configuration.labels;
    let name = match (first.as_str(), second.as_str()) {
        ("", "") => String::new(),
        (one, other) if one == other => format!("{one}: "),
        (one, "") | ("", one) => format!("{one}: "),
        (one, other) => format!("{other} against {one}: "),
    };
    let [one, other] = configuration.runs.map(|runs| grouped(runs as u64));
    let seeds = grouped(configuration.common_seeds as u64);
    match configuration.not_paired {
        None => format!("{name}paired by {seeds} seeds that both have, on the same weather\n"),
        Some(why) => {
            let why = match why {
                NotPaired::OtherDrill => "the drills are different ones",
                NotPaired::OtherWorld => "they ran in different worlds",
                NotPaired::OtherSeeds => "they have no seed in common",
            };
            format!("{name}not paired, for {why}: {one} runs against {other}\n")
        }
    }
}

fn table(configuration: &ConfigurationComparison) -> String {
    let mut titles = vec![
        ("", Side::Left),
        ("", Side::Left),
        ("first", Side::Right),
        ("difference", Side::Right),
        ("95 % interval", Side::Right),
        ("", Side::Left),
    ];
    if configuration.paired {
        titles.push(("without pairs as sure with", Side::Right));
    }
    let mut table = Table::new(&titles);
    let is_same = |it: &&Verdict| it.verdict == BetterOrWorse::Same;
    for it in configuration.measures.iter().filter(|it| !is_same(it)) {
        let difference = &it.difference;
        let unit = it.measure.unit();
        let mut row = vec![
            it.measure.name().to_owned(),
            match difference.compared {
                Compared::Mean => "mean".to_owned(),
                Compared::Quantile(0.5) => "median".to_owned(),
                Compared::Quantile(share) => format!("p{}", (share * 100.0).round()),
            },
            shown(difference.first, unit),
            signed(difference.estimate, unit),
            format!(
                "{} to {}",
                signed(difference.low, unit),
                signed(difference.high, unit)
            ),
            match it.verdict {
                BetterOrWorse::Better => "better",
                BetterOrWorse::Worse => "worse",
                BetterOrWorse::Same => "the same",
                BetterOrWorse::Inconclusive => "inconclusive",
            }
            .to_owned(),
        ];
        if configuration.paired {
            row.push(match difference.unpaired_runs_as_sure {
                Some(runs) => format!("{} seeds", grouped(runs)),
                None => "-".to_owned(),
            });
        }
        table.row(row);
    }
    let mut same: Vec<&str> = (configuration.measures.iter())
        .filter(is_same)
        .map(|it| it.measure.name())
        .collect();
    same.dedup();
    let differing = configuration.measures.iter().any(|it| !is_same(&it));
    let mut text = if differing {
        table.render("  ")
    } else {
        String::new()
    };
    if !same.is_empty() {
        text.push_str(&format!("  the same: {}\n", same.join(", ")));
    }
    text
}

fn shown(value: f64, unit: Unit) -> String {
    match (value.is_finite(), unit) {
        (false, _) => "never".to_owned(),
        (true, Unit::Number) if value >= 100.0 => grouped(value.round() as u64),
        (true, Unit::Number) => format!("{value:.2}"),
        (true, Unit::Time | Unit::Share) => in_unit(value, unit),
    }
}

fn signed(value: f64, unit: Unit) -> String {
    let sign = if value > 0.0 { "+" } else { "" };
    if value.is_infinite() {
        return if value > 0.0 { "never ends" } else { "ends" }.to_owned();
    }
    match unit {
        Unit::Time => format!("{sign}{}", time(value)),
        Unit::Number if value.abs() >= 100.0 => {
            let sign = if value > 0.0 { "+" } else { "-" };
            format!("{sign}{}", grouped(value.abs().round() as u64))
        }
        Unit::Number => format!("{sign}{value:.2}"),
        Unit::Share => format!("{sign}{:.2} %", value * 100.0),
    }
}
