//! V3: nobody is elected with a slot epoch older than the one a voter knows.
//!
//! Upstream: the last check of `clusterSendFailoverAuthIfNeeded`. A request carries the slots of
//! the candidate's master and that master's config epoch, as the candidate knows them; a voter
//! that knows one of the slots under a higher epoch must refuse. Judged at each vote, because a
//! win is made of them.

use std::collections::BTreeMap;

use redrill_node::{Fact, NodeId, SlotRange};

use super::slot_map::slots_in_words;
use super::{Checker, Code, Findings, Picture};
use crate::trace::{Event, NodeNumber, Record};

/// Watches what votes are given for.
#[derive(Default)]
pub(super) struct SlotEpochs {
    requests: BTreeMap<(NodeNumber, u64), Request>,
}

struct Request {
    slots: Vec<SlotRange>,
    config_epoch: u64,
    place: usize,
}

impl Checker for SlotEpochs {
    fn code(&self) -> Code {
        Code::V3
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
        if let Fact::ElectionStarted { epoch, master, .. } = fact {
            let Some(candidate) = picture.node(*node) else {
                return;
            };
            let Some(master) = picture.number(*master) else {
                return;
            };
            let slots = candidate.view.slots.ranges_of(master).collect();
            let config_epoch = candidate.view.peer(master).config_epoch;
            self.requests.insert(
                (*node, *epoch),
                Request {
                    slots,
                    config_epoch,
                    place,
                },
            );
        } else if let Fact::VoteGranted { to, epoch, .. } = fact {
            self.judge(picture, *node, *to, *epoch, place, record.at_us, findings);
        }
    }

    fn finish(self, _: &Picture<'_>, _: &mut Findings) {}
}

impl SlotEpochs {
    #[expect(clippy::too_many_arguments, reason = "the fields of one fact")]
    fn judge(
        &self,
        picture: &Picture<'_>,
        voter: NodeNumber,
        to: NodeId,
        epoch: u64,
        place: usize,
        at_us: u64,
        findings: &mut Findings,
    ) {
        let Some(candidate) = picture.number(to) else {
            return;
        };
        let Some(request) = self.requests.get(&(candidate, epoch)) else {
            return;
        };
        let Some(view) = picture.node(voter).map(|node| &node.view) else {
            return;
        };
        for claimed in &request.slots {
            for (slots, owner) in view.slots.pieces(*claimed) {
                let Some(owner) = owner else { continue };
                let known = view.peer(owner).config_epoch;
                if known <= request.config_epoch || !still_claims(picture, owner, slots) {
                    continue;
                }
                let words = format!(
                    "{} voted for {} in epoch {epoch}, whose claim on {} rests on config epoch {}, although it knows {} to own them under {known}",
                    picture.name(voter),
                    picture.name(candidate),
                    slots_in_words(&[slots]),
                    request.config_epoch,
                    picture.name(owner),
                );
                let evidence = [request.place, place];
                findings.violation(Code::V3, at_us, &[voter, candidate], &evidence, words);
                return;
            }
        }
    }
}

/// Whether a node owns all of `slots` by its own word. A slot that its owner stopped claiming
/// counts as free for a voter (`owner_not_claiming_slot`, from 7.0.13).
pub(super) fn still_claims(picture: &Picture<'_>, owner: NodeNumber, slots: SlotRange) -> bool {
    picture.node(owner).is_none_or(|node| {
        node.view
            .slots
            .pieces(slots)
            .all(|(_, claimant)| claimant == Some(owner))
    })
}

#[cfg(test)]
mod tests {
    use redrill_node::{SlotChange, StateReason};

    use super::super::testing::{Log, THIRDS, assert_breaks, assert_valid, id};
    use super::*;

    /// `m2` and `m3` know that `r1` owns the slots of `m1` under epoch 7; `r3` was cut off and
    /// knows nothing of it. It asks for votes as if it were a replica of `m1`.
    fn stale_candidate(learners: &[&str]) -> Log {
        let mut log = Log::formed();
        log.at(6000).agree_on_failure("m1");
        for learner in learners {
            let node = id("r1");
            log.fact(learner, Fact::PeerConfigEpoch { node, epoch: 7 });
            log.owned(learner, Some(node), 7, THIRDS[0], SlotChange::SetSlot);
        }
        log.later(700).asks("r3", "m1", 8);
        log
    }

    fn ends(log: &mut Log) -> Findings {
        for node in ["m1", "m2", "m3", "r1", "r2", "r3"] {
            log.owned(node, Some(id("m1")), 7, THIRDS[0], SlotChange::SetSlot);
            log.state(node, true, StateReason::AllGood);
        }
        log.converge_and_check()
    }

    #[test]
    fn a_vote_against_a_newer_owner_is_flagged() {
        let mut log = stale_candidate(&["m2", "r1"]);
        log.later(1).votes("m2", "r3", "m1", 8);
        let words = "rests on config epoch 1, although it knows r1 to own them under 7";
        assert_breaks(&ends(&mut log), Code::V3, words);
    }

    #[test]
    fn a_voter_that_does_not_know_better_may_vote() {
        let mut log = stale_candidate(&["m3", "r1"]);
        log.later(1).votes("m2", "r3", "m1", 8);
        assert_valid(&ends(&mut log));
    }

    #[test]
    fn slots_that_their_owner_no_longer_claims_are_free() {
        // m2 still holds r1 for the owner, but r1 does not claim them itself.
        let mut log = stale_candidate(&["m2"]);
        log.later(1).votes("m2", "r3", "m1", 8);
        assert_valid(&ends(&mut log));
    }
}
