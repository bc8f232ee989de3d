//! Elections: the replica that asks for votes and the master that gives them.

use crate::cluster::{MYSELF, PeerIndex};
use crate::engine::Bug;
use crate::fact::{EpochChange, Fact, FailoverKind, FailoverObstacle, VoteRefusal};
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

/// An election takes at least this long to expire, ms.
const TIMEOUT_MIN_MS: i64 = 2000;

/// The same obstacle is reported again after this long, s
/// (`CLUSTER_CANT_FAILOVER_RELOG_PERIOD`).
const RELOG_S: i64 = 10;

/// After its master's FAIL a replica keeps quiet about obstacles for node-timeout plus this, ms.
const QUIET_MS: i64 = 5000;

/// A voter answers for one master's replicas once in this many node-timeouts.
const VOTE_AGAIN_TIMEOUTS: i64 = 2;

/// The candidate's state (`failover_auth_*`). It outlives role changes, as in Redis 7.0: a replica
/// that won, was demoted and fails over again finds its old votes still counted (redis-8752).
#[derive(Debug, Default)]
pub(crate) struct Election {
    /// When the request goes out, or went out (`failover_auth_time`).
    at: WallMillis,
    votes: u16,
    sent: bool,
    rank: u16,
    epoch: u64,
    obstacle: Option<FailoverObstacle>,
    obstacle_logged_s: i64,
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
            why,
        }),
        Ok(master) => {
            node.cluster.last_vote_epoch = node.cluster.current_epoch;
            let now = node.wall();
            node.cluster[master].voted_time = now;
            node.save_config(true);
            gossip::send_to(node, candidate, Body::FailoverAuthAck);
            let (master, epoch) = (node.cluster[master].id, node.cluster.current_epoch);
            node.note(Fact::VoteGranted { to, master, epoch });
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
    if since_ms < guard_ms && !node.has_bug(Bug::VotesTwice) {
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
    let possible = !node.cluster[master].slots.is_empty() && !node.has_bug(Bug::NeverElects);
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
    let random_ms = i64::from(node.random.elections.below(DELAY_RANDOM_MS));
    let manual = node.manual_failover.is_running();
    let election = &mut node.election;
    election.votes = 0;
    election.sent = false;
    if manual {
        election.at = now;
        election.rank = 0;
        node.todo |= Todo::HANDLE_FAILOVER;
    } else {
        election.at = now.plus_ms(DELAY_FIXED_MS + random_ms + i64::from(rank) * DELAY_PER_RANK_MS);
        election.rank = rank;
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

/// A sibling's better offset may come in while the delay runs.
fn update_rank(node: &mut Node, master: PeerIndex) {
    let rank = rank(node, master);
    if rank > node.election.rank {
        let added_ms = i64::from(rank - node.election.rank) * DELAY_PER_RANK_MS;
        node.election.at = node.election.at.plus_ms(added_ms);
        node.election.rank = rank;
        node.note(Fact::RankUpdated { rank, added_ms });
    }
}

/// Number of siblings with better data that may stand too (`clusterGetSlaveRank`).
fn rank(node: &Node, master: PeerIndex) -> u16 {
    use crate::message::NodeFlags;
    let mine = replication::offset(node);
    let siblings = node.cluster[master]
        .replicas
        .iter()
        .filter(|&&index| index != MYSELF);
    siblings
        .filter(|&&index| {
            let sibling = &node.cluster[index];
            !sibling.flags.contains(NodeFlags::NOFAILOVER) && sibling.offset > mine
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
