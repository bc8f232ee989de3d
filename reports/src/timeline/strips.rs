//! The strips under the lanes: who served the slots, and how the clients fared.

use super::axis::Axis;
use super::{LEFT, MARGIN};
use crate::drawing::font::{self, Weight};
use crate::drawing::sheet::{Anchor, Box2, Sheet, Type};
use crate::model::{Bucket, Model, SlotRow, SlotSpan};
use crate::text::length;
use crate::theme::{BLUE, GREEN, Hatch, INK, ORANGE, PURPLE, RULE, SKY, VERMILLION, ZONE};

const SLOT_ROW: f64 = 17.0;
/// In a row of more spans than this, those that nobody could see are left out.
const MANY_SPANS: usize = 400;
/// A span that nobody could see is narrower than this.
const NARROWEST: f64 = 0.3;
/// More rows than this are drawn as one.
const MOST_SLOT_ROWS: usize = 12;

/// A row for the slots of each master of the start.
pub(super) fn slots(sheet: &mut Sheet, model: &Model, axis: &Axis) {
    head(
        sheet,
        "slots: who would answer a client",
        &exposure_words(model),
    );
    let rows: Vec<&SlotRow> = if model.slots.rows.len() > MOST_SLOT_ROWS {
        vec![&model.slots.all]
    } else {
        model.slots.rows.iter().collect()
    };
    sheet.y += 5.0;
    for row in rows {
        slot_row(sheet, model, axis, row);
    }
    sheet.y += 6.0;
}

fn head(sheet: &mut Sheet, words: &str, note: &str) {
    let top = sheet.y;
    let area = Box2::new(MARGIN - 10.0, top, sheet.width - MARGIN + 10.0, top + 19.0);
    sheet.fill(area, ZONE);
    sheet.text(words, (MARGIN, top + 13.5), Type::new(11.5).bold());
    let room = sheet.width - 2.0 * MARGIN - font::width(words, 11.5, Weight::Bold) - 20.0;
    let note = font::fitted(note, 11.0, Weight::Regular, room);
    let kind = Type::new(11.0).soft().anchor(Anchor::Right);
    sheet.text(note, (sheet.width - MARGIN, top + 13.5), kind);
    sheet.y += 19.0;
}

/// How long slots were badly off, in the whole run after the first fault.
fn exposure_words(model: &Model) -> String {
    let longest = |bad: &dyn Fn(&SlotSpan) -> bool| {
        let mut longest_us = 0;
        for row in &model.slots.rows {
            let mut since = None;
            for span in row
                .spans
                .iter()
                .filter(|span| span.span.to_us > model.origin_us)
            {
                if bad(span) {
                    let from_us = *since.get_or_insert(span.span.from_us.max(model.origin_us));
                    longest_us = longest_us.max(span.span.to_us - from_us);
                } else {
                    since = None;
                }
            }
        }
        longest_us
    };
    let mut words = Vec::new();
    for (length_us, what) in [
        (longest(&|span| span.nobody > 0), "without a server for"),
        (
            longest(&|span| span.cut_off > 0),
            "served only by a node that is cut off for",
        ),
        (longest(&|span| span.contested > 0), "two claimants for"),
    ] {
        if length_us > 0 {
            words.push(format!("{what} {} at most", length(length_us)));
        }
    }
    words.join(" · ")
}

/// `0-5460`, `0-99, 300-399 …`
pub(crate) fn range_words(row: &SlotRow) -> String {
    let mut words: Vec<String> = row.ranges.iter().take(2).map(ToString::to_string).collect();
    if row.ranges.len() > 2 {
        words.push("…".to_owned());
    }
    words.join(", ")
}

fn slot_row(sheet: &mut Sheet, model: &Model, axis: &Axis, row: &SlotRow) {
    let (top, bottom) = (sheet.y, sheet.y + SLOT_ROW - 3.0);
    let words = font::fitted(
        &range_words(row),
        10.5,
        Weight::Regular,
        LEFT - MARGIN - 12.0,
    );
    sheet.text(words, (MARGIN, bottom - 3.0), Type::new(10.5).soft());
    let total = f64::from(row.slot_count().max(1));
    for span in &row.spans {
        let Some((left, right)) = axis.clipped(span.span) else {
            continue;
        };
        if right - left < NARROWEST && row.spans.len() > MANY_SPANS {
            continue;
        }
        let height = bottom - top;
        let mut y = top;
        for (count, colour, lines) in [
            (span.served, GREEN.lighter(0.62), None),
            (
                span.cut_off,
                ORANGE.lighter(0.45),
                Some((Hatch::Slanted, INK)),
            ),
            (
                span.contested,
                PURPLE.lighter(0.2),
                Some((Hatch::Upright, INK)),
            ),
            (span.nobody, VERMILLION, None),
        ] {
            if count == 0 {
                continue;
            }
            let part = (f64::from(count) / total * height).max(1.0);
            let area = Box2::new(left, y, right, (y + part).min(bottom));
            sheet.fill(area, colour);
            if let Some((lines, colour)) = lines {
                sheet.hatch(area, lines, colour);
            }
            y += part;
        }
        slot_words(sheet, model, span, (left, right), bottom - 3.0);
        sheet.line((left, top), (left, bottom), crate::theme::PAPER, 1.0);
    }
    sheet.y += SLOT_ROW;
}

fn slot_words(
    sheet: &mut Sheet,
    model: &Model,
    span: &SlotSpan,
    (left, right): (f64, f64),
    baseline: f64,
) {
    let words = slot_span_words(model, span);
    let nobody = span.nobody > 0 && span.served + span.cut_off + span.contested == 0;
    let hatched = span.cut_off > 0 || span.contested > 0;
    let kind = Type::new(10.5).bold();
    let kind = if nobody {
        kind.colour(crate::theme::PAPER)
    } else {
        kind
    };
    let width = font::width(&words, kind.size, kind.weight);
    if width + 10.0 > right - left {
        return;
    }
    if hatched {
        let space = kind.space(&words, (left + 5.0, baseline));
        let area = Box2::new(
            space.left - 3.0,
            space.top - 1.0,
            space.right + 3.0,
            space.bottom,
        );
        sheet.fill(area, crate::theme::PAPER);
    }
    sheet.text(words, (left + 5.0, baseline), kind);
}

/// Who served, in a few words.
pub(crate) fn slot_span_words(model: &Model, span: &SlotSpan) -> String {
    let names: Vec<&str> = span
        .by
        .iter()
        .map(|&node| model.header.nodes[usize::from(node)].name.as_str())
        .collect();
    let names = if names.len() > 4 {
        format!("{} nodes", names.len())
    } else {
        names.join(", ")
    };
    let kinds = [span.served, span.cut_off, span.nobody, span.contested];
    if kinds.iter().filter(|&&count| count > 0).count() > 1 {
        let mut parts = Vec::new();
        for (count, word) in [
            (span.nobody, "nobody"),
            (span.contested, "two claimants"),
            (span.cut_off, "cut off"),
        ] {
            if count > 0 {
                parts.push(format!("{word}: {count} slots"));
            }
        }
        return parts.join(", ");
    }
    if span.nobody > 0 {
        "nobody".to_owned()
    } else if span.contested > 0 {
        format!("two claimants: {names}")
    } else if span.cut_off > 0 {
        format!("{names} (cut off)")
    } else {
        names
    }
}

const RATE: f64 = 56.0;
const FAILED: f64 = 34.0;
const LATENCY: f64 = 58.0;

/// Acknowledged operations upwards, failed ones downwards, and the latency of the first.
pub(super) fn clients(sheet: &mut Sheet, model: &Model, axis: &Axis) {
    if model.clients.ok + model.clients.failed == 0 {
        return;
    }
    let lost: u32 = model.clients.all.iter().map(|bucket| bucket.lost).sum();
    let mut words = format!(
        "{} acknowledged, {} failed",
        model.clients.ok, model.clients.failed
    );
    if lost > 0 {
        words.push_str(&format!(", {lost} acknowledged and lost"));
    }
    head(sheet, "clients", &words);
    sheet.y += 6.0;
    rates(sheet, model, axis);
    latencies(sheet, model, axis);
    if model.clients.zones.len() > 1 {
        for (zone, buckets) in &model.clients.zones {
            zone_row(sheet, model, axis, *zone, buckets);
        }
    }
    sheet.y += 6.0;
}

/// Buckets put together so that a bar is wide enough to be seen: first, after the last, sum.
fn bars<'a>(model: &Model, axis: &Axis, buckets: &'a [Bucket]) -> Vec<(f64, f64, &'a [Bucket])> {
    let width_us = model.clients.bucket_us;
    let wide = (axis.right - axis.left) * width_us as f64 / axis.window.length_us().max(1) as f64;
    let together = (5.0 / wide).ceil().max(1.0) as usize;
    buckets
        .chunks(together)
        .enumerate()
        .filter_map(|(index, chunk)| {
            let from_us = (index * together) as u64 * width_us;
            let to_us = from_us + chunk.len() as u64 * width_us;
            let (left, right) = (axis.x(from_us), axis.x(to_us));
            let seen = right > axis.left && left < axis.right;
            seen.then(|| (left.max(axis.left), right.min(axis.right), chunk))
        })
        .collect()
}

fn side_words(sheet: &mut Sheet, words: &str, baseline: f64) {
    let kind = Type::new(10.5).soft().anchor(Anchor::Right);
    let words = font::fitted(words, kind.size, kind.weight, LEFT - MARGIN + 8.0);
    sheet.text(words, (LEFT - 12.0, baseline), kind);
}

fn strip_name(sheet: &mut Sheet, words: &str, baseline: f64) {
    sheet.text(words, (MARGIN, baseline), Type::new(10.5).soft());
}

fn rates(sheet: &mut Sheet, model: &Model, axis: &Axis) {
    let bars = bars(model, axis, &model.clients.all);
    let ok = |chunk: &[Bucket]| chunk.iter().map(|bucket| bucket.ok).sum::<u32>();
    let failed = |chunk: &[Bucket]| {
        chunk
            .iter()
            .map(|bucket| bucket.failed.total())
            .sum::<u32>()
    };
    let most_ok = bars
        .iter()
        .map(|(_, _, chunk)| ok(chunk))
        .max()
        .unwrap_or(0)
        .max(1);
    let most_failed = bars
        .iter()
        .map(|(_, _, chunk)| failed(chunk))
        .max()
        .unwrap_or(0);
    let base = sheet.y + RATE;
    let scale = RATE / f64::from(most_ok);
    let down = if most_failed > 0 {
        scale.min(FAILED / f64::from(most_failed))
    } else {
        scale
    };
    for &(left, right, chunk) in &bars {
        let ok = f64::from(ok(chunk)) * scale;
        let failed = f64::from(failed(chunk)) * down;
        sheet.fill(Box2::new(left, base - ok, right - 0.6, base), GREEN);
        let lost: u32 = chunk.iter().map(|bucket| bucket.lost).sum();
        if lost > 0 {
            let lost = (f64::from(lost) * scale).max(2.5);
            let area = Box2::new(left, base - lost, right - 0.6, base);
            sheet.fill(area, INK);
        }
        if failed > 0.0 {
            let area = Box2::new(left, base + 1.0, right - 0.6, base + 1.0 + failed.max(2.0));
            sheet.fill(area, VERMILLION);
        }
    }
    sheet.line((axis.left, base + 0.5), (axis.right, base + 0.5), INK, 1.0);
    let wide_us =
        bars.first().map_or(1, |(_, _, chunk)| chunk.len() as u64) * model.clients.bucket_us;
    let per_second = f64::from(most_ok) * 1e6 / wide_us as f64;
    side_words(sheet, &rate_words(per_second), base - RATE + 9.0);
    strip_name(sheet, "acknowledged", base - RATE + 9.0);
    sheet.line((LEFT - 8.0, base - RATE), (LEFT, base - RATE), RULE, 1.0);
    if most_failed > 0 {
        strip_name(sheet, "failed", base + 13.0);
        sheet.y = base + FAILED + 8.0;
    } else {
        sheet.y = base + 10.0;
    }
}

/// `188/s`, `40k/s`
fn rate_words(per_second: f64) -> String {
    if per_second >= 9999.5 {
        format!("{:.0}k/s", per_second / 1000.0)
    } else {
        format!("{per_second:.0}/s")
    }
}

/// Medians and 99th percentiles, from 0.1 ms to 10 s, in decades.
fn latencies(sheet: &mut Sheet, model: &Model, axis: &Axis) {
    let top = sheet.y;
    let (low, high) = latency_decades(&model.clients.all);
    let height = LATENCY;
    let y = |latency_us: u64| {
        let share = ((latency_us.max(1) as f64).log10() - low) / (high - low);
        top + height - share.clamp(0.0, 1.0) * height
    };
    let each = ((high - low + 1.0) / 4.0).ceil();
    let mut decade = low;
    while decade <= high + 1e-9 {
        let level = top + height - (decade - low) / (high - low) * height;
        sheet.line((axis.left, level), (axis.right, level), RULE, 1.0);
        if ((decade - low) / each).fract() < 1e-9 {
            side_words(sheet, &latency_words(10_f64.powf(decade)), level + 3.0);
        }
        decade += 1.0;
    }
    for (left, right, chunk) in bars(model, axis, &model.clients.all) {
        let ok: u32 = chunk.iter().map(|bucket| bucket.ok).sum();
        if ok == 0 {
            continue;
        }
        let weighted = chunk
            .iter()
            .map(|bucket| bucket.p50_us * u64::from(bucket.ok))
            .sum::<u64>();
        let p50 = y(weighted / u64::from(ok));
        let p99 = y(chunk.iter().map(|bucket| bucket.p99_us).max().unwrap_or(0));
        sheet.fill(
            Box2::new(left + 0.6, p99, right - 1.2, p50),
            SKY.lighter(0.4),
        );
        sheet.fill(Box2::new(left, p50 - 1.2, right, p50 + 1.2), BLUE);
    }
    strip_name(sheet, "latency", top + 9.0);
    strip_name(sheet, "median, 99 %", top + 22.0);
    sheet.y += height + 12.0;
}

/// The decades of microseconds, as exponents, that hold the medians and the 99th percentiles.
fn latency_decades(buckets: &[Bucket]) -> (f64, f64) {
    let seen = || buckets.iter().filter(|bucket| bucket.ok > 0);
    let low = seen()
        .map(|bucket| bucket.p50_us)
        .min()
        .unwrap_or(100)
        .max(1);
    let high = seen()
        .map(|bucket| bucket.p99_us)
        .max()
        .unwrap_or(100_000)
        .max(10);
    let low = (low as f64).log10().floor();
    (low, (high as f64).log10().ceil().max(low + 1.0))
}

fn latency_words(latency_us: f64) -> String {
    if latency_us < 999.0 {
        format!("{latency_us:.0} µs")
    } else if latency_us < 999_999.0 {
        format!("{:.0} ms", latency_us / 1e3)
    } else {
        format!("{:.0} s", latency_us / 1e6)
    }
}

/// How the clients of one zone fared: full height where all went well.
fn zone_row(sheet: &mut Sheet, model: &Model, axis: &Axis, zone: usize, buckets: &[Bucket]) {
    let (top, bottom) = (sheet.y, sheet.y + 11.0);
    let words = client_zone_words(model, zone);
    let words = font::fitted(&words, 10.5, Weight::Regular, LEFT - MARGIN);
    sheet.text(words, (MARGIN, bottom - 1.0), Type::new(10.5).soft());
    for (left, right, chunk) in bars(model, axis, buckets) {
        let ok: u32 = chunk.iter().map(|bucket| bucket.ok).sum();
        let failed: u32 = chunk.iter().map(|bucket| bucket.failed.total()).sum();
        if ok + failed == 0 {
            continue;
        }
        // Failures hang from the top, so that they differ by place and not by colour alone.
        let share = f64::from(failed) / f64::from(ok + failed);
        let edge = top + share * (bottom - top);
        sheet.fill(Box2::new(left, top, right, edge), VERMILLION);
        sheet.fill(Box2::new(left, edge, right, bottom), GREEN.lighter(0.55));
    }
    sheet.y += 15.0;
}

/// `zone a: c1, c2`, `zone a: 12 clients`
pub(crate) fn client_zone_words(model: &Model, zone: usize) -> String {
    let name = model.header.zones.get(zone).map_or("?", String::as_str);
    let names: Vec<&str> = model
        .header
        .clients
        .iter()
        .filter(|client| client.zone == zone)
        .map(|client| client.name.as_str())
        .collect();
    let who = if names.len() > 2 {
        format!("{} clients", names.len())
    } else {
        names.join(", ")
    };
    format!("zone {}: {who}", name.trim_start_matches("zone "))
}
