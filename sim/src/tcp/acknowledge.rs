//! When a receiver acknowledges (`tcp_input.c`, `tcp_output.c`, `tcp_timer.c` of Linux).

use super::NEVER;
use super::flow::{Position, WINDOW_BYTES};

/// How long a delayed acknowledgement waits, and how soon an answer must follow to be taken for
/// one (`TCP_DELACK_MIN`, `TCP_ATO_MIN`).
const DELAY_US: u64 = 40_000;

/// The kernel's timer tick (`HZ` 250). A timer fires at the tick after its time is up.
const TICK_US: u64 = 4_000;

/// Segments that are acknowledged at once at first and after a pause (`TCP_MAX_QUICKACKS`).
const QUICK: u32 = 16;

/// A pause longer than this makes the next segments be acknowledged at once (the least `RTO`).
const PAUSE_US: u64 = 200_000;

/// What is taken for a full segment before one was seen (`TCP_MSS_DEFAULT`).
const FULL_SEGMENT_AT_FIRST_BYTES: u32 = 536;

/// The acknowledging half of a receiver.
#[derive(Clone, Debug)]
pub(super) struct Acknowledger {
    /// Up to where it has acknowledged (`rcv_wup`).
    sent: Position,
    /// Up to where it has told the sender that there is room.
    edge: Position,
    /// How many more segments it acknowledges at once.
    quick: u8,
    /// It answers what it receives (`pingpong`).
    converses: bool,
    /// Small segments since the last acknowledgement, up to two (`ICSK_ACK_PUSHED`, `PUSHED2`).
    small_segments: u8,
    /// The greatest segment seen (`rcv_mss`).
    full_segment_bytes: u32,
    /// When the last segment came.
    received_at_us: u64,
    /// When the delayed acknowledgement goes out.
    delayed_until_us: u64,
}

impl Acknowledger {
    pub(super) const fn new() -> Self {
        Self {
            sent: 0,
            edge: WINDOW_BYTES,
            quick: 0,
            converses: false,
            small_segments: 0,
            full_segment_bytes: FULL_SEGMENT_AT_FIRST_BYTES,
            received_at_us: NEVER,
            delayed_until_us: NEVER,
        }
    }

    /// Up to where it has acknowledged.
    pub(super) const fn acknowledged(&self) -> Position {
        self.sent
    }

    /// Up to where it has told the sender that there is room, whether or not that arrived.
    pub(super) const fn edge(&self) -> Position {
        self.edge
    }

    /// Counts all positions from `base` on.
    pub(super) const fn rebase(&mut self, base: Position) {
        self.sent -= base;
        self.edge -= base;
    }

    pub(super) const fn delayed_until_us(&self) -> u64 {
        self.delayed_until_us
    }

    /// A segment came, after which `arrived` bytes have arrived in all. Whether to acknowledge at
    /// once (`tcp_event_data_recv`, `__tcp_ack_snd_check`).
    pub(super) fn on_segment(&mut self, at_us: u64, bytes: u32, arrived: Position) -> bool {
        self.small_segments = if bytes < self.full_segment_bytes {
            (self.small_segments + 1).min(2)
        } else {
            self.full_segment_bytes = bytes;
            self.small_segments.max(1)
        };
        if self.received_at_us == NEVER || at_us - self.received_at_us > PAUSE_US {
            let quick = match WINDOW_BYTES / (2 * self.full_segment_bytes) {
                0 => 2,
                room => room.min(QUICK),
            };
            self.quick = self.quick.max(quick as u8);
        }
        self.received_at_us = at_us;
        let at_once = arrived - self.sent > self.full_segment_bytes
            || self.quick > 0 && !self.converses
            || self.delayed_until_us <= at_us + DELAY_US / 4;
        if !at_once {
            let tick = at_us / TICK_US * TICK_US;
            self.delayed_until_us = self.delayed_until_us.min(tick + TICK_US + DELAY_US);
        }
        at_once
    }

    /// The application read; `read` of `arrived` bytes are now read. Whether to acknowledge at
    /// once (`tcp_cleanup_rbuf`).
    pub(super) const fn on_read(&self, read: Position, arrived: Position) -> bool {
        let due = arrived - self.sent;
        if due > 0 {
            let drained = read == arrived;
            return due > self.full_segment_bytes
                || drained && self.small_segments == 2
                || drained && self.small_segments == 1 && !self.converses;
        }
        let told = self.edge.saturating_sub(arrived);
        2 * told <= WINDOW_BYTES && read + WINDOW_BYTES - arrived >= 2 * told
    }

    /// The delayed acknowledgement's time has come (`tcp_delack_timer_handler`).
    pub(super) const fn on_delay_over(&mut self) {
        self.converses = false;
    }

    /// The application wrote, and a segment leaves (`tcp_event_data_sent`).
    pub(super) const fn on_answer(&mut self, at_us: u64) {
        if self.received_at_us != NEVER && at_us - self.received_at_us < DELAY_US {
            self.converses = true;
        }
    }

    /// An acknowledgement leaves, alone or with a segment (`tcp_event_ack_sent`).
    pub(super) const fn on_sent(&mut self, arrived: Position, edge: Position) {
        self.sent = arrived;
        self.edge = edge;
        self.delayed_until_us = NEVER;
        self.small_segments = 0;
        self.quick = self.quick.saturating_sub(1);
    }
}
