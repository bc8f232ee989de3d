//! What a picture consists of, before any backend draws it.

use super::font::{self, Weight};
use crate::theme::{Colour, Hatch, INK, SOFT_INK, Shape};

/// Where a text is held.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Anchor {
    Left,
    Middle,
    Right,
}

/// A rectangle in pixels of the layout.
#[derive(Clone, Copy, PartialEq, Debug)]
pub(crate) struct Box2 {
    pub(crate) left: f64,
    pub(crate) top: f64,
    pub(crate) right: f64,
    pub(crate) bottom: f64,
}

impl Box2 {
    pub(crate) const fn new(left: f64, top: f64, right: f64, bottom: f64) -> Self {
        Self {
            left,
            top,
            right,
            bottom,
        }
    }

    pub(crate) fn touches(self, other: Self) -> bool {
        self.left < other.right
            && other.left < self.right
            && self.top < other.bottom
            && other.top < self.bottom
    }
}

/// Text's looks.
#[derive(Clone, Copy, PartialEq, Debug)]
pub(crate) struct Type {
    pub(crate) size: f64,
    pub(crate) weight: Weight,
    pub(crate) colour: Colour,
    pub(crate) anchor: Anchor,
}

/// One stroke of the pen.
#[derive(Clone, PartialEq, Debug)]
pub(crate) enum Item {
    /// A filled area, and how opaque it is.
    Fill(Box2, Colour, f64),
    /// An area's edge, and its width.
    Outline(Box2, Colour, f64),
    /// From, to, and the width.
    Line((f64, f64), (f64, f64), Colour, f64),
    /// An upright dashed line: x, top and bottom, and the width.
    Dashes(f64, (f64, f64), Colour, f64),
    Polygon(Vec<(f64, f64)>, Colour),
    /// A filled outline, and how opaque it is.
    Area(Vec<(f64, f64)>, Colour, f64),
    /// A line through points, and its width.
    Path(Vec<(f64, f64)>, Colour, f64),
    Disc((f64, f64), f64, Colour),
    Hatch(Box2, Hatch, Colour),
    /// A text, where its baseline begins, ends or has its middle, and its looks.
    Text(String, (f64, f64), Type),
    /// What the text before it says in full.
    InFull(String),
}

/// A sheet that grows downwards.
#[derive(Debug)]
pub(crate) struct Sheet {
    pub(crate) width: f64,
    /// Where the next section begins.
    pub(crate) y: f64,
    pub(crate) items: Vec<Item>,
}

impl Type {
    pub(crate) const fn new(size: f64) -> Self {
        Self {
            size,
            weight: Weight::Regular,
            colour: INK,
            anchor: Anchor::Left,
        }
    }

    pub(crate) const fn bold(self) -> Self {
        Self {
            weight: Weight::Bold,
            ..self
        }
    }

    pub(crate) const fn soft(self) -> Self {
        Self {
            colour: SOFT_INK,
            ..self
        }
    }

    pub(crate) const fn colour(self, colour: Colour) -> Self {
        Self { colour, ..self }
    }

    pub(crate) const fn anchor(self, anchor: Anchor) -> Self {
        Self { anchor, ..self }
    }

    /// The space a text takes.
    pub(crate) fn space(self, text: &str, (x, baseline): (f64, f64)) -> Box2 {
        let width = font::width(text, self.size, self.weight);
        let left = match self.anchor {
            Anchor::Left => x,
            Anchor::Middle => x - width / 2.0,
            Anchor::Right => x - width,
        };
        Box2::new(
            left,
            baseline - self.size * 0.76,
            left + width,
            baseline + self.size * 0.22,
        )
    }
}

impl Sheet {
    pub(crate) const fn new(width: f64) -> Self {
        Self {
            width,
            y: 0.0,
            items: Vec::new(),
        }
    }

    pub(crate) fn fill(&mut self, area: Box2, colour: Colour) {
        self.items.push(Item::Fill(area, colour, 1.0));
    }

    pub(crate) fn tint(&mut self, area: Box2, colour: Colour, alpha: f64) {
        self.items.push(Item::Fill(area, colour, alpha));
    }

    pub(crate) fn outline(&mut self, area: Box2, colour: Colour, width: f64) {
        self.items.push(Item::Outline(area, colour, width));
    }

    pub(crate) fn line(&mut self, from: (f64, f64), to: (f64, f64), colour: Colour, width: f64) {
        self.items.push(Item::Line(from, to, colour, width));
    }

    pub(crate) fn dashes(&mut self, x: f64, ends: (f64, f64), colour: Colour, width: f64) {
        self.items.push(Item::Dashes(x, ends, colour, width));
    }

    pub(crate) fn hatch(&mut self, area: Box2, hatch: Hatch, colour: Colour) {
        self.items.push(Item::Hatch(area, hatch, colour));
    }

    pub(crate) fn text(&mut self, text: impl Into<String>, at: (f64, f64), kind: Type) {
        self.items.push(Item::Text(text.into(), at, kind));
    }

    /// An event's mark, about `2 * size` wide.
    pub(crate) fn mark(&mut self, (x, y): (f64, f64), size: f64, shape: Shape, colour: Colour) {
        let paper = crate::theme::PAPER;
        match shape {
            Shape::Ring => {
                self.disc((x, y), size, INK);
                self.disc((x, y), size - 1.0, colour);
                self.disc((x, y), size * 0.45, paper);
            }
            Shape::Disc => {
                self.disc((x, y), size, INK);
                self.disc((x, y), size - 1.0, colour);
            }
            Shape::Dot => self.disc((x, y), size * 0.5, colour),
            Shape::Cross => {
                for (width, colour) in [(4.6, paper), (2.4, colour)] {
                    let reach = size * 0.8;
                    self.line(
                        (x - reach, y - reach),
                        (x + reach, y + reach),
                        colour,
                        width,
                    );
                    self.line(
                        (x - reach, y + reach),
                        (x + reach, y - reach),
                        colour,
                        width,
                    );
                }
            }
            Shape::Bar => {
                for shift in [-0.45, 0.45] {
                    let middle = x + shift * size;
                    let area = |grow: f64| {
                        Box2::new(
                            middle - size * 0.22 - grow,
                            y - size - grow,
                            middle + size * 0.22 + grow,
                            y + size + grow,
                        )
                    };
                    self.fill(area(1.0), paper);
                    self.fill(area(0.0), colour);
                }
            }
            Shape::Play => self.framed(
                &[(-0.7, -1.0), (1.0, 0.0), (-0.7, 1.0)],
                (x, y),
                size,
                colour,
            ),
            Shape::Up => self.framed(
                &[(0.0, -1.05), (1.05, 0.85), (-1.05, 0.85)],
                (x, y),
                size,
                colour,
            ),
            Shape::Diamond => self.framed(
                &[(0.0, -1.1), (1.1, 0.0), (0.0, 1.1), (-1.1, 0.0)],
                (x, y),
                size,
                colour,
            ),
            Shape::Square | Shape::EmptySquare => {
                let reach = 0.85;
                let corners = [
                    (-reach, -reach),
                    (reach, -reach),
                    (reach, reach),
                    (-reach, reach),
                ];
                self.framed(&corners, (x, y), size, colour);
                if shape == Shape::EmptySquare {
                    let half = size * 0.4;
                    self.fill(Box2::new(x - half, y - half, x + half, y + half), paper);
                }
            }
            Shape::Clock => {
                self.disc((x, y), size, INK);
                self.disc((x, y), size - 1.0, paper);
                self.line((x, y), (x, y - size * 0.7), colour, 1.8);
                self.line((x, y), (x + size * 0.6, y), colour, 1.8);
            }
            Shape::Star => {
                let points: Vec<(f64, f64)> = (0..10)
                    .map(|step| {
                        let angle = f64::from(step) / 10.0 * std::f64::consts::TAU;
                        let reach = if step % 2 == 0 { 1.35 } else { 0.58 };
                        (reach * angle.sin(), -reach * angle.cos())
                    })
                    .collect();
                self.framed(&points, (x, y), size, colour);
            }
            Shape::Tick => {
                for (width, colour) in [(4.8, paper), (2.4, colour)] {
                    self.line(
                        (x - size * 0.9, y),
                        (x - size * 0.2, y + size * 0.7),
                        colour,
                        width,
                    );
                    self.line(
                        (x - size * 0.2, y + size * 0.7),
                        (x + size, y - size * 0.8),
                        colour,
                        width,
                    );
                }
            }
        }
    }

    fn disc(&mut self, at: (f64, f64), radius: f64, colour: Colour) {
        self.items.push(Item::Disc(at, radius, colour));
    }

    /// A polygon around a point with a dark edge, so that it stands out on every colour.
    fn framed(&mut self, corners: &[(f64, f64)], (x, y): (f64, f64), size: f64, colour: Colour) {
        let placed = |size: f64| {
            corners
                .iter()
                .map(|(dx, dy)| (x + dx * size, y + dy * size))
                .collect()
        };
        self.items.push(Item::Polygon(placed(size + 1.0), INK));
        self.items.push(Item::Polygon(placed(size - 0.6), colour));
    }
}
