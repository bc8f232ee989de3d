//! The network between hosts: latency, loss, partitions, power.
//!
//! Only single segments are spoken of here; [`crate::tcp`] makes connections of them. The weather
//! (latency and loss) is a function of the seed, the two hosts and the time, and of nothing else:
//! another configuration that sends other traffic meets the same weather.

mod distribution;

use std::collections::BTreeMap;

pub use distribution::Distribution;
pub(crate) use distribution::quantile_us;

use crate::rng::{Purpose, Streams, draw, unit};
use crate::scenario::{Latency, Network as Links, Scenario};

/// Place of a host: nodes in the drill's order, then clients, then the operator.
pub type HostNumber = u16;

/// Tells faults that make links worse apart.
pub type FaultNumber = u32;

/// Latency stays the same for this long, so that what is sent together arrives together.
const WEATHER_CHANGES_EVERY_US: u64 = 1_000;

/// What becomes of a segment.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Transit {
    /// It arrives at this time.
    Arrives(u64),
    /// It does not arrive, and nobody is told.
    Lost,
}

/// How much worse than usual a link is.
#[derive(Clone, Copy, PartialEq, Debug)]
pub struct Degradation {
    /// Share of segments lost, 0 to 1.
    pub loss: f64,
    /// Added one-way latency, microseconds.
    pub delay_us: u64,
}

/// The links between all hosts. Times are microseconds since the run began.
#[derive(Clone, Debug)]
pub struct Network {
    zones: Vec<u16>,
    zone_count: usize,
    /// Index into `distributions`, by pair of zones.
    latency_of: Vec<u16>,
    distributions: Vec<Distribution>,
    latency_key: u64,
    loss_key: u64,
    segment_bytes: u32,
    segment_between_zones_bytes: u32,
    bandwidth_bytes_per_s: Option<u64>,
    /// Until when each link is busy sending; only with a bandwidth.
    busy_until: BTreeMap<(HostNumber, HostNumber), u64>,
    /// How many faults cut each link, sender first.
    cuts: BTreeMap<(HostNumber, HostNumber), u16>,
    /// What degrades each link, by fault.
    degraded: BTreeMap<(HostNumber, HostNumber), BTreeMap<FaultNumber, Degradation>>,
    dark: Vec<bool>,
    /// Links as they were measured on a real network, in place of what is drawn.
    measured: BTreeMap<(HostNumber, HostNumber), Measured>,
}

/// A link as it was measured.
#[derive(Clone, Copy, PartialEq, Debug)]
pub struct Measured {
    /// One-way latency, microseconds.
    pub latency_us: u64,
    /// Share of segments lost, 0 to 1.
    pub loss: f64,
}

impl Network {
    /// The network of a scenario: its nodes, then its clients, then the operator.
    #[must_use]
    pub fn of(scenario: &Scenario, streams: &Streams) -> Self {
        let nodes = scenario.cluster.nodes.iter().map(|node| node.zone);
        let clients = scenario.workload.clients.iter().map(|client| client.zone);
        let zones = nodes.chain(clients).map(|zone| zone as u16).chain([0]);
        let zone_count = scenario.cluster.zones.len().max(1);
        Self::new(&scenario.network, zone_count, zones.collect(), streams)
    }

    /// A network between hosts in the given zones.
    #[must_use]
    pub fn new(links: &Links, zone_count: usize, zones: Vec<u16>, streams: &Streams) -> Self {
        let mut known: Vec<Latency> = Vec::new();
        let mut latency_of = Vec::with_capacity(zone_count * zone_count);
        for from in 0..zone_count {
            for to in 0..zone_count {
                let usual = if from == to {
                    links.within_zone
                } else {
                    links.between_zones
                };
                let pair = (from.min(to), from.max(to));
                let latency = links.pairs.get(&pair).copied().unwrap_or(usual);
                let place = known
                    .iter()
                    .position(|&other| other == latency)
                    .unwrap_or_else(|| {
                        known.push(latency);
                        known.len() - 1
                    });
                latency_of.push(place as u16);
            }
        }
        let dark = vec![false; zones.len()];
        Self {
            zones,
            zone_count,
            latency_of,
            distributions: known.into_iter().map(Distribution::new).collect(),
            latency_key: streams.key(Purpose::Weather),
            loss_key: streams.key(Purpose::Loss),
            segment_bytes: links.mss_bytes.max(1),
            segment_between_zones_bytes: links.mss_between_zones_bytes.max(1),
            bandwidth_bytes_per_s: links.bandwidth_bytes_per_s,
            busy_until: BTreeMap::new(),
            cuts: BTreeMap::new(),
            degraded: BTreeMap::new(),
            dark,
            measured: BTreeMap::new(),
        }
    }

    /// Number of hosts.
    #[must_use]
    pub fn host_count(&self) -> usize {
        self.zones.len()
    }

    /// Whether segments wait for those before them to leave. Where they do not, what becomes of a
    /// segment ([`Self::transit`]) does not depend on how many bytes it has.
    #[must_use]
    pub const fn has_bandwidth(&self) -> bool {
        self.bandwidth_bytes_per_s.is_some()
    }

    /// Greatest payload of a segment between two hosts, bytes.
    #[must_use]
    pub fn segment_bytes(&self, one: HostNumber, other: HostNumber) -> u32 {
        if self.zones[usize::from(one)] == self.zones[usize::from(other)] {
            self.segment_bytes
        } else {
            self.segment_between_zones_bytes
        }
    }

    /// Sends a segment with `bytes` of payload. `attempt` tells retransmissions of it apart.
    pub fn transit(
        &mut self,
        now_us: u64,
        from: HostNumber,
        to: HostNumber,
        bytes: u64,
        attempt: u8,
    ) -> Transit {
        if self.is_cut(from, to) || self.is_dark(from) || self.is_dark(to) {
            return Transit::Lost;
        }
        let measured = self.measured(from, to);
        let mut weather = self.degradation(from, to);
        if let Some(measured) = measured {
            weather.loss = 1.0 - (1.0 - weather.loss) * (1.0 - measured.loss);
        }
        if weather.loss > 0.0 && self.is_lost(now_us, from, to, attempt, weather.loss) {
            return Transit::Lost;
        }
        let leaves_us = self.leaves_at(now_us, from, to, bytes);
        let usual_us = match measured {
            Some(measured) => measured.latency_us,
            None => self.latency_us(now_us, from, to),
        };
        let latency_us = usual_us + weather.delay_us;
        Transit::Arrives(leaves_us + latency_us)
    }

    /// The one-way latency between two hosts at a time, without what degrades the link.
    #[must_use]
    pub fn latency_us(&self, now_us: u64, from: HostNumber, to: HostNumber) -> u64 {
        let zone = |host: HostNumber| usize::from(self.zones[usize::from(host)]);
        let pair = zone(from) * self.zone_count + zone(to);
        let distribution = &self.distributions[usize::from(self.latency_of[pair])];
        let word = draw(
            self.latency_key,
            place(from, to),
            now_us / WEATHER_CHANGES_EVERY_US,
        );
        distribution.at(word)
    }

    fn is_lost(
        &self,
        now_us: u64,
        from: HostNumber,
        to: HostNumber,
        attempt: u8,
        share: f64,
    ) -> bool {
        let time = now_us.wrapping_mul(16).wrapping_add(u64::from(attempt));
        unit(draw(self.loss_key, place(from, to), time)) < share
    }

    /// When the last bit of a segment leaves, after what is sent already.
    fn leaves_at(&mut self, now_us: u64, from: HostNumber, to: HostNumber, bytes: u64) -> u64 {
        let Some(bytes_per_s) = self.bandwidth_bytes_per_s else {
            return now_us;
        };
        let took_us = (bytes * 1_000_000).div_ceil(bytes_per_s.max(1));
        let busy_until = self.busy_until.entry((from, to)).or_insert(0);
        *busy_until = now_us.max(*busy_until) + took_us;
        *busy_until
    }
}

/// Faults. A connection must be settled ([`crate::tcp::Connection::poll`]) before its links
/// change.
impl Network {
    /// Lets nothing pass from one host to another. Cuts are counted: as many [`Self::heal`]s undo
    /// them.
    pub fn cut(&mut self, from: HostNumber, to: HostNumber) {
        *self.cuts.entry((from, to)).or_insert(0) += 1;
    }

    /// Undoes one [`Self::cut`].
    pub fn heal(&mut self, from: HostNumber, to: HostNumber) {
        if let Some(count) = self.cuts.get_mut(&(from, to)) {
            *count -= 1;
            if *count == 0 {
                self.cuts.remove(&(from, to));
            }
        }
    }

    /// Whether nothing passes from one host to another.
    #[must_use]
    pub fn is_cut(&self, from: HostNumber, to: HostNumber) -> bool {
        !self.cuts.is_empty() && self.cuts.contains_key(&(from, to))
    }

    /// Makes the link from one host to another worse until [`Self::restore`] with the same fault.
    pub fn degrade(
        &mut self,
        fault: FaultNumber,
        from: HostNumber,
        to: HostNumber,
        by: Degradation,
    ) {
        self.degraded
            .entry((from, to))
            .or_default()
            .insert(fault, by);
    }

    /// Takes back what a fault made worse.
    pub fn restore(&mut self, fault: FaultNumber) {
        self.degraded.retain(|_, faults| {
            faults.remove(&fault);
            !faults.is_empty()
        });
    }

    /// Makes the link from one host to another be as it was measured, from now on.
    pub fn set_measured(&mut self, from: HostNumber, to: HostNumber, link: Measured) {
        self.measured.insert((from, to), link);
    }

    /// Forgets what was measured.
    pub fn forget_measured(&mut self) {
        self.measured.clear();
    }

    fn measured(&self, from: HostNumber, to: HostNumber) -> Option<Measured> {
        if self.measured.is_empty() {
            return None;
        }
        self.measured.get(&(from, to)).copied()
    }

    /// Takes the power from a host, or gives it back. A dark host answers nothing.
    pub fn set_dark(&mut self, host: HostNumber, dark: bool) {
        self.dark[usize::from(host)] = dark;
    }

    /// Whether a host has no power.
    #[must_use]
    pub fn is_dark(&self, host: HostNumber) -> bool {
        self.dark[usize::from(host)]
    }

    fn degradation(&self, from: HostNumber, to: HostNumber) -> Degradation {
        let mut sum = Degradation {
            loss: 0.0,
            delay_us: 0,
        };
        if self.degraded.is_empty() {
            return sum;
        }
        for fault in self
            .degraded
            .get(&(from, to))
            .into_iter()
            .flat_map(BTreeMap::values)
        {
            sum.loss = 1.0 - (1.0 - sum.loss) * (1.0 - fault.loss);
            sum.delay_us += fault.delay_us;
        }
        sum
    }
}

fn place(from: HostNumber, to: HostNumber) -> u64 {
    u64::from(from) << 16 | u64::from(to)
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;

    pub(crate) fn constant(latency_us: u64, hosts: usize, segment_bytes: u32) -> Network {
        let latency = Latency::Constant {
            value_us: latency_us as f64,
        };
        let links = Links {
            within_zone: latency,
            between_zones: latency,
            pairs: BTreeMap::new(),
            mss_bytes: segment_bytes,
            mss_between_zones_bytes: segment_bytes,
            bandwidth_bytes_per_s: None,
        };
        Network::new(&links, 1, vec![0; hosts], &Streams::new(1))
    }

    fn three_zones() -> Links {
        Links {
            within_zone: Latency::Normal {
                mean_us: 250.0,
                deviation_us: 50.0,
            },
            between_zones: Latency::Lognormal {
                p50_us: 1_000.0,
                p99_us: 6_000.0,
            },
            pairs: BTreeMap::from([((0, 2), Latency::Constant { value_us: 9_000.0 })]),
            mss_bytes: 65_483,
            mss_between_zones_bytes: 1448,
            bandwidth_bytes_per_s: None,
        }
    }

    #[test]
    fn each_pair_of_zones_has_its_own_latency() {
        let network = Network::new(&three_zones(), 3, vec![0, 0, 1, 2], &Streams::new(3));
        let mean = |from, to| {
            let sum: u64 = (0..1000)
                .map(|ms| network.latency_us(ms * 1000, from, to))
                .sum();
            sum / 1000
        };
        assert!((240..260).contains(&mean(0, 1)), "{}", mean(0, 1));
        assert!((1_200..1_500).contains(&mean(0, 2)), "{}", mean(0, 2));
        assert_eq!((mean(0, 3), mean(3, 1)), (9_000, 9_000));
    }

    #[test]
    fn segments_within_a_zone_and_between_zones_have_their_own_size() {
        let network = Network::new(&three_zones(), 3, vec![0, 0, 1, 2], &Streams::new(3));
        assert_eq!(network.segment_bytes(0, 1), 65_483);
        assert_eq!(network.segment_bytes(1, 2), 1448);
    }

    #[test]
    fn weather_does_not_depend_on_traffic() {
        let links = three_zones();
        let mut busy = Network::new(&links, 3, vec![0, 1, 2], &Streams::new(3));
        let mut calm = busy.clone();
        for at in 0..5_000 {
            busy.transit(at, 0, 1, 100, 0);
        }
        assert_eq!(
            busy.transit(7_000, 0, 1, 1, 0),
            calm.transit(7_000, 0, 1, 1_000, 0)
        );
    }

    #[test]
    fn a_link_cut_twice_heals_when_both_cuts_are_undone() {
        let mut network = constant(100, 2, 1448);
        network.cut(0, 1);
        network.cut(0, 1);
        assert_eq!(
            network.transit(5, 1, 0, 1, 0),
            Transit::Arrives(105),
            "the way back is open"
        );
        network.heal(0, 1);
        assert_eq!(network.transit(5, 0, 1, 1, 0), Transit::Lost);
        network.heal(0, 1);
        assert_eq!(network.transit(5, 0, 1, 1, 0), Transit::Arrives(105));
    }

    #[test]
    fn a_degraded_link_loses_its_share_and_takes_longer() {
        let mut network = constant(100, 2, 1448);
        network.degrade(
            4,
            0,
            1,
            Degradation {
                loss: 0.3,
                delay_us: 40_000,
            },
        );
        let lost = (0..10_000)
            .filter(|&at| match network.transit(at, 0, 1, 1, 0) {
                Transit::Lost => true,
                Transit::Arrives(arrives) => {
                    assert_eq!(arrives, at + 40_100);
                    false
                }
            })
            .count();
        assert!((2_800..3_200).contains(&lost), "{lost}");
        network.restore(4);
        assert_eq!(network.transit(5, 0, 1, 1, 0), Transit::Arrives(105));
    }

    #[test]
    fn a_slow_link_sends_one_segment_after_the_other() {
        let mut network = constant(100, 2, 1448);
        network.bandwidth_bytes_per_s = Some(1_000_000);
        assert_eq!(network.transit(0, 0, 1, 1_000, 0), Transit::Arrives(1_100));
        assert_eq!(network.transit(10, 0, 1, 500, 0), Transit::Arrives(1_600));
        assert_eq!(
            network.transit(9_000, 0, 1, 500, 0),
            Transit::Arrives(9_600)
        );
    }

    #[test]
    fn a_dark_host_neither_sends_nor_receives() {
        let mut network = constant(100, 2, 1448);
        network.set_dark(1, true);
        assert_eq!(network.transit(0, 0, 1, 1, 0), Transit::Lost);
        assert_eq!(network.transit(0, 1, 0, 1, 0), Transit::Lost);
    }
}
