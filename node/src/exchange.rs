//! Questions to another server for whose answers the whole process stands still (`MIGRATE`).

use crate::input::CommandLine;
use crate::reply::Reply;

/// Commands for another server. The shell sends them all and reads one reply for each, in order,
/// before it does anything else; a connection is kept for the next exchange with the same
/// address for [`KEPT_FOR_S`].
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Exchange {
    /// The other server's host: an address or a name.
    pub host: Box<str>,
    /// Its client port; 0: none that can be reached.
    pub port: u16,
    /// How long each step may take, ms: to connect, to write, to read the next reply.
    pub timeout_ms: u64,
    /// `AUTH`, which goes before everything else.
    pub authenticate: Option<CommandLine>,
    /// The database wanted there. A new connection, and one on which something was refused, is
    /// told by `SELECT`.
    pub database: i64,
    /// The commands.
    pub commands: Vec<CommandLine>,
}

/// How an [`Exchange`] went. Of a reply only what stands in its first line counts.
#[derive(Clone, PartialEq, Debug, Default)]
pub struct Exchanged {
    /// What `AUTH` or `SELECT` was refused with, `AUTH` before `SELECT`.
    pub refused: Option<Box<str>>,
    /// The replies to the commands, as many as were read.
    pub replies: Vec<Reply>,
    /// Why there are not more of them.
    pub failure: Option<ExchangeFailure>,
}

/// Where an [`Exchange`] broke off.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum ExchangeFailure {
    /// No connection could be made in time.
    Connecting,
    /// The connection broke, or took nothing in time, before all commands were written.
    Writing,
    /// The connection broke, or brought nothing in time, before all replies were read.
    Reading,
}

/// How long a connection that is not used is kept, s (`MIGRATE_SOCKET_CACHE_TTL`).
pub const KEPT_FOR_S: u64 = 10;

/// How many connections are kept at most (`MIGRATE_SOCKET_CACHE_ITEMS`).
pub const MAX_KEPT: usize = 64;

impl Exchange {
    /// The command that chooses the database.
    #[must_use]
    pub fn select(&self) -> CommandLine {
        [
            crate::Word::from_static(b"SELECT"),
            crate::Word::from(self.database.to_string()),
        ]
        .into()
    }

    /// Every command that goes over a connection, in order; `selected` is the database that was
    /// chosen on it before.
    pub fn lines(&self, selected: Option<i64>) -> impl Iterator<Item = CommandLine> + '_ {
        let select = (selected != Some(self.database)).then(|| self.select());
        let authenticate = self.authenticate.clone();
        authenticate
            .into_iter()
            .chain(select)
            .chain(self.commands.iter().cloned())
    }

    /// How many of the [`Exchange::lines`] come before the commands.
    #[must_use]
    pub fn preface_len(&self, selected: Option<i64>) -> usize {
        usize::from(self.authenticate.is_some()) + usize::from(selected != Some(self.database))
    }
}

impl Exchanged {
    /// An exchange that broke off before the first reply.
    #[must_use]
    pub fn failed(why: ExchangeFailure) -> Self {
        Self {
            failure: Some(why),
            ..Self::default()
        }
    }

    /// Sorts replies, the first `preface_len` of which are not to the commands.
    #[must_use]
    pub fn new(
        mut replies: Vec<Reply>,
        preface_len: usize,
        failure: Option<ExchangeFailure>,
    ) -> Self {
        let own = replies.split_off(preface_len.min(replies.len()));
        let refused = replies.into_iter().find_map(|reply| match reply {
            Reply::Error(text) => Some(Box::from(&*text)),
            Reply::Simple(_)
            | Reply::Integer(_)
            | Reply::Bulk(_)
            | Reply::Verbatim(_)
            | Reply::Nil
            | Reply::NilArray
            | Reply::Array(_)
            | Reply::Map(_)
            | Reply::Set(_)
            | Reply::Double(_)
            | Reply::Boolean(_)
            | Reply::Push(_) => None,
        });
        Self {
            refused,
            replies: own,
            failure,
        }
    }

    /// Whether the other server refused something.
    #[must_use]
    pub fn has_errors(&self) -> bool {
        let errors = |reply: &Reply| matches!(reply, Reply::Error(_));
        self.refused.is_some() || self.replies.iter().any(errors)
    }
}
