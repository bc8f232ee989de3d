//! A drill after validation: what to build, what to break, what to expect.
//!
//! The drill language (crate `redrill`) produces it; worlds run it. Durations are microseconds,
//! units last.

use std::collections::BTreeMap;
use std::net::IpAddr;

use redrill_node::{Config, Engine, NodeId, SlotRange};
use serde::{Deserialize, Serialize};

use crate::weather::Weather;

/// A validated drill.
#[derive(Clone, PartialEq, Debug)]
pub struct Scenario {
    /// Its name.
    pub name: String,
    /// The question it answers, for reports.
    pub question: Option<String>,
    /// Which server's behaviour.
    pub engine: Engine,
    /// The nodes.
    pub cluster: Cluster,
    /// The links.
    pub network: Network,
    /// The disks.
    pub disk: Disk,
    /// Configuration of every node; addresses and ports are filled in by the world.
    pub config: Config,
    /// The same configuration as written in the drill (`redis.conf` name to value), for reports
    /// and `CONFIG GET`.
    pub config_text: BTreeMap<String, String>,
    /// The load.
    pub workload: Workload,
    /// What happens by itself.
    pub weather: Weather,
    /// The script.
    pub steps: Vec<Step>,
    /// What must hold of the measures.
    pub expectations: Vec<Expectation>,
    /// How long the drill runs after the cluster has formed, healing included.
    pub duration_us: u64,
    /// How long the cluster may take to converge after the last fault has healed.
    pub converge_within_us: u64,
}

/// The nodes of a drill.
#[derive(Clone, PartialEq, Debug)]
pub struct Cluster {
    /// Zone names; at least one.
    pub zones: Vec<String>,
    /// Nodes: masters first, then replicas.
    pub nodes: Vec<NodeSpec>,
    /// How the cluster comes about.
    pub formation: Formation,
    /// The nodes start one after the other, so many microseconds apart; `None`: at random within a
    /// period of their cron, so that their ticks do not coincide.
    pub starts_apart_us: Option<u64>,
}

/// A node of a drill.
#[derive(Clone, PartialEq, Debug)]
pub struct NodeSpec {
    /// Name in the drill and in reports (`m1`, `r1`).
    pub name: String,
    /// Id, if the drill was imported from a real cluster; drawn from the seed otherwise.
    pub id: Option<NodeId>,
    /// Address, if imported; assigned by the world otherwise.
    pub ip: Option<IpAddr>,
    /// Client port.
    pub port: u16,
    /// Index into [`Cluster::zones`].
    pub zone: usize,
    /// Index into [`Cluster::nodes`] of its master; `None` for a master.
    pub replica_of: Option<usize>,
    /// Slots of a master.
    pub slots: Vec<SlotRange>,
    /// Config epoch at the start.
    pub config_epoch: u64,
    /// Configuration that differs from [`Scenario::config`].
    pub config: Option<Config>,
}

/// How a cluster comes about.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Formation {
    /// Every node starts with a state file that names all others.
    #[default]
    Formed,
    /// Empty nodes are joined by `CLUSTER MEET`, `ADDSLOTSRANGE` and `REPLICATE`, as
    /// `redis-cli --cluster create` does.
    Meet,
}

/// The network of a drill. Latencies are one-way.
#[derive(Clone, PartialEq, Debug)]
pub struct Network {
    /// Between two hosts of one zone.
    pub within_zone: Latency,
    /// Between hosts of different zones.
    pub between_zones: Latency,
    /// Exceptions, by pair of zone indexes (lower first; equal for within one zone).
    pub pairs: BTreeMap<(usize, usize), Latency>,
    /// Maximum TCP segment within a zone, bytes: 65483 on loopback, 1448 on Ethernet.
    pub mss_bytes: u32,
    /// Maximum TCP segment between zones, bytes.
    pub mss_between_zones_bytes: u32,
    /// Bandwidth of every link, bytes per second; `None`: unlimited.
    pub bandwidth_bytes_per_s: Option<u64>,
}

/// A distribution of one-way latencies.
#[derive(Clone, Copy, PartialEq, Debug, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", tag = "distribution")]
pub enum Latency {
    /// Always the same.
    Constant {
        /// Value.
        value_us: f64,
    },
    /// Evenly between two bounds.
    Uniform {
        /// Lower bound.
        low_us: f64,
        /// Upper bound.
        high_us: f64,
    },
    /// Normal, cut off below a tenth of the mean.
    Normal {
        /// Mean.
        mean_us: f64,
        /// Standard deviation.
        deviation_us: f64,
    },
    /// Lognormal by its median and 99th percentile.
    Lognormal {
        /// Median.
        p50_us: f64,
        /// 99th percentile.
        p99_us: f64,
    },
    /// Exponential.
    Exponential {
        /// Mean.
        mean_us: f64,
    },
    /// Pareto (a power law) by its median and 99th percentile: a heavier tail than any other.
    Pareto {
        /// Median.
        p50_us: f64,
        /// 99th percentile.
        p99_us: f64,
    },
}

/// The disks of a drill.
#[derive(Clone, PartialEq, Debug)]
pub struct Disk {
    /// Time of one fsync.
    pub fsync: Latency,
}

/// The load of a drill.
#[derive(Clone, PartialEq, Debug)]
pub struct Workload {
    /// The clients.
    pub clients: Vec<ClientSpec>,
    /// Which keys they touch.
    pub keys: Keys,
    /// Share of writes, 0 to 1.
    pub writes: f64,
    /// Whether reads may go to replicas (`READONLY`).
    pub read_from_replicas: bool,
    /// Value size, bytes; at least the 24 that make every value unique.
    pub value_bytes: usize,
}

/// A cluster-aware client: open loop, one connection a node, slot cache, redirects, retries.
#[derive(Clone, PartialEq, Debug)]
pub struct ClientSpec {
    /// Name in the drill and in reports (`c1`).
    pub name: String,
    /// Index into [`Cluster::zones`].
    pub zone: usize,
    /// Operations per second.
    pub rate_per_s: f64,
    /// Time after which an operation is given up.
    pub timeout_us: u64,
    /// While an operation waits, ask another node each this often.
    pub hedge_us: Option<u64>,
    /// Only keys of slots that this node (index into [`Cluster::nodes`]) owns at the start.
    pub only_slots_of: Option<usize>,
    /// Never leave the first node except on MOVED (no refresh, no hedge, no other seed).
    pub sticky: bool,
}

/// Which keys a client touches.
#[derive(Clone, Copy, PartialEq, Debug)]
pub enum Keys {
    /// Every operation a key of its own.
    Unique,
    /// `count` keys, evenly.
    Uniform {
        /// Number of keys.
        count: u32,
    },
    /// `count` keys, the k-th with weight `k^-exponent`.
    Zipf {
        /// Number of keys.
        count: u32,
        /// Exponent.
        exponent: f64,
    },
}

/// A step of the script.
#[derive(Clone, PartialEq, Debug)]
pub struct Step {
    /// When it happens.
    pub trigger: Trigger,
    /// What it does.
    pub action: StepAction,
    /// After how long it is undone; `None`: at the end of the drill.
    pub lasts_us: Option<u64>,
    /// What must follow from it.
    pub expectation: Option<StepExpectation>,
    /// The line of the drill file it stands on, for messages.
    pub line: usize,
}

/// When a step happens.
#[derive(Clone, PartialEq, Debug)]
pub enum Trigger {
    /// At a time after the cluster has formed.
    At {
        /// Time.
        at_us: u64,
        /// A random delay up to this is added, redrawn per seed.
        jitter_us: u64,
    },
    /// Right after a node's fact whose log line contains a text. With a count: at the n-th.
    After {
        /// Part of a log line, compared without regard to case.
        text: String,
        /// Which occurrence, from 1.
        nth: u32,
        /// Delay after it.
        delay_us: u64,
    },
}

/// What a step does.
#[derive(Clone, PartialEq, Debug)]
pub enum StepAction {
    /// Nothing passes between the groups. Nodes and clients in no group are not touched.
    Partition {
        /// At least two groups.
        groups: Vec<Vec<Selector>>,
    },
    /// Nothing passes between the selected and all others (`cut`). One selected set.
    Isolate {
        /// The set that is cut off, together.
        targets: Vec<Selector>,
    },
    /// Nothing passes one way.
    Block {
        /// From.
        from: Selector,
        /// To.
        to: Selector,
    },
    /// The process stands still for the step's time.
    Stall {
        /// Which nodes.
        target: Selector,
        /// How.
        how: StallKind,
    },
    /// The process ends.
    Crash {
        /// Which nodes.
        target: Selector,
        /// How.
        how: CrashKind,
        /// When it starts again; `None`: when the step is undone, or never.
        restart_after_us: Option<u64>,
    },
    /// A crashed process starts again.
    Restart {
        /// Which nodes.
        target: Selector,
    },
    /// The links between two sets become worse.
    Degrade {
        /// One side: the sender, if only one way is meant.
        from: Selector,
        /// The other side.
        to: Selector,
        /// Whether the way back becomes worse too.
        both_ways: bool,
        /// Share of segments lost, 0 to 1; each costs a retransmission.
        loss: f64,
        /// Added one-way latency.
        delay_us: u64,
    },
    /// A host's wall clock changes.
    Clock {
        /// Which nodes.
        target: Selector,
        /// By how much it jumps, ms; undone when the step is undone.
        jump_ms: i64,
    },
    /// A host's disk becomes slow.
    SlowDisk {
        /// Which nodes.
        target: Selector,
        /// Time of one fsync meanwhile.
        fsync: Latency,
    },
    /// An operator sends a command.
    Run {
        /// The command line, as typed into `redis-cli`. `{id:NAME}` stands for a node's id.
        command: String,
        /// To which nodes.
        on: Selector,
    },
    /// An operator moves slots with their keys, as `redis-cli --cluster reshard` does.
    MoveSlots {
        /// Which slots.
        slots: Vec<SlotRange>,
        /// From which master: one node.
        from: Selector,
        /// To which: one node.
        to: Selector,
    },
    /// The load's rate is multiplied.
    Load {
        /// Factor; 0 stops the clients.
        factor: f64,
    },
}

/// How a process stands still.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum StallKind {
    /// `DEBUG SLEEP`: inside a command.
    #[default]
    DebugSleep,
    /// `SIGSTOP` and `SIGCONT`: anywhere, in practice while polling.
    Sigstop,
}

/// How a process ends.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum CrashKind {
    /// `SIGKILL`: connections are reset, what was written to files is kept.
    #[default]
    Kill,
    /// The host loses power: nothing answers, what was not synced is lost.
    PowerOff,
    /// `SHUTDOWN`: connections are closed after the state is saved.
    Shutdown,
}

/// Names a set of nodes (and, in network faults, clients) by name or by role.
#[derive(Clone, PartialEq, Debug)]
pub enum Selector {
    /// A node or client by name.
    Name(String),
    /// Everything in these zones, clients included.
    Zones(Vec<usize>),
    /// Whoever owns a slot when the step happens.
    MasterOfSlot(u16),
    /// The replicas of the selected masters when the step happens.
    ReplicaOf(Box<Selector>),
    /// The masters of the selected replicas when the step happens.
    MasterOf(Box<Selector>),
    /// All masters.
    Masters,
    /// All replicas.
    Replicas,
    /// Every node.
    All,
    /// Every client.
    Clients,
    /// One of the selected, drawn per seed.
    One(Box<Selector>),
    /// Whatever any of these selects, each node and client once.
    Union(Vec<Selector>),
    /// A set of nodes, drawn per seed, with fewer than half of the voting masters and their
    /// share of replicas.
    Minority,
    /// In a partition: everyone in no other group.
    Rest,
}

/// What must follow from a step.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum StepExpectation {
    /// At least one replica is promoted.
    Failover,
    /// Nobody is promoted.
    NoFailover,
}

/// What must hold of a measure over all seeds.
#[derive(Clone, PartialEq, Debug)]
pub struct Expectation {
    /// What is measured.
    pub measure: Measure,
    /// Which statistic of it.
    pub statistic: Statistic,
    /// How it compares.
    pub comparison: Comparison,
    /// With what: milliseconds for times, a number otherwise.
    pub bound: f64,
    /// As it was written.
    pub text: String,
    /// The line of the drill file it stands on.
    pub line: usize,
}

/// A measure that expectations speak of.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Measure {
    /// Fault to promotion (`won_ms`), per failover.
    FailoverTime,
    /// Fault to the first PFAIL, per failover.
    DetectionTime,
    /// First PFAIL to the first FAIL, per failover.
    AgreementTime,
    /// FAIL to the first request for votes, per failover.
    ElectionDelay,
    /// First request for votes to the promotion, per failover.
    VoteTime,
    /// Promotion to the last other node's cluster state ok, per failover.
    ConvergenceTime,
    /// Promotion to the first acknowledged write to the slots that changed hands, per failover.
    CatchUpTime,
    /// Longest gap between acknowledged writes to the failed master's slots, per failover.
    WriteGap,
    /// The same of reads.
    ReadGap,
    /// Time in which a client's writes to a shard failed, the mean over clients and shards, per run.
    WriteUnavailability,
    /// The same of reads.
    ReadUnavailability,
    /// Longest time in which some slot had no node that would serve it, per run.
    CoverageGap,
    /// Acknowledged writes the audit did not find, per run.
    LostAckedWrites,
    /// Promotions of a replica whose master was neither crashed, stalled nor cut off, per run.
    FalseFailovers,
    /// Promotions, per run.
    Failovers,
    /// Suspicions (PFAIL or FAIL) by one node of another that was not out for the node-timeout, per run.
    Mistakes,
    /// How long such a suspicion lasted.
    MistakeTime,
    /// Share of operations that failed, per run.
    FailedOperations,
    /// 99th percentile of the latency of operations that succeeded, ms, per run.
    LatencyP99,
    /// Longest time in which two masters acknowledged writes to one slot, per run.
    DualMasterTime,
    /// Bytes that a node sends on the cluster bus in a second, the mean over nodes, per run.
    BusBandwidth,
}

/// What a measure has one value of.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Per {
    /// A run.
    Run,
    /// A failover.
    Failover,
    /// A mistaken suspicion.
    Mistake,
}

/// What the values of a measure are.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Unit {
    /// Time, in ms wherever it is a bare number.
    Time,
    /// A number of things.
    Number,
    /// A share, 0 to 1.
    Share,
}

impl Measure {
    /// All of them, in the order of the reference.
    pub const ALL: [Self; 21] = [
        Self::FailoverTime,
        Self::DetectionTime,
        Self::AgreementTime,
        Self::ElectionDelay,
        Self::VoteTime,
        Self::ConvergenceTime,
        Self::CatchUpTime,
        Self::WriteGap,
        Self::ReadGap,
        Self::WriteUnavailability,
        Self::ReadUnavailability,
        Self::CoverageGap,
        Self::LostAckedWrites,
        Self::FalseFailovers,
        Self::Failovers,
        Self::Mistakes,
        Self::MistakeTime,
        Self::FailedOperations,
        Self::LatencyP99,
        Self::DualMasterTime,
        Self::BusBandwidth,
    ];

    /// What it is called in a drill.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::FailoverTime => "failover-time",
            Self::DetectionTime => "detection-time",
            Self::AgreementTime => "agreement-time",
            Self::ElectionDelay => "election-delay",
            Self::VoteTime => "vote-time",
            Self::ConvergenceTime => "convergence-time",
            Self::CatchUpTime => "catch-up-time",
            Self::WriteGap => "write-gap",
            Self::ReadGap => "read-gap",
            Self::WriteUnavailability => "write-unavailability",
            Self::ReadUnavailability => "read-unavailability",
            Self::CoverageGap => "coverage-gap",
            Self::LostAckedWrites => "lost-acked-writes",
            Self::FalseFailovers => "false-failovers",
            Self::Failovers => "failovers",
            Self::Mistakes => "mistakes",
            Self::MistakeTime => "mistake-time",
            Self::FailedOperations => "failed-operations",
            Self::LatencyP99 => "latency-p99",
            Self::DualMasterTime => "dual-master-time",
            Self::BusBandwidth => "bus-bandwidth",
        }
    }

    /// What its values are.
    #[must_use]
    pub const fn unit(self) -> Unit {
        match self {
            Self::FailoverTime
            | Self::DetectionTime
            | Self::AgreementTime
            | Self::ElectionDelay
            | Self::VoteTime
            | Self::ConvergenceTime
            | Self::CatchUpTime
            | Self::WriteGap
            | Self::ReadGap
            | Self::WriteUnavailability
            | Self::ReadUnavailability
            | Self::CoverageGap
            | Self::MistakeTime
            | Self::LatencyP99
            | Self::DualMasterTime => Unit::Time,
            Self::LostAckedWrites
            | Self::FalseFailovers
            | Self::Failovers
            | Self::Mistakes
            | Self::BusBandwidth => Unit::Number,
            Self::FailedOperations => Unit::Share,
        }
    }

    /// What it has one value of.
    #[must_use]
    pub const fn per(self) -> Per {
        match self {
            Self::FailoverTime
            | Self::DetectionTime
            | Self::AgreementTime
            | Self::ElectionDelay
            | Self::VoteTime
            | Self::ConvergenceTime
            | Self::CatchUpTime
            | Self::WriteGap
            | Self::ReadGap => Per::Failover,
            Self::WriteUnavailability
            | Self::ReadUnavailability
            | Self::CoverageGap
            | Self::LostAckedWrites
            | Self::FalseFailovers
            | Self::Failovers
            | Self::Mistakes
            | Self::FailedOperations
            | Self::LatencyP99
            | Self::DualMasterTime
            | Self::BusBandwidth => Per::Run,
            Self::MistakeTime => Per::Mistake,
        }
    }

    /// Whether its values of several runs add up, so that it has a rate.
    #[must_use]
    pub const fn adds_up(self) -> bool {
        match self {
            Self::WriteUnavailability
            | Self::ReadUnavailability
            | Self::LostAckedWrites
            | Self::FalseFailovers
            | Self::Failovers
            | Self::Mistakes => true,
            Self::FailoverTime
            | Self::DetectionTime
            | Self::AgreementTime
            | Self::ElectionDelay
            | Self::VoteTime
            | Self::ConvergenceTime
            | Self::CatchUpTime
            | Self::WriteGap
            | Self::ReadGap
            | Self::CoverageGap
            | Self::MistakeTime
            | Self::FailedOperations
            | Self::LatencyP99
            | Self::DualMasterTime
            | Self::BusBandwidth => false,
        }
    }
}

/// A statistic of a measure.
#[derive(Clone, Copy, PartialEq, Debug, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Statistic {
    /// Smallest.
    Min,
    /// Mean.
    Mean,
    /// Median.
    Median,
    /// Percentile, 0 to 100.
    Percentile(f64),
    /// Greatest.
    Max,
    /// Number of failovers, or sum over runs.
    Count,
}

/// How a statistic compares with its bound.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub enum Comparison {
    /// `<`
    #[serde(rename = "<")]
    Less,
    /// `<=`
    #[serde(rename = "<=")]
    LessOrEqual,
    /// `==`
    #[serde(rename = "==")]
    Equal,
    /// `>=`
    #[serde(rename = ">=")]
    GreaterOrEqual,
    /// `>`
    #[serde(rename = ">")]
    Greater,
}
