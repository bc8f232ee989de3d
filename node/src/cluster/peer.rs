//! What a node knows of one node of its cluster.

use std::sync::Arc;

use super::PeerIndex;
use crate::ids::{LinkId, NodeId};
use crate::message::{Address, NodeFlags};
use crate::slot::SlotSet;
use crate::time::WallMillis;

/// What is known of one node (`clusterNode`).
///
/// The fields that gossip touches come first and share a cache line, and what the cron looks at
/// fills the second: a large cluster spends most of its time waiting for them to come out of
/// memory.
#[derive(Clone, Debug)]
#[repr(C, align(64))]
pub struct Peer {
    /// What it is held to be.
    pub flags: NodeFlags,
    /// Its address.
    pub address: Address,
    /// Its id; made up while in handshake.
    pub id: NodeId,
    /// Whether this place of the table is empty.
    pub(super) vacant: bool,
    /// When its last pong arrived, or was heard of; 0 at first.
    pub pong_received: WallMillis,
    /// When the ping was sent that waits for its pong; 0: none does.
    ping_sent: WallMillis,
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

impl Peer {
    pub(crate) fn new(id: NodeId, flags: NodeFlags, address: Address, now: WallMillis) -> Self {
        Self {
            id,
            address,
            hostname: None,
            shard_id: id,
            flags,
            config_epoch: 0,
            slots: Arc::default(),
            replica_of: None,
            replicas: Vec::new(),
            created: now,
            ping_sent: WallMillis(0),
            pong_received: WallMillis(0),
            data_received: WallMillis(0),
            fail_time: WallMillis(0),
            voted_time: WallMillis(0),
            orphaned_time: None,
            offset: 0,
            offset_time: WallMillis(0),
            link: None,
            inbound_link: None,
            look_at: WallMillis(i64::MAX),
            vacant: false,
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
            vacant: true,
            ..Self::new(NodeId::ZERO, NodeFlags::empty(), nowhere, WallMillis(0))
        }
    }

    /// When the ping was sent that waits for its pong.
    #[must_use]
    pub const fn ping_sent(&self) -> Option<WallMillis> {
        match self.ping_sent {
            WallMillis(0) => None,
            sent => Some(sent),
        }
    }

    /// Notes that a ping waits for its pong since a time, or that none does.
    pub(crate) fn set_ping_sent(&mut self, sent: Option<WallMillis>) {
        self.ping_sent = sent.unwrap_or(WallMillis(0));
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
