//! Reports on a redrill run: pure functions of the event log.

pub mod calibration;
pub mod charts;
mod drawing;
pub mod expectations;
pub mod html;
pub mod junit;
pub mod measures;
pub mod model;
pub mod perfetto;
#[cfg(test)]
mod sample;
pub mod statistics;
pub mod summary;
pub mod sweep;
pub mod table;
pub mod terminal;
pub mod text;
pub mod theme;
pub mod timeline;

#[cfg(test)]
mod hostile_logs;
