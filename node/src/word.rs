//! A word of a command, a key, a value: bytes that are cheap to copy.

use std::borrow::Borrow;
use std::cmp::Ordering;
use std::fmt;
use std::hash::{Hash, Hasher};
use std::ops::Deref;
use std::sync::Arc;

use bytes::{Bytes, BytesMut};

/// The longest word that is kept in place, bytes.
const IN_PLACE_BYTES: usize = 22;

/// From this length on, bytes that are handed over are kept where they are instead of copied.
const TAKEN_OVER_BYTES: usize = 32 << 10;

/// Immutable bytes. Short ones, as most keys, values and command names are, are kept in place and
/// copied; longer ones are shared.
#[derive(Clone)]
pub struct Word(Held);

#[derive(Clone)]
enum Held {
    InPlace(u8, [u8; IN_PLACE_BYTES]),
    Static(&'static [u8]),
    /// In one allocation of their own, with nothing to spare: what a keyspace is made of.
    Packed(Arc<[u8]>),
    /// Part of a larger buffer, or with room to grow.
    Shared(Arc<Bytes>),
}

impl Word {
    /// No bytes.
    #[must_use]
    pub const fn new() -> Self {
        Self(Held::InPlace(0, [0; IN_PLACE_BYTES]))
    }

    /// Bytes that the program is made of.
    #[must_use]
    pub const fn from_static(bytes: &'static [u8]) -> Self {
        if bytes.len() > IN_PLACE_BYTES {
            return Self(Held::Static(bytes));
        }
        let mut held = [0; IN_PLACE_BYTES];
        let mut place = 0;
        while place < bytes.len() {
            held[place] = bytes[place];
            place += 1;
        }
        Self(Held::InPlace(bytes.len() as u8, held))
    }

    /// A copy of some bytes.
    #[must_use]
    pub fn copy_from_slice(bytes: &[u8]) -> Self {
        let mut held = [0; IN_PLACE_BYTES];
        match held.get_mut(..bytes.len()) {
            Some(start) => {
                start.copy_from_slice(bytes);
                Self(Held::InPlace(bytes.len() as u8, held))
            }
            None => Self(Held::Packed(Arc::from(bytes))),
        }
    }

    /// These bytes with more behind them. Room is left at the end, so that a word that grows in many
    /// steps is not copied at each.
    #[must_use]
    pub fn append(self, tail: &[u8]) -> Self {
        let unshared = match self.0 {
            Held::Shared(bytes) => Arc::unwrap_or_clone(bytes).try_into_mut(),
            held @ (Held::InPlace(..) | Held::Static(_) | Held::Packed(_)) => {
                Ok(BytesMut::from(Self(held).as_bytes()))
            }
        };
        let mut grown = unshared.unwrap_or_else(|shared| BytesMut::from(&shared[..]));
        grown.extend_from_slice(tail);
        if grown.len() > IN_PLACE_BYTES {
            Self(Held::Shared(Arc::new(grown.freeze())))
        } else {
            Self::copy_from_slice(&grown)
        }
    }

    /// The bytes of a short word, with zeros behind them: so many can be copied without a look at
    /// how many there are.
    pub(crate) const fn in_place(&self) -> Option<&[u8; IN_PLACE_BYTES]> {
        match &self.0 {
            Held::InPlace(_, bytes) => Some(bytes),
            Held::Static(_) | Held::Packed(_) | Held::Shared(_) => None,
        }
    }

    /// The bytes.
    #[must_use]
    pub fn as_bytes(&self) -> &[u8] {
        match &self.0 {
            Held::InPlace(len, bytes) => bytes.get(..usize::from(*len)).unwrap_or(bytes),
            Held::Static(bytes) => bytes,
            Held::Packed(bytes) => bytes,
            Held::Shared(bytes) => bytes,
        }
    }
}

impl Default for Word {
    fn default() -> Self {
        Self::new()
    }
}

impl Deref for Word {
    type Target = [u8];

    fn deref(&self) -> &[u8] {
        self.as_bytes()
    }
}

impl AsRef<[u8]> for Word {
    fn as_ref(&self) -> &[u8] {
        self.as_bytes()
    }
}

impl Borrow<[u8]> for Word {
    fn borrow(&self) -> &[u8] {
        self.as_bytes()
    }
}

/// Large ones are taken over, not copied.
impl From<Bytes> for Word {
    fn from(bytes: Bytes) -> Self {
        if bytes.len() >= TAKEN_OVER_BYTES {
            Self(Held::Shared(Arc::new(bytes)))
        } else {
            Self::copy_from_slice(&bytes)
        }
    }
}

impl From<Vec<u8>> for Word {
    fn from(bytes: Vec<u8>) -> Self {
        Self::from(Bytes::from(bytes))
    }
}

impl From<String> for Word {
    fn from(text: String) -> Self {
        Self::from(text.into_bytes())
    }
}

impl From<&'static str> for Word {
    fn from(text: &'static str) -> Self {
        Self::from_static(text.as_bytes())
    }
}

impl From<&'static [u8]> for Word {
    fn from(bytes: &'static [u8]) -> Self {
        Self::from_static(bytes)
    }
}

impl PartialEq for Word {
    fn eq(&self, other: &Self) -> bool {
        self.as_bytes() == other.as_bytes()
    }
}

impl Eq for Word {}

impl PartialEq<[u8]> for Word {
    fn eq(&self, other: &[u8]) -> bool {
        self.as_bytes() == other
    }
}

impl PartialEq<&[u8]> for Word {
    fn eq(&self, other: &&[u8]) -> bool {
        self.as_bytes() == *other
    }
}

impl PartialEq<Vec<u8>> for Word {
    fn eq(&self, other: &Vec<u8>) -> bool {
        self.as_bytes() == &**other
    }
}

impl PartialEq<str> for Word {
    fn eq(&self, other: &str) -> bool {
        self.as_bytes() == other.as_bytes()
    }
}

impl PartialEq<&str> for Word {
    fn eq(&self, other: &&str) -> bool {
        self.as_bytes() == other.as_bytes()
    }
}

impl PartialOrd for Word {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for Word {
    fn cmp(&self, other: &Self) -> Ordering {
        self.as_bytes().cmp(other.as_bytes())
    }
}

impl Hash for Word {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.as_bytes().hash(state);
    }
}

impl fmt::Debug for Word {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "b\"{}\"", self.as_bytes().escape_ascii())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn short_and_long_words_hold_what_they_were_made_of() {
        for len in [0, 1, 21, 22, 23, 1000, TAKEN_OVER_BYTES] {
            let bytes = vec![b'x'; len];
            let word = Word::copy_from_slice(&bytes);
            assert_eq!(&*word, &*bytes);
            assert_eq!(word, word.clone());
            assert_eq!(word, Word::from(bytes.clone()));
            assert_eq!(word.clone().append(b"yz"), [&*bytes, b"yz"].concat());
            assert_eq!(format!("{word:?}").len(), len + 3);
        }
        const LONG: &[u8] = b"longer than what is kept in place";
        assert_eq!(&*Word::from_static(LONG), LONG);
        assert_eq!(Word::from_static(LONG), Word::copy_from_slice(LONG));
        assert!(Word::new() < Word::from_static(LONG));
    }

    #[test]
    fn a_word_is_three_machine_words_long() {
        assert_eq!(size_of::<Word>(), 24);
        assert_eq!(size_of::<Option<Word>>(), 24);
    }
}
