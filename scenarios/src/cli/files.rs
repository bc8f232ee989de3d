//! The files of a run.

use std::fs::File;
use std::io::BufWriter;
use std::path::{Path, PathBuf};

use redrill::Ended;
use redrill::reports::calibration::measured::{self, Cell};
use redrill::reports::calibration::{Comparison, picture, table};
use redrill::reports::charts::{self, ReferencePoint};
use redrill::reports::summary::Summary;
use redrill::reports::sweep::{self, Sweep};
use redrill::reports::theme::Theme;
use redrill::reports::{html, terminal, timeline};
use redrill::sim::trace::Trace;
use redrill::sim::trace_io;

/// Writes the event log of a run, its pictures and its report into a folder, which is made if need
/// be.
///
/// # Errors
/// A message that names the file.
pub(crate) fn write_run(run: &Ended<'_>, folder: &Path) -> Result<(), String> {
    make(folder)?;
    let Some(trace) = run.trace else {
        return Ok(());
    };
    let log = folder.join("events.ndjson");
    File::create(&log)
        .and_then(|file| trace_io::write(trace, BufWriter::new(file)))
        .map_err(|error| cannot_write(&log, &error))?;
    let options = timeline::Options::default();
    let svg = timeline::svg(trace, &options).map_err(|error| error.to_string())?;
    write(&folder.join("timeline.svg"), svg.as_bytes())?;
    let png = timeline::png(trace, &options).map_err(|error| error.to_string())?;
    write(&folder.join("timeline.png"), &png)?;
    if let (Some(findings), Some(measures)) = (run.findings, &run.summary.measures) {
        let report = html::report(&html::RunReport {
            trace,
            findings,
            measures,
            expectations: run.expectations,
            steps: &run.summary.steps_expected,
            command: run.command,
        });
        write(&folder.join("report.html"), report.as_bytes())?;
    }
    Ok(())
}

/// Writes `summary.json`.
///
/// # Errors
/// A message that names the file.
pub(crate) fn write_summary(summary: &Summary, folder: &Path) -> Result<(), String> {
    make(folder)?;
    let path = folder.join("summary.json");
    let json = serde_json::to_vec_pretty(summary);
    let json = json.map_err(|error| format!("cannot write {}: {error}", path.display()))?;
    write(&path, &json)
}

/// Writes `calibration.md`, `calibration.json`, and a picture of each cell.
///
/// # Errors
/// A message that names the file.
pub(crate) fn write_calibration(cells: &[Comparison], folder: &Path) -> Result<(), String> {
    make(folder)?;
    let tables: Vec<String> = cells.iter().map(table::cell).collect();
    let text = format!("{}\n{}", table::overview(cells), tables.join("\n"));
    write(&folder.join("calibration.md"), text.as_bytes())?;
    for cell in cells {
        let draw = |error: timeline::DrawError| error.to_string();
        let svg = picture::svg(cell).map_err(draw)?;
        write(&folder.join(format!("{}.svg", cell.cell)), svg.as_bytes())?;
        let png = picture::png(cell).map_err(draw)?;
        write(&folder.join(format!("{}.png", cell.cell)), &png)?;
    }
    let path = folder.join("calibration.json");
    let json = serde_json::to_vec_pretty(cells);
    let json = json.map_err(|error| format!("cannot write {}: {error}", path.display()))?;
    write(&path, &json)
}

/// Reads trials that were measured on real servers.
///
/// # Errors
/// A message that names the file.
pub(crate) fn measured(paths: &[PathBuf]) -> Result<Vec<Cell>, String> {
    let mut cells = Vec::new();
    for path in paths {
        let text = std::fs::read_to_string(path)
            .map_err(|error| format!("cannot read {}: {error}", path.display()))?;
        let more = measured::read(&text).map_err(|error| format!("{}: {error}", path.display()))?;
        cells.extend(more);
    }
    Ok(cells)
}

/// Writes the charts of a sweep, for paper, and its report.
///
/// # Errors
/// A message that names the file.
pub(crate) fn write_charts(
    sweep: &Sweep,
    references: &[ReferencePoint],
    command: &str,
    folder: &Path,
) -> Result<(), String> {
    let report = html::sweep_report(sweep, references, command);
    write_whole(&folder.join("report.html"), report.as_bytes())?;
    let charts_folder = folder.join("charts");
    make(&charts_folder)?;
    for chart in charts::charts(sweep, references, Theme::LIGHT) {
        let svg = chart.svg().map_err(|error| error.to_string())?;
        let path = charts_folder.join(&chart.name);
        write(&path.with_extension("svg"), svg.as_bytes())?;
        let png = chart.png().map_err(|error| error.to_string())?;
        write(&path.with_extension("png"), &png)?;
    }
    Ok(())
}

/// Writes `sweep.json` and `runs.csv`.
///
/// # Errors
/// A message that names the file.
pub(crate) fn write_sweep(sweep: &Sweep, folder: &Path) -> Result<(), String> {
    make(folder)?;
    let path = folder.join("sweep.json");
    let json = serde_json::to_vec_pretty(sweep);
    let json = json.map_err(|error| format!("cannot write {}: {error}", path.display()))?;
    write_whole(&path, &json)?;
    write_whole(&folder.join("runs.csv"), sweep::csv(sweep).as_bytes())
}

/// Writes a file that is there as a whole or not at all.
fn write_whole(path: &Path, bytes: &[u8]) -> Result<(), String> {
    let new = path.with_extension("new");
    write(&new, bytes)?;
    std::fs::rename(&new, path).map_err(|error| cannot_write(path, &error))
}

/// The timeline of a run for standard output.
pub(crate) fn timeline(trace: &Trace) -> String {
    let look = super::output::stdout_look();
    terminal::render(
        trace,
        &terminal::Options {
            width: look.width_columns,
            colour: look.color,
            ..terminal::Options::default()
        },
    )
}

fn make(folder: &Path) -> Result<(), String> {
    std::fs::create_dir_all(folder)
        .map_err(|error| format!("cannot make the folder {}: {error}", folder.display()))
}

fn write(path: &Path, bytes: &[u8]) -> Result<(), String> {
    std::fs::write(path, bytes).map_err(|error| cannot_write(path, &error))
}

fn cannot_write(path: &Path, error: &std::io::Error) -> String {
    format!("cannot write {}: {error}", path.display())
}
