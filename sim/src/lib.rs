//! Deterministic simulation of a Redis Cluster: worlds, faults, clients, checkers, event log.

pub mod checkers;
pub mod scenario;
pub mod trace;
