//! Time across the picture.

use crate::drawing::sheet::{Anchor, Box2, Sheet, Type};
use crate::model::{Model, Span};
use crate::theme::{INK, PAPER, RULE};

/// Maps instants to places.
#[derive(Clone, Copy, PartialEq, Debug)]
pub(super) struct Axis {
    pub(super) window: Span,
    pub(super) origin_us: u64,
    pub(super) left: f64,
    pub(super) right: f64,
}

impl Axis {
    pub(super) const fn new(model: &Model, window: Span, left: f64, right: f64) -> Self {
        Self {
            window,
            origin_us: model.origin_us,
            left,
            right,
        }
    }

    /// Where an instant lies, inside the window or not.
    pub(super) fn x(&self, at_us: u64) -> f64 {
        let length = self.window.length_us().max(1) as f64;
        let share = (at_us as f64 - self.window.from_us as f64) / length;
        self.left + share * (self.right - self.left)
    }

    /// The part of a span that is in the window, as left and right.
    pub(super) fn clipped(&self, span: Span) -> Option<(f64, f64)> {
        let instant = span.length_us() == 0;
        if !(span.touches(self.window) || instant && self.window.contains(span.from_us)) {
            return None;
        }
        Some((
            self.x(span.from_us).max(self.left),
            self.x(span.to_us).min(self.right),
        ))
    }

    /// The parts of spans that are in the window, as left and right. What would lie closer together
    /// than can be told apart is joined, so that thousands of spans are no more than there are
    /// places. The spans stand in order of their beginning.
    pub(super) fn joined<T: PartialEq>(
        &self,
        spans: impl IntoIterator<Item = (T, Span)>,
    ) -> Vec<(T, f64, f64)> {
        const APART: f64 = 0.75;
        let mut joined: Vec<(T, f64, f64)> = Vec::new();
        for (kind, span) in spans {
            let Some((left, right)) = self.clipped(span) else {
                continue;
            };
            match joined.last_mut() {
                Some((last, _, end)) if *last == kind && left < *end + APART => {
                    *end = end.max(right);
                }
                Some(_) | None => joined.push((kind, left, right)),
            }
        }
        joined
    }

    /// Whether an instant is in the window.
    pub(super) fn shows(&self, at_us: u64) -> bool {
        self.window.contains(at_us)
    }

    /// Places of the lines that guide the eye, with the seconds from the first fault.
    pub(super) fn ticks(&self) -> Vec<(f64, f64)> {
        let seconds = self.window.length_us() as f64 / 1e6;
        let room = ((self.right - self.left) / 75.0).max(2.0);
        let step = [
            0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1.0, 2.0, 5.0, 10.0, 20.0, 30.0, 60.0, 120.0,
        ]
        .into_iter()
        .find(|step| seconds / step <= room)
        .unwrap_or(seconds / room);
        let relative = |at_us: u64| (at_us as f64 - self.origin_us as f64) / 1e6;
        let first = (relative(self.window.from_us) / step).ceil() as i64;
        let last = (relative(self.window.to_us) / step).floor() as i64;
        let scale = (self.right - self.left) / seconds.max(1e-9);
        (first..=last)
            .map(|tick| {
                let at = tick as f64 * step;
                (self.left + (at - relative(self.window.from_us)) * scale, at)
            })
            .collect()
    }

    /// The row of times.
    pub(super) fn labels(&self, sheet: &mut Sheet) {
        let baseline = sheet.y + 13.0;
        for (x, seconds) in self.ticks() {
            let kind = Type::new(11.0).soft();
            let kind = if seconds.abs() < 1e-9 {
                kind.bold().colour(INK)
            } else {
                kind
            };
            // A label at an edge is held there, so that it stays on the sheet.
            let anchor = if x > self.right - 16.0 {
                Anchor::Right
            } else {
                Anchor::Middle
            };
            let kind = kind.anchor(anchor);
            let words = seconds_words(seconds);
            if seconds.abs() < 1e-9 {
                // The first fault's line runs behind it.
                let space = kind.space(&words, (x, baseline));
                let (left, right) = (space.left - 3.0, space.right + 3.0);
                sheet.fill(
                    Box2::new(left, space.top - 2.0, right, space.bottom + 2.0),
                    PAPER,
                );
            }
            sheet.text(words, (x, baseline), kind);
        }
        let kind = Type::new(11.0).soft().anchor(Anchor::Right);
        sheet.text("since first fault", (self.left - 24.0, baseline), kind);
        sheet.y += 20.0;
    }

    /// The lines that guide the eye.
    pub(super) fn rules(&self, sheet: &mut Sheet, top: f64, bottom: f64) {
        for (x, _) in self.ticks() {
            sheet.line((x, top), (x, bottom), RULE, 1.0);
        }
    }
}

/// `+2.5 s`, `−1 s`, `0`.
fn seconds_words(seconds: f64) -> String {
    if seconds.abs() < 1e-9 {
        return "0 s".to_owned();
    }
    let digits = format!("{:.2}", seconds.abs());
    let digits = digits.trim_end_matches('0').trim_end_matches('.');
    let sign = if seconds < 0.0 { '−' } else { '+' };
    format!("{sign}{digits} s")
}
