//! `[weather]`: what happens by itself, how often, how long, and to whom.

use redrill_sim::scenario::{Cluster, CrashKind, Latency, Selector};
use redrill_sim::weather::{
    HostCrash, MOST_GUSTS, Pause, PauseCause, Spell, SpellLinks, Weather, ZoneOutage,
    ZoneOutageKind,
};

use super::Checker;
use crate::drill::mistake::Draft;
use crate::drill::read::OneOrMany;
use crate::drill::recorded::Recorded;
use crate::drill::schema;
use crate::drill::selector::{self, Names, Place};
use crate::drill::source::{Span, Spanned};
use crate::drill::units::{Rate, number_text};

/// A process that the weather killed starts again after this long, unless the drill says otherwise.
const RESTART_AFTER: Latency = Latency::Constant {
    value_us: 10_000_000.0,
};

/// The weather, and where each kind of it is written.
pub(super) struct PlacedWeather {
    pub(super) weather: Weather,
    /// Time from one to the next, on how many hosts or zones, and where that stands.
    rhythms: Vec<(Latency, usize, Span)>,
}

pub(super) fn weather(
    written: Option<&Spanned<schema::Weather>>,
    recorded: Recorded,
    names: &Names<'_>,
    checker: &mut Checker<'_, '_>,
) -> PlacedWeather {
    let mut placed = PlacedWeather {
        weather: Weather::default(),
        rhythms: Vec::new(),
    };
    let Some(section) = written.map(|section| &section.value) else {
        return placed;
    };
    for pause in list(section.pauses.as_ref()) {
        placed.pause(pause, names, checker);
    }
    for spell in list(section.spells.as_ref()) {
        placed.spell(spell, names, checker);
    }
    for outage in list(section.zone_outages.as_ref()) {
        placed.zone_outage(outage, names, checker);
    }
    for crash in list(section.crashes.as_ref()) {
        placed.crash(crash, names, checker);
    }
    let pauses = recorded.pauses(names, checker.sources, checker.mistakes);
    let links = recorded.links(names, checker.sources, checker.mistakes);
    placed.weather.recorded_pauses = pauses.into();
    placed.weather.recorded_links = links.into();
    placed
}

impl PlacedWeather {
    /// Reports weather that would do more than a run can keep.
    pub(super) fn report_too_much(
        &self,
        cluster: &Cluster,
        duration_us: u64,
        checker: &mut Checker<'_, '_>,
    ) {
        let count = |(every, entities, _): &(Latency, usize, Span)| {
            duration_us as f64 / every.mean_us().max(1.0) * *entities as f64
        };
        let every_node = |node: Option<u16>| {
            if node.is_some() {
                1
            } else {
                cluster.nodes.len()
            }
        };
        let pauses = self.weather.recorded_pauses.iter();
        let pauses: usize = pauses.map(|pause| every_node(pause.node)).sum();
        let drawn: f64 = self.rhythms.iter().map(count).sum();
        let all = drawn + (pauses + self.weather.recorded_links.len()) as f64;
        let worst = self
            .rhythms
            .iter()
            .max_by(|one, other| count(one).total_cmp(&count(other)));
        if all > MOST_GUSTS as f64
            && let Some(worst) = worst
        {
            checker.add(
                Draft::error(
                    "too much weather",
                    worst.2,
                    format!("this alone happens about {:.0} times", count(worst)),
                )
                .help(format!(
                    "at most {} things in one run: let it happen less often, on fewer hosts, or \
                     make the drill shorter and run more seeds",
                    number_text(MOST_GUSTS as f64)
                )),
            );
        }
    }

    fn pause(
        &mut self,
        written: &Spanned<schema::WeatherPause>,
        names: &Names<'_>,
        checker: &mut Checker<'_, '_>,
    ) {
        let pause = &written.value;
        let reader = Reader {
            what: "pause",
            span: written.span,
            unreadable: &pause.unreadable,
            names,
        };
        let target = reader.target(pause.on.as_ref(), checker);
        let cause = match &pause.cause {
            Some(word) => {
                let words = PauseCause::ALL.map(|cause| (cause.name(), cause));
                Some(checker.word(word, "cause", &words))
            }
            None => {
                reader.missing("cause", "cause = \"fork\"", checker);
                None
            }
        };
        let every = reader.every(pause.every.as_ref(), pause.rate.as_ref(), checker);
        let lasts = reader.lasts("length", pause.length.as_ref(), checker);
        if let (Some(target), Some(cause), Some(every), Some(lasts)) = (target, cause, every, lasts)
        {
            self.note(every, hosts(&target, names));
            self.weather.pauses.push(Pause {
                target,
                cause,
                every: every.0,
                lasts,
            });
        }
    }

    fn spell(
        &mut self,
        written: &Spanned<schema::WeatherSpell>,
        names: &Names<'_>,
        checker: &mut Checker<'_, '_>,
    ) {
        let spell = &written.value;
        let reader = Reader {
            what: "spell",
            span: written.span,
            unreadable: &spell.unreadable,
            names,
        };
        let links = reader.links(spell, checker);
        let every = reader.every(spell.every.as_ref(), spell.rate.as_ref(), checker);
        let lasts = reader.lasts("for", spell.lasts.as_ref(), checker);
        let loss = spell.loss.as_ref().map_or(0.0, |loss| loss.value.0);
        let delay = spell.delay.as_ref().map(|delay| delay.value.0);
        if loss == 0.0 && delay.is_none() && spell.unreadable.is_empty() {
            checker.add(
                Draft::error(
                    "a spell that changes nothing",
                    written.span,
                    "neither `loss` nor `delay`",
                )
                .help("add loss = 0.02, or delay = \"+40ms\""),
            );
        }
        if let (Some(links), Some(every), Some(lasts)) = (links, every, lasts) {
            let entities = match &links {
                SpellLinks::OfEach(target) => hosts(target, names),
                SpellLinks::Between(..) | SpellLinks::OneWay(..) => 1,
            };
            self.note(every, entities);
            self.weather.spells.push(Spell {
                every: every.0,
                lasts,
                links,
                loss,
                delay,
            });
        }
    }

    fn zone_outage(
        &mut self,
        written: &Spanned<schema::WeatherOutage>,
        names: &Names<'_>,
        checker: &mut Checker<'_, '_>,
    ) {
        let outage = &written.value;
        let reader = Reader {
            what: "zone outage",
            span: written.span,
            unreadable: &outage.unreadable,
            names,
        };
        let zones = match &outage.zone {
            Some(zones) => {
                let found: Vec<Option<usize>> = zones
                    .value
                    .0
                    .iter()
                    .map(|zone| super::network::zone(zone, names.cluster, checker))
                    .collect();
                found.into_iter().collect::<Option<Vec<usize>>>()
            }
            // Left out: any of them.
            None if !outage.unreadable.contains(&"zone") => {
                Some((0..names.cluster.zones.len()).collect())
            }
            None => None,
        };
        let how = outage.how.as_ref().map(|how| {
            let words = [
                ("cut", ZoneOutageKind::Cut),
                ("power-off", ZoneOutageKind::PowerOff),
            ];
            checker.word(how, "how", &words)
        });
        let every = reader.every(outage.every.as_ref(), outage.rate.as_ref(), checker);
        let lasts = reader.lasts("length", outage.length.as_ref(), checker);
        if names.cluster.zones.len() < 2 && how.unwrap_or_default() == ZoneOutageKind::Cut {
            checker.add(
                Draft::error(
                    "an outage that cuts nothing",
                    written.span,
                    "there is one zone",
                )
                .help("add zones under [cluster], or how = \"power-off\""),
            );
        }
        if let (Some(zones), Some(every), Some(lasts)) = (zones, every, lasts) {
            self.note(every, zones.len());
            self.weather.zone_outages.push(ZoneOutage {
                zones,
                how: how.unwrap_or_default(),
                every: every.0,
                lasts,
            });
        }
    }

    fn crash(
        &mut self,
        written: &Spanned<schema::WeatherCrash>,
        names: &Names<'_>,
        checker: &mut Checker<'_, '_>,
    ) {
        let crash = &written.value;
        let reader = Reader {
            what: "crash",
            span: written.span,
            unreadable: &crash.unreadable,
            names,
        };
        let target = reader.target(crash.on.as_ref(), checker);
        let how = crash.how.as_ref().map(|how| {
            let words = [
                ("kill", CrashKind::Kill),
                ("power-off", CrashKind::PowerOff),
                ("shutdown", CrashKind::Shutdown),
            ];
            checker.word(how, "how", &words)
        });
        let every = reader.every(crash.every.as_ref(), crash.rate.as_ref(), checker);
        let restart_after = crash.restart_after.as_ref();
        if let (Some(target), Some(every)) = (target, every) {
            self.note(every, hosts(&target, names));
            self.weather.crashes.push(HostCrash {
                target,
                how: how.unwrap_or_default(),
                every: every.0,
                restart_after: restart_after.map_or(RESTART_AFTER, |after| after.value),
            });
        }
    }

    fn note(&mut self, (every, span): (Latency, Span), entities: usize) {
        self.rhythms.push((every, entities, span));
    }
}

/// Reads what all kinds of weather have in common.
struct Reader<'a> {
    what: &'static str,
    span: Span,
    unreadable: &'a [&'static str],
    names: &'a Names<'a>,
}

impl Reader<'_> {
    fn missing(&self, key: &str, usage: &str, checker: &mut Checker<'_, '_>) {
        checker.add_missing(key, self.unreadable, |key| {
            Draft::error(
                format!("a {} without `{key}`", self.what),
                self.span,
                format!("no `{key}`"),
            )
            .help(format!("add {usage}"))
        });
    }

    /// Time from one beginning to the next, and where it is written.
    fn every(
        &self,
        every: Option<&Spanned<Latency>>,
        rate: Option<&Spanned<Rate>>,
        checker: &mut Checker<'_, '_>,
    ) -> Option<(Latency, Span)> {
        match (every, rate) {
            (Some(every), Some(rate)) => {
                checker.add(
                    Draft::error(
                        "`every` and `rate` exclude each other",
                        rate.span,
                        "how often",
                    )
                    .also(every.span, "and how often"),
                );
                None
            }
            (Some(every), None) => {
                if every.value.mean_us() <= 0.0 {
                    checker.add(Draft::error(
                        "an impossible time: it would happen all the time",
                        every.span,
                        "expected more than zero",
                    ));
                    return None;
                }
                Some((every.value, every.span))
            }
            (None, Some(rate)) => {
                if rate.value.per_s <= 0.0 {
                    checker.add(
                        Draft::error(
                            format!("a {} that never happens", self.what),
                            rate.span,
                            "expected more than zero",
                        )
                        .help("leave it out instead"),
                    );
                    return None;
                }
                let mean_us = 1e6 / rate.value.per_s;
                Some((Latency::Exponential { mean_us }, rate.span))
            }
            (None, None) => {
                if !self.unreadable.contains(&"rate") {
                    self.missing("every", "rate = \"6/h\", or every = \"10m\"", checker);
                }
                None
            }
        }
    }

    fn lasts(
        &self,
        key: &str,
        written: Option<&Spanned<Latency>>,
        checker: &mut Checker<'_, '_>,
    ) -> Option<Latency> {
        if written.is_none() {
            let usage = format!("{key} = \"lognormal(p50 = 80ms, p99 = 900ms)\"");
            self.missing(key, &usage, checker);
        }
        written.map(|lasts| lasts.value)
    }

    fn target(
        &self,
        written: Option<&Spanned<OneOrMany<String>>>,
        checker: &mut Checker<'_, '_>,
    ) -> Option<Selector> {
        let Some(written) = written else {
            self.missing("on", "on = \"all\"", checker);
            return None;
        };
        let target = self.set(written, Place::Processes, checker)?;
        if is_drawn(&target) {
            checker.add(
                Draft::error(
                    "weather strikes each host by itself",
                    written.span,
                    "one of them is drawn here",
                )
                .help("name the whole set, and divide the rate by their number"),
            );
            return None;
        }
        Some(target)
    }

    fn set(
        &self,
        written: &Spanned<OneOrMany<String>>,
        place: Place,
        checker: &mut Checker<'_, '_>,
    ) -> Option<Selector> {
        let written = super::step_actions::not_empty(written, checker)?;
        selector::read_all(written, place, self.names, checker.mistakes)
    }

    fn links(
        &self,
        spell: &schema::WeatherSpell,
        checker: &mut Checker<'_, '_>,
    ) -> Option<SpellLinks> {
        const USAGE: &str = "write on = \"all\" for all links of each host by itself, or between \
                             = [\"zone:a\", \"zone:b\"], or from and to";
        let one_way = spell.from.is_some() || spell.to.is_some();
        let ways = [spell.on.is_some(), spell.between.is_some(), one_way];
        match ways.iter().filter(|given| **given).count() {
            1 => (),
            0 => {
                let keys = ["on", "between", "from", "to"];
                if !keys.iter().any(|key| self.unreadable.contains(key)) {
                    checker.add(
                        Draft::error("a spell of no links", self.span, "which links?").help(USAGE),
                    );
                }
                return None;
            }
            _ => {
                checker.add(
                    Draft::error(
                        "`on`, `between` and `from` with `to` exclude each other",
                        self.span,
                        "which links?",
                    )
                    .help(USAGE),
                );
                return None;
            }
        }
        if spell.on.is_some() {
            return Some(SpellLinks::OfEach(self.target(spell.on.as_ref(), checker)?));
        }
        let two = match (&spell.between, &spell.from, &spell.to) {
            (Some(between), _, _) => match &between.value[..] {
                [one, other] => Some((one, other)),
                sides => {
                    checker.add(
                        Draft::error(
                            "`between` takes two sides",
                            between.span,
                            format!("{} here", sides.len()),
                        )
                        .help(USAGE),
                    );
                    None
                }
            },
            (None, Some(from), Some(to)) => Some((from, to)),
            (None, _, _) => {
                self.missing(
                    if spell.from.is_none() { "from" } else { "to" },
                    "both `from` and `to`",
                    checker,
                );
                None
            }
        };
        let (one, other) = two?;
        let (one, other) = (
            self.set(one, Place::Links, checker),
            self.set(other, Place::Links, checker),
        );
        Some(if one_way {
            SpellLinks::OneWay(one?, other?)
        } else {
            SpellLinks::Between(one?, other?)
        })
    }
}

fn list<T>(written: Option<&Spanned<Vec<Spanned<T>>>>) -> &[Spanned<T>] {
    written.map_or(&[][..], |list| &list.value)
}

/// How many hosts a set may mean.
fn hosts(target: &Selector, names: &Names<'_>) -> usize {
    selector::fixed_members(target, names)
        .map_or(names.cluster.nodes.len(), |members| members.len())
}

/// Whether a set is drawn anew whenever it is asked for.
fn is_drawn(target: &Selector) -> bool {
    match target {
        Selector::One(_) | Selector::Minority | Selector::Rest => true,
        Selector::Union(parts) => parts.iter().any(is_drawn),
        Selector::ReplicaOf(of) | Selector::MasterOf(of) => is_drawn(of),
        Selector::Name(_)
        | Selector::Zones(_)
        | Selector::MasterOfSlot(_)
        | Selector::Masters
        | Selector::Replicas
        | Selector::All
        | Selector::Clients => false,
    }
}
