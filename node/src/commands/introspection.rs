//! `COMMAND`: what the node tells of its commands.

use super::call::Call;
use super::error::{CommandError, Outcome};
use super::glob;
use super::spec::{
    Categories, FindKeys, Flags, KeySpec, Lookup, Spec, by_full_name, command, commands, lookup,
};
use super::syntax;
use crate::reply::Reply;

const ANYTIME: Flags = Flags::LOADING.union(Flags::STALE);

const fn about(spec: Spec, since: &'static str, summary: &'static str) -> Spec {
    spec.about("server", since, summary)
        .categories(Categories::CONNECTION)
}

const UNORDERED: &[&str] = &["nondeterministic_output_order"];

pub(super) const COMMANDS: &[Spec] = &[about(
    command("command", -1, ANYTIME, all_infos),
    "2.8.13",
    "Describes every command.",
)
.tips(UNORDERED)
.subcommands(SUBCOMMANDS)];

const SUBCOMMANDS: &[Spec] = &[
    about(
        command("command|count", 2, ANYTIME, count),
        "2.8.13",
        "Counts the commands.",
    ),
    about(
        command("command|docs", -2, ANYTIME, docs),
        "7.0.0",
        "Documents commands.",
    )
    .tips(UNORDERED),
    about(
        command("command|getkeys", -4, ANYTIME, get_keys),
        "2.8.13",
        "Finds the keys in a command.",
    ),
    about(
        command("command|getkeysandflags", -4, ANYTIME, get_keys_and_flags),
        "7.0.0",
        "Finds the keys in a command and what it does to them.",
    ),
    about(
        command("command|help", 2, ANYTIME, help),
        "5.0.0",
        "Lists the subcommands.",
    ),
    about(
        command("command|info", -2, ANYTIME, infos),
        "2.8.13",
        "Describes commands.",
    )
    .tips(UNORDERED),
    about(
        command("command|list", -2, ANYTIME, list),
        "7.0.0",
        "Names the commands.",
    )
    .tips(UNORDERED),
];

fn help(call: &mut Call<'_>) -> Outcome {
    call.help(&[
        "(no subcommand)",
        "    Describe every command.",
        "COUNT",
        "    Count the commands.",
        "DOCS [<command-name> ...]",
        "    Document commands; without names, all.",
        "GETKEYS <full-command>",
        "    Find the keys in a command.",
        "GETKEYSANDFLAGS <full-command>",
        "    Find the keys in a command and what it does to them.",
        "INFO [<command-name> ...]",
        "    Describe commands; without names, all.",
        "LIST [FILTERBY (MODULE <name>|ACLCAT <category>|PATTERN <pattern>)]",
        "    Name the commands.",
    ])
}

fn count(_: &mut Call<'_>) -> Outcome {
    Ok(Reply::Integer(commands().count() as i64))
}

fn all_infos(_: &mut Call<'_>) -> Outcome {
    Ok(Reply::Array(commands().map(info).collect()))
}

fn infos(call: &mut Call<'_>) -> Outcome {
    let names = &call.words[2..];
    if names.is_empty() {
        return all_infos(call);
    }
    let named = |name: &crate::word::Word| by_full_name(name).map_or(Reply::Nil, info);
    Ok(Reply::Array(names.iter().map(named).collect()))
}

/// `addReplyCommandInfo`.
fn info(spec: &'static Spec) -> Reply {
    let (first, last, step) = key_range(spec);
    let bulks = |words: &[&'static str]| words.iter().map(|&word| Reply::bulk(word)).collect();
    Reply::Array(vec![
        Reply::bulk(spec.name),
        Reply::Integer(i64::from(spec.arity)),
        simples(flag_words(spec)),
        Reply::Integer(first),
        Reply::Integer(last),
        Reply::Integer(step),
        simples(category_words(spec)),
        Reply::Set(bulks(spec.tips)),
        Reply::Set(spec.keys.iter().map(key_spec).collect()),
        Reply::Array(spec.subcommands.iter().map(info).collect()),
    ])
}

fn simples(words: Vec<&'static str>) -> Reply {
    Reply::Set(
        words
            .into_iter()
            .map(|word| Reply::Simple(word.into()))
            .collect(),
    )
}

/// First, last and step of the keys, as clients of before 7.0 want them
/// (`populateCommandLegacyRangeSpec`). Keys that stand elsewhere are left out.
fn key_range(spec: &Spec) -> (i64, i64, i64) {
    let mut ranges = spec.keys.iter().filter_map(|keys| {
        keys.told_range()
            .map(|(last, step)| (keys.first, last, step))
    });
    let Some((first, first_last, step)) = ranges.next() else {
        return (0, 0, 0);
    };
    let (start, last) = match ranges.next_back() {
        Some((start, last, _)) => (start, last),
        None => (first, first_last),
    };
    let end = if last < 0 {
        last as i64
    } else {
        (start + last.unsigned_abs()) as i64
    };
    (first as i64, end, step as i64)
}

fn flag_words(spec: &Spec) -> Vec<&'static str> {
    let words = [
        (Flags::WRITE, "write"),
        (Flags::READONLY, "readonly"),
        (Flags::DENYOOM, "denyoom"),
        (Flags::ADMIN, "admin"),
        (Flags::PUBSUB, "pubsub"),
        (Flags::NOSCRIPT, "noscript"),
        (Flags::BLOCKING, "blocking"),
        (Flags::LOADING, "loading"),
        (Flags::STALE, "stale"),
        (Flags::SKIP_MONITOR, "skip_monitor"),
        (Flags::SKIP_SLOWLOG, "skip_slowlog"),
        (Flags::ASKING, "asking"),
        (Flags::FAST, "fast"),
        (Flags::NO_AUTH, "no_auth"),
        (Flags::NO_ASYNC_LOADING, "no_async_loading"),
        (Flags::NO_MULTI, "no_multi"),
    ];
    let mut words = chosen(words, |flag| spec.flags.contains(flag));
    if spec.has_movable_keys() {
        words.push("movablekeys");
    }
    if spec.flags.contains(Flags::ALLOW_BUSY) {
        words.push("allow_busy");
    }
    words
}

/// The names of the commands, and subcommands, of a category.
pub(super) fn names_in(category: &str) -> impl Iterator<Item = &'static str> {
    let everything = commands().flat_map(|spec| std::iter::once(spec).chain(spec.subcommands));
    let is_in = move |spec: &&Spec| {
        let words = category_words(spec);
        words.iter().any(|word| word[1..] == *category)
    };
    everything.filter(is_in).map(|spec| spec.name)
}

/// The categories of access control: those stated, and those that follow from the flags
/// (`setImplicitACLCategories`).
fn category_words(spec: &Spec) -> Vec<&'static str> {
    let (flags, stated) = (spec.flags, spec.categories);
    let admin = flags.contains(Flags::ADMIN);
    let words = [
        (stated.contains(Categories::KEYSPACE), "@keyspace"),
        (flags.contains(Flags::READONLY), "@read"),
        (flags.contains(Flags::WRITE), "@write"),
        (stated.contains(Categories::SET), "@set"),
        (stated.contains(Categories::SORTED_SET), "@sortedset"),
        (stated.contains(Categories::LIST), "@list"),
        (stated.contains(Categories::HASH), "@hash"),
        (stated.contains(Categories::STRING), "@string"),
        (stated.contains(Categories::BITMAP), "@bitmap"),
        (admin || stated.contains(Categories::ADMIN), "@admin"),
        (flags.contains(Flags::FAST), "@fast"),
        (!flags.contains(Flags::FAST), "@slow"),
        (flags.contains(Flags::BLOCKING), "@blocking"),
        (
            admin || stated.contains(Categories::DANGEROUS),
            "@dangerous",
        ),
        (flags.contains(Flags::PUBSUB), "@pubsub"),
        (stated.contains(Categories::CONNECTION), "@connection"),
        (stated.contains(Categories::TRANSACTION), "@transaction"),
    ];
    chosen(words, |is_set| is_set)
}

fn chosen<T, const N: usize>(
    words: [(T, &'static str); N],
    is_set: impl Fn(T) -> bool,
) -> Vec<&'static str> {
    words
        .into_iter()
        .filter_map(|(flag, word)| is_set(flag).then_some(word))
        .collect()
}

/// `addReplyCommandKeySpecs`.
fn key_spec(keys: &KeySpec) -> Reply {
    let flags = keys.flags.iter().map(|&flag| Reply::Simple(flag.into()));
    let number = |value: usize| Reply::Integer(value as i64);
    let range = |(last, step): (isize, usize)| {
        let limits = vec![
            ("lastkey", Reply::Integer(last as i64)),
            ("keystep", number(step)),
            ("limit", number(0)),
        ];
        ("range", limits)
    };
    let (begin, find) = match keys.find {
        FindKeys::Range { .. } | FindKeys::FirstOrKeyword => {
            (Some(keys.first), keys.told_range().map(range))
        }
        FindKeys::Counted => (
            Some(keys.first),
            Some((
                "keynum",
                vec![
                    ("keynumidx", number(0)),
                    ("firstkey", number(1)),
                    ("keystep", number(1)),
                ],
            )),
        ),
        FindKeys::AfterStore | FindKeys::Unknown => (None, None),
    };
    let begin = begin.map(|index| ("index", vec![("index", number(index))]));
    map(vec![
        ("flags", Reply::Set(flags.collect())),
        ("begin_search", key_search(begin)),
        ("find_keys", key_search(find)),
    ])
}

/// One half of how keys are found.
fn key_search(how: Option<(&'static str, Vec<(&'static str, Reply)>)>) -> Reply {
    let (kind, spec) = how.unwrap_or(("unknown", Vec::new()));
    map(vec![("type", Reply::bulk(kind)), ("spec", map(spec))])
}

fn map(pairs: Vec<(&'static str, Reply)>) -> Reply {
    let pairs = pairs
        .into_iter()
        .map(|(name, value)| (Reply::bulk(name), value));
    Reply::Map(pairs.collect())
}

/// Unlike `COMMAND INFO`, this says nothing of names it does not know.
fn docs(call: &mut Call<'_>) -> Outcome {
    let names = &call.words[2..];
    let specs: Vec<&'static Spec> = if names.is_empty() {
        commands().collect()
    } else {
        names.iter().filter_map(|name| by_full_name(name)).collect()
    };
    Ok(Reply::Map(specs.into_iter().map(documentation).collect()))
}

fn documentation(spec: &'static Spec) -> (Reply, Reply) {
    let mut pairs = vec![
        ("summary", Reply::bulk(spec.summary)),
        ("since", Reply::bulk(spec.since)),
        ("group", Reply::bulk(spec.group)),
    ];
    if let Some(arguments) = syntax::arguments(spec.name) {
        pairs.push(("arguments", arguments));
    }
    if !spec.subcommands.is_empty() {
        let subcommands = spec.subcommands.iter().map(documentation);
        pairs.push(("subcommands", Reply::Map(subcommands.collect())));
    }
    (Reply::bulk(spec.name), map(pairs))
}

fn list(call: &mut Call<'_>) -> Outcome {
    let is_listed: Box<dyn Fn(&Spec) -> bool> = match &call.words[2..] {
        [] => Box::new(|_| true),
        [filter, kind, value] if filter.eq_ignore_ascii_case(b"filterby") => {
            let value = value.clone();
            match kind.to_ascii_lowercase().as_slice() {
                // There are no modules.
                b"module" => Box::new(|_| false),
                b"aclcat" => Box::new(move |spec| {
                    category_words(spec)
                        .iter()
                        .any(|word| word.as_bytes()[1..].eq_ignore_ascii_case(&value))
                }),
                b"pattern" => {
                    Box::new(move |spec| glob::matches(&value, spec.name.as_bytes(), true))
                }
                _ => return Err(CommandError::SYNTAX),
            }
        }
        _ => return Err(CommandError::SYNTAX),
    };
    let everything = commands().flat_map(|spec| std::iter::once(spec).chain(spec.subcommands));
    let names = everything.filter(|spec| is_listed(spec));
    Ok(Reply::Array(
        names.map(|spec| Reply::bulk(spec.name)).collect(),
    ))
}

/// What a key spec says whose flags follow from the words of a command.
const VARIABLE: &str = "variable_flags";

fn get_keys(call: &mut Call<'_>) -> Outcome {
    let found = keys_of(call)?;
    Ok(Reply::Array(
        found.into_iter().map(|(key, _)| key).collect(),
    ))
}

fn get_keys_and_flags(call: &mut Call<'_>) -> Outcome {
    let found = keys_of(call)?;
    let words = &call.words[2..];
    // `SET` reads what it replaces only where it is asked to (`setGetKeys`).
    let replaces_blindly = words[0].eq_ignore_ascii_case(b"set")
        && !words[3..]
            .iter()
            .any(|word| word.eq_ignore_ascii_case(b"get"));
    let with_flags = |(key, keys): (Reply, &'static KeySpec)| {
        let flags = if replaces_blindly {
            &["OW", "update"]
        } else {
            keys.flags
        };
        let flags = flags.iter().filter(|&&flag| flag != VARIABLE);
        let flags = flags.map(|&flag| Reply::Simple(flag.into()));
        Reply::Array(vec![key, Reply::Set(flags.collect())])
    };
    Ok(Reply::Array(found.into_iter().map(with_flags).collect()))
}

/// `getKeysSubcommandImpl`.
fn keys_of(call: &Call<'_>) -> Result<Vec<(Reply, &'static KeySpec)>, CommandError> {
    let words = &call.words[2..];
    let Lookup::Known(_, spec) = lookup(words) else {
        return Err(CommandError::fixed("ERR Invalid command specified"));
    };
    // What is routed like a key, such as a shard channel, is none.
    let is_key = |keys: &KeySpec| !keys.flags.contains(&"not_key");
    if !spec.keys.iter().any(is_key) {
        return Err(CommandError::fixed("ERR The command has no key arguments"));
    }
    if !spec.takes(words.len()) {
        return Err(CommandError::fixed(
            "ERR Invalid number of arguments specified for command",
        ));
    }
    let places = spec.key_places(words);
    let found: Vec<_> = places
        .map(|(place, keys)| (Reply::Bulk(words[place].clone()), keys))
        .collect();
    if found.is_empty() {
        return Err(CommandError::fixed(
            "ERR Invalid arguments specified for command",
        ));
    }
    Ok(found)
}
