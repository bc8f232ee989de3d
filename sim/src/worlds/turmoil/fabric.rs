//! What lies under all hosts: connections as [`crate::tcp`] models them, over turmoil's streams.
//!
//! The model decides when bytes arrive; then the kernel of the host that sent them hands them to
//! turmoil, which carries them over in the same or the next tick. turmoil's own latency is none,
//! its own faults are not used.

use std::cell::RefCell;
use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::io;
use std::net::SocketAddr;
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Waker};

use bytes::Bytes;
use tokio::io::AsyncWrite;
use turmoil::net::TcpStream;
use turmoil::net::tcp::{OwnedReadHalf, OwnedWriteHalf};

use super::time::end_of_tick;
use crate::network::{HostNumber, Network};
use crate::tcp::{Break, Connection, NEVER, Progress, Side};

/// The fabric, shared by everything in one run's thread.
pub(super) type Shared = Rc<RefCell<Fabric>>;

/// Place of a turmoil host: nodes by number, then the one host of all clients and the operator.
pub(super) type KernelNumber = usize;

/// A connection in the fabric.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub(super) struct Wire(usize);

/// All connections and kernels of a run.
#[derive(Debug)]
pub(super) struct Fabric {
    pub(super) network: Network,
    wires: Vec<Option<Both>>,
    free: Vec<usize>,
    kernels: Vec<Kernel>,
    /// Streams that turmoil has accepted and whose openers have not told who they are, by the
    /// opener's address in turmoil.
    accepted: BTreeMap<SocketAddr, (TcpStream, Backlog)>,
    /// The run is over; sockets that are dropped now mean nothing.
    over: bool,
}

/// A listener's connections that nobody has taken yet.
pub(super) type Backlog = Rc<RefCell<Waiting>>;

/// See [`Backlog`].
#[derive(Debug, Default)]
pub(super) struct Waiting {
    pub(super) sockets: VecDeque<Arrived>,
    pub(super) waker: Option<Waker>,
    /// The listener is no more.
    pub(super) closed: bool,
}

/// A connection in a backlog.
#[derive(Debug)]
pub(super) struct Arrived {
    pub(super) wire: Wire,
    pub(super) input: OwnedReadHalf,
    pub(super) peer: SocketAddr,
}

/// A connection with its two ends.
#[derive(Debug)]
struct Both {
    tcp: Connection,
    /// The latest time the model was told; it is never told an earlier one.
    told_us: u64,
    ends: [End; 2],
}

#[derive(Debug)]
struct End {
    kernel: KernelNumber,
    output: Option<OwnedWriteHalf>,
    /// Kept after the application closed, so that turmoil does not end the stream on its own.
    input: Option<OwnedReadHalf>,
    /// Written, and not arrived.
    sent: VecDeque<Bytes>,
    /// Arrived, and to be handed to turmoil.
    arrived: VecDeque<Bytes>,
    arrived_eof: bool,
    /// When the kernel has to look at it.
    scheduled_us: u64,
    broken: Option<Break>,
    closed: bool,
    reader: Option<Waker>,
    writer: Option<Waker>,
}

/// What a turmoil host has to do for its connections.
#[derive(Debug, Default)]
struct Kernel {
    due: BTreeSet<(u64, Wire, Side)>,
    to_hand_over: BTreeSet<(Wire, Side)>,
    /// Streams to be dropped here, where turmoil knows them.
    dead: Vec<(Option<OwnedReadHalf>, Option<OwnedWriteHalf>)>,
    waker: Option<Waker>,
}

/// For sockets.
impl Fabric {
    pub(super) fn new(network: Network, kernels: usize) -> Self {
        Self {
            network,
            wires: Vec::new(),
            free: Vec::new(),
            kernels: (0..kernels).map(|_| Kernel::default()).collect(),
            accepted: BTreeMap::new(),
            over: false,
        }
    }

    /// turmoil accepted a stream from an address.
    pub(super) fn accepted(&mut self, from: SocketAddr, stream: TcpStream, backlog: Backlog) {
        self.accepted.insert(from, (stream, backlog));
    }

    /// Makes a connection of a stream that turmoil has set up. `None` if whoever accepted it is
    /// no more.
    pub(super) fn establish(
        &mut self,
        stream: TcpStream,
        opener: (HostNumber, KernelNumber),
        accepter: (HostNumber, KernelNumber),
        peer: SocketAddr,
    ) -> Option<(Wire, OwnedReadHalf)> {
        let local = stream.local_addr().ok()?;
        let (other, backlog) = self.accepted.remove(&local)?;
        let (input, output) = stream.into_split();
        let (other_input, other_output) = other.into_split();
        if backlog.borrow().closed {
            self.bury(accepter.1, Some(other_input), Some(other_output));
            return None;
        }
        let segment_bytes = self.network.segment_bytes(opener.0, accepter.0);
        let both = Both {
            tcp: Connection::new(opener.0, accepter.0, segment_bytes),
            told_us: 0,
            ends: [
                End::new(opener.1, output),
                End::new(accepter.1, other_output),
            ],
        };
        let wire = match self.free.pop() {
            Some(place) => {
                self.wires[place] = Some(both);
                Wire(place)
            }
            None => {
                self.wires.push(Some(both));
                Wire(self.wires.len() - 1)
            }
        };
        let mut waiting = backlog.borrow_mut();
        waiting.sockets.push_back(Arrived {
            wire,
            input: other_input,
            peer,
        });
        wake(&mut waiting.waker);
        Some((wire, input))
    }

    pub(super) fn set_nodelay(&mut self, wire: Wire, side: Side, nodelay: bool, now_us: u64) {
        self.with(wire, now_us, |both, network| {
            both.tcp.set_nodelay(side, nodelay, both.told_us, network);
        });
    }

    /// Why a connection is broken at an end, if it is.
    pub(super) fn broken(&self, wire: Wire, side: Side) -> Option<io::ErrorKind> {
        let both = self.wires.get(wire.0)?.as_ref()?;
        both.ends[side as usize].broken.map(|why| match why {
            Break::Reset => io::ErrorKind::ConnectionReset,
            Break::TimedOut => io::ErrorKind::TimedOut,
        })
    }

    /// Has a reader woken if the connection breaks.
    pub(super) fn watch(&mut self, wire: Wire, side: Side, reader: &Waker) {
        if let Some(Some(both)) = self.wires.get_mut(wire.0) {
            both.ends[side as usize].reader = Some(reader.clone());
        }
    }

    /// Writes what the send buffer takes. Nothing is taken if it is full; then `writer` is woken.
    pub(super) fn write(
        &mut self,
        wire: Wire,
        side: Side,
        bytes: &[u8],
        now_us: u64,
        writer: &Waker,
    ) -> usize {
        let mut taken = 0;
        self.with(wire, now_us, |both, network| {
            taken = both
                .tcp
                .write(side, bytes.len() as u64, both.told_us, network)
                as usize;
            let end = &mut both.ends[side as usize];
            if taken > 0 {
                end.sent.push_back(Bytes::copy_from_slice(&bytes[..taken]));
            } else if !bytes.is_empty() {
                end.writer = Some(writer.clone());
            }
        });
        taken
    }

    /// An application has read bytes.
    pub(super) fn read(&mut self, wire: Wire, side: Side, bytes: usize, now_us: u64) {
        self.with(wire, now_us, |both, network| {
            both.tcp.read(side, bytes as u64, both.told_us, network);
        });
    }

    /// An application closed its end.
    pub(super) fn close(&mut self, wire: Wire, side: Side, input: OwnedReadHalf, now_us: u64) {
        self.with(wire, now_us, |both, network| {
            both.tcp.close(side, both.told_us, network);
            let end = &mut both.ends[side as usize];
            end.closed = true;
            end.input = Some(input);
            end.reader = None;
            end.writer = None;
        });
    }
}

/// For the world.
impl Fabric {
    /// Changes the network, after everything up to now has happened on the old one.
    pub(super) fn change_network(&mut self, now_us: u64, change: impl FnOnce(&mut Network)) {
        for place in 0..self.wires.len() {
            self.with(Wire(place), now_us, |_, _| {});
        }
        change(&mut self.network);
    }

    /// A host loses power: its ends of all connections are gone, silently.
    pub(super) fn lose_power(&mut self, kernel: KernelNumber, now_us: u64) {
        for place in 0..self.wires.len() {
            self.with(Wire(place), now_us, |both, network| {
                for side in Side::BOTH {
                    let end = &mut both.ends[side as usize];
                    if end.kernel == kernel {
                        end.arrived.clear();
                        both.tcp.vanish(side, both.told_us, network);
                    }
                }
            });
        }
    }
}

/// For kernels.
impl Fabric {
    /// The run is over.
    pub(super) const fn end(&mut self) {
        self.over = true;
    }

    /// Does what a kernel has to do by now. When it has to be called again.
    pub(super) fn work(&mut self, kernel: KernelNumber, now_us: u64, waker: &Waker) -> u64 {
        self.kernels[kernel].waker = None;
        while let Some(&(at_us, wire, side)) = self.kernels[kernel].due.first()
            && at_us <= end_of_tick(now_us)
        {
            self.kernels[kernel].due.pop_first();
            if let Some(Some(both)) = self.wires.get_mut(wire.0) {
                both.ends[side as usize].scheduled_us = NEVER;
            }
            self.with(wire, now_us, |_, _| {});
        }
        while let Some((wire, side)) = self.kernels[kernel].to_hand_over.pop_first() {
            self.hand_over(wire, side);
        }
        let kernel = &mut self.kernels[kernel];
        kernel.dead.clear();
        kernel.waker = Some(waker.clone());
        kernel.due.first().map_or(NEVER, |due| due.0)
    }

    /// Tells the model the time, lets `act` act, and sees to what follows.
    fn with(&mut self, wire: Wire, now_us: u64, act: impl FnOnce(&mut Both, &mut Network)) {
        let Some(Some(both)) = self.wires.get_mut(wire.0) else {
            return;
        };
        if self.over {
            return;
        }
        both.told_us = both.told_us.max(now_us);
        act(both, &mut self.network);
        both.told_us = both.told_us.max(end_of_tick(now_us));
        let progress = both.tcp.poll(both.told_us, &mut self.network);
        for (side, progress) in Side::BOTH.into_iter().zip(progress) {
            self.progressed(wire, side, progress);
        }
        self.schedule(wire);
        self.reap(wire);
    }

    /// Something happened at an end.
    fn progressed(&mut self, wire: Wire, side: Side, progress: Progress) {
        let Some(Some(both)) = self.wires.get_mut(wire.0) else {
            return;
        };
        let sender = &mut both.ends[side.other() as usize];
        if progress.arrived_bytes > 0 || progress.eof {
            sender.move_arrived(progress.arrived_bytes as usize);
            sender.arrived_eof |= progress.eof;
            let kernel = &mut self.kernels[sender.kernel];
            kernel.to_hand_over.insert((wire, side.other()));
            wake(&mut kernel.waker);
        }
        let receiver = &mut both.ends[side as usize];
        if progress.broken.is_some() {
            receiver.broken = progress.broken;
            wake(&mut receiver.reader);
        }
        if progress.writable || progress.broken.is_some() {
            wake(&mut receiver.writer);
        }
    }

    fn schedule(&mut self, wire: Wire) {
        let Some(Some(both)) = self.wires.get_mut(wire.0) else {
            return;
        };
        for side in Side::BOTH {
            let next_us = both.tcp.next_event_of_us(side);
            let end = &mut both.ends[side as usize];
            if next_us == end.scheduled_us {
                continue;
            }
            let kernel = &mut self.kernels[end.kernel];
            kernel.due.remove(&(end.scheduled_us, wire, side));
            end.scheduled_us = next_us;
            if next_us != NEVER {
                kernel.due.insert((next_us, wire, side));
                if kernel.due.first().is_some_and(|due| due.0 == next_us) {
                    wake(&mut kernel.waker);
                }
            }
        }
    }

    /// Gives turmoil what has arrived.
    fn hand_over(&mut self, wire: Wire, side: Side) {
        let Some(Some(both)) = self.wires.get_mut(wire.0) else {
            return;
        };
        let end = &mut both.ends[side as usize];
        let Some(output) = &mut end.output else {
            return;
        };
        let mut context = Context::from_waker(Waker::noop());
        // turmoil refuses only if the other half is gone, and then nobody is there to miss it.
        for bytes in end.arrived.drain(..) {
            let _ = Pin::new(&mut *output).poll_write(&mut context, &bytes);
        }
        if end.arrived_eof {
            let _ = Pin::new(&mut *output).poll_shutdown(&mut context);
        }
    }

    /// Forgets a connection that nobody will hear of again.
    fn reap(&mut self, wire: Wire) {
        let Some(Some(both)) = self.wires.get(wire.0) else {
            return;
        };
        let handed_over = both
            .ends
            .iter()
            .all(|end| end.closed && end.arrived.is_empty());
        if !handed_over || !both.tcp.is_over() {
            return;
        }
        let Some(both) = self.wires[wire.0].take() else {
            return;
        };
        for (side, end) in Side::BOTH.into_iter().zip(both.ends) {
            let kernel = &mut self.kernels[end.kernel];
            kernel.due.remove(&(end.scheduled_us, wire, side));
            kernel.to_hand_over.remove(&(wire, side));
            self.bury(end.kernel, end.input, end.output);
        }
        self.free.push(wire.0);
    }

    fn bury(
        &mut self,
        kernel: KernelNumber,
        input: Option<OwnedReadHalf>,
        output: Option<OwnedWriteHalf>,
    ) {
        let kernel = &mut self.kernels[kernel];
        kernel.dead.push((input, output));
        wake(&mut kernel.waker);
    }
}

impl End {
    fn new(kernel: KernelNumber, output: OwnedWriteHalf) -> Self {
        Self {
            kernel,
            output: Some(output),
            input: None,
            sent: VecDeque::new(),
            arrived: VecDeque::new(),
            arrived_eof: false,
            scheduled_us: NEVER,
            broken: None,
            closed: false,
            reader: None,
            writer: None,
        }
    }

    /// The first bytes sent have arrived.
    fn move_arrived(&mut self, mut count: usize) {
        while count > 0 {
            let Some(first) = self.sent.front_mut() else {
                return;
            };
            let bytes = if first.len() <= count {
                self.sent.pop_front().unwrap_or_default()
            } else {
                first.split_to(count)
            };
            count -= bytes.len();
            self.arrived.push_back(bytes);
        }
    }
}

fn wake(waker: &mut Option<Waker>) {
    if let Some(waker) = waker.take() {
        waker.wake();
    }
}
