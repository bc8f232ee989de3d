//! RDB, the format of snapshots (version 10, Redis 7.0): what a full resync carries and what
//! `dump.rdb` holds. Every form that Redis up to 7.0 writes is read, and those of 7.0 are written.

mod checksum;
mod cursor;
mod decode;
mod element;
mod encode;
mod error;
mod intset;
mod listpack;
mod lzf;
mod module;
mod object;
mod payload;
#[cfg(test)]
mod tests;
mod types;
mod ziplist;
mod zipmap;

use crate::ids::ReplicationId;

pub use decode::{Decoder, Rdb, decode, read, read_within};
pub use encode::{Encoder, encode, encode_with};
pub use error::{RdbError, RdbFault};
pub use payload::{PayloadError, dump, restore, verify};

/// The version written (`RDB_VERSION`).
pub const VERSION: u32 = 10;

/// The greatest version read: that of Redis 7.2, which packs small sets.
const READ_VERSION: u32 = 11;

/// `list-max-listpack-size` where nobody says another: nodes of 8 KB.
pub const DEFAULT_LIST_FILL: i64 = -2;

/// The longest string, bytes.
const MAX_STRING_LEN: usize = super::resp::MAX_BULK_LEN;

/// What stands beside the keys (`rdbSaveInfoAuxFields`). Fields that are `None` are left out.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Aux {
    /// `redis-ver`: the version that wrote it. Always written as 7.0.15.
    pub redis_version: Option<String>,
    /// `ctime`: when it was written, Unix seconds.
    pub created_s: Option<i64>,
    /// `used-mem`: memory in use then, bytes.
    pub used_memory_bytes: Option<i64>,
    /// `repl-id` and `repl-offset`: the history it stands in, and where.
    pub replication: Option<(ReplicationId, u64)>,
    /// `aof-base`: whether an append-only file goes on from it.
    pub aof_base: Option<bool>,
}

mod opcode {
    pub(super) const FUNCTION: u8 = 246;
    pub(super) const FUNCTION2: u8 = 245;
    pub(super) const MODULE_AUX: u8 = 247;
    pub(super) const IDLE: u8 = 248;
    pub(super) const FREQ: u8 = 249;
    pub(super) const AUX: u8 = 250;
    pub(super) const RESIZEDB: u8 = 251;
    pub(super) const EXPIRETIME_MS: u8 = 252;
    pub(super) const EXPIRETIME: u8 = 253;
    pub(super) const SELECTDB: u8 = 254;
    pub(super) const EOF: u8 = 255;
}

/// The aux field that carries [`crate::Snapshot::stream_digest`]. Other servers pass it over.
const DIGEST: &[u8] = b"redrill-stream-digest";

/// The aux field of Valkey 8.0 and later that carries [`crate::Snapshot::open_slots`].
const OPEN_SLOTS: &[u8] = b"cluster-slot-states";
