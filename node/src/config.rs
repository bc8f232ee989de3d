//! The configuration: directives of `redis.conf`, by their own names.

use std::net::IpAddr;

use crate::engine::{Bug, Engine};

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
    /// `appendonly`.
    pub appendonly: bool,
    /// `appendfsync`.
    pub appendfsync: AppendFsync,
    /// `enable-debug-command`.
    pub enable_debug_command: bool,
    /// `maxmemory`, bytes; 0: unlimited.
    pub maxmemory_bytes: u64,
}

/// `appendfsync`.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum AppendFsync {
    /// After every turn that wrote.
    Always,
    /// Once a second.
    Everysec,
    /// When the system likes.
    No,
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
            appendonly: false,
            appendfsync: AppendFsync::Everysec,
            enable_debug_command: true,
            maxmemory_bytes: 0,
        }
    }
}

impl Config {
    /// Whether a bug is planted.
    #[must_use]
    pub fn has_bug(&self, bug: Bug) -> bool {
        self.bugs.contains(&bug)
    }
}
