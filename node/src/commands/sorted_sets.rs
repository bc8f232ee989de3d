//! Sorted sets: members and their scores (`t_zset.c`).

use super::blocking::{self, Awaited};
use super::call::{Call, decimal, fixed};
use super::error::{CommandError, Outcome};
use super::number::float;
use super::sampling::{Sample, pick};
use super::scanning::scan_collection;
use super::shapes::{
    BLOCKING, CHANGE_KEY, FAST_READ, FAST_REMOVE, FAST_WRITE, LOOK_AT_KEY, READ, READ_KEY, REMOVE,
    REMOVE_FROM_KEY, TAKE_FROM_KEY, UPDATE_KEY, WRITE,
};
use super::sorted_set_ranges::{
    zcount, zlexcount, zrange, zrangebylex, zrangebyscore, zrangestore, zremrangebylex,
    zremrangebyrank, zremrangebyscore, zrevrange, zrevrangebylex, zrevrangebyscore,
};
use super::spec::{Categories, Flags, Spec, command, counted_keys, key, keys, quiet_command};
use crate::reply::Reply;
use crate::store::{Limits, Place, SortedSet};
use crate::wire::resp::double_text;
use crate::word::Word;

pub(super) const fn sorted_set(spec: Spec, since: &'static str, summary: &'static str) -> Spec {
    spec.about("sorted-set", since, summary)
        .categories(Categories::SORTED_SET)
}

pub(super) const COMMANDS: &[Spec] = &[
    sorted_set(
        command("zadd", -4, FAST_WRITE, zadd),
        "1.2.0",
        "Gives members of a sorted set scores.",
    )
    .keys(CHANGE_KEY),
    sorted_set(
        command("zincrby", 4, FAST_WRITE, zincrby),
        "1.2.0",
        "Adds to a member's score.",
    )
    .keys(UPDATE_KEY),
    sorted_set(
        command("zrem", -3, FAST_REMOVE, zrem),
        "1.2.0",
        "Removes members from a sorted set.",
    )
    .keys(REMOVE_FROM_KEY),
    sorted_set(
        command("zcard", 2, FAST_READ, zcard),
        "1.2.0",
        "Counts the members of a sorted set.",
    )
    .keys(LOOK_AT_KEY),
    sorted_set(
        command("zcount", 4, FAST_READ, zcount),
        "2.0.0",
        "Counts the members in a range of scores.",
    )
    .keys(READ_KEY),
    sorted_set(
        command("zlexcount", 4, FAST_READ, zlexcount),
        "2.8.9",
        "Counts the members in a range of names.",
    )
    .keys(READ_KEY),
    sorted_set(
        command("zscore", 3, FAST_READ, zscore),
        "1.2.0",
        "Reads a member's score.",
    )
    .keys(READ_KEY),
    sorted_set(
        command("zmscore", -3, FAST_READ, zmscore),
        "6.2.0",
        "Reads the scores of members.",
    )
    .keys(READ_KEY),
    sorted_set(
        command("zrank", 3, FAST_READ, zrank),
        "2.0.0",
        "Tells how many members come before one.",
    )
    .keys(READ_KEY),
    sorted_set(
        command("zrevrank", 3, FAST_READ, zrevrank),
        "2.0.0",
        "Tells how many members come after one.",
    )
    .keys(READ_KEY),
    sorted_set(
        command("zrange", -4, READ, zrange),
        "1.2.0",
        "Reads a range of a sorted set.",
    )
    .keys(READ_KEY),
    sorted_set(
        command("zrangestore", -5, WRITE, zrangestore),
        "6.2.0",
        "Keeps a range of a sorted set.",
    )
    .keys(&[key(1, &["OW", "update"]), key(2, &["RO", "access"])]),
    sorted_set(
        command("zrevrange", -4, READ, zrevrange),
        "1.2.0",
        "Reads a range of a sorted set backwards.",
    )
    .keys(READ_KEY),
    sorted_set(
        command("zrangebyscore", -4, READ, zrangebyscore),
        "1.0.5",
        "Reads a range of scores.",
    )
    .keys(READ_KEY),
    sorted_set(
        command("zrevrangebyscore", -4, READ, zrevrangebyscore),
        "2.2.0",
        "Reads a range of scores backwards.",
    )
    .keys(READ_KEY),
    sorted_set(
        command("zrangebylex", -4, READ, zrangebylex),
        "2.8.9",
        "Reads a range of names.",
    )
    .keys(READ_KEY),
    sorted_set(
        command("zrevrangebylex", -4, READ, zrevrangebylex),
        "2.8.9",
        "Reads a range of names backwards.",
    )
    .keys(READ_KEY),
    sorted_set(
        command("zremrangebyrank", 4, REMOVE, zremrangebyrank),
        "2.0.0",
        "Removes a range of ranks.",
    )
    .keys(REMOVE_FROM_KEY),
    sorted_set(
        command("zremrangebyscore", 4, REMOVE, zremrangebyscore),
        "1.2.0",
        "Removes a range of scores.",
    )
    .keys(REMOVE_FROM_KEY),
    sorted_set(
        command("zremrangebylex", 4, REMOVE, zremrangebylex),
        "2.8.9",
        "Removes a range of names.",
    )
    .keys(REMOVE_FROM_KEY),
    sorted_set(
        command("zpopmin", -2, FAST_REMOVE, zpopmin),
        "5.0.0",
        "Takes the members with the lowest scores.",
    )
    .keys(TAKE_FROM_KEY),
    sorted_set(
        command("zpopmax", -2, FAST_REMOVE, zpopmax),
        "5.0.0",
        "Takes the members with the highest scores.",
    )
    .keys(TAKE_FROM_KEY),
    sorted_set(
        quiet_command("bzpopmin", -3, FAST_REMOVE.union(BLOCKING), bzpopmin),
        "5.0.0",
        "Takes the member with the lowest score, waiting for one.",
    )
    .keys(&[keys(1, -2, 1, &["RW", "access", "delete"])]),
    sorted_set(
        quiet_command("bzpopmax", -3, FAST_REMOVE.union(BLOCKING), bzpopmax),
        "5.0.0",
        "Takes the member with the highest score, waiting for one.",
    )
    .keys(&[keys(1, -2, 1, &["RW", "access", "delete"])]),
    sorted_set(
        command("zmpop", -4, REMOVE, zmpop),
        "7.0.0",
        "Takes members from the first of some sorted sets that has any.",
    )
    .keys(&[counted_keys(1, &["RW", "access", "delete"])]),
    sorted_set(
        quiet_command("bzmpop", -5, REMOVE.union(Flags::BLOCKING), bzmpop),
        "7.0.0",
        "Takes members from the first of some sorted sets that has any, waiting for one.",
    )
    .keys(&[counted_keys(2, &["RW", "access", "delete"])]),
    sorted_set(
        command("zrandmember", -2, READ, zrandmember),
        "6.2.0",
        "Draws members of a sorted set at random.",
    )
    .keys(READ_KEY)
    .tips(&["nondeterministic_output"]),
    sorted_set(
        command("zscan", -3, READ, zscan),
        "2.8.0",
        "Lists the members of a sorted set, some at a time.",
    )
    .keys(READ_KEY)
    .tips(&["nondeterministic_output"]),
];

bitflags::bitflags! {
    /// The options of `ZADD` (`ZADD_IN_*`).
    #[derive(Clone, Copy, PartialEq, Eq)]
    struct Options: u8 {
        const NX = 1;
        const XX = 2;
        const GT = 4;
        const LT = 8;
        const INCR = 16;
        /// Changed members are counted too.
        const CH = 32;
    }
}

impl Options {
    fn of(word: &[u8]) -> Option<Self> {
        let names = [
            ("nx", Self::NX),
            ("xx", Self::XX),
            ("gt", Self::GT),
            ("lt", Self::LT),
            ("incr", Self::INCR),
            ("ch", Self::CH),
        ];
        names
            .into_iter()
            .find_map(|(name, option)| word.eq_ignore_ascii_case(name.as_bytes()).then_some(option))
    }

    fn check(self, pairs: usize) -> Result<(), CommandError> {
        if self.contains(Self::NX | Self::XX) {
            return Err(CommandError::fixed(
                "ERR XX and NX options at the same time are not compatible",
            ));
        }
        let several = [Self::GT, Self::LT, Self::NX]
            .into_iter()
            .filter(|&option| self.contains(option));
        if several.count() > 1 {
            return Err(CommandError::fixed(
                "ERR GT, LT, and/or NX options at the same time are not compatible",
            ));
        }
        if self.contains(Self::INCR) && pairs > 1 {
            return Err(CommandError::fixed(
                "ERR INCR option supports a single increment-element pair",
            ));
        }
        Ok(())
    }
}

/// What became of one member (`zsetAdd`).
enum Added {
    New(f64),
    Updated(f64),
    /// It had the score already.
    Same(f64),
    /// The options forbid it.
    Refused,
    NotANumber,
}

/// Gives a member a score as the options allow.
fn add(set: &mut SortedSet, limits: &Limits, options: Options, member: &Word, score: f64) -> Added {
    let Some(old) = set.score(member) else {
        if options.contains(Options::XX) {
            return Added::Refused;
        }
        set.insert_within(member.clone(), score, limits);
        return Added::New(score);
    };
    if options.contains(Options::NX) {
        return Added::Refused;
    }
    let new = if options.contains(Options::INCR) {
        old + score
    } else {
        score
    };
    if new.is_nan() {
        return Added::NotANumber;
    }
    let too_great = options.contains(Options::LT) && new >= old;
    let too_small = options.contains(Options::GT) && new <= old;
    if too_great || too_small {
        return Added::Refused;
    }
    if new == old {
        return Added::Same(new);
    }
    set.insert_within(member.clone(), new, limits);
    Added::Updated(new)
}

fn zadd(call: &mut Call<'_>) -> Outcome {
    add_all(call, Options::empty())
}

fn zincrby(call: &mut Call<'_>) -> Outcome {
    add_all(call, Options::INCR)
}

/// `zaddGenericCommand`
fn add_all(call: &mut Call<'_>, mut options: Options) -> Outcome {
    let words = call.words;
    let mut first = 2;
    while let Some(option) = words.get(first).and_then(|word| Options::of(word)) {
        options |= option;
        first += 1;
    }
    let pairs = words.get(first..).unwrap_or_default();
    if pairs.is_empty() || pairs.len() % 2 == 1 {
        return Err(CommandError::SYNTAX);
    }
    options.check(pairs.len() / 2)?;
    let scores: Vec<f64> = pairs
        .iter()
        .step_by(2)
        .map(|word| score(word))
        .collect::<Result<_, _>>()?;
    let key = call.word(1);
    let place = call.find_as::<SortedSet>(key)?;
    let (mut new, mut updated, mut last) = (0, 0, None);
    if place.is_some() || !options.contains(Options::XX) {
        let members = pairs.iter().skip(1).step_by(2);
        let is_sound = call.change(key, place, |set: &mut SortedSet, limits| {
            for (member, score) in members.zip(scores) {
                match add(set, limits, options, member, score) {
                    Added::New(score) => (new, last) = (new + 1, Some(score)),
                    Added::Updated(score) => (updated, last) = (updated + 1, Some(score)),
                    Added::Same(score) => last = Some(score),
                    Added::Refused => {}
                    Added::NotANumber => return false,
                }
            }
            true
        });
        if !is_sound {
            return Err(CommandError::fixed(
                "ERR resulting score is not a number (NaN)",
            ));
        }
    }
    if new + updated > 0 {
        call.changed();
    }
    if options.contains(Options::INCR) {
        return Ok(last.map_or(Reply::Nil, Reply::Double));
    }
    let counted = if options.contains(Options::CH) {
        new + updated
    } else {
        new
    };
    Ok(Reply::Integer(counted))
}

pub(super) fn score(word: &[u8]) -> Result<f64, CommandError> {
    float(word).ok_or(CommandError::fixed("ERR value is not a valid float"))
}

fn zrem(call: &mut Call<'_>) -> Outcome {
    let (key, members) = (call.word(1), &call.words[2..]);
    let Some(place) = call.find_as::<SortedSet>(key)? else {
        return Ok(Reply::Integer(0));
    };
    let removed = call.change(key, Some(place), |set: &mut SortedSet, _| {
        members
            .iter()
            .filter(|member| set.remove(member).is_some())
            .count()
    });
    if removed > 0 {
        call.changed();
    }
    Ok(Reply::Integer(removed as i64))
}

fn zcard(call: &mut Call<'_>) -> Outcome {
    let set = call.read_as::<SortedSet>(call.word(1))?;
    Ok(Reply::Integer(set.map_or(0, SortedSet::len) as i64))
}

fn zscore(call: &mut Call<'_>) -> Outcome {
    let member = call.word(2);
    let set = call.read_as::<SortedSet>(call.word(1))?;
    Ok(score_of(set, member))
}

fn score_of(set: Option<&SortedSet>, member: &[u8]) -> Reply {
    let score = set.and_then(|set| set.score(member));
    score.map_or(Reply::Nil, Reply::Double)
}

fn zmscore(call: &mut Call<'_>) -> Outcome {
    let members = &call.words[2..];
    let set = call.read_as::<SortedSet>(call.word(1))?;
    let scores = members.iter().map(|member| score_of(set, member));
    Ok(Reply::Array(scores.collect()))
}

fn zrank(call: &mut Call<'_>) -> Outcome {
    let member = call.word(2);
    let set = call.read_as::<SortedSet>(call.word(1))?;
    let rank = set.and_then(|set| set.rank(member));
    Ok(rank.map_or(Reply::Nil, |rank| Reply::Integer(rank as i64)))
}

fn zrevrank(call: &mut Call<'_>) -> Outcome {
    let member = call.word(2);
    let set = call.read_as::<SortedSet>(call.word(1))?;
    let rank = set.and_then(|set| Some(set.len() - 1 - set.rank(member)?));
    Ok(rank.map_or(Reply::Nil, |rank| Reply::Integer(rank as i64)))
}

/// Members with or without their scores: pairs in RESP3, one after the other in RESP2. The order
/// matters, so it is no map.
pub(super) fn members_reply(
    members: impl IntoIterator<Item = (Word, f64)>,
    with_scores: bool,
    in_pairs: bool,
) -> Reply {
    let mut replies = Vec::new();
    for (member, score) in members {
        let (member, score) = (Reply::Bulk(member), Reply::Double(score));
        match (with_scores, in_pairs) {
            (false, _) => replies.push(member),
            (true, true) => replies.push(Reply::Array(vec![member, score])),
            (true, false) => replies.extend([member, score]),
        }
    }
    Reply::Array(replies)
}

/// Takes the lowest or highest members of a sorted set that is there.
fn pop_some(
    call: &mut Call<'_>,
    key: &Word,
    place: Place,
    highest: bool,
    count: usize,
) -> Vec<(Word, f64)> {
    call.change(key, Some(place), |set: &mut SortedSet, _| {
        let owned = |(member, score): (&Word, f64)| (member.clone(), score);
        let taken: Vec<(Word, f64)> = if highest {
            set.iter().rev().take(count).map(owned).collect()
        } else {
            set.iter().take(count).map(owned).collect()
        };
        for (member, _) in &taken {
            set.remove(member);
        }
        taken
    })
}

fn zpopmin(call: &mut Call<'_>) -> Outcome {
    pop_counted(call, false)
}

fn zpopmax(call: &mut Call<'_>) -> Outcome {
    pop_counted(call, true)
}

/// `zpopMinMaxCommand`
fn pop_counted(call: &mut Call<'_>, highest: bool) -> Outcome {
    if call.words.len() > 3 {
        return Err(CommandError::SYNTAX);
    }
    let count = (call.words.len() == 3)
        .then(|| call.positive(2))
        .transpose()?;
    let key = call.word(1);
    let Some(place) = call.find_as::<SortedSet>(key)? else {
        return Ok(Reply::Array(Vec::new()));
    };
    let taken = pop_some(call, key, place, highest, count.unwrap_or(1));
    if !taken.is_empty() {
        call.changed();
    }
    let in_pairs = count.is_some() && call.speaks_resp3();
    Ok(members_reply(taken, true, in_pairs))
}

/// Takes members for a client that wanted them, with or without having waited
/// (`genericZpopCommand` with the key told).
pub(super) fn take(
    call: &mut Call<'_>,
    key: &Word,
    place: Place,
    highest: bool,
    count: Option<usize>,
) -> Outcome {
    let taken = pop_some(call, key, place, highest, count.unwrap_or(1));
    let name = if highest { "ZPOPMAX" } else { "ZPOPMIN" };
    let mut effect = vec![fixed(name), key.clone()];
    if count.is_some() {
        effect.push(decimal(taken.len() as i64));
    }
    call.changed_as(effect);
    let mut reply = vec![Reply::Bulk(key.clone())];
    if count.is_some() {
        reply.push(members_reply(taken, true, true));
    } else {
        let parts = |(member, score)| [Reply::Bulk(member), Reply::Double(score)];
        reply.extend(taken.into_iter().flat_map(parts));
    }
    Ok(Reply::Array(reply))
}

/// What `ZMPOP` and `BZMPOP` take, the number of keys standing at `place`.
fn multiple_pop<'a>(call: &Call<'a>, place: usize) -> Result<(&'a [Word], Awaited), CommandError> {
    let count = call.number_from(place, 1, "ERR numkeys should be greater than 0")?;
    let end = count.saturating_add(place + 1);
    if end >= call.words.len() {
        return Err(CommandError::SYNTAX);
    }
    let highest = call.says(end, "max");
    if !highest && !call.says(end, "min") {
        return Err(CommandError::SYNTAX);
    }
    let count = Some(blocking::count_option(call, end + 1)?);
    Ok((
        &call.words[place + 1..end],
        Awaited::Members { highest, count },
    ))
}

fn zmpop(call: &mut Call<'_>) -> Outcome {
    let (keys, awaited) = multiple_pop(call, 1)?;
    Ok(blocking::take_first(call, keys, &awaited)?.unwrap_or(Reply::NilArray))
}

fn bzmpop(call: &mut Call<'_>) -> Result<Option<Reply>, CommandError> {
    let (keys, awaited) = multiple_pop(call, 2)?;
    let deadline = blocking::deadline(call, 1)?;
    blocking::take_or_wait(call, keys, awaited, deadline)
}

fn bzpopmin(call: &mut Call<'_>) -> Result<Option<Reply>, CommandError> {
    blocking_pop(call, false)
}

fn bzpopmax(call: &mut Call<'_>) -> Result<Option<Reply>, CommandError> {
    blocking_pop(call, true)
}

fn blocking_pop(call: &mut Call<'_>, highest: bool) -> Result<Option<Reply>, CommandError> {
    let last = call.words.len() - 1;
    let deadline = blocking::deadline(call, last)?;
    let count = None;
    let awaited = Awaited::Members { highest, count };
    blocking::take_or_wait(call, &call.words[1..last], awaited, deadline)
}

fn zrandmember(call: &mut Call<'_>) -> Outcome {
    let key = call.word(1);
    if call.words.len() == 2 {
        let Some(len) = call.read_as::<SortedSet>(key)?.map(SortedSet::len) else {
            return Ok(Reply::Nil);
        };
        let rank = pick(call, len);
        let members = members_at(call, &[rank])?;
        let mut members = members.into_iter().map(|(member, _)| Reply::Bulk(member));
        return Ok(members.next().unwrap_or(Reply::Nil));
    }
    let sample = Sample::read(call, 2)?;
    let with_scores = call.says(3, "withscores");
    if call.words.len() > 4 || (call.words.len() == 4 && !with_scores) {
        return Err(CommandError::SYNTAX);
    }
    if with_scores {
        sample.check_doubled()?;
    }
    let Some(len) = call.read_as::<SortedSet>(key)?.map(SortedSet::len) else {
        return Ok(Reply::Array(Vec::new()));
    };
    let ranks = sample.places(call, len);
    let members = members_at(call, &ranks)?;
    Ok(members_reply(members, with_scores, call.speaks_resp3()))
}

/// The members of some ranks of the sorted set that the command names.
fn members_at(call: &mut Call<'_>, ranks: &[usize]) -> Result<Vec<(Word, f64)>, CommandError> {
    let Some(place) = call.find_as::<SortedSet>(call.word(1))? else {
        return Ok(Vec::new());
    };
    let set = call.collection::<SortedSet>(place)?;
    let owned = |(member, score): (&Word, f64)| (member.clone(), score);
    let members = ranks.iter().filter_map(|&rank| set.nth(rank).map(owned));
    Ok(members.collect())
}

fn zscan(call: &mut Call<'_>) -> Outcome {
    scan_collection(
        call,
        SortedSet::scan,
        |(member, _)| member,
        |(member, score), found| {
            let score = Reply::bulk(double_text(score));
            found.extend([Reply::Bulk(member), score]);
        },
    )
}
