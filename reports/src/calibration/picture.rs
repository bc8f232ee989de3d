//! The comparison as a picture: a panel a quantity with both empirical distribution functions.

use super::table::number;
use super::{Comparison, Outside, Row, Side, WIDENED_BY};
use crate::drawing::scale::round_ticks;
use crate::drawing::sheet::{Anchor, Box2, Sheet, Type};
use crate::drawing::{DrawError, sheet_png, sheet_svg};
use crate::statistics::quantile;
use crate::theme::{BLUE, Colour, INK, PAPER, RULE, VERMILLION};

const WIDTH: f64 = 1400.0;
const MARGIN: f64 = 24.0;
const COLUMNS: usize = 4;
const GAP: f64 = 26.0;
/// Height of a plot without its words.
const PLOT: f64 = 120.0;
/// Room for the words above a plot and below it.
const ABOVE: f64 = 44.0;
const BELOW: f64 = 34.0;
/// Room for the shares at the left of a plot.
const LEFT: f64 = 34.0;

const MEASURED: Colour = BLUE;
const SIMULATED: Colour = VERMILLION;
const MEASURED_PX: f64 = 3.0;
const SIMULATED_PX: f64 = 1.5;

/// A cell as an SVG document that needs nothing else.
///
/// # Errors
/// [`DrawError`] if the backend fails, which a comparison cannot cause.
pub fn svg(comparison: &Comparison) -> Result<String, DrawError> {
    let title = format!("Calibration of {}", comparison.cell);
    sheet_svg(&lay_out(comparison), &title, true)
}

/// A cell as a PNG file.
///
/// # Errors
/// As [`svg`].
pub fn png(comparison: &Comparison) -> Result<Vec<u8>, DrawError> {
    sheet_png(&lay_out(comparison), 2)
}

fn lay_out(comparison: &Comparison) -> Sheet {
    let mut sheet = Sheet::new(WIDTH);
    head(&mut sheet, comparison);
    let width = (WIDTH - 2.0 * MARGIN - GAP * (COLUMNS as f64 - 1.0)) / COLUMNS as f64;
    for rows in comparison.rows.chunks(COLUMNS) {
        for (row, column) in rows.iter().zip(0_u32..) {
            let left = MARGIN + f64::from(column) * (width + GAP);
            panel(&mut sheet, row, left, width);
        }
        sheet.y += ABOVE + PLOT + BELOW;
    }
    shares(&mut sheet, comparison);

    // The paper's size is known only now.
    let mut whole = Sheet::new(WIDTH);
    whole.y = sheet.y;
    whole.fill(Box2::new(0.0, 0.0, WIDTH, sheet.y), PAPER);
    whole.items.append(&mut sheet.items);
    whole
}

fn head(sheet: &mut Sheet, comparison: &Comparison) {
    sheet.text(&comparison.cell, (MARGIN, 34.0), Type::new(20.0).bold());
    let words = format!(
        "share of trials by time, {} measured and {} simulated",
        comparison.measured_trials, comparison.simulated_trials
    );
    sheet.text(words, (MARGIN, 54.0), Type::new(12.0).soft());
    let mut x = WIDTH - MARGIN - 520.0;
    for (words, colour, width) in [
        ("measured", MEASURED, MEASURED_PX),
        ("simulated", SIMULATED, SIMULATED_PX),
    ] {
        sheet.line((x, 50.0), (x + 28.0, 50.0), colour, width);
        sheet.text(words, (x + 34.0, 54.0), Type::new(12.0));
        x += 120.0;
    }
    band(sheet, Box2::new(x, 45.0, x + 28.0, 55.0));
    let words = "where the simulated median must lie";
    sheet.text(words, (x + 34.0, 54.0), Type::new(12.0));
    sheet.y = 72.0;
}

fn band(sheet: &mut Sheet, area: Box2) {
    sheet.tint(area, MEASURED, 0.22);
}

fn panel(sheet: &mut Sheet, row: &Row, left: f64, width: f64) {
    let top = sheet.y + ABOVE;
    let plot = Box2::new(left + LEFT, top, left + width, top + PLOT);
    title(sheet, row, left, left + width);
    let scale = Scale::of(row, plot);
    for share in [0.0, 0.5, 1.0] {
        let y = scale.y(share);
        sheet.line((plot.left, y), (plot.right, y), RULE, 1.0);
        let kind = Type::new(11.0).soft().anchor(Anchor::Right);
        sheet.text(
            format!("{:.0} %", share * 100.0),
            (plot.left - 5.0, y + 4.0),
            kind,
        );
    }
    for (x, words) in scale.ticks(row.quantity.is_count()) {
        sheet.line((x, plot.top), (x, plot.bottom), RULE, 1.0);
        let kind = Type::new(11.0).soft().anchor(Anchor::Middle);
        sheet.text(words, (x, plot.bottom + 15.0), kind);
    }
    if row.is_judged {
        let widened = row.median_interval.widened(WIDENED_BY);
        let (low, high) = (scale.x(widened.low), scale.x(widened.high));
        let y = scale.y(0.5);
        band(sheet, Box2::new(low, y - 5.0, high.max(low + 2.0), y + 5.0));
    }
    steps(sheet, &row.measured, &scale, MEASURED, MEASURED_PX);
    steps(sheet, &row.simulated, &scale, SIMULATED, SIMULATED_PX);
}

fn title(sheet: &mut Sheet, row: &Row, left: f64, right: f64) {
    let baseline = sheet.y + 14.0;
    sheet.text(
        row.quantity.name(),
        (left, baseline),
        Type::new(13.0).bold(),
    );
    let kind = Type::new(12.0).anchor(Anchor::Right);
    if row.outside == [Outside::Grain] {
        sheet.text("outside by the client's grain", (right, baseline), kind);
    } else if !row.outside.is_empty() {
        sheet.text("outside", (right, baseline), kind.bold().colour(VERMILLION));
    } else if !row.is_judged {
        sheet.text("not judged", (right, baseline), kind.soft());
    }
    let value = |side: &Side| number(side.quantiles.p50, row.quantity.is_count());
    let unit = if row.quantity.is_count() { "" } else { " ms" };
    let words = format!(
        "median {} measured, {} simulated{unit}; KS p = {:.2}",
        value(&row.measured),
        value(&row.simulated),
        row.p_value
    );
    sheet.text(words, (left, baseline + 17.0), Type::new(11.0).soft());
}

/// The empirical distribution function of a side.
fn steps(sheet: &mut Sheet, side: &Side, scale: &Scale, colour: Colour, width: f64) {
    let of = side.values.len() as f64;
    let mut at = (scale.plot.left, scale.y(0.0));
    for (value, number) in side.values.iter().zip(1_u32..) {
        let next = (scale.x(*value), scale.y(f64::from(number) / of));
        sheet.line(at, (next.0, at.1), colour, width);
        sheet.line((next.0, at.1), next, colour, width);
        at = next;
    }
    sheet.line(at, (scale.plot.right, at.1), colour, width);
}

fn shares(sheet: &mut Sheet, comparison: &Comparison) {
    let mut baseline = sheet.y + 12.0;
    let mut x = MARGIN;
    for row in &comparison.shares {
        let words = format!(
            "{}: {} of {} measured ({:.0} to {:.0} %), {:.1} % simulated{}",
            row.share.name(),
            row.measured.hits,
            row.measured.of,
            100.0 * row.interval.low,
            100.0 * row.interval.high,
            100.0 * row.simulated.share(),
            if row.is_outside { ", outside" } else { "" },
        );
        let colour = if row.is_outside { VERMILLION } else { INK };
        let kind = Type::new(12.0).colour(colour);
        let width = kind.space(&words, (0.0, 0.0)).right;
        if x > MARGIN && x + width > WIDTH - MARGIN {
            (x, baseline) = (MARGIN, baseline + 20.0);
        }
        sheet.text(words, (x, baseline), kind);
        x += width + 36.0;
    }
    sheet.y = baseline + 18.0;
}

/// Maps values to places in a plot.
struct Scale {
    plot: Box2,
    low: f64,
    high: f64,
}

impl Scale {
    /// Shows everything that was measured and all but the rarest of what was simulated.
    fn of(row: &Row, plot: Box2) -> Self {
        let (measured, simulated) = (&row.measured.values, &row.simulated.values);
        let ends = |share: f64| quantile(simulated, share).into_iter();
        let low = measured.first().copied().into_iter().chain(ends(0.01));
        let high = measured.last().copied().into_iter().chain(ends(0.99));
        let low = low.fold(f64::INFINITY, f64::min);
        let high = high.fold(f64::NEG_INFINITY, f64::max);
        let air = ((high - low) * 0.06).max(0.5);
        Self {
            plot,
            low: low - air,
            high: high + air,
        }
    }

    fn x(&self, value: f64) -> f64 {
        let share = (value - self.low) / (self.high - self.low);
        self.plot.left + share.clamp(0.0, 1.0) * (self.plot.right - self.plot.left)
    }

    fn y(&self, share: f64) -> f64 {
        self.plot.bottom - share * (self.plot.bottom - self.plot.top)
    }

    fn ticks(&self, is_count: bool) -> Vec<(f64, String)> {
        const MOST: f64 = 5.0;
        let ticks = round_ticks(self.low, self.high, MOST, is_count);
        let is_fine = ticks.windows(2).any(|pair| pair[1] - pair[0] < 1.0);
        let words = |value: f64| match is_fine {
            true => format!("{value:.1}"),
            false => format!("{value:.0}"),
        };
        let ticks = ticks.into_iter();
        ticks.map(|value| (self.x(value), words(value))).collect()
    }
}
