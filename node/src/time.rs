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
