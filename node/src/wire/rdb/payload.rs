//! Single values as `DUMP` gives and `RESTORE` takes them (`createDumpPayload`).

use bytes::{BufMut, BytesMut};

use super::cursor::{Cursor, Halt, failed};
use super::encode::{put_value, type_code};
use super::error::RdbFault;
use super::object::{ObjectReader, Step};
use super::types::TypeCode;
use super::{VERSION, checksum};
use crate::store::{Limits, Value};

/// Version and checksum behind the value, bytes.
const FOOTER_LEN: usize = 10;

/// Why a payload is not taken.
#[derive(Clone, Copy, PartialEq, Eq, Debug, thiserror::Error)]
pub enum PayloadError {
    /// It was damaged, or a later version made it.
    #[error("DUMP payload version or checksum are wrong")]
    Footer,
    /// It is no value of a type that is loaded.
    #[error("Bad data format")]
    Format,
}

/// A value with version and checksum. The nodes of a list are filled as `list-max-listpack-size`
/// says.
#[must_use]
pub fn dump(value: &Value, list_fill: i64) -> BytesMut {
    let mut out = BytesMut::new();
    out.put_u8(type_code(value).byte());
    put_value(&mut out, value, list_fill);
    out.put_u16_le(VERSION as u16);
    let sum = checksum::of(&out);
    out.put_u64_le(sum);
    out
}

/// Checks version and checksum of a payload (`verifyDumpPayload`).
///
/// # Errors
/// [`PayloadError::Footer`] if one is wrong.
pub fn verify(payload: &[u8]) -> Result<(), PayloadError> {
    let footer = payload.last_chunk::<FOOTER_LEN>();
    let Some([low, high, sum @ ..]) = footer else {
        return Err(PayloadError::Footer);
    };
    let version = u16::from_le_bytes([*low, *high]);
    let summed = &payload[..payload.len() - sum.len()];
    if u32::from(version) > VERSION || checksum::of(summed) != u64::from_le_bytes(*sum) {
        return Err(PayloadError::Footer);
    }
    Ok(())
}

/// Reads the value of a payload, within limits on compact forms.
///
/// # Errors
/// [`PayloadError`] if the payload was damaged, is of a later version or holds no value.
pub fn restore(payload: &[u8], limits: &Limits) -> Result<Value, PayloadError> {
    verify(payload)?;
    let mut cursor = Cursor::new(&payload[..payload.len() - FOOTER_LEN], 0);
    read(&mut cursor, limits)
        .ok()
        .filter(|value| matches!(value, Value::String(_)) || !value.is_empty())
        .ok_or(PayloadError::Format)
}

fn read(cursor: &mut Cursor<'_>, limits: &Limits) -> Result<Value, Halt> {
    let byte = cursor.byte()?;
    let code = TypeCode::from_byte(byte)
        .filter(|code| code.is_of_redis_7_0())
        .ok_or_else(|| failed(0, RdbFault::Opcode(byte)))?;
    let mut reader = ObjectReader::new(code, *limits);
    loop {
        if let Step::Whole(value) = reader.step(cursor)? {
            return Ok(value);
        }
    }
}
