//! Replies: what a client reads from a server.

use std::borrow::Cow;

use crate::word::Word;

use super::error::RespError;
use super::{MAX_BULK_LEN, MAX_LINE_LEN, MAX_REPLY_DEPTH};
use crate::reply::Reply;

/// The most elements space is reserved for at once.
const ITEMS_RESERVED: usize = 64;

/// Reads the reply that `buf` starts with, RESP2 or RESP3, and tells how many bytes it took;
/// `None` if it has not arrived whole. Attributes are passed over. A big number becomes a bulk
/// string; an error in a bulk (`!`) an error.
///
/// # Errors
/// [`RespError::Reply`] if the bytes are not RESP, nest deeper than
/// [`MAX_REPLY_DEPTH`] or state a length above a bound. The stream cannot be read on.
pub fn decode_reply(buf: &[u8]) -> Result<Option<(Reply, usize)>, RespError> {
    let mut reader = Reader { buf, offset: 0 };
    match reader.reply(0) {
        Ok(reply) => Ok(Some((reply, reader.offset))),
        Err(Stop::Incomplete) => Ok(None),
        Err(Stop::Invalid(error)) => Err(error),
    }
}

enum Stop {
    Incomplete,
    Invalid(RespError),
}

struct Reader<'a> {
    buf: &'a [u8],
    offset: usize,
}

impl<'a> Reader<'a> {
    fn reply(&mut self, depth: usize) -> Result<Reply, Stop> {
        let start = self.offset;
        if depth == MAX_REPLY_DEPTH {
            return Err(invalid(start, "at most 32 levels of nesting", b"more"));
        }
        let kind = *self.buf.get(start).ok_or(Stop::Incomplete)?;
        self.offset += 1;
        Ok(match kind {
            b'+' => Reply::Simple(self.text()?),
            b'-' => Reply::Error(self.text()?),
            b':' => Reply::Integer(self.parsed("an integer")?),
            b'$' => self.bulk()?.map_or(Reply::Nil, Reply::Bulk),
            b'*' => match self.count(true)? {
                Some(count) => Reply::Array(self.items(count, depth)?),
                None => Reply::NilArray,
            },
            b'_' => self.null()?,
            b'#' => self.boolean()?,
            b',' => Reply::Double(self.parsed("a number, inf, -inf or nan")?),
            b'(' => self.big_number()?,
            b'!' => Reply::Error(lossy(&self.present_bulk()?)),
            b'=' => self.verbatim()?,
            b'~' => Reply::Set(self.some_items(depth)?),
            b'>' => Reply::Push(self.some_items(depth)?),
            b'%' => Reply::Map(self.pairs(depth)?),
            b'|' => {
                self.pairs(depth)?;
                self.reply(depth + 1)?
            }
            other => {
                let expected = "a reply type, one of + - : $ * _ # , ( ! = ~ > % |";
                return Err(invalid(start, expected, &[other]));
            }
        })
    }

    fn some_items(&mut self, depth: usize) -> Result<Vec<Reply>, Stop> {
        let count = self.count(false)?.unwrap_or(0);
        self.items(count, depth)
    }

    fn items(&mut self, count: usize, depth: usize) -> Result<Vec<Reply>, Stop> {
        let mut items = Vec::with_capacity(count.min(ITEMS_RESERVED));
        for _ in 0..count {
            items.push(self.reply(depth + 1)?);
        }
        Ok(items)
    }

    fn pairs(&mut self, depth: usize) -> Result<Vec<(Reply, Reply)>, Stop> {
        let count = self.count(false)?.unwrap_or(0);
        let mut pairs = Vec::with_capacity(count.min(ITEMS_RESERVED));
        for _ in 0..count {
            pairs.push((self.reply(depth + 1)?, self.reply(depth + 1)?));
        }
        Ok(pairs)
    }

    fn null(&mut self) -> Result<Reply, Stop> {
        let start = self.offset;
        match self.line()? {
            [] => Ok(Reply::Nil),
            other => Err(invalid(start, "nothing after _", other)),
        }
    }

    fn boolean(&mut self) -> Result<Reply, Stop> {
        let start = self.offset;
        match self.line()? {
            b"t" => Ok(Reply::Boolean(true)),
            b"f" => Ok(Reply::Boolean(false)),
            other => Err(invalid(start, "t or f", other)),
        }
    }

    fn big_number(&mut self) -> Result<Reply, Stop> {
        let start = self.offset;
        let line = self.line()?;
        let digits = line.strip_prefix(b"-").unwrap_or(line);
        if digits.is_empty() || !digits.iter().all(u8::is_ascii_digit) {
            return Err(invalid(start, "an integer", line));
        }
        Ok(Reply::Bulk(Word::copy_from_slice(line)))
    }

    fn verbatim(&mut self) -> Result<Reply, Stop> {
        let start = self.offset;
        let bytes = self.present_bulk()?;
        match bytes.get(3) {
            Some(b':') => Ok(Reply::Verbatim(lossy(&bytes[4..]).into_owned())),
            Some(_) | None => Err(invalid(start, "three letters and a colon", &bytes)),
        }
    }

    fn present_bulk(&mut self) -> Result<Word, Stop> {
        let start = self.offset;
        let null = || invalid(start, "a length from 0", b"-1");
        self.bulk()?.ok_or_else(null)
    }

    /// The length, the bytes and the line break after them; `None` for the null bulk.
    fn bulk(&mut self) -> Result<Option<Word>, Stop> {
        let start = self.offset;
        let Some(len) = self.count(true)? else {
            return Ok(None);
        };
        if len > MAX_BULK_LEN {
            let expected = "a length up to 536870912";
            return Err(invalid(start, expected, len.to_string().as_bytes()));
        }
        let bytes = self.buf.get(self.offset..self.offset + len);
        let bytes = bytes.ok_or(Stop::Incomplete)?;
        self.offset += len;
        let end = self.offset;
        match &self.buf[end..] {
            [b'\r', b'\n', ..] => self.offset += 2,
            [] | [b'\r'] => return Err(Stop::Incomplete),
            other => {
                let shown = &other[..other.len().min(2)];
                return Err(invalid(end, "a line break after the bulk", shown));
            }
        }
        Ok(Some(Word::copy_from_slice(bytes)))
    }

    /// A number of elements or bytes; `None` for -1 where that stands for a null.
    fn count(&mut self, nullable: bool) -> Result<Option<usize>, Stop> {
        let start = self.offset;
        let line = self.line()?;
        let parsed = std::str::from_utf8(line)
            .ok()
            .and_then(|line| line.parse().ok());
        match parsed {
            Some(-1_i64) if nullable => Ok(None),
            Some(count @ 0..=0xffff_ffff) => Ok(Some(count as usize)),
            Some(_) | None => Err(invalid(start, "a length from 0 to 4294967295", line)),
        }
    }

    fn parsed<T: std::str::FromStr>(&mut self, expected: &'static str) -> Result<T, Stop> {
        let start = self.offset;
        let line = self.line()?;
        let parsed = std::str::from_utf8(line)
            .ok()
            .and_then(|line| line.parse().ok());
        parsed.ok_or_else(|| invalid(start, expected, line))
    }

    fn text(&mut self) -> Result<Cow<'static, str>, Stop> {
        self.line().map(|line| match line {
            b"OK" => Cow::Borrowed("OK"),
            other => lossy(other),
        })
    }

    /// What stands before the line break, which is taken off as well.
    fn line(&mut self) -> Result<&'a [u8], Stop> {
        let start = self.offset;
        let rest = &self.buf[start..];
        let window = &rest[..rest.len().min(MAX_LINE_LEN + 1)];
        let Some(len) = window.iter().position(|&byte| byte == b'\r') else {
            if rest.len() > MAX_LINE_LEN {
                let shown = &rest[..16];
                return Err(invalid(start, "a line of at most 65536 bytes", shown));
            }
            return Err(Stop::Incomplete);
        };
        match rest.get(len + 1) {
            Some(b'\n') => {
                self.offset += len + 2;
                Ok(&rest[..len])
            }
            Some(other) => Err(invalid(start + len + 1, "a line feed", &[*other])),
            None => Err(Stop::Incomplete),
        }
    }
}

fn invalid(offset: usize, expected: &'static str, found: &[u8]) -> Stop {
    let found = format!("\"{}\"", found[..found.len().min(64)].escape_ascii());
    Stop::Invalid(RespError::Reply {
        offset,
        expected,
        found,
    })
}

fn lossy(bytes: &[u8]) -> Cow<'static, str> {
    Cow::Owned(String::from_utf8_lossy(bytes).into_owned())
}
