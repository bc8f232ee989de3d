//! The errors of commands, in Redis's words.

use std::borrow::Cow;
use std::fmt::Display;

use crate::reply::Reply;

/// Why a command was not carried out: an error code, a blank and a text.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) struct CommandError(Cow<'static, str>);

/// What a command answers.
pub(crate) type Outcome = Result<Reply, CommandError>;

impl CommandError {
    pub(crate) const SYNTAX: Self = Self::fixed("ERR syntax error");
    pub(crate) const NO_SUCH_KEY: Self = Self::fixed("ERR no such key");
    pub(crate) const WRONG_TYPE: Self =
        Self::fixed("WRONGTYPE Operation against a key holding the wrong kind of value");
    pub(crate) const NOT_AN_INTEGER: Self =
        Self::fixed("ERR value is not an integer or out of range");
    pub(crate) const READONLY: Self =
        Self::fixed("READONLY You can't write against a read only replica.");
    pub(crate) const NO_AUTH: Self = Self::fixed("NOAUTH Authentication required.");
    pub(crate) const NO_REPLICAS: Self =
        Self::fixed("NOREPLICAS Not enough good replicas to write.");
    pub(crate) const MASTER_DOWN: Self = Self::fixed(
        "MASTERDOWN Link with MASTER is down and replica-serve-stale-data is set to 'no'.",
    );
    pub(crate) const OUT_OF_MEMORY: Self =
        Self::fixed("OOM command not allowed when used memory > 'maxmemory'.");
    pub(crate) const REPLICA_TOUCHES_KEYS: Self =
        Self::fixed("ERR Replica can't interact with the keyspace");
    pub(crate) const STRING_TOO_LONG: Self =
        Self::fixed("ERR string exceeds maximum allowed size (proto-max-bulk-len)");
    pub(crate) const WRONG_PASSWORD: Self =
        Self::fixed("WRONGPASS invalid username-password pair or user is disabled.");

    /// An error of a constant text, its code included.
    pub(crate) const fn fixed(text: &'static str) -> Self {
        Self(Cow::Borrowed(text))
    }

    /// An error of code `ERR` with a text made up now. Line breaks become blanks, as they would
    /// end the reply (`addReplyErrorFormat`).
    pub(crate) fn err(text: impl Display) -> Self {
        Self(format!("ERR {text}").replace(['\r', '\n'], " ").into())
    }

    /// An error that carries its own code.
    pub(crate) fn coded(text: impl Display) -> Self {
        Self(text.to_string().into())
    }

    pub(crate) fn arity(full_name: &str) -> Self {
        Self::err(format_args!(
            "wrong number of arguments for '{full_name}' command"
        ))
    }

    /// A subscriber that speaks RESP2 sent something else.
    pub(crate) fn subscribed(full_name: &str) -> Self {
        Self::err(format_args!(
            "Can't execute '{full_name}': only (P|S)SUBSCRIBE / (P|S)UNSUBSCRIBE / PING / QUIT / \
             RESET are allowed in this context"
        ))
    }

    pub(crate) fn expire_time(full_name: &str) -> Self {
        Self::err(format_args!("invalid expire time in '{full_name}' command"))
    }

    /// A container was asked for something it has not (`commandCheckExistence`).
    pub(crate) fn unknown_subcommand(container: &[u8], subcommand: &[u8]) -> Self {
        Self::err(format_args!(
            "unknown subcommand '{}'. Try {} HELP.",
            shown(subcommand, NAME_SHOWN_BYTES),
            text(container).to_uppercase()
        ))
    }

    /// `addReplySubcommandSyntaxError`.
    pub(crate) fn subcommand_syntax(container: &[u8], subcommand: &[u8]) -> Self {
        Self::err(format_args!(
            "unknown subcommand or wrong number of arguments for '{}'. Try {} HELP.",
            shown(subcommand, NAME_SHOWN_BYTES),
            text(container).to_uppercase()
        ))
    }

    /// Nobody knows this command (`commandCheckExistence`).
    pub(crate) fn unknown_command(words: &[impl AsRef<[u8]>]) -> Self {
        let name = words.first().map(AsRef::as_ref).unwrap_or_default();
        let mut arguments = String::new();
        for word in words.iter().skip(1) {
            let Some(room) = NAME_SHOWN_BYTES
                .checked_sub(arguments.len())
                .filter(|&room| room > 0)
            else {
                break;
            };
            arguments.push_str(&format!("'{}' ", shown(word.as_ref(), room)));
        }
        let name = shown(name, NAME_SHOWN_BYTES);
        Self::err(format_args!(
            "unknown command '{name}', with args beginning with: {arguments}"
        ))
    }
}

impl Display for CommandError {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.write_str(&self.0)
    }
}

impl From<CommandError> for String {
    fn from(error: CommandError) -> Self {
        error.0.into_owned()
    }
}

impl From<CommandError> for Reply {
    fn from(error: CommandError) -> Self {
        Self::Error(error.0)
    }
}

/// How much of a name a client gave is said back to it, bytes.
const NAME_SHOWN_BYTES: usize = 128;

/// What a client sent, for an error's text: up to its first NUL (C's `%s`).
pub(crate) fn text(word: &[u8]) -> Cow<'_, str> {
    shown(word, usize::MAX)
}

/// The same, at most `max_bytes` long (C's `%.128s`).
fn shown(word: &[u8], max_bytes: usize) -> Cow<'_, str> {
    let end = word
        .iter()
        .position(|&byte| byte == 0)
        .unwrap_or(word.len());
    String::from_utf8_lossy(&word[..end.min(max_bytes)])
}
