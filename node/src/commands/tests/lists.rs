use super::*;

#[test]
fn elements_come_and_go_at_both_ends() {
    serving().check(&[
        ("LPUSHX l a", "0"),
        ("RPUSHX l a", "0"),
        ("RPUSH l a b c", "3"),
        ("LPUSH l x y", "5"),
        ("LRANGE l 0 -1", r#"["y", "x", "a", "b", "c"]"#),
        ("LRANGE l -2 99", r#"["b", "c"]"#),
        ("LRANGE l 3 1", "[]"),
        ("LRANGE missing 0 -1", "[]"),
        ("LLEN l", "5"),
        ("LINDEX l 0", r#""y""#),
        ("LINDEX l -1", r#""c""#),
        ("LINDEX l 5", "(nil)"),
        ("LINDEX missing x", "(nil)"),
        ("LPOP l", r#""y""#),
        ("RPOP l 2", r#"["c", "b"]"#),
        ("LPOP l 0", "[]"),
        ("LPOP l -1", "-ERR value is out of range, must be positive"),
        ("LPOP missing", "(nil)"),
        ("LPOP missing 2", "(nil array)"),
        ("LPOP missing 0", "(nil array)"),
        (
            "LPOP l 1 2",
            "-ERR wrong number of arguments for 'lpop' command",
        ),
        ("LPUSHX l z", "3"),
        ("LPOP l 99", r#"["z", "x", "a"]"#),
        ("EXISTS l", "0"),
    ]);
}

#[test]
fn elements_in_the_middle_are_changed() {
    serving().check(&[
        ("RPUSH l a b a c a", "5"),
        ("LSET l 1 B", "OK"),
        ("LSET l 9 x", "-ERR index out of range"),
        ("LSET missing 0 x", "-ERR no such key"),
        ("LINSERT l BEFORE B 1", "6"),
        ("LINSERT l AFTER B 2", "7"),
        ("LINSERT l AFTER nothing 2", "-1"),
        ("LINSERT missing AFTER a 2", "0"),
        ("LINSERT l BESIDE a 2", "-ERR syntax error"),
        ("LRANGE l 0 -1", r#"["a", "1", "B", "2", "a", "c", "a"]"#),
        ("LREM l -1 a", "1"),
        ("LREM l 1 a", "1"),
        ("LRANGE l 0 -1", r#"["1", "B", "2", "a", "c"]"#),
        ("LREM l 0 nothing", "0"),
        ("LTRIM l 1 -2", "OK"),
        ("LRANGE l 0 -1", r#"["B", "2", "a"]"#),
        ("LTRIM l 5 9", "OK"),
        ("EXISTS l", "0"),
        ("LTRIM missing 0 1", "OK"),
    ]);
}

#[test]
fn elements_are_found() {
    serving().check(&[
        ("RPUSH l a b c 1 2 3 c c", "8"),
        ("LPOS l c", "2"),
        ("LPOS l c RANK 2", "6"),
        ("LPOS l c RANK -1", "7"),
        ("LPOS l c COUNT 2", "[2, 6]"),
        ("LPOS l c COUNT 0", "[2, 6, 7]"),
        ("LPOS l c COUNT 0 RANK -2", "[6, 2]"),
        ("LPOS l c COUNT 0 MAXLEN 7", "[2, 6]"),
        ("LPOS l c MAXLEN 1 RANK -1", "7"),
        ("LPOS l x", "(nil)"),
        ("LPOS l x COUNT 1", "[]"),
        ("LPOS missing x COUNT 1", "[]"),
        ("LPOS missing x", "(nil)"),
        (
            "LPOS l c RANK 0",
            "-ERR RANK can't be zero: use 1 to start from the first match, 2 from the second ... \
             or use negative to start from the end of the list",
        ),
        ("LPOS l c COUNT -1", "-ERR COUNT can't be negative"),
        ("LPOS l c MAXLEN -1", "-ERR MAXLEN can't be negative"),
        ("LPOS l c COUNT", "-ERR syntax error"),
    ]);
}

#[test]
fn elements_move_from_list_to_list() {
    serving().check(&[
        ("RPUSH {t}a 1 2 3", "3"),
        ("RPOPLPUSH {t}a {t}b", r#""3""#),
        ("LMOVE {t}a {t}b LEFT RIGHT", r#""1""#),
        ("LRANGE {t}b 0 -1", r#"["3", "1"]"#),
        ("LMOVE {t}b {t}b LEFT RIGHT", r#""3""#),
        ("LRANGE {t}b 0 -1", r#"["1", "3"]"#),
        ("LMOVE {t}a {t}b LEFT LEFT", r#""2""#),
        ("EXISTS {t}a", "0"),
        ("LMOVE {t}a {t}b LEFT LEFT", "(nil)"),
        ("LMOVE {t}a {t}b UP LEFT", "-ERR syntax error"),
        ("SET {t}s x", "OK"),
        (
            "LMOVE {t}b {t}s LEFT LEFT",
            "-WRONGTYPE Operation against a key holding the wrong kind of value",
        ),
        ("LLEN {t}b", "3"),
        ("LMPOP 2 {t}a {t}b LEFT COUNT 2", r#"["{t}b", ["2", "1"]]"#),
        ("LMPOP 1 {t}a LEFT", "(nil array)"),
        ("LMPOP 0 {t}a LEFT", "-ERR numkeys should be greater than 0"),
        ("LMPOP 5 {t}a LEFT", "-ERR syntax error"),
        (
            "LMPOP 1 {t}b LEFT COUNT 0",
            "-ERR count should be greater than 0",
        ),
        ("LMPOP 1 {t}b LEFT COUNT 1 COUNT 1", "-ERR syntax error"),
        ("LMPOP 1 {t}b RIGHT", r#"["{t}b", ["3"]]"#),
    ]);
}

#[test]
fn what_is_there_is_taken_without_waiting() {
    serving().check(&[
        ("RPUSH {t}l a b c d e", "5"),
        ("BLPOP {t}x {t}l 0", r#"["{t}l", "a"]"#),
        ("BRPOP {t}l 0.5", r#"["{t}l", "e"]"#),
        ("BLMOVE {t}l {t}m RIGHT LEFT 0", r#""d""#),
        ("BRPOPLPUSH {t}l {t}m 0", r#""c""#),
        ("BLMPOP 0 1 {t}m LEFT COUNT 5", r#"["{t}m", ["c", "d"]]"#),
        (
            "BLPOP {t}l x",
            "-ERR timeout is not a float or out of range",
        ),
        ("BLPOP {t}l -1", "-ERR timeout is negative"),
        ("SET {t}s x", "OK"),
        (
            "BLPOP {t}s 0",
            "-WRONGTYPE Operation against a key holding the wrong kind of value",
        ),
    ]);
}

const CAROL: ClientId = ClientId(3);

fn with_carol() -> Lone {
    let mut lone = serving();
    lone.connect(CAROL);
    lone
}

#[test]
fn who_came_first_is_served_first() {
    let mut lone = with_carol();
    assert_eq!(lone.ask_as(BOB, "BLPOP l 0"), "");
    assert_eq!(lone.ask_as(CAROL, "BRPOP other{l} l 0"), "");
    assert_eq!(lone.ask("RPUSH l 1 2 3"), "3");
    assert_eq!(lone.said_to(BOB), [r#"["l", "1"]"#]);
    assert_eq!(lone.said_to(CAROL), [r#"["l", "3"]"#]);
    assert_eq!(lone.ask("LRANGE l 0 -1"), r#"["2"]"#);
}

#[test]
fn who_waits_gets_elements_before_the_next_command_runs() {
    let mut lone = serving();
    lone.ask_as(BOB, "BLPOP l 0");
    lone.actions.clear();
    lone.send(ALICE, "RPUSH l x");
    lone.send(ALICE, "LPOP l");
    lone.end_turn();
    assert_eq!(lone.said_to(ALICE), ["1", "(nil)"]);
    assert_eq!(lone.said_to(BOB), [r#"["l", "x"]"#]);
}

#[test]
fn a_blocked_move_serves_who_waits_for_its_destination() {
    let mut lone = with_carol();
    lone.attach_replica();
    lone.ask("FLUSHALL");
    lone.ask_as(BOB, "BLMOVE {t}a {t}b LEFT RIGHT 0");
    lone.ask_as(CAROL, "BLPOP {t}b 0");
    lone.ask("RPUSH {t}a x");
    assert_eq!(lone.said_to(BOB), [r#""x""#]);
    assert_eq!(lone.said_to(CAROL), [r#"["{t}b", "x"]"#]);
    assert_eq!(
        lone.stream(),
        ["RPUSH {t}a x", "LMOVE {t}a {t}b left right", "LPOP {t}b"]
    );
}

#[test]
fn a_wait_ends_with_its_time() {
    let mut lone = serving();
    assert_eq!(lone.ask_as(BOB, "BLPOP l 0.1"), "");
    assert!(lone.ask("INFO clients").contains("blocked_clients:1"));
    lone.pass_ms(100);
    lone.cron();
    assert!(lone.said_to(BOB).is_empty());
    lone.pass_ms(1);
    lone.cron();
    assert_eq!(lone.said_to(BOB), ["(nil array)"]);
    assert_eq!(lone.ask("RPUSH l x"), "1");
    assert!(lone.said_to(BOB).is_empty());
    assert_eq!(lone.ask_as(BOB, "LPOP l"), r#""x""#);
}

#[test]
fn what_a_waiting_client_sends_runs_when_it_was_served() {
    let mut lone = serving();
    lone.ask_as(BOB, "BLPOP l 0");
    lone.send(BOB, "ECHO later");
    lone.ask("RPUSH l x");
    assert_eq!(lone.said_to(BOB), [r#"["l", "x"]"#, r#""later""#]);
}

#[test]
fn a_client_that_left_waits_no_longer() {
    let mut lone = serving();
    lone.ask_as(BOB, "BLPOP l 0");
    lone.give(Input::ClientClosed { client: BOB });
    lone.check(&[("RPUSH l x", "1"), ("LLEN l", "1")]);
}

#[test]
fn a_list_that_came_by_another_name_is_served_too() {
    let mut lone = serving();
    lone.ask("RPUSH {t}a x y");
    lone.ask_as(BOB, "BLPOP {t}b 0");
    lone.ask("RENAME {t}a {t}b");
    assert_eq!(lone.said_to(BOB), [r#"["{t}b", "x"]"#]);
    lone.ask_as(BOB, "BLPOP {t}c 0");
    lone.ask("COPY {t}b {t}c");
    assert_eq!(lone.said_to(BOB), [r#"["{t}c", "y"]"#]);
    lone.ask_as(BOB, "BLPOP {t}d 0");
    lone.ask("SET {t}d text");
    lone.ask("SORT {t}b ALPHA STORE {t}d");
    assert_eq!(lone.said_to(BOB), [r#"["{t}d", "y"]"#]);
}

#[test]
fn a_key_of_another_type_serves_nobody() {
    let mut lone = serving();
    lone.ask_as(BOB, "BLPOP k 0");
    lone.ask("ZADD k 1 m");
    assert!(lone.said_to(BOB).is_empty());
    lone.ask("DEL k");
    lone.ask("RPUSH k x");
    assert_eq!(lone.said_to(BOB), [r#"["k", "x"]"#]);
}

#[test]
fn who_waits_is_sent_after_a_slot_that_moved() {
    let mut lone = serving();
    let slot = crate::slot::key_slot(b"l");
    lone.ask_as(BOB, "BLPOP l 0");
    let other = lone.know(2, NodeFlags::MASTER);
    lone.node.cluster.set_owner(slot, Some(other));
    lone.pass_ms(100);
    lone.cron();
    assert_eq!(lone.said_to(BOB), [format!("-MOVED {slot} 10.0.0.2:7002")]);
}

#[test]
fn who_waits_on_a_master_that_becomes_a_replica_is_cut_off() {
    let mut lone = serving();
    lone.ask_as(BOB, "BLPOP l 0");
    lone.actions.clear();
    lone.become_replica();
    lone.end_turn();
    assert!(lone.said_to(BOB)[0].starts_with("-UNBLOCKED force unblock"));
    assert!(lone.closed(BOB));
}

#[test]
fn replicas_get_what_was_taken() {
    let mut lone = serving();
    lone.attach_replica();
    lone.ask("FLUSHALL");
    assert_eq!(
        lone.feeds("RPUSH {t}l a b c d e f"),
        ["RPUSH {t}l a b c d e f"]
    );
    assert_eq!(lone.feeds("LPOP {t}l"), ["LPOP {t}l"]);
    assert_eq!(lone.feeds("BLPOP {t}l 0"), ["LPOP {t}l"]);
    assert_eq!(lone.feeds("LMPOP 1 {t}l RIGHT COUNT 2"), ["RPOP {t}l 2"]);
    assert_eq!(lone.feeds("BLMPOP 0 1 {t}l RIGHT"), ["RPOP {t}l 1"]);
    assert_eq!(
        lone.feeds("BRPOPLPUSH {t}l {t}m 0"),
        ["RPOPLPUSH {t}l {t}m"]
    );
    assert_eq!(lone.feeds("LREM {t}m 0 nothing"), Vec::<String>::new());
}
