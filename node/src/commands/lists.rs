//! Lists (`t_list.c`).

use super::blocking::{self, Awaited, End};
use super::call::{Call, decimal, fixed};
use super::error::{CommandError, Outcome};
use super::shapes::{
    ADD_TO_KEY, BLOCKING, CHANGE_KEY, FAST_READ, FAST_REMOVE, FAST_WRITE, LOOK_AT_KEY, READ,
    READ_KEY, REMOVE, REMOVE_FROM_KEY, TAKE_FROM_KEY, WRITE,
};
use super::spec::{Categories, Flags, Spec, command, counted_keys, key, keys, quiet_command};
use crate::reply::Reply;
use crate::store::{List, Place};
use crate::word::Word;

const fn list(spec: Spec, since: &'static str, summary: &'static str) -> Spec {
    spec.about("list", since, summary)
        .categories(Categories::LIST)
}

pub(super) const COMMANDS: &[Spec] = &[
    list(
        command("lpush", -3, FAST_WRITE, lpush),
        "1.0.0",
        "Adds elements at the head of a list.",
    )
    .keys(ADD_TO_KEY),
    list(
        command("rpush", -3, FAST_WRITE, rpush),
        "1.0.0",
        "Adds elements at the tail of a list.",
    )
    .keys(ADD_TO_KEY),
    list(
        command("lpushx", -3, FAST_WRITE, lpushx),
        "2.2.0",
        "Adds elements at the head of a list that is there.",
    )
    .keys(ADD_TO_KEY),
    list(
        command("rpushx", -3, FAST_WRITE, rpushx),
        "2.2.0",
        "Adds elements at the tail of a list that is there.",
    )
    .keys(ADD_TO_KEY),
    list(
        command("lpop", -2, FAST_REMOVE, lpop),
        "1.0.0",
        "Takes elements from the head of a list.",
    )
    .keys(TAKE_FROM_KEY),
    list(
        command("rpop", -2, FAST_REMOVE, rpop),
        "1.0.0",
        "Takes elements from the tail of a list.",
    )
    .keys(TAKE_FROM_KEY),
    list(
        command("llen", 2, FAST_READ, llen),
        "1.0.0",
        "Counts the elements of a list.",
    )
    .keys(LOOK_AT_KEY),
    list(
        command("lindex", 3, READ, lindex),
        "1.0.0",
        "Reads an element of a list.",
    )
    .keys(READ_KEY),
    list(
        command("lset", 4, WRITE, lset),
        "1.0.0",
        "Replaces an element of a list.",
    )
    .keys(CHANGE_KEY),
    list(
        command("lrange", 4, READ, lrange),
        "1.0.0",
        "Reads a part of a list.",
    )
    .keys(READ_KEY),
    list(
        command("ltrim", 4, REMOVE, ltrim),
        "1.0.0",
        "Keeps a part of a list.",
    )
    .keys(REMOVE_FROM_KEY),
    list(
        command("lrem", 4, REMOVE, lrem),
        "1.0.0",
        "Removes elements that equal one from a list.",
    )
    .keys(REMOVE_FROM_KEY),
    list(
        command("linsert", 5, WRITE, linsert),
        "2.2.0",
        "Puts an element beside another of a list.",
    )
    .keys(ADD_TO_KEY),
    list(
        command("lpos", -3, READ, lpos),
        "6.0.6",
        "Finds elements that equal one in a list.",
    )
    .keys(READ_KEY),
    list(
        command("lmove", 5, WRITE, lmove),
        "6.2.0",
        "Moves an element from an end of a list to an end of another.",
    )
    .keys(&[
        key(1, &["RW", "access", "delete"]),
        key(2, &["RW", "insert"]),
    ]),
    list(
        command("rpoplpush", 3, WRITE, rpoplpush),
        "1.2.0",
        "Moves an element from the tail of a list to the head of another.",
    )
    .keys(&[
        key(1, &["RW", "access", "delete"]),
        key(2, &["RW", "insert"]),
    ]),
    list(
        command("lmpop", -4, REMOVE, lmpop),
        "7.0.0",
        "Takes elements from the first of some lists that has any.",
    )
    .keys(&[counted_keys(1, &["RW", "access", "delete"])]),
    list(
        quiet_command("blpop", -3, REMOVE.union(BLOCKING), blpop),
        "2.0.0",
        "Takes an element from the head of a list, waiting for one.",
    )
    .keys(&[keys(1, -2, 1, &["RW", "access", "delete"])]),
    list(
        quiet_command("brpop", -3, REMOVE.union(BLOCKING), brpop),
        "2.0.0",
        "Takes an element from the tail of a list, waiting for one.",
    )
    .keys(&[keys(1, -2, 1, &["RW", "access", "delete"])]),
    list(
        quiet_command("blmove", 6, WRITE.union(BLOCKING), blmove),
        "6.2.0",
        "Moves an element between lists, waiting for one.",
    )
    .keys(&[
        key(1, &["RW", "access", "delete"]),
        key(2, &["RW", "insert"]),
    ]),
    list(
        quiet_command("brpoplpush", 4, WRITE.union(BLOCKING), brpoplpush),
        "2.2.0",
        "Moves an element between lists, waiting for one.",
    )
    .keys(&[
        key(1, &["RW", "access", "delete"]),
        key(2, &["RW", "insert"]),
    ]),
    list(
        quiet_command("blmpop", -5, REMOVE.union(Flags::BLOCKING), blmpop),
        "7.0.0",
        "Takes elements from the first of some lists that has any, waiting for one.",
    )
    .keys(&[counted_keys(2, &["RW", "access", "delete"])]),
];

fn lpush(call: &mut Call<'_>) -> Outcome {
    push_all(call, End::Left, true)
}

fn rpush(call: &mut Call<'_>) -> Outcome {
    push_all(call, End::Right, true)
}

fn lpushx(call: &mut Call<'_>) -> Outcome {
    push_all(call, End::Left, false)
}

fn rpushx(call: &mut Call<'_>) -> Outcome {
    push_all(call, End::Right, false)
}

fn push_all(call: &mut Call<'_>, end: End, creates: bool) -> Outcome {
    let (key, items) = (call.word(1), &call.words[2..]);
    let place = call.find_as::<List>(key)?;
    if place.is_none() && !creates {
        return Ok(Reply::Integer(0));
    }
    let len = call.change(key, place, |list: &mut List, _| {
        for item in items {
            push(list, end, item.clone());
        }
        list.len()
    });
    call.changed();
    Ok(Reply::Integer(len as i64))
}

fn push(list: &mut List, end: End, item: Word) {
    match end {
        End::Left => list.push_front(item),
        End::Right => list.push_back(item),
    }
}

fn pop(list: &mut List, end: End) -> Option<Word> {
    match end {
        End::Left => list.pop_front(),
        End::Right => list.pop_back(),
    }
}

/// Takes elements from an end of a list that is there; in the order in which they come off.
fn pop_some(call: &mut Call<'_>, key: &Word, place: Place, end: End, count: usize) -> Vec<Word> {
    call.change(key, Some(place), |list: &mut List, _| {
        (0..count).map_while(|_| pop(list, end)).collect()
    })
}

fn bulks(items: Vec<Word>) -> Reply {
    Reply::Array(items.into_iter().map(Reply::Bulk).collect())
}

fn lpop(call: &mut Call<'_>) -> Outcome {
    pop_counted(call, End::Left)
}

fn rpop(call: &mut Call<'_>) -> Outcome {
    pop_counted(call, End::Right)
}

/// `popGenericCommand`.
fn pop_counted(call: &mut Call<'_>, end: End) -> Outcome {
    if call.words.len() > 3 {
        return Err(CommandError::arity(call.spec.name));
    }
    let count = (call.words.len() == 3)
        .then(|| call.positive(2))
        .transpose()?;
    let key = call.word(1);
    let Some(place) = call.find_as::<List>(key)? else {
        return Ok(count.map_or(Reply::Nil, |_| Reply::NilArray));
    };
    if count == Some(0) {
        return Ok(Reply::Array(Vec::new()));
    }
    call.changed();
    let mut items = pop_some(call, key, place, end, count.unwrap_or(1));
    Ok(match count {
        Some(_) => bulks(items),
        None => items.pop().map_or(Reply::Nil, Reply::Bulk),
    })
}

fn llen(call: &mut Call<'_>) -> Outcome {
    let list = call.read_as::<List>(call.word(1))?;
    Ok(Reply::Integer(list.map_or(0, List::len) as i64))
}

/// Where an index that may count from the tail stands in a list of `len`.
fn index_of(index: i64, len: usize) -> Option<usize> {
    let index = if index < 0 {
        index.checked_add(len as i64)?
    } else {
        index
    };
    usize::try_from(index).ok().filter(|&index| index < len)
}

fn lindex(call: &mut Call<'_>) -> Outcome {
    if call.read_as::<List>(call.word(1))?.is_none() {
        return Ok(Reply::Nil);
    }
    let index = call.integer(2)?;
    let Some(place) = call.find_as::<List>(call.word(1))? else {
        return Ok(Reply::Nil);
    };
    let list = call.collection::<List>(place)?;
    let item = index_of(index, list.len()).and_then(|index| list.get(index));
    Ok(item.map_or(Reply::Nil, |item| Reply::Bulk(item.clone())))
}

fn lset(call: &mut Call<'_>) -> Outcome {
    let (key, item) = (call.word(1), call.word(3));
    let place = call
        .find_as::<List>(key)?
        .ok_or(CommandError::NO_SUCH_KEY)?;
    let index = call.integer(2)?;
    let is_set = call.change(key, Some(place), |list: &mut List, _| {
        index_of(index, list.len()).is_some_and(|index| list.set(index, item.clone()))
    });
    if !is_set {
        return Err(CommandError::fixed("ERR index out of range"));
    }
    call.changed();
    Ok(Reply::OK)
}

/// The places from `start` to `end`, both of which may count from the tail, in a list of `len`.
pub(super) fn span(start: i64, end: i64, len: usize) -> std::ops::Range<usize> {
    let len_signed = len as i64;
    let from_start = |place: i64| {
        if place < 0 {
            place.saturating_add(len_signed)
        } else {
            place
        }
    };
    let (start, end) = (from_start(start).max(0), from_start(end));
    if start > end || start >= len_signed {
        return 0..0;
    }
    start as usize..(end.min(len_signed - 1) + 1) as usize
}

fn lrange(call: &mut Call<'_>) -> Outcome {
    let (start, end) = (call.integer(2)?, call.integer(3)?);
    let Some(list) = call.read_as::<List>(call.word(1))? else {
        return Ok(Reply::Array(Vec::new()));
    };
    let span = span(start, end, list.len());
    let items = list.range(span.start, span.end);
    Ok(Reply::Array(items.cloned().map(Reply::Bulk).collect()))
}

fn ltrim(call: &mut Call<'_>) -> Outcome {
    let (start, end) = (call.integer(2)?, call.integer(3)?);
    let key = call.word(1);
    let Some(place) = call.find_as::<List>(key)? else {
        return Ok(Reply::OK);
    };
    let trimmed = call.change(key, Some(place), |list: &mut List, _| {
        let before = list.len();
        let kept = span(start, end, before);
        list.keep(kept.start, kept.end);
        before - list.len()
    });
    if trimmed > 0 {
        call.changed();
    }
    Ok(Reply::OK)
}

fn lrem(call: &mut Call<'_>) -> Outcome {
    let count = call.integer(2)?;
    let (key, item) = (call.word(1), call.word(3));
    let Some(place) = call.find_as::<List>(key)? else {
        return Ok(Reply::Integer(0));
    };
    let max = match usize::try_from(count.unsigned_abs()) {
        Ok(0) | Err(_) => usize::MAX,
        Ok(max) => max,
    };
    let removed = call.change(key, Some(place), |list: &mut List, _| {
        list.remove_equal(item, max, count < 0)
    });
    if removed > 0 {
        call.changed();
    }
    Ok(Reply::Integer(removed as i64))
}

fn linsert(call: &mut Call<'_>) -> Outcome {
    let behind = if call.says(2, "after") {
        1
    } else if call.says(2, "before") {
        0
    } else {
        return Err(CommandError::SYNTAX);
    };
    let (key, pivot, item) = (call.word(1), call.word(3), call.word(4));
    let Some(place) = call.find_as::<List>(key)? else {
        return Ok(Reply::Integer(0));
    };
    let len = call.change(key, Some(place), |list: &mut List, _| {
        let index = list.iter().position(|held| held == pivot)?;
        list.insert(index + behind, item.clone());
        Some(list.len())
    });
    if len.is_some() {
        call.changed();
    }
    Ok(Reply::Integer(len.map_or(-1, |len| len as i64)))
}

/// What `LPOS` looks for beside the element.
struct Search {
    /// Which match is the first to be told; negative: from the tail.
    rank: i64,
    /// How many matches are told; 0: all.
    count: Option<usize>,
    /// How many elements are looked at; 0: all.
    max_len: usize,
}

fn search(call: &Call<'_>) -> Result<Search, CommandError> {
    let mut search = Search {
        rank: 1,
        count: None,
        max_len: 0,
    };
    let mut place = 3;
    while place < call.words.len() {
        let has_value = place + 1 < call.words.len();
        if has_value && call.says(place, "rank") {
            search.rank = call.integer(place + 1)?;
            if search.rank == 0 {
                return Err(CommandError::fixed(
                    "ERR RANK can't be zero: use 1 to start from the first match, 2 from the \
                     second ... or use negative to start from the end of the list",
                ));
            }
        } else if has_value && call.says(place, "count") {
            let count = call.number_from(place + 1, 0, "ERR COUNT can't be negative")?;
            search.count = Some(count);
        } else if has_value && call.says(place, "maxlen") {
            search.max_len = call.number_from(place + 1, 0, "ERR MAXLEN can't be negative")?;
        } else {
            return Err(CommandError::SYNTAX);
        }
        place += 2;
    }
    Ok(search)
}

fn lpos(call: &mut Call<'_>) -> Outcome {
    let item = call.word(2);
    let Search {
        rank,
        count,
        max_len,
    } = search(call)?;
    let Some(list) = call.read_as::<List>(call.word(1))? else {
        return Ok(count.map_or(Reply::Nil, |_| Reply::Array(Vec::new())));
    };
    let or_all = |limit: usize| if limit == 0 { usize::MAX } else { limit };
    let (looked_at, wanted) = (or_all(max_len), count.map_or(1, or_all));
    let skipped = usize::try_from(rank.unsigned_abs() - 1).unwrap_or(usize::MAX);
    let equal = |(index, held): (usize, &Word)| (held == item).then_some(index);
    let found: Vec<usize> = if rank > 0 {
        let looked_at = list.iter().enumerate().take(looked_at);
        let matches = looked_at.filter_map(equal);
        matches.skip(skipped).take(wanted).collect()
    } else {
        let looked_at = list.iter().enumerate().rev().take(looked_at);
        let matches = looked_at.filter_map(equal);
        matches.skip(skipped).take(wanted).collect()
    };
    let mut found = found.into_iter().map(|index| Reply::Integer(index as i64));
    Ok(match count {
        Some(_) => Reply::Array(found.collect()),
        None => found.next().unwrap_or(Reply::Nil),
    })
}

fn end(call: &Call<'_>, place: usize) -> Result<End, CommandError> {
    if call.says(place, "left") {
        Ok(End::Left)
    } else if call.says(place, "right") {
        Ok(End::Right)
    } else {
        Err(CommandError::SYNTAX)
    }
}

fn lmove(call: &mut Call<'_>) -> Outcome {
    let (from, to) = (end(call, 3)?, end(call, 4)?);
    move_one(call, from, to)
}

fn rpoplpush(call: &mut Call<'_>) -> Outcome {
    move_one(call, End::Right, End::Left)
}

/// `lmoveGenericCommand`.
fn move_one(call: &mut Call<'_>, from: End, to: End) -> Outcome {
    let (source, destination) = (call.word(1), call.word(2));
    let Some(place) = call.find_as::<List>(source)? else {
        return Ok(Reply::Nil);
    };
    let item = move_between(call, source, place, destination, from, to)?;
    call.changed();
    Ok(item)
}

fn move_between(
    call: &mut Call<'_>,
    source: &Word,
    place: Place,
    destination: &Word,
    from: End,
    to: End,
) -> Outcome {
    call.find_as::<List>(destination)?;
    // The look at the destination may have removed it, and moved the source in the table.
    let place = call.find_as::<List>(source)?.unwrap_or(place);
    if source == destination {
        let item = call.change(source, Some(place), |list: &mut List, _| {
            let item = pop(list, from)?;
            push(list, to, item.clone());
            Some(item)
        });
        return Ok(item.map_or(Reply::Nil, Reply::Bulk));
    }
    let Some(item) = pop_some(call, source, place, from, 1).pop() else {
        return Ok(Reply::Nil);
    };
    let place = call.find_as::<List>(destination)?;
    call.change(destination, place, |list: &mut List, _| {
        push(list, to, item.clone());
    });
    Ok(Reply::Bulk(item))
}

/// What `LMPOP` and `BLMPOP` take, the number of keys standing at `place`.
fn multiple_pop<'a>(call: &Call<'a>, place: usize) -> Result<(&'a [Word], Awaited), CommandError> {
    let count = call.number_from(place, 1, "ERR numkeys should be greater than 0")?;
    let end_place = count.saturating_add(place + 1);
    if end_place >= call.words.len() {
        return Err(CommandError::SYNTAX);
    }
    let end = end(call, end_place)?;
    let count = blocking::count_option(call, end_place + 1)?;
    let awaited = Awaited::Elements {
        end,
        count: Some(count),
    };
    Ok((&call.words[place + 1..end_place], awaited))
}

fn lmpop(call: &mut Call<'_>) -> Outcome {
    let (keys, awaited) = multiple_pop(call, 1)?;
    Ok(blocking::take_first(call, keys, &awaited)?.unwrap_or(Reply::NilArray))
}

fn blmpop(call: &mut Call<'_>) -> Result<Option<Reply>, CommandError> {
    let (keys, awaited) = multiple_pop(call, 2)?;
    let deadline = blocking::deadline(call, 1)?;
    blocking::take_or_wait(call, keys, awaited, deadline)
}

fn blpop(call: &mut Call<'_>) -> Result<Option<Reply>, CommandError> {
    blocking_pop(call, End::Left)
}

fn brpop(call: &mut Call<'_>) -> Result<Option<Reply>, CommandError> {
    blocking_pop(call, End::Right)
}

fn blocking_pop(call: &mut Call<'_>, end: End) -> Result<Option<Reply>, CommandError> {
    let last = call.words.len() - 1;
    let deadline = blocking::deadline(call, last)?;
    let awaited = Awaited::Elements { end, count: None };
    blocking::take_or_wait(call, &call.words[1..last], awaited, deadline)
}

fn blmove(call: &mut Call<'_>) -> Result<Option<Reply>, CommandError> {
    let (from, to) = (end(call, 3)?, end(call, 4)?);
    let awaited = Awaited::Move {
        from,
        to,
        destination: call.word(2).clone(),
        is_rpoplpush: false,
    };
    let deadline = blocking::deadline(call, 5)?;
    blocking::take_or_wait(call, &call.words[1..2], awaited, deadline)
}

fn brpoplpush(call: &mut Call<'_>) -> Result<Option<Reply>, CommandError> {
    let awaited = Awaited::Move {
        from: End::Right,
        to: End::Left,
        destination: call.word(2).clone(),
        is_rpoplpush: true,
    };
    let deadline = blocking::deadline(call, 3)?;
    blocking::take_or_wait(call, &call.words[1..2], awaited, deadline)
}

/// Takes from a list what a client wanted, with or without having waited.
pub(super) fn take(
    call: &mut Call<'_>,
    key: &Word,
    place: Place,
    end: End,
    count: Option<usize>,
) -> Outcome {
    let name = match end {
        End::Left => "LPOP",
        End::Right => "RPOP",
    };
    let mut items = pop_some(call, key, place, end, count.unwrap_or(1));
    let mut effect = vec![fixed(name), key.clone()];
    if count.is_some() {
        effect.push(decimal(items.len() as i64));
    }
    call.changed_as(effect);
    let taken = match count {
        Some(_) => bulks(items),
        None => items.pop().map_or(Reply::Nil, Reply::Bulk),
    };
    Ok(Reply::Array(vec![Reply::Bulk(key.clone()), taken]))
}

/// Moves an element for a client that wanted it, with or without having waited.
pub(super) fn take_to(
    call: &mut Call<'_>,
    source: &Word,
    place: Place,
    destination: &Word,
    (from, to): (End, End),
    is_rpoplpush: bool,
) -> Outcome {
    let item = move_between(call, source, place, destination, from, to)?;
    let (source, destination) = (source.clone(), destination.clone());
    if is_rpoplpush {
        call.changed_as([fixed("RPOPLPUSH"), source, destination]);
    } else {
        let (from, to) = (fixed(from.name()), fixed(to.name()));
        call.changed_as([fixed("LMOVE"), source, destination, from, to]);
    }
    Ok(item)
}
