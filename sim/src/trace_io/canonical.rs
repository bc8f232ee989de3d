//! A byte form of event logs made for hashing: cheap, unambiguous, the same everywhere.

use std::fmt;

use serde::ser::{self, Serialize};
use xxhash_rust::xxh3::Xxh3Default;

use crate::trace::{DataEvent, NodeNumber, Operation, Record};

/// Bytes that are collected before they are hashed.
const CHUNK_BYTES: usize = 1 << 16;

/// Words that a record is hashed as, at most.
const MOST_WORDS: usize = 6;

/// Hashes values one after the other.
#[derive(Default)]
pub(super) struct Hasher {
    hash: Xxh3Default,
    bytes: Bytes,
}

impl Hasher {
    pub(super) fn add(&mut self, value: &impl Serialize) {
        // Nothing a log holds can fail to turn into bytes; if it did, the hash would say so.
        if value.serialize(&mut self.bytes).is_err() {
            self.bytes.0.extend_from_slice(b"\xff not serializable");
        }
        self.hash_chunk();
    }

    /// Hashes a record. What clients do makes up nearly all of a log: it is hashed as a few
    /// words behind a mark, everything else as a value.
    pub(super) fn add_record(&mut self, record: &Record) {
        let at_us = record.at_us;
        match record.event.data() {
            Some(DataEvent::Operation(operation)) => {
                self.add_words(Mark::Operation, operation_words(at_us, operation));
            }
            Some(DataEvent::Audited(key, found, node)) => {
                let [found, is_found] = optional(found);
                let words = [at_us, key, found, is_found << 32 | optional_node(node)];
                self.add_words(Mark::Audited, words);
            }
            Some(DataEvent::Stream(node, id, offset, digest)) => {
                let [first, second, third] = id_words(&id.0);
                let third = third | u64::from(node) << 32;
                let words = [at_us, first, second, third, offset, digest];
                self.add_words(Mark::Stream, words);
            }
            Some(DataEvent::Wrote(node, write, offset)) => {
                self.add_words(Mark::Wrote, [at_us, u64::from(node), write, offset]);
            }
            None => {
                self.bytes.0.push(Mark::Other as u8);
                self.add(record);
            }
        }
    }

    fn add_words<const COUNT: usize>(&mut self, mark: Mark, words: [u64; COUNT]) {
        let mut bytes = [0; 1 + 8 * MOST_WORDS];
        bytes[0] = mark as u8;
        let (places, _) = bytes[1..].as_chunks_mut();
        for (place, word) in places.iter_mut().zip(words) {
            *place = word.to_le_bytes();
        }
        self.bytes.0.extend_from_slice(&bytes[..1 + 8 * COUNT]);
        self.hash_chunk();
    }

    fn hash_chunk(&mut self) {
        if self.bytes.0.len() >= CHUNK_BYTES {
            self.hash.update(&self.bytes.0);
            self.bytes.0.clear();
        }
    }

    pub(super) fn finish(mut self) -> u128 {
        self.hash.update(&self.bytes.0);
        self.hash.digest128()
    }
}

/// What kind of record follows.
#[derive(Clone, Copy)]
enum Mark {
    Other,
    Operation,
    Audited,
    Stream,
    Wrote,
}

fn operation_words(at_us: u64, operation: &Operation) -> [u64; 6] {
    let [write, is_write] = optional(operation.write);
    let counts = u64::from(operation.client)
        | u64::from(operation.slot) << 16
        | u64::from(operation.requests) << 32
        | is_write << 48
        | (operation.outcome as u64) << 56;
    [
        at_us,
        operation.issued_us,
        operation.key,
        write,
        counts,
        u64::from(operation.number) << 32 | optional_node(operation.node),
    ]
}

/// A number and whether there is one.
const fn optional(number: Option<u64>) -> [u64; 2] {
    match number {
        Some(number) => [number, 1],
        None => [0, 0],
    }
}

/// A node's number, and above it whether there is one.
fn optional_node(node: Option<NodeNumber>) -> u64 {
    node.map_or(0, |node| 1 << 16 | u64::from(node))
}

fn id_words(id: &[u8; 20]) -> [u64; 3] {
    let mut room = [0; 24];
    room[..20].copy_from_slice(id);
    let (words, _) = room.as_chunks();
    [0, 1, 2].map(|place| u64::from_le_bytes(words[place]))
}

/// Numbers in 8 bytes, texts and sequences with their length or an end mark, names of fields and
/// variants in full.
#[derive(Default)]
struct Bytes(Vec<u8>);

/// Marks the end of what has no length.
const END: u8 = 0xfe;

#[derive(Debug)]
struct Failed;

impl fmt::Display for Failed {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("not serializable")
    }
}

impl std::error::Error for Failed {}

impl ser::Error for Failed {
    fn custom<T: fmt::Display>(_: T) -> Self {
        Self
    }
}

impl Bytes {
    fn word(&mut self, word: u64) -> Result<(), Failed> {
        self.0.extend_from_slice(&word.to_le_bytes());
        Ok(())
    }

    fn text(&mut self, text: &str) -> Result<(), Failed> {
        self.word(text.len() as u64)?;
        self.0.extend_from_slice(text.as_bytes());
        Ok(())
    }

    fn byte(&mut self, byte: u8) -> Result<(), Failed> {
        self.0.push(byte);
        Ok(())
    }
}

impl<'a> ser::Serializer for &'a mut Bytes {
    type Ok = ();
    type Error = Failed;
    type SerializeSeq = Parts<'a>;
    type SerializeTuple = Parts<'a>;
    type SerializeTupleStruct = Parts<'a>;
    type SerializeTupleVariant = Parts<'a>;
    type SerializeMap = Parts<'a>;
    type SerializeStruct = Parts<'a>;
    type SerializeStructVariant = Parts<'a>;

    fn serialize_bool(self, value: bool) -> Result<(), Failed> {
        self.byte(u8::from(value))
    }

    fn serialize_i8(self, value: i8) -> Result<(), Failed> {
        self.serialize_i64(value.into())
    }

    fn serialize_i16(self, value: i16) -> Result<(), Failed> {
        self.serialize_i64(value.into())
    }

    fn serialize_i32(self, value: i32) -> Result<(), Failed> {
        self.serialize_i64(value.into())
    }

    fn serialize_i64(self, value: i64) -> Result<(), Failed> {
        self.word(value.cast_unsigned())
    }

    fn serialize_u8(self, value: u8) -> Result<(), Failed> {
        self.word(value.into())
    }

    fn serialize_u16(self, value: u16) -> Result<(), Failed> {
        self.word(value.into())
    }

    fn serialize_u32(self, value: u32) -> Result<(), Failed> {
        self.word(value.into())
    }

    fn serialize_u64(self, value: u64) -> Result<(), Failed> {
        self.word(value)
    }

    fn serialize_f32(self, value: f32) -> Result<(), Failed> {
        self.serialize_f64(value.into())
    }

    fn serialize_f64(self, value: f64) -> Result<(), Failed> {
        self.word(value.to_bits())
    }

    fn serialize_char(self, value: char) -> Result<(), Failed> {
        self.word(u32::from(value).into())
    }

    fn serialize_str(self, value: &str) -> Result<(), Failed> {
        self.text(value)
    }

    fn serialize_bytes(self, value: &[u8]) -> Result<(), Failed> {
        self.word(value.len() as u64)?;
        self.0.extend_from_slice(value);
        Ok(())
    }

    fn serialize_none(self) -> Result<(), Failed> {
        self.byte(0)
    }

    fn serialize_some<T: ?Sized + Serialize>(self, value: &T) -> Result<(), Failed> {
        self.byte(1)?;
        value.serialize(self)
    }

    fn serialize_unit(self) -> Result<(), Failed> {
        self.byte(0)
    }

    fn serialize_unit_struct(self, _: &'static str) -> Result<(), Failed> {
        self.byte(0)
    }

    fn serialize_unit_variant(
        self,
        _: &'static str,
        _: u32,
        variant: &'static str,
    ) -> Result<(), Failed> {
        self.text(variant)
    }

    fn serialize_newtype_struct<T: ?Sized + Serialize>(
        self,
        _: &'static str,
        value: &T,
    ) -> Result<(), Failed> {
        value.serialize(self)
    }

    fn serialize_newtype_variant<T: ?Sized + Serialize>(
        self,
        _: &'static str,
        _: u32,
        variant: &'static str,
        value: &T,
    ) -> Result<(), Failed> {
        self.text(variant)?;
        value.serialize(self)
    }

    fn serialize_seq(self, _: Option<usize>) -> Result<Parts<'a>, Failed> {
        Ok(Parts(self))
    }

    fn serialize_tuple(self, _: usize) -> Result<Parts<'a>, Failed> {
        Ok(Parts(self))
    }

    fn serialize_tuple_struct(self, _: &'static str, _: usize) -> Result<Parts<'a>, Failed> {
        Ok(Parts(self))
    }

    fn serialize_tuple_variant(
        self,
        _: &'static str,
        _: u32,
        variant: &'static str,
        _: usize,
    ) -> Result<Parts<'a>, Failed> {
        self.text(variant)?;
        Ok(Parts(self))
    }

    fn serialize_map(self, _: Option<usize>) -> Result<Parts<'a>, Failed> {
        Ok(Parts(self))
    }

    fn serialize_struct(self, _: &'static str, _: usize) -> Result<Parts<'a>, Failed> {
        Ok(Parts(self))
    }

    fn serialize_struct_variant(
        self,
        _: &'static str,
        _: u32,
        variant: &'static str,
        _: usize,
    ) -> Result<Parts<'a>, Failed> {
        self.text(variant)?;
        Ok(Parts(self))
    }

    fn is_human_readable(&self) -> bool {
        false
    }
}

/// The parts of something that has parts, each behind a mark, an end mark behind the last.
struct Parts<'a>(&'a mut Bytes);

/// Stands before each part.
const PART: u8 = 0xfd;

impl Parts<'_> {
    fn part<T: ?Sized + Serialize>(&mut self, value: &T) -> Result<(), Failed> {
        self.0.byte(PART)?;
        value.serialize(&mut *self.0)
    }

    fn named_part<T: ?Sized + Serialize>(&mut self, name: &str, value: &T) -> Result<(), Failed> {
        self.0.byte(PART)?;
        self.0.text(name)?;
        value.serialize(&mut *self.0)
    }
}

impl ser::SerializeSeq for Parts<'_> {
    type Ok = ();
    type Error = Failed;

    fn serialize_element<T: ?Sized + Serialize>(&mut self, value: &T) -> Result<(), Failed> {
        self.part(value)
    }

    fn end(self) -> Result<(), Failed> {
        self.0.byte(END)
    }
}

impl ser::SerializeTuple for Parts<'_> {
    type Ok = ();
    type Error = Failed;

    fn serialize_element<T: ?Sized + Serialize>(&mut self, value: &T) -> Result<(), Failed> {
        self.part(value)
    }

    fn end(self) -> Result<(), Failed> {
        self.0.byte(END)
    }
}

impl ser::SerializeTupleStruct for Parts<'_> {
    type Ok = ();
    type Error = Failed;

    fn serialize_field<T: ?Sized + Serialize>(&mut self, value: &T) -> Result<(), Failed> {
        self.part(value)
    }

    fn end(self) -> Result<(), Failed> {
        self.0.byte(END)
    }
}

impl ser::SerializeTupleVariant for Parts<'_> {
    type Ok = ();
    type Error = Failed;

    fn serialize_field<T: ?Sized + Serialize>(&mut self, value: &T) -> Result<(), Failed> {
        self.part(value)
    }

    fn end(self) -> Result<(), Failed> {
        self.0.byte(END)
    }
}

impl ser::SerializeMap for Parts<'_> {
    type Ok = ();
    type Error = Failed;

    fn serialize_key<T: ?Sized + Serialize>(&mut self, key: &T) -> Result<(), Failed> {
        self.part(key)
    }

    fn serialize_value<T: ?Sized + Serialize>(&mut self, value: &T) -> Result<(), Failed> {
        value.serialize(&mut *self.0)
    }

    fn end(self) -> Result<(), Failed> {
        self.0.byte(END)
    }
}

impl ser::SerializeStruct for Parts<'_> {
    type Ok = ();
    type Error = Failed;

    fn serialize_field<T: ?Sized + Serialize>(
        &mut self,
        name: &'static str,
        value: &T,
    ) -> Result<(), Failed> {
        self.named_part(name, value)
    }

    fn end(self) -> Result<(), Failed> {
        self.0.byte(END)
    }
}

impl ser::SerializeStructVariant for Parts<'_> {
    type Ok = ();
    type Error = Failed;

    fn serialize_field<T: ?Sized + Serialize>(
        &mut self,
        name: &'static str,
        value: &T,
    ) -> Result<(), Failed> {
        self.named_part(name, value)
    }

    fn end(self) -> Result<(), Failed> {
        self.0.byte(END)
    }
}
