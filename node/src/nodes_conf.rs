//! The state file (`nodes.conf`): what a node remembers across restarts.

use std::net::IpAddr;
use std::sync::Arc;

use crate::ids::NodeId;
use crate::message::{Address, NodeFlags};
use crate::slot::{Slot, SlotSet};

/// What `nodes.conf` holds.
#[derive(Clone, PartialEq, Debug)]
pub struct SavedState {
    /// The nodes known, the node itself among them (`MYSELF` set on exactly one).
    pub nodes: Vec<SavedNode>,
    /// The greatest epoch known.
    pub current_epoch: u64,
    /// The epoch of the last vote given.
    pub last_vote_epoch: u64,
}

/// One line of `nodes.conf`.
#[derive(Clone, PartialEq, Debug)]
pub struct SavedNode {
    /// Id.
    pub id: NodeId,
    /// Address.
    pub address: Address,
    /// Announced host name.
    pub hostname: Option<Box<str>>,
    /// Flags.
    pub flags: NodeFlags,
    /// Its master, if it is a replica.
    pub replica_of: Option<NodeId>,
    /// Unix ms of the ping that waits for its pong; 0 if none.
    pub ping_sent_ms: i64,
    /// Unix ms of the last pong.
    pub pong_received_ms: i64,
    /// Config epoch.
    pub config_epoch: u64,
    /// Whether the link was up when the file was written.
    pub link_up: bool,
    /// Slots owned.
    pub slots: Arc<SlotSet>,
    /// Slots being moved away, with their target. Only for `MYSELF`.
    pub migrating: Vec<(Slot, NodeId)>,
    /// Slots being taken in, with their source. Only for `MYSELF`.
    pub importing: Vec<(Slot, NodeId)>,
}

/// The address `IP` of a node whose address is known.
#[must_use]
pub fn ip_text(ip: Option<IpAddr>) -> String {
    ip.map(|ip| ip.to_string()).unwrap_or_default()
}
