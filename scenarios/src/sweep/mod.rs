//! Sweeps: the same drill under many configurations, seed by seed on the same weather.
//!
//! ```
//! # fn main() -> Result<(), Box<dyn std::error::Error>> {
//! let drill = r#"
//!     [[step]]
//!     at = "2s"
//!     crash = "m1"
//!     for = "5s"
//!     [sweep]
//!     set = { "config.cluster-node-timeout" = "1000,2000" }
//!     seeds = 2
//! "#;
//! let sweep = redrill::sweep::Sweep::parse(drill, &Default::default())?;
//! let result = sweep.run(&redrill::sweep::Finished::default(), |_, _| Ok(()))?;
//! assert_eq!(result.statistics.len(), 2);
//! # Ok(())
//! # }
//! ```

pub(crate) mod grid;
mod journal;
mod plan;
mod runner;

use std::ops::Range;

pub use journal::{Finished, Journal, JournalError};
pub use plan::{Options, Sweep};
pub use runner::SweepError;

/// Reads the seeds that `--seeds` names: `500` for 0 to 499, or `100..600`. `None` if it names none.
#[must_use]
pub fn seeds(text: &str) -> Option<Range<u64>> {
    let (first, end) = match text.split_once("..") {
        Some((first, end)) => (first.trim().parse().ok()?, end.trim().parse().ok()?),
        None => (0, text.trim().parse().ok()?),
    };
    (first < end).then_some(first..end)
}
