//! The comparison as a table: text that is Markdown too.

use comfy_table::{CellAlignment, Table, presets};

use super::{Comparison, Kind, Outside, Row, Side};

/// A cell's table, with a title.
#[must_use]
pub fn cell(comparison: &Comparison) -> String {
    let mut table = Table::new();
    table.load_style(presets::ASCII_MARKDOWN).set_header([
        "ms after the fault",
        "measured median [95 %]",
        "p5 .. p95",
        "simulated median",
        "p5 .. p95",
        "KS p",
        "",
    ]);
    for row in &comparison.rows {
        table.add_row(row_cells(row));
    }
    for row in &comparison.shares {
        let (measured, simulated) = (row.measured, row.simulated);
        table.add_row([
            format!("share: {}", row.share.name()),
            format!(
                "{}/{} [{:.0} %, {:.0} %]",
                measured.hits,
                measured.of,
                100.0 * row.interval.low,
                100.0 * row.interval.high
            ),
            String::new(),
            format!("{:.1} %", 100.0 * simulated.share()),
            String::new(),
            String::new(),
            verdict(row.is_outside.then_some("share")),
        ]);
    }
    for column in table.column_iter_mut().skip(1).take(5) {
        column.set_cell_alignment(CellAlignment::Right);
    }
    format!(
        "{}: {} measured, {} simulated trials\n\n{table}\n",
        comparison.cell, comparison.measured_trials, comparison.simulated_trials
    )
}

/// All cells on a line each: what was measured of the promotion and the write gap, and what lies
/// outside.
#[must_use]
pub fn overview(comparisons: &[Comparison]) -> String {
    use super::{Quantity, Share};
    let mut table = Table::new();
    table.load_style(presets::ASCII_MARKDOWN).set_header([
        "cell",
        "trials",
        "won, measured",
        "simulated",
        "write gap, measured",
        "simulated",
        "failovers, measured",
        "simulated",
        "outside",
    ]);
    for comparison in comparisons {
        let side = |quantity: Quantity, side: fn(&Row) -> &Side| {
            let row = comparison.rows.iter().find(|row| row.quantity == quantity);
            row.map_or_else(String::new, |row| {
                number(side(row).quantiles.p50, quantity.is_count())
            })
        };
        let share = |measured: bool| {
            let rows = &comparison.shares;
            let row = rows.iter().find(|row| row.share == Share::Failover);
            row.map_or_else(String::new, |row| match measured {
                true => format!("{}/{}", row.measured.hits, row.measured.of),
                false => format!("{:.0} %", 100.0 * row.simulated.share()),
            })
        };
        let outside = comparison.outside();
        table.add_row([
            comparison.cell.clone(),
            comparison.measured_trials.to_string(),
            side(Quantity::Won, |row| &row.measured),
            side(Quantity::Won, |row| &row.simulated),
            side(Quantity::WriteGap, |row| &row.measured),
            side(Quantity::WriteGap, |row| &row.simulated),
            share(true),
            share(false),
            match outside.is_empty() {
                true => "-".to_owned(),
                false => outside.join("; "),
            },
        ]);
    }
    for column in table.column_iter_mut().skip(1).take(7) {
        column.set_cell_alignment(CellAlignment::Right);
    }
    format!("{table}\n")
}

fn row_cells(row: &Row) -> [String; 7] {
    let is_count = row.quantity.is_count();
    let number = |value: f64| number(value, is_count);
    let spread = |side: &Side| {
        format!(
            "{} .. {}",
            number(side.quantiles.p5),
            number(side.quantiles.p95)
        )
    };
    let name = row.quantity.name();
    [
        match row.quantity.kind() {
            Kind::Judged => name.to_owned(),
            Kind::Shown => format!("  ({name})"),
        },
        format!(
            "{} [{}, {}]",
            number(row.measured.quantiles.p50),
            number(row.median_interval.low),
            number(row.median_interval.high)
        ),
        spread(&row.measured),
        number(row.simulated.quantiles.p50),
        spread(&row.simulated),
        format!("{:.3}", row.p_value),
        match row.is_judged || row.quantity.kind() == Kind::Shown {
            true => verdict(row.outside.iter().map(|what| match what {
                Outside::Median => "median",
                Outside::Distribution => "distribution",
                Outside::Grain => "grain",
            })),
            false => "too few".to_owned(),
        },
    ]
}

fn verdict<'a>(outside: impl IntoIterator<Item = &'a str>) -> String {
    let words: Vec<&str> = outside.into_iter().collect();
    match words.is_empty() {
        true => String::new(),
        false => format!("outside: {}", words.join(", ")),
    }
}

pub(super) fn number(value: f64, is_count: bool) -> String {
    if value.abs() >= 200.0 || is_count {
        format!("{value:.0}")
    } else {
        format!("{value:.1}")
    }
}
