//! Keys that move to another server while the loop stands still.

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
use support::{Client, Host, config, eventually, simulate};
use tokio::time::{Instant, sleep};

/// A master of its own that has every slot.
async fn master(wire: &Wire, number: u8) -> (Host, Client) {
    let host = Host::start(wire, number, config(7000));
    let mut client = Client::connect(wire, host.client_address()).await;
    client.ok(&["CLUSTER", "ADDSLOTSRANGE", "0", "16383"]).await;
    eventually("the cluster state is ok", || host.state_ok()).await;
    (host, client)
}

fn error(text: &str) -> Reply {
    Reply::Error(text.to_owned().into())
}

/// Two servers that know nothing of each other.
struct Two {
    wire: Wire,
    hosts: [Host; 2],
    clients: [Client; 2],
}

impl Two {
    async fn new() -> Self {
        let wire = Wire::default();
        let (a, from) = master(&wire, 1).await;
        let (b, to) = master(&wire, 2).await;
        Self {
            wire,
            hosts: [a, b],
            clients: [from, to],
        }
    }

    async fn migrate(&mut self, from: usize, key: &str, timeout_ms: &str, more: &[&str]) -> Reply {
        let to = self.hosts[1 - from].ip.to_string();
        let mut words = vec!["MIGRATE", &to, "7000", key, "0", timeout_ms];
        words.extend(more);
        self.clients[from].call(&words).await
    }

    async fn get(&mut self, at: usize, key: &str) -> Reply {
        self.clients[at].call(&["GET", key]).await
    }

    /// How many clients a server has, the one that asks included.
    async fn connections(&mut self, at: usize) -> usize {
        let list = self.clients[at].call(&["CLIENT", "LIST"]).await;
        match list {
            Reply::Bulk(text) => text.split(|byte| *byte == b'\n').count() - 1,
            Reply::Verbatim(text) => text.lines().count(),
            other => panic!("{other:?}"),
        }
    }
}

#[test]
fn a_key_moves_with_its_time_to_live() {
    simulate(async {
        let mut two = Two::new().await;
        two.clients[0].ok(&["SET", "k", "v", "PX", "60000"]).await;
        assert_eq!(two.migrate(0, "k", "1000", &[]).await, Reply::OK);
        assert_eq!(two.get(0, "k").await, Reply::Nil);
        assert_eq!(two.get(1, "k").await, Reply::bulk("v"));
        let Reply::Integer(left) = two.clients[1].call(&["PTTL", "k"]).await else {
            panic!("no time to live");
        };
        assert!((59_000..=60_000).contains(&left), "{left}");
        assert_eq!(
            two.migrate(0, "k", "1000", &[]).await,
            Reply::Simple("NOKEY".into())
        );
    });
}

#[test]
fn what_the_other_server_refuses_stays() {
    simulate(async {
        let mut two = Two::new().await;
        for client in &mut two.clients {
            client.ok(&["SET", "k", "v"]).await;
        }
        assert_eq!(
            two.migrate(0, "k", "1000", &[]).await,
            error(
                "ERR Target instance replied with error: BUSYKEY Target key name already exists."
            )
        );
        assert_eq!(two.get(0, "k").await, Reply::bulk("v"));
        assert_eq!(two.migrate(0, "k", "1000", &["REPLACE"]).await, Reply::OK);
        assert_eq!(two.get(0, "k").await, Reply::Nil);
    });
}

#[test]
fn a_connection_is_kept_for_ten_seconds_and_replaced_when_it_is_gone() {
    simulate(async {
        let mut two = Two::new().await;
        for key in ["a", "b", "c", "d"] {
            two.clients[0].ok(&["SET", key, "v"]).await;
        }
        assert_eq!(two.migrate(0, "a", "1000", &[]).await, Reply::OK);
        assert_eq!(two.migrate(0, "b", "1000", &[]).await, Reply::OK);
        assert_eq!(two.connections(1).await, 2, "one connection for both keys");
        sleep(Duration::from_secs(12)).await;
        assert_eq!(two.connections(1).await, 1, "it was not used for long");
        assert_eq!(two.migrate(0, "c", "1000", &[]).await, Reply::OK);
        two.clients[1]
            .call(&["CLIENT", "KILL", "TYPE", "normal", "SKIPME", "yes"])
            .await;
        sleep(Duration::from_millis(10)).await;
        assert_eq!(two.migrate(0, "d", "1000", &[]).await, Reply::OK);
        assert_eq!(two.get(1, "d").await, Reply::bulk("v"));
    });
}

#[test]
fn a_server_that_is_not_there_or_does_not_answer_is_given_up() {
    simulate(async {
        let mut two = Two::new().await;
        two.clients[0].ok(&["SET", "k", "v"]).await;
        let nobody = ["MIGRATE", "10.0.0.9", "7000", "k", "0", "1000"];
        let refused = error("IOERR error or timeout connecting to the client");
        assert_eq!(two.clients[0].call(&nobody).await, refused);
        let no_port = ["MIGRATE", "10.0.0.2", "none", "k", "0", "1000"];
        assert_eq!(two.clients[0].call(&no_port).await, refused);
        two.hosts[1].control.freeze();
        let began = Instant::now();
        assert_eq!(
            two.migrate(0, "k", "700", &[]).await,
            error("IOERR error or timeout reading to target instance")
        );
        let took = began.elapsed();
        assert!((700..800).contains(&took.as_millis()), "{took:?}");
        assert_eq!(two.get(0, "k").await, Reply::bulk("v"));
        two.hosts[1].control.thaw();
    });
}

#[test]
fn nobody_is_served_while_keys_are_on_their_way() {
    simulate(async {
        let mut two = Two::new().await;
        let mut other = Client::connect(&two.wire, two.hosts[0].client_address()).await;
        two.clients[0].ok(&["SET", "k", "v"]).await;
        two.hosts[1].control.freeze();
        let to = two.hosts[1].ip.to_string();
        let mut bytes = bytes::BytesMut::new();
        let migrate = ["MIGRATE", &to, "7000", "k", "0", "5000"];
        redrill_node::wire::resp::encode_command(&migrate, &mut bytes);
        two.clients[0].send(&bytes).await;
        sleep(Duration::from_millis(100)).await;
        other.send(b"PING\r\n").await;
        assert!(!other.is_answered_within(Duration::from_secs(3)).await);
        two.hosts[1].control.thaw();
        assert_eq!(two.clients[0].reply().await, Reply::OK);
        assert_eq!(other.reply().await, Reply::Simple("PONG".into()));
        assert_eq!(two.get(1, "k").await, Reply::bulk("v"));
    });
}

#[test]
fn two_servers_that_send_each_other_keys_wait_no_longer_than_they_said() {
    simulate(async {
        let mut two = Two::new().await;
        let began = Instant::now();
        for (client, key) in two.clients.iter_mut().zip(["a", "b"]) {
            client.ok(&["SET", key, "v"]).await;
        }
        for from in [0, 1] {
            let to = two.hosts[1 - from].ip.to_string();
            let mut bytes = bytes::BytesMut::new();
            let migrate = ["MIGRATE", &to, "7000", ["a", "b"][from], "0", "500"];
            redrill_node::wire::resp::encode_command(&migrate, &mut bytes);
            two.clients[from].send(&bytes).await;
        }
        for client in &mut two.clients {
            let reply = client.reply().await;
            let given_up = error("IOERR error or timeout reading to target instance");
            assert!(reply == given_up || reply == Reply::OK, "{reply:?}");
        }
        assert!(began.elapsed() < Duration::from_secs(3));
        // Whoever is asked again finds a server that serves.
        assert_eq!(
            two.migrate(0, "a", "500", &["REPLACE", "COPY"]).await,
            Reply::OK
        );
    });
}

#[test]
fn a_server_can_be_killed_while_it_waits_for_another() {
    simulate(async {
        let mut two = Two::new().await;
        two.clients[0].ok(&["SET", "k", "v"]).await;
        two.hosts[1].control.freeze();
        two.clients[0]
            .send(b"MIGRATE 10.0.0.2 7000 k 0 100000\r\n")
            .await;
        sleep(Duration::from_millis(100)).await;
        let [waiting, _other] = two.hosts;
        waiting.control.kill();
        assert_eq!(
            waiting.ended().await.unwrap(),
            redrill_server::Ended::Killed
        );
    });
}
