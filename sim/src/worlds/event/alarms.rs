//! One alarm for each host: a heap in which an alarm is moved, not left behind.

/// Alarms by number. Each has one time at most.
#[derive(Debug)]
pub(super) struct Alarms {
    /// A binary heap of the alarms that are set, the soonest first.
    heap: Vec<Alarm>,
    /// Where each alarm stands in the heap; [`UNSET`] if it is not set.
    places: Vec<u32>,
}

#[derive(Clone, Copy, Debug)]
struct Alarm {
    rank: u128,
    number: u16,
}

const UNSET: u32 = u32::MAX;

/// Time and sequence in one number: it is compared without a branch.
pub(super) const fn rank(at_us: u64, sequence: u64) -> u128 {
    (at_us as u128) << 64 | sequence as u128
}

/// The time in a [`rank`].
pub(super) const fn due_us(rank: u128) -> u64 {
    (rank >> 64) as u64
}

impl Alarms {
    pub(super) const fn new() -> Self {
        Self {
            heap: Vec::new(),
            places: Vec::new(),
        }
    }

    /// The [`rank`] of the soonest alarm; that of a time that never comes if none is set.
    pub(super) fn first(&self) -> u128 {
        self.heap.first().map_or(u128::MAX, |alarm| alarm.rank)
    }

    /// Sets an alarm, in place of the one it had.
    pub(super) fn set(&mut self, number: u16, at_us: u64, sequence: u64) {
        let rank = rank(at_us, sequence);
        let alarm = Alarm { rank, number };
        if self.places.len() <= usize::from(number) {
            self.places.resize(usize::from(number) + 1, UNSET);
        }
        let place = match self.places[usize::from(number)] {
            UNSET => {
                self.heap.push(alarm);
                self.heap.len() - 1
            }
            place => place as usize,
        };
        self.settle(place, alarm);
    }

    /// The soonest alarm.
    pub(super) fn soonest(&self) -> Option<u16> {
        self.heap.first().map(|alarm| alarm.number)
    }

    /// Takes the soonest alarm out.
    pub(super) fn pop(&mut self) -> Option<u16> {
        let first = *self.heap.first()?;
        self.places[usize::from(first.number)] = UNSET;
        if let Some(last) = self.heap.pop()
            && !self.heap.is_empty()
        {
            self.settle(0, last);
        }
        Some(first.number)
    }

    /// Puts an alarm where it belongs, starting from a place that is its own or free.
    fn settle(&mut self, mut place: usize, alarm: Alarm) {
        while place > 0 && alarm.rank < self.heap[(place - 1) / 2].rank {
            let parent = (place - 1) / 2;
            self.put(place, self.heap[parent]);
            place = parent;
        }
        while let Some(child) = self.soonest_child(place)
            && self.heap[child].rank < alarm.rank
        {
            self.put(place, self.heap[child]);
            place = child;
        }
        self.put(place, alarm);
    }

    fn soonest_child(&self, place: usize) -> Option<usize> {
        let left = 2 * place + 1;
        let first = self.heap.get(left)?;
        let second = self.heap.get(left + 1);
        Some(left + usize::from(second.is_some_and(|second| second.rank < first.rank)))
    }

    fn put(&mut self, place: usize, alarm: Alarm) {
        self.heap[place] = alarm;
        self.places[usize::from(alarm.number)] = place as u32;
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn alarms_go_off_in_order_whatever_they_were_set_to_before(
            sets in prop::collection::vec((0_u16..20, 0_u64..50, prop::bool::ANY), 1..200),
        ) {
            let mut alarms = Alarms::new();
            let mut model = BTreeMap::new();
            for (sequence, (number, at_us, pops)) in (0..).zip(sets) {
                alarms.set(number, at_us, sequence);
                model.insert(number, rank(at_us, sequence));
                if pops {
                    let soonest = *model.iter().min_by_key(|entry| entry.1).unwrap().0;
                    prop_assert_eq!(alarms.first(), model[&soonest]);
                    prop_assert_eq!(alarms.pop(), Some(soonest));
                    model.remove(&soonest);
                }
            }
            while let Some(number) = alarms.pop() {
                let soonest = *model.iter().min_by_key(|entry| entry.1).unwrap().0;
                prop_assert_eq!(number, soonest);
                model.remove(&number);
            }
            prop_assert!(model.is_empty());
        }
    }
}
