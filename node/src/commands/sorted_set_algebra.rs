//! Unions, intersections and differences of sorted sets, and of sets whose members all score 1
//! (`zunionInterDiffGenericCommand`).

use std::cmp::Ordering;
use std::sync::Arc;

use indexmap::IndexMap;
use rustc_hash::FxBuildHasher;

use super::call::Call;
use super::error::{CommandError, Outcome};
use super::number::float;
use super::shapes::{READ, WRITE};
use super::sorted_sets::{members_reply, sorted_set};
use super::spec::{Spec, command, counted_keys, key};
use crate::reply::Reply;
use crate::store::{Set, SortedSet, Value};
use crate::word::Word;

pub(super) const COMMANDS: &[Spec] = &[
    sorted_set(
        command("zunion", -3, READ, zunion),
        "6.2.0",
        "Unites sorted sets.",
    )
    .keys(&[counted_keys(1, &["RO", "access"])]),
    sorted_set(
        command("zinter", -3, READ, zinter),
        "6.2.0",
        "Intersects sorted sets.",
    )
    .keys(&[counted_keys(1, &["RO", "access"])]),
    sorted_set(
        command("zdiff", -3, READ, zdiff),
        "6.2.0",
        "Subtracts sorted sets from the first.",
    )
    .keys(&[counted_keys(1, &["RO", "access"])]),
    sorted_set(
        command("zunionstore", -4, WRITE, zunionstore),
        "2.0.0",
        "Keeps the union of sorted sets.",
    )
    .keys(&[
        key(1, &["OW", "update"]),
        counted_keys(2, &["RO", "access"]),
    ]),
    sorted_set(
        command("zinterstore", -4, WRITE, zinterstore),
        "2.0.0",
        "Keeps what sorted sets have in common.",
    )
    .keys(&[
        key(1, &["OW", "update"]),
        counted_keys(2, &["RO", "access"]),
    ]),
    sorted_set(
        command("zdiffstore", -4, WRITE, zdiffstore),
        "6.2.0",
        "Keeps the difference of sorted sets.",
    )
    .keys(&[
        key(1, &["OW", "update"]),
        counted_keys(2, &["RO", "access"]),
    ]),
    sorted_set(
        command("zintercard", -3, READ, zintercard),
        "7.0.0",
        "Counts what sorted sets have in common.",
    )
    .keys(&[counted_keys(1, &["RO", "access"])]),
];

/// How sorted sets are put together.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Algebra {
    Union,
    Intersection,
    Difference,
}

/// How the scores of one member in several sets become one.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Aggregate {
    Sum,
    Min,
    Max,
}

impl Aggregate {
    fn of(self, one: f64, other: f64) -> f64 {
        match self {
            Self::Sum => or_zero(one + other),
            Self::Min if other < one => other,
            Self::Max if other > one => other,
            Self::Min | Self::Max => one,
        }
    }
}

/// What is no number counts as nothing.
fn or_zero(score: f64) -> f64 {
    if score.is_nan() { 0.0 } else { score }
}

/// One of the sets, shared with the keyspace.
enum Members {
    Scored(Arc<SortedSet>),
    /// All score 1.
    Plain(Arc<Set>),
}

/// One of the sets, and what its scores are multiplied by.
struct Source {
    members: Option<Members>,
    weight: f64,
}

impl Source {
    fn len(&self) -> usize {
        match &self.members {
            Some(Members::Scored(set)) => set.len(),
            Some(Members::Plain(set)) => set.len(),
            None => 0,
        }
    }

    fn score(&self, member: &[u8]) -> Option<f64> {
        match self.members.as_ref()? {
            Members::Scored(set) => set.score(member),
            Members::Plain(set) => set.contains(member).then_some(1.0),
        }
    }

    fn iter(&self) -> Box<dyn Iterator<Item = (Word, f64)> + '_> {
        match &self.members {
            Some(Members::Scored(set)) => {
                Box::new(set.iter().map(|(member, score)| (member.clone(), score)))
            }
            Some(Members::Plain(set)) => Box::new(set.iter().map(|member| (member, 1.0))),
            None => Box::new(std::iter::empty()),
        }
    }
}

/// What a command of this file asks for.
struct Wanted {
    sources: Vec<Source>,
    aggregate: Aggregate,
    with_scores: bool,
}

/// The sets whose number stands at `place`, and where the options begin.
fn sources(call: &mut Call<'_>, place: usize) -> Result<(Vec<Source>, usize), CommandError> {
    let count = call.integer(place)?;
    if count < 1 {
        return Err(CommandError::err(format_args!(
            "at least 1 input key is needed for '{}' command",
            call.spec.name
        )));
    }
    let first = place + 1;
    let end = usize::try_from(count)
        .ok()
        .and_then(|count| count.checked_add(first))
        .filter(|&end| end <= call.words.len())
        .ok_or(CommandError::SYNTAX)?;
    let mut sources = Vec::with_capacity(end - first);
    for key in &call.words[first..end] {
        let held = call.read(key).map(|place| call.node.store.value(place));
        let members = match held {
            None => None,
            Some(Value::SortedSet(set)) => Some(Members::Scored(Arc::clone(set))),
            Some(Value::Set(set)) => Some(Members::Plain(Arc::clone(set))),
            Some(Value::String(_) | Value::List(_) | Value::Hash(_)) => {
                return Err(CommandError::WRONG_TYPE);
            }
        };
        let weight = 1.0;
        sources.push(Source { members, weight });
    }
    Ok((sources, end))
}

fn wanted(
    call: &mut Call<'_>,
    algebra: Algebra,
    place: usize,
    stores: bool,
) -> Result<Wanted, CommandError> {
    let (sources, mut place) = sources(call, place)?;
    let mut wanted = Wanted {
        sources,
        aggregate: Aggregate::Sum,
        with_scores: false,
    };
    let weighs = algebra != Algebra::Difference;
    while place < call.words.len() {
        let left = call.words.len() - place;
        if weighs && left > wanted.sources.len() && call.says(place, "weights") {
            for source in &mut wanted.sources {
                place += 1;
                source.weight = float(call.word(place))
                    .ok_or(CommandError::fixed("ERR weight value is not a float"))?;
            }
        } else if weighs && left >= 2 && call.says(place, "aggregate") {
            place += 1;
            wanted.aggregate = aggregate(call, place)?;
        } else if !stores && call.says(place, "withscores") {
            wanted.with_scores = true;
        } else {
            return Err(CommandError::SYNTAX);
        }
        place += 1;
    }
    Ok(wanted)
}

fn aggregate(call: &Call<'_>, place: usize) -> Result<Aggregate, CommandError> {
    [
        ("sum", Aggregate::Sum),
        ("min", Aggregate::Min),
        ("max", Aggregate::Max),
    ]
    .into_iter()
    .find_map(|(name, aggregate)| call.says(place, name).then_some(aggregate))
    .ok_or(CommandError::SYNTAX)
}

/// The members of the result, in no order.
fn put_together(algebra: Algebra, mut wanted: Wanted) -> Vec<(Word, f64)> {
    match algebra {
        Algebra::Union => {
            wanted.sources.sort_by_key(Source::len);
            union(&wanted)
        }
        Algebra::Intersection => {
            wanted.sources.sort_by_key(Source::len);
            intersection(&wanted).collect()
        }
        Algebra::Difference => {
            let Some((first, others)) = wanted.sources.split_first() else {
                return Vec::new();
            };
            let is_left = |member: &Word| others.iter().all(|other| other.score(member).is_none());
            first.iter().filter(|(member, _)| is_left(member)).collect()
        }
    }
}

fn union(wanted: &Wanted) -> Vec<(Word, f64)> {
    let mut scores: IndexMap<Word, f64, FxBuildHasher> = IndexMap::default();
    for source in &wanted.sources {
        for (member, score) in source.iter() {
            let score = or_zero(source.weight * score);
            scores
                .entry(member)
                .and_modify(|held| *held = wanted.aggregate.of(*held, score))
                .or_insert(score);
        }
    }
    scores.into_iter().collect()
}

/// The members of the first set, which is the smallest, that all others have.
fn intersection(wanted: &Wanted) -> impl Iterator<Item = (Word, f64)> {
    let (first, others) = match wanted.sources.split_first() {
        Some((first, others)) => (Some(first), others),
        None => (None, [].as_slice()),
    };
    first.into_iter().flat_map(move |first| {
        first.iter().filter_map(move |(member, score)| {
            let mut total = or_zero(first.weight * score);
            for other in others {
                let score = other.score(&member)? * other.weight;
                total = wanted.aggregate.of(total, score);
            }
            Some((member, total))
        })
    })
}

fn result(call: &Call<'_>, members: Vec<(Word, f64)>) -> SortedSet {
    let limits = call.node.config.limits;
    let mut result = SortedSet::new();
    for (member, score) in members {
        result.insert_within(member, score, &limits);
    }
    result
}

fn tell(call: &mut Call<'_>, algebra: Algebra) -> Outcome {
    let wanted = wanted(call, algebra, 1, false)?;
    let with_scores = wanted.with_scores;
    let mut members = put_together(algebra, wanted);
    members.sort_by(|(member, score), (other, other_score)| {
        let by_score = score.partial_cmp(other_score);
        by_score
            .unwrap_or(Ordering::Equal)
            .then_with(|| member.cmp(other))
    });
    Ok(members_reply(members, with_scores, call.speaks_resp3()))
}

fn keep(call: &mut Call<'_>, algebra: Algebra) -> Outcome {
    let wanted = wanted(call, algebra, 2, true)?;
    let result = result(call, put_together(algebra, wanted));
    call.store_result(result.len(), result.into())
}

fn zunion(call: &mut Call<'_>) -> Outcome {
    tell(call, Algebra::Union)
}

fn zinter(call: &mut Call<'_>) -> Outcome {
    tell(call, Algebra::Intersection)
}

fn zdiff(call: &mut Call<'_>) -> Outcome {
    tell(call, Algebra::Difference)
}

fn zunionstore(call: &mut Call<'_>) -> Outcome {
    keep(call, Algebra::Union)
}

fn zinterstore(call: &mut Call<'_>) -> Outcome {
    keep(call, Algebra::Intersection)
}

fn zdiffstore(call: &mut Call<'_>) -> Outcome {
    keep(call, Algebra::Difference)
}

fn zintercard(call: &mut Call<'_>) -> Outcome {
    let (mut sources, mut place) = sources(call, 1)?;
    let mut max = usize::MAX;
    while place < call.words.len() {
        if !call.says(place, "limit") || place + 1 == call.words.len() {
            return Err(CommandError::SYNTAX);
        }
        let limit = call.number_from(place + 1, 0, "ERR LIMIT can't be negative")?;
        max = if limit == 0 { usize::MAX } else { limit };
        place += 2;
    }
    sources.sort_by_key(Source::len);
    let wanted = Wanted {
        sources,
        aggregate: Aggregate::Sum,
        with_scores: false,
    };
    let count = intersection(&wanted).take(max).count();
    Ok(Reply::Integer(count as i64))
}
