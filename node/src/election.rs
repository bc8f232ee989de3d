//! Elections: the replica that asks for votes and the master that gives them.

use crate::cluster::{MYSELF, PeerIndex};
use crate::engine::{Bug, Quirk};
use crate::fact::{ElectionReset, EpochChange, Fact, FailoverKind, FailoverObstacle, VoteRefusal};
use crate::gossip::{self, Audience};
use crate::manual_failover;
use crate::message::{Body, Header, Message, MessageFlags};
use crate::node::{Node, Todo};
use crate::time::WallMillis;
use crate::{epoch, replication, slots, state};

/// Fixed part of the delay before an election, ms: time for the FAIL to spread.
const DELAY_FIXED_MS: i64 = 500;

/// Bound of the random part, ms: so that two replicas seldom ask at once.
const DELAY_RANDOM_MS: u32 = 500;

/// Delay for each sibling with better data, ms.
const DELAY_PER_RANK_MS: i64 = 1000;

/// Delay for each failed master that comes first, ms (from Valkey 8.1).
const DELAY_PER_MASTER_MS: i64 = 500;

/// The fixed delay is the node-timeout through this, if that is less (from Valkey 9.0).
const TIMEOUT_PER_DELAY: i64 = 30;

/// An election takes at least this long to expire, ms.
const TIMEOUT_MIN_MS: i64 = 2000;

/// The same obstacle is reported again after this long, s
/// (`CLUSTER_CANT_FAILOVER_RELOG_PERIOD`).
const RELOG_S: i64 = 10;

/// After its master's FAIL a replica keeps quiet about obstacles for node-timeout plus this, ms.
const QUIET_MS: i64 = 5000;

/// A voter answers for one master's replicas once in this many node-timeouts.
const VOTE_AGAIN_TIMEOUTS: i64 = 2;

/// The candidate's state (`failover_auth_*`). In Redis 7.0 it outlives role changes: a replica
/// that won, was demoted and fails over again finds its old votes still counted (redis-8752).
/// [`Quirk::NewMasterResetsElection`] ends that.
#[derive(Debug, Default)]
pub(crate) struct Election {
    /// When the request goes out, or went out (`failover_auth_time`).
    at: WallMillis,
    votes: u16,
    sent: bool,
    rank: u16,
    /// Rank among the failed masters; 0 where there is none.
    master_rank: u16,
    epoch: u64,
    obstacle: Option<FailoverObstacle>,
    obstacle_logged_s: i64,
}

/// The delays of an election, ms.
#[derive(Clone, Copy)]
struct Delays {
    fixed_ms: i64,
    random_below_ms: u32,
    per_rank_ms: i64,
    per_master_ms: i64,
}

impl Delays {
    fn of(node: &Node) -> Self {
        if !node.has_quirk(Quirk::DelayScalesWithTimeout) {
            return Self {
                fixed_ms: DELAY_FIXED_MS,
                random_below_ms: DELAY_RANDOM_MS,
                per_rank_ms: DELAY_PER_RANK_MS,
                per_master_ms: DELAY_PER_MASTER_MS,
            };
        }
        let share_ms = node.config.cluster_node_timeout_ms / TIMEOUT_PER_DELAY;
        let fixed_ms = share_ms.min(DELAY_FIXED_MS);
        Self {
            fixed_ms,
            random_below_ms: u32::try_from(fixed_ms).unwrap_or(0),
            per_rank_ms: 2 * fixed_ms,
            per_master_ms: fixed_ms,
        }
    }
}

/// Forgets when the election was, so that the next may begin at once.
pub(crate) fn reset(node: &mut Node, why: ElectionReset) {
    if node.election.at == WallMillis(0) {
        return;
    }
    node.election.at = WallMillis(0);
    let epoch = node.election.epoch;
    node.note(Fact::ElectionReset { epoch, why });
}

/// Another master claims an epoch: one that a candidate's election can no longer win, if it is not
/// lower (`clusterProcessPacket`).
pub(crate) fn heard_claim(node: &mut Node, by: PeerIndex, epoch: u64) {
    let asked = node.election.sent && node.election.at != WallMillis(0);
    if node.has_quirk(Quirk::ClaimResetsElection) && asked && epoch >= node.election.epoch {
        let by = node.cluster[by].id;
        reset(node, ElectionReset::Claim { by, epoch });
        node.todo |= Todo::HANDLE_FAILOVER;
    }
}

/// Moves the candidate on (`clusterHandleSlaveFailover`): schedules, asks, wins.
pub(crate) fn advance(node: &mut Node) {
    node.todo.remove(Todo::HANDLE_FAILOVER);
    let manual = node.manual_failover.can_start();
    let Some(master) = eligible_for(node, manual) else {
        node.election.obstacle = None;
        return;
    };
    if !manual && !data_is_fresh(node) {
        obstacle(node, FailoverObstacle::DataAge);
        return;
    }
    let now = node.wall();
    let timeout_ms = (node.config.cluster_node_timeout_ms * 2).max(TIMEOUT_MIN_MS);
    let age_ms = now.since_ms(node.election.at);
    if age_ms > timeout_ms * 2 {
        schedule(node, master);
        return;
    }
    if !node.election.sent && !node.manual_failover.is_running() {
        update_rank(node, master);
    }
    if now < node.election.at {
        obstacle(node, FailoverObstacle::WaitingDelay);
    } else if age_ms > timeout_ms {
        obstacle(node, FailoverObstacle::Expired);
    } else if !node.election.sent {
        request_votes(node, master);
    } else if node.election.votes >= votes_needed(node) {
        win(node, master);
    } else {
        obstacle(node, FailoverObstacle::WaitingVotes);
    }
}

/// A vote arrived. It counts if the voter votes and is not behind the election.
pub(crate) fn count_vote(node: &mut Node, voter: PeerIndex, voter_epoch: u64) {
    if !node.cluster[voter].votes() || voter_epoch < node.election.epoch {
        return;
    }
    node.election.votes += 1;
    let from = node.cluster[voter].id;
    let (election_epoch, votes) = (node.election.epoch, node.election.votes);
    node.note(Fact::VoteReceived {
        from,
        voter_epoch,
        election_epoch,
        votes,
    });
    node.todo |= Todo::HANDLE_FAILOVER;
}

/// A replica asks for this node's vote (`clusterSendFailoverAuthIfNeeded`). The state file is
/// saved before the vote leaves.
pub(crate) fn consider_request(node: &mut Node, candidate: PeerIndex, request: &Header) {
    if !node.cluster.myself().votes() {
        return;
    }
    let to = node.cluster[candidate].id;
    match judge_request(node, candidate, request) {
        Err(why) => node.note(Fact::VoteRefused {
            to,
            epoch: request.current_epoch,
            why: Box::new(why),
        }),
        Ok(master) => {
            node.cluster.last_vote_epoch = node.cluster.current_epoch;
            let now = node.wall();
            node.cluster[master].voted_time = now;
            node.save_config(true);
            gossip::send_to(node, candidate, Body::FailoverAuthAck);
            let (master, epoch) = (node.cluster[master].id, node.cluster.current_epoch);
            node.note(Fact::VoteGranted {
                to,
                master: Box::new(master),
                epoch,
            });
        }
    }
}

/// The rules of a vote, in upstream's order. The master to be replaced, if the vote is given.
fn judge_request(
    node: &Node,
    candidate: PeerIndex,
    request: &Header,
) -> Result<PeerIndex, VoteRefusal> {
    let current_epoch = node.cluster.current_epoch;
    if request.current_epoch < current_epoch {
        return Err(VoteRefusal::StaleEpoch { current_epoch });
    }
    if node.cluster.last_vote_epoch == current_epoch && !node.has_bug(Bug::VotesTwice) {
        return Err(VoteRefusal::AlreadyVoted);
    }
    if node.cluster[candidate].is_master() {
        return Err(VoteRefusal::IsMaster);
    }
    let master = node.cluster[candidate]
        .replica_of
        .ok_or(VoteRefusal::MasterUnknown)?;
    if !node.cluster[master].is_failed() && !request.message_flags.contains(MessageFlags::FORCEACK)
    {
        return Err(VoteRefusal::MasterIsUp);
    }
    let guard_ms = node.config.cluster_node_timeout_ms * VOTE_AGAIN_TIMEOUTS;
    let since_ms = node.wall().since_ms(node.cluster[master].voted_time);
    let guarded = !node.has_quirk(Quirk::NoVoteGuard);
    if guarded && since_ms < guard_ms && !node.has_bug(Bug::VotesTwice) {
        return Err(VoteRefusal::VotedForThatMaster {
            wait_ms: guard_ms - since_ms,
        });
    }
    if node.has_bug(Bug::NoSlotEpochCheck) {
        return Ok(master);
    }
    for slot in request.slots.iter() {
        let Some(owner) = node
            .cluster
            .owner(slot)
            .filter(|_| !node.cluster.is_unclaimed(slot))
        else {
            continue;
        };
        let slot_epoch = node.cluster[owner].config_epoch;
        if slot_epoch > request.config_epoch {
            return Err(VoteRefusal::StaleSlotEpoch {
                slot,
                slot_epoch,
                request_epoch: request.config_epoch,
            });
        }
    }
    Ok(master)
}

/// The master this replica may stand in for now, if any.
fn eligible_for(node: &Node, manual: bool) -> Option<PeerIndex> {
    let myself = node.cluster.myself();
    let master = myself.replica_of.filter(|_| !myself.is_master())?;
    let called_for = node.cluster[master].is_failed() || manual;
    let allowed = !node.config.cluster_replica_no_failover || manual;
    let serves = !node.cluster[master].slots.is_empty();
    let possible =
        (serves || node.has_quirk(Quirk::EmptyShardFailsOver)) && !node.has_bug(Bug::NeverElects);
    (called_for && allowed && possible).then_some(master)
}

/// Whether the replica was in touch with its master lately enough to hold good data. Whole
/// seconds, as upstream counts them.
fn data_is_fresh(node: &Node) -> bool {
    let config = &node.config;
    let timeout_ms = config.cluster_node_timeout_ms;
    let mut age_ms = replication::data_age_s(node).saturating_mul(1000);
    if age_ms > timeout_ms {
        age_ms -= timeout_ms;
    }
    let factor = config.cluster_replica_validity_factor;
    factor == 0 || age_ms <= config.repl_ping_replica_period_s * 1000 + timeout_ms * factor
}

fn schedule(node: &mut Node, master: PeerIndex) {
    let now = node.wall();
    let rank = rank(node, master);
    let master_rank = master_rank(node);
    let delays = Delays::of(node);
    let random_ms = i64::from(node.random.elections.below(delays.random_below_ms));
    let manual = node.manual_failover.is_running();
    let election = &mut node.election;
    election.votes = 0;
    election.sent = false;
    if manual {
        election.at = now;
        election.rank = 0;
        election.master_rank = 0;
        node.todo |= Todo::HANDLE_FAILOVER;
    } else {
        let for_ranks_ms =
            i64::from(rank) * delays.per_rank_ms + i64::from(master_rank) * delays.per_master_ms;
        election.at = now.plus_ms(delays.fixed_ms + random_ms + for_ranks_ms);
        election.rank = rank;
        election.master_rank = master_rank;
    }
    let (delay_ms, rank) = (node.election.at.since_ms(now), node.election.rank);
    let master = node.cluster[master].id;
    let offset = replication::offset(node);
    node.note(Fact::ElectionScheduled {
        master,
        delay_ms,
        rank,
        offset,
        manual,
    });
    // The siblings must know this replica's offset to find their own rank.
    gossip::broadcast_pong(node, Audience::LocalReplicas);
}

/// A sibling's better offset may come in while the delay runs, and other masters may fail or come
/// back.
fn update_rank(node: &mut Node, master: PeerIndex) {
    let delays = Delays::of(node);
    let (rank, before) = (rank(node, master), node.election.rank);
    if rank > before || rank < before && node.has_quirk(Quirk::RankMayImprove) {
        let added_ms = (i64::from(rank) - i64::from(before)) * delays.per_rank_ms;
        node.election.at = node.election.at.plus_ms(added_ms);
        node.election.rank = rank;
        node.note(Fact::RankUpdated { rank, added_ms });
    }
    let (rank, before) = (master_rank(node), node.election.master_rank);
    if rank != before {
        let added_ms = (i64::from(rank) - i64::from(before)) * delays.per_master_ms;
        node.election.at = node.election.at.plus_ms(added_ms);
        node.election.master_rank = rank;
        node.note(Fact::MasterRankUpdated { rank, added_ms });
    }
}

/// Number of failed masters whose replicas ask first (`clusterGetFailedPrimaryRank`): those with a
/// smaller shard id, unless they failed so long ago that their replicas may not ask any more.
fn master_rank(node: &Node) -> u16 {
    if !node.has_quirk(Quirk::FailedMasterRank) {
        return 0;
    }
    let config = &node.config;
    let (factor, mine) = (
        config.cluster_replica_validity_factor,
        node.cluster.myself().shard_id,
    );
    let limit_ms = config.cluster_node_timeout_ms * factor;
    let now = node.wall();
    let first = node.cluster.peers().filter(|(_, peer)| {
        let too_long = factor != 0 && now.since_ms(peer.fail_time) > limit_ms;
        peer.is_failed()
            && peer.votes()
            && !peer.replicas.is_empty()
            && !too_long
            && peer.shard_id < mine
    });
    first.count() as u16
}

/// Number of siblings with better data that may stand too (`clusterGetSlaveRank`).
fn rank(node: &Node, master: PeerIndex) -> u16 {
    use crate::message::NodeFlags;
    let mine = replication::offset(node);
    let my_id = node.cluster.myself().id;
    let by_id = node.has_quirk(Quirk::RankTieByNodeId);
    let siblings = node.cluster[master]
        .replicas
        .iter()
        .filter(|&&index| index != MYSELF);
    siblings
        .filter(|&&index| {
            let sibling = &node.cluster[index];
            let better =
                sibling.offset > mine || by_id && sibling.offset == mine && sibling.id < my_id;
            !sibling.flags.contains(NodeFlags::NOFAILOVER) && better
        })
        .count() as u16
}

fn request_votes(node: &mut Node, master: PeerIndex) {
    node.cluster.current_epoch += 1;
    let epoch = node.cluster.current_epoch;
    node.election.epoch = epoch;
    node.election.sent = true;
    let master = node.cluster[master].id;
    node.note(Fact::ElectionStarted {
        epoch,
        master,
        needed: node.cluster.quorum(),
    });
    let forced = node.manual_failover.is_running();
    let flags = if forced {
        MessageFlags::FORCEACK
    } else {
        MessageFlags::empty()
    };
    let message = Message {
        header: gossip::header(node, flags),
        body: Body::FailoverAuthRequest,
    };
    gossip::broadcast(node, message);
    node.update_state_later();
    node.save_config(true);
}

fn votes_needed(node: &Node) -> u16 {
    let quorum = node.cluster.quorum();
    if node.has_bug(Bug::WinsShortOfQuorum) {
        quorum.saturating_sub(1)
    } else {
        quorum
    }
}

fn win(node: &mut Node, master: PeerIndex) {
    let epoch = node.election.epoch;
    if node.cluster.myself().config_epoch < epoch {
        epoch::set_own(node, epoch, EpochChange::Election);
    }
    let how = node
        .manual_failover
        .kind()
        .unwrap_or(FailoverKind::Automatic);
    let votes = node.election.votes;
    replace_master(node, master, how, epoch, votes);
}

/// Turns this replica into the master of its master's slots (`clusterFailoverReplaceYourMaster`).
pub(crate) fn replace_master(
    node: &mut Node,
    master: PeerIndex,
    how: FailoverKind,
    epoch: u64,
    votes: u16,
) {
    let offset = replication::offset(node);
    let (id, needed) = (node.cluster[master].id, node.cluster.quorum());
    node.note(Fact::ElectionWon {
        epoch,
        votes,
        needed,
        master: id,
        how,
        offset,
    });
    crate::membership::set_master(node, MYSELF);
    replication::promote(node);
    slots::take_over(node, master);
    state::update(node);
    node.save_config(true);
    gossip::broadcast_pong(node, Audience::Everyone);
    manual_failover::reset(node);
}

/// Reports why a failover does not happen, once in a while (`clusterLogCantFailover`).
fn obstacle(node: &mut Node, why: FailoverObstacle) {
    let now_s = node.unix_s();
    let election = &mut node.election;
    if election.obstacle == Some(why) && now_s - election.obstacle_logged_s < RELOG_S {
        return;
    }
    election.obstacle = Some(why);
    let quiet_ms = node.config.cluster_node_timeout_ms + QUIET_MS;
    let master = node
        .cluster
        .myself()
        .replica_of
        .map(|master| &node.cluster[master]);
    if master.is_some_and(|master| {
        master.is_failed() && node.now.wall.since_ms(master.fail_time) < quiet_ms
    }) {
        return;
    }
    node.election.obstacle_logged_s = now_s;
    node.note(Fact::FailoverUnable { why });
}
