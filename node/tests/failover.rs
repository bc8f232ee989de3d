//! Failure detection and elections, seen from outside on a few nodes.

#![allow(
    clippy::expect_used,
    clippy::panic,
    clippy::wildcard_enum_match_arm,
    unreachable_pub,
    reason = "a test names what it looks for and fails loudly"
)]

mod support;

use redrill_node::{Fact, FailoverKind, Reply, VoteRefusal};
use support::{Cluster, id};

fn winners(cluster: &Cluster) -> Vec<(u64, usize)> {
    let won = cluster
        .facts
        .iter()
        .filter(|(_, _, fact)| matches!(fact, Fact::ElectionWon { .. }));
    won.map(|(at, host, _)| (at / 1000, *host)).collect()
}

#[test]
fn a_formed_cluster_serves_after_the_writable_delay() {
    let mut cluster = Cluster::formed(3, 1, |_| {});
    cluster.run_ms(1900);
    assert!(!cluster.node(0).view().state_ok());
    cluster.settle();
    assert!(cluster.now_us < 3_000_000, "took {} us", cluster.now_us);
}

#[test]
fn a_killed_master_is_replaced_by_its_replica() {
    let mut cluster = Cluster::formed(3, 1, |_| {});
    cluster.settle();
    cluster.run_ms(5000);
    let fault_ms = cluster.now_us / 1000;
    cluster.kill(1);
    cluster.run_until(8000, "node 4 is master", |cluster| {
        cluster.node(4).view().is_master()
    });
    let (won_ms, winner) = winners(&cluster)[0];
    assert_eq!(winner, 4);
    let took_ms = won_ms - fault_ms;
    assert!(
        (2500..=5000).contains(&took_ms),
        "took {took_ms} ms\n{}",
        cluster.log()
    );
    cluster.settle();
    for host in [0, 2, 3, 4, 5] {
        assert_eq!(cluster.node(host).view().owner(6000), Some(id(4)));
    }
    assert_eq!(winners(&cluster).len(), 1);
}

#[test]
fn a_returning_master_becomes_a_replica_of_its_successor() {
    let mut cluster = Cluster::formed(3, 1, |_| {});
    cluster.settle();
    cluster.kill(0);
    cluster.run_ms(8000);
    cluster.start(0);
    cluster.run_ms(8000);
    let view = cluster.node(0).view();
    assert_eq!(
        (view.is_master(), view.master_id()),
        (false, Some(id(3))),
        "{}",
        cluster.log()
    );
    assert!(view.master_link_up());
}

#[test]
fn a_stall_shorter_than_the_node_timeout_changes_nothing() {
    let mut cluster = Cluster::formed(3, 1, |_| {});
    cluster.settle();
    cluster.run_ms(3000);
    cluster.stall(0, 1500);
    cluster.run_ms(10_000);
    assert_eq!(
        cluster.count(|fact| matches!(fact, Fact::PossiblyFailing { .. })),
        0,
        "{}",
        cluster.log()
    );
    assert!(winners(&cluster).is_empty());
}

#[test]
fn a_minority_neither_elects_nor_serves() {
    let mut cluster = Cluster::formed(3, 1, |_| {});
    cluster.settle();
    cluster.run_ms(3000);
    // Master 0 and the replica of master 1 on one side.
    cluster.cut(&[0, 4], &[1, 2, 3, 5]);
    cluster.run_ms(10_000);
    assert!(!cluster.node(0).view().state_ok());
    assert!(!cluster.node(4).view().is_master());
    assert!(cluster.node(3).view().is_master());
    cluster.heal();
    cluster.run_ms(10_000);
    assert!(!cluster.node(0).view().is_master(), "{}", cluster.log());
    cluster.settle();
}

#[test]
fn two_equal_replicas_make_one_master() {
    let mut cluster = Cluster::formed(3, 2, |_| {});
    cluster.settle();
    cluster.run_ms(3000);
    cluster.kill(2);
    cluster.run_ms(12_000);
    let masters = [5, 8]
        .into_iter()
        .filter(|&host| cluster.node(host).view().is_master())
        .count();
    assert_eq!(masters, 1, "{}", cluster.log());
    assert_eq!(
        cluster.count(|fact| matches!(fact, Fact::ElectionWon { .. })),
        1
    );
}

#[test]
fn a_replica_that_was_away_too_long_does_not_stand() {
    let mut cluster = Cluster::formed(3, 1, |config| config.cluster_replica_validity_factor = 1);
    cluster.settle();
    // Its last word from the master is 1 + 10 + 2 s old when the master fails.
    cluster.cut(&[0], &[3]);
    cluster.run_ms(20_000);
    cluster.kill(0);
    cluster.run_ms(15_000);
    assert!(winners(&cluster).is_empty(), "{}", cluster.log());
}

#[test]
fn nobody_votes_twice_in_one_epoch() {
    let mut cluster = Cluster::formed(5, 2, |_| {});
    cluster.settle();
    cluster.kill(0);
    cluster.kill(1);
    cluster.run_ms(15_000);
    let mut votes: Vec<(usize, u64)> = (cluster.facts.iter())
        .filter_map(|(_, host, fact)| match fact {
            Fact::VoteGranted { epoch, .. } => Some((*host, *epoch)),
            _ => None,
        })
        .collect();
    let given = votes.len();
    votes.sort_unstable();
    votes.dedup();
    assert_eq!(votes.len(), given);
    assert_eq!(winners(&cluster).len(), 2, "{}", cluster.log());
    let unexpected = |fact: &Fact| match fact {
        Fact::VoteRefused { why, .. } => **why == VoteRefusal::MasterUnknown,
        _ => false,
    };
    assert_eq!(cluster.count(unexpected), 0);
}

#[test]
fn a_manual_failover_swaps_the_roles_without_a_gap() {
    let mut cluster = Cluster::formed(3, 1, |_| {});
    cluster.settle();
    cluster.run_ms(2000);
    assert_eq!(cluster.command(3, "CLUSTER FAILOVER"), Reply::OK);
    cluster.run_until(1000, "node 3 is master", |cluster| {
        cluster.node(3).view().is_master()
    });
    cluster.run_ms(3000);
    let view = cluster.node(0).view();
    assert_eq!((view.is_master(), view.master_id()), (false, Some(id(3))));
    assert!(view.master_link_up(), "{}", cluster.log());
    let partial = |fact: &Fact| matches!(fact, Fact::PartialResyncDone { .. });
    assert!(
        cluster.facts_of(0).any(|(_, fact)| partial(fact)),
        "{}",
        cluster.log()
    );
}

#[test]
fn a_takeover_needs_no_votes() {
    let mut cluster = Cluster::formed(3, 1, |_| {});
    cluster.settle();
    cluster.kill(1);
    cluster.kill(2);
    assert_eq!(cluster.command(4, "CLUSTER FAILOVER TAKEOVER"), Reply::OK);
    cluster.run_ms(500);
    let taken = |fact: &Fact| {
        matches!(
            fact,
            Fact::ElectionWon {
                how: FailoverKind::Takeover,
                votes: 0,
                ..
            }
        )
    };
    assert_eq!(cluster.count(taken), 1);
    assert_eq!(
        cluster.node(0).view().owner(6000),
        Some(id(4)),
        "{}",
        cluster.log()
    );
}

#[test]
fn redis_7_0_counts_old_votes_again_after_a_role_change() {
    // redis-8752: the third failover needs no votes and no new epoch.
    let mut cluster = Cluster::formed(3, 1, |config| config.cluster_node_timeout_ms = 5000);
    cluster.settle();
    cluster.command(3, "CLUSTER FAILOVER");
    cluster.run_ms(3000);
    cluster.command(0, "CLUSTER FAILOVER");
    cluster.run_ms(3000);
    let epochs_before = cluster.node(0).view().current_epoch();
    cluster.command(3, "CLUSTER FAILOVER");
    cluster.run_ms(1500);
    let starts = cluster.count(|fact| matches!(fact, Fact::ElectionStarted { .. }));
    let wins = winners(&cluster).len();
    assert_eq!((starts, wins), (2, 3), "{}", cluster.log());
    assert_eq!(
        cluster.node(0).view().current_epoch(),
        epochs_before,
        "{}",
        cluster.log()
    );
}

#[test]
fn an_orphaned_master_gets_a_spare_replica() {
    let mut cluster = Cluster::formed(3, 2, |_| {});
    cluster.settle();
    cluster.kill(3);
    cluster.kill(6);
    cluster.run_ms(20_000);
    let followers = [4, 5, 7, 8]
        .into_iter()
        .filter(|&host| cluster.node(host).view().master_id() == Some(id(0)));
    assert_eq!(followers.count(), 1, "{}", cluster.log());
}
