//! Promotions: what caused each, and how long its phases took.

use redrill_node::{Fact, FailoverKind, SlotRange};
use redrill_sim::checkers::Picture;
use redrill_sim::trace::{ClientNumber, Event, FaultKind, Header, NodeNumber, Outcome, Record};
use redrill_sim::weather::WeatherKind;
use serde::{Deserialize, Serialize};

use super::outages::{Fault, Outage, Outages};
use super::{Clock, since_ms};

/// A promotion and the times that led to it, ms after the fault that caused it.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
pub struct Failover {
    /// The old master.
    pub node: String,
    /// The replica that was promoted.
    pub promoted: String,
    /// The epoch it won.
    pub epoch: u64,
    /// How it came about.
    pub how: FailoverHow,
    /// The step of the script that caused it, from 0; without a cause, the last one before it.
    pub step: Option<u16>,
    /// The weather that caused it, if no step did.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub weather: Option<WeatherKind>,
    /// Whether the old master was not really out for as long as the node-timeout.
    #[serde(rename = "false")]
    pub is_false: bool,
    /// When the fault began, ms after the cluster had formed: the old master's outage, or the
    /// operator's command. `None`: nothing caused it, and the times below count from the first
    /// suspicion.
    pub fault_at_ms: Option<f64>,
    /// When a node first suspected the old master.
    pub first_pfail_ms: Option<f64>,
    /// When a node first marked it FAIL.
    pub fail_ms: Option<f64>,
    /// When a replica of it first asked for votes.
    pub election_start_ms: Option<f64>,
    /// When a master first voted for the winner.
    pub first_vote_ms: Option<f64>,
    /// When the winner was promoted.
    pub won_ms: f64,
    /// When the last of the nodes that were not hit said its cluster state is ok again; `None` if
    /// none of them had turned to fail, or one never came back.
    pub state_ok_ms: Option<f64>,
    /// Longest gap between acknowledged writes to the old master's slots that ends after the fault
    /// and begins before the next outage, by clients that could reach the winner. If no write
    /// succeeds any more, it lasts until the load ends. `None` if nobody wrote to them.
    pub write_gap_ms: Option<f64>,
}

/// How a promotion came about.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum FailoverHow {
    /// The master failed.
    Automatic,
    /// `CLUSTER FAILOVER`.
    Manual,
    /// `CLUSTER FAILOVER FORCE`.
    Force,
    /// `CLUSTER FAILOVER TAKEOVER`.
    Takeover,
}

impl From<FailoverKind> for FailoverHow {
    fn from(kind: FailoverKind) -> Self {
        match kind {
            FailoverKind::Automatic => Self::Automatic,
            FailoverKind::Manual => Self::Manual,
            FailoverKind::Force => Self::Force,
            FailoverKind::Takeover => Self::Takeover,
        }
    }
}

/// What is kept of a log to tell of its failovers.
#[derive(Debug)]
pub(super) struct Evidence {
    wins: Vec<Win>,
    suspicions: Vec<About>,
    marks: Vec<Mark>,
    elections: Vec<About>,
    votes: Vec<About>,
    /// By node: when its cluster state changed, and to what.
    states: Vec<Vec<(u64, bool)>>,
    /// By node: when it last accepted a manual failover, and the step that asked for it.
    asked: Vec<Option<(u64, Option<u16>)>>,
    acknowledged: Vec<Acknowledged>,
    /// The nodes that steps ran commands on.
    runs: Vec<(u16, Vec<NodeNumber>)>,
}

/// Something about a node.
#[derive(Clone, Copy, Debug)]
struct About {
    at_us: u64,
    node: NodeNumber,
}

#[derive(Clone, Copy, Debug)]
struct Mark {
    at_us: u64,
    node: NodeNumber,
    /// Whether nobody held it for failed before.
    begins: bool,
}

#[derive(Clone, Copy, Debug)]
struct Acknowledged {
    at_us: u64,
    slot: u16,
    client: ClientNumber,
}

#[derive(Debug)]
struct Win {
    at_us: u64,
    node: NodeNumber,
    master: Option<NodeNumber>,
    master_name: String,
    how: FailoverKind,
    epoch: u64,
    asked: Option<(u64, Option<u16>)>,
    /// The slots it took.
    slots: Vec<SlotRange>,
    /// The clients that could not reach it.
    out_of_reach: Vec<ClientNumber>,
}

impl Evidence {
    pub(super) fn new(header: &Header) -> Self {
        let nodes = header.nodes.len();
        Self {
            wins: Vec::new(),
            suspicions: Vec::new(),
            marks: Vec::new(),
            elections: Vec::new(),
            votes: Vec::new(),
            states: vec![Vec::new(); nodes],
            asked: vec![None; nodes],
            acknowledged: Vec::new(),
            runs: Vec::new(),
        }
    }

    /// Sees a record that the picture has not taken in yet.
    pub(super) fn observe(&mut self, picture: &Picture<'_>, record: &Record) {
        let at_us = record.at_us;
        match &record.event {
            Event::Node { node, fact } => self.observe_fact(picture, *node, fact, at_us),
            Event::Operation(operation) => {
                if operation.outcome == Outcome::Ok && operation.write.is_some() {
                    let (slot, client) = (operation.slot, operation.client);
                    self.acknowledged.push(Acknowledged {
                        at_us,
                        slot,
                        client,
                    });
                }
            }
            Event::FaultBegan {
                step,
                fault: FaultKind::Run,
                nodes,
                ..
            } => self.runs.push((*step, nodes.to_vec())),
            Event::FaultBegan { .. }
            | Event::FaultEnded { .. }
            | Event::Phase { .. }
            | Event::Process { .. }
            | Event::StateSaved { .. }
            | Event::StateLoaded { .. }
            | Event::FaultMissed { .. }
            | Event::WeatherBegan { .. }
            | Event::WeatherEnded { .. }
            | Event::Operator { .. }
            | Event::Audited { .. }
            | Event::Remark { .. } => {}
        }
    }

    fn observe_fact(&mut self, picture: &Picture<'_>, node: NodeNumber, fact: &Fact, at_us: u64) {
        if let Fact::ClusterState { ok, .. } = fact {
            if let Some(states) = self.states.get_mut(usize::from(node)) {
                states.push((at_us, *ok));
            }
        } else if let Fact::PossiblyFailing { node: suspect } = fact {
            self.suspicions
                .extend(picture.number(*suspect).map(|node| About { at_us, node }));
        } else if let Fact::MarkedFailing { node: suspect, .. } = fact {
            let Some(node) = picture.number(*suspect) else {
                return;
            };
            let begins = !picture
                .running()
                .any(|(_, viewer)| viewer.view.peer(node).failed);
            self.marks.push(Mark {
                at_us,
                node,
                begins,
            });
        } else if let Fact::ElectionStarted { master, .. } = fact {
            self.elections
                .extend(picture.number(*master).map(|node| About { at_us, node }));
        } else if let Fact::VoteGranted { to, .. } = fact {
            self.votes
                .extend(picture.number(*to).map(|node| About { at_us, node }));
        } else if let Fact::ManualFailoverAccepted { .. } = fact {
            let step = self
                .runs
                .iter()
                .rfind(|(_, nodes)| nodes.contains(&node))
                .map(|(step, _)| *step);
            if let Some(asked) = self.asked.get_mut(usize::from(node)) {
                *asked = Some((at_us, step));
            }
        } else if let Fact::ElectionWon {
            epoch, master, how, ..
        } = fact
        {
            let number = picture.number(*master);
            let view = picture.node(node).map(|node| &node.view);
            let slots = number.zip(view).map_or_else(Vec::new, |(master, view)| {
                view.slots.ranges_of(master).collect()
            });
            self.wins.push(Win {
                at_us,
                node,
                master: number,
                master_name: picture.name_of(*master),
                how: *how,
                epoch: *epoch,
                asked: self.asked.get(usize::from(node)).copied().flatten(),
                slots,
                out_of_reach: picture.reach.clients_cut_from(node),
            });
        }
    }

    /// The failovers of the log, in order.
    pub(super) fn failovers(
        &self,
        picture: &Picture<'_>,
        outages: &Outages,
        clock: &Clock,
    ) -> Vec<Failover> {
        let timeout_us = picture.node_timeout_us();
        self.wins
            .iter()
            .map(|win| self.failover(win, picture, outages, clock, timeout_us))
            .collect()
    }

    fn failover(
        &self,
        win: &Win,
        picture: &Picture<'_>,
        outages: &Outages,
        clock: &Clock,
        timeout_us: u64,
    ) -> Failover {
        let automatic = win.how == FailoverKind::Automatic;
        let failed_us = self.failed_us(win).unwrap_or(win.at_us);
        let outage = win
            .master
            .filter(|_| automatic)
            .and_then(|master| cause(outages, master, failed_us, timeout_us));
        let deserved = outage.is_some_and(|it| it.length_until_us(failed_us) >= timeout_us);
        let asked = win.asked.filter(|_| !automatic);
        let fault_us = outage
            .map(|outage| outage.from_us)
            .or(asked.map(|(at_us, _)| at_us));
        let fault = match (outage, asked) {
            (Some(outage), _) => outage.fault,
            (None, Some((_, step))) => step.map(Fault::Step),
            (None, None) => None,
        };
        let (step, weather) = match fault {
            Some(Fault::Step(step)) => (Some(step), None),
            Some(Fault::Weather(kind)) => (None, Some(kind)),
            None => (clock.step_before(win.at_us), None),
        };
        let origin_us = fault_us
            .or_else(|| self.suspected_us(win))
            .unwrap_or(win.at_us);
        let first = |list: &[About], node: Option<NodeNumber>| {
            list.iter()
                .find(|about| {
                    Some(about.node) == node && (origin_us..=win.at_us).contains(&about.at_us)
                })
                .map(|about| since_ms(about.at_us, origin_us))
        };
        let marked = self
            .marks
            .iter()
            .find(|mark| {
                Some(mark.node) == win.master && (origin_us..=win.at_us).contains(&mark.at_us)
            })
            .map(|mark| since_ms(mark.at_us, origin_us));
        Failover {
            node: win.master_name.clone(),
            promoted: picture.name(win.node),
            epoch: win.epoch,
            how: win.how.into(),
            step,
            weather,
            is_false: automatic && !deserved,
            fault_at_ms: fault_us.map(|fault_us| clock.drill_ms(fault_us)),
            first_pfail_ms: first(&self.suspicions, win.master),
            fail_ms: marked,
            election_start_ms: first(&self.elections, win.master),
            first_vote_ms: first(&self.votes, Some(win.node)),
            won_ms: since_ms(win.at_us, origin_us),
            state_ok_ms: self
                .state_ok_us(win, outages, origin_us)
                .map(|at_us| since_ms(at_us, origin_us)),
            write_gap_ms: self.write_gap_ms(win, outages, clock, origin_us),
        }
    }

    /// When the old master was first held for failed, without a break until the win.
    fn failed_us(&self, win: &Win) -> Option<u64> {
        let before = |mark: &&Mark| Some(mark.node) == win.master && mark.at_us <= win.at_us;
        self.marks
            .iter()
            .filter(before)
            .rfind(|mark| mark.begins)
            .map(|mark| mark.at_us)
    }

    /// When the old master was first suspected, not long before it was held for failed.
    fn suspected_us(&self, win: &Win) -> Option<u64> {
        let failed_us = self.failed_us(win)?;
        let last = self
            .wins
            .iter()
            .filter(|other| other.at_us < win.at_us && Some(other.node) == win.master)
            .map(|other| other.at_us)
            .max()
            .unwrap_or(0);
        self.suspicions
            .iter()
            .find(|about| {
                Some(about.node) == win.master && (last..=failed_us).contains(&about.at_us)
            })
            .map(|about| about.at_us)
    }

    /// When the last node that was not hit itself was ok again.
    fn state_ok_us(&self, win: &Win, outages: &Outages, origin_us: u64) -> Option<u64> {
        let mut last_us = None;
        for (node, states) in (0..).zip(&self.states) {
            let hit = outages.any_within(node, origin_us, win.at_us);
            if Some(node) == win.master || hit {
                continue;
            }
            let mut failed = false;
            for (at_us, ok) in states {
                if !ok {
                    failed = *at_us <= win.at_us;
                } else if std::mem::take(&mut failed) && *at_us >= origin_us {
                    last_us = last_us.max(Some(*at_us));
                }
            }
            if failed {
                return None;
            }
        }
        last_us
    }

    fn write_gap_ms(
        &self,
        win: &Win,
        outages: &Outages,
        clock: &Clock,
        origin_us: u64,
    ) -> Option<f64> {
        let all: Vec<&Acknowledged> = self
            .acknowledged
            .iter()
            .filter(|write| win.slots.iter().any(|slots| holds(*slots, write.slot)))
            .collect();
        let reached: Vec<&Acknowledged> = all
            .iter()
            .copied()
            .filter(|it| !win.out_of_reach.contains(&it.client))
            .collect();
        let writes = if reached.is_empty() { all } else { reached };
        if writes.is_empty() {
            return None;
        }
        let until_us = self
            .next_outage_us(outages, win.at_us)
            .unwrap_or(u64::MAX)
            .min(clock.load_end_us());
        let after_load = std::iter::once(clock.load_end_us());
        let times: Vec<u64> = writes
            .iter()
            .map(|write| write.at_us)
            .chain(after_load)
            .collect();
        let before = times
            .first()
            .copied()
            .filter(|first_us| *first_us > origin_us);
        let gaps = times.windows(2).filter_map(|pair| match pair {
            [from_us, to_us] if *to_us >= origin_us && *from_us < until_us => {
                Some(to_us.saturating_sub(*from_us))
            }
            _ => None,
        });
        gaps.chain(before.map(|first_us| first_us - origin_us))
            .max()
            .map(|gap_us| since_ms(gap_us, 0))
    }

    fn next_outage_us(&self, outages: &Outages, after_us: u64) -> Option<u64> {
        (0..self.states.len() as NodeNumber)
            .flat_map(|node| outages.of(node))
            .map(|outage| outage.from_us)
            .filter(|from_us| *from_us > after_us)
            .min()
    }
}

/// The outage that a node was held for failed for: the last one that had lasted for the
/// node-timeout by then or, if there is none, the last one before.
fn cause(outages: &Outages, master: NodeNumber, failed_us: u64, timeout_us: u64) -> Option<Outage> {
    let before = || {
        outages
            .of(master)
            .filter(|outage| outage.from_us <= failed_us)
    };
    let long_enough = |outage: &&Outage| outage.length_until_us(failed_us) >= timeout_us;
    before()
        .rfind(long_enough)
        .or_else(|| {
            // A short outage explains only what comes soon after it.
            before().rfind(|outage| {
                outage
                    .to_us
                    .is_none_or(|ended_us| ended_us + 2 * timeout_us >= failed_us)
            })
        })
        .copied()
}

const fn holds(slots: SlotRange, slot: u16) -> bool {
    slots.first <= slot && slot <= slots.last
}
