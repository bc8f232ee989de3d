//! Clients (placeholder of the lead's branch).
use crate::ids::ClientId;
use crate::node::Node;
use crate::time::WallMillis;
use crate::wire::resp::RespError;
use std::net::SocketAddr;
#[derive(Debug)]
pub(crate) struct Clients;
impl Clients {
    pub(crate) fn new() -> Self {
        Self
    }
}
pub(crate) fn accepted(_: &mut Node, _: ClientId, _: SocketAddr) {}
pub(crate) fn closed(_: &mut Node, _: ClientId) {}
pub(crate) fn bad_command(_: &mut Node, _: ClientId, _: RespError) {}
pub(crate) fn turn_end(_: &mut Node) {}
pub(crate) fn pause_writes(_: &mut Node, _: WallMillis) {}
pub(crate) fn resume_writes(_: &mut Node) {}
pub(crate) fn writes_paused(_: &Node) -> bool {
    false
}
pub(crate) fn redirect_blocked(_: &mut Node) {}
