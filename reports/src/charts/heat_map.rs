//! A heat map over two axes.

use redrill_sim::scenario::{Measure, Unit};

use super::Theme;
use super::colour_scale::{colour, text_on};
use super::frame::{Frame, MARGIN, WIDTH};
use super::line::ends;
use super::words::{facts, measure, sentence, short, tick_time};
use crate::drawing::font;
use crate::drawing::sheet::{Anchor, Box2, Sheet, Type};
use crate::sweep::{MeasureStatistics, Statistics, Sweep};

/// What the cells of a heat map show of a configuration.
#[derive(Clone, Copy, PartialEq, Debug)]
pub enum Shown {
    /// The share of runs in which there was any of what adds up.
    RunsWithAny(Measure),
    /// How much there was by cluster and day.
    PerDay(Measure),
    /// A quantile: 0.5, 0.95 or 0.99.
    Quantile(Measure, f64),
}

/// What a cell shows.
#[derive(Clone, Copy, PartialEq, Debug)]
enum Cell {
    Value(f64),
    /// It lies among what had not happened when runs ended.
    Never,
    /// Nothing was measured.
    Nothing,
}

/// The most room for the names of rows.
const NAMES: f64 = 220.0;
/// More columns or rows than this are too small to be seen.
const MOST: usize = 200;

impl Shown {
    /// What it is, in words.
    #[must_use]
    pub fn words(self) -> String {
        match self {
            Self::RunsWithAny(it) => format!("share of runs with {}", measure(it)),
            Self::PerDay(it) => format!("{} by cluster and day", measure(it)),
            Self::Quantile(it, share) => format!("{} p{:.0}", measure(it), share * 100.0),
        }
    }

    fn of(self, statistics: &Statistics) -> Cell {
        let it = |of: Measure| statistics.measure(of);
        let quantile = |it: &MeasureStatistics, share: f64| match share {
            share if share <= 0.5 => it.p50.estimate,
            share if share <= 0.95 => it.p95.estimate,
            _ => it.p99.estimate,
        };
        let value = match self {
            Self::RunsWithAny(of) => (it(of).and_then(|it| it.runs_with_any))
                .filter(|it| it.of > 0)
                .map(|it| Some(it.hits as f64 / it.of as f64)),
            Self::PerDay(of) => it(of).and_then(|it| it.per_day).map(|it| Some(it.estimate)),
            Self::Quantile(of, share) => it(of).map(|it| quantile(it, share)),
        };
        match value {
            Some(Some(value)) if value.is_finite() => Cell::Value(value),
            Some(_) => Cell::Never,
            None => Cell::Nothing,
        }
    }

    fn value(self, value: f64) -> String {
        match self {
            Self::RunsWithAny(_) => format!("{:.0} %", value * 100.0),
            Self::PerDay(it) | Self::Quantile(it, _) if it.unit() == Unit::Time => tick_time(value),
            Self::PerDay(_) | Self::Quantile(..) => short(value),
        }
    }

    /// The values at the ends of the colours.
    fn ends(self, cells: &[Vec<Cell>]) -> (f64, f64) {
        if let Self::RunsWithAny(_) = self {
            return (0.0, 1.0);
        }
        let values = cells.iter().flatten().filter_map(|cell| match cell {
            Cell::Value(value) => Some(*value),
            Cell::Never | Cell::Nothing => None,
        });
        let (_, high) = ends(values);
        (0.0, if high > 0.0 { high } else { 1.0 })
    }
}

/// `None` unless the sweep has two axes and something to show.
pub(super) fn draw(sweep: &Sweep, shown: Shown, theme: Theme) -> Option<Sheet> {
    let [across, down] = &sweep.data.axes[..] else {
        return None;
    };
    let (columns, rows) = (across.values.len(), down.values.len());
    if columns.min(rows) < 1 || columns.max(rows) > MOST {
        return None;
    }
    let mut cells = vec![vec![Cell::Nothing; columns]; rows];
    for (configuration, statistics) in sweep.data.configurations.iter().zip(&sweep.statistics) {
        if let [column, row] = configuration.places[..]
            && let Some(cell) = cells.get_mut(row).and_then(|row| row.get_mut(column))
        {
            *cell = shown.of(statistics);
        }
    }
    let nothing = [Cell::Nothing, Cell::Value(0.0)];
    if cells.iter().flatten().all(|cell| nothing.contains(cell)) {
        return None;
    }
    let mut frame = Frame::new(theme, &sentence(&shown.words()), &facts(sweep));
    let ends = shown.ends(&cells);
    key(&mut frame, shown, ends, &cells);
    let kind = frame.soft(11.0);
    let widths = down
        .values
        .iter()
        .map(|it| font::width(it.text.trim_matches('"'), kind.size, kind.weight));
    let names = (widths.fold(24.0, f64::max) + 14.0).min(NAMES);
    let map = Map {
        shown,
        names,
        ends,
        top: frame.sheet.y + 32.0,
        width: (WIDTH - MARGIN * 2.0 - names) / columns as f64,
        height: (420.0 / rows as f64).clamp(12.0, 46.0),
    };
    map.write_names(&mut frame, sweep);
    for (row, values) in cells.iter().enumerate() {
        for (column, cell) in values.iter().enumerate() {
            map.cell(&mut frame, (column, row), *cell);
        }
    }
    map.standings(&mut frame, sweep);
    frame.sheet.y = map.top + map.height * rows as f64 + 42.0;
    Some(frame.finish())
}

/// The colours from end to end.
fn key(frame: &mut Frame, shown: Shown, (low, high): (f64, f64), cells: &[Vec<Cell>]) {
    const STEPS: u32 = 48;
    const LONG: f64 = 240.0;
    let y = frame.sheet.y + 4.0;
    let kind = frame.type_of(11.0);
    let least = shown.value(low);
    frame.text(&least, (MARGIN, y + 11.0), kind);
    let left = MARGIN + kind.space(&least, (0.0, 0.0)).right + 8.0;
    for step in 0..STEPS {
        let share = f64::from(step) / f64::from(STEPS - 1);
        let x = left + LONG * f64::from(step) / f64::from(STEPS);
        let area = Box2::new(x, y, x + LONG / f64::from(STEPS) + 0.5, y + 14.0);
        frame.sheet.fill(area, colour(share));
    }
    let right = left + LONG + 8.0;
    let most = shown.value(high);
    frame.text(&most, (right, y + 11.0), kind);
    let mut x = right + kind.space(&most, (0.0, 0.0)).right + 24.0;
    for (wanted, words) in [
        (Cell::Never, "never: not over when the run ended"),
        (Cell::Nothing, "nothing measured"),
    ] {
        if cells.iter().flatten().any(|cell| *cell == wanted) {
            let area = Box2::new(x, y, x + 22.0, y + 14.0);
            without_value(frame, area, wanted);
            frame.text(words, (x + 28.0, y + 11.0), kind);
            x += 28.0 + kind.space(words, (0.0, 0.0)).right + 20.0;
        }
    }
    frame.sheet.y = y + 18.0;
}

/// A cell that has no colour: hatched if it never ended, empty if nothing was measured.
fn without_value(frame: &mut Frame, area: Box2, cell: Cell) {
    let (rule, soft) = (frame.theme.rule, frame.theme.soft_ink);
    frame.sheet.outline(area, rule, 1.0);
    if cell == Cell::Never {
        frame.sheet.hatch(area, crate::theme::Hatch::Slanted, soft);
    }
}

struct Map {
    shown: Shown,
    ends: (f64, f64),
    names: f64,
    top: f64,
    width: f64,
    height: f64,
}

impl Map {
    fn area(&self, (column, row): (usize, usize)) -> Box2 {
        let left = MARGIN + self.names + column as f64 * self.width;
        let top = self.top + row as f64 * self.height;
        Box2::new(left, top, left + self.width, top + self.height)
    }

    fn write_names(&self, frame: &mut Frame, sweep: &Sweep) {
        let [across, down] = &sweep.data.axes[..] else {
            return;
        };
        let bottom = self.top + self.height * down.values.len() as f64;
        let kind = frame.type_of(12.0);
        let middle = kind.anchor(Anchor::Middle);
        let room = WIDTH - MARGIN * 2.0 - self.names;
        let at = (MARGIN + self.names + room / 2.0, bottom + 36.0);
        frame.shortened(&across.path, at, middle, room);
        frame.shortened(
            &down.path,
            (MARGIN, self.top - 14.0),
            kind,
            WIDTH - 2.0 * MARGIN,
        );
        let kind = frame.soft(11.0);
        for (column, value) in across.values.iter().enumerate() {
            let area = self.area((column, 0));
            let at = (f64::midpoint(area.left, area.right), bottom + 16.0);
            let words = value.text.trim_matches('"');
            frame.shortened(
                words,
                at,
                kind.anchor(Anchor::Middle),
                self.width.max(44.0) - 6.0,
            );
        }
        for (row, value) in down.values.iter().enumerate() {
            let area = self.area((0, row));
            let y = f64::midpoint(area.top, area.bottom) + 4.0;
            let words = value.text.trim_matches('"');
            let right = kind.anchor(Anchor::Right);
            frame.shortened(words, (area.left - 8.0, y), right, self.names - 12.0);
        }
    }

    fn cell(&self, frame: &mut Frame, at: (usize, usize), cell: Cell) {
        let area = self.area(at);
        let area = Box2::new(area.left, area.top, area.right - 1.0, area.bottom - 1.0);
        let (words, kind) = match cell {
            Cell::Value(value) => {
                let (low, high) = self.ends;
                let ground = colour((value - low) / (high - low));
                frame.sheet.fill(area, ground);
                (
                    self.shown.value(value),
                    Type::new(12.0).colour(text_on(ground)),
                )
            }
            Cell::Never | Cell::Nothing => {
                without_value(frame, area, cell);
                let words = if cell == Cell::Never { "never" } else { "" };
                (words.to_owned(), frame.type_of(12.0).bold())
            }
        };
        let width = font::width(&words, kind.size, kind.weight);
        let fits = width + 6.0 <= area.right - area.left && self.height >= 16.0;
        if fits && !words.is_empty() {
            let (x, y) = (
                f64::midpoint(area.left, area.right),
                f64::midpoint(area.top, area.bottom),
            );
            if cell == Cell::Never {
                let half = width / 2.0 + 4.0;
                let paper = frame.theme.paper;
                let behind = Box2::new(x - half, y - 9.0, x + half, y + 9.0);
                frame.sheet.fill(behind, paper);
            }
            frame.text(&words, (x, y + 4.0), kind.anchor(Anchor::Middle));
        }
    }

    /// Frames around the drill's own cell and the chosen one.
    fn standings(&self, frame: &mut Frame, sweep: &Sweep) {
        let (ink, paper) = (frame.theme.ink, frame.theme.paper);
        for (place, word) in [(sweep.data.current, "now"), (sweep.advice.chosen, "chosen")] {
            let Some(place) = place else { continue };
            let [column, row] = sweep.data.configurations[place].places[..] else {
                continue;
            };
            let area = self.area((column, row));
            let inner = |by: f64| {
                Box2::new(
                    area.left + by,
                    area.top + by,
                    area.right - by - 1.0,
                    area.bottom - by - 1.0,
                )
            };
            frame.sheet.outline(inner(0.0), ink, 3.0);
            frame.sheet.outline(inner(2.0), paper, 1.5);
            let kind = frame.type_of(11.0).bold().anchor(Anchor::Middle);
            let x = f64::midpoint(area.left, area.right);
            let rows = sweep.data.axes[1].values.len() as f64;
            let below = self.top + rows * self.height + 28.0;
            let words = format!("{word} (framed)");
            let places = [
                ((x, self.top - 3.0), Anchor::Middle),
                ((x, below), Anchor::Middle),
            ];
            frame.label(&words, kind, &places);
        }
    }
}
