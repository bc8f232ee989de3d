//! A node's process: the turns of its event loop, without the loop.

use std::collections::{BTreeMap, VecDeque};
use std::net::SocketAddr;

use redrill_node::id_map::IdMap;
use redrill_node::{Action, FromDisk, LinkId, Node};

use super::exchange::{Correspondent, UnderWay};
use super::table::WireIndex;
use crate::tcp::Side;

/// The process of a node.
#[derive(Debug)]
pub(super) struct Host {
    pub(super) node: Option<Node>,
    /// What the loop is doing.
    pub(super) loop_state: LoopState,
    /// Stopped by a signal (`SIGSTOP`).
    pub(super) frozen: bool,
    /// Descriptors with something to read, in the order they became so.
    pub(super) ready: VecDeque<Descriptor>,
    /// What the poll of this turn found and is not read yet.
    pub(super) polled: VecDeque<Descriptor>,
    /// Actions that wait for a disk.
    pub(super) held: VecDeque<Action>,
    /// The next turn in the scheduler, if any.
    pub(super) turn_at_us: u64,
    /// What the disk answered and the process has not seen yet.
    pub(super) from_disk: VecDeque<FromDisk>,
    /// Until when the poll sleeps if nothing happens.
    pub(super) poll_until_us: u64,
    /// Where the node's links and clients are.
    pub(super) links: IdMap<(WireIndex, Side)>,
    pub(super) clients: IdMap<(WireIndex, Side)>,
    pub(super) master: Option<(WireIndex, Side)>,
    /// What it stands still for.
    pub(super) exchange: Option<Box<UnderWay>>,
    /// Connections that are kept for the next exchange.
    pub(super) correspondents: BTreeMap<SocketAddr, Correspondent>,
    pub(super) next_link: u64,
    pub(super) next_client: u64,
    /// How often the process has started.
    pub(super) starts: u32,
    /// What its wall clock is ahead of the run's, ms.
    pub(super) clock_ahead_ms: i64,
}

/// What a process's event loop is doing.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum LoopState {
    /// Waiting for something to happen.
    Polling,
    /// In the middle of a turn until a time: in `DEBUG SLEEP`, with more descriptors to come.
    Sleeping { until_us: u64 },
    /// At the end of a turn until a time: the disk is slow.
    Syncing { until_us: u64 },
    /// The same, for the append-only file.
    Appending { until_us: u64 },
    /// In the middle of a turn until an answer comes, or until a time: in `MIGRATE`.
    Exchanging { until_us: u64 },
}

/// Something a process can read.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Descriptor {
    /// A connection waits to be accepted.
    Accept(WireIndex),
    /// An outgoing connection is up.
    Dialled(WireIndex),
    /// An outgoing connection could not be made.
    Failed(WireIndex),
    /// The disk answered.
    Disk,
    /// There is no host at the address of a link.
    NoRoute(LinkId),
    /// Bytes arrived on a connection, or it ended.
    Readable(WireIndex, Side),
}

impl Host {
    pub(super) fn new() -> Self {
        Self {
            node: None,
            loop_state: LoopState::Polling,
            frozen: false,
            ready: VecDeque::new(),
            polled: VecDeque::new(),
            held: VecDeque::new(),
            turn_at_us: u64::MAX,
            from_disk: VecDeque::new(),
            poll_until_us: u64::MAX,
            links: IdMap::default(),
            clients: IdMap::default(),
            master: None,
            exchange: None,
            correspondents: BTreeMap::new(),
            next_link: 1,
            next_client: 1,
            starts: 0,
            clock_ahead_ms: 0,
        }
    }

    /// Forgets everything the process held.
    pub(super) fn clear(&mut self) {
        self.node = None;
        self.loop_state = LoopState::Polling;
        self.frozen = false;
        self.ready.clear();
        self.polled.clear();
        self.held.clear();
        self.from_disk.clear();
        self.turn_at_us = u64::MAX;
        self.poll_until_us = u64::MAX;
        self.links.clear();
        self.clients.clear();
        self.master = None;
        self.exchange = None;
        self.correspondents.clear();
    }
}
