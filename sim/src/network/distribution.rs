//! Distributions of latencies, prepared so that a draw is cheap.

use crate::rng::unit;
use crate::scenario::Latency;

/// Number of pieces in which a distribution is tabulated.
const PIECES: usize = 1024;

/// A distribution of times, as a table of its quantiles with straight lines between them. What is
/// rarer than once in 4096 is cut off.
#[derive(Clone, PartialEq, Debug)]
pub struct Distribution {
    /// `PIECES + 1` quantiles, or a single value that is always drawn.
    quantiles_us: Vec<f64>,
}

impl Distribution {
    /// Prepares a distribution.
    #[must_use]
    pub fn new(latency: Latency) -> Self {
        let quantiles_us = match latency {
            Latency::Constant { value_us } => vec![value_us],
            Latency::Uniform { .. }
            | Latency::Normal { .. }
            | Latency::Lognormal { .. }
            | Latency::Exponential { .. }
            | Latency::Pareto { .. } => (0..=PIECES)
                .map(|piece| {
                    let edge = 0.25 / PIECES as f64;
                    let share = (piece as f64 / PIECES as f64).clamp(edge, 1.0 - edge);
                    quantile_us(latency, share)
                })
                .collect(),
        };
        Self { quantiles_us }
    }

    /// The time that 64 random bits stand for, microseconds, at least 1.
    #[must_use]
    pub fn at(&self, word: u64) -> u64 {
        let place = unit(word) * (self.quantiles_us.len() - 1) as f64;
        let piece = place as i64 as usize;
        let low = self.quantiles_us[piece];
        let high = self.quantiles_us.get(piece + 1).copied().unwrap_or(low);
        let time_us = low + (high - low) * (place - piece as f64);
        // Rounds, without the function call that `round` is on many machines.
        ((time_us + 0.5) as i64).max(1) as u64
    }
}

/// The value below which a share of all draws lies.
pub(crate) fn quantile_us(latency: Latency, share: f64) -> f64 {
    match latency {
        Latency::Constant { value_us } => value_us,
        Latency::Uniform { low_us, high_us } => low_us + (high_us - low_us) * share,
        Latency::Normal {
            mean_us,
            deviation_us,
        } => (mean_us + deviation_us * normal_quantile(share)).max(mean_us / 10.0),
        Latency::Lognormal { p50_us, p99_us } => {
            let deviation = (p99_us / p50_us).ln() / normal_quantile(0.99);
            p50_us * (deviation * normal_quantile(share)).exp()
        }
        Latency::Exponential { mean_us } => -mean_us * (1.0 - share).ln(),
        Latency::Pareto { p50_us, p99_us } => {
            let power = (p99_us / p50_us).ln() / 50.0_f64.ln();
            p50_us * (2.0 * (1.0 - share)).powf(-power)
        }
    }
}

impl Latency {
    /// The mean, microseconds; infinite where the tail is so heavy that there is none.
    #[must_use]
    pub fn mean_us(self) -> f64 {
        match self {
            Self::Constant { value_us } => value_us,
            Self::Uniform { low_us, high_us } => f64::midpoint(low_us, high_us),
            Self::Normal { mean_us, .. } | Self::Exponential { mean_us } => mean_us,
            Self::Lognormal { p50_us, p99_us } => {
                let deviation = (p99_us / p50_us).ln() / normal_quantile(0.99);
                p50_us * (deviation * deviation / 2.0).exp()
            }
            Self::Pareto { p50_us, p99_us } => {
                let power = (p99_us / p50_us).ln() / 50.0_f64.ln();
                if power >= 1.0 {
                    f64::INFINITY
                } else {
                    p50_us / 2.0_f64.powf(power) / (1.0 - power)
                }
            }
        }
    }
}

/// The quantile of the standard normal distribution (P. J. Acklam's approximation, relative error
/// below 1.2e-9).
fn normal_quantile(share: f64) -> f64 {
    const CENTRE_TOP: [f64; 6] = [
        -3.969_683_028_665_376e1,
        2.209_460_984_245_205e2,
        -2.759_285_104_469_687e2,
        1.383_577_518_672_69e2,
        -3.066_479_806_614_716e1,
        2.506_628_277_459_239,
    ];
    const CENTRE_BOTTOM: [f64; 6] = [
        -5.447_609_879_822_406e1,
        1.615_858_368_580_409e2,
        -1.556_989_798_598_866e2,
        6.680_131_188_771_972e1,
        -1.328_068_155_288_572e1,
        1.0,
    ];
    const TAIL_TOP: [f64; 6] = [
        -7.784_894_002_430_293e-3,
        -3.223_964_580_411_365e-1,
        -2.400_758_277_161_838,
        -2.549_732_539_343_734,
        4.374_664_141_464_968,
        2.938_163_982_698_783,
    ];
    const TAIL_BOTTOM: [f64; 5] = [
        7.784_695_709_041_462e-3,
        3.224_671_290_700_398e-1,
        2.445_134_137_142_996,
        3.754_408_661_907_416,
        1.0,
    ];
    const TAIL: f64 = 0.024_25;
    let tail = |share: f64| {
        let distance = (-2.0 * share.ln()).sqrt();
        polynomial(&TAIL_TOP, distance) / polynomial(&TAIL_BOTTOM, distance)
    };
    if share < TAIL {
        tail(share)
    } else if share > 1.0 - TAIL {
        -tail(1.0 - share)
    } else {
        let offset = share - 0.5;
        let square = offset * offset;
        offset * polynomial(&CENTRE_TOP, square) / polynomial(&CENTRE_BOTTOM, square)
    }
}

/// A polynomial by its coefficients, the highest power first.
fn polynomial(coefficients: &[f64], at: f64) -> f64 {
    coefficients
        .iter()
        .fold(0.0, |sum, coefficient| sum * at + coefficient)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rng::draw;

    fn quantiles(latency: Latency, shares: &[f64]) -> Vec<u64> {
        let distribution = Distribution::new(latency);
        let mut draws: Vec<u64> = (0..100_000)
            .map(|time| distribution.at(draw(1, 2, time)))
            .collect();
        draws.sort_unstable();
        shares
            .iter()
            .map(|share| draws[(share * draws.len() as f64) as usize])
            .collect()
    }

    fn assert_near(found: &[u64], wanted: &[f64]) {
        for (found, wanted) in found.iter().zip(wanted) {
            let ratio = *found as f64 / wanted;
            assert!((0.97..1.03).contains(&ratio), "{found} for {wanted}");
        }
    }

    #[test]
    fn a_lognormal_has_its_median_and_99th_percentile() {
        let latency = Latency::Lognormal {
            p50_us: 1_000.0,
            p99_us: 6_000.0,
        };
        assert_near(&quantiles(latency, &[0.5, 0.99]), &[1_000.0, 6_000.0]);
    }

    #[test]
    fn a_pareto_has_its_median_and_99th_percentile_and_a_heavier_tail_than_a_lognormal() {
        let (p50_us, p99_us) = (1_000.0, 20_000.0);
        let pareto = Latency::Pareto { p50_us, p99_us };
        assert_near(&quantiles(pareto, &[0.5, 0.99]), &[1_000.0, 20_000.0]);
        let lognormal = Latency::Lognormal { p50_us, p99_us };
        assert!(quantile_us(pareto, 0.999_9) > 4.0 * quantile_us(lognormal, 0.999_9));
        assert!(
            (pareto.mean_us() - 2_513.0).abs() < 50.0,
            "{}",
            pareto.mean_us()
        );
    }

    #[test]
    fn a_normal_has_its_mean_and_deviation() {
        let latency = Latency::Normal {
            mean_us: 1_000.0,
            deviation_us: 100.0,
        };
        assert_near(
            &quantiles(latency, &[0.1587, 0.5, 0.8413]),
            &[900.0, 1_000.0, 1_100.0],
        );
    }

    #[test]
    fn a_normal_never_falls_below_a_tenth_of_its_mean() {
        let latency = Latency::Normal {
            mean_us: 1_000.0,
            deviation_us: 900.0,
        };
        assert_eq!(quantiles(latency, &[0.0]), [100]);
    }

    #[test]
    fn the_others_have_their_quantiles_too() {
        let uniform = Latency::Uniform {
            low_us: 100.0,
            high_us: 300.0,
        };
        assert_near(&quantiles(uniform, &[0.25, 0.75]), &[150.0, 250.0]);
        let exponential = Latency::Exponential { mean_us: 1_000.0 };
        assert_near(&quantiles(exponential, &[0.5, 0.9]), &[693.1, 2_302.6]);
        assert_eq!(
            quantiles(Latency::Constant { value_us: 250.0 }, &[0.0, 0.99]),
            [250, 250]
        );
    }
}
