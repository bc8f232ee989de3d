//! A queue that mostly holds one thing.

use std::collections::VecDeque;

/// A queue whose first thing stands in it and not elsewhere: of the queues of a connection, and a
/// large cluster has a million connections, hardly any ever holds more.
#[derive(Clone, Debug)]
pub(crate) struct Fifo<T> {
    first: Option<T>,
    /// Empty while `first` is, and not there before it is needed.
    #[expect(
        clippy::box_collection,
        reason = "takes a quarter of the room while not there"
    )]
    rest: Option<Box<VecDeque<T>>>,
}

impl<T> Fifo<T> {
    pub(crate) const fn new() -> Self {
        Self {
            first: None,
            rest: None,
        }
    }

    pub(crate) const fn front(&self) -> Option<&T> {
        self.first.as_ref()
    }

    pub(crate) fn push_back(&mut self, thing: T) {
        match self.first {
            None => self.first = Some(thing),
            Some(_) => self.rest.get_or_insert_default().push_back(thing),
        }
    }

    pub(crate) fn pop_front(&mut self) -> Option<T> {
        let next = self.rest.as_mut().and_then(|rest| rest.pop_front());
        std::mem::replace(&mut self.first, next)
    }
}

impl<T> Default for Fifo<T> {
    fn default() -> Self {
        Self::new()
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn things_leave_in_the_order_they_came(steps in prop::collection::vec(any::<bool>(), 1..60)) {
            let mut fifo = Fifo::new();
            let mut model = VecDeque::new();
            for (number, comes) in steps.into_iter().enumerate() {
                if comes {
                    fifo.push_back(number);
                    model.push_back(number);
                } else {
                    prop_assert_eq!(fifo.pop_front(), model.pop_front());
                }
                prop_assert_eq!(fifo.front(), model.front());
            }
        }
    }
}
