//! Which directives are fields of [`Config`]. The others are kept as [`super::Settings`].

use super::{
    AppendFsync, Config, EndpointType, LogLevel, MaxmemoryPolicy, OutputLimits, ProtectedAction,
    Reason, SavePoint, Setting,
};

/// How a directive is read from, and written to, a field.
pub(super) struct Field {
    pub(super) name: &'static str,
    pub(super) get: fn(&Config) -> Setting,
    /// Takes what [`super::Directive`] has checked. Refuses only what the field's type cannot
    /// hold although Redis can.
    pub(super) set: fn(&mut Config, &Setting) -> Result<(), Reason>,
}

/// The field of a directive, by its present name.
pub(super) fn of(name: &str) -> Option<&'static Field> {
    FIELDS.iter().find(|field| field.name == name)
}

macro_rules! flag {
    ($name:literal, $field:ident) => {
        Field {
            name: $name,
            get: |config| Setting::Flag(config.$field),
            set: |config, setting| {
                config.$field = *setting == Setting::Flag(true);
                Ok(())
            },
        }
    };
}

/// A number; one that the field's type cannot hold becomes the greatest it can.
macro_rules! number {
    ($name:literal, $field:ident: $type:ty) => {
        Field {
            name: $name,
            get: |config| Setting::Number(i64::try_from(config.$field).unwrap_or(i64::MAX)),
            set: |config, setting| {
                config.$field = <$type>::try_from(number(setting)).unwrap_or(<$type>::MAX);
                Ok(())
            },
        }
    };
}

/// A limit of the compact form of collections, in elements or bytes.
macro_rules! limit {
    ($name:literal, $kind:ident, $field:ident) => {
        Field {
            name: $name,
            get: |config| Setting::$kind(config.limits.$field.try_into().unwrap_or_default()),
            set: |config, setting| {
                config.limits.$field = match setting {
                    Setting::Bytes(bytes) => usize::try_from(*bytes).unwrap_or(usize::MAX),
                    other => usize::try_from(number(other)).unwrap_or(usize::MAX),
                };
                Ok(())
            },
        }
    };
}

macro_rules! bytes {
    ($name:literal, $field:ident) => {
        Field {
            name: $name,
            get: |config| Setting::Bytes(config.$field),
            set: |config, setting| {
                if let Setting::Bytes(bytes) = setting {
                    config.$field = *bytes;
                }
                Ok(())
            },
        }
    };
}

macro_rules! text {
    ($name:literal, $field:ident) => {
        Field {
            name: $name,
            get: |config| Setting::Text(config.$field.clone()),
            set: |config, setting| {
                config.$field = setting.to_string().into();
                Ok(())
            },
        }
    };
}

/// A text, of which an empty one is none.
macro_rules! some_text {
    ($name:literal, $field:ident) => {
        Field {
            name: $name,
            get: |config| Setting::Text(config.$field.clone().unwrap_or_default()),
            set: |config, setting| {
                let text = setting.to_string();
                config.$field = (!text.is_empty()).then(|| text.into());
                Ok(())
            },
        }
    };
}

macro_rules! choice {
    ($name:literal, $field:ident: $type:ty) => {
        Field {
            name: $name,
            get: |config| Setting::Text(config.$field.name().into()),
            set: |config, setting| {
                if let Some(choice) = <$type>::from_name(&setting.to_string()) {
                    config.$field = choice;
                }
                Ok(())
            },
        }
    };
}

static FIELDS: &[Field] = &[
    Field {
        name: "cluster-announce-ip",
        get: |config| Setting::Text(crate::nodes_conf::ip_text(config.announce_ip).into()),
        set: set_announce_ip,
    },
    some_text!("cluster-announce-hostname", announce_hostname),
    Field {
        name: "port",
        get: |config| Setting::Number(config.port.into()),
        set: |config, setting| {
            config.port = port(setting);
            config.derive_bus_port();
            Ok(())
        },
    },
    Field {
        name: "cluster-port",
        get: |config| Setting::Number(config.cluster_port.into()),
        set: |config, setting| {
            config.cluster_port = port(setting);
            config.derive_bus_port();
            Ok(())
        },
    },
    text!("cluster-config-file", cluster_config_file),
    number!("cluster-node-timeout", cluster_node_timeout_ms: i64),
    number!("cluster-replica-validity-factor", cluster_replica_validity_factor: i64),
    number!("cluster-migration-barrier", cluster_migration_barrier: u16),
    flag!(
        "cluster-allow-replica-migration",
        cluster_allow_replica_migration
    ),
    flag!(
        "cluster-require-full-coverage",
        cluster_require_full_coverage
    ),
    flag!("cluster-replica-no-failover", cluster_replica_no_failover),
    flag!(
        "cluster-allow-reads-when-down",
        cluster_allow_reads_when_down
    ),
    flag!(
        "cluster-allow-pubsubshard-when-down",
        cluster_allow_pubsubshard_when_down
    ),
    number!("cluster-announce-port", cluster_announce_port: u16),
    number!("cluster-announce-bus-port", cluster_announce_bus_port: u16),
    bytes!(
        "cluster-link-sendbuf-limit",
        cluster_link_sendbuf_limit_bytes
    ),
    choice!("cluster-preferred-endpoint-type", cluster_preferred_endpoint_type: EndpointType),
    number!("repl-ping-replica-period", repl_ping_replica_period_s: i64),
    number!("repl-timeout", repl_timeout_s: i64),
    bytes!("repl-backlog-size", repl_backlog_size_bytes),
    number!("repl-backlog-ttl", repl_backlog_ttl_s: i64),
    flag!("repl-diskless-sync", repl_diskless_sync),
    number!("repl-diskless-sync-delay", repl_diskless_sync_delay_s: i64),
    number!("replica-priority", replica_priority: i64),
    flag!("replica-serve-stale-data", replica_serve_stale_data),
    flag!("replica-read-only", replica_read_only),
    flag!("replica-ignore-maxmemory", replica_ignore_maxmemory),
    number!("min-replicas-to-write", min_replicas_to_write: u16),
    number!("min-replicas-max-lag", min_replicas_max_lag_s: i64),
    some_text!("masterauth", masterauth),
    some_text!("masteruser", masteruser),
    some_text!("requirepass", requirepass),
    Field {
        name: "hz",
        get: |config| Setting::Number(config.hz.into()),
        // Redis takes any number and then brings it into its range.
        set: |config, setting| {
            config.hz = number(setting).clamp(1, 500) as u16;
            Ok(())
        },
    },
    flag!("dynamic-hz", dynamic_hz),
    flag!("appendonly", appendonly),
    choice!("appendfsync", appendfsync: AppendFsync),
    text!("appendfilename", appendfilename),
    text!("appenddirname", appenddirname),
    flag!("no-appendfsync-on-rewrite", no_appendfsync_on_rewrite),
    Field {
        name: "save",
        get: |config| Setting::Words(config.save.iter().flat_map(save_words).collect()),
        set: |config, setting| {
            config.save = save_points(setting);
            Ok(())
        },
    },
    text!("dbfilename", dbfilename),
    text!("dir", dir),
    choice!("enable-debug-command", enable_debug_command: ProtectedAction),
    bytes!("maxmemory", maxmemory_bytes),
    choice!("maxmemory-policy", maxmemory_policy: MaxmemoryPolicy),
    number!("slowlog-log-slower-than", slowlog_log_slower_than_us: i64),
    number!("maxmemory-samples", maxmemory_samples: u32),
    number!("lfu-log-factor", lfu_log_factor: u32),
    number!("lfu-decay-time", lfu_decay_time_min: u32),
    limit!("hash-max-listpack-entries", Number, hash_entries),
    limit!("hash-max-listpack-value", Bytes, hash_value_bytes),
    limit!("set-max-intset-entries", Number, intset_entries),
    limit!("zset-max-listpack-entries", Number, sorted_set_entries),
    limit!("zset-max-listpack-value", Bytes, sorted_set_value_bytes),
    Field {
        name: "bind",
        get: |config| Setting::Words(config.bind.clone()),
        set: |config, setting| {
            config.bind = words(setting).to_vec();
            Ok(())
        },
    },
    flag!("protected-mode", protected_mode),
    number!("tcp-backlog", tcp_backlog: u32),
    number!("tcp-keepalive", tcp_keepalive_s: i64),
    number!("timeout", timeout_s: i64),
    number!("maxclients", maxclients: u32),
    bytes!("proto-max-bulk-len", proto_max_bulk_len_bytes),
    bytes!("client-query-buffer-limit", client_query_buffer_limit_bytes),
    Field {
        name: "client-output-buffer-limit",
        get: |config| Setting::Words(config.client_output_buffer_limit.words()),
        set: |config, setting| {
            config.client_output_buffer_limit = OutputLimits::from_words(words(setting));
            Ok(())
        },
    },
    flag!("daemonize", daemonize),
    some_text!("pidfile", pidfile),
    text!("logfile", logfile),
    choice!("loglevel", loglevel: LogLevel),
];

fn set_announce_ip(config: &mut Config, setting: &Setting) -> Result<(), Reason> {
    let text = setting.to_string();
    config.announce_ip = if text.is_empty() {
        None
    } else {
        let reason = "argument must be an IPv4 or IPv6 address";
        Some(text.parse().map_err(|_| reason)?)
    };
    Ok(())
}

fn number(setting: &Setting) -> i64 {
    match setting {
        Setting::Number(number) => *number,
        Setting::Flag(_) | Setting::Bytes(_) | Setting::Text(_) | Setting::Words(_) => 0,
    }
}

fn port(setting: &Setting) -> u16 {
    u16::try_from(number(setting)).unwrap_or(u16::MAX)
}

fn words(setting: &Setting) -> &[Box<str>] {
    match setting {
        Setting::Words(words) => words,
        Setting::Flag(_) | Setting::Bytes(_) | Setting::Text(_) | Setting::Number(_) => &[],
    }
}

fn save_points(setting: &Setting) -> Vec<SavePoint> {
    let numbers: Vec<u64> = words(setting)
        .iter()
        .filter_map(|word| word.parse().ok())
        .collect();
    let point = |pair: &[u64]| SavePoint {
        after_s: pair[0],
        changes: pair[1],
    };
    numbers.chunks_exact(2).map(point).collect()
}

fn save_words(point: &SavePoint) -> [Box<str>; 2] {
    [point.after_s, point.changes].map(|number| number.to_string().into())
}
