//! The event world: the node's state machine under a discrete-event scheduler.
//!
//! No bytes, no sockets, no tasks: typed messages travel at the pace that [`crate::tcp`] gives the
//! bytes they stand for, and nothing runs where nothing happens. The turns of a node's event loop
//! are those of `redrill_server`: what is readable, then timers, then the end of the turn.

mod alarms;
mod carry_out;
mod connections;
mod data;
mod exchange;
mod host;
mod kernel;
mod look_ahead;
mod parcels;
mod queue;
mod table;
#[cfg(test)]
mod tests;
mod turn;
mod wire;
mod world;

pub(crate) use world::run;
