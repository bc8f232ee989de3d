//! The node: one `handle()` that dispatches each input to the rule it belongs to.

use crate::action::Action;
use crate::cluster::{ClusterState, Peer};
use crate::config::Config;
use crate::fact::Fact;
use crate::input::Input;
use crate::message::{Address, NodeFlags};
use crate::nodes_conf::SavedState;
use crate::random::{Randomness, Seed};
use crate::time::{Mono, Now};
use crate::view::NodeView;

/// A Redis Cluster node.
#[derive(Debug)]
pub struct Node {
    pub(crate) config: Config,
    pub(crate) now: Now,
    pub(crate) random: Randomness,
    pub(crate) cluster: ClusterState,
    /// Actions that wait for the end of the turn.
    pub(crate) outbox: Vec<Action>,
    /// Facts noted during the current input.
    pub(crate) notes: Vec<Fact>,
    next_cron: Mono,
}

/// When a node wants to be woken, and why.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Wake {
    /// When, on the monotonic clock.
    pub at: Mono,
    /// Why.
    pub why: WakeReason,
}

/// Why a node wants to be woken.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum WakeReason {
    /// `serverCron`, every `1000 / hz` ms.
    Cron,
    /// A blocked client's time is up.
    BlockedClient,
}

/// A configuration that no node can run with.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
pub enum ConfigError {
    /// The state file names no node as `myself`, or more than one.
    #[error("the state file must name exactly one node as myself, it names {0}")]
    Myself(usize),
    /// `cluster-node-timeout` must be positive.
    #[error("cluster-node-timeout must be at least 1 ms, it is {0}")]
    NodeTimeout(i64),
}

impl Node {
    /// A node that starts now, with what it saved when it last ran.
    ///
    /// # Errors
    /// [`ConfigError`] if the configuration or the saved state is unusable.
    pub fn new(
        config: Config,
        seed: Seed,
        _saved: Option<SavedState>,
        now: Now,
    ) -> Result<Self, ConfigError> {
        let mut random = Randomness::new(seed);
        let address = Address {
            ip: config.announce_ip,
            port: config.port,
            bus_port: config.bus_port,
        };
        let id = random.names.node_id();
        let cluster = ClusterState::new(Peer::new(
            id,
            NodeFlags::MYSELF | NodeFlags::MASTER,
            address,
            now.wall,
        ));
        Ok(Self {
            config,
            now,
            random,
            cluster,
            outbox: Vec::new(),
            notes: Vec::new(),
            next_cron: now.mono,
        })
    }

    /// Takes one input and says what is to be done.
    pub fn handle(&mut self, now: Now, input: Input, actions: &mut Vec<Action>) {
        self.now = now;
        drop(input);
        actions.extend(self.notes.drain(..).map(Action::Note));
    }

    /// When the node next has to be woken ([`Input::Wake`]).
    #[must_use]
    pub const fn next_wake(&self) -> Wake {
        Wake {
            at: self.next_cron,
            why: WakeReason::Cron,
        }
    }

    /// A look at the node.
    #[must_use]
    pub fn view(&self) -> NodeView<'_> {
        NodeView {
            cluster: &self.cluster,
            replication_id: crate::ids::ReplicationId::ZERO,
            replication_offset: 0,
            master_link_up: false,
            key_count: 0,
        }
    }

    pub(crate) fn note(&mut self, fact: Fact) {
        self.notes.push(fact);
    }
}
