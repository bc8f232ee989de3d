//! Ziplists, in which Redis kept small collections before 7.0 (`ziplist.c`). They are only read.

use super::element::{Element, signed, unsigned};

/// Length in bytes, place of the last entry, number of entries.
const HEADER_LEN: usize = 10;

const END: u8 = 0xff;

/// The length of the entry before does not fit one byte.
const LONG_BEFORE: u8 = 0xfe;

/// The number of entries is not told: there are too many.
const MANY: usize = 0xffff;

/// The entries of a ziplist.
#[derive(Clone, Debug)]
pub(super) struct Ziplist<'a> {
    rest: &'a [u8],
    /// Length of the entry before, bytes.
    before: usize,
}

impl<'a> Ziplist<'a> {
    /// Checks all of `bytes` (`ziplistValidateIntegrity`); `None` if they are no ziplist.
    pub(super) fn new(bytes: &'a [u8]) -> Option<Self> {
        if unsigned::<4>(bytes)? != bytes.len() {
            return None;
        }
        let tail = unsigned::<4>(bytes.get(4..)?)?;
        let told = unsigned::<2>(bytes.get(8..)?)?;
        let (&END, rest) = bytes.get(HEADER_LEN..)?.split_last()? else {
            return None;
        };
        let whole = Self { rest, before: 0 };
        let mut entries = whole.clone();
        let mut count = 0_usize;
        while !entries.rest.is_empty() {
            entries.take_one()?;
            count += 1;
        }
        let end = HEADER_LEN + rest.len();
        let tail_is_right = tail == end - entries.before;
        (tail_is_right && (told == MANY || told == count)).then_some(whole)
    }

    fn take_one(&mut self) -> Option<Element<'a>> {
        let (before, start) = match *self.rest.first()? {
            END => return None,
            LONG_BEFORE => (unsigned::<4>(self.rest.get(1..)?)?, 5),
            before => (usize::from(before), 1),
        };
        if before != self.before {
            return None;
        }
        let (element, len) = entry(self.rest.get(start..)?)?;
        self.before = start + len;
        self.rest = self.rest.get(self.before..)?;
        Some(element)
    }
}

impl<'a> Iterator for Ziplist<'a> {
    type Item = Element<'a>;

    fn next(&mut self) -> Option<Element<'a>> {
        self.take_one()
    }
}

/// The entry that `bytes` begin with, and its length.
fn entry(bytes: &[u8]) -> Option<(Element<'_>, usize)> {
    let (&first, rest) = bytes.split_first()?;
    let text = |start: usize, len: usize| {
        let end = start.checked_add(len)?;
        Some((Element::Text(bytes.get(start..end)?), end))
    };
    let integer = |number: Option<i64>, len: usize| Some((Element::Integer(number?), len));
    match first {
        0..0x40 => text(1, first.into()),
        0x40..0x80 => {
            let len = usize::from(first & 0x3f) << 8 | usize::from(*rest.first()?);
            text(2, len)
        }
        0x80 => {
            let len: [u8; 4] = rest.get(..4)?.try_into().ok()?;
            text(5, usize::try_from(u32::from_be_bytes(len)).ok()?)
        }
        0xc0 => integer(signed::<2>(rest), 3),
        0xd0 => integer(signed::<4>(rest), 5),
        0xe0 => integer(signed::<8>(rest), 9),
        0xf0 => integer(signed::<3>(rest), 4),
        0xfe => integer(signed::<1>(rest), 2),
        0xf1..=0xfd => integer(Some(i64::from(first & 0x0f) - 1), 1),
        _ => None,
    }
}

/// A ziplist of these texts, for tests.
#[cfg(test)]
pub(super) fn pack(texts: &[&[u8]]) -> Vec<u8> {
    let mut body = Vec::new();
    let (mut before, mut tail) = (0_usize, HEADER_LEN);
    for text in texts {
        let start = body.len();
        tail = HEADER_LEN + start;
        match u8::try_from(before) {
            Ok(short @ 0..0xfe) => body.push(short),
            Ok(_) | Err(_) => {
                body.push(LONG_BEFORE);
                body.extend_from_slice(&(before as u32).to_le_bytes());
            }
        }
        let number = crate::wire::resp::string_to_i64(text);
        match number {
            Some(number @ 0..=12) => body.push(0xf1 + number as u8),
            Some(number @ -128..128) => body.extend_from_slice(&[0xfe, number as u8]),
            Some(number) => {
                body.push(0xe0);
                body.extend_from_slice(&number.to_le_bytes());
            }
            None if text.len() < 64 => body.push(text.len() as u8),
            None if text.len() < 1 << 14 => {
                body.extend_from_slice(&(0x4000 | text.len() as u16).to_be_bytes());
            }
            None => {
                body.push(0x80);
                body.extend_from_slice(&(text.len() as u32).to_be_bytes());
            }
        }
        if number.is_none() {
            body.extend_from_slice(text);
        }
        before = body.len() - start;
    }
    let len = (HEADER_LEN + body.len() + 1) as u32;
    let mut bytes = len.to_le_bytes().to_vec();
    bytes.extend_from_slice(&(tail as u32).to_le_bytes());
    bytes.extend_from_slice(&(texts.len().min(MANY) as u16).to_le_bytes());
    bytes.extend_from_slice(&body);
    bytes.push(END);
    bytes
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// As Redis 5.0 writes a list of `2`, `5` and `Hello World`.
    const OLD: &[u8] = b"\x1c\0\0\0\x0e\0\0\0\x03\0\x00\xf3\x02\xf6\x02\x0bHello World\xff";

    fn texts(bytes: &[u8]) -> Option<Vec<Vec<u8>>> {
        let entries = Ziplist::new(bytes)?;
        Some(entries.map(|element| element.word().to_vec()).collect())
    }

    #[test]
    fn a_ziplist_of_redis_is_read() {
        let read = texts(OLD).unwrap();
        assert_eq!(read, [&b"2"[..], b"5", b"Hello World"]);
        assert_eq!(pack(&[b"2", b"5", b"Hello World"]), OLD);
    }

    #[test]
    fn integers_of_every_width_are_read() {
        let entries: &[(&[u8], i64)] = &[
            (b"\xfe\x80", -128),
            (b"\xc0\x00\x80", -32_768),
            (b"\xf0\xff\xff\x7f", 8_388_607),
            (b"\xd0\xff\xff\xff\xff", -1),
            (b"\xe0\x00\x00\x00\x00\x00\x00\x00\x80", i64::MIN),
            (b"\xf1", 0),
            (b"\xfd", 12),
        ];
        for (bytes, number) in entries {
            assert_eq!(entry(bytes), Some((Element::Integer(*number), bytes.len())));
        }
    }

    #[test]
    fn a_ziplist_that_lies_is_refused() {
        for place in [0, 4, 8, 10, 12, OLD.len() - 1] {
            let mut lie = OLD.to_vec();
            lie[place] ^= 1;
            assert!(texts(&lie).is_none(), "byte {place}");
        }
        for len in 0..OLD.len() {
            assert!(texts(&OLD[..len]).is_none());
        }
    }

    proptest! {
        #[test]
        fn what_is_packed_is_unpacked(lens in proptest::collection::vec(0_usize..600, 0..20), numbers: Vec<i64>) {
            let mut all: Vec<Vec<u8>> = lens.iter().map(|&len| vec![b'x'; len]).collect();
            all.extend(numbers.iter().map(|number| number.to_string().into_bytes()));
            let borrowed: Vec<&[u8]> = all.iter().map(Vec::as_slice).collect();
            prop_assert_eq!(texts(&pack(&borrowed)), Some(all));
        }

        #[test]
        fn no_bytes_make_the_reader_panic(bytes: Vec<u8>) {
            let _ = texts(&bytes);
            let mut framed = pack(&[]);
            framed.splice(HEADER_LEN..HEADER_LEN, bytes.iter().copied());
            let len = framed.len() as u32;
            framed[..4].copy_from_slice(&len.to_le_bytes());
            framed[8..10].copy_from_slice(&[0xff, 0xff]);
            let _ = texts(&framed);
        }
    }
}
