//! Who owns which slot, kept as ranges: a cluster has few, and a thousand nodes each keep a map.

use redrill_node::{SLOT_COUNT, SlotRange};

use crate::trace::NodeNumber;

/// Slots and their owners in one view.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct SlotMap {
    /// Ascending and disjoint; neighbours with the same owner are one. What is in none has no
    /// owner.
    ranges: Vec<OwnedRange>,
}

/// A range of slots with one owner.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct OwnedRange {
    /// The slots.
    pub slots: SlotRange,
    /// Their owner.
    pub owner: NodeNumber,
}

impl SlotMap {
    /// The owner of a slot.
    #[must_use]
    pub fn owner(&self, slot: u16) -> Option<NodeNumber> {
        let place = self.ranges.partition_point(|range| range.slots.last < slot);
        let range = self.ranges.get(place)?;
        (range.slots.first <= slot).then_some(range.owner)
    }

    /// Every owned range, ascending.
    #[must_use]
    pub fn ranges(&self) -> &[OwnedRange] {
        &self.ranges
    }

    /// The ranges of one owner, ascending.
    pub fn ranges_of(&self, owner: NodeNumber) -> impl Iterator<Item = SlotRange> {
        self.ranges
            .iter()
            .filter(move |range| range.owner == owner)
            .map(|range| range.slots)
    }

    /// Whether `owner` owns any slot.
    #[must_use]
    pub fn owns_any(&self, owner: NodeNumber) -> bool {
        self.ranges.iter().any(|range| range.owner == owner)
    }

    /// Number of slots of one owner.
    #[must_use]
    pub fn count_of(&self, owner: NodeNumber) -> usize {
        self.ranges_of(owner).map(slot_count).sum()
    }

    /// Gives `slots` to `owner`, or to nobody.
    pub fn assign(&mut self, slots: SlotRange, owner: Option<NodeNumber>) {
        let from = self
            .ranges
            .partition_point(|range| range.slots.last < slots.first);
        let to = self
            .ranges
            .partition_point(|range| range.slots.first <= slots.last);
        let mut new: Vec<OwnedRange> = Vec::with_capacity(3);
        let mut push = |slots: SlotRange, owner: NodeNumber| match new.last_mut() {
            Some(last) if last.owner == owner && last.slots.last + 1 == slots.first => {
                last.slots.last = slots.last;
            }
            Some(_) | None => new.push(OwnedRange { slots, owner }),
        };
        // One range further on each side, so that neighbours with the same owner are joined.
        let before = from.saturating_sub(1);
        let after = (to + 1).min(self.ranges.len());
        for range in &self.ranges[before..to] {
            let last = range.slots.last.min(slots.first.saturating_sub(1));
            if range.slots.first < slots.first {
                push(
                    SlotRange {
                        last,
                        ..range.slots
                    },
                    range.owner,
                );
            }
        }
        if let Some(owner) = owner {
            push(slots, owner);
        }
        for range in &self.ranges[from..after] {
            let first = range.slots.first.max(slots.last.saturating_add(1));
            if range.slots.last > slots.last {
                push(
                    SlotRange {
                        first,
                        ..range.slots
                    },
                    range.owner,
                );
            }
        }
        self.ranges.splice(before..after, new);
    }

    /// Forgets every owner.
    pub fn clear(&mut self) {
        self.ranges.clear();
    }

    /// `slots` cut into pieces with one owner, or none, each; ascending.
    pub fn pieces(
        &self,
        slots: SlotRange,
    ) -> impl Iterator<Item = (SlotRange, Option<NodeNumber>)> + '_ {
        let start = self
            .ranges
            .partition_point(|range| range.slots.last < slots.first);
        let mut place = start;
        let mut next = Some(slots.first);
        std::iter::from_fn(move || {
            let first = next?;
            let (last, owner) = match self.ranges.get(place) {
                Some(range) if range.slots.first <= first => {
                    place += 1;
                    (range.slots.last, Some(range.owner))
                }
                Some(range) => (range.slots.first - 1, None),
                None => (slots.last, None),
            };
            let last = last.min(slots.last);
            next = (last < slots.last).then(|| last + 1);
            Some((SlotRange { first, last }, owner))
        })
    }

    /// The slots that nobody owns, as ranges.
    pub fn unowned(&self) -> impl Iterator<Item = SlotRange> + '_ {
        self.pieces(ALL_SLOTS)
            .filter(|(_, owner)| owner.is_none())
            .map(|(slots, _)| slots)
    }
}

/// Every slot there is.
pub const ALL_SLOTS: SlotRange = SlotRange {
    first: 0,
    last: SLOT_COUNT as u16 - 1,
};

/// Number of slots in a range.
#[must_use]
pub fn slot_count(slots: SlotRange) -> usize {
    usize::from(slots.last.saturating_sub(slots.first)) + 1
}

/// The slots that two ranges share.
#[must_use]
pub fn overlap(one: SlotRange, other: SlotRange) -> Option<SlotRange> {
    let first = one.first.max(other.first);
    let last = one.last.min(other.last);
    (first <= last).then_some(SlotRange { first, last })
}

/// Adds `slots` to ranges that are kept ascending, disjoint and joined.
pub fn add_range(ranges: &mut Vec<SlotRange>, slots: SlotRange) {
    ranges.push(slots);
    ranges.sort_unstable();
    let mut joined: Vec<SlotRange> = Vec::with_capacity(ranges.len());
    for &range in ranges.iter() {
        match joined.last_mut() {
            Some(last) if range.first <= last.last.saturating_add(1) => {
                last.last = last.last.max(range.last);
            }
            Some(_) | None => joined.push(range),
        }
    }
    *ranges = joined;
}

/// Ranges as they stand in `CLUSTER NODES`, at most four of them.
#[must_use]
pub fn slots_in_words(ranges: &[SlotRange]) -> String {
    const SHOWN: usize = 4;
    let mut words: Vec<String> = ranges
        .iter()
        .take(SHOWN)
        .map(SlotRange::to_string)
        .collect();
    if ranges.len() > SHOWN {
        words.push(format!("and {} ranges more", ranges.len() - SHOWN));
    }
    let single = matches!(ranges, [range] if range.first == range.last);
    format!(
        "{} {}",
        if single { "slot" } else { "slots" },
        words.join(", ")
    )
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn range(first: u16, last: u16) -> SlotRange {
        SlotRange { first, last }
    }

    #[test]
    fn a_slot_in_no_range_has_no_owner() {
        let mut map = SlotMap::default();
        map.assign(range(10, 20), Some(1));
        assert_eq!(map.owner(9), None);
        assert_eq!(map.owner(10), Some(1));
        assert_eq!(map.owner(20), Some(1));
        assert_eq!(map.owner(21), None);
        let unowned: Vec<_> = map.unowned().collect();
        assert_eq!(unowned, [range(0, 9), range(21, 16383)]);
    }

    #[test]
    fn ranges_in_words_are_cut_short() {
        assert_eq!(slots_in_words(&[range(7, 7)]), "slot 7");
        assert_eq!(slots_in_words(&[range(0, 5460)]), "slots 0-5460");
        let many: Vec<_> = (0..6).map(|n| range(n * 10, n * 10 + 1)).collect();
        assert_eq!(
            slots_in_words(&many),
            "slots 0-1, 10-11, 20-21, 30-31, and 2 ranges more"
        );
    }

    proptest! {
        #[test]
        fn the_map_agrees_with_one_owner_a_slot(
            steps in prop::collection::vec((0u16..60, 0u16..30, prop::option::of(0u16..3)), 0..40)
        ) {
            let mut map = SlotMap::default();
            let mut plain = vec![None; SLOT_COUNT];
            for (first, length, owner) in steps {
                // Both ends of the slot space take part.
                for base in [0, 16383 - 90] {
                    let slots = range(base + first, (base + first + length).min(16383));
                    map.assign(slots, owner);
                    plain[usize::from(slots.first)..=usize::from(slots.last)].fill(owner);
                }
            }
            for (slot, owner) in plain.iter().enumerate() {
                prop_assert_eq!(map.owner(slot as u16), *owner);
            }
            for pair in map.ranges().windows(2) {
                prop_assert!(pair[0].slots.last < pair[1].slots.first);
                let touching = pair[0].slots.last + 1 == pair[1].slots.first;
                prop_assert!(!(touching && pair[0].owner == pair[1].owner));
            }
            let mut next = 20u16;
            for (piece, owner) in map.pieces(range(20, 70)) {
                prop_assert_eq!(piece.first, next);
                for slot in piece.first..=piece.last {
                    prop_assert_eq!(plain[usize::from(slot)], owner);
                }
                next = piece.last + 1;
            }
            prop_assert_eq!(next, 71);
        }
    }
}
