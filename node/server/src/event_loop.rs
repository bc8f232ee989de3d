//! The event loop: Redis's order of a turn (`aeProcessEvents`).

mod timer;

use std::io;
use std::sync::Arc;
use std::task::Poll;

use redrill_node::{Action, Config, ConfigError, Input, Mono, Node, Seed};

use crate::clock::Clock;
use crate::control::{Control, Ending};
use crate::disk::Disk;
use crate::network::Network;
use crate::observer::Observer;
use crate::ready::{ReadyList, Token};
use timer::Timer;

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

/// How a poll ended.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Polled {
    /// Descriptors are ready.
    Ready,
    /// Time is up.
    TimedOut,
    /// A signal ended it (`EINTR`): no descriptor is looked at in this turn.
    Interrupted,
}

struct EventLoop<N, C, D, O> {
    network: N,
    clock: C,
    disk: D,
    observer: O,
    control: Control,
    ready: Arc<ReadyList>,
    timer: Timer,
    actions: Vec<Action>,
}

async fn run<N, C, D, O>(server: Server<N, C, D, O>) -> Result<std::convert::Infallible, Stop>
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
    let node = Node::new(config, seed, None, clock.now())
        .map_err(|error| Stop::Failed(ServeError::Config(error)))?;
    control.install(node);
    let mut event_loop = EventLoop {
        network,
        clock,
        disk,
        observer,
        control,
        ready: Arc::new(ReadyList::default()),
        timer: Timer::default(),
        actions: Vec::new(),
    };
    loop {
        event_loop.turn().await?;
    }
}

impl<N: Network, C: Clock, D: Disk, O: Observer> EventLoop<N, C, D, O> {
    /// One turn (`aeProcessEvents`): the time-out is taken first, then comes `beforeSleep`, the
    /// poll, what is ready, the timers.
    async fn turn(&mut self) -> Result<(), Stop> {
        let timeout_us = self.until_next_wake_us();
        self.input(Input::TurnEnd).await?;
        if self.control.ending() == Some(Ending::Stop) {
            return Err(Stop::Stopped);
        }
        let ends_at = timer::poll_ends_at(self.clock.now().mono, timeout_us);
        if self.poll(ends_at).await? == Polled::Ready {
            let mut ready = Vec::<Token>::new();
            self.ready.take(&mut ready);
        }
        if self.until_next_wake_us() == 0 {
            self.input(Input::Wake).await?;
        }
        Ok(())
    }

    fn until_next_wake_us(&self) -> u64 {
        let Some(wake) = self.control.next_wake() else {
            return 0;
        };
        wake.at.0.saturating_sub(self.clock.now().mono.0)
    }

    /// Waits until a descriptor is ready, the process is thawed, or time is up.
    async fn poll(&mut self, ends_at: Mono) -> Result<Polled, Stop> {
        if !self.ready.is_empty() || self.clock.now().mono >= ends_at {
            // Nothing to wait for, yet the network has to be asked what else is ready.
            tokio::task::yield_now().await;
        }
        let freezes = self.control.freezes();
        std::future::poll_fn(|context| {
            self.control.watch(context.waker());
            if self.control.ending() == Some(Ending::Kill) {
                return Poll::Ready(Err(Stop::Killed));
            }
            if self.control.is_frozen() {
                return Poll::Pending;
            }
            if self.control.freezes() > freezes || self.control.ending().is_some() {
                return Poll::Ready(Ok(Polled::Interrupted));
            }
            if !self.ready.wait(context.waker()) {
                return Poll::Ready(Ok(Polled::Ready));
            }
            self.timer
                .poll_due(&self.clock, ends_at, context)
                .map(|()| Ok(Polled::TimedOut))
        })
        .await
    }

    async fn input(&mut self, input: Input) -> Result<(), Stop> {
        let mut actions = std::mem::take(&mut self.actions);
        self.control.handle(self.clock.now(), input, &mut actions);
        for action in actions.drain(..) {
            if let Action::Note(fact) = action {
                self.observer.fact(self.clock.now(), fact);
            }
        }
        self.actions = actions;
        Ok(())
    }
}
