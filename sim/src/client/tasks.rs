//! The operations that a client has in flight.

use std::collections::VecDeque;

use super::pipeline::Task;

/// Operations by number. Numbers only grow, and what is in flight is never far apart: a place for
/// each number from the oldest in flight to the newest.
#[derive(Debug, Default)]
pub(super) struct Tasks {
    places: VecDeque<Option<Task>>,
    /// The number of the first place.
    first: u32,
    len: usize,
}

impl Tasks {
    pub(super) const fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// Adds an operation. Its number is greater than any before.
    pub(super) fn push(&mut self, task: Task) {
        let number = task.work.number;
        if self.places.is_empty() {
            self.first = number;
        }
        while self.first + (self.places.len() as u32) < number {
            self.places.push_back(None);
        }
        self.places.push_back(Some(task));
        self.len += 1;
    }

    pub(super) fn get(&self, number: u32) -> Option<&Task> {
        let place = number.checked_sub(self.first)?;
        self.places.get(place as usize)?.as_ref()
    }

    pub(super) fn get_mut(&mut self, number: u32) -> Option<&mut Task> {
        let place = number.checked_sub(self.first)?;
        self.places.get_mut(place as usize)?.as_mut()
    }

    pub(super) fn remove(&mut self, number: u32) -> Option<Task> {
        let place = number.checked_sub(self.first)?;
        let task = self.places.get_mut(place as usize)?.take()?;
        self.len -= 1;
        while let Some(None) = self.places.front() {
            self.places.pop_front();
            self.first += 1;
        }
        Some(task)
    }
}
