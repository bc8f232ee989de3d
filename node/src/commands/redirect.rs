//! Where a command belongs (`getNodeByQuery`, `clusterRedirectClient`).

use std::fmt;

use crate::word::Word;

use super::error::CommandError;
use super::spec::{Flags, Spec};
use crate::clients::{ClientFlags, Transaction};
use crate::cluster::{MYSELF, Peer, PeerIndex};
use crate::config::EndpointType;
use crate::engine::{Bug, Quirk};
use crate::node::Node;
use crate::nodes_conf::ip_text;
use crate::slot::{Slot, key_slot};

/// Whether this node serves a command.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) enum Route {
    /// It does.
    Here,
    /// It does not.
    Away(Redirection),
}

/// Why this node does not serve a command, and who may.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) enum Redirection {
    /// The keys are in several slots.
    CrossSlot,
    /// Some of the keys have moved already.
    Unstable,
    /// The cluster is down.
    Down,
    /// The cluster is down, and this is not a read.
    DownForWrites,
    /// Nobody has the slot.
    Unserved,
    /// Another node has the slot.
    Moved(Slot, String),
    /// The slot is on its way to another node, and the key has arrived there or never was.
    Ask(Slot, String),
}

impl fmt::Display for Redirection {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::CrossSlot => {
                formatter.write_str("CROSSSLOT Keys in request don't hash to the same slot")
            }
            Self::Unstable => {
                formatter.write_str("TRYAGAIN Multiple keys request during rehashing of slot")
            }
            Self::Down => formatter.write_str("CLUSTERDOWN The cluster is down"),
            Self::DownForWrites => formatter
                .write_str("CLUSTERDOWN The cluster is down and only accepts read commands"),
            Self::Unserved => formatter.write_str("CLUSTERDOWN Hash slot not served"),
            Self::Moved(slot, to) => write!(formatter, "MOVED {slot} {to}"),
            Self::Ask(slot, to) => write!(formatter, "ASK {slot} {to}"),
        }
    }
}

impl From<Redirection> for CommandError {
    fn from(redirection: Redirection) -> Self {
        Self::coded(redirection)
    }
}

/// What is known of a command's keys.
struct Keys<'a> {
    first: &'a Word,
    slot: Slot,
    owner: PeerIndex,
    /// Whether there are different ones.
    several: bool,
    /// The slot is on its way out, to that node.
    migrating: Option<PeerIndex>,
    /// The slot is on its way in.
    importing: bool,
    present: usize,
    missing: usize,
}

/// The look for the slot of a command's keys.
struct Search<'a> {
    node: &'a Node,
    are_channels: bool,
    /// Whether this node looks at slots on their way.
    looks: bool,
    /// Whose slots on their way it knows.
    my_shard: PeerIndex,
    located: Option<Keys<'a>>,
}

/// Decides where a command goes.
pub(super) fn route(node: &Node, client: ClientFlags, spec: &Spec, words: &[Word]) -> Route {
    let writes = spec.flags.contains(Flags::WRITE);
    let subject = Subject {
        own: spec.flags,
        writes,
        is_migrate: spec.name == "migrate",
    };
    match served_here(node, client, subject, std::iter::once((spec, words))) {
        Ok(()) => Route::Here,
        Err(redirection) => Route::Away(redirection),
    }
}

/// Decides where a transaction goes: all its keys together.
pub(super) fn route_all(node: &Node, client: ClientFlags, transaction: &Transaction) -> Route {
    let any = transaction.any.unwrap_or(Flags::empty());
    let subject = Subject {
        own: Flags::empty(),
        is_migrate: false,
        writes: any.contains(Flags::WRITE),
    };
    let commands = transaction.commands.iter();
    let commands = commands.map(|queued| (queued.spec, &*queued.words));
    match served_here(node, client, subject, commands) {
        Ok(()) => Route::Here,
        Err(redirection) => Route::Away(redirection),
    }
}

/// What is to be routed.
#[derive(Clone, Copy)]
struct Subject {
    /// The flags of the command itself.
    own: Flags,
    /// Whether it, or any command it executes, writes.
    writes: bool,
    /// Whether it moves keys itself.
    is_migrate: bool,
}

fn served_here<'a>(
    node: &'a Node,
    client: ClientFlags,
    subject: Subject,
    commands: impl Iterator<Item = (&'a Spec, &'a [Word])>,
) -> Result<(), Redirection> {
    let is_shard_channel = subject.own.contains(Flags::PUBSUB);
    let reads = client.contains(ClientFlags::READONLY);
    let Some(keys) = locate(node, is_shard_channel, reads, commands)? else {
        return Ok(());
    };
    let writes = subject.writes;
    if !node.cluster.state_ok && !node.has_bug(Bug::ServesWhileFailed) {
        if is_shard_channel {
            if !node.config.cluster_allow_pubsubshard_when_down {
                return Err(Redirection::Down);
            }
        } else if !node.config.cluster_allow_reads_when_down {
            return Err(Redirection::Down);
        } else if subject.own.contains(Flags::WRITE) {
            return Err(Redirection::DownForWrites);
        }
    }
    // Between the two nodes of a slot on its way, keys move freely.
    let is_open = keys.migrating.is_some() || keys.importing;
    if is_open && subject.is_migrate && node.cluster.myself().is_master() {
        return Ok(());
    }
    if let Some(target) = keys.migrating
        && keys.missing > 0
    {
        return Err(if keys.present > 0 {
            Redirection::Unstable
        } else {
            Redirection::Ask(keys.slot, endpoint(node, target))
        });
    }
    let asks = client.contains(ClientFlags::ASKING) || subject.own.contains(Flags::ASKING);
    if keys.importing && asks {
        return if keys.several && keys.missing > 0 {
            Err(Redirection::Unstable)
        } else {
            Ok(())
        };
    }
    let myself = node.cluster.myself();
    let reads_from_replica = (client.contains(ClientFlags::READONLY) || is_shard_channel)
        && !writes
        && myself.is_replica()
        && myself.replica_of == Some(keys.owner);
    if keys.owner == MYSELF || reads_from_replica {
        return Ok(());
    }
    Err(Redirection::Moved(keys.slot, endpoint(node, keys.owner)))
}

/// Finds the slot of a command's keys and what is going on with it; `None` if it has no keys.
fn locate<'a>(
    node: &'a Node,
    are_channels: bool,
    reads: bool,
    commands: impl Iterator<Item = (&'a Spec, &'a [Word])>,
) -> Result<Option<Keys<'a>>, Redirection> {
    let cluster = &node.cluster;
    let myself = cluster.myself();
    // Where replicas do not tell of open slots, they do not know of any.
    let my_shard = match myself.replica_of {
        Some(master) if node.has_quirk(Quirk::ReplicasAsk) => master,
        Some(_) | None => MYSELF,
    };
    let mut search = Search {
        node,
        are_channels,
        looks: myself.is_master() || reads,
        my_shard,
        located: None,
    };
    for (spec, words) in commands {
        // Nearly all commands have one key, at one place.
        match spec.only_key() {
            Some(place) => words.get(place).map_or(Ok(()), |key| search.take_in(key))?,
            None => spec
                .keys_of(words)
                .try_for_each(|key| search.take_in(key))?,
        }
    }
    Ok(search.located)
}

impl<'a> Search<'a> {
    fn take_in(&mut self, key: &'a Word) -> Result<(), Redirection> {
        let keys = match &mut self.located {
            Some(keys) => {
                if keys.first != key {
                    if key_slot(key) != keys.slot {
                        return Err(Redirection::CrossSlot);
                    }
                    keys.several = true;
                }
                keys
            }
            None => self.located.insert(self.begin(key)?),
        };
        if (keys.migrating.is_some() || keys.importing) && !self.are_channels {
            if self.node.store.get(key, self.node.now.wall).is_some() {
                keys.present += 1;
            } else {
                keys.missing += 1;
            }
        }
        Ok(())
    }

    fn begin(&self, key: &'a Word) -> Result<Keys<'a>, Redirection> {
        let cluster = &self.node.cluster;
        let slot = key_slot(key);
        let owner = cluster.owner(slot).ok_or(Redirection::Unserved)?;
        let migrating = (self.looks && owner == self.my_shard)
            .then(|| cluster.migrating.get(&slot).copied())
            .flatten();
        let importing = self.looks && migrating.is_none() && cluster.importing.contains_key(&slot);
        Ok(Keys {
            first: key,
            slot,
            owner,
            several: false,
            migrating,
            importing,
            present: 0,
            missing: 0,
        })
    }
}

/// Where a client that waits for a key must go, if this node serves it no longer.
pub(super) fn of_waiting(node: &Node, key: &Word) -> Option<Redirection> {
    if !node.cluster.state_ok {
        return Some(Redirection::Down);
    }
    let slot = key_slot(key);
    let owner = node.cluster.owner(slot);
    if owner == Some(MYSELF) || node.cluster.importing.contains_key(&slot) {
        return None;
    }
    Some(match owner {
        Some(owner) => Redirection::Moved(slot, endpoint(node, owner)),
        None => Redirection::Unserved,
    })
}

/// Where clients reach a node. Its host is empty as long as nobody told it.
fn endpoint(node: &Node, peer: PeerIndex) -> String {
    let peer = &node.cluster[peer];
    format!("{}:{}", preferred_endpoint(node, peer), peer.address.port)
}

/// The host that clients are to use (`getPreferredEndpoint`).
pub(super) fn preferred_endpoint(node: &Node, peer: &Peer) -> String {
    match node.config.cluster_preferred_endpoint_type {
        EndpointType::Ip => ip_text(peer.address.ip),
        EndpointType::Hostname => peer.hostname.as_deref().unwrap_or("?").to_owned(),
        EndpointType::UnknownEndpoint => String::new(),
    }
}
