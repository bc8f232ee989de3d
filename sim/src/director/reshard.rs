//! Moving slots with their keys from one master to another, as `redis-cli --cluster reshard` does:
//! slot by slot, one command after the other, until one is refused.

use std::collections::VecDeque;
use std::net::SocketAddr;

use redrill_node::{NodeId, Slot, SlotRange, Word};

use super::formation::{Command, PATIENCE_US};
use crate::recorder::Answer;
use crate::trace::NodeNumber;

/// Keys that go with one `MIGRATE` (`--cluster-pipeline`).
const KEYS_AT_ONCE: usize = 10;

/// How long a `MIGRATE` may take, ms (`--cluster-timeout`).
const MIGRATE_TIMEOUT_MS: u64 = 60_000;

/// What a source says that became a replica when it lost its last slot. That is no failure.
const LOST_ITS_LAST_SLOT: &str = "Please use SETSLOT only with masters.";

/// One end of the way.
#[derive(Clone, Copy, Debug)]
pub(super) struct End {
    pub(super) node: NodeNumber,
    pub(super) id: NodeId,
    pub(super) address: SocketAddr,
}

/// Slots that are being moved.
#[derive(Clone, Debug)]
pub(super) struct Reshard {
    from: End,
    to: End,
    /// The other masters, which are told too.
    others: Vec<NodeNumber>,
    /// Those that are not moved yet, the one under way first.
    slots: VecDeque<Slot>,
    stage: Stage,
    moved: usize,
    /// Why it stopped before the end.
    stopped: Option<String>,
}

/// What is to be done next for a slot.
#[derive(Clone, Debug)]
enum Stage {
    Importing,
    Migrating,
    List,
    Carry(Vec<Word>),
    TellTarget,
    TellSource,
    /// The place among the others.
    TellOther(usize),
}

impl Reshard {
    pub(super) fn new(from: End, to: End, others: Vec<NodeNumber>, slots: &[SlotRange]) -> Self {
        let slots = slots.iter().flat_map(|range| range.first..=range.last);
        Self {
            from,
            to,
            others,
            slots: slots.collect(),
            stage: Stage::Importing,
            moved: 0,
            stopped: None,
        }
    }

    /// Number of slots that were moved.
    pub(super) const fn moved(&self) -> usize {
        self.moved
    }

    /// Why it stopped before the end.
    pub(super) fn stopped(&self) -> Option<&str> {
        self.stopped.as_deref()
    }

    /// The next command; `None` if it is over.
    pub(super) fn next(&self) -> Option<(NodeNumber, Command)> {
        let slot = *self.slots.front().filter(|_| self.stopped.is_none())?;
        let (from, to) = (&self.from, &self.to);
        let end = || Command::new(format!("CLUSTER SETSLOT {slot} NODE {}", to.id));
        Some(match &self.stage {
            Stage::Importing => {
                let line = format!("CLUSTER SETSLOT {slot} IMPORTING {}", from.id);
                (to.node, Command::new(line))
            }
            Stage::Migrating => {
                let line = format!("CLUSTER SETSLOT {slot} MIGRATING {}", to.id);
                (from.node, Command::new(line))
            }
            Stage::List => {
                let line = format!("CLUSTER GETKEYSINSLOT {slot} {KEYS_AT_ONCE}");
                (from.node, Command::new(line))
            }
            Stage::Carry(keys) => (from.node, self.migrate(keys)),
            Stage::TellTarget => (to.node, end()),
            Stage::TellSource => (from.node, end()),
            Stage::TellOther(place) => (*self.others.get(*place)?, end()),
        })
    }

    fn migrate(&self, keys: &[Word]) -> Command {
        let (host, port) = (self.to.address.ip(), self.to.address.port());
        let start = format!("MIGRATE {host} {port}");
        let rest = format!("0 {MIGRATE_TIMEOUT_MS} KEYS");
        let words = start.split(' ').chain([""]).chain(rest.split(' '));
        let words = words.map(|word| Word::copy_from_slice(word.as_bytes()));
        Command {
            words: words.chain(keys.iter().cloned()).collect(),
            text: format!("{start} \"\" {rest} ({} keys)", keys.len()),
            patience_us: PATIENCE_US + MIGRATE_TIMEOUT_MS * 1000,
        }
    }

    /// The last command was answered. `who` is the name of the node it went to.
    pub(super) fn answered(&mut self, who: &str, command: &str, answer: &Answer) {
        let is_excused =
            matches!(self.stage, Stage::TellSource) && answer.text.contains(LOST_ITS_LAST_SLOT);
        if answer.failed && !is_excused {
            self.stopped = Some(format!("`{command}` on {who}: {}", answer.text));
            return;
        }
        self.stage = match &self.stage {
            Stage::Importing => Stage::Migrating,
            Stage::Migrating | Stage::Carry(_) => Stage::List,
            Stage::List if answer.text == "(empty array)" => Stage::TellTarget,
            Stage::List => {
                let keys = answer.text.lines();
                Stage::Carry(
                    keys.map(|key| Word::copy_from_slice(key.as_bytes()))
                        .collect(),
                )
            }
            Stage::TellTarget => Stage::TellSource,
            Stage::TellSource => self.tell_other(0),
            Stage::TellOther(place) => self.tell_other(place + 1),
        };
    }

    fn tell_other(&mut self, place: usize) -> Stage {
        if place < self.others.len() {
            return Stage::TellOther(place);
        }
        self.slots.pop_front();
        self.moved += 1;
        Stage::Importing
    }
}

#[cfg(test)]
mod tests {
    use std::net::Ipv4Addr;

    use super::*;

    fn end(node: NodeNumber) -> End {
        End {
            node,
            id: NodeId([node as u8; 20]),
            address: (Ipv4Addr::LOCALHOST, 7000 + node).into(),
        }
    }

    fn reshard() -> Reshard {
        let slots = [SlotRange { first: 4, last: 5 }];
        Reshard::new(end(0), end(1), vec![2], &slots)
    }

    fn answer(text: &str, failed: bool) -> Answer {
        let text = text.to_owned();
        Answer { text, failed }
    }

    /// Carries a reshard out; `says` answers.
    fn carry_out(mut reshard: Reshard, says: impl Fn(&str) -> Answer) -> (Reshard, Vec<String>) {
        let mut sent = Vec::new();
        while let Some((node, command)) = reshard.next() {
            sent.push(format!("{node}: {}", command.text));
            reshard.answered("x", &command.text, &says(&command.text));
            assert!(sent.len() < 100, "{sent:?}");
        }
        (reshard, sent)
    }

    #[test]
    fn every_slot_is_opened_emptied_and_closed_at_the_target_first() {
        let (reshard, sent) = carry_out(reshard(), |line| match line.contains("GETKEYS") {
            true => answer("(empty array)", false),
            false => answer("OK", false),
        });
        let (from, to) = (end(0).id, end(1).id);
        let slot_4 = [
            format!("1: CLUSTER SETSLOT 4 IMPORTING {from}"),
            format!("0: CLUSTER SETSLOT 4 MIGRATING {to}"),
            "0: CLUSTER GETKEYSINSLOT 4 10".to_owned(),
            format!("1: CLUSTER SETSLOT 4 NODE {to}"),
            format!("0: CLUSTER SETSLOT 4 NODE {to}"),
            format!("2: CLUSTER SETSLOT 4 NODE {to}"),
        ];
        assert_eq!(sent[..6], slot_4);
        assert_eq!((sent.len(), reshard.moved()), (12, 2));
        assert_eq!(reshard.stopped(), None);
    }

    #[test]
    fn keys_are_carried_until_none_is_left() {
        let mut reshard = reshard();
        for text in ["OK", "OK", "a\nb"] {
            reshard.answered("x", "", &answer(text, false));
        }
        let (node, command) = reshard.next().unwrap();
        assert_eq!(node, 0);
        let words = [
            "MIGRATE",
            "127.0.0.1",
            "7001",
            "",
            "0",
            "60000",
            "KEYS",
            "a",
            "b",
        ];
        assert_eq!(*command.words, words);
        reshard.answered("x", "", &answer("OK", false));
        assert!(reshard.next().unwrap().1.text.contains("GETKEYSINSLOT"));
    }

    #[test]
    fn it_stops_where_a_command_is_refused() {
        let (reshard, sent) = carry_out(reshard(), |line| match line.contains("MIGRATING") {
            true => answer("(error) ERR no", true),
            false => answer("OK", false),
        });
        assert_eq!((sent.len(), reshard.moved()), (2, 0));
        assert!(reshard.stopped().unwrap().ends_with("on x: (error) ERR no"));
    }

    #[test]
    fn a_source_that_lost_its_last_slot_need_not_be_told() {
        let mut reshard = reshard();
        for text in ["OK", "OK", "(empty array)", "OK"] {
            reshard.answered("x", "", &answer(text, false));
        }
        let refused = "(error) ERR Please use SETSLOT only with masters.";
        reshard.answered("x", "", &answer(refused, true));
        assert_eq!(reshard.stopped(), None);
        assert_eq!(reshard.next().unwrap().0, 2);
        // To anybody else that is a failure.
        reshard.answered("x", "", &answer(refused, true));
        assert!(reshard.stopped().is_some());
    }
}
