//! The network as the event loop sees it.

use std::future::Future;
use std::io;
use std::net::{IpAddr, SocketAddr};
use std::task::{Context, Poll};

use tokio::io::{AsyncRead, AsyncWrite};

/// A host's network: real TCP or a simulation of it.
///
/// Nothing here needs to be `Send`: a server lives on one thread.
pub trait Network: 'static {
    /// A connection.
    type Stream: Stream;
    /// A listening socket.
    type Listener: Listener<Stream = Self::Stream>;

    /// Listens on a port of the host's addresses.
    ///
    /// # Errors
    /// If the port is taken or may not be bound.
    fn listen(&self, port: u16) -> impl Future<Output = io::Result<Self::Listener>>;

    /// Opens a connection. `TCP_NODELAY` is off at first, as a kernel has it.
    ///
    /// The future's error kind tells the node why it failed: `ConnectionRefused` means that
    /// nobody listens there, `ConnectionReset` and `ConnectionAborted` that the set-up was broken
    /// off, anything else that the address cannot be reached.
    fn connect(&self, to: SocketAddr) -> impl Future<Output = io::Result<Self::Stream>> + 'static;

    /// The address of a host. A network without names knows addresses alone.
    ///
    /// # Errors
    /// If nobody has that name.
    fn resolve(&self, host: &str) -> impl Future<Output = io::Result<IpAddr>> {
        let address = host
            .parse()
            .map_err(|_| io::Error::from(io::ErrorKind::NotFound));
        std::future::ready(address)
    }
}

/// A listening socket with the backlog of its kernel: connections are set up whether or not
/// anybody takes them, even while the event loop stands still.
pub trait Listener: 'static {
    /// A connection.
    type Stream: Stream;

    /// Takes the oldest connection that has been set up (`accept`).
    ///
    /// # Errors
    /// If this one connection cannot be taken (`ECONNABORTED`, `EMFILE`). The listener lives on.
    fn poll_accept(
        &mut self,
        context: &mut Context<'_>,
    ) -> Poll<io::Result<Accepted<Self::Stream>>>;
}

/// A connection taken from a [`Listener`].
#[derive(Debug)]
pub struct Accepted<S> {
    /// The connection; `TCP_NODELAY` is off at first.
    pub stream: S,
    /// The remote address.
    pub peer: SocketAddr,
    /// The address the peer connected to.
    pub local: SocketAddr,
}

/// A TCP connection. What has arrived waits in the kernel's receive buffer until it is read, what
/// is written waits in its send buffer and leaves without a flush; either is bounded, and
/// `Poll::Pending` is `EWOULDBLOCK`. Dropping it is `close`.
pub trait Stream: AsyncRead + AsyncWrite + Unpin + 'static {
    /// Sets `TCP_NODELAY`.
    ///
    /// # Errors
    /// If the connection is no more.
    fn set_nodelay(&mut self, nodelay: bool) -> io::Result<()>;

    /// Has the kernel find out after `interval_s` of silence whether the other side is still
    /// there (`SO_KEEPALIVE`). A network without kernels does nothing.
    ///
    /// # Errors
    /// If the connection is no more.
    fn set_keepalive(&mut self, interval_s: u32) -> io::Result<()> {
        let _ = interval_s;
        Ok(())
    }
}
