//! Values of all types, and how they are encoded.

use std::sync::Arc;

use super::memory::heap_bytes;
use super::{Hash, List, Set, SortedSet};
use crate::wire::resp::string_to_i64;
use crate::word::Word;

/// A value of a key. Collections are shared with the snapshots that hold them, and copied by the
/// first write after that.
#[derive(Clone, PartialEq, Debug)]
pub enum Value {
    /// A string.
    String(Word),
    /// A list.
    List(Arc<List>),
    /// A set.
    Set(Arc<Set>),
    /// A sorted set.
    SortedSet(Arc<SortedSet>),
    /// A hash.
    Hash(Arc<Hash>),
}

/// What `TYPE` calls a value.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum ValueType {
    /// `string`.
    String,
    /// `list`.
    List,
    /// `set`.
    Set,
    /// `zset`.
    SortedSet,
    /// `hash`.
    Hash,
}

/// What `OBJECT ENCODING` calls the form a value is kept in. The names are upstream's; a form
/// stands for the sizes at which upstream keeps it so.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Encoding {
    /// `int`.
    Int,
    /// `embstr`.
    EmbStr,
    /// `raw`.
    Raw,
    /// `listpack`.
    Listpack,
    /// `quicklist`.
    Quicklist,
    /// `intset`.
    IntSet,
    /// `hashtable`.
    HashTable,
    /// `skiplist`.
    SkipList,
}

/// How large a collection may grow in its compact form.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Limits {
    /// `hash-max-listpack-entries`.
    pub hash_entries: usize,
    /// `hash-max-listpack-value`, bytes.
    pub hash_value_bytes: usize,
    /// `set-max-intset-entries`.
    pub intset_entries: usize,
    /// `zset-max-listpack-entries`.
    pub sorted_set_entries: usize,
    /// `zset-max-listpack-value`, bytes.
    pub sorted_set_value_bytes: usize,
}

impl Limits {
    /// Upstream's.
    pub const DEFAULT: Self = Self {
        hash_entries: 512,
        hash_value_bytes: 64,
        intset_entries: 512,
        sorted_set_entries: 128,
        sorted_set_value_bytes: 64,
    };
}

impl Default for Limits {
    fn default() -> Self {
        Self::DEFAULT
    }
}

/// The longest string that is kept in one piece with its header, bytes
/// (`OBJ_ENCODING_EMBSTR_SIZE_LIMIT`).
const EMBEDDED_BYTES: usize = 44;

impl Value {
    /// Its type.
    #[must_use]
    pub const fn value_type(&self) -> ValueType {
        match self {
            Self::String(_) => ValueType::String,
            Self::List(_) => ValueType::List,
            Self::Set(_) => ValueType::Set,
            Self::SortedSet(_) => ValueType::SortedSet,
            Self::Hash(_) => ValueType::Hash,
        }
    }

    /// The string, if it is one.
    #[must_use]
    pub const fn as_string(&self) -> Option<&Word> {
        match self {
            Self::String(text) => Some(text),
            Self::List(_) | Self::Set(_) | Self::SortedSet(_) | Self::Hash(_) => None,
        }
    }

    /// Number of elements; a string's length in bytes.
    #[must_use]
    pub fn len(&self) -> usize {
        match self {
            Self::String(text) => text.len(),
            Self::List(list) => list.len(),
            Self::Set(set) => set.len(),
            Self::SortedSet(set) => set.len(),
            Self::Hash(hash) => hash.len(),
        }
    }

    /// Whether there is nothing in it. No key holds an empty collection.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The form it is kept in (`strEncoding`).
    #[must_use]
    pub fn encoding(&self) -> Encoding {
        match self {
            Self::String(text) if string_to_i64(text).is_some() => Encoding::Int,
            Self::String(text) if text.len() <= EMBEDDED_BYTES => Encoding::EmbStr,
            Self::String(_) => Encoding::Raw,
            Self::List(_) => Encoding::Quicklist,
            Self::Set(set) => set.encoding(),
            Self::SortedSet(set) => set.encoding(),
            Self::Hash(hash) => hash.encoding(),
        }
    }

    /// What it takes beside its own place, bytes: an estimate that depends on the content alone.
    #[must_use]
    pub fn heap_bytes(&self) -> usize {
        match self {
            Self::String(text) => heap_bytes(text),
            Self::List(list) => list.heap_bytes(),
            Self::Set(set) => set.heap_bytes(),
            Self::SortedSet(set) => set.heap_bytes(),
            Self::Hash(hash) => hash.heap_bytes(),
        }
    }
}

/// A type whose values hold elements.
pub(crate) trait Collection: Clone + Default + Into<Value> {
    /// The collection, if the value is one of this type.
    fn of(value: &Value) -> Option<&Self>;

    /// The same, to be changed; a snapshot that shares it keeps it as it was.
    fn of_mut(value: &mut Value) -> Option<&mut Self>;
}

macro_rules! collection {
    ($name:ident, $accessor:ident, $what:literal) => {
        impl Value {
            #[doc = concat!("The ", $what, ", if it is one.")]
            #[must_use]
            pub fn $accessor(&self) -> Option<&$name> {
                <$name as Collection>::of(self)
            }
        }

        impl Collection for $name {
            fn of(value: &Value) -> Option<&Self> {
                if let Value::$name(held) = value {
                    Some(held)
                } else {
                    None
                }
            }

            fn of_mut(value: &mut Value) -> Option<&mut Self> {
                if let Value::$name(held) = value {
                    Some(Arc::make_mut(held))
                } else {
                    None
                }
            }
        }

        impl From<$name> for Value {
            fn from(held: $name) -> Self {
                Self::$name(Arc::new(held))
            }
        }
    };
}

collection!(List, as_list, "list");
collection!(Set, as_set, "set");
collection!(SortedSet, as_sorted_set, "sorted set");
collection!(Hash, as_hash, "hash");

impl From<Word> for Value {
    fn from(text: Word) -> Self {
        Self::String(text)
    }
}

impl ValueType {
    /// The word of `TYPE` and `SCAN ... TYPE`.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::String => "string",
            Self::List => "list",
            Self::Set => "set",
            Self::SortedSet => "zset",
            Self::Hash => "hash",
        }
    }
}

impl Encoding {
    /// The word of `OBJECT ENCODING`.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Int => "int",
            Self::EmbStr => "embstr",
            Self::Raw => "raw",
            Self::Listpack => "listpack",
            Self::Quicklist => "quicklist",
            Self::IntSet => "intset",
            Self::HashTable => "hashtable",
            Self::SkipList => "skiplist",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_value_is_three_machine_words_long() {
        assert_eq!(size_of::<Value>(), 24);
        assert_eq!(size_of::<Option<Value>>(), 24);
    }

    #[test]
    fn strings_are_numbers_short_or_raw() {
        let encoding = |text: &str| Value::String(text.to_owned().into()).encoding().name();
        assert_eq!(encoding("-12"), "int");
        assert_eq!(encoding("9223372036854775807"), "int");
        assert_eq!(encoding("9223372036854775808"), "embstr");
        assert_eq!(encoding("012"), "embstr");
        assert_eq!(encoding(&"x".repeat(44)), "embstr");
        assert_eq!(encoding(&"x".repeat(45)), "raw");
    }
}
