//! `[[step]]`: one verb, one trigger, and what goes with them.

use redrill_sim::scenario::{Step, Trigger};

use super::Checker;
use super::step_actions::StepReader;
use crate::drill::log_phrases;
use crate::drill::mistake::Draft;
use crate::drill::schema;
use crate::drill::selector::Names;
use crate::drill::source::{Span, Spanned};

const VERBS: &str = "partition, cut, block, stall, crash, restart, degrade, clock, slow-disk, \
                     run, move-slots, load";

/// A step, and where its times are written.
pub(super) struct PlacedStep {
    pub(super) step: Step,
    pub(super) at: Span,
    pub(super) lasts: Span,
}

pub(super) fn steps(
    written: Option<&Spanned<Vec<Spanned<schema::Step>>>>,
    names: &Names<'_>,
    checker: &mut Checker<'_, '_>,
) -> Vec<PlacedStep> {
    let written = written.map_or(&[][..], |steps| &steps.value);
    (written.iter())
        .filter_map(|step| {
            let verb = Verb::of(&step.value, step.span, checker);
            let trigger = trigger(step, names, checker);
            // The rest is looked at even if one of them is wrong, to tell all mistakes at once.
            let reader = StepReader {
                step: &step.value,
                span: step.span,
                names,
            };
            let verb = verb?;
            reader.report_strays(verb, checker);
            let action = reader.action(verb, checker);
            let lasts_us = reader.lasts(verb, checker);
            let expectation = reader.expectation(checker);
            let step = Step {
                trigger: trigger?,
                action: action?,
                lasts_us,
                expectation,
                line: checker.line(step.span),
            };
            let lasts = (reader.step.lasts.as_ref()).or(reader.step.restart_after.as_ref());
            Some(PlacedStep {
                step,
                at: reader.step.at.as_ref().map_or(reader.span, |at| at.span),
                lasts: lasts.map_or(reader.span, |lasts| lasts.span),
            })
        })
        .collect()
}

/// The keys of a step that say what happens.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Verb {
    Partition,
    Cut,
    Block,
    Stall,
    Crash,
    Restart,
    Degrade,
    Clock,
    SlowDisk,
    Run,
    MoveSlots,
    Load,
}

impl Verb {
    pub(super) const fn name(self) -> &'static str {
        match self {
            Self::Partition => "partition",
            Self::Cut => "cut",
            Self::Block => "block",
            Self::Stall => "stall",
            Self::Crash => "crash",
            Self::Restart => "restart",
            Self::Degrade => "degrade",
            Self::Clock => "clock",
            Self::SlowDisk => "slow-disk",
            Self::Run => "run",
            Self::MoveSlots => "move-slots",
            Self::Load => "load",
        }
    }

    /// The verb of a step; reports none, and more than one.
    fn of(step: &schema::Step, span: Span, checker: &mut Checker<'_, '_>) -> Option<Self> {
        let written_verbs = || VERBS.split(", ");
        let written = [
            (Self::Partition, step.partition.as_ref().map(|it| it.span)),
            (Self::Cut, step.cut.as_ref().map(|it| it.span)),
            (Self::Block, step.block.as_ref().map(|it| it.span)),
            (Self::Stall, step.stall.as_ref().map(|it| it.span)),
            (Self::Crash, step.crash.as_ref().map(|it| it.span)),
            (Self::Restart, step.restart.as_ref().map(|it| it.span)),
            (Self::Degrade, step.degrade.as_ref().map(|it| it.span)),
            (Self::Clock, step.clock.as_ref().map(|it| it.span)),
            (Self::SlowDisk, step.slow_disk.as_ref().map(|it| it.span)),
            (Self::Run, step.run.as_ref().map(|it| it.span)),
            (Self::MoveSlots, step.move_slots.as_ref().map(|it| it.span)),
            (Self::Load, step.load.as_ref().map(|it| it.span)),
        ];
        let mut given = written
            .into_iter()
            .filter_map(|(verb, span)| Some((verb, span?)));
        let Some((verb, first)) = given.next() else {
            if written_verbs().any(|name| step.unreadable.contains(&name)) {
                return None;
            }
            checker.add(
                Draft::error("a step without a verb", span, "nothing happens here")
                    .help(format!("add one of {VERBS}")),
            );
            return None;
        };
        if let Some((other, second)) = given.next() {
            checker.add(
                Draft::error("a step with two verbs", second, other.name())
                    .also(first, verb.name())
                    .help("write two steps with the same `at`"),
            );
        }
        Some(verb)
    }

    /// Whether it happens at once and is never undone.
    pub(super) const fn is_instant(self) -> bool {
        match self {
            Self::Restart | Self::Run | Self::MoveSlots => true,
            Self::Partition
            | Self::Cut
            | Self::Block
            | Self::Stall
            | Self::Crash
            | Self::Degrade
            | Self::Clock
            | Self::SlowDisk
            | Self::Load => false,
        }
    }
}

fn trigger(
    step: &Spanned<schema::Step>,
    names: &Names<'_>,
    checker: &mut Checker<'_, '_>,
) -> Option<Trigger> {
    let written = &step.value;
    match (&written.at, &written.after) {
        (Some(at), Some(after)) => {
            checker.add(
                Draft::error("a step with two triggers", after.span, "`after` an event")
                    .also(at.span, "`at` a time"),
            );
            None
        }
        (None, None)
            if ["at", "after"]
                .iter()
                .any(|key| written.unreadable.contains(key)) =>
        {
            None
        }
        (None, None) => {
            checker.add(
                Draft::error("a step without a trigger", step.span, "when?")
                    .help("add at = \"30s\", or after = \"...\" with a part of a node's log line"),
            );
            None
        }
        (Some(at), None) => {
            for (key, span) in [
                ("nth", written.nth.as_ref().map(|it| it.span)),
                ("delay", written.delay.as_ref().map(|it| it.span)),
            ] {
                if let Some(span) = span {
                    checker.add(
                        Draft::error(format!("`{key}` without `after`"), span, "of what?")
                            .help("`at` has `jitter`"),
                    );
                }
            }
            Some(Trigger::At {
                at_us: at.value.us,
                jitter_us: written.jitter.as_ref().map_or(0, |jitter| jitter.value.us),
            })
        }
        (None, Some(after)) => after_trigger(written, after, names, checker),
    }
}

fn after_trigger(
    step: &schema::Step,
    after: &Spanned<String>,
    names: &Names<'_>,
    checker: &mut Checker<'_, '_>,
) -> Option<Trigger> {
    if let Some(jitter) = &step.jitter {
        checker.add(
            Draft::error("`jitter` without `at`", jitter.span, "around what?")
                .help("`after` has `delay`"),
        );
    }
    let (ordinal, text) = split_ordinal(after.value.trim());
    if let (Some(_), Some(nth)) = (ordinal, &step.nth) {
        checker.add(
            Draft::error("the occurrence is given twice", nth.span, "here")
                .also(after.span, "and here"),
        );
    }
    if let Some(nth) = &step.nth
        && !(1..=u64::from(u32::MAX)).contains(&nth.value)
    {
        checker.add(Draft::error(
            "occurrences are counted from 1",
            nth.span,
            "expected 1 or more",
        ));
    }
    if text.is_empty() {
        checker.add(Draft::error("an empty trigger", after.span, "after what?"));
        return None;
    }
    if !log_phrases::is_said(text, names) {
        let help = match log_phrases::nearest_phrase(text) {
            Some(phrase) => format!("did you mean \"{phrase}\"?"),
            None => "`after` takes a part of a node's log line, such as \"failover election won\""
                .to_owned(),
        };
        checker.add(
            Draft::warning(
                "no node ever logs this",
                after.span,
                "the step would never happen",
            )
            .help(help),
        );
    }
    let nth = step.nth.as_ref().map_or(1, |nth| nth.value as u32);
    Some(Trigger::After {
        text: text.to_owned(),
        nth: ordinal.unwrap_or(nth),
        delay_us: step.delay.as_ref().map_or(0, |delay| delay.value.us),
    })
}

/// Splits `second vote granted` into 2 and `vote granted`.
fn split_ordinal(text: &str) -> (Option<u32>, &str) {
    const WORDS: [&str; 10] = [
        "first", "second", "third", "fourth", "fifth", "sixth", "seventh", "eighth", "ninth",
        "tenth",
    ];
    let Some((word, rest)) = text.split_once(' ') else {
        return (None, text);
    };
    let number = match WORDS.iter().position(|known| *known == word.to_lowercase()) {
        Some(place) => Some(place as u32 + 1),
        None => (["st", "nd", "rd", "th"].iter())
            .find_map(|ending| word.strip_suffix(ending)?.parse::<u32>().ok())
            .filter(|number| *number > 0),
    };
    match number {
        Some(number) => (Some(number), rest.trim_start()),
        None => (None, text),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_ordinal_counts_occurrences() {
        assert_eq!(
            split_ordinal("second vote granted"),
            (Some(2), "vote granted")
        );
        assert_eq!(
            split_ordinal("12th vote granted"),
            (Some(12), "vote granted")
        );
        assert_eq!(split_ordinal("vote granted"), (None, "vote granted"));
        assert_eq!(split_ordinal("0th vote"), (None, "0th vote"));
        assert_eq!(split_ordinal("FAIL"), (None, "FAIL"));
    }
}
