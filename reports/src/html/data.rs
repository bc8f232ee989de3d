//! What the report's script draws, as JSON: short arrays, texts once, client operations in
//! buckets only.

use std::collections::BTreeMap;

use serde::Serialize;

use crate::model::{
    Bucket, ClientStrip, EventKind, EventLine, Lane, Model, Role, SlotRow, Span, Trouble, Weight,
};
use crate::theme::{INK, SOFT_INK, mark, rank};
use redrill_node::LogLevel;
use redrill_sim::scenario::{CrashKind, StallKind};
use redrill_sim::trace::NodeNumber;

/// A report stays readable and small: of more events than this the lesser ones are left out.
const MOST_EVENTS: usize = 12_000;

/// Up to this many lanes are all drawn.
const ALL_LANES: usize = 40;

/// Of more, those to which most happened: this many.
const SOME_LANES: usize = 20;

/// The run as the script wants it.
#[derive(Serialize)]
pub(super) struct Data {
    origin: u64,
    run: [u64; 2],
    window: [u64; 2],
    zones: Vec<ZoneData>,
    nodes: Vec<NodeData>,
    /// How many nodes have no lane.
    hidden: usize,
    /// From, to, whether it lasts, words, label.
    faults: Vec<(u64, u64, bool, String, String)>,
    weather: Vec<WeatherData>,
    failovers: Vec<FailoverData>,
    slots: Vec<SlotData>,
    clients: Option<ClientData>,
    /// Name, shape, colour, rank, words.
    kinds: Vec<(EventKind, &'static str, String, u8, &'static str)>,
    /// Time, node (-1: none), kind, whether it is of the story, level, text, label, note (-1).
    events: Vec<EventData>,
    strings: Vec<String>,
    /// How many events were left out.
    #[serde(skip)]
    pub(super) left_out: usize,
}

#[derive(Serialize)]
struct ZoneData {
    name: String,
    nodes: Vec<NodeNumber>,
}

#[derive(Serialize)]
struct NodeData {
    name: String,
    address: String,
    /// Role, from, to, words.
    roles: Vec<(u8, u64, u64, usize)>,
    /// Kind, from, to, words.
    troubles: Vec<(u8, u64, u64, usize)>,
    fail: Vec<(u64, u64)>,
}

#[derive(Serialize)]
struct FailoverData {
    title: String,
    won: u64,
    parts: Vec<(&'static str, u64, u64)>,
}

#[derive(Serialize)]
struct SlotData {
    label: String,
    count: u32,
    /// From, to, served, cut off, nobody, contested, words.
    spans: Vec<(u64, u64, u16, u16, u16, u16, usize)>,
}

#[derive(Serialize)]
struct ClientData {
    bucket: u64,
    all: Buckets,
    /// Names of the ways to fail.
    kinds: Vec<&'static str>,
    /// By bucket, how often each happened; buckets without failures are left out.
    failures: BTreeMap<usize, [u32; 6]>,
    zones: Vec<ZoneBuckets>,
    /// By bucket, how many of the acknowledged writes were lost.
    lost: BTreeMap<usize, u32>,
}

#[derive(Serialize)]
struct Buckets {
    ok: Vec<u32>,
    failed: Vec<u32>,
    p50: Vec<u64>,
    p99: Vec<u64>,
}

#[derive(Serialize)]
struct ZoneBuckets {
    label: String,
    ok: Vec<u32>,
    failed: Vec<u32>,
}

/// Texts, each once.
#[derive(Default)]
struct Strings {
    places: BTreeMap<String, usize>,
    texts: Vec<String>,
}

impl Strings {
    fn place(&mut self, text: &str) -> usize {
        if let Some(&place) = self.places.get(text) {
            return place;
        }
        let place = self.texts.len();
        self.places.insert(text.to_owned(), place);
        self.texts.push(text.to_owned());
        place
    }
}

impl Data {
    /// The data of a picture.
    pub(super) fn of(model: &Model) -> Self {
        let mut strings = Strings::default();
        let mut nodes: Vec<(NodeNumber, NodeData)> = model
            .lanes()
            .map(|lane| (lane.node, node(model, lane, &mut strings)))
            .collect();
        nodes.sort_by_key(|(number, _)| *number);
        let slots = slots(model, &mut strings);
        let drawn = model.drawn(model.run, ALL_LANES, SOME_LANES);
        let (events, left_out) = events(model, &mut strings);
        Self {
            origin: model.origin_us,
            run: ends(model.run),
            window: ends(model.window),
            zones: model
                .zones
                .iter()
                .map(|zone| ZoneData {
                    name: zone.name.clone(),
                    nodes: zone
                        .lanes
                        .iter()
                        .map(|lane| lane.node)
                        .filter(|node| drawn.contains(node))
                        .collect(),
                })
                .filter(|zone| !zone.nodes.is_empty())
                .collect(),
            hidden: model.lanes().count() - drawn.len(),
            nodes: nodes.into_iter().map(|(_, node)| node).collect(),
            faults: model
                .faults
                .iter()
                .map(|fault| {
                    let [from, to] = ends(fault.span);
                    let label = fault.label().to_owned();
                    (from, to, fault.lasts, fault.words.clone(), label)
                })
                .collect(),
            weather: model
                .weather
                .iter()
                .map(|strip| {
                    let spans = strip.spans.iter().map(|span| (span.from_us, span.to_us));
                    (strip.kind.plural(), strip.words(), spans.collect())
                })
                .collect(),
            failovers: failovers(model),
            slots,
            clients: clients(model),
            kinds: EventKind::ALL.iter().map(|&kind| kind_data(kind)).collect(),
            events,
            strings: strings.texts,
            left_out,
        }
    }

    /// The data as JSON that may stand inside a script element: no `<`, `>` or `&`, and none of
    /// the line separators that old scripts stumble over.
    pub(super) fn to_json(&self) -> Result<String, serde_json::Error> {
        let json = serde_json::to_string(self)?;
        Ok(json
            .replace('<', "\\u003c")
            .replace('>', "\\u003e")
            .replace('&', "\\u0026")
            .replace('\u{2028}', "\\u2028")
            .replace('\u{2029}', "\\u2029"))
    }
}

const fn ends(span: Span) -> [u64; 2] {
    [span.from_us, span.to_us]
}

/// Ink changes with the page's colours, so the script picks it.
fn kind_data(kind: EventKind) -> (EventKind, &'static str, String, u8, &'static str) {
    let (shape, colour) = mark(kind);
    let colour = if colour == INK || colour == SOFT_INK {
        String::new()
    } else {
        colour.to_hex()
    };
    (kind, shape.name(), colour, rank(kind), kind.words())
}

fn node(model: &Model, lane: &Lane, strings: &mut Strings) -> NodeData {
    let name = |node: NodeNumber| model.header.nodes[usize::from(node)].name.as_str();
    NodeData {
        name: lane.name.clone(),
        address: lane.address.clone(),
        roles: lane
            .roles
            .iter()
            .map(|role| {
                let (code, words) = match role.role {
                    Role::Master if role.config_epoch > 0 => {
                        (0, format!("master, epoch {}", role.config_epoch))
                    }
                    Role::Master => (0, "master".to_owned()),
                    Role::EmptyMaster => (1, "master without slots".to_owned()),
                    Role::Replica { of: Some(master) } => {
                        (2, format!("replica of {}", name(master)))
                    }
                    Role::Replica { of: None } => (2, "replica".to_owned()),
                };
                let [from, to] = ends(role.span);
                (code, from, to, strings.place(&words))
            })
            .collect(),
        troubles: lane
            .troubles
            .iter()
            .map(|trouble| {
                let (code, words) = trouble_words(trouble.trouble);
                let [from, to] = ends(trouble.span);
                (code, from, to, strings.place(words))
            })
            .collect(),
        fail: lane
            .state_fail
            .iter()
            .map(|fail| (fail.from_us, fail.to_us))
            .collect(),
    }
}

const fn trouble_words(trouble: Trouble) -> (u8, &'static str) {
    match trouble {
        Trouble::Stalled(StallKind::DebugSleep) => (0, "stands still (DEBUG SLEEP)"),
        Trouble::Stalled(StallKind::Sigstop) => (0, "stands still (SIGSTOP)"),
        Trouble::Crashed(CrashKind::Kill) => (1, "crashed (SIGKILL)"),
        Trouble::Crashed(CrashKind::PowerOff) => (1, "crashed (its host lost power)"),
        Trouble::Crashed(CrashKind::Shutdown) => (1, "shut down"),
        Trouble::CutOff => (2, "cut off from most masters"),
        Trouble::PartlyCutOff => (3, "cut off from some hosts"),
    }
}

fn failovers(model: &Model) -> Vec<FailoverData> {
    let name = |node: NodeNumber| model.header.nodes[usize::from(node)].name.as_str();
    model
        .failovers
        .iter()
        .map(|failover| FailoverData {
            title: format!(
                "{} for {}",
                name(failover.winner),
                failover.master.map_or("its master", name)
            ),
            won: failover.won_us,
            parts: failover
                .parts()
                .into_iter()
                .map(|(part, span)| (part.name(), span.from_us, span.to_us))
                .collect(),
        })
        .collect()
}

fn slots(model: &Model, strings: &mut Strings) -> Vec<SlotData> {
    let rows: Vec<&SlotRow> = if model.slots.rows.len() > 24 {
        vec![&model.slots.all]
    } else {
        model.slots.rows.iter().collect()
    };
    rows.into_iter()
        .map(|row| SlotData {
            label: crate::timeline::range_words(row),
            count: row.slot_count(),
            spans: row
                .spans
                .iter()
                .map(|span| {
                    let [from, to] = ends(span.span);
                    let words = strings.place(&crate::timeline::slot_span_words(model, span));
                    (
                        from,
                        to,
                        span.served,
                        span.cut_off,
                        span.nobody,
                        span.contested,
                        words,
                    )
                })
                .collect(),
        })
        .collect()
}

fn clients(model: &Model) -> Option<ClientData> {
    let ClientStrip {
        bucket_us,
        all,
        zones,
        ok,
        failed,
    } = &model.clients;
    if ok + failed == 0 {
        return None;
    }
    let column = |count: &dyn Fn(&Bucket) -> u32, buckets: &[Bucket]| -> Vec<u32> {
        buckets.iter().map(count).collect()
    };
    let ok_of = |bucket: &Bucket| bucket.ok;
    let failed_of = |bucket: &Bucket| bucket.failed.total();
    Some(ClientData {
        bucket: *bucket_us,
        all: Buckets {
            ok: column(&ok_of, all),
            failed: column(&failed_of, all),
            p50: all.iter().map(|bucket| bucket.p50_us).collect(),
            p99: all.iter().map(|bucket| bucket.p99_us).collect(),
        },
        kinds: Bucket::default()
            .failed
            .by_kind()
            .map(|(name, _)| name)
            .to_vec(),
        failures: all
            .iter()
            .enumerate()
            .filter(|(_, bucket)| bucket.failed.total() > 0)
            .map(|(index, bucket)| (index, bucket.failed.by_kind().map(|(_, count)| count)))
            .collect(),
        zones: zones
            .iter()
            .map(|(zone, buckets)| ZoneBuckets {
                label: crate::timeline::client_zone_words(model, *zone),
                ok: column(&ok_of, buckets),
                failed: column(&failed_of, buckets),
            })
            .collect(),
        lost: all
            .iter()
            .enumerate()
            .filter(|(_, bucket)| bucket.lost > 0)
            .map(|(index, bucket)| (index, bucket.lost))
            .collect(),
    })
}

/// What the weather did of a kind that has no band of its own: kind, words, spans.
type WeatherData = (&'static str, String, Vec<(u64, u64)>);

type EventData = (u64, i32, usize, u8, u8, usize, usize, i64);

/// The events, and how many were left out.
fn events(model: &Model, strings: &mut Strings) -> (Vec<EventData>, usize) {
    let story_only = model.events.len() > MOST_EVENTS;
    let kept: Vec<&EventLine> = model
        .events
        .iter()
        .filter(|event| !story_only || event.weight == Weight::Story)
        .take(MOST_EVENTS)
        .collect();
    let left_out = model.events.len() - kept.len();
    let data = kept
        .into_iter()
        .map(|event| {
            (
                event.at_us,
                event.node.map_or(-1, i32::from),
                EventKind::ALL
                    .iter()
                    .position(|kind| *kind == event.kind)
                    .unwrap_or_default(),
                u8::from(event.weight == Weight::Story),
                event.level.map_or(0, level),
                strings.place(&event.text),
                strings.place(&event.short),
                event
                    .note
                    .as_ref()
                    .map_or(-1, |note| strings.place(note) as i64),
            )
        })
        .collect();
    (data, left_out)
}

const fn level(level: LogLevel) -> u8 {
    match level {
        LogLevel::Debug => 1,
        LogLevel::Verbose => 2,
        LogLevel::Notice => 3,
        LogLevel::Warning => 4,
    }
}
