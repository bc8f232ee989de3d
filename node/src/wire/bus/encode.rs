//! Messages to packets.

use std::io::Write;
use std::net::IpAddr;

use bytes::{BufMut, BytesMut};

use super::layout as at;
use crate::ids::NodeId;
use crate::message::{Body, Gossip, Header, Message, MessageFlags, Ping};

/// The most entries a gossip section can count.
const GOSSIP_MAX: usize = u16::MAX as usize;

/// Length of the packet [`encode`] makes of `message`, bytes. Costs no encoding.
#[must_use]
pub fn encoded_len(message: &Message) -> usize {
    at::HEADER
        + match &message.body {
            Body::Ping(ping) | Body::Pong(ping) | Body::Meet(ping) => {
                ping.gossip.len().min(GOSSIP_MAX) * at::GOSSIP + extensions_len(ping)
            }
            Body::Fail(_) => at::ID_LEN,
            Body::Publish {
                channel, message, ..
            } => 8 + channel.len() + message.len(),
            Body::FailoverAuthRequest | Body::FailoverAuthAck | Body::ManualFailoverStart => 0,
            Body::Update { .. } => at::UPDATE - at::HEADER,
            Body::Module { payload, .. } => 13 + payload.len(),
        }
}

/// Appends the packet of `message` to `out` (`clusterBuildMessageHdr` and its callers).
///
/// [`MessageFlags::EXT_DATA`] is set whenever an extension is sent. Reserved bytes are zero.
pub fn encode(message: &Message, out: &mut BytesMut) {
    let len = encoded_len(message);
    let start = out.len();
    out.put_bytes(0, len);
    let packet = &mut out[start..];
    packet[..4].copy_from_slice(at::SIGNATURE);
    put_u32(packet, at::TOTLEN, u32::try_from(len).unwrap_or(u32::MAX));
    put_u16(packet, at::VER, at::VERSION);
    put_u16(packet, at::TYPE, message.kind() as u16);
    put_header(packet, &message.header);
    put_body(packet, &message.body);
}

fn put_header(packet: &mut [u8], header: &Header) {
    put_u16(packet, at::PORT, header.port);
    put_u64(packet, at::CURRENT_EPOCH, header.current_epoch);
    put_u64(packet, at::CONFIG_EPOCH, header.config_epoch);
    put_u64(packet, at::OFFSET, header.offset);
    put(packet, at::SENDER, &header.sender.to_hex());
    put(packet, at::MYSLOTS, header.slots.bitmap());
    if let Some(master) = header.replica_of {
        put(packet, at::SLAVEOF, &master.to_hex());
    }
    put_ip(&mut packet[at::MYIP..at::MYIP + at::IP_LEN], header.ip);
    put_u16(packet, at::PPORT, header.plain_port);
    put_u16(packet, at::CPORT, header.bus_port);
    put_u16(packet, at::FLAGS, header.flags.bits());
    packet[at::STATE] = u8::from(!header.state_ok);
    packet[at::MFLAGS] = header.message_flags.bits();
}

fn put_body(packet: &mut [u8], body: &Body) {
    match body {
        Body::Ping(ping) | Body::Pong(ping) | Body::Meet(ping) => put_ping(packet, ping),
        Body::Fail(node) => put(packet, at::HEADER, &node.to_hex()),
        Body::Publish {
            channel, message, ..
        } => {
            put_u32(packet, at::HEADER, len_u32(channel));
            put_u32(packet, at::HEADER + 4, len_u32(message));
            put(packet, at::PUBLISH_TEXT, channel);
            put(packet, at::PUBLISH_TEXT + channel.len(), message);
        }
        Body::FailoverAuthRequest | Body::FailoverAuthAck | Body::ManualFailoverStart => {}
        Body::Update {
            node,
            config_epoch,
            slots,
        } => {
            put_u64(packet, at::HEADER, *config_epoch);
            put(packet, at::UPDATE_ID, &node.to_hex());
            put(packet, at::UPDATE_SLOTS, slots.bitmap());
        }
        Body::Module {
            module,
            kind,
            payload,
        } => {
            put_u64(packet, at::HEADER, *module);
            put_u32(packet, at::MODULE_LEN, len_u32(payload));
            packet[at::MODULE_TYPE] = *kind;
            put(packet, at::MODULE_PAYLOAD, payload);
        }
    }
}

fn put_ping(packet: &mut [u8], ping: &Ping) {
    let gossip = ping.gossip.entries();
    let count = gossip.len().min(GOSSIP_MAX);
    put_u16(packet, at::COUNT, count as u16);
    let (entries, extensions) = packet[at::HEADER..].split_at_mut(count * at::GOSSIP);
    for (entry, gossip) in entries.chunks_exact_mut(at::GOSSIP).zip(&*gossip) {
        put_gossip(entry, gossip);
    }
    let count = put_extensions(extensions, ping);
    if count > 0 {
        put_u16(packet, at::EXTENSIONS, count);
        packet[at::MFLAGS] |= MessageFlags::EXT_DATA.bits();
    }
}

/// Writes the extensions in upstream's order (`writePingExtensions`); returns their number.
fn put_extensions(mut left: &mut [u8], ping: &Ping) -> u16 {
    let mut count = 0;
    let mut next = |kind: u16, len: usize, write: &dyn Fn(&mut [u8])| {
        let (extension, rest) = std::mem::take(&mut left).split_at_mut(len);
        put_u32(extension, 0, len as u32);
        put_u16(extension, 4, kind);
        write(&mut extension[at::EXTENSION..]);
        left = rest;
        count += 1;
    };
    if let Some(hostname) = announced(ping) {
        let len = at::hostname_extension_len(hostname);
        next(at::EXTENSION_HOSTNAME, len, &|body| {
            put(body, 0, hostname.as_bytes())
        });
    }
    for (id, ttl_s) in forgotten(ping) {
        next(at::EXTENSION_FORGOTTEN, at::FORGOTTEN_EXTENSION, &|body| {
            put(body, 0, &id.to_hex());
            put_u64(body, at::ID_LEN, *ttl_s);
        });
    }
    if let Some(shard_id) = &ping.shard_id {
        next(at::EXTENSION_SHARD, at::SHARD_EXTENSION, &|body| {
            put(body, 0, &shard_id.to_hex());
        });
    }
    count
}

fn extensions_len(ping: &Ping) -> usize {
    announced(ping).map_or(0, at::hostname_extension_len)
        + forgotten(ping).len() * at::FORGOTTEN_EXTENSION
        + ping.shard_id.map_or(0, |_| at::SHARD_EXTENSION)
}

/// The forgotten nodes that go out: as many as can be counted.
fn forgotten(ping: &Ping) -> &[(NodeId, u64)] {
    const MOST: usize = 1 << 10;
    &ping.forgotten[..ping.forgotten.len().min(MOST)]
}

fn put_gossip(entry: &mut [u8], gossip: &Gossip) {
    put(entry, 0, &gossip.node.to_hex());
    put_u32(entry, at::GOSSIP_PING_SENT, gossip.ping_sent_s);
    put_u32(entry, at::GOSSIP_PONG_RECEIVED, gossip.pong_received_s);
    let ip = &mut entry[at::GOSSIP_IP..at::GOSSIP_IP + at::IP_LEN];
    put_ip(ip, gossip.address.ip);
    put_u16(entry, at::GOSSIP_PORT, gossip.address.port);
    put_u16(entry, at::GOSSIP_CPORT, gossip.address.bus_port);
    put_u16(entry, at::GOSSIP_FLAGS, gossip.flags.bits());
    put_u16(entry, at::GOSSIP_PPORT, gossip.plain_port);
}

/// The hostname that goes out: an empty one does not.
fn announced(ping: &Ping) -> Option<&str> {
    ping.hostname.as_deref().filter(|name| !name.is_empty())
}

fn put(bytes: &mut [u8], offset: usize, value: &[u8]) {
    bytes[offset..offset + value.len()].copy_from_slice(value);
}

fn put_u16(bytes: &mut [u8], offset: usize, value: u16) {
    put(bytes, offset, &value.to_be_bytes());
}

fn put_u32(bytes: &mut [u8], offset: usize, value: u32) {
    put(bytes, offset, &value.to_be_bytes());
}

fn put_u64(bytes: &mut [u8], offset: usize, value: u64) {
    put(bytes, offset, &value.to_be_bytes());
}

/// The longest text of an address has 45 bytes, so it always fits and a NUL follows it.
fn put_ip(mut field: &mut [u8], ip: Option<IpAddr>) {
    let written = match ip {
        Some(IpAddr::V4(ip)) => write!(field, "{ip}"),
        Some(IpAddr::V6(ip)) => write!(field, "{ip}"),
        None => Ok(()),
    };
    debug_assert!(written.is_ok());
}

fn len_u32(bytes: &[u8]) -> u32 {
    u32::try_from(bytes.len()).unwrap_or(u32::MAX)
}
