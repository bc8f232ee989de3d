//! A client's connections, one a node.

use redrill_node::CommandLine;

use super::{ClientAction, ConnectionId};
use crate::trace::NodeNumber;

/// Connections, with what waits to be sent on those that are not up yet.
#[derive(Debug, Default)]
pub(super) struct Links {
    by_node: Vec<Option<Link>>,
    /// The node of every connection there ever was.
    nodes: Vec<NodeNumber>,
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
        if self.by_node.len() <= usize::from(node) {
            self.by_node.resize_with(usize::from(node) + 1, || None);
        }
        match &mut self.by_node[usize::from(node)] {
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
            none @ None => {
                let connection = ConnectionId(self.nodes.len() as u32);
                self.nodes.push(node);
                *none = Some(Link {
                    connection,
                    up: false,
                    readonly: false,
                    waiting: vec![command],
                });
                actions.push(ClientAction::Connect { connection, node });
            }
        }
    }

    /// Closes the connection to a node, if there is one.
    pub(super) fn close(&mut self, node: NodeNumber, actions: &mut Vec<ClientAction>) {
        if let Some(link) = self
            .by_node
            .get_mut(usize::from(node))
            .and_then(Option::take)
        {
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
        let node = self.node_of(connection)?;
        let link = self.by_node[usize::from(node)].as_mut()?;
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
        let node = self.node_of(connection)?;
        let link = self.by_node[usize::from(node)].take()?;
        Some((node, link.up))
    }

    /// To which node a connection is; `None` if it was closed.
    pub(super) fn node_of(&self, connection: ConnectionId) -> Option<NodeNumber> {
        let node = *self.nodes.get(connection.0 as usize)?;
        let link = self.link(node)?;
        (link.connection == connection).then_some(node)
    }

    /// Whether `READONLY` was sent on the connection to a node.
    pub(super) fn is_readonly(&self, node: NodeNumber) -> bool {
        self.link(node).is_some_and(|link| link.readonly)
    }

    /// Notes that `READONLY` was sent on the connection to a node.
    pub(super) fn set_readonly(&mut self, node: NodeNumber) {
        if let Some(Some(link)) = self.by_node.get_mut(usize::from(node)) {
            link.readonly = true;
        }
    }

    /// Whether the connection to a node is up.
    pub(super) fn is_up(&self, node: NodeNumber) -> bool {
        self.link(node).is_some_and(|link| link.up)
    }

    fn link(&self, node: NodeNumber) -> Option<&Link> {
        self.by_node.get(usize::from(node))?.as_ref()
    }
}
