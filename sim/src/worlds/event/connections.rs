//! The world's connections: set up, carried on, torn down.

use super::host::Descriptor;
use super::kernel::{Event, Kernel};
use super::table::{End, Marks, Port, Slot, State, WireIndex};
use super::wire::{Found, Parcel, Surroundings, Wire};
use crate::client::ClientInput;
use crate::network::{HostNumber, Transit};
use crate::tcp::{Answer, Dial, NEVER, Side};
use crate::trace::NodeNumber;

/// What comes due on a connection.
#[derive(Clone, Copy, Debug)]
pub(super) enum Notice {
    /// Segments or acknowledgements move.
    Moves,
    /// A SYN arrives.
    Syn,
    /// No answer has come to the SYN.
    SynAgain,
    /// It is up for one side.
    Up(Side),
    /// Nobody listens there.
    Refused,
}

/// Setting up.
impl Kernel {
    /// Opens a connection to a node. The opener is told when it is up or failed.
    pub(super) fn dial(
        &mut self,
        from: HostNumber,
        to: NodeNumber,
        port: Port,
        end: End,
        nodelay: bool,
    ) -> WireIndex {
        let slot = Slot::dialling(Dial::new(from, to), port, end, nodelay);
        let wire = self.connections.insert(slot);
        self.send_syn(wire);
        wire
    }

    fn send_syn(&mut self, wire: WireIndex) {
        let now_us = self.now_us;
        let Some(slot) = self.connections.slot_mut(wire) else {
            return;
        };
        let State::Dialling(dial) = &mut slot.state else {
            return;
        };
        if let Transit::Arrives(at_us) = dial.send(now_us, &mut self.network) {
            self.queue.push(at_us, Event::Connection(wire, Notice::Syn));
        }
        self.queue.push(
            dial.retry_at_us(),
            Event::Connection(wire, Notice::SynAgain),
        );
    }

    /// Something comes due on a connection.
    pub(super) fn connection_due(&mut self, wire: WireIndex, notice: Notice) {
        match notice {
            Notice::Moves => {
                if let Some(held) = self.connections.wire_mut(wire)
                    && held.scheduled_us == self.now_us
                {
                    held.scheduled_us = NEVER;
                    self.moves(wire);
                }
            }
            Notice::Syn => self.syn_arrives(wire),
            Notice::SynAgain => self.syn_unanswered(wire),
            Notice::Up(side) => self.up(wire, side),
            Notice::Refused => self.dial_failed(wire),
        }
    }

    fn syn_arrives(&mut self, wire: WireIndex) {
        let now_us = self.now_us;
        let Some(slot) = self.connections.slot_mut(wire) else {
            return;
        };
        let is_nodelay = slot.marks.contains(Marks::NODELAY);
        let State::Dialling(dial) = &mut slot.state else {
            return;
        };
        let [opener, accepter] = Side::BOTH.map(|side| dial.host(side));
        // The kernel answers for a process that stands still, not for one that ended.
        let listening = self.hosts[usize::from(accepter)].node.is_some();
        match dial.answer(now_us, listening, &mut self.network) {
            Answer::Accepted {
                opener_us,
                accepter_us,
            } => {
                let segment_bytes = self.network.segment_bytes(opener, accepter);
                let mut up = Wire::new(opener, accepter, segment_bytes);
                if is_nodelay {
                    up.set_nodelay(Side::Opener, now_us, &mut self.network);
                }
                up.set_nodelay(Side::Accepter, now_us, &mut self.network);
                slot.state = State::Up(up);
                self.queue
                    .push(opener_us, Event::Connection(wire, Notice::Up(Side::Opener)));
                self.queue.push(
                    accepter_us,
                    Event::Connection(wire, Notice::Up(Side::Accepter)),
                );
            }
            Answer::Refused(at_us) => {
                self.queue
                    .push(at_us, Event::Connection(wire, Notice::Refused));
            }
            Answer::Lost => {}
        }
    }

    fn syn_unanswered(&mut self, wire: WireIndex) {
        let Some(slot) = self.connections.slot(wire) else {
            return;
        };
        let State::Dialling(dial) = &slot.state else {
            return;
        };
        if dial.retry_at_us() != self.now_us {
            return;
        }
        if dial.is_last() {
            self.dial_failed(wire)
        } else {
            self.send_syn(wire)
        }
    }

    fn dial_failed(&mut self, wire: WireIndex) {
        match self.connections.end(wire, Side::Opener) {
            End::Nobody => self.connections.remove(wire),
            End::Client(client, connection) => self.client_lost(client, connection, wire),
            End::Operator(ticket) => self.unanswered(ticket, wire, "cannot connect"),
            End::Exchange(node) => self.exchange_failed(node, wire),
            End::Link(node, _) | End::Served(node, _) | End::Master(node) => {
                self.wake_host(node, Descriptor::Failed(wire));
            }
        }
    }

    fn up(&mut self, wire: WireIndex, side: Side) {
        if side == Side::Opener
            && let Some(slot) = self.connections.slot_mut(wire)
        {
            slot.marks.insert(Marks::OPENED);
            let waiting = slot.waiting.take();
            for parcel in waiting.into_iter().flat_map(|waiting| *waiting) {
                self.write(wire, side, parcel);
            }
        }
        match (side, self.connections.end(wire, side)) {
            (Side::Accepter, _) => {
                if let Some(host) = self.connections.host(wire, Side::Accepter) {
                    self.wake_host(host, Descriptor::Accept(wire));
                }
            }
            (Side::Opener, End::Client(client, connection)) => {
                self.tell_client(client, ClientInput::Connected(connection));
            }
            (Side::Opener, End::Link(node, _) | End::Served(node, _) | End::Master(node)) => {
                self.wake_host(node, Descriptor::Dialled(wire));
            }
            (Side::Opener, End::Exchange(node)) => self.exchange_up(node, wire),
            (Side::Opener, End::Operator(_)) => self.flush(wire, side),
            (Side::Opener, End::Nobody) => {}
        }
    }
}

/// Carrying on.
impl Kernel {
    /// Puts something into a connection's output buffer.
    pub(super) fn write(&mut self, wire: WireIndex, side: Side, parcel: Parcel) {
        self.connections.write(wire, side, parcel);
    }

    /// Hands the output buffer to the kernel.
    pub(super) fn flush(&mut self, wire: WireIndex, side: Side) {
        if let Some((held, mut around)) = self.moving(wire) {
            held.flush(side, &mut around);
            self.schedule(wire);
        }
    }

    /// Takes what arrived off the kernel's hands, up to a limit.
    pub(super) fn receive(&mut self, wire: WireIndex, side: Side, limit_bytes: u64) {
        if let Some((held, mut around)) = self.moving(wire) {
            held.receive(side, limit_bytes, &mut around);
            self.schedule(wire);
        }
    }

    /// The next thing received at an end.
    pub(super) fn next(&mut self, wire: WireIndex, side: Side) -> Found {
        match self.connections.wire_and_parcels(wire) {
            Some((wire, parcels)) => wire.next(side, parcels),
            None => Found::Nothing,
        }
    }

    /// A side closes its end.
    pub(super) fn close(&mut self, wire: WireIndex, side: Side) {
        self.connections.disown(wire, side);
        let now_us = self.now_us;
        let Some(slot) = self.connections.slot_mut(wire) else {
            return;
        };
        match &mut slot.state {
            State::Free => {}
            State::Dialling(_) => self.connections.remove(wire),
            State::Up(held) => {
                held.close(side, now_us, &mut self.network);
                self.schedule(wire);
            }
        }
    }

    /// A side's host lost power.
    pub(super) fn vanish(&mut self, wire: WireIndex, side: Side) {
        self.connections.disown(wire, side);
        let now_us = self.now_us;
        let Some(slot) = self.connections.slot_mut(wire) else {
            return;
        };
        match (&mut slot.state, side) {
            (State::Free, _) | (State::Dialling(_), Side::Accepter) => {}
            (State::Dialling(_), Side::Opener) => self.connections.remove(wire),
            (State::Up(held), _) => {
                held.vanish(side, now_us, &mut self.network);
                self.schedule(wire);
            }
        }
    }

    /// Lets all connections move up to now. To be called before the network changes.
    pub(super) fn settle_all(&mut self) {
        for wire in self.connections.all_up() {
            self.settle(wire);
        }
    }

    fn settle(&mut self, wire: WireIndex) {
        let readable = self.move_on(wire);
        self.tell_readable(wire, readable);
        self.schedule(wire);
    }

    /// Something moves. As a rule one process has to turn for it, and nothing comes before that.
    fn moves(&mut self, wire: WireIndex) {
        let readable = self.move_on(wire);
        let next = self.next_to_turn(wire, readable);
        if next.is_none() {
            self.tell_readable(wire, readable);
        }
        self.schedule(wire);
        if let Some((node, side)) = next {
            self.turn_for(node, Descriptor::Readable(wire, side));
        }
    }

    /// Lets a connection move up to now. The ends that have something to read then.
    fn move_on(&mut self, wire: WireIndex) -> [bool; 2] {
        match self.moving(wire) {
            Some((held, mut around)) => held.settle(&mut around),
            None => [false; 2],
        }
    }

    /// The one process that has something to read, if its turn is what happens next.
    fn next_to_turn(&self, wire: WireIndex, readable: [bool; 2]) -> Option<(NodeNumber, Side)> {
        let side = match readable {
            [true, false] => Side::Opener,
            [false, true] => Side::Accepter,
            [true, true] | [false, false] => return None,
        };
        match self.connections.end(wire, side) {
            End::Link(node, _) | End::Served(node, _) | End::Master(node) => {
                (self.queue.is_idle() && self.is_at_rest(node)).then_some((node, side))
            }
            End::Nobody | End::Exchange(_) | End::Client(..) | End::Operator(_) => None,
        }
    }

    fn tell_readable(&mut self, wire: WireIndex, readable: [bool; 2]) {
        for side in Side::BOTH {
            if readable[side as usize] {
                self.readable(wire, side);
            }
        }
    }

    /// A connection that is up, and what it moves in and among.
    fn moving(&mut self, wire: WireIndex) -> Option<(&mut Wire, Surroundings<'_>)> {
        let (wire, parcels) = self.connections.wire_and_parcels(wire)?;
        let around = Surroundings {
            now_us: self.now_us,
            network: &mut self.network,
            parcels,
        };
        Some((wire, around))
    }

    fn readable(&mut self, wire: WireIndex, side: Side) {
        match self.connections.end(wire, side) {
            // What was not accepted yet is found when it is.
            End::Nobody => {}
            End::Client(client, connection) => self.client_readable(client, connection, wire),
            End::Operator(ticket) => self.operator_readable(ticket, wire),
            End::Exchange(node) => self.exchange_readable(node, wire),
            End::Link(node, _) | End::Served(node, _) | End::Master(node) => {
                self.wake_host(node, Descriptor::Readable(wire, side));
            }
        }
    }

    fn schedule(&mut self, wire: WireIndex) {
        let now_us = self.now_us;
        let Some(held) = self.connections.wire_mut(wire) else {
            return;
        };
        if held.is_over() {
            self.connections.remove(wire);
            return;
        }
        let at_us = held.next_event_us();
        if at_us == NEVER {
            return;
        }
        let at_us = at_us.max(now_us);
        if at_us < held.scheduled_us {
            held.scheduled_us = at_us;
            self.queue
                .push(at_us, Event::Connection(wire, Notice::Moves));
        }
    }
}
