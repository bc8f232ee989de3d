//! The clocks of a host.

use redrill_node::{Mono, Now, WallMillis};

/// A host's clocks: the monotonic one shows the time of the run, the wall clock may jump.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct HostClock {
    epoch_ms: i64,
    jumped_ms: i64,
}

impl HostClock {
    /// A host whose wall clock shows `epoch_ms` (Unix) when the run begins.
    #[must_use]
    pub const fn new(epoch_ms: i64) -> Self {
        Self {
            epoch_ms,
            jumped_ms: 0,
        }
    }

    /// What both clocks show at a time of the run.
    #[must_use]
    pub const fn at(&self, at_us: u64) -> Now {
        let elapsed_ms = (at_us / 1_000).cast_signed();
        Now {
            mono: Mono(at_us),
            wall: WallMillis(self.epoch_ms + self.jumped_ms + elapsed_ms),
        }
    }

    /// Moves the wall clock.
    pub const fn jump(&mut self, by_ms: i64) {
        self.jumped_ms = self.jumped_ms.saturating_add(by_ms);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_wall_clock_jumps() {
        let mut clock = HostClock::new(1_000_000);
        assert_eq!(
            clock.at(2_500),
            Now {
                mono: Mono(2_500),
                wall: WallMillis(1_000_002)
            }
        );
        clock.jump(-3_000);
        assert_eq!(
            clock.at(2_500),
            Now {
                mono: Mono(2_500),
                wall: WallMillis(997_002)
            }
        );
        clock.jump(3_000);
        assert_eq!(clock.at(3_000).wall, WallMillis(1_000_003));
    }
}
