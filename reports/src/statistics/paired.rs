//! Differences between two configurations that met the same weather, seed by seed.

use serde::Serialize;

use super::bootstrap::{RESAMPLES, Resampler, interval};
use super::interval::{Interval, Z_95};
use super::quantile::quantile;

/// How two configurations differ in a quantile of a measure.
#[derive(Clone, PartialEq, Debug, Serialize)]
pub struct Difference {
    /// The quantile, 0 to 1.
    pub share: f64,
    /// The pairs that were compared.
    pub runs: u64,
    /// The second configuration's quantile less the first one's; infinite if only one of them has
    /// runs that did not end there.
    pub estimate: f64,
    /// Lower end of the 95 % bootstrap interval, pairs resampled.
    pub low: f64,
    /// Upper end of it.
    pub high: f64,
    /// What may be said.
    pub finding: Finding,
    /// How many runs of each configuration a comparison without pairs would need to see a
    /// difference of this size; `None` if there is no difference to be seen.
    pub unpaired_runs_needed: Option<u64>,
}

/// What a difference allows one to say.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Finding {
    /// The second configuration's quantile is lower.
    Lower,
    /// It is higher.
    Higher,
    /// The interval holds zero.
    Inconclusive,
}

/// Compares a quantile of two configurations. `pairs` has the value of the first and of the second
/// configuration for each seed; a run that ended too early to have a value has an infinite one. The
/// same pairs give the same result. `None` without pairs, or where both quantiles are infinite.
#[must_use]
pub fn compare_quantile(pairs: &[(f64, f64)], share: f64) -> Option<Difference> {
    let everything: Vec<usize> = (0..pairs.len()).collect();
    let estimate = difference(pairs, &everything, &everything, share)?;
    let mut resampler = Resampler::new();
    let mut paired = Vec::with_capacity(RESAMPLES);
    let mut unpaired = Vec::with_capacity(RESAMPLES);
    for _ in 0..RESAMPLES {
        let first: Vec<usize> = resampler.resample(pairs.len()).collect();
        let second: Vec<usize> = resampler.resample(pairs.len()).collect();
        paired.extend(difference(pairs, &first, &first, share));
        unpaired.extend(difference(pairs, &first, &second, share));
    }
    let Interval { low, high } = interval(paired)?;
    let finding = if low > 0.0 {
        Finding::Higher
    } else if high < 0.0 {
        Finding::Lower
    } else {
        Finding::Inconclusive
    };
    Some(Difference {
        share,
        runs: pairs.len() as u64,
        estimate,
        low,
        high,
        finding,
        unpaired_runs_needed: runs_needed(pairs.len(), estimate, &unpaired),
    })
}

/// The second configuration's quantile less the first one's, over the chosen seeds of each.
fn difference(pairs: &[(f64, f64)], first: &[usize], second: &[usize], share: f64) -> Option<f64> {
    let sorted = |mut values: Vec<f64>| {
        values.sort_unstable_by(f64::total_cmp);
        quantile(&values, share)
    };
    let one = sorted(first.iter().map(|seed| pairs[*seed].0).collect())?;
    let other = sorted(second.iter().map(|seed| pairs[*seed].1).collect())?;
    let difference = other - one;
    (!difference.is_nan()).then_some(difference)
}

/// The standard error falls with the root of the number of runs.
fn runs_needed(runs: usize, difference: f64, unpaired: &[f64]) -> Option<u64> {
    let finite = unpaired.iter().all(|value| value.is_finite()) && difference.is_finite();
    if !finite || unpaired.is_empty() || difference == 0.0 {
        return None;
    }
    let count = unpaired.len() as f64;
    let mean = unpaired.iter().sum::<f64>() / count;
    let squares = unpaired.iter().map(|value| (value - mean).powi(2));
    let error = (squares.sum::<f64>() / count).sqrt();
    Some((runs as f64 * (Z_95 * error / difference).powi(2)).ceil() as u64)
}

#[cfg(test)]
mod tests {
    use rand_chacha::ChaCha8Rng;
    use rand_chacha::rand_core::{Rng, SeedableRng};

    use super::*;

    /// Runs whose times scatter by a second with the weather, and by a hundredth of that apart.
    fn pairs(runs: u32, slower_ms: f64) -> Vec<(f64, f64)> {
        let mut random = ChaCha8Rng::seed_from_u64(7);
        let mut even = move || random.next_u64() as f64 / u64::MAX as f64;
        let mut pair = || {
            let weather_ms = 3000.0 + 1000.0 * even();
            let first = weather_ms + 10.0 * even();
            (first, weather_ms + 10.0 * even() + slower_ms)
        };
        (0..runs).map(|_| pair()).collect()
    }

    #[test]
    fn pairs_see_what_the_weather_hides() {
        let found = compare_quantile(&pairs(100, 50.0), 0.5).expect("values");
        assert_eq!(found.finding, Finding::Higher);
        assert!((found.estimate - 50.0).abs() < 10.0, "{found:?}");
        assert!(found.low < 50.0 && found.high > 50.0, "{found:?}");
        let needed = found.unpaired_runs_needed.expect("a difference");
        assert!(needed > 500, "{found:?}");
        let back: Vec<(f64, f64)> = pairs(100, 50.0).iter().map(|(a, b)| (*b, *a)).collect();
        let found = compare_quantile(&back, 0.5).expect("values");
        assert_eq!(found.finding, Finding::Lower);
    }

    #[test]
    fn no_difference_is_inconclusive() {
        let found = compare_quantile(&pairs(100, 0.0), 0.95).expect("values");
        assert_eq!(found.finding, Finding::Inconclusive, "{found:?}");
    }

    #[test]
    fn runs_that_never_ended_are_not_dropped() {
        let mut worse = pairs(100, 0.0);
        for pair in worse.iter_mut().take(20) {
            pair.1 = f64::INFINITY;
        }
        let found = compare_quantile(&worse, 0.95).expect("one of them is finite");
        assert_eq!(found.finding, Finding::Higher);
        assert_eq!(found.estimate, f64::INFINITY);
        assert_eq!(found.unpaired_runs_needed, None);
        for pair in worse.iter_mut().take(20) {
            pair.0 = f64::INFINITY;
        }
        assert_eq!(compare_quantile(&worse, 0.95), None);
    }

    #[test]
    fn without_pairs_nothing_is_said() {
        assert_eq!(compare_quantile(&[], 0.5), None);
    }

    #[test]
    fn the_same_pairs_give_the_same_bounds() {
        let values = pairs(50, 5.0);
        assert_eq!(
            compare_quantile(&values, 0.9),
            compare_quantile(&values, 0.9)
        );
    }
}
