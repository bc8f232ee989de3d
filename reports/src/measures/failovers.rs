//! Promotions: what caused each, and how long its phases took.

use redrill_node::{Fact, FailoverKind, SlotRange};
use redrill_sim::checkers::Picture;
use redrill_sim::trace::{ClientNumber, Event, FaultKind, Header, NodeNumber, Outcome, Record};
use redrill_sim::weather::WeatherKind;
use serde::{Deserialize, Serialize};

use super::outages::{Fault, Outage, Outages};
use super::{Clock, since_ms, whole_us};

/// A promotion and the times that led to it, ms after the fault that caused it.
#[derive(Clone, PartialEq, Debug, Default, Serialize, Deserialize)]
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
    /// Whether the old master had not failed: it was not out for as long as the node-timeout, or
    /// only weather held it up that it lived through.
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
    /// Whether that gap lasted until the load ended: no one knows how long it would have been.
    #[serde(default)]
    pub write_gap_is_open: bool,
    /// The same of reads.
    #[serde(default)]
    pub read_gap_ms: Option<f64>,
    /// Whether that gap lasted until the load ended.
    #[serde(default)]
    pub read_gap_is_open: bool,
    /// When the first write to the old master's slots was acknowledged after the promotion, to a
    /// client that could reach the winner; `None` if none was.
    #[serde(default)]
    pub first_write_ms: Option<f64>,
}

/// An outage of a slot owner that was not answered by a failover.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
pub struct Unanswered {
    /// The slot owner.
    pub node: String,
    /// The step that caused it, if one did.
    pub step: Option<u16>,
    /// The weather that caused it, if it did.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub weather: Option<WeatherKind>,
    /// When it began, ms after the cluster had formed.
    pub fault_at_ms: f64,
    /// How long it lasted until it ended by itself, or everything was healed.
    pub out_ms: f64,
    /// Whether it was healed: nobody knows whether a failover would have come.
    pub is_open: bool,
    /// Whether it lasted for the node-timeout.
    pub deserved_failover: bool,
    /// As [`Failover::write_gap_ms`].
    pub write_gap_ms: Option<f64>,
    /// As [`Failover::write_gap_is_open`].
    pub write_gap_is_open: bool,
    /// As [`Failover::read_gap_ms`].
    pub read_gap_ms: Option<f64>,
    /// As [`Failover::read_gap_is_open`].
    pub read_gap_is_open: bool,
}

/// How a promotion came about.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug, Default, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum FailoverHow {
    /// The master failed.
    #[default]
    Automatic,
    /// `CLUSTER FAILOVER`.
    Manual,
    /// `CLUSTER FAILOVER FORCE`.
    Force,
    /// `CLUSTER FAILOVER TAKEOVER`.
    Takeover,
}

/// Phases.
impl Failover {
    /// From the first PFAIL to the first FAIL, ms.
    #[must_use]
    pub fn agreement_ms(&self) -> Option<f64> {
        Some(whole_us(self.fail_ms? - self.first_pfail_ms?))
    }

    /// From the first FAIL to the first request for votes, ms.
    #[must_use]
    pub fn election_delay_ms(&self) -> Option<f64> {
        Some(whole_us(self.election_start_ms? - self.fail_ms?))
    }

    /// From the first request for votes to the promotion, ms. Elections that failed are part of it.
    #[must_use]
    pub fn vote_ms(&self) -> Option<f64> {
        Some(whole_us(self.won_ms - self.election_start_ms?))
    }

    /// From the promotion until the last other node was ok again, ms.
    #[must_use]
    pub fn convergence_ms(&self) -> Option<f64> {
        Some(whole_us(self.state_ok_ms? - self.won_ms).max(0.0))
    }

    /// From the promotion to the first write that a client had acknowledged, ms.
    #[must_use]
    pub fn catch_up_ms(&self) -> Option<f64> {
        Some(whole_us(self.first_write_ms? - self.won_ms))
    }
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

/// An outage this long is told, whatever the node-timeout.
const NOTICED_US: u64 = 1_000_000;

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
    writes: Vec<Acknowledged>,
    reads: Vec<Acknowledged>,
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

/// A time without acknowledgements.
#[derive(Clone, Copy, Debug)]
struct Gap {
    length_us: u64,
    /// Whether the load ended before it did.
    is_open: bool,
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
            writes: Vec::new(),
            reads: Vec::new(),
            runs: Vec::new(),
        }
    }

    /// Sees a record that the picture has not taken in yet.
    pub(super) fn observe(&mut self, picture: &Picture<'_>, record: &Record) {
        let at_us = record.at_us;
        match &record.event {
            Event::Node { node, fact } => self.observe_fact(picture, *node, fact, at_us),
            Event::Operation(operation) => {
                if operation.outcome == Outcome::Ok {
                    let list = match operation.write {
                        Some(_) => &mut self.writes,
                        None => &mut self.reads,
                    };
                    list.push(Acknowledged {
                        at_us,
                        slot: operation.slot,
                        client: operation.client,
                    });
                }
            }
            Event::FaultBegan {
                step,
                fault: FaultKind::Run,
                touched,
            } => self.runs.push((*step, touched.nodes.to_vec())),
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
            | Event::BusTraffic { .. }
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
        let deserved = outage.is_some_and(|it| it.deserves_failover(failed_us, timeout_us));
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
        let until_us = self
            .next_outage_us(outages, win.at_us)
            .unwrap_or(u64::MAX)
            .min(clock.load_end_us());
        let gap = |list| {
            let list = reachable(list, &win.slots, &win.out_of_reach);
            gap(&list, origin_us, until_us, clock.load_end_us())
        };
        let (write_gap, read_gap) = (gap(&self.writes), gap(&self.reads));
        let first_write = reachable(&self.writes, &win.slots, &win.out_of_reach)
            .into_iter()
            .find(|at_us| *at_us >= win.at_us);
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
            write_gap_ms: write_gap.map(Gap::ms),
            write_gap_is_open: write_gap.is_some_and(|gap| gap.is_open),
            read_gap_ms: read_gap.map(Gap::ms),
            read_gap_is_open: read_gap.is_some_and(|gap| gap.is_open),
            first_write_ms: first_write.map(|at_us| since_ms(at_us, origin_us)),
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

    /// The outages of slot owners that were not answered, if they lasted for the node-timeout or for
    /// a second. What clients see of an outage must not depend on the configuration to be told.
    pub(super) fn unanswered(
        &self,
        picture: &Picture<'_>,
        outages: &Outages,
        clock: &Clock,
    ) -> Vec<Unanswered> {
        let timeout_us = picture.node_timeout_us();
        let healed_us = clock.healed_us();
        let long_enough = outages.all().iter().filter(|outage| {
            !outage.slots.is_empty()
                && outage.from_us >= clock.formed_us
                && outage.length_until_us(healed_us) >= timeout_us.min(NOTICED_US)
        });
        let answered = |outage: &Outage| {
            // An election that began in time may end a little later.
            let to_us = outage.to_us.unwrap_or(u64::MAX);
            let until_us = to_us.saturating_add(2 * timeout_us);
            self.wins.iter().any(|win| {
                win.master == Some(outage.node) && (outage.from_us..=until_us).contains(&win.at_us)
            })
        };
        let unanswered = long_enough.filter(|outage| !answered(outage));
        unanswered
            .map(|outage| {
                let ended_us = outage.to_us.unwrap_or(healed_us);
                let until_us = self
                    .next_outage_us(outages, ended_us)
                    .unwrap_or(u64::MAX)
                    .min(clock.load_end_us());
                let gap = |list| {
                    let list = reachable(list, &outage.slots, &[]);
                    gap(&list, outage.from_us, until_us, clock.load_end_us())
                };
                let (write_gap, read_gap) = (gap(&self.writes), gap(&self.reads));
                let (step, weather) = match outage.fault {
                    Some(Fault::Step(step)) => (Some(step), None),
                    Some(Fault::Weather(kind)) => (None, Some(kind)),
                    None => (None, None),
                };
                Unanswered {
                    node: picture.name(outage.node),
                    step,
                    weather,
                    fault_at_ms: clock.drill_ms(outage.from_us),
                    out_ms: since_ms(ended_us.min(healed_us), outage.from_us),
                    is_open: ended_us >= healed_us,
                    deserved_failover: outage.deserves_failover(healed_us, timeout_us),
                    write_gap_ms: write_gap.map(Gap::ms),
                    write_gap_is_open: write_gap.is_some_and(|gap| gap.is_open),
                    read_gap_ms: read_gap.map(Gap::ms),
                    read_gap_is_open: read_gap.is_some_and(|gap| gap.is_open),
                }
            })
            .collect()
    }

    fn next_outage_us(&self, outages: &Outages, after_us: u64) -> Option<u64> {
        (0..self.states.len() as NodeNumber)
            .flat_map(|node| outages.of(node))
            .map(|outage| outage.from_us)
            .filter(|from_us| *from_us > after_us)
            .min()
    }
}

impl Gap {
    fn ms(self) -> f64 {
        since_ms(self.length_us, 0)
    }
}

/// When operations on some slots were acknowledged, in order: to clients that were within reach, or
/// to any if none was.
fn reachable(
    list: &[Acknowledged],
    slots: &[SlotRange],
    out_of_reach: &[ClientNumber],
) -> Vec<u64> {
    let on_slots = || {
        list.iter()
            .filter(|it| slots.iter().any(|slots| holds(*slots, it.slot)))
    };
    let reached: Vec<u64> = on_slots()
        .filter(|it| !out_of_reach.contains(&it.client))
        .map(|it| it.at_us)
        .collect();
    match reached.is_empty() {
        false => reached,
        true => on_slots().map(|it| it.at_us).collect(),
    }
}

/// The longest time without an acknowledgement that ends after `origin_us` and begins before
/// `until_us`; the end of the load ends it too. `None` if nothing was ever acknowledged.
fn gap(times_us: &[u64], origin_us: u64, until_us: u64, load_end_us: u64) -> Option<Gap> {
    let first_us = *times_us.first()?;
    let before = (first_us > origin_us).then(|| Gap {
        length_us: first_us - origin_us,
        is_open: false,
    });
    let ends = times_us.iter().skip(1).map(|at_us| (*at_us, false));
    let ends = ends.chain([(load_end_us, true)]);
    let gaps = times_us.iter().zip(ends).filter_map(|(from_us, end)| {
        let (to_us, is_open) = end;
        (to_us >= origin_us && *from_us < until_us).then(|| Gap {
            length_us: to_us.saturating_sub(*from_us),
            is_open,
        })
    });
    before
        .into_iter()
        .chain(gaps)
        .max_by_key(|gap| gap.length_us)
}

/// The outage that a node was held for failed for: the last one that had lasted for the
/// node-timeout by then or, if there is none, the last one before.
fn cause(
    outages: &Outages,
    master: NodeNumber,
    failed_us: u64,
    timeout_us: u64,
) -> Option<&Outage> {
    let before = || {
        outages
            .of(master)
            .filter(|outage| outage.from_us <= failed_us)
    };
    let long_enough = |outage: &&Outage| outage.length_until_us(failed_us) >= timeout_us;
    before().rfind(long_enough).or_else(|| {
        // A short outage explains only what comes soon after it.
        before().rfind(|outage| {
            outage
                .to_us
                .is_none_or(|ended_us| ended_us + 2 * timeout_us >= failed_us)
        })
    })
}

const fn holds(slots: SlotRange, slot: u16) -> bool {
    slots.first <= slot && slot <= slots.last
}
