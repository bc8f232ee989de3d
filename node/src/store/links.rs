//! The keys of each slot, as lists threaded through the table of keys (`clusterSlotToKeyMapping`).

use std::collections::BTreeMap;

use super::Store;
use crate::slot::Slot;

/// Where the neighbours of a key stand in the list of its slot.
#[derive(Clone, Copy, Debug)]
pub(super) struct Links {
    previous: u32,
    next: u32,
}

/// The heads of the lists.
#[derive(Clone, Debug, Default)]
pub(super) struct SlotLists(BTreeMap<Slot, SlotList>);

#[derive(Clone, Copy, Debug)]
struct SlotList {
    head: u32,
    count: u32,
}

const NONE: u32 = u32::MAX;

impl Default for Links {
    fn default() -> Self {
        Self {
            previous: NONE,
            next: NONE,
        }
    }
}

impl Links {
    pub(super) fn next(self) -> Option<usize> {
        (self.next != NONE).then_some(self.next as usize)
    }
}

impl SlotLists {
    pub(super) fn count(&self, slot: Slot) -> usize {
        self.0.get(&slot).map_or(0, |list| list.count as usize)
    }

    pub(super) fn head(&self, slot: Slot) -> Option<usize> {
        self.0.get(&slot).map(|list| list.head as usize)
    }

    pub(super) fn used(&self) -> impl Iterator<Item = Slot> + '_ {
        self.0.keys().copied()
    }
}

impl Store {
    /// Puts a new key at the head of its slot's list.
    pub(super) fn link(&mut self, index: usize, slot: Slot) {
        let head = index as u32;
        let list = self.slots.0.entry(slot).or_insert(SlotList {
            head: NONE,
            count: 0,
        });
        list.count += 1;
        let next = std::mem::replace(&mut list.head, head);
        self.entries[index].links = Links {
            previous: NONE,
            next,
        };
        if next != NONE {
            self.entries[next as usize].links.previous = head;
        }
    }

    /// Takes a key out of its slot's list.
    pub(super) fn unlink(&mut self, index: usize) {
        let slot = self.entries[index].slot;
        let Links { previous, next } = self.entries[index].links;
        self.point_at(slot, previous, next);
        if next != NONE {
            self.entries[next as usize].links.previous = previous;
        }
        if let Some(list) = self.slots.0.get_mut(&slot) {
            list.count -= 1;
            if list.count == 0 {
                self.slots.0.remove(&slot);
            }
        }
    }

    /// Tells the neighbours of a key that was moved to `index`.
    pub(super) fn relink(&mut self, index: usize) {
        let slot = self.entries[index].slot;
        let Links { previous, next } = self.entries[index].links;
        self.point_at(slot, previous, index as u32);
        if next != NONE {
            self.entries[next as usize].links.previous = index as u32;
        }
    }

    /// Makes what stood before a key (another key, or the head of the list) point at `next`.
    fn point_at(&mut self, slot: Slot, previous: u32, next: u32) {
        if previous != NONE {
            self.entries[previous as usize].links.next = next;
        } else if let Some(list) = self.slots.0.get_mut(&slot) {
            list.head = next;
        }
    }
}
