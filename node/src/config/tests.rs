use proptest::prelude::*;

use super::*;

fn set(name: &str, value: &str) -> Config {
    let mut config = Config::default();
    config.set(name, value).unwrap();
    config
}

fn refused(name: &str, value: &str) -> String {
    let mut config = Config::default();
    let error = config.set(name, value).unwrap_err();
    assert_eq!(config, Config::default());
    error.to_string()
}

fn file(text: &str) -> Config {
    Config::parse_file(text.as_bytes()).unwrap().0
}

fn warnings(text: &str) -> Vec<String> {
    let warnings = Config::parse_file(text.as_bytes()).unwrap().1;
    let shown = |warning: &Warning| {
        format!(
            "line {}, {}: {}",
            warning.line, warning.directive, warning.problem
        )
    };
    warnings.iter().map(shown).collect()
}

fn file_error(text: &str) -> String {
    let error = Config::parse_file(text.as_bytes()).unwrap_err();
    let hint = error.hint.clone().unwrap_or_default();
    format!("{error}\n{hint}").replace('\n', " | ")
}

#[test]
fn every_directive_shows_its_default_until_it_is_set() {
    let config = Config::default();
    for directive in Config::directives() {
        let shown = config.get(directive.name).unwrap();
        if directive.name == "enable-debug-command" {
            // For everybody in simulations: there is nobody else.
            assert_eq!((shown.as_str(), directive.default), ("yes", "local"));
        } else {
            assert_eq!(shown, directive.default, "{}", directive.name);
        }
        assert_eq!(directive.default_setting().to_string(), directive.default);
    }
}

#[test]
fn every_directive_takes_its_own_value_back() {
    for directive in Config::directives() {
        let mut config = Config::default();
        config.set(directive.name, directive.default).unwrap();
        assert_eq!(config.get(directive.name).unwrap(), directive.default);
        if let Some(alias) = directive.alias {
            assert_eq!(config.get(alias), config.get(directive.name));
        }
    }
}

#[test]
fn no_name_stands_for_two_directives() {
    let mut names: Vec<_> = Config::directives()
        .iter()
        .flat_map(|directive| [Some(directive.name), directive.alias])
        .flatten()
        .collect();
    let count = names.len();
    names.sort_unstable();
    names.dedup();
    assert_eq!(names.len(), count);
}

#[test]
fn directives_are_set_by_their_names_of_any_age_and_case() {
    assert_eq!(
        set("cluster-node-timeout", "2000").cluster_node_timeout_ms,
        2000
    );
    assert_eq!(
        set("cluster-slave-validity-factor", "0").cluster_replica_validity_factor,
        0
    );
    assert!(!set("Slave-Serve-Stale-Data", "NO").replica_serve_stale_data);
    assert_eq!(set("min-slaves-to-write", "2").min_replicas_to_write, 2);
    assert_eq!(
        set("appendfsync", "ALWAYS").appendfsync,
        AppendFsync::Always
    );
    assert_eq!(
        set("maxmemory-policy", "allkeys-lru").maxmemory_policy,
        MaxmemoryPolicy::AllkeysLru
    );
    assert_eq!(
        set("cluster-announce-ip", "10.0.0.7").announce_ip,
        Some([10, 0, 0, 7].into())
    );
    assert_eq!(set("cluster-announce-hostname", "").announce_hostname, None);
    assert_eq!(set("hz", "0").hz, 1);
    assert_eq!(set("hz", "1000").hz, 500);
    assert_eq!(
        set("enable-debug-command", "no").enable_debug_command,
        ProtectedAction::No
    );
    assert_eq!(set("save", "900 1 300 10").save.len(), 2);
    assert_eq!(set("save", "").save, []);
    assert_eq!(
        set("bind", "127.0.0.1  ::1").bind.join(","),
        "127.0.0.1,::1"
    );
}

#[test]
fn the_bus_port_follows_the_client_port_unless_it_is_set() {
    let mut config = set("port", "7000");
    assert_eq!(config.bus_port, 17000);
    config.set("cluster-port", "9000").unwrap();
    config.set("port", "7001").unwrap();
    assert_eq!(config.bus_port, 9000);
    config.set("cluster-port", "0").unwrap();
    assert_eq!(config.bus_port, 17001);
}

#[test]
fn amounts_of_memory_have_units_of_1000_and_1024() {
    let of = |text| set("maxmemory", text).maxmemory_bytes;
    assert_eq!([of("5"), of("5b"), of("5k"), of("5KB")], [5, 5, 5000, 5120]);
    assert_eq!(
        [of("1m"), of("1mb"), of("1g"), of("1Gb")],
        [1_000_000, 1 << 20, 1_000_000_000, 1 << 30]
    );
    for text in ["", "mb", "-1", "1.5gb", "1 gb", "1tb", "99999999999gb"] {
        assert_eq!(memory_bytes(text), None, "{text:?}");
    }
    assert_eq!(
        set("maxmemory-clients", "5%")
            .get("maxmemory-clients")
            .unwrap(),
        "5%"
    );
}

#[test]
fn a_refused_value_is_told_in_redis_words_with_what_is_taken() {
    let texts = [
        refused("cluster-node-timeout", "5s"),
        refused("cluster-node-timeout", "-1"),
        refused("repl-timeout", "0"),
        refused("cluster-require-full-coverage", "true"),
        refused("appendfsync", "sometimes"),
        refused("maxmemory", "lots"),
        refused("repl-backlog-size", "0"),
        refused("maxmemory-clients", "101%"),
        refused("maxmemory-clients", "x"),
        refused("unixsocketperm", "1000"),
        refused("unixsocketperm", "9"),
        refused("cluster-announce-ip", "localhost"),
        refused("cluster-announce-hostname", "a_b"),
        refused("cluster-announce-hostname", &"a".repeat(256))[270..].to_owned(),
        refused("dbfilename", "/tmp/dump.rdb"),
        refused("appendfilename", ""),
        refused("appenddirname", ""),
        refused("save", "900"),
        refused("save", "0 1"),
        refused("bind", &"::1 ".repeat(17))[70..].to_owned(),
        refused("client-output-buffer-limit", "normal 0 0"),
        refused("client-output-buffer-limit", "master 0 0 0"),
        refused("client-output-buffer-limit", "replica 1x 0 0"),
        refused("oom-score-adj-values", "0 200 2001"),
        refused("oom-score-adj-values", "0 200"),
        refused("notify-keyspace-events", "KX"),
        refused("latency-tracking-info-percentiles", "101"),
        refused("latency-tracking-info-percentiles", "p50"),
        refused("replicaof", "10.0.0.1 70000"),
        refused("replicaof", "10.0.0.1"),
        refused("shutdown-on-sigterm", "save nosave"),
        refused("shutdown-on-sigterm", "never"),
    ];
    insta::assert_snapshot!(texts.join("\n"), @r#"
    `cluster-node-timeout 5s`: argument couldn't be parsed into an integer; it takes an integer from 0 to 2147483647 (ms)
    `cluster-node-timeout -1`: argument must be between 0 and 2147483647 inclusive
    `repl-timeout 0`: argument must be between 1 and 2147483647 inclusive
    `cluster-require-full-coverage true`: argument must be 'yes' or 'no'
    `appendfsync sometimes`: argument(s) must be one of the following: everysec, always, no
    `maxmemory lots`: argument must be a memory value; it takes an amount of memory such as 100mb
    `repl-backlog-size 0`: argument must be between 1 and 9223372036854775807 inclusive
    `maxmemory-clients 101%`: percentage argument must be less or equal to 100; it takes an amount of memory such as 100mb, or a share such as 5%
    `maxmemory-clients x`: argument must be a memory or percent value; it takes an amount of memory such as 100mb, or a share such as 5%
    `unixsocketperm 1000`: argument must be between 0 and 777 inclusive
    `unixsocketperm 9`: argument couldn't be parsed as an octal number; it takes an octal number from 0 to 777
    `cluster-announce-ip localhost`: argument must be an IPv4 or IPv6 address
    `cluster-announce-hostname a_b`: Hostnames may only contain alphanumeric characters, hyphens or dots
    aaaaaaaaaaaaa`: Hostnames must be less than 256 characters
    `dbfilename /tmp/dump.rdb`: dbfilename can't be a path, just a filename
    `appendfilename ""`: appendfilename can't be empty
    `appenddirname ""`: appenddirname can't be empty
    `save 900`: Invalid save parameters; it takes pairs of seconds (from 1) and changes (from 0), or ""
    `save 0 1`: Invalid save parameters; it takes pairs of seconds (from 1) and changes (from 0), or ""
    ::1`: Too many bind addresses specified; it takes up to 16 addresses
    `client-output-buffer-limit normal 0 0`: Wrong number of arguments in buffer limit configuration; it takes a class (normal, replica or pubsub), a hard limit, a soft limit and seconds, once or more
    `client-output-buffer-limit master 0 0 0`: Invalid client class specified in buffer limit configuration; it takes a class (normal, replica or pubsub), a hard limit, a soft limit and seconds, once or more
    `client-output-buffer-limit replica 1x 0 0`: Error in hard, soft or soft_seconds setting in buffer limit configuration; it takes a class (normal, replica or pubsub), a hard limit, a soft limit and seconds, once or more
    `oom-score-adj-values 0 200 2001`: Invalid oom-score-adj-values, elements must be between -2000 and 2000; it takes three integers from -2000 to 2000
    `oom-score-adj-values 0 200`: wrong number of arguments; it takes three integers from -2000 to 2000
    `notify-keyspace-events KX`: Invalid event class character. Use 'Ag$lshzxeKEtmdn'; it takes letters out of Ag$lshzxeKEtmdn, or ""
    `latency-tracking-info-percentiles 101`: latency-tracking-info-percentiles parameters should sit between [0.0,100.0]; it takes numbers from 0 to 100, or ""
    `latency-tracking-info-percentiles p50`: Invalid latency-tracking-info-percentiles parameters; it takes numbers from 0 to 100, or ""
    `replicaof 10.0.0.1 70000`: Invalid master port; it takes a host and a port, or no one
    `replicaof 10.0.0.1`: wrong number of arguments; it takes a host and a port, or no one
    `shutdown-on-sigterm save nosave`: shutdown options SAVE and NOSAVE can't be used simultaneously
    `shutdown-on-sigterm never`: argument(s) must be one of the following: default, save, nosave, now, force
    "#);
}

#[test]
fn an_unknown_directive_is_told_with_what_was_meant() {
    let texts = [
        refused("cluster-node-timout", "1"),
        refused("cluster_node_timeout", "1"),
        refused("cluster-slave-validity-facter", "1"),
        refused("ports", "1"),
        refused("quorum", "1"),
    ];
    insta::assert_snapshot!(texts.join("\n"), @r#"
    there is no directive `cluster-node-timout`; did you mean `cluster-node-timeout`?
    there is no directive `cluster_node_timeout`; did you mean `cluster-node-timeout`?
    there is no directive `cluster-slave-validity-facter`; did you mean `cluster-slave-validity-factor`?
    there is no directive `ports`; did you mean `port`?
    there is no directive `quorum`
    "#);
}

#[test]
fn config_set_is_answered_as_redis_answers_it() {
    let mut config = Config::default();
    let mut answer = |name, value| {
        config
            .set_at_run_time(name, value)
            .unwrap_err()
            .config_set_text()
    };
    let texts = [
        answer("no-such", "1"),
        answer("cluster-node-timeout", "x"),
        answer("cluster-config-file", "x.conf"),
        answer("dir", "/tmp"),
    ];
    insta::assert_snapshot!(texts.join("\n"), @r#"
    Unknown option or number of arguments for CONFIG SET - 'no-such'
    CONFIG SET failed (possibly related to argument 'cluster-node-timeout') - argument couldn't be parsed into an integer
    CONFIG SET failed (possibly related to argument 'cluster-config-file') - can't set immutable config
    CONFIG SET failed (possibly related to argument 'dir') - can't set protected config
    "#);
    config.set("enable-protected-configs", "yes").unwrap();
    config.set_at_run_time("dir", "/tmp").unwrap();
    config
        .set_at_run_time("cluster-node-timeout", "1000")
        .unwrap();
    assert_eq!(config.cluster_node_timeout_ms, 1000);
}

#[test]
fn limits_of_output_buffers_are_set_by_class() {
    let config = set(
        "client-output-buffer-limit",
        "replica 512mb 128mb 30 Pubsub 1 2 3",
    );
    assert_eq!(
        config.get("client-output-buffer-limit").unwrap(),
        "normal 0 0 0 slave 536870912 134217728 30 pubsub 1 2 3"
    );
}

#[test]
fn a_file_of_a_guide_is_read() {
    let (config, warnings) = Config::parse_file(
        br#"# Basic settings
port 7000
bind 0.0.0.0

cluster-enabled yes
cluster-config-file nodes-7000.conf
cluster-node-timeout 5000
  APPENDONLY yes
appendfilename "appendonly-7000.aof"
dir /srv/redis/7000
maxmemory 256mb
maxmemory-policy allkeys-lru
logfile /srv/redis/7000/redis.log
loglevel debug
enable-debug-command yes
"#,
    )
    .unwrap();
    assert_eq!((config.port, config.bus_port), (7000, 17000));
    assert_eq!(&*config.cluster_config_file, "nodes-7000.conf");
    assert_eq!(config.cluster_node_timeout_ms, 5000);
    assert_eq!(
        (config.appendonly, config.enable_debug_command),
        (true, ProtectedAction::Yes)
    );
    assert_eq!(&*config.appendfilename, "appendonly-7000.aof");
    assert_eq!(config.maxmemory_bytes, 256 << 20);
    assert_eq!(config.loglevel, LogLevel::Debug);
    assert_eq!(warnings, [], "everything in it acts");
}

#[test]
fn debug_commands_are_for_the_same_host_in_a_file_that_does_not_say_otherwise() {
    assert_eq!(file("").enable_debug_command, ProtectedAction::Local);
    let simulated = Config::default().enable_debug_command;
    assert_eq!(simulated, ProtectedAction::Yes);
}

#[test]
fn save_lines_add_up_and_replace_the_default() {
    let points = |text| file(text).get("save").unwrap();
    assert_eq!(points("save 900 1\nsave 300 10"), "900 1 300 10");
    assert_eq!(points("save \"900 1 300 10\""), "900 1 300 10");
    assert_eq!(points("save 900 1\nsave \"\"\nsave 60 5"), "60 5");
    assert_eq!(points("save \"\""), "");
    assert_eq!(points(""), "3600 1 300 100 60 10000");
}

#[test]
fn what_a_file_says_in_vain_is_warned_of() {
    let text = "\
cluster-enabled no
include common.conf
port 1
port 2
cluster-node-timout 5000
user default on
redisbloom.error_rate 0.01
list-max-ziplist-entries 512
timeout 0
timeout 10
activedefrag yes
";
    insta::assert_snapshot!(warnings(text).join("\n"), @r#"
    line 1, cluster-enabled: a redrill node is always part of a cluster
    line 2, include: the included file is not read
    line 3, port: a later line sets it again
    line 5, cluster-node-timout: there is no such directive, it is passed over; did you mean `cluster-node-timeout`?
    line 6, user: redrill has no modules and no users but the default one
    line 7, redisbloom.error_rate: redrill has no modules and no users but the default one
    line 8, list-max-ziplist-entries: it is deprecated and has no effect
    line 9, timeout: a later line sets it again
    line 11, activedefrag: it is kept, but nothing acts on it
    "#);
}

#[test]
fn a_bad_file_is_told_with_its_line_as_redis_does() {
    let texts = [
        file_error("port 7000\n\nrename-command nonsense x\n"),
        file_error("rename-command get set"),
        file_error("rename-command get"),
        file_error("port 70000"),
        file_error("port 7000 7001"),
        file_error("port"),
        file_error("  dir \"/tmp"),
        file_error("save 900"),
        file_error("sentinel monitor m 127.0.0.1 6379 2"),
        file_error("module.option"),
        file_error("dir \"\\xff\""),
        file_error("hz 10\nreplicaof 10.0.0.1 6379\nhz 20"),
        file_error("\nport 60000\nhz 10"),
        file_error("user"),
    ];
    insta::assert_snapshot!(texts.join("\n"), @r#"
    Reading the configuration file, at line 3 | >>> 'rename-command nonsense x' | No such command in rename-command | 
    Reading the configuration file, at line 1 | >>> 'rename-command get set' | Target command name already exists | 
    Reading the configuration file, at line 1 | >>> 'rename-command get' | Bad directive or wrong number of arguments | 
    Reading the configuration file, at line 1 | >>> 'port 70000' | argument must be between 0 and 65535 inclusive | 
    Reading the configuration file, at line 1 | >>> 'port 7000 7001' | wrong number of arguments | it takes an integer from 0 to 65535
    Reading the configuration file, at line 1 | >>> 'port' | wrong number of arguments | it takes an integer from 0 to 65535
    Reading the configuration file, at line 1 | >>> 'dir "/tmp' | Unbalanced quotes in configuration line | 
    Reading the configuration file, at line 1 | >>> 'save 900' | Invalid save parameters | it takes pairs of seconds (from 1) and changes (from 0), or ""
    Reading the configuration file, at line 1 | >>> 'sentinel monitor m 127.0.0.1 6379 2' | sentinel directive while not in sentinel mode | 
    Reading the configuration file, at line 1 | >>> 'module.option' | Module config specified without value | 
    Reading the configuration file, at line 1 | >>> 'dir "\xff"' | The line is not UTF-8 text | 
    Reading the configuration file, at line 2 | >>> 'replicaof 10.0.0.1 6379' | replicaof directive not allowed in cluster mode | 
    Reading the configuration file, at line 2 | >>> 'port 60000' | Redis port number too high. Cluster communication port is 10,000 port numbers higher than your Redis port. Your Redis port number must be 55535 or less. | 
    Reading the configuration file, at line 1 | >>> 'user' | Bad directive or wrong number of arguments |
    "#);
}

#[test]
fn included_files_are_read_in_place() {
    let read = |name: &str| match name {
        "a.conf" => Ok(b"port 7001\ninclude b.conf\n".to_vec()),
        "b.conf" => Ok(b"hz 50\nhz x\n".to_vec()),
        "me.conf" => Ok(b"include me.conf".to_vec()),
        _ => Err("No such file".to_owned()),
    };
    let error = |text: &[u8]| Config::parse_file_with(text, read).unwrap_err();
    let nested = error(b"include a.conf\nport 7002");
    assert_eq!((nested.file.as_deref(), nested.line), (Some("b.conf"), 2));
    assert_eq!(
        error(b"include c.conf").problem,
        "can't open config file 'c.conf': No such file"
    );
    assert_eq!(
        error(b"include me.conf").problem,
        "files include each other too deep"
    );
    let (config, _) =
        Config::parse_file_with(b"port 1\ninclude a.conf", |_| Ok(b"port 7001".to_vec())).unwrap();
    assert_eq!(config.port, 7001);
}

fn any_directive() -> impl Strategy<Value = &'static Directive> {
    (0..Config::directives().len()).prop_map(|index| &Config::directives()[index])
}

proptest! {
    #[test]
    fn what_is_shown_of_a_directive_sets_it_again(
        directive in any_directive(),
        value in r#"[0-9]{1,6}(kb|mb|%)?|yes|no|local|always|[a-z0-9 ./-]{0,12}|replica 1 2 3"#,
    ) {
        let mut config = Config::default();
        if config.set(directive.name, &value).is_ok() {
            let shown = config.get(directive.name).unwrap();
            let mut again = Config::default();
            again.set(directive.name, &shown).unwrap();
            prop_assert_eq!(again, config);
        }
    }

    #[test]
    fn a_number_is_taken_exactly_within_its_range(directive in any_directive(), value in any::<i64>()) {
        if let Values::Integer(min, max) = directive.values {
            let result = Config::default().set(directive.name, &value.to_string());
            prop_assert_eq!(result.is_ok(), (min..=max).contains(&value));
        }
    }

    #[test]
    fn no_file_makes_the_reader_panic(text in r#"((port|save|bind|dir|include|hz|user) ["'0-9a-z ]{0,8}\n|[ -~\n]{0,10}){0,8}"#) {
        let _ = Config::parse_file(text.as_bytes());
    }

    #[test]
    fn no_bytes_make_the_reader_panic(text in proptest::collection::vec(any::<u8>(), 0..80)) {
        let _ = Config::parse_file(&text);
    }
}
