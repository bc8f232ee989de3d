//! Snapshots to keyspaces.

use std::sync::Arc;

use crate::word::Word;
use indexmap::IndexSet;
use rustc_hash::FxBuildHasher;

use super::error::{RdbError, RdbFault};
use super::{Aux, CRC64, DIGEST, MAX_STRING_LEN, VERSION, lzf, opcode};
use crate::ids::ReplicationId;
use crate::input::{Snapshot, SnapshotEntry};
use crate::store::Value;
use crate::wire::resp::string_to_i64;

/// The least version that ends in a checksum.
const CHECKSUM_VERSION: u32 = 5;

/// A snapshot as it was read.
#[derive(Clone, PartialEq, Debug)]
pub struct Rdb {
    /// The keys.
    pub snapshot: Snapshot,
    /// What stands beside them.
    pub aux: Aux,
    /// Its length, bytes.
    pub len: usize,
}

/// Reads a snapshot that takes up all of `bytes`.
///
/// # Errors
/// [`RdbError`] if it is damaged, cut off, of an unknown version or holds anything but strings
/// in database 0.
pub fn decode(bytes: &[u8]) -> Result<Snapshot, RdbError> {
    let rdb = read(bytes)?;
    if rdb.len < bytes.len() {
        return Err(failed(rdb.len, RdbFault::Trailing(bytes.len() - rdb.len)));
    }
    Ok(rdb.snapshot)
}

/// Reads the snapshot that `bytes` start with (`rdbLoadRio`). The order of the keys is kept,
/// and keys that have expired are kept too, as by a replica.
///
/// # Errors
/// As [`decode`], but for what follows the snapshot.
pub fn read(bytes: &[u8]) -> Result<Rdb, RdbError> {
    let mut reader = Reader { bytes, offset: 0 };
    let version = reader.version()?;
    let mut body = Body::default();
    while reader.element(&mut body)? {}
    if version >= CHECKSUM_VERSION {
        reader.checksum()?;
    }
    Ok(Rdb {
        snapshot: Snapshot {
            entries: Arc::new(body.entries),
            stream_digest: body.stream_digest,
        },
        aux: body.aux,
        len: reader.offset,
    })
}

/// What was read so far.
#[derive(Default)]
struct Body {
    entries: Vec<SnapshotEntry>,
    keys: IndexSet<Word, FxBuildHasher>,
    aux: Aux,
    replication_id: Option<ReplicationId>,
    replication_offset: Option<u64>,
    stream_digest: u64,
    database: u64,
    /// Of the next key.
    expires_at_ms: Option<i64>,
}

struct Reader<'a> {
    bytes: &'a [u8],
    offset: usize,
}

/// A length, or the form of a string.
enum Length {
    Plain(u64),
    Encoded(u8),
}

impl<'a> Reader<'a> {
    fn version(&mut self) -> Result<u32, RdbError> {
        let start = self.take(9)?;
        let (signature, digits) = start.split_at(5);
        let wrong = || failed(0, RdbFault::Signature);
        let digits = std::str::from_utf8(digits).map_err(|_| wrong())?;
        let version: u32 = digits.parse().map_err(|_| wrong())?;
        if signature != b"REDIS" {
            return Err(wrong());
        }
        if !(1..=VERSION).contains(&version) {
            return Err(failed(5, RdbFault::Version(version)));
        }
        Ok(version)
    }

    /// Reads one element; false after the last.
    fn element(&mut self, body: &mut Body) -> Result<bool, RdbError> {
        let start = self.offset;
        match self.byte()? {
            opcode::EOF => return Ok(false),
            opcode::AUX => {
                let name = self.string()?;
                let value = self.string()?;
                body.note(&name, &value);
            }
            opcode::SELECTDB => body.database = self.len()?,
            opcode::RESIZEDB => {
                self.len()?;
                self.len()?;
            }
            opcode::EXPIRETIME_MS => body.expires_at_ms = Some(i64::from_le_bytes(self.array()?)),
            opcode::EXPIRETIME => {
                let seconds = i32::from_le_bytes(self.array()?);
                body.expires_at_ms = Some(i64::from(seconds) * 1000);
            }
            opcode::IDLE => {
                self.len()?;
            }
            opcode::FREQ => {
                self.byte()?;
            }
            // A library of functions: it has no effect on keys.
            opcode::FUNCTION2 => {
                self.string()?;
            }
            opcode::STRING => {
                let key = self.string()?;
                let value = self.string()?;
                if body.database != 0 {
                    return Err(failed(start, RdbFault::Database(body.database)));
                }
                if !body.keys.insert(key.clone()) {
                    let shown = key.escape_ascii().to_string();
                    return Err(failed(start, RdbFault::Duplicate(shown)));
                }
                body.entries.push(SnapshotEntry {
                    key,
                    value: Value::String(value),
                    expires_at_ms: body.expires_at_ms.take(),
                });
            }
            other => {
                let fault =
                    unsupported(other).map_or(RdbFault::Opcode(other), RdbFault::Unsupported);
                return Err(failed(start, fault));
            }
        }
        Ok(true)
    }

    /// The sum over all before it; 0 if it was not taken.
    fn checksum(&mut self) -> Result<(), RdbError> {
        let expected = CRC64.checksum(&self.bytes[..self.offset]);
        let start = self.offset;
        let found = u64::from_le_bytes(self.array()?);
        if found != 0 && found != expected {
            return Err(failed(start, RdbFault::Checksum { expected, found }));
        }
        Ok(())
    }

    /// `rdbGenericLoadStringObject`
    fn string(&mut self) -> Result<Word, RdbError> {
        let start = self.offset;
        Ok(match self.length()? {
            Length::Plain(len) => {
                let len = string_len(start, len)?;
                Word::copy_from_slice(self.take(len)?)
            }
            Length::Encoded(0) => i8::from_le_bytes(self.array()?).to_string().into(),
            Length::Encoded(1) => i16::from_le_bytes(self.array()?).to_string().into(),
            Length::Encoded(2) => i32::from_le_bytes(self.array()?).to_string().into(),
            Length::Encoded(3) => {
                let packed_len = self.len()?;
                let packed_len = string_len(start, packed_len)?;
                let len = self.len()?;
                let len = string_len(start, len)?;
                let unpacked = lzf::unpack(self.take(packed_len)?, len);
                unpacked.ok_or_else(|| failed(start, RdbFault::Lzf))?.into()
            }
            Length::Encoded(other) => {
                return Err(failed(start, RdbFault::StringEncoding(other)));
            }
        })
    }

    fn len(&mut self) -> Result<u64, RdbError> {
        let start = self.offset;
        match self.length()? {
            Length::Plain(len) => Ok(len),
            Length::Encoded(form) => Err(failed(start, RdbFault::Length(form | 0xc0))),
        }
    }

    /// `rdbLoadLenByRef`
    fn length(&mut self) -> Result<Length, RdbError> {
        let start = self.offset;
        let first = self.byte()?;
        Ok(match (first >> 6, first) {
            (0, len) => Length::Plain(len.into()),
            (1, high) => Length::Plain(u64::from(high & 63) << 8 | u64::from(self.byte()?)),
            (3, form) => Length::Encoded(form & 63),
            (_, 0x80) => Length::Plain(u32::from_be_bytes(self.array()?).into()),
            (_, 0x81) => Length::Plain(u64::from_be_bytes(self.array()?)),
            (_, other) => return Err(failed(start, RdbFault::Length(other))),
        })
    }

    fn byte(&mut self) -> Result<u8, RdbError> {
        self.array::<1>().map(|[byte]| byte)
    }

    fn array<const N: usize>(&mut self) -> Result<[u8; N], RdbError> {
        let bytes = self.take(N)?;
        let mut array = [0; N];
        array.copy_from_slice(bytes);
        Ok(array)
    }

    fn take(&mut self, len: usize) -> Result<&'a [u8], RdbError> {
        let rest = &self.bytes[self.offset..];
        let Some(taken) = rest.get(..len) else {
            return Err(failed(self.bytes.len(), RdbFault::EndOfFile));
        };
        self.offset += len;
        Ok(taken)
    }
}

fn string_len(start: usize, len: u64) -> Result<usize, RdbError> {
    let fits = usize::try_from(len)
        .ok()
        .filter(|&len| len <= MAX_STRING_LEN);
    fits.ok_or_else(|| failed(start, RdbFault::StringLength(len)))
}

const fn failed(offset: usize, fault: RdbFault) -> RdbError {
    RdbError { offset, fault }
}

impl Body {
    /// Takes in an aux field; unknown ones are passed over.
    fn note(&mut self, name: &[u8], value: &[u8]) {
        let number = string_to_i64(value);
        match name {
            b"redis-ver" => {
                self.aux.redis_version = Some(String::from_utf8_lossy(value).into_owned());
            }
            b"ctime" => self.aux.created_s = number,
            b"used-mem" => self.aux.used_memory_bytes = number,
            b"aof-base" => self.aux.aof_base = number.map(|number| number != 0),
            b"repl-id" => self.replication_id = ReplicationId::from_hex(value).ok(),
            b"repl-offset" => {
                self.replication_offset = number.and_then(|number| u64::try_from(number).ok());
            }
            DIGEST => {
                let text = std::str::from_utf8(value).unwrap_or_default();
                self.stream_digest = text.parse().unwrap_or(0);
            }
            _ => {}
        }
        self.aux.replication = self.replication_id.zip(self.replication_offset);
    }
}

/// What a type or opcode is that is known but not loaded.
fn unsupported(code: u8) -> Option<&'static str> {
    Some(match code {
        1 | 10 | 14 | 18 => "list",
        2 | 11 => "set",
        3 | 5 | 12 | 17 => "sorted set",
        4 | 9 | 13 | 16 => "hash",
        6 | 7 => "module's value",
        15 | 19 => "stream",
        opcode::FUNCTION => "function of a release candidate",
        opcode::MODULE_AUX => "module's data",
        _ => return None,
    })
}
