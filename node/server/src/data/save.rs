//! Snapshots to `dbfilename` (`rdbSave`).

use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use bytes::BytesMut;
use redrill_node::Save;
use redrill_node::wire::rdb::{self, Aux};

use super::{Cancel, Data, Lines, file_name};
use crate::files::{Files, Open, folder_of, reason, write_all};
use redrill_node::LogLevel;

/// A snapshot that is to be written, by whatever thread.
pub(crate) struct SaveWork {
    files: Arc<dyn Files>,
    save: Save,
    created_s: i64,
    aside: PathBuf,
    path: PathBuf,
    cancel: Cancel,
}

/// What became of it: what is to be told, and why it failed.
pub(crate) struct SaveDone {
    pub(crate) lines: Lines,
    pub(crate) result: Result<(), Box<str>>,
    cancel: Cancel,
}

impl Data {
    /// Prepares a save. One that goes on is given up.
    pub(crate) fn prepare_save(&mut self, save: Save, created_s: i64) -> SaveWork {
        if let Some(running) = self.save.take() {
            running.cancel();
        }
        let cancel = Cancel::default();
        if save.beside {
            self.save = Some(cancel.clone());
            let pid = std::process::id();
            self.notice(format!("Background saving started by pid {pid}"));
        }
        SaveWork {
            files: Arc::clone(&self.files),
            save,
            created_s,
            aside: self.temporary("temp", "rdb"),
            path: self.names.snapshot(),
            cancel,
        }
    }
}

impl Data {
    /// What came of a save, unless it was given up.
    pub(crate) fn finish_save(&mut self, done: SaveDone) -> Option<SaveDone> {
        if done.cancel.is_cancelled() {
            return None;
        }
        self.save = None;
        Some(done)
    }
}

impl SaveWork {
    /// Writes aside, syncs, renames, syncs the folder.
    pub(crate) fn run(self) -> SaveDone {
        let mut lines = Vec::new();
        let result = self.write(&mut lines);
        if result.is_err() {
            let _gone_already = self.files.remove(&self.aside);
        } else {
            lines.push((LogLevel::Notice, "DB saved on disk".to_owned()));
        }
        SaveDone {
            lines,
            result,
            cancel: self.cancel,
        }
    }

    fn write(&self, lines: &mut Lines) -> Result<(), Box<str>> {
        let mut content = BytesMut::new();
        rdb::encode_with(
            &self.save.snapshot,
            &Aux {
                redis_version: None,
                created_s: Some(self.created_s),
                used_memory_bytes: i64::try_from(self.save.used_memory_bytes).ok(),
                replication: self.save.replication,
                aof_base: Some(false),
            },
            &mut content,
        );
        let mut failed = |line: String, error: &io::Error| -> Box<str> {
            let reason = reason(error);
            lines.push((LogLevel::Warning, format!("{line}: {reason}")));
            reason.into()
        };
        let folder = folder_of(&self.path);
        let root = folder.display();
        let mut file = self
            .files
            .open(&self.aside, Open::Truncate)
            .map_err(|error| {
                let aside = file_name(&self.aside);
                failed(
                    format!(
                        "Failed opening the temp RDB file {aside} (in server root dir {root}) for \
                     saving"
                    ),
                    &error,
                )
            })?;
        let step = |what: &str| format!("Write error saving DB on disk({what})");
        write_all(&mut *file, &content).map_err(|(_, error)| failed(step("rdbSaveRio"), &error))?;
        file.sync().map_err(|error| failed(step("fsync"), &error))?;
        if self.cancel.is_cancelled() {
            return Err("given up".into());
        }
        self.files.rename(&self.aside, &self.path).map_err(|error| {
            let (aside, path) = (file_name(&self.aside), file_name(&self.path));
            failed(
                format!(
                    "Error moving temp DB file {aside} on the final destination {path} (in server \
                     root dir {root})"
                ),
                &error,
            )
        })?;
        let synced = self.files.sync_folder(folder);
        synced.map_err(|error| failed(step("fsyncFileDir"), &error))
    }
}

/// Writes a file and makes its content durable.
pub(super) fn write_durably(files: &dyn Files, path: &Path, content: &[u8]) -> io::Result<()> {
    let mut file = files.open(path, Open::Truncate)?;
    write_all(&mut *file, content).map_err(|(_, error)| error)?;
    file.sync()
}
