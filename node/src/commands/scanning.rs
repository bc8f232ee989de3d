//! What `SCAN`, `SSCAN`, `HSCAN` and `ZSCAN` have in common (`scanGenericCommand`).

use super::call::Call;
use super::error::CommandError;
use super::glob;
use crate::reply::Reply;
use crate::store::Collection;
use crate::word::Word;

/// What a scan was asked for.
pub(super) struct Scan<'a> {
    pub(super) count: usize,
    pattern: Option<&'a Word>,
    pub(super) type_name: Option<&'a Word>,
}

impl<'a> Scan<'a> {
    /// Reads the options from the word at `start` on.
    pub(super) fn options(
        call: &Call<'a>,
        start: usize,
        takes_type: bool,
    ) -> Result<Self, CommandError> {
        let mut wanted = Self {
            count: 10,
            pattern: None,
            type_name: None,
        };
        let mut place = start;
        while place < call.words.len() {
            if place + 1 == call.words.len() {
                return Err(CommandError::SYNTAX);
            }
            if call.says(place, "count") {
                let count = call.integer(place + 1)?;
                wanted.count = usize::try_from(count)
                    .ok()
                    .filter(|&count| count > 0)
                    .ok_or(CommandError::SYNTAX)?;
            } else if call.says(place, "match") {
                wanted.pattern = Some(call.word(place + 1));
            } else if takes_type && call.says(place, "type") {
                wanted.type_name = Some(call.word(place + 1));
            } else {
                return Err(CommandError::SYNTAX);
            }
            place += 2;
        }
        Ok(wanted)
    }

    pub(super) fn matches(&self, name: &[u8]) -> bool {
        self.pattern
            .is_none_or(|pattern| glob::matches(pattern, name, false))
    }
}

/// Scans a collection. `scan` tells what is next; `reply` makes an element's part of the answer,
/// and `name` is what the pattern is held against.
pub(super) fn scan_collection<T: Collection, E>(
    call: &mut Call<'_>,
    scan: impl Fn(&T, u64, usize) -> (u64, Vec<E>),
    name: impl Fn(&E) -> &[u8],
    reply: impl Fn(E, &mut Vec<Reply>),
) -> Result<Reply, CommandError> {
    let cursor = cursor(call.word(2))?;
    if call.read_as::<T>(call.word(1))?.is_none() {
        return Ok(answer(0, Vec::new()));
    }
    let wanted = Scan::options(call, 3, false)?;
    let Some(place) = call.find_as::<T>(call.word(1))? else {
        return Ok(answer(0, Vec::new()));
    };
    let (next, elements) = scan(call.collection(place)?, cursor, wanted.count);
    let mut found = Vec::with_capacity(elements.len());
    for element in elements {
        if wanted.matches(name(&element)) {
            reply(element, &mut found);
        }
    }
    Ok(answer(next, found))
}

pub(super) fn answer(next: u64, found: Vec<Reply>) -> Reply {
    Reply::Array(vec![Reply::bulk(next.to_string()), Reply::Array(found)])
}

/// Reads a cursor as C's `strtoul` does, sign and all (`parseScanCursorOrReply`).
pub(super) fn cursor(word: &[u8]) -> Result<u64, CommandError> {
    const INVALID: CommandError = CommandError::fixed("ERR invalid cursor");
    let (negative, digits) = match word {
        [b'-', digits @ ..] => (true, digits),
        [b'+', digits @ ..] => (false, digits),
        digits => (false, digits),
    };
    if digits.is_empty() {
        // `strtoul` reads nothing as zero.
        return if word.is_empty() { Ok(0) } else { Err(INVALID) };
    }
    let mut cursor = 0_u64;
    for digit in digits {
        if !digit.is_ascii_digit() {
            return Err(INVALID);
        }
        cursor = cursor
            .checked_mul(10)
            .and_then(|tens| tens.checked_add(u64::from(digit - b'0')))
            .ok_or(INVALID)?;
    }
    Ok(if negative {
        cursor.wrapping_neg()
    } else {
        cursor
    })
}
