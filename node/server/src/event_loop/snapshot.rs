//! Snapshots on their way to replicas, made while they leave.

use std::sync::Arc;

use bytes::{BufMut, BytesMut};
use redrill_node::wire::rdb;
use redrill_node::{ClientId, Snapshot, SnapshotMark};

use super::EventLoop;
use super::descriptors::{Client, Kind};
use crate::clock::Clock;
use crate::control::Owner;
use crate::disk::Disk;
use crate::network::{Network, Stream};
use crate::observer::Observer;
use crate::pipe::Pipe;
use crate::ready::Readiness;

/// How much is made at a time, bytes.
const PART_LEN: usize = 64 << 10;

/// How many parts one turn sends at most: others want to be served too.
const MAX_PARTS: usize = 64;

/// A snapshot without a length before it.
pub(super) struct Outgoing {
    /// What is not made yet; `None` once all is.
    encoder: Option<rdb::Encoder>,
    mark: SnapshotMark,
    /// Whether the replica has loaded it.
    released: bool,
    /// Whether the connection ends behind it.
    pub(super) closes: bool,
    /// What follows it.
    pub(super) later: BytesMut,
}

impl Client {
    /// Bytes that wait for the end of a snapshot.
    pub(super) fn held_len(&self) -> usize {
        self.outgoing
            .as_ref()
            .map_or(0, |outgoing| outgoing.later.len())
    }
}

impl<N: Network, C: Clock, D: Disk, O: Observer> EventLoop<N, C, D, O> {
    /// Queues a snapshot, which does not count as output that a replica is slow to read.
    pub(super) fn send_snapshot(
        &mut self,
        client: ClientId,
        head: &str,
        snapshot: &Snapshot,
        mark: Option<SnapshotMark>,
        closes: bool,
    ) {
        let Some(token) = self.descriptors.token(Owner::Client(client)) else {
            return;
        };
        let Some(Kind::Client(_, pipe, state)) = self.descriptors.kind_mut(token) else {
            return;
        };
        state.outgoing = None;
        let Some(output) = pipe.output() else {
            return;
        };
        output.put_slice(head.as_bytes());
        match mark {
            Some(mark) => {
                output.put_slice(b"$EOF:");
                output.put_slice(&mark);
                output.put_slice(b"\r\n");
                let mut outgoing = Box::new(Outgoing {
                    encoder: Some(rdb::Encoder::new(snapshot, &rdb::Aux::default())),
                    mark,
                    released: false,
                    closes,
                    later: BytesMut::new(),
                });
                outgoing.make_part(output);
                state.outgoing = Some(outgoing);
            }
            None => put_whole(snapshot, output),
        }
        state.snapshot_len = output.len();
        self.mark_dirty(token);
    }

    /// Lets what waited follow a snapshot.
    pub(super) fn release(&mut self, client: ClientId) {
        let Some(token) = self.descriptors.token(Owner::Client(client)) else {
            return;
        };
        if let Some(Kind::Client(_, _, state)) = self.descriptors.kind_mut(token)
            && let Some(outgoing) = &mut state.outgoing
        {
            outgoing.released = true;
            self.mark_dirty(token);
        }
    }
}

impl Outgoing {
    /// Makes the next part, and the mark behind the last.
    fn make_part(&mut self, output: &mut BytesMut) {
        if let Some(encoder) = &mut self.encoder
            && !encoder.write(output, PART_LEN)
        {
            output.put_slice(&self.mark);
            self.encoder = None;
        }
    }
}

/// Hands the kernel as much of a snapshot as it takes.
pub(super) fn write<S: Stream>(
    pipe: &mut Pipe<S>,
    client: &mut Client,
    readiness: &Arc<Readiness>,
) {
    for _ in 0..MAX_PARTS {
        let before = pipe.queued();
        pipe.write();
        client.snapshot_len = client.snapshot_len.saturating_sub(before - pipe.queued());
        let queued = pipe.queued();
        let (Some(outgoing), Some(output)) = (&mut client.outgoing, pipe.output()) else {
            client.outgoing = None;
            return;
        };
        if outgoing.encoder.is_some() {
            if queued >= PART_LEN {
                return;
            }
            outgoing.make_part(output);
            client.snapshot_len += output.len() - queued;
        } else {
            if outgoing.released || outgoing.closes {
                output.unsplit(std::mem::take(&mut outgoing.later));
                client.outgoing = None;
            }
            return;
        }
    }
    readiness.mark_ready();
}

/// A snapshot with its length before it.
fn put_whole(snapshot: &Snapshot, output: &mut BytesMut) {
    let mut content = BytesMut::new();
    rdb::encode(snapshot, &mut content);
    output.put_slice(format!("${}\r\n", content.len()).as_bytes());
    output.unsplit(content);
}
