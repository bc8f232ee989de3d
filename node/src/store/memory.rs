//! What words and collections take, bytes: estimates that depend on the content alone, so that
//! equal keyspaces tell equal numbers on every machine.

use crate::word::Word;

/// The longest word that takes nothing beside its own place.
const IN_PLACE_BYTES: usize = 22;

/// What a shared word takes beside its bytes: the count of its holders.
const SHARED_BYTES: usize = 16;

/// What the allocator rounds up to.
const GRAIN_BYTES: usize = 16;

/// What a word takes beside its own place.
pub(super) fn heap_bytes(word: &Word) -> usize {
    heap_bytes_of(word.len())
}

/// What a word of so many bytes takes beside its own place.
pub(super) const fn heap_bytes_of(len: usize) -> usize {
    if len <= IN_PLACE_BYTES {
        0
    } else {
        (SHARED_BYTES + len).next_multiple_of(GRAIN_BYTES)
    }
}

/// What a collection takes while it is empty.
pub(super) const COLLECTION_BYTES: usize = 96;

/// What the index of a hash table takes for each entry: its hash, its number, the room to grow.
pub(super) const TABLE_BYTES: usize = 24;

/// How much room a small collection of `len` makes when it has none left: less than twice as much,
/// for there are many of them.
pub(super) const fn more_room(len: usize) -> usize {
    if len < 8 { 2 } else { len / 4 }
}

/// What a small collection takes with the room that is left in it: an eighth, as a rule.
pub(super) const fn with_room(bytes: usize) -> usize {
    bytes + bytes / 8
}
