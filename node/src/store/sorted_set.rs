//! Sorted sets.

use std::cmp::Ordering;
use std::ops::Range;

use indexmap::IndexMap;
use rustc_hash::FxBuildHasher;

use super::memory::{COLLECTION_BYTES, TABLE_BYTES, heap_bytes, more_room, with_room};
use super::ranked::{self, Ranked};
use super::value::{Encoding, Limits};
use crate::word::Word;

/// Members with scores, in the order of the scores and, where those are equal, of the members.
#[derive(Clone, Debug, Default)]
pub struct SortedSet {
    held: Held,
    /// What the words take beside their places, bytes.
    words_bytes: usize,
}

#[derive(Clone, Debug)]
enum Held {
    Small(Vec<Scored>),
    Large {
        scores: IndexMap<Word, f64, FxBuildHasher>,
        order: Ranked<Scored>,
    },
}

/// A member with its score. No score is NaN.
#[derive(Clone, Debug)]
struct Scored {
    score: f64,
    member: Word,
}

/// What is free in the leaves of the tree for each member: they are about two thirds full.
const TREE_BYTES: usize = size_of::<Scored>() / 2;

impl Ord for Scored {
    fn cmp(&self, other: &Self) -> Ordering {
        let by_score = self.score.partial_cmp(&other.score);
        by_score
            .unwrap_or(Ordering::Equal)
            .then_with(|| self.member.cmp(&other.member))
    }
}

impl PartialOrd for Scored {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl PartialEq for Scored {
    fn eq(&self, other: &Self) -> bool {
        self.cmp(other) == Ordering::Equal
    }
}

impl Eq for Scored {}

impl Default for Held {
    fn default() -> Self {
        Self::Small(Vec::new())
    }
}

impl SortedSet {
    /// An empty sorted set.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Number of members.
    #[must_use]
    pub fn len(&self) -> usize {
        match &self.held {
            Held::Small(items) => items.len(),
            Held::Large { order, .. } => order.len(),
        }
    }

    /// Whether there is no member.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The members with their scores, in order of score, then member.
    pub fn iter(&self) -> impl DoubleEndedIterator<Item = (&Word, f64)> + ExactSizeIterator {
        self.range(0..self.len())
    }

    /// The members of some ranks with their scores, the lowest first.
    pub fn range(
        &self,
        ranks: Range<usize>,
    ) -> impl DoubleEndedIterator<Item = (&Word, f64)> + ExactSizeIterator {
        match &self.held {
            Held::Small(items) => {
                let end = ranks.end.min(items.len());
                Members::Small(items[ranks.start.min(end)..end].iter())
            }
            Held::Large { order, .. } => Members::Large(order.range(ranks)),
        }
    }

    /// The member of a rank, with its score.
    #[must_use]
    pub fn nth(&self, rank: usize) -> Option<(&Word, f64)> {
        match &self.held {
            Held::Small(items) => items.get(rank),
            Held::Large { order, .. } => order.nth(rank),
        }
        .map(Scored::pair)
    }

    /// The score of a member.
    #[must_use]
    pub fn score(&self, member: &[u8]) -> Option<f64> {
        match &self.held {
            Held::Small(items) => items
                .iter()
                .find(|item| item.member.as_bytes() == member)
                .map(|item| item.score),
            Held::Large { scores, .. } => scores.get(member).copied(),
        }
    }

    /// How many members are before a member.
    #[must_use]
    pub fn rank(&self, member: &[u8]) -> Option<usize> {
        match &self.held {
            Held::Small(items) => items
                .iter()
                .position(|item| item.member.as_bytes() == member),
            Held::Large { scores, order } => {
                let score = *scores.get(member)?;
                Some(order.count_while(|item| {
                    item.score < score || (item.score <= score && item.member.as_bytes() < member)
                }))
            }
        }
    }

    /// How many members come before the first that is not `below`. It must hold of a first part
    /// of the members and of no other.
    #[must_use]
    pub fn count_while(&self, below: impl Fn(&Word, f64) -> bool) -> usize {
        let below = |item: &Scored| below(&item.member, item.score);
        match &self.held {
            Held::Small(items) => items.partition_point(below),
            Held::Large { order, .. } => order.count_while(below),
        }
    }

    /// Gives a member a score, within upstream's default limits; true if it is new.
    pub fn insert(&mut self, member: Word, score: f64) -> bool {
        self.insert_within(member, score, &Limits::DEFAULT)
    }

    /// Gives a member a score, which is not NaN; true if it is new. Past the limits it becomes a
    /// table with a tree, for good.
    pub fn insert_within(&mut self, member: Word, score: f64, limits: &Limits) -> bool {
        if member.len() > limits.sorted_set_value_bytes {
            self.enlarge();
        }
        let bytes = heap_bytes(&member);
        let added = match &mut self.held {
            Held::Small(items) => {
                let old = items.iter().position(|item| item.member == member);
                if let Some(place) = old {
                    items.remove(place);
                }
                // Upstream's compact form has no negative zero.
                let score = if score == 0.0 { 0.0 } else { score };
                let new = Scored { score, member };
                let place = items.partition_point(|item| *item < new);
                if items.len() == items.capacity() {
                    items.reserve_exact(more_room(items.len()));
                }
                items.insert(place, new);
                old.is_none()
            }
            Held::Large { scores, order } => {
                let old = scores.insert(member.clone(), score);
                let mut item = Scored { score, member };
                if let Some(old) = old {
                    item.score = old;
                    order.remove(&item);
                    item.score = score;
                }
                order.insert(item);
                old.is_none()
            }
        };
        if added {
            self.words_bytes += bytes;
            if self.len() > limits.sorted_set_entries {
                self.enlarge();
            }
        }
        added
    }

    /// Removes a member and tells its score.
    pub fn remove(&mut self, member: &[u8]) -> Option<f64> {
        let removed = match &mut self.held {
            Held::Small(items) => {
                let place = items
                    .iter()
                    .position(|item| item.member.as_bytes() == member)?;
                items.remove(place)
            }
            Held::Large { scores, order } => {
                let (member, score) = scores.swap_remove_entry(member)?;
                if scores.capacity() > 16 && scores.len() < scores.capacity() / 4 {
                    scores.shrink_to(scores.capacity() / 2);
                }
                let item = Scored { score, member };
                order.remove(&item);
                item
            }
        };
        self.words_bytes -= heap_bytes(&removed.member);
        Some(removed.score)
    }

    /// Some members and the cursor to go on with, 0 at the end; a small set all at once. A member
    /// that is there from the first call to the last is never missed: see [`super::Store::scan`].
    #[must_use]
    pub fn scan(&self, cursor: u64, count: usize) -> (u64, Vec<(Word, f64)>) {
        match &self.held {
            Held::Small(items) => {
                let all = items.iter().map(|item| (item.member.clone(), item.score));
                (0, all.collect())
            }
            Held::Large { scores, .. } => {
                let (rest, places) = super::scan_places(scores.len(), cursor, count);
                let some = places.filter_map(|place| scores.get_index(place));
                (
                    rest,
                    some.map(|(member, &score)| (member.clone(), score))
                        .collect(),
                )
            }
        }
    }

    /// The form it is in.
    #[must_use]
    pub const fn encoding(&self) -> Encoding {
        match &self.held {
            Held::Small(_) => Encoding::Listpack,
            Held::Large { .. } => Encoding::SkipList,
        }
    }

    /// What it takes, bytes.
    pub(super) fn heap_bytes(&self) -> usize {
        let members = match &self.held {
            Held::Small(items) => with_room(items.len() * size_of::<Scored>()),
            Held::Large { order, .. } => {
                order.len() * (2 * size_of::<Scored>() + TREE_BYTES + TABLE_BYTES)
            }
        };
        COLLECTION_BYTES + members + self.words_bytes
    }

    fn enlarge(&mut self) {
        if let Held::Small(items) = &mut self.held {
            let items = std::mem::take(items);
            let mut order = Ranked::default();
            let scores = items
                .into_iter()
                .map(|item| {
                    order.insert(item.clone());
                    (item.member, item.score)
                })
                .collect();
            self.held = Held::Large { scores, order };
        }
    }
}

impl Scored {
    const fn pair(&self) -> (&Word, f64) {
        (&self.member, self.score)
    }
}

/// Members in order, from both ends.
enum Members<'a> {
    Small(std::slice::Iter<'a, Scored>),
    Large(ranked::Iter<'a, Scored>),
}

impl<'a> Iterator for Members<'a> {
    type Item = (&'a Word, f64);

    fn next(&mut self) -> Option<Self::Item> {
        match self {
            Self::Small(items) => items.next(),
            Self::Large(items) => items.next(),
        }
        .map(Scored::pair)
    }

    fn size_hint(&self) -> (usize, Option<usize>) {
        match self {
            Self::Small(items) => items.size_hint(),
            Self::Large(items) => items.size_hint(),
        }
    }
}

impl DoubleEndedIterator for Members<'_> {
    fn next_back(&mut self) -> Option<Self::Item> {
        match self {
            Self::Small(items) => items.next_back(),
            Self::Large(items) => items.next_back(),
        }
        .map(Scored::pair)
    }
}

impl ExactSizeIterator for Members<'_> {}

/// Equal content, in whatever form.
impl PartialEq for SortedSet {
    fn eq(&self, other: &Self) -> bool {
        self.len() == other.len() && self.iter().eq(other.iter())
    }
}

impl FromIterator<(Word, f64)> for SortedSet {
    fn from_iter<I: IntoIterator<Item = (Word, f64)>>(members: I) -> Self {
        let mut set = Self::new();
        for (member, score) in members {
            set.insert(member, score);
        }
        set
    }
}
