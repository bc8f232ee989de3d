//! When a key was used last, or how often it is used: what eviction goes by.
//!
//! Both are kept in the same 32 bits of an entry, as the policy wants it. Where uses are counted,
//! there are minutes in the upper part and a logarithmic counter in the lowest byte; otherwise
//! there are seconds.

use super::{Place, Store};
use crate::time::WallMillis;

/// The time as entries keep it. The shell's cron sets it, as upstream's does.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub(crate) struct AccessClock {
    now_s: u32,
    counts_uses: bool,
}

/// What a new key's counter starts at (`LFU_INIT_VAL`).
pub(crate) const NEW_KEY_USES: u8 = 5;

impl AccessClock {
    pub(crate) fn new(now: WallMillis, counts_uses: bool) -> Self {
        Self {
            now_s: now.0.div_euclid(1000) as u32,
            counts_uses,
        }
    }

    pub(super) const fn counts_uses(self) -> bool {
        self.counts_uses
    }

    /// What a new entry is marked with.
    pub(super) const fn stamp(self) -> u32 {
        if self.counts_uses {
            self.with_uses(NEW_KEY_USES)
        } else {
            self.now_s
        }
    }

    const fn minute(self) -> u16 {
        (self.now_s / 60) as u16
    }

    const fn with_uses(self, uses: u8) -> u32 {
        (self.minute() as u32) << 8 | uses as u32
    }
}

impl Store {
    /// Sets the time that uses are marked with, and whether they are counted.
    pub(crate) fn set_clock(&mut self, clock: AccessClock) {
        self.clock = clock;
    }

    /// Whether uses are counted instead of dated.
    pub(crate) const fn counts_uses(&self) -> bool {
        self.clock.counts_uses()
    }

    /// Marks a key as used now, where uses are dated.
    pub(crate) fn touch(&mut self, place: Place) {
        self.entries[place.0].used = self.clock.stamp();
    }

    /// How long ago a key was used, s, where uses are dated (`estimateObjectIdleTime`).
    pub(crate) fn idle_s(&self, place: Place) -> u32 {
        self.clock.now_s.saturating_sub(self.entries[place.0].used)
    }

    /// A key's counter of uses, one less for each `decay_min` minutes without any; 0: it stays
    /// (`LFUDecrAndReturn`).
    pub(crate) fn uses(&self, place: Place, decay_min: u32) -> u8 {
        let used = self.entries[place.0].used;
        let since_min = self.clock.minute().wrapping_sub((used >> 8) as u16);
        let lost = u32::from(since_min).checked_div(decay_min).unwrap_or(0);
        (used as u8).saturating_sub(u8::try_from(lost).unwrap_or(u8::MAX))
    }

    /// Sets a key's counter of uses.
    pub(crate) fn set_uses(&mut self, place: Place, uses: u8) {
        self.entries[place.0].used = self.clock.with_uses(uses);
    }
}
