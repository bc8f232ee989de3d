//! TOML as a tree in which every key and value knows where it was written.
//!
//! serde stops at the first mistake; a drill must be told all of them at once.

use std::ops::Range;

use toml::de::{DeArray, DeTable, DeValue};

use super::mistake::{Draft, Mistakes};
use super::source::{Span, Spanned};
use super::suggest::did_you_mean;

/// A value and its place.
pub(crate) type Node = Spanned<Value>;

/// A TOML value.
#[derive(Clone, PartialEq, Debug)]
pub(crate) enum Value {
    Text(String),
    Integer(i64),
    Float(f64),
    Boolean(bool),
    Moment,
    List(Vec<Node>),
    Table(Table),
    /// Something that is already known to be wrong.
    Unreadable,
}

/// A table in the order of its keys in the file.
#[derive(Clone, PartialEq, Debug, Default)]
pub(crate) struct Table {
    pub(crate) entries: Vec<Entry>,
}

/// A key and its value.
#[derive(Clone, PartialEq, Debug)]
pub(crate) struct Entry {
    pub(crate) key: Spanned<String>,
    pub(crate) value: Node,
}

impl Value {
    /// What messages call a value of this kind.
    pub(crate) fn kind(&self) -> &'static str {
        match self {
            Self::Text(_) => "a string",
            Self::Integer(_) => "a whole number",
            Self::Float(_) => "a number",
            Self::Boolean(_) => "true or false",
            Self::Moment => "a date",
            Self::List(_) => "a list",
            Self::Table(_) => "a table",
            Self::Unreadable => "unreadable",
        }
    }
}

impl Table {
    pub(crate) fn get(&self, key: &str) -> Option<&Entry> {
        self.entries.iter().find(|entry| entry.key.value == key)
    }

    fn get_mut(&mut self, key: &str) -> Option<&mut Entry> {
        (self.entries.iter_mut()).find(|entry| entry.key.value == key)
    }
}

/// Reads TOML. What is wrong with its syntax goes to `mistakes`; the rest is returned.
pub(crate) fn parse(text: &str, whole: Span, mistakes: &mut Mistakes) -> Table {
    let (table, errors) = DeTable::parse_recoverable(text);
    for error in errors {
        let span = whole.part(&visible(text, error.span().unwrap_or(0..0)));
        mistakes.add(Draft::error(
            format!("not TOML: {}", error.message()),
            span,
            "here",
        ));
    }
    Grower { whole, mistakes }.table(table.get_ref())
}

/// An empty range has no room for a caret: the character before it has.
pub(crate) fn visible(text: &str, range: Range<usize>) -> Range<usize> {
    if !range.is_empty() {
        return range;
    }
    let before = text.get(..range.start).unwrap_or_default();
    let last = before.chars().next_back().map_or(0, char::len_utf8);
    range.start - last..range.end
}

/// Puts a `--set path=value` into the tree. `whole` is the span of the argument.
pub(crate) fn set(root: &mut Table, argument: &str, whole: Span, mistakes: &mut Mistakes) {
    let Some(equals) = argument.find('=') else {
        mistakes.add(
            Draft::error("--set without a value", whole, "no `=` in it")
                .help("write --set path=value, as in --set config.cluster-node-timeout=2000"),
        );
        return;
    };
    let value_text = argument[equals + 1..].trim();
    let value_at = argument.len() - argument[equals + 1..].trim_start().len();
    let value_span = whole.part(&(value_at..value_at + value_text.len()));
    let value = match DeValue::parse(value_text) {
        Ok(value) => Grower {
            whole: value_span,
            mistakes,
        }
        .value(value.get_ref(), value_span),
        // The shell has taken the quotes: `30s` means "30s".
        Err(_) => Node::new(Value::Text(value_text.to_owned()), value_span),
    };
    if let Some(draft) = brackets(&argument[..equals], whole) {
        mistakes.add(draft);
        return;
    }
    let names = names(&argument[..equals], whole);
    if let Some(empty) = names.iter().find(|name| name.value.is_empty()) {
        mistakes.add(Draft::error(
            "a --set with an empty name",
            empty.span,
            "here",
        ));
        return;
    }
    if let Err(draft) = put(root, &names, value) {
        mistakes.add(draft);
    }
}

/// What is wrong with a path that indexes a list as programs do: `step[0].for`.
pub(super) fn brackets(path: &str, whole: Span) -> Option<Draft> {
    let open = path.find('[')?;
    let close = path[open..]
        .find(']')
        .map_or(path.len(), |at| open + at + 1);
    let number = path[open + 1..close].trim_end_matches(']').trim();
    let counted = number.parse::<usize>().map_or(1, |place| place + 1);
    let rest = path[close..].trim_start_matches('.');
    let dot = if rest.is_empty() { "" } else { "." };
    Some(
        Draft::error(
            "a list is not indexed with brackets",
            whole.part(&(open..close)),
            "here",
        )
        .help(format!(
            "lists are counted from 1: write --set {}.{counted}{dot}{rest}=VALUE",
            &path[..open]
        )),
    )
}

/// The names of a dotted path, each with its place.
fn names(path: &str, whole: Span) -> Vec<Spanned<String>> {
    let mut names = Vec::new();
    let mut start = 0;
    for piece in path.split('.') {
        let name = piece.trim();
        let at = start + (piece.len() - piece.trim_start().len());
        let span = whole.part(&(at..at + name.len()));
        names.push(Spanned::new(name.to_owned(), span));
        start += piece.len() + 1;
    }
    names
}

fn put(table: &mut Table, names: &[Spanned<String>], value: Node) -> Result<(), Draft> {
    let [name, rest @ ..] = names else {
        return Ok(());
    };
    if table.get(&name.value).is_none() {
        table.entries.push(Entry {
            key: name.clone(),
            value: Node::new(Value::Table(Table::default()), name.span),
        });
    }
    let Some(entry) = table.get_mut(&name.value) else {
        return Ok(());
    };
    if rest.is_empty() {
        entry.key.span = name.span;
    }
    put_into(&mut entry.value, name, rest, value)
}

fn put_into(
    node: &mut Node,
    name: &Spanned<String>,
    rest: &[Spanned<String>],
    value: Node,
) -> Result<(), Draft> {
    let [next, after @ ..] = rest else {
        *node = value;
        return Ok(());
    };
    if let Value::Table(table) = &mut node.value {
        return put(table, rest, value);
    }
    let Value::List(list) = &mut node.value else {
        return Err(Draft::error(
            format!("`{}` has no parts", name.value),
            name.span,
            format!("it is {}", node.value.kind()),
        ));
    };
    let count = list.len();
    let place = (next.value.parse::<usize>().ok()).and_then(|place| place.checked_sub(1));
    match place.and_then(|place| list.get_mut(place)) {
        Some(element) => put_into(element, next, after, value),
        None => Err(Draft::error(
            format!("there is no {} {}", name.value, next.value),
            next.span,
            format!("the drill has {count}, counted from 1"),
        )
        .help_if((count > 0).then(|| {
            let after: Vec<&str> = rest.iter().map(|it| &*it.value).collect();
            let skipped = usize::from(next.value.parse::<usize>().is_ok());
            let after = after[skipped..].join(".");
            format!("`{0}` is a list: the first is `{0}.1.{after}`", name.value)
        }))),
    }
}

struct Grower<'a> {
    whole: Span,
    mistakes: &'a mut Mistakes,
}

impl Grower<'_> {
    fn table(&mut self, table: &DeTable<'_>) -> Table {
        let mut entries: Vec<Entry> = table
            .iter()
            .map(|(key, value)| Entry {
                key: Spanned::new(key.get_ref().to_string(), self.whole.part(&key.span())),
                value: self.value(value.get_ref(), self.whole.part(&value.span())),
            })
            .collect();
        entries.sort_by_key(|entry| entry.key.span.range().start);
        Table { entries }
    }

    fn list(&mut self, list: &DeArray<'_>) -> Vec<Node> {
        (list.iter())
            .map(|value| self.value(value.get_ref(), self.whole.part(&value.span())))
            .collect()
    }

    fn value(&mut self, value: &DeValue<'_>, span: Span) -> Node {
        let value = match value {
            DeValue::String(text) => Value::Text(text.to_string()),
            DeValue::Integer(integer) => {
                match i64::from_str_radix(&integer.as_str().replace('_', ""), integer.radix()) {
                    Ok(integer) => Value::Integer(integer),
                    Err(_) => self.out_of_range(span),
                }
            }
            DeValue::Float(float) => match float.as_str().replace('_', "").parse::<f64>() {
                Ok(float) if float.is_finite() => Value::Float(float),
                Ok(_) | Err(_) => self.out_of_range(span),
            },
            DeValue::Boolean(boolean) => Value::Boolean(*boolean),
            DeValue::Datetime(_) => Value::Moment,
            DeValue::Array(list) => Value::List(self.list(list)),
            DeValue::Table(table) => Value::Table(self.table(table)),
        };
        Node::new(value, span)
    }

    fn out_of_range(&mut self, span: Span) -> Value {
        self.mistakes
            .add(Draft::error("the number is out of range", span, "here"));
        Value::Unreadable
    }
}

/// Reports the keys of a table that nobody asked for.
pub(crate) fn report_unknown_keys(
    table: &Table,
    known: &[&'static str],
    place: &str,
    hint: impl Fn(&str) -> Option<String>,
    mistakes: &mut Mistakes,
) {
    let unknown = (table.entries.iter()).filter(|entry| !known.contains(&&*entry.key.value));
    for entry in unknown {
        let name = &entry.key.value;
        let help = super::suggest::nearest(name, known.iter().copied())
            .map(|near| format!("did you mean `{near}`?"))
            .or_else(|| hint(name))
            .or_else(|| did_you_mean(name, known.iter().copied()));
        mistakes.add(
            Draft::error(
                format!("unknown key `{name}` {place}"),
                entry.key.span,
                "not a key of the drill language",
            )
            .help_if(help),
        );
    }
}

#[cfg(test)]
mod tests {
    use super::super::source::Sources;
    use super::*;

    fn tree(text: &str, sets: &[&str]) -> (Table, Mistakes, Sources) {
        let mut sources = Sources::default();
        let mut mistakes = Mistakes::default();
        let whole = sources.add("drill.toml", text);
        let mut root = parse(text, whole, &mut mistakes);
        for argument in sets {
            let whole = sources.add("--set", argument);
            set(&mut root, argument, whole, &mut mistakes);
        }
        (root, mistakes, sources)
    }

    fn at<'a>(table: &'a Table, path: &[&str]) -> &'a Node {
        let entry = table.get(path[0]).unwrap();
        match (&entry.value.value, &path[1..]) {
            (_, []) => &entry.value,
            (Value::Table(table), rest) => at(table, rest),
            (other, rest) => panic!("{rest:?} in {other:?}"),
        }
    }

    #[test]
    fn every_value_knows_its_place() {
        let (root, _, sources) = tree("a = 1\n[b]\nc = \"x\"\n", &[]);
        let node = at(&root, &["b", "c"]);
        assert_eq!(sources.text(node.span), "\"x\"");
        assert_eq!(sources.line(node.span), 3);
    }

    #[test]
    fn a_set_replaces_a_value_and_points_to_itself() {
        let (root, mistakes, sources) = tree("[config]\nt = 1\n", &["config.t = 2000"]);
        let node = at(&root, &["config", "t"]);
        assert_eq!(node.value, Value::Integer(2000));
        assert_eq!(sources.text(node.span), "2000");
        assert_eq!(sources.of(node.span).name, "--set");
        assert!(!mistakes.any());
    }

    #[test]
    fn a_set_needs_no_quotes_and_makes_the_tables_it_needs() {
        let (root, mistakes, _) = tree("", &["network.within-zone=normal(1ms, 2ms)"]);
        let node = at(&root, &["network", "within-zone"]);
        assert_eq!(node.value, Value::Text("normal(1ms, 2ms)".into()));
        assert!(!mistakes.any());
    }

    #[test]
    fn a_set_counts_steps_from_one() {
        let text = "[[step]]\nat = \"1s\"\n[[step]]\nat = \"2s\"\n";
        let (root, mistakes, _) = tree(text, &["step.2.at=9s"]);
        let Value::List(steps) = &at(&root, &["step"]).value else {
            panic!("not a list");
        };
        let Value::Table(second) = &steps[1].value else {
            panic!("not a table");
        };
        assert_eq!(at(second, &["at"]).value, Value::Text("9s".into()));
        assert!(!mistakes.any());
        assert_eq!(tree(text, &["step.3.at=9s"]).1.count(), 1);
        assert_eq!(tree(text, &["step.0.at=9s"]).1.count(), 1);
    }

    #[test]
    fn a_set_that_makes_no_sense_is_a_mistake() {
        for argument in [
            "name", "=3", "name.x=3", "a..b=1", "a[0].b=1", "a[=1", "[0]=1",
        ] {
            assert_eq!(
                tree("name = \"n\"\n", &[argument]).1.count(),
                1,
                "{argument}"
            );
        }
    }
}
