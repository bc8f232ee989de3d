//! What many runs allow one to say, and how surely: bounds for quantiles, rates and differences.
//!
//! Nothing here assumes a distribution of times. A run that ended before what was measured had
//! happened counts as an infinite time, so that it is never dropped.

mod bootstrap;
mod interval;
mod paired;
mod quantile;
mod rank_sum;
mod rate;
mod two_samples;

pub use bootstrap::{median_interval, ratio_interval};
pub use interval::{Interval, wilson};
pub use paired::{Compared, Difference, Finding, compare_paired, compare_unpaired};
pub use quantile::{
    Bound, CONFIDENCE, Quantiles, lower_bound, quantile, runs_for_upper_bound, upper_bound,
};
pub use rank_sum::stratified_rank_sum;
pub use rate::{Rate, poisson_rate};
pub use two_samples::{distance, fisher_exact, kolmogorov_smirnov, kolmogorov_smirnov_within};
