//! Whether one of two samples tends to have the greater values, stratum by stratum.

use statrs::distribution::{ContinuousCDF, Normal};

/// The two-sided p-value of van Elteren's test: in each stratum the values of both samples are
/// ranked together, and the rank sums of the first sample, weighted by the size of the stratum, are
/// held against what chance gives. Strata may lie anywhere and be of any size; a shift in one
/// direction in all of them is what it finds. The normal approximation, with ties.
///
/// `None` if no stratum has values of both samples that differ.
#[must_use]
pub fn stratified_rank_sum(strata: &[(Vec<f64>, Vec<f64>)]) -> Option<f64> {
    let (mut excess, mut variance) = (0.0, 0.0);
    for (one, other) in strata {
        let (first, second) = (one.len() as f64, other.len() as f64);
        let count = first + second;
        if one.is_empty() || other.is_empty() {
            continue;
        }
        let (sum, ties) = ranked(one, other);
        let weight = 1.0 / (count + 1.0);
        let spread = count + 1.0 - ties / (count * (count - 1.0));
        excess += weight * (sum - first * (count + 1.0) / 2.0);
        variance += weight * weight * first * second / 12.0 * spread;
    }
    let normal = Normal::standard();
    (variance > 1e-12).then(|| 2.0 * normal.sf(excess.abs() / variance.sqrt()))
}

/// The sum of the ranks of the first sample among both, ties sharing theirs; and the sum of
/// `t^3 - t` over ties of `t` values.
fn ranked(one: &[f64], other: &[f64]) -> (f64, f64) {
    let mut all: Vec<(f64, bool)> = one.iter().map(|value| (*value, true)).collect();
    all.extend(other.iter().map(|value| (*value, false)));
    all.sort_unstable_by(|one, other| one.0.total_cmp(&other.0));
    let (mut sum, mut ties, mut before) = (0.0, 0.0, 0.0);
    for same in all.chunk_by(|one, other| one.0.total_cmp(&other.0).is_eq()) {
        let count = same.len() as f64;
        let rank = before + (count + 1.0) / 2.0;
        sum += rank * same.iter().filter(|(_, is_first)| *is_first).count() as f64;
        ties += count.powi(3) - count;
        before += count;
    }
    (sum, ties)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_stratum_is_the_test_of_wilcoxon() {
        // The ranks of the first are 1, 2, 4 and 6: z = (13 - 20) / sqrt(4 * 5 * 10 / 12).
        let strata = [(vec![1.1, 2.2, 3.3, 4.4], vec![2.5, 3.5, 4.5, 5.5, 6.5])];
        let p_value = stratified_rank_sum(&strata).unwrap();
        assert!((p_value - 0.0864).abs() < 1e-4, "{p_value}");
    }

    #[test]
    fn a_shift_in_every_stratum_is_found_however_far_apart_they_lie() {
        let stratum = |from: f64, shift: f64| {
            let values = |start: f64| (0..6).map(|step| start + f64::from(step)).collect();
            (values(from), values(from + shift))
        };
        let shifted: Vec<_> = (0..8).map(|at| stratum(f64::from(at) * 1e4, 3.5)).collect();
        assert!(stratified_rank_sum(&shifted).unwrap() < 1e-6);
        let alike: Vec<_> = (0..8)
            .map(|at| stratum(f64::from(at) * 1e4, if at % 2 == 0 { 3.5 } else { -3.5 }))
            .collect();
        assert!(stratified_rank_sum(&alike).unwrap() > 0.9);
    }

    #[test]
    fn what_is_all_the_same_tells_nothing() {
        assert_eq!(stratified_rank_sum(&[]), None);
        assert_eq!(stratified_rank_sum(&[(vec![1.0, 1.0], vec![1.0])]), None);
        assert_eq!(stratified_rank_sum(&[(vec![1.0], vec![])]), None);
    }
}
