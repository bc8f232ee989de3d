//! The worlds a drill can run in, and what each of them can do.

use std::fmt;
use std::str::FromStr;

/// A world.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
#[non_exhaustive]
pub enum WorldKind {
    /// The whole server on turmoil's simulated network.
    Turmoil,
}

/// What a world can do.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Capabilities {
    /// The same scenario and seed give the same run, byte for byte.
    pub deterministic: bool,
    /// Hosts can lose power.
    pub power_off: bool,
    /// Wall clocks can jump.
    pub clock_jumps: bool,
    /// Disks can become slow.
    pub slow_disks: bool,
    /// Segments can get lost, links become slow.
    pub degraded_links: bool,
    /// Bugs can be planted in nodes.
    pub planted_bugs: bool,
    /// The most nodes that run in reasonable time.
    pub nodes: usize,
}

impl WorldKind {
    /// Every world of this build.
    pub const ALL: &'static [Self] = &[Self::Turmoil];

    /// The name on the command line and in event logs.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Turmoil => "turmoil",
        }
    }

    /// What it can do.
    #[must_use]
    pub const fn capabilities(self) -> Capabilities {
        match self {
            Self::Turmoil => Capabilities {
                deterministic: true,
                power_off: true,
                clock_jumps: true,
                slow_disks: true,
                degraded_links: true,
                planted_bugs: true,
                nodes: 100,
            },
        }
    }
}

impl fmt::Display for WorldKind {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(self.name())
    }
}

/// A text names no world of this build.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
#[error("there is no world {0:?}; this build has {list}", list = names())]
pub struct UnknownWorld(pub String);

impl FromStr for WorldKind {
    type Err = UnknownWorld;

    fn from_str(text: &str) -> Result<Self, UnknownWorld> {
        let found = Self::ALL.iter().copied().find(|world| world.name() == text);
        found.ok_or_else(|| UnknownWorld(text.to_owned()))
    }
}

fn names() -> String {
    let names: Vec<&str> = WorldKind::ALL.iter().map(|world| world.name()).collect();
    names.join(", ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn worlds_are_found_by_name() {
        for world in WorldKind::ALL {
            assert_eq!(world.name().parse(), Ok(*world));
        }
        let error = "moon".parse::<WorldKind>().unwrap_err();
        assert_eq!(
            error.to_string(),
            "there is no world \"moon\"; this build has turmoil"
        );
    }
}
