//! Packets to messages. Offsets are checked once a section; nothing is allocated by a count
//! that the packet's own length does not bear out.

use std::net::IpAddr;
use std::sync::Arc;

use bytes::Bytes;

use super::error::{BusError, BusFault, shown};
use super::layout as at;
use crate::ids::NodeId;
use crate::message::{
    Address, Body, Gossip, Header, Message, MessageFlags, MessageKind, NodeFlags, Ping,
};
use crate::slot::{SLOT_BYTES, SlotSet};

/// Checks the first 8 bytes of a packet and returns its length (`clusterReadHandler`).
pub(super) fn packet_len(start: &[u8; 8], max_len: usize) -> Result<usize, BusError> {
    let (signature, len) = start.split_at(4);
    if signature != at::SIGNATURE {
        let expected = "\"RCmb\"";
        return Err(BusError::new(
            BusFault::Signature,
            "sig",
            0,
            expected,
            shown(signature, 4),
        ));
    }
    let len = get_u32(len, 0) as usize;
    let wrong =
        |fault, expected| BusError::new(fault, "totlen", at::TOTLEN, expected, len.to_string());
    if len < at::HEADER {
        return Err(wrong(
            BusFault::TooShort,
            format!("at least {}", at::HEADER),
        ));
    }
    if len > max_len {
        return Err(wrong(BusFault::TooLong, format!("at most {max_len}")));
    }
    Ok(len)
}

/// Reads a whole packet of at least a header's length (`clusterProcessPacket`). `known` is a
/// slot set that is shared instead of copied if the packet's bitmap is the same.
pub(super) fn message(packet: &[u8], known: &Arc<SlotSet>) -> Result<Message, BusError> {
    let version = get_u16(packet, at::VER);
    if version != at::VERSION {
        let expected = at::VERSION.to_string();
        return Err(BusError::new(
            BusFault::Version,
            "ver",
            at::VER,
            expected,
            version.to_string(),
        ));
    }
    let number = get_u16(packet, at::TYPE);
    let Some(kind) = MessageKind::from_wire(number) else {
        let expected = format!("0 to {}", MessageKind::COUNT - 1);
        return Err(BusError::new(
            BusFault::UnknownType,
            "type",
            at::TYPE,
            expected,
            number.to_string(),
        ));
    };
    let read = || {
        let extensions = check_len(packet, kind)?;
        Ok(Message {
            header: header(packet, known)?,
            body: body(packet, kind, extensions, known)?,
        })
    };
    read().map_err(|error: BusError| error.with_kind(kind))
}

/// Checks that the packet is as long as its counts say; returns where ping extensions start, if
/// it has any.
fn check_len(packet: &[u8], kind: MessageKind) -> Result<Option<usize>, BusError> {
    let expected = match kind {
        MessageKind::Ping | MessageKind::Pong | MessageKind::Meet => {
            let end = at::HEADER + usize::from(get_u16(packet, at::COUNT)) * at::GOSSIP;
            let flags = MessageFlags::from_bits_retain(packet[at::MFLAGS]);
            if flags.contains(MessageFlags::EXT_DATA) && packet.len() >= end {
                let extended = extensions_end(packet, end)?;
                if extended == packet.len() {
                    return Ok(Some(end));
                }
                extended
            } else {
                end
            }
        }
        MessageKind::Fail => at::HEADER + at::ID_LEN,
        MessageKind::Publish | MessageKind::PublishShard => {
            match packet.get(at::HEADER..at::PUBLISH_TEXT) {
                Some(lens) => {
                    let texts = u64::from(get_u32(lens, 0)) + u64::from(get_u32(lens, 4));
                    at::PUBLISH_TEXT.saturating_add(usize::try_from(texts).unwrap_or(usize::MAX))
                }
                None => at::PUBLISH_TEXT,
            }
        }
        MessageKind::FailoverAuthRequest
        | MessageKind::FailoverAuthAck
        | MessageKind::ManualFailoverStart => at::HEADER,
        MessageKind::Update => at::UPDATE,
        MessageKind::Module => match packet.get(at::MODULE_LEN..at::MODULE_TYPE) {
            Some(len) => at::MODULE_PAYLOAD.saturating_add(get_u32(len, 0) as usize),
            None => at::MODULE_PAYLOAD,
        },
    };
    if packet.len() == expected {
        return Ok(None);
    }
    let found = packet.len().to_string();
    Err(BusError::new(
        BusFault::Length,
        "totlen",
        at::TOTLEN,
        expected.to_string(),
        found,
    ))
}

/// Checks the extensions that start at `offset`; returns where they end.
fn extensions_end(packet: &[u8], mut offset: usize) -> Result<usize, BusError> {
    for index in 0..get_u16(packet, at::EXTENSIONS) {
        let left = packet.len() - offset;
        let wrong = |fault, expected, found: usize| {
            let field = format!("ext[{index}].length");
            BusError::new(fault, field, offset, expected, found.to_string())
        };
        if left < at::EXTENSION {
            let expected = format!("{} bytes of extension header", at::EXTENSION);
            return Err(wrong(BusFault::ExtensionLength, expected, left));
        }
        let len = get_u32(packet, offset) as usize;
        if !len.is_multiple_of(8) {
            let expected = "proper padding to a multiple of 8 bytes".to_owned();
            return Err(wrong(BusFault::ExtensionPadding, expected, len));
        }
        if !(at::EXTENSION..=left).contains(&len) {
            let expected = format!("{} to {left}", at::EXTENSION);
            return Err(wrong(BusFault::ExtensionLength, expected, len));
        }
        offset += len;
    }
    Ok(offset)
}

fn header(packet: &[u8], known: &Arc<SlotSet>) -> Result<Header, BusError> {
    let master = &packet[at::SLAVEOF..at::SLAVEOF + at::ID_LEN];
    Ok(Header {
        sender: id(packet, at::SENDER, || "sender".into())?,
        current_epoch: get_u64(packet, at::CURRENT_EPOCH),
        config_epoch: get_u64(packet, at::CONFIG_EPOCH),
        offset: get_u64(packet, at::OFFSET),
        slots: slots(packet, at::MYSLOTS, known),
        replica_of: if master.iter().all(|&byte| byte == 0) {
            None
        } else {
            Some(id(packet, at::SLAVEOF, || "slaveof".into())?)
        },
        ip: ip(packet, at::MYIP, || "myip".into())?,
        port: get_u16(packet, at::PORT),
        plain_port: get_u16(packet, at::PPORT),
        bus_port: get_u16(packet, at::CPORT),
        flags: NodeFlags::from_bits_retain(get_u16(packet, at::FLAGS)),
        state_ok: packet[at::STATE] == 0,
        message_flags: MessageFlags::from_bits_retain(packet[at::MFLAGS]),
    })
}

fn body(
    packet: &[u8],
    kind: MessageKind,
    extensions: Option<usize>,
    known: &Arc<SlotSet>,
) -> Result<Body, BusError> {
    Ok(match kind {
        MessageKind::Ping => Body::Ping(ping(packet, extensions)?),
        MessageKind::Pong => Body::Pong(ping(packet, extensions)?),
        MessageKind::Meet => Body::Meet(ping(packet, extensions)?),
        MessageKind::Fail => Body::Fail(id(packet, at::HEADER, || "fail.nodename".into())?),
        MessageKind::Publish => publish(packet, false),
        MessageKind::PublishShard => publish(packet, true),
        MessageKind::FailoverAuthRequest => Body::FailoverAuthRequest,
        MessageKind::FailoverAuthAck => Body::FailoverAuthAck,
        MessageKind::Update => Body::Update {
            node: id(packet, at::UPDATE_ID, || "update.nodename".into())?,
            config_epoch: get_u64(packet, at::HEADER),
            slots: slots(packet, at::UPDATE_SLOTS, known),
        },
        MessageKind::ManualFailoverStart => Body::ManualFailoverStart,
        MessageKind::Module => Body::Module {
            module: get_u64(packet, at::HEADER),
            kind: packet[at::MODULE_TYPE],
            payload: Bytes::copy_from_slice(&packet[at::MODULE_PAYLOAD..]),
        },
    })
}

fn publish(packet: &[u8], sharded: bool) -> Body {
    let texts = Bytes::copy_from_slice(&packet[at::PUBLISH_TEXT..]);
    let channel_len = get_u32(packet, at::HEADER) as usize;
    Body::Publish {
        channel: texts.slice(..channel_len),
        message: texts.slice(channel_len..),
        sharded,
    }
}

fn ping(packet: &[u8], extensions: Option<usize>) -> Result<Ping, BusError> {
    let count = usize::from(get_u16(packet, at::COUNT));
    let mut entries = Vec::with_capacity(count);
    for index in 0..count {
        entries.push(gossip(packet, index)?);
    }
    let mut ping = Ping {
        gossip: entries.into(),
        ..Ping::default()
    };
    if let Some(offset) = extensions {
        read_extensions(packet, offset, &mut ping)?;
    }
    Ok(ping)
}

fn gossip(packet: &[u8], index: usize) -> Result<Gossip, BusError> {
    let start = at::HEADER + index * at::GOSSIP;
    let entry = &packet[start..start + at::GOSSIP];
    Ok(Gossip {
        node: id(packet, start, || format!("gossip[{index}].nodename"))?,
        ping_sent_s: get_u32(entry, at::GOSSIP_PING_SENT),
        pong_received_s: get_u32(entry, at::GOSSIP_PONG_RECEIVED),
        address: Address {
            ip: ip(packet, start + at::GOSSIP_IP, || {
                format!("gossip[{index}].ip")
            })?,
            port: get_u16(entry, at::GOSSIP_PORT),
            bus_port: get_u16(entry, at::GOSSIP_CPORT),
        },
        plain_port: get_u16(entry, at::GOSSIP_PPORT),
        flags: NodeFlags::from_bits_retain(get_u16(entry, at::GOSSIP_FLAGS)),
    })
}

/// The extensions, whose lengths were checked. The last of a kind counts; unknown types, and those
/// too short for what they say they are, are passed over (`clusterProcessPingExtensions`).
fn read_extensions(packet: &[u8], mut offset: usize, ping: &mut Ping) -> Result<(), BusError> {
    for index in 0..get_u16(packet, at::EXTENSIONS) {
        let len = get_u32(packet, offset) as usize;
        let (start, end) = (offset + at::EXTENSION, offset + len);
        match get_u16(packet, offset + 4) {
            at::EXTENSION_HOSTNAME => {
                ping.hostname = hostname_text(&packet[start..end]).map_err(|found| {
                    let field = format!("ext[{index}].hostname");
                    let expected = "letters, digits, hyphens and dots, at most 255, then NUL";
                    BusError::new(BusFault::Hostname, field, start, expected, found)
                })?;
            }
            at::EXTENSION_FORGOTTEN if len >= at::FORGOTTEN_EXTENSION => {
                let forgotten = id(packet, start, || format!("ext[{index}].name"))?;
                let ttl_s = get_u64(packet, start + at::ID_LEN);
                ping.forgotten.push((forgotten, ttl_s));
            }
            at::EXTENSION_SHARD if len >= at::SHARD_EXTENSION => {
                ping.shard_id = Some(id(packet, start, || format!("ext[{index}].shard_id"))?);
            }
            _ => {}
        }
        offset = end;
    }
    Ok(())
}

/// What stands before the NUL, if Redis would accept it as a host name; it reaches the state
/// file, where a blank or a line break would break the format.
fn hostname_text(field: &[u8]) -> Result<Option<Box<str>>, String> {
    let len = field.iter().position(|&byte| byte == 0);
    let text = &field[..len.unwrap_or(field.len())];
    let allowed = |byte: &u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'.');
    match std::str::from_utf8(text) {
        Ok("") if len.is_some() => Ok(None),
        Ok(name) if len.is_some() && name.len() < 256 && text.iter().all(allowed) => {
            Ok(Some(name.into()))
        }
        Ok(_) | Err(_) => Err(shown(text, 64)),
    }
}

fn slots(packet: &[u8], offset: usize, known: &Arc<SlotSet>) -> Arc<SlotSet> {
    let bitmap = array::<SLOT_BYTES>(packet, offset);
    if bitmap == known.bitmap() {
        Arc::clone(known)
    } else {
        Arc::new(SlotSet::from_bitmap(*bitmap))
    }
}

fn id(packet: &[u8], offset: usize, field: impl FnOnce() -> String) -> Result<NodeId, BusError> {
    let digits = &packet[offset..offset + at::ID_LEN];
    NodeId::from_hex(digits).map_err(|_| {
        let expected = "40 lower-case hexadecimal digits";
        BusError::new(
            BusFault::NodeId,
            field(),
            offset,
            expected,
            shown(digits, at::ID_LEN),
        )
    })
}

/// An address field: a text that ends at the first NUL; none if it is empty.
fn ip(
    packet: &[u8],
    offset: usize,
    field: impl FnOnce() -> String,
) -> Result<Option<IpAddr>, BusError> {
    let bytes = &packet[offset..offset + at::IP_LEN];
    let len = bytes
        .iter()
        .take(at::IP_LEN - 1)
        .position(|&byte| byte == 0);
    let text = &bytes[..len.unwrap_or(at::IP_LEN - 1)];
    if text.is_empty() {
        return Ok(None);
    }
    match std::str::from_utf8(text).map(str::parse) {
        Ok(Ok(ip)) => Ok(Some(ip)),
        Ok(Err(_)) | Err(_) => {
            let expected = "an IPv4 or IPv6 address, or nothing";
            Err(BusError::new(
                BusFault::Ip,
                field(),
                offset,
                expected,
                shown(text, at::IP_LEN),
            ))
        }
    }
}

fn array<const N: usize>(bytes: &[u8], offset: usize) -> &[u8; N] {
    match bytes[offset..].first_chunk() {
        Some(array) => array,
        None => unreachable!("the length of the packet was checked"),
    }
}

fn get_u16(bytes: &[u8], offset: usize) -> u16 {
    u16::from_be_bytes(*array(bytes, offset))
}

fn get_u32(bytes: &[u8], offset: usize) -> u32 {
    u32::from_be_bytes(*array(bytes, offset))
}

fn get_u64(bytes: &[u8], offset: usize) -> u64 {
    u64::from_be_bytes(*array(bytes, offset))
}
