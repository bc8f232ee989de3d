//! Names of things: cluster nodes, connections, replication histories.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

/// The 40 hexadecimal digits that name a cluster node (`CLUSTER_NAMELEN`), kept as 20 bytes.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct NodeId(pub [u8; 20]);

/// The 40 hexadecimal digits that name a replication history (`CONFIG_RUN_ID_SIZE`).
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ReplicationId(pub [u8; 20]);

/// One cluster-bus connection, outgoing or accepted. Unique within a node's process lifetime.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Serialize, Deserialize)]
pub struct LinkId(pub u64);

/// One accepted client connection. A replica attached for replication is a client too, as in
/// Redis. Unique within a node's process lifetime.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Serialize, Deserialize)]
pub struct ClientId(pub u64);

/// An identifier was not 40 lower-case hexadecimal digits.
#[derive(Clone, Copy, PartialEq, Eq, Debug, thiserror::Error)]
#[error("expected 40 lower-case hexadecimal digits")]
pub struct InvalidId;

impl NodeId {
    /// The all-zero id, which no node carries.
    pub const ZERO: Self = Self([0; 20]);

    /// The 40 ASCII digits as they stand in packets and files.
    #[must_use]
    pub fn to_hex(self) -> [u8; 40] {
        to_hex(self.0)
    }

    /// Reads 40 ASCII digits.
    ///
    /// # Errors
    /// [`InvalidId`] if the text has another length or other characters.
    pub fn from_hex(text: &[u8]) -> Result<Self, InvalidId> {
        from_hex(text).map(Self)
    }
}

impl ReplicationId {
    /// Forty zeros: "no history" (`replid2` of a fresh server).
    pub const ZERO: Self = Self([0; 20]);

    /// The 40 ASCII digits as they stand in `PSYNC` and `INFO`.
    #[must_use]
    pub fn to_hex(self) -> [u8; 40] {
        to_hex(self.0)
    }

    /// Reads 40 ASCII digits.
    ///
    /// # Errors
    /// [`InvalidId`] if the text has another length or other characters.
    pub fn from_hex(text: &[u8]) -> Result<Self, InvalidId> {
        from_hex(text).map(Self)
    }
}

fn to_hex(bytes: [u8; 20]) -> [u8; 40] {
    const DIGITS: &[u8; 16] = b"0123456789abcdef";
    let mut text = [0; 40];
    for (pair, byte) in text.chunks_exact_mut(2).zip(bytes) {
        pair[0] = DIGITS[usize::from(byte >> 4)];
        pair[1] = DIGITS[usize::from(byte & 15)];
    }
    text
}

fn from_hex(text: &[u8]) -> Result<[u8; 20], InvalidId> {
    fn digit(byte: u8) -> Result<u8, InvalidId> {
        match byte {
            b'0'..=b'9' => Ok(byte - b'0'),
            b'a'..=b'f' => Ok(byte - b'a' + 10),
            _ => Err(InvalidId),
        }
    }
    if text.len() != 40 {
        return Err(InvalidId);
    }
    let mut bytes = [0; 20];
    for (byte, pair) in bytes.iter_mut().zip(text.chunks_exact(2)) {
        *byte = digit(pair[0])? << 4 | digit(pair[1])?;
    }
    Ok(bytes)
}

macro_rules! text_forms {
    ($type:ty) => {
        impl fmt::Display for $type {
            fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
                let text = self.to_hex();
                formatter.write_str(std::str::from_utf8(&text).unwrap_or_default())
            }
        }

        impl fmt::Debug for $type {
            fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
                fmt::Display::fmt(self, formatter)
            }
        }

        impl FromStr for $type {
            type Err = InvalidId;

            fn from_str(text: &str) -> Result<Self, InvalidId> {
                Self::from_hex(text.as_bytes())
            }
        }

        impl Serialize for $type {
            fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                // Digits for people, bytes for hashes.
                if serializer.is_human_readable() {
                    serializer.collect_str(self)
                } else {
                    serializer.serialize_bytes(&self.0)
                }
            }
        }

        impl<'de> Deserialize<'de> for $type {
            fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                let text = <std::borrow::Cow<'de, str>>::deserialize(deserializer)?;
                text.parse().map_err(serde::de::Error::custom)
            }
        }
    };
}

text_forms!(NodeId);
text_forms!(ReplicationId);
