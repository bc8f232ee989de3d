//! Codecs: bytes to values and back. Incremental, bounded, never panicking.

pub mod aof;
pub mod bus;
pub mod rdb;
pub mod resp;
