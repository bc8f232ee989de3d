//! The weather in words.

use std::fmt::Write;

use redrill_sim::scenario::{CrashKind, Latency, Scenario, Selector};
use redrill_sim::weather::{PauseCause, Spell, SpellLinks, Weather, ZoneOutageKind};

use super::super::selector::words;
use super::super::units::number_text;
use super::{latency_text, plural, us};

/// What happens by itself, one line each.
pub(super) fn weather(scenario: &Scenario) -> String {
    let weather = &scenario.weather;
    let mut lines: Vec<String> = Vec::new();
    for pause in &weather.pauses {
        lines.push(format!(
            "{}, {} of {}: {}",
            often(pause.every, scenario, &on_each(&pause.target, scenario)),
            with_article(pause.cause),
            latency_text(pause.lasts),
            what_stands_still(pause.cause),
        ));
    }
    for spell in &weather.spells {
        lines.push(spell_words(spell, scenario));
    }
    for outage in &weather.zone_outages {
        let names = outage
            .zones
            .iter()
            .filter_map(|zone| scenario.cluster.zones.get(*zone));
        let names: Vec<&str> = names.map(String::as_str).collect();
        let whose = match &names[..] {
            [zone] => format!("in zone {zone}"),
            zones => format!("in each of the zones {}", zones.join(", ")),
        };
        let what = match outage.how {
            ZoneOutageKind::Cut => "nothing passes between the zone and all others",
            ZoneOutageKind::PowerOff => "all its hosts lose power",
        };
        lines.push(format!(
            "{}, an outage of {}: {what}",
            often(outage.every, scenario, &whose),
            latency_text(outage.lasts),
        ));
    }
    for crash in &weather.crashes {
        let what = match crash.how {
            CrashKind::Kill => "the process is killed",
            CrashKind::PowerOff => "the host loses power",
            CrashKind::Shutdown => "the process shuts down",
        };
        lines.push(format!(
            "{}, {what}, and starts again after {}",
            often(crash.every, scenario, &on_each(&crash.target, scenario)),
            latency_text(crash.restart_after),
        ));
    }
    recorded(weather, &mut lines);
    let mut text = String::new();
    for line in lines {
        let _ = writeln!(text, "  {line}.");
    }
    let _ = writeln!(
        text,
        "  The same for every configuration of the nodes; drawn per seed, except what is recorded."
    );
    text
}

fn spell_words(spell: &Spell, scenario: &Scenario) -> String {
    let zones = &scenario.cluster.zones;
    let whose = match &spell.links {
        SpellLinks::OfEach(target) => format!("on all links of {}", each(target, scenario)),
        SpellLinks::Between(one, other) => {
            format!("between {} and {}", words(one, zones), words(other, zones))
        }
        SpellLinks::OneWay(from, to) => {
            format!("from {} to {}", words(from, zones), words(to, zones))
        }
    };
    let mut effects = Vec::new();
    if spell.loss > 0.0 {
        effects.push(format!(
            "{} % of the segments are lost",
            number_text(spell.loss * 100.0)
        ));
    }
    if let Some(delay) = spell.delay {
        effects.push(format!("{} is added to the latency", latency_text(delay)));
    }
    format!(
        "{}, for {}: {}",
        often(spell.every, scenario, &whose),
        latency_text(spell.lasts),
        effects.join(" and ")
    )
}

fn recorded(weather: &Weather, lines: &mut Vec<String>) {
    let pauses = &weather.recorded_pauses;
    if let Some(last) = pauses.last() {
        lines.push(format!(
            "As recorded: {}, the last after {}",
            plural(pauses.len(), "pause"),
            us(last.at_us),
        ));
    }
    let links = &weather.recorded_links;
    if let Some(last) = links.last() {
        lines.push(format!(
            "As recorded: {}, the last after {}, in place of the latencies above",
            plural(links.len(), "round-trip time"),
            us(last.at_us),
        ));
    }
}

/// How often, where, and how many times on average in this drill.
fn often(every: Latency, scenario: &Scenario, whose: &str) -> String {
    let mean_us = every.mean_us();
    let rhythm = match every {
        Latency::Exponential { .. } => format!("About every {}", long(mean_us)),
        Latency::Constant { .. } => format!("Every {}", long(mean_us)),
        Latency::Uniform { .. }
        | Latency::Normal { .. }
        | Latency::Lognormal { .. }
        | Latency::Pareto { .. } => format!("Every {}", latency_text(every)),
    };
    let times = scenario.duration_us as f64 / mean_us;
    let times = match times {
        10.0.. => format!("{times:.0}"),
        0.1.. => format!("{times:.1}"),
        _ => "less than 0.1".to_owned(),
    };
    format!("{rhythm} {whose} ({times} times in this drill)")
}

fn on_each(target: &Selector, scenario: &Scenario) -> String {
    format!("on {}", each(target, scenario))
}

/// Each of a set.
fn each(target: &Selector, scenario: &Scenario) -> String {
    let zones = &scenario.cluster.zones;
    match target {
        Selector::Name(name) => name.clone(),
        Selector::All => "each node".to_owned(),
        Selector::Masters => "each master".to_owned(),
        Selector::Replicas => "each replica".to_owned(),
        Selector::Clients => "each client".to_owned(),
        Selector::Zones(_) => format!("each node of {}", words(target, zones)),
        Selector::MasterOfSlot(_) | Selector::MasterOf(_) | Selector::ReplicaOf(_) => {
            words(target, zones)
        }
        Selector::Union(parts) => {
            let parts: Vec<String> = parts.iter().map(|part| each(part, scenario)).collect();
            parts.join(" and ")
        }
        Selector::One(_) | Selector::Minority | Selector::Rest => words(target, zones),
    }
}

/// A time that may be long.
fn long(time_us: f64) -> String {
    const HOUR_US: f64 = 3600e6;
    if time_us >= 2.0 * HOUR_US {
        format!(
            "{} h",
            number_text((time_us / HOUR_US * 10.0).round() / 10.0)
        )
    } else {
        us(time_us as u64)
    }
}

const fn with_article(cause: PauseCause) -> &'static str {
    match cause {
        PauseCause::Fork => "a fork pause",
        PauseCause::SlowCommand => "a slow command",
        PauseCause::VmSteal => "a VM steal",
        PauseCause::Swap => "a swap pause",
        PauseCause::AofFsync => "an AOF fsync pause",
    }
}

const fn what_stands_still(cause: PauseCause) -> &'static str {
    match cause {
        PauseCause::Fork | PauseCause::SlowCommand => {
            "the event loop stands still in the middle of a turn, as in DEBUG SLEEP"
        }
        PauseCause::VmSteal | PauseCause::Swap => {
            "the process stops wherever it is, as with SIGSTOP"
        }
        PauseCause::AofFsync => {
            "whatever is to be synced waits, and writes with it as appendfsync says"
        }
    }
}
