//! The written forms of quantities: durations, rates, shares, sizes, distributions.

use std::ops::Range;

/// Longest time a drill may speak of.
pub(crate) const MAX_DURATION_US: u64 = 30 * 24 * 3600 * SECOND_US;

pub(crate) const MILLISECOND_US: u64 = 1_000;
pub(crate) const SECOND_US: u64 = 1_000_000;

/// What is wrong with a text, and where in it.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) struct Wrong {
    /// Byte range in the text; `None`: all of it.
    pub(crate) range: Option<Range<usize>>,
    pub(crate) message: String,
    pub(crate) label: String,
    pub(crate) help: Option<String>,
}

impl Wrong {
    pub(crate) fn new(message: impl Into<String>, label: impl Into<String>) -> Self {
        Self {
            range: None,
            message: message.into(),
            label: label.into(),
            help: None,
        }
    }

    pub(crate) fn help(mut self, help: impl Into<String>) -> Self {
        self.help = Some(help.into());
        self
    }

    pub(crate) fn at(mut self, range: Range<usize>) -> Self {
        self.range = Some(range);
        self
    }

    /// Moves the place, for a text that is a part of another.
    pub(crate) fn behind(mut self, start: usize, length: usize) -> Self {
        let range = self.range.unwrap_or(0..length);
        self.range = Some(range.start + start..range.end + start);
        self
    }
}

/// Something written as a string in a drill.
pub(crate) trait FromText: Sized {
    /// What messages call it, with an example.
    const EXPECTED: &'static str;

    fn from_text(text: &str) -> Result<Self, Wrong>;
}

/// A length of time.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub(crate) struct Period {
    pub(crate) us: u64,
}

/// A length of time forwards or backwards.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Jump {
    pub(crate) us: i64,
}

/// Operations per second.
#[derive(Clone, Copy, PartialEq, Debug)]
pub(crate) struct Rate {
    pub(crate) per_s: f64,
}

/// Bytes per second.
#[derive(Clone, Copy, PartialEq, Debug)]
pub(crate) struct Bandwidth {
    pub(crate) bytes_per_s: u64,
}

/// An amount of bytes.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Size {
    pub(crate) bytes: u64,
}

impl FromText for Period {
    const EXPECTED: &'static str = "a duration such as \"30s\", \"500ms\" or \"1.5m\"";

    fn from_text(text: &str) -> Result<Self, Wrong> {
        if text.trim_start().starts_with('-') {
            return Err(Wrong::new("a negative duration", "less than nothing"));
        }
        Ok(Self {
            us: magnitude_us(text)?.round() as u64,
        })
    }
}

impl FromText for Jump {
    const EXPECTED: &'static str = "a jump such as \"-3s\" or \"+500ms\"";

    fn from_text(text: &str) -> Result<Self, Wrong> {
        let trimmed = text.trim();
        let (sign, rest) = match trimmed.strip_prefix('-') {
            Some(rest) => (-1, rest),
            None => (1, trimmed.strip_prefix('+').unwrap_or(trimmed)),
        };
        let start = text.len() - text.trim_start().len() + trimmed.len() - rest.len();
        let us = magnitude_us(rest).map_err(|wrong| wrong.behind(start, rest.len()))?;
        Ok(Self {
            us: sign * us.round() as i64,
        })
    }
}

impl FromText for Rate {
    const EXPECTED: &'static str = "a rate such as \"200/s\"";

    fn from_text(text: &str) -> Result<Self, Wrong> {
        let (number, unit, unit_at) = split_number(text)?;
        let per_s = match unit {
            "/s" => number,
            "/m" | "/min" => number / 60.0,
            "/h" => number / 3600.0,
            "/d" | "/day" => number / 86_400.0,
            other => {
                return Err(unit_wrong(other, unit_at, &["/s", "/min", "/h", "/day"])
                    .help("write \"200/s\" for a rate per second, \"6/h\" for one per hour"));
            }
        };
        if per_s > 1e7 {
            return Err(Wrong::new("the rate is too high", "at most 10000000/s"));
        }
        Ok(Self { per_s })
    }
}

impl FromText for Bandwidth {
    const EXPECTED: &'static str = "a bandwidth such as \"1Gbit/s\" or \"100MB/s\"";

    fn from_text(text: &str) -> Result<Self, Wrong> {
        const UNITS: &[(&str, f64)] = &[
            ("B/s", 1.0),
            ("kB/s", 1e3),
            ("KB/s", 1e3),
            ("MB/s", 1e6),
            ("GB/s", 1e9),
            ("kbit/s", 1e3 / 8.0),
            ("Mbit/s", 1e6 / 8.0),
            ("Gbit/s", 1e9 / 8.0),
        ];
        let bytes = scaled(text, UNITS)?;
        if bytes < 1.0 {
            return Err(Wrong::new("a link without bandwidth", "nothing would pass")
                .help("use a `partition` step to cut a link"));
        }
        Ok(Self {
            bytes_per_s: bytes as u64,
        })
    }
}

impl FromText for Size {
    const EXPECTED: &'static str = "a size such as \"64B\" or \"1KB\"";

    fn from_text(text: &str) -> Result<Self, Wrong> {
        const UNITS: &[(&str, f64)] = &[
            ("B", 1.0),
            ("kB", 1e3),
            ("KB", 1e3),
            ("KiB", 1024.0),
            ("MB", 1e6),
            ("MiB", 1_048_576.0),
        ];
        Ok(Self {
            bytes: scaled(text, UNITS)?.round() as u64,
        })
    }
}

/// Reads a magnitude with a unit of time, microseconds.
pub(crate) fn magnitude_us(text: &str) -> Result<f64, Wrong> {
    const UNITS: &[(&str, f64)] = &[
        ("us", 1.0),
        ("µs", 1.0),
        ("ms", 1e3),
        ("s", 1e6),
        ("m", 60e6),
        ("min", 60e6),
        ("h", 3600e6),
    ];
    let us = scaled(text, UNITS)?;
    if us > MAX_DURATION_US as f64 {
        return Err(Wrong::new("the time is too long", "at most 30 days"));
    }
    Ok(us)
}

fn scaled(text: &str, units: &[(&str, f64)]) -> Result<f64, Wrong> {
    let (number, unit, unit_at) = split_number(text)?;
    match units.iter().find(|(name, _)| *name == unit) {
        Some((_, factor)) => Ok(number * factor),
        None => {
            let names: Vec<&str> = units.iter().map(|(name, _)| *name).collect();
            Err(unit_wrong(unit, unit_at, &names))
        }
    }
}

fn unit_wrong(unit: &str, at: Range<usize>, known: &[&str]) -> Wrong {
    if unit.is_empty() {
        return Wrong::new("a number without a unit", "what of?")
            .help(format!("units: {}", known.join(", ")));
    }
    let same = known.iter().find(|name| name.eq_ignore_ascii_case(unit));
    let long = match unit.trim_end_matches('s') {
        "second" | "sec" => Some("s"),
        "millisecond" | "milli" | "msec" => Some("ms"),
        "microsecond" | "micro" | "usec" => Some("us"),
        "minute" | "mins" => Some("m"),
        "hour" => Some("h"),
        _ => None,
    };
    let guess = (same.copied()).or_else(|| long.filter(|long| known.contains(long)));
    Wrong::new(format!("unknown unit `{unit}`"), "not a unit")
        .at(at)
        .help(match guess {
            Some(guess) => format!("did you mean `{guess}`?"),
            None => format!("units: {}", known.join(", ")),
        })
}

/// Splits `1.5ms` into the number, the unit and where the unit stands.
fn split_number(text: &str) -> Result<(f64, &str, Range<usize>), Wrong> {
    let lead = text.len() - text.trim_start().len();
    let body = text.trim();
    let end = body
        .find(|letter: char| !letter.is_ascii_digit() && letter != '.' && letter != '_')
        .unwrap_or(body.len());
    let unit = body[end..].trim_start();
    let unit_start = lead + body.len() - unit.len();
    let number = body[..end].replace('_', "").parse::<f64>();
    match number {
        Ok(number) => Ok((number, unit, unit_start..unit_start + unit.len())),
        Err(_) if body.is_empty() => Err(Wrong::new("an empty value", "nothing here")),
        Err(_) => Err(Wrong::new(
            format!("`{body}` does not start with a number"),
            "expected a number and a unit",
        )),
    }
}

/// A duration for people: `30 s`, `2.5 s`, `400 ms`.
pub(crate) fn duration_text(us: f64) -> String {
    let (value, unit) = if us >= 600e6 && us % 60e6 == 0.0 {
        (us / 60e6, "min")
    } else if us >= 1e6 {
        (us / 1e6, "s")
    } else if us >= 1e3 {
        (us / 1e3, "ms")
    } else {
        (us, "us")
    };
    format!("{} {unit}", number_text(value))
}

/// A number for people: no trailing zeros, at most three decimals.
pub(crate) fn number_text(value: f64) -> String {
    let text = format!("{value:.3}");
    match text.trim_end_matches('0').trim_end_matches('.') {
        "" | "-" | "-0" => "0".to_owned(),
        trimmed => trimmed.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn us(text: &str) -> u64 {
        Period::from_text(text).unwrap().us
    }

    #[test]
    fn durations_are_read_with_their_units() {
        assert_eq!(us("30s"), 30_000_000);
        assert_eq!(us("500ms"), 500_000);
        assert_eq!(us("1.5s"), 1_500_000);
        assert_eq!(us("2m"), 120_000_000);
        assert_eq!(us("250us"), 250);
        assert_eq!(us(" 1 h "), 3_600_000_000);
    }

    #[test]
    fn a_wrong_unit_is_named_and_placed() {
        let wrong = Period::from_text("30 secs").unwrap_err();
        assert_eq!(wrong.range, Some(3..7));
        assert_eq!(wrong.help.as_deref(), Some("did you mean `s`?"));
        let wrong = Period::from_text("30").unwrap_err();
        assert_eq!(wrong.message, "a number without a unit");
        assert!(Period::from_text("-3s").is_err());
        assert!(Period::from_text("400d").is_err());
        assert!(Period::from_text("").is_err());
        assert!(Period::from_text("soon").is_err());
        assert!(Period::from_text("1.2.3s").is_err());
    }

    #[test]
    fn a_jump_has_a_sign() {
        assert_eq!(Jump::from_text("-3s").unwrap().us, -3_000_000);
        assert_eq!(Jump::from_text("+40ms").unwrap().us, 40_000);
        assert_eq!(Jump::from_text("+40mx").unwrap_err().range, Some(3..5));
    }

    #[test]
    fn rates_and_sizes_are_read() {
        assert_eq!(Rate::from_text("200/s").unwrap().per_s, 200.0);
        assert_eq!(Rate::from_text("30/min").unwrap().per_s, 0.5);
        assert!(Rate::from_text("200").is_err());
        assert_eq!(
            Bandwidth::from_text("1Gbit/s").unwrap().bytes_per_s,
            125_000_000
        );
        assert!(Bandwidth::from_text("0MB/s").is_err());
        assert_eq!(Size::from_text("1KiB").unwrap().bytes, 1024);
    }

    #[test]
    fn durations_read_well() {
        assert_eq!(duration_text(30e6), "30 s");
        assert_eq!(duration_text(2.5e6), "2.5 s");
        assert_eq!(duration_text(250.0), "250 us");
        assert_eq!(duration_text(900e6), "15 min");
        assert_eq!(duration_text(90e6), "90 s");
    }
}
