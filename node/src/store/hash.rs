//! Hashes.

use indexmap::IndexMap;
use rustc_hash::FxBuildHasher;

use super::memory::{COLLECTION_BYTES, TABLE_BYTES, heap_bytes, more_room, with_room};
use super::value::{Encoding, Limits};
use crate::word::Word;

/// Fields with their values. A small hash is a list of pairs, in the order in which they came.
#[derive(Clone, Debug, Default)]
pub struct Hash {
    held: Held,
    /// What the words take beside their places, bytes.
    words_bytes: usize,
}

#[derive(Clone, Debug)]
enum Held {
    Small(Vec<(Word, Word)>),
    Large(IndexMap<Word, Word, FxBuildHasher>),
}

impl Default for Held {
    fn default() -> Self {
        Self::Small(Vec::new())
    }
}

impl Hash {
    /// An empty hash.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Number of fields.
    #[must_use]
    pub fn len(&self) -> usize {
        match &self.held {
            Held::Small(pairs) => pairs.len(),
            Held::Large(table) => table.len(),
        }
    }

    /// Whether there is no field.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The fields and their values.
    pub fn iter(&self) -> impl Iterator<Item = (&Word, &Word)> {
        let (small, large) = match &self.held {
            Held::Small(pairs) => (Some(pairs), None),
            Held::Large(table) => (None, Some(table)),
        };
        let small = small.into_iter().flatten();
        small
            .map(|(field, value)| (field, value))
            .chain(large.into_iter().flatten())
    }

    /// The `nth` field and its value, in the order of [`Hash::iter`].
    #[must_use]
    pub fn nth(&self, nth: usize) -> Option<(&Word, &Word)> {
        match &self.held {
            Held::Small(pairs) => pairs.get(nth).map(|(field, value)| (field, value)),
            Held::Large(table) => table.get_index(nth),
        }
    }

    /// The value of a field.
    #[must_use]
    pub fn get(&self, field: &[u8]) -> Option<&Word> {
        match &self.held {
            Held::Small(pairs) => pairs
                .iter()
                .find(|(held, _)| held.as_bytes() == field)
                .map(|(_, value)| value),
            Held::Large(table) => table.get(field),
        }
    }

    /// Gives a field a value, within upstream's default limits; true if it is new.
    pub fn insert(&mut self, field: Word, value: Word) -> bool {
        self.insert_within(field, value, &Limits::DEFAULT)
    }

    /// Gives a field a value; true if it is new. Past the limits it becomes a table, for good.
    pub fn insert_within(&mut self, field: Word, value: Word, limits: &Limits) -> bool {
        if field.len().max(value.len()) > limits.hash_value_bytes {
            self.enlarge();
        }
        self.words_bytes += heap_bytes(&field) + heap_bytes(&value);
        let replaced = match &mut self.held {
            Held::Small(pairs) => match pairs.iter_mut().find(|(held, _)| *held == field) {
                Some((_, old)) => Some(std::mem::replace(old, value)),
                None => {
                    if pairs.len() == pairs.capacity() {
                        pairs.reserve_exact(more_room(pairs.len()));
                    }
                    pairs.push((field.clone(), value));
                    None
                }
            },
            Held::Large(table) => table.insert(field.clone(), value),
        };
        if let Some(old) = &replaced {
            self.words_bytes -= heap_bytes(&field) + heap_bytes(old);
        } else if self.len() > limits.hash_entries {
            self.enlarge();
        }
        replaced.is_none()
    }

    /// Removes a field; false if there was none.
    pub fn remove(&mut self, field: &[u8]) -> bool {
        let removed = match &mut self.held {
            Held::Small(pairs) => pairs
                .iter()
                .position(|(held, _)| held.as_bytes() == field)
                .map(|place| pairs.remove(place)),
            Held::Large(table) => table.swap_remove_entry(field),
        };
        let Some((field, value)) = removed else {
            return false;
        };
        self.words_bytes -= heap_bytes(&field) + heap_bytes(&value);
        self.give_back();
        true
    }

    /// Some fields with their values and the cursor to go on with, 0 at the end; a small hash all
    /// at once. A field that is there from the first call to the last is never missed: see
    /// [`super::Store::scan`].
    #[must_use]
    pub fn scan(&self, cursor: u64, count: usize) -> (u64, Vec<(Word, Word)>) {
        match &self.held {
            Held::Small(pairs) => (0, pairs.clone()),
            Held::Large(table) => {
                let (rest, places) = super::scan_places(table.len(), cursor, count);
                let some = places.filter_map(|place| table.get_index(place));
                let owned = |(field, value): (&Word, &Word)| (field.clone(), value.clone());
                (rest, some.map(owned).collect())
            }
        }
    }

    /// The form it is in.
    #[must_use]
    pub const fn encoding(&self) -> Encoding {
        match &self.held {
            Held::Small(_) => Encoding::Listpack,
            Held::Large(_) => Encoding::HashTable,
        }
    }

    /// What it takes, bytes.
    pub(super) fn heap_bytes(&self) -> usize {
        let pair = 2 * size_of::<Word>();
        let pairs = match &self.held {
            Held::Small(pairs) => with_room(pairs.len() * pair),
            Held::Large(table) => table.len() * (pair + TABLE_BYTES),
        };
        COLLECTION_BYTES + pairs + self.words_bytes
    }

    fn enlarge(&mut self) {
        if let Held::Small(pairs) = &mut self.held {
            self.held = Held::Large(std::mem::take(pairs).into_iter().collect());
        }
    }

    fn give_back(&mut self) {
        if let Held::Large(table) = &mut self.held
            && table.capacity() > 16
            && table.len() < table.capacity() / 4
        {
            table.shrink_to(table.capacity() / 2);
        }
    }
}

/// Equal content, in whatever form and order.
impl PartialEq for Hash {
    fn eq(&self, other: &Self) -> bool {
        self.len() == other.len()
            && self
                .iter()
                .all(|(field, value)| other.get(field) == Some(value))
    }
}

impl FromIterator<(Word, Word)> for Hash {
    fn from_iter<I: IntoIterator<Item = (Word, Word)>>(pairs: I) -> Self {
        let mut hash = Self::new();
        for (field, value) in pairs {
            hash.insert(field, value);
        }
        hash
    }
}
