//! Flags and keys that many commands have in common.

use super::spec::{Flags, KeySpec, key};

pub(super) const READ: Flags = Flags::READONLY;
pub(super) const FAST_READ: Flags = READ.union(Flags::FAST);

/// Writes that may take memory.
pub(super) const WRITE: Flags = Flags::WRITE.union(Flags::DENYOOM);
pub(super) const FAST_WRITE: Flags = WRITE.union(Flags::FAST);

/// Writes that only give memory back.
pub(super) const REMOVE: Flags = Flags::WRITE;
pub(super) const FAST_REMOVE: Flags = REMOVE.union(Flags::FAST);

pub(super) const BLOCKING: Flags = Flags::BLOCKING.union(Flags::NOSCRIPT);

pub(super) const READ_KEY: &[KeySpec] = &[key(1, &["RO", "access"])];
/// Something is told of the key, not its value.
pub(super) const LOOK_AT_KEY: &[KeySpec] = &[key(1, &["RO"])];
pub(super) const UPDATE_KEY: &[KeySpec] = &[key(1, &["RW", "access", "update"])];
/// Changed without a look at the old value.
pub(super) const CHANGE_KEY: &[KeySpec] = &[key(1, &["RW", "update"])];
pub(super) const ADD_TO_KEY: &[KeySpec] = &[key(1, &["RW", "insert"])];
pub(super) const REMOVE_FROM_KEY: &[KeySpec] = &[key(1, &["RW", "delete"])];
/// Removed and told.
pub(super) const TAKE_FROM_KEY: &[KeySpec] = &[key(1, &["RW", "access", "delete"])];
