//! The clock, the queue, and who is told what comes due.

use std::collections::BTreeMap;
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;

use redrill_node::{
    Action, Bug, CommandLine, Config, ConfigError, Fact, Mono, Node, Now, Reply, SavedState, Seed,
    WallMillis,
};

use super::connections::{Connections, End, Notice, Port, WireIndex};
use super::host::{Descriptor, Host, LoopState};
use super::queue::Queue;
use super::wire::Parcel;
use crate::client::{Client, ClientAction, ClientInput, ConnectionId};
use crate::disk::HostDisk;
use crate::network::{HostNumber, Network};
use crate::tcp::{NEVER, Side};
use crate::trace::{NodeNumber, ProcessChange, StateLoad};
use crate::world::Ticket;

/// Something to come.
#[derive(Clone, Copy, Debug)]
pub(super) enum Event {
    /// A connection has something to do.
    Connection(WireIndex, Notice),
    /// A process turns because something is readable.
    Turn(NodeNumber),
    /// A process's poll times out.
    Timer(NodeNumber),
    /// A process goes on: its sleep is over, or its disk is done.
    Resume(NodeNumber),
    /// A client wants to be woken.
    Client(u16),
    /// An operator's patience is over.
    Impatient(Ticket, WireIndex),
}

/// What the world tells whoever directs it.
#[derive(Debug)]
pub(super) enum Report {
    /// A node reported something.
    Fact(NodeNumber, Fact),
    /// A node's state file was written.
    StateSaved {
        node: NodeNumber,
        synced: bool,
        current_epoch: u64,
        last_vote_epoch: u64,
    },
    /// A client has something to tell: an operation ended, or the audit read a key.
    Client(ClientAction),
    /// An operator's command was answered.
    Answered(Ticket, Reply),
    /// An operator's command will not be answered.
    Unanswered(Ticket, &'static str),
    /// A process goes on after `DEBUG SLEEP`.
    Process(NodeNumber, ProcessChange),
}

/// A node's disk: its state file as written, and as it would survive a loss of power.
#[derive(Debug)]
pub(super) struct Disk {
    pub(super) written: State,
    pub(super) durable: State,
    /// Whether what was written last is to be durable.
    pub(super) syncing: bool,
    /// How long an fsync takes.
    pub(super) times: HostDisk,
}

/// A state file.
#[derive(Clone, Debug)]
pub(super) enum State {
    Whole(Arc<SavedState>),
    Torn,
}

impl Disk {
    /// A disk that holds a state file.
    pub(super) fn new(state: Arc<SavedState>, times: HostDisk) -> Self {
        let state = State::Whole(state);
        Self {
            written: state.clone(),
            durable: state,
            syncing: false,
            times,
        }
    }
}

/// A workload client and its connections.
#[derive(Debug)]
pub(super) struct ClientHost {
    pub(super) client: Client,
    host: HostNumber,
    wires: Vec<(ConnectionId, WireIndex)>,
    wake_at_us: u64,
}

/// Everything that runs, and the clock it runs by.
#[derive(Debug)]
pub(super) struct Kernel {
    pub(super) now_us: u64,
    pub(super) queue: Queue<Event>,
    pub(super) network: Network,
    pub(super) connections: Connections,
    pub(super) hosts: Vec<Host>,
    pub(super) disks: Vec<Disk>,
    pub(super) clients: Vec<ClientHost>,
    /// The nodes' addresses.
    pub(super) addresses: BTreeMap<SocketAddr, (NodeNumber, Port)>,
    /// The addresses of all hosts, nodes first.
    pub(super) ips: Vec<IpAddr>,
    pub(super) epoch_ms: i64,
    pub(super) reports: Vec<(u64, Report)>,
    client_actions: Vec<ClientAction>,
    /// Buffers that are used again and again.
    pub(super) actions: Vec<Action>,
    pub(super) written: Vec<(WireIndex, Side)>,
}

impl Kernel {
    /// A world of hosts whose processes have not started.
    pub(super) fn new(
        network: Network,
        disks: Vec<Disk>,
        addresses: BTreeMap<SocketAddr, (NodeNumber, Port)>,
        ips: Vec<IpAddr>,
        epoch_ms: i64,
    ) -> Self {
        Self {
            now_us: 0,
            queue: Queue::new(),
            connections: Connections::new(network.segment_bytes()),
            network,
            hosts: disks.iter().map(|_| Host::new()).collect(),
            disks,
            clients: Vec::new(),
            addresses,
            ips,
            epoch_ms,
            reports: Vec::new(),
            client_actions: Vec::new(),
            actions: Vec::new(),
            written: Vec::new(),
        }
    }

    /// Runs what is due next, if that is at `limit_us` at the latest; otherwise moves the clock
    /// there. False in that case.
    pub(super) fn step(&mut self, limit_us: u64) -> bool {
        let Some((at_us, event)) = self.queue.pop_until(limit_us) else {
            self.now_us = self.now_us.max(limit_us);
            return false;
        };
        self.now_us = at_us;
        match event {
            Event::Connection(wire, notice) => self.connection_due(wire, notice),
            Event::Turn(node) => self.turn_due(node),
            Event::Timer(node) => self.timer_due(node),
            Event::Resume(node) => self.resume_due(node),
            Event::Client(client) => self.client_due(client),
            Event::Impatient(ticket, wire) => self.unanswered(ticket, wire, "no answer in time"),
        }
        true
    }

    /// How many events have happened.
    pub(super) fn handled(&self) -> u64 {
        self.queue.taken()
    }

    /// What both clocks of a host show.
    pub(super) fn clock(&self, node: NodeNumber) -> Now {
        let ahead_ms = self.hosts[usize::from(node)].clock_ahead_ms;
        let wall_ms = self.epoch_ms + (self.now_us / 1000) as i64 + ahead_ms;
        Now {
            mono: Mono(self.now_us),
            wall: WallMillis(wall_ms),
        }
    }

    /// Starts a node's process with what its disk holds.
    pub(super) fn start(
        &mut self,
        node: NodeNumber,
        config: Config,
        seed: Seed,
    ) -> Result<(), ConfigError> {
        let now = self.clock(node);
        let saved = match &self.disks[usize::from(node)].written {
            State::Whole(state) => Some(SavedState::clone(state)),
            State::Torn => None,
        };
        let host = &mut self.hosts[usize::from(node)];
        host.clear();
        host.starts += 1;
        host.node = Some(Node::new(config, seed, saved, now)?);
        self.end_turn(node);
        Ok(())
    }

    /// Adds a client. It wakes by itself.
    pub(super) fn add_client(&mut self, client: Client, host: HostNumber) -> u16 {
        let wake_at_us = client.next_wake_us().max(self.now_us);
        let number = self.clients.len() as u16;
        if wake_at_us != NEVER {
            self.queue.push(wake_at_us, Event::Client(number));
        }
        self.clients.push(ClientHost {
            client,
            host,
            wires: Vec::new(),
            wake_at_us,
        });
        number
    }

    /// Multiplies the rate of a client.
    pub(super) fn set_rate_factor(&mut self, number: u16, factor: f64) {
        let now_us = self.now_us;
        self.clients[usize::from(number)]
            .client
            .set_rate_factor(now_us, factor);
        self.schedule_client(number);
    }

    /// What a process finds on its disk when it starts.
    pub(super) fn state_on_disk(&self, node: NodeNumber) -> StateLoad {
        match &self.disks[usize::from(node)].written {
            State::Whole(state) => StateLoad::Whole {
                current_epoch: state.current_epoch,
                last_vote_epoch: state.last_vote_epoch,
            },
            State::Torn => StateLoad::Torn,
        }
    }

    /// A node, if its process runs.
    pub(super) fn node(&self, node: NodeNumber) -> Option<&Node> {
        self.hosts[usize::from(node)].node.as_ref()
    }

    /// How often a node's process has started.
    pub(super) fn starts(&self, node: NodeNumber) -> u32 {
        self.hosts[usize::from(node)].starts
    }

    pub(super) fn report(&mut self, report: Report) {
        self.reports.push((self.now_us, report));
    }

    fn client_due(&mut self, number: u16) {
        let host = &mut self.clients[usize::from(number)];
        if host.wake_at_us != self.now_us {
            return;
        }
        host.wake_at_us = NEVER;
        self.tell_client(number, ClientInput::Wake);
    }

    /// Gives a client an input and does what it asks.
    pub(super) fn tell_client(&mut self, number: u16, input: ClientInput) {
        let mut actions = std::mem::take(&mut self.client_actions);
        let now_us = self.now_us;
        self.clients[usize::from(number)]
            .client
            .handle(now_us, input, &mut actions);
        for action in actions.drain(..) {
            self.carry_out_for_client(number, action);
        }
        self.client_actions = actions;
        self.schedule_client(number);
    }

    fn schedule_client(&mut self, number: u16) {
        let host = &mut self.clients[usize::from(number)];
        let wake_at_us = host.client.next_wake_us();
        if wake_at_us != NEVER && wake_at_us != host.wake_at_us {
            host.wake_at_us = wake_at_us.max(self.now_us);
            self.queue.push(host.wake_at_us, Event::Client(number));
        }
    }

    fn carry_out_for_client(&mut self, number: u16, action: ClientAction) {
        let wire_of = |host: &ClientHost, wanted: ConnectionId| {
            let found = host
                .wires
                .iter()
                .find(|(connection, _)| *connection == wanted);
            found.map(|&(_, wire)| wire)
        };
        let host = &mut self.clients[usize::from(number)];
        match action {
            ClientAction::Connect { connection, node } => {
                let end = End::Client(number, connection);
                let from = host.host;
                let wire = self.dial(from, node, Port::Client, end, true);
                self.clients[usize::from(number)]
                    .wires
                    .push((connection, wire));
            }
            ClientAction::Send {
                connection,
                command,
            } => {
                if let Some(wire) = wire_of(host, connection) {
                    self.write(wire, Side::Opener, Parcel::Command(command));
                    self.flush(wire, Side::Opener);
                }
            }
            ClientAction::Close { connection } => {
                if let Some(wire) = wire_of(host, connection) {
                    host.wires.retain(|(held, _)| *held != connection);
                    self.close(wire, Side::Opener);
                }
            }
            ClientAction::Done(_) | ClientAction::Audited { .. } => {
                self.report(Report::Client(action));
            }
        }
    }

    /// Something is readable at a client's end.
    pub(super) fn client_readable(
        &mut self,
        number: u16,
        connection: ConnectionId,
        wire: WireIndex,
    ) {
        use super::wire::Found;
        self.receive(wire, Side::Opener, u64::MAX);
        loop {
            match self.next(wire, Side::Opener) {
                Found::Parcel(Parcel::Reply(reply)) => {
                    self.tell_client(number, ClientInput::Reply(connection, reply));
                }
                Found::Parcel(
                    Parcel::Bus(_)
                    | Parcel::Command(_)
                    | Parcel::FullResync { .. }
                    | Parcel::Continue(_)
                    | Parcel::Stream(_),
                ) => {}
                Found::Nothing | Found::More => return,
                Found::Closed | Found::Broken(_) => {
                    self.client_lost(number, connection, wire);
                    return;
                }
            }
        }
    }

    /// A client's connection could not be made, or ended.
    pub(super) fn client_lost(&mut self, number: u16, connection: ConnectionId, wire: WireIndex) {
        let host = &mut self.clients[usize::from(number)];
        host.wires.retain(|(held, _)| *held != connection);
        self.close(wire, Side::Opener);
        self.tell_client(number, ClientInput::Broken(connection));
    }

    /// Has an operator send a command on a connection of its own.
    pub(super) fn operate(
        &mut self,
        ticket: Ticket,
        from: HostNumber,
        node: NodeNumber,
        command: CommandLine,
        patience_us: u64,
    ) {
        let wire = self.dial(from, node, Port::Client, End::Operator(ticket), true);
        self.write(wire, Side::Opener, Parcel::Command(command));
        let until_us = self.now_us.saturating_add(patience_us);
        self.queue.push(until_us, Event::Impatient(ticket, wire));
    }

    /// Something is readable at an operator's end.
    pub(super) fn operator_readable(&mut self, ticket: Ticket, wire: WireIndex) {
        use super::wire::Found;
        self.receive(wire, Side::Opener, u64::MAX);
        match self.next(wire, Side::Opener) {
            Found::Parcel(Parcel::Reply(reply)) => {
                self.close(wire, Side::Opener);
                self.report(Report::Answered(ticket, reply));
            }
            Found::Closed | Found::Broken(_) => {
                self.unanswered(ticket, wire, "the connection was lost");
            }
            Found::Parcel(_) | Found::Nothing | Found::More => {}
        }
    }

    /// An operator's command will not be answered, unless it was.
    pub(super) fn unanswered(&mut self, ticket: Ticket, wire: WireIndex, why: &'static str) {
        if self.connections.end(wire, Side::Opener) == End::Operator(ticket) {
            self.close(wire, Side::Opener);
            self.report(Report::Unanswered(ticket, why));
        }
    }

    /// Stops a process by a signal, or lets it go on. A stopped process keeps its connections; its
    /// kernel goes on receiving.
    pub(super) fn set_frozen(&mut self, node: NodeNumber, frozen: bool) {
        self.hosts[usize::from(node)].frozen = frozen;
        if !frozen {
            self.thaw(node);
        }
    }

    /// Ends a process at once (`SIGKILL`): its kernel closes what it held.
    pub(super) fn kill(&mut self, node: NodeNumber) {
        for (wire, side) in self.connections.of_host(node) {
            self.connections.disown(wire, side);
            self.close(wire, side);
        }
        self.hosts[usize::from(node)].clear();
    }

    /// Takes the power from a host: nothing of it answers any more, and what was not synced is
    /// lost.
    pub(super) fn power_off(&mut self, node: NodeNumber) {
        self.settle_all();
        for (wire, side) in self.connections.of_host(node) {
            self.vanish(wire, side);
        }
        let torn = self
            .node(node)
            .is_some_and(|node| node.config().has_bug(Bug::TornStateFile));
        self.hosts[usize::from(node)].clear();
        self.network.set_dark(node, true);
        let disk = &mut self.disks[usize::from(node)];
        disk.written = match torn && !disk.syncing {
            true => State::Torn,
            false => disk.durable.clone(),
        };
    }

    /// Whether a process runs or stands still, as opposed to having ended.
    pub(super) fn is_up(&self, node: NodeNumber) -> bool {
        self.hosts[usize::from(node)].node.is_some()
    }

    /// Has a host look at its descriptors.
    pub(super) fn wake_host(&mut self, node: NodeNumber, descriptor: Descriptor) {
        let host = &mut self.hosts[usize::from(node)];
        if host.node.is_none() {
            return;
        }
        host.note_ready(descriptor);
        let can_turn = host.loop_state == LoopState::Polling && !host.frozen;
        if can_turn && host.turn_at_us != self.now_us {
            host.turn_at_us = self.now_us;
            // Behind whatever else arrives at this very time.
            self.queue.push(self.now_us, Event::Turn(node));
        }
    }
}
