//! What a node knows of its cluster: the table of peers, the slot map, the epochs.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use indexmap::IndexMap;
use rustc_hash::FxBuildHasher;

use crate::attention::Attention;
use crate::ids::{LinkId, NodeId};
use crate::message::{Address, MessageKind, NodeFlags};
use crate::slot::{SLOT_COUNT, Slot, SlotSet};
use crate::time::WallMillis;

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
    peers: Vec<Option<Peer>>,
    /// Places of peers that were removed.
    vacant: Vec<PeerIndex>,
    buckets: Buckets,
    pub(crate) attention: Attention,
    /// Peers without a link, and those in handshake.
    pub(crate) unconnected: BTreeSet<PeerIndex>,
    /// Peers this node suspects (PFAIL).
    pub(crate) suspects: BTreeSet<PeerIndex>,
    /// Grows with every change of roles, failures or ownership.
    pub(crate) topology: u64,
    owned_count: usize,
    links: IndexMap<LinkId, Link, FxBuildHasher>,
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
    /// Pings, pongs and meets built so far, to mark who was spoken of in which.
    pub(crate) pings_sent: u64,
    /// `clusterCron` runs so far.
    pub(crate) cron_runs: u64,
    links_opened: u64,
    /// Messages sent, by type.
    pub(crate) sent: [u64; MessageKind::COUNT],
    /// Messages received, by type.
    pub(crate) received: [u64; MessageKind::COUNT],
}

/// What is known of one node (`clusterNode`).
///
/// The fields that gossip touches come first and share two cache lines: a large cluster spends
/// most of its time waiting for them to come out of memory, where lines are fetched in pairs.
#[derive(Clone, Debug)]
#[repr(C, align(128))]
pub struct Peer {
    /// What it is held to be.
    pub flags: NodeFlags,
    /// Its address.
    pub address: Address,
    /// Its id; made up while in handshake.
    pub id: NodeId,
    /// When the ping was sent that waits for its pong.
    pub ping_sent: Option<WallMillis>,
    /// When its last pong arrived, or was heard of; 0 at first.
    pub pong_received: WallMillis,
    /// The last ping that spoke of it, so that one ping does not twice.
    pub(crate) last_in_gossip: u64,
    /// Who reported it failing, and when.
    pub reports: Vec<Report>,
    /// The connection this node opened to it.
    pub link: Option<LinkId>,
    /// When the cron looks at it next.
    pub(crate) look_at: WallMillis,
    /// When anything last arrived from it; 0 at first.
    pub data_received: WallMillis,
    /// Its config epoch.
    pub config_epoch: u64,
    /// The slots it owns. Shared with the messages that carry it.
    pub slots: Arc<SlotSet>,
    /// Its replication offset as it last announced it.
    pub offset: u64,
    /// When it announced it.
    pub offset_time: WallMillis,
    /// Its master.
    pub replica_of: Option<PeerIndex>,
    /// Its announced host name.
    pub hostname: Option<Box<str>>,
    /// Its replicas, in the order they were learned of.
    pub replicas: Vec<PeerIndex>,
    /// The connection it opened to this node.
    pub inbound_link: Option<LinkId>,
    /// When it was added.
    pub created: WallMillis,
    /// When it was marked FAIL.
    pub fail_time: WallMillis,
    /// When a replica of this master last got this node's vote.
    pub voted_time: WallMillis,
    /// Since when it has no working replica.
    pub orphaned_time: Option<WallMillis>,
}

/// A failure report (`clusterNodeFailReport`).
#[derive(Clone, Copy, Debug)]
pub struct Report {
    /// The reporter.
    pub by: PeerIndex,
    /// When it last reported.
    pub at: WallMillis,
}

/// A bus connection (`clusterLink`).
#[derive(Clone, Copy, Debug)]
pub struct Link {
    /// Its id.
    pub id: LinkId,
    /// The peer, once known.
    pub peer: Option<PeerIndex>,
    /// Whether the peer opened it.
    pub inbound: bool,
    /// Whether it is up. Messages on a link that is still connecting are not sent.
    pub up: bool,
    /// When it was created.
    pub created: WallMillis,
    /// The remote host.
    pub remote_ip: Option<std::net::IpAddr>,
    /// The address the peer reached this node at.
    pub local_ip: Option<std::net::IpAddr>,
}

impl Peer {
    pub(crate) fn new(id: NodeId, flags: NodeFlags, address: Address, now: WallMillis) -> Self {
        Self {
            id,
            address,
            hostname: None,
            flags,
            config_epoch: 0,
            slots: Arc::default(),
            replica_of: None,
            replicas: Vec::new(),
            created: now,
            ping_sent: None,
            pong_received: WallMillis(0),
            data_received: WallMillis(0),
            fail_time: WallMillis(0),
            voted_time: WallMillis(0),
            orphaned_time: None,
            offset: 0,
            offset_time: WallMillis(0),
            reports: Vec::new(),
            link: None,
            inbound_link: None,
            look_at: WallMillis(i64::MAX),
            last_in_gossip: 0,
        }
    }

    /// Whether it is a master.
    #[must_use]
    pub const fn is_master(&self) -> bool {
        self.flags.contains(NodeFlags::MASTER)
    }

    /// Whether it is a replica.
    #[must_use]
    pub const fn is_replica(&self) -> bool {
        self.flags.contains(NodeFlags::REPLICA)
    }

    /// Whether a quorum holds it for failed.
    #[must_use]
    pub const fn is_failed(&self) -> bool {
        self.flags.contains(NodeFlags::FAIL)
    }

    /// Whether this node suspects it.
    #[must_use]
    pub const fn is_timed_out(&self) -> bool {
        self.flags.contains(NodeFlags::PFAIL)
    }

    /// Whether its name is not known yet.
    #[must_use]
    pub const fn in_handshake(&self) -> bool {
        self.flags.contains(NodeFlags::HANDSHAKE)
    }

    /// Whether it votes: a master that owns slots.
    #[must_use]
    pub fn votes(&self) -> bool {
        self.is_master() && !self.slots.is_empty()
    }
}

impl ClusterState {
    pub(crate) fn new(myself: Peer, hash_seed: u64) -> Self {
        let mut buckets = Buckets::new(hash_seed);
        buckets.insert(myself.id, MYSELF);
        Self {
            buckets,
            attention: Attention::default(),
            unconnected: BTreeSet::new(),
            suspects: BTreeSet::new(),
            topology: 0,
            owned_count: 0,
            peers: vec![Some(myself)],
            vacant: Vec::new(),
            links: IndexMap::default(),
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
            pings_sent: 0,
            cron_runs: 0,
            links_opened: 0,
            sent: [0; MessageKind::COUNT],
            received: [0; MessageKind::COUNT],
        }
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
        let same = |index: PeerIndex| self.get(index).is_some_and(|peer| peer.id == id);
        self.buckets.candidates(id).find(|&index| same(index))
    }

    /// Number of nodes known, the node itself and those in handshake included.
    #[must_use]
    pub fn node_count(&self) -> usize {
        self.buckets.count
    }

    /// Every place of the table, the node's own first; some may be empty. Holds no borrow, so that
    /// a caller may change the table while it walks it.
    pub(crate) fn places(&self) -> impl Iterator<Item = PeerIndex> + use<> {
        (0..self.peers.len() as u16).map(PeerIndex)
    }

    /// Every node known, the node itself first.
    pub fn peers(&self) -> impl Iterator<Item = (PeerIndex, &Peer)> {
        self.peers
            .iter()
            .enumerate()
            .filter_map(|(index, peer)| Some((PeerIndex(index as u16), peer.as_ref()?)))
    }

    /// The peer at `index`, unless it was removed.
    #[must_use]
    pub fn get(&self, index: PeerIndex) -> Option<&Peer> {
        self.peers.get(usize::from(index.0))?.as_ref()
    }

    /// A place drawn by `random`, which returns a number below its argument
    /// (`dictGetRandomKey`).
    pub(crate) fn random_peer(&self, random: impl FnMut(u32) -> u32) -> PeerIndex {
        self.buckets.draw(random)
    }

    pub(crate) fn add(&mut self, peer: Peer) -> PeerIndex {
        if self.buckets.is_full() {
            self.buckets.double();
            for (place, known) in (0..).map(PeerIndex).zip(&self.peers) {
                if let Some(known) = known {
                    self.buckets.insert(known.id, place);
                }
            }
        }
        let id = peer.id;
        let index = match self.vacant.pop() {
            Some(index) => {
                self.peers[usize::from(index.0)] = Some(peer);
                index
            }
            None => {
                self.peers.push(Some(peer));
                PeerIndex(self.peers.len() as u16 - 1)
            }
        };
        self.buckets.insert(id, index);
        self.topology += 1;
        self.watch(index);
        index
    }

    /// Sorts a peer into the sets and the queue that the cron works from.
    pub(crate) fn watch(&mut self, index: PeerIndex) {
        let peer = &self[index];
        let (suspected, loose) = (
            peer.is_timed_out(),
            peer.link.is_none() || peer.in_handshake(),
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
        let peer = self.peers.get_mut(usize::from(index.0))?.take()?;
        self.vacant.push(index);
        self.unconnected.remove(&index);
        self.suspects.remove(&index);
        self.topology += 1;
        self.buckets.remove(peer.id, index);
        Some(peer)
    }

    pub(crate) fn rename(&mut self, index: PeerIndex, id: NodeId) {
        let old = std::mem::replace(&mut self[index].id, id);
        self.buckets.remove(old, index);
        self.buckets.insert(id, index);
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

    /// Gives a slot to `owner`, taking it from whoever had it.
    pub(crate) fn set_owner(&mut self, slot: Slot, owner: Option<PeerIndex>) {
        self.owned_count += usize::from(owner.is_some());
        if let Some(old) = self.owner(slot) {
            self.owned_count -= 1;
            Arc::make_mut(&mut self[old].slots).remove(slot);
        }
        self.owners[usize::from(slot)] = owner.map_or(NOBODY, |owner| owner.0);
        if let Some(new) = owner {
            Arc::make_mut(&mut self[new].slots).insert(slot);
        }
    }

    /// Gives a whole set of slots to a peer. A set that nobody has anything of is shared, not
    /// copied.
    pub(crate) fn set_owner_of_all(&mut self, slots: &Arc<SlotSet>, owner: PeerIndex) {
        let untouched =
            self[owner].slots.is_empty() && slots.iter().all(|slot| self.owner(slot).is_none());
        if !untouched {
            for slot in slots.iter() {
                self.set_owner(slot, Some(owner));
            }
            return;
        }
        for slot in slots.iter() {
            self.owners[usize::from(slot)] = owner.0;
        }
        self.owned_count += slots.len();
        self[owner].slots = Arc::clone(slots);
    }

    /// A bus connection.
    #[must_use]
    pub fn link(&self, link: LinkId) -> Option<&Link> {
        self.links.get(&link)
    }

    /// Every bus connection, in no particular order.
    pub fn links(&self) -> impl Iterator<Item = &Link> {
        self.links.values()
    }

    /// The id of the next link this node opens: even numbers, so that they never meet those of
    /// accepted links.
    pub(crate) const fn next_link(&mut self) -> LinkId {
        self.links_opened += 2;
        LinkId(self.links_opened)
    }

    pub(crate) fn link_mut(&mut self, link: LinkId) -> Option<&mut Link> {
        self.links.get_mut(&link)
    }

    pub(crate) fn add_link(&mut self, link: Link) {
        self.links.insert(link.id, link);
    }

    pub(crate) fn remove_link(&mut self, link: LinkId) -> Option<Link> {
        self.links.swap_remove(&link)
    }

    /// Votes needed for a majority of the masters with slots.
    #[must_use]
    pub const fn quorum(&self) -> u16 {
        self.size / 2 + 1
    }
}

impl std::ops::Index<PeerIndex> for ClusterState {
    type Output = Peer;

    fn index(&self, index: PeerIndex) -> &Peer {
        match &self.peers[usize::from(index.0)] {
            Some(peer) => peer,
            None => unreachable!("peer {} was removed", index.0),
        }
    }
}

impl std::ops::IndexMut<PeerIndex> for ClusterState {
    fn index_mut(&mut self, index: PeerIndex) -> &mut Peer {
        match &mut self.peers[usize::from(index.0)] {
            Some(peer) => peer,
            None => unreachable!("peer {} was removed", index.0),
        }
    }
}

/// The hash table that upstream keeps its nodes in, as far as it shows: a random node is drawn by
/// drawing a bucket first, so nodes that share a bucket are pinged and spoken of less often.
///
/// A bucket is a chain through the places of the node table, in the order they were put in.
#[derive(Clone, Debug)]
struct Buckets {
    seed: u64,
    count: usize,
    buckets: Vec<Bucket>,
    /// By place.
    chain: Vec<Chained>,
}

#[derive(Clone, Copy, Debug)]
struct Bucket {
    /// Some bits of the first one's hash: most buckets hold one, and need no look at the chain.
    tag: u32,
    count: u16,
    first: u16,
}

/// A place in the chain of its bucket.
#[derive(Clone, Copy, Debug)]
struct Chained {
    /// Some bits of its id's hash.
    tag: u32,
    next: u16,
}

/// No place: the end of a chain.
const END: u16 = u16::MAX;

impl Buckets {
    /// `DICT_HT_INITIAL_SIZE`.
    const INITIAL: usize = 4;

    const EMPTY: Bucket = Bucket {
        tag: 0,
        count: 0,
        first: END,
    };

    fn new(seed: u64) -> Self {
        Self {
            seed,
            count: 0,
            buckets: vec![Self::EMPTY; Self::INITIAL],
            chain: Vec::new(),
        }
    }

    fn hash(&self, id: NodeId) -> (usize, u32) {
        let hash = xxhash_rust::xxh3::xxh3_64_with_seed(&id.0, self.seed);
        (
            hash as usize & (self.buckets.len() - 1),
            (hash >> 32) as u32,
        )
    }

    /// The places whose id is probably this one.
    fn candidates(&self, id: NodeId) -> impl Iterator<Item = PeerIndex> {
        let (bucket, tag) = self.hash(id);
        let held = self.buckets[bucket];
        let first = (held.count > 0 && held.tag == tag).then_some(held.first);
        let others = (held.count > 1)
            .then(|| self.places(bucket).skip(1))
            .into_iter()
            .flatten()
            .filter(move |&place| self.chain[usize::from(place)].tag == tag);
        first.into_iter().chain(others).map(PeerIndex)
    }

    fn places(&self, bucket: usize) -> impl Iterator<Item = u16> {
        let mut next = self.buckets[bucket].first;
        std::iter::from_fn(move || {
            let place = (next != END).then_some(next)?;
            next = self.chain[usize::from(place)].next;
            Some(place)
        })
    }

    fn insert(&mut self, id: NodeId, index: PeerIndex) {
        self.count += 1;
        let (bucket, tag) = self.hash(id);
        let last = self.places(bucket).last();
        let place = usize::from(index.0);
        let free = Chained { tag: 0, next: END };
        if self.chain.len() <= place {
            self.chain.resize(place + 1, free);
        }
        self.chain[place] = Chained { tag, next: END };
        self.buckets[bucket].count += 1;
        match last {
            Some(last) => self.chain[usize::from(last)].next = index.0,
            None => {
                self.buckets[bucket].first = index.0;
                self.buckets[bucket].tag = tag;
            }
        }
    }

    fn remove(&mut self, id: NodeId, index: PeerIndex) {
        let (bucket, _) = self.hash(id);
        let next = self.chain[usize::from(index.0)].next;
        let before = self
            .places(bucket)
            .find(|&place| self.chain[usize::from(place)].next == index.0);
        match before {
            Some(before) => self.chain[usize::from(before)].next = next,
            None => {
                self.buckets[bucket].first = next;
                self.buckets[bucket].tag = match next {
                    END => 0,
                    next => self.chain[usize::from(next)].tag,
                };
            }
        }
        self.buckets[bucket].count -= 1;
        self.count -= 1;
    }

    /// Whether the table must double before one more is inserted.
    fn is_full(&self) -> bool {
        self.count >= self.buckets.len()
    }

    fn double(&mut self) {
        let size = self.buckets.len() * 2;
        self.buckets = vec![Self::EMPTY; size];
        self.count = 0;
    }

    fn draw(&self, mut random: impl FnMut(u32) -> u32) -> PeerIndex {
        loop {
            let drawn = random(self.buckets.len() as u32) as usize;
            let Bucket { count, first, .. } = self.buckets[drawn];
            match count {
                0 => {}
                1 => return PeerIndex(first),
                count => {
                    let nth = random(count.into()) as usize;
                    let place = self.places(drawn).nth(nth);
                    return PeerIndex(place.unwrap_or(first));
                }
            }
        }
    }
}
