//! The writer: one operation at a time, asking other nodes while it waits.

use std::collections::{BTreeMap, VecDeque};

use redrill_node::{Reply, Slot};

use super::links::Links;
use super::load::{Load, Work};
use super::slots::{Addresses, Refusal, Slots};
use super::{ClientAction, ClientInput, Pace, Setup};
use crate::trace::{ClientNumber, NodeNumber, Operation, Outcome};

/// Nodes an operation goes to in turn before it is given up.
const ROUNDS: u8 = 6;

/// How long another node may take to answer.
const PROBE_TIMEOUT_US: u64 = 50_000;

/// How long a node that did not answer is left alone.
const SUSPECT_FOR_US: u64 = 1_000_000;

/// After an outage longer than this, what should have been done meanwhile is forgotten.
const LATE_AT_MOST_US: u64 = 50_000;

/// A client with one operation in flight.
#[derive(Debug)]
pub(super) struct Writer {
    pub(super) pace: Pace,
    pub(super) load: Load,
    number: ClientNumber,
    timeout_us: u64,
    hedge_us: Option<u64>,
    addresses: Addresses,
    /// The shard of a slot, by who owned it at the start.
    shards: Slots,
    /// Who is taken for a shard's owner now, by shard.
    owners: Vec<NodeNumber>,
    others: VecDeque<NodeNumber>,
    suspect_until_us: BTreeMap<NodeNumber, u64>,
    links: Links,
    task: Option<Task>,
}

/// The operation in flight.
#[derive(Debug)]
struct Task {
    work: Work,
    shard: NodeNumber,
    issued_us: u64,
    deadline_us: u64,
    rounds: u8,
    requests: u16,
    /// Whom this round asks.
    target: NodeNumber,
    /// When the writer looks up from waiting.
    look_up_us: u64,
    /// What happened to the target while another node was asked.
    early: Option<Happening>,
    probe: Option<Probe>,
    /// The target failed; the probe that runs is the last chance.
    failed: Option<Outcome>,
    asked_last: NodeNumber,
    /// A request reached a node that did not answer it.
    unanswered: bool,
}

/// Another node that is asked.
#[derive(Clone, Copy, Debug)]
struct Probe {
    node: NodeNumber,
    deadline_us: u64,
    /// How many more nodes may be asked if this one is down.
    turns: usize,
}

#[derive(Debug)]
enum Happening {
    Reply(Reply),
    /// The connection broke; it had been up.
    Broken {
        up: bool,
    },
}

impl Writer {
    pub(super) fn new(setup: &Setup<'_>, load: Load) -> Self {
        Self {
            pace: Pace::new(setup),
            load,
            number: setup.number,
            timeout_us: setup.spec.timeout_us,
            hedge_us: setup.spec.hedge_us,
            addresses: Addresses::new(setup.addresses),
            shards: Slots::initial(setup.nodes),
            owners: (0..setup.nodes.len() as NodeNumber).collect(),
            others: (0..setup.nodes.len() as NodeNumber).collect(),
            suspect_until_us: BTreeMap::new(),
            links: Links::default(),
            task: None,
        }
    }

    pub(super) fn next_wake_us(&self) -> u64 {
        match &self.task {
            Some(Task {
                probe: Some(probe), ..
            }) => probe.deadline_us,
            Some(task) => task.look_up_us,
            None => self.pace.next_us(),
        }
    }

    pub(super) const fn is_idle(&self) -> bool {
        self.task.is_none()
    }

    pub(super) fn handle(
        &mut self,
        now_us: u64,
        input: ClientInput,
        actions: &mut Vec<ClientAction>,
    ) {
        match input {
            ClientInput::Wake => self.wake(now_us, actions),
            ClientInput::Connected(connection) => {
                self.links.connected(connection, actions);
            }
            ClientInput::Broken(connection) => {
                if let Some((node, up)) = self.links.broken(connection) {
                    self.happened(now_us, node, Happening::Broken { up }, actions);
                }
            }
            ClientInput::Reply(connection, reply) => {
                if let Some(node) = self.links.node_of(connection) {
                    self.happened(now_us, node, Happening::Reply(reply), actions);
                }
            }
        }
        while self.task.is_none() && self.pace.next_us() <= now_us {
            self.begin(now_us, actions);
        }
    }

    fn wake(&mut self, now_us: u64, actions: &mut Vec<ClientAction>) {
        let Some(task) = &mut self.task else {
            return;
        };
        match task.probe {
            Some(probe) if now_us >= probe.deadline_us => {
                let up = self.links.is_up(probe.node);
                self.probe_down(now_us, probe, up, actions);
            }
            Some(_) => (),
            None if now_us < task.look_up_us => (),
            None if now_us >= task.deadline_us => {
                let connected = self.links.is_up(task.target);
                let outcome = if connected {
                    Outcome::Timeout
                } else {
                    Outcome::Unreachable
                };
                self.target_down(now_us, outcome, actions);
            }
            None => self.probe(now_us, actions),
        }
    }

    fn begin(&mut self, now_us: u64, actions: &mut Vec<ClientAction>) {
        if now_us - self.pace.next_us() > LATE_AT_MOST_US {
            self.pace.skip_to(now_us);
        }
        let issued_us = self.pace.take();
        let work = self.load.next();
        let shard = self.shards.master(work.slot).unwrap_or(0);
        self.task = Some(Task {
            work,
            shard,
            issued_us,
            deadline_us: now_us + self.timeout_us,
            rounds: 0,
            requests: 0,
            target: shard,
            look_up_us: u64::MAX,
            early: None,
            probe: None,
            failed: None,
            asked_last: shard,
            unanswered: false,
        });
        self.next_round(now_us, actions);
    }

    /// Asks whoever is taken for the owner.
    fn next_round(&mut self, now_us: u64, actions: &mut Vec<ClientAction>) {
        let Some(task) = &mut self.task else {
            return;
        };
        if task.rounds == ROUNDS {
            return self.finish(Outcome::TooManyRedirects, actions);
        }
        task.rounds += 1;
        task.target = owner_of(&self.owners, task.shard);
        task.failed = None;
        task.early = None;
        let target = task.target;
        self.ask(target, actions);
        self.wait(now_us);
    }

    /// Waits for the target until it is time to look up.
    fn wait(&mut self, now_us: u64) {
        if let Some(task) = &mut self.task {
            let late_us = task.deadline_us.max(now_us);
            task.look_up_us = self.hedge_us.map_or(late_us, |hedge_us| now_us + hedge_us);
        }
    }

    fn ask(&mut self, node: NodeNumber, actions: &mut Vec<ClientAction>) {
        if let Some(task) = &mut self.task {
            task.requests = task.requests.saturating_add(1);
            task.asked_last = node;
            let command = self.load.command(&mut task.work);
            self.links.send(node, command, actions);
        }
    }

    fn happened(
        &mut self,
        now_us: u64,
        node: NodeNumber,
        happening: Happening,
        actions: &mut Vec<ClientAction>,
    ) {
        let Some(task) = &mut self.task else {
            return;
        };
        match task.probe {
            Some(probe) if probe.node == node => match happening {
                Happening::Reply(reply) => self.probe_answered(now_us, node, &reply, actions),
                Happening::Broken { up } => self.probe_down(now_us, probe, up, actions),
            },
            Some(_) if task.target == node && task.failed.is_none() => {
                task.early.get_or_insert(happening);
            }
            None if task.target == node => self.target_answered(now_us, happening, actions),
            Some(_) | None => (),
        }
    }

    fn target_answered(
        &mut self,
        now_us: u64,
        happening: Happening,
        actions: &mut Vec<ClientAction>,
    ) {
        if let Some(task) = &mut self.task {
            task.asked_last = task.target;
        }
        match happening {
            Happening::Broken { up } => {
                let outcome = if up {
                    Outcome::Lost
                } else {
                    Outcome::Unreachable
                };
                self.target_down(now_us, outcome, actions);
            }
            Happening::Reply(Reply::Error(text)) => match Refusal::of(&text, &self.addresses) {
                Refusal::Moved(slot, node) if Some(node) != self.owner(slot) => {
                    self.set_owner(slot, node);
                    self.next_round(now_us, actions);
                }
                Refusal::Moved(..) | Refusal::Ask(_) | Refusal::Later | Refusal::Other => {
                    self.finish(Outcome::Error, actions);
                }
                Refusal::ClusterDown => self.finish(Outcome::ClusterDown, actions),
            },
            Happening::Reply(_) => self.finish(Outcome::Ok, actions),
        }
    }

    fn target_down(&mut self, now_us: u64, outcome: Outcome, actions: &mut Vec<ClientAction>) {
        let Some(task) = &mut self.task else {
            return;
        };
        task.failed = Some(outcome);
        self.links.close(task.target, actions);
        if self.hedge_us.is_some() {
            self.probe(now_us, actions);
        } else {
            self.finish(outcome, actions);
        }
    }

    /// Asks one other node.
    fn probe(&mut self, now_us: u64, actions: &mut Vec<ClientAction>) {
        let turns = self.others.len();
        self.probe_next(now_us, turns, actions);
    }

    fn probe_next(&mut self, now_us: u64, turns: usize, actions: &mut Vec<ClientAction>) {
        let Some(target) = self.task.as_ref().map(|task| task.target) else {
            return;
        };
        for turns in (0..turns).rev() {
            self.others.rotate_left(1);
            let Some(&node) = self.others.back() else {
                break;
            };
            let suspect = self
                .suspect_until_us
                .get(&node)
                .is_some_and(|&until| until > now_us);
            if node == target || suspect {
                continue;
            }
            self.ask(node, actions);
            if let Some(task) = &mut self.task {
                let deadline_us = now_us + PROBE_TIMEOUT_US;
                task.probe = Some(Probe {
                    node,
                    deadline_us,
                    turns,
                });
            }
            return;
        }
        self.probe_in_vain(now_us, actions);
    }

    fn probe_answered(
        &mut self,
        now_us: u64,
        node: NodeNumber,
        reply: &Reply,
        actions: &mut Vec<ClientAction>,
    ) {
        let Some((slot, target)) = self.task.as_ref().map(|task| (task.work.slot, task.target))
        else {
            return;
        };
        let Reply::Error(text) = reply else {
            self.leave_target(actions);
            self.set_owner(slot, node);
            return self.finish(Outcome::Ok, actions);
        };
        match Refusal::of(text, &self.addresses) {
            Refusal::Moved(slot, owner) if owner != target => {
                self.leave_target(actions);
                self.set_owner(slot, owner);
                self.next_round(now_us, actions);
            }
            Refusal::Moved(..)
            | Refusal::Ask(_)
            | Refusal::ClusterDown
            | Refusal::Later
            | Refusal::Other => self.probe_in_vain(now_us, actions),
        }
    }

    /// The other node did not answer; `up` tells whether it was reached.
    fn probe_down(&mut self, now_us: u64, probe: Probe, up: bool, actions: &mut Vec<ClientAction>) {
        self.links.close(probe.node, actions);
        self.suspect_until_us
            .insert(probe.node, now_us + SUSPECT_FOR_US);
        if let Some(task) = &mut self.task {
            task.probe = None;
            task.unanswered |= up;
        }
        self.probe_next(now_us, probe.turns, actions);
    }

    /// Goes back to waiting for the target, or gives up if that failed.
    fn probe_in_vain(&mut self, now_us: u64, actions: &mut Vec<ClientAction>) {
        let Some(task) = &mut self.task else {
            return;
        };
        task.probe = None;
        if let Some(outcome) = task.failed {
            return self.finish(outcome, actions);
        }
        match task.early.take() {
            Some(happening) => self.target_answered(now_us, happening, actions),
            None => self.wait(now_us),
        }
    }

    fn leave_target(&mut self, actions: &mut Vec<ClientAction>) {
        if let Some(task) = &mut self.task {
            task.probe = None;
            self.links.close(task.target, actions);
        }
    }

    fn owner(&self, slot: Slot) -> Option<NodeNumber> {
        let shard = self.shards.master(slot)?;
        Some(owner_of(&self.owners, shard))
    }

    fn set_owner(&mut self, slot: Slot, node: NodeNumber) {
        let shard = self.shards.master(slot);
        if let Some(owner) = shard.and_then(|shard| self.owners.get_mut(usize::from(shard))) {
            *owner = node;
        }
    }

    fn finish(&mut self, outcome: Outcome, actions: &mut Vec<ClientAction>) {
        let Some(task) = self.task.take() else {
            return;
        };
        let may_have_happened = outcome == Outcome::Unreachable && task.unanswered;
        let outcome = if may_have_happened {
            Outcome::Timeout
        } else {
            outcome
        };
        actions.push(ClientAction::Done(Operation {
            client: self.number,
            number: task.work.number,
            issued_us: task.issued_us,
            write: task.work.write,
            key: task.work.key_digest,
            slot: task.work.slot,
            node: Some(task.asked_last),
            requests: task.requests,
            outcome,
        }));
    }
}

/// Whoever is taken for a shard's owner.
fn owner_of(owners: &[NodeNumber], shard: NodeNumber) -> NodeNumber {
    owners.get(usize::from(shard)).copied().unwrap_or(shard)
}
