//! Rewrites of the append-only file: a new increment, a new base, a new manifest
//! (`rewriteAppendOnlyFileBackground`, `backgroundRewriteDoneHandler`).

use std::io;
use std::path::PathBuf;
use std::sync::Arc;

use bytes::BytesMut;
use redrill_node::wire::aof;
use redrill_node::wire::rdb::{self, Aux};
use redrill_node::{LogLevel, Rewrite};

use super::save::write_durably;
use super::{Cancel, Data, Lines, Log, file_name};
use crate::files::{DataFile, Files, Open, reason};

/// A base that is to be written, by whatever thread.
pub(crate) struct RewriteWork {
    files: Arc<dyn Files>,
    rewrite: Rewrite,
    created_s: i64,
    aside: PathBuf,
    cancel: Cancel,
}

/// A rewrite that began, and the increment written before, which is still to be synced.
pub(crate) type Begun = (RewriteWork, Option<Box<dyn DataFile>>);

/// What became of it.
pub(crate) struct RewriteDone {
    lines: Lines,
    result: io::Result<u64>,
    aside: PathBuf,
    as_rdb: bool,
    cancel: Cancel,
}

impl Data {
    /// Begins a rewrite: what is appended from here on goes to a new increment. Also returned is
    /// the old one, which is still to be synced.
    pub(crate) fn begin_rewrite(
        &mut self,
        rewrite: Rewrite,
        created_s: i64,
    ) -> Result<Begun, Box<str>> {
        let opened = self
            .create_folder()
            .and_then(|()| self.open_new_increment(rewrite.first));
        let old = opened.map_err(|error| Box::<str>::from(reason(&error)))?;
        self.cancel_rewrite();
        let cancel = Cancel::default();
        self.rewrite = Some(cancel.clone());
        let pid = std::process::id();
        self.notice(format!(
            "Background append only file rewriting started by pid {pid}"
        ));
        let work = RewriteWork {
            files: Arc::clone(&self.files),
            rewrite,
            created_s,
            aside: self.temporary("temp-rewriteaof-bg", "aof"),
            cancel,
        };
        Ok((work, old))
    }

    /// `openNewIncrAofForAppend`. With `first` the increment is a temporary one. Nothing is opened
    /// where nothing is appended.
    fn open_new_increment(&mut self, first: bool) -> io::Result<Option<Box<dyn DataFile>>> {
        if !first && self.log.is_none() {
            return Ok(None);
        }
        if !self.kept.is_empty() && self.log.is_some() {
            // The snapshot has what was kept: behind it, it would take effect twice.
            return Err(io::Error::other("what was appended could not be written"));
        }
        let mut manifest = self.manifest.clone();
        let name = if first {
            self.names.temporary_increment()
        } else {
            manifest.new_increment(&self.names.file_name)
        };
        let opened = self.files.open(&self.names.part(&name), Open::Truncate);
        let file = opened.map_err(|error| self.cannot_open(&name, error))?;
        if !first {
            self.persist_manifest(&manifest)?;
            self.manifest = manifest;
        }
        self.notice(format!(
            "Creating AOF incr file {name} on background rewrite"
        ));
        let log = Log {
            file,
            len: 0,
            is_temporary: first,
        };
        Ok(self.log.replace(log).map(|old| old.file))
    }

    /// The base is written, or not: `None` if nobody waits for it any more.
    pub(crate) fn finish_rewrite(&mut self, done: RewriteDone) -> Option<Result<u64, Box<str>>> {
        if done.cancel.is_cancelled() {
            let _gone_already = self.files.remove(&done.aside);
            return None;
        }
        self.rewrite = None;
        self.lines.extend(done.lines);
        let taken = match done.result {
            Ok(len) => {
                self.notice("Background AOF rewrite terminated with success");
                self.take_in_base(&done.aside, done.as_rdb).map(|()| len)
            }
            Err(error) => {
                self.warn("Background AOF rewrite terminated with error");
                Err(error)
            }
        };
        if taken.is_ok() {
            self.remove_history();
            self.notice("Background AOF rewrite finished successfully");
        } else {
            let _gone_already = self.files.remove(&done.aside);
            self.drop_temporary_increment();
        }
        Some(taken.map_err(|error| reason(&error).into()))
    }

    fn take_in_base(&mut self, aside: &std::path::Path, as_rdb: bool) -> io::Result<()> {
        let mut manifest = self.manifest.clone();
        let base = manifest.new_base(&self.names.file_name, as_rdb);
        let base_path = self.names.part(&base);
        self.files.rename(aside, &base_path).inspect_err(|error| {
            let aside = file_name(aside);
            self.warn(format!(
                "Error trying to rename the temporary AOF base file {aside} into {base}: {}",
                reason(error)
            ));
        })?;
        let aside = file_name(aside);
        self.notice(format!(
            "Successfully renamed the temporary AOF base file {aside} into {base}"
        ));
        let is_temporary = self.log.as_ref().is_some_and(|log| log.is_temporary);
        if is_temporary {
            let temporary = self.names.temporary_increment();
            let increment = manifest.new_increment(&self.names.file_name);
            let (from, to) = (self.names.part(&temporary), self.names.part(&increment));
            self.files.rename(&from, &to).inspect_err(|error| {
                self.warn(format!(
                    "Error trying to rename the temporary AOF incr file {temporary} into \
                     {increment}: {}",
                    reason(error)
                ));
                let _gone_already = self.files.remove(&base_path);
            })?;
            self.notice(format!(
                "Successfully renamed the temporary AOF incr file {temporary} into {increment}"
            ));
        }
        manifest.retire_increments(self.log.is_some());
        self.persist_manifest(&manifest).inspect_err(|_| {
            let _gone_already = self.files.remove(&base_path);
        })?;
        self.manifest = manifest;
        if let Some(log) = &mut self.log {
            log.is_temporary = false;
        }
        Ok(())
    }

    /// Gives up what goes on.
    pub(super) fn cancel_rewrite(&mut self) {
        if let Some(running) = self.rewrite.take() {
            running.cancel();
        }
    }

    /// The first base failed: what was appended meanwhile has nothing to stand on.
    fn drop_temporary_increment(&mut self) {
        if self.log.as_ref().is_some_and(|log| log.is_temporary) {
            self.log = None;
            self.kept.clear();
            let name = self.names.temporary_increment();
            self.notice(format!(
                "Removing the temp incr aof file {name} in the background"
            ));
            let _gone_already = self.files.remove(&self.names.part(&name));
        }
    }

    /// Writes an empty base at the first start (`aofOpenIfNeededOnServerStart`).
    pub(super) fn create_first_base(&mut self, rewrite: Rewrite, created_s: i64) -> io::Result<()> {
        let as_rdb = rewrite.as_rdb;
        let work = RewriteWork {
            files: Arc::clone(&self.files),
            rewrite,
            created_s,
            aside: self.temporary("temp-rewriteaof", "aof"),
            cancel: Cancel::default(),
        };
        let done = work.run();
        self.lines.extend(
            done.lines
                .into_iter()
                .filter(|(level, _)| *level == LogLevel::Warning),
        );
        done.result?;
        let mut manifest = self.manifest.clone();
        let name = manifest.new_base(&self.names.file_name, as_rdb);
        self.files.rename(&done.aside, &self.names.part(&name))?;
        self.manifest = manifest.clone();
        self.notice(format!("Creating AOF base file {name} on server start"));
        self.persist_manifest(&manifest)
    }
}

impl RewriteWork {
    /// Writes the base aside.
    pub(crate) fn run(self) -> RewriteDone {
        let mut content = BytesMut::new();
        let snapshot = &self.rewrite.snapshot;
        if self.rewrite.as_rdb {
            let aux = Aux {
                redis_version: None,
                created_s: Some(self.created_s),
                used_memory_bytes: i64::try_from(self.rewrite.used_memory_bytes).ok(),
                replication: None,
                aof_base: Some(true),
            };
            rdb::encode_with(snapshot, &aux, &mut content);
        } else {
            aof::encode_entries(&snapshot.entries, &mut content);
        }
        let written = write_durably(&*self.files, &self.aside, &content);
        let line = match &written {
            Ok(()) => {
                let aside = file_name(&self.aside);
                let line = format!("Successfully created the temporary AOF base file {aside}");
                (LogLevel::Notice, line)
            }
            Err(error) => {
                let reason = reason(error);
                let line = format!("Write error writing append only file on disk: {reason}");
                (LogLevel::Warning, line)
            }
        };
        if written.is_err() || self.cancel.is_cancelled() {
            let _gone_already = self.files.remove(&self.aside);
        }
        RewriteDone {
            lines: vec![line],
            result: written.map(|()| content.len() as u64),
            aside: self.aside,
            as_rdb: self.rewrite.as_rdb,
            cancel: self.cancel,
        }
    }
}
