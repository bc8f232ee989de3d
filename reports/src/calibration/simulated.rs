//! Trials from event logs, by the definitions that the measurements on real servers use.

use redrill_node::{Fact, NodeId};
use redrill_sim::trace::{ClientNumber, Event, NodeNumber, Operation, Outcome, Trace};

use super::{Trial, Victim};

/// Who is who in a simulated trial.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Cast {
    /// The nodes that were hit; `None`: those the fault of the first step touched.
    pub hit: Option<Vec<NodeNumber>>,
    /// By master, in the order of the nodes: the client that writes to its slots.
    pub writers: Vec<ClientNumber>,
    /// The client that was cut off with a master.
    pub minority: Option<ClientNumber>,
}

/// What a run shows. `lost_writes` is the number of acknowledged writes that the audit did not
/// find. `None` if no fault touched anything.
#[must_use]
pub fn trial(trace: &Trace, cast: &Cast, lost_writes: u64) -> Option<Trial> {
    let began = trace.records.iter().find_map(|record| {
        let Event::FaultBegan { touched, .. } = &record.event else {
            return None;
        };
        (!touched.nodes.is_empty()).then_some((record.at_us, &touched.nodes))
    });
    let (began_us, touched) = began?;
    let run = Run {
        trace,
        cast,
        began_us,
        healed_us: healed_us(trace),
        hit: cast.hit.as_deref().unwrap_or(touched),
    };
    Some(Trial {
        victims: run.victims(),
        state_ok_ms: run.state_ok_ms(),
        other_writers_gap_ms: run.other_writers_gap_ms(),
        lost_writes,
        minority_last_ack_ms: run.minority_last_ack_ms(),
    })
}

fn healed_us(trace: &Trace) -> u64 {
    let ends = |event: &Event| matches!(event, Event::FaultEnded { step: 0 });
    let healed = trace.records.iter().find(|record| ends(&record.event));
    healed.map_or(u64::MAX, |record| record.at_us)
}

struct Run<'a> {
    trace: &'a Trace,
    cast: &'a Cast,
    began_us: u64,
    healed_us: u64,
    hit: &'a [NodeNumber],
}

/// A fact, who noted it, and when, ms after the fault.
type Noted<'a> = (f64, NodeNumber, &'a Fact);

impl<'a> Run<'a> {
    fn ms(&self, at_us: u64) -> f64 {
        (at_us as f64 - self.began_us as f64) / 1000.0
    }

    /// Facts since the fault.
    fn facts(&self) -> impl Iterator<Item = Noted<'a>> {
        let (trace, began_us) = (self.trace, self.began_us);
        trace.records.iter().filter_map(move |record| {
            let Event::Node { node, fact } = &record.event else {
                return None;
            };
            let at_ms = (record.at_us as f64 - began_us as f64) / 1000.0;
            (record.at_us >= began_us).then_some((at_ms, *node, fact))
        })
    }

    fn is_hit(&self, node: NodeNumber) -> bool {
        self.hit.contains(&node)
    }

    fn victims(&self) -> Vec<Victim> {
        let nodes = &self.trace.header.nodes;
        let hit = self.hit.iter().copied();
        hit.filter(|node| nodes[usize::from(*node)].replica_of.is_none())
            .map(|node| self.victim(node))
            .collect()
    }

    fn victim(&self, master: NodeNumber) -> Victim {
        let id = self.trace.header.nodes[usize::from(master)].id;
        let first = |about: &dyn Fn(&Noted<'_>) -> bool| {
            self.facts().find(|noted| about(noted)).map(|(ms, _, _)| ms)
        };
        let pfail =
            self.by_node(|fact| matches!(fact, Fact::PossiblyFailing { node } if *node == id));
        let fail = self.by_node(|fact| marks_failing(fact, id));
        let survivors = self.trace.header.nodes.len() - self.hit.len();
        let latest = fail.iter().copied().reduce(f64::max);
        let scheduled = self.facts().find_map(|(ms, _, fact)| {
            let Fact::ElectionScheduled {
                master, delay_ms, ..
            } = fact
            else {
                return None;
            };
            (*master == id).then_some((ms, *delay_ms as f64))
        });
        let wins = |fact: &Fact| matches!(fact, Fact::ElectionWon { master, .. } if *master == id);
        let won = self.facts().find(|(_, _, fact)| wins(fact));
        let won = won.map(|(ms, node, _)| (ms, node));
        let winner = won.map(|(_, node)| self.trace.header.nodes[usize::from(node)].id);
        Victim {
            pfail_by_observer_ms: pfail,
            fail_ms: fail.first().copied(),
            fail_all_ms: latest.filter(|_| fail.len() == survivors),
            election_scheduled_ms: scheduled.map(|(ms, _)| ms),
            election_delay_ms: scheduled.map(|(_, delay_ms)| delay_ms),
            election_start_ms: first(
                &|(_, _, fact)| matches!(fact, Fact::ElectionStarted { master, .. } if *master == id),
            ),
            first_vote_ms: first(
                &|(_, _, fact)| matches!(fact, Fact::VoteGranted { to, .. } if Some(*to) == winner),
            ),
            won_ms: won.map(|(ms, _)| ms),
            failover: won.is_some(),
            write_gap_ms: self
                .cast
                .writers
                .get(usize::from(master))
                .and_then(|writer| self.longest_gap_ms(*writer)),
        }
    }

    /// When each node that was not hit first noted something, in order of time.
    fn by_node(&self, about: impl Fn(&Fact) -> bool) -> Vec<f64> {
        let mut seen = Vec::new();
        let mut times = Vec::new();
        for (ms, node, fact) in self.facts() {
            if !self.is_hit(node) && about(fact) && !seen.contains(&node) {
                seen.push(node);
                times.push(ms);
            }
        }
        times
    }

    fn state_ok_ms(&self) -> Option<f64> {
        let changes = self.facts().filter(|(_, node, fact)| {
            matches!(fact, Fact::ClusterState { ok: true, .. }) && !self.is_hit(*node)
        });
        changes.map(|(ms, _, _)| ms).last()
    }

    fn other_writers_gap_ms(&self) -> f64 {
        let writers = self.cast.writers.iter().zip(0..);
        let others = writers.filter(|(_, master)| !self.is_hit(*master));
        others
            .filter_map(|(writer, _)| self.longest_gap_ms(*writer))
            .fold(0.0, f64::max)
    }

    /// The writes of a client that were acknowledged, and when.
    fn acknowledged(&self, client: ClientNumber) -> impl Iterator<Item = (u64, &'a Operation)> {
        let records = self.trace.records.iter();
        records.filter_map(move |record| {
            let Event::Operation(operation) = &record.event else {
                return None;
            };
            let is_acknowledged = operation.client == client
                && operation.outcome == Outcome::Ok
                && operation.write.is_some();
            is_acknowledged.then_some((record.at_us, operation))
        })
    }

    /// The longest gap between two acknowledgements of which the second came after the fault.
    fn longest_gap_ms(&self, client: ClientNumber) -> Option<f64> {
        let times: Vec<u64> = self.acknowledged(client).map(|(at_us, _)| at_us).collect();
        let gaps = times.windows(2).filter(|pair| pair[1] >= self.began_us);
        gaps.map(|pair| (pair[1] - pair[0]) as f64 / 1000.0)
            .reduce(f64::max)
    }

    fn minority_last_ack_ms(&self) -> Option<f64> {
        let inside = self.acknowledged(self.cast.minority?);
        inside
            .map(|(at_us, _)| at_us)
            .filter(|at_us| (self.began_us..self.healed_us).contains(at_us))
            .last()
            .map(|at_us| self.ms(at_us))
    }
}

fn marks_failing(fact: &Fact, id: NodeId) -> bool {
    matches!(
        fact,
        Fact::MarkedFailing { node, .. } | Fact::FailReceived { node, .. } if *node == id
    )
}
