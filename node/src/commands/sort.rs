//! `SORT` (`sort.c`). Patterns that name other keys are refused, as in any cluster.

use super::call::Call;
use super::error::{CommandError, Outcome};
use super::number::float;
use super::shapes::{READ, WRITE};
use super::spec::{Categories, FindKeys, Spec, command, found_by, key};
use crate::reply::Reply;
use crate::store::{List, Value};
use crate::word::Word;

const ABOUT: Categories = Categories::SET
    .union(Categories::SORTED_SET)
    .union(Categories::LIST)
    .union(Categories::DANGEROUS);

pub(super) const COMMANDS: &[Spec] = &[
    command("sort", -2, WRITE, sort)
        .about("generic", "1.0.0", "Sorts a list, a set or a sorted set.")
        .categories(ABOUT)
        .keys(&[
            key(1, &["RO", "access"]),
            found_by(0, FindKeys::Unknown, &["RO", "access"]),
            found_by(0, FindKeys::AfterStore, &["OW", "update"]),
        ]),
    command("sort_ro", -2, READ, sort_ro)
        .about("generic", "7.0.0", "Sorts a list, a set or a sorted set.")
        .categories(ABOUT)
        .keys(&[
            key(1, &["RO", "access"]),
            found_by(0, FindKeys::Unknown, &["RO", "access"]),
        ]),
];

/// What a command of this file asks for.
struct Wanted<'a> {
    descending: bool,
    by_name: bool,
    /// `BY` something that is no pattern: the order stays as it is.
    unsorted: bool,
    offset: i64,
    /// Negative: all.
    count: i64,
    store: Option<&'a Word>,
}

fn options<'a>(call: &Call<'a>, may_store: bool) -> Result<Wanted<'a>, CommandError> {
    let mut wanted = Wanted {
        descending: false,
        by_name: false,
        unsorted: false,
        offset: 0,
        count: -1,
        store: None,
    };
    let mut place = 2;
    while place < call.words.len() {
        let left = call.words.len() - place - 1;
        if call.says(place, "asc") {
            wanted.descending = false;
        } else if call.says(place, "desc") {
            wanted.descending = true;
        } else if call.says(place, "alpha") {
            wanted.by_name = true;
        } else if call.says(place, "limit") && left >= 2 {
            wanted.offset = call.integer(place + 1)?;
            wanted.count = call.integer(place + 2)?;
            place += 2;
        } else if may_store && call.says(place, "store") && left >= 1 {
            wanted.store = Some(call.word(place + 1));
            place += 1;
        } else if call.says(place, "by") && left >= 1 {
            if call.word(place + 1).contains(&b'*') {
                return Err(CommandError::fixed(
                    "ERR BY option of SORT denied in Cluster mode.",
                ));
            }
            wanted.unsorted = true;
            place += 1;
        } else if call.says(place, "get") && left >= 1 {
            return Err(CommandError::fixed(
                "ERR GET option of SORT denied in Cluster mode.",
            ));
        } else {
            return Err(CommandError::SYNTAX);
        }
        place += 1;
    }
    Ok(wanted)
}

fn sort(call: &mut Call<'_>) -> Outcome {
    let wanted = options(call, true)?;
    let sorted = sorted(call, &wanted)?;
    let Some(destination) = wanted.store else {
        return Ok(Reply::Array(sorted.into_iter().map(Reply::Bulk).collect()));
    };
    let len = sorted.len();
    let list: List = sorted.into_iter().collect();
    let was_there = call.find(destination).is_some();
    if call.put_value(destination, list.into()) || was_there {
        call.changed();
    }
    Ok(Reply::Integer(len as i64))
}

fn sort_ro(call: &mut Call<'_>) -> Outcome {
    let wanted = options(call, false)?;
    let sorted = sorted(call, &wanted)?;
    Ok(Reply::Array(sorted.into_iter().map(Reply::Bulk).collect()))
}

/// The elements that are asked for, in the order that is asked for.
fn sorted(call: &mut Call<'_>, wanted: &Wanted<'_>) -> Result<Vec<Word>, CommandError> {
    let Some(place) = call.read(call.word(1)) else {
        return Ok(Vec::new());
    };
    let value = call.node.store.value(place);
    let mut elements: Vec<Word> = match value {
        Value::List(list) => list.iter().cloned().collect(),
        Value::Set(set) => set.iter().collect(),
        Value::SortedSet(set) => set.iter().map(|(member, _)| member.clone()).collect(),
        Value::String(_) | Value::Hash(_) => return Err(CommandError::WRONG_TYPE),
    };
    // What is kept must be in the same order everywhere; a set has none of its own.
    let is_set = matches!(value, Value::Set(_));
    let forced = wanted.unsorted && is_set && wanted.store.is_some();
    if wanted.unsorted && !forced {
        if wanted.descending && !is_set {
            elements.reverse();
        }
    } else {
        if wanted.by_name || forced {
            elements.sort();
        } else {
            elements = by_score(elements)?;
        }
        if wanted.descending {
            elements.reverse();
        }
    }
    let len = elements.len();
    let start = usize::try_from(wanted.offset).unwrap_or(0).min(len);
    let count = usize::try_from(wanted.count)
        .unwrap_or(len)
        .min(len - start);
    Ok(elements.drain(start..start + count).collect())
}

fn by_score(elements: Vec<Word>) -> Result<Vec<Word>, CommandError> {
    let scored = |element: Word| {
        // C's `strtod` reads nothing as 0 and passes over blanks before a number.
        let number = element.trim_ascii_start();
        let score = if element.is_empty() {
            Some(0.0)
        } else {
            float(number)
        };
        score.map(|score| (score, element))
    };
    let mut scored = elements
        .into_iter()
        .map(scored)
        .collect::<Option<Vec<(f64, Word)>>>()
        .ok_or(CommandError::fixed(
            "ERR One or more scores can't be converted into double",
        ))?;
    scored.sort_by(|(score, element), (other_score, other)| {
        let by_score = score.partial_cmp(other_score);
        by_score
            .unwrap_or(std::cmp::Ordering::Equal)
            .then_with(|| element.cmp(other))
    });
    Ok(scored.into_iter().map(|(_, element)| element).collect())
}
