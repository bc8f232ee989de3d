//! `redrill sweep`

use std::ops::Range;
use std::path::{Path, PathBuf};
use std::str::FromStr;
use std::time::{Duration, Instant};

use indicatif::{ProgressBar, ProgressStyle};
use redrill::reports::charts::ReferencePoint;
use redrill::reports::summary::command_line;
use redrill::reports::sweep::{Sweep as Swept, SweepData, table};
use redrill::reports::text::grouped;
use redrill::sweep::{Journal, Options, Sweep, SweepError};

use super::{Exit, Format, SweepArguments, files, output};

/// `N` or `A..B`
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) struct Seeds(Range<u64>);

/// A `--seeds` is not written as it should be.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
#[error("expected a number, as in 500 for the seeds 0 to 499, or FIRST..END, as in 100..600")]
pub(crate) struct BadSeeds;

impl FromStr for Seeds {
    type Err = BadSeeds;

    fn from_str(text: &str) -> Result<Self, BadSeeds> {
        redrill::sweep::seeds(text).map(Self).ok_or(BadSeeds)
    }
}

pub(crate) fn sweep(arguments: &SweepArguments) -> Exit {
    let mut options = Options {
        set: arguments.set.clone(),
        engines: arguments.engine.clone(),
        seeds: arguments.seeds.as_ref().map(|seeds| seeds.0.clone()),
        slo: arguments.slo.clone(),
        ..Options::default()
    };
    if let Some(world) = arguments.world {
        options.world = world;
    }
    if let Some(jobs) = arguments.jobs {
        options.jobs = jobs.get();
    }
    let sweep = match Sweep::from_file(&arguments.drill, &options) {
        Ok(sweep) => sweep,
        Err(bad) => {
            output::bad_drill(&bad);
            return Exit::BadDrill;
        }
    };
    output::warnings(sweep.warnings());
    let folder = match &arguments.out {
        Some(folder) => folder.clone(),
        None => default_folder(&sweep),
    };
    if !arguments.measured.is_empty() && !sweep.varies(MEASURED_OVER) {
        output::error(&format!(
            "--measured lays its points over an axis of node-timeouts, and this sweep has none; \
             add --set {MEASURED_OVER}=1000..15000:log8"
        ));
        return Exit::Usage;
    }
    // A mistake in these files must not come to light after hours.
    let references = match files::measured(&arguments.measured) {
        Ok(cells) => ReferencePoint::of_measured(&cells),
        Err(error) => {
            output::error(&error);
            return Exit::BadDrill;
        }
    };
    match run(&sweep, &folder) {
        Ok(swept) => report(arguments, &swept, &references, &folder),
        Err(error) => {
            output::error(&error.to_string());
            match error {
                SweepError::Journal(_) => Exit::Usage,
                SweepError::Impossible { .. } | SweepError::Threads(_) => Exit::NothingRan,
            }
        }
    }
}

/// What the measured points stand over.
const MEASURED_OVER: &str = "config.cluster-node-timeout";

/// The same sweep has the same place, and goes on there after an interrupt; another one does not
/// get in its way.
fn default_folder(sweep: &Sweep) -> PathBuf {
    let name = format!("{}-sweep-{}", sweep.name(), sweep.digest());
    Path::new("redrill-out").join(name)
}

fn run(sweep: &Sweep, folder: &Path) -> Result<Swept, SweepError> {
    let (journal, finished) = Journal::open(folder, sweep)?;
    let total = sweep.run_count();
    let done = sweep.count_of(&finished);
    if done > 0 {
        output::message(&format!(
            "{} of {} runs are in {} already",
            grouped(done),
            grouped(total),
            folder.display()
        ));
    }
    let progress = progress(total, done);
    let started = Instant::now();
    let swept = sweep.run(&finished, |configuration, run| {
        journal.keep(configuration, run)?;
        progress.inc(1);
        Ok(())
    });
    progress.finish_and_clear();
    let made = total - done;
    if swept.is_ok() && made > 0 {
        output::message(&format!(
            "{} configurations, {} runs in {:.1} s",
            grouped(sweep.configuration_count() as u64),
            grouped(made),
            started.elapsed().as_secs_f64()
        ));
    }
    swept
}

/// A bar on standard error, hidden off a terminal. What was done before tells nothing of the time
/// that is left.
fn progress(total: u64, done: u64) -> ProgressBar {
    let template = "{bar:30} {pos}/{len} runs, {per_sec}, {eta} left";
    let style = ProgressStyle::with_template(template);
    let bar = ProgressBar::new(total)
        .with_style(style.unwrap_or_else(|_| ProgressStyle::default_bar()))
        .with_position(done);
    bar.reset_eta();
    bar.enable_steady_tick(Duration::from_millis(250));
    bar
}

fn report(
    arguments: &SweepArguments,
    swept: &Swept,
    references: &[ReferencePoint],
    folder: &Path,
) -> Exit {
    let mut exit = Exit::of(swept.outcome());
    let written = files::write_sweep(swept, folder)
        .and_then(|()| files::write_charts(swept, references, &command(arguments), folder));
    if let Err(error) = written {
        output::error(&error);
        exit = exit.max(Exit::Usage);
    }
    let printed = match arguments.format {
        Format::Human => {
            let text = table::render(swept, output::stdout_look().color);
            Ok(format!(
                "{text}\nresults  {}\nreport   {}\n",
                folder.join("sweep.json").display(),
                folder.join("report.html").display()
            ))
        }
        Format::Json => serde_json::to_string_pretty(swept).map(|text| text + "\n"),
        Format::Ndjson => lines(swept),
    };
    exit.max(output::printed(printed))
}

/// The command that repeats the sweep.
fn command(arguments: &SweepArguments) -> String {
    let mut words = vec!["redrill".to_owned(), "sweep".into()];
    words.push(arguments.drill.display().to_string());
    let mut option = |name: &str, value: String| words.extend([name.to_owned(), value]);
    for set in &arguments.set {
        option("--set", set.clone());
    }
    if let Some(engines) = &arguments.engine {
        option("--engine", engines.clone());
    }
    if let Some(Seeds(seeds)) = &arguments.seeds {
        option("--seeds", format!("{}..{}", seeds.start, seeds.end));
    }
    for slo in &arguments.slo {
        option("--slo", slo.clone());
    }
    if let Some(world) = arguments.world {
        option("--world", world.name().to_owned());
    }
    for path in &arguments.measured {
        option("--measured", path.display().to_string());
    }
    command_line(&words)
}

/// A line a run, then one for all of them together, without the runs.
fn lines(swept: &Swept) -> Result<String, serde_json::Error> {
    #[derive(serde::Serialize)]
    struct Line<'a, R> {
        configuration: usize,
        label: &'a str,
        #[serde(flatten)]
        run: R,
    }
    let mut text = String::new();
    for (place, configuration) in swept.data.configurations.iter().enumerate() {
        for run in &configuration.runs {
            text.push_str(&serde_json::to_string(&Line {
                configuration: place,
                label: &configuration.label,
                run,
            })?);
            text.push('\n');
        }
    }
    let mut whole = swept.clone();
    without_runs(&mut whole.data);
    text.push_str(&serde_json::to_string(&whole)?);
    text.push('\n');
    Ok(text)
}

fn without_runs(data: &mut SweepData) {
    for configuration in &mut data.configurations {
        configuration.runs.clear();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn seeds_are_a_number_or_a_range() {
        assert_eq!("500".parse(), Ok(Seeds(0..500)));
        assert_eq!("100..600".parse(), Ok(Seeds(100..600)));
        for text in ["", "0", "5..5", "9..3", "a", "..", "-1..4"] {
            assert_eq!(text.parse::<Seeds>(), Err(BadSeeds), "{text}");
        }
    }
}
