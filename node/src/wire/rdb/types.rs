//! The types of values in a snapshot (`RDB_TYPE_*`).

/// A type of value that is loaded.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum TypeCode {
    String,
    List,
    Set,
    /// Scores are texts.
    SortedSet,
    Hash,
    /// Scores are doubles.
    SortedSet2,
    HashZipmap,
    ListZiplist,
    SetIntset,
    SortedSetZiplist,
    HashZiplist,
    /// Its nodes are ziplists.
    Quicklist,
    HashListpack,
    SortedSetListpack,
    /// Its nodes are listpacks or single elements.
    Quicklist2,
    /// Redis 7.2 writes it.
    SetListpack,
}

const CODES: [(u8, TypeCode); 16] = [
    (0, TypeCode::String),
    (1, TypeCode::List),
    (2, TypeCode::Set),
    (3, TypeCode::SortedSet),
    (4, TypeCode::Hash),
    (5, TypeCode::SortedSet2),
    (9, TypeCode::HashZipmap),
    (10, TypeCode::ListZiplist),
    (11, TypeCode::SetIntset),
    (12, TypeCode::SortedSetZiplist),
    (13, TypeCode::HashZiplist),
    (14, TypeCode::Quicklist),
    (16, TypeCode::HashListpack),
    (17, TypeCode::SortedSetListpack),
    (18, TypeCode::Quicklist2),
    (20, TypeCode::SetListpack),
];

impl TypeCode {
    pub(super) fn from_byte(byte: u8) -> Option<Self> {
        let known = CODES.iter().find(|(code, _)| *code == byte);
        known.map(|&(_, code)| code)
    }

    /// Whether Redis 7.0 knows it.
    pub(super) fn is_of_redis_7_0(self) -> bool {
        self != Self::SetListpack
    }

    pub(super) fn byte(self) -> u8 {
        let known = CODES.iter().find(|(_, code)| *code == self);
        known.map_or(0, |&(byte, _)| byte)
    }
}

/// What a type is that is known but not loaded.
pub(super) const fn unsupported(byte: u8) -> Option<&'static str> {
    match byte {
        6 | 7 => Some("a module's value"),
        15 | 19 | 21 => Some("a stream"),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_type_has_one_byte() {
        for byte in 0..=u8::MAX {
            if let Some(code) = TypeCode::from_byte(byte) {
                assert_eq!(code.byte(), byte);
                assert_eq!(unsupported(byte), None);
            }
        }
    }
}
