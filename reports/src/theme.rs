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

    /// How light it is to the eye, 0 to 1, as the Web Content Accessibility Guidelines have it.
    #[must_use]
    pub fn luminance(self) -> f64 {
        let part = |part: u8| {
            let value = f64::from(part) / 255.0;
            match value <= 0.040_45 {
                true => value / 12.92,
                false => ((value + 0.055) / 1.055).powf(2.4),
            }
        };
        0.2126 * part(self.0) + 0.7152 * part(self.1) + 0.0722 * part(self.2)
    }

    /// How well one can be read on the other: 1 to 21, of which text takes 4.5.
    #[must_use]
    pub fn contrast(self, other: Self) -> f64 {
        let (one, other) = (self.luminance() + 0.05, other.luminance() + 0.05);
        one.max(other) / one.min(other)
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

/// The colours of a picture, on white paper or in the dark.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Theme {
    /// The paper.
    pub paper: Colour,
    /// Text and outlines.
    pub ink: Colour,
    /// Text of lesser weight.
    pub soft_ink: Colour,
    /// Lines that only guide the eye.
    pub rule: Colour,
    /// What is better.
    pub good: Colour,
    /// What is worse.
    pub bad: Colour,
    /// What was measured on real servers.
    pub measured: Colour,
    /// Lines beside each other; each also has a dash and a mark of its own.
    pub series: [Colour; 6],
}

impl Theme {
    /// On white paper: Okabe and Ito's, those darker that would be too pale for a line.
    pub const LIGHT: Self = Self {
        paper: PAPER,
        ink: INK,
        soft_ink: SOFT_INK,
        rule: RULE,
        good: Colour(0x00, 0x7a, 0x59),
        bad: Colour(0xb8, 0x4f, 0x00),
        measured: INK,
        series: [
            BLUE,
            VERMILLION,
            Colour(0x00, 0x86, 0x61),
            Colour(0xa8, 0x4f, 0x83),
            Colour(0x9a, 0x6a, 0x00),
            Colour(0x45, 0x4b, 0x54),
        ],
    };

    /// In the dark.
    pub const DARK: Self = Self {
        paper: Colour(0x14, 0x17, 0x1b),
        ink: Colour(0xe8, 0xeb, 0xee),
        soft_ink: Colour(0xa8, 0xb0, 0xba),
        rule: Colour(0x34, 0x3a, 0x42),
        good: Colour(0x3f, 0xc9, 0xa1),
        bad: Colour(0xf4, 0x93, 0x4c),
        measured: Colour(0xe8, 0xeb, 0xee),
        series: [
            Colour(0x5a, 0xb0, 0xea),
            Colour(0xf0, 0x8a, 0x3c),
            Colour(0x36, 0xc4, 0x9a),
            Colour(0xe0, 0x97, 0xc1),
            Colour(0xe8, 0xc5, 0x4a),
            Colour(0xc4, 0xca, 0xd1),
        ],
    };
}

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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_colour_can_be_read_on_its_paper() {
        assert!((INK.contrast(INK) - 1.0).abs() < 1e-9);
        assert!((Colour(0, 0, 0).contrast(PAPER) - 21.0).abs() < 1e-9);
        for theme in [Theme::LIGHT, Theme::DARK] {
            for text in [theme.ink, theme.soft_ink, theme.good, theme.bad] {
                assert!(text.contrast(theme.paper) >= 4.5, "{}", text.to_hex());
            }
            for line in theme.series {
                assert!(line.contrast(theme.paper) >= 3.0, "{}", line.to_hex());
            }
        }
    }
}
