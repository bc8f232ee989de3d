//! Reading lines as `clusterLoadConfig` does.

use std::collections::BTreeMap;
use std::net::IpAddr;
use std::ops::Range;
use std::sync::Arc;

use super::error::{CUT_OFF, DAMAGED, NodesConfError, WHOLE};
use super::{FLAG_NAMES, SavedNode, SavedState};
use crate::ids::NodeId;
use crate::message::{Address, NodeFlags};
use crate::slot::{SLOT_COUNT, Slot, SlotRange, SlotSet};

/// What a bus port is from a client port where none is written (`CLUSTER_PORT_INCR`).
const BUS_PORT_OFFSET: u16 = 10_000;

/// The fields every line of a node has.
const FIELDS: [&str; 8] = [
    "id",
    "address",
    "flags",
    "master",
    "ping-sent",
    "pong-received",
    "config-epoch",
    "link-state",
];

/// Reads the output of `CLUSTER NODES`, of any version, in the order it is given. A `vars` line
/// is passed over, so that a state file can be read as well.
///
/// # Errors
/// [`NodesConfError`] names the line, the column and the field. Also if there is no node.
pub fn parse_cluster_nodes(text: &[u8]) -> Result<Vec<SavedNode>, NodesConfError> {
    let mut table = Table::default();
    for line in lines(text) {
        if !line.is_vars() {
            table.add(&line).map_err(|error| NodesConfError {
                hint: WHOLE,
                ..error
            })?;
        }
    }
    if table.nodes.is_empty() {
        let problem = "there is no line of a node".to_owned();
        return Err(end_of(text, "id", problem, WHOLE));
    }
    Ok(table.nodes)
}

pub(super) fn state(text: &[u8]) -> Result<Option<SavedState>, NodesConfError> {
    if text.is_empty() {
        return Ok(None);
    }
    let mut table = Table::default();
    let mut vars = None;
    for line in lines(text) {
        if line.is_vars() {
            vars = Some(epochs(&line)?);
        } else {
            table.add(&line)?;
        }
    }
    if !text.ends_with(b"\n") {
        let problem = "the last line has no line end".to_owned();
        return Err(end_of(text, "line", problem, CUT_OFF));
    }
    let Some((current_epoch, last_vote_epoch)) = vars else {
        let problem = "the line `vars currentEpoch N lastVoteEpoch N` is missing".to_owned();
        return Err(end_of(text, "vars", problem, CUT_OFF));
    };
    if table.myself.is_none() {
        let problem = "no node has the flag myself".to_owned();
        return Err(end_of(text, "flags", problem, DAMAGED));
    }
    Ok(Some(SavedState {
        nodes: table.nodes,
        current_epoch,
        last_vote_epoch,
    }))
}

fn end_of(text: &[u8], field: &'static str, problem: String, hint: &'static str) -> NodesConfError {
    let last_line = text
        .iter()
        .rposition(|&byte| byte == b'\n')
        .map_or(0, |place| place + 1);
    NodesConfError {
        line: 1 + text.iter().filter(|&&byte| byte == b'\n').count(),
        column: text.len() - last_line + 1,
        field,
        problem,
        span: text.len()..text.len(),
        hint,
    }
}

/// A line that is not blank, cut into words.
struct Line<'a> {
    number: usize,
    start: usize,
    words: Vec<Word<'a>>,
    end: usize,
}

#[derive(Clone, Copy)]
struct Word<'a> {
    line: usize,
    line_start: usize,
    start: usize,
    text: &'a [u8],
}

fn lines(text: &[u8]) -> impl Iterator<Item = Line<'_>> {
    let mut start = 0;
    let cut = text.split(|&byte| byte == b'\n').enumerate();
    cut.filter_map(move |(index, line)| {
        let line_start = start;
        start += line.len() + 1;
        let words = words(line, index + 1, line_start);
        (!words.is_empty()).then_some(Line {
            number: index + 1,
            start: line_start,
            words,
            end: line_start + line.len(),
        })
    })
}

fn words(line: &[u8], number: usize, line_start: usize) -> Vec<Word<'_>> {
    let mut start = line_start;
    let mut words = Vec::new();
    for text in line.split(|byte| matches!(byte, b' ' | b'\t' | b'\r')) {
        if !text.is_empty() {
            words.push(Word {
                line: number,
                line_start,
                start,
                text,
            });
        }
        start += text.len() + 1;
    }
    words
}

impl Line<'_> {
    fn is_vars(&self) -> bool {
        self.words
            .first()
            .is_some_and(|word| word.text.eq_ignore_ascii_case(b"vars"))
    }

    /// Something is missing at the end of the line.
    fn ends_early(&self, field: &'static str, problem: String) -> NodesConfError {
        NodesConfError {
            line: self.number,
            column: self.end - self.start + 1,
            field,
            problem,
            span: self.end..self.end,
            hint: CUT_OFF,
        }
    }
}

impl<'a> Word<'a> {
    fn error(self, field: &'static str, problem: String) -> NodesConfError {
        NodesConfError {
            line: self.line,
            column: self.start - self.line_start + 1,
            field,
            problem,
            span: self.start..self.start + self.text.len(),
            hint: DAMAGED,
        }
    }

    fn wrong(self, field: &'static str, expected: &str) -> NodesConfError {
        let shown = &self.text[..self.text.len().min(64)];
        let dots = if self.text.len() > 64 { "..." } else { "" };
        let found = shown.escape_ascii();
        if shown.is_empty() {
            return self.error(field, format!("expected {expected}, found nothing"));
        }
        self.error(field, format!("expected {expected}, found `{found}{dots}`"))
    }

    /// A part of the word.
    fn part(self, range: Range<usize>) -> Self {
        Self {
            start: self.start + range.start,
            text: &self.text[range],
            ..self
        }
    }

    /// The parts before and after the first `separator`.
    fn split(self, separator: u8) -> Option<(Self, Self)> {
        let place = self.text.iter().position(|&byte| byte == separator)?;
        Some((self.part(0..place), self.part(place + 1..self.text.len())))
    }

    fn parsed<T: std::str::FromStr>(
        self,
        field: &'static str,
        expected: &str,
    ) -> Result<T, NodesConfError> {
        let digits = self
            .text
            .iter()
            .all(|byte| byte.is_ascii_digit() || *byte == b'-');
        let text = std::str::from_utf8(self.text).ok().filter(|_| digits);
        let parsed = text.and_then(|text| text.parse().ok());
        parsed.ok_or_else(|| self.wrong(field, expected))
    }

    fn id(self, field: &'static str, expected: &str) -> Result<NodeId, NodesConfError> {
        NodeId::from_hex(self.text).map_err(|_| self.wrong(field, expected))
    }
}

/// `currentEpoch` and `lastVoteEpoch`. Other variables are passed over, as in Redis.
fn epochs(line: &Line<'_>) -> Result<(u64, u64), NodesConfError> {
    let (mut current, mut last_vote) = (None, None);
    for pair in line.words[1..].chunks(2) {
        let [name, value] = pair else {
            let problem = "a name without a value".to_owned();
            return Err(line.ends_early("vars", problem));
        };
        if name.text.eq_ignore_ascii_case(b"currentEpoch") {
            current = Some(value.parsed("currentEpoch", "an epoch from 0")?);
        } else if name.text.eq_ignore_ascii_case(b"lastVoteEpoch") {
            last_vote = Some(value.parsed("lastVoteEpoch", "an epoch from 0")?);
        }
    }
    match (current, last_vote) {
        (Some(current), Some(last_vote)) => Ok((current, last_vote)),
        (None, _) => Err(line.ends_early("vars", "currentEpoch is missing".to_owned())),
        (Some(_), None) => Err(line.ends_early("vars", "lastVoteEpoch is missing".to_owned())),
    }
}

/// The nodes read so far, and on which line what was.
#[derive(Default)]
struct Table {
    nodes: Vec<SavedNode>,
    lines: BTreeMap<NodeId, usize>,
    myself: Option<usize>,
    owned: SlotSet,
}

impl Table {
    fn add(&mut self, line: &Line<'_>) -> Result<(), NodesConfError> {
        let Some((fields, slots)) = line.words.split_at_checked(FIELDS.len()) else {
            let missing = FIELDS[line.words.len()];
            let problem = format!(
                "a node has {} fields, this one ends before {missing}",
                FIELDS.len()
            );
            // A word that is no id says more than that the line is short.
            line.words[0].id("id", "40 lower-case hexadecimal digits or `vars`")?;
            return Err(line.ends_early(missing, problem));
        };
        let mut node = node(fields)?;
        if let Some(first) = self.lines.insert(node.id, line.number) {
            let problem = format!("this node stands on line {first} as well");
            return Err(fields[0].error("id", problem));
        }
        if node.flags.contains(NodeFlags::MYSELF)
            && let Some(first) = self.myself.replace(line.number)
        {
            let problem = format!("the node on line {first} has the flag myself as well");
            return Err(fields[2].error("flags", problem));
        }
        self.add_slots(&mut node, slots)?;
        self.nodes.push(node);
        Ok(())
    }

    fn add_slots(
        &mut self,
        node: &mut SavedNode,
        words: &[Word<'_>],
    ) -> Result<(), NodesConfError> {
        if words.is_empty() {
            return Ok(());
        }
        let mut slots = SlotSet::new();
        for &word in words {
            if word.text.first() == Some(&b'[') {
                match migration(word)? {
                    (slot, b'>', target) => node.migrating.push((slot, target)),
                    (slot, _, source) => node.importing.push((slot, source)),
                }
                continue;
            }
            let SlotRange { first, last } = slot_range(word)?;
            for slot in first..=last {
                if !self.owned.insert(slot) {
                    return Err(word.error("slots", format!("slot {slot} has an owner already")));
                }
                slots.insert(slot);
            }
        }
        node.slots = Arc::new(slots);
        Ok(())
    }
}

fn node(fields: &[Word<'_>]) -> Result<SavedNode, NodesConfError> {
    let Place {
        address,
        hostname,
        shard_id,
    } = place(fields[1])?;
    Ok(SavedNode {
        id: fields[0].id("id", "40 lower-case hexadecimal digits")?,
        address,
        hostname,
        shard_id,
        flags: flags(fields[2])?,
        replica_of: match fields[3].text {
            b"-" => None,
            _ => Some(fields[3].id("master", "40 lower-case hexadecimal digits or `-`")?),
        },
        ping_sent_ms: fields[4].parsed("ping-sent", "Unix milliseconds")?,
        pong_received_ms: fields[5].parsed("pong-received", "Unix milliseconds")?,
        config_epoch: fields[6].parsed("config-epoch", "an epoch from 0")?,
        link_up: match fields[7].text {
            b"connected" => true,
            b"disconnected" => false,
            _ => return Err(fields[7].wrong("link-state", "`connected` or `disconnected`")),
        },
        slots: Arc::default(),
        migrating: Vec::new(),
        importing: Vec::new(),
    })
}

/// Where a node is, and what later versions write beside that.
struct Place {
    address: Address,
    hostname: Option<Box<str>>,
    shard_id: Option<NodeId>,
}

/// `ip:port[@bus-port][,hostname[,name=value...]]`; the last part is of later versions, and only the
/// shard is read of it.
fn place(word: Word<'_>) -> Result<Place, NodesConfError> {
    let (place, names) = match word.split(b',') {
        Some((place, names)) => (place, Some(names)),
        None => (word, None),
    };
    let Some(colon) = place.text.iter().rposition(|&byte| byte == b':') else {
        return Err(word.wrong("address", "ip:port@bus-port"));
    };
    let ports = place.part(colon + 1..place.text.len());
    let (port, bus_port) = match ports.split(b'@') {
        Some((port, bus_port)) => (port, Some(bus_port)),
        None => (ports, None),
    };
    let port_number: u16 = port.parsed("port", "a port from 0 to 65535")?;
    let bus_port = match bus_port {
        Some(bus_port) => bus_port.parsed("bus-port", "a port from 0 to 65535")?,
        None => port_number
            .checked_add(BUS_PORT_OFFSET)
            .ok_or_else(|| port.wrong("port", "a bus port after it, or a port up to 55535"))?,
    };
    let address = Address {
        ip: ip(place.part(0..colon))?,
        port: port_number,
        bus_port,
    };
    let mut shard_id = None;
    let mut rest = names.and_then(|names| names.split(b','));
    while let Some((_, more)) = rest {
        rest = more.split(b',');
        let field = rest.map_or(more, |(field, _)| field);
        if let Some((_, value)) = field
            .split(b'=')
            .filter(|(name, _)| name.text == b"shard-id")
        {
            shard_id = Some(value.id("shard-id", "40 lower-case hexadecimal digits")?);
        }
    }
    Ok(Place {
        address,
        hostname: names.map_or(Ok(None), hostname)?,
        shard_id,
    })
}

fn ip(word: Word<'_>) -> Result<Option<IpAddr>, NodesConfError> {
    if word.text.is_empty() {
        return Ok(None);
    }
    let text = std::str::from_utf8(word.text).ok();
    let bare = text.map(|text| {
        text.strip_prefix('[')
            .and_then(|text| text.strip_suffix(']'))
            .unwrap_or(text)
    });
    match bare.and_then(|text| text.parse().ok()) {
        Some(ip) => Ok(Some(ip)),
        None => Err(word.wrong("ip", "an IPv4 or IPv6 address, or nothing")),
    }
}

fn hostname(names: Word<'_>) -> Result<Option<Box<str>>, NodesConfError> {
    let name = names.split(b',').map_or(names, |(name, _)| name);
    let allowed = |byte: &u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'.');
    if name.text.is_empty() || name.text.contains(&b'=') {
        return Ok(None);
    }
    match std::str::from_utf8(name.text) {
        Ok(text) if name.text.iter().all(allowed) => Ok(Some(text.into())),
        Ok(_) | Err(_) => Err(name.wrong("hostname", "letters, digits, hyphens and dots")),
    }
}

fn flags(word: Word<'_>) -> Result<NodeFlags, NodesConfError> {
    let mut flags = NodeFlags::empty();
    let mut start = 0;
    for text in word.text.split(|&byte| byte == b',') {
        let part = word.part(start..start + text.len());
        start += text.len() + 1;
        let known = FLAG_NAMES
            .iter()
            .find(|(_, name)| text.eq_ignore_ascii_case(name.as_bytes()));
        match known {
            Some((flag, _)) => flags |= *flag,
            None if text.eq_ignore_ascii_case(b"noflags") => {}
            None => {
                let names = FLAG_NAMES.map(|(_, name)| name).join(", ");
                return Err(part.wrong("flags", &format!("{names} or noflags")));
            }
        }
    }
    Ok(flags)
}

fn slot(word: Word<'_>) -> Result<Slot, NodesConfError> {
    let expected = "a slot from 0 to 16383";
    let slot: Slot = word.parsed("slots", expected)?;
    if usize::from(slot) < SLOT_COUNT {
        Ok(slot)
    } else {
        Err(word.wrong("slots", expected))
    }
}

fn slot_range(word: Word<'_>) -> Result<SlotRange, NodesConfError> {
    let range = match word.split(b'-') {
        Some((first, last)) => SlotRange {
            first: slot(first)?,
            last: slot(last)?,
        },
        None => SlotRange {
            first: slot(word)?,
            last: slot(word)?,
        },
    };
    if range.first > range.last {
        return Err(word.wrong("slots", "a range in ascending order"));
    }
    Ok(range)
}

/// `[slot->-id]` or `[slot-<-id]`.
fn migration(word: Word<'_>) -> Result<(Slot, u8, NodeId), NodesConfError> {
    let expected = "[slot->-id] or [slot-<-id]";
    let wrong = || word.wrong("slots", expected);
    let (open, rest) = word.split(b'-').ok_or_else(wrong)?;
    let [arrow @ (b'>' | b'<'), b'-', .., b']'] = *rest.text else {
        return Err(wrong());
    };
    let id = rest.part(2..rest.text.len() - 1);
    let slot = slot(open.part(1..open.text.len()))?;
    Ok((
        slot,
        arrow,
        id.id("slots", "40 lower-case hexadecimal digits")?,
    ))
}
