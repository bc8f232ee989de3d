//! Pictures of a finished sweep, as SVG and PNG from one drawing.
//!
//! Everything that tells things apart by colour also does so by dash, by mark or in words, and no
//! label covers another: a label that finds no free place is left out.

mod colour_scale;
mod differences;
mod distributions;
mod frame;
mod heat_map;
mod line;
mod pareto;
mod reference;
#[cfg(test)]
pub(crate) mod tests;
mod trade_off;
mod words;

use redrill_sim::scenario::Measure;

use crate::drawing::sheet::Sheet;
use crate::drawing::{DrawError, sheet_png, sheet_svg};
use crate::sweep::Sweep;
use crate::theme::Theme;

pub use heat_map::Shown;

/// Something measured elsewhere, to be drawn beside what was simulated.
#[derive(Clone, PartialEq, Debug)]
pub struct ReferencePoint {
    /// Whose it is: points of the same label belong together.
    pub label: String,
    /// Where it stands on the axis of the trade-off curve.
    pub x: f64,
    /// What was measured.
    pub measure: Measure,
    /// The median.
    pub median: f64,
    /// Lower end of the median's 95 % interval.
    pub low: f64,
    /// Upper end of it.
    pub high: f64,
}

/// A chart that can be painted.
#[derive(Debug)]
pub struct Chart {
    /// What a file of it is called, without its ending.
    pub name: String,
    /// What it shows, for who cannot see it.
    pub title: String,
    sheet: Sheet,
}

impl Chart {
    /// As an SVG document that needs nothing else.
    ///
    /// # Errors
    /// [`DrawError`] if the backend fails, which a sweep cannot cause.
    pub fn svg(&self) -> Result<String, DrawError> {
        sheet_svg(&self.sheet, &self.title, true)
    }

    /// The same without its font, to stand in a document that has one.
    pub(crate) fn svg_without_fonts(&self) -> Result<String, DrawError> {
        sheet_svg(&self.sheet, &self.title, false)
    }

    /// As a PNG file.
    ///
    /// # Errors
    /// As [`Chart::svg`].
    pub fn png(&self) -> Result<Vec<u8>, DrawError> {
        sheet_png(&self.sheet, 2)
    }
}

/// The charts that a sweep has something to show in.
#[must_use]
pub fn charts(sweep: &Sweep, references: &[ReferencePoint], theme: Theme) -> Vec<Chart> {
    let chart = |name: &str, title: &str, sheet: Sheet| Chart {
        name: name.to_owned(),
        title: format!("{title}: {}", sweep.data.drill),
        sheet,
    };
    let trade_off = trade_off::draw(sweep, references, theme);
    let pareto = pareto::draw(sweep, theme);
    let distributions = distributions::draw(sweep, theme);
    let differences = differences::draw(sweep, theme);
    let mut charts = vec![chart("trade-off", "The trade-off curve", trade_off)];
    charts.extend(pareto.map(|sheet| chart("pareto", "The Pareto front", sheet)));
    for (name, shown) in HEAT_MAPS {
        let sheet = heat_map::draw(sweep, shown, theme);
        let title = format!("Heat map of {}", shown.words());
        charts.extend(sheet.map(|sheet| chart(name, &title, sheet)));
    }
    let title = "Where a failover's time goes";
    charts.extend(distributions.map(|sheet| chart("phases", title, sheet)));
    let title = "Differences seed by seed";
    charts.extend(differences.map(|sheet| chart("differences", title, sheet)));
    charts
}

/// The heat maps of a sweep over two axes.
const HEAT_MAPS: [(&str, Shown); 3] = [
    ("heat-failovers", Shown::RunsWithAny(Measure::Failovers)),
    (
        "heat-false-failovers",
        Shown::PerDay(Measure::FalseFailovers),
    ),
    ("heat-write-gap", Shown::Quantile(Measure::WriteGap, 0.95)),
];
