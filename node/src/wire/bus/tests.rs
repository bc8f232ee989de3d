use std::sync::Arc;

use bytes::{BufMut, Bytes, BytesMut};
use proptest::prelude::*;

use super::layout as at;
use super::*;
use crate::ids::NodeId;
use crate::message::{
    Address, Body, Gossip, Header, Message, MessageFlags, MessageKind, NodeFlags, Ping,
};
use crate::section::Section;
use crate::slot::SlotSet;

const CAPTURED: &[u8] = include_bytes!("../../../tests/fixtures/bus-packets.bin");

fn decode_all(bytes: &[u8], chunk_lens: &[usize]) -> (Vec<Result<Message, BusError>>, usize) {
    let mut decoder = Decoder::new();
    let mut buf = BytesMut::new();
    let mut results = Vec::new();
    let mut rest = bytes;
    let mut lens = chunk_lens.iter().copied().cycle();
    while !rest.is_empty() {
        let chunk;
        (chunk, rest) = rest.split_at(lens.next().unwrap_or(rest.len()).clamp(1, rest.len()));
        buf.put_slice(chunk);
        loop {
            match decoder.next(&mut buf) {
                Ok(Some(message)) => results.push(Ok(message)),
                Ok(None) => break,
                Err(error) if error.is_fatal() => {
                    results.push(Err(error));
                    return (results, 0);
                }
                Err(error) => results.push(Err(error)),
            }
        }
    }
    (results, buf.len())
}

fn captured() -> Vec<Message> {
    let (results, left) = decode_all(CAPTURED, &[]);
    assert_eq!(left, 0);
    results.into_iter().collect::<Result<_, _>>().unwrap()
}

fn first(kind: MessageKind) -> Message {
    let mut messages = captured().into_iter();
    messages.find(|message| message.kind() == kind).unwrap()
}

fn packet(message: &Message) -> BytesMut {
    let mut out = BytesMut::new();
    encode(message, &mut out);
    assert_eq!(out.len(), encoded_len(message));
    out
}

fn pong_with_gossip() -> BytesMut {
    let full =
        |message: &Message| matches!(&message.body, Body::Pong(ping) if ping.gossip.len() == 3);
    packet(captured().iter().find(|message| full(message)).unwrap())
}

fn ping_with_hostname(hostname: &str) -> BytesMut {
    let mut message = first(MessageKind::Ping);
    message.body = Body::Ping(Ping {
        gossip: Section::default(),
        hostname: Some(hostname.into()),
        ..Ping::default()
    });
    packet(&message)
}

/// Changes a packet of the given bytes and tells what is wrong with it then.
fn error_after(mut packet: BytesMut, change: impl FnOnce(&mut BytesMut)) -> BusError {
    change(&mut packet);
    decode(&packet).unwrap_err()
}

#[test]
fn captured_packets_decode_and_encode_back_byte_for_byte() {
    let messages = captured();
    let mut out = BytesMut::new();
    for message in &messages {
        encode(message, &mut out);
    }
    assert_eq!(out, CAPTURED);
    let kinds: Vec<_> = messages.iter().map(Message::kind).collect();
    for kind in [
        MessageKind::Ping,
        MessageKind::Pong,
        MessageKind::Meet,
        MessageKind::Fail,
        MessageKind::FailoverAuthRequest,
        MessageKind::FailoverAuthAck,
        MessageKind::Update,
        MessageKind::ManualFailoverStart,
    ] {
        assert!(
            kinds.contains(&kind),
            "{kind:?} is not among the captured packets"
        );
    }
}

/// Every packet that was recorded while a cluster was made, failed over by hand and lost a master.
#[test]
fn every_packet_of_a_recorded_cluster_comes_back_byte_for_byte() {
    let recorded: &[u8] = include_bytes!("../../../tests/fixtures/bus-packets-all.bin");
    let (results, left) = decode_all(recorded, &[1000]);
    assert_eq!((results.len(), left), (254, 0));
    let mut out = BytesMut::new();
    for message in results {
        encode(&message.unwrap(), &mut out);
    }
    assert!(out == recorded, "some packet was written another way");
}

#[test]
fn a_captured_packet_says_what_its_cluster_was_in() {
    let message = first(MessageKind::FailoverAuthRequest);
    let Header {
        port,
        bus_port,
        flags,
        message_flags,
        replica_of,
        slots,
        ..
    } = &message.header;
    assert_eq!((*port, *bus_port), (7004, 17004));
    assert_eq!(*flags, NodeFlags::MYSELF | NodeFlags::REPLICA);
    assert_eq!(*message_flags, MessageFlags::FORCEACK);
    assert!(replica_of.is_some());
    assert_eq!(slots.len(), 5461);
}

#[test]
fn packets_of_one_sender_share_their_slots() {
    let update = packet(&first(MessageKind::Update));
    let mut buf = BytesMut::from_iter(update.iter().chain(&update).copied());
    let mut decoder = Decoder::new();
    let one = decoder.next(&mut buf).unwrap().unwrap();
    let two = decoder.next(&mut buf).unwrap().unwrap();
    assert!(Arc::ptr_eq(&one.header.slots, &two.header.slots));
}

#[test]
fn a_wrong_signature_closes_the_link_as_soon_as_eight_bytes_are_there() {
    let mut decoder = Decoder::new();
    let mut buf = BytesMut::from("GET / H");
    assert_eq!(decoder.next(&mut buf), Ok(None));
    buf.put_u8(b'T');
    let error = decoder.next(&mut buf).unwrap_err();
    assert!(error.is_fatal());
    assert_eq!(decoder.next(&mut buf), Err(error.clone()));
    insta::assert_snapshot!(error, @r#"Bad message length or signature received from Cluster bus: sig at byte 0: expected "RCmb", found "GET ""#);
}

#[test]
fn a_length_below_a_header_or_above_the_longest_packet_closes_the_link() {
    let error = |len: u32| {
        let mut buf = BytesMut::from("RCmb");
        buf.put_u32(len);
        Decoder::new().next(&mut buf).unwrap_err()
    };
    assert!(error(2255).is_fatal() && error(u32::MAX).is_fatal());
    insta::assert_snapshot!(error(2255), @"Bad message length or signature received from Cluster bus: totlen at byte 4: expected at least 2256, found 2255");
    insta::assert_snapshot!(error(u32::MAX), @"Bad message length or signature received from Cluster bus: totlen at byte 4: expected at most 1073744088, found 4294967295");
}

#[test]
fn a_huge_stated_length_reserves_nothing() {
    let mut buf = BytesMut::from("RCmb");
    buf.put_u32(MAX_LEN as u32);
    let before = buf.capacity();
    assert_eq!(Decoder::new().next(&mut buf), Ok(None));
    assert_eq!(buf.capacity(), before);
}

#[test]
fn an_invalid_packet_is_skipped_and_the_next_one_is_read() {
    let mut bad = pong_with_gossip();
    bad[at::VER + 1] = 2;
    let good = packet(&first(MessageKind::Fail));
    let (results, left) = decode_all(&[&bad[..], &good[..]].concat(), &[]);
    assert_eq!(left, 0);
    assert_eq!(results[0].as_ref().unwrap_err().fault, BusFault::Version);
    assert_eq!(results[1].as_ref().unwrap(), &first(MessageKind::Fail));
}

#[test]
fn a_count_that_lies_is_a_length_error() {
    let more = error_after(pong_with_gossip(), |packet| packet[at::COUNT + 1] = 4);
    let huge = error_after(pong_with_gossip(), |packet| packet[at::COUNT] = 0xff);
    let fewer = error_after(pong_with_gossip(), |packet| packet[at::COUNT + 1] = 1);
    assert!(!more.is_fatal() && !huge.is_fatal() && !fewer.is_fatal());
    insta::assert_snapshot!(more, @"Received invalid pong packet: totlen at byte 4: expected 2672, found 2568");
    insta::assert_snapshot!(huge, @"Received invalid pong packet: totlen at byte 4: expected 6791688, found 2568");
    insta::assert_snapshot!(fewer, @"Received invalid pong packet: totlen at byte 4: expected 2360, found 2568");
}

#[test]
fn texts_whose_lengths_overflow_are_a_length_error() {
    let mut message = first(MessageKind::Fail);
    message.body = Body::Publish {
        channel: Bytes::from_static(b"news"),
        message: Bytes::from_static(b"hello"),
        sharded: false,
    };
    // The sum wraps round to the true length in 32 bits.
    let error = error_after(packet(&message), |packet| {
        packet[at::HEADER..at::HEADER + 4].copy_from_slice(&u32::MAX.to_be_bytes());
        packet[at::HEADER + 4..at::PUBLISH_TEXT].copy_from_slice(&10_u32.to_be_bytes());
    });
    assert_eq!((error.fault, error.is_fatal()), (BusFault::Length, false));
}

#[test]
fn every_type_cut_to_a_bare_header_is_handled() {
    for number in 0..20_u16 {
        let mut cut = packet(&first(MessageKind::FailoverAuthAck));
        cut[at::TYPE..at::TYPE + 2].copy_from_slice(&number.to_be_bytes());
        match decode(&cut) {
            Ok(message) => assert_eq!(message.kind() as u16, number),
            Err(error) => assert!(!error.is_fatal(), "type {number}: {error}"),
        }
    }
}

#[test]
fn an_unknown_type_is_named() {
    let error = error_after(packet(&first(MessageKind::Fail)), |packet| {
        packet[at::TYPE + 1] = 11
    });
    insta::assert_snapshot!(error, @"Received unknown packet type: 11; type at byte 12: expected 0 to 10, found 11");
}

#[test]
fn an_id_that_is_not_hexadecimal_is_named_with_its_place() {
    let sender = error_after(pong_with_gossip(), |packet| packet[at::SENDER] = b'A');
    let master = error_after(pong_with_gossip(), |packet| packet[at::SLAVEOF + 3] = b'0');
    let gossip = error_after(pong_with_gossip(), |packet| {
        packet[at::HEADER + 2 * at::GOSSIP] = 0
    });
    for error in [&sender, &master, &gossip] {
        assert_eq!((error.fault, error.is_fatal()), (BusFault::NodeId, false));
    }
    let fields = [&sender, &master, &gossip].map(|error| (&*error.field, error.offset));
    assert_eq!(
        fields,
        [
            ("sender", 40),
            ("slaveof", 2128),
            ("gossip[2].nodename", 2464)
        ]
    );
    assert!(sender.to_string().contains("found \"A"), "{sender}");
}

#[test]
fn an_address_that_is_none_is_named_with_its_place() {
    let error = error_after(pong_with_gossip(), |packet| {
        packet[at::HEADER + at::GOSSIP + at::GOSSIP_IP] = b'x';
    });
    insta::assert_snapshot!(error, @r#"Received invalid pong packet: gossip[1].ip at byte 2408: expected an IPv4 or IPv6 address, or nothing, found "x27.0.0.1""#);
}

#[test]
fn a_hostname_travels_in_a_padded_extension() {
    for (hostname, len) in [("a", 2272), ("7-bytes", 2272), ("8.bytes.", 2280)] {
        let packet = ping_with_hostname(hostname);
        assert_eq!(packet.len(), len);
        let message = decode(&packet).unwrap();
        assert!(
            message
                .header
                .message_flags
                .contains(MessageFlags::EXT_DATA)
        );
        let Body::Ping(ping) = message.body else {
            panic!("not a ping")
        };
        assert_eq!(ping.hostname.as_deref(), Some(hostname));
    }
}

#[test]
fn a_bad_extension_is_named_with_its_place() {
    let with_len = |len: u32| {
        error_after(ping_with_hostname("host"), |packet| {
            packet[at::HEADER..at::HEADER + 4].copy_from_slice(&len.to_be_bytes());
        })
    };
    assert_eq!(with_len(13).fault, BusFault::ExtensionPadding);
    assert_eq!(with_len(0).fault, BusFault::ExtensionLength);
    assert_eq!(with_len(24).fault, BusFault::ExtensionLength);
    assert_eq!(with_len(u32::MAX - 7).fault, BusFault::ExtensionLength);
    assert_eq!(with_len(8).fault, BusFault::Length);
    let missing = error_after(ping_with_hostname("host"), |packet| {
        packet[at::EXTENSIONS + 1] = 2
    });
    assert_eq!(missing.fault, BusFault::ExtensionLength);
    let unclean = error_after(ping_with_hostname("host"), |packet| {
        packet[at::HEADER + 9] = b' '
    });
    insta::assert_snapshot!(unclean, @r#"Received invalid ping packet: ext[0].hostname at byte 2264: expected letters, digits, hyphens and dots, at most 255, then NUL, found "h st""#);
    insta::assert_snapshot!(with_len(13), @"Received invalid ping packet: ext[0].length at byte 2256: expected proper padding to a multiple of 8 bytes, found 13");
}

#[test]
fn an_unknown_extension_is_passed_over() {
    let mut packet = ping_with_hostname("host");
    let mut unknown = packet[at::HEADER..].to_vec();
    unknown[5] = 9;
    packet.extend_from_slice(&unknown);
    let len = packet.len() as u32;
    packet[at::TOTLEN..at::TOTLEN + 4].copy_from_slice(&len.to_be_bytes());
    packet[at::EXTENSIONS + 1] = 2;
    let Body::Ping(ping) = decode(&packet).unwrap().body else {
        panic!("not a ping")
    };
    assert_eq!(ping.hostname.as_deref(), Some("host"));
}

fn any_id() -> impl Strategy<Value = NodeId> {
    any::<[u8; 20]>().prop_map(NodeId)
}

fn any_slots() -> impl Strategy<Value = Arc<SlotSet>> {
    proptest::collection::vec(0..16384_u16, 0..20)
        .prop_map(|slots| Arc::new(slots.into_iter().collect()))
}

fn any_gossip() -> impl Strategy<Value = Gossip> {
    let address = (
        any::<Option<std::net::IpAddr>>(),
        any::<u16>(),
        any::<u16>(),
    );
    (any_id(), any::<(u32, u32)>(), address, any::<(u16, u16)>()).prop_map(
        |(node, (ping_sent_s, pong_received_s), (ip, port, bus_port), (plain_port, flags))| {
            Gossip {
                node,
                ping_sent_s,
                pong_received_s,
                address: Address { ip, port, bus_port },
                plain_port,
                flags: NodeFlags::from_bits_retain(flags),
            }
        },
    )
}

fn any_ping() -> impl Strategy<Value = Ping> {
    let gossip = proptest::collection::vec(any_gossip(), 0..8);
    let hostname = proptest::option::of("[a-zA-Z0-9.-]{1,255}");
    let shard_id = proptest::option::of(any_id());
    let forgotten = proptest::collection::vec((any_id(), any::<u64>()), 0..3);
    (gossip, hostname, shard_id, forgotten).prop_map(|(gossip, hostname, shard_id, forgotten)| {
        Ping {
            gossip: gossip.into(),
            hostname: hostname.map(Into::into),
            shard_id,
            forgotten,
        }
    })
}

fn any_bytes() -> impl Strategy<Value = Bytes> {
    proptest::collection::vec(any::<u8>(), 0..40).prop_map(Into::into)
}

fn any_body() -> impl Strategy<Value = Body> {
    prop_oneof![
        any_ping().prop_map(Body::Ping),
        any_ping().prop_map(Body::Pong),
        any_ping().prop_map(Body::Meet),
        any_id().prop_map(Body::Fail),
        (any_bytes(), any_bytes(), any::<bool>()).prop_map(|(channel, message, sharded)| {
            Body::Publish {
                channel,
                message,
                sharded,
            }
        }),
        Just(Body::FailoverAuthRequest),
        Just(Body::FailoverAuthAck),
        (any_id(), any::<u64>(), any_slots()).prop_map(|(node, config_epoch, slots)| {
            Body::Update {
                node,
                config_epoch,
                slots,
            }
        }),
        Just(Body::ManualFailoverStart),
        (any::<u64>(), any::<u8>(), any_bytes()).prop_map(|(module, kind, payload)| Body::Module {
            module,
            kind,
            payload,
        }),
    ]
}

fn any_message() -> impl Strategy<Value = Message> {
    let epochs = any::<(u64, u64, u64)>();
    let ports = any::<(u16, u16, u16)>();
    let who = (any_id(), proptest::option::of(any_id()), any_slots());
    let marks = (any::<u16>(), any::<bool>(), 0..4_u8);
    let ip = any::<Option<std::net::IpAddr>>();
    // An all-zero id of a master stands for forty digits zero, not for none.
    (epochs, ports, who, marks, ip, any_body()).prop_map(
        |(
            (current_epoch, config_epoch, offset),
            (port, plain_port, bus_port),
            (sender, replica_of, slots),
            (flags, state_ok, message_flags),
            ip,
            body,
        )| {
            let extended = match &body {
                Body::Ping(ping) | Body::Pong(ping) | Body::Meet(ping) => ping.has_extensions(),
                Body::Fail(_)
                | Body::Publish { .. }
                | Body::FailoverAuthRequest
                | Body::FailoverAuthAck
                | Body::Update { .. }
                | Body::ManualFailoverStart
                | Body::Module { .. } => false,
            };
            let mut message_flags = MessageFlags::from_bits_retain(message_flags);
            message_flags.set(MessageFlags::EXT_DATA, extended);
            Message {
                header: Header {
                    sender,
                    current_epoch,
                    config_epoch,
                    offset,
                    slots,
                    replica_of,
                    ip,
                    port,
                    plain_port,
                    bus_port,
                    flags: NodeFlags::from_bits_retain(flags),
                    state_ok,
                    message_flags,
                },
                body,
            }
        },
    )
}

proptest! {
    #[test]
    fn any_message_comes_back_from_its_packet(message in any_message()) {
        prop_assert_eq!(decode(&packet(&message)), Ok(message));
    }

    #[test]
    fn a_stream_decodes_the_same_however_it_is_cut(
        messages in proptest::collection::vec(any_message(), 1..4),
        broken in proptest::collection::vec((any::<proptest::sample::Index>(), any::<u8>()), 0..4),
        chunk_lens in proptest::collection::vec(1..3000_usize, 1..5),
    ) {
        let mut stream = BytesMut::new();
        for message in &messages {
            encode(message, &mut stream);
        }
        for (index, byte) in broken {
            let place = index.index(stream.len());
            stream[place] = byte;
        }
        prop_assert_eq!(decode_all(&stream, &[]), decode_all(&stream, &chunk_lens));
    }

    #[test]
    fn no_bytes_make_the_decoder_panic(
        tail in proptest::collection::vec(any::<u8>(), 0..400),
        kind in 0..13_u16,
        count in 0..4_u16,
        extensions in 0..4_u16,
    ) {
        let mut bytes = packet(&first(MessageKind::FailoverAuthAck));
        bytes.extend_from_slice(&tail);
        let len = bytes.len() as u32;
        bytes[at::TOTLEN..at::TOTLEN + 4].copy_from_slice(&len.to_be_bytes());
        bytes[at::TYPE..at::TYPE + 2].copy_from_slice(&kind.to_be_bytes());
        bytes[at::COUNT..at::COUNT + 2].copy_from_slice(&count.to_be_bytes());
        bytes[at::EXTENSIONS..at::EXTENSIONS + 2].copy_from_slice(&extensions.to_be_bytes());
        bytes[at::MFLAGS] = MessageFlags::EXT_DATA.bits();
        if let Ok(message) = decode(&bytes) {
            prop_assert_eq!(message.kind() as u16, kind);
        }
        let _ = decode(&tail);
    }
}
