//! What is asked of values of any type, and what becomes of them where memory is full.

use super::*;

#[test]
fn a_command_for_another_type_is_refused() {
    let mut lone = serving();
    lone.check(&[
        ("SET s x", "OK"),
        ("RPUSH l a", "1"),
        ("SADD e a", "1"),
        ("ZADD z 1 a", "1"),
        ("HSET h a 1", "1"),
        ("TYPE l", "list"),
        ("TYPE e", "set"),
        ("TYPE z", "zset"),
        ("TYPE h", "hash"),
    ]);
    for line in [
        "GET l",
        "INCR e",
        "APPEND h x",
        "STRLEN z",
        "SETRANGE l 0 x",
        "GETSET l x",
        "GETDEL l",
        "GETEX l",
        "SETBIT l 0 1",
        "BITCOUNT l",
        "INCRBYFLOAT l 1",
        "SET l x GET",
        "LPUSH s x",
        "LLEN e",
        "LPOP z",
        "LRANGE h 0 1",
        "SADD l x",
        "SCARD h",
        "SPOP z",
        "ZADD h 1 x",
        "ZCARD s",
        "ZRANGE l 0 1",
        "ZPOPMIN e",
        "HSET z a 1",
        "HGET s a",
        "HGETALL l",
        "HSCAN l 0",
        "SSCAN z 0",
        "ZSCAN h 0",
        "SORT s",
        "SORT h",
    ] {
        assert!(lone.ask(line).starts_with("-WRONGTYPE "), "{line}");
    }
    lone.check(&[
        ("MGET s", r#"["x"]"#),
        ("SET l x", "OK"),
        ("TYPE l", "string"),
    ]);
}

#[test]
fn values_tell_how_they_are_kept() {
    let mut lone = serving();
    lone.check(&[
        ("SET n 12", "OK"),
        ("SET s text", "OK"),
        ("RPUSH l a", "1"),
        ("SADD e 1", "1"),
        ("ZADD z 1 a", "1"),
        ("HSET h a 1", "1"),
        ("OBJECT ENCODING n", r#""int""#),
        ("OBJECT ENCODING s", r#""embstr""#),
        ("OBJECT ENCODING l", r#""quicklist""#),
        ("OBJECT ENCODING e", r#""intset""#),
        ("OBJECT ENCODING z", r#""listpack""#),
        ("OBJECT ENCODING h", r#""listpack""#),
        ("OBJECT ENCODING missing", "(nil)"),
        ("OBJECT REFCOUNT n", "2147483647"),
        ("OBJECT REFCOUNT s", "1"),
        ("OBJECT IDLETIME s", "0"),
        (
            "OBJECT FREQ s",
            "-ERR An LFU maxmemory policy is not selected, access frequency not tracked. Please \
             note that when switching between policies at runtime LRU and LFU data will take some \
             time to adjust.",
        ),
        (
            "OBJECT ENCODING",
            "-ERR wrong number of arguments for 'object|encoding' command",
        ),
        ("MEMORY USAGE missing", "(nil)"),
        ("MEMORY USAGE s SAMPLES 0", "104"),
        ("MEMORY USAGE s SAMPLES -1", "-ERR syntax error"),
        ("MEMORY PURGE", "OK"),
    ]);
    lone.pass_ms(60_000);
    lone.cron();
    lone.check(&[
        ("TTL s", "-1"),
        ("TYPE s", "string"),
        ("OBJECT IDLETIME s", "60"),
        ("TOUCH s", "1"),
        ("OBJECT IDLETIME s", "0"),
        ("HGET h a", r#""1""#),
        ("OBJECT IDLETIME h", "0"),
        ("OBJECT IDLETIME z", "60"),
        ("ZADD z 2 b", "1"),
        ("OBJECT IDLETIME z", "0"),
    ]);
    lone.check(&[
        ("CONFIG SET maxmemory-policy allkeys-lfu", "OK"),
        ("SET f x", "OK"),
    ]);
    lone.check(&[("OBJECT FREQ f", "5")]);
    assert!(
        lone.ask("OBJECT IDLETIME f")
            .starts_with("-ERR An LFU maxmemory policy is selected")
    );
}

#[test]
fn a_copy_goes_its_own_way() {
    serving().check(&[
        ("HSET {t}a f 1", "1"),
        ("EXPIRE {t}a 100", "1"),
        ("COPY {t}a {t}b", "1"),
        ("TTL {t}b", "100"),
        ("HSET {t}b f 2", "0"),
        ("HGET {t}a f", r#""1""#),
        ("COPY {t}a {t}b", "0"),
        ("COPY {t}a {t}b REPLACE", "1"),
        ("HGET {t}b f", r#""1""#),
        (
            "COPY {t}a {t}a",
            "-ERR source and destination objects are the same",
        ),
        ("COPY {t}missing {t}b", "0"),
        ("COPY {t}a {t}b DB 1", "-ERR DB index is out of range"),
        ("COPY {t}a {t}c DB 0", "1"),
        ("COPY {t}a {t}b SOMEHOW", "-ERR syntax error"),
    ]);
}

#[test]
fn elements_are_sorted() {
    serving().check(&[
        ("RPUSH {t}l 3 10 1 2", "4"),
        ("SORT {t}l", r#"["1", "2", "3", "10"]"#),
        ("SORT {t}l DESC LIMIT 1 2", r#"["3", "2"]"#),
        ("SORT {t}l ALPHA", r#"["1", "10", "2", "3"]"#),
        ("SORT {t}l BY nosort", r#"["3", "10", "1", "2"]"#),
        ("SORT {t}l BY nosort DESC", r#"["2", "1", "10", "3"]"#),
        ("SORT {t}l LIMIT 9 9", "[]"),
        ("SORT_RO {t}l LIMIT 0 1", r#"["1"]"#),
        ("SORT_RO {t}l STORE {t}d", "-ERR syntax error"),
        (
            "SORT {t}l BY w_*",
            "-ERR BY option of SORT denied in Cluster mode.",
        ),
        (
            "SORT {t}l GET x",
            "-ERR GET option of SORT denied in Cluster mode.",
        ),
        ("SORT {t}l STORE {t}d", "4"),
        ("LRANGE {t}d 0 -1", r#"["1", "2", "3", "10"]"#),
        ("SORT {t}missing STORE {t}d", "0"),
        ("EXISTS {t}d", "0"),
        ("RPUSH {t}l x", "5"),
        (
            "SORT {t}l",
            "-ERR One or more scores can't be converted into double",
        ),
        (
            "SORT {t}l STORE other",
            "-CROSSSLOT Keys in request don't hash to the same slot",
        ),
        ("ZADD {t}z 1 2 2 1", "2"),
        ("SORT {t}z", r#"["1", "2"]"#),
        ("SORT {t}missing", "[]"),
    ]);
}

#[test]
fn strings_are_seen_as_bits_and_compared() {
    serving().check(&[
        ("SETBIT b 7 1", "0"),
        ("SETBIT b 7 1", "1"),
        ("GETBIT b 7", "1"),
        ("GETBIT b 99", "0"),
        ("SETBIT b 0 2", "-ERR bit is not an integer or out of range"),
        (
            "SETBIT b -1 1",
            "-ERR bit offset is not an integer or out of range",
        ),
        ("SET k foobar", "OK"),
        ("BITCOUNT k", "26"),
        ("BITCOUNT k 0 0", "4"),
        ("BITCOUNT k 1 1", "6"),
        ("BITCOUNT k 5 30 BIT", "17"),
        ("BITCOUNT k -1 -5", "0"),
        ("BITCOUNT k 1", "-ERR syntax error"),
        ("BITCOUNT missing", "0"),
        ("BITPOS b 1", "7"),
        ("BITPOS b 0", "0"),
        ("BITPOS missing 1", "-1"),
        ("BITPOS missing 0", "0"),
        ("BITPOS b 1 1", "-1"),
        ("BITPOS b 2", "-ERR The bit argument must be 1 or 0."),
        ("SETRANGE {t}f 0 abc", "3"),
        ("SET {t}g bcd", "OK"),
        ("BITOP AND {t}d {t}f {t}g", "3"),
        ("GET {t}d", r#""`b`""#),
        (
            "BITOP NOT {t}d {t}f {t}g",
            "-ERR BITOP NOT must be called with a single source key.",
        ),
        ("BITOP OR {t}d {t}missing", "0"),
        ("EXISTS {t}d", "0"),
        ("MSET {t}1 ohmytext {t}2 mynewtext", "OK"),
        ("LCS {t}1 {t}2", r#""mytext""#),
        ("LCS {t}1 {t}2 LEN", "6"),
        (
            "LCS {t}1 {t}2 IDX",
            r#"{"matches": [[[4, 7], [5, 8]], [[2, 3], [0, 1]]], "len": 6}"#,
        ),
        (
            "LCS {t}1 {t}2 IDX MINMATCHLEN 4 WITHMATCHLEN",
            r#"{"matches": [[[4, 7], [5, 8], 4]], "len": 6}"#,
        ),
        (
            "LCS {t}1 {t}2 IDX LEN",
            "-ERR If you want both the length and indexes, please just use IDX.",
        ),
        ("INCRBYFLOAT f 0.1", r#""0.1""#),
        ("INCRBYFLOAT f 0.2", r#""0.3""#),
        ("INCRBYFLOAT f x", "-ERR value is not a valid float"),
        (
            "INCRBYFLOAT f inf",
            "-ERR increment would produce NaN or Infinity",
        ),
    ]);
}

#[test]
fn a_full_master_evicts_and_tells_its_replicas() {
    for policy in [
        "allkeys-lru",
        "allkeys-lfu",
        "allkeys-random",
        "volatile-lru",
        "volatile-lfu",
        "volatile-random",
        "volatile-ttl",
    ] {
        let mut lone = serving();
        lone.attach_replica();
        lone.ask("FLUSHALL");
        lone.ask(&format!("CONFIG SET maxmemory-policy {policy}"));
        lone.ask("CONFIG SET maxmemory 20000");
        let mut deleted = 0;
        for number in 0..500 {
            let answer = lone.ask(&format!("SET key:{number} value EX {}", 1000 + number));
            assert_eq!(answer, "OK", "{policy}");
            deleted += lone
                .stream()
                .iter()
                .filter(|line| line.starts_with("DEL "))
                .count();
        }
        let used = lone.node.store.used_bytes();
        assert!((19_000..21_000).contains(&used), "{policy}: {used}");
        let stats = lone.ask("INFO stats");
        deleted += lone.stream().len();
        assert_eq!(500 - deleted, lone.node.store.len(), "{policy}");
        assert!(
            stats.contains(&format!("evicted_keys:{deleted}")),
            "{policy}"
        );
    }
}

#[test]
fn what_is_in_use_stays_and_what_expires_first_goes() {
    let mut lone = serving();
    lone.ask("CONFIG SET maxmemory-policy allkeys-lru");
    lone.ask("CONFIG SET maxmemory-samples 20");
    for number in 0..40 {
        lone.ask(&format!("SET key:{number} v"));
    }
    lone.pass_ms(100_000);
    lone.cron();
    for number in 0..10 {
        lone.ask(&format!("GET key:{number}"));
    }
    let half = lone.node.store.used_bytes() / 2;
    lone.ask(&format!("CONFIG SET maxmemory {half}"));
    lone.cron();
    assert_eq!(lone.ask("EXISTS key:0"), "1");
    assert_eq!(lone.node.store.len(), 20);

    let mut lone = serving();
    lone.ask("CONFIG SET maxmemory-policy volatile-ttl");
    lone.ask("CONFIG SET maxmemory-samples 64");
    for number in 0..40 {
        lone.ask(&format!("SET key:{number} v EX {}", 1000 - number));
    }
    lone.ask("SET forever v");
    let half = lone.node.store.used_bytes() / 2;
    lone.ask(&format!("CONFIG SET maxmemory {half}"));
    lone.cron();
    assert_eq!(lone.ask("EXISTS key:39"), "0");
    assert_eq!(lone.ask("EXISTS key:0"), "1");
    assert_eq!(lone.ask("EXISTS forever"), "1");
}

#[test]
fn nothing_is_evicted_that_the_policy_spares() {
    const FULL: &str = "-OOM command not allowed when used memory > 'maxmemory'.";
    let mut lone = serving();
    lone.check(&[
        ("CONFIG SET maxmemory-policy volatile-lru", "OK"),
        ("SET a v", "OK"),
        ("SET b v EX 100", "OK"),
        ("CONFIG SET maxmemory 1", "OK"),
        ("SET c v", FULL),
        ("RPUSH l v", FULL),
        ("EXISTS a", "1"),
        ("EXISTS b", "0"),
        ("DEL a", "1"),
        ("SET c v", "OK"),
    ]);
}

#[test]
fn a_replica_leaves_eviction_to_its_master() {
    let mut lone = serving();
    lone.ask("SET a v");
    lone.ask("CONFIG SET maxmemory-policy allkeys-lru");
    lone.become_replica();
    lone.node
        .store
        .set("a".into(), Word::from("v").into(), None);
    lone.ask("CONFIG SET maxmemory 1");
    lone.cron();
    assert_eq!(lone.node.store.len(), 1);
    lone.ask("CONFIG SET replica-ignore-maxmemory no");
    lone.ask("PING");
    assert_eq!(lone.node.store.len(), 0);
}

#[test]
fn collections_that_expired_are_gone() {
    let mut lone = serving();
    lone.check(&[("RPUSH l a b", "2"), ("PEXPIRE l 10", "1")]);
    lone.pass_ms(11);
    lone.check(&[
        ("LLEN l", "0"),
        ("LPUSHX l x", "0"),
        ("RPUSH l c", "1"),
        ("TTL l", "-1"),
    ]);
}
