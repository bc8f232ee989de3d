//! What clients may send and leave unread.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::wildcard_enum_match_arm,
    reason = "a test fails by panicking"
)]

mod support;

use std::time::Duration;

use redrill_node::Reply;
use support::memory::Wire;
use support::{Client, Host, lone_master, simulate};
use tokio::time::sleep;

/// More than the network holds between two hosts.
const MUCH: usize = 4 << 20;

async fn with_value(limit: &str) -> (Host, Client, Client) {
    let wire = Wire::default();
    let (host, mut client) = lone_master(&wire).await;
    client.ok(&["SET", "k", &"x".repeat(MUCH)]).await;
    client
        .ok(&["CONFIG", "SET", "client-output-buffer-limit", limit])
        .await;
    let slow = Client::connect(&wire, host.client_address()).await;
    (host, client, slow)
}

async fn connected(client: &mut Client) -> usize {
    match client.call(&["CLIENT", "LIST"]).await {
        Reply::Bulk(list) => list.iter().filter(|&&byte| byte == b'\n').count(),
        other => panic!("{other:?}"),
    }
}

#[test]
fn a_client_that_does_not_read_is_cut_at_the_hard_limit() {
    simulate(async {
        let (_host, mut client, mut slow) = with_value("normal 8mb 0 0").await;
        slow.send(b"GET k\r\n").await;
        sleep(Duration::from_millis(100)).await;
        assert_eq!(connected(&mut client).await, 2, "one value is not too much");
        for _ in 0..3 {
            slow.send(b"GET k\r\n").await;
        }
        sleep(Duration::from_millis(100)).await;
        assert_eq!(connected(&mut client).await, 1);
        assert!(slow.rest().await.len() < 4 * MUCH);
    });
}

#[test]
fn a_client_that_does_not_read_is_cut_some_time_after_the_soft_limit() {
    simulate(async {
        let (_host, mut client, mut slow) = with_value("normal 0 1mb 5").await;
        slow.send(b"GET k\r\n").await;
        sleep(Duration::from_secs(4)).await;
        assert_eq!(connected(&mut client).await, 2);
        sleep(Duration::from_secs(3)).await;
        assert_eq!(connected(&mut client).await, 1);
    });
}

#[test]
fn a_client_that_reads_in_time_is_not_cut() {
    simulate(async {
        let (_host, mut client, mut slow) = with_value("normal 0 1mb 5").await;
        for _ in 0..3 {
            slow.send(b"GET k\r\n").await;
            sleep(Duration::from_secs(4)).await;
            assert!(matches!(slow.reply().await, Reply::Bulk(value) if value.len() == MUCH));
        }
        assert_eq!(connected(&mut client).await, 2);
    });
}

#[test]
fn a_client_that_sends_half_a_frame_holds_up_nobody() {
    simulate(async {
        let wire = Wire::default();
        let (host, mut client) = lone_master(&wire).await;
        let mut halves = Vec::new();
        for half in ["*2\r\n$3\r\nGET\r\n$5\r\nab", "*", "*3\r\n$3", "GET k", "$"] {
            let mut other = Client::connect(&wire, host.client_address()).await;
            other.send(half.as_bytes()).await;
            halves.push(other);
        }
        client.ok(&["SET", "k", "1"]).await;
        halves[0].send(b"cde\r\n").await;
        assert_eq!(halves[0].reply().await, Reply::Nil);
    });
}

#[test]
fn a_client_that_sends_too_much_at_once_is_cut() {
    simulate(async {
        let wire = Wire::default();
        let (host, mut client) = lone_master(&wire).await;
        let limits = [
            "client-query-buffer-limit",
            "1mb",
            "proto-max-bulk-len",
            "64mb",
        ];
        let words: Vec<&str> = ["CONFIG", "SET"].into_iter().chain(limits).collect();
        client.ok(&words).await;
        let mut other = Client::connect(&wire, host.client_address()).await;
        other.send(b"*2\r\n$3\r\nGET\r\n$9000000\r\n").await;
        let part = vec![b'x'; 64 << 10];
        for _ in 0..32 {
            // The connection may be closed before all of it is sent.
            if !other.try_send(&part).await {
                break;
            }
        }
        sleep(Duration::from_millis(10)).await;
        assert_eq!(connected(&mut client).await, 1);
        let mut long = Client::connect(&wire, host.client_address()).await;
        long.send(b"*2\r\n$3\r\nGET\r\n$70000000\r\n").await;
        assert_eq!(
            long.reply().await,
            Reply::error("ERR Protocol error: invalid bulk length")
        );
    });
}
