//! Reads back what clients wrote, once the cluster is whole and replicas have caught up.
//!
//! No network is in between: it is healed by then, and to ask each key over it would only take
//! time. Whom to ask, the answers tell as they tell a cluster client: the nodes answer `GET` as
//! they answer anybody, with redirections and refusals in their own words.

use std::net::SocketAddr;

use indexmap::IndexMap;
use redrill_node::{ReadBack, write_digest_of};
use rustc_hash::FxBuildHasher;

use crate::client::WrittenKey;
use crate::client::slots::{Addresses, Refusal, Slots};
use crate::recorder::Recorder;
use crate::scenario::{Keys, NodeSpec};
use crate::trace::NodeNumber;
use crate::world::World;

/// How long keys are asked for that could not be read at first.
const PATIENCE_US: u64 = 5_000_000;

/// Redirections that are followed for a key.
const REDIRECTS: usize = 5;

/// Keys that are being read back.
#[derive(Debug)]
pub(super) struct Reading {
    /// What is not read yet.
    keys: Vec<WrittenKey>,
    slots: Slots,
    addresses: Addresses,
    nodes: NodeNumber,
    until_us: u64,
}

/// What came of a key.
enum Outcome {
    /// This is under it, by the word of that node.
    Found(Option<u64>, NodeNumber),
    /// Nobody can tell now.
    NotYet,
    /// Nobody will tell.
    Refused,
}

impl Reading {
    /// Begins to read keys.
    pub(super) fn new(
        keys: Vec<WrittenKey>,
        nodes: &[NodeSpec],
        addresses: &[SocketAddr],
        now_us: u64,
    ) -> Self {
        Self {
            keys,
            slots: Slots::initial(nodes),
            addresses: Addresses::new(addresses),
            nodes: nodes.len() as NodeNumber,
            until_us: now_us + PATIENCE_US,
        }
    }

    /// Asks for every key that is not read yet. True if none is left: what could not be read in
    /// time never will be.
    pub(super) fn go_on(
        &mut self,
        now_us: u64,
        world: &dyn World,
        recorder: &mut Recorder,
    ) -> bool {
        let is_last = now_us >= self.until_us;
        let mut keys = std::mem::take(&mut self.keys);
        keys.retain(|key| {
            match self.read(key, world) {
                Outcome::Found(found, node) => {
                    recorder.audited(now_us, key.digest, found, Some(node));
                }
                Outcome::NotYet if !is_last => return true,
                Outcome::NotYet | Outcome::Refused => {
                    recorder.audited(now_us, key.digest, None, None);
                }
            }
            false
        });
        self.keys = keys;
        self.keys.is_empty()
    }

    fn read(&mut self, key: &WrittenKey, world: &dyn World) -> Outcome {
        let mut node = self.slots.master(key.slot).unwrap_or(0);
        let mut asking = false;
        let mut silent = None;
        for _ in 0..=REDIRECTS {
            let Some(answer) = ask(world, node, key, asking) else {
                // Others may know of another owner.
                silent = Some(node);
                let other = (0..self.nodes).find(|&other| other != node && world.answers(other));
                let Some(other) = other else {
                    return Outcome::NotYet;
                };
                (node, asking) = (other, false);
                continue;
            };
            let text = match answer {
                Ok(found) => return Outcome::Found(found, node),
                Err(text) => text,
            };
            match Refusal::of(&text, &self.addresses) {
                Refusal::Moved(_, owner) if Some(owner) == silent => return Outcome::NotYet,
                Refusal::Moved(slot, owner) => {
                    self.slots.set_master(slot, owner);
                    (node, asking) = (owner, false);
                }
                Refusal::Ask(other) => (node, asking) = (other, true),
                Refusal::ClusterDown | Refusal::Later => return Outcome::NotYet,
                Refusal::Other => return Outcome::Refused,
            }
        }
        Outcome::Refused
    }
}

/// The keys, each once, in the order in which clients wrote them first.
pub(super) fn each_once(keys: Vec<WrittenKey>, drawn: Keys) -> Vec<WrittenKey> {
    match drawn {
        // No two writes are of the same.
        Keys::Unique => keys,
        Keys::Uniform { .. } | Keys::Zipf { .. } => {
            let mut once = IndexMap::with_hasher(FxBuildHasher);
            for key in keys {
                once.entry(key.digest).or_insert(key);
            }
            once.into_values().collect()
        }
    }
}

/// What a node answers to `GET`: the digest of what it found, or an error; `None` if it does not
/// answer.
fn ask(
    world: &dyn World,
    node: NodeNumber,
    key: &WrittenKey,
    asking: bool,
) -> Option<Result<Option<u64>, String>> {
    let mut answer = None;
    if world.answers(node) {
        world.look(node, &mut |view| {
            answer = view.read_back(&key.key, asking).map(|told| match told {
                ReadBack::Value(value) => Ok(Some(write_digest_of(key.digest, value))),
                ReadBack::Nil => Ok(None),
                ReadBack::Error(text) => Err(text),
            });
        });
    }
    answer
}
