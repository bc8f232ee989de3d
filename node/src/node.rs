//! The node: one `handle()` that dispatches each input to the rule it belongs to.

use std::collections::VecDeque;
use std::sync::Arc;

use crate::action::Action;
use crate::clients::{self, Clients};
use crate::cluster::ClusterState;
use crate::commands;
use crate::config::{ClientClass, Config};
use crate::directory::Directory;
use crate::engine::{Bug, Quirk};
use crate::eviction::{self, Eviction};
use crate::fact::Fact;
use crate::ids::{ClientId, LinkId};
use crate::input::Input;
use crate::log_words::LogLevel;
use crate::nodes_conf::SavedState;
use crate::persistence::{self, Persistence};
use crate::random::{Randomness, Seed};
use crate::replication::Replication;
use crate::store::Store;
use crate::time::{Mono, Now, WallMillis};
use crate::view::NodeView;
use crate::{
    bus, election, epoch, gossip, manual_failover, migration, replication, restore, state,
};

/// A Redis Cluster node.
#[derive(Debug)]
pub struct Node {
    pub(crate) config: Config,
    pub(crate) now: Now,
    pub(crate) random: Randomness,
    pub(crate) cluster: ClusterState,
    pub(crate) election: election::Election,
    pub(crate) manual_failover: manual_failover::ManualFailover,
    pub(crate) health: state::Health,
    pub(crate) spread: migration::Spread,
    pub(crate) replication: Replication,
    pub(crate) persistence: Persistence,
    pub(crate) store: Store,
    pub(crate) eviction: Eviction,
    pub(crate) clients: Clients,
    /// Keys on their way to another server, of which nothing was heard yet.
    pub(crate) transfers: VecDeque<commands::Transfer>,
    /// What `before_sleep` has to do (`todo_before_sleep`).
    pub(crate) todo: Todo,
    /// Actions that wait for the end of the turn.
    pub(crate) outbox: Vec<Action>,
    /// Actions of the current input that cannot wait.
    immediate: Vec<Action>,
    pub(crate) scratch: gossip::Scratch,
    /// Facts noted during the current input.
    notes: Vec<Action>,
    /// `cronloops`.
    pub(crate) cron_loops: u64,
    next_cron: Mono,
    /// `currentEpoch` as it was last reported.
    pub(crate) noted_epoch: u64,
}

bitflags::bitflags! {
    /// Work put off to the end of the turn (`CLUSTER_TODO_*`).
    #[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
    pub(crate) struct Todo: u8 {
        const HANDLE_FAILOVER = 1;
        const UPDATE_STATE = 2;
        const SAVE_CONFIG = 4;
        const SYNC_CONFIG = 8;
        const HANDLE_MANUAL_FAILOVER = 16;
    }
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
    /// `hz` must be positive.
    #[error("hz must be from 1 to 500, it is {0}")]
    Hz(u16),
}

impl Node {
    /// A node that starts now, with what it saved when it last ran.
    ///
    /// # Errors
    /// [`ConfigError`] if the configuration or the saved state is unusable.
    pub fn new(
        config: Config,
        seed: Seed,
        saved: Option<SavedState>,
        now: Now,
    ) -> Result<Self, ConfigError> {
        Self::among(&Arc::default(), config, seed, saved, now)
    }

    /// The same for one of many nodes in a process. Nodes that share a directory behave as those
    /// that do not, and take less room and time.
    ///
    /// # Errors
    /// [`ConfigError`] if the configuration or the saved state is unusable.
    pub fn among(
        directory: &Arc<Directory>,
        config: Config,
        seed: Seed,
        saved: Option<SavedState>,
        now: Now,
    ) -> Result<Self, ConfigError> {
        if config.cluster_node_timeout_ms < 1 {
            return Err(ConfigError::NodeTimeout(config.cluster_node_timeout_ms));
        }
        if !(1..=500).contains(&config.hz) {
            return Err(ConfigError::Hz(config.hz));
        }
        let mut random = Randomness::new(seed);
        let restored = saved.is_some();
        let mut cluster = match saved {
            Some(saved) => {
                let hash_seed = random.names.number();
                restore::cluster(&config, saved, hash_seed, directory, now.wall)?
            }
            None => restore::fresh(&config, &mut random, directory, now.wall),
        };
        (cluster.myself_mut().hostname).clone_from(&config.announce_hostname);
        if config.engine.has(Quirk::SoleMasterMarksFail) {
            // Nobody is the only master before the masters were counted (`clusterInit`).
            cluster.size = 0;
        }
        let mut node = Self {
            replication: Replication::new(random.names.replication_id(), &config),
            persistence: Persistence::new(&config, now.wall.0.div_euclid(1000)),
            config,
            now,
            random,
            cluster,
            election: election::Election::default(),
            manual_failover: manual_failover::ManualFailover::default(),
            health: state::Health::default(),
            spread: migration::Spread::default(),
            store: Store::new(),
            eviction: Eviction::default(),
            clients: Clients::new(),
            transfers: VecDeque::new(),
            todo: Todo::empty(),
            outbox: Vec::new(),
            immediate: Vec::new(),
            scratch: gossip::Scratch::default(),
            notes: Vec::new(),
            cron_loops: 0,
            // The first `serverCron` is due one millisecond after the start.
            next_cron: now.mono.plus_us(1000),
            noted_epoch: 0,
        };
        eviction::reconfigure(&mut node);
        restore::announce(&mut node, restored);
        Ok(node)
    }

    /// Takes one input and says what is to be done.
    pub fn handle(&mut self, now: Now, input: Input, actions: &mut Vec<Action>) {
        if self.config.host.is_timed {
            clients::measure(self, now.mono);
        }
        self.now = now;
        match input {
            Input::Wake => self.cron(),
            Input::TurnEnd => self.before_sleep(actions),
            Input::LinkAccepted { link, peer, local } => bus::accepted(self, link, peer, local),
            Input::LinkUp { link } => bus::up(self, link),
            Input::LinkDown { link, why: _ } => bus::down(self, link),
            Input::Bus { link, message } => bus::received(self, link, &message),
            Input::BadPacket { link: _, error } => self.note(Fact::BadPacket {
                error: error.to_string().into(),
            }),
            Input::ClientAccepted {
                client,
                peer,
                local,
            } => clients::accepted(self, client, peer, local),
            Input::ClientCut { client, why } => clients::cut(self, client, why),
            Input::ConfigRewritten { client, result } => {
                commands::config_rewritten(self, client, result);
            }
            Input::Command {
                client,
                command,
                wire_len,
            } => commands::execute(self, client, command, wire_len),
            Input::BadCommand { client, error } => clients::bad_command(self, client, error),
            Input::ClientClosed { client } => {
                replication::replica_closed(self, client);
                persistence::client_gone(self, client);
                clients::closed(self, client);
            }
            Input::Exchanged(outcome) => commands::exchanged(self, &outcome),
            Input::Master(event) => replication::from_master(self, event),
            Input::Disk(event) => persistence::answered(self, event),
            Input::Terminate => commands::terminate(self),
        }
        epoch::note_changes(self);
        hand_over(&mut self.notes, actions);
        hand_over(&mut self.immediate, actions);
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
            replication_id: self.replication.id(),
            replication_offset: replication::offset(self),
            master_link_up: self.replication.link_up(),
            node: self,
        }
    }

    /// Has what a message on a link touches first come into the processor's cache.
    pub fn prefetch_link(&self, link: LinkId) {
        self.cluster.prefetch_link(link);
    }

    /// Has the tables that pings are made of come into the processor's cache.
    pub fn prefetch_tables(&self) {
        self.cluster.prefetch_tables();
    }

    /// The same of what it touches next. Reads what [`Self::prefetch_link`] asked for.
    pub fn prefetch_peer(&self, link: LinkId) {
        if let Some(peer) = self.cluster.held_link(link).and_then(|link| link.peer) {
            self.cluster.prefetch_peer(peer);
        }
    }

    /// The configuration in force.
    #[must_use]
    pub const fn config(&self) -> &Config {
        &self.config
    }

    /// Which limits of output a client has.
    #[must_use]
    pub fn client_class(&self, client: ClientId) -> ClientClass {
        if self.replication.is_replica(client) {
            ClientClass::Replica
        } else if (self.clients.get(client)).is_some_and(clients::Client::is_subscribed) {
            ClientClass::PubSub
        } else {
            ClientClass::Normal
        }
    }

    /// Whether a client has said the password, or need not.
    #[must_use]
    pub fn is_authenticated(&self, client: ClientId) -> bool {
        let client = self.clients.get(client);
        client.is_some_and(|client| !clients::needs_password(self, client))
    }

    /// Changes the configuration, as `CONFIG SET` does.
    pub(crate) const fn config_mut(&mut self) -> &mut Config {
        &mut self.config
    }

    /// `mstime()`.
    pub(crate) const fn wall(&self) -> WallMillis {
        self.now.wall
    }

    /// `server.unixtime`, s.
    pub(crate) const fn unix_s(&self) -> i64 {
        self.now.wall.0.div_euclid(1000)
    }

    pub(crate) fn note(&mut self, fact: Fact) {
        self.notes.push(Action::Note(fact));
    }

    /// Queues an action that must be carried out before the next input.
    pub(crate) fn immediate(&mut self, action: Action) {
        self.immediate.push(action);
    }

    /// Takes the actions that cannot wait.
    pub(crate) fn take_immediate(&mut self) -> Vec<Action> {
        std::mem::take(&mut self.immediate)
    }

    /// Has a line written to the server's log.
    pub(crate) fn log(&mut self, level: LogLevel, line: impl Into<Box<str>>) {
        let line = line.into();
        self.immediate(Action::Log { level, line });
    }

    pub(crate) fn has_bug(&self, bug: Bug) -> bool {
        self.config.has_bug(bug)
    }

    pub(crate) fn has_quirk(&self, quirk: Quirk) -> bool {
        self.config.engine.has(quirk)
    }

    /// Has the state file written at the end of the turn, before anything queued leaves.
    pub(crate) fn save_config(&mut self, sync: bool) {
        self.todo |= Todo::SAVE_CONFIG;
        if sync {
            self.todo |= Todo::SYNC_CONFIG;
        }
    }

    pub(crate) fn update_state_later(&mut self) {
        self.todo |= Todo::UPDATE_STATE;
    }

    /// `serverCron`.
    fn cron(&mut self) {
        commands::cron(self);
        persistence::cron(self);
        if self.cron_loops.is_multiple_of(u64::from(self.config.hz)) {
            replication::cron(self);
        }
        // `run_with_period(100)`.
        let period = u64::from((self.config.hz / 10).max(1));
        if self.cron_loops.is_multiple_of(period) {
            self.cluster_cron();
        }
        self.cron_loops += 1;
        let period_us = 1_000_000 / u64::from(self.config.hz);
        let took_us = u64::from(self.config.cron_takes_us);
        self.next_cron = self.now.mono.plus_us(took_us + period_us);
    }

    /// `clusterCron`.
    fn cluster_cron(&mut self) {
        let suspected = gossip::cron(self);
        replication::adopt_master_address(self);
        manual_failover::check_timeout(self);
        if self.cluster.myself().is_replica() {
            manual_failover::advance(self);
            election::advance(self);
            migration::cron(self);
        }
        if suspected || !self.cluster.state_ok {
            state::update(self);
        }
    }

    /// `beforeSleep`.
    fn before_sleep(&mut self, actions: &mut Vec<Action>) {
        let todo = std::mem::take(&mut self.todo);
        if todo.contains(Todo::HANDLE_MANUAL_FAILOVER) {
            if self.cluster.myself().is_replica() {
                manual_failover::advance(self);
                election::advance(self);
            }
        } else if todo.contains(Todo::HANDLE_FAILOVER) {
            election::advance(self);
        }
        if todo.contains(Todo::UPDATE_STATE) {
            state::update(self);
        }
        clients::turn_end(self);
        replication::turn_end(self);
        let saves = todo
            | self
                .todo
                .intersection(Todo::SAVE_CONFIG | Todo::SYNC_CONFIG);
        self.todo.remove(Todo::SAVE_CONFIG | Todo::SYNC_CONFIG);
        let votes_first = self.has_bug(Bug::VotesBeforeSync);
        if votes_first {
            hand_over(&mut self.outbox, actions);
        }
        if saves.contains(Todo::SAVE_CONFIG) {
            let sync = saves.contains(Todo::SYNC_CONFIG);
            actions.push(Action::Persist {
                state: Box::new(restore::saved(self)),
                sync,
            });
        }
        persistence::turn_end(self, actions);
        hand_over(&mut self.outbox, actions);
    }
}

/// Puts what is queued behind the actions. Nearly always one of the two is empty.
fn hand_over(queued: &mut Vec<Action>, actions: &mut Vec<Action>) {
    if actions.is_empty() {
        std::mem::swap(queued, actions);
    } else if !queued.is_empty() {
        actions.append(queued);
    }
}
