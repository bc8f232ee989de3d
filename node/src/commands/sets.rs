//! Sets (`t_set.c`).

use std::sync::Arc;

use super::call::{Call, fixed};
use super::error::{CommandError, Outcome};
use super::sampling::{Sample, distinct, pick};
use super::scanning::scan_collection;
use super::shapes::{
    ADD_TO_KEY, FAST_READ, FAST_REMOVE, FAST_WRITE, LOOK_AT_KEY, READ, READ_KEY, REMOVE_FROM_KEY,
    TAKE_FROM_KEY, WRITE,
};
use super::spec::{Categories, Spec, command, counted_keys, key, keys};
use crate::reply::Reply;
use crate::store::{Set, Value};
use crate::word::Word;

const fn set(spec: Spec, since: &'static str, summary: &'static str) -> Spec {
    spec.about("set", since, summary)
        .categories(Categories::SET)
}

pub(super) const COMMANDS: &[Spec] = &[
    set(
        command("sadd", -3, FAST_WRITE, sadd),
        "1.0.0",
        "Adds members to a set.",
    )
    .keys(ADD_TO_KEY),
    set(
        command("srem", -3, FAST_REMOVE, srem),
        "1.0.0",
        "Removes members from a set.",
    )
    .keys(REMOVE_FROM_KEY),
    set(
        command("sismember", 3, FAST_READ, sismember),
        "1.0.0",
        "Tells whether a word is a member of a set.",
    )
    .keys(LOOK_AT_KEY),
    set(
        command("smismember", -3, FAST_READ, smismember),
        "6.2.0",
        "Tells which words are members of a set.",
    )
    .keys(READ_KEY),
    set(
        command("smembers", 2, READ, smembers),
        "1.0.0",
        "Reads a set.",
    )
    .keys(READ_KEY)
    .tips(&["nondeterministic_output_order"]),
    set(
        command("scard", 2, FAST_READ, scard),
        "1.0.0",
        "Counts the members of a set.",
    )
    .keys(LOOK_AT_KEY),
    set(
        command("spop", -2, FAST_REMOVE, spop),
        "1.0.0",
        "Takes members, drawn at random, from a set.",
    )
    .keys(TAKE_FROM_KEY)
    .tips(&["nondeterministic_output"]),
    set(
        command("srandmember", -2, READ, srandmember),
        "1.0.0",
        "Draws members of a set at random.",
    )
    .keys(READ_KEY)
    .tips(&["nondeterministic_output"]),
    set(
        command("smove", 4, FAST_REMOVE, smove),
        "1.0.0",
        "Moves a member from a set to another.",
    )
    .keys(&[
        key(1, &["RW", "access", "delete"]),
        key(2, &["RW", "insert"]),
    ]),
    set(
        command("sinter", -2, READ, sinter),
        "1.0.0",
        "Intersects sets.",
    )
    .keys(&[keys(1, -1, 1, &["RO", "access"])])
    .tips(&["nondeterministic_output_order"]),
    set(
        command("sintercard", -3, READ, sintercard),
        "7.0.0",
        "Counts what sets have in common.",
    )
    .keys(&[counted_keys(1, &["RO", "access"])]),
    set(
        command("sinterstore", -3, WRITE, sinterstore),
        "1.0.0",
        "Keeps what sets have in common.",
    )
    .keys(&[key(1, &["RW", "update"]), keys(2, -1, 1, &["RO", "access"])]),
    set(command("sunion", -2, READ, sunion), "1.0.0", "Unites sets.")
        .keys(&[keys(1, -1, 1, &["RO", "access"])])
        .tips(&["nondeterministic_output_order"]),
    set(
        command("sunionstore", -3, WRITE, sunionstore),
        "1.0.0",
        "Keeps the union of sets.",
    )
    .keys(&[key(1, &["OW", "update"]), keys(2, -1, 1, &["RO", "access"])]),
    set(
        command("sdiff", -2, READ, sdiff),
        "1.0.0",
        "Subtracts sets from the first.",
    )
    .keys(&[keys(1, -1, 1, &["RO", "access"])])
    .tips(&["nondeterministic_output_order"]),
    set(
        command("sdiffstore", -3, WRITE, sdiffstore),
        "1.0.0",
        "Keeps the difference of sets.",
    )
    .keys(&[key(1, &["OW", "update"]), keys(2, -1, 1, &["RO", "access"])]),
    set(
        command("sscan", -3, READ, sscan),
        "2.8.0",
        "Lists the members of a set, some at a time.",
    )
    .keys(READ_KEY)
    .tips(&["nondeterministic_output"]),
];

fn sadd(call: &mut Call<'_>) -> Outcome {
    let (key, members) = (call.word(1), &call.words[2..]);
    let place = call.find_as::<Set>(key)?;
    let added = call.change(key, place, |set: &mut Set, limits| {
        let add = |member: &&Word| set.insert_within(Word::clone(member), limits);
        members.iter().filter(add).count()
    });
    if added > 0 {
        call.changed();
    }
    Ok(Reply::Integer(added as i64))
}

fn srem(call: &mut Call<'_>) -> Outcome {
    let (key, members) = (call.word(1), &call.words[2..]);
    let Some(place) = call.find_as::<Set>(key)? else {
        return Ok(Reply::Integer(0));
    };
    let removed = call.change(key, Some(place), |set: &mut Set, _| {
        members.iter().filter(|member| set.remove(member)).count()
    });
    if removed > 0 {
        call.changed();
    }
    Ok(Reply::Integer(removed as i64))
}

fn smove(call: &mut Call<'_>) -> Outcome {
    let (source, destination, member) = (call.word(1), call.word(2), call.word(3));
    call.find(destination);
    let Some(place) = call.find(source) else {
        return Ok(Reply::Integer(0));
    };
    call.collection::<Set>(place)?;
    call.find_as::<Set>(destination)?;
    if source == destination {
        let is_member = call.collection::<Set>(place)?.contains(member);
        return Ok(Reply::Integer(i64::from(is_member)));
    }
    let removed = call.change(source, Some(place), |set: &mut Set, _| set.remove(member));
    if !removed {
        return Ok(Reply::Integer(0));
    }
    let place = call.find_as::<Set>(destination)?;
    call.change(destination, place, |set: &mut Set, limits| {
        set.insert_within(member.clone(), limits)
    });
    call.changed();
    Ok(Reply::Integer(1))
}

fn sismember(call: &mut Call<'_>) -> Outcome {
    let member = call.word(2);
    let set = call.read_as::<Set>(call.word(1))?;
    let is_member = set.is_some_and(|set| set.contains(member));
    Ok(Reply::Integer(i64::from(is_member)))
}

fn smismember(call: &mut Call<'_>) -> Outcome {
    let members = &call.words[2..];
    let set = call.read_as::<Set>(call.word(1))?;
    let is_member = |member: &Word| set.is_some_and(|set| set.contains(member));
    let replies = members
        .iter()
        .map(|member| Reply::Integer(i64::from(is_member(member))));
    Ok(Reply::Array(replies.collect()))
}

fn scard(call: &mut Call<'_>) -> Outcome {
    let set = call.read_as::<Set>(call.word(1))?;
    Ok(Reply::Integer(set.map_or(0, Set::len) as i64))
}

fn smembers(call: &mut Call<'_>) -> Outcome {
    let set = call.read_as::<Set>(call.word(1))?;
    let members = set.into_iter().flat_map(Set::iter);
    Ok(Reply::Set(members.map(Reply::Bulk).collect()))
}

fn spop(call: &mut Call<'_>) -> Outcome {
    if call.words.len() > 3 {
        return Err(CommandError::SYNTAX);
    }
    let count = (call.words.len() == 3)
        .then(|| call.positive(2))
        .transpose()?;
    let key = call.word(1);
    let Some(place) = call.find_as::<Set>(key)? else {
        return Ok(count.map_or(Reply::Nil, |_| Reply::Set(Vec::new())));
    };
    let len = call.collection::<Set>(place)?.len();
    let places = match count {
        None => vec![pick(call, len)],
        Some(count) if count >= len => (0..len).collect(),
        Some(count) => distinct(call, len, count),
    };
    if places.is_empty() {
        return Ok(Reply::Set(Vec::new()));
    }
    let set = call.collection::<Set>(place)?;
    let members: Vec<Word> = places.iter().filter_map(|&nth| set.nth(nth)).collect();
    call.change(key, Some(place), |set: &mut Set, _| {
        for member in &members {
            set.remove(member);
        }
    });
    if count.is_some() && members.len() == len {
        call.changed_as([fixed("DEL"), key.clone()]);
    } else {
        let words = [fixed("SREM"), key.clone()].into_iter();
        call.changed_as(words.chain(members.iter().cloned()).collect::<Vec<_>>());
    }
    let mut members = members.into_iter().map(Reply::Bulk);
    Ok(match count {
        Some(_) => Reply::Set(members.collect()),
        None => members.next().unwrap_or(Reply::Nil),
    })
}

fn srandmember(call: &mut Call<'_>) -> Outcome {
    if call.words.len() > 3 {
        return Err(CommandError::SYNTAX);
    }
    let sample = (call.words.len() == 3)
        .then(|| Sample::read(call, 2))
        .transpose()?;
    let Some(len) = call.read_as::<Set>(call.word(1))?.map(Set::len) else {
        return Ok(sample.map_or(Reply::Nil, |_| Reply::Array(Vec::new())));
    };
    let places = match sample {
        Some(sample) => sample.places(call, len),
        None => vec![pick(call, len)],
    };
    let Some(place) = call.find_as::<Set>(call.word(1))? else {
        return Ok(Reply::Nil);
    };
    let set = call.collection::<Set>(place)?;
    let mut members = places
        .into_iter()
        .filter_map(|nth| set.nth(nth))
        .map(Reply::Bulk);
    Ok(match sample {
        Some(_) => Reply::Array(members.collect()),
        None => members.next().unwrap_or(Reply::Nil),
    })
}

/// The sets of some keys; `None` where there is none.
fn sets(call: &mut Call<'_>, keys: &[Word]) -> Result<Vec<Option<Arc<Set>>>, CommandError> {
    let mut sets = Vec::with_capacity(keys.len());
    for key in keys {
        let held = call.read(key).map(|place| call.node.store.value(place));
        sets.push(match held {
            None => None,
            Some(Value::Set(set)) => Some(Arc::clone(set)),
            Some(Value::String(_) | Value::List(_) | Value::SortedSet(_) | Value::Hash(_)) => {
                return Err(CommandError::WRONG_TYPE);
            }
        });
    }
    Ok(sets)
}

/// How sets are put together.
#[derive(Clone, Copy)]
enum Algebra {
    Intersection,
    Union,
    Difference,
}

/// What sets have in common, at most `max`, in the order of the smallest.
fn intersection(sets: Vec<Option<Arc<Set>>>, max: usize) -> Vec<Word> {
    let Some(mut sets) = sets.into_iter().collect::<Option<Vec<_>>>() else {
        return Vec::new();
    };
    sets.sort_by_key(|set| set.len());
    let Some((smallest, others)) = sets.split_first() else {
        return Vec::new();
    };
    let is_in_all = |member: &Word| others.iter().all(|set| set.contains(member));
    smallest.iter().filter(is_in_all).take(max).collect()
}

fn put_together(call: &mut Call<'_>, algebra: Algebra, keys: &[Word]) -> Result<Set, CommandError> {
    let sets = sets(call, keys)?;
    let limits = call.node.config.limits;
    let mut result = Set::new();
    match algebra {
        Algebra::Intersection => {
            for member in intersection(sets, usize::MAX) {
                result.insert_within(member, &limits);
            }
        }
        Algebra::Union => {
            for member in sets.iter().flatten().flat_map(|set| set.iter()) {
                result.insert_within(member, &limits);
            }
        }
        Algebra::Difference => {
            let mut sets = sets.into_iter();
            let first = sets.next().flatten();
            let others: Vec<Arc<Set>> = sets.flatten().collect();
            for member in first.iter().flat_map(|set| set.iter()) {
                if !others.iter().any(|set| set.contains(&member)) {
                    result.insert_within(member, &limits);
                }
            }
        }
    }
    Ok(result)
}

fn tell(call: &mut Call<'_>, algebra: Algebra) -> Outcome {
    let result = put_together(call, algebra, &call.words[1..])?;
    Ok(Reply::Set(result.iter().map(Reply::Bulk).collect()))
}

fn keep(call: &mut Call<'_>, algebra: Algebra) -> Outcome {
    let result = put_together(call, algebra, &call.words[2..])?;
    call.store_result(result.len(), result.into())
}

fn sinter(call: &mut Call<'_>) -> Outcome {
    tell(call, Algebra::Intersection)
}

fn sinterstore(call: &mut Call<'_>) -> Outcome {
    keep(call, Algebra::Intersection)
}

fn sunion(call: &mut Call<'_>) -> Outcome {
    tell(call, Algebra::Union)
}

fn sunionstore(call: &mut Call<'_>) -> Outcome {
    keep(call, Algebra::Union)
}

fn sdiff(call: &mut Call<'_>) -> Outcome {
    tell(call, Algebra::Difference)
}

fn sdiffstore(call: &mut Call<'_>) -> Outcome {
    keep(call, Algebra::Difference)
}

fn sintercard(call: &mut Call<'_>) -> Outcome {
    let count = call.number_from(1, 1, "ERR numkeys should be greater than 0")?;
    if count > call.words.len() - 2 {
        return Err(CommandError::fixed(
            "ERR Number of keys can't be greater than number of args",
        ));
    }
    let mut max = usize::MAX;
    let mut place = 2 + count;
    while place < call.words.len() {
        if !call.says(place, "limit") || place + 1 == call.words.len() {
            return Err(CommandError::SYNTAX);
        }
        let limit = call.number_from(place + 1, 0, "ERR LIMIT can't be negative")?;
        max = if limit == 0 { usize::MAX } else { limit };
        place += 2;
    }
    let sets = sets(call, &call.words[2..2 + count])?;
    Ok(Reply::Integer(intersection(sets, max).len() as i64))
}

fn sscan(call: &mut Call<'_>) -> Outcome {
    scan_collection(
        call,
        Set::scan,
        |member| member,
        |member, found| found.push(Reply::Bulk(member)),
    )
}
