//! What is compared.

use serde::{Deserialize, Serialize};

use super::{CLIENT_GRAIN_MS, OUTAGE_MS, Trial, Victim};

/// A time or a number that a trial gives, once or once a victim.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Quantity {
    /// Fault to the first suspicion.
    FirstPfail,
    /// Fault to each observer's suspicion.
    ObserverPfail,
    /// Fault to the first FAIL mark.
    Fail,
    /// Fault to the last FAIL mark.
    FailAll,
    /// Fault to the scheduling of the election.
    ElectionScheduled,
    /// The delay that the replica announced.
    ElectionDelay,
    /// Fault to the request for votes.
    ElectionStart,
    /// Fault to the first vote for the winner.
    FirstVote,
    /// Fault to the promotion.
    Won,
    /// Fault to the last node whose cluster state is ok again.
    StateOk,
    /// The outage of writes to the failed master's slots.
    WriteGap,
    /// The outage of writes to the other masters.
    OtherWritersGap,
    /// Fault to the last acknowledgement in the minority.
    MinorityLastAck,
    /// Acknowledged writes that were lost.
    LostWrites,
    /// First suspicion to the first FAIL mark.
    PfailToFail,
    /// First FAIL mark to the scheduling of the election.
    FailToScheduled,
    /// How much later than announced the election started.
    DelayOverrun,
    /// Time between two ticks of the replica's cron, from those that scheduled and started the
    /// election.
    TickPeriod,
    /// Promotion to the last node whose cluster state is ok again.
    WonToStateOk,
}

/// What a quantity is for.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Kind {
    /// The simulation is held to it.
    Judged,
    /// A part of what is judged, which shows at which mechanism a difference arises.
    Shown,
}

impl Quantity {
    /// All, in the order of a table.
    pub const ALL: &'static [Self] = &[
        Self::FirstPfail,
        Self::ObserverPfail,
        Self::Fail,
        Self::FailAll,
        Self::ElectionScheduled,
        Self::ElectionDelay,
        Self::ElectionStart,
        Self::FirstVote,
        Self::Won,
        Self::StateOk,
        Self::WriteGap,
        Self::OtherWritersGap,
        Self::MinorityLastAck,
        Self::LostWrites,
        Self::PfailToFail,
        Self::FailToScheduled,
        Self::DelayOverrun,
        Self::TickPeriod,
        Self::WonToStateOk,
    ];

    /// As it is written in tables and pictures.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::FirstPfail => "first PFAIL",
            Self::ObserverPfail => "PFAIL per observer",
            Self::Fail => "first FAIL",
            Self::FailAll => "FAIL on all",
            Self::ElectionScheduled => "election scheduled",
            Self::ElectionDelay => "announced delay",
            Self::ElectionStart => "election start",
            Self::FirstVote => "first vote",
            Self::Won => "election won",
            Self::StateOk => "state ok on all",
            Self::WriteGap => "write gap",
            Self::OtherWritersGap => "other writers' gap",
            Self::MinorityLastAck => "minority's last ack",
            Self::LostWrites => "lost writes",
            Self::PfailToFail => "PFAIL to FAIL",
            Self::FailToScheduled => "FAIL to scheduled",
            Self::DelayOverrun => "start past announced",
            Self::TickPeriod => "tick to tick",
            Self::WonToStateOk => "won to state ok",
        }
    }

    /// Whether the simulation is held to it.
    #[must_use]
    pub const fn kind(self) -> Kind {
        match self {
            Self::FirstPfail
            | Self::ObserverPfail
            | Self::Fail
            | Self::FailAll
            | Self::ElectionScheduled
            | Self::ElectionDelay
            | Self::ElectionStart
            | Self::FirstVote
            | Self::Won
            | Self::StateOk
            | Self::WriteGap
            | Self::OtherWritersGap
            | Self::MinorityLastAck
            | Self::LostWrites => Kind::Judged,
            Self::PfailToFail
            | Self::FailToScheduled
            | Self::DelayOverrun
            | Self::TickPeriod
            | Self::WonToStateOk => Kind::Shown,
        }
    }

    /// How far what was measured may be off, ms: 0 for what the servers logged.
    #[must_use]
    pub const fn grain_ms(self) -> f64 {
        match self {
            Self::WriteGap | Self::OtherWritersGap | Self::MinorityLastAck => CLIENT_GRAIN_MS,
            Self::FirstPfail
            | Self::ObserverPfail
            | Self::Fail
            | Self::FailAll
            | Self::ElectionScheduled
            | Self::ElectionDelay
            | Self::ElectionStart
            | Self::FirstVote
            | Self::Won
            | Self::StateOk
            | Self::LostWrites
            | Self::PfailToFail
            | Self::FailToScheduled
            | Self::DelayOverrun
            | Self::TickPeriod
            | Self::WonToStateOk => 0.0,
        }
    }

    /// Whether it is a number of things instead of ms.
    #[must_use]
    pub const fn is_count(self) -> bool {
        matches!(self, Self::LostWrites)
    }

    /// Its values in a trial; none if it did not come to that.
    #[must_use]
    pub fn values(self, trial: &Trial) -> Vec<f64> {
        let of_victims = |value: fn(&Victim) -> Option<f64>| -> Vec<f64> {
            trial.victims.iter().filter_map(value).collect()
        };
        match self {
            Self::FirstPfail => of_victims(Victim::first_pfail_ms),
            Self::ObserverPfail => {
                let victims = trial.victims.iter();
                victims
                    .flat_map(|victim| victim.pfail_by_observer_ms.iter().copied())
                    .collect()
            }
            Self::Fail => of_victims(|victim| victim.fail_ms),
            Self::FailAll => of_victims(|victim| victim.fail_all_ms),
            Self::ElectionScheduled => of_victims(|victim| victim.election_scheduled_ms),
            Self::ElectionDelay => of_victims(|victim| victim.election_delay_ms),
            Self::ElectionStart => of_victims(|victim| victim.election_start_ms),
            Self::FirstVote => of_victims(|victim| victim.first_vote_ms),
            Self::Won => of_victims(|victim| victim.won_ms),
            Self::StateOk => trial.state_ok_ms.into_iter().collect(),
            Self::WriteGap => of_victims(|victim| victim.write_gap_ms),
            Self::OtherWritersGap => {
                let gap_ms = Some(trial.other_writers_gap_ms);
                gap_ms.filter(|ms| *ms > OUTAGE_MS).into_iter().collect()
            }
            Self::MinorityLastAck => trial.minority_last_ack_ms.into_iter().collect(),
            Self::LostWrites => vec![trial.lost_writes as f64],
            Self::PfailToFail => {
                of_victims(|victim| Some(victim.fail_ms? - victim.first_pfail_ms()?))
            }
            Self::FailToScheduled => {
                of_victims(|victim| Some(victim.election_scheduled_ms? - victim.fail_ms?))
            }
            Self::DelayOverrun => of_victims(|victim| {
                let announced_ms = victim.election_scheduled_ms? + victim.election_delay_ms?;
                Some(victim.election_start_ms? - announced_ms)
            }),
            Self::TickPeriod => of_victims(Victim::tick_period_ms),
            Self::WonToStateOk => {
                let last_won_ms = of_victims(|victim| victim.won_ms)
                    .into_iter()
                    .reduce(f64::max);
                let after = trial.state_ok_ms.zip(last_won_ms);
                after
                    .map(|(ok_ms, won_ms)| ok_ms - won_ms)
                    .into_iter()
                    .collect()
            }
        }
    }
}

/// Period of the cron (`hz` 10), ms.
const CRON_MS: f64 = 100.0;

impl Victim {
    /// Both the scheduling of an election and its start happen in the cron. `None` if either did
    /// not, or was another replica's.
    fn tick_period_ms(&self) -> Option<f64> {
        let between_ms = self.election_start_ms? - self.election_scheduled_ms?;
        // A tick is at most 1.5 ms late, and there are five to eleven of them.
        let ticks = (between_ms / (CRON_MS + 0.75)).round();
        let period_ms = between_ms / ticks;
        (ticks >= 5.0 && (CRON_MS - 0.5..CRON_MS + 2.0).contains(&period_ms)).then_some(period_ms)
    }

    /// When a node first suspected it.
    #[must_use]
    pub fn first_pfail_ms(&self) -> Option<f64> {
        self.pfail_by_observer_ms.first().copied()
    }
}
