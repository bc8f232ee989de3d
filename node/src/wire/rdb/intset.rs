//! Intsets, in which Redis keeps small sets of integers (`intset.c`).

use bytes::{BufMut, BytesMut};

use super::element::{signed, unsigned};

/// Width of a member and number of members.
const HEADER_LEN: usize = 8;

/// The members of an intset, in ascending order; `None` if the bytes are no intset
/// (`intsetValidateIntegrity`).
pub(super) fn read(bytes: &[u8]) -> Option<Vec<i64>> {
    let width = unsigned::<4>(bytes)?;
    let count = unsigned::<4>(bytes.get(4..)?)?;
    let members = bytes.get(HEADER_LEN..)?;
    if !matches!(width, 2 | 4 | 8) || members.len() != count.checked_mul(width)? || count == 0 {
        return None;
    }
    let read = members.chunks_exact(width).map(|member| match width {
        2 => signed::<2>(member),
        4 => signed::<4>(member),
        _ => signed::<8>(member),
    });
    let members: Vec<i64> = read.collect::<Option<_>>()?;
    members.is_sorted_by(|a, b| a < b).then_some(members)
}

/// An intset of members in ascending order, each as wide as the widest needs.
pub(super) fn write(members: &[i64]) -> BytesMut {
    let width = members.iter().copied().map(width_of).max().unwrap_or(2);
    let mut bytes = BytesMut::with_capacity(HEADER_LEN + members.len() * width);
    bytes.put_u32_le(width as u32);
    bytes.put_u32_le(members.len() as u32);
    for &member in members {
        bytes.put_int_le(member, width);
    }
    bytes
}

/// How many bytes a member needs (`_intsetValueEncoding`).
fn width_of(member: i64) -> usize {
    if i16::try_from(member).is_ok() {
        2
    } else if i32::try_from(member).is_ok() {
        4
    } else {
        8
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn members_are_as_wide_as_the_widest() {
        assert_eq!(write(&[-1, 5])[..], *b"\x02\0\0\0\x02\0\0\0\xff\xff\x05\0");
        assert_eq!(write(&[5, 40_000])[..8], *b"\x04\0\0\0\x02\0\0\0");
        assert_eq!(write(&[i64::MIN])[..8], *b"\x08\0\0\0\x01\0\0\0");
    }

    #[test]
    fn an_intset_that_lies_is_refused() {
        for lie in [
            &b""[..],
            b"\x02\0\0\0",
            b"\x02\0\0\0\0\0\0\0",
            b"\x03\0\0\0\x01\0\0\0abc",
            b"\x02\0\0\0\x02\0\0\0\x01\0",
            b"\x02\0\0\0\x01\0\0\0\x01\0\0",
            b"\x02\0\0\0\x02\0\0\0\x01\0\x01\0",
            b"\x02\0\0\0\x02\0\0\0\x02\0\x01\0",
            b"\x08\0\0\0\xff\xff\xff\xff",
        ] {
            assert_eq!(read(lie), None, "{lie:?}");
        }
    }

    proptest! {
        #[test]
        fn what_is_packed_is_unpacked(members: std::collections::BTreeSet<i64>, shift in 0_u32..63) {
            let mut members: Vec<i64> = members.into_iter().map(|member| member >> shift).collect();
            members.dedup();
            if !members.is_empty() {
                prop_assert_eq!(read(&write(&members)), Some(members));
            }
        }

        #[test]
        fn no_bytes_make_the_reader_panic(bytes: Vec<u8>) {
            let _ = read(&bytes);
        }
    }
}
