//! Strings bit by bit (`bitops.c`).

use super::call::Call;
use super::error::{CommandError, Outcome};
use super::shapes::{FAST_READ, READ, READ_KEY, UPDATE_KEY, WRITE};
use super::spec::{Categories, Spec, command, key, keys};
use crate::reply::Reply;
use crate::store::{Made, Value};
use crate::wire::resp::string_to_i64;
use crate::word::Word;

const fn bitmap(spec: Spec, since: &'static str, summary: &'static str) -> Spec {
    spec.about("bitmap", since, summary)
        .categories(Categories::BITMAP)
}

pub(super) const COMMANDS: &[Spec] = &[
    bitmap(
        command("setbit", 4, WRITE, setbit),
        "2.2.0",
        "Sets a bit of a string.",
    )
    .keys(UPDATE_KEY),
    bitmap(
        command("getbit", 3, FAST_READ, getbit),
        "2.2.0",
        "Reads a bit of a string.",
    )
    .keys(READ_KEY),
    bitmap(
        command("bitcount", -2, READ, bitcount),
        "2.6.0",
        "Counts the bits of a string that are set.",
    )
    .keys(READ_KEY),
    bitmap(
        command("bitpos", -3, READ, bitpos),
        "2.8.7",
        "Finds the first bit of a string that is set, or is not.",
    )
    .keys(READ_KEY),
    bitmap(
        command("bitop", -4, WRITE, bitop),
        "2.6.0",
        "Combines strings bit by bit.",
    )
    .keys(&[key(2, &["OW", "update"]), keys(3, -1, 1, &["RO", "access"])]),
];

/// A bit's place: its byte, and the bit in it counted from the lowest.
fn bit_at(call: &Call<'_>, place: usize) -> Result<(usize, u8), CommandError> {
    let max_len = match call.client() {
        Some(_) => call.node.config.proto_max_bulk_len_bytes,
        // Even a master is not believed that it made a longer string.
        None => 1 << 32,
    };
    string_to_i64(call.word(place))
        .and_then(|offset| u64::try_from(offset).ok())
        .filter(|offset| offset >> 3 < max_len)
        .and_then(|offset| {
            let byte = usize::try_from(offset >> 3).ok()?;
            Some((byte, 7 - (offset & 7) as u8))
        })
        .ok_or(CommandError::fixed(
            "ERR bit offset is not an integer or out of range",
        ))
}

fn setbit(call: &mut Call<'_>) -> Outcome {
    let (byte, bit) = bit_at(call, 2)?;
    let on = match call.word(3).as_bytes() {
        b"0" => false,
        b"1" => true,
        _ => {
            return Err(CommandError::fixed(
                "ERR bit is not an integer or out of range",
            ));
        }
    };
    let key = call.word(1);
    let place = call.find(key);
    let old = place
        .map(|place| call.string(place).cloned())
        .transpose()?
        .unwrap_or_default();
    let was_on = old.get(byte).is_some_and(|held| held >> bit & 1 == 1);
    if let Some(place) = place
        && byte < old.len()
        && was_on == on
    {
        call.node.store.set_made(place, Made::InPlace);
        return Ok(Reply::Integer(i64::from(was_on)));
    }
    let mut new = old.to_vec();
    new.resize(new.len().max(byte + 1), 0);
    new[byte] = new[byte] & !(1 << bit) | u8::from(on) << bit;
    call.put_made(key, place, new.into(), Made::InPlace);
    call.changed();
    Ok(Reply::Integer(i64::from(was_on)))
}

fn getbit(call: &mut Call<'_>) -> Outcome {
    let (byte, bit) = bit_at(call, 2)?;
    let text = call.read_string(call.word(1))?.unwrap_or_default();
    let is_on = text.get(byte).is_some_and(|held| held >> bit & 1 == 1);
    Ok(Reply::Integer(i64::from(is_on)))
}

/// Whether a range counts bits instead of bytes.
fn counts_bits(call: &Call<'_>, place: usize) -> Result<bool, CommandError> {
    if call.words.len() <= place || call.says(place, "byte") {
        Ok(false)
    } else if call.says(place, "bit") {
        Ok(true)
    } else {
        Err(CommandError::SYNTAX)
    }
}

/// The bits from `start` to `end`, both of which may count from the end of a string of `len` units
/// of `unit` bits.
fn bit_range(start: i64, end: i64, len: usize, unit: usize) -> std::ops::Range<usize> {
    let len = (len * 8 / unit) as i64;
    let from_start = |place: i64| {
        if place < 0 {
            place.saturating_add(len).max(0)
        } else {
            place
        }
    };
    let (start, end) = (from_start(start), from_start(end).min(len - 1));
    if start > end {
        return 0..0;
    }
    start as usize * unit..(end as usize + 1) * unit
}

fn bit(text: &[u8], place: usize) -> bool {
    text.get(place / 8)
        .is_some_and(|held| held >> (7 - place % 8) & 1 == 1)
}

fn bitcount(call: &mut Call<'_>) -> Outcome {
    let Some(text) = call.read_string(call.word(1))? else {
        return Ok(Reply::Integer(0));
    };
    let range = match call.words.len() {
        2 => 0..text.len() * 8,
        4 | 5 => {
            let (start, end) = (call.integer(2)?, call.integer(3)?);
            if start < 0 && end < 0 && start > end {
                return Ok(Reply::Integer(0));
            }
            let unit = if counts_bits(call, 4)? { 1 } else { 8 };
            bit_range(start, end, text.len(), unit)
        }
        _ => return Err(CommandError::SYNTAX),
    };
    // Whole bytes at once; what is left at both ends bit by bit.
    let whole = range.start.div_ceil(8)..range.end / 8;
    let count: u64 = if whole.start < whole.end {
        let inner: u64 = text[whole.clone()]
            .iter()
            .map(|byte| u64::from(byte.count_ones()))
            .sum();
        let ends = (range.start..whole.start * 8).chain(whole.end * 8..range.end);
        inner + ends.filter(|&place| bit(&text, place)).count() as u64
    } else {
        range.filter(|&place| bit(&text, place)).count() as u64
    };
    Ok(Reply::Integer(count as i64))
}

fn bitpos(call: &mut Call<'_>) -> Outcome {
    let wanted = match call.integer(2)? {
        0 => false,
        1 => true,
        _ => {
            return Err(CommandError::fixed("ERR The bit argument must be 1 or 0."));
        }
    };
    let Some(text) = call.read_string(call.word(1))? else {
        return Ok(Reply::Integer(if wanted { -1 } else { 0 }));
    };
    let (range, is_end_given) = match call.words.len() {
        3 => (0..text.len() * 8, false),
        4..=6 => {
            let start = call.integer(3)?;
            let unit = if counts_bits(call, 5)? { 1 } else { 8 };
            let is_end_given = call.words.len() > 4;
            let end = if is_end_given { call.integer(4)? } else { -1 };
            (bit_range(start, end, text.len(), unit), is_end_given)
        }
        _ => return Err(CommandError::SYNTAX),
    };
    if range.is_empty() {
        return Ok(Reply::Integer(-1));
    }
    let end = range.end;
    // Behind the end of the string are zeros, unless an end was given.
    let found = first_bit(&text, range, wanted).or((!wanted && !is_end_given).then_some(end));
    Ok(Reply::Integer(found.map_or(-1, |place| place as i64)))
}

/// The first bit of a range that is as wanted.
fn first_bit(text: &[u8], range: std::ops::Range<usize>, wanted: bool) -> Option<usize> {
    let passed_over = if wanted { 0 } else { 0xff };
    let mut place = range.start;
    while place < range.end {
        if place.is_multiple_of(8) && place + 8 <= range.end && text[place / 8] == passed_over {
            place += 8;
        } else if bit(text, place) == wanted {
            return Some(place);
        } else {
            place += 1;
        }
    }
    None
}

fn bitop(call: &mut Call<'_>) -> Outcome {
    let combine: fn(u8, u8) -> u8 = if call.says(1, "and") {
        |one, other| one & other
    } else if call.says(1, "or") {
        |one, other| one | other
    } else if call.says(1, "xor") {
        |one, other| one ^ other
    } else if call.says(1, "not") {
        |one, _| one
    } else {
        return Err(CommandError::SYNTAX);
    };
    let inverts = call.says(1, "not");
    if inverts && call.words.len() != 4 {
        return Err(CommandError::fixed(
            "ERR BITOP NOT must be called with a single source key.",
        ));
    }
    let mut texts: Vec<Word> = Vec::new();
    for key in &call.words[3..] {
        texts.push(call.read_string(key)?.unwrap_or_default());
    }
    let len = texts.iter().map(|text| text.len()).max().unwrap_or(0);
    let byte = |text: &Word, place: usize| text.get(place).copied().unwrap_or(0);
    let result: Vec<u8> = (0..len)
        .map(|place| {
            let bytes = texts.iter().map(|text| byte(text, place));
            let combined = bytes.reduce(combine).unwrap_or(0);
            if inverts { !combined } else { combined }
        })
        .collect();
    let key = call.word(2);
    let was_there = call.find(key).is_some();
    if call.put_value(key, Value::String(result.into())) || was_there {
        call.changed();
    }
    if let Some(place) = call.find(key) {
        call.node.store.set_made(place, Made::InPlace);
    }
    Ok(Reply::Integer(len as i64))
}
