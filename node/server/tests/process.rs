//! A process's life: its state file, its ports, how it ends.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::wildcard_enum_match_arm,
    reason = "a test fails by panicking"
)]

mod support;

use std::time::Duration;

use redrill_node::{Bug, Config, Fact};
use redrill_server::{Ended, Replace, ServeError};
use support::memory::Wire;
use support::{Event, Host, config, eventually, simulate};
use tokio::time::{Instant, sleep};

fn name(host: &Host) -> redrill_node::NodeId {
    host.control.with_node(|node| node.view().id()).unwrap()
}

#[test]
fn a_restarted_node_has_its_name_again() {
    simulate(async {
        let host = Host::start(&Wire::default(), 1, config(7000));
        eventually("the state is saved", || host.disk.content().is_some()).await;
        let first = name(&host);
        let host = host.restart().await;
        eventually("it runs again", || host.control.is_running()).await;
        assert_eq!(name(&host), first);
        let restored = host
            .facts()
            .iter()
            .any(|fact| matches!(fact, Fact::Started { restored: true, id, .. } if *id == first));
        assert!(restored);
        assert_eq!(host.disk.replaced()[0], Replace::Atomic);
    });
}

#[test]
fn a_truncated_state_file_is_refused_with_its_place() {
    simulate(async {
        let wire = Wire::default();
        let host = Host::start(&wire, 1, config(7000));
        eventually("the state is saved", || host.disk.content().is_some()).await;
        let content = host.disk.content().unwrap();
        host.disk.set_content(&content[..content.len() / 2]);
        let (disk, next) = (host.disk.clone(), host.restart().await);
        let error = next.ended().await.unwrap_err();
        assert!(matches!(error, ServeError::BadState(_)), "{error:?}");
        let place = std::error::Error::source(&error).unwrap().to_string();
        assert!(place.starts_with("line "), "{place}");
        assert_eq!(
            disk.content().unwrap(),
            content[..content.len() / 2],
            "left as it is"
        );
    });
}

#[test]
fn a_node_that_cannot_save_its_state_ends() {
    simulate(async {
        let host = Host::start(&Wire::default(), 1, config(7000));
        host.disk.fill_up();
        let error = host.ended().await.unwrap_err();
        assert!(matches!(error, ServeError::SaveState(_)), "{error:?}");
    });
}

#[test]
fn a_port_in_use_is_named() {
    simulate(async {
        let wire = Wire::default();
        let first = Host::start(&wire, 1, config(7000));
        eventually("the first runs", || first.control.is_running()).await;
        let second = Host::start(
            &wire,
            1,
            Config {
                port: 7001,
                bus_port: 17000,
                ..config(7001)
            },
        );
        let error = second.ended().await.unwrap_err();
        assert_eq!(error.to_string(), "can't listen on port 17000");
        assert!(first.control.is_running());
    });
}

#[test]
fn only_the_planted_bug_truncates_the_state_file_in_place() {
    simulate(async {
        let torn = Config {
            bugs: vec![Bug::TornStateFile],
            ..config(7000)
        };
        let host = Host::start(&Wire::default(), 1, torn);
        eventually("the state is saved", || host.disk.content().is_some()).await;
        assert_eq!(host.disk.replaced(), [Replace::InPlace]);
    });
}

#[test]
fn a_stopped_process_ends_its_turn_and_a_killed_one_does_not() {
    simulate(async {
        let wire = Wire::default();
        let stopped = Host::start(&wire, 1, config(7000));
        eventually("it runs", || stopped.control.is_running()).await;
        stopped.control.stop();
        let control = stopped.control.clone();
        assert_eq!(stopped.ended().await.unwrap(), Ended::Stopped);
        assert!(!control.is_running());

        let killed = Host::start(&wire, 2, config(7000));
        killed.disk.set_sync_takes(Duration::from_secs(5));
        eventually("it saves", || {
            killed.log.borrow().contains(&Event::Saving { sync: true })
        })
        .await;
        killed.control.kill();
        let log = killed.log.clone();
        let asked = Instant::now();
        assert_eq!(killed.ended().await.unwrap(), Ended::Killed);
        assert!(
            asked.elapsed() < Duration::from_secs(1),
            "it did not wait for its disk"
        );
        assert!(!log.borrow().contains(&Event::Saved { sync: true }));
    });
}

#[test]
fn a_frozen_process_does_nothing_until_it_is_thawed() {
    simulate(async {
        let host = Host::start(&Wire::default(), 1, config(7000));
        host.control.freeze();
        sleep(Duration::from_secs(10)).await;
        assert!(
            !host.control.is_running(),
            "it has not even loaded its state"
        );
        host.control.thaw();
        eventually("it runs", || host.control.is_running()).await;
        assert!(!host.control.is_frozen());
    });
}
