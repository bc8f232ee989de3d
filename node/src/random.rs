//! Randomness: streams of one seed, one a purpose, so that a draw more here moves nothing there.

use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;

use crate::ids::{NodeId, ReplicationId};

/// What a node's randomness grows from. Equal seeds make equal nodes.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Seed(pub [u8; 32]);

/// The random streams of a node.
#[derive(Clone, Debug)]
pub(crate) struct Randomness {
    pub(crate) names: Stream,
    pub(crate) gossip: Stream,
    pub(crate) pings: Stream,
    pub(crate) elections: Stream,
    pub(crate) keys: Stream,
    /// Random members of collections.
    pub(crate) members: Stream,
    /// What is looked at to evict.
    pub(crate) evictions: Stream,
}

/// One stream of random numbers (ChaCha8, portable).
#[derive(Clone, Debug)]
pub(crate) struct Stream(ChaCha8Rng);

impl Randomness {
    pub(crate) fn new(seed: Seed) -> Self {
        let stream = |purpose: u64| {
            let mut rng = ChaCha8Rng::from_seed(seed.0);
            rng.set_stream(purpose);
            Stream(rng)
        };
        Self {
            names: stream(1),
            gossip: stream(2),
            pings: stream(3),
            elections: stream(4),
            keys: stream(5),
            members: stream(6),
            evictions: stream(7),
        }
    }
}

impl Stream {
    /// A number from 0 up to, without, `bound`.
    pub(crate) fn below(&mut self, bound: u32) -> u32 {
        self.0.random_range(0..bound.max(1))
    }

    pub(crate) fn number(&mut self) -> u64 {
        self.0.random()
    }

    pub(crate) fn word(&mut self) -> u32 {
        self.0.random()
    }

    pub(crate) fn node_id(&mut self) -> NodeId {
        NodeId(self.0.random())
    }

    pub(crate) fn replication_id(&mut self) -> ReplicationId {
        ReplicationId(self.0.random())
    }
}
