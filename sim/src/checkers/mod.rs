//! Invariants, one a file, and the loss ledger: pure functions of the event log.
//!
//! [`check`] walks the log once. Each rule is a [`Checker`] that sees every record together with
//! a [`Picture`] of what the log said before it. What Redis Cluster allows is never flagged:
//! two masters for a slot under different epochs for a while, a bounded overlap of two writers, a
//! stalled master that answers queued clients before its first cron. Such things are measured
//! ([`Exposure`]) or attributed ([`Ledger`]) instead.

mod acknowledgements;
mod convergence;
mod data;
mod elections;
mod epochs;
mod exposure;
mod failure_marks;
mod history;
mod ledger;
mod liveness;
mod one_vote;
mod operators;
pub mod picture;
#[cfg(test)]
mod planted;
pub mod reach;
mod slot_epochs;
pub mod slot_map;
mod slots;
mod state_file;
#[cfg(test)]
mod testing;

use std::fmt;

use serde::{Deserialize, Serialize};

pub use exposure::{DualMaster, Exposure, UnservedSlots};
pub use ledger::{Ledger, LossCause, LostWrite};
pub use picture::Picture;

use crate::trace::{Event, NodeNumber, Phase, Record, Trace};

/// An invariant.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Serialize, Deserialize)]
pub enum Code {
    /// One vote per voter and epoch, across restarts.
    V1,
    /// A win rests on a quorum of distinct votes in its epoch; an epoch is won once.
    V2,
    /// Nobody is elected with a slot epoch older than the one a voter knows.
    V3,
    /// Epochs never go back on a node; no two masters use one config epoch after convergence.
    V4,
    /// FAIL rests on a quorum of fresh reports from masters.
    F,
    /// No acknowledgement while the cluster state is fail, in a minority past the bound, or inside
    /// a restart or rejoin delay.
    W,
    /// After convergence every slot has one owner; ownership moves only to a higher epoch.
    S,
    /// After convergence all views agree; one master a shard, no chain, one membership.
    C,
    /// With a quorum and an eligible replica, failover and recovery end within their bounds.
    L,
    /// A lost acknowledged write has a cause Redis Cluster allows; a replica is a prefix of its
    /// master and loses nothing by being promoted.
    D,
    /// The state file is never lost or torn.
    P,
}

impl Code {
    /// Every invariant.
    pub const ALL: &'static [Self] = &[
        Self::V1,
        Self::V2,
        Self::V3,
        Self::V4,
        Self::F,
        Self::W,
        Self::S,
        Self::C,
        Self::L,
        Self::D,
        Self::P,
    ];

    /// Its name.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::V1 => "V1",
            Self::V2 => "V2",
            Self::V3 => "V3",
            Self::V4 => "V4",
            Self::F => "F",
            Self::W => "W",
            Self::S => "S",
            Self::C => "C",
            Self::L => "L",
            Self::D => "D",
            Self::P => "P",
        }
    }

    /// The rule in one sentence.
    #[must_use]
    pub const fn rule(self) -> &'static str {
        match self {
            Self::V1 => "a voter votes once in an epoch, across restarts",
            Self::V2 => {
                "a win rests on a quorum of distinct votes in its epoch, and an epoch is won once"
            }
            Self::V3 => "nobody is elected with a slot epoch older than the one a voter knows",
            Self::V4 => {
                "epochs never go back on a node, and no two masters use one config epoch after convergence"
            }
            Self::F => {
                "FAIL rests on a quorum of fresh reports from masters that suspect the node themselves"
            }
            Self::W => {
                "no acknowledgement while the cluster state is fail, in a minority past the bound, or inside a restart or rejoin delay"
            }
            Self::S => {
                "after convergence every slot has one owner, and ownership moves only to a higher epoch"
            }
            Self::C => {
                "after convergence all views agree: one master a shard, no replica of a replica, one membership"
            }
            Self::L => {
                "with a quorum and an eligible replica, detection, election and recovery end within their bounds"
            }
            Self::D => {
                "a lost acknowledged write has a cause that Redis Cluster allows, and a replica is a prefix of its master"
            }
            Self::P => "the state file is never lost or torn",
        }
    }
}

impl fmt::Display for Code {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(self.name())
    }
}

/// A rule of the protocol, as a fold over the event log.
pub trait Checker {
    /// The invariant it watches.
    fn code(&self) -> Code;

    /// Sees the next record. `picture` is what the log said before it.
    fn observe(
        &mut self,
        picture: &Picture<'_>,
        place: usize,
        record: &Record,
        findings: &mut Findings,
    );

    /// Sees the end of the log.
    fn finish(self, picture: &Picture<'_>, findings: &mut Findings);
}

/// A broken rule.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub struct Violation {
    /// Which.
    pub code: Code,
    /// When, microseconds since the run began.
    pub at_us: u64,
    /// By which nodes.
    pub nodes: Vec<NodeNumber>,
    /// What happened, in a sentence.
    pub words: String,
    /// Places of the records that prove it, in order.
    pub evidence: Vec<usize>,
}

/// Something that could not be judged. It makes a run inconclusive.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub struct Unknown {
    /// The invariant that it leaves open; `None`: the whole run.
    pub code: Option<Code>,
    /// When, microseconds since the run began.
    pub at_us: u64,
    /// What and why, in a sentence.
    pub words: String,
    /// Places of the records it rests on.
    pub evidence: Vec<usize>,
}

/// What a run is worth. The worst wins.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Verdict {
    /// Every rule held.
    Valid,
    /// Something could not be judged.
    Unknown,
    /// A rule was broken.
    Invalid,
}

/// What a log shows.
#[derive(Clone, PartialEq, Debug, Default, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub struct Findings {
    /// Broken rules, by time.
    pub violations: Vec<Violation>,
    /// What could not be judged, by time.
    pub unknowns: Vec<Unknown>,
    /// Acknowledged writes that were lost, with causes.
    pub ledger: Ledger,
    /// Slots with two masters or none.
    pub exposure: Exposure,
}

impl Findings {
    /// The worst of all.
    #[must_use]
    pub const fn verdict(&self) -> Verdict {
        if !self.violations.is_empty() {
            Verdict::Invalid
        } else if !self.unknowns.is_empty() {
            Verdict::Unknown
        } else {
            Verdict::Valid
        }
    }

    /// The invariants that were broken, each once, in the order of the table.
    #[must_use]
    pub fn broken(&self) -> Vec<Code> {
        let mut codes: Vec<Code> = self
            .violations
            .iter()
            .map(|violation| violation.code)
            .collect();
        codes.sort_unstable();
        codes.dedup();
        codes
    }

    pub(crate) fn violation(
        &mut self,
        code: Code,
        at_us: u64,
        nodes: &[NodeNumber],
        evidence: &[usize],
        words: String,
    ) {
        let (nodes, evidence) = (nodes.to_vec(), evidence.to_vec());
        self.violations.push(Violation {
            code,
            at_us,
            nodes,
            words,
            evidence,
        });
    }

    pub(crate) fn unknown(
        &mut self,
        code: Option<Code>,
        at_us: u64,
        evidence: &[usize],
        words: String,
    ) {
        self.unknowns.push(Unknown {
            code,
            at_us,
            words,
            evidence: evidence.to_vec(),
        });
    }
}

/// Judges a log by every invariant.
#[must_use]
pub fn check(trace: &Trace) -> Findings {
    let mut findings = Findings::default();
    let mut picture = Picture::new(&trace.header);
    let mut rules = Rules::new(trace);
    let mut exposure = exposure::Watch::new(&trace.header);
    for (place, record) in trace.records.iter().enumerate() {
        // Nearly all records are of these, and few rules look at them.
        if record.event.data().is_some() {
            rules.observe_data(&picture, place, record, &mut findings);
        } else {
            rules.observe(&picture, place, record, &mut findings);
            script(&picture, place, record, &mut findings);
        }
        picture.apply(record);
        exposure.observe(&picture, record);
    }
    rules.finish(&picture, &mut findings);
    findings.exposure = exposure.finish(picture.now_us());
    if picture.phase() != Some(Phase::Done) {
        let words = match picture.phase() {
            Some(phase) => format!("the log ends in phase {}", phase_name(phase)),
            None => "the log is empty".into(),
        };
        findings.unknown(None, picture.now_us(), &[], words);
    }
    findings.violations.sort_by_key(|violation| violation.at_us);
    findings.unknowns.sort_by_key(|unknown| unknown.at_us);
    findings
}

/// A step of the script that did nothing leaves its question open.
fn script(picture: &Picture<'_>, place: usize, record: &Record, findings: &mut Findings) {
    match &record.event {
        Event::FaultBegan { step, touched, .. } if touched.is_nothing() => {
            let words = format!("step {} touched nothing: {}", step + 1, touched.words);
            findings.unknown(None, record.at_us, &[place], words);
        }
        Event::FaultMissed { step, why } => {
            let words = format!("step {} did not happen: {why}", step + 1);
            findings.unknown(None, record.at_us, &[place], words);
        }
        Event::Operator {
            node,
            command,
            reply,
            failed: true,
        } => {
            let words = format!(
                "`{command}` on {} was refused: {reply}",
                picture.name(*node)
            );
            findings.unknown(None, record.at_us, &[place], words);
        }
        Event::FaultBegan { .. }
        | Event::Operator { .. }
        | Event::Phase { .. }
        | Event::Node { .. }
        | Event::Process { .. }
        | Event::StateSaved { .. }
        | Event::StateLoaded { .. }
        | Event::FaultEnded { .. }
        | Event::WeatherBegan { .. }
        | Event::WeatherEnded { .. }
        | Event::Operation(_)
        | Event::Audited { .. }
        | Event::BusTraffic { .. }
        | Event::Remark { .. } => {}
    }
}

/// A phase's name in words.
#[must_use]
pub const fn phase_name(phase: Phase) -> &'static str {
    match phase {
        Phase::Form => "form",
        Phase::Disturb => "disturb",
        Phase::Heal => "heal",
        Phase::Converge => "converge",
        Phase::Audit => "audit",
        Phase::Done => "done",
    }
}

/// Every rule. A struct and not a list of boxes: they see every record.
struct Rules {
    one_vote: one_vote::OneVote,
    elections: elections::Elections,
    slot_epochs: slot_epochs::SlotEpochs,
    epochs: epochs::Epochs,
    failure_marks: failure_marks::FailureMarks,
    acknowledgements: acknowledgements::Acknowledgements,
    slots: slots::Slots,
    convergence: convergence::Convergence,
    liveness: liveness::Liveness,
    data: data::Data,
    state_file: state_file::StateFile,
}

impl Rules {
    fn new(trace: &Trace) -> Self {
        let nodes = trace.header.nodes.len();
        Self {
            one_vote: one_vote::OneVote::default(),
            elections: elections::Elections::default(),
            slot_epochs: slot_epochs::SlotEpochs::default(),
            epochs: epochs::Epochs::new(nodes),
            failure_marks: failure_marks::FailureMarks::default(),
            acknowledgements: acknowledgements::Acknowledgements::new(nodes),
            slots: slots::Slots::new(&trace.header),
            convergence: convergence::Convergence,
            liveness: liveness::Liveness::default(),
            data: data::Data::new(trace),
            state_file: state_file::StateFile::new(nodes),
        }
    }

    /// Shows what clients wrote and read to the rules on data and on acknowledgements, and to
    /// liveness, which watches the time.
    fn observe_data(
        &mut self,
        picture: &Picture<'_>,
        place: usize,
        record: &Record,
        findings: &mut Findings,
    ) {
        self.acknowledgements
            .observe(picture, place, record, findings);
        self.liveness.observe(picture, place, record, findings);
        self.data.observe(picture, place, record, findings);
    }

    fn observe(
        &mut self,
        picture: &Picture<'_>,
        place: usize,
        record: &Record,
        findings: &mut Findings,
    ) {
        self.one_vote.observe(picture, place, record, findings);
        self.elections.observe(picture, place, record, findings);
        self.slot_epochs.observe(picture, place, record, findings);
        self.epochs.observe(picture, place, record, findings);
        self.failure_marks.observe(picture, place, record, findings);
        self.acknowledgements
            .observe(picture, place, record, findings);
        self.slots.observe(picture, place, record, findings);
        self.convergence.observe(picture, place, record, findings);
        self.liveness.observe(picture, place, record, findings);
        self.data.observe(picture, place, record, findings);
        self.state_file.observe(picture, place, record, findings);
    }

    fn finish(self, picture: &Picture<'_>, findings: &mut Findings) {
        self.one_vote.finish(picture, findings);
        self.elections.finish(picture, findings);
        self.slot_epochs.finish(picture, findings);
        self.epochs.finish(picture, findings);
        self.failure_marks.finish(picture, findings);
        self.acknowledgements.finish(picture, findings);
        self.slots.finish(picture, findings);
        self.convergence.finish(picture, findings);
        self.liveness.finish(picture, findings);
        self.data.finish(picture, findings);
        self.state_file.finish(picture, findings);
    }
}

#[cfg(test)]
mod tests {
    use super::testing::{Log, assert_valid};
    use super::*;
    use crate::trace::FaultKind;

    #[test]
    fn a_healthy_run_is_valid() {
        assert_valid(&Log::formed().converge_and_check());
    }

    #[test]
    fn the_worst_verdict_wins() {
        assert!(Verdict::Valid < Verdict::Unknown);
        assert!(Verdict::Unknown < Verdict::Invalid);
    }

    #[test]
    fn a_fault_that_touched_nothing_leaves_the_question_open() {
        let mut log = Log::formed();
        log.fault(
            FaultKind::Restart,
            &[],
            Vec::new(),
            "restart of nobody".into(),
        );
        let findings = log.converge_and_check();
        assert_eq!(findings.verdict(), Verdict::Unknown);
        assert_eq!(
            findings.unknowns[0].words,
            "step 1 touched nothing: restart of nobody"
        );
    }

    #[test]
    fn a_step_that_did_not_happen_leaves_the_question_open() {
        let mut log = Log::formed();
        let why = "nobody said \"second vote granted\"".into();
        log.event(Event::FaultMissed { step: 2, why });
        let findings = log.converge_and_check();
        assert_eq!(findings.verdict(), Verdict::Unknown);
        assert!(
            findings.unknowns[0]
                .words
                .starts_with("step 3 did not happen")
        );
    }

    #[test]
    fn a_refused_operators_command_leaves_the_question_open() {
        let mut log = Log::formed();
        let (command, reply) = (
            "CLUSTER FAILOVER".into(),
            "ERR You should send CLUSTER FAILOVER to a replica".into(),
        );
        log.event(Event::Operator {
            node: 0,
            command,
            reply,
            failed: true,
        });
        assert_eq!(log.converge_and_check().verdict(), Verdict::Unknown);
    }

    #[test]
    fn a_log_that_stops_in_the_middle_is_not_valid() {
        let log = Log::formed();
        let findings = check(&log.trace);
        assert_eq!(findings.verdict(), Verdict::Unknown);
        assert_eq!(findings.unknowns[0].words, "the log ends in phase disturb");
    }

    #[test]
    fn records_about_nodes_that_the_header_does_not_name_do_no_harm() {
        let mut log = Log::formed();
        for node in [6, 600, NodeNumber::MAX] {
            for fact in [
                redrill_node::Fact::ManualFailoverReady,
                redrill_node::Fact::MasterLinkLost,
            ] {
                log.event(Event::Node { node, fact });
            }
            let change = crate::trace::ProcessChange::Resumed;
            log.event(Event::Process { node, change });
            log.event(Event::FaultBegan {
                step: 0,
                fault: FaultKind::Block,
                touched: Box::new(crate::trace::Touched {
                    nodes: [node].into(),
                    clients: [].into(),
                    words: "cut".into(),
                    cut: [(node, 0), (0, node)].into(),
                }),
            });
            log.event(Event::FaultEnded { step: 0 });
        }
        assert_valid(&log.converge_and_check());
    }
}
