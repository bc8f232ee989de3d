//! Differences from the base, seed by seed on the same weather.

use redrill_sim::scenario::{Measure, Unit};

use super::Theme;
use super::frame::{Dash, Frame, Key, MARGIN, WIDTH};
use super::line::ends;
use super::words::{facts, measure, sentence, short, tick_time, values, values_and_standing};
use crate::drawing::font;
use crate::drawing::scale::Scale;
use crate::drawing::sheet::{Anchor, Box2, Sheet};
use crate::statistics::{Compared, Difference, Finding};
use crate::sweep::{MeasureDifference, Sweep};
use crate::theme::{Colour, Shape};

/// What may have a panel, the most telling first.
const COMPARED: [(Measure, Compared); 5] = [
    (Measure::WriteGap, Compared::Quantile(0.5)),
    (Measure::WriteGap, Compared::Quantile(0.95)),
    (Measure::FailoverTime, Compared::Quantile(0.5)),
    (Measure::FalseFailovers, Compared::Mean),
    (Measure::LostAckedWrites, Compared::Mean),
];

const MOST_PANELS: usize = 3;
/// Rows of more configurations than this are not drawn.
const MOST_ROWS: usize = 40;
/// The most room for the names of rows.
const NAMES: f64 = 150.0;
/// Room for the verdicts at the right of a panel.
const VERDICTS: f64 = 124.0;
const GAP: f64 = 10.0;
const ROW: f64 = 34.0;

/// `None` if there is nothing to compare.
pub(super) fn draw(sweep: &Sweep, theme: Theme) -> Option<Sheet> {
    let all: Vec<usize> = (0..sweep.differences.len())
        .filter(|place| !sweep.differences[*place].is_empty())
        .collect();
    let rows = &all[..all.len().min(MOST_ROWS)];
    let panels: Vec<(Measure, Compared)> = COMPARED
        .into_iter()
        .filter(|compared| {
            rows.iter()
                .any(|row| find(sweep, *row, *compared).is_some_and(is_any))
        })
        .take(MOST_PANELS)
        .collect();
    if panels.is_empty() {
        return None;
    }
    let base = format!(
        "Better or worse than {}",
        values_and_standing(sweep, sweep.base)
    );
    let about = format!(
        "difference seed by seed with its 95 % interval, less is better; {}",
        facts(sweep)
    );
    let mut frame = Frame::new(theme, &base, &about);
    frame.keys(&[
        (Key::Mark(Shape::Disc, theme.good, false), "better"),
        (Key::Mark(Shape::Square, theme.bad, false), "worse"),
        (
            Key::Mark(Shape::Diamond, theme.soft_ink, true),
            "inconclusive: the interval holds zero",
        ),
    ]);
    let top = frame.sheet.y + 34.0;
    let bottom = top + ROW * rows.len() as f64;
    let kind = frame.type_of(12.0).anchor(Anchor::Right);
    let widths = rows
        .iter()
        .map(|row| font::width(&values(sweep, *row), kind.size, kind.weight));
    let names = (widths.fold(40.0, f64::max) + 18.0).min(NAMES);
    for (row, number) in rows.iter().zip(0_u32..) {
        let y = top + ROW * (f64::from(number) + 0.5);
        if number % 2 == 0 {
            let (rule, area) = (
                frame.theme.rule,
                Box2::new(MARGIN, y - ROW / 2.0, WIDTH - MARGIN, y + ROW / 2.0),
            );
            frame.sheet.tint(area, rule, 0.3);
        }
        let at = (MARGIN + names - 10.0, y + 4.0);
        frame.shortened(&values(sweep, *row), at, kind, NAMES - 14.0);
    }
    let count = panels.len() as f64;
    let width = (WIDTH - 2.0 * MARGIN - names - GAP * (count - 1.0)) / count;
    for (compared, number) in panels.iter().zip(0_u32..) {
        let left = MARGIN + names + f64::from(number) * (width + GAP);
        let plot = Box2::new(left, top, left + width - VERDICTS, bottom);
        panel(&mut frame, sweep, rows, *compared, plot);
    }
    frame.sheet.y = bottom + 26.0;
    if rows.len() < all.len() {
        frame.note(&format!(
            "The first {} of {} configurations are shown.",
            rows.len(),
            all.len()
        ));
    }
    Some(frame.finish())
}

fn find(sweep: &Sweep, place: usize, (of, compared): (Measure, Compared)) -> Option<&Difference> {
    let found = |it: &&MeasureDifference| it.measure == of && it.difference.compared == compared;
    let differences = &sweep.differences[place];
    differences.iter().find(found).map(|it| &it.difference)
}

/// Whether there is any difference to be seen.
fn is_any(it: &Difference) -> bool {
    it.estimate != 0.0 || it.low != 0.0 || it.high != 0.0
}

fn panel(
    frame: &mut Frame,
    sweep: &Sweep,
    rows: &[usize],
    compared: (Measure, Compared),
    plot: Box2,
) {
    let (of, statistic) = compared;
    let what = match statistic {
        Compared::Quantile(share) => format!("{} p{:.0}", measure(of), share * 100.0),
        Compared::Mean => format!("{} by run", measure(of)),
    };
    let kind = frame.type_of(12.0).bold();
    let room = plot.right - plot.left + VERDICTS - 4.0;
    frame.shortened(&sentence(&what), (plot.left, plot.top - 10.0), kind, room);
    let found: Vec<Option<&Difference>> =
        rows.iter().map(|row| find(sweep, *row, compared)).collect();
    let numbers = found
        .iter()
        .flatten()
        .flat_map(|it| [it.estimate, it.low, it.high]);
    let (low, high) = ends(numbers.chain([0.0]));
    let air = (high - low) * 0.08;
    let scale = Scale::linear((low - air, high + air), (plot.left + 4.0, plot.right - 4.0));
    let is_time = of.unit() == Unit::Time;
    frame.level_axis(plot, &scale, |value| {
        let sign = if value > 0.0 { "+" } else { "" };
        match is_time {
            true => format!("{sign}{}", tick_time(value)),
            false => format!("{sign}{}", short(value)),
        }
    });
    let zero = scale.at(0.0);
    let ink = frame.theme.ink;
    frame
        .sheet
        .line((zero, plot.top), (zero, plot.bottom), ink, 1.4);
    for (difference, number) in found.iter().zip(0_u32..) {
        let y = plot.top + ROW * (f64::from(number) + 0.5);
        match difference {
            Some(it) => row(frame, it, of, plot, y, &scale),
            None => {
                let kind = frame.soft(11.0);
                frame.text("not measured", (plot.right + 8.0, y + 4.0), kind);
            }
        }
    }
}

fn row(frame: &mut Frame, it: &Difference, of: Measure, plot: Box2, y: f64, scale: &Scale) {
    let (words, shape, colour) = verdict(frame.theme, it);
    let hollow = it.finding == Finding::Inconclusive;
    if it.estimate.is_finite() {
        let (low, high) = (scale.at(it.low), scale.at(it.high));
        frame.dashed(&[(low, y), (high, y)], Dash::SOLID, colour, 2.0);
        for (end, value) in [(low, it.low), (high, it.high)] {
            match value.is_finite() {
                true => frame
                    .sheet
                    .line((end, y - 4.0), (end, y + 4.0), colour, 1.4),
                false => frame.arrow((scale.at(it.estimate), y), (end, y), colour),
            }
        }
        frame.mark((scale.at(it.estimate), y), shape, colour, hollow);
    } else {
        let to = if it.estimate > 0.0 {
            plot.right
        } else {
            plot.left
        };
        frame.arrow((scale.at(0.0), y), (to, y), colour);
    }
    let kind = frame.type_of(11.0).colour(colour);
    let kind = if hollow { kind } else { kind.bold() };
    frame.text(words, (plot.right + 8.0, y - 2.0), kind);
    let small = frame.soft(10.0);
    let numbers = numbers(it, of.unit());
    frame.shortened(
        &numbers,
        (plot.right + 8.0, y + 11.0),
        small,
        VERDICTS - 8.0,
    );
}

/// `+1.20 s [1.15, 1.24]`
fn numbers(it: &Difference, unit: Unit) -> String {
    if !it.estimate.is_finite() {
        return String::new();
    }
    let sign = if it.estimate > 0.0 { "+" } else { "" };
    let (estimate, divisor) = match unit {
        Unit::Time if it.estimate.abs() >= 1000.0 => (tick_time(it.estimate), 1000.0),
        Unit::Time => (tick_time(it.estimate), 1.0),
        Unit::Number | Unit::Share => (short(it.estimate), 1.0),
    };
    let end = |value: f64| match value.is_finite() {
        true => short(value / divisor),
        false => "never".to_owned(),
    };
    format!("{sign}{estimate} [{}, {}]", end(it.low), end(it.high))
}

const fn verdict(theme: Theme, it: &Difference) -> (&'static str, Shape, Colour) {
    let is_never = it.estimate.is_infinite();
    match it.finding {
        Finding::Lower if is_never => ("ends now", Shape::Disc, theme.good),
        Finding::Higher if is_never => ("never ends", Shape::Square, theme.bad),
        Finding::Lower => ("better", Shape::Disc, theme.good),
        Finding::Higher => ("worse", Shape::Square, theme.bad),
        Finding::Inconclusive if it.estimate == 0.0 && it.low == 0.0 && it.high == 0.0 => {
            ("the same", Shape::Diamond, theme.soft_ink)
        }
        Finding::Inconclusive => ("inconclusive", Shape::Diamond, theme.soft_ink),
    }
}
