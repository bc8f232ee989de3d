//! `INFO`: what the node knows of itself. Fields of which a node without process, allocator and
//! disk of its own knows nothing are left out.

use std::fmt::{Display, Write};

use super::call::Call;
use super::error::Outcome;
use super::follows_master;
use super::server::replica_host;
use super::spec::{Categories, Flags, Spec, command, numbered};
use crate::clients::Topic;
use crate::node::Node;
use crate::persistence;
use crate::replication::{self, LinkState, ReplicaState};
use crate::reply::Reply;

pub(super) const COMMANDS: &[Spec] =
    &[
        command("info", -1, Flags::LOADING.union(Flags::STALE), info)
            .about("server", "1.0.0", "Tells what the node knows of itself.")
            .categories(Categories::DANGEROUS)
            .tips(&[
                "nondeterministic_output",
                "request_policy:all_shards",
                "response_policy:special",
            ]),
    ];

/// A section: its name, whether it is shown unasked, its title, and what it says.
struct Section {
    name: &'static str,
    by_default: bool,
    title: &'static str,
    write: fn(&Node, &mut Fields),
}

const SECTIONS: &[Section] = &[
    section("server", true, "Server", server),
    section("clients", true, "Clients", clients),
    section("memory", true, "Memory", memory),
    section("persistence", true, "Persistence", persistence),
    section("stats", true, "Stats", stats),
    section("replication", true, "Replication", replication),
    section("modules", true, "Modules", |_, _| {}),
    section("commandstats", false, "Commandstats", command_stats),
    section("errorstats", true, "Errorstats", error_stats),
    section("cluster", true, "Cluster", |_, fields| {
        fields.put("cluster_enabled", 1);
    }),
    section("keyspace", true, "Keyspace", keyspace),
];

const fn section(
    name: &'static str,
    by_default: bool,
    title: &'static str,
    write: fn(&Node, &mut Fields),
) -> Section {
    Section {
        name,
        by_default,
        title,
        write,
    }
}

/// The lines of a section.
#[derive(Default)]
struct Fields(String);

impl Fields {
    fn put(&mut self, name: impl Display, value: impl Display) {
        // Writing to a string cannot fail.
        let _infallible = write!(self.0, "{name}:{value}\r\n");
    }
}

fn info(call: &mut Call<'_>) -> Outcome {
    let asked = &call.words[1..];
    let is_asked = |name: &str| {
        asked
            .iter()
            .any(|word| word.eq_ignore_ascii_case(name.as_bytes()))
    };
    let all = is_asked("all") || is_asked("everything");
    let default = asked.is_empty() || is_asked("default");
    let mut out = Fields::default();
    for section in SECTIONS {
        let is_wanted = all || (default && section.by_default) || is_asked(section.name);
        if !is_wanted {
            continue;
        }
        if !out.0.is_empty() {
            out.0.push_str("\r\n");
        }
        out.0.push_str(&format!("# {}\r\n", section.title));
        (section.write)(call.node, &mut out);
    }
    Ok(Reply::Verbatim(out.0))
}

fn server(node: &Node, out: &mut Fields) {
    let now = node.wall();
    let uptime_s = now.since_ms(node.cluster.myself().created).max(0) / 1000;
    let engine = node.config.engine;
    out.put("redis_version", engine.redis_version());
    if engine.version() != engine.redis_version() {
        out.put("server_name", engine.server());
        out.put("valkey_version", engine.version());
    }
    let host = &node.config.host;
    out.put("redis_mode", "cluster");
    if host.process_id > 0 {
        out.put("os", &host.os);
    }
    out.put("arch_bits", 64);
    if host.process_id > 0 {
        out.put("process_id", host.process_id);
        out.put("process_supervised", "no");
        out.put("run_id", &host.run_id);
    }
    out.put("tcp_port", node.config.port);
    out.put("server_time_usec", now.0 * 1000);
    out.put("uptime_in_seconds", uptime_s);
    out.put("uptime_in_days", uptime_s / (24 * 3600));
    out.put("hz", node.config.hz);
    out.put("configured_hz", node.config.hz);
    if host.process_id > 0 {
        let config_file = host.config_file.as_deref().unwrap_or_default();
        out.put("executable", &host.executable);
        out.put("config_file", config_file);
    }
}

fn clients(node: &Node, out: &mut Fields) {
    let clients = &node.clients;
    let replicas = node.replication.replicas();
    let attached = replicas
        .filter(|(_, replica)| replica.is_attached())
        .count();
    out.put("connected_clients", clients.len().saturating_sub(attached));
    out.put("cluster_connections", node.cluster.link_count());
    out.put("maxclients", node.config.maxclients);
    out.put("blocked_clients", clients.blocked_count());
    out.put("tracking_clients", 0);
    out.put("clients_in_timeout_table", clients.with_deadline_count());
}

fn memory(node: &Node, out: &mut Fields) {
    let used = node.store.used_bytes() as u64;
    out.put("used_memory", used);
    out.put("used_memory_human", human(used));
    let peak = used.max(node.clients.stats.peak_bytes as u64);
    out.put("used_memory_peak", peak);
    out.put("used_memory_peak_human", human(peak));
    out.put("used_memory_peak_perc", percentage(used, peak));
    let overhead = node.store.overhead_bytes() as u64;
    out.put("used_memory_overhead", overhead);
    out.put("used_memory_dataset", used - overhead);
    out.put(
        "used_memory_dataset_perc",
        percentage(used - overhead, used),
    );
    out.put("maxmemory", node.config.maxmemory_bytes);
    out.put("maxmemory_human", human(node.config.maxmemory_bytes));
    out.put("maxmemory_policy", node.config.maxmemory_policy.name());
    let backlog = node.replication.backlog();
    out.put("mem_replication_backlog", backlog.map_or(0, |(_, len)| len));
}

fn percentage(part: u64, whole: u64) -> String {
    format!("{:.2}%", part as f64 * 100.0 / whole.max(1) as f64)
}

/// `bytesToHuman`.
fn human(bytes: u64) -> String {
    let units = ['K', 'M', 'G', 'T', 'P'];
    if bytes < 1024 {
        return format!("{bytes}B");
    }
    let power = (bytes.ilog2() / 10).min(units.len() as u32);
    let amount = bytes as f64 / 1024_f64.powi(power as i32);
    format!("{amount:.2}{}", units[power as usize - 1])
}

fn persistence(node: &Node, out: &mut Fields) {
    for (name, value) in persistence::info(node) {
        out.put(name, value);
    }
}

fn stats(node: &Node, out: &mut Fields) {
    let (stats, replication) = (&node.clients.stats, &node.replication);
    out.put("total_connections_received", stats.connections);
    out.put("total_commands_processed", stats.commands);
    out.put("instantaneous_ops_per_sec", stats.commands_per_s());
    out.put("total_net_input_bytes", stats.input_bytes);
    out.put("rejected_connections", stats.rejected_connections);
    out.put("sync_full", replication.full_syncs);
    out.put("sync_partial_ok", replication.partial_syncs);
    out.put("sync_partial_err", replication.refused_partial_syncs);
    out.put("expired_keys", stats.expired_keys);
    out.put("evicted_keys", stats.evicted_keys);
    out.put("keyspace_hits", stats.keyspace_hits);
    out.put("keyspace_misses", stats.keyspace_misses);
    let subscriptions = &node.clients.subscriptions;
    for (name, topic) in [
        ("pubsub_channels", Topic::Channel),
        ("pubsub_patterns", Topic::Pattern),
        ("pubsubshard_channels", Topic::ShardChannel),
    ] {
        out.put(name, subscriptions.of(topic).count());
    }
    out.put("total_error_replies", stats.errors);
}

fn replication(node: &Node, out: &mut Fields) {
    if follows_master(node) {
        out.put("role", "slave");
        followed_master(node, out);
    } else {
        out.put("role", "master");
    }
    replicas(node, out);
    let replication = &node.replication;
    let (previous_id, forked_at) = replication.previous();
    let backlog = replication.backlog();
    out.put("master_failover_state", "no-failover");
    out.put("master_replid", replication.id());
    out.put("master_replid2", previous_id);
    out.put("master_repl_offset", replication.own_offset());
    match forked_at {
        Some(offset) => out.put("second_repl_offset", offset),
        None => out.put("second_repl_offset", -1),
    }
    out.put("repl_backlog_active", u8::from(backlog.is_some()));
    out.put("repl_backlog_size", node.config.repl_backlog_size_bytes);
    let (first, len) = backlog.unwrap_or_default();
    out.put("repl_backlog_first_byte_offset", first);
    out.put("repl_backlog_histlen", len);
}

fn followed_master(node: &Node, out: &mut Fields) {
    let replication = &node.replication;
    let Some((master, last_heard_s)) = replication.master() else {
        return;
    };
    let (now_s, up) = (node.unix_s(), replication.link_up());
    out.put("master_host", master.ip());
    out.put("master_port", master.port());
    out.put("master_link_status", if up { "up" } else { "down" });
    let silence_s = if up { now_s - last_heard_s } else { -1 };
    out.put("master_last_io_seconds_ago", silence_s);
    let in_transfer = replication.link_state() == Some(LinkState::Transfer);
    out.put("master_sync_in_progress", u8::from(in_transfer));
    let offset = replication::offset(node);
    out.put("slave_read_repl_offset", offset);
    out.put("slave_repl_offset", offset);
    if !up {
        let down_since_s = match replication.down_since_s() {
            0 => -1,
            since_s => now_s - since_s,
        };
        out.put("master_link_down_since_seconds", down_since_s);
    }
    out.put("slave_priority", 100);
    out.put("slave_read_only", 1);
    out.put("replica_announced", 1);
}

fn replicas(node: &Node, out: &mut Fields) {
    let attached: Vec<_> = node
        .replication
        .replicas()
        .filter(|(_, replica)| replica.is_attached())
        .collect();
    out.put("connected_slaves", attached.len());
    let config = &node.config;
    if config.min_replicas_to_write > 0 && config.min_replicas_max_lag_s > 0 {
        out.put("min_slaves_good_slaves", replication::good_replicas(node));
    }
    for (number, (client, replica)) in attached.into_iter().enumerate() {
        let (state, lag_s) = match replica.state {
            ReplicaState::Online => ("online", node.unix_s() - replica.acknowledged_s),
            ReplicaState::WaitsForSnapshot(_) | ReplicaState::Introduced => ("wait_bgsave", 0),
        };
        let host = replica_host(node, client, replica).unwrap_or_default();
        let (port, offset) = (replica.port, replica.acknowledged);
        out.put(
            format_args!("slave{number}"),
            format_args!("ip={host},port={port},state={state},offset={offset},lag={lag_s}"),
        );
    }
}

/// Where the node is told of no time that commands take, the microseconds read zero.
fn command_stats(node: &Node, out: &mut Fields) {
    for (number, stats) in node.clients.stats.commands() {
        let name = numbered(number).map_or("", |spec| spec.name);
        let (calls, rejected, failed) = (stats.calls, stats.rejected, stats.failed);
        let took_us = stats.took_us;
        let each_us = took_us as f64 / calls.max(1) as f64;
        out.put(
            format_args!("cmdstat_{name}"),
            format_args!(
                "calls={calls},usec={took_us},usec_per_call={each_us:.2},\
                 rejected_calls={rejected},failed_calls={failed}"
            ),
        );
    }
}

fn error_stats(node: &Node, out: &mut Fields) {
    for (code, count) in &node.clients.stats.errors_by_code {
        out.put(
            format_args!("errorstat_{code}"),
            format_args!("count={count}"),
        );
    }
}

fn keyspace(node: &Node, out: &mut Fields) {
    let store = &node.store;
    if !store.is_empty() {
        let (keys, expires) = (store.len(), store.expiring_len());
        let avg_ttl = store.mean_ttl_ms(node.wall());
        out.put(
            "db0",
            format_args!("keys={keys},expires={expires},avg_ttl={avg_ttl}"),
        );
    }
}
