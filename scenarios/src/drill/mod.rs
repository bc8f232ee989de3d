//! The drill language: TOML in, a validated [`Scenario`] out, or everything that is wrong with it.

pub(crate) mod advice;
pub(crate) mod describe;
mod directives;
mod distributions;
pub(crate) mod expectations;
mod goals;
mod log_phrases;
mod mistake;
mod read;
mod recorded;
mod schema;
mod selector;
mod source;
mod suggest;
mod sweep;
mod tree;
pub(crate) mod units;
mod validate;

use std::io::ErrorKind;
use std::path::Path;

use redrill_sim::scenario::Scenario;

pub use mistake::{BadDrill, Look, Mistake};
pub(crate) use mistake::{Draft, Mistakes};
use read::{Context, FromNode};
pub(crate) use source::Sources;
use source::Spanned;
pub(crate) use sweep::{Arguments, Axis, SweepTable};
use tree::Value;
pub(crate) use tree::visible;

/// A drill that can run.
#[derive(Clone, Debug)]
pub struct Loaded {
    /// What to run.
    pub scenario: Scenario,
    /// What is doubtful about it.
    pub warnings: Vec<Mistake>,
    /// Its `[sweep]`.
    pub(crate) sweep: SweepTable,
}

/// Reads a drill file, with `path=value` overrides on top.
///
/// # Errors
/// [`BadDrill`] with every mistake in it, or that the file cannot be read.
pub fn load(path: &Path, overrides: &[String]) -> Result<Loaded, BadDrill> {
    let shown = path.display().to_string();
    let text = read_text(path)?;
    let stem = path
        .file_stem()
        .map_or_else(String::new, |stem| stem.to_string_lossy().into_owned());
    parse(&shown, &stem, &text, overrides)
}

/// Reads a text file.
///
/// # Errors
/// [`BadDrill`] that says why it cannot be read, and what to do.
pub fn read_text(path: &Path) -> Result<String, BadDrill> {
    let shown = path.display();
    let unreadable = |why: String, help: &str| {
        BadDrill::one(Mistake::without_place(
            format!("cannot read {shown}: {why}"),
            help,
        ))
    };
    let bytes = std::fs::read(path).map_err(|error| {
        let help = if error.kind() == ErrorKind::NotFound {
            "give the path of a file that is there; `redrill init` writes a drill to start from"
        } else {
            "give the path of a text file that you may read"
        };
        unreadable(error.to_string(), help)
    })?;
    String::from_utf8(bytes).map_err(|error| {
        let line = error.as_bytes()[..error.utf8_error().valid_up_to()]
            .iter()
            .filter(|byte| **byte == b'\n')
            .count();
        unreadable(
            format!("not text (line {} is not UTF-8)", line + 1),
            "give the path of a text file",
        )
    })
}

/// Reads the text of a drill. `shown` is what messages call it, and the path from whose folder the
/// files that it names are read; `default_name` is its name if it has none.
///
/// # Errors
/// [`BadDrill`] with every mistake in it.
pub fn parse(
    shown: &str,
    default_name: &str,
    text: &str,
    overrides: &[String],
) -> Result<Loaded, BadDrill> {
    let mut sources = Sources::default();
    let mut mistakes = Mistakes::default();
    let whole = sources.add(shown, text);
    let mut root = tree::parse(text, whole, &mut mistakes);
    if mistakes.any() {
        // What is not TOML has no keys to speak of yet.
        let (mistakes, warnings) = mistakes.tie(&sources);
        return Err(BadDrill { mistakes, warnings });
    }
    for argument in overrides {
        let span = sources.add("--set", argument);
        tree::set(&mut root, argument, span, &mut mistakes);
    }
    let node = Spanned::new(Value::Table(root), whole);
    let mut context = Context {
        sources: &sources,
        mistakes: &mut mistakes,
    };
    let drill = schema::Drill::from_node(&node, &mut context).unwrap_or_default();
    let folder = Path::new(shown).parent().unwrap_or(Path::new(""));
    let recorded = recorded::read(&drill, folder, &mut sources, &mut mistakes);
    let sweep = drill.sweep.as_ref().map_or_else(SweepTable::default, |it| {
        let (sources, mistakes) = (&sources, &mut mistakes);
        SweepTable::read(&it.value, &mut Context { sources, mistakes })
    });
    let checked = validate::scenario(&drill, default_name, recorded, &sources, &mut mistakes);
    advice::advise(&checked, &mut mistakes);
    let (mistakes, warnings) = mistakes.tie(&sources);
    if mistakes.is_empty() {
        return Ok(Loaded {
            scenario: checked.scenario,
            warnings,
            sweep,
        });
    }
    Err(BadDrill { mistakes, warnings })
}
