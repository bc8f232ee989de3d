use std::fmt::Write;

use redrill_sim::scenario::StallKind;
use redrill_sim::trace::{FaultKind, FaultSource, ProcessChange, Record, Touched};
use redrill_sim::weather::WeatherKind;

use super::*;
use crate::sample::{KILL_MS, kill_master, partition_and_stall};

/// A model as text, times in ms from the first fault; client buckets are summed up.
fn told(model: &Model) -> String {
    let mut text = String::new();
    let ms = |at_us| model.relative_ms(at_us);
    let span = |span: Span| format!("{:.1}..{:.1}", ms(span.from_us), ms(span.to_us));
    writeln!(
        text,
        "run {} window {}",
        span(model.run),
        span(model.window)
    )
    .unwrap();
    for (phase, at) in &model.phases {
        writeln!(text, "phase {phase:?} {}", span(*at)).unwrap();
    }
    for fault in &model.faults {
        let FaultBand {
            source,
            words,
            nodes,
            lasts,
            ..
        } = fault;
        writeln!(
            text,
            "fault {} {} {words:?} {nodes:?} lasts {lasts}",
            match source {
                FaultSource::Step(step) => step.to_string(),
                FaultSource::Weather(number) => format!("by the weather ({number})"),
            },
            span(fault.span)
        )
        .unwrap();
    }
    for zone in &model.zones {
        writeln!(text, "zone {}", zone.name).unwrap();
        for lane in &zone.lanes {
            writeln!(text, "  {}", lane.name).unwrap();
            for role in &lane.roles {
                writeln!(
                    text,
                    "    {:?} {} epoch {}",
                    role.role,
                    span(role.span),
                    role.config_epoch
                )
                .unwrap();
            }
            for trouble in &lane.troubles {
                writeln!(text, "    {:?} {}", trouble.trouble, span(trouble.span)).unwrap();
            }
            for fail in &lane.state_fail {
                writeln!(text, "    state fail {}", span(*fail)).unwrap();
            }
        }
    }
    for row in model.slots.rows.iter().chain([&model.slots.all]) {
        writeln!(text, "slots {:?} {}", row.first_owner, row.ranges[0]).unwrap();
        for part in &row.spans {
            let SlotSpan {
                served,
                cut_off,
                nobody,
                contested,
                by,
                ..
            } = part;
            writeln!(text, "    {} served {served} cut off {cut_off} nobody {nobody} contested {contested} by {by:?}", span(part.span)).unwrap();
        }
    }
    let ClientStrip {
        bucket_us,
        ok,
        failed,
        zones,
        ..
    } = &model.clients;
    writeln!(
        text,
        "clients: bucket {bucket_us} us, {ok} ok, {failed} failed, {} zones",
        zones.len()
    )
    .unwrap();
    for event in &model.events {
        let EventLine {
            node,
            about,
            kind,
            weight,
            text: words,
            short,
            note,
            ..
        } = event;
        writeln!(
            text,
            "{:>9.1} {node:?} {about:?} {kind:?} {weight:?} | {words} | {short} | {note:?}",
            ms(event.at_us)
        )
        .unwrap();
    }
    text
}

#[test]
fn a_killed_master_makes_this_picture() {
    insta::assert_snapshot!(told(&Model::of(&kill_master())));
}

#[test]
fn a_cut_off_zone_makes_this_picture() {
    insta::assert_snapshot!(told(&Model::of(&partition_and_stall())));
}

#[test]
fn the_slot_strip_counts_every_slot_at_every_moment() {
    for trace in [kill_master(), partition_and_stall()] {
        let slots = Model::of(&trace).slots;
        for row in slots.rows.iter().chain([&slots.all]) {
            let mut at_us = 0;
            for span in &row.spans {
                assert_eq!(span.span.from_us, at_us, "a hole in the strip");
                at_us = span.span.to_us;
                let counted = span.served + span.cut_off + span.nobody + span.contested;
                assert_eq!(u32::from(counted), row.slot_count());
            }
        }
    }
}

#[test]
fn time_zero_is_the_first_fault_and_the_window_opens_two_seconds_before_it() {
    let model = Model::of(&kill_master());
    let kill_us = (KILL_MS * 1000.0) as u64;
    assert_eq!(model.origin_us, kill_us);
    assert_eq!(model.window.from_us, kill_us - 2_000_000);
    assert!(model.relative_ms(kill_us).abs() < f64::EPSILON);
}

#[test]
fn an_empty_trace_makes_an_empty_picture() {
    let mut trace = kill_master();
    trace.records.clear();
    let model = Model::of(&trace);
    assert_eq!(model.window, model.run);
    assert!(model.events.is_empty());
}

/// The sample, with so many fork pauses of a node within 16 s, the last of which lasts for 3 s.
fn under_weather(count: u32) -> Trace {
    let mut trace = kill_master();
    let mut records = Vec::new();
    let stalled = ProcessChange::Stalled(StallKind::DebugSleep);
    let apart_us = 16_000_000 / u64::from(count);
    for number in 0..count {
        let node = 4;
        let from_us = 3_000_000 + u64::from(number) * apart_us;
        let lasts_us = if number == count - 1 {
            3_000_000
        } else {
            apart_us / 4
        };
        let began = Event::WeatherBegan {
            weather: number,
            kind: WeatherKind::Fork,
            fault: FaultKind::Stall(StallKind::DebugSleep),
            lasts_us,
            touched: Box::new(Touched {
                nodes: [node].into(),
                clients: [].into(),
                words: "r2 stands still: fork".into(),
                cut: [].into(),
            }),
        };
        let process = |change| Event::Process { node, change };
        for (at_us, event) in [
            (from_us, began),
            (from_us, process(stalled)),
            (from_us + lasts_us, process(ProcessChange::Resumed)),
            (from_us + lasts_us, Event::WeatherEnded { weather: number }),
        ] {
            records.push(Record { at_us, event });
        }
    }
    trace.records.extend(records);
    trace.records.sort_by_key(|record| record.at_us);
    trace
}

#[test]
fn what_nobody_notices_of_the_weather_is_folded_into_a_strip() {
    let model = Model::of(&under_weather(200));
    let usual = Model::of(&kill_master());
    let [strip] = &model.weather[..] else {
        panic!("{:?}", model.weather)
    };
    assert_eq!(strip.words(), "199 fork pauses, the longest 20 ms");
    let own: Vec<FaultSource> = model.faults.iter().map(|fault| fault.source).collect();
    assert_eq!(own, [FaultSource::Step(0), FaultSource::Weather(199)]);
    let story = |model: &Model| {
        let told = |event: &&EventLine| event.weight == Weight::Story;
        model.events.iter().filter(told).count()
    };
    assert_eq!(
        story(&model),
        story(&usual) + 4,
        "the long one, its stall, and their ends"
    );
    assert_eq!(
        model.origin_us, usual.origin_us,
        "small weather is not the incident"
    );
}

#[test]
fn a_picture_of_much_weather_stays_small() {
    let options = crate::timeline::Options::default();
    let size = |model: &Model| crate::timeline::svg_of(model, &options).unwrap().len();
    let (stormy, wild) = (under_weather(200), under_weather(8000));
    let (stormy, wild) = (size(&Model::of(&stormy)), size(&Model::of(&wild)));
    assert!(wild < stormy * 2, "{stormy} {wild}");
}
