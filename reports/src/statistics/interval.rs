//! Intervals.

use serde::Serialize;

/// Normal quantile of a 95 % interval.
pub(super) const Z_95: f64 = 1.959_963_984_540_054;

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

/// Wilson's 95 % interval of a share. From 0 to 1 if nothing could happen.
#[must_use]
pub fn wilson(hits: usize, of: usize) -> Interval {
    if of == 0 {
        return Interval {
            low: 0.0,
            high: 1.0,
        };
    }
    let n = of as f64;
    let share = hits as f64 / n;
    let weight = Z_95 * Z_95 / n;
    let middle = (share + weight / 2.0) / (1.0 + weight);
    let half = (weight * (share * (1.0 - share) + weight / 4.0)).sqrt() / (1.0 + weight);
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn wilsons_interval_is_the_published_one() {
        let near = |one: f64, other: f64| (one - other).abs() < 1e-3;
        let Interval { low, high } = wilson(1, 10);
        assert!(near(low, 0.0179) && near(high, 0.4042), "{low} {high}");
        assert_eq!(wilson(0, 10).low, 0.0);
        assert_eq!(wilson(10, 10).high, 1.0);
        assert!(wilson(0, 0).contains(0.5));
    }
}
