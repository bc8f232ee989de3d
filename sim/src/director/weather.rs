//! The weather of a run: carrying out what was drawn, and undoing it.
//!
//! What strikes nobody (the process does not run, the host has another role by now) is passed over
//! without a word: weather has no duty to happen.

use std::collections::{BTreeMap, BTreeSet};

use redrill_node::AppendFsync;

use super::formation::Command;
use super::{Asker, Director, words};
use crate::network::{Degradation, FaultNumber, HostNumber, Measured};
use crate::rng::Purpose;
use crate::scenario::{CrashKind, Selector, StallKind};
use crate::select::{Selection, everybody};
use crate::trace::{Event, FaultKind, FaultSource, NodeNumber, ProcessChange};
use crate::weather::{
    Gust, LinkEnd, PauseCause, RecordedLink, Spell, SpellLinks, Strike, WeatherKind, ZoneOutageKind,
};
use crate::world::World;

/// How long a write to the append-only file is put off while a sync of it goes on, with
/// `appendfsync everysec` (`flushAppendOnlyFile`).
const WRITES_WAIT_US: u64 = 2_000_000;

/// Faults of the weather are told from steps in the network by numbers above any step's.
const ABOVE_STEPS: FaultNumber = 1 << 16;

/// What the weather does at a time.
#[derive(Debug, Default)]
pub(super) struct Blowing {
    /// When the cluster had formed; `None`: the weather does not blow.
    since_us: Option<u64>,
    /// The next of the plan's gusts.
    next: usize,
    /// The next number.
    number: u32,
    holds: BTreeMap<u32, Hold>,
    due: BTreeSet<(u64, Due)>,
    /// Recorded links that are bad, and the number of what was told of them.
    bad_links: BTreeMap<(LinkEnd, LinkEnd), u32>,
}

#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
enum Due {
    /// It is over.
    End(u32),
    /// The event loop cannot wait for the disk any longer, until a time.
    Block { node: NodeNumber, until_us: u64 },
}

/// What ends something the weather does.
#[derive(Debug)]
enum Hold {
    Thaw(NodeNumber),
    Start(BTreeSet<NodeNumber>),
    Heal(Vec<(HostNumber, HostNumber)>),
    RestoreLinks,
    /// It ends with the answer to `DEBUG SLEEP`.
    Sleep,
    /// It ends by itself.
    Disk,
}

/// Something the weather is about to do.
struct Begun {
    kind: WeatherKind,
    fault: FaultKind,
    touched: Selection,
    cut: Vec<(HostNumber, HostNumber)>,
    words: String,
    lasts_us: u64,
    hold: Hold,
}

impl Director<'_> {
    /// The weather begins to blow.
    pub(super) fn weather_begins(&mut self, now_us: u64) {
        self.weather.since_us = Some(now_us);
    }

    /// When the weather does something next.
    pub(super) fn next_weather_us(&self) -> u64 {
        let due_us = self.weather.due.first().map_or(u64::MAX, |due| due.0);
        self.next_gust_us().unwrap_or(u64::MAX).min(due_us)
    }

    fn next_gust_us(&self) -> Option<u64> {
        let gust = self.plan.gusts.get(self.weather.next)?;
        Some(self.weather.since_us? + gust.at_us)
    }

    /// Does what is due.
    pub(super) fn weather(&mut self, now_us: u64, world: &mut dyn World) {
        loop {
            let due_us = self.weather.due.first().map_or(u64::MAX, |due| due.0);
            let gust_us = self.next_gust_us().unwrap_or(u64::MAX);
            if due_us.min(gust_us) > now_us {
                return;
            }
            if due_us <= gust_us {
                match self.weather.due.pop_first() {
                    Some((_, Due::End(number))) => self.weather_over(now_us, number, world),
                    Some((_, Due::Block { node, until_us })) => {
                        self.sleep(node, until_us.saturating_sub(now_us), world);
                    }
                    None => return,
                }
            } else {
                let gust = self.plan.gusts[self.weather.next];
                self.weather.next += 1;
                self.blow(now_us, gust, world);
            }
        }
    }

    /// The weather calms down for good: everything it does is over.
    pub(super) fn weather_calms(&mut self, now_us: u64, world: &mut dyn World) {
        self.weather.since_us = None;
        self.weather.due.clear();
        self.weather.bad_links.clear();
        let numbers: Vec<u32> = self.weather.holds.keys().copied().collect();
        for number in numbers {
            if !matches!(self.weather.holds.get(&number), Some(Hold::Sleep)) {
                self.weather_over(now_us, number, world);
            }
        }
        if !self.scenario.weather.recorded_links.is_empty() {
            world.change_network(&mut |network| network.forget_measured());
        }
    }

    /// A `DEBUG SLEEP` of the weather is over, one way or another.
    pub(super) fn weather_answered(&mut self, now_us: u64, number: u32, world: &mut dyn World) {
        if let Some(Hold::Sleep) = self.weather.holds.get(&number) {
            self.weather_over(now_us, number, world);
        }
    }
}

/// What happens.
impl Director<'_> {
    fn blow(&mut self, now_us: u64, gust: Gust, world: &mut dyn World) {
        let weather = &self.scenario.weather;
        match gust.strike {
            Strike::Spell {
                spell,
                node,
                delay_us,
            } => {
                if let Some(spell) = weather.spells.get(usize::from(spell)) {
                    self.spell(now_us, gust, spell, node, delay_us, world);
                }
            }
            Strike::Pause { cause, pause, node } => {
                let target = pause.and_then(|place| weather.pauses.get(usize::from(place)));
                let means = target.is_none_or(|it| self.means(&it.target, node, world));
                if means && world.runs(node) {
                    self.pause(now_us, gust, cause, node, world);
                }
            }
            Strike::ZoneOutage { outage, zone } => {
                if let Some(outage) = weather.zone_outages.get(usize::from(outage)) {
                    self.zone_outage(now_us, gust, outage.how, usize::from(zone), world);
                }
            }
            Strike::Crash { crash, node } => {
                if let Some(crash) = weather.crashes.get(usize::from(crash))
                    && self.means(&crash.target, node, world)
                {
                    let touched = nodes([node]);
                    self.crash_by_weather(
                        now_us,
                        gust,
                        WeatherKind::Crash,
                        crash.how,
                        touched,
                        world,
                    );
                }
            }
            Strike::Links { first, count } => {
                let (first, count) = (first as usize, count as usize);
                let lines = weather.recorded_links.get(first..first + count);
                self.links_as_recorded(now_us, lines.unwrap_or_default(), world);
            }
        }
    }

    fn pause(
        &mut self,
        now_us: u64,
        gust: Gust,
        cause: PauseCause,
        node: NodeNumber,
        world: &mut dyn World,
    ) {
        let (fault, hold) = match cause {
            PauseCause::Fork | PauseCause::SlowCommand => {
                (FaultKind::Stall(StallKind::DebugSleep), Hold::Sleep)
            }
            PauseCause::VmSteal | PauseCause::Swap => {
                (FaultKind::Stall(StallKind::Sigstop), Hold::Thaw(node))
            }
            PauseCause::AofFsync => (FaultKind::SlowDisk, Hold::Disk),
        };
        let number = self.tell(
            now_us,
            Begun {
                kind: cause.kind(),
                fault,
                words: words::of_pause(cause, node, gust.lasts_us, self),
                touched: nodes([node]),
                cut: Vec::new(),
                lasts_us: gust.lasts_us,
                hold,
            },
        );
        match cause {
            PauseCause::Fork | PauseCause::SlowCommand => {
                let mut command =
                    Command::new(format!("DEBUG SLEEP {}", words::seconds(gust.lasts_us)));
                command.patience_us += gust.lasts_us;
                self.ask(node, command, Asker::Weather(number), world);
            }
            PauseCause::VmSteal | PauseCause::Swap => {
                self.freeze(now_us, node, FaultSource::Weather(number), world);
                self.ends_at(now_us + gust.lasts_us, number);
            }
            PauseCause::AofFsync => {
                let until_us = now_us + gust.lasts_us;
                world.hold_up_disk(node, until_us);
                self.ends_at(until_us, number);
                if let Some(wait_us) = self.writes_wait_us(node)
                    && wait_us < gust.lasts_us
                {
                    let block = Due::Block { node, until_us };
                    self.weather.due.insert((now_us + wait_us, block));
                }
            }
        }
    }

    /// How long the event loop of a node goes on while its append-only file is being synced;
    /// `None`: it never waits.
    fn writes_wait_us(&self, node: NodeNumber) -> Option<u64> {
        let config = &self.plan.nodes[usize::from(node)].config;
        if !config.appendonly {
            return None;
        }
        match config.appendfsync {
            AppendFsync::Always => Some(0),
            AppendFsync::Everysec => Some(WRITES_WAIT_US),
            AppendFsync::No => None,
        }
    }

    fn sleep(&mut self, node: NodeNumber, lasts_us: u64, world: &mut dyn World) {
        if world.runs(node) && lasts_us > 0 {
            let mut command = Command::new(format!("DEBUG SLEEP {}", words::seconds(lasts_us)));
            command.patience_us += lasts_us;
            self.ask(node, command, Asker::Nobody, world);
        }
    }

    fn zone_outage(
        &mut self,
        now_us: u64,
        gust: Gust,
        how: ZoneOutageKind,
        zone: usize,
        world: &mut dyn World,
    ) {
        let kind = WeatherKind::ZoneOutage;
        let mut choices = self.plan.streams.stream(Purpose::WeatherOutage, 0);
        let inside = Selector::Zones(vec![zone]).resolve(self.scenario, &self.roles, &mut choices);
        match how {
            ZoneOutageKind::PowerOff => {
                let touched = nodes(inside.nodes);
                self.crash_by_weather(now_us, gust, kind, CrashKind::PowerOff, touched, world);
            }
            ZoneOutageKind::Cut => {
                let mut outside = everybody(self.scenario);
                outside.remove(&inside);
                let cut = self.links_between(&inside, &outside, true);
                if cut.is_empty() {
                    return;
                }
                let name = self.scenario.cluster.zones.get(zone);
                let name = name.map_or("?", String::as_str);
                let number = self.tell(
                    now_us,
                    Begun {
                        kind,
                        fault: FaultKind::Partition,
                        words: format!(
                            "zone {name} is cut off for {}",
                            words::duration(gust.lasts_us)
                        ),
                        touched: inside,
                        cut: cut.clone(),
                        lasts_us: gust.lasts_us,
                        hold: Hold::Heal(cut.clone()),
                    },
                );
                world.change_network(&mut |network| {
                    for &(from, to) in &cut {
                        network.cut(from, to);
                    }
                });
                self.ends_at(now_us + gust.lasts_us, number);
            }
        }
    }

    /// Ends processes. Those that are down already stay down until this is over too.
    fn crash_by_weather(
        &mut self,
        now_us: u64,
        gust: Gust,
        kind: WeatherKind,
        how: CrashKind,
        mut touched: Selection,
        world: &mut dyn World,
    ) {
        touched
            .nodes
            .retain(|node| world.runs(*node) || self.down.contains_key(node));
        if touched.nodes.is_empty() {
            return;
        }
        let number = self.tell(
            now_us,
            Begun {
                kind,
                fault: FaultKind::Crash(how),
                words: words::of_crash(how, &touched, gust.lasts_us, self),
                touched: touched.clone(),
                cut: Vec::new(),
                lasts_us: gust.lasts_us,
                hold: Hold::Start(touched.nodes.clone()),
            },
        );
        for node in touched.nodes {
            self.end_process(now_us, node, how, FaultSource::Weather(number), world);
        }
        self.ends_at(now_us + gust.lasts_us, number);
    }

    fn spell(
        &mut self,
        now_us: u64,
        gust: Gust,
        spell: &Spell,
        node: Option<NodeNumber>,
        delay_us: u64,
        world: &mut dyn World,
    ) {
        let (one, other, both_ways) = match (&spell.links, node) {
            (SpellLinks::OfEach(target), Some(node)) => {
                if !self.means(target, node, world) {
                    return;
                }
                let inside = nodes([node]);
                let mut outside = everybody(self.scenario);
                outside.remove(&inside);
                (inside, outside, true)
            }
            (SpellLinks::OfEach(_), None) => return,
            (SpellLinks::Between(one, other), _) => {
                (self.set(one, world), self.set(other, world), true)
            }
            (SpellLinks::OneWay(from, to), _) => {
                (self.set(from, world), self.set(to, world), false)
            }
        };
        let links = self.links_between(&one, &other, both_ways);
        if links.is_empty() {
            return;
        }
        let mut touched = one;
        if node.is_none() {
            touched.add(other);
        }
        let whose = words::of_links(&spell.links, node, self);
        let number = self.tell(
            now_us,
            Begun {
                kind: WeatherKind::Spell,
                fault: FaultKind::Degrade,
                words: format!(
                    "{whose}: {} for {}",
                    words::of_degradation(spell.loss, delay_us),
                    words::duration(gust.lasts_us)
                ),
                touched,
                cut: Vec::new(),
                lasts_us: gust.lasts_us,
                hold: Hold::RestoreLinks,
            },
        );
        let by = Degradation {
            loss: spell.loss,
            delay_us,
        };
        world.change_network(&mut |network| {
            for &(from, to) in &links {
                network.degrade(ABOVE_STEPS + number, from, to, by);
            }
        });
        self.ends_at(now_us + gust.lasts_us, number);
    }

    /// Links become what was measured of them. Only what is bad enough to hold up a failover is
    /// told of.
    fn links_as_recorded(&mut self, now_us: u64, lines: &[RecordedLink], world: &mut dyn World) {
        for line in lines {
            let (one, other) = line.ends;
            let ends = (one.min(other), one.max(other));
            let (one, other) = (self.hosts_at(one), self.hosts_at(other));
            let links = self.links_between(&one, &other, true);
            let measured = Measured {
                latency_us: line.latency_us(),
                loss: line.loss,
            };
            world.change_network(&mut |network| {
                for &(from, to) in &links {
                    network.set_measured(from, to, measured);
                }
            });
            match (line.is_bad(), self.weather.bad_links.get(&ends).copied()) {
                (true, None) if !links.is_empty() => {
                    let mut touched = one;
                    touched.add(other);
                    let number = self.tell(
                        now_us,
                        Begun {
                            kind: WeatherKind::Spell,
                            fault: FaultKind::Degrade,
                            words: words::of_recorded_link(line, self),
                            touched,
                            cut: Vec::new(),
                            lasts_us: 0,
                            hold: Hold::RestoreLinks,
                        },
                    );
                    self.weather.bad_links.insert(ends, number);
                }
                (false, Some(number)) => {
                    self.weather.bad_links.remove(&ends);
                    self.weather_over(now_us, number, world);
                }
                (true, None | Some(_)) | (false, None) => (),
            }
        }
    }

    /// Ends what has a number.
    fn weather_over(&mut self, now_us: u64, number: u32, world: &mut dyn World) {
        let Some(hold) = self.weather.holds.remove(&number) else {
            return;
        };
        let source = FaultSource::Weather(number);
        match hold {
            Hold::Thaw(node) => self.thaw(now_us, node, source, world),
            Hold::Start(nodes) => {
                for node in nodes {
                    self.start_again(now_us, node, source, world);
                }
            }
            Hold::Heal(pairs) => world.change_network(&mut |network| {
                for &(from, to) in &pairs {
                    network.heal(from, to);
                }
            }),
            Hold::RestoreLinks => {
                world.change_network(&mut |network| network.restore(ABOVE_STEPS + number));
            }
            Hold::Sleep | Hold::Disk => (),
        }
        self.record(now_us, Event::WeatherEnded { weather: number });
    }
}

/// Small things.
impl Director<'_> {
    /// Writes down that something begins; returns its number.
    fn tell(&mut self, now_us: u64, begun: Begun) -> u32 {
        let number = self.weather.number;
        self.weather.number += 1;
        self.weather.holds.insert(number, begun.hold);
        self.record(
            now_us,
            Event::WeatherBegan {
                weather: number,
                kind: begun.kind,
                fault: begun.fault,
                lasts_us: begun.lasts_us,
                touched: Box::new(begun.touched.told(begun.words, begun.cut)),
            },
        );
        number
    }

    fn ends_at(&mut self, at_us: u64, number: u32) {
        self.weather.due.insert((at_us, Due::End(number)));
    }

    /// Whether a set means a node now. What does not go by role was looked at when the weather was
    /// drawn.
    fn means(&mut self, target: &Selector, node: NodeNumber, world: &dyn World) -> bool {
        !target.goes_by_role() || self.set(target, world).nodes.contains(&node)
    }

    /// Whom a set means now.
    fn set(&mut self, target: &Selector, world: &dyn World) -> Selection {
        if target.goes_by_role() {
            self.observe_roles(world);
        }
        let mut choices = self.plan.streams.stream(Purpose::WeatherSpell, 0);
        target.resolve(self.scenario, &self.roles, &mut choices)
    }

    fn hosts_at(&self, end: LinkEnd) -> Selection {
        let nodes = self.hosts.nodes;
        match end {
            LinkEnd::Host(host) if host < nodes => Selection {
                nodes: [host].into(),
                ..Selection::default()
            },
            LinkEnd::Host(host) => Selection {
                clients: [host - nodes].into(),
                ..Selection::default()
            },
            LinkEnd::Zone(zone) => {
                let mut choices = self.plan.streams.stream(Purpose::WeatherSpell, 0);
                Selector::Zones(vec![zone.into()]).resolve(self.scenario, &self.roles, &mut choices)
            }
        }
    }

    fn links_between(
        &self,
        one: &Selection,
        other: &Selection,
        both_ways: bool,
    ) -> Vec<(HostNumber, HostNumber)> {
        let count = self.hosts.nodes.into();
        let (one, other) = (one.hosts(count), other.hosts(count));
        let mut links = BTreeSet::new();
        for &from in &one {
            for &to in &other {
                if from != to {
                    links.insert((from, to));
                    if both_ways {
                        links.insert((to, from));
                    }
                }
            }
        }
        links.into_iter().collect()
    }

    /// Stops a process, unless something else has stopped it already, until [`Self::thaw`].
    pub(super) fn freeze(
        &mut self,
        now_us: u64,
        node: NodeNumber,
        source: FaultSource,
        world: &mut dyn World,
    ) {
        self.frozen.entry(node).or_default().insert(source);
        let change = ProcessChange::Stalled(StallKind::Sigstop);
        self.recorder.borrow_mut().process(now_us, node, change);
        world.freeze(node);
    }

    /// Lets a process go on, if nothing else stops it.
    pub(super) fn thaw(
        &mut self,
        now_us: u64,
        node: NodeNumber,
        source: FaultSource,
        world: &mut dyn World,
    ) {
        if let Some(sources) = self.frozen.get_mut(&node) {
            sources.remove(&source);
            if !sources.is_empty() {
                return;
            }
            self.frozen.remove(&node);
        }
        world.thaw(node);
        if world.runs(node) {
            self.recorder.borrow_mut().thawed(now_us, node);
        }
    }

    /// Ends a process, which stays down until [`Self::start_again`] by the same.
    pub(super) fn end_process(
        &mut self,
        now_us: u64,
        node: NodeNumber,
        how: CrashKind,
        source: FaultSource,
        world: &mut dyn World,
    ) {
        self.down.entry(node).or_default().insert(source);
        if world.runs(node) {
            self.frozen.remove(&node);
            let change = ProcessChange::Crashed(how);
            self.recorder.borrow_mut().process(now_us, node, change);
            world.crash(node, how);
        }
    }

    /// Starts a process, if nothing else keeps it down.
    pub(super) fn start_again(
        &mut self,
        now_us: u64,
        node: NodeNumber,
        source: FaultSource,
        world: &mut dyn World,
    ) {
        if let Some(sources) = self.down.get_mut(&node) {
            sources.remove(&source);
            if !sources.is_empty() {
                return;
            }
            self.down.remove(&node);
        }
        if !world.runs(node) {
            self.start(now_us, node, world);
        }
    }
}

fn nodes(nodes: impl IntoIterator<Item = NodeNumber>) -> Selection {
    Selection {
        nodes: nodes.into_iter().collect(),
        ..Selection::default()
    }
}
