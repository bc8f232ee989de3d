//! Keyspaces to snapshots.

use std::sync::Arc;

use bytes::{BufMut, BytesMut};

use super::types::TypeCode;
use super::{
    Aux, DEFAULT_LIST_FILL, DIGEST, OPEN_SLOTS, VERSION, checksum, intset, listpack, opcode,
};
use crate::fact::SlotMigration;
use crate::input::{Snapshot, SnapshotEntry};
use crate::store::{Encoding, Hash, List, SortedSet, Value};
use crate::wire::resp::{double_text, string_to_i64};
use crate::word::Word;

/// What is written as `redis-ver`.
const REDIS_VERSION: &[u8] = b"7.0.15";

/// A node of a list that is a listpack (`QUICKLIST_NODE_CONTAINER_PACKED`).
const PACKED: u8 = 2;

/// The largest nodes of a list by `list-max-listpack-size` -1 to -5, bytes
/// (`optimization_level`).
const NODE_BYTES: [usize; 5] = [4096, 8192, 16_384, 32_768, 65_536];

/// The largest node where their elements are counted, bytes (`SIZE_SAFETY_LIMIT`).
const COUNTED_NODE_BYTES: usize = 8192;

/// What an element is taken to add to a node beside its bytes (`SIZE_ESTIMATE_OVERHEAD`).
const ELEMENT_BYTES: usize = 8;

/// Appends a snapshot as it goes over the wire.
pub fn encode(snapshot: &Snapshot, out: &mut BytesMut) {
    encode_with(snapshot, &Aux::default(), out);
}

/// Appends a snapshot with what is known beside the keys (`rdbSaveRio`). Long strings are not
/// packed, as with `rdbcompression no`.
pub fn encode_with(snapshot: &Snapshot, aux: &Aux, out: &mut BytesMut) {
    Encoder::new(snapshot, aux).write(out, usize::MAX);
}

/// Writes a snapshot in parts, so that what was written may leave before the rest is made.
#[derive(Clone, Debug)]
pub struct Encoder {
    entries: Arc<Vec<SnapshotEntry>>,
    /// What comes before the entries, until it was written.
    head: Option<BytesMut>,
    /// The next entry.
    next: usize,
    /// `list-max-listpack-size`
    list_fill: i64,
    checksum: checksum::Running,
    finished: bool,
}

impl Encoder {
    /// A writer that has written nothing yet. The snapshot is shared, not copied.
    #[must_use]
    pub fn new(snapshot: &Snapshot, aux: &Aux) -> Self {
        Self {
            entries: Arc::clone(&snapshot.entries),
            head: Some(head(snapshot, aux)),
            next: 0,
            list_fill: DEFAULT_LIST_FILL,
            checksum: checksum::Running::new(),
            finished: false,
        }
    }

    /// Fills the nodes of lists as `list-max-listpack-size` says.
    #[must_use]
    pub const fn list_fill(mut self, list_fill: i64) -> Self {
        self.list_fill = list_fill;
        self
    }

    /// Appends what comes next: at least `min_len` bytes, unless the end comes before. False once
    /// everything is written.
    pub fn write(&mut self, out: &mut BytesMut, min_len: usize) -> bool {
        if self.finished {
            return false;
        }
        let start = out.len();
        if let Some(head) = self.head.take() {
            out.extend_from_slice(&head);
        }
        while out.len() - start < min_len {
            let Some(entry) = self.entries.get(self.next) else {
                out.put_u8(opcode::EOF);
                self.checksum.add(&out[start..]);
                out.put_u64_le(self.checksum.sum());
                self.finished = true;
                return false;
            };
            put_entry(out, entry, self.list_fill);
            self.next += 1;
        }
        self.checksum.add(&out[start..]);
        true
    }
}

fn head(snapshot: &Snapshot, aux: &Aux) -> BytesMut {
    let mut out = BytesMut::new();
    out.put_slice(format!("REDIS{VERSION:04}").as_bytes());
    put_aux_fields(snapshot, aux, &mut out);
    if !snapshot.entries.is_empty() {
        let expiring = snapshot
            .entries
            .iter()
            .filter(|entry| entry.expires_at_ms.is_some());
        out.put_slice(&[opcode::SELECTDB, 0, opcode::RESIZEDB]);
        put_len(&mut out, snapshot.entries.len());
        put_len(&mut out, expiring.count());
    }
    out
}

fn put_aux_fields(snapshot: &Snapshot, aux: &Aux, out: &mut BytesMut) {
    put_aux(out, b"redis-ver", REDIS_VERSION);
    put_aux(out, b"redis-bits", b"64");
    if let Some(created_s) = aux.created_s {
        put_aux(out, b"ctime", created_s.to_string().as_bytes());
    }
    if let Some(bytes) = aux.used_memory_bytes {
        put_aux(out, b"used-mem", bytes.to_string().as_bytes());
    }
    if let Some((id, offset)) = aux.replication {
        put_aux(out, b"repl-stream-db", b"0");
        put_aux(out, b"repl-id", &id.to_hex());
        put_aux(out, b"repl-offset", offset.to_string().as_bytes());
    }
    if let Some(aof_base) = aux.aof_base {
        put_aux(out, b"aof-base", if aof_base { b"1" } else { b"0" });
    }
    if snapshot.stream_digest != 0 {
        put_aux(out, DIGEST, snapshot.stream_digest.to_string().as_bytes());
    }
    if !snapshot.open_slots.is_empty() {
        put_aux(out, OPEN_SLOTS, open_slots(snapshot).as_bytes());
    }
}

/// Slots that are on their way, as `clusterEncodeOpenSlotsAuxField` tells of them.
fn open_slots(snapshot: &Snapshot) -> String {
    let mut text = String::new();
    for (slot, state) in &snapshot.open_slots {
        let (arrow, node) = match state {
            SlotMigration::Importing(source) => ('<', source),
            SlotMigration::Migrating(target) => ('>', target),
            SlotMigration::Stable => continue,
        };
        text.push_str(&format!("{slot}{arrow}{node},"));
    }
    text
}

fn put_aux(out: &mut BytesMut, name: &[u8], value: &[u8]) {
    out.put_u8(opcode::AUX);
    put_string(out, name);
    put_string(out, value);
}

fn put_entry(out: &mut BytesMut, entry: &SnapshotEntry, list_fill: i64) {
    if let Some(expires_at_ms) = entry.expires_at_ms {
        out.put_u8(opcode::EXPIRETIME_MS);
        out.put_i64_le(expires_at_ms);
    }
    out.put_u8(type_code(&entry.value).byte());
    put_string(out, &entry.key);
    put_value(out, &entry.value, list_fill);
}

/// The form a value is written in (`rdbSaveObjectType`).
pub(super) fn type_code(value: &Value) -> TypeCode {
    match value {
        Value::String(_) => TypeCode::String,
        Value::List(_) => TypeCode::Quicklist2,
        Value::Set(set) if set.as_integers().is_some() => TypeCode::SetIntset,
        Value::Set(_) => TypeCode::Set,
        Value::SortedSet(set) if set.encoding() == Encoding::Listpack => {
            TypeCode::SortedSetListpack
        }
        Value::SortedSet(_) => TypeCode::SortedSet2,
        Value::Hash(hash) if hash.encoding() == Encoding::Listpack => TypeCode::HashListpack,
        Value::Hash(_) => TypeCode::Hash,
    }
}

/// Writes a value without its type (`rdbSaveObject`).
pub(super) fn put_value(out: &mut BytesMut, value: &Value, list_fill: i64) {
    match value {
        Value::String(text) => put_string(out, text),
        Value::List(list) => put_list(out, list, list_fill),
        Value::Set(set) => match set.as_integers() {
            Some(members) => put_string(out, &intset::write(members)),
            None => {
                put_len(out, set.len());
                set.iter().for_each(|member| put_string(out, &member));
            }
        },
        Value::SortedSet(set) => put_sorted_set(out, set),
        Value::Hash(hash) => put_hash(out, hash),
    }
}

fn put_list(out: &mut BytesMut, list: &List, fill: i64) {
    let mut nodes = Vec::new();
    let mut node = listpack::Writer::new();
    for element in list.iter() {
        if node.count() > 0 && !has_room(&node, element, fill) {
            nodes.push(std::mem::replace(&mut node, listpack::Writer::new()).finish());
        }
        node.push(element);
    }
    if node.count() > 0 {
        nodes.push(node.finish());
    }
    put_len(out, nodes.len());
    for node in nodes {
        out.put_u8(PACKED);
        put_string(out, &node);
    }
}

/// Whether an element goes into a node (`_quicklistNodeAllowInsert`).
fn has_room(node: &listpack::Writer, element: &Word, fill: i64) -> bool {
    let len = node.len_bytes() + element.len() + ELEMENT_BYTES;
    match usize::try_from(fill) {
        Ok(max_count) => len <= COUNTED_NODE_BYTES && node.count() < max_count,
        Err(_) => {
            let level = fill.unsigned_abs().min(NODE_BYTES.len() as u64) as usize;
            len <= NODE_BYTES[level - 1]
        }
    }
}

fn put_sorted_set(out: &mut BytesMut, set: &SortedSet) {
    if set.encoding() != Encoding::Listpack {
        put_len(out, set.len());
        // The greatest first: each goes before all others when it is loaded.
        for (member, score) in set.iter().rev() {
            put_string(out, member);
            out.put_f64_le(score);
        }
        return;
    }
    let mut packed = listpack::Writer::new();
    for (member, score) in set.iter() {
        packed.push(member);
        match whole_number(score) {
            Some(number) => packed.push_integer(number),
            None => packed.push(double_text(score).as_bytes()),
        }
    }
    put_string(out, &packed.finish());
}

/// A score as an integer, if it is one of a size at which every integer is exact (`double2ll`).
fn whole_number(score: f64) -> Option<i64> {
    const MAX: f64 = (i64::MAX / 2) as f64;
    let number = score as i64;
    ((-MAX..=MAX).contains(&score) && (number as f64).to_bits() == (score + 0.0).to_bits())
        .then_some(number)
}

fn put_hash(out: &mut BytesMut, hash: &Hash) {
    if hash.encoding() != Encoding::Listpack {
        put_len(out, hash.len());
        for (field, value) in hash.iter() {
            put_string(out, field);
            put_string(out, value);
        }
        return;
    }
    let mut packed = listpack::Writer::new();
    for (field, value) in hash.iter() {
        packed.push(field);
        packed.push(value);
    }
    put_string(out, &packed.finish());
}

/// A string, as a number if it is one (`rdbSaveRawString`).
fn put_string(out: &mut BytesMut, text: &[u8]) {
    let number = (text.len() <= 11).then(|| string_to_i64(text)).flatten();
    match number.map(i32::try_from) {
        Some(Ok(number)) => put_number(out, number),
        Some(Err(_)) | None => {
            put_len(out, text.len());
            out.put_slice(text);
        }
    }
}

fn put_number(out: &mut BytesMut, number: i32) {
    if let Ok(number) = i8::try_from(number) {
        out.put_u8(0xc0);
        out.put_i8(number);
    } else if let Ok(number) = i16::try_from(number) {
        out.put_u8(0xc1);
        out.put_i16_le(number);
    } else {
        out.put_u8(0xc2);
        out.put_i32_le(number);
    }
}

/// `rdbSaveLen`
fn put_len(out: &mut BytesMut, len: usize) {
    if len < 1 << 6 {
        out.put_u8(len as u8);
    } else if len < 1 << 14 {
        out.put_u16(0x4000 | len as u16);
    } else if let Ok(len) = u32::try_from(len) {
        out.put_u8(0x80);
        out.put_u32(len);
    } else {
        out.put_u8(0x81);
        out.put_u64(len as u64);
    }
}
