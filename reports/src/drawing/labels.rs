//! Labels that do not overlap.

use super::sheet::{Anchor, Box2, Sheet, Type};

/// The space that labels and what they must not cover have taken.
#[derive(Debug, Default)]
pub(crate) struct Taken(Vec<Box2>);

/// Room around a label.
const AIR: f64 = 3.0;

impl Taken {
    /// Keeps labels off an area.
    pub(crate) fn take(&mut self, area: Box2) {
        self.0.push(area);
    }

    /// Whether nothing has been placed in an area.
    pub(crate) fn is_free(&self, area: Box2) -> bool {
        !self.0.iter().any(|taken| taken.touches(area))
    }

    /// Writes a text at the first of some places where it is free and between the bounds; false
    /// if there is none.
    pub(crate) fn place(
        &mut self,
        sheet: &mut Sheet,
        text: &str,
        kind: Type,
        places: &[((f64, f64), Anchor)],
        (left, right): (f64, f64),
    ) -> bool {
        for &(at, anchor) in places {
            let kind = kind.anchor(anchor);
            let space = kind.space(text, at);
            if space.left < left || space.right > right {
                continue;
            }
            let wide = Box2::new(space.left - AIR, space.top, space.right + AIR, space.bottom);
            if self.is_free(wide) {
                self.take(wide);
                sheet.text(text, at, kind);
                return true;
            }
        }
        false
    }
}
