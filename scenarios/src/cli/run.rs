//! `redrill run`

use std::ops::Range;
use std::path::{Path, PathBuf};
use std::str::FromStr;
use std::sync::Mutex;

use indicatif::{ProgressBar, ProgressStyle};
use redrill::reports::summary::{DrillOutcome, RunSummary, Summary};
use redrill::{Drill, Ended, NothingRan, Outcome};

use super::{Exit, Format, RunArguments, changes, files, human, output};

/// Seeds that fail and get files of their own under `--out`.
const FAILURES_WITH_FILES: usize = 5;

/// `A..B`
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) struct Seeds(pub(crate) Range<u64>);

/// A `--seeds` is not written as it should be.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
#[error("expected FIRST..END, as in 0..50: from 0 to 49")]
pub(crate) struct BadSeeds;

impl FromStr for Seeds {
    type Err = BadSeeds;

    fn from_str(text: &str) -> Result<Self, BadSeeds> {
        let (first, end) = text.split_once("..").ok_or(BadSeeds)?;
        match (first.trim().parse(), end.trim().parse()) {
            (Ok(first), Ok(end)) if first < end => Ok(Self(first..end)),
            (Ok(_) | Err(_), _) => Err(BadSeeds),
        }
    }
}

pub(crate) fn run(arguments: &RunArguments) -> Exit {
    let changes = changes(arguments.engine, &arguments.set);
    let drill = match Drill::from_file_with(&arguments.drill, &changes) {
        Ok(drill) => drill,
        Err(bad) => {
            output::bad_drill(&bad);
            return Exit::BadDrill;
        }
    };
    output::warnings(drill.warnings());
    let seeds = match &arguments.seeds {
        Some(Seeds(seeds)) => seeds.clone(),
        None => arguments.seed..arguments.seed.saturating_add(1),
    };
    let mut drill = drill.seeds(seeds.clone());
    if let Some(world) = arguments.world {
        drill = drill.world(world);
    }
    if let Some(jobs) = arguments.jobs {
        drill = drill.jobs(jobs.get());
    }
    let is_single = seeds.end - seeds.start == 1;
    let folder = folder(arguments, &drill, is_single);
    let shelf = Shelf {
        folder: folder.as_deref(),
        is_single,
        timeline: arguments.timeline,
        progress: progress(seeds.end - seeds.start, is_single),
        kept: Mutex::default(),
    };
    match drill.run_with(|ended| shelf.take(ended)) {
        Ok(outcome) => {
            shelf.progress.finish_and_clear();
            report(arguments, &outcome, shelf, folder.as_deref())
        }
        Err(error) => {
            shelf.progress.finish_and_clear();
            output::error(&error.to_string());
            match error {
                NothingRan::NoSeeds(_) => Exit::Usage,
                NothingRan::Impossible(_) => Exit::NothingRan,
            }
        }
    }
}

/// Where the files go: as asked; a run of one seed has a place of its own otherwise.
fn folder(arguments: &RunArguments, drill: &Drill, is_single: bool) -> Option<PathBuf> {
    let default = || {
        let name = format!("{}-{}", drill.scenario().name, arguments.seed);
        Path::new("redrill-out").join(name)
    };
    match &arguments.out {
        Some(folder) => Some(folder.clone()),
        None => (is_single && arguments.seeds.is_none()).then(default),
    }
}

/// A bar on standard error, hidden off a terminal.
fn progress(seeds: u64, is_single: bool) -> ProgressBar {
    if is_single {
        return ProgressBar::hidden();
    }
    let template = "{bar:30} {pos}/{len} seeds, {per_sec}, {eta} left  {msg}";
    let style = ProgressStyle::with_template(template);
    ProgressBar::new(seeds).with_style(style.unwrap_or_else(|_| ProgressStyle::default_bar()))
}

/// Takes runs as they end: writes their files, shows progress.
struct Shelf<'a> {
    folder: Option<&'a Path>,
    is_single: bool,
    timeline: bool,
    progress: ProgressBar,
    kept: Mutex<Kept>,
}

/// What is kept of the runs besides their summaries.
#[derive(Default)]
struct Kept {
    failed: usize,
    with_files: usize,
    first_failed: Option<u64>,
    timelines: Vec<(u64, String)>,
    errors: Vec<String>,
}

impl Shelf<'_> {
    fn take(&self, ended: &Ended<'_>) {
        let failed = ended.summary.outcome() != DrillOutcome::Pass;
        let folder = self.note(ended.summary, failed);
        if let (Some(folder), Some(_)) = (&folder, ended.trace)
            && let Err(error) = files::write_run(ended, folder)
        {
            self.change(|kept| kept.errors.push(error));
        }
        if let (true, Some(trace)) = (self.timeline, ended.trace) {
            let seed = ended.summary.seed;
            let timeline = files::timeline(trace);
            self.change(|kept| kept.timelines.push((seed, timeline)));
        }
        self.progress.inc(1);
    }

    /// Counts a run; returns where its files go, if it gets any.
    fn note(&self, run: &RunSummary, failed: bool) -> Option<PathBuf> {
        let mut place = None;
        self.change(|kept| {
            if failed {
                kept.failed += 1;
                let first = kept
                    .first_failed
                    .map_or(run.seed, |seed| seed.min(run.seed));
                kept.first_failed = Some(first);
                let failures = kept.failed;
                self.progress
                    .set_message(format!("{failures} failed, first seed {first}"));
            }
            if self.is_single {
                place = self.folder.map(Path::to_path_buf);
            } else if failed && kept.with_files < FAILURES_WITH_FILES {
                kept.with_files += 1;
                place = self
                    .folder
                    .map(|folder| folder.join(format!("seed-{}", run.seed)));
            }
        });
        place
    }

    fn change(&self, change: impl FnOnce(&mut Kept)) {
        // A run that panicked takes nothing from what the others left here.
        let mut kept = (self.kept.lock()).unwrap_or_else(std::sync::PoisonError::into_inner);
        change(&mut kept);
    }
}

fn report(
    arguments: &RunArguments,
    outcome: &Outcome,
    shelf: Shelf<'_>,
    folder: Option<&Path>,
) -> Exit {
    let summary = &outcome.summary;
    let mut kept = (shelf.kept.into_inner()).unwrap_or_else(std::sync::PoisonError::into_inner);
    if let Some(folder) = folder
        && let Err(error) = files::write_summary(summary, folder)
    {
        kept.errors.push(error);
    }
    kept.timelines.sort();
    let timelines: Vec<String> = kept.timelines.into_iter().map(|(_, text)| text).collect();
    let printed = match arguments.format {
        Format::Human => Ok(human::summary(
            summary,
            folder,
            &timelines,
            output::stdout_look(),
        )),
        Format::Json => json(summary),
        Format::Ndjson => lines(summary),
    };
    match printed {
        Ok(text) => output::result(&text),
        Err(error) => kept.errors.push(error.to_string()),
    }
    for error in &kept.errors {
        output::error(error);
    }
    match kept.errors.is_empty() {
        true => Exit::of(summary.outcome),
        false => Exit::of(summary.outcome).max(Exit::Usage),
    }
}

/// One object.
fn json(summary: &Summary) -> Result<String, serde_json::Error> {
    Ok(serde_json::to_string_pretty(summary)? + "\n")
}

/// A line a run, then one for all of them together, without the runs.
fn lines(summary: &Summary) -> Result<String, serde_json::Error> {
    let mut text = String::new();
    for run in &summary.runs {
        text.push_str(&serde_json::to_string(run)?);
        text.push('\n');
    }
    let whole = Summary {
        runs: Vec::new(),
        ..summary.clone()
    };
    text.push_str(&serde_json::to_string(&whole)?);
    text.push('\n');
    Ok(text)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn seeds_are_a_range_that_is_not_empty() {
        assert_eq!("0..50".parse(), Ok(Seeds(0..50)));
        for text in ["", "5", "5..5", "9..3", "a..b", "..", "-1..4"] {
            assert_eq!(text.parse::<Seeds>(), Err(BadSeeds), "{text}");
        }
    }
}
