//! The arguments of commands, as `COMMAND DOCS` tells them: what clients make hints of.
//!
//! `arguments.txt` holds a line for each command: its name, then its arguments. An argument is
//! `name`, with `@0` behind it if it is a key of that key spec, with `#integer` if it is of another
//! type than a string; `TOKEN=` stands before what a word introduces, and a word that stands for
//! itself is `!WORD`, or `!WORD=name`. `( name a b )` is one of several, `{ name a b }` all of
//! them. At the end `?` means that it may be left out, `*` that it may be repeated, `+` that it may
//! be repeated together with its token.

use crate::reply::Reply;

static LINES: &str = include_str!("arguments.txt");

/// One argument.
#[derive(PartialEq, Eq, Debug)]
struct Argument<'a> {
    name: String,
    kind: &'a str,
    key_spec: Option<i64>,
    token: Option<&'a str>,
    flags: Vec<&'static str>,
    parts: Vec<Argument<'a>>,
}

/// The arguments of a command; nothing for one that takes none.
pub(super) fn arguments(command: &str) -> Option<Reply> {
    let line = LINES.lines().find_map(|line| {
        let (name, arguments) = line.split_once(": ")?;
        (name == command).then_some(arguments)
    })?;
    let mut words = line.split(' ');
    let arguments = read_until(&mut words, "");
    Some(Reply::Array(
        arguments.iter().map(Argument::reply).collect(),
    ))
}

/// Reads arguments up to the word that begins with `end`, or to the end.
fn read_until<'a>(words: &mut impl Iterator<Item = &'a str>, end: &str) -> Vec<Argument<'a>> {
    read_group(words, end).0
}

/// The same, with what stands behind `end`.
fn read_group<'a>(
    words: &mut impl Iterator<Item = &'a str>,
    end: &str,
) -> (Vec<Argument<'a>>, &'a str) {
    let mut arguments = Vec::new();
    while let Some(word) = words.next() {
        if !end.is_empty()
            && let Some(suffix) = word.strip_prefix(end)
        {
            return (arguments, suffix);
        }
        arguments.push(read(word, words));
    }
    (arguments, "")
}

fn read<'a>(word: &'a str, words: &mut impl Iterator<Item = &'a str>) -> Argument<'a> {
    let body = word.trim_end_matches(['?', '*', '+']);
    let suffix = &word[body.len()..];
    if let Some(word) = body.strip_prefix('!') {
        let (token, name) = match word.split_once('=') {
            Some((token, name)) => (token, name.to_owned()),
            None => (word, word.to_ascii_lowercase()),
        };
        return Argument {
            name,
            kind: "pure-token",
            key_spec: None,
            token: Some(token),
            flags: flags(suffix),
            parts: Vec::new(),
        };
    }
    let (token, body) = match body.split_once('=') {
        Some((token, body)) => (Some(token), body),
        None => (None, body),
    };
    let group = match body {
        "(" => Some(("oneof", ")")),
        "{" => Some(("block", "}")),
        _ => None,
    };
    if let Some((kind, end)) = group {
        let name = words.next().unwrap_or_default().to_owned();
        let (parts, suffix) = read_group(words, end);
        return Argument {
            name,
            kind,
            key_spec: None,
            token,
            flags: flags(suffix),
            parts,
        };
    }
    let (body, kind) = match body.split_once('#') {
        Some((body, kind)) => (body, Some(kind)),
        None => (body, None),
    };
    let (name, key_spec) = match body.split_once('@') {
        Some((name, index)) => (name, index.parse().ok()),
        None => (body, None),
    };
    let usual = if key_spec.is_some() { "key" } else { "string" };
    Argument {
        name: name.to_owned(),
        kind: kind.unwrap_or(usual),
        key_spec,
        token,
        flags: flags(suffix),
        parts: Vec::new(),
    }
}

fn flags(suffix: &str) -> Vec<&'static str> {
    let mut flags = Vec::new();
    if suffix.contains('?') {
        flags.push("optional");
    }
    if suffix.contains(['*', '+']) {
        flags.push("multiple");
    }
    if suffix.contains('+') {
        flags.push("multiple_token");
    }
    flags
}

impl Argument<'_> {
    /// `addReplyCommandArgList`.
    fn reply(&self) -> Reply {
        let mut pairs = vec![
            ("name", Reply::bulk(self.name.clone())),
            ("type", Reply::bulk(self.kind.to_owned())),
        ];
        if let Some(index) = self.key_spec {
            pairs.push(("key_spec_index", Reply::Integer(index)));
        }
        if let Some(token) = self.token {
            pairs.push(("token", Reply::bulk(token.to_owned())));
        }
        if !self.flags.is_empty() {
            let flags = self.flags.iter().map(|&flag| Reply::Simple(flag.into()));
            pairs.push(("flags", Reply::Set(flags.collect())));
        }
        if !self.parts.is_empty() {
            let parts = self.parts.iter().map(Self::reply).collect();
            pairs.push(("arguments", Reply::Array(parts)));
        }
        let named = |(name, value): (&'static str, Reply)| (Reply::bulk(name), value);
        Reply::Map(pairs.into_iter().map(named).collect())
    }
}

#[cfg(test)]
mod tests {
    use super::{Argument, LINES, arguments, read_until};
    use crate::commands::spec::by_full_name;

    fn shape(argument: &Argument<'_>) -> String {
        let parts: Vec<String> = argument.parts.iter().map(shape).collect();
        format!(
            "{} {} {:?} {:?} {:?} [{}]",
            argument.name,
            argument.kind,
            argument.key_spec,
            argument.token,
            argument.flags,
            parts.join(", ")
        )
    }

    fn shapes(line: &str) -> Vec<String> {
        let arguments = read_until(&mut line.split(' '), "");
        arguments.iter().map(shape).collect()
    }

    #[test]
    fn every_way_to_write_an_argument_is_read() {
        assert_eq!(
            shapes("key@0* value EX=seconds#integer? !GET? !XX=only BY=by@1#pattern"),
            [
                r#"key key Some(0) None ["multiple"] []"#,
                "value string None None [] []",
                r#"seconds integer None Some("EX") ["optional"] []"#,
                r#"get pure-token None Some("GET") ["optional"] []"#,
                r#"only pure-token None Some("XX") [] []"#,
                r#"by pattern Some(1) Some("BY") [] []"#,
            ]
        );
        assert_eq!(
            shapes("( condition !NX { pair a b#double }* )? GET=pattern?+"),
            [
                "condition oneof None None [\"optional\"] [nx pure-token None Some(\"NX\") [] [], \
                 pair block None None [\"multiple\"] [a string None None [] [], \
                 b double None None [] []]]",
                "pattern string None Some(\"GET\") [\"optional\", \"multiple\", \
                 \"multiple_token\"] []",
            ]
        );
    }

    #[test]
    fn every_line_is_of_a_command_and_closes_what_it_opens() {
        for line in LINES.lines() {
            let (name, line) = line.split_once(": ").expect("a name");
            assert!(by_full_name(name.as_bytes()).is_some(), "{name}");
            let count = |bracket| line.matches(bracket).count();
            assert_eq!(count('('), count(')'), "{name}");
            assert_eq!(count('{'), count('}'), "{name}");
            assert!(arguments(name).is_some(), "{name}");
        }
        assert!(arguments("ping|pong").is_none());
    }
}
