//! The handle by which a world holds a running server.

use std::cell::{Cell, RefCell};
use std::collections::BTreeMap;
use std::fmt;
use std::future::{Future, poll_fn};
use std::pin::pin;
use std::rc::Rc;
use std::task::{Poll, Waker};

use redrill_node::{Action, ClientId, Input, LinkId, Node, Now, Wake};

/// Holds one server process from outside: freezes, stops or kills it, and looks into its node.
///
/// Clones are handles to the same process. One control serves one call of [`crate::serve`]; a
/// restarted process gets a new one.
#[derive(Clone, Default)]
pub struct Control(Rc<Inner>);

#[derive(Default)]
struct Inner {
    node: RefCell<Option<Node>>,
    frozen: Cell<bool>,
    freezes: Cell<u64>,
    ending: Cell<Option<Ending>>,
    waker: RefCell<Option<Waker>>,
    queued: RefCell<QueuedBytes>,
}

/// How a process is asked to end.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Ending {
    /// At the end of the turn.
    Stop,
    /// Wherever it stands.
    Kill,
}

/// Whom a connection serves.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Owner {
    Link(LinkId),
    Client(ClientId),
    Master,
}

/// Bytes that the server has not been able to hand to the kernel yet, by connection. Connections
/// with nothing queued are left out.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct QueuedBytes {
    /// Bus links.
    pub links: BTreeMap<LinkId, usize>,
    /// Clients, replicas among them.
    pub clients: BTreeMap<ClientId, usize>,
    /// The connection to the master.
    pub master: usize,
}

impl Control {
    /// A control for a process that has not started.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Stops the process wherever it is (`SIGSTOP`): in its poll, in a sleep or in a write to
    /// disk. Its kernel goes on. Frozen before it starts, it stands still in its first poll.
    pub fn freeze(&self) {
        self.0.frozen.set(true);
        self.0.freezes.set(self.0.freezes.get() + 1);
        self.wake();
    }

    /// Lets a frozen process go on (`SIGCONT`). An interrupted poll returns at once and empty, so
    /// timers that are due run before the backlog is read.
    pub fn thaw(&self) {
        self.0.frozen.set(false);
        self.wake();
    }

    /// Whether the process is frozen.
    #[must_use]
    pub fn is_frozen(&self) -> bool {
        self.0.frozen.get()
    }

    /// Asks the process to end after its turn (`SIGTERM`): its data is made durable as the
    /// configuration demands, and what is queued is offered to the kernel. If the data cannot be
    /// saved the process goes on.
    pub fn stop(&self) {
        if self.0.ending.get().is_none() {
            self.0.ending.set(Some(Ending::Stop));
        }
        self.wake();
    }

    /// Ends the process wherever it is (`SIGKILL`), frozen or not. Nothing more leaves it, its
    /// kernel closes its connections.
    pub fn kill(&self) {
        self.0.ending.set(Some(Ending::Kill));
        self.wake();
    }

    /// Whether the node exists: the process has loaded its state and has not ended.
    #[must_use]
    pub fn is_running(&self) -> bool {
        self.with_node(|_| ()).is_some()
    }

    /// Looks at the node between two of its inputs. `None` if the process has not loaded its state
    /// yet or has ended.
    pub fn with_node<T>(&self, look: impl FnOnce(&Node) -> T) -> Option<T> {
        let node = self.0.node.try_borrow().ok()?;
        node.as_ref().map(look)
    }

    /// What the kernel has not taken yet.
    #[must_use]
    pub fn queued_bytes(&self) -> QueuedBytes {
        self.0.queued.borrow().clone()
    }

    fn wake(&self) {
        if let Some(waker) = self.0.waker.borrow().as_ref() {
            waker.wake_by_ref();
        }
    }
}

/// The server's end of the handle.
impl Control {
    pub(crate) fn install(&self, node: Node) {
        *self.0.node.borrow_mut() = Some(node);
    }

    pub(crate) fn remove(&self) {
        *self.0.node.borrow_mut() = None;
        *self.0.queued.borrow_mut() = QueuedBytes::default();
    }

    pub(crate) fn handle(&self, now: Now, input: Input, actions: &mut Vec<Action>) {
        if let Some(node) = self.0.node.borrow_mut().as_mut() {
            node.handle(now, input, actions);
        }
    }

    pub(crate) fn next_wake(&self) -> Option<Wake> {
        self.with_node(Node::next_wake)
    }

    pub(crate) fn ending(&self) -> Option<Ending> {
        self.0.ending.get()
    }

    /// Whether the process was asked to end since this was last asked.
    pub(crate) fn take_stop(&self) -> bool {
        let asked = self.ending() == Some(Ending::Stop);
        if asked {
            self.0.ending.set(None);
        }
        asked
    }

    /// Notes how many bytes wait on a connection.
    pub(crate) fn note_queue(&self, owner: Owner, queued: usize) {
        fn note<K: Ord>(queues: &mut BTreeMap<K, usize>, key: K, queued: usize) {
            if queued == 0 {
                queues.remove(&key);
            } else {
                queues.insert(key, queued);
            }
        }
        let mut queues = self.0.queued.borrow_mut();
        match owner {
            Owner::Link(link) => note(&mut queues.links, link, queued),
            Owner::Client(client) => note(&mut queues.clients, client, queued),
            Owner::Master => queues.master = queued,
        }
    }

    /// The clients for which at least so many bytes wait.
    pub(crate) fn slow_clients(&self, bytes: usize) -> Vec<ClientId> {
        let queued = self.0.queued.borrow();
        let slow = queued.clients.iter().filter(|&(_, &len)| len >= bytes);
        slow.map(|(&client, _)| client).collect()
    }

    /// How often the process was frozen: a poll during which it grows was interrupted.
    pub(crate) fn freezes(&self) -> u64 {
        self.0.freezes.get()
    }

    /// Has `waker` woken when the process is frozen, thawed or ended.
    pub(crate) fn watch(&self, waker: &Waker) {
        let mut watching = self.0.waker.borrow_mut();
        match watching.as_mut() {
            Some(known) => known.clone_from(waker),
            None => *watching = Some(waker.clone()),
        }
    }

    /// Waits for `work`, and while the process is frozen. `None` if it is killed meanwhile. The
    /// work itself goes on under a freeze: it is the kernel's.
    pub(crate) async fn wait_for<T>(&self, work: impl Future<Output = T>) -> Option<T> {
        let mut work = pin!(work);
        let mut done = None;
        poll_fn(|context| {
            self.watch(context.waker());
            if self.ending() == Some(Ending::Kill) {
                return Poll::Ready(None);
            }
            if done.is_none()
                && let Poll::Ready(result) = work.as_mut().poll(context)
            {
                done = Some(result);
            }
            match done.take() {
                Some(result) if !self.is_frozen() => Poll::Ready(Some(result)),
                waiting => {
                    done = waiting;
                    Poll::Pending
                }
            }
        })
        .await
    }
}

impl fmt::Debug for Control {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter
            .debug_struct("Control")
            .field("running", &self.is_running())
            .field("frozen", &self.is_frozen())
            .field("ending", &self.ending())
            .finish()
    }
}
