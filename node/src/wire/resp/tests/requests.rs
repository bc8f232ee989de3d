use crate::word::Word;
use bytes::{BufMut, BytesMut};
use proptest::prelude::*;

use super::*;
use crate::reply::Reply;

/// Commands as texts, then the error that ended the stream and the bytes left over.
#[derive(PartialEq, Debug)]
struct Decoded {
    requests: Vec<Request>,
    error: Option<RespError>,
    /// Bytes that make no command yet, also those of words already taken.
    unfinished: usize,
}

fn decode_with(mut decoder: RequestDecoder, bytes: &[u8], chunk_lens: &[usize]) -> Decoded {
    let mut buf = BytesMut::new();
    let mut requests = Vec::new();
    let mut error = None;
    let mut lens = chunk_lens.iter().copied().cycle();
    let mut rest = bytes;
    while error.is_none() && !rest.is_empty() {
        let chunk;
        (chunk, rest) = rest.split_at(lens.next().unwrap_or(rest.len()).clamp(1, rest.len()));
        buf.put_slice(chunk);
        loop {
            match decoder.next(&mut buf) {
                Ok(Some(request)) => requests.push(request),
                Ok(None) => break,
                Err(found) => {
                    assert_eq!(decoder.next(&mut buf), Err(found.clone()));
                    error = Some(found);
                    break;
                }
            }
        }
    }
    let taken: usize = requests.iter().map(|request| request.wire_len).sum();
    let unfinished = if error.is_none() {
        bytes.len() - taken
    } else {
        0
    };
    Decoded {
        requests,
        error,
        unfinished,
    }
}

fn decode(bytes: &[u8]) -> Decoded {
    decode_with(RequestDecoder::new(), bytes, &[])
}

/// The words of each command, joined by `|`.
fn commands(bytes: &[u8]) -> Vec<String> {
    let decoded = decode(bytes);
    assert_eq!(decoded.error, None);
    let shown = |word: &Word| word.escape_ascii().to_string();
    let joined = |request: &Request| {
        request
            .command
            .iter()
            .map(shown)
            .collect::<Vec<_>>()
            .join("|")
    };
    decoded.requests.iter().map(joined).collect()
}

fn error(bytes: &[u8]) -> String {
    decode(bytes).error.unwrap().to_string()
}

#[test]
fn a_multibulk_command_is_read_with_its_length_on_the_wire() {
    let decoded =
        decode(b"*3\r\n$3\r\nSET\r\n$1\r\nk\r\n$0\r\n\r\n*1\r\n$4\r\nPING\r\n*2\r\n$3\r\nGE");
    let lens: Vec<_> = decoded
        .requests
        .iter()
        .map(|request| request.wire_len)
        .collect();
    assert_eq!(lens, [26, 14]);
    assert_eq!(*decoded.requests[0].command, ["SET", "k", ""]);
    assert_eq!(decoded.unfinished, 10);
}

#[test]
fn an_inline_command_is_split_with_quotes() {
    assert_eq!(commands(b"PING\r\n"), ["PING"]);
    assert_eq!(commands(b"  set\tk  v \n"), ["set|k|v"]);
    assert_eq!(
        commands(b"SET \"a b\\x41\\n\\q\" 'it\\'s'\r\nGET k\r\n"),
        ["SET|a bA\\nq|it\\'s", "GET|k"]
    );
    assert_eq!(commands(b"SET k \"\"\n"), ["SET|k|"]);
    assert_eq!(commands(b"a\"b c\"\n"), ["ab c"]);
}

#[test]
fn empty_lines_and_empty_commands_count_towards_the_next_command() {
    let decoded = decode(b"\r\n*0\r\n*-1\r\n \r\n*1\r\n$4\r\nPING\r\n\n");
    assert_eq!(decoded.requests.len(), 1);
    assert_eq!(decoded.requests[0].wire_len, 28);
    assert_eq!(decoded.unfinished, 1);
}

#[test]
fn protocol_errors_are_in_redis_own_words() {
    let long = [b'a'; MAX_LINE_LEN + 1];
    let inline = error(&long);
    let count = error(&[b"*", &[b'1'; MAX_LINE_LEN][..]].concat());
    let bulk = error(&[b"*1\r\n$", &[b'1'; MAX_LINE_LEN][..]].concat());
    insta::assert_snapshot!(
        [
            inline,
            count,
            bulk,
            error(b"SET \"k\r\n"),
            error(b"SET 'k'v\r\n"),
            error(b"*x\r\n"),
            error(b"*+1\r\n"),
            error(b"*2147483648\r\n"),
            error(b"*99999999999999999999\r\n"),
            error(b"*1\r\n:4\r\n"),
            error(b"*1\r\n\r\n"),
            error(b"*1\r\n$-1\r\n"),
            error(b"*1\r\n$536870913\r\n"),
            error(b"*1\r\n$04\r\nPING\r\n"),
        ]
        .join("\n"),
        @r"
    Protocol error: too big inline request
    Protocol error: too big mbulk count string
    Protocol error: too big bulk count string
    Protocol error: unbalanced quotes in request
    Protocol error: unbalanced quotes in request
    Protocol error: invalid multibulk length
    Protocol error: invalid multibulk length
    Protocol error: invalid multibulk length
    Protocol error: invalid multibulk length
    Protocol error: expected '$', got ':'
    Protocol error: expected '$', got ' '
    Protocol error: invalid bulk length
    Protocol error: invalid bulk length
    Protocol error: invalid bulk length
    "
    );
}

#[test]
fn a_protocol_error_is_answered_before_the_connection_closes() {
    assert_eq!(
        RespError::BulkLength.reply(),
        Some(Reply::error("ERR Protocol error: invalid bulk length"))
    );
    assert_eq!(RespError::InlineFromMaster.reply(), None);
}

#[test]
fn huge_stated_lengths_reserve_nothing() {
    let mut decoder = RequestDecoder::new();
    let mut buf = BytesMut::from("*2147483647\r\n$536870912\r\nabc");
    assert_eq!(decoder.next(&mut buf), Ok(None));
    assert!(buf.capacity() < 1024);
    assert_eq!(&buf[..], b"abc");
}

#[test]
fn a_request_of_more_than_a_gibibyte_is_refused_before_it_is_held() {
    let mut decoder = RequestDecoder::new();
    let mut buf = BytesMut::from("*4\r\n");
    for _ in 0..2 {
        buf.put_slice(b"$536870000\r\n");
        assert_eq!(decoder.next(&mut buf), Ok(None));
        // Pretend that the word arrived.
        decoder.wire_len += 536_870_002;
        decoder.words.push(Word::new());
        decoder.word_len = None;
    }
    buf.put_slice(b"$20000\r\n");
    assert_eq!(decoder.next(&mut buf), Err(RespError::RequestTooLong));
}

#[test]
fn an_unauthenticated_client_may_not_send_long_requests() {
    let mut decoder = RequestDecoder::new();
    decoder.set_authenticated(false);
    let result = |bytes: &[u8]| {
        decode_with(decoder.clone(), bytes, &[])
            .error
            .map(|e| e.to_string())
    };
    assert_eq!(result(b"*10\r\n$16384\r\n"), None);
    insta::assert_snapshot!(result(b"*11\r\n").unwrap(), @"Protocol error: unauthenticated multibulk length");
    insta::assert_snapshot!(result(b"*1\r\n$16385\r\n").unwrap(), @"Protocol error: unauthenticated bulk length");
}

#[test]
fn a_master_may_send_newlines_but_no_inline_commands() {
    let decode = |bytes: &[u8]| decode_with(RequestDecoder::for_master(), bytes, &[]);
    assert_eq!(decode(b"\n*1\r\n$4\r\nPING\r\n").requests[0].wire_len, 15);
    assert_eq!(decode(b"PING\r\n").error, Some(RespError::InlineFromMaster));
    assert_eq!(decode(b"*1\r\n$999999999999\r\n").error, None);
}

#[test]
fn a_nul_hides_the_rest_of_a_line_as_in_redis() {
    assert_eq!(decode(b"PI\0NG\r\n").requests, []);
    assert_eq!(
        decode(&[b"\0\r\n", &[b'a'; MAX_LINE_LEN][..]].concat()).error,
        Some(RespError::TooBigInline)
    );
}

#[test]
fn numbers_are_read_as_strictly_as_redis_does() {
    let valid = [
        ("0", 0),
        ("-1", -1),
        ("9223372036854775807", i64::MAX),
        ("-9223372036854775808", i64::MIN),
    ];
    for (text, value) in valid {
        assert_eq!(string_to_i64(text.as_bytes()), Some(value));
    }
    let invalid = [
        "",
        "-",
        "-0",
        "00",
        "01",
        "+1",
        " 1",
        "1 ",
        "1a",
        "9223372036854775808",
        "-9223372036854775809",
    ];
    for text in invalid {
        assert_eq!(string_to_i64(text.as_bytes()), None, "{text:?}");
    }
}

/// Bytes that are often nearly requests.
fn request_like() -> impl Strategy<Value = Vec<u8>> {
    let piece = prop_oneof![
        Just(b"*1\r\n".to_vec()),
        Just(b"*2\r\n".to_vec()),
        Just(b"$3\r\nabc\r\n".to_vec()),
        Just(b"$0\r\n\r\n".to_vec()),
        Just(b"$".to_vec()),
        Just(b"*0\r\n".to_vec()),
        Just(b"PING \"x\" 'y'\r\n".to_vec()),
        Just(b"\r\n".to_vec()),
        Just(b"\"".to_vec()),
        proptest::collection::vec(any::<u8>(), 0..6),
    ];
    proptest::collection::vec(piece, 0..12).prop_map(|pieces| pieces.concat())
}

proptest! {
    #[test]
    fn a_command_comes_back_from_the_wire(
        words in proptest::collection::vec(proptest::collection::vec(any::<u8>(), 0..40), 1..6),
    ) {
        let mut out = BytesMut::new();
        encode_command(&words, &mut out);
        prop_assert_eq!(out.len(), command_len(&words));
        let decoded = decode(&out);
        prop_assert_eq!(decoded.requests.len(), 1);
        prop_assert_eq!(&*decoded.requests[0].command, &*words);
        prop_assert_eq!(decoded.requests[0].wire_len, out.len());
    }

    #[test]
    fn requests_decode_the_same_however_they_are_cut(
        bytes in request_like(),
        chunk_lens in proptest::collection::vec(1..9_usize, 1..5),
        from_master in any::<bool>(),
    ) {
        let decoder = if from_master { RequestDecoder::for_master() } else { RequestDecoder::new() };
        prop_assert_eq!(
            decode_with(decoder.clone(), &bytes, &[]),
            decode_with(decoder, &bytes, &chunk_lens)
        );
    }

    #[test]
    fn a_line_splits_into_words_that_quote_back(
        words in proptest::collection::vec(proptest::collection::vec(1..=255_u8, 0..12), 0..6),
    ) {
        let quoted = |word: &Vec<u8>| {
            let escaped: String = word.iter().map(|byte| format!("\\x{byte:02x}")).collect();
            format!("\"{escaped}\"")
        };
        let line = words.iter().map(quoted).collect::<Vec<_>>().join(" ");
        prop_assert_eq!(split_args(line.as_bytes()), Some(words));
    }
}
