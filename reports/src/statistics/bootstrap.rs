//! The percentile bootstrap.

use rand_chacha::ChaCha8Rng;
use rand_chacha::rand_core::{Rng, SeedableRng};

use super::interval::Interval;
use super::quantile::quantile;

/// Number of resamples.
pub(super) const RESAMPLES: usize = 2000;

/// Draws resamples. Each new one draws the same, so that the same sample gives the same interval.
pub(super) struct Resampler(ChaCha8Rng);

impl Resampler {
    pub(super) fn new() -> Self {
        Self(ChaCha8Rng::seed_from_u64(0))
    }

    /// As many indexes below `count` as it says, each as likely as any other.
    pub(super) fn resample(&mut self, count: usize) -> impl Iterator<Item = usize> {
        // The upper half of a product: as even as 64 bits allow, without rejection.
        let draw = move || (u128::from(self.0.next_u64()) * count as u128) >> 64;
        std::iter::repeat_with(draw)
            .take(count)
            .map(|index| index as usize)
    }
}

/// The 95 % interval of a statistic from its values in the resamples. `None` without values.
pub(super) fn interval(mut values: Vec<f64>) -> Option<Interval> {
    values.sort_unstable_by(f64::total_cmp);
    Some(Interval {
        low: quantile(&values, 0.025)?,
        high: quantile(&values, 0.975)?,
    })
}

/// The 95 % interval of the median of values that come in groups, one a trial: whole trials are
/// resampled. `None` without values.
#[must_use]
pub fn median_interval(by_trial: &[Vec<f64>]) -> Option<Interval> {
    let mut resampler = Resampler::new();
    let mut medians = Vec::with_capacity(RESAMPLES);
    let mut values = Vec::new();
    for _ in 0..RESAMPLES {
        values.clear();
        for trial in resampler.resample(by_trial.len()) {
            values.extend_from_slice(&by_trial[trial]);
        }
        values.sort_unstable_by(f64::total_cmp);
        medians.push(quantile(&values, 0.5)?);
    }
    interval(medians)
}

/// The 95 % interval of a rate: the sum of the amounts of all runs by the sum of their exposures.
/// Whole runs are resampled, so that what comes in clusters is not taken for many independent
/// events. `None` without exposure.
#[must_use]
pub fn ratio_interval(runs: &[(f64, f64)]) -> Option<Interval> {
    let mut resampler = Resampler::new();
    let mut ratios = Vec::with_capacity(RESAMPLES);
    for _ in 0..RESAMPLES {
        let (mut amount, mut exposure) = (0.0, 0.0);
        for run in resampler.resample(runs.len()) {
            amount += runs[run].0;
            exposure += runs[run].1;
        }
        let ratio: f64 = amount / exposure;
        if !ratio.is_finite() {
            return None;
        }
        ratios.push(ratio);
    }
    interval(ratios)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_median_lies_in_its_interval_and_more_trials_narrow_it() {
        let spread = |trials: u32| {
            let value = |step| vec![f64::from(step * 1000 / trials)];
            let sample: Vec<Vec<f64>> = (0..trials).map(value).collect();
            let interval = median_interval(&sample).expect("values");
            assert!(interval.contains(500.0), "{interval:?}");
            interval.high - interval.low
        };
        assert!(spread(20) > 1.5 * spread(200));
        assert_eq!(median_interval(&[]), None);
    }

    #[test]
    fn a_rate_of_what_comes_in_clusters_is_less_certain() {
        let even: Vec<(f64, f64)> = (0..100).map(|_| (1.0, 2.0)).collect();
        let clustered: Vec<(f64, f64)> = (0..100)
            .map(|run| (if run % 20 == 0 { 20.0 } else { 0.0 }, 2.0))
            .collect();
        let even = ratio_interval(&even).expect("exposure");
        assert_eq!((even.low, even.high), (0.5, 0.5));
        let clustered = ratio_interval(&clustered).expect("exposure");
        assert!(
            clustered.low < 0.25 && clustered.high > 0.85,
            "{clustered:?}"
        );
        assert_eq!(ratio_interval(&[]), None);
        assert_eq!(ratio_interval(&[(1.0, 0.0)]), None);
    }

    #[test]
    fn values_of_one_trial_are_resampled_together() {
        let together = vec![vec![0.0; 50], vec![100.0; 50]];
        let interval = median_interval(&together).expect("values");
        assert_eq!((interval.low, interval.high), (0.0, 100.0));
    }
}
