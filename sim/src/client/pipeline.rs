//! The pipelined client: an open loop.

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use redrill_node::Word;
use redrill_node::{CommandLine, Reply};

use super::links::Links;
use super::load::{Load, Work};
use super::slots::{Addresses, Refusal, Slots};
use super::tasks::Tasks;
use super::{ClientAction, ClientInput, Pace, Setup};
use crate::trace::{ClientNumber, NodeNumber, Operation, Outcome};

/// Redirects that an operation follows.
const REDIRECTS: u16 = 5;

/// How long an operation waits before it is tried again.
const RETRY_AFTER_US: u64 = 50_000;

/// How long a node that failed is not asked for the slots.
const SUSPECT_FOR_US: u64 = 1_000_000;

/// The least time between two questions for the slots.
const REFRESH_EVERY_US: u64 = 100_000;

/// How long a node may take to tell the slots.
const REFRESH_TIMEOUT_US: u64 = 500_000;

/// A client with many operations in flight.
#[derive(Debug)]
pub(super) struct Pipeline {
    pub(super) pace: Pace,
    pub(super) load: Load,
    number: ClientNumber,
    timeout_us: u64,
    addresses: Addresses,
    node_count: NodeNumber,
    slots: Slots,
    links: Links,
    /// What was asked on each node's connection and is not answered, the oldest first.
    asked: Vec<VecDeque<Asked>>,
    tasks: Tasks,
    /// Deadlines in order of issue; all operations have the same time.
    deadlines: VecDeque<(u64, u32)>,
    retries: BTreeSet<(u64, u32)>,
    refresh: Refresh,
    suspect_until_us: BTreeMap<NodeNumber, u64>,
}

/// An operation in flight.
#[derive(Debug)]
pub(super) struct Task {
    pub(super) work: Work,
    issued_us: u64,
    requests: u16,
    redirects: u16,
    node: Option<NodeNumber>,
    state: State,
    /// What it fails with if its time runs out before anything else happens.
    last: Outcome,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum State {
    /// Handed to a connection.
    Asked,
    /// To be tried again at its time in `retries`.
    Waiting,
}

/// What an answer will be for.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Asked {
    /// An operation; it may have been given up meanwhile.
    Task(u32),
    /// `CLUSTER SLOTS`.
    Slots,
    /// `READONLY` or `ASKING`, whose answer says nothing.
    Aside,
}

/// Asking for the slots.
#[derive(Clone, Copy, Debug)]
struct Refresh {
    wanted: bool,
    /// Who is being asked, and until when.
    asking: Option<(NodeNumber, u64)>,
    not_before_us: u64,
    next_node: NodeNumber,
}

impl Pipeline {
    pub(super) fn new(setup: &Setup<'_>, load: Load) -> Self {
        let node_count = setup.nodes.len() as NodeNumber;
        Self {
            pace: Pace::new(setup),
            load,
            number: setup.number,
            timeout_us: setup.spec.timeout_us,
            addresses: Addresses::new(setup.addresses),
            node_count,
            slots: Slots::unknown(),
            links: Links::default(),
            asked: setup.nodes.iter().map(|_| VecDeque::new()).collect(),
            tasks: Tasks::default(),
            deadlines: VecDeque::new(),
            retries: BTreeSet::new(),
            refresh: Refresh {
                wanted: true,
                asking: None,
                not_before_us: setup.start_us,
                next_node: setup.number % node_count.max(1),
            },
            suspect_until_us: BTreeMap::new(),
        }
    }

    pub(super) fn next_wake_us(&self) -> u64 {
        let refresh_us = match (self.refresh.asking, self.refresh.wanted) {
            (Some((_, until_us)), _) => until_us,
            (None, true) => self.refresh.not_before_us,
            (None, false) => u64::MAX,
        };
        let retry_us = self.retries.first().map_or(u64::MAX, |retry| retry.0);
        let deadline_us = self
            .deadlines
            .front()
            .map_or(u64::MAX, |deadline| deadline.0);
        refresh_us
            .min(retry_us)
            .min(deadline_us)
            .min(self.pace.next_us())
    }

    pub(super) const fn is_idle(&self) -> bool {
        self.tasks.is_empty()
    }

    pub(super) fn handle(
        &mut self,
        now_us: u64,
        input: ClientInput,
        actions: &mut Vec<ClientAction>,
    ) {
        match input {
            ClientInput::Wake => (),
            ClientInput::Connected(connection) => {
                self.links.connected(connection, actions);
            }
            ClientInput::Broken(connection) => {
                if let Some((node, up)) = self.links.broken(connection) {
                    self.lost_link(now_us, node, up, actions);
                }
            }
            ClientInput::Reply(connection, reply) => {
                if let Some(node) = self.links.node_of(connection) {
                    self.answered(now_us, node, &reply, actions);
                }
            }
        }
        self.expire(now_us, actions);
        self.retry(now_us, actions);
        while self.pace.next_us() <= now_us {
            self.issue(now_us, actions);
        }
        self.ask_for_slots(now_us, actions);
    }
}

/// Operations.
impl Pipeline {
    fn issue(&mut self, now_us: u64, actions: &mut Vec<ClientAction>) {
        let (issued_us, work) = (self.pace.take(), self.load.next());
        let number = work.number;
        self.deadlines
            .push_back((issued_us.max(now_us) + self.timeout_us, number));
        let task = Task {
            work,
            issued_us,
            requests: 0,
            redirects: 0,
            node: None,
            state: State::Waiting,
            last: Outcome::Unreachable,
        };
        self.tasks.push(task);
        self.send(now_us, number, None, false, actions);
    }

    /// Asks a node, or whoever is taken for the right one.
    fn send(
        &mut self,
        now_us: u64,
        number: u32,
        to: Option<NodeNumber>,
        asking: bool,
        actions: &mut Vec<ClientAction>,
    ) {
        let Some(task) = self.tasks.get_mut(number) else {
            return;
        };
        let known = || match task.work.replica_choice {
            Some(choice) => self.slots.any_of_shard(task.work.slot, choice),
            None => self.slots.master(task.work.slot),
        };
        let Some(node) = to.or_else(known) else {
            self.refresh.wanted = true;
            return self.try_later(now_us, number);
        };
        task.state = State::Asked;
        task.requests = task.requests.saturating_add(1);
        task.node = Some(node);
        let readonly = task.work.replica_choice.is_some();
        let command = self.load.command(&mut task.work);
        if asking {
            self.ask(node, words(&["ASKING"]), Asked::Aside, readonly, actions);
        }
        self.ask(node, command, Asked::Task(number), readonly, actions);
    }

    fn ask(
        &mut self,
        node: NodeNumber,
        command: CommandLine,
        what: Asked,
        readonly: bool,
        actions: &mut Vec<ClientAction>,
    ) {
        let asked = &mut self.asked[usize::from(node)];
        if readonly && !self.links.is_readonly(node) {
            asked.push_back(Asked::Aside);
            self.links.send(node, words(&["READONLY"]), actions);
            self.links.set_readonly(node);
        }
        asked.push_back(what);
        self.links.send(node, command, actions);
    }

    fn answered(
        &mut self,
        now_us: u64,
        node: NodeNumber,
        reply: &Reply,
        actions: &mut Vec<ClientAction>,
    ) {
        match self.asked[usize::from(node)].pop_front() {
            Some(Asked::Task(number)) => {
                self.task_answered(now_us, node, number, reply, actions);
            }
            Some(Asked::Slots) => self.told_slots(now_us, node, reply),
            Some(Asked::Aside) | None => (),
        }
    }

    fn task_answered(
        &mut self,
        now_us: u64,
        node: NodeNumber,
        number: u32,
        reply: &Reply,
        actions: &mut Vec<ClientAction>,
    ) {
        let Some(task) = self.tasks.get_mut(number) else {
            return;
        };
        let Reply::Error(text) = reply else {
            task.node = Some(node);
            return self.finish(number, Outcome::Ok, actions);
        };
        let refusal = Refusal::of(text, &self.addresses);
        if matches!(refusal, Refusal::Moved(..) | Refusal::Ask(_)) {
            task.redirects += 1;
            if task.redirects > REDIRECTS {
                return self.finish(number, Outcome::TooManyRedirects, actions);
            }
        }
        match refusal {
            Refusal::Moved(slot, owner) => {
                self.slots.set_master(slot, owner);
                self.refresh.wanted = true;
                self.send(now_us, number, Some(owner), false, actions);
            }
            Refusal::Ask(other) => self.send(now_us, number, Some(other), true, actions),
            Refusal::ClusterDown => self.refused(now_us, number, Outcome::ClusterDown),
            Refusal::Later => self.refused(now_us, number, Outcome::Error),
            Refusal::Other => self.finish(number, Outcome::Error, actions),
        }
    }

    fn refused(&mut self, now_us: u64, number: u32, outcome: Outcome) {
        if let Some(task) = self.tasks.get_mut(number) {
            task.last = outcome;
        }
        self.refresh.wanted = true;
        self.try_later(now_us, number);
    }

    fn try_later(&mut self, now_us: u64, number: u32) {
        if let Some(task) = self.tasks.get_mut(number) {
            task.state = State::Waiting;
            self.retries.insert((now_us + RETRY_AFTER_US, number));
        }
    }

    fn retry(&mut self, now_us: u64, actions: &mut Vec<ClientAction>) {
        while let Some(&(at_us, number)) = self.retries.first()
            && at_us <= now_us
        {
            self.retries.pop_first();
            if self
                .tasks
                .get(number)
                .is_some_and(|task| task.state == State::Waiting)
            {
                self.send(now_us, number, None, false, actions);
            }
        }
    }

    /// Gives up what has waited too long.
    fn expire(&mut self, now_us: u64, actions: &mut Vec<ClientAction>) {
        while let Some(&(deadline_us, number)) = self.deadlines.front()
            && deadline_us <= now_us
        {
            self.deadlines.pop_front();
            let Some(task) = self.tasks.get(number) else {
                continue;
            };
            match (task.state, task.node) {
                (State::Asked, Some(node)) => {
                    let up = self.links.is_up(node);
                    let outcome = if up { Outcome::Timeout } else { task.last };
                    self.finish(number, outcome, actions);
                    // Whoever lets one wait lets all wait: start anew with another connection.
                    self.links.close(node, actions);
                    self.lost_link(now_us, node, up, actions);
                }
                (State::Asked, None) | (State::Waiting, _) => {
                    let last = task.last;
                    self.finish(number, last, actions);
                }
            }
        }
    }

    fn lost_link(
        &mut self,
        now_us: u64,
        node: NodeNumber,
        up: bool,
        actions: &mut Vec<ClientAction>,
    ) {
        self.suspect_until_us.insert(node, now_us + SUSPECT_FOR_US);
        self.refresh.wanted = true;
        for asked in std::mem::take(&mut self.asked[usize::from(node)]) {
            match asked {
                Asked::Task(number) => self.task_cut_off(now_us, number, up, actions),
                Asked::Slots => self.refresh.asking = None,
                Asked::Aside => (),
            }
        }
    }

    /// The connection on which an operation was asked is gone. A write that reached the node may
    /// have happened and is not tried again.
    fn task_cut_off(
        &mut self,
        now_us: u64,
        number: u32,
        up: bool,
        actions: &mut Vec<ClientAction>,
    ) {
        let Some(task) = self.tasks.get_mut(number) else {
            return;
        };
        if up && task.work.write.is_some() {
            return self.finish(number, Outcome::Lost, actions);
        }
        task.last = if up {
            Outcome::Lost
        } else {
            Outcome::Unreachable
        };
        self.try_later(now_us, number);
    }

    fn finish(&mut self, number: u32, outcome: Outcome, actions: &mut Vec<ClientAction>) {
        let Some(task) = self.tasks.remove(number) else {
            return;
        };
        // Nobody has to be woken for the deadline of what is done.
        while let Some((_, done)) = self.deadlines.front()
            && self.tasks.get(*done).is_none()
        {
            self.deadlines.pop_front();
        }
        actions.push(ClientAction::Done(Operation {
            client: self.number,
            number,
            issued_us: task.issued_us,
            write: task.work.write,
            key: task.work.key_digest,
            slot: task.work.slot,
            node: task.node,
            requests: task.requests,
            outcome,
        }));
    }
}

/// The slots.
impl Pipeline {
    fn ask_for_slots(&mut self, now_us: u64, actions: &mut Vec<ClientAction>) {
        if let Some((node, until_us)) = self.refresh.asking
            && until_us <= now_us
        {
            self.refresh.asking = None;
            let up = self.links.is_up(node);
            self.links.close(node, actions);
            self.lost_link(now_us, node, up, actions);
        }
        let due = self.refresh.wanted && self.refresh.not_before_us <= now_us;
        if self.refresh.asking.is_some() || !due {
            return;
        }
        let suspect = |node| {
            self.suspect_until_us
                .get(&node)
                .is_some_and(|&until| until > now_us)
        };
        let nodes =
            (0..self.node_count).map(|turn| (self.refresh.next_node + turn) % self.node_count);
        // If nobody is above suspicion, anybody will do.
        let node = nodes
            .clone()
            .find(|&node| !suspect(node))
            .or_else(|| nodes.clone().next());
        let Some(node) = node else {
            return;
        };
        self.refresh = Refresh {
            wanted: false,
            asking: Some((node, now_us + REFRESH_TIMEOUT_US)),
            not_before_us: now_us + REFRESH_EVERY_US,
            next_node: (node + 1) % self.node_count,
        };
        self.ask(
            node,
            words(&["CLUSTER", "SLOTS"]),
            Asked::Slots,
            false,
            actions,
        );
    }

    fn told_slots(&mut self, now_us: u64, node: NodeNumber, reply: &Reply) {
        if self.refresh.asking.is_some_and(|asking| asking.0 == node) {
            self.refresh.asking = None;
        }
        if self.slots.learn(reply, &self.addresses) {
            // Whoever waited for the slots need not wait longer.
            let waiting: Vec<u32> = self.retries.iter().map(|retry| retry.1).collect();
            self.retries = waiting.into_iter().map(|number| (now_us, number)).collect();
        } else {
            self.refresh.wanted = true;
        }
    }
}

fn words(words: &[&'static str]) -> CommandLine {
    words
        .iter()
        .map(|word| Word::from_static(word.as_bytes()))
        .collect()
}
