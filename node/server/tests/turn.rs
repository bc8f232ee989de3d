//! The order of a turn, and what a stall does to it.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::wildcard_enum_match_arm,
    reason = "a test fails by panicking"
)]

mod support;

use std::time::Duration;

use redrill_node::{Fact, Reply};
use support::memory::Wire;
use support::{Client, Event, Host, config, eventually, lone_master, simulate};
use tokio::time::{Instant, sleep};

#[test]
fn debug_sleep_stops_the_whole_loop_while_the_kernel_goes_on() {
    simulate(async {
        let wire = Wire::default();
        let (host, mut sleeper) = lone_master(&wire).await;
        let mut early = Client::connect(&wire, host.client_address()).await;
        early.ok(&["SET", "key", "1"]).await;
        let asked = Instant::now();
        sleeper.send(b"DEBUG SLEEP 5\r\n").await;
        eventually("it sleeps", || host.log.borrow().contains(&Event::Sleeping)).await;
        // The kernel accepts a connection and takes the bytes of both.
        let mut late = Client::connect(&wire, host.client_address()).await;
        late.send(b"GET key\r\n").await;
        early.send(b"SET key 2\r\n").await;
        assert!(asked.elapsed() < Duration::from_secs(1));
        assert!(!early.is_answered_within(Duration::from_secs(3)).await);
        assert_eq!(sleeper.reply().await, Reply::OK);
        assert!(asked.elapsed() >= Duration::from_secs(5));
        assert_eq!(early.reply().await, Reply::OK);
        assert_eq!(late.reply().await, Reply::bulk("2"), "it came later");
        assert!(asked.elapsed() < Duration::from_secs(6));
    });
}

#[test]
fn descriptors_of_the_same_poll_are_served_before_the_clock_leaps_and_later_bytes_after() {
    simulate(async {
        let wire = Wire::default();
        let (host, mut sleeper) = lone_master(&wire).await;
        let mut same_poll = Client::connect(&wire, host.client_address()).await;
        let mut later = Client::connect(&wire, host.client_address()).await;
        same_poll.call(&["PING"]).await;
        later.call(&["PING"]).await;
        host.log.borrow_mut().clear();
        sleeper.send(b"DEBUG SLEEP 5\r\n").await;
        same_poll.send(b"ECHO same\r\n").await;
        sleep(Duration::from_millis(1)).await;
        later.send(b"ECHO later\r\n").await;
        later.reply().await;
        let wrote: Vec<String> = host
            .log
            .borrow()
            .iter()
            .filter_map(|event| match event {
                Event::Wrote { port: 7000, bytes } => {
                    Some(String::from_utf8_lossy(bytes).into_owned())
                }
                _ => None,
            })
            .collect();
        assert_eq!(wrote, ["+OK\r\n", "$4\r\nsame\r\n", "$5\r\nlater\r\n"]);
    });
}

/// Two nodes that know each other.
async fn pair(wire: &Wire) -> (Host, Host, Client) {
    let (first, second) = (
        Host::start(wire, 1, config(7000)),
        Host::start(wire, 2, config(7000)),
    );
    let mut client = Client::connect(wire, first.client_address()).await;
    eventually("the second runs", || second.control.is_running()).await;
    client.ok(&["CLUSTER", "MEET", "10.0.0.2", "7000"]).await;
    eventually("they know each other", || {
        knows(&first, &second) && knows(&second, &first)
    })
    .await;
    sleep(Duration::from_secs(3)).await;
    (first, second, client)
}

fn knows(host: &Host, other: &Host) -> bool {
    let id = other.control.with_node(|node| node.view().id()).unwrap();
    host.control
        .with_node(|node| {
            node.view()
                .peers()
                .any(|peer| peer.id == id && peer.is_linked())
        })
        .unwrap()
}

/// The suspicions a host had and lost again.
fn suspicions(host: &Host) -> Vec<&'static str> {
    host.facts()
        .iter()
        .filter_map(|fact| match fact {
            Fact::PossiblyFailing { .. } => Some("pfail"),
            Fact::NoLongerPossiblyFailing { .. } => Some("ok"),
            _ => None,
        })
        .collect()
}

/// Freezes the second host until the first waits for its pong, stalls the first, lets the pong
/// arrive, and ends the stall long after the node-timeout.
async fn stall_with_a_pong_in_the_kernel(
    first: &Host,
    second: &Host,
    stall: impl AsyncFnOnce(),
    end: impl FnOnce(),
) {
    second.control.freeze();
    let id = second.control.with_node(|node| node.view().id()).unwrap();
    let waits = || {
        let of = |node: &redrill_node::Node| {
            let view = node.view();
            view.peers()
                .any(|peer| peer.id == id && peer.ping_sent().is_some())
        };
        first.control.with_node(of).unwrap()
    };
    eventually("the first waits for a pong", waits).await;
    stall().await;
    second.control.thaw();
    sleep(Duration::from_secs(5)).await;
    assert_eq!(suspicions(first), <[&str; 0]>::default(), "it stands still");
    end();
    sleep(Duration::from_secs(1)).await;
    assert_eq!(
        suspicions(first),
        ["pfail", "ok"],
        "the timers run before the backlog is read"
    );
}

#[test]
fn a_thawed_process_runs_its_timers_before_it_reads_its_backlog() {
    simulate(async {
        let (first, second, _client) = pair(&Wire::default()).await;
        let stall = async || first.control.freeze();
        stall_with_a_pong_in_the_kernel(&first, &second, stall, || first.control.thaw()).await;
    });
}

#[test]
fn a_process_that_slept_runs_its_timers_before_it_reads_its_backlog() {
    simulate(async {
        let (first, second, mut client) = pair(&Wire::default()).await;
        let stall = async || client.send(b"DEBUG SLEEP 5\r\n").await;
        stall_with_a_pong_in_the_kernel(&first, &second, stall, || ()).await;
    });
}

#[test]
fn a_process_that_did_not_stall_reads_the_pong_in_time() {
    simulate(async {
        let (first, second, _client) = pair(&Wire::default()).await;
        second.control.freeze();
        sleep(Duration::from_millis(1500)).await;
        second.control.thaw();
        sleep(Duration::from_secs(3)).await;
        assert_eq!(suspicions(&first), <[&str; 0]>::default());
    });
}

#[test]
fn nothing_leaves_between_the_start_of_a_sync_and_its_end() {
    simulate(async {
        let wire = Wire::default();
        let (host, mut client) = lone_master(&wire).await;
        host.disk.set_sync_takes(Duration::from_millis(700));
        host.log.borrow_mut().clear();
        let asked = Instant::now();
        // It changes the epoch, which has to be durable before the answer.
        assert!(matches!(
            client.call(&["CLUSTER", "BUMPEPOCH"]).await,
            Reply::Simple(_)
        ));
        assert!(asked.elapsed() >= Duration::from_millis(700));
        let log = host.log.borrow();
        let place = |wanted: &dyn Fn(&Event) -> bool| log.iter().position(wanted).unwrap();
        let saving = place(&|event| *event == Event::Saving { sync: true });
        let saved = place(&|event| *event == Event::Saved { sync: true });
        let wrote = place(&|event| matches!(event, Event::Wrote { .. }));
        assert!(saving < saved && saved < wrote, "{log:?}");
        assert_eq!(saved, saving + 1);
    });
}
