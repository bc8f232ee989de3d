//! The runs as comma-separated values, for notebooks.

use std::fmt::Write;

use redrill_sim::scenario::{Measure, Per};

use super::{Sweep, of_run, values};
use crate::measures::Measures;
use crate::summary::{RunSummary, measure_key};

/// The causes of lost writes, each a column.
const CAUSES: [&str; 7] = ["A1", "A2", "A3", "A4", "A5", "open", "D"];

/// One row a run, in the order of configurations and seeds. What is measured per failover or mistake
/// has its greatest value of the run; `inf` stands for what did not end, nothing for what is not
/// there.
#[must_use]
pub fn csv(sweep: &Sweep) -> String {
    let axes = &sweep.data.axes;
    let mut head: Vec<String> = vec!["configuration".to_owned()];
    head.extend(axes.iter().map(|axis| quoted(&axis.path)));
    for name in [
        "seed",
        "verdict",
        "observed_ms",
        "events",
        "trace_hash",
        "unanswered",
    ] {
        head.push(name.to_owned());
    }
    head.extend(Measure::ALL.into_iter().map(|measure| match measure.per() {
        Per::Run => measure_key(measure),
        Per::Failover | Per::Mistake => format!("{}_greatest", measure_key(measure)),
    }));
    head.extend(CAUSES.iter().map(|cause| format!("lost_{cause}")));
    let mut text = head.join(",") + "\n";
    for (place, configuration) in sweep.data.configurations.iter().enumerate() {
        let values = configuration.places.iter().zip(axes);
        let values = values.map(|(value, axis)| {
            let value = axis.values.get(*value);
            value.map_or_else(String::new, |value| quoted(value.text.trim_matches('"')))
        });
        let begin: Vec<String> = [place.to_string()].into_iter().chain(values).collect();
        for run in &configuration.runs {
            text.push_str(&begin.join(","));
            for cell in cells(run) {
                let _ = write!(text, ",{cell}");
            }
            text.push('\n');
        }
    }
    text
}

fn cells(run: &RunSummary) -> Vec<String> {
    let measures = run.measures.as_ref();
    let mut cells = vec![
        run.seed.to_string(),
        format!("{:?}", run.verdict).to_lowercase(),
        measures.map_or_else(String::new, |it| it.observed_ms.to_string()),
        run.events.to_string(),
        run.trace_hash
            .map_or_else(String::new, |hash| hash.to_string()),
        measures.map_or_else(String::new, |it| deserved(it).to_string()),
    ];
    cells.extend(Measure::ALL.into_iter().map(|measure| {
        let value = match (measure.per(), measures) {
            (Per::Run, Some(run)) => values(measure, &[run]).first().copied(),
            (Per::Failover | Per::Mistake, Some(_)) => of_run(measure, run),
            (Per::Run | Per::Failover | Per::Mistake, None) => None,
        };
        value.map_or_else(String::new, |value| value.to_string())
    }));
    cells.extend(CAUSES.iter().map(|cause| {
        let lost = |it: &Measures| it.lost_by_cause.get(*cause).copied();
        measures.map_or_else(String::new, |it| lost(it).unwrap_or(0).to_string())
    }));
    cells
}

/// Outages that lasted for the node-timeout and got no failover.
fn deserved(run: &Measures) -> usize {
    let unanswered = run.unanswered.iter();
    unanswered.filter(|it| it.deserved_failover).count()
}

/// A cell as RFC 4180 writes it.
fn quoted(text: &str) -> String {
    match text.contains([',', '"', '\n', '\r']) {
        true => format!("\"{}\"", text.replace('"', "\"\"")),
        false => text.to_owned(),
    }
}
