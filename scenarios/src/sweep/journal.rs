//! The runs of a sweep as they finish, so that an interrupt loses none of them.
//!
//! `runs.ndjson` begins with a line that says which sweep it belongs to; each further line is a run.
//! A line is written at once when its run has ended. An interrupt may tear the last line, which is
//! then cut off.

use std::collections::BTreeMap;
use std::fs::{File, OpenOptions};
use std::io::{Read, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};

use redrill_reports::summary::RunSummary;
use serde::{Deserialize, Serialize};

use super::plan::Sweep;

/// Version of the format of `runs.ndjson`.
const SCHEMA_VERSION: u32 = 1;

/// Runs that have ended: by configuration and seed.
pub type Finished = BTreeMap<(usize, u64), RunSummary>;

/// The file that finished runs are written to.
#[derive(Debug)]
pub struct Journal {
    path: PathBuf,
    file: Mutex<File>,
}

/// Why runs cannot be kept.
#[derive(Debug, thiserror::Error)]
pub enum JournalError {
    /// The file cannot be read or written.
    #[error("cannot write {}: {error}", path.display())]
    File {
        /// The file.
        path: PathBuf,
        /// Why.
        error: std::io::Error,
    },
    /// The file belongs to another sweep.
    #[error(
        "{} holds the runs of another sweep: {what} differs. Give another --out, or remove the \
         file to start anew",
        path.display()
    )]
    OtherSweep {
        /// The file.
        path: PathBuf,
        /// What differs.
        what: &'static str,
    },
    /// A line of the file is not what was written.
    #[error(
        "{} is damaged in line {line}: {error}. Give another --out, or remove the file to start \
         anew",
        path.display()
    )]
    Damaged {
        /// The file.
        path: PathBuf,
        /// The line, from 1.
        line: usize,
        /// What is wrong with it.
        error: serde_json::Error,
    },
}

/// Which sweep a journal belongs to. How many seeds are run may change.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
struct Header {
    schema_version: u32,
    kind: String,
    redrill: String,
    world: String,
    drill: String,
    set: Vec<String>,
    axes: Vec<(String, Vec<String>)>,
}

#[derive(Debug, Serialize, Deserialize)]
struct Line<R> {
    configuration: usize,
    #[serde(flatten)]
    run: R,
}

impl Header {
    fn of(sweep: &Sweep) -> Self {
        let axes = sweep.axes.iter();
        Self {
            schema_version: SCHEMA_VERSION,
            kind: "sweep-runs".to_owned(),
            redrill: env!("CARGO_PKG_VERSION").to_owned(),
            world: sweep.world.name().to_owned(),
            drill: format!(
                "{:032x}",
                xxhash_rust::xxh3::xxh3_128(content(sweep).as_bytes())
            ),
            set: sweep.fixed.clone(),
            axes: axes
                .map(|axis| (axis.path.clone(), axis.values.clone()))
                .collect(),
        }
    }

    /// What of a sweep differs from another one.
    fn difference(&self, other: &Self) -> Option<&'static str> {
        let checks = [
            (self.schema_version == other.schema_version, "the format"),
            (self.kind == other.kind, "the kind of file"),
            (self.redrill == other.redrill, "the version of redrill"),
            (self.drill == other.drill, "the drill"),
            (self.world == other.world, "the world"),
            (self.axes == other.axes, "what is varied"),
            (self.set == other.set, "a --set"),
        ];
        checks
            .into_iter()
            .find(|(same, _)| !same)
            .map(|(_, what)| what)
    }
}

/// The text of a drill, and of the traces of weather that it names.
fn content(sweep: &Sweep) -> String {
    let weather = &sweep.base.weather;
    let mut content = sweep.text.clone();
    if !weather.recorded_pauses.is_empty() || !weather.recorded_links.is_empty() {
        let (pauses, links) = (&weather.recorded_pauses, &weather.recorded_links);
        content.push_str(&format!("{pauses:?}{links:?}"));
    }
    content
}

impl Sweep {
    /// A short name of what is run, which changes with the drill and with what is varied.
    #[must_use]
    pub fn digest(&self) -> String {
        let header = serde_json::to_vec(&Header::of(self)).unwrap_or_default();
        format!("{:08x}", xxhash_rust::xxh3::xxh3_64(&header) >> 32)
    }
}

impl Journal {
    /// Opens `runs.ndjson` in a folder, which is made if need be, and reads the runs that are in it.
    ///
    /// # Errors
    /// [`JournalError`] if the file cannot be used, or belongs to another sweep.
    pub fn open(folder: &Path, sweep: &Sweep) -> Result<(Self, Finished), JournalError> {
        let path = folder.join("runs.ndjson");
        let failed = |error| JournalError::File {
            path: path.clone(),
            error,
        };
        std::fs::create_dir_all(folder).map_err(failed)?;
        let mut file = OpenOptions::new()
            .read(true)
            .write(true)
            .create(true)
            .truncate(false)
            .open(&path)
            .map_err(failed)?;
        let mut bytes = Vec::new();
        file.read_to_end(&mut bytes).map_err(failed)?;
        // What stands behind the last line break was torn by an interrupt.
        let whole = bytes
            .iter()
            .rposition(|byte| *byte == b'\n')
            .map_or(0, |at| at + 1);
        let finished = read(&path, &bytes[..whole], &Header::of(sweep))?;
        file.set_len(whole as u64).map_err(failed)?;
        file.seek(SeekFrom::End(0)).map_err(failed)?;
        let journal = Self {
            path: path.clone(),
            file: Mutex::new(file),
        };
        if whole == 0 {
            journal.write(&Header::of(sweep))?;
        }
        Ok((journal, finished))
    }

    /// Keeps a run.
    ///
    /// # Errors
    /// [`JournalError::File`] if it cannot be written.
    pub fn keep(&self, configuration: usize, run: &RunSummary) -> Result<(), JournalError> {
        self.write(&Line { configuration, run })
    }

    fn write(&self, line: &impl Serialize) -> Result<(), JournalError> {
        let failed = |error| JournalError::File {
            path: self.path.clone(),
            error,
        };
        let mut text = serde_json::to_vec(line).map_err(|error| failed(error.into()))?;
        text.push(b'\n');
        let mut file = self.file.lock().unwrap_or_else(PoisonError::into_inner);
        file.write_all(&text)
            .and_then(|()| file.flush())
            .map_err(failed)
    }
}

fn read(path: &Path, bytes: &[u8], expected: &Header) -> Result<Finished, JournalError> {
    let mut finished = Finished::new();
    for (place, line) in bytes.split(|byte| *byte == b'\n').enumerate() {
        let damaged = |error| JournalError::Damaged {
            path: path.to_path_buf(),
            line: place + 1,
            error,
        };
        if line.is_empty() {
            continue;
        }
        if place == 0 {
            let header: Header = serde_json::from_slice(line).map_err(damaged)?;
            if let Some(what) = header.difference(expected) {
                let path = path.to_path_buf();
                return Err(JournalError::OtherSweep { path, what });
            }
            continue;
        }
        let line: Line<RunSummary> = serde_json::from_slice(line).map_err(damaged)?;
        finished.insert((line.configuration, line.run.seed), line.run);
    }
    Ok(finished)
}
