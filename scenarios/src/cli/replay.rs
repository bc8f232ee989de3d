//! `redrill replay`

use std::fs::File;
use std::io::BufReader;

use redrill::Ended;
use redrill::reports::measures::Measures;
use redrill::reports::summary::{Invocation, RunSummary, Summary};
use redrill::sim::checkers::check;
use redrill::sim::trace::Trace;
use redrill::sim::{TraceHash, trace_io};

use super::{Exit, ReplayArguments, files, human, output};

pub(crate) fn replay(arguments: &ReplayArguments) -> Exit {
    let shown = arguments.log.display().to_string();
    let trace = match File::open(&arguments.log) {
        Ok(file) => trace_io::read(BufReader::new(file)),
        Err(error) => {
            output::error(&format!("cannot read {shown}: {error}"));
            return Exit::BadDrill;
        }
    };
    match trace {
        Ok(trace) => judge(&trace, &shown, arguments),
        Err(error) => {
            let because = std::error::Error::source(&error);
            let because = because.map_or_else(String::new, |source| format!(": {source}"));
            output::error(&format!("{shown}: {error}{because}"));
            Exit::BadDrill
        }
    }
}

fn judge(trace: &Trace, shown: &str, arguments: &ReplayArguments) -> Exit {
    let findings = check(trace);
    let measures = Measures::of(trace, &findings);
    // The log does not hold the drill's expectations: only its verdict is told again.
    let Ok(nothing) = redrill::parse("nothing", "nothing", "", &[]) else {
        return Exit::NothingRan;
    };
    let scenario = &nothing.scenario;
    let hash = TraceHash::of(trace);
    let run = RunSummary::new(scenario, trace, hash, &findings, measures);
    let header = &trace.header;
    let command = format!("redrill replay {shown}");
    let mut summary = Summary {
        drill: header.drill.clone(),
        question: header.question.clone(),
        engine: header.engine.name().to_owned(),
        config: header.config.clone(),
        ..Summary::new(
            scenario,
            &header.world,
            &Invocation::default(),
            vec![run.clone()],
        )
    };
    for failure in &mut summary.failures {
        failure.repeat.clone_from(&command);
    }
    let mut timelines = Vec::new();
    if arguments.timeline {
        timelines.push(files::timeline(trace));
    }
    let folder = arguments.out.as_deref();
    let mut exit = Exit::of(summary.outcome);
    if let Some(folder) = folder {
        let ended = Ended {
            summary: &run,
            trace: Some(trace),
            findings: Some(&findings),
            expectations: &[],
            command: &command,
        };
        let written = files::write_run(&ended, folder);
        if let Err(error) = written.and_then(|()| files::write_summary(&summary, folder)) {
            output::error(&error);
            exit = exit.max(Exit::Usage);
        }
    }
    let text = human::summary(&summary, folder, &timelines, output::stdout_look());
    output::result(&text);
    exit
}
