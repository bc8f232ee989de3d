//! The manifest: which files make up the append-only file, in which order.

use std::fmt::Write;

use super::error::ManifestError;
use crate::wire::resp::split_args;

/// The longest line, bytes (`MANIFEST_MAX_LINE`).
const MAX_LINE_LEN: usize = 1024;

/// What one file is.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum PartKind {
    /// The keyspace when the last rewrite began.
    Base,
    /// Of no more use; to be removed.
    History,
    /// Commands since then.
    Increment,
}

/// One file.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Part {
    /// Its name in the folder.
    pub name: String,
    /// Its number among those of its kind, from 1.
    pub number: i64,
    /// What it is.
    pub kind: PartKind,
}

/// The files of an append-only file (`aofManifest`).
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Manifest {
    /// The base, if there is one.
    pub base: Option<Part>,
    /// Files to be removed.
    pub history: Vec<Part>,
    /// Increments, the oldest first.
    pub increments: Vec<Part>,
    last_base: i64,
    last_increment: i64,
}

impl PartKind {
    const fn letter(self) -> char {
        match self {
            Self::Base => 'b',
            Self::History => 'h',
            Self::Increment => 'i',
        }
    }

    const fn from_letter(letter: u8) -> Option<Self> {
        match letter {
            b'b' => Some(Self::Base),
            b'h' => Some(Self::History),
            b'i' => Some(Self::Increment),
            _ => None,
        }
    }
}

impl Manifest {
    /// Whether no file is named that holds data.
    #[must_use]
    pub const fn is_empty(&self) -> bool {
        self.base.is_none() && self.increments.is_empty()
    }

    /// The manifest of a file from before Redis 7, which is a base by its own name.
    #[must_use]
    pub fn of_old_file(name: &str) -> Self {
        Self {
            base: Some(Part {
                name: name.to_owned(),
                number: 1,
                kind: PartKind::Base,
            }),
            last_base: 1,
            ..Self::default()
        }
    }

    /// Names a new base and makes the old one history (`getNewBaseFileNameAndMarkPreAsHistory`).
    pub fn new_base(&mut self, file_name: &str, as_rdb: bool) -> String {
        if let Some(old) = self.base.take() {
            self.history.insert(0, old.into_history());
        }
        self.last_base += 1;
        let (number, form) = (self.last_base, if as_rdb { "rdb" } else { "aof" });
        let name = format!("{file_name}.{number}.base.{form}");
        self.base = Some(Part {
            name: name.clone(),
            number,
            kind: PartKind::Base,
        });
        name
    }

    /// Names a new increment behind the others (`getNewIncrAofName`).
    pub fn new_increment(&mut self, file_name: &str) -> String {
        self.last_increment += 1;
        let number = self.last_increment;
        let name = format!("{file_name}.{number}.incr.aof");
        self.increments.push(Part {
            name: name.clone(),
            number,
            kind: PartKind::Increment,
        });
        name
    }

    /// Makes all increments history but the last, if that is written to
    /// (`markRewrittenIncrAofAsHistory`).
    pub fn retire_increments(&mut self, keep_last: bool) {
        let kept = self
            .increments
            .split_off(self.increments.len().saturating_sub(usize::from(keep_last)));
        for part in std::mem::replace(&mut self.increments, kept)
            .into_iter()
            .rev()
        {
            self.history.insert(0, part.into_history());
        }
    }

    /// Its text (`getAofManifestAsString`).
    #[must_use]
    pub fn to_text(&self) -> String {
        let mut text = String::new();
        let parts = self
            .base
            .iter()
            .chain(&self.history)
            .chain(&self.increments);
        for part in parts {
            let (name, number, letter) = (&part.name, part.number, part.kind.letter());
            // Writing to a string cannot fail.
            let _infallible = if needs_quotes(name) {
                let quoted = name.as_bytes().escape_ascii();
                writeln!(text, "file \"{quoted}\" seq {number} type {letter}")
            } else {
                writeln!(text, "file {name} seq {number} type {letter}")
            };
        }
        text
    }

    /// Reads a manifest.
    ///
    /// # Errors
    /// [`ManifestError`] with the line and Redis's words for what is wrong.
    pub fn parse(text: &[u8]) -> Result<Self, ManifestError> {
        let mut manifest = Self::default();
        if text.is_empty() {
            return Err(wrong(0, b"", "Found an empty AOF manifest"));
        }
        for (place, line) in text.split_inclusive(|&byte| byte == b'\n').enumerate() {
            if line.first() == Some(&b'#') {
                continue;
            }
            let number = place + 1;
            if line.last() != Some(&b'\n') || line.len() > MAX_LINE_LEN {
                let reason = "The AOF manifest file contains too long line";
                return Err(wrong(number, line, reason));
            }
            let line = line.trim_ascii();
            let part = part(line).map_err(|reason| wrong(number, line, reason))?;
            manifest
                .take_in(part)
                .map_err(|reason| wrong(number, line, reason))?;
        }
        Ok(manifest)
    }

    fn take_in(&mut self, part: Part) -> Result<(), &'static str> {
        match part.kind {
            PartKind::Base if self.base.is_some() => {
                return Err("Found duplicate base file information");
            }
            PartKind::Base => {
                self.last_base = part.number;
                self.base = Some(part);
            }
            PartKind::History => self.history.push(part),
            PartKind::Increment if part.number <= self.last_increment => {
                return Err("Found a non-monotonic sequence number");
            }
            PartKind::Increment => {
                self.last_increment = part.number;
                self.increments.push(part);
            }
        }
        Ok(())
    }
}

impl Part {
    fn into_history(self) -> Self {
        Self {
            kind: PartKind::History,
            ..self
        }
    }
}

const FORMAT: &str = "Invalid AOF manifest file format";

fn part(line: &[u8]) -> Result<Part, &'static str> {
    let words = split_args(line).filter(|words| words.len() >= 6 && words.len() % 2 == 0);
    let words = words.ok_or(FORMAT)?;
    let (mut name, mut number, mut kind) = (None, None, None);
    for pair in words.chunks_exact(2) {
        let (key, value) = (&pair[0], &pair[1]);
        if key.eq_ignore_ascii_case(b"file") {
            let text = String::from_utf8(value.to_vec()).map_err(|_| FORMAT)?;
            if text.contains(['/', '\\']) {
                return Err("File can't be a path, just a filename");
            }
            name = Some(text);
        } else if key.eq_ignore_ascii_case(b"seq") {
            number = crate::wire::resp::string_to_i64(value).filter(|&number| number > 0);
        } else if key.eq_ignore_ascii_case(b"type") {
            let letter = value.first().copied().ok_or(FORMAT)?;
            kind = Some(PartKind::from_letter(letter).ok_or("Unknown AOF file type")?);
        }
    }
    match (name, number, kind) {
        (Some(name), Some(number), Some(kind)) if !name.is_empty() => {
            Ok(Part { name, number, kind })
        }
        (Some(_) | None, Some(_) | None, Some(_) | None) => Err(FORMAT),
    }
}

fn needs_quotes(name: &str) -> bool {
    let plain = |byte: u8| byte.is_ascii_graphic() && !matches!(byte, b'"' | b'\'' | b'\\');
    name.is_empty() || !name.bytes().all(plain)
}

fn wrong(line: usize, text: &[u8], reason: &'static str) -> ManifestError {
    let text = String::from_utf8_lossy(text).into_owned();
    ManifestError { line, text, reason }
}
