//! Writing commands (`flushAppendOnlyFile`).

use std::io;

use redrill_node::CommandLine;
use redrill_node::wire::resp;

use super::{Data, Log};
use crate::files::{DataFile, Open, reason, write_all};

/// Errors are told this often at most, s (`AOF_WRITE_LOG_ERROR_RATE`).
const ERROR_RATE_S: u64 = 30;

/// A buffer of up to this size is kept for the next turn, bytes.
const BUFFER_KEPT_LEN: usize = 64 << 10;

/// What became of an attempt to write.
#[derive(Debug)]
pub(crate) enum Written {
    /// All is written.
    Whole {
        /// Whether the last attempt had failed.
        recovered: bool,
    },
    /// It is kept for the next attempt.
    Failed(io::Error),
}

impl Data {
    /// Writes commands behind what was kept. Nothing is written in part: a short write is taken
    /// back.
    pub(crate) fn append(&mut self, commands: &[CommandLine], now_s: u64) -> Written {
        for command in commands {
            resp::encode_command(command, &mut self.kept);
        }
        let Some(log) = &mut self.log else {
            // Nothing is appended before the first rewrite began.
            self.kept.clear();
            return Written::Whole { recovered: false };
        };
        if let Err((written, error)) = write_all(&mut *log.file, &self.kept) {
            let result = log.take_back(written, &mut self.kept);
            return Written::Failed(self.append_failed(written, error, result, now_s));
        }
        log.len += self.kept.len() as u64;
        if self.kept.capacity() > BUFFER_KEPT_LEN {
            self.kept = bytes::BytesMut::new();
        } else {
            self.kept.clear();
        }
        let recovered = std::mem::take(&mut self.failing);
        Written::Whole { recovered }
    }

    fn append_failed(
        &mut self,
        written: usize,
        error: io::Error,
        taken_back: io::Result<()>,
        now_s: u64,
    ) -> io::Error {
        self.failing = true;
        let tells = self
            .told_s
            .is_none_or(|told_s| now_s.saturating_sub(told_s) > ERROR_RATE_S);
        if !tells {
            return error;
        }
        self.told_s = Some(now_s);
        if written == 0 {
            self.warn(format!("Error writing to the AOF file: {}", reason(&error)));
            return error;
        }
        let expected = self.kept.len();
        self.warn(format!(
            "Short write while writing to the AOF file: (nwritten={written}, expected={expected})"
        ));
        if let Err(error) = taken_back {
            self.warn(format!(
                "Could not remove short write from the append-only file.  Redis may refuse to \
                 load the AOF the next time it starts.  ftruncate: {}",
                reason(&error)
            ));
        }
        error
    }

    /// Lends the open file out for a sync.
    pub(crate) fn lend_log(&mut self) -> Option<Box<dyn DataFile>> {
        self.log.as_ref().and_then(|log| log.file.duplicate().ok())
    }

    /// Opens the last increment to be written on at a start (`aofOpenIfNeededOnServerStart`).
    pub(super) fn open_last_increment(&mut self) -> io::Result<()> {
        let had_one = !self.manifest.increments.is_empty();
        let mut manifest = self.manifest.clone();
        let name = match manifest.increments.last() {
            Some(last) => last.name.clone(),
            None => manifest.new_increment(&self.names.file_name),
        };
        let path = self.names.part(&name);
        let opened = self.files.open(&path, Open::Append);
        let file = opened.map_err(|error| self.cannot_open(&name, error))?;
        if manifest != self.manifest {
            self.persist_manifest(&manifest)?;
        }
        self.manifest = manifest;
        let len = self.files.len(&path)?.unwrap_or(0);
        self.log = Some(Log {
            file,
            len,
            is_temporary: false,
        });
        let verb = if had_one { "Opening" } else { "Creating" };
        self.notice(format!("{verb} AOF incr file {name} on server start"));
        Ok(())
    }

    pub(super) fn cannot_open(&mut self, name: &str, error: io::Error) -> io::Error {
        self.warn(format!(
            "Can't open the append-only file {name}: {}",
            reason(&error)
        ));
        error
    }

    /// Closes the append-only file and gives up a rewrite (`stopAppendOnly`). What is returned is
    /// still to be synced.
    pub(crate) fn stop_appending(&mut self) -> Option<Box<dyn DataFile>> {
        self.cancel_rewrite();
        self.kept.clear();
        self.failing = false;
        let log = self.log.take()?;
        if log.is_temporary {
            let name = self.names.temporary_increment();
            let _gone_already = self.files.remove(&self.names.part(&name));
        }
        Some(log.file)
    }
}

impl Log {
    /// Takes a short write back. If that is impossible, what was written counts as written.
    fn take_back(&mut self, written: usize, kept: &mut bytes::BytesMut) -> io::Result<()> {
        if written == 0 {
            return Ok(());
        }
        let result = self.file.truncate(self.len);
        if result.is_err() {
            self.len += written as u64;
            bytes::Buf::advance(kept, written);
        }
        result
    }
}
