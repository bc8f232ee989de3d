//! What a node knows of one node of its cluster.

use std::sync::Arc;

use super::PeerIndex;
use crate::directory::{Identity, Name};
use crate::ids::{LinkId, NodeId};
use crate::message::{Address, NodeFlags};
use crate::prefetch::prefetch;
use crate::slot::SlotSet;
use crate::time::{Stamp, WallMillis};

/// What is known of one node (`clusterNode`).
///
/// What gossip touches takes 24 bytes, and nothing else is in the table: a large cluster spends
/// most of its time waiting for it to come out of memory.
#[derive(Clone, Debug)]
#[repr(C)]
pub struct Peer {
    details: Box<Details>,
    /// What its identity is called; none while in handshake.
    name: Name,
    /// What it is held to be.
    pub flags: NodeFlags,
    /// When its last pong arrived, or was heard of; 0 at first.
    pong_received: Stamp,
    /// Whether a ping waits for its pong.
    awaits_pong: bool,
    is_linked: bool,
}

/// What is known of one node and is not in every gossip section. What every message looks at comes
/// first, in one cache line.
#[derive(Clone, Debug)]
#[repr(C)]
pub struct Details {
    link: Option<LinkId>,
    /// Its id and address. Shared by the nodes that have one directory.
    identity: Arc<Identity>,
    /// When anything last arrived from it; 0 at first.
    pub data_received: WallMillis,
    /// Its config epoch.
    pub config_epoch: u64,
    /// The slots it owns. Shared with the messages that carry it.
    pub slots: Arc<SlotSet>,
    /// Its replication offset as it last announced it.
    pub offset: u64,
    /// When it announced it.
    pub offset_time: WallMillis,
    /// When the ping was sent that waits for its pong.
    ping_sent: WallMillis,
    /// Its master.
    pub replica_of: Option<PeerIndex>,
    /// The id of its shard (from Redis 7.2); its own id while that is not known, and in older
    /// engines.
    pub shard_id: NodeId,
    orphaned_time: Stamp,
    /// The connection it opened to this node.
    pub inbound_link: Option<LinkId>,
    /// Its announced host name.
    pub hostname: Option<Box<str>>,
    /// Its replicas, in the order they were learned of.
    pub replicas: Vec<PeerIndex>,
    /// When it was added.
    pub created: WallMillis,
    /// When it was marked FAIL.
    pub fail_time: WallMillis,
    /// When a replica of this master last got this node's vote.
    pub voted_time: WallMillis,
}

impl std::ops::Deref for Peer {
    type Target = Details;

    fn deref(&self) -> &Details {
        &self.details
    }
}

impl std::ops::DerefMut for Peer {
    fn deref_mut(&mut self) -> &mut Details {
        &mut self.details
    }
}

/// Read only: a new identity has a new name ([`ClusterState::rename`](super::ClusterState),
/// [`ClusterState::set_address`](super::ClusterState)).
impl std::ops::Deref for Details {
    type Target = Identity;

    fn deref(&self) -> &Identity {
        &self.identity
    }
}

impl Peer {
    pub(crate) fn new(id: NodeId, flags: NodeFlags, address: Address, now: WallMillis) -> Self {
        Self {
            flags,
            name: Name::NONE,
            pong_received: Stamp::ZERO,
            awaits_pong: false,
            is_linked: false,
            details: Box::new(Details {
                link: None,
                data_received: WallMillis(0),
                config_epoch: 0,
                slots: Arc::default(),
                offset: 0,
                offset_time: WallMillis(0),
                identity: Arc::new(Identity { id, address }),
                ping_sent: WallMillis(0),
                replica_of: None,
                shard_id: id,
                orphaned_time: Stamp::ZERO,
                inbound_link: None,
                hostname: None,
                replicas: Vec::new(),
                created: now,
                fail_time: WallMillis(0),
                voted_time: WallMillis(0),
            }),
        }
    }

    /// Has the rest of it come into the processor's cache.
    pub(super) fn prefetch_details(&self) {
        prefetch(&*self.details);
        prefetch(&self.details.replica_of);
    }

    /// An empty place of the table.
    pub(super) fn vacant() -> Self {
        let nowhere = Address {
            ip: None,
            port: 0,
            bus_port: 0,
        };
        Self {
            pong_received: Stamp::NEVER,
            ..Self::new(NodeId::ZERO, NodeFlags::empty(), nowhere, WallMillis(0))
        }
    }

    /// Whether this place of the table is empty.
    pub(super) fn is_vacant(&self) -> bool {
        self.pong_received == Stamp::NEVER
    }

    /// Its id and address, and what they are called.
    pub(super) const fn identity(&self) -> &Arc<Identity> {
        &self.details.identity
    }

    /// What its identity is called.
    pub(crate) const fn name(&self) -> Name {
        self.name
    }

    /// Gives it another identity, or another copy of its own.
    pub(super) fn set_identity(&mut self, name: Name, identity: Arc<Identity>) {
        self.name = name;
        self.details.identity = identity;
    }

    /// The connection this node opened to it.
    #[must_use]
    pub fn link(&self) -> Option<LinkId> {
        self.details.link
    }

    /// Whether this node has opened a connection to it, which need not be up yet.
    #[must_use]
    pub const fn is_linked(&self) -> bool {
        self.is_linked
    }

    /// Notes the connection this node opened to it, or that it is gone.
    pub(crate) fn set_link(&mut self, link: Option<LinkId>) {
        self.is_linked = link.is_some();
        self.details.link = link;
    }

    /// When its last pong arrived, or was heard of; 0 at first.
    #[must_use]
    pub const fn pong_received(&self) -> WallMillis {
        self.pong_received.time()
    }

    /// Notes when its last pong arrived, or was heard of. Times before 1970 count as 0.
    pub(crate) fn set_pong_received(&mut self, received: WallMillis) {
        self.pong_received = Stamp::new(received);
    }

    /// A pong of it was heard of that came at a time. It counts if no ping of this node waits for
    /// its pong, and if it is news.
    pub(crate) fn hear_of_pong(&mut self, at: WallMillis) {
        // Which is the case cannot be foretold: without a branch.
        let known = self.pong_received();
        let news = !self.awaits_pong && at > known;
        self.set_pong_received(if news { at } else { known });
    }

    /// Whether a ping waits for its pong.
    #[must_use]
    pub const fn awaits_pong(&self) -> bool {
        self.awaits_pong
    }

    /// When the ping was sent that waits for its pong.
    #[must_use]
    pub fn ping_sent(&self) -> Option<WallMillis> {
        // Not looked up in vain: it is in another cache line.
        if self.awaits_pong {
            Some(self.details.ping_sent)
        } else {
            None
        }
    }

    /// Notes that a ping waits for its pong since a time, or that none does. Times before 1970, and
    /// its first millisecond, count as none.
    pub(crate) fn set_ping_sent(&mut self, sent: Option<WallMillis>) {
        let sent = sent.filter(|sent| sent.0 > 0);
        self.awaits_pong = sent.is_some();
        if let Some(sent) = sent {
            self.details.ping_sent = sent;
        }
    }

    /// Since when it has no working replica.
    #[must_use]
    pub fn orphaned_time(&self) -> Option<WallMillis> {
        let since = self.details.orphaned_time;
        (since != Stamp::ZERO).then(|| since.time())
    }

    /// Notes since when it has no working replica, or that it has one.
    pub(crate) fn set_orphaned_time(&mut self, since: Option<WallMillis>) {
        self.details.orphaned_time = since.map_or(Stamp::ZERO, Stamp::new);
    }

    /// Whether it is a master.
    #[must_use]
    pub const fn is_master(&self) -> bool {
        self.flags.contains(NodeFlags::MASTER)
    }

    /// Whether it is a replica.
    #[must_use]
    pub const fn is_replica(&self) -> bool {
        self.flags.contains(NodeFlags::REPLICA)
    }

    /// Whether a quorum holds it for failed.
    #[must_use]
    pub const fn is_failed(&self) -> bool {
        self.flags.contains(NodeFlags::FAIL)
    }

    /// Whether this node suspects it.
    #[must_use]
    pub const fn is_timed_out(&self) -> bool {
        self.flags.contains(NodeFlags::PFAIL)
    }

    /// Whether its name is not known yet.
    #[must_use]
    pub const fn in_handshake(&self) -> bool {
        self.flags.contains(NodeFlags::HANDSHAKE)
    }

    /// Whether it votes: a master that owns slots.
    #[must_use]
    pub fn votes(&self) -> bool {
        self.is_master() && !self.slots.is_empty()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_peer_is_small_and_its_details_begin_with_a_full_cache_line() {
        assert_eq!(size_of::<Peer>(), 24);
        assert_eq!(std::mem::offset_of!(Details, ping_sent), 64);
        assert!(size_of::<Details>() <= 3 * 64);
    }
}
