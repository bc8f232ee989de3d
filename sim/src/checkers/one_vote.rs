//! V1: one vote per voter and epoch, across restarts.
//!
//! Upstream: `clusterSendFailoverAuthIfNeeded` refuses when `lastVoteEpoch == currentEpoch`, and
//! the vote is on disk before it leaves. A vote that a crash caught before it left binds nobody.

use std::collections::BTreeMap;

use redrill_node::{EpochChange, Fact, NodeId};

use super::{Checker, Code, Findings, Picture};
use crate::trace::{Event, NodeNumber, Record};

/// Watches votes.
#[derive(Default)]
pub(super) struct OneVote {
    votes: BTreeMap<(NodeNumber, u64), Vec<Vote>>,
}

struct Vote {
    to: NodeId,
    place: usize,
    /// In which of the voter's lives it was given.
    life: u32,
    /// Whether it was counted by the candidate or is on the voter's disk.
    binds: bool,
    /// Whether the candidate counted it.
    counted: bool,
    /// Whether it is part of a violation already.
    flagged: bool,
}

impl Checker for OneVote {
    fn code(&self) -> Code {
        Code::V1
    }

    fn observe(
        &mut self,
        picture: &Picture<'_>,
        place: usize,
        record: &Record,
        findings: &mut Findings,
    ) {
        if let Event::StateSaved {
            node,
            synced: true,
            last_vote_epoch,
            ..
        } = &record.event
        {
            for (_, votes) in self.votes.range_mut((*node, 0)..=(*node, *last_vote_epoch)) {
                for vote in votes {
                    vote.binds = true;
                }
            }
        }
        let Event::Node { node, fact } = &record.event else {
            return;
        };
        if let Fact::VoteGranted { to, epoch, .. } = fact {
            let life = picture.node(*node).map_or(0, |node| node.starts);
            let votes = self.votes.entry((*node, *epoch)).or_default();
            let (binds, counted, flagged) = (false, false, false);
            votes.push(Vote {
                to: *to,
                place,
                life,
                binds,
                counted,
                flagged,
            });
            self.judge(picture, *node, *epoch, record.at_us, findings);
        } else if let Fact::VoteReceived {
            from,
            election_epoch,
            ..
        } = fact
        {
            let Some(voter) = picture.number(*from) else {
                return;
            };
            let Some(votes) = self.votes.get_mut(&(voter, *election_epoch)) else {
                return;
            };
            for vote in votes
                .iter_mut()
                .filter(|vote| picture.number(vote.to) == Some(*node))
            {
                vote.binds = true;
                vote.counted = true;
            }
            self.judge(picture, voter, *election_epoch, record.at_us, findings);
        } else if let Fact::Started {
            id,
            last_vote_epoch,
            ..
        } = fact
        {
            if picture.number(*id) == Some(*node) {
                self.remembers(
                    picture,
                    *node,
                    *last_vote_epoch,
                    place,
                    record.at_us,
                    findings,
                );
            } else {
                self.forget(*node);
            }
        } else if let Fact::ConfigEpoch {
            why: EpochChange::Reset,
            ..
        } = fact
        {
            self.forget(*node);
        }
    }

    fn finish(self, _: &Picture<'_>, _: &mut Findings) {}
}

impl OneVote {
    /// Flags two votes of one voter in one epoch, unless a crash undid all but one.
    fn judge(
        &mut self,
        picture: &Picture<'_>,
        voter: NodeNumber,
        epoch: u64,
        at_us: u64,
        findings: &mut Findings,
    ) {
        let Some(votes) = self.votes.get_mut(&(voter, epoch)) else {
            return;
        };
        let Some(last_life) = votes.last().map(|vote| vote.life) else {
            return;
        };
        let real = |vote: &Vote| vote.life == last_life || vote.binds;
        let count = votes.iter().filter(|vote| real(vote)).count();
        if count < 2
            || votes
                .iter()
                .filter(|vote| real(vote))
                .all(|vote| vote.flagged)
        {
            return;
        }
        let lives = votes
            .iter()
            .filter(|vote| real(vote))
            .any(|vote| vote.life != last_life);
        let candidates: Vec<String> = votes
            .iter()
            .filter(|vote| real(vote))
            .map(|vote| picture.name_of(vote.to))
            .collect();
        let evidence: Vec<usize> = votes
            .iter()
            .filter(|vote| real(vote))
            .map(|vote| vote.place)
            .collect();
        let words = format!(
            "{} voted {count} times in epoch {epoch}{}: for {}",
            picture.name(voter),
            if lives {
                ", with a restart in between"
            } else {
                ""
            },
            candidates.join(", then for "),
        );
        findings.violation(Code::V1, at_us, &[voter], &evidence, words);
        for vote in votes.iter_mut() {
            vote.flagged = true;
        }
    }

    /// A restarted voter must know the votes that left it, or it may vote again.
    fn remembers(
        &mut self,
        picture: &Picture<'_>,
        voter: NodeNumber,
        last_vote_epoch: u64,
        place: usize,
        at_us: u64,
        findings: &mut Findings,
    ) {
        let forgotten = self
            .votes
            .range((voter, last_vote_epoch + 1)..=(voter, u64::MAX))
            .flat_map(|(key, votes)| votes.iter().map(|vote| (key.1, vote)))
            .rfind(|(_, vote)| vote.counted);
        let Some((epoch, vote)) = forgotten else {
            return;
        };
        let words = format!(
            "{} voted for {} in epoch {epoch} and came back with {last_vote_epoch} as its last vote: it can vote again",
            picture.name(voter),
            picture.name_of(vote.to),
        );
        findings.violation(Code::V1, at_us, &[voter], &[vote.place, place], words);
    }

    fn forget(&mut self, voter: NodeNumber) {
        self.votes.retain(|key, _| key.0 != voter);
    }
}

#[cfg(test)]
mod tests {
    use super::super::testing::{Log, assert_breaks, assert_valid};
    use super::*;
    use crate::scenario::CrashKind;
    use crate::trace::StateLoad;

    /// `m2` gave `r1` its vote in epoch 4, and it was counted.
    fn voted() -> Log {
        let mut log = Log::formed();
        log.at(6000).agree_on_failure("m1");
        log.later(700).asks("r1", "m1", 4);
        log.later(1).votes("m2", "r1", "m1", 4);
        log.later(1).counts("r1", "m2", 4, 1);
        log
    }

    fn ends(log: &mut Log) -> Findings {
        log.later(1);
        for node in ["m1", "m2", "m3", "r1", "r2", "r3"] {
            log.state(node, true, redrill_node::StateReason::AllGood);
        }
        log.converge_and_check()
    }

    #[test]
    fn a_vote_in_each_epoch_is_fine() {
        let mut log = voted();
        log.later(5000).asks("r1", "m1", 5);
        log.later(1).votes("m2", "r1", "m1", 5);
        assert_valid(&ends(&mut log));
    }

    #[test]
    fn two_votes_in_one_epoch_are_flagged() {
        let mut log = voted();
        log.later(1).votes("m2", "r2", "m2", 4);
        let findings = ends(&mut log);
        assert_breaks(
            &findings,
            Code::V1,
            "m2 voted 2 times in epoch 4: for r1, then for r2",
        );
        assert_eq!(findings.violations[0].evidence.len(), 2);
    }

    #[test]
    fn two_votes_with_a_restart_in_between_are_flagged() {
        let mut log = voted();
        log.later(10).crash("m2", CrashKind::Kill);
        let whole = StateLoad::Whole {
            current_epoch: 4,
            last_vote_epoch: 4,
        };
        log.later(10).start("m2", whole);
        log.later(10).votes("m2", "r3", "m3", 4);
        assert_breaks(&ends(&mut log), Code::V1, "with a restart in between");
    }

    #[test]
    fn a_voter_that_forgot_a_counted_vote_is_flagged_when_it_starts() {
        let mut log = voted();
        log.later(10).crash("m2", CrashKind::Kill);
        let whole = StateLoad::Whole {
            current_epoch: 4,
            last_vote_epoch: 4,
        };
        log.later(10)
            .process("m2", crate::trace::ProcessChange::Started);
        log.event(Event::StateLoaded {
            node: 1,
            outcome: whole,
        })
        .started("m2", 4, 0);
        assert_breaks(&ends(&mut log), Code::V1, "it can vote again");
    }

    #[test]
    fn a_vote_that_a_power_loss_caught_before_it_left_binds_nobody() {
        let mut log = Log::formed();
        log.at(6000).agree_on_failure("m1");
        log.later(700).asks("r1", "m1", 4);
        let (to, master) = (
            super::super::testing::id("r1"),
            super::super::testing::id("m1"),
        );
        log.later(1).fact(
            "m2",
            Fact::VoteGranted {
                to,
                master: Box::new(master),
                epoch: 4,
            },
        );
        log.crash("m2", CrashKind::PowerOff);
        let whole = StateLoad::Whole {
            current_epoch: 3,
            last_vote_epoch: 0,
        };
        log.later(500).start("m2", whole);
        log.later(100).votes("m2", "r1", "m1", 4);
        assert_valid(&ends(&mut log));
    }
}
