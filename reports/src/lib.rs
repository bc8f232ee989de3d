//! Reports on a redrill run: pure functions of the event log.

pub mod model;
#[cfg(test)]
mod sample;
pub mod terminal;
pub mod theme;
pub mod timeline;
