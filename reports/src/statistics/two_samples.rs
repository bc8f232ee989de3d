//! Whether two samples are of one distribution.

use statrs::stats_tests::Alternative;
use statrs::stats_tests::fisher::fishers_exact;

/// p-value of the two-sample Kolmogorov-Smirnov test: the asymptotic distribution with Stephens'
/// correction for small samples. The number of trials stands for the size of a sample, which is
/// right for one value a trial and errs on the side of no rejection for several. `None` without
/// values.
#[must_use]
pub fn kolmogorov_smirnov(one: &[Vec<f64>], other: &[Vec<f64>]) -> Option<f64> {
    kolmogorov_smirnov_within(one, other, 0.0)
}

/// The same for a sample of which each value may have been measured wrongly by up to `grain`, one
/// way or the other.
#[must_use]
pub fn kolmogorov_smirnov_within(one: &[Vec<f64>], other: &[Vec<f64>], grain: f64) -> Option<f64> {
    if one.is_empty() || other.is_empty() {
        return None;
    }
    let (n, m) = (one.len() as f64, other.len() as f64);
    let root = (n * m / (n + m)).sqrt();
    let (one, other) = (sorted(one), sorted(other));
    let shifted = |by: f64| -> Vec<f64> { one.iter().map(|value| value + by).collect() };
    // As early as it may have been, one must not lie ahead of the other by much, nor as late as it
    // may have been behind.
    let (_, behind) = distances(&shifted(-grain), &other);
    let (ahead, _) = distances(&shifted(grain), &other);
    let distance = ahead.max(behind);
    Some(kolmogorov_tail((root + 0.12 + 0.11 / root) * distance))
}

/// Greatest distance between two empirical distribution functions of ascending values.
#[must_use]
pub fn distance(one: &[f64], other: &[f64]) -> f64 {
    let (above, below) = distances(one, other);
    above.max(below)
}

/// By how much the first distribution function lies above the second at most, and below it.
fn distances(one: &[f64], other: &[f64]) -> (f64, f64) {
    let (mut i, mut j) = (0, 0);
    let (mut above, mut below) = (0.0_f64, 0.0_f64);
    while i < one.len() && j < other.len() {
        let at = one[i].min(other[j]);
        i += one[i..].iter().take_while(|value| **value <= at).count();
        j += other[j..].iter().take_while(|value| **value <= at).count();
        let apart = i as f64 / one.len() as f64 - j as f64 / other.len() as f64;
        (above, below) = (above.max(apart), below.max(-apart));
    }
    (above, below)
}

/// p-value of Fisher's exact test, two-sided: how likely two shares are to differ at least so much
/// if both are drawn from one. Each is so many of so many; 1 if one of them could not happen.
#[must_use]
pub fn fisher_exact(one: (usize, usize), other: (usize, usize)) -> f64 {
    let cell = |count: usize| count as u64;
    let table = [
        cell(one.0),
        cell(other.0),
        cell(one.1.saturating_sub(one.0)),
        cell(other.1.saturating_sub(other.0)),
    ];
    fishers_exact(&table, Alternative::TwoSided).map_or(1.0, |p_value| p_value.min(1.0))
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

#[cfg(test)]
mod tests {
    use super::*;

    fn alone(values: impl IntoIterator<Item = f64>) -> Vec<Vec<f64>> {
        values.into_iter().map(|value| vec![value]).collect()
    }

    #[test]
    fn the_distance_of_two_distributions_minds_ties() {
        assert_eq!(distance(&[1.0, 1.0, 2.0], &[1.0, 1.0, 2.0]), 0.0);
        assert_eq!(distance(&[1.0, 2.0], &[3.0, 4.0]), 1.0);
        assert_eq!(distance(&[1.0, 2.0, 3.0, 4.0], &[2.0, 2.0]), 0.5);
    }

    #[test]
    fn a_shift_is_rejected_and_a_sample_of_the_same_is_not() {
        let one = alone((0..40).map(f64::from));
        let same = alone((0..200).map(|step| f64::from(step) / 5.0));
        let shifted = alone((0..200).map(|step| f64::from(step) / 5.0 + 20.0));
        let p_value = |other: &[Vec<f64>]| kolmogorov_smirnov(&one, other).expect("values");
        assert!(p_value(&same) > 0.9);
        assert!(p_value(&shifted) < 1e-4);
        assert_eq!(kolmogorov_smirnov(&one, &[]), None);
    }

    #[test]
    fn a_shift_within_the_grain_is_not_rejected_and_one_beyond_it_is() {
        let one = alone((0..40).map(f64::from));
        for shift in [-20.0, 20.0] {
            let other = alone((0..200).map(|step| f64::from(step) / 5.0 + shift));
            let p_value = |grain| kolmogorov_smirnov_within(&one, &other, grain).expect("values");
            assert!(p_value(20.0) > 0.9, "{}", p_value(20.0));
            assert!(p_value(5.0) < 0.01, "{}", p_value(5.0));
        }
    }

    #[test]
    fn the_critical_value_of_the_test_is_the_published_one() {
        // At D * sqrt(nm / (n + m)) = 1.358 the asymptotic p-value is 5 %.
        let n = 10_000;
        let shift = 1.358 / (f64::from(n) / 2.0).sqrt() * f64::from(n);
        let one = alone((0..n).map(f64::from));
        let other = alone((0..n).map(|value| f64::from(value) + shift));
        let p_value = kolmogorov_smirnov(&one, &other).expect("values");
        assert!((0.045..0.055).contains(&p_value), "{p_value}");
    }

    #[test]
    fn the_lady_tasting_tea_is_not_believed() {
        let near = |one: f64, other: f64| (one - other).abs() < 1e-6;
        assert!(near(fisher_exact((3, 4), (1, 4)), 34.0 / 70.0));
        assert!(near(fisher_exact((4, 4), (0, 4)), 2.0 / 70.0));
        assert!(near(fisher_exact((10, 10), (20, 20)), 1.0));
        assert!(near(fisher_exact((0, 0), (3, 20)), 1.0));
    }
}
