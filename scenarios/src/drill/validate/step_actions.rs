//! What the verb of a `[[step]]` does, to whom, and for how long.

use redrill_sim::scenario::{CrashKind, Selector, StallKind, StepAction, StepExpectation};

use super::Checker;
use super::cluster_nodes::slot_ranges;
use super::steps::Verb;
use crate::drill::mistake::Draft;
use crate::drill::read::{Anything, OneOrMany};
use crate::drill::schema;
use crate::drill::selector::{self, Names, Place};
use crate::drill::source::{Span, Spanned};
use crate::drill::suggest::did_you_mean;
use crate::drill::tree::Value;
use crate::drill::units::Period;

/// Reads what goes with the verb of a step.
pub(super) struct StepReader<'a> {
    pub(super) step: &'a schema::Step,
    pub(super) span: Span,
    pub(super) names: &'a Names<'a>,
}

impl StepReader<'_> {
    /// Reports keys that go with another verb.
    pub(super) fn report_strays(&self, verb: Verb, checker: &mut Checker<'_, '_>) {
        let keys: [(&str, Option<Span>, &[Verb], &str); 5] = [
            (
                "how",
                self.step.how.as_ref().map(|it| it.span),
                &[Verb::Stall, Verb::Crash],
                "`stall` or `crash`",
            ),
            (
                "disk",
                self.step.disk.as_ref().map(|it| it.span),
                &[Verb::Crash],
                "`crash`",
            ),
            (
                "restart-after",
                self.step.restart_after.as_ref().map(|it| it.span),
                &[Verb::Crash],
                "`crash`",
            ),
            (
                "on",
                self.step.on.as_ref().map(|it| it.span),
                &[Verb::Run],
                "`run`",
            ),
            (
                "for",
                self.step.lasts.as_ref().map(|it| it.span),
                if verb.is_instant() { &[] } else { &[verb][..] },
                "a verb that lasts",
            ),
        ];
        for (key, span, verbs, words) in keys {
            if let (Some(span), false) = (span, verbs.contains(&verb)) {
                checker.add(Draft::error(
                    format!("`{key}` does not go with `{}`", verb.name()),
                    span,
                    format!("goes with {words}"),
                ));
            }
        }
    }

    pub(super) fn action(&self, verb: Verb, checker: &mut Checker<'_, '_>) -> Option<StepAction> {
        match verb {
            Verb::Partition => self.partition(checker),
            Verb::Cut => {
                let written = not_empty(self.step.cut.as_ref()?, checker)?;
                let (names, mistakes) = (self.names, &mut *checker.mistakes);
                let targets = selector::read_each(written, Place::Links, names, mistakes)?;
                Some(StepAction::Isolate { targets })
            }
            Verb::Block => self.block(checker),
            Verb::Stall => {
                let target = self.set(self.step.stall.as_ref()?, Place::Processes, checker);
                let how = self.stall_kind(checker);
                Some(StepAction::Stall {
                    target: target?,
                    how,
                })
            }
            Verb::Crash => self.crash(checker),
            Verb::Restart => {
                let target = self.set(self.step.restart.as_ref()?, Place::Processes, checker)?;
                Some(StepAction::Restart { target })
            }
            Verb::Degrade => self.degrade(checker),
            Verb::Clock => self.clock(checker),
            Verb::SlowDisk => self.slow_disk(checker),
            Verb::Run => self.run(checker),
            Verb::MoveSlots => self.move_slots(checker),
            Verb::Load => self.load(checker),
        }
    }

    fn set(
        &self,
        written: &Spanned<OneOrMany<String>>,
        place: Place,
        checker: &mut Checker<'_, '_>,
    ) -> Option<Selector> {
        let written = not_empty(written, checker)?;
        selector::read_all(written, place, self.names, checker.mistakes)
    }

    /// A set that must be given. Where it is not, its key and the keys that could not be read.
    fn needed(
        &self,
        written: Result<&Spanned<OneOrMany<String>>, (&str, &Vec<&str>)>,
        place: Place,
        missing: impl FnOnce(&str) -> Draft,
        checker: &mut Checker<'_, '_>,
    ) -> Option<Selector> {
        match written {
            Ok(written) => self.set(written, place, checker),
            Err((key, unreadable)) => {
                checker.add_missing(key, unreadable, missing);
                None
            }
        }
    }

    fn partition(&self, checker: &mut Checker<'_, '_>) -> Option<StepAction> {
        let written = self.step.partition.as_ref()?;
        let mut groups = Vec::new();
        for group in &written.value.0 {
            let members = group_members(group, checker)?;
            let (names, mistakes) = (self.names, &mut *checker.mistakes);
            let selectors = selector::read_each(&members, Place::Group, names, mistakes);
            groups.push((selectors, group.span));
        }
        if groups.len() < 2 {
            checker.add(
                Draft::error("a partition of one group", written.span, "from whom?").help(
                    "name two groups, as in [\"zone:a\", \"rest\"], or use `cut` to cut nodes \
                     off from everyone",
                ),
            );
            return None;
        }
        let groups: Vec<(Vec<Selector>, Span)> = (groups.into_iter())
            .map(|(selectors, span)| Some((selectors?, span)))
            .collect::<Option<_>>()?;
        selector::report_overlap(&groups, self.names, checker.mistakes);
        Some(StepAction::Partition {
            groups: groups.into_iter().map(|(selectors, _)| selectors).collect(),
        })
    }

    fn block(&self, checker: &mut Checker<'_, '_>) -> Option<StepAction> {
        let written = self.step.block.as_ref()?;
        let missing = |key: &str| {
            Draft::error(
                format!("a `block` without `{key}`"),
                written.span,
                "one end missing",
            )
            .help("write block = { from = \"m1\", to = \"r1\" }")
        };
        let block = &written.value;
        let from = block.from.as_ref().ok_or(("from", &block.unreadable));
        let from = self.needed(from, Place::Links, missing, checker);
        let to = block.to.as_ref().ok_or(("to", &block.unreadable));
        let to = self.needed(to, Place::Links, missing, checker);
        Some(StepAction::Block {
            from: from?,
            to: to?,
        })
    }

    fn stall_kind(&self, checker: &mut Checker<'_, '_>) -> StallKind {
        match &self.step.how {
            None => StallKind::default(),
            Some(how) => checker.word(
                how,
                "how",
                &[
                    ("debug-sleep", StallKind::DebugSleep),
                    ("sigstop", StallKind::Sigstop),
                ],
            ),
        }
    }

    fn crash(&self, checker: &mut Checker<'_, '_>) -> Option<StepAction> {
        let target = self.set(self.step.crash.as_ref()?, Place::Processes, checker);
        let how = self.step.how.as_ref().map(|how| {
            let kinds = [
                ("kill", CrashKind::Kill),
                ("power-off", CrashKind::PowerOff),
                ("shutdown", CrashKind::Shutdown),
            ];
            (checker.word(how, "how", &kinds), how.span)
        });
        let loses_unsynced = self.step.disk.as_ref().map(|disk| {
            let kinds = [("lose-unsynced", true), ("keep", false)];
            (checker.word(disk, "disk", &kinds), disk.span)
        });
        let kind = match (how, loses_unsynced) {
            (Some((kind, how)), Some((loses, disk))) if loses != (kind == CrashKind::PowerOff) => {
                checker.add(
                    Draft::error("`how` and `disk` contradict each other", disk, "here")
                        .also(how, "and here")
                        .help("only a power-off loses what was not synced, and it always does"),
                );
                kind
            }
            (Some((kind, _)), _) => kind,
            (None, Some((true, _))) => CrashKind::PowerOff,
            (None, Some((false, _)) | None) => CrashKind::default(),
        };
        if let (Some(restart), Some(lasts)) = (&self.step.restart_after, &self.step.lasts) {
            checker.add(
                Draft::error(
                    "`restart-after` and `for` say the same thing",
                    restart.span,
                    "one",
                )
                .also(lasts.span, "the other")
                .help("remove one of them"),
            );
        }
        Some(StepAction::Crash {
            target: target?,
            how: kind,
            restart_after_us: self.step.restart_after.as_ref().map(|after| after.value.us),
        })
    }

    fn degrade(&self, checker: &mut Checker<'_, '_>) -> Option<StepAction> {
        let written = self.step.degrade.as_ref()?;
        let degrade = &written.value;
        let usage = "write degrade = { between = [\"zone:a\", \"zone:c\"], loss = 0.05 }";
        let one_way = degrade.from.is_some() || degrade.to.is_some();
        let sides = match &degrade.between {
            Some(between) if one_way => {
                checker.add(Draft::error(
                    "`between` and `from`, `to` exclude each other",
                    between.span,
                    "both ways",
                ));
                return None;
            }
            Some(between) => match &between.value[..] {
                [from, to] => (Some(from), Some(to)),
                others => {
                    checker.add(
                        Draft::error(
                            "`between` takes two sides",
                            between.span,
                            format!("{} here", others.len()),
                        )
                        .help(usage),
                    );
                    return None;
                }
            },
            None => (degrade.from.as_ref(), degrade.to.as_ref()),
        };
        let missing = |_: &str| {
            Draft::error(
                "a `degrade` without two sides",
                written.span,
                "which links?",
            )
            .help(usage)
        };
        let unreadable = &degrade.unreadable;
        let (from, to) = match sides {
            // One complaint is enough.
            (None, None) => {
                checker.add_missing("between", unreadable, missing);
                (None, None)
            }
            (from, to) => {
                let from = from.ok_or(("from", unreadable));
                let to = to.ok_or(("to", unreadable));
                (
                    self.needed(from, Place::Links, missing, checker),
                    self.needed(to, Place::Links, missing, checker),
                )
            }
        };
        let loss = degrade.loss.as_ref().map_or(0.0, |loss| loss.value.0);
        let delay_us = degrade.delay.as_ref().map_or(0, |delay| delay.value.us);
        if delay_us < 0 {
            checker.add(Draft::error(
                "an impossible time: a link cannot become faster",
                degrade.delay.as_ref()?.span,
                "expected more than zero",
            ));
        }
        if loss == 0.0 && delay_us == 0 && unreadable.is_empty() {
            checker.add(
                Draft::error(
                    "a `degrade` that changes nothing",
                    written.span,
                    "neither `loss` nor `delay`",
                )
                .help(usage),
            );
        }
        Some(StepAction::Degrade {
            from: from?,
            to: to?,
            both_ways: !one_way,
            loss,
            delay_us: delay_us.max(0) as u64,
        })
    }

    fn clock(&self, checker: &mut Checker<'_, '_>) -> Option<StepAction> {
        let written = self.step.clock.as_ref()?;
        let missing = |key: &str| {
            Draft::error(
                format!("a `clock` without `{key}`"),
                written.span,
                "incomplete",
            )
            .help("write clock = { node = \"r2\", jump = \"-3s\" }")
        };
        let unreadable = &written.value.unreadable;
        let node = written.value.node.as_ref().ok_or(("node", unreadable));
        let target = self.needed(node, Place::Processes, missing, checker);
        let Some(jump) = &written.value.jump else {
            checker.add_missing("jump", unreadable, missing);
            return None;
        };
        let jump_ms = jump.value.us / 1000;
        if jump_ms == 0 {
            checker.add(Draft::error(
                "a jump that goes nowhere",
                jump.span,
                "expected a millisecond or more",
            ));
        }
        Some(StepAction::Clock {
            target: target?,
            jump_ms,
        })
    }

    fn slow_disk(&self, checker: &mut Checker<'_, '_>) -> Option<StepAction> {
        let written = self.step.slow_disk.as_ref()?;
        let missing = |key: &str| {
            Draft::error(
                format!("a `slow-disk` without `{key}`"),
                written.span,
                "incomplete",
            )
            .help("write slow-disk = { node = \"m1\", fsync = \"200ms\" }")
        };
        let unreadable = &written.value.unreadable;
        let node = written.value.node.as_ref().ok_or(("node", unreadable));
        let target = self.needed(node, Place::Processes, missing, checker);
        let Some(fsync) = &written.value.fsync else {
            checker.add_missing("fsync", unreadable, missing);
            return None;
        };
        Some(StepAction::SlowDisk {
            target: target?,
            fsync: fsync.value,
        })
    }

    fn run(&self, checker: &mut Checker<'_, '_>) -> Option<StepAction> {
        let written = self.step.run.as_ref()?;
        let missing = |_: &str| {
            Draft::error("a `run` without `on`", written.span, "where?")
                .help("add on = \"r1\", the node that gets the command")
        };
        let on = self.step.on.as_ref().ok_or(("on", &self.step.unreadable));
        let on = self.needed(on, Place::Processes, missing, checker);
        let command = written.value.trim();
        if command.is_empty() {
            checker.add(Draft::error(
                "an empty command",
                written.span,
                "nothing to run",
            ));
            return None;
        }
        self.report_unknown_ids(written, checker);
        Some(StepAction::Run {
            command: command.to_owned(),
            on: on?,
        })
    }

    fn move_slots(&self, checker: &mut Checker<'_, '_>) -> Option<StepAction> {
        const USAGE: &str = "write move-slots = { slots = \"0-99\", from = \"m1\", to = \"m2\" }";
        let written = self.step.move_slots.as_ref()?;
        let missing = |key: &str| {
            Draft::error(
                format!("a `move-slots` without `{key}`"),
                written.span,
                "incomplete",
            )
            .help(USAGE)
        };
        let moves = &written.value;
        let from = moves.from.as_ref().ok_or(("from", &moves.unreadable));
        let from = self.needed(from, Place::Processes, missing, checker);
        let to = moves.to.as_ref().ok_or(("to", &moves.unreadable));
        let to = self.needed(to, Place::Processes, missing, checker);
        let Some(slots) = &moves.slots else {
            checker.add_missing("slots", &moves.unreadable, missing);
            return None;
        };
        let ranges = slot_ranges(&slots.value, checker);
        if ranges.is_empty() && slots.value.0.is_empty() {
            checker.add(Draft::error("no slots to move", slots.span, "an empty list").help(USAGE));
        }
        let mut sorted = ranges.clone();
        sorted.sort_by_key(|(range, _)| *range);
        if let Some(pair) = sorted
            .windows(2)
            .find(|pair| pair[1].0.first <= pair[0].0.last)
        {
            checker.add(
                Draft::error("a slot that moves twice", pair[1].1, "here")
                    .also(pair[0].1, "and here"),
            );
        }
        let (from, to) = (from?, to?);
        for (selector, written) in [(&from, &moves.from), (&to, &moves.to)] {
            let members = selector::fixed_members(selector, self.names);
            if let (Some(members), Some(written)) = (members, written)
                && members.len() > 1
            {
                checker.add(
                    Draft::error(
                        "slots move from one node to one other",
                        written.span,
                        format!("these are {}", members.len()),
                    )
                    .help(USAGE),
                );
            }
        }
        if let (Selector::Name(one), Selector::Name(other)) = (&from, &to)
            && one == other
        {
            checker.add(
                Draft::error(
                    "slots that move to where they are",
                    written.span,
                    "nothing happens",
                )
                .help(USAGE),
            );
        }
        Some(StepAction::MoveSlots {
            slots: ranges.into_iter().map(|(range, _)| range).collect(),
            from,
            to,
        })
    }

    /// Reports `{id:NAME}` where no node is called so.
    fn report_unknown_ids(&self, command: &Spanned<String>, checker: &mut Checker<'_, '_>) {
        for piece in command.value.split("{id:").skip(1) {
            let name = piece.split('}').next().unwrap_or_default();
            let node = self.names.find(name);
            if self.names.complete && !matches!(node, Some(selector::Member::Node(_))) {
                let nodes = self
                    .names
                    .cluster
                    .nodes
                    .iter()
                    .map(|node| node.name.as_str());
                checker.add(
                    Draft::error(
                        format!("no node is called `{name}`"),
                        command.span,
                        "{id:NAME} stands for a node's id",
                    )
                    .help_if(did_you_mean(name, nodes)),
                );
            }
        }
    }

    fn load(&self, checker: &mut Checker<'_, '_>) -> Option<StepAction> {
        let written = self.step.load.as_ref()?;
        let Some(factor) = &written.value.factor else {
            checker.add_missing("factor", &written.value.unreadable, |key| {
                Draft::error(
                    format!("a `load` without `{key}`"),
                    written.span,
                    "incomplete",
                )
                .help("write load = { factor = 2 }")
            });
            return None;
        };
        if !(0.0..=1000.0).contains(&factor.value) {
            checker.add(Draft::error(
                "an impossible load",
                factor.span,
                "expected a factor from 0 to 1000",
            ));
        }
        if self.names.clients.is_empty() && self.names.complete {
            checker.add(Draft::error(
                "a load without clients",
                written.span,
                "the drill has no clients",
            ));
        }
        Some(StepAction::Load {
            factor: factor.value,
        })
    }

    pub(super) fn lasts(&self, verb: Verb, checker: &mut Checker<'_, '_>) -> Option<u64> {
        if verb == Verb::Stall && self.step.lasts.is_none() {
            checker.add_missing("for", &self.step.unreadable, |_| {
                Draft::error("a stall without an end", self.span, "for how long?")
                    .help("add for = \"20s\"")
            });
        }
        for (key, written) in [
            ("for", &self.step.lasts),
            ("restart-after", &self.step.restart_after),
        ] {
            if let Some(Spanned {
                value: Period { us: 0 },
                span,
            }) = written
            {
                checker.add(Draft::error(
                    format!("an impossible time: `{key}` nothing"),
                    *span,
                    "expected more than zero",
                ));
            }
        }
        self.step.lasts.as_ref().map(|lasts| lasts.value.us)
    }

    pub(super) fn expectation(&self, checker: &mut Checker<'_, '_>) -> Option<StepExpectation> {
        let written = self.step.expect.as_ref()?;
        Some(checker.word(
            written,
            "expect",
            &[
                ("failover", StepExpectation::Failover),
                ("no-failover", StepExpectation::NoFailover),
            ],
        ))
    }
}

/// The selectors of a group: one, or a list.
fn group_members(
    group: &Spanned<Anything>,
    checker: &mut Checker<'_, '_>,
) -> Option<Vec<Spanned<String>>> {
    if let Value::Text(text) = &group.value.0 {
        return Some(vec![Spanned::new(text.clone(), group.span)]);
    }
    let nodes = if let Value::List(nodes) = &group.value.0 {
        nodes.as_slice()
    } else {
        &[]
    };
    let mut members = Vec::new();
    for node in nodes {
        if let Value::Text(text) = &node.value {
            members.push(Spanned::new(text.clone(), node.span));
        }
    }
    if members.is_empty() || members.len() < nodes.len() {
        checker.add(
            Draft::error(
                "not a group of a partition",
                group.span,
                "expected selectors",
            )
            .help("a group is \"zone:a\", or a list such as [\"m1\", \"c1\"]"),
        );
        return None;
    }
    Some(members)
}

/// The selectors of a list; reports that there is none.
pub(super) fn not_empty<'w>(
    written: &'w Spanned<OneOrMany<String>>,
    checker: &mut Checker<'_, '_>,
) -> Option<&'w [Spanned<String>]> {
    if written.value.0.is_empty() {
        checker.add(Draft::error(
            "a selector that matches nothing",
            written.span,
            "an empty list",
        ));
        return None;
    }
    Some(&written.value.0)
}
