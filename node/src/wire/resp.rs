//! RESP frames.

/// What is wrong with a client's bytes.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
pub enum RespError {
    /// Placeholder variant, replaced by the codec.
    #[error("Protocol error: invalid bulk length")]
    BulkLength,
}
