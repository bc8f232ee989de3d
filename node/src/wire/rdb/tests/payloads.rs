use super::*;
use crate::store::Limits;

/// Keys, their encodings and what `DUMP` gave for them on Redis 7.0.15 with `rdbcompression no`.
const DUMPS: &str = include_str!("../../../../tests/fixtures/dumps.txt");

fn unhex(text: &str) -> Vec<u8> {
    let digits = text.as_bytes().chunks_exact(2);
    digits
        .map(|pair| u8::from_str_radix(std::str::from_utf8(pair).unwrap(), 16).unwrap())
        .collect()
}

fn dumps() -> impl Iterator<Item = (&'static str, &'static str, Vec<u8>)> {
    DUMPS.lines().map(|line| {
        let [key, encoding, hex] = line.split(' ').collect::<Vec<_>>()[..] else {
            panic!("{line}");
        };
        (key, encoding, unhex(hex))
    })
}

#[test]
fn payloads_of_redis_are_restored_and_dumped_byte_for_byte() {
    assert!(dumps().count() > 15);
    for (key, encoding, payload) in dumps() {
        let value = restore(&payload, &Limits::DEFAULT).unwrap();
        assert_eq!(value.encoding().name(), encoding, "{key}");
        let dumped = dump(&value, DEFAULT_LIST_FILL);
        // A table's order is nobody's business.
        if encoding == "hashtable" {
            assert_eq!(dumped.len(), payload.len(), "{key}");
            assert_eq!(restore(&dumped, &Limits::DEFAULT), Ok(value), "{key}");
        } else {
            assert_eq!(dumped.to_vec(), payload, "{key}");
        }
    }
}

#[test]
fn a_payload_that_was_changed_is_refused() {
    for (_, _, payload) in dumps() {
        for place in 0..payload.len() {
            let mut changed = payload.clone();
            changed[place] ^= 0x10;
            let refused = restore(&changed, &Limits::DEFAULT).unwrap_err();
            assert_eq!(refused, PayloadError::Footer);
        }
    }
    assert_eq!(verify(b"too short"), Err(PayloadError::Footer));
}

/// A payload with the footer that belongs to it.
fn signed(content: &[u8], version: u16) -> Vec<u8> {
    let mut payload = [content, &version.to_le_bytes()].concat();
    let sum = checksum::of(&payload);
    payload.extend_from_slice(&sum.to_le_bytes());
    payload
}

#[test]
fn older_versions_are_restored_and_later_ones_refused() {
    let restored = |version| restore(&signed(b"\x00\x01v", version), &Limits::DEFAULT);
    assert_eq!(restored(6), Ok(Value::String("v".into())));
    assert_eq!(restored(10), Ok(Value::String("v".into())));
    assert_eq!(restored(11), Err(PayloadError::Footer));
}

#[test]
fn what_is_no_value_is_bad_data() {
    for content in [
        &b""[..],
        b"\x00",
        b"\x00\x05abc",
        b"\x02\x00",
        b"\x02\x02\x01a",
        b"\x0f\x00",
        b"\x07\x00",
        b"\x14\x07\x07\0\0\0\0\0\xff",
        b"\xff",
        b"\xfa\x01a\x01b",
    ] {
        let refused = restore(&signed(content, 10), &Limits::DEFAULT);
        assert_eq!(refused, Err(PayloadError::Format), "{content:?}");
    }
}

proptest! {
    #[test]
    fn any_value_comes_back_from_its_payload(entry in any_entry(), fill in -6_i64..20) {
        let payload = dump(&entry.value, fill);
        let value = restore(&payload, &Limits::DEFAULT).unwrap();
        prop_assert_eq!(value.encoding(), entry.value.encoding());
        prop_assert_eq!(value, entry.value);
    }

    #[test]
    fn no_payload_makes_the_reader_panic(content: Vec<u8>) {
        let _ = restore(&content, &Limits::DEFAULT);
        let _ = restore(&signed(&content, 10), &Limits::DEFAULT);
    }
}
