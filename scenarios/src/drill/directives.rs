//! `[config]`: directives of `redis.conf` under their own names, for all nodes or for one.

use std::collections::BTreeMap;

use redrill_node::{Config, DirectiveError};
use redrill_sim::scenario::Cluster;

use super::mistake::{Draft, Mistakes};
use super::schema::misplaced;
use super::source::Spanned;
use super::suggest::did_you_mean;
use super::tree::{Entry, Table, Value};

/// Directives that the world decides for each node.
const DECIDED_BY_THE_WORLD: &[(&str, &str)] = &[
    ("port", "[cluster] has `first-port`"),
    ("cluster-port", "the bus is 10000 above a node's port"),
    ("bind", "[[cluster.node]] has `address`"),
    ("cluster-enabled", "every node of a drill is a cluster node"),
    ("cluster-announce-ip", "[[cluster.node]] has `address`"),
    (
        "cluster-config-file",
        "every node has a state file of its own",
    ),
];

/// What only a server on a real host acts on.
const OF_A_HOST: &[&str] = &[
    "logfile",
    "pidfile",
    "protected-mode",
    "save",
    "shutdown-timeout",
    "tcp-keepalive",
];

/// A configuration, and how it was written.
pub(super) struct Directives {
    pub(super) config: Config,
    pub(super) text: BTreeMap<String, String>,
}

impl Directives {
    pub(super) fn new(config: Config) -> Self {
        Self {
            config,
            text: BTreeMap::new(),
        }
    }
}

/// Whether `redis.conf` has a directive of this name that a node knows.
pub(crate) fn is_directive(name: &str) -> bool {
    Config::directive(name).is_some()
}

/// Reads `[config]`, and `[config.NODE]` into the nodes of the cluster.
pub(super) fn read(
    table: &Table,
    config: Config,
    cluster: &mut Cluster,
    names_are_complete: bool,
    mistakes: &mut Mistakes,
) -> Directives {
    let mut directives = Directives::new(config);
    let mut of_nodes: Vec<&Entry> = Vec::new();
    for entry in &table.entries {
        if let Value::Table(_) = entry.value.value {
            of_nodes.push(entry);
        } else if let Some(text) = set(&mut directives.config, entry, mistakes) {
            directives.text.insert(entry.key.value.clone(), text);
        }
    }
    // Last, so that they start from what holds for all.
    for entry in of_nodes {
        let name = &entry.key.value;
        let names: Vec<String> = cluster.nodes.iter().map(|node| node.name.clone()).collect();
        match cluster.nodes.iter_mut().find(|node| node.name == *name) {
            Some(node) => {
                let mut own = directives.config.clone();
                if let Value::Table(table) = &entry.value.value {
                    for entry in &table.entries {
                        set(&mut own, entry, mistakes);
                    }
                }
                node.config = Some(own);
            }
            None if names_are_complete => {
                let names = names.iter().map(String::as_str);
                mistakes.add(
                    Draft::error(
                        format!("no node is called `{name}`"),
                        entry.key.span,
                        "whose configuration?",
                    )
                    .help_if(did_you_mean(name, names)),
                );
            }
            None => {}
        }
    }
    directives
}

/// Sets one directive; returns its value as `redis.conf` has it.
fn set(config: &mut Config, entry: &Entry, mistakes: &mut Mistakes) -> Option<String> {
    let name = entry.key.value.as_str();
    if let Some((_, why)) = DECIDED_BY_THE_WORLD
        .iter()
        .find(|(known, _)| *known == name)
    {
        mistakes.add(
            Draft::error(
                format!("`{name}` is not set in a drill"),
                entry.key.span,
                "decided for each node",
            )
            .help(*why),
        );
        return None;
    }
    let text = value_text(&entry.value, mistakes)?;
    let Err(error) = config.set(name, &text) else {
        let why = if OF_A_HOST.contains(&name) {
            Some("only a server on a real host acts on it")
        } else {
            let acts = Config::directive(name).is_none_or(|directive| directive.acts);
            (!acts).then_some("read, checked and kept, but no node acts on it")
        };
        if let Some(why) = why {
            let what = format!("`{name}` changes nothing in a drill");
            mistakes.add(Draft::warning(what, entry.key.span, why));
        }
        return Some(text);
    };
    mistakes.add(match error {
        DirectiveError::Unknown { suggestion, .. } => Draft::error(
            format!("unknown directive `{name}`"),
            entry.key.span,
            "redis.conf has no such directive",
        )
        .help_if(
            suggestion
                .map(|near| format!("did you mean `{near}`?"))
                .or_else(|| misplaced(name)),
        ),
        DirectiveError::Value {
            reason, allowed, ..
        } => Draft::error(
            format!("`{name}` does not take `{text}`"),
            entry.value.span,
            reason.to_string(),
        )
        .help_if(allowed.map(|allowed| format!("it takes {allowed}"))),
        DirectiveError::NotAtRunTime { reason, .. } => {
            Draft::error(format!("`{name}` cannot be set"), entry.key.span, reason)
        }
    });
    None
}

fn value_text(value: &Spanned<Value>, mistakes: &mut Mistakes) -> Option<String> {
    match &value.value {
        Value::Text(text) => Some(text.clone()),
        Value::Integer(number) => Some(number.to_string()),
        Value::Float(number) => Some(number.to_string()),
        Value::Boolean(flag) => {
            let word = if *flag { "yes" } else { "no" };
            mistakes.add(
                Draft::error(
                    "redis.conf has no true and false",
                    value.span,
                    "expected yes or no",
                )
                .help(format!("write \"{word}\"")),
            );
            None
        }
        Value::Moment | Value::List(_) | Value::Table(_) => {
            mistakes.add(Draft::error(
                format!("a directive takes a value, found {}", value.value.kind()),
                value.span,
                "expected a number or a string",
            ));
            None
        }
        Value::Unreadable => None,
    }
}
