//! The timeline as a picture: SVG and PNG.
//!
//! A picture is first laid out as a display list (pure arithmetic, the same everywhere, tested
//! for overlaps), then painted on a plotters backend. The font is shipped with it.

mod axis;
mod canvas;
pub(crate) mod font;
mod labels;
mod lanes;
mod legend;
pub(crate) mod sheet;
mod strips;
mod top;

use std::fmt::Write as _;

use plotters::prelude::{BitMapBackend, SVGBackend};
use redrill_sim::trace::Trace;

use crate::model::{Model, Span};
use crate::theme::PAPER;
use axis::Axis;
use canvas::{Canvas, TextMode};
use sheet::{Box2, Sheet};
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

/// A picture could not be made.
#[derive(Debug, thiserror::Error)]
pub enum DrawError {
    /// The drawing backend failed.
    #[error("the timeline cannot be drawn: {0}")]
    Backend(String),
    /// The picture could not be encoded.
    #[error("the timeline cannot be encoded as PNG")]
    Encoding(#[from] png::EncodingError),
}

/// Units of an SVG file to a pixel: plotters draws on whole units.
const SVG_UNITS: f64 = 8.0;

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

/// A sheet as an SVG document, with a name for who cannot see it.
pub(crate) fn sheet_svg(sheet: &Sheet, title: &str, fonts: bool) -> Result<String, DrawError> {
    let units = |length: f64| (length * SVG_UNITS).round() as u32;
    let mut body = String::new();
    {
        let backend = SVGBackend::with_string(&mut body, (units(sheet.width), units(sheet.y)));
        Canvas::new(backend, SVG_UNITS, TextMode::Text)
            .paint(&sheet.items)
            .map_err(|error| DrawError::Backend(error.to_string()))?;
    }
    Ok(with_head(&body, sheet, title, fonts))
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

/// A sheet as a PNG file.
pub(crate) fn sheet_png(sheet: &Sheet, density: u32) -> Result<Vec<u8>, DrawError> {
    let density = f64::from(density.max(1));
    let device = |length: f64| (length * density).round() as u32;
    let size = (device(sheet.width), device(sheet.y));
    let mut pixels = vec![0; size.0 as usize * size.1 as usize * 3];
    {
        let backend = BitMapBackend::with_buffer(&mut pixels, size);
        Canvas::new(backend, density, TextMode::Pixels)
            .paint(&sheet.items)
            .map_err(|error| DrawError::Backend(error.to_string()))?;
    }
    let mut file = Vec::new();
    let mut encoder = png::Encoder::new(&mut file, size.0, size.1);
    encoder.set_color(png::ColorType::Rgb);
    encoder.set_depth(png::BitDepth::Eight);
    let mut writer = encoder.write_header()?;
    writer.write_image_data(&pixels)?;
    writer.finish()?;
    Ok(file)
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

/// The document with its size in pixels, its font, and a name for who cannot see it.
fn with_head(body: &str, sheet: &Sheet, title: &str, fonts: bool) -> String {
    let start = body.find('>').map_or(0, |end| end + 1);
    let mut head = String::new();
    let units = |length: f64| (length * SVG_UNITS).round();
    let _ = write!(
        head,
        "<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"{}\" height=\"{}\" \
         viewBox=\"0 0 {} {}\" role=\"img\">\n<title>{}</title>\n<style>",
        sheet.width.round(),
        sheet.y.round(),
        units(sheet.width),
        units(sheet.y),
        escaped(title),
    );
    let shipped = [
        (font::Weight::Regular, "normal"),
        (font::Weight::Bold, "bold"),
    ];
    for (weight, name) in shipped.into_iter().filter(|_| fonts) {
        let _ = write!(
            head,
            "@font-face{{font-family:\"{}\";font-weight:{name};\
             src:url(data:font/otf;base64,{})}}",
            font::FAMILY,
            base64(weight.file()),
        );
    }
    head.push_str("text{white-space:pre}</style>\n");
    head.push_str(body.get(start..).unwrap_or_default().trim_start());
    head
}

fn escaped(text: &str) -> String {
    text.replace('&', "&amp;")
        .replace('<', "&lt;")
        .replace('>', "&gt;")
}

fn base64(bytes: &[u8]) -> String {
    const DIGITS: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let mut text = String::with_capacity(bytes.len().div_ceil(3) * 4);
    for chunk in bytes.chunks(3) {
        let part = |index: usize| u32::from(chunk.get(index).copied().unwrap_or(0));
        let word = part(0) << 16 | part(1) << 8 | part(2);
        for digit in 0..4 {
            if digit <= chunk.len() {
                let value = word >> (18 - 6 * digit) & 63;
                text.push(char::from(DIGITS[value as usize]));
            } else {
                text.push('=');
            }
        }
    }
    text
}

#[cfg(test)]
mod tests;
