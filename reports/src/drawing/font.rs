//! The font that pictures are set in, shipped with them so that they look the same everywhere.

use std::sync::LazyLock;

use ab_glyph::{Font as _, FontRef, ScaleFont as _};

/// The name the font goes by in SVG files.
pub(crate) const FAMILY: &str = "Inter";

const REGULAR_FILE: &[u8] = include_bytes!("../../fonts/Inter-Regular.otf");
const BOLD_FILE: &[u8] = include_bytes!("../../fonts/Inter-SemiBold.otf");

static REGULAR: LazyLock<Option<FontRef<'static>>> =
    LazyLock::new(|| FontRef::try_from_slice(REGULAR_FILE).ok());
static BOLD: LazyLock<Option<FontRef<'static>>> =
    LazyLock::new(|| FontRef::try_from_slice(BOLD_FILE).ok());

/// How heavy text is.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Weight {
    Regular,
    Bold,
}

impl Weight {
    /// The font; `None` only if the shipped file were broken.
    fn font(self) -> Option<&'static FontRef<'static>> {
        match self {
            Self::Regular => REGULAR.as_ref(),
            Self::Bold => BOLD.as_ref(),
        }
    }

    /// The font file.
    pub(crate) const fn file(self) -> &'static [u8] {
        match self {
            Self::Regular => REGULAR_FILE,
            Self::Bold => BOLD_FILE,
        }
    }
}

/// The width of a text whose em is `size` pixels.
pub(crate) fn width(text: &str, size: f64, weight: Weight) -> f64 {
    let Some(font) = weight.font() else {
        return 0.0;
    };
    let font = font.as_scaled(scale(font, size));
    let mut width = 0.0;
    let mut before = None;
    for character in text.chars() {
        let glyph = font.glyph_id(character);
        if let Some(before) = before {
            width += font.kern(before, glyph);
        }
        width += font.h_advance(glyph);
        before = Some(glyph);
    }
    f64::from(width)
}

/// The text cut so that it is at most `most` wide, with an ellipsis if something is missing.
pub(crate) fn fitted(text: &str, size: f64, weight: Weight, most: f64) -> String {
    if width(text, size, weight) <= most {
        return text.to_owned();
    }
    let mut kept = text.to_owned();
    while kept.pop().is_some() {
        let shorter = format!("{}…", kept.trim_end());
        if width(&shorter, size, weight) <= most {
            return shorter;
        }
    }
    String::new()
}

/// Draws a text: calls `dot` with each pixel and its coverage, 0 to 1. `x` is the left edge and
/// `baseline` the line the letters stand on.
pub(crate) fn draw(
    text: &str,
    size: f64,
    weight: Weight,
    (x, baseline): (f64, f64),
    mut dot: impl FnMut(i32, i32, f64),
) {
    let Some(font) = weight.font() else {
        return;
    };
    let scale = scale(font, size);
    let scaled = font.as_scaled(scale);
    let mut pen = x as f32;
    let mut before = None;
    for character in text.chars() {
        let id = scaled.glyph_id(character);
        if let Some(before) = before {
            pen += scaled.kern(before, id);
        }
        let position = ab_glyph::point(pen, baseline as f32);
        if let Some(outline) = font.outline_glyph(id.with_scale_and_position(scale, position)) {
            let bounds = outline.px_bounds();
            outline.draw(|x, y, coverage| {
                let x = x as i32 + bounds.min.x as i32;
                let y = y as i32 + bounds.min.y as i32;
                dot(x, y, f64::from(coverage.clamp(0.0, 1.0)));
            });
        }
        pen += scaled.h_advance(id);
        before = Some(id);
    }
}

/// The font's own measure is its height; a size is that of its em.
fn scale(font: &FontRef<'static>, size: f64) -> f32 {
    let em = font.units_per_em().unwrap_or(2048.0);
    size as f32 * font.height_unscaled() / em
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_weights_are_shipped_and_have_the_signs_reports_use() {
        for weight in [Weight::Regular, Weight::Bold] {
            let font = weight.font().unwrap();
            for sign in "Az09 –—…·×≥≤±→←µ".chars() {
                assert_ne!(font.glyph_id(sign).0, 0, "no {sign}");
            }
        }
    }

    #[test]
    fn a_fitted_text_is_no_wider_than_asked() {
        let text = "Failover auth granted to r2 for epoch 7";
        let full = width(text, 12.0, Weight::Regular);
        assert_eq!(fitted(text, 12.0, Weight::Regular, full), text);
        let cut = fitted(text, 12.0, Weight::Regular, 90.0);
        assert!(cut.ends_with('…') && cut.len() > 10);
        assert!(width(&cut, 12.0, Weight::Regular) <= 90.0);
        assert_eq!(fitted(text, 12.0, Weight::Regular, 1.0), "");
    }
}
