//! What comes next is asked for while the present goes on.
//!
//! Nothing here changes anything but how long memory is waited for.

use redrill_node::{Action, LinkId};

use super::connections::Notice;
use super::kernel::{Event, Kernel};
use super::table::{End, WireIndex};
use crate::network::HostNumber;
use crate::trace::NodeNumber;

/// As many connections stay in the processor's cache together with what belongs to them.
const CACHED_CONNECTIONS: u32 = 6000;

impl Kernel {
    /// Has what the next events touch come into the processor's cache.
    pub(super) fn look_ahead(&self) {
        if self.connections.len() < CACHED_CONNECTIONS {
            return;
        }
        if let Some(host) = self.queue.next_alarm() {
            self.prepare_timer(host);
        }
        let mut soon = self.queue.soon();
        if let Some(&Event::Connection(wire, Notice::Moves)) = soon.next() {
            self.prepare_arrival(wire);
        }
        for later in soon {
            if let Event::Connection(wire, Notice::Moves) = *later {
                self.connections.prefetch(wire);
            }
        }
    }

    /// A poll will time out, and as a rule pings leave.
    fn prepare_timer(&self, host: HostNumber) {
        let host = self.hosts.get(usize::from(host));
        if let Some(process) = host.and_then(|host| host.node.as_ref()) {
            process.prefetch_tables();
        }
    }

    /// A segment will arrive, and as a rule be read and answered at once.
    fn prepare_arrival(&self, wire: WireIndex) {
        self.connections.prefetch_rest(wire);
        if let Some((node, link)) = self.next_reader(wire) {
            self.prepare_link(node, link);
        }
    }

    fn prepare_link(&self, node: NodeNumber, link: LinkId) {
        let host = &self.hosts[usize::from(node)];
        host.links.prefetch(link.0);
        if let Some(process) = &host.node {
            process.prefetch_link(link);
            process.prefetch_tables();
        }
    }

    /// Has what the next message touches last come too. What leads there is in the cache by now.
    pub(super) fn look_further(&self) {
        if self.connections.len() < CACHED_CONNECTIONS {
            return;
        }
        if let Some(&Event::Connection(wire, Notice::Moves)) = self.queue.soon().next()
            && let Some((node, link)) = self.next_reader(wire)
            && let Some(process) = &self.hosts[usize::from(node)].node
        {
            process.prefetch_peer(link);
        }
    }

    /// The end of a bus link at which a connection's next segment will arrive.
    fn next_reader(&self, wire: WireIndex) -> Option<(NodeNumber, LinkId)> {
        let slot = self.connections.slot(wire)?;
        match slot.ends[slot.next_receiver()? as usize] {
            End::Link(node, link) => Some((node, link)),
            End::Nobody
            | End::Served(..)
            | End::Master(_)
            | End::Exchange(_)
            | End::Client(..)
            | End::Operator(_) => None,
        }
    }

    /// The end of a turn writes on these connections.
    pub(super) fn prepare_writes(&self, node: NodeNumber, actions: &[Action]) {
        if actions.len() < 2 || self.connections.len() < CACHED_CONNECTIONS {
            return;
        }
        let host = &self.hosts[usize::from(node)];
        let links = || actions.iter().filter_map(written_link);
        for link in links() {
            host.links.prefetch(link.0);
        }
        let wires = || links().filter_map(|link| host.links.get(link.0));
        for &(wire, _) in wires() {
            self.connections.prefetch(wire);
        }
        for &(wire, _) in wires() {
            self.connections.prefetch_rest(wire);
        }
    }
}

const fn written_link(action: &Action) -> Option<LinkId> {
    if let Action::SendBus { link, .. } = action {
        Some(*link)
    } else {
        None
    }
}
