use super::*;
use crate::message::Address;
use crate::slot::key_slot;

const DOWN: &str = "-CLUSTERDOWN The cluster is down";

/// A node that shares the slots with another, which has the slot of `foo` (12182).
fn sharing() -> (Lone, PeerIndex) {
    let mut lone = serving();
    let other = lone.know(2, NodeFlags::MASTER);
    lone.node.cluster.set_owner(key_slot(b"foo"), Some(other));
    (lone, other)
}

#[test]
fn a_key_of_another_node_is_sent_there() {
    let (mut lone, _) = sharing();
    lone.check(&[
        ("GET foo", "-MOVED 12182 10.0.0.2:7002"),
        ("SET foo bar", "-MOVED 12182 10.0.0.2:7002"),
        ("SET {foo}bar 1", "-MOVED 12182 10.0.0.2:7002"),
        ("MGET {foo}a {foo}b", "-MOVED 12182 10.0.0.2:7002"),
        ("GET mine", "(nil)"),
        ("DBSIZE", "0"),
        ("KEYS *", "[]"),
    ]);
}

#[test]
fn the_arity_is_checked_before_the_slot() {
    let (mut lone, _) = sharing();
    lone.check(&[(
        "GET foo bar",
        "-ERR wrong number of arguments for 'get' command",
    )]);
}

#[test]
fn keys_of_several_slots_are_refused() {
    let (mut lone, _) = sharing();
    let refused = "-CROSSSLOT Keys in request don't hash to the same slot";
    lone.check(&[
        ("MGET a b", refused),
        ("DEL a b", refused),
        ("MSET a 1 b 2", refused),
        ("RENAME a b", refused),
        // The first key is looked at first, but its owner only after all keys.
        ("MGET foo a", refused),
        ("MGET a a", "[(nil), (nil)]"),
        ("MGET {x}a {x}b", "[(nil), (nil)]"),
        ("MSET {x}1 a {x}2 b", "OK"),
    ]);
}

#[test]
fn a_slot_that_nobody_has_is_not_served() {
    let mut lone = serving_with(Config {
        cluster_require_full_coverage: false,
        ..Config::default()
    });
    lone.node.cluster.set_owner(key_slot(b"foo"), None);
    lone.check(&[
        ("GET foo", "-CLUSTERDOWN Hash slot not served"),
        // Known by the first key, before the others are looked at.
        ("MGET foo a", "-CLUSTERDOWN Hash slot not served"),
        ("GET a", "(nil)"),
    ]);
    lone.node.cluster.state_ok = false;
    lone.check(&[
        ("GET foo", "-CLUSTERDOWN Hash slot not served"),
        ("GET a", DOWN),
    ]);
}

#[test]
fn a_cluster_that_is_down_serves_no_key() {
    let (mut lone, _) = sharing();
    lone.node.cluster.state_ok = false;
    lone.check(&[
        ("GET mine", DOWN),
        ("SET mine 1", DOWN),
        ("GET foo", DOWN),
        (
            "MGET a b",
            "-CROSSSLOT Keys in request don't hash to the same slot",
        ),
        ("PING", "PONG"),
        ("DBSIZE", "0"),
        ("SCAN 0", r#"["0", []]"#),
    ]);
}

#[test]
fn reads_may_be_allowed_while_the_cluster_is_down() {
    let mut lone = serving_with(Config {
        cluster_allow_reads_when_down: true,
        ..Config::default()
    });
    let other = lone.know(2, NodeFlags::MASTER);
    lone.node.cluster.set_owner(key_slot(b"foo"), Some(other));
    lone.node.cluster.state_ok = false;
    lone.check(&[
        ("GET mine", "(nil)"),
        ("GET foo", "-MOVED 12182 10.0.0.2:7002"),
        (
            "SET mine 1",
            "-CLUSTERDOWN The cluster is down and only accepts read commands",
        ),
    ]);
}

#[test]
fn a_planted_bug_serves_while_the_cluster_is_down() {
    let mut lone = serving_with(Config {
        bugs: vec![crate::engine::Bug::ServesWhileFailed],
        ..Config::default()
    });
    lone.node.cluster.state_ok = false;
    lone.check(&[("SET k v", "OK")]);
}

#[test]
fn a_migrating_slot_asks_for_the_keys_that_are_not_here() {
    let mut lone = serving();
    let target = lone.know(2, NodeFlags::MASTER);
    lone.ask("MSET {foo}here 1 {foo}too 2");
    slots::set_migrating(&mut lone.node, key_slot(b"foo"), target);
    let ask = "-ASK 12182 10.0.0.2:7002";
    let again = "-TRYAGAIN Multiple keys request during rehashing of slot";
    lone.check(&[
        ("GET {foo}here", r#""1""#),
        ("SET {foo}here 3", "OK"),
        ("GET foo", ask),
        ("SET foo 1", ask),
        ("MGET {foo}here {foo}too", r#"["3", "2"]"#),
        ("MGET {foo}a {foo}b", ask),
        ("MGET {foo}here {foo}b", again),
        ("DEL {foo}b {foo}here", again),
        ("GET other", "(nil)"),
    ]);
}

#[test]
fn a_key_that_expired_is_not_here_and_is_left_to_its_time() {
    let mut lone = serving();
    let target = lone.know(2, NodeFlags::MASTER);
    lone.ask("SET foo 1 PX 10");
    slots::set_migrating(&mut lone.node, key_slot(b"foo"), target);
    lone.pass_ms(11);
    lone.check(&[("GET foo", "-ASK 12182 10.0.0.2:7002"), ("DBSIZE", "1")]);
}

#[test]
fn an_importing_slot_serves_those_who_were_asked() {
    let (mut lone, source) = sharing();
    slots::set_importing(&mut lone.node, key_slot(b"foo"), source);
    let moved = "-MOVED 12182 10.0.0.2:7002";
    lone.check(&[
        ("GET foo", moved),
        ("ASKING", "OK"),
        ("SET foo 1", "OK"),
        // Once.
        ("GET foo", moved),
        ("ASKING", "OK"),
        ("PING", "PONG"),
        ("GET foo", moved),
        ("ASKING", "OK"),
        (
            "NONSENSE",
            "-ERR unknown command 'NONSENSE', with args beginning with: ",
        ),
        ("GET foo", moved),
        ("ASKING", "OK"),
        ("ASKING", "OK"),
        ("GET foo", r#""1""#),
        ("ASKING", "OK"),
        (
            "MGET foo {foo}missing",
            "-TRYAGAIN Multiple keys request during rehashing of slot",
        ),
        ("ASKING", "OK"),
        ("MGET foo foo", r#"["1", "1"]"#),
        ("ASKING", "OK"),
        ("GET {foo}missing", "(nil)"),
    ]);
}

#[test]
fn asking_does_not_help_where_nothing_is_imported() {
    let (mut lone, _) = sharing();
    lone.check(&[("ASKING", "OK"), ("GET foo", "-MOVED 12182 10.0.0.2:7002")]);
}

#[test]
fn a_replica_sends_away_all_but_readonly_readers() {
    let mut lone = serving();
    lone.become_replica();
    lone.check(&[
        ("GET foo", "-MOVED 12182 10.0.0.2:7002"),
        ("READONLY", "OK"),
        ("GET foo", "(nil)"),
        ("SET foo 1", "-MOVED 12182 10.0.0.2:7002"),
        ("READWRITE", "OK"),
        ("GET foo", "-MOVED 12182 10.0.0.2:7002"),
        (
            "FLUSHALL",
            "-READONLY You can't write against a read only replica.",
        ),
        ("READONLY", "OK"),
    ]);
    assert_eq!(lone.ask_as(BOB, "GET foo"), "-MOVED 12182 10.0.0.2:7002");
    let third = lone.know(3, NodeFlags::MASTER);
    lone.node.cluster.set_owner(key_slot(b"foo"), Some(third));
    lone.check(&[("GET foo", "-MOVED 12182 10.0.0.3:7003")]);
}

#[test]
fn a_node_without_an_address_is_redirected_to_with_an_empty_host() {
    let (mut lone, other) = sharing();
    let address = lone.node.cluster[other].address;
    (lone.node.cluster).set_address(
        other,
        Address {
            ip: None,
            ..address
        },
    );
    lone.check(&[("GET foo", "-MOVED 12182 :7002")]);
}

#[test]
fn clients_are_told_the_endpoint_they_prefer() {
    let (mut lone, other) = sharing();
    lone.node.cluster[other].hostname = Some("two.example".into());
    lone.check(&[
        ("CONFIG SET cluster-preferred-endpoint-type hostname", "OK"),
        ("GET foo", "-MOVED 12182 two.example:7002"),
        (
            "CONFIG SET cluster-preferred-endpoint-type unknown-endpoint",
            "OK",
        ),
        ("GET foo", "-MOVED 12182 :7002"),
    ]);
    lone.node.cluster[other].hostname = None;
    lone.check(&[
        ("CONFIG SET cluster-preferred-endpoint-type hostname", "OK"),
        ("GET foo", "-MOVED 12182 ?:7002"),
    ]);
}
