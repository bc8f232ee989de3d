use std::collections::{BTreeMap, BTreeSet};

use redrill_node::{SlotRange, key_slot};

use super::*;
use crate::scenario::Keys;
use crate::trace::Outcome;

const MS: u64 = 1_000;
const LATENCY_US: u64 = 500;

/// What a node of the bench does with a request.
#[derive(Clone, PartialEq, Debug)]
enum Answer {
    Reply(Reply),
    /// Nothing, ever.
    Silence,
    /// The connection breaks.
    Break,
}

/// How a node of the bench meets a connection.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Door {
    Open,
    Refuses,
    Dark,
}

type Rule = Box<dyn FnMut(u64, NodeNumber, &[Word]) -> Answer>;

/// A client, and nodes that answer by a rule.
struct Bench {
    client: Client,
    now_us: u64,
    doors: BTreeMap<NodeNumber, Door>,
    rule: Rule,
    connections: BTreeMap<ConnectionId, NodeNumber>,
    inputs: Vec<(u64, ClientInput)>,
    requests: Vec<(u64, NodeNumber, String)>,
    done: Vec<(u64, Operation)>,
}

fn nodes() -> Vec<NodeSpec> {
    let node = |name: &str, replica_of: Option<usize>, slots: Vec<SlotRange>| NodeSpec {
        name: name.into(),
        id: None,
        ip: None,
        port: 7000,
        zone: 0,
        replica_of,
        slots,
        config_epoch: 1,
        config: None,
    };
    vec![
        node(
            "m1",
            None,
            vec![SlotRange {
                first: 0,
                last: 8191,
            }],
        ),
        node(
            "m2",
            None,
            vec![SlotRange {
                first: 8192,
                last: 16383,
            }],
        ),
        node("r1", Some(0), vec![]),
        node("r2", Some(1), vec![]),
    ]
}

fn addresses() -> Vec<SocketAddr> {
    (7000..7004)
        .map(|port| SocketAddr::from(([127, 0, 0, 1], port)))
        .collect()
}

fn spec() -> ClientSpec {
    ClientSpec {
        name: "c1".into(),
        zone: 0,
        rate_per_s: 100.0,
        timeout_us: 200 * MS,
        hedge_us: None,
        only_slots_of: None,
        sticky: false,
    }
}

fn workload() -> Workload {
    Workload {
        clients: vec![],
        keys: Keys::Unique,
        writes: 1.0,
        read_from_replicas: false,
        value_bytes: 32,
    }
}

fn client(spec: &ClientSpec, workload: &Workload) -> Client {
    Client::new(Setup {
        number: 0,
        spec,
        workload,
        nodes: &nodes(),
        addresses: &addresses(),
        streams: &Streams::new(5),
        start_us: 0,
    })
}

/// A rule in which the two masters answer and everybody redirects to them.
fn healthy(_: u64, node: NodeNumber, command: &[Word]) -> Answer {
    let owner = |key: &Word| NodeNumber::from(key_slot(key) >= 8192);
    Answer::Reply(match &command[0][..] {
        b"CLUSTER" => slots_reply(0, 1),
        b"READONLY" | b"ASKING" => Reply::OK,
        _ if owner(&command[1]) != node => moved(&command[1], owner(&command[1])),
        b"SET" => Reply::OK,
        _ => Reply::Nil,
    })
}

fn moved(key: &Word, to: NodeNumber) -> Reply {
    Reply::Error(format!("MOVED {} 127.0.0.1:{}", key_slot(key), 7000 + to).into())
}

fn slots_reply(low: NodeNumber, high: NodeNumber) -> Reply {
    let entry = |node: NodeNumber| {
        let port = Reply::Integer(7000 + i64::from(node));
        Reply::Array(vec![Reply::bulk("127.0.0.1"), port, Reply::bulk("id")])
    };
    let range = |first, last, master: NodeNumber| {
        let bounds = [Reply::Integer(first), Reply::Integer(last)];
        Reply::Array(
            bounds
                .into_iter()
                .chain([entry(master), entry(master + 2)])
                .collect(),
        )
    };
    Reply::Array(vec![range(0, 8191, low), range(8192, 16383, high)])
}

impl Bench {
    fn new(client: Client, rule: impl FnMut(u64, NodeNumber, &[Word]) -> Answer + 'static) -> Self {
        Self {
            client,
            now_us: 0,
            doors: BTreeMap::new(),
            rule: Box::new(rule),
            connections: BTreeMap::new(),
            inputs: Vec::new(),
            requests: Vec::new(),
            done: Vec::new(),
        }
    }

    fn until(&mut self, at_us: u64) {
        loop {
            self.inputs.sort_by_key(|input| input.0);
            let input_us = self.inputs.first().map_or(u64::MAX, |input| input.0);
            let next_us = self.client.next_wake_us().max(self.now_us).min(input_us);
            if next_us > at_us {
                self.now_us = at_us;
                return;
            }
            self.now_us = next_us;
            let input = if input_us == next_us {
                self.inputs.remove(0).1
            } else {
                ClientInput::Wake
            };
            let mut actions = Vec::new();
            self.client.handle(next_us, input, &mut actions);
            for action in actions {
                self.carry_out(action);
            }
        }
    }

    fn carry_out(&mut self, action: ClientAction) {
        let back_us = self.now_us + 2 * LATENCY_US;
        match action {
            ClientAction::Connect { connection, node } => {
                self.connections.insert(connection, node);
                match self.doors.get(&node).copied().unwrap_or(Door::Open) {
                    Door::Open => {
                        self.inputs
                            .push((back_us, ClientInput::Connected(connection)));
                    }
                    Door::Refuses => self.inputs.push((back_us, ClientInput::Broken(connection))),
                    Door::Dark => (),
                }
            }
            ClientAction::Send {
                connection,
                command,
            } => {
                let node = self.connections[&connection];
                let text: Vec<_> = command
                    .iter()
                    .map(|word| String::from_utf8_lossy(word))
                    .collect();
                self.requests.push((self.now_us, node, text.join(" ")));
                match (self.rule)(self.now_us, node, &command) {
                    Answer::Reply(reply) => {
                        self.inputs
                            .push((back_us, ClientInput::Reply(connection, reply)));
                    }
                    Answer::Silence => (),
                    Answer::Break => {
                        self.inputs.push((back_us, ClientInput::Broken(connection)));
                    }
                }
            }
            ClientAction::Close { connection } => {
                self.connections.remove(&connection);
                self.inputs.retain(|(_, input)| {
                    let of = match input {
                        ClientInput::Wake => None,
                        ClientInput::Connected(of)
                        | ClientInput::Broken(of)
                        | ClientInput::Reply(of, _) => Some(*of),
                    };
                    of != Some(connection)
                });
            }
            ClientAction::Done(operation) => self.done.push((self.now_us, operation)),
        }
    }

    fn outcomes(&self) -> BTreeMap<String, usize> {
        let mut counts = BTreeMap::new();
        for (_, operation) in &self.done {
            *counts
                .entry(format!("{:?}", operation.outcome))
                .or_insert(0) += 1;
        }
        counts
    }

    /// The longest time without an acknowledgement.
    fn longest_gap_us(&self) -> u64 {
        let acks: Vec<u64> = self
            .done
            .iter()
            .filter(|(_, operation)| operation.outcome == Outcome::Ok)
            .map(|(at_us, _)| *at_us)
            .collect();
        acks.windows(2)
            .map(|pair| pair[1] - pair[0])
            .max()
            .unwrap_or(0)
    }
}

#[test]
fn an_open_loop_keeps_its_rate_and_every_write_is_unique() {
    let mut bench = Bench::new(client(&spec(), &workload()), healthy);
    bench.until(1_000 * MS);
    bench.until(10_000 * MS);
    assert!(
        (990..=1_001).contains(&bench.done.len()),
        "{}",
        bench.done.len()
    );
    assert_eq!(
        bench.outcomes(),
        [("Ok".to_owned(), bench.done.len())].into()
    );
    let digests: BTreeSet<_> = bench
        .done
        .iter()
        .map(|(_, operation)| operation.write)
        .collect();
    assert_eq!(digests.len(), bench.done.len());
    let written = bench.client.take_written();
    assert_eq!(written.len(), bench.done.len());
    let value = bench
        .requests
        .iter()
        .find_map(|request| request.2.strip_prefix("SET c0:0 "));
    assert_eq!(value, Some("c0:0............................"));
}

#[test]
fn an_open_loop_does_not_wait_for_slow_answers() {
    let mut bench = Bench::new(
        client(&spec(), &workload()),
        |now_us, node, command| match &command[0][..] {
            b"SET" if now_us > 500 * MS => Answer::Silence,
            _ => healthy(now_us, node, command),
        },
    );
    bench.until(1_500 * MS);
    let late = bench
        .done
        .iter()
        .filter(|(_, operation)| operation.issued_us > 600 * MS);
    assert!(
        late.count() >= 65,
        "an operation each 10 ms, the last 200 ms still in flight"
    );
    let answered = bench.outcomes()["Ok"];
    assert!(
        (49..=51).contains(&answered),
        "an answer each 10 ms for 500 ms: {answered}"
    );
}

#[test]
fn a_moved_slot_is_followed_and_the_slots_are_asked_for_anew() {
    let mut bench = Bench::new(client(&spec(), &workload()), |now_us, node, command| {
        let new = now_us > 500 * MS;
        match &command[0][..] {
            b"SET" if new && node == 0 => Answer::Reply(moved(&command[1], 2)),
            b"SET" if new && node == 2 => Answer::Reply(Reply::OK),
            b"CLUSTER" if new => Answer::Reply(slots_reply(2, 1)),
            _ => healthy(now_us, node, command),
        }
    });
    bench.until(2_000 * MS);
    assert_eq!(
        bench.outcomes(),
        [("Ok".to_owned(), bench.done.len())].into()
    );
    let redirected = bench
        .done
        .iter()
        .filter(|(_, operation)| operation.requests > 1)
        .count();
    assert_eq!(redirected, 1, "the next one knows");
}

#[test]
fn ask_is_followed_once_with_asking() {
    let mut bench = Bench::new(
        client(&spec(), &workload()),
        |now_us, node, command| match &command[0][..] {
            b"SET" if node == 0 => {
                Answer::Reply(Reply::Error("ASK 1 127.0.0.1:7002".to_owned().into()))
            }
            b"SET" if node == 2 => Answer::Reply(Reply::OK),
            _ => healthy(now_us, node, command),
        },
    );
    bench.until(1_000 * MS);
    assert_eq!(
        bench.outcomes(),
        [("Ok".to_owned(), bench.done.len())].into()
    );
    let to_target: Vec<&str> = bench
        .requests
        .iter()
        .filter(|r| r.1 == 2)
        .map(|r| &r.2[..3])
        .collect();
    assert!(to_target.len() > 10);
    assert!(
        to_target.chunks(2).all(|pair| pair == ["ASK", "SET"]),
        "{to_target:?}"
    );
}

#[test]
fn endless_redirects_end() {
    let mut bench = Bench::new(
        client(&spec(), &workload()),
        |now_us, node, command| match &command[0][..] {
            b"SET" => Answer::Reply(moved(&command[1], (node + 1) % 2)),
            _ => healthy(now_us, node, command),
        },
    );
    bench.until(500 * MS);
    assert_eq!(
        bench.outcomes(),
        [("TooManyRedirects".to_owned(), bench.done.len())].into()
    );
}

#[test]
fn a_cluster_that_is_down_is_tried_again_until_time_is_up() {
    let mut bench = Bench::new(
        client(&spec(), &workload()),
        |now_us, node, command| match &command[0][..] {
            b"SET" if (500 * MS..1_000 * MS).contains(&now_us) => {
                Answer::Reply(Reply::error("CLUSTERDOWN The cluster is down"))
            }
            _ => healthy(now_us, node, command),
        },
    );
    bench.until(2_000 * MS);
    let outcomes = bench.outcomes();
    assert!((25..=40).contains(&outcomes["ClusterDown"]), "{outcomes:?}");
    assert_eq!(outcomes.len(), 2);
    assert!(
        bench.longest_gap_us() < 570 * MS,
        "{}",
        bench.longest_gap_us()
    );
}

#[test]
fn a_write_that_may_have_happened_is_not_repeated() {
    let mut broken = 0;
    let mut bench = Bench::new(
        client(&spec(), &workload()),
        move |now_us, node, command| match &command[0][..] {
            b"SET" if now_us > 500 * MS && broken < 3 => {
                broken += 1;
                Answer::Break
            }
            _ => healthy(now_us, node, command),
        },
    );
    bench.until(2_000 * MS);
    let outcomes = bench.outcomes();
    assert_eq!(outcomes["Lost"], 3, "{outcomes:?}");
    assert_eq!(outcomes.len(), 2);
    let sets = bench
        .requests
        .iter()
        .filter(|request| request.2.starts_with("SET"));
    assert_eq!(sets.count(), bench.done.len());
}

#[test]
fn reads_are_repeated_after_a_broken_connection() {
    let reads = Workload {
        writes: 0.0,
        ..workload()
    };
    let mut bench = Bench::new(
        client(&spec(), &reads),
        |now_us, node, command| match &command[0][..] {
            b"GET" if (500 * MS..510 * MS).contains(&now_us) => Answer::Break,
            _ => healthy(now_us, node, command),
        },
    );
    bench.until(1_000 * MS);
    assert_eq!(
        bench.outcomes(),
        [("Ok".to_owned(), bench.done.len())].into()
    );
}

#[test]
fn a_node_that_refuses_connections_makes_operations_unreachable() {
    let mut bench = Bench::new(client(&spec(), &workload()), healthy);
    bench.doors.insert(0, Door::Refuses);
    bench.doors.insert(3, Door::Dark);
    bench.until(2_000 * MS);
    let outcomes = bench.outcomes();
    assert!(
        outcomes["Unreachable"] > 50 && outcomes["Ok"] > 50,
        "{outcomes:?}"
    );
    assert_eq!(outcomes.len(), 2);
}

#[test]
fn reads_go_to_replicas_after_readonly() {
    let reads = Workload {
        writes: 0.0,
        read_from_replicas: true,
        ..workload()
    };
    let mut readonly = BTreeSet::new();
    let mut bench = Bench::new(
        client(&spec(), &reads),
        move |now_us, node, command| match &command[0][..] {
            b"READONLY" => {
                readonly.insert(node);
                Answer::Reply(Reply::OK)
            }
            b"GET" if node >= 2 && readonly.contains(&node) => Answer::Reply(Reply::Nil),
            _ => healthy(now_us, node, command),
        },
    );
    bench.until(5_000 * MS);
    assert_eq!(
        bench.outcomes(),
        [("Ok".to_owned(), bench.done.len())].into()
    );
    let mut by_node = [0_u32; 4];
    for (_, operation) in &bench.done {
        by_node[usize::from(operation.node.unwrap())] += 1;
        assert_eq!(operation.requests, 1);
    }
    assert!(by_node.iter().all(|&count| count > 80), "{by_node:?}");
}

fn writer_spec() -> ClientSpec {
    ClientSpec {
        rate_per_s: 200.0,
        hedge_us: Some(10 * MS),
        only_slots_of: Some(0),
        ..spec()
    }
}

#[test]
fn a_writer_keeps_to_its_masters_slots() {
    let mut bench = Bench::new(client(&writer_spec(), &workload()), healthy);
    bench.until(1_000 * MS);
    assert!(bench.done.len() >= 199, "{}", bench.done.len());
    assert!(
        bench
            .done
            .iter()
            .all(|(_, operation)| operation.slot < 8192)
    );
    assert!(
        bench.requests.iter().all(|request| request.1 == 0),
        "nobody else is asked"
    );
}

#[test]
fn a_writer_sees_the_end_of_an_outage_within_one_hedge() {
    for door in [Door::Open, Door::Refuses] {
        let mut bench = Bench::new(
            client(&writer_spec(), &workload()),
            |now_us, node, command| {
                let dead = now_us >= 500 * MS;
                let promoted = now_us >= 3_000 * MS;
                match (&command[0][..], node) {
                    (b"SET", 0) if dead => Answer::Silence,
                    (b"SET", 2) if promoted => Answer::Reply(Reply::OK),
                    (b"SET", _) if promoted => Answer::Reply(moved(&command[1], 2)),
                    _ => healthy(now_us, node, command),
                }
            },
        );
        bench.until(500 * MS);
        bench.doors.insert(0, door);
        if door == Door::Refuses {
            let broken: Vec<_> = bench.connections.keys().copied().collect();
            bench.inputs.extend(
                broken
                    .into_iter()
                    .map(|id| (500 * MS, ClientInput::Broken(id))),
            );
        }
        bench.until(5_000 * MS);
        let gap_us = bench.longest_gap_us();
        assert!(
            (2_500 * MS..2_520 * MS).contains(&gap_us),
            "{door:?}: {gap_us}"
        );
        let after = bench.done.iter().filter(|(at_us, _)| *at_us > 3_020 * MS);
        assert!(after.clone().count() > 380);
        assert!(
            after
                .clone()
                .all(|(_, operation)| operation.node == Some(2))
        );
    }
}

#[test]
fn a_writer_leaves_a_dark_neighbour_alone_for_a_second() {
    let mut bench = Bench::new(
        client(&writer_spec(), &workload()),
        |now_us, node, command| match (&command[0][..], node) {
            (b"SET", 0) if now_us > 500 * MS => Answer::Silence,
            _ => healthy(now_us, node, command),
        },
    );
    bench.doors.insert(3, Door::Dark);
    bench.until(5_000 * MS);
    let asked = bench.connections.len();
    assert!(asked <= 4);
    let others = bench
        .requests
        .iter()
        .filter(|request| request.1 == 1 && request.0 > 500 * MS);
    assert!(
        others.count() > 100,
        "the reachable ones are asked each 10 ms"
    );
}

#[test]
fn a_sticky_writer_only_waits() {
    let sticky = ClientSpec {
        hedge_us: None,
        sticky: true,
        ..writer_spec()
    };
    let mut bench = Bench::new(
        client(&sticky, &workload()),
        |now_us, node, command| match (&command[0][..], node) {
            (b"SET", 0) if (500 * MS..2_000 * MS).contains(&now_us) => Answer::Silence,
            (b"SET", 0) if now_us >= 3_000 * MS => Answer::Reply(moved(&command[1], 2)),
            (b"SET", 2) if now_us >= 3_000 * MS => Answer::Reply(Reply::OK),
            _ => healthy(now_us, node, command),
        },
    );
    bench.until(2_900 * MS);
    assert!(bench.requests.iter().all(|request| request.1 == 0));
    assert_eq!(
        bench.outcomes()["Timeout"],
        8,
        "one operation at a time, 200 ms each"
    );
    bench.until(4_000 * MS);
    assert_eq!(bench.done.last().unwrap().1.node, Some(2));
    assert_eq!(bench.outcomes().len(), 2);
}

#[test]
fn a_stopped_client_does_nothing_and_goes_on_at_its_rate() {
    let mut bench = Bench::new(client(&spec(), &workload()), healthy);
    bench.until(1_000 * MS);
    bench.client.set_rate_factor(bench.now_us, 0.0);
    bench.until(5_000 * MS);
    assert!(bench.done.len() <= 101 && bench.client.is_idle());
    bench.client.set_rate_factor(bench.now_us, 2.0);
    bench.until(6_000 * MS);
    assert!(
        (298..=302).contains(&bench.done.len()),
        "{}",
        bench.done.len()
    );
}

#[test]
fn zipf_keys_are_shared_and_uneven() {
    let zipf = Workload {
        keys: Keys::Zipf {
            count: 100,
            exponent: 0.99,
        },
        ..workload()
    };
    let mut bench = Bench::new(client(&spec(), &zipf), healthy);
    bench.until(20_000 * MS);
    let first = bench
        .requests
        .iter()
        .filter(|request| request.2.starts_with("SET key:0 "));
    let share = first.count() as f64 / bench.done.len() as f64;
    assert!(
        (0.15..0.24).contains(&share),
        "1/H(100, 0.99) is 0.19: {share}"
    );
    assert!(bench.client.take_written().len() > 80);
}

#[test]
fn the_same_seed_makes_the_same_operations() {
    let run = || {
        let zipf = Workload {
            keys: Keys::Zipf {
                count: 100,
                exponent: 0.99,
            },
            writes: 0.5,
            ..workload()
        };
        let mut bench = Bench::new(client(&spec(), &zipf), healthy);
        bench.until(2_000 * MS);
        (bench.requests, bench.done)
    };
    assert_eq!(run(), run());
}
