//! L: with a quorum and an eligible replica, detection, election and recovery end within their
//! bounds.
//!
//! An outage is judged only while nothing else blurs it: a master is silent to a majority of the
//! masters, which hear each other well; one of its replicas hears them too, was in sync when the
//! silence began, and its data stay young enough; no clock moved, no slow disk, no degraded link,
//! no operator. When that ends before a bound is reached, nothing is said.
//!
//! Bounds, counted from the silence (NT: cluster-node-timeout; a tick is 100 ms):
//! - detection: asked at the first tick after NT/2, PFAIL at the first tick after another NT:
//!   1.5 NT + 0.5 s with the slack of turns and packets;
//! - agreement: each master hears from each other within NT/2, and suspicion travels in every
//!   packet: + NT/2 + 0.5 s;
//! - election: one tick to schedule, 500 + 500 ms and 1000 ms a rank (engines with shorter delays are
//!   held to the same; from Valkey 8.1 500 ms for each other silent master), one tick to start:
//!   + 1.7 s + rank; a replica that tried before waits 4 NT, at least 4 s, from that try on;
//! - win: at once; but votes may be split between replicas and between shards that ask in the same
//!   epoch, and then it takes the wait of 4 NT again. Two waits are allowed for each rival, one
//!   without rivals.

use std::collections::BTreeMap;

use redrill_node::{Fact, Quirk};

use super::slot_map::slots_in_words;
use super::{Checker, Code, Findings, Picture};
use crate::trace::{Event, FaultKind, NodeNumber, Phase, Record};

/// Watches outages.
#[derive(Default)]
pub(super) struct Liveness {
    seen_version: u64,
    changed_us: u64,
    outages: Vec<Outage>,
    /// When each replica's last scheduled election was due.
    scheduled_us: BTreeMap<NodeNumber, u64>,
    next_deadline_us: Option<u64>,
    settled_us: Option<u64>,
}

struct Outage {
    master: NodeNumber,
    /// When it fell silent.
    since_us: u64,
    voters: Vec<NodeNumber>,
    quorum: usize,
    replicas: Vec<NodeNumber>,
    suspecting: Vec<NodeNumber>,
    stage: Stage,
    deadlines: Deadlines,
}

#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Stage {
    Detection,
    Agreement,
    Election,
    Win,
    Over,
}

#[derive(Clone, Copy)]
struct Deadlines {
    detection_us: u64,
    agreement_us: u64,
    election_us: u64,
    win_us: u64,
}

const SLACK_US: u64 = 500_000;
const ELECTION_DELAY_US: u64 = 1_000_000;
const RANK_DELAY_US: u64 = 1_000_000;
/// For each failed master whose replicas ask first (from Valkey 8.1).
const MASTER_RANK_DELAY_US: u64 = 500_000;
const TWO_TICKS_US: u64 = 200_000;
/// After a start, a heal or a resume: links come back (SYN is retried after 1, 3 and 7 s).
const SETTLE_US: u64 = 8_000_000;
/// An operator's command may change roles, timers and votes for this long.
const OPERATOR_US: u64 = 30_000_000;

impl Checker for Liveness {
    fn code(&self) -> Code {
        Code::L
    }

    fn observe(
        &mut self,
        picture: &Picture<'_>,
        place: usize,
        record: &Record,
        findings: &mut Findings,
    ) {
        let at_us = record.at_us;
        if picture.reach.version() != self.seen_version {
            // The picture changed at the record before. Changes of one instant are one.
            if self.changed_us == 0 {
                self.changed_us = picture.now_us().max(1);
            }
            if at_us > self.changed_us {
                self.seen_version = picture.reach.version();
                self.changed_us = 0;
                self.look(picture);
            }
        }
        if self
            .next_deadline_us
            .is_some_and(|deadline_us| at_us > deadline_us)
        {
            self.overdue(picture, place, at_us, findings);
        }
        match &record.event {
            Event::Node { node, fact } => self.observe_fact(picture, *node, fact, at_us),
            Event::Phase {
                phase: Phase::Disturb,
            } => self.settled_us = Some(at_us),
            Event::Phase {
                phase: Phase::Audit,
            } => {
                self.outages.clear();
                self.next_deadline_us = None;
                judge_recovery(picture, place, at_us, findings);
            }
            Event::Operator { .. } => {
                self.outages.clear();
                self.next_deadline_us = None;
            }
            Event::Phase { .. }
            | Event::Process { .. }
            | Event::StateSaved { .. }
            | Event::StateLoaded { .. }
            | Event::FaultBegan { .. }
            | Event::FaultEnded { .. }
            | Event::FaultMissed { .. }
            | Event::WeatherBegan { .. }
            | Event::WeatherEnded { .. }
            | Event::Operation(_)
            | Event::Audited { .. }
            | Event::BusTraffic { .. }
            | Event::Remark { .. } => {}
        }
    }

    fn finish(self, _: &Picture<'_>, _: &mut Findings) {}
}

impl Liveness {
    fn observe_fact(&mut self, picture: &Picture<'_>, node: NodeNumber, fact: &Fact, at_us: u64) {
        if let Fact::ElectionScheduled { delay_ms, .. } = fact {
            let delay_us = u64::try_from(*delay_ms).unwrap_or(0) * 1000;
            self.scheduled_us.insert(node, at_us + delay_us);
        }
        if self.outages.is_empty() {
            return;
        }
        if let Fact::PossiblyFailing { node: suspect } = fact {
            self.advance(picture.number(*suspect), |outage| outage.suspected_by(node));
        } else if let Fact::MarkedFailing { node: suspect, .. }
        | Fact::FailReceived { node: suspect, .. } = fact
        {
            self.advance(picture.number(*suspect), |outage| {
                outage.reached(Stage::Election)
            });
        } else if let Fact::ElectionStarted { master, .. } = fact {
            self.advance(picture.number(*master), |outage| outage.reached(Stage::Win));
        } else if let Fact::ElectionWon { master, .. } = fact {
            self.advance(picture.number(*master), |outage| {
                outage.reached(Stage::Over)
            });
        }
    }

    fn advance(&mut self, master: Option<NodeNumber>, step: impl Fn(&mut Outage)) {
        for outage in self
            .outages
            .iter_mut()
            .filter(|outage| Some(outage.master) == master)
        {
            step(outage);
        }
        self.outages.retain(|outage| outage.stage != Stage::Over);
        self.set_deadline();
    }

    fn set_deadline(&mut self) {
        self.next_deadline_us = self.outages.iter().map(|outage| outage.deadline_us()).min();
    }

    fn overdue(
        &mut self,
        picture: &Picture<'_>,
        place: usize,
        at_us: u64,
        findings: &mut Findings,
    ) {
        for outage in self
            .outages
            .extract_if(.., |outage| at_us > outage.deadline_us())
        {
            let master = picture.name(outage.master);
            let after_s = (outage.deadline_us() - outage.since_us) as f64 / 1e6;
            let voters = picture.names(&outage.voters);
            let replicas = picture.names(&outage.replicas);
            let missing = match outage.stage {
                Stage::Detection => {
                    format!("{voters} hear nothing from it, yet too few suspect it")
                }
                Stage::Agreement => format!("{voters} could agree, yet nobody marked it FAIL"),
                Stage::Election => format!("{replicas} could ask for votes, yet nobody did"),
                Stage::Win => format!("{voters} could vote, yet nobody was elected"),
                Stage::Over => continue,
            };
            let words = format!("{master} is silent for {after_s:.1} s: {missing}");
            let mut nodes = vec![outage.master];
            nodes.extend(&outage.replicas);
            findings.violation(Code::L, outage.deadline_us(), &nodes, &[place], words);
        }
        self.set_deadline();
    }

    /// Takes stock of the outages after somebody fell silent or was heard again.
    fn look(&mut self, picture: &Picture<'_>) {
        let found = self.find(picture);
        self.outages.retain_mut(|outage| {
            let Some(now) = found.iter().find(|now| now.master == outage.master) else {
                return false;
            };
            outage.voters.retain(|voter| now.voters.contains(voter));
            outage
                .replicas
                .retain(|replica| now.replicas.contains(replica));
            outage.voters.len() >= outage.quorum && !outage.replicas.is_empty()
        });
        for outage in found {
            let known = self
                .outages
                .iter()
                .any(|known| known.master == outage.master);
            // A failover that goes on, or is over, is not judged from its middle.
            let untouched = outage.voters.iter().all(|voter| {
                picture
                    .node(*voter)
                    .is_some_and(|node| !node.view.peer(outage.master).failed)
            });
            if !known && untouched {
                self.outages.push(outage);
            }
        }
        self.set_deadline();
    }

    fn find(&self, picture: &Picture<'_>) -> Vec<Outage> {
        let blurred = [FaultKind::Degrade, FaultKind::SlowDisk]
            .into_iter()
            .any(|kind| picture.reach.any_active(kind))
            || picture
                .operators
                .last_us
                .is_some_and(|last_us| last_us + OPERATOR_US > picture.now_us());
        let no_failover = picture.config("cluster-replica-no-failover") == Some("yes")
            || picture.operators.config_us.is_some();
        if self.settled_us.is_none() || blurred || no_failover {
            return Vec::new();
        }
        let Some(majority) = majority(picture) else {
            return Vec::new();
        };
        let silent: Vec<NodeNumber> = majority
            .masters
            .iter()
            .copied()
            .filter(|master| !majority.voters.contains(master))
            .collect();
        silent
            .iter()
            .filter_map(|master| self.outage(picture, &majority, *master, silent.len()))
            .collect()
    }

    fn outage(
        &self,
        picture: &Picture<'_>,
        majority: &Majority,
        master: NodeNumber,
        silent: usize,
    ) -> Option<Outage> {
        let reach = &picture.reach;
        let voters = &majority.voters;
        let siblings = picture
            .nodes()
            .filter(|(_, node)| node.replica_of == Some(master))
            .count();
        let known = self.outages.iter().find(|outage| outage.master == master);
        let replicas: Vec<NodeNumber> = picture
            .running()
            .filter(|(number, node)| {
                let in_sync = known.map_or(node.master_link_up, |outage| {
                    outage.replicas.contains(number)
                });
                node.replica_of == Some(master)
                    && in_sync
                    && !reach.clock_touched(*number)
                    && reach.silent_since_us(*number, master).is_some()
                    && voters.iter().all(|voter| {
                        reach.talk(*number, *voter)
                            && picture.node(*voter).is_some_and(|voter| {
                                voter.view.peer(*number).replica_of == Some(master)
                            })
                    })
            })
            .map(|(number, _)| number)
            .collect();
        if replicas.is_empty() {
            return None;
        }
        let listeners = || voters.iter().chain(&replicas);
        let mut since_us = 0;
        for listener in listeners() {
            since_us = since_us.max(reach.silent_since_us(*listener, master)?);
        }
        let settle_us = picture.node_timeout_us() + SETTLE_US;
        let settled_us = listeners()
            .map(|listener| reach.unsettled_us(*listener))
            .filter(|unsettled_us| Some(*unsettled_us) > self.settled_us)
            .map(|unsettled_us| unsettled_us + settle_us)
            .max();
        // An outage that could not be judged before counts from now.
        let from_us = since_us.max(settled_us.unwrap_or(0)).max(picture.now_us());
        let rivals = (replicas.len() - 1 + 2 * (silent - 1)) as u64;
        let ranks = siblings.saturating_sub(1) as u64;
        let in_line = picture.header().engine.has(Quirk::FailedMasterRank);
        let masters_first = if in_line { silent as u64 - 1 } else { 0 };
        let tried_us = replicas
            .iter()
            .filter_map(|replica| self.scheduled_us.get(replica))
            .max();
        let delays = (ranks, masters_first);
        let deadlines = deadlines(picture, from_us, delays, rivals, tried_us.copied());
        if !data_stay_young(picture, since_us, deadlines.election_us) {
            return None;
        }
        let mut outage = Outage {
            master,
            since_us,
            voters: voters.clone(),
            quorum: majority.quorum,
            replicas,
            suspecting: Vec::new(),
            stage: Stage::Detection,
            deadlines,
        };
        for voter in voters {
            let view = picture.node(*voter).map(|node| &node.view);
            if view.is_some_and(|view| view.peer(master).suspected) {
                outage.suspected_by(*voter);
            }
        }
        Some(outage)
    }
}

impl Outage {
    fn deadline_us(&self) -> u64 {
        match self.stage {
            Stage::Detection => self.deadlines.detection_us,
            Stage::Agreement => self.deadlines.agreement_us,
            Stage::Election => self.deadlines.election_us,
            Stage::Win | Stage::Over => self.deadlines.win_us,
        }
    }

    fn suspected_by(&mut self, node: NodeNumber) {
        if self.voters.contains(&node) && !self.suspecting.contains(&node) {
            self.suspecting.push(node);
        }
        if self.suspecting.len() >= self.quorum {
            self.reached(Stage::Agreement);
        }
    }

    fn reached(&mut self, stage: Stage) {
        self.stage = self.stage.max(stage);
    }
}

fn deadlines(
    picture: &Picture<'_>,
    from_us: u64,
    (ranks, masters_first): (u64, u64),
    rivals: u64,
    tried_us: Option<u64>,
) -> Deadlines {
    let timeout_us = picture.node_timeout_us();
    let retry_us = (4 * timeout_us).max(4_000_000);
    let delay_us = ELECTION_DELAY_US
        + ranks * RANK_DELAY_US
        + masters_first * MASTER_RANK_DELAY_US
        + TWO_TICKS_US
        + SLACK_US;
    let detection_us = from_us + timeout_us + timeout_us / 2 + SLACK_US;
    let agreement_us = detection_us + timeout_us / 2 + SLACK_US;
    let earliest_us = tried_us.map_or(0, |tried_us| tried_us + retry_us);
    let election_us = agreement_us.max(earliest_us) + delay_us;
    let waits = 1 + 2 * rivals;
    let win_us = election_us + waits * (retry_us + delay_us);
    Deadlines {
        detection_us,
        agreement_us,
        election_us,
        win_us,
    }
}

/// Whether a replica whose master fell silent may still ask for votes at a time (the data-age
/// check of `clusterHandleSlaveFailover`; ages have whole seconds).
fn data_stay_young(picture: &Picture<'_>, since_us: u64, at_us: u64) -> bool {
    let factor = picture
        .config_number("cluster-replica-validity-factor", 10)
        .max(picture.config_number("cluster-slave-validity-factor", 0));
    let factor = u64::try_from(factor).unwrap_or(0);
    let ping_s = picture.config_number("repl-ping-replica-period", 10);
    let timeout_us = picture.node_timeout_us();
    let limit_us = u64::try_from(ping_s).unwrap_or(0) * 1_000_000 + timeout_us * factor;
    factor == 0 || at_us + 1_000_000 < since_us + limit_us
}

struct Majority {
    /// All masters with slots, as its members see it.
    masters: Vec<NodeNumber>,
    /// Those that hear each other.
    voters: Vec<NodeNumber>,
    quorum: usize,
}

/// The masters that hear each other, if they are a quorum and agree on who the masters are.
fn majority(picture: &Picture<'_>) -> Option<Majority> {
    let running: Vec<NodeNumber> = picture
        .running()
        .filter(|(number, node)| node.replica_of.is_none() && node.view.slots.owns_any(*number))
        .map(|(number, _)| number)
        .collect();
    running.iter().find_map(|member| {
        let masters = picture.node(*member)?.view.voting_masters();
        let quorum = masters.len() / 2 + 1;
        let voters: Vec<NodeNumber> = running
            .iter()
            .copied()
            .filter(|other| other == member || picture.reach.talk(*member, *other))
            .filter(|other| masters.contains(other))
            .collect();
        let hear_each_other = || {
            voters.iter().all(|one| {
                voters
                    .iter()
                    .all(|other| one == other || picture.reach.talk(*one, *other))
            })
        };
        let agree = voters.iter().all(|voter| {
            !picture.reach.clock_touched(*voter)
                && picture
                    .node(*voter)
                    .is_some_and(|node| node.view.voting_masters() == masters)
        });
        (voters.len() >= quorum && agree && hear_each_other()).then_some(Majority {
            masters,
            voters,
            quorum,
        })
    })
}

/// After healing, with every node up and every slot owned, all must be ok.
fn judge_recovery(picture: &Picture<'_>, place: usize, at_us: u64, findings: &mut Findings) {
    let all_run = picture
        .nodes()
        .all(|(number, _)| picture.reach.runs(number));
    if !all_run || picture.operators.slots_us.is_some() {
        return;
    }
    for (node, now) in picture
        .running()
        .filter(|(_, now)| !now.state_ok && now.starts > 0)
    {
        let unowned: Vec<_> = now.view.slots.unowned().collect();
        let why = if unowned.is_empty() {
            now.state_why
                .map_or_else(String::new, |why| format!(" ({why:?})"))
        } else {
            format!(" (nobody owns {})", slots_in_words(&unowned))
        };
        let words = format!(
            "the cluster state of {} is still fail{why}, {:.1} s after it turned",
            picture.name(node),
            (at_us - now.state_since_us) as f64 / 1e6,
        );
        findings.violation(Code::L, at_us, &[node], &[place], words);
    }
}

#[cfg(test)]
mod tests {
    use redrill_node::StateReason;

    use super::super::testing::{Log, assert_breaks, assert_valid};
    use super::*;
    use crate::scenario::{CrashKind, StallKind};
    use crate::trace::{ProcessChange, StateLoad};

    /// `m1` dies at 20 s, long after the cluster has settled.
    fn killed() -> Log {
        let mut log = Log::formed();
        log.at(20_000).crash("m1", CrashKind::Kill);
        log.later(1).fact("r1", Fact::MasterLinkLost);
        log
    }

    /// The rest of the story, from a promotion of `r1` on.
    fn ends(log: &mut Log) -> Findings {
        log.later(1000).start(
            "m1",
            StateLoad::Whole {
                current_epoch: 3,
                last_vote_epoch: 0,
            },
        );
        log.later(10).m1_follows_r1(100);
        log.converge_and_check()
    }

    fn broken(log: &mut Log) -> Findings {
        let findings = ends(log);
        assert_eq!(
            findings.violations[0].code,
            Code::L,
            "{:#?}",
            findings.violations
        );
        findings
    }

    #[test]
    fn a_failover_in_time_is_fine() {
        let mut log = killed();
        log.later(1700).agree_on_failure("m1").elect_r1(100);
        assert_valid(&ends(&mut log));
    }

    #[test]
    fn a_master_that_nobody_suspects_in_time_is_flagged() {
        let mut log = killed();
        log.at(22_001).agree_on_failure("m1").elect_r1(100);
        assert_breaks(
            &broken(&mut log),
            Code::L,
            "m2 and m3 hear nothing from it, yet too few suspect",
        );
    }

    #[test]
    fn masters_that_do_not_agree_in_time_are_flagged() {
        let mut log = killed();
        log.at(21_500).suspects("m2", "m1").suspects("m3", "m1");
        log.at(23_001).agree_on_failure("m1").elect_r1(100);
        assert_breaks(
            &broken(&mut log),
            Code::L,
            "could agree, yet nobody marked it FAIL",
        );
    }

    #[test]
    fn a_replica_that_does_not_ask_is_flagged() {
        let mut log = killed();
        log.at(21_500).agree_on_failure("m1");
        log.at(25_000).elect_r1(100);
        assert_breaks(
            &broken(&mut log),
            Code::L,
            "r1 could ask for votes, yet nobody did",
        );
    }

    #[test]
    fn an_election_that_nobody_wins_is_flagged() {
        let mut log = killed();
        log.at(21_500).agree_on_failure("m1");
        log.later(700).asks("r1", "m1", 4);
        log.at(40_000).elect_r1(100);
        let findings = ends(&mut log);
        let words = "m2 and m3 could vote, yet nobody was elected";
        assert!(
            findings
                .violations
                .iter()
                .any(|violation| violation.words.contains(words))
        );
    }

    #[test]
    fn without_a_quorum_nothing_is_promised() {
        let mut log = killed();
        log.crash("m2", CrashKind::Kill);
        log.at(60_000);
        for node in ["m1", "m2"] {
            log.start(
                node,
                StateLoad::Whole {
                    current_epoch: 3,
                    last_vote_epoch: 0,
                },
            );
        }
        log.later(3000).state("m1", true, StateReason::AllGood);
        log.state("m2", true, StateReason::AllGood);
        assert_valid(&log.converge_and_check());
    }

    #[test]
    fn without_a_replica_in_sync_nothing_is_promised() {
        let mut log = Log::formed();
        log.at(19_000).fact("r1", Fact::MasterLinkLost);
        log.at(20_000).crash("m1", CrashKind::Kill);
        log.at(60_000);
        log.start(
            "m1",
            StateLoad::Whole {
                current_epoch: 3,
                last_vote_epoch: 0,
            },
        );
        log.later(3000).state("m1", true, StateReason::AllGood);
        assert_valid(&log.converge_and_check());
    }

    #[test]
    fn a_master_that_is_back_in_time_need_not_be_replaced() {
        let mut log = Log::formed();
        log.at(20_000)
            .process("m1", ProcessChange::Stalled(StallKind::Sigstop));
        log.later(1900).process("m1", ProcessChange::Resumed);
        assert_valid(&log.converge_and_check());
    }

    #[test]
    fn an_operator_blurs_the_picture() {
        let mut log = Log::formed();
        let (command, reply) = ("CLUSTER FAILOVER".into(), "OK".into());
        log.at(19_000).event(Event::Operator {
            node: 3,
            command,
            reply,
            failed: false,
        });
        log.at(20_000).crash("m1", CrashKind::Kill);
        log.at(24_000).agree_on_failure("m1").elect_r1(100);
        assert_valid(&ends(&mut log));
    }

    #[test]
    fn what_a_slow_disk_blurred_counts_from_its_end() {
        let mut log = Log::formed();
        log.at(20_000)
            .process("m1", ProcessChange::Stalled(StallKind::Sigstop));
        let slow = FaultKind::SlowDisk;
        let step = log.fault(slow, &["r1"], Vec::new(), "r1's disk is slow".into());
        log.at(21_500).suspects("m2", "m1").suspects("m3", "m1");
        log.at(21_900).heal(step);
        log.at(22_500).agree_on_failure("m1").elect_r1(100);
        log.later(1000).process("m1", ProcessChange::Resumed);
        log.m1_follows_r1(100);
        assert_valid(&log.converge_and_check());
    }

    #[test]
    fn a_node_that_stays_in_fail_is_flagged() {
        let mut log = Log::formed();
        log.state("m3", false, StateReason::Minority);
        assert_breaks(
            &log.converge_and_check(),
            Code::L,
            "the cluster state of m3 is still fail",
        );
    }
}
