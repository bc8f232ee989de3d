//! Memory asked for before it is needed.
//!
//! A large cluster is larger than any processor's cache: a message touches a dozen places that were
//! not touched for seconds, each of which takes as long to come as a hundred instructions. Who
//! knows what comes next asks for it now. Nothing but time depends on it.

/// Has the first bytes of a thing come into the processor's cache. It is not read.
#[inline]
pub fn prefetch<T>(thing: &T) {
    prefetch_index::prefetch_index(std::slice::from_ref(thing), 0);
}

/// The same of a whole row. Worth it for rows of a few kilobytes.
pub fn prefetch_row<T>(row: &[T]) {
    const LINE_BYTES: usize = 64;
    for place in (0..row.len()).step_by((LINE_BYTES / size_of::<T>().max(1)).max(1)) {
        prefetch_in(row, place);
    }
}

/// The same of one in a row. There need not be one at that place.
#[inline]
pub fn prefetch_in<T>(row: &[T], place: usize) {
    prefetch_index::prefetch_index(row, place);
}
