//! What must hold of the decoders for any bytes: random ones, and real ones that were damaged.

use proptest::prelude::*;
use proptest::sample::Index;

#[path = "../fuzz/entries.rs"]
#[expect(clippy::unwrap_used, reason = "what must hold is checked by panics")]
mod entries;

const BUS: &[u8] = include_bytes!("fixtures/bus-packets.bin");
const RDB: &[u8] = include_bytes!("fixtures/dump.rdb");
const TYPES: &[u8] = include_bytes!("fixtures/types.rdb");
const DUMPS: &str = include_str!("fixtures/dumps.txt");
const AOF: &[u8] = include_bytes!("fixtures/appendonly.incr.aof");
const MANIFEST: &[u8] = b"file appendonly.aof.1.base.rdb seq 1 type b\n\
    file appendonly.aof.1.incr.aof seq 1 type i\nfile \"a b\" seq 9 type h\n";
const REQUESTS: &[u8] =
    b"PING\r\n*3\r\n$3\r\nSET\r\n$1\r\nk\r\n$2\r\nv1\r\nset \"a b\" 'c'\n*0\r\n\
    *2\r\n$8\r\nREPLCONF\r\n$3\r\nACK\r\n";
const REPLY: &[u8] =
    b"*12\r\n+OK\r\n-ERR no\r\n:-7\r\n$2\r\nab\r\n$-1\r\n*-1\r\n_\r\n#t\r\n,1.5\r\n\
    %1\r\n+k\r\n~1\r\n:1\r\n=7\r\ntxt:abc\r\n>1\r\n(123\r\n";
const NODES_CONF: &[u8] = include_bytes!("fixtures/nodes-7001.after.conf");
const REDIS_CONF: &[u8] = b"port 7000\nbind 0.0.0.0\ncluster-enabled yes\nsave 900 1\nsave 60 5\n\
    cluster-node-timeout 5000\nclient-output-buffer-limit replica 1mb 2kb 3\nmaxmemory 256mb\n\
    dir \"/srv/a b\"\nappendfsync always\nnotify-keyspace-events KEA\nhz 50\n";

/// Changes to bytes: overwrite one, take some out, double some, or cut the rest off.
#[derive(Clone, Debug)]
enum Damage {
    Overwrite(Index, u8),
    Remove(Index, usize),
    Repeat(Index, usize),
    Cut(Index),
}

fn any_damage() -> impl Strategy<Value = Damage> {
    let byte = prop_oneof![
        any::<u8>(),
        Just(b'\n'),
        Just(b'\r'),
        Just(b' '),
        Just(b'"'),
        Just(0),
        Just(b'9')
    ];
    prop_oneof![
        4 => (any::<Index>(), byte).prop_map(|(at, byte)| Damage::Overwrite(at, byte)),
        1 => (any::<Index>(), 1..9_usize).prop_map(|(at, len)| Damage::Remove(at, len)),
        1 => (any::<Index>(), 1..60_usize).prop_map(|(at, len)| Damage::Repeat(at, len)),
        1 => any::<Index>().prop_map(Damage::Cut),
    ]
}

fn damaged(bytes: &[u8], damages: &[Damage]) -> Vec<u8> {
    let mut bytes = bytes.to_vec();
    for damage in damages {
        if bytes.is_empty() {
            break;
        }
        let place = |at: &Index, len: usize| {
            at.index(bytes.len())..(at.index(bytes.len()) + len).min(bytes.len())
        };
        match damage {
            Damage::Overwrite(at, byte) => {
                let place = at.index(bytes.len());
                bytes[place] = *byte;
            }
            Damage::Remove(at, len) => {
                let range = place(at, *len);
                bytes.drain(range);
            }
            Damage::Repeat(at, len) => {
                let range = place(at, *len);
                let piece = bytes[range.clone()].to_vec();
                bytes.splice(range.start..range.start, piece);
            }
            Damage::Cut(at) => bytes.truncate(at.index(bytes.len())),
        }
    }
    bytes
}

fn damages() -> impl Strategy<Value = Vec<Damage>> {
    proptest::collection::vec(any_damage(), 0..5)
}

fn random() -> impl Strategy<Value = Vec<u8>> {
    proptest::collection::vec(any::<u8>(), 0..300)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(200))]

    #[test]
    fn bus_packets_hold(damages in damages(), bytes in random()) {
        entries::bus(&damaged(BUS, &damages));
        entries::bus(&bytes);
    }

    #[test]
    fn requests_hold(damages in damages(), bytes in random()) {
        entries::resp_request(&damaged(REQUESTS, &damages));
        entries::resp_request(&bytes);
    }

    #[test]
    fn replies_hold(damages in damages(), bytes in random()) {
        entries::resp_reply(&damaged(REPLY, &damages));
        entries::resp_reply(&bytes);
    }

    #[test]
    fn state_files_hold(damages in damages(), bytes in random()) {
        entries::nodes_conf(&damaged(NODES_CONF, &damages));
        entries::nodes_conf(&bytes);
    }

    #[test]
    fn configuration_files_hold(damages in damages(), bytes in random()) {
        entries::redis_conf(&damaged(REDIS_CONF, &damages));
        entries::redis_conf(&bytes);
    }

    #[test]
    fn snapshots_hold(damages in damages(), bytes in random()) {
        entries::rdb(&damaged(RDB, &damages));
        entries::rdb(&bytes);
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(200))]

    #[test]
    fn snapshots_of_every_type_hold(damages in damages()) {
        entries::rdb(&damaged(TYPES, &damages));
    }

    #[test]
    fn payloads_hold(which in any::<Index>(), damages in damages(), bytes in random()) {
        let payloads = payloads();
        let payload: &Vec<u8> = which.get(&payloads);
        entries::payload(&damaged(payload, &damages));
        entries::payload(&bytes);
    }

    #[test]
    fn append_only_files_hold(damages in damages(), bytes in random()) {
        entries::aof(&damaged(AOF, &damages));
        entries::aof(&bytes);
        entries::aof_manifest(&damaged(MANIFEST, &damages));
        entries::aof_manifest(&bytes);
    }
}

/// What `DUMP` gave for values of every type.
#[expect(clippy::unwrap_used, reason = "a fixture that is none is a failure")]
fn payloads() -> Vec<Vec<u8>> {
    let hex = DUMPS.lines().filter_map(|line| line.rsplit(' ').next());
    hex.map(|hex| {
        let digits = hex.as_bytes().chunks_exact(2);
        let byte = |pair| u8::from_str_radix(std::str::from_utf8(pair).unwrap(), 16).unwrap();
        digits.map(byte).collect()
    })
    .collect()
}

#[test]
fn the_undamaged_examples_are_read() {
    entries::resp_reply(REPLY);
    let read = redrill_node::wire::resp::decode_reply(REPLY).unwrap();
    assert_eq!(read.map(|(_, len)| len), Some(REPLY.len()));
    assert!(redrill_node::Config::parse_file(REDIS_CONF).is_ok());
    assert!(redrill_node::wire::rdb::decode(RDB).is_ok());
    assert!(redrill_node::wire::rdb::decode(TYPES).is_ok());
    assert!(
        payloads()
            .iter()
            .all(|payload| redrill_node::wire::rdb::verify(payload).is_ok())
    );
    assert!(redrill_node::wire::aof::Manifest::parse(MANIFEST).is_ok());
    let mut reader = redrill_node::wire::aof::AofReader::new(AOF, 0);
    while reader.next_command().unwrap().is_some() {}
    assert_eq!(reader.valid_up_to(), AOF.len());
}
