//! What a server tells those who watch it.

use std::net::SocketAddr;

use redrill_node::wire::bus::BusError;
use redrill_node::wire::resp::RespError;
use redrill_node::{ClientId, Fact, LinkFailure, LinkId, LogLevel, Mono, Now};

/// Watches a server. Every method does nothing unless it is overridden.
///
/// Methods are called while the event loop carries out actions, in their order; they may look at
/// the node through [`crate::Control::with_node`].
pub trait Observer: 'static {
    /// The node noted a fact.
    fn fact(&self, at: Now, fact: Fact) {
        let _ = (at, fact);
    }

    /// Something for the server's log alone.
    fn log(&self, at: Now, level: LogLevel, line: &str) {
        let _ = (at, level, line);
    }

    /// The state file was read at start; `None` if there was none.
    fn state_loaded(&self, at: Now, content: Option<&[u8]>) {
        let _ = (at, content);
    }

    /// Writing the state file began.
    fn state_saving(&self, at: Now, content: &[u8], sync: bool) {
        let _ = (at, content, sync);
    }

    /// The state file is written, and durable if `sync`.
    fn state_saved(&self, at: Now, sync: bool) {
        let _ = (at, sync);
    }

    /// A peer sent a packet that is no valid message.
    fn bad_packet(&self, at: Now, link: LinkId, error: &BusError) {
        let _ = (at, link, error);
    }

    /// A client sent bytes that are no command.
    fn bad_command(&self, at: Now, client: ClientId, error: &RespError) {
        let _ = (at, client, error);
    }

    /// A bus link is down.
    fn link_down(&self, at: Now, link: LinkId, why: LinkFailure) {
        let _ = (at, link, why);
    }

    /// A client connected.
    fn client_accepted(&self, at: Now, client: ClientId, peer: SocketAddr) {
        let _ = (at, client, peer);
    }

    /// The event loop stands still (`DEBUG SLEEP`) until the monotonic clock shows `until`.
    fn sleeping(&self, at: Now, until: Mono) {
        let _ = (at, until);
    }
}

/// Watches nothing.
#[derive(Clone, Copy, Debug, Default)]
pub struct NoObserver;

impl Observer for NoObserver {}

impl<O: Observer + ?Sized> Observer for std::rc::Rc<O> {
    fn fact(&self, at: Now, fact: Fact) {
        (**self).fact(at, fact);
    }

    fn log(&self, at: Now, level: LogLevel, line: &str) {
        (**self).log(at, level, line);
    }

    fn state_loaded(&self, at: Now, content: Option<&[u8]>) {
        (**self).state_loaded(at, content);
    }

    fn state_saving(&self, at: Now, content: &[u8], sync: bool) {
        (**self).state_saving(at, content, sync);
    }

    fn state_saved(&self, at: Now, sync: bool) {
        (**self).state_saved(at, sync);
    }

    fn bad_packet(&self, at: Now, link: LinkId, error: &BusError) {
        (**self).bad_packet(at, link, error);
    }

    fn bad_command(&self, at: Now, client: ClientId, error: &RespError) {
        (**self).bad_command(at, client, error);
    }

    fn link_down(&self, at: Now, link: LinkId, why: LinkFailure) {
        (**self).link_down(at, link, why);
    }

    fn client_accepted(&self, at: Now, client: ClientId, peer: SocketAddr) {
        (**self).client_accepted(at, client, peer);
    }

    fn sleeping(&self, at: Now, until: Mono) {
        (**self).sleeping(at, until);
    }
}
