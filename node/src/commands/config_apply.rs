//! What follows a change of the configuration at run time (the `apply` functions of `config.c`).

use crate::cluster::MYSELF;
use crate::config::Config;
use crate::node::Node;
use crate::restore;

/// Whether a new value would need the server to listen elsewhere. It listens where it did when it
/// started.
pub(super) fn needs_new_sockets(config: &Config, directive: &str, value: &str) -> bool {
    matches!(directive, "port" | "bind") && config.get(directive).as_deref() != Some(value.trim())
}

/// Makes what the configuration says now so, where nobody looks at it anew.
pub(super) fn changes(node: &mut Node, before: &Config) {
    let now = &node.config;
    let announced = |config: &Config| {
        let (ip, name) = (config.announce_ip, config.announce_hostname.clone());
        let ports = (config.announced_port(), config.announced_bus_port());
        (ip, name, ports)
    };
    if announced(now) != announced(before) {
        announce(node);
    }
    if node.config.repl_backlog_size_bytes != before.repl_backlog_size_bytes {
        let limit_bytes = node.config.repl_backlog_size_bytes;
        node.replication.resize_backlog(limit_bytes);
    }
}

/// Tells others where this node is (`clusterUpdateMyselfIp` and its like). They hear it with the
/// next ping.
fn announce(node: &mut Node) {
    let known = node.cluster.myself().address.ip;
    let address = restore::own_address(&node.config, known);
    let hostname = node.config.announce_hostname.clone();
    node.cluster.set_address(MYSELF, address);
    node.cluster.myself_mut().hostname = hostname;
    node.save_config(false);
}
