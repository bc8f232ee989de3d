//! Failovers as they lie in time: what was measured, at the instants of the log.

use redrill_node::Fact;
use redrill_sim::trace::{Event, NodeNumber, Trace};

use super::{Names, Span};
use crate::measures::{self, FailoverHow, Measures};

/// A promotion and what led to it.
#[derive(Clone, PartialEq, Debug)]
pub struct Failover {
    /// The replica that was promoted.
    pub winner: NodeNumber,
    /// The master it replaced; `None` if it was never in the drill.
    pub master: Option<NodeNumber>,
    /// The fault or the operator's request that caused it; without either the first suspicion.
    pub from_us: u64,
    /// When it was promoted.
    pub won_us: u64,
    /// What was measured of it.
    pub measured: measures::Failover,
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
    /// From the promotion until the last of those that were not hit says ok again.
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
        let measured = &self.measured;
        let caused_ms = measured.fault_at_ms.map(|_| 0.0);
        let asked = measured.how != FailoverHow::Automatic;
        let won_ms = Some(measured.won_ms);
        let instants = if asked {
            vec![
                (Part::Election, caused_ms, won_ms),
                (Part::Promotion, won_ms, measured.state_ok_ms),
            ]
        } else {
            vec![
                (Part::Detection, caused_ms, measured.first_pfail_ms),
                (Part::Agreement, measured.first_pfail_ms, measured.fail_ms),
                (Part::Election, measured.fail_ms, won_ms),
                (Part::Promotion, won_ms, measured.state_ok_ms),
            ]
        };
        instants
            .into_iter()
            .filter_map(|(part, from_ms, to_ms)| {
                let span = Span {
                    from_us: self.at_us(from_ms?),
                    to_us: self.at_us(to_ms?),
                };
                (span.from_us <= span.to_us).then_some((part, span))
            })
            .collect()
    }

    /// From its cause to its last instant.
    #[must_use]
    pub fn span(&self) -> Span {
        let ends = self.parts().into_iter().map(|(_, span)| span.to_us);
        Span {
            from_us: self.from_us,
            to_us: ends.max().unwrap_or(self.won_us).max(self.won_us),
        }
    }

    /// From its cause to the promotion.
    #[must_use]
    pub const fn length_us(&self) -> u64 {
        self.won_us.saturating_sub(self.from_us)
    }

    fn at_us(&self, ms: f64) -> u64 {
        self.from_us
            .saturating_add_signed((ms * 1000.0).round() as i64)
    }
}

/// The failovers of a run, in order of promotion.
pub(super) fn failovers(trace: &Trace, names: &Names<'_>, measures: &Measures) -> Vec<Failover> {
    let wins = trace.records.iter().filter_map(|record| {
        let Event::Node {
            node,
            fact: Fact::ElectionWon { master, .. },
        } = &record.event
        else {
            return None;
        };
        Some((record.at_us, *node, *master))
    });
    wins.zip(&measures.failovers)
        .filter(|((_, winner, _), _)| names.has(*winner))
        .map(|((won_us, winner, master), measured)| {
            let length_us = (measured.won_ms * 1000.0).round() as i64;
            Failover {
                winner,
                master: names.number(master),
                from_us: won_us.saturating_add_signed(-length_us),
                won_us,
                measured: measured.clone(),
            }
        })
        .collect()
}
