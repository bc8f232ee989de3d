//! Standard output for results, standard error for the rest. The only place that prints.

use std::io::{IsTerminal, Write, stderr, stdout};

use console::Term;
use redrill::{BadDrill, Look, Mistake};

use super::Exit;

/// Widest message.
const MAX_WIDTH_COLUMNS: usize = 100;

/// Writes a result. A closed pipe ends the output quietly, as `head` expects.
pub(crate) fn result(text: &str) {
    let mut out = stdout().lock();
    let _ = out.write_all(text.as_bytes()).and_then(|()| out.flush());
}

/// Writes what a command found, and says how the command ended by that alone.
pub(crate) fn printed(text: Result<String, serde_json::Error>) -> Exit {
    match text {
        Ok(text) => {
            result(&text);
            Exit::Pass
        }
        Err(error) => {
            self::error(&error.to_string());
            Exit::Usage
        }
    }
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
    let look = look_of(stderr().is_terminal(), &Term::stderr());
    Look {
        width_columns: look.width_columns.min(MAX_WIDTH_COLUMNS),
        ..look
    }
}

/// How results look on standard output.
pub(crate) fn stdout_look() -> Look {
    look_of(stdout().is_terminal(), &Term::stdout())
}

fn look_of(is_terminal: bool, terminal: &Term) -> Look {
    let size = terminal.size_checked().filter(|_| is_terminal);
    let width = size.map(|(_, columns)| usize::from(columns).max(40));
    Look {
        color: is_terminal && wants_color(),
        width_columns: width.unwrap_or(MAX_WIDTH_COLUMNS),
    }
}

/// Whether colours are wanted (<https://no-color.org>).
fn wants_color() -> bool {
    let is_set = |name| std::env::var_os(name).is_some_and(|value| !value.is_empty());
    let is_dumb = std::env::var_os("TERM").is_some_and(|term| term == "dumb");
    !is_set("NO_COLOR") && !is_dumb
}
