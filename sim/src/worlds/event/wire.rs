//! A connection that carries values instead of bytes, at the pace of the bytes they stand for.

use std::sync::Arc;

use redrill_node::wire::{bus, resp};
use redrill_node::{CommandLine, FullResync, Message, ReplicationId, Reply, Snapshot};

use crate::fifo::Fifo;
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
pub(super) struct Wire {
    tcp: Connection,
    lanes: [Lane; 2],
    /// When the scheduler looks at it next; [`NEVER`]: not before somebody writes.
    pub(super) scheduled_us: u64,
}

/// What one side writes.
#[derive(Debug, Default)]
struct Lane {
    parcels: Fifo<Sent>,
    /// Bytes the application wrote and the kernel did not take.
    backlog: u64,
    /// Bytes the reader has received of parcels that it did not find yet.
    received: u64,
    eof: bool,
    broken: Option<Break>,
}

#[derive(Debug)]
struct Sent {
    len: u64,
    parcel: Parcel,
}

/// What a reader finds.
#[derive(Debug)]
pub(super) enum Found {
    /// With the bytes it took.
    Parcel(Parcel, u64),
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

impl Wire {
    pub(super) fn new(opener: HostNumber, accepter: HostNumber, segment_bytes: u32) -> Self {
        Self {
            scheduled_us: NEVER,
            tcp: Connection::new(opener, accepter, segment_bytes),
            lanes: [Lane::default(), Lane::default()],
        }
    }

    pub(super) fn set_nodelay(&mut self, side: Side, now_us: u64, network: &mut Network) {
        self.tcp.set_nodelay(side, true, now_us, network);
    }

    /// A side writes. Several parcels written in one turn leave together ([`Self::flush`]).
    pub(super) fn write(&mut self, side: Side, parcel: Parcel) {
        let lane = &mut self.lanes[side as usize];
        let len = parcel.wire_len();
        lane.backlog += len;
        lane.parcels.push_back(Sent { len, parcel });
    }

    /// Hands what was written to the kernel, as far as it takes it.
    pub(super) fn flush(&mut self, side: Side, now_us: u64, network: &mut Network) {
        let lane = &mut self.lanes[side as usize];
        if lane.backlog > 0 {
            lane.backlog -= self.tcp.write(side, lane.backlog, now_us, network);
        }
    }

    /// Lets everything happen that is due. True for each side that has something to read, the
    /// opener first.
    pub(super) fn settle(&mut self, now_us: u64, network: &mut Network) -> [bool; 2] {
        let progress = self.tcp.poll(now_us, network);
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
                self.flush(side, now_us, network);
            }
        }
        readable
    }

    /// Takes up to `limit_bytes` of what has arrived at a side off the kernel's hands.
    pub(super) fn receive(
        &mut self,
        side: Side,
        limit_bytes: u64,
        now_us: u64,
        network: &mut Network,
    ) {
        let bytes = self.tcp.readable_bytes(side).min(limit_bytes);
        if bytes > 0 {
            self.lanes[side.other() as usize].received += bytes;
            self.tcp.read(side, bytes, now_us, network);
        }
    }

    /// The next whole thing among what a side has received.
    pub(super) fn next(&mut self, side: Side) -> Found {
        let lane = &mut self.lanes[side.other() as usize];
        if let Some(why) = lane.broken {
            return Found::Broken(why);
        }
        let received = lane.received;
        let is_whole = |sent: &Sent| sent.len <= received;
        if lane.parcels.front().is_some_and(is_whole)
            && let Some(sent) = lane.parcels.pop_front()
        {
            lane.received -= sent.len;
            return Found::Parcel(sent.parcel, sent.len);
        }
        if self.tcp.readable_bytes(side) > 0 {
            Found::More
        } else if lane.eof {
            Found::Closed
        } else {
            Found::Nothing
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
