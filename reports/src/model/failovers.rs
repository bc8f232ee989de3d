//! Failovers and how long each phase of them took.

use redrill_node::{Fact, FailoverKind};
use redrill_sim::trace::{Event, NodeNumber, Trace};

use super::lanes::{Lane, Trouble};
use super::{Names, Span};

/// A promotion and what led to it.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Failover {
    /// The replica that was promoted.
    pub winner: NodeNumber,
    /// The master it replaced; `None` if it was never in the drill.
    pub master: Option<NodeNumber>,
    /// The epoch it won.
    pub epoch: u64,
    /// How it came about.
    pub how: FailoverKind,
    /// When an operator's request for it was accepted.
    pub requested_us: Option<u64>,
    /// When the trouble of the master began that it answers; `None`: it had none.
    pub fault_us: Option<u64>,
    /// When a node first suspected the master.
    pub pfail_us: Option<u64>,
    /// When a node first marked the master FAIL.
    pub fail_us: Option<u64>,
    /// When the winner's election was scheduled.
    pub scheduled_us: Option<u64>,
    /// When the winner asked for votes.
    pub election_us: Option<u64>,
    /// When it was promoted.
    pub won_us: u64,
    /// When the last of the nodes that were in `cluster_state:fail` at the promotion, and neither
    /// crashed, stalled nor cut off, said ok again.
    pub state_ok_us: Option<u64>,
}

/// A part of a failover.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub enum Part {
    /// From the fault to the first suspicion.
    Detection,
    /// From the first suspicion to FAIL.
    Agreement,
    /// From FAIL, or the operator's request, to the promotion: the delay and the vote.
    Election,
    /// From the promotion until every node takes it for granted.
    Promotion,
}

impl Part {
    /// Its name.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Detection => "detection",
            Self::Agreement => "agreement",
            Self::Election => "election",
            Self::Promotion => "promotion",
        }
    }
}

impl Failover {
    /// Its parts, as far as they happened.
    #[must_use]
    pub fn parts(&self) -> Vec<(Part, Span)> {
        let instants = [
            (Part::Detection, self.fault_us, self.pfail_us),
            (Part::Agreement, self.pfail_us, self.fail_us),
            (
                Part::Election,
                self.requested_us.or(self.fail_us),
                Some(self.won_us),
            ),
            (Part::Promotion, Some(self.won_us), self.state_ok_us),
        ];
        instants
            .into_iter()
            .filter_map(|(part, from, to)| {
                let (from_us, to_us) = (from?, to?);
                // A request that nobody has to be told of ends with the promotion itself.
                let nothing = part == Part::Promotion && from_us == to_us;
                (from_us <= to_us && !nothing).then_some((part, Span { from_us, to_us }))
            })
            .collect()
    }

    /// From its first instant to its last.
    #[must_use]
    pub fn span(&self) -> Span {
        let first = [
            self.requested_us,
            self.fault_us,
            self.pfail_us,
            self.fail_us,
            self.election_us,
        ];
        Span {
            from_us: first.into_iter().flatten().min().unwrap_or(self.won_us),
            to_us: self.state_ok_us.unwrap_or(self.won_us),
        }
    }
}

/// The failovers of a run, in order of promotion.
pub(super) fn failovers(trace: &Trace, names: &Names<'_>, lanes: &[Lane]) -> Vec<Failover> {
    let facts: Vec<(u64, NodeNumber, &Fact)> = trace
        .records
        .iter()
        .filter_map(|record| {
            let Event::Node { node, fact } = &record.event else {
                return None;
            };
            Some((record.at_us, *node, fact))
        })
        .collect();
    let mut failovers: Vec<Failover> = Vec::new();
    for (index, &(won_us, winner, fact)) in facts.iter().enumerate() {
        let Fact::ElectionWon {
            epoch, master, how, ..
        } = fact
        else {
            continue;
        };
        let number = names.number(*master);
        let requested = *how != FailoverKind::Automatic;
        let fault_us = number
            .filter(|_| !requested)
            .and_then(|master| trouble_before(&lanes[usize::from(master)], won_us));
        // Without a fault to count from, only what is recent can belong to it.
        let recent_us = u64::try_from(trace.header.node_timeout_ms).unwrap_or(0) * 4000;
        let since = fault_us.unwrap_or(won_us.saturating_sub(recent_us));
        let before = facts[..index].iter().filter(|(at_us, ..)| *at_us >= since);
        let first = |test: &dyn Fn(NodeNumber, &Fact) -> bool| {
            before
                .clone()
                .find(|(_, node, fact)| test(*node, fact))
                .map(|(at_us, ..)| *at_us)
        };
        let last = |test: &dyn Fn(NodeNumber, &Fact) -> bool| {
            before
                .clone()
                .rfind(|(_, node, fact)| test(*node, fact))
                .map(|(at_us, ..)| *at_us)
        };
        let failing = |node: NodeNumber| {
            let lane = &lanes[usize::from(node)];
            lane.state_fail
                .iter()
                .filter(|_| !out_of_reach(lane, won_us))
                .find(|fail| fail.from_us < won_us && won_us <= fail.to_us)
                .map(|fail| fail.to_us)
        };
        let nodes = (0..lanes.len()).filter_map(|place| NodeNumber::try_from(place).ok());
        failovers.push(Failover {
            winner,
            master: number,
            epoch: *epoch,
            how: *how,
            requested_us: last(&|node, fact| {
                node == winner && matches!(fact, Fact::ManualFailoverAccepted { .. })
            })
            .filter(|_| requested),
            fault_us,
            pfail_us: first(
                &|_, fact| matches!(fact, Fact::PossiblyFailing { node } if node == master),
            )
            .filter(|_| !requested),
            fail_us: first(
                &|_, fact| matches!(fact, Fact::MarkedFailing { node, .. } if node == master),
            )
            .filter(|_| !requested),
            scheduled_us: last(&|node, fact| {
                node == winner && matches!(fact, Fact::ElectionScheduled { .. })
            }),
            election_us: last(&|node, fact| {
                node == winner && matches!(fact, Fact::ElectionStarted { .. })
            }),
            won_us,
            state_ok_us: nodes
                .filter(|&node| Some(node) != number)
                .filter_map(failing)
                .max()
                .or(Some(won_us)),
        });
    }
    failovers
}

/// When the last trouble of a master before an instant began.
fn trouble_before(lane: &Lane, at_us: u64) -> Option<u64> {
    lane.troubles
        .iter()
        .filter(|trouble| match trouble.trouble {
            Trouble::Stalled(_) | Trouble::Crashed(_) | Trouble::CutOff => true,
            Trouble::PartlyCutOff => false,
        })
        .map(|trouble| trouble.span.from_us)
        .rfind(|&from_us| from_us <= at_us)
}

/// Whether nobody could expect a node to hear of a promotion.
fn out_of_reach(lane: &Lane, at_us: u64) -> bool {
    matches!(
        lane.trouble_at(at_us),
        Some(Trouble::Stalled(_) | Trouble::Crashed(_) | Trouble::CutOff)
    )
}
