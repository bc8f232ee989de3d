//! The part of a kernel that a simulated network may lack: buffers and a backlog that go on
//! working while the process stands still.
//!
//! On real TCP the operating system does all this. A simulated network wraps its raw connections
//! in [`Socket`]s and its raw listener in a [`Backlog`].

use std::cell::{Cell, RefCell};
use std::collections::VecDeque;
use std::future::poll_fn;
use std::io;
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll, Waker};

use bytes::{Buf, BytesMut};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt, ReadBuf};
use tokio::task::{JoinHandle, spawn_local};

use crate::network::{Accepted, Listener, Stream};

/// Sizes of a socket's buffers, bytes. Full buffers push back on whoever fills them.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct BufferSizes {
    /// What arrived and is not read yet (`SO_RCVBUF`).
    pub receive: usize,
    /// What is written and not sent yet (`SO_SNDBUF`).
    pub send: usize,
}

impl Default for BufferSizes {
    /// What Linux gives a socket that is neither idle nor tuned.
    fn default() -> Self {
        Self {
            receive: 6 << 20,
            send: 4 << 20,
        }
    }
}

/// A connection whose bytes are moved by tasks of their own, between bounded buffers and a raw
/// stream.
///
/// Dropping it is `close`: what was written still leaves, what was not read is lost.
#[derive(Debug)]
pub struct Socket {
    buffers: Rc<RefCell<Buffers>>,
    receiving: JoinHandle<()>,
    nodelay: Rc<Cell<bool>>,
}

#[derive(Debug)]
struct Buffers {
    sizes: BufferSizes,
    received: BytesMut,
    /// What follows the bytes received: the end, or why the connection broke.
    end: Option<Result<(), io::ErrorKind>>,
    to_send: BytesMut,
    send_error: Option<io::ErrorKind>,
    closed: bool,
    reader: Option<Waker>,
    writer: Option<Waker>,
    receive_task: Option<Waker>,
    send_task: Option<Waker>,
}

impl Socket {
    /// A socket over `raw`, which may look at `nodelay` to learn how `TCP_NODELAY` is set. Needs
    /// the `LocalSet` of the host it belongs to.
    pub fn new(
        raw: impl AsyncRead + AsyncWrite + 'static,
        sizes: BufferSizes,
        nodelay: Rc<Cell<bool>>,
    ) -> Self {
        let buffers = Rc::new(RefCell::new(Buffers {
            sizes,
            received: BytesMut::new(),
            end: None,
            to_send: BytesMut::new(),
            send_error: None,
            closed: false,
            reader: None,
            writer: None,
            receive_task: None,
            send_task: None,
        }));
        let (input, output) = tokio::io::split(raw);
        spawn_local(send(output, Rc::clone(&buffers)));
        let receiving = spawn_local(receive(input, Rc::clone(&buffers)));
        Self {
            buffers,
            receiving,
            nodelay,
        }
    }
}

impl Drop for Socket {
    fn drop(&mut self) {
        self.receiving.abort();
        let mut buffers = self.buffers.borrow_mut();
        buffers.closed = true;
        wake(&mut buffers.send_task);
    }
}

impl Stream for Socket {
    fn set_nodelay(&mut self, nodelay: bool) -> io::Result<()> {
        self.nodelay.set(nodelay);
        Ok(())
    }
}

impl AsyncRead for Socket {
    fn poll_read(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
        into: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let mut buffers = self.buffers.borrow_mut();
        if !buffers.received.is_empty() {
            let len = into.remaining().min(buffers.received.len());
            into.put_slice(&buffers.received[..len]);
            buffers.received.advance(len);
            wake(&mut buffers.receive_task);
            return Poll::Ready(Ok(()));
        }
        match buffers.end {
            Some(end) => Poll::Ready(end.map_err(io::Error::from)),
            None => {
                buffers.reader = Some(context.waker().clone());
                Poll::Pending
            }
        }
    }
}

impl AsyncWrite for Socket {
    fn poll_write(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        let mut buffers = self.buffers.borrow_mut();
        if let Some(error) = buffers.send_error {
            return Poll::Ready(Err(error.into()));
        }
        let room = buffers.sizes.send.saturating_sub(buffers.to_send.len());
        if room == 0 && !bytes.is_empty() {
            buffers.writer = Some(context.waker().clone());
            return Poll::Pending;
        }
        let len = room.min(bytes.len());
        buffers.to_send.extend_from_slice(&bytes[..len]);
        wake(&mut buffers.send_task);
        Poll::Ready(Ok(len))
    }

    fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        let mut buffers = self.buffers.borrow_mut();
        buffers.closed = true;
        wake(&mut buffers.send_task);
        Poll::Ready(Ok(()))
    }
}

/// Moves bytes from the raw stream into the receive buffer as long as there is room.
async fn receive(mut raw: impl AsyncRead + Unpin, buffers: Rc<RefCell<Buffers>>) {
    let mut chunk = vec![0; 16 << 10];
    loop {
        let room = poll_fn(|context| {
            let mut buffers = buffers.borrow_mut();
            let room = buffers.sizes.receive.saturating_sub(buffers.received.len());
            if room == 0 {
                buffers.receive_task = Some(context.waker().clone());
                return Poll::Pending;
            }
            Poll::Ready(room.min(chunk.len()))
        })
        .await;
        let result = raw.read(&mut chunk[..room]).await;
        let mut buffers = buffers.borrow_mut();
        match result {
            Ok(0) => buffers.end = Some(Ok(())),
            Ok(len) => buffers.received.extend_from_slice(&chunk[..len]),
            Err(error) => buffers.end = Some(Err(error.kind())),
        }
        wake(&mut buffers.reader);
        if buffers.end.is_some() {
            return;
        }
    }
}

/// Moves bytes from the send buffer into the raw stream, and closes it when all have left.
async fn send(mut raw: impl AsyncWrite + Unpin, buffers: Rc<RefCell<Buffers>>) {
    while let Some(chunk) = poll_fn(|context| next_to_send(&buffers, context)).await {
        let mut result = raw.write_all(&chunk).await;
        if result.is_ok() {
            result = raw.flush().await;
        }
        if let Err(error) = result {
            let mut buffers = buffers.borrow_mut();
            buffers.send_error = Some(error.kind());
            buffers.to_send.clear();
            wake(&mut buffers.writer);
            return;
        }
    }
    // The peer may be gone already; there is nobody left to tell.
    let _ = raw.shutdown().await;
}

/// What leaves next; `None` once the socket is closed and empty.
fn next_to_send(buffers: &RefCell<Buffers>, context: &Context<'_>) -> Poll<Option<BytesMut>> {
    let mut buffers = buffers.borrow_mut();
    if buffers.to_send.is_empty() {
        if buffers.closed {
            return Poll::Ready(None);
        }
        buffers.send_task = Some(context.waker().clone());
        return Poll::Pending;
    }
    let len = buffers.to_send.len().min(64 << 10);
    let chunk = buffers.to_send.split_to(len);
    wake(&mut buffers.writer);
    Poll::Ready(Some(chunk))
}

/// A listening socket whose connections are set up by a task of its own.
#[derive(Debug)]
pub struct Backlog<S> {
    waiting: Rc<RefCell<Waiting<S>>>,
    accepting: JoinHandle<()>,
}

#[derive(Debug)]
struct Waiting<S> {
    queue: VecDeque<Accepted<S>>,
    size: usize,
    listener: Option<Waker>,
    accept_task: Option<Waker>,
}

impl<S: Stream> Backlog<S> {
    /// A backlog of up to `size` connections, which `accept` sets up one after the other. Needs
    /// the `LocalSet` of the host it belongs to. An error of `accept` concerns one connection.
    pub fn new(
        mut accept: impl AsyncFnMut() -> io::Result<Accepted<S>> + 'static,
        size: usize,
    ) -> Self {
        let waiting = Rc::new(RefCell::new(Waiting {
            queue: VecDeque::new(),
            size,
            listener: None,
            accept_task: None,
        }));
        let shared = Rc::clone(&waiting);
        let accepting = spawn_local(async move {
            loop {
                poll_fn(|context| shared.borrow_mut().poll_room(context)).await;
                match accept().await {
                    Ok(accepted) => {
                        let mut waiting = shared.borrow_mut();
                        waiting.queue.push_back(accepted);
                        wake(&mut waiting.listener);
                    }
                    Err(error) => {
                        tracing::debug!(%error, "a connection could not be set up");
                        // Whatever is short will not be there at once.
                        tokio::time::sleep(std::time::Duration::from_millis(1)).await;
                    }
                }
            }
        });
        Self { waiting, accepting }
    }
}

impl<S> Waiting<S> {
    fn poll_room(&mut self, context: &Context<'_>) -> Poll<()> {
        if self.queue.len() < self.size {
            return Poll::Ready(());
        }
        self.accept_task = Some(context.waker().clone());
        Poll::Pending
    }
}

impl<S> Drop for Backlog<S> {
    fn drop(&mut self) {
        self.accepting.abort();
    }
}

impl<S: Stream> Listener for Backlog<S> {
    type Stream = S;

    fn poll_accept(&mut self, context: &mut Context<'_>) -> Poll<io::Result<Accepted<S>>> {
        let mut waiting = self.waiting.borrow_mut();
        match waiting.queue.pop_front() {
            Some(accepted) => {
                wake(&mut waiting.accept_task);
                Poll::Ready(Ok(accepted))
            }
            None => {
                waiting.listener = Some(context.waker().clone());
                Poll::Pending
            }
        }
    }
}

fn wake(waker: &mut Option<Waker>) {
    if let Some(waker) = waker.take() {
        waker.wake();
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use tokio::io::duplex;
    use tokio::task::LocalSet;
    use tokio::time::{sleep, timeout};

    use super::*;

    const SIZES: BufferSizes = BufferSizes {
        receive: 100,
        send: 100,
    };

    fn simulate(test: impl Future<Output = ()>) {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_time()
            .start_paused(true)
            .build()
            .unwrap();
        LocalSet::new().block_on(&runtime, test);
    }

    async fn a_while() {
        sleep(Duration::from_millis(10)).await;
    }

    #[test]
    fn a_socket_takes_what_arrives_until_its_receive_buffer_is_full() {
        simulate(async {
            let (raw, mut peer) = duplex(10);
            let mut socket = Socket::new(raw, SIZES, Rc::default());
            let sending = spawn_local(async move {
                peer.write_all(&[7; 150]).await.unwrap();
                peer
            });
            a_while().await;
            assert!(
                !sending.is_finished(),
                "100 received and 10 under way, no more"
            );
            assert_eq!(socket.buffers.borrow().received.len(), 100);
            let mut received = vec![0; 150];
            socket.read_exact(&mut received).await.unwrap();
            assert!(timeout(Duration::from_secs(1), sending).await.is_ok());
        });
    }

    #[test]
    fn a_write_waits_while_the_send_buffer_is_full() {
        simulate(async {
            let (raw, mut peer) = duplex(10);
            let mut socket = Socket::new(raw, SIZES, Rc::default());
            let writing = socket.write_all(&[7; 500]);
            assert!(timeout(Duration::from_secs(1), writing).await.is_err());
            let mut received = vec![0; 100];
            peer.read_exact(&mut received).await.unwrap();
            assert_eq!(received, [7; 100]);
        });
    }

    #[test]
    fn what_was_written_still_leaves_after_a_close_and_then_the_end() {
        simulate(async {
            let (raw, mut peer) = duplex(10);
            let mut socket = Socket::new(raw, SIZES, Rc::default());
            socket
                .write_all(b"the last words, longer than the line")
                .await
                .unwrap();
            drop(socket);
            let mut received = String::new();
            peer.read_to_string(&mut received).await.unwrap();
            assert_eq!(received, "the last words, longer than the line");
        });
    }

    #[test]
    fn bytes_that_came_before_the_end_are_read_first() {
        simulate(async {
            let (raw, mut peer) = duplex(100);
            let mut socket = Socket::new(raw, SIZES, Rc::default());
            peer.write_all(b"bye").await.unwrap();
            drop(peer);
            a_while().await;
            let mut received = String::new();
            socket.read_to_string(&mut received).await.unwrap();
            assert_eq!(received, "bye");
            assert!(socket.write_all(b"?").await.is_ok(), "the kernel takes it");
            a_while().await;
            assert!(
                socket.write_all(b"?").await.is_err(),
                "and learns that nobody is there"
            );
        });
    }

    #[test]
    fn a_backlog_accepts_while_nobody_asks_until_it_is_full() {
        simulate(async {
            let arrived = Rc::new(Cell::new(0));
            let arriving = Rc::clone(&arrived);
            let accept = async move || {
                let (raw, _peer) = duplex(10);
                arriving.set(arriving.get() + 1);
                Ok(Accepted {
                    stream: Socket::new(raw, SIZES, Rc::default()),
                    peer: ([10, 0, 0, 1], 1).into(),
                    local: ([10, 0, 0, 2], 2).into(),
                })
            };
            let mut backlog = Backlog::new(accept, 3);
            a_while().await;
            assert_eq!(arrived.get(), 3);
            poll_fn(|context| backlog.poll_accept(context))
                .await
                .unwrap();
            a_while().await;
            assert_eq!(arrived.get(), 4, "there was room again");
        });
    }
}
