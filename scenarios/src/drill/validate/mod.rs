//! From what was written to a scenario: every rule of the drill language that goes beyond keys
//! and kinds of values.

mod cluster;
mod cluster_nodes;
mod network;
mod step_actions;
mod steps;
mod weather;
mod workload;

use redrill_node::{Config, Engine, SlotRange};
use redrill_sim::scenario::{Cluster, Scenario, Step, StepAction, Trigger};
use redrill_sim::weather::Weather;

use self::steps::PlacedStep;
use super::directives::{self, Directives};
use super::expectations;
use super::mistake::{Draft, Mistakes};
use super::read::Context;
use super::recorded::Recorded;
use super::schema;
use super::selector::Names;
use super::source::{Sources, Span, Spanned};
use super::suggest::did_you_mean;
use super::units::{MAX_DURATION_US, SECOND_US, duration_text};

/// Version of the drill language.
const SCHEMA: u64 = 1;

/// A drill without steps runs this long, unless it says otherwise.
const IDLE_DURATION_US: u64 = 60 * SECOND_US;

/// How long a drill goes on after its last step, unless it says otherwise.
const AFTERMATH_US: u64 = 30 * SECOND_US;

/// What the rules share.
pub(super) struct Checker<'a, 'b> {
    mistakes: &'a mut Mistakes,
    sources: &'b Sources,
    /// Names and zones prove nothing any more.
    cluster_is_wrong: bool,
    /// The first slots without an owner, and the nodes that should have them.
    unowned: Option<(SlotRange, Span)>,
}

impl Checker<'_, '_> {
    fn add(&mut self, draft: Draft) {
        self.mistakes.add(draft);
    }

    /// Reports that `key` is missing, unless it is there and could not be read.
    fn add_missing(&mut self, key: &str, unreadable: &[&str], draft: impl FnOnce(&str) -> Draft) {
        if !unreadable.contains(&key) {
            self.add(draft(key));
        }
    }

    fn line(&self, span: Span) -> usize {
        self.sources.line(span)
    }

    /// One of a few words; the first if it is none of them, which is reported.
    fn word<T: Copy>(&mut self, written: &Spanned<String>, key: &str, words: &[(&str, T)]) -> T {
        let found = words.iter().find(|(word, _)| *word == written.value.trim());
        if found.is_none() {
            let names = words.iter().map(|(word, _)| *word);
            self.add(
                Draft::error(
                    format!("unknown `{key}`: `{}`", written.value),
                    written.span,
                    "none of the choices",
                )
                .help_if(did_you_mean(&written.value, names)),
            );
        }
        found.map_or(words[0].1, |(_, value)| *value)
    }
}

/// A drill as it will run, with the places that later advice points to.
pub(super) struct Checked {
    pub(super) scenario: Scenario,
    /// Where each expectation stands.
    pub(super) expectation_spans: Vec<Span>,
}

/// Turns what was written into a scenario. It is complete only if `mistakes` holds no error.
pub(super) fn scenario(
    drill: &schema::Drill,
    default_name: &str,
    recorded: Recorded,
    sources: &Sources,
    mistakes: &mut Mistakes,
) -> Checked {
    let mut checker = Checker {
        mistakes,
        sources,
        cluster_is_wrong: false,
        unowned: None,
    };
    check_schema(drill, &mut checker);
    let engine = engine(drill, &mut checker);
    let mut cluster = cluster::cluster(drill.cluster.as_ref(), &mut checker);
    let directives = config(drill, engine, &mut cluster, &mut checker);
    report_unowned_slots(&directives.config, &mut checker);
    let network = network::network(drill.network.as_ref(), &cluster, &mut checker);
    let disk = network::disk(drill.disk.as_ref());
    let workload = workload::workload(drill.workload.as_ref(), &cluster, &mut checker);
    let names = Names {
        cluster: &cluster,
        clients: &workload.clients,
        complete: !checker.cluster_is_wrong,
    };
    let steps = steps::steps(drill.steps.as_ref(), &names, &mut checker);
    let weather = weather::weather(drill.weather.as_ref(), recorded, &names, &mut checker);
    let duration_us = duration(drill, &steps, &weather.weather, &mut checker);
    weather.report_too_much(&cluster, duration_us, &mut checker);
    report_late_steps(drill, &steps, duration_us, &mut checker);
    let expectations = drill.expect.as_ref().map_or_else(Vec::new, |expect| {
        let mut context = Context {
            sources,
            mistakes: checker.mistakes,
        };
        expectations::read(&expect.value, &mut context)
    });
    let node_timeout_us = (directives.config.cluster_node_timeout_ms.max(0) as u64) * 1000;
    let converge_within_us = drill.converge_within.as_ref().map_or_else(
        || (30 * SECOND_US).max(6 * node_timeout_us),
        |period| period.value.us,
    );
    let expectation_spans = expectations.iter().map(|it| it.span).collect();
    let text = |written: &Option<Spanned<String>>| written.as_ref().map(|it| it.value.clone());
    let scenario = Scenario {
        name: name(drill, default_name, &mut checker),
        question: text(&drill.question),
        engine,
        cluster,
        network,
        disk,
        config: directives.config,
        config_text: directives.text,
        workload,
        weather: weather.weather,
        steps: steps.into_iter().map(|placed| placed.step).collect(),
        expectations: expectations.into_iter().map(|it| it.value).collect(),
        duration_us,
        converge_within_us,
    };
    Checked {
        scenario,
        expectation_spans,
    }
}

fn check_schema(drill: &schema::Drill, checker: &mut Checker<'_, '_>) {
    if let Some(schema) = &drill.schema
        && schema.value != SCHEMA
    {
        checker.add(
            Draft::error(
                format!("schema {} is not known", schema.value),
                schema.span,
                format!("this redrill reads schema {SCHEMA}"),
            )
            .help("a newer redrill may read it"),
        );
    }
}

/// The name, fit to be part of a file's name.
fn name(drill: &schema::Drill, default: &str, checker: &mut Checker<'_, '_>) -> String {
    let Some(name) = &drill.name else {
        return default.to_owned();
    };
    let fits = |letter: char| letter.is_ascii_alphanumeric() || "-_.".contains(letter);
    let value = &name.value;
    if value.is_empty() || value.starts_with('.') || !value.chars().all(fits) {
        checker.add(
            Draft::error("this cannot be a drill's name", name.span, "here").help(
                "reports are filed under it: letters, digits, hyphens, underscores and dots only",
            ),
        );
    }
    value.clone()
}

fn engine(drill: &schema::Drill, checker: &mut Checker<'_, '_>) -> Engine {
    match &drill.engine {
        None => Engine::default(),
        Some(word) => {
            let engines: Vec<(&str, Engine)> = Engine::ALL
                .iter()
                .map(|engine| (engine.name(), *engine))
                .collect();
            checker.word(word, "engine", &engines)
        }
    }
}

fn config(
    drill: &schema::Drill,
    engine: Engine,
    cluster: &mut Cluster,
    checker: &mut Checker<'_, '_>,
) -> Directives {
    let config = Config {
        engine,
        ..Config::default()
    };
    match &drill.config {
        None => Directives::new(config),
        Some(table) => {
            let complete = !checker.cluster_is_wrong;
            directives::read(&table.value, config, cluster, complete, checker.mistakes)
        }
    }
}

fn report_unowned_slots(config: &Config, checker: &mut Checker<'_, '_>) {
    let Some((slots, span)) = checker.unowned else {
        return;
    };
    let message = format!("nobody owns slots {slots}");
    checker.add(if config.cluster_require_full_coverage {
        Draft::error(message, span, "among these nodes")
            .help("with `cluster-require-full-coverage` the cluster would never come up")
    } else {
        Draft::warning(message, span, "among these nodes")
    });
}

fn duration(
    drill: &schema::Drill,
    steps: &[PlacedStep],
    weather: &Weather,
    checker: &mut Checker<'_, '_>,
) -> u64 {
    match &drill.duration {
        Some(duration) if duration.value.us == 0 => {
            checker.add(Draft::error(
                "an impossible time: a drill that takes none",
                duration.span,
                "expected more than zero",
            ));
            IDLE_DURATION_US
        }
        Some(duration) => duration.value.us,
        None => {
            let steps = steps.iter().map(|placed| end_us(&placed.step));
            let pauses = weather.recorded_pauses.iter();
            let pauses = pauses.map(|pause| pause.at_us + pause.lasts_us);
            let links = weather.recorded_links.iter().map(|link| link.at_us);
            let last = steps.chain(pauses).chain(links).max();
            let duration = last.map_or(IDLE_DURATION_US, |last| last + AFTERMATH_US);
            duration.min(MAX_DURATION_US)
        }
    }
}

/// When a step is over, as far as that is known before the run.
fn end_us(step: &Step) -> u64 {
    let start = match &step.trigger {
        Trigger::At { at_us, jitter_us } => at_us + jitter_us,
        Trigger::After { delay_us, .. } => *delay_us,
    };
    let restart_us = match &step.action {
        StepAction::Crash {
            restart_after_us, ..
        } => *restart_after_us,
        StepAction::Partition { .. }
        | StepAction::Isolate { .. }
        | StepAction::Block { .. }
        | StepAction::Stall { .. }
        | StepAction::Restart { .. }
        | StepAction::Degrade { .. }
        | StepAction::Clock { .. }
        | StepAction::SlowDisk { .. }
        | StepAction::Run { .. }
        | StepAction::MoveSlots { .. }
        | StepAction::Load { .. } => None,
    };
    start + step.lasts_us.or(restart_us).unwrap_or(0)
}

fn report_late_steps(
    drill: &schema::Drill,
    steps: &[PlacedStep],
    duration_us: u64,
    checker: &mut Checker<'_, '_>,
) {
    let Some(duration) = &drill.duration else {
        return;
    };
    for placed in steps {
        let Trigger::At { at_us, jitter_us } = placed.step.trigger else {
            continue;
        };
        let duration_text = duration_text(duration_us as f64);
        if at_us + jitter_us >= duration_us {
            checker.add(
                Draft::error(
                    "an impossible time: the step comes too late",
                    placed.at,
                    format!("the drill is over after {duration_text}"),
                )
                .also(duration.span, "the drill's duration")
                .help("move the step, or make the drill longer"),
            );
        } else if end_us(&placed.step) > duration_us {
            checker.add(
                Draft::warning(
                    "the step lasts longer than the drill",
                    placed.lasts,
                    "ends with the drill instead",
                )
                .also(duration.span, "the drill's duration"),
            );
        }
    }
}
