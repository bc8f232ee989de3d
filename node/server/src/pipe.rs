//! One connection's bytes: read without waiting, written as far as the kernel takes them.

use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, Waker};

use bytes::{Buf, BytesMut};
use redrill_node::LinkFailure;
use tokio::io::ReadBuf;

use crate::network::Stream;
use crate::ready::Readiness;

/// What one read found.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Read {
    /// Bytes, which are at the end of the input now.
    Some(usize),
    /// Nothing yet (`EWOULDBLOCK`); the descriptor becomes ready when there is.
    WouldBlock,
    /// The connection is over.
    Ended(LinkFailure),
}

/// A connected stream with the process's buffers on either side.
#[derive(Debug)]
pub(crate) struct Pipe<S> {
    stream: S,
    readiness: Arc<Readiness>,
    waker: Waker,
    /// Read and not decoded yet.
    pub(crate) input: BytesMut,
    ahead: Option<Ahead>,
    output: BytesMut,
    broken: Option<LinkFailure>,
}

/// What a look ahead found: as good as in the kernel still.
#[derive(Debug)]
enum Ahead {
    Bytes(BytesMut),
    Ended(LinkFailure),
}

impl<S: Stream> Pipe<S> {
    /// A pipe over a connection that is up, by which `output` is to leave. The caller marks it ready, for bytes may wait.
    pub(crate) fn new(stream: S, readiness: Arc<Readiness>, output: BytesMut) -> Self {
        Self {
            stream,
            waker: Waker::from(Arc::clone(&readiness)),
            readiness,
            input: BytesMut::new(),
            ahead: None,
            output,
            broken: None,
        }
    }

    /// Sets `TCP_NODELAY`. If the connection is over, the next read tells.
    pub(crate) fn set_nodelay(&mut self, nodelay: bool) {
        if let Err(error) = self.stream.set_nodelay(nodelay) {
            tracing::debug!(%error, "TCP_NODELAY could not be set");
        }
    }

    /// Sets `SO_KEEPALIVE`. If the connection is over, the next read tells.
    pub(crate) fn set_keepalive(&mut self, interval_s: u32) {
        if let Err(error) = self.stream.set_keepalive(interval_s) {
            tracing::debug!(%error, "SO_KEEPALIVE could not be set");
        }
    }

    /// Reads once, up to the length of `scratch`, onto the end of the input.
    pub(crate) fn read(&mut self, scratch: &mut [u8]) -> Read {
        match self.ahead.take() {
            Some(Ahead::Bytes(bytes)) => {
                let len = bytes.len();
                if self.input.is_empty() {
                    self.input = bytes;
                } else {
                    self.input.extend_from_slice(&bytes);
                }
                return Read::Some(len);
            }
            Some(Ahead::Ended(why)) => return self.ended(why),
            None => {}
        }
        if let Some(why) = self.broken {
            return self.ended(why);
        }
        match self.poll(scratch) {
            Poll::Ready(Ok(len)) => {
                self.input.extend_from_slice(&scratch[..len]);
                Read::Some(len)
            }
            Poll::Ready(Err(why)) => self.ended(why),
            Poll::Pending => Read::WouldBlock,
        }
    }

    /// Looks whether more can be read, as a level-triggered poll does; if so, the descriptor is
    /// ready again.
    pub(crate) fn look_ahead(&mut self, scratch: &mut [u8]) {
        if self.ahead.is_some() {
            return self.readiness.mark_ready();
        }
        self.ahead = match self.poll(scratch) {
            Poll::Ready(Ok(len)) => Some(Ahead::Bytes(BytesMut::from(&scratch[..len]))),
            Poll::Ready(Err(why)) => Some(Ahead::Ended(why)),
            Poll::Pending => return,
        };
        self.readiness.mark_ready();
    }

    /// Where to put what is to leave; `None` once the connection is over.
    pub(crate) const fn output(&mut self) -> Option<&mut BytesMut> {
        match self.broken {
            None => Some(&mut self.output),
            Some(_) => None,
        }
    }

    /// Why the connection is over, if it is known to be.
    pub(crate) const fn broken(&self) -> Option<LinkFailure> {
        self.broken
    }

    /// Bytes the kernel has not taken yet.
    pub(crate) fn queued(&self) -> usize {
        self.output.len()
    }

    /// Hands the kernel what it takes. If the connection broke, the descriptor becomes ready and
    /// the next read tells why.
    pub(crate) fn write(&mut self) {
        while !self.output.is_empty() && self.broken.is_none() {
            let mut context = Context::from_waker(&self.waker);
            let result = Pin::new(&mut self.stream).poll_write(&mut context, &self.output);
            match result {
                Poll::Ready(Ok(0)) => self.break_off(LinkFailure::Closed),
                Poll::Ready(Ok(len)) => self.output.advance(len),
                Poll::Ready(Err(error)) => self.break_off(failure(&error)),
                Poll::Pending => break,
            }
        }
    }

    fn poll(&mut self, scratch: &mut [u8]) -> Poll<Result<usize, LinkFailure>> {
        let mut into = ReadBuf::new(scratch);
        let mut context = Context::from_waker(&self.waker);
        match Pin::new(&mut self.stream).poll_read(&mut context, &mut into) {
            Poll::Ready(Ok(())) if into.filled().is_empty() => {
                Poll::Ready(Err(LinkFailure::Closed))
            }
            Poll::Ready(Ok(())) => Poll::Ready(Ok(into.filled().len())),
            Poll::Ready(Err(error)) => Poll::Ready(Err(failure(&error))),
            Poll::Pending => Poll::Pending,
        }
    }

    fn break_off(&mut self, why: LinkFailure) {
        self.broken = Some(why);
        self.output.clear();
        self.readiness.mark_ready();
    }

    fn ended(&mut self, why: LinkFailure) -> Read {
        self.broken = Some(why);
        self.output.clear();
        Read::Ended(why)
    }
}

/// What an I/O error says about the connection.
pub(crate) fn failure(error: &io::Error) -> LinkFailure {
    use io::ErrorKind;
    let kind = error.kind();
    if kind == ErrorKind::ConnectionRefused {
        LinkFailure::Refused
    } else if [
        ErrorKind::ConnectionReset,
        ErrorKind::ConnectionAborted,
        ErrorKind::BrokenPipe,
        ErrorKind::NotConnected,
    ]
    .contains(&kind)
    {
        LinkFailure::Reset
    } else if kind == ErrorKind::UnexpectedEof {
        LinkFailure::Closed
    } else {
        LinkFailure::Unreachable
    }
}
