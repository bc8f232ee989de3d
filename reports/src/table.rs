//! Columns of text that stand under each other.

use console::measure_text_width;

/// At which side the cells of a column stand.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Side {
    /// Words.
    Left,
    /// Numbers.
    Right,
}

/// A table without lines. Colours in cells take no room.
#[derive(Clone, Debug)]
pub struct Table {
    sides: Vec<Side>,
    rows: Vec<Vec<String>>,
}

impl Table {
    /// A table with these columns. Without any title, there is no line of titles.
    #[must_use]
    pub fn new(columns: &[(&str, Side)]) -> Self {
        let titles: Vec<String> = columns
            .iter()
            .map(|(title, _)| (*title).to_owned())
            .collect();
        let has_titles = titles.iter().any(|title| !title.is_empty());
        Self {
            sides: columns.iter().map(|(_, side)| *side).collect(),
            rows: if has_titles { vec![titles] } else { Vec::new() },
        }
    }

    /// Adds a row: a cell a column.
    pub fn row(&mut self, cells: Vec<String>) {
        self.rows.push(cells);
    }

    /// The lines, each after `indent`, none with blanks at its end.
    #[must_use]
    pub fn render(&self, indent: &str) -> String {
        let width = |column: usize| {
            let cells = self.rows.iter().filter_map(|row| row.get(column));
            cells
                .map(|cell| measure_text_width(cell))
                .max()
                .unwrap_or(0)
        };
        let widths: Vec<usize> = (0..self.sides.len()).map(width).collect();
        let mut text = String::new();
        for row in &self.rows {
            let cells = row.iter().zip(&widths).zip(&self.sides);
            let cells: Vec<String> = cells
                .map(|((cell, width), side)| {
                    let blanks = " ".repeat(width.saturating_sub(measure_text_width(cell)));
                    match side {
                        Side::Left => format!("{cell}{blanks}"),
                        Side::Right => format!("{blanks}{cell}"),
                    }
                })
                .collect();
            let line = format!("{indent}{}", cells.join("  "));
            text.push_str(line.trim_end());
            text.push('\n');
        }
        text
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cells_stand_under_each_other() {
        let mut table = Table::new(&[("", Side::Left), ("value", Side::Right)]);
        table.row(vec!["median".into(), "7.70 s".into()]);
        table.row(vec!["\u{1b}[1mmax\u{1b}[0m".into(), "10.1 s".into()]);
        assert_eq!(
            table.render("  "),
            "           value\n  median  7.70 s\n  \u{1b}[1mmax\u{1b}[0m     10.1 s\n"
        );
    }
}
