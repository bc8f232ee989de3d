//! What clients may send and leave unread.

use redrill_node::{ClientCut, ClientId, Config, Input, Node, OutputLimit, OutputLimits};

use super::descriptors::Kind;
use super::{EventLoop, Stop};
use crate::clock::Clock;
use crate::control::Owner;
use crate::disk::Disk;
use crate::network::Network;
use crate::observer::Observer;
use crate::ready::Token;

/// So much output every client may have, bytes: Redis does not count the buffer that each has
/// anyway (`PROTO_REPLY_CHUNK_BYTES`).
pub(super) const UNCOUNTED: usize = 16 << 10;

/// The directives that limit clients, as of the last turn.
#[derive(Clone, Copy)]
pub(super) struct Limits {
    output: OutputLimits,
    /// A replica may always be as far behind as the backlog reaches.
    backlog_bytes: u64,
    /// `client-query-buffer-limit`
    pub(super) query_bytes: u64,
    /// `proto-max-bulk-len`
    pub(super) bulk_bytes: usize,
    /// `tcp-keepalive`
    pub(super) keepalive_s: u32,
    pub(super) has_password: bool,
}

impl Default for Limits {
    fn default() -> Self {
        Self::of_config(&Config::default())
    }
}

impl Limits {
    pub(super) fn of(node: &Node) -> Self {
        Self::of_config(node.config())
    }

    fn of_config(config: &Config) -> Self {
        Self {
            output: config.client_output_buffer_limit,
            backlog_bytes: config.repl_backlog_size_bytes,
            query_bytes: config.client_query_buffer_limit_bytes,
            bulk_bytes: usize::try_from(config.proto_max_bulk_len_bytes).unwrap_or(usize::MAX),
            keepalive_s: u32::try_from(config.tcp_keepalive_s).unwrap_or_default(),
            has_password: config.requirepass.is_some(),
        }
    }
}

impl<N: Network, C: Clock, D: Disk, O: Observer> EventLoop<N, C, D, O> {
    /// Cuts a client off if more waits for it than it may leave unread
    /// (`closeClientOnOutputBufferLimitReached`).
    pub(super) fn limit_output(&mut self, token: Token, client: ClientId) {
        let class = self.control.with_node(|node| node.client_class(client));
        let Some(class) = class else { return };
        let is_replica = class == redrill_node::ClientClass::Replica;
        let OutputLimit {
            mut hard_bytes,
            soft_bytes,
            soft_s,
        } = self.limits.output.of(class);
        if is_replica && hard_bytes > 0 {
            hard_bytes = hard_bytes.max(self.limits.backlog_bytes);
        }
        let now = self.clock.now().mono;
        let Some(Kind::Client(_, pipe, state)) = self.descriptors.kind_mut(token) else {
            return;
        };
        let waiting = pipe.queued().saturating_sub(state.snapshot_len) + state.held_len();
        let waiting = waiting as u64;
        let passed = |limit: u64| limit > 0 && waiting >= limit;
        let slow_us = if passed(soft_bytes) {
            let since = *state.slow_since.get_or_insert(now);
            now.0.saturating_sub(since.0)
        } else {
            state.slow_since = None;
            0
        };
        if passed(hard_bytes) || slow_us > soft_s.saturating_mul(1_000_000) {
            self.close(token);
            let why = ClientCut::Output;
            self.answers.push_back(Input::ClientCut { client, why });
        }
    }

    /// Looks at the clients that read slowly: they may have been slow for too long.
    pub(super) async fn cut_slow_readers(&mut self) -> Result<(), Stop> {
        for client in self.control.slow_clients(UNCOUNTED) {
            if let Some(token) = self.descriptors.token(Owner::Client(client)) {
                self.limit_output(token, client);
            }
        }
        match self.answers.pop_front() {
            Some(answer) => self.input(answer).await,
            None => Ok(()),
        }
    }
}
