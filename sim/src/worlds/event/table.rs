//! The table of the world's connections.

use redrill_node::prefetch::prefetch_in;
use redrill_node::{ClientId, LinkId};

use super::parcels::Parcels;
use super::wire::{Parcel, Wire};
use crate::client::ConnectionId;
use crate::network::HostNumber;
use crate::tcp::{Dial, Side};
use crate::trace::NodeNumber;
use crate::world::Ticket;

/// Place of a connection in the table, with the generation that held it.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub(super) struct WireIndex {
    place: u32,
    generation: u32,
}

/// Whose end of a connection it is.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum End {
    /// Nobody's any more, or not accepted yet.
    Nobody,
    /// A bus link.
    Link(NodeNumber, LinkId),
    /// A client connection that a node accepted.
    Served(NodeNumber, ClientId),
    /// A replica's connection to its master.
    Master(NodeNumber),
    /// A node's connection to another for an exchange.
    Exchange(NodeNumber),
    /// A workload client's.
    Client(u16, ConnectionId),
    /// An operator's.
    Operator(Ticket),
}

/// Which port of a node a connection goes to.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Port {
    Client,
    Bus,
}

/// Every connection there is.
#[derive(Debug)]
pub(super) struct Connections {
    slots: Slots,
    free: Vec<u32>,
    parcels: Parcels,
}

/// The connections by place, in pieces that never move: a large cluster has a million.
#[derive(Debug)]
struct Slots {
    pieces: Vec<Vec<Slot>>,
    count: u32,
}

/// A connection. What each message touches stands at its beginning.
#[derive(Debug)]
#[repr(C, align(64))]
pub(super) struct Slot {
    generation: u32,
    pub(super) marks: Marks,
    pub(super) ends: [End; 2],
    /// Written before the connection was up.
    #[expect(
        clippy::box_collection,
        reason = "takes a third of the room while not there"
    )]
    pub(super) waiting: Option<Box<Vec<Parcel>>>,
    pub(super) state: State,
}

bitflags::bitflags! {
    /// What is true of a connection.
    #[derive(Clone, Copy, PartialEq, Eq, Debug)]
    pub(super) struct Marks: u8 {
        /// The opener's end is among what the next poll of its process finds.
        const OPENER_LISTED = 1;
        /// The accepter's is.
        const ACCEPTER_LISTED = 2;
        /// It goes to a node's port of the cluster bus.
        const BUS = 4;
        /// The opener writes without delay.
        const NODELAY = 8;
        /// The opener knows that it is up.
        const OPENED = 16;
    }
}

impl Marks {
    const fn listed(side: Side) -> Self {
        match side {
            Side::Opener => Self::OPENER_LISTED,
            Side::Accepter => Self::ACCEPTER_LISTED,
        }
    }
}

#[derive(Debug)]
#[expect(
    clippy::large_enum_variant,
    reason = "nearly all connections are up, and each message would look behind the box"
)]
pub(super) enum State {
    Free,
    Dialling(Dial),
    Up(Wire),
}

impl Slot {
    /// A connection that is to be dialled.
    pub(super) fn dialling(dial: Dial, port: Port, end: End, nodelay: bool) -> Self {
        let mut marks = Marks::empty();
        marks.set(Marks::BUS, port == Port::Bus);
        marks.set(Marks::NODELAY, nodelay);
        Self {
            generation: 0,
            marks,
            ends: [end, End::Nobody],
            waiting: None,
            state: State::Dialling(dial),
        }
    }

    /// The end at which something will arrive next.
    pub(super) const fn next_receiver(&self) -> Option<Side> {
        match &self.state {
            State::Up(wire) => Some(wire.next_receiver()),
            State::Free | State::Dialling(_) => None,
        }
    }

    fn wire_mut(&mut self) -> Option<&mut Wire> {
        match &mut self.state {
            State::Up(wire) => Some(wire),
            State::Free | State::Dialling(_) => None,
        }
    }

    /// The host at an end.
    fn host(&self, side: Side) -> Option<HostNumber> {
        match &self.state {
            State::Free => None,
            State::Dialling(dial) => Some(dial.host(side)),
            State::Up(wire) => Some(wire.host(side)),
        }
    }
}

impl Connections {
    pub(super) const fn new() -> Self {
        Self {
            slots: Slots {
                pieces: Vec::new(),
                count: 0,
            },
            free: Vec::new(),
            parcels: Parcels::new(),
        }
    }

    /// How many there are, or were at one time.
    pub(super) const fn len(&self) -> u32 {
        self.slots.count
    }

    /// Every end that a node holds.
    pub(super) fn of_host(&self, node: NodeNumber) -> Vec<(WireIndex, Side)> {
        let mut ends = Vec::new();
        for (wire, slot) in self.slots.iter() {
            for side in Side::BOTH {
                if slot.host(side) == Some(node) {
                    ends.push((wire, side));
                }
            }
        }
        ends
    }

    /// Whose an end is.
    pub(super) fn end(&self, wire: WireIndex, side: Side) -> End {
        self.slot(wire)
            .map_or(End::Nobody, |slot| slot.ends[side as usize])
    }

    pub(super) fn own(&mut self, wire: WireIndex, side: Side, end: End) {
        if let Some(slot) = self.slot_mut(wire) {
            slot.ends[side as usize] = end;
        }
    }

    /// Nobody reads or writes at this end any more.
    pub(super) fn disown(&mut self, wire: WireIndex, side: Side) {
        self.own(wire, side, End::Nobody);
    }

    /// Marks an end as one that the next poll finds. False if it was.
    pub(super) fn list(&mut self, wire: WireIndex, side: Side) -> bool {
        self.slot_mut(wire).is_none_or(|slot| {
            let is_new = !slot.marks.contains(Marks::listed(side));
            slot.marks.insert(Marks::listed(side));
            is_new
        })
    }

    /// Takes the mark back: the poll found it.
    pub(super) fn unlist(&mut self, wire: WireIndex, side: Side) {
        if let Some(slot) = self.slot_mut(wire) {
            slot.marks.remove(Marks::listed(side));
        }
    }

    /// The port a connection goes to.
    pub(super) fn port(&self, wire: WireIndex) -> Port {
        match self.slot(wire) {
            Some(slot) if slot.marks.contains(Marks::BUS) => Port::Bus,
            Some(_) | None => Port::Client,
        }
    }

    /// The host at an end.
    pub(super) fn host(&self, wire: WireIndex, side: Side) -> Option<HostNumber> {
        self.slot(wire)?.host(side)
    }

    pub(super) fn slot(&self, wire: WireIndex) -> Option<&Slot> {
        self.slots.get(wire)
    }

    pub(super) fn slot_mut(&mut self, wire: WireIndex) -> Option<&mut Slot> {
        self.slots.get_mut(wire)
    }

    /// A connection that is up.
    pub(super) fn wire_mut(&mut self, wire: WireIndex) -> Option<&mut Wire> {
        self.slots.get_mut(wire)?.wire_mut()
    }

    /// A connection that is up, and what is under way.
    pub(super) fn wire_and_parcels(
        &mut self,
        wire: WireIndex,
    ) -> Option<(&mut Wire, &mut Parcels)> {
        let wire = self.slots.get_mut(wire)?.wire_mut()?;
        Some((wire, &mut self.parcels))
    }

    /// Has the beginning of a connection come into the processor's cache.
    pub(super) fn prefetch(&self, wire: WireIndex) {
        self.slots.prefetch(wire.place);
    }

    /// The same of the rest of it, if it is up. Reads its beginning.
    pub(super) fn prefetch_rest(&self, wire: WireIndex) {
        if let Some(State::Up(up)) = self.slot(wire).map(|slot| &slot.state) {
            up.prefetch();
        }
    }

    /// Puts something into a connection's output buffer.
    pub(super) fn write(&mut self, wire: WireIndex, side: Side, parcel: Parcel) {
        let Some(slot) = self.slots.get_mut(wire) else {
            return;
        };
        let knows = side == Side::Accepter || slot.marks.contains(Marks::OPENED);
        match &mut slot.state {
            State::Up(wire) if knows => wire.write(side, parcel, &mut self.parcels),
            State::Up(_) | State::Dialling(_) => {
                slot.waiting.get_or_insert_default().push(parcel);
            }
            State::Free => {}
        }
    }

    pub(super) fn insert(&mut self, slot: Slot) -> WireIndex {
        if let Some(place) = self.free.pop()
            && let Some(held) = self.slots.at_mut(place)
        {
            let generation = held.generation;
            *held = Slot { generation, ..slot };
            return WireIndex { place, generation };
        }
        WireIndex {
            generation: slot.generation,
            place: self.slots.push(slot),
        }
    }

    pub(super) fn remove(&mut self, wire: WireIndex) {
        if let Some((up, parcels)) = self.wire_and_parcels(wire) {
            up.drop_parcels(parcels);
        }
        if let Some(slot) = self.slot_mut(wire) {
            slot.generation += 1;
            slot.state = State::Free;
            slot.ends = [End::Nobody; 2];
            slot.waiting = None;
            self.free.push(wire.place);
        }
    }

    pub(super) fn all_up(&self) -> Vec<WireIndex> {
        let up = (self.slots.iter()).filter(|(_, slot)| matches!(slot.state, State::Up(_)));
        up.map(|(wire, _)| wire).collect()
    }
}

impl Slots {
    /// Slots in a piece, in powers of two.
    const PIECE: u32 = 6;

    const fn piece(place: u32) -> usize {
        (place >> Self::PIECE) as usize
    }

    const fn place_in_piece(place: u32) -> usize {
        (place & ((1 << Self::PIECE) - 1)) as usize
    }

    fn get(&self, wire: WireIndex) -> Option<&Slot> {
        let piece = self.pieces.get(Self::piece(wire.place))?;
        let slot = piece.get(Self::place_in_piece(wire.place))?;
        (slot.generation == wire.generation).then_some(slot)
    }

    fn get_mut(&mut self, wire: WireIndex) -> Option<&mut Slot> {
        let slot = self.at_mut(wire.place)?;
        (slot.generation == wire.generation).then_some(slot)
    }

    /// Whatever is at a place.
    fn at_mut(&mut self, place: u32) -> Option<&mut Slot> {
        let piece = self.pieces.get_mut(Self::piece(place))?;
        piece.get_mut(Self::place_in_piece(place))
    }

    fn prefetch(&self, place: u32) {
        if let Some(piece) = self.pieces.get(Self::piece(place)) {
            prefetch_in(piece, Self::place_in_piece(place));
        }
    }

    /// Puts a slot behind all others; where it is then.
    fn push(&mut self, slot: Slot) -> u32 {
        let place = self.count;
        self.count += 1;
        match self.pieces.last_mut() {
            Some(piece) if Self::place_in_piece(place) > 0 => piece.push(slot),
            Some(_) | None => {
                let mut piece = Vec::with_capacity(1 << Self::PIECE);
                piece.push(slot);
                self.pieces.push(piece);
            }
        }
        place
    }

    fn iter(&self) -> impl Iterator<Item = (WireIndex, &Slot)> {
        let slots = self.pieces.iter().flatten();
        (0..).zip(slots).map(|(place, slot)| {
            let generation = slot.generation;
            (WireIndex { place, generation }, slot)
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_connection_fills_six_cache_lines() {
        assert_eq!(size_of::<Slot>(), 6 * 64);
    }
}
