//! No decoder reserves more memory than its input can stand for, whatever lengths it claims.

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    reason = "what must hold is checked by panics"
)]

use bytes::BytesMut;
use proptest::prelude::*;
use redrill_node::store::Limits;
use redrill_node::wire::{aof, bus, rdb, resp};
use redrill_node::{Config, SavedState};

const DUMPS: &str = include_str!("fixtures/dumps.txt");
const RDB: &[u8] = include_bytes!("fixtures/dump.rdb");
const BUS: &[u8] = include_bytes!("fixtures/bus-packets.bin");

/// What a decoder may take for an input of no length at all, bytes.
const BASE: u64 = 64 << 10;

/// What it may take for each byte: an element of two bytes becomes a word in a table, which is
/// moved while it grows.
const EACH: u64 = 512;

/// What one compressed byte may stand for (`LZF`).
const UNPACKED: u64 = 88;

fn holds(what: &str, data: &[u8], decode: impl FnOnce()) {
    let packed = data.windows(1).any(|byte| byte == b"\xc3");
    let each = if packed { EACH * UNPACKED } else { EACH };
    let limit = BASE + each * data.len() as u64;
    let most = allocation_counter::measure(decode).bytes_max;
    let len = data.len();
    assert!(
        most <= limit,
        "{what}: {most} bytes for {len}: {}",
        data.escape_ascii()
    );
}

/// Every decoder on the same bytes.
fn all_hold(data: &[u8]) {
    holds("rdb", data, || drop(rdb::read(data)));
    holds("payload", data, || {
        drop(rdb::restore(&signed(data), &Limits::DEFAULT))
    });
    holds("bus", data, || drop(bus::decode(data)));
    holds("request", data, || {
        let mut input = BytesMut::from(data);
        let mut decoder = resp::RequestDecoder::new();
        while let Ok(Some(_)) = decoder.next(&mut input) {}
    });
    holds("reply", data, || drop(resp::decode_reply(data)));
    holds("aof", data, || {
        let mut reader = aof::AofReader::new(data, 0);
        while let Ok(Some(_)) = reader.next_command() {}
    });
    holds("manifest", data, || drop(aof::Manifest::parse(data)));
    holds("nodes.conf", data, || drop(SavedState::parse(data)));
    holds("redis.conf", data, || drop(Config::parse_file(data)));
}

/// With the footer that belongs to it.
fn signed(content: &[u8]) -> Vec<u8> {
    let mut payload = [content, &[10, 0]].concat();
    let sum = crc::Crc::<u64>::new(&crc::CRC_64_REDIS).checksum(&payload);
    payload.extend_from_slice(&sum.to_le_bytes());
    payload
}

#[test]
fn lengths_that_lie_reserve_nothing() {
    let long: [&[u8]; 3] = [
        b"\x80\x1f\xff\xff\xff",
        b"\x81\x00\x00\x00\xff\xff\xff\xff\xff",
        b"\x7f\xff",
    ];
    for code in 0..=21_u8 {
        for len in long {
            let value = [&[code][..], len].concat();
            all_hold(&value);
            all_hold(&[b"REDIS0010", &[code, 1, b'k'][..], len].concat());
            all_hold(&[b"REDIS0010", &[code][..], len].concat());
        }
    }
    for text in [
        &b"*1048576\r\n$536870912\r\n"[..],
        b"*2147483647\r\n",
        b"%2147483647\r\n",
        b"$536870912\r\nabc",
        b"RCmb\xff\xff\xff\xff",
        b"RCmb\x00\x00\x08\xd0\x00\x01\x00\x00\x00\x00\xff\xff",
        b"REDIS0010\xfb\x81\xff\xff\xff\xff\xff\xff\xff\xff\x81\xff\xff\xff\xff\xff\xff\xff\xff",
        b"\x0b\x0c\x08\x00\x00\x00\xff\xff\xff\xff\x01\x00\x00\x00",
    ] {
        all_hold(text);
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(400))]

    #[test]
    fn any_bytes_reserve_no_more_than_they_can_stand_for(data in proptest::collection::vec(any::<u8>(), 0..200)) {
        all_hold(&data);
    }

    #[test]
    fn damaged_values_reserve_no_more_than_they_can_stand_for(which in any::<proptest::sample::Index>(), place in any::<proptest::sample::Index>(), byte: u8, cut in any::<proptest::sample::Index>()) {
        let payloads: Vec<Vec<u8>> = DUMPS
            .lines()
            .filter_map(|line| line.rsplit(' ').next())
            .map(|hex| {
                let pairs = hex.as_bytes().chunks_exact(2);
                pairs
                    .map(|pair| u8::from_str_radix(std::str::from_utf8(pair).unwrap(), 16).unwrap())
                    .collect()
            })
            .collect();
        let payload: &Vec<u8> = which.get(&payloads);
        let mut content = payload[..payload.len() - 10].to_vec();
        let changed = place.index(content.len());
        content[changed] = byte;
        all_hold(&content);
        for real in [RDB, &BUS[..4512]] {
            let mut real = real.to_vec();
            let changed = place.index(real.len());
            real[changed] = byte;
            all_hold(&real);
            real.truncate(cut.index(real.len()));
            all_hold(&real);
        }
    }
}
