//! The backlog: the tail of the stream, for replicas that were away for a while.

use std::collections::VecDeque;

use crate::input::CommandLine;

/// The last commands of the stream, up to a size.
#[derive(Debug)]
pub(super) struct Backlog {
    entries: VecDeque<Entry>,
    /// Offset of the first byte held, counted from 1 as upstream does.
    first: u64,
    len_bytes: u64,
    limit_bytes: u64,
}

#[derive(Debug)]
struct Entry {
    /// Offset of the last byte.
    end: u64,
    len_bytes: u64,
    command: CommandLine,
}

impl Backlog {
    /// An empty backlog of a stream that stands at `offset`.
    pub(super) const fn new(offset: u64, limit_bytes: u64) -> Self {
        Self {
            entries: VecDeque::new(),
            first: offset + 1,
            len_bytes: 0,
            limit_bytes,
        }
    }

    pub(super) const fn first_offset(&self) -> u64 {
        self.first
    }

    pub(super) const fn len_bytes(&self) -> u64 {
        self.len_bytes
    }

    pub(super) fn push(&mut self, end: u64, command: CommandLine, wire_len: usize) {
        let len_bytes = wire_len as u64;
        self.entries.push_back(Entry {
            end,
            len_bytes,
            command,
        });
        self.len_bytes += len_bytes;
        self.trim();
    }

    /// Changes how much is kept.
    pub(super) fn resize(&mut self, limit_bytes: u64) {
        self.limit_bytes = limit_bytes;
        self.trim();
    }

    fn trim(&mut self) {
        while self.len_bytes > self.limit_bytes {
            let Some(entry) = self.entries.pop_front() else {
                break;
            };
            self.len_bytes -= entry.len_bytes;
            self.first = entry.end + 1;
        }
    }

    /// The commands from the byte `next` on, if they are all held and `next` begins one.
    pub(super) fn from(&self, next: u64) -> Option<impl Iterator<Item = &CommandLine>> {
        if next < self.first || next > self.first + self.len_bytes {
            return None;
        }
        let start = self.entries.partition_point(|entry| entry.end < next);
        let begins_here = self
            .entries
            .get(start)
            .is_none_or(|entry| entry.end - entry.len_bytes + 1 == next);
        begins_here.then(|| self.entries.iter().skip(start).map(|entry| &entry.command))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn word(text: &'static str) -> CommandLine {
        CommandLine::from([crate::word::Word::from_static(text.as_bytes())])
    }

    fn three() -> Backlog {
        let mut backlog = Backlog::new(100, 25);
        backlog.push(110, word("a"), 10);
        backlog.push(120, word("b"), 10);
        backlog.push(130, word("c"), 10);
        backlog
    }

    #[test]
    fn the_oldest_commands_leave_when_the_limit_is_passed() {
        let backlog = three();
        assert_eq!((backlog.first_offset(), backlog.len_bytes()), (111, 20));
        assert!(backlog.from(101).is_none());
    }

    #[test]
    fn a_replica_goes_on_at_a_command_boundary_or_not_at_all() {
        let backlog = three();
        assert_eq!(backlog.from(111).into_iter().flatten().count(), 2);
        assert_eq!(backlog.from(121).into_iter().flatten().count(), 1);
        assert_eq!(backlog.from(131).map(Iterator::count), Some(0));
        assert!(backlog.from(125).is_none());
        assert!(backlog.from(132).is_none());
    }
}
