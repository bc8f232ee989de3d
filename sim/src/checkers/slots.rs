//! S: after convergence every slot has exactly one owner; ownership moves only to a higher epoch.
//!
//! Upstream: `clusterUpdateSlotsConfigWith` rebinds a slot that nobody owns, that its owner no
//! longer claims, or whose owner has a lower config epoch; a promoted replica takes its master's
//! slots under a new, higher one. Operators may move slots as they like.

use redrill_node::{Fact, SlotChange, SlotRange};

use super::slot_epochs::still_claims;
use super::slot_map::{SlotMap, add_range, overlap, slots_in_words};
use super::{Checker, Code, Findings, Picture};
use crate::trace::{Event, Header, NodeNumber, Phase, Record};

/// Watches slot ownership.
pub(super) struct Slots {
    /// The slots that somebody owned at the start.
    covered: Vec<SlotRange>,
    /// By node: the slots it once gave up by its own word.
    given_up: Vec<Vec<SlotRange>>,
    /// By viewer: the slots that an operator's `SETSLOT` gave an owner who did not own them yet by
    /// his own word. What he said before arrives later than that: for the viewer he does not
    /// claim them, and anybody may (`isSlotUnclaimed`).
    given_ahead: Vec<Vec<SlotRange>>,
}

impl Slots {
    pub(super) fn new(header: &Header) -> Self {
        let mut covered = Vec::new();
        for slots in header.nodes.iter().flat_map(|node| &node.slots) {
            add_range(&mut covered, *slots);
        }
        Self {
            covered,
            given_up: vec![Vec::new(); header.nodes.len()],
            given_ahead: vec![Vec::new(); header.nodes.len()],
        }
    }
}

impl Checker for Slots {
    fn code(&self) -> Code {
        Code::S
    }

    fn observe(
        &mut self,
        picture: &Picture<'_>,
        place: usize,
        record: &Record,
        findings: &mut Findings,
    ) {
        if record.event.begins(Phase::Audit) {
            self.judge_end(picture, place, record.at_us, findings);
        } else if let Event::Node {
            node,
            fact:
                Fact::SlotsOwned {
                    owner,
                    epoch,
                    slots,
                    why,
                },
        } = &record.event
        {
            let owner = owner.and_then(|id| picture.number(id));
            let moves = matches!(why, SlotChange::Claimed | SlotChange::Promoted);
            if let Some(owner) = owner.filter(|_| moves) {
                let change = Change {
                    node: *node,
                    owner,
                    epoch: *epoch,
                    place,
                    at_us: record.at_us,
                };
                self.judge_move(picture, &change, slots, findings);
            }
            self.note_given_up(picture, *node, owner, slots);
            if let Some(owner) = owner.filter(|_| *why == SlotChange::SetSlot) {
                self.note_given_ahead(picture, *node, owner, slots);
            }
        }
    }

    fn finish(self, _: &Picture<'_>, _: &mut Findings) {}
}

struct Change {
    node: NodeNumber,
    owner: NodeNumber,
    epoch: u64,
    place: usize,
    at_us: u64,
}

impl Slots {
    fn judge_move(
        &self,
        picture: &Picture<'_>,
        change: &Change,
        slots: &[SlotRange],
        findings: &mut Findings,
    ) {
        let Some(view) = picture.node(change.node).map(|node| &node.view) else {
            return;
        };
        let mut wrong: Vec<(NodeNumber, Vec<SlotRange>)> = Vec::new();
        for (piece, before) in slots.iter().flat_map(|range| view.slots.pieces(*range)) {
            let Some(before) = before.filter(|before| *before != change.owner) else {
                continue;
            };
            let higher = change.epoch > view.peer(before).config_epoch;
            let unclaimed = self.gave_up(before, piece)
                || !still_claims(picture, before, piece)
                || self.was_given_ahead(change.node, piece);
            if higher || unclaimed {
                continue;
            }
            match wrong.iter_mut().find(|(owner, _)| *owner == before) {
                Some((_, pieces)) => pieces.push(piece),
                None => wrong.push((before, vec![piece])),
            }
        }
        for (before, pieces) in wrong {
            let words = format!(
                "{} gave {} of {} (config epoch {}) to {} under config epoch {}, which is not higher",
                picture.name(change.node),
                slots_in_words(&pieces),
                picture.name(before),
                view.peer(before).config_epoch,
                picture.name(change.owner),
                change.epoch,
            );
            let nodes = [change.node, before, change.owner];
            findings.violation(Code::S, change.at_us, &nodes, &[change.place], words);
        }
    }

    fn gave_up(&self, node: NodeNumber, slots: SlotRange) -> bool {
        self.given_up
            .get(usize::from(node))
            .is_some_and(|given_up| {
                given_up
                    .iter()
                    .any(|range| overlap(*range, slots).is_some())
            })
    }

    fn was_given_ahead(&self, viewer: NodeNumber, slots: SlotRange) -> bool {
        let given = self.given_ahead.get(usize::from(viewer));
        given.is_some_and(|given| given.iter().any(|range| overlap(*range, slots).is_some()))
    }

    fn note_given_ahead(
        &mut self,
        picture: &Picture<'_>,
        viewer: NodeNumber,
        owner: NodeNumber,
        slots: &[SlotRange],
    ) {
        let Some(given) = self.given_ahead.get_mut(usize::from(viewer)) else {
            return;
        };
        for range in slots.iter().filter(|_| viewer != owner) {
            if !still_claims(picture, owner, *range) {
                add_range(given, *range);
            }
        }
    }

    fn note_given_up(
        &mut self,
        picture: &Picture<'_>,
        node: NodeNumber,
        owner: Option<NodeNumber>,
        slots: &[SlotRange],
    ) {
        let Some(now) = picture.node(node) else {
            return;
        };
        if owner == Some(node) || !now.view.slots.owns_any(node) {
            return;
        }
        let Some(given_up) = self.given_up.get_mut(usize::from(node)) else {
            return;
        };
        for (piece, before) in slots.iter().flat_map(|range| now.view.slots.pieces(*range)) {
            if before == Some(node) {
                add_range(given_up, piece);
            }
        }
    }

    fn judge_end(&self, picture: &Picture<'_>, place: usize, at_us: u64, findings: &mut Findings) {
        let mut claims = SlotMap::default();
        for (node, now) in picture
            .running()
            .filter(|(_, now)| now.replica_of.is_none())
        {
            for range in now.view.slots.ranges_of(node) {
                let claimed: Vec<_> = claims.pieces(range).collect();
                for (piece, other) in claimed {
                    let Some(other) = other else { continue };
                    let words = format!(
                        "{} have two owners by their own word: {} (config epoch {}) and {} (config epoch {})",
                        slots_in_words(&[piece]),
                        picture.name(other),
                        picture.node(other).map_or(0, |other| other.config_epoch),
                        picture.name(node),
                        now.config_epoch,
                    );
                    findings.violation(Code::S, at_us, &[other, node], &[place], words);
                }
                claims.assign(range, Some(node));
            }
        }
        if picture.operators.slots_us.is_some() {
            return;
        }
        for (node, now) in picture.running() {
            let mut unowned: Vec<SlotRange> = Vec::new();
            for covered in &self.covered {
                let pieces = now.view.slots.pieces(*covered);
                unowned.extend(
                    pieces
                        .filter(|(_, owner)| owner.is_none())
                        .map(|(piece, _)| piece),
                );
            }
            if !unowned.is_empty() {
                let words = format!(
                    "in the view of {} nobody owns {}",
                    picture.name(node),
                    slots_in_words(&unowned)
                );
                findings.violation(Code::S, at_us, &[node], &[place], words);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use redrill_node::{NodeId, RoleChange};

    use super::super::testing::{Log, NAMES, THIRDS, assert_breaks, assert_valid, id};
    use super::*;
    use crate::scenario::CrashKind;
    use crate::trace::StateLoad;

    /// `r1` replaced `m1` under epoch 4, and `m1` came back and knows.
    fn failed_over() -> Log {
        let mut log = Log::formed();
        log.at(6000).crash("m1", CrashKind::Kill);
        log.later(1600).agree_on_failure("m1").elect_r1(100);
        log.later(1000).start(
            "m1",
            StateLoad::Whole {
                current_epoch: 3,
                last_vote_epoch: 0,
            },
        );
        log.later(10).m1_follows_r1(100);
        log
    }

    fn claimed(log: &mut Log, viewer: &str, owner: NodeId, epoch: u64) {
        log.owned(viewer, Some(owner), epoch, THIRDS[0], SlotChange::Claimed);
    }

    #[test]
    fn a_failover_moves_slots_to_a_higher_epoch() {
        assert_valid(&failed_over().converge_and_check());
    }

    #[test]
    fn a_view_that_gives_slots_back_to_an_older_epoch_is_flagged() {
        let mut log = failed_over();
        claimed(&mut log, "m2", id("m1"), 1);
        claimed(&mut log, "m2", id("r1"), 4);
        let words = "m2 gave slots 0-5460 of r1 (config epoch 4) to m1 under config epoch 1";
        assert_breaks(&log.converge_and_check(), Code::S, words);
    }

    #[test]
    fn an_equal_epoch_is_not_higher() {
        let mut log = Log::formed();
        claimed(&mut log, "m2", id("m3"), 1);
        claimed(&mut log, "m2", id("m1"), 5);
        assert_breaks(&log.converge_and_check(), Code::S, "which is not higher");
    }

    #[test]
    fn slots_that_their_owner_gave_up_may_move_to_any_epoch() {
        let mut log = failed_over();
        // m1 once gave the slots up. m2, which still holds it for the owner, may take any claim.
        log.owned("m2", Some(id("m1")), 9, THIRDS[0], SlotChange::SetSlot);
        claimed(&mut log, "m2", id("r1"), 4);
        assert_valid(&log.converge_and_check());
    }

    #[test]
    fn a_promotion_without_a_new_epoch_is_flagged() {
        let mut log = Log::formed();
        log.owned("r1", Some(id("r1")), 0, THIRDS[0], SlotChange::Promoted);
        log.later(1)
            .owned("r1", Some(id("m1")), 1, THIRDS[0], SlotChange::SetSlot);
        assert_breaks(
            &log.converge_and_check(),
            Code::S,
            "to r1 under config epoch 0",
        );
    }

    #[test]
    fn two_claimants_at_the_end_are_flagged() {
        let mut log = Log::formed();
        let why = RoleChange::Promoted;
        log.fact(
            "r1",
            Fact::Role {
                replica_of: None,
                why,
            },
        );
        for viewer in NAMES.into_iter().filter(|viewer| *viewer != "r1") {
            log.fact(
                viewer,
                Fact::PeerRole {
                    node: id("r1"),
                    replica_of: None,
                },
            );
        }
        log.owned("r1", Some(id("r1")), 4, THIRDS[0], SlotChange::Promoted);
        let findings = log.converge_and_check();
        assert_eq!(findings.broken(), [Code::S, Code::C]);
        assert_eq!(
            findings.violations[0].words,
            "slots 0-5460 have two owners by their own word: m1 (config epoch 1) and r1 (config epoch 4)"
        );
    }

    #[test]
    fn slots_without_an_owner_at_the_end_are_flagged() {
        let mut log = Log::formed();
        let slots = SlotRange { first: 7, last: 7 };
        log.owned("m2", None, 0, slots, SlotChange::OwnerGone);
        assert_breaks(
            &log.converge_and_check(),
            Code::S,
            "in the view of m2 nobody owns slot 7",
        );
    }

    #[test]
    fn a_slot_that_was_given_to_somebody_before_he_knew_may_be_claimed_again() {
        let give = |ahead: bool| {
            let mut log = failed_over();
            let owner = Some(id("m3"));
            let by_hand = SlotChange::SetSlot;
            if !ahead {
                log.owned("m3", owner, 9, THIRDS[1], by_hand);
            }
            log.owned("m2", owner, 9, THIRDS[1], by_hand);
            log.owned("m3", owner, 9, THIRDS[1], by_hand);
            log.owned("m2", Some(id("r2")), 2, THIRDS[1], SlotChange::Claimed);
            log.owned("m2", owner, 9, THIRDS[1], SlotChange::Claimed);
            log
        };
        let words = "m2 gave slots 5461-10922 of m3 (config epoch 9) to r2 under config epoch 2";
        for ahead in [true, false] {
            let findings = give(ahead).converge_and_check();
            let is_flagged = format!("{findings:?}").contains(words);
            assert_eq!(is_flagged, !ahead, "{findings:?}");
        }
    }

    #[test]
    fn slots_that_an_operator_took_away_are_his() {
        let mut log = Log::formed();
        let (command, reply) = ("CLUSTER DELSLOTS 7".into(), "OK".into());
        log.event(Event::Operator {
            node: 0,
            command,
            reply,
            failed: false,
        });
        let slots = SlotRange { first: 7, last: 7 };
        for viewer in NAMES {
            log.owned(viewer, None, 0, slots, SlotChange::Operator);
        }
        assert_valid(&log.converge_and_check());
    }
}
