//! `report.html`: a run, or a sweep, in one file that needs no network and no server.
//!
//! What can be read as text stands in the document itself; the timeline is drawn by a small
//! script from data inside the file, so that one can zoom and look at single events. Without the
//! script the same timeline stands there as a still picture.

mod data;
mod sections;
mod sweep;

use maud::{DOCTYPE, Markup, PreEscaped, html};
use redrill_sim::checkers::{Findings, Verdict};
use redrill_sim::trace::Trace;

use crate::expectations::{EvaluatedExpectation, EvaluatedStep};
use crate::measures::Measures;
use crate::model::Model;
use crate::timeline;
use data::Data;
pub use sweep::sweep_report;

const STYLE: &str = include_str!("report.css");
const SCRIPT: &str = include_str!("report.js");

/// What a report tells of a run.
#[derive(Clone, Copy, Debug)]
pub struct RunReport<'a> {
    /// The run.
    pub trace: &'a Trace,
    /// What the checkers found.
    pub findings: &'a Findings,
    /// What was measured.
    pub measures: &'a Measures,
    /// The drill's expectations, held against this run or all runs.
    pub expectations: &'a [EvaluatedExpectation],
    /// What was expected of single steps of this run.
    pub steps: &'a [EvaluatedStep],
    /// The command that repeats the run.
    pub command: &'a str,
}

/// The head of a page, with its own policy of what it may load, and its own styles behind those of
/// all pages.
fn head(title: &str, policy: &str, styles: &str) -> Markup {
    html! {
        head {
            meta charset="utf-8";
            meta name="viewport" content="width=device-width, initial-scale=1";
            meta http-equiv="Content-Security-Policy" content=(policy);
            meta name="referrer" content="no-referrer";
            title { (title) " · redrill" }
            style { (PreEscaped(STYLE)) (PreEscaped(styles)) }
        }
    }
}

/// The report as an HTML document.
#[must_use]
pub fn report(run: &RunReport<'_>) -> String {
    let model = Model::judged(run.trace, run.findings, run.measures);
    let data = Data::of(&model);
    let left_out = data.left_out;
    // Numbers, texts and lists always become JSON; if not, the page says so by lacking them.
    let json = data.to_json().unwrap_or_else(|_| "null".to_owned());
    let title = format!("{} (seed {})", model.header.drill, model.header.seed);
    html! {
        (DOCTYPE)
        html lang="en" {
            (head(&title, POLICY, ""))
            body {
                a.skip href="#timeline" { "To the timeline" }
                (sections::head(&model, run))
                main {
                    (sections::verdicts(&model, run))
                    (timeline_section(&model))
                    (sections::rules(&model, run))
                    (sections::expectations(run))
                    (sections::measures(&model, run))
                    (sections::losses(&model, run))
                    (events_section(&model, left_out))
                    (sections::configuration(&model))
                }
                footer {
                    "Drawn from the event log of this run by redrill " (env!("CARGO_PKG_VERSION"))
                    ". Log lines are in the words of Redis 7.0."
                }
                script #run type="application/json" { (PreEscaped(json)) }
                script { (PreEscaped(SCRIPT)) }
            }
        }
    }
    .into_string()
}

/// The page may use what stands in it and nothing else, whatever a drill's names try.
const POLICY: &str = "default-src 'none'; style-src 'unsafe-inline'; \
                      script-src 'unsafe-inline'; img-src data:; base-uri 'none'; \
                      form-action 'none'";

fn timeline_section(model: &Model) -> Markup {
    let still = timeline::svg_without_fonts(model, &timeline::Options::default());
    html! {
        section aria-labelledby="timeline" {
            h2 #timeline { "Timeline" }
            div.tools {
                button #in type="button" { "Zoom in" }
                button #out type="button" { "Zoom out" }
                button #earlier type="button" { "Earlier" }
                button #later type="button" { "Later" }
                button #incident type="button" { "The incident" }
                button #whole type="button" { "Whole run" }
                label.check { input #details type="checkbox"; "All marks" }
                span.where #where aria-live="off" {}
            }
            div.chart #chart {
                svg.overview #overview role="img" aria-label="The whole run; drag to choose a part" {}
                svg.main #main tabindex="0" role="application"
                    aria-label=(format!("Timeline of {}", model.header.drill))
                    aria-describedby="how" {
                    defs { (PreEscaped(PATTERNS)) }
                    g #paint {}
                }
                div.tip #tip hidden {}
                (sections::legend(model))
                noscript { (PreEscaped(still.unwrap_or_default())) }
            }
            p.note #how {
                "Drag to move, " kbd { "Ctrl" } " and the wheel to zoom, point or tap to read. "
                "With the keyboard: arrows go from event to event (up and down stay on the node), "
                kbd { "+" } " and " kbd { "-" } " zoom, " kbd { "0" } " shows the incident, "
                kbd { "f" } " the whole run."
            }
            div.unseen #voice role="status" aria-live="polite" {}
        }
    }
}

/// The hatches, by what is wrong: upright for a stall, crossed for a crash, slanted for a cut.
const PATTERNS: &str = r#"
<pattern id="h-stalled" width="5" height="5" patternUnits="userSpaceOnUse"><path d="M2.5 0V5" stroke="var(--hatch)" stroke-width="1.4"/></pattern>
<pattern id="h-crashed" width="8" height="8" patternUnits="userSpaceOnUse"><path d="M0 0 8 8M8 0 0 8" stroke="var(--hatch)" stroke-width="1.3"/></pattern>
<pattern id="h-cutoff" width="7" height="7" patternUnits="userSpaceOnUse"><path d="M-1.75 1.75 1.75-1.75M0 7 7 0M5.25 8.75 8.75 5.25" stroke="var(--hatch)" stroke-width="1.2"/></pattern>
<pattern id="h-partly" width="18" height="18" patternUnits="userSpaceOnUse"><path d="M0 18 18 0" stroke="var(--hatch)" stroke-width="1.2"/></pattern>
"#;

fn events_section(model: &Model, left_out: usize) -> Markup {
    html! {
        section aria-labelledby="events" {
            h2 #events { "Events" }
            div.tools {
                input #find type="search" placeholder="Find in the log lines" aria-label="Find in the log lines" size="28";
                select #who aria-label="Node" {
                    option value="-1" { "Every node" }
                    @for lane in model.lanes() {
                        option value=(lane.node) { (lane.name) }
                    }
                }
                label.check { input #everything type="checkbox"; "Everything, not only the story" }
                label.check { input #in-view type="checkbox"; "Only what the timeline shows" }
                span.where #count role="status" {}
            }
            div.events tabindex="0" role="region" aria-labelledby="events" {
                table {
                    (sections::table_head(&["Since first fault", "Node", "In Redis's words"].map(sections::Column::Words)))
                    tbody #rows {}
                }
                button #more type="button" hidden { "Show more" }
            }
            @if left_out > 0 {
                p.note {
                    (left_out) " events of lesser weight are not in this file; the event log has them."
                }
            }
        }
    }
}

/// A verdict's class in the style sheet, its sign and its words.
const fn verdict_words(verdict: Verdict) -> (&'static str, &'static str, &'static str) {
    match verdict {
        Verdict::Valid => ("valid", "✓", "valid"),
        Verdict::Unknown => ("unknown", "?", "unknown"),
        Verdict::Invalid => ("invalid", "✗", "invalid"),
    }
}

#[cfg(test)]
mod tests;
