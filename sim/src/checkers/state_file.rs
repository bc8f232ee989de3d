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
