//! What gossip touches of each peer, in eight bytes: a large cluster spends most of its time
//! waiting for these to come out of memory.

use std::collections::BTreeMap;

use super::PeerIndex;
use super::peer::Peer;
use crate::directory::Name;
use crate::message::NodeFlags;
use crate::prefetch::prefetch_in;
use crate::time::WallMillis;

/// The rows, by place of the node table.
#[derive(Clone, Debug)]
pub(super) struct Rows {
    rows: Vec<Row>,
    /// Pongs are told by their distance from here, ms.
    base: WallMillis,
    /// Pongs that are too far away.
    aside: BTreeMap<PeerIndex, WallMillis>,
}

/// What is told of a peer, and what counts when it is told of.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Row {
    /// When its last pong arrived, or was heard of.
    pong: u32,
    name: Name,
    marks: u16,
}

/// No pong yet.
const NO_PONG: u32 = 0;

/// It is told of aside.
const ASIDE: u32 = u32::MAX;

/// How far the base lies back when it is set, ms: 24 days, as far as from there to the end.
const HALF_REACH_MS: i64 = 1 << 31;

/// Of the marks: a ping waits for its pong.
const AWAITS_PONG: u16 = 1 << 15;

/// Of the marks: this node has opened a connection to it. The rest are its flags.
const LINKED: u16 = 1 << 14;

impl Row {
    pub(super) const VACANT: Self = Self {
        pong: NO_PONG,
        name: Name::NONE,
        marks: 0,
    };

    /// What it is called.
    pub(crate) const fn name(self) -> Name {
        self.name
    }

    /// What it is held to be.
    pub(crate) const fn flags(self) -> NodeFlags {
        NodeFlags::from_bits_retain(self.marks & !(AWAITS_PONG | LINKED))
    }

    /// Whether a ping waits for its pong.
    pub(crate) const fn awaits_pong(self) -> bool {
        self.marks & AWAITS_PONG != 0
    }

    /// Whether this node has opened a connection to it.
    pub(crate) const fn is_linked(self) -> bool {
        self.marks & LINKED != 0
    }

    /// Shows what is known of a peer now.
    fn show(&mut self, peer: &Peer) {
        let mark = |is: bool, mark: u16| if is { mark } else { 0 };
        let flags = peer.flags.bits() & !(AWAITS_PONG | LINKED);
        self.name = peer.name();
        self.marks = flags | mark(peer.awaits_pong(), AWAITS_PONG) | mark(peer.is_linked(), LINKED);
    }
}

impl Rows {
    pub(super) fn new(now: WallMillis) -> Self {
        Self {
            rows: Vec::new(),
            base: now.plus_ms(-HALF_REACH_MS),
            aside: BTreeMap::new(),
        }
    }

    pub(super) fn get(&self, index: PeerIndex) -> Row {
        let row = self.rows.get(usize::from(index.0));
        row.copied().unwrap_or(Row::VACANT)
    }

    /// Shows what is known of a peer now, but for its pong.
    pub(super) fn show(&mut self, index: PeerIndex, peer: &Peer) {
        let place = usize::from(index.0);
        if place >= self.rows.len() {
            self.rows.resize(place + 1, Row::VACANT);
        }
        self.rows[place].show(peer);
    }

    /// Nobody is at a place any more.
    pub(super) fn vacate(&mut self, index: PeerIndex) {
        self.set_pong(index, WallMillis(0));
        if let Some(row) = self.rows.get_mut(usize::from(index.0)) {
            *row = Row::VACANT;
        }
    }

    /// When a peer's last pong arrived, or was heard of; 0 at first.
    pub(super) fn pong(&self, index: PeerIndex) -> WallMillis {
        self.pong_in(self.get(index), index)
    }

    /// The same, with the peer's row at hand.
    pub(super) fn pong_in(&self, row: Row, index: PeerIndex) -> WallMillis {
        match row.pong {
            NO_PONG => WallMillis(0),
            ASIDE => self.aside.get(&index).copied().unwrap_or_default(),
            since_ms => self.base.plus_ms(since_ms.into()),
        }
    }

    /// Notes when a peer's last pong arrived. Times before 1970 count as none.
    pub(super) fn set_pong(&mut self, index: PeerIndex, received: WallMillis) {
        let pong = self.reckon(received);
        let Some(row) = self.rows.get_mut(usize::from(index.0)) else {
            return;
        };
        if row.pong == ASIDE {
            self.aside.remove(&index);
        }
        row.pong = pong;
        if pong == ASIDE {
            self.aside.insert(index, received);
        }
    }

    /// A pong was heard of that came at a time. It counts if no ping of this node waits for its
    /// pong, and if it is news.
    #[inline]
    pub(super) fn hear_of_pong(&mut self, index: PeerIndex, at: WallMillis) {
        let pong = self.reckon(at);
        match self.rows.get_mut(usize::from(index.0)) {
            Some(row) if row.pong != ASIDE && pong != ASIDE => {
                // Which is the case cannot be foretold: without a branch.
                let news = !row.awaits_pong() && pong > row.pong;
                row.pong = if news { pong } else { row.pong };
            }
            Some(row) if !row.awaits_pong() => {
                if at > self.pong(index) {
                    self.set_pong(index, at);
                }
            }
            Some(_) | None => {}
        }
    }

    /// Moves the base, so that what comes next is near it. To be called now and then.
    pub(super) fn rebase(&mut self, now: WallMillis) {
        let base = now.plus_ms(-HALF_REACH_MS);
        let mut pongs = Vec::with_capacity(self.rows.len());
        pongs.extend((0..self.rows.len() as u16).map(|place| self.pong(PeerIndex(place))));
        self.base = base;
        for (index, pong) in (0..).map(PeerIndex).zip(pongs) {
            self.set_pong(index, pong);
        }
    }

    pub(super) fn prefetch(&self, index: PeerIndex) {
        prefetch_in(&self.rows, index.0.into());
    }

    /// A time as it is kept in a row.
    fn reckon(&self, time: WallMillis) -> u32 {
        if time.0 <= 0 {
            return NO_PONG;
        }
        match u32::try_from(time.0.saturating_sub(self.base.0)) {
            Ok(NO_PONG) | Err(_) => ASIDE,
            Ok(since_ms) => since_ms,
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::ids::NodeId;
    use crate::message::Address;

    const NOW: WallMillis = WallMillis(1_795_249_377_522);

    #[test]
    fn a_row_takes_eight_bytes() {
        assert_eq!(size_of::<Row>(), 8);
    }

    fn peer(waits: bool) -> Peer {
        let address = Address {
            ip: None,
            port: 1,
            bus_port: 2,
        };
        let mut peer = Peer::new(NodeId([1; 20]), NodeFlags::MASTER, address, NOW);
        peer.set_ping_sent(waits.then_some(NOW));
        peer
    }

    #[derive(Clone, Copy, Debug)]
    enum Act {
        Set,
        Hear,
        Wait(bool),
        Rebase,
    }

    fn time() -> impl Strategy<Value = i64> {
        let far = 1_i64 << 33;
        prop_oneof![
            Just(0),
            NOW.0 - 3..NOW.0 + 3,
            NOW.0 - far..NOW.0 + far,
            -5..5_i64,
            0..1_i64 << 47
        ]
    }

    proptest! {
        #[test]
        fn pongs_are_kept_to_the_millisecond_near_and_far(
            acts in prop::collection::vec(
                (0..3_u16, time(), prop_oneof![
                    2 => Just(Act::Set),
                    4 => Just(Act::Hear),
                    1 => any::<bool>().prop_map(Act::Wait),
                    1 => Just(Act::Rebase),
                ]),
                0..60,
            ),
        ) {
            let mut rows = Rows::new(NOW);
            let mut model = [(0_i64, false); 3];
            for index in 0..3 {
                rows.show(PeerIndex(index), &peer(false));
            }
            for (place, time, act) in acts {
                let (index, time_ms) = (PeerIndex(place), WallMillis(time));
                let (known, waits) = &mut model[usize::from(place)];
                match act {
                    Act::Set => {
                        rows.set_pong(index, time_ms);
                        *known = time.max(0);
                    }
                    Act::Hear => {
                        rows.hear_of_pong(index, time_ms);
                        if !*waits {
                            *known = time.max(*known);
                        }
                    }
                    Act::Wait(now_waits) => {
                        rows.show(index, &peer(now_waits));
                        *waits = now_waits;
                    }
                    Act::Rebase => rows.rebase(time_ms),
                }
                for (index, &(known, waits)) in (0..).map(PeerIndex).zip(&model) {
                    prop_assert_eq!(rows.pong(index).0, known);
                    prop_assert_eq!(rows.get(index).awaits_pong(), waits);
                    prop_assert_eq!(rows.get(index).flags(), NodeFlags::MASTER);
                }
            }
            for index in 0..3 {
                rows.vacate(PeerIndex(index));
            }
            prop_assert!(rows.aside.is_empty());
        }
    }
}
