//! Calibration: trials measured on real servers beside the same experiment simulated.
//!
//! A [`Trial`] is one experiment, whichever way it was made: [`measured::read`] reads those of real
//! servers, [`simulated::trial`] takes them from an event log. Trials of one experiment are a cell.
//! [`Comparison::of`] lays the two sides of a cell beside each other, quantity by quantity, and says
//! where the simulation lies outside of what was measured. Everything is a function of the trials.

pub mod measured;
pub mod picture;
mod quantity;
pub mod simulated;
pub mod table;
#[cfg(test)]
mod tests;

use serde::{Deserialize, Serialize};

pub use quantity::{Kind, Quantity};

use crate::statistics::{self, Interval, Quantiles};

/// What one trial showed. Times are ms after the fault.
#[derive(Clone, PartialEq, Debug, Default, Serialize, Deserialize)]
pub struct Trial {
    /// The masters that were hit.
    pub victims: Vec<Victim>,
    /// When the last of the nodes that were not hit said that its cluster state is ok again; `None`
    /// if none of them had turned to fail.
    pub state_ok_ms: Option<f64>,
    /// Longest gap between acknowledged writes to masters that were not hit.
    pub other_writers_gap_ms: f64,
    /// Number of acknowledged writes that could not be read back.
    pub lost_writes: u64,
    /// When the old master last acknowledged a write of the client that was cut off with it, before
    /// the partition healed.
    pub minority_last_ack_ms: Option<f64>,
}

/// What became of a master that was hit.
#[derive(Clone, PartialEq, Debug, Default, Serialize, Deserialize)]
pub struct Victim {
    /// When each observer suspected it (PFAIL), in order of time.
    pub pfail_by_observer_ms: Vec<f64>,
    /// When a node first marked it FAIL.
    pub fail_ms: Option<f64>,
    /// When the last of the nodes that were not hit marked it FAIL, if all did.
    pub fail_all_ms: Option<f64>,
    /// When a replica of it first scheduled an election.
    pub election_scheduled_ms: Option<f64>,
    /// The delay it announced.
    pub election_delay_ms: Option<f64>,
    /// When a replica of it first asked for votes.
    pub election_start_ms: Option<f64>,
    /// When a master first voted for the winner.
    pub first_vote_ms: Option<f64>,
    /// When the winner was promoted.
    pub won_ms: Option<f64>,
    /// Whether another node owned its slots at the end.
    pub failover: bool,
    /// Longest gap between acknowledged writes to its slots.
    pub write_gap_ms: Option<f64>,
}

/// A cell: measured and simulated, side by side.
#[derive(Clone, PartialEq, Debug, Serialize)]
pub struct Comparison {
    /// The cell's name.
    pub cell: String,
    /// Number of measured trials.
    pub measured_trials: usize,
    /// Number of simulated trials.
    pub simulated_trials: usize,
    /// Times and numbers, by quantity.
    pub rows: Vec<Row>,
    /// How often things happened.
    pub shares: Vec<ShareRow>,
}

/// A quantity of a cell.
#[derive(Clone, PartialEq, Debug, Serialize)]
pub struct Row {
    /// Which.
    pub quantity: Quantity,
    /// What was measured.
    pub measured: Side,
    /// What the simulation gave.
    pub simulated: Side,
    /// The 95 % bootstrap interval of the measured median; whole trials are resampled.
    pub median_interval: Interval,
    /// p-value of the two-sample Kolmogorov-Smirnov test.
    pub p_value: f64,
    /// Whether the simulation is held to it: it is to be judged, and there are enough trials.
    pub is_judged: bool,
    /// What lies outside.
    pub outside: Vec<Outside>,
}

/// One side of a row.
#[derive(Clone, PartialEq, Debug, Serialize)]
pub struct Side {
    /// Quantiles of the values.
    pub quantiles: Quantiles,
    /// The values, ascending.
    pub values: Vec<f64>,
}

/// How often something happened in a cell.
#[derive(Clone, PartialEq, Debug, Serialize)]
pub struct ShareRow {
    /// What.
    pub share: Share,
    /// How often it was measured.
    pub measured: Count,
    /// The Wilson interval of the measured share, 95 %.
    pub interval: Interval,
    /// How often it was simulated.
    pub simulated: Count,
    /// Whether the simulated share lies outside.
    pub is_outside: bool,
}

/// So many of so many.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize)]
pub struct Count {
    /// Times it happened.
    pub hits: usize,
    /// Times it could have happened.
    pub of: usize,
}

/// What either happens or not.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Share {
    /// A node suspected the master (PFAIL).
    Pfail,
    /// The master was marked FAIL.
    Fail,
    /// The master lost its slots to a replica.
    Failover,
    /// Writes to the masters that were not hit stopped too.
    OthersStopped,
}

/// How a simulated quantity lies outside of the measured one.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Outside {
    /// Its median is not in the interval of the measured median.
    Median,
    /// The Kolmogorov-Smirnov test rejects that both are one distribution.
    Distribution,
    /// It rejects that, but not if what the measuring client saw may be off by its grain
    /// ([`CLIENT_GRAIN_MS`]).
    Grain,
}

/// The interval of the measured median is widened by this share of its bounds.
pub const WIDENED_BY: f64 = 0.05;

/// The Kolmogorov-Smirnov test rejects below this p-value.
pub const REJECTED_BELOW: f64 = 0.01;

/// How late the measuring client may have noticed an answer, ms. It is one of several threads of one
/// interpreter, and a thread that wakes waits for the interpreter's lock until the thread that
/// computes gives it up: up to 5 ms (CPython's switch interval).
pub const CLIENT_GRAIN_MS: f64 = 5.0;

/// A pause between writes that is longer is an outage; shorter ones are the client's own.
pub const OUTAGE_MS: f64 = 50.0;

/// Shares may differ by this much.
pub const SHARES_WITHIN: f64 = 0.10;

/// Fewer values than this say nothing about a distribution: the row is shown, not judged.
pub const FEWEST_JUDGED: usize = 5;

impl Comparison {
    /// Lays the two sides of a cell beside each other.
    #[must_use]
    pub fn of(cell: &str, measured: &[Trial], simulated: &[Trial]) -> Self {
        Self {
            cell: cell.to_owned(),
            measured_trials: measured.len(),
            simulated_trials: simulated.len(),
            rows: Quantity::ALL
                .iter()
                .filter_map(|quantity| Row::of(*quantity, measured, simulated))
                .collect(),
            shares: Share::ALL
                .iter()
                .map(|share| ShareRow::of(*share, measured, simulated))
                .collect(),
        }
    }

    /// What lies outside, as the list of known differences names it:
    /// `fail: median`, `failover: share`.
    #[must_use]
    pub fn outside(&self) -> Vec<String> {
        let rows = self.rows.iter().flat_map(|row| {
            let name = row.quantity.name();
            row.outside.iter().map(move |what| match what {
                Outside::Median => format!("{name}: median"),
                Outside::Distribution => format!("{name}: distribution"),
                Outside::Grain => format!("{name}: grain"),
            })
        });
        let shares = self.shares.iter().filter(|row| row.is_outside);
        rows.chain(shares.map(|row| format!("{}: share", row.share.name())))
            .collect()
    }
}

impl Row {
    /// `None` if a side has no values.
    fn of(quantity: Quantity, measured: &[Trial], simulated: &[Trial]) -> Option<Self> {
        let by_trial = |trials: &[Trial]| -> Vec<Vec<f64>> {
            let values = trials.iter().map(|trial| quantity.values(trial));
            values.filter(|values| !values.is_empty()).collect()
        };
        let (measured, simulated) = (by_trial(measured), by_trial(simulated));
        let median_interval = statistics::median_interval(&measured)?;
        let p_value = statistics::kolmogorov_smirnov(&measured, &simulated)?;
        let grain_ms = quantity.grain_ms();
        let p_within = statistics::kolmogorov_smirnov_within(&measured, &simulated, grain_ms)?;
        let (trials, measured) = (measured.len(), Side::of(measured)?);
        let simulated = Side::of(simulated)?;
        let mut outside = Vec::new();
        let is_judged = trials >= FEWEST_JUDGED && quantity.kind() == Kind::Judged;
        if is_judged {
            let widened = median_interval.widened(WIDENED_BY);
            if !widened.contains(simulated.quantiles.p50) {
                outside.push(Outside::Median);
            }
            if p_within < REJECTED_BELOW {
                outside.push(Outside::Distribution);
            } else if p_value < REJECTED_BELOW {
                outside.push(Outside::Grain);
            }
        }
        Some(Self {
            quantity,
            measured,
            simulated,
            median_interval,
            p_value,
            is_judged,
            outside,
        })
    }
}

impl Side {
    fn of(by_trial: Vec<Vec<f64>>) -> Option<Self> {
        let mut values: Vec<f64> = by_trial.into_iter().flatten().collect();
        values.sort_unstable_by(f64::total_cmp);
        let quantiles = Quantiles::of(&values)?;
        Some(Self { quantiles, values })
    }
}

impl ShareRow {
    fn of(share: Share, measured: &[Trial], simulated: &[Trial]) -> Self {
        let (measured, simulated) = (share.count(measured), share.count(simulated));
        let interval = statistics::wilson(measured.hits, measured.of);
        let near = Interval {
            low: interval.low.min(measured.share() - SHARES_WITHIN),
            high: interval.high.max(measured.share() + SHARES_WITHIN),
        };
        Self {
            share,
            measured,
            interval,
            simulated,
            is_outside: !near.contains(simulated.share()),
        }
    }
}

impl Share {
    /// All, in the order of a table.
    pub const ALL: &'static [Self] =
        &[Self::Pfail, Self::Fail, Self::Failover, Self::OthersStopped];

    /// As it is written in tables.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Pfail => "PFAIL seen",
            Self::Fail => "FAIL seen",
            Self::Failover => "failover",
            Self::OthersStopped => "others stopped",
        }
    }

    fn count(self, trials: &[Trial]) -> Count {
        let happened = |victim: &Victim| match self {
            Self::Pfail => !victim.pfail_by_observer_ms.is_empty(),
            Self::Fail => victim.fail_ms.is_some(),
            Self::Failover => victim.failover,
            Self::OthersStopped => false,
        };
        if self == Self::OthersStopped {
            let stopped = |trial: &&Trial| trial.other_writers_gap_ms > OUTAGE_MS;
            return Count {
                hits: trials.iter().filter(stopped).count(),
                of: trials.len(),
            };
        }
        let victims = trials.iter().flat_map(|trial| &trial.victims);
        Count {
            hits: victims.clone().filter(|victim| happened(victim)).count(),
            of: victims.count(),
        }
    }
}

impl Count {
    /// 0 to 1; 0 if it could not have happened.
    #[must_use]
    pub fn share(self) -> f64 {
        if self.of == 0 {
            return 0.0;
        }
        self.hits as f64 / self.of as f64
    }
}
