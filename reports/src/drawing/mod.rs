//! Pictures: first laid out as a display list (pure arithmetic, the same everywhere, tested for
//! overlaps), then painted on a plotters backend. The font is shipped with them.

mod canvas;
pub(crate) mod font;
pub(crate) mod labels;
pub(crate) mod scale;
pub(crate) mod sheet;

use std::fmt::Write as _;

use plotters::prelude::{BitMapBackend, SVGBackend};

use canvas::{Canvas, TextMode};
use sheet::{Item, Sheet};

/// A picture could not be made.
#[derive(Debug, thiserror::Error)]
pub enum DrawError {
    /// The drawing backend failed.
    #[error("the picture cannot be drawn: {0}")]
    Backend(String),
    /// The picture could not be encoded.
    #[error("the picture cannot be encoded as PNG")]
    Encoding(#[from] png::EncodingError),
}

/// Units of an SVG file to a pixel: plotters draws on whole units.
const SVG_UNITS: f64 = 8.0;

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
    let body = with_full_texts(&body, &sheet.items);
    Ok(with_head(&body, sheet, title, fonts))
}

/// Gives texts that were shortened what they say in full, for who points at them.
fn with_full_texts(body: &str, items: &[Item]) -> String {
    let mut full: Vec<Option<&str>> = Vec::new();
    for item in items {
        if let Item::Text(..) = item {
            full.push(None);
        } else if let (Item::InFull(text), Some(last)) = (item, full.last_mut()) {
            *last = Some(text);
        }
    }
    if full.iter().all(Option::is_none) {
        return body.to_owned();
    }
    let mut parts = body.split("</text>");
    let mut whole = parts.next().unwrap_or_default().to_owned();
    for (place, part) in parts.enumerate() {
        if let Some(Some(text)) = full.get(place) {
            let _ = write!(whole, "<title>{}</title>", escaped(text));
        }
        whole.push_str("</text>");
        whole.push_str(part);
    }
    whole
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

/// The style that brings the font along.
pub(crate) fn font_faces() -> String {
    let shipped = [
        (font::Weight::Regular, "normal"),
        (font::Weight::Bold, "bold"),
    ];
    let mut style = String::new();
    for (weight, name) in shipped {
        let _ = write!(
            style,
            "@font-face{{font-family:\"{}\";font-weight:{name};\
             src:url(data:font/otf;base64,{})}}",
            font::FAMILY,
            base64(weight.file()),
        );
    }
    style
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
    if fonts {
        head.push_str(&font_faces());
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
mod tests {
    use super::*;

    #[test]
    fn base64_is_what_everyone_else_makes() {
        assert_eq!(base64(b""), "");
        assert_eq!(base64(b"f"), "Zg==");
        assert_eq!(base64(b"fo"), "Zm8=");
        assert_eq!(base64(b"foobar"), "Zm9vYmFy");
    }
}
