//! C: after convergence all views agree; one master a shard, no replica of a replica, one
//! membership.
//!
//! Judged once, when the log enters its audit: by then the cluster had its time to converge, or
//! the world held it for converged. What a node says of itself is the truth that all others must
//! share.

use std::collections::BTreeMap;

use indexmap::IndexMap;
use redrill_node::SlotRange;
use rustc_hash::FxBuildHasher;

use super::slot_map::{ALL_SLOTS, add_range, slots_in_words};
use super::{Checker, Code, Findings, Picture};
use crate::trace::{NodeNumber, Phase, Record};

/// Watches the end.
pub(super) struct Convergence;

impl Checker for Convergence {
    fn code(&self) -> Code {
        Code::C
    }

    fn observe(
        &mut self,
        picture: &Picture<'_>,
        place: usize,
        record: &Record,
        findings: &mut Findings,
    ) {
        if !record.event.begins(Phase::Audit) {
            return;
        }
        let end = End {
            picture,
            place,
            at_us: record.at_us,
        };
        end.judge_processes(findings);
        end.judge_membership(findings);
        end.judge_roles(findings);
        end.judge_chains(findings);
        end.judge_slots(findings);
        end.judge_idle_masters(findings);
    }

    fn finish(self, _: &Picture<'_>, _: &mut Findings) {}
}

/// Who is held for the owner, by whom.
type Opinions = BTreeMap<NodeNumber, Vec<NodeNumber>>;

struct End<'p, 't> {
    picture: &'p Picture<'t>,
    place: usize,
    at_us: u64,
}

impl End<'_, '_> {
    fn flag(&self, nodes: &[NodeNumber], words: String, findings: &mut Findings) {
        findings.violation(Code::C, self.at_us, nodes, &[self.place], words);
    }

    fn judge_processes(&self, findings: &mut Findings) {
        let still: Vec<NodeNumber> = self
            .picture
            .nodes()
            .map(|(number, _)| number)
            .filter(|number| !self.picture.reach.runs(*number))
            .collect();
        if !still.is_empty() {
            let words = format!(
                "{} did not run when the cluster had to be converged",
                self.picture.names(&still)
            );
            findings.unknown(Some(Code::C), self.at_us, &[self.place], words);
        }
    }

    fn judge_membership(&self, findings: &mut Findings) {
        if self.picture.operators.members_us.is_some() {
            return;
        }
        for (viewer, now) in self.picture.running() {
            let missing: Vec<NodeNumber> = self
                .picture
                .running()
                .map(|(number, _)| number)
                .filter(|other| *other != viewer && !now.view.peer(*other).known)
                .collect();
            if !missing.is_empty() {
                let words = format!(
                    "{} does not know {}",
                    self.picture.name(viewer),
                    self.picture.names(&missing)
                );
                self.flag(&[viewer], words, findings);
            }
        }
    }

    fn judge_roles(&self, findings: &mut Findings) {
        for (subject, itself) in self.picture.running() {
            let disagree: Vec<NodeNumber> = self
                .picture
                .running()
                .filter(|(viewer, now)| {
                    let seen = now.view.peer(subject);
                    *viewer != subject
                        && seen.known
                        && !seen.role_unsure
                        && seen.replica_of != itself.replica_of
                })
                .map(|(viewer, _)| viewer)
                .collect();
            let Some(seen) = disagree
                .first()
                .and_then(|viewer| self.picture.node(*viewer))
            else {
                continue;
            };
            let words = format!(
                "{} holds itself for {}, but {} for {}",
                self.picture.name(subject),
                self.role(itself.replica_of),
                list_of_holders(self.picture, &disagree),
                self.role(seen.view.peer(subject).replica_of),
            );
            self.flag(&[&[subject], &disagree[..]].concat(), words, findings);
        }
    }

    fn role(&self, replica_of: Option<NodeNumber>) -> String {
        match replica_of {
            None => "a master".into(),
            Some(master) => format!("a replica of {}", self.picture.name(master)),
        }
    }

    fn judge_chains(&self, findings: &mut Findings) {
        for (node, now) in self.picture.running() {
            let Some(master) = now.replica_of else {
                continue;
            };
            let Some(above) = self
                .picture
                .node(master)
                .and_then(|master| master.replica_of)
            else {
                continue;
            };
            let words = format!(
                "{} replicates {}, which itself replicates {}",
                self.picture.name(node),
                self.picture.name(master),
                self.picture.name(above),
            );
            self.flag(&[node, master, above], words, findings);
        }
    }

    /// Every view must show the same owners. Slots that a view shows without one are S's.
    fn judge_slots(&self, findings: &mut Findings) {
        let views = || {
            self.picture
                .running()
                .map(|(node, now)| (node, &now.view.slots))
        };
        let Some((_, reference)) = views().next() else {
            return;
        };
        if views().all(|(_, slots)| slots == reference) {
            return;
        }
        let mut cuts: Vec<u16> = views()
            .flat_map(|(_, slots)| slots.ranges())
            .flat_map(|range| [range.slots.first, range.slots.last.saturating_add(1)])
            .filter(|slot| *slot <= ALL_SLOTS.last)
            .collect();
        cuts.sort_unstable();
        cuts.dedup();
        let mut disputes: IndexMap<Opinions, Vec<SlotRange>, FxBuildHasher> = IndexMap::default();
        for (place, first) in cuts.iter().enumerate() {
            let last = cuts.get(place + 1).map_or(ALL_SLOTS.last, |next| next - 1);
            let mut opinions: Opinions = BTreeMap::new();
            for (viewer, slots) in views() {
                if let Some(owner) = slots.owner(*first) {
                    opinions.entry(owner).or_default().push(viewer);
                }
            }
            if opinions.len() > 1 {
                let slots = disputes.entry(opinions).or_default();
                add_range(
                    slots,
                    SlotRange {
                        first: *first,
                        last,
                    },
                );
            }
        }
        for (opinions, slots) in disputes {
            let sides: Vec<String> = opinions
                .iter()
                .map(|(owner, viewers)| {
                    format!(
                        "{} for {}",
                        self.picture.names(viewers),
                        self.picture.name(*owner)
                    )
                })
                .collect();
            let words = format!(
                "views differ on who owns {}: {}",
                slots_in_words(&slots),
                sides.join("; ")
            );
            let owners: Vec<NodeNumber> = opinions.keys().copied().collect();
            self.flag(&owners, words, findings);
        }
    }

    /// A master that lost all its slots follows the one that took them
    /// (`clusterUpdateSlotsConfigWith`).
    fn judge_idle_masters(&self, findings: &mut Findings) {
        let by_hand = &self.picture.operators;
        let migrates = self.picture.config("cluster-allow-replica-migration") != Some("no");
        if by_hand.slots_us.is_some() || by_hand.members_us.is_some() || !migrates {
            return;
        }
        for (node, now) in self.picture.running() {
            let had_slots = self
                .picture
                .header()
                .nodes
                .get(usize::from(node))
                .is_some_and(|info| !info.slots.is_empty());
            if had_slots && now.replica_of.is_none() && !now.view.slots.owns_any(node) {
                let words = format!(
                    "{} lost its slots and is still a master",
                    self.picture.name(node)
                );
                self.flag(&[node], words, findings);
            }
        }
    }
}

fn list_of_holders(picture: &Picture<'_>, nodes: &[NodeNumber]) -> String {
    let verb = if nodes.len() == 1 {
        "holds it"
    } else {
        "hold it"
    };
    format!("{} {verb}", picture.names(nodes))
}

#[cfg(test)]
mod tests {
    use redrill_node::{Fact, RoleChange, SlotChange, StateReason};

    use super::super::Verdict;
    use super::super::testing::{Log, NAMES, THIRDS, assert_breaks, assert_valid, id};
    use super::*;
    use crate::scenario::CrashKind;
    use crate::trace::StateLoad;

    #[test]
    fn views_that_agree_are_fine() {
        assert_valid(&Log::formed().converge_and_check());
    }

    #[test]
    fn a_view_with_another_owner_is_flagged() {
        let mut log = Log::formed();
        log.owned("r3", Some(id("m2")), 9, THIRDS[0], SlotChange::SetSlot);
        assert_breaks(
            &log.converge_and_check(),
            Code::C,
            "views differ on who owns slots 0-5460: m1, m2, m3, r1 and r2 for m1; r3 for m2",
        );
    }

    #[test]
    fn a_view_with_another_role_is_flagged() {
        let mut log = Log::formed();
        let node = id("r3");
        for viewer in ["m1", "m2"] {
            log.fact(
                viewer,
                Fact::PeerRole {
                    node,
                    replica_of: Some(id("m1")),
                },
            );
        }
        assert_breaks(
            &log.converge_and_check(),
            Code::C,
            "r3 holds itself for a replica of m3, but m1 and m2 hold it for a replica of m1",
        );
    }

    #[test]
    fn a_replica_of_a_replica_is_flagged() {
        let mut log = Log::formed();
        let (node, replica_of) = (id("r3"), Some(id("r1")));
        log.fact(
            "r3",
            Fact::Role {
                replica_of,
                why: RoleChange::ReplicaMigration,
            },
        );
        for viewer in NAMES.into_iter().filter(|viewer| *viewer != "r3") {
            log.fact(viewer, Fact::PeerRole { node, replica_of });
        }
        assert_breaks(
            &log.converge_and_check(),
            Code::C,
            "r3 replicates r1, which itself",
        );
    }

    #[test]
    fn a_node_that_does_not_know_another_is_flagged() {
        let mut log = Log::formed();
        log.fact("r2", Fact::NodeRemoved { node: id("r3") });
        assert_breaks(&log.converge_and_check(), Code::C, "r2 does not know r3");
    }

    #[test]
    fn an_old_master_that_follows_nobody_is_flagged() {
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
        log.later(10).fact(
            "m1",
            Fact::PeerRole {
                node: id("r1"),
                replica_of: None,
            },
        );
        log.owned("m1", Some(id("r1")), 4, THIRDS[0], SlotChange::Claimed);
        log.later(2500).state("m1", true, StateReason::AllGood);
        assert_breaks(
            &log.converge_and_check(),
            Code::C,
            "m1 lost its slots and is still a master",
        );
    }

    #[test]
    fn a_node_that_is_down_leaves_the_question_open() {
        let mut log = Log::formed();
        log.crash("r2", CrashKind::Kill);
        let findings = log.converge_and_check();
        assert_eq!(
            findings.verdict(),
            Verdict::Unknown,
            "{:#?}",
            findings.violations
        );
        assert!(findings.unknowns[0].words.contains("r2 did not run"));
    }
}
