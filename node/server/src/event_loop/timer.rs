//! The poll's time-out.

use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use redrill_node::Mono;

use crate::clock::Clock;

/// A sleep that is armed anew only when it has to be: most turns end before it is due.
#[derive(Default)]
pub(super) struct Timer {
    armed: Option<(Mono, Sleep)>,
}

type Sleep = Pin<Box<dyn Future<Output = ()>>>;

impl Timer {
    /// Ready once the clock shows `at`.
    pub(super) fn poll_due(
        &mut self,
        clock: &impl Clock,
        at: Mono,
        context: &mut Context<'_>,
    ) -> Poll<()> {
        loop {
            match &mut self.armed {
                // Armed for an earlier turn's time-out: it may end early, never late.
                Some((armed_at, sleep)) if *armed_at <= at => {
                    ready!(sleep.as_mut().poll(context));
                    let due = *armed_at == at || clock.now().mono >= at;
                    self.armed = None;
                    if due {
                        return Poll::Ready(());
                    }
                }
                Some(_) | None => self.armed = Some((at, Box::pin(clock.sleep_until(at)))),
            }
        }
    }
}

/// When a poll that begins at `began` with `timeout_us` to wait ends by itself. `epoll` waits in
/// whole milliseconds and Redis rounds up (`aeApiPoll`), so ticks come up to 1 ms late.
pub(super) const fn poll_ends_at(began: Mono, timeout_us: u64) -> Mono {
    began.plus_us(timeout_us.div_ceil(1000) * 1000)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_poll_waits_whole_milliseconds_rounded_up() {
        let began = Mono(5_250);
        assert_eq!(poll_ends_at(began, 0), began);
        assert_eq!(poll_ends_at(began, 1), Mono(6_250));
        assert_eq!(poll_ends_at(began, 99_950), Mono(105_250));
        assert_eq!(poll_ends_at(began, 100_000), Mono(105_250));
    }
}
