//! From the tree to the schema: every kind of value, with what to say when it is another.

use redrill_sim::scenario::{Keys, Latency};

use super::distributions::Delay;
use super::mistake::{Draft, Mistakes};
use super::source::{Sources, Spanned};
use super::tree::{Node, Table, Value};
use super::units::{Bandwidth, FromText, Jump, Period, Rate, Size, Wrong};

/// What reading needs besides the value.
pub(crate) struct Context<'a> {
    pub(crate) sources: &'a Sources,
    pub(crate) mistakes: &'a mut Mistakes,
}

/// Something that can stand as a value in a drill.
pub(crate) trait FromNode: Sized {
    /// Reads it; `None` if it is wrong, which has then been reported.
    fn from_node(node: &Node, context: &mut Context<'_>) -> Option<Self>;
}

/// One value or a list of them.
#[derive(Clone, PartialEq, Debug)]
pub(crate) struct OneOrMany<T>(pub(crate) Vec<Spanned<T>>);

/// A share: 0 to 1, or `"5%"`.
#[derive(Clone, Copy, PartialEq, Debug)]
pub(crate) struct Share(pub(crate) f64);

/// A value that is looked at later.
#[derive(Clone, PartialEq, Debug)]
pub(crate) struct Anything(pub(crate) Value);

impl Context<'_> {
    /// Reports that `node` is not what was expected.
    pub(crate) fn not(&mut self, node: &Node, expected: &str) {
        if node.value == Value::Unreadable {
            return;
        }
        self.mistakes.add(Draft::error(
            format!("expected {expected}, found {}", node.value.kind()),
            node.span,
            format!("{} here", node.value.kind()),
        ));
    }

    /// Reports what is wrong with the text of a string.
    pub(crate) fn wrong(&mut self, node: &Node, text: &str, wrong: Wrong) {
        let written = self.sources.text(node.span);
        // Where the text stands in the file as it is, the caret goes to the very letters.
        let inner = wrong.range.and_then(|range| {
            let start = written.find(text).filter(|_| !text.is_empty())?;
            Some(node.span.part(&(start + range.start..start + range.end)))
        });
        self.mistakes.add(
            Draft::error(wrong.message, inner.unwrap_or(node.span), wrong.label)
                .help_if(wrong.help),
        );
    }
}

/// Reads a value that is written as a string.
pub(crate) fn text_value<T: FromText>(node: &Node, context: &mut Context<'_>) -> Option<T> {
    if let Value::Text(text) = &node.value {
        let value = T::from_text(text);
        return value.map_err(|wrong| context.wrong(node, text, wrong)).ok();
    }
    if let Value::Integer(_) | Value::Float(_) = node.value {
        context.mistakes.add(
            Draft::error("a number without a unit", node.span, "what of?")
                .help(format!("expected {}", T::EXPECTED)),
        );
    } else {
        context.not(node, T::EXPECTED);
    }
    None
}

macro_rules! text_values {
    ($($type:ty),*) => {
        $(impl FromNode for $type {
            fn from_node(node: &Node, context: &mut Context<'_>) -> Option<Self> {
                text_value(node, context)
            }
        })*
    };
}

text_values!(Period, Jump, Rate, Bandwidth, Latency, Delay, Keys);

impl FromNode for String {
    fn from_node(node: &Node, context: &mut Context<'_>) -> Option<Self> {
        if let Value::Text(text) = &node.value {
            return Some(text.clone());
        }
        context.not(node, "a string");
        None
    }
}

impl FromNode for u64 {
    fn from_node(node: &Node, context: &mut Context<'_>) -> Option<Self> {
        let Value::Integer(number) = node.value else {
            context.not(node, "a whole number");
            return None;
        };
        if number < 0 {
            context.mistakes.add(Draft::error(
                "a negative number",
                node.span,
                "expected zero or more",
            ));
        }
        Self::try_from(number).ok()
    }
}

impl FromNode for f64 {
    fn from_node(node: &Node, context: &mut Context<'_>) -> Option<Self> {
        if let Value::Integer(number) = node.value {
            return Some(number as Self);
        }
        if let Value::Float(number) = node.value {
            return Some(number);
        }
        context.not(node, "a number");
        None
    }
}

impl FromNode for bool {
    fn from_node(node: &Node, context: &mut Context<'_>) -> Option<Self> {
        if let Value::Boolean(flag) = node.value {
            return Some(flag);
        }
        context.not(node, "true or false");
        None
    }
}

impl FromNode for Share {
    fn from_node(node: &Node, context: &mut Context<'_>) -> Option<Self> {
        const EXPECTED: &str = "a share such as 0.05 or \"5%\"";
        let share = if let Value::Text(text) = &node.value {
            let percent = text.trim().strip_suffix('%').map(str::trim);
            let Some(percent) = percent.and_then(|percent| percent.parse::<f64>().ok()) else {
                context.not(node, EXPECTED);
                return None;
            };
            percent / 100.0
        } else if let Value::Integer(number) = node.value {
            number as f64
        } else if let Value::Float(number) = node.value {
            number
        } else {
            context.not(node, EXPECTED);
            return None;
        };
        if (0.0..=1.0).contains(&share) {
            return Some(Self(share));
        }
        context.mistakes.add(
            Draft::error("a share out of range", node.span, "expected 0 to 1")
                .help("0.05 and \"5%\" both mean one in twenty"),
        );
        None
    }
}

impl FromNode for Size {
    fn from_node(node: &Node, context: &mut Context<'_>) -> Option<Self> {
        if let Value::Integer(number) = node.value
            && let Ok(bytes) = u64::try_from(number)
        {
            return Some(Self { bytes });
        }
        text_value(node, context)
    }
}

impl FromNode for Anything {
    fn from_node(node: &Node, _context: &mut Context<'_>) -> Option<Self> {
        Some(Self(node.value.clone()))
    }
}

impl FromNode for Table {
    fn from_node(node: &Node, context: &mut Context<'_>) -> Option<Self> {
        if let Value::Table(table) = &node.value {
            return Some(table.clone());
        }
        context.not(node, "a table");
        None
    }
}

impl<T: FromNode> FromNode for OneOrMany<T> {
    fn from_node(node: &Node, context: &mut Context<'_>) -> Option<Self> {
        let nodes = if let Value::List(nodes) = &node.value {
            nodes.as_slice()
        } else {
            std::slice::from_ref(node)
        };
        let read = |node: &Node| Some(Spanned::new(T::from_node(node, context)?, node.span));
        // Every one is read, so that all mistakes are told.
        let values: Vec<Option<Spanned<T>>> = nodes.iter().map(read).collect();
        Some(Self(values.into_iter().collect::<Option<_>>()?))
    }
}

impl<T: FromNode> FromNode for Vec<Spanned<T>> {
    fn from_node(node: &Node, context: &mut Context<'_>) -> Option<Self> {
        if let Value::List(_) = node.value {
            return Some(OneOrMany::from_node(node, context)?.0);
        }
        if let Value::Table(_) = node.value {
            context.mistakes.add(
                Draft::error("expected a list of tables", node.span, "a single table")
                    .help("write its name in double brackets, as in [[step]]"),
            );
        } else {
            context.not(node, "a list");
        }
        None
    }
}
