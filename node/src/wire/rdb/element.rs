//! One element of a packed list: a text, or a number that is kept as one.

use crate::word::Word;

/// An element of a listpack or a ziplist.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Element<'a> {
    Text(&'a [u8]),
    Integer(i64),
}

impl Element<'_> {
    /// The element as a string.
    pub(super) fn word(self) -> Word {
        match self {
            Self::Text(text) => Word::copy_from_slice(text),
            Self::Integer(number) => Word::from(number.to_string()),
        }
    }

    /// The element as a score (`zzlGetScore`); `None` if it is no number.
    pub(super) fn score(self) -> Option<f64> {
        match self {
            Self::Text(text) => parse_score(text),
            Self::Integer(number) => Some(number as f64),
        }
    }
}

/// Reads a score as text, as far as it is what `d2string` writes.
pub(super) fn parse_score(text: &[u8]) -> Option<f64> {
    let text = std::str::from_utf8(text).ok()?;
    text.parse().ok().filter(|score: &f64| !score.is_nan())
}

/// Reads the first bytes of `bytes` as a little-endian number with a sign.
pub(super) fn signed<const N: usize>(bytes: &[u8]) -> Option<i64> {
    let taken: [u8; N] = bytes.get(..N)?.try_into().ok()?;
    let mut wide = [0; 8];
    wide.get_mut(8 - N..)?.copy_from_slice(&taken);
    // The bytes stand at the top; the shift brings them down with their sign.
    Some(i64::from_le_bytes(wide) >> (64 - 8 * N as u32))
}

/// Reads the first bytes of `bytes` as a little-endian number.
pub(super) fn unsigned<const N: usize>(bytes: &[u8]) -> Option<usize> {
    let taken = bytes.get(..N)?;
    let number = taken
        .iter()
        .rev()
        .fold(0_u64, |number, &byte| number << 8 | u64::from(byte));
    usize::try_from(number).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_of_any_width_keep_their_sign() {
        assert_eq!(signed::<1>(&[0x80]), Some(-128));
        assert_eq!(signed::<2>(&[0xff, 0x7f]), Some(32_767));
        assert_eq!(signed::<3>(&[0xff, 0xff, 0xff]), Some(-1));
        assert_eq!(signed::<3>(&[0, 0, 0x80]), Some(-8_388_608));
        assert_eq!(signed::<8>(&i64::MIN.to_le_bytes()), Some(i64::MIN));
        assert_eq!(signed::<4>(&[1, 2, 3]), None);
        assert_eq!(unsigned::<2>(&[1, 2, 9]), Some(0x201));
        assert_eq!(unsigned::<2>(&[1]), None);
    }
}
