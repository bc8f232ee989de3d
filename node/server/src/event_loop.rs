//! The event loop: Redis's order of a turn (`aeProcessEvents`).

mod carry_out;
mod descriptors;
mod exchange;
mod limits;
mod persist;
mod poll;
mod snapshot;
mod timer;

use std::collections::VecDeque;
use std::convert::Infallible;
use std::io;
use std::sync::Arc;

use redrill_node::{
    Action, Bug, Config, ConfigError, Input, LogLevel, Node, SavedState, Seed, nodes_conf,
};

use crate::clock::Clock;
use crate::control::Control;
use crate::data::{Data, LoadError};
use crate::disk::Disk;
use crate::network::Network;
use crate::observer::Observer;
use crate::ready::{ReadyList, Token};
use descriptors::{Descriptors, Kind};
use exchange::Correspondents;
use limits::Limits;
use timer::Timer;

/// The most one read takes off a connection, bytes.
const SCRATCH_LEN: usize = 64 << 10;

/// One server process: what it is made of.
#[derive(Debug)]
pub struct Server<N, C, D, O> {
    /// The node's configuration. The server listens on its `port` and `bus_port`.
    pub config: Config,
    /// The node's randomness.
    pub seed: Seed,
    /// The host's network.
    pub network: N,
    /// The host's clocks.
    pub clock: C,
    /// The host's disk.
    pub disk: D,
    /// Who watches.
    pub observer: O,
    /// The handle by which the process is held.
    pub control: Control,
}

/// How a server ended that did not fail.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Ended {
    /// By [`Control::stop`], at the end of a turn.
    Stopped,
    /// By [`Control::kill`].
    Killed,
}

/// Why a server could not start or go on.
#[derive(Debug, thiserror::Error)]
pub enum ServeError {
    /// The state file exists and cannot be read.
    #[error("can't read the cluster config file")]
    LoadState(#[source] io::Error),
    /// Another server uses the state file.
    #[error(
        "Sorry, the cluster configuration file {file} is already used by a different Redis \
         Cluster node. Please make sure that different nodes use different cluster configuration \
         files."
    )]
    Locked {
        /// The state file.
        file: String,
    },
    /// The files of data cannot be loaded.
    #[error(transparent)]
    Load(#[from] LoadError),
    /// The append-only file cannot be written or synced and every write must be
    /// (`appendfsync always`).
    #[error("can't write the append-only file")]
    Append(#[source] io::Error),
    /// The state file is not one.
    #[error("unrecoverable error: corrupted cluster config file")]
    BadState(#[source] nodes_conf::NodesConfError),
    /// The node cannot run with this configuration or this state file.
    #[error(transparent)]
    Config(#[from] ConfigError),
    /// A port cannot be listened on.
    #[error("can't listen on port {port}")]
    Listen {
        /// The port.
        port: u16,
        /// Why.
        source: io::Error,
    },
    /// The state file cannot be written; a node that forgets its votes must not go on
    /// (`clusterSaveConfigOrDie`).
    #[error("can't update the cluster config file")]
    SaveState(#[source] io::Error),
}

/// Runs a server until it is stopped, killed or fails.
///
/// The future is not `Send`: run it on a current-thread runtime.
///
/// # Errors
/// [`ServeError`] if the process cannot start, or cannot save its state.
pub async fn serve<N, C, D, O>(server: Server<N, C, D, O>) -> Result<Ended, ServeError>
where
    N: Network,
    C: Clock,
    D: Disk,
    O: Observer,
{
    let control = server.control.clone();
    // A turn is one step for the process; a scheduler's budget must not cut it in pieces.
    let ended = tokio::task::unconstrained(run(server)).await;
    control.remove();
    match ended {
        Err(Stop::Stopped) => Ok(Ended::Stopped),
        Err(Stop::Killed) => Ok(Ended::Killed),
        Err(Stop::Failed(error)) => Err(error),
        Ok(never) => match never {},
    }
}

/// Why the loop is left.
enum Stop {
    Stopped,
    Killed,
    Failed(ServeError),
}

struct EventLoop<N: Network, C, D, O> {
    network: N,
    clock: C,
    disk: D,
    observer: O,
    control: Control,
    torn_state_file: bool,
    data: Data,
    /// Whether the process ends with this turn.
    exits: bool,
    ready: Arc<ReadyList>,
    descriptors: Descriptors<N>,
    timer: Timer,
    /// Number of polls so far.
    turn: u64,
    /// Links accepted have odd numbers; the node gives even ones to those it opens.
    next_accepted_link: u64,
    last_client: u64,
    /// What clients may ask for, as of the last turn.
    limits: Limits,
    /// What the node is to be told of what it asked for.
    answers: VecDeque<Input>,
    correspondents: Correspondents<N::Stream>,
    /// Whether an exchange ended since the turn began to end.
    stood_still: bool,
    /// Connections with something to flush.
    dirty: Vec<Token>,
    // Kept for their memory.
    actions: Vec<Action>,
    reported: Vec<Token>,
    scratch: Box<[u8]>,
}

async fn run<N, C, D, O>(server: Server<N, C, D, O>) -> Result<Infallible, Stop>
where
    N: Network,
    C: Clock,
    D: Disk,
    O: Observer,
{
    let mut event_loop = start(server).await?;
    loop {
        event_loop.turn().await?;
    }
}

/// Loads the state, makes the node and listens.
async fn start<N, C, D, O>(server: Server<N, C, D, O>) -> Result<EventLoop<N, C, D, O>, Stop>
where
    N: Network,
    C: Clock,
    D: Disk,
    O: Observer,
{
    let Server {
        config,
        seed,
        network,
        clock,
        disk,
        observer,
        control,
    } = server;
    if !disk.lock().map_err(ServeError::LoadState)? {
        let file = config.cluster_config_file.to_string();
        return Err(ServeError::Locked { file }.into());
    }
    let content = control
        .wait_for(disk.load())
        .await
        .ok_or(Stop::Killed)?
        .map_err(ServeError::LoadState)?;
    observer.state_loaded(clock.now(), content.as_deref());
    let saved = SavedState::parse(&content.unwrap_or_default()).map_err(ServeError::BadState)?;
    let (client_port, bus_port) = (config.port, config.bus_port);
    let torn_state_file = config.has_bug(Bug::TornStateFile);
    let mut data = Data::new(disk.files(), &config);
    let mut node = Node::new(config, seed, saved, clock.now()).map_err(ServeError::Config)?;
    let ready = Arc::new(ReadyList::default());
    let mut descriptors = Descriptors::new(Arc::clone(&ready));
    let listener = listen(&network, &control, client_port).await?;
    descriptors.add(|_| Kind::ClientListener(listener));
    let listener = listen(&network, &control, bus_port).await?;
    descriptors.add(|_| Kind::BusListener(listener));
    let loaded = data.load(&mut node, &|| clock.now());
    for (level, line) in std::mem::take(&mut data.lines) {
        observer.log(clock.now(), level, &line);
    }
    loaded.map_err(ServeError::Load)?;
    control.install(node);
    Ok(EventLoop {
        network,
        clock,
        disk,
        observer,
        control,
        torn_state_file,
        data,
        exits: false,
        ready,
        descriptors,
        timer: Timer::default(),
        turn: 0,
        next_accepted_link: 1,
        last_client: 0,
        limits: Limits::default(),
        answers: VecDeque::new(),
        correspondents: Correspondents::default(),
        stood_still: false,
        dirty: Vec::new(),
        actions: Vec::new(),
        reported: Vec::new(),
        scratch: vec![0; SCRATCH_LEN].into_boxed_slice(),
    })
}

async fn listen<N: Network>(
    network: &N,
    control: &Control,
    port: u16,
) -> Result<N::Listener, Stop> {
    let listener = control.wait_for(network.listen(port)).await;
    let listener = listener.ok_or(Stop::Killed)?;
    Ok(listener.map_err(|source| ServeError::Listen { port, source })?)
}

impl<N: Network, C: Clock, D: Disk, O: Observer> EventLoop<N, C, D, O> {
    /// One turn (`aeProcessEvents`): the time-out is taken first, then comes `beforeSleep`, the
    /// poll, what is ready, the timers.
    async fn turn(&mut self) -> Result<(), Stop> {
        let timeout_us = self.until_next_wake_us();
        self.stood_still = true;
        while std::mem::take(&mut self.stood_still) {
            self.input(Input::TurnEnd).await?;
        }
        self.flush();
        if self.turn == 0 {
            let ready = "Ready to accept connections";
            self.observer.log(self.clock.now(), LogLevel::Notice, ready);
        }
        self.limits = self.control.with_node(Limits::of).unwrap_or_default();
        if self.control.take_stop() {
            self.input(Input::Terminate).await?;
            self.flush();
        }
        if self.exits {
            return Err(Stop::Stopped);
        }
        let ends_at = timer::poll_ends_at(self.clock.now().mono, timeout_us);
        self.poll_and_read(ends_at).await?;
        if self.until_next_wake_us() == 0 {
            self.input(Input::Wake).await?;
            self.cut_slow_readers().await?;
            self.correspondents.close_idle(self.clock.now().mono);
        }
        Ok(())
    }

    fn until_next_wake_us(&self) -> u64 {
        let Some(wake) = self.control.next_wake() else {
            return 0;
        };
        wake.at.0.saturating_sub(self.clock.now().mono.0)
    }
}

impl From<ServeError> for Stop {
    fn from(error: ServeError) -> Self {
        Self::Failed(error)
    }
}
