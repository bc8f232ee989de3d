//! A connection that carries values instead of bytes, at the pace of the bytes they stand for.

use std::sync::Arc;

use redrill_node::prefetch::prefetch;
use redrill_node::wire::{bus, resp};
use redrill_node::{CommandLine, FullResync, Message, ReplicationId, Reply, Snapshot};

use super::parcels::{Line, Parcels};
use crate::network::{HostNumber, Network};
use crate::tcp::{Break, Connection, NEVER, Side};

/// What a connection carries. Each stands for the bytes that a real node would send.
#[derive(Clone, Debug)]
pub(super) enum Parcel {
    Bus(Arc<Message>),
    Command(CommandLine),
    Reply(Reply),
    /// Boxed: it is large and rare.
    FullResync(Box<FullResync>),
    Continue(ReplicationId),
    Stream(CommandLine),
}

/// An established connection and what is under way on it.
#[derive(Debug)]
#[repr(C)]
pub(super) struct Wire {
    /// When the scheduler looks at it next; [`NEVER`]: not before somebody writes.
    pub(super) scheduled_us: u64,
    tcp: Connection,
    lanes: [Lane; 2],
}

/// What one side writes.
#[derive(Debug)]
struct Lane {
    line: Line,
    eof: bool,
    broken: Option<Break>,
}

/// What a connection moves in and among.
pub(super) struct Surroundings<'a> {
    pub(super) now_us: u64,
    pub(super) network: &'a mut Network,
    pub(super) parcels: &'a mut Parcels,
}

/// What a reader finds.
#[derive(Debug)]
pub(super) enum Found {
    /// Something whole.
    Parcel {
        parcel: Parcel,
        /// The bytes it took.
        wire_len: u64,
        /// Nothing follows it now.
        is_last: bool,
    },
    /// Nothing more now.
    Nothing,
    /// More has arrived than was received.
    More,
    /// The other end closed.
    Closed,
    /// The connection broke.
    Broken(Break),
}

impl Parcel {
    /// Bytes it takes on the wire.
    pub(super) fn wire_len(&self) -> u64 {
        let len = match self {
            Self::Bus(message) => bus::encoded_len(message),
            Self::Command(words) => resp::command_len(words),
            Self::Stream(words) => resp::command_len(words),
            Self::Reply(reply) => reply_len(reply),
            Self::FullResync(resync) => 100 + snapshot_len(&resync.snapshot),
            Self::Continue(_) => 52,
        };
        len as u64
    }
}

impl Lane {
    const EMPTY: Self = Self {
        line: Line::EMPTY,
        eof: false,
        broken: None,
    };
}

impl Wire {
    pub(super) fn new(opener: HostNumber, accepter: HostNumber, segment_bytes: u32) -> Self {
        Self {
            scheduled_us: NEVER,
            tcp: Connection::new(opener, accepter, segment_bytes),
            lanes: [Lane::EMPTY, Lane::EMPTY],
        }
    }

    /// Has it come into the processor's cache.
    pub(super) fn prefetch(&self) {
        self.tcp.prefetch();
        prefetch(&self.lanes);
    }

    /// The end at which something will arrive next.
    pub(super) const fn next_receiver(&self) -> Side {
        self.tcp.next_receiver()
    }

    /// The host at an end.
    pub(super) const fn host(&self, side: Side) -> HostNumber {
        self.tcp.host(side)
    }

    pub(super) fn set_nodelay(&mut self, side: Side, now_us: u64, network: &mut Network) {
        self.tcp.set_nodelay(side, true, now_us, network);
    }

    /// A side writes. Several parcels written in one turn leave together ([`Self::flush`]).
    pub(super) fn write(&mut self, side: Side, parcel: Parcel, parcels: &mut Parcels) {
        parcels.push(&mut self.lanes[side as usize].line, parcel);
    }

    /// Hands what was written to the kernel, as far as it takes it.
    pub(super) fn flush(&mut self, side: Side, around: &mut Surroundings<'_>) {
        let line = &self.lanes[side as usize].line;
        let bytes = around.parcels.untaken(line);
        if bytes > 0 {
            let taken = (self.tcp).write(side, bytes, around.now_us, around.network);
            around.parcels.take(line, taken);
        }
    }

    /// Lets everything happen that is due. True for each side that has something to read, the
    /// opener first.
    pub(super) fn settle(&mut self, around: &mut Surroundings<'_>) -> [bool; 2] {
        let progress = self.tcp.poll(around.now_us, around.network);
        let mut readable = [false; 2];
        for side in Side::BOTH {
            let news = progress[side as usize];
            readable[side as usize] = news.arrived_bytes > 0 || news.eof || news.broken.is_some();
            if news.eof || news.broken.is_some() {
                let lane = &mut self.lanes[side.other() as usize];
                lane.eof |= news.eof;
                lane.broken = news.broken.or(lane.broken);
            }
            if news.writable {
                self.flush(side, around);
            }
        }
        readable
    }

    /// Takes up to `limit_bytes` of what has arrived at a side off the kernel's hands.
    pub(super) fn receive(&mut self, side: Side, limit_bytes: u64, around: &mut Surroundings<'_>) {
        let bytes = self.tcp.readable_bytes(side).min(limit_bytes);
        if bytes > 0 {
            let line = &self.lanes[side.other() as usize].line;
            around.parcels.receive(line, bytes);
            self.tcp.read(side, bytes, around.now_us, around.network);
        }
    }

    /// The next whole thing among what a side has received.
    pub(super) fn next(&mut self, side: Side, parcels: &mut Parcels) -> Found {
        let lane = &mut self.lanes[side.other() as usize];
        if let Some(why) = lane.broken {
            return Found::Broken(why);
        }
        if let Some((parcel, wire_len)) = parcels.pop_whole(&mut lane.line) {
            let is_last = lane.line.is_empty() && !lane.eof && self.tcp.readable_bytes(side) == 0;
            return Found::Parcel {
                parcel,
                wire_len,
                is_last,
            };
        }
        if self.tcp.readable_bytes(side) > 0 {
            Found::More
        } else if lane.eof {
            Found::Closed
        } else {
            Found::Nothing
        }
    }

    /// Drops what is under way.
    pub(super) fn drop_parcels(&mut self, parcels: &mut Parcels) {
        for lane in &mut self.lanes {
            parcels.clear(&mut lane.line);
        }
    }

    pub(super) fn close(&mut self, side: Side, now_us: u64, network: &mut Network) {
        self.tcp.close(side, now_us, network);
    }

    pub(super) fn vanish(&mut self, side: Side, now_us: u64, network: &mut Network) {
        self.tcp.vanish(side, now_us, network);
    }

    pub(super) fn next_event_us(&self) -> u64 {
        self.tcp.next_event_us()
    }

    /// Whether nobody will ever hear of it again.
    pub(super) fn is_over(&self) -> bool {
        self.tcp.is_over()
    }
}

fn reply_len(reply: &Reply) -> usize {
    match reply {
        Reply::Simple(text) | Reply::Error(text) => 3 + text.len(),
        Reply::Bulk(bytes) => resp::command_len(&[bytes]) - 4,
        Reply::Nil => 5,
        Reply::Integer(_)
        | Reply::Verbatim(_)
        | Reply::NilArray
        | Reply::Array(_)
        | Reply::Map(_)
        | Reply::Set(_)
        | Reply::Double(_)
        | Reply::Boolean(_)
        | Reply::Push(_) => {
            let mut bytes = bytes::BytesMut::new();
            resp::encode_reply(reply, false, &mut bytes);
            bytes.len()
        }
    }
}

/// About what the RDB file of a snapshot takes.
fn snapshot_len(snapshot: &Snapshot) -> usize {
    let per_key = 12;
    let entries = snapshot.entries.iter();
    200 + entries
        .map(|entry| entry.key.len() + value_len(&entry.value) + per_key)
        .sum::<usize>()
}

fn value_len(value: &redrill_node::store::Value) -> usize {
    let per_word = 1;
    let words = |word: &redrill_node::Word| word.len() + per_word;
    match value {
        redrill_node::store::Value::String(bytes) => bytes.len(),
        redrill_node::store::Value::List(list) => list.iter().map(words).sum(),
        redrill_node::store::Value::Set(set) => set.iter().map(|member| words(&member)).sum(),
        redrill_node::store::Value::SortedSet(set) => {
            let score = 8;
            set.iter().map(|(member, _)| words(member) + score).sum()
        }
        redrill_node::store::Value::Hash(hash) => hash
            .iter()
            .map(|(field, value)| words(field) + words(value))
            .sum(),
    }
}
