//! What can happen to a node.

use std::net::{IpAddr, SocketAddr};

use crate::word::Word;

use crate::ids::{ClientId, LinkId, ReplicationId};
use crate::message::Message;
use crate::persistence::FromDisk;
use crate::reply::Reply;

/// The words of a client command, the name first. Shared by whoever sends it, streams it and keeps it.
pub type CommandLine = std::sync::Arc<[Word]>;

/// One thing that happens to a node. The order within a turn is that of Redis's event loop:
/// every readable descriptor first, then [`Input::Wake`] if a timer is due, then
/// [`Input::TurnEnd`].
#[derive(Clone, PartialEq, Debug)]
pub enum Input {
    /// A timer of [`crate::Node::next_wake`] is due (`serverCron`, `clusterCron`).
    Wake,
    /// The turn is over (`beforeSleep`): deferred work is done, the state file is saved and
    /// everything queued leaves. Nothing leaves a node at any other time.
    TurnEnd,
    /// A peer opened a bus connection to this node.
    LinkAccepted {
        /// The new link; ids are chosen by the shell from [`LinkId`]s it never uses twice. Accepted
        /// links are odd, outgoing ones (chosen by the node) even.
        link: LinkId,
        /// The remote address.
        peer: IpAddr,
        /// The address the peer reached this node at.
        local: IpAddr,
    },
    /// An outgoing bus connection asked for by [`crate::Action::ConnectLink`] is up.
    LinkUp {
        /// The link.
        link: LinkId,
    },
    /// A bus connection could not be made, was closed by the peer or broke.
    LinkDown {
        /// The link.
        link: LinkId,
        /// Why, for the log.
        why: LinkFailure,
    },
    /// A bus message arrived.
    Bus {
        /// The link it came by.
        link: LinkId,
        /// The message. Shared with the others that a broadcast goes to.
        message: std::sync::Arc<Message>,
    },
    /// A packet arrived that is not a valid message. The link stays up, as in Redis, unless the
    /// shell reports [`LinkFailure::BadPacket`].
    BadPacket {
        /// The link it came by.
        link: LinkId,
        /// What is wrong with it. Boxed: it is large and rare.
        error: Box<crate::wire::bus::BusError>,
    },
    /// A client (or a replica) connected to the client port.
    ClientAccepted {
        /// The client; ids are chosen by the shell and never used twice.
        client: ClientId,
        /// The remote address.
        peer: SocketAddr,
        /// The address it reached this node at.
        local: IpAddr,
    },
    /// A client is cut off: too much waits to leave for it (`client-output-buffer-limit`), or it
    /// sent too much that makes no command (`client-query-buffer-limit`). Its connection is
    /// closed already.
    ClientCut {
        /// The client.
        client: ClientId,
        /// Why.
        why: ClientCut,
    },
    /// The configuration file was written anew, or was not.
    ConfigRewritten {
        /// The client that asked.
        client: ClientId,
        /// How it went.
        result: ConfigRewrite,
    },
    /// A client sent a command.
    Command {
        /// The client.
        client: ClientId,
        /// The command.
        command: CommandLine,
        /// Its length on the wire in bytes (for the replication offset of a master's stream).
        wire_len: usize,
    },
    /// A client sent bytes that are not a command. Nothing more is read from it; the node answers
    /// and closes it ([`crate::Action::CloseClient`]) once its turn has come.
    BadCommand {
        /// The client.
        client: ClientId,
        /// Redis's words for it, such as `Protocol error: invalid bulk length`.
        error: crate::wire::resp::RespError,
    },
    /// A client's connection ended.
    ClientClosed {
        /// The client.
        client: ClientId,
    },
    /// What came of an [`crate::Action::Exchange`]. Nothing else happens to the node in between.
    Exchanged(Box<crate::exchange::Exchanged>),
    /// Something arrived on the connection to this replica's master.
    Master(FromMaster),
    /// The disk answered.
    Disk(FromDisk),
    /// The process is asked to end (`SIGTERM`). It does so by [`crate::Action::Exit`].
    Terminate,
}

/// Which limit a client passed.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum ClientCut {
    /// Too much waits to leave.
    Output,
    /// Too much arrived, these bytes.
    Query(usize),
}

/// How `CONFIG REWRITE` went.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum ConfigRewrite {
    /// The file says what is in force.
    Done,
    /// It was left as it is, for this reason.
    Failed(Box<str>),
}

/// Why a bus link is down.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum LinkFailure {
    /// Nobody listens there.
    Refused,
    /// The connection could not be set up in time, or the network is unreachable.
    Unreachable,
    /// The peer closed it.
    Closed,
    /// The peer reset it.
    Reset,
    /// A packet with a bad signature or length: the stream cannot be read on.
    BadPacket,
}

/// What a replica receives on the connection to its master, after the shell has decoded it.
/// At most one such connection exists; [`crate::Action::ConnectMaster`] replaces it.
#[derive(Clone, PartialEq, Debug)]
pub enum FromMaster {
    /// The connection is up: the handshake may start.
    Up,
    /// The connection failed or ended.
    Down(LinkFailure),
    /// Bytes arrived that make nothing whole yet: an empty line of a master that prepares a
    /// snapshot, or a part of one. The master is alive (`repl_transfer_lastio`).
    Progress,
    /// The answer to a handshake command (`PING`, `AUTH`, `REPLCONF`).
    Reply(Reply),
    /// `+FULLRESYNC`: a snapshot follows.
    FullResync {
        /// The master's history.
        id: ReplicationId,
        /// The offset the snapshot stands at.
        offset: u64,
    },
    /// `+CONTINUE`: the stream goes on where the replica asked.
    Continue {
        /// The new history id, if the master changed it.
        id: Option<ReplicationId>,
    },
    /// The snapshot arrived whole.
    Snapshot(Snapshot),
    /// A command of the replication stream.
    Stream {
        /// The command. Shared with the backlogs that keep it.
        command: CommandLine,
        /// Its length on the wire in bytes.
        wire_len: usize,
    },
}

/// A whole keyspace at one offset.
#[derive(Clone, PartialEq, Default, Debug)]
pub struct Snapshot {
    /// Its entries. Shared between the master that made it and the replicas that load it.
    pub entries: std::sync::Arc<Vec<SnapshotEntry>>,
    /// A running digest of the stream up to the snapshot's offset, for the checkers; 0 if the
    /// snapshot came from a master that does not tell (a real Redis).
    pub stream_digest: u64,
    /// Slots that are on their way, for a replica; never in a file.
    pub open_slots: Vec<(crate::slot::Slot, crate::fact::SlotMigration)>,
}

/// One key of a [`Snapshot`].
#[derive(Clone, PartialEq, Debug)]
pub struct SnapshotEntry {
    /// Key.
    pub key: Word,
    /// Value.
    pub value: crate::store::Value,
    /// Expiry, Unix milliseconds.
    pub expires_at_ms: Option<i64>,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_input_fills_no_more_than_a_cache_line() {
        assert!(size_of::<Input>() <= 64, "{}", size_of::<Input>());
    }
}
