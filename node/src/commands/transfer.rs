//! Values on their way: `DUMP` and `RESTORE` (`cluster.c`).

use super::call::{Call, decimal, fixed};
use super::error::{CommandError, Outcome};
use super::spec::{Categories, Flags, Spec, command, key};
use crate::node::Node;
use crate::reply::Reply;
use crate::store::Value;
use crate::wire::rdb;
use crate::word::Word;

const GROWS: Flags = Flags::WRITE.union(Flags::DENYOOM);

const DANGEROUS: Categories = Categories::KEYSPACE.union(Categories::DANGEROUS);

pub(super) const COMMANDS: &[Spec] = &[
    command("dump", 2, Flags::READONLY, dump)
        .about(
            "generic",
            "2.6.0",
            "Gives a key's value as bytes that RESTORE takes.",
        )
        .keys(&[key(1, &["RO", "access"])])
        .categories(Categories::KEYSPACE)
        .tips(&["nondeterministic_output"]),
    command("restore", -4, GROWS, restore)
        .about("generic", "2.6.0", "Makes a key of what DUMP gave.")
        .keys(&[key(1, &["OW", "update"])])
        .categories(DANGEROUS),
    command("restore-asking", -4, GROWS.union(Flags::ASKING), restore)
        .about(
            "server",
            "3.0.0",
            "Makes a key of a slot that is being imported.",
        )
        .keys(&[key(1, &["OW", "update"])])
        .categories(DANGEROUS),
];

fn dump(call: &mut Call<'_>) -> Outcome {
    let Some(place) = call.read(call.word(1)) else {
        return Ok(Reply::Nil);
    };
    let value = call.node.store.value(place);
    Ok(Reply::bulk(payload(call.node, value)))
}

/// A value as `DUMP` gives it.
pub(super) fn payload(node: &Node, value: &Value) -> Word {
    let list_fill = node
        .config
        .get("list-max-listpack-size")
        .and_then(|fill| fill.parse().ok())
        .unwrap_or(rdb::DEFAULT_LIST_FILL);
    Word::from(rdb::dump(value, list_fill).freeze())
}

/// The options of `RESTORE`.
#[derive(Default)]
struct Options {
    replace: bool,
    absolute: bool,
}

fn restore(call: &mut Call<'_>) -> Outcome {
    let options = options(call)?;
    let key = call.word(1);
    if !options.replace && call.find(key).is_some() {
        return Err(CommandError::fixed(
            "BUSYKEY Target key name already exists.",
        ));
    }
    let ttl_ms = call.integer(2)?;
    if ttl_ms < 0 {
        return Err(CommandError::err("Invalid TTL value, must be >= 0"));
    }
    let value = rdb::restore(call.word(3), &call.node.config.limits).map_err(CommandError::err)?;
    let old = if options.replace {
        call.find(key)
    } else {
        None
    };
    if let Some(place) = old {
        call.node.store.remove_at(place);
    }
    let expires_at_ms = match (ttl_ms, options.absolute) {
        (0, _) => None,
        (at_ms, true) => Some(at_ms),
        (ttl_ms, false) => Some(call.node.wall().0.saturating_add(ttl_ms)),
    };
    if expires_at_ms.is_some_and(|at_ms| call.is_over(at_ms)) {
        if old.is_some() {
            call.changed_as([fixed("DEL"), key.clone()]);
        }
        return Ok(Reply::OK);
    }
    if let Value::String(text) = &value {
        call.wrote(key, text);
    }
    call.node.store.insert(key.clone(), value, expires_at_ms);
    match expires_at_ms {
        Some(at_ms) if !options.absolute => {
            let mut words = call.words.to_vec();
            words[2] = decimal(at_ms);
            words.push(fixed("ABSTTL"));
            call.changed_as(words);
        }
        Some(_) | None => call.changed(),
    }
    Ok(Reply::OK)
}

fn options(call: &Call<'_>) -> Result<Options, CommandError> {
    let mut options = Options::default();
    let (mut idle, mut frequency) = (false, false);
    let mut place = 4;
    while place < call.words.len() {
        let has_more = place + 1 < call.words.len();
        if call.says(place, "replace") {
            options.replace = true;
        } else if call.says(place, "absttl") {
            options.absolute = true;
        } else if call.says(place, "idletime") && has_more && !frequency {
            place += 1;
            if call.integer(place)? < 0 {
                return Err(CommandError::err("Invalid IDLETIME value, must be >= 0"));
            }
            idle = true;
        } else if call.says(place, "freq") && has_more && !idle {
            place += 1;
            if !(0..=255).contains(&call.integer(place)?) {
                return Err(CommandError::err(
                    "Invalid FREQ value, must be >= 0 and <= 255",
                ));
            }
            frequency = true;
        } else {
            return Err(CommandError::SYNTAX);
        }
        place += 1;
    }
    Ok(options)
}
