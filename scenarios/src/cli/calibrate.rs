//! `redrill calibrate`

use redrill::calibration::compare;
use redrill::reports::calibration::{Comparison, table};
use redrill::reports::summary::DrillOutcome;

use super::{CalibrateArguments, Exit, files, output};

pub(crate) fn calibrate(arguments: &CalibrateArguments) -> Exit {
    let cells = match files::measured(&arguments.measured) {
        Ok(cells) => cells,
        Err(error) => {
            output::error(&error);
            return Exit::BadDrill;
        }
    };
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
        && let Err(error) = files::write_calibration(&comparisons, folder)
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
