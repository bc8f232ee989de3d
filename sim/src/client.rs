//! The workload clients: cluster-aware, without input and output of their own, the same in every
//! world.
//!
//! A client is one of two kinds:
//!
//! - A **pipelined** client is an open loop: operations leave at their times whatever has become
//!   of the earlier ones, so what is in flight is bounded by rate x timeout alone. It keeps one
//!   connection a node, learns the slots by `CLUSTER SLOTS`, follows MOVED and ASK, tries again
//!   after TRYAGAIN, CLUSTERDOWN and the like, and asks anew for the slots when something fails.
//!   It never repeats a write that may have happened.
//! - A **writer** (`hedge` or `sticky`) has one operation in flight, like the writers that
//!   measured real clusters: while it waits it asks another node each `hedge`, and takes the first
//!   acknowledgement; it is late rather than bursting after an outage. A sticky writer without
//!   `hedge` waits, and leaves its node only for MOVED.

mod links;
mod load;
mod pipeline;
pub(crate) mod slots;
mod tasks;
#[cfg(test)]
mod tests;
mod writer;

use std::net::SocketAddr;

use redrill_node::Word;
use redrill_node::{CommandLine, Reply, Slot};

use load::Load;
use pipeline::Pipeline;
pub use redrill_node::key_digest;
use writer::Writer;

use crate::rng::{Purpose, Streams};
use crate::scenario::{ClientSpec, NodeSpec, Workload};
use crate::trace::{ClientNumber, NodeNumber, Operation};

/// A workload client.
#[derive(Debug)]
pub struct Client(Kind);

#[derive(Debug)]
enum Kind {
    Writer(Box<Writer>),
    Pipeline(Box<Pipeline>),
}

/// What a client is made of.
#[derive(Clone, Copy, Debug)]
pub struct Setup<'a> {
    /// Its number.
    pub number: ClientNumber,
    /// How it behaves.
    pub spec: &'a ClientSpec,
    /// What it does.
    pub workload: &'a Workload,
    /// The cluster's nodes.
    pub nodes: &'a [NodeSpec],
    /// Their client addresses.
    pub addresses: &'a [SocketAddr],
    /// The run's randomness.
    pub streams: &'a Streams,
    /// When it begins, microseconds since the run began.
    pub start_us: u64,
}

/// A connection of a client. Never used twice by the same client.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub struct ConnectionId(pub u32);

/// What happens to a client.
#[derive(Clone, PartialEq, Debug)]
pub enum ClientInput {
    /// The time of [`Client::next_wake_us`] has come.
    Wake,
    /// A connection is up.
    Connected(ConnectionId),
    /// A connection could not be made, or broke.
    Broken(ConnectionId),
    /// A reply arrived.
    Reply(ConnectionId, Reply),
}

/// What a client asks its surroundings to do, in order.
#[derive(Clone, PartialEq, Debug)]
pub enum ClientAction {
    /// Open a connection, `TCP_NODELAY` on. Answered by `Connected` or `Broken`.
    Connect {
        /// The new connection.
        connection: ConnectionId,
        /// Where to.
        node: NodeNumber,
    },
    /// Send a command on a connection that is up.
    Send {
        /// The connection.
        connection: ConnectionId,
        /// The command.
        command: CommandLine,
    },
    /// Close a connection, up or not. Nothing answers.
    Close {
        /// The connection.
        connection: ConnectionId,
    },
    /// An operation ended.
    Done(Operation),
}

/// A key that was written, or that a write was tried on.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub struct WrittenKey {
    /// Its digest.
    pub digest: u64,
    /// Its slot.
    pub slot: Slot,
    /// The key.
    pub key: Word,
}

impl Client {
    /// A workload client.
    #[must_use]
    pub fn new(setup: Setup<'_>) -> Self {
        let load = Load::new(&setup);
        let one_at_a_time = setup.spec.hedge_us.is_some() || setup.spec.sticky;
        Self(if one_at_a_time {
            Kind::Writer(Box::new(Writer::new(&setup, load)))
        } else {
            Kind::Pipeline(Box::new(Pipeline::new(&setup, load)))
        })
    }

    /// Takes one input and says what is to be done.
    pub fn handle(&mut self, now_us: u64, input: ClientInput, actions: &mut Vec<ClientAction>) {
        match &mut self.0 {
            Kind::Writer(writer) => writer.handle(now_us, input, actions),
            Kind::Pipeline(pipeline) => pipeline.handle(now_us, input, actions),
        }
    }

    /// When it wants to be woken; `u64::MAX`: not before something else happens.
    #[must_use]
    pub fn next_wake_us(&self) -> u64 {
        match &self.0 {
            Kind::Writer(writer) => writer.next_wake_us(),
            Kind::Pipeline(pipeline) => pipeline.next_wake_us(),
        }
    }

    /// Multiplies its rate by `factor` from now on (not cumulative); 0 stops it.
    pub fn set_rate_factor(&mut self, now_us: u64, factor: f64) {
        match &mut self.0 {
            Kind::Writer(writer) => writer.pace.set_factor(now_us, factor),
            Kind::Pipeline(pipeline) => pipeline.pace.set_factor(now_us, factor),
        }
    }

    /// Whether it has nothing in flight.
    #[must_use]
    pub fn is_idle(&self) -> bool {
        match &self.0 {
            Kind::Writer(writer) => writer.is_idle(),
            Kind::Pipeline(pipeline) => pipeline.is_idle(),
        }
    }

    /// The keys it tried to write, in the order in which it did first. Only once.
    pub fn take_written(&mut self) -> Vec<WrittenKey> {
        match &mut self.0 {
            Kind::Writer(writer) => writer.load.take_written(),
            Kind::Pipeline(pipeline) => pipeline.load.take_written(),
        }
    }
}

/// When the next operation is due.
#[derive(Clone, Debug)]
struct Pace {
    usual_rate_per_s: f64,
    interval_us: Option<f64>,
    next_us: f64,
    /// The same, rounded.
    next_whole_us: u64,
}

impl Pace {
    fn new(setup: &Setup<'_>) -> Self {
        let mut pace = Self {
            usual_rate_per_s: setup.spec.rate_per_s,
            interval_us: None,
            next_us: 0.0,
            next_whole_us: 0,
        };
        pace.set_factor(setup.start_us, 1.0);
        let mut phase = setup
            .streams
            .stream(Purpose::ClientPhase, setup.number.into());
        pace.move_to(pace.next_us + phase.unit() * pace.interval_us.unwrap_or(0.0));
        pace
    }

    fn set_factor(&mut self, now_us: u64, factor: f64) {
        let rate = self.usual_rate_per_s * factor;
        self.interval_us = (rate > 0.0).then(|| 1e6 / rate);
        self.move_to(now_us as f64);
    }

    /// When the next operation is due; `u64::MAX`: never.
    const fn next_us(&self) -> u64 {
        match self.interval_us {
            Some(_) => self.next_whole_us,
            None => u64::MAX,
        }
    }

    /// Counts one operation. When it was due.
    fn take(&mut self) -> u64 {
        let due_us = self.next_us();
        self.move_to(self.next_us + self.interval_us.unwrap_or(0.0));
        due_us
    }

    /// Forgets what should have been done until now.
    fn skip_to(&mut self, now_us: u64) {
        self.move_to(now_us as f64);
    }

    fn move_to(&mut self, next_us: f64) {
        self.next_us = next_us;
        self.next_whole_us = next_us.round() as u64;
    }
}
