//! `DEBUG`: what drills do to a node from inside.

use std::net::SocketAddr;

use bytes::BytesMut;

use super::call::Call;
use super::error::{CommandError, Outcome, text};
use super::objects::shared_by;
use super::spec::{Flags, Spec, command};
use super::transfer::payload;
use crate::action::Action;
use crate::clients;
use crate::config::ProtectedAction;
use crate::input::Snapshot;
use crate::log_words::LogLevel;
use crate::node::Node;
use crate::replication;
use crate::reply::Reply;
use crate::wire::rdb;

const OPERATOR: Flags = Flags::ADMIN
    .union(Flags::NOSCRIPT)
    .union(Flags::LOADING)
    .union(Flags::STALE)
    .union(Flags::PROTECTED);

pub(super) const COMMANDS: &[Spec] = &[command("debug", -2, OPERATOR, debug).about(
    "server",
    "1.0.0",
    "Holds the commands for tests.",
)];

/// Whether the configuration lets a client at this address use the command
/// (`allowProtectedAction`).
pub(super) const fn check_allowed(
    enabled: ProtectedAction,
    peer: SocketAddr,
) -> Result<(), CommandError> {
    let allowed = match enabled {
        ProtectedAction::No => false,
        ProtectedAction::Yes => true,
        ProtectedAction::Local => peer.ip().is_loopback(),
    };
    if allowed {
        return Ok(());
    }
    Err(CommandError::fixed(
        "ERR DEBUG command not allowed. If the enable-debug-command option is set to \"local\", \
         you can run it from a local connection, otherwise you need to set this option in the \
         configuration file, and then restart the server.",
    ))
}

fn debug(call: &mut Call<'_>) -> Outcome {
    let words = call.words.len();
    if call.says(1, "help") && words == 2 {
        return help(call);
    }
    if call.says(1, "sleep") && words == 3 {
        let duration_us = micros(call.word(2));
        call.node.immediate(Action::Sleep { duration_us });
        return Ok(Reply::OK);
    }
    if call.says(1, "set-active-expire") && words == 3 {
        call.node.clients.active_expiry_off = micros(call.word(2)) < 1_000_000;
        return Ok(Reply::OK);
    }
    if call.says(1, "change-repl-id") && words == 2 {
        let line = "Changing replication IDs after receiving change-repl-id";
        call.node.log(LogLevel::Notice, line);
        replication::change_id(call.node);
        return Ok(Reply::OK);
    }
    if call.says(1, "object") && words == 3 {
        return object(call);
    }
    if call.says(1, "reload") && words == 2 {
        return reload(call.node);
    }
    if call.says(1, "error") && words == 3 {
        return Err(CommandError::coded(
            text(call.word(2)).replace(['\r', '\n'], " "),
        ));
    }
    Err(call.subcommand_syntax())
}

fn help(call: &Call<'_>) -> Outcome {
    call.help(&[
        "CHANGE-REPL-ID",
        "    Begin a history of replication anew, which no replica can follow by a part.",
        "ERROR <string>",
        "    Answer with that error.",
        "OBJECT <key>",
        "    Tell how the value of <key> is kept and how long it is in a snapshot.",
        "RELOAD",
        "    Write all keys as a snapshot, in memory, and read them again.",
        "SET-ACTIVE-EXPIRE <0|1>",
        "    Remove expired keys nobody asks for, or leave them.",
        "SLEEP <seconds>",
        "    Stop the server for that long. Decimals allowed.",
    ])
}

/// What is known of a value, asked without a trace. There is no address to tell.
fn object(call: &Call<'_>) -> Outcome {
    let store = &call.node.store;
    let place = store.find(call.word(2));
    let place = place.ok_or(CommandError::fixed("ERR no such key"))?;
    let len = payload(call.node, store.value(place)).len() - PAYLOAD_FRAME_LEN;
    let idle_s = store.idle_s(place);
    let now_s = call.node.unix_s();
    let used_at = now_s.saturating_sub(i64::from(idle_s)) & MAX_LRU;
    Ok(Reply::Simple(
        format!(
            "Value at:0x0 refcount:{} encoding:{} serializedlength:{len} lru:{used_at} \
             lru_seconds_idle:{idle_s}",
            shared_by(call.node, place),
            store.encoding(place).name()
        )
        .into(),
    ))
}

/// What went to the disk would come back as this. Upstream's leaves the file there; here `SAVE`
/// does.
fn reload(node: &mut Node) -> Outcome {
    let snapshot = Snapshot {
        entries: node.store.snapshot(),
        stream_digest: 0,
        open_slots: Vec::new(),
    };
    let mut bytes = BytesMut::new();
    rdb::encode(&snapshot, &mut bytes);
    let read = match rdb::read_within(&bytes, node.config.limits) {
        Ok(read) => read,
        Err(error) => {
            node.log(LogLevel::Warning, error.to_string());
            return Err(CommandError::fixed(
                "ERR Error trying to load the RDB dump, check server logs",
            ));
        }
    };
    clients::touch_all(node);
    node.store.clear();
    node.load_rdb(node.now, &read);
    node.log(LogLevel::Warning, "DB reloaded by DEBUG RELOAD");
    Ok(Reply::OK)
}

/// What `DUMP` puts around a value: its type, a version and a checksum, bytes.
const PAYLOAD_FRAME_LEN: usize = 1 + 2 + 8;

/// Moments of use count modulo this and one (`LRU_CLOCK_MAX`), s.
const MAX_LRU: i64 = (1 << 24) - 1;

/// Microseconds in a number of seconds, read as far as it is one (C's `strtod`). What is no
/// number, negative or not finite is no time.
fn micros(word: &[u8]) -> u64 {
    let word = String::from_utf8_lossy(word);
    let word = word.trim_start();
    let longest = (1..=word.len())
        .rev()
        .filter_map(|end| word.get(..end)?.parse::<f64>().ok())
        .next();
    match longest {
        Some(seconds) if seconds.is_finite() && seconds > 0.0 => (seconds * 1e6) as u64,
        Some(_) | None => 0,
    }
}

#[cfg(test)]
mod tests {
    use super::micros;

    #[test]
    fn seconds_are_read_as_far_as_they_are_a_number() {
        assert_eq!(micros(b"30"), 30_000_000);
        assert_eq!(micros(b"0.5"), 500_000);
        assert_eq!(micros(b" 1.25s"), 1_250_000);
        assert_eq!(micros(b"1e-3"), 1_000);
        assert_eq!(micros(b"-2"), 0);
        assert_eq!(micros(b"soon"), 0);
        assert_eq!(micros(b"inf"), 0);
        assert_eq!(micros("3\u{e9}".as_bytes()), 3_000_000);
    }
}
