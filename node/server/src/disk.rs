//! The disk under a node: the state file.

use std::future::Future;
use std::io;
use std::path::Path;

/// How a file's content is replaced.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Replace {
    /// Written aside and renamed over: after a power loss the file is the old or the new one.
    Atomic,
    /// Truncated and written in place: a power loss may leave any part of it. Only a node with
    /// the planted bug [`redrill_node::Bug::TornStateFile`] asks for it.
    InPlace,
}

/// Where a server keeps its state file (`cluster-config-file`). The file's name is the
/// implementation's.
pub trait Disk: 'static {
    /// The file's content, `None` if there is no file.
    ///
    /// # Errors
    /// If the file exists and cannot be read.
    fn load(&self) -> impl Future<Output = io::Result<Option<Vec<u8>>>>;

    /// Replaces the file's content. With `sync` the future ends only when the new content would
    /// survive a loss of power. The event loop stands still meanwhile.
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
}
