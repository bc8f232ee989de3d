//! Reading from bytes of which more may still come.

use std::borrow::Cow;

use super::error::{RdbError, RdbFault};
use super::{MAX_STRING_LEN, lzf};
use crate::word::Word;

/// Bytes of a snapshot and a place in them.
#[derive(Debug)]
pub(super) struct Cursor<'a> {
    bytes: &'a [u8],
    at: usize,
    /// Where `bytes` begin, counted from the snapshot's start.
    base: usize,
}

/// Why reading does not go on.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) enum Halt {
    /// More bytes are needed: so many, counted from where the cursor's begin.
    More(usize),
    /// The bytes are wrong.
    Failed(RdbError),
}

/// A string as it stands in a snapshot.
#[derive(Clone, Copy, Debug)]
pub(super) enum Raw<'a> {
    Plain(&'a [u8]),
    Integer(i32),
    /// Packed bytes, their length unpacked, and where they begin.
    Packed(&'a [u8], usize, usize),
}

/// A length, or the form of a string.
enum Length {
    Plain(u64),
    Encoded(u8),
}

impl<'a> Cursor<'a> {
    /// Reads `bytes`, which begin `base` bytes after the snapshot's start.
    pub(super) const fn new(bytes: &'a [u8], base: usize) -> Self {
        Self { bytes, at: 0, base }
    }

    /// How many bytes were read.
    pub(super) const fn used(&self) -> usize {
        self.at
    }

    /// Where the next byte stands in the snapshot.
    pub(super) const fn offset(&self) -> usize {
        self.base + self.at
    }

    /// The bytes read since the first `start`.
    pub(super) fn since(&self, start: usize) -> &'a [u8] {
        &self.bytes[start..self.at]
    }

    /// `rdbGenericLoadStringObject`
    pub(super) fn string(&mut self) -> Result<Raw<'a>, Halt> {
        let start = self.offset();
        Ok(match self.length()? {
            Length::Plain(len) => Raw::Plain(self.take(string_len(start, len)?)?),
            Length::Encoded(0) => Raw::Integer(i8::from_le_bytes(self.array()?).into()),
            Length::Encoded(1) => Raw::Integer(i16::from_le_bytes(self.array()?).into()),
            Length::Encoded(2) => Raw::Integer(i32::from_le_bytes(self.array()?)),
            Length::Encoded(3) => {
                let packed_len = self.len()?;
                let packed_len = string_len(start, packed_len)?;
                let len = self.len()?;
                let len = string_len(start, len)?;
                Raw::Packed(self.take(packed_len)?, len, start)
            }
            Length::Encoded(other) => {
                return Err(failed(start, RdbFault::StringEncoding(other)));
            }
        })
    }

    pub(super) fn word(&mut self) -> Result<Word, Halt> {
        self.string()?.word()
    }

    pub(super) fn len(&mut self) -> Result<u64, Halt> {
        let start = self.offset();
        match self.length()? {
            Length::Plain(len) => Ok(len),
            Length::Encoded(form) => Err(failed(start, RdbFault::Length(form | 0xc0))),
        }
    }

    /// `rdbLoadLenByRef`
    fn length(&mut self) -> Result<Length, Halt> {
        let start = self.offset();
        let first = self.byte()?;
        Ok(match (first >> 6, first) {
            (0, len) => Length::Plain(len.into()),
            (1, high) => Length::Plain(u64::from(high & 63) << 8 | u64::from(self.byte()?)),
            (3, form) => Length::Encoded(form & 63),
            (_, 0x80) => Length::Plain(u32::from_be_bytes(self.array()?).into()),
            (_, 0x81) => Length::Plain(u64::from_be_bytes(self.array()?)),
            (_, other) => return Err(failed(start, RdbFault::Length(other))),
        })
    }

    pub(super) fn byte(&mut self) -> Result<u8, Halt> {
        self.array::<1>().map(|[byte]| byte)
    }

    pub(super) fn array<const N: usize>(&mut self) -> Result<[u8; N], Halt> {
        let bytes = self.take(N)?;
        let mut array = [0; N];
        array.copy_from_slice(bytes);
        Ok(array)
    }

    pub(super) fn take(&mut self, len: usize) -> Result<&'a [u8], Halt> {
        let end = self.at.saturating_add(len);
        let taken = self.bytes.get(self.at..end).ok_or(Halt::More(end))?;
        self.at = end;
        Ok(taken)
    }
}

impl<'a> Raw<'a> {
    pub(super) fn word(self) -> Result<Word, Halt> {
        Ok(match self {
            Self::Plain(text) => Word::copy_from_slice(text),
            Self::Integer(number) => Word::from(number.to_string()),
            Self::Packed(packed, len, start) => unpacked(packed, len, start)?.into(),
        })
    }

    pub(super) fn bytes(self) -> Result<Cow<'a, [u8]>, Halt> {
        Ok(match self {
            Self::Plain(text) => Cow::Borrowed(text),
            Self::Integer(number) => Cow::Owned(number.to_string().into_bytes()),
            Self::Packed(packed, len, start) => Cow::Owned(unpacked(packed, len, start)?),
        })
    }
}

fn unpacked(packed: &[u8], len: usize, start: usize) -> Result<Vec<u8>, Halt> {
    lzf::unpack(packed, len).ok_or_else(|| failed(start, RdbFault::Lzf))
}

fn string_len(start: usize, len: u64) -> Result<usize, Halt> {
    let fits = usize::try_from(len)
        .ok()
        .filter(|&len| len <= MAX_STRING_LEN);
    fits.ok_or_else(|| failed(start, RdbFault::StringLength(len)))
}

pub(super) const fn failed(offset: usize, fault: RdbFault) -> Halt {
    Halt::Failed(RdbError { offset, fault })
}
