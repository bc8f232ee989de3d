//! Deterministic simulation of a Redis Cluster: worlds, faults, clients, checkers, event log.

pub mod checkers;
pub mod client;
pub mod clock;
pub mod director;
pub mod disk;
pub mod network;
pub mod operator;
pub mod plan;
pub mod recorder;
pub mod rng;
pub mod run;
#[cfg(test)]
pub(crate) mod samples;
pub mod scenario;
pub mod select;
pub mod tcp;
pub mod trace;
pub mod trace_io;
pub mod weather;
pub mod world;

mod worlds;

pub use run::{Run, RunError, in_parallel, run, run_seeds};
pub use trace_io::TraceHash;
pub use world::{Capabilities, UnknownWorld, WorldKind};
