//! Hash slots: the mapping of keys and sets of slots.

use std::fmt;

use crc::{CRC_16_XMODEM, Crc, Table};

/// Number of hash slots in a cluster (`CLUSTER_SLOTS`).
pub const SLOT_COUNT: usize = 16384;

/// Number of bytes in a bitmap of all slots.
pub const SLOT_BYTES: usize = SLOT_COUNT / 8;

const CRC16: Crc<u16, Table<1>> = Crc::<u16, Table<1>>::new(&CRC_16_XMODEM);

/// A hash slot, 0 to 16383.
pub type Slot = u16;

/// The slot of a key: CRC16 of the hash tag if the key has one, else of the whole key
/// (`keyHashSlot`).
#[must_use]
pub fn key_slot(key: &[u8]) -> Slot {
    CRC16.checksum(hash_tag(key).unwrap_or(key)) & 0x3fff
}

/// What stands between the first `{` and the first `}` after it, unless that is empty.
fn hash_tag(key: &[u8]) -> Option<&[u8]> {
    let open = key.iter().position(|&byte| byte == b'{')?;
    let rest = &key[open + 1..];
    let close = rest.iter().position(|&byte| byte == b'}')?;
    (close > 0).then(|| &rest[..close])
}

/// Slots from `first` to `last`, both included.
#[derive(
    Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, serde::Serialize, serde::Deserialize,
)]
pub struct SlotRange {
    /// First slot.
    pub first: Slot,
    /// Last slot.
    pub last: Slot,
}

impl fmt::Display for SlotRange {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.first == self.last {
            write!(formatter, "{}", self.first)
        } else {
            write!(formatter, "{}-{}", self.first, self.last)
        }
    }
}

/// A set of slots, one bit a slot in the byte order of the cluster bus.
#[derive(Clone, PartialEq, Eq)]
pub struct SlotSet {
    count: u16,
    bits: [u8; SLOT_BYTES],
}

impl SlotSet {
    /// No slot.
    #[must_use]
    pub const fn new() -> Self {
        Self {
            count: 0,
            bits: [0; SLOT_BYTES],
        }
    }

    /// The set whose bitmap stands in a bus packet.
    #[must_use]
    pub fn from_bitmap(bits: [u8; SLOT_BYTES]) -> Self {
        let mut set = Self { count: 0, bits };
        set.recount();
        set
    }

    fn recount(&mut self) {
        self.count = self.bits.iter().map(|byte| byte.count_ones() as u16).sum();
    }

    /// Adds every slot of another set.
    pub fn insert_all(&mut self, others: &Self) {
        for (byte, other) in self.bits.iter_mut().zip(&others.bits) {
            *byte |= other;
        }
        self.recount();
    }

    /// Removes every slot of another set.
    pub fn remove_all(&mut self, others: &Self) {
        for (byte, other) in self.bits.iter_mut().zip(&others.bits) {
            *byte &= !other;
        }
        self.recount();
    }

    /// The bitmap as it stands in a bus packet.
    #[must_use]
    pub const fn bitmap(&self) -> &[u8; SLOT_BYTES] {
        &self.bits
    }

    /// Whether `slot` is in the set.
    #[must_use]
    pub fn contains(&self, slot: Slot) -> bool {
        self.bits[usize::from(slot) / 8] & 1 << (slot % 8) != 0
    }

    /// Adds `slot`; false if it was there.
    pub fn insert(&mut self, slot: Slot) -> bool {
        let added = !self.contains(slot);
        if added {
            self.bits[usize::from(slot) / 8] |= 1 << (slot % 8);
            self.count += 1;
        }
        added
    }

    /// Removes `slot`; false if it was not there.
    pub fn remove(&mut self, slot: Slot) -> bool {
        let removed = self.contains(slot);
        if removed {
            self.bits[usize::from(slot) / 8] &= !(1 << (slot % 8));
            self.count -= 1;
        }
        removed
    }

    /// Number of slots in the set.
    #[must_use]
    pub const fn len(&self) -> usize {
        self.count as usize
    }

    /// Whether the set has no slot.
    #[must_use]
    pub const fn is_empty(&self) -> bool {
        self.count == 0
    }

    /// The slots in ascending order.
    pub fn iter(&self) -> impl Iterator<Item = Slot> + '_ {
        self.bits
            .chunks_exact(8)
            .enumerate()
            .flat_map(|(index, chunk)| {
                let mut word = chunk
                    .iter()
                    .rev()
                    .fold(0_u64, |word, &byte| word << 8 | u64::from(byte));
                std::iter::from_fn(move || {
                    (word != 0).then(|| {
                        let bit = word.trailing_zeros();
                        word &= word - 1;
                        (index * 64) as Slot + bit as Slot
                    })
                })
            })
    }

    /// The slots as maximal ranges in ascending order.
    #[must_use]
    pub fn ranges(&self) -> Vec<SlotRange> {
        let mut ranges: Vec<SlotRange> = Vec::new();
        let mut next = 0;
        while let Some(first) = self.next_that_is(true, next) {
            next = self.next_that_is(false, first).unwrap_or(SLOT_COUNT);
            ranges.push(SlotRange {
                first: first as Slot,
                last: (next - 1) as Slot,
            });
        }
        ranges
    }

    /// The first slot from a place on that is in the set, or that is not.
    fn next_that_is(&self, contained: bool, from: usize) -> Option<usize> {
        let (words, _) = self.bits.as_chunks();
        let flip = if contained { 0 } else { u64::MAX };
        let mut seen = !(u64::MAX << (from % 64));
        for (index, word) in words.iter().enumerate().skip(from / 64) {
            let found = (u64::from_le_bytes(*word) ^ flip) & !seen;
            if found != 0 {
                return Some(index * 64 + found.trailing_zeros() as usize);
            }
            seen = 0;
        }
        None
    }
}

impl Default for SlotSet {
    fn default() -> Self {
        Self::new()
    }
}

impl fmt::Debug for SlotSet {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter
            .debug_list()
            .entries(self.ranges().iter().map(ToString::to_string))
            .finish()
    }
}

impl FromIterator<Slot> for SlotSet {
    fn from_iter<I: IntoIterator<Item = Slot>>(slots: I) -> Self {
        let mut set = Self::new();
        for slot in slots {
            set.insert(slot);
        }
        set
    }
}

impl From<SlotRange> for SlotSet {
    fn from(range: SlotRange) -> Self {
        let mut bits = [0; SLOT_BYTES];
        let (first, last) = (usize::from(range.first), usize::from(range.last));
        if let Some(bytes) = bits.get_mut(first / 8..=last / 8) {
            bytes.fill(u8::MAX);
            if let [first_byte, ..] = bytes {
                *first_byte &= u8::MAX << (first % 8);
            }
            if let [.., last_byte] = bytes {
                *last_byte &= u8::MAX >> (7 - last % 8);
            }
        }
        Self::from_bitmap(bits)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_hashes_as_the_cluster_specification_says() {
        assert_eq!(key_slot(b"123456789"), 0x31c3);
        assert_eq!(key_slot(b"foo"), 12182);
        assert_eq!(key_slot(b"somekey"), 11058);
    }

    #[test]
    fn only_a_non_empty_first_hash_tag_is_hashed() {
        assert_eq!(key_slot(b"{user1000}.following"), key_slot(b"user1000"));
        assert_eq!(key_slot(b"foo{{bar}}zap"), key_slot(b"{bar"));
        assert_eq!(key_slot(b"foo{bar}{zap}"), key_slot(b"bar"));
        assert_ne!(key_slot(b"foo{}{bar}"), key_slot(b"bar"));
        assert_ne!(key_slot(b"foo{bar"), key_slot(b"bar"));
    }

    #[test]
    fn ranges_join_neighbours() {
        let set: SlotSet = [0, 1, 2, 7, 63, 64, 65, 16383].into_iter().collect();
        let text: Vec<String> = set.ranges().iter().map(ToString::to_string).collect();
        assert_eq!(text, ["0-2", "7", "63-65", "16383"]);
        assert_eq!(set.len(), 8);
        assert_eq!(SlotSet::from_bitmap(*set.bitmap()), set);
        assert!(SlotSet::new().ranges().is_empty());
    }

    proptest::proptest! {
        #[test]
        fn ranges_make_the_set_they_are_of(ends in proptest::collection::vec((0..SLOT_COUNT as Slot, 0..200_u16), 0..8)) {
            let range = |(first, more): (Slot, u16)| SlotRange {
                first,
                last: (first + more).min(SLOT_COUNT as Slot - 1),
            };
            let ranges: Vec<SlotRange> = ends.into_iter().map(range).collect();
            let one_by_one: SlotSet = ranges.iter().flat_map(|range| range.first..=range.last).collect();
            let mut set = SlotSet::new();
            for range in &ranges {
                set.insert_all(&SlotSet::from(*range));
            }
            assert_eq!(set, one_by_one);
            let told = set.ranges();
            assert!(told.windows(2).all(|pair| pair[0].last + 1 < pair[1].first));
            let back: SlotSet = told.iter().flat_map(|range| range.first..=range.last).collect();
            assert_eq!(back, set);
            for range in &told {
                set.remove_all(&SlotSet::from(*range));
            }
            assert_eq!(set, SlotSet::new());
        }
    }
}
