//! The collections, each against the simplest thing that does the same.

use std::collections::{BTreeMap, BTreeSet};

use proptest::prelude::*;

use super::ranked::Ranked;
use super::*;

/// Small limits, so that a few steps cross them.
const TIGHT: Limits = Limits {
    hash_entries: 4,
    hash_value_bytes: 30,
    intset_entries: 5,
    sorted_set_entries: 4,
    sorted_set_value_bytes: 30,
};

/// Words of any length around the limits, numbers among them, often the same.
fn word() -> impl Strategy<Value = Word> {
    prop_oneof![
        3 => (-9_i64..9).prop_map(|number| number.to_string().into()),
        3 => "[a-e]{0,2}".prop_map(Word::from),
        1 => "[ab]{22,32}".prop_map(Word::from),
    ]
}

fn score() -> impl Strategy<Value = f64> {
    prop_oneof![
        (-4_i32..4).prop_map(f64::from),
        Just(f64::INFINITY),
        Just(f64::NEG_INFINITY),
        Just(0.5),
    ]
}

/// Puts something under a word, or takes it away.
type Step<T> = (Word, Option<T>);

fn steps<T: std::fmt::Debug>(
    content: impl Strategy<Value = T>,
) -> impl Strategy<Value = Vec<Step<T>>> {
    prop::collection::vec((word(), prop::option::weighted(0.7, content)), 0..80)
}

/// Walks a collection by its cursors while it is changed.
fn scanned<C, T>(
    collection: &mut C,
    scan: impl Fn(&C, u64) -> (u64, Vec<T>),
    mut meanwhile: impl FnMut(&mut C),
) -> Vec<T> {
    let (mut cursor, mut seen) = scan(collection, 0);
    while cursor != 0 {
        meanwhile(collection);
        let (next, more) = scan(collection, cursor);
        seen.extend(more);
        cursor = next;
    }
    seen
}

fn text(name: &str) -> Word {
    Word::copy_from_slice(name.as_bytes())
}

proptest! {
    #[test]
    fn a_hash_does_what_a_map_does(steps in steps(word())) {
        let (mut hash, mut model) = (Hash::new(), BTreeMap::new());
        for (field, value) in steps {
            match value {
                Some(value) => {
                    let is_new = model.insert(field.clone(), value.clone()).is_none();
                    prop_assert_eq!(hash.insert_within(field, value, &TIGHT), is_new);
                }
                None => prop_assert_eq!(hash.remove(&field), model.remove(&field).is_some()),
            }
            let content: BTreeMap<Word, Word> =
                hash.iter().map(|(field, value)| (field.clone(), value.clone())).collect();
            prop_assert_eq!(&content, &model);
            prop_assert_eq!(hash.len(), model.len());
            prop_assert!(model.iter().all(|(field, value)| hash.get(field) == Some(value)));
            let rebuilt: Hash = content.into_iter().collect();
            prop_assert_eq!(&rebuilt, &hash);
            if rebuilt.encoding() == hash.encoding() {
                prop_assert_eq!(rebuilt.heap_bytes(), hash.heap_bytes());
            }
        }
    }

    #[test]
    fn a_set_does_what_a_sorted_set_of_words_does(steps in steps(Just(()))) {
        let (mut set, mut model) = (Set::new(), BTreeSet::new());
        for (member, adds) in steps {
            if adds.is_some() {
                prop_assert_eq!(
                    set.insert_within(member.clone(), &TIGHT),
                    model.insert(member)
                );
            } else {
                prop_assert_eq!(set.remove(&member), model.remove(&member));
            }
            let content: BTreeSet<Word> = set.iter().collect();
            prop_assert_eq!(&content, &model);
            prop_assert_eq!(set.len(), model.len());
            prop_assert!(model.iter().all(|member| set.contains(member)));
            prop_assert!((0..set.len()).all(|nth| set.nth(nth) == set.iter().nth(nth)));
            let rebuilt: Set = content.into_iter().collect();
            prop_assert_eq!(&rebuilt, &set);
            if rebuilt.encoding() == set.encoding() {
                prop_assert_eq!(rebuilt.heap_bytes(), set.heap_bytes());
            }
        }
    }

    #[test]
    fn a_sorted_set_does_what_a_sorted_list_does(steps in steps(score())) {
        let (mut set, mut model) = (SortedSet::new(), BTreeMap::new());
        for (member, score) in steps {
            match score {
                Some(score) => {
                    let is_new = model.insert(member.clone(), score).is_none();
                    prop_assert_eq!(set.insert_within(member, score, &TIGHT), is_new);
                }
                None => prop_assert_eq!(set.remove(&member), model.remove(&member)),
            }
            let mut sorted: Vec<(Word, f64)> =
                model.iter().map(|(member, &score)| (member.clone(), score)).collect();
            sorted.sort_by(|a, b| a.1.total_cmp(&b.1).then_with(|| a.0.cmp(&b.0)));
            let content: Vec<(Word, f64)> =
                set.iter().map(|(member, score)| (member.clone(), score)).collect();
            prop_assert_eq!(&content, &sorted);
            let mut backwards: Vec<(Word, f64)> =
                set.iter().rev().map(|(member, score)| (member.clone(), score)).collect();
            backwards.reverse();
            prop_assert_eq!(&backwards, &sorted);
            for (rank, (member, score)) in sorted.iter().enumerate() {
                prop_assert_eq!(set.rank(member), Some(rank));
                prop_assert_eq!(set.score(member), Some(*score));
                prop_assert_eq!(set.nth(rank), Some((member, *score)));
            }
            let below_one = sorted.iter().filter(|(_, score)| *score < 1.0).count();
            prop_assert_eq!(set.count_while(|_, score| score < 1.0), below_one);
            let rebuilt: SortedSet = content.into_iter().collect();
            prop_assert_eq!(&rebuilt, &set);
            if rebuilt.encoding() == set.encoding() {
                prop_assert_eq!(rebuilt.heap_bytes(), set.heap_bytes());
            }
        }
    }

    #[test]
    fn a_list_does_what_a_vector_does(
        steps in prop::collection::vec((0_u8..8, word(), any::<prop::sample::Index>()), 0..80)
    ) {
        let (mut list, mut model) = (List::new(), Vec::new());
        for (kind, item, index) in steps {
            let place = index.index(model.len() + 1);
            match kind {
                0 | 1 => {
                    list.push_back(item.clone());
                    model.push(item);
                }
                2 => {
                    list.push_front(item.clone());
                    model.insert(0, item);
                }
                3 => {
                    let first = (!model.is_empty()).then(|| model.remove(0));
                    prop_assert_eq!(list.pop_front(), first);
                }
                4 => prop_assert_eq!(list.pop_back(), model.pop()),
                5 => {
                    list.insert(place, item.clone());
                    model.insert(place, item);
                }
                6 => {
                    let there = model.get_mut(place).map(|held| *held = item.clone()).is_some();
                    prop_assert_eq!(list.set(place, item), there);
                }
                _ => {
                    let from_tail = place % 2 == 0;
                    let equal = |(place, held): (usize, &Word)| (*held == item).then_some(place);
                    let mut doomed: Vec<usize> =
                        model.iter().enumerate().filter_map(equal).collect();
                    if from_tail {
                        doomed.reverse();
                    }
                    doomed.truncate(2);
                    prop_assert_eq!(list.remove_equal(&item, 2, from_tail), doomed.len());
                    doomed.sort_unstable_by(|a, b| b.cmp(a));
                    for place in doomed {
                        model.remove(place);
                    }
                }
            }
            prop_assert!(list.iter().eq(model.iter()));
            let rebuilt: List = model.iter().cloned().collect();
            prop_assert_eq!(rebuilt.heap_bytes(), list.heap_bytes());
            let (start, end) = (place / 2, place);
            prop_assert!(list.range(start, end).eq(model.iter().take(end).skip(start)));
            let mut kept = list.clone();
            kept.keep(start, end);
            let rebuilt: List = model.iter().take(end).skip(start).cloned().collect();
            prop_assert_eq!(kept.heap_bytes(), rebuilt.heap_bytes());
            prop_assert_eq!(kept, rebuilt);
        }
    }

    #[test]
    fn a_counting_tree_does_what_a_sorted_set_does(
        steps in prop::collection::vec((any::<bool>(), 0_u16..900), 0..3000)
    ) {
        let (mut tree, mut model) = (Ranked::default(), BTreeSet::new());
        for (adds, item) in steps {
            // It grows to several leaves and shrinks again.
            if adds || model.len() < 300 {
                prop_assert_eq!(tree.insert(item), model.insert(item));
            } else {
                prop_assert_eq!(tree.remove(&item), model.remove(&item));
            }
            prop_assert_eq!(tree.len(), model.len());
            prop_assert_eq!(
                tree.count_while(|held| *held < item),
                model.range(..item).count()
            );
        }
        prop_assert!(tree.range(0..tree.len()).eq(model.iter()));
        prop_assert!(tree.range(0..tree.len()).rev().eq(model.iter().rev()));
        let (from, to) = (tree.len() / 3, tree.len() / 2);
        prop_assert!(tree.range(from..to).eq(model.iter().take(to).skip(from)));
        for (rank, item) in model.iter().enumerate() {
            prop_assert_eq!(tree.nth(rank), Some(item));
        }
        for item in &model {
            prop_assert!(tree.remove(item));
        }
        prop_assert_eq!(tree.nth(0), None);
    }

    #[test]
    fn a_scan_of_a_collection_never_misses_what_is_there_throughout(
        before in prop::collection::vec(0_u16..200, 0..200),
        during in prop::collection::vec((any::<bool>(), 0_u16..200), 0..100),
        count in 1_usize..9,
    ) {
        let name = |number: u16| text(&format!("m{number}"));
        let mut set = (Set::new(), Hash::new(), SortedSet::new());
        for &number in &before {
            set.0.insert_within(name(number), &TIGHT);
            set.1.insert_within(name(number), Word::new(), &TIGHT);
            set.2.insert_within(name(number), f64::from(number), &TIGHT);
        }
        let mut steadfast: BTreeSet<Word> = before.into_iter().map(name).collect();
        let mut step = during.iter();
        let mut gone = Vec::new();
        let scan = |all: &(Set, Hash, SortedSet), cursor| {
            let (next, members) = all.0.scan(cursor, count);
            let (same, fields) = all.1.scan(cursor, count);
            let (again, scored) = all.2.scan(cursor, count);
            // Large ones go the same way.
            let even = all.1.encoding() == Encoding::HashTable
                && all.2.encoding() == Encoding::SkipList;
            assert!(!even || (next == same && next == again));
            assert!(!even || fields.len() == members.len() && scored.len() == members.len());
            (next, members)
        };
        let seen = scanned(&mut set, scan, |all| {
            for &(adds, number) in step.by_ref().take(3) {
                if adds {
                    all.0.insert_within(name(number), &TIGHT);
                    all.1.insert_within(name(number), Word::new(), &TIGHT);
                    all.2.insert_within(name(number), f64::from(number), &TIGHT);
                } else {
                    all.0.remove(&name(number));
                    all.1.remove(&name(number));
                    all.2.remove(&name(number));
                    gone.push(name(number));
                }
            }
        });
        for name in &gone {
            steadfast.remove(name);
        }
        let seen: BTreeSet<Word> = seen.into_iter().collect();
        prop_assert!(steadfast.is_subset(&seen));
    }
}

#[test]
fn a_collection_that_grew_past_its_limits_does_not_go_back() {
    let mut hash = Hash::new();
    hash.insert_within(text("f"), text(&"v".repeat(30)), &TIGHT);
    assert_eq!(hash.encoding(), Encoding::Listpack);
    hash.insert_within(text("f"), text(&"v".repeat(31)), &TIGHT);
    assert_eq!(hash.encoding(), Encoding::HashTable);
    hash.remove(b"f");
    assert_eq!(hash.encoding(), Encoding::HashTable);

    let mut set: Set = ["3", "-1", "2"].map(text).into_iter().collect();
    assert_eq!(set.encoding(), Encoding::IntSet);
    assert_eq!(set.as_integers(), Some([-1, 2, 3].as_slice()));
    set.insert(text("03"));
    assert_eq!(set.encoding(), Encoding::HashTable);
    set.remove(b"03");
    assert_eq!(set.encoding(), Encoding::HashTable);

    let mut set = SortedSet::new();
    for number in 0..5 {
        assert_eq!(set.encoding(), Encoding::Listpack);
        set.insert_within(text(&number.to_string()), 0.0, &TIGHT);
    }
    assert_eq!(set.encoding(), Encoding::SkipList);
}

#[test]
fn the_default_limits_are_upstreams() {
    let encoding = |fields: usize| {
        let pairs = (0..fields).map(|number| (text(&number.to_string()), text("v")));
        pairs.collect::<Hash>().encoding()
    };
    assert_eq!(encoding(512), Encoding::Listpack);
    assert_eq!(encoding(513), Encoding::HashTable);
}
