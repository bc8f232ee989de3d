//! What happens when: the queue of a discrete-event scheduler.
//!
//! Four kinds of things come due, and each has the cheapest place that keeps the order: what is
//! due at this very time stands in line, what each host waits for next replaces what it waited
//! for before, what is due soon is in a heap, and what is due later waits, in no order, for the
//! heap: a large cluster that starts has a million of those.

use std::cmp::Reverse;
use std::collections::{BTreeMap, BinaryHeap, VecDeque};

use super::alarms::{Alarms, due_us, rank};

/// Things to come, in order of time; what is due at one time, in the order it was put in.
#[derive(Debug)]
pub(super) struct Queue<T> {
    heap: BinaryHeap<Reverse<Entry<T>>>,
    /// What is due in a later spell than the heap holds, by spell. None is empty.
    later: BTreeMap<u64, Vec<Entry<T>>>,
    /// The last spell that the heap holds.
    spell: u64,
    /// What was put in to happen at once: after everything of `heap` that is due now, which was
    /// put in before.
    at_once: VecDeque<Entry<T>>,
    alarms: Alarms,
    now_us: u64,
    sequence: u64,
    taken: u64,
}

/// What is due.
#[derive(PartialEq, Eq, Debug)]
pub(super) enum Due<T> {
    /// Something that was put in.
    Entry(T),
    /// The alarm of that number.
    Alarm(u16),
}

/// Length of a spell, in powers of two of microseconds: messages are due in this one as a rule,
/// timers are not.
const SPELL: u32 = 14;

#[derive(Debug)]
struct Entry<T> {
    /// When it is due and when it was put in ([`rank`]).
    rank: u128,
    what: T,
}

impl<T> Queue<T> {
    pub(super) const fn new() -> Self {
        Self {
            heap: BinaryHeap::new(),
            later: BTreeMap::new(),
            spell: 0,
            at_once: VecDeque::new(),
            alarms: Alarms::new(),
            now_us: 0,
            sequence: 0,
            taken: 0,
        }
    }

    pub(super) fn push(&mut self, at_us: u64, what: T) {
        self.sequence += 1;
        let rank = rank(at_us.max(self.now_us), self.sequence);
        let entry = Entry { rank, what };
        if at_us <= self.now_us {
            self.at_once.push_back(entry);
            return;
        }
        match at_us >> SPELL {
            spell if spell > self.spell => self.later.entry(spell).or_default().push(entry),
            _ => self.heap.push(Reverse(entry)),
        }
    }

    /// Has the heap hold the next thing that is not an alarm, if there is one.
    fn fill_heap(&mut self) {
        if self.heap.is_empty()
            && let Some((spell, entries)) = self.later.pop_first()
        {
            self.spell = spell;
            self.heap.extend(entries.into_iter().map(Reverse));
        }
    }

    /// Sets an alarm, in place of the one it had.
    pub(super) fn set_alarm(&mut self, number: u16, at_us: u64) {
        self.sequence += 1;
        (self.alarms).set(number, at_us.max(self.now_us), self.sequence);
    }

    /// Whether nothing is due now.
    pub(super) fn is_idle(&self) -> bool {
        self.at_once.is_empty() && due_us(self.first().min(self.alarms.first())) > self.now_us
    }

    /// Something happens at once that was not put in, as nothing else is due.
    pub(super) const fn pass_over(&mut self) {
        self.taken += 1;
    }

    /// How many things were taken out.
    pub(super) const fn taken(&self) -> u64 {
        self.taken
    }

    /// The next thing, if it is due at `limit_us` at the latest, and when.
    pub(super) fn pop_until(&mut self, limit_us: u64) -> Option<(u64, Due<T>)> {
        self.fill_heap();
        let (entry, alarm) = (self.first(), self.alarms.first());
        let line = (self.at_once.front()).map_or(u128::MAX, |entry| entry.rank);
        let next = entry.min(alarm).min(line);
        let next_us = due_us(next);
        if next_us > limit_us || next == u128::MAX {
            return None;
        }
        self.now_us = self.now_us.max(next_us);
        self.taken += 1;
        if next == alarm {
            let number = self.alarms.pop()?;
            return Some((self.now_us, Due::Alarm(number)));
        }
        let entry = if next == line {
            self.at_once.pop_front()?
        } else {
            self.heap.pop()?.0
        };
        Some((self.now_us, Due::Entry(entry.what)))
    }

    /// Whose alarm goes off before anything else of what is due soon ([`Self::soon`]).
    pub(super) fn next_alarm(&self) -> Option<u16> {
        let is_next = self.alarms.first() < self.first();
        is_next.then(|| self.alarms.soonest()).flatten()
    }

    /// The rank of what is due first in the heap.
    fn first(&self) -> u128 {
        (self.heap.peek()).map_or(u128::MAX, |Reverse(entry)| entry.rank)
    }

    /// What is due soon, as far as is known without looking further: the next thing first, then
    /// two of which one comes after it, as a rule.
    pub(super) fn soon(&self) -> impl Iterator<Item = &T> {
        let heap = self.heap.as_slice();
        heap.iter().take(3).map(|Reverse(entry)| &entry.what)
    }

    /// Nothing is put in for a time before `now_us` any more.
    pub(super) fn pass(&mut self, now_us: u64) {
        self.now_us = self.now_us.max(now_us);
    }
}

impl<T> PartialEq for Entry<T> {
    fn eq(&self, other: &Self) -> bool {
        self.rank == other.rank
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
        self.rank.cmp(&other.rank)
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
        while let Some((at_us, what)) = queue.pop_until(4) {
            if what == Due::Entry('b') {
                queue.push(at_us, 'e');
            }
            order.push((at_us, what));
        }
        let expected = ['b', 'd', 'e'].map(|what| (3, Due::Entry(what)));
        assert_eq!(order, expected);
        assert_eq!(queue.pop_until(9), Some((5, Due::Entry('a'))));
        assert_eq!(queue.taken(), 4);
    }

    #[test]
    fn what_is_due_in_a_later_spell_keeps_its_place() {
        let spell_us = 1 << SPELL;
        let mut queue = Queue::new();
        let times = [5, 3, 1, 3, 0, 1, 0].map(|spells| spells * spell_us + 9);
        for (number, at_us) in times.into_iter().enumerate() {
            queue.push(at_us, number);
        }
        let mut order = Vec::new();
        while let Some((at_us, Due::Entry(number))) = queue.pop_until(u64::MAX) {
            order.push(number);
            if number == 5 {
                // Sooner than what waits, though the heap may hold a later spell already.
                queue.push(at_us + 1, 7);
            }
        }
        assert_eq!(order, [4, 6, 2, 5, 7, 1, 3, 0]);
    }

    #[test]
    fn an_alarm_that_is_set_anew_goes_off_once() {
        let mut queue = Queue::<char>::new();
        queue.set_alarm(1, 5);
        queue.push(7, 'a');
        queue.set_alarm(0, 7);
        queue.set_alarm(1, 7);
        assert_eq!(queue.pop_until(6), None);
        let order: Vec<_> = std::iter::from_fn(|| queue.pop_until(9)).collect();
        let expected = [Due::Entry('a'), Due::Alarm(0), Due::Alarm(1)].map(|what| (7, what));
        assert_eq!(order, expected);
    }
}
