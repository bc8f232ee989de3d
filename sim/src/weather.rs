//! Weather: what a production network and its hosts do over hours, without anybody's doing.
//!
//! A drill describes it by distributions, or replays what was recorded. Either way everything that
//! happens is drawn before the run ([`draw`]), from streams of its own for each kind of weather and
//! each host, so that it does not depend on the configuration under test: two configurations meet
//! the same weather.

mod draw;

use std::sync::Arc;

pub use draw::{Gust, MOST_GUSTS, Strike, TooMuchWeather, draw};
use serde::{Deserialize, Serialize};

use crate::scenario::{CrashKind, Latency, Selector};
use crate::trace::NodeNumber;

/// The weather of a drill.
#[derive(Clone, PartialEq, Debug, Default)]
pub struct Weather {
    /// Times in which links are bad.
    pub spells: Vec<Spell>,
    /// Times in which processes or disks stand still.
    pub pauses: Vec<Pause>,
    /// Times in which a zone is gone.
    pub zone_outages: Vec<ZoneOutage>,
    /// Ends of processes, and hosts that lose power.
    pub crashes: Vec<HostCrash>,
    /// Pauses as they were recorded, in order of time.
    pub recorded_pauses: Arc<[RecordedPause]>,
    /// Round-trip times as they were recorded, in order of time.
    pub recorded_links: Arc<[RecordedLink]>,
}

/// Links are bad now and then.
#[derive(Clone, PartialEq, Debug)]
pub struct Spell {
    /// Time from one beginning to the next.
    pub every: Latency,
    /// How long one lasts.
    pub lasts: Latency,
    /// Which links.
    pub links: SpellLinks,
    /// Share of segments lost, 0 to 1; each costs a retransmission.
    pub loss: f64,
    /// Added one-way latency, drawn once a spell.
    pub delay: Option<Latency>,
}

/// The links that are bad in a spell.
#[derive(Clone, PartialEq, Debug)]
pub enum SpellLinks {
    /// All links of a host, to and from it. Each selected host has spells of its own.
    OfEach(Selector),
    /// Those between two sets, together.
    Between(Selector, Selector),
    /// Those from one set to another, together.
    OneWay(Selector, Selector),
}

/// Something on a host stands still now and then. Each selected host has pauses of its own.
#[derive(Clone, PartialEq, Debug)]
pub struct Pause {
    /// On which hosts.
    pub target: Selector,
    /// Why.
    pub cause: PauseCause,
    /// Time from one beginning to the next.
    pub every: Latency,
    /// How long one lasts.
    pub lasts: Latency,
}

/// Why something stands still, and with that, what.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum PauseCause {
    /// `fork()` of a large process, for a snapshot or a rewrite: blocks inside the event loop.
    Fork,
    /// A command that takes long: blocks inside the event loop.
    SlowCommand,
    /// The hypervisor gives the processor to somebody else: the process stops anywhere.
    VmSteal,
    /// Memory is read back from a disk: the process stops anywhere.
    Swap,
    /// The disk syncs the append-only file, and everything else that is to be synced waits. The
    /// event loop waits too where it writes to that file: at once with `appendfsync always`, after
    /// two seconds with `everysec`.
    AofFsync,
}

/// A zone is gone now and then. Each zone has outages of its own.
#[derive(Clone, PartialEq, Debug)]
pub struct ZoneOutage {
    /// Which zones, by index.
    pub zones: Vec<usize>,
    /// How.
    pub how: ZoneOutageKind,
    /// Time from one beginning to the next.
    pub every: Latency,
    /// How long one lasts.
    pub lasts: Latency,
}

/// How a zone is gone.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum ZoneOutageKind {
    /// Nothing passes between it and all others, clients included.
    #[default]
    Cut,
    /// Its hosts lose power, and start again when it is over.
    PowerOff,
}

/// A host's process ends now and then. Each selected host has crashes of its own.
#[derive(Clone, PartialEq, Debug)]
pub struct HostCrash {
    /// On which hosts.
    pub target: Selector,
    /// How.
    pub how: CrashKind,
    /// Time from one to the next.
    pub every: Latency,
    /// Time until it starts again.
    pub restart_after: Latency,
}

/// A pause that was recorded.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct RecordedPause {
    /// When it began, microseconds after the cluster has formed.
    pub at_us: u64,
    /// On which host; `None`: on every one.
    pub node: Option<NodeNumber>,
    /// How long it lasted.
    pub lasts_us: u64,
    /// Why.
    pub cause: PauseCause,
}

/// What was recorded of a link. It holds until the next line about the same link.
#[derive(Clone, Copy, PartialEq, Debug)]
pub struct RecordedLink {
    /// When it was measured, microseconds after the cluster has formed.
    pub at_us: u64,
    /// The two ends, in the order in which they were written. It holds both ways.
    pub ends: (LinkEnd, LinkEnd),
    /// Time there and back.
    pub round_trip_us: u64,
    /// Share of segments lost, 0 to 1.
    pub loss: f64,
}

/// An end of links that were measured.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub enum LinkEnd {
    /// Every host of a zone, clients included.
    Zone(u16),
    /// A node, or a client after the nodes.
    Host(u16),
}

/// A recorded link is bad enough to be told of when it takes longer than this one way.
pub const BAD_LATENCY_US: u64 = 100_000;

/// What kind of weather a fault is.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum WeatherKind {
    /// Links are bad.
    Spell,
    /// [`PauseCause::Fork`].
    Fork,
    /// [`PauseCause::SlowCommand`].
    SlowCommand,
    /// [`PauseCause::VmSteal`].
    VmSteal,
    /// [`PauseCause::Swap`].
    Swap,
    /// [`PauseCause::AofFsync`].
    AofFsync,
    /// A zone is gone.
    ZoneOutage,
    /// A host's process ended.
    Crash,
}

impl WeatherKind {
    /// Whether the host lives through it with all it knows. Nobody failed then, and whoever holds
    /// the host for failed is mistaken, however long it lasts: how much a longer node-timeout
    /// would forgive must not be reckoned by the node-timeout.
    #[must_use]
    pub const fn spares_the_host(self) -> bool {
        match self {
            Self::Spell
            | Self::Fork
            | Self::SlowCommand
            | Self::VmSteal
            | Self::Swap
            | Self::AofFsync => true,
            Self::ZoneOutage | Self::Crash => false,
        }
    }
}

impl Weather {
    /// Whether there is none at all.
    #[must_use]
    pub fn is_calm(&self) -> bool {
        self.spells.is_empty()
            && self.pauses.is_empty()
            && self.zone_outages.is_empty()
            && self.crashes.is_empty()
            && self.recorded_pauses.is_empty()
            && self.recorded_links.is_empty()
    }
}

impl RecordedLink {
    /// One-way latency.
    #[must_use]
    pub const fn latency_us(&self) -> u64 {
        self.round_trip_us.div_ceil(2)
    }

    /// Whether it is so bad that it may hold up a failover.
    #[must_use]
    pub fn is_bad(&self) -> bool {
        self.loss > 0.0 || self.latency_us() > BAD_LATENCY_US
    }
}

impl PauseCause {
    /// All of them, in the order of the reference.
    pub const ALL: [Self; 5] = [
        Self::Fork,
        Self::SlowCommand,
        Self::VmSteal,
        Self::Swap,
        Self::AofFsync,
    ];

    /// What it is called in a drill.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Fork => "fork",
            Self::SlowCommand => "slow-command",
            Self::VmSteal => "vm-steal",
            Self::Swap => "swap",
            Self::AofFsync => "aof-fsync",
        }
    }

    /// The kind of weather it makes.
    #[must_use]
    pub const fn kind(self) -> WeatherKind {
        match self {
            Self::Fork => WeatherKind::Fork,
            Self::SlowCommand => WeatherKind::SlowCommand,
            Self::VmSteal => WeatherKind::VmSteal,
            Self::Swap => WeatherKind::Swap,
            Self::AofFsync => WeatherKind::AofFsync,
        }
    }
}

impl WeatherKind {
    /// It in a few words, for one of them.
    #[must_use]
    pub const fn words(self) -> &'static str {
        match self {
            Self::Spell => "spell of bad links",
            Self::Fork => "fork pause",
            Self::SlowCommand => "slow command",
            Self::VmSteal => "VM steal",
            Self::Swap => "swap pause",
            Self::AofFsync => "AOF fsync pause",
            Self::ZoneOutage => "zone outage",
            Self::Crash => "host crash",
        }
    }

    /// It in a few words, for several.
    #[must_use]
    pub const fn plural(self) -> &'static str {
        match self {
            Self::Spell => "spells of bad links",
            Self::Fork => "fork pauses",
            Self::SlowCommand => "slow commands",
            Self::VmSteal => "VM steals",
            Self::Swap => "swap pauses",
            Self::AofFsync => "AOF fsync pauses",
            Self::ZoneOutage => "zone outages",
            Self::Crash => "host crashes",
        }
    }
}
