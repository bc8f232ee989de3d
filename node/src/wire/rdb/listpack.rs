//! Listpacks, in which Redis 7.0 keeps small collections (`listpack.c`).

use bytes::{BufMut, BytesMut};

use super::element::{Element, signed, unsigned};
use crate::wire::resp::string_to_i64;

/// Length in bytes and number of elements.
const HEADER_LEN: usize = 6;

const END: u8 = 0xff;

/// The number of elements is not told: there are too many.
const MANY: usize = 0xffff;

/// The longest text that is looked at as a number, bytes.
const MAX_INTEGER_LEN: usize = 20;

/// The elements of a listpack.
#[derive(Clone, Debug)]
pub(super) struct Listpack<'a> {
    rest: &'a [u8],
}

impl<'a> Listpack<'a> {
    /// Checks all of `bytes` (`lpValidateIntegrity`); `None` if they are no listpack.
    pub(super) fn new(bytes: &'a [u8]) -> Option<Self> {
        if unsigned::<4>(bytes)? != bytes.len() {
            return None;
        }
        let told = unsigned::<2>(bytes.get(4..)?)?;
        let (&END, rest) = bytes.get(HEADER_LEN..)?.split_last()? else {
            return None;
        };
        let mut elements = Self { rest };
        let mut count = 0_usize;
        while !elements.rest.is_empty() {
            elements.take_one()?;
            count += 1;
        }
        (told == MANY || told == count).then_some(Self { rest })
    }

    /// Takes one element and checks the length behind it.
    fn take_one(&mut self) -> Option<Element<'a>> {
        let (element, len) = element(self.rest)?;
        let (_, rest) = self.rest.split_at_checked(len)?;
        let (back, back_len) = back_len(len);
        let (found, rest) = rest.split_at_checked(back_len)?;
        if found != back.get(..back_len)? {
            return None;
        }
        self.rest = rest;
        Some(element)
    }
}

impl<'a> Iterator for Listpack<'a> {
    type Item = Element<'a>;

    fn next(&mut self) -> Option<Element<'a>> {
        self.take_one()
    }
}

/// The element that `bytes` begin with, and its length without the one behind it.
fn element(bytes: &[u8]) -> Option<(Element<'_>, usize)> {
    let (&first, rest) = bytes.split_first()?;
    let text = |start: usize, len: usize| {
        let end = start.checked_add(len)?;
        Some((Element::Text(bytes.get(start..end)?), end))
    };
    let integer = |number: Option<i64>, len: usize| Some((Element::Integer(number?), len));
    match first {
        0..0x80 => integer(Some(first.into()), 1),
        0x80..0xc0 => text(1, usize::from(first & 0x3f)),
        0xc0..0xe0 => {
            let raw = i64::from(first & 0x1f) << 8 | i64::from(*rest.first()?);
            let signed = if raw < 1 << 12 { raw } else { raw - (1 << 13) };
            integer(Some(signed), 2)
        }
        0xe0..0xf0 => {
            let len = usize::from(first & 0x0f) << 8 | usize::from(*rest.first()?);
            text(2, len)
        }
        0xf0 => text(5, unsigned::<4>(rest)?),
        0xf1 => integer(signed::<2>(rest), 3),
        0xf2 => integer(signed::<3>(rest), 4),
        0xf3 => integer(signed::<4>(rest), 5),
        0xf4 => integer(signed::<8>(rest), 9),
        0xf5..=0xff => None,
    }
}

/// The length behind an element of that length, and how many bytes it has (`lpEncodeBacklen`).
fn back_len(len: usize) -> ([u8; 5], usize) {
    let more = |shift: u32| (len >> shift & 127) as u8 | 128;
    match len {
        0..=127 => ([len as u8, 0, 0, 0, 0], 1),
        128..16_383 => ([(len >> 7) as u8, more(0), 0, 0, 0], 2),
        16_383..2_097_151 => ([(len >> 14) as u8, more(7), more(0), 0, 0], 3),
        2_097_151..268_435_455 => ([(len >> 21) as u8, more(14), more(7), more(0), 0], 4),
        _ => ([(len >> 28) as u8, more(21), more(14), more(7), more(0)], 5),
    }
}

/// A listpack that is being written.
#[derive(Debug)]
pub(super) struct Writer {
    bytes: BytesMut,
    count: usize,
}

impl Writer {
    pub(super) fn new() -> Self {
        let mut bytes = BytesMut::new();
        bytes.put_bytes(0, HEADER_LEN);
        Self { bytes, count: 0 }
    }

    /// Number of elements so far.
    pub(super) const fn count(&self) -> usize {
        self.count
    }

    /// Length of what [`Writer::finish`] would give now, bytes.
    pub(super) fn len_bytes(&self) -> usize {
        self.bytes.len() + 1
    }

    /// Appends a string, as a number if it is one (`lpAppend`).
    pub(super) fn push(&mut self, text: &[u8]) {
        let number = (text.len() <= MAX_INTEGER_LEN).then(|| string_to_i64(text));
        match number.flatten() {
            Some(number) => self.push_integer(number),
            None => self.element(|bytes| put_text(bytes, text)),
        }
    }

    /// Appends a number (`lpAppendInteger`).
    pub(super) fn push_integer(&mut self, number: i64) {
        self.element(|bytes| put_integer(bytes, number));
    }

    /// The listpack.
    pub(super) fn finish(mut self) -> BytesMut {
        self.bytes.put_u8(END);
        let len = self.bytes.len() as u32;
        let count = self.count.min(MANY) as u16;
        if let Some(header) = self.bytes.get_mut(..HEADER_LEN) {
            let (len_place, count_place) = header.split_at_mut(4);
            len_place.copy_from_slice(&len.to_le_bytes());
            count_place.copy_from_slice(&count.to_le_bytes());
        }
        self.bytes
    }

    fn element(&mut self, put: impl FnOnce(&mut BytesMut)) {
        let start = self.bytes.len();
        put(&mut self.bytes);
        let (back, len) = back_len(self.bytes.len() - start);
        self.bytes.put_slice(&back[..len]);
        self.count += 1;
    }
}

fn put_text(bytes: &mut BytesMut, text: &[u8]) {
    let len = text.len();
    if len < 64 {
        bytes.put_u8(0x80 | len as u8);
    } else if len < 4096 {
        bytes.put_u16(0xe000 | len as u16);
    } else {
        bytes.put_u8(0xf0);
        bytes.put_u32_le(len as u32);
    }
    bytes.put_slice(text);
}

fn put_integer(bytes: &mut BytesMut, number: i64) {
    match number {
        0..128 => bytes.put_u8(number as u8),
        -4096..4096 => bytes.put_u16(0xc000 | (number as u16 & 0x1fff)),
        -0x8000..0x8000 => {
            bytes.put_u8(0xf1);
            bytes.put_int_le(number, 2);
        }
        -0x80_0000..0x80_0000 => {
            bytes.put_u8(0xf2);
            bytes.put_int_le(number, 3);
        }
        -0x8000_0000..0x8000_0000 => {
            bytes.put_u8(0xf3);
            bytes.put_int_le(number, 4);
        }
        _ => {
            bytes.put_u8(0xf4);
            bytes.put_i64_le(number);
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn packed(texts: &[&[u8]]) -> BytesMut {
        let mut writer = Writer::new();
        for text in texts {
            writer.push(text);
        }
        assert_eq!(writer.count(), texts.len());
        let len = writer.len_bytes();
        let bytes = writer.finish();
        assert_eq!(bytes.len(), len);
        bytes
    }

    #[test]
    fn elements_are_packed_as_redis_packs_them() {
        let hex = |texts: &[&[u8]]| {
            let bytes = packed(texts);
            let body = &bytes[HEADER_LEN..bytes.len() - 1];
            body.iter()
                .map(|byte| format!("{byte:02x}"))
                .collect::<String>()
        };
        assert_eq!(hex(&[b"0", b"127"]), "00017f01");
        assert_eq!(hex(&[b"128", b"-1"]), "c08002dfff02");
        assert_eq!(hex(&[b"-4096", b"4095"]), "d00002cfff02");
        assert_eq!(hex(&[b"-4097", b"32767"]), "f1ffef03f1ff7f03");
        assert_eq!(hex(&[b"-32769"]), "f2ff7fff04");
        assert_eq!(hex(&[b"8388608"]), "f30000800005");
        assert_eq!(hex(&[b"2147483648"]), "f4000000800000000009");
        assert_eq!(
            hex(&[b"ab", b"", b"007"]),
            "82616203800183303037".to_owned() + "04"
        );
        assert_eq!(&hex(&[&[b'x'; 64]])[..4], "e040");
        assert_eq!(&hex(&[&[b'x'; 4096]])[..10], "f000100000");
    }

    #[test]
    fn an_empty_listpack_is_a_header_and_an_end() {
        assert_eq!(packed(&[])[..], [7, 0, 0, 0, 0, 0, 0xff]);
        assert_eq!(Listpack::new(&packed(&[])).unwrap().count(), 0);
    }

    #[test]
    fn more_elements_than_the_header_can_tell_are_all_read() {
        let texts = vec![&b"7"[..]; 70_000];
        let bytes = packed(&texts);
        assert_eq!(bytes[4..6], [0xff, 0xff]);
        assert_eq!(Listpack::new(&bytes).unwrap().count(), 70_000);
    }

    #[test]
    fn a_listpack_that_lies_is_refused() {
        let good = packed(&[b"ab", b"5"]);
        for lie in [
            &good[..good.len() - 1],
            b"",
            b"\x07\0\0\0\x01\0\xff",
            b"\x07\0\0\0\0\0\xfe",
            b"\x0b\0\0\0\x01\0\x82ab\x04\xff",
            b"\x0a\0\0\0\x01\0\xbfab\xff",
            b"\x09\0\0\0\x01\0\xf5\x01\xff",
            b"\x0c\0\0\0\x01\0\xf0\xff\xff\xff\xff\xff",
        ] {
            assert!(Listpack::new(lie).is_none(), "{lie:?}");
        }
    }

    proptest! {
        #[test]
        fn what_is_packed_is_unpacked(texts in proptest::collection::vec(prop_oneof![
            proptest::collection::vec(any::<u8>(), 0..200),
            proptest::collection::vec(any::<u8>(), 4000..4200),
            any::<i64>().prop_map(|number| number.to_string().into_bytes()),
            any::<i16>().prop_map(|number| number.to_string().into_bytes()),
            (0_u32..63).prop_map(|bit| (1_i64 << bit).to_string().into_bytes()),
            (0_u32..63).prop_map(|bit| (-1_i64 << bit).to_string().into_bytes()),
        ], 0..20)) {
            let borrowed: Vec<&[u8]> = texts.iter().map(Vec::as_slice).collect();
            let bytes = packed(&borrowed);
            let unpacked: Vec<Vec<u8>> = Listpack::new(&bytes)
                .unwrap()
                .map(|element| element.word().to_vec())
                .collect();
            prop_assert_eq!(unpacked, texts);
        }

        #[test]
        fn no_bytes_make_the_reader_panic(bytes: Vec<u8>) {
            let _ = Listpack::new(&bytes);
            let mut framed = vec![0; 4];
            framed.extend_from_slice(&[0xff, 0xff]);
            framed.extend_from_slice(&bytes);
            framed.push(END);
            let len = framed.len() as u32;
            framed[..4].copy_from_slice(&len.to_le_bytes());
            if let Some(elements) = Listpack::new(&framed) {
                prop_assert!(elements.count() <= bytes.len());
            }
        }
    }
}
