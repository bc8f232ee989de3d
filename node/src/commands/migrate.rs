//! `MIGRATE`: keys move to another server (`cluster.c`).
//!
//! The process stands still while it happens. The node says what is to be sent
//! ([`crate::Action::Exchange`]) and goes on when it learns how that went
//! ([`crate::Input::Exchanged`]), before anything else can happen to it.

use super::call::{Call, Done, Effect, Written, fixed};
use super::error::{CommandError, text};
use super::spec::{Categories, FindKeys, Flags, Spec, found_by, quiet_command};
use super::transfer;
use crate::action::Action;
use crate::clients;
use crate::exchange::{Exchange, ExchangeFailure, Exchanged};
use crate::ids::ClientId;
use crate::input::CommandLine;
use crate::node::Node;
use crate::reply::Reply;
use crate::wire::resp::string_to_i64;
use crate::word::Word;

/// How long each step may take if the client does not say, ms.
const DEFAULT_TIMEOUT_MS: i64 = 1000;

pub(super) const COMMANDS: &[Spec] = &[quiet_command(
    "migrate",
    -6,
    // A transaction's commands are all over when it is.
    Flags::WRITE.union(Flags::NO_MULTI),
    migrate,
)
.about("generic", "2.6.0", "Moves keys to another server.")
.keys(&[found_by(
    3,
    FindKeys::FirstOrKeyword,
    &["RW", "access", "delete"],
)])
.categories(Categories::KEYSPACE.union(Categories::DANGEROUS))
.tips(&["nondeterministic_output"])];

/// Keys that are on their way.
#[derive(Debug)]
pub(crate) struct Transfer {
    client: ClientId,
    keys: Vec<Word>,
    /// Whether they stay here too.
    copies: bool,
}

/// What `MIGRATE` was asked for.
#[derive(Default)]
struct Options<'a> {
    copy: bool,
    replace: bool,
    authenticate: Option<Vec<Word>>,
    keys: &'a [Word],
}

fn migrate(call: &mut Call<'_>) -> Result<Option<Reply>, CommandError> {
    let Some(client) = call.client() else {
        return Ok(None);
    };
    let options = options(call)?;
    let timeout_ms = call.integer(5)?;
    let database = call.integer(4)?;
    let timeout_ms = if timeout_ms > 0 {
        timeout_ms
    } else {
        DEFAULT_TIMEOUT_MS
    };
    let mut keys = Vec::new();
    for key in options.keys {
        if call.read(key).is_some() {
            keys.push(key.clone());
        }
    }
    if keys.is_empty() {
        return Ok(Some(Reply::Simple("NOKEY".into())));
    }
    let commands = keys
        .iter()
        .filter_map(|key| restore(call.node, key, options.replace))
        .collect();
    let exchange = Exchange {
        host: text(call.word(1)).into(),
        port: port(call.word(2)),
        timeout_ms: timeout_ms.unsigned_abs(),
        authenticate: options.authenticate.map(CommandLine::from),
        database,
        commands,
    };
    call.node.transfers.push_back(Transfer {
        client,
        keys,
        copies: options.copy,
    });
    call.node.immediate(Action::Exchange(Box::new(exchange)));
    Ok(None)
}

fn options<'a>(call: &Call<'a>) -> Result<Options<'a>, CommandError> {
    let words = call.words;
    let mut options = Options {
        keys: &words[3..4],
        ..Options::default()
    };
    let mut place = 6;
    while place < words.len() {
        let left = words.len() - 1 - place;
        if call.says(place, "copy") {
            options.copy = true;
        } else if call.says(place, "replace") {
            options.replace = true;
        } else if call.says(place, "auth") && left >= 1 {
            options.authenticate = Some(vec![fixed("AUTH"), words[place + 1].clone()]);
            place += 1;
        } else if call.says(place, "auth2") && left >= 2 {
            let (user, password) = (words[place + 1].clone(), words[place + 2].clone());
            options.authenticate = Some(vec![fixed("AUTH"), user, password]);
            place += 2;
        } else if call.says(place, "keys") {
            if !words[3].is_empty() {
                return Err(CommandError::fixed(
                    "ERR When using MIGRATE KEYS option, the key argument must be set to the \
                     empty string",
                ));
            }
            options.keys = &words[place + 1..];
            break;
        } else {
            return Err(CommandError::SYNTAX);
        }
        place += 1;
    }
    Ok(options)
}

/// A port, as C's `atoi` reads it; 0 if it is none.
fn port(word: &[u8]) -> u16 {
    let digits = word.iter().take_while(|byte| byte.is_ascii_digit()).count();
    let port = string_to_i64(&word[..digits]);
    port.and_then(|port| u16::try_from(port).ok()).unwrap_or(0)
}

/// The command that makes a key at the other server.
fn restore(node: &Node, key: &Word, replace: bool) -> Option<CommandLine> {
    let place = node.store.find(key)?;
    let ttl_ms = match node.store.expiry(place) {
        Some(at_ms) => at_ms.saturating_sub(node.wall().0).max(1),
        None => 0,
    };
    let mut words = vec![
        fixed("RESTORE-ASKING"),
        key.clone(),
        super::call::decimal(ttl_ms),
        transfer::payload(node, node.store.value(place)),
    ];
    if replace {
        words.push(fixed("REPLACE"));
    }
    Some(words.into())
}

/// The other server answered, or did not: keys that arrived go, and the client is told.
pub(crate) fn exchanged(node: &mut Node, outcome: &Exchanged) {
    let Some(transfer) = node.transfers.pop_front() else {
        return;
    };
    let mut error = None;
    let mut gone = vec![fixed("DEL")];
    for (key, reply) in transfer.keys.into_iter().zip(&outcome.replies) {
        let refusal = match (&outcome.refused, reply) {
            (Some(text), _) => Some(&**text),
            (None, Reply::Error(text)) => Some(&**text),
            (None, _) => None,
        };
        match refusal {
            Some(text) if error.is_none() => {
                error = Some(CommandError::err(format_args!(
                    "Target instance replied with error: {text}"
                )));
            }
            Some(_) => {}
            None if transfer.copies => {}
            None => {
                node.store.remove(&key);
                clients::touch(node, &key);
                gone.push(key);
            }
        }
    }
    if gone.len() > 1 {
        let words: CommandLine = gone.into();
        Done::propagate(
            Effect::Rewritten(CommandLine::clone(&words)),
            Written::default(),
            node,
            words,
        );
    }
    let answer = error
        .or_else(|| outcome.failure.map(failed))
        .map_or(Reply::OK, Reply::from);
    clients::reply(node, transfer.client, answer);
    let offset = node.replication.own_offset();
    if let Some(client) = node.clients.get_mut(transfer.client) {
        client.write_offset = offset;
    }
    clients::run_unblocked(node);
}

const fn failed(why: ExchangeFailure) -> CommandError {
    CommandError::fixed(match why {
        ExchangeFailure::Connecting => "IOERR error or timeout connecting to the client",
        ExchangeFailure::Writing => "IOERR error or timeout writing to target instance",
        ExchangeFailure::Reading => "IOERR error or timeout reading to target instance",
    })
}
