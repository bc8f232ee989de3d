//! P: the state file is never lost or torn.
//!
//! Upstream: `clusterSaveConfig` writes a new file, syncs it if asked to, and renames it. After a
//! kill the file is what was last written; after a power loss, what was last synced, or newer.

use super::{Checker, Code, Findings, Picture};
use crate::scenario::CrashKind;
use crate::trace::{Event, NodeNumber, ProcessChange, Record, StateLoad};

/// Watches state files.
pub(super) struct StateFile {
    nodes: Vec<File>,
}

#[derive(Clone, Copy, Default)]
struct File {
    written: Option<Content>,
    synced: Option<Content>,
    /// What must be there at the next start.
    expected: Option<Content>,
}

#[derive(Clone, Copy)]
struct Content {
    current_epoch: u64,
    last_vote_epoch: u64,
    place: usize,
}

impl StateFile {
    pub(super) fn new(nodes: usize) -> Self {
        Self {
            nodes: vec![File::default(); nodes],
        }
    }
}

impl Checker for StateFile {
    fn code(&self) -> Code {
        Code::P
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
            synced,
            current_epoch,
            last_vote_epoch,
        } = &record.event
        {
            let Some(file) = self.nodes.get_mut(usize::from(*node)) else {
                return;
            };
            let (current_epoch, last_vote_epoch) = (*current_epoch, *last_vote_epoch);
            let content = Content {
                current_epoch,
                last_vote_epoch,
                place,
            };
            file.written = Some(content);
            if *synced {
                file.synced = Some(content);
            }
        } else if let Event::Process {
            node,
            change: ProcessChange::Crashed(kind),
        } = &record.event
        {
            let Some(file) = self.nodes.get_mut(usize::from(*node)) else {
                return;
            };
            file.expected = match kind {
                CrashKind::PowerOff => file.synced,
                CrashKind::Kill | CrashKind::Shutdown => file.written,
            };
        } else if let Event::StateLoaded { node, outcome } = &record.event {
            self.judge(picture, *node, *outcome, place, record.at_us, findings);
        }
    }

    fn finish(self, _: &Picture<'_>, _: &mut Findings) {}
}

impl StateFile {
    fn judge(
        &mut self,
        picture: &Picture<'_>,
        node: NodeNumber,
        outcome: StateLoad,
        place: usize,
        at_us: u64,
        findings: &mut Findings,
    ) {
        let Some(file) = self.nodes.get_mut(usize::from(node)) else {
            return;
        };
        let name = picture.name(node);
        let fault = match (outcome, file.expected) {
            (StateLoad::Torn, _) => Some(format!("the state file of {name} is torn")),
            (StateLoad::Absent, Some(_)) => Some(format!("the state file of {name} is gone")),
            (
                StateLoad::Whole {
                    current_epoch,
                    last_vote_epoch,
                },
                Some(expected),
            ) if current_epoch < expected.current_epoch
                || last_vote_epoch < expected.last_vote_epoch =>
            {
                Some(format!(
                    "the state file of {name} is older than what was saved: currentEpoch {current_epoch} after {}, lastVoteEpoch {last_vote_epoch} after {}",
                    expected.current_epoch, expected.last_vote_epoch
                ))
            }
            (StateLoad::Absent, None) | (StateLoad::Whole { .. }, _) => None,
        };
        if let Some(words) = fault {
            let mut evidence: Vec<usize> = Vec::new();
            evidence.extend(file.expected.map(|content| content.place));
            evidence.push(place);
            findings.violation(Code::P, at_us, &[node], &evidence, words);
        }
        // What was read is what the disk holds from here on.
        let content = match outcome {
            StateLoad::Whole {
                current_epoch,
                last_vote_epoch,
            } => Some(Content {
                current_epoch,
                last_vote_epoch,
                place,
            }),
            StateLoad::Absent | StateLoad::Torn => None,
        };
        *file = File {
            written: content,
            synced: content,
            expected: content,
        };
    }
}

#[cfg(test)]
mod tests {
    use super::super::testing::{Log, assert_breaks, assert_valid};
    use super::*;

    /// `m3` saved epoch 5 with a sync, then epoch 6 without, and ended.
    fn ended(kind: CrashKind) -> Log {
        let mut log = Log::formed();
        for (synced, current_epoch) in [(true, 5), (false, 6)] {
            let last_vote_epoch = 0;
            log.event(Event::StateSaved {
                node: 2,
                synced,
                current_epoch,
                last_vote_epoch,
            });
        }
        log.later(10).crash("m3", kind);
        log.later(100);
        log
    }

    fn comes_back(mut log: Log, outcome: StateLoad) -> Findings {
        log.start("m3", outcome);
        log.later(2500)
            .state("m3", true, redrill_node::StateReason::AllGood);
        log.converge_and_check()
    }

    fn whole(current_epoch: u64) -> StateLoad {
        StateLoad::Whole {
            current_epoch,
            last_vote_epoch: 0,
        }
    }

    #[test]
    fn a_killed_node_finds_what_it_wrote() {
        assert_valid(&comes_back(ended(CrashKind::Kill), whole(6)));
        let older = comes_back(ended(CrashKind::Kill), whole(5));
        assert_breaks(&older, Code::P, "currentEpoch 5 after 6");
    }

    #[test]
    fn after_a_power_loss_what_was_synced_is_enough() {
        assert_valid(&comes_back(ended(CrashKind::PowerOff), whole(5)));
        assert_valid(&comes_back(ended(CrashKind::PowerOff), whole(6)));
        let older = comes_back(ended(CrashKind::PowerOff), whole(4));
        assert_breaks(&older, Code::P, "currentEpoch 4 after 5");
    }

    #[test]
    fn a_torn_or_missing_file_is_flagged() {
        for (outcome, words) in [(StateLoad::Torn, "is torn"), (StateLoad::Absent, "is gone")] {
            let findings = comes_back(ended(CrashKind::PowerOff), outcome);
            assert!(
                findings.broken().contains(&Code::P),
                "{:#?}",
                findings.violations
            );
            assert!(findings.violations[0].words.contains(words));
        }
    }

    #[test]
    fn a_second_loss_is_held_against_what_the_first_left() {
        let mut log = ended(CrashKind::PowerOff);
        log.start("m3", whole(5))
            .later(100)
            .crash("m3", CrashKind::PowerOff);
        log.later(100);
        assert_valid(&comes_back(log, whole(5)));
    }
}
