mod parts;
mod payloads;
mod types;

use crate::fact::SlotMigration;
use crate::ids::NodeId;
use std::sync::Arc;

use crate::word::Word;
use bytes::BytesMut;
use proptest::prelude::*;

use super::*;
use crate::input::{Snapshot, SnapshotEntry};
use crate::store::{Hash, List, Set, SortedSet, Value};

/// Written by a replica of Redis 7.0.15 with `maxmemory-policy allkeys-lru`: idle times stand
/// before the keys.
const DUMP: &[u8] = include_bytes!("../../../tests/fixtures/dump.rdb");

fn entry(key: impl Into<Word>, value: impl Into<Word>) -> SnapshotEntry {
    SnapshotEntry {
        key: key.into(),
        value: Value::String(value.into()),
        expires_at_ms: None,
    }
}

fn snapshot(entries: Vec<SnapshotEntry>) -> Snapshot {
    Snapshot {
        entries: Arc::new(entries),
        ..Snapshot::default()
    }
}

fn encoded(snapshot: &Snapshot) -> BytesMut {
    let mut out = BytesMut::new();
    encode(snapshot, &mut out);
    out
}

/// A file of version 10 with these elements, without a checksum.
fn file(elements: &[u8]) -> Vec<u8> {
    [b"REDIS0010", elements, &[opcode::EOF], &[0; 8]].concat()
}

fn error(bytes: &[u8]) -> String {
    decode(bytes).unwrap_err().to_string()
}

#[test]
fn a_dump_of_redis_is_read() {
    let rdb = read(DUMP).unwrap();
    assert_eq!(rdb.len, DUMP.len());
    assert_eq!(rdb.snapshot.entries.len(), 18);
    assert_eq!(rdb.snapshot.entries[0], entry("user:10", "v10"));
    assert_eq!(rdb.aux.redis_version.as_deref(), Some("7.0.15"));
    let (id, offset) = rdb.aux.replication.unwrap();
    assert_eq!(id.to_string(), "c71956e3ace54b30cd6edd06fd058c5081227d1e");
    assert_eq!(offset, 659);
    assert_eq!(rdb.aux.aof_base, Some(false));
}

#[test]
fn what_redis_wrote_is_written_the_same_but_for_idle_times() {
    let rdb = read(DUMP).unwrap();
    let mut out = BytesMut::new();
    encode_with(&rdb.snapshot, &rdb.aux, &mut out);
    let idle: [u8; 2] = [opcode::IDLE, 0x28];
    let mut without_idle = Vec::new();
    let mut rest = &DUMP[..DUMP.len() - 8];
    while let Some((&byte, tail)) = rest.split_first() {
        match rest.strip_prefix(&idle) {
            Some(tail) => rest = tail,
            None => {
                without_idle.push(byte);
                rest = tail;
            }
        }
    }
    assert_eq!(out[..out.len() - 8], without_idle);
    assert_eq!(out.len(), DUMP.len() - 2 * 18);
}

#[test]
fn every_cut_off_snapshot_is_refused() {
    for len in 0..DUMP.len() {
        let error = read(&DUMP[..len]).unwrap_err();
        assert_eq!((error.offset, error.fault), (len, RdbFault::EndOfFile));
    }
}

#[test]
fn every_changed_byte_is_noticed() {
    for place in 0..DUMP.len() {
        let mut changed = DUMP.to_vec();
        changed[place] ^= 1;
        assert!(read(&changed).is_err(), "byte {place}");
    }
}

#[test]
fn a_compressed_string_is_unpacked() {
    // "redrill redrill redrill: ", 265 times "a" and "!", as Redis packs it.
    let packed = b"\x08redrill r\xe0\x05\x07\x02: a\xe0\xfe\x00\x01a!";
    let elements = [b"\x00\x01k\xc3\x17\x41\x23".as_slice(), packed].concat();
    let snapshot = decode(&file(&elements)).unwrap();
    let text = format!("redrill redrill redrill: {}!", "a".repeat(265));
    assert_eq!(*snapshot.entries, [entry("k", text)]);
}

#[test]
fn a_compressed_string_that_lies_is_refused() {
    let lies = |len: &[u8], packed: &[u8]| {
        let elements = [b"\x00\x01k\xc3", &[packed.len() as u8][..], len, packed].concat();
        decode(&file(&elements)).unwrap_err().fault
    };
    let long = b"\x80\x1f\xff\xff\xff";
    assert_eq!(lies(long, b"\x00a"), RdbFault::Lzf);
    assert_eq!(lies(b"\x02", b"\x00a"), RdbFault::Lzf);
    assert_eq!(lies(b"\x01", b"\x01ab"), RdbFault::Lzf);
    assert_eq!(lies(b"\x04", b"\x00a\x20\x05"), RdbFault::Lzf);
    assert_eq!(lies(b"\x04", b"\x00a\x20"), RdbFault::Lzf);
    assert_eq!(lies(b"\x04", b"\x05a"), RdbFault::Lzf);
}

#[test]
fn expiries_and_other_attributes_of_a_key_are_for_that_key_alone() {
    let elements = b"\xfd\x02\x00\x00\x00\xf9\x05\x00\x01a\x011\xfc\xff\xff\xff\xff\xff\xff\xff\xff\x00\x01b\xc0\xfe\xf5\x01x\x00\x01c\x00";
    let snapshot = decode(&file(elements)).unwrap();
    let expiries: Vec<_> = snapshot
        .entries
        .iter()
        .map(|entry| entry.expires_at_ms)
        .collect();
    assert_eq!(expiries, [Some(2000), Some(-1), None]);
    assert_eq!(snapshot.entries[1].value, Value::String("-2".into()));
}

#[test]
fn the_stream_digest_travels_beside_the_keys() {
    let mut snapshot = snapshot(vec![entry("k", "v")]);
    snapshot.stream_digest = u64::MAX;
    assert_eq!(decode(&encoded(&snapshot)), Ok(snapshot));
}

#[test]
fn what_is_wrong_is_named_with_its_place() {
    let good = encoded(&snapshot(vec![entry("key", "value")]));
    let mut sum = good.to_vec();
    let last = sum.len() - 1;
    sum[last] = 0;
    let texts = [
        error(b"RESP 0010 and more"),
        error(b"REDIS0012\xff01234567"),
        error(b"REDISxxxx\xff01234567"),
        error(&file(b"\xfe\x01\x00\x01k\x01v")),
        error(&file(b"\x00\x01k\x01v\x00\x01k\x01w")),
        error(&file(b"\x0f\x01s\x00")),
        error(&file(b"\x07\x01m\x00")),
        error(&file(b"\xf7\x81\x45\xe2\x52\x38\xdf\x91\x2c\x03")),
        error(&file(b"\xf6")),
        error(&file(b"\x16")),
        error(&file(b"\xfb\xc0\x01")),
        error(&file(b"\xfe\x82\x01")),
        error(&file(b"\x00\xc4")),
        error(&file(b"\x00\x81\xff\xff\xff\xff\xff\xff\xff\xff")),
        error(&[&good[..], b"more"].concat()),
    ];
    insta::assert_snapshot!(texts.join("\n"), @r#"
    Wrong signature trying to load DB from file (at byte 0)
    Can't handle RDB format version 12 (at byte 5)
    Wrong signature trying to load DB from file (at byte 0)
    a key in database 1: a cluster node has only database 0 (at byte 11)
    RDB has duplicated key 'k' (at byte 14)
    the key 's' holds a stream: only strings, lists, sets, sorted sets and hashes are loaded (at byte 9)
    the key 'm' holds a module's value: only strings, lists, sets, sorted sets and hashes are loaded (at byte 9)
    The RDB file contains AUX module data I can't load: no matching module 'ReJSON-RL' (at byte 9)
    a function of a release candidate of Redis 7.0 cannot be loaded (at byte 9)
    Unknown RDB type 22 (at byte 9)
    Unknown length encoding 192 (at byte 10)
    Unknown length encoding 130 (at byte 10)
    Unknown RDB string encoding type 4 (at byte 10)
    a string of 18446744073709551615 bytes: at most 536870912 are allowed (at byte 10)
    4 bytes after the end of the snapshot (at byte 66)
    "#);
    assert!(matches!(
        decode(&sum).unwrap_err().fault,
        RdbFault::Checksum { .. }
    ));
}

fn any_text() -> impl Strategy<Value = Word> {
    let text = prop_oneof![
        proptest::collection::vec(any::<u8>(), 0..100),
        proptest::collection::vec(any::<u8>(), 16_000..17_000),
        any::<i64>().prop_map(|number| number.to_string().into_bytes()),
        any::<i16>().prop_map(|number| number.to_string().into_bytes()),
        "-?[0-9]{1,12}".prop_map(String::into_bytes),
    ];
    text.prop_map(Word::from)
}

fn any_value() -> impl Strategy<Value = Value> {
    use proptest::collection::{btree_map, btree_set, vec};
    let short = proptest::collection::vec(any::<u8>(), 0..12).prop_map(Word::from);
    let number = any::<i64>().prop_map(|number| Word::from(number.to_string()));
    let small = any::<i8>().prop_map(|number| Word::from(number.to_string()));
    let score = any::<f64>().prop_filter("no score is NaN", |score| !score.is_nan());
    let score = prop_oneof![score, any::<i32>().prop_map(f64::from)];
    prop_oneof![
        4 => any_text().prop_map(Value::String),
        1 => vec(any_text(), 1..12).prop_map(|items| List::from_iter(items).into()),
        1 => vec(short.clone(), 1..2000).prop_map(|items| List::from_iter(items).into()),
        1 => btree_set(number, 1..40).prop_map(|members| Set::from_iter(members).into()),
        1 => btree_set(small, 1..40).prop_map(|members| Set::from_iter(members).into()),
        1 => btree_set(short.clone(), 1..600).prop_map(|members| Set::from_iter(members).into()),
        1 => btree_map(short.clone(), score, 1..200)
            .prop_map(|members| SortedSet::from_iter(members).into()),
        1 => btree_map(short, any_text(), 1..20).prop_map(|pairs| Hash::from_iter(pairs).into()),
    ]
}

pub(super) fn any_entry() -> impl Strategy<Value = SnapshotEntry> {
    (any_text(), any_value(), any::<Option<i64>>()).prop_map(|(key, value, expires_at_ms)| {
        SnapshotEntry {
            key,
            value,
            expires_at_ms,
        }
    })
}

fn any_open_slot() -> impl Strategy<Value = (crate::Slot, SlotMigration)> {
    let way = (any::<bool>(), any::<[u8; 20]>()).prop_map(|(comes, node)| match comes {
        true => SlotMigration::Importing(NodeId(node)),
        false => SlotMigration::Migrating(NodeId(node)),
    });
    (0..16_384_u16, way)
}

proptest! {
    #[test]
    fn any_snapshot_comes_back(entries in proptest::collection::vec(any_entry(), 0..8), stream_digest in any::<u64>(), open_slots in proptest::collection::vec(any_open_slot(), 0..4)) {
        let mut entries = entries;
        entries.sort_by(|a, b| a.key.cmp(&b.key));
        entries.dedup_by(|a, b| a.key == b.key);
        let snapshot = Snapshot { entries: Arc::new(entries), stream_digest, open_slots };
        let again = decode(&encoded(&snapshot)).unwrap();
        prop_assert_eq!(&again.open_slots, &snapshot.open_slots);
        for (entry, before) in again.entries.iter().zip(snapshot.entries.iter()) {
            prop_assert_eq!(entry.value.encoding(), before.value.encoding());
        }
        prop_assert_eq!(again, snapshot);
    }

    #[test]
    fn no_bytes_make_the_reader_panic(elements in proptest::collection::vec(any::<u8>(), 0..100)) {
        let _ = read(&file(&elements));
        let _ = read(&elements);
    }

    #[test]
    fn no_bytes_make_unpacking_panic(packed in proptest::collection::vec(any::<u8>(), 0..60), len in 0..2000_usize) {
        if let Some(unpacked) = lzf::unpack(&packed, len) {
            prop_assert_eq!(unpacked.len(), len);
        }
    }
}
