//! Standard output for results, standard error for the rest. The only place that prints.

use std::io::{IsTerminal, Write, stderr, stdout};

use redrill::{BadDrill, Look, Mistake};

/// Widest message.
const MAX_WIDTH_COLUMNS: usize = 100;

/// Writes a result. A closed pipe ends the output quietly, as `head` expects.
pub(crate) fn result(text: &str) {
    let mut out = stdout().lock();
    let _ = out.write_all(text.as_bytes()).and_then(|()| out.flush());
}

/// Writes a message.
pub(crate) fn message(text: &str) {
    let mut out = stderr().lock();
    let _ = writeln!(out, "{text}");
}

/// Writes an error that has no place in a drill.
pub(crate) fn error(text: &str) {
    message(&format!("error: {text}"));
}

/// Writes what is wrong with a drill.
pub(crate) fn bad_drill(bad: &BadDrill) {
    message(&bad.render(look()));
    warnings(&bad.warnings);
}

/// Writes what is doubtful about a drill.
pub(crate) fn warnings(warnings: &[Mistake]) {
    for warning in warnings {
        message(&warning.render(look()));
    }
}

/// How messages look on standard error.
fn look() -> Look {
    let is_terminal = stderr().is_terminal();
    let width = if is_terminal {
        terminal_columns()
    } else {
        None
    };
    Look {
        color: is_terminal && wants_color(),
        width_columns: width.unwrap_or(MAX_WIDTH_COLUMNS).min(MAX_WIDTH_COLUMNS),
    }
}

/// Whether colours are wanted (<https://no-color.org>).
pub(crate) fn wants_color() -> bool {
    let is_set = |name| std::env::var_os(name).is_some_and(|value| !value.is_empty());
    let is_dumb = std::env::var_os("TERM").is_some_and(|term| term == "dumb");
    !is_set("NO_COLOR") && !is_dumb
}

fn terminal_columns() -> Option<usize> {
    let (_, columns) = console::Term::stderr().size_checked()?;
    Some(usize::from(columns).max(40))
}
