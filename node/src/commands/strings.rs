//! Strings (`t_string.c`).

use crate::word::Word;

use super::call::{Call, decimal, fixed};
use super::error::{CommandError, Outcome};
use super::number::Extended;
use super::shapes::{FAST_READ, FAST_WRITE, READ_KEY, UPDATE_KEY, WRITE};
use super::spec::{Categories, Flags, KeySpec, Spec, command, key, keys};
use crate::input::CommandLine;
use crate::reply::Reply;
use crate::store::{Made, Place, Value};
use crate::wire::resp::string_to_i64;

const OVERWRITE_KEY: &[KeySpec] = &[key(1, &["OW", "update"])];

const MULTI_SHARD: &str = "request_policy:multi_shard";

const fn string(spec: Spec, since: &'static str, summary: &'static str) -> Spec {
    spec.about("string", since, summary)
        .categories(Categories::STRING)
}

pub(super) const COMMANDS: &[Spec] = &[
    string(
        command("get", 2, FAST_READ, get),
        "1.0.0",
        "Reads a string.",
    )
    .keys(READ_KEY),
    string(
        command("set", -3, WRITE, set),
        "1.0.0",
        "Writes a string, on conditions, for a time.",
    )
    .keys(&[key(1, &["RW", "access", "update", "variable_flags"])]),
    string(
        command("setnx", 3, FAST_WRITE, setnx),
        "1.0.0",
        "Writes a string if the key is free.",
    )
    .keys(&[key(1, &["OW", "insert"])]),
    string(
        command("setex", 4, WRITE, setex),
        "2.0.0",
        "Writes a string for some seconds.",
    )
    .keys(OVERWRITE_KEY),
    string(
        command("psetex", 4, WRITE, psetex),
        "2.6.0",
        "Writes a string for some milliseconds.",
    )
    .keys(OVERWRITE_KEY),
    string(
        command("getset", 3, FAST_WRITE, getset),
        "1.0.0",
        "Replaces a string, telling the old one.",
    )
    .keys(UPDATE_KEY),
    string(
        command("getdel", 2, Flags::WRITE.union(Flags::FAST), getdel),
        "6.2.0",
        "Reads a string and removes it.",
    )
    .keys(&[key(1, &["RW", "access", "delete"])]),
    string(
        command("getex", -2, Flags::WRITE.union(Flags::FAST), getex),
        "6.2.0",
        "Reads a string and changes its time to live.",
    )
    .keys(UPDATE_KEY),
    string(
        command("append", 3, FAST_WRITE, append),
        "2.0.0",
        "Makes a string longer.",
    )
    .keys(&[key(1, &["RW", "insert"])]),
    string(
        command("strlen", 2, FAST_READ, strlen),
        "2.2.0",
        "Tells the length of a string.",
    )
    .keys(&[key(1, &["RO"])]),
    string(
        command("setrange", 4, WRITE, setrange),
        "2.2.0",
        "Overwrites a part of a string.",
    )
    .keys(&[key(1, &["RW", "update"])]),
    string(
        command("getrange", 4, Flags::READONLY, getrange),
        "2.4.0",
        "Reads a part of a string.",
    )
    .keys(READ_KEY),
    string(
        command("substr", 4, Flags::READONLY, getrange),
        "1.0.0",
        "Reads a part of a string.",
    )
    .keys(READ_KEY),
    string(
        command("incr", 2, FAST_WRITE, incr),
        "1.0.0",
        "Adds one to a number.",
    )
    .keys(UPDATE_KEY),
    string(
        command("decr", 2, FAST_WRITE, decr),
        "1.0.0",
        "Takes one from a number.",
    )
    .keys(UPDATE_KEY),
    string(
        command("incrby", 3, FAST_WRITE, incrby),
        "1.0.0",
        "Adds to a number.",
    )
    .keys(UPDATE_KEY),
    string(
        command("decrby", 3, FAST_WRITE, decrby),
        "1.0.0",
        "Takes from a number.",
    )
    .keys(UPDATE_KEY),
    string(
        command("incrbyfloat", 3, FAST_WRITE, incrbyfloat),
        "2.6.0",
        "Adds to a number with decimals.",
    )
    .keys(UPDATE_KEY),
    string(
        command("mget", -2, FAST_READ, mget),
        "1.0.0",
        "Reads several strings.",
    )
    .keys(&[keys(1, -1, 1, &["RO", "access"])])
    .tips(&[MULTI_SHARD]),
    string(
        command("mset", -3, WRITE, mset),
        "1.0.1",
        "Writes several strings.",
    )
    .keys(&[keys(1, -1, 2, &["OW", "update"])])
    .tips(&[MULTI_SHARD, "response_policy:all_succeeded"]),
    string(
        command("msetnx", -3, WRITE, msetnx),
        "1.0.1",
        "Writes several strings if all keys are free.",
    )
    .keys(&[keys(1, -1, 2, &["OW", "insert"])])
    .tips(&[MULTI_SHARD, "response_policy:agg_min"]),
];

fn get(call: &mut Call<'_>) -> Outcome {
    Ok(or_nil(call.read_string(call.word(1))?))
}

fn or_nil(value: Option<Word>) -> Reply {
    value.map_or(Reply::Nil, Reply::Bulk)
}

/// The options of `SET` and `GETEX`.
#[derive(Default)]
struct Options {
    only_if: Option<Presence>,
    get: bool,
    keep_ttl: bool,
    persist: bool,
    expiry: Option<(TimeKind, usize)>,
}

/// What must hold of a key for `SET` to write it.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Presence {
    /// It is free (`NX`).
    Absent,
    /// It is there (`XX`).
    Present,
}

/// The form an expiry is given in.
#[derive(Clone, Copy, PartialEq, Eq)]
enum TimeKind {
    Ex,
    Px,
    ExAt,
    PxAt,
}

impl TimeKind {
    fn of(word: &[u8]) -> Option<Self> {
        let is = |name: &str| word.eq_ignore_ascii_case(name.as_bytes());
        [
            ("EX", Self::Ex),
            ("PX", Self::Px),
            ("EXAT", Self::ExAt),
            ("PXAT", Self::PxAt),
        ]
        .into_iter()
        .find_map(|(name, kind)| is(name).then_some(kind))
    }

    const fn is_absolute(self) -> bool {
        matches!(self, Self::ExAt | Self::PxAt)
    }

    const fn is_in_seconds(self) -> bool {
        matches!(self, Self::Ex | Self::ExAt)
    }
}

/// Which command's options are read.
#[derive(Clone, Copy, PartialEq, Eq)]
enum OptionsOf {
    Set,
    GetEx,
}

/// `parseExtendedStringArgumentsOrReply`. An expiry option may be given again in the same form;
/// the last counts.
fn options(call: &Call<'_>, of: OptionsOf, start: usize) -> Result<Options, CommandError> {
    let mut options = Options::default();
    let mut place = start;
    while let Some(word) = call.words.get(place) {
        let set = of == OptionsOf::Set;
        if set && call.says(place, "NX") && options.only_if != Some(Presence::Present) {
            options.only_if = Some(Presence::Absent);
        } else if set && call.says(place, "XX") && options.only_if != Some(Presence::Absent) {
            options.only_if = Some(Presence::Present);
        } else if set && call.says(place, "GET") {
            options.get = true;
        } else if set && call.says(place, "KEEPTTL") && options.expiry.is_none() {
            options.keep_ttl = true;
        } else if !set && call.says(place, "PERSIST") && options.expiry.is_none() {
            options.persist = true;
        } else if let Some(kind) = TimeKind::of(word)
            && !options.keep_ttl
            && !options.persist
            && options.expiry.is_none_or(|(other, _)| other == kind)
            && place + 1 < call.words.len()
        {
            place += 1;
            options.expiry = Some((kind, place));
        } else {
            return Err(CommandError::SYNTAX);
        }
        place += 1;
    }
    Ok(options)
}

/// Unix ms at which a time given as `kind` ends (`getExpireMillisecondsOrReply`).
fn expiry_ms(call: &Call<'_>, kind: TimeKind, place: usize) -> Result<i64, CommandError> {
    let time = call.integer(place)?;
    let in_ms = if kind.is_in_seconds() {
        time.checked_mul(1000)
    } else {
        Some(time)
    };
    let start_ms = if kind.is_absolute() {
        0
    } else {
        call.node.wall().0
    };
    in_ms
        .filter(|&ms| ms > 0)
        .and_then(|ms| ms.checked_add(start_ms))
        .filter(|&ms| ms > 0)
        .ok_or_else(|| CommandError::expire_time(call.spec.name))
}

fn set(call: &mut Call<'_>) -> Outcome {
    if call.words.len() == 3 {
        return set_plainly(call);
    }
    let options = options(call, OptionsOf::Set, 3)?;
    let expires_at_ms = options
        .expiry
        .map(|(kind, place)| expiry_ms(call, kind, place))
        .transpose()?;
    let (key, value) = (call.word(1), call.word(2));
    let old = if options.get {
        Some(or_nil(call.read_string(key)?))
    } else {
        None
    };
    let place = call.find(key);
    let refused = match options.only_if {
        None => false,
        Some(Presence::Absent) => place.is_some(),
        Some(Presence::Present) => place.is_none(),
    };
    if refused {
        return Ok(old.unwrap_or(Reply::Nil));
    }
    let kept_ms = place
        .filter(|_| options.keep_ttl)
        .and_then(|place| call.node.store.expiry(place));
    call.put(key, place, value.clone(), expires_at_ms.or(kept_ms));
    call.wrote(key, value);
    match expires_at_ms {
        Some(at_ms) => call.changed_as(set_until(key, value, at_ms)),
        None if options.get => call.changed_as(without_get(call.words)),
        None => call.changed(),
    }
    Ok(old.unwrap_or(Reply::OK))
}

/// `SET` without options, which is most of what is ever sent.
fn set_plainly(call: &mut Call<'_>) -> Outcome {
    let (key, value) = (call.word(1), call.word(2));
    if !call.put_new(key, value) {
        let place = call.find(key);
        call.put(key, place, value.clone(), None);
    }
    call.wrote(key, value);
    call.changed();
    Ok(Reply::OK)
}

/// `SET` with a time to live, as replicas are told: with the time it ends.
fn set_until(key: &Word, value: &Word, at_ms: i64) -> [Word; 5] {
    [
        fixed("SET"),
        key.clone(),
        value.clone(),
        fixed("PXAT"),
        decimal(at_ms),
    ]
}

fn without_get(words: &[Word]) -> CommandLine {
    let stays = |&(place, word): &(usize, &Word)| place < 3 || !word.eq_ignore_ascii_case(b"get");
    let kept = words.iter().enumerate().filter(stays);
    kept.map(|(_, word)| word.clone()).collect()
}

fn setnx(call: &mut Call<'_>) -> Outcome {
    let (key, value) = (call.word(1), call.word(2));
    if call.find(key).is_some() {
        return Ok(Reply::Integer(0));
    }
    call.put(key, None, value.clone(), None);
    call.wrote(key, value);
    call.changed();
    Ok(Reply::Integer(1))
}

fn setex(call: &mut Call<'_>) -> Outcome {
    set_for(call, TimeKind::Ex)
}

fn psetex(call: &mut Call<'_>) -> Outcome {
    set_for(call, TimeKind::Px)
}

fn set_for(call: &mut Call<'_>, kind: TimeKind) -> Outcome {
    let at_ms = expiry_ms(call, kind, 2)?;
    let (key, value) = (call.word(1), call.word(3));
    let place = call.find(key);
    call.put(key, place, value.clone(), Some(at_ms));
    call.wrote(key, value);
    call.changed_as(set_until(key, value, at_ms));
    Ok(Reply::OK)
}

fn getset(call: &mut Call<'_>) -> Outcome {
    let (key, value) = (call.word(1), call.word(2));
    let old = call.read_string(key)?;
    let place = call.find(key);
    call.put(key, place, value.clone(), None);
    call.wrote(key, value);
    call.changed_as([fixed("SET"), key.clone(), value.clone()]);
    Ok(or_nil(old))
}

fn getdel(call: &mut Call<'_>) -> Outcome {
    let key = call.word(1);
    let value = call.read_string(key)?;
    if call.node.store.remove(key) {
        call.changed_as([fixed("DEL"), key.clone()]);
    }
    Ok(or_nil(value))
}

fn getex(call: &mut Call<'_>) -> Outcome {
    let options = options(call, OptionsOf::GetEx, 2)?;
    let key = call.word(1);
    let Some(place) = call.read(key) else {
        return Ok(Reply::Nil);
    };
    let value = call.string(place)?.clone();
    if let Some((kind, word)) = options.expiry {
        let at_ms = expiry_ms(call, kind, word)?;
        if kind.is_absolute() && call.is_over(at_ms) {
            call.node.store.remove_at(place);
            call.changed_as([fixed("DEL"), key.clone()]);
        } else {
            call.node.store.set_expiry(place, Some(at_ms));
            call.changed_as([fixed("PEXPIREAT"), key.clone(), decimal(at_ms)]);
        }
    } else if options.persist && call.node.store.set_expiry(place, None) {
        call.changed_as([fixed("PERSIST"), key.clone()]);
    }
    Ok(Reply::Bulk(value))
}

fn append(call: &mut Call<'_>) -> Outcome {
    let (key, tail) = (call.word(1), call.word(2));
    let len = match call.find(key) {
        None => {
            call.put(key, None, tail.clone(), None);
            tail.len()
        }
        Some(place) => {
            let len = call.string(place)?.len() + tail.len();
            check_len(call, len)?;
            call.node.store.change(place, |value| {
                if let Value::String(text) = value {
                    *text = std::mem::take(text).append(tail);
                }
            });
            call.node.store.set_made(place, Made::InPlace);
            len
        }
    };
    call.wrote(key, tail);
    call.changed();
    Ok(Reply::Integer(len as i64))
}

/// Even a master is not believed that it made a string longer than this, bytes: rather would the
/// stream be damaged.
const MAX_LEN_FROM_MASTER: u64 = 1 << 32;

/// Whether a string may be that long (`checkStringLength`).
fn check_len(call: &Call<'_>, len: usize) -> Result<(), CommandError> {
    let max_len = match call.client() {
        Some(_) => call.node.config.proto_max_bulk_len_bytes,
        None => MAX_LEN_FROM_MASTER,
    };
    if len as u64 > max_len {
        return Err(CommandError::STRING_TOO_LONG);
    }
    Ok(())
}

fn strlen(call: &mut Call<'_>) -> Outcome {
    let value = call.read_string(call.word(1))?;
    Ok(Reply::Integer(value.map_or(0, |text| text.len()) as i64))
}

fn setrange(call: &mut Call<'_>) -> Outcome {
    let offset = call.integer(2)?;
    let Ok(offset) = usize::try_from(offset) else {
        return Err(CommandError::fixed("ERR offset is out of range"));
    };
    let (key, part) = (call.word(1), call.word(3));
    let place = call.find(key);
    let old = match place {
        Some(place) => call.string(place)?.clone(),
        None => Word::new(),
    };
    if part.is_empty() {
        return Ok(Reply::Integer(old.len() as i64));
    }
    let end = offset.saturating_add(part.len());
    check_len(call, end)?;
    let mut new = old.to_vec();
    new.resize(new.len().max(end), 0);
    new[offset..end].copy_from_slice(part);
    let len = new.len();
    call.put_made(key, place, new.into(), Made::InPlace);
    call.changed();
    Ok(Reply::Integer(len as i64))
}

fn getrange(call: &mut Call<'_>) -> Outcome {
    let (start, end) = (call.integer(2)?, call.integer(3)?);
    let value = call.read_string(call.word(1))?.unwrap_or_default();
    let len = value.len() as i64;
    if start < 0 && end < 0 && start > end {
        return Ok(Reply::Bulk(Word::new()));
    }
    let from_start = |place: i64| {
        if place < 0 {
            place.saturating_add(len).max(0)
        } else {
            place
        }
    };
    let (start, end) = (from_start(start), from_start(end).min(len - 1));
    if start > end || len == 0 {
        return Ok(Reply::Bulk(Word::new()));
    }
    Ok(Reply::Bulk(Word::copy_from_slice(
        &value[start as usize..=end as usize],
    )))
}

fn incr(call: &mut Call<'_>) -> Outcome {
    add(call, 1)
}

fn decr(call: &mut Call<'_>) -> Outcome {
    add(call, -1)
}

fn incrby(call: &mut Call<'_>) -> Outcome {
    let by = call.integer(2)?;
    add(call, by)
}

fn decrby(call: &mut Call<'_>) -> Outcome {
    let by = call
        .integer(2)?
        .checked_neg()
        .ok_or(CommandError::fixed("ERR decrement would overflow"))?;
    add(call, by)
}

/// `incrDecrCommand`.
fn add(call: &mut Call<'_>, by: i64) -> Outcome {
    let key = call.word(1);
    let place = call.find(key);
    let old = number_at(call, place)?;
    let new = old.checked_add(by).ok_or(CommandError::fixed(
        "ERR increment or decrement would overflow",
    ))?;
    let text = decimal(new);
    call.wrote(key, &text);
    let kept_ms = place.and_then(|place| call.node.store.expiry(place));
    call.put(key, place, text, kept_ms);
    call.changed();
    Ok(Reply::Integer(new))
}

fn number_at(call: &Call<'_>, place: Option<Place>) -> Result<i64, CommandError> {
    match place {
        None => Ok(0),
        Some(place) => string_to_i64(call.string(place)?).ok_or(CommandError::NOT_AN_INTEGER),
    }
}

fn incrbyfloat(call: &mut Call<'_>) -> Outcome {
    const NOT_A_FLOAT: CommandError = CommandError::fixed("ERR value is not a valid float");
    let key = call.word(1);
    let place = call.find(key);
    let old = match place {
        Some(place) => Extended::read(call.string(place)?).ok_or(NOT_A_FLOAT)?,
        None => Extended::ZERO,
    };
    let sum = old + Extended::read(call.word(2)).ok_or(NOT_A_FLOAT)?;
    if !sum.is_finite() {
        return Err(CommandError::fixed(
            "ERR increment would produce NaN or Infinity",
        ));
    }
    let new = Word::from(sum.to_string());
    call.wrote(key, &new);
    call.put_made(key, place, new.clone(), Made::Text);
    call.changed_as([fixed("SET"), key.clone(), new.clone(), fixed("KEEPTTL")]);
    Ok(Reply::Bulk(new))
}

fn mget(call: &mut Call<'_>) -> Outcome {
    let words = call.words;
    let value = |key: &Word| match call.read_string(key) {
        Ok(value) => or_nil(value),
        // Another type than a string.
        Err(_) => Reply::Nil,
    };
    Ok(Reply::Array(words[1..].iter().map(value).collect()))
}

fn mset(call: &mut Call<'_>) -> Outcome {
    check_pairs(call)?;
    put_pairs(call);
    Ok(Reply::OK)
}

fn msetnx(call: &mut Call<'_>) -> Outcome {
    check_pairs(call)?;
    for pair in call.words[1..].chunks_exact(2) {
        if call.find(&pair[0]).is_some() {
            return Ok(Reply::Integer(0));
        }
    }
    put_pairs(call);
    Ok(Reply::Integer(1))
}

fn check_pairs(call: &Call<'_>) -> Result<(), CommandError> {
    if call.words.len().is_multiple_of(2) {
        return Err(CommandError::arity(call.spec.name));
    }
    Ok(())
}

fn put_pairs(call: &mut Call<'_>) {
    for pair in call.words[1..].chunks_exact(2) {
        let place = call.find(&pair[0]);
        call.put(&pair[0], place, pair[1].clone(), None);
        call.wrote(&pair[0], &pair[1]);
    }
    call.changed();
}
