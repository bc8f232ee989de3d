//! A few nodes on instant, perfect links: just enough of a world to see the rules at work.

#![allow(dead_code, reason = "each test binary uses its own part")]

use std::collections::{BTreeMap, BinaryHeap};
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::sync::Arc;

use redrill_node::Word;
use redrill_node::{
    Action, Address, ClientId, Config, Fact, FromMaster, FullResync, Input, LinkFailure, LinkId,
    Mono, Node, NodeFlags, NodeId, Now, Reply, SavedNode, SavedState, Seed, Slot, SlotRange,
    SlotSet, ToMaster, ToReplica, WallMillis,
};

/// One-way latency of every link, microseconds.
const LATENCY_US: u64 = 200;

/// Unix ms at time 0.
const EPOCH_MS: i64 = 1_700_000_000_000;

/// Nodes `0..masters` are masters with equal shares of the slots; node `masters + i` is a replica
/// of node `i % masters`.
pub struct Cluster {
    pub now_us: u64,
    hosts: Vec<Host>,
    queue: BinaryHeap<Event>,
    sequence: u64,
    links: BTreeMap<(usize, LinkId), (usize, LinkId)>,
    masters_of: BTreeMap<usize, (usize, ClientId)>,
    replies: BTreeMap<(usize, ClientId), Vec<Reply>>,
    cut: Vec<(usize, usize)>,
    pub facts: Vec<(u64, usize, Fact)>,
    next_id: u64,
    config: Config,
}

struct Host {
    node: Option<Node>,
    saved: Option<SavedState>,
    stalled_until_us: u64,
    starts: u64,
}

struct Event {
    at_us: u64,
    sequence: u64,
    host: usize,
    what: What,
}

enum What {
    Input(Input),
    Turn,
}

impl PartialEq for Event {
    fn eq(&self, other: &Self) -> bool {
        (self.at_us, self.sequence) == (other.at_us, other.sequence)
    }
}
impl Eq for Event {}
impl PartialOrd for Event {
    fn partial_cmp(&self, other: &Self) -> Option<std::cmp::Ordering> {
        Some(self.cmp(other))
    }
}
impl Ord for Event {
    fn cmp(&self, other: &Self) -> std::cmp::Ordering {
        (other.at_us, other.sequence).cmp(&(self.at_us, self.sequence))
    }
}

pub fn id(host: usize) -> NodeId {
    let mut bytes = [0; 20];
    bytes[0] = host as u8 + 1;
    NodeId(bytes)
}

fn ip(host: usize) -> IpAddr {
    IpAddr::V4(Ipv4Addr::new(10, 0, 0, host as u8 + 1))
}

fn host_of(address: SocketAddr) -> usize {
    match address.ip() {
        IpAddr::V4(ip) => usize::from(ip.octets()[3]) - 1,
        IpAddr::V6(_) => panic!("no IPv6 here"),
    }
}

impl Cluster {
    pub fn formed(masters: usize, replicas: usize, config: impl Fn(&mut Config)) -> Self {
        let mut base = Config {
            repl_diskless_sync_delay_s: 0,
            cluster_node_timeout_ms: 2000,
            protected_mode: false,
            ..Config::default()
        };
        config(&mut base);
        let mut cluster = Self {
            now_us: 0,
            hosts: Vec::new(),
            queue: BinaryHeap::new(),
            sequence: 0,
            links: BTreeMap::new(),
            masters_of: BTreeMap::new(),
            replies: BTreeMap::new(),
            cut: Vec::new(),
            facts: Vec::new(),
            next_id: 1,
            config: base,
        };
        let total = masters * (1 + replicas);
        for host in 0..total {
            let saved = state_of(host, masters, total);
            cluster.hosts.push(Host {
                node: None,
                saved: Some(saved),
                stalled_until_us: 0,
                starts: 0,
            });
        }
        for host in 0..total {
            cluster.start(host);
        }
        cluster
    }

    pub fn config(&mut self) -> &mut Config {
        &mut self.config
    }

    pub fn start(&mut self, host: usize) {
        let config = Config {
            announce_ip: Some(ip(host)),
            port: 6379,
            bus_port: 16379,
            ..self.config.clone()
        };
        let mut seed = [7; 32];
        seed[0] = host as u8;
        seed[1] = self.hosts[host].starts as u8;
        self.hosts[host].starts += 1;
        let saved = self.hosts[host].saved.clone();
        let node =
            Node::new(config, Seed(seed), saved, self.now()).expect("a usable configuration");
        self.hosts[host].node = Some(node);
        self.push(self.now_us, host, What::Turn);
    }

    pub fn kill(&mut self, host: usize) {
        self.hosts[host].node = None;
        let broken: Vec<_> = self
            .links
            .iter()
            .filter(|((at, _), (to, _))| *at == host || *to == host)
            .map(|(&near, &far)| (near, far))
            .collect();
        for (near, far) in broken {
            self.links.remove(&near);
            if far.0 != host && !self.cut.contains(&(host, far.0)) {
                self.input_later(
                    far.0,
                    Input::LinkDown {
                        link: far.1,
                        why: LinkFailure::Closed,
                    },
                );
            }
        }
        for (replica, (master, client)) in self.masters_of.clone() {
            if replica == host {
                self.masters_of.remove(&replica);
                self.input_later(master, Input::ClientClosed { client });
            } else if master == host && !self.cut.contains(&(host, replica)) {
                self.masters_of.remove(&replica);
                self.input_later(
                    replica,
                    Input::Master(FromMaster::Down(LinkFailure::Closed)),
                );
            }
        }
    }

    /// The host stands still for a while.
    pub fn stall(&mut self, host: usize, for_ms: u64) {
        self.hosts[host].stalled_until_us = self.now_us + for_ms * 1000;
    }

    /// Nothing passes between the two groups any more.
    pub fn cut(&mut self, left: &[usize], right: &[usize]) {
        for &a in left {
            for &b in right {
                self.cut.push((a, b));
                self.cut.push((b, a));
            }
        }
    }

    pub fn heal(&mut self) {
        self.cut.clear();
    }

    pub fn run_ms(&mut self, millis: u64) {
        let end = self.now_us + millis * 1000;
        while self.queue.peek().is_some_and(|event| event.at_us <= end) {
            let Some(event) = self.queue.pop() else { break };
            self.now_us = self.now_us.max(event.at_us);
            let stalled_until = self.hosts[event.host].stalled_until_us;
            if stalled_until > self.now_us {
                self.push(stalled_until, event.host, event.what);
                continue;
            }
            self.turn(event.host, event.what);
        }
        self.now_us = end;
    }

    /// Runs until the predicate holds; panics after `limit_ms`.
    pub fn run_until(&mut self, limit_ms: u64, what: &str, done: impl Fn(&Self) -> bool) {
        for _ in 0..limit_ms / 10 {
            if done(self) {
                return;
            }
            self.run_ms(10);
        }
        panic!("not within {limit_ms} ms: {what}\n{}", self.log());
    }

    /// Until every node serves and every replica is in sync.
    pub fn settle(&mut self) {
        self.run_until(30_000, "all nodes serve", |cluster| {
            cluster.hosts.iter().all(|host| {
                host.node.as_ref().is_none_or(|node| {
                    let view = node.view();
                    view.state_ok() && (view.is_master() || view.master_link_up())
                })
            })
        });
    }

    pub fn node(&self, host: usize) -> &Node {
        self.hosts[host].node.as_ref().expect("the node runs")
    }

    pub fn is_up(&self, host: usize) -> bool {
        self.hosts[host].node.is_some()
    }

    pub fn facts_of(&self, host: usize) -> impl Iterator<Item = (u64, &Fact)> {
        self.facts
            .iter()
            .filter(move |(_, of, _)| *of == host)
            .map(|(at, _, fact)| (at / 1000, fact))
    }

    pub fn count(&self, wanted: impl Fn(&Fact) -> bool) -> usize {
        self.facts
            .iter()
            .filter(|(_, _, fact)| wanted(fact))
            .count()
    }

    pub fn log(&self) -> String {
        let name = |id: NodeId| format!("n{}", id.0[0] - 1);
        let lines = self.facts.iter().map(|(at, host, fact)| {
            format!(
                "{:>9.3} n{host} {}\n",
                *at as f64 / 1e6,
                fact.log_line(&name)
            )
        });
        lines.collect()
    }

    /// Sends a command to a node on a connection of its own and returns the answer.
    pub fn command(&mut self, host: usize, line: &str) -> Reply {
        self.commands(host, &[line]).pop().unwrap_or(Reply::Nil)
    }

    /// Sends commands to a node on a connection of their own and returns the answers they got at
    /// once.
    pub fn commands(&mut self, host: usize, lines: &[&str]) -> Vec<Reply> {
        let client = ClientId(1_000_000 + self.take_id());
        let peer = SocketAddr::new(ip(200), 50_000);
        let local = ip(host);
        let accepted = Input::ClientAccepted {
            client,
            peer,
            local,
        };
        self.turn(host, What::Input(accepted));
        for line in lines {
            let words = line
                .split(' ')
                .map(|word| Word::copy_from_slice(word.as_bytes()));
            let command: Vec<Word> = words.collect();
            let wire_len = redrill_node::wire::resp::command_len(&command);
            self.turn(
                host,
                What::Input(Input::Command {
                    client,
                    command: command.into(),
                    wire_len,
                }),
            );
        }
        self.replies.remove(&(host, client)).unwrap_or_default()
    }

    fn now(&self) -> Now {
        Now {
            mono: Mono(self.now_us),
            wall: WallMillis(EPOCH_MS + self.now_us as i64 / 1000),
        }
    }

    fn take_id(&mut self) -> u64 {
        self.next_id += 1;
        self.next_id
    }

    fn push(&mut self, at_us: u64, host: usize, what: What) {
        self.sequence += 1;
        self.queue.push(Event {
            at_us,
            sequence: self.sequence,
            host,
            what,
        });
    }

    fn input_later(&mut self, host: usize, input: Input) {
        self.push(self.now_us + LATENCY_US, host, What::Input(input));
    }

    /// One turn of a host's event loop.
    fn turn(&mut self, host: usize, what: What) {
        let now = self.now();
        let Some(node) = &mut self.hosts[host].node else {
            return;
        };
        let mut actions = Vec::new();
        match what {
            What::Input(input) => node.handle(now, input, &mut actions),
            What::Turn => {
                if node.next_wake().at <= now.mono {
                    node.handle(now, Input::Wake, &mut actions);
                }
            }
        }
        node.handle(now, Input::TurnEnd, &mut actions);
        let wake = node.next_wake().at.0;
        self.carry_out(host, actions);
        if !self
            .queue
            .iter()
            .any(|event| event.host == host && matches!(event.what, What::Turn))
        {
            self.push(wake.max(self.now_us), host, What::Turn);
        }
    }

    fn carry_out(&mut self, host: usize, actions: Vec<Action>) {
        for action in actions {
            match action {
                Action::ToDisk(_)
                | Action::Log { .. }
                | Action::RewriteConfig { .. }
                | Action::Exit
                | Action::Exchange(_) => {}
                Action::Persist { state, .. } => {
                    self.hosts[host].saved = Some(state.state().into_owned());
                }
                Action::ConnectLink { link, to } => self.connect_link(host, link, host_of(to)),
                Action::SendBus { link, message } => {
                    if let Some(&(to, far)) = self.links.get(&(host, link))
                        && !self.cut.contains(&(host, to))
                    {
                        self.input_later(to, Input::Bus { link: far, message });
                    }
                }
                Action::CloseLink { link } => {
                    if let Some(far) = self.links.remove(&(host, link)) {
                        self.links.remove(&far);
                        self.input_later(
                            far.0,
                            Input::LinkDown {
                                link: far.1,
                                why: LinkFailure::Closed,
                            },
                        );
                    }
                }
                Action::Reply { client, reply, .. } => self.reply(host, client, reply),
                Action::CloseClient { client } => {
                    let replica = self
                        .masters_of
                        .iter()
                        .find(|(_, at)| **at == (host, client))
                        .map(|(&at, _)| at);
                    if let Some(replica) = replica {
                        self.masters_of.remove(&replica);
                        self.input_later(
                            replica,
                            Input::Master(FromMaster::Down(LinkFailure::Closed)),
                        );
                    }
                }
                Action::Sleep { duration_us } => {
                    self.hosts[host].stalled_until_us = self.now_us + duration_us
                }
                Action::ConnectMaster { to } => self.connect_master(host, host_of(to)),
                Action::ToMaster(ToMaster::Command(command)) => {
                    if let Some(&(master, client)) = self.masters_of.get(&host) {
                        let wire_len = redrill_node::wire::resp::command_len(&command);
                        self.input_later(
                            master,
                            Input::Command {
                                client,
                                command,
                                wire_len,
                            },
                        );
                    }
                }
                Action::CloseMaster => self.close_master(host),
                Action::ToReplica { client, what } => self.feed_replica(host, client, what),
                Action::Note(fact) => self.facts.push((self.now_us, host, fact)),
            }
        }
    }

    fn connect_link(&mut self, host: usize, link: LinkId, to: usize) {
        if self.cut.contains(&(host, to)) {
            return;
        }
        if self.hosts[to].node.is_none() {
            self.input_later(
                host,
                Input::LinkDown {
                    link,
                    why: LinkFailure::Refused,
                },
            );
            return;
        }
        let far = LinkId(self.take_id() * 2 + 1);
        self.links.insert((host, link), (to, far));
        self.links.insert((to, far), (host, link));
        self.input_later(
            to,
            Input::LinkAccepted {
                link: far,
                peer: ip(host),
                local: ip(to),
            },
        );
        self.input_later(host, Input::LinkUp { link });
    }

    fn connect_master(&mut self, host: usize, to: usize) {
        self.close_master(host);
        if self.cut.contains(&(host, to)) {
            return;
        }
        if self.hosts[to].node.is_none() {
            self.input_later(host, Input::Master(FromMaster::Down(LinkFailure::Refused)));
            return;
        }
        let client = ClientId(self.take_id());
        self.masters_of.insert(host, (to, client));
        self.input_later(
            to,
            Input::ClientAccepted {
                client,
                peer: SocketAddr::new(ip(host), 40_000),
                local: ip(to),
            },
        );
        self.input_later(host, Input::Master(FromMaster::Up));
    }

    fn close_master(&mut self, host: usize) {
        if let Some((master, client)) = self.masters_of.remove(&host) {
            self.input_later(master, Input::ClientClosed { client });
        }
    }

    fn reply(&mut self, host: usize, client: ClientId, reply: Reply) {
        let replica = self
            .masters_of
            .iter()
            .find(|(_, at)| **at == (host, client))
            .map(|(&at, _)| at);
        match replica {
            Some(replica) => self.input_later(replica, Input::Master(FromMaster::Reply(reply))),
            None => self.replies.entry((host, client)).or_default().push(reply),
        }
    }

    fn feed_replica(&mut self, host: usize, client: ClientId, what: ToReplica) {
        let replica = self
            .masters_of
            .iter()
            .find(|(_, at)| **at == (host, client))
            .map(|(&at, _)| at);
        let Some(replica) = replica.filter(|&replica| !self.cut.contains(&(host, replica))) else {
            return;
        };
        match what {
            ToReplica::FullResync(resync) => {
                let FullResync {
                    id,
                    offset,
                    snapshot,
                    ..
                } = *resync;
                self.input_later(
                    replica,
                    Input::Master(FromMaster::FullResync { id, offset }),
                );
                self.input_later(replica, Input::Master(FromMaster::Snapshot(snapshot)));
            }
            ToReplica::Release => {}
            ToReplica::Continue { id } => {
                self.input_later(
                    replica,
                    Input::Master(FromMaster::Continue { id: Some(id) }),
                );
            }
            ToReplica::Stream(command) => {
                let wire_len = redrill_node::wire::resp::command_len(&command);
                self.input_later(
                    replica,
                    Input::Master(FromMaster::Stream { command, wire_len }),
                );
            }
        }
    }
}

fn slots_of(master: usize, masters: usize) -> SlotSet {
    let bound = |index: usize| (16384 * index / masters) as Slot;
    SlotSet::from(SlotRange {
        first: bound(master),
        last: bound(master + 1) - 1,
    })
}

fn state_of(host: usize, masters: usize, total: usize) -> SavedState {
    let nodes = (0..total)
        .map(|other| {
            let role = if other < masters {
                NodeFlags::MASTER
            } else {
                NodeFlags::REPLICA
            };
            let myself = if other == host {
                NodeFlags::MYSELF
            } else {
                NodeFlags::empty()
            };
            SavedNode {
                id: id(other),
                address: Address {
                    ip: Some(ip(other)),
                    port: 6379,
                    bus_port: 16379,
                },
                hostname: None,
                shard_id: None,
                flags: role | myself,
                replica_of: (other >= masters).then(|| id(other % masters)),
                ping_sent_ms: 0,
                pong_received_ms: 0,
                config_epoch: if other < masters { other as u64 + 1 } else { 0 },
                link_up: other == host,
                slots: Arc::new(if other < masters {
                    slots_of(other, masters)
                } else {
                    SlotSet::new()
                }),
                migrating: Vec::new(),
                importing: Vec::new(),
            }
        })
        .collect();
    SavedState {
        nodes,
        current_epoch: total as u64,
        last_vote_epoch: 0,
    }
}
