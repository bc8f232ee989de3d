//! `[sweep]`, and the same on the command line: what to vary, how often to run, what to aim at.

use std::ops::Range;

use redrill_reports::sweep::Goal;

use super::mistake::{Draft, Mistakes};
use super::read::Context;
use super::schema;
use super::source::{Sources, Spanned};
use super::tree::{Node, Table, Value};
use super::units::Wrong;
use super::{BadDrill, goals};
use crate::sweep::grid;

/// What a drill says of sweeps of it.
#[derive(Clone, PartialEq, Debug, Default)]
pub(crate) struct SweepTable {
    /// What is varied.
    pub(crate) axes: Vec<Axis>,
    /// Which seeds each configuration runs.
    pub(crate) seeds: Option<Range<u64>>,
    /// What is aimed at.
    pub(crate) goals: Vec<Goal>,
}

/// Something that is varied.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) struct Axis {
    /// Its place in the drill.
    pub(crate) path: String,
    /// Its values, as they stand behind `--set path=`.
    pub(crate) values: Vec<String>,
}

/// What a command line says of a sweep.
#[derive(Clone, PartialEq, Debug, Default)]
pub(crate) struct Arguments {
    /// The `--set` with one value, as they were written.
    pub(crate) fixed: Vec<String>,
    /// Those with several, and `--engine`.
    pub(crate) axes: Vec<Axis>,
    /// The objectives of `--slo`.
    pub(crate) goals: Vec<Goal>,
}

impl Axis {
    /// A path without blanks.
    pub(crate) fn path(written: &str) -> String {
        let names: Vec<&str> = written.split('.').map(str::trim).collect();
        names.join(".")
    }
}

impl SweepTable {
    pub(super) fn read(sweep: &schema::Sweep, context: &mut Context<'_>) -> Self {
        let mut axes = Vec::new();
        if let Some(set) = &sweep.set {
            read_axes(&set.value, "", &mut axes, context);
        }
        let seeds =
            (sweep.seeds.as_ref()).and_then(|seeds| read_seeds(&seeds.value.0, seeds, context));
        let lines = sweep.slo.iter().flat_map(|slo| &slo.value.0);
        let goals = lines.flat_map(|line| match goals::parse(&line.value) {
            Ok(goals) => goals,
            Err(wrong) => {
                let node = Spanned::new(Value::Text(line.value.clone()), line.span);
                context.wrong(&node, &line.value, wrong);
                Vec::new()
            }
        });
        let goals = goals.collect();
        Self { axes, seeds, goals }
    }
}

/// Paths may be written as one quoted key or as tables in tables.
fn read_axes(table: &Table, above: &str, axes: &mut Vec<Axis>, context: &mut Context<'_>) {
    for entry in &table.entries {
        let name = Axis::path(&entry.key.value);
        let path = match above {
            "" => name,
            above => format!("{above}.{name}"),
        };
        if let Value::Table(inner) = &entry.value.value {
            read_axes(inner, &path, axes, context);
        } else if let Some(values) = axis_values(&entry.value, context) {
            axes.push(Axis { path, values });
        }
    }
}

fn axis_values(node: &Node, context: &mut Context<'_>) -> Option<Vec<String>> {
    if let Value::Text(text) = &node.value {
        let values = grid::values(text);
        let values = values
            .map_err(|wrong| context.wrong(node, text, wrong))
            .ok()?;
        return Some(values.into_iter().map(|value| value.text).collect());
    }
    if let Value::List(nodes) = &node.value
        && !nodes.is_empty()
    {
        let texts = nodes
            .iter()
            .map(|it| context.sources.text(it.span).to_owned());
        return Some(texts.collect());
    }
    context.not(
        node,
        "values to vary, such as \"1000..15000:log8\" or [1000, 5000]",
    );
    None
}

fn read_seeds(
    value: &Value,
    place: &Spanned<super::read::Anything>,
    context: &mut Context<'_>,
) -> Option<Range<u64>> {
    let node = Node::new(value.clone(), place.span);
    if let Value::Integer(count) = value
        && *count > 0
    {
        return Some(0..count.unsigned_abs());
    }
    if let Value::Text(text) = value {
        let seeds = crate::sweep::seeds(text);
        if seeds.is_none() {
            let wrong = Wrong::new(format!("`{text}` names no seeds"), "no number, no range");
            let help = "write 500 for the seeds 0 to 499, or 100..600";
            context.wrong(&node, text, wrong.help(help));
        }
        return seeds;
    }
    context.not(
        &node,
        "a number of seeds, or a range of them such as \"0..500\"",
    );
    None
}

impl Arguments {
    /// Reads the command line: every `--set`, `--engine`, and every `--slo`.
    pub(crate) fn read(
        sets: &[String],
        engines: Option<&str>,
        slo: &[String],
    ) -> Result<Self, BadDrill> {
        let mut sources = Sources::default();
        // Places in the first source are taken to lie in a file.
        sources.add("the command line", "");
        let mut mistakes = Mistakes::default();
        let mut arguments = Self::default();
        for set in sets {
            let Some(equals) = set.find('=') else {
                // The reader of drills knows what to say of it.
                arguments.fixed.push(set.clone());
                continue;
            };
            if set[..equals].contains('[') {
                // Told here, it is told once and not for each value.
                let whole = sources.add("--set", set);
                if let Some(draft) = super::tree::brackets(&set[..equals], whole) {
                    mistakes.add(draft);
                }
                continue;
            }
            let values = grid::values(&set[equals + 1..]);
            let values = values.map_err(|wrong| wrong.behind(equals + 1, set.len() - equals - 1));
            let Some(values) = found(values, "--set", set, &mut sources, &mut mistakes) else {
                continue;
            };
            match values.len() {
                1 => arguments.fixed.push(set.clone()),
                _ => arguments.axes.push(Axis {
                    path: Axis::path(&set[..equals]),
                    values: values.into_iter().map(|value| value.text).collect(),
                }),
            }
        }
        if let Some(engines) = engines
            && let Some(values) = found(
                grid::values(engines),
                "--engine",
                engines,
                &mut sources,
                &mut mistakes,
            )
        {
            arguments.axes.push(Axis {
                path: "engine".to_owned(),
                values: values.into_iter().map(|value| value.text).collect(),
            });
        }
        for slo in slo {
            let goals = found(goals::parse(slo), "--slo", slo, &mut sources, &mut mistakes);
            arguments.goals.extend(goals.unwrap_or_default());
        }
        let (mistakes, warnings) = mistakes.tie(&sources);
        match mistakes.is_empty() {
            true => Ok(arguments),
            false => Err(BadDrill { mistakes, warnings }),
        }
    }
}

/// What was read, or nothing after a mistake was told.
fn found<T>(
    read: Result<T, Wrong>,
    name: &str,
    text: &str,
    sources: &mut Sources,
    mistakes: &mut Mistakes,
) -> Option<T> {
    read.map_err(|wrong| {
        let whole = sources.add(name, text);
        let range = super::tree::visible(text, wrong.range.unwrap_or(0..text.len()));
        mistakes
            .add(Draft::error(wrong.message, whole.part(&range), wrong.label).help_if(wrong.help));
    })
    .ok()
}
