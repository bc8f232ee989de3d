//! The state file (`nodes.conf`): what a node remembers across restarts, and the output of
//! `CLUSTER NODES`, which has the same lines.

mod error;
mod parse;
#[cfg(test)]
mod tests;

use std::fmt::Write;
use std::net::IpAddr;
use std::sync::Arc;

use crate::ids::NodeId;
use crate::message::{Address, NodeFlags};
use crate::slot::{Slot, SlotSet};

pub use error::NodesConfError;
pub use parse::parse_cluster_nodes;

/// The names of the flags, in the order they are written in (`redisNodeFlagsTable`).
const FLAG_NAMES: [(NodeFlags, &str); 8] = [
    (NodeFlags::MYSELF, "myself"),
    (NodeFlags::MASTER, "master"),
    (NodeFlags::REPLICA, "slave"),
    (NodeFlags::PFAIL, "fail?"),
    (NodeFlags::FAIL, "fail"),
    (NodeFlags::HANDSHAKE, "handshake"),
    (NodeFlags::NOADDR, "noaddr"),
    (NodeFlags::NOFAILOVER, "nofailover"),
];

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
    /// The id of its shard, where the engine has one and tells it (the state file of Redis 7.2).
    pub shard_id: Option<NodeId>,
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

impl SavedState {
    /// The text of the state file (`clusterSaveConfig`).
    #[must_use]
    pub fn to_text(&self) -> String {
        let mut text = String::with_capacity(160 * (self.nodes.len() + 1));
        for node in &self.nodes {
            node.describe(&mut text);
            text.push('\n');
        }
        let (current, last_vote) = (self.current_epoch, self.last_vote_epoch);
        let _ = writeln!(
            text,
            "vars currentEpoch {current} lastVoteEpoch {last_vote}"
        );
        text
    }

    /// Reads a state file (`clusterLoadConfig`). `None` for one of no bytes, which Redis takes
    /// for one that was never written.
    ///
    /// Stricter than Redis where leniency would hide a damaged file: the `vars` line with both
    /// epochs and the end of the last line must be there (without them a node forgets its vote),
    /// a node or slot may not occur twice, and numbers must be numbers.
    ///
    /// # Errors
    /// [`NodesConfError`] names the line, the column and the field, and a way out.
    pub fn parse(text: &[u8]) -> Result<Option<Self>, NodesConfError> {
        parse::state(text)
    }
}

impl SavedNode {
    /// Appends the node's line, without a line end (`clusterGenNodeDescription`).
    pub fn describe(&self, out: &mut String) {
        let Address { ip, port, bus_port } = self.address;
        let _ = write!(out, "{} {}:{port}@{bus_port}", self.id, ip_text(ip));
        if let Some(hostname) = &self.hostname {
            out.push(',');
            out.push_str(hostname);
        }
        if let Some(shard_id) = self.shard_id {
            // The place of the host name stays, even empty.
            let comma = if self.hostname.is_none() { "," } else { "" };
            let _ = write!(out, "{comma},shard-id={shard_id}");
        }
        out.push(' ');
        push_flags(out, self.flags);
        match self.replica_of {
            Some(master) => _ = write!(out, " {master}"),
            None => out.push_str(" -"),
        }
        let link = if self.link_up || self.flags.contains(NodeFlags::MYSELF) {
            "connected"
        } else {
            "disconnected"
        };
        let (sent, received, epoch) = (self.ping_sent_ms, self.pong_received_ms, self.config_epoch);
        let _ = write!(out, " {sent} {received} {epoch} {link}");
        for range in self.slots.ranges() {
            let _ = write!(out, " {range}");
        }
        if self.flags.contains(NodeFlags::MYSELF) {
            self.describe_migrations(out);
        }
    }

    /// Slots under way, in ascending order. A slot both moving away and coming in is written as
    /// moving away.
    fn describe_migrations(&self, out: &mut String) {
        let away = self.migrating.iter().map(|&(slot, node)| (slot, '>', node));
        let coming = self.importing.iter().map(|&(slot, node)| (slot, '<', node));
        let mut under_way: Vec<_> = away.chain(coming).collect();
        under_way.sort_by_key(|&(slot, ..)| slot);
        under_way.dedup_by_key(|&mut (slot, ..)| slot);
        for (slot, arrow, node) in under_way {
            let _ = write!(out, " [{slot}-{arrow}-{node}]");
        }
    }
}

fn push_flags(out: &mut String, flags: NodeFlags) {
    let start = out.len();
    for (flag, name) in FLAG_NAMES {
        if flags.contains(flag) {
            out.push_str(name);
            out.push(',');
        }
    }
    if out.len() == start {
        out.push_str("noflags");
    } else {
        out.pop();
    }
}

/// The address `IP` of a node whose address is known.
#[must_use]
pub fn ip_text(ip: Option<IpAddr>) -> String {
    ip.map(|ip| ip.to_string()).unwrap_or_default()
}
