//! The lanes of the nodes, zone by zone.

use redrill_sim::trace::NodeNumber;

use super::axis::Axis;
use super::{LEFT, MARGIN};
use crate::drawing::font::{self, Weight as FontWeight};
use crate::drawing::labels::Taken;
use crate::drawing::sheet::{Anchor, Box2, Sheet, Type};
use crate::model::{EventLine, Lane, Model, Role, Trouble, Weight};
use crate::theme::{INK, ORANGE, SOFT_INK, VERMILLION, ZONE, hatch, mark, rank, role_colour};

/// Height of a lane: a row of labels, the bar, a row of labels.
const LANE: f64 = 52.0;
const ZONE_HEAD: f64 = 19.0;
/// Half the height of a master's bar, and of any other's.
const MASTER_HALF: f64 = 8.0;
const OTHER_HALF: f64 = 5.0;
const MARK: f64 = 5.0;

/// Up to this many lanes are all drawn.
const ALL_LANES: usize = 24;
/// Of more, those to which most happened: this many.
const SOME_LANES: usize = 14;

fn shown_events<'a>(model: &'a Model, axis: &Axis) -> impl Iterator<Item = &'a EventLine> {
    model
        .events
        .iter()
        .filter(move |event| event.weight == Weight::Story && axis.shows(event.at_us))
}

/// What lies under the lanes: zones, fault bands, guiding lines.
pub(super) fn ground(sheet: &mut Sheet, model: &Model, top: f64, bottom: f64, axis: &Axis) {
    axis.rules(sheet, top, bottom);
    for fault in &model.faults {
        let Some((left, right)) = axis.clipped(fault.span) else {
            continue;
        };
        if right > left {
            sheet.tint(Box2::new(left, top, right, bottom), ORANGE, 0.09);
        }
        sheet.dashes(left, (top, bottom), VERMILLION, 1.2);
        if fault.lasts && fault.span.to_us <= axis.window.to_us {
            sheet.dashes(right, (top, bottom), VERMILLION, 0.8);
        }
    }
}

/// The lanes of all zones.
pub(super) fn zones(sheet: &mut Sheet, model: &Model, axis: &Axis) {
    let drawn = model.drawn(axis.window, ALL_LANES, SOME_LANES);
    let left_out = model.lanes().count() - drawn.len();
    for zone in &model.zones {
        let mut lanes = zone
            .lanes
            .iter()
            .filter(|lane| drawn.contains(&lane.node))
            .peekable();
        if lanes.peek().is_none() {
            continue;
        }
        let top = sheet.y;
        let head = Box2::new(
            MARGIN - 10.0,
            top,
            sheet.width - MARGIN + 10.0,
            top + ZONE_HEAD,
        );
        sheet.fill(head, ZONE);
        let name = format!("zone {}", zone.name.trim_start_matches("zone "));
        let name = font::fitted(&name, 11.5, FontWeight::Bold, LEFT);
        sheet.text(name, (MARGIN, top + 13.5), Type::new(11.5).bold());
        sheet.y += ZONE_HEAD;
        for drawn in lanes {
            lane(sheet, model, drawn, axis);
        }
    }
    if left_out > 0 {
        let words = format!("{left_out} more nodes, to which less happened, are not drawn");
        sheet.text(words, (axis.left, sheet.y + 14.0), Type::new(11.0).soft());
        sheet.y += 22.0;
    }
    sheet.y += 8.0;
}

fn lane(sheet: &mut Sheet, model: &Model, lane: &Lane, axis: &Axis) {
    let middle = sheet.y + LANE / 2.0;
    let name = font::fitted(&lane.name, 13.0, FontWeight::Bold, LEFT - MARGIN - 8.0);
    sheet.text(name, (MARGIN, middle + 1.0), Type::new(13.0).bold());
    let address = font::fitted(&lane.address, 9.5, FontWeight::Regular, LEFT - MARGIN - 8.0);
    sheet.text(address, (MARGIN, middle + 13.0), Type::new(9.5).soft());

    let mut taken = Taken::default();
    let mut labels = Vec::new();
    for role in &lane.roles {
        let Some((left, right)) = axis.clipped(role.span) else {
            continue;
        };
        let half = half_height(role.role);
        let bar = Box2::new(left, middle - half, right, middle + half);
        sheet.fill(bar, role_colour(role.role));
        labels.push((left, right, role_words(model, role.role, role.config_epoch)));
    }
    troubles(sheet, lane, axis, middle);
    state_fail(sheet, lane, axis, middle);

    marks(sheet, model, lane, axis, middle, &mut taken);
    for (left, right, words) in labels {
        let kind = Type::new(10.5).soft();
        let places = [
            ((left + 4.0, middle - MASTER_HALF - 5.0), Anchor::Left),
            ((left + 4.0, middle + MASTER_HALF + 12.0), Anchor::Left),
        ];
        taken.place(sheet, &words, kind, &places, (axis.left, right));
    }
    sheet.y += LANE;
}

const fn half_height(role: Role) -> f64 {
    match role {
        Role::Master => MASTER_HALF,
        Role::EmptyMaster | Role::Replica { .. } => OTHER_HALF,
    }
}

fn role_words(model: &Model, role: Role, config_epoch: u64) -> String {
    let name = |node: NodeNumber| model.header.nodes[usize::from(node)].name.as_str();
    match role {
        Role::Master if config_epoch > 0 => format!("master, epoch {config_epoch}"),
        Role::Master => "master".to_owned(),
        Role::EmptyMaster => "master without slots".to_owned(),
        Role::Replica { of: Some(master) } => format!("replica of {}", name(master)),
        Role::Replica { of: None } => "replica".to_owned(),
    }
}

fn troubles(sheet: &mut Sheet, lane: &Lane, axis: &Axis, middle: f64) {
    let troubles = lane.troubles.iter().map(|trouble| {
        let role = lane.role_at(trouble.span.from_us);
        ((trouble.trouble, role), trouble.span)
    });
    for ((trouble, role), left, right) in axis.joined(troubles) {
        let area = Box2::new(left, middle - MASTER_HALF, right, middle + MASTER_HALF);
        let pale = role_colour(role).lighter(match trouble {
            Trouble::Crashed(_) => 0.92,
            Trouble::Stalled(_) | Trouble::CutOff => 0.62,
            Trouble::PartlyCutOff => 0.35,
        });
        sheet.fill(area, pale);
        sheet.hatch(area, hatch(trouble), INK);
        sheet.outline(area, SOFT_INK, 1.0);
    }
}

/// A red line under the bar while the node says `cluster_state:fail`.
fn state_fail(sheet: &mut Sheet, lane: &Lane, axis: &Axis, middle: f64) {
    for fail in &lane.state_fail {
        if let Some((left, right)) = axis.clipped(*fail) {
            let y = middle + MASTER_HALF;
            sheet.fill(
                Box2::new(left, y - 1.0, right.max(left + 1.5), y + 3.0),
                VERMILLION,
            );
        }
    }
}

/// Marks of what happens at about the same place are one mark, and one label names them all.
fn marks(
    sheet: &mut Sheet,
    model: &Model,
    lane: &Lane,
    axis: &Axis,
    middle: f64,
    taken: &mut Taken,
) {
    let mut groups: Vec<(f64, Vec<&EventLine>)> = Vec::new();
    for event in shown_events(model, axis).filter(|event| event.node == Some(lane.node)) {
        let x = axis.x(event.at_us);
        match groups.last_mut() {
            Some((first, group)) if x - *first < MARK * 2.0 => group.push(event),
            _ => groups.push((x, vec![event])),
        }
    }
    for (x, group) in &groups {
        let Some(first) = group.iter().min_by_key(|event| rank(event.kind)) else {
            continue;
        };
        let (shape, colour) = mark(first.kind);
        sheet.mark((*x, middle), MARK, shape, colour);
    }
    let mut order: Vec<&(f64, Vec<&EventLine>)> = groups.iter().collect();
    order.sort_by_key(|(_, group)| group.iter().map(|event| rank(event.kind)).min());
    for (x, group) in order {
        let words = said(group);
        let important: Vec<&str> = group
            .iter()
            .min_by_key(|event| rank(event.kind))
            .map(|event| event.short.as_str())
            .into_iter()
            .collect();
        let above = middle - MASTER_HALF - 5.0;
        let below = middle + MASTER_HALF + 13.0;
        let places = [
            ((*x - MARK, above), Anchor::Left),
            ((*x - MARK, below), Anchor::Left),
            ((*x + MARK, above), Anchor::Right),
            ((*x + MARK, below), Anchor::Right),
        ];
        let bounds = (axis.left, axis.right);
        let kind = Type::new(10.5);
        // All of it, or at least what matters most, or only the mark.
        for words in [words.join(" · "), important.join(" · ")] {
            if taken.place(sheet, &words, kind, &places, bounds) {
                break;
            }
        }
    }
}

/// The labels of what happened at one place: the three that matter most, in order of time.
fn said<'a>(group: &[&'a EventLine]) -> Vec<&'a str> {
    let mut ranks: Vec<u8> = group.iter().map(|event| rank(event.kind)).collect();
    ranks.sort_unstable();
    ranks.dedup();
    let least = ranks.get(2).or(ranks.last()).copied().unwrap_or(0);
    let mut words: Vec<&str> = Vec::new();
    for event in group.iter().filter(|event| rank(event.kind) <= least) {
        if !words.contains(&event.short.as_str()) {
            words.push(&event.short);
        }
    }
    words
}
