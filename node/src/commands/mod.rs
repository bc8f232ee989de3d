//! Client commands (placeholder of the lead's branch).
use crate::ids::ClientId;
use crate::input::CommandLine;
use crate::node::Node;
pub(crate) fn execute(
    _node: &mut Node,
    _client: ClientId,
    _command: CommandLine,
    _wire_len: usize,
) {
}
pub(crate) fn apply_from_master(_node: &mut Node, _command: &CommandLine) {}
pub(crate) fn cron(_node: &mut Node) {}
