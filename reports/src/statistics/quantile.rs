//! Quantiles and their bounds by order statistics.

use serde::{Deserialize, Serialize};
use statrs::distribution::{Binomial, DiscreteCDF};

/// How surely a bound holds. A lower and an upper bound together make an interval that holds with
/// [`CONFIDENCE`] - (1 - [`CONFIDENCE`]).
pub const CONFIDENCE: f64 = 0.95;

/// A bound of a quantile.
#[derive(Clone, Copy, PartialEq, Debug, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Bound {
    /// The quantile lies on this side of it.
    At(f64),
    /// It lies where the runs had ended already: no value bounds it.
    Censored,
    /// There are too few runs to tell.
    TooFew {
        /// How many it takes.
        needed: u64,
    },
}

impl Bound {
    /// The value, if there is one.
    #[must_use]
    pub const fn value(self) -> Option<f64> {
        match self {
            Self::At(value) => Some(value),
            Self::Censored | Self::TooFew { .. } => None,
        }
    }

    fn of(value: f64) -> Self {
        if value.is_finite() {
            Self::At(value)
        } else {
            Self::Censored
        }
    }
}

/// A quantile of ascending values, between two values by linear interpolation (type 7 of Hyndman and
/// Fan, as most tools do). Values may be infinite: what lies between a finite and an infinite one is
/// infinite. `None` without values.
#[must_use]
pub fn quantile(sorted: &[f64], share: f64) -> Option<f64> {
    let last = sorted.len().checked_sub(1)?;
    let position = last as f64 * share.clamp(0.0, 1.0);
    let (low, high) = (
        sorted[position.floor() as usize],
        sorted[position.ceil() as usize],
    );
    if low == high {
        return Some(low);
    }
    if low.is_infinite() && high.is_infinite() {
        return Some(sorted[position.round() as usize]);
    }
    if low.is_infinite() {
        return Some(low);
    }
    Some(low + (high - low) * position.fract())
}

/// [`quantile`] of values in any order, which it changes. It does not sort more than it must:
/// resampling asks for thousands of quantiles.
pub(super) fn quantile_of_unsorted(values: &mut [f64], share: f64) -> Option<f64> {
    let last = values.len().checked_sub(1)?;
    let position = last as f64 * share.clamp(0.0, 1.0);
    let (_, low, above) = values.select_nth_unstable_by(position.floor() as usize, f64::total_cmp);
    let next = above.iter().copied().min_by(f64::total_cmp);
    match next.filter(|_| position.fract() > 0.0) {
        Some(next) => quantile(&[*low, next], position.fract()),
        None => Some(*low),
    }
}

/// A sample in numbers.
#[derive(Clone, Copy, PartialEq, Debug, Serialize, Deserialize)]
pub struct Quantiles {
    /// Number of values.
    pub count: usize,
    /// Smallest.
    pub min: f64,
    /// 5th percentile.
    pub p5: f64,
    /// Median.
    pub p50: f64,
    /// 95th percentile.
    pub p95: f64,
    /// 99th percentile.
    pub p99: f64,
    /// Greatest.
    pub max: f64,
    /// Mean.
    pub mean: f64,
}

impl Quantiles {
    /// Of ascending values; `None` without values.
    #[must_use]
    pub fn of(sorted: &[f64]) -> Option<Self> {
        Some(Self {
            count: sorted.len(),
            min: *sorted.first()?,
            p5: quantile(sorted, 0.05)?,
            p50: quantile(sorted, 0.5)?,
            p95: quantile(sorted, 0.95)?,
            p99: quantile(sorted, 0.99)?,
            max: *sorted.last()?,
            mean: sorted.iter().sum::<f64>() / sorted.len() as f64,
        })
    }
}

/// How many values an upper bound of a quantile takes: with fewer, even the greatest of them is
/// below the quantile with a probability of more than 1 - [`CONFIDENCE`].
#[must_use]
pub fn runs_for_upper_bound(share: f64) -> u64 {
    ((1.0 - CONFIDENCE).ln() / share.ln()).ceil() as u64
}

/// An upper bound of a quantile of what ascending values were drawn from, whatever its distribution:
/// the least value below which, with [`CONFIDENCE`], fewer of the values lie than stand before it.
///
/// `share` lies between 0 and 1, both excluded.
#[must_use]
pub fn upper_bound(sorted: &[f64], share: f64) -> Bound {
    let needed = runs_for_upper_bound(share);
    let runs = sorted.len() as u64;
    let rank = least(runs, |rank| below(runs, share, rank) >= CONFIDENCE);
    match rank.and_then(|rank| sorted.get(rank as usize)) {
        Some(value) => Bound::of(*value),
        None => Bound::TooFew { needed },
    }
}

/// A lower bound of a quantile; see [`upper_bound`].
#[must_use]
pub fn lower_bound(sorted: &[f64], share: f64) -> Bound {
    let needed = runs_for_upper_bound(1.0 - share);
    let runs = sorted.len() as u64;
    // The greatest rank that is unlikely to lie above the quantile.
    let above = least(runs, |rank| below(runs, share, rank) > 1.0 - CONFIDENCE);
    let rank = above.unwrap_or(runs).checked_sub(1);
    match rank.and_then(|rank| sorted.get(rank as usize)) {
        Some(value) => Bound::of(*value),
        None => Bound::TooFew { needed },
    }
}

/// Probability that at most `rank` of the values lie below the quantile.
fn below(runs: u64, share: f64, rank: u64) -> f64 {
    Binomial::new(share, runs).map_or(f64::NAN, |binomial| binomial.cdf(rank))
}

/// The least rank below `runs` for which a condition holds that goes on to hold.
fn least(runs: u64, holds: impl Fn(u64) -> bool) -> Option<u64> {
    let (mut low, mut high) = (0, runs);
    while low < high {
        let middle = u64::midpoint(low, high);
        if holds(middle) {
            high = middle;
        } else {
            low = middle + 1;
        }
    }
    (low < runs).then_some(low)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use rand_chacha::ChaCha8Rng;
    use rand_chacha::rand_core::{Rng, SeedableRng};

    use super::*;

    fn counted(runs: u32) -> Vec<f64> {
        (1..=runs).map(f64::from).collect()
    }

    #[test]
    fn quantiles_interpolate_and_nothing_has_none() {
        assert_eq!(quantile(&[], 0.5), None);
        assert_eq!(quantile(&[7.0], 0.99), Some(7.0));
        assert_eq!(quantile(&[1.0, 2.0], 0.25), Some(1.25));
    }

    #[test]
    fn what_lies_next_to_infinity_is_infinite() {
        const NEVER: f64 = f64::INFINITY;
        assert_eq!(quantile(&[1.0, NEVER], 0.0), Some(1.0));
        assert_eq!(quantile(&[1.0, NEVER], 0.01), Some(NEVER));
        assert_eq!(quantile(&[NEVER, NEVER], 0.5), Some(NEVER));
        assert_eq!(quantile(&[-NEVER, 1.0], 0.99), Some(-NEVER));
        assert_eq!(quantile(&[-NEVER, NEVER], 0.3), Some(-NEVER));
    }

    #[test]
    fn a_quantile_takes_no_sorting() {
        let mut random = ChaCha8Rng::seed_from_u64(3);
        for count in 1..40 {
            let mut values: Vec<f64> = (0..count)
                .map(|_| (random.next_u64() % 20) as f64)
                .collect();
            if count % 5 == 0 {
                values[0] = f64::INFINITY;
            }
            let mut sorted = values.clone();
            sorted.sort_unstable_by(f64::total_cmp);
            for share in [0.0, 0.3, 0.5, 0.95, 1.0] {
                let found = quantile_of_unsorted(&mut values, share).expect("values");
                let expected = quantile(&sorted, share).expect("values");
                let same = (found - expected).abs() < 1e-9 || found == expected;
                assert!(same, "{share} of {count}: {found}, not {expected}");
            }
        }
        assert_eq!(quantile_of_unsorted(&mut [], 0.5), None);
    }

    #[test]
    fn a_p99_is_not_bounded_below_299_runs() {
        assert_eq!(runs_for_upper_bound(0.99), 299);
        assert_eq!(
            upper_bound(&counted(298), 0.99),
            Bound::TooFew { needed: 299 }
        );
        assert_eq!(upper_bound(&counted(299), 0.99), Bound::At(299.0));
        assert_eq!(upper_bound(&counted(3), 0.5), Bound::TooFew { needed: 5 });
    }

    #[test]
    fn a_median_is_bounded_from_both_sides() {
        // At most 14 of 20 fair coins show heads with 97.9 %, at most 13 with 94.2 %.
        assert_eq!(upper_bound(&counted(20), 0.5), Bound::At(15.0));
        assert_eq!(lower_bound(&counted(20), 0.5), Bound::At(6.0));
        assert_eq!(lower_bound(&counted(4), 0.5), Bound::TooFew { needed: 5 });
    }

    #[test]
    fn runs_that_did_not_end_are_not_dropped() {
        let mut values = counted(18);
        values.extend([f64::INFINITY; 2]);
        assert_eq!(quantile(&values, 0.5), Some(10.5));
        assert_eq!(quantile(&values, 0.95), Some(f64::INFINITY));
        assert_eq!(upper_bound(&values, 0.5), Bound::At(15.0));
        let mut more = counted(14);
        more.extend([f64::INFINITY; 6]);
        assert_eq!(upper_bound(&more, 0.5), Bound::Censored);
    }

    #[test]
    fn bounds_hold_as_often_as_they_say() {
        let mut random = ChaCha8Rng::seed_from_u64(1);
        let (mut high, mut low) = (0, 0);
        let rounds = 2000;
        for _ in 0..rounds {
            let mut values: Vec<f64> = (0..100)
                .map(|_| random.next_u64() as f64 / u64::MAX as f64)
                .collect();
            values.sort_unstable_by(f64::total_cmp);
            high += u32::from(
                upper_bound(&values, 0.9)
                    .value()
                    .is_some_and(|it| it >= 0.9),
            );
            low += u32::from(
                lower_bound(&values, 0.9)
                    .value()
                    .is_some_and(|it| it <= 0.9),
            );
        }
        let enough = f64::from(rounds) * (CONFIDENCE - 0.015);
        assert!(
            f64::from(high) > enough && f64::from(low) > enough,
            "{high} {low}"
        );
    }

    proptest! {
        #[test]
        fn bounds_stand_on_their_sides(runs in 1_u32..400, percent in 1_u32..100) {
            let (values, share) = (counted(runs), f64::from(percent) / 100.0);
            let middle = quantile(&values, share).expect("there are values");
            if let Some(upper) = upper_bound(&values, share).value() {
                prop_assert!(upper >= middle.floor());
            }
            if let Some(lower) = lower_bound(&values, share).value() {
                prop_assert!(lower <= middle.ceil());
            }
        }
    }
}
