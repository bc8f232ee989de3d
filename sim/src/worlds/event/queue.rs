//! What happens when: the queue of a discrete-event scheduler.

use std::cmp::Reverse;
use std::collections::BinaryHeap;

/// Things to come, in order of time; what is due at one time, in the order it was put in.
#[derive(Debug)]
pub(super) struct Queue<T> {
    heap: BinaryHeap<Reverse<Entry<T>>>,
    sequence: u64,
}

#[derive(Debug)]
struct Entry<T> {
    at_us: u64,
    sequence: u64,
    what: T,
}

impl<T> Queue<T> {
    pub(super) const fn new() -> Self {
        Self {
            heap: BinaryHeap::new(),
            sequence: 0,
        }
    }

    pub(super) fn push(&mut self, at_us: u64, what: T) {
        self.sequence += 1;
        self.heap.push(Reverse(Entry {
            at_us,
            sequence: self.sequence,
            what,
        }));
    }

    /// How many things were taken out.
    pub(super) fn taken(&self) -> u64 {
        self.sequence - self.heap.len() as u64
    }

    /// When the next thing is due.
    pub(super) fn next_us(&self) -> Option<u64> {
        self.heap.peek().map(|Reverse(entry)| entry.at_us)
    }

    /// The next thing, if it is due at `limit_us` at the latest.
    pub(super) fn pop_until(&mut self, limit_us: u64) -> Option<(u64, T)> {
        if self.next_us()? > limit_us {
            return None;
        }
        self.heap
            .pop()
            .map(|Reverse(entry)| (entry.at_us, entry.what))
    }
}

impl<T> PartialEq for Entry<T> {
    fn eq(&self, other: &Self) -> bool {
        self.cmp(other).is_eq()
    }
}

impl<T> Eq for Entry<T> {}

impl<T> PartialOrd for Entry<T> {
    fn partial_cmp(&self, other: &Self) -> Option<std::cmp::Ordering> {
        Some(self.cmp(other))
    }
}

impl<T> Ord for Entry<T> {
    fn cmp(&self, other: &Self) -> std::cmp::Ordering {
        (self.at_us, self.sequence).cmp(&(other.at_us, other.sequence))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_due_at_one_time_comes_in_the_order_it_was_put_in() {
        let mut queue = Queue::new();
        for (at_us, what) in [(5, 'a'), (3, 'b'), (5, 'c'), (3, 'd')] {
            queue.push(at_us, what);
        }
        let mut order = Vec::new();
        while let Some(next) = queue.pop_until(4) {
            order.push(next);
        }
        assert_eq!(order, [(3, 'b'), (3, 'd')]);
        assert_eq!(queue.next_us(), Some(5));
        assert_eq!(queue.pop_until(9), Some((5, 'a')));
    }
}
