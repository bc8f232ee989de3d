//! Time as the node is told it. The node never reads a clock.

use serde::{Deserialize, Serialize};

/// Microseconds on the process's monotonic clock. Only differences mean anything.
#[derive(
    Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Default, Serialize, Deserialize,
)]
pub struct Mono(pub u64);

/// Milliseconds since the Unix epoch on the host's wall clock, which may jump.
#[derive(
    Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Default, Serialize, Deserialize,
)]
pub struct WallMillis(pub i64);

/// What both clocks show. Redis's deadlines (`mstime()`) use the wall clock.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Now {
    /// Monotonic clock: timers of the event loop.
    pub mono: Mono,
    /// Wall clock: every deadline of the cluster protocol.
    pub wall: WallMillis,
}

impl Mono {
    /// This instant moved by `micros` microseconds.
    #[must_use]
    pub const fn plus_us(self, micros: u64) -> Self {
        Self(self.0 + micros)
    }
}

impl WallMillis {
    /// Milliseconds from `earlier` to this instant; negative if the clock went back.
    #[must_use]
    pub const fn since_ms(self, earlier: Self) -> i64 {
        self.0 - earlier.0
    }

    /// This instant moved by `millis` milliseconds.
    #[must_use]
    pub const fn plus_ms(self, millis: i64) -> Self {
        Self(self.0 + millis)
    }
}

/// Milliseconds since the Unix epoch in 48 bits, for as long as there will be clusters.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Stamp([u8; 6]);

impl Stamp {
    pub(crate) const ZERO: Self = Self([0; 6]);

    pub(crate) fn new(time: WallMillis) -> Self {
        let [a, b, c, d, e, f, ..] = time.0.clamp(0, (1 << 48) - 2).to_le_bytes();
        Self([a, b, c, d, e, f])
    }

    pub(crate) const fn time(self) -> WallMillis {
        let [a, b, c, d, e, f] = self.0;
        WallMillis(i64::from_le_bytes([a, b, c, d, e, f, 0, 0]))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_stamp_gives_back_the_time_it_was_made_of() {
        for ms in [0, 1, 1_795_249_377_522, (1 << 48) - 2] {
            assert_eq!(Stamp::new(WallMillis(ms)).time(), WallMillis(ms));
        }
        assert_eq!(Stamp::new(WallMillis(-1)).time(), WallMillis(0));
    }
}
