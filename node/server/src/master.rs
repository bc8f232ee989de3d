//! The connection to a replica's master, decoded: the handshake's answers, the snapshot, the
//! stream (`syncWithMaster`, `readSyncBulkPayload`).

use bytes::{Buf, BytesMut};
use redrill_node::wire::resp::{RequestDecoder, decode_reply};
use redrill_node::wire::{rdb, resp};
use redrill_node::{FromMaster, ReplicationId, Reply};

/// The longest line before a snapshot, bytes.
const MAX_LINE_LEN: usize = 1024;

/// Length of the mark that ends a snapshot of unknown length, bytes (`CONFIG_RUN_ID_SIZE`).
const MARK_LEN: usize = 40;

/// What a master sends, by how far the connection has come.
#[derive(Debug, Default)]
pub(crate) enum MasterStream {
    /// Answers to the handshake's commands, one reply each.
    #[default]
    Handshake,
    /// After `+FULLRESYNC`: empty lines while the master prepares the snapshot, then its length.
    SnapshotLen,
    /// The snapshot.
    Snapshot(SnapshotEnd),
    /// The stream of commands.
    Commands(RequestDecoder),
}

/// Where a snapshot ends.
#[derive(Debug)]
pub(crate) enum SnapshotEnd {
    /// After so many bytes.
    Len(usize),
    /// At a mark; so many bytes have been searched for it.
    Mark([u8; MARK_LEN], usize),
}

/// Why a master's bytes cannot be read on.
#[derive(Debug, thiserror::Error)]
pub(crate) enum MasterError {
    #[error(transparent)]
    Resp(#[from] resp::RespError),
    #[error("the master's answer to PSYNC has the wrong syntax: {0}")]
    Psync(String),
    #[error("bad protocol from the master: expected the length of a snapshot, found {0}")]
    SnapshotLen(String),
    #[error("the master's snapshot cannot be loaded")]
    Snapshot(#[from] rdb::RdbError),
}

impl MasterStream {
    /// Takes the next thing off the front of `input`; `None` until it has arrived whole.
    ///
    /// # Errors
    /// The connection is of no more use.
    pub(crate) fn next(&mut self, input: &mut BytesMut) -> Result<Option<FromMaster>, MasterError> {
        loop {
            match self {
                Self::Handshake => return self.handshake(input),
                Self::SnapshotLen => {
                    let Some(end) = snapshot_end(input)? else {
                        return Ok(None);
                    };
                    *self = Self::Snapshot(end);
                }
                Self::Snapshot(end) => {
                    let Some((snapshot, ending)) = end.cut(input) else {
                        return Ok(None);
                    };
                    let snapshot = rdb::decode(&input[..snapshot])?;
                    input.advance(ending);
                    *self = Self::Commands(RequestDecoder::for_master());
                    return Ok(Some(FromMaster::Snapshot(snapshot)));
                }
                Self::Commands(decoder) => {
                    let request = decoder.next(input)?;
                    return Ok(request.map(|request| FromMaster::Stream {
                        command: request.command,
                        wire_len: request.wire_len,
                    }));
                }
            }
        }
    }

    /// Whether the handshake and the snapshot are over.
    pub(crate) const fn carries_commands(&self) -> bool {
        match self {
            Self::Commands(_) => true,
            Self::Handshake | Self::SnapshotLen | Self::Snapshot(_) => false,
        }
    }

    fn handshake(&mut self, input: &mut BytesMut) -> Result<Option<FromMaster>, MasterError> {
        skip_empty_lines(input);
        if input.is_empty() {
            return Ok(None);
        }
        let Some((reply, len)) = decode_reply(input)? else {
            return Ok(None);
        };
        input.advance(len);
        let Reply::Simple(line) = &reply else {
            return Ok(Some(FromMaster::Reply(reply)));
        };
        let mut words = line.split(' ');
        match words.next() {
            Some("FULLRESYNC") => {
                let (id, offset) = full_resync(words)
                    .ok_or_else(|| MasterError::Psync(line.escape_debug().to_string()))?;
                *self = Self::SnapshotLen;
                Ok(Some(FromMaster::FullResync { id, offset }))
            }
            Some("CONTINUE") => {
                let id = words
                    .next()
                    .map(|id| ReplicationId::from_hex(id.trim_end().as_bytes()))
                    .transpose()
                    .map_err(|_| MasterError::Psync(line.escape_debug().to_string()))?;
                *self = Self::Commands(RequestDecoder::for_master());
                Ok(Some(FromMaster::Continue { id }))
            }
            Some(_) | None => Ok(Some(FromMaster::Reply(reply))),
        }
    }
}

impl SnapshotEnd {
    /// Lengths of the snapshot and of the snapshot with its mark, once all of it has arrived.
    fn cut(&mut self, input: &[u8]) -> Option<(usize, usize)> {
        match self {
            Self::Len(len) => (input.len() >= *len).then_some((*len, *len)),
            Self::Mark(mark, searched) => {
                let found = input
                    .get(*searched..)?
                    .windows(MARK_LEN)
                    .position(|window| window == mark);
                if let Some(place) = found {
                    let len = *searched + place;
                    return Some((len, len + MARK_LEN));
                }
                *searched = input.len().saturating_sub(MARK_LEN - 1).max(*searched);
                None
            }
        }
    }
}

fn full_resync<'a>(mut words: impl Iterator<Item = &'a str>) -> Option<(ReplicationId, u64)> {
    let id = ReplicationId::from_hex(words.next()?.as_bytes()).ok()?;
    let offset = words.next()?.trim_end().parse().ok()?;
    Some((id, offset))
}

/// Reads `$<length>` or `$EOF:<mark>`.
fn snapshot_end(input: &mut BytesMut) -> Result<Option<SnapshotEnd>, MasterError> {
    skip_empty_lines(input);
    let window = &input[..input.len().min(MAX_LINE_LEN)];
    let wrong = |line: &[u8]| {
        let shown = &line[..line.len().min(64)];
        Err(MasterError::SnapshotLen(shown.escape_ascii().to_string()))
    };
    let Some(end) = window.iter().position(|&byte| byte == b'\n') else {
        return if input.len() >= MAX_LINE_LEN {
            wrong(input)
        } else {
            Ok(None)
        };
    };
    let line = input.split_to(end + 1);
    let line = line.trim_ascii_end();
    if let Some(mark) = line.strip_prefix(b"$EOF:") {
        return match mark.try_into() {
            Ok(mark) => Ok(Some(SnapshotEnd::Mark(mark, 0))),
            Err(_) => wrong(line),
        };
    }
    let len = line
        .strip_prefix(b"$")
        .and_then(|digits| std::str::from_utf8(digits).ok())
        .and_then(|digits| digits.parse().ok());
    match len {
        Some(len) => Ok(Some(SnapshotEnd::Len(len))),
        None => wrong(line),
    }
}

/// A master keeps the connection alive with empty lines while it is busy.
fn skip_empty_lines(input: &mut BytesMut) {
    let empty = input
        .iter()
        .take_while(|byte| matches!(byte, b'\n' | b'\r'))
        .count();
    input.advance(empty);
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use proptest::prelude::*;
    use redrill_node::Word;
    use redrill_node::store::Value;
    use redrill_node::wire::resp::encode_command;
    use redrill_node::{Snapshot, SnapshotEntry};

    use super::*;

    const ID: &str = "0123456789abcdef0123456789abcdef01234567";
    const MARK: &str = "mark-mark-mark-mark-mark-mark-mark-mark-";

    /// Everything that `bytes` say when they arrive in parts of at most `part` bytes.
    fn events(bytes: &[u8], part: usize) -> Result<Vec<FromMaster>, MasterError> {
        let mut stream = MasterStream::default();
        let mut input = BytesMut::new();
        let mut events = Vec::new();
        for part in bytes.chunks(part) {
            input.extend_from_slice(part);
            while let Some(event) = stream.next(&mut input)? {
                events.push(event);
            }
        }
        Ok(events)
    }

    fn refused(bytes: &[u8]) -> String {
        events(bytes, usize::MAX).unwrap_err().to_string()
    }

    fn snapshot() -> Snapshot {
        let entry = SnapshotEntry {
            key: Word::from_static(b"key"),
            value: Value::String(Word::from_static(b"mark-mark-mark-mark-mark-mark-mark-mar")),
            expires_at_ms: Some(1_800_000_000_000),
        };
        Snapshot {
            entries: Arc::new(vec![entry]),
            stream_digest: 7,
        }
    }

    /// A handshake, a snapshot that begins with `start` and ends with `end`, and a command.
    fn full_resync(start: &str, end: &str) -> Vec<u8> {
        let mut bytes = BytesMut::from("+PONG\r\n+OK\r\n-ERR Unrecognized REPLCONF option\r\n\n\n");
        bytes.extend_from_slice(format!("+FULLRESYNC {ID} 42\r\n\n").as_bytes());
        bytes.extend_from_slice(start.as_bytes());
        rdb::encode(&snapshot(), &mut bytes);
        bytes.extend_from_slice(end.as_bytes());
        encode_command(&["SET", "key", "other"], &mut bytes);
        bytes.to_vec()
    }

    fn full_resync_events() -> Vec<FromMaster> {
        let command: Vec<_> = [&b"SET"[..], b"key", b"other"]
            .map(Word::from_static)
            .into();
        vec![
            FromMaster::Reply(Reply::Simple("PONG".into())),
            FromMaster::Reply(Reply::OK),
            FromMaster::Reply(Reply::error("ERR Unrecognized REPLCONF option")),
            FromMaster::FullResync {
                id: ID.parse().unwrap(),
                offset: 42,
            },
            FromMaster::Snapshot(snapshot()),
            FromMaster::Stream {
                command: command.into(),
                wire_len: 33,
            },
        ]
    }

    proptest! {
        #[test]
        fn a_snapshot_of_known_length_is_read_however_it_is_cut(part in 1_usize..400) {
            let mut content = BytesMut::new();
            rdb::encode(&snapshot(), &mut content);
            let bytes = full_resync(&format!("${}\r\n", content.len()), "");
            prop_assert_eq!(events(&bytes, part).unwrap(), full_resync_events());
        }

        #[test]
        fn a_snapshot_that_ends_at_a_mark_is_read_however_it_is_cut(part in 1_usize..400) {
            let bytes = full_resync(&format!("$EOF:{MARK}\r\n"), MARK);
            prop_assert_eq!(events(&bytes, part).unwrap(), full_resync_events());
        }

        #[test]
        fn rubbish_never_panics(bytes: Vec<u8>, part in 1_usize..64) {
            let _ = events(&bytes, part);
            let _ = events(&[b"+FULLRESYNC ", ID.as_bytes(), b" 1\r\n", &bytes].concat(), part);
        }
    }

    #[test]
    fn the_stream_goes_on_after_continue_with_or_without_a_new_history() {
        let ping = b"*1\r\n$4\r\nPING\r\n";
        let stream = FromMaster::Stream {
            command: [Word::from_static(b"PING")].into(),
            wire_len: 14,
        };
        let plain = [&b"+CONTINUE\r\n"[..], ping].concat();
        assert_eq!(
            events(&plain, 5).unwrap(),
            [FromMaster::Continue { id: None }, stream.clone()]
        );
        let renamed = [format!("+CONTINUE {ID}\r\n").as_bytes(), ping].concat();
        let id = Some(ID.parse().unwrap());
        assert_eq!(
            events(&renamed, 5).unwrap(),
            [FromMaster::Continue { id }, stream]
        );
    }

    #[test]
    fn what_cannot_be_read_on_is_named() {
        assert!(refused(b"+FULLRESYNC abc 1\r\n").contains("FULLRESYNC abc 1"));
        assert!(refused(b"+CONTINUE abc\r\n").contains("CONTINUE abc"));
        let after =
            |bytes: &[u8]| refused(&[b"+FULLRESYNC ", ID.as_bytes(), b" 1\r\n", bytes].concat());
        assert!(after(b"-ERR no memory\r\n").contains("-ERR no memory"));
        assert!(after(b"$-1\r\n").contains("found $-1"));
        assert!(after(b"$EOF:short\r\n").contains("$EOF:short"));
        assert!(after(&[b'x'; 2000]).contains("expected the length of a snapshot"));
        assert!(after(b"$9\r\nNOT A RDB").contains("cannot be loaded"));
    }

    #[test]
    fn a_snapshot_of_a_stated_exabyte_costs_nothing() {
        let start = format!("+FULLRESYNC {ID} 1\r\n${}\r\nREDIS", 1_u64 << 60);
        assert_eq!(events(start.as_bytes(), 10).unwrap().len(), 1);
    }
}
