//! Where a piece of a drill was written: the file, or a `--set` on the command line.

use std::ops::Range;
use std::sync::Arc;

/// A place in one of the [`Sources`] of a drill.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Span {
    source: u16,
    start: usize,
    end: usize,
}

/// A value and where it was written.
#[derive(Clone, PartialEq, Debug)]
pub(crate) struct Spanned<T> {
    pub(crate) value: T,
    pub(crate) span: Span,
}

/// One text that a drill was read from.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) struct Source {
    /// What messages call it.
    pub(crate) name: String,
    /// All of it.
    pub(crate) text: Arc<str>,
}

/// The texts that a drill was read from. The file is the first.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub(crate) struct Sources(Vec<Source>);

impl Span {
    /// The byte range in its source.
    pub(crate) fn range(self) -> Range<usize> {
        self.start..self.end
    }

    /// The part `range` of this span, counted from its start; never reaches beyond its end.
    pub(crate) fn part(self, range: &Range<usize>) -> Self {
        Self {
            source: self.source,
            start: (self.start + range.start).min(self.end),
            end: (self.start + range.end).min(self.end),
        }
    }

    /// Whether it lies in the drill file (and not in a `--set`).
    pub(crate) fn in_file(self) -> bool {
        self.source == 0
    }
}

impl<T> Spanned<T> {
    pub(crate) fn new(value: T, span: Span) -> Self {
        Self { value, span }
    }
}

impl Sources {
    /// Adds a text; returns the span of all of it.
    pub(crate) fn add(&mut self, name: impl Into<String>, text: &str) -> Span {
        self.0.push(Source {
            name: name.into(),
            text: text.into(),
        });
        Span {
            source: (self.0.len() - 1) as u16,
            start: 0,
            end: text.len(),
        }
    }

    /// The source a span lies in.
    pub(crate) fn of(&self, span: Span) -> &Source {
        &self.0[usize::from(span.source)]
    }

    /// What stands at a span.
    pub(crate) fn text(&self, span: Span) -> &str {
        self.of(span).text.get(span.range()).unwrap_or_default()
    }

    /// The line a span starts on, from 1; 0 if it does not lie in the file.
    pub(crate) fn line(&self, span: Span) -> usize {
        if !span.in_file() {
            return 0;
        }
        let before = self.of(span).text.get(..span.start).unwrap_or_default();
        before.matches('\n').count() + 1
    }
}
