//! What became of a key's writes, and what each lost one died of.

use redrill_node::{FailoverKind, SlotRange};

use super::{Audit, Bookkeeping, Execution, LossCause, LostWrite, Write};
use crate::checkers::history::{Histories, HistoryNumber, Promotion, Restart};
use crate::checkers::{Code, Findings, Picture};
use crate::trace::NodeNumber;

/// Unsynced data of a node with `appendfsync everysec` that may go with the power.
const EVERYSEC_US: u64 = 2_500_000;

pub(super) struct Inquest<'b, 't> {
    pub(super) picture: &'b Picture<'t>,
    pub(super) histories: &'b Histories,
    pub(super) promotions: &'b [Promotion],
    pub(super) books: &'b Bookkeeping,
}

/// A lost write and where it was executed.
struct Case<'e> {
    executions: &'e [Execution],
    /// The execution that was acknowledged.
    executed: &'e Execution,
    /// Its history.
    written: HistoryNumber,
    slot: u16,
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
    /// Adds the lost writes of one key.
    pub(super) fn judge_key(
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
        let Some(written) = executed.history else {
            return self.cause_without_history(executed);
        };
        let slot = write.slot;
        let case = Case {
            executions,
            executed,
            written,
            slot,
        };
        match (audit.history, &audit.restart, audit.node) {
            (Some(found), _, _) => self.cause_in_lineage(&case, found, 0),
            (None, Some(restart), Some(node)) => self.cause_of_restart(&case, node, restart, 0),
            (None, _, _) => {
                let why = "the history of the node that was read is not in the log".into();
                Cause::new(LossCause::Open, why, &[])
            }
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
    fn cause_in_lineage(&self, case: &Case<'_>, found: HistoryNumber, depth: usize) -> Cause {
        let lineage = self.histories.lineage(found);
        let kept = case.executions.iter().find(|execution| {
            lineage.iter().any(|(history, limit)| {
                Some(*history) == execution.history && execution.offset <= *limit
            })
        });
        if let Some(kept) = kept {
            return self.cause_of_kept(kept, &lineage);
        }
        let branch = self.histories.lineage(case.written);
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
                case.executed.node,
                case.executed.at_us,
                case.executed.offset,
            );
        }
        if let Some(restart) = origin.and_then(|origin| origin.restart)
            && let Some(origin) = origin
        {
            return self.cause_of_restart(case, origin.node, &restart, depth);
        }
        self.cause_of_other_data(case, &lineage)
    }

    /// The data that were read share nothing with the write's branch.
    fn cause_of_other_data(&self, case: &Case<'_>, lineage: &[(HistoryNumber, u64)]) -> Cause {
        let executed = case.executed;
        let histories = || {
            lineage
                .iter()
                .filter_map(|(number, _)| self.histories.get(*number))
        };
        let mut promotions: Vec<&Promotion> = histories()
            .filter_map(|history| history.origin?.promotion)
            .filter_map(|place| self.promotions.get(place))
            .collect();
        promotions.sort_by_key(|promotion| promotion.at_us);
        let in_its_place = promotions
            .iter()
            .find(|promotion| promotion.master == Some(executed.node))
            .or_else(|| promotions.iter().find(|it| it.at_us >= executed.at_us));
        let Some(promotion) = in_its_place else {
            let why = "the node that was read goes on from data that never held it".into();
            return Cause::new(LossCause::Unexplained, why, &[]);
        };
        // Data from before its master's restart, say, are those of the shard all the same.
        let of_the_shard =
            histories().any(|history| history.slots.iter().any(|slots| holds(*slots, case.slot)));
        if of_the_shard {
            return self.cause_of_promotion(
                promotion,
                executed.node,
                executed.at_us,
                executed.offset,
            );
        }
        let master = promotion
            .master
            .map_or_else(|| "its master".into(), |it| self.picture.name(it));
        let why = format!(
            "{} took the place of {master} with the data of another shard",
            self.picture.name(promotion.node),
        );
        Cause::new(LossCause::Unexplained, why, &[promotion.place])
    }

    /// The data that were read go on from a point after the write, and yet it is gone.
    fn cause_of_kept(&self, kept: &Execution, lineage: &[(HistoryNumber, u64)]) -> Cause {
        let origins = || {
            lineage
                .iter()
                .filter_map(|(history, _)| self.histories.get(*history)?.origin)
        };
        let unsynced = origins()
            .filter_map(|origin| origin.restart)
            .find(|restart| restart.ended_us >= kept.at_us && self.unsynced(restart, kept.at_us));
        if let Some(restart) = unsynced {
            let why = if restart.power_off {
                "it was not synced when its host lost power".into()
            } else {
                "it waited for a sync to end when its process did".into()
            };
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

    /// Whether a write may have been lost with a restart although the node keeps its data: not
    /// synced before the power went, or, with `everysec`, not even written before the process
    /// ended, as writes are put off while a sync goes on.
    fn unsynced(&self, restart: &Restart, executed_us: u64) -> bool {
        let recent = restart.ended_us.saturating_sub(executed_us) <= EVERYSEC_US;
        match self.picture.config("appendfsync") {
            Some("always") => false,
            Some("no") => restart.power_off,
            Some(_) | None => recent,
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
        case: &Case<'_>,
        node: NodeNumber,
        restart: &Restart,
        depth: usize,
    ) -> Cause {
        const DEEPEST: usize = 16;
        let name = self.picture.name(node);
        let held = restart.before.is_some_and(|(before, reached)| {
            let lineage = self.histories.lineage(before);
            case.executions.iter().any(|execution| {
                let limit = lineage
                    .iter()
                    .find(|(history, _)| Some(*history) == execution.history)
                    .map(|(history, limit)| if *history == before { reached } else { *limit });
                execution.node == node || limit.is_some_and(|limit| execution.offset <= limit)
            })
        });
        if held || case.executed.node == node {
            let why = if restart.persistent {
                format!("{name} came back without it although it keeps its data")
            } else {
                format!("{name} held it, ended, and came back empty before anybody took its place")
            };
            let excused = self.unsynced(restart, case.executed.at_us);
            let cause = if restart.persistent && !excused {
                LossCause::Unexplained
            } else {
                LossCause::NotPersisted
            };
            return Cause::new(cause, why, &[restart.place]);
        }
        match restart.before {
            Some((before, _)) if depth < DEEPEST => self.cause_in_lineage(case, before, depth + 1),
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
            .or_else(|| self.promotions.iter().rfind(in_its_place));
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

const fn holds(slots: SlotRange, slot: u16) -> bool {
    slots.first <= slot && slot <= slots.last
}
