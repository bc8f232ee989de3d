//! Our codec against another: the `redis-protocol` crate.

use bytes::BytesMut;
use proptest::prelude::*;
use redis_protocol::{resp2, resp3};

use super::replies::any_reply;
use super::*;
use crate::reply::Reply;

type Frame2 = resp2::types::OwnedFrame;
type Frame3 = resp3::types::OwnedFrame;

fn frame2(reply: &Reply) -> Frame2 {
    let all = |items: &[Reply]| Frame2::Array(items.iter().map(frame2).collect());
    match reply {
        Reply::Simple(text) => Frame2::SimpleString(text.as_bytes().to_vec()),
        Reply::Error(text) => Frame2::Error(text.to_string()),
        Reply::Integer(value) => Frame2::Integer(*value),
        Reply::Bulk(bytes) => Frame2::BulkString(bytes.to_vec()),
        Reply::Verbatim(text) => Frame2::BulkString(text.clone().into_bytes()),
        Reply::Nil | Reply::NilArray => Frame2::Null,
        Reply::Array(items) | Reply::Set(items) | Reply::Push(items) => all(items),
        Reply::Map(pairs) => Frame2::Array(
            pairs
                .iter()
                .flat_map(|(key, value)| [frame2(key), frame2(value)])
                .collect(),
        ),
        Reply::Double(value) => Frame2::BulkString(double_text(*value).into_bytes()),
        Reply::Boolean(value) => Frame2::Integer(i64::from(*value)),
    }
}

/// The crate keeps sets and maps as hash tables, so those are left out here.
fn frame3(reply: &Reply) -> Option<Frame3> {
    let attributes = None;
    let all = |items: &[Reply]| items.iter().map(frame3).collect::<Option<Vec<_>>>();
    Some(match reply {
        Reply::Simple(text) => Frame3::SimpleString {
            data: text.as_bytes().to_vec(),
            attributes,
        },
        Reply::Error(text) => Frame3::SimpleError {
            data: text.to_string(),
            attributes,
        },
        Reply::Integer(data) => Frame3::Number {
            data: *data,
            attributes,
        },
        Reply::Bulk(bytes) => Frame3::BlobString {
            data: bytes.to_vec(),
            attributes,
        },
        Reply::Verbatim(text) => Frame3::VerbatimString {
            data: text.clone().into_bytes(),
            format: resp3::types::VerbatimStringFormat::Text,
            attributes,
        },
        Reply::Nil | Reply::NilArray => Frame3::Null,
        Reply::Array(items) => Frame3::Array {
            data: all(items)?,
            attributes,
        },
        Reply::Push(items) => Frame3::Push {
            data: all(items)?,
            attributes,
        },
        Reply::Double(data) => Frame3::Double {
            data: *data,
            attributes,
        },
        Reply::Boolean(data) => Frame3::Boolean {
            data: *data,
            attributes,
        },
        Reply::Map(_) | Reply::Set(_) => return None,
    })
}

proptest! {
    #[test]
    fn another_resp2_decoder_reads_our_replies(reply in any_reply()) {
        let mut out = BytesMut::new();
        encode_reply(&reply, false, &mut out);
        let (frame, len) = resp2::decode::decode(&out).unwrap().unwrap();
        prop_assert_eq!(frame, frame2(&reply));
        prop_assert_eq!(len, out.len());
    }

    #[test]
    fn another_resp3_decoder_reads_our_replies(reply in any_reply()) {
        if let Some(expected) = frame3(&reply) {
            let mut out = BytesMut::new();
            encode_reply(&reply, true, &mut out);
            let (frame, len) = resp3::decode::complete::decode(&out).unwrap().unwrap();
            prop_assert_eq!(frame, expected);
            prop_assert_eq!(len, out.len());
        }
    }

    #[test]
    fn we_read_the_replies_of_another_resp3_encoder(reply in any_reply()) {
        if let Some(frame) = frame3(&reply) {
            let mut out = vec![0; 4096];
            let len = resp3::encode::complete::encode(&mut out, &frame, false).unwrap();
            prop_assert_eq!(decode_reply(&out[..len]), Ok(Some((reply, len))));
        }
    }

    #[test]
    fn another_decoder_reads_our_commands(
        words in proptest::collection::vec(proptest::collection::vec(any::<u8>(), 0..20), 1..6),
    ) {
        let mut out = BytesMut::new();
        encode_command(&words, &mut out);
        let (frame, len) = resp2::decode::decode(&out).unwrap().unwrap();
        prop_assert_eq!(frame, Frame2::Array(words.into_iter().map(Frame2::BulkString).collect()));
        prop_assert_eq!(len, out.len());
    }
}
