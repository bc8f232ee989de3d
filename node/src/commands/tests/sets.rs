use super::*;

#[test]
fn members_are_added_asked_for_and_removed() {
    serving().check(&[
        ("SADD s 3 1 2 1", "3"),
        ("SMEMBERS s", r#"~["1", "2", "3"]"#),
        ("SADD s 1", "0"),
        ("SCARD s", "3"),
        ("SCARD missing", "0"),
        ("SISMEMBER s 1", "1"),
        ("SISMEMBER s 01", "0"),
        ("SMISMEMBER s 1 x 3", "[1, 0, 1]"),
        ("SMISMEMBER missing a", "[0]"),
        ("OBJECT ENCODING s", r#""intset""#),
        ("SADD s x", "1"),
        ("OBJECT ENCODING s", r#""hashtable""#),
        ("SREM s x y", "1"),
        ("OBJECT ENCODING s", r#""hashtable""#),
        ("SREM s 1 2 3", "3"),
        ("EXISTS s", "0"),
        ("SREM s 1", "0"),
        ("SMEMBERS s", "~[]"),
    ]);
}

#[test]
fn a_member_moves_to_another_set() {
    serving().check(&[
        ("SADD {t}a 1 2", "2"),
        ("SMOVE {t}a {t}b 1", "1"),
        ("SMOVE {t}a {t}b 1", "0"),
        ("SMOVE {t}a {t}a 2", "1"),
        ("SMOVE {t}x {t}b 1", "0"),
        ("SMOVE {t}a {t}b 2", "1"),
        ("EXISTS {t}a", "0"),
        ("SMEMBERS {t}b", r#"~["1", "2"]"#),
        ("SET {t}s x", "OK"),
        ("SMOVE {t}x {t}s 1", "0"),
        (
            "SMOVE {t}b {t}s 1",
            "-WRONGTYPE Operation against a key holding the wrong kind of value",
        ),
    ]);
}

#[test]
fn sets_are_intersected_united_and_subtracted() {
    serving().check(&[
        ("SADD {t}a 1 2 3 4", "4"),
        ("SADD {t}b 2 3 9", "3"),
        ("SADD {t}c 3 4", "2"),
        ("SINTER {t}a {t}b {t}c", r#"~["3"]"#),
        ("SINTER {t}a {t}x", "~[]"),
        ("SINTERCARD 2 {t}a {t}b", "2"),
        ("SINTERCARD 2 {t}a {t}b LIMIT 1", "1"),
        ("SINTERCARD 2 {t}a {t}b LIMIT 0", "2"),
        ("SINTERCARD 0 {t}a", "-ERR numkeys should be greater than 0"),
        (
            "SINTERCARD 3 {t}a {t}b",
            "-ERR Number of keys can't be greater than number of args",
        ),
        ("SINTERCARD 1 {t}a LIMIT -1", "-ERR LIMIT can't be negative"),
        ("SINTERCARD 1 {t}a LIMIT", "-ERR syntax error"),
        ("SUNION {t}a {t}b {t}x", r#"~["1", "2", "3", "4", "9"]"#),
        ("SDIFF {t}a {t}b {t}x", r#"~["1", "4"]"#),
        ("SDIFF {t}x {t}a", "~[]"),
        ("SDIFF {t}a {t}a", "~[]"),
        ("SINTERSTORE {t}d {t}a {t}b", "2"),
        ("SMEMBERS {t}d", r#"~["2", "3"]"#),
        ("SUNIONSTORE {t}d {t}d {t}c", "3"),
        ("SDIFFSTORE {t}d {t}d {t}a", "0"),
        ("EXISTS {t}d", "0"),
        ("SET {t}s x", "OK"),
        ("SUNIONSTORE {t}s {t}a", "4"),
        ("TYPE {t}s", "set"),
        ("SET {t}s x", "OK"),
        (
            "SUNION {t}a {t}s",
            "-WRONGTYPE Operation against a key holding the wrong kind of value",
        ),
    ]);
}

#[test]
fn members_are_drawn_and_taken() {
    let mut lone = serving();
    lone.check(&[
        ("SRANDMEMBER s", "(nil)"),
        ("SRANDMEMBER s 2", "[]"),
        ("SPOP s", "(nil)"),
        ("SPOP s 2", "~[]"),
        ("SADD s 1 2 3", "3"),
        ("SRANDMEMBER s 9", r#"["1", "2", "3"]"#),
        ("SRANDMEMBER s 1 2", "-ERR syntax error"),
        (
            "SRANDMEMBER s -9223372036854775807",
            "-ERR value is out of range",
        ),
        ("SPOP s -1", "-ERR value is out of range, must be positive"),
        ("SPOP s 1 2", "-ERR syntax error"),
        ("SPOP s 0", "~[]"),
        ("SPOP s 9", r#"~["1", "2", "3"]"#),
        ("EXISTS s", "0"),
    ]);
    lone.ask("SADD s a b c");
    assert_eq!(lone.ask("SRANDMEMBER s -7").matches('"').count(), 14);
    assert_eq!(lone.ask("SRANDMEMBER s 2").matches('"').count(), 4);
    assert_eq!(lone.ask("SPOP s 2").matches('"').count(), 4);
    assert_eq!(lone.ask("SCARD s"), "1");
}

#[test]
fn replicas_get_which_members_were_taken() {
    let mut lone = serving();
    lone.attach_replica();
    lone.ask("FLUSHALL");
    assert_eq!(lone.feeds("SADD {t}s 1 2 3 4 5"), ["SADD {t}s 1 2 3 4 5"]);
    assert_eq!(lone.feeds("SADD {t}s 1"), Vec::<String>::new());
    let taken = lone.feeds("SPOP {t}s");
    assert!(taken[0].starts_with("SREM {t}s "), "{taken:?}");
    let taken = lone.feeds("SPOP {t}s 2");
    assert_eq!(taken[0].split(' ').count(), 4, "{taken:?}");
    assert_eq!(lone.feeds("SPOP {t}s 2"), ["DEL {t}s"]);
    assert_eq!(lone.feeds("SUNIONSTORE {t}d {t}s"), Vec::<String>::new());
}

#[test]
fn a_set_past_its_limit_of_numbers_becomes_a_table() {
    serving().check(&[
        ("CONFIG SET set-max-intset-entries 2", "OK"),
        ("SADD s 1 2", "2"),
        ("OBJECT ENCODING s", r#""intset""#),
        ("SSCAN s 0 COUNT 1", r#"["0", ["1", "2"]]"#),
        ("SADD s 3", "1"),
        ("OBJECT ENCODING s", r#""hashtable""#),
        ("SSCAN s 0 COUNT 2", r#"["1", ["3", "2"]]"#),
        ("SSCAN s 1 COUNT 2", r#"["0", ["1"]]"#),
        ("SSCAN s 0 MATCH 2", r#"["0", ["2"]]"#),
    ]);
}
