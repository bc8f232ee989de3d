//! RESP, the protocol of clients and of the replication stream.
//!
//! | side | bytes to values | values to bytes |
//! | --- | --- | --- |
//! | server | [`RequestDecoder`] | [`encode_reply`] |
//! | client | [`decode_reply`] | [`encode_command`] |
//!
//! Requests are read by Redis's own rules (inline commands, its limits, its error texts), which
//! no library has. Replies keep the order of maps and tell RESP2's two nulls apart, and nesting
//! is bounded; the tests hold them against the `redis-protocol` crate.

mod encode;
mod error;
mod number;
mod reply;
mod request;
mod split;
#[cfg(test)]
mod tests;

pub use encode::{command_len, encode_command, encode_reply};
pub use error::RespError;
pub use number::{double_text, string_to_i64};
pub use reply::decode_reply;
pub use request::{Request, RequestDecoder};
pub use split::split_args;

/// The longest bulk string, bytes (`proto-max-bulk-len`).
pub const MAX_BULK_LEN: usize = 512 << 20;

/// The longest inline command or length line, bytes (`PROTO_INLINE_MAX_SIZE`).
pub const MAX_LINE_LEN: usize = 64 << 10;

/// The most memory one request may take while it arrives, bytes (`client-query-buffer-limit`).
pub const MAX_REQUEST_LEN: usize = 1 << 30;

/// The deepest nesting of a reply. Redis's own replies nest five deep.
pub const MAX_REPLY_DEPTH: usize = 32;
