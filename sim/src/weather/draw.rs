//! Draws everything the weather does in a run.
//!
//! A stream belongs to one kind of weather, the how-manieth of that kind it is in the drill, and
//! the name of the host, zone or set of links it strikes. Each happening takes the same number of
//! draws from it. So nothing moves when other weather is added, a distribution of lengths is
//! changed, the drill lasts longer, or the configuration of the nodes is another.

use std::collections::BTreeMap;

use xxhash_rust::xxh3::xxh3_64;

use super::{PauseCause, Spell, SpellLinks, Weather};
use crate::network::quantile_us;
use crate::rng::{Purpose, Stream, Streams};
use crate::scenario::{Cluster, Latency, Selector};
use crate::trace::NodeNumber;

/// The most that can happen in one run. A drill that would have more is refused.
pub const MOST_GUSTS: usize = 200_000;

/// Something that the weather does.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Gust {
    /// When, microseconds after the cluster has formed.
    pub at_us: u64,
    /// For how long.
    pub lasts_us: u64,
    /// What.
    pub strike: Strike,
}

/// What the weather does. Numbers are places in the lists of [`Weather`].
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub enum Strike {
    /// Links become bad.
    Spell {
        /// Which spell.
        spell: u16,
        /// Whose links, for [`SpellLinks::OfEach`].
        node: Option<NodeNumber>,
        /// Added one-way latency.
        delay_us: u64,
    },
    /// Something stands still.
    Pause {
        /// Why.
        cause: PauseCause,
        /// Which pause; `None`: a recorded one, which strikes whatever the node is.
        pause: Option<u16>,
        /// Where.
        node: NodeNumber,
    },
    /// A zone is gone.
    ZoneOutage {
        /// Which outage.
        outage: u16,
        /// Which zone.
        zone: u16,
    },
    /// A process ends.
    Crash {
        /// Which crash.
        crash: u16,
        /// Where.
        node: NodeNumber,
    },
    /// Recorded links change, all of one instant.
    Links {
        /// The first in [`Weather::recorded_links`].
        first: u32,
        /// How many.
        count: u32,
    },
}

/// More happens than can be kept.
#[derive(Clone, Copy, PartialEq, Eq, Debug, thiserror::Error)]
#[error(
    "the weather would do more than {MOST_GUSTS} things in this run: let it happen less often, on \
     fewer hosts, or make the drill shorter"
)]
pub struct TooMuchWeather;

/// Draws the weather of a run, in order of time.
///
/// # Errors
/// [`TooMuchWeather`] if more than [`MOST_GUSTS`] things would happen.
pub fn draw(
    weather: &Weather,
    cluster: &Cluster,
    duration_us: u64,
    streams: &Streams,
) -> Result<Vec<Gust>, TooMuchWeather> {
    let mut drawing = Drawing {
        cluster,
        duration_us,
        streams,
        gusts: Vec::new(),
    };
    drawing.spells(weather)?;
    drawing.pauses(weather)?;
    drawing.zone_outages(weather)?;
    drawing.crashes(weather)?;
    drawing.recorded(weather)?;
    let mut gusts = drawing.gusts;
    gusts.sort_unstable_by_key(|gust| (gust.at_us, gust.strike));
    Ok(gusts)
}

struct Drawing<'a> {
    cluster: &'a Cluster,
    duration_us: u64,
    streams: &'a Streams,
    gusts: Vec<Gust>,
}

impl Drawing<'_> {
    fn spells(&mut self, weather: &Weather) -> Result<(), TooMuchWeather> {
        for (number, spell) in (0..).zip(&weather.spells) {
            let SpellLinks::OfEach(target) = &spell.links else {
                self.spell(number, spell, None, "links")?;
                continue;
            };
            for (node, name) in self.hosts(target) {
                self.spell(number, spell, Some(node), &name)?;
            }
        }
        Ok(())
    }

    fn spell(
        &mut self,
        number: u16,
        spell: &Spell,
        node: Option<NodeNumber>,
        name: &str,
    ) -> Result<(), TooMuchWeather> {
        let stream = self.stream(Purpose::WeatherSpell, number, name);
        self.happen(stream, spell.every, spell.lasts, |word| Strike::Spell {
            spell: number,
            node,
            delay_us: spell.delay.map_or(0, |delay| time_us(delay, word)),
        })
    }

    fn pauses(&mut self, weather: &Weather) -> Result<(), TooMuchWeather> {
        let mut seen: BTreeMap<PauseCause, u16> = BTreeMap::new();
        for (number, pause) in (0..).zip(&weather.pauses) {
            let place = seen.entry(pause.cause).or_insert(0);
            let ordinal = *place;
            *place += 1;
            for (node, name) in self.hosts(&pause.target) {
                let key = format!("{} {name}", pause.cause.name());
                let stream = self.stream(Purpose::WeatherPause, ordinal, &key);
                self.happen(stream, pause.every, pause.lasts, |_| Strike::Pause {
                    cause: pause.cause,
                    pause: Some(number),
                    node,
                })?;
            }
        }
        Ok(())
    }

    fn zone_outages(&mut self, weather: &Weather) -> Result<(), TooMuchWeather> {
        for (number, outage) in (0..).zip(&weather.zone_outages) {
            for &zone in &outage.zones {
                let name = self.cluster.zones.get(zone).map_or("", String::as_str);
                let stream = self.stream(Purpose::WeatherOutage, number, name);
                self.happen(stream, outage.every, outage.lasts, |_| Strike::ZoneOutage {
                    outage: number,
                    zone: zone as u16,
                })?;
            }
        }
        Ok(())
    }

    fn crashes(&mut self, weather: &Weather) -> Result<(), TooMuchWeather> {
        for (number, crash) in (0..).zip(&weather.crashes) {
            for (node, name) in self.hosts(&crash.target) {
                let stream = self.stream(Purpose::WeatherCrash, number, &name);
                self.happen(stream, crash.every, crash.restart_after, |_| {
                    Strike::Crash {
                        crash: number,
                        node,
                    }
                })?;
            }
        }
        Ok(())
    }

    fn recorded(&mut self, weather: &Weather) -> Result<(), TooMuchWeather> {
        let nodes = 0..self.cluster.nodes.len() as NodeNumber;
        for pause in weather.recorded_pauses.iter() {
            for node in nodes.clone() {
                if pause.node.is_none_or(|only| only == node) {
                    self.add(Gust {
                        at_us: pause.at_us,
                        lasts_us: pause.lasts_us,
                        strike: Strike::Pause {
                            cause: pause.cause,
                            pause: None,
                            node,
                        },
                    })?;
                }
            }
        }
        let links = &weather.recorded_links;
        let mut first = 0;
        for group in links.chunk_by(|one, next| one.at_us == next.at_us) {
            self.add(Gust {
                at_us: group[0].at_us,
                lasts_us: 0,
                strike: Strike::Links {
                    first: first as u32,
                    count: group.len() as u32,
                },
            })?;
            first += group.len();
        }
        Ok(())
    }

    /// The hosts that a set may ever mean: one that goes by role may mean any, and is asked again
    /// when the time has come.
    fn hosts(&self, target: &Selector) -> Vec<(NodeNumber, String)> {
        let nodes = (0..).zip(&self.cluster.nodes);
        let chosen = nodes.filter(|(_, node)| may_be(target, &node.name, node.zone));
        chosen
            .map(|(number, node)| (number, node.name.clone()))
            .collect()
    }

    fn stream(&self, purpose: Purpose, ordinal: u16, name: &str) -> Stream {
        let entity = xxh3_64(format!("{ordinal} {name}").as_bytes());
        self.streams.stream(purpose, entity)
    }

    /// Lets something happen again and again. Each time takes three words from the stream, whether
    /// they are needed or not.
    fn happen(
        &mut self,
        mut stream: Stream,
        every: Latency,
        lasts: Latency,
        strike: impl Fn(u64) -> Strike,
    ) -> Result<(), TooMuchWeather> {
        let mut next_us: i64 = match every {
            // What has no memory needs no beginning.
            Latency::Exponential { .. } => 0,
            // Anything else is met in the middle of it, or every host would begin at once.
            Latency::Constant { .. }
            | Latency::Uniform { .. }
            | Latency::Normal { .. }
            | Latency::Lognormal { .. }
            | Latency::Pareto { .. } => {
                let (gap, share) = (stream.word(), stream.unit());
                -((time_us(every, gap) as f64 * share) as i64)
            }
        };
        loop {
            let (gap, length, rest) = (stream.word(), stream.word(), stream.word());
            next_us = next_us.saturating_add(time_us(every, gap).cast_signed());
            let Ok(at_us) = u64::try_from(next_us) else {
                // It came before the drill began.
                continue;
            };
            if at_us >= self.duration_us {
                return Ok(());
            }
            self.add(Gust {
                at_us,
                lasts_us: time_us(lasts, length),
                strike: strike(rest),
            })?;
        }
    }

    /// Keeps what begins within the drill, and ends it with the drill.
    fn add(&mut self, mut gust: Gust) -> Result<(), TooMuchWeather> {
        if gust.at_us >= self.duration_us {
            return Ok(());
        }
        if self.gusts.len() == MOST_GUSTS {
            return Err(TooMuchWeather);
        }
        gust.lasts_us = gust.lasts_us.min(self.duration_us - gust.at_us);
        self.gusts.push(gust);
        Ok(())
    }
}
/// Whether a set may ever mean a node.
fn may_be(target: &Selector, name: &str, zone: usize) -> bool {
    match target {
        Selector::Name(wanted) => wanted == name,
        Selector::Zones(zones) => zones.contains(&zone),
        Selector::Union(parts) => parts.iter().any(|part| may_be(part, name, zone)),
        Selector::Clients | Selector::Rest => false,
        Selector::All
        | Selector::MasterOfSlot(_)
        | Selector::ReplicaOf(_)
        | Selector::MasterOf(_)
        | Selector::Masters
        | Selector::Replicas
        | Selector::One(_)
        | Selector::Minority => true,
    }
}

/// Longest time that anything of the weather takes: longer than any drill.
const LONGEST_US: f64 = 1e13;

/// The time that 64 random bits stand for, microseconds, at least 1. Nothing is cut off: long tails
/// are what weather is about.
fn time_us(times: Latency, word: u64) -> u64 {
    let share = ((word >> 11) as f64 + 0.5) / (1_u64 << 53) as f64;
    (quantile_us(times, share).min(LONGEST_US) as u64).max(1)
}

#[cfg(test)]
mod tests;
