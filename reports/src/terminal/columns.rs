//! The columns: which nodes have one, how wide they are, and how a line is set.

use std::collections::{BTreeMap, BTreeSet};

use redrill_sim::trace::NodeNumber;
use unicode_width::UnicodeWidthStr as _;

use super::signs::Sign;
use super::{Page, wrapped};
use crate::model::{Lane, Model};

/// Room for the time at the left.
const TIME: usize = 9;
/// Room between the time and the columns, and between the columns and the words.
const GAP: usize = 3;
/// Columns of a cluster that has too many nodes for a column each.
const SOME: usize = 14;
/// What the words need at least.
const WORDS: usize = 26;

/// The columns of a timeline.
pub(super) struct Columns {
    /// Of each zone that has any: its name and its columns.
    zones: Vec<(String, Vec<Column>)>,
    /// Nodes without a column.
    left_out: usize,
    /// Whether names stand upright, a character a line.
    upright: bool,
}

struct Column {
    node: NodeNumber,
    name: String,
    /// Width with the gap behind it.
    width: usize,
}

impl Columns {
    pub(super) fn new(model: &Model, width: usize) -> Self {
        let room = width - TIME - 2 * GAP - WORDS;
        let total = model.lanes().count();
        let zone_gaps = model.zones.len();
        let level: usize = model.lanes().map(|lane| lane.name.width() + 2).sum();
        let upright = level + zone_gaps > room.min(width / 2);
        let most = if upright {
            room.saturating_sub(zone_gaps) / 2
        } else {
            total
        };
        let all = if upright { most } else { total };
        let shown = model.drawn(model.run, all, most.clamp(1, SOME));
        let zones: Vec<(String, Vec<Column>)> = model
            .zones
            .iter()
            .map(|zone| {
                let columns = zone
                    .lanes
                    .iter()
                    .filter(|lane| shown.contains(&lane.node))
                    .map(|lane| column(lane, upright))
                    .collect();
                (printable(&zone.name), columns)
            })
            .filter(|(_, columns): &(String, Vec<Column>)| !columns.is_empty())
            .collect();
        Self {
            zones,
            left_out: total - shown.len(),
            upright,
        }
    }

    /// The names of zones and nodes.
    pub(super) fn head(&self, page: &mut Page) {
        let mut line = format!("{:>TIME$}{}", "zone", " ".repeat(GAP));
        for (name, columns) in &self.zones {
            let room: usize = columns.iter().map(|column| column.width).sum();
            let name = fitted(name, room.saturating_sub(1));
            line.push_str(&name);
            line.push_str(&" ".repeat(room + 1 - name.width()));
        }
        push(page, &line);
        let rows = if self.upright {
            self.columns()
                .map(|column| column.name.chars().count())
                .max()
                .unwrap_or(0)
        } else {
            1
        };
        for row in 0..rows {
            let mut line = if row + 1 == rows {
                format!("{:>TIME$}{}", "seconds", " ".repeat(GAP))
            } else {
                " ".repeat(TIME + GAP)
            };
            for (_, columns) in &self.zones {
                for column in columns {
                    let text = if self.upright {
                        column.name.chars().nth(row).unwrap_or(' ').to_string()
                    } else {
                        column.name.clone()
                    };
                    line.push_str(&text);
                    line.push_str(&" ".repeat(column.width.saturating_sub(text.width())));
                }
                line.push(' ');
            }
            push(page, &line);
        }
    }

    /// Who has no column.
    pub(super) fn foot(&self, page: &mut Page) {
        if self.left_out > 0 {
            let words = format!("{} more nodes have no column here.", self.left_out);
            page.paragraph(&words, 0);
        }
    }

    /// A line: time, the state of every node, the signs of an event, its words.
    #[allow(clippy::too_many_arguments, reason = "one place sets a line")]
    pub(super) fn line(
        &self,
        page: &mut Page,
        model: &Model,
        time: Option<String>,
        at_us: u64,
        marks: &[(NodeNumber, Sign)],
        words: &str,
        sign: Option<Sign>,
    ) {
        let marks: BTreeMap<NodeNumber, Sign> = marks.iter().copied().collect();
        let lanes: BTreeMap<NodeNumber, &Lane> =
            model.lanes().map(|lane| (lane.node, lane)).collect();
        let used = TIME
            + 2 * GAP
            + self.columns().map(|column| column.width).sum::<usize>()
            + self.zones.len();
        let room = page.width.saturating_sub(used).max(WORDS.min(page.width));
        for (index, part) in wrapped(words, room, 0).iter().enumerate() {
            let mut line = match &time {
                Some(time) if index == 0 => page.paint.faint(time),
                _ => " ".repeat(TIME),
            };
            line.push_str(&" ".repeat(GAP));
            for (_, columns) in &self.zones {
                for column in columns {
                    let mark = marks.get(&column.node).filter(|_| index == 0).copied();
                    let sign = mark.or_else(|| state(lanes.get(&column.node)?, at_us));
                    let sign = sign.unwrap_or(Sign::EmptyMaster);
                    line.push_str(&page.paint.like(&sign.character().to_string(), sign));
                    line.push_str(&" ".repeat(column.width - 1));
                }
                line.push(' ');
            }
            line.push_str(&" ".repeat(GAP - 1));
            match sign {
                Some(sign) => line.push_str(&page.paint.like(part, sign)),
                None => line.push_str(part),
            }
            push(page, &line);
        }
    }

    /// The signs of the states that nodes with a column were in.
    pub(super) fn lane_signs(&self, model: &Model) -> Vec<Sign> {
        let shown: BTreeSet<NodeNumber> = self.columns().map(|column| column.node).collect();
        model
            .lanes()
            .filter(|lane| shown.contains(&lane.node))
            .flat_map(|lane| {
                let roles = lane.roles.iter().map(|role| Sign::of_role(role.role));
                let troubles = lane.troubles.iter();
                roles.chain(troubles.map(|trouble| Sign::of_trouble(trouble.trouble)))
            })
            .collect()
    }

    fn columns(&self) -> impl Iterator<Item = &Column> {
        self.zones.iter().flat_map(|(_, columns)| columns)
    }
}

fn column(lane: &Lane, upright: bool) -> Column {
    let name = printable(&lane.name);
    Column {
        node: lane.node,
        width: if upright { 2 } else { name.width() + 2 },
        name,
    }
}

fn printable(text: &str) -> String {
    text.chars()
        .filter(|character| !character.is_control())
        .collect()
}

fn push(page: &mut Page, line: &str) {
    page.text.push_str(line.trim_end());
    page.text.push('\n');
}

fn state(lane: &Lane, at_us: u64) -> Option<Sign> {
    Some(match lane.trouble_at(at_us) {
        Some(trouble) => Sign::of_trouble(trouble),
        None => Sign::of_role(lane.role_at(at_us)),
    })
}

fn fitted(text: &str, room: usize) -> String {
    let mut fitted = text.to_owned();
    while fitted.width() > room {
        fitted.pop();
    }
    fitted
}
