//! The worlds a drill can run in, and what each of them can do.

use std::fmt;
use std::str::FromStr;

use redrill_node::{CommandLine, NodeView};

use crate::client::WrittenKey;
use crate::network::{HostNumber, Network};
use crate::scenario::{CrashKind, Latency};
use crate::trace::NodeNumber;

/// A world.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
#[non_exhaustive]
pub enum WorldKind {
    /// The node's state machine under a discrete-event scheduler.
    Event,
    /// The whole server on turmoil's simulated network.
    Turmoil,
}

/// What a world can do.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Capabilities {
    /// The same scenario and seed give the same run, byte for byte.
    pub deterministic: bool,
    /// Hosts can lose power.
    pub power_off: bool,
    /// Wall clocks can jump.
    pub clock_jumps: bool,
    /// Disks can become slow.
    pub slow_disks: bool,
    /// Segments can get lost, links become slow.
    pub degraded_links: bool,
    /// Bugs can be planted in nodes.
    pub planted_bugs: bool,
    /// The most nodes that run in reasonable time.
    pub nodes: usize,
}

/// Names a command that an operator sent, until it is answered.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub struct Ticket(pub u32);

/// What a run does to a world. Everything happens at the present of the world.
///
/// A world carries out; what happens in it (facts, operations, answers) it tells the
/// [`crate::recorder::Recorder`], and what is to be done when, it asks the
/// [`crate::director::Director`].
pub trait World {
    /// Looks at a node. False, without a look, if its process does not run or has not read its
    /// state file yet.
    fn look(&self, node: NodeNumber, look: &mut dyn FnMut(NodeView<'_>)) -> bool;

    /// Whether a node's process would take a command now: it runs, and stands still for nothing.
    fn answers(&self, node: NodeNumber) -> bool;

    /// Starts a node's process; gives its host power if it had lost it.
    fn start(&mut self, node: NodeNumber);

    /// Ends a node's process, frozen or not. A [`CrashKind::Shutdown`] may take a moment.
    fn crash(&mut self, node: NodeNumber, how: CrashKind);

    /// Whether a node's process was started and has not ended.
    fn runs(&self, node: NodeNumber) -> bool;

    /// Stops a node's process where it stands (`SIGSTOP`).
    fn freeze(&mut self, node: NodeNumber);

    /// Lets it go on (`SIGCONT`).
    fn thaw(&mut self, node: NodeNumber);

    /// Changes the links between hosts.
    fn change_network(&mut self, change: &mut dyn FnMut(&mut Network));

    /// Moves a host's wall clock.
    fn jump_clock(&mut self, node: NodeNumber, by_ms: i64);

    /// Makes a host's disk slow for a fault, or takes that back.
    fn slow_disk(&mut self, node: NodeNumber, fault: u16, fsync: Option<Latency>);

    /// Lets a host's disk do nothing until a time, microseconds since the run began.
    fn hold_up_disk(&mut self, node: NodeNumber, until_us: u64);

    /// Has an operator send a command to a node, which is answered through
    /// [`crate::recorder::Recorder::answered`]. Waits for the answer for `patience_us`.
    fn operate(&mut self, ticket: Ticket, node: NodeNumber, command: CommandLine, patience_us: u64);

    /// Starts the workload clients.
    fn start_clients(&mut self);

    /// Multiplies the clients' rates; 0 stops them.
    fn set_load(&mut self, factor: f64);

    /// Whether no client has an operation in flight.
    fn clients_are_idle(&self) -> bool;

    /// The keys that the clients tried to write, client after client, each in the order in which
    /// it first did.
    fn take_written(&mut self) -> Vec<WrittenKey>;
}

/// Where things are among the hosts of a network: nodes, then clients, then the operator.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Hosts {
    /// Number of nodes.
    pub nodes: u16,
    /// Number of clients.
    pub clients: u16,
}

impl Hosts {
    /// A client's host.
    #[must_use]
    pub const fn client(self, client: u16) -> HostNumber {
        self.nodes + client
    }

    /// The operator's host, which no fault touches.
    #[must_use]
    pub const fn operator(self) -> HostNumber {
        self.nodes + self.clients
    }

    /// Number of hosts.
    #[must_use]
    pub const fn count(self) -> usize {
        self.nodes as usize + self.clients as usize + 1
    }
}

impl WorldKind {
    /// Every world of this build.
    pub const ALL: &'static [Self] = &[Self::Event, Self::Turmoil];

    /// The name on the command line and in event logs.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Event => "event",
            Self::Turmoil => "turmoil",
        }
    }

    /// What it can do.
    #[must_use]
    pub const fn capabilities(self) -> Capabilities {
        match self {
            Self::Event => Capabilities {
                deterministic: true,
                power_off: true,
                clock_jumps: true,
                slow_disks: true,
                degraded_links: true,
                planted_bugs: true,
                nodes: 1000,
            },
            Self::Turmoil => Capabilities {
                deterministic: true,
                power_off: true,
                clock_jumps: true,
                slow_disks: true,
                degraded_links: true,
                planted_bugs: true,
                nodes: 100,
            },
        }
    }
}

impl fmt::Display for WorldKind {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(self.name())
    }
}

/// A text names no world of this build.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
#[error("there is no world {0:?}; this build has {list}", list = names())]
pub struct UnknownWorld(pub String);

impl FromStr for WorldKind {
    type Err = UnknownWorld;

    fn from_str(text: &str) -> Result<Self, UnknownWorld> {
        let found = Self::ALL.iter().copied().find(|world| world.name() == text);
        found.ok_or_else(|| UnknownWorld(text.to_owned()))
    }
}

fn names() -> String {
    let names: Vec<&str> = WorldKind::ALL.iter().map(|world| world.name()).collect();
    names.join(", ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn worlds_are_found_by_name() {
        for world in WorldKind::ALL {
            assert_eq!(world.name().parse(), Ok(*world));
        }
        let error = "moon".parse::<WorldKind>().unwrap_err();
        assert_eq!(
            error.to_string(),
            "there is no world \"moon\"; this build has event, turmoil"
        );
    }
}
