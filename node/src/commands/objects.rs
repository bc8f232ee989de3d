//! `OBJECT` and `MEMORY`: what is known of values beside their content.

use super::call::Call;
use super::error::{CommandError, Outcome};
use super::shapes::READ;
use super::spec::{Categories, Flags, Spec, command, container, key};
use crate::node::Node;
use crate::reply::Reply;
use crate::store::{Encoding, Place};

const ANYTIME: Flags = Flags::LOADING.union(Flags::STALE);
const VARYING: &[&str] = &["nondeterministic_output"];
const ALL_SHARDS: &[&str] = &[
    "nondeterministic_output",
    "request_policy:all_shards",
    "response_policy:special",
];

const fn object(spec: Spec, since: &'static str, summary: &'static str) -> Spec {
    spec.about("generic", since, summary)
        .categories(Categories::KEYSPACE)
}

const fn memory(spec: Spec, summary: &'static str) -> Spec {
    spec.about("server", "4.0.0", summary)
}

pub(super) const COMMANDS: &[Spec] = &[
    container("object", OBJECT).about("generic", "2.2.3", "Tells how a value is kept."),
    container("memory", MEMORY).about("server", "4.0.0", "Tells what takes memory."),
];

const OBJECT: &[Spec] = &[
    object(
        command("object|encoding", 3, READ, encoding),
        "2.2.3",
        "Tells the form a value is kept in.",
    )
    .keys(&[key(2, &["RO"])])
    .tips(VARYING),
    object(
        command("object|freq", 3, READ, freq),
        "4.0.0",
        "Tells how often a value is used.",
    )
    .keys(&[key(2, &["RO"])])
    .tips(VARYING),
    object(
        command("object|help", 2, ANYTIME, object_help),
        "6.2.0",
        "Describes the subcommands.",
    ),
    object(
        command("object|idletime", 3, READ, idletime),
        "2.2.3",
        "Tells how long a value was not used.",
    )
    .keys(&[key(2, &["RO"])])
    .tips(VARYING),
    object(
        command("object|refcount", 3, READ, refcount),
        "2.2.3",
        "Tells how many hold a value.",
    )
    .keys(&[key(2, &["RO"])])
    .tips(VARYING),
];

const MEMORY: &[Spec] = &[
    memory(
        command("memory|doctor", 2, Flags::empty(), doctor),
        "Tells what is wrong with the memory.",
    )
    .tips(ALL_SHARDS),
    memory(
        command("memory|help", 2, ANYTIME, memory_help),
        "Describes the subcommands.",
    ),
    memory(
        command("memory|malloc-stats", 2, Flags::empty(), malloc_stats),
        "Tells what the allocator knows.",
    )
    .tips(ALL_SHARDS),
    memory(
        command("memory|purge", 2, Flags::empty(), purge),
        "Has the allocator give memory back.",
    )
    .tips(&["request_policy:all_shards", "response_policy:all_succeeded"]),
    memory(
        command("memory|stats", 2, Flags::empty(), stats),
        "Tells what takes how much memory.",
    )
    .tips(ALL_SHARDS),
    memory(
        command("memory|usage", -3, READ, usage),
        "Tells how much memory a key takes.",
    )
    .keys(&[key(2, &["RO"])]),
];

fn object_help(call: &mut Call<'_>) -> Outcome {
    call.help(&[
        "ENCODING <key>",
        "    Tell the form the value of <key> is kept in.",
        "FREQ <key>",
        "    Tell how often <key> is used, on a logarithmic scale.",
        "IDLETIME <key>",
        "    Tell how many seconds ago <key> was used.",
        "REFCOUNT <key>",
        "    Tell how many hold the value of <key>.",
    ])
}

/// Answers with something about the key at hand.
fn about_key(call: &mut Call<'_>, tell: impl FnOnce(&Call<'_>, Place) -> Outcome) -> Outcome {
    match call.look_at(call.word(2)) {
        Some(place) => tell(call, place),
        None => Ok(Reply::Nil),
    }
}

fn encoding(call: &mut Call<'_>) -> Outcome {
    about_key(call, |call, place| {
        let encoding = call.node.store.encoding(place);
        Ok(Reply::bulk(encoding.name()))
    })
}

fn freq(call: &mut Call<'_>) -> Outcome {
    about_key(call, |call, place| {
        let config = &call.node.config;
        if !config.maxmemory_policy.counts_uses() {
            return Err(CommandError::fixed(
                "ERR An LFU maxmemory policy is not selected, access frequency not tracked. Please \
                 note that when switching between policies at runtime LRU and LFU data will take \
                 some time to adjust.",
            ));
        }
        let uses = call.node.store.uses(place, config.lfu_decay_time_min);
        Ok(Reply::Integer(i64::from(uses)))
    })
}

fn idletime(call: &mut Call<'_>) -> Outcome {
    about_key(call, |call, place| {
        if call.node.config.maxmemory_policy.counts_uses() {
            return Err(CommandError::fixed(
                "ERR An LFU maxmemory policy is selected, idle time not tracked. Please note that \
                 when switching between policies at runtime LRU and LFU data will take some time \
                 to adjust.",
            ));
        }
        let idle_s = call.node.store.idle_s(place);
        Ok(Reply::Integer(i64::from(idle_s)))
    })
}

/// From 0 up to this, without, upstream has one object for each number (`OBJ_SHARED_INTEGERS`).
const SHARED_INTEGERS: i64 = 10_000;

/// What shared objects count as (`OBJ_SHARED_REFCOUNT`).
const SHARED_COUNT: i64 = i32::MAX as i64;

fn refcount(call: &mut Call<'_>) -> Outcome {
    about_key(call, |call, place| {
        Ok(Reply::Integer(shared_by(call.node, place)))
    })
}

/// How many hold a value.
pub(super) fn shared_by(node: &Node, place: Place) -> i64 {
    let (config, store) = (&node.config, &node.store);
    // Where uses are marked in the objects themselves, none is shared.
    let shares = config.maxmemory_bytes == 0 || !config.maxmemory_policy.marks_uses();
    let is_shared = shares
        && store.encoding(place) == Encoding::Int
        && store
            .value(place)
            .as_string()
            .and_then(|text| crate::wire::resp::string_to_i64(text))
            .is_some_and(|number| (0..SHARED_INTEGERS).contains(&number));
    if is_shared { SHARED_COUNT } else { 1 }
}

fn memory_help(call: &mut Call<'_>) -> Outcome {
    call.help(&[
        "DOCTOR",
        "    Tell what is wrong with the memory.",
        "MALLOC-STATS",
        "    Tell what the allocator knows.",
        "PURGE",
        "    Have the allocator give memory back.",
        "STATS",
        "    Tell what takes how much memory.",
        "USAGE <key> [SAMPLES <count>]",
        "    Tell how many bytes <key> and its value take. Every element counts; <count> is",
        "    taken and has no effect.",
    ])
}

fn usage(call: &mut Call<'_>) -> Outcome {
    let mut place = 3;
    while place < call.words.len() {
        if !call.says(place, "samples") || place + 1 == call.words.len() {
            return Err(CommandError::SYNTAX);
        }
        if call.integer(place + 1)? < 0 {
            return Err(CommandError::SYNTAX);
        }
        place += 2;
    }
    let store = &call.node.store;
    let bytes = store
        .find(call.word(2))
        .map(|place| store.entry_bytes(place));
    Ok(bytes.map_or(Reply::Nil, |bytes| Reply::Integer(bytes as i64)))
}

/// Below this there is nothing to examine, bytes.
const EMPTY_BYTES: usize = 5 << 20;

fn doctor(call: &mut Call<'_>) -> Outcome {
    let report = if call.node.store.used_bytes() < EMPTY_BYTES {
        "Hi Sam, this instance is empty or is using very little memory, my issue detector can't be \
         used in these conditions. Please, leave for your mission on Earth and fill it with some \
         data. The new Sam and I will be back to our programming as soon as I finished \
         rebooting.\n"
    } else {
        "Hi Sam, I can't find any memory issue in your instance. I can only account for what \
         occurs on this base.\n"
    };
    Ok(Reply::Verbatim(report.to_owned()))
}

fn malloc_stats(_: &mut Call<'_>) -> Outcome {
    Ok(Reply::bulk("Stats not supported for the current allocator"))
}

fn purge(_: &mut Call<'_>) -> Outcome {
    Ok(Reply::OK)
}

/// What is known of it without a look at the process; the rest is left out.
fn stats(call: &mut Call<'_>) -> Outcome {
    let node = &call.node;
    let used = node.store.used_bytes();
    let keys = node.store.len();
    let backlog = node
        .replication
        .backlog()
        .map_or(0, |(_, len)| len as usize);
    let overhead = node.store.overhead_bytes();
    let dataset = used - overhead;
    let percentage = if used == 0 {
        0.0
    } else {
        dataset as f64 * 100.0 / used as f64
    };
    let number = |value: usize| Reply::Integer(value as i64);
    let mut pairs = vec![
        ("total.allocated", number(used)),
        ("startup.allocated", number(0)),
        ("replication.backlog", number(backlog)),
    ];
    if keys > 0 {
        let main = vec![(Reply::bulk("overhead.hashtable.main"), number(overhead))];
        pairs.push(("db.0", Reply::Map(main)));
    }
    pairs.extend([
        ("overhead.total", number(overhead + backlog)),
        ("keys.count", number(keys)),
        (
            "keys.bytes-per-key",
            number(used.checked_div(keys).unwrap_or(0)),
        ),
        ("dataset.bytes", number(dataset)),
        ("dataset.percentage", Reply::Double(percentage)),
    ]);
    let named = |(name, value): (&'static str, Reply)| (Reply::bulk(name), value);
    Ok(Reply::Map(pairs.into_iter().map(named).collect()))
}
