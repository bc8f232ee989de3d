//! `redrill calibrate`

use std::path::Path;

use redrill::calibration::compare;
use redrill::reports::calibration::measured::{self, Cell};
use redrill::reports::calibration::{Comparison, table};
use redrill::reports::summary::DrillOutcome;

use super::{CalibrateArguments, Exit, output};

pub(crate) fn calibrate(arguments: &CalibrateArguments) -> Exit {
    let mut cells = Vec::new();
    for path in &arguments.measured {
        match read(path) {
            Ok(more) => cells.extend(more),
            Err(error) => {
                output::error(&error);
                return Exit::BadDrill;
            }
        }
    }
    if cells.is_empty() {
        output::error("there is no measured trial in these files");
        return Exit::NothingRan;
    }
    let jobs = arguments.jobs.map_or_else(
        || std::thread::available_parallelism().map_or(1, usize::from),
        usize::from,
    );
    let mut comparisons = Vec::new();
    for cell in &cells {
        match compare(cell, 0..arguments.seeds.get(), jobs) {
            Ok(comparison) => {
                output::result(&(table::cell(&comparison) + "\n"));
                comparisons.push(comparison);
            }
            Err(error) => {
                output::error(&error.to_string());
                return Exit::Failed(DrillOutcome::Inconclusive);
            }
        }
    }
    output::result(&table::overview(&comparisons));
    if let Some(folder) = &arguments.out
        && let Err(error) = super::files::write_calibration(&comparisons, folder)
    {
        output::error(&error);
        return Exit::Usage;
    }
    let is_inside = |comparison: &Comparison| comparison.outside().is_empty();
    match comparisons.iter().all(is_inside) {
        true => Exit::Pass,
        false => Exit::Failed(DrillOutcome::ExpectationMissed),
    }
}

fn read(path: &Path) -> Result<Vec<Cell>, String> {
    let text = std::fs::read_to_string(path)
        .map_err(|error| format!("cannot read {}: {error}", path.display()))?;
    measured::read(&text).map_err(|error| format!("{}: {error}", path.display()))
}
