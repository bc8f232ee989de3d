//! TCP as Linux speaks it, as far as a cluster can feel it, over [`crate::network`].
//!
//! A [`Connection`] counts bytes and knows times; the bytes themselves stay with the world that
//! drives it. It is a pure state machine: every method takes the time and draws what it needs from
//! the [`Network`], so the same calls give the same answers. What is modelled:
//!
//! - bytes arrive in order and none is ever missing: a lost segment, or one sent into a partition,
//!   is sent again 200 ms later, then after 400 ms, 800 ms and so on, and what was written
//!   meanwhile follows it;
//! - a sender that hears no acknowledgement falls silent too: a partition of one direction stops
//!   both;
//! - Nagle's algorithm with Minshall's change: without `TCP_NODELAY`, a small segment waits while
//!   an earlier small one is not acknowledged;
//! - delayed acknowledgements: 40 ms, rounded to the timer tick, for a receiver that converses
//!   (it answered the last segment within 40 ms); at once for the first segments of a connection,
//!   after a pause, when the reader has taken everything and does not converse, and whenever more
//!   than a full segment is due; and with every segment that goes the other way;
//! - a reader that stands still lets its receive buffer fill up, then the sender's send buffer;
//! - `close` sends what is written and then a FIN, and the kernel goes on trying for a while; with
//!   unread bytes it resets instead. An end that is gone answers with RST, a dark host with
//!   nothing;
//! - a connection is set up ([`Dial`]) by SYNs at 0, 1, 3, 7 s and so on.
//!
//! Not modelled: congestion windows (loss costs its retransmission time, nothing else), fast
//! retransmission, keep-alives.

mod acknowledge;
mod dial;
mod flow;
#[cfg(test)]
mod tests;

pub use dial::{Answer, Dial};
use flow::Flow;

use crate::network::{HostNumber, Network, Transit};

/// A time that never comes.
pub const NEVER: u64 = u64::MAX;

/// What a receiver's kernel keeps for a reader that does not read, bytes.
pub const RECEIVE_BUFFER_BYTES: u64 = 128 << 10;

/// An end of a connection.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub enum Side {
    /// Who opened it.
    Opener,
    /// Who accepted it.
    Accepter,
}

/// What happened at one end since it was last asked.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Progress {
    /// Bytes that have arrived in the receive buffer.
    pub arrived_bytes: u64,
    /// The other end will send no more.
    pub eof: bool,
    /// The connection is broken: a reset arrived, or nothing was acknowledged for so long that
    /// the kernel gave up. What is unread is lost.
    pub broken: Option<Break>,
    /// After a write was not taken whole: there is room again.
    pub writable: bool,
}

/// Why a connection broke.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Break {
    /// `ECONNRESET`
    Reset,
    /// `ETIMEDOUT`
    TimedOut,
}

/// An established connection between two hosts.
#[derive(Clone, Debug)]
#[repr(C)]
pub struct Connection {
    /// When something happens next to what each side writes, or a reset arrives at it. To be
    /// reckoned anew ([`Self::reckon`]) after every change: most calls find that nothing is due,
    /// and need not look further than here.
    due_us: [u64; 2],
    /// The parts of [`Self::next_event_us`].
    wanted_us: [u64; 2],
    hosts: [HostNumber; 2],
    ends: [End; 2],
    broken: [Option<Break>; 2],
    /// When a reset arrives at each side, once one does.
    resets: Option<Box<[u64; 2]>>,
    /// What each side writes.
    flows: [Flow; 2],
}

/// What there is at an end of a connection.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum End {
    /// An application.
    Open,
    /// Only a kernel that still sends what was written.
    Closed,
    /// An application that has not closed its end of a broken connection yet.
    Broken,
    /// Nothing: segments are answered with RST if the host is up.
    Gone,
}

impl Side {
    /// Both ends.
    pub const BOTH: [Self; 2] = [Self::Opener, Self::Accepter];

    /// The other end.
    #[must_use]
    pub const fn other(self) -> Self {
        match self {
            Self::Opener => Self::Accepter,
            Self::Accepter => Self::Opener,
        }
    }
}

impl Connection {
    /// A connection that was just set up. Segments carry at most `segment_bytes`.
    #[must_use]
    pub fn new(opener: HostNumber, accepter: HostNumber, segment_bytes: u32) -> Self {
        Self {
            due_us: [NEVER; 2],
            wanted_us: [NEVER; 2],
            hosts: [opener, accepter],
            ends: [End::Open; 2],
            broken: [None; 2],
            flows: [Flow::new(segment_bytes), Flow::new(segment_bytes)],
            resets: None,
        }
    }

    /// The host at an end.
    #[must_use]
    pub const fn host(&self, side: Side) -> HostNumber {
        self.hosts[side as usize]
    }

    /// Sets `TCP_NODELAY` for what a side writes. Off at first.
    pub fn set_nodelay(&mut self, side: Side, nodelay: bool, now_us: u64, network: &mut Network) {
        self.settle(now_us, network);
        self.flows[side as usize].set_nodelay(nodelay);
        self.transmit(side, now_us, network);
    }

    /// A side writes. Returns how many bytes its send buffer takes; after less than `bytes`,
    /// [`Progress::writable`] tells when there is room again.
    pub fn write(&mut self, side: Side, bytes: u64, now_us: u64, network: &mut Network) -> u64 {
        self.settle(now_us, network);
        if self.ends[side as usize] != End::Open {
            return 0;
        }
        let taken = self.flows[side as usize].write(bytes);
        self.transmit(side, now_us, network);
        taken
    }

    /// A side's application reads bytes that have arrived.
    pub fn read(&mut self, side: Side, bytes: u64, now_us: u64, network: &mut Network) {
        self.settle(now_us, network);
        let other = side.other();
        let mut road = road(self.hosts, other, network);
        self.flows[other as usize].read(bytes, now_us, &mut road);
        self.reckon(other);
    }

    /// A side closes: what it wrote is still sent, unless it left bytes unread.
    pub fn close(&mut self, side: Side, now_us: u64, network: &mut Network) {
        self.settle(now_us, network);
        match self.ends[side as usize] {
            End::Open => (),
            End::Broken => {
                self.ends[side as usize] = End::Gone;
                self.reckon_both();
                return;
            }
            End::Closed | End::Gone => return,
        }
        if self.flows[side.other() as usize].unread_bytes() > 0 {
            self.ends[side as usize] = End::Gone;
            self.flows[side as usize].stop();
            let (from, to) = (self.host(side), self.host(side.other()));
            if let Transit::Arrives(at) = network.transit(now_us, from, to, 0, 0) {
                let reset_us = self.flows[side as usize].not_before(at);
                self.set_reset(side.other(), reset_us);
            }
        } else {
            self.ends[side as usize] = End::Closed;
            self.flows[side as usize].finish();
            self.transmit(side, now_us, network);
        }
        self.reckon_both();
    }

    /// A side's host loses power: the end is gone and says nothing.
    pub fn vanish(&mut self, side: Side, now_us: u64, network: &mut Network) {
        self.settle(now_us, network);
        self.ends[side as usize] = End::Gone;
        self.flows[side as usize].stop();
        self.forget_reset(side);
        self.reckon_both();
    }

    /// What has happened up to now at both ends, the opener first.
    pub fn poll(&mut self, now_us: u64, network: &mut Network) -> [Progress; 2] {
        self.settle(now_us, network);
        if !Side::BOTH.into_iter().any(|side| self.has_news(side)) {
            return [Progress::default(); 2];
        }
        let progress = Side::BOTH.map(|side| self.take_progress(side));
        self.reckon_told();
        progress
    }

    /// When [`Self::poll`] has something to do or to tell, if nothing else happens before;
    /// [`NEVER`] if it has not. Acknowledgements that nobody waits for are seen to later.
    #[must_use]
    pub const fn next_event_us(&self) -> u64 {
        let [opener, accepter] = self.wanted_us;
        if opener < accepter { opener } else { accepter }
    }

    /// The part of [`Self::next_event_us`] that moves what `side` writes, or concerns its
    /// application's writing end: a break, or room in the send buffer.
    #[must_use]
    pub const fn next_event_of_us(&self, side: Side) -> u64 {
        self.wanted_us[side as usize]
    }

    /// Bytes that a side was told of ([`Progress::arrived_bytes`]) and has not read.
    #[must_use]
    pub const fn readable_bytes(&self, side: Side) -> u64 {
        self.flows[side.other() as usize].readable_bytes()
    }

    /// Has it come into the processor's cache.
    pub fn prefetch(&self) {
        for flow in &self.flows {
            flow.prefetch();
        }
    }

    /// Whose application something will arrive at next.
    #[must_use]
    pub const fn next_receiver(&self) -> Side {
        let [opener_us, accepter_us] = self.wanted_us;
        if opener_us < accepter_us {
            Side::Accepter
        } else {
            Side::Opener
        }
    }

    /// Bytes that arrived at a side and are not read.
    #[must_use]
    pub const fn unread_bytes(&self, side: Side) -> u64 {
        self.flows[side.other() as usize].unread_bytes()
    }

    /// Bytes a side wrote that have not arrived.
    #[must_use]
    pub const fn unsent_bytes(&self, side: Side) -> u64 {
        self.flows[side as usize].missing_bytes()
    }

    /// Whether nobody will ever hear of this connection again: both applications have closed it or
    /// are gone, and nothing is under way.
    #[must_use]
    pub fn is_over(&self) -> bool {
        let silent = |side: Side| {
            self.ends[side as usize] == End::Gone
                || self.ends[side as usize] == End::Closed && self.flows[side as usize].is_done()
        };
        silent(Side::Opener) && silent(Side::Accepter)
    }
}

impl Connection {
    /// Lets everything happen that is due, in order of time.
    fn settle(&mut self, now_us: u64, network: &mut Network) {
        debug_assert!(self.is_reckoned(), "what is due was not reckoned");
        let [opener_us, accepter_us] = self.due_us;
        if opener_us.min(accepter_us) <= now_us {
            self.settle_due(now_us, network);
        }
    }

    fn settle_due(&mut self, now_us: u64, network: &mut Network) {
        loop {
            let [opener_us, accepter_us] = self.due_us;
            let side = match opener_us <= accepter_us {
                true => Side::Opener,
                false => Side::Accepter,
            };
            let at_us = self.due_us[side as usize];
            if at_us > now_us || at_us == NEVER {
                return;
            }
            if self.reset_us(side) == at_us {
                self.break_off(side, Break::Reset);
            } else {
                self.step(side, at_us, network);
            }
        }
    }

    fn step(&mut self, side: Side, at_us: u64, network: &mut Network) {
        let [sender, receiver] = [side, side.other()].map(|side| self.ends[side as usize]);
        let mut road = road(self.hosts, side, network);
        let step = self.flows[side as usize].step(at_us, receiver, sender, &mut road);
        if let Some(transit) = step.sent {
            self.carried(side, at_us, transit);
        }
        if let Some(refused_at_us) = step.refused_at_us {
            self.refuse(side, refused_at_us, network);
        }
        if step.gave_up {
            self.break_off(side, Break::TimedOut);
        }
        self.reckon(side);
    }

    fn transmit(&mut self, side: Side, now_us: u64, network: &mut Network) {
        let mut road = road(self.hosts, side, network);
        if let Some(transit) = self.flows[side as usize].transmit(now_us, &mut road) {
            self.carried(side, now_us, transit);
        }
        self.reckon(side);
    }

    /// A segment of `side` carries an acknowledgement of what the other side wrote.
    fn carried(&mut self, side: Side, at_us: u64, transit: Transit) {
        self.flows[side.other() as usize].carried(at_us, transit);
        self.reckon(side.other());
    }

    /// Notes when something happens next to what a side writes.
    fn reckon(&mut self, side: Side) {
        let (due_us, wanted_us) = self.reckoned_us(side);
        self.due_us[side as usize] = due_us;
        self.wanted_us[side as usize] = wanted_us;
    }

    /// When something happens next to what a side writes, and when something that somebody waits
    /// for.
    fn reckoned_us(&self, side: Side) -> (u64, u64) {
        let flow = &self.flows[side as usize];
        // While both ends are open, no reset is on its way and nothing broke.
        if self.ends == [End::Open; 2] && flow.is_plain() {
            return flow.next_while_plain_us();
        }
        self.reckoned_with_care_us(side)
    }

    #[cold]
    fn reckoned_with_care_us(&self, side: Side) -> (u64, u64) {
        let flow = &self.flows[side as usize];
        let (due_us, wanted_us) = flow.next_us();
        let reset_us = self.reset_us(side);
        let news = self.broken[side as usize].is_some()
            || flow.has_news_for_sender() && self.is_open(side)
            || flow.has_news_for_receiver() && self.is_open(side.other());
        let wanted_us = if news { 0 } else { wanted_us.min(reset_us) };
        (due_us.min(reset_us), wanted_us)
    }

    /// For debug builds.
    fn is_reckoned(&self) -> bool {
        Side::BOTH.into_iter().all(|side| {
            let noted = (self.due_us[side as usize], self.wanted_us[side as usize]);
            self.reckoned_with_care_us(side) == noted
        })
    }

    fn reckon_both(&mut self) {
        for side in Side::BOTH {
            self.reckon(side);
        }
    }

    /// The same of what had something to tell, and has told it.
    fn reckon_told(&mut self) {
        for side in Side::BOTH {
            if self.has_news(side) {
                self.reckon(side);
            }
        }
    }

    /// Whether there is something to tell of what a side writes.
    const fn has_news(&self, side: Side) -> bool {
        self.wanted_us[side as usize] == 0
    }

    /// A segment of `side` met an end that is no more.
    fn refuse(&mut self, side: Side, at_us: u64, network: &mut Network) {
        let other = side.other();
        if self.ends[other as usize] == End::Closed {
            self.ends[other as usize] = End::Gone;
        }
        self.flows[other as usize].stop();
        match network.transit(at_us, self.host(other), self.host(side), 0, 0) {
            Transit::Arrives(at) => {
                let reset_us = at.min(self.reset_us(side));
                self.set_reset(side, reset_us);
            }
            Transit::Lost => self.flows[side as usize].expect_no_answer(at_us),
        }
        self.reckon_both();
    }

    fn break_off(&mut self, side: Side, why: Break) {
        self.forget_reset(side);
        self.ends[side as usize] = match self.ends[side as usize] {
            End::Open => {
                self.broken[side as usize] = Some(why);
                End::Broken
            }
            End::Broken => End::Broken,
            End::Closed | End::Gone => End::Gone,
        };
        self.flows[side as usize].stop();
        self.reckon_both();
    }

    fn reset_us(&self, side: Side) -> u64 {
        (self.resets.as_ref()).map_or(NEVER, |resets| resets[side as usize])
    }

    fn set_reset(&mut self, side: Side, at_us: u64) {
        let resets = self.resets.get_or_insert_with(|| Box::new([NEVER; 2]));
        resets[side as usize] = at_us;
    }

    fn forget_reset(&mut self, side: Side) {
        if let Some(resets) = &mut self.resets {
            resets[side as usize] = NEVER;
        }
    }

    fn is_open(&self, side: Side) -> bool {
        self.ends[side as usize] == End::Open
    }

    fn take_progress(&mut self, side: Side) -> Progress {
        let other = side.other();
        let broken = self.broken[side as usize].take();
        if broken.is_none() && !self.is_open(side) {
            return Progress::default();
        }
        let (arrived_bytes, eof) = self.flows[other as usize].take_arrived();
        Progress {
            arrived_bytes,
            eof,
            broken,
            writable: self.flows[side as usize].take_writable(),
        }
    }
}

/// The way that what one side writes goes, and its acknowledgements come.
struct Road<'a> {
    network: &'a mut Network,
    from: HostNumber,
    to: HostNumber,
}

impl Road<'_> {
    fn forth(&mut self, at_us: u64, bytes: u64, attempt: u8) -> Transit {
        self.network
            .transit(at_us, self.from, self.to, bytes, attempt)
    }

    /// Whether what leaves at one time arrives at one time.
    const fn is_wide(&self) -> bool {
        !self.network.has_bandwidth()
    }

    fn back(&mut self, at_us: u64) -> Transit {
        self.network.transit(at_us, self.to, self.from, 0, 0)
    }
}

fn road(hosts: [HostNumber; 2], side: Side, network: &mut Network) -> Road<'_> {
    Road {
        network,
        from: hosts[side as usize],
        to: hosts[side.other() as usize],
    }
}
