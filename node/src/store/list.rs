//! Lists.

use std::collections::VecDeque;

use super::memory::{COLLECTION_BYTES, heap_bytes, more_room, with_room};
use crate::word::Word;

/// A list of words, quick at both ends and at any place.
#[derive(Clone, PartialEq, Debug, Default)]
pub struct List {
    items: VecDeque<Word>,
    /// What the words take beside their places, bytes.
    words_bytes: usize,
}

impl List {
    /// An empty list.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Number of elements.
    #[must_use]
    pub fn len(&self) -> usize {
        self.items.len()
    }

    /// Whether there is no element.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.items.is_empty()
    }

    /// The elements in order.
    pub fn iter(&self) -> impl DoubleEndedIterator<Item = &Word> + ExactSizeIterator {
        self.items.iter()
    }

    /// The elements from `start` up to, without, `end`.
    pub fn range(
        &self,
        start: usize,
        end: usize,
    ) -> impl DoubleEndedIterator<Item = &Word> + ExactSizeIterator {
        let end = end.min(self.len());
        self.items.range(start.min(end)..end)
    }

    /// The element at a place.
    #[must_use]
    pub fn get(&self, place: usize) -> Option<&Word> {
        self.items.get(place)
    }

    /// Adds an element at the head.
    pub fn push_front(&mut self, item: Word) {
        self.make_room(&item);
        self.items.push_front(item);
    }

    /// Adds an element at the tail.
    pub fn push_back(&mut self, item: Word) {
        self.make_room(&item);
        self.items.push_back(item);
    }

    /// Takes the first element away.
    pub fn pop_front(&mut self) -> Option<Word> {
        let item = self.items.pop_front()?;
        self.removed(&item);
        Some(item)
    }

    /// Takes the last element away.
    pub fn pop_back(&mut self) -> Option<Word> {
        let item = self.items.pop_back()?;
        self.removed(&item);
        Some(item)
    }

    /// Puts an element before the one at a place, or at the tail if the place is the length.
    pub fn insert(&mut self, place: usize, item: Word) {
        let place = place.min(self.len());
        self.make_room(&item);
        self.items.insert(place, item);
    }

    /// Replaces the element at a place; false if there is none.
    pub fn set(&mut self, place: usize, item: Word) -> bool {
        let Some(slot) = self.items.get_mut(place) else {
            return false;
        };
        self.words_bytes += heap_bytes(&item);
        let old = std::mem::replace(slot, item);
        self.removed(&old);
        true
    }

    /// Keeps the elements from `start` up to, without, `end`.
    pub fn keep(&mut self, start: usize, end: usize) {
        let gone = self.items.drain(end.min(self.items.len())..);
        let tail_bytes: usize = gone.map(|item| heap_bytes(&item)).sum();
        let gone = self.items.drain(..start.min(self.items.len()));
        let head_bytes: usize = gone.map(|item| heap_bytes(&item)).sum();
        self.words_bytes -= tail_bytes + head_bytes;
        self.give_back();
    }

    /// Removes the elements that equal one: the first `max` from the head, or, `from_tail`, the
    /// last. Says how many there were.
    pub fn remove_equal(&mut self, item: &[u8], max: usize, from_tail: bool) -> usize {
        let places: Vec<usize> = {
            let equal = self
                .items
                .iter()
                .enumerate()
                .filter(|(_, held)| held.as_bytes() == item)
                .map(|(place, _)| place);
            if from_tail {
                let mut places: Vec<usize> = equal.rev().take(max).collect();
                places.reverse();
                places
            } else {
                equal.take(max).collect()
            }
        };
        let mut doomed = places.iter().copied().peekable();
        let mut place = 0;
        self.items.retain(|_| {
            let goes = doomed.next_if_eq(&place).is_some();
            place += 1;
            !goes
        });
        let each = super::memory::heap_bytes_of(item.len());
        self.words_bytes -= each * places.len();
        self.give_back();
        places.len()
    }

    /// What it takes, bytes.
    pub(super) fn heap_bytes(&self) -> usize {
        COLLECTION_BYTES + with_room(self.len() * size_of::<Word>()) + self.words_bytes
    }

    fn make_room(&mut self, item: &Word) {
        self.words_bytes += heap_bytes(item);
        if self.items.len() == self.items.capacity() {
            self.items.reserve_exact(more_room(self.items.len()));
        }
    }

    fn removed(&mut self, item: &Word) {
        self.words_bytes -= heap_bytes(item);
        self.give_back();
    }

    /// Gives room back once three quarters of it are free.
    fn give_back(&mut self) {
        let room = self.items.capacity();
        if room > 16 && self.items.len() < room / 4 {
            self.items.shrink_to(room / 2);
        }
    }
}

impl FromIterator<Word> for List {
    fn from_iter<I: IntoIterator<Item = Word>>(items: I) -> Self {
        let items: VecDeque<Word> = items.into_iter().collect();
        let words_bytes = items.iter().map(heap_bytes).sum();
        Self { items, words_bytes }
    }
}
