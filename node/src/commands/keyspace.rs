//! Keys of any type (`db.c`).

use super::call::Call;
use super::error::{CommandError, Outcome};
use super::glob;
use super::scanning::{self, Scan};
use super::shapes::{FAST_READ, WRITE};
use super::spec::{Categories, Flags, Spec, command, key, keys};
use crate::fact::Fact;
use crate::reply::Reply;
use crate::store::Place;

const MULTI_SHARD: &[&str] = &["request_policy:multi_shard", "response_policy:agg_sum"];
const ALL_SHARDS: &str = "request_policy:all_shards";

const fn generic(spec: Spec, since: &'static str, summary: &'static str) -> Spec {
    spec.about("generic", since, summary)
        .categories(Categories::KEYSPACE)
}

pub(super) const COMMANDS: &[Spec] = &[
    generic(
        command("del", -2, Flags::WRITE, del),
        "1.0.0",
        "Removes keys.",
    )
    .keys(&[keys(1, -1, 1, &["RM", "delete"])])
    .tips(MULTI_SHARD),
    generic(
        command("unlink", -2, Flags::WRITE.union(Flags::FAST), del),
        "4.0.0",
        "Removes keys.",
    )
    .keys(&[keys(1, -1, 1, &["RM", "delete"])])
    .tips(MULTI_SHARD),
    generic(
        command("exists", -2, FAST_READ, exists),
        "1.0.0",
        "Counts those of some keys that are there.",
    )
    .keys(&[keys(1, -1, 1, &["RO"])])
    .tips(MULTI_SHARD),
    generic(
        command("touch", -2, FAST_READ, touch),
        "3.2.1",
        "Counts those of some keys that are there.",
    )
    .keys(&[keys(1, -1, 1, &["RO"])])
    .tips(MULTI_SHARD),
    generic(
        command("type", 2, FAST_READ, type_of),
        "1.0.0",
        "Tells the type of a key's value.",
    )
    .keys(&[key(1, &["RO"])]),
    generic(
        command("keys", 2, Flags::READONLY, keys_like),
        "1.0.0",
        "Lists the keys that match a pattern.",
    )
    .categories(Categories::KEYSPACE.union(Categories::DANGEROUS))
    .tips(&[ALL_SHARDS, "nondeterministic_output_order"]),
    generic(
        command("scan", -2, Flags::READONLY, scan),
        "2.8.0",
        "Lists the keys, some at a time.",
    )
    .tips(&["nondeterministic_output", "request_policy:special"]),
    generic(
        command("randomkey", 1, Flags::READONLY, randomkey),
        "1.0.0",
        "Names some key.",
    )
    .tips(&[ALL_SHARDS, "nondeterministic_output"]),
    generic(
        command("rename", 3, Flags::WRITE, rename),
        "1.0.0",
        "Moves a value to another key.",
    )
    .keys(&[
        key(1, &["RW", "access", "delete"]),
        key(2, &["OW", "update"]),
    ]),
    generic(
        command("renamenx", 3, Flags::WRITE.union(Flags::FAST), renamenx),
        "1.0.0",
        "Moves a value to a key that is free.",
    )
    .keys(&[
        key(1, &["RW", "access", "delete"]),
        key(2, &["OW", "insert"]),
    ]),
    generic(
        command("copy", -3, WRITE, copy),
        "6.2.0",
        "Copies a value to another key.",
    )
    .keys(&[key(1, &["RO", "access"]), key(2, &["OW", "update"])]),
    command("dbsize", 1, FAST_READ, dbsize)
        .about("server", "1.0.0", "Counts the keys.")
        .categories(Categories::KEYSPACE)
        .tips(&[ALL_SHARDS, "response_policy:agg_sum"]),
    command("flushall", -1, Flags::WRITE, flush)
        .about("server", "1.0.0", "Removes every key.")
        .categories(Categories::KEYSPACE.union(Categories::DANGEROUS))
        .tips(&[ALL_SHARDS, "response_policy:all_succeeded"]),
    command("flushdb", -1, Flags::WRITE, flush)
        .about("server", "1.0.0", "Removes every key.")
        .categories(Categories::KEYSPACE.union(Categories::DANGEROUS))
        .tips(&[ALL_SHARDS, "response_policy:all_succeeded"]),
];

fn del(call: &mut Call<'_>) -> Outcome {
    let mut removed = 0;
    for key in &call.words[1..] {
        if let Some(place) = call.find(key) {
            call.node.store.remove_at(place);
            removed += 1;
        }
    }
    if removed > 0 {
        call.changed();
    }
    Ok(Reply::Integer(removed))
}

fn exists(call: &mut Call<'_>) -> Outcome {
    let words = call.words;
    let found = words[1..].iter().filter(|key| call.look_at(key).is_some());
    Ok(Reply::Integer(found.count() as i64))
}

fn touch(call: &mut Call<'_>) -> Outcome {
    let words = call.words;
    let found = words[1..].iter().filter(|key| call.read(key).is_some());
    Ok(Reply::Integer(found.count() as i64))
}

fn type_of(call: &mut Call<'_>) -> Outcome {
    let place = call.look_at(call.word(1));
    Ok(Reply::Simple(type_name(call, place).into()))
}

fn type_name(call: &Call<'_>, place: Option<Place>) -> &'static str {
    place.map_or("none", |place| {
        call.node.store.value(place).value_type().name()
    })
}

fn keys_like(call: &mut Call<'_>) -> Outcome {
    let (store, now) = (&call.node.store, call.node.wall());
    let pattern = call.word(1);
    let found = store
        .places()
        .filter(|&place| {
            glob::matches(pattern, store.key(place), false) && !store.is_expired(place, now)
        })
        .map(|place| Reply::Bulk(store.key(place).clone()));
    Ok(Reply::Array(found.collect()))
}

fn scan(call: &mut Call<'_>) -> Outcome {
    let cursor = scanning::cursor(call.word(1))?;
    let wanted = Scan::options(call, 2, true)?;
    let (next, keys) = call.node.store.scan(cursor, wanted.count);
    let mut found = Vec::with_capacity(keys.len());
    for key in keys {
        if !wanted.matches(&key) {
            continue;
        }
        let place = call.find(&key);
        let name = type_name(call, place);
        let is_of_type = wanted
            .type_name
            .is_none_or(|wanted| wanted.eq_ignore_ascii_case(name.as_bytes()));
        if place.is_some() && is_of_type {
            found.push(Reply::Bulk(key));
        }
    }
    Ok(scanning::answer(next, found))
}

/// How often `RANDOMKEY` draws at most while every key may have expired (`dbRandomKey`).
const MAX_DRAWS: usize = 100;

fn randomkey(call: &mut Call<'_>) -> Outcome {
    for _ in 0..MAX_DRAWS {
        let count = call.node.store.len();
        let drawn = call.node.random.keys.below(count as u32) as usize;
        let Some(place) = call.node.store.nth(drawn) else {
            return Ok(Reply::Nil);
        };
        let key = call.node.store.key(place).clone();
        if call.find(&key).is_some() {
            return Ok(Reply::Bulk(key));
        }
    }
    Ok(Reply::Nil)
}

fn rename(call: &mut Call<'_>) -> Outcome {
    move_value(call)?;
    Ok(Reply::OK)
}

fn renamenx(call: &mut Call<'_>) -> Outcome {
    let (from, to) = (call.word(1), call.word(2));
    let is_there = call.find(from).is_some();
    if is_there && call.find(to).is_some() {
        return Ok(Reply::Integer(0));
    }
    move_value(call)?;
    Ok(Reply::Integer(1))
}

/// `renameGenericCommand`.
fn move_value(call: &mut Call<'_>) -> Result<(), CommandError> {
    let (from, to) = (call.word(1), call.word(2));
    let place = call.find(from).ok_or(CommandError::NO_SUCH_KEY)?;
    if from == to {
        return Ok(());
    }
    let store = &mut call.node.store;
    let (value, expires_at_ms) = (store.value(place).clone(), store.expiry(place));
    let made = store.made(place);
    store.remove_at(place);
    if let Some(place) = call.find(to) {
        call.node.store.remove_at(place);
    }
    let store = &mut call.node.store;
    let place = store.insert(to.clone(), value, expires_at_ms);
    store.set_made(place, made);
    call.changed();
    Ok(())
}

fn copy(call: &mut Call<'_>) -> Outcome {
    let (mut replaces, mut place) = (false, 3);
    while place < call.words.len() {
        if call.says(place, "replace") {
            replaces = true;
        } else if call.says(place, "db") && place + 1 < call.words.len() {
            place += 1;
            if call.integer(place)? != 0 {
                return Err(CommandError::fixed("ERR DB index is out of range"));
            }
        } else {
            return Err(CommandError::SYNTAX);
        }
        place += 1;
    }
    let (from, to) = (call.word(1), call.word(2));
    if from == to {
        return Err(CommandError::fixed(
            "ERR source and destination objects are the same",
        ));
    }
    if call.read(from).is_none() {
        return Ok(Reply::Integer(0));
    }
    if let Some(place) = call.find(to) {
        if !replaces {
            return Ok(Reply::Integer(0));
        }
        call.node.store.remove_at(place);
    }
    let Some(place) = call.find(from) else {
        return Ok(Reply::Integer(0));
    };
    let store = &mut call.node.store;
    let (value, expires_at_ms) = (store.value(place).clone(), store.expiry(place));
    let made = store.made(place);
    let place = store.insert(to.clone(), value, expires_at_ms);
    store.set_made(place, made);
    call.changed();
    Ok(Reply::Integer(1))
}

fn dbsize(call: &mut Call<'_>) -> Outcome {
    Ok(Reply::Integer(call.node.store.len() as i64))
}

fn flush(call: &mut Call<'_>) -> Outcome {
    let known = call.says(1, "sync") || call.says(1, "async");
    if call.words.len() > 2 || (call.words.len() == 2 && !known) {
        return Err(CommandError::SYNTAX);
    }
    let keys = call.node.store.clear();
    call.node.note(Fact::Flushed { keys });
    // Even an empty keyspace: a replica's need not be.
    call.changed();
    Ok(Reply::OK)
}
