//! A drill in words: what `redrill check` says a run will do.

mod weather;

use std::fmt::Write;

use redrill_node::Quirk;
use redrill_sim::scenario::{
    CrashKind, Formation, Keys, Latency, Measure, Scenario, Selector, StallKind, Step, StepAction,
    StepExpectation, Trigger,
};

use super::advice;
use super::selector::words;
use super::units::{duration_text, number_text};

/// The drill in words, a few lines.
pub(crate) fn describe(scenario: &Scenario) -> String {
    let mut text = String::new();
    let _ = writeln!(text, "{}", scenario.name);
    if let Some(question) = &scenario.question {
        let _ = writeln!(text, "  {question}");
    }
    let _ = writeln!(text, "\nThe cluster\n{}", cluster(scenario));
    let _ = writeln!(text, "The load\n{}", load(scenario));
    if !scenario.weather.is_calm() {
        let _ = writeln!(text, "The weather\n{}", weather::weather(scenario));
    }
    let _ = writeln!(text, "The script, over {}", us(scenario.duration_us));
    if scenario.steps.is_empty() {
        let _ = writeln!(text, "  Nothing is broken.");
    }
    for (place, step) in scenario.steps.iter().enumerate() {
        let _ = writeln!(
            text,
            "  {}. {}",
            place + 1,
            step_words(step, &scenario.cluster.zones)
        );
    }
    let _ = writeln!(
        text,
        "  Then everything is healed; all views must agree within {}, and every key is read back.",
        us(scenario.converge_within_us)
    );
    let _ = writeln!(text, "\nExpected\n{}", expected(scenario));
    text
}

fn cluster(scenario: &Scenario) -> String {
    let mut text = String::new();
    let cluster = &scenario.cluster;
    let formed = match cluster.formation {
        Formation::Formed => "already formed",
        Formation::Meet => "joined by CLUSTER MEET",
    };
    let masters = cluster
        .nodes
        .iter()
        .filter(|node| node.replica_of.is_none())
        .count();
    let timeout_ms = scenario.config.cluster_node_timeout_ms;
    let _ = writeln!(
        text,
        "  {}, {}, {formed}; {}, cluster-node-timeout {timeout_ms}",
        plural(masters, "master"),
        plural(cluster.nodes.len() - masters, "replica"),
        scenario.engine.name(),
    );
    let quirks = Quirk::ALL
        .iter()
        .filter(|quirk| scenario.engine.has(**quirk));
    let quirks: Vec<&str> = quirks.map(|quirk| quirk.name()).collect();
    if !quirks.is_empty() {
        let _ = writeln!(text, "  unlike redis-7.0: {}", quirks.join(", "));
    }
    for missing in scenario.engine.not_modelled() {
        let _ = writeln!(text, "  not as in {}: {missing}", scenario.engine.name());
    }
    for (index, zone) in cluster.zones.iter().enumerate() {
        let nodes = cluster.nodes.iter().filter(|node| node.zone == index);
        let nodes: Vec<String> = nodes
            .map(
                |node| match node.replica_of.and_then(|place| cluster.nodes.get(place)) {
                    Some(master) => format!("{} (of {})", node.name, master.name),
                    None => node.name.clone(),
                },
            )
            .collect();
        let _ = writeln!(text, "  zone {zone}: {}", or_nobody(&nodes));
    }
    let within = latency_text(scenario.network.within_zone);
    let _ = match cluster.zones.len() {
        1 => writeln!(text, "  latency {within} one way"),
        _ => writeln!(
            text,
            "  latency {within} one way within a zone, {} between zones",
            latency_text(scenario.network.between_zones)
        ),
    };
    text
}

fn load(scenario: &Scenario) -> String {
    let workload = &scenario.workload;
    let rate: f64 = workload
        .clients
        .iter()
        .map(|client| client.rate_per_s)
        .sum();
    if workload.clients.is_empty() {
        return "  No clients.\n".to_owned();
    }
    let keys = match workload.keys {
        Keys::Unique => "a new key each".to_owned(),
        Keys::Uniform { count } => format!("{count} keys evenly"),
        Keys::Zipf { count, exponent } => format!("{count} keys by Zipf's law ({exponent})"),
    };
    format!(
        "  {} do {} operations per second, {} % of them writes, over {keys}.\n",
        plural(workload.clients.len(), "client"),
        number_text(rate),
        number_text(workload.writes * 100.0),
    )
}

/// A step in words.
pub(crate) fn step_words(step: &Step, zones: &[String]) -> String {
    let mut text = match &step.trigger {
        Trigger::At { at_us, jitter_us } => {
            let mut text = format!("At {}", us(*at_us));
            if *jitter_us > 0 {
                let _ = write!(text, " to {}", us(at_us + jitter_us));
            }
            text
        }
        Trigger::After {
            text,
            nth,
            delay_us,
        } => {
            let mut words = match delay_us {
                0 => format!("Right after a node logs \"{text}\""),
                delay => format!("{} after a node logs \"{text}\"", us(*delay)),
            };
            if *nth > 1 {
                let _ = write!(words, " (time {nth})");
            }
            words
        }
    };
    text.push_str(": ");
    text.push_str(&action_words(&step.action, zones));
    if let Some(lasts_us) = step.lasts_us {
        let _ = write!(text, ", for {}", us(lasts_us));
    }
    text.push('.');
    match step.expectation {
        Some(StepExpectation::Failover) => text.push_str(" A replica must be promoted."),
        Some(StepExpectation::NoFailover) => text.push_str(" Nobody may be promoted."),
        None => {}
    }
    text
}

/// What a step does, as an order.
fn action_words(action: &StepAction, zones: &[String]) -> String {
    let of = |selector: &Selector| words(selector, zones);
    let list = |selectors: &[Selector]| {
        let selectors: Vec<String> = selectors.iter().map(of).collect();
        selectors.join(", ")
    };
    match action {
        StepAction::Partition { groups } => {
            let groups: Vec<String> = groups.iter().map(|group| list(group)).collect();
            format!("part {}", groups.join(" from "))
        }
        StepAction::Isolate { targets } => format!("cut {} off from everyone else", list(targets)),
        StepAction::Block { from, to } => {
            format!("let nothing pass from {} to {}", of(from), of(to))
        }
        StepAction::Stall { target, how } => match how {
            StallKind::DebugSleep => format!("put {} to sleep (DEBUG SLEEP)", of(target)),
            StallKind::Sigstop => format!("stop {} (SIGSTOP)", of(target)),
        },
        StepAction::Crash {
            target,
            how,
            restart_after_us,
        } => {
            let mut text = match how {
                CrashKind::Kill => format!("kill {}", of(target)),
                CrashKind::PowerOff => {
                    format!(
                        "cut the power of {}, which loses what was not synced",
                        of(target)
                    )
                }
                CrashKind::Shutdown => format!("shut {} down", of(target)),
            };
            if let Some(after) = restart_after_us {
                let _ = write!(text, ", and start it again after {}", us(*after));
            }
            text
        }
        StepAction::Restart { target } => format!("start {} again", of(target)),
        StepAction::Degrade {
            from,
            to,
            both_ways,
            loss,
            delay_us,
        } => {
            let mut effects = Vec::new();
            if *loss > 0.0 {
                effects.push(format!(
                    "lose {} % of the segments",
                    number_text(loss * 100.0)
                ));
            }
            if *delay_us > 0 {
                effects.push(format!("add {} of latency", us(*delay_us)));
            }
            let effects = effects.join(" and ");
            match both_ways {
                true => format!("{effects} between {} and {}", of(from), of(to)),
                false => format!("{effects} from {} to {}", of(from), of(to)),
            }
        }
        StepAction::Clock { target, jump_ms } => {
            let way = if *jump_ms < 0 { "back" } else { "ahead" };
            let jump = us(jump_ms.unsigned_abs() * 1000);
            format!("set the wall clock of {} {way} by {jump}", of(target))
        }
        StepAction::SlowDisk { target, fsync } => {
            format!(
                "let every fsync of {} take {}",
                of(target),
                latency_text(*fsync)
            )
        }
        StepAction::Run { command, on } => format!("send {command} to {}", of(on)),
        StepAction::MoveSlots { slots, from, to } => {
            let slots = slots.iter().map(|range| match range.first == range.last {
                true => range.first.to_string(),
                false => format!("{}-{}", range.first, range.last),
            });
            let slots: Vec<String> = slots.collect();
            format!(
                "move slots {} with their keys from {} to {}",
                slots.join(", "),
                of(from),
                of(to)
            )
        }
        StepAction::Load { factor } if *factor == 0.0 => "stop the load".to_owned(),
        StepAction::Load { factor } => format!("multiply the load by {}", number_text(*factor)),
    }
}

fn expected(scenario: &Scenario) -> String {
    let mut text = String::new();
    for expectation in &scenario.expectations {
        let _ = writeln!(text, "  {}", expectation.text);
    }
    if scenario.expectations.is_empty() {
        let _ = writeln!(text, "  Nothing beyond the invariants, which always hold.");
    }
    let timeout_ms = scenario.config.cluster_node_timeout_ms as f64;
    if let Some(floor) = advice::floor(Measure::FailoverTime, timeout_ms) {
        let _ = writeln!(
            text,
            "  (A failover takes {} to {} by the protocol alone, and up to 2 s more to agree on it.)",
            us((floor.quickest_ms * 1000.0) as u64),
            us((floor.ordinary_ms * 1000.0) as u64),
        );
    }
    text
}

fn latency_text(latency: Latency) -> String {
    match latency {
        Latency::Constant { value_us } => duration_text(value_us),
        Latency::Uniform { low_us, high_us } => {
            format!("{} to {}", duration_text(low_us), duration_text(high_us))
        }
        Latency::Normal {
            mean_us,
            deviation_us,
        } => format!(
            "{} ± {}",
            duration_text(mean_us),
            duration_text(deviation_us)
        ),
        Latency::Lognormal { p50_us, p99_us } | Latency::Pareto { p50_us, p99_us } => {
            format!("{} (p99 {})", duration_text(p50_us), duration_text(p99_us))
        }
        Latency::Exponential { mean_us } => format!("about {}", duration_text(mean_us)),
    }
}

fn us(us: u64) -> String {
    duration_text(us as f64)
}

fn plural(count: usize, noun: &str) -> String {
    match count {
        1 => format!("1 {noun}"),
        _ => format!("{count} {noun}s"),
    }
}

/// Of more names than these a line tells how many there are.
const MOST_NAMED: usize = 30;

fn or_nobody(names: &[String]) -> String {
    match names {
        [] => "nobody".to_owned(),
        [first, second, third, .., last] if names.len() > MOST_NAMED => {
            let count = names.len();
            format!("{count} nodes: {first}, {second}, {third} … {last}")
        }
        names => names.join(", "),
    }
}
