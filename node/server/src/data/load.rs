//! What a start reads (`loadDataFromDisk`, `loadAppendOnlyFiles`).

use std::io;

use redrill_node::wire::aof::{
    AofError, AofFault, AofReader, Manifest, ManifestError, RDB_SIGNATURE,
};
use redrill_node::wire::rdb::{self, RdbError};
use redrill_node::{Config, LoadedFrom, Node, Now, Rewrite, Snapshot};

use super::{Data, flag};
use crate::files::reason;

/// Why a server cannot start with its files of data. They are left as they are.
#[derive(Debug, thiserror::Error)]
pub enum LoadError {
    /// A file cannot be read or written.
    #[error("{what}: {}", reason(source))]
    Io {
        /// In Redis's words.
        what: String,
        /// Why.
        source: io::Error,
    },
    /// The manifest is damaged.
    #[error("*** FATAL AOF MANIFEST FILE ERROR *** {path}: {source}")]
    Manifest {
        /// The manifest.
        path: String,
        /// What is wrong with it.
        source: ManifestError,
    },
    /// The middle of an append-only file is damaged, or its end and `aof-load-truncated` is `no`,
    /// or the end of a file that others follow.
    #[error("{advice}")]
    AppendOnly {
        /// What is wrong, and the way out.
        advice: String,
        /// Where.
        source: AofError,
    },
    /// A snapshot is damaged.
    #[error("{what}: {source}")]
    Rdb {
        /// In Redis's words.
        what: String,
        /// What is wrong with it.
        source: RdbError,
    },
    /// A part that others follow is cut off.
    #[error("Fatal error: the truncated file is not the last file: {0}")]
    NotLast(String),
    /// A command that nobody knows stands in the append-only file.
    #[error("{0}")]
    UnknownCommand(String),
}

/// How far a part was read.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Read {
    Whole,
    Truncated,
}

impl Data {
    /// Loads the keyspace into a node that is about to start, and opens the append-only file if
    /// there is to be one. `now` tells the time.
    pub(crate) fn load(&mut self, node: &mut Node, now: &dyn Fn() -> Now) -> Result<(), LoadError> {
        let config = node.config().clone();
        if !config.appendonly {
            self.manifest = self.read_manifest()?;
            return self.load_snapshot(node, now);
        }
        let from = self.load_append_only(node, &config, now)?;
        node.loaded(now(), from);
        self.open(&config, now().wall.0.div_euclid(1000))
            .map_err(|source| {
                let what = "The append-only file cannot be opened".to_owned();
                LoadError::Io { what, source }
            })
    }

    fn open(&mut self, config: &Config, now_s: i64) -> io::Result<()> {
        self.create_folder()?;
        if self.manifest.is_empty() {
            let empty = Rewrite {
                snapshot: Snapshot::default(),
                used_memory_bytes: 0,
                as_rdb: flag(config, "aof-use-rdb-preamble"),
                first: false,
            };
            self.create_first_base(empty, now_s)?;
        }
        self.open_last_increment()
    }

    fn load_snapshot(&mut self, node: &mut Node, now: &dyn Fn() -> Now) -> Result<(), LoadError> {
        let (path, began) = (self.names.snapshot(), now().mono);
        let failed = |source: io::Error| LoadError::Io {
            what: format!("Fatal error loading the DB, {}", path.display()),
            source,
        };
        if let Some(bytes) = self.files.read(&path).map_err(failed)? {
            let rdb = rdb::read_within(&bytes, node.config().limits).map_err(|source| {
                LoadError::Rdb {
                    what: format!("Fatal error loading the DB, {}", path.display()),
                    source,
                }
            })?;
            let (loaded, expired) = node.load_rdb(now(), &rdb);
            self.notice(format!(
                "Done loading RDB, keys loaded: {loaded}, keys expired: {expired}."
            ));
            let seconds = took_s(began, now());
            self.notice(format!("DB loaded from disk: {seconds:.3} seconds"));
        }
        node.loaded(now(), LoadedFrom::Rdb);
        Ok(())
    }

    fn read_manifest(&mut self) -> Result<Manifest, LoadError> {
        let path = self.names.part(&self.names.manifest_name());
        let read = self.files.read(&path).map_err(|source| LoadError::Io {
            what: format!(
                "Fatal error: can't open the AOF manifest file {} for reading",
                path.display()
            ),
            source,
        })?;
        let Some(text) = read else {
            return Ok(Manifest::default());
        };
        Manifest::parse(&text).map_err(|source| {
            self.warn("*** FATAL AOF MANIFEST FILE ERROR ***");
            if source.line > 0 {
                let line = source.line;
                self.warn(format!("Reading the manifest file, at line {line}"));
                self.warn(format!(">>> '{}'", source.text));
            }
            self.warn(source.reason);
            let path = path.display().to_string();
            LoadError::Manifest { path, source }
        })
    }

    fn load_append_only(
        &mut self,
        node: &mut Node,
        config: &Config,
        now: &dyn Fn() -> Now,
    ) -> Result<LoadedFrom, LoadError> {
        let began = now().mono;
        self.manifest = self.read_manifest()?;
        self.upgrade().map_err(|source| LoadError::Io {
            what: format!(
                "Error trying to move the old AOF file {} into dir {}",
                self.names.file_name, self.names.folder_name
            ),
            source,
        })?;
        if self.manifest.is_empty() {
            return Ok(LoadedFrom::AppendOnly {
                size_bytes: 0,
                base_bytes: 0,
            });
        }
        let base = self.manifest.base.iter();
        let names: Vec<String> = base
            .chain(&self.manifest.increments)
            .map(|part| part.name.clone())
            .collect();
        let mut sizes = Vec::with_capacity(names.len());
        for name in &names {
            sizes.push(self.part_len(name)?);
        }
        let has_base = self.manifest.base.is_some();
        let total: u64 = sizes.iter().sum();
        for (place, name) in names.iter().enumerate().filter(|_| total > 0) {
            let is_last = place + 1 == names.len();
            let part_began = now().mono;
            let read = self.load_part(node, config, name, now)?;
            if read == Read::Truncated && !is_last {
                let line = "Fatal error: the truncated file is not the last file";
                self.warn(line);
                return Err(LoadError::NotLast(name.clone()));
            }
            let kind = if place == 0 && has_base {
                "base"
            } else {
                "incr"
            };
            let seconds = took_s(part_began, now());
            self.notice(format!(
                "DB loaded from {kind} file {name}: {seconds:.3} seconds"
            ));
        }
        let seconds = took_s(began, now());
        self.notice(format!(
            "DB loaded from append only file: {seconds:.3} seconds"
        ));
        Ok(LoadedFrom::AppendOnly {
            size_bytes: total,
            base_bytes: sizes.first().copied().filter(|_| has_base).unwrap_or(0),
        })
    }

    fn part_len(&mut self, name: &str) -> Result<u64, LoadError> {
        let len = self.files.len(&self.names.part(name));
        let len = len.and_then(|len| len.ok_or_else(|| io::ErrorKind::NotFound.into()));
        len.map_err(|source| {
            let what = format!("Unable to obtain the AOF file {name} length. stat");
            LoadError::Io { what, source }
        })
    }

    /// Moves an append-only file from before Redis 7 into the folder, as the base
    /// (`aofUpgradePrepare`).
    fn upgrade(&mut self) -> io::Result<()> {
        let name = self.names.file_name.clone();
        let old = self.names.dir.join(&name);
        if self.files.len(&old)?.is_none() {
            return Ok(());
        }
        let moved = self.names.part(&name);
        let interrupted = self.manifest.increments.is_empty()
            && self
                .manifest
                .base
                .as_ref()
                .is_some_and(|base| base.name == name)
            && self.files.len(&moved)?.is_none();
        if !(self.manifest.is_empty() || interrupted) {
            return Ok(());
        }
        self.create_folder()?;
        let manifest = Manifest::of_old_file(&name);
        self.persist_manifest(&manifest)?;
        self.manifest = manifest;
        self.files.rename(&old, &moved)?;
        self.files.sync_folder(&self.names.folder())?;
        self.files.sync_folder(&self.names.dir)?;
        let folder = self.names.folder_name.clone();
        self.notice(format!(
            "Successfully migrated an old-style AOF file ({name}) into the AOF directory \
             ({folder})."
        ));
        Ok(())
    }

    /// `loadSingleAppendOnlyFile`
    fn load_part(
        &mut self,
        node: &mut Node,
        config: &Config,
        name: &str,
        now: &dyn Fn() -> Now,
    ) -> Result<Read, LoadError> {
        let path = self.names.part(name);
        let bytes = self.files.read(&path).map_err(|source| LoadError::Io {
            what: format!("Fatal error: can't open the append log file {name} for reading"),
            source,
        })?;
        let bytes = bytes.unwrap_or_default();
        let start = self.load_preamble(node, name, &bytes, now)?;
        let mut reader = AofReader::new(&bytes, start);
        let error = loop {
            match reader.next_command() {
                Ok(Some(command)) => {
                    if let Err(error) = node.replay(now(), &command) {
                        let line = format!("{error} reading the append only file {name}");
                        self.warn(line.clone());
                        return Err(LoadError::UnknownCommand(line));
                    }
                }
                Ok(None) => return Ok(Read::Whole),
                Err(error) => break error,
            }
        };
        if error.fault == AofFault::Transaction {
            self.warn(format!(
                "Revert incomplete MULTI/EXEC transaction in AOF file {name}"
            ));
        }
        if error.fault.is_truncation() && flag(config, "aof-load-truncated") {
            let valid = reader.valid_up_to() as u64;
            self.warn(format!(
                "!!! Warning: short read while loading the AOF file {name}!!!"
            ));
            self.warn(format!(
                "!!! Truncating the AOF {name} at offset {valid} !!!"
            ));
            match self.files.truncate(&path, valid) {
                Ok(()) => {
                    self.warn(format!(
                        "AOF {name} loaded anyway because aof-load-truncated is enabled"
                    ));
                    return Ok(Read::Truncated);
                }
                Err(error) => {
                    let reason = reason(&error);
                    self.warn(format!("Error truncating the AOF file {name}: {reason}"));
                }
            }
        }
        Err(self.refuse(name, error))
    }

    /// Reads the RDB file in front of commands, and says where it ends.
    fn load_preamble(
        &mut self,
        node: &mut Node,
        name: &str,
        bytes: &[u8],
        now: &dyn Fn() -> Now,
    ) -> Result<usize, LoadError> {
        if !bytes.starts_with(RDB_SIGNATURE) {
            return Ok(0);
        }
        let is_old = name == self.names.file_name;
        self.notice(if is_old {
            "Reading RDB preamble from AOF file..."
        } else {
            "Reading RDB base file on AOF loading..."
        });
        let rdb = rdb::read_within(bytes, node.config().limits).map_err(|source| {
            let what = if is_old {
                format!(
                    "Error reading the RDB preamble of the AOF file {name}, AOF loading aborted"
                )
            } else {
                format!("Error reading the RDB base file {name}, AOF loading aborted")
            };
            LoadError::Rdb { what, source }
        })?;
        node.load_base(now(), &rdb);
        if is_old {
            self.notice("Reading the remaining AOF tail...");
        }
        Ok(rdb.len)
    }

    fn refuse(&mut self, name: &str, source: AofError) -> LoadError {
        let advice = if source.fault.is_truncation() {
            format!(
                "Unexpected end of file reading the append only file {name}. You can: 1) Make a \
                 backup of your AOF file, then use ./redis-check-aof --fix <filename.manifest>. \
                 2) Alternatively you can set the 'aof-load-truncated' configuration option to \
                 yes and restart the server."
            )
        } else {
            format!(
                "Bad file format reading the append only file {name}: make a backup of your AOF \
                 file, then use ./redis-check-aof --fix <filename.manifest>"
            )
        };
        self.warn(advice.clone());
        LoadError::AppendOnly { advice, source }
    }
}

fn took_s(began: redrill_node::Mono, now: Now) -> f64 {
    now.mono.0.saturating_sub(began.0) as f64 / 1e6
}
