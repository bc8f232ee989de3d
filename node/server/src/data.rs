//! Files of data: the append-only file in its parts, snapshots, and what a start reads of them
//! (`aof.c`, `rdb.c`).

mod append;
mod load;
mod manifest;
mod rewrite;
mod save;

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use bytes::BytesMut;
use redrill_node::wire::aof::Manifest;
use redrill_node::{Config, LogLevel, Setting};

use crate::files::{DataFile, Files};

pub(crate) use append::Written;
pub use load::LoadError;
pub(crate) use rewrite::RewriteDone;
pub(crate) use save::SaveDone;

/// The lines that doing something wrote to the log.
pub(crate) type Lines = Vec<(LogLevel, String)>;

/// The files of data of one process.
pub(crate) struct Data {
    files: Arc<dyn Files>,
    names: Names,
    manifest: Manifest,
    /// What commands are appended to.
    log: Option<Log>,
    /// What is to be appended, also what could not be written before.
    kept: BytesMut,
    failing: bool,
    /// When the last error was told, s; errors are not told at every try.
    told_s: Option<u64>,
    rewrite: Option<Cancel>,
    save: Option<Cancel>,
    jobs: u64,
    /// What is to be told.
    pub(crate) lines: Lines,
}

/// An increment that is written.
struct Log {
    file: Box<dyn DataFile>,
    len: u64,
    /// Whether it counts only once the first base is there (`AOF_WAIT_REWRITE`).
    is_temporary: bool,
}

/// How files are called.
#[derive(Clone, Debug)]
struct Names {
    dir: PathBuf,
    folder_name: String,
    file_name: String,
    dbfilename: String,
}

/// Tells a job that it is given up.
#[derive(Clone, Debug, Default)]
struct Cancel(Arc<AtomicBool>);

impl Cancel {
    fn cancel(&self) {
        self.0.store(true, Ordering::Release);
    }

    fn is_cancelled(&self) -> bool {
        self.0.load(Ordering::Acquire)
    }
}

impl Names {
    fn new(config: &Config) -> Self {
        Self {
            dir: PathBuf::from(&*config.dir),
            folder_name: config.appenddirname.to_string(),
            file_name: config.appendfilename.to_string(),
            dbfilename: config.dbfilename.to_string(),
        }
    }

    fn folder(&self) -> PathBuf {
        self.dir.join(&self.folder_name)
    }

    fn part(&self, name: &str) -> PathBuf {
        self.folder().join(name)
    }

    fn manifest_name(&self) -> String {
        format!("{}.manifest", self.file_name)
    }

    fn temporary_increment(&self) -> String {
        format!("temp-{}.incr", self.file_name)
    }

    fn snapshot(&self) -> PathBuf {
        self.dir.join(&self.dbfilename)
    }
}

impl Data {
    pub(crate) fn new(files: Arc<dyn Files>, config: &Config) -> Self {
        Self {
            files,
            names: Names::new(config),
            manifest: Manifest::default(),
            log: None,
            kept: BytesMut::new(),
            failing: false,
            told_s: None,
            rewrite: None,
            save: None,
            jobs: 0,
            lines: Vec::new(),
        }
    }

    /// Takes over a configuration that may have changed since.
    pub(crate) fn configure(&mut self, config: &Config) {
        if Path::new(&*config.dir) != self.names.dir || *config.dbfilename != *self.names.dbfilename
        {
            self.names = Names::new(config);
        }
    }

    fn notice(&mut self, line: impl Into<String>) {
        self.lines.push((LogLevel::Notice, line.into()));
    }

    fn warn(&mut self, line: impl Into<String>) {
        self.lines.push((LogLevel::Warning, line.into()));
    }

    /// A name for a file that a job writes before it takes its place.
    fn temporary(&mut self, prefix: &str, end: &str) -> PathBuf {
        self.jobs += 1;
        let (pid, job) = (std::process::id(), self.jobs);
        self.names.dir.join(format!("{prefix}-{pid}-{job}.{end}"))
    }
}

fn flag(config: &Config, name: &str) -> bool {
    config.setting(name) == Some(Setting::Flag(true))
}

fn file_name(path: &Path) -> String {
    path.file_name()
        .map(|name| name.to_string_lossy().into_owned())
        .unwrap_or_default()
}
