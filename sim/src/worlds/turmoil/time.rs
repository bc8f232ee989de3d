//! The time of the run, as a turmoil host sees it.

use std::future::Future;
use std::time::Duration;

use tokio::time::{Instant, sleep_until};

/// One tick of turmoil, microseconds. Nothing in this world is finer.
pub(super) const TICK_US: u64 = 1_000;

/// Reads and waits for times of the run within one turmoil host.
#[derive(Clone, Copy, Debug)]
pub(super) struct HostTime {
    /// What the host's runtime showed when the run began.
    began: Instant,
}

impl HostTime {
    /// The time of a host whose runtime has just begun to run, at the beginning of the run.
    pub(super) fn at_beginning() -> Self {
        Self {
            began: Instant::now(),
        }
    }

    /// Microseconds since the run began.
    pub(super) fn now_us(self) -> u64 {
        self.began.elapsed().as_micros() as u64
    }

    /// Waits until the first tick at or after a time.
    pub(super) fn until(self, at_us: u64) -> impl Future<Output = ()> + 'static {
        sleep_until(self.instant(at_us.next_multiple_of(TICK_US)))
    }

    /// Waits until the tick in which a time lies; not at all if that is the present one.
    pub(super) async fn until_tick_of(self, at_us: u64) {
        let tick_us = at_us - at_us % TICK_US;
        if tick_us > self.now_us() {
            sleep_until(self.instant(tick_us)).await;
        }
    }

    /// The runtime's time for a time of the run.
    pub(super) fn instant(self, at_us: u64) -> Instant {
        self.began + Duration::from_micros(at_us)
    }
}

/// The last moment of the tick in which a time lies.
pub(super) const fn end_of_tick(at_us: u64) -> u64 {
    at_us - at_us % TICK_US + TICK_US - 1
}
