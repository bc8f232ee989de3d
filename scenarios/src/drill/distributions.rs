//! The written forms of distributions and of choices of keys: `normal(1ms, 0.2ms)`.

use std::ops::Range;

use redrill_sim::scenario::{Keys, Latency};

use super::suggest::nearest;
use super::units::{FromText, Wrong, magnitude_us};

impl FromText for Latency {
    const EXPECTED: &'static str = "a latency such as \"1ms\", \"normal(1ms, 0.2ms)\" or \
                                    \"lognormal(p50 = 1ms, p99 = 6ms)\"";

    fn from_text(text: &str) -> Result<Self, Wrong> {
        let Some(call) = Call::parse(text)? else {
            let value_us = magnitude_us(text)?;
            return Ok(Self::Constant { value_us });
        };
        let wrong = |message: &str| Err(Wrong::new(message, "").at(call.arguments_at.clone()));
        match call.name {
            "constant" => call
                .durations(&["value"])
                .map(|[value_us]| Self::Constant { value_us }),
            "uniform" => {
                let [low_us, high_us] = call.durations(&["low", "high"])?;
                if low_us > high_us {
                    return wrong("the lower bound is above the upper");
                }
                Ok(Self::Uniform { low_us, high_us })
            }
            "normal" => {
                let [mean_us, deviation_us] = call.durations(&["mean", "deviation"])?;
                Ok(Self::Normal {
                    mean_us,
                    deviation_us,
                })
            }
            "lognormal" => {
                let [p50_us, p99_us] = call.durations(&["p50", "p99"])?;
                if p50_us <= 0.0 || p99_us <= p50_us {
                    return wrong("p99 must be above p50, and both above zero");
                }
                Ok(Self::Lognormal { p50_us, p99_us })
            }
            "pareto" => {
                let [p50_us, p99_us] = call.durations(&["p50", "p99"])?;
                if p50_us <= 0.0 || p99_us <= p50_us {
                    return wrong("p99 must be above p50, and both above zero");
                }
                Ok(Self::Pareto { p50_us, p99_us })
            }
            "exponential" => {
                let [mean_us] = call.durations(&["mean"])?;
                Ok(Self::Exponential { mean_us })
            }
            _ => Err(call.unknown(
                "distribution",
                &[
                    "normal",
                    "lognormal",
                    "pareto",
                    "uniform",
                    "exponential",
                    "constant",
                ],
            )),
        }
    }
}

/// A latency that is added: it may have a plus sign, as in `degrade`.
#[derive(Clone, Copy, PartialEq, Debug)]
pub(crate) struct Delay(pub(crate) Latency);

impl FromText for Delay {
    const EXPECTED: &'static str =
        "a delay such as \"+40ms\" or \"lognormal(p50 = 20ms, p99 = 200ms)\"";

    fn from_text(text: &str) -> Result<Self, Wrong> {
        let bare = text.trim_start();
        let bare = bare.strip_prefix('+').unwrap_or(bare);
        let start = text.len() - bare.len();
        match Latency::from_text(bare) {
            Ok(latency) => Ok(Self(latency)),
            Err(wrong) => Err(wrong.behind(start, bare.len())),
        }
    }
}

impl FromText for Keys {
    const EXPECTED: &'static str =
        "keys such as \"unique\", \"uniform(10000)\" or \"zipf(10000, 0.99)\"";

    fn from_text(text: &str) -> Result<Self, Wrong> {
        const NAMES: &[&str] = &["unique", "uniform", "zipf"];
        let Some(call) = Call::parse(text)? else {
            return match text.trim() {
                "unique" => Ok(Self::Unique),
                other => Err(
                    Wrong::new(format!("unknown keys `{other}`"), "not a choice of keys").help(
                        match nearest(other, NAMES.iter().copied()) {
                            Some("uniform") => {
                                "write \"uniform(10000)\": it needs a number".to_owned()
                            }
                            Some("zipf") => {
                                "write \"zipf(10000, 0.99)\": it needs a number and an exponent"
                                    .to_owned()
                            }
                            Some(name) => format!("did you mean \"{name}\"?"),
                            None => format!("write {}", Self::EXPECTED),
                        },
                    ),
                ),
            };
        };
        match call.name {
            "uniform" => {
                let [count] = call.numbers(&["count"])?;
                Ok(Self::Uniform {
                    count: call.key_count(count)?,
                })
            }
            "zipf" => {
                let [count, exponent] = call.numbers(&["count", "exponent"])?;
                Ok(Self::Zipf {
                    count: call.key_count(count)?,
                    exponent,
                })
            }
            _ => Err(call.unknown("choice of keys", NAMES)),
        }
    }
}

/// `name(argument, key = argument)`
struct Call<'a> {
    name: &'a str,
    name_at: Range<usize>,
    arguments: Vec<(Option<&'a str>, &'a str, usize)>,
    arguments_at: Range<usize>,
}

impl<'a> Call<'a> {
    fn parse(text: &'a str) -> Result<Option<Self>, Wrong> {
        let Some(open) = text.find('(') else {
            return Ok(None);
        };
        let Some(close) = text.rfind(')').filter(|close| *close > open) else {
            return Err(Wrong::new("a `(` without its `)`", "opened here").at(open..open + 1));
        };
        if !text[close + 1..].trim().is_empty() {
            return Err(Wrong::new("something follows the `)`", "here").at(close + 1..text.len()));
        }
        let mut arguments = Vec::new();
        let mut start = open + 1;
        for piece in text[open + 1..close].split(',') {
            let (key, value) = match piece.split_once('=') {
                Some((key, value)) => (Some(key.trim()), value),
                None => (None, piece),
            };
            let value_at = start + piece.len() - value.trim_start().len();
            arguments.push((key, value.trim(), value_at));
            start += piece.len() + 1;
        }
        let lead = text.len() - text.trim_start().len();
        Ok(Some(Self {
            name: text[..open].trim(),
            name_at: lead..open,
            arguments,
            arguments_at: open + 1..close,
        }))
    }

    fn durations<const N: usize>(&self, names: &[&str; N]) -> Result<[f64; N], Wrong> {
        self.take(names, magnitude_us)
    }

    fn numbers<const N: usize>(&self, names: &[&str; N]) -> Result<[f64; N], Wrong> {
        self.take(names, |text| {
            let number = text.replace('_', "").parse::<f64>().ok();
            number
                .filter(|number| number.is_finite() && *number >= 0.0)
                .ok_or_else(|| Wrong::new(format!("`{text}` is not a number"), "expected a number"))
        })
    }

    fn take<const N: usize>(
        &self,
        names: &[&str; N],
        read: impl Fn(&str) -> Result<f64, Wrong>,
    ) -> Result<[f64; N], Wrong> {
        let usage = || format!("write \"{}({})\"", self.name, names.join(", "));
        if self.arguments.len() != N {
            let label = format!("takes {N}, got {}", self.arguments.len());
            return Err(
                Wrong::new(format!("wrong number of values for {}", self.name), label)
                    .at(self.arguments_at.clone())
                    .help(usage()),
            );
        }
        let mut values = [None; N];
        for (place, (key, text, at)) in self.arguments.iter().enumerate() {
            let index = match key {
                None => place,
                Some(key) => match names.iter().position(|name| name == key) {
                    Some(index) => index,
                    None => {
                        return Err(Wrong::new(
                            format!("{} has no `{key}`", self.name),
                            "not a value of it",
                        )
                        .at(self.arguments_at.clone())
                        .help(usage()));
                    }
                },
            };
            let value = read(text).map_err(|wrong| wrong.behind(*at, text.len()))?;
            if values[index].replace(value).is_some() {
                let message = format!("{} is given its {} twice", self.name, names[index]);
                return Err(Wrong::new(message, "here").at(self.arguments_at.clone()));
            }
        }
        // As many values as places, none twice: every place is filled.
        Ok(values.map(Option::unwrap_or_default))
    }

    fn key_count(&self, count: f64) -> Result<u32, Wrong> {
        if count >= 1.0 && count <= f64::from(u32::MAX) && count.fract() == 0.0 {
            return Ok(count as u32);
        }
        Err(Wrong::new(
            "the number of keys must be a whole number, at least 1",
            "here",
        )
        .at(self.arguments_at.clone()))
    }

    fn unknown(&self, what: &str, known: &[&str]) -> Wrong {
        let wrong = Wrong::new(
            format!("unknown {what} `{}`", self.name),
            format!("not a {what}"),
        )
        .at(self.name_at.clone());
        match nearest(self.name, known.iter().copied()) {
            Some(name) => wrong.help(format!("did you mean `{name}`?")),
            None => wrong.help(format!("known: {}", known.join(", "))),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn distributions_are_read_by_place_or_name() {
        assert_eq!(
            Latency::from_text("normal(0.25ms, 0.05ms)").unwrap(),
            Latency::Normal {
                mean_us: 250.0,
                deviation_us: 50.0
            }
        );
        assert_eq!(
            Latency::from_text("lognormal(p99 = 6ms, p50 = 1ms)").unwrap(),
            Latency::Lognormal {
                p50_us: 1000.0,
                p99_us: 6000.0
            }
        );
        assert_eq!(
            Latency::from_text("30us").unwrap(),
            Latency::Constant { value_us: 30.0 }
        );
    }

    #[test]
    fn a_wrong_distribution_is_placed_within_the_text() {
        let wrong = Latency::from_text("normal(0.25ms, 0.05mz)").unwrap_err();
        assert_eq!(wrong.range, Some(19..21));
        let wrong = Latency::from_text("lognorml(1ms, 2ms)").unwrap_err();
        assert_eq!(wrong.help.as_deref(), Some("did you mean `lognormal`?"));
        for text in [
            "normal(1ms)",
            "normal(1ms, 2ms",
            "normal(1ms, 2ms) x",
            "uniform(3ms, 1ms)",
            "lognormal(2ms, 1ms)",
            "normal(mean = 1ms, p99 = 2ms)",
            "()",
        ] {
            assert!(Latency::from_text(text).is_err(), "{text}");
        }
    }

    #[test]
    fn a_heavy_tail_is_told_by_its_median_and_99th_percentile() {
        assert_eq!(
            Latency::from_text("pareto(p50 = 80ms, p99 = 2s)").unwrap(),
            Latency::Pareto {
                p50_us: 80_000.0,
                p99_us: 2_000_000.0
            }
        );
        assert!(Latency::from_text("pareto(p50 = 2s, p99 = 80ms)").is_err());
    }

    #[test]
    fn a_delay_may_have_a_plus_sign() {
        let delay = Delay::from_text("+40ms").unwrap();
        assert_eq!(delay.0, Latency::Constant { value_us: 40_000.0 });
        let wrong = Delay::from_text("+40mz").unwrap_err();
        assert_eq!(wrong.range, Some(3..5));
    }

    #[test]
    fn keys_are_read() {
        assert_eq!(Keys::from_text("unique").unwrap(), Keys::Unique);
        assert_eq!(
            Keys::from_text("zipf(10000, 0.99)").unwrap(),
            Keys::Zipf {
                count: 10_000,
                exponent: 0.99
            }
        );
        for text in [
            "uniform",
            "uniform(0)",
            "uniform(1.5)",
            "zpf(3, 1)",
            "random",
        ] {
            assert!(Keys::from_text(text).is_err(), "{text}");
        }
    }
}
