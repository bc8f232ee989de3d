//! D: every lost acknowledged write has a cause that Redis Cluster allows; a replica is a prefix
//! of its master; a promoted replica never loses what it had applied.
//!
//! Streams are compared by their digests wherever two nodes tell of the same offset of the same
//! history. Losses are the [`Ledger`]'s; what it cannot explain is flagged here.
//!
//! [`Ledger`]: super::Ledger

use redrill_node::{Fact, FailoverKind, ReplicationId, SlotRange};

use super::history::{Histories, HistoryNumber, Origin, Point, Promotion, Restart};
use super::ledger::{Audit, Bookkeeping, Execution};
use super::{Checker, Code, Findings, Picture};
use crate::scenario::CrashKind;
use crate::trace::{Event, NodeNumber, ProcessChange, Record, Trace};

/// Watches data.
pub(super) struct Data {
    histories: Histories,
    nodes: Vec<Position>,
    promotions: Vec<Promotion>,
    books: Bookkeeping,
    contradicted: Vec<(NodeNumber, HistoryNumber)>,
}

/// Where a node's data stand.
#[derive(Clone, Default)]
pub(super) struct Position {
    /// Its history and offset; `None` while it is not known (a full resync runs).
    now: Option<(HistoryNumber, u64)>,
    /// The history it last told of, by its id and its number.
    told: Option<(ReplicationId, HistoryNumber)>,
    /// The end of its last life, until its first history after that is known.
    ended: Option<Restart>,
    /// Its last promotion that no history was matched with yet.
    promotion: Option<usize>,
    /// Whether it caught up with its paused master for a manual failover.
    caught_up: bool,
    persistent: bool,
}

impl Data {
    pub(super) fn new(trace: &Trace) -> Self {
        let position = |persistent: bool| Position {
            persistent,
            ..Position::default()
        };
        Self {
            histories: Histories::default(),
            nodes: trace
                .header
                .nodes
                .iter()
                .map(|node| position(node.persistent))
                .collect(),
            promotions: Vec::new(),
            books: Bookkeeping::for_log_of(trace.records.len()),
            contradicted: Vec::new(),
        }
    }
}

impl Checker for Data {
    fn code(&self) -> Code {
        Code::D
    }

    fn observe(
        &mut self,
        picture: &Picture<'_>,
        place: usize,
        record: &Record,
        findings: &mut Findings,
    ) {
        match &record.event {
            Event::Node { node, fact } => {
                self.observe_fact(picture, *node, fact, place, record.at_us, findings);
            }
            Event::Process { node, change } => {
                self.observe_process(*node, *change, place, record.at_us)
            }
            Event::Operation(operation) => self.books.operation(operation, place, record.at_us),
            Event::Audited { key, found, node } => {
                let position = node.and_then(|node| self.nodes.get(usize::from(node)));
                let history = position
                    .and_then(|position| position.now)
                    .map(|(history, _)| history);
                let audit = Audit {
                    found: *found,
                    node: *node,
                    history,
                    restart: position.and_then(|position| position.ended).map(Box::new),
                    place,
                };
                self.books.audited(*key, audit);
            }
            Event::Phase { .. }
            | Event::StateSaved { .. }
            | Event::StateLoaded { .. }
            | Event::FaultBegan { .. }
            | Event::FaultEnded { .. }
            | Event::FaultMissed { .. }
            | Event::WeatherBegan { .. }
            | Event::WeatherEnded { .. }
            | Event::Operator { .. }
            | Event::BusTraffic { .. }
            | Event::Remark { .. } => {}
        }
    }

    fn finish(self, picture: &Picture<'_>, findings: &mut Findings) {
        self.books
            .settle(picture, &self.histories, &self.promotions, findings);
    }
}

impl Data {
    fn observe_process(
        &mut self,
        node: NodeNumber,
        change: ProcessChange,
        place: usize,
        at_us: u64,
    ) {
        let Some(position) = self.nodes.get_mut(usize::from(node)) else {
            return;
        };
        match change {
            ProcessChange::Crashed(kind) => {
                self.books.crashed(node, at_us, place);
                let before = position.now.take();
                position.promotion = None;
                position.ended = Some(Restart {
                    ended_us: at_us,
                    place,
                    power_off: kind == CrashKind::PowerOff,
                    persistent: position.persistent,
                    before: before.or_else(|| position.ended.and_then(|ended| ended.before)),
                });
            }
            ProcessChange::Started | ProcessChange::Stalled(_) | ProcessChange::Resumed => {}
        }
    }

    fn observe_fact(
        &mut self,
        picture: &Picture<'_>,
        node: NodeNumber,
        fact: &Fact,
        place: usize,
        at_us: u64,
        findings: &mut Findings,
    ) {
        if let Fact::Stream { id, offset, digest } = fact {
            let told = Point {
                offset: *offset,
                digest: *digest,
                node,
                place,
            };
            self.stream(picture, *id, told, at_us, findings);
        } else if let Fact::Wrote { write, offset } = fact {
            let history = self.wrote(picture, node, *offset, at_us);
            self.books.executed(Execution {
                write: *write,
                node,
                offset: *offset,
                at_us,
                place,
                history,
            });
        } else if let Fact::ReplicationIdChanged {
            id,
            previous,
            offset,
        } = fact
        {
            self.forked(node, *id, **previous, *offset, at_us);
        } else if let Fact::FullResyncDone { id, offset, .. }
        | Fact::PartialResyncDone { id, offset } = fact
        {
            let history = self.histories.number(*id);
            if let Some(position) = self.nodes.get_mut(usize::from(node)) {
                position.now = Some((history, *offset));
                position.ended = None;
            }
        } else if matches!(fact, Fact::SyncStarted { from: None }) {
            if let Some(position) = self.nodes.get_mut(usize::from(node)) {
                position.now = None;
                position.ended = None;
            }
        } else if let Fact::ElectionWon {
            master,
            how,
            offset,
            ..
        } = fact
        {
            let master = picture.number(*master);
            let caught_up = self
                .nodes
                .get_mut(usize::from(node))
                .is_some_and(|position| std::mem::take(&mut position.caught_up));
            // A replica that was asked to fail over may win because its master failed meanwhile.
            let how = if *how == FailoverKind::Manual && !caught_up {
                &FailoverKind::Automatic
            } else {
                how
            };
            let promotion = Promotion {
                node,
                master,
                at_us,
                place,
                how: *how,
            };
            self.promoted(picture, promotion, *offset, findings);
        } else if let Fact::WaitAnswered { offset, replicas } = fact {
            self.books.wait_answered(node, *offset, *replicas, at_us);
        } else if matches!(fact, Fact::DirtySlotsDeleted { .. } | Fact::Flushed { .. }) {
            self.books.deleted(node, at_us, place);
        } else if matches!(
            fact,
            Fact::ManualFailoverReady | Fact::ManualFailoverAccepted { .. }
        ) {
            if let Some(position) = self.nodes.get_mut(usize::from(node)) {
                position.caught_up = matches!(fact, Fact::ManualFailoverReady);
            }
        } else if matches!(fact, Fact::ManualFailoverTimedOut) {
            if let Some(position) = self.nodes.get_mut(usize::from(node)) {
                position.caught_up = false;
            }
            self.books.manual_failover_timed_out(node, at_us);
        }
    }

    /// A master executed a write at an offset; the history it stands in. A master that no replica
    /// ever followed has told of none: it is given one without a name.
    fn wrote(
        &mut self,
        picture: &Picture<'_>,
        node: NodeNumber,
        offset: u64,
        at_us: u64,
    ) -> Option<HistoryNumber> {
        let position = self.nodes.get_mut(usize::from(node))?;
        let history = match position.now {
            Some((history, _)) => history,
            None => {
                let history = self.histories.unnamed();
                let parent = position
                    .ended
                    .filter(|ended| ended.persistent)
                    .and_then(|ended| ended.before);
                let origin = Origin {
                    node,
                    at_us,
                    promotion: position.promotion.take(),
                    restart: position.ended.take(),
                };
                let slots = own_slots(picture, node);
                self.histories.begin(history, parent, origin, slots);
                history
            }
        };
        position.now = Some((history, offset));
        Some(history)
    }

    /// A node tells where its stream stands.
    fn stream(
        &mut self,
        picture: &Picture<'_>,
        id: ReplicationId,
        told: Point,
        at_us: u64,
        findings: &mut Findings,
    ) {
        let Some(position) = self.nodes.get_mut(usize::from(told.node)) else {
            return;
        };
        let history = match position.told {
            Some((known, number)) if known == id => number,
            Some(_) | None => self.histories.number(id),
        };
        position.told = Some((id, history));
        if position.now.is_none_or(|(before, _)| before != history) {
            let parent = position.now.or_else(|| {
                position
                    .ended
                    .filter(|ended| ended.persistent)
                    .and_then(|ended| ended.before)
            });
            let is_master = picture
                .node(told.node)
                .is_some_and(|node| node.replica_of.is_none());
            if is_master {
                let (promotion, restart) = (position.promotion.take(), position.ended.take());
                let origin = Origin {
                    node: told.node,
                    at_us,
                    promotion,
                    restart,
                };
                let slots = own_slots(picture, told.node);
                self.histories.begin(history, parent, origin, slots);
            }
        }
        let back = position
            .now
            .filter(|(before, offset)| *before == history && *offset > told.offset);
        if let Some((_, offset)) = back {
            let words = format!(
                "the stream of {} went back from offset {offset} to {}",
                picture.name(told.node),
                told.offset
            );
            findings.violation(Code::D, at_us, &[told.node], &[told.place], words);
        }
        position.now = Some((history, told.offset));
        position.ended = None;
        if let Err(known) = self.histories.tell(history, told) {
            if self.contradicted.contains(&(told.node, history)) || known.node == told.node {
                return;
            }
            self.contradicted.push((told.node, history));
            let words = format!(
                "{} and {} hold different data at offset {} of the same history",
                picture.name(known.node),
                picture.name(told.node),
                told.offset
            );
            let nodes = [known.node, told.node];
            findings.violation(Code::D, at_us, &nodes, &[known.place, told.place], words);
        }
    }

    fn forked(
        &mut self,
        node: NodeNumber,
        id: ReplicationId,
        previous: ReplicationId,
        offset: u64,
        at_us: u64,
    ) {
        let history = self.histories.number(id);
        let named =
            (previous != ReplicationId::ZERO).then(|| (self.histories.number(previous), offset));
        let Some(position) = self.nodes.get_mut(usize::from(node)) else {
            return;
        };
        let parent = named.or(position.now);
        let (promotion, restart) = (position.promotion.take(), position.ended.take());
        let origin = Origin {
            node,
            at_us,
            promotion,
            restart,
        };
        self.histories.begin(history, parent, origin, Vec::new());
        let reached = position.now.map_or(offset, |(_, reached)| reached);
        position.now = Some((history, reached));
    }

    fn promoted(
        &mut self,
        picture: &Picture<'_>,
        promotion: Promotion,
        offset: u64,
        findings: &mut Findings,
    ) {
        let number = self.promotions.len();
        self.promotions.push(promotion);
        let Some(position) = self.nodes.get_mut(usize::from(promotion.node)) else {
            return;
        };
        position.promotion = Some(number);
        let Some((history, applied)) = position.now else {
            return;
        };
        if self.histories.promoted(history, number, &promotion) {
            position.promotion = None;
        }
        if offset < applied && promotion.how != FailoverKind::Takeover {
            let words = format!(
                "{} was promoted at offset {offset}, although it had applied {applied}",
                picture.name(promotion.node)
            );
            let (at_us, node) = (promotion.at_us, promotion.node);
            findings.violation(Code::D, at_us, &[node], &[promotion.place], words);
        }
    }
}

/// The slots a node owns by its own word.
fn own_slots(picture: &Picture<'_>, node: NodeNumber) -> Vec<SlotRange> {
    picture
        .node(node)
        .map_or_else(Vec::new, |now| now.view.slots.ranges_of(node).collect())
}

#[cfg(test)]
mod tests {
    use super::super::testing::{Log, assert_breaks, assert_valid, history};
    use super::*;

    #[test]
    fn a_replica_that_is_a_prefix_is_fine() {
        let mut log = Log::formed();
        log.stream("m1", 1, 200, 7).stream("m1", 1, 300, 8);
        log.later(1).stream("r1", 1, 200, 7);
        // A replica may stop where its master never did.
        log.later(1).stream("r1", 1, 250, 9).stream("r1", 1, 300, 8);
        assert_valid(&log.converge_and_check());
    }

    #[test]
    fn a_replica_with_other_data_at_the_same_offset_is_flagged_once() {
        let mut log = Log::formed();
        for offset in [200, 300] {
            log.stream("m1", 1, offset, 7);
            log.later(1).stream("r1", 1, offset, 6);
        }
        let findings = log.converge_and_check();
        assert_breaks(
            &findings,
            Code::D,
            "m1 and r1 hold different data at offset 200",
        );
        assert_eq!(findings.violations.len(), 1);
    }

    #[test]
    fn histories_that_forked_are_not_compared() {
        let mut log = Log::formed();
        log.stream("m1", 1, 200, 7).stream("r1", 1, 200, 7);
        let (id, previous) = (history(11), history(1));
        log.fact(
            "r1",
            Fact::ReplicationIdChanged {
                id,
                previous: Box::new(previous),
                offset: 200,
            },
        );
        log.stream("r1", 11, 300, 5).stream("m1", 1, 300, 6);
        assert_valid(&log.converge_and_check());
    }

    #[test]
    fn a_stream_that_goes_back_is_flagged() {
        let mut log = Log::formed();
        log.stream("m1", 1, 300, 7).later(1).stream("m1", 1, 200, 6);
        assert_breaks(
            &log.converge_and_check(),
            Code::D,
            "went back from offset 300 to 200",
        );
    }

    #[test]
    fn a_full_resync_may_go_back() {
        let mut log = Log::formed();
        log.stream("m1", 1, 200, 7)
            .stream("m1", 1, 300, 8)
            .stream("r1", 1, 300, 8);
        log.fact("r1", Fact::SyncStarted { from: None });
        log.fact(
            "r1",
            Fact::FullResyncDone {
                id: history(1),
                offset: 200,
                keys: 0,
            },
        );
        log.stream("r1", 1, 300, 8);
        assert_valid(&log.converge_and_check());
    }

    #[test]
    fn a_promotion_below_what_was_applied_is_flagged() {
        let mut log = Log::formed();
        log.stream("m1", 1, 200, 7).stream("r1", 1, 200, 7);
        log.at(20_000).crash("m1", CrashKind::Kill);
        log.later(1600).agree_on_failure("m1").elect_r1(150);
        let whole = crate::trace::StateLoad::Whole {
            current_epoch: 3,
            last_vote_epoch: 0,
        };
        log.later(1000)
            .start("m1", whole)
            .later(10)
            .m1_follows_r1(200);
        let words = "r1 was promoted at offset 150, although it had applied 200";
        assert_breaks(&log.converge_and_check(), Code::D, words);
    }
}
