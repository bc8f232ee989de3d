//! One value of a snapshot, read element by element (`rdbLoadObject`).

use std::borrow::Cow;

use super::cursor::{Cursor, Halt, Raw, failed};
use super::element::{Element, parse_score};
use super::error::RdbFault;
use super::listpack::Listpack;
use super::types::TypeCode;
use super::ziplist::Ziplist;
use super::{intset, zipmap};
use crate::store::{Hash, Limits, List, Set, SortedSet, Value};
use crate::word::Word;

/// A node of a quicklist that holds one element as it is (`QUICKLIST_NODE_CONTAINER_PLAIN`).
const PLAIN: u64 = 1;

/// A node of a quicklist that is a listpack (`QUICKLIST_NODE_CONTAINER_PACKED`).
const PACKED: u64 = 2;

/// A value of which some elements were read.
#[derive(Debug)]
pub(super) struct ObjectReader {
    code: TypeCode,
    limits: Limits,
    state: State,
}

#[derive(Debug)]
enum State {
    Start,
    /// So many elements are to come.
    Elements(u64, Collection),
}

#[derive(Debug)]
enum Collection {
    List(List),
    Set(Set),
    SortedSet(SortedSet),
    Hash(Hash),
}

/// How far a step has brought a value.
#[derive(Debug)]
pub(super) enum Step {
    /// There is more to be read.
    More,
    /// The value is whole. A collection may turn out to be empty.
    Whole(Value),
}

impl ObjectReader {
    pub(super) const fn new(code: TypeCode, limits: Limits) -> Self {
        Self {
            code,
            limits,
            state: State::Start,
        }
    }

    /// Reads one element, or the start of the value, or nothing if it has not arrived whole.
    pub(super) fn step(&mut self, cursor: &mut Cursor<'_>) -> Result<Step, Halt> {
        match &mut self.state {
            State::Start => self.start(cursor),
            State::Elements(left, collection) => {
                collection.read(self.code, &self.limits, cursor)?;
                *left -= 1;
                Ok(if *left == 0 {
                    Step::Whole(std::mem::replace(&mut self.state, State::Start).value())
                } else {
                    Step::More
                })
            }
        }
    }

    fn start(&mut self, cursor: &mut Cursor<'_>) -> Result<Step, Halt> {
        let collection = match self.code {
            TypeCode::String => return Ok(Step::Whole(Value::String(cursor.word()?))),
            TypeCode::List | TypeCode::Quicklist | TypeCode::Quicklist2 => {
                Collection::List(List::new())
            }
            TypeCode::Set => Collection::Set(Set::new()),
            TypeCode::SortedSet | TypeCode::SortedSet2 => Collection::SortedSet(SortedSet::new()),
            TypeCode::Hash => Collection::Hash(Hash::new()),
            TypeCode::HashZipmap
            | TypeCode::ListZiplist
            | TypeCode::SetIntset
            | TypeCode::SortedSetZiplist
            | TypeCode::HashZiplist
            | TypeCode::HashListpack
            | TypeCode::SortedSetListpack
            | TypeCode::SetListpack => {
                let start = cursor.offset();
                let packed = cursor.string()?.bytes()?;
                let unpacked = self.unpack(&packed);
                return unpacked
                    .map(|collection| Step::Whole(collection.value()))
                    .map_err(|fault| failed(start, fault));
            }
        };
        let left = cursor.len()?;
        if left == 0 {
            return Ok(Step::Whole(collection.value()));
        }
        self.state = State::Elements(left, collection);
        Ok(Step::More)
    }

    /// Reads a collection that stands in one string.
    fn unpack(&self, packed: &[u8]) -> Result<Collection, RdbFault> {
        match self.code {
            TypeCode::ListZiplist => {
                let entries = Ziplist::new(packed).ok_or(RdbFault::Integrity("List ziplist"))?;
                Ok(Collection::List(entries.map(Element::word).collect()))
            }
            TypeCode::SetIntset => {
                let members = intset::read(packed).ok_or(RdbFault::Integrity("Intset"))?;
                self.set(members.into_iter().map(Element::Integer), "Intset")
            }
            TypeCode::SetListpack => {
                let what = "Set listpack";
                let members = Listpack::new(packed).ok_or(RdbFault::Integrity(what))?;
                self.set(members, what)
            }
            TypeCode::SortedSetZiplist => {
                let what = "Zset ziplist";
                self.sorted_set(Ziplist::new(packed).ok_or(RdbFault::Integrity(what))?, what)
            }
            TypeCode::SortedSetListpack => {
                let what = "Zset listpack";
                self.sorted_set(
                    Listpack::new(packed).ok_or(RdbFault::Integrity(what))?,
                    what,
                )
            }
            TypeCode::HashZipmap => {
                let what = "Hash zipmap";
                let pairs = zipmap::read(packed).ok_or(RdbFault::Integrity(what))?;
                let texts = pairs.into_iter().flat_map(|(field, value)| [field, value]);
                self.hash(texts.map(Element::Text), what)
            }
            TypeCode::HashZiplist => {
                let what = "Hash ziplist";
                self.hash(Ziplist::new(packed).ok_or(RdbFault::Integrity(what))?, what)
            }
            TypeCode::HashListpack => {
                let what = "Hash listpack";
                self.hash(
                    Listpack::new(packed).ok_or(RdbFault::Integrity(what))?,
                    what,
                )
            }
            // These are read element by element.
            TypeCode::String
            | TypeCode::List
            | TypeCode::Set
            | TypeCode::SortedSet
            | TypeCode::Hash
            | TypeCode::SortedSet2
            | TypeCode::Quicklist
            | TypeCode::Quicklist2 => Err(RdbFault::Opcode(self.code.byte())),
        }
    }

    fn set<'a>(
        &self,
        members: impl Iterator<Item = Element<'a>>,
        what: &'static str,
    ) -> Result<Collection, RdbFault> {
        let mut set = Set::new();
        for member in members {
            if !set.insert_within(member.word(), &self.limits) {
                return Err(RdbFault::Integrity(what));
            }
        }
        Ok(Collection::Set(set))
    }

    fn sorted_set<'a>(
        &self,
        elements: impl Iterator<Item = Element<'a>>,
        what: &'static str,
    ) -> Result<Collection, RdbFault> {
        let mut set = SortedSet::new();
        for (member, score) in pairs(elements) {
            let score = score.and_then(Element::score);
            let score = score.ok_or(RdbFault::Integrity(what))?;
            if !set.insert_within(member.word(), score, &self.limits) {
                return Err(RdbFault::Integrity(what));
            }
        }
        Ok(Collection::SortedSet(set))
    }

    fn hash<'a>(
        &self,
        elements: impl Iterator<Item = Element<'a>>,
        what: &'static str,
    ) -> Result<Collection, RdbFault> {
        let mut hash = Hash::new();
        for (field, value) in pairs(elements) {
            let value = value.ok_or(RdbFault::Integrity(what))?;
            if !hash.insert_within(field.word(), value.word(), &self.limits) {
                return Err(RdbFault::Integrity(what));
            }
        }
        Ok(Collection::Hash(hash))
    }
}

/// Elements two by two. An odd one out has nobody beside it.
fn pairs<'a>(
    mut elements: impl Iterator<Item = Element<'a>>,
) -> impl Iterator<Item = (Element<'a>, Option<Element<'a>>)> {
    std::iter::from_fn(move || Some((elements.next()?, elements.next())))
}

impl State {
    fn value(self) -> Value {
        match self {
            Self::Start => Value::String(Word::new()),
            Self::Elements(_, collection) => collection.value(),
        }
    }
}

impl Collection {
    fn value(self) -> Value {
        match self {
            Self::List(list) => list.into(),
            Self::Set(set) => set.into(),
            Self::SortedSet(set) => set.into(),
            Self::Hash(hash) => hash.into(),
        }
    }

    /// Reads one element, or one node of a list.
    fn read(
        &mut self,
        code: TypeCode,
        limits: &Limits,
        cursor: &mut Cursor<'_>,
    ) -> Result<(), Halt> {
        let start = cursor.offset();
        let added = match self {
            Self::List(list) => {
                if code == TypeCode::List {
                    list.push_back(cursor.word()?);
                } else {
                    node(list, code, cursor)?;
                }
                return Ok(());
            }
            Self::Set(set) => (set.insert_within(cursor.word()?, limits), "set members"),
            Self::SortedSet(set) => {
                let member = cursor.string()?;
                let score = if code == TypeCode::SortedSet2 {
                    f64::from_le_bytes(cursor.array()?)
                } else {
                    score(cursor)?
                };
                if score.is_nan() {
                    return Err(failed(start, RdbFault::NotANumber));
                }
                let member = member.word()?;
                (set.insert_within(member, score, limits), "zset fields")
            }
            Self::Hash(hash) => {
                let (field, value) = (cursor.string()?, cursor.string()?);
                let (field, value) = (field.word()?, value.word()?);
                (hash.insert_within(field, value, limits), "hash fields")
            }
        };
        match added {
            (true, _) => Ok(()),
            (false, what) => Err(failed(start, RdbFault::DuplicateMember(what))),
        }
    }
}

/// Reads one node of a quicklist.
fn node(list: &mut List, code: TypeCode, cursor: &mut Cursor<'_>) -> Result<(), Halt> {
    let start = cursor.offset();
    let container = if code == TypeCode::Quicklist2 {
        cursor.len()?
    } else {
        PACKED
    };
    let node: Raw<'_> = cursor.string()?;
    let refused = |what| failed(start, RdbFault::Integrity(what));
    match container {
        PLAIN => {
            let element = node.word()?;
            if element.is_empty() {
                return Err(refused("Quicklist"));
            }
            list.push_back(element);
        }
        PACKED => {
            let packed: Cow<'_, [u8]> = node.bytes()?;
            if code == TypeCode::Quicklist2 {
                let elements = Listpack::new(&packed).ok_or_else(|| refused("Listpack"))?;
                elements.for_each(|element| list.push_back(element.word()));
            } else {
                let entries = Ziplist::new(&packed).ok_or_else(|| refused("Ziplist"))?;
                entries.for_each(|element| list.push_back(element.word()));
            }
        }
        _ => return Err(refused("Quicklist")),
    }
    Ok(())
}

/// Reads a score as text (`rdbLoadDoubleValue`).
fn score(cursor: &mut Cursor<'_>) -> Result<f64, Halt> {
    let start = cursor.offset();
    match cursor.byte()? {
        255 => Ok(f64::NEG_INFINITY),
        254 => Ok(f64::INFINITY),
        253 => Ok(f64::NAN),
        len => {
            let text = cursor.take(len.into())?;
            parse_score(text).ok_or_else(|| failed(start, RdbFault::NotANumber))
        }
    }
}
