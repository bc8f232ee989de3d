//! Service level objectives: `write-gap p99 < 10s, false-failovers < 0.01/day`.

use std::ops::Range;

use redrill_reports::sweep::{Goal, GoalStatistic};
use redrill_sim::scenario::{Comparison, Measure, Statistic, Unit};

use super::expectations;
use super::suggest::did_you_mean;
use super::units::{FromText, Period, Wrong};

const USAGE: &str = "write limits such as \"write-gap p99 < 10s, false-failovers < 0.01/day\"";

/// Periods of time that a rate can be given by, in days.
const PERIODS: &[(&str, f64)] = &[
    ("hour", 1.0 / 24.0),
    ("h", 1.0 / 24.0),
    ("day", 1.0),
    ("d", 1.0),
    ("week", 7.0),
    ("month", 30.0),
    ("year", 365.0),
];

/// Reads goals with commas between them; at least one.
pub(crate) fn parse(text: &str) -> Result<Vec<Goal>, Wrong> {
    let mut goals = Vec::new();
    let mut start = 0;
    for piece in text.split(',') {
        let goal = goal(piece).map_err(|wrong| {
            let lead = piece.len() - piece.trim_start().len();
            match wrong.range {
                Some(_) => wrong.behind(start, piece.len()),
                None => wrong.at(start + lead..start + lead + piece.trim().len().max(1)),
            }
        })?;
        goals.push(goal);
        start += piece.len() + 1;
    }
    Ok(goals)
}

fn goal(text: &str) -> Result<Goal, Wrong> {
    if text.trim().is_empty() {
        return Err(Wrong::new("an empty objective", "nothing here").help(USAGE));
    }
    let (measure, name) = measure(text)?;
    let (comparison, symbol) = expectations::comparison(text, USAGE)?;
    match comparison {
        Comparison::Less | Comparison::LessOrEqual => {}
        Comparison::Equal | Comparison::GreaterOrEqual | Comparison::Greater => {
            return Err(
                Wrong::new("an objective that is no upper limit", "not a limit")
                    .at(symbol)
                    .help("write < or <=; what never happens is bounded by a rate: < 0.01/day"),
            );
        }
    }
    let between = name.end..symbol.start;
    let bound_at = text.len() - text[symbol.end..].trim_start().len();
    let bound_text = text[symbol.end..].trim();
    let bound_place = bound_at..bound_at + bound_text.len();
    let (statistic, bound) = match text[between.clone()].trim() {
        "" => rate(bound_text, measure).map_err(|wrong| placed(wrong, bound_place))?,
        written => {
            let statistic = statistic(written).map_err(|wrong| wrong.at(between))?;
            let bound = limit(bound_text, statistic, measure)
                .map_err(|wrong| placed(wrong, bound_place))?;
            (statistic, bound)
        }
    };
    Ok(Goal {
        measure,
        statistic,
        comparison,
        bound,
        text: text.trim().to_owned(),
    })
}

fn placed(wrong: Wrong, place: Range<usize>) -> Wrong {
    match wrong.range {
        Some(_) => wrong.behind(place.start, place.len()),
        None => wrong.at(place),
    }
}

/// The measure a goal begins with, and where its name stands.
fn measure(text: &str) -> Result<(Measure, Range<usize>), Wrong> {
    let start = text.len() - text.trim_start().len();
    let end = text[start..]
        .find(|letter: char| letter.is_whitespace() || "<>=!".contains(letter))
        .map_or(text.len(), |at| start + at);
    let name = &text[start..end];
    match expectations::measure_of(name) {
        Some(measure) => Ok((measure, start..end)),
        None => {
            let names = Measure::ALL.into_iter().map(Measure::name);
            let wrong = Wrong::new(
                format!("unknown measure `{name}`"),
                "nothing is measured under this name",
            )
            .at(start..end.max(start + 1));
            Err(match did_you_mean(name, names) {
                Some(help) => wrong.help(help),
                None => wrong.help("docs/drills.md lists the measures"),
            })
        }
    }
}

fn statistic(text: &str) -> Result<GoalStatistic, Wrong> {
    match expectations::statistic(text)? {
        Statistic::Median => Ok(GoalStatistic::Quantile(0.5)),
        Statistic::Percentile(percent) if percent > 0.0 && percent < 100.0 => {
            Ok(GoalStatistic::Quantile(percent / 100.0))
        }
        Statistic::Max => Ok(GoalStatistic::Max),
        Statistic::Percentile(_) | Statistic::Min | Statistic::Mean | Statistic::Count => {
            Err(Wrong::new(
                format!("no objective can be held against `{text}`"),
                "not a statistic of objectives",
            )
            .help("use median, p95, p99 or max, or a rate: < 0.01/day"))
        }
    }
}

fn limit(text: &str, statistic: GoalStatistic, measure: Measure) -> Result<f64, Wrong> {
    if let Some(slash) = text.find('/') {
        return Err(Wrong::new("a statistic has no rate", "of what?")
            .at(slash..text.len())
            .help("leave out the statistic, or the time behind the slash"));
    }
    let statistic = match statistic {
        GoalStatistic::Quantile(share) => Statistic::Percentile(share * 100.0),
        GoalStatistic::Max | GoalStatistic::PerDay => Statistic::Max,
    };
    expectations::bound(text, statistic, measure)
}

/// A bound such as `0.01/day`.
fn rate(text: &str, measure: Measure) -> Result<(GoalStatistic, f64), Wrong> {
    let Some(slash) = text.find('/') else {
        return Err(no_statistic(measure));
    };
    if !measure.adds_up() {
        return Err(
            Wrong::new(format!("{} has no rate", measure.name()), "a rate here").help(format!(
                "write a statistic, as in \"{} p99 < {}\"",
                measure.name(),
                example(measure)
            )),
        );
    }
    let (amount, period) = (text[..slash].trim(), text[slash + 1..].trim());
    let Some((_, days)) = PERIODS.iter().find(|(name, _)| *name == period) else {
        let names = PERIODS.iter().map(|(name, _)| *name);
        let wrong = Wrong::new(format!("unknown period `{period}`"), "not a period")
            .at(slash + 1..text.len().max(slash + 2));
        return Err(match did_you_mean(period, names) {
            Some(help) => wrong.help(help),
            None => wrong,
        });
    };
    let amount = match measure.unit() {
        Unit::Time => Period::from_text(amount).map(|period| period.us as f64 / 1000.0),
        Unit::Number | Unit::Share => expectations::number(amount, "expected a number"),
    };
    let amount = amount.map_err(|wrong| placed(wrong, 0..slash))?;
    Ok((GoalStatistic::PerDay, amount / days))
}

fn no_statistic(measure: Measure) -> Wrong {
    let name = measure.name();
    let wrong = Wrong::new("an objective without a statistic", "which of the values?");
    if measure.adds_up() {
        let rate = match measure.unit() {
            Unit::Time => "30s/day",
            Unit::Number | Unit::Share => "0.01/day",
        };
        wrong.help(format!("write a rate, as in \"{name} < {rate}\""))
    } else {
        wrong.help(format!("write \"{name} p99 < {}\"", example(measure)))
    }
}

const fn example(measure: Measure) -> &'static str {
    match measure.unit() {
        Unit::Time => "10s",
        Unit::Number => "10",
        Unit::Share => "1%",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn one(text: &str) -> Goal {
        let mut goals = parse(text).unwrap_or_else(|wrong| panic!("{text}: {wrong:?}"));
        assert_eq!(goals.len(), 1);
        goals.remove(0)
    }

    #[test]
    fn an_objective_is_a_measure_and_a_limit() {
        let goals = parse("write-gap p99 < 10s, false-failovers < 0.01/day").unwrap();
        assert_eq!(goals[0].measure, Measure::WriteGap);
        assert_eq!(goals[0].statistic, GoalStatistic::Quantile(0.99));
        assert_eq!(goals[0].bound, 10_000.0);
        assert_eq!(goals[1].statistic, GoalStatistic::PerDay);
        assert_eq!(goals[1].bound, 0.01);
        assert_eq!(goals[1].text, "false-failovers < 0.01/day");
        assert_eq!(one("failover-time max<=8s").statistic, GoalStatistic::Max);
        assert_eq!(one("false-failovers < 7/week").bound, 1.0);
    }

    #[test]
    fn what_is_wrong_with_an_objective_is_placed_in_its_text() {
        let wrong = |text: &str| parse(text).expect_err(text);
        let at = |text: &str| {
            let range = wrong(text).range.expect("a place");
            text[range].to_owned()
        };
        assert_eq!(
            at("write-gap p99 < 10s, false-failover < 1/day"),
            "false-failover"
        );
        assert_eq!(at("write-gap p99 < 10sek"), "sek");
        assert_eq!(at("write-gap p99 = 10s"), "=");
        assert_eq!(at("write-gap p99 > 10s"), ">");
        assert_eq!(at("write-gap mean < 10s").trim(), "mean");
        assert_eq!(at("false-failovers < 1/fortnight"), "fortnight");
        assert_eq!(at("failover-time p99 < 10s/day"), "/day");
        assert_eq!(at("write-gap < 10s"), "10s");
        assert_eq!(at("write-gap < 10s/day"), "10s/day");
        assert_eq!(at("false-failovers < x/day"), "x");
        for text in [
            "",
            ",",
            "write-gap",
            "write-gap p99",
            "write-gap p99 <",
            "< 5s",
        ] {
            assert!(wrong(text).help.is_some(), "{text}");
        }
    }
}
