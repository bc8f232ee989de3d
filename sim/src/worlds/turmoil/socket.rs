//! The network as a process in this world sees it: `redrill_server`'s traits over the fabric.

use std::future::Future;
use std::io;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll};

use redrill_server::{Accepted, Listener, Network, Stream};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::task::{JoinHandle, spawn_local};
use turmoil::net::tcp::OwnedReadHalf;
use turmoil::net::{TcpListener, TcpStream};

use super::fabric::{Arrived, Backlog, KernelNumber, Shared, Waiting, Wire};
use super::time::HostTime;
use crate::network::{HostNumber, Transit};
use crate::tcp::{Answer, Dial, Side};

/// The network of one host.
#[derive(Clone, Debug)]
pub(super) struct HostNetwork {
    pub(super) fabric: Shared,
    pub(super) directory: Rc<Directory>,
    pub(super) host: HostNumber,
    pub(super) kernel: KernelNumber,
    pub(super) time: HostTime,
}

/// Where nodes are, in the cluster and in turmoil.
#[derive(Debug)]
pub(super) struct Directory {
    /// Client and bus addresses of the nodes.
    pub(super) nodes: Vec<[SocketAddr; 2]>,
    /// Their hosts in turmoil.
    pub(super) turmoil: Vec<IpAddr>,
    /// The address that clients and the operator seem to come from.
    pub(super) outside: IpAddr,
}

/// A connection.
#[derive(Debug)]
pub(super) struct Socket {
    fabric: Shared,
    time: HostTime,
    wire: Wire,
    side: Side,
    /// Taken when it is dropped.
    input: Option<OwnedReadHalf>,
}

/// A listening socket. A task of the process's keeps accepting while the event loop stands still.
#[derive(Debug)]
pub(super) struct Listening {
    fabric: Shared,
    time: HostTime,
    local: SocketAddr,
    backlog: Backlog,
    accepting: JoinHandle<()>,
}

impl Directory {
    fn find(&self, address: SocketAddr) -> Option<usize> {
        self.nodes
            .iter()
            .position(|addresses| addresses.contains(&address))
    }

    /// The address that a host's connections seem to come from.
    fn seen_as(&self, kernel: KernelNumber, port: u16) -> SocketAddr {
        let ip = self
            .nodes
            .get(kernel)
            .map_or(self.outside, |addresses| addresses[0].ip());
        SocketAddr::new(ip, port)
    }
}

impl Network for HostNetwork {
    type Stream = Socket;
    type Listener = Listening;

    async fn listen(&self, port: u16) -> io::Result<Listening> {
        let listener = TcpListener::bind((Ipv4Addr::UNSPECIFIED, port)).await?;
        let backlog = Backlog::default();
        let (fabric, waiting) = (Rc::clone(&self.fabric), Rc::clone(&backlog));
        let accepting = spawn_local(async move {
            while let Ok((stream, from)) = listener.accept().await {
                fabric
                    .borrow_mut()
                    .accepted(from, stream, Rc::clone(&waiting));
            }
        });
        Ok(Listening {
            fabric: Rc::clone(&self.fabric),
            time: self.time,
            local: self.directory.seen_as(self.kernel, port),
            backlog,
            accepting,
        })
    }

    fn connect(&self, to: SocketAddr) -> impl Future<Output = io::Result<Socket>> + 'static {
        self.clone().connect_to(to)
    }
}

impl HostNetwork {
    async fn connect_to(self, to: SocketAddr) -> io::Result<Socket> {
        let Some(node) = self.directory.find(to) else {
            // Nobody answers at an address that nobody has.
            return std::future::pending().await;
        };
        let turmoil = SocketAddr::new(self.directory.turmoil[node], to.port());
        let mut dial = Dial::new(self.host, node as HostNumber);
        loop {
            let now_us = self.time.now_us();
            let transit = dial.send(now_us, &mut self.fabric.borrow_mut().network);
            if let Transit::Arrives(at_us) = transit
                && let Some(result) = self.knock(&mut dial, node, turmoil, at_us).await
            {
                return result;
            }
            self.time.until(dial.retry_at_us()).await;
            if dial.is_last() {
                return Err(io::ErrorKind::TimedOut.into());
            }
        }
    }

    /// A SYN arrives at `at_us`. `None` if the answer to it got lost.
    async fn knock(
        &self,
        dial: &mut Dial,
        node: usize,
        turmoil: SocketAddr,
        at_us: u64,
    ) -> Option<io::Result<Socket>> {
        self.time.until_tick_of(at_us).await;
        let stream = TcpStream::connect(turmoil).await;
        let answer = {
            let mut fabric = self.fabric.borrow_mut();
            dial.answer(self.time.now_us(), stream.is_ok(), &mut fabric.network)
        };
        match (stream, answer) {
            (_, Answer::Lost) => None,
            (_, Answer::Refused(at_us)) => {
                self.time.until_tick_of(at_us).await;
                Some(Err(io::ErrorKind::ConnectionRefused.into()))
            }
            (Ok(stream), Answer::Accepted { opener_us, .. }) => {
                self.time.until_tick_of(opener_us).await;
                let port = stream.local_addr().map_or(0, |address| address.port());
                let peer = self.directory.seen_as(self.kernel, port);
                let opener = (self.host, self.kernel);
                let accepter = (node as HostNumber, node);
                let mut fabric = self.fabric.borrow_mut();
                let established = fabric.establish(stream, opener, accepter, peer);
                drop(fabric);
                Some(match established {
                    Some((wire, input)) => Ok(self.socket(wire, Side::Opener, input)),
                    None => Err(io::ErrorKind::ConnectionReset.into()),
                })
            }
            (Err(error), Answer::Accepted { .. }) => Some(Err(error)),
        }
    }

    fn socket(&self, wire: Wire, side: Side, input: OwnedReadHalf) -> Socket {
        Socket {
            fabric: Rc::clone(&self.fabric),
            time: self.time,
            wire,
            side,
            input: Some(input),
        }
    }
}

impl Listener for Listening {
    type Stream = Socket;

    fn poll_accept(&mut self, context: &mut Context<'_>) -> Poll<io::Result<Accepted<Socket>>> {
        let mut waiting = self.backlog.borrow_mut();
        match waiting.sockets.pop_front() {
            Some(arrived) => Poll::Ready(Ok(Accepted {
                stream: Socket {
                    fabric: Rc::clone(&self.fabric),
                    time: self.time,
                    wire: arrived.wire,
                    side: Side::Accepter,
                    input: Some(arrived.input),
                },
                peer: arrived.peer,
                local: self.local,
            })),
            None => {
                waiting.waker = Some(context.waker().clone());
                Poll::Pending
            }
        }
    }
}

impl Drop for Listening {
    fn drop(&mut self) {
        self.accepting.abort();
        let Waiting { sockets, .. } = self.backlog.replace(Waiting {
            closed: true,
            ..Waiting::default()
        });
        let now_us = self.time.now_us();
        for Arrived { wire, input, .. } in sockets {
            self.fabric
                .borrow_mut()
                .close(wire, Side::Accepter, input, now_us);
        }
    }
}

impl Stream for Socket {
    fn set_nodelay(&mut self, nodelay: bool) -> io::Result<()> {
        let now_us = self.time.now_us();
        self.fabric
            .borrow_mut()
            .set_nodelay(self.wire, self.side, nodelay, now_us);
        Ok(())
    }
}

impl AsyncRead for Socket {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        into: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let (wire, side) = (self.wire, self.side);
        if let Some(error) = self.fabric.borrow().broken(wire, side) {
            return Poll::Ready(Err(error.into()));
        }
        let before = into.filled().len();
        let Some(input) = &mut self.input else {
            return Poll::Ready(Ok(()));
        };
        let Poll::Ready(result) = Pin::new(input).poll_read(context, into) else {
            self.fabric.borrow_mut().watch(wire, side, context.waker());
            return Poll::Pending;
        };
        let bytes = into.filled().len() - before;
        if bytes > 0 {
            let now_us = self.time.now_us();
            self.fabric.borrow_mut().read(wire, side, bytes, now_us);
        }
        Poll::Ready(result)
    }
}

impl AsyncWrite for Socket {
    fn poll_write(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        let now_us = self.time.now_us();
        let mut fabric = self.fabric.borrow_mut();
        if let Some(error) = fabric.broken(self.wire, self.side) {
            return Poll::Ready(Err(error.into()));
        }
        let taken = fabric.write(self.wire, self.side, bytes, now_us, context.waker());
        if taken == 0 && !bytes.is_empty() {
            return Poll::Pending;
        }
        Poll::Ready(Ok(taken))
    }

    fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        // Nobody here closes one half: dropping closes both.
        Poll::Ready(Ok(()))
    }
}

impl Drop for Socket {
    fn drop(&mut self) {
        if let Some(input) = self.input.take() {
            let now_us = self.time.now_us();
            self.fabric
                .borrow_mut()
                .close(self.wire, self.side, input, now_us);
        }
    }
}
