//! What a node knows of one node of its cluster.

use std::sync::Arc;

use super::PeerIndex;
use crate::directory::{Identity, Name};
use crate::ids::{LinkId, NodeId};
use crate::message::{Address, NodeFlags};
use crate::prefetch::prefetch;
use crate::slot::SlotSet;
use crate::time::{Stamp, WallMillis};

/// What is known of one node (`clusterNode`), but for its last pong
/// ([`ClusterState::pong_received`](super::ClusterState::pong_received)). What every message looks
/// at comes first, in two cache lines.
#[derive(Clone, Debug)]
#[repr(C, align(64))]
pub struct Peer {
    shown: Shown,
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
    /// Its announced host name.
    pub hostname: Option<Box<str>>,
    /// Its master.
    pub replica_of: Option<PeerIndex>,
    /// The id of its shard (from Redis 7.2); its own id while that is not known, and in older
    /// engines.
    pub shard_id: NodeId,
    orphaned_time: Stamp,
    /// The connection it opened to this node.
    pub inbound_link: Option<LinkId>,
    /// Its replicas, in the order they were learned of.
    pub replicas: Vec<PeerIndex>,
    /// When it was added.
    pub created: WallMillis,
    /// When it was marked FAIL.
    pub fail_time: WallMillis,
    /// When a replica of this master last got this node's vote.
    pub voted_time: WallMillis,
}

/// The part of a peer that its [`Row`](super::Row) shows. Read only: whatever changes it changes
/// the row too, so [`ClusterState`](super::ClusterState) does.
#[derive(Clone, Debug)]
#[repr(C)]
pub struct Shown {
    link: Option<LinkId>,
    /// Its id and address. Shared by the nodes that have one directory.
    identity: Arc<Identity>,
    /// What it is held to be.
    pub flags: NodeFlags,
    /// What its identity is called; none while in handshake.
    name: Name,
    awaits_pong: bool,
    is_vacant: bool,
}

impl std::ops::Deref for Peer {
    type Target = Shown;

    fn deref(&self) -> &Shown {
        &self.shown
    }
}

impl std::ops::Deref for Shown {
    type Target = Identity;

    fn deref(&self) -> &Identity {
        &self.identity
    }
}

impl Peer {
    pub(crate) fn new(id: NodeId, flags: NodeFlags, address: Address, now: WallMillis) -> Self {
        Self {
            shown: Shown {
                link: None,
                identity: Arc::new(Identity { id, address }),
                flags,
                name: Name::NONE,
                awaits_pong: false,
                is_vacant: false,
            },
            data_received: WallMillis(0),
            config_epoch: 0,
            slots: Arc::default(),
            offset: 0,
            offset_time: WallMillis(0),
            ping_sent: WallMillis(0),
            hostname: None,
            replica_of: None,
            shard_id: id,
            orphaned_time: Stamp::ZERO,
            inbound_link: None,
            replicas: Vec::new(),
            created: now,
            fail_time: WallMillis(0),
            voted_time: WallMillis(0),
        }
    }

    /// Has what a message of it touches come into the processor's cache.
    pub(super) fn prefetch(&self) {
        prefetch(&self.shown);
        prefetch(&self.replica_of);
    }

    /// An empty place of the table.
    pub(super) fn vacant() -> Self {
        let nowhere = Address {
            ip: None,
            port: 0,
            bus_port: 0,
        };
        let mut peer = Self::new(NodeId::ZERO, NodeFlags::empty(), nowhere, WallMillis(0));
        peer.shown.is_vacant = true;
        peer
    }

    /// Whether this place of the table is empty.
    pub(super) const fn is_vacant(&self) -> bool {
        self.shown.is_vacant
    }

    /// Its id and address, and what they are called.
    pub(super) const fn identity(&self) -> &Arc<Identity> {
        &self.shown.identity
    }

    /// What its identity is called.
    pub(crate) const fn name(&self) -> Name {
        self.shown.name
    }

    /// Gives it another identity, or another copy of its own.
    pub(super) fn set_identity(&mut self, name: Name, identity: Arc<Identity>) {
        self.shown.name = name;
        self.shown.identity = identity;
    }

    pub(super) const fn set_flags(&mut self, flags: NodeFlags) {
        self.shown.flags = flags;
    }

    /// The connection this node opened to it, which need not be up yet.
    #[must_use]
    pub const fn link(&self) -> Option<LinkId> {
        self.shown.link
    }

    /// Whether this node has opened a connection to it.
    #[must_use]
    pub const fn is_linked(&self) -> bool {
        self.shown.link.is_some()
    }

    pub(super) const fn set_link(&mut self, link: Option<LinkId>) {
        self.shown.link = link;
    }

    /// Whether a ping waits for its pong.
    #[must_use]
    pub const fn awaits_pong(&self) -> bool {
        self.shown.awaits_pong
    }

    /// When the ping was sent that waits for its pong.
    #[must_use]
    pub fn ping_sent(&self) -> Option<WallMillis> {
        self.shown.awaits_pong.then_some(self.ping_sent)
    }

    /// Notes that a ping waits for its pong since a time, or that none does. Times before 1970, and
    /// its first millisecond, count as none.
    pub(super) fn set_ping_sent(&mut self, sent: Option<WallMillis>) {
        let sent = sent.filter(|sent| sent.0 > 0);
        self.shown.awaits_pong = sent.is_some();
        if let Some(sent) = sent {
            self.ping_sent = sent;
        }
    }

    /// Since when it has no working replica.
    #[must_use]
    pub fn orphaned_time(&self) -> Option<WallMillis> {
        let since = self.orphaned_time;
        (since != Stamp::ZERO).then(|| since.time())
    }

    /// Notes since when it has no working replica, or that it has one.
    pub(crate) fn set_orphaned_time(&mut self, since: Option<WallMillis>) {
        self.orphaned_time = since.map_or(Stamp::ZERO, Stamp::new);
    }

    /// Whether it is a master.
    #[must_use]
    pub const fn is_master(&self) -> bool {
        self.shown.flags.contains(NodeFlags::MASTER)
    }

    /// Whether it is a replica.
    #[must_use]
    pub const fn is_replica(&self) -> bool {
        self.shown.flags.contains(NodeFlags::REPLICA)
    }

    /// Whether a quorum holds it for failed.
    #[must_use]
    pub const fn is_failed(&self) -> bool {
        self.shown.flags.contains(NodeFlags::FAIL)
    }

    /// Whether this node suspects it.
    #[must_use]
    pub const fn is_timed_out(&self) -> bool {
        self.shown.flags.contains(NodeFlags::PFAIL)
    }

    /// Whether its name is not known yet.
    #[must_use]
    pub const fn in_handshake(&self) -> bool {
        self.shown.flags.contains(NodeFlags::HANDSHAKE)
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
    fn a_peer_begins_with_what_every_message_looks_at() {
        assert_eq!(std::mem::offset_of!(Peer, offset_time), 64);
        assert_eq!(size_of::<Peer>(), 3 * 64);
    }
}
