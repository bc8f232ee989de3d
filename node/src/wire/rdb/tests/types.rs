use super::*;
use crate::store::{Limits, ValueType};
use crate::wire::rdb::listpack::Writer;
use crate::wire::rdb::ziplist;

/// Written by Redis 7.0.15 with its default configuration: keys of every type and encoding, long
/// strings compressed.
const TYPES: &[u8] = include_bytes!("../../../../tests/fixtures/types.rdb");

fn real() -> Snapshot {
    decode(TYPES).unwrap()
}

fn value(snapshot: &Snapshot, key: &str) -> Value {
    let mut entries = snapshot.entries.iter();
    entries
        .find(|entry| entry.key == *key)
        .unwrap()
        .value
        .clone()
}

/// The only value of a file with these elements.
fn only(elements: &[u8]) -> Value {
    let snapshot = decode(&file(elements)).unwrap();
    assert_eq!(snapshot.entries.len(), 1);
    snapshot.entries[0].value.clone()
}

/// A value of a type whose content is one string.
fn packed(code: u8, content: &[u8]) -> Result<Value, RdbFault> {
    let mut elements = vec![code, 1, b'k', 0x80];
    elements.extend_from_slice(&(content.len() as u32).to_be_bytes());
    elements.extend_from_slice(content);
    let snapshot = decode(&file(&elements)).map_err(|error| error.fault)?;
    Ok(snapshot.entries[0].value.clone())
}

fn words(texts: &[&'static str]) -> Vec<Word> {
    texts.iter().map(|&text| Word::from(text)).collect()
}

fn list(texts: &[&'static str]) -> Value {
    List::from_iter(words(texts)).into()
}

fn set(texts: &[&'static str]) -> Value {
    Set::from_iter(words(texts)).into()
}

fn hash(pairs: &[(&'static str, &'static str)]) -> Value {
    Hash::from_iter(
        pairs
            .iter()
            .map(|&(field, value)| (field.into(), value.into())),
    )
    .into()
}

fn sorted_set(pairs: &[(&'static str, f64)]) -> Value {
    SortedSet::from_iter(pairs.iter().map(|&(member, score)| (member.into(), score))).into()
}

fn listpack(texts: &[&str]) -> BytesMut {
    let mut writer = Writer::new();
    texts.iter().for_each(|text| writer.push(text.as_bytes()));
    writer.finish()
}

fn old_ziplist(texts: &[&str]) -> Vec<u8> {
    let texts: Vec<&[u8]> = texts.iter().map(|text| text.as_bytes()).collect();
    ziplist::pack(&texts)
}

#[test]
fn every_type_of_redis_is_read_in_its_encoding() {
    let snapshot = real();
    let mut lines: Vec<String> = snapshot
        .entries
        .iter()
        .map(|entry| {
            let (value, expiry) = (&entry.value, entry.expires_at_ms.is_some());
            let mark = if expiry { " expires" } else { "" };
            format!(
                "{} {} {} {}{mark}",
                entry.key.escape_ascii(),
                value.value_type().name(),
                value.encoding().name(),
                value.len()
            )
        })
        .collect();
    lines.sort();
    insta::assert_snapshot!(lines.join("\n"));
}

#[test]
fn the_elements_of_real_values_are_read() {
    let snapshot = real();
    let long = "x".repeat(70);
    let small = value(&snapshot, "list:small");
    let elements: Vec<&[u8]> = small
        .as_list()
        .unwrap()
        .iter()
        .map(|word| &**word)
        .collect();
    let expected: [&[u8]; 6] = [
        b"1",
        b"two",
        b"-3",
        b"70000",
        b"1099511627776",
        long.as_bytes(),
    ];
    assert_eq!(elements, expected);
    let ints = set(&["1", "1099511627776", "-4611686018427387904"]);
    assert_eq!(value(&snapshot, "set:int64"), ints);
    let scored = sorted_set(&[
        ("low", f64::NEG_INFINITY),
        ("zero", 0.0),
        ("tenth", 0.1),
        ("one", 1.0),
        ("two", 2.5),
        ("33", 3.0),
        ("big", 1e300),
        ("high", f64::INFINITY),
    ]);
    assert_eq!(value(&snapshot, "zset:small"), scored);
    let big = value(&snapshot, "zset:big");
    assert_eq!(big.as_sorted_set().unwrap().score(b"m7"), Some(7.0 * 1.1));
    let big = value(&snapshot, "hash:big");
    assert_eq!(big.as_hash().unwrap().get(b"f512").unwrap(), "v262144");
    let binary = value(&snapshot, "str:bin");
    assert_eq!(
        **binary.as_string().unwrap(),
        (0..=255).collect::<Vec<u8>>()
    );
}

#[test]
fn what_redis_wrote_comes_back_from_what_is_written() {
    let snapshot = real();
    let again = decode(&encoded(&snapshot)).unwrap();
    assert_eq!(again, snapshot);
    for (again, real) in again.entries.iter().zip(snapshot.entries.iter()) {
        assert_eq!(again.value.encoding(), real.value.encoding());
    }
}

#[test]
fn old_forms_of_lists_are_read() {
    let expected = list(&["a", "300", "-1"]);
    assert_eq!(only(b"\x01\x01k\x03\x01a\xc1\x2c\x01\xc0\xff"), expected);
    assert_eq!(
        packed(10, &old_ziplist(&["a", "300", "-1"])),
        Ok(expected.clone())
    );
    let (one, two) = (old_ziplist(&["a"]), old_ziplist(&["300", "-1"]));
    let nodes = [
        b"\x0e\x01k\x03".as_slice(),
        &[one.len() as u8],
        &one,
        // A node without an element is passed over.
        &[old_ziplist(&[]).len() as u8],
        &old_ziplist(&[]),
        &[two.len() as u8],
        &two,
    ];
    assert_eq!(only(&nodes.concat()), expected);
}

#[test]
fn nodes_of_a_list_are_listpacks_or_elements() {
    let pack = listpack(&["b", "7"]);
    let nodes = [
        b"\x12\x01k\x02\x01\x01a\x02".as_slice(),
        &[pack.len() as u8],
        &pack,
    ];
    assert_eq!(only(&nodes.concat()), list(&["a", "b", "7"]));
    let fault = |elements: &[u8]| decode(&file(elements)).unwrap_err().fault;
    assert_eq!(
        fault(b"\x12\x01k\x01\x03\x01a"),
        RdbFault::Integrity("Quicklist")
    );
    assert_eq!(
        fault(b"\x12\x01k\x01\x01\x00"),
        RdbFault::Integrity("Quicklist")
    );
    assert_eq!(
        fault(b"\x12\x01k\x01\x02\x01a"),
        RdbFault::Integrity("Listpack")
    );
    assert_eq!(fault(b"\x0e\x01k\x01\x01a"), RdbFault::Integrity("Ziplist"));
}

#[test]
fn every_form_of_a_set_is_read() {
    assert_eq!(only(b"\x02\x01k\x02\x01a\xc0\x05"), set(&["a", "5"]));
    assert_eq!(
        packed(11, b"\x02\0\0\0\x02\0\0\0\xfe\xff\x05\0"),
        Ok(set(&["-2", "5"]))
    );
    assert_eq!(packed(20, &listpack(&["a", "5"])), Ok(set(&["a", "5"])));
}

#[test]
fn every_form_of_a_sorted_set_is_read() {
    let expected = sorted_set(&[("a", 1.5), ("b", f64::INFINITY), ("c", f64::NEG_INFINITY)]);
    assert_eq!(
        only(b"\x03\x01k\x03\x01a\x031.5\x01b\xfe\x01c\xff"),
        expected
    );
    let mut binary = b"\x05\x01k\x03".to_vec();
    for (member, score) in [
        (b'a', 1.5),
        (b'b', f64::INFINITY),
        (b'c', f64::NEG_INFINITY),
    ] {
        binary.extend_from_slice(&[1, member]);
        binary.extend_from_slice(&f64::to_le_bytes(score));
    }
    assert_eq!(only(&binary), expected);
    let pairs = ["c", "-inf", "a", "1.5", "b", "inf"];
    assert_eq!(packed(12, &old_ziplist(&pairs)), Ok(expected.clone()));
    assert_eq!(packed(17, &listpack(&pairs)), Ok(expected));
}

#[test]
fn every_form_of_a_hash_is_read() {
    let expected = hash(&[("foo", "bar"), ("n", "12")]);
    assert_eq!(only(b"\x04\x01k\x02\x03foo\x03bar\x01n\xc0\x0c"), expected);
    let zipmap = b"\x02\x03foo\x03\x00bar\x01n\x02\x0112.\xff";
    assert_eq!(packed(9, zipmap), Ok(expected.clone()));
    let pairs = ["foo", "bar", "n", "12"];
    assert_eq!(packed(13, &old_ziplist(&pairs)), Ok(expected.clone()));
    assert_eq!(packed(16, &listpack(&pairs)), Ok(expected));
}

#[test]
fn what_occurs_twice_or_lacks_its_pair_is_refused() {
    let fault = |elements: &[u8]| decode(&file(elements)).unwrap_err().fault.to_string();
    let packed = |code, content: &[u8]| packed(code, content).unwrap_err().to_string();
    let texts = [
        fault(b"\x02\x01k\x02\x01a\x01a"),
        fault(b"\x04\x01k\x02\x01f\x01v\x01f\x01w"),
        fault(b"\x03\x01k\x02\x01a\x011\x01a\x012"),
        fault(b"\x03\x01k\x01\x01a\xfd"),
        fault(b"\x03\x01k\x01\x01a\x03one"),
        packed(9, b"\x02\x01f\x01\0v\x01f\x01\0w\xff"),
        packed(11, b"\x02\0\0\0\x02\0\0\0\x05\0\x05\0"),
        packed(12, &old_ziplist(&["a", "one"])),
        packed(13, &old_ziplist(&["f", "v", "g"])),
        packed(16, &listpack(&["f", "v", "f", "w"])),
        packed(17, &listpack(&["a", "1", "b"])),
        packed(17, &listpack(&["a", "nan"])),
        packed(20, &listpack(&["a", "a"])),
    ];
    insta::assert_snapshot!(texts.join("\n"));
}

#[test]
fn keys_of_empty_collections_are_passed_over() {
    for code in [1, 2, 3, 4, 5, 14, 18] {
        let elements = [&[code, 1, b'k', 0][..], b"\x00\x01s\x01v"].concat();
        assert_eq!(only(&elements), Value::String("v".into()));
    }
    for code in [16, 17] {
        let snapshot = decode(&file(&[&[code, 1, b'k', 7][..], &listpack(&[])].concat()));
        assert!(snapshot.unwrap().entries.is_empty());
    }
}

#[test]
fn encodings_follow_the_limits_of_the_reader() {
    let limits = Limits {
        hash_entries: 1,
        intset_entries: 1,
        sorted_set_entries: 1,
        ..Limits::DEFAULT
    };
    let mut input = BytesMut::from(TYPES);
    let small = Decoder::new().limits(limits).next(&mut input).unwrap();
    let small = small.unwrap().snapshot;
    let encodings =
        ["hash:small", "set:int16", "zset:small"].map(|key| value(&small, key).encoding().name());
    assert_eq!(encodings, ["hashtable", "hashtable", "skiplist"]);
}

#[test]
fn nodes_of_a_list_are_filled_as_the_directive_says() {
    let nodes = |len: usize, count: usize, fill: i64| {
        let value = list(&[]);
        assert_eq!(value.value_type(), ValueType::List);
        let items = (0..count).map(|_| Word::from(vec![b'x'; len]));
        let value: Value = List::from_iter(items).into();
        let entry = SnapshotEntry {
            key: "k".into(),
            value,
            expires_at_ms: None,
        };
        let mut out = BytesMut::new();
        let encoder = Encoder::new(&snapshot(vec![entry.clone()]), &Aux::default());
        assert!(!encoder.list_fill(fill).write(&mut out, usize::MAX));
        assert_eq!(decode(&out).unwrap().entries[0], entry);
        let name = out.windows(3).position(|window| window == b"\x12\x01k");
        out[name.unwrap() + 3]
    };
    // As `DEBUG QUICKLIST` tells of Redis 7.0.15.
    assert_eq!(nodes(100, 1000, -2), 13);
    assert_eq!(nodes(100, 1000, -1), 26);
    assert_eq!(nodes(100, 1000, -5), 2);
    assert_eq!(nodes(10_000, 3, -2), 3);
    assert_eq!(nodes(1, 10, 3), 4);
    assert_eq!(nodes(5000, 4, 3), 4);
    assert_eq!(nodes(1, 3, 0), 3);
}
