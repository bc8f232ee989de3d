//! Steps in words, for the event log and reports.

use redrill_node::SlotRange;

use super::Director;
use crate::scenario::{CrashKind, Latency, Scenario, Selector, StallKind, StepAction};
use crate::select::Selection;
use crate::trace::NodeNumber;
use crate::weather::{LinkEnd, PauseCause, RecordedLink, SpellLinks};

/// Names that are listed before the rest is only counted.
const LISTED: usize = 8;

/// What a step does to whom, such as `m1 (127.0.0.1:7000) stalls: DEBUG SLEEP 30`.
pub(super) fn of_step(
    action: &StepAction,
    touched: &Selection,
    director: &Director<'_>,
    lasts_us: Option<u64>,
) -> String {
    let scenario = director.scenario;
    let whom = names(touched, director);
    match action {
        StepAction::Partition { groups } => {
            let groups: Vec<String> = groups.iter().map(|group| list(group, scenario)).collect();
            format!("partition: {} [{whom}]", groups.join(" | "))
        }
        StepAction::Isolate { .. } => format!("cut off from all others: {whom}"),
        StepAction::Block { from, to } => {
            format!(
                "nothing passes from {} to {}",
                of_selector(from, scenario),
                of_selector(to, scenario)
            )
        }
        StepAction::Stall {
            how: StallKind::DebugSleep,
            ..
        } => {
            let seconds = lasts_us.map(seconds).unwrap_or_default();
            format!("{whom} stalls: DEBUG SLEEP {seconds}")
                .trim_end()
                .to_owned()
        }
        StepAction::Stall {
            how: StallKind::Sigstop,
            ..
        } => format!("{whom} stalls: SIGSTOP"),
        StepAction::Crash { how, .. } => match how {
            CrashKind::Kill => format!("{whom} is killed"),
            CrashKind::PowerOff => format!("{whom} loses power"),
            CrashKind::Shutdown => format!("{whom} shuts down"),
        },
        StepAction::Restart { .. } => format!("{whom} starts again"),
        StepAction::Degrade {
            from,
            to,
            both_ways,
            loss,
            delay_us,
        } => {
            let way = if *both_ways { "between" } else { "from" };
            let and = if *both_ways { "and" } else { "to" };
            let (from, to) = (of_selector(from, scenario), of_selector(to, scenario));
            let bad = of_degradation(*loss, *delay_us);
            format!("links {way} {from} {and} {to}: {bad}")
        }
        StepAction::Clock { jump_ms, .. } => {
            format!("the wall clock of {whom} jumps by {jump_ms:+} ms")
        }
        StepAction::SlowDisk { fsync, .. } => {
            format!(
                "the disk of {whom} becomes slow: fsync takes {}",
                of_latency(*fsync)
            )
        }
        StepAction::Run { command, .. } => format!("{whom}: {command}"),
        StepAction::MoveSlots { slots, from, to } => {
            let (from, to) = (of_selector(from, scenario), of_selector(to, scenario));
            format!("slots {} move from {from} to {to}", ranges(slots))
        }
        StepAction::Load { factor } => format!("load x {factor}"),
    }
}

/// Slots in words, such as `0-99 and 200`.
fn ranges(slots: &[SlotRange]) -> String {
    let slots = slots.iter().map(|range| match range.first == range.last {
        true => range.first.to_string(),
        false => format!("{}-{}", range.first, range.last),
    });
    slots.collect::<Vec<_>>().join(" and ")
}

/// A selector in the words of the drill language.
pub(super) fn of_selector(selector: &Selector, scenario: &Scenario) -> String {
    match selector {
        Selector::Name(name) => name.clone(),
        Selector::Zones(zones) => {
            let zones: Vec<&str> = zones
                .iter()
                .map(|zone| {
                    scenario
                        .cluster
                        .zones
                        .get(*zone)
                        .map_or("?", String::as_str)
                })
                .collect();
            format!("zone {}", zones.join(", "))
        }
        Selector::MasterOfSlot(slot) => format!("master of slot {slot}"),
        Selector::ReplicaOf(masters) => format!("replica of {}", of_selector(masters, scenario)),
        Selector::MasterOf(replicas) => format!("master of {}", of_selector(replicas, scenario)),
        Selector::Masters => "masters".to_owned(),
        Selector::Replicas => "replicas".to_owned(),
        Selector::All => "all nodes".to_owned(),
        Selector::Clients => "clients".to_owned(),
        Selector::One(some) => format!("one of {}", of_selector(some, scenario)),
        Selector::Union(selectors) => list(selectors, scenario),
        Selector::Minority => "a minority".to_owned(),
        Selector::Rest => "the rest".to_owned(),
    }
}

/// A pause in words, such as `m1 (127.0.0.1:7000) stands still for 80 ms: fork`.
pub(super) fn of_pause(
    cause: PauseCause,
    node: NodeNumber,
    lasts_us: u64,
    director: &Director<'_>,
) -> String {
    let whom = address(node, director);
    let time = duration(lasts_us);
    match cause {
        PauseCause::Fork => format!("{whom} stands still for {time}: fork"),
        PauseCause::SlowCommand => format!("{whom} stands still for {time}: slow command"),
        PauseCause::VmSteal => format!("{whom} is stopped for {time}: VM steal"),
        PauseCause::Swap => format!("{whom} is stopped for {time}: swap"),
        PauseCause::AofFsync => format!("the disk of {whom} is held up for {time}: AOF fsync"),
    }
}

/// A crash by the weather in words.
pub(super) fn of_crash(
    how: CrashKind,
    touched: &Selection,
    lasts_us: u64,
    director: &Director<'_>,
) -> String {
    let (whom, time) = (names(touched, director), duration(lasts_us));
    match how {
        CrashKind::Kill => format!("{whom} is killed, back in {time}"),
        CrashKind::PowerOff => format!("{whom} loses power for {time}"),
        CrashKind::Shutdown => format!("{whom} shuts down, back in {time}"),
    }
}

/// The links of a spell in words.
pub(super) fn of_links(
    links: &SpellLinks,
    node: Option<NodeNumber>,
    director: &Director<'_>,
) -> String {
    let of = |selector| of_selector(selector, director.scenario);
    match (links, node) {
        (SpellLinks::OfEach(_), Some(node)) => format!("links of {}", address(node, director)),
        (SpellLinks::OfEach(target), None) => format!("links of {}", of(target)),
        (SpellLinks::Between(one, other), _) => {
            format!("links between {} and {}", of(one), of(other))
        }
        (SpellLinks::OneWay(from, to), _) => format!("links from {} to {}", of(from), of(to)),
    }
}

/// A recorded link that is bad, in words.
pub(super) fn of_recorded_link(link: &RecordedLink, director: &Director<'_>) -> String {
    let scenario = director.scenario;
    let end = |end: LinkEnd| match end {
        LinkEnd::Zone(zone) => of_selector(&Selector::Zones(vec![zone.into()]), scenario),
        LinkEnd::Host(host) if host < director.hosts.nodes => address(host, director),
        LinkEnd::Host(host) => {
            let client = usize::from(host - director.hosts.nodes);
            let client = scenario.workload.clients.get(client);
            client.map_or_else(|| "?".to_owned(), |client| client.name.clone())
        }
    };
    let bad = of_degradation(link.loss, link.latency_us());
    format!(
        "links between {} and {} as recorded: {bad}",
        end(link.ends.0),
        end(link.ends.1)
    )
}

/// How bad links are, in words.
pub(super) fn of_degradation(loss: f64, delay_us: u64) -> String {
    let (loss, delay_ms) = (loss * 100.0, delay_us as f64 / 1e3);
    format!("{loss} % loss, +{delay_ms} ms")
}

/// A length of time.
pub(super) fn duration(time_us: u64) -> String {
    match time_us {
        0..1_000 => format!("{time_us} us"),
        1_000..1_000_000 => format!("{} ms", time_us / 1_000),
        1_000_000..120_000_000 => format!("{:.1} s", time_us as f64 / 1e6),
        _ => format!("{:.1} min", time_us as f64 / 60e6),
    }
}

/// Seconds as `DEBUG SLEEP` takes them.
pub(super) fn seconds(time_us: u64) -> String {
    (time_us as f64 / 1e6).to_string()
}

fn list(selectors: &[Selector], scenario: &Scenario) -> String {
    let words: Vec<String> = selectors
        .iter()
        .map(|selector| of_selector(selector, scenario))
        .collect();
    words.join(", ")
}

/// Nodes with their addresses, and clients.
fn names(selection: &Selection, director: &Director<'_>) -> String {
    let scenario = director.scenario;
    let nodes = selection.nodes.iter().map(|&node| address(node, director));
    let clients = selection.clients.iter();
    let clients =
        clients.map(|&client| scenario.workload.clients[usize::from(client)].name.clone());
    let mut names: Vec<String> = nodes.chain(clients).collect();
    match names.len() {
        0 => "nobody".to_owned(),
        count if count > LISTED => {
            names.truncate(LISTED);
            format!("{} and {} more", names.join(", "), count - LISTED)
        }
        _ => names.join(", "),
    }
}

/// A node with its address.
fn address(node: NodeNumber, director: &Director<'_>) -> String {
    let place = usize::from(node);
    let name = &director.scenario.cluster.nodes[place].name;
    format!("{name} ({})", director.plan.nodes[place].address)
}

fn of_latency(latency: Latency) -> String {
    let ms = |time_us: f64| format!("{} ms", time_us / 1e3);
    match latency {
        Latency::Constant { value_us } => ms(value_us),
        Latency::Uniform { low_us, high_us } => format!("{} to {}", ms(low_us), ms(high_us)),
        Latency::Normal { mean_us, .. } | Latency::Exponential { mean_us } => {
            format!("about {}", ms(mean_us))
        }
        Latency::Lognormal { p50_us, p99_us } | Latency::Pareto { p50_us, p99_us } => {
            format!("{}, rarely {}", ms(p50_us), ms(p99_us))
        }
    }
}
