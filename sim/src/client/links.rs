//! A client's connections, one a node.

use std::collections::BTreeMap;

use redrill_node::CommandLine;

use super::{ClientAction, ConnectionId};
use crate::trace::NodeNumber;

/// Connections, with what waits to be sent on those that are not up yet.
#[derive(Debug, Default)]
pub(super) struct Links {
    by_node: BTreeMap<NodeNumber, Link>,
    nodes: BTreeMap<ConnectionId, NodeNumber>,
    next_id: u32,
}

#[derive(Debug)]
struct Link {
    connection: ConnectionId,
    up: bool,
    readonly: bool,
    waiting: Vec<CommandLine>,
}

impl Links {
    /// Sends a command to a node, connecting first if need be.
    pub(super) fn send(
        &mut self,
        node: NodeNumber,
        command: CommandLine,
        actions: &mut Vec<ClientAction>,
    ) {
        match self.by_node.get_mut(&node) {
            Some(Link {
                connection,
                up: true,
                ..
            }) => {
                actions.push(ClientAction::Send {
                    connection: *connection,
                    command,
                });
            }
            Some(link) => {
                link.waiting.push(command);
            }
            None => {
                let connection = ConnectionId(self.next_id);
                self.next_id += 1;
                self.nodes.insert(connection, node);
                let waiting = vec![command];
                self.by_node.insert(
                    node,
                    Link {
                        connection,
                        up: false,
                        readonly: false,
                        waiting,
                    },
                );
                actions.push(ClientAction::Connect { connection, node });
            }
        }
    }

    /// Closes the connection to a node, if there is one.
    pub(super) fn close(&mut self, node: NodeNumber, actions: &mut Vec<ClientAction>) {
        if let Some(link) = self.by_node.remove(&node) {
            self.nodes.remove(&link.connection);
            actions.push(ClientAction::Close {
                connection: link.connection,
            });
        }
    }

    /// A connection is up: sends what waits. To which node it is; `None` if it was closed.
    pub(super) fn connected(
        &mut self,
        connection: ConnectionId,
        actions: &mut Vec<ClientAction>,
    ) -> Option<NodeNumber> {
        let node = *self.nodes.get(&connection)?;
        let link = self.by_node.get_mut(&node)?;
        link.up = true;
        let waiting = link.waiting.drain(..);
        actions.extend(waiting.map(|command| ClientAction::Send {
            connection,
            command,
        }));
        Some(node)
    }

    /// A connection broke. To which node it was, and whether it was up; `None` if it was closed.
    pub(super) fn broken(&mut self, connection: ConnectionId) -> Option<(NodeNumber, bool)> {
        let node = self.nodes.remove(&connection)?;
        let link = self.by_node.remove(&node)?;
        Some((node, link.up))
    }

    /// To which node a connection is; `None` if it was closed.
    pub(super) fn node_of(&self, connection: ConnectionId) -> Option<NodeNumber> {
        self.nodes.get(&connection).copied()
    }

    /// Whether `READONLY` was sent on the connection to a node.
    pub(super) fn is_readonly(&self, node: NodeNumber) -> bool {
        self.by_node.get(&node).is_some_and(|link| link.readonly)
    }

    /// Notes that `READONLY` was sent on the connection to a node.
    pub(super) fn set_readonly(&mut self, node: NodeNumber) {
        if let Some(link) = self.by_node.get_mut(&node) {
            link.readonly = true;
        }
    }

    /// Whether the connection to a node is up.
    pub(super) fn is_up(&self, node: NodeNumber) -> bool {
        self.by_node.get(&node).is_some_and(|link| link.up)
    }
}
