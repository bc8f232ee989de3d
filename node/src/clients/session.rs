//! What a client began and has not ended: a transaction, watched keys, subscriptions.

use indexmap::IndexSet;
use rustc_hash::FxBuildHasher;

use super::Client;
use crate::commands::{CommandNumber, Flags, Spec};
use crate::input::CommandLine;
use crate::word::Word;

/// Names of channels, or patterns of such, in the order in which they were subscribed to.
pub(crate) type Names = IndexSet<Word, FxBuildHasher>;

/// What few clients have.
#[derive(Debug, Default)]
pub(crate) struct Session {
    /// The transaction between `MULTI` and `EXEC`.
    pub(crate) transaction: Option<Transaction>,
    /// Keys of `WATCH`.
    pub(crate) watched: Vec<Watched>,
    /// A watched key changed (`CLIENT_DIRTY_CAS`).
    pub(crate) is_stale: bool,
    pub(crate) channels: Names,
    pub(crate) patterns: Names,
    pub(crate) shard_channels: Names,
    /// A command that runs once the replicas have it (`CLIENT_PENDING_COMMAND`).
    pub(crate) awaits_replicas: Option<CommandLine>,
}

/// Commands that wait for `EXEC`.
#[derive(Debug, Default)]
pub(crate) struct Transaction {
    pub(crate) commands: Vec<QueuedCommand>,
    /// Flags that any of them has.
    pub(crate) any: Option<Flags>,
    /// Flags that all of them have; `None`: there are none yet.
    pub(crate) all: Option<Flags>,
    /// A command was refused: `EXEC` will fail (`CLIENT_DIRTY_EXEC`).
    pub(crate) is_aborted: bool,
}

/// One of them.
#[derive(Debug)]
pub(crate) struct QueuedCommand {
    pub(crate) number: CommandNumber,
    pub(crate) spec: &'static Spec,
    pub(crate) words: CommandLine,
}

/// A key of `WATCH`.
#[derive(Clone, Debug)]
pub(crate) struct Watched {
    pub(crate) key: Word,
    /// Its time was over when it was first watched, though it was still there.
    pub(crate) was_expired: bool,
}

impl Transaction {
    /// Adds a command (`queueMultiCommand`).
    pub(crate) fn push(&mut self, queued: QueuedCommand) {
        let flags = queued.spec.flags;
        self.any = Some(self.any.map_or(flags, |any| any | flags));
        self.all = Some(self.all.map_or(flags, |all| all & flags));
        self.commands.push(queued);
    }
}

impl Session {
    /// Number of channels and patterns, sharded channels aside.
    pub(crate) fn subscriptions(&self) -> usize {
        self.channels.len() + self.patterns.len()
    }
}

impl Client {
    /// What it began, made on first need.
    pub(crate) fn session_mut(&mut self) -> &mut Session {
        self.session.get_or_insert_default()
    }

    /// Its transaction, if it is in one.
    pub(crate) fn transaction(&self) -> Option<&Transaction> {
        self.session.as_ref()?.transaction.as_ref()
    }

    /// Whether it subscribed to anything (`CLIENT_PUBSUB`).
    pub(crate) fn is_subscribed(&self) -> bool {
        let session = self.session.as_deref();
        session.is_some_and(|session| {
            session.subscriptions() > 0 || !session.shard_channels.is_empty()
        })
    }
}
