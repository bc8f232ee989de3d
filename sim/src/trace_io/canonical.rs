//! A byte form of event logs made for hashing: cheap, unambiguous, the same everywhere.

use std::fmt;

use serde::ser::{self, Serialize};
use xxhash_rust::xxh3::Xxh3Default;

/// Bytes that are collected before they are hashed.
const CHUNK_BYTES: usize = 1 << 16;

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
