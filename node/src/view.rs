//! A read-only look at a node, for worlds, selectors and tests.

use crate::cluster::{ClusterState, Peer, PeerIndex};
use crate::commands;
use crate::ids::{NodeId, ReplicationId};
use crate::node::Node;
use crate::slot::Slot;
use crate::word::Word;

/// What a node would tell of itself.
#[derive(Clone, Copy, Debug)]
pub struct NodeView<'a> {
    pub(crate) cluster: &'a ClusterState,
    pub(crate) replication_id: ReplicationId,
    pub(crate) replication_offset: u64,
    pub(crate) master_link_up: bool,
    pub(crate) node: &'a Node,
}

/// What a node would answer to `GET`.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum ReadBack<'a> {
    /// The string under the key.
    Value(&'a Word),
    /// There is nothing.
    Nil,
    /// An error, its code included.
    Error(String),
}

impl<'a> NodeView<'a> {
    /// The node's id.
    #[must_use]
    pub fn id(&self) -> NodeId {
        self.cluster.myself().id
    }

    /// Whether it is a master.
    #[must_use]
    pub fn is_master(&self) -> bool {
        self.cluster.myself().is_master()
    }

    /// Its master's id, if it is a replica that knows it.
    #[must_use]
    pub fn master_id(&self) -> Option<NodeId> {
        Some(self.cluster[self.cluster.myself().replica_of?].id)
    }

    /// Whether its cluster state is ok.
    #[must_use]
    pub const fn state_ok(&self) -> bool {
        self.cluster.state_ok
    }

    /// `currentEpoch`.
    #[must_use]
    pub const fn current_epoch(&self) -> u64 {
        self.cluster.current_epoch
    }

    /// The owner of a slot in its view.
    #[must_use]
    pub fn owner(&self, slot: Slot) -> Option<NodeId> {
        Some(self.cluster[self.cluster.owner(slot)?].id)
    }

    /// Every node it knows.
    pub fn peers(&self) -> impl Iterator<Item = &'a Peer> {
        self.cluster
            .peers()
            .map(|(_, peer): (PeerIndex, &Peer)| peer)
    }

    /// Its whole knowledge of the cluster.
    #[must_use]
    pub const fn cluster(&self) -> &'a ClusterState {
        self.cluster
    }

    /// Bytes it sent on the cluster bus since it started.
    #[must_use]
    pub const fn bus_bytes_sent(&self) -> u64 {
        self.cluster.sent_bytes
    }

    /// The replication history it is in.
    #[must_use]
    pub const fn replication_id(&self) -> ReplicationId {
        self.replication_id
    }

    /// Bytes of the stream produced or applied.
    #[must_use]
    pub const fn replication_offset(&self) -> u64 {
        self.replication_offset
    }

    /// Whether a replica's link to its master is up and in sync.
    #[must_use]
    pub const fn master_link_up(&self) -> bool {
        self.master_link_up
    }

    /// Number of keys.
    #[must_use]
    pub fn key_count(&self) -> usize {
        self.node.store.len()
    }

    /// What a client that connects now would be answered to `GET key`, behind `ASKING` or not, by
    /// the same checks and in the same words; `None`: nothing, as long as clients are paused. The
    /// node does not notice.
    #[must_use]
    pub fn read_back(&self, key: &Word, asking: bool) -> Option<ReadBack<'a>> {
        commands::read_back(self.node, key, asking)
    }
}
