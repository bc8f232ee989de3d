//! `redrill compare`

use std::path::Path;

use redrill::reports::sweep::compare::{Comparison, Results, render};

use super::{CompareArguments, Exit, Format, output};

pub(crate) fn compare(arguments: &CompareArguments) -> Exit {
    let (first, second) = match (read(&arguments.first), read(&arguments.second)) {
        (Ok(first), Ok(second)) => (first, second),
        (first, second) => {
            for error in [first.err(), second.err()].into_iter().flatten() {
                output::error(&error);
            }
            return Exit::BadDrill;
        }
    };
    let comparison = match Comparison::of(&first, &second) {
        Ok(comparison) => comparison,
        Err(error) => {
            output::error(&error.to_string());
            return Exit::Usage;
        }
    };
    output::printed(printed(arguments.format, &comparison))
}

fn read(path: &Path) -> Result<Results, String> {
    let text = std::fs::read_to_string(path)
        .map_err(|error| format!("cannot read {}: {error}", path.display()))?;
    Results::read(&text).map_err(|error| format!("cannot read {}: {error}", path.display()))
}

fn printed(format: Format, comparison: &Comparison) -> Result<String, serde_json::Error> {
    match format {
        Format::Human => Ok(render(comparison)),
        Format::Json => Ok(serde_json::to_string_pretty(comparison)? + "\n"),
        Format::Ndjson => {
            let lines = comparison.configurations.iter().map(serde_json::to_string);
            lines.map(|line| Ok(line? + "\n")).collect()
        }
    }
}
