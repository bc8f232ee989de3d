//! Numbers with decimals, as clients write them.

use std::fmt;
use std::ops::Add;

use rustc_apfloat::Float;
use rustc_apfloat::ieee::X87DoubleExtended;

/// Reads a number as C's `strtod` does, all of it and nothing else (`getDoubleFromObject`).
/// There is no NaN.
pub(super) fn float(text: &[u8]) -> Option<f64> {
    let (negative, digits) = sign(text);
    let value = if let [b'0', b'x' | b'X', hex @ ..] = digits {
        hexadecimal(hex)?
    } else if is_infinity(digits) {
        f64::INFINITY
    } else {
        decimal(digits)?
    };
    Some(if negative { -value } else { value })
}

/// What is longer is no number (`MAX_LONG_DOUBLE_CHARS`).
const MAX_EXTENDED_LEN: usize = 5 * 1024;

/// A number of the x87's extended precision (C's `long double`), in which upstream adds
/// what `INCRBYFLOAT` adds.
#[derive(Clone, Copy, PartialEq, Debug)]
pub(super) struct Extended(X87DoubleExtended);

impl Extended {
    pub(super) const ZERO: Self = Self(X87DoubleExtended::ZERO);

    /// Reads a number as C's `strtold` does (`string2ld`).
    pub(super) fn read(text: &[u8]) -> Option<Self> {
        if text.len() >= MAX_EXTENDED_LEN {
            return None;
        }
        let (negative, digits) = sign(text);
        let value = if is_infinity(digits) {
            X87DoubleExtended::INFINITY
        } else if matches!(digits, [b'0', b'x' | b'X', ..]) {
            // No client writes its decimals so; a double is exact enough for one that does.
            let value = float(digits)?;
            format!("{value:e}").parse().ok()?
        } else {
            let number = well_formed(digits)?;
            let value: X87DoubleExtended = number.parse().ok()?;
            let is_out_of_range = value.is_infinite() || (value.is_zero() && !is_zero(digits));
            if is_out_of_range {
                return None;
            }
            value
        };
        Some(Self(if negative { -value } else { value }))
    }

    /// The nearest double; what is too great for one is infinite, what is too small the least.
    pub(super) fn to_double(self) -> f64 {
        let text = format!("{:.20}", self.0);
        let value: f64 = text.trim().parse().unwrap_or(f64::INFINITY);
        if value == 0.0 && !self.0.is_zero() {
            return f64::MIN_POSITIVE.copysign(value);
        }
        value
    }

    pub(super) fn is_finite(self) -> bool {
        self.0.is_finite()
    }
}

impl Add for Extended {
    type Output = Self;

    fn add(self, other: Self) -> Self {
        Self((self.0 + other.0).value)
    }
}

/// As C's `%.17Lf`, without trailing zeros (`ld2string` for people).
impl fmt::Display for Extended {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        // More digits than any number of this precision has, and no exponent: the exact value.
        let exact = format!("{:20000.20000}", self.0);
        let exact = exact.trim();
        let (negative, digits) = sign(exact.as_bytes());
        let digits = std::str::from_utf8(digits).unwrap_or_default();
        let rounded = rounded(digits);
        let is_negative = negative && rounded != "0";
        write!(formatter, "{}{rounded}", if is_negative { "-" } else { "" })
    }
}

/// Decimals that are told of a number with extended precision.
const DECIMALS: usize = 17;

/// Rounds an exact decimal number to 17 decimals, half to even, and takes trailing zeros away.
fn rounded(exact: &str) -> String {
    let (whole, decimals) = exact.split_once('.').unwrap_or((exact, ""));
    let (kept, rest) = decimals.split_at(decimals.len().min(DECIMALS));
    let mut digits: Vec<u8> = whole.bytes().chain(kept.bytes()).collect();
    let is_odd = digits.last().is_some_and(|digit| digit % 2 == 1);
    let tail = rest.trim_end_matches('0');
    let goes_up = match tail.as_bytes() {
        [] => false,
        [b'5'] => is_odd,
        [first, ..] => *first >= b'5',
    };
    if goes_up {
        let mut carries = true;
        for digit in digits.iter_mut().rev() {
            if *digit == b'9' {
                *digit = b'0';
            } else {
                *digit += 1;
                carries = false;
                break;
            }
        }
        if carries {
            digits.insert(0, b'1');
        }
    }
    let split = digits.len() - kept.len();
    let text = |digits: &[u8]| String::from_utf8_lossy(digits).into_owned();
    let whole = text(&digits[..split]);
    let decimals = text(&digits[split..]);
    match decimals.trim_end_matches('0') {
        "" => whole,
        decimals => format!("{whole}.{decimals}"),
    }
}

fn sign(text: &[u8]) -> (bool, &[u8]) {
    match text {
        [b'-', digits @ ..] => (true, digits),
        [b'+', digits @ ..] => (false, digits),
        digits => (false, digits),
    }
}

fn is_infinity(digits: &[u8]) -> bool {
    digits.eq_ignore_ascii_case(b"inf") || digits.eq_ignore_ascii_case(b"infinity")
}

/// The text of a decimal number without a sign: digits, perhaps a point, perhaps an exponent.
fn well_formed(digits: &[u8]) -> Option<&str> {
    let text = std::str::from_utf8(digits).ok()?;
    let (mantissa, exponent) = match text.split_once(['e', 'E']) {
        Some((mantissa, exponent)) => (mantissa, Some(exponent)),
        None => (text, None),
    };
    let (whole, decimals) = mantissa.split_once('.').unwrap_or((mantissa, ""));
    let all_digits = |part: &str| part.bytes().all(|byte| byte.is_ascii_digit());
    let has_digits = !(whole.is_empty() && decimals.is_empty());
    let exponent_is_sound = exponent.is_none_or(|exponent| {
        let (_, digits) = sign(exponent.as_bytes());
        !digits.is_empty() && digits.iter().all(u8::is_ascii_digit)
    });
    let is_sound = has_digits && all_digits(whole) && all_digits(decimals) && exponent_is_sound;
    is_sound.then_some(text)
}

/// Whether nothing but the exponent of a decimal number has a digit above 0.
fn is_zero(digits: &[u8]) -> bool {
    let mantissa = digits
        .iter()
        .take_while(|&&byte| !byte.eq_ignore_ascii_case(&b'e'));
    mantissa.copied().all(|byte| byte == b'0' || byte == b'.')
}

fn decimal(digits: &[u8]) -> Option<f64> {
    let value: f64 = well_formed(digits)?.parse().ok()?;
    let is_out_of_range = value.is_infinite() || (value == 0.0 && !is_zero(digits));
    (!is_out_of_range).then_some(value)
}

/// Reads what follows `0x`: hexadecimal digits, perhaps a point, perhaps a binary exponent.
fn hexadecimal(text: &[u8]) -> Option<f64> {
    let text = std::str::from_utf8(text).ok()?;
    let (mantissa, exponent) = text.split_once(['p', 'P']).unwrap_or((text, "0"));
    let (whole, decimals) = mantissa.split_once('.').unwrap_or((mantissa, ""));
    if whole.is_empty() && decimals.is_empty() {
        return None;
    }
    let (negative, digits) = sign(exponent.as_bytes());
    let digits = std::str::from_utf8(digits).ok()?;
    if digits.is_empty() || !digits.bytes().all(|byte| byte.is_ascii_digit()) {
        return None;
    }
    let power: i32 = digits.parse().unwrap_or(i32::MAX / 2);
    let mut value = 0.0_f64;
    for digit in whole.chars().chain(decimals.chars()) {
        value = value * 16.0 + f64::from(digit.to_digit(16)?);
    }
    let shift = i32::try_from(decimals.len()).ok()?.checked_mul(4)?;
    let power = if negative { -power } else { power };
    let scaled = value * 2_f64.powi(power.saturating_sub(shift));
    let is_out_of_range = scaled.is_infinite() || (scaled == 0.0 && value != 0.0);
    (!is_out_of_range).then_some(scaled)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_read_as_c_reads_them() {
        let read = |text: &str| float(text.as_bytes());
        assert_eq!(read("1"), Some(1.0));
        assert_eq!(read("+1.5e3"), Some(1500.0));
        assert_eq!(read("-.5"), Some(-0.5));
        assert_eq!(read("5."), Some(5.0));
        assert_eq!(read("inf"), Some(f64::INFINITY));
        assert_eq!(read("-Infinity"), Some(f64::NEG_INFINITY));
        assert_eq!(read("0x1F"), Some(31.0));
        assert_eq!(read("0x.8p1"), Some(1.0));
        assert_eq!(read("1e308"), Some(1e308));
        for wrong in [
            "", " 1", "1 ", "nan", "1e", "e5", ".", "1e400", "1e-400", "--1", "1_0", "0x", "+",
        ] {
            assert_eq!(read(wrong), None, "{wrong:?}");
            assert_eq!(
                Extended::read(wrong.as_bytes()).is_some(),
                wrong.contains("400")
            );
        }
    }

    #[test]
    fn sums_are_those_of_extended_precision() {
        let sum = |a: &str, b: &str| {
            let read = |text: &str| Extended::read(text.as_bytes()).unwrap();
            (read(a) + read(b)).to_string()
        };
        let double = |text: &str| Extended::read(text.as_bytes()).unwrap().to_double();
        assert_eq!(double("0.25"), 0.25);
        assert_eq!(double("-1e400"), f64::NEG_INFINITY);
        assert_eq!(double("inf"), f64::INFINITY);
        assert_eq!(double("-1e-400"), -f64::MIN_POSITIVE);
        assert_eq!(sum("0.1", "0.2"), "0.3");
        assert_eq!(sum("10.50", "0.1"), "10.6");
        assert_eq!(sum("5.0e3", "2.0e2"), "5200");
        assert_eq!(sum("10.6", "-5"), "5.6");
        assert_eq!(sum("3", "1.1"), "4.1");
        assert_eq!(sum("1", "-1"), "0");
        assert_eq!(sum("-0.5", "-0.25"), "-0.75");
        assert_eq!(sum("1e17", "0"), "100000000000000000");
        assert_eq!(sum("0.00000000000000001", "0"), "0.00000000000000001");
        assert_eq!(sum("0.000000000000000001", "0"), "0");
        assert_eq!(sum("-0.000000000000000001", "0"), "0");
        assert_eq!(sum("9.9999999999999999", "0.0000000000000001"), "10");
        assert_eq!(
            sum("123456789012345678901234567890", "0"),
            "123456789012345678899921813504"
        );
    }
}
