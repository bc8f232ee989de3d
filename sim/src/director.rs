//! Leads a run through its phases, whatever the world: form, disturb, heal, converge, audit.
//!
//! The director is asked at every time it names and whenever something was recorded; it looks at
//! nodes and changes the world through [`World`], and writes down what it does.

mod audit;
mod formation;
mod health;
mod reshard;
mod steps;
#[cfg(test)]
mod tests;
mod weather;
#[cfg(test)]
mod weather_tests;
mod words;

use std::cell::RefCell;
use std::collections::{BTreeMap, BTreeSet};
use std::rc::Rc;

use redrill_node::{NodeId, SlotSet};

use crate::plan::Plan;
use crate::recorder::Recorder;
use crate::scenario::{Formation, Scenario, Trigger};
use crate::select::Roles;
use crate::trace::{Event, FaultSource, NodeNumber, Phase, ProcessChange};
use crate::world::{Hosts, Ticket, World};
use audit::Reading;
use formation::Script;
use health::Names;
use reshard::Reshard;
use steps::Active;
use weather::Blowing;

/// How often the health of the cluster is looked at.
const LOOK_EVERY_US: u64 = 100_000;

/// How long it must be whole in a row to count as formed or converged.
const WHOLE_FOR_US: u64 = 1_000_000;

/// How long it may take to form, beside some node-timeouts and some time for each node.
const FORM_WITHIN_US: u64 = 60_000_000;

/// For each node: roles are told of by a node itself, in its own pings, and of those each node sends
/// some tens a second, however many nodes there are.
const FORM_WITHIN_PER_NODE_US: u64 = 1_000_000;

/// Node-timeouts that forming may take.
const FORM_WITHIN_TIMEOUTS: u64 = 4;

/// How long replicas may take to catch up once the load has stopped.
const CATCH_UP_WITHIN_US: u64 = 5_000_000;

/// Leads a run.
pub struct Director<'a> {
    scenario: &'a Scenario,
    plan: &'a Plan,
    hosts: Hosts,
    recorder: Rc<RefCell<Recorder>>,
    phase: Phase,
    /// When the phase must be over, unless it is before.
    phase_until_us: u64,
    next_look_us: u64,
    whole_since_us: Option<u64>,
    not_started: BTreeSet<(u64, NodeNumber)>,
    script: Option<Script>,
    roles: Roles,
    assigned: SlotSet,
    due: BTreeSet<(u64, Due)>,
    active: BTreeMap<u16, Active>,
    triggers: Vec<Waiting>,
    /// Records that the triggers have seen.
    seen: usize,
    asked: BTreeMap<Ticket, Asked>,
    next_ticket: u32,
    load_factors: BTreeMap<u16, f64>,
    /// Slots that are being moved, by step.
    reshards: BTreeMap<u16, Reshard>,
    weather: Blowing,
    /// What stops each process, of those that are stopped by a signal.
    frozen: BTreeMap<NodeNumber, BTreeSet<FaultSource>>,
    /// What keeps each process down, of those that a fault ended.
    down: BTreeMap<NodeNumber, BTreeSet<FaultSource>>,
    audit: Audit,
    not_formed: Option<String>,
}

/// What is to be done at a time.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
enum Due {
    Undo(u16),
    Fire(u16),
}

/// A step that waits for a log line.
#[derive(Clone, Debug)]
struct Waiting {
    step: u16,
    text: String,
    left: u32,
    delay_us: u64,
}

/// A command that waits for its answer.
#[derive(Clone, Debug)]
struct Asked {
    node: NodeNumber,
    command: String,
    asker: Asker,
}

/// Who wants to know of an answer.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Asker {
    Formation,
    Step(u16),
    Weather(u32),
    /// Nobody: only the command matters.
    Nobody,
}

/// How far the audit is.
#[derive(Debug)]
enum Audit {
    /// Operations are still in flight.
    Stopping,
    /// Replicas have not caught up yet.
    CatchingUp,
    Reading(Box<Reading>),
}

impl<'a> Director<'a> {
    /// A director for a run that begins now, at time 0.
    #[must_use]
    pub fn new(
        scenario: &'a Scenario,
        plan: &'a Plan,
        hosts: Hosts,
        recorder: Rc<RefCell<Recorder>>,
    ) -> Self {
        let ids: Vec<NodeId> = plan.nodes.iter().map(|node| node.id).collect();
        let slots = scenario.cluster.nodes.iter().flat_map(|node| &node.slots);
        let timeout_us = scenario
            .config
            .cluster_node_timeout_ms
            .max(0)
            .unsigned_abs()
            * 1_000;
        let director = Self {
            scenario,
            plan,
            hosts,
            recorder,
            phase: Phase::Form,
            phase_until_us: FORM_WITHIN_US
                + FORM_WITHIN_TIMEOUTS * timeout_us
                + FORM_WITHIN_PER_NODE_US * scenario.cluster.nodes.len() as u64,
            next_look_us: 0,
            whole_since_us: None,
            not_started: plan
                .nodes
                .iter()
                .map(|node| node.starts_us)
                .zip(0..)
                .collect(),
            script: match scenario.cluster.formation {
                Formation::Formed => None,
                Formation::Meet => Some(Script::new(scenario, plan)),
            },
            roles: Roles::initial(scenario, &ids),
            assigned: slots.flat_map(|range| range.first..=range.last).collect(),
            due: BTreeSet::new(),
            active: BTreeMap::new(),
            triggers: Vec::new(),
            seen: 0,
            asked: BTreeMap::new(),
            next_ticket: 0,
            load_factors: BTreeMap::new(),
            reshards: BTreeMap::new(),
            weather: Blowing::default(),
            frozen: BTreeMap::new(),
            down: BTreeMap::new(),
            audit: Audit::Stopping,
            not_formed: None,
        };
        director.record(0, Event::Phase { phase: Phase::Form });
        director
    }

    /// When the director must be asked next, if nothing is recorded before.
    #[must_use]
    pub fn next_wake_us(&self) -> u64 {
        let due_us = self.due.first().map_or(u64::MAX, |due| due.0);
        let start_us = self.not_started.first().map_or(u64::MAX, |start| start.0);
        due_us
            .min(start_us)
            .min(self.next_weather_us())
            .min(self.next_look_us)
            .min(self.phase_until_us)
    }

    /// Whether it waits for something to be recorded, so that it must be asked after each record.
    #[must_use]
    pub fn is_listening(&self) -> bool {
        !self.triggers.is_empty() || !self.asked.is_empty()
    }

    /// Whether the director must be asked now: because it is time, because a step may be
    /// triggered by what was recorded, or because a command was answered.
    #[must_use]
    pub fn is_due(&self, now_us: u64) -> bool {
        if self.next_wake_us() <= now_us {
            return true;
        }
        let recorder = self.recorder.borrow();
        !self.triggers.is_empty() && recorder.len() > self.seen || recorder.has_answers()
    }

    /// Whether the run is over.
    #[must_use]
    pub fn is_done(&self) -> bool {
        self.phase == Phase::Done
    }

    /// Why the cluster did not form; then the run is over too.
    #[must_use]
    pub fn not_formed(&self) -> Option<&str> {
        self.not_formed.as_deref()
    }

    /// Does what is due.
    pub fn wake(&mut self, now_us: u64, world: &mut dyn World) {
        while let Some(&(at_us, node)) = self.not_started.first()
            && at_us <= now_us
        {
            self.not_started.pop_first();
            self.start(now_us, node, world);
        }
        self.hear_answers(now_us, world);
        self.watch_triggers(now_us);
        self.weather(now_us, world);
        while let Some(&(at_us, due)) = self.due.first()
            && at_us <= now_us
        {
            self.due.pop_first();
            match due {
                Due::Undo(step) => self.undo(now_us, step, world),
                Due::Fire(step) => self.fire(now_us, step, world),
            }
        }
        if self.next_look_us <= now_us || self.phase_until_us <= now_us {
            self.next_look_us = now_us + LOOK_EVERY_US;
            self.look(now_us, world);
        }
    }
}

/// Phases.
impl Director<'_> {
    fn look(&mut self, now_us: u64, world: &mut dyn World) {
        match self.phase {
            Phase::Form => self.form(now_us, world),
            Phase::Disturb => {
                if now_us >= self.phase_until_us {
                    self.heal(now_us, world);
                }
            }
            Phase::Heal => self.wait_for_stalled(now_us),
            Phase::Converge => self.converge(now_us, world),
            Phase::Audit => self.audit(now_us, world),
            Phase::Done => (),
        }
    }

    fn enter(&mut self, now_us: u64, phase: Phase, until_us: u64) {
        self.phase = phase;
        self.phase_until_us = until_us;
        self.whole_since_us = None;
        self.record(now_us, Event::Phase { phase });
    }

    fn form(&mut self, now_us: u64, world: &mut dyn World) {
        let mut pending = None;
        if let Some(mut script) = self.script.take() {
            let commands = script.next(world, self.hosts.nodes);
            pending = script.pending();
            for (node, command) in commands {
                self.ask(node, command, Asker::Formation, world);
            }
            if pending.is_some() {
                self.script = Some(script);
            }
        }
        let pending = pending.or_else(|| self.pending(world));
        if self.is_whole_long_enough(now_us, pending.is_none()) {
            self.disturb(now_us, world);
        } else if now_us >= self.phase_until_us {
            let pending = pending.unwrap_or_else(|| "it is whole only now and then".to_owned());
            self.not_formed = Some(pending);
            self.enter(now_us, Phase::Done, u64::MAX);
        }
    }

    fn disturb(&mut self, now_us: u64, world: &mut dyn World) {
        self.enter(now_us, Phase::Disturb, now_us + self.scenario.duration_us);
        self.tell_bus_traffic(now_us, world);
        self.seen = self.recorder.borrow().len();
        self.weather_begins(now_us);
        for (step, place) in self.scenario.steps.iter().zip(0..) {
            match &step.trigger {
                Trigger::At { .. } => {
                    let due_us = self.plan.steps[usize::from(place)].due_us.unwrap_or(0);
                    self.due.insert((now_us + due_us, Due::Fire(place)));
                }
                Trigger::After {
                    text,
                    nth,
                    delay_us,
                } => self.triggers.push(Waiting {
                    step: place,
                    text: text.to_lowercase(),
                    left: (*nth).max(1),
                    delay_us: *delay_us,
                }),
            }
        }
        world.start_clients();
    }

    /// Undoes every fault that still holds, and starts every node that does not run.
    fn heal(&mut self, now_us: u64, world: &mut dyn World) {
        self.enter(now_us, Phase::Heal, u64::MAX);
        for waiting in std::mem::take(&mut self.triggers) {
            let why = format!("no log line contained {:?} often enough", waiting.text);
            self.record(
                now_us,
                Event::FaultMissed {
                    step: waiting.step,
                    why,
                },
            );
        }
        for (_, due) in std::mem::take(&mut self.due) {
            if let Due::Fire(step) = due {
                let why = "it was due after the end of the drill".to_owned();
                self.record(now_us, Event::FaultMissed { step, why });
            }
        }
        self.weather_calms(now_us, world);
        let undone: Vec<u16> = self.active.keys().copied().collect();
        for step in undone {
            self.undo(now_us, step, world);
        }
        self.down.clear();
        for node in 0..self.hosts.nodes {
            if !world.runs(node) {
                self.start(now_us, node, world);
            }
        }
        self.wait_for_stalled(now_us);
    }

    /// A process that sleeps cannot be woken: the heal lasts until it goes on.
    fn wait_for_stalled(&mut self, now_us: u64) {
        let stalled = self.active.values().any(Active::waits_for_answers);
        let paused = self.asked.values().any(|asked| asked.asker.is_weather());
        if !stalled && !paused {
            self.enter(
                now_us,
                Phase::Converge,
                now_us + self.scenario.converge_within_us,
            );
        }
    }

    fn converge(&mut self, now_us: u64, world: &mut dyn World) {
        let pending = self.pending(world);
        let whole = self.is_whole_long_enough(now_us, pending.is_none());
        if !whole && now_us < self.phase_until_us {
            return;
        }
        if !whole {
            let pending = pending.unwrap_or_else(|| "it was whole only at last".to_owned());
            self.remark(now_us, format!("not converged in time: {pending}"));
        }
        world.set_load(0.0);
        self.audit = Audit::Stopping;
        let longest_us = self
            .scenario
            .workload
            .clients
            .iter()
            .map(|client| client.timeout_us)
            .max();
        let until_us = now_us + longest_us.unwrap_or(0) + WHOLE_FOR_US;
        self.enter(now_us, Phase::Audit, until_us);
        self.tell_bus_traffic(now_us, world);
    }

    fn audit(&mut self, now_us: u64, world: &mut dyn World) {
        let late = now_us >= self.phase_until_us;
        match &self.audit {
            Audit::Stopping if late || world.clients_are_idle() => {
                self.audit = Audit::CatchingUp;
                self.phase_until_us = now_us + CATCH_UP_WITHIN_US;
            }
            Audit::CatchingUp => {
                let lagging = health::lagging(&*world, self.hosts.nodes, self);
                if late && let Some(lagging) = &lagging {
                    self.remark(now_us, format!("before the audit, {lagging}"));
                }
                if late || lagging.is_none() {
                    let keys = audit::each_once(world.take_written(), self.scenario.workload.keys);
                    let nodes = &self.scenario.cluster.nodes;
                    let reading = Reading::new(keys, nodes, &self.plan.addresses(), now_us);
                    self.audit = Audit::Reading(Box::new(reading));
                    self.phase_until_us = u64::MAX;
                    self.read_back(now_us, world);
                }
            }
            Audit::Reading(_) => self.read_back(now_us, world),
            Audit::Stopping => (),
        }
    }

    fn read_back(&mut self, now_us: u64, world: &dyn World) {
        if let Audit::Reading(reading) = &mut self.audit
            && reading.go_on(now_us, world, &mut self.recorder.borrow_mut())
        {
            self.enter(now_us, Phase::Done, u64::MAX);
        }
    }

    /// What keeps the cluster from being whole.
    fn pending(&self, world: &dyn World) -> Option<String> {
        health::pending(world, self.hosts.nodes, &self.assigned, self)
    }

    fn is_whole_long_enough(&mut self, now_us: u64, whole: bool) -> bool {
        if !whole {
            self.whole_since_us = None;
            return false;
        }
        now_us - *self.whole_since_us.get_or_insert(now_us) >= WHOLE_FOR_US
    }
}

/// Triggers and answers.
impl Director<'_> {
    fn watch_triggers(&mut self, now_us: u64) {
        if self.triggers.is_empty() {
            return;
        }
        let recorder = Rc::clone(&self.recorder);
        let recorder = recorder.borrow();
        for record in recorder.since(self.seen) {
            let Event::Node { fact, .. } = &record.event else {
                continue;
            };
            let line = fact.log_line(&|id| self.id(id)).to_lowercase();
            for waiting in &mut self.triggers {
                if waiting.left > 0 && line.contains(&waiting.text) {
                    waiting.left -= 1;
                    if waiting.left == 0 {
                        let at_us = (record.at_us + waiting.delay_us).max(now_us);
                        self.due.insert((at_us, Due::Fire(waiting.step)));
                    }
                }
            }
        }
        self.seen = recorder.len();
        self.triggers.retain(|waiting| waiting.left > 0);
    }

    fn hear_answers(&mut self, now_us: u64, world: &mut dyn World) {
        let tickets: Vec<Ticket> = self.asked.keys().copied().collect();
        for ticket in tickets {
            let Some(answer) = self.recorder.borrow_mut().take_answer(ticket) else {
                continue;
            };
            let Some(asked) = self.asked.remove(&ticket) else {
                continue;
            };
            let failed = answer.failed;
            if !asked.asker.is_weather() && !self.is_of_reshard(asked.asker) {
                self.record(
                    now_us,
                    Event::Operator {
                        node: asked.node,
                        command: asked.command.clone(),
                        reply: answer.text.clone(),
                        failed,
                    },
                );
            }
            match asked.asker {
                Asker::Step(step) => self.step_answered(now_us, step, &asked, &answer, world),
                Asker::Formation => {
                    if let Some(script) = &mut self.script {
                        script.answered(asked.node, &asked.command, failed, &answer.text);
                    }
                }
                Asker::Weather(number) => self.weather_answered(now_us, number, world),
                Asker::Nobody => (),
            }
        }
    }

    /// Whether a command is one of the many of a step that moves slots. The step tells what came of
    /// them, and the nodes tell of every slot.
    fn is_of_reshard(&self, asker: Asker) -> bool {
        match asker {
            Asker::Step(step) => self.reshards.contains_key(&step),
            Asker::Formation | Asker::Weather(_) | Asker::Nobody => false,
        }
    }

    /// Has an operator send a command.
    fn ask(
        &mut self,
        node: NodeNumber,
        command: formation::Command,
        asker: Asker,
        world: &mut dyn World,
    ) -> Ticket {
        let ticket = Ticket(self.next_ticket);
        self.next_ticket += 1;
        let formation::Command {
            words,
            text,
            patience_us,
        } = command;
        self.asked.insert(
            ticket,
            Asked {
                node,
                command: text,
                asker,
            },
        );
        world.operate(ticket, node, words, patience_us);
        ticket
    }
}

impl Asker {
    /// Whether no operator sent the command: it stands for something that happens by itself.
    const fn is_weather(self) -> bool {
        match self {
            Self::Weather(_) | Self::Nobody => true,
            Self::Formation | Self::Step(_) => false,
        }
    }
}

/// Small things.
impl Director<'_> {
    fn record(&self, now_us: u64, event: Event) {
        self.recorder.borrow_mut().record(now_us, event);
    }

    fn remark(&mut self, now_us: u64, text: String) {
        self.record(now_us, Event::Remark { text });
    }

    fn tell_bus_traffic(&self, now_us: u64, world: &dyn World) {
        let sent_bytes = (0..self.hosts.nodes).map(|node| {
            let mut sent_bytes = None;
            world.look(node, &mut |view| sent_bytes = Some(view.bus_bytes_sent()));
            sent_bytes
        });
        let sent_bytes = sent_bytes.collect();
        self.record(now_us, Event::BusTraffic { sent_bytes });
    }

    /// Sees what every node is now.
    fn observe_roles(&mut self, world: &dyn World) {
        for node in 0..self.hosts.nodes {
            let roles = &mut self.roles;
            if !world.look(node, &mut |view| roles.observe(node, view)) {
                roles.observe_down(node);
            }
        }
    }

    fn start(&mut self, now_us: u64, node: NodeNumber, world: &mut dyn World) {
        let started = ProcessChange::Started;
        self.recorder.borrow_mut().process(now_us, node, started);
        world.start(node);
    }
}

impl Names for Director<'_> {
    fn node(&self, node: NodeNumber) -> String {
        self.scenario.cluster.nodes[usize::from(node)].name.clone()
    }

    fn id(&self, id: NodeId) -> String {
        let node = self.plan.nodes.iter().position(|node| node.id == id);
        match node
            .map(|place| place as NodeNumber)
            .or_else(|| self.roles.find(id))
        {
            Some(node) => self.node(node),
            None => id.to_string(),
        }
    }
}
