//! What is known of a command before it runs: one table drives dispatch, arity checks, key
//! extraction, redirection and `COMMAND`.

use std::iter::StepBy;
use std::ops::Range;
use std::sync::LazyLock;

use crate::word::Word;
use indexmap::IndexMap;
use rustc_hash::FxBuildHasher;

use super::call::Call;
use super::error::{CommandError, Outcome};
use crate::config::Renames;
use crate::reply::Reply;
use crate::wire::resp::string_to_i64;

bitflags::bitflags! {
    /// What a command is allowed to do and when (`CMD_*`).
    #[derive(Clone, Copy, PartialEq, Eq, Debug)]
    pub(crate) struct Flags: u32 {
        /// Changes keys.
        const WRITE = 1;
        /// Reads keys.
        const READONLY = 1 << 1;
        /// May need memory: refused above `maxmemory`.
        const DENYOOM = 1 << 2;
        /// For operators.
        const ADMIN = 1 << 3;
        /// Not for scripts.
        const NOSCRIPT = 1 << 4;
        /// Allowed while the keyspace is loaded.
        const LOADING = 1 << 5;
        /// Allowed on a replica that lost its master and must not serve stale data.
        const STALE = 1 << 6;
        /// Takes constant or logarithmic time.
        const FAST = 1 << 7;
        /// Allowed before authentication.
        const NO_AUTH = 1 << 8;
        /// Refused while a replica swaps keyspaces.
        const NO_ASYNC_LOADING = 1 << 9;
        /// Not for transactions.
        const NO_MULTI = 1 << 10;
        /// Allowed while a script runs long.
        const ALLOW_BUSY = 1 << 11;
        /// Only if the configuration enables it.
        const PROTECTED = 1 << 12;
        /// Taken to have been announced by `ASKING`.
        const ASKING = 1 << 20;
        /// May block its client.
        const BLOCKING = 1 << 16;
        /// About channels.
        const PUBSUB = 1 << 24;
        /// May reach replicas although it changes no key.
        const MAY_REPLICATE = 1 << 25;
        /// Never counts as slow.
        const SKIP_SLOWLOG = 1 << 26;
        /// Not shown to those who watch.
        const SKIP_MONITOR = 1 << 27;
    }
}

bitflags::bitflags! {
    /// Categories of access control that do not follow from the flags (`ACL_CATEGORY_*`).
    #[derive(Clone, Copy, PartialEq, Eq, Debug)]
    pub(crate) struct Categories: u32 {
        const KEYSPACE = 1;
        const STRING = 2;
        const CONNECTION = 4;
        const ADMIN = 8;
        const DANGEROUS = 16;
        const SET = 1 << 16;
        const SORTED_SET = 1 << 17;
        const LIST = 1 << 18;
        const HASH = 1 << 19;
        const BITMAP = 1 << 20;
        const TRANSACTION = 1 << 24;
    }
}

/// One command, or one subcommand of a container.
#[derive(Debug)]
pub(crate) struct Spec {
    /// Full name in lower case: `get`, `cluster|nodes`.
    pub(crate) name: &'static str,
    /// Number of words, the name included; negative: at least so many.
    pub(crate) arity: i32,
    pub(crate) flags: Flags,
    pub(crate) categories: Categories,
    pub(crate) keys: &'static [KeySpec],
    /// The group of the documentation.
    pub(crate) group: &'static str,
    /// The first version that had it.
    pub(crate) since: &'static str,
    pub(crate) summary: &'static str,
    /// Hints for clients and proxies.
    pub(crate) tips: &'static [&'static str],
    pub(crate) run: Run,
    pub(crate) subcommands: &'static [Spec],
}

/// Where keys stand among the words.
#[derive(Clone, Copy, Debug)]
pub(crate) struct KeySpec {
    /// The first word that tells of them.
    pub(crate) first: usize,
    /// How they are found from there.
    pub(crate) find: FindKeys,
    /// What is done with them.
    pub(crate) flags: &'static [&'static str],
}

/// How keys are found from the first word that tells of them.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum FindKeys {
    /// It is the first key itself.
    Range {
        /// The last: counted from the first, or, if negative, from the end.
        last: isize,
        /// How far one is from the next.
        step: usize,
    },
    /// It is the number of keys, which follow.
    Counted,
    /// The key follows the last such keyword, `STORE` of `SORT`. Clients are not told where.
    AfterStore,
    /// It is the first key itself, or, if that is empty, the keys are what follows the keyword
    /// `KEYS`: `MIGRATE`.
    FirstOrKeyword,
    /// Nobody knows them before the command runs: `BY` and `GET` of `SORT`.
    Unknown,
}

/// How a command runs.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Run {
    /// It answers.
    Answer(fn(&mut Call<'_>) -> Outcome),
    /// It answers, or blocks its client, or has nothing to say.
    Maybe(fn(&mut Call<'_>) -> Result<Option<Reply>, CommandError>),
}

/// Number of a command in the table, for its statistics.
pub(crate) type CommandNumber = usize;

/// What the first words of a command line name.
#[derive(Debug)]
pub(crate) enum Lookup {
    Known(CommandNumber, &'static Spec),
    UnknownSubcommand,
    Unknown,
}

impl Lookup {
    pub(crate) const fn spec(&self) -> Option<&'static Spec> {
        match self {
            Self::Known(_, spec) => Some(spec),
            Self::UnknownSubcommand | Self::Unknown => None,
        }
    }
}

const fn spec(name: &'static str, arity: i32, flags: Flags, run: Run) -> Spec {
    Spec {
        name,
        arity,
        flags,
        categories: Categories::empty(),
        keys: &[],
        group: "server",
        since: "1.0.0",
        summary: "",
        tips: &[],
        run,
        subcommands: &[],
    }
}

/// A command that answers.
pub(super) const fn command(
    name: &'static str,
    arity: i32,
    flags: Flags,
    run: fn(&mut Call<'_>) -> Outcome,
) -> Spec {
    spec(name, arity, flags, Run::Answer(run))
}

/// A command that may not answer at once.
pub(super) const fn quiet_command(
    name: &'static str,
    arity: i32,
    flags: Flags,
    run: fn(&mut Call<'_>) -> Result<Option<Reply>, CommandError>,
) -> Spec {
    spec(name, arity, flags, Run::Maybe(run))
}

/// A command of which only the subcommands do something.
pub(super) const fn container(name: &'static str, subcommands: &'static [Spec]) -> Spec {
    let mut spec = command(name, -2, Flags::empty(), |call| {
        Err(CommandError::arity(call.spec.name))
    });
    spec.subcommands = subcommands;
    spec
}

impl Spec {
    pub(super) const fn about(
        mut self,
        group: &'static str,
        since: &'static str,
        summary: &'static str,
    ) -> Self {
        self.group = group;
        self.since = since;
        self.summary = summary;
        self
    }

    pub(super) const fn keys(mut self, keys: &'static [KeySpec]) -> Self {
        self.keys = keys;
        self
    }

    pub(super) const fn categories(mut self, categories: Categories) -> Self {
        self.categories = categories;
        self
    }

    pub(super) const fn tips(mut self, tips: &'static [&'static str]) -> Self {
        self.tips = tips;
        self
    }

    pub(super) const fn subcommands(mut self, subcommands: &'static [Self]) -> Self {
        self.subcommands = subcommands;
        self
    }

    /// Whether a command line may have that many words (`commandCheckArity`).
    pub(crate) const fn takes(&self, word_count: usize) -> bool {
        let wanted = self.arity.unsigned_abs() as usize;
        if self.arity > 0 {
            word_count == wanted
        } else {
            word_count >= wanted
        }
    }

    /// The places of the keys in a command line, and the spec each is of. There are none at all if
    /// one of the specs makes no sense of the words: the command tells why.
    pub(crate) fn key_places(
        &self,
        words: &[Word],
    ) -> impl Iterator<Item = (usize, &'static KeySpec)> {
        let is_sound = |keys: &KeySpec| {
            keys.find != FindKeys::Counted || !counted(words, keys.first).is_empty()
        };
        let specs = if self.keys.iter().all(is_sound) {
            self.keys
        } else {
            &[]
        };
        specs
            .iter()
            .flat_map(|keys| keys.places(words).map(move |place| (place, keys)))
    }

    /// The keys of a command line.
    pub(crate) fn keys_of<'a>(&self, words: &'a [Word]) -> impl Iterator<Item = &'a Word> {
        self.key_places(words).map(|(place, _)| &words[place])
    }

    /// The place of its key, if it has one at most, which always stands there.
    pub(crate) const fn only_key(&self) -> Option<usize> {
        if let [keys] = self.keys
            && let FindKeys::Range { last: 0, .. } = keys.find
        {
            Some(keys.first)
        } else {
            None
        }
    }

    /// Whether only a look at the whole command line finds all keys (`CMD_MOVABLE_KEYS`).
    pub(crate) fn has_movable_keys(&self) -> bool {
        self.keys.iter().any(|keys| keys.range().is_none())
    }
}

impl KeySpec {
    /// The last key and the step, if the keys stand at places that follow from the length alone.
    pub(crate) const fn range(&self) -> Option<(isize, usize)> {
        match self.find {
            FindKeys::Range { last, step } => Some((last, step)),
            FindKeys::Counted
            | FindKeys::AfterStore
            | FindKeys::FirstOrKeyword
            | FindKeys::Unknown => None,
        }
    }

    /// The same as clients are told it: of `MIGRATE`, where its key is if it has one.
    pub(crate) const fn told_range(&self) -> Option<(isize, usize)> {
        match self.find {
            FindKeys::FirstOrKeyword => Some((0, 1)),
            FindKeys::Range { .. }
            | FindKeys::Counted
            | FindKeys::AfterStore
            | FindKeys::Unknown => self.range(),
        }
    }

    /// The places of its keys.
    fn places(&self, words: &[Word]) -> StepBy<Range<usize>> {
        let (places, step) = match self.find {
            FindKeys::Range { last, step } => {
                let last = if last < 0 {
                    words.len().saturating_add_signed(last)
                } else {
                    self.first + last.unsigned_abs()
                };
                (self.first..(last + 1).min(words.len()), step)
            }
            FindKeys::Counted => (counted(words, self.first), 1),
            FindKeys::AfterStore => (after_store(words), 1),
            FindKeys::FirstOrKeyword => (first_or_keyword(words, self.first), 1),
            FindKeys::Unknown => (0..0, 1),
        };
        places.step_by(step)
    }
}

/// The places of keys whose number stands at `first`.
fn counted(words: &[Word], first: usize) -> Range<usize> {
    let count = words
        .get(first)
        .and_then(|count| string_to_i64(count))
        .and_then(|count| usize::try_from(count).ok());
    let start = first + 1;
    match count.and_then(|count| start.checked_add(count)) {
        Some(end) if end <= words.len() => start..end,
        Some(_) | None => 0..0,
    }
}

/// The place behind the last `STORE` that is no argument of another option (`sortGetKeys`).
fn after_store(words: &[Word]) -> Range<usize> {
    let mut found = 0..0;
    let mut place = 2;
    while place < words.len() {
        let says = |name: &str| words[place].eq_ignore_ascii_case(name.as_bytes());
        if says("limit") {
            place += 2;
        } else if says("get") || says("by") {
            place += 1;
        } else if says("store") && place + 1 < words.len() {
            place += 1;
            found = place..place + 1;
        }
        place += 1;
    }
    found
}

/// The key at `first`, or all that follows `KEYS` (`migrateGetKeys`). Both at once is a syntax
/// error, which the command tells.
fn first_or_keyword(words: &[Word], first: usize) -> Range<usize> {
    let mut place = first + 3;
    while let Some(word) = words.get(place) {
        if word.eq_ignore_ascii_case(b"keys") {
            return if words[first].is_empty() {
                place + 1..words.len()
            } else {
                0..0
            };
        }
        place += match word.to_ascii_lowercase().as_slice() {
            b"auth" => 2,
            b"auth2" => 3,
            _ => 1,
        };
    }
    first..first + 1
}

/// One key at `first`.
pub(super) const fn key(first: usize, flags: &'static [&'static str]) -> KeySpec {
    keys(first, 0, 1, flags)
}

pub(super) const fn keys(
    first: usize,
    last: isize,
    step: usize,
    flags: &'static [&'static str],
) -> KeySpec {
    found_by(first, FindKeys::Range { last, step }, flags)
}

/// Keys whose number stands at `first`.
pub(super) const fn counted_keys(first: usize, flags: &'static [&'static str]) -> KeySpec {
    found_by(first, FindKeys::Counted, flags)
}

/// Keys that are found by a way of their own.
pub(super) const fn found_by(
    first: usize,
    find: FindKeys,
    flags: &'static [&'static str],
) -> KeySpec {
    KeySpec { first, find, flags }
}

/// Every command and subcommand by its full name.
static TABLE: LazyLock<IndexMap<&'static [u8], &'static Spec, FxBuildHasher>> =
    LazyLock::new(|| {
        let mut table = IndexMap::default();
        for spec in super::FAMILIES.iter().copied().flatten() {
            table.insert(spec.name.as_bytes(), spec);
            for subcommand in spec.subcommands {
                table.insert(subcommand.name.as_bytes(), subcommand);
            }
        }
        table
    });

/// The commands that clients send all the time: `SET` and `GET`.
static COMMON: LazyLock<Vec<(CommandNumber, &'static Spec)>> = LazyLock::new(|| {
    let entry = |name: &str| {
        let (number, _, &spec) = TABLE.get_full(name.as_bytes())?;
        Some((number, spec))
    };
    ["set", "get"].into_iter().filter_map(entry).collect()
});

/// The longest name in the table fits, with room to spare.
const NAME_ROOM: usize = 48;

/// Finds what a command line names. Case does not matter.
pub(crate) fn lookup(words: &[impl AsRef<[u8]>]) -> Lookup {
    let name = words.first().map(AsRef::as_ref).unwrap_or_default();
    // What nearly every command line names.
    let common = match name {
        b"SET" => COMMON.first(),
        b"GET" => COMMON.get(1),
        _ => None,
    };
    if let Some(&(number, spec)) = common {
        return Lookup::Known(number, spec);
    }
    let mut folded = [0; NAME_ROOM];
    let Some(end) = fold(&mut folded, 0, name) else {
        return Lookup::Unknown;
    };
    // A subcommand is only ever named by two words.
    let Some((number, _, &spec)) = TABLE
        .get_full(&folded[..end])
        .filter(|_| !name.contains(&b'|'))
    else {
        return Lookup::Unknown;
    };
    let Some(subcommand) = words.get(1).filter(|_| !spec.subcommands.is_empty()) else {
        return Lookup::Known(number, spec);
    };
    fold(&mut folded, end, b"|")
        .and_then(|bar| fold(&mut folded, bar, subcommand.as_ref()))
        .and_then(|end| TABLE.get_full(&folded[..end]))
        .map_or(Lookup::UnknownSubcommand, |(number, _, &spec)| {
            Lookup::Known(number, spec)
        })
}

/// Finds what a command line names where commands were renamed.
pub(crate) fn lookup_renamed(renames: &Renames, words: &[Word]) -> Lookup {
    let name = words.first().map(AsRef::as_ref).unwrap_or_default();
    let name = String::from_utf8_lossy(name).to_ascii_lowercase();
    let Some(own) = renames.resolve(&name) else {
        return Lookup::Unknown;
    };
    match words.get(1) {
        Some(second) => lookup(&[own.as_bytes(), second]),
        None => lookup(&[own.as_bytes()]),
    }
}

/// The name in lower case of a command, not of a subcommand; `None` if there is no such command.
pub(crate) fn own_name(name: &[u8]) -> Option<&'static str> {
    let known = by_full_name(name).map(|spec| spec.name);
    known.filter(|name| !name.contains('|'))
}

/// The command of a full name such as `cluster|nodes`.
pub(crate) fn by_full_name(name: &[u8]) -> Option<&'static Spec> {
    TABLE.get(name.to_ascii_lowercase().as_slice()).copied()
}

/// The commands, without their subcommands.
pub(crate) fn commands() -> impl Iterator<Item = &'static Spec> {
    super::FAMILIES.iter().copied().flatten()
}

/// The command of a number.
pub(crate) fn numbered(number: CommandNumber) -> Option<&'static Spec> {
    TABLE.get_index(number).map(|(_, &spec)| spec)
}

fn fold(into: &mut [u8; NAME_ROOM], at: usize, name: &[u8]) -> Option<usize> {
    let end = at + name.len();
    let room = into.get_mut(at..end)?;
    room.copy_from_slice(name);
    room.make_ascii_lowercase();
    Some(end)
}
