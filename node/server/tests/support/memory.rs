//! A network, clock and disk in memory.

use std::cell::RefCell;
use std::collections::{BTreeMap, VecDeque};
use std::future::Future;
use std::io;
use std::net::{IpAddr, SocketAddr};
use std::pin::Pin;
use std::rc::Rc;
use std::sync::Arc;
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use redrill_node::{Mono, Now, WallMillis};
use redrill_server::{
    Accepted, Clock, Disk, Files, Listener, MemoryFiles, Network, Replace, Stream,
};
use tokio::io::{AsyncRead, AsyncWrite, DuplexStream, ReadBuf};

use super::{Event, Log};

/// Bytes that are under way in one direction of a connection at most.
const BUFFER_LEN: usize = 64 << 10;

/// What all hosts are connected to.
#[derive(Clone, Default)]
pub struct Wire(Rc<RefCell<Shared>>);

#[derive(Default)]
struct Shared {
    listeners: BTreeMap<SocketAddr, Rc<RefCell<Backlog>>>,
    next_port: u16,
}

#[derive(Default)]
struct Backlog {
    queue: VecDeque<Accepted<MemoryStream>>,
    waker: Option<Waker>,
}

impl Wire {
    pub fn host(&self, ip: IpAddr, log: Log) -> MemoryNetwork {
        MemoryNetwork {
            wire: self.clone(),
            ip,
            log,
        }
    }
}

/// One host's way to the wire.
#[derive(Clone)]
pub struct MemoryNetwork {
    wire: Wire,
    ip: IpAddr,
    log: Log,
}

pub struct MemoryListener {
    wire: Wire,
    at: SocketAddr,
    log: Log,
}

impl Network for MemoryNetwork {
    type Stream = MemoryStream;
    type Listener = MemoryListener;

    async fn listen(&self, port: u16) -> io::Result<MemoryListener> {
        let at = SocketAddr::new(self.ip, port);
        let listeners = &mut self.wire.0.borrow_mut().listeners;
        if listeners.contains_key(&at) {
            return Err(io::ErrorKind::AddrInUse.into());
        }
        listeners.insert(at, Rc::default());
        Ok(MemoryListener {
            wire: self.wire.clone(),
            at,
            log: Rc::clone(&self.log),
        })
    }

    fn connect(&self, to: SocketAddr) -> impl Future<Output = io::Result<MemoryStream>> + 'static {
        let (wire, ip, log) = (self.wire.clone(), self.ip, Rc::clone(&self.log));
        async move {
            let mut shared = wire.0.borrow_mut();
            shared.next_port = shared.next_port % 20_000 + 1;
            let peer = SocketAddr::new(ip, 40_000 + shared.next_port);
            let backlog = shared
                .listeners
                .get(&to)
                .ok_or(io::ErrorKind::ConnectionRefused)?;
            let (near, far) = tokio::io::duplex(BUFFER_LEN);
            let mut backlog = backlog.borrow_mut();
            let stream = MemoryStream::new(far, to.port(), Log::default());
            backlog.queue.push_back(Accepted {
                stream,
                peer,
                local: to,
            });
            if let Some(waker) = backlog.waker.take() {
                waker.wake();
            }
            Ok(MemoryStream::new(near, to.port(), log))
        }
    }
}

impl Listener for MemoryListener {
    type Stream = MemoryStream;

    fn poll_accept(
        &mut self,
        context: &mut Context<'_>,
    ) -> Poll<io::Result<Accepted<MemoryStream>>> {
        let shared = self.wire.0.borrow();
        let mut backlog = shared.listeners[&self.at].borrow_mut();
        match backlog.queue.pop_front() {
            Some(mut accepted) => {
                accepted.stream.log = Rc::clone(&self.log);
                Poll::Ready(Ok(accepted))
            }
            None => {
                backlog.waker = Some(context.waker().clone());
                Poll::Pending
            }
        }
    }
}

impl Drop for MemoryListener {
    fn drop(&mut self) {
        self.wire.0.borrow_mut().listeners.remove(&self.at);
    }
}

/// A connection that logs what is written to it.
pub struct MemoryStream {
    stream: DuplexStream,
    port: u16,
    log: Log,
}

impl MemoryStream {
    fn new(stream: DuplexStream, port: u16, log: Log) -> Self {
        Self { stream, port, log }
    }
}

impl Stream for MemoryStream {
    fn set_nodelay(&mut self, nodelay: bool) -> io::Result<()> {
        let (port, on) = (self.port, nodelay);
        self.log.borrow_mut().push(Event::Nodelay { port, on });
        Ok(())
    }
}

impl AsyncRead for MemoryStream {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        into: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_read(context, into)
    }
}

impl AsyncWrite for MemoryStream {
    fn poll_write(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        let result = Pin::new(&mut self.stream).poll_write(context, bytes);
        if let Poll::Ready(Ok(len)) = result {
            let bytes = bytes[..len].to_vec();
            self.log.borrow_mut().push(Event::Wrote {
                port: self.port,
                bytes,
            });
        }
        result
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(context)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(context)
    }
}

/// Both clocks follow the runtime's paused one.
pub struct MemoryClock {
    started: tokio::time::Instant,
}

impl MemoryClock {
    pub fn new() -> Self {
        Self {
            started: tokio::time::Instant::now(),
        }
    }
}

impl Clock for MemoryClock {
    fn now(&self) -> Now {
        let since = self.started.elapsed();
        let wall = 1_700_000_000_000 + since.as_millis() as i64;
        Now {
            mono: Mono(since.as_micros() as u64),
            wall: WallMillis(wall),
        }
    }

    fn sleep_until(&self, at: Mono) -> impl Future<Output = ()> + 'static {
        tokio::time::sleep_until(self.started + Duration::from_micros(at.0))
    }
}

/// A state file that survives the process.
#[derive(Clone, Default)]
pub struct MemoryDisk(Rc<RefCell<File>>, MemoryFiles);

#[derive(Default)]
struct File {
    content: Option<Vec<u8>>,
    sync_takes: Duration,
    full: bool,
    replaced: Vec<Replace>,
}

impl MemoryDisk {
    /// The files of data.
    pub fn data(&self) -> &MemoryFiles {
        &self.1
    }

    pub fn content(&self) -> Option<Vec<u8>> {
        self.0.borrow().content.clone()
    }

    pub fn set_content(&self, content: &[u8]) {
        self.0.borrow_mut().content = Some(content.to_vec());
    }

    pub fn set_sync_takes(&self, time: Duration) {
        self.0.borrow_mut().sync_takes = time;
    }

    pub fn fill_up(&self) {
        self.0.borrow_mut().full = true;
    }

    pub fn replaced(&self) -> Vec<Replace> {
        self.0.borrow().replaced.clone()
    }
}

impl Disk for MemoryDisk {
    async fn load(&self) -> io::Result<Option<Vec<u8>>> {
        Ok(self.content())
    }

    async fn save(&self, content: Vec<u8>, replace: Replace, sync: bool) -> io::Result<()> {
        let takes = self.0.borrow().sync_takes;
        if sync {
            tokio::time::sleep(takes).await;
        }
        let mut file = self.0.borrow_mut();
        if file.full {
            return Err(io::ErrorKind::StorageFull.into());
        }
        file.replaced.push(replace);
        file.content = Some(content);
        Ok(())
    }

    fn files(&self) -> Arc<dyn Files> {
        Arc::new(self.1.clone())
    }

    async fn wait_for<T: 'static>(&self, work: impl FnOnce() -> T + 'static) -> T {
        let takes = self.0.borrow().sync_takes;
        tokio::time::sleep(takes).await;
        work()
    }

    fn beside<T: Send + 'static>(
        &self,
        work: impl FnOnce() -> T + Send + 'static,
    ) -> impl Future<Output = Option<T>> + 'static {
        let takes = self.0.borrow().sync_takes;
        async move {
            tokio::time::sleep(takes).await;
            Some(work())
        }
    }
}
