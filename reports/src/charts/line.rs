//! Lines of estimates over an axis, each with what bounds it.

use super::frame::{Frame, Look};
use crate::drawing::scale::{Scale, spans_decades};
use crate::drawing::sheet::{Anchor, Box2};
use crate::sweep::{Axis, PerDay, QuantileEstimate};

/// An estimate; what does not bound it is `None`.
#[derive(Clone, Copy, PartialEq, Debug)]
pub(super) struct Point {
    /// `None` if it lies where runs had ended already.
    pub(super) estimate: Option<f64>,
    pub(super) low: Option<f64>,
    pub(super) high: Option<f64>,
}

/// A line of estimates: one for each value of the axis, `None` without anything measured.
#[derive(Clone, PartialEq, Debug)]
pub(super) struct Line {
    /// What stands at its end.
    pub(super) name: String,
    pub(super) look: Look,
    /// Whether its intervals are a band, and not a whisker each.
    pub(super) is_banded: bool,
    pub(super) points: Vec<Option<Point>>,
}

impl From<QuantileEstimate> for Point {
    fn from(it: QuantileEstimate) -> Self {
        Self {
            estimate: it.estimate,
            low: it.low.value(),
            high: it.high.value(),
        }
    }
}

impl From<PerDay> for Point {
    fn from(it: PerDay) -> Self {
        Self {
            estimate: Some(it.estimate),
            low: Some(it.low),
            high: it.high,
        }
    }
}

/// Where the values of an axis stand on a sheet.
#[derive(Clone, PartialEq, Debug)]
pub(super) struct Across {
    /// Of each value.
    pub(super) xs: Vec<f64>,
    /// For numbers.
    pub(super) scale: Option<Scale>,
}

impl Across {
    /// Logarithmic over more than a decade of numbers, linear over fewer, evenly spaced over what
    /// is no number. `also` are further numbers that must find a place.
    pub(super) fn of(axis: &Axis, also: &[f64], (left, right): (f64, f64)) -> Self {
        const AIR: f64 = 22.0;
        let count = axis.values.len().max(1) as f64;
        let numbers: Option<Vec<f64>> = axis.values.iter().map(|it| it.position).collect();
        let numbers = numbers.filter(|it| it.iter().all(|value| value.is_finite()));
        let Some(numbers) = numbers.filter(|numbers| numbers.len() > 1) else {
            let step = (right - left) / count;
            let xs = (0..axis.values.len()).map(|place| left + (place as f64 + 0.5) * step);
            return Self {
                xs: xs.collect(),
                scale: None,
            };
        };
        let all = numbers.iter().chain(also).copied();
        let (low, high) = ends(all);
        let scale = Scale::fitting((low, high), (left + AIR, right - AIR));
        Self {
            xs: numbers.iter().map(|value| scale.at(*value)).collect(),
            scale: Some(scale),
        }
    }

    /// How much room a value has for its words.
    pub(super) fn room(&self, (left, right): (f64, f64)) -> f64 {
        match self.scale {
            Some(_) => 90.0,
            None => (right - left) / self.xs.len().max(1) as f64 - 10.0,
        }
    }
}

/// The least and the greatest of finite values; from infinity to minus infinity if there are none.
pub(super) fn ends(values: impl Iterator<Item = f64>) -> (f64, f64) {
    let finite = values.filter(|value| value.is_finite());
    finite.fold((f64::INFINITY, f64::NEG_INFINITY), |(low, high), value| {
        (low.min(value), high.max(value))
    })
}

/// A scale for times: from 0, or logarithmic over more than a decade.
pub(super) fn scale_of_times((low, high): (f64, f64), px: (f64, f64)) -> Scale {
    if !(low.is_finite() && high.is_finite()) {
        return Scale::linear((0.0, 1000.0), px);
    }
    match spans_decades((low, high)) {
        true => Scale::log((low / 1.25, high * 1.25), px),
        false => Scale::linear((0.0, high * 1.08), px),
    }
}

impl Line {
    /// All numbers that an axis must hold: estimates and what bounds them.
    pub(super) fn numbers(&self) -> impl Iterator<Item = f64> {
        let points = self.points.iter().flatten();
        points.flat_map(|it| [it.estimate, it.low, it.high].into_iter().flatten())
    }

    /// Draws it over an upright scale. What has not happened at all when runs ended is an arrow
    /// to the top.
    pub(super) fn draw(&self, frame: &mut Frame, plot: Box2, xs: &[f64], scale: &Scale) {
        if self.is_banded {
            self.band(frame, xs, scale);
        }
        for part in self.parts(|it| it.estimate.map(|value| scale.at(value)), xs) {
            frame.path(&part, self.look);
        }
        for (point, x) in self.points.iter().zip(xs) {
            let Some(point) = point else { continue };
            self.point(frame, plot, *x, point, scale);
        }
    }

    fn point(&self, frame: &mut Frame, plot: Box2, x: f64, point: &Point, scale: &Scale) {
        let colour = self.look.colour;
        let Some(estimate) = point.estimate else {
            let from = point.low.map_or(plot.top + 26.0, |low| scale.at(low));
            frame.arrow((x, from.max(plot.top + 14.0)), (x, plot.top), colour);
            return;
        };
        let y = scale.at(estimate);
        if !self.is_banded {
            let low = point.low.map_or(y, |low| scale.at(low));
            let high = point.high.map_or(y, |high| scale.at(high));
            frame.sheet.line((x, low), (x, high), colour, 1.0);
            frame.take(Box2::new(x - 1.0, high, x + 1.0, low));
        }
        if point.high.is_none() {
            let to = (y - 20.0).max(plot.top);
            frame.arrow((x, y), (x, to), colour);
        }
        frame.mark((x, y), self.look.shape, colour, point.high.is_none());
    }

    fn band(&self, frame: &mut Frame, xs: &[f64], scale: &Scale) {
        let end = |of: fn(&Point) -> Option<f64>| {
            self.parts(
                move |it| it.low.and(it.high).and(of(it)).map(|it| scale.at(it)),
                xs,
            )
        };
        let (lows, highs) = (end(|it| it.low), end(|it| it.high));
        for (low, high) in lows.iter().zip(&highs) {
            frame.band(low, high, self.look.colour);
            if let ([low], [high]) = (&low[..], &high[..]) {
                frame.sheet.line(*low, *high, self.look.colour, 3.0);
            }
        }
    }

    /// The stretches of points that have a height.
    fn parts(&self, y: impl Fn(&Point) -> Option<f64>, xs: &[f64]) -> Vec<Vec<(f64, f64)>> {
        let mut parts = vec![Vec::new()];
        for (point, x) in self.points.iter().zip(xs) {
            match (point.as_ref().and_then(&y), parts.last_mut()) {
                (Some(y), Some(part)) => part.push((*x, y)),
                _ => parts.push(Vec::new()),
            }
        }
        parts.retain(|part| !part.is_empty());
        parts
    }

    /// The value at its right end.
    pub(super) fn last(&self) -> Option<f64> {
        self.points
            .iter()
            .rev()
            .find_map(|it| it.as_ref()?.estimate)
    }

    /// Its name at its right end, where there is room.
    pub(super) fn name_at_end(&self, frame: &mut Frame, xs: &[f64], scale: &Scale) {
        let points = self.points.iter().zip(xs).rev();
        let height = |it: Point| it.estimate.filter(|value| *value > 0.0).or(it.high);
        let mut heights = points.filter_map(|(point, x)| Some((*x, height((*point)?)?)));
        let Some((x, value)) = heights.next() else {
            return;
        };
        let (x, y) = (x + 12.0, scale.at(value) + 4.0);
        let places: Vec<((f64, f64), Anchor)> = [0.0, 13.0, -13.0, 26.0, -26.0, 39.0]
            .map(|shift| ((x, y + shift), Anchor::Left))
            .to_vec();
        let kind = frame.type_of(11.0).colour(self.look.colour).bold();
        let name = crate::drawing::font::fitted(
            &self.name,
            kind.size,
            kind.weight,
            (frame.sheet.width - x - 8.0).max(0.0),
        );
        if !name.is_empty() {
            frame.label(&name, kind, &places);
        }
    }
}
