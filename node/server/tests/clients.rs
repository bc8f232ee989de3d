//! The client port: commands, halves of commands, rubbish.

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
use redrill_node::Reply;
use redrill_node::Word;
use redrill_node::wire::resp::encode_command;
use support::memory::Wire;
use support::{Client, Event, Host, eventually, lone_master, simulate};
use tokio::time::sleep;

async fn another_client(wire: &Wire, host: &Host) -> Client {
    Client::connect(wire, host.client_address()).await
}

fn pong() -> Reply {
    Reply::Simple("PONG".into())
}

#[test]
fn what_is_set_is_got() {
    simulate(async {
        let (_host, mut client) = lone_master(&Wire::default()).await;
        assert_eq!(client.call(&["PING"]).await, pong());
        client.ok(&["SET", "key", "value"]).await;
        assert_eq!(client.call(&["GET", "key"]).await, Reply::bulk("value"));
        assert_eq!(client.call(&["GET", "other"]).await, Reply::Nil);
    });
}

#[test]
fn half_a_command_waits_for_the_other_half_and_holds_up_nobody() {
    simulate(async {
        let wire = Wire::default();
        let (host, mut client) = lone_master(&wire).await;
        let mut halted = another_client(&wire, &host).await;
        halted.send(b"*2\r\n$4\r\nECHO\r\n$5\r\nhe").await;
        sleep(Duration::from_secs(5)).await;
        assert_eq!(client.call(&["PING"]).await, pong());
        halted.send(b"llo\r\n").await;
        assert_eq!(halted.reply().await, Reply::bulk("hello"));
    });
}

#[test]
fn a_hundred_commands_at_once_get_a_hundred_answers_in_order() {
    simulate(async {
        let (_host, mut client) = lone_master(&Wire::default()).await;
        let mut bytes = BytesMut::new();
        for _ in 0..100 {
            encode_command(&["INCR", "counter"], &mut bytes);
        }
        client.send(&bytes).await;
        for expected in 1..=100 {
            assert_eq!(client.reply().await, Reply::Integer(expected));
        }
    });
}

#[test]
fn commands_beyond_one_read_run_in_later_turns() {
    simulate(async {
        let (_host, mut client) = lone_master(&Wire::default()).await;
        let value = "x".repeat(3000);
        let mut bytes = BytesMut::new();
        for number in 0..30 {
            encode_command(&["SET", &format!("key:{number}"), &value], &mut bytes);
        }
        assert!(bytes.len() > 5 * 16 * 1024);
        client.send(&bytes).await;
        for _ in 0..30 {
            assert_eq!(client.reply().await, Reply::OK);
        }
        assert_eq!(client.call(&["DBSIZE"]).await, Reply::Integer(30));
    });
}

#[test]
fn a_bad_frame_is_answered_and_closed_after_the_commands_before_it() {
    simulate(async {
        let wire = Wire::default();
        let (host, mut client) = lone_master(&wire).await;
        let mut bad = another_client(&wire, &host).await;
        bad.send(b"PING\r\n*2\r\n$3\r\nGET\r\n$99999999999\r\nPING\r\n")
            .await;
        let rest = String::from_utf8(bad.rest().await).unwrap();
        assert_eq!(
            rest,
            "+PONG\r\n-ERR Protocol error: invalid bulk length\r\n"
        );
        assert_eq!(client.call(&["PING"]).await, pong());
        let told = Event::BadCommand("Protocol error: invalid bulk length".to_owned());
        assert!(host.log.borrow().contains(&told));
    });
}

#[test]
fn a_command_of_a_stated_million_words_costs_nothing() {
    simulate(async {
        let wire = Wire::default();
        let (host, mut client) = lone_master(&wire).await;
        let mut bad = another_client(&wire, &host).await;
        bad.send(b"*1000000\r\n$3\r\nSET\r\n").await;
        assert_eq!(client.call(&["PING"]).await, pong());
        assert!(!bad.is_answered_within(Duration::from_secs(1)).await);
    });
}

#[test]
fn quit_answers_and_closes() {
    simulate(async {
        let wire = Wire::default();
        let (host, _client) = lone_master(&wire).await;
        let mut leaving = another_client(&wire, &host).await;
        leaving.send(b"PING\r\nQUIT\r\nPING\r\n").await;
        assert_eq!(leaving.rest().await, b"+PONG\r\n+OK\r\n");
    });
}

#[test]
fn a_client_that_does_not_read_holds_up_nobody_and_its_queue_is_told() {
    simulate(async {
        let wire = Wire::default();
        let (host, mut client) = lone_master(&wire).await;
        client.ok(&["SET", "big", &"x".repeat(60_000)]).await;
        let mut silent = another_client(&wire, &host).await;
        for _ in 0..20 {
            silent.send(b"GET big\r\n").await;
        }
        let waiting = || host.control.queued_bytes().clients.values().sum::<usize>();
        eventually("a megabyte waits", || waiting() > 1_000_000).await;
        assert_eq!(client.call(&["PING"]).await, pong());
        for _ in 0..20 {
            assert_eq!(
                silent.reply().await,
                Reply::Bulk(Word::from(vec![b'x'; 60_000]))
            );
        }
        assert!(host.control.queued_bytes().clients.is_empty());
        drop(silent);
        assert_eq!(client.call(&["PING"]).await, pong());
    });
}

#[test]
fn a_client_that_vanishes_with_a_queue_leaves_nothing_behind() {
    simulate(async {
        let wire = Wire::default();
        let (host, mut client) = lone_master(&wire).await;
        client.ok(&["SET", "big", &"x".repeat(60_000)]).await;
        let mut silent = another_client(&wire, &host).await;
        for _ in 0..20 {
            silent.send(b"GET big\r\n").await;
        }
        eventually("it has a queue", || {
            !host.control.queued_bytes().clients.is_empty()
        })
        .await;
        drop(silent);
        eventually("the queue is gone", || {
            host.control.queued_bytes().clients.is_empty()
        })
        .await;
        assert_eq!(client.call(&["PING"]).await, pong());
    });
}

#[test]
fn hello_changes_the_version_for_the_replies_that_follow() {
    simulate(async {
        let wire = Wire::default();
        let (host, mut client) = lone_master(&wire).await;
        assert_eq!(client.call(&["GET", "nothing"]).await, Reply::Nil);
        assert!(matches!(client.call(&["HELLO", "3"]).await, Reply::Map(_)));
        client.send(b"GET nothing\r\n").await;
        let mut raw = another_client(&wire, &host).await;
        raw.send(b"GET nothing\r\nQUIT\r\n").await;
        assert_eq!(raw.rest().await, b"$-1\r\n+OK\r\n", "others keep RESP2");
    });
}

/// What `SYNC` gets, up to the end of the connection: the snapshot, and what comes behind its
/// mark.
async fn snapshot_for(setup: &[&str]) -> (Vec<u8>, Vec<u8>) {
    let wire = Wire::default();
    let (host, mut client) = lone_master(&wire).await;
    for number in 0..2000 {
        let value = "v".repeat(100);
        client.ok(&["SET", &format!("key:{number}"), &value]).await;
    }
    let mut taker = another_client(&wire, &host).await;
    for line in setup {
        taker.send(format!("{line}\r\n").as_bytes()).await;
        assert_eq!(taker.reply().await, Reply::OK, "{line}");
    }
    taker.send(b"SYNC\r\n").await;
    let sent = taker.rest().await;
    assert_eq!(client.call(&["PING"]).await, pong());
    let sent = sent
        .strip_prefix(b"$EOF:")
        .expect("a mark and nothing else");
    let (mark, sent) = (&sent[..40], &sent[42..]);
    let end = sent.windows(40).position(|part| part == mark).unwrap();
    (sent[..end].to_vec(), sent[end + 40..].to_vec())
}

#[test]
fn who_wants_a_snapshot_alone_gets_all_of_it_and_is_sent_away_behind_it() {
    simulate(async {
        let (snapshot, later) = snapshot_for(&["REPLCONF capa eof", "REPLCONF rdb-only 1"]).await;
        assert!(later.is_empty());
        let read = redrill_node::wire::rdb::decode(&snapshot).unwrap();
        assert_eq!(read.entries.len(), 2000);
    });
}

#[test]
fn who_wants_functions_alone_gets_a_snapshot_without_keys() {
    simulate(async {
        let (snapshot, later) = snapshot_for(&[
            "REPLCONF capa eof",
            "REPLCONF rdb-filter-only functions",
            "REPLCONF rdb-only 1",
        ])
        .await;
        assert!(later.is_empty());
        let read = redrill_node::wire::rdb::decode(&snapshot).unwrap();
        assert!(read.entries.is_empty());
    });
}
