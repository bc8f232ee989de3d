//! Joining empty nodes to a cluster, as `redis-cli --cluster create` does.

use std::collections::VecDeque;

use redrill_node::CommandLine;
use redrill_node::Word;

use crate::plan::Plan;
use crate::scenario::Scenario;
use crate::trace::NodeNumber;
use crate::world::World;

/// How long an operator waits for the answer to a plain command.
pub(super) const PATIENCE_US: u64 = 5_000_000;

/// A command to be sent.
#[derive(Clone, PartialEq, Debug)]
pub(super) struct Command {
    pub(super) words: CommandLine,
    /// As it is typed.
    pub(super) text: String,
    pub(super) patience_us: u64,
}

/// What is left to do until the cluster is formed.
#[derive(Clone, Debug)]
pub(super) struct Script {
    stages: VecDeque<Stage>,
    /// Commands sent and not answered.
    open: usize,
    last_error: Option<String>,
}

#[derive(Clone, Debug)]
enum Stage {
    /// Until every process runs.
    AllRun,
    /// Until every node knows every other one.
    AllKnown,
    /// Commands that must be answered with OK.
    Commands(Vec<(NodeNumber, Command)>),
}

impl Command {
    pub(super) fn new(text: String) -> Self {
        let words = text
            .split(' ')
            .map(|word| Word::copy_from_slice(word.as_bytes()))
            .collect();
        Self {
            words,
            text,
            patience_us: PATIENCE_US,
        }
    }
}

impl Script {
    pub(super) fn new(scenario: &Scenario, plan: &Plan) -> Self {
        let nodes = || (0..).zip(&scenario.cluster.nodes);
        let epochs = nodes()
            .filter(|(_, node)| node.config_epoch > 0)
            .map(|(number, node)| {
                (
                    number,
                    Command::new(format!("CLUSTER SET-CONFIG-EPOCH {}", node.config_epoch)),
                )
            });
        let slots = nodes()
            .filter(|(_, node)| !node.slots.is_empty())
            .map(|(number, node)| {
                let mut text = "CLUSTER ADDSLOTSRANGE".to_owned();
                for range in &node.slots {
                    text.push_str(&format!(" {} {}", range.first, range.last));
                }
                (number, Command::new(text))
            });
        let first = plan.nodes[0].address;
        let meet = format!("CLUSTER MEET {} {}", first.ip(), first.port());
        let meets = nodes()
            .skip(1)
            .map(|(number, _)| (number, Command::new(meet.clone())));
        let replicas = nodes().filter_map(|(number, node)| {
            let master = plan.nodes[node.replica_of?].id;
            Some((number, Command::new(format!("CLUSTER REPLICATE {master}"))))
        });
        let stages = [
            Stage::AllRun,
            Stage::Commands(epochs.collect()),
            Stage::Commands(slots.collect()),
            Stage::Commands(meets.collect()),
            Stage::AllKnown,
            Stage::Commands(replicas.collect()),
        ];
        Self {
            stages: stages.into(),
            open: 0,
            last_error: None,
        }
    }

    /// The commands to send now.
    pub(super) fn next(
        &mut self,
        world: &dyn World,
        nodes: NodeNumber,
    ) -> Vec<(NodeNumber, Command)> {
        while self.open == 0 {
            match self.stages.front_mut() {
                Some(Stage::AllRun) if !every(world, nodes, false) => break,
                Some(Stage::AllKnown) if !every(world, nodes, true) => break,
                Some(Stage::Commands(commands)) if !commands.is_empty() => {
                    self.open = commands.len();
                    return std::mem::take(commands);
                }
                Some(Stage::AllRun | Stage::AllKnown | Stage::Commands(_)) => {
                    self.stages.pop_front();
                }
                None => break,
            }
        }
        Vec::new()
    }

    /// A command was answered; one that failed is sent again.
    pub(super) fn answered(&mut self, node: NodeNumber, command: &str, failed: bool, reply: &str) {
        self.open = self.open.saturating_sub(1);
        if failed {
            self.last_error = Some(format!("{command}: {reply}"));
            if let Some(Stage::Commands(commands)) = self.stages.front_mut() {
                commands.push((node, Command::new(command.to_owned())));
            }
        }
    }

    /// What it waits for; `None` if it is over.
    pub(super) fn pending(&self) -> Option<String> {
        let what = match self.stages.front()? {
            Stage::AllRun => "not every process runs",
            Stage::AllKnown => "the nodes have not all met",
            Stage::Commands(_) => "not every command was answered with OK",
        };
        Some(match &self.last_error {
            Some(error) => format!("{what} (last error: {error})"),
            None => what.to_owned(),
        })
    }
}

/// Whether every node runs, and knows all others if it is asked for.
fn every(world: &dyn World, nodes: NodeNumber, must_know_all: bool) -> bool {
    (0..nodes).all(|node| {
        let mut knows_all = false;
        let runs = world.look(node, &mut |view| {
            knows_all = view.cluster().node_count() == usize::from(nodes)
                && view.peers().all(|peer| !peer.in_handshake());
        });
        runs && (knows_all || !must_know_all)
    })
}
