//! What a node asks its surroundings to do.

use std::net::SocketAddr;
use std::sync::Arc;

use crate::exchange::Exchange;
use crate::fact::Fact;
use crate::ids::{ClientId, LinkId, ReplicationId};
use crate::input::{CommandLine, Snapshot};
use crate::log_words::LogLevel;
use crate::message::Message;
use crate::persistence::{AppendSync, Rewrite, Save};
use crate::reply::Reply;
use crate::state_file::StateFile;

/// One thing to do. Actions are carried out in order.
#[derive(Clone, PartialEq, Debug)]
pub enum Action {
    /// Write the state file. With `sync` it is a barrier: nothing after it may leave the machine
    /// before the state is durable (`CLUSTER_TODO_FSYNC_CONFIG`); the event loop stands still
    /// meanwhile, as Redis's does.
    Persist {
        /// The state. Boxed: it is large and rare.
        state: Box<StateFile>,
        /// Whether to fsync.
        sync: bool,
    },
    /// Open a bus connection. Answered by `LinkUp` or `LinkDown`.
    ConnectLink {
        /// The id of the new link (even numbers).
        link: LinkId,
        /// Where to.
        to: SocketAddr,
    },
    /// Send a bus message. While the link is still connecting the shell keeps it back, in order,
    /// until the link is up, and drops it if the link fails.
    SendBus {
        /// The link.
        link: LinkId,
        /// The message. Shared by the links of a broadcast.
        message: Arc<Message>,
    },
    /// Close a bus connection. No `LinkDown` answers.
    CloseLink {
        /// The link.
        link: LinkId,
    },
    /// Answer a client.
    Reply {
        /// The client.
        client: ClientId,
        /// The answer.
        reply: Reply,
        /// Whether the client speaks RESP3 (`HELLO 3`) at this point of its replies.
        resp3: bool,
    },
    /// Close a client's connection once its replies are sent. No `ClientClosed` answers.
    CloseClient {
        /// The client.
        client: ClientId,
    },
    /// Stop the whole event loop for a time (`DEBUG SLEEP`).
    Sleep {
        /// How long, microseconds.
        duration_us: u64,
    },
    /// Stop the whole event loop, send commands to another server and read the replies
    /// (`MIGRATE`). [`crate::Input::Exchanged`] tells how that went, before any other input.
    Exchange(Box<Exchange>),
    /// Open the connection to this replica's master, replacing any older one.
    ConnectMaster {
        /// Where to.
        to: SocketAddr,
    },
    /// Send to the master.
    ToMaster(ToMaster),
    /// Close the connection to the master. No `FromMaster::Down` answers.
    CloseMaster,
    /// Send to an attached replica, which is also a client.
    ToReplica {
        /// The replica's connection.
        client: ClientId,
        /// What to send.
        what: ToReplica,
    },
    /// Write data.
    ToDisk(ToDisk),
    /// Write a line to the log. It stands for nothing that a [`Fact`] does.
    Log {
        /// How loud.
        level: LogLevel,
        /// The line, in Redis's words.
        line: Box<str>,
    },
    /// End the process: everything is saved as it should be.
    Exit,
    /// Something worth recording happened.
    Note(Fact),
    /// Write the configuration file anew (`CONFIG REWRITE`). Answered by
    /// [`crate::Input::ConfigRewritten`]; only asked for if [`crate::Host::config_file`] names a
    /// file.
    RewriteConfig {
        /// The client that asked.
        client: ClientId,
    },
}

/// What a replica sends to its master.
#[derive(Clone, PartialEq, Debug)]
pub enum ToMaster {
    /// A handshake command or `REPLCONF ACK`.
    Command(CommandLine),
}

/// What is to be done with the files that hold data.
#[derive(Clone, PartialEq, Debug)]
pub enum ToDisk {
    /// Write commands to the append-only file, after whatever could not be written before. It
    /// stands before the replies of its turn: with [`AppendSync::Wait`] it is a barrier as
    /// [`Action::Persist`] is.
    Append {
        /// The commands, in the order in which they took effect. There may be none: then what was
        /// written before is to be synced, or what was kept is tried again.
        commands: Vec<CommandLine>,
        /// How durable they have to be.
        sync: AppendSync,
    },
    /// Begin a rewrite of the append-only file: what is appended from here on goes to a new
    /// increment, and the snapshot becomes the base before it. Answered by
    /// [`FromDisk::RewriteBegan`](crate::FromDisk::RewriteBegan), at once, and
    /// [`FromDisk::Rewritten`](crate::FromDisk::Rewritten). A rewrite that goes on is given up.
    Rewrite(Box<Rewrite>),
    /// Write a snapshot to `dbfilename`, by renaming. Answered by
    /// [`FromDisk::Saved`](crate::FromDisk::Saved): at once if not beside the event loop. A save
    /// that goes on is given up.
    Save(Box<Save>),
    /// Sync and close the append-only file, and give up a rewrite that goes on.
    StopAppending,
}

/// What ends a snapshot of unknown length, 40 characters.
pub type SnapshotMark = [u8; 40];

/// The start of a history at a replica.
#[derive(Clone, PartialEq, Debug)]
pub struct FullResync {
    /// Whether `+FULLRESYNC` stands before the snapshot: who asks by `SYNC` gets it alone.
    pub announced: bool,
    /// Whether the connection ends behind it: the client wants no more (`rdb-only`).
    /// [`Action::CloseClient`] follows, and the snapshot leaves all the same.
    pub closes: bool,
    /// History.
    pub id: ReplicationId,
    /// The offset the snapshot stands at.
    pub offset: u64,
    /// The keyspace.
    pub snapshot: Snapshot,
    /// What ends it, if it goes without a length before it (`$EOF:`). Nothing may follow it
    /// before [`ToReplica::Release`]: a replica takes what it reads with the mark for a part
    /// of the snapshot.
    pub mark: Option<SnapshotMark>,
}

/// What a master sends to a replica.
#[derive(Clone, PartialEq, Debug)]
pub enum ToReplica {
    /// `+FULLRESYNC`, then the snapshot as RDB bytes. Boxed: it is large and rare.
    FullResync(Box<FullResync>),
    /// The stream may follow the snapshot: the replica has loaded it.
    Release,
    /// `+CONTINUE`.
    Continue {
        /// The current history id.
        id: ReplicationId,
    },
    /// A command of the stream. Shared by all replicas.
    Stream(CommandLine),
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_action_fills_no_more_than_a_cache_line() {
        assert!(size_of::<Action>() <= 64, "{}", size_of::<Action>());
    }
}
