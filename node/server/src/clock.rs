//! The two clocks of a host.

use std::future::Future;

use redrill_node::{Mono, Now};

/// A host's clocks. The wall clock may jump and drift; timers follow the monotonic clock.
pub trait Clock: 'static {
    /// What both clocks show.
    fn now(&self) -> Now;

    /// Waits until the monotonic clock shows `at`, or later as far as the clock's resolution
    /// goes, never earlier.
    fn sleep_until(&self, at: Mono) -> impl Future<Output = ()> + 'static;
}
