//! What `CLUSTER` tells of nodes, slots and links.

use std::fmt::Write;

use super::redirect::preferred_endpoint;
use crate::cluster::{Link, MYSELF, Peer, PeerIndex};
use crate::config::EndpointType;
use crate::message::MessageKind;
use crate::node::Node;
use crate::nodes_conf::ip_text;
use crate::replication;
use crate::reply::Reply;
use crate::restore::saved_node;
use crate::slot::{SLOT_COUNT, Slot, SlotRange};

/// The types of messages in the order of their counters, by name
/// (`clusterGetMessageTypeString`).
const MESSAGE_WORDS: [&str; MessageKind::COUNT] = [
    "ping",
    "pong",
    "meet",
    "fail",
    "publish",
    "auth-req",
    "auth-ack",
    "update",
    "mfstart",
    "module",
    "publishshard",
];

/// `CLUSTER NODES`: a line a node.
pub(super) fn nodes(node: &Node) -> String {
    let mut lines = String::new();
    for (index, _) in node.cluster.peers() {
        saved_node(&node.cluster, index).describe(&mut lines);
        lines.push('\n');
    }
    lines
}

/// The line of one node.
pub(super) fn node(node: &Node, index: PeerIndex) -> String {
    let mut line = String::new();
    saved_node(&node.cluster, index).describe(&mut line);
    line
}

/// Writing to a string cannot fail.
fn put(out: &mut String, text: std::fmt::Arguments<'_>) {
    let _infallible = out.write_fmt(text);
}

/// `CLUSTER INFO`.
pub(super) fn info(node: &Node) -> String {
    let cluster = &node.cluster;
    let (mut assigned, mut failed, mut suspected) = (0, 0, 0);
    for owner in (0..SLOT_COUNT as Slot).filter_map(|slot| cluster.owner(slot)) {
        assigned += 1;
        if cluster[owner].is_failed() {
            failed += 1;
        } else if cluster[owner].is_timed_out() {
            suspected += 1;
        }
    }
    let myself = cluster.myself();
    let epoch_of = myself
        .replica_of
        .filter(|_| myself.is_replica())
        .unwrap_or(MYSELF);
    let mut out = String::new();
    let mut line = |name: &str, value: &dyn std::fmt::Display| {
        put(&mut out, format_args!("{name}:{value}\r\n"));
    };
    line(
        "cluster_state",
        if cluster.state_ok { &"ok" } else { &"fail" },
    );
    line("cluster_slots_assigned", &assigned);
    line("cluster_slots_ok", &(assigned - failed - suspected));
    line("cluster_slots_pfail", &suspected);
    line("cluster_slots_fail", &failed);
    line("cluster_known_nodes", &cluster.node_count());
    line("cluster_size", &cluster.size);
    line("cluster_current_epoch", &cluster.current_epoch);
    line("cluster_my_epoch", &cluster[epoch_of].config_epoch);
    for (counters, direction) in [(&cluster.sent, "sent"), (&cluster.received, "received")] {
        for (count, kind) in counters.iter().zip(MESSAGE_WORDS) {
            if *count > 0 {
                line(&format!("cluster_stats_messages_{kind}_{direction}"), count);
            }
        }
        let total: u64 = counters.iter().sum();
        line(&format!("cluster_stats_messages_{direction}"), &total);
    }
    line("total_cluster_links_buffer_limit_exceeded", &0);
    out
}

/// `CLUSTER SLOTS` (`clusterReplyMultiBulkSlots`).
pub(super) fn slot_map(node: &Node) -> Reply {
    let cluster = &node.cluster;
    let mut ranges: Vec<(SlotRange, PeerIndex)> = Vec::new();
    for slot in 0..SLOT_COUNT as Slot {
        let Some(owner) = cluster.owner(slot) else {
            continue;
        };
        match ranges.last_mut() {
            Some((range, last)) if *last == owner && range.last + 1 == slot => range.last = slot,
            _ => ranges.push((
                SlotRange {
                    first: slot,
                    last: slot,
                },
                owner,
            )),
        }
    }
    let ranges = ranges.into_iter().map(|(range, owner)| {
        let mut parts = vec![
            Reply::Integer(i64::from(range.first)),
            Reply::Integer(i64::from(range.last)),
            contact(node, &cluster[owner]),
        ];
        let replicas = cluster[owner].replicas.iter().copied();
        let available = replicas.filter(|&replica| is_available(node, replica));
        parts.extend(available.map(|replica| contact(node, &cluster[replica])));
        Reply::Array(parts)
    });
    Reply::Array(ranges.collect())
}

/// Where a node is reached, for clients (`addNodeToNodeReply`): the preferred endpoint, and
/// beside it what else is known.
fn contact(node: &Node, peer: &Peer) -> Reply {
    let preferred = node.config.cluster_preferred_endpoint_type;
    let mut metadata = Vec::new();
    if preferred != EndpointType::Ip {
        metadata.push(("ip", Reply::bulk(ip_text(peer.address.ip))));
    }
    if preferred != EndpointType::Hostname
        && let Some(hostname) = hostname(peer)
    {
        metadata.push(("hostname", Reply::bulk(hostname.to_owned())));
    }
    let endpoint = match preferred {
        EndpointType::Ip | EndpointType::Hostname => Reply::bulk(preferred_endpoint(node, peer)),
        EndpointType::UnknownEndpoint => Reply::Nil,
    };
    Reply::Array(vec![
        endpoint,
        Reply::Integer(i64::from(peer.address.port)),
        Reply::bulk(peer.id.to_string()),
        named(metadata),
    ])
}

fn hostname(peer: &Peer) -> Option<&str> {
    peer.hostname.as_deref().filter(|name| !name.is_empty())
}

/// Whether a replica can be read from (`isReplicaAvailable`).
fn is_available(node: &Node, index: PeerIndex) -> bool {
    !node.cluster[index].is_failed() && offset_of(node, index) != 0
}

fn offset_of(node: &Node, index: PeerIndex) -> u64 {
    if index == MYSELF {
        replication::offset(node)
    } else {
        node.cluster[index].offset
    }
}

/// `CLUSTER SHARDS` (`clusterReplyShards`).
pub(super) fn shards(node: &Node) -> Reply {
    let cluster = &node.cluster;
    let masters = cluster.peers().filter(|(_, peer)| peer.is_master());
    let shards = masters.map(|(index, master)| {
        let ranges = master.slots.ranges();
        let bounds = ranges.iter().flat_map(|range| [range.first, range.last]);
        let members = std::iter::once(index).chain(master.replicas.iter().copied());
        Reply::Map(vec![
            (
                Reply::bulk("slots"),
                Reply::Array(bounds.map(|slot| Reply::Integer(i64::from(slot))).collect()),
            ),
            (
                Reply::bulk("nodes"),
                Reply::Array(members.map(|member| shard_node(node, member)).collect()),
            ),
        ])
    });
    Reply::Array(shards.collect())
}

/// `addNodeDetailsToShardReply`.
fn shard_node(node: &Node, index: PeerIndex) -> Reply {
    let peer = &node.cluster[index];
    let offset = offset_of(node, index);
    let mut pairs = vec![("id", Reply::bulk(peer.id.to_string()))];
    if peer.address.port != 0 {
        pairs.push(("port", Reply::Integer(i64::from(peer.address.port))));
    }
    pairs.push(("ip", Reply::bulk(ip_text(peer.address.ip))));
    pairs.push(("endpoint", Reply::bulk(preferred_endpoint(node, peer))));
    if let Some(hostname) = hostname(peer) {
        pairs.push(("hostname", Reply::bulk(hostname.to_owned())));
    }
    let role = if peer.is_replica() {
        "replica"
    } else {
        "master"
    };
    let health = if peer.is_failed() {
        "fail"
    } else if peer.is_replica() && offset == 0 {
        "loading"
    } else {
        "online"
    };
    pairs.push(("role", Reply::bulk(role)));
    pairs.push(("replication-offset", Reply::Integer(offset as i64)));
    pairs.push(("health", Reply::bulk(health)));
    named(pairs)
}

/// `CLUSTER LINKS` (`addReplyClusterLinkDescription`). Send buffers belong to the shell: their
/// sizes read zero here.
pub(super) fn links(node: &Node) -> Reply {
    let cluster = &node.cluster;
    let of_peer = |peer: &Peer| {
        let ends = [peer.link(), peer.inbound_link].into_iter().flatten();
        let links: Vec<Reply> = ends
            .filter_map(|link| cluster.link(link))
            .map(|link| describe_link(&link, peer))
            .collect();
        links
    };
    Reply::Array(
        cluster
            .peers()
            .flat_map(|(_, peer)| of_peer(peer))
            .collect(),
    )
}

fn describe_link(link: &Link, peer: &Peer) -> Reply {
    let direction = if link.inbound { "from" } else { "to" };
    // A link that is still connecting waits to be writable.
    let events = if link.inbound || link.up { "r" } else { "w" };
    named(vec![
        ("direction", Reply::bulk(direction)),
        ("node", Reply::bulk(peer.id.to_string())),
        ("create-time", Reply::Integer(link.created.0)),
        ("events", Reply::bulk(events)),
        ("send-buffer-allocated", Reply::Integer(0)),
        ("send-buffer-used", Reply::Integer(0)),
    ])
}

fn named(pairs: Vec<(&'static str, Reply)>) -> Reply {
    let pairs = pairs
        .into_iter()
        .map(|(name, value)| (Reply::bulk(name), value));
    Reply::Map(pairs.collect())
}
