//! The timeline for a terminal: a column a node, a line an event.
//!
//! ```text
//!     zone   a        b        c
//!  seconds   m1  r3   m2  r1   m3  r2
//!    0.000   ┃   │    ×   │    ┃   │      fault: m2 is killed (SIGKILL)
//!   +2.108   ?   │    ·   ?    ?   │      m1, r1, m3: *** NODE m2 possibly failing
//! ```
//!
//! Every state and every event has a sign of its own; colours only repeat what the signs say.

mod columns;
mod signs;
mod story;

use redrill_sim::trace::Trace;
use unicode_width::UnicodeWidthStr as _;

use crate::measures::FailoverHow;
use crate::model::{Model, SlotSpan, Span};
use columns::Columns;
use signs::{Paint, Sign};
use story::Line;

/// How to draw it.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Options {
    /// Width of the terminal in columns; held between 60 and 200.
    pub width: usize,
    /// Whether to colour it. Off for files, pipes and `NO_COLOR`.
    pub colour: bool,
    /// Most event lines; what exceeds them is left out of the middle and counted.
    pub most_lines: usize,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            width: 100,
            colour: false,
            most_lines: 160,
        }
    }
}

/// The timeline of a run, lines ended by `\n`, none wider than asked.
#[must_use]
pub fn render(trace: &Trace, options: &Options) -> String {
    draw(&Model::of(trace), options)
}

/// The same of a picture that was made before.
#[must_use]
pub fn draw(model: &Model, options: &Options) -> String {
    let width = options.width.clamp(60, 200);
    let lines = story::lines(model);
    let columns = Columns::new(model, width);
    let mut page = Page {
        text: String::new(),
        width,
        paint: Paint {
            colour: options.colour,
        },
    };
    head(&mut page, model);
    columns.head(&mut page);
    events(
        &mut page,
        model,
        &columns,
        &lines,
        options.most_lines.max(2),
    );
    columns.foot(&mut page);
    outcome(&mut page, model);
    legend(&mut page, model, &columns, &lines);
    page.text
}

/// The text so far.
struct Page {
    text: String,
    width: usize,
    paint: Paint,
}

impl Page {
    /// Adds lines of plain text, broken between words, continued at an indent.
    fn paragraph(&mut self, text: &str, indent: usize) {
        for (index, line) in wrapped(text, self.width, indent).iter().enumerate() {
            if index > 0 {
                self.text.extend(std::iter::repeat_n(' ', indent));
            }
            self.text.push_str(line.trim_end());
            self.text.push('\n');
        }
    }

    fn blank(&mut self) {
        self.text.push('\n');
    }
}

/// The text in lines: the first at most `width` wide, the others `width - indent`.
fn wrapped(text: &str, width: usize, indent: usize) -> Vec<String> {
    let mut lines = vec![String::new()];
    for word in text
        .split(' ')
        .flat_map(|word| pieces(word, width.saturating_sub(indent).max(8)))
    {
        let room = if lines.len() == 1 {
            width
        } else {
            width.saturating_sub(indent)
        };
        let count = lines.len();
        let line = &mut lines[count - 1];
        if line.is_empty() {
            line.push_str(&word);
        } else if line.width() + 1 + word.width() <= room {
            line.push(' ');
            line.push_str(&word);
        } else {
            lines.push(word);
        }
    }
    lines
}

/// A word in pieces that are at most `most` wide.
fn pieces(word: &str, most: usize) -> Vec<String> {
    let mut pieces = vec![String::new()];
    for character in word.chars().filter(|character| !character.is_control()) {
        let count = pieces.len();
        let piece = &mut pieces[count - 1];
        let mut longer = piece.clone();
        longer.push(character);
        if longer.width() <= most || piece.is_empty() {
            *piece = longer;
        } else {
            pieces.push(character.to_string());
        }
    }
    pieces
}

fn head(page: &mut Page, model: &Model) {
    let header = &model.header;
    page.paragraph(
        &format!(
            "{}: {}, world {}, seed {}, cluster-node-timeout {} ms",
            header.drill,
            header.engine.name(),
            header.world,
            header.seed,
            header.node_timeout_ms
        ),
        2,
    );
    if let Some(question) = &header.question {
        page.paragraph(question, 2);
    }
    page.blank();
}

/// Seconds since the first fault.
fn time(model: &Model, at_us: u64) -> String {
    let ms = (model.relative_ms(at_us)).round() as i64;
    let sign = match ms {
        0 => ' ',
        1.. => '+',
        _ => '-',
    };
    let ms = ms.unsigned_abs();
    format!("{:>9}", format!("{sign}{}.{:03}", ms / 1000, ms % 1000))
}

/// A pause this long between two events is shown by a line of its own.
const PAUSE_US: u64 = 1_000_000;

fn events(page: &mut Page, model: &Model, columns: &Columns, lines: &[Line], most: usize) {
    let left_out = lines.len().saturating_sub(most);
    let first_part = if left_out > 0 {
        most * 2 / 3
    } else {
        lines.len()
    };
    let mut before_us = None;
    for (index, line) in lines.iter().enumerate() {
        if left_out > 0 && index >= first_part && index < first_part + left_out {
            if index == first_part {
                let words = format!("({left_out} more lines are left out here)");
                columns.line(page, model, None, line.at_us, &[], &words, None);
            }
            before_us = None;
            continue;
        }
        if before_us.is_some_and(|before_us| line.at_us.saturating_sub(before_us) > PAUSE_US) {
            columns.line(page, model, None, line.at_us - 1, &[], "", None);
        }
        columns.line(
            page,
            model,
            Some(time(model, line.at_us)),
            line.at_us,
            &line.marks,
            &line.text,
            line.sign,
        );
        before_us = Some(line.last_us);
    }
}

/// What came of it, in a few sentences.
fn outcome(page: &mut Page, model: &Model) {
    page.blank();
    let name = |node| model.header.nodes[usize::from(node)].name.as_str();
    for failover in &model.failovers {
        let master = failover.master.map_or("its master", name);
        let parts: Vec<String> = failover
            .parts()
            .into_iter()
            .map(|(part, span)| format!("{} {}", part.name(), seconds(span.length_us())))
            .collect();
        let since = match (failover.measured.fault_at_ms, failover.measured.how) {
            (_, FailoverHow::Manual | FailoverHow::Force | FailoverHow::Takeover) => {
                "on request".to_owned()
            }
            (Some(_), FailoverHow::Automatic) => {
                format!("{} after the fault", seconds(failover.length_us()))
            }
            (None, FailoverHow::Automatic) => "without a fault of its master".to_owned(),
        };
        let parts = parts.join(", ");
        let colon = if parts.is_empty() { "" } else { ": " };
        let words = format!(
            "{} took the place of {master} {since}{colon}{parts}.",
            name(failover.winner)
        );
        page.paragraph(&words, 2);
        if let Some(gap_ms) = failover.measured.write_gap_ms {
            let words = format!("Its slots took no write for {:.3} s.", gap_ms / 1000.0);
            page.paragraph(&words, 2);
        }
    }
    if model.failovers.is_empty() {
        page.paragraph("No replica was promoted.", 2);
    }
    for row in &model.slots.rows {
        let words = exposure(model, &row.spans);
        if !words.is_empty() {
            let ranges: Vec<String> = row.ranges.iter().take(3).map(ToString::to_string).collect();
            let more = if row.ranges.len() > 3 { ", …" } else { "" };
            page.paragraph(&format!("Slots {}{more}: {words}.", ranges.join(", ")), 2);
        }
    }
    let clients = &model.clients;
    if clients.ok + clients.failed > 0 {
        let words = format!(
            "Clients: {} operations acknowledged, {} failed.",
            clients.ok, clients.failed
        );
        page.paragraph(&words, 2);
    }
}

fn seconds(length_us: u64) -> String {
    format!("{:.3} s", length_us as f64 / 1e6)
}

/// How long a group of slots was badly off since the first fault.
fn exposure(model: &Model, spans: &[SlotSpan]) -> String {
    let since = |span: Span| span.to_us.saturating_sub(span.from_us.max(model.origin_us));
    let sum = |count: &dyn Fn(&SlotSpan) -> u16| -> u64 {
        spans
            .iter()
            .filter(|span| count(span) > 0)
            .map(|span| since(span.span))
            .sum()
    };
    [
        (sum(&|span| span.nobody), "no server for"),
        (
            sum(&|span| span.cut_off),
            "only a server that was cut off for",
        ),
        (sum(&|span| span.contested), "two claimants for"),
    ]
    .into_iter()
    .filter(|(length_us, _)| *length_us > 0)
    .map(|(length_us, what)| format!("{what} {}", seconds(length_us)))
    .collect::<Vec<_>>()
    .join(", ")
}

/// The signs that were used, and what they mean.
fn legend(page: &mut Page, model: &Model, columns: &Columns, lines: &[Line]) {
    page.blank();
    let mut used: Vec<Sign> = columns.lane_signs(model);
    for mark in lines.iter().flat_map(|line| &line.marks) {
        used.push(mark.1);
    }
    used.sort_unstable();
    used.dedup();
    let words: Vec<String> = used
        .iter()
        .map(|sign| {
            format!(
                "{}\u{a0}{}",
                sign.character(),
                sign.words().replace(' ', "\u{a0}")
            )
        })
        .collect();
    let mut text = String::new();
    for line in wrapped(&words.join("  "), page.width, 0) {
        text.push_str(line.replace('\u{a0}', " ").trim_end());
        text.push('\n');
    }
    page.text.push_str(&text);
}

#[cfg(test)]
mod tests;
