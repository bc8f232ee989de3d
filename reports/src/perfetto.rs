//! The run as a trace file that Perfetto and Chrome's tracing page open: a process a zone, a
//! thread a node, slices for roles, troubles and `cluster_state:fail`, instants for events,
//! counters for clients.

use std::collections::BTreeMap;

use redrill_sim::trace::{NodeNumber, Trace};
use serde_json::{Value, json};

use crate::model::{Lane, Model, Role, Span, Trouble};

/// The process that holds what concerns the run as a whole.
const RUN: usize = 0;

/// The run in the trace event format (JSON). Times are microseconds since the run began.
#[must_use]
pub fn json(trace: &Trace) -> String {
    json_of(&Model::of(trace))
}

/// The same of a picture that was made before.
#[must_use]
pub fn json_of(model: &Model) -> String {
    let mut events: Vec<Value> = vec![named("process_name", RUN, 0, "the run")];
    for (index, zone) in model.zones.iter().enumerate() {
        let process = index + 1;
        let name = format!("zone {}", zone.name.trim_start_matches("zone "));
        events.push(named("process_name", process, 0, &name));
        for lane in &zone.lanes {
            let thread = usize::from(lane.node) + 1;
            events.push(named("thread_name", process, thread, &lane.name));
            slices(&mut events, model, process, lane);
        }
    }
    for fault in &model.faults {
        events.push(slice(RUN, 1, &fault.words, "fault", fault.span));
    }
    for failover in &model.failovers {
        for (part, span) in failover.parts() {
            events.push(slice(RUN, 2, part.name(), "failover", span));
        }
    }
    instants(&mut events, model);
    counters(&mut events, model);
    json!({ "displayTimeUnit": "ms", "traceEvents": events }).to_string()
}

fn named(what: &str, process: usize, thread: usize, name: &str) -> Value {
    json!({ "ph": "M", "name": what, "pid": process, "tid": thread, "args": { "name": name } })
}

fn slice(process: usize, thread: usize, name: &str, category: &str, span: Span) -> Value {
    json!({
        "ph": "X", "name": name, "cat": category, "pid": process, "tid": thread,
        "ts": span.from_us, "dur": span.length_us(),
    })
}

fn slices(events: &mut Vec<Value>, model: &Model, process: usize, lane: &Lane) {
    let thread = usize::from(lane.node) + 1;
    let name = |node: NodeNumber| model.header.nodes[usize::from(node)].name.as_str();
    for role in &lane.roles {
        let words = match role.role {
            Role::Master => format!("master, epoch {}", role.config_epoch),
            Role::EmptyMaster => "master without slots".to_owned(),
            Role::Replica { of: Some(master) } => format!("replica of {}", name(master)),
            Role::Replica { of: None } => "replica".to_owned(),
        };
        events.push(slice(process, thread, &words, "role", role.span));
    }
    for trouble in &lane.troubles {
        let words = match trouble.trouble {
            Trouble::Stalled(_) => "stalled",
            Trouble::Crashed(_) => "crashed",
            Trouble::CutOff => "cut off",
            Trouble::PartlyCutOff => "partly cut off",
        };
        events.push(slice(process, thread, words, "trouble", trouble.span));
    }
    for &fail in &lane.state_fail {
        events.push(slice(process, thread, "cluster_state:fail", "state", fail));
    }
}

fn instants(events: &mut Vec<Value>, model: &Model) {
    let zones: BTreeMap<NodeNumber, usize> = model
        .zones
        .iter()
        .enumerate()
        .flat_map(|(zone, of)| of.lanes.iter().map(move |lane| (lane.node, zone)))
        .collect();
    for event in &model.events {
        let place = event.node.and_then(|node| {
            let zone = zones.get(&node)?;
            Some((zone + 1, usize::from(node) + 1))
        });
        let (process, thread) = place.unwrap_or((RUN, 0));
        events.push(json!({
            "ph": "i", "s": "t", "name": event.text, "cat": event.kind.words(),
            "pid": process, "tid": thread, "ts": event.at_us,
            "args": { "why": event.note },
        }));
    }
}

fn counters(events: &mut Vec<Value>, model: &Model) {
    let mut before = None;
    for (index, bucket) in model.clients.all.iter().enumerate() {
        let now = (bucket.ok, bucket.failed.total());
        if before == Some(now) {
            continue;
        }
        before = Some(now);
        events.push(json!({
            "ph": "C", "name": "operations", "pid": RUN, "tid": 0,
            "ts": index as u64 * model.clients.bucket_us,
            "args": { "acknowledged": now.0, "failed": now.1 },
        }));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sample::kill_master;

    fn events() -> Vec<Value> {
        let file: Value = serde_json::from_str(&json(&kill_master())).unwrap();
        file["traceEvents"].as_array().unwrap().clone()
    }

    #[test]
    fn every_node_is_a_thread_of_its_zone() {
        let names: Vec<(u64, String)> = events()
            .iter()
            .filter(|event| event["name"] == "thread_name")
            .map(|event| {
                let name = event["args"]["name"].as_str().unwrap().to_owned();
                (event["pid"].as_u64().unwrap(), name)
            })
            .collect();
        let expected = [
            (1, "m1"),
            (1, "r3"),
            (2, "m2"),
            (2, "r1"),
            (3, "m3"),
            (3, "r2"),
        ];
        assert_eq!(names, expected.map(|(zone, name)| (zone, name.to_owned())));
    }

    #[test]
    fn a_promotion_ends_the_slice_of_the_replica_and_begins_that_of_the_master() {
        let r2: Vec<(String, u64, u64)> = events()
            .iter()
            .filter(|event| event["ph"] == "X" && event["cat"] == "role" && event["tid"] == 5)
            .map(|event| {
                let number = |key: &str| event[key].as_u64().unwrap();
                (
                    event["name"].as_str().unwrap().to_owned(),
                    number("ts"),
                    number("dur"),
                )
            })
            .collect();
        assert_eq!(
            r2,
            [
                ("replica of m2".to_owned(), 0, 15_520_000),
                ("master, epoch 7".to_owned(), 15_520_000, 11_480_000),
            ]
        );
    }
}
