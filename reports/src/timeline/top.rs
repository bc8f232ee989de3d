//! The upper part: title, overview of the whole run, faults, failovers.

use super::axis::Axis;
use super::{LEFT, MARGIN};
use crate::drawing::font::{self, Weight};
use crate::drawing::labels::Taken;
use crate::drawing::sheet::{Anchor, Box2, Sheet, Type};
use crate::model::{Failover, Model, Part, Span};
use crate::text::length;
use crate::theme::{
    BLUE, Colour, GREEN, INK, ORANGE, PAPER, PURPLE, RULE, SOFT_INK, VERMILLION, hatch, role_colour,
};

/// The drill, its question, and what ran.
pub(super) fn title(sheet: &mut Sheet, model: &Model) {
    let header = &model.header;
    let most = sheet.width - 2.0 * MARGIN;
    let name = font::fitted(&header.drill, 21.0, Weight::Bold, most);
    sheet.text(name, (MARGIN, sheet.y + 18.0), Type::new(21.0).bold());
    sheet.y += 26.0;
    if let Some(question) = &header.question {
        let question = font::fitted(question, 14.0, Weight::Regular, most);
        sheet.text(question, (MARGIN, sheet.y + 14.0), Type::new(14.0));
        sheet.y += 22.0;
    }
    let facts = font::fitted(&facts(model), 11.5, Weight::Regular, most);
    sheet.text(facts, (MARGIN, sheet.y + 12.0), Type::new(11.5).soft());
    sheet.y += 26.0;
}

/// What ran, in a line.
pub(crate) fn facts(model: &Model) -> String {
    let header = &model.header;
    let count = |number: usize, word: &str| {
        format!("{number} {word}{}", if number == 1 { "" } else { "s" })
    };
    [
        header.engine.name().to_owned(),
        format!("world {}", header.world),
        format!("seed {}", header.seed),
        format!("cluster-node-timeout {} ms", header.node_timeout_ms),
        format!(
            "{} in {}",
            count(header.nodes.len(), "node"),
            count(header.zones.len(), "zone")
        ),
        count(header.clients.len(), "client"),
        length(model.run.length_us()),
    ]
    .join("  ·  ")
}

/// The whole run in a strip, with a frame around the part below.
pub(super) fn overview(sheet: &mut Sheet, model: &Model, window: Span) {
    let axis = Axis::new(model, model.run, LEFT, sheet.width - MARGIN);
    let shown = model.drawn(model.run, 24, 24);
    let rows = shown.len();
    let row = if rows > 12 { 3.0 } else { 5.0 };
    let top = sheet.y;
    let bottom = top + rows as f64 * row;
    let kind = Type::new(11.0).soft().anchor(Anchor::Right);
    sheet.text("whole run", (LEFT - 12.0, (top + bottom) / 2.0 + 4.0), kind);
    let lanes = model.lanes().filter(|lane| shown.contains(&lane.node));
    for (place, lane) in lanes.enumerate() {
        let y = top + place as f64 * row;
        for role in &lane.roles {
            if let Some((left, right)) = axis.clipped(role.span) {
                let colour = role_colour(role.role).lighter(0.35);
                sheet.fill(Box2::new(left, y, right, y + row - 1.0), colour);
            }
        }
        let troubles = lane.troubles.iter();
        let troubles = axis.joined(troubles.map(|trouble| (trouble.trouble, trouble.span)));
        for (trouble, left, right) in troubles {
            let area = Box2::new(left, y, right, y + row - 1.0);
            sheet.fill(area, PAPER);
            sheet.hatch(area, hatch(trouble), INK);
        }
    }
    for fault in &model.faults {
        let x = axis.x(fault.span.from_us);
        sheet.line((x, top - 3.0), (x, bottom + 2.0), VERMILLION, 1.4);
    }
    let (left, right) = (axis.x(window.from_us), axis.x(window.to_us));
    sheet.outline(Box2::new(left, top - 4.0, right, bottom + 3.0), INK, 1.6);
    for (x, seconds) in axis.ticks() {
        sheet.line((x, bottom + 5.0), (x, bottom + 8.0), SOFT_INK, 1.0);
        let anchor = if x > axis.right - 16.0 {
            Anchor::Right
        } else {
            Anchor::Middle
        };
        let words = format!("{seconds:+.0} s")
            .replace("+0 s", "0 s")
            .replace('-', "−");
        let kind = Type::new(10.0).soft().anchor(anchor);
        sheet.text(words, (x, bottom + 17.0), kind);
    }
    sheet.y = bottom + 34.0;
}

/// A band for each fault, labelled.
pub(super) fn faults(sheet: &mut Sheet, model: &Model, axis: &Axis) {
    const ROW: f64 = 20.0;
    let shown: Vec<_> = model
        .faults
        .iter()
        .filter_map(|fault| Some((fault, axis.clipped(fault.span)?)))
        .collect();
    let mut rows: Vec<Taken> = Vec::new();
    let top = sheet.y;
    for (fault, (left, right)) in shown {
        let kind = Type::new(11.5).bold();
        let words = if fault.touched_nothing() {
            format!("{} (touched nothing)", fault.label())
        } else {
            fault.label().to_owned()
        };
        let words = font::fitted(
            &words,
            kind.size,
            kind.weight,
            axis.right - axis.left - 12.0,
        );
        let width = font::width(&words, kind.size, kind.weight);
        let text_left = (left + 7.0).min(axis.right - width - 3.0).max(axis.left);
        let needs = (
            left.min(text_left) - 3.0,
            right.max(text_left + width + 4.0),
        );
        let area = |row: usize| {
            let y = top + row as f64 * ROW;
            Box2::new(needs.0, y, needs.1, y + ROW - 3.0)
        };
        let row = (0..rows.len())
            .find(|&row| rows[row].is_free(area(row)))
            .unwrap_or_else(|| {
                rows.push(Taken::default());
                rows.len() - 1
            });
        rows[row].take(area(row));
        let y = top + row as f64 * ROW;
        let band = Box2::new(left, y, right.max(left + 3.0), y + ROW - 3.0);
        sheet.fill(band, ORANGE.lighter(0.55));
        sheet.fill(Box2::new(left, y, left + 3.0, y + ROW - 3.0), VERMILLION);
        if fault.lasts && fault.span.to_us <= axis.window.to_us {
            sheet.fill(Box2::new(right - 1.5, y, right, y + ROW - 3.0), VERMILLION);
        }
        sheet.text(words, (text_left, y + 13.0), kind);
    }
    if !rows.is_empty() {
        let kind = Type::new(11.0).soft().anchor(Anchor::Right);
        sheet.text("faults", (LEFT - 12.0, top + 13.0), kind);
        sheet.y += rows.len() as f64 * ROW + 4.0;
    }
}

/// A strip for each kind of weather that has no band of its own: a tick for each time.
pub(super) fn weather(sheet: &mut Sheet, model: &Model, axis: &Axis) {
    const ROW: f64 = 16.0;
    for strip in &model.weather {
        let y = sheet.y;
        let kind = Type::new(11.0).soft().anchor(Anchor::Right);
        let name = font::fitted(strip.kind.plural(), 11.0, Weight::Regular, LEFT - 24.0);
        sheet.text(name, (LEFT - 12.0, y + 10.0), kind);
        let middle = y + 6.5;
        sheet.line((axis.left, middle), (axis.right, middle), RULE, 1.0);
        for ((), left, right) in axis.joined(strip.spans.iter().map(|span| ((), *span))) {
            let tick = Box2::new(left, y + 2.0, right.max(left + 1.5), y + 11.0);
            sheet.fill(tick, ORANGE);
        }
        let words = strip.words();
        let width = font::width(&words, 10.5, Weight::Regular);
        let back = Box2::new(axis.right - width - 8.0, y, axis.right, y + 13.0);
        sheet.fill(back, PAPER);
        let kind = Type::new(10.5).soft().anchor(Anchor::Right);
        sheet.text(words, (axis.right - 2.0, y + 10.0), kind);
        sheet.y += ROW;
    }
    if !model.weather.is_empty() {
        sheet.y += 4.0;
    }
}

const fn part_colour(part: Part) -> Colour {
    match part {
        Part::Detection => ORANGE,
        Part::Agreement => VERMILLION,
        Part::Election => PURPLE,
        Part::Promotion => GREEN,
    }
}

/// A bracket for each failover, in its parts, each with its time.
pub(super) fn failovers(sheet: &mut Sheet, model: &Model, axis: &Axis) {
    let shown: Vec<&Failover> = model
        .failovers
        .iter()
        .filter(|failover| axis.clipped(failover.span()).is_some())
        .collect();
    for failover in &shown {
        failover_row(sheet, model, axis, failover);
    }
    if !shown.is_empty() {
        sheet.y += 4.0;
    }
}

fn failover_row(sheet: &mut Sheet, model: &Model, axis: &Axis, failover: &Failover) {
    let (top, bottom) = (sheet.y + 15.0, sheet.y + 21.0);
    let mut taken = Taken::default();
    let bounds = (axis.left, axis.right);
    let name = |node| model.header.nodes[usize::from(node)].name.as_str();
    let master = failover.master.map_or("its master", name);
    let title = format!("{} for {master}", name(failover.winner));
    let title = font::fitted(&title, 11.0, Weight::Regular, LEFT - 24.0);
    let kind = Type::new(11.0).soft().anchor(Anchor::Right);
    sheet.text(title, (LEFT - 12.0, bottom), kind);

    let mut after = axis.left;
    let mut left_out = Vec::new();
    for (part, span) in failover.parts() {
        let words = format!("{} {}", part.name(), length(span.length_us()));
        let Some((left, right)) = axis.clipped(span) else {
            left_out.push(words);
            continue;
        };
        let colour = part_colour(part);
        sheet.fill(Box2::new(left, top, right.max(left + 1.5), bottom), colour);
        for x in [left, right] {
            sheet.line((x, top - 3.0), (x, bottom + 3.0), INK, 1.0);
        }
        after = after.max(right);
        let width = font::width(&words, 11.0, Weight::Regular);
        let middle = f64::midpoint(left, right);
        let kind = Type::new(11.0);
        let fits = width + 6.0 <= right - left;
        let places = [((middle, top - 4.0), Anchor::Middle)];
        if !(fits && taken.place(sheet, &words, kind, &places, bounds)) {
            left_out.push(words);
        }
    }
    // What found no room over its own part stands at the right of the bracket, or at its left.
    if !left_out.is_empty() {
        let words = left_out.join(" · ");
        let before = axis.x(failover.span().from_us);
        let places = [
            ((after + 8.0, bottom), Anchor::Left),
            ((before - 8.0, bottom), Anchor::Right),
            ((axis.right, top - 4.0), Anchor::Right),
        ];
        taken.place(sheet, &words, Type::new(11.0), &places, bounds);
    }
    let x = axis.x(failover.won_us);
    if axis.shows(failover.won_us) {
        sheet.line((x, top - 3.0), (x, bottom + 3.0), BLUE, 2.0);
    }
    sheet.line(
        (axis.left, bottom + 6.0),
        (axis.right, bottom + 6.0),
        RULE,
        1.0,
    );
    sheet.y += 30.0;
}
