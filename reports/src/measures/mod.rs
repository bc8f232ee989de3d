//! What a run measured: failovers phase by phase, gaps, losses, operations.
//!
//! Definitions are those of the measurements on real servers, so that both can be compared: every
//! time of a failover counts from the fault that caused it, PFAIL and FAIL are the first node's,
//! `state_ok_ms` is the last survivor's, and the write gap is what writers of the failed master's
//! slots saw.

mod availability;
mod bus;
mod failovers;
mod mistakes;
mod outages;
#[cfg(test)]
mod tests;

use std::collections::BTreeMap;

use redrill_sim::checkers::{Findings, Picture};
use redrill_sim::trace::{DataEvent, Event, Operation, Outcome, Phase, Record, Trace};
use serde::{Deserialize, Serialize};

use crate::statistics::quantile;

pub use failovers::{Failover, FailoverHow, Unanswered};
pub use mistakes::Mistakes;

use availability::Availability;
use bus::Bus;
use failovers::Evidence;
use mistakes::Detector;
use outages::Outages;

/// What one run measured.
#[derive(Clone, PartialEq, Debug, Default, Serialize, Deserialize)]
pub struct Measures {
    /// How long the cluster was under load, ms: what rates are taken by.
    #[serde(default)]
    pub observed_ms: f64,
    /// The promotions, in order.
    pub failovers: Vec<Failover>,
    /// The outages of slot owners that got no failover before they or the run ended, if they lasted
    /// for a second or for the node-timeout.
    #[serde(default)]
    pub unanswered: Vec<Unanswered>,
    /// Number of promotions without an outage that deserves one: the old master was neither down,
    /// nor stalled, nor out of touch with a quorum of masters for as long as the node-timeout
    /// before it was held for failed; or the weather paused it, for however long, and it went on
    /// by itself. Promotions that an operator asked for are not false.
    pub false_failovers: u64,
    /// The suspicions of nodes that were not out.
    #[serde(default)]
    pub mistakes: Mistakes,
    /// Time in which a client's writes to a shard failed, ms, the mean over all pairs of a client
    /// and a shard it wrote to: from when the first write that failed was due to the next
    /// acknowledgement of a later one.
    #[serde(default)]
    pub write_unavailable_ms: f64,
    /// The same of reads.
    #[serde(default)]
    pub read_unavailable_ms: f64,
    /// Longest time in which some slot had no node that would serve it, ms.
    pub coverage_gap_ms: f64,
    /// Longest time in which two masters acknowledged writes to the same slots, ms.
    pub dual_master_ms: f64,
    /// Number of acknowledged writes that the audit did not find.
    pub lost_acked_writes: u64,
    /// The same by cause (`A1` to `A5`, `D`, `open`).
    pub lost_by_cause: BTreeMap<String, u64>,
    /// The clients' operations.
    pub operations: Operations,
    /// Bytes that a node sent on the cluster bus in a second under load, the mean over nodes;
    /// `None` if the world does not tell.
    #[serde(default)]
    pub bus_bytes_per_node_s: Option<f64>,
    /// What followed each step of the script that happened.
    pub steps: Vec<StepMeasure>,
}

/// Operations of all clients.
#[derive(Clone, PartialEq, Debug, Default, Serialize, Deserialize)]
pub struct Operations {
    /// All that ended.
    pub total: u64,
    /// Those that succeeded.
    pub ok: u64,
    /// Those that failed, by outcome.
    pub failed: BTreeMap<String, u64>,
    /// Share that failed, 0 to 1; `None` without operations.
    pub failed_share: Option<f64>,
    /// Latency of those that succeeded, from when they were due; `None` without any.
    pub latency: Option<Latency>,
}

/// Latency, ms. Quantiles interpolate linearly.
#[derive(Clone, Copy, PartialEq, Debug, Serialize, Deserialize)]
pub struct Latency {
    /// Median.
    pub p50_ms: f64,
    /// 95th percentile.
    pub p95_ms: f64,
    /// 99th percentile.
    pub p99_ms: f64,
    /// Greatest.
    pub max_ms: f64,
}

/// What followed a step of the script.
#[derive(Clone, Copy, PartialEq, Debug, Serialize, Deserialize)]
pub struct StepMeasure {
    /// Index of the step.
    pub step: u16,
    /// When it began, ms after the cluster had formed.
    pub began_ms: f64,
    /// Number of promotions it caused.
    pub failovers: u64,
}

impl Measures {
    /// Measures a run. `findings` are what [`redrill_sim::checkers::check`] says of it.
    #[must_use]
    pub fn of(trace: &Trace, findings: &Findings) -> Self {
        let mut picture = Picture::new(&trace.header);
        let mut outages = Outages::new(&trace.header);
        let mut evidence = Evidence::new(&trace.header);
        let mut operations = Tally::default();
        let mut availability = Availability::new(&trace.header);
        let mut detector = Detector::new(&picture);
        let mut clock = Clock::default();
        let mut bus = Bus::default();
        for record in &trace.records {
            outages.observe(&picture, record);
            clock.observe(record);
            match record.event.data() {
                Some(DataEvent::Operation(operation)) => {
                    evidence.observe(&picture, record);
                    operations.add(operation, record.at_us);
                    availability.add(operation, record.at_us);
                }
                Some(DataEvent::Audited(..) | DataEvent::Stream(..) | DataEvent::Wrote(..)) => {}
                None => {
                    evidence.observe(&picture, record);
                    detector.observe(&picture, &outages, record);
                    bus.observe(&picture, record);
                }
            }
            picture.apply(record);
        }
        outages.look(&picture);
        let failovers = evidence.failovers(&picture, &outages, &clock);
        let unanswered = evidence.unanswered(&picture, &outages, &clock);
        let steps = clock.steps(&failovers);
        let by_cause = findings.ledger.by_cause();
        let load_end_us = clock.load_end_us();
        let unavailable = availability.end(load_end_us);
        Self {
            observed_ms: since_ms(load_end_us.max(clock.formed_us), clock.formed_us),
            false_failovers: count(failovers.iter().filter(|failover| failover.is_false)),
            failovers,
            unanswered,
            mistakes: detector.end(load_end_us),
            write_unavailable_ms: unavailable.writes_ms,
            read_unavailable_ms: unavailable.reads_ms,
            bus_bytes_per_node_s: bus.bytes_per_node_s(),
            coverage_gap_ms: ms(findings.exposure.coverage_gap_us()),
            dual_master_ms: ms(findings.exposure.dual_master_us()),
            lost_acked_writes: findings.ledger.lost.len() as u64,
            lost_by_cause: by_cause
                .into_iter()
                .map(|(cause, number)| (cause.code().to_owned(), number as u64))
                .collect(),
            operations: operations.sum(),
            steps,
        }
    }
}

/// When the phases and the steps of a run began.
#[derive(Debug, Default)]
struct Clock {
    /// When the first disturbance could come.
    formed_us: u64,
    /// When the load ended.
    load_ended_us: Option<u64>,
    /// When every fault was taken back.
    healed_us: Option<u64>,
    ended_us: u64,
    steps: Vec<(u16, u64)>,
}

impl Clock {
    fn observe(&mut self, record: &Record) {
        self.ended_us = record.at_us;
        if let Event::Phase { phase } = &record.event {
            match phase {
                Phase::Disturb => self.formed_us = record.at_us,
                Phase::Heal => self.healed_us = Some(record.at_us),
                Phase::Audit => self.load_ended_us = Some(record.at_us),
                Phase::Form | Phase::Converge | Phase::Done => {}
            }
        } else if let Event::FaultBegan { step, touched, .. } = &record.event
            && !touched.is_nothing()
        {
            self.steps.push((*step, record.at_us));
        }
    }

    /// Time on the drill's own clock, ms: 0 is when the cluster had formed.
    fn drill_ms(&self, at_us: u64) -> f64 {
        since_ms(at_us, self.formed_us)
    }

    fn load_end_us(&self) -> u64 {
        self.load_ended_us.unwrap_or(self.ended_us)
    }

    /// When the drill was over and everything was healed.
    fn healed_us(&self) -> u64 {
        self.healed_us.unwrap_or_else(|| self.load_end_us())
    }

    /// The last step that began before a time.
    fn step_before(&self, at_us: u64) -> Option<u16> {
        let before = self.steps.iter().filter(|(_, began_us)| *began_us <= at_us);
        before
            .max_by_key(|(_, began_us)| *began_us)
            .map(|(step, _)| *step)
    }

    fn steps(&self, failovers: &[Failover]) -> Vec<StepMeasure> {
        let caused = |step: u16| count(failovers.iter().filter(|it| it.step == Some(step)));
        self.steps
            .iter()
            .map(|(step, began_us)| StepMeasure {
                step: *step,
                began_ms: self.drill_ms(*began_us),
                failovers: caused(*step),
            })
            .collect()
    }
}

#[derive(Debug, Default)]
struct Tally {
    total: u64,
    failed: BTreeMap<String, u64>,
    latencies_us: Vec<u64>,
}

impl Tally {
    fn add(&mut self, operation: &Operation, at_us: u64) {
        self.total += 1;
        if operation.outcome == Outcome::Ok {
            self.latencies_us
                .push(at_us.saturating_sub(operation.issued_us));
        } else {
            *self
                .failed
                .entry(outcome_name(operation.outcome).to_owned())
                .or_insert(0) += 1;
        }
    }

    fn sum(mut self) -> Operations {
        self.latencies_us.sort_unstable();
        let sorted_ms: Vec<f64> = self.latencies_us.iter().copied().map(ms).collect();
        let at = |share: f64| quantile(&sorted_ms, share).map(whole_us);
        let latency = at(0.5).map(|p50_ms| Latency {
            p50_ms,
            p95_ms: at(0.95).unwrap_or(p50_ms),
            p99_ms: at(0.99).unwrap_or(p50_ms),
            max_ms: at(1.0).unwrap_or(p50_ms),
        });
        let ok = self.latencies_us.len() as u64;
        let failed = self.total - ok;
        Operations {
            total: self.total,
            ok,
            failed: self.failed,
            failed_share: (self.total > 0).then(|| failed as f64 / self.total as f64),
            latency,
        }
    }
}

const fn outcome_name(outcome: Outcome) -> &'static str {
    match outcome {
        Outcome::Ok => "ok",
        Outcome::Timeout => "timeout",
        Outcome::Unreachable => "unreachable",
        Outcome::Lost => "lost",
        Outcome::ClusterDown => "clusterdown",
        Outcome::TooManyRedirects => "too-many-redirects",
        Outcome::Error => "error",
    }
}

fn ms(us: u64) -> f64 {
    us as f64 / 1000.0
}

fn since_ms(at_us: u64, from_us: u64) -> f64 {
    (at_us as f64 - from_us as f64) / 1000.0
}

/// The log has whole microseconds: more digits would only be noise.
fn whole_us(ms: f64) -> f64 {
    (ms * 1000.0).round() / 1000.0
}

fn count<T>(items: impl Iterator<Item = T>) -> u64 {
    items.count() as u64
}
