//! Snapshots to keyspaces.

use std::sync::Arc;

use crate::word::Word;
use bytes::{Buf, BytesMut};
use indexmap::IndexSet;
use rustc_hash::FxBuildHasher;

use super::cursor::{Cursor, Halt, failed};
use super::error::{RdbError, RdbFault};
use super::object::{ObjectReader, Step};
use super::types::{TypeCode, unsupported};
use super::{Aux, DIGEST, OPEN_SLOTS, READ_VERSION, checksum, module, opcode};
use crate::fact::SlotMigration;
use crate::ids::{NodeId, ReplicationId};
use crate::input::{Snapshot, SnapshotEntry};
use crate::slot::{SLOT_COUNT, Slot};
use crate::store::{Limits, Value};
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
/// [`RdbError`] if it is damaged, cut off, of an unknown version or holds what a cluster node has
/// not: keys of another database, streams, values of modules.
pub fn decode(bytes: &[u8]) -> Result<Snapshot, RdbError> {
    let rdb = read(bytes)?;
    if rdb.len < bytes.len() {
        return Err(RdbError {
            offset: rdb.len,
            fault: RdbFault::Trailing(bytes.len() - rdb.len),
        });
    }
    Ok(rdb.snapshot)
}

/// Reads the snapshot that `bytes` start with (`rdbLoadRio`). The order of the keys is kept,
/// and keys that have expired are kept too, as by a replica.
///
/// # Errors
/// As [`decode`], but for what follows the snapshot.
pub fn read(bytes: &[u8]) -> Result<Rdb, RdbError> {
    read_within(bytes, Limits::DEFAULT)
}

/// As [`read`]; collections are compact within these limits.
///
/// # Errors
/// As [`read`].
pub fn read_within(bytes: &[u8], limits: Limits) -> Result<Rdb, RdbError> {
    let mut decoder = Decoder::new().limits(limits);
    decoder.advance(bytes)?;
    decoder.finished.ok_or(RdbError {
        offset: bytes.len(),
        fault: RdbFault::EndOfFile,
    })
}

/// Reads a snapshot from parts as they arrive. Every byte is looked at once, and nothing is
/// reserved for what has not arrived.
#[derive(Debug)]
pub struct Decoder {
    stage: Stage,
    version: u32,
    body: Body,
    /// Bytes read so far.
    taken: usize,
    /// How many bytes the next step needs: fewer are not looked at.
    wanted: usize,
    checksum: checksum::Running,
    finished: Option<Rdb>,
}

/// What comes next.
#[derive(Debug)]
enum Stage {
    Version,
    Element,
    Value(Word, ObjectReader),
    Checksum(u64),
    Done,
}

/// What was read so far.
#[derive(Debug, Default)]
struct Body {
    entries: Vec<SnapshotEntry>,
    keys: IndexSet<Word, FxBuildHasher>,
    limits: Limits,
    aux: Aux,
    replication_id: Option<ReplicationId>,
    replication_offset: Option<u64>,
    stream_digest: u64,
    open_slots: Vec<(Slot, SlotMigration)>,
    database: u64,
    /// Of the next key.
    expires_at_ms: Option<i64>,
}

impl Default for Decoder {
    fn default() -> Self {
        Self::new()
    }
}

impl Decoder {
    /// Nothing has arrived yet.
    #[must_use]
    pub fn new() -> Self {
        Self {
            stage: Stage::Version,
            version: 0,
            body: Body::default(),
            taken: 0,
            wanted: 0,
            checksum: checksum::Running::new(),
            finished: None,
        }
    }

    /// Collections are compact within these limits.
    #[must_use]
    pub const fn limits(mut self, limits: Limits) -> Self {
        self.body.limits = limits;
        self
    }

    /// Takes what has arrived off the front of `input`. The snapshot once it is whole; what
    /// follows it stays in `input`.
    ///
    /// # Errors
    /// As [`read`]. The decoder is of no more use then.
    pub fn next(&mut self, input: &mut BytesMut) -> Result<Option<Rdb>, RdbError> {
        let used = self.advance(input)?;
        input.advance(used);
        Ok(self.finished.take())
    }

    /// Bytes taken so far.
    #[must_use]
    pub const fn taken(&self) -> usize {
        self.taken
    }

    /// Reads as far as `bytes` go and says how many were read.
    fn advance(&mut self, bytes: &[u8]) -> Result<usize, RdbError> {
        if bytes.len() < self.wanted {
            return Ok(0);
        }
        let mut cursor = Cursor::new(bytes, self.taken);
        let (mut done, mut summed) = (0, 0);
        loop {
            match self.step(&mut cursor, &mut summed) {
                Ok(()) => done = cursor.used(),
                Err(Halt::More(end)) => {
                    self.wanted = end.saturating_sub(done);
                    break;
                }
                Err(Halt::Failed(error)) => return Err(error),
            }
            if let Stage::Done = self.stage {
                break;
            }
        }
        if let Some(unsummed) = bytes.get(summed..done) {
            self.checksum.add(unsummed);
        }
        self.taken += done;
        Ok(done)
    }

    /// One step, which is made whole or not at all.
    fn step(&mut self, cursor: &mut Cursor<'_>, summed: &mut usize) -> Result<(), Halt> {
        match &mut self.stage {
            Stage::Version => {
                self.version = version(cursor)?;
                self.stage = Stage::Element;
            }
            Stage::Element => {
                let Some(next) = self.body.element(cursor)? else {
                    self.checksum.add(cursor.since(*summed));
                    *summed = cursor.used();
                    self.stage = Stage::Checksum(self.checksum.sum());
                    return Ok(());
                };
                self.stage = next;
            }
            Stage::Value(key, reader) => {
                if let Step::Whole(value) = reader.step(cursor)? {
                    let key = std::mem::take(key);
                    self.body.add(key, value);
                    self.stage = Stage::Element;
                }
            }
            Stage::Checksum(expected) => {
                if self.version >= CHECKSUM_VERSION {
                    check_sum(cursor, *expected)?;
                }
                *summed = cursor.used();
                self.finished = Some(std::mem::take(&mut self.body).finish(cursor.offset()));
                self.stage = Stage::Done;
            }
            Stage::Done => {}
        }
        Ok(())
    }
}

fn version(cursor: &mut Cursor<'_>) -> Result<u32, Halt> {
    let start = cursor.take(9)?;
    let (signature, digits) = start.split_at(5);
    let wrong = || failed(0, RdbFault::Signature);
    let digits = std::str::from_utf8(digits).map_err(|_| wrong())?;
    let version: u32 = digits.parse().map_err(|_| wrong())?;
    if signature != b"REDIS" {
        return Err(wrong());
    }
    if !(1..=READ_VERSION).contains(&version) {
        return Err(failed(5, RdbFault::Version(version)));
    }
    Ok(version)
}

/// The sum over all before it; 0 if it was not taken.
fn check_sum(cursor: &mut Cursor<'_>, expected: u64) -> Result<(), Halt> {
    let start = cursor.offset();
    let found = u64::from_le_bytes(cursor.array()?);
    if found != 0 && found != expected {
        return Err(failed(start, RdbFault::Checksum { expected, found }));
    }
    Ok(())
}

impl Body {
    /// Reads one element, or the begin of one that has a value; `None` after the last.
    fn element(&mut self, cursor: &mut Cursor<'_>) -> Result<Option<Stage>, Halt> {
        let start = cursor.offset();
        match cursor.byte()? {
            opcode::EOF => return Ok(None),
            opcode::AUX => {
                let (name, value) = (cursor.string()?, cursor.string()?);
                self.note(&name.bytes()?, &value.bytes()?);
            }
            opcode::SELECTDB => self.database = cursor.len()?,
            opcode::RESIZEDB => {
                cursor.len()?;
                cursor.len()?;
            }
            opcode::EXPIRETIME_MS => {
                self.expires_at_ms = Some(i64::from_le_bytes(cursor.array()?));
            }
            opcode::EXPIRETIME => {
                let seconds = i32::from_le_bytes(cursor.array()?);
                self.expires_at_ms = Some(i64::from(seconds) * 1000);
            }
            opcode::IDLE => {
                cursor.len()?;
            }
            opcode::FREQ => {
                cursor.byte()?;
            }
            // A library of functions: it has no effect on keys.
            opcode::FUNCTION2 => {
                cursor.string()?;
            }
            opcode::FUNCTION => return Err(failed(start, RdbFault::Function)),
            opcode::MODULE_AUX => {
                let name = module::name(cursor.len()?);
                return Err(failed(start, RdbFault::ModuleAux(name)));
            }
            byte => return self.value(start, byte, cursor).map(Some),
        }
        Ok(Some(Stage::Element))
    }

    /// Reads a key; its value comes next.
    fn value(&mut self, start: usize, byte: u8, cursor: &mut Cursor<'_>) -> Result<Stage, Halt> {
        let code = TypeCode::from_byte(byte);
        let unsupported = unsupported(byte);
        if code.is_none() && unsupported.is_none() {
            return Err(failed(start, RdbFault::Opcode(byte)));
        }
        let key = cursor.string()?;
        // Most values are strings: they are not worth a step of their own.
        let text = match code {
            Some(TypeCode::String) => Some(cursor.string()?.word()?),
            Some(_) | None => None,
        };
        let key = key.word()?;
        if self.database != 0 {
            return Err(failed(start, RdbFault::Database(self.database)));
        }
        let shown = |key: &Word| key.escape_ascii().to_string();
        let Some(code) = code else {
            let what = unsupported.unwrap_or_default();
            return Err(failed(start, RdbFault::Unsupported(shown(&key), what)));
        };
        if !self.keys.insert(key.clone()) {
            return Err(failed(start, RdbFault::Duplicate(shown(&key))));
        }
        Ok(match text {
            Some(text) => {
                self.add(key, Value::String(text));
                Stage::Element
            }
            None => Stage::Value(key, ObjectReader::new(code, self.limits)),
        })
    }

    /// Takes in a key. One whose collection is empty is passed over, as by Redis.
    fn add(&mut self, key: Word, value: Value) {
        let expires_at_ms = self.expires_at_ms.take();
        if matches!(value, Value::String(_)) || !value.is_empty() {
            self.entries.push(SnapshotEntry {
                key,
                value,
                expires_at_ms,
            });
        }
    }

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
            OPEN_SLOTS => self.open_slots = open_slots(value).unwrap_or_default(),
            _ => {}
        }
        self.aux.replication = self.replication_id.zip(self.replication_offset);
    }

    fn finish(self, len: usize) -> Rdb {
        Rdb {
            snapshot: Snapshot {
                entries: Arc::new(self.entries),
                stream_digest: self.stream_digest,
                open_slots: self.open_slots,
            },
            aux: self.aux,
            len,
        }
    }
}

/// Slots that are on their way, as Valkey tells of them; `None` if it does not.
fn open_slots(text: &[u8]) -> Option<Vec<(Slot, SlotMigration)>> {
    let text = std::str::from_utf8(text).ok()?;
    let mut open = Vec::new();
    for piece in text.split_terminator(',') {
        let arrow = piece.find(['<', '>'])?;
        let (slot, node) = piece.split_at(arrow);
        let slot: Slot = slot.parse().ok()?;
        if usize::from(slot) >= SLOT_COUNT {
            return None;
        }
        let is_import = node.starts_with('<');
        let node: NodeId = node[1..].parse().ok()?;
        open.push((
            slot,
            if is_import {
                SlotMigration::Importing(node)
            } else {
                SlotMigration::Migrating(node)
            },
        ));
    }
    Some(open)
}
