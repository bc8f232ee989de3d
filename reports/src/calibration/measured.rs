//! Trials of real servers: JSON lines, one a trial.

use serde::{Deserialize, Deserializer};
use serde_json::Value;

use super::{Trial, Victim};

/// Trials of one experiment.
#[derive(Clone, PartialEq, Debug)]
pub struct Cell {
    /// Its name: the label of its trials.
    pub name: String,
    /// What was done.
    pub experiment: Experiment,
    /// What came of it.
    pub trials: Vec<Trial>,
}

/// What was done to a cluster.
#[derive(Clone, PartialEq, Debug, Deserialize)]
pub struct Experiment {
    /// Name and version of the server, as in `redis 7.0.15`.
    pub server: String,
    /// The fault.
    pub fault: Fault,
    /// `cluster-node-timeout`, ms.
    pub node_timeout_ms: u32,
    /// Length of a stall or a partition, in node-timeouts.
    pub stall_factor: Option<f64>,
    /// Number of masters.
    pub masters: usize,
    /// Number of replicas of each.
    pub replicas_per_master: usize,
    /// `cluster-require-full-coverage`, `yes` or `no`.
    pub full_coverage: String,
    /// Writes per second to each master.
    pub write_rate: f64,
    /// When a client gives a write up, ms.
    pub op_timeout_ms: f64,
    /// Whether a further client stuck to the master that was hit.
    #[serde(default, deserialize_with = "absent_is_false")]
    pub stale_writer: bool,
}

/// What hit a cluster.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Fault {
    /// `SIGKILL` to one master.
    Kill,
    /// `SIGKILL` to a master and one of its replicas.
    KillMasterReplica,
    /// `SIGKILL` to two masters.
    Kill2,
    /// `DEBUG SLEEP` on one master.
    DebugSleep,
    /// `SIGSTOP` to one master, later `SIGCONT`.
    Stop,
    /// `SIGSTOP` to two masters, later `SIGCONT`.
    Stop2,
    /// One master and one client are cut off from all others.
    Partition,
}

/// A line that is no trial.
#[derive(Debug, thiserror::Error)]
#[error("line {line}, column {}: this is not a measured trial: {source}", source.column())]
pub struct NoTrial {
    /// Which line, from 1.
    pub line: usize,
    /// What is wrong with it.
    source: serde_json::Error,
}

impl Experiment {
    /// How long a stall or a partition lasted, ms; `None` for a kill.
    #[must_use]
    pub fn stall_ms(&self) -> Option<f64> {
        self.stall_factor
            .map(|factor| factor * f64::from(self.node_timeout_ms))
    }
}

fn absent_is_false<'de, D: Deserializer<'de>>(deserializer: D) -> Result<bool, D::Error> {
    Option::<bool>::deserialize(deserializer).map(Option::unwrap_or_default)
}

/// Reads trials and puts those of one experiment together, in the order in which they come. Empty
/// lines and trials that failed are left out.
///
/// # Errors
/// [`NoTrial`] for the first line that is none.
pub fn read(text: &str) -> Result<Vec<Cell>, NoTrial> {
    let mut cells: Vec<Cell> = Vec::new();
    for (line, text) in (1..).zip(text.lines()) {
        if text.trim().is_empty() {
            continue;
        }
        let raw: RawTrial =
            serde_json::from_str(text).map_err(|source| NoTrial { line, source })?;
        if raw.error.is_some() {
            continue;
        }
        let trial = raw.trial();
        let same = |cell: &&mut Cell| cell.name == raw.label && cell.experiment == raw.experiment;
        match cells.iter_mut().find(same) {
            Some(cell) => cell.trials.push(trial),
            None => cells.push(Cell {
                name: raw.label,
                experiment: raw.experiment,
                trials: vec![trial],
            }),
        }
    }
    Ok(cells)
}

#[derive(Deserialize)]
struct RawTrial {
    #[serde(flatten)]
    experiment: Experiment,
    label: String,
    error: Option<String>,
    hit: Vec<u64>,
    victims: Vec<RawVictim>,
    /// `[node, ms, event, ..]`
    log_events: Vec<Vec<Value>>,
    other_writers_max_gap_ms: f64,
    lost: u64,
    minority: Option<RawMinority>,
}

#[derive(Deserialize)]
struct RawVictim {
    pfail_by_node: std::collections::BTreeMap<String, f64>,
    fail_ms: Option<f64>,
    fail_all_ms: Option<f64>,
    election_delayed_ms: Option<f64>,
    election_delay: Option<f64>,
    election_start_ms: Option<f64>,
    first_vote_ms: Option<f64>,
    won_ms: Option<f64>,
    failover: bool,
    client: RawClient,
}

#[derive(Deserialize)]
struct RawClient {
    gap_ms: f64,
}

#[derive(Deserialize)]
struct RawMinority {
    last_ack_ms: Option<f64>,
}

impl RawTrial {
    fn trial(&self) -> Trial {
        Trial {
            victims: self.victims.iter().map(RawVictim::victim).collect(),
            state_ok_ms: self.state_ok_ms(),
            other_writers_gap_ms: self.other_writers_max_gap_ms,
            lost_writes: self.lost,
            minority_last_ack_ms: self.minority.as_ref().and_then(|it| it.last_ack_ms),
        }
    }

    /// From the servers' logs: sampling the state adds up to its interval.
    fn state_ok_ms(&self) -> Option<f64> {
        let events = self.log_events.iter().filter_map(|event| {
            let node = event.first()?.as_u64()?;
            let at_ms = event.get(1)?.as_f64()?;
            let is_ok = event.get(2)?.as_str()? == "state" && event.get(3)?.as_str()? == "ok";
            (is_ok && at_ms >= 0.0 && !self.hit.contains(&node)).then_some(at_ms)
        });
        events.reduce(f64::max)
    }
}

impl RawVictim {
    fn victim(&self) -> Victim {
        let mut pfail: Vec<f64> = self.pfail_by_node.values().copied().collect();
        pfail.sort_unstable_by(f64::total_cmp);
        Victim {
            pfail_by_observer_ms: pfail,
            fail_ms: self.fail_ms,
            fail_all_ms: self.fail_all_ms,
            election_scheduled_ms: self.election_delayed_ms,
            election_delay_ms: self.election_delay,
            election_start_ms: self.election_start_ms,
            first_vote_ms: self.first_vote_ms,
            won_ms: self.won_ms,
            failover: self.failover,
            write_gap_ms: Some(self.client.gap_ms),
        }
    }
}
