//! What can be wrong with a packet.

use std::borrow::Cow;
use std::fmt;

use crate::message::MessageKind;

/// A packet that is not a message: where it breaks the format, what belongs there and what
/// stands there instead.
///
/// Shown in Redis's own words where Redis logs some.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct BusError {
    /// Which rule is broken.
    pub fault: BusFault,
    /// The type the packet claims to be of, if it is known and was read.
    pub kind: Option<MessageKind>,
    /// The field at fault, such as `totlen` or `gossip[2].nodename`.
    pub field: Cow<'static, str>,
    /// Where in the packet the field stands, bytes.
    pub offset: usize,
    /// What belongs there.
    pub expected: Cow<'static, str>,
    /// What stands there.
    pub found: String,
}

/// Rules a packet can break.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub enum BusFault {
    /// It does not start with `RCmb`. Fatal: the stream has lost its place.
    Signature,
    /// Its stated length is below that of a header. Fatal, as the next packet cannot be found.
    TooShort,
    /// Its stated length is above any that a node sends. Fatal: reading on would only take
    /// memory. Redis keeps reading until the link times out.
    TooLong,
    /// Another protocol version.
    Version,
    /// A type this version does not know. Redis takes its header in and ignores the rest.
    UnknownType,
    /// The stated length and the counts inside contradict each other.
    Length,
    /// A ping extension is not a multiple of 8 bytes long.
    ExtensionPadding,
    /// A ping extension is shorter than its own header, or runs past the packet.
    ExtensionLength,
    /// Not 40 lower-case hexadecimal digits.
    NodeId,
    /// Neither an IPv4 nor an IPv6 address.
    Ip,
    /// Not a host name Redis would accept as `cluster-announce-hostname`.
    Hostname,
}

impl BusError {
    /// Whether the link must be closed: the stream cannot be read on. Otherwise the packet is
    /// skipped and the link stays, as in `clusterReadHandler` and `clusterProcessPacket`.
    #[must_use]
    pub const fn is_fatal(&self) -> bool {
        match self.fault {
            BusFault::Signature | BusFault::TooShort | BusFault::TooLong => true,
            BusFault::Version
            | BusFault::UnknownType
            | BusFault::Length
            | BusFault::ExtensionPadding
            | BusFault::ExtensionLength
            | BusFault::NodeId
            | BusFault::Ip
            | BusFault::Hostname => false,
        }
    }

    pub(super) fn new(
        fault: BusFault,
        field: impl Into<Cow<'static, str>>,
        offset: usize,
        expected: impl Into<Cow<'static, str>>,
        found: String,
    ) -> Self {
        Self {
            fault,
            kind: None,
            field: field.into(),
            offset,
            expected: expected.into(),
            found,
        }
    }

    pub(super) fn with_kind(mut self, kind: MessageKind) -> Self {
        self.kind = Some(kind);
        self
    }
}

impl fmt::Display for BusError {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.is_fatal() {
            formatter.write_str("Bad message length or signature received from Cluster bus: ")?;
        } else if self.fault == BusFault::UnknownType {
            write!(formatter, "Received unknown packet type: {}; ", self.found)?;
        } else {
            let kind = self.kind.map_or("unknown", MessageKind::name);
            write!(formatter, "Received invalid {kind} packet: ")?;
        }
        write!(
            formatter,
            "{} at byte {}: expected {}, found {}",
            self.field, self.offset, self.expected, self.found
        )
    }
}

impl std::error::Error for BusError {}

/// Bytes of a packet as they are shown in an error: escaped, and cut to `limit` bytes.
pub(super) fn shown(bytes: &[u8], limit: usize) -> String {
    let cut = bytes.len() > limit;
    let text = bytes[..bytes.len().min(limit)].escape_ascii();
    format!("\"{text}{}\"", if cut { "..." } else { "" })
}
