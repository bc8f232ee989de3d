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
            often(pause.every, scenario, &each(&pause.target, scenario)),
            pause.cause.kind().words(),
            latency_text(pause.lasts),
            what_stands_still(pause.cause),
        ));
    }
    for spell in &weather.spells {
        lines.push(spell_words(spell, scenario));
    }
    for outage in &weather.zone_outages {
        let zones = Selector::Zones(outage.zones.clone());
        let what = match outage.how {
            ZoneOutageKind::Cut => "nothing passes between the zone and all others",
            ZoneOutageKind::PowerOff => "all its hosts lose power",
        };
        lines.push(format!(
            "{}, outage of {}: {what}",
            often(outage.every, scenario, &each(&zones, scenario)),
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
            often(crash.every, scenario, &each(&crash.target, scenario)),
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
        Latency::Exponential { .. } => format!("About every {}", us(mean_us as u64)),
        Latency::Constant { .. } => format!("Every {}", us(mean_us as u64)),
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

fn each(target: &Selector, scenario: &Scenario) -> String {
    let words = words(target, &scenario.cluster.zones);
    match target {
        Selector::Name(_) => format!("on {words}"),
        Selector::Zones(zones) if zones.len() == 1 => format!("in {words}"),
        Selector::Zones(_)
        | Selector::MasterOfSlot(_)
        | Selector::ReplicaOf(_)
        | Selector::MasterOf(_)
        | Selector::Masters
        | Selector::Replicas
        | Selector::All
        | Selector::Clients
        | Selector::One(_)
        | Selector::Union(_)
        | Selector::Minority
        | Selector::Rest => format!("on each of {words}"),
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
