//! What a directive takes.

use std::borrow::Cow;
use std::fmt;

use crate::wire::resp::string_to_i64;

/// A directive of `redis.conf`.
#[derive(Clone, Copy, Debug)]
pub struct Directive {
    /// Its name.
    pub name: &'static str,
    /// The older name it is also known by.
    pub alias: Option<&'static str>,
    /// What it takes.
    pub values: Values,
    /// Its value if it is not set, as `CONFIG GET` shows it.
    pub default: &'static str,
    /// The unit of a number, such as `ms`; empty for a plain one.
    pub unit: &'static str,
    /// Whether `CONFIG SET` may change it.
    pub change: Change,
    /// Whether a redrill node does what it says. Others are read, checked and kept.
    pub acts: bool,
    /// Whether its value is several words (`MULTI_ARG_CONFIG`).
    pub words: bool,
}

/// When a directive may be changed.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Change {
    /// By `CONFIG SET` as well.
    AtRunTime,
    /// By `CONFIG SET` if `enable-protected-configs` allows it.
    Protected,
    /// Only in the file (`IMMUTABLE_CONFIG`).
    AtStart,
}

/// What a directive takes.
#[derive(Clone, Copy, Debug)]
pub enum Values {
    /// `yes` or `no`.
    YesNo,
    /// One of these words.
    OneOf(&'static [&'static str]),
    /// Any of these words, the first for none.
    ManyOf(&'static [&'static str]),
    /// An integer from the first to the second.
    Integer(i64, i64),
    /// An octal number from the first to the second.
    Octal(i64, i64),
    /// An amount of memory from the first to the second, bytes; units `b k kb m mb g gb`.
    Memory(u64, u64),
    /// An amount of memory, or `1%` to `100%`.
    MemoryOrPercent,
    /// A text that this accepts.
    Text(fn(&str) -> Result<(), Reason>),
    /// Something of its own: what it takes in words, and how it is read over the value so far.
    Special(&'static str, ReadSpecial),
}

/// How the words of a directive with a form of its own are read over its value so far.
pub(super) type ReadSpecial = fn(&[&str], &Setting) -> Result<Setting, Reason>;

/// Why a value is refused, in Redis's words.
pub(super) type Reason = Cow<'static, str>;

/// The value of a directive.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Setting {
    /// `yes` or `no`.
    Flag(bool),
    /// A number.
    Number(i64),
    /// An amount of memory, bytes.
    Bytes(u64),
    /// A text.
    Text(Box<str>),
    /// Words.
    Words(Vec<Box<str>>),
}

impl fmt::Display for Setting {
    /// As `CONFIG GET` shows it.
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Flag(flag) => formatter.write_str(if *flag { "yes" } else { "no" }),
            Self::Number(number) => number.fmt(formatter),
            Self::Bytes(bytes) => bytes.fmt(formatter),
            Self::Text(text) => formatter.write_str(text),
            Self::Words(words) => formatter.write_str(&words.join(" ")),
        }
    }
}

impl Directive {
    pub(super) const fn new(
        name: &'static str,
        change: Change,
        default: &'static str,
        values: Values,
    ) -> Self {
        Self {
            name,
            alias: None,
            values,
            default,
            unit: "",
            change,
            acts: false,
            words: matches!(values, Values::ManyOf(_)),
        }
    }

    pub(super) const fn alias(mut self, alias: &'static str) -> Self {
        self.alias = Some(alias);
        self
    }

    pub(super) const fn unit(mut self, unit: &'static str) -> Self {
        self.unit = unit;
        self
    }

    pub(super) const fn acts(mut self) -> Self {
        self.acts = true;
        self
    }

    pub(super) const fn words(mut self) -> Self {
        self.words = true;
        self
    }

    /// What it takes, in words: for help and errors.
    #[must_use]
    pub fn allowed(&self) -> String {
        let unit = if self.unit.is_empty() {
            String::new()
        } else {
            format!(" ({})", self.unit)
        };
        match self.values {
            Values::YesNo => "yes or no".to_owned(),
            Values::OneOf(names) => format!("one of {}", names.join(", ")),
            Values::ManyOf(names) => format!("one or more of {}", names.join(", ")),
            Values::Integer(min, i64::MAX) => format!("an integer from {min}{unit}"),
            Values::Integer(min, max) => format!("an integer from {min} to {max}{unit}"),
            Values::Octal(min, max) => format!("an octal number from {min:o} to {max:o}"),
            Values::Memory(0, _) => "an amount of memory such as 100mb".to_owned(),
            Values::Memory(min, _) => {
                format!("an amount of memory such as 100mb, at least {min} bytes")
            }
            Values::MemoryOrPercent => {
                "an amount of memory such as 100mb, or a share such as 5%".to_owned()
            }
            Values::Text(_) => "a text".to_owned(),
            Values::Special(allowed, _) => allowed.to_owned(),
        }
    }

    /// What it takes, where Redis's reason for refusing a value does not say it already.
    pub(super) fn allowed_beside(&self, reason: &str) -> Option<String> {
        let said = match self.values {
            Values::YesNo | Values::OneOf(_) | Values::ManyOf(_) | Values::Text(_) => true,
            Values::Integer(..)
            | Values::Octal(..)
            | Values::Memory(..)
            | Values::MemoryOrPercent
            | Values::Special(..) => reason.starts_with("argument must be between"),
        };
        (!said).then(|| self.allowed())
    }

    /// Its value if it is not set.
    #[must_use]
    pub fn default_setting(&self) -> Setting {
        let words: Vec<&str> = if self.words {
            self.default.split_ascii_whitespace().collect()
        } else {
            vec![self.default]
        };
        self.read(&words, &Setting::Words(Vec::new()))
            .unwrap_or_else(|_| Setting::Text(self.default.into()))
    }

    /// Reads its value.
    pub(super) fn read(&self, words: &[&str], current: &Setting) -> Result<Setting, Reason> {
        if let Values::Special(_, read) = self.values {
            return read(words, current);
        }
        if let Values::ManyOf(names) = self.values {
            return many_of(names, words);
        }
        let &[word] = words else {
            return Err("wrong number of arguments".into());
        };
        match self.values {
            Values::YesNo if word.eq_ignore_ascii_case("yes") => Ok(Setting::Flag(true)),
            Values::YesNo if word.eq_ignore_ascii_case("no") => Ok(Setting::Flag(false)),
            Values::YesNo => Err("argument must be 'yes' or 'no'".into()),
            Values::OneOf(names) => one_of(names, word).map(|name| Setting::Text(name.into())),
            Values::Integer(min, max) => integer(word, min, max),
            Values::Octal(min, max) => octal(word, min, max),
            Values::Memory(min, max) => memory(word, min, max),
            Values::MemoryOrPercent => memory_or_percent(word),
            Values::Text(check) => check(word).map(|()| Setting::Text(word.into())),
            Values::ManyOf(_) | Values::Special(..) => Ok(Setting::Text(word.into())),
        }
    }
}

fn one_of(names: &'static [&'static str], word: &str) -> Result<&'static str, Reason> {
    let found = names.iter().find(|name| name.eq_ignore_ascii_case(word));
    found.copied().ok_or_else(|| {
        let names = names.join(", ");
        format!("argument(s) must be one of the following: {names}").into()
    })
}

/// The words set, in the order of `names`; the first of those alone if no other is.
fn many_of(names: &'static [&'static str], words: &[&str]) -> Result<Setting, Reason> {
    let mut set = Vec::new();
    for word in words {
        set.push(one_of(names, word)?);
    }
    if set.is_empty() {
        one_of(names, "")?;
    }
    if set.contains(&"save") && set.contains(&"nosave") {
        return Err("shutdown options SAVE and NOSAVE can't be used simultaneously".into());
    }
    let mut kept: Vec<Box<str>> = Vec::new();
    for name in &names[1..] {
        if set.contains(name) {
            kept.push((*name).into());
        }
    }
    if kept.is_empty() {
        kept.push(names[0].into());
    }
    Ok(Setting::Words(kept))
}

fn integer(word: &str, min: i64, max: i64) -> Result<Setting, Reason> {
    let unreadable = "argument couldn't be parsed into an integer";
    let number = string_to_i64(word.as_bytes()).ok_or(unreadable)?;
    if (min..=max).contains(&number) {
        Ok(Setting::Number(number))
    } else {
        Err(format!("argument must be between {min} and {max} inclusive").into())
    }
}

fn octal(word: &str, min: i64, max: i64) -> Result<Setting, Reason> {
    let unreadable = "argument couldn't be parsed as an octal number";
    let number = i64::from_str_radix(word, 8).map_err(|_| unreadable)?;
    if (min..=max).contains(&number) {
        Ok(Setting::Text(format!("{number:o}").into()))
    } else {
        Err(format!("argument must be between {min:o} and {max:o} inclusive").into())
    }
}

fn memory(word: &str, min: u64, max: u64) -> Result<Setting, Reason> {
    let bytes = memory_bytes(word).ok_or("argument must be a memory value")?;
    if (min..=max).contains(&bytes) {
        Ok(Setting::Bytes(bytes))
    } else {
        Err(format!("argument must be between {min} and {max} inclusive").into())
    }
}

fn memory_or_percent(word: &str) -> Result<Setting, Reason> {
    if let Some(bytes) = memory_bytes(word) {
        return Ok(Setting::Bytes(bytes));
    }
    let percent = word
        .strip_suffix('%')
        .and_then(|digits| string_to_i64(digits.as_bytes()));
    match percent {
        Some(0..=100) => Ok(Setting::Text(word.into())),
        Some(101..) => Err("percentage argument must be less or equal to 100".into()),
        Some(_) | None => Err("argument must be a memory or percent value".into()),
    }
}

/// An amount of memory in bytes (`memtoull`); `None` if it is none, or more than 64 bits hold.
#[must_use]
pub fn memory_bytes(text: &str) -> Option<u64> {
    let digits = text.bytes().take_while(u8::is_ascii_digit).count();
    let (digits, unit) = text.split_at(digits);
    let unit_bytes = match unit.to_ascii_lowercase().as_str() {
        "" | "b" => 1,
        "k" => 1000,
        "kb" => 1 << 10,
        "m" => 1_000_000,
        "mb" => 1 << 20,
        "g" => 1_000_000_000,
        "gb" => 1 << 30,
        _ => return None,
    };
    digits.parse::<u64>().ok()?.checked_mul(unit_bytes)
}
