//! V2: a win rests on a quorum of distinct votes in its epoch, and an epoch is won once.
//!
//! Upstream: `clusterHandleSlaveFailover`. Only `CLUSTER FAILOVER TAKEOVER` needs no votes.

use std::collections::BTreeMap;

use redrill_node::{Fact, FailoverKind};

use super::{Checker, Code, Findings, Picture};
use crate::trace::{Event, NodeNumber, Record};

/// Watches elections.
#[derive(Default)]
pub(super) struct Elections {
    /// By candidate and epoch: who voted for it, by its own word.
    granted: BTreeMap<(NodeNumber, u64), Vec<(NodeNumber, usize)>>,
    /// By candidate and epoch: whose vote it counted.
    counted: BTreeMap<(NodeNumber, u64), Vec<(NodeNumber, usize)>>,
    won: BTreeMap<u64, (NodeNumber, usize)>,
}

impl Checker for Elections {
    fn code(&self) -> Code {
        Code::V2
    }

    fn observe(
        &mut self,
        picture: &Picture<'_>,
        place: usize,
        record: &Record,
        findings: &mut Findings,
    ) {
        let Event::Node { node, fact } = &record.event else {
            return;
        };
        if let Fact::VoteGranted { to, epoch, .. } = fact {
            if let Some(candidate) = picture.number(*to) {
                self.granted
                    .entry((candidate, *epoch))
                    .or_default()
                    .push((*node, place));
            }
        } else if let Fact::VoteReceived {
            from,
            election_epoch,
            ..
        } = fact
        {
            if let Some(voter) = picture.number(*from) {
                self.counted
                    .entry((*node, *election_epoch))
                    .or_default()
                    .push((voter, place));
            }
        } else if let Fact::ElectionWon {
            epoch, needed, how, ..
        } = fact
            && *how != FailoverKind::Takeover
        {
            self.judge_votes(
                picture,
                *node,
                *epoch,
                *needed,
                place,
                record.at_us,
                findings,
            );
            self.judge_epoch(picture, *node, *epoch, place, record.at_us, findings);
        }
    }

    fn finish(self, _: &Picture<'_>, _: &mut Findings) {}
}

impl Elections {
    #[expect(clippy::too_many_arguments, reason = "the fields of one fact")]
    fn judge_votes(
        &self,
        picture: &Picture<'_>,
        winner: NodeNumber,
        epoch: u64,
        told: u16,
        place: usize,
        at_us: u64,
        findings: &mut Findings,
    ) {
        let granted = self
            .granted
            .get(&(winner, epoch))
            .map_or(&[][..], Vec::as_slice);
        let counted = self
            .counted
            .get(&(winner, epoch))
            .map_or(&[][..], Vec::as_slice);
        // A live server's log has the votes that were given, not those that were counted.
        let live = picture.header().world == "live";
        let mut voters: Vec<NodeNumber> = granted
            .iter()
            .map(|(voter, _)| *voter)
            .filter(|voter| live || counted.iter().any(|(from, _)| from == voter))
            .collect();
        voters.sort_unstable();
        voters.dedup();
        let quorum = picture
            .node(winner)
            .map(|node| &node.view)
            .filter(|view| view.voters() > 0)
            .map_or(told, |view| view.least_quorum(at_us));
        if voters.len() >= usize::from(quorum) {
            return;
        }
        let words = format!(
            "{} won epoch {epoch} with {} of the {quorum} votes it needed (voters: {})",
            picture.name(winner),
            voters.len(),
            picture.names(&voters),
        );
        let mut evidence: Vec<usize> = granted.iter().map(|(_, place)| *place).collect();
        evidence.push(place);
        findings.violation(Code::V2, at_us, &[winner], &evidence, words);
    }

    fn judge_epoch(
        &mut self,
        picture: &Picture<'_>,
        winner: NodeNumber,
        epoch: u64,
        place: usize,
        at_us: u64,
        findings: &mut Findings,
    ) {
        let Some((first, before)) = self.won.insert(epoch, (winner, place)) else {
            return;
        };
        let words = if first == winner {
            format!(
                "{} won epoch {epoch} twice: the second time without a new election",
                picture.name(winner)
            )
        } else {
            format!(
                "epoch {epoch} was won by {} and by {}",
                picture.name(first),
                picture.name(winner)
            )
        };
        findings.violation(Code::V2, at_us, &[first, winner], &[before, place], words);
    }
}

#[cfg(test)]
mod tests {
    use redrill_node::FailoverKind;

    use super::super::testing::{Log, assert_breaks, assert_valid};
    use super::*;
    use crate::scenario::CrashKind;
    use crate::trace::StateLoad;

    /// `m1` died, and `r1` asks for votes in epoch 4.
    fn asked() -> Log {
        let mut log = Log::formed();
        log.at(6000).crash("m1", CrashKind::Kill);
        log.later(1600).agree_on_failure("m1");
        log.later(700).asks("r1", "m1", 4);
        log
    }

    fn ends(log: &mut Log) -> Findings {
        log.takes_over("r1", "m1", 4, 100, &["m2", "m3", "r2", "r3"]);
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

    #[test]
    fn a_win_with_a_quorum_is_fine() {
        let mut log = asked();
        log.later(1)
            .votes("m2", "r1", "m1", 4)
            .votes("m3", "r1", "m1", 4);
        log.later(1)
            .counts("r1", "m2", 4, 1)
            .counts("r1", "m3", 4, 2);
        log.wins("r1", "m1", 4, FailoverKind::Automatic, 100);
        assert_valid(&ends(&mut log));
    }

    #[test]
    fn a_win_one_vote_short_is_flagged() {
        let mut log = asked();
        log.later(1).votes("m2", "r1", "m1", 4);
        log.later(1).counts("r1", "m2", 4, 1);
        log.wins("r1", "m1", 4, FailoverKind::Automatic, 100);
        assert_breaks(
            &ends(&mut log),
            Code::V2,
            "1 of the 2 votes it needed (voters: m2)",
        );
    }

    #[test]
    fn a_vote_counted_twice_is_one_vote() {
        let mut log = asked();
        log.later(1).votes("m2", "r1", "m1", 4);
        log.later(1)
            .counts("r1", "m2", 4, 1)
            .counts("r1", "m2", 4, 2);
        log.wins("r1", "m1", 4, FailoverKind::Automatic, 100);
        assert_breaks(&ends(&mut log), Code::V2, "1 of the 2 votes");
    }

    #[test]
    fn a_vote_that_nobody_gave_does_not_count() {
        let mut log = asked();
        log.later(1).votes("m2", "r1", "m1", 4);
        log.later(1)
            .counts("r1", "m2", 4, 1)
            .counts("r1", "m3", 4, 2);
        log.wins("r1", "m1", 4, FailoverKind::Automatic, 100);
        assert_breaks(&ends(&mut log), Code::V2, "1 of the 2 votes");
    }

    #[test]
    fn a_manual_failover_needs_votes_and_a_takeover_does_not() {
        let mut log = asked();
        log.later(1).wins("r1", "m1", 4, FailoverKind::Manual, 100);
        assert_breaks(&ends(&mut log), Code::V2, "0 of the 2 votes");

        let mut log = asked();
        log.later(1)
            .wins("r1", "m1", 4, FailoverKind::Takeover, 100);
        assert_valid(&ends(&mut log));
    }

    #[test]
    fn an_epoch_won_twice_is_flagged() {
        let mut log = asked();
        log.later(1)
            .votes("m2", "r1", "m1", 4)
            .votes("m3", "r1", "m1", 4);
        log.later(1)
            .counts("r1", "m2", 4, 1)
            .counts("r1", "m3", 4, 2);
        log.wins("r1", "m1", 4, FailoverKind::Automatic, 100);
        log.later(1).wins("r1", "m1", 4, FailoverKind::Manual, 100);
        assert_breaks(&ends(&mut log), Code::V2, "r1 won epoch 4 twice");
    }
}
