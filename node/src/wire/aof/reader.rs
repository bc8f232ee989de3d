//! Bytes to commands.

use std::collections::VecDeque;

use super::error::{AofError, AofFault};
use crate::input::CommandLine;
use crate::wire::resp::{MAX_BULK_LEN, string_to_i64};
use crate::word::Word;

/// The longest line of a length or a remark, bytes (`AOF_ANNOTATION_LINE_MAX_LEN`).
const MAX_LINE_LEN: usize = 1024;

/// The most words space is reserved for at once.
const WORDS_RESERVED: usize = 16;

/// Reads the commands of an append-only file (`loadSingleAppendOnlyFile`).
///
/// The commands of a transaction are given out once it is complete. Stricter than Redis where its
/// leniency would take damage for commands: lengths must be numbers, words must end in a line end.
#[derive(Clone, Debug)]
pub struct AofReader<'a> {
    bytes: &'a [u8],
    offset: usize,
    /// Where the last command or transaction that is whole ends.
    valid_up_to: usize,
    /// Commands since `MULTI`.
    transaction: Option<Vec<CommandLine>>,
    ready: VecDeque<CommandLine>,
}

impl<'a> AofReader<'a> {
    /// Reads the commands from `offset` on, behind an RDB file if there is one.
    #[must_use]
    pub const fn new(bytes: &'a [u8], offset: usize) -> Self {
        Self {
            bytes,
            offset,
            valid_up_to: offset,
            transaction: None,
            ready: VecDeque::new(),
        }
    }

    /// Where the last command or transaction that is whole ends, bytes.
    #[must_use]
    pub const fn valid_up_to(&self) -> usize {
        self.valid_up_to
    }

    /// The next command; `None` at the end.
    ///
    /// # Errors
    /// [`AofError`] if the file ends in the middle of a command or a transaction, or what comes
    /// next is no command.
    pub fn next_command(&mut self) -> Result<Option<CommandLine>, AofError> {
        loop {
            if let Some(command) = self.ready.pop_front() {
                return Ok(Some(command));
            }
            if self.offset >= self.bytes.len() {
                return match self.transaction {
                    None => Ok(None),
                    Some(_) => Err(self.failed(self.bytes.len(), AofFault::Transaction)),
                };
            }
            if self.bytes.get(self.offset) == Some(&b'#') {
                self.line()?;
                self.note_valid();
                continue;
            }
            let command = self.command()?;
            self.take_in(command);
            self.note_valid();
        }
    }

    const fn note_valid(&mut self) {
        if self.transaction.is_none() {
            self.valid_up_to = self.offset;
        }
    }

    fn take_in(&mut self, command: CommandLine) {
        let marks = |name: &[u8]| command.len() == 1 && command[0].eq_ignore_ascii_case(name);
        if marks(b"multi") {
            self.transaction.get_or_insert_default();
        } else if marks(b"exec") {
            self.ready
                .extend(self.transaction.take().into_iter().flatten());
        } else if let Some(transaction) = &mut self.transaction {
            transaction.push(command);
        } else {
            self.ready.push_back(command);
        }
    }

    fn command(&mut self) -> Result<CommandLine, AofError> {
        let count = self.number(b'*')?;
        let count = usize::try_from(count).ok().filter(|&count| count > 0);
        let count = count.ok_or_else(|| self.failed(self.offset, AofFault::Format))?;
        let mut words = Vec::with_capacity(count.min(WORDS_RESERVED));
        for _ in 0..count {
            words.push(self.word()?);
        }
        Ok(words.into())
    }

    fn word(&mut self) -> Result<Word, AofError> {
        let start = self.offset;
        let len = self.number(b'$')?;
        let len = usize::try_from(len)
            .ok()
            .filter(|&len| len <= MAX_BULK_LEN)
            .ok_or_else(|| self.failed(start, AofFault::Format))?;
        let rest = self.bytes.get(self.offset..).unwrap_or_default();
        let (Some(text), Some(end)) = (rest.get(..len), rest.get(len..len + 2)) else {
            return Err(self.failed(self.bytes.len(), AofFault::EndOfFile));
        };
        if end != b"\r\n" {
            return Err(self.failed(self.offset + len, AofFault::Format));
        }
        self.offset += len + 2;
        Ok(Word::copy_from_slice(text))
    }

    /// A line of a mark and a number.
    fn number(&mut self, mark: u8) -> Result<i64, AofError> {
        let start = self.offset;
        if self.bytes.get(start).is_some_and(|&byte| byte != mark) {
            return Err(self.failed(start, AofFault::Format));
        }
        let line = self.line()?;
        let digits = line.get(1..).unwrap_or_default();
        string_to_i64(digits).ok_or_else(|| self.failed(start, AofFault::Format))
    }

    /// A line, without its end.
    fn line(&mut self) -> Result<&'a [u8], AofError> {
        let rest = self.bytes.get(self.offset..).unwrap_or_default();
        let window = &rest[..rest.len().min(MAX_LINE_LEN)];
        let Some(end) = window.iter().position(|&byte| byte == b'\n') else {
            let fault = if rest.len() < MAX_LINE_LEN {
                AofFault::EndOfFile
            } else {
                AofFault::Format
            };
            return Err(self.failed(self.offset, fault));
        };
        self.offset += end + 1;
        Ok(window[..end].strip_suffix(b"\r").unwrap_or(&window[..end]))
    }

    const fn failed(&self, offset: usize, fault: AofFault) -> AofError {
        AofError { offset, fault }
    }
}
