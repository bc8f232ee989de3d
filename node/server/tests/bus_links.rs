//! The bus port: whole packets, halves, rubbish.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::wildcard_enum_match_arm,
    reason = "a test fails by panicking"
)]

mod support;

use std::time::Duration;

use bytes::BytesMut;
use redrill_node::wire::bus::{self, encode};
use redrill_node::{
    Body, Fact, Header, LinkFailure, Message, MessageFlags, MessageKind, NodeFlags, NodeId, Ping,
};
use support::memory::{MemoryStream, Wire};
use support::{Event, Host, Log, config, eventually, simulate};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::time::{sleep, timeout};

/// A peer with a bare socket.
struct Peer {
    stream: MemoryStream,
    received: BytesMut,
}

impl Peer {
    async fn connect(wire: &Wire, host: &Host) -> Self {
        use redrill_server::Network;
        let network = wire.host("10.0.1.1".parse().unwrap(), Log::default());
        eventually("the node runs", || host.control.is_running()).await;
        sleep(Duration::from_millis(1)).await;
        let stream = network.connect(host.bus_address()).await.unwrap();
        Self {
            stream,
            received: BytesMut::new(),
        }
    }

    async fn send(&mut self, bytes: &[u8]) {
        self.stream.write_all(bytes).await.unwrap();
    }

    async fn next(&mut self) -> Message {
        loop {
            if let Some(message) = bus::Decoder::new().next(&mut self.received).unwrap() {
                return message;
            }
            let read = self.stream.read_buf(&mut self.received);
            let read = timeout(Duration::from_secs(60), read).await;
            assert_ne!(
                read.expect("no packet within a minute").unwrap(),
                0,
                "closed"
            );
        }
    }

    async fn is_closed(&mut self) -> bool {
        let read = self.stream.read_buf(&mut self.received);
        matches!(timeout(Duration::from_secs(60), read).await, Ok(Ok(0)))
    }
}

fn ping() -> Vec<u8> {
    let header = Header {
        sender: NodeId([7; 20]),
        current_epoch: 0,
        config_epoch: 0,
        offset: 0,
        slots: std::sync::Arc::default(),
        replica_of: None,
        ip: None,
        port: 7001,
        plain_port: 0,
        bus_port: 17001,
        flags: NodeFlags::MASTER | NodeFlags::MYSELF,
        state_ok: true,
        message_flags: MessageFlags::empty(),
    };
    let mut packet = BytesMut::new();
    encode(
        &Message {
            header,
            body: Body::Ping(Ping::default()),
        },
        &mut packet,
    );
    packet.to_vec()
}

#[test]
fn a_ping_is_answered_with_a_pong_however_its_bytes_are_cut() {
    simulate(async {
        let wire = Wire::default();
        let host = Host::start(&wire, 1, config(7000));
        let mut peer = Peer::connect(&wire, &host).await;
        let two = [ping(), ping()].concat();
        for part in two.chunks(777) {
            peer.send(part).await;
            sleep(Duration::from_millis(3)).await;
        }
        assert_eq!(peer.next().await.kind(), MessageKind::Pong);
        assert_eq!(peer.next().await.kind(), MessageKind::Pong);
    });
}

#[test]
fn rubbish_closes_its_link_and_no_other() {
    simulate(async {
        let wire = Wire::default();
        let host = Host::start(&wire, 1, config(7000));
        let mut good = Peer::connect(&wire, &host).await;
        let mut bad = Peer::connect(&wire, &host).await;
        bad.send(b"GET / HTTP/1.1\r\n\r\n").await;
        assert!(bad.is_closed().await);
        good.send(&ping()).await;
        assert_eq!(good.next().await.kind(), MessageKind::Pong);
        let log = host.log.borrow();
        assert!(log.contains(&Event::LinkDown(LinkFailure::BadPacket)));
        let told = log.iter().any(|event| {
            matches!(event, Event::Fact(Fact::BadPacket { error }) if error.contains("signature"))
        });
        assert!(told, "{log:?}");
    });
}

#[test]
fn a_packet_with_a_lying_count_is_skipped_and_the_link_lives() {
    simulate(async {
        let wire = Wire::default();
        let host = Host::start(&wire, 1, config(7000));
        let mut peer = Peer::connect(&wire, &host).await;
        let mut lying = ping();
        lying[14..16].copy_from_slice(&u16::MAX.to_be_bytes());
        peer.send(&lying).await;
        peer.send(&ping()).await;
        assert_eq!(peer.next().await.kind(), MessageKind::Pong);
        let log = host.log.borrow();
        let bad = log
            .iter()
            .filter(|event| matches!(event, Event::BadPacket(_)))
            .count();
        assert_eq!(bad, 1);
        assert!(!log.iter().any(|event| matches!(event, Event::LinkDown(_))));
    });
}

#[test]
fn half_a_packet_holds_up_nobody() {
    simulate(async {
        let wire = Wire::default();
        let host = Host::start(&wire, 1, config(7000));
        let mut halted = Peer::connect(&wire, &host).await;
        halted.send(&ping()[..1000]).await;
        let mut peer = Peer::connect(&wire, &host).await;
        peer.send(&ping()).await;
        assert_eq!(peer.next().await.kind(), MessageKind::Pong);
    });
}

#[test]
fn a_link_that_its_peer_closes_is_reported_closed() {
    simulate(async {
        let wire = Wire::default();
        let host = Host::start(&wire, 1, config(7000));
        drop(Peer::connect(&wire, &host).await);
        let closed = Event::LinkDown(LinkFailure::Closed);
        eventually("the link is down", || host.log.borrow().contains(&closed)).await;
    });
}

#[test]
fn accepted_links_have_nagle_off() {
    // Only the server's end can tell; the node's own links keep Nagle on, as Redis's do.
    simulate(async {
        let wire = Wire::default();
        let host = Host::start(&wire, 1, config(7000));
        let mut peer = Peer::connect(&wire, &host).await;
        peer.send(&ping()).await;
        peer.next().await;
        assert!(host.log.borrow().contains(&Event::Nodelay {
            port: 17000,
            on: true
        }));
    });
}
