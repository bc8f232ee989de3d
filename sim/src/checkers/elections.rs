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
