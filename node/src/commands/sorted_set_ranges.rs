//! Ranges of sorted sets: of ranks, of scores, of names.

use std::ops::Range;

use super::call::Call;
use super::error::{CommandError, Outcome};
use super::lists::span;
use super::number::float;
use super::sorted_sets::members_reply;
use crate::reply::Reply;
use crate::store::SortedSet;
use crate::word::Word;

/// What a range goes by.
#[derive(Clone, Copy, PartialEq, Eq)]
enum By {
    Rank,
    Score,
    Name,
}

/// Members that are read or removed.
enum Span {
    /// From a rank to a rank; negative: from the end.
    Ranks(i64, i64),
    Scores(Limit<f64>, Limit<f64>),
    Names(Limit<Name>, Limit<Name>),
}

/// An end of a span.
struct Limit<T> {
    at: T,
    /// Whether what stands there is left out.
    is_open: bool,
}

/// A name, or what is before or behind all names.
enum Name {
    Lowest,
    Is(Word),
    Highest,
}

impl Span {
    fn read(call: &Call<'_>, by: By, min: usize, max: usize) -> Result<Self, CommandError> {
        Ok(match by {
            By::Rank => Self::Ranks(call.integer(min)?, call.integer(max)?),
            By::Score => {
                const INVALID: CommandError = CommandError::fixed("ERR min or max is not a float");
                let limit = |place| score_limit(call.word(place)).ok_or(INVALID);
                Self::Scores(limit(min)?, limit(max)?)
            }
            By::Name => {
                const INVALID: CommandError =
                    CommandError::fixed("ERR min or max not valid string range item");
                let limit = |place| name_limit(call.word(place)).ok_or(INVALID);
                Self::Names(limit(min)?, limit(max)?)
            }
        })
    }

    /// The ranks of the members in it, counted from the lowest member, or, backwards, from the
    /// highest where the span is of ranks.
    fn ranks(&self, set: &SortedSet, backwards: bool) -> Range<usize> {
        let len = set.len();
        match self {
            Self::Ranks(start, end) => {
                let span = span(*start, *end, len);
                if backwards {
                    len - span.end..len - span.start
                } else {
                    span
                }
            }
            Self::Scores(min, max) => {
                let start =
                    set.count_while(|_, score| score < min.at || (min.is_open && score <= min.at));
                let end =
                    set.count_while(|_, score| score < max.at || (!max.is_open && score <= max.at));
                start..end.max(start)
            }
            Self::Names(min, max) => {
                let start = set.count_while(|member, _| min.is_above(member));
                let end = set.count_while(|member, _| max.is_not_below(member));
                start..end.max(start)
            }
        }
    }
}

impl Limit<Name> {
    /// Whether, as the lower limit, it leaves a member out.
    fn is_above(&self, member: &[u8]) -> bool {
        match &self.at {
            Name::Lowest => false,
            Name::Is(name) => member < name.as_bytes() || (self.is_open && *name == *member),
            Name::Highest => true,
        }
    }

    /// Whether, as the upper limit, it lets a member in.
    fn is_not_below(&self, member: &[u8]) -> bool {
        match &self.at {
            Name::Lowest => false,
            Name::Is(name) => member < name.as_bytes() || (!self.is_open && *name == *member),
            Name::Highest => true,
        }
    }
}

/// `zslParseRange`: C's `strtod` reads an empty word as 0 and passes over blanks before a number.
fn score_limit(word: &[u8]) -> Option<Limit<f64>> {
    let (is_open, number) = match word {
        [b'(', number @ ..] => (true, number),
        number => (false, number),
    };
    let number = number.trim_ascii_start();
    let at = if number.is_empty() && word.len() < 2 {
        0.0
    } else {
        float(number)?
    };
    Some(Limit { at, is_open })
}

/// `zslParseLexRangeItem`
fn name_limit(word: &[u8]) -> Option<Limit<Name>> {
    let (at, is_open) = match word {
        [b'+'] => (Name::Highest, true),
        [b'-'] => (Name::Lowest, true),
        [b'(', name @ ..] => (Name::Is(Word::copy_from_slice(name)), true),
        [b'[', name @ ..] => (Name::Is(Word::copy_from_slice(name)), false),
        _ => return None,
    };
    Some(Limit { at, is_open })
}

/// What a range command asks for.
struct Wanted {
    by: Option<By>,
    backwards: bool,
    with_scores: bool,
    offset: i64,
    /// Negative: all.
    count: i64,
}

impl Wanted {
    /// Reads the options from the word at `start` on.
    fn read_options(
        &mut self,
        call: &Call<'_>,
        start: usize,
        stores: bool,
        may_choose: bool,
    ) -> Result<(), CommandError> {
        let takes_by = self.by.is_none();
        let mut place = start;
        while place < call.words.len() {
            if !stores && call.says(place, "withscores") {
                self.with_scores = true;
            } else if call.says(place, "limit") && place + 2 < call.words.len() {
                self.offset = call.integer(place + 1)?;
                self.count = call.integer(place + 2)?;
                place += 2;
            } else if may_choose && !self.backwards && call.says(place, "rev") {
                self.backwards = true;
            } else if takes_by && self.by.is_none() && call.says(place, "bylex") {
                self.by = Some(By::Name);
            } else if takes_by && self.by.is_none() && call.says(place, "byscore") {
                self.by = Some(By::Score);
            } else {
                return Err(CommandError::SYNTAX);
            }
            place += 1;
        }
        Ok(())
    }

    fn by(&self) -> Result<By, CommandError> {
        let by = self.by.unwrap_or(By::Rank);
        if self.count != -1 && by == By::Rank {
            return Err(CommandError::fixed(
                "ERR syntax error, LIMIT is only supported in combination with either BYSCORE or \
                 BYLEX",
            ));
        }
        if self.with_scores && by == By::Name {
            return Err(CommandError::fixed(
                "ERR syntax error, WITHSCORES not supported in combination with BYLEX",
            ));
        }
        Ok(by)
    }

    /// The members of some ranks, as far as they are wanted, in the order in which they are.
    fn members(&self, set: &SortedSet, ranks: Range<usize>) -> Vec<(Word, f64)> {
        // A negative offset passes over everything.
        let skipped = usize::try_from(self.offset).unwrap_or(usize::MAX);
        let count = usize::try_from(self.count).unwrap_or(usize::MAX);
        let owned = |(member, score): (&Word, f64)| (member.clone(), score);
        let members = set.range(ranks);
        if self.backwards {
            let members = members.rev().skip(skipped).take(count);
            members.map(owned).collect()
        } else {
            members.skip(skipped).take(count).map(owned).collect()
        }
    }
}

/// The members that a range command asks for (`zrangeGenericCommand`), the key standing at
/// `place`, and whether with their scores.
fn wanted_members(
    call: &mut Call<'_>,
    place: usize,
    by: Option<By>,
    backwards: Option<bool>,
    stores: bool,
) -> Result<(Vec<(Word, f64)>, bool), CommandError> {
    let mut wanted = Wanted {
        by,
        backwards: backwards.unwrap_or(false),
        with_scores: false,
        offset: 0,
        count: -1,
    };
    wanted.read_options(call, place + 3, stores, backwards.is_none())?;
    let by = wanted.by()?;
    let (min, max) = if wanted.backwards && by != By::Rank {
        (place + 2, place + 1)
    } else {
        (place + 1, place + 2)
    };
    let span = Span::read(call, by, min, max)?;
    let Some(set) = call.read_as::<SortedSet>(call.word(place))? else {
        return Ok((Vec::new(), wanted.with_scores));
    };
    let ranks = span.ranks(set, wanted.backwards);
    Ok((wanted.members(set, ranks), wanted.with_scores))
}

fn range(call: &mut Call<'_>, by: Option<By>, backwards: Option<bool>) -> Outcome {
    let (members, with_scores) = wanted_members(call, 1, by, backwards, false)?;
    Ok(members_reply(members, with_scores, call.speaks_resp3()))
}

pub(super) fn zrange(call: &mut Call<'_>) -> Outcome {
    range(call, None, None)
}

pub(super) fn zrevrange(call: &mut Call<'_>) -> Outcome {
    range(call, Some(By::Rank), Some(true))
}

pub(super) fn zrangebyscore(call: &mut Call<'_>) -> Outcome {
    range(call, Some(By::Score), Some(false))
}

pub(super) fn zrevrangebyscore(call: &mut Call<'_>) -> Outcome {
    range(call, Some(By::Score), Some(true))
}

pub(super) fn zrangebylex(call: &mut Call<'_>) -> Outcome {
    range(call, Some(By::Name), Some(false))
}

pub(super) fn zrevrangebylex(call: &mut Call<'_>) -> Outcome {
    range(call, Some(By::Name), Some(true))
}

pub(super) fn zrangestore(call: &mut Call<'_>) -> Outcome {
    let (members, _) = wanted_members(call, 2, None, None, true)?;
    let limits = call.node.config.limits;
    let mut result = SortedSet::new();
    for (member, score) in members {
        result.insert_within(member, score, &limits);
    }
    call.store_result(result.len(), result.into())
}

fn count(call: &mut Call<'_>, by: By) -> Outcome {
    let span = Span::read(call, by, 2, 3)?;
    let set = call.read_as::<SortedSet>(call.word(1))?;
    let count = set.map_or(0, |set| span.ranks(set, false).len());
    Ok(Reply::Integer(count as i64))
}

pub(super) fn zcount(call: &mut Call<'_>) -> Outcome {
    count(call, By::Score)
}

pub(super) fn zlexcount(call: &mut Call<'_>) -> Outcome {
    count(call, By::Name)
}

/// `zremrangeGenericCommand`
fn remove(call: &mut Call<'_>, by: By) -> Outcome {
    let span = Span::read(call, by, 2, 3)?;
    let key = call.word(1);
    let Some(place) = call.find_as::<SortedSet>(key)? else {
        return Ok(Reply::Integer(0));
    };
    let removed = call.change(key, Some(place), |set: &mut SortedSet, _| {
        let ranks = span.ranks(set, false);
        let doomed: Vec<Word> = set.range(ranks).map(|(member, _)| member.clone()).collect();
        for member in &doomed {
            set.remove(member);
        }
        doomed.len()
    });
    if removed > 0 {
        call.changed();
    }
    Ok(Reply::Integer(removed as i64))
}

pub(super) fn zremrangebyrank(call: &mut Call<'_>) -> Outcome {
    remove(call, By::Rank)
}

pub(super) fn zremrangebyscore(call: &mut Call<'_>) -> Outcome {
    remove(call, By::Score)
}

pub(super) fn zremrangebylex(call: &mut Call<'_>) -> Outcome {
    remove(call, By::Name)
}
