//! What can be wrong with RESP bytes.

use std::borrow::Cow;

use crate::reply::Reply;

/// What is wrong with the bytes of a client, a master or a server. Requests are refused in the
/// words of `networking.c`. The stream cannot be read on after any of these.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
pub enum RespError {
    /// An inline command of more than 64 KiB.
    #[error("Protocol error: too big inline request")]
    TooBigInline,
    /// An inline command whose quotes do not close, or go on after closing.
    #[error("Protocol error: unbalanced quotes in request")]
    UnbalancedQuotes,
    /// No end of the line that counts the words, within 64 KiB.
    #[error("Protocol error: too big mbulk count string")]
    TooBigMultibulkCount,
    /// The number of words is not a number, or above 2147483647.
    #[error("Protocol error: invalid multibulk length")]
    MultibulkLength,
    /// More than 10 words before the client has authenticated.
    #[error("Protocol error: unauthenticated multibulk length")]
    UnauthenticatedMultibulkLength,
    /// No end of the line that gives a word's length, within 64 KiB.
    #[error("Protocol error: too big bulk count string")]
    TooBigBulkCount,
    /// A word does not start with `$`.
    #[error("Protocol error: expected '$', got '{}'", char::from(*.found))]
    ExpectedBulk {
        /// What it starts with; a line break is told as a blank, as Redis does.
        found: u8,
    },
    /// A word's length is not a number, negative, or above 512 MB.
    #[error("Protocol error: invalid bulk length")]
    BulkLength,
    /// A word of more than 16 KiB before the client has authenticated.
    #[error("Protocol error: unauthenticated bulk length")]
    UnauthenticatedBulkLength,
    /// A request too large to hold. Redis closes such a client without an answer.
    #[error("Closing client that reached max query buffer length")]
    RequestTooLong,
    /// A master sent something else than multibulk commands.
    #[error("Master using the inline protocol. Desync?")]
    InlineFromMaster,
    /// A reply that is not RESP.
    #[error("invalid reply at byte {offset}: expected {expected}, found {found}")]
    Reply {
        /// Where in the reply, bytes.
        offset: usize,
        /// What belongs there.
        expected: &'static str,
        /// What stands there.
        found: String,
    },
}

impl RespError {
    /// The error reply the client gets before its connection is closed; `None` where Redis
    /// closes without a word.
    #[must_use]
    pub fn reply(&self) -> Option<Reply> {
        match self {
            Self::TooBigInline
            | Self::UnbalancedQuotes
            | Self::TooBigMultibulkCount
            | Self::MultibulkLength
            | Self::UnauthenticatedMultibulkLength
            | Self::TooBigBulkCount
            | Self::ExpectedBulk { .. }
            | Self::BulkLength
            | Self::UnauthenticatedBulkLength => {
                Some(Reply::Error(Cow::Owned(format!("ERR {self}"))))
            }
            Self::RequestTooLong | Self::InlineFromMaster | Self::Reply { .. } => None,
        }
    }
}
