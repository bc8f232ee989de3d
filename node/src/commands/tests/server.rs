use super::*;
use crate::config::ProtectedAction;

#[test]
fn the_connection_answers() {
    serving().check(&[
        ("PING", "PONG"),
        ("PING hello", r#""hello""#),
        (
            "PING a b",
            "-ERR wrong number of arguments for 'ping' command",
        ),
        ("ECHO hi", r#""hi""#),
        ("SELECT 0", "OK"),
        ("SELECT 1", "-ERR SELECT is not allowed in cluster mode"),
        ("SELECT x", "-ERR value is not an integer or out of range"),
        (
            "SELECT 99999999999",
            "-ERR value is out of range, value must between -2147483648 and 2147483647",
        ),
        ("TIME", r#"["1700000000", "0"]"#),
        (
            "REPLICAOF no one",
            "-ERR REPLICAOF not allowed in cluster mode.",
        ),
    ]);
}

#[test]
fn debug_sleep_stops_the_loop_before_anything_else_runs() {
    let mut lone = serving();
    lone.ask("PING");
    lone.actions.clear();
    lone.send(ALICE, "DEBUG SLEEP 1.5");
    assert_eq!(
        lone.actions,
        [Action::Sleep {
            duration_us: 1_500_000
        }]
    );
    lone.end_turn();
    assert_eq!(lone.said_to(ALICE), ["OK"]);
}

#[test]
fn debug_is_refused_unless_it_is_enabled() {
    // The clients of these tests come from another host.
    for enabled in [ProtectedAction::No, ProtectedAction::Local] {
        let mut lone = serving_with(Config {
            enable_debug_command: enabled,
            ..Config::default()
        });
        let said = lone.ask("DEBUG SLEEP 30");
        assert!(said.starts_with("-ERR DEBUG command not allowed. If the enable-debug-command"));
        let slept = |action: &Action| matches!(action, Action::Sleep { .. });
        assert!(!lone.actions.iter().any(slept));
    }
}

#[test]
fn role_tells_both_sides_of_replication() {
    let mut lone = serving();
    lone.check(&[("ROLE", r#"["master", 0, []]"#)]);
    lone.attach_replica();
    lone.ask("SET k v");
    let offset = crate::replication::offset(&lone.node);
    lone.ask_as(REPLICA, &format!("REPLCONF ACK {offset}"));
    let expected = format!(r#"["master", {offset}, [["10.9.9.9", "7009", "{offset}"]]]"#);
    lone.check(&[("ROLE", &expected)]);
    lone.become_replica();
    lone.check(&[("ROLE", r#"["slave", "10.0.0.2", 7002, "connecting", -1]"#)]);
}

#[test]
fn info_tells_what_the_node_knows() {
    let mut lone = serving();
    lone.attach_replica();
    lone.check(&[
        ("SET k v EX 10", "OK"),
        ("GET k", r#""v""#),
        ("GET missing", "(nil)"),
        (
            "NONSENSE",
            "-ERR unknown command 'NONSENSE', with args beginning with: ",
        ),
        ("INCR k", "-ERR value is not an integer or out of range"),
        ("GET", "-ERR wrong number of arguments for 'get' command"),
    ]);
    lone.ask_as(BOB, "WAIT 1 1000");
    lone.pass_ms(2_000);
    let info = lone.ask("INFO everything");
    let id = lone.node.replication.id().to_string();
    insta::assert_snapshot!(info.replace(&id, "REPLID").replace("\r\n", "\n"));
}

#[test]
fn info_shows_the_sections_asked_for() {
    let mut lone = serving();
    lone.check(&[
        ("INFO cluster", "# Cluster\r\ncluster_enabled:1\r\n"),
        (
            "INFO KEYSPACE Cluster",
            "# Cluster\r\ncluster_enabled:1\r\n\r\n# Keyspace\r\n",
        ),
        ("INFO nothing", ""),
    ]);
    let titles = |text: String| {
        let titles = text.lines().filter(|line| line.starts_with('#'));
        titles.map(str::to_owned).collect::<Vec<_>>()
    };
    let default = titles(lone.ask("INFO"));
    assert_eq!(default, titles(lone.ask("INFO default")));
    assert!(!default.contains(&"# Commandstats".to_owned()));
    assert!(titles(lone.ask("INFO all")).contains(&"# Commandstats".to_owned()));
}

#[test]
fn info_of_a_replica_tells_of_its_master() {
    let mut lone = serving();
    lone.become_replica();
    let info = lone.ask("INFO replication");
    for line in [
        "role:slave",
        "master_host:10.0.0.2",
        "master_port:7002",
        "master_link_status:down",
        "master_sync_in_progress:0",
        "slave_read_only:1",
        "connected_slaves:0",
        "second_repl_offset:-1",
    ] {
        assert!(info.contains(&format!("{line}\r\n")), "{line} in {info}");
    }
}

#[test]
fn counters_begin_anew_after_resetstat() {
    let mut lone = serving();
    lone.check(&[
        ("GET a", "(nil)"),
        (
            "NONSENSE x",
            "-ERR unknown command 'NONSENSE', with args beginning with: 'x' ",
        ),
    ]);
    assert!(
        lone.ask("INFO errorstats")
            .contains("errorstat_ERR:count=1")
    );
    lone.check(&[
        ("CONFIG RESETSTAT", "OK"),
        ("INFO errorstats", "# Errorstats\r\n"),
    ]);
    assert!(lone.ask("INFO stats").contains("keyspace_misses:0\r\n"));
}

#[test]
fn the_rate_of_commands_is_averaged() {
    let mut lone = serving();
    for _ in 0..40 {
        for _ in 0..10 {
            lone.ask("PING");
        }
        lone.pass_ms(100);
        lone.cron();
    }
    assert!(
        lone.ask("INFO stats")
            .contains("instantaneous_ops_per_sec:100\r\n")
    );
}

#[test]
fn parameters_are_told_and_changed() {
    let mut lone = serving();
    lone.check(&[
        ("CONFIG GET cluster-node-timeout", r#"{"cluster-node-timeout": "15000"}"#),
        ("CONFIG SET cluster-node-timeout 2000", "OK"),
        ("CONFIG GET Cluster-Node-Timeout", r#"{"Cluster-Node-Timeout": "2000"}"#),
        (
            "CONFIG GET min-replicas-* hz",
            r#"{"hz": "10", "min-replicas-max-lag": "10", "min-replicas-to-write": "0"}"#,
        ),
        ("CONFIG GET nonsense", "{}"),
        ("CONFIG SET hz 20 min-replicas-to-write 2", "OK"),
        ("CONFIG SET hz 30 nonsense 1", "-ERR Unknown option or number of arguments for CONFIG SET - 'nonsense'"),
        ("CONFIG SET hz 30 HZ 40", "-ERR CONFIG SET failed (possibly related to argument 'HZ') - duplicate parameter"),
        ("CONFIG SET hz 30 cluster-port 1", "-ERR CONFIG SET failed (possibly related to argument 'cluster-port') - can't set immutable config"),
        ("CONFIG SET hz 30 min-replicas-to-write x", "-ERR CONFIG SET failed (possibly related to argument 'min-replicas-to-write') - argument couldn't be parsed into an integer"),
        ("CONFIG SET hz 30 cluster-node-timeout", "-ERR syntax error"),
        ("CONFIG GET hz", r#"{"hz": "20"}"#),
        ("CONFIG REWRITE", "-ERR The server is running without a config file"),
        ("CONFIG GET", "-ERR wrong number of arguments for 'config|get' command"),
    ]);
    assert_eq!(lone.node.config.cluster_node_timeout_ms, 2000);
}

#[test]
fn writes_stop_when_memory_is_full() {
    let mut lone = serving();
    lone.check(&[
        ("SET k v", "OK"),
        ("CONFIG SET maxmemory 1", "OK"),
        (
            "SET k w",
            "-OOM command not allowed when used memory > 'maxmemory'.",
        ),
        ("GET k", r#""v""#),
        ("DEL k", "1"),
        ("SET k w", "OK"),
        ("CONFIG SET maxmemory-policy allkeys-lru", "OK"),
        ("SET k x", "OK"),
    ]);
}

#[test]
fn strings_are_only_so_long() {
    let too_long = "-ERR string exceeds maximum allowed size (proto-max-bulk-len)";
    serving().check(&[
        ("CONFIG SET proto-max-bulk-len 1048576", "OK"),
        ("SETRANGE k 1048575 x", "1048576"),
        ("SETRANGE k 1048576 x", too_long),
        ("APPEND k x", too_long),
        ("STRLEN k", "1048576"),
    ]);
}

#[test]
fn commands_are_described() {
    let mut lone = serving();
    insta::assert_snapshot!(lone.session(&[
        "COMMAND INFO get set mset rename nonsense",
        "COMMAND INFO config|set CLUSTER|NODES cluster|nonsense",
        "COMMAND DOCS get nonsense config|get",
        "COMMAND GETKEYS MSET a 1 b 2",
        "COMMAND GETKEYSANDFLAGS RENAME a b",
        "COMMAND LIST FILTERBY PATTERN *expire*",
        "COMMAND LIST FILTERBY ACLCAT string",
        "COMMAND LIST FILTERBY MODULE none",
        "DEBUG HELP",
        "CONFIG HELP",
    ]));
    lone.check(&[
        (
            "COMMAND GETKEYS PING",
            "-ERR wrong number of arguments for 'command|getkeys' command",
        ),
        (
            "COMMAND GETKEYS PING a",
            "-ERR The command has no key arguments",
        ),
        (
            "COMMAND GETKEYS NONSENSE a",
            "-ERR Invalid command specified",
        ),
        (
            "COMMAND GETKEYS GET a b",
            "-ERR Invalid number of arguments specified for command",
        ),
        ("COMMAND LIST FILTERBY MOOD good", "-ERR syntax error"),
    ]);
    let count: usize = lone.ask("COMMAND COUNT").parse().unwrap();
    lone.actions.clear();
    lone.send(ALICE, "COMMAND");
    lone.end_turn();
    let described = lone.actions.iter().find_map(|action| match action {
        Action::Reply {
            reply: Reply::Array(commands),
            ..
        } => Some(commands.len()),
        _ => None,
    });
    assert_eq!(described, Some(count));
}

#[test]
fn every_command_answers_to_its_own_name() {
    for spec in super::super::spec::commands() {
        let all = std::iter::once(spec).chain(spec.subcommands);
        for spec in all {
            let words: Vec<Word> = spec
                .name
                .to_uppercase()
                .split('|')
                .map(|word| Word::from(word.to_owned()))
                .collect();
            let found = super::super::spec::lookup(&words)
                .spec()
                .map(|found| found.name);
            let expected = spec.name;
            assert_eq!(found, Some(expected));
            assert!(!spec.summary.is_empty(), "{} has a summary", spec.name);
        }
    }
}

#[test]
fn a_set_is_told_to_read_what_it_replaces_only_if_asked_to() {
    serving().check(&[
        (
            "COMMAND GETKEYSANDFLAGS SET k v",
            r#"[["k", ~[OW, update]]]"#,
        ),
        (
            "COMMAND GETKEYSANDFLAGS set k v GET",
            r#"[["k", ~[RW, access, update]]]"#,
        ),
    ]);
}

#[test]
fn a_shard_channel_is_no_key() {
    let none = "-ERR The command has no key arguments";
    serving().check(&[
        ("COMMAND GETKEYS SPUBLISH channel hello", none),
        ("COMMAND GETKEYS SSUBSCRIBE channel", none),
    ]);
}

#[test]
fn debug_tells_of_a_value_without_using_it() {
    let mut lone = serving();
    lone.ask("CONFIG SET maxmemory-policy noeviction");
    lone.ask("SET k hello");
    lone.pass_ms(7000);
    lone.cron();
    for _ in 0..2 {
        let said = lone.ask("DEBUG OBJECT k");
        assert!(
            said.starts_with("Value at:0x0 refcount:1 encoding:embstr serializedlength:6 lru:"),
            "{said}"
        );
        assert!(said.ends_with("lru_seconds_idle:7"), "{said}");
    }
    lone.check(&[("DEBUG OBJECT missing", "-ERR no such key")]);
}

#[test]
fn what_is_reloaded_is_what_was_there() {
    let mut lone = serving();
    for line in [
        "SET s hello",
        "SET n 12",
        "PEXPIRE n 5000",
        "RPUSH l a b c",
        "SADD i 1 2 3",
        "ZADD z 1.5 a 2 b",
        "HSET h f v",
    ] {
        lone.ask(line);
    }
    let known = [
        "KEYS *",
        "GET s",
        "GET n",
        "PTTL n",
        "LRANGE l 0 -1",
        "SMEMBERS i",
        "ZRANGE z 0 -1 WITHSCORES",
        "HGETALL h",
        "OBJECT ENCODING i",
        "OBJECT ENCODING n",
    ];
    let before = known.map(|line| lone.ask(line));
    lone.ask("WATCH s");
    lone.check(&[("DEBUG RELOAD", "OK")]);
    assert_eq!(known.map(|line| lone.ask(line)), before);
    lone.check(&[("MULTI", "OK"), ("PING", "QUEUED"), ("EXEC", "(nil array)")]);
}

#[test]
fn info_tells_the_most_memory_that_was_used() {
    let mut lone = serving();
    lone.ask(&format!("SET k {}", "x".repeat(100_000)));
    lone.cron();
    lone.ask("DEL k");
    let said = lone.ask("INFO memory");
    let number = |name: &str| {
        let (_, rest) = said.split_once(&format!("{name}:")).expect("the field");
        let digits: String = rest.chars().take_while(char::is_ascii_digit).collect();
        digits.parse::<u64>().expect("a number")
    };
    assert!(number("used_memory_peak") > 100_000, "{said}");
    assert!(number("used_memory") < 1000, "{said}");
    assert_eq!(
        number("used_memory_dataset") + number("used_memory_overhead"),
        number("used_memory")
    );
}
