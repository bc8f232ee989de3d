//! Commands against a lone node, as a client sees them.

#![allow(
    clippy::wildcard_enum_match_arm,
    reason = "a test looks for one kind of action among all"
)]

mod channels;
mod clients;
mod cluster;
mod errors;
mod hashes;
mod keyspace;
mod lists;
mod read_back;
mod redirect;
mod replication;
mod saving;
mod sequences;
mod server;
mod sets;
mod sorted_sets;
mod transactions;
mod transfer;
mod users;
mod values;

use crate::word::Word;

use crate::action::{Action, ToReplica};
use crate::cluster::{MYSELF, Peer, PeerIndex};
use crate::config::Config;
use crate::fact::Fact;
use crate::ids::{ClientId, NodeId};
use crate::input::{CommandLine, Input};
use crate::message::{Address, NodeFlags};
use crate::node::Node;
use crate::random::Seed;
use crate::reply::Reply;
use crate::slot::{SLOT_COUNT, Slot};
use crate::slots;
use crate::time::{Mono, Now, WallMillis};
use crate::wire::resp::{command_len, split_args};

/// When the tests begin, Unix ms.
const START_MS: i64 = 1_700_000_000_000;

/// The client that speaks unless a test says otherwise.
const ALICE: ClientId = ClientId(1);
const BOB: ClientId = ClientId(2);
/// A connection that becomes a replica's.
const REPLICA: ClientId = ClientId(9);

/// A node without peers, with clients.
struct Lone {
    node: Node,
    now: Now,
    /// What the last turn had done.
    actions: Vec<Action>,
}

/// A node that owns every slot and serves.
fn serving() -> Lone {
    serving_with(Config::default())
}

fn serving_with(config: Config) -> Lone {
    let mut lone = fresh(config);
    let all: Vec<Slot> = (0..SLOT_COUNT as Slot).collect();
    slots::add(&mut lone.node, &all);
    lone.node.cluster.state_ok = true;
    lone
}

/// A node that knows nothing of any slot.
fn fresh(config: Config) -> Lone {
    let now = Now {
        mono: Mono(0),
        wall: WallMillis(START_MS),
    };
    let config = Config {
        announce_ip: Some([10, 0, 0, 1].into()),
        port: 7000,
        bus_port: 17000,
        repl_diskless_sync_delay_s: 0,
        protected_mode: false,
        ..config
    };
    let node = Node::new(config, Seed([7; 32]), None, now).unwrap();
    let mut lone = Lone {
        node,
        now,
        actions: Vec::new(),
    };
    for client in [ALICE, BOB, REPLICA] {
        lone.connect(client);
    }
    lone
}

impl Lone {
    fn connect(&mut self, client: ClientId) {
        let peer = format!("10.9.9.{}:5000", client.0).parse().unwrap();
        let local = [10, 0, 0, 1].into();
        self.give(Input::ClientAccepted {
            client,
            peer,
            local,
        });
    }

    fn give(&mut self, input: Input) {
        self.node.handle(self.now, input, &mut self.actions);
    }

    /// Time passes; nothing else.
    fn pass_ms(&mut self, millis: i64) {
        self.now.wall = self.now.wall.plus_ms(millis);
        self.now.mono = self.now.mono.plus_us(millis as u64 * 1000);
    }

    /// The timer of the event loop fires.
    fn cron(&mut self) {
        self.actions.clear();
        self.give(Input::Wake);
        self.give(Input::TurnEnd);
    }

    /// Sends a command and does not end the turn.
    fn send(&mut self, client: ClientId, line: &str) {
        let command: CommandLine = split_args(line.as_bytes())
            .unwrap()
            .into_iter()
            .map(Word::from)
            .collect();
        let wire_len = command_len(&command);
        self.give(Input::Command {
            client,
            command,
            wire_len,
        });
    }

    fn end_turn(&mut self) {
        self.give(Input::TurnEnd);
    }

    /// A whole turn with one command of a client; the answer, as a person reads it.
    fn ask_as(&mut self, client: ClientId, line: &str) -> String {
        self.actions.clear();
        self.send(client, line);
        self.end_turn();
        self.said_to(client).join(" | ")
    }

    fn ask(&mut self, line: &str) -> String {
        self.ask_as(ALICE, line)
    }

    /// Runs command lines and holds the answers against what was expected.
    fn check(&mut self, cases: &[(&str, &str)]) {
        for (line, expected) in cases {
            assert_eq!(self.ask(line), *expected, "answer to {line:?}");
        }
    }

    /// Command lines and their answers, as a person at a terminal sees them.
    fn session(&mut self, lines: &[&str]) -> String {
        let mut text = String::new();
        for line in lines {
            let answer = self.ask(line);
            text.push_str(&format!("> {line}\n{}\n", answer.trim_end()));
        }
        text
    }

    /// What a client was answered since the turn began.
    fn said_to(&self, client: ClientId) -> Vec<String> {
        let said = |action: &Action| match action {
            Action::Reply {
                client: to, reply, ..
            } if *to == client => Some(shown(reply)),
            _ => None,
        };
        self.actions.iter().filter_map(said).collect()
    }

    fn closed(&self, client: ClientId) -> bool {
        self.actions.contains(&Action::CloseClient { client })
    }

    fn facts(&self) -> Vec<&Fact> {
        let fact = self.actions.iter().filter_map(|action| match action {
            Action::Note(fact) => Some(fact),
            _ => None,
        });
        fact.collect()
    }

    /// Attaches a replica; from here on [`Lone::stream`] tells what it is sent.
    fn attach_replica(&mut self) {
        self.ask_as(REPLICA, "REPLCONF listening-port 7009");
        self.ask_as(REPLICA, "PSYNC ? -1");
    }

    /// The commands fed to the stream since the turn began.
    fn stream(&self) -> Vec<String> {
        let fed = |action: &Action| match action {
            Action::ToReplica {
                what: ToReplica::Stream(command),
                ..
            } => Some(line_of(command)),
            _ => None,
        };
        self.actions.iter().filter_map(fed).collect()
    }

    /// What a command feeds to the stream.
    fn feeds(&mut self, line: &str) -> Vec<String> {
        self.ask(line);
        self.stream()
    }

    /// Makes another node known.
    fn know(&mut self, number: u8, flags: NodeFlags) -> PeerIndex {
        let address = Address {
            ip: Some([10, 0, 0, number].into()),
            port: 7000 + u16::from(number),
            bus_port: 17000 + u16::from(number),
        };
        let peer = Peer::new(NodeId([number; 20]), flags, address, self.now.wall);
        self.node.cluster.add(peer)
    }

    /// Makes this node a replica of a new one that owns every slot.
    fn become_replica(&mut self) -> PeerIndex {
        let master = self.know(2, NodeFlags::MASTER);
        self.become_replica_of(master);
        master
    }

    fn become_replica_of(&mut self, master: PeerIndex) {
        for slot in 0..SLOT_COUNT as Slot {
            self.node.cluster.set_owner(slot, Some(master));
        }
        self.node.store.clear();
        crate::replication::replicate(&mut self.node, master);
    }
}

fn line_of(command: &CommandLine) -> String {
    let words: Vec<_> = command.iter().map(text).collect();
    words.join(" ")
}

fn text(bytes: &Word) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

/// A reply as a person reads it.
fn shown(reply: &Reply) -> String {
    let all = |items: &[Reply]| items.iter().map(shown).collect::<Vec<_>>().join(", ");
    match reply {
        Reply::Simple(text) => text.to_string(),
        Reply::Error(text) => format!("-{text}"),
        Reply::Integer(value) => value.to_string(),
        Reply::Bulk(bytes) => format!("{:?}", text(bytes)),
        Reply::Verbatim(text) => text.clone(),
        Reply::Nil => "(nil)".to_owned(),
        Reply::NilArray => "(nil array)".to_owned(),
        Reply::Array(items) => format!("[{}]", all(items)),
        Reply::Set(items) => format!("~[{}]", all(items)),
        Reply::Push(items) => format!(">[{}]", all(items)),
        Reply::Map(pairs) => {
            let pair = |(key, value): &(Reply, Reply)| format!("{}: {}", shown(key), shown(value));
            format!(
                "{{{}}}",
                pairs.iter().map(pair).collect::<Vec<_>>().join(", ")
            )
        }
        Reply::Double(value) => value.to_string(),
        Reply::Boolean(value) => value.to_string(),
    }
}
