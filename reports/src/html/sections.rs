//! The parts of the report that are text and tables.

use maud::{Markup, PreEscaped, html};
use redrill_node::SlotRange;
use redrill_sim::checkers::{Code, LossCause, LostWrite, Verdict};
use redrill_sim::scenario::{StepExpectation, Unit};
use redrill_sim::trace::NodeNumber;
use redrill_sim::weather::WeatherKind;

use super::{RunReport, verdict_words};
use crate::expectations::{EvaluatedExpectation, ExpectationOutcome};
use crate::measures::FailoverHow;
use crate::model::{EventKind, Failover, Model, Trouble, WeatherStrip, Weight};
use crate::text::{length, length_ms, seconds_since};
use crate::theme::{INK, Shape, mark};
use Column::{Number, Words};

/// More failovers than this have no card of their own.
const MOST_CARDS: usize = 8;

/// More lost writes than this are only counted.
const MOST_LOST: usize = 200;

/// Title, question, what ran, and how to repeat it.
pub(super) fn head(model: &Model, run: &RunReport<'_>) -> Markup {
    html! {
        header.page {
            div {
                h1 { (model.header.drill) }
                @if let Some(question) = &model.header.question {
                    p.question { (question) }
                }
                p.facts { (crate::timeline::facts(model)) }
            }
            div.look { button #look type="button" { "Colours" } }
            div.command {
                code #again { (run.command) }
                button type="button" data-copy="again" { "Copy" }
            }
        }
    }
}

/// The verdict, each failover in its parts, and what it cost.
pub(super) fn verdicts(model: &Model, run: &RunReport<'_>) -> Markup {
    let verdict = run.findings.verdict();
    let (class, sign, words) = verdict_words(verdict);
    let exposure = &run.findings.exposure;
    let ledger = &run.findings.ledger;
    html! {
        section.strip aria-label="Verdict" {
            div class=(format!("card verdict {class}")) {
                div.name { "verdict" }
                div class=(format!("value {class}")) { (sign) " " (words) }
                div.more { (verdict_reason(run)) }
            }
            @for failover in model.failovers.iter().take(MOST_CARDS) {
                (failover_card(model, failover))
            }
            @if model.failovers.len() > MOST_CARDS {
                (card("more failovers", &(model.failovers.len() - MOST_CARDS).to_string(), "in the timeline"))
            }
            @if model.failovers.is_empty() {
                (card("failovers", "none", "no replica was promoted"))
            }
            @if !run.expectations.is_empty() || !run.steps.is_empty() {
                (expectations_card(run))
            }
            (card("coverage gap", &length(exposure.coverage_gap_us()), "longest time without a server for some slot"))
            @if exposure.dual_master_us() > 0 {
                (card("two writers", &length(exposure.dual_master_us()), "longest time in which two masters acknowledged writes to a slot"))
            }
            (card(
                "lost writes",
                &ledger.lost.len().to_string(),
                &format!("of {} acknowledged", ledger.acknowledged),
            ))
            (card(
                "failed operations",
                &model.clients.failed.to_string(),
                &format!("of {}", model.clients.ok + model.clients.failed),
            ))
        }
    }
}

/// A column of a table.
#[derive(Clone, Copy)]
pub(super) enum Column<'a> {
    /// Of words; this is its title.
    Words(&'a str),
    /// Of numbers, which stand under each other.
    Number(&'a str),
}

/// A table that scrolls by itself where it is wider than the page.
pub(super) fn table(columns: &[Column<'_>], rows: &Markup) -> Markup {
    html! {
        div.scroll {
            table {
                (table_head(columns))
                tbody { (rows) }
            }
        }
    }
}

/// The titles of a table.
pub(super) fn table_head(columns: &[Column<'_>]) -> Markup {
    html! {
        thead {
            tr {
                @for column in columns {
                    @match column {
                        Words(title) => { th scope="col" { (title) } }
                        Number(title) => { th.number scope="col" { (title) } }
                    }
                }
            }
        }
    }
}

fn card(name: &str, value: &str, more: &str) -> Markup {
    html! {
        div.card {
            div.name { (name) }
            div.value { (value) }
            div.more { (more) }
        }
    }
}

fn verdict_reason(run: &RunReport<'_>) -> String {
    match run.findings.verdict() {
        Verdict::Valid => format!("all {} invariants held", Code::ALL.len()),
        Verdict::Unknown => run
            .findings
            .unknowns
            .first()
            .map_or_else(String::new, |unknown| unknown.words.clone()),
        Verdict::Invalid => {
            let broken: Vec<&str> = run
                .findings
                .broken()
                .iter()
                .map(|code| code.name())
                .collect();
            format!("broken: {}", broken.join(", "))
        }
    }
}

fn failover_card(model: &Model, failover: &Failover) -> Markup {
    let name = |node: NodeNumber| model.header.nodes[usize::from(node)].name.as_str();
    let measured = &failover.measured;
    let asked = measured.how != FailoverHow::Automatic;
    html! {
        div.failover {
            div.title {
                b { (name(failover.winner)) } " took the place of "
                b { (failover.master.map_or("its master", name)) }
                @if asked {
                    " on request"
                } @else if measured.fault_at_ms.is_some() {
                    " " b { (length(failover.length_us())) } " after the "
                    (measured.weather.map_or("fault", WeatherKind::words))
                } @else {
                    " without a fault of its master"
                }
                ", epoch " (measured.epoch)
                @if measured.is_false {
                    ": " b.invalid { "✗ a false failover" }
                }
            }
            @for (part, span) in failover.parts() {
                div.part {
                    div.bar style=(format!("background:var(--{})", part.name())) {}
                    div.name { (part.name()) }
                    div.value { (length(span.length_us())) }
                }
            }
            @if let Some(gap_ms) = measured.write_gap_ms {
                div.part {
                    div.bar {}
                    div.name { "write gap" }
                    div.value { (length_ms(gap_ms)) }
                }
            }
        }
    }
}

/// The invariants, and what could not be judged.
pub(super) fn rules(model: &Model, run: &RunReport<'_>) -> Markup {
    html! {
        section aria-labelledby="invariants" {
            h2 #invariants { "Invariants" }
            (table(&[Words("Code"), Words("Rule"), Words("Verdict"), Words("What was found")], &html! {
                @for &code in Code::ALL {
                    (rule(model, run, code))
                }
            }))
            @let open: Vec<_> = run.findings.unknowns.iter().filter(|unknown| unknown.code.is_none()).collect();
            @if !open.is_empty() {
                p { b.unknown { "? The run as a whole is open: " } }
                ul {
                    @for unknown in open {
                        li { (seconds_since(model, unknown.at_us)) ": " (unknown.words) }
                    }
                }
            }
        }
    }
}

fn rule(model: &Model, run: &RunReport<'_>, code: Code) -> Markup {
    const MOST: usize = 20;
    let broken: Vec<(u64, &str)> = run
        .findings
        .violations
        .iter()
        .filter(|violation| violation.code == code)
        .map(|violation| (violation.at_us, violation.words.as_str()))
        .collect();
    let open: Vec<(u64, &str)> = run
        .findings
        .unknowns
        .iter()
        .filter(|unknown| unknown.code == Some(code))
        .map(|unknown| (unknown.at_us, unknown.words.as_str()))
        .collect();
    let (class, sign, words) = if !broken.is_empty() {
        ("invalid", "✗", "broken")
    } else if !open.is_empty() {
        ("unknown", "?", "unknown")
    } else {
        ("valid", "✓", "held")
    };
    let found: Vec<(u64, &str)> = broken.into_iter().chain(open).collect();
    html! {
        tr {
            th scope="row" { (code.name()) }
            td { (code.rule()) }
            td class=(format!("state {class}")) { (sign) " " (words) }
            td {
                @for (at_us, words) in found.iter().take(MOST) {
                    div { (seconds_since(model, *at_us)) ": " (words) }
                }
                @if found.len() > MOST {
                    div { "and " (found.len() - MOST) " more" }
                }
            }
        }
    }
}

fn expectations_card(run: &RunReport<'_>) -> Markup {
    let outcomes = || {
        let whole = run
            .expectations
            .iter()
            .map(|expectation| expectation.outcome);
        whole.chain(run.steps.iter().map(|step| step.outcome))
    };
    let met = outcomes()
        .filter(|outcome| *outcome == ExpectationOutcome::Met)
        .count();
    let worst = outcomes().max().unwrap_or(ExpectationOutcome::Met);
    let (class, sign, words) = outcome_words(worst);
    html! {
        div.card {
            div.name { "expectations" }
            div class=(format!("value {class}")) { (sign) " " (words) }
            div.more { (met) " of " (outcomes().count()) " met" }
        }
    }
}

const fn outcome_words(outcome: ExpectationOutcome) -> (&'static str, &'static str, &'static str) {
    match outcome {
        ExpectationOutcome::Met => ("valid", "✓", "met"),
        ExpectationOutcome::NotEnoughData => ("unknown", "?", "no data"),
        ExpectationOutcome::Missed => ("invalid", "✗", "missed"),
    }
}

/// What was expected, and what was measured.
pub(super) fn expectations(run: &RunReport<'_>) -> Markup {
    if run.expectations.is_empty() && run.steps.is_empty() {
        return html! {};
    }
    let state = |outcome| {
        let (class, sign, words) = outcome_words(outcome);
        html! { td class=(format!("state {class}")) { (sign) " " (words) } }
    };
    html! {
        section aria-labelledby="expectations" {
            h2 #expectations { "Expectations" }
            (table(&[Words("Expected"), Number("Measured"), Number("Values"), Words("Verdict")], &html! {
                @for expectation in run.expectations {
                    tr {
                        td { code { (expectation.text) } }
                        td.number { (measured_words(expectation)) }
                        td.number { (expectation.samples) }
                        (state(expectation.outcome))
                    }
                }
                @for step in run.steps {
                    tr {
                        td { "step " (step.step + 1) ": " (step_words(step.expected)) }
                        td.number {
                            @match step.failovers {
                                Some(count) => { (count) }
                                None => { "did not happen" }
                            }
                        }
                        td.number { "1" }
                        (state(step.outcome))
                    }
                }
            }))
        }
    }
}

const fn step_words(expected: StepExpectation) -> &'static str {
    match expected {
        StepExpectation::Failover => "a failover",
        StepExpectation::NoFailover => "no failover",
    }
}

fn measured_words(expectation: &EvaluatedExpectation) -> String {
    let Some(measured) = expectation.measured else {
        return "nothing".to_owned();
    };
    match expectation.unit() {
        Unit::Time => length_ms(measured),
        Unit::Number => number(measured),
        Unit::Share => format!("{:.2} %", measured * 100.0),
    }
}

/// A count, or the mean of counts.
fn number(value: f64) -> String {
    if value.fract().abs() < 1e-9 {
        format!("{value:.0}")
    } else {
        format!("{value:.2}")
    }
}

/// What was measured.
pub(super) fn measures(model: &Model, run: &RunReport<'_>) -> Markup {
    let measures = run.measures;
    let operations = &measures.operations;
    let mut rows: Vec<(&str, String, &str)> = vec![
        (
            "failovers",
            measures.failovers.len().to_string(),
            "promotions of a replica",
        ),
        (
            "false failovers",
            measures.false_failovers.to_string(),
            "promotions although the master was not out for as long as the node-timeout",
        ),
        (
            "coverage gap",
            length_ms(measures.coverage_gap_ms),
            "longest time in which some slot had no node that would serve it",
        ),
        (
            "dual-master time",
            length_ms(measures.dual_master_ms),
            "longest time in which two masters acknowledged writes to one slot",
        ),
        (
            "lost acknowledged writes",
            measures.lost_acked_writes.to_string(),
            "acknowledged writes that the audit did not find",
        ),
    ];
    if let Some(share) = operations.failed_share {
        rows.push((
            "failed operations",
            format!("{:.2} %", share * 100.0),
            "share of the clients' operations",
        ));
    }
    if let Some(latency) = operations.latency {
        rows.push((
            "latency",
            [
                latency.p50_ms,
                latency.p95_ms,
                latency.p99_ms,
                latency.max_ms,
            ]
            .map(length_ms)
            .join(", "),
            "median, 95 %, 99 % and greatest, of operations that succeeded",
        ));
    }
    let weather: Vec<String> = model.weather.iter().map(WeatherStrip::words).collect();
    if !weather.is_empty() {
        rows.push((
            "weather",
            weather.join("; "),
            "what happened by itself and was too short, or too little, to stand among the faults",
        ));
    }
    html! {
        section aria-labelledby="measures" {
            h2 #measures { "Measures" }
            (table(&[Words("Measure"), Words("Value"), Words("Meaning")], &html! {
                @for (name, value, meaning) in rows {
                    tr {
                        th scope="row" { (name) }
                        td { (value) }
                        td { (meaning) }
                    }
                }
            }))
        }
    }
}

/// The loss ledger.
pub(super) fn losses(model: &Model, run: &RunReport<'_>) -> Markup {
    let ledger = &run.findings.ledger;
    html! {
        section aria-labelledby="losses" {
            h2 #losses { "Loss ledger" }
            p {
                (ledger.acknowledged) " writes acknowledged, " (ledger.audited) " keys read back, "
                b { (ledger.lost.len()) " acknowledged writes lost" } "."
                @if ledger.unread > 0 {
                    " " (ledger.unread) " keys could not be read."
                }
            }
            @if !ledger.lost.is_empty() {
                (table(&[Words("Cause"), Words("In words"), Number("Writes")], &html! {
                    @for (cause, count) in ledger.by_cause() {
                        tr {
                            th scope="row" { (cause.code()) }
                            td { (cause.words()) }
                            td.number { (count) }
                        }
                    }
                }))
                details {
                    summary { "Each lost write" }
                    (lost_writes(model, &ledger.lost))
                }
            }
        }
    }
}

fn lost_writes(model: &Model, lost: &[LostWrite]) -> Markup {
    let name = |node: Option<NodeNumber>| {
        node.and_then(|node| model.header.nodes.get(usize::from(node)))
            .map_or("?", |node| node.name.as_str())
    };
    let client = |number: u16| {
        let client = model.header.clients.get(usize::from(number));
        client.map_or("?", |client| client.name.as_str())
    };
    html! {
        (table(&[Words("Acknowledged"), Words("By"), Words("Client"), Number("Slot"), Words("Cause"), Words("How that is known")], &html! {
            @for write in lost.iter().take(MOST_LOST) {
                tr {
                    td { (seconds_since(model, write.acknowledged_us)) }
                    td { (name(write.node)) }
                    td { (client(write.client)) }
                    td.number { (write.slot) }
                    td.state class=(if write.cause == LossCause::Unexplained { "state invalid" } else { "state" }) {
                        (write.cause.code())
                    }
                    td { (write.why) }
                }
            }
        }))
        @if lost.len() > MOST_LOST {
            p.note { "The first " (MOST_LOST) " of " (lost.len()) "; the summary has all." }
        }
    }
}

/// Nodes and configuration.
pub(super) fn configuration(model: &Model) -> Markup {
    let header = &model.header;
    let ranges = |slots: &[SlotRange]| -> String {
        slots
            .iter()
            .map(ToString::to_string)
            .collect::<Vec<_>>()
            .join(", ")
    };
    html! {
        section aria-labelledby="what-ran" {
            h2 #what-ran { "What ran" }
            div.columns {
                (table(&[Words("Node"), Words("Zone"), Words("Address"), Words("At the start")], &html! {
                    @for node in header.nodes.iter().take(100) {
                        tr {
                            th scope="row" { (node.name) }
                            td { (header.zones.get(node.zone).map_or("", String::as_str)) }
                            td { code { (node.address) } }
                            td {
                                @match node.replica_of.and_then(|master| header.nodes.get(usize::from(master))) {
                                    Some(master) => { "replica of " (master.name) }
                                    None => { "master of " (ranges(&node.slots)) }
                                }
                            }
                        }
                    }
                }))
                (table(&[Words("Directive"), Words("Value")], &html! {
                    @for (directive, value) in &header.config {
                        tr {
                            th scope="row" { code { (directive) } }
                            td { code { (value) } }
                        }
                    }
                }))
            }
        }
    }
}

/// What colours, hatches and marks mean.
pub(super) fn legend(model: &Model) -> Markup {
    let happened = |kind: EventKind| {
        model
            .events
            .iter()
            .any(|event| event.kind == kind && event.weight == Weight::Story)
    };
    let partly = model
        .lanes()
        .flat_map(|lane| &lane.troubles)
        .any(|trouble| trouble.trouble == Trouble::PartlyCutOff);
    html! {
        div.legend {
            (bar("var(--master)", None, 16, "master"))
            (bar("var(--replica)", None, 10, "replica"))
            (bar("var(--pale)", Some("stalled"), 16, "stands still"))
            (bar("var(--gone)", Some("crashed"), 16, "crashed"))
            (bar("var(--pale)", Some("cutoff"), 16, "cut off"))
            @if partly {
                (bar("var(--pale)", Some("partly"), 16, "cut off from some hosts"))
            }
            (bar("var(--bad)", None, 4, "cluster state fail"))
            (bar("var(--served)", None, 16, "slots served"))
            (bar("var(--cutoff)", Some("cutoff"), 16, "served only by a node that is cut off"))
            (bar("var(--contested)", Some("stalled"), 16, "two claimants"))
            (bar("var(--nobody)", None, 16, "served by nobody"))
            @if model.clients.all.iter().any(|bucket| bucket.lost > 0) {
                (bar("var(--ink)", None, 16, "acknowledged and lost"))
            }
            @for &kind in EventKind::ALL {
                @if happened(kind) && !matches!(kind, EventKind::Fault | EventKind::FaultEnded) {
                    span { (still_mark(kind)) (kind.words()) }
                }
            }
        }
    }
}

fn bar(fill: &str, hatch: Option<&str>, height: u32, words: &str) -> Markup {
    let top = (16 - height) / 2;
    html! {
        span {
            svg width="32" height="16" viewBox="0 0 32 16" aria-hidden="true" {
                rect y=(top) width="32" height=(height) fill=(fill) {}
                @if let Some(hatch) = hatch {
                    rect width="32" height="16" fill=(format!("url(#h-{hatch})")) {}
                    rect x=".5" y=".5" width="31" height="15" fill="none" stroke="var(--soft)" {}
                }
            }
            (words)
        }
    }
}

/// A mark as the script draws it.
fn still_mark(kind: EventKind) -> Markup {
    let (shape, colour) = mark(kind);
    let ink = colour == INK;
    let fill = if ink {
        "var(--mark-ink)".to_owned()
    } else {
        colour.to_hex()
    };
    let edge = "stroke=\"var(--mark-edge)\" stroke-width=\"1.2\"";
    let body = match shape {
        Shape::Ring => {
            format!("<circle r=\"5.4\" fill=\"{fill}\" {edge}/><circle r=\"2.3\" fill=\"#fff\"/>")
        }
        Shape::Disc => format!("<circle r=\"5.4\" fill=\"{fill}\" {edge}/>"),
        Shape::Dot => "<circle r=\"3\" fill=\"var(--soft)\"/>".to_owned(),
        Shape::Clock => format!(
            "<circle r=\"5.4\" fill=\"#fff\" {edge}/><path d=\"M0-3.6V0H3\" fill=\"none\" stroke=\"#8e3d68\" stroke-width=\"1.8\"/>"
        ),
        Shape::Cross => format!(
            "<path d=\"M-4-4 4 4M-4 4 4-4\" stroke=\"{}\" stroke-width=\"2.6\" stroke-linecap=\"round\"/>",
            if ink { "var(--ink)" } else { &fill }
        ),
        Shape::Bar => {
            "<path d=\"M-2.6-5V5M2.6-5V5\" stroke=\"var(--ink)\" stroke-width=\"2.4\"/>".to_owned()
        }
        Shape::Tick => format!(
            "<path d=\"M-5 0-1.4 4 5-4.6\" fill=\"none\" stroke=\"{fill}\" stroke-width=\"2.6\" stroke-linecap=\"round\"/>"
        ),
        Shape::Play => path("M-4.2-6 6 0-4.2 6Z", &fill, edge),
        Shape::Up => path("M0-6 6.2 5H-6.2Z", &fill, edge),
        Shape::Diamond => path("M0-6.6 6.6 0 0 6.6-6.6 0Z", &fill, edge),
        Shape::Square => path("M-5-5H5V5H-5Z", &fill, edge),
        Shape::EmptySquare => path("M-5-5H5V5H-5ZM-2.4-2.4V2.4H2.4V-2.4Z", &fill, edge),
        Shape::Star => path(
            "M0-8 2-2.6 7.6-2.5 3.2 1.1 4.7 6.5 0 3.3-4.7 6.5-3.2 1.1-7.6-2.5-2-2.6Z",
            &fill,
            edge,
        ),
    };
    html! {
        svg width="17" height="17" viewBox="-8.5 -8.5 17 17" aria-hidden="true" {
            (PreEscaped(body))
        }
    }
}

fn path(data: &str, fill: &str, edge: &str) -> String {
    format!("<path d=\"{data}\" fill=\"{fill}\" fill-rule=\"evenodd\" {edge}/>")
}
