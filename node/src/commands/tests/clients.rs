use super::*;
use crate::wire::resp::RespError;

#[test]
fn a_client_has_an_id_and_may_have_a_name() {
    let mut lone = serving();
    lone.check(&[
        ("CLIENT ID", "1"),
        ("CLIENT GETNAME", "(nil)"),
        ("CLIENT SETNAME alice", "OK"),
        ("CLIENT GETNAME", r#""alice""#),
        (
            "CLIENT SETNAME 'a b'",
            "-ERR Client names cannot contain spaces, newlines or special characters.",
        ),
        ("CLIENT SETNAME ''", "OK"),
        ("CLIENT GETNAME", "(nil)"),
        ("CLIENT SETINFO LIB-NAME redis-py", "OK"),
        ("CLIENT SETINFO lib-ver 5.0", "OK"),
        ("CLIENT SETINFO os linux", "-ERR Unrecognized option 'os'"),
        (
            "CLIENT SETINFO lib-name 'a b'",
            "-ERR lib-name cannot contain spaces, newlines or special characters.",
        ),
        ("CLIENT GETREDIR", "-1"),
        ("CLIENT NO-EVICT on", "OK"),
        ("CLIENT NO-EVICT maybe", "-ERR syntax error"),
    ]);
    assert_eq!(lone.ask_as(BOB, "CLIENT ID"), "2");
}

#[test]
fn clients_are_described() {
    let mut lone = serving();
    lone.check(&[
        ("CLIENT SETNAME alice", "OK"),
        ("CLIENT SETINFO LIB-NAME redis-py", "OK"),
        ("READONLY", "OK"),
    ]);
    lone.pass_ms(5_000);
    lone.ask_as(REPLICA, "PSYNC ? -1");
    lone.ask_as(BOB, "HELLO 3");
    insta::assert_snapshot!(lone.session(&["CLIENT INFO", "CLIENT LIST"]));
    let ids = |said: String| {
        let ids = said
            .lines()
            .filter_map(|line| line.split(' ').next().map(str::to_owned));
        ids.collect::<Vec<_>>()
    };
    assert_eq!(ids(lone.ask("CLIENT LIST TYPE replica")), ["id=9"]);
    assert_eq!(ids(lone.ask("CLIENT LIST TYPE normal")), ["id=1", "id=2"]);
    assert_eq!(ids(lone.ask("CLIENT LIST ID 2 77 1")), ["id=2", "id=1"]);
    lone.check(&[
        ("CLIENT LIST TYPE pubsub", ""),
        ("CLIENT LIST TYPE wild", "-ERR Unknown client type 'wild'"),
        ("CLIENT LIST ID x", "-ERR Invalid client ID"),
        ("CLIENT LIST ID", "-ERR syntax error"),
    ]);
}

#[test]
fn hello_introduces_and_chooses_the_protocol() {
    let mut lone = serving();
    lone.check(&[
        (
            "HELLO",
            r#"{"server": "redis", "version": "7.0.15", "proto": 2, "id": 1, "mode": "cluster", "role": "master", "modules": []}"#,
        ),
        ("HELLO 4", "-NOPROTO unsupported protocol version"),
        ("HELLO 1", "-NOPROTO unsupported protocol version"),
        ("HELLO x", "-ERR Protocol version is not an integer or out of range"),
        ("HELLO 3 AUTH default any SETNAME al", r#"{"server": "redis", "version": "7.0.15", "proto": 3, "id": 1, "mode": "cluster", "role": "master", "modules": []}"#),
        ("CLIENT GETNAME", r#""al""#),
        ("HELLO 3 AUTH root toor", "-WRONGPASS invalid username-password pair or user is disabled."),
        ("HELLO 3 SETNAME", "-ERR Syntax error in HELLO option 'SETNAME'"),
        ("HELLO 3 AUTH default", "-ERR Syntax error in HELLO option 'AUTH'"),
        ("AUTH default any", "OK"),
        ("AUTH nobody any", "-WRONGPASS invalid username-password pair or user is disabled."),
        ("AUTH any", "-ERR AUTH <password> called without any password configured for the default user. Are you sure your configuration is correct?"),
        ("AUTH a b c", "-ERR syntax error"),
    ]);
    let speaks_resp3 = |lone: &Lone| {
        lone.actions
            .iter()
            .any(|action| matches!(action, Action::Reply { resp3: true, .. }))
    };
    assert!(speaks_resp3(&lone));
    lone.ask_as(BOB, "PING");
    assert!(!speaks_resp3(&lone));
    lone.check(&[("RESET", "RESET"), ("CLIENT GETNAME", "(nil)")]);
    assert!(!speaks_resp3(&lone));
}

#[test]
fn replies_can_be_turned_off() {
    let mut lone = serving();
    lone.check(&[
        ("CLIENT REPLY SKIP", ""),
        ("SET k v", ""),
        ("GET k", r#""v""#),
        ("CLIENT REPLY OFF", ""),
        ("SET k w", ""),
        ("CLIENT REPLY SKIP", ""),
        ("CLIENT REPLY ON", "OK"),
        ("GET k", r#""w""#),
        ("CLIENT REPLY LOUD", "-ERR syntax error"),
    ]);
}

#[test]
fn quit_says_goodbye() {
    let mut lone = serving();
    assert_eq!(lone.ask("QUIT"), "OK");
    assert!(lone.closed(ALICE));
    assert_eq!(lone.ask("PING"), "", "nothing is read after it");
}

#[test]
fn what_is_no_command_ends_the_connection() {
    let mut lone = serving();
    let bad = Input::BadCommand {
        client: ALICE,
        error: RespError::BulkLength,
    };
    lone.give(bad);
    lone.end_turn();
    assert_eq!(
        lone.said_to(ALICE),
        ["-ERR Protocol error: invalid bulk length"]
    );
    assert!(lone.closed(ALICE));
}

#[test]
fn what_is_no_command_is_found_in_its_turn() {
    let mut lone = serving();
    lone.ask_as(BOB, "CLIENT PAUSE 1000");
    lone.ask("SET k v");
    lone.give(Input::BadCommand {
        client: ALICE,
        error: RespError::BulkLength,
    });
    lone.end_turn();
    assert!(!lone.closed(ALICE));
    lone.pass_ms(1001);
    lone.cron();
    assert_eq!(
        lone.said_to(ALICE),
        ["OK", "-ERR Protocol error: invalid bulk length"]
    );
    assert!(lone.closed(ALICE));
}

#[test]
fn http_is_hung_up_on() {
    let mut lone = serving();
    assert_eq!(lone.ask("POST / HTTP/1.1"), "");
    assert!(lone.closed(ALICE));
    assert_eq!(lone.ask_as(BOB, "Host: redis"), "");
    assert!(lone.closed(BOB));
}

#[test]
fn clients_can_be_killed() {
    let mut lone = serving();
    lone.check(&[
        ("CLIENT KILL 10.9.9.7:5000", "-ERR No such client"),
        ("CLIENT KILL ID 77", "0"),
        (
            "CLIENT KILL ID 0",
            "-ERR client-id should be greater than 0",
        ),
        ("CLIENT KILL ID", "-ERR No such client"),
        ("CLIENT KILL ID 2 TYPE", "-ERR syntax error"),
        ("CLIENT KILL USER root", "-ERR No such user 'root'"),
        ("CLIENT KILL TYPE wild", "-ERR Unknown client type 'wild'"),
        ("CLIENT KILL SKIPME maybe", "-ERR syntax error"),
        ("CLIENT KILL ADDR 10.9.9.2:5000", "1"),
    ]);
    assert!(lone.closed(BOB));
    lone.check(&[("CLIENT KILL TYPE normal SKIPME no", "2")]);
    assert!(lone.closed(ALICE) && lone.closed(REPLICA));
}

#[test]
fn a_killed_replica_is_no_replica_any_more() {
    let mut lone = serving();
    lone.attach_replica();
    lone.check(&[("CLIENT KILL TYPE replica", "1")]);
    assert!(lone.closed(REPLICA));
    assert!(lone.ask("INFO replication").contains("connected_slaves:0"));
}

#[test]
fn a_wait_can_be_ended_by_another_client() {
    let mut lone = serving();
    lone.check(&[
        ("CLIENT UNBLOCK 2", "0"),
        ("CLIENT UNBLOCK -1", "0"),
        (
            "CLIENT UNBLOCK 2 softly",
            "-ERR CLIENT UNBLOCK reason should be TIMEOUT or ERROR",
        ),
    ]);
    assert_eq!(lone.ask_as(BOB, "WAIT 1 0"), "");
    lone.check(&[("CLIENT UNBLOCK 2", "1")]);
    assert_eq!(lone.said_to(BOB), ["0"]);
    assert_eq!(lone.ask_as(BOB, "WAIT 1 0"), "");
    lone.check(&[("CLIENT UNBLOCK 2 ERROR", "1")]);
    assert_eq!(
        lone.said_to(BOB),
        ["-UNBLOCKED client unblocked via CLIENT UNBLOCK"]
    );
    assert_eq!(lone.ask_as(BOB, "PING"), "PONG");
}
