//! Files in memory: what a process wrote, what a loss of power leaves, and a disk that fills up.

use std::collections::BTreeMap;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use crate::files::{DataFile, Files, Open};

/// A file system in memory. Clones are handles to the same one.
///
/// A file that is not synced falls back to its synced part with a loss of power, a name to what it
/// stood for when its folder was last synced.
#[derive(Clone, Debug, Default)]
pub struct MemoryFiles(Arc<Mutex<Inner>>);

#[derive(Debug, Default)]
struct Inner {
    names: BTreeMap<PathBuf, Number>,
    durable_names: BTreeMap<PathBuf, Number>,
    folders: Vec<PathBuf>,
    files: BTreeMap<Number, Content>,
    next: Number,
    /// Bytes that still fit; `None`: no limit.
    room: Option<usize>,
    sync_error: Option<io::ErrorKind>,
}

type Number = u64;

#[derive(Debug, Default)]
struct Content {
    bytes: Vec<u8>,
    synced_len: usize,
}

impl MemoryFiles {
    /// No files yet.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// The host loses power: what is not durable is gone.
    pub fn lose_power(&self) {
        let mut inner = self.inner();
        inner.names = inner.durable_names.clone();
        for content in inner.files.values_mut() {
            content.bytes.truncate(content.synced_len);
        }
    }

    /// Lets so many bytes more be written; `None`: any number.
    pub fn set_room(&self, bytes: Option<usize>) {
        self.inner().room = bytes;
    }

    /// Has syncs fail, or not.
    pub fn fail_syncs(&self, error: Option<io::ErrorKind>) {
        self.inner().sync_error = error;
    }

    /// Puts a file there, durably.
    pub fn put(&self, path: &Path, bytes: &[u8]) {
        let mut inner = self.inner();
        let number = inner.create(path);
        inner.files.insert(
            number,
            Content {
                bytes: bytes.to_vec(),
                synced_len: bytes.len(),
            },
        );
        inner.durable_names.insert(path.to_owned(), number);
    }

    /// The files, by name.
    #[must_use]
    pub fn paths(&self) -> Vec<PathBuf> {
        self.inner().names.keys().cloned().collect()
    }

    fn inner(&self) -> MutexGuard<'_, Inner> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Inner {
    fn create(&mut self, path: &Path) -> Number {
        self.next += 1;
        self.names.insert(path.to_owned(), self.next);
        self.files.insert(self.next, Content::default());
        self.next
    }

    fn find(&self, path: &Path) -> io::Result<Number> {
        self.names
            .get(path)
            .copied()
            .ok_or_else(|| io::ErrorKind::NotFound.into())
    }

    fn content(&mut self, number: Number) -> &mut Content {
        self.files.entry(number).or_default()
    }
}

impl Files for MemoryFiles {
    fn read(&self, path: &Path) -> io::Result<Option<Vec<u8>>> {
        let inner = self.inner();
        let content = inner
            .names
            .get(path)
            .and_then(|number| inner.files.get(number));
        Ok(content.map(|content| content.bytes.clone()))
    }

    fn len(&self, path: &Path) -> io::Result<Option<u64>> {
        let inner = self.inner();
        if inner.folders.iter().any(|folder| folder == path) {
            return Ok(Some(0));
        }
        let content = inner
            .names
            .get(path)
            .and_then(|number| inner.files.get(number));
        Ok(content.map(|content| content.bytes.len() as u64))
    }

    fn open(&self, path: &Path, how: Open) -> io::Result<Box<dyn DataFile>> {
        let mut inner = self.inner();
        let number = match inner.find(path) {
            Ok(number) => number,
            Err(_) => inner.create(path),
        };
        if how == Open::Truncate {
            *inner.content(number) = Content::default();
        }
        drop(inner);
        let files = self.clone();
        Ok(Box::new(MemoryFile { files, number }))
    }

    fn truncate(&self, path: &Path, len: u64) -> io::Result<()> {
        let mut inner = self.inner();
        let number = inner.find(path)?;
        let content = inner.content(number);
        content.bytes.truncate(len as usize);
        content.synced_len = content.bytes.len();
        Ok(())
    }

    fn rename(&self, from: &Path, to: &Path) -> io::Result<()> {
        let mut inner = self.inner();
        let number = inner.find(from)?;
        inner.names.remove(from);
        inner.names.insert(to.to_owned(), number);
        Ok(())
    }

    fn remove(&self, path: &Path) -> io::Result<()> {
        let mut inner = self.inner();
        inner.find(path)?;
        inner.names.remove(path);
        Ok(())
    }

    fn create_folder(&self, path: &Path) -> io::Result<()> {
        let mut inner = self.inner();
        if !inner.folders.iter().any(|folder| folder == path) {
            inner.folders.push(path.to_owned());
        }
        Ok(())
    }

    fn sync_folder(&self, path: &Path) -> io::Result<()> {
        let mut inner = self.inner();
        let inner = &mut *inner;
        let is_here = |name: &PathBuf| crate::files::folder_of(name) == path;
        inner.durable_names.retain(|name, _| !is_here(name));
        let here = inner.names.iter().filter(|(name, _)| is_here(name));
        inner
            .durable_names
            .extend(here.map(|(name, &number)| (name.clone(), number)));
        let (named, durable) = (&inner.names, &inner.durable_names);
        inner.files.retain(|number, _| {
            named
                .values()
                .chain(durable.values())
                .any(|kept| kept == number)
        });
        Ok(())
    }
}

#[derive(Debug)]
struct MemoryFile {
    files: MemoryFiles,
    number: Number,
}

impl DataFile for MemoryFile {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let mut inner = self.files.inner();
        let len = inner.room.map_or(bytes.len(), |room| room.min(bytes.len()));
        if len == 0 && !bytes.is_empty() {
            return Err(io::ErrorKind::StorageFull.into());
        }
        inner.room = inner.room.map(|room| room - len);
        inner
            .content(self.number)
            .bytes
            .extend_from_slice(&bytes[..len]);
        Ok(len)
    }

    fn truncate(&mut self, len: u64) -> io::Result<()> {
        let mut inner = self.files.inner();
        let content = inner.content(self.number);
        content.bytes.truncate(len as usize);
        content.synced_len = content.synced_len.min(content.bytes.len());
        Ok(())
    }

    fn sync(&mut self) -> io::Result<()> {
        let mut inner = self.files.inner();
        if let Some(error) = inner.sync_error {
            return Err(error.into());
        }
        let content = inner.content(self.number);
        content.synced_len = content.bytes.len();
        Ok(())
    }

    fn duplicate(&self) -> io::Result<Box<dyn DataFile>> {
        Ok(Box::new(Self {
            files: self.files.clone(),
            number: self.number,
        }))
    }
}
