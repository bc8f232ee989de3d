//! Hashes (`t_hash.c`).

use super::call::{Call, decimal, fixed};
use super::error::{CommandError, Outcome};
use super::number::Extended;
use super::sampling::{Sample, pick};
use super::scanning::scan_collection;
use super::shapes::{
    ADD_TO_KEY, CHANGE_KEY, FAST_READ, FAST_REMOVE, FAST_WRITE, LOOK_AT_KEY, READ, READ_KEY,
    REMOVE_FROM_KEY, UPDATE_KEY,
};
use super::spec::{Categories, Spec, command};
use crate::reply::Reply;
use crate::store::{Hash, Place};
use crate::wire::resp::string_to_i64;
use crate::word::Word;

const fn hash(spec: Spec, since: &'static str, summary: &'static str) -> Spec {
    spec.about("hash", since, summary)
        .categories(Categories::HASH)
}

pub(super) const COMMANDS: &[Spec] = &[
    hash(
        command("hset", -4, FAST_WRITE, hset),
        "2.0.0",
        "Gives fields of a hash values.",
    )
    .keys(CHANGE_KEY),
    hash(
        command("hmset", -4, FAST_WRITE, hmset),
        "2.0.0",
        "Gives fields of a hash values.",
    )
    .keys(CHANGE_KEY),
    hash(
        command("hsetnx", 4, FAST_WRITE, hsetnx),
        "2.0.0",
        "Gives a field of a hash a value if it has none.",
    )
    .keys(ADD_TO_KEY),
    hash(
        command("hget", 3, FAST_READ, hget),
        "2.0.0",
        "Reads a field of a hash.",
    )
    .keys(READ_KEY),
    hash(
        command("hmget", -3, FAST_READ, hmget),
        "2.0.0",
        "Reads fields of a hash.",
    )
    .keys(READ_KEY),
    hash(
        command("hdel", -3, FAST_REMOVE, hdel),
        "2.0.0",
        "Removes fields of a hash.",
    )
    .keys(REMOVE_FROM_KEY),
    hash(
        command("hlen", 2, FAST_READ, hlen),
        "2.0.0",
        "Counts the fields of a hash.",
    )
    .keys(LOOK_AT_KEY),
    hash(
        command("hstrlen", 3, FAST_READ, hstrlen),
        "3.2.0",
        "Tells the length of a field's value.",
    )
    .keys(LOOK_AT_KEY),
    hash(
        command("hkeys", 2, READ, hkeys),
        "2.0.0",
        "Names the fields of a hash.",
    )
    .keys(READ_KEY)
    .tips(&["nondeterministic_output_order"]),
    hash(
        command("hvals", 2, READ, hvals),
        "2.0.0",
        "Reads all values of a hash.",
    )
    .keys(READ_KEY)
    .tips(&["nondeterministic_output_order"]),
    hash(
        command("hgetall", 2, READ, hgetall),
        "2.0.0",
        "Reads all fields of a hash.",
    )
    .keys(READ_KEY)
    .tips(&["nondeterministic_output_order"]),
    hash(
        command("hexists", 3, FAST_READ, hexists),
        "2.0.0",
        "Tells whether a hash has a field.",
    )
    .keys(LOOK_AT_KEY),
    hash(
        command("hincrby", 4, FAST_WRITE, hincrby),
        "2.0.0",
        "Adds to a number in a hash.",
    )
    .keys(UPDATE_KEY),
    hash(
        command("hincrbyfloat", 4, FAST_WRITE, hincrbyfloat),
        "2.6.0",
        "Adds to a number with decimals in a hash.",
    )
    .keys(UPDATE_KEY),
    hash(
        command("hrandfield", -2, READ, hrandfield),
        "6.2.0",
        "Names some fields of a hash.",
    )
    .keys(READ_KEY)
    .tips(&["nondeterministic_output"]),
    hash(
        command("hscan", -3, READ, hscan),
        "2.8.0",
        "Lists the fields of a hash, some at a time.",
    )
    .keys(READ_KEY)
    .tips(&["nondeterministic_output"]),
];

fn hset(call: &mut Call<'_>) -> Outcome {
    put_pairs(call).map(|added| Reply::Integer(added as i64))
}

fn hmset(call: &mut Call<'_>) -> Outcome {
    put_pairs(call).map(|_| Reply::OK)
}

/// Writes pairs of fields and values; how many fields are new.
fn put_pairs(call: &mut Call<'_>) -> Result<usize, CommandError> {
    if call.words.len() % 2 == 1 {
        return Err(CommandError::arity(call.spec.name));
    }
    let (key, pairs) = (call.word(1), &call.words[2..]);
    let place = call.find_as::<Hash>(key)?;
    let added = call.change(key, place, |hash: &mut Hash, limits| {
        let put = |pair: &[Word]| hash.insert_within(pair[0].clone(), pair[1].clone(), limits);
        pairs
            .chunks_exact(2)
            .map(put)
            .filter(|&added| added)
            .count()
    });
    call.changed();
    Ok(added)
}

fn hsetnx(call: &mut Call<'_>) -> Outcome {
    let (key, field, value) = (call.word(1), call.word(2), call.word(3));
    let place = call.find_as::<Hash>(key)?;
    if let Some(place) = place
        && call.collection::<Hash>(place)?.get(field).is_some()
    {
        return Ok(Reply::Integer(0));
    }
    put(call, place, value.clone());
    call.changed();
    Ok(Reply::Integer(1))
}

/// Gives the field that the command names a value.
fn put(call: &mut Call<'_>, place: Option<Place>, value: Word) {
    let (key, field) = (call.word(1), call.word(2).clone());
    call.change(key, place, |hash: &mut Hash, limits| {
        hash.insert_within(field, value, limits)
    });
}

fn hget(call: &mut Call<'_>) -> Outcome {
    let field = call.word(2);
    let hash = call.read_as::<Hash>(call.word(1))?;
    Ok(value_of(hash, field))
}

fn value_of(hash: Option<&Hash>, field: &[u8]) -> Reply {
    hash.and_then(|hash| hash.get(field))
        .map_or(Reply::Nil, |value| Reply::Bulk(value.clone()))
}

fn hmget(call: &mut Call<'_>) -> Outcome {
    let fields = &call.words[2..];
    let hash = call.read_as::<Hash>(call.word(1))?;
    let values = fields.iter().map(|field| value_of(hash, field));
    Ok(Reply::Array(values.collect()))
}

fn hdel(call: &mut Call<'_>) -> Outcome {
    let (key, fields) = (call.word(1), &call.words[2..]);
    let Some(place) = call.find_as::<Hash>(key)? else {
        return Ok(Reply::Integer(0));
    };
    let removed = call.change(key, Some(place), |hash: &mut Hash, _| {
        fields.iter().filter(|field| hash.remove(field)).count()
    });
    if removed > 0 {
        call.changed();
    }
    Ok(Reply::Integer(removed as i64))
}

fn hlen(call: &mut Call<'_>) -> Outcome {
    let hash = call.read_as::<Hash>(call.word(1))?;
    Ok(Reply::Integer(hash.map_or(0, Hash::len) as i64))
}

fn hstrlen(call: &mut Call<'_>) -> Outcome {
    let field = call.word(2);
    let hash = call.read_as::<Hash>(call.word(1))?;
    let value = hash.and_then(|hash| hash.get(field));
    Ok(Reply::Integer(value.map_or(0, |value| value.len()) as i64))
}

fn hkeys(call: &mut Call<'_>) -> Outcome {
    let hash = call.read_as::<Hash>(call.word(1))?;
    let fields = hash.into_iter().flat_map(Hash::iter);
    Ok(Reply::Array(
        fields
            .map(|(field, _)| Reply::Bulk(field.clone()))
            .collect(),
    ))
}

fn hvals(call: &mut Call<'_>) -> Outcome {
    let hash = call.read_as::<Hash>(call.word(1))?;
    let fields = hash.into_iter().flat_map(Hash::iter);
    Ok(Reply::Array(
        fields
            .map(|(_, value)| Reply::Bulk(value.clone()))
            .collect(),
    ))
}

fn hgetall(call: &mut Call<'_>) -> Outcome {
    let hash = call.read_as::<Hash>(call.word(1))?;
    let fields = hash.into_iter().flat_map(Hash::iter);
    let pair =
        |(field, value): (&Word, &Word)| (Reply::Bulk(field.clone()), Reply::Bulk(value.clone()));
    Ok(Reply::Map(fields.map(pair).collect()))
}

fn hexists(call: &mut Call<'_>) -> Outcome {
    let field = call.word(2);
    let hash = call.read_as::<Hash>(call.word(1))?;
    let is_there = hash.is_some_and(|hash| hash.get(field).is_some());
    Ok(Reply::Integer(i64::from(is_there)))
}

fn hincrby(call: &mut Call<'_>) -> Outcome {
    let by = call.integer(3)?;
    let place = call.find_as::<Hash>(call.word(1))?;
    let old = match field_at(call, place)? {
        Some(value) => {
            string_to_i64(&value).ok_or(CommandError::fixed("ERR hash value is not an integer"))?
        }
        None => 0,
    };
    let new = old.checked_add(by).ok_or(CommandError::fixed(
        "ERR increment or decrement would overflow",
    ))?;
    put(call, place, decimal(new));
    call.changed();
    Ok(Reply::Integer(new))
}

fn field_at(call: &Call<'_>, place: Option<Place>) -> Result<Option<Word>, CommandError> {
    let hash = place
        .map(|place| call.collection::<Hash>(place))
        .transpose()?;
    Ok(hash.and_then(|hash| hash.get(call.word(2)).cloned()))
}

fn hincrbyfloat(call: &mut Call<'_>) -> Outcome {
    let by = Extended::read(call.word(3))
        .ok_or(CommandError::fixed("ERR value is not a valid float"))?;
    if !by.is_finite() {
        return Err(CommandError::fixed("ERR value is NaN or Infinity"));
    }
    let place = call.find_as::<Hash>(call.word(1))?;
    let old = match field_at(call, place)? {
        Some(value) => {
            Extended::read(&value).ok_or(CommandError::fixed("ERR hash value is not a float"))?
        }
        None => Extended::ZERO,
    };
    let sum = old + by;
    if !sum.is_finite() {
        return Err(CommandError::fixed(
            "ERR increment would produce NaN or Infinity",
        ));
    }
    let new = Word::from(sum.to_string());
    put(call, place, new.clone());
    call.changed_as([
        fixed("HSET"),
        call.word(1).clone(),
        call.word(2).clone(),
        new.clone(),
    ]);
    Ok(Reply::Bulk(new))
}

fn hrandfield(call: &mut Call<'_>) -> Outcome {
    let key = call.word(1);
    if call.words.len() == 2 {
        let Some(len) = call.read_as::<Hash>(key)?.map(Hash::len) else {
            return Ok(Reply::Nil);
        };
        let place = pick(call, len);
        return Ok(fields(call, &[place], false)?.pop().unwrap_or(Reply::Nil));
    }
    let sample = Sample::read(call, 2)?;
    let with_values = call.says(3, "withvalues");
    if call.words.len() > 4 || (call.words.len() == 4 && !with_values) {
        return Err(CommandError::SYNTAX);
    }
    if with_values {
        sample.check_doubled()?;
    }
    let Some(len) = call.read_as::<Hash>(key)?.map(Hash::len) else {
        return Ok(Reply::Array(Vec::new()));
    };
    let places = sample.places(call, len);
    fields(call, &places, with_values).map(Reply::Array)
}

/// The fields at some places of the hash that the command names.
fn fields(
    call: &mut Call<'_>,
    places: &[usize],
    with_values: bool,
) -> Result<Vec<Reply>, CommandError> {
    let resp3 = call.speaks_resp3();
    let Some(place) = call.find_as::<Hash>(call.word(1))? else {
        return Ok(Vec::new());
    };
    let hash = call.collection::<Hash>(place)?;
    let mut replies = Vec::new();
    for (field, value) in places.iter().filter_map(|&place| hash.nth(place)) {
        let (field, value) = (Reply::Bulk(field.clone()), Reply::Bulk(value.clone()));
        match (with_values, resp3) {
            (false, _) => replies.push(field),
            (true, true) => replies.push(Reply::Array(vec![field, value])),
            (true, false) => replies.extend([field, value]),
        }
    }
    Ok(replies)
}

fn hscan(call: &mut Call<'_>) -> Outcome {
    scan_collection(
        call,
        Hash::scan,
        |(field, _)| field,
        |(field, value), found| found.extend([Reply::Bulk(field), Reply::Bulk(value)]),
    )
}
