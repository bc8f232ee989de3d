//! What is under way on the world's connections: lines of parcels in one store.
//!
//! A large cluster has a million connections and a few things under way, so these are not kept
//! with the connections: what was freed last is used next, and stays in the processor's cache.

use super::wire::Parcel;

/// Everything under way.
#[derive(Debug)]
pub(super) struct Parcels {
    places: Vec<Place>,
    /// The first free place; free ones are linked.
    free: u32,
}

/// Parcels in the order they were written.
#[derive(Debug)]
pub(super) struct Line {
    first: u32,
    last: u32,
}

#[derive(Debug)]
struct Place {
    parcel: Option<Parcel>,
    /// Bytes it stands for.
    len: u64,
    /// Of the last in a line: bytes of the line that no kernel has taken.
    untaken: u64,
    /// Of the first in a line: bytes of the line that the reader has received.
    received: u64,
    next: u32,
}

/// No place.
const NONE: u32 = u32::MAX;

impl Line {
    pub(super) const EMPTY: Self = Self {
        first: NONE,
        last: NONE,
    };

    pub(super) const fn is_empty(&self) -> bool {
        self.first == NONE
    }
}

impl Parcels {
    pub(super) const fn new() -> Self {
        Self {
            places: Vec::new(),
            free: NONE,
        }
    }

    /// Puts a parcel at the end of a line.
    pub(super) fn push(&mut self, line: &mut Line, parcel: Parcel) {
        let len = parcel.wire_len();
        let place = Place {
            parcel: Some(parcel),
            len,
            untaken: len + self.untaken(line),
            received: 0,
            next: NONE,
        };
        let at = self.occupy(place);
        match self.places.get_mut(line.last as usize) {
            Some(last) => last.next = at,
            None => line.first = at,
        }
        line.last = at;
    }

    /// Bytes of a line that no kernel has taken.
    pub(super) fn untaken(&self, line: &Line) -> u64 {
        (self.places.get(line.last as usize)).map_or(0, |last| last.untaken)
    }

    /// A kernel took so many bytes more.
    pub(super) fn take(&mut self, line: &Line, bytes: u64) {
        if let Some(last) = self.places.get_mut(line.last as usize) {
            last.untaken -= bytes;
        }
    }

    /// The reader received so many bytes more.
    pub(super) fn receive(&mut self, line: &Line, bytes: u64) {
        if let Some(first) = self.places.get_mut(line.first as usize) {
            first.received += bytes;
        }
    }

    /// The first parcel of a line, if it was received whole, and the bytes it stands for.
    pub(super) fn pop_whole(&mut self, line: &mut Line) -> Option<(Parcel, u64)> {
        let first = self.places.get(line.first as usize)?;
        let received = first.received.checked_sub(first.len)?;
        let len = first.len;
        let parcel = self.pop(line)?;
        self.receive(line, received);
        Some((parcel, len))
    }

    /// Drops a whole line.
    pub(super) fn clear(&mut self, line: &mut Line) {
        while self.pop(line).is_some() {}
    }

    fn pop(&mut self, line: &mut Line) -> Option<Parcel> {
        let first = self.places.get_mut(line.first as usize)?;
        let parcel = first.parcel.take();
        let next = std::mem::replace(&mut first.next, self.free);
        self.free = line.first;
        line.first = next;
        if next == NONE {
            line.last = NONE;
        }
        parcel
    }

    fn occupy(&mut self, place: Place) -> u32 {
        let at = self.free;
        if let Some(free) = self.places.get_mut(at as usize) {
            self.free = free.next;
            *free = place;
            return at;
        }
        self.places.push(place);
        self.places.len() as u32 - 1
    }
}

#[cfg(test)]
mod tests {
    use std::collections::VecDeque;

    use proptest::prelude::*;
    use redrill_node::Reply;

    use super::*;

    fn numbered(number: i64) -> Parcel {
        Parcel::Reply(Reply::Integer(number))
    }

    /// Numbers and lengths of what is in line, bytes not taken, bytes received.
    type Model = (VecDeque<(i64, u64)>, u64, u64);

    #[derive(Clone, Copy, Debug)]
    enum Act {
        Push,
        Take(u64),
        Receive(u64),
        Pop,
        Clear,
    }

    fn act() -> impl Strategy<Value = (usize, Act)> {
        let what = prop_oneof![
            4 => Just(Act::Push),
            2 => (0..12_u64).prop_map(Act::Take),
            2 => (0..12_u64).prop_map(Act::Receive),
            3 => Just(Act::Pop),
            1 => Just(Act::Clear),
        ];
        (0..3_usize, what)
    }

    proptest! {
        #[test]
        fn each_line_gives_back_what_it_was_given(acts in prop::collection::vec(act(), 1..200)) {
            let mut parcels = Parcels::new();
            let mut lines = [Line::EMPTY, Line::EMPTY, Line::EMPTY];
            let mut models: [Model; 3] = Default::default();
            for (number, (which, act)) in (100..).zip(acts) {
                let line = &mut lines[which];
                let (queue, untaken, received) = &mut models[which];
                let whole: u64 = queue.iter().map(|(_, len)| len).sum();
                match act {
                    Act::Push => {
                        let len = numbered(number).wire_len();
                        parcels.push(line, numbered(number));
                        queue.push_back((number, len));
                        *untaken += len;
                    }
                    Act::Take(bytes) => {
                        let bytes = bytes.min(*untaken);
                        parcels.take(line, bytes);
                        *untaken -= bytes;
                    }
                    Act::Receive(bytes) => {
                        let bytes = bytes.min(whole - *untaken - *received);
                        parcels.receive(line, bytes);
                        *received += bytes;
                    }
                    Act::Pop => {
                        let popped = parcels.pop_whole(line);
                        let expected = queue.pop_front_if(|(_, len)| *len <= *received);
                        prop_assert_eq!(popped.as_ref().map(|(_, len)| *len), expected.map(|(_, len)| len));
                        if let (Some((Parcel::Reply(reply), len)), Some((number, _))) = (popped, expected) {
                            prop_assert_eq!(reply, Reply::Integer(number));
                            *received -= len;
                        }
                    }
                    Act::Clear => {
                        parcels.clear(line);
                        (*queue, *untaken, *received) = Default::default();
                    }
                }
                prop_assert_eq!(parcels.untaken(line), *untaken);
            }
        }
    }
}
