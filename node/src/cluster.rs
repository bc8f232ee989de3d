//! What a node knows of its cluster: the table of peers, the slot map, the epochs.

mod buckets;
mod links;
mod peer;
mod rows;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use crate::attention::Attention;
use crate::directory::{Directory, Identity, Name};
use crate::ids::{LinkId, NodeId};
use crate::message::{Address, MessageKind, NodeFlags};
use crate::prefetch::prefetch_row;
use crate::slot::{SLOT_COUNT, Slot, SlotRange, SlotSet};
use crate::time::WallMillis;
use buckets::Buckets;
pub(crate) use links::Held;
use links::Links;
use rows::Rows;

pub use links::Link;
pub use peer::Peer;
pub(crate) use rows::Row;

/// A place in the node table. Stays valid until that peer is removed.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct PeerIndex(pub u16);

/// The place of the node itself in its own table.
pub const MYSELF: PeerIndex = PeerIndex(0);

/// No owner, in the slot map.
const NOBODY: u16 = u16::MAX;

/// What the node holds of the cluster (`clusterState`).
#[derive(Clone, Debug)]
pub struct ClusterState {
    /// By place.
    peers: Vec<Peer>,
    /// What gossip touches of each of them.
    rows: Rows,
    directory: Arc<Directory>,
    /// The place of each name of the directory; [`NOBODY`] if it is not that of a peer.
    places: Vec<u16>,
    /// Whether a member had to do without a name.
    is_short_of_names: bool,
    /// Places of peers that were removed.
    vacant: Vec<PeerIndex>,
    buckets: Buckets,
    pub(crate) attention: Attention,
    /// Peers without a link, and those in handshake.
    pub(crate) unconnected: BTreeSet<PeerIndex>,
    /// Peers this node suspects (PFAIL).
    pub(crate) suspects: BTreeSet<PeerIndex>,
    /// Who reported whom failing, and when. Most peers are reported by nobody.
    pub(crate) reports: BTreeMap<PeerIndex, Vec<Report>>,
    /// Grows with every change of roles, failures or ownership.
    pub(crate) topology: u64,
    owned_count: usize,
    links: Links,
    owners: Box<[u16; SLOT_COUNT]>,
    /// Slots whose owner no longer claims them (`owner_not_claiming_slot`, from 7.0.13).
    pub(crate) unclaimed_by_owner: SlotSet,
    /// Slots moving away, with their target.
    pub(crate) migrating: BTreeMap<Slot, PeerIndex>,
    /// Slots being taken in, with their source.
    pub(crate) importing: BTreeMap<Slot, PeerIndex>,
    /// `currentEpoch`.
    pub(crate) current_epoch: u64,
    /// `lastVoteEpoch`.
    pub(crate) last_vote_epoch: u64,
    /// Whether the cluster state is ok.
    pub(crate) state_ok: bool,
    /// Number of masters with slots (`size`), as of the last state update.
    pub(crate) size: u16,
    /// Peers in PFAIL as of the last cron (`stats_pfail_nodes`).
    pub(crate) pfail_count: u16,
    /// Ids removed by `CLUSTER FORGET`, and until when gossip about them is ignored.
    pub(crate) blacklist: BTreeMap<NodeId, WallMillis>,
    /// `clusterCron` runs so far.
    pub(crate) cron_runs: u64,
    links_opened: u64,
    /// Messages sent, by type.
    pub(crate) sent: [u64; MessageKind::COUNT],
    /// Bytes they took.
    pub(crate) sent_bytes: u64,
    /// Messages received, by type.
    pub(crate) received: [u64; MessageKind::COUNT],
}

/// A failure report (`clusterNodeFailReport`).
#[derive(Clone, Copy, Debug)]
pub struct Report {
    /// The reporter.
    pub by: PeerIndex,
    /// When it last reported.
    pub at: WallMillis,
}

impl ClusterState {
    pub(crate) fn new(
        myself: Peer,
        hash_seed: u64,
        directory: &Arc<Directory>,
        now: WallMillis,
    ) -> Self {
        let mut buckets = Buckets::new(hash_seed);
        buckets.insert(myself.id, MYSELF);
        let mut cluster = Self {
            buckets,
            directory: Arc::clone(directory),
            places: Vec::new(),
            is_short_of_names: false,
            attention: Attention::default(),
            unconnected: BTreeSet::new(),
            suspects: BTreeSet::new(),
            reports: BTreeMap::new(),
            topology: 0,
            owned_count: 0,
            peers: vec![myself],
            rows: Rows::new(now),
            vacant: Vec::new(),
            links: Links::default(),
            owners: Box::new([NOBODY; SLOT_COUNT]),
            unclaimed_by_owner: SlotSet::new(),
            migrating: BTreeMap::new(),
            importing: BTreeMap::new(),
            current_epoch: 0,
            last_vote_epoch: 0,
            state_ok: false,
            size: 1,
            pfail_count: 0,
            blacklist: BTreeMap::new(),
            cron_runs: 0,
            links_opened: 0,
            sent: [0; MessageKind::COUNT],
            sent_bytes: 0,
            received: [0; MessageKind::COUNT],
        };
        cluster.show(MYSELF);
        cluster.name(MYSELF);
        cluster
    }

    /// The directory whose names the peers have.
    pub(crate) const fn directory(&self) -> &Arc<Directory> {
        &self.directory
    }

    /// The node itself.
    #[must_use]
    pub fn myself(&self) -> &Peer {
        &self[MYSELF]
    }

    pub(crate) fn myself_mut(&mut self) -> &mut Peer {
        &mut self[MYSELF]
    }

    /// The peer of that id.
    #[must_use]
    pub fn find(&self, id: NodeId) -> Option<PeerIndex> {
        self.buckets.find(id, |index| self.is(index, id))
    }

    /// The places of many names; none for a name that is not that of a peer. The peers are read
    /// side by side: one after the other, a large cluster waits for memory most of the time.
    pub(crate) fn find_names(
        &self,
        names: impl Iterator<Item = Name>,
        found: &mut Vec<Option<PeerIndex>>,
    ) {
        found.clear();
        found.extend(names.map(|name| {
            let place = self.places.get(name.number()).copied();
            place.filter(|&place| place != NOBODY).map(PeerIndex)
        }));
        self.fetch(found.iter().copied().flatten());
    }

    /// Many places drawn by `random` numbers, and read in the same way.
    pub(crate) fn draw_peers(
        &self,
        count: usize,
        random: impl FnMut() -> u32,
        drawn: &mut Vec<PeerIndex>,
    ) {
        self.buckets.draw(count, random, drawn);
        self.fetch(drawn.iter().copied());
    }

    fn fetch(&self, places: impl Iterator<Item = PeerIndex>) {
        for index in places {
            self.rows.prefetch(index);
        }
    }

    /// Has what a visit of these peers touches come into the processor's cache, all side by side:
    /// each step needs what the one before it brought.
    pub(crate) fn prefetch_visits(&self, visited: &[PeerIndex]) {
        for &index in visited {
            self.rows.prefetch(index);
            self.prefetch_peer(index);
        }
        for &index in visited {
            if let Some(link) = self.get(index).and_then(Peer::link) {
                self.prefetch_link(link);
            }
        }
    }

    /// Has the rest of those that have no link come into the processor's cache.
    pub(crate) fn prefetch_unlinked(&self, drawn: &[PeerIndex]) {
        for &index in drawn {
            if !self.row(index).is_linked() {
                self.prefetch_peer(index);
            }
        }
    }

    /// Has the tables that a ping goes through come into the processor's cache. In a small cluster
    /// they are there.
    pub(crate) fn prefetch_tables(&self) {
        const STAY_CACHED: usize = 200;
        if self.peers.len() > STAY_CACHED {
            self.buckets.prefetch();
            prefetch_row(&self.places);
        }
    }

    /// Has a link come into the processor's cache.
    pub(crate) fn prefetch_link(&self, link: LinkId) {
        self.links.prefetch(link);
    }

    /// The same of what is known of a peer beyond what gossip touches.
    pub(crate) fn prefetch_peer(&self, index: PeerIndex) {
        if let Some(peer) = self.peers.get(usize::from(index.0)) {
            peer.prefetch();
        }
    }

    /// Whether a place is that of an id.
    pub(crate) fn is(&self, index: PeerIndex, id: NodeId) -> bool {
        self.get(index).is_some_and(|peer| peer.id == id)
    }

    /// Whether a place is that of a name.
    pub(crate) fn is_called(&self, index: PeerIndex, name: Name) -> bool {
        self.row(index).name() == name
    }

    /// Number of nodes known, the node itself and those in handshake included.
    #[must_use]
    pub fn node_count(&self) -> usize {
        self.buckets.count()
    }

    /// Every place of the table, the node's own first; some may be empty. Holds no borrow, so that
    /// a caller may change the table while it walks it.
    pub(crate) fn places(&self) -> impl ExactSizeIterator<Item = PeerIndex> + use<> {
        (0..self.peers.len() as u16).map(PeerIndex)
    }

    /// Every node known, the node itself first.
    pub fn peers(&self) -> impl Iterator<Item = (PeerIndex, &Peer)> {
        let places = (0..).map(PeerIndex).zip(&self.peers);
        places.filter(|(_, peer)| !peer.is_vacant())
    }

    /// The peer at `index`, unless it was removed.
    #[must_use]
    pub fn get(&self, index: PeerIndex) -> Option<&Peer> {
        let peer = self.peers.get(usize::from(index.0))?;
        (!peer.is_vacant()).then_some(peer)
    }

    /// What gossip touches of the peer at `index`.
    pub(crate) fn row(&self, index: PeerIndex) -> Row {
        self.rows.get(index)
    }

    /// When the last pong of a peer arrived, or was heard of; 0 at first.
    #[must_use]
    pub fn pong_received(&self, index: PeerIndex) -> WallMillis {
        self.rows.pong(index)
    }

    /// The same, with the peer's row at hand.
    pub(crate) fn pong_in(&self, row: Row, index: PeerIndex) -> WallMillis {
        self.rows.pong_in(row, index)
    }

    /// Notes when the last pong of a peer arrived. Times before 1970 count as 0.
    pub(crate) fn set_pong_received(&mut self, index: PeerIndex, received: WallMillis) {
        self.rows.set_pong(index, received);
    }

    /// A pong of a peer was heard of that came at a time. It counts if no ping of this node waits
    /// for its pong, and if it is news.
    pub(crate) fn hear_of_pong(&mut self, index: PeerIndex, at: WallMillis) {
        self.rows.hear_of_pong(index, at);
    }

    /// Has pongs near this time be kept in little room.
    pub(crate) fn expect_pongs_near(&mut self, now: WallMillis) {
        self.rows.rebase(now);
    }

    /// Notes that a ping waits for a peer's pong since a time, or that none does. Times before
    /// 1970, and its first millisecond, count as none.
    pub(crate) fn set_ping_sent(&mut self, index: PeerIndex, sent: Option<WallMillis>) {
        self[index].set_ping_sent(sent);
        self.show(index);
    }

    /// Notes the connection this node opened to a peer, or that it is gone.
    pub(crate) fn set_link(&mut self, index: PeerIndex, link: Option<LinkId>) {
        self[index].set_link(link);
        self.show(index);
    }

    /// Adds to what a peer is held to be.
    pub(crate) fn mark(&mut self, index: PeerIndex, flags: NodeFlags) {
        self.set_flags(index, self[index].flags | flags);
    }

    /// Takes from what a peer is held to be.
    pub(crate) fn unmark(&mut self, index: PeerIndex, flags: NodeFlags) {
        self.set_flags(index, self[index].flags.difference(flags));
    }

    /// Takes some from what a peer is held to be and adds others.
    pub(crate) fn remark(&mut self, index: PeerIndex, gone: NodeFlags, new: NodeFlags) {
        self.set_flags(index, self[index].flags.difference(gone) | new);
    }

    /// Sets what a peer is held to be.
    pub(crate) fn set_flags(&mut self, index: PeerIndex, flags: NodeFlags) {
        self[index].set_flags(flags);
        self.show(index);
    }

    /// Brings the row of a peer up to date.
    fn show(&mut self, index: PeerIndex) {
        if let Some(peer) = self.peers.get(usize::from(index.0)) {
            self.rows.show(index, peer);
        }
    }

    pub(crate) fn add(&mut self, peer: Peer) -> PeerIndex {
        if self.buckets.is_full() {
            let peers = (0..).map(PeerIndex).zip(&self.peers);
            let held = peers.filter(|(_, known)| !known.is_vacant());
            self.buckets
                .double(held.map(|(place, known)| (known.id, place)));
        }
        let id = peer.id;
        let index = match self.vacant.pop() {
            Some(index) => {
                self.peers[usize::from(index.0)] = peer;
                index
            }
            None => {
                self.peers.push(peer);
                PeerIndex(self.peers.len() as u16 - 1)
            }
        };
        self.show(index);
        self.buckets.insert(id, index);
        if !self[index].in_handshake() {
            self.name(index);
        }
        self.topology += 1;
        self.watch(index);
        index
    }

    /// Sorts a peer into the sets and the queue that the cron works from.
    pub(crate) fn watch(&mut self, index: PeerIndex) {
        let peer = &self[index];
        let (suspected, loose) = (
            peer.is_timed_out(),
            !peer.is_linked() || peer.in_handshake(),
        );
        if suspected {
            self.suspects.insert(index);
        }
        if loose && index != MYSELF {
            self.unconnected.insert(index);
        }
        self.attend(index);
    }

    /// Takes a peer out of the table. The caller has removed all that points at it.
    pub(crate) fn take(&mut self, index: PeerIndex) -> Option<Peer> {
        self.get(index)?;
        self.forget_name(index);
        self.attention.forget(index);
        self.rows.vacate(index);
        let place = &mut self.peers[usize::from(index.0)];
        let peer = std::mem::replace(place, Peer::vacant());
        self.vacant.push(index);
        self.unconnected.remove(&index);
        self.suspects.remove(&index);
        self.reports.remove(&index);
        self.topology += 1;
        self.buckets.remove(peer.id, index);
        Some(peer)
    }

    /// A peer has another id: the one it was known by was made up, or given up.
    pub(crate) fn rename(&mut self, index: PeerIndex, id: NodeId) {
        let Identity { id: old, address } = **self[index].identity();
        self.buckets.remove(old, index);
        self.buckets.insert(id, index);
        self.identify(index, Identity { id, address });
        self.name(index);
    }

    /// A peer is reached elsewhere.
    pub(crate) fn set_address(&mut self, index: PeerIndex, address: Address) {
        let id = self[index].id;
        self.identify(index, Identity { id, address });
        if !self[index].in_handshake() {
            self.name(index);
        }
    }

    /// Gives a peer an identity that has no name yet.
    fn identify(&mut self, index: PeerIndex, identity: Identity) {
        self.forget_name(index);
        self[index].set_identity(Name::NONE, Arc::new(identity));
        self.show(index);
    }

    /// Looks up what a peer's identity is called. The ids of handshakes are made up: they are told
    /// to nobody, and need no name.
    fn name(&mut self, index: PeerIndex) {
        let (name, shared) = self.directory.enter(self[index].identity());
        self[index].set_identity(name, shared);
        self.show(index);
        self.is_short_of_names |= name == Name::NONE;
        if name != Name::NONE {
            let names = self.places.len().max(name.number() + 1);
            self.places.resize(names, NOBODY);
            self.places[name.number()] = index.0;
        }
    }

    /// Whether every member has a name.
    pub(crate) const fn has_names_for_all(&self) -> bool {
        !self.is_short_of_names
    }

    fn forget_name(&mut self, index: PeerIndex) {
        let name = self[index].name();
        if let Some(place) = self.places.get_mut(name.number()) {
            *place = NOBODY;
        }
    }

    /// The owner of a slot.
    #[must_use]
    pub fn owner(&self, slot: Slot) -> Option<PeerIndex> {
        let owner = self.owners[usize::from(slot)];
        (owner != NOBODY).then_some(PeerIndex(owner))
    }

    /// Whether every slot has an owner.
    pub(crate) const fn is_covered(&self) -> bool {
        self.owned_count == SLOT_COUNT
    }

    /// Whether a slot may be claimed without a higher epoch (`isSlotUnclaimed`).
    #[must_use]
    pub fn is_unclaimed(&self, slot: Slot) -> bool {
        self.owner(slot).is_none() || self.unclaimed_by_owner.contains(slot)
    }

    /// Gives slots to `owner`, taking them from whoever had them.
    pub(crate) fn set_owner_of(&mut self, slots: &SlotSet, owner: Option<PeerIndex>) {
        let number = owner.map_or(NOBODY, |owner| owner.0);
        let mut losers: Vec<u16> = Vec::new();
        for slot in slots.iter() {
            let old = std::mem::replace(&mut self.owners[usize::from(slot)], number);
            if old != NOBODY {
                self.owned_count -= 1;
                if losers.last() != Some(&old) && !losers.contains(&old) {
                    losers.push(old);
                }
            }
        }
        for loser in losers {
            Arc::make_mut(&mut self[PeerIndex(loser)].slots).remove_all(slots);
        }
        if let Some(owner) = owner {
            self.owned_count += slots.len();
            Arc::make_mut(&mut self[owner].slots).insert_all(slots);
        }
    }

    /// Gives a slot to `owner`, taking it from whoever had it.
    #[cfg(test)]
    pub(crate) fn set_owner(&mut self, slot: Slot, owner: Option<PeerIndex>) {
        self.set_owner_of(&std::iter::once(slot).collect(), owner);
    }

    /// Gives a whole set of slots to a peer. A set that nobody has anything of is shared, not
    /// copied.
    pub(crate) fn set_owner_of_all(&mut self, slots: &Arc<SlotSet>, owner: PeerIndex) {
        let is_free = |owners: &[u16]| owners.iter().all(|&owner| owner == NOBODY);
        let ranges = slots.ranges();
        let untouched = self[owner].slots.is_empty()
            && ranges
                .iter()
                .all(|range| is_free(&self.owners[places(*range)]));
        if !untouched {
            self.set_owner_of(slots, Some(owner));
            return;
        }
        for range in ranges {
            self.owners[places(range)].fill(owner.0);
        }
        self.owned_count += slots.len();
        self[owner].slots = Arc::clone(slots);
    }

    /// A bus connection.
    #[must_use]
    pub fn link(&self, link: LinkId) -> Option<Link> {
        self.links.get(link)
    }

    /// Number of bus connections.
    #[must_use]
    pub const fn link_count(&self) -> usize {
        self.links.len()
    }

    /// The id of the next link this node opens: even numbers, so that they never meet those of
    /// accepted links.
    pub(crate) const fn next_link(&mut self) -> LinkId {
        self.links_opened += 2;
        LinkId(self.links_opened)
    }

    /// What is needed of a bus connection to take in a message.
    pub(crate) fn held_link(&self, link: LinkId) -> Option<&Held> {
        self.links.held(link)
    }

    pub(crate) fn link_mut(&mut self, link: LinkId) -> Option<&mut Held> {
        self.links.get_mut(link)
    }

    pub(crate) fn add_link(&mut self, link: Link) {
        self.links.insert(link);
    }

    pub(crate) fn remove_link(&mut self, link: LinkId) -> Option<Link> {
        self.links.remove(link)
    }

    /// Votes needed for a majority of the masters with slots.
    #[must_use]
    pub const fn quorum(&self) -> u16 {
        self.size / 2 + 1
    }
}

/// Where the slots of a range stand in a table of all slots.
fn places(range: SlotRange) -> std::ops::RangeInclusive<usize> {
    range.first.into()..=range.last.into()
}

impl std::ops::Index<PeerIndex> for ClusterState {
    type Output = Peer;

    fn index(&self, index: PeerIndex) -> &Peer {
        let peer = &self.peers[usize::from(index.0)];
        debug_assert!(!peer.is_vacant(), "peer {} was removed", index.0);
        peer
    }
}

impl std::ops::IndexMut<PeerIndex> for ClusterState {
    fn index_mut(&mut self, index: PeerIndex) -> &mut Peer {
        let peer = &mut self.peers[usize::from(index.0)];
        debug_assert!(!peer.is_vacant(), "peer {} was removed", index.0);
        peer
    }
}
