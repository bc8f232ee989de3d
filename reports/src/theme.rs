//! What things look like: colours by Okabe and Ito, which the colour-blind can tell apart, and a
//! shape or a hatch beside every colour.

use crate::model::{EventKind, Role, Trouble};

/// A colour, red, green, blue.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Colour(pub u8, pub u8, pub u8);

impl Colour {
    /// `#0072b2`
    #[must_use]
    pub fn to_hex(self) -> String {
        format!("#{:02x}{:02x}{:02x}", self.0, self.1, self.2)
    }

    /// This colour mixed with white; 0 leaves it, 1 is white.
    #[must_use]
    pub fn lighter(self, share: f64) -> Self {
        let mix = |part: u8| (f64::from(part) + (255.0 - f64::from(part)) * share).round() as u8;
        Self(mix(self.0), mix(self.1), mix(self.2))
    }
}

/// Text and outlines.
pub const INK: Colour = Colour(0x1a, 0x1d, 0x21);
/// Text of lesser weight.
pub const SOFT_INK: Colour = Colour(0x55, 0x5c, 0x66);
/// Lines that only guide the eye.
pub const RULE: Colour = Colour(0xd9, 0xdd, 0xe2);
/// The paper.
pub const PAPER: Colour = Colour(0xff, 0xff, 0xff);
/// The shade of every second zone.
pub const ZONE: Colour = Colour(0xf5, 0xf7, 0xf9);

/// Okabe-Ito blue.
pub const BLUE: Colour = Colour(0x00, 0x72, 0xb2);
/// Okabe-Ito sky blue.
pub const SKY: Colour = Colour(0x56, 0xb4, 0xe9);
/// Okabe-Ito bluish green.
pub const GREEN: Colour = Colour(0x00, 0x9e, 0x73);
/// Okabe-Ito orange.
pub const ORANGE: Colour = Colour(0xe6, 0x9f, 0x00);
/// Okabe-Ito yellow.
pub const YELLOW: Colour = Colour(0xf0, 0xe4, 0x42);
/// Okabe-Ito vermillion.
pub const VERMILLION: Colour = Colour(0xd5, 0x5e, 0x00);
/// Okabe-Ito reddish purple.
pub const PURPLE: Colour = Colour(0xcc, 0x79, 0xa7);

/// The colour of a role. A replica's bar is also thinner than a master's.
#[must_use]
pub const fn role_colour(role: Role) -> Colour {
    match role {
        Role::Master => BLUE,
        Role::Replica { .. } => SKY,
        Role::EmptyMaster => Colour(0xa7, 0xae, 0xb7),
    }
}

/// The lines over a bar that say what is wrong with a node.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Hatch {
    /// Upright lines: the process stands still.
    Upright,
    /// Crossed lines: the process is gone.
    Crossed,
    /// Slanted lines: cut off.
    Slanted,
    /// Slanted lines far apart: partly cut off.
    SlantedWide,
}

/// The hatch of a trouble.
#[must_use]
pub const fn hatch(trouble: Trouble) -> Hatch {
    match trouble {
        Trouble::Stalled(_) => Hatch::Upright,
        Trouble::Crashed(_) => Hatch::Crossed,
        Trouble::CutOff => Hatch::Slanted,
        Trouble::PartlyCutOff => Hatch::SlantedWide,
    }
}

/// The shape of an event's mark.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub enum Shape {
    /// A ring: a suspicion.
    Ring,
    /// A filled disc: a certainty.
    Disc,
    /// A cross: an end.
    Cross,
    /// A bar across: it stands still.
    Bar,
    /// A triangle that points on: it starts.
    Play,
    /// A clock hand: something is scheduled.
    Clock,
    /// A triangle that points up: an election.
    Up,
    /// A square: a vote.
    Square,
    /// An empty square: a vote refused.
    EmptySquare,
    /// A star: a promotion.
    Star,
    /// A diamond: a role.
    Diamond,
    /// A hook: all is well.
    Tick,
    /// A small dot: the rest.
    Dot,
}

impl Shape {
    /// Its name in the report's script.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Ring => "ring",
            Self::Disc => "disc",
            Self::Cross => "cross",
            Self::Bar => "bar",
            Self::Play => "play",
            Self::Clock => "clock",
            Self::Up => "up",
            Self::Square => "square",
            Self::EmptySquare => "empty-square",
            Self::Star => "star",
            Self::Diamond => "diamond",
            Self::Tick => "tick",
            Self::Dot => "dot",
        }
    }
}

/// The mark of an event: shape and colour.
#[must_use]
pub const fn mark(kind: EventKind) -> (Shape, Colour) {
    match kind {
        EventKind::Pfail => (Shape::Ring, ORANGE),
        EventKind::Fail => (Shape::Disc, VERMILLION),
        EventKind::StateFail => (Shape::Cross, VERMILLION),
        EventKind::Crash | EventKind::FaultMissed => (Shape::Cross, INK),
        EventKind::Stall => (Shape::Bar, INK),
        EventKind::Start => (Shape::Play, INK),
        EventKind::Scheduled => (Shape::Clock, PURPLE),
        EventKind::Election => (Shape::Up, PURPLE),
        EventKind::Vote => (Shape::Square, PURPLE),
        EventKind::Refusal => (Shape::EmptySquare, PURPLE),
        EventKind::Won => (Shape::Star, YELLOW),
        EventKind::Role | EventKind::Manual => (Shape::Diamond, BLUE),
        EventKind::StateOk | EventKind::Recovered => (Shape::Tick, GREEN),
        EventKind::Obstacle | EventKind::Trouble | EventKind::StateFile => {
            (Shape::Cross, VERMILLION)
        }
        EventKind::Operator | EventKind::Fault | EventKind::FaultEnded => (Shape::Play, ORANGE),
        EventKind::Phase
        | EventKind::Report
        | EventKind::Counted
        | EventKind::Epoch
        | EventKind::Slots
        | EventKind::Replication
        | EventKind::Membership
        | EventKind::Clients
        | EventKind::Remark => (Shape::Dot, SOFT_INK),
    }
}

/// What is shown first where there is no room for all; smaller is more important.
#[must_use]
pub const fn rank(kind: EventKind) -> u8 {
    match kind {
        EventKind::Crash | EventKind::Stall => 0,
        EventKind::Won => 1,
        EventKind::Election => 2,
        EventKind::Fail => 3,
        EventKind::Pfail => 4,
        EventKind::Scheduled => 5,
        EventKind::Vote | EventKind::Refusal => 6,
        EventKind::Role | EventKind::Manual | EventKind::Operator => 7,
        EventKind::Start => 8,
        EventKind::StateFail => 9,
        EventKind::StateOk => 10,
        EventKind::Recovered => 11,
        EventKind::Obstacle | EventKind::Trouble | EventKind::StateFile => 12,
        EventKind::Phase
        | EventKind::Fault
        | EventKind::FaultEnded
        | EventKind::FaultMissed
        | EventKind::Report
        | EventKind::Counted
        | EventKind::Epoch
        | EventKind::Slots
        | EventKind::Replication
        | EventKind::Membership
        | EventKind::Clients
        | EventKind::Remark => 13,
    }
}
