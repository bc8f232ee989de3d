//! Values to bytes.

use bytes::{BufMut, BytesMut};

use super::number::{digits, double_text};
use crate::reply::Reply;

/// Appends a reply in RESP3 or, with `resp3` false, in RESP2 as Redis would send it there.
///
/// Line breaks in simple strings and errors become blanks: they would end the reply.
pub fn encode_reply(reply: &Reply, resp3: bool, out: &mut BytesMut) {
    match reply {
        Reply::Simple(text) => put_line(out, b'+', text),
        Reply::Error(text) => put_line(out, b'-', text),
        Reply::Integer(value) => put_number(out, b':', *value),
        Reply::Bulk(bytes) => put_bulk(out, bytes),
        Reply::Verbatim(text) if resp3 => {
            put_number(out, b'=', text.len() as i64 + 4);
            out.put_slice(b"txt:");
            out.put_slice(text.as_bytes());
            out.put_slice(b"\r\n");
        }
        Reply::Verbatim(text) => put_bulk(out, text.as_bytes()),
        Reply::Nil | Reply::NilArray if resp3 => out.put_slice(b"_\r\n"),
        Reply::Nil => out.put_slice(b"$-1\r\n"),
        Reply::NilArray => out.put_slice(b"*-1\r\n"),
        Reply::Array(items) => put_all(out, b'*', items, resp3),
        Reply::Set(items) => put_all(out, if resp3 { b'~' } else { b'*' }, items, resp3),
        Reply::Push(items) => put_all(out, if resp3 { b'>' } else { b'*' }, items, resp3),
        Reply::Map(pairs) => {
            let (kind, len) = if resp3 {
                (b'%', pairs.len())
            } else {
                (b'*', 2 * pairs.len())
            };
            put_number(out, kind, len as i64);
            for (key, value) in pairs {
                encode_reply(key, resp3, out);
                encode_reply(value, resp3, out);
            }
        }
        Reply::Double(value) if resp3 => put_line(out, b',', &double_text(*value)),
        Reply::Double(value) => put_bulk(out, double_text(*value).as_bytes()),
        Reply::Boolean(true) => out.put_slice(if resp3 { b"#t\r\n" } else { b":1\r\n" }),
        Reply::Boolean(false) => out.put_slice(if resp3 { b"#f\r\n" } else { b":0\r\n" }),
    }
}

/// Appends a command as a client, or a master's stream, sends it: an array of bulk strings.
pub fn encode_command<W: AsRef<[u8]>>(words: &[W], out: &mut BytesMut) {
    out.reserve(command_len(words));
    put_number(out, b'*', words.len() as i64);
    for word in words {
        put_bulk(out, word.as_ref());
    }
}

/// Length of what [`encode_command`] makes of `words`, bytes. Costs no encoding.
#[must_use]
pub fn command_len<W: AsRef<[u8]>>(words: &[W]) -> usize {
    let bulk = |word: &W| {
        let len = word.as_ref().len();
        1 + digits(len) + 2 + len + 2
    };
    1 + digits(words.len()) + 2 + words.iter().map(bulk).sum::<usize>()
}

fn put_all(out: &mut BytesMut, kind: u8, items: &[Reply], resp3: bool) {
    put_number(out, kind, items.len() as i64);
    for item in items {
        encode_reply(item, resp3, out);
    }
}

fn put_bulk(out: &mut BytesMut, bytes: &[u8]) {
    put_number(out, b'$', bytes.len() as i64);
    out.put_slice(bytes);
    out.put_slice(b"\r\n");
}

fn put_line(out: &mut BytesMut, kind: u8, text: &str) {
    out.put_u8(kind);
    let start = out.len();
    out.put_slice(text.as_bytes());
    for byte in &mut out[start..] {
        if matches!(byte, b'\r' | b'\n') {
            *byte = b' ';
        }
    }
    out.put_slice(b"\r\n");
}

fn put_number(out: &mut BytesMut, kind: u8, value: i64) {
    let mut digits = [0; 20];
    let mut start = digits.len();
    let mut rest = value.unsigned_abs();
    loop {
        start -= 1;
        digits[start] = b'0' + (rest % 10) as u8;
        rest /= 10;
        if rest == 0 {
            break;
        }
    }
    out.put_u8(kind);
    if value < 0 {
        out.put_u8(b'-');
    }
    out.put_slice(&digits[start..]);
    out.put_slice(b"\r\n");
}
