//! The timeline as a picture: SVG and PNG.
//!
//! A picture is first laid out as a display list (pure arithmetic, the same everywhere, tested
//! for overlaps), then painted on a plotters backend. The font is shipped with it.

mod axis;
mod lanes;
mod legend;
mod strips;
mod top;

use redrill_sim::trace::Trace;

pub use crate::drawing::DrawError;
use crate::drawing::sheet::{Box2, Sheet};
use crate::drawing::{sheet_png, sheet_svg};
use crate::model::{Model, Span};
use crate::theme::PAPER;
use axis::Axis;
pub(crate) use strips::{client_zone_words, range_words, slot_span_words};
pub(crate) use top::facts;

/// What to draw.
#[derive(Clone, Copy, PartialEq, Debug)]
pub struct Options {
    /// The part of the run to draw; `None`: from 2 s before the first fault to 2 s after recovery.
    pub window: Option<Span>,
    /// Whether a strip at the top shows where the part lies in the whole run.
    pub overview: bool,
    /// Width in pixels, at least 640. The height follows from the number of nodes.
    pub width_px: u32,
    /// Device pixels of a PNG to a pixel of the width, at least 1.
    pub density: u32,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            window: None,
            overview: true,
            width_px: 1400,
            density: 2,
        }
    }
}

/// The timeline as an SVG document that needs nothing else: its font is inside.
///
/// # Errors
/// [`DrawError`] if the backend fails, which a run cannot cause.
pub fn svg(trace: &Trace, options: &Options) -> Result<String, DrawError> {
    svg_of(&Model::of(trace), options)
}

/// The same of a picture that was made before.
///
/// # Errors
/// As [`svg`].
pub fn svg_of(model: &Model, options: &Options) -> Result<String, DrawError> {
    document(model, options, true)
}

/// The same without its font, to stand in a document that has one.
pub(crate) fn svg_without_fonts(model: &Model, options: &Options) -> Result<String, DrawError> {
    document(model, options, false)
}

fn document(model: &Model, options: &Options, fonts: bool) -> Result<String, DrawError> {
    let title = format!(
        "Timeline of the drill {}, seed {}",
        model.header.drill, model.header.seed
    );
    sheet_svg(&lay_out(model, options), &title, fonts)
}

/// The timeline as a PNG file.
///
/// # Errors
/// [`DrawError`] if the backend or the encoder fails, which a run cannot cause.
pub fn png(trace: &Trace, options: &Options) -> Result<Vec<u8>, DrawError> {
    png_of(&Model::of(trace), options)
}

/// The same of a picture that was made before.
///
/// # Errors
/// As [`png()`].
pub fn png_of(model: &Model, options: &Options) -> Result<Vec<u8>, DrawError> {
    sheet_png(&lay_out(model, options), options.density)
}

/// Room left of the plot for names, and at its right.
const LEFT: f64 = 148.0;
const MARGIN: f64 = 24.0;

/// The whole picture as a display list.
fn lay_out(model: &Model, options: &Options) -> Sheet {
    let mut sheet = Sheet::new(f64::from(options.width_px.max(640)));
    let window = options.window.unwrap_or(model.window);
    let axis = Axis::new(model, window, LEFT, sheet.width - MARGIN);
    sheet.y = 14.0;
    top::title(&mut sheet, model);
    if options.overview && window != model.run {
        top::overview(&mut sheet, model, window);
    }
    let plot_top = sheet.y;
    top::faults(&mut sheet, model, &axis);
    top::weather(&mut sheet, model, &axis);
    top::failovers(&mut sheet, model, &axis);
    axis.labels(&mut sheet);
    lanes::zones(&mut sheet, model, &axis);
    strips::slots(&mut sheet, model, &axis);
    strips::clients(&mut sheet, model, &axis);
    let plot_bottom = sheet.y;
    legend::draw(&mut sheet, model);
    sheet.y += 12.0;

    // What lies under everything else is known only now.
    let mut under = Sheet::new(sheet.width);
    under.fill(Box2::new(0.0, 0.0, sheet.width, sheet.y), PAPER);
    lanes::ground(&mut under, model, plot_top, plot_bottom, &axis);
    under.items.append(&mut sheet.items);
    sheet.items = under.items;
    sheet
}

#[cfg(test)]
mod tests;
