//! Numbers in words that every report uses.

use redrill_sim::scenario::Unit;

use crate::model::Model;

/// `2.11 s`, `41 ms`, `0.3 ms`, `0`.
pub(crate) fn length(length_us: u64) -> String {
    let ms = length_us as f64 / 1000.0;
    if length_us == 0 {
        "0 s".to_owned()
    } else if ms >= 1000.0 {
        format!("{:.2} s", ms / 1000.0)
    } else if ms >= 10.0 {
        format!("{ms:.0} ms")
    } else {
        format!("{ms:.1} ms")
    }
}

/// An instant as `+2.108 s`, seconds since the first fault.
pub(crate) fn seconds_since(model: &Model, at_us: u64) -> String {
    let ms = model.relative_ms(at_us).round() as i64;
    let sign = match ms {
        0 => "",
        1.. => "+",
        _ => "−",
    };
    let ms = ms.unsigned_abs();
    format!("{sign}{}.{:03} s", ms / 1000, ms % 1000)
}

/// The same of milliseconds.
pub(crate) fn length_ms(ms: f64) -> String {
    length((ms * 1000.0).round() as u64)
}

/// A value of a measure, in its unit.
#[must_use]
pub fn in_unit(value: f64, unit: Unit) -> String {
    match unit {
        Unit::Time => time(value),
        Unit::Number => number(value),
        Unit::Share => percent(value),
    }
}

/// A time, or that there was none.
#[must_use]
pub fn gap(ms: f64) -> String {
    if ms > 0.0 {
        time(ms)
    } else {
        "none".to_owned()
    }
}

/// `7.70 s`, `41 ms`, `0.3 ms`
#[must_use]
pub fn time(ms: f64) -> String {
    match ms.abs() {
        long if long >= 1000.0 => format!("{:.2} s", ms / 1000.0),
        short if short >= 10.0 => format!("{ms:.0} ms"),
        _ => format!("{ms:.1} ms"),
    }
}

/// `3.4 %`
#[must_use]
pub fn percent(share: f64) -> String {
    format!("{:.1} %", share * 100.0)
}

/// No more decimals than there are.
#[must_use]
pub fn number(value: f64) -> String {
    if value.fract() == 0.0 && value >= 0.0 {
        grouped(value as u64)
    } else {
        format!("{value:.1}")
    }
}

/// `12,345`
#[must_use]
pub fn grouped(number: u64) -> String {
    let digits = number.to_string();
    let mut text = String::new();
    for (place, digit) in digits.chars().enumerate() {
        if place > 0 && (digits.len() - place).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_read_well() {
        assert_eq!(grouped(0), "0");
        assert_eq!(grouped(999), "999");
        assert_eq!(grouped(1_234_567), "1,234,567");
        assert_eq!(time(7704.2), "7.70 s");
        assert_eq!(time(41.2), "41 ms");
        assert_eq!(time(0.26), "0.3 ms");
        assert_eq!(number(2.0), "2");
        assert_eq!(number(2.5), "2.5");
        assert_eq!(percent(0.034), "3.4 %");
    }
}
