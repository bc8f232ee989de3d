//! `client-output-buffer-limit`.

/// How much may wait to leave for a client before it is cut off.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct OutputLimit {
    /// At this many bytes it is cut at once; 0: never.
    pub hard_bytes: u64,
    /// At this many bytes it is cut once they were passed for [`Self::soft_s`]; 0: never.
    pub soft_bytes: u64,
    /// How long the soft limit may be passed, seconds.
    pub soft_s: u64,
}

/// The classes of clients that have limits of their own (`getClientType`).
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum ClientClass {
    /// Any other.
    Normal,
    /// A replica.
    Replica,
    /// A client that subscribed to something.
    PubSub,
}

/// The limits by class.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct OutputLimits {
    normal: OutputLimit,
    replica: OutputLimit,
    pubsub: OutputLimit,
}

const NAMES: [&str; 3] = ["normal", "slave", "pubsub"];

impl Default for OutputLimits {
    fn default() -> Self {
        Self {
            normal: OutputLimit::default(),
            replica: OutputLimit {
                hard_bytes: 256 << 20,
                soft_bytes: 64 << 20,
                soft_s: 60,
            },
            pubsub: OutputLimit {
                hard_bytes: 32 << 20,
                soft_bytes: 8 << 20,
                soft_s: 60,
            },
        }
    }
}

impl OutputLimits {
    /// The limit of a class.
    #[must_use]
    pub const fn of(&self, class: ClientClass) -> OutputLimit {
        match class {
            ClientClass::Normal => self.normal,
            ClientClass::Replica => self.replica,
            ClientClass::PubSub => self.pubsub,
        }
    }

    /// As `CONFIG GET` shows them: class, hard limit, soft limit and seconds of each.
    pub(super) fn words(&self) -> Vec<Box<str>> {
        let limits = [self.normal, self.replica, self.pubsub];
        let group = |(name, limit): (&str, OutputLimit)| {
            let numbers = [limit.hard_bytes, limit.soft_bytes, limit.soft_s];
            let numbers = numbers.map(|number| Box::from(number.to_string()));
            std::iter::once(Box::from(name)).chain(numbers)
        };
        NAMES.into_iter().zip(limits).flat_map(group).collect()
    }

    /// Reads what [`Self::words`] shows.
    pub(super) fn from_words(words: &[Box<str>]) -> Self {
        let number = |group: &[Box<str>], place: usize| {
            let word = group.get(place).and_then(|word| word.parse().ok());
            word.unwrap_or_default()
        };
        let limit = |place: usize| {
            let group = words.get(4 * place..).unwrap_or_default();
            OutputLimit {
                hard_bytes: number(group, 1),
                soft_bytes: number(group, 2),
                soft_s: number(group, 3),
            }
        };
        Self {
            normal: limit(0),
            replica: limit(1),
            pubsub: limit(2),
        }
    }
}
