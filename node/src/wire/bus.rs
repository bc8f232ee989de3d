//! Cluster-bus packets.

/// What is wrong with a packet.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
pub enum BusError {
    /// Placeholder variant, replaced by the codec.
    #[error("bad message length or signature")]
    Signature,
}
