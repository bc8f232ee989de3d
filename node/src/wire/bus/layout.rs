//! Where the fields stand (`clusterMsg` of `cluster.h`). All numbers are big-endian.

/// Length of a header, and of the shortest packet (`CLUSTERMSG_MIN_LEN`).
pub(super) const HEADER: usize = 2256;
/// `sig`
pub(super) const SIGNATURE: &[u8; 4] = b"RCmb";
/// `CLUSTER_PROTO_VER`
pub(super) const VERSION: u16 = 1;
/// Length of an id in hexadecimal digits (`CLUSTER_NAMELEN`).
pub(super) const ID_LEN: usize = 40;
/// Length of an address field (`NET_IP_STR_LEN`).
pub(super) const IP_LEN: usize = 46;

pub(super) const TOTLEN: usize = 4;
pub(super) const VER: usize = 8;
pub(super) const PORT: usize = 10;
pub(super) const TYPE: usize = 12;
pub(super) const COUNT: usize = 14;
pub(super) const CURRENT_EPOCH: usize = 16;
pub(super) const CONFIG_EPOCH: usize = 24;
pub(super) const OFFSET: usize = 32;
pub(super) const SENDER: usize = 40;
pub(super) const MYSLOTS: usize = 80;
pub(super) const SLAVEOF: usize = 2128;
pub(super) const MYIP: usize = 2168;
pub(super) const EXTENSIONS: usize = 2214;
pub(super) const PPORT: usize = 2246;
pub(super) const CPORT: usize = 2248;
pub(super) const FLAGS: usize = 2250;
pub(super) const STATE: usize = 2252;
pub(super) const MFLAGS: usize = 2253;

/// Length of a gossip entry (`clusterMsgDataGossip`), and where its fields stand in it.
pub(super) const GOSSIP: usize = 104;
pub(super) const GOSSIP_PING_SENT: usize = 40;
pub(super) const GOSSIP_PONG_RECEIVED: usize = 44;
pub(super) const GOSSIP_IP: usize = 48;
pub(super) const GOSSIP_PORT: usize = 94;
pub(super) const GOSSIP_CPORT: usize = 96;
pub(super) const GOSSIP_FLAGS: usize = 98;
pub(super) const GOSSIP_PPORT: usize = 100;

/// Length of the header of a ping extension (`clusterMsgPingExt`).
pub(super) const EXTENSION: usize = 8;
/// `CLUSTERMSG_EXT_TYPE_HOSTNAME`
pub(super) const EXTENSION_HOSTNAME: u16 = 0;
/// `CLUSTERMSG_EXT_TYPE_FORGOTTEN_NODE`
pub(super) const EXTENSION_FORGOTTEN: u16 = 2;
/// `CLUSTERMSG_EXT_TYPE_SHARDID`
pub(super) const EXTENSION_SHARD: u16 = 3;
/// Length of the extension that names a forgotten node (`clusterMsgPingExtForgottenNode`).
pub(super) const FORGOTTEN_EXTENSION: usize = EXTENSION + ID_LEN + 8;
/// Length of the extension that names a shard (`clusterMsgPingExtShardId`).
pub(super) const SHARD_EXTENSION: usize = EXTENSION + ID_LEN;

/// Where the two texts of a published message start: after both their lengths.
pub(super) const PUBLISH_TEXT: usize = HEADER + 8;
/// Where the fields of an UPDATE stand (`clusterMsgDataUpdate`), and its length.
pub(super) const UPDATE_ID: usize = HEADER + 8;
pub(super) const UPDATE_SLOTS: usize = HEADER + 48;
pub(super) const UPDATE: usize = UPDATE_SLOTS + crate::slot::SLOT_BYTES;
/// Where the fields of a module's message stand (`clusterMsgModule`).
pub(super) const MODULE_LEN: usize = HEADER + 8;
pub(super) const MODULE_TYPE: usize = HEADER + 12;
pub(super) const MODULE_PAYLOAD: usize = HEADER + 13;

/// Length of the hostname extension: header, the text and its closing NUL, padded to 8 bytes.
pub(super) const fn hostname_extension_len(hostname: &str) -> usize {
    EXTENSION + (hostname.len() + 1).div_ceil(8) * 8
}
