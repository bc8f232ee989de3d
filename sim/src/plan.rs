//! Everything a run draws before it starts: a function of the scenario and the seed.

use std::collections::BTreeSet;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::sync::Arc;

use redrill_node::{
    Address, Config, NodeFlags, NodeId, Quirk, SavedNode, SavedState, Seed, SlotRange, SlotSet,
};

use crate::rng::{Purpose, Stream, Streams};
use crate::scenario::{Formation, NodeSpec, Scenario, Trigger};
use crate::trace::NodeNumber;
use crate::weather::{self, Gust, TooMuchWeather};

/// How far a bus port lies above its client port (`CLUSTER_PORT_INCR`).
const BUS_PORT_ABOVE: u16 = 10_000;

/// Unless a scenario says otherwise, nodes start within one period of their cron, so that their
/// ticks do not coincide.
const START_WITHIN_US: u64 = 100_000;

/// How long a node's cron runs. On real servers two ticks lie 100.87 ms apart (the mean of 350 pairs
/// in the logs of the calibration's trials): 100 are the period, 0.5 the poll's whole milliseconds,
/// the rest is this. It decides how many ticks a node-timeout has, and with that whether a node is
/// suspected before or after the ping of each second.
const CRON_TAKES_US: u32 = 370;

/// Unix milliseconds after which every run begins.
const EPOCH_MS: i64 = 1_700_000_000_000;

/// Runs begin within this time after [`EPOCH_MS`].
const EPOCH_WITHIN_MS: u64 = 1_000_000_000;

/// What a seed makes of a scenario.
#[derive(Clone, Debug)]
pub struct Plan {
    /// All further randomness of the run.
    pub streams: Streams,
    /// Unix ms at the beginning of the run.
    pub epoch_ms: i64,
    /// The nodes, in the scenario's order.
    pub nodes: Vec<NodePlan>,
    /// The steps, in the scenario's order.
    pub steps: Vec<StepPlan>,
    /// What the weather does, in order of time.
    pub gusts: Arc<[Gust]>,
}

/// What a seed makes of a node.
#[derive(Clone, Debug)]
pub struct NodePlan {
    /// Its id.
    pub id: NodeId,
    /// Its client address.
    pub address: SocketAddr,
    /// Its configuration, address and ports filled in.
    pub config: Config,
    /// The state file it starts with.
    pub state: Arc<SavedState>,
    /// When it starts, microseconds since the run began.
    pub starts_us: u64,
}

/// What a seed makes of a step.
#[derive(Clone, Debug)]
pub struct StepPlan {
    /// When it is due, microseconds after the cluster has formed; `None`: when something else
    /// happens.
    pub due_us: Option<u64>,
    /// Random bits by which it chooses whom it hits.
    pub choices: Stream,
}

/// Why a scenario cannot be run.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
pub enum PlanError {
    /// There is no node.
    #[error("the cluster has no nodes")]
    NoNodes,
    /// There are more nodes than numbers.
    #[error("the cluster has {0} nodes, at most {most} can be simulated", most = MOST_NODES)]
    TooManyNodes(usize),
    /// A port leaves no room for the bus port.
    #[error(
        "node {name} has port {port}, its bus port would be above 65535: use a port below 55536"
    )]
    Port {
        /// The node.
        name: String,
        /// Its port.
        port: u16,
    },
    /// Two nodes have one address.
    #[error("nodes {first} and {second} both have the address {address}")]
    SameAddress {
        /// One node.
        first: String,
        /// The other.
        second: String,
        /// The address.
        address: SocketAddr,
    },
    /// Two nodes have one id.
    #[error("nodes {first} and {second} both have the id {id}")]
    SameId {
        /// One node.
        first: String,
        /// The other.
        second: String,
        /// The id.
        id: NodeId,
    },
    /// The weather does more than can be kept.
    #[error(transparent)]
    Weather(#[from] TooMuchWeather),
}

/// The most nodes that have a number.
const MOST_NODES: usize = 16_384;

impl Plan {
    /// Draws everything.
    ///
    /// # Errors
    /// [`PlanError`] if the scenario's nodes cannot exist side by side, or too much would happen.
    pub fn new(scenario: &Scenario, seed: u64) -> Result<Self, PlanError> {
        let streams = Streams::new(seed);
        let specs = &scenario.cluster.nodes;
        match specs.len() {
            0 => return Err(PlanError::NoNodes),
            count if count > MOST_NODES => return Err(PlanError::TooManyNodes(count)),
            _ => (),
        }
        let addresses = addresses(specs)?;
        let ids = ids(specs, &streams)?;
        let epoch = streams.stream(Purpose::Epoch, 0).below(EPOCH_WITHIN_MS);
        let slots: Vec<Arc<SlotSet>> = specs
            .iter()
            .map(|spec| Arc::new(slot_set(&spec.slots)))
            .collect();
        let known = Known {
            ids: &ids,
            addresses: &addresses,
            slots: &slots,
            shard_ids: &shard_ids(scenario, &streams),
        };
        let nodes = (0..specs.len()).map(|place| {
            let address = addresses[place];
            NodePlan {
                id: ids[place],
                address,
                config: config(scenario, place, address),
                state: Arc::new(state(scenario, place, &known)),
                starts_us: match scenario.cluster.starts_apart_us {
                    Some(apart_us) => apart_us.saturating_mul(place as u64),
                    None => streams
                        .stream(Purpose::CronPhase, place as u64)
                        .below(START_WITHIN_US),
                },
            }
        });
        let steps = scenario
            .steps
            .iter()
            .zip(0..)
            .map(|(step, place)| StepPlan {
                due_us: match step.trigger {
                    Trigger::At { at_us, jitter_us } => {
                        let jitter = streams
                            .stream(Purpose::StepTime, place)
                            .below(jitter_us + 1);
                        Some(at_us + jitter)
                    }
                    Trigger::After { .. } => None,
                },
                choices: streams.stream(Purpose::StepTarget, place),
            });
        let (weather, cluster) = (&scenario.weather, &scenario.cluster);
        let gusts = weather::draw(weather, cluster, scenario.duration_us, &streams)?;
        Ok(Self {
            streams,
            epoch_ms: EPOCH_MS + epoch.cast_signed(),
            nodes: nodes.collect(),
            steps: steps.collect(),
            gusts: gusts.into(),
        })
    }

    /// The randomness of a node's process; `start` counts its starts from 0.
    #[must_use]
    pub fn node_seed(&self, node: NodeNumber, start: u32) -> Seed {
        let entity = u64::from(start) << 32 | u64::from(node);
        Seed(self.streams.stream(Purpose::NodeSeed, entity).bytes())
    }

    /// The nodes' client addresses.
    #[must_use]
    pub fn addresses(&self) -> Vec<SocketAddr> {
        self.nodes.iter().map(|node| node.address).collect()
    }
}

/// Addresses as given; otherwise all on one host if their ports differ, else each on a host of its
/// own.
fn addresses(specs: &[NodeSpec]) -> Result<Vec<SocketAddr>, PlanError> {
    let ports: BTreeSet<u16> = specs.iter().map(|spec| spec.port).collect();
    let one_host = ports.len() == specs.len();
    let mut addresses: Vec<SocketAddr> = Vec::with_capacity(specs.len());
    for (spec, place) in specs.iter().zip(1_u16..) {
        if spec.port > u16::MAX - BUS_PORT_ABOVE {
            return Err(PlanError::Port {
                name: spec.name.clone(),
                port: spec.port,
            });
        }
        let host = if one_host {
            Ipv4Addr::LOCALHOST
        } else {
            let [high, low] = place.to_be_bytes();
            Ipv4Addr::new(10, spec.zone as u8, high, low)
        };
        addresses.push(SocketAddr::new(
            spec.ip.unwrap_or(IpAddr::V4(host)),
            spec.port,
        ));
    }
    match first_double(&addresses) {
        Some((first, second)) => Err(PlanError::SameAddress {
            first: specs[first].name.clone(),
            second: specs[second].name.clone(),
            address: addresses[first],
        }),
        None => Ok(addresses),
    }
}

fn ids(specs: &[NodeSpec], streams: &Streams) -> Result<Vec<NodeId>, PlanError> {
    let drawn = |place| NodeId(streams.stream(Purpose::NodeId, place).bytes());
    let ids: Vec<NodeId> = specs
        .iter()
        .zip(0..)
        .map(|(spec, place)| spec.id.unwrap_or_else(|| drawn(place)))
        .collect();
    match first_double(&ids) {
        Some((first, second)) => Err(PlanError::SameId {
            first: specs[first].name.clone(),
            second: specs[second].name.clone(),
            id: ids[first],
        }),
        None => Ok(ids),
    }
}

/// The places of the first two equal items.
fn first_double<T: Ord>(items: &[T]) -> Option<(usize, usize)> {
    let mut order: Vec<usize> = (0..items.len()).collect();
    order.sort_by(|&a, &b| items[a].cmp(&items[b]).then(a.cmp(&b)));
    order
        .windows(2)
        .find(|pair| items[pair[0]] == items[pair[1]])
        .map(|pair| (pair[0], pair[1]))
}

fn config(scenario: &Scenario, place: usize, address: SocketAddr) -> Config {
    let own = scenario.cluster.nodes[place].config.as_ref();
    let mut config = own.unwrap_or(&scenario.config).clone();
    config.engine = scenario.engine;
    config.cron_takes_us = CRON_TAKES_US;
    // Points of `save` are not simulated.
    config.save.clear();
    // A process that is shut down ends at once.
    let known = config.set("shutdown-timeout", "0");
    debug_assert!(known.is_ok(), "a directive of Redis");
    // There is nobody outside a simulated network.
    config.protected_mode = false;
    config.announce_ip = Some(address.ip());
    config.port = address.port();
    config.bus_port = address.port() + BUS_PORT_ABOVE;
    config
}

/// What is drawn of all nodes, by place.
#[derive(Clone, Copy)]
struct Known<'a> {
    ids: &'a [NodeId],
    addresses: &'a [SocketAddr],
    slots: &'a [Arc<SlotSet>],
    /// Of the shard that a master starts with; empty if the engine has none.
    shard_ids: &'a [NodeId],
}

fn shard_ids(scenario: &Scenario, streams: &Streams) -> Vec<NodeId> {
    if !scenario.engine.has(Quirk::ShardIds) {
        return Vec::new();
    }
    (0..scenario.cluster.nodes.len() as u64)
        .map(|place| NodeId(streams.stream(Purpose::ShardId, place).bytes()))
        .collect()
}

/// A cluster that is formed already knows all its nodes; one that will meet starts with nodes that
/// know themselves alone.
fn state(scenario: &Scenario, place: usize, known: &Known<'_>) -> SavedState {
    let Known {
        ids,
        addresses,
        slots,
        shard_ids,
    } = *known;
    let specs = &scenario.cluster.nodes;
    let formed = scenario.cluster.formation == Formation::Formed;
    let nodes = (0..specs.len()).filter(|&other| formed || other == place);
    let nodes = nodes.map(|other| {
        let spec = &specs[other];
        let master = spec.replica_of.filter(|_| formed);
        let role = if master.is_some() {
            NodeFlags::REPLICA
        } else {
            NodeFlags::MASTER
        };
        let myself = if other == place {
            NodeFlags::MYSELF
        } else {
            NodeFlags::empty()
        };
        SavedNode {
            id: ids[other],
            address: Address {
                ip: Some(addresses[other].ip()),
                port: addresses[other].port(),
                bus_port: addresses[other].port() + BUS_PORT_ABOVE,
            },
            hostname: None,
            shard_id: shard_ids
                .get(specs[other].replica_of.unwrap_or(other))
                .copied(),
            flags: role | myself,
            replica_of: master.map(|master| ids[master]),
            ping_sent_ms: 0,
            // A node that remembers a pong does not ping at once: it waits for the link to be up.
            pong_received_ms: if formed { EPOCH_MS } else { 0 },
            config_epoch: match (formed, master) {
                (false, _) => 0,
                (true, Some(master)) => specs[master].config_epoch,
                (true, None) => spec.config_epoch,
            },
            link_up: true,
            slots: if formed {
                Arc::clone(&slots[other])
            } else {
                Arc::default()
            },
            migrating: Vec::new(),
            importing: Vec::new(),
        }
    });
    let greatest = specs
        .iter()
        .map(|spec| spec.config_epoch)
        .max()
        .unwrap_or(0);
    SavedState {
        nodes: nodes.collect(),
        current_epoch: if formed { greatest } else { 0 },
        last_vote_epoch: 0,
    }
}

fn slot_set(ranges: &[SlotRange]) -> SlotSet {
    ranges
        .iter()
        .flat_map(|range| range.first..=range.last)
        .collect()
}
