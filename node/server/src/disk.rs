//! The disk under a node: the state file, and where files of data are.

use std::future::Future;
use std::io;
use std::path::Path;
use std::sync::Arc;

use crate::files::Files;

/// How a file's content is replaced.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Replace {
    /// Written aside and renamed over: after a power loss the file is the old or the new one.
    Atomic,
    /// Truncated and written in place: a power loss may leave any part of it. Only a node with
    /// the planted bug [`redrill_node::Bug::TornStateFile`] asks for it.
    InPlace,
}

/// Where a server keeps its state file (`cluster-config-file`) and its data. The state file's name
/// is the implementation's.
pub trait Disk: 'static {
    /// Makes sure that no other server uses the state file, until the process ends
    /// (`clusterLockConfig`). False if one does.
    ///
    /// # Errors
    /// If the file can be neither opened nor created.
    fn lock(&self) -> io::Result<bool> {
        Ok(true)
    }

    /// The state file's content, `None` if there is no file.
    ///
    /// # Errors
    /// If the file exists and cannot be read.
    fn load(&self) -> impl Future<Output = io::Result<Option<Vec<u8>>>>;

    /// Replaces the state file's content. With `sync` the future ends only when the new content
    /// would survive a loss of power. The event loop stands still meanwhile.
    ///
    /// # Errors
    /// If the file cannot be written; the server then ends, as Redis does.
    fn save(
        &self,
        content: Vec<u8>,
        replace: Replace,
        sync: bool,
    ) -> impl Future<Output = io::Result<()>>;

    /// Replaces the text of the file `path` by what `edit` makes of it, durably and in one step;
    /// a file that is not there is empty.
    ///
    /// # Errors
    /// If the file cannot be read or replaced; it is as it was then. A disk that holds nothing but
    /// the state file cannot.
    fn rewrite(&self, path: &Path, edit: &mut dyn FnMut(&str) -> String) -> io::Result<()> {
        let _ = (path, edit);
        Err(io::ErrorKind::Unsupported.into())
    }

    /// The files of data.
    fn files(&self) -> Arc<dyn Files>;

    /// Does work that waits for the disk (a sync) while the event loop stands still.
    fn wait_for<T: 'static>(&self, work: impl FnOnce() -> T + 'static) -> impl Future<Output = T>;

    /// Does work that waits for the disk while the event loop goes on. `None` if it did not end.
    fn beside<T: Send + 'static>(
        &self,
        work: impl FnOnce() -> T + Send + 'static,
    ) -> impl Future<Output = Option<T>> + 'static;
}
