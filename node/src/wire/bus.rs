//! Cluster-bus packets of Redis 7.0 (protocol version 1).
//!
//! [`encode`] and [`decode`] turn messages into packets and back; [`Decoder`] cuts packets out
//! of a stream. Two kinds of error, as in Redis: after one that [`BusError::is_fatal`] the link
//! must be closed, after any other the packet is skipped and the link stays.

mod decode;
mod encode;
mod error;
mod layout;
#[cfg(test)]
mod tests;

use std::sync::Arc;

use bytes::{Buf, BytesMut};

use crate::message::Message;
use crate::slot::SlotSet;

pub use encode::{encode, encoded_len};
pub use error::{BusError, BusFault};

/// Length of a header, and of the shortest packet, bytes (`CLUSTERMSG_MIN_LEN`).
pub const MIN_LEN: usize = layout::HEADER;

/// Length of the longest packet a node can have reason to send, bytes: a published message whose
/// channel and text are as long as a client may make them (`proto-max-bulk-len`, 512 MB each).
pub const MAX_LEN: usize = layout::PUBLISH_TEXT + (1 << 30);

/// Cuts packets out of the bytes of one link.
#[derive(Debug)]
pub struct Decoder {
    max_len: usize,
    /// The slots that came last. A link's packets carry the same bitmap nearly always.
    slots: Arc<SlotSet>,
}

impl Default for Decoder {
    fn default() -> Self {
        Self::new()
    }
}

impl Decoder {
    /// A decoder at the start of a stream, for packets up to [`MAX_LEN`].
    #[must_use]
    pub fn new() -> Self {
        Self::with_max_len(MAX_LEN)
    }

    /// A decoder that takes a packet longer than `max_len` bytes for a fatal error.
    #[must_use]
    pub fn with_max_len(max_len: usize) -> Self {
        Self {
            max_len,
            slots: Arc::default(),
        }
    }

    /// Takes the next packet off the front of `buf`; `None` until it has arrived whole.
    /// Reserves no space: a packet that lies about its length costs what was sent of it.
    ///
    /// # Errors
    /// A fatal one leaves `buf` as it is: asking again gives the same error. Any other has taken
    /// the bad packet off, and the next call goes on after it.
    pub fn next(&mut self, buf: &mut BytesMut) -> Result<Option<Message>, BusError> {
        let Some(start) = buf.first_chunk() else {
            return Ok(None);
        };
        let len = decode::packet_len(start, self.max_len)?;
        if buf.len() < len {
            return Ok(None);
        }
        let message = decode::message(&buf[..len], &self.slots);
        buf.advance(len);
        let message = message?;
        self.slots = Arc::clone(&message.header.slots);
        Ok(Some(message))
    }
}

/// Reads one whole packet.
///
/// # Errors
/// As [`Decoder::next`]; also if the bytes are fewer or more than the packet says.
pub fn decode(packet: &[u8]) -> Result<Message, BusError> {
    let short = || {
        let expected = format!("at least {MIN_LEN}");
        BusError::new(
            BusFault::TooShort,
            "totlen",
            4,
            expected,
            packet.len().to_string(),
        )
    };
    let len = decode::packet_len(packet.first_chunk().ok_or_else(short)?, MAX_LEN)?;
    if packet.len() != len {
        let found = len.to_string();
        return Err(BusError::new(
            BusFault::Length,
            "totlen",
            4,
            packet.len().to_string(),
            found,
        ));
    }
    decode::message(packet, &Arc::default())
}
