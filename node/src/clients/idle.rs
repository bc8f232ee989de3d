//! Clients that say nothing for long (`clientsCronHandleTimeout`).

use super::{Client, close};
use crate::ids::ClientId;
use crate::log_words::LogLevel;
use crate::node::Node;

/// Closes the clients that were idle for longer than `timeout`. Those that wait for something,
/// subscribers and replicas may be silent.
pub(crate) fn close_idle(node: &mut Node) {
    let timeout_s = node.config.timeout_s;
    if timeout_s == 0 {
        return;
    }
    let now = node.wall();
    let is_idle = |client: &Client| {
        let idle_s = now.since_ms(client.last_interaction) / 1000;
        idle_s > timeout_s && !client.is_blocked() && !client.is_subscribed()
    };
    let idle: Vec<ClientId> = (node.clients.iter())
        .filter(|&(id, client)| is_idle(client) && !node.replication.is_replica(id))
        .map(|(id, _)| id)
        .collect();
    for client in idle {
        node.log(LogLevel::Verbose, "Closing idle client");
        close(node, client);
    }
}
