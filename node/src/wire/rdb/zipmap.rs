//! Zipmaps, in which Redis kept small hashes before 2.6 (`zipmap.c`). They are only read.

use super::element::unsigned;

const END: u8 = 0xff;

/// The length does not fit one byte; as a count: it is not told.
const LONG: u8 = 0xfe;

/// Fields and values of a zipmap; `None` if the bytes are no zipmap or hold nothing
/// (`zipmapValidateIntegrity`).
pub(super) fn read(bytes: &[u8]) -> Option<Vec<(&[u8], &[u8])>> {
    let (&told, rest) = bytes.split_first()?;
    let (&END, mut rest) = rest.split_last()? else {
        return None;
    };
    let mut pairs = Vec::new();
    while !rest.is_empty() {
        let field = text(&mut rest, false)?;
        let value = text(&mut rest, true)?;
        pairs.push((field, value));
    }
    let counted = told >= LONG || usize::from(told) == pairs.len();
    (counted && !pairs.is_empty()).then_some(pairs)
}

/// Takes a text; a value has unused bytes behind it, whose number is told.
fn text<'a>(rest: &mut &'a [u8], is_value: bool) -> Option<&'a [u8]> {
    let (len, start) = match *rest.first()? {
        END => return None,
        LONG => (unsigned::<4>(rest.get(1..)?)?, 5),
        len => (usize::from(len), 1),
    };
    let mut tail = rest.get(start..)?;
    let mut unused = 0;
    if is_value {
        let (&told, after) = tail.split_first()?;
        (unused, tail) = (usize::from(told), after);
    }
    let (text, tail) = tail.split_at_checked(len)?;
    *rest = tail.get(unused..)?;
    Some(text)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const OLD: &[u8] = b"\x02\x03foo\x03\x00bar\x05hello\x05\x02world..\xff";

    #[test]
    fn a_zipmap_of_redis_is_read_without_its_unused_bytes() {
        let pairs = read(OLD).unwrap();
        assert_eq!(pairs, [(&b"foo"[..], &b"bar"[..]), (b"hello", b"world")]);
    }

    #[test]
    fn long_texts_are_read() {
        let long = [b'x'; 300];
        let bytes = [b"\xfe\xfe\x2c\x01\0\0".as_slice(), &long, b"\x01\x00y\xff"].concat();
        assert_eq!(read(&bytes).unwrap(), [(&long[..], &b"y"[..])]);
    }

    #[test]
    fn a_zipmap_that_lies_is_refused() {
        for len in 0..OLD.len() {
            assert!(read(&OLD[..len]).is_none());
        }
        for lie in [
            &b"\x00\xff"[..],
            b"\x01\x03foo\x03\x00bar\x05hello\x05\x02world..\xff",
            b"\x01\x03foo\xff",
            b"\x01\x03foo\x09\x00bar\xff",
            b"\x01\x03foo\x03\x09bar\xff",
        ] {
            assert!(read(lie).is_none(), "{lie:?}");
        }
    }

    proptest! {
        #[test]
        fn no_bytes_make_the_reader_panic(bytes: Vec<u8>) {
            let _ = read(&bytes);
            let _ = read(&[b"\xfe".as_slice(), &bytes, b"\xff"].concat());
        }
    }
}
