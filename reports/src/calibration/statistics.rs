//! Quantiles, intervals and tests. Samples come in groups, one a trial: values of one trial hang
//! together, so that only whole trials are resampled and only trials count as independent.

use rand_chacha::ChaCha8Rng;
use rand_chacha::rand_core::{Rng, SeedableRng};
use serde::Serialize;

use crate::measures::quantile;

/// An interval with its ends.
#[derive(Clone, Copy, PartialEq, Debug, Serialize)]
pub struct Interval {
    /// Lower end.
    pub low: f64,
    /// Upper end.
    pub high: f64,
}

impl Interval {
    /// Each end moved outwards by a share of its value.
    #[must_use]
    pub fn widened(self, share: f64) -> Self {
        Self {
            low: self.low - self.low.abs() * share,
            high: self.high + self.high.abs() * share,
        }
    }

    /// Whether a value lies in it.
    #[must_use]
    pub fn contains(self, value: f64) -> bool {
        self.low <= value && value <= self.high
    }
}

/// Quantiles of a sample; between two values by linear interpolation.
#[derive(Clone, Copy, PartialEq, Debug, Serialize)]
pub struct Quantiles {
    /// 5th percentile.
    pub p5: f64,
    /// Lower quartile.
    pub p25: f64,
    /// Median.
    pub p50: f64,
    /// Upper quartile.
    pub p75: f64,
    /// 95th percentile.
    pub p95: f64,
}

impl Quantiles {
    /// Quantiles of ascending values; `None` without values.
    #[must_use]
    pub fn of(sorted: &[f64]) -> Option<Self> {
        Some(Self {
            p5: quantile(sorted, 0.05)?,
            p25: quantile(sorted, 0.25)?,
            p50: quantile(sorted, 0.5)?,
            p75: quantile(sorted, 0.75)?,
            p95: quantile(sorted, 0.95)?,
        })
    }
}

/// Resamples of a bootstrap.
const RESAMPLES: usize = 4000;

/// The percentile bootstrap's 95 % interval of the median, with whole trials resampled. The same
/// sample gives the same interval. `None` without values.
#[must_use]
pub fn median_interval(by_trial: &[Vec<f64>]) -> Option<Interval> {
    let mut random = ChaCha8Rng::seed_from_u64(0);
    let mut medians = Vec::with_capacity(RESAMPLES);
    let mut resample = Vec::new();
    for _ in 0..RESAMPLES {
        resample.clear();
        for _ in by_trial {
            // The upper half of a product: as even as 64 bits allow, without rejection.
            let wide = u128::from(random.next_u64()) * by_trial.len() as u128;
            resample.extend_from_slice(&by_trial[(wide >> 64) as usize]);
        }
        resample.sort_unstable_by(f64::total_cmp);
        medians.push(quantile(&resample, 0.5)?);
    }
    medians.sort_unstable_by(f64::total_cmp);
    Some(Interval {
        low: quantile(&medians, 0.025)?,
        high: quantile(&medians, 0.975)?,
    })
}

/// p-value of the two-sample Kolmogorov-Smirnov test: the asymptotic distribution with Stephens'
/// correction for small samples. The number of trials stands for the size of a sample, which is
/// right for one value a trial and errs on the side of no rejection for several. `None` without
/// values.
#[must_use]
pub fn kolmogorov_smirnov(one: &[Vec<f64>], other: &[Vec<f64>]) -> Option<f64> {
    if one.is_empty() || other.is_empty() {
        return None;
    }
    let (n, m) = (one.len() as f64, other.len() as f64);
    let root = (n * m / (n + m)).sqrt();
    let distance = distance(&sorted(one), &sorted(other));
    Some(kolmogorov_tail((root + 0.12 + 0.11 / root) * distance))
}

/// Greatest distance between two empirical distribution functions of ascending values.
#[must_use]
pub fn distance(one: &[f64], other: &[f64]) -> f64 {
    let (mut i, mut j, mut greatest) = (0, 0, 0.0_f64);
    while i < one.len() && j < other.len() {
        let at = one[i].min(other[j]);
        i += one[i..].iter().take_while(|value| **value <= at).count();
        j += other[j..].iter().take_while(|value| **value <= at).count();
        let apart = i as f64 / one.len() as f64 - j as f64 / other.len() as f64;
        greatest = greatest.max(apart.abs());
    }
    greatest
}

/// Wilson's 95 % interval of a share. From 0 to 1 if nothing could happen.
#[must_use]
pub fn wilson(hits: usize, of: usize) -> Interval {
    const Z: f64 = 1.959_963_984_540_054;
    if of == 0 {
        return Interval {
            low: 0.0,
            high: 1.0,
        };
    }
    let n = of as f64;
    let share = hits as f64 / n;
    let middle = (share + Z * Z / (2.0 * n)) / (1.0 + Z * Z / n);
    let half = Z / (1.0 + Z * Z / n) * (share * (1.0 - share) / n + Z * Z / (4.0 * n * n)).sqrt();
    Interval {
        low: (middle - half).max(0.0),
        // Rounding must not take from a share of 1 what belongs to it.
        high: if hits == of {
            1.0
        } else {
            (middle + half).min(1.0)
        },
    }
}

/// Probability that Kolmogorov's distribution exceeds a value.
fn kolmogorov_tail(value: f64) -> f64 {
    if value < 0.2 {
        return 1.0;
    }
    let sum: f64 = (1..=100)
        .map(|term| {
            let k = f64::from(term);
            let sign = if term % 2 == 1 { 1.0 } else { -1.0 };
            sign * (-2.0 * k * k * value * value).exp()
        })
        .sum();
    (2.0 * sum).clamp(0.0, 1.0)
}

fn sorted(by_trial: &[Vec<f64>]) -> Vec<f64> {
    let mut values: Vec<f64> = by_trial.iter().flatten().copied().collect();
    values.sort_unstable_by(f64::total_cmp);
    values
}
