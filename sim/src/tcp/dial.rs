//! Setting up a connection.

use super::{NEVER, Side};
use crate::network::{HostNumber, Network, Transit};

/// How often a SYN is sent again before the kernel gives up (`tcp_syn_retries`).
const RETRIES: u8 = 6;

/// Time after which the first SYN is sent again; doubled each time.
const RETRY_AFTER_US: u64 = 1_000_000;

/// A connection that is being set up.
///
/// The world sends a SYN now ([`Self::send`]), and if it arrives asks the host that gets it
/// ([`Self::answer`]). Until the answer has come back it sends another SYN at
/// [`Self::retry_at_us`].
#[derive(Clone, Copy, Debug)]
pub struct Dial {
    from: HostNumber,
    to: HostNumber,
    sent: u8,
    retry_at_us: u64,
}

/// What a host answers to a SYN, and when the answer arrives.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Answer {
    /// The connection is set up for the opener at the first time and for the accepter, who may
    /// then take it, at the second.
    Accepted {
        /// At the opener.
        opener_us: u64,
        /// At the accepter.
        accepter_us: u64,
    },
    /// Nobody listens: `ECONNREFUSED` at this time.
    Refused(u64),
    /// The answer got lost.
    Lost,
}

impl Dial {
    /// A connection from one host to another.
    #[must_use]
    pub const fn new(from: HostNumber, to: HostNumber) -> Self {
        Self {
            from,
            to,
            sent: 0,
            retry_at_us: NEVER,
        }
    }

    /// The host at an end.
    #[must_use]
    pub const fn host(&self, side: Side) -> HostNumber {
        match side {
            Side::Opener => self.from,
            Side::Accepter => self.to,
        }
    }

    /// Sends a SYN. When it arrives, if it does.
    pub fn send(&mut self, now_us: u64, network: &mut Network) -> Transit {
        self.retry_at_us = now_us + (RETRY_AFTER_US << self.sent);
        self.sent += 1;
        network.transit(now_us, self.from, self.to, 0, self.sent)
    }

    /// A SYN arrived where somebody listens or not.
    pub fn answer(&mut self, now_us: u64, listening: bool, network: &mut Network) -> Answer {
        let Transit::Arrives(opener_us) = network.transit(now_us, self.to, self.from, 0, self.sent)
        else {
            return Answer::Lost;
        };
        if !listening {
            return Answer::Refused(opener_us);
        }
        let accepter_us = match network.transit(opener_us, self.from, self.to, 0, self.sent) {
            Transit::Arrives(at_us) => at_us,
            // The SYN-ACK is sent again after a second and acknowledged again.
            Transit::Lost => opener_us + RETRY_AFTER_US,
        };
        Answer::Accepted {
            opener_us,
            accepter_us,
        }
    }

    /// When to send the next SYN if no answer has come, or to give up (`ETIMEDOUT`) if
    /// [`Self::is_last`].
    #[must_use]
    pub const fn retry_at_us(&self) -> u64 {
        self.retry_at_us
    }

    /// Whether the last SYN has been sent.
    #[must_use]
    pub const fn is_last(&self) -> bool {
        self.sent > RETRIES
    }
}
