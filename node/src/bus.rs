//! The cluster bus: what a node does with a link and with a message (`clusterProcessPacket`).

use std::net::IpAddr;

use crate::clients;
use crate::cluster::{Held, Link, MYSELF, PeerIndex};
use crate::fact::Fact;
use crate::gossip::{self, PingKind};
use crate::ids::LinkId;
use crate::message::{Address, Body, Header, Message, MessageFlags, NodeFlags, Ping};
use crate::node::Node;
use crate::word::Word;
use crate::{election, epoch, failure, manual_failover, membership, slots};

/// A peer opened a link.
pub(crate) fn accepted(node: &mut Node, link: LinkId, peer: IpAddr, local: IpAddr) {
    let entry = Link {
        id: link,
        peer: None,
        inbound: true,
        up: true,
        created: node.wall(),
        remote_ip: Some(peer),
        local_ip: Some(local),
    };
    node.cluster.add_link(entry);
}

/// A link this node opened is up: it pings, or introduces itself (`clusterLinkConnectHandler`).
pub(crate) fn up(node: &mut Node, link: LinkId) {
    let Some(entry) = node.cluster.link_mut(link) else {
        return;
    };
    entry.up = true;
    let Some(index) = entry.peer else { return };
    let waiting_since = node.cluster[index].ping_sent();
    let meet = node.cluster[index].flags.contains(NodeFlags::MEET);
    gossip::send_ping(
        node,
        link,
        if meet { PingKind::Meet } else { PingKind::Ping },
    );
    // A ping that was outstanding when the old link broke still counts from when it was sent.
    if waiting_since.is_some() {
        node.cluster.set_ping_sent(index, waiting_since);
        node.cluster.attend(index);
    }
    node.cluster.unmark(index, NodeFlags::MEET);
}

/// A link broke, was closed or could not be made. Upstream does not look at why: a refused
/// connection is no quicker proof of failure than silence.
pub(crate) fn down(node: &mut Node, link: LinkId) {
    membership::forget_link(node, link);
}

/// A message arrived.
pub(crate) fn received(node: &mut Node, link: LinkId, message: &Message) {
    node.cluster.received[message.kind() as usize] += 1;
    let Some(speaker) = node.cluster.held_link(link).map(|held| held.peer) else {
        return;
    };
    let header = &message.header;
    let sender = identify(node, link, speaker, header);
    if let Some(sender) = sender {
        let now = node.wall();
        node.cluster[sender].data_received = now;
        // Much comes before the look at it.
        if let Some(master) = node.cluster[sender].replica_of {
            node.cluster.prefetch_peer(master);
        }
        if !node.cluster[sender].in_handshake() {
            take_in_header(node, sender, header);
        }
    }
    match &message.body {
        Body::Ping(ping) | Body::Pong(ping) | Body::Meet(ping) => {
            ping_like(node, link, sender, message, ping);
        }
        Body::Fail(about) => match sender {
            Some(sender) => failure::received(node, sender, *about),
            None => node.note(Fact::UnknownSender {
                node: header.sender,
            }),
        },
        Body::FailoverAuthRequest => {
            if let Some(sender) = sender {
                election::consider_request(node, sender, header);
            }
        }
        Body::FailoverAuthAck => {
            if let Some(sender) = sender {
                election::count_vote(node, sender, header.current_epoch);
            }
        }
        Body::Update {
            node: about,
            config_epoch,
            slots,
        } => {
            if sender.is_some() {
                slots::take_in_update(node, *about, *config_epoch, slots);
            }
        }
        Body::ManualFailoverStart => {
            if let Some(sender) = sender {
                manual_failover::requested_by(node, sender, link);
            }
        }
        Body::Publish {
            channel,
            message,
            sharded,
        } => {
            if sender.is_some() {
                let [channel, message] = [channel, message].map(|text| Word::from(text.clone()));
                clients::deliver(node, &channel, &message, *sharded);
            }
        }
        // There are no modules.
        Body::Module { .. } => {}
    }
}

/// The member that speaks (`getNodeFromLinkAndMsg`). An accepted link is tied to it.
fn identify(
    node: &mut Node,
    link: LinkId,
    speaker: Option<PeerIndex>,
    header: &Header,
) -> Option<PeerIndex> {
    if let Some(index) = speaker.filter(|&index| {
        node.cluster
            .get(index)
            .is_some_and(|peer| !peer.in_handshake())
    }) {
        return Some(index);
    }
    let sender = node.cluster.find(header.sender)?;
    if speaker.is_none() {
        membership::bind_inbound(node, link, sender);
    }
    Some(sender)
}

/// What every message of a member tells.
fn take_in_header(node: &mut Node, sender: PeerIndex, header: &Header) {
    epoch::adopt(node, sender, header);
    let now = node.wall();
    let peer = &mut node.cluster[sender];
    peer.offset = header.offset;
    peer.offset_time = now;
    if header.message_flags.contains(MessageFlags::PAUSED) {
        manual_failover::master_is_paused(node, sender, header.offset);
    }
}

fn ping_like(
    node: &mut Node,
    link: LinkId,
    sender: Option<PeerIndex>,
    message: &Message,
    ping: &Ping,
) {
    let header = &message.header;
    let is_meet = matches!(message.body, Body::Meet(_));
    let is_pong = matches!(message.body, Body::Pong(_));
    if !is_pong {
        learn_own_address(node, link, is_meet);
        if let (None, true, Some(entry)) = (sender, is_meet, node.cluster.link(link)) {
            membership::met(node, header, &entry);
            gossip::take_in(node, None, &ping.gossip);
        }
        gossip::send_ping(node, link, PingKind::Pong);
    }
    let Some(&Held { inbound, peer, .. }) = node.cluster.held_link(link) else {
        return;
    };
    let mut sender = sender;
    if let (false, Some(index)) = (inbound, peer) {
        if node.cluster[index].in_handshake() {
            if let Some(known) = sender {
                if membership::update_address(node, known, link, header) {
                    node.save_config(false);
                    node.update_state_later();
                }
                membership::remove(node, index);
                return;
            }
            membership::complete_handshake(node, index, header.sender, header.flags);
        } else if node.cluster[index].id != header.sender {
            membership::lose_address(node, index, link);
            return;
        }
    }
    if let Some(sender) = sender {
        let changed = NodeFlags::NOFAILOVER & (node.cluster[sender].flags ^ header.flags);
        if !changed.is_empty() {
            let flags = node.cluster[sender].flags ^ changed;
            node.cluster.set_flags(sender, flags);
        }
        let is_ping = matches!(message.body, Body::Ping(_));
        if is_ping
            && !node.cluster[sender].in_handshake()
            && membership::update_address(node, sender, link, header)
        {
            node.save_config(false);
            node.update_state_later();
        }
    }
    if let (false, true, Some(index)) = (inbound, is_pong, peer) {
        membership::heard_pong(node, index);
    }
    // The address update may have removed nobody, but a handshake may just have got its name:
    // upstream still treats that first packet as one of a stranger.
    if let Some(index) = sender.take() {
        take_in_member(node, link, index, header, ping);
    } else if !is_meet && node.cluster.find(header.sender).is_none() {
        node.note(Fact::UnknownSender {
            node: header.sender,
        });
    }
}

/// Role, slots, epoch and gossip of a member.
fn take_in_member(node: &mut Node, link: LinkId, sender: PeerIndex, header: &Header, ping: &Ping) {
    let was_replica = node.cluster[sender].is_replica();
    match header.replica_of {
        None => membership::set_master(node, sender),
        Some(master) => {
            let known = node.cluster[sender].replica_of;
            let master = known
                .filter(|&known| node.cluster.is(known, master))
                .or_else(|| node.cluster.find(master));
            membership::set_replica(node, sender, master);
        }
    }
    slots::take_in_header(node, sender, was_replica, header);
    epoch::resolve_collision(node, sender, header.config_epoch);
    // The link may have been closed meanwhile; upstream then reads freed memory, we look again.
    let teller = node
        .cluster
        .held_link(link)
        .and_then(|held| held.peer)
        .or_else(|| node.cluster.find(header.sender));
    gossip::take_in(node, teller, &ping.gossip);
    if node
        .cluster
        .get(sender)
        .is_some_and(|peer| peer.hostname != ping.hostname)
    {
        node.cluster[sender].hostname.clone_from(&ping.hostname);
    }
    membership::take_in_extensions(node, sender, ping);
}

/// A node learns its own address from the socket a MEET came by, or from any ping while it has
/// none.
fn learn_own_address(node: &mut Node, link: LinkId, is_meet: bool) {
    let known = node.cluster.myself().address.ip;
    if !(is_meet || known.is_none()) || node.config.announce_ip.is_some() {
        return;
    }
    let Some(local) = node.cluster.link(link).and_then(|entry| entry.local_ip) else {
        return;
    };
    if known != Some(local) {
        let address = Address {
            ip: Some(local),
            ..node.cluster.myself().address
        };
        node.cluster.set_address(MYSELF, address);
        node.save_config(false);
    }
}
