//! Replies to clients as values. `wire::resp` turns them into bytes.

use std::borrow::Cow;

use crate::word::Word;

/// What a client is answered, independent of the RESP version.
#[derive(Clone, PartialEq, Debug)]
pub enum Reply {
    /// `+OK` and its like.
    Simple(Cow<'static, str>),
    /// `-ERR ...`: the text without the leading `-`.
    Error(Cow<'static, str>),
    /// `:1`.
    Integer(i64),
    /// `$3`.
    Bulk(Word),
    /// Text that RESP3 marks with a format (`=`); a bulk string in RESP2.
    Verbatim(String),
    /// `$-1` in RESP2, `_` in RESP3.
    Nil,
    /// `*-1` in RESP2, `_` in RESP3.
    NilArray,
    /// `*n`.
    Array(Vec<Reply>),
    /// `%n` in RESP3, a flat array in RESP2.
    Map(Vec<(Reply, Reply)>),
    /// `~n` in RESP3, an array in RESP2.
    Set(Vec<Reply>),
    /// `,1.5` in RESP3, a bulk string in RESP2.
    Double(f64),
    /// `#t` in RESP3, `:1` in RESP2.
    Boolean(bool),
    /// An out-of-band message (`>n` in RESP3, an array in RESP2), such as a published message.
    Push(Vec<Reply>),
}

impl Reply {
    /// `+OK`.
    pub const OK: Self = Self::Simple(Cow::Borrowed("OK"));

    /// An error reply from a constant text.
    #[must_use]
    pub const fn error(text: &'static str) -> Self {
        Self::Error(Cow::Borrowed(text))
    }

    /// A bulk string.
    pub fn bulk(text: impl Into<Word>) -> Self {
        Self::Bulk(text.into())
    }
}
