//! The real thing: TCP and clocks by tokio, the state file on a file system.

use std::fmt;
use std::fs::{self, File, OpenOptions, TryLockError};
use std::future::Future;
use std::io::{self, Write};
use std::net::{IpAddr, SocketAddr};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use redrill_node::{Mono, Now, WallMillis};
use socket2::{Domain, SockRef, Socket, TcpKeepalive, Type};
use tokio::net::{TcpListener, TcpStream};

use crate::clock::Clock;
use crate::disk::{Disk, Replace};
use crate::files::{Files, HostFiles, folder_of};
use crate::network::{Accepted, Listener, Network, Stream};

/// TCP on this host.
#[derive(Clone, Debug)]
pub struct TokioNetwork {
    bind: Vec<BindAddress>,
    backlog: u32,
}

/// An address to listen on (`bind`).
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct BindAddress {
    /// The address.
    pub ip: IpAddr,
    /// Whether the host may be without it.
    pub optional: bool,
}

impl TokioNetwork {
    /// Listens on the given addresses, with up to `backlog` connections waiting to be accepted
    /// (`tcp-backlog`).
    #[must_use]
    pub const fn new(bind: Vec<BindAddress>, backlog: u32) -> Self {
        Self { bind, backlog }
    }
}

impl From<IpAddr> for BindAddress {
    fn from(ip: IpAddr) -> Self {
        Self {
            ip,
            optional: false,
        }
    }
}

impl Network for TokioNetwork {
    type Stream = TcpStream;
    type Listener = TokioListener;

    async fn listen(&self, port: u16) -> io::Result<TokioListener> {
        let mut listeners = Vec::new();
        for bind in &self.bind {
            match listen(SocketAddr::new(bind.ip, port), self.backlog) {
                Ok(listener) => listeners.push(listener),
                Err(error) if bind.optional && may_be_missing(&error) => {
                    tracing::warn!(%error, ip = %bind.ip, port, "could not listen");
                }
                Err(error) => {
                    let problem = format!("{bind}:{port}: bind: {}", os_words(&error));
                    return Err(io::Error::new(error.kind(), problem));
                }
            }
        }
        if listeners.is_empty() {
            return Err(io::Error::new(
                io::ErrorKind::AddrNotAvailable,
                "the host has none of the addresses to bind to",
            ));
        }
        Ok(TokioListener { listeners })
    }

    fn connect(&self, to: SocketAddr) -> impl Future<Output = io::Result<TcpStream>> + 'static {
        TcpStream::connect(to)
    }

    async fn resolve(&self, host: &str) -> io::Result<IpAddr> {
        let mut found = tokio::net::lookup_host((host, 0)).await?;
        let first = found.next().ok_or(io::ErrorKind::NotFound)?;
        Ok(first.ip())
    }
}

fn listen(at: SocketAddr, backlog: u32) -> io::Result<TcpListener> {
    let socket = Socket::new(Domain::for_address(at), Type::STREAM, None)?;
    // A restarted server must not wait for its predecessor's connections to be forgotten.
    #[cfg(unix)]
    socket.set_reuse_address(true)?;
    if at.is_ipv6() {
        // The IPv4 address of the same port is bound to beside it.
        socket.set_only_v6(true)?;
    }
    socket.bind(&at.into())?;
    socket.listen(i32::try_from(backlog).unwrap_or(i32::MAX))?;
    socket.set_nonblocking(true)?;
    TcpListener::from_std(socket.into())
}

/// What went wrong, as the system's C library says it.
#[must_use]
pub fn os_words(error: &io::Error) -> String {
    let said = error.to_string();
    match said.find(" (os error") {
        Some(end) => said[..end].to_owned(),
        None => said,
    }
}

impl fmt::Display for BindAddress {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.ip {
            IpAddr::V4(ip) if ip.is_unspecified() => formatter.write_str("*"),
            IpAddr::V6(ip) if ip.is_unspecified() => formatter.write_str("::*"),
            IpAddr::V4(ip) => ip.fmt(formatter),
            IpAddr::V6(ip) => ip.fmt(formatter),
        }
    }
}

/// Whether a host without this address, or without its family, says so.
fn may_be_missing(error: &io::Error) -> bool {
    error.kind() != io::ErrorKind::AddrInUse && error.kind() != io::ErrorKind::PermissionDenied
}

/// The sockets that listen on one port.
#[derive(Debug)]
pub struct TokioListener {
    listeners: Vec<TcpListener>,
}

impl Listener for TokioListener {
    type Stream = TcpStream;

    fn poll_accept(&mut self, context: &mut Context<'_>) -> Poll<io::Result<Accepted<TcpStream>>> {
        for listener in &self.listeners {
            if let Poll::Ready(accepted) = listener.poll_accept(context) {
                return Poll::Ready(accepted.and_then(|(stream, peer)| {
                    let local = stream.local_addr()?;
                    Ok(Accepted {
                        stream,
                        peer,
                        local,
                    })
                }));
            }
        }
        Poll::Pending
    }
}

impl Stream for TcpStream {
    fn set_nodelay(&mut self, nodelay: bool) -> io::Result<()> {
        TcpStream::set_nodelay(self, nodelay)
    }

    /// Probes begin after the interval and come three times as often then (`anetKeepAlive`).
    fn set_keepalive(&mut self, interval_s: u32) -> io::Result<()> {
        let idle = Duration::from_secs(interval_s.into());
        let probes = TcpKeepalive::new()
            .with_time(idle)
            .with_interval(Duration::from_secs((interval_s / 3).max(1).into()))
            .with_retries(3);
        SockRef::from(&*self).set_tcp_keepalive(&probes)
    }
}

/// The host's clocks.
#[derive(Clone, Copy, Debug)]
pub struct TokioClock {
    started: Instant,
}

impl TokioClock {
    /// Clocks whose monotonic time begins now.
    #[must_use]
    pub fn new() -> Self {
        Self {
            started: Instant::now(),
        }
    }
}

impl Default for TokioClock {
    fn default() -> Self {
        Self::new()
    }
}

impl Clock for TokioClock {
    fn now(&self) -> Now {
        // Before 1970 and after the year 292 million there is no telling the time.
        let wall = SystemTime::now()
            .duration_since(UNIX_EPOCH)
            .ok()
            .and_then(|since| i64::try_from(since.as_millis()).ok())
            .unwrap_or_default();
        let mono = u64::try_from(self.started.elapsed().as_micros()).unwrap_or(u64::MAX);
        Now {
            mono: Mono(mono),
            wall: WallMillis(wall),
        }
    }

    fn sleep_until(&self, at: Mono) -> impl Future<Output = ()> + 'static {
        let at = self.started + std::time::Duration::from_micros(at.0);
        tokio::time::sleep_until(at.into())
    }
}

/// A state file on the host's file system. Reading and writing block the thread, as they block
/// Redis's.
#[derive(Debug)]
pub struct FileDisk {
    path: PathBuf,
    /// The state file itself, locked; its successor once it is replaced.
    lock: Mutex<Option<File>>,
}

impl FileDisk {
    /// Keeps the state in the file `path`. Its directory must exist.
    #[must_use]
    pub const fn new(path: PathBuf) -> Self {
        Self {
            path,
            lock: Mutex::new(None),
        }
    }

    /// Locks the file that the state file's name stands for. A name that is given to another file
    /// meanwhile is looked at again.
    fn take_lock(&self) -> io::Result<bool> {
        loop {
            let file = OpenOptions::new()
                .write(true)
                .create(true)
                .truncate(false)
                .open(&self.path)?;
            match file.try_lock() {
                Ok(()) => {}
                Err(TryLockError::WouldBlock) => return Ok(false),
                Err(TryLockError::Error(error)) => return Err(error),
            }
            if is_named(&file, &self.path)? {
                self.keep_lock(file);
                return Ok(true);
            }
        }
    }

    fn keep_lock(&self, file: File) {
        *self.lock.lock().unwrap_or_else(PoisonError::into_inner) = Some(file);
    }

    fn is_locked(&self) -> bool {
        let lock = self.lock.lock().unwrap_or_else(PoisonError::into_inner);
        lock.is_some()
    }

    /// Puts a new file in the state file's place. The lock never leaves the name: whoever opens
    /// it finds it taken.
    fn replace(&self, content: &[u8], sync: bool) -> io::Result<()> {
        let is_locked = self.is_locked();
        match replace_file(&self.path, content, sync, is_locked) {
            Ok(file) if is_locked => self.keep_lock(file),
            Ok(_) => {}
            Err(error) if error.kind() == io::ErrorKind::StorageFull => {
                // There is no room for a second file, but the one there has its room already.
                tracing::warn!(%error, "the state file is written in place");
                return overwrite(&self.path, content, sync);
            }
            Err(error) => return Err(error),
        }
        Ok(())
    }
}

/// Replaces a file's content in one step.
fn replace_file(path: &Path, content: &[u8], sync: bool, locked: bool) -> io::Result<File> {
    let mut aside = path.to_path_buf().into_os_string();
    aside.push(format!(".tmp-{}", std::process::id()));
    let aside = PathBuf::from(aside);
    let written = write(&aside, content, sync).and_then(|file| {
        if locked {
            file.try_lock().map_err(io::Error::from)?;
        }
        fs::rename(&aside, path).map(|()| file)
    });
    if written.is_err() {
        // What is left of it would only take room; the first error is the one to tell.
        let _ = fs::remove_file(&aside);
    }
    let file = written?;
    if sync {
        File::open(folder_of(path))?.sync_all()?;
    }
    Ok(file)
}

impl Disk for FileDisk {
    async fn load(&self) -> io::Result<Option<Vec<u8>>> {
        match fs::read(&self.path) {
            Ok(content) => Ok(Some(content)),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(error) => Err(error),
        }
    }

    async fn save(&self, content: Vec<u8>, replace: Replace, sync: bool) -> io::Result<()> {
        match replace {
            Replace::Atomic => self.replace(&content, sync),
            Replace::InPlace => write(&self.path, &content, sync).map(drop),
        }
    }

    fn rewrite(&self, path: &Path, edit: &mut dyn FnMut(&str) -> String) -> io::Result<()> {
        let old = match fs::read_to_string(path) {
            Ok(old) => old,
            Err(error) if error.kind() == io::ErrorKind::NotFound => String::new(),
            Err(error) => return Err(error),
        };
        replace_file(path, edit(&old).as_bytes(), true, false).map(drop)
    }

    fn lock(&self) -> io::Result<bool> {
        self.take_lock()
    }

    fn files(&self) -> Arc<dyn Files> {
        Arc::new(HostFiles)
    }

    async fn wait_for<T: 'static>(&self, work: impl FnOnce() -> T + 'static) -> T {
        work()
    }

    fn beside<T: Send + 'static>(
        &self,
        work: impl FnOnce() -> T + Send + 'static,
    ) -> impl Future<Output = Option<T>> + 'static {
        let (done, waiting) = tokio::sync::oneshot::channel();
        // A thread of its own: what is written when the process ends is not waited for.
        std::thread::spawn(move || {
            // Nobody waits for what was given up.
            let _ = done.send(work());
        });
        async { waiting.await.ok() }
    }
}

fn write(path: &Path, content: &[u8], sync: bool) -> io::Result<File> {
    let mut file = File::create(path)?;
    file.write_all(content)?;
    if sync {
        file.sync_all()?;
    }
    Ok(file)
}

/// Writes a new content over the old one without a need for more room, as long as it is not
/// longer (`clusterSaveConfig`).
fn overwrite(path: &Path, content: &[u8], sync: bool) -> io::Result<()> {
    let mut file = OpenOptions::new().write(true).open(path)?;
    let old_len = file.metadata()?.len() as usize;
    let mut padded = content.to_vec();
    padded.resize(content.len().max(old_len), b'\n');
    file.write_all(&padded)?;
    if sync {
        file.sync_all()?;
    }
    file.set_len(content.len() as u64)
}

/// Whether a name stands for this file.
#[cfg(unix)]
fn is_named(file: &File, path: &Path) -> io::Result<bool> {
    use std::os::unix::fs::MetadataExt;
    let (open, named) = (file.metadata()?, fs::metadata(path));
    match named {
        Ok(named) => Ok((open.dev(), open.ino()) == (named.dev(), named.ino())),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(false),
        Err(error) => Err(error),
    }
}

#[cfg(not(unix))]
fn is_named(_: &File, _: &Path) -> io::Result<bool> {
    Ok(true)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_state_file_is_absent_then_the_last_one_saved_and_nothing_stays_beside_it() {
        let directory = tempfile::tempdir().unwrap();
        let disk = FileDisk::new(directory.path().join("nodes.conf"));
        assert_eq!(disk.load().await.unwrap(), None);
        for (content, replace, sync) in [
            ("first, which is longer", Replace::Atomic, true),
            ("second", Replace::Atomic, false),
            ("third", Replace::InPlace, true),
        ] {
            disk.save(content.into(), replace, sync).await.unwrap();
            assert_eq!(disk.load().await.unwrap().unwrap(), content.as_bytes());
            assert_eq!(fs::read_dir(directory.path()).unwrap().count(), 1);
        }
    }

    #[tokio::test]
    async fn a_state_file_is_locked_against_a_second_server_also_after_it_was_replaced() {
        let directory = tempfile::tempdir().unwrap();
        let disk = || FileDisk::new(directory.path().join("nodes.conf"));
        let first = disk();
        assert!(first.lock().unwrap());
        assert!(!disk().lock().unwrap());
        for sync in [true, false] {
            let saved = first.save(b"new".to_vec(), Replace::Atomic, sync);
            saved.await.unwrap();
            assert!(!disk().lock().unwrap());
        }
        drop(first);
        let next = disk();
        assert!(next.lock().unwrap());
        assert_eq!(next.load().await.unwrap().unwrap(), b"new");
    }

    #[test]
    fn a_state_file_is_written_over_without_more_room_and_without_rest() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("nodes.conf");
        fs::write(&path, "what was there before").unwrap();
        for content in ["shorter", "longer than what was there before"] {
            overwrite(&path, content.as_bytes(), true).unwrap();
            assert_eq!(fs::read_to_string(&path).unwrap(), content);
        }
    }

    #[tokio::test]
    async fn a_state_file_that_cannot_be_written_is_an_error() {
        let directory = tempfile::tempdir().unwrap();
        let disk = FileDisk::new(directory.path().join("no such folder/nodes.conf"));
        assert!(disk.save(vec![1], Replace::Atomic, true).await.is_err());
    }

    #[test]
    fn a_text_file_is_rewritten_in_one_step_or_left_as_it_is() {
        let directory = tempfile::tempdir().unwrap();
        let disk = FileDisk::new(directory.path().join("nodes.conf"));
        let file = directory.path().join("redis.conf");
        fs::write(&file, "port 1\n").unwrap();
        disk.rewrite(&file, &mut |old| format!("{old}hz 10\n"))
            .unwrap();
        assert_eq!(fs::read_to_string(&file).unwrap(), "port 1\nhz 10\n");
        assert_eq!(fs::read_dir(directory.path()).unwrap().count(), 1);
        let nowhere = directory.path().join("no such folder/redis.conf");
        assert!(disk.rewrite(&nowhere, &mut |_| String::new()).is_err());
    }

    #[tokio::test]
    async fn an_address_the_host_may_be_without_is_passed_over() {
        let elsewhere = |optional| BindAddress {
            ip: IpAddr::V4(std::net::Ipv4Addr::new(203, 0, 113, 1)),
            optional,
        };
        let here = BindAddress::from(IpAddr::V4(std::net::Ipv4Addr::LOCALHOST));
        let listen = async |bind| TokioNetwork::new(bind, 10).listen(0).await;
        assert!(listen(vec![here, elsewhere(true)]).await.is_ok());
        assert!(listen(vec![here, elsewhere(false)]).await.is_err());
        assert!(listen(vec![elsewhere(true)]).await.is_err());
    }
}
