//! How long clients could not be served.

use std::collections::BTreeMap;

use redrill_node::SLOT_COUNT;
use redrill_sim::trace::{ClientNumber, Header, NodeNumber, Operation, Outcome};

use super::{ms, whole_us};

/// Follows who is served.
#[derive(Debug)]
pub(super) struct Availability {
    /// The shard of each slot: who owned it at the start.
    shards: Vec<Option<NodeNumber>>,
    served: BTreeMap<Pair, Service>,
}

/// The mean over all pairs of a client and a shard, ms.
#[derive(Clone, Copy, PartialEq, Debug)]
pub(super) struct Unavailable {
    pub(super) writes_ms: f64,
    pub(super) reads_ms: f64,
}

/// What a client wants of a shard.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
struct Pair {
    is_write: bool,
    client: ClientNumber,
    shard: Option<NodeNumber>,
}

#[derive(Clone, Copy, Debug, Default)]
struct Service {
    /// When the first operation was due that failed and was not followed by one that did not.
    failing_since_us: Option<u64>,
    /// When the last operation was due that did not fail.
    served_us: Option<u64>,
    unserved_us: u64,
}

impl Availability {
    pub(super) fn new(header: &Header) -> Self {
        let mut shards = vec![None; SLOT_COUNT];
        for (node, info) in (0..).zip(&header.nodes) {
            for range in &info.slots {
                for slot in range.first..=range.last {
                    shards[usize::from(slot)] = Some(node);
                }
            }
        }
        Self {
            shards,
            served: BTreeMap::new(),
        }
    }

    /// Sees the end of an operation.
    pub(super) fn add(&mut self, operation: &Operation, at_us: u64) {
        let pair = Pair {
            is_write: operation.write.is_some(),
            client: operation.client,
            shard: self
                .shards
                .get(usize::from(operation.slot))
                .copied()
                .flatten(),
        };
        let service = self.served.entry(pair).or_default();
        let due_us = operation.issued_us;
        if operation.outcome == Outcome::Ok {
            service.served_us = service.served_us.max(Some(due_us));
            // One that was due before tells nothing of the time since.
            if let Some(since_us) = service
                .failing_since_us
                .filter(|since_us| due_us >= *since_us)
            {
                service.unserved_us += at_us - since_us;
                service.failing_since_us = None;
            }
        } else if service.served_us.is_none_or(|served_us| due_us > served_us) {
            let since_us = service.failing_since_us.unwrap_or(due_us);
            service.failing_since_us = Some(since_us.min(due_us));
        }
    }

    /// What it comes to when the load ends.
    pub(super) fn end(&self, load_end_us: u64) -> Unavailable {
        let mean_ms = |is_write: bool| {
            let pairs = self
                .served
                .iter()
                .filter(|(pair, _)| pair.is_write == is_write);
            let (mut sum_us, mut count) = (0, 0_u32);
            for (_, service) in pairs {
                let open_us = service
                    .failing_since_us
                    .map_or(0, |since_us| load_end_us.saturating_sub(since_us));
                sum_us += service.unserved_us + open_us;
                count += 1;
            }
            whole_us(ms(sum_us) / f64::from(count.max(1)))
        };
        Unavailable {
            writes_ms: mean_ms(true),
            reads_ms: mean_ms(false),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sample;

    fn operation(client: u16, due_ms: u64, outcome: Outcome) -> Operation {
        Operation {
            client,
            number: 0,
            issued_us: due_ms * 1000,
            write: Some(1),
            key: 1,
            slot: 7,
            node: None,
            requests: 1,
            outcome,
        }
    }

    fn unavailable(operations: &[(u16, u64, Outcome, u64)], end_ms: u64) -> f64 {
        let mut availability = Availability::new(&sample::kill_master().header);
        for (client, due_ms, outcome, at_ms) in operations {
            availability.add(&operation(*client, *due_ms, *outcome), at_ms * 1000);
        }
        availability.end(end_ms * 1000).writes_ms
    }

    #[test]
    fn a_client_is_unserved_from_the_first_that_fails_to_the_next_that_does_not() {
        use Outcome::{Ok, Timeout};
        let seen = [
            (0, 100, Ok, 101),
            (0, 200, Timeout, 700),
            (0, 300, Timeout, 800),
            (0, 900, Ok, 950),
            (0, 1000, Ok, 1001),
        ];
        assert_eq!(unavailable(&seen, 2000), 750.0);
        assert_eq!(unavailable(&seen[..3], 2000), 1800.0, "until the end");
        let late = [(0, 200, Ok, 201), (0, 100, Timeout, 600)];
        assert_eq!(unavailable(&late, 2000), 0.0, "a later one was served");
    }

    #[test]
    fn clients_count_alike() {
        use Outcome::{Ok, Timeout};
        let seen = [
            (0, 200, Timeout, 700),
            (1, 300, Ok, 301),
            (0, 900, Ok, 1000),
        ];
        assert_eq!(unavailable(&seen, 2000), 400.0);
        assert_eq!(unavailable(&[], 2000), 0.0);
    }
}
