//! The steps of a script: carrying them out and undoing them.

use std::collections::BTreeSet;

use super::formation::{Command, PATIENCE_US};
use super::reshard::{End, Reshard};
use super::{Asked, Asker, Director, Due, words};
use crate::network::{Degradation, HostNumber};
use crate::operator;
use crate::recorder::Answer;
use crate::scenario::{Selector, StallKind, StepAction};
use crate::select::{Selection, everybody, groups};
use crate::trace::{Event, FaultKind, FaultSource, NodeNumber};
use crate::world::World;

/// A step that holds.
#[derive(Clone, Debug)]
pub(super) struct Active {
    undo: Undo,
    /// Commands that are not answered; the step holds until they are.
    open: usize,
}

/// What undoes a step.
#[derive(Clone, Debug)]
enum Undo {
    Heal(Vec<(HostNumber, HostNumber)>),
    Thaw(BTreeSet<NodeNumber>),
    Start(BTreeSet<NodeNumber>),
    RestoreLinks,
    JumpBack(BTreeSet<NodeNumber>, i64),
    RestoreDisks(BTreeSet<NodeNumber>),
    RestoreLoad,
    /// It ends by itself, with the answers to its commands.
    Answers,
}

/// A fault about to be recorded.
struct Begun {
    kind: FaultKind,
    touched: Selection,
    cut: Vec<(HostNumber, HostNumber)>,
    undo: Option<Undo>,
    /// When it is undone by itself.
    lasts_us: Option<u64>,
}

impl Active {
    /// Whether nothing but an answer ends it.
    pub(super) const fn waits_for_answers(&self) -> bool {
        self.open > 0
    }
}

impl Director<'_> {
    /// A step is due.
    pub(super) fn fire(&mut self, now_us: u64, step: u16, world: &mut dyn World) {
        self.observe_roles(&*world);
        let scenario = self.scenario;
        let Some(spec) = scenario.steps.get(usize::from(step)) else {
            return;
        };
        match self.begin(now_us, step, &spec.action, spec.lasts_us, world) {
            Ok(begun) => {
                if let (Some(_), Some(lasts_us)) = (&begun.undo, begun.lasts_us) {
                    self.due.insert((now_us + lasts_us, Due::Undo(step)));
                }
                let open = self
                    .asked
                    .values()
                    .filter(|asked| asked.asker == Asker::Step(step))
                    .count();
                match begun.undo {
                    None => self.record(now_us, Event::FaultEnded { step }),
                    Some(Undo::Answers) if open == 0 => {
                        self.record(now_us, Event::FaultEnded { step });
                    }
                    Some(undo) => {
                        self.active.insert(step, Active { undo, open });
                    }
                }
            }
            Err(why) => self.record(now_us, Event::FaultMissed { step, why }),
        }
    }

    /// Does what a step says and records it.
    fn begin(
        &mut self,
        now_us: u64,
        step: u16,
        action: &StepAction,
        lasts_us: Option<u64>,
        world: &mut dyn World,
    ) -> Result<Begun, String> {
        let begun = match action {
            StepAction::Partition { groups } => Begun {
                lasts_us,
                ..self.partition(step, groups)?
            },
            StepAction::Isolate { targets } => Begun {
                lasts_us,
                ..self.isolate(step, targets)?
            },
            StepAction::Block { from, to } => {
                let groups = vec![self.select(step, from)?, self.select(step, to)?];
                Begun {
                    lasts_us,
                    ..self.cut(FaultKind::Block, groups, false)?
                }
            }
            StepAction::Stall { target, how } => {
                let mut touched = self.select_nodes(step, target)?;
                touched.nodes.retain(|&node| world.runs(node));
                Begun {
                    kind: FaultKind::Stall(*how),
                    undo: Some(match how {
                        StallKind::DebugSleep => Undo::Answers,
                        StallKind::Sigstop => Undo::Thaw(touched.nodes.clone()),
                    }),
                    touched,
                    cut: Vec::new(),
                    lasts_us: lasts_us.filter(|_| *how == StallKind::Sigstop),
                }
            }
            StepAction::Crash {
                target,
                how,
                restart_after_us,
            } => {
                let mut touched = self.select_nodes(step, target)?;
                touched.nodes.retain(|&node| world.runs(node));
                Begun {
                    kind: FaultKind::Crash(*how),
                    undo: Some(Undo::Start(touched.nodes.clone())),
                    touched,
                    cut: Vec::new(),
                    lasts_us: restart_after_us.or(lasts_us),
                }
            }
            StepAction::Restart { target } => {
                let mut touched = self.select_nodes(step, target)?;
                touched.nodes.retain(|&node| !world.runs(node));
                plain(FaultKind::Restart, touched, None, None)
            }
            StepAction::Degrade { from, to, .. } => {
                let mut touched = self.select(step, from)?;
                touched.add(self.select(step, to)?);
                plain(
                    FaultKind::Degrade,
                    touched,
                    Some(Undo::RestoreLinks),
                    lasts_us,
                )
            }
            StepAction::Clock { target, jump_ms } => {
                let touched = self.select_nodes(step, target)?;
                let undo = Undo::JumpBack(touched.nodes.clone(), *jump_ms);
                plain(FaultKind::Clock, touched, Some(undo), lasts_us)
            }
            StepAction::SlowDisk { target, .. } => {
                let touched = self.select_nodes(step, target)?;
                let undo = Undo::RestoreDisks(touched.nodes.clone());
                plain(FaultKind::SlowDisk, touched, Some(undo), lasts_us)
            }
            StepAction::Run { on, command } => {
                operator::parse(command, |name| self.id_of(name))?;
                let touched = self.select_nodes(step, on)?;
                plain(FaultKind::Run, touched, Some(Undo::Answers), None)
            }
            StepAction::MoveSlots { from, to, .. } => {
                let (from, to) = self.ends(step, from, to)?;
                let touched = Selection {
                    nodes: [from.node, to.node].into(),
                    ..Selection::default()
                };
                plain(FaultKind::Run, touched, Some(Undo::Answers), None)
            }
            StepAction::Load { .. } => {
                let touched = Selection {
                    clients: everybody(self.scenario).clients,
                    ..Selection::default()
                };
                plain(FaultKind::Load, touched, Some(Undo::RestoreLoad), lasts_us)
            }
        };
        let words = words::of_step(action, &begun.touched, self, lasts_us);
        self.record(
            now_us,
            Event::FaultBegan {
                step,
                fault: begun.kind,
                touched: Box::new(begun.touched.told(words, begun.cut.clone())),
            },
        );
        self.carry_out(now_us, step, action, &begun, lasts_us, world)?;
        Ok(begun)
    }

    fn carry_out(
        &mut self,
        now_us: u64,
        step: u16,
        action: &StepAction,
        begun: &Begun,
        lasts_us: Option<u64>,
        world: &mut dyn World,
    ) -> Result<(), String> {
        let nodes = &begun.touched.nodes;
        match action {
            StepAction::Partition { .. }
            | StepAction::Isolate { .. }
            | StepAction::Block { .. } => {
                world.change_network(&mut |network| {
                    for &(from, to) in &begun.cut {
                        network.cut(from, to);
                    }
                });
            }
            StepAction::Stall { how, .. } => {
                let rest_us = self.phase_until_us.saturating_sub(now_us);
                let lasts_us = lasts_us.unwrap_or(rest_us);
                for &node in nodes {
                    self.stall(now_us, step, node, *how, lasts_us, world);
                }
            }
            StepAction::Crash { how, .. } => {
                for &node in nodes {
                    self.end_process(now_us, node, *how, FaultSource::Step(step), world);
                }
            }
            StepAction::Restart { .. } => {
                for &node in nodes {
                    self.down.remove(&node);
                    self.start(now_us, node, world);
                }
            }
            StepAction::Degrade {
                from,
                to,
                both_ways,
                loss,
                delay_us,
            } => {
                // Drawn once: the same choices as when the fault was recorded.
                let from = self.select(step, from)?.hosts(self.hosts.nodes.into());
                let to = self.select(step, to)?.hosts(self.hosts.nodes.into());
                let by = Degradation {
                    loss: *loss,
                    delay_us: *delay_us,
                };
                world.change_network(&mut |network| {
                    for (&from, &to) in from
                        .iter()
                        .flat_map(|from| to.iter().map(move |to| (from, to)))
                    {
                        if from != to {
                            network.degrade(step.into(), from, to, by);
                            if *both_ways {
                                network.degrade(step.into(), to, from, by);
                            }
                        }
                    }
                });
            }
            StepAction::Clock { jump_ms, .. } => {
                for &node in nodes {
                    world.jump_clock(node, *jump_ms);
                }
            }
            StepAction::SlowDisk { fsync, .. } => {
                for &node in nodes {
                    world.slow_disk(node, step, Some(*fsync));
                }
            }
            StepAction::Run { command, .. } => {
                let words = operator::parse(command, |name| self.id_of(name))?;
                for &node in nodes {
                    let command = Command {
                        words: words.clone(),
                        text: command.clone(),
                        patience_us: PATIENCE_US,
                    };
                    self.ask(node, command, Asker::Step(step), world);
                }
            }
            StepAction::MoveSlots { slots, from, to } => {
                let (from, to) = self.ends(step, from, to)?;
                let masters = self.roles.masters().into_iter();
                let others = masters.filter(|&node| node != from.node && node != to.node);
                let reshard = Reshard::new(from, to, others.collect(), slots);
                self.go_on(now_us, step, reshard, world);
            }
            StepAction::Load { factor } => {
                self.load_factors.insert(step, *factor);
                world.set_load(self.load_factor());
            }
        }
        Ok(())
    }

    /// Undoes a step, if it holds and can be undone.
    pub(super) fn undo(&mut self, now_us: u64, step: u16, world: &mut dyn World) {
        let Some(active) = self.active.get(&step) else {
            return;
        };
        if active.waits_for_answers() {
            return;
        }
        let Some(Active { undo, .. }) = self.active.remove(&step) else {
            return;
        };
        self.due.retain(|(_, due)| *due != Due::Undo(step));
        match undo {
            Undo::Heal(pairs) => world.change_network(&mut |network| {
                for &(from, to) in &pairs {
                    network.heal(from, to);
                }
            }),
            Undo::Thaw(nodes) => {
                for node in nodes {
                    self.thaw(now_us, node, FaultSource::Step(step), world);
                }
            }
            Undo::Start(nodes) => {
                for node in nodes {
                    self.start_again(now_us, node, FaultSource::Step(step), world);
                }
            }
            Undo::RestoreLinks => world.change_network(&mut |network| network.restore(step.into())),
            Undo::JumpBack(nodes, jump_ms) => {
                for node in nodes {
                    world.jump_clock(node, -jump_ms);
                }
            }
            Undo::RestoreDisks(nodes) => {
                for node in nodes {
                    world.slow_disk(node, step, None);
                }
            }
            Undo::RestoreLoad => {
                self.load_factors.remove(&step);
                world.set_load(self.load_factor());
            }
            Undo::Answers => (),
        }
        self.record(now_us, Event::FaultEnded { step });
    }

    /// A command of a step was answered.
    pub(super) fn step_answered(
        &mut self,
        now_us: u64,
        step: u16,
        asked: &Asked,
        answer: &Answer,
        world: &mut dyn World,
    ) {
        let stalls = self.scenario.steps.get(usize::from(step));
        let stalls = stalls.is_some_and(|step| matches!(step.action, StepAction::Stall { .. }));
        if stalls && answer.failed {
            let why = format!("DEBUG SLEEP was answered with {}", answer.text);
            self.record(now_us, Event::FaultMissed { step, why });
        }
        if let Some(mut reshard) = self.reshards.remove(&step) {
            let who = self.scenario.cluster.nodes[usize::from(asked.node)]
                .name
                .clone();
            reshard.answered(&who, &asked.command, answer);
            if self.go_on(now_us, step, reshard, world) {
                return;
            }
        }
        if let Some(active) = self.active.get_mut(&step) {
            active.open = active.open.saturating_sub(1);
            if active.open == 0 {
                self.undo(now_us, step, world);
            }
        }
    }
}

/// Parts of steps.
impl Director<'_> {
    fn partition(&mut self, step: u16, selectors: &[Vec<Selector>]) -> Result<Begun, String> {
        let mut choices = self.plan.steps[usize::from(step)].choices.clone();
        let groups = groups(selectors, self.scenario, &self.roles, &mut choices);
        let filled: Vec<Selection> = groups
            .into_iter()
            .filter(|group| !group.is_empty())
            .collect();
        if filled.len() < 2 {
            return Err("fewer than two of its groups have anybody in them".to_owned());
        }
        self.cut(FaultKind::Partition, filled, true)
    }

    fn isolate(&mut self, step: u16, targets: &[Selector]) -> Result<Begun, String> {
        let mut inside = Selection::default();
        for target in targets {
            inside.add(self.select(step, target)?);
        }
        let mut outside = everybody(self.scenario);
        outside.remove(&inside);
        let touched = inside.clone();
        let begun = self.cut(FaultKind::Partition, vec![inside, outside], true)?;
        Ok(Begun { touched, ..begun })
    }

    /// Cuts all links from each group to the later ones, and back if `both_ways`.
    fn cut(
        &self,
        kind: FaultKind,
        groups: Vec<Selection>,
        both_ways: bool,
    ) -> Result<Begun, String> {
        let hosts: Vec<Vec<HostNumber>> = groups
            .iter()
            .map(|group| group.hosts(self.hosts.nodes.into()))
            .collect();
        let mut cut = Vec::new();
        for (place, from) in hosts.iter().enumerate() {
            for to in &hosts[place + 1..] {
                for (&from, &to) in from
                    .iter()
                    .flat_map(|from| to.iter().map(move |to| (from, to)))
                {
                    if from != to {
                        cut.push((from, to));
                        if both_ways {
                            cut.push((to, from));
                        }
                    }
                }
            }
        }
        if cut.is_empty() {
            return Err("there is no link between those it selects".to_owned());
        }
        let mut touched = Selection::default();
        for group in groups {
            touched.add(group);
        }
        let lasts_us = None;
        Ok(Begun {
            kind,
            touched,
            undo: Some(Undo::Heal(cut.clone())),
            cut,
            lasts_us,
        })
    }

    fn stall(
        &mut self,
        now_us: u64,
        step: u16,
        node: NodeNumber,
        how: StallKind,
        lasts_us: u64,
        world: &mut dyn World,
    ) {
        match how {
            StallKind::DebugSleep => {
                let mut command = Command::new(format!("DEBUG SLEEP {}", words::seconds(lasts_us)));
                command.patience_us += lasts_us;
                self.ask(node, command, Asker::Step(step), world);
            }
            StallKind::Sigstop => self.freeze(now_us, node, FaultSource::Step(step), world),
        }
    }

    /// Whom a selector selects; an error if nobody.
    fn select(&self, step: u16, selector: &Selector) -> Result<Selection, String> {
        let mut choices = self.plan.steps[usize::from(step)].choices.clone();
        let selection = selector.resolve(self.scenario, &self.roles, &mut choices);
        if selection.is_empty() {
            return Err(format!(
                "nobody is {}",
                words::of_selector(selector, self.scenario)
            ));
        }
        Ok(selection)
    }

    /// Which nodes a selector selects; an error if none.
    fn select_nodes(&self, step: u16, selector: &Selector) -> Result<Selection, String> {
        let mut selection = self.select(step, selector)?;
        selection.clients.clear();
        if selection.is_empty() {
            return Err(format!(
                "no node is {}",
                words::of_selector(selector, self.scenario)
            ));
        }
        Ok(selection)
    }

    /// The two ends between which slots move.
    fn ends(&self, step: u16, from: &Selector, to: &Selector) -> Result<(End, End), String> {
        let end = |selector| {
            let nodes = self.select_nodes(step, selector)?.nodes;
            let mut nodes = nodes.iter();
            let (Some(&node), None) = (nodes.next(), nodes.next()) else {
                let what = words::of_selector(selector, self.scenario);
                return Err(format!(
                    "slots move between two nodes, and {what} are several"
                ));
            };
            Ok(End {
                node,
                id: self.roles.id(node),
                address: self.plan.nodes[usize::from(node)].address,
            })
        };
        let (from, to) = (end(from)?, end(to)?);
        if from.node == to.node {
            return Err("the slots are where they were to go".to_owned());
        }
        Ok((from, to))
    }

    /// Sends the next command of a reshard; false if it is over.
    fn go_on(&mut self, now_us: u64, step: u16, reshard: Reshard, world: &mut dyn World) -> bool {
        if let Some((node, command)) = reshard.next() {
            self.ask(node, command, Asker::Step(step), world);
            self.reshards.insert(step, reshard);
            return true;
        }
        let moved = reshard.moved();
        let slots = if moved == 1 { "slot was" } else { "slots were" };
        match reshard.stopped() {
            Some(why) if moved == 0 => {
                let why = format!("no slot was moved: {why}");
                self.record(now_us, Event::FaultMissed { step, why });
            }
            Some(why) => self.remark(now_us, format!("{moved} {slots} moved, then {why}")),
            None => self.remark(now_us, format!("{moved} {slots} moved")),
        }
        false
    }

    /// The product of all factors that hold.
    fn load_factor(&self) -> f64 {
        self.load_factors.values().product()
    }

    fn id_of(&self, name: &str) -> Option<String> {
        let nodes = &self.scenario.cluster.nodes;
        let place = nodes.iter().position(|node| node.name == name)?;
        Some(self.roles.id(place as NodeNumber).to_string())
    }
}

fn plain(kind: FaultKind, touched: Selection, undo: Option<Undo>, lasts_us: Option<u64>) -> Begun {
    Begun {
        kind,
        touched,
        cut: Vec::new(),
        undo,
        lasts_us,
    }
}
