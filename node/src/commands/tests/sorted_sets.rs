use super::*;

const WRONG_TYPE: &str = "-WRONGTYPE Operation against a key holding the wrong kind of value";

#[test]
fn members_get_scores_as_the_options_allow() {
    serving().check(&[
        ("ZADD z XX 1 a", "0"),
        ("EXISTS z", "0"),
        ("ZADD z 1 a 2 b 3 c", "3"),
        ("ZADD z 1 a 5 d", "1"),
        ("ZADD z CH 2 a 5 d", "1"),
        ("ZADD z NX 9 a 9 e", "1"),
        ("ZADD z XX CH 1 a 9 x", "1"),
        ("ZADD z GT CH 0 a 2 a", "1"),
        ("ZADD z LT CH 3 a 1 a", "1"),
        ("ZADD z INCR 5 a", "6"),
        ("ZADD z NX INCR 5 a", "(nil)"),
        ("ZADD z GT INCR -1 a", "(nil)"),
        ("ZINCRBY z -5.5 a", "0.5"),
        ("ZINCRBY z 1 new", "1"),
        ("ZSCORE z a", "0.5"),
        ("ZSCORE z x", "(nil)"),
        ("ZSCORE missing a", "(nil)"),
        ("ZMSCORE z a x b", "[0.5, (nil), 2]"),
        ("ZMSCORE missing a", "[(nil)]"),
        (
            "ZADD z NX XX 1 a",
            "-ERR XX and NX options at the same time are not compatible",
        ),
        (
            "ZADD z GT LT 1 a",
            "-ERR GT, LT, and/or NX options at the same time are not compatible",
        ),
        (
            "ZADD z INCR 1 a 2 b",
            "-ERR INCR option supports a single increment-element pair",
        ),
        ("ZADD z 1 a 2", "-ERR syntax error"),
        ("ZADD z NX CH", "-ERR syntax error"),
        ("ZADD z x a", "-ERR value is not a valid float"),
        ("ZADD z nan a", "-ERR value is not a valid float"),
        ("ZADD z inf i", "1"),
        (
            "ZINCRBY z -inf i",
            "-ERR resulting score is not a number (NaN)",
        ),
        ("ZSCORE z i", "inf"),
        ("ZCARD z", "7"),
        ("ZREM z i x new", "2"),
        ("ZREM missing a", "0"),
    ]);
}

#[test]
fn ranks_are_counted_from_both_ends() {
    serving().check(&[
        ("ZADD z 1 a 1 b 3 c", "3"),
        ("ZRANK z a", "0"),
        ("ZRANK z c", "2"),
        ("ZREVRANK z c", "0"),
        ("ZREVRANK z a", "2"),
        ("ZRANK z x", "(nil)"),
        ("ZREVRANK missing x", "(nil)"),
        ("ZRANGE z 0 -1", r#"["a", "b", "c"]"#),
        ("ZRANGE z 1 1 WITHSCORES", r#"["b", 1]"#),
        ("ZRANGE z 0 1 REV", r#"["c", "b"]"#),
        ("ZREVRANGE z 0 0 WITHSCORES", r#"["c", 3]"#),
        ("ZREVRANGE z -1 -1", r#"["a"]"#),
        ("ZRANGE z 5 9", "[]"),
        ("ZRANGE missing 0 -1", "[]"),
        (
            "ZRANGE z 0 -1 LIMIT 0 1",
            "-ERR syntax error, LIMIT is only supported in combination with either BYSCORE or \
             BYLEX",
        ),
        (
            "ZRANGE z x 1",
            "-ERR value is not an integer or out of range",
        ),
    ]);
}

#[test]
fn ranges_of_scores_are_open_or_closed() {
    serving().check(&[
        ("ZADD z 1 a 2 b 3 c 4 d", "4"),
        ("ZRANGEBYSCORE z 2 3", r#"["b", "c"]"#),
        ("ZRANGEBYSCORE z (2 3", r#"["c"]"#),
        ("ZRANGEBYSCORE z 2 (3", r#"["b"]"#),
        ("ZRANGEBYSCORE z -inf +inf LIMIT 1 2", r#"["b", "c"]"#),
        ("ZRANGEBYSCORE z -inf +inf LIMIT 1 -1", r#"["b", "c", "d"]"#),
        ("ZRANGEBYSCORE z -inf +inf LIMIT -1 1", "[]"),
        ("ZRANGEBYSCORE z 4 1", "[]"),
        ("ZRANGEBYSCORE z 1 1 WITHSCORES", r#"["a", 1]"#),
        ("ZREVRANGEBYSCORE z 3 (1", r#"["c", "b"]"#),
        ("ZREVRANGEBYSCORE z 3 1 LIMIT 1 1", r#"["b"]"#),
        ("ZRANGE z 3 1 BYSCORE REV", r#"["c", "b", "a"]"#),
        ("ZRANGE z (1 3 BYSCORE LIMIT 0 1", r#"["b"]"#),
        ("ZRANGEBYSCORE z x 1", "-ERR min or max is not a float"),
        ("ZRANGEBYSCORE z 1 2 REV", "-ERR syntax error"),
        ("ZRANGEBYSCORE z 1 2 LIMIT 1", "-ERR syntax error"),
        ("ZCOUNT z 2 (4", "2"),
        ("ZCOUNT z 9 1", "0"),
        ("ZCOUNT missing 1 2", "0"),
        ("ZREMRANGEBYSCORE z (1 2", "1"),
        ("ZREMRANGEBYRANK z -1 -1", "1"),
        ("ZRANGE z 0 -1", r#"["a", "c"]"#),
        ("ZREMRANGEBYRANK z 0 -1", "2"),
        ("EXISTS z", "0"),
    ]);
}

#[test]
fn ranges_of_names_are_open_or_closed() {
    serving().check(&[
        ("ZADD z 0 a 0 b 0 c 0 d", "4"),
        ("ZRANGEBYLEX z - +", r#"["a", "b", "c", "d"]"#),
        ("ZRANGEBYLEX z [b (d", r#"["b", "c"]"#),
        ("ZRANGEBYLEX z (b +", r#"["c", "d"]"#),
        ("ZRANGEBYLEX z + -", "[]"),
        ("ZREVRANGEBYLEX z [c - LIMIT 0 2", r#"["c", "b"]"#),
        ("ZRANGE z [c (a BYLEX REV", r#"["c", "b"]"#),
        (
            "ZRANGEBYLEX z b c",
            "-ERR min or max not valid string range item",
        ),
        (
            "ZRANGE z - + BYLEX WITHSCORES",
            "-ERR syntax error, WITHSCORES not supported in combination with BYLEX",
        ),
        ("ZLEXCOUNT z - (c", "2"),
        ("ZREMRANGEBYLEX z [a [b", "2"),
        ("ZCARD z", "2"),
    ]);
}

#[test]
fn a_range_is_kept_under_another_key() {
    serving().check(&[
        ("ZADD {t}z 1 a 2 b 3 c", "3"),
        ("ZRANGESTORE {t}d {t}z 0 1", "2"),
        ("ZRANGE {t}d 0 -1 WITHSCORES", r#"["a", 1, "b", 2]"#),
        ("ZRANGESTORE {t}d {t}z 2 3 BYSCORE LIMIT 1 1", "1"),
        ("ZRANGE {t}d 0 -1", r#"["c"]"#),
        ("ZRANGESTORE {t}d {t}z 0 1 WITHSCORES", "-ERR syntax error"),
        ("ZRANGESTORE {t}d {t}missing 0 1", "0"),
        ("EXISTS {t}d", "0"),
    ]);
}

#[test]
fn the_lowest_and_the_highest_are_taken() {
    let mut lone = serving();
    lone.check(&[
        ("ZADD z 1 a 2 b 3 c 4 d 5 e", "5"),
        ("ZPOPMIN z", r#"["a", 1]"#),
        ("ZPOPMAX z 2", r#"["e", 5, "d", 4]"#),
        ("ZPOPMIN z 0", "[]"),
        (
            "ZPOPMIN z -1",
            "-ERR value is out of range, must be positive",
        ),
        ("ZPOPMIN z 1 2", "-ERR syntax error"),
        ("ZPOPMIN missing", "[]"),
        ("ZMPOP 1 z MAX", r#"["z", [["c", 3]]]"#),
        ("ZMPOP 1 z UP", "-ERR syntax error"),
        ("ZMPOP 1 missing MIN COUNT 2", "(nil array)"),
        ("BZPOPMIN z 0", r#"["z", "b", 2]"#),
        ("EXISTS z", "0"),
        ("ZADD z 1 a 2 b", "2"),
        ("BZMPOP 0 1 z MIN COUNT 9", r#"["z", [["a", 1], ["b", 2]]]"#),
    ]);
    lone.ask("ZADD z 1 a 2 b 3 c");
    lone.ask("HELLO 3");
    lone.check(&[
        ("ZPOPMIN z", r#"["a", 1]"#),
        ("ZPOPMIN z 1", r#"[["b", 2]]"#),
        ("ZRANGE z 0 -1 WITHSCORES", r#"[["c", 3]]"#),
        ("ZRANDMEMBER z 1 WITHSCORES", r#"[["c", 3]]"#),
    ]);
}

#[test]
fn who_waits_for_a_member_gets_it() {
    let mut lone = serving();
    lone.attach_replica();
    lone.ask("FLUSHALL");
    assert_eq!(lone.ask_as(BOB, "BZPOPMAX {t}x {t}z 0"), "");
    lone.ask("ZADD {t}z 1 a 2 b");
    assert_eq!(lone.said_to(BOB), [r#"["{t}z", "b", 2]"#]);
    assert_eq!(lone.stream(), ["ZADD {t}z 1 a 2 b", "ZPOPMAX {t}z"]);
    assert_eq!(lone.ask_as(BOB, "BZMPOP 0 2 {t}x {t}y MIN COUNT 2"), "");
    lone.ask("ZADD {t}y 1 a 2 b 3 c");
    assert_eq!(lone.said_to(BOB), [r#"["{t}y", [["a", 1], ["b", 2]]]"#]);
    assert_eq!(lone.stream(), ["ZADD {t}y 1 a 2 b 3 c", "ZPOPMIN {t}y 2"]);
}

#[test]
fn sorted_sets_are_united_intersected_and_subtracted() {
    serving().check(&[
        ("ZADD {t}a 1 x 2 y 3 z", "3"),
        ("ZADD {t}b 10 y 20 z", "2"),
        ("SADD {t}s z w", "2"),
        (
            "ZUNION 2 {t}a {t}b WITHSCORES",
            r#"["x", 1, "y", 12, "z", 23]"#,
        ),
        (
            "ZUNION 2 {t}a {t}s WITHSCORES",
            r#"["w", 1, "x", 1, "y", 2, "z", 4]"#,
        ),
        (
            "ZINTER 2 {t}a {t}b WEIGHTS 2 0.5 WITHSCORES",
            r#"["y", 9, "z", 16]"#,
        ),
        (
            "ZINTER 2 {t}a {t}b AGGREGATE MAX WITHSCORES",
            r#"["y", 10, "z", 20]"#,
        ),
        ("ZINTER 2 {t}a {t}missing", "[]"),
        ("ZDIFF 2 {t}a {t}b WITHSCORES", r#"["x", 1]"#),
        ("ZDIFF 1 {t}a AGGREGATE SUM", "-ERR syntax error"),
        ("ZUNIONSTORE {t}d 2 {t}a {t}b AGGREGATE MIN", "3"),
        ("ZRANGE {t}d 0 -1 WITHSCORES", r#"["x", 1, "y", 2, "z", 3]"#),
        ("ZINTERSTORE {t}d 2 {t}a {t}s", "1"),
        ("ZDIFFSTORE {t}d 2 {t}a {t}a", "0"),
        ("EXISTS {t}d", "0"),
        ("ZINTERCARD 2 {t}a {t}b", "2"),
        ("ZINTERCARD 2 {t}a {t}b LIMIT 1", "1"),
        (
            "ZINTERCARD 2 {t}a {t}b LIMIT -1",
            "-ERR LIMIT can't be negative",
        ),
        (
            "ZUNION 0 {t}a",
            "-ERR at least 1 input key is needed for 'zunion' command",
        ),
        ("ZUNION 3 {t}a {t}b", "-ERR syntax error"),
        (
            "ZUNION 1 {t}a WEIGHTS x",
            "-ERR weight value is not a float",
        ),
        ("ZUNIONSTORE {t}d 1 {t}a WITHSCORES", "-ERR syntax error"),
        ("SET {t}t x", "OK"),
        ("ZUNION 1 {t}t", WRONG_TYPE),
    ]);
}

#[test]
fn infinities_that_meet_come_to_nothing() {
    serving().check(&[
        ("ZADD {t}a inf m", "1"),
        ("ZADD {t}b -inf m", "1"),
        ("ZUNION 2 {t}a {t}b WITHSCORES", r#"["m", 0]"#),
        ("ZUNION 1 {t}a WEIGHTS 0 WITHSCORES", r#"["m", 0]"#),
    ]);
}

#[test]
fn a_sorted_set_past_its_limits_has_a_tree() {
    serving().check(&[
        ("CONFIG SET zset-max-listpack-entries 2", "OK"),
        ("ZADD z 1 a 2 b", "2"),
        ("OBJECT ENCODING z", r#""listpack""#),
        ("ZSCAN z 0 COUNT 1", r#"["0", ["a", "1", "b", "2"]]"#),
        ("ZADD z 1.5 c", "1"),
        ("OBJECT ENCODING z", r#""skiplist""#),
        ("ZSCAN z 0 COUNT 2", r#"["1", ["b", "2", "c", "1.5"]]"#),
        ("ZRANGE z 0 -1", r#"["a", "c", "b"]"#),
        ("ZREM z a c", "2"),
        ("OBJECT ENCODING z", r#""skiplist""#),
        ("ZSCORE z b", "2"),
    ]);
}

#[test]
fn keys_whose_number_is_told_are_routed() {
    let mut lone = serving();
    lone.check(&[
        (
            "ZUNION 2 a b",
            "-CROSSSLOT Keys in request don't hash to the same slot",
        ),
        (
            "ZUNIONSTORE a 1 b",
            "-CROSSSLOT Keys in request don't hash to the same slot",
        ),
        (
            "COMMAND GETKEYS ZUNIONSTORE d 2 a b WEIGHTS 1 2",
            r#"["d", "a", "b"]"#,
        ),
        ("COMMAND GETKEYS BLMPOP 0 2 a b LEFT", r#"["a", "b"]"#),
        ("COMMAND GETKEYS SORT a LIMIT 0 1 STORE b", r#"["a", "b"]"#),
        (
            "COMMAND GETKEYS SINTERCARD x a",
            "-ERR Invalid arguments specified for command",
        ),
    ]);
    let info = lone.ask("COMMAND INFO zunionstore");
    assert!(info.contains("movablekeys"), "{info}");
    assert!(info.contains(r#""keynum""#), "{info}");
}
