//! What all charts have: a title, keys, panels with axes, and labels that find a free place.

use super::Theme;
use crate::drawing::font;
use crate::drawing::labels::Taken;
use crate::drawing::scale::Scale;
use crate::drawing::sheet::{Anchor, Box2, Item, Sheet, Type};
use crate::theme::{Colour, Shape};

pub(super) const WIDTH: f64 = 960.0;
pub(super) const MARGIN: f64 = 24.0;
/// Room for the words of an upright axis.
pub(super) const LEFT: f64 = 86.0;
/// Size of a mark, from its middle.
pub(super) const MARK: f64 = 4.2;

/// A sheet on which no text covers another.
#[derive(Debug)]
pub(super) struct Frame {
    pub(super) theme: Theme,
    pub(super) sheet: Sheet,
    taken: Taken,
}

/// The dashes of a line: lengths on and off.
#[derive(Clone, Copy, PartialEq, Debug)]
pub(super) struct Dash(&'static [f64]);

impl Dash {
    pub(super) const SOLID: Self = Self(&[]);
    pub(super) const DASHED: Self = Self(&[8.0, 4.0]);
    pub(super) const DOTTED: Self = Self(&[2.0, 3.0]);
    pub(super) const DASH_DOT: Self = Self(&[9.0, 3.0, 2.0, 3.0]);
    pub(super) const LONG: Self = Self(&[14.0, 5.0]);
    pub(super) const DASH_DOT_DOT: Self = Self(&[9.0, 3.0, 2.0, 3.0, 2.0, 3.0]);
}

/// The looks of a line, so that no two that stand beside each other differ by colour alone.
#[derive(Clone, Copy, PartialEq, Debug)]
pub(super) struct Look {
    pub(super) colour: Colour,
    pub(super) dash: Dash,
    pub(super) shape: Shape,
    pub(super) width: f64,
}

impl Look {
    /// How many there are.
    pub(super) const COUNT: usize = 6;

    /// The looks of a series by its number.
    pub(super) const fn of(theme: Theme, place: usize) -> Self {
        const DASHES: [Dash; Look::COUNT] = [
            Dash::SOLID,
            Dash::DASHED,
            Dash::DOTTED,
            Dash::DASH_DOT,
            Dash::LONG,
            Dash::DASH_DOT_DOT,
        ];
        const SHAPES: [Shape; Look::COUNT] = [
            Shape::Disc,
            Shape::Square,
            Shape::Up,
            Shape::Diamond,
            Shape::Play,
            Shape::Star,
        ];
        let place = place % Self::COUNT;
        Self {
            colour: theme.series[place],
            dash: DASHES[place],
            shape: SHAPES[place],
            width: 1.8,
        }
    }
}

/// What a key shows beside its words.
#[derive(Clone, Copy, PartialEq, Debug)]
pub(super) enum Key {
    /// A line with a mark on it.
    Line(Look),
    /// A line without marks.
    Rule(Colour, Dash),
    /// A mark.
    Mark(Shape, Colour, bool),
}

impl Frame {
    /// A sheet with a title; both lines are shortened if they are too long.
    pub(super) fn new(theme: Theme, title: &str, about: &str) -> Self {
        let mut frame = Self {
            theme,
            sheet: Sheet::new(WIDTH),
            taken: Taken::default(),
        };
        let room = WIDTH - 2.0 * MARGIN;
        let kind = frame.type_of(18.0).bold();
        frame.shortened(title, (MARGIN, 32.0), kind, room);
        let kind = frame.soft(12.0);
        frame.shortened(about, (MARGIN, 51.0), kind, room);
        frame.sheet.y = 62.0;
        frame
    }

    pub(super) const fn type_of(&self, size: f64) -> Type {
        Type::new(size).colour(self.theme.ink)
    }

    pub(super) const fn soft(&self, size: f64) -> Type {
        Type::new(size).colour(self.theme.soft_ink)
    }

    /// Writes a text where it stands free; false, and nothing, if it would not.
    pub(super) fn text(&mut self, text: &str, at: (f64, f64), kind: Type) -> bool {
        self.label(text, kind, &[(at, kind.anchor)])
    }

    /// Writes a text at the first of some places where it stands free.
    pub(super) fn label(
        &mut self,
        text: &str,
        kind: Type,
        places: &[((f64, f64), Anchor)],
    ) -> bool {
        let bounds = (0.0, self.sheet.width);
        self.taken
            .place(&mut self.sheet, text, kind, places, bounds)
    }

    /// Writes a text, cut to a width if need be; the whole of it is told to who points at it.
    pub(super) fn shortened(&mut self, text: &str, at: (f64, f64), kind: Type, most: f64) -> bool {
        let short = font::fitted(text, kind.size, kind.weight, most);
        let is_there = !short.is_empty() && self.text(&short, at, kind);
        if is_there && short != text {
            self.sheet.items.push(Item::InFull(text.to_owned()));
        }
        is_there
    }

    /// Writes a text over as many lines as it takes, and moves on below it.
    pub(super) fn note(&mut self, text: &str) {
        let kind = self.soft(12.0);
        let room = WIDTH - 2.0 * MARGIN;
        let mut line = String::new();
        let mut lines = Vec::new();
        for word in text.split_whitespace() {
            let longer = match line.is_empty() {
                true => word.to_owned(),
                false => format!("{line} {word}"),
            };
            if font::width(&longer, kind.size, kind.weight) > room && !line.is_empty() {
                lines.push(std::mem::replace(&mut line, word.to_owned()));
            } else {
                line = longer;
            }
        }
        lines.push(line);
        for line in lines.iter().filter(|line| !line.is_empty()) {
            self.shortened(line, (MARGIN, self.sheet.y + 13.0), kind, room);
            self.sheet.y += 17.0;
        }
    }

    /// Keeps labels off an area.
    pub(super) fn take(&mut self, area: Box2) {
        self.taken.take(area);
    }

    /// Keys in a row, or several, and moves on below them.
    pub(super) fn keys(&mut self, keys: &[(Key, &str)]) {
        const SIGN: f64 = 34.0;
        const APART: f64 = 22.0;
        let kind = self.type_of(12.0);
        let (mut x, mut y) = (MARGIN, self.sheet.y + 13.0);
        let room = WIDTH - 2.0 * MARGIN - SIGN;
        for (key, words) in keys {
            let width = font::width(words, kind.size, kind.weight).min(room);
            if x > MARGIN && x + SIGN + width > WIDTH - MARGIN {
                (x, y) = (MARGIN, y + 20.0);
            }
            self.key(*key, (x, y - 4.0));
            self.shortened(words, (x + SIGN, y), kind, room);
            x += SIGN + width + APART;
        }
        if !keys.is_empty() {
            self.sheet.y = y + 12.0;
        }
    }

    /// The sign of a key, 28 wide, from its left.
    pub(super) fn key(&mut self, key: Key, (x, y): (f64, f64)) {
        let ends = [(x, y), (x + 28.0, y)];
        match key {
            Key::Line(look) => {
                self.path(&ends, look);
                self.mark((x + 14.0, y), look.shape, look.colour, false);
            }
            Key::Rule(colour, dash) => self.dashed(&ends, dash, colour, 1.6),
            Key::Mark(shape, colour, hollow) => self.mark((x + 14.0, y), shape, colour, hollow),
        }
    }

    /// A line in the looks of a series.
    pub(super) fn path(&mut self, points: &[(f64, f64)], look: Look) {
        self.dashed(points, look.dash, look.colour, look.width);
    }

    /// A line through points, with dashes along all of it.
    pub(super) fn dashed(&mut self, points: &[(f64, f64)], dash: Dash, colour: Colour, width: f64) {
        for part in dashes(points, dash.0) {
            self.sheet.items.push(Item::Path(part, colour, width));
        }
    }

    /// A band between two lines that have the same number of points.
    pub(super) fn band(&mut self, low: &[(f64, f64)], high: &[(f64, f64)], colour: Colour) {
        let outline: Vec<(f64, f64)> = low.iter().chain(high.iter().rev()).copied().collect();
        if low.len() > 1 {
            self.sheet.items.push(Item::Area(outline, colour, BAND));
        }
    }

    /// A mark that stands out from lines; a hollow one has nothing that bounds it.
    pub(super) fn mark(&mut self, at: (f64, f64), shape: Shape, colour: Colour, hollow: bool) {
        let paper = self.theme.paper;
        let mut layer = |size: f64, colour: Colour| {
            let item = match corners(shape) {
                Some(corners) => {
                    let place = |(dx, dy): &(f64, f64)| (at.0 + dx * size, at.1 + dy * size);
                    Item::Polygon(corners.iter().map(place).collect(), colour)
                }
                None => Item::Disc(at, size, colour),
            };
            self.sheet.items.push(item);
        };
        layer(MARK + 1.4, paper);
        layer(MARK, colour);
        if hollow {
            layer(MARK - 2.0, paper);
        }
        let reach = MARK + 1.0;
        self.take(Box2::new(
            at.0 - reach,
            at.1 - reach,
            at.0 + reach,
            at.1 + reach,
        ));
    }

    /// An arrow from one place to another; upright or level.
    pub(super) fn arrow(&mut self, from: (f64, f64), to: (f64, f64), colour: Colour) {
        const HEAD: f64 = 5.0;
        self.sheet.line(from, to, colour, 1.4);
        let (dx, dy) = ((to.0 - from.0).signum(), (to.1 - from.1).signum());
        let is_level = (to.1 - from.1).abs() < 1e-9;
        let wings = match is_level {
            true => [
                (to.0 - dx * HEAD, to.1 - HEAD * 0.7),
                (to.0 - dx * HEAD, to.1 + HEAD * 0.7),
            ],
            false => [
                (to.0 - HEAD * 0.7, to.1 - dy * HEAD),
                (to.0 + HEAD * 0.7, to.1 - dy * HEAD),
            ],
        };
        self.sheet
            .items
            .push(Item::Polygon(vec![to, wings[0], wings[1]], colour));
        self.take(Box2::new(
            from.0.min(to.0) - 1.0,
            from.1.min(to.1) - 1.0,
            from.0.max(to.0) + 1.0,
            from.1.max(to.1) + 1.0,
        ));
    }

    /// An upright axis at the left of a plot: guides and words.
    pub(super) fn upright_axis(
        &mut self,
        plot: Box2,
        scale: &Scale,
        words: impl Fn(f64) -> String,
    ) {
        let kind = self.soft(11.0).anchor(Anchor::Right);
        for value in scale.ticks((plot.bottom - plot.top) / 34.0) {
            let y = scale.at(value);
            let rule = self.theme.rule;
            self.sheet.line((plot.left, y), (plot.right, y), rule, 1.0);
            let at = (plot.left - 8.0, y + 4.0);
            self.shortened(&words(value), at, kind, LEFT - 14.0);
        }
    }

    /// A level axis below a plot: guides, words, and its name.
    pub(super) fn level_axis(&mut self, plot: Box2, scale: &Scale, words: impl Fn(f64) -> String) {
        let kind = self.soft(11.0).anchor(Anchor::Middle);
        for value in scale.ticks((plot.right - plot.left) / 54.0) {
            let x = scale.at(value);
            let rule = self.theme.rule;
            self.sheet.line((x, plot.top), (x, plot.bottom), rule, 1.0);
            self.text(&words(value), (x, plot.bottom + 15.0), kind);
        }
    }

    /// The edge of a plot at its left and bottom.
    pub(super) fn edges(&mut self, plot: Box2) {
        let ink = self.theme.soft_ink;
        let corner = (plot.left, plot.bottom);
        self.sheet.line((plot.left, plot.top), corner, ink, 1.0);
        self.sheet.line(corner, (plot.right, plot.bottom), ink, 1.0);
    }

    /// The sheet on its paper.
    pub(super) fn finish(mut self) -> Sheet {
        self.sheet.y += 14.0;
        let mut whole = Sheet::new(WIDTH);
        whole.y = self.sheet.y;
        whole.fill(Box2::new(0.0, 0.0, WIDTH, whole.y), self.theme.paper);
        whole.items.append(&mut self.sheet.items);
        whole
    }
}

/// How opaque a band is.
const BAND: f64 = 0.18;

/// The corners of a mark around its middle; a disc has none.
fn corners(shape: Shape) -> Option<&'static [(f64, f64)]> {
    const SQUARE: &[(f64, f64)] = &[(-0.9, -0.9), (0.9, -0.9), (0.9, 0.9), (-0.9, 0.9)];
    const UP: &[(f64, f64)] = &[(0.0, -1.15), (1.15, 0.9), (-1.15, 0.9)];
    const PLAY: &[(f64, f64)] = &[(-0.85, -1.15), (1.2, 0.0), (-0.85, 1.15)];
    const DIAMOND: &[(f64, f64)] = &[(0.0, -1.25), (1.25, 0.0), (0.0, 1.25), (-1.25, 0.0)];
    const STAR: &[(f64, f64)] = &[
        (0.0, -1.7),
        (0.45, -0.45),
        (1.7, 0.0),
        (0.45, 0.45),
        (0.0, 1.7),
        (-0.45, 0.45),
        (-1.7, 0.0),
        (-0.45, -0.45),
    ];
    match shape {
        Shape::Square | Shape::EmptySquare | Shape::Bar | Shape::Tick => Some(SQUARE),
        Shape::Up => Some(UP),
        Shape::Play => Some(PLAY),
        Shape::Diamond => Some(DIAMOND),
        Shape::Star | Shape::Cross => Some(STAR),
        Shape::Ring | Shape::Disc | Shape::Clock | Shape::Dot => None,
    }
}

/// Cuts a line into its dashes; the pattern goes on around bends.
fn dashes(points: &[(f64, f64)], pattern: &[f64]) -> Vec<Vec<(f64, f64)>> {
    if points.len() < 2 {
        return Vec::new();
    }
    if pattern.is_empty() {
        return vec![points.to_vec()];
    }
    let mut parts = Vec::new();
    let mut part = vec![points[0]];
    let (mut place, mut left) = (0, pattern[0]);
    for ends in points.windows(2) {
        let (from, to) = (ends[0], ends[1]);
        let length = (to.0 - from.0).hypot(to.1 - from.1);
        let mut done = 0.0;
        while length - done > left {
            done += left;
            let share = done / length;
            let at = (
                from.0 + (to.0 - from.0) * share,
                from.1 + (to.1 - from.1) * share,
            );
            if place % 2 == 0 {
                part.push(at);
                parts.push(std::mem::take(&mut part));
            } else {
                part = vec![at];
            }
            place = (place + 1) % pattern.len();
            left = pattern[place];
        }
        left -= length - done;
        if place % 2 == 0 {
            part.push(to);
        }
    }
    if part.len() > 1 {
        parts.push(part);
    }
    parts
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn dashes_go_on_around_bends() {
        let points = [(0.0, 0.0), (10.0, 0.0), (10.0, 10.0)];
        let parts = dashes(&points, &[6.0, 2.0]);
        assert_eq!(
            parts,
            [
                vec![(0.0, 0.0), (6.0, 0.0)],
                vec![(8.0, 0.0), (10.0, 0.0), (10.0, 4.0)],
                vec![(10.0, 6.0), (10.0, 10.0)],
            ]
        );
        assert_eq!(dashes(&points, &[]), [points.to_vec()]);
        assert!(dashes(&points[..1], &[6.0, 2.0]).is_empty());
    }
}
