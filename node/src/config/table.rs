//! Every directive of Redis 7.0 (`static_configs` of `config.c`), hidden ones left out.

use super::Change::{AtRunTime as RUN, AtStart as START, Protected as PROTECTED};
use super::directive::{Change, Directive, ReadSpecial, Reason, Values};
use super::special;
use super::{AppendFsync, EndpointType, LogLevel, MaxmemoryPolicy, ProtectedAction};

const INT_MAX: i64 = i32::MAX as i64;
const INT_MIN: i64 = i32::MIN as i64;
const UINT_MAX: i64 = u32::MAX as i64;
const LONG_MAX: i64 = i64::MAX;

const ACL_PUBSUB_DEFAULT: &[&str] = &["allchannels", "resetchannels"];
const OOM_SCORE_ADJ: &[&str] = &["no", "yes", "relative", "absolute"];
const PROPAGATION_ERROR_BEHAVIOR: &[&str] = &["ignore", "panic", "panic-on-replicas"];
const PROTECTED_ACTION: &[&str] = &["no", "yes", "local"];
const REPL_DISKLESS_LOAD: &[&str] = &["disabled", "on-empty-db", "swapdb"];
const SANITIZE_DUMP_PAYLOAD: &[&str] = &["no", "yes", "clients"];
const SHUTDOWN_ON_SIG: &[&str] = &["default", "save", "nosave", "now", "force"];
const SUPERVISED_MODE: &[&str] = &["upstart", "systemd", "auto", "no"];
const SYSLOG_FACILITY: &[&str] = &[
    "user", "local0", "local1", "local2", "local3", "local4", "local5", "local6", "local7",
];
const TLS_AUTH_CLIENTS: &[&str] = &["no", "yes", "optional"];

#[rustfmt::skip]
pub(super) static DIRECTIVES: &[Directive] = &[
    // Cluster
    yes_no("cluster-require-full-coverage", RUN, "yes").acts(),
    yes_no("cluster-replica-no-failover", RUN, "no").alias("cluster-slave-no-failover").acts(),
    yes_no("cluster-enabled", START, "no").acts(),
    yes_no("cluster-allow-reads-when-down", RUN, "no").acts(),
    yes_no("cluster-allow-pubsubshard-when-down", RUN, "yes").acts(),
    yes_no("cluster-allow-replica-migration", RUN, "yes").acts(),
    text("cluster-announce-ip", RUN, "", special::any_text).acts(),
    text("cluster-config-file", START, "nodes.conf", special::any_text).acts(),
    text("cluster-announce-hostname", RUN, "", special::hostname).acts(),
    one_of("cluster-preferred-endpoint-type", RUN, "ip", EndpointType::NAMES).acts(),
    integer("cluster-replica-validity-factor", RUN, 0, INT_MAX, "10").alias("cluster-slave-validity-factor").acts(),
    integer("cluster-migration-barrier", RUN, 0, INT_MAX, "1").acts(),
    integer("cluster-port", START, 0, 65535, "0").acts(),
    integer("cluster-announce-bus-port", RUN, 0, 65535, "0").acts(),
    integer("cluster-announce-port", RUN, 0, 65535, "0").acts(),
    integer("cluster-announce-tls-port", RUN, 0, 65535, "0"),
    // Redis takes up to 64 bits and overflows; 24 days must do.
    integer("cluster-node-timeout", RUN, 0, INT_MAX, "15000").unit("ms").acts(),
    memory("cluster-link-sendbuf-limit", RUN, 0, u64::MAX, "0"),
    // Replication
    yes_no("repl-disable-tcp-nodelay", RUN, "no"),
    yes_no("repl-diskless-sync", RUN, "yes"),
    yes_no("replica-lazy-flush", RUN, "no").alias("slave-lazy-flush"),
    yes_no("replica-serve-stale-data", RUN, "yes").alias("slave-serve-stale-data").acts(),
    yes_no("replica-read-only", RUN, "yes").alias("slave-read-only"),
    yes_no("replica-ignore-maxmemory", RUN, "yes").alias("slave-ignore-maxmemory").acts(),
    yes_no("replica-announced", RUN, "yes"),
    yes_no("replica-ignore-disk-write-errors", RUN, "no"),
    text("replica-announce-ip", RUN, "", special::any_text).alias("slave-announce-ip").acts(),
    text("masteruser", RUN, "", special::any_text).acts(),
    text("masterauth", RUN, "", special::any_text).acts(),
    one_of("repl-diskless-load", RUN, "disabled", REPL_DISKLESS_LOAD),
    integer("replica-priority", RUN, 0, INT_MAX, "100").alias("slave-priority"),
    integer("repl-diskless-sync-delay", RUN, 0, INT_MAX, "5").unit("s").acts(),
    integer("replica-announce-port", RUN, 0, 65535, "0").alias("slave-announce-port").acts(),
    integer("repl-timeout", RUN, 1, INT_MAX, "60").unit("s").acts(),
    integer("repl-ping-replica-period", RUN, 1, INT_MAX, "10").alias("repl-ping-slave-period").unit("s").acts(),
    integer("min-replicas-to-write", RUN, 0, INT_MAX, "0").alias("min-slaves-to-write").acts(),
    integer("min-replicas-max-lag", RUN, 0, INT_MAX, "10").alias("min-slaves-max-lag").unit("s").acts(),
    integer("repl-diskless-sync-max-replicas", RUN, 0, INT_MAX, "0"),
    memory("repl-backlog-size", RUN, 1, i64::MAX as u64, "1048576").acts(),
    integer("repl-backlog-ttl", RUN, 0, LONG_MAX, "3600").unit("s"),
    special("replicaof", START, "", "a host and a port, or no one", special::replicaof).words().alias("slaveof"),
    // Persistence
    yes_no("rdbchecksum", START, "yes"),
    yes_no("rdbcompression", RUN, "yes"),
    yes_no("rdb-del-sync-files", RUN, "no"),
    yes_no("stop-writes-on-bgsave-error", RUN, "yes").acts(),
    yes_no("aof-rewrite-incremental-fsync", RUN, "yes"),
    yes_no("no-appendfsync-on-rewrite", RUN, "no").acts(),
    yes_no("rdb-save-incremental-fsync", RUN, "yes"),
    yes_no("aof-load-truncated", RUN, "yes").acts(),
    yes_no("aof-use-rdb-preamble", RUN, "yes").acts(),
    yes_no("aof-timestamp-enabled", RUN, "no"),
    yes_no("appendonly", RUN, "no").acts(),
    yes_no("aof-disable-auto-gc", RUN, "no"),
    text("dbfilename", PROTECTED, "dump.rdb", special::dbfilename).acts(),
    text("appendfilename", START, "appendonly.aof", special::appendfilename).acts(),
    text("appenddirname", START, "appendonlydir", special::appenddirname).acts(),
    text("aof_rewrite_cpulist", START, "", special::any_text),
    one_of("appendfsync", RUN, "everysec", AppendFsync::NAMES).acts(),
    integer("auto-aof-rewrite-percentage", RUN, 0, INT_MAX, "100").unit("%").acts(),
    memory("auto-aof-rewrite-min-size", RUN, 0, i64::MAX as u64, "67108864").acts(),
    special("dir", PROTECTED, ".", "a directory", special::dir).acts(),
    special("save", RUN, "3600 1 300 100 60 10000", "pairs of seconds (from 1) and changes (from 0), or \"\"", special::save).words().acts(),
    // Network and clients
    yes_no("io-threads-do-reads", START, "no"),
    yes_no("protected-mode", RUN, "yes").acts(),
    text("unixsocket", START, "", special::any_text),
    text("bind-source-addr", RUN, "", special::any_text),
    text("requirepass", RUN, "", special::any_text).acts(),
    integer("port", RUN, 0, 65535, "6379").acts(),
    integer("io-threads", START, 1, 128, "1"),
    integer("tcp-keepalive", RUN, 0, INT_MAX, "300").unit("s").acts(),
    integer("timeout", RUN, 0, INT_MAX, "0").unit("s").acts(),
    integer("tcp-backlog", START, 0, INT_MAX, "511").acts(),
    integer("maxclients", RUN, 1, UINT_MAX, "10000").acts(),
    octal("unixsocketperm", START, 0, 0o777, "0"),
    integer("socket-mark-id", START, 0, UINT_MAX, "0"),
    memory("proto-max-bulk-len", RUN, 1048576, i64::MAX as u64, "536870912").acts(),
    memory("client-query-buffer-limit", RUN, 1048576, i64::MAX as u64, "1073741824").acts(),
    memory_or_percent("maxmemory-clients", RUN, "0"),
    special("client-output-buffer-limit", RUN, "normal 0 0 0 slave 268435456 67108864 60 pubsub 33554432 8388608 60", "a class (normal, replica or pubsub), a hard limit, a soft limit and seconds, once or more", special::client_output_buffer_limit).words().acts(),
    special("bind", RUN, "* -::*", "up to 16 addresses", special::bind).words().acts(),
    // Memory
    yes_no("activerehashing", RUN, "yes"),
    yes_no("lazyfree-lazy-eviction", RUN, "no"),
    yes_no("lazyfree-lazy-expire", RUN, "no"),
    yes_no("lazyfree-lazy-server-del", RUN, "no"),
    yes_no("lazyfree-lazy-user-del", RUN, "no"),
    yes_no("lazyfree-lazy-user-flush", RUN, "no"),
    yes_no("jemalloc-bg-thread", RUN, "yes"),
    yes_no("activedefrag", RUN, "no"),
    one_of("maxmemory-policy", RUN, "noeviction", MaxmemoryPolicy::NAMES).acts(),
    integer("active-defrag-cycle-min", RUN, 1, 99, "1").unit("%"),
    integer("active-defrag-cycle-max", RUN, 1, 99, "25").unit("%"),
    integer("active-defrag-threshold-lower", RUN, 0, 1000, "10").unit("%"),
    integer("active-defrag-threshold-upper", RUN, 0, 1000, "100").unit("%"),
    integer("lfu-log-factor", RUN, 0, INT_MAX, "10").acts(),
    integer("lfu-decay-time", RUN, 0, INT_MAX, "1").unit("min").acts(),
    integer("maxmemory-samples", RUN, 1, INT_MAX, "5").acts(),
    integer("maxmemory-eviction-tenacity", RUN, 0, 100, "10").unit("%"),
    integer("active-expire-effort", RUN, 1, 10, "1"),
    integer("active-defrag-max-scan-fields", RUN, 1, LONG_MAX, "1000"),
    memory("maxmemory", RUN, 0, u64::MAX, "0").acts(),
    memory("active-defrag-ignore-bytes", RUN, 1, i64::MAX as u64, "104857600"),
    // Encryption
    integer("tls-port", RUN, 0, 65535, "0"),
    integer("tls-session-cache-size", RUN, 0, INT_MAX, "20480"),
    integer("tls-session-cache-timeout", RUN, 0, INT_MAX, "300").unit("s"),
    yes_no("tls-cluster", RUN, "no"),
    yes_no("tls-replication", RUN, "no"),
    one_of("tls-auth-clients", RUN, "yes", TLS_AUTH_CLIENTS),
    yes_no("tls-prefer-server-ciphers", RUN, "no"),
    yes_no("tls-session-caching", RUN, "yes"),
    text("tls-cert-file", RUN, "", special::any_text),
    text("tls-key-file", RUN, "", special::any_text),
    text("tls-key-file-pass", RUN, "", special::any_text),
    text("tls-client-cert-file", RUN, "", special::any_text),
    text("tls-client-key-file", RUN, "", special::any_text),
    text("tls-client-key-file-pass", RUN, "", special::any_text),
    text("tls-dh-params-file", RUN, "", special::any_text),
    text("tls-ca-cert-file", RUN, "", special::any_text),
    text("tls-ca-cert-dir", RUN, "", special::any_text),
    text("tls-protocols", RUN, "", special::any_text),
    text("tls-ciphers", RUN, "", special::any_text),
    text("tls-ciphersuites", RUN, "", special::any_text),
    // Everything else
    yes_no("daemonize", START, "no"),
    yes_no("always-show-logo", START, "no"),
    yes_no("set-proc-title", START, "yes"),
    yes_no("dynamic-hz", RUN, "yes"),
    yes_no("syslog-enabled", START, "no"),
    yes_no("crash-log-enabled", RUN, "yes"),
    yes_no("crash-memcheck-enabled", RUN, "yes"),
    yes_no("disable-thp", START, "yes"),
    yes_no("latency-tracking", RUN, "yes"),
    text("aclfile", START, "", special::any_text),
    text("pidfile", START, "", special::any_text).acts(),
    text("syslog-ident", START, "redis", special::any_text),
    text("server_cpulist", START, "", special::any_text),
    text("bio_cpulist", START, "", special::any_text),
    text("bgsave_cpulist", START, "", special::any_text),
    text("ignore-warnings", RUN, "", special::any_text),
    text("proc-title-template", RUN, "{title} {listen-addr} {server-mode}", special::any_text),
    text("logfile", START, "", special::any_text).acts(),
    one_of("supervised", START, "no", SUPERVISED_MODE),
    one_of("syslog-facility", START, "local0", SYSLOG_FACILITY),
    one_of("loglevel", RUN, "notice", LogLevel::NAMES).acts(),
    one_of("oom-score-adj", RUN, "no", OOM_SCORE_ADJ),
    one_of("acl-pubsub-default", RUN, "resetchannels", ACL_PUBSUB_DEFAULT),
    one_of("sanitize-dump-payload", RUN, "no", SANITIZE_DUMP_PAYLOAD),
    one_of("enable-protected-configs", START, "no", PROTECTED_ACTION),
    one_of("enable-debug-command", START, "local", ProtectedAction::NAMES).acts(),
    one_of("enable-module-command", START, "no", PROTECTED_ACTION),
    one_of("propagation-error-behavior", RUN, "ignore", PROPAGATION_ERROR_BEHAVIOR),
    many_of("shutdown-on-sigint", RUN, "default", SHUTDOWN_ON_SIG),
    many_of("shutdown-on-sigterm", RUN, "default", SHUTDOWN_ON_SIG),
    integer("databases", START, 1, INT_MAX, "16"),
    integer("list-max-listpack-size", RUN, INT_MIN, INT_MAX, "-2").alias("list-max-ziplist-size"),
    integer("list-compress-depth", RUN, 0, INT_MAX, "0"),
    integer("hz", RUN, 0, INT_MAX, "10").unit("per second").acts(),
    integer("shutdown-timeout", RUN, 0, INT_MAX, "10").unit("s").acts(),
    integer("slowlog-max-len", RUN, 0, LONG_MAX, "128").acts(),
    integer("acllog-max-len", RUN, 0, LONG_MAX, "128"),
    integer("busy-reply-threshold", RUN, 0, LONG_MAX, "5000").alias("lua-time-limit").unit("ms"),
    integer("slowlog-log-slower-than", RUN, -1, LONG_MAX, "10000").unit("µs").acts(),
    integer("latency-monitor-threshold", RUN, 0, LONG_MAX, "0").unit("ms"),
    integer("stream-node-max-entries", RUN, 0, LONG_MAX, "100"),
    integer("hash-max-listpack-entries", RUN, 0, LONG_MAX, "512").alias("hash-max-ziplist-entries"),
    integer("set-max-intset-entries", RUN, 0, LONG_MAX, "512"),
    integer("zset-max-listpack-entries", RUN, 0, LONG_MAX, "128").alias("zset-max-ziplist-entries"),
    memory("hash-max-listpack-value", RUN, 0, i64::MAX as u64, "64").alias("hash-max-ziplist-value"),
    memory("stream-node-max-bytes", RUN, 0, i64::MAX as u64, "4096"),
    memory("zset-max-listpack-value", RUN, 0, i64::MAX as u64, "64").alias("zset-max-ziplist-value"),
    memory("hll-sparse-max-bytes", RUN, 0, i64::MAX as u64, "3000"),
    integer("tracking-table-max-keys", RUN, 0, LONG_MAX, "1000000"),
    special("oom-score-adj-values", RUN, "0 200 800", "three integers from -2000 to 2000", special::oom_score_adj_values).words(),
    special("notify-keyspace-events", RUN, "", "letters out of Ag$lshzxeKEtmdn, or \"\"", special::notify_keyspace_events),
    special("latency-tracking-info-percentiles", RUN, "50 99 99.9", "numbers from 0 to 100, or \"\"", special::percentiles).words(),
];

const fn yes_no(name: &'static str, change: Change, default: &'static str) -> Directive {
    Directive::new(name, change, default, Values::YesNo)
}

const fn text(
    name: &'static str,
    change: Change,
    default: &'static str,
    check: fn(&str) -> Result<(), Reason>,
) -> Directive {
    Directive::new(name, change, default, Values::Text(check))
}

const fn one_of(
    name: &'static str,
    change: Change,
    default: &'static str,
    names: &'static [&'static str],
) -> Directive {
    Directive::new(name, change, default, Values::OneOf(names))
}

const fn many_of(
    name: &'static str,
    change: Change,
    default: &'static str,
    names: &'static [&'static str],
) -> Directive {
    Directive::new(name, change, default, Values::ManyOf(names))
}

const fn integer(
    name: &'static str,
    change: Change,
    min: i64,
    max: i64,
    default: &'static str,
) -> Directive {
    Directive::new(name, change, default, Values::Integer(min, max))
}

const fn octal(
    name: &'static str,
    change: Change,
    min: i64,
    max: i64,
    default: &'static str,
) -> Directive {
    Directive::new(name, change, default, Values::Octal(min, max))
}

const fn memory(
    name: &'static str,
    change: Change,
    min: u64,
    max: u64,
    default: &'static str,
) -> Directive {
    Directive::new(name, change, default, Values::Memory(min, max))
}

const fn memory_or_percent(name: &'static str, change: Change, default: &'static str) -> Directive {
    Directive::new(name, change, default, Values::MemoryOrPercent)
}

const fn special(
    name: &'static str,
    change: Change,
    default: &'static str,
    allowed: &'static str,
    read: ReadSpecial,
) -> Directive {
    Directive::new(name, change, default, Values::Special(allowed, read))
}
