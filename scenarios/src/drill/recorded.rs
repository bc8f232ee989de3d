//! Weather that was recorded: CSV files that a drill names.
//!
//! Their lines become part of the scenario, so a log that was made with them is replayed without
//! them. A wrong line is a mistake of the drill like any other, shown with its file and line.

use std::collections::BTreeMap;
use std::path::Path;

use redrill_sim::scenario::Cluster;
use redrill_sim::trace::NodeNumber;
use redrill_sim::weather::{LinkEnd, PauseCause, RecordedLink, RecordedPause};

use super::mistake::{Draft, Mistakes};
use super::schema;
use super::selector::{Member, Names};
use super::source::{Sources, Span, Spanned};
use super::suggest::did_you_mean;
use super::units::MAX_DURATION_US;

/// Mistakes of one file that are told one by one.
const MOST_TOLD: usize = 10;

/// The files that a drill names, once they are read.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Recorded {
    /// `trace`: all of its text.
    pauses: Option<Span>,
    /// `rtt-trace`
    links: Option<Span>,
}

/// Reads the files that a drill names. Relative paths start at the drill's folder.
pub(super) fn read(
    drill: &schema::Drill,
    folder: &Path,
    sources: &mut Sources,
    mistakes: &mut Mistakes,
) -> Recorded {
    let Some(weather) = &drill.weather else {
        return Recorded::default();
    };
    let mut file = |path: Option<&Spanned<String>>| {
        let path = path?;
        let shown = folder.join(path.value.trim());
        match std::fs::read_to_string(&shown) {
            Ok(text) => Some(sources.add(shown.display().to_string(), &text)),
            Err(error) => {
                mistakes.add(
                    Draft::error(
                        format!("cannot read {}: {error}", shown.display()),
                        path.span,
                        "named here",
                    )
                    .help("a path is relative to the folder of the drill"),
                );
                None
            }
        }
    };
    Recorded {
        pauses: file(weather.value.trace.as_ref()),
        links: file(weather.value.rtt_trace.as_ref()),
    }
}

impl Recorded {
    /// The pauses, in order of time; wrong lines are reported.
    pub(super) fn pauses(
        self,
        names: &Names<'_>,
        sources: &Sources,
        mistakes: &mut Mistakes,
    ) -> Vec<RecordedPause> {
        let columns = Columns {
            needed: &["at_ms", "node", "pause_ms"],
            optional: &["cause"],
        };
        let mut pauses = lines(self.pauses, &columns, sources, mistakes, |line| {
            Ok(RecordedPause {
                at_us: line.time_us(0)?,
                node: node(&line.field(1), names)?,
                lasts_us: line.positive_us(2)?,
                cause: line.given(3).map_or(Ok(PauseCause::VmSteal), cause)?,
            })
        });
        pauses.sort_by_key(|pause| pause.at_us);
        pauses
    }

    /// The links, in order of time; wrong lines are reported.
    pub(super) fn links(
        self,
        names: &Names<'_>,
        sources: &Sources,
        mistakes: &mut Mistakes,
    ) -> Vec<RecordedLink> {
        let columns = Columns {
            needed: &["at_ms", "from", "to", "rtt_ms"],
            optional: &["loss"],
        };
        let mut links = lines(self.links, &columns, sources, mistakes, |line| {
            Ok(RecordedLink {
                at_us: line.time_us(0)?,
                ends: (end(&line.field(1), names)?, end(&line.field(2), names)?),
                round_trip_us: line.time_us(3)?,
                loss: line.given(4).map_or(Ok(0.0), share)?,
            })
        });
        links.sort_by_key(|link| link.at_us);
        links
    }
}

/// The columns of a file, in the order they have without a first line that names them.
struct Columns {
    needed: &'static [&'static str],
    optional: &'static [&'static str],
}

impl Columns {
    fn names(&self) -> impl Iterator<Item = &'static str> + Clone {
        self.needed.iter().chain(self.optional).copied()
    }

    fn usage(&self) -> String {
        let needed = self.needed.join(",");
        format!(
            "a line is {needed}, and {} if known",
            self.optional.join(",")
        )
    }
}

/// One field of a line, and where it stands.
#[derive(Clone, Copy, Debug)]
struct Field<'a> {
    text: &'a str,
    span: Span,
}

/// One line.
struct Line<'a> {
    span: Span,
    fields: Vec<Field<'a>>,
    /// Where each column stands in the line.
    places: &'a [Option<usize>],
}

/// What is wrong with a line.
struct Refused {
    message: String,
    label: String,
    span: Span,
    help: Option<String>,
}

impl<'a> Line<'a> {
    /// What stands in a column; empty at the end of the line if nothing does.
    fn field(&self, column: usize) -> Field<'a> {
        let place = self.places.get(column).copied().flatten();
        let field = place.and_then(|place| self.fields.get(place)).copied();
        field.unwrap_or(Field {
            text: "",
            span: self.span,
        })
    }

    /// What stands in a column that may be left out.
    fn given(&self, column: usize) -> Option<Field<'a>> {
        Some(self.field(column)).filter(|field| !field.text.is_empty())
    }

    /// Milliseconds.
    fn time_us(&self, column: usize) -> Result<u64, Refused> {
        let field = self.field(column);
        let time_ms = field.text.parse::<f64>().ok();
        let Some(time_ms) = time_ms.filter(|time_ms| time_ms.is_finite() && *time_ms >= 0.0) else {
            return Err(field.refuse(
                format!("`{}` is not a time", field.text),
                "expected milliseconds, as in 1500 or 0.25",
            ));
        };
        if time_ms * 1e3 > MAX_DURATION_US as f64 {
            return Err(field.refuse("the time is too long", "at most 30 days"));
        }
        Ok((time_ms * 1e3).round() as u64)
    }

    fn positive_us(&self, column: usize) -> Result<u64, Refused> {
        match self.time_us(column)? {
            0 => Err(self
                .field(column)
                .refuse("a pause of no time", "expected more than zero")),
            time_us => Ok(time_us),
        }
    }
}

impl Field<'_> {
    fn refuse(&self, message: impl Into<String>, label: impl Into<String>) -> Refused {
        Refused {
            message: message.into(),
            label: label.into(),
            span: self.span,
            help: None,
        }
    }
}

/// Reads a file line by line. Empty lines and those that begin with `#` are passed over; the first
/// line may name the columns, in any order.
fn lines<T>(
    whole: Option<Span>,
    columns: &Columns,
    sources: &Sources,
    mistakes: &mut Mistakes,
    read: impl Fn(&Line<'_>) -> Result<T, Refused>,
) -> Vec<T> {
    let Some(whole) = whole else {
        return Vec::new();
    };
    let text = sources.text(whole);
    let mut places: Vec<Option<usize>> = (0..columns.names().count()).map(Some).collect();
    let (mut values, mut refused, mut first, mut start) = (Vec::new(), Vec::new(), true, 0);
    for line in text.split_inclusive('\n') {
        let (from, bare) = (start, line.trim());
        start += line.len();
        if bare.is_empty() || bare.starts_with('#') {
            continue;
        }
        let lead = line.len() - line.trim_start().len();
        let span = whole.part(&(from + lead..from + lead + bare.len()));
        let fields = fields(bare, span);
        if std::mem::take(&mut first) && fields[0].text.parse::<f64>().is_err() {
            match header(&fields, columns) {
                Ok(named) => places = named,
                Err(wrong) => {
                    report(vec![wrong], mistakes);
                    return values;
                }
            }
            continue;
        }
        let count = fields.len();
        let line = Line {
            span,
            fields,
            places: &places,
        };
        let short = places
            .iter()
            .take(columns.needed.len())
            .any(|place| place.is_none_or(|place| place >= count));
        let value = if short {
            Err(Refused {
                message: format!("a line with {count} of the values"),
                label: "too few".to_owned(),
                span,
                help: Some(columns.usage()),
            })
        } else {
            read(&line)
        };
        match value {
            Ok(value) => values.push(value),
            Err(wrong) => refused.push(wrong),
        }
    }
    if values.is_empty() && refused.is_empty() {
        mistakes.add(
            Draft::error("a trace without a line", whole, "nothing was recorded")
                .help(columns.usage()),
        );
    }
    report(refused, mistakes);
    values
}

fn fields(line: &str, span: Span) -> Vec<Field<'_>> {
    let mut start = 0;
    let pieces = line.split(',').map(|piece| {
        let lead = piece.len() - piece.trim_start().len();
        let from = start + lead;
        start += piece.len() + 1;
        let text = piece.trim();
        Field {
            text,
            span: span.part(&(from..from + text.len())),
        }
    });
    pieces.collect()
}

/// Where each column stands, from the line that names them.
fn header(fields: &[Field<'_>], columns: &Columns) -> Result<Vec<Option<usize>>, Refused> {
    let mut places: BTreeMap<&str, usize> = BTreeMap::new();
    for (place, field) in fields.iter().enumerate() {
        let Some(name) = columns.names().find(|name| *name == field.text) else {
            return Err(Refused {
                help: did_you_mean(field.text, columns.names()),
                ..field.refuse(
                    format!("there is no column `{}`", field.text),
                    "not a column of this trace",
                )
            });
        };
        if places.insert(name, place).is_some() {
            return Err(field.refuse(format!("the column `{name}` twice"), "already named"));
        }
    }
    if let Some(missing) = columns
        .needed
        .iter()
        .find(|name| !places.contains_key(*name))
    {
        return Err(fields[0].refuse(
            format!("the column `{missing}` is missing"),
            format!("a trace has {}", columns.needed.join(",")),
        ));
    }
    Ok(columns
        .names()
        .map(|name| places.get(name).copied())
        .collect())
}

fn report(refused: Vec<Refused>, mistakes: &mut Mistakes) {
    let more = refused.len().saturating_sub(MOST_TOLD);
    for (place, wrong) in refused.into_iter().take(MOST_TOLD).enumerate() {
        let help = match (place + 1, more) {
            (MOST_TOLD, 1..) => Some(format!("{more} more lines of this file are wrong")),
            _ => wrong.help,
        };
        mistakes.add(Draft::error(wrong.message, wrong.span, wrong.label).help_if(help));
    }
}

/// A node by name; `None` for `*`.
fn node(field: &Field<'_>, names: &Names<'_>) -> Result<Option<NodeNumber>, Refused> {
    if field.text == "*" {
        return Ok(None);
    }
    match names.find(field.text) {
        Some(Member::Node(place)) => Ok(Some(place as NodeNumber)),
        // The cluster itself is wrong, which has been told: a name proves nothing.
        None if !names.complete => Ok(Some(0)),
        Some(Member::Client(_)) | None => Err(Refused {
            help: did_you_mean(field.text, names.node_names()),
            ..field.refuse(
                format!("no node is called `{}`", field.text),
                "matches nothing; `*` is every node",
            )
        }),
    }
}

/// An end of a link: a node, a client, or a zone.
fn end(field: &Field<'_>, names: &Names<'_>) -> Result<LinkEnd, Refused> {
    let cluster: &Cluster = names.cluster;
    match names.find(field.text) {
        Some(Member::Node(place)) => return Ok(LinkEnd::Host(place as u16)),
        Some(Member::Client(place)) => {
            return Ok(LinkEnd::Host((cluster.nodes.len() + place) as u16));
        }
        None => (),
    }
    let zone = field.text.strip_prefix("zone:").unwrap_or(field.text);
    match cluster.zones.iter().position(|name| name == zone) {
        Some(place) => Ok(LinkEnd::Zone(place as u16)),
        None if !names.complete => Ok(LinkEnd::Zone(0)),
        None => {
            let known: Vec<&str> = names
                .node_names()
                .into_iter()
                .chain(cluster.zones.iter().map(String::as_str))
                .collect();
            Err(Refused {
                help: did_you_mean(field.text, known.iter().copied()),
                ..field.refuse(
                    format!("no node, client or zone is called `{}`", field.text),
                    "matches nothing",
                )
            })
        }
    }
}

fn cause(field: Field<'_>) -> Result<PauseCause, Refused> {
    let found = PauseCause::ALL
        .into_iter()
        .find(|cause| cause.name() == field.text);
    found.ok_or_else(|| Refused {
        help: did_you_mean(field.text, PauseCause::ALL.map(PauseCause::name)),
        ..field.refuse(
            format!("unknown cause `{}`", field.text),
            "none of the causes",
        )
    })
}

fn share(field: Field<'_>) -> Result<f64, Refused> {
    let share = match field.text.strip_suffix('%') {
        Some(percent) => percent.trim().parse::<f64>().map(|percent| percent / 100.0),
        None => field.text.parse::<f64>(),
    };
    share
        .ok()
        .filter(|share| (0.0..=1.0).contains(share))
        .ok_or_else(|| {
            field.refuse(
                format!("`{}` is not a share", field.text),
                "expected 0 to 1, or 2%",
            )
        })
}
