//! What is wrong with a drill, with the place and the way out.

use std::fmt;

use std::sync::Arc;

use miette::{
    Diagnostic, GraphicalReportHandler, GraphicalTheme, LabeledSpan, MietteError,
    MietteSpanContents, SourceCode, SourceSpan, SpanContents,
};

use super::source::{Sources, Span};

/// Columns of a message that is not printed to a terminal.
const PLAIN_WIDTH_COLUMNS: usize = 100;

/// One thing wrong with a drill, or doubtful about it.
#[derive(Clone, Debug)]
pub struct Mistake {
    severity: miette::Severity,
    message: String,
    labels: Vec<LabeledSpan>,
    help: Option<String>,
    source: Option<WholeLines>,
    position: (usize, usize),
}

/// A drill that cannot run: everything that is wrong with it, in the order of the file.
#[derive(Clone)]
pub struct BadDrill {
    /// The mistakes; at least one.
    pub mistakes: Vec<Mistake>,
    /// What is merely doubtful.
    pub warnings: Vec<Mistake>,
}

/// How messages are drawn.
#[derive(Clone, Copy, Debug)]
pub struct Look {
    /// Whether to use colours.
    pub color: bool,
    /// Columns.
    pub width_columns: usize,
}

/// A text that shows the lines of a span, all of them and no others.
#[derive(Clone, Debug)]
struct WholeLines {
    name: String,
    text: Arc<str>,
}

impl SourceCode for WholeLines {
    fn read_span<'a>(
        &'a self,
        span: &SourceSpan,
        lines_before: usize,
        _lines_after: usize,
    ) -> Result<Box<dyn SpanContents<'a> + 'a>, MietteError> {
        let text = &*self.text;
        let (first, last) = (span.offset(), span.offset() + span.len());
        let (Some(before), Some(after)) = (text.get(..first), text.get(last..)) else {
            return Err(MietteError::OutOfBounds);
        };
        let line_start = before.rfind('\n').map_or(0, |at| at + 1);
        let line_end = after.find('\n').map_or(text.len(), |at| last + at);
        // Without context lines, the place of the span itself is asked for.
        let column = match lines_before {
            0 => before[line_start..].chars().count(),
            _ => 0,
        };
        let lines = &text[line_start..line_end];
        Ok(Box::new(MietteSpanContents::new_named(
            self.name.clone(),
            lines.as_bytes(),
            (line_start, lines.len()).into(),
            before.matches('\n').count(),
            column,
            lines.matches('\n').count() + 1,
        )))
    }
}

/// Collects what is wrong while a drill is read.
#[derive(Debug, Default)]
pub(crate) struct Mistakes {
    found: Vec<Draft>,
}

/// A mistake before it is tied to its source.
#[derive(Clone, PartialEq, Debug)]
pub(crate) struct Draft {
    severity: miette::Severity,
    message: String,
    labels: Vec<(Span, String)>,
    help: Option<String>,
}

impl Default for Look {
    fn default() -> Self {
        Self {
            color: false,
            width_columns: PLAIN_WIDTH_COLUMNS,
        }
    }
}

impl Draft {
    /// A mistake at a place.
    pub(crate) fn error(message: impl Into<String>, span: Span, label: impl Into<String>) -> Self {
        Self {
            severity: miette::Severity::Error,
            message: message.into(),
            labels: vec![(span, label.into())],
            help: None,
        }
    }

    /// A doubt at a place.
    pub(crate) fn warning(
        message: impl Into<String>,
        span: Span,
        label: impl Into<String>,
    ) -> Self {
        Self {
            severity: miette::Severity::Warning,
            ..Self::error(message, span, label)
        }
    }

    /// Adds a second place.
    pub(crate) fn also(mut self, span: Span, label: impl Into<String>) -> Self {
        self.labels.push((span, label.into()));
        self
    }

    /// Adds the way out.
    pub(crate) fn help(self, help: impl Into<String>) -> Self {
        self.help_if(Some(help.into()))
    }

    /// Adds the way out, if one is known.
    pub(crate) fn help_if(mut self, help: Option<String>) -> Self {
        self.help = help;
        self
    }

    fn tie(self, sources: &Sources) -> Mistake {
        let first = self.labels.first().map(|(span, _)| *span);
        let source = first.map(|span| sources.of(span));
        Mistake {
            severity: self.severity,
            message: self.message,
            position: first.map_or((0, 0), |span| {
                (usize::from(!span.in_file()), span.range().start)
            }),
            labels: self
                .labels
                .iter()
                // A message shows one text: places in another are told in words by their label.
                .filter(|(span, _)| source == Some(sources.of(*span)))
                .map(|(span, label)| LabeledSpan::at(span.range(), label))
                .collect(),
            help: self.help,
            source: source.map(|source| WholeLines {
                name: source.name.clone(),
                text: Arc::clone(&source.text),
            }),
        }
    }
}

impl Mistakes {
    pub(crate) fn add(&mut self, draft: Draft) {
        self.found.push(draft);
    }

    /// Whether anything is wrong, doubts aside.
    pub(crate) fn any(&self) -> bool {
        self.count() > 0
    }

    /// How much is wrong, doubts aside.
    pub(crate) fn count(&self) -> usize {
        self.found
            .iter()
            .filter(|draft| draft.severity == miette::Severity::Error)
            .count()
    }

    /// Ties every draft to its source and sorts by place: the mistakes, and the doubts.
    pub(crate) fn tie(self, sources: &Sources) -> (Vec<Mistake>, Vec<Mistake>) {
        let mut tied: Vec<Mistake> = (self.found.into_iter())
            .map(|draft| draft.tie(sources))
            .collect();
        tied.sort_by_key(|mistake| mistake.position);
        (tied.into_iter()).partition(|mistake| mistake.severity == miette::Severity::Error)
    }
}

impl Mistake {
    /// A mistake that has no place in a text, such as an unreadable file.
    pub(crate) fn without_place(message: impl Into<String>, help: impl Into<String>) -> Self {
        Self {
            severity: miette::Severity::Error,
            message: message.into(),
            labels: Vec::new(),
            help: Some(help.into()),
            source: None,
            position: (0, 0),
        }
    }

    /// What is wrong, in one line.
    #[must_use]
    pub fn message(&self) -> &str {
        &self.message
    }

    /// The message with the lines it speaks of.
    #[must_use]
    pub fn render(&self, look: Look) -> String {
        let theme = if look.color {
            GraphicalTheme::unicode()
        } else {
            GraphicalTheme::unicode_nocolor()
        };
        let mut text = String::new();
        let handler = GraphicalReportHandler::new_themed(theme)
            .with_width(look.width_columns)
            .with_context_lines(1);
        // Writing to a string does not fail.
        let _ = handler.render_report(&mut text, self);
        text
    }
}

impl BadDrill {
    pub(crate) fn one(mistake: Mistake) -> Self {
        Self {
            mistakes: vec![mistake],
            warnings: Vec::new(),
        }
    }

    /// A file that cannot be read.
    #[must_use]
    pub fn about_file(shown: &str, why: &str) -> Self {
        Self::one(Mistake::without_place(
            format!("cannot read {shown}: {why}"),
            "give the path of a readable text file",
        ))
    }

    /// Every mistake with the lines it speaks of, and how many there are.
    #[must_use]
    pub fn render(&self, look: Look) -> String {
        let mut text: String = (self.mistakes.iter())
            .map(|mistake| mistake.render(look) + "\n")
            .collect();
        text.push_str(&match self.mistakes.len() {
            1 => "1 mistake".to_owned(),
            count => format!("{count} mistakes"),
        });
        text
    }
}

impl fmt::Display for Mistake {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(&self.message)
    }
}

impl std::error::Error for Mistake {}

impl Diagnostic for Mistake {
    fn severity(&self) -> Option<miette::Severity> {
        Some(self.severity)
    }

    fn help<'a>(&'a self) -> Option<Box<dyn fmt::Display + 'a>> {
        let help = self.help.as_ref()?;
        Some(Box::new(help))
    }

    fn source_code(&self) -> Option<&dyn SourceCode> {
        let source = self.source.as_ref()?;
        Some(source)
    }

    fn labels(&self) -> Option<Box<dyn Iterator<Item = LabeledSpan> + '_>> {
        if self.labels.is_empty() {
            return None;
        }
        Some(Box::new(self.labels.iter().cloned()))
    }
}

impl fmt::Display for BadDrill {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "bad drill\n{}", self.render(Look::default()))
    }
}

/// The same as its display, so that a test that ends with it shows the mistakes.
impl fmt::Debug for BadDrill {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, formatter)
    }
}

impl std::error::Error for BadDrill {}
