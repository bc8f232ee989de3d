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

mod inquest;

use std::cell::OnceCell;
use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use self::inquest::Inquest;
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
#[derive(Debug)]
pub(super) struct Audit {
    pub(super) found: Option<u64>,
    pub(super) node: Option<NodeNumber>,
    pub(super) history: Option<HistoryNumber>,
    /// The restart after which the node that answered has not begun a history yet. Boxed: it is
    /// large and rare.
    pub(super) restart: Option<Box<Restart>>,
    pub(super) place: usize,
}

/// More buckets do not fit into a fast cache.
const MOST_BUCKET_BITS: u32 = 16;

/// The places of a list in the order of keys, those of one key in the order of the list: each key in
/// the upper half of a word, its place in the lower one. What stands in the list is not moved.
struct Order(Vec<u128>);

impl Order {
    /// Keys are digests: to drop each into a bucket by its upper bits sorts nearly all of them.
    fn by_key<T>(list: &[T], key: impl Fn(&T) -> u64) -> Self {
        let bits = (list.len().max(2).ilog2()).min(MOST_BUCKET_BITS);
        let bucket = |key: u64| (key >> (u64::BITS - bits)) as usize;
        let mut ends = vec![0_usize; 1 << bits];
        for one in list {
            ends[bucket(key(one))] += 1;
        }
        let mut end = 0;
        for count in &mut ends {
            end += *count;
            *count = end;
        }
        let mut order = vec![0; list.len()];
        for (place, one) in list.iter().enumerate().rev() {
            let key = key(one);
            let end = &mut ends[bucket(key)];
            *end -= 1;
            order[*end] = u128::from(key) << 64 | place as u128;
        }
        // Where each bucket ended it begins now.
        let begins = ends.iter().copied();
        let ends = ends.iter().copied().skip(1).chain([order.len()]);
        for (begin, end) in begins.zip(ends) {
            if end - begin > 1 {
                order[begin..end].sort_unstable();
            }
        }
        Self(order)
    }

    /// Each key with its places.
    fn groups(&self) -> impl Iterator<Item = (u64, impl DoubleEndedIterator<Item = usize>)> {
        let groups = self.0.chunk_by(|one, other| one >> 64 == other >> 64);
        groups.map(|group| {
            let key = group.first().map_or(0, |word| (word >> 64) as u64);
            (key, group.iter().map(|word| *word as u64 as usize))
        })
    }
}

/// What the ledger is made from.
#[derive(Default)]
pub(super) struct Bookkeeping {
    writes: Vec<Write>,
    /// In order of time.
    executions: Vec<Execution>,
    /// The same by write: only a run that lost something asks.
    by_write: OnceCell<Vec<Execution>>,
    /// By key, as they came.
    audits: Vec<(u64, Audit)>,
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

impl Bookkeeping {
    /// Books for a log of so many records: a write is told of by its client, by the master, twice, by
    /// the replica, and by the audit.
    pub(super) fn for_log_of(records: usize) -> Self {
        let writes = records / 4;
        Self {
            writes: Vec::with_capacity(writes),
            executions: Vec::with_capacity(writes),
            audits: Vec::with_capacity(writes),
            ..Self::default()
        }
    }

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

    pub(super) fn executed(&mut self, execution: Execution) {
        self.executions.push(execution);
    }

    pub(super) fn audited(&mut self, key: u64, audit: Audit) {
        self.audits.push((key, audit));
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
        self,
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
        let audits = Order::by_key(&self.audits, |(key, _)| *key);
        findings.ledger.audited = audits.groups().count();
        if self.audits.is_empty() {
            if acknowledged > 0 {
                let words = format!("{acknowledged} acknowledged writes were never read back");
                findings.unknown(Some(Code::D), picture.now_us(), &[], words);
            }
            return;
        }
        let inquest = Inquest {
            picture,
            histories,
            promotions,
            books: &self,
        };
        let mut lost: Vec<LostWrite> = Vec::new();
        let mut unread: Vec<usize> = Vec::new();
        let mut audits = audits.groups().peekable();
        let mut writes = Vec::new();
        let by_key = Order::by_key(&self.writes, |write| write.key);
        for (key, places) in by_key.groups() {
            writes.clear();
            writes.extend(places.map(|place| self.writes[place]));
            writes.sort_unstable_by_key(|write| (write.issued_us, write.place));
            while audits.next_if(|(audited, _)| *audited < key).is_some() {}
            // Of several readings of a key the last counts.
            let audit = audits
                .next_if(|(audited, _)| *audited == key)
                .and_then(|(_, mut places)| self.audits.get(places.next_back()?));
            match audit.map(|(_, audit)| audit) {
                Some(audit) if audit.node.is_some() => {
                    inquest.judge_key(&writes, audit, &mut lost, findings);
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
        let executions = self.by_write.get_or_init(|| {
            let order = Order::by_key(&self.executions, |execution| execution.write);
            let places = order.groups().flat_map(|(_, places)| places);
            places.map(|place| self.executions[place]).collect()
        });
        let from = executions.partition_point(|execution| execution.write < write);
        let to = executions.partition_point(|execution| execution.write <= write);
        &executions[from..to]
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

#[cfg(test)]
mod tests;
