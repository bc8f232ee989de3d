//! W: no acknowledgement while the cluster state is fail, in a minority past the bound, or inside
//! a restart or rejoin delay.
//!
//! What counts is when the write was executed (`Fact::Wrote`): its answer may reach the client
//! later. A live server does not tell; then only an operation that began after the node had turned
//! to fail is judged.
//!
//! Bounds, from `clusterCron` and `clusterUpdateState` (NT: cluster-node-timeout):
//! - minority: a peer that fell silent is asked at the first tick after NT/2, is PFAIL at the first
//!   tick after another NT, and the state changes in that tick: 1.5 NT and two ticks of 100 ms. A
//!   tick may come late by the work of a turn; 300 ms are allowed for that and for what was on its
//!   way. Time in which the node stood still does not count: it may answer what queued up before
//!   its first tick.
//! - restart: a master stays in fail for 2000 ms (`CLUSTER_WRITABLE_DELAY`) after it first looked.
//! - rejoin: a master stays in fail for NT, at least 500 and at most 5000 ms, after it was last in
//!   the minority.

use std::collections::BTreeMap;

use redrill_node::{Fact, StateReason};

use super::{Checker, Code, Findings, Picture};
use crate::trace::{Event, FaultKind, NodeNumber, Operation, Outcome, ProcessChange, Record};

/// Watches acknowledged writes.
pub(super) struct Acknowledgements {
    nodes: Vec<Limits>,
    /// The version of the reach at which all nodes were found to run and no fault to hold.
    all_well: Option<u64>,
    /// Writes executed against a rule, until it is known whether they were acknowledged.
    pending: BTreeMap<u64, Vec<Executed>>,
    episodes: Vec<Episode>,
}

#[derive(Clone, Default)]
struct Limits {
    /// Until when it must not have gone back to ok after it was in the minority.
    rejoin_until_us: u64,
    /// From when on it is in the minority past the bound, for a version of the reach.
    minority: Option<(u64, Option<u64>)>,
}

struct Executed {
    node: NodeNumber,
    breach: Breach,
    place: usize,
    at_us: u64,
}

/// What was broken.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Breach {
    /// The state is fail since then.
    StateFail { since_us: u64 },
    /// The process runs since then.
    RestartDelay { since_us: u64 },
    /// It must stay in fail until then.
    RejoinDelay { until_us: u64 },
    /// It must have noticed by then.
    Minority { since_us: u64 },
}

/// Acknowledgements with one and the same fault.
struct Episode {
    node: NodeNumber,
    breach: Breach,
    first_us: u64,
    count: usize,
    evidence: Vec<usize>,
}

const WRITABLE_DELAY_US: u64 = 2_000_000;
const REJOIN_DELAY_US: (u64, u64) = (500_000, 5_000_000);
/// Two ticks, and what a turn and a packet on its way may take.
const MINORITY_SLACK_US: u64 = 500_000;
/// Redis compares whole milliseconds.
const ROUNDING_US: u64 = 2_000;
const EVIDENCE: usize = 8;

/// The longest time for which a node may go on acknowledging after it was cut off from the
/// majority, microseconds.
#[must_use]
pub(super) const fn minority_bound_us(node_timeout_us: u64) -> u64 {
    node_timeout_us + node_timeout_us / 2 + MINORITY_SLACK_US
}

impl Acknowledgements {
    pub(super) fn new(nodes: usize) -> Self {
        Self {
            nodes: vec![Limits::default(); nodes],
            all_well: None,
            pending: BTreeMap::new(),
            episodes: Vec::new(),
        }
    }
}

impl Checker for Acknowledgements {
    fn code(&self) -> Code {
        Code::W
    }

    fn observe(&mut self, picture: &Picture<'_>, place: usize, record: &Record, _: &mut Findings) {
        let at_us = record.at_us;
        if let Event::Node { node, fact } = &record.event {
            if let Fact::Wrote { write, .. } = fact {
                if let Some(breach) = self.breach(picture, *node, at_us) {
                    let executed = Executed {
                        node: *node,
                        breach,
                        place,
                        at_us,
                    };
                    self.pending.entry(*write).or_default().push(executed);
                }
            } else if let Fact::ClusterState { ok: true, .. } = fact {
                self.rejoined(picture, *node);
            } else if matches!(fact, Fact::SlotsOwned { .. })
                && let Some(limits) = self.nodes.get_mut(usize::from(*node))
            {
                limits.minority = None;
            }
        } else if let Event::Process {
            node,
            change: ProcessChange::Started,
        } = &record.event
            && let Some(limits) = self.nodes.get_mut(usize::from(*node))
        {
            *limits = Limits::default();
        } else if let Event::Operation(operation) = &record.event
            && operation.outcome == Outcome::Ok
            && let Some(write) = operation.write
            && let Some(node) = operation.node
        {
            self.acknowledged(picture, operation, write, node, place, at_us);
        }
    }

    fn finish(self, picture: &Picture<'_>, findings: &mut Findings) {
        let timeout_us = picture.node_timeout_us();
        for episode in self.episodes {
            let name = picture.name(episode.node);
            let writes = if episode.count == 1 {
                "write"
            } else {
                "writes"
            };
            let why = match episode.breach {
                Breach::StateFail { since_us } => {
                    format!(
                        "while its cluster state was fail (since {:.3} s)",
                        seconds(since_us)
                    )
                }
                Breach::RestartDelay { since_us } => format!(
                    "within 2 s after it started as a master (at {:.3} s)",
                    seconds(since_us)
                ),
                Breach::RejoinDelay { until_us } => format!(
                    "before the delay after it was in the minority was over (at {:.3} s)",
                    seconds(until_us)
                ),
                Breach::Minority { since_us } => format!(
                    "although it was cut off from the majority since {:.3} s, more than {} ms before",
                    seconds(since_us),
                    minority_bound_us(timeout_us) / 1000,
                ),
            };
            let words = format!("{name} acknowledged {} {writes} {why}", episode.count);
            let (at_us, node) = (episode.first_us, episode.node);
            findings.violation(Code::W, at_us, &[node], &episode.evidence, words);
        }
    }
}

impl Acknowledgements {
    /// The rule that a node breaks by executing a client's write now.
    fn breach(&mut self, picture: &Picture<'_>, node: NodeNumber, at_us: u64) -> Option<Breach> {
        let now = picture.node(node)?;
        if !now.state_ok {
            return Some(Breach::StateFail {
                since_us: now.state_since_us,
            });
        }
        let limits = self.nodes.get_mut(usize::from(node))?;
        if picture.reach.clock_touched(node) || picture.operators.config_us.is_some() {
            return None;
        }
        let young = at_us + ROUNDING_US < now.started_us + WRITABLE_DELAY_US;
        let started_as_master = now.replica_of.is_none() && now.role_unchanged_since_start;
        if now.starts > 0 && young && started_as_master {
            return Some(Breach::RestartDelay {
                since_us: now.started_us,
            });
        }
        if at_us + ROUNDING_US < limits.rejoin_until_us {
            return Some(Breach::RejoinDelay {
                until_us: limits.rejoin_until_us,
            });
        }
        let version = picture.reach.version();
        if self.all_well == Some(version) {
            return None;
        }
        if picture.reach.active().is_empty() && picture.running().count() == self.nodes.len() {
            self.all_well = Some(version);
            return None;
        }
        let limits = self.nodes.get_mut(usize::from(node))?;
        let since_us = match limits.minority {
            Some((known, since_us)) if known == version => since_us,
            Some(_) | None => {
                let voters = now.view.voting_masters();
                let since_us = picture.reach.minority_since_us(node, &voters);
                limits.minority = Some((version, since_us));
                since_us
            }
        }?;
        let bound_us = minority_bound_us(picture.node_timeout_us());
        let late = at_us > since_us + bound_us && !slow_disk(picture, node);
        late.then_some(Breach::Minority { since_us })
    }

    /// A node's state is ok again: a master that was in the minority may not be too early.
    fn rejoined(&mut self, picture: &Picture<'_>, node: NodeNumber) {
        let (Some(now), Some(limits)) = (picture.node(node), self.nodes.get_mut(usize::from(node)))
        else {
            return;
        };
        let was_in_minority = now.state_why == Some(StateReason::Minority) && !now.state_ok;
        limits.rejoin_until_us = if was_in_minority && now.replica_of.is_none() {
            let delay_us = picture
                .node_timeout_us()
                .clamp(REJOIN_DELAY_US.0, REJOIN_DELAY_US.1);
            now.state_since_us + delay_us
        } else {
            0
        };
    }

    fn acknowledged(
        &mut self,
        picture: &Picture<'_>,
        operation: &Operation,
        write: u64,
        node: NodeNumber,
        place: usize,
        at_us: u64,
    ) {
        if !self.pending.is_empty()
            && let Some(executed) = self.pending.remove(&write)
        {
            for executed in executed
                .into_iter()
                .filter(|executed| executed.node == node)
            {
                let Executed {
                    breach,
                    place: proof,
                    at_us,
                    ..
                } = executed;
                self.add(node, breach, at_us, &[proof, place]);
            }
            return;
        }
        let Some(now) = picture.node(node) else {
            return;
        };
        let untold = !now.tells_writes;
        if untold && !now.state_ok && now.starts > 0 && operation.issued_us > now.state_since_us {
            let breach = Breach::StateFail {
                since_us: now.state_since_us,
            };
            self.add(node, breach, at_us, &[place]);
        }
    }

    fn add(&mut self, node: NodeNumber, breach: Breach, at_us: u64, proof: &[usize]) {
        let known = self
            .episodes
            .iter_mut()
            .rev()
            .find(|episode| episode.node == node && episode.breach == breach);
        match known {
            Some(episode) => {
                episode.count += 1;
                if episode.evidence.len() < EVIDENCE {
                    episode.evidence.extend(proof);
                }
            }
            None => self.episodes.push(Episode {
                node,
                breach,
                first_us: at_us,
                count: 1,
                evidence: proof.to_vec(),
            }),
        }
    }
}

/// A slow disk stops the event loop for as long as a sync takes: ticks come late.
fn slow_disk(picture: &Picture<'_>, node: NodeNumber) -> bool {
    picture
        .reach
        .active()
        .iter()
        .any(|fault| fault.fault == FaultKind::SlowDisk && fault.nodes.contains(&node))
}

fn seconds(at_us: u64) -> f64 {
    at_us as f64 / 1e6
}

#[cfg(test)]
mod tests {
    use super::super::testing::{Log, assert_breaks, assert_valid};
    use super::*;
    use crate::scenario::{CrashKind, StallKind};
    use crate::trace::StateLoad;

    fn whole() -> StateLoad {
        StateLoad::Whole {
            current_epoch: 3,
            last_vote_epoch: 0,
        }
    }

    /// Everything is well again; key 1 holds `found`.
    fn ends(log: &mut Log, found: u64) -> Findings {
        log.later(10).state("m1", true, StateReason::AllGood);
        log.converged().audited(1, Some(found), "m1");
        log.check()
    }

    #[test]
    fn writes_to_a_healthy_master_are_fine() {
        let mut log = Log::formed();
        log.write(1, 11, "m1", 200).write(1, 12, "m1", 300);
        assert_valid(&ends(&mut log, 12));
    }

    #[test]
    fn a_write_acknowledged_in_state_fail_is_flagged() {
        let mut log = Log::formed();
        log.state("m1", false, StateReason::SlotOwnerFailed);
        log.write(1, 11, "m1", 200).write(1, 12, "m1", 300);
        let findings = ends(&mut log, 12);
        assert_breaks(
            &findings,
            Code::W,
            "m1 acknowledged 2 writes while its cluster state was fail",
        );
        assert_eq!(findings.violations.len(), 1);
    }

    #[test]
    fn a_write_executed_before_the_state_turned_is_fine() {
        let mut log = Log::formed();
        log.fact(
            "m1",
            Fact::Wrote {
                write: 11,
                offset: 200,
            },
        );
        log.stream("m1", 1, 200, 200);
        log.state("m1", false, StateReason::SlotOwnerFailed);
        log.later(3).operation(1, Some(11), "m1", 4, Outcome::Ok);
        assert_valid(&ends(&mut log, 11));
    }

    #[test]
    fn a_write_that_nobody_acknowledged_breaks_no_promise() {
        let mut log = Log::formed();
        log.state("m1", false, StateReason::SlotOwnerFailed);
        log.fact(
            "m1",
            Fact::Wrote {
                write: 11,
                offset: 200,
            },
        );
        log.stream("m1", 1, 200, 200);
        log.later(500)
            .operation(1, Some(11), "m1", 501, Outcome::Timeout);
        assert_valid(&ends(&mut log, 11));
    }

    #[test]
    fn a_live_server_is_judged_by_operations_that_began_in_state_fail() {
        let mut log = Log::formed();
        log.state("m1", false, StateReason::SlotOwnerFailed);
        log.later(1).operation(1, Some(11), "m1", 5, Outcome::Ok);
        log.later(20).operation(1, Some(12), "m1", 5, Outcome::Ok);
        assert_breaks(
            &ends(&mut log, 12),
            Code::W,
            "m1 acknowledged 1 write while",
        );
    }

    fn restarted(after_ms: u64) -> Findings {
        let mut log = Log::formed();
        log.at(6000)
            .crash("m1", CrashKind::Kill)
            .later(100)
            .start("m1", whole());
        log.later(after_ms - 1)
            .state("m1", true, StateReason::AllGood);
        log.write(1, 11, "m1", 200);
        ends(&mut log, 11)
    }

    #[test]
    fn a_master_that_writes_too_soon_after_its_start_is_flagged() {
        assert_breaks(
            &restarted(1900),
            Code::W,
            "within 2 s after it started as a master",
        );
        assert_valid(&restarted(2000));
    }

    #[test]
    fn a_replica_that_is_promoted_soon_after_its_start_may_write() {
        let mut log = Log::formed();
        log.at(6000)
            .crash("r1", CrashKind::Kill)
            .later(100)
            .start("r1", whole());
        log.later(100).state("r1", true, StateReason::AllGood);
        let why = redrill_node::RoleChange::Promoted;
        log.later(100).fact(
            "r1",
            Fact::Role {
                replica_of: None,
                why,
            },
        );
        log.write(1, 11, "r1", 200);
        let findings = log.converge_and_check();
        assert!(
            !findings.broken().contains(&Code::W),
            "{:#?}",
            findings.violations
        );
    }

    fn rejoined(after_ms: u64) -> Findings {
        let mut log = Log::formed();
        log.at(6000).state("m1", false, StateReason::Minority);
        log.later(after_ms - 1)
            .state("m1", true, StateReason::AllGood);
        log.write(1, 11, "m1", 200);
        ends(&mut log, 11)
    }

    #[test]
    fn a_master_that_rejoins_too_soon_is_flagged() {
        assert_breaks(
            &rejoined(900),
            Code::W,
            "before the delay after it was in the minority",
        );
        assert_valid(&rejoined(1001));
    }

    /// `m1` is cut off at 6 s with a client and goes on acknowledging until `last_ms` later.
    fn cut_off(last_ms: u64) -> Log {
        let mut log = Log::formed();
        log.at(6000).cut_off(&["m1", "r1"]);
        log.later(last_ms - 2).write(1, 11, "m1", 200);
        log
    }

    #[test]
    fn a_minority_may_acknowledge_until_the_bound() {
        assert_valid(&ends(&mut cut_off(2000), 11));
        let findings = ends(&mut cut_off(2001), 11);
        assert_breaks(
            &findings,
            Code::W,
            "cut off from the majority since 6.000 s",
        );
    }

    #[test]
    fn a_majority_may_acknowledge_for_ever() {
        let mut log = Log::formed();
        log.at(6000).cut_off(&["m1", "r1"]);
        log.later(10_000).write(1, 11, "m2", 200);
        let findings = log.converge_and_check();
        assert!(
            !findings.broken().contains(&Code::W),
            "{:#?}",
            findings.violations
        );
    }

    #[test]
    fn time_in_which_a_cut_off_master_stood_still_does_not_count() {
        let mut log = Log::formed();
        log.at(6000).cut_off(&["m1", "r1"]);
        log.later(10)
            .process("m1", ProcessChange::Stalled(StallKind::DebugSleep));
        log.later(9000).process("m1", ProcessChange::Resumed);
        log.write(1, 11, "m1", 200);
        assert_valid(&ends(&mut log, 11));
    }

    #[test]
    fn a_moved_clock_excuses_delays() {
        let mut log = Log::formed();
        log.fault(
            FaultKind::Clock,
            &["m1"],
            Vec::new(),
            "m1's clock jumps".into(),
        );
        log.at(6000).cut_off(&["m1", "r1"]);
        log.later(9000).write(1, 11, "m1", 200);
        assert_valid(&ends(&mut log, 11));
    }
}
