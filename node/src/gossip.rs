//! Gossip: who is pinged when, what a ping tells of others, what is made of it.

use std::sync::Arc;

use crate::action::Action;
use crate::cluster::{ClusterState, MYSELF, Peer, PeerIndex, Row};
use crate::engine::Quirk;
use crate::failure;
use crate::ids::LinkId;
use crate::membership;
use crate::message::{Body, Gossip, Header, Message, MessageFlags, NodeFlags, Ping};
use crate::node::Node;
use crate::section::{Entry, Section};
use crate::time::WallMillis;
use crate::wire::bus::encoded_len;

/// How far ahead of this node's clock a pong time heard by gossip may lie, ms.
const PONG_TOLERANCE_MS: i64 = 500;

/// Peers drawn each second, of which the one heard of longest ago is pinged.
const RANDOM_PINGS: usize = 5;

/// `clusterCron` runs between two pings of a random peer.
const CRONS_PER_RANDOM_PING: u64 = 10;

/// Which of the three ping-like messages to send.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum PingKind {
    Ping,
    Pong,
    Meet,
}

/// A node that is held for failing.
const DOWN: NodeFlags = NodeFlags::FAIL.union(NodeFlags::PFAIL);

/// A node that cannot be told of: nobody knows where it is.
const NOWHERE: NodeFlags = NodeFlags::HANDSHAKE.union(NodeFlags::NOADDR);

/// Whom a draw of peers to tell of passes over.
const NOT_DRAWN: NodeFlags = NOWHERE.union(NodeFlags::MYSELF).union(NodeFlags::PFAIL);

/// Whom a broadcast PONG goes to.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Audience {
    Everyone,
    /// The other replicas of this node's master, or this master's replicas.
    LocalReplicas,
}

/// Buffers that are used again and again; what is in them means nothing between two messages.
#[derive(Debug, Default)]
pub(crate) struct Scratch {
    /// Of whom a gossip section that is taken in speaks.
    found: Vec<Option<PeerIndex>>,
    /// Whom the cron looks at.
    due: Vec<PeerIndex>,
    /// Who was drawn to be told of.
    drawn: Vec<PeerIndex>,
    /// Who is told of already, a bit a place.
    mentioned: Vec<u64>,
}

/// The gossip half of `clusterCron`: reconnects, pings, suspicions. True if a peer became PFAIL.
pub(crate) fn cron(node: &mut Node) -> bool {
    membership::announce_own_flags(node);
    reconnect_all(node);
    node.cluster.cron_runs += 1;
    if node.cluster.cron_runs.is_multiple_of(CRONS_PER_RANDOM_PING) {
        ping_one_at_random(node);
    }
    let (now, timeout_ms) = (node.wall(), node.config.cluster_node_timeout_ms);
    let mut due = std::mem::take(&mut node.scratch.due);
    node.cluster.take_due(now, timeout_ms, &mut due);
    debug_assert!(
        node.cluster.overlooks_nobody(&due, now),
        "a peer was not attended to"
    );
    if let Some(replica) = node
        .manual_failover
        .replica()
        .filter(|replica| !due.contains(replica))
    {
        due.push(replica);
    }
    let mut suspected = false;
    for &index in &due {
        suspected |= visit(node, index);
        if node.cluster.get(index).is_some() {
            node.cluster.attend(index);
        }
    }
    node.scratch.due = due;
    suspected
}

/// Sends a PING, PONG or MEET by a link (`clusterSendPing`).
pub(crate) fn send_ping(node: &mut Node, link: LinkId, kind: PingKind) {
    let Some(known) = node.cluster.held_link(link) else {
        return;
    };
    if let (false, PingKind::Ping, Some(peer)) = (known.inbound, kind, known.peer) {
        let now = node.wall();
        node.cluster.set_ping_sent(peer, Some(now));
        node.cluster.attend(peer);
    }
    let ping = Ping {
        gossip: gossip_section(node),
        hostname: node.config.announce_hostname.clone(),
        shard_id: (node.has_quirk(Quirk::ShardIds)).then(|| node.cluster.myself().shard_id),
        forgotten: membership::forgotten(node),
    };
    let flags = if ping.has_extensions() {
        MessageFlags::EXT_DATA
    } else {
        MessageFlags::empty()
    };
    let body = match kind {
        PingKind::Ping => Body::Ping(ping),
        PingKind::Pong => Body::Pong(ping),
        PingKind::Meet => Body::Meet(ping),
    };
    let message = Message {
        header: header(node, flags),
        body,
    };
    send(node, link, Arc::new(message));
}

/// Tells the news to everyone, or to the shard (`clusterBroadcastPong`).
pub(crate) fn broadcast_pong(node: &mut Node, audience: Audience) {
    for index in node.cluster.places() {
        let Some(peer) = node.cluster.get(index) else {
            continue;
        };
        let Some(link) = peer.link() else { continue };
        if index == MYSELF || peer.in_handshake() {
            continue;
        }
        if audience == Audience::LocalReplicas && !is_local_replica(node, peer) {
            continue;
        }
        send_ping(node, link, PingKind::Pong);
    }
}

/// Sends one message to every peer with a link (`clusterBroadcastMessage`).
pub(crate) fn broadcast(node: &mut Node, message: Message) {
    let message = Arc::new(message);
    for index in node.cluster.places() {
        let Some(peer) = node.cluster.get(index) else {
            continue;
        };
        if peer
            .flags
            .intersects(NodeFlags::MYSELF | NodeFlags::HANDSHAKE)
        {
            continue;
        }
        if let Some(link) = peer.link() {
            send(node, link, Arc::clone(&message));
        }
    }
}

/// Sends a message to the other nodes of this node's shard (`clusterGetNodesServingMySlots`).
pub(crate) fn send_to_shard(node: &mut Node, body: &Body) {
    let master = node.cluster.myself().replica_of.unwrap_or(MYSELF);
    for index in node.cluster.places() {
        let Some(peer) = node.cluster.get(index) else {
            continue;
        };
        let is_local = index == master || peer.replica_of == Some(master);
        if index != MYSELF && is_local && !peer.in_handshake() {
            send_to(node, index, body.clone());
        }
    }
}

/// Sends a message to one peer, if there is a link to it.
pub(crate) fn send_to(node: &mut Node, index: PeerIndex, body: Body) -> bool {
    let Some(link) = node.cluster[index].link() else {
        return false;
    };
    let message = Message {
        header: header(node, MessageFlags::empty()),
        body,
    };
    send(node, link, Arc::new(message));
    true
}

/// What every message of this node starts with (`clusterBuildMessageHdr`).
pub(crate) fn header(node: &Node, mut message_flags: MessageFlags) -> Header {
    let myself = node.cluster.myself();
    let master = match myself.replica_of {
        Some(master) if myself.is_replica() => &node.cluster[master],
        Some(_) | None => myself,
    };
    if myself.is_master() && node.manual_failover.is_running() {
        message_flags |= MessageFlags::PAUSED;
    }
    Header {
        sender: myself.id,
        current_epoch: node.cluster.current_epoch,
        config_epoch: master.config_epoch,
        offset: crate::replication::offset(node),
        slots: Arc::clone(&master.slots),
        replica_of: myself.replica_of.map(|master| node.cluster[master].id),
        ip: node.config.announce_ip,
        port: node.config.announced_port(),
        plain_port: 0,
        bus_port: node.config.announced_bus_port(),
        flags: myself.flags,
        state_ok: node.cluster.state_ok,
        message_flags,
    }
}

/// Takes in what a ping, pong or meet tells of others (`clusterProcessGossipSection`). `sender` is
/// the teller, if it is a member.
pub(crate) fn take_in(node: &mut Node, sender: Option<PeerIndex>, gossip: &Section) {
    let voters_only = node.has_quirk(Quirk::OnlyVotersMarkFail);
    let reporter = sender.filter(|&sender| {
        let peer = &node.cluster[sender];
        peer.is_master() && (peer.votes() || !voters_only)
    });
    let Some(entries) = gossip.in_names_of(node.cluster.directory()) else {
        for entry in &*gossip.entries() {
            take_in_spelled(node, sender, reporter, entry);
        }
        return;
    };
    let mut found = std::mem::take(&mut node.scratch.found);
    let names = entries.iter().map(|entry| entry.name);
    node.cluster.find_names(names, &mut found);
    for (entry, known) in entries.iter().zip(&found) {
        // Taking in one entry may move a peer, or add one.
        let known = known.filter(|&index| node.cluster.is_called(index, entry.name));
        let Some(index) = known else {
            let spelled = entry.spelled(&node.cluster.directory().read());
            if let Some(entry) = spelled {
                take_in_spelled(node, sender, reporter, &entry);
            }
            continue;
        };
        // Under the same name it has the same address.
        take_in_known(node, reporter, index, entry.flags, entry.pong_received_s);
    }
    node.scratch.found = found;
}

fn take_in_spelled(
    node: &mut Node,
    sender: Option<PeerIndex>,
    reporter: Option<PeerIndex>,
    entry: &Gossip,
) {
    let Some(index) = node.cluster.find(entry.node) else {
        if sender.is_some() && !entry.flags.contains(NodeFlags::NOADDR) {
            membership::learn_of(node, entry);
        }
        return;
    };
    take_in_known(node, reporter, index, entry.flags, entry.pong_received_s);
    let known = &node.cluster[index];
    if known.flags.intersects(DOWN)
        && !entry.flags.intersects(DOWN | NodeFlags::NOADDR)
        && known.address != entry.address
    {
        membership::move_peer(node, index, entry.address);
    }
}

/// What is told of a peer, but for its address. `reporter` is the teller, if what it holds of
/// others counts.
#[inline]
fn take_in_known(
    node: &mut Node,
    reporter: Option<PeerIndex>,
    index: PeerIndex,
    flags: NodeFlags,
    pong_received_s: u32,
) {
    // Nearly always nobody is reported by anybody.
    let in_doubt = flags.intersects(DOWN) || !node.cluster.reports.is_empty();
    if in_doubt && take_in_report(node, reporter, index, flags) {
        return;
    }
    let pong = WallMillis(i64::from(pong_received_s) * 1000);
    if pong <= node.wall().plus_ms(PONG_TOLERANCE_MS) {
        node.cluster.hear_of_pong(index, pong);
    }
}

/// What is told of a peer's health. True if it is held for failing, by the teller or by others.
fn take_in_report(
    node: &mut Node,
    reporter: Option<PeerIndex>,
    index: PeerIndex,
    flags: NodeFlags,
) -> bool {
    let reported_down = flags.intersects(DOWN);
    let counts_reports = !node.cluster.reports.is_empty() && !node.cluster.row(index).awaits_pong();
    if let Some(reporter) = reporter.filter(|_| index != MYSELF) {
        if reported_down {
            failure::report(node, index, reporter);
            failure::mark_failing_if_agreed(node, index);
        } else {
            failure::withdraw_report(node, index, reporter);
        }
    }
    reported_down || (counts_reports && failure::report_count(node, index) > 0)
}

/// What this ping tells of others.
fn gossip_section(node: &mut Node) -> Section {
    let directory = Arc::clone(node.cluster.directory());
    if node.cluster.has_names_for_all() {
        let entries = tell_of_some(node, entry);
        return Section::named(directory, entries);
    }
    let spelled = tell_of_some(node, |cluster, index, row| {
        let (entry, peer) = (entry(cluster, index, row), &cluster[index]);
        entry.of(peer.id, peer.address)
    });
    Section::from(spelled)
}

/// Tells of a random tenth of the nodes, at least three, and of every node this one suspects.
fn tell_of_some<T>(node: &mut Node, tell: impl Fn(&ClusterState, PeerIndex, Row) -> T) -> Vec<T> {
    let count = node.cluster.node_count() as i64;
    let wanted = (count / 10).max(3).min(count - 2).max(0) as usize;
    let room = wanted + usize::from(node.cluster.pfail_count);
    let mut told = Vec::with_capacity(room);
    tell_of_drawn(node, wanted, &tell, &mut told);
    // As many as there were at the last cron: a suspicion of this very turn is told later.
    let count = usize::from(node.cluster.pfail_count);
    let suspects = node.cluster.suspects.iter().copied();
    told.extend(
        suspects
            .map(|index| (index, node.cluster.row(index)))
            .filter(|(_, row)| !row.flags().intersects(NOWHERE))
            .take(count)
            .map(|(index, row)| tell(&node.cluster, index, row)),
    );
    told
}

/// Draws whom to tell of, as many as are still wanted at a time.
fn tell_of_drawn<T>(
    node: &mut Node,
    wanted: usize,
    tell: &impl Fn(&ClusterState, PeerIndex, Row) -> T,
    told: &mut Vec<T>,
) {
    let Node {
        cluster,
        random,
        scratch,
        ..
    } = node;
    scratch.mentioned.clear();
    scratch
        .mentioned
        .resize(cluster.places().len().div_ceil(64), 0);
    let all_linked = cluster.unconnected.is_empty();
    let mut fresh = cluster.node_count().saturating_sub(2);
    let mut draws = wanted * 3;
    while told.len() < wanted && draws > 0 && fresh > 0 {
        let batch = (wanted - told.len()).min(draws).min(fresh);
        draws -= batch;
        let random = || random.gossip.word();
        cluster.draw_peers(batch, random, &mut scratch.drawn);
        if !all_linked {
            cluster.prefetch_unlinked(&scratch.drawn);
        }
        for &index in &scratch.drawn {
            let row = cluster.row(index);
            // Nearly all that are drawn may be told of.
            if !all_linked || row.flags().intersects(NOT_DRAWN) {
                if row.flags().intersects(NodeFlags::MYSELF | NodeFlags::PFAIL) {
                    continue;
                }
                if row.flags().intersects(NOWHERE)
                    || (!row.is_linked() && cluster[index].slots.is_empty())
                {
                    fresh -= 1;
                    continue;
                }
            }
            let (word, bit) = (usize::from(index.0) / 64, 1 << (index.0 % 64));
            if scratch.mentioned[word] & bit == 0 {
                scratch.mentioned[word] |= bit;
                told.push(tell(cluster, index, row));
                fresh -= 1;
            }
        }
    }
}

fn entry(cluster: &ClusterState, index: PeerIndex, row: Row) -> Entry {
    let ping_sent = if row.awaits_pong() {
        cluster[index].ping_sent()
    } else {
        None
    };
    Entry {
        name: row.name(),
        ping_sent_s: ping_sent.map_or(0, |sent| (sent.0 / 1000) as u32),
        pong_received_s: (cluster.pong_in(row, index).0 / 1000) as u32,
        flags: row.flags(),
    }
}

fn send(node: &mut Node, link: LinkId, message: Arc<Message>) {
    node.cluster.sent[message.kind() as usize] += 1;
    node.cluster.sent_bytes += encoded_len(&message) as u64;
    node.outbox.push(Action::SendBus { link, message });
}

fn is_local_replica(node: &Node, peer: &Peer) -> bool {
    let Some(master) = peer.replica_of.filter(|_| peer.is_replica()) else {
        return false;
    };
    master == MYSELF || Some(master) == node.cluster.myself().replica_of
}

/// Counts the suspects, drops dead handshakes and opens missing links
/// (`clusterNodeCronHandleReconnect`).
fn reconnect_all(node: &mut Node) {
    const MINIMUM_HANDSHAKE_MS: i64 = 1000;
    let handshake_timeout_ms = node
        .config
        .cluster_node_timeout_ms
        .max(MINIMUM_HANDSHAKE_MS);
    let now = node.wall();
    let counted = node
        .cluster
        .suspects
        .iter()
        .filter(|&&index| has_address(&node.cluster[index]));
    node.cluster.pfail_count = counted.count() as u16;
    for index in std::mem::take(&mut node.cluster.unconnected) {
        let Some(peer) = node.cluster.get(index).filter(|peer| has_address(peer)) else {
            continue;
        };
        let handshake = peer.in_handshake();
        if handshake && now.since_ms(peer.created) > handshake_timeout_ms {
            membership::handshake_timed_out(node, index);
            continue;
        }
        if !node.cluster[index].is_linked() {
            membership::connect(node, index);
        }
        if handshake || !node.cluster[index].is_linked() {
            node.cluster.unconnected.insert(index);
        }
    }
}

fn has_address(peer: &Peer) -> bool {
    !peer.flags.intersects(NodeFlags::MYSELF | NodeFlags::NOADDR)
}

fn ping_one_at_random(node: &mut Node) {
    let mut oldest: Option<(WallMillis, LinkId)> = None;
    let drawn = &mut node.scratch.drawn;
    let random = || node.random.pings.word();
    node.cluster.draw_peers(RANDOM_PINGS, random, drawn);
    for &index in drawn.iter() {
        let peer = &node.cluster[index];
        let Some(link) = peer.link().filter(|_| peer.ping_sent().is_none()) else {
            continue;
        };
        if peer
            .flags
            .intersects(NodeFlags::MYSELF | NodeFlags::HANDSHAKE)
        {
            continue;
        }
        let received = node.cluster.pong_received(index);
        if oldest.is_none_or(|(pong, _)| pong > received) {
            oldest = Some((received, link));
        }
    }
    if let Some((_, link)) = oldest {
        send_ping(node, link, PingKind::Ping);
    }
}

/// What `clusterCron` does with each peer: give up a dead link, ping, suspect. True if it became
/// PFAIL.
fn visit(node: &mut Node, index: PeerIndex) -> bool {
    let timeout_ms = node.config.cluster_node_timeout_ms;
    let now = node.wall();
    let Some(peer) = node.cluster.get(index) else {
        return false;
    };
    if peer
        .flags
        .intersects(NodeFlags::MYSELF | NodeFlags::NOADDR | NodeFlags::HANDSHAKE)
    {
        return false;
    }
    let ping_delay_ms = peer.ping_sent().map(|sent| now.since_ms(sent));
    let data_delay_ms = now.since_ms(peer.data_received);
    if let (Some(link), Some(ping_delay_ms)) = (peer.link(), ping_delay_ms)
        && node
            .cluster
            .link(link)
            .is_some_and(|link| now.since_ms(link.created) > timeout_ms)
        && ping_delay_ms > timeout_ms / 2
        && data_delay_ms > timeout_ms / 2
    {
        // Half of the timeout is over: perhaps it is the connection that is dead.
        membership::close_link(node, link);
    }
    let peer = &node.cluster[index];
    if let Some(link) = peer.link() {
        let stale =
            !peer.awaits_pong() && now.since_ms(node.cluster.pong_received(index)) > timeout_ms / 2;
        let paused_for_it = node.cluster.myself().is_master() && node.manual_failover.is_for(index);
        if stale || paused_for_it {
            send_ping(node, link, PingKind::Ping);
            return false;
        }
    }
    let Some(ping_delay_ms) = ping_delay_ms else {
        return false;
    };
    failure::suspect_if_silent(node, index, ping_delay_ms, data_delay_ms)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::Config;
    use crate::directory::{self, Directory};
    use crate::ids::NodeId;
    use crate::message::Address;
    use crate::random::Seed;
    use crate::time::{Mono, Now};

    const NOW: Now = Now {
        mono: Mono(0),
        wall: WallMillis(1_795_249_377_522),
    };

    fn node_that_knows(others: u8, directory: Directory) -> Node {
        let directory = Arc::new(directory);
        let mut node =
            Node::among(&directory, Config::default(), Seed([7; 32]), None, NOW).unwrap();
        for number in 0..others {
            let address = Address {
                ip: Some([10, 0, 0, number].into()),
                port: 0,
                bus_port: 17000,
            };
            let id = NodeId([number; 20]);
            let peer = Peer::new(id, NodeFlags::MASTER, address, NOW.wall);
            let index = node.cluster.add(peer);
            node.cluster.set_link(index, Some(LinkId(2)));
            node.cluster.set_pong_received(index, NOW.wall);
        }
        node
    }

    #[test]
    fn whoever_has_no_name_is_spoken_of_all_the_same() {
        let [named, spelled] = [Directory::default(), directory::full()].map(|directory| {
            let mut node = node_that_knows(40, directory);
            let section = gossip_section(&mut node);
            let is_named = section.in_names_of(node.cluster.directory()).is_some();
            (section, is_named)
        });
        assert_eq!(named.0.len(), 4);
        assert_eq!(named.0, spelled.0);
        assert_eq!([named.1, spelled.1], [true, false]);
    }
}
