//! A node's host: its kernel, its clocks, its disk, and the process that comes and goes.

use std::cell::{Cell, RefCell};
use std::future::{Future, poll_fn};
use std::io;
use std::pin::pin;
use std::rc::Rc;
use std::sync::Arc;
use std::task::{Poll, Waker};

use redrill_node::{Config, Fact, Mono, Now};
use redrill_server::{
    Clock, Control, Disk, Ended, Files, MemoryFiles, Observer, Replace, Server, serve,
};
use tokio::task::{LocalSet, spawn_local};

use super::fabric::{KernelNumber, Shared};
use super::socket::{Directory, HostNetwork};
use super::time::{HostTime, TICK_US};
use crate::clock::HostClock;
use crate::disk::HostDisk;
use crate::plan::Plan;
use crate::recorder::Recorder;
use crate::scenario::{CrashKind, StallKind};
use crate::tcp::NEVER;
use crate::trace::{NodeNumber, ProcessChange};

/// The state file's name.
const STATE_FILE: &str = "nodes.conf";

/// A node's host, held by the world and by what runs on it.
#[derive(Debug)]
pub(super) struct NodeHost {
    pub(super) node: NodeNumber,
    pub(super) config: Config,
    pub(super) clock: Cell<HostClock>,
    pub(super) disk: RefCell<HostDisk>,
    /// The files of data.
    pub(super) data: MemoryFiles,
    pub(super) control: RefCell<Control>,
    /// Whether a process was started and has not ended.
    pub(super) runs: Cell<bool>,
    /// Until when the process sleeps in a command.
    pub(super) sleeps_until_us: Cell<Option<u64>>,
    starts: Cell<u32>,
    start_wanted: Cell<bool>,
    waker: RefCell<Option<Waker>>,
}

/// What the hosts of a run share.
#[derive(Clone, Debug)]
pub(super) struct Surroundings {
    pub(super) fabric: Shared,
    pub(super) directory: Rc<Directory>,
    pub(super) recorder: Rc<RefCell<Recorder>>,
    pub(super) plan: Rc<Plan>,
}

impl NodeHost {
    pub(super) fn new(node: NodeNumber, config: Config, clock: HostClock, disk: HostDisk) -> Self {
        Self {
            node,
            config,
            clock: Cell::new(clock),
            disk: RefCell::new(disk),
            data: MemoryFiles::new(),
            control: RefCell::default(),
            runs: Cell::new(false),
            sleeps_until_us: Cell::new(None),
            starts: Cell::new(0),
            start_wanted: Cell::new(false),
            waker: RefCell::new(None),
        }
    }

    /// Writes the first state file.
    pub(super) fn install_state(&self, text: String) {
        let mut disk = self.disk.borrow_mut();
        disk.replace(STATE_FILE, text.into_bytes());
        disk.sync(STATE_FILE);
    }

    /// Has the process started as soon as the last one has ended.
    pub(super) fn start(&self) {
        self.runs.set(true);
        self.start_wanted.set(true);
        if let Some(waker) = self.waker.borrow_mut().take() {
            waker.wake();
        }
    }

    /// Has the process ended.
    pub(super) fn end(&self) {
        self.runs.set(false);
        self.start_wanted.set(false);
        self.sleeps_until_us.set(None);
    }

    async fn wait_for_start(&self) {
        poll_fn(|context| {
            if self.start_wanted.take() {
                return Poll::Ready(());
            }
            *self.waker.borrow_mut() = Some(context.waker().clone());
            Poll::Pending
        })
        .await;
    }
}

/// Runs a host for ever: its kernel, and processes whenever the world starts one.
pub(super) async fn live(host: Rc<NodeHost>, around: Surroundings) {
    let time = HostTime::at_beginning();
    let kernel = KernelNumber::from(host.node);
    spawn_local(run_kernel(Rc::clone(&around.fabric), kernel, time));
    loop {
        host.wait_for_start().await;
        let start = host.starts.replace(host.starts.get() + 1);
        let control = Control::new();
        host.control.replace(control.clone());
        let server = Server {
            config: host.config.clone(),
            seed: around.plan.node_seed(host.node, start),
            network: HostNetwork {
                fabric: Rc::clone(&around.fabric),
                directory: Rc::clone(&around.directory),
                host: host.node,
                kernel,
                time,
            },
            clock: ProcessClock {
                host: Rc::clone(&host),
                time,
            },
            disk: ProcessDisk {
                host: Rc::clone(&host),
                time,
            },
            observer: Watcher {
                host: Rc::clone(&host),
                recorder: Rc::clone(&around.recorder),
            },
            control,
        };
        // What a process spawned ends with it.
        let process = LocalSet::new();
        let ended = process.run_until(serve(server)).await;
        drop(process);
        let why = match ended {
            Ok(Ended::Stopped | Ended::Killed) => None,
            Err(error) => Some(with_sources(&error)),
        };
        if let Some(why) = why {
            let now_us = time.now_us();
            let mut recorder = around.recorder.borrow_mut();
            recorder.remark(now_us, format!("{} ended by itself: {why}", host.node));
            recorder.process(
                now_us,
                host.node,
                ProcessChange::Crashed(CrashKind::Shutdown),
            );
            host.end();
        }
    }
}

/// Does what a host's connections need, when they need it.
pub(super) async fn run_kernel(fabric: Shared, kernel: KernelNumber, time: HostTime) {
    let mut sleep = pin!(tokio::time::sleep_until(time.instant(0)));
    poll_fn(|context| {
        loop {
            let now_us = time.now_us();
            let next_us = fabric.borrow_mut().work(kernel, now_us, context.waker());
            if next_us == NEVER {
                return Poll::<()>::Pending;
            }
            let tick_us = next_us - next_us % TICK_US;
            sleep.as_mut().reset(time.instant(tick_us));
            if sleep.as_mut().poll(context).is_pending() {
                return Poll::Pending;
            }
        }
    })
    .await;
}

fn with_sources(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(error) = source {
        text.push_str(": ");
        text.push_str(&error.to_string());
        source = error.source();
    }
    text
}

struct ProcessClock {
    host: Rc<NodeHost>,
    time: HostTime,
}

impl Clock for ProcessClock {
    fn now(&self) -> Now {
        self.host.clock.get().at(self.time.now_us())
    }

    fn sleep_until(&self, at: Mono) -> impl Future<Output = ()> + 'static {
        self.time.until(at.0)
    }
}

struct ProcessDisk {
    host: Rc<NodeHost>,
    time: HostTime,
}

impl ProcessDisk {
    async fn sync(&self) {
        let now_us = self.time.now_us();
        let takes_us = self.host.disk.borrow().sync_time_us(now_us);
        // To the nearest tick: most syncs are shorter than one.
        self.time
            .until_tick_of(now_us + takes_us + TICK_US / 2)
            .await;
    }
}

impl Disk for ProcessDisk {
    async fn load(&self) -> io::Result<Option<Vec<u8>>> {
        Ok(self.host.disk.borrow().read(STATE_FILE).map(<[u8]>::to_vec))
    }

    async fn save(&self, content: Vec<u8>, replace: Replace, sync: bool) -> io::Result<()> {
        match replace {
            Replace::InPlace => self.host.disk.borrow_mut().overwrite(STATE_FILE, content),
            Replace::Atomic => {
                if sync {
                    self.sync().await;
                }
                self.host.disk.borrow_mut().replace(STATE_FILE, content);
                if sync {
                    self.host.disk.borrow_mut().sync(STATE_FILE);
                }
                return Ok(());
            }
        }
        if sync {
            self.sync().await;
            self.host.disk.borrow_mut().sync(STATE_FILE);
        }
        Ok(())
    }

    fn files(&self) -> Arc<dyn Files> {
        Arc::new(self.host.data.clone())
    }

    async fn wait_for<T: 'static>(&self, work: impl FnOnce() -> T + 'static) -> T {
        self.sync().await;
        work()
    }

    fn beside<T: Send + 'static>(
        &self,
        work: impl FnOnce() -> T + Send + 'static,
    ) -> impl Future<Output = Option<T>> + 'static {
        let now_us = self.time.now_us();
        let takes_us = self.host.disk.borrow().sync_time_us(now_us);
        let done = self.time.until_tick_of(now_us + takes_us + TICK_US / 2);
        async move {
            done.await;
            Some(work())
        }
    }
}

struct Watcher {
    host: Rc<NodeHost>,
    recorder: Rc<RefCell<Recorder>>,
}

impl Observer for Watcher {
    fn fact(&self, at: Now, fact: Fact) {
        self.recorder
            .borrow_mut()
            .fact(at.mono.0, self.host.node, fact);
    }

    fn state_loaded(&self, at: Now, content: Option<&[u8]>) {
        self.recorder
            .borrow_mut()
            .state_loaded(at.mono.0, self.host.node, content);
    }

    fn state_saving(&self, _: Now, content: &[u8], _: bool) {
        let (current_epoch, last_vote_epoch) = epochs_in(content);
        let mut recorder = self.recorder.borrow_mut();
        recorder.state_saving(self.host.node, current_epoch, last_vote_epoch);
    }

    fn state_saved(&self, at: Now, sync: bool) {
        self.recorder
            .borrow_mut()
            .state_saved(at.mono.0, self.host.node, sync);
    }

    fn sleeping(&self, at: Now, until: Mono) {
        self.host.sleeps_until_us.set(Some(until.0));
        let change = ProcessChange::Stalled(StallKind::DebugSleep);
        self.recorder
            .borrow_mut()
            .process(at.mono.0, self.host.node, change);
    }
}

/// The epochs in the last line of a state file.
fn epochs_in(content: &[u8]) -> (u64, u64) {
    let text = String::from_utf8_lossy(content);
    let last = text.lines().next_back().unwrap_or_default();
    let mut words = last.split(' ').skip(1);
    let mut after = |name| {
        words.find(|&word| word == name)?;
        words.next()?.parse().ok()
    };
    (
        after("currentEpoch").unwrap_or(0),
        after("lastVoteEpoch").unwrap_or(0),
    )
}
