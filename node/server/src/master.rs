//! The connection to a replica's master, decoded: the handshake's answers, the snapshot, the
//! stream (`syncWithMaster`, `readSyncBulkPayload`).

use bytes::{Buf, BytesMut};
use redrill_node::store::Limits;
use redrill_node::wire::rdb::{RdbError, RdbFault};
use redrill_node::wire::resp::{RequestDecoder, decode_reply};
use redrill_node::wire::{rdb, resp};
use redrill_node::{FromMaster, ReplicationId, Reply, Snapshot, SnapshotMark};

/// The longest line before a snapshot, bytes.
const MAX_LINE_LEN: usize = 1024;

/// What a master sends, by how far the connection has come.
#[derive(Debug)]
pub(crate) enum MasterStream {
    /// Answers to the handshake's commands, one reply each.
    Handshake(Limits),
    /// After `+FULLRESYNC`: empty lines while the master prepares the snapshot, then its length.
    SnapshotLen(Limits),
    /// The snapshot.
    Snapshot(Box<Incoming>),
    /// The stream of commands.
    Commands(RequestDecoder),
}

/// A snapshot that is read while it arrives.
#[derive(Debug)]
pub(crate) struct Incoming {
    decoder: rdb::Decoder,
    end: SnapshotEnd,
    /// The snapshot, once it is whole and its mark has not arrived yet.
    whole: Option<Snapshot>,
}

/// Where a snapshot ends.
#[derive(Debug)]
enum SnapshotEnd {
    /// After so many bytes.
    Len(usize),
    /// Before a mark.
    Mark(SnapshotMark),
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
    #[error("the master's snapshot cannot be loaded: {0}")]
    Snapshot(#[from] rdb::RdbError),
    #[error("the master's snapshot does not end with the mark that was announced")]
    Mark,
}

impl MasterStream {
    /// A connection over which nothing came yet. Collections of a snapshot are compact within
    /// these limits.
    pub(crate) const fn new(limits: Limits) -> Self {
        Self::Handshake(limits)
    }

    /// Takes the next thing off the front of `input`; `None` until it has arrived whole.
    ///
    /// # Errors
    /// The connection is of no more use.
    pub(crate) fn next(&mut self, input: &mut BytesMut) -> Result<Option<FromMaster>, MasterError> {
        loop {
            match self {
                Self::Handshake(limits) => {
                    let limits = *limits;
                    return self.handshake(limits, input);
                }
                Self::SnapshotLen(limits) => {
                    let limits = *limits;
                    let Some(end) = snapshot_end(input)? else {
                        return Ok(None);
                    };
                    *self = Self::Snapshot(Box::new(Incoming {
                        decoder: rdb::Decoder::new().limits(limits),
                        end,
                        whole: None,
                    }));
                }
                Self::Snapshot(incoming) => {
                    let Some(snapshot) = incoming.next(input)? else {
                        return Ok(None);
                    };
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
            Self::Handshake(_) | Self::SnapshotLen(_) | Self::Snapshot(_) => false,
        }
    }

    fn handshake(
        &mut self,
        limits: Limits,
        input: &mut BytesMut,
    ) -> Result<Option<FromMaster>, MasterError> {
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
                *self = Self::SnapshotLen(limits);
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

impl Incoming {
    /// Takes what has arrived; the snapshot once it is whole.
    fn next(&mut self, input: &mut BytesMut) -> Result<Option<Snapshot>, MasterError> {
        match self.end {
            SnapshotEnd::Len(len) => self.up_to(len, input),
            SnapshotEnd::Mark(mark) => self.up_to_mark(&mark, input),
        }
    }

    fn up_to(&mut self, len: usize, input: &mut BytesMut) -> Result<Option<Snapshot>, MasterError> {
        let left = len - self.decoder.taken();
        let is_all = input.len() >= left;
        // What follows is not the decoder's.
        let rest = (input.len() > left).then(|| input.split_off(left));
        let fault = match self.decoder.next(input)? {
            Some(rdb) if rdb.len == len => {
                *input = rest.unwrap_or_default();
                return Ok(Some(rdb.snapshot));
            }
            Some(rdb) => RdbFault::Trailing(len - rdb.len),
            None if is_all => RdbFault::EndOfFile,
            None => return Ok(None),
        };
        let offset = self.decoder.taken();
        Err(RdbError { offset, fault }.into())
    }

    fn up_to_mark(
        &mut self,
        mark: &SnapshotMark,
        input: &mut BytesMut,
    ) -> Result<Option<Snapshot>, MasterError> {
        if self.whole.is_none() {
            self.whole = self.decoder.next(input)?.map(|rdb| rdb.snapshot);
        }
        if self.whole.is_none() || input.len() < mark.len() {
            return Ok(None);
        }
        if input.split_to(mark.len()) == mark[..] {
            Ok(self.whole.take())
        } else {
            Err(MasterError::Mark)
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
            Ok(mark) => Ok(Some(SnapshotEnd::Mark(mark))),
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
        let mut stream = MasterStream::new(Limits::DEFAULT);
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
            open_slots: Vec::new(),
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
    fn a_snapshot_of_another_length_than_was_told_is_refused() {
        let mut content = BytesMut::new();
        rdb::encode(&snapshot(), &mut content);
        let (len, head) = (content.len(), format!("+FULLRESYNC {ID} 1\r\n"));
        let with = |told: usize| {
            let text = [format!("{head}${told}\r\n").as_bytes(), &content, b"*1\r\n"].concat();
            refused(&text)
        };
        assert!(with(len - 1).contains("Unexpected EOF reading RDB file"));
        assert!(with(len + 1).contains("1 bytes after the end"));
        let marked = [format!("{head}$EOF:{MARK}\r\n").as_bytes(), &content].concat();
        let other = MARK.replace('m', "M");
        let refusal = refused(&[&marked, other.as_bytes()].concat());
        assert!(refusal.contains("does not end with the mark"), "{refusal}");
    }

    /// What masters of Redis 7.0.15 sent their replicas, one connection each.
    #[test]
    fn what_masters_of_redis_sent_is_read_however_it_is_cut() {
        let recorded: [(&[u8], usize); 5] = [
            (include_bytes!("../tests/fixtures/master-7002.bin"), 1),
            (include_bytes!("../tests/fixtures/master-7000.bin"), 1),
            (include_bytes!("../tests/fixtures/master-7001.bin"), 1),
            (include_bytes!("../tests/fixtures/master-7004.bin"), 0),
            (include_bytes!("../tests/fixtures/master-7005.bin"), 0),
        ];
        for (bytes, snapshots) in recorded {
            let whole = events(bytes, usize::MAX).unwrap();
            let count = |wanted: fn(&FromMaster) -> bool| {
                whole.iter().filter(|event| wanted(event)).count()
            };
            let found = count(|event| matches!(event, FromMaster::Snapshot(_)));
            let resumed = count(|event| matches!(event, FromMaster::Continue { .. }));
            assert_eq!((found, resumed), (snapshots, 1 - snapshots));
            for event in &whole {
                if let FromMaster::Snapshot(snapshot) = event {
                    let mut again = BytesMut::new();
                    rdb::encode(snapshot, &mut again);
                    assert_eq!(rdb::decode(&again).as_ref(), Ok(snapshot));
                    assert!(!snapshot.entries.is_empty());
                }
            }
            for part in [1, 7, 100] {
                assert_eq!(events(bytes, part).unwrap(), whole);
            }
        }
    }

    #[test]
    fn a_snapshot_of_a_stated_exabyte_costs_nothing() {
        let start = format!("+FULLRESYNC {ID} 1\r\n${}\r\nREDIS", 1_u64 << 60);
        assert_eq!(events(start.as_bytes(), 10).unwrap().len(), 1);
    }
}
