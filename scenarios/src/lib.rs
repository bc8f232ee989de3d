//! Failover drills for Redis Cluster: rehearse partitions, stalls and crashes before production
//! does.
//!
//! A [`Drill`] is a TOML file (or text) with a cluster, a load, a script of faults and
//! expectations. Running it simulates real cluster-node logic, checks what must never break, and
//! measures the rest. In a test:
//!
//! ```
//! # fn main() -> Result<(), Box<dyn std::error::Error>> {
//! let outcome = redrill::Drill::parse(
//!     r#"
//!     [config]
//!     cluster-node-timeout = 2000
//!     [[step]]
//!     at = "2s"
//!     jitter = "1s"
//!     crash = "master-of:slot:0"
//!     restart-after = "8s"
//!     expect = "failover"
//!     [expect]
//!     failover-time = "max < 5s"
//!     "#,
//! )?
//! .seeds(0..3)
//! .run()?;
//! outcome.assert_valid();
//! assert_eq!(outcome.summary.runs.len(), 3);
//! # Ok(())
//! # }
//! ```
//!
//! With a file it is `redrill::Drill::from_file("drills/kill-master.toml")?.seeds(0..50).run()?`.
//! When something goes wrong, [`Outcome::assert_valid`] says what, and which one command repeats
//! it.

mod bench_drill;
mod builder;
pub mod calibration;
mod drill;
pub mod import;
mod starter;
pub mod sweep;

pub use bench_drill::BenchDrill;
pub use builder::{Drill, Ended, NothingRan, Outcome};
pub use drill::{BadDrill, Loaded, Look, Mistake, load, parse, read_text};
pub use redrill_reports as reports;
pub use redrill_sim as sim;
pub use starter::STARTER;
