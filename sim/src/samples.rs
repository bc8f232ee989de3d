//! Scenarios for tests.

use std::collections::BTreeMap;

use redrill_node::{Config, Engine, SlotRange};

use crate::scenario::{
    ClientSpec, Cluster, CrashKind, Disk, Formation, Keys, Latency, Network, NodeSpec, Scenario,
    Selector, Step, StepAction, Trigger, Workload,
};

use crate::weather::Weather;

/// Microseconds in a second.
pub(crate) const SECOND: u64 = 1_000_000;

/// Masters `m1`..., each with replicas `r1`..., zones in turn, one hedging writer a master; a quiet
/// drill of ten seconds at a node-timeout of two.
pub(crate) fn cluster(masters: usize, replicas_per_master: usize) -> Scenario {
    let zones = vec!["a".to_owned(), "b".to_owned(), "c".to_owned()];
    let bound = |master: usize| (16_384 * master / masters) as u16;
    let mut nodes = Vec::new();
    for place in 0..masters * (1 + replicas_per_master) {
        let replica_of = place.checked_sub(masters).map(|replica| replica % masters);
        let name = match place.checked_sub(masters) {
            None => format!("m{}", place + 1),
            Some(replica) => format!("r{}", replica + 1),
        };
        nodes.push(NodeSpec {
            name,
            id: None,
            ip: None,
            port: 7000 + place as u16,
            zone: (place + place / masters) % zones.len(),
            replica_of,
            slots: match replica_of {
                None => vec![SlotRange {
                    first: bound(place),
                    last: bound(place + 1) - 1,
                }],
                Some(_) => vec![],
            },
            config_epoch: place as u64 + 1,
            config: None,
        });
    }
    let clients = (0..masters).map(|master| ClientSpec {
        name: format!("c{}", master + 1),
        zone: master % zones.len(),
        rate_per_s: 50.0,
        timeout_us: 200_000,
        hedge_us: Some(10_000),
        only_slots_of: Some(master),
        sticky: false,
    });
    let clients = clients.collect();
    Scenario {
        name: "sample".to_owned(),
        question: None,
        engine: Engine::Redis70,
        cluster: Cluster {
            zones,
            nodes,
            formation: Formation::Formed,
            starts_apart_us: None,
        },
        network: Network {
            within_zone: Latency::Constant { value_us: 50.0 },
            between_zones: Latency::Constant { value_us: 50.0 },
            pairs: BTreeMap::new(),
            mss_bytes: 65_483,
            mss_between_zones_bytes: 65_483,
            bandwidth_bytes_per_s: None,
        },
        disk: Disk {
            fsync: Latency::Constant { value_us: 500.0 },
        },
        config: Config {
            cluster_node_timeout_ms: 2_000,
            repl_diskless_sync_delay_s: 0,
            ..Config::default()
        },
        config_text: [("cluster-node-timeout".to_owned(), "2000".to_owned())].into(),
        workload: Workload {
            clients,
            keys: Keys::Unique,
            writes: 1.0,
            read_from_replicas: false,
            value_bytes: 24,
        },
        weather: Weather::default(),
        steps: vec![],
        expectations: vec![],
        duration_us: 10 * SECOND,
        converge_within_us: 20 * SECOND,
    }
}

/// A step at a time.
pub(crate) fn at(at_us: u64, lasts_us: Option<u64>, action: StepAction) -> Step {
    let trigger = Trigger::At {
        at_us,
        jitter_us: 0,
    };
    Step {
        trigger,
        action,
        lasts_us,
        expectation: None,
        line: 1,
    }
}

/// A step after a log line.
pub(crate) fn after(text: &str, action: StepAction) -> Step {
    let trigger = Trigger::After {
        text: text.to_owned(),
        nth: 1,
        delay_us: 0,
    };
    Step {
        trigger,
        action,
        lasts_us: None,
        expectation: None,
        line: 1,
    }
}

pub(crate) fn named(name: &str) -> Selector {
    Selector::Name(name.to_owned())
}

/// `m1` is killed after two seconds and starts again after ten.
pub(crate) fn kill_master() -> Scenario {
    let crash = StepAction::Crash {
        target: named("m1"),
        how: CrashKind::Kill,
        restart_after_us: Some(10 * SECOND),
    };
    Scenario {
        steps: vec![at(2 * SECOND, None, crash)],
        duration_us: 14 * SECOND,
        ..cluster(3, 1)
    }
}
