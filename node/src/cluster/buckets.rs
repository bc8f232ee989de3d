//! The hash table that upstream keeps its nodes in, as far as it shows: a random node is drawn by
//! drawing a bucket first, so nodes that share a bucket are pinged and spoken of less often.

use super::PeerIndex;
use crate::ids::NodeId;
use crate::prefetch::prefetch_row;

/// Places of the node table by node id, in buckets. The buckets stand in one row, because a large
/// cluster draws from them all the time and nearly every one is small or empty.
#[derive(Clone, Debug)]
pub(super) struct Buckets {
    seed: u64,
    /// Where each bucket begins among the places; at last, how many places there are.
    starts: Vec<u16>,
    /// The same, without the empty buckets.
    occupied: Vec<u16>,
    /// The places, those of a bucket in the order they were put in.
    places: Vec<u16>,
    /// Some bits of the hash of each place's id.
    tags: Vec<u16>,
}

/// A bucket, and the tag under which an id is in it.
#[derive(Clone, Copy, Debug)]
struct Key {
    bucket: usize,
    tag: u16,
}

impl Buckets {
    /// `DICT_HT_INITIAL_SIZE`.
    const INITIAL: usize = 4;

    pub(super) fn new(seed: u64) -> Self {
        Self {
            seed,
            starts: vec![0; Self::INITIAL + 1],
            occupied: vec![0],
            places: Vec::new(),
            tags: Vec::new(),
        }
    }

    /// Number of places held.
    pub(super) const fn count(&self) -> usize {
        self.tags.len()
    }

    /// The place of an id, among those whose id may be the same.
    pub(super) fn find(&self, id: NodeId, is_it: impl Fn(PeerIndex) -> bool) -> Option<PeerIndex> {
        let key = self.key(id);
        self.inside(key.bucket)
            .filter(|&at| self.tags[at] == key.tag)
            .map(|at| PeerIndex(self.places[at]))
            .find(|&place| is_it(place))
    }

    /// Puts a place in.
    pub(super) fn insert(&mut self, id: NodeId, place: PeerIndex) {
        let Key { bucket, tag } = self.key(id);
        let at = self.inside(bucket).end;
        self.places.insert(at, place.0);
        self.tags.insert(at, tag);
        for start in &mut self.starts[bucket + 1..] {
            *start += 1;
        }
        // Those that begin here are the buckets behind it.
        let behind = self
            .occupied
            .partition_point(|&start| usize::from(start) < at);
        for start in &mut self.occupied[behind..] {
            *start += 1;
        }
        if self.inside(bucket).len() == 1 {
            self.occupied.insert(behind, at as u16);
        }
    }

    /// Takes a place out. Those behind it move up.
    pub(super) fn remove(&mut self, id: NodeId, place: PeerIndex) {
        let bucket = self.key(id).bucket;
        let Some(at) = (self.inside(bucket)).find(|&at| self.places[at] == place.0) else {
            return;
        };
        self.places.remove(at);
        self.tags.remove(at);
        for start in &mut self.starts[bucket + 1..] {
            *start -= 1;
        }
        let behind = self
            .occupied
            .partition_point(|&start| usize::from(start) <= at);
        for start in &mut self.occupied[behind..] {
            *start -= 1;
        }
        if self.inside(bucket).is_empty() {
            self.occupied.remove(behind - 1);
        }
    }

    /// Whether the table must double before one more is inserted.
    pub(super) const fn is_full(&self) -> bool {
        self.count() >= self.size()
    }

    /// Doubles the table and puts in anew what it is to hold.
    pub(super) fn double(&mut self, held: impl Iterator<Item = (NodeId, PeerIndex)>) {
        self.starts = vec![0; self.size() * 2 + 1];
        let held: Vec<(Key, u16)> = held.map(|(id, place)| (self.key(id), place.0)).collect();
        // First how many are in each bucket, then where the bucket ends, then, as it is filled from
        // its end, where it begins.
        for (key, _) in &held {
            self.starts[key.bucket] += 1;
        }
        let mut end = 0;
        for start in &mut self.starts {
            end += *start;
            *start = end;
        }
        self.places = vec![0; held.len()];
        self.tags = vec![0; held.len()];
        for (key, place) in held.into_iter().rev() {
            self.starts[key.bucket] -= 1;
            let at = usize::from(self.starts[key.bucket]);
            self.places[at] = place;
            self.tags[at] = key.tag;
        }
        self.occupied.clone_from(&self.starts);
        self.occupied.dedup();
    }

    /// Draws a place by each random number: a bucket that is not empty, then one of those in it
    /// (`dictGetRandomKey`). There must be a place to draw.
    pub(super) fn draw(
        &self,
        count: usize,
        mut random: impl FnMut() -> u32,
        drawn: &mut Vec<PeerIndex>,
    ) {
        let buckets = self.occupied.len() as u64 - 1;
        drawn.clear();
        drawn.extend((0..count).map(|_| {
            // The whole part of the product draws the bucket, the rest one of those in it.
            let product = u64::from(random()) * buckets;
            let (bucket, rest) = ((product >> 32) as usize, product & 0xffff_ffff);
            let start = self.occupied[bucket];
            let inside = self.occupied[bucket + 1] - start;
            let nth = (rest * u64::from(inside)) >> 32;
            PeerIndex(self.places[usize::from(start) + nth as usize])
        }));
    }

    /// Has what draws look at come into the processor's cache.
    pub(super) fn prefetch(&self) {
        prefetch_row(&self.occupied);
        prefetch_row(&self.places);
    }

    /// Number of buckets, a power of two.
    const fn size(&self) -> usize {
        self.starts.len() - 1
    }

    fn inside(&self, bucket: usize) -> std::ops::Range<usize> {
        usize::from(self.starts[bucket])..usize::from(self.starts[bucket + 1])
    }

    /// Where an id is. Ids are random numbers as a rule: two multiplications spread them enough.
    fn key(&self, id: NodeId) -> Key {
        let part = |from: usize| {
            let mut bytes = [0; 8];
            bytes.copy_from_slice(&id.0[from..from + 8]);
            u64::from_le_bytes(bytes)
        };
        let hash = fold(fold(part(0) ^ self.seed) ^ part(8) ^ part(12).rotate_left(23));
        Key {
            bucket: hash as usize & 0xffff & (self.size() - 1),
            tag: (hash >> 48) as u16,
        }
    }
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

        fn held(&self) -> impl Iterator<Item = (NodeId, PeerIndex)> {
            let places = self.0.iter().zip((0..).map(PeerIndex));
            places.filter_map(|(name, place)| Some(((*name)?, place)))
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
                        buckets.double(names.held());
                    }
                    buckets.insert(name, place);
                    names.0[usize::from(number)] = Some(name);
                } else if !put_in && known.is_some() {
                    buckets.remove(name, place);
                    names.0[usize::from(number)] = None;
                }
                let count = names.0.iter().flatten().count();
                prop_assert_eq!(buckets.count(), count);
                let mut occupied = buckets.starts.clone();
                occupied.dedup();
                prop_assert_eq!(&buckets.occupied, &occupied);
                if count > 0 {
                    let mut next = u64::from(number);
                    let mut drawn = Vec::new();
                    buckets.draw(5, || { next += 1; fold(next) as u32 }, &mut drawn);
                    prop_assert_eq!(drawn.len(), 5);
                    for drawn in drawn {
                        prop_assert!(names.0[usize::from(drawn.0)].is_some());
                    }
                }
            }
        }

        #[test]
        fn doubling_leaves_what_inserting_one_by_one_would(seed: u64, count in 0..40_u16) {
            let mut doubled = Buckets::new(seed);
            let held = || (0..count).map(|number| (id(number), PeerIndex(number)));
            doubled.double(held());
            let mut filled = Buckets::new(seed);
            filled.double(std::iter::empty());
            for (id, place) in held() {
                filled.insert(id, place);
            }
            prop_assert_eq!(doubled.starts, filled.starts);
            prop_assert_eq!(doubled.occupied, filled.occupied);
            prop_assert_eq!(doubled.places, filled.places);
            prop_assert_eq!(doubled.tags, filled.tags);
        }
    }

    #[test]
    fn every_place_of_a_crowded_bucket_is_drawn_and_found() {
        // A seed makes no two of these ids share a bucket on purpose; a table of four must.
        let mut buckets = Buckets::new(3);
        for number in 0..40 {
            buckets.insert(id(number), PeerIndex(number));
        }
        let mut found = [false; 40];
        let mut next = 0;
        let mut drawn = Vec::new();
        let random = || {
            next += 1;
            fold(next) as u32
        };
        buckets.draw(2000, random, &mut drawn);
        for place in drawn {
            found[usize::from(place.0)] = true;
        }
        assert!(found.iter().all(|found| *found));
        for number in 0..40 {
            let found = buckets.find(id(number), |place| place.0 == number);
            assert_eq!(found, Some(PeerIndex(number)));
        }
    }
}
