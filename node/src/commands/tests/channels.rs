use super::*;
use crate::cluster::Link;
use crate::ids::LinkId;
use crate::message::{Body, Header, Message, MessageFlags};
use crate::slot::{SlotSet, key_slot};
use std::sync::Arc;

fn publish_from(lone: &mut Lone, peer: PeerIndex, channel: &'static str, sharded: bool) {
    let link = LinkId(101);
    let peer = &lone.node.cluster[peer];
    let (sender, address) = (peer.id, peer.address);
    let header = Header {
        sender,
        current_epoch: 0,
        config_epoch: 0,
        offset: 0,
        slots: Arc::new(SlotSet::new()),
        replica_of: None,
        ip: address.ip,
        port: address.port,
        plain_port: 0,
        bus_port: address.bus_port,
        flags: NodeFlags::MASTER,
        state_ok: true,
        message_flags: MessageFlags::empty(),
    };
    let body = Body::Publish {
        channel: channel.into(),
        message: "news".into(),
        sharded,
    };
    let local = [10, 0, 0, 1].into();
    lone.give(Input::LinkAccepted {
        link,
        peer: [10, 0, 0, 2].into(),
        local,
    });
    let message = Arc::new(Message { header, body });
    lone.give(Input::Bus { link, message });
    lone.end_turn();
}

/// Ties an outgoing link to a peer.
fn link(lone: &mut Lone, peer: PeerIndex, number: u64) {
    let id = LinkId(number);
    let entry = Link {
        id,
        peer: Some(peer),
        inbound: false,
        up: true,
        created: lone.now.wall,
        remote_ip: None,
        local_ip: None,
    };
    lone.node.cluster.add_link(entry);
    lone.node.cluster.set_link(peer, Some(id));
}

/// The links by which a message was published, and whether to a shard.
fn published(lone: &Lone) -> Vec<(u64, bool)> {
    let sent = |action: &Action| match action {
        Action::SendBus { link, message } => match &message.body {
            Body::Publish { sharded, .. } => Some((link.0, *sharded)),
            _ => None,
        },
        _ => None,
    };
    lone.actions.iter().filter_map(sent).collect()
}

#[test]
fn subscribers_hear_what_is_published() {
    let mut lone = serving();
    assert_eq!(
        lone.ask("SUBSCRIBE a b a"),
        r#">["subscribe", "a", 1] | >["subscribe", "b", 2] | >["subscribe", "a", 2]"#
    );
    assert_eq!(lone.ask("PSUBSCRIBE a*"), r#">["psubscribe", "a*", 3]"#);
    assert_eq!(lone.ask_as(BOB, "PUBLISH a hello"), "2");
    assert_eq!(
        lone.said_to(ALICE),
        [
            r#">["message", "a", "hello"]"#,
            r#">["pmessage", "a*", "a", "hello"]"#
        ]
    );
    assert_eq!(lone.ask_as(BOB, "PUBLISH c hello"), "0");
    assert_eq!(lone.ask("UNSUBSCRIBE c"), r#">["unsubscribe", "c", 3]"#);
    assert_eq!(
        lone.ask("UNSUBSCRIBE"),
        r#">["unsubscribe", "a", 2] | >["unsubscribe", "b", 1]"#
    );
    assert_eq!(lone.ask("PUNSUBSCRIBE a*"), r#">["punsubscribe", "a*", 0]"#);
    assert_eq!(lone.ask("UNSUBSCRIBE"), r#">["unsubscribe", (nil), 0]"#);
    assert_eq!(lone.ask_as(BOB, "PUBLISH a hello"), "0");
}

#[test]
fn a_subscriber_that_speaks_resp2_may_do_nothing_else() {
    let mut lone = serving();
    lone.check(&[
        ("SUBSCRIBE a", r#">["subscribe", "a", 1]"#),
        (
            "GET k",
            "-ERR Can't execute 'get': only (P|S)SUBSCRIBE / (P|S)UNSUBSCRIBE / PING / QUIT / \
             RESET are allowed in this context",
        ),
        ("PING", r#"["pong", ""]"#),
        ("PING hi", r#"["pong", "hi"]"#),
        ("RESET", "RESET"),
        ("PING", "PONG"),
        ("GET k", "(nil)"),
    ]);
    assert_eq!(lone.ask_as(BOB, "PUBSUB CHANNELS"), "[]");
    lone.ask("HELLO 3");
    lone.check(&[
        ("SUBSCRIBE a", r#">["subscribe", "a", 1]"#),
        ("GET k", "(nil)"),
    ]);
}

#[test]
fn channels_and_patterns_are_counted() {
    let mut lone = serving();
    lone.ask("SUBSCRIBE news.a news.b weather");
    lone.ask("PSUBSCRIBE n* w*");
    lone.ask_as(REPLICA, "SUBSCRIBE news.a");
    lone.ask_as(REPLICA, "SSUBSCRIBE shard");
    let said = [
        ("PUBSUB CHANNELS", r#"["news.a", "news.b", "weather"]"#),
        ("PUBSUB CHANNELS news.*", r#"["news.a", "news.b"]"#),
        ("PUBSUB NUMSUB news.a x", r#"["news.a", 2, "x", 0]"#),
        ("PUBSUB NUMSUB", "[]"),
        ("PUBSUB NUMPAT", "2"),
        ("PUBSUB SHARDCHANNELS", r#"["shard"]"#),
        ("PUBSUB SHARDNUMSUB shard", r#"["shard", 1]"#),
    ];
    for (line, expected) in said {
        assert_eq!(lone.ask_as(BOB, line), expected, "{line}");
    }
    let info = lone.ask_as(BOB, "INFO stats");
    assert!(info.contains("pubsub_channels:3\r\npubsub_patterns:2\r\npubsubshard_channels:1"));
    let list = lone.ask_as(BOB, "CLIENT LIST TYPE pubsub");
    assert!(list.contains("flags=P db=0 sub=3 psub=2 ssub=0"), "{list}");
    lone.give(Input::ClientClosed { client: ALICE });
    lone.give(Input::ClientClosed { client: REPLICA });
    assert_eq!(lone.ask_as(BOB, "PUBSUB CHANNELS"), "[]");
    assert_eq!(lone.ask_as(BOB, "PUBSUB NUMPAT"), "0");
}

#[test]
fn what_is_published_here_is_told_to_every_node() {
    let mut lone = serving();
    for number in [2, 3] {
        let peer = lone.know(number, NodeFlags::MASTER);
        link(&mut lone, peer, u64::from(number) * 2);
    }
    assert_eq!(lone.ask("PUBLISH a hello"), "0");
    assert_eq!(published(&lone), [(4, false), (6, false)]);
}

#[test]
fn what_is_published_to_a_shard_stays_in_it() {
    let mut lone = serving();
    let other = lone.know(2, NodeFlags::MASTER);
    let replica = lone.know(3, NodeFlags::REPLICA);
    lone.node.cluster[replica].replica_of = Some(MYSELF);
    link(&mut lone, other, 4);
    link(&mut lone, replica, 6);
    assert_eq!(lone.ask("SPUBLISH a hello"), "0");
    assert_eq!(published(&lone), [(6, true)]);
}

#[test]
fn what_other_nodes_publish_is_heard_here() {
    let mut lone = serving();
    let peer = lone.know(2, NodeFlags::MASTER);
    lone.ask("SUBSCRIBE a");
    lone.ask_as(BOB, "SSUBSCRIBE a");
    lone.actions.clear();
    publish_from(&mut lone, peer, "a", false);
    assert_eq!(lone.said_to(ALICE), [r#">["message", "a", "news"]"#]);
    assert!(lone.said_to(BOB).is_empty());
    lone.actions.clear();
    publish_from(&mut lone, peer, "a", true);
    assert_eq!(lone.said_to(BOB), [r#">["smessage", "a", "news"]"#]);
    assert!(lone.said_to(ALICE).is_empty());
}

#[test]
fn shard_channels_are_found_by_their_slot() {
    let mut lone = serving();
    let other = lone.know(2, NodeFlags::MASTER);
    lone.node.cluster.set_owner(key_slot(b"foo"), Some(other));
    lone.check(&[
        ("SSUBSCRIBE foo", "-MOVED 12182 10.0.0.2:7002"),
        ("SPUBLISH foo x", "-MOVED 12182 10.0.0.2:7002"),
        (
            "SSUBSCRIBE a b",
            "-CROSSSLOT Keys in request don't hash to the same slot",
        ),
        (
            "SSUBSCRIBE {a}1 {a}2",
            r#">["ssubscribe", "{a}1", 1] | >["ssubscribe", "{a}2", 2]"#,
        ),
    ]);
    assert_eq!(lone.ask_as(BOB, "SPUBLISH {a}1 x"), "1");
    assert_eq!(lone.said_to(ALICE), [r#">["smessage", "{a}1", "x"]"#]);
    assert_eq!(
        lone.ask("SUNSUBSCRIBE {a}1"),
        r#">["sunsubscribe", "{a}1", 1]"#
    );
}

#[test]
fn a_slot_that_moves_takes_its_channels_along() {
    let mut lone = serving();
    let other = lone.know(2, NodeFlags::MASTER);
    lone.ask("SSUBSCRIBE foo");
    lone.ask("SUBSCRIBE foo");
    lone.actions.clear();
    let mut moved = SlotSet::new();
    moved.insert(key_slot(b"foo"));
    slots::give(
        &mut lone.node,
        &moved,
        Some(other),
        1,
        crate::fact::SlotChange::SetSlot,
    );
    lone.end_turn();
    assert_eq!(lone.said_to(ALICE), [r#">["sunsubscribe", "foo", 0]"#]);
    assert_eq!(
        lone.ask_as(BOB, "PUBLISH foo x"),
        "1",
        "it still listens to the cluster's"
    );
}

#[test]
fn channels_work_in_transactions() {
    let mut lone = serving();
    lone.ask_as(BOB, "SUBSCRIBE a");
    lone.check(&[
        ("MULTI", "OK"),
        ("PUBLISH a hello", "QUEUED"),
        ("SUBSCRIBE b", "QUEUED"),
        ("EXEC", r#"[1, >["subscribe", "b", 1]]"#),
    ]);
    assert_eq!(lone.said_to(BOB), [r#">["message", "a", "hello"]"#]);
}
