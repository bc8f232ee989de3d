//! The configuration: directives of `redis.conf`, by their own names.

mod choices;
mod directive;
mod error;
mod fields;
mod file;
mod host;
mod output_limits;
mod renames;
mod rewrite;
mod special;
mod suggest;
mod table;
#[cfg(test)]
mod tests;

use std::collections::BTreeMap;
use std::net::IpAddr;

use crate::engine::{Bug, Engine};
use crate::log_words::LogLevel;
use crate::store::Limits;

pub use choices::{AppendFsync, EndpointType, MaxmemoryPolicy, ProtectedAction};
use directive::Reason;
pub use directive::{Change, Directive, Setting, Values, memory_bytes};
pub use error::DirectiveError;
pub use file::{ConfigFileError, Warning, WarningKind};
pub use host::Host;
pub use output_limits::{ClientClass, OutputLimit, OutputLimits};
pub use renames::Renames;
pub use rewrite::quoted;

/// What the bus port is above the client port (`CLUSTER_PORT_INCR`).
const BUS_PORT_OFFSET: u16 = 10_000;

/// What configures a node. Fields are named after the directives; units last.
#[derive(Clone, PartialEq, Debug)]
pub struct Config {
    /// Which server's behaviour.
    pub engine: Engine,
    /// Planted bugs, for testing checkers only.
    pub bugs: Vec<Bug>,
    /// `bind`/announce address this node knows of itself; `None`: learned from a MEET.
    pub announce_ip: Option<IpAddr>,
    /// `cluster-announce-hostname`.
    pub announce_hostname: Option<Box<str>>,
    /// `port`.
    pub port: u16,
    /// `cluster-port`; by default `port + 10000`.
    pub bus_port: u16,
    /// `cluster-node-timeout`, ms.
    pub cluster_node_timeout_ms: i64,
    /// `cluster-replica-validity-factor`.
    pub cluster_replica_validity_factor: i64,
    /// `cluster-migration-barrier`.
    pub cluster_migration_barrier: u16,
    /// `cluster-allow-replica-migration`.
    pub cluster_allow_replica_migration: bool,
    /// `cluster-require-full-coverage`.
    pub cluster_require_full_coverage: bool,
    /// `cluster-replica-no-failover`.
    pub cluster_replica_no_failover: bool,
    /// `cluster-allow-reads-when-down`.
    pub cluster_allow_reads_when_down: bool,
    /// `repl-ping-replica-period`, s.
    pub repl_ping_replica_period_s: i64,
    /// `repl-timeout`, s.
    pub repl_timeout_s: i64,
    /// `repl-backlog-size`, bytes.
    pub repl_backlog_size_bytes: u64,
    /// `repl-diskless-sync-delay`, s.
    pub repl_diskless_sync_delay_s: i64,
    /// `min-replicas-to-write`.
    pub min_replicas_to_write: u16,
    /// `min-replicas-max-lag`, s.
    pub min_replicas_max_lag_s: i64,
    /// `replica-serve-stale-data`.
    pub replica_serve_stale_data: bool,
    /// `hz`, per second.
    pub hz: u16,
    /// How long `serverCron` runs, microseconds. Its timer is armed again when it has run
    /// (`processTimeEvents`). For a world in which computing takes no time; a real process needs
    /// it by itself.
    pub cron_takes_us: u32,
    /// `appendonly`.
    pub appendonly: bool,
    /// `appendfsync`.
    pub appendfsync: AppendFsync,
    /// `enable-debug-command`.
    pub enable_debug_command: ProtectedAction,
    /// `maxmemory`, bytes; 0: unlimited.
    pub maxmemory_bytes: u64,
    /// `cluster-port`; 0: `port + 10000`. [`Self::bus_port`] follows it.
    pub cluster_port: u16,
    /// `cluster-config-file`, a name in [`Self::dir`].
    pub cluster_config_file: Box<str>,
    /// `cluster-allow-pubsubshard-when-down`.
    pub cluster_allow_pubsubshard_when_down: bool,
    /// `cluster-announce-port`; 0: `port`.
    pub cluster_announce_port: u16,
    /// `cluster-announce-bus-port`; 0: the bus port.
    pub cluster_announce_bus_port: u16,
    /// `cluster-link-sendbuf-limit`, bytes; 0: unlimited.
    pub cluster_link_sendbuf_limit_bytes: u64,
    /// `cluster-preferred-endpoint-type`.
    pub cluster_preferred_endpoint_type: EndpointType,
    /// `repl-backlog-ttl`, s; 0: for ever.
    pub repl_backlog_ttl_s: i64,
    /// `repl-diskless-sync`.
    pub repl_diskless_sync: bool,
    /// `replica-priority`.
    pub replica_priority: i64,
    /// `replica-read-only`.
    pub replica_read_only: bool,
    /// `replica-ignore-maxmemory`.
    pub replica_ignore_maxmemory: bool,
    /// `masterauth`.
    pub masterauth: Option<Box<str>>,
    /// `masteruser`.
    pub masteruser: Option<Box<str>>,
    /// `requirepass`.
    pub requirepass: Option<Box<str>>,
    /// `dynamic-hz`.
    pub dynamic_hz: bool,
    /// `appendfilename`.
    pub appendfilename: Box<str>,
    /// `appenddirname`, a name in [`Self::dir`].
    pub appenddirname: Box<str>,
    /// `no-appendfsync-on-rewrite`.
    pub no_appendfsync_on_rewrite: bool,
    /// `save`.
    pub save: Vec<SavePoint>,
    /// `dbfilename`, a name in [`Self::dir`].
    pub dbfilename: Box<str>,
    /// `dir`.
    pub dir: Box<str>,
    /// `maxmemory-policy`.
    pub maxmemory_policy: MaxmemoryPolicy,
    /// `maxmemory-samples`.
    pub maxmemory_samples: u32,
    /// `slowlog-log-slower-than`, µs: commands that take as long are kept in the slow log; none are
    /// if it is negative. Looked at after every command.
    pub slowlog_log_slower_than_us: i64,
    /// `lfu-log-factor`.
    pub lfu_log_factor: u32,
    /// `lfu-decay-time`, min.
    pub lfu_decay_time_min: u32,
    /// `hash-max-listpack-entries` and the like.
    pub limits: Limits,
    /// `bind`: addresses to listen on; `-` before one lets it be missing.
    pub bind: Vec<Box<str>>,
    /// `protected-mode`.
    pub protected_mode: bool,
    /// `tcp-backlog`.
    pub tcp_backlog: u32,
    /// `tcp-keepalive`, s; 0: off.
    pub tcp_keepalive_s: i64,
    /// `timeout` of idle clients, s; 0: never.
    pub timeout_s: i64,
    /// `maxclients`.
    pub maxclients: u32,
    /// `proto-max-bulk-len`, bytes.
    pub proto_max_bulk_len_bytes: u64,
    /// `client-query-buffer-limit`, bytes.
    pub client_query_buffer_limit_bytes: u64,
    /// `daemonize`.
    pub daemonize: bool,
    /// `pidfile`.
    pub pidfile: Option<Box<str>>,
    /// `logfile`; empty: standard output.
    pub logfile: Box<str>,
    /// `loglevel`.
    pub loglevel: LogLevel,
    /// `client-output-buffer-limit`.
    pub client_output_buffer_limit: OutputLimits,
    /// `rename-command`.
    pub renames: Renames,
    /// The process around the node. No directive: whoever starts a node says it.
    pub host: Host,
    /// Every other directive that was set.
    pub settings: Settings,
}

/// Directives that are no fields of [`Config`], as far as they were set. Read them with
/// [`Config::setting`], which knows the defaults.
#[derive(Clone, PartialEq, Debug, Default)]
pub struct Settings(BTreeMap<&'static str, Setting>);

/// One point of `save`: the keyspace is saved `after_s` seconds after `changes` changes.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct SavePoint {
    /// Seconds since the last save, at least.
    pub after_s: u64,
    /// Changes since the last save, at least.
    pub changes: u64,
}

impl SavePoint {
    const DEFAULT: [Self; 3] = [
        Self::new(3600, 1),
        Self::new(300, 100),
        Self::new(60, 10_000),
    ];

    const fn new(after_s: u64, changes: u64) -> Self {
        Self { after_s, changes }
    }
}

impl Default for Config {
    fn default() -> Self {
        Self {
            engine: Engine::default(),
            bugs: Vec::new(),
            announce_ip: None,
            announce_hostname: None,
            port: 6379,
            bus_port: 16379,
            cluster_node_timeout_ms: 15_000,
            cluster_replica_validity_factor: 10,
            cluster_migration_barrier: 1,
            cluster_allow_replica_migration: true,
            cluster_require_full_coverage: true,
            cluster_replica_no_failover: false,
            cluster_allow_reads_when_down: false,
            repl_ping_replica_period_s: 10,
            repl_timeout_s: 60,
            repl_backlog_size_bytes: 1 << 20,
            repl_diskless_sync_delay_s: 5,
            min_replicas_to_write: 0,
            min_replicas_max_lag_s: 10,
            replica_serve_stale_data: true,
            hz: 10,
            cron_takes_us: 0,
            appendonly: false,
            appendfsync: AppendFsync::Everysec,
            enable_debug_command: ProtectedAction::Yes,
            maxmemory_bytes: 0,
            cluster_port: 0,
            cluster_config_file: "nodes.conf".into(),
            cluster_allow_pubsubshard_when_down: true,
            cluster_announce_port: 0,
            cluster_announce_bus_port: 0,
            cluster_link_sendbuf_limit_bytes: 0,
            cluster_preferred_endpoint_type: EndpointType::Ip,
            repl_backlog_ttl_s: 3600,
            repl_diskless_sync: true,
            replica_priority: 100,
            replica_read_only: true,
            replica_ignore_maxmemory: true,
            masterauth: None,
            masteruser: None,
            requirepass: None,
            dynamic_hz: true,
            appendfilename: "appendonly.aof".into(),
            appenddirname: "appendonlydir".into(),
            no_appendfsync_on_rewrite: false,
            save: SavePoint::DEFAULT.to_vec(),
            dbfilename: "dump.rdb".into(),
            dir: ".".into(),
            maxmemory_policy: MaxmemoryPolicy::Noeviction,
            maxmemory_samples: 5,
            slowlog_log_slower_than_us: 10_000,
            lfu_log_factor: 10,
            lfu_decay_time_min: 1,
            limits: Limits::DEFAULT,
            bind: ["*", "-::*"].map(Box::from).to_vec(),
            protected_mode: true,
            tcp_backlog: 511,
            tcp_keepalive_s: 300,
            timeout_s: 0,
            maxclients: 10_000,
            proto_max_bulk_len_bytes: 512 << 20,
            client_query_buffer_limit_bytes: 1 << 30,
            daemonize: false,
            pidfile: None,
            logfile: "".into(),
            loglevel: LogLevel::Notice,
            client_output_buffer_limit: OutputLimits::default(),
            renames: Renames::default(),
            host: Host::default(),
            settings: Settings::default(),
        }
    }
}

impl Config {
    /// Every directive of Redis 7.0.
    #[must_use]
    pub fn directives() -> &'static [Directive] {
        table::DIRECTIVES
    }

    /// The directive of a name, present or older, in any case.
    #[must_use]
    pub fn directive(name: &str) -> Option<&'static Directive> {
        let same = |known: &str| known.eq_ignore_ascii_case(name);
        Self::directives()
            .iter()
            .find(|directive| same(directive.name) || directive.alias.is_some_and(same))
    }

    /// The name of a directive that was probably meant by a name that is none.
    #[must_use]
    pub fn suggest(name: &str) -> Option<&'static str> {
        let names = Self::directives().iter();
        let all = names.flat_map(|directive| [Some(directive.name), directive.alias]);
        suggest::nearest(name, all.flatten())
    }

    /// Sets a directive. Several words are parted by blanks; an empty value stands for none.
    ///
    /// # Errors
    /// [`DirectiveError`] if there is no such directive, or it does not take the value; then
    /// nothing has changed.
    pub fn set(&mut self, name: &str, value: &str) -> Result<(), DirectiveError> {
        let several = Self::directive(name).is_some_and(|directive| directive.words);
        if several && !value.is_empty() {
            let words: Vec<&str> = value.split(' ').filter(|word| !word.is_empty()).collect();
            self.set_words(name, &words)
        } else {
            self.set_words(name, &[value])
        }
    }

    /// Sets a directive as `CONFIG SET` does. The caller undoes earlier changes of the same
    /// command if this fails.
    ///
    /// # Errors
    /// As [`Config::set`]; also if the directive may not be changed while the server runs.
    pub fn set_at_run_time(&mut self, name: &str, value: &str) -> Result<(), DirectiveError> {
        let directive = Self::directive(name).ok_or_else(|| unknown(name))?;
        let allowed = match directive.change {
            Change::AtRunTime => Ok(()),
            Change::AtStart => Err("can't set immutable config"),
            Change::Protected if self.text_of("enable-protected-configs") != "no" => Ok(()),
            Change::Protected => Err("can't set protected config"),
        };
        allowed.map_err(|reason| DirectiveError::NotAtRunTime {
            name: name.to_owned(),
            reason,
        })?;
        self.set(name, value)
    }

    /// The value of a directive as `CONFIG GET` shows it; `None` if there is no such directive.
    #[must_use]
    pub fn get(&self, name: &str) -> Option<String> {
        self.setting(name).map(|setting| setting.to_string())
    }

    /// The value of a directive; `None` if there is no such directive.
    #[must_use]
    pub fn setting(&self, name: &str) -> Option<Setting> {
        Self::directive(name).map(|directive| self.setting_of(directive))
    }

    fn setting_of(&self, directive: &Directive) -> Setting {
        if let Some(field) = fields::of(directive.name) {
            return (field.get)(self);
        }
        let set = self.settings.0.get(directive.name).cloned();
        set.unwrap_or_else(|| directive.default_setting())
    }

    /// The number a directive is set to; 0 if it is no number.
    pub(crate) fn number_of(&self, name: &str) -> i64 {
        match self.setting(name) {
            Some(Setting::Number(number)) => number,
            Some(Setting::Flag(_) | Setting::Bytes(_) | Setting::Text(_) | Setting::Words(_))
            | None => 0,
        }
    }

    pub(crate) fn text_of(&self, name: &str) -> String {
        self.get(name).unwrap_or_default()
    }

    fn set_words(&mut self, name: &str, words: &[&str]) -> Result<(), DirectiveError> {
        let directive = Self::directive(name).ok_or_else(|| unknown(name))?;
        let read = directive.read(words, &self.setting_of(directive));
        let set = read.and_then(|setting| match fields::of(directive.name) {
            Some(field) => (field.set)(self, &setting),
            None => {
                self.settings.0.insert(directive.name, setting);
                Ok(())
            }
        });
        set.map_err(|reason: Reason| DirectiveError::Value {
            name: name.to_owned(),
            value: words.join(" "),
            allowed: directive.allowed_beside(&reason),
            reason,
        })
    }

    /// The client port that others are told (`deriveAnnouncedPorts`).
    #[must_use]
    pub const fn announced_port(&self) -> u16 {
        match self.cluster_announce_port {
            0 => self.port,
            port => port,
        }
    }

    /// The bus port that others are told.
    #[must_use]
    pub const fn announced_bus_port(&self) -> u16 {
        match self.cluster_announce_bus_port {
            0 => self.bus_port,
            port => port,
        }
    }

    /// Sets the bus port that follows from `port` and `cluster-port`.
    fn derive_bus_port(&mut self) {
        self.bus_port = match self.cluster_port {
            0 => self.port.saturating_add(BUS_PORT_OFFSET),
            port => port,
        };
    }

    /// Checks that there is a bus port for the client port (`clusterInit`).
    fn check_ports(&self) -> Result<(), &'static str> {
        if self.cluster_port == 0 && self.port > u16::MAX - BUS_PORT_OFFSET {
            return Err(
                "Redis port number too high. Cluster communication port is 10,000 port \
                 numbers higher than your Redis port. Your Redis port number must be 55535 or \
                 less.",
            );
        }
        Ok(())
    }

    /// Whether a bug is planted.
    #[must_use]
    pub fn has_bug(&self, bug: Bug) -> bool {
        self.bugs.contains(&bug)
    }
}

fn unknown(name: &str) -> DirectiveError {
    DirectiveError::Unknown {
        name: name.to_owned(),
        suggestion: Config::suggest(name),
    }
}
