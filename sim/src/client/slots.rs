//! What a client knows of the slots, and what replies tell it. The audit finds its way by the same.

use std::collections::BTreeMap;
use std::net::SocketAddr;

use redrill_node::{Reply, SLOT_COUNT, Slot};

use crate::scenario::NodeSpec;
use crate::trace::NodeNumber;

/// No node.
const NOBODY: NodeNumber = NodeNumber::MAX;

/// A client's slot cache.
#[derive(Debug)]
pub(crate) struct Slots {
    masters: Box<[NodeNumber; SLOT_COUNT]>,
    replicas: BTreeMap<NodeNumber, Vec<NodeNumber>>,
}

/// The addresses of a cluster's nodes.
#[derive(Clone, Debug)]
pub(crate) struct Addresses(BTreeMap<SocketAddr, NodeNumber>);

/// What an error reply says.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Refusal {
    /// `-MOVED`: the slot's owner is another node.
    Moved(Slot, NodeNumber),
    /// `-ASK`: this one key is at another node already.
    Ask(NodeNumber),
    /// `-CLUSTERDOWN`
    ClusterDown,
    /// `-TRYAGAIN`, `-LOADING`, `-MASTERDOWN`, `-READONLY`, `-NOREPLICAS`: later, or elsewhere.
    Later,
    /// Anything else.
    Other,
}

impl Slots {
    /// Nothing is known.
    pub(crate) fn unknown() -> Self {
        Self {
            masters: Box::new([NOBODY; SLOT_COUNT]),
            replicas: BTreeMap::new(),
        }
    }

    /// The slots as they are given out at the start.
    pub(crate) fn initial(nodes: &[NodeSpec]) -> Self {
        let mut slots = Self::unknown();
        for (number, node) in (0..).zip(nodes) {
            for range in &node.slots {
                let places = usize::from(range.first)..=usize::from(range.last);
                if let Some(masters) = slots.masters.get_mut(places) {
                    masters.fill(number);
                }
            }
            if let Some(master) = node.replica_of {
                slots
                    .replicas
                    .entry(master as NodeNumber)
                    .or_default()
                    .push(number);
            }
        }
        slots
    }

    pub(crate) fn master(&self, slot: Slot) -> Option<NodeNumber> {
        let master = self.masters[usize::from(slot)];
        (master != NOBODY).then_some(master)
    }

    /// The master or one of its replicas, by random bits.
    pub(crate) fn any_of_shard(&self, slot: Slot, choice: u64) -> Option<NodeNumber> {
        let master = self.master(slot)?;
        let replicas = self.replicas.get(&master).map_or(&[][..], Vec::as_slice);
        match crate::rng::scale(choice, replicas.len() as u64 + 1) as usize {
            0 => Some(master),
            replica => Some(replicas[replica - 1]),
        }
    }

    pub(crate) fn set_master(&mut self, slot: Slot, node: NodeNumber) {
        self.masters[usize::from(slot)] = node;
    }

    /// Takes over a `CLUSTER SLOTS` reply. False if it is not one.
    pub(crate) fn learn(&mut self, reply: &Reply, addresses: &Addresses) -> bool {
        let Reply::Array(ranges) = reply else {
            return false;
        };
        let mut learned = Self::unknown();
        for range in ranges {
            if learned.learn_range(range, addresses).is_none() {
                return false;
            }
        }
        *self = learned;
        true
    }

    fn learn_range(&mut self, range: &Reply, addresses: &Addresses) -> Option<()> {
        let Reply::Array(parts) = range else {
            return None;
        };
        let [
            Reply::Integer(first),
            Reply::Integer(last),
            master,
            replicas @ ..,
        ] = parts.as_slice()
        else {
            return None;
        };
        let (first, last) = (usize::try_from(*first).ok()?, usize::try_from(*last).ok()?);
        let masters = self.masters.get_mut(first..=last)?;
        // A node that the client has no address of is as good as none.
        let Some(master) = addresses.of_entry(master) else {
            return Some(());
        };
        masters.fill(master);
        let replicas = replicas
            .iter()
            .filter_map(|entry| addresses.of_entry(entry))
            .collect();
        self.replicas.insert(master, replicas);
        Some(())
    }
}

impl Addresses {
    pub(crate) fn new(addresses: &[SocketAddr]) -> Self {
        Self(addresses.iter().copied().zip(0..).collect())
    }

    pub(crate) fn find(&self, address: &str) -> Option<NodeNumber> {
        let (ip, port) = address.rsplit_once(':')?;
        let address = SocketAddr::new(ip.parse().ok()?, port.parse().ok()?);
        self.0.get(&address).copied()
    }

    /// The node of an entry of `CLUSTER SLOTS`: host, port, id and more.
    fn of_entry(&self, entry: &Reply) -> Option<NodeNumber> {
        let Reply::Array(parts) = entry else {
            return None;
        };
        let [Reply::Bulk(host), Reply::Integer(port), ..] = parts.as_slice() else {
            return None;
        };
        self.find(&format!("{}:{port}", std::str::from_utf8(host).ok()?))
    }
}

impl Refusal {
    /// What an error reply says. A redirect to an address the client does not know is
    /// [`Refusal::Other`].
    pub(crate) fn of(text: &str, addresses: &Addresses) -> Self {
        let mut words = text.split(' ');
        let known = match words.next() {
            Some("MOVED") => {
                let slot = words.next().and_then(|word| word.parse().ok());
                let node = words.next().and_then(|word| addresses.find(word));
                slot.zip(node).map(|(slot, node)| Self::Moved(slot, node))
            }
            Some("ASK") => words
                .nth(1)
                .and_then(|word| addresses.find(word))
                .map(Self::Ask),
            Some("CLUSTERDOWN") => Some(Self::ClusterDown),
            Some("TRYAGAIN" | "LOADING" | "MASTERDOWN" | "READONLY" | "NOREPLICAS") => {
                Some(Self::Later)
            }
            Some(_) | None => None,
        };
        known.unwrap_or(Self::Other)
    }
}
