//! One direction of a connection: the sender's kernel, what is under way, the receiver's kernel.

use std::collections::VecDeque;

use redrill_node::prefetch::prefetch;

use super::acknowledge::Acknowledger;
use super::{End, NEVER, RECEIVE_BUFFER_BYTES, Road};
use crate::network::Transit;

/// A count of bytes since the connection was set up, or since the last [`Flow::rebase`]: a large
/// cluster has a million connections, and they must be small.
pub(super) type Position = u32;

/// [`RECEIVE_BUFFER_BYTES`], as a distance of positions.
pub(super) const WINDOW_BYTES: Position = RECEIVE_BUFFER_BYTES as Position;

/// Positions beyond this one are counted anew.
const REBASE_AT: Position = 1 << 30;

/// The least time after which a segment is sent again (`TCP_RTO_MIN`).
const RESEND_AFTER_US: u64 = 200_000;

/// The greatest (`TCP_RTO_MAX`).
const RESEND_AFTER_AT_MOST_US: u64 = 120_000_000;

/// How often a kernel sends a segment again for an application (`tcp_retries2`).
const RESENDS: u8 = 15;

/// How often it does so after the application closed (`tcp_orphan_retries`).
const RESENDS_AFTER_CLOSE: u8 = 8;

/// A send buffer holds this many full segments, as Linux's grows to for its first window, but not
/// less than `SEND_BUFFER_AT_LEAST_BYTES`.
const SEND_BUFFER_SEGMENTS: u32 = 40;

/// The least send buffer (`tcp_wmem`).
const SEND_BUFFER_AT_LEAST_BYTES: u32 = 16 << 10;

/// What one side writes, on its way to the other. Positions count bytes since the connection was
/// set up; a FIN counts as one.
#[derive(Clone, Debug)]
#[repr(C)]
pub(super) struct Flow {
    /// When the first of what is under way arrives.
    arrives_at_us: u64,
    resend_at_us: u64,
    /// The next acknowledgement on its way back.
    coming: Acknowledgement,
    acknowledger: Acknowledger,
    sent_at_us: u64,
    /// Hardly ever anything: not there before it is needed, and not looked at unless
    /// [`Condition::CROWDED`].
    crowd: Option<Box<Crowd>>,
    written: Position,
    sent: Position,
    acknowledged: Position,
    /// End of the last small segment sent.
    small_end: Position,
    /// Up to where the receiver has room, as far as the sender knows.
    edge: Position,
    arrived: Position,
    read: Position,
    /// Up to where the world was told.
    told: Position,
    segment_bytes: u32,
    /// Time there and back of the last segment.
    round_trip_us: u32,
    is: Condition,
    /// How often the oldest segment was sent again.
    resends: u8,
}

/// What is under way beside the first thing of its kind.
#[derive(Clone, Debug, Default)]
struct Crowd {
    /// End of the first segment that is under way.
    first_end: Position,
    /// What arrives after it. Without any, everything sent arrives with the first.
    behind: VecDeque<UnderWay>,
    /// The acknowledgement behind the next one.
    last: Option<Acknowledgement>,
}

bitflags::bitflags! {
    /// What is true of a flow.
    #[derive(Clone, Copy, PartialEq, Eq, Debug)]
    struct Condition: u8 {
        const NODELAY = 1;
        /// The last byte written is the FIN.
        const FINISHED = 2;
        /// The sender is no more.
        const STOPPED = 4;
        /// The last write was not taken whole.
        const BLOCKED = 8;
        /// What was left of a segment got lost: nothing leaves before it is sent again.
        const LOST = 16;
        /// A segment was sent again: nothing else leaves before it is acknowledged.
        const RECOVERING = 32;
        const TOLD_EOF = 64;
        /// Something is in the crowd.
        const CROWDED = 128;
    }
}

#[derive(Clone, Copy, Debug)]
struct UnderWay {
    end: Position,
    at_us: u64,
}

#[derive(Clone, Copy, Debug)]
struct Acknowledgement {
    at_us: u64,
    end: Position,
    edge: Position,
}

/// What a step did that concerns the rest of the connection.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Step {
    /// A segment left; it carries an acknowledgement.
    pub(super) sent: Option<Transit>,
    /// When a segment met an end that is no more.
    pub(super) refused_at_us: Option<u64>,
    /// The sender's kernel tried long enough.
    pub(super) gave_up: bool,
}

impl Acknowledgement {
    const NONE: Self = Self {
        end: 0,
        edge: 0,
        at_us: NEVER,
    };

    const fn rebase(&mut self, base: Position) {
        self.end = self.end.saturating_sub(base);
        self.edge = self.edge.saturating_sub(base);
    }
}

/// For the application.
impl Flow {
    /// Has it come into the processor's cache.
    pub(super) fn prefetch(&self) {
        prefetch(self);
        prefetch(&self.written);
    }

    pub(super) const fn new(segment_bytes: u32) -> Self {
        Self {
            arrives_at_us: NEVER,
            resend_at_us: NEVER,
            coming: Acknowledgement::NONE,
            acknowledger: Acknowledger::new(),
            sent_at_us: 0,
            crowd: None,
            written: 0,
            sent: 0,
            acknowledged: 0,
            small_end: 0,
            edge: WINDOW_BYTES,
            arrived: 0,
            read: 0,
            told: 0,
            segment_bytes,
            round_trip_us: 0,
            is: Condition::empty(),
            resends: 0,
        }
    }

    /// Sets `TCP_NODELAY`.
    pub(super) fn set_nodelay(&mut self, nodelay: bool) {
        self.is.set(Condition::NODELAY, nodelay);
    }

    /// Takes what fits into the send buffer.
    pub(super) fn write(&mut self, bytes: u64) -> u64 {
        if self.written > REBASE_AT {
            self.rebase();
        }
        let room = self.send_room();
        let taken = u32::try_from(bytes).map_or(room, |bytes| bytes.min(room));
        self.written += taken;
        (self.is).set(Condition::BLOCKED, u64::from(taken) < bytes);
        taken.into()
    }

    pub(super) fn read(&mut self, bytes: u64, now_us: u64, road: &mut Road<'_>) {
        self.read += bytes.min(self.unread_bytes()) as Position;
        let payload = self.payload(self.arrived);
        if self.acknowledger.on_read(self.read, payload) {
            self.acknowledge(now_us, road);
        }
    }

    /// No more bytes follow: queues the FIN.
    pub(super) fn finish(&mut self) {
        self.written += 1;
        self.is.insert(Condition::FINISHED);
        self.is.remove(Condition::BLOCKED);
    }

    /// The sender is no more; what is under way still arrives.
    pub(super) fn stop(&mut self) {
        self.is.insert(Condition::STOPPED);
        self.is.remove(Condition::BLOCKED);
        self.resend_at_us = NEVER;
    }

    /// What has arrived since the last call, and whether the FIN has.
    pub(super) fn take_arrived(&mut self) -> (u64, bool) {
        let arrived = self.payload(self.arrived);
        let bytes = arrived - self.told;
        self.told = arrived;
        let eof = self.has_ended() && !self.is.contains(Condition::TOLD_EOF);
        if eof {
            self.is.insert(Condition::TOLD_EOF);
        }
        (bytes.into(), eof)
    }

    /// Whether a blocked writer may go on; once.
    pub(super) fn take_writable(&mut self) -> bool {
        // Linux wakes a writer when a third of the buffer is free (`sk_stream_is_writeable`).
        let writable = self.has_news_for_sender();
        if writable {
            self.is.remove(Condition::BLOCKED);
        }
        writable
    }

    pub(super) const fn unread_bytes(&self) -> u64 {
        (self.payload(self.arrived) - self.read) as u64
    }

    /// What the world was told of and the application has not read.
    pub(super) const fn readable_bytes(&self) -> u64 {
        (self.told - self.read) as u64
    }

    pub(super) const fn missing_bytes(&self) -> u64 {
        (self.written - self.arrived) as u64
    }

    /// Whether everything, the FIN included, has arrived, or never will.
    pub(super) const fn is_done(&self) -> bool {
        self.is.contains(Condition::STOPPED) || self.arrived == self.written
    }

    /// Whether the receiver, if it is still there, has to be told something.
    pub(super) const fn has_news_for_receiver(&self) -> bool {
        self.told < self.payload(self.arrived)
            || self.has_ended() && !self.is.contains(Condition::TOLD_EOF)
    }

    /// Whether the sender has to be told that it may go on.
    pub(super) fn has_news_for_sender(&self) -> bool {
        self.is.contains(Condition::BLOCKED) && self.send_room() >= self.send_buffer_bytes() / 3
    }

    /// Whether the FIN has arrived.
    const fn has_ended(&self) -> bool {
        self.is.contains(Condition::FINISHED) && self.arrived == self.written
    }

    const fn payload(&self, position: Position) -> Position {
        if self.is.contains(Condition::FINISHED) && position == self.written {
            position - 1
        } else {
            position
        }
    }

    /// Counts all positions anew, from the oldest that matters. Those before it stood for nothing.
    fn rebase(&mut self) {
        let base = self
            .acknowledged
            .min(self.acknowledger.acknowledged())
            .min(self.read)
            .min(self.told);
        for position in [
            &mut self.written,
            &mut self.sent,
            &mut self.acknowledged,
            &mut self.small_end,
            &mut self.edge,
            &mut self.arrived,
            &mut self.read,
            &mut self.told,
        ] {
            *position = position.saturating_sub(base);
        }
        self.coming.rebase(base);
        if let Some(crowd) = self.crowd_mut() {
            crowd.first_end = crowd.first_end.saturating_sub(base);
            for segment in &mut crowd.behind {
                segment.end -= base;
            }
            if let Some(last) = &mut crowd.last {
                last.rebase(base);
            }
        }
        self.acknowledger.rebase(base);
    }

    fn send_room(&self) -> u32 {
        self.send_buffer_bytes()
            .saturating_sub(self.written - self.acknowledged)
    }

    fn send_buffer_bytes(&self) -> u32 {
        let grown = SEND_BUFFER_SEGMENTS.saturating_mul(self.segment_bytes);
        grown.clamp(SEND_BUFFER_AT_LEAST_BYTES, REBASE_AT)
    }
}

/// In time.
impl Flow {
    /// Whether it is open, and nobody waits for room.
    pub(super) const fn is_plain(&self) -> bool {
        let special = Condition::BLOCKED
            .union(Condition::FINISHED)
            .union(Condition::STOPPED);
        !self.is.intersects(special)
    }

    /// [`Self::next_us`] of a flow that [`Self::is_plain`]; at once what the receiver has to be
    /// told.
    pub(super) fn next_while_plain_us(&self) -> (u64, u64) {
        let (due_us, wanted_us) = self.next_if_us(self.sent < self.written);
        let has_news = self.told < self.arrived;
        (due_us, if has_news { 0 } else { wanted_us })
    }

    /// When anything happens next, and when something that somebody waits for: nobody waits for
    /// acknowledgements unless something may follow them.
    pub(super) fn next_us(&self) -> (u64, u64) {
        let waits = self.sent < self.written || self.is.contains(Condition::BLOCKED);
        self.next_if_us(waits && !self.is.contains(Condition::STOPPED))
    }

    fn next_if_us(&self, waits: bool) -> (u64, u64) {
        let moves_us = self.arrives_at_us.min(self.resend_at_us);
        let answers_us = self.coming.at_us.min(self.acknowledger.delayed_until_us());
        let due_us = moves_us.min(answers_us);
        (due_us, if waits { due_us } else { moves_us })
    }

    /// Lets one thing happen that is due at `at_us`.
    pub(super) fn step(
        &mut self,
        at_us: u64,
        receiver: End,
        sender: End,
        road: &mut Road<'_>,
    ) -> Step {
        if self.arrives_at_us == at_us {
            let segment = self.take_arriving();
            return self.arrive(segment, receiver, road);
        }
        if self.coming.at_us == at_us {
            let next = self.crowd_mut().and_then(|crowd| crowd.last.take());
            let next = next.unwrap_or(Acknowledgement::NONE);
            self.note_crowd();
            let acknowledgement = std::mem::replace(&mut self.coming, next);
            self.take_acknowledgement(acknowledgement);
            let mut step = Step::default();
            if self.sent < self.written {
                step.sent = self.transmit(at_us, road);
            }
            return step;
        }
        if self.acknowledger.delayed_until_us() == at_us {
            self.acknowledger.on_delay_over();
            self.acknowledge(at_us, road);
            return Step::default();
        }
        self.resend(at_us, receiver, sender, road)
    }

    /// Sends what may be sent. What became of the first segment, if one was.
    pub(super) fn transmit(&mut self, now_us: u64, road: &mut Road<'_>) -> Option<Transit> {
        let mut first = None;
        while let Some(bytes) = self.next_segment_bytes() {
            let transit = match first {
                Some(transit) if road.is_wide() => transit,
                Some(_) | None => road.forth(now_us, bytes.into(), 0),
            };
            first = first.or(Some(transit));
            self.sent_at_us = now_us;
            match transit {
                Transit::Arrives(at_us) => self.put_under_way(bytes, now_us, at_us),
                Transit::Lost => {
                    self.is.insert(Condition::LOST);
                    self.resend_at_us = now_us + self.resend_after_us();
                }
            }
        }
        if self.misses_room() {
            let probe_us = now_us + self.resend_after_us();
            self.resend_at_us = self.resend_at_us.min(probe_us);
        }
        first
    }

    /// A segment that the receiver sent back carries an acknowledgement.
    pub(super) fn carried(&mut self, at_us: u64, transit: Transit) {
        self.acknowledger.on_answer(at_us);
        self.acknowledge_by(at_us, transit);
    }

    /// Neither acknowledgement nor reset reaches the sender.
    pub(super) fn expect_no_answer(&mut self, at_us: u64) {
        if !self.is.intersects(Condition::STOPPED | Condition::LOST) {
            let due_us = (self.sent_at_us + self.resend_after_us()).max(at_us + 1);
            self.resend_at_us = self.resend_at_us.min(due_us);
        }
    }

    /// A time not before all that is under way has arrived.
    pub(super) fn not_before(&self, at_us: u64) -> u64 {
        let last = self.crowd().and_then(|crowd| crowd.behind.back());
        match (last, self.arrives_at_us) {
            (Some(last), _) => at_us.max(last.at_us),
            (None, NEVER) => at_us,
            (None, first_us) => at_us.max(first_us),
        }
    }
}

/// The sender's kernel.
impl Flow {
    /// How many bytes may leave now (`tcp_write_xmit`, `tcp_nagle_test`).
    fn next_segment_bytes(&self) -> Option<u32> {
        let waiting = self.written - self.sent;
        let silent = Condition::STOPPED | Condition::LOST | Condition::RECOVERING;
        if waiting == 0 || self.resends > 0 || self.is.intersects(silent) {
            return None;
        }
        let bytes = waiting.min(self.segment_bytes);
        let small = bytes < self.segment_bytes;
        let at_once = Condition::NODELAY | Condition::FINISHED;
        let held = small && !self.is.intersects(at_once) && self.small_end > self.acknowledged;
        (!held && self.sent + bytes <= self.edge).then_some(bytes)
    }

    /// Whether only the window holds the sender, and word of more room got lost: the sender has to
    /// ask for it (`tcp_check_probe_timer`).
    const fn misses_room(&self) -> bool {
        self.sent < self.written
            && self.sent == self.acknowledged
            && self.coming.at_us == NEVER
            && self.edge < self.acknowledger.edge()
            && !self.is.contains(Condition::STOPPED)
    }

    fn put_under_way(&mut self, bytes: u32, now_us: u64, at_us: u64) {
        self.round_trip_us = (2 * (at_us - now_us)).min(u64::from(u32::MAX)) as u32;
        self.sent += bytes;
        if bytes < self.segment_bytes {
            self.small_end = self.sent;
        }
        if self.arrives_at_us == NEVER {
            self.arrives_at_us = at_us;
            return;
        }
        let at_us = self.not_before(at_us);
        let end = self.sent;
        let first_us = self.arrives_at_us;
        let last = self.crowd_mut().and_then(|crowd| crowd.behind.back_mut());
        let is_second = last.is_none();
        match last {
            Some(last) if last.at_us == at_us => {
                last.end = end;
                return;
            }
            // All that was sent arrives with the first.
            None if first_us == at_us => return,
            Some(_) | None => {}
        }
        let crowd = self.make_crowd();
        if is_second {
            crowd.first_end = end - bytes;
        }
        crowd.behind.push_back(UnderWay { end, at_us });
    }

    /// Takes out the first of what is under way.
    fn take_arriving(&mut self) -> UnderWay {
        let mut first = UnderWay {
            end: self.sent,
            at_us: self.arrives_at_us,
        };
        self.arrives_at_us = NEVER;
        if let Some(crowd) = self.crowd_mut()
            && let Some(next) = crowd.behind.pop_front()
        {
            first.end = std::mem::replace(&mut crowd.first_end, next.end);
            self.arrives_at_us = next.at_us;
            self.note_crowd();
        }
        first
    }

    fn crowd(&self) -> Option<&Crowd> {
        let crowd = self.crowd.as_deref();
        crowd.filter(|_| self.is.contains(Condition::CROWDED))
    }

    fn crowd_mut(&mut self) -> Option<&mut Crowd> {
        let crowd = self.crowd.as_deref_mut();
        crowd.filter(|_| self.is.contains(Condition::CROWDED))
    }

    /// The crowd, with something about to be put into it.
    fn make_crowd(&mut self) -> &mut Crowd {
        self.is.insert(Condition::CROWDED);
        self.crowd.get_or_insert_default()
    }

    /// Notes whether something is left of the crowd.
    fn note_crowd(&mut self) {
        let is_left = |crowd: &Crowd| !crowd.behind.is_empty() || crowd.last.is_some();
        let is_crowded = self.crowd().is_some_and(is_left);
        self.is.set(Condition::CROWDED, is_crowded);
    }

    fn take_acknowledgement(&mut self, acknowledgement: Acknowledgement) {
        self.edge = self.edge.max(acknowledgement.edge);
        self.acknowledged = self.acknowledged.max(acknowledgement.end);
        let lost = self.is.contains(Condition::LOST);
        if !lost {
            self.resends = 0;
        }
        if self.acknowledged == self.sent {
            self.is.remove(Condition::RECOVERING);
            if !lost {
                self.resend_at_us = NEVER;
            }
        }
    }

    /// The retransmission timer (`tcp_retransmit_timer`).
    fn resend(&mut self, at_us: u64, receiver: End, sender: End, road: &mut Road<'_>) -> Step {
        let allowed = if sender == End::Open {
            RESENDS
        } else {
            RESENDS_AFTER_CLOSE
        };
        if self.resends == allowed {
            self.resend_at_us = NEVER;
            return Step {
                gave_up: true,
                ..Step::default()
            };
        }
        self.resends += 1;
        let lost = self.is.contains(Condition::LOST);
        let (from, upto) = match lost {
            true => (self.sent, self.written),
            false => (self.acknowledged, self.sent),
        };
        let bytes = (upto - from).min(self.segment_bytes);
        let transit = road.forth(at_us, bytes.into(), self.resends);
        self.sent_at_us = at_us;
        self.resend_at_us = at_us + self.resend_after_us();
        let Transit::Arrives(arrives_us) = transit else {
            return Step {
                sent: Some(transit),
                ..Step::default()
            };
        };
        if lost {
            self.is.remove(Condition::LOST);
            self.is.insert(Condition::RECOVERING);
            self.resend_at_us = NEVER;
            self.put_under_way(bytes, at_us, arrives_us);
        } else if matches!(receiver, End::Broken | End::Gone) {
            return Step {
                refused_at_us: Some(arrives_us),
                ..Step::default()
            };
        } else {
            // The receiver has it already and says so at once.
            if let Transit::Arrives(back_us) = road.back(arrives_us) {
                self.resend_at_us = NEVER;
                self.note_coming(back_us);
            }
        }
        Step {
            sent: Some(transit),
            ..Step::default()
        }
    }

    fn resend_after_us(&self) -> u64 {
        let first_us = RESEND_AFTER_US + u64::from(self.round_trip_us);
        (first_us << self.resends).min(RESEND_AFTER_AT_MOST_US)
    }
}

/// The receiver's kernel.
impl Flow {
    fn arrive(&mut self, segment: UnderWay, receiver: End, road: &mut Road<'_>) -> Step {
        let bytes = segment.end - self.arrived;
        let payload = self.payload(segment.end) - self.payload(self.arrived);
        let refused = match receiver {
            End::Open => false,
            End::Closed => payload > 0,
            End::Broken | End::Gone => true,
        };
        if refused {
            return Step {
                refused_at_us: Some(segment.at_us),
                ..Step::default()
            };
        }
        self.arrived = segment.end;
        let is_fin = bytes > payload;
        let at_once =
            self.acknowledger
                .on_segment(segment.at_us, payload, self.payload(self.arrived));
        if at_once || is_fin {
            self.acknowledge(segment.at_us, road);
        }
        Step::default()
    }

    fn acknowledge(&mut self, at_us: u64, road: &mut Road<'_>) {
        let transit = road.back(at_us);
        self.acknowledge_by(at_us, transit);
    }

    fn acknowledge_by(&mut self, at_us: u64, transit: Transit) {
        let edge = self.edge_now();
        self.acknowledger.on_sent(self.payload(self.arrived), edge);
        let last = self.crowd().and_then(|crowd| crowd.last);
        let (next, last) = (self.coming, last.unwrap_or(Acknowledgement::NONE));
        let known = (
            self.acknowledged.max(next.end).max(last.end),
            self.edge.max(next.edge).max(last.edge),
        );
        if known == (self.arrived, edge) {
            return;
        }
        match transit {
            Transit::Arrives(back_us) => self.note_coming(back_us),
            Transit::Lost if known.0 < self.arrived || self.sent < self.written => {
                self.expect_no_answer(at_us);
            }
            Transit::Lost => (),
        }
    }

    fn note_coming(&mut self, at_us: u64) {
        let mut noted = Acknowledgement {
            end: self.arrived,
            edge: self.edge_now(),
            at_us,
        };
        if self.coming.at_us == NEVER {
            self.coming = noted;
            return;
        }
        // Acknowledgements are cumulative: one that is overtaken by a later one may be forgotten,
        // which can only be late, never early.
        let next_us = self.coming.at_us;
        let crowd = self.make_crowd();
        let last_us = crowd.last.map_or(next_us, |last| last.at_us);
        noted.at_us = at_us.max(last_us).max(next_us);
        crowd.last = Some(noted);
    }

    const fn edge_now(&self) -> Position {
        self.read + WINDOW_BYTES
    }
}
