//! Sets.

use indexmap::IndexSet;
use rustc_hash::FxBuildHasher;

use super::memory::{COLLECTION_BYTES, TABLE_BYTES, heap_bytes, more_room, with_room};
use super::value::{Encoding, Limits};
use crate::wire::resp::string_to_i64;
use crate::word::Word;

/// A set of words. A small one of integers alone is kept as numbers, in ascending order.
#[derive(Clone, Debug, Default)]
pub struct Set {
    held: Held,
    /// What the words take beside their places, bytes.
    words_bytes: usize,
}

#[derive(Clone, Debug)]
enum Held {
    Integers(Vec<i64>),
    Words(IndexSet<Word, FxBuildHasher>),
}

impl Default for Held {
    fn default() -> Self {
        Self::Integers(Vec::new())
    }
}

impl Set {
    /// An empty set.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Number of members.
    #[must_use]
    pub fn len(&self) -> usize {
        match &self.held {
            Held::Integers(numbers) => numbers.len(),
            Held::Words(words) => words.len(),
        }
    }

    /// Whether there is no member.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The members: numbers in ascending order, words in the order of the table.
    pub fn iter(&self) -> impl DoubleEndedIterator<Item = Word> + '_ {
        let (numbers, words) = match &self.held {
            Held::Integers(numbers) => (Some(numbers), None),
            Held::Words(words) => (None, Some(words)),
        };
        let numbers = numbers.into_iter().flatten();
        numbers
            .map(|&number| number_word(number))
            .chain(words.into_iter().flatten().cloned())
    }

    /// The members of a small set that holds integers alone, in ascending order.
    #[must_use]
    pub fn as_integers(&self) -> Option<&[i64]> {
        match &self.held {
            Held::Integers(numbers) => Some(numbers),
            Held::Words(_) => None,
        }
    }

    /// The `nth` member, in the order of [`Set::iter`].
    #[must_use]
    pub fn nth(&self, nth: usize) -> Option<Word> {
        match &self.held {
            Held::Integers(numbers) => numbers.get(nth).map(|&number| number_word(number)),
            Held::Words(words) => words.get_index(nth).cloned(),
        }
    }

    /// Whether a word is a member.
    #[must_use]
    pub fn contains(&self, member: &[u8]) -> bool {
        match &self.held {
            Held::Integers(numbers) => {
                string_to_i64(member).is_some_and(|number| numbers.binary_search(&number).is_ok())
            }
            Held::Words(words) => words.contains(member),
        }
    }

    /// Adds a member, within upstream's default limits; false if it was there.
    pub fn insert(&mut self, member: Word) -> bool {
        self.insert_within(member, &Limits::DEFAULT)
    }

    /// Adds a member; false if it was there. Past the limits, or with the first word that is not a
    /// number, it becomes a table, for good.
    pub fn insert_within(&mut self, member: Word, limits: &Limits) -> bool {
        match &mut self.held {
            Held::Integers(numbers) => {
                if let Some(number) = string_to_i64(&member) {
                    let Err(place) = numbers.binary_search(&number) else {
                        return false;
                    };
                    if numbers.len() == numbers.capacity() {
                        numbers.reserve_exact(more_room(numbers.len()));
                    }
                    numbers.insert(place, number);
                    if numbers.len() > limits.intset_entries {
                        self.enlarge();
                    }
                    return true;
                }
                self.enlarge();
                self.insert_within(member, limits)
            }
            Held::Words(words) => {
                let bytes = heap_bytes(&member);
                let added = words.insert(member);
                if added {
                    self.words_bytes += bytes;
                }
                added
            }
        }
    }

    /// Removes a member; false if there was none.
    pub fn remove(&mut self, member: &[u8]) -> bool {
        match &mut self.held {
            Held::Integers(numbers) => {
                let place =
                    string_to_i64(member).and_then(|number| numbers.binary_search(&number).ok());
                if let Some(place) = place {
                    numbers.remove(place);
                }
                place.is_some()
            }
            Held::Words(words) => {
                let removed = words.swap_remove(member);
                if removed {
                    self.words_bytes -= super::memory::heap_bytes_of(member.len());
                    if words.capacity() > 16 && words.len() < words.capacity() / 4 {
                        words.shrink_to(words.capacity() / 2);
                    }
                }
                removed
            }
        }
    }

    /// Some members and the cursor to go on with, 0 at the end; a small set of integers all at
    /// once. A member that is there from the first call to the last is never missed: see
    /// [`super::Store::scan`].
    #[must_use]
    pub fn scan(&self, cursor: u64, count: usize) -> (u64, Vec<Word>) {
        match &self.held {
            Held::Integers(_) => (0, self.iter().collect()),
            Held::Words(words) => {
                let (rest, places) = super::scan_places(words.len(), cursor, count);
                let some = places.filter_map(|place| words.get_index(place));
                (rest, some.cloned().collect())
            }
        }
    }

    /// The form it is in.
    #[must_use]
    pub const fn encoding(&self) -> Encoding {
        match &self.held {
            Held::Integers(_) => Encoding::IntSet,
            Held::Words(_) => Encoding::HashTable,
        }
    }

    /// What it takes, bytes.
    pub(super) fn heap_bytes(&self) -> usize {
        let members = match &self.held {
            Held::Integers(numbers) => with_room(numbers.len() * size_of::<i64>()),
            Held::Words(words) => words.len() * (size_of::<Word>() + TABLE_BYTES),
        };
        COLLECTION_BYTES + members + self.words_bytes
    }

    fn enlarge(&mut self) {
        if let Held::Integers(numbers) = &self.held {
            let words: IndexSet<Word, FxBuildHasher> =
                numbers.iter().map(|&number| number_word(number)).collect();
            self.held = Held::Words(words);
        }
    }
}

/// A number as a word: always short enough to be kept in place.
fn number_word(number: i64) -> Word {
    Word::from(number.to_string())
}

/// Equal content, in whatever form and order.
impl PartialEq for Set {
    fn eq(&self, other: &Self) -> bool {
        self.len() == other.len() && self.iter().all(|member| other.contains(&member))
    }
}

impl FromIterator<Word> for Set {
    fn from_iter<I: IntoIterator<Item = Word>>(members: I) -> Self {
        let mut set = Self::new();
        for member in members {
            set.insert(member);
        }
        set
    }
}
