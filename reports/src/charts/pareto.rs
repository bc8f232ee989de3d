//! The Pareto front: how long failovers take against how many are false.

use super::Theme;
use super::frame::{Dash, Frame, Key, LEFT, MARGIN, WIDTH};
use super::line::{Point, ends, scale_of_times};
use super::words::{facts, measure, sentence, short, tick_time, values_and_standing};
use crate::drawing::font;
use crate::drawing::scale::Scale;
use crate::drawing::sheet::{Anchor, Box2, Sheet};
use crate::statistics::Bound;
use crate::sweep::{MeasureStatistics, QuantileEstimate, Sweep};
use crate::theme::{Colour, Shape};

const HEIGHT: f64 = 400.0;
/// Room for the labels of points at the right edge.
const RIGHT: f64 = 90.0;

/// Room at the left for rates of which none was seen: a logarithmic axis has no 0.
const NONE: f64 = 70.0;

/// Where rates and delays stand.
struct Scales {
    x: Scale,
    y: Scale,
    /// Where a rate of which none was seen stands.
    none: f64,
}

/// A configuration in the plane.
struct Spot {
    place: usize,
    delay: Point,
    rate: Point,
    on_front: bool,
}

/// The statistic that is compared.
#[derive(Clone, Copy)]
struct Statistic {
    name: &'static str,
    of: fn(&MeasureStatistics) -> QuantileEstimate,
}

const P99: Statistic = Statistic {
    name: "p99",
    of: |it| it.p99,
};
const P95: Statistic = Statistic {
    name: "p95",
    of: |it| it.p95,
};

/// `None` if no configuration has both measures.
pub(super) fn draw(sweep: &Sweep, theme: Theme) -> Option<Sheet> {
    let (delay, rate) = (sweep.advice.pareto.delay, sweep.advice.pareto.rate);
    let statistic = statistic(sweep);
    let spots = spots(sweep, statistic);
    if spots.is_empty() {
        return None;
    }
    let title = "Which settings no other one beats";
    let mut frame = Frame::new(theme, title, &facts(sweep));
    frame.keys(&keys(theme, sweep, &spots));
    let top = frame.sheet.y + 26.0;
    let plot = Box2::new(LEFT, top, WIDTH - RIGHT, top + HEIGHT);
    let kind = frame.type_of(13.0).bold();
    let words = format!("{} {}, with 95 % bounds", measure(delay), statistic.name);
    frame.text(&sentence(&words), (MARGIN, top - 10.0), kind);
    let (x, y) = (scale_of_rates(&spots, plot), scale_of_delays(&spots, plot));
    if spots.iter().any(Spot::has_none) {
        let none = none_at(plot);
        let rule = frame.theme.rule;
        let zone = Box2::new(plot.left, plot.top, plot.left + NONE, plot.bottom);
        frame.sheet.tint(zone, rule, 0.3);
        let kind = frame.soft(11.0).anchor(Anchor::Middle);
        frame.text("none seen", (none, plot.bottom + 15.0), kind);
    }
    let scales = Scales {
        x,
        y,
        none: none_at(plot),
    };
    frame.upright_axis(plot, &scales.y, tick_time);
    frame.level_axis(plot, &scales.x, short);
    frame.edges(plot);
    let kind = frame.type_of(12.0).anchor(Anchor::Middle);
    let words = sentence(&format!(
        "{} by cluster and day, logarithmic",
        measure(rate)
    ));
    let at = (f64::midpoint(plot.left, plot.right), plot.bottom + 35.0);
    frame.text(&words, at, kind);
    front_line(&mut frame, &spots, &scales);
    // The front lies above what it beats, and its names come first.
    for is_front in [false, true] {
        for spot in spots.iter().filter(|it| it.on_front == is_front) {
            spot.cross(&mut frame, sweep, plot, &scales);
        }
    }
    for is_front in [true, false] {
        for spot in spots.iter().filter(|it| it.on_front == is_front) {
            spot.name(&mut frame, sweep, plot, &scales);
        }
    }
    frame.sheet.y = plot.bottom + 48.0;
    for note in notes(sweep, &spots, statistic) {
        frame.note(&note);
    }
    Some(frame.finish())
}

/// The p99 if every configuration has enough values to bound it, else the p95, on which the advice
/// rests.
fn statistic(sweep: &Sweep) -> Statistic {
    let delay = sweep.advice.pareto.delay;
    let mut bounds = sweep
        .statistics
        .iter()
        .filter_map(|it| Some(it.measure(delay)?.p99.high));
    match bounds.all(|high| !matches!(high, Bound::TooFew { .. })) {
        true => P99,
        false => P95,
    }
}

fn spots(sweep: &Sweep, statistic: Statistic) -> Vec<Spot> {
    let (delay, rate) = (sweep.advice.pareto.delay, sweep.advice.pareto.rate);
    let mut spots: Vec<Spot> = (sweep.statistics.iter().enumerate())
        .filter_map(|(place, it)| {
            Some(Spot {
                place,
                delay: (statistic.of)(it.measure(delay)?).into(),
                rate: it.measure(rate)?.per_day?.into(),
                on_front: false,
            })
        })
        .collect();
    let at: Vec<(f64, f64)> = spots.iter().map(Spot::at).collect();
    for (spot, one) in spots.iter_mut().zip(&at) {
        let is_beaten = at
            .iter()
            .any(|it| it.0 <= one.0 && it.1 <= one.1 && it != one);
        spot.on_front = one.0.is_finite() && !is_beaten;
    }
    spots
}

fn keys(theme: Theme, sweep: &Sweep, spots: &[Spot]) -> Vec<(Key, &'static str)> {
    let mut keys = vec![(
        Key::Mark(Shape::Disc, theme.series[0], false),
        "no other one is better in both",
    )];
    if spots.iter().any(|it| !it.on_front) {
        keys.push((Key::Mark(Shape::Square, theme.soft_ink, true), "beaten"));
    }
    if sweep.advice.chosen.is_some() {
        keys.push((Key::Mark(Shape::Star, theme.good, false), "chosen"));
    }
    keys.push((Key::Rule(theme.soft_ink, Dash::SOLID), "95 % intervals"));
    keys
}

/// The middle of the zone of those of which none was seen.
fn none_at(plot: Box2) -> f64 {
    plot.left + NONE / 2.0
}

fn scale_of_rates(spots: &[Spot], plot: Box2) -> Scale {
    let none = if spots.iter().any(Spot::has_none) {
        NONE
    } else {
        0.0
    };
    let px = (plot.left + none + 24.0, plot.right - 8.0);
    let numbers = spots.iter().flat_map(|it| [it.rate.estimate, it.rate.high]);
    let (low, high) = ends(numbers.flatten().filter(|value| *value > 0.0));
    match low <= high {
        true => Scale::log((low / 3.0, high * 1.3), px),
        false => Scale::log((0.1, 10.0), px),
    }
}

fn scale_of_delays(spots: &[Spot], plot: Box2) -> Scale {
    let numbers = spots
        .iter()
        .flat_map(|it| [it.delay.estimate, it.delay.low, it.delay.high]);
    scale_of_times(
        ends(numbers.flatten()),
        (plot.bottom - 8.0, plot.top + 14.0),
    )
}

/// Steps between neighbours on the front: what would be needed to beat it lies below.
fn front_line(frame: &mut Frame, spots: &[Spot], scales: &Scales) {
    let mut at: Vec<(f64, f64)> = spots
        .iter()
        .filter(|it| it.on_front)
        .map(|it| it.place_on(scales))
        .collect();
    at.sort_by(|one, other| one.0.total_cmp(&other.0).then(one.1.total_cmp(&other.1)));
    let mut points: Vec<(f64, f64)> = Vec::new();
    for next in at {
        if let Some(last) = points.last().copied() {
            points.push((next.0, last.1));
        }
        points.push(next);
    }
    let colour = frame.theme.series[0];
    frame.dashed(&points, Dash::DOTTED, colour, 1.4);
}

impl Spot {
    /// Delay and rate, of which less is better.
    fn at(&self) -> (f64, f64) {
        (
            self.delay.estimate.unwrap_or(f64::INFINITY),
            self.rate.estimate.unwrap_or(f64::INFINITY),
        )
    }

    /// Whether no event of the rate was seen.
    fn has_none(&self) -> bool {
        self.rate.estimate == Some(0.0)
    }

    fn place_on(&self, scales: &Scales) -> (f64, f64) {
        let rate = match self.rate.estimate {
            Some(rate) if rate > 0.0 => scales.x.at(rate),
            Some(_) | None => scales.none,
        };
        (
            rate,
            scales.y.at(self.delay.estimate.unwrap_or(f64::INFINITY)),
        )
    }

    fn looks(&self, sweep: &Sweep, theme: Theme) -> (Shape, Colour) {
        if sweep.advice.chosen == Some(self.place) {
            (Shape::Star, theme.good)
        } else if self.on_front {
            (Shape::Disc, theme.series[0])
        } else {
            (Shape::Square, theme.soft_ink)
        }
    }

    fn cross(&self, frame: &mut Frame, sweep: &Sweep, plot: Box2, scales: &Scales) {
        let (shape, colour) = self.looks(sweep, frame.theme);
        let (x, y) = self.place_on(scales);
        let low = match self.rate.low {
            Some(low) if low > 0.0 => scales.x.at(low),
            Some(_) | None => x,
        };
        let high = self.rate.high.map_or(x, |high| scales.x.at(high));
        frame.sheet.line((low.min(x), y), (high, y), colour, 1.0);
        for end in [low, high] {
            frame
                .sheet
                .line((end, y - 3.0), (end, y + 3.0), colour, 1.0);
        }
        let low = self.delay.low.map_or(y, |low| scales.y.at(low));
        let high = self.delay.high.map_or(y, |high| scales.y.at(high));
        frame.sheet.line((x, low), (x, high), colour, 1.0);
        let is_open = self.delay.high.is_none() || self.delay.estimate.is_none();
        if is_open {
            frame.arrow((x, y), (x, (y - 22.0).max(plot.top)), colour);
        }
        let is_beaten = shape == Shape::Square;
        frame.mark((x, y), shape, colour, is_beaten || is_open);
    }

    fn name(&self, frame: &mut Frame, sweep: &Sweep, plot: Box2, scales: &Scales) {
        let (shape, colour) = self.looks(sweep, frame.theme);
        let (x, y) = self.place_on(scales);
        let kind = frame.type_of(11.0).colour(colour);
        let kind = match shape == Shape::Square {
            true => kind,
            false => kind.bold(),
        };
        let words = values_and_standing(sweep, self.place);
        let words = font::fitted(&words, kind.size, kind.weight, 260.0);
        let mut places = Vec::new();
        for far in [0.0, 13.0] {
            places.extend([
                ((x + 9.0, y - 6.0 - far), Anchor::Left),
                ((x + 9.0, y + 14.0 + far), Anchor::Left),
                ((x - 9.0, y - 6.0 - far), Anchor::Right),
                ((x - 9.0, y + 14.0 + far), Anchor::Right),
            ]);
        }
        places.retain(|((_, y), _)| *y > plot.top + 8.0 && *y < plot.bottom - 3.0);
        frame.label(&words, kind, &places);
    }
}

fn notes(sweep: &Sweep, spots: &[Spot], statistic: Statistic) -> Vec<String> {
    let mut notes = Vec::new();
    if statistic.name == P95.name {
        notes.push("p95: some configuration has too few values to bound its p99.".to_owned());
    }
    if spots.iter().any(Spot::has_none) {
        notes.push(
            "None seen: the line ends at the highest rate that the time observed allows."
                .to_owned(),
        );
    }
    if spots.iter().any(|it| it.delay.estimate.is_none()) {
        notes.push(
            "A hollow mark at the top: it lies among the failovers that had not happened when their \
             run ended."
                .to_owned(),
        );
    } else if spots.iter().any(|it| it.delay.high.is_none()) {
        notes.push("A hollow mark with an arrow: nothing bounds it from above.".to_owned());
    }
    let missing = sweep.data.configurations.len() - spots.len();
    if missing > 0 {
        notes.push(format!(
            "{missing} configurations had no failover to measure."
        ));
    }
    notes
}
