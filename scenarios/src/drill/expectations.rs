//! `[expect]`: what must hold of the measures, in one line each.

use std::ops::Range;

use redrill_sim::scenario::{Comparison, Expectation, Measure, Per, Statistic, Unit};

use super::mistake::Draft;
use super::read::{Context, FromNode, OneOrMany};
use super::source::Spanned;
use super::suggest::did_you_mean;
use super::tree::{Table, Value};
use super::units::{FromText, Period, Wrong};

/// The measure of a name.
pub(super) fn measure_of(name: &str) -> Option<Measure> {
    Measure::ALL
        .into_iter()
        .find(|measure| measure.name() == name)
}

/// Whether a key of `[expect]` is so called.
pub(crate) fn is_measure(name: &str) -> bool {
    measure_of(name).is_some()
}

/// Reads `[expect]`.
pub(crate) fn read(table: &Table, context: &mut Context<'_>) -> Vec<Spanned<Expectation>> {
    let mut expectations = Vec::new();
    for entry in &table.entries {
        let name = &entry.key.value;
        let Some(measure) = measure_of(name) else {
            let names = Measure::ALL.into_iter().map(Measure::name);
            context.mistakes.add(
                Draft::error(
                    format!("unknown measure `{name}` in [expect]"),
                    entry.key.span,
                    "nothing is measured under this name",
                )
                .help_if(did_you_mean(name, names)),
            );
            continue;
        };
        if let Value::Integer(_) | Value::Float(_) = entry.value.value {
            context.mistakes.add(
                Draft::error(
                    "an expectation without a comparison",
                    entry.value.span,
                    "a number alone",
                )
                .help(USAGE),
            );
            continue;
        }
        let Some(lines) = OneOrMany::<String>::from_node(&entry.value, context) else {
            continue;
        };
        for line in lines.0 {
            match parse(&line.value, measure) {
                Ok(mut expectation) => {
                    expectation.line = context.sources.line(line.span);
                    expectations.push(Spanned::new(expectation, line.span));
                }
                Err(wrong) => {
                    let node = Spanned::new(Value::Text(line.value.clone()), line.span);
                    context.wrong(&node, &line.value, wrong);
                }
            }
        }
    }
    expectations
}

const USAGE: &str = "write a statistic, a comparison and a bound, as in \"p(99) < 10s\" or \
                     \"count == 0\"";

fn parse(text: &str, measure: Measure) -> Result<Expectation, Wrong> {
    let (comparison, symbol) = comparison(text, USAGE)?;
    let statistic =
        statistic(text[..symbol.start].trim()).map_err(|wrong| wrong.at(0..symbol.start))?;
    let bound_text = text[symbol.end..].trim();
    let bound_at = text.len() - text[symbol.end..].trim_start().len();
    let bound = bound(bound_text, statistic, measure)
        .map_err(|wrong| wrong.at(bound_at..bound_at + bound_text.len()))?;
    Ok(Expectation {
        measure,
        statistic,
        comparison,
        bound,
        text: format!("{} {}", measure.name(), text.trim()),
        line: 0,
    })
}

/// The comparison in a text, and where it stands.
pub(super) fn comparison(text: &str, usage: &str) -> Result<(Comparison, Range<usize>), Wrong> {
    let Some(at) = text.find(['<', '>', '=', '!']) else {
        return Err(
            Wrong::new("an expectation without a comparison", "compared with what?").help(usage),
        );
    };
    let symbol_length = text[at..]
        .find(|letter: char| !"<>=!".contains(letter))
        .unwrap_or(text.len() - at);
    let place = at..at + symbol_length;
    let comparison = match &text[place.clone()] {
        "<" => Comparison::Less,
        "<=" => Comparison::LessOrEqual,
        "==" => Comparison::Equal,
        ">=" => Comparison::GreaterOrEqual,
        ">" => Comparison::Greater,
        other => {
            let wrong = Wrong::new(format!("unknown comparison `{other}`"), "not a comparison")
                .at(place.clone());
            return Err(wrong.help(match other {
                "=" => "did you mean `==`?",
                "=<" => "did you mean `<=`?",
                "=>" => "did you mean `>=`?",
                _ => "known: <, <=, ==, >=, >",
            }));
        }
    };
    Ok((comparison, place))
}

pub(super) fn statistic(text: &str) -> Result<Statistic, Wrong> {
    const NAMES: &[&str] = &["min", "mean", "median", "p(99)", "max", "count"];
    match text {
        "min" => return Ok(Statistic::Min),
        "mean" | "avg" => return Ok(Statistic::Mean),
        "median" => return Ok(Statistic::Median),
        "max" => return Ok(Statistic::Max),
        "count" => return Ok(Statistic::Count),
        "" => {
            return Err(Wrong::new("an expectation without a statistic", "of what?").help(USAGE));
        }
        _ => {}
    }
    if let Some(number) = text.strip_prefix('p') {
        let number = number.trim().trim_start_matches('(').trim_end_matches(')');
        if let Ok(percent) = number.trim().parse::<f64>() {
            if (0.0..=100.0).contains(&percent) {
                return Ok(Statistic::Percentile(percent));
            }
            return Err(Wrong::new(
                format!("there is no {percent}th percentile"),
                "expected 0 to 100",
            ));
        }
    }
    let wrong = Wrong::new(format!("unknown statistic `{text}`"), "not a statistic");
    Err(match did_you_mean(text, NAMES.iter().copied()) {
        Some(help) => wrong.help(help),
        None => wrong,
    })
}

/// The bound in the unit of [`Expectation::bound`].
pub(super) fn bound(text: &str, statistic: Statistic, measure: Measure) -> Result<f64, Wrong> {
    if text.is_empty() {
        return Err(
            Wrong::new("an expectation without a bound", "compared with what?").help(USAGE),
        );
    }
    let counts = statistic == Statistic::Count;
    match measure.unit() {
        Unit::Time | Unit::Share if counts && measure.per() == Per::Run => Err(Wrong::new(
            "there is one value a run: nothing to count",
            "expected min, mean, median, p(..) or max before it",
        )),
        Unit::Time if counts => number(text, "the number of values is counted"),
        Unit::Time => {
            if text == "0" {
                return Ok(0.0);
            }
            Ok(Period::from_text(text)?.us as f64 / 1000.0)
        }
        Unit::Number => number(text, "this measure is a number"),
        Unit::Share => match text.strip_suffix('%') {
            Some(percent) => Ok(number(percent.trim(), "expected a percentage")? / 100.0),
            None => number(text, "expected a share such as 0.05 or 5%"),
        },
    }
}

pub(super) fn number(text: &str, label: &str) -> Result<f64, Wrong> {
    let number = text.replace('_', "").parse::<f64>().ok();
    number
        .filter(|number| number.is_finite() && *number >= 0.0)
        .ok_or_else(|| Wrong::new(format!("`{text}` is not a number"), label))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn time(text: &str) -> Result<Expectation, Wrong> {
        parse(text, Measure::FailoverTime)
    }

    #[test]
    fn an_expectation_is_a_statistic_a_comparison_and_a_bound() {
        let expectation = time("p(99) < 10s").unwrap();
        assert_eq!(expectation.statistic, Statistic::Percentile(99.0));
        assert_eq!(expectation.comparison, Comparison::Less);
        assert_eq!(expectation.bound, 10_000.0);
        assert_eq!(expectation.text, "failover-time p(99) < 10s");
        assert_eq!(time("p95<=1.5s").unwrap().bound, 1500.0);
        assert_eq!(time("count >= 1").unwrap().bound, 1.0);
    }

    #[test]
    fn a_bound_is_in_the_unit_of_its_measure() {
        let share = |text| parse(text, Measure::FailedOperations);
        assert_eq!(share("max < 5%").unwrap().bound, 0.05);
        assert_eq!(share("max < 0.05").unwrap().bound, 0.05);
        assert!(share("count == 0").is_err());
        let count = |text| parse(text, Measure::LostAckedWrites);
        assert_eq!(count("max <= 600").unwrap().bound, 600.0);
        assert!(count("max <= 6s").is_err());
        assert!(time("max < 5").is_err());
    }

    #[test]
    fn what_is_wrong_is_placed_within_the_line() {
        assert_eq!(time("max = 5s").unwrap_err().range, Some(4..5));
        assert_eq!(time("maximum < 5s").unwrap_err().range, Some(0..8));
        assert_eq!(time("max < 5sek").unwrap_err().range, Some(6..10));
        assert!(time("max 5s").is_err());
        assert!(time("p(101) < 5s").is_err());
        assert!(time("< 5s").is_err());
        assert!(time("max <").is_err());
    }
}
