//! Whatever is asked of a node, its memory is what is there, no key holds nothing, and who applies
//! what it tells its replicas comes to the same.

use proptest::prelude::*;

use super::*;
use crate::store::{Store, Value};

/// Commands; `K` stands for a key, `M` for a member, `I` for an integer, `S` for a score.
const COMMANDS: &[&str] = &[
    "SET K M",
    "SET K I EX 100",
    "APPEND K M",
    "SETRANGE K 3 M",
    "INCRBY K I",
    "INCRBYFLOAT K S",
    "GETDEL K",
    "MSET K M K I",
    "SETBIT K 9 1",
    "BITOP OR K K K",
    "HSET K M M M I",
    "HSETNX K M M",
    "HDEL K M M",
    "HINCRBY K M I",
    "HINCRBYFLOAT K M S",
    "LPUSH K M M",
    "RPUSH K M I",
    "LPUSHX K M",
    "LPOP K",
    "RPOP K 2",
    "LSET K I M",
    "LTRIM K I I",
    "LREM K I M",
    "LINSERT K AFTER M M",
    "LMOVE K K LEFT RIGHT",
    "RPOPLPUSH K K",
    "LMPOP 2 K K LEFT COUNT 2",
    "BLPOP K K 0.1",
    "BLMOVE K K RIGHT LEFT 0.1",
    "BLMPOP 0.1 2 K K RIGHT",
    "SADD K M I M",
    "SREM K M I",
    "SPOP K",
    "SPOP K 2",
    "SMOVE K K M",
    "SINTERSTORE K K K",
    "SUNIONSTORE K K K",
    "SDIFFSTORE K K K",
    "ZADD K S M S M",
    "ZADD K XX GT CH S M",
    "ZADD K NX INCR S M",
    "ZINCRBY K S M",
    "ZREM K M M",
    "ZRANGESTORE K K 0 2",
    "ZREMRANGEBYRANK K I I",
    "ZREMRANGEBYSCORE K S S",
    "ZPOPMIN K",
    "ZPOPMAX K 2",
    "ZMPOP 2 K K MIN",
    "BZPOPMIN K K 0.1",
    "BZMPOP 0.1 1 K MAX COUNT 2",
    "ZUNIONSTORE K 2 K K WEIGHTS 2 S",
    "ZINTERSTORE K 2 K K",
    "ZDIFFSTORE K 2 K K",
    "DEL K",
    "RENAME K K",
    "RENAMENX K K",
    "COPY K K REPLACE",
    "SORT K ALPHA STORE K",
    "EXPIRE K 100",
    "PEXPIRE K 20",
    "PERSIST K",
    "GETEX K EX 50",
    "LRANGE K 0 -1",
    "SMEMBERS K",
    "HGETALL K",
    "ZRANGE K 0 -1",
    "OBJECT ENCODING K",
    "SCAN 0",
    "FLUSHALL",
];

/// Of the commands, `FLUSHALL` is the last, and rare.
fn command() -> impl Strategy<Value = String> {
    let template = prop_oneof![
        60 => 0..COMMANDS.len() - 1,
        1 => Just(COMMANDS.len() - 1),
    ];
    (template, prop::collection::vec(any::<u8>(), 8)).prop_map(|(template, choices)| {
        let mut choices = choices.into_iter();
        let word = |word: &str| {
            let mut pick = |of: &[&str]| {
                let choice = choices.next().unwrap_or(0);
                of[usize::from(choice) % of.len()].to_owned()
            };
            match word {
                "K" => pick(&["{t}a", "{t}b", "{t}c", "{t}d"]),
                "M" => pick(&["a", "b", "c", "7", "a-member-too-long-to-be-kept-in-place"]),
                "I" => pick(&["0", "1", "2", "-1", "-3", "9"]),
                "S" => pick(&["0", "1", "2.5", "-1", "inf"]),
                other => other.to_owned(),
            }
        };
        let words: Vec<String> = COMMANDS[template].split(' ').map(word).collect();
        words.join(" ")
    })
}

/// A node whose collections become large with a few elements.
fn tight() -> Lone {
    let mut config = Config::default();
    config.limits.hash_entries = 3;
    config.limits.sorted_set_entries = 3;
    config.limits.intset_entries = 3;
    config.limits.hash_value_bytes = 30;
    serving_with(config)
}

fn content(store: &Store) -> Vec<(Word, Value, Option<i64>)> {
    let snapshot = store.snapshot();
    let mut content: Vec<_> = snapshot
        .iter()
        .map(|entry| (entry.key.clone(), entry.value.clone(), entry.expires_at_ms))
        .collect();
    content.sort_by(|a, b| a.0.cmp(&b.0));
    content
}

fn check_store(store: &Store) {
    let counted: usize = store.places().map(|place| store.entry_bytes(place)).sum();
    assert_eq!(store.used_bytes(), counted);
    let empty = |(_, value, _): &(Word, Value, Option<i64>)| {
        value.is_empty() && value.as_string().is_none()
    };
    assert!(!content(store).iter().any(empty));
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(200))]

    #[test]
    fn replicas_come_to_the_same_and_memory_is_what_is_there(
        lines in prop::collection::vec((command(), 0_i64..15), 1..60)
    ) {
        let (mut master, mut replica) = (tight(), tight());
        master.attach_replica();
        for (line, pause_ms) in lines {
            master.actions.clear();
            master.pass_ms(pause_ms);
            master.send(ALICE, &line);
            master.give(Input::Wake);
            master.end_turn();
            for action in &master.actions {
                if let Action::ToReplica { what: ToReplica::Stream(command), .. } = action {
                    crate::commands::apply_from_master(&mut replica.node, command);
                }
            }
            check_store(&master.node.store);
            check_store(&replica.node.store);
            prop_assert_eq!(
                content(&master.node.store),
                content(&replica.node.store),
                "after {}",
                line
            );
        }
    }
}
