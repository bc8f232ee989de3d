//! How long each phase of a failover took: a panel a phase, a line a configuration.

use redrill_sim::scenario::Measure;

use super::Theme;
use super::frame::{Frame, Key, Look, MARGIN, WIDTH};
use super::line::ends;
use super::trade_off::some_of;
use super::words::{facts, tick_time, values_and_standing};
use crate::drawing::font;
use crate::drawing::scale::{Scale, spans_decades};
use crate::drawing::sheet::{Anchor, Box2, Sheet};
use crate::measures::Measures;
use crate::sweep::{self, Sweep};

const PHASES: [(Measure, &str); 7] = [
    (Measure::DetectionTime, "Detection: fault to first PFAIL"),
    (Measure::AgreementTime, "Agreement: PFAIL to FAIL"),
    (Measure::ElectionDelay, "Election delay: FAIL to election"),
    (Measure::VoteTime, "Votes: election to promotion"),
    (Measure::FailoverTime, "All of it: fault to promotion"),
    (
        Measure::ConvergenceTime,
        "Convergence: promotion to state ok",
    ),
    (
        Measure::CatchUpTime,
        "Clients catch up: promotion to first write",
    ),
];

const COLUMNS: usize = 2;
const HEIGHT: f64 = 128.0;
const GAP: f64 = 26.0;
/// Room for the shares at the left of a panel.
const SHARES: f64 = 44.0;

/// Times of one phase under one configuration, ascending; what did not end is not among them.
struct Times {
    finite: Vec<f64>,
    /// How many there are with those that did not end.
    of: usize,
}

/// A configuration that is drawn.
struct Series {
    name: String,
    look: Look,
    times: Vec<Times>,
}

/// `None` if no failover was seen.
pub(super) fn draw(sweep: &Sweep, theme: Theme) -> Option<Sheet> {
    let all: Vec<usize> = (0..sweep.data.configurations.len()).collect();
    let wanted = [sweep.data.current, sweep.advice.chosen];
    let shown = some_of(&all, |place| wanted.contains(&Some(*place)));
    let series: Vec<Series> = shown
        .iter()
        .enumerate()
        .map(|(number, place)| Series::of(sweep, *place, Look::of(theme, number)))
        .collect();
    let phases: Vec<usize> = (0..PHASES.len())
        .filter(|phase| series.iter().any(|it| it.times[*phase].of > 0))
        .collect();
    if phases.is_empty() {
        return None;
    }
    let title = "Where a failover's time goes";
    let mut frame = Frame::new(
        theme,
        title,
        &format!("share of failovers by time; {}", facts(sweep)),
    );
    let keys: Vec<(Key, &str)> = series
        .iter()
        .map(|it| (Key::Rule(it.look.colour, it.look.dash), it.name.as_str()))
        .collect();
    frame.keys(&keys);
    let width = (WIDTH - 2.0 * MARGIN - GAP * (COLUMNS as f64 - 1.0)) / COLUMNS as f64;
    for row in phases.chunks(COLUMNS) {
        let top = frame.sheet.y + 30.0;
        for (phase, column) in row.iter().zip(0_u32..) {
            let left = MARGIN + f64::from(column) * (width + GAP);
            let plot = Box2::new(left + SHARES, top, left + width - 6.0, top + HEIGHT);
            panel(&mut frame, plot, *phase, &series);
        }
        frame.sheet.y = top + HEIGHT + 26.0;
    }
    for note in notes(sweep, &series) {
        frame.note(&note);
    }
    Some(frame.finish())
}

impl Series {
    fn of(sweep: &Sweep, place: usize, look: Look) -> Self {
        let runs = &sweep.data.configurations[place].runs;
        let runs: Vec<&Measures> = runs
            .iter()
            .filter_map(|run| run.measures.as_ref())
            .collect();
        let all = sweep::values(Measure::FailoverTime, &runs);
        let unanswered = all.iter().filter(|value| value.is_infinite()).count();
        let times = PHASES.map(|(measure, _)| {
            let mut finite = sweep::values(measure, &runs);
            finite.retain(|value| value.is_finite());
            finite.sort_unstable_by(f64::total_cmp);
            let of = finite.len() + unanswered;
            Times { finite, of }
        });
        Self {
            name: values_and_standing(sweep, place),
            look,
            times: times.into(),
        }
    }
}

fn panel(frame: &mut Frame, plot: Box2, phase: usize, series: &[Series]) {
    let kind = frame.type_of(12.0).bold();
    let title = PHASES[phase].1;
    let at = (plot.left - SHARES, plot.top - 12.0);
    frame.shortened(title, at, kind, plot.right - plot.left + SHARES);
    let shares = Scale::linear((0.0, 1.0), (plot.bottom, plot.top));
    let kind = frame.soft(11.0).anchor(Anchor::Right);
    for share in [0.0, 0.5, 1.0] {
        let y = shares.at(share);
        let rule = frame.theme.rule;
        frame.sheet.line((plot.left, y), (plot.right, y), rule, 1.0);
        let words = format!("{:.0} %", share * 100.0);
        frame.text(&words, (plot.left - 6.0, y + 4.0), kind);
    }
    let times = scale(phase, plot, series);
    frame.level_axis(plot, &times, tick_time);
    frame.edges(plot);
    let lines: Vec<Vec<(f64, f64)>> = series
        .iter()
        .map(|it| steps(&it.times[phase], plot, &times, &shares))
        .collect();
    for (it, line) in series.iter().zip(&lines) {
        frame.path(line, it.look);
        for ends in line.windows(2) {
            let (from, to) = (ends[0], ends[1]);
            frame.take(Box2::new(from.0, to.1 - 1.0, to.0 + 1.0, from.1 + 1.0));
        }
    }
    for (it, line) in series.iter().zip(&lines) {
        name(frame, it, line, plot);
    }
}

/// From the quickest to the slowest but the rarest, over all configurations.
fn scale(phase: usize, plot: Box2, series: &[Series]) -> Scale {
    let finite = series
        .iter()
        .flat_map(|it| &it.times[phase].finite)
        .copied();
    let (low, high) = ends(finite);
    if low > high {
        return Scale::linear((0.0, 1000.0), (plot.left, plot.right));
    }
    match spans_decades((low, high)) {
        true => Scale::log((low / 1.2, high * 1.2), (plot.left, plot.right)),
        false => Scale::linear((0.0, high * 1.05), (plot.left, plot.right)),
    }
}

/// The empirical distribution function, with no more steps than can be seen. It ends below 1 if
/// some did not end.
fn steps(times: &Times, plot: Box2, scale: &Scale, shares: &Scale) -> Vec<(f64, f64)> {
    const SEEN: f64 = 0.75;
    if times.of == 0 {
        return Vec::new();
    }
    let mut line = vec![(plot.left, shares.at(0.0))];
    let (mut x, mut y) = line[0];
    for (place, value) in times.finite.iter().enumerate() {
        let next = scale.at(*value);
        if next - x >= SEEN {
            line.extend([(x, y), (next, y)]);
            x = next;
        }
        y = shares.at((place + 1) as f64 / times.of as f64);
    }
    line.extend([(x, y), (plot.right, y)]);
    line.dedup();
    line
}

/// The name of a line beside it, where there is room: half-way up, or further up or down.
fn name(frame: &mut Frame, series: &Series, line: &[(f64, f64)], plot: Box2) {
    let kind = frame.type_of(10.0).colour(series.look.colour).bold();
    let words = font::fitted(&series.name, kind.size, kind.weight, 110.0);
    if words.is_empty() || line.len() < 3 {
        return;
    }
    let height = plot.bottom - plot.top;
    let mut places = Vec::new();
    for share in [0.5, 0.3, 0.7, 0.15, 0.85] {
        let y = plot.bottom - share * height;
        // Lines rise from left to right: the first point at least so high.
        let Some(at) = line.iter().find(|at| at.1 <= y) else {
            continue;
        };
        for aside in [6.0, 14.0] {
            places.push(((at.0 + aside, y + 4.0), Anchor::Left));
            places.push(((at.0 - aside, y + 4.0), Anchor::Right));
        }
    }
    places.retain(|((x, _), anchor)| {
        let space = kind.anchor(*anchor).space(&words, (*x, 0.0));
        space.left > plot.left && space.right < plot.right
    });
    frame.label(&words, kind, &places);
}

fn notes(sweep: &Sweep, series: &[Series]) -> Vec<String> {
    let mut notes = Vec::new();
    let all = sweep.statistics.iter();
    let all = all.filter_map(|it| it.measure(Measure::FailoverTime));
    let (of, open) = all.fold((0, 0), |sum, it| (sum.0 + it.values, sum.1 + it.censored));
    if open > 0 {
        notes.push(format!(
            "{open} of {of} failovers had not come when everything was healed: nobody knows their \
             phases, and lines end below 100 % by as many."
        ));
    }
    let count = sweep.data.configurations.len();
    if series.len() < count {
        notes.push(format!(
            "{} of {count} configurations are shown.",
            series.len()
        ));
    }
    notes
}

/// At which share the line of a phase ends.
#[cfg(test)]
pub(super) fn end(sweep: &Sweep, place: usize, of: Measure) -> f64 {
    let series = Series::of(sweep, place, Look::of(Theme::LIGHT, 0));
    let phase = PHASES.iter().position(|it| it.0 == of).unwrap_or(0);
    let plot = Box2::new(0.0, 0.0, 100.0, 100.0);
    let shares = Scale::linear((0.0, 1.0), (0.0, 1.0));
    let times = Scale::linear((0.0, 1.0), (0.0, 100.0));
    let line = steps(&series.times[phase], plot, &times, &shares);
    line.last().map_or(0.0, |at| at.1)
}
