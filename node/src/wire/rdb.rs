//! RDB, the format of snapshots (version 10, Redis 7.0): what a full resync carries and what
//! `dump.rdb` holds. Strings only, as the keyspace.

mod decode;
mod encode;
mod error;
mod lzf;
#[cfg(test)]
mod tests;

use crc::{CRC_64_REDIS, Crc, Table};

use crate::ids::ReplicationId;

pub use decode::{Rdb, decode, read};
pub use encode::{encode, encode_with};
pub use error::{RdbError, RdbFault};

/// The version written, and the greatest read (`RDB_VERSION`).
pub const VERSION: u32 = 10;

/// The longest string, bytes.
const MAX_STRING_LEN: usize = super::resp::MAX_BULK_LEN;

const CRC64: Crc<u64, Table<1>> = Crc::<u64, Table<1>>::new(&CRC_64_REDIS);

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
    /// `RDB_TYPE_STRING`
    pub(super) const STRING: u8 = 0;
}

/// The aux field that carries [`crate::Snapshot::stream_digest`]. Other servers pass it over.
const DIGEST: &[u8] = b"redrill-stream-digest";
