//! The table of the world's connections.

use redrill_node::{ClientId, LinkId};

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
    /// In pieces that never move: a large cluster has a million connections.
    pieces: Vec<Vec<Slot>>,
    count: u32,
    free: Vec<u32>,
}

/// Slots in a piece of the table, in powers of two.
const PIECE: u32 = 6;

/// A connection. What each message touches stands at its beginning.
#[derive(Debug)]
#[repr(align(64))]
pub(super) struct Slot {
    pub(super) generation: u32,
    pub(super) hosts: [HostNumber; 2],
    pub(super) ends: [End; 2],
    pub(super) port: Port,
    pub(super) nodelay: bool,
    /// Whether the opener knows that it is up.
    pub(super) opened: bool,
    /// Whether an end is among what the next poll of its process finds.
    pub(super) listed: [bool; 2],
    /// Written before the connection was up.
    #[expect(
        clippy::box_collection,
        reason = "takes a third of the room while not there"
    )]
    pub(super) waiting: Option<Box<Vec<Parcel>>>,
    pub(super) state: State,
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

impl Connections {
    pub(super) const fn new() -> Self {
        Self {
            pieces: Vec::new(),
            count: 0,
            free: Vec::new(),
        }
    }

    /// Every end that a node holds.
    pub(super) fn of_host(&self, node: NodeNumber) -> Vec<(WireIndex, Side)> {
        let mut ends = Vec::new();
        for (wire, slot) in self.iter() {
            for side in Side::BOTH {
                if slot.hosts[side as usize] == node && !matches!(slot.state, State::Free) {
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
        self.slot_mut(wire)
            .is_none_or(|slot| !std::mem::replace(&mut slot.listed[side as usize], true))
    }

    /// Takes the mark back: the poll found it.
    pub(super) fn unlist(&mut self, wire: WireIndex, side: Side) {
        if let Some(slot) = self.slot_mut(wire) {
            slot.listed[side as usize] = false;
        }
    }

    /// The port a connection goes to.
    pub(super) fn port(&self, wire: WireIndex) -> Port {
        self.slot(wire).map_or(Port::Client, |slot| slot.port)
    }

    /// The host at an end.
    pub(super) fn host(&self, wire: WireIndex, side: Side) -> Option<HostNumber> {
        self.slot(wire).map(|slot| slot.hosts[side as usize])
    }

    pub(super) fn slot(&self, wire: WireIndex) -> Option<&Slot> {
        self.pieces
            .get(piece_of(wire.place))?
            .get(place_in_piece(wire.place))
            .filter(|slot| slot.generation == wire.generation)
    }

    pub(super) fn slot_mut(&mut self, wire: WireIndex) -> Option<&mut Slot> {
        self.pieces
            .get_mut(piece_of(wire.place))?
            .get_mut(place_in_piece(wire.place))
            .filter(|slot| slot.generation == wire.generation)
    }

    /// A connection that is up.
    pub(super) fn wire_mut(&mut self, wire: WireIndex) -> Option<&mut Wire> {
        match &mut self.slot_mut(wire)?.state {
            State::Up(wire) => Some(wire),
            State::Free | State::Dialling(_) => None,
        }
    }

    pub(super) fn insert(&mut self, slot: Slot) -> WireIndex {
        if let Some(place) = self.free.pop()
            && let Some(held) = self
                .pieces
                .get_mut(piece_of(place))
                .and_then(|piece| piece.get_mut(place_in_piece(place)))
        {
            let generation = held.generation;
            *held = Slot { generation, ..slot };
            return WireIndex { place, generation };
        }
        let place = self.count;
        self.count += 1;
        match self.pieces.last_mut() {
            Some(piece) if place_in_piece(place) > 0 => piece.push(slot),
            Some(_) | None => {
                let mut piece = Vec::with_capacity(1 << PIECE);
                piece.push(slot);
                self.pieces.push(piece);
            }
        }
        WireIndex {
            place,
            generation: 0,
        }
    }

    pub(super) fn remove(&mut self, wire: WireIndex) {
        if let Some(slot) = self.slot_mut(wire) {
            slot.generation += 1;
            slot.state = State::Free;
            slot.ends = [End::Nobody; 2];
            self.free.push(wire.place);
        }
    }

    pub(super) fn all_up(&self) -> Vec<WireIndex> {
        let up = self
            .iter()
            .filter(|(_, slot)| matches!(slot.state, State::Up(_)));
        up.map(|(wire, _)| wire).collect()
    }

    fn iter(&self) -> impl Iterator<Item = (WireIndex, &Slot)> {
        let slots = self.pieces.iter().flatten();
        (0..).zip(slots).map(|(place, slot)| {
            let generation = slot.generation;
            (WireIndex { place, generation }, slot)
        })
    }
}

const fn piece_of(place: u32) -> usize {
    (place >> PIECE) as usize
}

const fn place_in_piece(place: u32) -> usize {
    (place & ((1 << PIECE) - 1)) as usize
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_connection_fills_nine_cache_lines() {
        assert_eq!(size_of::<Slot>(), 9 * 64);
    }
}
