//! The hash table that upstream keeps its nodes in, as far as it shows: a random node is drawn by
//! drawing a bucket first, so nodes that share a bucket are pinged and spoken of less often.

use std::collections::BTreeMap;

use super::PeerIndex;
use crate::ids::NodeId;

/// Places of the node table by node id, in buckets.
#[derive(Clone, Debug)]
pub(super) struct Buckets {
    seed: u64,
    count: usize,
    buckets: Vec<Bucket>,
    /// How many places each bucket holds: draws find many buckets empty, and need not look there.
    counts: Vec<u16>,
    /// What does not fit into a bucket, in the order it was put in. Hardly anything.
    rest: BTreeMap<u16, Vec<Held>>,
}

/// The first places of a bucket, in the order they were put in. A large cluster looks up every
/// node that a ping speaks of, so this is small, and close to memory's grain.
#[derive(Clone, Copy, Debug)]
#[repr(align(16))]
struct Bucket {
    tags: [u16; Bucket::SIZE],
    places: [u16; Bucket::SIZE],
}

/// A place, and some bits of its id's hash.
#[derive(Clone, Copy, Debug)]
struct Held {
    tag: u16,
    place: u16,
}

/// No place.
const NONE: u16 = u16::MAX;

impl Bucket {
    const SIZE: usize = 4;

    const EMPTY: Self = Self {
        tags: [0; Self::SIZE],
        places: [NONE; Self::SIZE],
    };

    /// The first place under a tag; [`NONE`] without one.
    fn first(&self, tag: u16) -> u16 {
        // Without a branch a step, because which step it is cannot be foretold.
        (0..Self::SIZE).rev().fold(NONE, |found, step| {
            if self.tags[step] == tag && self.places[step] != NONE {
                self.places[step]
            } else {
                found
            }
        })
    }
}

/// A bucket, and the tag under which an id is in it.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Key {
    bucket: u16,
    tag: u16,
}

/// A place as it was drawn: a bucket, and which of those in it.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Draw {
    bucket: u16,
    nth: u16,
}

impl Buckets {
    /// `DICT_HT_INITIAL_SIZE`.
    const INITIAL: usize = 4;

    pub(super) fn new(seed: u64) -> Self {
        Self {
            seed,
            count: 0,
            buckets: vec![Bucket::EMPTY; Self::INITIAL],
            counts: vec![0; Self::INITIAL],
            rest: BTreeMap::new(),
        }
    }

    /// Number of places held.
    pub(super) const fn count(&self) -> usize {
        self.count
    }

    /// The place that a key's id is probably at: another id may have the same key.
    pub(super) fn guess(&self, key: Key) -> Option<PeerIndex> {
        let place = self.buckets[usize::from(key.bucket)].first(key.tag);
        (place != NONE).then_some(PeerIndex(place))
    }

    /// Has the buckets of keys come out of memory side by side.
    pub(super) fn fetch(&self, keys: &[Key]) {
        let buckets = keys
            .iter()
            .map(|key| &self.buckets[usize::from(key.bucket)]);
        fetch(buckets.map(|bucket| bucket.places[0]));
    }

    /// The same of draws.
    pub(super) fn fetch_drawn(&self, draws: &[Draw]) {
        let buckets = draws
            .iter()
            .map(|draw| &self.buckets[usize::from(draw.bucket)]);
        fetch(buckets.map(|bucket| bucket.places[0]));
    }

    /// The place of an id, among those whose id may be the same.
    pub(super) fn find(&self, id: NodeId, is_it: impl Fn(PeerIndex) -> bool) -> Option<PeerIndex> {
        let Key { bucket, tag } = self.key(id);
        self.held(bucket)
            .filter(|held| held.tag == tag)
            .map(|held| PeerIndex(held.place))
            .find(|&place| is_it(place))
    }

    /// Puts a place in.
    pub(super) fn insert(&mut self, id: NodeId, place: PeerIndex) {
        let Key { bucket, tag } = self.key(id);
        let place = place.0;
        self.count += 1;
        self.push(bucket, Held { tag, place });
    }

    /// Takes a place out. Those behind it move up.
    pub(super) fn remove(&mut self, id: NodeId, place: PeerIndex) {
        let Key { bucket, .. } = self.key(id);
        let held: Vec<Held> = self.held(bucket).collect();
        self.buckets[usize::from(bucket)] = Bucket::EMPTY;
        self.counts[usize::from(bucket)] = 0;
        self.rest.remove(&bucket);
        for held in held {
            if held.place == place.0 {
                self.count -= 1;
            } else {
                self.push(bucket, held);
            }
        }
    }

    /// Whether the table must double before one more is inserted.
    pub(super) const fn is_full(&self) -> bool {
        self.count >= self.buckets.len()
    }

    /// Doubles the table. It is empty then.
    pub(super) fn double(&mut self) {
        let size = self.buckets.len() * 2;
        self.buckets = vec![Bucket::EMPTY; size];
        self.counts = vec![0; size];
        self.rest.clear();
        self.count = 0;
    }

    /// Draws places by random numbers: a bucket that is not empty, then one of those in it
    /// (`dictGetRandomKey`). There must be a place to draw.
    pub(super) fn draw_all(
        &self,
        count: usize,
        mut random: impl FnMut() -> u64,
        draws: &mut Vec<Draw>,
    ) {
        draws.clear();
        draws.resize(count + 1, Draw { bucket: 0, nth: 0 });
        // Every third bucket is empty, and which cannot be foretold: its draw is overwritten by
        // the next one, instead of being branched around.
        let mut drawn = 0;
        while drawn < count {
            let number = random();
            let bucket = number as u16 & (self.counts.len() - 1) as u16;
            let inside = self.counts[usize::from(bucket)];
            let nth = ((number >> 32) * u64::from(inside)) >> 32;
            draws[drawn] = Draw {
                bucket,
                nth: nth as u16,
            };
            drawn += usize::from(inside > 0);
        }
        draws.truncate(count);
    }

    /// The place that was drawn.
    pub(super) fn drawn(&self, draw: Draw) -> PeerIndex {
        let inside = &self.buckets[usize::from(draw.bucket)];
        let place = match inside.places.get(usize::from(draw.nth)) {
            Some(&place) => place,
            None => {
                let held = self.held(draw.bucket).nth(draw.nth.into());
                held.map_or(inside.places[0], |held| held.place)
            }
        };
        PeerIndex(place)
    }

    fn push(&mut self, bucket: u16, held: Held) {
        self.counts[usize::from(bucket)] += 1;
        let inside = &mut self.buckets[usize::from(bucket)];
        match inside.places.iter().position(|place| *place == NONE) {
            Some(free) => {
                inside.tags[free] = held.tag;
                inside.places[free] = held.place;
            }
            None => self.rest.entry(bucket).or_default().push(held),
        }
    }

    fn held(&self, bucket: u16) -> impl Iterator<Item = Held> {
        let inside = &self.buckets[usize::from(bucket)];
        let pairs = inside.tags.iter().zip(&inside.places);
        let inside_held = pairs.map(|(&tag, &place)| Held { tag, place });
        // Who has nothing free may have more elsewhere.
        let is_full = inside.places[Bucket::SIZE - 1] != NONE;
        let rest = is_full.then(|| self.rest.get(&bucket)).flatten();
        inside_held
            .filter(|held| held.place != NONE)
            .chain(rest.into_iter().flatten().copied())
    }

    /// Where an id is. Ids are random numbers as a rule: two multiplications spread them enough.
    pub(super) fn key(&self, id: NodeId) -> Key {
        let part = |from: usize| {
            let mut bytes = [0; 8];
            bytes.copy_from_slice(&id.0[from..from + 8]);
            u64::from_le_bytes(bytes)
        };
        let hash = fold(fold(part(0) ^ self.seed) ^ part(8) ^ part(12).rotate_left(23));
        Key {
            bucket: hash as u16 & (self.buckets.len() - 1) as u16,
            tag: (hash >> 48) as u16,
        }
    }
}

/// Reads what will be needed one by one, so that it comes out of memory side by side.
pub(super) fn fetch(values: impl Iterator<Item = u16>) {
    std::hint::black_box(values.fold(0, |mixed, value| mixed ^ value));
}

const fn fold(number: u64) -> u64 {
    let product = number as u128 * 0x9E37_79B9_7F4A_7C15;
    (product >> 64) as u64 ^ product as u64
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn id(number: u16) -> NodeId {
        let mut id = [7; 20];
        id[..2].copy_from_slice(&number.to_le_bytes());
        NodeId(id)
    }

    /// A table like that of the cluster: its names by place.
    #[derive(Default)]
    struct Names(Vec<Option<NodeId>>);

    impl Names {
        fn is(&self, place: PeerIndex, id: NodeId) -> bool {
            self.0[usize::from(place.0)] == Some(id)
        }
    }

    proptest! {
        #[test]
        fn what_was_put_in_is_found_until_it_is_taken_out(
            seed: u64,
            steps in proptest::collection::vec((0..300_u16, any::<bool>()), 1..600),
        ) {
            let mut buckets = Buckets::new(seed);
            let mut names = Names(vec![None; 300]);
            for (number, put_in) in steps {
                let (place, name) = (PeerIndex(number), id(number));
                let known = buckets.find(name, |place| names.is(place, name));
                prop_assert_eq!(known, names.0[usize::from(number)].map(|_| place));
                if put_in && known.is_none() {
                    if buckets.is_full() {
                        buckets.double();
                        for (place, name) in (0..).map(PeerIndex).zip(&names.0) {
                            if let Some(name) = name {
                                buckets.insert(*name, place);
                            }
                        }
                    }
                    buckets.insert(name, place);
                    names.0[usize::from(number)] = Some(name);
                } else if !put_in && known.is_some() {
                    buckets.remove(name, place);
                    names.0[usize::from(number)] = None;
                }
                let count = names.0.iter().flatten().count();
                prop_assert_eq!(buckets.count(), count);
                if count > 0 {
                    let mut next = u64::from(number);
                    let mut draws = Vec::new();
                    buckets.draw_all(5, || { next += 0x1_0000_0001; fold(next) }, &mut draws);
                    prop_assert_eq!(draws.len(), 5);
                    for draw in draws {
                        let drawn = buckets.drawn(draw);
                        prop_assert!(names.0[usize::from(drawn.0)].is_some());
                    }
                }
            }
        }
    }

    #[test]
    fn every_place_of_a_crowded_bucket_is_drawn_and_found() {
        // A seed makes no two of these ids share a bucket on purpose; a table of four must.
        let mut buckets = Buckets::new(3);
        for number in 0..40 {
            buckets.insert(id(number), PeerIndex(number));
        }
        let mut drawn = [false; 40];
        let mut next = 0;
        let mut draws = Vec::new();
        let random = || {
            next += 1;
            fold(next)
        };
        buckets.draw_all(2000, random, &mut draws);
        for draw in draws {
            drawn[usize::from(buckets.drawn(draw).0)] = true;
        }
        assert!(drawn.iter().all(|drawn| *drawn));
        for number in 0..40 {
            let found = buckets.find(id(number), |place| place.0 == number);
            assert_eq!(found, Some(PeerIndex(number)));
        }
    }
}
