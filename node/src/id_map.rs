//! A map from ids that are handed out in growing order, such as those of links and clients.

use crate::prefetch::prefetch_in;

/// Things by id, in a table in which an id stands at the place its number says, or at the next
/// free one. Ids that grow hardly ever meet there, so that whatever is looked up costs one look at
/// memory: a large cluster has as many links as pairs of nodes, and each message looks up two.
#[derive(Clone, Debug)]
pub struct IdMap<T> {
    /// A power of two of places, at most seven in eight of them taken; none before the first
    /// insertion.
    places: Vec<Option<(u64, T)>>,
    count: usize,
}

impl<T> Default for IdMap<T> {
    fn default() -> Self {
        Self {
            places: Vec::new(),
            count: 0,
        }
    }
}

impl<T> IdMap<T> {
    /// The size of the first table.
    const INITIAL: usize = 8;

    /// What is under an id.
    #[must_use]
    pub fn get(&self, id: u64) -> Option<&T> {
        let place = self.find(id)?;
        self.places[place].as_ref().map(|(_, thing)| thing)
    }

    /// Has what is under an id come into the processor's cache, as a rule: it may stand further
    /// on than where it should.
    pub fn prefetch(&self, id: u64) {
        if !self.places.is_empty() {
            prefetch_in(&self.places, self.home(id));
        }
    }

    /// What is under an id.
    pub fn get_mut(&mut self, id: u64) -> Option<&mut T> {
        let place = self.find(id)?;
        self.places[place].as_mut().map(|(_, thing)| thing)
    }

    /// Puts something under an id. Returns what was there.
    pub fn insert(&mut self, id: u64, thing: T) -> Option<T> {
        if let Some(held) = self.get_mut(id) {
            return Some(std::mem::replace(held, thing));
        }
        if 8 * (self.count + 1) > 7 * self.places.len() {
            self.grow();
        }
        self.put(id, thing);
        self.count += 1;
        None
    }

    /// Takes out what is under an id.
    pub fn remove(&mut self, id: u64) -> Option<T> {
        let mut hole = self.find(id)?;
        let (_, thing) = self.places[hole].take()?;
        self.count -= 1;
        // Whoever stands further on because of it moves up.
        let mut place = hole;
        loop {
            place = (place + 1) & self.mask();
            let Some((id, _)) = &self.places[place] else {
                return Some(thing);
            };
            let way = |from: usize| place.wrapping_sub(from) & self.mask();
            if way(self.home(*id)) >= way(hole) {
                self.places.swap(place, hole);
                hole = place;
            }
        }
    }

    /// Everything, in no particular order: the same one for the same insertions and removals.
    pub fn values(&self) -> impl Iterator<Item = &T> {
        self.places.iter().flatten().map(|(_, thing)| thing)
    }

    /// Number of ids.
    #[must_use]
    pub const fn len(&self) -> usize {
        self.count
    }

    /// Whether it holds nothing.
    #[must_use]
    pub const fn is_empty(&self) -> bool {
        self.count == 0
    }

    /// Takes everything out.
    pub fn clear(&mut self) {
        *self = Self::default();
    }

    fn find(&self, id: u64) -> Option<usize> {
        if self.places.is_empty() {
            return None;
        }
        let mut place = self.home(id);
        loop {
            match &self.places[place] {
                Some((held, _)) if *held == id => return Some(place),
                Some(_) => place = (place + 1) & self.mask(),
                None => return None,
            }
        }
    }

    fn put(&mut self, id: u64, thing: T) {
        let mut place = self.home(id);
        while self.places[place].is_some() {
            place = (place + 1) & self.mask();
        }
        self.places[place] = Some((id, thing));
    }

    fn grow(&mut self) {
        let size = (self.places.len() * 2).max(Self::INITIAL);
        let held = std::mem::take(&mut self.places);
        self.places.resize_with(size, || None);
        for (id, thing) in held.into_iter().flatten() {
            self.put(id, thing);
        }
    }

    fn home(&self, id: u64) -> usize {
        id as usize & self.mask()
    }

    const fn mask(&self) -> usize {
        self.places.len() - 1
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn it_holds_what_a_tree_would(
            steps in prop::collection::vec((0_u64..60, any::<u16>(), 0..3), 1..400),
        ) {
            let mut map = IdMap::default();
            let mut model = BTreeMap::new();
            for (id, thing, what) in steps {
                // Ids of one place, and neighbours, are what the table could get wrong.
                let id = id % 12 + id / 12 * 64;
                match what {
                    0 => prop_assert_eq!(map.remove(id), model.remove(&id)),
                    _ => prop_assert_eq!(map.insert(id, thing), model.insert(id, thing)),
                }
                for id in (0..5).flat_map(|lap| (0..12).map(move |id| id + lap * 64)) {
                    prop_assert_eq!(map.get(id), model.get(&id));
                }
                let mut values: Vec<u16> = map.values().copied().collect();
                let mut expected: Vec<u16> = model.values().copied().collect();
                values.sort_unstable();
                expected.sort_unstable();
                prop_assert_eq!(values, expected);
            }
        }
    }

    #[test]
    fn churn_beside_an_old_id_takes_no_room() {
        let mut map = IdMap::default();
        map.insert(1, 'a');
        for id in 2..10_000 {
            map.insert(id, 'b');
            map.remove(id);
        }
        assert_eq!(map.get(1), Some(&'a'));
        assert_eq!(map.places.len(), IdMap::<char>::INITIAL);
    }
}
