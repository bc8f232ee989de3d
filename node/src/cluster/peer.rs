//! What a node knows of one node of its cluster.

use std::sync::Arc;

use super::PeerIndex;
use crate::ids::{LinkId, NodeId};
use crate::message::{Address, NodeFlags};
use crate::slot::SlotSet;
use crate::time::WallMillis;

/// What is known of one node (`clusterNode`).
///
/// What gossip touches fills one cache line, and nothing else is in the table: a large cluster
/// spends most of its time waiting for it to come out of memory.
#[derive(Clone, Debug)]
#[repr(C, align(64))]
pub struct Peer {
    /// What it is held to be.
    pub flags: NodeFlags,
    /// Its address.
    pub address: Address,
    /// Its id; made up while in handshake.
    pub id: NodeId,
    /// When its last pong arrived, or was heard of; 0 at first.
    pong_received: Stamp,
    /// When the ping was sent that waits for its pong; 0: none does.
    ping_sent: Stamp,
    details: Box<Details>,
}

/// What is known of one node and is not in every gossip section.
#[derive(Clone, Debug)]
pub struct Details {
    /// The connection this node opened to it.
    pub link: Option<LinkId>,
    /// When the cron looks at it next.
    pub(crate) look_at: WallMillis,
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
    /// Its master.
    pub replica_of: Option<PeerIndex>,
    /// Its announced host name.
    pub hostname: Option<Box<str>>,
    /// The id of its shard (from Redis 7.2); its own id while that is not known, and in older
    /// engines.
    pub shard_id: NodeId,
    /// Its replicas, in the order they were learned of.
    pub replicas: Vec<PeerIndex>,
    /// The connection it opened to this node.
    pub inbound_link: Option<LinkId>,
    /// When it was added.
    pub created: WallMillis,
    /// When it was marked FAIL.
    pub fail_time: WallMillis,
    /// When a replica of this master last got this node's vote.
    pub voted_time: WallMillis,
    /// Since when it has no working replica.
    pub orphaned_time: Option<WallMillis>,
}

/// Milliseconds since the Unix epoch in 48 bits, for as long as there will be clusters.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
struct Stamp([u8; 6]);

impl Stamp {
    const ZERO: Self = Self([0; 6]);

    /// What no time gives: marks an empty place of the table.
    const NEVER: Self = Self([u8::MAX; 6]);

    fn new(time: WallMillis) -> Self {
        let [a, b, c, d, e, f, ..] = time.0.clamp(0, (1 << 48) - 2).to_le_bytes();
        Self([a, b, c, d, e, f])
    }

    const fn time(self) -> WallMillis {
        let [a, b, c, d, e, f] = self.0;
        WallMillis(i64::from_le_bytes([a, b, c, d, e, f, 0, 0]))
    }
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

impl Peer {
    pub(crate) fn new(id: NodeId, flags: NodeFlags, address: Address, now: WallMillis) -> Self {
        Self {
            id,
            address,
            flags,
            ping_sent: Stamp::ZERO,
            pong_received: Stamp::ZERO,
            details: Box::new(Details {
                hostname: None,
                shard_id: id,
                config_epoch: 0,
                slots: Arc::default(),
                replica_of: None,
                replicas: Vec::new(),
                created: now,
                data_received: WallMillis(0),
                fail_time: WallMillis(0),
                voted_time: WallMillis(0),
                orphaned_time: None,
                offset: 0,
                offset_time: WallMillis(0),
                link: None,
                inbound_link: None,
                look_at: WallMillis(i64::MAX),
            }),
        }
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

    /// When its last pong arrived, or was heard of; 0 at first.
    #[must_use]
    pub const fn pong_received(&self) -> WallMillis {
        self.pong_received.time()
    }

    /// Notes when its last pong arrived, or was heard of. Times before 1970 count as 0.
    pub(crate) fn set_pong_received(&mut self, received: WallMillis) {
        self.pong_received = Stamp::new(received);
    }

    /// When the ping was sent that waits for its pong.
    #[must_use]
    pub const fn ping_sent(&self) -> Option<WallMillis> {
        match self.ping_sent.time() {
            WallMillis(0) => None,
            sent => Some(sent),
        }
    }

    /// Notes that a ping waits for its pong since a time, or that none does.
    pub(crate) fn set_ping_sent(&mut self, sent: Option<WallMillis>) {
        self.ping_sent = Stamp::new(sent.unwrap_or(WallMillis(0)));
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
    fn a_peer_fills_one_cache_line() {
        assert_eq!(size_of::<Peer>(), 64);
    }

    #[test]
    fn a_stamp_gives_back_the_time_it_was_made_of() {
        for ms in [0, 1, 1_795_249_377_522, (1 << 48) - 2] {
            assert_eq!(Stamp::new(WallMillis(ms)).time(), WallMillis(ms));
        }
        assert_eq!(Stamp::new(WallMillis(-1)).time(), WallMillis(0));
    }
}
