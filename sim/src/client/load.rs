//! What a client does: which keys, which values.

use indexmap::IndexSet;
use rand_distr::{Distribution, Zipf};
use redrill_node::{CommandLine, Slot, SlotSet, Word, key_digest, key_slot, write_digest_of};
use rustc_hash::FxBuildHasher;

use super::{Setup, WrittenKey};
use crate::rng::{Purpose, Stream};
use crate::scenario::Keys;
use crate::trace::ClientNumber;

/// Hash tags of a client that keeps to one node's slots.
const TAGS: usize = 4;

/// Tags that are tried to find [`TAGS`] of them; enough for a node with a single slot.
const TRIES: u32 = 1 << 20;

/// Makes a client's operations.
#[derive(Debug)]
pub(super) struct Load {
    client: ClientNumber,
    keys: Keys,
    /// Hash tags that lie in the slots the client keeps to; `None`: it keeps to none.
    tags: Option<Vec<(String, Slot)>>,
    writes: f64,
    read_from_replicas: bool,
    value_bytes: usize,
    key_stream: Stream,
    operation_stream: Stream,
    next_number: u32,
    /// Every key that was written.
    written: Vec<WrittenKey>,
    /// Which of the shared keys those are.
    known: Places,
    /// Where keys and values are put together.
    text: Vec<u8>,
}

/// Some of the places from 0 on: a bit each in the first pages, which is all there is of most key
/// spaces, and one by one beyond them.
#[derive(Debug, Default)]
struct Places {
    near: Vec<u64>,
    far: IndexSet<u64, FxBuildHasher>,
}

impl Places {
    /// The bits of as many places take two megabytes.
    const NEAR: u64 = 1 << 24;

    /// Adds a place; false if it is among them.
    fn insert(&mut self, place: u64) -> bool {
        if place >= Self::NEAR {
            return self.far.insert(place);
        }
        let (word, bit) = ((place / 64) as usize, 1 << (place % 64));
        if self.near.len() <= word {
            self.near.resize(word + 1, 0);
        }
        let is_new = self.near[word] & bit == 0;
        self.near[word] |= bit;
        is_new
    }
}

/// One operation to do.
#[derive(Clone, Debug)]
pub(super) struct Work {
    pub(super) number: u32,
    /// Which key it is on.
    place: u64,
    /// `SET` or `GET`, until it is sent.
    unsent: Option<CommandLine>,
    pub(super) key_digest: u64,
    pub(super) slot: Slot,
    /// The digest of a write.
    pub(super) write: Option<u64>,
    /// Random bits by which a read chooses its node; `None`: it must go to the master.
    pub(super) replica_choice: Option<u64>,
}

impl Load {
    pub(super) fn new(setup: &Setup<'_>) -> Self {
        let entity = u64::from(setup.number);
        Self {
            client: setup.number,
            keys: setup.workload.keys,
            tags: setup.spec.only_slots_of.map(|node| {
                let mut slots = SlotSet::new();
                for range in setup
                    .nodes
                    .get(node)
                    .into_iter()
                    .flat_map(|node| &node.slots)
                {
                    for slot in range.first..=range.last {
                        slots.insert(slot);
                    }
                }
                tags_in(&slots, setup.number)
            }),
            writes: setup.workload.writes,
            read_from_replicas: setup.workload.read_from_replicas,
            value_bytes: setup.workload.value_bytes,
            key_stream: setup.streams.stream(Purpose::ClientKeys, entity),
            operation_stream: setup.streams.stream(Purpose::ClientOperations, entity),
            next_number: 0,
            written: Vec::new(),
            known: Places::default(),
            text: Vec::new(),
        }
    }

    /// The next operation.
    pub(super) fn next(&mut self) -> Work {
        let number = self.next_number;
        self.next_number += 1;
        let place = self.place(number);
        let key = self.key(place);
        let slot = match tag_at(&self.tags, place) {
            Some(&(_, slot)) => slot,
            None => key_slot(&key),
        };
        // Where all are writes, nothing is left to chance.
        let (is_write, choice) = if self.writes < 1.0 {
            let is_write = self.operation_stream.unit() < self.writes;
            (is_write, self.operation_stream.word())
        } else {
            (true, 0)
        };
        let digest = key_digest(&key);
        let (command, write): (CommandLine, _) = if is_write {
            let is_new = match self.keys {
                Keys::Unique => true,
                Keys::Uniform { .. } | Keys::Zipf { .. } => self.known.insert(place),
            };
            if is_new {
                let key = key.clone();
                self.written.push(WrittenKey { digest, slot, key });
            }
            let value = self.value(number);
            let write = write_digest_of(digest, &value);
            ([Word::from_static(b"SET"), key, value].into(), Some(write))
        } else {
            ([Word::from_static(b"GET"), key].into(), None)
        };
        Work {
            number,
            place,
            unsent: Some(command),
            key_digest: digest,
            slot,
            replica_choice: (!is_write && self.read_from_replicas).then_some(choice),
            write,
        }
    }

    /// The command of an operation, which is sent now. It is made anew if it was sent before: few
    /// are, and to keep it for them all would cost more.
    pub(super) fn command(&mut self, work: &mut Work) -> CommandLine {
        work.unsent.take().unwrap_or_else(|| {
            let key = self.key(work.place);
            match work.write {
                Some(_) => {
                    let value = self.value(work.number);
                    [Word::from_static(b"SET"), key, value].into()
                }
                None => [Word::from_static(b"GET"), key].into(),
            }
        })
    }

    pub(super) fn take_written(&mut self) -> Vec<WrittenKey> {
        std::mem::take(&mut self.written)
    }

    /// Which key an operation is on.
    fn place(&mut self, number: u32) -> u64 {
        match self.keys {
            Keys::Unique => u64::from(number),
            Keys::Uniform { count } => self.key_stream.below(count.into()),
            Keys::Zipf { count, exponent } => self.zipf(count, exponent),
        }
    }

    fn key(&mut self, place: u64) -> Word {
        let client = self.client;
        let tag = tag_at(&self.tags, place);
        let key = &mut self.text;
        key.clear();
        if let Some((tag, _)) = tag {
            key.push(b'{');
            key.extend_from_slice(tag.as_bytes());
            key.extend_from_slice(b"}:");
        }
        match self.keys {
            Keys::Unique => put_name(key, client, place),
            Keys::Uniform { .. } | Keys::Zipf { .. } => {
                key.extend_from_slice(b"key:");
                put_number(key, place);
            }
        }
        Word::copy_from_slice(key)
    }

    /// A rank from 0, the lower the likelier.
    fn zipf(&mut self, count: u32, exponent: f64) -> u64 {
        match Zipf::new(f64::from(count.max(1)), exponent) {
            Ok(zipf) => zipf.sample(&mut self.key_stream) as u64 - 1,
            Err(_) => self.key_stream.below(count.into()),
        }
    }

    /// A value that no other write has.
    fn value(&mut self, number: u32) -> Word {
        let value = &mut self.text;
        value.clear();
        put_name(value, self.client, number.into());
        if value.len() < self.value_bytes {
            value.resize(self.value_bytes, b'.');
        }
        Word::copy_from_slice(value)
    }
}

/// `c7:42`
fn put_name(text: &mut Vec<u8>, client: ClientNumber, number: u64) {
    text.push(b'c');
    put_number(text, client.into());
    text.push(b':');
    put_number(text, number);
}

/// A number in decimal digits. Formatting every operation by `format!` would take a tenth of a run.
fn put_number(text: &mut Vec<u8>, mut number: u64) {
    let mut digits = [0; 20];
    let mut first = digits.len();
    loop {
        first -= 1;
        digits[first] = b'0' + (number % 10) as u8;
        number /= 10;
        if number == 0 {
            break;
        }
    }
    text.extend_from_slice(&digits[first..]);
}

/// The hash tag of a key, and its slot.
fn tag_at(tags: &Option<Vec<(String, Slot)>>, place: u64) -> Option<&(String, Slot)> {
    let tags = tags.as_ref()?;
    tags.get(place as usize % tags.len().max(1))
}

fn tags_in(slots: &SlotSet, client: ClientNumber) -> Vec<(String, Slot)> {
    let candidates = (0..TRIES).map(|number| {
        let tag = format!("c{client}-{number}");
        let slot = key_slot(tag.as_bytes());
        (tag, slot)
    });
    candidates
        .filter(|(_, slot)| slots.contains(*slot))
        .take(TAGS)
        .collect()
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn a_place_is_new_once_near_or_far(
            places in prop::collection::vec(
                prop_oneof![0..200_u64, Places::NEAR - 2..Places::NEAR + 2, 0..u64::from(u32::MAX)],
                0..60,
            ),
        ) {
            let (mut known, mut model) = (Places::default(), BTreeSet::new());
            for place in places {
                prop_assert_eq!(known.insert(place), model.insert(place));
            }
        }
    }
}
