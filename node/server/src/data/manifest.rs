//! The manifest on disk: replaced as a whole, durable with the names it tells of.

use std::io;

use redrill_node::wire::aof::Manifest;

use super::Data;
use crate::files::{Open, reason, write_all};

impl Data {
    /// Puts a manifest in the old one's place (`persistAofManifest`).
    pub(super) fn persist_manifest(&mut self, manifest: &Manifest) -> io::Result<()> {
        let name = self.names.manifest_name();
        let aside_name = format!("temp-{name}");
        let (aside, path) = (self.names.part(&aside_name), self.names.part(&name));
        let text = manifest.to_text();
        let step = |what: String| move |error: io::Error| (what, error);
        let written = self
            .files
            .open(&aside, Open::Truncate)
            .map_err(step(format!(
                "Can't open the AOF manifest file {aside_name}"
            )))
            .and_then(|mut file| {
                write_all(&mut *file, text.as_bytes())
                    .map_err(|(_, error)| error)
                    .map_err(step(format!(
                        "Error trying to write the temporary AOF manifest file {aside_name}"
                    )))?;
                let what = format!("Fail to fsync the temp AOF file {aside_name}");
                file.sync().map_err(step(what))
            })
            .and_then(|()| {
                self.files.rename(&aside, &path).map_err(step(format!(
                    "Error trying to rename the temporary AOF manifest file {aside_name} into \
                     {name}"
                )))
            })
            .and_then(|()| {
                let what = format!("Fail to fsync AOF directory {}", path.display());
                self.files
                    .sync_folder(&self.names.folder())
                    .map_err(step(what))
            });
        written.map_err(|(what, error)| {
            self.warn(format!("{what}: {}", reason(&error)));
            error
        })
    }

    /// Creates the folder of the append-only file.
    pub(super) fn create_folder(&mut self) -> io::Result<()> {
        let folder = self.names.folder();
        let is_new = self.files.len(&folder)?.is_none();
        self.files.create_folder(&folder).inspect_err(|error| {
            let name = &self.names.folder_name;
            let line = format!(
                "Can't open or create append-only dir {name}: {}",
                reason(error)
            );
            self.warn(line);
        })?;
        if is_new {
            // Its own name has to be durable too.
            self.files.sync_folder(&self.names.dir)?;
        }
        Ok(())
    }

    /// Removes what is of no more use (`aofDelHistoryFiles`). That it fails does no harm: the
    /// files are still named as history and removed with the next.
    pub(super) fn remove_history(&mut self) {
        if self.manifest.history.is_empty() {
            return;
        }
        let mut manifest = self.manifest.clone();
        for part in std::mem::take(&mut manifest.history) {
            self.notice(format!(
                "Removing the history file {} in the background",
                part.name
            ));
            let _gone_already = self.files.remove(&self.names.part(&part.name));
        }
        if self.persist_manifest(&manifest).is_ok() {
            self.manifest = manifest;
        }
    }
}
