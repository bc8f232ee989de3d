//! The keyspace: keys with their values and expiries, and the keys of each slot.
//!
//! One insertion-ordered hash table holds every key; the keys of a slot are a list threaded
//! through it, as in Redis, so that a slot is counted, listed and emptied without a look at the
//! others. Nothing here depends on addresses or on a random hash seed: equal histories make equal
//! stores.

mod access;
#[cfg(test)]
mod collection_tests;
mod hash;
mod links;
mod list;
mod memory;
mod ranked;
mod set;
mod sorted_set;
#[cfg(test)]
mod tests;
mod value;

use std::ops::{Range, RangeInclusive};
use std::sync::Arc;

use crate::word::Word;
use indexmap::{IndexMap, map};
use rustc_hash::FxBuildHasher;

use crate::input::SnapshotEntry;
use crate::slot::{Slot, key_slot};
use crate::time::WallMillis;
use links::{Links, SlotLists};
use memory::heap_bytes;
use ranked::Ranked;

pub(crate) use access::{AccessClock, NEW_KEY_USES};

pub use hash::Hash;
pub use list::List;
pub use set::Set;
pub use sorted_set::SortedSet;
pub(crate) use value::Collection;
pub use value::{Encoding, Limits, Value, ValueType};

/// The keyspace of a node.
#[derive(Clone, Debug, Default)]
pub struct Store {
    entries: IndexMap<Word, Entry, FxBuildHasher>,
    slots: SlotLists,
    /// Keys that expire, soonest first.
    expiries: Ranked<(i64, Word)>,
    clock: AccessClock,
    used_bytes: usize,
    /// Keys that were made while somebody waited for some, the oldest first.
    ready: Vec<Word>,
    /// Whether somebody waits for keys.
    notes_ready: bool,
}

/// Where a key stands in the table. Valid until the next key is removed.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Place(usize);

#[derive(Clone, Debug)]
struct Entry {
    value: Value,
    /// Unix ms; [`NEVER`] if it does not expire.
    expires_at_ms: i64,
    slot: Slot,
    links: Links,
    /// When it was used last, or how often: see [`access`].
    used: u32,
    /// What is to be told of a string's encoding.
    made: Made,
}

/// How a string came about. Upstream keeps one that was changed in place as it became, and a number
/// with decimals as text.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Made {
    /// It was given as a whole: its content alone tells its encoding.
    Whole,
    /// It is text, even if it looks like an integer.
    Text,
    /// It was changed in place.
    InPlace,
}

const NEVER: i64 = i64::MAX;

/// Numbers of keys at which a full table grows fourfold instead of twofold.
const GROWS_FAST: RangeInclusive<usize> = 64..=8192;

/// What a key costs beside its own bytes and its value's.
const ENTRY_BYTES: usize = 104;

impl Store {
    /// An empty keyspace.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Number of keys, those included that have expired and were not removed yet.
    #[must_use]
    pub fn len(&self) -> usize {
        self.entries.len()
    }

    /// Whether there is no key.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }

    /// Number of keys that have an expiry.
    #[must_use]
    pub fn expiring_len(&self) -> usize {
        self.expiries.len()
    }

    /// Mean time to live of the keys that have an expiry, ms; 0 if there are none.
    #[must_use]
    pub fn mean_ttl_ms(&self, now: WallMillis) -> i64 {
        let total: i128 = self
            .expiries
            .range(0..self.expiries.len())
            .map(|&(at_ms, _)| i128::from(at_ms.saturating_sub(now.0).max(0)))
            .sum();
        let count = self.expiries.len().max(1) as i128;
        i64::try_from(total / count).unwrap_or(i64::MAX)
    }

    /// Memory the keys and values take, bytes: an estimate that depends on the content alone.
    #[must_use]
    pub const fn used_bytes(&self) -> usize {
        self.used_bytes
    }

    /// What of [`Store::used_bytes`] the table takes, whatever is in it.
    #[must_use]
    pub fn overhead_bytes(&self) -> usize {
        self.len() * ENTRY_BYTES
    }

    /// The value of a key that has not expired.
    #[must_use]
    pub fn get(&self, key: &[u8], now: WallMillis) -> Option<&Value> {
        let place = self.find(key)?;
        (!self.is_expired(place, now)).then(|| self.value(place))
    }

    /// Gives a key a value and an expiry (Unix ms), or takes the expiry away.
    pub fn set(&mut self, key: Word, value: Value, expires_at_ms: Option<i64>) {
        match self.find(&key) {
            Some(place) => {
                self.set_value(place, value);
                self.set_expiry(place, expires_at_ms);
            }
            None => {
                self.insert(key, value, expires_at_ms);
            }
        }
    }

    /// Removes a key; false if there was none.
    pub fn remove(&mut self, key: &[u8]) -> bool {
        let place = self.find(key);
        if let Some(place) = place {
            self.remove_at(place);
        }
        place.is_some()
    }

    /// Removes every key and says how many there were.
    pub fn clear(&mut self) -> u64 {
        let emptied = Self {
            notes_ready: self.notes_ready,
            clock: self.clock,
            ..Self::default()
        };
        std::mem::replace(self, emptied).len() as u64
    }

    /// The whole keyspace, for a replica to [`Store::load`].
    #[must_use]
    pub fn snapshot(&self) -> Arc<Vec<SnapshotEntry>> {
        let entry = |(key, entry): (&Word, &Entry)| SnapshotEntry {
            key: key.clone(),
            value: entry.value.clone(),
            expires_at_ms: entry.expiry(),
        };
        Arc::new(self.entries.iter().map(entry).collect())
    }

    /// Replaces the whole keyspace.
    pub fn load(&mut self, entries: &[SnapshotEntry]) {
        self.clear();
        self.entries.reserve(entries.len());
        for entry in entries {
            self.set(entry.key.clone(), entry.value.clone(), entry.expires_at_ms);
        }
    }

    /// Number of keys in a slot (`countKeysInSlot`).
    #[must_use]
    pub fn count_in_slot(&self, slot: Slot) -> usize {
        self.slots.count(slot)
    }

    /// Keys of a slot, at most `max`, the newest first.
    #[must_use]
    pub fn keys_in_slot(&self, slot: Slot, max: usize) -> Vec<Word> {
        let mut keys = Vec::with_capacity(max.min(self.count_in_slot(slot)));
        let mut next = self.slots.head(slot);
        while let Some(index) = next
            && keys.len() < max
        {
            keys.push(self.key(Place(index)).clone());
            next = self.entries[index].links.next();
        }
        keys
    }

    /// Removes the keys of a slot and says how many there were (`delKeysInSlot`).
    pub fn delete_slot(&mut self, slot: Slot) -> u64 {
        let mut removed = 0;
        while let Some(index) = self.slots.head(slot) {
            self.remove_at(Place(index));
            removed += 1;
        }
        removed
    }

    /// The slots that hold keys, in ascending order.
    pub fn used_slots(&self) -> impl Iterator<Item = Slot> + '_ {
        self.slots.used()
    }
}

/// What commands do.
impl Store {
    pub(crate) fn find(&self, key: &[u8]) -> Option<Place> {
        self.entries.get_index_of(key).map(Place)
    }

    pub(crate) fn key(&self, place: Place) -> &Word {
        match self.entries.get_index(place.0) {
            Some((key, _)) => key,
            None => unreachable!("place {} of {} keys", place.0, self.len()),
        }
    }

    pub(crate) fn value(&self, place: Place) -> &Value {
        &self.entries[place.0].value
    }

    /// Unix ms.
    pub(crate) fn expiry(&self, place: Place) -> Option<i64> {
        self.entries[place.0].expiry()
    }

    /// Whether its time is over (`keyIsExpired`).
    pub(crate) fn is_expired(&self, place: Place, now: WallMillis) -> bool {
        now.0 > self.entries[place.0].expires_at_ms
    }

    /// What a key takes with its value, bytes.
    pub(crate) fn entry_bytes(&self, place: Place) -> usize {
        ENTRY_BYTES + heap_bytes(self.key(place)) + self.value(place).heap_bytes()
    }

    /// The `nth` key of the table, for a random pick.
    pub(crate) fn nth(&self, nth: usize) -> Option<Place> {
        (nth < self.len()).then_some(Place(nth))
    }

    /// The `nth` of the keys that expire, for a random pick.
    pub(crate) fn nth_expiring(&self, nth: usize) -> Option<Place> {
        let (_, key) = self.expiries.nth(nth)?;
        self.find(key)
    }

    /// Every key, in the order of the table.
    pub(crate) fn places(&self) -> impl Iterator<Item = Place> + use<> {
        (0..self.len()).map(Place)
    }

    /// Adds a key with a string, unless it is there, expired or not. One look finds out and adds.
    pub(crate) fn insert_new(&mut self, key: &Word, value: &Word) -> bool {
        self.grow();
        let map::Entry::Vacant(vacant) = self.entries.entry(key.clone()) else {
            return false;
        };
        let (slot, index) = (key_slot(key), vacant.index());
        let value = Value::String(value.clone());
        self.used_bytes += ENTRY_BYTES + heap_bytes(key) + value.heap_bytes();
        vacant.insert(Entry::new(value, slot, self.clock));
        self.link(index, slot);
        true
    }

    /// Makes room for more keys. A table that is still small grows fourfold: to move what is in it
    /// takes longer than to fill it.
    fn grow(&mut self) {
        let len = self.len();
        if len == self.entries.capacity() && GROWS_FAST.contains(&len) {
            self.entries.reserve(3 * len);
        }
    }

    /// Adds a key that is not there.
    pub(crate) fn insert(&mut self, key: Word, value: Value, expires_at_ms: Option<i64>) -> Place {
        if self.notes_ready {
            self.note_ready(&key, &value);
        }
        self.grow();
        let slot = key_slot(&key);
        self.used_bytes += ENTRY_BYTES + heap_bytes(&key) + value.heap_bytes();
        let entry = Entry::new(value, slot, self.clock);
        let (index, replaced) = self.entries.insert_full(key, entry);
        debug_assert!(replaced.is_none(), "the key was there already");
        self.link(index, slot);
        if expires_at_ms.is_some() {
            self.set_expiry(Place(index), expires_at_ms);
        }
        Place(index)
    }

    /// Has keys noted that come to hold what a client may wait for, or no longer.
    pub(crate) fn note_ready_keys(&mut self, notes: bool) {
        self.notes_ready = notes;
        if !notes {
            self.ready.clear();
        }
    }

    pub(crate) const fn has_ready_keys(&self) -> bool {
        !self.ready.is_empty()
    }

    /// The keys that came to hold something, the first one first.
    pub(crate) fn take_ready_keys(&mut self) -> Vec<Word> {
        std::mem::take(&mut self.ready)
    }

    /// `signalKeyAsReady`
    fn note_ready(&mut self, key: &Word, value: &Value) {
        let may_be_awaited = matches!(value, Value::List(_) | Value::SortedSet(_));
        if may_be_awaited && !self.ready.contains(key) {
            self.ready.push(key.clone());
        }
    }

    /// Replaces a value and leaves the expiry as it is (`dbOverwrite`).
    pub(crate) fn set_value(&mut self, place: Place, value: Value) {
        if self.notes_ready {
            let key = self.key(place).clone();
            self.note_ready(&key, &value);
        }
        self.used_bytes += value.heap_bytes();
        let entry = &mut self.entries[place.0];
        if !self.clock.counts_uses() {
            entry.used = self.clock.stamp();
        }
        entry.made = Made::Whole;
        let old = std::mem::replace(&mut entry.value, value);
        self.used_bytes -= old.heap_bytes();
    }

    /// Notes how a string came about.
    pub(crate) fn set_made(&mut self, place: Place, made: Made) {
        self.entries[place.0].made = made;
    }

    /// How a string came about.
    pub(crate) fn made(&self, place: Place) -> Made {
        self.entries[place.0].made
    }

    /// The form a value is kept in, as upstream would tell it.
    pub(crate) fn encoding(&self, place: Place) -> Encoding {
        let entry = &self.entries[place.0];
        match (entry.value.encoding(), entry.made) {
            (Encoding::Int | Encoding::EmbStr, Made::InPlace) => Encoding::Raw,
            (Encoding::Int, Made::Text) => Encoding::EmbStr,
            (encoding, Made::Whole | Made::Text | Made::InPlace) => encoding,
        }
    }

    /// Changes a value in place.
    pub(crate) fn change<T>(&mut self, place: Place, change: impl FnOnce(&mut Value) -> T) -> T {
        let value = &mut self.entries[place.0].value;
        let before = value.heap_bytes();
        let result = change(value);
        self.used_bytes += value.heap_bytes();
        self.used_bytes -= before;
        result
    }

    /// Sets or takes away an expiry; true if there was one (`setExpire`, `removeExpire`).
    pub(crate) fn set_expiry(&mut self, place: Place, expires_at_ms: Option<i64>) -> bool {
        let new = expires_at_ms.map_or(NEVER, |at_ms| at_ms.min(NEVER - 1));
        let old = std::mem::replace(&mut self.entries[place.0].expires_at_ms, new);
        if old != new {
            let key = self.key(place).clone();
            if old != NEVER {
                self.expiries.remove(&(old, key.clone()));
            }
            if new != NEVER {
                self.expiries.insert((new, key));
            }
        }
        old != NEVER
    }

    pub(crate) fn remove_at(&mut self, place: Place) {
        self.set_expiry(place, None);
        self.unlink(place.0);
        let last = self.len() - 1;
        let Some((key, entry)) = self.entries.swap_remove_index(place.0) else {
            return;
        };
        self.used_bytes -= ENTRY_BYTES + heap_bytes(&key) + entry.value.heap_bytes();
        if place.0 != last {
            self.relink(place.0);
        }
    }

    /// A key whose time is over, the longest overdue first.
    pub(crate) fn first_expired(&self, now: WallMillis) -> Option<Word> {
        let (at_ms, key) = self.expiries.nth(0)?;
        (now.0 > *at_ms).then(|| key.clone())
    }

    /// Some keys and the cursor to go on with, 0 at the end (`dictScan`).
    ///
    /// The table is walked from its end to its start, and the cursor is the number of keys not
    /// seen yet. Removing a key moves the last one into its place: a key only ever moves towards
    /// the start, and only from the part that was seen already, so that none is missed.
    pub(crate) fn scan(&self, cursor: u64, count: usize) -> (u64, Vec<Word>) {
        let (rest, places) = scan_places(self.len(), cursor, count);
        let keys = places.map(|place| self.key(Place(place)).clone());
        (rest, keys.collect())
    }
}

/// The places of a table of `len` that a scan looks at next, and the cursor to go on with.
fn scan_places(len: usize, cursor: u64, count: usize) -> (u64, std::iter::Rev<Range<usize>>) {
    let unseen = match usize::try_from(cursor) {
        Ok(0) | Err(_) => len,
        Ok(cursor) => cursor.min(len),
    };
    let rest = unseen.saturating_sub(count);
    (rest as u64, (rest..unseen).rev())
}

impl Entry {
    fn new(value: Value, slot: Slot, clock: AccessClock) -> Self {
        Self {
            value,
            expires_at_ms: NEVER,
            slot,
            links: Links::default(),
            used: clock.stamp(),
            made: Made::Whole,
        }
    }

    const fn expiry(&self) -> Option<i64> {
        if self.expires_at_ms == NEVER {
            None
        } else {
            Some(self.expires_at_ms)
        }
    }
}
