//! Keyspaces to snapshots.

use bytes::{BufMut, BytesMut};

use super::{Aux, CRC64, DIGEST, VERSION, opcode};
use crate::input::{Snapshot, SnapshotEntry};
use crate::store::Value;
use crate::wire::resp::string_to_i64;

/// What is written as `redis-ver`.
const REDIS_VERSION: &[u8] = b"7.0.15";

/// Appends a snapshot as it goes over the wire.
pub fn encode(snapshot: &Snapshot, out: &mut BytesMut) {
    encode_with(snapshot, &Aux::default(), out);
}

/// Appends a snapshot with what is known beside the keys (`rdbSaveRio`). Long strings are not
/// packed, as with `rdbcompression no`.
pub fn encode_with(snapshot: &Snapshot, aux: &Aux, out: &mut BytesMut) {
    let start = out.len();
    out.put_slice(format!("REDIS{VERSION:04}").as_bytes());
    put_aux_fields(snapshot, aux, out);
    if !snapshot.entries.is_empty() {
        let expiring = snapshot
            .entries
            .iter()
            .filter(|entry| entry.expires_at_ms.is_some());
        out.put_slice(&[opcode::SELECTDB, 0, opcode::RESIZEDB]);
        put_len(out, snapshot.entries.len());
        put_len(out, expiring.count());
    }
    for entry in snapshot.entries.iter() {
        put_entry(out, entry);
    }
    out.put_u8(opcode::EOF);
    let checksum = CRC64.checksum(&out[start..]);
    out.put_u64_le(checksum);
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
}

fn put_aux(out: &mut BytesMut, name: &[u8], value: &[u8]) {
    out.put_u8(opcode::AUX);
    put_string(out, name);
    put_string(out, value);
}

fn put_entry(out: &mut BytesMut, entry: &SnapshotEntry) {
    if let Some(expires_at_ms) = entry.expires_at_ms {
        out.put_u8(opcode::EXPIRETIME_MS);
        out.put_i64_le(expires_at_ms);
    }
    match &entry.value {
        Value::String(value) => {
            out.put_u8(opcode::STRING);
            put_string(out, &entry.key);
            put_string(out, value);
        }
        Value::List(list) => {
            out.put_u8(1);
            put_string(out, &entry.key);
            put_len(out, list.len());
            list.iter().for_each(|item| put_string(out, item));
        }
        Value::Set(set) => {
            out.put_u8(2);
            put_string(out, &entry.key);
            put_len(out, set.len());
            set.iter().for_each(|member| put_string(out, &member));
        }
        Value::SortedSet(set) => {
            out.put_u8(5);
            put_string(out, &entry.key);
            put_len(out, set.len());
            for (member, score) in set.iter() {
                put_string(out, member);
                out.put_f64_le(score);
            }
        }
        Value::Hash(hash) => {
            out.put_u8(4);
            put_string(out, &entry.key);
            put_len(out, hash.len());
            for (field, value) in hash.iter() {
                put_string(out, field);
                put_string(out, value);
            }
        }
    }
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
