//! The turns of a node's event loop, in Redis's order: every readable descriptor, then the timers,
//! then the end of the turn.

use std::net::SocketAddr;

use redrill_node::{Action, ClientId, FromMaster, FullResync, Input, LinkFailure, LinkId};

use super::host::{Descriptor, LoopState};
use super::kernel::{Event, Kernel};
use super::table::{End, Port, WireIndex};
use super::wire::{Found, Parcel};
use crate::tcp::{Break, Side};
use crate::trace::{NodeNumber, ProcessChange};

/// What Redis reads of a client in one go (`PROTO_IOBUF_LEN`), bytes.
const CLIENT_READ_BYTES: u64 = 16 << 10;

/// What Redis accepts of a listening socket in one go (`MAX_ACCEPTS_PER_CALL`).
const MOST_ACCEPTED: usize = 1000;

/// The port clients seem to come from.
const EPHEMERAL_PORT: u16 = 40_000;

/// The poll's time-out is in whole milliseconds.
const POLL_GRAIN_US: u64 = 1000;

const fn is_fact(action: &Action) -> bool {
    matches!(action, Action::Note(_))
}

/// Whether an action may wait until its turn comes.
const fn can_be_held(action: &Action) -> bool {
    !matches!(action, Action::Sleep { .. } | Action::Exchange(_))
}

/// Whether a turn goes on.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Flow {
    GoesOn,
    /// The process sleeps in the middle of it.
    Sleeps,
}

/// What comes due.
impl Kernel {
    pub(super) fn turn_due(&mut self, node: NodeNumber) {
        let host = &mut self.hosts[usize::from(node)];
        if host.turn_at_us != self.now_us {
            return;
        }
        host.turn_at_us = u64::MAX;
        if self.may_turn(node) {
            self.turn(node);
        }
    }

    /// A process's poll times out.
    pub(super) fn timer_due(&mut self, node: NodeNumber) {
        let polls = self.hosts[usize::from(node)].poll_until_us <= self.now_us;
        if polls && self.may_turn(node) {
            self.turn(node);
        }
    }

    pub(super) fn resume_due(&mut self, node: NodeNumber) {
        if !self.hosts[usize::from(node)].frozen {
            self.resume(node);
        }
    }

    /// A stopped process goes on where it was. A poll was interrupted: the timers run before
    /// anything is read.
    pub(super) fn thaw(&mut self, node: NodeNumber) {
        match self.hosts[usize::from(node)].loop_state {
            LoopState::Sleeping { .. }
            | LoopState::Syncing { .. }
            | LoopState::Appending { .. } => self.resume(node),
            LoopState::Exchanging { .. } => self.exchange_due(node),
            LoopState::Polling => {
                if self.is_up(node) {
                    self.end_poll(node);
                }
            }
        }
    }

    fn resume(&mut self, node: NodeNumber) {
        let now_us = self.now_us;
        let host = &mut self.hosts[usize::from(node)];
        match host.loop_state {
            LoopState::Sleeping { until_us } if until_us <= now_us => {
                host.loop_state = LoopState::Polling;
                let mut recorder = self.recorder.borrow_mut();
                recorder.process(now_us, node, ProcessChange::Resumed);
                drop(recorder);
                self.go_on(node);
            }
            LoopState::Syncing { until_us } if until_us <= now_us => {
                host.loop_state = LoopState::Polling;
                self.saved(node);
                self.carry_out(node);
            }
            LoopState::Appending { until_us } if until_us <= now_us => {
                host.loop_state = LoopState::Polling;
                self.log_synced(node);
                self.carry_out(node);
            }
            LoopState::Exchanging { until_us } if until_us <= now_us => self.exchange_due(node),
            LoopState::Sleeping { .. }
            | LoopState::Syncing { .. }
            | LoopState::Appending { .. }
            | LoopState::Exchanging { .. }
            | LoopState::Polling => {}
        }
    }

    /// A process turns for one thing that became readable just now, and that nobody listed.
    pub(super) fn turn_for(&mut self, node: NodeNumber, descriptor: Descriptor) {
        self.queue.pass_over();
        if self.attend(node, descriptor) == Flow::GoesOn {
            self.end_poll(node);
        }
        self.look_further();
    }

    /// Whether a process would take what arrives, and has nothing else to do.
    pub(super) fn is_at_rest(&self, node: NodeNumber) -> bool {
        let host = &self.hosts[usize::from(node)];
        self.may_turn(node) && host.ready.is_empty() && host.turn_at_us != self.now_us
    }

    /// Whether a process would take what arrives.
    pub(super) fn may_turn(&self, node: NodeNumber) -> bool {
        let host = &self.hosts[usize::from(node)];
        host.node.is_some() && !host.frozen && host.loop_state == LoopState::Polling
    }
}

/// A turn.
impl Kernel {
    fn turn(&mut self, node: NodeNumber) {
        let host = &mut self.hosts[usize::from(node)];
        std::mem::swap(&mut host.ready, &mut host.polled);
        for descriptor in &host.polled {
            if let &Descriptor::Readable(wire, side) = descriptor {
                self.connections.unlist(wire, side);
            }
        }
        self.go_on(node);
    }

    /// The rest of a turn: what this poll found and was not read yet, the timers, the end.
    pub(super) fn go_on(&mut self, node: NodeNumber) {
        while let Some(descriptor) = self.hosts[usize::from(node)].polled.pop_front() {
            if self.attend(node, descriptor) == Flow::Sleeps {
                return;
            }
        }
        self.end_poll(node);
    }

    /// What follows when all that a poll found was read.
    fn end_poll(&mut self, node: NodeNumber) {
        self.timers(node);
        self.end_turn(node);
    }

    fn timers(&mut self, node: NodeNumber) {
        let due = self.hosts[usize::from(node)]
            .node
            .as_ref()
            .map(|node| node.next_wake().at.0);
        if due.is_some_and(|at_us| at_us <= self.now_us) {
            self.input(node, Input::Wake);
            if !self.hosts[usize::from(node)].correspondents.is_empty() {
                self.close_idle_correspondents(node);
            }
        }
    }

    pub(super) fn end_turn(&mut self, node: NodeNumber) {
        let mut wanted = self.handle(node, Input::TurnEnd);
        if !(self.hosts[usize::from(node)].held.is_empty() && wanted.iter().all(can_be_held)) {
            self.hold(node, wanted);
            self.carry_out(node);
            return;
        }
        // Nothing stands before it: it is done as it comes.
        if !wanted.is_empty() {
            self.prepare_writes(node, &wanted);
            let mut waits = false;
            for action in wanted.drain(..) {
                if waits {
                    self.hosts[usize::from(node)].held.push_back(action);
                } else {
                    waits = self.do_now(node, action) == Flow::Sleeps;
                }
            }
        }
        self.actions = wanted;
        self.end_carrying_out(node);
    }

    /// Gives a node an input. What it wants is held until the turn ends.
    pub(super) fn input(&mut self, node: NodeNumber, input: Input) -> Flow {
        let wanted = self.handle(node, input);
        self.hold(node, wanted)
    }

    /// Gives a node an input and reports its facts. What it wants comes in the buffer that
    /// [`Self::hold`] gives back.
    fn handle(&mut self, node: NodeNumber, input: Input) -> Vec<Action> {
        let now = self.clock(node);
        let mut actions = std::mem::take(&mut self.actions);
        if let Some(process) = &mut self.hosts[usize::from(node)].node {
            process.handle(now, input, &mut actions);
        }
        if actions.iter().any(is_fact) {
            for fact in actions.extract_if(.., |action| is_fact(action)) {
                self.do_now(node, fact);
            }
        }
        actions
    }

    fn hold(&mut self, node: NodeNumber, mut wanted: Vec<Action>) -> Flow {
        let mut flow = Flow::GoesOn;
        if !wanted.is_empty() {
            for action in wanted.drain(..) {
                if can_be_held(&action) {
                    self.hosts[usize::from(node)].held.push_back(action);
                } else {
                    flow = self.do_now(node, action);
                }
            }
        }
        self.actions = wanted;
        flow
    }

    /// Waits for a descriptor or the next timer.
    pub(super) fn poll(&mut self, node: NodeNumber) {
        let now_us = self.now_us;
        let host = &mut self.hosts[usize::from(node)];
        if !host.ready.is_empty() {
            if host.turn_at_us != now_us {
                host.turn_at_us = now_us;
                self.queue.push(now_us, Event::Turn(node));
            }
            return;
        }
        let Some(process) = &host.node else { return };
        let wait_us = process.next_wake().at.0.saturating_sub(now_us);
        host.poll_until_us = now_us + wait_us.div_ceil(POLL_GRAIN_US) * POLL_GRAIN_US;
        self.queue.set_alarm(node, host.poll_until_us);
    }
}

/// What a turn reads.
impl Kernel {
    fn attend(&mut self, node: NodeNumber, descriptor: Descriptor) -> Flow {
        match descriptor {
            Descriptor::Accept(wire) => self.accept_all(node, wire),
            Descriptor::Dialled(wire) => match self.connections.end(wire, Side::Opener) {
                End::Link(_, link) => self.input(node, Input::LinkUp { link }),
                End::Master(_) => self.input(node, Input::Master(FromMaster::Up)),
                End::Nobody
                | End::Served(..)
                | End::Exchange(_)
                | End::Client(..)
                | End::Operator(_) => Flow::GoesOn,
            },
            Descriptor::Failed(wire) => self.lost(node, wire, Side::Opener, LinkFailure::Refused),
            Descriptor::NoRoute(link) => self.input(
                node,
                Input::LinkDown {
                    link,
                    why: LinkFailure::Unreachable,
                },
            ),
            Descriptor::Disk => self.hear_disk(node),
            Descriptor::Readable(wire, side) => self.read(node, wire, side),
        }
    }

    fn hear_disk(&mut self, node: NodeNumber) -> Flow {
        while let Some(answer) = self.hosts[usize::from(node)].from_disk.pop_front() {
            self.input(node, Input::Disk(answer));
        }
        Flow::GoesOn
    }

    /// Accepts whatever waits at the same listening socket: it is one descriptor, read until it is
    /// empty. After a stall, all clients are therefore accepted, and read, before any peer that
    /// knocked later than the first of them.
    fn accept_all(&mut self, node: NodeNumber, first: WireIndex) -> Flow {
        let port = self.connections.port(first);
        let mut backlog = vec![first];
        let host = &mut self.hosts[usize::from(node)];
        for queue in [&mut host.polled, &mut host.ready] {
            queue.retain(|descriptor| {
                let Descriptor::Accept(wire) = descriptor else {
                    return true;
                };
                let waits = self.connections.port(*wire) == port && backlog.len() < MOST_ACCEPTED;
                if waits {
                    backlog.push(*wire);
                }
                !waits
            });
        }
        for wire in backlog {
            self.accept(node, wire);
        }
        Flow::GoesOn
    }

    fn accept(&mut self, node: NodeNumber, wire: WireIndex) -> Flow {
        let Some(opener) = self.connections.host(wire, Side::Opener) else {
            return Flow::GoesOn;
        };
        let (peer, local) = (self.ip_of(opener), self.ip_of(node));
        let host = &mut self.hosts[usize::from(node)];
        let (end, input) = match self.connections.port(wire) {
            Port::Bus => {
                let link = LinkId(host.next_link);
                host.next_link += 2;
                host.links.insert(link.0, (wire, Side::Accepter));
                (
                    End::Link(node, link),
                    Input::LinkAccepted { link, peer, local },
                )
            }
            Port::Client => {
                let client = ClientId(host.next_client);
                host.next_client += 1;
                host.clients.insert(client.0, (wire, Side::Accepter));
                let peer = SocketAddr::new(peer, EPHEMERAL_PORT);
                (
                    End::Served(node, client),
                    Input::ClientAccepted {
                        client,
                        peer,
                        local,
                    },
                )
            }
        };
        self.connections.own(wire, Side::Accepter, end);
        // Whatever came before it was accepted is read in the next turn.
        self.note_ready(node, Descriptor::Readable(wire, Side::Accepter));
        self.input(node, input)
    }

    fn read(&mut self, node: NodeNumber, wire: WireIndex, side: Side) -> Flow {
        let end = self.connections.end(wire, side);
        let limit_bytes = if matches!(end, End::Served(..)) {
            CLIENT_READ_BYTES
        } else {
            u64::MAX
        };
        self.receive(wire, side, limit_bytes);
        // The node may close the connection at any message.
        while self.connections.end(wire, side) == end {
            let why = match self.next(wire, side) {
                Found::Parcel {
                    parcel,
                    wire_len,
                    is_last,
                } => {
                    if self.deliver(node, end, parcel, wire_len as usize) == Flow::Sleeps {
                        self.note_ready(node, Descriptor::Readable(wire, side));
                        return Flow::Sleeps;
                    }
                    if is_last {
                        break;
                    }
                    continue;
                }
                Found::Nothing => break,
                Found::More => {
                    self.note_ready(node, Descriptor::Readable(wire, side));
                    break;
                }
                Found::Closed => LinkFailure::Closed,
                Found::Broken(Break::Reset) => LinkFailure::Reset,
                Found::Broken(Break::TimedOut) => LinkFailure::Unreachable,
            };
            return self.lost(node, wire, side, why);
        }
        Flow::GoesOn
    }

    fn deliver(&mut self, node: NodeNumber, end: End, parcel: Parcel, wire_len: usize) -> Flow {
        let input = match (end, parcel) {
            (End::Link(_, link), Parcel::Bus(message)) => Input::Bus { link, message },
            (End::Served(_, client), Parcel::Command(command)) => Input::Command {
                client,
                command,
                wire_len,
            },
            (End::Master(_), Parcel::Reply(reply)) => Input::Master(FromMaster::Reply(reply)),
            (End::Master(_), Parcel::Continue(id)) => {
                Input::Master(FromMaster::Continue { id: Some(id) })
            }
            (End::Master(_), Parcel::Stream(command)) => {
                Input::Master(FromMaster::Stream { command, wire_len })
            }
            (End::Master(_), Parcel::FullResync(resync)) => {
                let FullResync {
                    id,
                    offset,
                    snapshot,
                    ..
                } = *resync;
                self.input(node, Input::Master(FromMaster::FullResync { id, offset }));
                Input::Master(FromMaster::Snapshot(snapshot))
            }
            // Nothing else is ever sent there.
            (
                End::Nobody
                | End::Client(..)
                | End::Operator(_)
                | End::Exchange(_)
                | End::Link(..)
                | End::Served(..)
                | End::Master(_),
                Parcel::Bus(_)
                | Parcel::Command(_)
                | Parcel::Reply(_)
                | Parcel::FullResync(_)
                | Parcel::Continue(_)
                | Parcel::Stream(_),
            ) => return Flow::GoesOn,
        };
        self.input(node, input)
    }

    /// A connection is no more: the node is told, and this end closed.
    fn lost(&mut self, node: NodeNumber, wire: WireIndex, side: Side, why: LinkFailure) -> Flow {
        let end = self.connections.end(wire, side);
        self.close(wire, side);
        let host = &mut self.hosts[usize::from(node)];
        match end {
            End::Link(_, link) => {
                host.links.remove(link.0);
                self.input(node, Input::LinkDown { link, why })
            }
            End::Served(_, client) => {
                host.clients.remove(client.0);
                self.input(node, Input::ClientClosed { client })
            }
            End::Master(_) => {
                host.master = None;
                self.input(node, Input::Master(FromMaster::Down(why)))
            }
            End::Nobody | End::Exchange(_) | End::Client(..) | End::Operator(_) => Flow::GoesOn,
        }
    }
}
