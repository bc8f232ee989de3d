//! How a node sees the cluster, as its facts tell.

use redrill_node::SlotRange;

use crate::checkers::slot_map::{SlotMap, slot_count};
use crate::trace::NodeNumber;

/// How a node sees the cluster.
#[derive(Debug, Default)]
pub struct View {
    /// The slots.
    pub slots: SlotMap,
    pub(super) peers: Vec<PeerPicture>,
    /// Number of slots by owner.
    counts: Vec<u16>,
    voters: u16,
    voters_before: u16,
    voters_since_us: u64,
}

/// How a node sees a peer.
#[derive(Clone, Copy, Debug, Default)]
pub struct PeerPicture {
    /// Whether it knows it.
    pub known: bool,
    /// Its master.
    pub replica_of: Option<NodeNumber>,
    /// Whether the viewer may have forgotten a change of that: it lost power, roles are saved
    /// without a sync, and a restored role is not told.
    pub role_unsure: bool,
    /// Its config epoch.
    pub config_epoch: u64,
    /// PFAIL.
    pub suspected: bool,
    /// FAIL.
    pub failed: bool,
    /// Whether it ever was PFAIL or FAIL here.
    pub ever_suspected: bool,
    /// Whether it may be PFAIL without a word: the viewer lost power, and the state file that was
    /// left may be of a time when it suspected it.
    pub suspicion_unsure: bool,
}

/// A node that is not named is none of the drill's.
pub(super) const NO_PEER: PeerPicture = PeerPicture {
    known: false,
    replica_of: None,
    role_unsure: false,
    config_epoch: 0,
    suspected: false,
    failed: false,
    ever_suspected: false,
    suspicion_unsure: false,
};

impl View {
    pub(super) fn of_peers(peers: Vec<PeerPicture>) -> Self {
        Self {
            peers,
            ..Self::default()
        }
    }

    /// How it sees a peer.
    #[must_use]
    pub fn peer(&self, node: NodeNumber) -> &PeerPicture {
        self.peers.get(usize::from(node)).unwrap_or(&NO_PEER)
    }

    pub(super) fn peer_mut(&mut self, node: NodeNumber) -> &mut PeerPicture {
        let place = usize::from(node);
        if self.peers.len() <= place {
            self.peers.resize(place + 1, NO_PEER);
        }
        &mut self.peers[place]
    }

    /// Every node it knows.
    pub fn known(&self) -> impl Iterator<Item = NodeNumber> + '_ {
        (0..)
            .zip(&self.peers)
            .filter(|(_, peer)| peer.known)
            .map(|(node, _)| node)
    }

    /// Number of masters with slots.
    #[must_use]
    pub const fn voters(&self) -> u16 {
        self.voters
    }

    /// The masters with slots, ascending.
    #[must_use]
    pub fn voting_masters(&self) -> Vec<NodeNumber> {
        let mut owners: Vec<NodeNumber> = self
            .slots
            .ranges()
            .iter()
            .map(|range| range.owner)
            .collect();
        owners.sort_unstable();
        owners.dedup();
        owners
    }

    /// The smallest quorum the node may go by now. A node counts the cluster when it updates its
    /// state at the end of a turn (`clusterUpdateState`), so what it decides in the turn in which
    /// an owner came or went may rest on the number before.
    #[must_use]
    pub fn least_quorum(&self, now_us: u64) -> u16 {
        const ONE_TURN_US: u64 = 200_000;
        let fresh = now_us.saturating_sub(self.voters_since_us) <= ONE_TURN_US;
        let voters = if fresh {
            self.voters.min(self.voters_before)
        } else {
            self.voters
        };
        voters / 2 + 1
    }

    pub(super) fn assign(&mut self, slots: SlotRange, owner: Option<NodeNumber>, at_us: u64) {
        let mut voters = self.voters;
        for (piece, before) in self.slots.pieces(slots) {
            let Some(before) = before else { continue };
            if let Some(count) = self.counts.get_mut(usize::from(before)) {
                *count -= slot_count(piece) as u16;
                voters -= u16::from(*count == 0);
            }
        }
        if let Some(owner) = owner {
            let place = usize::from(owner);
            if self.counts.len() <= place {
                self.counts.resize(place + 1, 0);
            }
            voters += u16::from(self.counts[place] == 0);
            self.counts[place] += slot_count(slots) as u16;
        }
        self.slots.assign(slots, owner);
        self.voters_are(voters, at_us);
    }

    pub(super) fn forget_slots(&mut self, at_us: u64) {
        self.slots.clear();
        self.counts.clear();
        self.voters_are(0, at_us);
    }

    fn voters_are(&mut self, voters: u16, at_us: u64) {
        if voters == self.voters {
            return;
        }
        // Several changes of one instant are one change.
        if self.voters_since_us != at_us {
            self.voters_before = self.voters;
        }
        self.voters = voters;
        self.voters_since_us = at_us;
    }
}
