//! Replication histories: who produced which bytes, and where histories forked.
//!
//! A write stands at an offset of a history. A node holds it exactly if its own history, or one
//! its history forked from at or after that offset, is the write's.

use indexmap::IndexMap;
use redrill_node::{FailoverKind, ReplicationId, SlotRange};
use rustc_hash::FxBuildHasher;

use crate::trace::NodeNumber;

/// Place of a history in [`Histories`].
pub(super) type HistoryNumber = u32;

/// All histories of a run.
#[derive(Default)]
pub(super) struct Histories {
    numbers: IndexMap<ReplicationId, HistoryNumber, FxBuildHasher>,
    list: Vec<History>,
}

/// One history.
pub(super) struct History {
    /// What it goes on from, and up to which offset.
    pub(super) parent: Option<(HistoryNumber, u64)>,
    /// Who began it.
    pub(super) origin: Option<Origin>,
    /// The slots that the node which began it owned then; nothing for a promotion.
    pub(super) slots: Vec<SlotRange>,
    /// What is known of its bytes, by offset.
    points: Vec<Point>,
}

/// How a history began.
#[derive(Clone, Copy, Debug)]
pub(super) struct Origin {
    /// The node that began it.
    pub(super) node: NodeNumber,
    /// When.
    pub(super) at_us: u64,
    /// The promotion that forked it, if one did (place in the list of promotions).
    pub(super) promotion: Option<usize>,
    /// The restart after which it began, if one did.
    pub(super) restart: Option<Restart>,
}

/// A restart of a master.
#[derive(Clone, Copy, Debug)]
pub(super) struct Restart {
    /// When the process had ended.
    pub(super) ended_us: u64,
    /// Place of that record.
    pub(super) place: usize,
    /// Whether the host lost power.
    pub(super) power_off: bool,
    /// Whether the node keeps its data.
    pub(super) persistent: bool,
    /// Where it had stood.
    pub(super) before: Option<(HistoryNumber, u64)>,
}

/// A promotion.
#[derive(Clone, Copy, Debug)]
pub(super) struct Promotion {
    /// Who was promoted.
    pub(super) node: NodeNumber,
    /// In whose place.
    pub(super) master: Option<NodeNumber>,
    /// When.
    pub(super) at_us: u64,
    /// Place of the record.
    pub(super) place: usize,
    /// How.
    pub(super) how: FailoverKind,
}

/// What the stream was at an offset.
#[derive(Clone, Copy, Debug)]
pub(super) struct Point {
    /// Offset.
    pub(super) offset: u64,
    /// Digest of everything up to it.
    pub(super) digest: u64,
    /// Who told.
    pub(super) node: NodeNumber,
    /// Place of the record.
    pub(super) place: usize,
}

impl Histories {
    /// The number of a history, new if need be.
    pub(super) fn number(&mut self, id: ReplicationId) -> HistoryNumber {
        let next = self.list.len() as HistoryNumber;
        let number = *self.numbers.entry(id).or_insert(next);
        if number == next {
            self.list.push(History {
                parent: None,
                origin: None,
                slots: Vec::new(),
                points: Vec::new(),
            });
        }
        number
    }

    /// A history that nobody has named.
    pub(super) fn unnamed(&mut self) -> HistoryNumber {
        // Ids are numbered in the order of the list: an unused one keeps its place.
        let next = self.list.len() as HistoryNumber;
        let mut bytes = [0xff; 20];
        bytes[..4].copy_from_slice(&next.to_be_bytes());
        self.number(ReplicationId(bytes))
    }

    pub(super) fn get(&self, number: HistoryNumber) -> Option<&History> {
        self.list.get(number as usize)
    }

    /// Says where a history comes from. The first word stands: others repeat what they were told.
    pub(super) fn begin(
        &mut self,
        number: HistoryNumber,
        parent: Option<(HistoryNumber, u64)>,
        origin: Origin,
        slots: Vec<SlotRange>,
    ) {
        let Some(history) = self.list.get_mut(number as usize) else {
            return;
        };
        if history.origin.is_none() {
            history.origin = Some(origin);
            history.slots = slots;
            history.parent = parent.filter(|(parent, _)| *parent != number);
        }
    }

    /// Notes a promotion as the origin of a history that its node began a moment ago.
    /// False if it was not.
    pub(super) fn promoted(
        &mut self,
        number: HistoryNumber,
        promotion: usize,
        by: &Promotion,
    ) -> bool {
        const ONE_TURN_US: u64 = 200_000;
        let origin = self
            .list
            .get_mut(number as usize)
            .and_then(|history| history.origin.as_mut());
        let Some(origin) = origin else { return false };
        let fits = origin.node == by.node
            && origin.promotion.is_none()
            && by.at_us.saturating_sub(origin.at_us) <= ONE_TURN_US;
        if fits {
            origin.promotion = Some(promotion);
        }
        fits
    }

    /// Adds what a node says of a history at an offset.
    ///
    /// # Errors
    /// The point known before, if it tells otherwise.
    pub(super) fn tell(&mut self, number: HistoryNumber, point: Point) -> Result<(), Point> {
        let Some(history) = self.list.get_mut(number as usize) else {
            return Ok(());
        };
        let points = &mut history.points;
        let place = place_of(points, point.offset);
        match points.get(place) {
            Some(known) if known.offset == point.offset => {
                let told = known.digest != 0 && point.digest != 0;
                if told && known.digest != point.digest {
                    Err(*known)
                } else {
                    Ok(())
                }
            }
            Some(_) | None => {
                points.insert(place, point);
                Ok(())
            }
        }
    }

    /// A history and all it goes on from, newest first, each with the offset up to which it is
    /// shared.
    pub(super) fn lineage(&self, number: HistoryNumber) -> Vec<(HistoryNumber, u64)> {
        let mut lineage = vec![(number, u64::MAX)];
        let mut next = number;
        while let Some((parent, offset)) = self.get(next).and_then(|history| history.parent) {
            // A malformed log may tie a knot.
            if lineage.iter().any(|(known, _)| *known == parent) {
                break;
            }
            let limit = lineage
                .last()
                .map_or(offset, |(_, limit)| offset.min(*limit));
            lineage.push((parent, limit));
            next = parent;
        }
        lineage
    }
}

/// Where a point at an offset stands, or would stand: mostly at the end, as streams go on.
fn place_of(points: &[Point], offset: u64) -> usize {
    let mut back = 1;
    while points.len() > back && points[points.len() - back].offset >= offset {
        back *= 2;
    }
    let from = points.len().saturating_sub(back);
    from + points[from..].partition_point(|known| known.offset < offset)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_point_is_found_wherever_it_stands() {
        let point = |offset| Point {
            offset,
            digest: 0,
            node: 0,
            place: 0,
        };
        for len in 0..20 {
            let points: Vec<Point> = (0..len).map(|number| point(10 * number + 10)).collect();
            for offset in 0..10 * len + 20 {
                let searched = points.partition_point(|known| known.offset < offset);
                assert_eq!(place_of(&points, offset), searched, "{offset} among {len}");
            }
        }
    }

    fn id(byte: u8) -> ReplicationId {
        ReplicationId([byte; 20])
    }

    fn origin(node: NodeNumber) -> Origin {
        Origin {
            node,
            at_us: 0,
            promotion: None,
            restart: None,
        }
    }

    #[test]
    fn a_lineage_is_cut_at_the_lowest_fork() {
        let mut histories = Histories::default();
        let (first, second, third) = (
            histories.number(id(1)),
            histories.number(id(2)),
            histories.number(id(3)),
        );
        histories.begin(second, Some((first, 100)), origin(1), Vec::new());
        histories.begin(third, Some((second, 80)), origin(2), Vec::new());
        assert_eq!(
            histories.lineage(third),
            [(third, u64::MAX), (second, 80), (first, 80)]
        );
    }

    #[test]
    fn a_knot_of_histories_ends() {
        let mut histories = Histories::default();
        let (first, second) = (histories.number(id(1)), histories.number(id(2)));
        histories.begin(second, Some((first, 100)), origin(1), Vec::new());
        histories.begin(first, Some((second, 100)), origin(1), Vec::new());
        assert_eq!(histories.lineage(first).len(), 2);
    }

    #[test]
    fn two_digests_at_one_offset_contradict_each_other() {
        let mut histories = Histories::default();
        let number = histories.number(id(1));
        let point = |offset, digest, node| Point {
            offset,
            digest,
            node,
            place: 0,
        };
        assert!(histories.tell(number, point(10, 7, 0)).is_ok());
        assert!(histories.tell(number, point(20, 8, 0)).is_ok());
        assert!(histories.tell(number, point(10, 7, 1)).is_ok());
        assert!(histories.tell(number, point(15, 9, 1)).is_ok());
        let contradiction = histories.tell(number, point(20, 9, 1));
        assert_eq!(contradiction.map_err(|known| known.node), Err(0));
    }
}
