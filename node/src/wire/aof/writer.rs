//! A keyspace as the commands that make it (`rewriteAppendOnlyFileRio`).

use bytes::BytesMut;

use crate::input::SnapshotEntry;
use crate::store::Value;
use crate::wire::resp::{double_text, encode_command};
use crate::word::Word;

/// The most items one command adds (`AOF_REWRITE_ITEMS_PER_CMD`).
const ITEMS_PER_COMMAND: usize = 64;

/// Appends the commands that make these keys, `SELECT 0` before them.
pub fn encode_entries(entries: &[SnapshotEntry], out: &mut BytesMut) {
    if !entries.is_empty() {
        encode_command(&["SELECT", "0"].map(Word::from), out);
    }
    for entry in entries {
        put_value(&entry.key, &entry.value, out);
        if let Some(at_ms) = entry.expires_at_ms {
            let at_ms = Word::from(at_ms.to_string());
            encode_command(&[Word::from("PEXPIREAT"), entry.key.clone(), at_ms], out);
        }
    }
}

fn put_value(key: &Word, value: &Value, out: &mut BytesMut) {
    match value {
        Value::String(text) => {
            encode_command(&[Word::from("SET"), key.clone(), text.clone()], out);
        }
        Value::List(list) => put_items("RPUSH", key, list.iter().map(|item| [item.clone()]), out),
        Value::Set(set) => put_items("SADD", key, set.iter().map(|member| [member]), out),
        Value::SortedSet(members) => {
            let scored =
                |(member, score): (&Word, f64)| [Word::from(double_text(score)), member.clone()];
            put_items("ZADD", key, members.iter().map(scored), out);
        }
        Value::Hash(hash) => {
            let pair = |(field, value): (&Word, &Word)| [field.clone(), value.clone()];
            put_items("HMSET", key, hash.iter().map(pair), out);
        }
    }
}

fn put_items<const N: usize>(
    name: &'static str,
    key: &Word,
    items: impl Iterator<Item = [Word; N]>,
    out: &mut BytesMut,
) {
    let mut command = vec![Word::from(name), key.clone()];
    let mut count = 0;
    for item in items {
        command.extend(item);
        count += 1;
        if count == ITEMS_PER_COMMAND {
            encode_command(&command, out);
            command.truncate(2);
            count = 0;
        }
    }
    if count > 0 {
        encode_command(&command, out);
    }
}
