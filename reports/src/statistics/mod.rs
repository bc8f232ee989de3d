//! What many runs allow one to say, and how surely: bounds for quantiles, rates and differences.
//!
//! Nothing here assumes a distribution of times. A run that ended before what was measured had
//! happened counts as an infinite time, so that it is never dropped.

mod paired;
mod quantile;
mod rate;

pub use paired::{Difference, Finding, compare_quantile};
pub use quantile::{Bound, CONFIDENCE, lower_bound, quantile, runs_for_upper_bound, upper_bound};
pub use rate::{Rate, poisson_rate};
