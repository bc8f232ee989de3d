//! Client commands (placeholder of the lead's branch).
use crate::action::Action;
use crate::ids::ClientId;
use crate::input::CommandLine;
use crate::node::Node;
use crate::reply::Reply;
pub(crate) fn execute(node: &mut Node, client: ClientId, command: CommandLine, _wire_len: usize) {
    let reply = match command[0].to_ascii_uppercase().as_slice() {
        b"PING" => Some(Reply::Simple("PONG".into())),
        b"REPLCONF" => crate::replication::replconf(node, client, &command[1..]),
        b"PSYNC" => crate::replication::psync(node, client, &command[1..]),
        b"CLUSTER" => {
            let kind = match command.get(2).map(|w| &w[..]) {
                Some(b"TAKEOVER") => crate::FailoverKind::Takeover,
                Some(b"FORCE") => crate::FailoverKind::Force,
                _ => crate::FailoverKind::Manual,
            };
            crate::manual_failover::request(node, kind);
            Some(Reply::OK)
        }
        _ => None,
    };
    if let Some(reply) = reply {
        node.outbox.push(Action::Reply {
            client,
            reply,
            resp3: false,
        });
    }
}
pub(crate) fn apply_from_master(_node: &mut Node, _command: &CommandLine) {}
pub(crate) fn cron(_node: &mut Node) {}
