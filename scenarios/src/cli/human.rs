//! The results of a drill for people.

use std::fmt::Write;
use std::path::Path;

use redrill::Look;
use redrill::reports::expectations::{EvaluatedExpectation, ExpectationOutcome};
use redrill::reports::measures::{Failover, FailoverHow, Measures};
use redrill::reports::summary::{DrillOutcome, RunSummary, Summary, measure_key};
use redrill::reports::table::{Side, Table};
use redrill::reports::text::{gap, grouped, in_unit, time};
use redrill::sim::checkers::{LossCause, Verdict};
use redrill::sim::scenario::Measure;

/// Failures that are told one by one; the rest is counted.
const FAILURES_TOLD: usize = 10;

/// Everything that is worth reading, then where the rest lies.
pub(crate) fn summary(
    summary: &Summary,
    folder: Option<&Path>,
    timelines: &[String],
    look: Look,
) -> String {
    let mut page = Page {
        text: String::new(),
        look,
    };
    for timeline in timelines {
        page.line(timeline);
    }
    page.head(summary);
    match &summary.runs[..] {
        [run] => page.one_run(run),
        _ => page.many_runs(summary),
    }
    page.expectations(&summary.expectations);
    page.failures(summary);
    page.end(summary, folder);
    page.text
}

struct Page {
    text: String,
    look: Look,
}

impl Page {
    fn line(&mut self, line: &str) {
        self.text.push_str(line);
        self.text.push('\n');
    }

    fn title(&mut self, title: &str) {
        let title = self.paint(BOLD, title);
        let _ = write!(self.text, "\n{title}\n");
    }

    fn head(&mut self, summary: &Summary) {
        let name = self.paint(BOLD, &summary.drill);
        self.line(&name);
        if let Some(question) = &summary.question {
            self.line(question);
        }
        let seeds = match summary.seeds[..] {
            [seed] => format!("seed {seed}"),
            [first, .., last] => format!("seeds {first} to {last}"),
            [] => "no seeds".to_owned(),
        };
        self.line(&format!(
            "{}, {} world, {seeds}\n",
            summary.engine, summary.world
        ));
        let (name, color, words) = match summary.outcome {
            DrillOutcome::Pass => (
                "PASS",
                GREEN,
                "every invariant held, every expectation is met",
            ),
            DrillOutcome::Inconclusive => {
                ("INCONCLUSIVE", YELLOW, "not everything could be judged")
            }
            DrillOutcome::ExpectationMissed => ("MISSED", RED, "an expectation was missed"),
            DrillOutcome::InvariantBroken => ("BROKEN", RED, "an invariant broke"),
        };
        let name = self.paint(color, name);
        self.line(&format!("{name}  {words}"));
    }

    fn one_run(&mut self, run: &RunSummary) {
        let Some(measures) = &run.measures else {
            return;
        };
        self.title("Failovers");
        if measures.failovers.is_empty() {
            self.line("  none");
        } else {
            let table = failover_table(&measures.failovers);
            self.text.push_str(&table);
        }
        self.title("Clients");
        self.clients(measures);
    }

    fn clients(&mut self, measures: &Measures) {
        let operations = &measures.operations;
        let mut line = format!(
            "  {} of {} operations succeeded",
            grouped(operations.ok),
            grouped(operations.total)
        );
        if let Some(latency) = &operations.latency {
            let _ = write!(
                line,
                "; latency {} at the median, {} at p99",
                time(latency.p50_ms),
                time(latency.p99_ms)
            );
        }
        self.line(&line);
        if !operations.failed.is_empty() {
            let failed: Vec<String> = (operations.failed.iter())
                .map(|(outcome, count)| format!("{} {outcome}", grouped(*count)))
                .collect();
            self.line(&format!("  failed: {}", failed.join(", ")));
        }
        let gap = gap(measures.coverage_gap_ms);
        self.line(&format!(
            "  longest time in which some slot was not served: {gap}"
        ));
        if measures.dual_master_ms > 0.0 {
            let dual = time(measures.dual_master_ms);
            self.line(&format!(
                "  longest time in which two masters acknowledged writes to a slot: {dual}"
            ));
        }
        let lost = [measures];
        self.losses(&lost);
    }

    /// The loss ledger.
    fn losses(&mut self, runs: &[&Measures]) {
        let total: u64 = runs.iter().map(|run| run.lost_acked_writes).sum();
        self.line(&format!("  acknowledged writes lost: {}", grouped(total)));
        for cause in LossCause::ALL {
            let count: u64 = (runs.iter())
                .filter_map(|run| run.lost_by_cause.get(cause.code()))
                .sum();
            if count > 0 {
                let (count, code) = (grouped(count), cause.code());
                self.line(&format!("    {count} {code}: {}", cause.words()));
            }
        }
    }

    fn many_runs(&mut self, summary: &Summary) {
        let count = |verdict: Verdict| {
            let runs = summary.runs.iter().filter(|run| run.verdict == verdict);
            grouped(runs.count() as u64)
        };
        self.line(&format!(
            "{} runs: {} valid, {} unknown, {} invalid",
            grouped(summary.runs.len() as u64),
            count(Verdict::Valid),
            count(Verdict::Unknown),
            count(Verdict::Invalid)
        ));
        self.title("Measures over all seeds");
        let mut table = Table::new(&[
            ("", Side::Left),
            ("values", Side::Right),
            ("min", Side::Right),
            ("p5", Side::Right),
            ("median", Side::Right),
            ("p95", Side::Right),
            ("p99", Side::Right),
            ("max", Side::Right),
        ]);
        for measure in Measure::ALL {
            let Some(quantiles) = summary.quantiles.get(&measure_key(measure)) else {
                continue;
            };
            let mut row = vec![measure.name().to_owned(), quantiles.count.to_string()];
            let values = [
                quantiles.min,
                quantiles.p5,
                quantiles.p50,
                quantiles.p95,
                quantiles.p99,
                quantiles.max,
            ];
            row.extend(values.map(|value| in_unit(value, measure.unit())));
            table.row(row);
        }
        self.text.push_str(&table.render("  "));
        self.title("Loss ledger");
        let measures: Vec<&Measures> = summary
            .runs
            .iter()
            .filter_map(|run| run.measures.as_ref())
            .collect();
        self.losses(&measures);
    }

    fn expectations(&mut self, expectations: &[EvaluatedExpectation]) {
        if expectations.is_empty() {
            return;
        }
        self.title("Expectations");
        let mut table = Table::new(&[
            ("", Side::Left),
            ("", Side::Left),
            ("measured", Side::Right),
        ]);
        for expectation in expectations {
            let (word, color) = match expectation.outcome {
                ExpectationOutcome::Met => ("met", GREEN),
                ExpectationOutcome::NotEnoughData => ("no data", YELLOW),
                ExpectationOutcome::Missed => ("MISSED", RED),
            };
            table.row(vec![
                self.paint(color, word),
                expectation.text.clone(),
                expectation.measured.map_or_else(
                    || "-".to_owned(),
                    |value| in_unit(value, expectation.unit()),
                ),
            ]);
        }
        let table = table.render("  ");
        self.text.push_str(&table);
    }

    fn failures(&mut self, summary: &Summary) {
        if summary.failures.is_empty() {
            return;
        }
        self.title("What went wrong");
        let is_single = summary.runs.len() == 1;
        for failure in summary.failures.iter().take(FAILURES_TOLD) {
            match failure.seed {
                Some(seed) if !is_single => {
                    self.line(&format!("  seed {seed}: {}", failure.words));
                }
                Some(_) | None => self.line(&format!("  {}", failure.words)),
            }
            if !is_single {
                self.line(&format!("    {}", failure.repeat));
            }
        }
        let more = summary.failures.len().saturating_sub(FAILURES_TOLD);
        if more > 0 {
            self.line(&format!("  and {} more", grouped(more as u64)));
        }
        if let (true, Some(failure)) = (is_single, summary.failures.first()) {
            self.line(&format!("  repeat it: {}", failure.repeat));
        }
    }

    fn end(&mut self, summary: &Summary, folder: Option<&Path>) {
        self.text.push('\n');
        let events: usize = summary.runs.iter().map(|run| run.events).sum();
        let events = grouped(events as u64);
        let file = match &summary.runs[..] {
            [run] => {
                let hash = (run.trace_hash).map_or_else(|| "-".to_owned(), |hash| hash.to_string());
                self.line(&format!("trace   {hash} ({events} events)"));
                "report.html"
            }
            runs => {
                let (hash, count) = (hash_of_all(runs), runs.len());
                self.line(&format!("traces  {hash} ({count} runs, {events} events)"));
                "summary.json"
            }
        };
        if let Some(folder) = folder {
            self.line(&format!("report  {}", folder.join(file).display()));
        }
    }

    fn paint(&self, code: &str, text: &str) -> String {
        match self.look.color {
            true => format!("\u{1b}[{code}m{text}\u{1b}[0m"),
            false => text.to_owned(),
        }
    }
}

const BOLD: &str = "1";
const GREEN: &str = "1;32";
const YELLOW: &str = "1;33";
const RED: &str = "1;31";

/// A row a failover; times count from the fault that caused it.
fn failover_table(failovers: &[Failover]) -> String {
    let mut table = Table::new(&[
        ("", Side::Left),
        ("fault at", Side::Right),
        ("PFAIL", Side::Right),
        ("FAIL", Side::Right),
        ("election", Side::Right),
        ("first vote", Side::Right),
        ("promoted", Side::Right),
        ("state ok", Side::Right),
        ("write gap", Side::Right),
        ("", Side::Left),
    ]);
    for failover in failovers {
        let after =
            |ms: Option<f64>| ms.map_or_else(|| "-".to_owned(), |ms| format!("+{}", time(ms)));
        let how = match (failover.how, failover.weather) {
            (FailoverHow::Automatic, Some(weather)) if failover.is_false => {
                format!("false: the master had not failed ({})", weather.words())
            }
            (FailoverHow::Automatic, Some(weather)) => weather.words().to_owned(),
            (FailoverHow::Automatic, None) if failover.is_false => {
                "false: the master was not out".to_owned()
            }
            (FailoverHow::Automatic, None) => String::new(),
            (FailoverHow::Manual, _) => "CLUSTER FAILOVER".to_owned(),
            (FailoverHow::Force, _) => "CLUSTER FAILOVER FORCE".to_owned(),
            (FailoverHow::Takeover, _) => "CLUSTER FAILOVER TAKEOVER".to_owned(),
        };
        table.row(vec![
            format!("{} to {}", failover.node, failover.promoted),
            failover.fault_at_ms.map_or_else(|| "-".to_owned(), time),
            after(failover.first_pfail_ms),
            after(failover.fail_ms),
            after(failover.election_start_ms),
            after(failover.first_vote_ms),
            after(Some(failover.won_ms)),
            after(failover.state_ok_ms),
            failover.write_gap_ms.map_or_else(|| "-".to_owned(), time),
            how,
        ]);
    }
    table.render("  ")
}

/// One hash of the hashes of many runs, to compare them at a glance.
fn hash_of_all(runs: &[RunSummary]) -> String {
    let mut bytes = Vec::new();
    for run in runs {
        bytes.extend(run.seed.to_le_bytes());
        bytes.extend(run.trace_hash.map_or(0, |hash| hash.0).to_le_bytes());
    }
    format!("{:032x}", xxhash_rust::xxh3::xxh3_128(&bytes))
}
