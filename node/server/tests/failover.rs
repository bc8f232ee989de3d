//! A cluster of six on a network in memory: formed by MEET, replicated, a master killed.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::wildcard_enum_match_arm,
    reason = "a test fails by panicking"
)]

mod support;

use std::time::Duration;

use redrill_node::wire::bus;
use redrill_node::{Bug, Config, Fact, MessageKind, Reply};
use support::memory::Wire;
use support::{Client, Event, Host, config, eventually, simulate};

/// Three masters, then a replica of each, and a client of each.
struct Cluster {
    hosts: Vec<Host>,
    clients: Vec<Client>,
}

impl Cluster {
    async fn form(wire: &Wire) -> Self {
        Self::form_with(wire, &[]).await
    }

    async fn form_with(wire: &Wire, bugs: &[Bug]) -> Self {
        let config = Config {
            bugs: bugs.to_vec(),
            ..config(7000)
        };
        let hosts: Vec<_> = (1..=6)
            .map(|number| Host::start(wire, number, config.clone()))
            .collect();
        let mut clients = Vec::new();
        for host in &hosts {
            clients.push(Client::connect(wire, host.client_address()).await);
        }
        for (master, range) in [("0", "5460"), ("5461", "10922"), ("10923", "16383")]
            .into_iter()
            .enumerate()
        {
            let epoch = (master + 1).to_string();
            clients[master]
                .ok(&["CLUSTER", "ADDSLOTSRANGE", range.0, range.1])
                .await;
            clients[master]
                .ok(&["CLUSTER", "SET-CONFIG-EPOCH", &epoch])
                .await;
        }
        for host in &hosts[1..] {
            let ip = host.ip.to_string();
            clients[0].ok(&["CLUSTER", "MEET", &ip, "7000"]).await;
        }
        let mut cluster = Self { hosts, clients };
        cluster.every_node_knows_all().await;
        for replica in 3..6 {
            let master = cluster.id(replica - 3);
            cluster.clients[replica]
                .ok(&["CLUSTER", "REPLICATE", &master])
                .await;
        }
        let hosts = &cluster.hosts;
        eventually("the replicas are in sync", || {
            hosts[3..].iter().all(in_sync)
        })
        .await;
        eventually("the state is ok everywhere", || {
            hosts.iter().all(Host::state_ok)
        })
        .await;
        cluster
    }

    async fn every_node_knows_all(&self) {
        let knows_all = |host: &Host| host.control.with_node(|node| node.view().peers().count());
        eventually("all know all", || {
            self.hosts.iter().all(|host| knows_all(host) == Some(6))
        })
        .await;
    }

    fn id(&self, place: usize) -> String {
        let id = |node: &redrill_node::Node| node.view().id().to_string();
        self.hosts[place].control.with_node(id).unwrap()
    }
}

fn in_sync(host: &Host) -> bool {
    host.control
        .with_node(|node| node.view().master_link_up())
        .unwrap()
}

/// Where in a voter's log it voted, where the vote became durable, and where it left.
fn vote(voter: &Host) -> Option<[usize; 3]> {
    let log = voter.log.borrow();
    let granted = log
        .iter()
        .position(|event| matches!(event, Event::Fact(Fact::VoteGranted { .. })))?;
    let after = |what: &dyn Fn(&Event) -> bool| {
        let place = log[granted..].iter().position(what).expect("it follows");
        granted + place
    };
    let durable = after(&|event| *event == Event::Saved { sync: true });
    let left = after(&|event| match event {
        Event::Wrote { port: 17000, bytes } => {
            packets(bytes).contains(&MessageKind::FailoverAuthAck)
        }
        _ => false,
    });
    Some([granted, durable, left])
}

fn packets(bytes: &[u8]) -> Vec<MessageKind> {
    let mut bytes = bytes.into();
    let mut decoder = bus::Decoder::new();
    std::iter::from_fn(|| decoder.next(&mut bytes).ok().flatten())
        .map(|message| message.kind())
        .collect()
}

#[test]
fn a_replica_takes_over_with_what_its_master_had_and_the_old_master_follows_it() {
    simulate(async {
        let wire = Wire::default();
        let mut cluster = Cluster::form(&wire).await;
        // Slot 12182: the third master's.
        cluster.clients[2].ok(&["SET", "foo", "bar"]).await;
        assert_eq!(
            cluster.clients[2].call(&["WAIT", "1", "1000"]).await,
            Reply::Integer(1)
        );
        let moved = cluster.clients[0].call(&["GET", "foo"]).await;
        assert_eq!(moved, Reply::error("MOVED 12182 10.0.0.3:7000"));
        for host in &cluster.hosts {
            host.log.borrow_mut().clear();
        }

        cluster.hosts[2].control.kill();
        let hosts = &cluster.hosts;
        eventually("the replica is promoted", || hosts[5].is_master()).await;
        let survivors = || hosts.iter().filter(|host| host.control.is_running());
        eventually("the survivors are ok", || survivors().all(Host::state_ok)).await;
        assert_eq!(
            cluster.clients[5].call(&["GET", "foo"]).await,
            Reply::bulk("bar")
        );
        cluster.clients[5].ok(&["SET", "foo", "baz"]).await;

        for voter in &cluster.hosts[..2] {
            let [granted, durable, left] = vote(voter).expect("both votes are needed");
            assert!(
                granted < durable && durable < left,
                "the vote left before it was durable"
            );
        }

        let old = cluster.hosts.remove(2).restart().await;
        cluster.hosts.insert(2, old);
        let old = &cluster.hosts[2];
        eventually("the old master runs", || old.control.is_running()).await;
        eventually("it follows", || !old.is_master() && in_sync(old)).await;
        let mut client = Client::connect(&wire, old.client_address()).await;
        client.ok(&["READONLY"]).await;
        assert_eq!(client.call(&["GET", "foo"]).await, Reply::bulk("baz"));
    });
}

#[test]
fn a_thawed_replica_takes_in_what_its_kernel_held_for_it() {
    simulate(async {
        let wire = Wire::default();
        let mut cluster = Cluster::form(&wire).await;
        cluster.clients[0].ok(&["SET", "{06S}", "1"]).await;
        cluster.hosts[3].control.freeze();
        cluster.clients[0].ok(&["SET", "{06S}", "2"]).await;
        cluster.hosts[3].control.thaw();
        assert_eq!(
            cluster.clients[0].call(&["WAIT", "1", "5000"]).await,
            Reply::Integer(1)
        );
        cluster.clients[3].ok(&["READONLY"]).await;
        assert_eq!(
            cluster.clients[3].call(&["GET", "{06S}"]).await,
            Reply::bulk("2")
        );
    });
}

#[test]
fn the_planted_bug_lets_a_vote_leave_before_it_is_durable() {
    simulate(async {
        let cluster = Cluster::form_with(&Wire::default(), &[Bug::VotesBeforeSync]).await;
        for host in &cluster.hosts {
            host.log.borrow_mut().clear();
            host.disk.set_sync_takes(Duration::from_millis(20));
        }
        cluster.hosts[2].control.kill();
        eventually("the replica is promoted", || cluster.hosts[5].is_master()).await;
        let [granted, durable, left] = vote(&cluster.hosts[0]).expect("its vote is needed");
        assert!(granted < left && left < durable);
    });
}
