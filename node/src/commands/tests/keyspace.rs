use super::*;

#[test]
fn strings_are_written_and_read() {
    serving().check(&[
        ("GET k", "(nil)"),
        ("SET k v", "OK"),
        ("get k", r#""v""#),
        ("STRLEN k", "1"),
        ("STRLEN missing", "0"),
        ("APPEND k alue", "5"),
        ("APPEND new v", "1"),
        ("GET k", r#""value""#),
        ("GETRANGE k 1 2", r#""al""#),
        ("GETRANGE k -3 -1", r#""lue""#),
        ("GETRANGE k -1 -3", r#""""#),
        ("GETRANGE k 0 -9", r#""v""#),
        ("SUBSTR k 1 99", r#""alue""#),
        ("GETRANGE missing 0 -1", r#""""#),
        ("SETRANGE k 1 AL", "5"),
        ("SETRANGE k 7 !", "8"),
        ("GET k", r#""vALue\0\0!""#),
        ("SETRANGE missing 5 ''", "0"),
        ("EXISTS missing", "0"),
        ("GETSET k w", r#""vALue\0\0!""#),
        ("GETSET other x", "(nil)"),
        ("GETDEL k", r#""w""#),
        ("GETDEL k", "(nil)"),
        ("SETNX k 1", "1"),
        ("SETNX k 2", "0"),
        ("MSET {t}a 1 {t}b 2", "OK"),
        ("MGET {t}a {t}b {t}c", r#"["1", "2", (nil)]"#),
        ("MSETNX {t}c 3 {t}a 4", "0"),
        ("MSETNX {t}c 3 {t}d 4", "1"),
        ("MGET {t}a {t}c {t}d", r#"["1", "3", "4"]"#),
    ]);
}

#[test]
fn set_takes_conditions() {
    serving().check(&[
        ("SET k 1 XX", "(nil)"),
        ("EXISTS k", "0"),
        ("SET k 1 NX", "OK"),
        ("SET k 2 NX", "(nil)"),
        ("SET k 2 XX", "OK"),
        ("SET k 3 GET", r#""2""#),
        ("SET k 4 nx get", r#""3""#),
        ("GET k", r#""3""#),
        ("SET new 1 GET", "(nil)"),
        ("SET new 2 XX GET", r#""1""#),
        ("SET k v NX XX", "-ERR syntax error"),
        ("SET k v XX NX", "-ERR syntax error"),
        ("SET k v EX", "-ERR syntax error"),
        ("SET k v EX 1 PX 1", "-ERR syntax error"),
        ("SET k v KEEPTTL EX 1", "-ERR syntax error"),
        ("SET k v EX 1 KEEPTTL", "-ERR syntax error"),
        ("SET k v PERSIST", "-ERR syntax error"),
        ("SET k v soon", "-ERR syntax error"),
        ("GET k", r#""3""#),
    ]);
}

#[test]
fn numbers_count_up_and_down_and_never_overflow() {
    serving().check(&[
        ("INCR n", "1"),
        ("INCRBY n 41", "42"),
        ("DECR n", "41"),
        ("DECRBY n 50", "-9"),
        ("DECRBY n -9", "0"),
        ("GET n", r#""0""#),
        ("SET n 9223372036854775807", "OK"),
        ("INCR n", "-ERR increment or decrement would overflow"),
        (
            "DECRBY n -9223372036854775808",
            "-ERR decrement would overflow",
        ),
        ("SET n -9223372036854775808", "OK"),
        ("DECR n", "-ERR increment or decrement would overflow"),
        ("SET n ' 1'", "OK"),
        ("INCR n", "-ERR value is not an integer or out of range"),
        ("SET n 01", "OK"),
        ("INCR n", "-ERR value is not an integer or out of range"),
        (
            "INCRBY n 1.5",
            "-ERR value is not an integer or out of range",
        ),
        (
            "INCRBY n +1",
            "-ERR value is not an integer or out of range",
        ),
    ]);
}

#[test]
fn keys_are_removed_renamed_and_listed() {
    serving().check(&[
        ("MSET {t}a 1 {t}b 2 {t}c 3", "OK"),
        ("EXISTS {t}a {t}a {t}x", "2"),
        ("TOUCH {t}a {t}x", "1"),
        ("TYPE {t}a", "string"),
        ("TYPE {t}x", "none"),
        ("DEL {t}a {t}x", "1"),
        ("UNLINK {t}b", "1"),
        ("DBSIZE", "1"),
        ("RENAME {t}c {t}d", "OK"),
        ("RENAME {t}c {t}d", "-ERR no such key"),
        ("RENAME {t}d {t}d", "OK"),
        ("RENAMENX {t}d {t}d", "0"),
        ("SET {t}e 5", "OK"),
        ("RENAMENX {t}d {t}e", "0"),
        ("RENAMENX {t}d {t}f", "1"),
        ("RENAMENX {t}d {t}f", "-ERR no such key"),
        ("KEYS *f", r#"["{t}f"]"#),
        ("KEYS {t}?", r#"["{t}e", "{t}f"]"#),
        ("RANDOMKEY", r#""{t}e""#),
        ("FLUSHALL sometime", "-ERR syntax error"),
        ("FLUSHALL SYNC ASYNC", "-ERR syntax error"),
        ("FLUSHALL ASYNC", "OK"),
        ("DBSIZE", "0"),
        ("FLUSHDB", "OK"),
        ("RANDOMKEY", "(nil)"),
        ("KEYS *", "[]"),
    ]);
}

#[test]
fn rename_keeps_the_time_to_live() {
    let mut lone = serving();
    lone.check(&[
        ("SET {t}a 1 EX 100", "OK"),
        ("SET {t}b 2 EX 50", "OK"),
        ("RENAME {t}a {t}b", "OK"),
        ("TTL {t}b", "100"),
    ]);
}

#[test]
fn times_to_live_are_set_told_and_taken_away() {
    let mut lone = serving();
    lone.check(&[
        ("SET k v EX 10", "OK"),
        ("TTL k", "10"),
        ("PTTL k", "10000"),
        ("EXPIRETIME k", "1700000010"),
        ("PEXPIRETIME k", "1700000010000"),
        ("SET k w KEEPTTL", "OK"),
        ("TTL k", "10"),
        ("APPEND k x", "2"),
        ("TTL k", "10"),
        ("SET k w", "OK"),
        ("TTL k", "-1"),
        ("EXPIRETIME k", "-1"),
        ("TTL missing", "-2"),
        ("SET k w PXAT 1700000001500", "OK"),
        ("TTL k", "2"),
        ("SET k w PX 1499", "OK"),
        ("TTL k", "1"),
        ("PERSIST k", "1"),
        ("PERSIST k", "0"),
        ("PERSIST missing", "0"),
        ("SETEX k 7 v", "OK"),
        ("TTL k", "7"),
        ("PSETEX k 7000 v", "OK"),
        ("PTTL k", "7000"),
        ("GETEX k PERSIST", r#""v""#),
        ("TTL k", "-1"),
        ("GETEX k EX 3", r#""v""#),
        ("TTL k", "3"),
        ("GETEX k", r#""v""#),
        ("TTL k", "3"),
        ("GETEX k EXAT 1", r#""v""#),
        ("GETEX k", "(nil)"),
    ]);
}

#[test]
fn expire_takes_conditions() {
    serving().check(&[
        ("EXPIRE k 10", "0"),
        ("SET k v", "OK"),
        ("EXPIRE k 10 XX", "0"),
        ("EXPIRE k 10 GT", "0"),
        ("EXPIRE k 10 LT", "1"),
        ("EXPIRE k 20 NX", "0"),
        ("EXPIRE k 5 GT", "0"),
        ("EXPIRE k 20 GT", "1"),
        ("EXPIRE k 30 LT", "0"),
        ("EXPIRE k 15 XX LT", "1"),
        ("TTL k", "15"),
        ("PEXPIRE k 1000", "1"),
        ("PTTL k", "1000"),
        ("EXPIREAT k 1700000100", "1"),
        ("TTL k", "100"),
        ("PEXPIREAT k 1700000000100", "1"),
        ("PTTL k", "100"),
        (
            "EXPIRE k 10 NX XX",
            "-ERR NX and XX, GT or LT options at the same time are not compatible",
        ),
        (
            "EXPIRE k 10 GT LT",
            "-ERR GT and LT options at the same time are not compatible",
        ),
        ("EXPIRE k 10 maybe", "-ERR Unsupported option maybe"),
        ("EXPIRE k -1", "1"),
        ("EXISTS k", "0"),
    ]);
}

#[test]
fn an_expired_key_is_gone_when_it_is_asked_for() {
    let mut lone = serving();
    lone.ask("SET k v PX 100");
    lone.pass_ms(100);
    assert_eq!(lone.ask("GET k"), r#""v""#);
    lone.pass_ms(1);
    assert_eq!(lone.ask("DBSIZE"), "1");
    assert_eq!(lone.ask("KEYS *"), "[]");
    assert_eq!(lone.ask("GET k"), "(nil)");
    assert_eq!(lone.ask("DBSIZE"), "0");
}

#[test]
fn an_expired_key_is_gone_by_the_next_cron_if_nobody_asks() {
    let mut lone = serving();
    lone.ask("SET k v PX 100");
    lone.ask("SET l v PX 500");
    lone.pass_ms(101);
    lone.cron();
    assert_eq!(lone.ask("DBSIZE"), "1");
    lone.ask("DEBUG SET-ACTIVE-EXPIRE 0");
    lone.pass_ms(1000);
    lone.cron();
    assert_eq!(lone.ask("DBSIZE"), "1");
}

#[test]
fn a_scan_lists_every_key_in_steps() {
    let mut lone = serving();
    for number in 0..25 {
        lone.ask(&format!("SET key:{number} v"));
    }
    lone.check(&[
        (
            "SCAN 0 COUNT 3",
            r#"["22", ["key:24", "key:23", "key:22"]]"#,
        ),
        (
            "SCAN 22 COUNT 100 MATCH key:1[02]",
            r#"["0", ["key:12", "key:10"]]"#,
        ),
        (
            "SCAN 3 TYPE STRING",
            r#"["0", ["key:2", "key:1", "key:0"]]"#,
        ),
        ("SCAN 3 TYPE list", r#"["0", []]"#),
        ("SCAN 0 COUNT 0", "-ERR syntax error"),
        (
            "SCAN 0 COUNT x",
            "-ERR value is not an integer or out of range",
        ),
        ("SCAN 0 COUNT", "-ERR syntax error"),
        ("SCAN 0 BOGUS 1", "-ERR syntax error"),
        ("SCAN x", "-ERR invalid cursor"),
        ("SCAN 18446744073709551616", "-ERR invalid cursor"),
    ]);
}
