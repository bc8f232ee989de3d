//! Deterministic simulation of a Redis Cluster: worlds, faults, clients, checkers, event log.

pub mod checkers;
pub mod client;
pub mod clock;
pub mod disk;
pub mod network;
pub mod rng;
pub mod scenario;
pub mod tcp;
pub mod trace;
pub mod trace_io;
mod world;

pub use world::{Capabilities, UnknownWorld, WorldKind};
mod worlds;
