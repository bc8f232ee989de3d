use super::*;
use crate::input::{FromMaster, LinkFailure};
use crate::replication;
use crate::slot::key_slot;

fn stream(lone: &mut Lone, line: &str) {
    let command: CommandLine = line
        .split(' ')
        .map(|word| Word::from(word.to_owned()))
        .collect();
    let wire_len = command_len(&command);
    lone.give(Input::Master(FromMaster::Stream { command, wire_len }));
}

/// A replica in sync with its master.
fn follower() -> Lone {
    let mut lone = serving();
    lone.become_replica();
    lone.give(Input::Master(FromMaster::Up));
    lone.give(Input::Master(FromMaster::Continue { id: None }));
    lone
}

#[test]
fn a_transaction_answers_all_its_commands_at_once() {
    let mut lone = serving();
    lone.check(&[
        ("MULTI", "OK"),
        ("SET k 1", "QUEUED"),
        ("INCR k", "QUEUED"),
        ("HELLO 9", "QUEUED"),
        ("GET k", "QUEUED"),
        ("WAIT 3 0", "QUEUED"),
        (
            "EXEC",
            r#"[OK, 2, -NOPROTO unsupported protocol version, "2", 0]"#,
        ),
        ("GET k", r#""2""#),
        ("EXEC", "-ERR EXEC without MULTI"),
        ("DISCARD", "-ERR DISCARD without MULTI"),
    ]);
}

#[test]
fn what_stands_in_a_transaction_is_not_seen_before_its_end() {
    let mut lone = serving();
    lone.check(&[("SET k 1", "OK"), ("MULTI", "OK"), ("SET k 2", "QUEUED")]);
    assert_eq!(lone.ask_as(BOB, "GET k"), r#""1""#);
    lone.check(&[("DISCARD", "OK"), ("GET k", r#""1""#)]);
}

#[test]
fn a_refused_command_makes_the_transaction_fail() {
    let aborted = "-EXECABORT Transaction discarded because of previous errors.";
    let mut lone = serving();
    lone.check(&[
        ("MULTI", "OK"),
        ("MULTI", "-ERR MULTI calls can not be nested"),
        ("WATCH k", "-ERR WATCH inside MULTI is not allowed"),
        ("SET k 1", "QUEUED"),
        ("EXEC", "[OK]"),
    ]);
    for wrong in ["SET k", "NOSUCH", "CLIENT NOSUCH", "SHUTDOWN", "MGET a b"] {
        lone.ask("MULTI");
        assert!(lone.ask(wrong).starts_with('-'), "{wrong}");
        lone.check(&[
            ("SET k 2", "QUEUED"),
            ("EXEC", aborted),
            ("GET k", r#""1""#),
        ]);
    }
}

#[test]
fn a_transaction_is_sent_where_its_keys_are() {
    let mut lone = serving();
    let other = lone.know(2, NodeFlags::MASTER);
    lone.check(&[("MULTI", "OK"), ("SET foo 1", "QUEUED")]);
    lone.node.cluster.set_owner(key_slot(b"foo"), Some(other));
    lone.check(&[
        ("EXEC", "-MOVED 12182 10.0.0.2:7002"),
        ("EXEC", "-ERR EXEC without MULTI"),
        ("MULTI", "OK"),
        ("GET foo", "-MOVED 12182 10.0.0.2:7002"),
        (
            "EXEC",
            "-EXECABORT Transaction discarded because of previous errors.",
        ),
        ("MULTI", "OK"),
        ("SET a 1", "QUEUED"),
        ("SET b 1", "QUEUED"),
        (
            "EXEC",
            "-CROSSSLOT Keys in request don't hash to the same slot",
        ),
        ("GET a", "(nil)"),
    ]);
}

#[test]
fn a_transaction_that_may_not_run_as_a_whole_does_not_run() {
    let mut lone = serving();
    lone.check(&[("MULTI", "OK"), ("SET k 1", "QUEUED")]);
    lone.node.config_mut().min_replicas_to_write = 1;
    lone.check(&[
        (
            "EXEC",
            "-EXECABORT Transaction discarded because of: NOREPLICAS Not enough good replicas to \
             write.",
        ),
        ("EXEC", "-ERR EXEC without MULTI"),
        ("MULTI", "OK"),
        ("GET k", "QUEUED"),
        ("EXEC", "[(nil)]"),
    ]);
}

#[test]
fn replicas_get_a_transaction_of_several_writes_as_one() {
    let mut lone = serving();
    lone.attach_replica();
    lone.ask("SET warm up");
    for line in [
        "MULTI",
        "SET {k}1 1",
        "GET {k}1",
        "DEL nothing{k}",
        "INCR {k}1",
    ] {
        assert!(lone.feeds(line).is_empty(), "{line}");
    }
    assert_eq!(
        lone.feeds("EXEC"),
        ["MULTI", "SET {k}1 1", "INCR {k}1", "EXEC"]
    );
    lone.check(&[("MULTI", "OK"), ("SET k 1", "QUEUED"), ("GET k", "QUEUED")]);
    assert_eq!(lone.feeds("EXEC"), ["SET k 1"], "one write needs no frame");
    lone.check(&[("MULTI", "OK"), ("GET k", "QUEUED")]);
    assert!(lone.feeds("EXEC").is_empty());
}

#[test]
fn a_watched_key_that_changes_makes_the_transaction_fail() {
    for change in [
        "SET k 2",
        "DEL k",
        "APPEND k x",
        "PEXPIRE k 100000",
        "FLUSHALL",
        "RENAME k {k}2",
        "MSET {k}3 1 k 1",
    ] {
        let mut lone = serving();
        lone.check(&[
            ("SET k 1", "OK"),
            ("WATCH k other{k}", "OK"),
            ("MULTI", "OK"),
        ]);
        lone.ask_as(BOB, change);
        lone.check(&[
            ("GET k", "QUEUED"),
            ("EXEC", "(nil array)"),
            ("MULTI", "OK"),
            ("PING", "QUEUED"),
            ("EXEC", "[PONG]"),
        ]);
    }
}

#[test]
fn what_does_not_change_a_watched_key_lets_the_transaction_run() {
    for harmless in [
        "GET k",
        "DEL {k}2",
        "SET {k}3 1",
        "SETNX k 5",
        "DEL {k}4 {k}5",
    ] {
        let mut lone = serving();
        lone.check(&[
            ("SET k 1", "OK"),
            ("SET {k}4 1", "OK"),
            ("WATCH k {k}5", "OK"),
        ]);
        lone.ask_as(BOB, harmless);
        lone.check(&[("MULTI", "OK"), ("GET k", "QUEUED"), ("EXEC", r#"["1"]"#)]);
    }
}

#[test]
fn unwatched_keys_may_change() {
    let mut lone = serving();
    lone.check(&[("WATCH k", "OK"), ("SET k 1", "OK"), ("UNWATCH", "OK")]);
    lone.check(&[("MULTI", "OK"), ("GET k", "QUEUED"), ("EXEC", r#"["1"]"#)]);
    lone.check(&[("WATCH k", "OK"), ("MULTI", "OK"), ("DISCARD", "OK")]);
    lone.ask_as(BOB, "SET k 2");
    lone.check(&[("MULTI", "OK"), ("GET k", "QUEUED"), ("EXEC", r#"["2"]"#)]);
    assert!(lone.node.clients.watchers.is_empty());
}

#[test]
fn a_watched_key_whose_time_is_over_has_changed() {
    let mut lone = serving();
    lone.check(&[("SET k 1 PX 100", "OK"), ("WATCH k", "OK")]);
    lone.pass_ms(200);
    lone.check(&[("MULTI", "OK"), ("PING", "QUEUED"), ("EXEC", "(nil array)")]);
    // The cron takes it away before EXEC looks.
    lone.check(&[("SET k 1 PX 100", "OK"), ("WATCH k", "OK")]);
    lone.pass_ms(200);
    lone.cron();
    lone.check(&[("MULTI", "OK"), ("PING", "QUEUED"), ("EXEC", "(nil array)")]);
}

#[test]
fn a_client_that_goes_watches_nothing() {
    let mut lone = serving();
    lone.check(&[("WATCH a{k} b{k}", "OK"), ("MULTI", "OK")]);
    lone.give(Input::ClientClosed { client: ALICE });
    assert!(lone.node.clients.watchers.is_empty());
}

#[test]
fn a_replica_applies_a_transaction_once_it_is_whole() {
    let mut lone = follower();
    lone.ask("READONLY");
    stream(&mut lone, "SET k 1");
    let before = replication::offset(&lone.node);
    for line in ["MULTI", "SET k 2", "INCR k"] {
        stream(&mut lone, line);
    }
    assert_eq!(lone.ask("GET k"), r#""1""#, "none of it is seen yet");
    assert_eq!(replication::offset(&lone.node), before, "nor counted");
    stream(&mut lone, "EXEC");
    assert_eq!(lone.ask("GET k"), r#""3""#);
    assert!(replication::offset(&lone.node) > before);
}

#[test]
fn a_replica_that_loses_its_master_in_a_transaction_asks_for_all_of_it_again() {
    let mut lone = follower();
    lone.ask("READONLY");
    stream(&mut lone, "SET k 1");
    let before = replication::offset(&lone.node);
    stream(&mut lone, "MULTI");
    stream(&mut lone, "SET k 2");
    lone.give(Input::Master(FromMaster::Down(LinkFailure::Closed)));
    assert_eq!(replication::offset(&lone.node), before);
    lone.give(Input::Master(FromMaster::Up));
    lone.give(Input::Master(FromMaster::Continue { id: None }));
    stream(&mut lone, "SET other 1");
    assert_eq!(lone.ask("GET k"), r#""1""#);
    for line in ["MULTI", "SET k 2", "SET k 3", "EXEC"] {
        stream(&mut lone, line);
    }
    assert_eq!(lone.ask("GET k"), r#""3""#);
}

#[test]
fn reset_ends_a_transaction() {
    let mut lone = serving();
    lone.check(&[
        ("WATCH k", "OK"),
        ("MULTI", "OK"),
        ("RESET", "RESET"),
        ("EXEC", "-ERR EXEC without MULTI"),
    ]);
}

#[test]
fn nothing_blocks_in_a_transaction() {
    let mut lone = serving();
    lone.check(&[
        ("MULTI", "OK"),
        ("BLPOP l 0", "QUEUED"),
        ("RPUSH l a b", "QUEUED"),
        ("BLPOP l 0", "QUEUED"),
        ("EXEC", r#"[(nil array), 2, ["l", "a"]]"#),
    ]);
    lone.check(&[
        ("MULTI", "OK"),
        (
            "CONFIG REWRITE",
            "-ERR Command not allowed inside a transaction",
        ),
        ("DISCARD", "OK"),
    ]);
}

#[test]
fn a_transaction_serves_those_who_wait_once_it_is_over() {
    let mut lone = serving();
    assert_eq!(lone.ask_as(BOB, "BLPOP l 0"), "");
    lone.check(&[
        ("WATCH l", "OK"),
        ("MULTI", "OK"),
        ("RPUSH l a", "QUEUED"),
        ("LLEN l", "QUEUED"),
        ("EXEC", "[1, 1]"),
    ]);
    assert_eq!(lone.said_to(BOB), [r#"["l", "a"]"#]);
    lone.check(&[("LLEN l", "0")]);
}
