//! Which peers the cron must look at, and when.
//!
//! `clusterCron` upstream visits every node ten times a second. Nearly all of these visits find
//! nothing to do, and in a cluster of a thousand nodes they are a million a second. Here each peer
//! is queued under a time before which no rule of the visit can apply to it; the rules are the
//! same.

use std::collections::BTreeMap;

use crate::cluster::{ClusterState, PeerIndex};
use crate::message::NodeFlags;
use crate::time::WallMillis;

/// Nothing to look at.
const NEVER: WallMillis = WallMillis(i64::MAX);

/// Peers that are to be looked at within a time as long as this, in powers of two of ms, stand in
/// no order: the cron comes by more seldom.
const GRAIN: u32 = 6;

/// The peers, by when to look at them next.
#[derive(Clone, Debug, Default)]
pub(crate) struct Attention {
    /// By time in grains. A peer that was brought forward is left behind where it was.
    queue: BTreeMap<i64, Vec<PeerIndex>>,
    /// The node-timeout the times were reckoned with, ms.
    timeout_ms: i64,
}

const fn grain(at: WallMillis) -> i64 {
    at.0 >> GRAIN
}

impl ClusterState {
    /// Has the cron look at a peer no later than its state demands now. To be called after every
    /// change that may bring the time forward: a new peer, a new link, a pong.
    pub(crate) fn attend(&mut self, index: PeerIndex) {
        let due = self.due(index);
        let peer = &mut self[index];
        if due < peer.look_at {
            let before = std::mem::replace(&mut peer.look_at, due);
            if grain(due) != grain(before) {
                let queue = &mut self.attention.queue;
                queue.entry(grain(due)).or_default().push(index);
            }
        }
    }

    /// The peers to look at now, each once. The caller attends to them again afterwards.
    pub(crate) fn take_due(&mut self, now: WallMillis, timeout_ms: i64) -> Vec<PeerIndex> {
        if timeout_ms != self.attention.timeout_ms {
            self.attention.timeout_ms = timeout_ms;
            self.attention.queue.clear();
            for index in self.places() {
                if self.get(index).is_some() {
                    self[index].look_at = NEVER;
                    self.attend(index);
                }
            }
        }
        let (mut due, mut later) = (Vec::new(), Vec::new());
        while let Some(first) = self.attention.queue.first_entry() {
            let at = *first.key();
            if at > grain(now) {
                break;
            }
            for index in first.remove() {
                if self.get(index).is_none_or(|peer| grain(peer.look_at) != at) {
                    continue;
                }
                self[index].look_at = NEVER;
                if self.due(index) <= now {
                    due.push(index);
                } else {
                    later.push(index);
                }
            }
        }
        for index in later {
            self.attend(index);
        }
        due.sort_unstable();
        due
    }

    /// Whether every peer that a rule may apply to is among `due`. For debug builds: it is the walk
    /// over all peers that the queue saves.
    pub(crate) fn overlooks_nobody(&self, due: &[PeerIndex], now: WallMillis) -> bool {
        let mut peers = self.peers().map(|(index, _)| index);
        peers.all(|index| due.contains(&index) || self.due(index) > now)
    }

    /// The earliest time at which a rule of the visit may apply to a peer as it is now.
    fn due(&self, index: PeerIndex) -> WallMillis {
        let timeout_ms = self.attention.timeout_ms;
        let peer = &self[index];
        let skipped = NodeFlags::MYSELF | NodeFlags::NOADDR | NodeFlags::HANDSHAKE;
        if peer.flags.intersects(skipped) {
            return NEVER;
        }
        let Some(ping_sent) = peer.ping_sent() else {
            let stale = peer.pong_received().plus_ms(timeout_ms / 2 + 1);
            return peer.link.map_or(NEVER, |_| stale);
        };
        let link = peer.link.and_then(|link| self.link(link));
        let silent_since = ping_sent.max(peer.data_received);
        let suspected = peer.flags.intersects(NodeFlags::PFAIL | NodeFlags::FAIL);
        let suspicion = if suspected {
            NEVER
        } else {
            silent_since.plus_ms(timeout_ms + 1)
        };
        let new_link = link.map_or(NEVER, |link| {
            let half = silent_since.plus_ms(timeout_ms / 2 + 1);
            half.max(link.created.plus_ms(timeout_ms + 1))
        });
        suspicion.min(new_link)
    }
}
