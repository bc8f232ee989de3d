//! A sheet to draw on in pixels of the layout, over any plotters backend.

use plotters_backend::{
    BackendColor, BackendStyle, BackendTextStyle, DrawingBackend, DrawingErrorKind, FontFamily,
    FontStyle, FontTransform, text_anchor::Pos,
};

use super::font::{self, Weight};
use super::sheet::{Anchor, Box2, Item, Type};
use crate::theme::{Colour, Hatch};

/// How a backend sets text.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum TextMode {
    /// As text, in the shipped font by name.
    Text,
    /// As pixels.
    Pixels,
}

/// The sheet. `scale` device units are one pixel of the layout.
pub(super) struct Canvas<B: DrawingBackend> {
    backend: B,
    scale: f64,
    text: TextMode,
}

type Outcome<B> = Result<(), DrawingErrorKind<<B as DrawingBackend>::ErrorType>>;

impl<B: DrawingBackend> Canvas<B> {
    pub(super) const fn new(backend: B, scale: f64, text: TextMode) -> Self {
        Self {
            backend,
            scale,
            text,
        }
    }

    /// Draws everything on the sheet, in order.
    pub(super) fn paint(&mut self, items: &[Item]) -> Outcome<B> {
        for item in items {
            match item {
                Item::Fill(area, colour, alpha) => self.fill(*area, *colour, *alpha)?,
                Item::Outline(area, colour, width) => self.outline(*area, *colour, *width)?,
                Item::Line(from, to, colour, width) => self.line(*from, *to, *colour, *width)?,
                Item::Dashes(x, ends, colour, width) => self.dashes(*x, *ends, *colour, *width)?,
                Item::Polygon(points, colour) => self.polygon(points, *colour, 1.0)?,
                Item::Area(points, colour, alpha) => self.polygon(points, *colour, *alpha)?,
                Item::Path(points, colour, width) => self.path(points, *colour, *width)?,
                Item::Disc(at, radius, colour) => self.disc(*at, *radius, *colour)?,
                Item::Hatch(area, hatch, colour) => self.hatch(*area, *hatch, *colour)?,
                Item::Text(text, at, kind) => self.text(text, *at, *kind)?,
                // The document says it; see `sheet_svg`.
                Item::InFull(_) => {}
            }
        }
        self.backend.present()
    }

    fn fill(&mut self, area: Box2, colour: Colour, alpha: f64) -> Outcome<B> {
        let (left, top) = self.at(area.left, area.top);
        let (right, bottom) = self.at(area.right, area.bottom);
        if right <= left || bottom <= top {
            return Ok(());
        }
        let style = Paint::new(colour, alpha, 0);
        self.backend
            .draw_rect((left, top), (right, bottom), &style, true)
    }

    fn outline(&mut self, area: Box2, colour: Colour, width: f64) -> Outcome<B> {
        let Box2 {
            left,
            top,
            right,
            bottom,
        } = area;
        let half = width / 2.0;
        self.fill(
            Box2::new(left - half, top - half, right + half, top + half),
            colour,
            1.0,
        )?;
        self.fill(
            Box2::new(left - half, bottom - half, right + half, bottom + half),
            colour,
            1.0,
        )?;
        self.fill(
            Box2::new(left - half, top + half, left + half, bottom - half),
            colour,
            1.0,
        )?;
        self.fill(
            Box2::new(right - half, top + half, right + half, bottom - half),
            colour,
            1.0,
        )
    }

    /// A line. Upright and level lines are drawn as rectangles, so that they are sharp.
    fn line(&mut self, from: (f64, f64), to: (f64, f64), colour: Colour, width: f64) -> Outcome<B> {
        let half = width / 2.0;
        let level = (from.1 - to.1).abs() < 1e-6;
        let upright = (from.0 - to.0).abs() < 1e-6;
        if level {
            let (left, right) = (from.0.min(to.0), from.0.max(to.0));
            return self.fill(
                Box2::new(left, from.1 - half, right, from.1 + half),
                colour,
                1.0,
            );
        }
        if upright {
            let (top, bottom) = (from.1.min(to.1), from.1.max(to.1));
            return self.fill(
                Box2::new(from.0 - half, top, from.0 + half, bottom),
                colour,
                1.0,
            );
        }
        let (dx, dy) = (to.0 - from.0, to.1 - from.1);
        let length = dx.hypot(dy);
        let (nx, ny) = (-dy / length * half, dx / length * half);
        self.polygon(
            &[
                (from.0 + nx, from.1 + ny),
                (to.0 + nx, to.1 + ny),
                (to.0 - nx, to.1 - ny),
                (from.0 - nx, from.1 - ny),
            ],
            colour,
            1.0,
        )
    }

    fn dashes(
        &mut self,
        x: f64,
        (top, bottom): (f64, f64),
        colour: Colour,
        width: f64,
    ) -> Outcome<B> {
        let mut y = top;
        while y < bottom {
            self.line((x, y), (x, (y + 4.0).min(bottom)), colour, width)?;
            y += 7.0;
        }
        Ok(())
    }

    fn polygon(&mut self, points: &[(f64, f64)], colour: Colour, alpha: f64) -> Outcome<B> {
        let points: Vec<(i32, i32)> = points.iter().map(|&(x, y)| self.at(x, y)).collect();
        self.backend
            .fill_polygon(points, &Paint::new(colour, alpha, 0))
    }

    /// One stroke where the backend has one; pixels are drawn line by line.
    fn path(&mut self, points: &[(f64, f64)], colour: Colour, width: f64) -> Outcome<B> {
        match self.text {
            TextMode::Text => {
                let points: Vec<(i32, i32)> = points.iter().map(|&(x, y)| self.at(x, y)).collect();
                let width = (width * self.scale).round().max(1.0) as u32;
                self.backend
                    .draw_path(points, &Paint::new(colour, 1.0, width))
            }
            TextMode::Pixels => {
                for ends in points.windows(2) {
                    self.line(ends[0], ends[1], colour, width)?;
                    // Without it, a bend shows a notch.
                    if width > 1.5 && ends[0].1 != ends[1].1 {
                        self.disc(ends[1], width / 2.0, colour)?;
                    }
                }
                Ok(())
            }
        }
    }

    fn disc(&mut self, (x, y): (f64, f64), radius: f64, colour: Colour) -> Outcome<B> {
        let points: Vec<(f64, f64)> = (0..24)
            .map(|step| {
                let angle = f64::from(step) / 24.0 * std::f64::consts::TAU;
                (x + radius * angle.cos(), y + radius * angle.sin())
            })
            .collect();
        self.polygon(&points, colour, 1.0)
    }

    /// A hatch over an area, in phase over the whole sheet.
    fn hatch(&mut self, area: Box2, hatch: Hatch, colour: Colour) -> Outcome<B> {
        match hatch {
            Hatch::Upright => {
                let mut x = (area.left / 5.0).ceil() * 5.0;
                while x < area.right {
                    self.line((x, area.top), (x, area.bottom), colour, 1.4)?;
                    x += 5.0;
                }
                Ok(())
            }
            Hatch::Crossed => {
                self.slanted(area, 8.0, 1.0, colour)?;
                self.slanted(area, 8.0, -1.0, colour)
            }
            Hatch::Slanted => self.slanted(area, 7.0, 1.0, colour),
            Hatch::SlantedWide => self.slanted(area, 18.0, 1.0, colour),
        }
    }

    /// Slanted lines, `gap` apart; they rise to the right with `slope` 1 and fall with -1.
    fn slanted(&mut self, area: Box2, gap: f64, slope: f64, colour: Colour) -> Outcome<B> {
        let height = area.bottom - area.top;
        // Each line is named by the x at which it meets the area's bottom (rising) or top.
        let mut x = ((area.left - height) / gap).ceil() * gap;
        while x < area.right {
            let from = x.max(area.left);
            let to = (x + height).min(area.right);
            if to > from {
                let y = |at: f64| {
                    if slope > 0.0 {
                        area.bottom - (at - x)
                    } else {
                        area.top + (at - x)
                    }
                };
                self.line((from, y(from)), (to, y(to)), colour, 1.2)?;
            }
            x += gap;
        }
        Ok(())
    }

    /// A text that stands on a baseline.
    fn text(&mut self, text: &str, (x, baseline): (f64, f64), kind: Type) -> Outcome<B> {
        let width = font::width(text, kind.size, kind.weight);
        let left = match kind.anchor {
            Anchor::Left => x,
            Anchor::Middle => x - width / 2.0,
            Anchor::Right => x - width,
        };
        match self.text {
            TextMode::Text => {
                // The SVG backend sets a top-held text 0.76 em above its baseline, and takes its
                // size times 1.24.
                let size = kind.size * self.scale;
                let style = Words { kind, size };
                let (x, _) = self.at(x, 0.0);
                let y = (baseline * self.scale - 0.76 * size).round() as i32;
                self.backend.draw_text(text, &style, (x, y))
            }
            TextMode::Pixels => {
                let scale = self.scale;
                let mut outcome = Ok(());
                let backend = &mut self.backend;
                let at = (left * scale, baseline * scale);
                font::draw(
                    text,
                    kind.size * scale,
                    kind.weight,
                    at,
                    |x, y, coverage| {
                        if outcome.is_ok() && coverage > 0.0 {
                            let colour = Paint::new(kind.colour, coverage, 0).color();
                            outcome = backend.draw_pixel((x, y), colour);
                        }
                    },
                );
                outcome
            }
        }
    }

    fn at(&self, x: f64, y: f64) -> (i32, i32) {
        (
            (x * self.scale).round() as i32,
            (y * self.scale).round() as i32,
        )
    }
}

struct Paint {
    colour: BackendColor,
    width: u32,
}

impl Paint {
    const fn new(colour: Colour, alpha: f64, width: u32) -> Self {
        Self {
            colour: BackendColor {
                alpha,
                rgb: (colour.0, colour.1, colour.2),
            },
            width,
        }
    }
}

impl BackendStyle for Paint {
    fn color(&self) -> BackendColor {
        self.colour
    }

    fn stroke_width(&self) -> u32 {
        self.width
    }
}

struct Words {
    kind: Type,
    size: f64,
}

impl BackendTextStyle for Words {
    type FontError = std::convert::Infallible;

    fn color(&self) -> BackendColor {
        Paint::new(self.kind.colour, 1.0, 0).colour
    }

    fn size(&self) -> f64 {
        self.size * 1.24
    }

    fn transform(&self) -> FontTransform {
        FontTransform::None
    }

    fn style(&self) -> FontStyle {
        match self.kind.weight {
            Weight::Regular => FontStyle::Normal,
            Weight::Bold => FontStyle::Bold,
        }
    }

    fn anchor(&self) -> Pos {
        use plotters_backend::text_anchor::{HPos, VPos};
        let across = match self.kind.anchor {
            Anchor::Left => HPos::Left,
            Anchor::Middle => HPos::Center,
            Anchor::Right => HPos::Right,
        };
        Pos::new(across, VPos::Top)
    }

    fn family(&self) -> FontFamily<'_> {
        FontFamily::Name(font::FAMILY)
    }

    #[allow(clippy::type_complexity, reason = "the trait says so")]
    fn layout_box(&self, text: &str) -> Result<((i32, i32), (i32, i32)), Self::FontError> {
        let width = font::width(text, self.size, self.kind.weight);
        Ok(((0, 0), (width as i32, self.size as i32)))
    }

    fn draw<E, DrawFunc: FnMut(i32, i32, BackendColor) -> Result<(), E>>(
        &self,
        _text: &str,
        _pos: (i32, i32),
        _draw: DrawFunc,
    ) -> Result<Result<(), E>, Self::FontError> {
        Ok(Ok(()))
    }
}
