//! Rates of rare events.

use serde::Serialize;
use statrs::distribution::{ContinuousCDF, Gamma};

/// How often something happens.
#[derive(Clone, Copy, PartialEq, Debug, Serialize)]
pub struct Rate {
    /// The best guess: events by exposure.
    pub estimate: f64,
    /// Lower end of the 95 % interval.
    pub low: f64,
    /// Upper end of the 95 % interval.
    pub high: f64,
}

/// The rate of `events` within an exposure (in days, say; the rate is per day then), with Garwood's
/// exact 95 % interval for a Poisson process. `None` without exposure.
#[must_use]
pub fn poisson_rate(events: u64, exposure: f64) -> Option<Rate> {
    if !(exposure > 0.0 && exposure.is_finite()) {
        return None;
    }
    let events = events as f64;
    // The gamma quantile is half of the chi-square quantile with twice the degrees of freedom.
    let at = |shape: f64, share: f64| Some(Gamma::new(shape, 1.0).ok()?.inverse_cdf(share));
    let low = if events > 0.0 {
        at(events, 0.025)?
    } else {
        0.0
    };
    Some(Rate {
        estimate: events / exposure,
        low: low / exposure,
        high: at(events + 1.0, 0.975)? / exposure,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn assert_interval(events: u64, low: f64, high: f64) {
        let rate = poisson_rate(events, 1.0).expect("there is exposure");
        assert!((rate.low - low).abs() < 5e-4, "{rate:?}");
        assert!((rate.high - high).abs() < 5e-4, "{rate:?}");
    }

    #[test]
    fn intervals_are_those_of_the_tables() {
        assert_interval(0, 0.0, 3.6889);
        assert_interval(1, 0.0253, 5.5716);
        assert_interval(10, 4.7954, 18.3904);
        assert_interval(100, 81.3640, 121.6268);
    }

    #[test]
    fn exposure_scales_everything() {
        let day = poisson_rate(4, 2.0).expect("exposure");
        let week = poisson_rate(4, 14.0).expect("exposure");
        assert!((day.estimate - 2.0).abs() < 1e-12);
        assert!((day.high / week.high - 7.0).abs() < 1e-9);
    }

    #[test]
    fn without_exposure_there_is_no_rate() {
        for exposure in [0.0, -1.0, f64::NAN, f64::INFINITY] {
            assert_eq!(poisson_rate(1, exposure), None);
        }
    }
}
