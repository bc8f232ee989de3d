//! The keyspace: values, expiry.

use bytes::Bytes;

/// A value of a key.
#[derive(Clone, PartialEq, Debug)]
pub enum Value {
    /// A string.
    String(Bytes),
}
