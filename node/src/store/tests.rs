use std::collections::{BTreeMap, BTreeSet};

use proptest::prelude::*;

use super::*;

fn text(value: &str) -> Value {
    Value::String(Word::copy_from_slice(value.as_bytes()))
}

fn key(name: &str) -> Word {
    Word::copy_from_slice(name.as_bytes())
}

fn store_of(keys: &[&str]) -> Store {
    let mut store = Store::new();
    for name in keys {
        store.set(key(name), text("v"), None);
    }
    store
}

#[test]
fn a_key_is_there_until_the_millisecond_of_its_expiry_is_over() {
    let mut store = Store::new();
    store.set(key("k"), text("v"), Some(1_000));
    assert_eq!(store.get(b"k", WallMillis(1_000)), Some(&text("v")));
    assert_eq!(store.get(b"k", WallMillis(1_001)), None);
    assert_eq!(store.len(), 1);
    assert_eq!(store.first_expired(WallMillis(1_000)), None);
    assert_eq!(store.first_expired(WallMillis(1_001)), Some(key("k")));
}

#[test]
fn keys_of_a_slot_are_listed_newest_first() {
    let mut store = store_of(&["{t}1", "other", "{t}2", "{t}3"]);
    let slot = key_slot(b"t");
    assert_eq!(
        store.keys_in_slot(slot, 2),
        [key("{t}3"), key("{t}2")],
        "at most as many as asked for"
    );
    store.remove(b"{t}2");
    assert_eq!(store.keys_in_slot(slot, 9), [key("{t}3"), key("{t}1")]);
}

#[test]
fn a_slot_is_emptied_and_the_others_keep_their_keys() {
    let mut store = store_of(&["{t}1", "a", "{t}2", "b"]);
    assert_eq!(store.delete_slot(key_slot(b"t")), 2);
    assert_eq!(store.count_in_slot(key_slot(b"t")), 0);
    assert_eq!(store.len(), 2);
    assert_eq!(store.count_in_slot(key_slot(b"a")), 1);
    assert_eq!(store.delete_slot(key_slot(b"t")), 0);
}

#[test]
fn a_snapshot_loads_to_an_equal_keyspace() {
    let mut store = store_of(&["a", "b", "c"]);
    store.set(key("d"), text("w"), Some(7));
    store.remove(b"a");
    let mut copy = store_of(&["stale"]);
    copy.load(&store.snapshot());
    assert_eq!(copy.snapshot(), store.snapshot());
    assert_eq!(copy.expiring_len(), 1);
    assert_eq!(copy.used_bytes(), store.used_bytes());
}

#[test]
fn an_empty_store_uses_no_memory() {
    let mut store = store_of(&["a", "b"]);
    store.set(key("a"), text("longer"), Some(3));
    assert!(store.used_bytes() > 0);
    assert_eq!(store.clear(), 2);
    assert_eq!(store.used_bytes(), 0);
    assert_eq!(store.expiring_len(), 0);
}

#[test]
fn an_entry_is_as_small_as_it_was() {
    assert_eq!(size_of::<Entry>(), 48);
}

/// What the store is held against: a sorted map, with no index of any kind.
type Model = BTreeMap<Word, (Value, Option<i64>)>;

#[derive(Clone, Debug)]
enum Step {
    Set(u8, u8, Option<i64>),
    Expire(u8, Option<i64>),
    Remove(u8),
    DeleteSlot(u8),
    ExpireDue(i64),
    Clear,
    Reload,
}

/// Thirty keys in ten slots, so that slots are shared and keys are hit again.
fn numbered(number: u8) -> Word {
    key(&format!("{{{}}}:{}", number % 10, number % 30))
}

fn step() -> impl Strategy<Value = Step> {
    let expiry = || prop_oneof![Just(None), (0_i64..100).prop_map(Some)];
    prop_oneof![
        12 => (any::<u8>(), any::<u8>(), expiry()).prop_map(|(k, v, e)| Step::Set(k, v, e)),
        3 => (any::<u8>(), expiry()).prop_map(|(k, e)| Step::Expire(k, e)),
        6 => any::<u8>().prop_map(Step::Remove),
        1 => any::<u8>().prop_map(Step::DeleteSlot),
        2 => (0_i64..100).prop_map(Step::ExpireDue),
        1 => Just(Step::Clear),
        1 => Just(Step::Reload),
    ]
}

fn apply(store: &mut Store, model: &mut Model, step: &Step) {
    match *step {
        Step::Set(k, v, expiry) => {
            let value = text(&"x".repeat(usize::from(v)));
            store.set(numbered(k), value.clone(), expiry);
            model.insert(numbered(k), (value, expiry));
        }
        Step::Expire(k, expiry) => {
            if let Some(place) = store.find(&numbered(k)) {
                store.set_expiry(place, expiry);
            }
            if let Some(entry) = model.get_mut(&numbered(k)) {
                entry.1 = expiry;
            }
        }
        Step::Remove(k) => {
            assert_eq!(
                store.remove(&numbered(k)),
                model.remove(&numbered(k)).is_some()
            );
        }
        Step::DeleteSlot(k) => {
            let slot = key_slot(&numbered(k));
            let before = model.len();
            model.retain(|key, _| key_slot(key) != slot);
            assert_eq!(store.delete_slot(slot), (before - model.len()) as u64);
        }
        Step::ExpireDue(now) => {
            while let Some(key) = store.first_expired(WallMillis(now)) {
                assert!(store.remove(&key));
            }
            model.retain(|_, (_, expiry)| expiry.is_none_or(|at| now <= at));
        }
        Step::Clear => {
            assert_eq!(store.clear(), model.len() as u64);
            model.clear();
        }
        Step::Reload => store.load(&store.snapshot()),
    }
}

fn assert_equal(store: &Store, model: &Model) {
    assert_eq!(store.len(), model.len());
    let content: Model = store
        .snapshot()
        .iter()
        .map(|entry| {
            (
                entry.key.clone(),
                (entry.value.clone(), entry.expires_at_ms),
            )
        })
        .collect();
    assert_eq!(&content, model);
    for number in 0..10 {
        let slot = key_slot(&numbered(number));
        let listed: BTreeSet<Word> = store.keys_in_slot(slot, usize::MAX).into_iter().collect();
        let expected: BTreeSet<Word> = model
            .keys()
            .filter(|key| key_slot(key) == slot)
            .cloned()
            .collect();
        assert_eq!(listed, expected);
        assert_eq!(store.count_in_slot(slot), expected.len());
    }
    let bytes = |(key, (value, _)): (&Word, &(Value, Option<i64>))| {
        ENTRY_BYTES + heap_bytes(key) + value.heap_bytes()
    };
    assert_eq!(store.used_bytes(), model.iter().map(bytes).sum::<usize>());
    let expiring = model.values().filter(|(_, expiry)| expiry.is_some());
    assert_eq!(store.expiring_len(), expiring.count());
    for (key, (value, expiry)) in model {
        for now in [0, 49, 100] {
            let visible = expiry.is_none_or(|at| now <= at).then_some(value);
            assert_eq!(store.get(key, WallMillis(now)), visible);
        }
    }
}

proptest! {
    #[test]
    fn the_store_does_what_a_sorted_map_does(steps in prop::collection::vec(step(), 0..200)) {
        let mut store = Store::new();
        let mut model = Model::new();
        for step in &steps {
            apply(&mut store, &mut model, step);
            assert_equal(&store, &model);
        }
    }

    #[test]
    fn a_scan_returns_every_key_that_was_there_from_its_start_to_its_end(
        before in prop::collection::vec(step(), 0..100),
        during in prop::collection::vec(prop::collection::vec(step(), 0..4), 0..40),
        count in 1_usize..8,
    ) {
        let mut store = Store::new();
        let mut model = Model::new();
        for step in &before {
            apply(&mut store, &mut model, step);
        }
        let mut steadfast: BTreeSet<Word> = model.keys().cloned().collect();
        let mut seen = BTreeSet::new();
        let mut cursor = 0;
        let mut batches = during.iter();
        loop {
            let (next, keys) = store.scan(cursor, count);
            prop_assert!(keys.len() <= count);
            seen.extend(keys);
            cursor = next;
            if cursor == 0 {
                break;
            }
            for step in batches.next().into_iter().flatten() {
                // A reload reorders the table: every key goes and comes back.
                if !matches!(step, Step::Reload) {
                    apply(&mut store, &mut model, step);
                }
                steadfast.retain(|key| model.contains_key(key));
            }
        }
        prop_assert!(steadfast.is_subset(&seen), "missed {:?}", steadfast.difference(&seen));
    }

    #[test]
    fn a_scan_of_a_quiet_store_returns_each_key_once(
        steps in prop::collection::vec(step(), 0..100),
        count in 1_usize..8,
    ) {
        let mut store = Store::new();
        let mut model = Model::new();
        for step in &steps {
            apply(&mut store, &mut model, step);
        }
        let (mut cursor, mut seen) = store.scan(0, count);
        while cursor != 0 {
            let (next, keys) = store.scan(cursor, count);
            seen.extend(keys);
            cursor = next;
        }
        seen.sort();
        prop_assert_eq!(seen, model.into_keys().collect::<Vec<_>>());
    }
}
