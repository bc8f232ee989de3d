//! The list of descriptors that became ready, in the order in which they did (`epoll`).

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Wake, Waker};

/// Names a descriptor for the life of the process; never used twice.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub(crate) struct Token(pub(crate) u64);

/// What became ready since it was last asked.
#[derive(Debug, Default)]
pub(crate) struct ReadyList(Mutex<Waiting>);

#[derive(Debug, Default)]
struct Waiting {
    queue: Vec<Arc<Readiness>>,
    event_loop: Option<Waker>,
}

/// One descriptor's way into the list. As a [`Waker`] it is woken by the network.
#[derive(Debug)]
pub(crate) struct Readiness {
    token: Token,
    list: Arc<ReadyList>,
    queued: AtomicBool,
}

impl ReadyList {
    /// The way into the list for a new descriptor.
    pub(crate) fn readiness(self: &Arc<Self>, token: Token) -> Arc<Readiness> {
        Arc::new(Readiness {
            token,
            list: Arc::clone(self),
            queued: AtomicBool::new(false),
        })
    }

    /// Whether nothing is ready.
    pub(crate) fn is_empty(&self) -> bool {
        self.lock().queue.is_empty()
    }

    /// Whether nothing is ready; if so, has `event_loop` woken when something is.
    pub(crate) fn wait(&self, event_loop: &Waker) -> bool {
        let mut waiting = self.lock();
        if waiting.queue.is_empty() {
            waiting.event_loop = Some(event_loop.clone());
        }
        waiting.queue.is_empty()
    }

    /// Takes what is ready, the longest ready first.
    pub(crate) fn take(&self, into: &mut Vec<Token>) {
        let mut waiting = self.lock();
        into.extend(waiting.queue.drain(..).map(|readiness| {
            readiness.queued.store(false, Ordering::Relaxed);
            readiness.token
        }));
    }

    fn lock(&self) -> MutexGuard<'_, Waiting> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Readiness {
    /// Puts the descriptor at the end of the list unless it stands there already.
    pub(crate) fn mark_ready(self: &Arc<Self>) {
        if !self.queued.swap(true, Ordering::Relaxed) {
            let mut waiting = self.list.lock();
            waiting.queue.push(Arc::clone(self));
            if let Some(event_loop) = waiting.event_loop.take() {
                event_loop.wake();
            }
        }
    }
}

impl Wake for Readiness {
    fn wake(self: Arc<Self>) {
        self.mark_ready();
    }

    fn wake_by_ref(self: &Arc<Self>) {
        self.mark_ready();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn taken(list: &ReadyList) -> Vec<u64> {
        let mut tokens = Vec::new();
        list.take(&mut tokens);
        tokens.into_iter().map(|token| token.0).collect()
    }

    #[test]
    fn descriptors_are_taken_in_the_order_they_became_ready_and_once() {
        let list = Arc::new(ReadyList::default());
        let [first, second] = [1, 2].map(|token| list.readiness(Token(token)));
        Waker::from(Arc::clone(&second)).wake();
        first.mark_ready();
        second.mark_ready();
        assert_eq!(taken(&list), [2, 1]);
        assert!(list.is_empty());
        second.mark_ready();
        assert_eq!(taken(&list), [2], "ready again after it was taken");
    }
}
