use super::*;

#[test]
fn fields_are_written_read_and_removed() {
    serving().check(&[
        ("HSET h a 1 b 2", "2"),
        ("HSET h a 3 c 4", "1"),
        ("HMSET h d 5", "OK"),
        (
            "HSET h a",
            "-ERR wrong number of arguments for 'hset' command",
        ),
        (
            "HSET h a 1 b",
            "-ERR wrong number of arguments for 'hset' command",
        ),
        (
            "HMSET h a 1 b",
            "-ERR wrong number of arguments for 'hmset' command",
        ),
        ("HGET h a", r#""3""#),
        ("HGET h x", "(nil)"),
        ("HGET missing x", "(nil)"),
        ("HMGET h a x d", r#"["3", (nil), "5"]"#),
        ("HMGET missing a b", "[(nil), (nil)]"),
        ("HLEN h", "4"),
        ("HLEN missing", "0"),
        ("HSTRLEN h a", "1"),
        ("HSTRLEN h x", "0"),
        ("HEXISTS h a", "1"),
        ("HEXISTS h x", "0"),
        ("HKEYS h", r#"["a", "b", "c", "d"]"#),
        ("HVALS h", r#"["3", "2", "4", "5"]"#),
        ("HGETALL h", r#"{"a": "3", "b": "2", "c": "4", "d": "5"}"#),
        ("HGETALL missing", "{}"),
        ("HKEYS missing", "[]"),
        ("HSETNX h a 9", "0"),
        ("HSETNX h e 9", "1"),
        ("HDEL h a x e", "2"),
        ("HDEL missing a", "0"),
        ("HDEL h b c d", "3"),
        ("EXISTS h", "0"),
    ]);
}

#[test]
fn numbers_in_hashes_count() {
    serving().check(&[
        ("HINCRBY h n 5", "5"),
        ("HINCRBY h n -7", "-2"),
        ("HSET h big 9223372036854775807 text x", "2"),
        (
            "HINCRBY h big 1",
            "-ERR increment or decrement would overflow",
        ),
        ("HINCRBY h text 1", "-ERR hash value is not an integer"),
        (
            "HINCRBY h n x",
            "-ERR value is not an integer or out of range",
        ),
        ("HINCRBYFLOAT h f 10.5", r#""10.5""#),
        ("HINCRBYFLOAT h f 0.1", r#""10.6""#),
        ("HINCRBYFLOAT h f -5", r#""5.6""#),
        ("HINCRBYFLOAT h f 5.0e3", r#""5005.60000000000000009""#),
        ("HINCRBYFLOAT h text 1", "-ERR hash value is not a float"),
        ("HINCRBYFLOAT h f x", "-ERR value is not a valid float"),
        ("HINCRBYFLOAT h f inf", "-ERR value is NaN or Infinity"),
    ]);
}

#[test]
fn some_fields_are_drawn() {
    let mut lone = serving();
    lone.check(&[
        ("HRANDFIELD missing", "(nil)"),
        ("HRANDFIELD missing 3", "[]"),
        ("HSET h a 1 b 2", "2"),
        ("HRANDFIELD h 5", r#"["a", "b"]"#),
        ("HRANDFIELD h 5 WITHVALUES", r#"["a", "1", "b", "2"]"#),
        ("HRANDFIELD h 0", "[]"),
        ("HRANDFIELD h 5 WITH", "-ERR syntax error"),
        (
            "HRANDFIELD h -9223372036854775808",
            "-ERR value is out of range, value must between -9223372036854775807 and \
             9223372036854775807",
        ),
        (
            "HRANDFIELD h -9223372036854775807 WITHVALUES",
            "-ERR value is out of range",
        ),
    ]);
    assert!([r#"["a"]"#, r#"["b"]"#].contains(&&*lone.ask("HRANDFIELD h 1")));
    assert_eq!(lone.ask("HRANDFIELD h -5").matches('"').count(), 10);
    lone.ask("HELLO 3");
    assert_eq!(
        lone.ask("HRANDFIELD h 5 WITHVALUES"),
        r#"[["a", "1"], ["b", "2"]]"#
    );
}

#[test]
fn a_small_hash_is_scanned_at_once_and_a_large_one_in_steps() {
    let mut lone = serving();
    lone.check(&[
        ("HSCAN missing 0", r#"["0", []]"#),
        ("HSCAN missing x", "-ERR invalid cursor"),
        ("HSET h a 1 b 2", "2"),
        ("HSCAN h 0 COUNT 1", r#"["0", ["a", "1", "b", "2"]]"#),
        ("HSCAN h 0 MATCH b*", r#"["0", ["b", "2"]]"#),
        ("HSCAN h 0 TYPE hash", "-ERR syntax error"),
        ("CONFIG SET hash-max-listpack-entries 2", "OK"),
        ("HSET h c 3", "1"),
        ("OBJECT ENCODING h", r#""hashtable""#),
        ("HSCAN h 0 COUNT 2", r#"["1", ["c", "3", "b", "2"]]"#),
        ("HSCAN h 1 COUNT 2", r#"["0", ["a", "1"]]"#),
    ]);
}

#[test]
fn replicas_get_what_a_float_came_to() {
    let mut lone = serving();
    lone.attach_replica();
    lone.ask("FLUSHALL");
    assert_eq!(lone.feeds("HSET h a 1"), ["HSET h a 1"]);
    assert_eq!(lone.feeds("HINCRBYFLOAT h a 0.5"), ["HSET h a 1.5"]);
    assert_eq!(lone.feeds("HDEL h x"), Vec::<String>::new());
    assert_eq!(lone.feeds("HSETNX h a 1"), Vec::<String>::new());
    assert_eq!(lone.feeds("HDEL h a"), ["HDEL h a"]);
}
