//! F: FAIL rests on a quorum of fresh reports from masters that suspect the node themselves.
//!
//! Upstream: `markNodeAsFailingIfNeeded`, `clusterNodeFailureReportsCount`. Redis 7.0 counts the
//! reports of every node that is a master when it reports, with or without slots, and keeps the
//! report of one that is demoted later; reports live for two node-timeouts. FAIL messages come only
//! from nodes that reached the quorum themselves. Renewed reports are not in the log: how old a
//! report is stands in the mark.

use std::collections::BTreeMap;

use redrill_node::{Fact, FailureReport};

use super::{Checker, Code, Findings, Picture};
use crate::trace::{Event, NodeNumber, Record};

/// Watches failure reports and marks.
#[derive(Default)]
pub(super) struct FailureMarks {
    /// By listener and suspect: the last report of each reporter.
    reports: BTreeMap<(NodeNumber, NodeNumber), Vec<Heard>>,
    /// Who marked whom.
    marked: BTreeMap<(NodeNumber, NodeNumber), usize>,
}

struct Heard {
    by: NodeNumber,
    place: usize,
    by_a_master: bool,
}

impl Checker for FailureMarks {
    fn code(&self) -> Code {
        Code::F
    }

    fn observe(
        &mut self,
        picture: &Picture<'_>,
        place: usize,
        record: &Record,
        findings: &mut Findings,
    ) {
        let Event::Node {
            node: listener,
            fact,
        } = &record.event
        else {
            return;
        };
        if let Fact::FailureReported { node: suspect, by } = fact {
            let (Some(suspect), Some(by)) = (picture.number(*suspect), picture.number(*by)) else {
                return;
            };
            let by_a_master = is_master(picture, *listener, by);
            let heard = self.reports.entry((*listener, suspect)).or_default();
            let report = Heard {
                by,
                place,
                by_a_master,
            };
            match heard.iter_mut().find(|report| report.by == by) {
                Some(known) => *known = report,
                None => heard.push(report),
            }
        } else if let Fact::FailureReportWithdrawn { node: suspect, by } = fact {
            let (Some(suspect), Some(by)) = (picture.number(*suspect), picture.number(*by)) else {
                return;
            };
            if let Some(heard) = self.reports.get_mut(&(*listener, suspect)) {
                heard.retain(|report| report.by != by);
            }
        } else if let Fact::MarkedFailing {
            node: suspect,
            reports,
            counted_self,
            ..
        } = fact
        {
            let Some(suspect) = picture.number(*suspect) else {
                return;
            };
            self.marked.insert((*listener, suspect), place);
            let mark = Mark {
                listener: *listener,
                suspect,
                place,
                at_us: record.at_us,
            };
            self.judge(picture, &mark, reports, *counted_self, findings);
        } else if let Fact::FailReceived {
            node: suspect,
            from,
        } = fact
        {
            let (Some(suspect), Some(from)) = (picture.number(*suspect), picture.number(*from))
            else {
                return;
            };
            let live = picture.header().world == "live";
            if !live && !self.marked.contains_key(&(from, suspect)) {
                let words = format!(
                    "{} received a FAIL about {} from {}, which never marked it itself",
                    picture.name(*listener),
                    picture.name(suspect),
                    picture.name(from),
                );
                let nodes = [from, suspect];
                findings.violation(Code::F, record.at_us, &nodes, &[place], words);
            }
        }
    }

    fn finish(self, _: &Picture<'_>, _: &mut Findings) {}
}

struct Mark {
    listener: NodeNumber,
    suspect: NodeNumber,
    place: usize,
    at_us: u64,
}

impl FailureMarks {
    fn judge(
        &self,
        picture: &Picture<'_>,
        mark: &Mark,
        reports: &[FailureReport],
        counted_self: bool,
        findings: &mut Findings,
    ) {
        let Some(listener) = picture.node(mark.listener) else {
            return;
        };
        let mut reporters: Vec<NodeNumber> = Vec::new();
        let mut faults: Vec<String> = Vec::new();
        let mut evidence: Vec<usize> = Vec::new();
        for report in reports {
            let Some(by) = picture.number(report.by) else {
                faults.push(format!("{} is no known node", picture.name_of(report.by)));
                continue;
            };
            match self.fault_of(picture, mark, report, by, &mut evidence) {
                Some(fault) => faults.push(fault),
                None => reporters.push(by),
            }
        }
        reporters.sort_unstable();
        reporters.dedup();
        let itself = counted_self && listener.replica_of.is_none();
        let votes = reporters.len() + usize::from(itself);
        let quorum = listener.view.least_quorum(mark.at_us);
        let name = picture.name(mark.listener);
        let suspect = picture.name(mark.suspect);
        evidence.push(mark.place);
        if votes < usize::from(quorum) {
            let why = if faults.is_empty() {
                String::new()
            } else {
                format!(" ({})", faults.join("; "))
            };
            let words = format!(
                "{name} marked {suspect} FAIL on {votes} of the {quorum} opinions it needs{why}"
            );
            let nodes = [mark.listener, mark.suspect];
            findings.violation(Code::F, mark.at_us, &nodes, &evidence, words);
            return;
        }
        let seen = listener.view.peer(mark.suspect);
        if !seen.suspected && !seen.suspicion_unsure {
            let words = format!("{name} marked {suspect} FAIL without suspecting it itself");
            let nodes = [mark.listener, mark.suspect];
            findings.violation(Code::F, mark.at_us, &nodes, &evidence, words);
        }
    }

    /// Why a report does not count, if it does not.
    fn fault_of(
        &self,
        picture: &Picture<'_>,
        mark: &Mark,
        report: &FailureReport,
        by: NodeNumber,
        evidence: &mut Vec<usize>,
    ) -> Option<String> {
        let name = picture.name(by);
        let valid_ms = 2 * picture.header().node_timeout_ms;
        if report.age_ms > valid_ms && picture.operators.config_us.is_none() {
            return Some(format!("the report of {name} is {} ms old", report.age_ms));
        }
        if picture.header().world == "live" {
            return None;
        }
        let heard = self
            .reports
            .get(&(mark.listener, mark.suspect))
            .and_then(|heard| heard.iter().find(|heard| heard.by == by));
        let Some(heard) = heard else {
            return Some(format!("{name} never reported it"));
        };
        evidence.push(heard.place);
        if !heard.by_a_master {
            return Some(format!("{name} was no master when it reported"));
        }
        let suspects = picture
            .node(by)
            .is_none_or(|reporter| reporter.view.peer(mark.suspect).ever_suspected);
        (!suspects).then(|| format!("{name} never suspected it"))
    }
}

/// Whether `by` is a master, by its own word or in the listener's view.
fn is_master(picture: &Picture<'_>, listener: NodeNumber, by: NodeNumber) -> bool {
    let by_own_word = picture
        .node(by)
        .is_none_or(|node| node.replica_of.is_none());
    let in_view = picture
        .node(listener)
        .is_none_or(|node| node.view.peer(by).replica_of.is_none());
    by_own_word || in_view
}

#[cfg(test)]
mod tests {
    use redrill_node::StateReason;

    use super::super::testing::{Log, assert_breaks, assert_valid, id};
    use super::*;
    use crate::scenario::CrashKind;
    use crate::trace::StateLoad;

    /// `m1` and `m2` suspect `r3`.
    fn suspected() -> Log {
        let mut log = Log::formed();
        log.at(7600).suspects("m1", "r3").suspects("m2", "r3");
        log
    }

    fn ends(log: &mut Log) -> Findings {
        log.later(1).state("m1", true, StateReason::AllGood);
        log.converge_and_check()
    }

    #[test]
    fn a_quorum_of_fresh_reports_is_fine() {
        let mut log = suspected();
        log.later(300)
            .reported("m1", "r3", "m2")
            .marks("m1", "r3", &[("m2", 0)], true);
        log.later(1).fact(
            "m3",
            Fact::FailReceived {
                node: id("r3"),
                from: id("m1"),
            },
        );
        assert_valid(&ends(&mut log));
    }

    #[test]
    fn one_opinion_short_of_the_quorum_is_flagged() {
        let mut log = suspected();
        log.later(300).marks("m1", "r3", &[], true);
        assert_breaks(
            &ends(&mut log),
            Code::F,
            "m1 marked r3 FAIL on 1 of the 2 opinions",
        );
    }

    #[test]
    fn a_replicas_own_opinion_does_not_count() {
        let mut log = suspected();
        log.suspects("r1", "r3");
        log.later(300)
            .reported("r1", "r3", "m2")
            .marks("r1", "r3", &[("m2", 0)], true);
        assert_breaks(&ends(&mut log), Code::F, "1 of the 2 opinions");
    }

    #[test]
    fn a_stale_report_is_flagged() {
        let mut log = suspected();
        log.later(300).reported("m1", "r3", "m2");
        log.later(2500).marks("m1", "r3", &[("m2", 2500)], true);
        assert_breaks(&ends(&mut log), Code::F, "the report of m2 is 2500 ms old");
    }

    #[test]
    fn a_report_by_a_replica_is_flagged() {
        let mut log = suspected();
        log.suspects("r2", "r3");
        log.later(300)
            .reported("m1", "r3", "r2")
            .marks("m1", "r3", &[("r2", 0)], true);
        assert_breaks(
            &ends(&mut log),
            Code::F,
            "r2 was no master when it reported",
        );
    }

    #[test]
    fn a_reporter_that_was_demoted_later_still_counts_in_redis_7_0() {
        let mut log = suspected();
        log.later(300).reported("m1", "r3", "m2");
        let (m2, r2) = (id("m2"), id("r2"));
        log.fact(
            "m1",
            Fact::PeerRole {
                node: m2,
                replica_of: Some(r2),
            },
        );
        log.marks("m1", "r3", &[("m2", 0)], true);
        let broken = ends(&mut log).broken();
        assert!(!broken.contains(&Code::F), "{broken:?}");
    }

    #[test]
    fn a_suspicion_may_come_back_with_the_state_file_after_a_power_loss() {
        for (how, fine) in [(CrashKind::PowerOff, true), (CrashKind::Kill, false)] {
            let mut log = suspected();
            let answers = Fact::NoLongerPossiblyFailing { node: id("r3") };
            log.later(100).fact("m1", answers);
            let whole = StateLoad::Whole {
                current_epoch: 3,
                last_vote_epoch: 0,
            };
            log.later(100)
                .crash("m1", how)
                .later(100)
                .start("m1", whole);
            log.later(10)
                .reported("m1", "r3", "m2")
                .marks("m1", "r3", &[("m2", 0)], true);
            let broken = ends(&mut log).broken();
            assert_eq!(broken.contains(&Code::F), !fine, "{how:?}: {broken:?}");
        }
    }

    #[test]
    fn a_report_of_a_node_that_suspects_nothing_is_flagged() {
        let mut log = suspected();
        log.later(300)
            .reported("m1", "r3", "m3")
            .marks("m1", "r3", &[("m3", 0)], true);
        assert_breaks(&ends(&mut log), Code::F, "m3 never suspected it");
    }

    #[test]
    fn a_fail_from_a_node_that_marked_nothing_is_flagged() {
        let mut log = suspected();
        log.fact(
            "m3",
            Fact::FailReceived {
                node: id("r3"),
                from: id("m2"),
            },
        );
        assert_breaks(&ends(&mut log), Code::F, "which never marked it itself");
    }
}
