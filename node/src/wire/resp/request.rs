//! Requests: what a server reads from its clients and a replica from its master.

use crate::word::Word;
use bytes::{Buf, BytesMut};

use super::error::RespError;
use super::number::string_to_i64;
use super::split::split_args;
use super::{MAX_BULK_LEN, MAX_LINE_LEN, MAX_REQUEST_LEN};
use crate::input::CommandLine;

/// Words from this length on are taken out of the receive buffer without a copy
/// (`PROTO_MBULK_BIG_ARG`). Shorter ones are copied so that a stored value does not keep the
/// whole buffer alive.
const BIG_WORD_LEN: usize = 32 << 10;

/// The most words space is reserved for at once.
const WORDS_RESERVED: i64 = 16;

/// A command as it arrived.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Request {
    /// Its words; never empty.
    pub command: CommandLine,
    /// Bytes it took on the wire, with any empty lines or commands before it: what the
    /// replication offset grows by.
    pub wire_len: usize,
}

/// Cuts commands out of the bytes of one connection (`processInputBuffer`). What is decoded does
/// not depend on how the bytes are cut into reads.
#[derive(Clone, Debug)]
pub struct RequestDecoder {
    /// Words still to come of the multibulk command under way; 0 between commands.
    words_left: i64,
    /// Length of the word under way, once known.
    pub(super) word_len: Option<usize>,
    pub(super) words: Vec<Word>,
    pub(super) wire_len: usize,
    from_master: bool,
    authenticated: bool,
    /// The longest word a client may send, bytes (`proto-max-bulk-len`).
    max_bulk_len: usize,
    failed: Option<RespError>,
}

impl Default for RequestDecoder {
    fn default() -> Self {
        Self::new()
    }
}

/// What to do after one step.
enum Step {
    /// Go on: there may be more to read.
    Again,
    /// Wait for more bytes.
    Wait,
    /// A command is complete.
    Done(CommandLine),
}

impl RequestDecoder {
    /// A decoder for a new client.
    #[must_use]
    pub const fn new() -> Self {
        Self {
            words_left: 0,
            word_len: None,
            words: Vec::new(),
            wire_len: 0,
            from_master: false,
            authenticated: true,
            max_bulk_len: MAX_BULK_LEN,
            failed: None,
        }
    }

    /// A decoder for the replication stream of a master: no inline commands, no bound on the
    /// length of words.
    #[must_use]
    pub const fn for_master() -> Self {
        let mut decoder = Self::new();
        decoder.from_master = true;
        decoder
    }

    /// Says whether the client still has to authenticate: until then long requests are refused.
    pub const fn set_authenticated(&mut self, authenticated: bool) {
        self.authenticated = authenticated;
    }

    /// Sets the longest word that is taken, bytes (`proto-max-bulk-len`).
    pub const fn set_max_bulk_len(&mut self, bytes: usize) {
        self.max_bulk_len = bytes;
    }

    /// Takes the next command off the front of `buf`; `None` until it has arrived whole. Words
    /// that have arrived are taken off `buf` before the rest does. Nothing is reserved by a
    /// length a client states.
    ///
    /// # Errors
    /// Ends the stream: every later call gives the same error.
    pub fn next(&mut self, buf: &mut BytesMut) -> Result<Option<Request>, RespError> {
        if let Some(error) = &self.failed {
            return Err(error.clone());
        }
        while !buf.is_empty() {
            match self.step(buf) {
                Ok(Step::Again) => {}
                Ok(Step::Wait) => return Ok(None),
                Ok(Step::Done(command)) => {
                    let wire_len = std::mem::take(&mut self.wire_len);
                    return Ok(Some(Request { command, wire_len }));
                }
                Err(error) => {
                    self.failed = Some(error.clone());
                    return Err(error);
                }
            }
        }
        Ok(None)
    }

    fn step(&mut self, buf: &mut BytesMut) -> Result<Step, RespError> {
        if let Some(len) = self.word_len {
            return Ok(self.take_word(buf, len));
        }
        if self.words_left > 0 {
            return self.take_word_len(buf);
        }
        match buf.first() {
            Some(b'*') => self.take_word_count(buf),
            Some(_) | None => self.take_inline(buf),
        }
    }

    /// `processInlineBuffer`
    fn take_inline(&mut self, buf: &mut BytesMut) -> Result<Step, RespError> {
        let Some(end) = line_end(buf, b'\n', RespError::TooBigInline)? else {
            return Ok(Step::Wait);
        };
        let line = buf[..end].strip_suffix(b"\r").unwrap_or(&buf[..end]);
        let words = split_args(line).ok_or(RespError::UnbalancedQuotes)?;
        if self.from_master && !line.is_empty() {
            return Err(RespError::InlineFromMaster);
        }
        self.consume(buf, end + 1);
        if words.is_empty() {
            return Ok(Step::Again);
        }
        Ok(Step::Done(words.into_iter().map(Word::from).collect()))
    }

    /// `*<count>`, the start of `processMultibulkBuffer`.
    fn take_word_count(&mut self, buf: &mut BytesMut) -> Result<Step, RespError> {
        let Some(end) = line_end(buf, b'\r', RespError::TooBigMultibulkCount)? else {
            return Ok(Step::Wait);
        };
        if buf.len() < end + 2 {
            return Ok(Step::Wait);
        }
        let count = string_to_i64(&buf[1..end])
            .filter(|&count| count <= i64::from(i32::MAX))
            .ok_or(RespError::MultibulkLength)?;
        if count > 10 && !self.authenticated {
            return Err(RespError::UnauthenticatedMultibulkLength);
        }
        self.consume(buf, end + 2);
        if count > 0 {
            self.words_left = count;
            self.words = Vec::with_capacity(count.min(WORDS_RESERVED) as usize);
        }
        Ok(Step::Again)
    }

    /// `$<length>`
    fn take_word_len(&mut self, buf: &mut BytesMut) -> Result<Step, RespError> {
        let Some(end) = line_end(buf, b'\r', RespError::TooBigBulkCount)? else {
            return Ok(Step::Wait);
        };
        if buf.len() < end + 2 {
            return Ok(Step::Wait);
        }
        if buf[0] != b'$' {
            let found = if buf[0] == b'\r' { b' ' } else { buf[0] };
            return Err(RespError::ExpectedBulk { found });
        }
        let len = string_to_i64(&buf[1..end])
            .and_then(|len| usize::try_from(len).ok())
            .filter(|&len| self.from_master || len <= self.max_bulk_len)
            .ok_or(RespError::BulkLength)?;
        if len > 16384 && !self.authenticated {
            return Err(RespError::UnauthenticatedBulkLength);
        }
        let held = self.wire_len + self.words.len() * size_of::<Word>();
        if !self.from_master && held.saturating_add(len) > MAX_REQUEST_LEN {
            return Err(RespError::RequestTooLong);
        }
        self.consume(buf, end + 2);
        self.word_len = Some(len);
        Ok(Step::Again)
    }

    /// A word and the two bytes after it, which Redis does not look at.
    fn take_word(&mut self, buf: &mut BytesMut, len: usize) -> Step {
        if buf.len() < len.saturating_add(2) {
            return Step::Wait;
        }
        let word = if len >= BIG_WORD_LEN {
            Word::from(buf.split_to(len).freeze())
        } else {
            let word = Word::copy_from_slice(&buf[..len]);
            buf.advance(len);
            word
        };
        buf.advance(2);
        self.wire_len += len + 2;
        self.words.push(word);
        self.word_len = None;
        self.words_left -= 1;
        if self.words_left > 0 {
            return Step::Again;
        }
        Step::Done(std::mem::take(&mut self.words).into())
    }

    fn consume(&mut self, buf: &mut BytesMut, len: usize) {
        buf.advance(len);
        self.wire_len += len;
    }
}

/// Where the line ends that `buf` starts with. Redis looks for the end as in a C string: a NUL
/// hides what follows it.
fn line_end(buf: &[u8], end: u8, too_long: RespError) -> Result<Option<usize>, RespError> {
    let window = &buf[..buf.len().min(MAX_LINE_LEN + 1)];
    match window.iter().position(|&byte| byte == end || byte == 0) {
        Some(place) if window[place] == end => Ok(Some(place)),
        Some(_) | None if buf.len() > MAX_LINE_LEN => Err(too_long),
        Some(_) | None => Ok(None),
    }
}
