//! The append-only file (`aof.c`): commands as they come from clients, one behind the other,
//! perhaps behind an RDB file; and the manifest that names its parts.

mod error;
mod manifest;
mod reader;
#[cfg(test)]
mod tests;
mod writer;

pub use error::{AofError, AofFault, ManifestError};
pub use manifest::{Manifest, Part, PartKind};
pub use reader::AofReader;
pub use writer::encode_entries;

/// What an RDB file begins with, also in front of commands.
pub const RDB_SIGNATURE: &[u8] = b"REDIS";
