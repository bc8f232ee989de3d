//! The drill language: which tables there are, which keys they have, and of what kind.
//!
//! Every key is optional here and a verb is a key like any other; `validate` turns what was
//! written into the closed types of a scenario.

use redrill_sim::scenario::{Keys, Latency};

use super::distributions::Delay;
use super::read::{Anything, Context, FromNode, OneOrMany, Share};
use super::source::Spanned;
use super::tree::{Node, Table, Value, report_unknown_keys};
use super::units::{Bandwidth, Jump, Period, Rate, Size};

/// Defines a table of the language: a plain struct, its keys, and how it is read.
macro_rules! section {
    (
        $(#[$about:meta])*
        $name:ident, $place:literal {
            $($(#[$doc:meta])* $field:ident: $type:ty = $key:literal,)*
        }
    ) => {
        $(#[$about])*
        #[derive(Clone, PartialEq, Debug, Default)]
        pub(crate) struct $name {
            $($(#[$doc])* pub(crate) $field: Option<Spanned<$type>>,)*
            /// Keys whose value could not be read, which has been reported.
            pub(crate) unreadable: Vec<&'static str>,
        }

        impl $name {
            /// The keys, in the order of the reference.
            pub(crate) const KEYS: &'static [&'static str] = &[$($key),*];
        }

        impl FromNode for $name {
            fn from_node(node: &Node, context: &mut Context<'_>) -> Option<Self> {
                let Value::Table(table) = &node.value else {
                    context.not(node, concat!("a table ", $place));
                    return None;
                };
                report_unknown_keys(table, Self::KEYS, concat!("in ", $place), misplaced, context.mistakes);
                let mut unreadable = Vec::new();
                Some(Self {
                    $($field: field(table, $key, &mut unreadable, context),)*
                    unreadable,
                })
            }
        }
    };
}

section! {
    /// The whole file.
    Drill, "the drill" {
        schema: u64 = "schema",
        name: String = "name",
        question: String = "question",
        engine: String = "engine",
        duration: Period = "duration",
        converge_within: Period = "converge-within",
        cluster: Cluster = "cluster",
        network: Network = "network",
        disk: Disk = "disk",
        config: Table = "config",
        workload: Workload = "workload",
        weather: Weather = "weather",
        steps: Vec<Spanned<Step>> = "step",
        expect: Table = "expect",
        sweep: Sweep = "sweep",
    }
}

section! {
    /// `[cluster]`
    Cluster, "[cluster]" {
        masters: u64 = "masters",
        replicas_per_master: u64 = "replicas-per-master",
        zones: Vec<Spanned<String>> = "zones",
        first_port: u64 = "first-port",
        formation: String = "formation",
        starts_apart: Period = "starts-apart",
        nodes: Vec<Spanned<ClusterNode>> = "node",
    }
}

section! {
    /// `[[cluster.node]]`
    ClusterNode, "[[cluster.node]]" {
        name: String = "name",
        id: String = "id",
        address: String = "address",
        zone: String = "zone",
        slots: OneOrMany<Anything> = "slots",
        replica_of: String = "replica-of",
        config_epoch: u64 = "config-epoch",
    }
}

section! {
    /// `[network]`
    Network, "[network]" {
        within_zone: Latency = "within-zone",
        between_zones: Latency = "between-zones",
        mss: Size = "mss",
        mss_between_zones: Size = "mss-between-zones",
        bandwidth: Bandwidth = "bandwidth",
        links: Vec<Spanned<ZoneLink>> = "link",
    }
}

section! {
    /// `[[network.link]]`
    ZoneLink, "[[network.link]]" {
        between: OneOrMany<String> = "between",
        latency: Latency = "latency",
    }
}

section! {
    /// `[disk]`
    Disk, "[disk]" {
        fsync: Latency = "fsync",
    }
}

section! {
    /// `[workload]`
    Workload, "[workload]" {
        clients: OneOrMany<Clients> = "clients",
        keys: Keys = "keys",
        writes: Share = "writes",
        value_size: Size = "value-size",
        read_from_replicas: bool = "read-from-replicas",
    }
}

section! {
    /// `clients = { ... }`, a group of like clients.
    Clients, "`clients`" {
        name: String = "name",
        count: u64 = "count",
        per_zone: u64 = "per-zone",
        per_master: u64 = "per-master",
        slots_of: String = "slots-of",
        zone: String = "zone",
        rate: Rate = "rate",
        timeout: Period = "timeout",
        hedge: Period = "hedge",
        sticky: bool = "sticky",
    }
}

section! {
    /// `[weather]`
    Weather, "[weather]" {
        spells: Vec<Spanned<WeatherSpell>> = "spell",
        pauses: Vec<Spanned<WeatherPause>> = "pause",
        zone_outages: Vec<Spanned<WeatherOutage>> = "zone-outage",
        crashes: Vec<Spanned<WeatherCrash>> = "crash",
        trace: String = "trace",
        rtt_trace: String = "rtt-trace",
    }
}

section! {
    /// `[[weather.spell]]`
    WeatherSpell, "[[weather.spell]]" {
        on: OneOrMany<String> = "on",
        between: Vec<Spanned<OneOrMany<String>>> = "between",
        from: OneOrMany<String> = "from",
        to: OneOrMany<String> = "to",
        every: Latency = "every",
        rate: Rate = "rate",
        lasts: Latency = "for",
        loss: Share = "loss",
        delay: Delay = "delay",
    }
}

section! {
    /// `[[weather.pause]]`
    WeatherPause, "[[weather.pause]]" {
        on: OneOrMany<String> = "on",
        cause: String = "cause",
        every: Latency = "every",
        rate: Rate = "rate",
        length: Latency = "length",
    }
}

section! {
    /// `[[weather.zone-outage]]`
    WeatherOutage, "[[weather.zone-outage]]" {
        zone: OneOrMany<String> = "zone",
        how: String = "how",
        every: Latency = "every",
        rate: Rate = "rate",
        length: Latency = "length",
    }
}

section! {
    /// `[[weather.crash]]`
    WeatherCrash, "[[weather.crash]]" {
        on: OneOrMany<String> = "on",
        how: String = "how",
        every: Latency = "every",
        rate: Rate = "rate",
        restart_after: Latency = "restart-after",
    }
}

section! {
    /// `[[step]]`
    Step, "[[step]]" {
        at: Period = "at",
        jitter: Period = "jitter",
        after: String = "after",
        nth: u64 = "nth",
        delay: Period = "delay",
        partition: OneOrMany<Anything> = "partition",
        cut: OneOrMany<String> = "cut",
        block: Block = "block",
        stall: OneOrMany<String> = "stall",
        crash: OneOrMany<String> = "crash",
        restart: OneOrMany<String> = "restart",
        degrade: Degrade = "degrade",
        clock: Clock = "clock",
        slow_disk: SlowDisk = "slow-disk",
        run: String = "run",
        move_slots: MoveSlots = "move-slots",
        load: Load = "load",
        how: String = "how",
        disk: String = "disk",
        restart_after: Period = "restart-after",
        on: OneOrMany<String> = "on",
        lasts: Period = "for",
        expect: String = "expect",
    }
}

section! {
    /// `block = { ... }`
    Block, "`block`" {
        from: OneOrMany<String> = "from",
        to: OneOrMany<String> = "to",
    }
}

section! {
    /// `move-slots = { ... }`
    MoveSlots, "`move-slots`" {
        slots: OneOrMany<Anything> = "slots",
        from: OneOrMany<String> = "from",
        to: OneOrMany<String> = "to",
    }
}

section! {
    /// `degrade = { ... }`
    Degrade, "`degrade`" {
        between: Vec<Spanned<OneOrMany<String>>> = "between",
        from: OneOrMany<String> = "from",
        to: OneOrMany<String> = "to",
        loss: Share = "loss",
        delay: Jump = "delay",
    }
}

section! {
    /// `clock = { ... }`
    Clock, "`clock`" {
        node: OneOrMany<String> = "node",
        jump: Jump = "jump",
    }
}

section! {
    /// `slow-disk = { ... }`
    SlowDisk, "`slow-disk`" {
        node: OneOrMany<String> = "node",
        fsync: Latency = "fsync",
    }
}

section! {
    /// `load = { ... }`
    Load, "`load`" {
        factor: f64 = "factor",
    }
}

section! {
    /// `[sweep]`
    Sweep, "[sweep]" {
        set: Table = "set",
        seeds: Anything = "seeds",
        slo: OneOrMany<String> = "slo",
    }
}

/// Where a key belongs that stands in the wrong table.
pub(super) fn misplaced(key: &str) -> Option<String> {
    let homes: &[(&[&str], &str)] = &[
        (Cluster::KEYS, "under [cluster]"),
        (Network::KEYS, "under [network]"),
        (Disk::KEYS, "under [disk]"),
        (Workload::KEYS, "under [workload]"),
        (Clients::KEYS, "in `clients = { ... }` under [workload]"),
        (Step::KEYS, "in a [[step]]"),
        (Weather::KEYS, "under [weather]"),
        (WeatherPause::KEYS, "in a [[weather.pause]]"),
        (WeatherSpell::KEYS, "in a [[weather.spell]]"),
        (WeatherOutage::KEYS, "in a [[weather.zone-outage]]"),
        (Sweep::KEYS, "under [sweep]"),
        (
            Drill::KEYS,
            "at the top of the drill, before the first [table]",
        ),
    ];
    let home = homes.iter().find(|(keys, _)| keys.contains(&key));
    home.map(|(_, place)| format!("`{key}` stands {place}"))
        .or_else(|| {
            super::expectations::is_measure(key)
                .then(|| format!("`{key}` is a measure: it stands under [expect]"))
        })
        .or_else(|| {
            super::directives::is_directive(key)
                .then(|| format!("`{key}` is a directive of redis.conf: it stands under [config]"))
        })
}

fn field<T: FromNode>(
    table: &Table,
    key: &'static str,
    unreadable: &mut Vec<&'static str>,
    context: &mut Context<'_>,
) -> Option<Spanned<T>> {
    let entry = table.get(key)?;
    let value = T::from_node(&entry.value, context);
    if value.is_none() {
        unreadable.push(key);
    }
    Some(Spanned::new(value?, entry.value.span))
}
