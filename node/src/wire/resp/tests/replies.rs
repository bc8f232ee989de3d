use crate::word::Word;
use bytes::BytesMut;
use proptest::prelude::*;

use super::*;
use crate::reply::Reply;

fn encoded(reply: &Reply, resp3: bool) -> String {
    let mut out = BytesMut::new();
    encode_reply(reply, resp3, &mut out);
    out.escape_ascii().to_string()
}

fn error(bytes: &[u8]) -> String {
    decode_reply(bytes).unwrap_err().to_string()
}

#[test]
fn replies_differ_between_resp2_and_resp3_as_in_redis() {
    let one = || vec![Reply::Integer(1)];
    let replies = [
        Reply::OK,
        Reply::error("ERR no\r\nway"),
        Reply::Integer(i64::MIN),
        Reply::bulk("a\r\nb"),
        Reply::Verbatim("text".into()),
        Reply::Nil,
        Reply::NilArray,
        Reply::Array(vec![Reply::Nil, Reply::Array(vec![])]),
        Reply::Map(vec![(Reply::bulk("k"), Reply::Integer(0))]),
        Reply::Set(one()),
        Reply::Double(0.1),
        Reply::Double(f64::NEG_INFINITY),
        Reply::Boolean(true),
        Reply::Boolean(false),
        Reply::Push(one()),
    ];
    let row = |reply: &Reply| format!("{} | {}", encoded(reply, false), encoded(reply, true));
    let table: Vec<_> = replies.iter().map(row).collect();
    insta::assert_snapshot!(table.join("\n"), @r#"
    +OK\r\n | +OK\r\n
    -ERR no  way\r\n | -ERR no  way\r\n
    :-9223372036854775808\r\n | :-9223372036854775808\r\n
    $4\r\na\r\nb\r\n | $4\r\na\r\nb\r\n
    $4\r\ntext\r\n | =8\r\ntxt:text\r\n
    $-1\r\n | _\r\n
    *-1\r\n | _\r\n
    *2\r\n$-1\r\n*0\r\n | *2\r\n_\r\n*0\r\n
    *2\r\n$1\r\nk\r\n:0\r\n | %1\r\n$1\r\nk\r\n:0\r\n
    *1\r\n:1\r\n | ~1\r\n:1\r\n
    $19\r\n0.10000000000000001\r\n | ,0.10000000000000001\r\n
    $4\r\n-inf\r\n | ,-inf\r\n
    :1\r\n | #t\r\n
    :0\r\n | #f\r\n
    *1\r\n:1\r\n | >1\r\n:1\r\n
    "#);
}

#[test]
fn doubles_are_written_as_c_does() {
    let texts = [
        0.0,
        -0.0,
        1.0,
        3.5,
        0.1,
        -2.5e-5,
        1e16,
        1e17,
        123456789.125,
        f64::MAX,
        5e-324,
    ];
    insta::assert_snapshot!(texts.map(double_text).join(" "), @"0 -0 1 3.5 0.10000000000000001 -2.5000000000000001e-05 10000000000000000 1e+17 123456789.125 1.7976931348623157e+308 4.9406564584124654e-324");
}

#[test]
fn both_nulls_of_resp2_and_the_one_of_resp3_are_read() {
    assert_eq!(decode_reply(b"$-1\r\n"), Ok(Some((Reply::Nil, 5))));
    assert_eq!(decode_reply(b"*-1\r\n"), Ok(Some((Reply::NilArray, 5))));
    assert_eq!(decode_reply(b"_\r\n+rest"), Ok(Some((Reply::Nil, 3))));
}

#[test]
fn an_attribute_is_passed_over() {
    let decoded = decode_reply(b"|1\r\n+ttl\r\n:3600\r\n$1\r\nv\r\n");
    assert_eq!(decoded, Ok(Some((Reply::bulk("v"), 24))));
}

#[test]
fn a_map_keeps_its_order() {
    let decoded = decode_reply(b"%2\r\n+z\r\n:1\r\n+a\r\n:2\r\n")
        .unwrap()
        .unwrap();
    let pair = |key: &'static str, value| (Reply::Simple(key.into()), Reply::Integer(value));
    assert_eq!(decoded.0, Reply::Map(vec![pair("z", 1), pair("a", 2)]));
}

#[test]
fn a_bad_reply_is_named_with_its_place() {
    let deep = "*1\r\n".repeat(100);
    let texts = [
        error(b"HTTP/1.1 400\r\n"),
        error(b"*2\r\n:1\r\n:x\r\n"),
        error(b"$-2\r\n"),
        error(b"$536870913\r\n"),
        error(b"*99999999999999999999\r\n"),
        error(b"$1\r\nabc\r\n"),
        error(b"#x\r\n"),
        error(b"_x\r\n"),
        error(b"=2\r\nab\r\n"),
        error(b"!-1\r\n"),
        error(b"+a\rb"),
        error(deep.as_bytes()),
        error(&[b'+'; 70_000]),
    ];
    insta::assert_snapshot!(texts.join("\n"), @r#"
    invalid reply at byte 0: expected a reply type, one of + - : $ * _ # , ( ! = ~ > % |, found "H"
    invalid reply at byte 9: expected an integer, found "x"
    invalid reply at byte 1: expected a length from 0 to 4294967295, found "-2"
    invalid reply at byte 1: expected a length up to 536870912, found "536870913"
    invalid reply at byte 1: expected a length from 0 to 4294967295, found "99999999999999999999"
    invalid reply at byte 5: expected a line break after the bulk, found "bc"
    invalid reply at byte 1: expected t or f, found "x"
    invalid reply at byte 1: expected nothing after _, found "x"
    invalid reply at byte 1: expected three letters and a colon, found "ab"
    invalid reply at byte 1: expected a length from 0, found "-1"
    invalid reply at byte 3: expected a line feed, found "b"
    invalid reply at byte 128: expected at most 32 levels of nesting, found "more"
    invalid reply at byte 1: expected a line of at most 65536 bytes, found "++++++++++++++++"
    "#);
}

/// Replies that read back as they were: RESP3, without what it has no own form for.
pub(super) fn any_reply() -> impl Strategy<Value = Reply> {
    let bytes = proptest::collection::vec(any::<u8>(), 0..20).prop_map(Word::from);
    let leaf = prop_oneof![
        "[ -~]{0,20}".prop_map(|text| Reply::Simple(text.into())),
        "[ -~]{0,20}".prop_map(|text| Reply::Error(text.into())),
        any::<i64>().prop_map(Reply::Integer),
        bytes.prop_map(Reply::Bulk),
        "[ -~\n]{0,20}".prop_map(Reply::Verbatim),
        Just(Reply::Nil),
        proptest::num::f64::NORMAL.prop_map(Reply::Double),
        any::<bool>().prop_map(Reply::Boolean),
    ];
    leaf.prop_recursive(4, 30, 5, |inner| {
        let items = proptest::collection::vec(inner.clone(), 0..5);
        prop_oneof![
            items.clone().prop_map(Reply::Array),
            items.clone().prop_map(Reply::Set),
            items.prop_map(Reply::Push),
            proptest::collection::vec((inner.clone(), inner), 0..4).prop_map(Reply::Map),
        ]
    })
}

proptest! {
    #[test]
    fn any_reply_comes_back_from_resp3(reply in any_reply()) {
        let mut out = BytesMut::new();
        encode_reply(&reply, true, &mut out);
        prop_assert_eq!(decode_reply(&out), Ok(Some((reply, out.len()))));
    }

    #[test]
    fn a_reply_is_incomplete_until_its_last_byte(reply in any_reply(), resp3 in any::<bool>()) {
        let mut out = BytesMut::new();
        encode_reply(&reply, resp3, &mut out);
        for len in 0..out.len() {
            prop_assert_eq!(decode_reply(&out[..len]), Ok(None));
        }
        let (_, len) = decode_reply(&out).unwrap().unwrap();
        prop_assert_eq!(len, out.len());
    }

    #[test]
    fn more_bytes_never_change_a_reply_that_was_read(
        bytes in r"([*%~>|$:+,#_=!(-][0-9]{0,2}\r\n|[a-z\r\n]{0,4}){0,12}",
    ) {
        let whole = decode_reply(bytes.as_bytes());
        for len in 0..bytes.len() {
            match decode_reply(&bytes.as_bytes()[..len]) {
                Ok(Some(reply)) => prop_assert_eq!(whole.as_ref(), Ok(&Some(reply))),
                Ok(None) => {}
                Err(_) => prop_assert!(whole.is_err()),
            }
        }
    }

    #[test]
    fn no_bytes_make_the_reply_decoder_panic(bytes in proptest::collection::vec(any::<u8>(), 0..64)) {
        let _ = decode_reply(&bytes);
    }
}
