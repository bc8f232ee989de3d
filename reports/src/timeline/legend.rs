//! What colours, hatches and marks mean.

use super::MARGIN;
use crate::drawing::font;
use crate::drawing::sheet;
use crate::drawing::sheet::{Box2, Sheet, Type};
use crate::model::{EventKind, Model, Role, Trouble, Weight};
use crate::theme::{
    Colour, GREEN, Hatch, INK, ORANGE, PURPLE, RULE, SOFT_INK, VERMILLION, hatch, mark, role_colour,
};
use redrill_sim::scenario::{CrashKind, StallKind};

enum Key {
    /// A bar: colour, hatch, and half its height.
    Bar(Colour, Option<Hatch>, f64),
    Mark(EventKind),
}

/// The legend, in as many lines as it needs.
pub(super) fn draw(sheet: &mut Sheet, model: &Model) {
    sheet.y += 6.0;
    let width = sheet.width;
    sheet.line((MARGIN, sheet.y), (width - MARGIN, sheet.y), RULE, 1.0);
    sheet.y += 8.0;
    let master = role_colour(Role::Master);
    let pale = master.lighter(0.62);
    let bars = [
        (Key::Bar(master, None, 8.0), "master"),
        (
            Key::Bar(role_colour(Role::Replica { of: None }), None, 5.0),
            "replica",
        ),
        (
            Key::Bar(pale, trouble(Trouble::Stalled(StallKind::DebugSleep)), 8.0),
            "stands still",
        ),
        (
            Key::Bar(
                master.lighter(0.92),
                trouble(Trouble::Crashed(CrashKind::Kill)),
                8.0,
            ),
            "crashed",
        ),
        (Key::Bar(pale, trouble(Trouble::CutOff), 8.0), "cut off"),
        (Key::Bar(VERMILLION, None, 2.0), "cluster state fail"),
        (Key::Bar(GREEN.lighter(0.62), None, 8.0), "slots served"),
        (
            Key::Bar(ORANGE.lighter(0.45), Some(Hatch::Slanted), 8.0),
            "served only by a node that is cut off",
        ),
        (
            Key::Bar(PURPLE.lighter(0.2), Some(Hatch::Upright), 8.0),
            "two claimants",
        ),
        (Key::Bar(VERMILLION, None, 8.0), "nobody"),
    ];
    let partly = model
        .lanes()
        .flat_map(|lane| &lane.troubles)
        .any(|trouble| trouble.trouble == Trouble::PartlyCutOff);
    let partly_key = Key::Bar(master.lighter(0.35), trouble(Trouble::PartlyCutOff), 8.0);
    let mut bars = bars.into_iter().collect::<Vec<_>>();
    if partly {
        bars.insert(5, (partly_key, "cut off from some hosts"));
    }
    if model.clients.all.iter().any(|bucket| bucket.lost > 0) {
        bars.push((Key::Bar(INK, None, 8.0), "acknowledged and lost"));
    }
    row(sheet, &bars);
    let marks = [
        (EventKind::Pfail, "suspected (PFAIL)"),
        (EventKind::Fail, "FAIL"),
        (EventKind::Scheduled, "election scheduled"),
        (EventKind::Election, "asks for votes"),
        (EventKind::Vote, "votes"),
        (EventKind::Refusal, "refuses its vote"),
        (EventKind::Won, "promoted"),
        (EventKind::Role, "changes role"),
        (EventKind::StateFail, "state fail"),
        (EventKind::StateOk, "state ok, or a node is back"),
        (EventKind::Start, "starts or goes on"),
        (EventKind::Stall, "stalls"),
        (EventKind::Crash, "crashes"),
    ];
    let marks: Vec<(Key, &str)> = marks
        .into_iter()
        .filter(|(kind, _)| happened(model, *kind))
        .map(|(kind, words)| (Key::Mark(kind), words))
        .collect();
    row(sheet, &marks);
}

const fn trouble(trouble: Trouble) -> Option<Hatch> {
    Some(hatch(trouble))
}

fn happened(model: &Model, kind: EventKind) -> bool {
    model
        .events
        .iter()
        .any(|event| event.kind == kind && event.weight == Weight::Story)
}

fn row(sheet: &mut Sheet, keys: &[(Key, &str)]) {
    const LINE: f64 = 24.0;
    let kind = Type::new(11.0).soft();
    let mut x = MARGIN;
    for (key, words) in keys {
        let key_width = match key {
            Key::Bar(..) => 34.0,
            Key::Mark(_) => 12.0,
        };
        let needed = key_width + 7.0 + font::width(words, kind.size, kind.weight) + 20.0;
        if x + needed > sheet.width - MARGIN && x > MARGIN {
            x = MARGIN;
            sheet.y += LINE;
        }
        let middle = sheet.y + 10.0;
        match key {
            Key::Bar(colour, lines, half) => {
                let area = Box2::new(x, middle - half, x + key_width, middle + half);
                sheet.fill(area, *colour);
                if let Some(lines) = lines {
                    sheet.hatch(area, *lines, INK);
                    sheet.outline(area, SOFT_INK, 1.0);
                }
            }
            Key::Mark(event) => {
                let (shape, colour) = mark(*event);
                sheet.mark((x + 6.0, middle), 5.0, shape, colour);
            }
        }
        let at = (x + key_width + 7.0, middle + 4.0);
        sheet.text(*words, at, sheet::Type::new(11.0).soft());
        x += needed;
    }
    sheet.y += LINE;
}
