//! Cluster-bus messages as values. `wire::bus` turns them into packets and back.

use std::net::IpAddr;
use std::sync::Arc;

use bytes::Bytes;
use serde::{Deserialize, Serialize};

use crate::ids::NodeId;
use crate::section::Section;
use crate::slot::SlotSet;

bitflags::bitflags! {
    /// What a node is, in the bits of the cluster bus (`CLUSTER_NODE_*`).
    #[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
    pub struct NodeFlags: u16 {
        /// A master.
        const MASTER = 1;
        /// A replica.
        const REPLICA = 2;
        /// Possibly failing: this node alone suspects it.
        const PFAIL = 4;
        /// Failing: a quorum agreed.
        const FAIL = 8;
        /// The node that speaks.
        const MYSELF = 16;
        /// Known by address only; its id is still made up.
        const HANDSHAKE = 32;
        /// Its address is not known.
        const NOADDR = 64;
        /// Must be sent a MEET.
        const MEET = 128;
        /// A master that has had replicas: replicas may migrate to it.
        const MIGRATE_TO = 256;
        /// A replica that will not start a failover.
        const NOFAILOVER = 512;
    }
}

bitflags::bitflags! {
    /// The first byte of a message's flags (`CLUSTERMSG_FLAG0_*`).
    #[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
    pub struct MessageFlags: u8 {
        /// The sending master holds writes back for a manual failover.
        const PAUSED = 1;
        /// Vote even if the master is up.
        const FORCEACK = 2;
        /// Ping extensions follow the gossip section.
        const EXT_DATA = 4;
    }
}

/// Where a node is reached.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Serialize, Deserialize)]
pub struct Address {
    /// Host; `None` while it is not known.
    pub ip: Option<IpAddr>,
    /// Client port.
    pub port: u16,
    /// Cluster-bus port.
    pub bus_port: u16,
}

/// What every bus message starts with.
#[derive(Clone, PartialEq, Debug)]
pub struct Header {
    /// Who speaks.
    pub sender: NodeId,
    /// The greatest epoch the sender knows.
    pub current_epoch: u64,
    /// The config epoch of the sender, or of its master if it is a replica.
    pub config_epoch: u64,
    /// Replication offset: produced by a master, applied by a replica.
    pub offset: u64,
    /// The slots of the sender, or of its master if it is a replica.
    pub slots: Arc<SlotSet>,
    /// The sender's master; `None` for a master.
    pub replica_of: Option<NodeId>,
    /// The announced address; `None` leaves it to the receiver to read it off the socket.
    pub ip: Option<IpAddr>,
    /// Client port.
    pub port: u16,
    /// TLS or plain twin of `port`; 0 if unused.
    pub plain_port: u16,
    /// Cluster-bus port.
    pub bus_port: u16,
    /// What the sender is.
    pub flags: NodeFlags,
    /// Whether the sender's cluster state is ok.
    pub state_ok: bool,
    /// Message flags.
    pub message_flags: MessageFlags,
}

/// One entry of a gossip section: what the sender knows of another node.
#[derive(Clone, Copy, PartialEq, Debug)]
pub struct Gossip {
    /// The node spoken of.
    pub node: NodeId,
    /// When the sender last pinged it without an answer yet; Unix seconds, 0 if none.
    pub ping_sent_s: u32,
    /// When the sender last heard a pong of it; Unix seconds.
    pub pong_received_s: u32,
    /// Its address.
    pub address: Address,
    /// TLS or plain twin of the client port; 0 if unused.
    pub plain_port: u16,
    /// What the sender holds it to be.
    pub flags: NodeFlags,
}

/// Body of MEET, PING and PONG.
#[derive(Clone, PartialEq, Debug, Default)]
pub struct Ping {
    /// The gossip section.
    pub gossip: Section,
    /// The announced host name (a ping extension from 7.0), if any.
    pub hostname: Option<Box<str>>,
    /// The sender's shard (a ping extension from 7.2).
    pub shard_id: Option<NodeId>,
    /// Nodes that were forgotten, and for how many seconds gossip about them is to be ignored (a
    /// ping extension from 7.2).
    pub forgotten: Vec<(NodeId, u64)>,
}

impl Ping {
    /// Whether ping extensions follow the gossip section.
    #[must_use]
    pub fn has_extensions(&self) -> bool {
        self.hostname.is_some() || self.shard_id.is_some() || !self.forgotten.is_empty()
    }
}

/// What a message says.
#[derive(Clone, PartialEq, Debug)]
pub enum Body {
    /// Are you there?
    Ping(Ping),
    /// I am here; also sent unasked to spread news.
    Pong(Ping),
    /// Join me.
    Meet(Ping),
    /// This node is failing.
    Fail(NodeId),
    /// A message for subscribers.
    Publish {
        /// Channel name.
        channel: Bytes,
        /// Payload.
        message: Bytes,
        /// Whether it is a shard channel.
        sharded: bool,
    },
    /// Vote for me.
    FailoverAuthRequest,
    /// You have my vote.
    FailoverAuthAck,
    /// Your view of this node's slots is stale.
    Update {
        /// The owner.
        node: NodeId,
        /// Its config epoch.
        config_epoch: u64,
        /// Its slots.
        slots: Arc<SlotSet>,
    },
    /// Pause your clients: I am about to take over (manual failover).
    ManualFailoverStart,
    /// A message between modules, which redrill carries and ignores.
    Module {
        /// Which module.
        module: u64,
        /// The module's own message type.
        kind: u8,
        /// Payload.
        payload: Bytes,
    },
}

/// A bus message.
#[derive(Clone, PartialEq, Debug)]
pub struct Message {
    /// What every message starts with.
    pub header: Header,
    /// What this one says.
    pub body: Body,
}

/// Types of bus messages in the numbering of the wire (`CLUSTERMSG_TYPE_*`).
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Serialize, Deserialize)]
#[repr(u16)]
#[serde(rename_all = "kebab-case")]
pub enum MessageKind {
    /// PING.
    Ping = 0,
    /// PONG.
    Pong = 1,
    /// MEET.
    Meet = 2,
    /// FAIL.
    Fail = 3,
    /// PUBLISH.
    Publish = 4,
    /// FAILOVER_AUTH_REQUEST.
    FailoverAuthRequest = 5,
    /// FAILOVER_AUTH_ACK.
    FailoverAuthAck = 6,
    /// UPDATE.
    Update = 7,
    /// MFSTART.
    ManualFailoverStart = 8,
    /// MODULE.
    Module = 9,
    /// PUBLISHSHARD.
    PublishShard = 10,
}

impl MessageKind {
    /// Number of message types (`CLUSTERMSG_TYPE_COUNT`).
    pub const COUNT: usize = 11;

    /// Every type, in the order of the wire's numbers.
    pub const ALL: [Self; Self::COUNT] = [
        Self::Ping,
        Self::Pong,
        Self::Meet,
        Self::Fail,
        Self::Publish,
        Self::FailoverAuthRequest,
        Self::FailoverAuthAck,
        Self::Update,
        Self::ManualFailoverStart,
        Self::Module,
        Self::PublishShard,
    ];

    /// The type of this number on the wire; `None` for a number this version does not know.
    #[must_use]
    pub fn from_wire(number: u16) -> Option<Self> {
        Self::ALL.get(usize::from(number)).copied()
    }

    /// Redis's word for it in logs and in `CLUSTER INFO` (`clusterGetMessageTypeString`).
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Ping => "ping",
            Self::Pong => "pong",
            Self::Meet => "meet",
            Self::Fail => "fail",
            Self::Publish => "publish",
            Self::FailoverAuthRequest => "auth-req",
            Self::FailoverAuthAck => "auth-ack",
            Self::Update => "update",
            Self::ManualFailoverStart => "mfstart",
            Self::Module => "module",
            Self::PublishShard => "publishshard",
        }
    }
}

impl Message {
    /// The type of this message.
    #[must_use]
    pub const fn kind(&self) -> MessageKind {
        match self.body {
            Body::Ping(_) => MessageKind::Ping,
            Body::Pong(_) => MessageKind::Pong,
            Body::Meet(_) => MessageKind::Meet,
            Body::Fail(_) => MessageKind::Fail,
            Body::Publish { sharded: false, .. } => MessageKind::Publish,
            Body::Publish { sharded: true, .. } => MessageKind::PublishShard,
            Body::FailoverAuthRequest => MessageKind::FailoverAuthRequest,
            Body::FailoverAuthAck => MessageKind::FailoverAuthAck,
            Body::Update { .. } => MessageKind::Update,
            Body::ManualFailoverStart => MessageKind::ManualFailoverStart,
            Body::Module { .. } => MessageKind::Module,
        }
    }
}
