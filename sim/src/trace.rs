//! The event log: the one source of truth of a run.
//!
//! Reports, measures and verdicts are pure functions of a [`Trace`]. On disk it is NDJSON: the
//! header on the first line, then one record a line, in order of time.

use redrill_node::{Engine, Fact, NodeId, ReplicationId, SlotRange};
use serde::{Deserialize, Serialize};

use crate::scenario::{CrashKind, StallKind};
use crate::weather::WeatherKind;

/// Version of the event log's format.
pub const SCHEMA_VERSION: u32 = 1;

/// A whole run.
#[derive(Clone, PartialEq, Debug)]
pub struct Trace {
    /// What ran.
    pub header: Header,
    /// What happened, in order.
    pub records: Vec<Record>,
}

/// What ran.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub struct Header {
    /// [`SCHEMA_VERSION`].
    pub schema_version: u32,
    /// The drill's name.
    pub drill: String,
    /// The question it answers.
    pub question: Option<String>,
    /// Seed.
    pub seed: u64,
    /// World (`event`, `turmoil`, `live`).
    pub world: String,
    /// Engine.
    pub engine: Engine,
    /// `cluster-node-timeout`, ms.
    pub node_timeout_ms: i64,
    /// Configuration as written in the drill.
    pub config: std::collections::BTreeMap<String, String>,
    /// Zone names.
    pub zones: Vec<String>,
    /// The nodes; a [`NodeNumber`] indexes them.
    pub nodes: Vec<NodeInfo>,
    /// The clients; a [`ClientNumber`] indexes them.
    pub clients: Vec<ClientInfo>,
    /// Unix ms at time 0 of the log.
    pub epoch_ms: i64,
    /// Time the cluster may take to converge after healing.
    pub converge_within_us: u64,
}

/// Place of a node in [`Header::nodes`].
pub type NodeNumber = u16;

/// Place of a client in [`Header::clients`].
pub type ClientNumber = u16;

/// A node that ran.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub struct NodeInfo {
    /// Name in the drill.
    pub name: String,
    /// Id at the start.
    pub id: NodeId,
    /// Index into [`Header::zones`].
    pub zone: usize,
    /// `host:port`.
    pub address: String,
    /// Its master at the start.
    pub replica_of: Option<NodeNumber>,
    /// Its slots at the start.
    pub slots: Vec<SlotRange>,
    /// Whether it keeps its data across a restart.
    pub persistent: bool,
}

/// A client that ran.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub struct ClientInfo {
    /// Name in the drill.
    pub name: String,
    /// Index into [`Header::zones`].
    pub zone: usize,
}

/// One thing that happened.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
pub struct Record {
    /// Microseconds since the run began.
    pub at_us: u64,
    /// What.
    #[serde(flatten)]
    pub event: Event,
}

/// What happened.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
#[serde(tag = "event", rename_all = "kebab-case")]
pub enum Event {
    /// The run entered a phase.
    Phase {
        /// Which.
        phase: Phase,
    },
    /// A node reported something.
    Node {
        /// Which node. Called `on` in the log: a fact has a `node` of its own.
        #[serde(rename = "on")]
        node: NodeNumber,
        /// What.
        #[serde(flatten)]
        fact: Fact,
    },
    /// A process started, ended, stood still or went on.
    Process {
        /// Which node.
        node: NodeNumber,
        /// What.
        change: ProcessChange,
    },
    /// A state file was written.
    StateSaved {
        /// Which node.
        node: NodeNumber,
        /// Whether it is durable.
        synced: bool,
        /// `currentEpoch` in it.
        current_epoch: u64,
        /// `lastVoteEpoch` in it.
        last_vote_epoch: u64,
    },
    /// A state file was read at start.
    StateLoaded {
        /// Which node.
        node: NodeNumber,
        /// What was found.
        outcome: StateLoad,
    },
    /// A scripted fault began. It ends with [`Event::FaultEnded`] of the same step, if at all.
    FaultBegan {
        /// Index of the step.
        step: u16,
        /// What it does.
        fault: FaultKind,
        /// What it touched.
        #[serde(flatten)]
        touched: Box<Touched>,
    },
    /// A scripted fault ended.
    FaultEnded {
        /// Index of the step.
        step: u16,
    },
    /// A step was due, but its trigger never came or its selector matched nothing.
    FaultMissed {
        /// Index of the step.
        step: u16,
        /// Why.
        why: String,
    },
    /// The weather began to do something. It ends with [`Event::WeatherEnded`] of the same number,
    /// or with the drill.
    WeatherBegan {
        /// Its number in this run, in order of time.
        weather: u32,
        /// Which weather.
        kind: WeatherKind,
        /// What it does.
        fault: FaultKind,
        /// For how long, microseconds; 0 if that is not known before.
        lasts_us: u64,
        /// What it touches.
        #[serde(flatten)]
        touched: Box<Touched>,
    },
    /// What the weather did is over.
    WeatherEnded {
        /// Its number.
        weather: u32,
    },
    /// An operator's command was answered.
    Operator {
        /// Which node.
        node: NodeNumber,
        /// The command.
        command: String,
        /// The answer, or the error.
        reply: String,
        /// Whether it was an error or no answer.
        failed: bool,
    },
    /// A client's operation ended.
    Operation(Operation),
    /// The audit read a key that had been written.
    Audited {
        /// The key, as in [`Operation::key`].
        key: u64,
        /// The digest of the key and the value found ([`Operation::write`] of the write that made
        /// it); `None`: nothing there.
        found: Option<u64>,
        /// Who answered; `None`: nobody did.
        node: Option<NodeNumber>,
    },
    /// What the nodes sent on the cluster bus: told when the load begins and when it ends.
    BusTraffic {
        /// Bytes since the process started, by node; `None` if it does not run.
        sent_bytes: Box<[Option<u64>]>,
    },
    /// Something about the world that a reader must know.
    Remark {
        /// Text.
        text: String,
    },
}

/// What a fault or the weather touches.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Touched {
    /// The nodes. Empty (with no clients): it touched nothing.
    pub nodes: Box<[NodeNumber]>,
    /// The clients.
    pub clients: Box<[ClientNumber]>,
    /// In words, for reports: `m1 stalls (DEBUG SLEEP)`.
    pub words: Box<str>,
    /// Pairs of hosts between which nothing passes, sender first: nodes by number, clients after
    /// the nodes (`nodes.len() + client`). Empty unless links are cut.
    pub cut: Box<[(u16, u16)]>,
}

impl Touched {
    /// Whether it touches nothing.
    #[must_use]
    pub const fn is_nothing(&self) -> bool {
        self.nodes.is_empty() && self.clients.is_empty()
    }
}

/// What clients wrote and read, seen from either side: nearly all records of a log are of these.
#[derive(Clone, Copy, Debug)]
pub enum DataEvent<'a> {
    /// [`Event::Operation`]
    Operation(&'a Operation),
    /// [`Event::Audited`]: key, digest found, who answered.
    Audited(u64, Option<u64>, Option<NodeNumber>),
    /// `Fact::Stream` of a node: history, offset, digest.
    Stream(NodeNumber, ReplicationId, u64, u64),
    /// `Fact::Wrote` of a node: digest of the write, offset.
    Wrote(NodeNumber, u64, u64),
}

/// A fault that begins or ends, whatever made it.
#[derive(Clone, Copy, Debug)]
pub enum FaultEvent<'a> {
    /// [`Event::FaultBegan`] or [`Event::WeatherBegan`]
    Began {
        /// What made it.
        source: FaultSource,
        /// What it does.
        fault: FaultKind,
        /// Which weather, if it was weather.
        weather: Option<WeatherKind>,
        /// What it touched.
        touched: &'a Touched,
    },
    /// [`Event::FaultEnded`] or [`Event::WeatherEnded`]: what made the fault.
    Ended(FaultSource),
}

impl Event {
    /// Whether a phase of the drill begins.
    #[must_use]
    pub fn begins(&self, wanted: Phase) -> bool {
        matches!(self, Self::Phase { phase } if *phase == wanted)
    }

    /// The event, if a fault begins or ends with it.
    #[must_use]
    pub const fn fault(&self) -> Option<FaultEvent<'_>> {
        match self {
            Self::FaultBegan {
                step,
                fault,
                touched,
            } => Some(FaultEvent::Began {
                source: FaultSource::Step(*step),
                fault: *fault,
                weather: None,
                touched,
            }),
            Self::WeatherBegan {
                weather,
                kind,
                fault,
                lasts_us: _,
                touched,
            } => Some(FaultEvent::Began {
                source: FaultSource::Weather(*weather),
                fault: *fault,
                weather: Some(*kind),
                touched,
            }),
            Self::FaultEnded { step } => Some(FaultEvent::Ended(FaultSource::Step(*step))),
            Self::WeatherEnded { weather } => {
                Some(FaultEvent::Ended(FaultSource::Weather(*weather)))
            }
            Self::Phase { .. }
            | Self::Node { .. }
            | Self::Process { .. }
            | Self::StateSaved { .. }
            | Self::StateLoaded { .. }
            | Self::FaultMissed { .. }
            | Self::Operator { .. }
            | Self::Operation(_)
            | Self::Audited { .. }
            | Self::BusTraffic { .. }
            | Self::Remark { .. } => None,
        }
    }

    /// The event, if it tells of what clients wrote and read.
    #[must_use]
    pub const fn data(&self) -> Option<DataEvent<'_>> {
        match self {
            Self::Operation(operation) => Some(DataEvent::Operation(operation)),
            Self::Audited { key, found, node } => Some(DataEvent::Audited(*key, *found, *node)),
            Self::Node {
                node,
                fact: Fact::Stream { id, offset, digest },
            } => Some(DataEvent::Stream(*node, *id, *offset, *digest)),
            Self::Node {
                node,
                fact: Fact::Wrote { write, offset },
            } => Some(DataEvent::Wrote(*node, *write, *offset)),
            Self::Phase { .. }
            | Self::Node { .. }
            | Self::Process { .. }
            | Self::StateSaved { .. }
            | Self::StateLoaded { .. }
            | Self::FaultBegan { .. }
            | Self::FaultEnded { .. }
            | Self::FaultMissed { .. }
            | Self::WeatherBegan { .. }
            | Self::WeatherEnded { .. }
            | Self::Operator { .. }
            | Self::BusTraffic { .. }
            | Self::Remark { .. } => None,
        }
    }
}

/// A client's operation. The record's time is its end.
#[derive(Clone, Copy, PartialEq, Debug, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub struct Operation {
    /// Which client.
    pub client: ClientNumber,
    /// Number of the operation, from 0, per client.
    pub number: u32,
    /// When it was due, microseconds since the run began.
    pub issued_us: u64,
    /// The digest of a write's key and value (`redrill_node::write_digest`), equal to
    /// `Fact::Wrote`'s; `None` for a read.
    pub write: Option<u64>,
    /// Digest of the key.
    pub key: u64,
    /// Slot of the key.
    pub slot: u16,
    /// The node that answered last, or was asked last.
    pub node: Option<NodeNumber>,
    /// Number of requests it took, redirects and retries included.
    pub requests: u16,
    /// How it ended.
    pub outcome: Outcome,
}

/// How an operation ended.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Outcome {
    /// Acknowledged.
    Ok,
    /// No answer in time: it may or may not have happened.
    Timeout,
    /// No node could be reached in time. A write did not happen.
    Unreachable,
    /// The connection broke after the request left: it may or may not have happened.
    Lost,
    /// `-CLUSTERDOWN`
    ClusterDown,
    /// `-MOVED` or `-ASK` more often than a client follows.
    TooManyRedirects,
    /// `-READONLY`, `-NOREPLICAS`, `-TRYAGAIN`, `-LOADING`, `-MASTERDOWN` or any other error.
    Error,
}

/// A phase of a run.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Phase {
    /// The cluster comes about.
    Form,
    /// Load and faults.
    Disturb,
    /// Every fault that still holds is undone, crashed nodes start again.
    Heal,
    /// Load goes on until all views agree, or time is up.
    Converge,
    /// Load has stopped; every key is read back.
    Audit,
    /// The end.
    Done,
}

/// What happened to a process.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum ProcessChange {
    /// It started.
    Started,
    /// It ended.
    Crashed(CrashKind),
    /// It stands still.
    Stalled(StallKind),
    /// It goes on.
    Resumed,
}

/// What was found of a state file.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum StateLoad {
    /// None: a fresh node.
    Absent,
    /// It was whole.
    Whole {
        /// `currentEpoch` in it.
        current_epoch: u64,
        /// `lastVoteEpoch` in it.
        last_vote_epoch: u64,
    },
    /// It could not be read.
    Torn,
}

/// What made a fault.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub enum FaultSource {
    /// A step of the script, by its index.
    Step(u16),
    /// The weather, by the number of the happening.
    Weather(u32),
}

/// What a fault does.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum FaultKind {
    /// Nothing passes between groups.
    Partition,
    /// Nothing passes one way.
    Block,
    /// Processes stand still.
    Stall(StallKind),
    /// Processes end.
    Crash(CrashKind),
    /// Processes start.
    Restart,
    /// Links become worse.
    Degrade,
    /// A wall clock jumps.
    Clock,
    /// A disk becomes slow.
    SlowDisk,
    /// An operator's command.
    Run,
    /// The load changes.
    Load,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_record_fills_one_cache_line() {
        assert_eq!(size_of::<Record>(), 64);
    }
}
