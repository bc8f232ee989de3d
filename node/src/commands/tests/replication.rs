//! What the stream to the replicas carries, and what waits for them.

use super::*;
use crate::clients;
use crate::fact::write_digest;
use crate::replication;

/// Gives away what a test is not about: the first command of a stream comes after a SELECT.
fn followed() -> Lone {
    let mut lone = serving();
    lone.attach_replica();
    lone.ask("SET warm up");
    lone
}

#[test]
fn a_write_goes_to_replicas_as_it_came() {
    let mut lone = followed();
    for line in [
        "set k v",
        "SET k v NX",
        "incr n",
        "APPEND k x",
        "MSET {t}a 1 {t}b 2",
    ] {
        let wanted: &[&str] = if line == "SET k v NX" { &[] } else { &[line] };
        assert_eq!(lone.feeds(line), wanted, "{line}");
    }
    assert_eq!(lone.feeds("DEL {t}a {t}x"), ["DEL {t}a {t}x"]);
    assert_eq!(lone.feeds("FLUSHALL"), ["FLUSHALL"]);
    assert_eq!(lone.feeds("FLUSHALL"), ["FLUSHALL"]);
}

#[test]
fn what_changes_nothing_is_not_fed() {
    let mut lone = followed();
    lone.ask("SET k v");
    for line in [
        "GET k",
        "DEL missing",
        "SETNX k w",
        "SET k w NX",
        "SET missing w XX",
        "PERSIST k",
        "EXPIRE missing 1",
        "EXPIRE k 10 XX",
        "GETDEL missing",
        "GETEX k",
        "GETEX k PERSIST",
        "MSETNX k 1",
        "RENAME k k",
        "INCR k",
        "SETRANGE k 0 ''",
    ] {
        assert!(lone.feeds(line).is_empty(), "{line}");
    }
}

#[test]
fn times_are_fed_as_the_moment_they_end() {
    let mut lone = followed();
    for (line, fed) in [
        ("SET k v EX 10", "SET k v PXAT 1700000010000"),
        ("SET k v PX 10 GET", "SET k v PXAT 1700000000010"),
        ("SET k v EXAT 1800000000 XX", "SET k v PXAT 1800000000000"),
        ("SETEX k 10 v", "SET k v PXAT 1700000010000"),
        ("PSETEX k 10 v", "SET k v PXAT 1700000000010"),
        ("EXPIRE k 10", "PEXPIREAT k 1700000010000"),
        ("PEXPIRE k 11 XX", "PEXPIREAT k 1700000000011 XX"),
        ("EXPIREAT k 1800000000", "PEXPIREAT k 1800000000000"),
        ("pexpireat k 1800000000000", "PEXPIREAT k 1800000000000"),
        ("GETEX k PX 5", "PEXPIREAT k 1700000000005"),
        ("GETEX k PERSIST", "PERSIST k"),
    ] {
        assert_eq!(lone.feeds(line), [fed], "{line}");
    }
}

#[test]
fn what_would_mean_something_else_later_is_fed_as_what_it_did() {
    let mut lone = followed();
    lone.ask("SET k v");
    for (line, fed) in [
        ("SET k w GET", "SET k w"),
        ("SET k get GET XX get", "SET k get XX"),
        ("GETSET k x", "SET k x"),
        ("EXPIRE k -1", "DEL k"),
        ("GETSET k x", "SET k x"),
        ("GETEX k PXAT 1", "DEL k"),
        ("GETSET k x", "SET k x"),
        ("GETDEL k", "DEL k"),
    ] {
        assert_eq!(lone.feeds(line), [fed], "{line}");
    }
}

#[test]
fn a_key_that_expires_is_fed_as_a_del() {
    let mut lone = followed();
    lone.ask("SET k v PX 10");
    lone.pass_ms(11);
    assert_eq!(lone.feeds("GET k"), ["DEL k"]);
    lone.ask("SET k v PX 10");
    lone.pass_ms(11);
    assert_eq!(lone.feeds("SET k w"), ["DEL k", "SET k w"]);
    lone.ask("SET k v PX 10");
    lone.pass_ms(11);
    assert_eq!(lone.feeds("DEL k"), ["DEL k"]);
    lone.ask("SET k v PX 10");
    lone.pass_ms(11);
    lone.cron();
    assert!(lone.stream().contains(&"DEL k".to_owned()));
}

#[test]
fn the_checkers_learn_where_each_write_stands() {
    let mut lone = followed();
    lone.ask("MSET {t}a 1 {t}b 2");
    let offset = replication::offset(&lone.node);
    let wrote = |key: &[u8], value: &[u8]| Fact::Wrote {
        write: write_digest(key, value),
        offset,
    };
    assert!(lone.facts().contains(&&wrote(b"{t}a", b"1")));
    assert!(lone.facts().contains(&&wrote(b"{t}b", b"2")));
    for (line, key, value) in [
        ("SET k v", "k", "v"),
        ("SET k v EX 9", "k", "v"),
        ("GETSET k w", "k", "w"),
        ("APPEND k x", "k", "x"),
        ("SETNX fresh y", "fresh", "y"),
        ("INCRBY n 7", "n", "7"),
        ("INCR n", "n", "8"),
    ] {
        lone.ask(line);
        let offset = replication::offset(&lone.node);
        let wrote = Fact::Wrote {
            write: write_digest(key.as_bytes(), value.as_bytes()),
            offset,
        };
        assert!(lone.facts().contains(&&wrote), "{line}");
    }
    lone.ask("SETNX k z");
    assert!(
        !lone
            .facts()
            .iter()
            .any(|fact| matches!(fact, Fact::Wrote { .. }))
    );
}

#[test]
fn a_replica_does_what_its_master_says_and_nothing_on_its_own() {
    let mut lone = serving();
    lone.become_replica();
    let mut apply = |line: &str| {
        let words = split_args(line.as_bytes()).unwrap();
        let command: CommandLine = words.into_iter().map(Word::from).collect();
        super::super::apply_from_master(&mut lone.node, &command);
    };
    apply("SELECT 0");
    apply("MULTI");
    apply("SET foo v PXAT 1700000000010");
    apply("SET n 5");
    apply("EXEC");
    apply("INCR n");
    apply("PEXPIREAT n 1");
    apply("NONSENSE");
    apply("GET");
    apply("SETRANGE n 9223372036854775807 x");
    lone.ask("READONLY");
    lone.check(&[("GET foo", r#""v""#), ("GET n", "(nil)"), ("DBSIZE", "2")]);
    lone.pass_ms(11);
    lone.cron();
    // Over, but only the master may remove it.
    lone.check(&[
        ("GET foo", "(nil)"),
        ("TTL foo", "-2"),
        ("DBSIZE", "2"),
        ("SCAN 0", r#"["0", []]"#),
    ]);
    let mut apply = |line: &str| {
        let words = split_args(line.as_bytes()).unwrap();
        let command: CommandLine = words.into_iter().map(Word::from).collect();
        super::super::apply_from_master(&mut lone.node, &command);
    };
    // The master's clock may be behind: to it the key is still there.
    apply("APPEND foo w");
    apply("PERSIST foo");
    apply("DEL n");
    lone.check(&[("GET foo", r#""vw""#), ("DBSIZE", "1")]);
}

#[test]
fn writes_need_good_replicas_if_told_so() {
    let mut lone = serving_with(Config {
        min_replicas_to_write: 1,
        ..Config::default()
    });
    lone.check(&[
        ("SET k v", "-NOREPLICAS Not enough good replicas to write."),
        ("GET k", "(nil)"),
        ("CONFIG SET min-replicas-to-write 0", "OK"),
        ("SET k v", "OK"),
    ]);
}

#[test]
fn a_replica_connection_does_not_touch_keys() {
    let mut lone = followed();
    for line in ["GET k", "SET k v", "DBSIZE"] {
        let said = lone.ask_as(REPLICA, line);
        assert_eq!(
            said, "-ERR Replica can't interact with the keyspace",
            "{line}"
        );
    }
    assert_eq!(lone.ask_as(REPLICA, "PING"), "PONG");
}

#[test]
fn a_replica_that_lost_its_master_may_refuse_stale_reads() {
    let mut lone = serving_with(Config {
        replica_serve_stale_data: false,
        ..Config::default()
    });
    lone.become_replica();
    lone.ask("READONLY");
    let down = "-MASTERDOWN Link with MASTER is down and replica-serve-stale-data is set to 'no'.";
    lone.check(&[("GET foo", down), ("PING", down), ("ECHO hi", r#""hi""#)]);
}

// -- WAIT --------------------------------------------------------------------------------------

fn acknowledge(lone: &mut Lone) {
    let offset = replication::offset(&lone.node);
    lone.ask_as(REPLICA, &format!("REPLCONF ACK {offset}"));
}

#[test]
fn wait_is_answered_at_once_if_nothing_is_missing() {
    let mut lone = followed();
    lone.check(&[("WAIT 0 0", "0")]);
    acknowledge(&mut lone);
    lone.check(&[("WAIT 1 0", "1"), ("WAIT 1 100", "1"), ("WAIT -3 0", "1")]);
}

#[test]
fn wait_blocks_until_a_replica_acknowledges() {
    let mut lone = followed();
    lone.ask("SET k v");
    assert_eq!(lone.ask("WAIT 1 0"), "");
    assert!(
        lone.stream().contains(&"REPLCONF GETACK *".to_owned()),
        "asks the replicas"
    );
    // What the client sends meanwhile waits behind.
    assert_eq!(lone.ask("GET k"), "");
    assert_eq!(lone.ask_as(BOB, "GET k"), r#""v""#);
    acknowledge(&mut lone);
    assert_eq!(lone.said_to(ALICE), ["1", r#""v""#]);
    assert!(
        lone.facts()
            .iter()
            .any(|fact| matches!(fact, Fact::WaitAnswered { replicas: 1, .. }))
    );
}

#[test]
fn wait_is_about_the_clients_own_writes() {
    let mut lone = followed();
    lone.ask("SET k v");
    acknowledge(&mut lone);
    lone.ask_as(BOB, "SET l v");
    assert_eq!(lone.ask("WAIT 1 0"), "1");
    assert_eq!(lone.ask_as(BOB, "WAIT 1 0"), "");
}

#[test]
fn wait_ends_when_its_time_is_over() {
    let mut lone = followed();
    lone.ask("SET k v");
    assert_eq!(lone.ask("WAIT 2 100"), "");
    lone.pass_ms(100);
    lone.cron();
    assert!(lone.said_to(ALICE).is_empty());
    lone.pass_ms(1);
    lone.cron();
    assert_eq!(lone.said_to(ALICE), ["0"]);
}

#[test]
fn a_client_that_leaves_waits_no_longer() {
    let mut lone = followed();
    lone.ask("SET k v");
    lone.ask("WAIT 1 0");
    lone.give(Input::ClientClosed { client: ALICE });
    acknowledge(&mut lone);
    assert!(lone.said_to(ALICE).is_empty());
    assert_eq!(lone.node.clients.blocked_count(), 0);
}

#[test]
fn those_who_wait_are_sent_away_when_the_role_changes() {
    let mut lone = followed();
    lone.ask("SET k v");
    lone.ask("WAIT 1 0");
    lone.actions.clear();
    lone.become_replica();
    lone.end_turn();
    assert_eq!(
        lone.said_to(ALICE),
        [
            "-UNBLOCKED force unblock from blocking operation, instance state changed (master -> replica?)"
        ]
    );
    assert!(lone.closed(ALICE));
    assert!(
        lone.ask_as(BOB, "WAIT 0 0")
            .starts_with("-ERR WAIT cannot be used with replica instances.")
    );
}

#[test]
fn wait_refuses_what_is_no_number() {
    serving().check(&[
        ("WAIT x 0", "-ERR value is not an integer or out of range"),
        ("WAIT 1 x", "-ERR timeout is not an integer or out of range"),
        ("WAIT 1 -1", "-ERR timeout is negative"),
    ]);
}

// -- pauses ------------------------------------------------------------------------------------

#[test]
fn paused_writes_wait_and_reads_do_not() {
    let mut lone = followed();
    lone.ask("SET k v");
    let until = lone.now.wall.plus_ms(10_000);
    clients::pause_writes(&mut lone.node, until);
    assert_eq!(lone.ask("GET k"), r#""v""#);
    assert_eq!(lone.ask("SET k w"), "");
    assert_eq!(lone.ask("GET k"), "", "a client's commands stay in order");
    assert_eq!(lone.ask_as(BOB, "GET k"), r#""v""#);
    assert_eq!(lone.ask_as(BOB, "DBSIZE"), "2");
    assert_eq!(lone.ask_as(BOB, "DEL k"), "");
    lone.actions.clear();
    clients::resume_writes(&mut lone.node);
    lone.end_turn();
    assert_eq!(lone.said_to(ALICE), ["OK", r#""w""#]);
    assert_eq!(lone.said_to(BOB), ["1"]);
    assert_eq!(lone.stream(), ["SET k w", "DEL k"]);
}

#[test]
fn a_pause_ends_at_the_first_cron_after_its_time() {
    let mut lone = serving();
    let until = lone.now.wall.plus_ms(1_000);
    clients::pause_writes(&mut lone.node, until);
    assert_eq!(lone.ask("SET k v"), "");
    lone.pass_ms(1_000);
    lone.cron();
    assert!(lone.said_to(ALICE).is_empty());
    lone.pass_ms(1);
    assert_eq!(
        lone.ask_as(BOB, "SET l v"),
        "",
        "nobody has looked at the clock yet"
    );
    lone.cron();
    assert_eq!(lone.said_to(ALICE), ["OK"]);
    assert_eq!(lone.said_to(BOB), ["OK"]);
    assert_eq!(
        lone.facts()
            .iter()
            .filter(|fact| ***fact == Fact::WritesResumed)
            .count(),
        1
    );
}

#[test]
fn nothing_expires_during_a_pause() {
    let mut lone = followed();
    lone.ask("SET k v PX 10");
    let until = lone.now.wall.plus_ms(10_000);
    clients::pause_writes(&mut lone.node, until);
    lone.pass_ms(11);
    lone.cron();
    lone.check(&[("GET k", "(nil)"), ("DBSIZE", "2")]);
    assert!(lone.stream().is_empty());
}

#[test]
fn a_paused_command_is_looked_at_anew_when_the_pause_ends() {
    let mut lone = serving();
    let until = lone.now.wall.plus_ms(10_000);
    clients::pause_writes(&mut lone.node, until);
    assert_eq!(lone.ask("SET foo v"), "");
    lone.become_replica();
    lone.actions.clear();
    clients::resume_writes(&mut lone.node);
    lone.end_turn();
    assert_eq!(lone.said_to(ALICE), ["-MOVED 12182 10.0.0.2:7002"]);
}

#[test]
fn acknowledgements_are_not_asked_for_during_a_pause() {
    let mut lone = followed();
    lone.ask("SET k v");
    let until = lone.now.wall.plus_ms(10_000);
    clients::pause_writes(&mut lone.node, until);
    lone.ask("WAIT 1 0");
    assert!(lone.stream().is_empty());
    clients::resume_writes(&mut lone.node);
    lone.actions.clear();
    lone.end_turn();
    assert_eq!(lone.stream(), ["REPLCONF GETACK *"]);
}

#[test]
fn a_client_can_pause_all_commands() {
    let mut lone = followed();
    lone.check(&[("CLIENT PAUSE 1000", "OK"), ("PING", "")]);
    assert_eq!(
        lone.ask_as(REPLICA, "PING"),
        "PONG",
        "replicas are never held back"
    );
    lone.pass_ms(1001);
    lone.cron();
    assert_eq!(lone.said_to(ALICE), ["PONG"]);
    lone.check(&[
        ("CLIENT PAUSE 1000 WRITE", "OK"),
        ("PING", "PONG"),
        ("CLIENT UNPAUSE", "OK"),
        ("SET k v", "OK"),
    ]);
}
