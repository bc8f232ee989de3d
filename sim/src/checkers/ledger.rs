//! The loss ledger: every acknowledged write that the audit did not find, and why.
//!
//! A write is lost if it was acknowledged and the audit found nothing under its key, or found a
//! value whose write was over before the lost one was issued. Writes that overlapped the one that
//! was found are not counted: either may have come last. A write that was found although it was
//! never acknowledged counts as over when it was last executed.
//!
//! Why it was lost is read from replication histories: the data that the audit saw stand at the
//! end of a lineage, the write stands on a branch that left it, and the event at the fork is the
//! cause.

use std::collections::BTreeMap;

use redrill_node::FailoverKind;
use serde::{Deserialize, Serialize};

use super::history::{Histories, HistoryNumber, Promotion, Restart};
use super::{Code, Findings, Picture};
use crate::trace::{ClientNumber, NodeNumber, Operation, Outcome};

/// Acknowledged writes that were lost.
#[derive(Clone, PartialEq, Debug, Default, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub struct Ledger {
    /// The lost writes, by the time they were acknowledged.
    pub lost: Vec<LostWrite>,
    /// Number of writes that were acknowledged.
    pub acknowledged: usize,
    /// Number of keys that the audit read.
    pub audited: usize,
    /// Number of written keys that the audit could not read.
    pub unread: usize,
}

/// An acknowledged write that the audit did not find.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub struct LostWrite {
    /// Whose.
    pub client: ClientNumber,
    /// Digest of the key.
    pub key: u64,
    /// Slot of the key.
    pub slot: u16,
    /// Digest of key and value.
    pub write: u64,
    /// Who acknowledged it.
    pub node: Option<NodeNumber>,
    /// When the client had the acknowledgement, microseconds since the run began.
    pub acknowledged_us: u64,
    /// When the node executed it, if it tells.
    pub executed_us: Option<u64>,
    /// Why it is lost.
    pub cause: LossCause,
    /// How that is known, in words.
    pub why: String,
    /// Places of the records that prove it: the operation first.
    pub evidence: Vec<usize>,
}

/// Why an acknowledged write was lost.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum LossCause {
    /// A1: it was not replicated when the master died.
    NotReplicated,
    /// A2: the master was cut off or superseded and had not learned of it.
    Superseded,
    /// A3: `CLUSTER FAILOVER FORCE` or `TAKEOVER`.
    Forced,
    /// A4: the master came back without its data before anybody took its place.
    NotPersisted,
    /// A5: `WAIT` was met by a replica that was not the one promoted.
    WaitedElsewhere,
    /// The log does not tell enough.
    Open,
    /// Nothing that Redis Cluster allows: invariant D is broken.
    Unexplained,
}

impl LossCause {
    /// Every cause.
    pub const ALL: &'static [Self] = &[
        Self::NotReplicated,
        Self::Superseded,
        Self::Forced,
        Self::NotPersisted,
        Self::WaitedElsewhere,
        Self::Open,
        Self::Unexplained,
    ];

    /// Its code in the ledger.
    #[must_use]
    pub const fn code(self) -> &'static str {
        match self {
            Self::NotReplicated => "A1",
            Self::Superseded => "A2",
            Self::Forced => "A3",
            Self::NotPersisted => "A4",
            Self::WaitedElsewhere => "A5",
            Self::Open => "open",
            Self::Unexplained => "D",
        }
    }

    /// It in words.
    #[must_use]
    pub const fn words(self) -> &'static str {
        match self {
            Self::NotReplicated => "not replicated when the master died",
            Self::Superseded => "written to a superseded or cut-off master before it learned",
            Self::Forced => "CLUSTER FAILOVER FORCE or TAKEOVER",
            Self::NotPersisted => "the master came back without its data",
            Self::WaitedElsewhere => "WAIT was met by a replica that was not promoted",
            Self::Open => "the log does not tell",
            Self::Unexplained => "no cause that Redis Cluster allows",
        }
    }
}

impl Ledger {
    /// Number of lost writes by cause; causes without any are left out.
    #[must_use]
    pub fn by_cause(&self) -> BTreeMap<LossCause, usize> {
        let mut counts = BTreeMap::new();
        for lost in &self.lost {
            *counts.entry(lost.cause).or_insert(0) += 1;
        }
        counts
    }
}

/// A write that a node executed.
#[derive(Clone, Copy, Debug)]
pub(super) struct Execution {
    pub(super) write: u64,
    pub(super) node: NodeNumber,
    pub(super) offset: u64,
    pub(super) at_us: u64,
    pub(super) place: usize,
    pub(super) history: Option<HistoryNumber>,
}

/// What the audit found under a key.
#[derive(Clone, Copy, Debug)]
pub(super) struct Audit {
    pub(super) found: Option<u64>,
    pub(super) node: Option<NodeNumber>,
    pub(super) history: Option<HistoryNumber>,
    /// The restart after which the node that answered has not begun a history yet.
    pub(super) restart: Option<Restart>,
    pub(super) place: usize,
}

/// What the ledger is made from.
#[derive(Default)]
pub(super) struct Bookkeeping {
    writes: Vec<Write>,
    executions: Vec<Execution>,
    audits: BTreeMap<u64, Audit>,
    crashes: Vec<(NodeNumber, u64, usize)>,
    deletions: Vec<(NodeNumber, u64, usize)>,
    waits: Vec<(NodeNumber, u64, u16, u64)>,
    timed_out: Vec<(NodeNumber, u64)>,
}

#[derive(Clone, Copy)]
struct Write {
    key: u64,
    issued_us: u64,
    ended_us: u64,
    write: u64,
    place: usize,
    client: ClientNumber,
    slot: u16,
    node: Option<NodeNumber>,
    acknowledged: bool,
}

/// Unsynced data of a node with `appendfsync everysec` that may go with the power.
const EVERYSEC_US: u64 = 2_500_000;

impl Bookkeeping {
    pub(super) fn operation(&mut self, operation: &Operation, place: usize, at_us: u64) {
        let Some(write) = operation.write else { return };
        self.writes.push(Write {
            key: operation.key,
            issued_us: operation.issued_us,
            ended_us: at_us,
            write,
            place,
            client: operation.client,
            slot: operation.slot,
            node: operation.node,
            acknowledged: operation.outcome == Outcome::Ok,
        });
    }

    pub(super) fn executed(&mut self, execution: Execution) -> usize {
        self.executions.push(execution);
        self.executions.len() - 1
    }

    pub(super) fn executed_in(&mut self, execution: usize, position: Option<(HistoryNumber, u64)>) {
        if let Some(execution) = self.executions.get_mut(execution) {
            execution.history = position.map(|(history, _)| history);
        }
    }

    pub(super) fn audited(&mut self, key: u64, audit: Audit) {
        self.audits.insert(key, audit);
    }

    pub(super) fn crashed(&mut self, node: NodeNumber, at_us: u64, place: usize) {
        self.crashes.push((node, at_us, place));
    }

    pub(super) fn deleted(&mut self, node: NodeNumber, at_us: u64, place: usize) {
        self.deletions.push((node, at_us, place));
    }

    pub(super) fn wait_answered(
        &mut self,
        node: NodeNumber,
        offset: u64,
        replicas: u16,
        at_us: u64,
    ) {
        self.waits.push((node, offset, replicas, at_us));
    }

    pub(super) fn manual_failover_timed_out(&mut self, node: NodeNumber, at_us: u64) {
        self.timed_out.push((node, at_us));
    }

    /// Compares what was acknowledged with what was found, and explains the difference.
    pub(super) fn settle(
        mut self,
        picture: &Picture<'_>,
        histories: &Histories,
        promotions: &[Promotion],
        findings: &mut Findings,
    ) {
        let acknowledged = self
            .writes
            .iter()
            .filter(|write| write.acknowledged)
            .count();
        findings.ledger.acknowledged = acknowledged;
        findings.ledger.audited = self.audits.len();
        if self.audits.is_empty() {
            if acknowledged > 0 {
                let words = format!("{acknowledged} acknowledged writes were never read back");
                findings.unknown(Some(Code::D), picture.now_us(), &[], words);
            }
            return;
        }
        self.writes
            .sort_by_key(|write| (write.key, write.issued_us, write.place));
        self.executions
            .sort_by_key(|execution| (execution.write, execution.at_us));
        let inquest = Inquest {
            picture,
            histories,
            promotions,
            books: &self,
        };
        let mut lost: Vec<LostWrite> = Vec::new();
        let mut unread: Vec<usize> = Vec::new();
        let mut rest = &self.writes[..];
        while let Some(first) = rest.first() {
            let (writes, others) =
                rest.split_at(rest.partition_point(|write| write.key == first.key));
            rest = others;
            match self.audits.get(&first.key) {
                Some(audit) if audit.node.is_some() => {
                    inquest.judge_key(writes, audit, &mut lost, findings);
                }
                Some(audit) => unread.push(audit.place),
                None => unread.extend(writes.iter().find(|w| w.acknowledged).map(|w| w.place)),
            }
        }
        findings.ledger.unread = unread.len();
        if let Some(first) = unread.first() {
            let words = format!("{} written keys could not be read back", unread.len());
            findings.unknown(Some(Code::D), picture.now_us(), &[*first], words);
        }
        lost.sort_by_key(|lost| (lost.acknowledged_us, lost.evidence.first().copied()));
        flag(picture, &lost, findings);
        findings.ledger.lost = lost;
    }

    /// When a node first crashed after a time, with the place of the record.
    fn crash_after(&self, node: NodeNumber, at_us: u64) -> Option<(u64, usize)> {
        self.crashes
            .iter()
            .find(|(crashed, crashed_us, _)| *crashed == node && *crashed_us >= at_us)
            .map(|(_, crashed_us, place)| (*crashed_us, *place))
    }

    fn executions_of(&self, write: u64) -> &[Execution] {
        let from = self
            .executions
            .partition_point(|execution| execution.write < write);
        let to = self
            .executions
            .partition_point(|execution| execution.write <= write);
        &self.executions[from..to]
    }
}

/// Turns losses without an allowed cause into violations, and open ones into unknowns.
fn flag(picture: &Picture<'_>, lost: &[LostWrite], findings: &mut Findings) {
    let mut groups: BTreeMap<(LossCause, Option<NodeNumber>, &str), Vec<&LostWrite>> =
        BTreeMap::new();
    for write in lost {
        if matches!(write.cause, LossCause::Unexplained | LossCause::Open) {
            groups
                .entry((write.cause, write.node, write.why.as_str()))
                .or_default()
                .push(write);
        }
    }
    for ((cause, node, why), writes) in groups {
        let by = node.map_or_else(|| "nobody".into(), |node| picture.name(node));
        let count = writes.len();
        let noun = if count == 1 { "write" } else { "writes" };
        let words = format!("{count} {noun} acknowledged by {by} and lost: {why}");
        let at_us = writes.first().map_or(0, |write| write.acknowledged_us);
        let evidence = writes
            .first()
            .map_or(&[][..], |write| write.evidence.as_slice());
        if cause == LossCause::Unexplained {
            let nodes: Vec<NodeNumber> = node.into_iter().collect();
            findings.violation(Code::D, at_us, &nodes, evidence, words);
        } else {
            findings.unknown(Some(Code::D), at_us, evidence, words);
        }
    }
}

struct Inquest<'b, 't> {
    picture: &'b Picture<'t>,
    histories: &'b Histories,
    promotions: &'b [Promotion],
    books: &'b Bookkeeping,
}

struct Cause {
    cause: LossCause,
    why: String,
    evidence: Vec<usize>,
}

impl Cause {
    fn new(cause: LossCause, why: String, evidence: &[usize]) -> Self {
        Self {
            cause,
            why,
            evidence: evidence.to_vec(),
        }
    }
}

impl Inquest<'_, '_> {
    fn judge_key(
        &self,
        writes: &[Write],
        audit: &Audit,
        lost: &mut Vec<LostWrite>,
        findings: &mut Findings,
    ) {
        let over_us = match audit.found {
            None => None,
            Some(found) => {
                let Some(winner) = writes.iter().find(|write| write.write == found) else {
                    self.foreign_value(writes, audit, findings);
                    return;
                };
                let later = |write: &Write| write.acknowledged && write.issued_us > winner.ended_us;
                if !writes.iter().any(later) {
                    return;
                }
                let Some(over_us) = self.over_us(winner) else {
                    return;
                };
                Some(over_us)
            }
        };
        for write in writes.iter().filter(|write| write.acknowledged) {
            if over_us.is_some_and(|over_us| write.issued_us <= over_us) {
                continue;
            }
            lost.push(self.explain(write, audit));
        }
    }

    /// When a write can have taken effect at the latest; `None` if at any time.
    fn over_us(&self, write: &Write) -> Option<u64> {
        let executed = self.books.executions_of(write.write).last();
        match executed {
            Some(executed) => Some(executed.at_us.max(write.ended_us)),
            None => write.acknowledged.then_some(write.ended_us),
        }
    }

    fn foreign_value(&self, writes: &[Write], audit: &Audit, findings: &mut Findings) {
        let by_hand = self.picture.operators.data_us.is_some();
        let node: Vec<NodeNumber> = audit.node.into_iter().collect();
        let slot = writes.first().map_or(0, |write| write.slot);
        let words = format!(
            "the audit found a value in slot {slot} on {} that no client wrote",
            self.picture.names(&node)
        );
        let at_us = self.picture.now_us();
        if by_hand {
            findings.unknown(Some(Code::D), at_us, &[audit.place], words);
        } else {
            findings.violation(Code::D, at_us, &node, &[audit.place], words);
        }
    }

    fn explain(&self, write: &Write, audit: &Audit) -> LostWrite {
        let executions = self.books.executions_of(write.write);
        let executed = executions
            .iter()
            .rfind(|execution| {
                Some(execution.node) == write.node && execution.at_us <= write.ended_us
            })
            .or(executions.last());
        let cause = self.cause(write, executions, executed, audit);
        let mut evidence = vec![write.place];
        evidence.extend(executed.map(|execution| execution.place));
        evidence.extend(cause.evidence);
        evidence.push(audit.place);
        LostWrite {
            client: write.client,
            key: write.key,
            slot: write.slot,
            write: write.write,
            node: write.node,
            acknowledged_us: write.ended_us,
            executed_us: executed.map(|execution| execution.at_us),
            cause: cause.cause,
            why: cause.why,
            evidence,
        }
    }

    fn cause(
        &self,
        write: &Write,
        executions: &[Execution],
        executed: Option<&Execution>,
        audit: &Audit,
    ) -> Cause {
        let since_us = executed.map_or(write.issued_us, |execution| execution.at_us);
        if self
            .picture
            .operators
            .data_us
            .is_some_and(|by_hand_us| by_hand_us >= since_us)
        {
            return Cause::new(
                LossCause::Open,
                "an operator changed or dropped keys".into(),
                &[],
            );
        }
        if self
            .picture
            .operators
            .slots_us
            .is_some_and(|by_hand_us| by_hand_us >= since_us)
        {
            let why = "an operator moved slots without their keys".into();
            return Cause::new(LossCause::Open, why, &[]);
        }
        let Some(executed) = executed else {
            return self.cause_without_facts(write);
        };
        match (executed.history, audit.history) {
            (Some(written), Some(found)) => {
                self.cause_in_lineage(executions, executed, written, found, 0)
            }
            (Some(written), None) => match (audit.restart, audit.node) {
                (Some(restart), Some(node)) => {
                    self.cause_of_restart(executions, executed, written, node, &restart, 0)
                }
                (Some(_) | None, _) => {
                    let why = "the history of the node that was read is not in the log".into();
                    Cause::new(LossCause::Open, why, &[])
                }
            },
            (None, _) => self.cause_without_history(executed),
        }
    }

    /// A master that no replica follows has no history: what it holds ends with it.
    fn cause_without_history(&self, executed: &Execution) -> Cause {
        let name = self.picture.name(executed.node);
        let persistent = self
            .picture
            .header()
            .nodes
            .get(usize::from(executed.node))
            .is_some_and(|info| info.persistent);
        match self.books.crash_after(executed.node, executed.at_us) {
            Some((_, place)) if !persistent => {
                let why = format!("{name} held it alone, and ended");
                Cause::new(LossCause::NotPersisted, why, &[place])
            }
            Some(_) | None => {
                let why = "its replication history is not in the log".into();
                Cause::new(LossCause::Open, why, &[])
            }
        }
    }

    /// Compares the branch a write stands on with the lineage of the data that were read.
    fn cause_in_lineage(
        &self,
        executions: &[Execution],
        executed: &Execution,
        written: HistoryNumber,
        found: HistoryNumber,
        depth: usize,
    ) -> Cause {
        let lineage = self.histories.lineage(found);
        let kept = executions.iter().find(|execution| {
            lineage.iter().any(|(history, limit)| {
                Some(*history) == execution.history && execution.offset <= *limit
            })
        });
        if let Some(kept) = kept {
            return self.cause_of_kept(kept, &lineage);
        }
        let branch = self.histories.lineage(written);
        let on_branch = |history: HistoryNumber| branch.iter().any(|(known, _)| *known == history);
        let left_at = lineage
            .iter()
            .rev()
            .map(|(history, _)| *history)
            .find(|h| !on_branch(*h));
        let Some(left_at) = left_at else {
            return self.cause_of_lost_branch(&branch, &lineage);
        };
        let origin = self
            .histories
            .get(left_at)
            .and_then(|history| history.origin);
        if let Some(promotion) = origin
            .and_then(|origin| origin.promotion)
            .and_then(|place| self.promotions.get(place))
        {
            return self.cause_of_promotion(
                promotion,
                executed.node,
                executed.at_us,
                executed.offset,
            );
        }
        if let Some(restart) = origin.and_then(|origin| origin.restart)
            && let Some(origin) = origin
        {
            return self.cause_of_restart(
                executions,
                executed,
                written,
                origin.node,
                &restart,
                depth,
            );
        }
        let by = origin.map_or_else(|| "nobody".into(), |origin| self.picture.name(origin.node));
        let why = format!("{by} goes on from data that never held it, without a promotion");
        Cause::new(LossCause::Unexplained, why, &[])
    }

    /// The data that were read go on from a point after the write, and yet it is gone.
    fn cause_of_kept(&self, kept: &Execution, lineage: &[(HistoryNumber, u64)]) -> Cause {
        let origins = || {
            lineage
                .iter()
                .filter_map(|(history, _)| self.histories.get(*history)?.origin)
        };
        let power_loss = origins()
            .filter_map(|origin| origin.restart)
            .find(|restart| {
                restart.power_off
                    && restart.ended_us >= kept.at_us
                    && self.unsynced(restart, kept.at_us)
            });
        if let Some(restart) = power_loss {
            let why = "it was not synced when its host lost power".into();
            return Cause::new(LossCause::NotPersisted, why, &[restart.place]);
        }
        let holders: Vec<NodeNumber> = origins().map(|origin| origin.node).collect();
        let deleted = self.books.deletions.iter().find(|(node, at_us, _)| {
            *at_us >= kept.at_us && (*node == kept.node || holders.contains(node))
        });
        if let Some((node, _, place)) = deleted {
            let why = format!(
                "{} deleted keys of slots it had lost",
                self.picture.name(*node)
            );
            return Cause::new(LossCause::Open, why, &[*place]);
        }
        let why = "the node that was read had applied it".into();
        Cause::new(LossCause::Unexplained, why, &[])
    }

    fn unsynced(&self, restart: &Restart, executed_us: u64) -> bool {
        match self.picture.config("appendfsync") {
            Some("always") => false,
            Some("no") => true,
            Some(_) | None => restart.ended_us - executed_us <= EVERYSEC_US,
        }
    }

    /// The write stands on a branch that ended: its master was never the one that stayed.
    fn cause_of_lost_branch(
        &self,
        branch: &[(HistoryNumber, u64)],
        lineage: &[(HistoryNumber, u64)],
    ) -> Cause {
        let left = branch
            .iter()
            .rev()
            .map(|(history, _)| *history)
            .find(|history| !lineage.iter().any(|(kept, _)| kept == history));
        let promotion = left
            .and_then(|history| self.histories.get(history)?.origin?.promotion)
            .and_then(|place| self.promotions.get(place));
        match promotion {
            Some(promotion)
                if matches!(promotion.how, FailoverKind::Force | FailoverKind::Takeover) =>
            {
                let name = self.picture.name(promotion.node);
                let why = format!("{name} was made master by force, and another master prevailed");
                Cause::new(LossCause::Forced, why, &[promotion.place])
            }
            Some(promotion) => {
                let name = self.picture.name(promotion.node);
                let why = format!("{name} was promoted, and the master before it prevailed");
                Cause::new(LossCause::Unexplained, why, &[promotion.place])
            }
            None => {
                let why = "the branch it stands on was dropped without a promotion".into();
                Cause::new(LossCause::Unexplained, why, &[])
            }
        }
    }

    fn cause_of_promotion(
        &self,
        promotion: &Promotion,
        node: NodeNumber,
        executed_us: u64,
        offset: u64,
    ) -> Cause {
        let winner = self.picture.name(promotion.node);
        let master = self.picture.name(node);
        let crash = self
            .books
            .crash_after(node, executed_us)
            .filter(|(crashed_us, _)| *crashed_us <= promotion.at_us);
        let waited = self
            .books
            .waits
            .iter()
            .any(|(on, reached, replicas, at_us)| {
                *on == node && *reached >= offset && *replicas > 0 && *at_us >= executed_us
            });
        let mut evidence = vec![promotion.place];
        evidence.extend(crash.map(|(_, place)| place));
        let by_force = matches!(promotion.how, FailoverKind::Force | FailoverKind::Takeover);
        let (cause, why) = if waited && !by_force {
            let why = format!("WAIT was met, but not by {winner}, which was promoted");
            (LossCause::WaitedElsewhere, why)
        } else if crash.is_some() {
            let why = format!("{winner} had not received it when {master} died");
            (LossCause::NotReplicated, why)
        } else if by_force {
            (
                LossCause::Forced,
                format!("{winner} took the place of {master} by force"),
            )
        } else if executed_us >= promotion.at_us {
            let why = format!("{master} had not learned that {winner} was in its place");
            (LossCause::Superseded, why)
        } else if promotion.how == FailoverKind::Automatic {
            let why = format!("{winner} was elected without having received it from {master}");
            (LossCause::Superseded, why)
        } else if self.gave_up_pause(node, executed_us) {
            let why = format!("{master} took writes again after its manual failover had timed out");
            (LossCause::Superseded, why)
        } else {
            let why = format!(
                "{winner} took the place of {master} by a manual failover, which waits for every write"
            );
            (LossCause::Unexplained, why)
        };
        Cause {
            cause,
            why,
            evidence,
        }
    }

    /// Whether a manual failover timed out on a master before a time, but not long before.
    fn gave_up_pause(&self, node: NodeNumber, at_us: u64) -> bool {
        const MANUAL_FAILOVER_US: u64 = 10_000_000;
        self.books.timed_out.iter().any(|(on, timed_out_us)| {
            *on == node && *timed_out_us <= at_us && at_us - timed_out_us <= MANUAL_FAILOVER_US
        })
    }

    /// A master began anew after a restart: what it held before is gone with its memory.
    fn cause_of_restart(
        &self,
        executions: &[Execution],
        executed: &Execution,
        written: HistoryNumber,
        node: NodeNumber,
        restart: &Restart,
        depth: usize,
    ) -> Cause {
        const DEEPEST: usize = 16;
        let name = self.picture.name(node);
        let held = restart.before.is_some_and(|(before, reached)| {
            let lineage = self.histories.lineage(before);
            executions.iter().any(|execution| {
                let limit = lineage
                    .iter()
                    .find(|(history, _)| Some(*history) == execution.history)
                    .map(|(history, limit)| if *history == before { reached } else { *limit });
                execution.node == node || limit.is_some_and(|limit| execution.offset <= limit)
            })
        });
        if held || executed.node == node {
            let why = if restart.persistent {
                format!("{name} came back without it although it keeps its data")
            } else {
                format!("{name} held it, ended, and came back empty before anybody took its place")
            };
            let cause = if restart.persistent && !restart.power_off {
                LossCause::Unexplained
            } else {
                LossCause::NotPersisted
            };
            return Cause::new(cause, why, &[restart.place]);
        }
        match restart.before {
            Some((before, _)) if depth < DEEPEST => {
                self.cause_in_lineage(executions, executed, written, before, depth + 1)
            }
            Some(_) | None => {
                let why = format!("{name} came back empty, and what it held before is not known");
                Cause::new(LossCause::Open, why, &[restart.place])
            }
        }
    }

    /// A live server does not tell what it executed: the promotions and crashes around the write
    /// must do.
    fn cause_without_facts(&self, write: &Write) -> Cause {
        let Some(node) = write.node else {
            return Cause::new(
                LossCause::Open,
                "nobody is known to have taken it".into(),
                &[],
            );
        };
        if self
            .picture
            .node(node)
            .is_some_and(|node| node.tells_writes)
        {
            let why = format!(
                "{} acknowledged it and never executed it",
                self.picture.name(node)
            );
            return Cause::new(LossCause::Unexplained, why, &[]);
        }
        let in_its_place = |promotion: &&Promotion| promotion.master == Some(node);
        let promotion = self
            .promotions
            .iter()
            .filter(in_its_place)
            .find(|promotion| promotion.at_us >= write.issued_us)
            .or_else(|| self.promotions.iter().filter(in_its_place).next_back());
        if let Some(promotion) = promotion {
            return self.cause_of_promotion(promotion, node, write.ended_us, u64::MAX);
        }
        match self.books.crash_after(node, write.issued_us) {
            Some((_, place)) => {
                let why = format!(
                    "{} ended and nobody took its place",
                    self.picture.name(node)
                );
                Cause::new(LossCause::NotPersisted, why, &[place])
            }
            None => Cause::new(LossCause::Open, "the log shows no cause".into(), &[]),
        }
    }
}
