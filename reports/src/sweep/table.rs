//! A finished sweep for people.

use std::collections::BTreeMap;

use redrill_sim::checkers::LossCause;
use redrill_sim::scenario::{Measure, Unit};

use super::goal::{Judged, Judgement};
use super::statistics::{MeasureStatistics, PerDay, QuantileEstimate, Statistics};
use super::{Goal, GoalStatistic, MeasureDifference, Sweep};
use crate::statistics::{Bound, Compared, Difference, Finding, runs_for_upper_bound};
use crate::summary::RunSummary;
use crate::table::{Side, Table};
use crate::text::{gap, grouped, in_unit, percent, time};

const BOLD: &str = "1";
const GREEN: &str = "1;32";
const YELLOW: &str = "1;33";
const RED: &str = "1;31";

/// Reasons for trouble that are told; the rest stands in `sweep.json`.
const REASONS_TOLD: usize = 5;

/// Nothing to say.
const NONE: &str = "-";

/// A part of what is told of a sweep.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Part {
    /// Here begins something new; the notes have no title.
    Section {
        /// Its title.
        title: String,
        /// What it is about.
        about: String,
    },
    /// A table.
    Table {
        /// The titles of its columns; the last one has none.
        titles: Vec<String>,
        /// Its rows: a configuration each.
        rows: Vec<Vec<String>>,
    },
    /// Words, of one line or several.
    Line(String),
}

/// Everything that is worth reading of a sweep.
#[must_use]
pub fn render(sweep: &Sweep, color: bool) -> String {
    let parts = parts(sweep, color);
    parts.iter().map(|part| part.text(color)).collect()
}

/// The same part by part.
#[must_use]
pub fn parts(sweep: &Sweep, color: bool) -> Vec<Part> {
    let mut page = Page {
        sweep,
        color,
        parts: Vec::new(),
        has_open_bounds: false,
        has_open_differences: false,
    };
    page.head();
    page.gaps();
    page.phases();
    page.detector();
    page.costs();
    page.differences();
    page.notes();
    page.goals();
    page.advice();
    page.parts
}

impl Part {
    fn text(&self, color: bool) -> String {
        match self {
            Self::Section { title, .. } if title.is_empty() => "\n".to_owned(),
            Self::Section { title, about } => {
                let title = paint(color, BOLD, title);
                format!("\n{}\n", format!("{title}  {about}").trim_end())
            }
            Self::Table { titles, rows } => {
                let last = titles.len().saturating_sub(1);
                let sides = (0..).map(|place| {
                    if place < last {
                        Side::Right
                    } else {
                        Side::Left
                    }
                });
                let columns: Vec<(&str, Side)> =
                    titles.iter().map(String::as_str).zip(sides).collect();
                let mut table = Table::new(&columns);
                for row in rows {
                    table.row(row.clone());
                }
                table.render("  ")
            }
            Self::Line(line) => format!("{line}\n"),
        }
    }
}

struct Page<'a> {
    sweep: &'a Sweep,
    color: bool,
    parts: Vec<Part>,
    /// Whether a quantile has no upper bound for want of values.
    has_open_bounds: bool,
    /// Whether the interval of a difference holds zero.
    has_open_differences: bool,
}

impl Page<'_> {
    fn line(&mut self, line: &str) {
        self.parts.push(Part::Line(line.trim_end().to_owned()));
    }

    fn title(&mut self, title: &str, about: &str) {
        self.parts.push(Part::Section {
            title: title.to_owned(),
            about: about.to_owned(),
        });
    }

    fn head(&mut self) {
        let data = &self.sweep.data;
        let name = paint(self.color, BOLD, &data.drill);
        self.line(&name);
        if let Some(question) = &data.question {
            self.line(question);
        }
        let count = data.configurations.len();
        let hours: f64 = self
            .sweep
            .statistics
            .iter()
            .map(|it| it.observed_days * 24.0)
            .sum();
        let mut engines: Vec<&str> = Vec::new();
        for configuration in &data.configurations {
            if !engines.contains(&configuration.engine.as_str()) {
                engines.push(&configuration.engine);
            }
        }
        let line = format!(
            "{}, {} world, {count} configurations x {} seeds, {hours:.1} simulated hours",
            engines.join(", "),
            data.world,
            data.seeds.len()
        );
        self.line(&line);
    }

    /// A table with a row for each configuration. Nothing, if no row has anything in it.
    fn table(&mut self, columns: &[&str], row: impl Fn(&Statistics) -> Vec<String>) {
        let sweep = self.sweep;
        self.rows(columns, |place| row(&sweep.statistics[place]));
    }

    fn rows(&mut self, columns: &[&str], row: impl Fn(usize) -> Vec<String>) {
        let axes = self.sweep.data.axes.iter().map(|axis| axis.name());
        let titles = axes.chain(columns.iter().copied()).chain([""]);
        let titles = titles.map(str::to_owned).collect();
        let mut rows = Vec::new();
        for place in 0..self.sweep.data.configurations.len() {
            let mut cells = self.values(place);
            let columns = row(place);
            self.has_open_bounds |= columns.iter().any(|cell| cell.contains("?]"));
            self.has_open_differences |= columns.iter().any(|cell| cell.ends_with(" ~"));
            cells.extend(columns);
            let is_current = self.sweep.data.current == Some(place);
            cells.push(if is_current { "<- now" } else { "" }.to_owned());
            rows.push(cells);
        }
        self.parts.push(Part::Table { titles, rows });
    }

    /// A configuration's value on each axis.
    fn values(&self, place: usize) -> Vec<String> {
        let values = self.sweep.data.values_of(place).into_iter();
        values.map(str::to_owned).collect()
    }

    /// A configuration in words.
    fn words(&self, place: usize) -> String {
        let names = self.sweep.data.axes.iter().map(super::Axis::name);
        let words: Vec<String> = names
            .zip(self.values(place))
            .map(|(name, value)| format!("{name} {value}"))
            .collect();
        words.join(", ")
    }

    fn has(&self, measure: Measure) -> bool {
        self.sweep
            .statistics
            .iter()
            .any(|it| it.measure(measure).is_some())
    }

    fn gaps(&mut self) {
        for (measure, title, about) in [
            (
                Measure::WriteGap,
                "Write gap",
                "how long nobody could write to the slots of a master that was out or replaced",
            ),
            (Measure::ReadGap, "Read gap", "the same of reads"),
            (
                Measure::FailoverTime,
                "Failover time",
                "from the fault to the promotion",
            ),
        ] {
            // The gap is what a failover's time is for clients, and a little more.
            let says_more = measure != Measure::FailoverTime || !self.has(Measure::WriteGap);
            if !self.has(measure) || !says_more {
                continue;
            }
            self.title(title, about);
            self.table(
                &["n", "not over", "p50", "p95", "p99", "max"],
                |it| match it.measure(measure) {
                    Some(it) => vec![
                        grouped(it.values as u64),
                        some(it.censored as u64),
                        quantile(&it.p50),
                        quantile(&it.p95),
                        quantile(&it.p99),
                        it.max.map_or_else(|| NONE.to_owned(), time),
                    ],
                    None => vec![NONE.to_owned(); 6],
                },
            );
        }
    }

    fn phases(&mut self) {
        if !self.has(Measure::FailoverTime) {
            return;
        }
        const PHASES: [(Measure, &str); 7] = [
            (Measure::DetectionTime, "detection"),
            (Measure::AgreementTime, "agreement"),
            (Measure::ElectionDelay, "election delay"),
            (Measure::VoteTime, "votes"),
            (Measure::FailoverTime, "promotion"),
            (Measure::ConvergenceTime, "convergence"),
            (Measure::CatchUpTime, "clients catch up"),
        ];
        self.title(
            "Where a failover's time goes",
            "medians; the first four add up to about the promotion, the last two count from it",
        );
        self.table(&PHASES.map(|(_, name)| name), |it| {
            PHASES
                .map(|(measure, _)| median(it.measure(measure)))
                .to_vec()
        });
    }

    fn detector(&mut self) {
        self.title(
            "Failovers and false alarms",
            "rates by cluster and day, with 95 % intervals",
        );
        let columns = [
            "failovers",
            "no failover",
            "false failovers/day",
            "suspicions/day",
            "for p50",
            "for p95",
        ];
        self.table(&columns, |it| {
            let rate = |measure| {
                let rate = it.measure(measure).and_then(|it| it.per_day);
                rate.map_or_else(|| NONE.to_owned(), |rate| per_day(&rate))
            };
            let length = it.measure(Measure::MistakeTime);
            vec![
                grouped(it.failovers),
                some(it.unanswered),
                rate(Measure::FalseFailovers),
                rate(Measure::Mistakes),
                median(length),
                length.map_or_else(|| NONE.to_owned(), |it| estimate(&it.p95)),
            ]
        });
    }

    fn costs(&mut self) {
        self.title("What it costs", "means per run, and the bus");
        let columns = [
            "writes fail for",
            "reads fail for",
            "not served p95",
            "lost writes",
            "runs with losses",
            "bus B/s a node",
        ];
        self.table(&columns, |it| {
            let mean = |measure: Measure| {
                let mean = it.measure(measure).and_then(|it| it.mean);
                mean.map_or_else(
                    || NONE.to_owned(),
                    |mean| match measure.unit() {
                        Unit::Time => gap(mean),
                        Unit::Number | Unit::Share => in_unit(mean, measure.unit()),
                    },
                )
            };
            let lost = it
                .measure(Measure::LostAckedWrites)
                .and_then(|it| it.runs_with_any);
            let coverage = it.measure(Measure::CoverageGap);
            vec![
                mean(Measure::WriteUnavailability),
                mean(Measure::ReadUnavailability),
                coverage.map_or_else(|| NONE.to_owned(), |it| estimate(&it.p95)),
                mean(Measure::LostAckedWrites),
                lost.map_or_else(|| NONE.to_owned(), |it| share(it.hits, it.of, it.high)),
                it.measure(Measure::BusBandwidth)
                    .and_then(|it| it.mean)
                    .map_or_else(|| NONE.to_owned(), |mean| grouped(mean.round() as u64)),
            ]
        });
        let mut causes: BTreeMap<&str, u64> = BTreeMap::new();
        for (cause, lost) in self
            .sweep
            .statistics
            .iter()
            .flat_map(|it| &it.lost_by_cause)
        {
            *causes.entry(cause).or_insert(0) += lost;
        }
        for cause in LossCause::ALL {
            if let Some(lost) = causes.get(cause.code()).filter(|lost| **lost > 0) {
                let (lost, code, words) = (grouped(*lost), cause.code(), cause.words());
                self.line(&format!("  {lost} of the lost writes are {code}: {words}"));
            }
        }
    }

    fn differences(&mut self) {
        if self.sweep.data.configurations.len() < 2 {
            return;
        }
        let base = self.words(self.sweep.base);
        let is_current = self.sweep.data.current == Some(self.sweep.base);
        self.title(
            &format!("Against {base}"),
            match is_current {
                true => "as it is now; same seeds, same weather",
                false => "same seeds, same weather",
            },
        );
        let columns = [
            "write gap p50",
            "write gap p95",
            "failover p50",
            "false failovers/run",
            "lost writes/run",
        ];
        let sweep = self.sweep;
        let color = self.color;
        self.rows(&columns, |place| {
            let find = |measure, compared| {
                let found = sweep.differences[place]
                    .iter()
                    .find(|it| it.measure == measure && it.difference.compared == compared);
                found.map_or_else(|| NONE.to_owned(), |it| difference(color, it))
            };
            vec![
                find(Measure::WriteGap, Compared::Quantile(0.5)),
                find(Measure::WriteGap, Compared::Quantile(0.95)),
                find(Measure::FailoverTime, Compared::Quantile(0.5)),
                find(Measure::FalseFailovers, Compared::Mean),
                find(Measure::LostAckedWrites, Compared::Mean),
            ]
        });
    }

    fn notes(&mut self) {
        let statistics = &self.sweep.statistics;
        let sum = |of: fn(&Statistics) -> usize| statistics.iter().map(of).sum::<usize>() as u64;
        let (unknown, invalid) = (sum(|it| it.unknown), sum(|it| it.invalid));
        let has_censored = (statistics.iter())
            .flat_map(|it| it.measures.values())
            .any(|it| it.censored > 0);
        let before = self.parts.len();
        if self.has_open_bounds {
            let (p95, p99) = (runs_for_upper_bound(0.95), runs_for_upper_bound(0.99));
            self.line(&format!(
                "?  not bounded: an upper bound takes {p95} values at p95 and {p99} at p99"
            ));
        }
        if self.has_open_differences {
            self.line("~  inconclusive: the interval holds zero");
        }
        if has_censored {
            self.line(
                "never: it had not happened when the run ended; it counts as longer than all else",
            );
        }
        if invalid > 0 {
            let word = paint(self.color, RED, "BROKEN");
            self.line(&format!(
                "{word}  an invariant broke in {} runs",
                grouped(invalid)
            ));
            let broken = self.reasons(|run| {
                let broken = run.violations.iter();
                broken
                    .map(|it| format!("{}: {}", it.code, it.words))
                    .collect()
            });
            self.line(&broken);
        }
        if unknown > 0 {
            let word = paint(self.color, YELLOW, "UNKNOWN");
            self.line(&format!(
                "{word}  {} runs could not be judged",
                grouped(unknown)
            ));
            let open = self.reasons(|run| run.unknowns.iter().chain(&run.error).cloned().collect());
            self.line(&open);
        }
        if self.parts.len() > before {
            let section = Part::Section {
                title: String::new(),
                about: String::new(),
            };
            self.parts.insert(before, section);
        }
    }

    /// What is said of runs, the most frequent first, each with the first run it is said of.
    fn reasons(&self, of: impl Fn(&RunSummary) -> Vec<String>) -> String {
        let mut reasons: BTreeMap<String, (usize, String)> = BTreeMap::new();
        for (place, configuration) in self.sweep.data.configurations.iter().enumerate() {
            for run in &configuration.runs {
                for words in of(run) {
                    let first = || (0, format!("{}, seed {}", self.words(place), run.seed));
                    reasons.entry(words).or_insert_with(first).0 += 1;
                }
            }
        }
        let mut reasons: Vec<_> = reasons.into_iter().collect();
        reasons.sort_by_key(|(_, (count, _))| std::cmp::Reverse(*count));
        let told = reasons
            .iter()
            .take(REASONS_TOLD)
            .map(|(words, (count, first))| format!("  {count} x {words} (first with {first})\n"));
        told.collect()
    }

    fn goals(&mut self) {
        let goals = &self.sweep.data.goals;
        if goals.is_empty() {
            return;
        }
        self.title("Objectives", "what holds with 95 % confidence");
        let titles: Vec<&str> = goals.iter().map(|goal| goal.text.as_str()).collect();
        let (sweep, color) = (self.sweep, self.color);
        self.rows(&titles, |place| {
            let judged = sweep.advice.judged[place].iter().zip(goals);
            judged
                .map(|(judged, goal)| judgement(color, judged, goal))
                .collect()
        });
    }

    fn advice(&mut self) {
        let front: Vec<usize> = (0..self.sweep.data.configurations.len())
            .filter(|place| self.sweep.advice.pareto.points[*place].on_front)
            .collect();
        self.title("Advice", "");
        self.choice();
        let pareto = &self.sweep.advice.pareto;
        let (delay, rate) = (pareto.delay.name(), pareto.rate.name());
        let none_seen = pareto
            .points
            .iter()
            .all(|it| it.per_day.unwrap_or(0.0) == 0.0);
        let names: Vec<String> = front
            .iter()
            .map(|place| self.values(*place).join(", "))
            .collect();
        let words = match (names.len(), none_seen) {
            (0, _) => "  No configuration has a p95 to be compared by.".to_owned(),
            (_, true) => {
                let most = self.highest_rate();
                let what = if most < 10.0 {
                    format!("{most:.2}")
                } else {
                    grouped(most.ceil() as u64)
                };
                format!(
                    "  Of {rate}, none was seen under any configuration (at most {what} a day with \
                     95 % confidence):\n  {} is the best by {delay} p95 alone.",
                    names.join(" or ")
                )
            }
            (1, false) => format!(
                "  {} beats all others in {delay} p95 and in {rate}.",
                names.join("")
            ),
            (_, false) => format!(
                "  Trading {delay} p95 against {rate}, no other configuration beats these:\n  {}.",
                names.join("; ")
            ),
        };
        self.line(&words);
    }

    /// The greatest upper bound of the rate that is traded.
    fn highest_rate(&self) -> f64 {
        let rate = self.sweep.advice.pareto.rate;
        (self.sweep.statistics.iter())
            .filter_map(|it| it.measure(rate)?.per_day?.high)
            .fold(0.0, f64::max)
    }

    fn choice(&mut self) {
        let sweep = self.sweep;
        let advice = &sweep.advice;
        let Some(best) = advice.best() else {
            let hint = "  Give --slo \"write-gap p99 < 10s, false-failovers < 0.01/day\" to have one \
                        chosen.";
            self.line(hint);
            return;
        };
        if let Some(chosen) = advice.chosen {
            let words = self.words(chosen);
            let words = paint(self.color, GREEN, &words);
            let used = percent_of(advice.uses_of_limit.unwrap_or(1.0));
            let met = (0..advice.judged.len())
                .filter(|place| advice.judgement(*place) == Some(Judgement::Met));
            self.line(&match met.count() {
                1 => format!("  Take {words}: it alone meets every objective."),
                _ => format!(
                    "  Take {words}: of those that meet every objective it stays the furthest below \
                     the limits."
                ),
            });
            self.line(&format!(
                "  Even at the worst end of its intervals it uses {used} of one."
            ));
        } else if best == Judgement::Inconclusive {
            self.line("  No configuration is known to meet the objectives yet.");
        } else {
            let none = paint(
                self.color,
                RED,
                "None of these configurations meets the objectives.",
            );
            self.line(&format!("  {none}"));
        }
        for (wanted, words) in [
            (Judgement::Met, "meet them"),
            (Judgement::Missed, "miss them"),
        ] {
            let places: Vec<String> = (0..advice.judged.len())
                .filter(|place| advice.judgement(*place) == Some(wanted))
                .map(|place| self.values(place).join(", "))
                .collect();
            if !places.is_empty() {
                self.line(&format!("  These {words}: {}.", places.join("; ")));
            }
        }
        let mut open: BTreeMap<Option<u64>, Vec<String>> = BTreeMap::new();
        for place in 0..advice.judged.len() {
            if advice.judgement(place) == Some(Judgement::Inconclusive) {
                let more = advice.more_runs(place);
                open.entry(more)
                    .or_default()
                    .push(self.values(place).join(", "));
            }
        }
        for (more, names) in open {
            let words = match more {
                Some(more) => format!("About {} more seeds would likely decide.", grouped(more)),
                None => "No number of seeds is likely to decide.".to_owned(),
            };
            self.line(&format!("  These are open: {}. {words}", names.join("; ")));
        }
    }
}

fn paint(color: bool, code: &str, text: &str) -> String {
    match color {
        true => format!("\u{1b}[{code}m{text}\u{1b}[0m"),
        false => text.to_owned(),
    }
}

/// A number, unless it is 0.
fn some(number: u64) -> String {
    match number {
        0 => NONE.to_owned(),
        number => grouped(number),
    }
}

fn median(it: Option<&MeasureStatistics>) -> String {
    it.map_or_else(|| NONE.to_owned(), |it| estimate(&it.p50))
}

fn estimate(quantile: &QuantileEstimate) -> String {
    quantile.estimate.map_or_else(|| "never".to_owned(), time)
}

/// `3.49 s [3.41, 3.60]`: both ends in the unit of the estimate.
fn quantile(quantile: &QuantileEstimate) -> String {
    let Some(value) = quantile.estimate else {
        return format!("never [{}, never]", end(quantile.low, f64::INFINITY));
    };
    let (low, high) = (end(quantile.low, value), end(quantile.high, value));
    format!("{} [{low}, {high}]", time(value))
}

/// A bound in the unit that a value is shown in.
fn end(bound: Bound, beside: f64) -> String {
    match bound {
        Bound::At(value) => bare_time(value, beside),
        Bound::Censored => "never".to_owned(),
        Bound::TooFew { .. } => "?".to_owned(),
    }
}

/// A time without its unit, in the one in which another is shown.
fn bare_time(ms: f64, beside: f64) -> String {
    if ms.is_infinite() {
        return "never".to_owned();
    }
    let text = match beside.abs() {
        long if long >= 1000.0 => format!("{:.2}", ms / 1000.0),
        short if short >= 10.0 => format!("{ms:.0}"),
        _ => format!("{ms:.1}"),
    };
    // What rounds to zero has no sign.
    let is_zero = text.chars().all(|letter| "-0.".contains(letter));
    match is_zero {
        true => text.trim_start_matches('-').to_owned(),
        false => text,
    }
}

/// `3/50 (at most 16.2 %)`; with no hits, "at most 3/n" is what remains of it.
fn share(hits: usize, of: usize, high: f64) -> String {
    match hits {
        0 => format!(
            "0/{of} (<= {})",
            percent(3.0_f64.min(of as f64) / of.max(1) as f64)
        ),
        hits => format!("{hits}/{of} (<= {})", percent(high)),
    }
}

fn rate_number(value: f64) -> String {
    match value {
        0.0 => "0".to_owned(),
        value if value >= 100.0 => grouped(value.round() as u64),
        value if value >= 1.0 => format!("{value:.1}"),
        value => format!("{value:.3}"),
    }
}

fn per_day(rate: &PerDay) -> String {
    let high = rate.high.map_or_else(|| "?".to_owned(), rate_number);
    match rate.amount > 0.0 {
        false => format!("0 (<= {high})"),
        true => format!(
            "{} [{}, {high}]",
            rate_number(rate.estimate),
            rate_number(rate.low)
        ),
    }
}

fn percent_of(share: f64) -> String {
    format!("{:.0} %", share * 100.0)
}

/// `+1.20 s [1.15, 1.24]`, or that nothing can be said.
fn difference(color: bool, it: &MeasureDifference) -> String {
    let Difference {
        estimate,
        low,
        high,
        finding,
        ..
    } = it.difference;
    let sign = if estimate > 0.0 { "+" } else { "" };
    let text = match it.measure.unit() {
        Unit::Time if estimate.is_infinite() => {
            return if estimate > 0.0 { "never ends" } else { "ends" }.to_owned();
        }
        Unit::Time => format!(
            "{sign}{} [{}, {}]",
            time(estimate),
            bare_time(low, estimate),
            bare_time(high, estimate)
        ),
        Unit::Number | Unit::Share => format!("{sign}{estimate:.2} [{low:.2}, {high:.2}]"),
    };
    let is_nothing = estimate == 0.0 && low == 0.0 && high == 0.0;
    match finding {
        Finding::Lower => paint(color, GREEN, &text),
        Finding::Higher => paint(color, RED, &text),
        Finding::Inconclusive if is_nothing => "=".to_owned(),
        Finding::Inconclusive => format!("{text} ~"),
    }
}

fn judgement(color: bool, judged: &Judged, goal: &Goal) -> String {
    let value = |value: f64| match goal.statistic {
        GoalStatistic::PerDay => match goal.measure.unit() {
            Unit::Time => format!("{}/day", time(value)),
            Unit::Number | Unit::Share => format!("{}/day", rate_number(value)),
        },
        GoalStatistic::Quantile(_) | GoalStatistic::Max => in_unit(value, goal.measure.unit()),
    };
    let high = judged.high.map_or_else(
        || "not bounded".to_owned(),
        |it| format!("<= {}", value(it)),
    );
    match judged.judgement {
        Judgement::Met => format!("{} ({high})", paint(color, GREEN, "met")),
        Judgement::Missed => {
            let low = judged
                .low
                .map_or_else(|| "never".to_owned(), |it| format!(">= {}", value(it)));
            format!("{} ({low})", paint(color, RED, "missed"))
        }
        Judgement::Inconclusive => format!("{} ({high})", paint(color, YELLOW, "open")),
    }
}
