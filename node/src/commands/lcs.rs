//! `LCS`: the longest common subsequence of two strings.

use super::call::Call;
use super::error::{CommandError, Outcome};
use super::shapes::READ;
use super::spec::{Categories, Spec, command, keys};
use crate::reply::Reply;
use crate::word::Word;

pub(super) const COMMANDS: &[Spec] = &[command("lcs", -3, READ, lcs)
    .about(
        "string",
        "7.0.0",
        "Finds the longest common subsequence of two strings.",
    )
    .categories(Categories::STRING)
    .keys(&[keys(1, 1, 1, &["RO", "access"])])];

/// What `LCS` is asked for.
#[derive(Default)]
struct Wanted {
    length: bool,
    matches: bool,
    with_match_length: bool,
    min_match_length: i64,
}

fn options(call: &Call<'_>) -> Result<Wanted, CommandError> {
    let mut wanted = Wanted::default();
    let mut place = 3;
    while place < call.words.len() {
        if call.says(place, "idx") {
            wanted.matches = true;
        } else if call.says(place, "len") {
            wanted.length = true;
        } else if call.says(place, "withmatchlen") {
            wanted.with_match_length = true;
        } else if call.says(place, "minmatchlen") && place + 1 < call.words.len() {
            wanted.min_match_length = call.integer(place + 1)?;
            place += 1;
        } else {
            return Err(CommandError::SYNTAX);
        }
        place += 1;
    }
    if wanted.length && wanted.matches {
        return Err(CommandError::fixed(
            "ERR If you want both the length and indexes, please just use IDX.",
        ));
    }
    Ok(wanted)
}

fn lcs(call: &mut Call<'_>) -> Outcome {
    let string = |call: &mut Call<'_>, place: usize| {
        let text = call.read_string(call.word(place));
        text.map(Option::unwrap_or_default)
            .map_err(|_| CommandError::fixed("ERR The specified keys must contain string values"))
    };
    let (one, other) = (string(call, 1)?, string(call, 2)?);
    let wanted = options(call)?;
    let cells = (one.len() as u64 + 1).saturating_mul(other.len() as u64 + 1);
    if cells.saturating_mul(4) > call.node.config.proto_max_bulk_len_bytes {
        return Err(CommandError::fixed(
            "ERR Insufficient memory, transient memory for LCS exceeds proto-max-bulk-len",
        ));
    }
    let table = Table::new(&one, &other);
    let len = Reply::Integer(i64::from(table.at(one.len(), other.len())));
    if wanted.length {
        return Ok(len);
    }
    let (sequence, matches) = table.walk(&one, &other);
    if !wanted.matches {
        return Ok(Reply::bulk(sequence));
    }
    let long_enough = matches
        .into_iter()
        .filter(|found| found.len() as i64 >= wanted.min_match_length);
    let told = long_enough.map(|found| found.reply(wanted.with_match_length));
    Ok(Reply::Map(vec![
        (Reply::bulk("matches"), Reply::Array(told.collect())),
        (Reply::bulk("len"), len),
    ]))
}

/// The lengths of the longest common subsequences of all starts of two strings.
struct Table {
    width: usize,
    lengths: Vec<u32>,
}

/// Equal parts of two strings: the first and the last byte in each.
struct Match {
    one: (usize, usize),
    other: (usize, usize),
}

impl Match {
    const fn len(&self) -> usize {
        self.one.1 - self.one.0 + 1
    }

    fn reply(&self, with_length: bool) -> Reply {
        let range = |(first, last): (usize, usize)| {
            Reply::Array(vec![
                Reply::Integer(first as i64),
                Reply::Integer(last as i64),
            ])
        };
        let mut parts = vec![range(self.one), range(self.other)];
        if with_length {
            parts.push(Reply::Integer(self.len() as i64));
        }
        Reply::Array(parts)
    }
}

impl Table {
    fn new(one: &[u8], other: &[u8]) -> Self {
        let width = other.len() + 1;
        let mut table = Self {
            width,
            lengths: vec![0; (one.len() + 1) * width],
        };
        for (i, byte) in one.iter().enumerate() {
            for (j, other_byte) in other.iter().enumerate() {
                let length = if byte == other_byte {
                    table.at(i, j) + 1
                } else {
                    table.at(i, j + 1).max(table.at(i + 1, j))
                };
                table.lengths[(i + 1) * width + j + 1] = length;
            }
        }
        table
    }

    fn at(&self, i: usize, j: usize) -> u32 {
        self.lengths[i * self.width + j]
    }

    /// The subsequence, and the parts it is made of, the last one first.
    fn walk(&self, one: &[u8], other: &[u8]) -> (Word, Vec<Match>) {
        let (mut i, mut j) = (one.len(), other.len());
        let mut sequence = Vec::new();
        let mut matches: Vec<Match> = Vec::new();
        let mut goes_on = false;
        while i > 0 && j > 0 {
            if one[i - 1] == other[j - 1] {
                sequence.push(one[i - 1]);
                match matches.last_mut() {
                    Some(last) if goes_on && last.one.0 == i && last.other.0 == j => {
                        (last.one.0, last.other.0) = (i - 1, j - 1);
                    }
                    Some(_) | None => matches.push(Match {
                        one: (i - 1, i - 1),
                        other: (j - 1, j - 1),
                    }),
                }
                goes_on = true;
                (i, j) = (i - 1, j - 1);
            } else {
                goes_on = false;
                if self.at(i - 1, j) > self.at(i, j - 1) {
                    i -= 1;
                } else {
                    j -= 1;
                }
            }
        }
        sequence.reverse();
        (sequence.into(), matches)
    }
}
