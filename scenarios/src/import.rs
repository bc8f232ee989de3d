//! From a real cluster to a drill: `CLUSTER NODES` or a `nodes.conf` in, a drill file out.

use std::collections::BTreeMap;
use std::fmt::Write;
use std::net::IpAddr;

use crate::drill::{BadDrill, Draft, Mistake, Mistakes, Sources, visible};
use redrill_node::nodes_conf::{NodesConfError, parse_cluster_nodes};
use redrill_node::{NodeFlags, NodeId, SavedNode, SavedState};

/// A zone, and which nodes stand in it: `NAME=host[:port],...`.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct ZoneRule {
    name: String,
    patterns: Vec<String>,
}

/// Why nothing can be imported.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
pub enum ImportError {
    /// The text is not what a node writes.
    #[error(transparent)]
    Unreadable(#[from] NodesConfError),
    /// The file is empty.
    #[error("the file is empty: give a nodes.conf, or all that CLUSTER NODES prints")]
    Empty,
    /// Every node in it is one that a drill cannot have.
    #[error("no node in it has an address")]
    NoNodes,
    /// A replica's master is not among the nodes.
    #[error("line of {replica}: its master {master} is not among the nodes")]
    MasterMissing {
        /// Address of the replica.
        replica: String,
        /// The id it replicates.
        master: NodeId,
    },
    /// Nodes that no `--zone` speaks of.
    #[error("no --zone speaks of {}", .0.join(", "))]
    NoZone(Vec<String>),
    /// A node that several speak of.
    #[error("{node} stands in two zones: {first} and {second}")]
    TwoZones {
        /// The node.
        node: String,
        /// The first zone.
        first: String,
        /// The second zone.
        second: String,
    },
    /// A part of a `--zone` that speaks of no node.
    #[error("--zone {zone}: no node is at `{pattern}`")]
    NobodyThere {
        /// The zone.
        zone: String,
        /// The part.
        pattern: String,
    },
}

/// A `--zone` is not written as it should be.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
#[error("expected NAME=host[:port],... as in a=10.0.0.1,10.0.0.2:7001")]
pub struct BadZoneRule;

impl ImportError {
    /// The error with the place in `text`, which messages call `shown`.
    #[must_use]
    pub fn explain(&self, shown: &str, text: &str) -> BadDrill {
        let message = self.to_string();
        let help = match self {
            Self::Unreadable(error) => {
                let mut sources = Sources::default();
                let whole = sources.add(shown, text);
                let span = whole.part(&visible(text, error.span.clone()));
                let mut mistakes = Mistakes::default();
                mistakes.add(Draft::error(&error.problem, span, error.field).help(error.hint));
                let (mistakes, warnings) = mistakes.tie(&sources);
                return BadDrill { mistakes, warnings };
            }
            Self::Empty | Self::NoNodes => "redis-cli CLUSTER NODES prints what is needed",
            Self::MasterMissing { .. } => "give all that CLUSTER NODES prints, unchanged",
            Self::NoZone(_) => "name them in a --zone, by host, host:port, port, or name",
            Self::TwoZones { .. } => "take it out of one of them",
            Self::NobodyThere { .. } => "take it out, or correct it",
        };
        BadDrill::one(Mistake::without_place(message, help))
    }
}

impl std::str::FromStr for ZoneRule {
    type Err = BadZoneRule;

    fn from_str(text: &str) -> Result<Self, BadZoneRule> {
        let (name, list) = text.split_once('=').ok_or(BadZoneRule)?;
        let patterns: Vec<String> = (list.split(','))
            .map(|pattern| pattern.trim().to_owned())
            .collect();
        let name = name.trim();
        if name.is_empty() || name.contains([',', ':']) || patterns.iter().any(String::is_empty) {
            return Err(BadZoneRule);
        }
        Ok(Self {
            name: name.to_owned(),
            patterns,
        })
    }
}

/// Writes a drill around the cluster that `text` describes. `name` becomes the drill's name,
/// `source` says where the text is from.
///
/// # Errors
/// [`ImportError`] if the text cannot be read or the zones do not fit it.
pub fn import(
    text: &[u8],
    is_state_file: bool,
    zones: &[ZoneRule],
    name: &str,
    source: &str,
) -> Result<String, ImportError> {
    let saved = if is_state_file || has_vars(text) {
        let state = SavedState::parse(text)?.ok_or(ImportError::Empty)?;
        state.nodes
    } else {
        parse_cluster_nodes(text)?
    };
    let imported = Imported::from_nodes(saved, zones)?;
    Ok(imported.to_drill(name, source))
}

fn has_vars(text: &[u8]) -> bool {
    text.split(|byte| *byte == b'\n')
        .any(|line| line.starts_with(b"vars "))
}

struct Imported {
    nodes: Vec<Named>,
    zones: Vec<String>,
    remarks: Vec<String>,
}

struct Named {
    name: String,
    node: SavedNode,
    master: Option<String>,
    zone: String,
}

impl Imported {
    fn from_nodes(saved: Vec<SavedNode>, rules: &[ZoneRule]) -> Result<Self, ImportError> {
        let mut remarks = Vec::new();
        let (kept, left_out): (Vec<_>, Vec<_>) = saved.into_iter().partition(|node| {
            !node
                .flags
                .intersects(NodeFlags::HANDSHAKE | NodeFlags::NOADDR)
                && node.address.ip.is_some()
        });
        for node in &left_out {
            remarks.push(format!(
                "{} is left out: its address is not known.",
                node.id
            ));
        }
        if kept.is_empty() {
            return Err(ImportError::NoNodes);
        }
        for node in &kept {
            remarks.extend(node_remarks(node));
        }
        let names = names(&kept)?;
        let mut nodes: Vec<Named> = (kept.into_iter())
            .map(|node| Named {
                name: names.get(&node.id).cloned().unwrap_or_default(),
                master: node
                    .replica_of
                    .and_then(|master| names.get(&master).cloned()),
                zone: String::new(),
                node,
            })
            .collect();
        nodes.sort_by_key(|named| (named.master.is_some(), order(&named.name)));
        let zones = place(&mut nodes, rules)?;
        Ok(Self {
            nodes,
            zones,
            remarks,
        })
    }

    fn to_drill(&self, name: &str, source: &str) -> String {
        let mut text = String::new();
        let _ = writeln!(text, "# Imported from {source}.");
        for remark in &self.remarks {
            let _ = writeln!(text, "# {remark}");
        }
        let victim = self.victim();
        let _ = writeln!(text, "schema = 1\nname = {}", quoted(name));
        let question = match &victim {
            Some(victim) => format!("What happens when {victim} is killed?"),
            None => "What stops when a master without replicas is killed?".to_owned(),
        };
        let _ = writeln!(text, "question = {}\n\n[cluster]", quoted(&question));
        let zones: Vec<String> = self.zones.iter().map(|zone| quoted(zone)).collect();
        let _ = writeln!(text, "zones = [{}]", zones.join(", "));
        for named in &self.nodes {
            named.write(&mut text);
        }
        self.write_rest(&mut text, victim);
        text
    }

    /// The first master that has a replica.
    fn victim(&self) -> Option<&str> {
        let mut masters = self
            .nodes
            .iter()
            .filter_map(|named| named.master.as_deref());
        masters.next()
    }

    fn write_rest(&self, text: &mut String, victim: Option<&str>) {
        text.push_str(
            "\n[config]\n\
             # As in your redis.conf; 15000 is Redis's default.\n\
             cluster-node-timeout = 15000\n",
        );
        for named in &self.nodes {
            if let Some(hostname) = &named.node.hostname {
                let _ = writeln!(
                    text,
                    "[config.{}]\ncluster-announce-hostname = {}",
                    named.name,
                    quoted(hostname)
                );
            }
        }
        let _ = writeln!(
            text,
            "\n[workload]\n\
             clients = {{ per-zone = 1, rate = \"100/s\", timeout = \"500ms\" }}\n\n\
             [[step]]\n\
             at = \"10s\"\n\
             jitter = \"1s\"\n\
             crash = \"{}\"\n\
             restart-after = \"60s\"",
            victim.unwrap_or("m1"),
        );
        if victim.is_some() {
            text.push_str(
                "expect = \"failover\"\n\n\
                 [expect]\n\
                 failover-time = \"max < 30s\"   # 1 to 1.5 node-timeouts, some seconds to agree and elect\n\
                 false-failovers = \"count == 0\"\n",
            );
        }
    }
}

impl Named {
    fn write(&self, text: &mut String) {
        let node = &self.node;
        let _ = writeln!(text, "\n[[cluster.node]]\nname = {}", quoted(&self.name));
        let _ = writeln!(text, "id = {}", quoted(&node.id.to_string()));
        let _ = writeln!(text, "address = {}", quoted(&address(node)));
        let _ = writeln!(text, "zone = {}", quoted(&self.zone));
        if let Some(master) = &self.master {
            let _ = writeln!(text, "replica-of = {}", quoted(master));
        }
        if !node.slots.is_empty() && self.master.is_none() {
            let ranges: Vec<String> = (node.slots.ranges().iter())
                .map(|range| quoted(&range.to_string()))
                .collect();
            let _ = writeln!(text, "slots = [{}]", ranges.join(", "));
        }
        let _ = writeln!(text, "config-epoch = {}", node.config_epoch);
    }
}

fn node_remarks(node: &SavedNode) -> Vec<String> {
    let mut remarks = Vec::new();
    let shown = address(node);
    if node.flags.intersects(NodeFlags::FAIL | NodeFlags::PFAIL) {
        remarks.push(format!(
            "{shown} was failing; in the drill it starts healthy."
        ));
    }
    if u32::from(node.address.bus_port) != u32::from(node.address.port) + 10_000 {
        remarks.push(format!(
            "{shown} has its bus at port {}; in the drill it is {}.",
            node.address.bus_port,
            u32::from(node.address.port) + 10_000
        ));
    }
    if !node.migrating.is_empty() || !node.importing.is_empty() {
        remarks.push(format!(
            "{shown} was moving slots; in the drill they stay where they are."
        ));
    }
    remarks
}

/// `m1`, `m2`, ... by the masters' first slot; `r1` for the replica of `m1`, or `r1a`, `r1b`.
fn names(nodes: &[SavedNode]) -> Result<BTreeMap<NodeId, String>, ImportError> {
    let mut masters: Vec<&SavedNode> = nodes
        .iter()
        .filter(|node| node.replica_of.is_none())
        .collect();
    let first_slot = |node: &SavedNode| node.slots.iter().next();
    masters.sort_by_key(|node| {
        (
            first_slot(node).is_none(),
            first_slot(node),
            node.address.ip,
            node.address.port,
        )
    });
    let mut names = BTreeMap::new();
    for (place, master) in masters.iter().enumerate() {
        names.insert(master.id, format!("m{}", place + 1));
        let mut replicas: Vec<&SavedNode> = (nodes.iter())
            .filter(|node| node.replica_of == Some(master.id))
            .collect();
        replicas.sort_by_key(|node| (node.address.ip, node.address.port));
        for (number, replica) in replicas.iter().enumerate() {
            let letter = match replicas.len() {
                1 => String::new(),
                2..=26 => char::from(b'a' + number as u8).to_string(),
                _ => format!("-{}", number + 1),
            };
            names.insert(replica.id, format!("r{}{letter}", place + 1));
        }
    }
    // A replica of a replica, or of nobody known.
    let lost = nodes.iter().find(|node| !names.contains_key(&node.id));
    match lost.and_then(|node| Some((node, node.replica_of?))) {
        Some((replica, master)) => Err(ImportError::MasterMissing {
            replica: address(replica),
            master,
        }),
        None => Ok(names),
    }
}

/// `m10` after `m2`.
fn order(name: &str) -> (usize, String) {
    let digits: String = name.chars().filter(char::is_ascii_digit).collect();
    (digits.parse().unwrap_or(usize::MAX), name.to_owned())
}

/// Puts every node into its zone; returns the zones in order.
fn place(nodes: &mut [Named], rules: &[ZoneRule]) -> Result<Vec<String>, ImportError> {
    if rules.is_empty() {
        for named in nodes {
            named.zone = "a".to_owned();
        }
        return Ok(vec!["a".to_owned()]);
    }
    let mut homeless = Vec::new();
    for named in nodes.iter_mut() {
        let mut matching = (rules.iter())
            .filter(|rule| rule.patterns.iter().any(|pattern| is_at(named, pattern)))
            .map(|rule| &rule.name);
        let first = matching.next();
        let second = matching.find(|name| Some(*name) != first);
        match (first, second) {
            (None, _) => homeless.push(format!("{} ({})", named.name, address(&named.node))),
            (Some(zone), None) => named.zone = zone.clone(),
            (Some(first), Some(second)) => {
                return Err(ImportError::TwoZones {
                    node: address(&named.node),
                    first: first.clone(),
                    second: second.clone(),
                });
            }
        }
    }
    if !homeless.is_empty() {
        return Err(ImportError::NoZone(homeless));
    }
    let mut zones: Vec<String> = Vec::new();
    for rule in rules {
        let deserted =
            (rule.patterns.iter()).find(|pattern| !nodes.iter().any(|named| is_at(named, pattern)));
        if let Some(pattern) = deserted {
            return Err(ImportError::NobodyThere {
                zone: rule.name.clone(),
                pattern: pattern.clone(),
            });
        }
        if !zones.contains(&rule.name) {
            zones.push(rule.name.clone());
        }
    }
    Ok(zones)
}

/// Whether a node is meant by `host`, `host:port`, `port`, or its name in the drill.
fn is_at(named: &Named, pattern: &str) -> bool {
    let node = &named.node;
    let is_host = |host: &str| {
        let ip = host.trim_matches(['[', ']']).parse::<IpAddr>().ok();
        (ip.is_some() && ip == node.address.ip) || node.hostname.as_deref() == Some(host)
    };
    let is_port = |port: &str| port.parse() == Ok(node.address.port);
    if pattern == named.name || is_host(pattern) {
        return true;
    }
    match pattern.rsplit_once(':') {
        Some(("", port)) => is_port(port),
        Some((host, port)) => is_host(host) && is_port(port),
        None => is_port(pattern),
    }
}

fn address(node: &SavedNode) -> String {
    match node.address.ip {
        Some(IpAddr::V6(ip)) => format!("[{ip}]:{}", node.address.port),
        Some(IpAddr::V4(ip)) => format!("{ip}:{}", node.address.port),
        None => format!(":{}", node.address.port),
    }
}

/// A TOML string.
fn quoted(text: &str) -> String {
    toml::Value::String(text.to_owned()).to_string()
}
