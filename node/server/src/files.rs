//! Files of data: the append-only file and snapshots.

use std::fmt::Debug;
use std::fs::{self, File, OpenOptions};
use std::io::{self, Read, Write};
use std::path::Path;

/// A file system, as far as files of data need one. Every method is one system call or a few, and
/// blocks.
///
/// # Errors
/// All methods pass on what the system says.
pub trait Files: Send + Sync + 'static {
    /// A file's content; `None` if there is no such file.
    fn read(&self, path: &Path) -> io::Result<Option<Vec<u8>>>;

    /// A file's length, bytes; `None` if there is no such file or folder.
    fn len(&self, path: &Path) -> io::Result<Option<u64>>;

    /// Opens a file to be written, and creates it if there is none.
    fn open(&self, path: &Path, how: Open) -> io::Result<Box<dyn DataFile>>;

    /// Cuts a file off and makes that durable.
    fn truncate(&self, path: &Path, len: u64) -> io::Result<()>;

    /// Gives a file another name, and takes the place of what had it.
    fn rename(&self, from: &Path, to: &Path) -> io::Result<()>;

    /// Removes a file.
    fn remove(&self, path: &Path) -> io::Result<()>;

    /// Creates a folder, unless it is there.
    fn create_folder(&self, path: &Path) -> io::Result<()>;

    /// Makes the names in a folder durable.
    fn sync_folder(&self, path: &Path) -> io::Result<()>;
}

/// How a file is opened.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Open {
    /// Its content stays, and more is written behind it.
    Append,
    /// Its content goes.
    Truncate,
}

/// An open file.
///
/// # Errors
/// All methods pass on what the system says.
pub trait DataFile: Send + Debug {
    /// Writes some of the bytes behind the others, and says how many.
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize>;

    /// Cuts the file off.
    fn truncate(&mut self, len: u64) -> io::Result<()>;

    /// Makes what was written durable (`fdatasync`).
    fn sync(&mut self) -> io::Result<()>;

    /// Another handle to the same file, for a sync on another thread.
    fn duplicate(&self) -> io::Result<Box<dyn DataFile>>;
}

/// Writes all bytes, or says how many were written and why not more.
pub(crate) fn write_all(file: &mut dyn DataFile, bytes: &[u8]) -> Result<(), (usize, io::Error)> {
    let mut written = 0;
    while let Some(rest) = bytes.get(written..).filter(|rest| !rest.is_empty()) {
        match file.write(rest) {
            Ok(0) => return Err((written, io::ErrorKind::WriteZero.into())),
            Ok(len) => written += len,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err((written, error)),
        }
    }
    Ok(())
}

/// The folder a file is in.
pub(crate) fn folder_of(path: &Path) -> &Path {
    match path.parent() {
        Some(folder) if !folder.as_os_str().is_empty() => folder,
        Some(_) | None => Path::new("."),
    }
}

/// What the system calls an error, without its number (`strerror`).
pub(crate) fn reason(error: &io::Error) -> String {
    let text = error.to_string();
    match text.rfind(" (os error ") {
        Some(end) => text[..end].to_owned(),
        None => text,
    }
}

/// The host's file system.
#[derive(Clone, Copy, Debug, Default)]
pub struct HostFiles;

impl Files for HostFiles {
    fn read(&self, path: &Path) -> io::Result<Option<Vec<u8>>> {
        let Some(mut file) = present(File::open(path))? else {
            return Ok(None);
        };
        let mut content = Vec::new();
        file.read_to_end(&mut content)?;
        Ok(Some(content))
    }

    fn len(&self, path: &Path) -> io::Result<Option<u64>> {
        Ok(present(fs::metadata(path))?.map(|metadata| metadata.len()))
    }

    fn open(&self, path: &Path, how: Open) -> io::Result<Box<dyn DataFile>> {
        let mut options = OpenOptions::new();
        options.create(true);
        // Always at the end: what is cut off after a short write must not leave a hole.
        options.append(true);
        let file = options.open(path)?;
        if how == Open::Truncate {
            file.set_len(0)?;
        }
        Ok(Box::new(HostFile(file)))
    }

    fn truncate(&self, path: &Path, len: u64) -> io::Result<()> {
        let file = OpenOptions::new().write(true).open(path)?;
        file.set_len(len)?;
        file.sync_all()
    }

    fn rename(&self, from: &Path, to: &Path) -> io::Result<()> {
        fs::rename(from, to)
    }

    fn remove(&self, path: &Path) -> io::Result<()> {
        fs::remove_file(path)
    }

    fn create_folder(&self, path: &Path) -> io::Result<()> {
        match fs::create_dir(path) {
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists && path.is_dir() => Ok(()),
            created => created,
        }
    }

    fn sync_folder(&self, path: &Path) -> io::Result<()> {
        File::open(path)?.sync_all()
    }
}

fn present<T>(result: io::Result<T>) -> io::Result<Option<T>> {
    match result {
        Ok(value) => Ok(Some(value)),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(error),
    }
}

#[derive(Debug)]
struct HostFile(File);

impl DataFile for HostFile {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.write(bytes)
    }

    fn truncate(&mut self, len: u64) -> io::Result<()> {
        self.0.set_len(len)
    }

    fn sync(&mut self) -> io::Result<()> {
        self.0.sync_data()
    }

    fn duplicate(&self) -> io::Result<Box<dyn DataFile>> {
        Ok(Box::new(Self(self.0.try_clone()?)))
    }
}
