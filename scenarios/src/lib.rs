//! Failover drills for Redis Cluster.

mod builder;
mod drill;
pub mod import;
mod starter;

pub use builder::Drill;
pub use drill::{BadDrill, Loaded, Look, Mistake, load, parse, read_text};
pub use starter::STARTER;
