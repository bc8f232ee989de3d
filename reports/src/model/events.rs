//! The events of a run as lines: what a reader sees on a lane, in a list, in a terminal.

use std::collections::{BTreeMap, BTreeSet};

use redrill_node::{
    EpochChange, Fact, FailoverKind, FailureReport, LogLevel, NodeId, SlotChange, StateReason,
};
use redrill_sim::scenario::{CrashKind, StallKind};
use redrill_sim::trace::{
    Event, FaultKind, NodeNumber, Phase, ProcessChange, Record, StateLoad, Trace,
};
use serde::Serialize;

use super::faults::notable_weather;
use super::{Names, Span};

/// One line.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct EventLine {
    /// When.
    pub at_us: u64,
    /// On which node; `None` for what concerns the run.
    pub node: Option<NodeNumber>,
    /// The other node it is about.
    pub about: Option<NodeNumber>,
    /// What kind.
    pub kind: EventKind,
    /// How much it matters.
    pub weight: Weight,
    /// Redis's level, for what a node says.
    pub level: Option<LogLevel>,
    /// In Redis's own log words, for what a node says.
    pub text: String,
    /// A few words for a label on a lane.
    pub short: String,
    /// What Redis does not log but a reader wants to know: why.
    pub note: Option<String>,
}

/// How much an event matters to a reader.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Weight {
    /// Good to have when looking closely.
    Detail,
    /// Tells the story of the failover.
    Story,
}

/// What kind of event.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum EventKind {
    /// A phase of the run began.
    Phase,
    /// A scripted fault began.
    Fault,
    /// A scripted fault ended.
    FaultEnded,
    /// A step could not happen.
    FaultMissed,
    /// A process ended.
    Crash,
    /// A process stands still.
    Stall,
    /// A process started or goes on.
    Start,
    /// An operator's command.
    Operator,
    /// A peer is suspected (PFAIL).
    Pfail,
    /// A suspicion or a FAIL mark ended, or a failure report was taken back.
    Recovered,
    /// A failure report came in.
    Report,
    /// A peer was marked FAIL, by a quorum or on another's word.
    Fail,
    /// An election was scheduled, or delayed further.
    Scheduled,
    /// An election began.
    Election,
    /// A vote was granted.
    Vote,
    /// A vote was refused.
    Refusal,
    /// A vote was counted.
    Counted,
    /// A replica was promoted.
    Won,
    /// A failover does not happen.
    Obstacle,
    /// A manual failover goes on.
    Manual,
    /// The node's role changed.
    Role,
    /// The node's cluster state became ok.
    StateOk,
    /// The node's cluster state became fail.
    StateFail,
    /// An epoch changed.
    Epoch,
    /// Slots changed owner in the node's view.
    Slots,
    /// Replication.
    Replication,
    /// The table of nodes changed.
    Membership,
    /// Clients' writes are held back, or flow again.
    Clients,
    /// The state file.
    StateFile,
    /// A bad packet, a bad command, a lost sender.
    Trouble,
    /// Something to know about the world.
    Remark,
}

impl EventKind {
    /// Every kind, in the order of their declaration.
    pub const ALL: &'static [Self] = &[
        Self::Phase,
        Self::Fault,
        Self::FaultEnded,
        Self::FaultMissed,
        Self::Crash,
        Self::Stall,
        Self::Start,
        Self::Operator,
        Self::Pfail,
        Self::Recovered,
        Self::Report,
        Self::Fail,
        Self::Scheduled,
        Self::Election,
        Self::Vote,
        Self::Refusal,
        Self::Counted,
        Self::Won,
        Self::Obstacle,
        Self::Manual,
        Self::Role,
        Self::StateOk,
        Self::StateFail,
        Self::Epoch,
        Self::Slots,
        Self::Replication,
        Self::Membership,
        Self::Clients,
        Self::StateFile,
        Self::Trouble,
        Self::Remark,
    ];

    /// It in a word or two.
    #[must_use]
    pub const fn words(self) -> &'static str {
        match self {
            Self::Phase => "phase",
            Self::Fault => "fault",
            Self::FaultEnded => "fault over",
            Self::FaultMissed => "step missed",
            Self::Crash => "crash",
            Self::Stall => "stall",
            Self::Start => "start",
            Self::Operator => "operator",
            Self::Pfail => "suspected (PFAIL)",
            Self::Recovered => "back",
            Self::Report => "failure report",
            Self::Fail => "FAIL",
            Self::Scheduled => "election scheduled",
            Self::Election => "asks for votes",
            Self::Vote => "vote",
            Self::Refusal => "vote refused",
            Self::Counted => "vote counted",
            Self::Won => "promoted",
            Self::Obstacle => "cannot fail over",
            Self::Manual => "manual failover",
            Self::Role => "role",
            Self::StateOk => "state ok",
            Self::StateFail => "state fail",
            Self::Epoch => "epoch",
            Self::Slots => "slots",
            Self::Replication => "replication",
            Self::Membership => "membership",
            Self::Clients => "clients",
            Self::StateFile => "state file",
            Self::Trouble => "trouble",
            Self::Remark => "remark",
        }
    }
}

/// The lines of a run, without what is only noise (every write, every movement of a stream,
/// what a state file restored).
pub(super) fn lines(trace: &Trace, names: &Names<'_>, run: Span) -> Vec<EventLine> {
    let mut forming = false;
    let mut lines = Vec::new();
    let mut weather = Weather::new(notable_weather(trace, run));
    for record in &trace.records {
        if let Event::Phase { phase } = record.event {
            forming = phase == Phase::Form;
        }
        weather.observe(record);
        let Some(mut line) = weather.line(record).or_else(|| line(trace, names, record)) else {
            continue;
        };
        if weather.is_hardly_noticed(record) {
            line.weight = Weight::Detail;
        }
        line.node = line.node.filter(|node| names.has(*node));
        if forming {
            // The story begins when the cluster has formed.
            line.weight = Weight::Detail;
        }
        lines.push(line);
    }
    lines
}

/// What the weather does while the log is read: what nobody notices is no part of the story.
struct Weather<'a> {
    notable: BTreeSet<u32>,
    /// What holds now: its words and the nodes that it makes stand still.
    open: BTreeMap<u32, (&'a str, &'a [NodeNumber])>,
}

impl<'a> Weather<'a> {
    const fn new(notable: BTreeSet<u32>) -> Self {
        Self {
            notable,
            open: BTreeMap::new(),
        }
    }

    fn observe(&mut self, record: &'a Record) {
        if let Event::WeatherBegan {
            weather,
            fault,
            touched,
            ..
        } = &record.event
        {
            let stops = matches!(fault, FaultKind::Stall(_) | FaultKind::SlowDisk);
            let nodes = if stops { touched.nodes.as_ref() } else { &[] };
            self.open.insert(*weather, (&touched.words, nodes));
        }
    }

    fn line(&mut self, record: &Record) -> Option<EventLine> {
        let (number, kind, before) = match &record.event {
            Event::WeatherBegan { weather, .. } => (*weather, EventKind::Fault, ""),
            Event::WeatherEnded { weather } => (*weather, EventKind::FaultEnded, "over: "),
            Event::Phase { .. }
            | Event::Node { .. }
            | Event::Process { .. }
            | Event::StateSaved { .. }
            | Event::StateLoaded { .. }
            | Event::FaultBegan { .. }
            | Event::FaultEnded { .. }
            | Event::FaultMissed { .. }
            | Event::Operator { .. }
            | Event::Operation(_)
            | Event::Audited { .. }
            | Event::BusTraffic { .. }
            | Event::Remark { .. } => return None,
        };
        let words = if kind == EventKind::FaultEnded {
            self.open.remove(&number)
        } else {
            self.open.get(&number).copied()
        };
        let text = format!("{before}{} (weather)", words.map_or("weather", |it| it.0));
        let weight = if self.notable.contains(&number) {
            Weight::Story
        } else {
            Weight::Detail
        };
        Some(EventLine {
            at_us: record.at_us,
            node: None,
            about: None,
            kind,
            weight,
            level: None,
            short: text.clone(),
            text,
            note: None,
        })
    }

    /// Whether a process stands still or goes on in weather that nobody notices.
    fn is_hardly_noticed(&self, record: &Record) -> bool {
        let Event::Process { node, change } = &record.event else {
            return false;
        };
        let still = match change {
            ProcessChange::Stalled(_) | ProcessChange::Resumed => true,
            ProcessChange::Started | ProcessChange::Crashed(_) => false,
        };
        let mut pauses = self
            .open
            .iter()
            .filter(|(_, (_, nodes))| nodes.contains(node))
            .peekable();
        still && pauses.peek().is_some() && pauses.all(|(number, _)| !self.notable.contains(number))
    }
}

fn line(trace: &Trace, names: &Names<'_>, record: &Record) -> Option<EventLine> {
    let at_us = record.at_us;
    let of_run = |kind, weight, text: String| EventLine {
        at_us,
        node: None,
        about: None,
        kind,
        weight,
        level: None,
        short: text.clone(),
        text,
        note: None,
    };
    let of_node = |node, kind, weight, text: String| EventLine {
        node: Some(node),
        ..of_run(kind, weight, text)
    };
    Some(match &record.event {
        Event::Node { node, fact } => return fact_line(names, at_us, *node, fact),
        Event::Phase { phase } => of_run(
            EventKind::Phase,
            Weight::Detail,
            phase_words(*phase).to_owned(),
        ),
        Event::Process { node, change } => {
            let (kind, words) = process_words(*change);
            of_node(*node, kind, Weight::Story, words.to_owned())
        }
        Event::FaultBegan { touched, .. } => EventLine {
            note: (touched.is_nothing()).then(|| "it touched nothing".into()),
            ..of_run(EventKind::Fault, Weight::Story, touched.words.to_string())
        },
        Event::FaultEnded { step } => of_run(
            EventKind::FaultEnded,
            Weight::Story,
            format!("over: {}", words_of_step(trace, *step)),
        ),
        Event::FaultMissed { step, why } => of_run(
            EventKind::FaultMissed,
            Weight::Story,
            format!("step {} did not happen: {why}", step + 1),
        ),
        Event::Operator {
            node,
            command,
            reply,
            ..
        } => EventLine {
            note: Some(format!("answer: {reply}")),
            ..of_node(*node, EventKind::Operator, Weight::Story, command.clone())
        },
        Event::StateLoaded {
            node,
            outcome: StateLoad::Torn,
        } => of_node(
            *node,
            EventKind::StateFile,
            Weight::Story,
            "the state file cannot be read".to_owned(),
        ),
        Event::Remark { text } => of_run(EventKind::Remark, Weight::Detail, text.clone()),
        Event::StateLoaded { .. }
        | Event::StateSaved { .. }
        | Event::WeatherBegan { .. }
        | Event::WeatherEnded { .. }
        | Event::Operation(_)
        | Event::Audited { .. }
        | Event::BusTraffic { .. } => return None,
    })
}

/// What the fault of a step did, in words.
fn words_of_step(trace: &Trace, ended: u16) -> String {
    let began = trace.records.iter().find_map(|record| {
        let Event::FaultBegan { step, touched, .. } = &record.event else {
            return None;
        };
        (*step == ended).then(|| touched.words.to_string())
    });
    began.unwrap_or_else(|| format!("step {}", ended + 1))
}

const fn phase_words(phase: Phase) -> &'static str {
    match phase {
        Phase::Form => "the cluster forms",
        Phase::Disturb => "load and faults begin",
        Phase::Heal => "every fault is undone",
        Phase::Converge => "the cluster converges",
        Phase::Audit => "load has stopped, every key is read back",
        Phase::Done => "the end",
    }
}

const fn process_words(change: ProcessChange) -> (EventKind, &'static str) {
    match change {
        ProcessChange::Started => (EventKind::Start, "process started"),
        ProcessChange::Resumed => (EventKind::Start, "process goes on"),
        ProcessChange::Crashed(CrashKind::Kill) => (EventKind::Crash, "process killed"),
        ProcessChange::Crashed(CrashKind::PowerOff) => (EventKind::Crash, "host lost power"),
        ProcessChange::Crashed(CrashKind::Shutdown) => (EventKind::Crash, "process shut down"),
        ProcessChange::Stalled(StallKind::DebugSleep) => {
            (EventKind::Stall, "process stands still (DEBUG SLEEP)")
        }
        ProcessChange::Stalled(StallKind::Sigstop) => {
            (EventKind::Stall, "process stands still (SIGSTOP)")
        }
    }
}

fn fact_line(names: &Names<'_>, at_us: u64, node: NodeNumber, fact: &Fact) -> Option<EventLine> {
    let (kind, weight) = kind_of(fact)?;
    let name = |id: NodeId| names.name(id);
    let text = fact.log_line(&name);
    Some(EventLine {
        at_us,
        node: Some(node),
        about: about(fact).and_then(|id| names.number(id)),
        kind,
        weight,
        level: Some(fact.level()),
        short: short(fact, &name).unwrap_or_else(|| text.clone()),
        text,
        note: note(fact, &name),
    })
}

/// The kind and weight of a fact; `None` for noise.
fn kind_of(fact: &Fact) -> Option<(EventKind, Weight)> {
    use EventKind as Kind;
    use Weight::{Detail, Story};
    Some(match fact {
        Fact::Started { .. } => (Kind::Start, Detail),
        Fact::Role { why, .. } => match why {
            redrill_node::RoleChange::Start => (Kind::Role, Detail),
            redrill_node::RoleChange::Promoted => (Kind::Role, Detail),
            redrill_node::RoleChange::SlotsTaken
            | redrill_node::RoleChange::SubReplica
            | redrill_node::RoleChange::ReplicaMigration
            | redrill_node::RoleChange::Operator
            | redrill_node::RoleChange::Reset => (Kind::Role, Story),
        },
        Fact::ClusterState { ok: true, .. } => (Kind::StateOk, Story),
        Fact::ClusterState { ok: false, .. } => (Kind::StateFail, Story),
        Fact::HandshakeStarted { .. }
        | Fact::HandshakeCompleted { .. }
        | Fact::HandshakeTimedOut { .. }
        | Fact::NodeAdded { .. }
        | Fact::NodeRemoved { .. }
        | Fact::AddressUpdated { .. }
        | Fact::PeerRole { .. } => (Kind::Membership, Detail),
        Fact::PossiblyFailing { .. } => (Kind::Pfail, Story),
        Fact::NoLongerPossiblyFailing { .. } => (Kind::Recovered, Story),
        Fact::FailureReported { .. } => (Kind::Report, Detail),
        Fact::FailureReportWithdrawn { .. } => (Kind::Recovered, Detail),
        Fact::MarkedFailing { .. } | Fact::FailReceived { .. } => (Kind::Fail, Story),
        Fact::FailCleared { .. } => (Kind::Recovered, Story),
        Fact::ElectionScheduled { .. }
        | Fact::RankUpdated { .. }
        | Fact::MasterRankUpdated { .. } => (Kind::Scheduled, Story),
        Fact::ElectionReset { .. } => (Kind::Obstacle, Story),
        Fact::ElectionStarted { .. } => (Kind::Election, Story),
        Fact::VoteGranted { .. } => (Kind::Vote, Story),
        Fact::VoteRefused { .. } => (Kind::Refusal, Story),
        Fact::VoteReceived { .. } => (Kind::Counted, Detail),
        Fact::ElectionWon { .. } => (Kind::Won, Story),
        Fact::FailoverUnable { .. } => (Kind::Obstacle, Story),
        Fact::ManualFailoverAccepted { .. }
        | Fact::ManualFailoverRequested { .. }
        | Fact::ManualFailoverReady
        | Fact::ManualFailoverTimedOut => (Kind::Manual, Story),
        Fact::ManualFailoverOffset { .. } => (Kind::Manual, Detail),
        Fact::ConfigEpoch {
            why: EpochChange::Restored,
            ..
        } => return None,
        Fact::CurrentEpoch { .. } | Fact::ConfigEpoch { .. } | Fact::PeerConfigEpoch { .. } => {
            (Kind::Epoch, Detail)
        }
        Fact::SlotsOwned {
            why: SlotChange::Restored,
            ..
        } => return None,
        Fact::SlotsOwned { .. }
        | Fact::SlotMigration { .. }
        | Fact::UpdateSent { .. }
        | Fact::DirtySlotsDeleted { .. } => (Kind::Slots, Detail),
        Fact::MigratingToOrphan { .. } => (Kind::Role, Story),
        Fact::MasterLinkLost
        | Fact::SyncStarted { .. }
        | Fact::FullResyncDone { .. }
        | Fact::PartialResyncDone { .. }
        | Fact::ReplicaAttached { .. }
        | Fact::ReplicationIdChanged { .. }
        | Fact::GoodReplicas { .. } => (Kind::Replication, Detail),
        Fact::WritesPaused | Fact::WritesResumed | Fact::Flushed { .. } => (Kind::Clients, Detail),
        Fact::BadPacket { .. } | Fact::BadCommand { .. } | Fact::UnknownSender { .. } => {
            (Kind::Trouble, Detail)
        }
        Fact::Stream { .. } | Fact::Wrote { .. } | Fact::WaitAnswered { .. } => return None,
    })
}

/// The other node a fact is about.
const fn about(fact: &Fact) -> Option<NodeId> {
    Some(match fact {
        Fact::PossiblyFailing { node }
        | Fact::NoLongerPossiblyFailing { node }
        | Fact::FailureReported { node, .. }
        | Fact::FailureReportWithdrawn { node, .. }
        | Fact::MarkedFailing { node, .. }
        | Fact::FailReceived { node, .. }
        | Fact::FailCleared { node, .. }
        | Fact::HandshakeStarted { node }
        | Fact::HandshakeCompleted { node }
        | Fact::HandshakeTimedOut { node }
        | Fact::NodeAdded { node }
        | Fact::NodeRemoved { node }
        | Fact::AddressUpdated { node }
        | Fact::PeerRole { node, .. }
        | Fact::PeerConfigEpoch { node, .. }
        | Fact::UnknownSender { node } => *node,
        Fact::VoteGranted { to, .. } | Fact::VoteRefused { to, .. } => *to,
        Fact::VoteReceived { from, .. } => *from,
        Fact::ElectionScheduled { master, .. }
        | Fact::ElectionStarted { master, .. }
        | Fact::ElectionWon { master, .. }
        | Fact::MigratingToOrphan { master } => *master,
        Fact::ManualFailoverRequested { by } => *by,
        Fact::Role {
            replica_of: Some(master),
            ..
        } => *master,
        Fact::UpdateSent { to, .. } => *to,
        Fact::Started { .. }
        | Fact::Role {
            replica_of: None, ..
        }
        | Fact::ClusterState { .. }
        | Fact::RankUpdated { .. }
        | Fact::MasterRankUpdated { .. }
        | Fact::ElectionReset { .. }
        | Fact::FailoverUnable { .. }
        | Fact::ManualFailoverAccepted { .. }
        | Fact::ManualFailoverOffset { .. }
        | Fact::ManualFailoverReady
        | Fact::ManualFailoverTimedOut
        | Fact::CurrentEpoch { .. }
        | Fact::ConfigEpoch { .. }
        | Fact::SlotsOwned { .. }
        | Fact::SlotMigration { .. }
        | Fact::DirtySlotsDeleted { .. }
        | Fact::MasterLinkLost
        | Fact::SyncStarted { .. }
        | Fact::FullResyncDone { .. }
        | Fact::PartialResyncDone { .. }
        | Fact::ReplicaAttached { .. }
        | Fact::ReplicationIdChanged { .. }
        | Fact::Stream { .. }
        | Fact::Wrote { .. }
        | Fact::WaitAnswered { .. }
        | Fact::GoodReplicas { .. }
        | Fact::WritesPaused
        | Fact::WritesResumed
        | Fact::Flushed { .. }
        | Fact::BadPacket { .. }
        | Fact::BadCommand { .. } => return None,
    })
}

/// A label of a few words, for the facts that are drawn with one.
fn short(fact: &Fact, name: &dyn Fn(NodeId) -> String) -> Option<String> {
    if let Fact::PossiblyFailing { node } = fact {
        return Some(format!("PFAIL {}", name(*node)));
    }
    if let Fact::MarkedFailing { node, .. } | Fact::FailReceived { node, .. } = fact {
        return Some(format!("FAIL {}", name(*node)));
    }
    if let Fact::NoLongerPossiblyFailing { node } | Fact::FailCleared { node, .. } = fact {
        return Some(format!("{} is back", name(*node)));
    }
    if let Fact::ElectionScheduled { delay_ms, rank, .. } = fact {
        return Some(format!("election in {delay_ms} ms, rank {rank}"));
    }
    if let Fact::RankUpdated { rank, added_ms } = fact {
        return Some(format!("rank {rank}, {added_ms} ms later"));
    }
    if let Fact::MasterRankUpdated { rank, added_ms } = fact {
        return Some(format!("failed master {rank} in line, {added_ms:+} ms"));
    }
    if let Fact::ElectionReset { .. } = fact {
        return Some("begins its election anew".to_owned());
    }
    if let Fact::ElectionStarted { epoch, .. } = fact {
        return Some(format!("asks for votes, epoch {epoch}"));
    }
    if let Fact::VoteGranted { to, epoch, .. } = fact {
        return Some(format!("votes for {} in {epoch}", name(*to)));
    }
    if let Fact::VoteRefused { to, .. } = fact {
        return Some(format!("no vote for {}", name(*to)));
    }
    if let Fact::ElectionWon { epoch, .. } = fact {
        return Some(format!("promoted, epoch {epoch}"));
    }
    if let Fact::ClusterState { ok, .. } = fact {
        return Some(if *ok { "state ok" } else { "state fail" }.to_owned());
    }
    if let Fact::Role {
        replica_of: Some(master),
        ..
    } = fact
    {
        return Some(format!("replica of {}", name(*master)));
    }
    if let Fact::FailoverUnable { .. } = fact {
        return Some("cannot fail over".to_owned());
    }
    if let Fact::ManualFailoverAccepted { .. } = fact {
        return Some("failover requested".to_owned());
    }
    if let Fact::ManualFailoverRequested { by } = fact {
        return Some(format!("pauses writes for {}", name(*by)));
    }
    if let Fact::ManualFailoverReady = fact {
        return Some("caught up".to_owned());
    }
    None
}

/// What the log line does not say.
fn note(fact: &Fact, name: &dyn Fn(NodeId) -> String) -> Option<String> {
    if let Fact::ClusterState { why, .. } = fact {
        return Some(
            match why {
                StateReason::AllGood => return None,
                StateReason::SlotUnowned => "a slot has no owner",
                StateReason::SlotOwnerFailed => "the owner of a slot is FAIL",
                StateReason::Minority => "too few masters are reachable",
            }
            .to_owned(),
        );
    }
    if let Fact::MarkedFailing {
        reports,
        counted_self,
        needed,
        ..
    } = fact
    {
        return Some(quorum_words(reports, *counted_self, *needed, name));
    }
    if let Fact::ElectionStarted { needed, .. } = fact {
        return Some(format!("needs {needed} votes"));
    }
    if let Fact::ElectionWon {
        votes,
        needed,
        how,
        offset,
        ..
    } = fact
    {
        let how = match how {
            FailoverKind::Automatic => "its master failed",
            FailoverKind::Manual => "CLUSTER FAILOVER",
            FailoverKind::Force => "CLUSTER FAILOVER FORCE",
            FailoverKind::Takeover => "CLUSTER FAILOVER TAKEOVER",
        };
        return Some(format!(
            "{votes} of {needed} votes needed, replication offset {offset}, {how}"
        ));
    }
    if let Fact::FullResyncDone { offset, keys, .. } = fact {
        return Some(format!("{keys} keys, offset {offset}"));
    }
    if let Fact::PartialResyncDone { offset, .. } = fact {
        return Some(format!("from offset {offset}"));
    }
    None
}

fn quorum_words(
    reports: &[FailureReport],
    counted_self: bool,
    needed: u16,
    name: &dyn Fn(NodeId) -> String,
) -> String {
    let mut witnesses: Vec<String> = reports
        .iter()
        .map(|report| format!("{} ({} ms ago)", name(report.by), report.age_ms))
        .collect();
    if counted_self {
        witnesses.push("itself".to_owned());
    }
    format!("reported by {}; {needed} needed", witnesses.join(", "))
}
