//! The values of an axis as they are written: `1000..15000:log8`, `1s..15s:step2s`, `a, b, c`.

use std::ops::Range;

use crate::drill::units::{Wrong, magnitude_us};

/// The most values an axis may have.
const MOST_VALUES: usize = 200;

/// Digits that a point between the ends of a logarithmic range has, and of a linear one. More are
/// used where points would coincide.
const DIGITS_LOG: i32 = 2;
const DIGITS_LINEAR: i32 = 3;
const MOST_DIGITS: i32 = 9;

const USAGE: &str = "write 1000..15000:log8 (8 points, spaced by a factor), 1000..15000:lin8, \
                     1000..5000:step500, or values with commas between them";

/// One value of an axis.
#[derive(Clone, PartialEq, Debug)]
pub(crate) struct Written {
    /// As it could stand behind `--set path=`.
    pub(crate) text: String,
    /// Where it, or the range it comes from, stands in the text.
    pub(crate) range: Range<usize>,
}

/// Reads the values of an axis: one or more, all different.
pub(crate) fn values(text: &str) -> Result<Vec<Written>, Wrong> {
    let mut values: Vec<Written> = Vec::new();
    for piece in pieces(text) {
        let written = &text[piece.clone()];
        if written.is_empty() {
            return Err(Wrong::new("an empty value", "nothing here")
                .at(piece.start.saturating_sub(1)..(piece.end + 1).min(text.len()))
                .help(USAGE));
        }
        let texts =
            match range(written).map_err(|wrong| wrong.behind(piece.start, written.len()))? {
                Some(texts) => texts,
                None => vec![written.to_owned()],
            };
        for text in texts {
            if values.iter().any(|value| value.text == text) {
                return Err(Wrong::new(format!("the value {text} twice"), "again here").at(piece));
            }
            values.push(Written {
                text,
                range: piece.clone(),
            });
        }
    }
    if values.len() > MOST_VALUES {
        let count = values.len();
        return Err(Wrong::new(
            format!("{count} values"),
            format!("at most {MOST_VALUES} fit on an axis"),
        ));
    }
    Ok(values)
}

/// What a value stands for on an axis of numbers: milliseconds for times. `None` if it is no number.
pub(crate) fn position(text: &str) -> Option<f64> {
    let text = text.trim().trim_matches(['"', '\'']);
    match Quantity::read(text).ok()? {
        Quantity { number, unit: "" } => Some(number),
        Quantity { unit: "%", number } => Some(number / 100.0),
        Quantity { number, .. } => Some(magnitude_us(text).map_or(number, |us| us / 1000.0)),
    }
}

/// The places of the pieces between commas. A comma in quotes or brackets separates nothing.
fn pieces(text: &str) -> Vec<Range<usize>> {
    let mut pieces = Vec::new();
    let (mut start, mut depth, mut quote) = (0, 0_usize, None);
    for (at, letter) in text.char_indices() {
        match (quote, letter) {
            (Some(open), _) if letter == open => quote = None,
            (Some(_), _) => {}
            (None, '"' | '\'') => quote = Some(letter),
            (None, '(' | '[' | '{') => depth += 1,
            (None, ')' | ']' | '}') => depth = depth.saturating_sub(1),
            (None, ',') if depth == 0 => {
                pieces.push(trimmed(text, start..at));
                start = at + 1;
            }
            (None, _) => {}
        }
    }
    pieces.push(trimmed(text, start..text.len()));
    pieces
}

fn trimmed(text: &str, range: Range<usize>) -> Range<usize> {
    let piece = &text[range.clone()];
    let start = range.start + (piece.len() - piece.trim_start().len());
    start..start + piece.trim().len()
}

/// A number and what stands behind it.
#[derive(Clone, Copy, PartialEq, Debug)]
struct Quantity<'a> {
    number: f64,
    unit: &'a str,
}

impl<'a> Quantity<'a> {
    fn read(text: &'a str) -> Result<Self, Wrong> {
        let body = text.trim();
        let end = body
            .char_indices()
            .find(|(at, letter)| {
                let sign = *at == 0 && "+-".contains(*letter);
                !(sign || letter.is_ascii_digit() || "._".contains(*letter))
            })
            .map_or(body.len(), |(at, _)| at);
        let unit = body[end..].trim();
        let is_unit = |letter: char| letter.is_alphabetic() || "/%µ".contains(letter);
        match body[..end].replace('_', "").parse::<f64>() {
            Ok(number) if number.is_finite() && unit.chars().all(is_unit) => {
                Ok(Self { number, unit })
            }
            Ok(_) | Err(_) => Err(Wrong::new(
                format!("`{body}` is not a number"),
                "expected a number, and perhaps a unit",
            )),
        }
    }
}

/// The points of a range; `None` if the text is none.
fn range(text: &str) -> Result<Option<Vec<String>>, Wrong> {
    let begins = text.starts_with(|letter: char| letter.is_ascii_digit() || ".-+".contains(letter));
    let Some(dots) = text.find("..").filter(|_| begins) else {
        return Ok(None);
    };
    let from = &text[..dots];
    let rest = &text[dots + 2..];
    let Some(colon) = rest.find(':') else {
        return Err(Wrong::new("a range without points", "which of them?").help(USAGE));
    };
    let to = &rest[..colon];
    let to_at = dots + 2..dots + 2 + colon;
    let points = &rest[colon + 1..];
    let points_at = dots + 3 + colon..text.len();
    let (low, high, unit) = ends(from, to).map_err(|(second, wrong)| {
        let place = if second { to_at.clone() } else { 0..dots };
        wrong.at(place)
    })?;
    if low >= high {
        return Err(Wrong::new("a range that does not rise", "not above the first").at(to_at));
    }
    let is_whole = !from.contains('.') && !to.contains('.') && unit.is_empty();
    let spacing = Spacing::read(points, unit).map_err(|wrong| wrong.at(points_at.clone()))?;
    let numbers = spacing
        .points(low, high, is_whole)
        .map_err(|wrong| wrong.at(points_at))?;
    let texts = numbers.into_iter().map(|number| shown(number, unit));
    Ok(Some(texts.collect()))
}

/// Both ends in one unit. An error tells whether it is about the second.
fn ends<'a>(from: &'a str, to: &'a str) -> Result<(f64, f64, &'a str), (bool, Wrong)> {
    let low = Quantity::read(from).map_err(|wrong| (false, wrong))?;
    let high = Quantity::read(to).map_err(|wrong| (true, wrong))?;
    match (low.unit, high.unit) {
        (one, other) if one == other => Ok((low.number, high.number, one)),
        ("", unit) => Ok((low.number, high.number, unit)),
        (unit, other) => {
            let us = |text, second| magnitude_us(text).map_err(|_| (second, mixed(unit, other)));
            // In the unit of the lower end, which is the smaller one.
            let factor = us(from, false)? / low.number;
            Ok((low.number, us(to, true)? / factor, unit))
        }
    }
}

fn mixed(one: &str, other: &str) -> Wrong {
    Wrong::new(
        format!("a range from `{one}` to `{other}`"),
        "another unit than the other end",
    )
    .help("give both ends in one unit")
}

/// Where the points of a range stand.
#[derive(Clone, Copy, PartialEq, Debug)]
enum Spacing {
    Logarithmic(usize),
    Linear(usize),
    Step(f64),
}

impl Spacing {
    fn read(text: &str, unit: &str) -> Result<Self, Wrong> {
        let text = text.trim();
        if let Some(step) = text.strip_prefix("step") {
            let step = Quantity::read(step)?;
            if step.unit != unit && !step.unit.is_empty() {
                return Err(mixed(unit, step.unit));
            }
            if step.number <= 0.0 {
                return Err(Wrong::new(
                    "a step that leads nowhere",
                    "expected more than zero",
                ));
            }
            return Ok(Self::Step(step.number));
        }
        let (is_log, count) = match (text.strip_prefix("log"), text.strip_prefix("lin")) {
            (Some(count), _) => (true, count),
            (None, Some(count)) => (false, count),
            (None, None) => (false, text),
        };
        match count.parse::<usize>() {
            Ok(count @ 2..=MOST_VALUES) if is_log => Ok(Self::Logarithmic(count)),
            Ok(count @ 2..=MOST_VALUES) => Ok(Self::Linear(count)),
            Ok(_) => Err(Wrong::new(
                "an impossible number of points",
                format!("expected 2 to {MOST_VALUES}"),
            )),
            Err(_) => Err(Wrong::new(
                format!("unknown points `{text}`"),
                "expected log8, lin8 or step500",
            )
            .help(USAGE)),
        }
    }

    fn points(self, low: f64, high: f64, is_whole: bool) -> Result<Vec<f64>, Wrong> {
        let (count, digits) = match self {
            Self::Step(step) => return steps(low, high, step),
            Self::Linear(count) => (count, DIGITS_LINEAR),
            Self::Logarithmic(_) if low <= 0.0 => {
                return Err(Wrong::new(
                    "a logarithmic range from zero",
                    "nothing times a factor rises",
                )
                .help("start above zero, or write lin instead of log"));
            }
            Self::Logarithmic(count) => (count, DIGITS_LOG),
        };
        let last = count - 1;
        let point = |place: usize, digits: i32| {
            let share = place as f64 / last as f64;
            match (place, self) {
                (0, _) => low,
                (place, _) if place == last => high,
                (_, Self::Logarithmic(_)) => {
                    rounded(low * (high / low).powf(share), digits, is_whole)
                }
                (_, Self::Linear(_) | Self::Step(_)) => {
                    rounded(low + (high - low) * share, digits, is_whole)
                }
            }
        };
        (digits..=MOST_DIGITS)
            .map(|digits| (0..count).map(|place| point(place, digits)).collect())
            .find(|points: &Vec<f64>| points.windows(2).all(|pair| pair[0] < pair[1]))
            .ok_or_else(|| {
                Wrong::new(
                    format!("{count} points do not fit between whole numbers this close"),
                    "fewer would",
                )
                .help("take fewer points, or write the ends with a decimal point: 0.0..1.0:lin5")
            })
    }
}

/// Every point that is a whole number of steps above the lower end.
fn steps(low: f64, high: f64, step: f64) -> Result<Vec<f64>, Wrong> {
    // Steps of 0.1 shall reach the end, whatever the last bits say.
    let count = ((high - low) / step + 1e-9).floor();
    if count >= MOST_VALUES as f64 {
        return Err(Wrong::new(
            format!("{} values", count + 1.0),
            format!("at most {MOST_VALUES} fit on an axis"),
        )
        .help("take longer steps"));
    }
    Ok((0..=count as usize)
        .map(|place| low + place as f64 * step)
        .collect())
}

/// To so many digits that say something.
fn rounded(value: f64, digits: i32, is_whole: bool) -> f64 {
    let magnitude = value.abs().log10().floor() as i32;
    let decimals = digits - 1 - magnitude;
    let decimals = if is_whole { decimals.min(0) } else { decimals };
    let factor = 10_f64.powi(decimals.abs());
    if decimals < 0 {
        (value / factor).round() * factor
    } else {
        (value * factor).round() / factor
    }
}

fn shown(number: f64, unit: &str) -> String {
    // Nine decimals are more than any value has that was not rounded wrongly by a bit.
    let text = format!("{number:.9}");
    let text = text.trim_end_matches('0').trim_end_matches('.');
    format!("{text}{unit}")
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn texts(text: &str) -> Vec<String> {
        let values = values(text).unwrap_or_else(|wrong| panic!("{text}: {wrong:?}"));
        values.into_iter().map(|value| value.text).collect()
    }

    fn wrong(text: &str) -> Wrong {
        values(text).expect_err(text)
    }

    #[test]
    fn a_logarithmic_range_has_round_points_and_its_ends() {
        let eight = "1000 1500 2200 3200 4700 6900 10000 15000";
        assert_eq!(texts("1000..15000:log8").join(" "), eight);
        assert_eq!(texts("1..4:log3").join(" "), "1 2 4");
        assert_eq!(texts("1s..15s:log3").join(" "), "1s 3.9s 15s");
        assert_eq!(texts("0.01..1:log3").join(" "), "0.01 0.1 1");
    }

    #[test]
    fn a_linear_range_and_one_by_steps_are_even() {
        assert_eq!(
            texts("1000..3000:lin5").join(" "),
            "1000 1500 2000 2500 3000"
        );
        assert_eq!(texts("1000..3000:3"), texts("1000..3000:lin3"));
        assert_eq!(texts("0.0..1.0:lin5").join(" "), "0 0.25 0.5 0.75 1");
        assert_eq!(texts("1000..2600:step500").join(" "), "1000 1500 2000 2500");
        assert_eq!(texts("0.1..0.5:step0.1").join(" "), "0.1 0.2 0.3 0.4 0.5");
        assert_eq!(texts("1s..5s:step2s").join(" "), "1s 3s 5s");
        assert_eq!(texts("5%..15%:lin3").join(" "), "5% 10% 15%");
    }

    #[test]
    fn the_ends_may_have_different_units_of_time() {
        assert_eq!(texts("500ms..2s:log3").join(" "), "500ms 1000ms 2000ms");
        assert_eq!(texts("1..15s:lin2").join(" "), "1s 15s");
        assert_eq!(wrong("5kB..1s:lin3").range, Some(0..3));
    }

    #[test]
    fn commas_separate_unless_they_stand_in_quotes_or_brackets() {
        assert_eq!(texts("no, yes"), ["no", "yes"]);
        let both = r#""normal(1ms, 0.2ms)","lognormal(p50 = 1ms, p99 = 6ms)""#;
        assert_eq!(texts(both).len(), 2);
        assert_eq!(texts("normal(1ms, 0.2ms),5ms").len(), 2);
        assert_eq!(texts(r#"["zone:a", "rest"]"#).len(), 1);
        assert_eq!(texts(r#""zone:a,c""#).len(), 1);
        assert_eq!(texts("500,1000..3000:lin3").join(" "), "500 1000 2000 3000");
    }

    #[test]
    fn what_is_wrong_is_placed_and_the_way_out_named() {
        assert_eq!(wrong("1000..15000").message, "a range without points");
        assert_eq!(wrong("1000..15000:log").range, Some(12..15));
        assert_eq!(wrong("1000..15000:log1").range, Some(12..16));
        assert_eq!(wrong("15000..1000:log8").range, Some(7..11));
        assert_eq!(wrong("7,1000..x:log8").range, Some(8..9));
        assert_eq!(wrong("0..10:log3").range, Some(6..10));
        assert_eq!(wrong("1..3:lin9").range, Some(5..9));
        assert_eq!(wrong("1..1000:step1").range, Some(8..13));
        assert_eq!(wrong("1000,,2000").message, "an empty value");
        assert_eq!(wrong("1,2,1").range, Some(4..5));
        assert_eq!(wrong("").message, "an empty value");
    }

    #[test]
    fn what_is_a_number_has_a_place_on_an_axis() {
        assert_eq!(position("1500"), Some(1500.0));
        assert_eq!(position("1.5s"), Some(1500.0));
        assert_eq!(position("\"5%\""), Some(0.05));
        assert_eq!(position("64kB"), Some(64.0));
        assert_eq!(position("normal(1ms, 2ms)"), None);
        assert_eq!(position("redis-7.0"), None);
    }

    proptest! {
        #[test]
        fn points_rise_from_one_end_to_the_other(
            low in 1_u32..5000, more in 1_u32..50_000, count in 2_usize..20, is_log: bool,
        ) {
            let spacing = if is_log { "log" } else { "lin" };
            let text = format!("{low}..{}:{spacing}{count}", low + more);
            if let Ok(values) = values(&text) {
                let numbers: Vec<f64> = values.iter().filter_map(|it| position(&it.text)).collect();
                prop_assert_eq!(numbers.len(), count);
                prop_assert!(numbers.windows(2).all(|pair| pair[0] < pair[1]));
                prop_assert_eq!(numbers[0], f64::from(low));
                prop_assert_eq!(numbers[count - 1], f64::from(low + more));
            } else {
                prop_assert!((more as usize) < 2 * count);
            }
        }

        #[test]
        fn nonsense_is_an_answer_and_not_a_crash(text in "[0-9a-z.,:%(\\[\"µ -]{0,40}") {
            if let Ok(values) = values(&text) {
                prop_assert!(!values.is_empty());
            }
        }
    }
}
