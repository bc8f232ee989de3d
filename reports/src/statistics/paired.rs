//! Differences between two configurations: seed by seed on the same weather, or between samples that
//! have nothing in common.

use serde::Serialize;

use super::bootstrap::{RESAMPLES, Resampler, interval};
use super::interval::{Interval, Z_95};
use super::quantile::quantile_of_unsorted;

/// What is compared of two samples.
#[derive(Clone, Copy, PartialEq, Debug, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Compared {
    /// A quantile, 0 to 1.
    Quantile(f64),
    /// The mean.
    Mean,
}

/// How two configurations differ in a measure.
#[derive(Clone, PartialEq, Debug, Serialize)]
pub struct Difference {
    /// What was compared.
    pub compared: Compared,
    /// Whether the runs met the same weather, seed by seed.
    pub paired: bool,
    /// The runs of each that were compared; of both together if there are no pairs.
    pub runs: u64,
    /// The first configuration's quantile or mean; infinite if it lies where runs did not end.
    pub first: f64,
    /// The second configuration's quantile or mean less the first one's; infinite if only one of
    /// them has runs that did not end there.
    pub estimate: f64,
    /// Lower end of the 95 % bootstrap interval.
    pub low: f64,
    /// Upper end of it.
    pub high: f64,
    /// What may be said.
    pub finding: Finding,
    /// How many runs of each configuration a comparison without pairs would need to tell a
    /// difference of this size from none; `None` if there is no difference to be seen.
    pub unpaired_runs_needed: Option<u64>,
    /// How many it would need to be as sure as this comparison is; `None` if this one has no pairs,
    /// or no width.
    pub unpaired_runs_as_sure: Option<u64>,
}

/// What a difference allows one to say.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Finding {
    /// The second configuration's value is lower.
    Lower,
    /// It is higher.
    Higher,
    /// The interval holds zero.
    Inconclusive,
}

impl Compared {
    fn of(self, values: &mut [f64]) -> Option<f64> {
        match self {
            Self::Quantile(share) => quantile_of_unsorted(values, share),
            Self::Mean if values.is_empty() => None,
            Self::Mean => Some(values.iter().sum::<f64>() / values.len() as f64),
        }
    }
}

/// Compares two configurations. `pairs` has the value of the first and of the second configuration
/// for each seed; a run that ended too early to have a value has an infinite one. The same pairs
/// give the same result. `None` without pairs, or where both are infinite.
#[must_use]
pub fn compare_paired(pairs: &[(f64, f64)], compared: Compared) -> Option<Difference> {
    let (first, second): (Vec<f64>, Vec<f64>) = pairs.iter().copied().unzip();
    let (value, estimate) = difference(&mut first.clone(), &mut second.clone(), compared)?;
    let mut resampler = Resampler::new();
    let mut paired = Vec::with_capacity(RESAMPLES);
    let mut unpaired = Vec::with_capacity(RESAMPLES);
    for _ in 0..RESAMPLES {
        let seeds: Vec<usize> = resampler.resample(pairs.len()).collect();
        let mut one: Vec<f64> = seeds.iter().map(|seed| first[*seed]).collect();
        let mut other: Vec<f64> = seeds.iter().map(|seed| second[*seed]).collect();
        paired.extend(difference(&mut one, &mut other, compared).map(|it| it.1));
        let others = resampler.resample(pairs.len());
        let mut other: Vec<f64> = others.map(|seed| second[seed]).collect();
        unpaired.extend(difference(&mut one, &mut other, compared).map(|it| it.1));
    }
    let runs = pairs.len() as u64;
    let spread = error(&paired);
    let needed = runs_needed(runs, estimate, &unpaired);
    let as_sure = match (spread, error(&unpaired)) {
        (Some(paired), Some(unpaired)) if paired > 0.0 => {
            Some((runs as f64 * (unpaired / paired).powi(2)).ceil() as u64)
        }
        (Some(_) | None, _) => None,
    };
    let interval = interval(paired)?;
    Some(Difference {
        unpaired_runs_needed: needed,
        unpaired_runs_as_sure: as_sure,
        ..found(compared, true, runs, (value, estimate), interval)
    })
}

/// Compares two samples that have nothing in common; see [`compare_paired`].
#[must_use]
pub fn compare_unpaired(first: &[f64], second: &[f64], compared: Compared) -> Option<Difference> {
    let (mut one, mut other) = (first.to_vec(), second.to_vec());
    let values = difference(&mut one, &mut other, compared)?;
    let mut resampler = Resampler::new();
    let mut differences = Vec::with_capacity(RESAMPLES);
    for _ in 0..RESAMPLES {
        let mut one: Vec<f64> = resampler
            .resample(first.len())
            .map(|at| first[at])
            .collect();
        let mut other: Vec<f64> = resampler
            .resample(second.len())
            .map(|at| second[at])
            .collect();
        differences.extend(difference(&mut one, &mut other, compared).map(|it| it.1));
    }
    let fewer = first.len().min(second.len()) as u64;
    let needed = runs_needed(fewer, values.1, &differences);
    let runs = (first.len() + second.len()) as u64;
    Some(Difference {
        unpaired_runs_needed: needed,
        ..found(compared, false, runs, values, interval(differences)?)
    })
}

fn found(
    compared: Compared,
    paired: bool,
    runs: u64,
    (first, estimate): (f64, f64),
    Interval { low, high }: Interval,
) -> Difference {
    Difference {
        compared,
        paired,
        runs,
        first,
        estimate,
        low,
        high,
        finding: if low > 0.0 {
            Finding::Higher
        } else if high < 0.0 {
            Finding::Lower
        } else {
            Finding::Inconclusive
        },
        unpaired_runs_needed: None,
        unpaired_runs_as_sure: None,
    }
}

/// The first sample's value, and the second one's less it.
fn difference(one: &mut [f64], other: &mut [f64], compared: Compared) -> Option<(f64, f64)> {
    let first = compared.of(one)?;
    let difference = compared.of(other)? - first;
    (!difference.is_nan()).then_some((first, difference))
}

/// The standard error that resampling shows; `None` if some of the differences are infinite.
fn error(differences: &[f64]) -> Option<f64> {
    if differences.is_empty() || differences.iter().any(|value| value.is_infinite()) {
        return None;
    }
    let count = differences.len() as f64;
    let mean = differences.iter().sum::<f64>() / count;
    let squares = differences.iter().map(|value| (value - mean).powi(2));
    Some((squares.sum::<f64>() / count).sqrt())
}

/// The standard error falls with the root of the number of runs.
fn runs_needed(runs: u64, difference: f64, unpaired: &[f64]) -> Option<u64> {
    if difference == 0.0 || difference.is_infinite() {
        return None;
    }
    let error = error(unpaired)?;
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
        let found = compare_paired(&pairs(100, 50.0), Compared::Quantile(0.5)).expect("values");
        assert_eq!(found.finding, Finding::Higher);
        assert!((found.estimate - 50.0).abs() < 10.0, "{found:?}");
        assert!(found.low < 50.0 && found.high > 50.0, "{found:?}");
        let needed = found.unpaired_runs_needed.expect("a difference");
        assert!(needed > 500, "{found:?}");
        let back: Vec<(f64, f64)> = pairs(100, 50.0).iter().map(|(a, b)| (*b, *a)).collect();
        let found = compare_paired(&back, Compared::Quantile(0.5)).expect("values");
        assert_eq!(found.finding, Finding::Lower);
    }

    #[test]
    fn no_difference_is_inconclusive() {
        let found = compare_paired(&pairs(100, 0.0), Compared::Quantile(0.95)).expect("values");
        assert_eq!(found.finding, Finding::Inconclusive, "{found:?}");
    }

    #[test]
    fn runs_that_never_ended_are_not_dropped() {
        let mut worse = pairs(100, 0.0);
        for pair in worse.iter_mut().take(20) {
            pair.1 = f64::INFINITY;
        }
        let found =
            compare_paired(&worse, Compared::Quantile(0.95)).expect("one of them is finite");
        assert_eq!(found.finding, Finding::Higher);
        assert_eq!(found.estimate, f64::INFINITY);
        assert_eq!(found.unpaired_runs_needed, None);
        for pair in worse.iter_mut().take(20) {
            pair.0 = f64::INFINITY;
        }
        assert_eq!(compare_paired(&worse, Compared::Quantile(0.95)), None);
    }

    #[test]
    fn a_comparison_without_pairs_is_as_sure_only_with_many_more_runs() {
        let found = compare_paired(&pairs(100, 50.0), Compared::Quantile(0.5)).expect("values");
        let as_sure = found.unpaired_runs_as_sure.expect("both have a width");
        assert!(as_sure > 1000, "{found:?}");
        let (first, second): (Vec<f64>, Vec<f64>) = pairs(100, 50.0).into_iter().unzip();
        let blind = compare_unpaired(&first, &second, Compared::Quantile(0.5)).expect("values");
        assert_eq!(blind.finding, Finding::Inconclusive, "{blind:?}");
        assert!(!blind.paired && blind.runs == 200);
        let apart: Vec<f64> = second.iter().map(|value| value + 3000.0).collect();
        let seen = compare_unpaired(&first, &apart, Compared::Quantile(0.5)).expect("values");
        assert_eq!(seen.finding, Finding::Higher, "{seen:?}");
    }

    #[test]
    fn means_are_compared_too() {
        let found = compare_paired(&pairs(100, 50.0), Compared::Mean).expect("values");
        assert!((found.estimate - 50.0).abs() < 3.0, "{found:?}");
        assert_eq!(found.finding, Finding::Higher);
        assert_eq!(compare_unpaired(&[1.0], &[], Compared::Mean), None);
    }

    #[test]
    fn without_pairs_nothing_is_said() {
        assert_eq!(compare_paired(&[], Compared::Quantile(0.5)), None);
    }

    #[test]
    fn the_same_pairs_give_the_same_bounds() {
        let values = pairs(50, 5.0);
        assert_eq!(
            compare_paired(&values, Compared::Quantile(0.9)),
            compare_paired(&values, Compared::Quantile(0.9))
        );
    }
}
