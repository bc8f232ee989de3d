//! Event logs as NDJSON files, and their hash.

mod canonical;

use std::fmt;
use std::io::{self, BufRead, Write};

use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

use crate::trace::{Header, Record, SCHEMA_VERSION, Trace};

/// The hash of an event log: equal for equal logs, on any number of threads, in any build.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Serialize, Deserialize)]
#[serde(into = "String", try_from = "String")]
pub struct TraceHash(pub u128);

/// Why an event log cannot be read.
#[derive(Debug, thiserror::Error)]
pub enum TraceError {
    /// The file or pipe failed.
    #[error("cannot read the event log after line {line}")]
    Io {
        /// The last line that could be read, from 1; 0 if there was none.
        line: usize,
        /// Why.
        source: io::Error,
    },
    /// There is not even a header.
    #[error("the event log is empty: its first line must be the header of a run")]
    Empty,
    /// A line is not what it should be.
    #[error("line {line} of the event log is not a {wanted}")]
    Line {
        /// The line, from 1.
        line: usize,
        /// What it should be.
        wanted: &'static str,
        /// Why it is not.
        source: serde_json::Error,
    },
    /// Another version of redrill wrote it.
    #[error(
        "the event log has schema version {found}, this build reads {SCHEMA_VERSION}: \
         run the drill again, or use the version that wrote it"
    )]
    Version {
        /// The version found.
        found: u32,
    },
}

/// Writes an event log: the header, then one record a line.
///
/// # Errors
/// If `out` fails.
pub fn write(trace: &Trace, mut out: impl Write) -> io::Result<()> {
    write_line(&trace.header, &mut out)?;
    for record in &trace.records {
        write_line(record, &mut out)?;
    }
    out.flush()
}

/// Reads an event log. Empty lines are skipped.
///
/// # Errors
/// [`TraceError`], with the line.
pub fn read(input: impl BufRead) -> Result<Trace, TraceError> {
    let mut lines = Lines {
        input,
        text: String::new(),
        line: 0,
    };
    let Some(version) = lines.next::<SchemaVersion>("header")? else {
        return Err(TraceError::Empty);
    };
    if version.schema_version != SCHEMA_VERSION {
        return Err(TraceError::Version {
            found: version.schema_version,
        });
    }
    let header: Header = lines.parse("header")?;
    let mut records = Vec::new();
    while let Some(record) = lines.next::<Record>("record")? {
        records.push(record);
    }
    Ok(Trace { header, records })
}

impl TraceHash {
    /// The hash of a log.
    #[must_use]
    pub fn of(trace: &Trace) -> Self {
        let mut hasher = canonical::Hasher::default();
        hasher.add(&trace.header);
        for record in &trace.records {
            hasher.add_record(record);
        }
        Self(hasher.finish())
    }
}

impl fmt::Display for TraceHash {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{:032x}", self.0)
    }
}

impl From<TraceHash> for String {
    fn from(hash: TraceHash) -> Self {
        hash.to_string()
    }
}

/// A text was not 32 hexadecimal digits.
#[derive(Clone, Copy, PartialEq, Eq, Debug, thiserror::Error)]
#[error("a trace hash has 32 hexadecimal digits")]
pub struct InvalidTraceHash;

impl TryFrom<String> for TraceHash {
    type Error = InvalidTraceHash;

    fn try_from(text: String) -> Result<Self, InvalidTraceHash> {
        if text.len() != 32 {
            return Err(InvalidTraceHash);
        }
        u128::from_str_radix(&text, 16)
            .map(Self)
            .map_err(|_| InvalidTraceHash)
    }
}

#[derive(Deserialize)]
#[serde(rename_all = "kebab-case")]
struct SchemaVersion {
    schema_version: u32,
}

struct Lines<R> {
    input: R,
    text: String,
    line: usize,
}

impl<R: BufRead> Lines<R> {
    fn next<T: DeserializeOwned>(&mut self, wanted: &'static str) -> Result<Option<T>, TraceError> {
        loop {
            self.text.clear();
            let read = self.input.read_line(&mut self.text);
            if read.map_err(|source| TraceError::Io {
                line: self.line,
                source,
            })? == 0
            {
                return Ok(None);
            }
            self.line += 1;
            if !self.text.trim().is_empty() {
                return self.parse(wanted).map(Some);
            }
        }
    }

    /// Reads the current line.
    fn parse<T: DeserializeOwned>(&self, wanted: &'static str) -> Result<T, TraceError> {
        serde_json::from_str(&self.text).map_err(|source| TraceError::Line {
            line: self.line,
            wanted,
            source,
        })
    }
}

fn write_line(value: &impl Serialize, out: &mut impl Write) -> io::Result<()> {
    serde_json::to_writer(&mut *out, value)?;
    out.write_all(b"\n")
}

#[cfg(test)]
mod tests {
    use redrill_node::{Engine, Fact, NodeId, ReplicationId, SlotRange, VoteRefusal};

    use super::*;
    use crate::trace::{Event, NodeInfo, Operation, Outcome, Phase, StateLoad};

    fn trace() -> Trace {
        let node = NodeInfo {
            name: "m1".into(),
            id: NodeId([7; 20]),
            zone: 0,
            address: "127.0.0.1:7000".into(),
            replica_of: None,
            slots: vec![SlotRange {
                first: 0,
                last: 16383,
            }],
            persistent: true,
        };
        let header = Header {
            schema_version: SCHEMA_VERSION,
            drill: "kill-master".into(),
            question: None,
            seed: 7,
            world: "turmoil".into(),
            engine: Engine::Redis70,
            node_timeout_ms: 2000,
            config: [("cluster-node-timeout".to_owned(), "2000".to_owned())].into(),
            zones: vec!["a".into()],
            nodes: vec![node],
            clients: vec![],
            epoch_ms: 1_700_000_000_000,
            converge_within_us: 5,
        };
        let refused = Fact::VoteRefused {
            to: NodeId([1; 20]),
            epoch: 4,
            why: Box::new(VoteRefusal::StaleEpoch { current_epoch: 5 }),
        };
        let operation = Operation {
            client: 0,
            number: 3,
            issued_us: 17,
            write: Some(u64::MAX),
            key: 5,
            slot: 9,
            node: None,
            requests: 2,
            outcome: Outcome::Timeout,
        };
        let loaded = StateLoad::Whole {
            current_epoch: 4,
            last_vote_epoch: 3,
        };
        let suspected = Fact::PossiblyFailing {
            node: NodeId([2; 20]),
        };
        let events = [
            Event::Phase { phase: Phase::Form },
            Event::Node {
                node: 0,
                fact: refused,
            },
            Event::Node {
                node: 0,
                fact: suspected,
            },
            Event::StateLoaded {
                node: 0,
                outcome: loaded,
            },
            Event::Operation(operation),
        ];
        let records = events.into_iter().zip(1..);
        let records = records
            .map(|(event, at_us)| Record { at_us, event })
            .collect();
        Trace { header, records }
    }

    fn written(trace: &Trace) -> String {
        let mut bytes = Vec::new();
        write(trace, &mut bytes).unwrap();
        String::from_utf8(bytes).unwrap()
    }

    #[test]
    fn a_log_reads_back_as_it_was_written() {
        let trace = trace();
        assert_eq!(read(written(&trace).as_bytes()).unwrap(), trace);
    }

    #[test]
    fn an_error_names_its_line() {
        let mut text = written(&trace());
        text.push_str("{\"at_us\":1,\"event\":\"earthquake\"}\n");
        let error = read(text.as_bytes()).unwrap_err();
        assert_eq!(error.to_string(), "line 7 of the event log is not a record");
        let cut = &text[..text.len() / 2];
        assert!(matches!(read(cut.as_bytes()), Err(TraceError::Line { .. })));
        assert!(matches!(read(&b""[..]), Err(TraceError::Empty)));
    }

    #[test]
    fn another_schema_version_is_refused_even_if_the_rest_is_unknown() {
        let error = read(&b"{\"schema-version\":99,\"planet\":1}\n"[..]).unwrap_err();
        assert!(
            matches!(error, TraceError::Version { found: 99 }),
            "{error}"
        );
    }

    #[test]
    fn every_change_changes_the_hash() {
        let base = trace();
        let hash = TraceHash::of(&base);
        assert_eq!(hash, TraceHash::of(&base.clone()));
        let mut later = base.clone();
        later.records[2].at_us += 1;
        let mut other_seed = base.clone();
        other_seed.header.seed = 8;
        let mut swapped = base.clone();
        swapped.records.swap(1, 2);
        let mut shorter = base;
        shorter.records.pop();
        for other in [later, other_seed, swapped, shorter] {
            assert_ne!(hash, TraceHash::of(&other));
        }
    }

    #[test]
    fn everything_that_clients_do_changes_the_hash() {
        let operation = Operation {
            client: 1,
            number: 2,
            issued_us: 3,
            write: None,
            key: 4,
            slot: 5,
            node: None,
            requests: 6,
            outcome: Outcome::Ok,
        };
        let changes: [fn(&mut Operation); 11] = [
            |operation| operation.client = 9,
            |operation| operation.number = 9,
            |operation| operation.issued_us = 9,
            |operation| operation.write = Some(0),
            |operation| operation.write = Some(9),
            |operation| operation.key = 9,
            |operation| operation.slot = 9,
            |operation| operation.node = Some(0),
            |operation| operation.node = Some(9),
            |operation| operation.requests = 9,
            |operation| operation.outcome = Outcome::Lost,
        ];
        let mut events = vec![Event::Operation(operation)];
        for change in changes {
            let mut changed = operation;
            change(&mut changed);
            events.push(Event::Operation(changed));
        }
        for (key, found, node) in [
            (1, None, None),
            (2, None, None),
            (1, Some(0), None),
            (1, Some(3), None),
            (1, None, Some(0)),
            (1, None, Some(1)),
        ] {
            events.push(Event::Audited { key, found, node });
        }
        let id = |place: usize| {
            let mut bytes = [0; 20];
            bytes[place] = 1;
            ReplicationId(bytes)
        };
        for (node, id, offset, digest) in [
            (0, id(0), 1, 2),
            (1, id(0), 1, 2),
            (0, id(19), 1, 2),
            (0, id(8), 1, 2),
            (0, id(0), 3, 2),
            (0, id(0), 1, 3),
        ] {
            let fact = Fact::Stream { id, offset, digest };
            events.push(Event::Node { node, fact });
        }
        for (node, write, offset) in [(0, 1, 2), (1, 1, 2), (0, 3, 2), (0, 1, 3)] {
            let fact = Fact::Wrote { write, offset };
            events.push(Event::Node { node, fact });
        }
        let mut hashes: Vec<TraceHash> = events
            .into_iter()
            .map(|event| {
                let mut one = trace();
                one.records = vec![Record { at_us: 1, event }];
                TraceHash::of(&one)
            })
            .collect();
        let count = hashes.len();
        hashes.sort_unstable_by_key(|hash| hash.0);
        hashes.dedup();
        assert_eq!(hashes.len(), count);
    }

    #[test]
    fn a_hash_reads_back_from_its_text() {
        let hash = TraceHash(0x1234);
        let text = serde_json::to_string(&hash).unwrap();
        assert_eq!(text, "\"00000000000000000000000000001234\"");
        assert_eq!(serde_json::from_str::<TraceHash>(&text).unwrap(), hash);
        assert!(serde_json::from_str::<TraceHash>("\"+234\"").is_err());
    }
}
