//! Collects what happens in a world, for the event log and for the director.

use std::collections::BTreeMap;

use redrill_node::{Fact, SavedState};

use crate::scenario::{Scenario, StallKind};
use crate::trace::{Event, NodeNumber, Operation, ProcessChange, Record, StateLoad};
use crate::world::Ticket;

/// What happened so far, in order of time.
#[derive(Debug, Default)]
pub struct Recorder {
    records: Vec<Record>,
    answers: BTreeMap<Ticket, Answer>,
    saving: BTreeMap<NodeNumber, (u64, u64)>,
    still: BTreeMap<NodeNumber, Still>,
}

/// Why a process stands still. It may sleep and be stopped at once; it goes on when neither holds.
#[derive(Clone, Copy, Default, Debug)]
struct Still {
    asleep: bool,
    stopped: bool,
}

/// A write is told of by its client, by the master, twice, by the replica, and by the audit.
const RECORDS_PER_OPERATION: f64 = 5.0;

/// More is not made room for before it comes.
const MOST_EXPECTED: usize = 1 << 22;

/// What became of an operator's command.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Answer {
    /// The reply as `redis-cli` would show it, or why there is none.
    pub text: String,
    /// Whether it is an error or there is none.
    pub failed: bool,
}

impl Recorder {
    /// Nothing happened yet.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Makes room for about as much as a scenario will have to tell: a log is large, and to move
    /// it while it grows takes longer than to write it.
    pub fn expect(&mut self, scenario: &Scenario) {
        let clients = scenario.workload.clients.iter();
        let rate_per_s: f64 = clients.map(|client| client.rate_per_s).sum();
        let seconds = scenario.duration_us as f64 / 1e6;
        let records = rate_per_s * seconds * RECORDS_PER_OPERATION;
        self.records.reserve((records as usize).min(MOST_EXPECTED));
    }

    /// Something happened. Time never goes back: what comes late is taken to happen now.
    pub fn record(&mut self, at_us: u64, event: Event) {
        let last_us = self.records.last().map_or(0, |record| record.at_us);
        self.records.push(Record {
            at_us: at_us.max(last_us),
            event,
        });
    }

    /// A node noted a fact.
    pub fn fact(&mut self, at_us: u64, node: NodeNumber, fact: Fact) {
        self.record(at_us, Event::Node { node, fact });
    }

    /// A process started, ended, stood still, or has slept enough.
    pub fn process(&mut self, at_us: u64, node: NodeNumber, change: ProcessChange) {
        match change {
            ProcessChange::Stalled(StallKind::DebugSleep) => {
                self.still.entry(node).or_default().asleep = true;
            }
            ProcessChange::Stalled(StallKind::Sigstop) => {
                self.still.entry(node).or_default().stopped = true;
            }
            ProcessChange::Started | ProcessChange::Crashed(_) => {
                self.still.remove(&node);
            }
            ProcessChange::Resumed => {
                let still = self.still.entry(node).or_default();
                still.asleep = false;
                if still.stopped {
                    return;
                }
                self.still.remove(&node);
            }
        }
        self.record(at_us, Event::Process { node, change });
    }

    /// A stopped process was let go on. It may be asleep all the same.
    pub fn thawed(&mut self, at_us: u64, node: NodeNumber) {
        let still = self.still.remove(&node).unwrap_or_default();
        if still.asleep {
            let asleep = Still {
                stopped: false,
                ..still
            };
            self.still.insert(node, asleep);
            return;
        }
        let change = ProcessChange::Resumed;
        self.record(at_us, Event::Process { node, change });
    }

    /// A node read its state file.
    pub fn state_loaded(&mut self, at_us: u64, node: NodeNumber, content: Option<&[u8]>) {
        let outcome = content.map_or(StateLoad::Absent, |content| {
            match SavedState::parse(content) {
                Ok(Some(state)) => StateLoad::Whole {
                    current_epoch: state.current_epoch,
                    last_vote_epoch: state.last_vote_epoch,
                },
                Ok(None) => StateLoad::Absent,
                Err(_) => StateLoad::Torn,
            }
        });
        self.state_found(at_us, node, outcome);
    }

    /// What a node found when it read its state file.
    pub fn state_found(&mut self, at_us: u64, node: NodeNumber, outcome: StateLoad) {
        self.record(at_us, Event::StateLoaded { node, outcome });
    }

    /// A node begins to write its state file, with these epochs in it.
    pub fn state_saving(&mut self, node: NodeNumber, current_epoch: u64, last_vote_epoch: u64) {
        self.saving.insert(node, (current_epoch, last_vote_epoch));
    }

    /// A node has written its state file.
    pub fn state_saved(&mut self, at_us: u64, node: NodeNumber, synced: bool) {
        if let Some((current_epoch, last_vote_epoch)) = self.saving.remove(&node) {
            let saved = Event::StateSaved {
                node,
                synced,
                current_epoch,
                last_vote_epoch,
            };
            self.record(at_us, saved);
        }
    }

    /// A client's operation ended.
    pub fn operation(&mut self, at_us: u64, operation: Operation) {
        self.record(at_us, Event::Operation(operation));
    }

    /// The audit read a key, or could not: its digest, the digest of what was found, who answered.
    pub fn audited(&mut self, at_us: u64, key: u64, found: Option<u64>, node: Option<NodeNumber>) {
        self.record(at_us, Event::Audited { key, found, node });
    }

    /// An operator's command was answered, or will not be.
    pub fn answered(&mut self, ticket: Ticket, answer: Answer) {
        self.answers.insert(ticket, answer);
    }

    /// Tells something that a reader must know.
    pub fn remark(&mut self, at_us: u64, text: impl Into<String>) {
        self.record(at_us, Event::Remark { text: text.into() });
    }

    /// The records from a place on.
    #[must_use]
    pub fn since(&self, place: usize) -> &[Record] {
        self.records.get(place..).unwrap_or(&[])
    }

    /// Number of records.
    #[must_use]
    pub fn len(&self) -> usize {
        self.records.len()
    }

    /// Whether nothing happened.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.records.is_empty()
    }

    /// Whether commands were answered that nobody has heard of yet.
    #[must_use]
    pub fn has_answers(&self) -> bool {
        !self.answers.is_empty()
    }

    /// The answer to a command, once.
    pub fn take_answer(&mut self, ticket: Ticket) -> Option<Answer> {
        self.answers.remove(&ticket)
    }

    /// Takes all records.
    pub fn take_records(&mut self) -> Vec<Record> {
        std::mem::take(&mut self.records)
    }
}
