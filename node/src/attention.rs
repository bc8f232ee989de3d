//! Which peers the cron must look at, and when.
//!
//! `clusterCron` upstream visits every node ten times a second. Nearly all of these visits find
//! nothing to do, and in a cluster of a thousand nodes they are a million a second. Here each peer
//! has a time before which no rule of the visit can apply to it, and the times stand close together
//! to be run through; the rules are the same.

use crate::cluster::{ClusterState, PeerIndex};
use crate::ids::LinkId;
use crate::message::NodeFlags;
use crate::time::WallMillis;

/// When to look at each peer next.
#[derive(Clone, Debug, Default)]
pub(crate) struct Attention {
    /// By place, ms since `base`.
    look_at: Vec<i32>,
    /// By stride of places: a time before which none of them is to be looked at.
    soonest: Vec<i32>,
    base: WallMillis,
    /// The node-timeout the times were reckoned with, ms.
    timeout_ms: i64,
}

/// Nothing to look at.
const NEVER: WallMillis = WallMillis(i64::MAX);

impl Attention {
    /// No time comes as late.
    const NEVER: i32 = i32::MAX;

    /// Places in a stride.
    const STRIDE: usize = 64;

    /// The base moves up when it lies as far back, ms: twelve days.
    const REACH_MS: i64 = 1 << 30;

    fn at(&self, time: WallMillis) -> i32 {
        let since_ms = time.0.saturating_sub(self.base.0);
        since_ms.clamp(i32::MIN.into(), Self::NEVER.into()) as i32
    }

    /// Nobody looks at a place any more.
    pub(crate) fn forget(&mut self, index: PeerIndex) {
        if let Some(look_at) = self.look_at.get_mut(usize::from(index.0)) {
            *look_at = Self::NEVER;
        }
    }

    /// Has a place looked at no later than at a time.
    fn look_at(&mut self, index: PeerIndex, time: WallMillis) {
        let (place, time) = (usize::from(index.0), self.at(time));
        let stride = place / Self::STRIDE;
        if place >= self.look_at.len() {
            self.look_at.resize(place + 1, Self::NEVER);
            self.soonest.resize(stride + 1, Self::NEVER);
        }
        self.look_at[place] = self.look_at[place].min(time);
        self.soonest[stride] = self.soonest[stride].min(time);
    }

    /// The places whose time has come.
    fn take(&mut self, now: WallMillis, taken: &mut Vec<PeerIndex>) {
        let now = self.at(now);
        taken.clear();
        let strides = self.look_at.chunks_mut(Self::STRIDE);
        for ((stride, times), soonest) in strides.enumerate().zip(&mut self.soonest) {
            if *soonest > now {
                continue;
            }
            *soonest = Self::NEVER;
            for (place, at) in (stride * Self::STRIDE..).zip(times) {
                if *at <= now {
                    *at = Self::NEVER;
                    taken.push(PeerIndex(place as u16));
                }
                *soonest = (*soonest).min(*at);
            }
        }
    }
}

impl ClusterState {
    /// Has the cron look at a peer no later than its state demands now. To be called after every
    /// change that may bring the time forward: a new peer, a new link, a pong.
    pub(crate) fn attend(&mut self, index: PeerIndex) {
        // As if the link were old, which is looked up when the time has come: most peers will have
        // answered until then.
        let due = self.due_with(index, |_| Some(WallMillis(0)));
        self.attention.look_at(index, due);
    }

    /// The peers to look at now. The caller attends to them again afterwards.
    pub(crate) fn take_due(&mut self, now: WallMillis, timeout_ms: i64, due: &mut Vec<PeerIndex>) {
        let reached = now.0.saturating_sub(self.attention.base.0);
        let is_stale = !(0..Attention::REACH_MS).contains(&reached);
        if is_stale || timeout_ms != self.attention.timeout_ms {
            self.attention = Attention {
                look_at: Vec::new(),
                soonest: Vec::new(),
                base: now,
                timeout_ms,
            };
            self.expect_pongs_near(now);
            for index in self.places() {
                if self.get(index).is_some() {
                    self.attend(index);
                }
            }
        }
        self.attention.take(now, due);
        self.prefetch_visits(due);
        due.retain(|&index| {
            let at = self.due(index);
            if at > now {
                self.attention.look_at(index, at);
            }
            at <= now
        });
    }

    /// Whether every peer that a rule may apply to is among `due`. For debug builds: it is the walk
    /// over all peers that the queue saves.
    pub(crate) fn overlooks_nobody(&self, due: &[PeerIndex], now: WallMillis) -> bool {
        let mut peers = self.peers().map(|(index, _)| index);
        peers.all(|index| due.contains(&index) || self.due(index) > now)
    }

    /// The earliest time at which a rule of the visit may apply to a peer as it is now.
    fn due(&self, index: PeerIndex) -> WallMillis {
        self.due_with(index, |link| self.link(link).map(|link| link.created))
    }

    /// The same, but for when a link was created.
    fn due_with(
        &self,
        index: PeerIndex,
        created: impl FnOnce(LinkId) -> Option<WallMillis>,
    ) -> WallMillis {
        let timeout_ms = self.attention.timeout_ms;
        let row = self.row(index);
        let skipped = NodeFlags::MYSELF | NodeFlags::NOADDR | NodeFlags::HANDSHAKE;
        if row.flags().intersects(skipped) {
            return NEVER;
        }
        let peer = &self[index];
        let Some(ping_sent) = peer.ping_sent() else {
            let stale = self.pong_received(index).plus_ms(timeout_ms / 2 + 1);
            return if row.is_linked() { stale } else { NEVER };
        };
        let silent_since = ping_sent.max(peer.data_received);
        let suspected = peer.flags.intersects(NodeFlags::PFAIL | NodeFlags::FAIL);
        let suspicion = if suspected {
            NEVER
        } else {
            silent_since.plus_ms(timeout_ms + 1)
        };
        let new_link = peer.link().and_then(created).map_or(NEVER, |created| {
            let half = silent_since.plus_ms(timeout_ms / 2 + 1);
            half.max(created.plus_ms(timeout_ms + 1))
        });
        suspicion.min(new_link)
    }
}
