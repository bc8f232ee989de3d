//! The clock, the queue, and who is told what comes due.

use std::cell::RefCell;
use std::collections::{BTreeMap, VecDeque};
use std::net::{IpAddr, SocketAddr};
use std::rc::Rc;
use std::sync::Arc;

use redrill_node::{
    Action, Bug, CommandLine, Config, ConfigError, Directory, Mono, Node, Now, Reply, SavedState,
    Seed, StateFile, WallMillis,
};

use super::connections::Notice;
use super::data::{DataFiles, DiskWork};
use super::host::{Descriptor, Host, LoopState};
use super::queue::{Due, Queue};
use super::table::{Connections, End, Port, WireIndex};
use super::wire::Parcel;
use crate::client::{Client, ClientAction, ClientInput, ConnectionId};
use crate::disk::HostDisk;
use crate::network::{HostNumber, Network};
use crate::operator;
use crate::recorder::{Answer, Recorder};
use crate::tcp::{NEVER, Side};
use crate::trace::{NodeNumber, StateLoad};
use crate::world::Ticket;

/// Something to come.
#[derive(Clone, Copy, Debug)]
pub(super) enum Event {
    /// A connection has something to do.
    Connection(WireIndex, Notice),
    /// A process turns because something is readable.
    Turn(NodeNumber),
    /// A process goes on: its sleep is over, or its disk is done.
    Resume(NodeNumber),
    /// Something may have reached a disk.
    Disk(NodeNumber),
    /// An operator's patience is over.
    Impatient(Ticket, WireIndex),
}

/// A node's disk: its state file as written, and as it would survive a loss of power.
#[derive(Debug)]
pub(super) struct Disk {
    pub(super) written: State,
    pub(super) durable: State,
    /// Whether what was written last is to be durable.
    pub(super) syncing: bool,
    /// Files of data.
    pub(super) data: DataFiles,
    /// What is on its way to the disk, with when it will be there.
    pub(super) work: VecDeque<(u64, DiskWork)>,
    /// Whether the event loop waits for what was appended to be durable.
    pub(super) syncs_log: bool,
    /// How long an fsync takes.
    pub(super) times: HostDisk,
}

/// A state file.
#[derive(Clone, Debug)]
pub(super) enum State {
    Whole(Arc<StateFile>),
    Torn,
}

impl Disk {
    /// A disk that holds a state file.
    pub(super) fn new(state: Arc<SavedState>, times: HostDisk) -> Self {
        let state = State::Whole(Arc::new(state.into()));
        Self {
            written: state.clone(),
            durable: state,
            syncing: false,
            data: DataFiles::default(),
            work: VecDeque::new(),
            syncs_log: false,
            times,
        }
    }

    /// Whether what was written last would survive a loss of power.
    fn is_durable(&self) -> bool {
        match (&self.written, &self.durable) {
            (State::Whole(written), State::Whole(durable)) => Arc::ptr_eq(written, durable),
            (State::Torn, State::Torn) => true,
            (State::Whole(_), State::Torn) | (State::Torn, State::Whole(_)) => false,
        }
    }
}

/// A workload client and its connections.
#[derive(Debug)]
pub(super) struct ClientHost {
    pub(super) client: Client,
    host: HostNumber,
    /// By number of the connection.
    wires: Vec<Option<WireIndex>>,
    wake_at_us: u64,
}

impl ClientHost {
    /// A connection is no more.
    fn forget(&mut self, connection: ConnectionId) -> Option<WireIndex> {
        self.wires.get_mut(connection.0 as usize)?.take()
    }
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
    /// What the nodes call each other.
    directory: Arc<Directory>,
    pub(super) recorder: Rc<RefCell<Recorder>>,
    client_actions: Vec<ClientAction>,
    written_by_client: Vec<WireIndex>,
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
            connections: Connections::new(),
            network,
            hosts: disks.iter().map(|_| Host::new()).collect(),
            disks,
            clients: Vec::new(),
            addresses,
            ips,
            epoch_ms,
            directory: Arc::default(),
            recorder: Rc::new(RefCell::new(Recorder::new())),
            client_actions: Vec::new(),
            written_by_client: Vec::new(),
            actions: Vec::new(),
            written: Vec::new(),
        }
    }

    /// Runs what is due next, if that is at `limit_us` at the latest; otherwise moves the clock
    /// there. False in that case.
    pub(super) fn step(&mut self, limit_us: u64) -> bool {
        let Some((at_us, due)) = self.queue.pop_until(limit_us) else {
            self.now_us = self.now_us.max(limit_us);
            self.queue.pass(self.now_us);
            return false;
        };
        self.now_us = at_us;
        // A turn follows at once what looked ahead for it.
        if !matches!(due, Due::Entry(Event::Turn(_))) {
            self.look_ahead();
        }
        let event = match due {
            Due::Entry(event) => event,
            Due::Alarm(host) => {
                match host.checked_sub(self.hosts.len() as u16) {
                    Some(client) => self.client_due(client),
                    None => self.timer_due(host),
                }
                return true;
            }
        };
        match event {
            Event::Connection(wire, notice) => self.connection_due(wire, notice),
            Event::Turn(node) => {
                self.turn_due(node);
                self.look_further();
            }
            Event::Resume(node) => self.resume_due(node),
            Event::Disk(node) => self.disk_due(node),
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
            State::Whole(state) => Some(state.state().into_owned()),
            State::Torn => None,
        };
        let host = &mut self.hosts[usize::from(node)];
        host.clear();
        host.starts += 1;
        let mut process = Node::among(&self.directory, config, seed, saved, now)?;
        self.disks[usize::from(node)].data.load(&mut process, now);
        host.node = Some(process);
        self.end_turn(node);
        Ok(())
    }

    /// Adds a client. It wakes by itself.
    pub(super) fn add_client(&mut self, client: Client, host: HostNumber) -> u16 {
        let wake_at_us = client.next_wake_us().max(self.now_us);
        let number = self.clients.len() as u16;
        if wake_at_us != NEVER {
            self.queue.set_alarm(self.alarm_of(number), wake_at_us);
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

    /// Notes what became of an operator's command.
    fn answered(&mut self, ticket: Ticket, text: String, failed: bool) {
        let answer = Answer { text, failed };
        self.recorder.borrow_mut().answered(ticket, answer);
    }

    fn client_due(&mut self, number: u16) {
        self.clients[usize::from(number)].wake_at_us = NEVER;
        self.tell_client(number, ClientInput::Wake);
    }

    /// Gives a client an input and does what it asks.
    pub(super) fn tell_client(&mut self, number: u16, input: ClientInput) {
        let mut written = std::mem::take(&mut self.written_by_client);
        self.let_client_write(number, input, &mut written);
        self.end_client_turn(number, written);
    }

    /// Gives a client an input; what it sends waits in `written` to be handed to the kernel.
    fn let_client_write(&mut self, number: u16, input: ClientInput, written: &mut Vec<WireIndex>) {
        let mut actions = std::mem::take(&mut self.client_actions);
        let now_us = self.now_us;
        self.clients[usize::from(number)]
            .client
            .handle(now_us, input, &mut actions);
        for action in actions.drain(..) {
            self.carry_out_for_client(number, action, written);
        }
        self.client_actions = actions;
    }

    /// Hands what a client sent to the kernel.
    fn end_client_turn(&mut self, number: u16, mut written: Vec<WireIndex>) {
        for wire in written.drain(..) {
            self.flush(wire, Side::Opener);
        }
        self.written_by_client = written;
        self.schedule_client(number);
    }

    fn schedule_client(&mut self, number: u16) {
        let host = &mut self.clients[usize::from(number)];
        let wake_at_us = host.client.next_wake_us();
        if wake_at_us != NEVER && wake_at_us != host.wake_at_us {
            let wake_at_us = wake_at_us.max(self.now_us);
            host.wake_at_us = wake_at_us;
            self.queue.set_alarm(self.alarm_of(number), wake_at_us);
        }
    }

    /// The alarms of clients come after those of nodes.
    fn alarm_of(&self, client: u16) -> u16 {
        self.hosts.len() as u16 + client
    }

    /// What is sent waits in `written` to be handed to the kernel.
    fn carry_out_for_client(
        &mut self,
        number: u16,
        action: ClientAction,
        written: &mut Vec<WireIndex>,
    ) {
        let host = &mut self.clients[usize::from(number)];
        match action {
            ClientAction::Connect { connection, node } => {
                let end = End::Client(number, connection);
                let from = host.host;
                let wire = self.dial(from, node, Port::Client, end, true);
                let wires = &mut self.clients[usize::from(number)].wires;
                let place = connection.0 as usize;
                wires.resize(wires.len().max(place + 1), None);
                wires[place] = Some(wire);
            }
            ClientAction::Send {
                connection,
                command,
            } => {
                if let Some(&Some(wire)) = host.wires.get(connection.0 as usize) {
                    self.write(wire, Side::Opener, Parcel::Command(command));
                    if !written.contains(&wire) {
                        written.push(wire);
                    }
                }
            }
            ClientAction::Close { connection } => {
                if let Some(wire) = host.forget(connection) {
                    self.flush(wire, Side::Opener);
                    self.close(wire, Side::Opener);
                }
            }
            ClientAction::Done(operation) => {
                let mut recorder = self.recorder.borrow_mut();
                recorder.operation(self.now_us, operation);
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
        let mut written = std::mem::take(&mut self.written_by_client);
        let ended = loop {
            match self.next(wire, Side::Opener) {
                Found::Parcel {
                    parcel: Parcel::Reply(reply),
                    ..
                } => {
                    let input = ClientInput::Reply(connection, reply);
                    self.let_client_write(number, input, &mut written);
                }
                Found::Parcel {
                    parcel:
                        Parcel::Bus(_)
                        | Parcel::Command(_)
                        | Parcel::FullResync(_)
                        | Parcel::Continue(_)
                        | Parcel::Stream(_),
                    ..
                } => {}
                Found::Nothing | Found::More => break false,
                Found::Closed | Found::Broken(_) => break true,
            }
        };
        self.end_client_turn(number, written);
        if ended {
            self.client_lost(number, connection, wire);
        }
    }

    /// A client's connection could not be made, or ended.
    pub(super) fn client_lost(&mut self, number: u16, connection: ConnectionId, wire: WireIndex) {
        self.clients[usize::from(number)].forget(connection);
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
            Found::Parcel {
                parcel: Parcel::Reply(reply),
                ..
            } => {
                self.close(wire, Side::Opener);
                let failed = matches!(reply, Reply::Error(_));
                self.answered(ticket, operator::show(&reply), failed);
            }
            Found::Closed | Found::Broken(_) => {
                self.unanswered(ticket, wire, "the connection was lost");
            }
            Found::Parcel { .. } | Found::Nothing | Found::More => {}
        }
    }

    /// An operator's command will not be answered, unless it was.
    pub(super) fn unanswered(&mut self, ticket: Ticket, wire: WireIndex, why: &'static str) {
        if self.connections.end(wire, Side::Opener) == End::Operator(ticket) {
            self.close(wire, Side::Opener);
            self.answered(ticket, why.to_owned(), true);
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
        self.disks[usize::from(node)].data.process_ended();
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
        disk.written = match torn && !disk.is_durable() {
            true => State::Torn,
            false => disk.durable.clone(),
        };
        disk.data.lose_power();
    }

    /// Whether a process runs or stands still, as opposed to having ended.
    pub(super) fn is_up(&self, node: NodeNumber) -> bool {
        self.hosts[usize::from(node)].node.is_some()
    }

    /// Has a host look at its descriptors.
    pub(super) fn wake_host(&mut self, node: NodeNumber, descriptor: Descriptor) {
        if !self.is_up(node) {
            return;
        }
        self.note_ready(node, descriptor);
        let host = &mut self.hosts[usize::from(node)];
        let can_turn = host.loop_state == LoopState::Polling && !host.frozen;
        if can_turn && host.turn_at_us != self.now_us {
            host.turn_at_us = self.now_us;
            // Behind whatever else arrives at this very time.
            self.queue.push(self.now_us, Event::Turn(node));
        }
    }
    /// Adds a descriptor to those that the next poll finds, unless it is among them.
    pub(super) fn note_ready(&mut self, node: NodeNumber, descriptor: Descriptor) {
        let ready = &mut self.hosts[usize::from(node)].ready;
        let is_new = match descriptor {
            Descriptor::Readable(wire, side) => self.connections.list(wire, side),
            // This happens once in the life of a connection.
            Descriptor::Accept(_) | Descriptor::Dialled(_) => true,
            Descriptor::Failed(_) | Descriptor::Disk | Descriptor::NoRoute(_) => {
                !ready.contains(&descriptor)
            }
        };
        if is_new {
            ready.push_back(descriptor);
        }
    }
}
