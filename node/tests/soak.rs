//! Millions of damaged inputs for every decoder. It takes minutes, so it is asked for:
//!
//! `cargo test --release -p redrill-node --test soak -- --ignored --nocapture`
//!
//! `REDRILL_SOAK_INPUTS` says how many inputs (10,000,000 if unset), `REDRILL_SOAK_SEED` which. The
//! same seed makes the same inputs; a failure tells the decoder, the number and the bytes.

#![allow(
    clippy::unwrap_used,
    clippy::print_stdout,
    clippy::panic,
    reason = "what must hold is checked by panics, and the counts are for a reader"
)]

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::thread;
use std::time::{Duration, Instant};

use rand_chacha::ChaCha8Rng;
use rand_chacha::rand_core::{Rng, SeedableRng};

#[path = "../fuzz/entries.rs"]
mod entries;

const BUS: &[u8] = include_bytes!("fixtures/bus-packets.bin");
const DUMP: &[u8] = include_bytes!("fixtures/dump.rdb");
const DUMPS: &str = include_str!("fixtures/dumps.txt");
const AOF: &[u8] = include_bytes!("fixtures/appendonly.incr.aof");
const NODES_CONF: &[u8] = include_bytes!("fixtures/nodes-7001.after.conf");
const REQUESTS: &[u8] =
    b"PING\r\n*3\r\n$3\r\nSET\r\n$1\r\nk\r\n$2\r\nv1\r\nset \"a b\" 'c'\n*0\r\n\
    *2\r\n$8\r\nREPLCONF\r\n$3\r\nACK\r\n";
const REPLY: &[u8] =
    b"*12\r\n+OK\r\n-ERR no\r\n:-7\r\n$2\r\nab\r\n$-1\r\n*-1\r\n_\r\n#t\r\n,1.5\r\n\
    %1\r\n+k\r\n~1\r\n:1\r\n=7\r\ntxt:abc\r\n>1\r\n(123\r\n";
const REDIS_CONF: &[u8] = b"port 7000\nbind 0.0.0.0\nsave 900 1\ncluster-node-timeout 5000\n\
    client-output-buffer-limit replica 1mb 2kb 3\nmaxmemory 256mb\ndir \"/srv/a b\"\nhz 50\n";
const MANIFEST: &[u8] = b"file a.1.base.rdb seq 1 type b\nfile \"a b\" seq 1 type i\n";

/// A decoder, what is damaged for it, and its share of the inputs in a thousand.
struct Decoder {
    name: &'static str,
    check: fn(&[u8]),
    seeds: Vec<Vec<u8>>,
    share: u64,
}

fn decoders() -> Vec<Decoder> {
    let new = |name, check: fn(&[u8]), seeds: Vec<Vec<u8>>, share| Decoder {
        name,
        check,
        seeds,
        share,
    };
    vec![
        new("bus", entries::bus, packets(), 100),
        new(
            "resp_request",
            entries::resp_request,
            vec![REQUESTS.to_vec()],
            170,
        ),
        new("resp_reply", entries::resp_reply, vec![REPLY.to_vec()], 170),
        new("rdb", entries::rdb, snapshots(), 170),
        new("payload", entries::payload, payloads(), 200),
        new("aof", entries::aof, vec![AOF.to_vec()], 100),
        new(
            "aof_manifest",
            entries::aof_manifest,
            vec![MANIFEST.to_vec()],
            60,
        ),
        new(
            "nodes_conf",
            entries::nodes_conf,
            vec![NODES_CONF.to_vec()],
            20,
        ),
        new(
            "redis_conf",
            entries::redis_conf,
            vec![REDIS_CONF.to_vec()],
            10,
        ),
    ]
}

/// The recorded packets, one by one.
fn packets() -> Vec<Vec<u8>> {
    let mut packets = Vec::new();
    let mut rest = BUS;
    while rest.len() >= 8 {
        let len = u32::from_be_bytes(rest[4..8].try_into().unwrap()) as usize;
        let (packet, tail) = rest.split_at(len);
        packets.push(packet.to_vec());
        rest = tail;
    }
    packets
}

fn payloads() -> Vec<Vec<u8>> {
    let hex = DUMPS.lines().filter_map(|line| line.rsplit(' ').next());
    hex.map(|hex| {
        let digits = hex.as_bytes().chunks_exact(2);
        let byte = |pair| u8::from_str_radix(std::str::from_utf8(pair).unwrap(), 16).unwrap();
        digits.map(byte).collect()
    })
    .collect()
}

/// A recorded snapshot, and one of each value.
fn snapshots() -> Vec<Vec<u8>> {
    let of_value = |payload: Vec<u8>| {
        let (code, value) = payload.split_first().unwrap();
        let value = &value[..value.len() - 10];
        [
            b"REDIS0010\xfe\x00",
            &[*code, 1, b'k'][..],
            value,
            b"\xff",
            &[0; 8],
        ]
        .concat()
    };
    let mut snapshots: Vec<Vec<u8>> = payloads().into_iter().map(of_value).collect();
    snapshots.push(DUMP.to_vec());
    snapshots
}

/// The input of a number: a seed with up to four damages, or now and then any bytes.
fn input(decoder: &Decoder, seed: u64, number: u64) -> Vec<u8> {
    let mut random = ChaCha8Rng::seed_from_u64(seed);
    random.set_stream(number);
    let mut below = |limit: usize| random.next_u32() as usize % limit.max(1);
    if below(16) == 0 {
        return (0..below(64)).map(|_| below(256) as u8).collect();
    }
    let mut bytes = decoder.seeds[below(decoder.seeds.len())].clone();
    for _ in 0..below(5) {
        if bytes.is_empty() {
            break;
        }
        let place = below(bytes.len());
        let len = (1 + below(8)).min(bytes.len() - place);
        match below(8) {
            0 => drop(bytes.drain(place..place + len)),
            1 => {
                let piece = bytes[place..place + len].to_vec();
                bytes.splice(place..place, piece);
            }
            2 => bytes.truncate(place),
            3 => bytes[place] = [0, 0xff, 0x80, 0x7f, 0xc3, b'\n', b'9', b'-'][below(8)],
            4 => bytes[place] ^= 1 << below(8),
            _ => bytes[place] = below(256) as u8,
        }
    }
    bytes
}

fn number_of(name: &str, default: u64) -> u64 {
    let given = std::env::var(name).ok();
    given.and_then(|text| text.parse().ok()).unwrap_or(default)
}

/// Runs one decoder over its inputs on every core.
fn soak(decoder: &Decoder, seed: u64, count: u64) -> Duration {
    let began = Instant::now();
    let threads = thread::available_parallelism().map_or(1, |count| count.get() as u64);
    thread::scope(|scope| {
        for first in 0..threads {
            scope.spawn(move || {
                for number in (first..count).step_by(threads as usize) {
                    let bytes = input(decoder, seed, number);
                    let held = catch_unwind(AssertUnwindSafe(|| (decoder.check)(&bytes)));
                    let name = decoder.name;
                    assert!(
                        held.is_ok(),
                        "{name}, input {number}: {}",
                        bytes.escape_ascii()
                    );
                }
            });
        }
    });
    began.elapsed()
}

#[test]
#[ignore = "takes minutes: millions of inputs"]
fn millions_of_damaged_inputs_break_no_decoder() {
    let seed = number_of("REDRILL_SOAK_SEED", 1);
    let total = number_of("REDRILL_SOAK_INPUTS", 10_000_000);
    let began = Instant::now();
    let mut done = 0;
    for decoder in decoders() {
        let count = (total * decoder.share).div_ceil(1000);
        let took = soak(&decoder, seed, count);
        println!(
            "{:>12} {count:>9} inputs in {:.1} s",
            decoder.name,
            took.as_secs_f64()
        );
        done += count;
    }
    println!(
        "{done} inputs in {:.1} s, seed {seed}",
        began.elapsed().as_secs_f64()
    );
    assert!(done >= total);
}

#[test]
fn a_thousand_damaged_inputs_break_no_decoder() {
    for decoder in decoders() {
        soak(&decoder, 7, decoder.share);
    }
}
