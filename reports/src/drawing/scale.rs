//! Maps values to places on a sheet.

/// Values from `low` to `high` on the way from one pixel to another.
#[derive(Clone, Copy, PartialEq, Debug)]
pub(crate) struct Scale {
    low: f64,
    high: f64,
    is_log: bool,
    from_px: f64,
    to_px: f64,
}

/// What a logarithmic scale must span to be worth it.
const DECADES_FOR_LOG: f64 = 1.0;

impl Scale {
    /// A scale with as much between any two equal differences.
    pub(crate) fn linear((low, high): (f64, f64), (from_px, to_px): (f64, f64)) -> Self {
        let (low, high) = apart(low, high);
        Self {
            low,
            high,
            is_log: false,
            from_px,
            to_px,
        }
    }

    /// A scale with as much between any two equal ratios. Values that are not above 0 stand at its
    /// low end.
    pub(crate) fn log((low, high): (f64, f64), (from_px, to_px): (f64, f64)) -> Self {
        let low = if low > 0.0 { low } else { f64::MIN_POSITIVE };
        let (low, high) = apart(low.log10(), high.max(low).log10());
        Self {
            low,
            high,
            is_log: true,
            from_px,
            to_px,
        }
    }

    /// A logarithmic scale if the ends are more than a decade apart, else a linear one.
    pub(crate) fn fitting(ends: (f64, f64), px: (f64, f64)) -> Self {
        match spans_decades(ends) {
            true => Self::log(ends, px),
            false => Self::linear(ends, px),
        }
    }

    /// Whether it is logarithmic.
    pub(crate) const fn is_log(&self) -> bool {
        self.is_log
    }

    /// Where a value stands; what lies outside stands at the end.
    pub(crate) fn at(&self, value: f64) -> f64 {
        let value = match self.is_log {
            true if value > 0.0 => value.log10(),
            true => f64::NEG_INFINITY,
            false => value,
        };
        let share = ((value - self.low) / (self.high - self.low)).clamp(0.0, 1.0);
        let share = if share.is_nan() { 0.0 } else { share };
        self.from_px + share * (self.to_px - self.from_px)
    }

    /// Whether a value lies between the ends.
    pub(crate) fn holds(&self, value: f64) -> bool {
        let value = if self.is_log { value.log10() } else { value };
        self.low <= value && value <= self.high
    }

    /// Round values between the ends, about `most` of them.
    pub(crate) fn ticks(&self, most: f64) -> Vec<f64> {
        match self.is_log {
            true => log_ticks(self.low, self.high, most),
            false => round_ticks(self.low, self.high, most, false),
        }
    }
}

/// Whether a scale between these ends should be logarithmic.
pub(crate) fn spans_decades((low, high): (f64, f64)) -> bool {
    low > 0.0 && high.is_finite() && (high / low).log10() > DECADES_FOR_LOG
}

/// Round values from `low` to `high`, at most `most` of them apart from the first.
pub(crate) fn round_ticks(low: f64, high: f64, most: f64, whole: bool) -> Vec<f64> {
    let span = high - low;
    if !span.is_finite() || span <= 0.0 {
        return Vec::new();
    }
    let least = 10_f64.powf((span / most).log10().floor());
    let mut steps = [1.0, 2.0, 5.0, 10.0, 20.0, 50.0]
        .into_iter()
        .map(|by| by * least)
        .filter(|step| !whole || *step >= 1.0);
    let step = steps.find(|step| span / step <= most).unwrap_or(span);
    let (first, last) = ((low / step).ceil(), (high / step).floor());
    // Far from 0, neighbouring values may not be told apart.
    let count = (last - first).clamp(-1.0, 100.0) as i64;
    (0..=count)
        .map(|place| (first + place as f64) * step)
        .collect()
}

/// 1, 2 and 5 of each decade if there is room for them, else 1 of every so many.
fn log_ticks(low: f64, high: f64, most: f64) -> Vec<f64> {
    const AIR: f64 = 1e-9;
    let decades = high - low;
    let factors: &[f64] = match most / decades.max(f64::MIN_POSITIVE) {
        room if room >= 3.0 => &[1.0, 2.0, 5.0],
        room if room >= 2.0 => &[1.0, 3.0],
        _ => &[1.0],
    };
    let every = (decades / most).ceil().max(1.0) as i32;
    let (first, last) = (low.floor() as i32, high.ceil() as i32);
    (first..=last)
        .filter(|power| power.rem_euclid(every) == 0)
        .flat_map(|power| factors.iter().map(move |by| by * 10_f64.powi(power)))
        .filter(|value| (low - AIR..=high + AIR).contains(&value.log10()))
        .collect()
}

/// Two ends that differ.
fn apart(low: f64, high: f64) -> (f64, f64) {
    let low = if low.is_finite() { low } else { 0.0 };
    let high = if high.is_finite() { high } else { low };
    if high > low {
        return (low, high);
    }
    let air = (low.abs() * 0.1).max(0.5);
    (low - air, low + air)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_value_stands_where_its_share_or_its_ratio_says() {
        let linear = Scale::linear((0.0, 10.0), (100.0, 200.0));
        assert_eq!(
            (linear.at(5.0), linear.at(-1.0), linear.at(f64::INFINITY)),
            (150.0, 100.0, 200.0)
        );
        let log = Scale::log((1.0, 100.0), (0.0, 100.0));
        assert!((log.at(10.0) - 50.0).abs() < 1e-9);
        assert_eq!((log.at(0.0), log.at(-3.0)), (0.0, 0.0));
        assert!(log.holds(3.0) && !log.holds(0.5) && !log.holds(0.0));
    }

    #[test]
    fn ticks_are_round_and_few() {
        assert_eq!(
            Scale::linear((0.0, 9.0), (0.0, 1.0)).ticks(5.0),
            [0.0, 2.0, 4.0, 6.0, 8.0]
        );
        assert_eq!(
            Scale::log((1000.0, 15_000.0), (0.0, 1.0)).ticks(6.0),
            [1000.0, 2000.0, 5000.0, 10_000.0]
        );
        let wide = Scale::log((1e-12, 1e12), (0.0, 1.0)).ticks(6.0);
        assert!((4..=8).contains(&wide.len()), "{wide:?}");
        assert_eq!(round_ticks(0.0, 2.0, 5.0, true), [0.0, 1.0, 2.0]);
    }

    #[test]
    fn ends_that_are_the_same_are_moved_apart() {
        for ends in [(0.0, 0.0), (7.0, 7.0), (f64::INFINITY, f64::NEG_INFINITY)] {
            for scale in [
                Scale::linear(ends, (0.0, 1.0)),
                Scale::log(ends, (0.0, 1.0)),
                Scale::fitting(ends, (0.0, 1.0)),
            ] {
                assert!((0.0..=1.0).contains(&scale.at(ends.0)), "{ends:?}");
                assert!(scale.ticks(5.0).len() < 200);
            }
        }
    }
}
