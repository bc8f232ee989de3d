#![allow(
    clippy::wildcard_enum_match_arm,
    reason = "a test names what it looks for"
)]

use std::collections::BTreeMap;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::sync::Arc;

use redrill_node::{
    Address, Config, Fact, NodeFlags, NodeId, SavedNode, SavedState, Seed, SlotRange, SlotSet, Word,
};

use super::kernel::{Disk, Kernel};
use super::table::Port;
use crate::client::{Client, Setup};
use crate::disk::HostDisk;
use crate::network::Network;
use crate::rng::{Purpose, Streams};
use crate::scenario::{ClientSpec, Keys, Latency, Network as Links, NodeSpec, Workload};
use crate::trace::{Event, Outcome, Record};
use crate::world::Ticket;

const NODES: u16 = 6;

fn ip(host: u16) -> IpAddr {
    IpAddr::V4(Ipv4Addr::new(10, 0, (host >> 8) as u8, host as u8))
}

fn id(node: u16) -> NodeId {
    let mut bytes = [0; 20];
    bytes[..2].copy_from_slice(&node.to_be_bytes());
    bytes[19] = 1;
    NodeId(bytes)
}

fn third(master: u16) -> SlotRange {
    let bound = |index: u16| (16384 * u32::from(index) / 3) as u16;
    SlotRange {
        first: bound(master),
        last: bound(master + 1) - 1,
    }
}

fn saved(myself: u16) -> SavedState {
    let nodes = (0..NODES).map(|node| SavedNode {
        id: id(node),
        address: Address {
            ip: Some(ip(node)),
            port: 7000 + node,
            bus_port: 17000 + node,
        },
        hostname: None,
        shard_id: None,
        flags: if node < 3 {
            NodeFlags::MASTER
        } else {
            NodeFlags::REPLICA
        } | if node == myself {
            NodeFlags::MYSELF
        } else {
            NodeFlags::empty()
        },
        replica_of: (node >= 3).then(|| id(node - 3)),
        ping_sent_ms: 0,
        pong_received_ms: 0,
        config_epoch: if node < 3 { u64::from(node) + 1 } else { 0 },
        link_up: false,
        slots: Arc::new(if node < 3 {
            SlotSet::from(third(node))
        } else {
            SlotSet::new()
        }),
        migrating: Vec::new(),
        importing: Vec::new(),
    });
    SavedState {
        nodes: nodes.collect(),
        current_epoch: 6,
        last_vote_epoch: 0,
    }
}

fn specs() -> Vec<NodeSpec> {
    let spec = |node: u16| NodeSpec {
        name: format!("n{node}"),
        id: Some(id(node)),
        ip: Some(ip(node)),
        port: 7000 + node,
        zone: 0,
        replica_of: (node >= 3).then(|| usize::from(node) - 3),
        slots: if node < 3 {
            vec![third(node)]
        } else {
            Vec::new()
        },
        config_epoch: u64::from(node) + 1,
        config: None,
    };
    (0..NODES).map(spec).collect()
}

fn world(seed: u64, rate_per_s: f64) -> Kernel {
    let streams = Streams::new(seed);
    let latency = Latency::Constant { value_us: 50.0 };
    let links = Links {
        within_zone: latency,
        between_zones: latency,
        pairs: BTreeMap::new(),
        mss_bytes: 65483,
        mss_between_zones_bytes: 65483,
        bandwidth_bytes_per_s: None,
    };
    let network = Network::new(&links, 1, vec![0; usize::from(NODES) + 3], &streams);
    let fsync = Latency::Constant { value_us: 500.0 };
    let disk = |node: u16| {
        Disk::new(
            Arc::new(saved(node)),
            HostDisk::new(node.into(), fsync, &streams),
        )
    };
    let mut addresses = BTreeMap::new();
    for node in 0..NODES {
        addresses.insert(SocketAddr::new(ip(node), 7000 + node), (node, Port::Client));
        addresses.insert(SocketAddr::new(ip(node), 17000 + node), (node, Port::Bus));
    }
    let ips = (0..NODES + 3).map(ip).collect();
    let mut kernel = Kernel::new(
        network,
        (0..NODES).map(disk).collect(),
        addresses,
        ips,
        1_700_000_000_000,
    );
    for node in 0..NODES {
        start(&mut kernel, node, &streams);
    }
    let nodes = specs();
    let addresses: Vec<SocketAddr> = (0..NODES)
        .map(|node| SocketAddr::new(ip(node), 7000 + node))
        .collect();
    let spec = ClientSpec {
        name: "c".into(),
        zone: 0,
        rate_per_s,
        timeout_us: 200_000,
        hedge_us: None,
        only_slots_of: None,
        sticky: false,
    };
    let workload = Workload {
        clients: vec![spec.clone()],
        keys: Keys::Uniform { count: 10_000 },
        writes: 0.5,
        read_from_replicas: false,
        value_bytes: 24,
    };
    let setup = Setup {
        number: 0,
        spec: &spec,
        workload: &workload,
        nodes: &nodes,
        addresses: &addresses,
        streams: &streams,
        start_us: 4_000_000,
    };
    kernel.add_client(Client::new(setup), NODES);
    kernel
}

fn start(kernel: &mut Kernel, node: u16, streams: &Streams) {
    let config = Config {
        announce_ip: Some(ip(node)),
        port: 7000 + node,
        bus_port: 17000 + node,
        cluster_node_timeout_ms: 2000,
        protected_mode: false,
        repl_diskless_sync_delay_s: 0,
        ..Config::default()
    };
    let seed = Seed(streams.stream(Purpose::NodeSeed, node.into()).bytes());
    kernel
        .start(node, config, seed)
        .expect("a usable configuration");
}

fn run_until(kernel: &mut Kernel, at_us: u64) {
    while kernel.step(at_us) {}
}

fn records(kernel: &Kernel) -> Vec<Record> {
    kernel.recorder.borrow().since(0).to_vec()
}

fn facts(kernel: &Kernel) -> impl Iterator<Item = (u64, u16, Fact)> {
    records(kernel)
        .into_iter()
        .filter_map(|record| match record.event {
            Event::Node { node, fact } => Some((record.at_us, node, fact)),
            _ => None,
        })
}

fn acknowledged(kernel: &Kernel) -> usize {
    let records = records(kernel);
    let done = records.iter().filter(|record| match record.event {
        Event::Operation(operation) => operation.outcome == Outcome::Ok,
        _ => false,
    });
    done.count()
}

fn log(kernel: &Kernel) -> String {
    let name = |node: NodeId| format!("n{}", u16::from_be_bytes([node.0[0], node.0[1]]));
    let lines = facts(kernel)
        .filter(|(_, _, fact)| !matches!(fact, Fact::Stream { .. } | Fact::Wrote { .. }));
    lines
        .map(|(at, node, fact)| {
            format!(
                "{:>10.4} n{node} {}\n",
                at as f64 / 1e6,
                fact.log_line(&name)
            )
        })
        .collect()
}

#[test]
fn clients_are_served_while_nothing_happens() {
    let mut kernel = world(1, 100.0);
    run_until(&mut kernel, 10_000_000);
    assert!(
        acknowledged(&kernel) >= 595,
        "{}\n{}",
        acknowledged(&kernel),
        log(&kernel)
    );
}

#[test]
fn a_killed_master_is_replaced_and_its_keys_are_served_again() {
    let mut kernel = world(2, 100.0);
    run_until(&mut kernel, 8_000_000);
    kernel.kill(1);
    run_until(&mut kernel, 14_000_000);
    let won: Vec<(u64, u16)> = facts(&kernel)
        .filter(|(_, _, fact)| matches!(fact, Fact::ElectionWon { .. }))
        .map(|(at_us, node, _)| (at_us, node))
        .collect();
    assert_eq!(won.len(), 1, "{}", log(&kernel));
    assert_eq!(won[0].1, 4);
    let before = acknowledged(&kernel);
    run_until(&mut kernel, 16_000_000);
    assert!(
        acknowledged(&kernel) - before >= 199,
        "{}",
        acknowledged(&kernel) - before
    );
}

#[test]
fn a_frozen_process_answers_what_it_missed() {
    let mut kernel = world(3, 100.0);
    run_until(&mut kernel, 8_000_000);
    kernel.set_frozen(0, true);
    run_until(&mut kernel, 9_000_000);
    kernel.set_frozen(0, false);
    run_until(&mut kernel, 12_000_000);
    let suspected = facts(&kernel).any(|(_, _, fact)| matches!(fact, Fact::PossiblyFailing { .. }));
    assert!(!suspected, "{}", log(&kernel));
}

#[test]
fn the_same_seed_makes_the_same_run() {
    let run = || {
        let mut kernel = world(4, 100.0);
        run_until(&mut kernel, 6_000_000);
        kernel.power_off(2);
        run_until(&mut kernel, 12_000_000);
        format!("{:?}", records(&kernel))
    };
    assert_eq!(run(), run());
}

/// Has an operator ask a node something.
fn ask(kernel: &mut Kernel, ticket: u32, node: u16, line: &str) {
    let words = line.split(' ').map(|word| Word::from(word.to_owned()));
    let command = words.collect::<Vec<_>>().into();
    kernel.operate(Ticket(ticket), NODES + 1, node, command, 30_000_000);
}

/// What was answered to a ticket.
fn answer(kernel: &Kernel, ticket: u32) -> Option<String> {
    let mut recorder = kernel.recorder.borrow_mut();
    recorder
        .take_answer(Ticket(ticket))
        .map(|answer| answer.text)
}

/// Has an operator ask a node something and waits for the answer.
fn asked(kernel: &mut Kernel, ticket: u32, node: u16, line: &str) -> String {
    ask(kernel, ticket, node, line);
    let until_us = kernel.now_us + 1_000_000;
    run_until(kernel, until_us);
    answer(kernel, ticket).unwrap_or_else(|| panic!("no answer to {line}"))
}

#[test]
fn a_slot_moves_with_its_keys() {
    let mut kernel = world(5, 1.0);
    run_until(&mut kernel, 4_000_000);
    let slot = redrill_node::key_slot(b"{06S}k");
    assert!(third(0).first <= slot && slot <= third(0).last);
    let [from, to] = [0, 1].map(|node| id(node).to_string());
    let steps = [
        (0, "SET {06S}k v".to_owned(), "OK"),
        (1, format!("CLUSTER SETSLOT {slot} IMPORTING {from}"), "OK"),
        (0, format!("CLUSTER SETSLOT {slot} MIGRATING {to}"), "OK"),
        (0, "MIGRATE 10.0.0.1 7001 {06S}k 0 1000".to_owned(), "OK"),
        (0, "MIGRATE 10.0.0.1 7001 {06S}k 0 1000".to_owned(), "NOKEY"),
        (1, format!("CLUSTER SETSLOT {slot} NODE {to}"), "OK"),
        (0, format!("CLUSTER SETSLOT {slot} NODE {to}"), "OK"),
        (1, "EXISTS {06S}k".to_owned(), "(integer) 1"),
    ];
    for (ticket, (node, line, expected)) in steps.into_iter().enumerate() {
        assert_eq!(
            asked(&mut kernel, ticket as u32, node, &line),
            expected,
            "{line}"
        );
    }
    // The target's replica has it too, and the source's has it no more.
    run_until(&mut kernel, 30_000_000);
    let count = format!("CLUSTER COUNTKEYSINSLOT {slot}");
    let counts = [0, 1, 3, 4].map(|node| asked(&mut kernel, 99, node, &count));
    let expected = [0, 1, 0, 1].map(|keys| format!("(integer) {keys}"));
    assert_eq!(counts, expected);
    let links = &kernel.hosts[0].correspondents;
    assert!(links.is_empty(), "a connection that is not used is closed");
}

#[test]
fn a_process_stands_still_until_its_keys_have_arrived() {
    let mut kernel = world(6, 1.0);
    run_until(&mut kernel, 4_000_000);
    asked(&mut kernel, 0, 0, "SET {06S}k v");
    kernel.set_frozen(1, true);
    let began_us = kernel.now_us;
    ask(&mut kernel, 1, 0, "MIGRATE 10.0.0.1 7001 {06S}k 0 800");
    run_until(&mut kernel, began_us + 100_000);
    ask(&mut kernel, 2, 0, "PING");
    run_until(&mut kernel, began_us + 700_000);
    assert_eq!((answer(&kernel, 1), answer(&kernel, 2)), (None, None));
    run_until(&mut kernel, began_us + 900_000);
    let given_up = "(error) IOERR error or timeout reading to target instance";
    assert_eq!(answer(&kernel, 1).as_deref(), Some(given_up));
    assert_eq!(answer(&kernel, 2).as_deref(), Some("PONG"));
    // Once the other goes on, it refuses the key: the slot is not its own.
    kernel.set_frozen(1, false);
    let refused = asked(&mut kernel, 3, 0, "MIGRATE 10.0.0.1 7001 {06S}k 0 800");
    assert!(
        refused.contains("Target instance replied with error: MOVED"),
        "{refused}"
    );
    // A stopped process finds the answer when it goes on.
    ask(&mut kernel, 4, 0, "MIGRATE 10.0.0.1 7001 {06S}k 0 800");
    kernel.set_frozen(0, true);
    let later_us = kernel.now_us + 300_000;
    run_until(&mut kernel, later_us);
    assert_eq!(answer(&kernel, 4), None);
    kernel.set_frozen(0, false);
    run_until(&mut kernel, later_us + 100_000);
    assert!(answer(&kernel, 4).is_some_and(|text| text.contains("MOVED")));
}

#[test]
fn a_dead_server_takes_no_keys() {
    let mut kernel = world(7, 1.0);
    run_until(&mut kernel, 4_000_000);
    asked(&mut kernel, 0, 0, "SET {06S}k v");
    let refused = "(error) IOERR error or timeout connecting to the client";
    for (ticket, to) in [(1, "10.0.0.9 7001"), (2, "10.0.0.1 7009"), (3, "name 7001")] {
        let line = format!("MIGRATE {to} {{06S}}k 0 800");
        assert_eq!(asked(&mut kernel, ticket, 0, &line), refused);
    }
    kernel.kill(1);
    assert_eq!(
        asked(&mut kernel, 4, 0, "MIGRATE 10.0.0.1 7001 {06S}k 0 800"),
        refused
    );
    // A process that is killed while it waits is gone, and its answer with it.
    kernel.set_frozen(2, true);
    ask(&mut kernel, 5, 0, "MIGRATE 10.0.0.2 7002 {06S}k 0 10000");
    let later_us = kernel.now_us + 100_000;
    run_until(&mut kernel, later_us);
    kernel.kill(0);
    kernel.set_frozen(2, false);
    run_until(&mut kernel, later_us + 1_000_000);
    assert_eq!(
        answer(&kernel, 5).as_deref(),
        Some("the connection was lost")
    );
}
