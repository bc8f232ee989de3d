//! Operators' commands as they are typed, and replies as they are shown.

use redrill_node::Word;
use redrill_node::wire::resp::split_args;
use redrill_node::{CommandLine, Reply};

/// Splits a command line as `redis-cli` does. `{id:NAME}` stands for the id that `id` knows under
/// that name.
///
/// # Errors
/// What is wrong with the line, in words.
pub fn parse(line: &str, id: impl Fn(&str) -> Option<String>) -> Result<CommandLine, String> {
    let mut text = String::with_capacity(line.len());
    let mut rest = line;
    while let Some((before, after)) = rest.split_once("{id:") {
        let Some((name, after)) = after.split_once('}') else {
            return Err("{id: is not closed by }".to_owned());
        };
        text.push_str(before);
        text.push_str(&id(name).ok_or_else(|| format!("there is no node {name}"))?);
        rest = after;
    }
    text.push_str(rest);
    match split_args(text.as_bytes()) {
        None => Err("quotes do not match".to_owned()),
        Some(words) if words.is_empty() => Err("the command is empty".to_owned()),
        Some(words) => Ok(words.into_iter().map(Word::from).collect()),
    }
}

/// A reply as `redis-cli` shows it, roughly: one line an element.
#[must_use]
pub fn show(reply: &Reply) -> String {
    let list = |items: &[Reply]| match items {
        [] => "(empty array)".to_owned(),
        _ => items.iter().map(show).collect::<Vec<_>>().join("\n"),
    };
    match reply {
        Reply::Simple(text) => text.clone().into_owned(),
        Reply::Error(text) => format!("(error) {text}"),
        Reply::Integer(number) => format!("(integer) {number}"),
        Reply::Bulk(bytes) => String::from_utf8_lossy(bytes).into_owned(),
        Reply::Verbatim(text) => text.clone(),
        Reply::Nil | Reply::NilArray => "(nil)".to_owned(),
        Reply::Array(items) | Reply::Set(items) | Reply::Push(items) => list(items),
        Reply::Map(pairs) => {
            let lines = pairs
                .iter()
                .map(|(key, value)| format!("{} {}", show(key), show(value)));
            lines.collect::<Vec<_>>().join("\n")
        }
        Reply::Double(number) => format!("(double) {number}"),
        Reply::Boolean(truth) => format!("({truth})"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn id(name: &str) -> Option<String> {
        (name == "m1").then(|| "abc".to_owned())
    }

    #[test]
    fn names_of_nodes_become_ids() {
        let words = parse("CLUSTER REPLICATE {id:m1}", id).unwrap();
        assert_eq!(*words, ["CLUSTER", "REPLICATE", "abc"]);
        assert_eq!(*parse("SET a \"b c\"", id).unwrap(), ["SET", "a", "b c"]);
    }

    #[test]
    fn mistakes_are_told() {
        assert_eq!(
            parse("FORGET {id:x}", id),
            Err("there is no node x".to_owned())
        );
        assert_eq!(
            parse("FORGET {id:m1", id),
            Err("{id: is not closed by }".to_owned())
        );
        assert_eq!(parse("SET \"a", id), Err("quotes do not match".to_owned()));
        assert_eq!(parse("  ", id), Err("the command is empty".to_owned()));
    }

    #[test]
    fn replies_are_shown_in_words() {
        let reply = Reply::Array(vec![Reply::Integer(1), Reply::Nil, Reply::error("ERR no")]);
        assert_eq!(show(&reply), "(integer) 1\n(nil)\n(error) ERR no");
    }
}
