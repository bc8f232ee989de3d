//! One character for every state and every event.

use crate::model::{EventKind, Role, Trouble};

/// What a column shows on a line.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub(super) enum Sign {
    Master,
    Replica,
    EmptyMaster,
    Stalled,
    Crashed,
    CutOff,
    PartlyCutOff,
    Event(EventKind),
}

impl Sign {
    pub(super) const fn of_role(role: Role) -> Self {
        match role {
            Role::Master => Self::Master,
            Role::Replica { .. } => Self::Replica,
            Role::EmptyMaster => Self::EmptyMaster,
        }
    }

    pub(super) const fn of_trouble(trouble: Trouble) -> Self {
        match trouble {
            Trouble::Stalled(_) => Self::Stalled,
            Trouble::Crashed(_) => Self::Crashed,
            Trouble::CutOff => Self::CutOff,
            Trouble::PartlyCutOff => Self::PartlyCutOff,
        }
    }

    pub(super) const fn character(self) -> char {
        match self {
            Self::Master => '┃',
            Self::Replica => '│',
            Self::EmptyMaster => '╎',
            Self::Stalled => '▒',
            Self::Crashed => '·',
            Self::CutOff => '╱',
            Self::PartlyCutOff => '┊',
            Self::Event(kind) => match kind {
                EventKind::Pfail => '?',
                EventKind::Fail => '!',
                EventKind::Recovered => '+',
                EventKind::Crash => '×',
                EventKind::Stall => '‖',
                EventKind::Start => '▶',
                EventKind::Operator => '»',
                EventKind::Scheduled => 'e',
                EventKind::Election => '▲',
                EventKind::Vote => '■',
                EventKind::Refusal => '□',
                EventKind::Won => '★',
                EventKind::Obstacle => '~',
                EventKind::Manual => 'm',
                EventKind::Role => '◆',
                EventKind::StateOk => '✓',
                EventKind::StateFail => '✗',
                EventKind::Fault => '*',
                EventKind::FaultEnded => 'o',
                EventKind::StateFile | EventKind::Trouble | EventKind::FaultMissed => '#',
                EventKind::Phase
                | EventKind::Report
                | EventKind::Counted
                | EventKind::Epoch
                | EventKind::Slots
                | EventKind::Replication
                | EventKind::Membership
                | EventKind::Clients
                | EventKind::Remark => '-',
            },
        }
    }

    pub(super) const fn words(self) -> &'static str {
        match self {
            Self::Master => "master",
            Self::Replica => "replica",
            Self::EmptyMaster => "master without slots",
            Self::Stalled => "stands still",
            Self::Crashed => "crashed",
            Self::CutOff => "cut off",
            Self::PartlyCutOff => "partly cut off",
            Self::Event(kind) => match kind {
                EventKind::Pfail => "suspects (PFAIL)",
                EventKind::Fail => "FAIL",
                EventKind::Recovered => "a node is back",
                EventKind::Crash => "crashes",
                EventKind::Stall => "stalls",
                EventKind::Start => "starts or goes on",
                EventKind::Operator => "operator",
                EventKind::Scheduled => "election scheduled",
                EventKind::Election => "asks for votes",
                EventKind::Vote => "votes",
                EventKind::Refusal => "refuses its vote",
                EventKind::Won => "promoted",
                EventKind::Obstacle => "cannot fail over",
                EventKind::Manual => "manual failover",
                EventKind::Role => "changes role",
                EventKind::StateOk => "state ok",
                EventKind::StateFail => "state fail",
                EventKind::Fault => "fault",
                EventKind::FaultEnded => "fault undone",
                EventKind::StateFile | EventKind::Trouble | EventKind::FaultMissed => "trouble",
                EventKind::Phase
                | EventKind::Report
                | EventKind::Counted
                | EventKind::Epoch
                | EventKind::Slots
                | EventKind::Replication
                | EventKind::Membership
                | EventKind::Clients
                | EventKind::Remark => "other",
            },
        }
    }

    /// The parameters of its SGR escape; empty: as usual.
    const fn sgr(self) -> &'static str {
        match self {
            Self::Master => "1;34",
            Self::Replica => "36",
            Self::EmptyMaster | Self::Crashed => "2",
            Self::Stalled | Self::CutOff | Self::PartlyCutOff => "33",
            Self::Event(kind) => match kind {
                EventKind::Pfail => "1;33",
                EventKind::Fail
                | EventKind::StateFail
                | EventKind::Crash
                | EventKind::Stall
                | EventKind::Fault
                | EventKind::FaultMissed
                | EventKind::StateFile
                | EventKind::Trouble => "1;31",
                EventKind::Obstacle => "33",
                EventKind::Recovered
                | EventKind::StateOk
                | EventKind::Start
                | EventKind::FaultEnded => "32",
                EventKind::Scheduled | EventKind::Election => "1;35",
                EventKind::Vote | EventKind::Refusal => "35",
                EventKind::Won => "1;32",
                EventKind::Role | EventKind::Manual | EventKind::Operator => "1;34",
                EventKind::Phase
                | EventKind::Report
                | EventKind::Counted
                | EventKind::Epoch
                | EventKind::Slots
                | EventKind::Replication
                | EventKind::Membership
                | EventKind::Clients
                | EventKind::Remark => "",
            },
        }
    }
}

/// Whether and how to colour.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct Paint {
    pub(super) colour: bool,
}

impl Paint {
    /// A text in the colour of a sign.
    pub(super) fn like(self, text: &str, sign: Sign) -> String {
        self.sgr(text, sign.sgr())
    }

    /// A text that stands back.
    pub(super) fn faint(self, text: &str) -> String {
        self.sgr(text, "2")
    }

    fn sgr(self, text: &str, sgr: &str) -> String {
        if self.colour && !sgr.is_empty() && !text.is_empty() {
            format!("\u{1b}[{sgr}m{text}\u{1b}[0m")
        } else {
            text.to_owned()
        }
    }
}
