//! Questions of one node to another, for whose answers its process stands still (`MIGRATE`).

use std::net::{IpAddr, SocketAddr};

use redrill_node::exchange::{Exchange, ExchangeFailure, Exchanged, KEPT_FOR_S, MAX_KEPT};
use redrill_node::{Input, Reply};

use super::host::LoopState;
use super::kernel::{Event, Kernel};
use super::table::{End, WireIndex};
use super::turn::Flow;
use super::wire::{Found, Parcel};
use crate::tcp::{Break, Side};
use crate::trace::NodeNumber;

/// No step takes longer, whatever was asked for: a day, ms.
const MAX_TIMEOUT_MS: u64 = 86_400_000;

/// A connection that is kept for the next exchange.
#[derive(Debug)]
pub(super) struct Correspondent {
    wire: WireIndex,
    /// The database chosen on it.
    selected: Option<i64>,
    used_us: u64,
}

/// An exchange that goes on.
#[derive(Debug)]
pub(super) struct UnderWay {
    exchange: Box<Exchange>,
    /// `None`: nobody is there, and the process learns it as soon as it goes on.
    wire: Option<WireIndex>,
    /// Whether the connection was made for this exchange and is not up yet.
    calls_up: bool,
    may_retry: bool,
    preface_len: usize,
    expected: usize,
    replies: Vec<Reply>,
}

impl Kernel {
    /// Sends what a node has to ask. The process stands still until that is over.
    pub(super) fn begin_exchange(&mut self, node: NodeNumber, exchange: Box<Exchange>) {
        self.close_idle_correspondents(node);
        self.ask(node, exchange, true);
    }

    fn ask(&mut self, node: NodeNumber, exchange: Box<Exchange>, may_retry: bool) {
        let to = address(&exchange);
        let host = &mut self.hosts[usize::from(node)];
        let kept = to.and_then(|to| host.correspondents.remove(&to));
        let (wire, selected, calls_up) = match (kept, to.and_then(|to| self.find(to))) {
            (Some(kept), _) => (Some(kept.wire), kept.selected, false),
            (None, Some((target, port))) => {
                let wire = self.dial(node, target, port, End::Exchange(node), true);
                (Some(wire), None, true)
            }
            (None, None) => (None, None, true),
        };
        let mut expected = 0;
        if let Some(wire) = wire {
            for line in exchange.lines(selected) {
                self.write(wire, Side::Opener, Parcel::Command(line));
                expected += 1;
            }
            if !calls_up {
                self.flush(wire, Side::Opener);
            }
        }
        let wait_us = match wire {
            Some(_) => exchange.timeout_ms.min(MAX_TIMEOUT_MS) * 1000,
            None => 0,
        };
        self.hosts[usize::from(node)].exchange = Some(Box::new(UnderWay {
            preface_len: exchange.preface_len(selected),
            exchange,
            wire,
            calls_up,
            may_retry,
            expected,
            replies: Vec::new(),
        }));
        self.wait_for_exchange(node, wait_us);
    }

    fn wait_for_exchange(&mut self, node: NodeNumber, wait_us: u64) {
        let until_us = self.now_us + wait_us;
        self.hosts[usize::from(node)].loop_state = LoopState::Exchanging { until_us };
        self.queue.push(until_us, Event::Resume(node));
    }

    /// The connection for an exchange is up: what was to be sent leaves.
    pub(super) fn exchange_up(&mut self, node: NodeNumber, wire: WireIndex) {
        if let Some(under_way) = self.under_way(node, wire) {
            under_way.calls_up = false;
            let wait_us = under_way.exchange.timeout_ms.min(MAX_TIMEOUT_MS) * 1000;
            self.wait_for_exchange(node, wait_us);
            self.flush(wire, Side::Opener);
        }
    }

    /// Replies arrived, or the connection ended.
    pub(super) fn exchange_readable(&mut self, node: NodeNumber, wire: WireIndex) {
        if self.under_way(node, wire).is_none() {
            self.hang_up(node, wire);
            return;
        }
        if self.hosts[usize::from(node)].frozen {
            return;
        }
        self.receive(wire, Side::Opener, u64::MAX);
        loop {
            let found = self.next(wire, Side::Opener);
            let Some(under_way) = self.under_way(node, wire) else {
                return;
            };
            match found {
                Found::Parcel {
                    parcel: Parcel::Reply(reply),
                    ..
                } => {
                    under_way.replies.push(reply);
                    let wait_us = under_way.exchange.timeout_ms.min(MAX_TIMEOUT_MS) * 1000;
                    if under_way.replies.len() == under_way.expected {
                        self.finish_exchange(node, None);
                        return;
                    }
                    self.wait_for_exchange(node, wait_us);
                }
                // A server sends clients nothing else.
                Found::Parcel { .. } => {}
                Found::Nothing | Found::More => return,
                Found::Closed | Found::Broken(Break::Reset) => {
                    return self.exchange_broken(node, false);
                }
                Found::Broken(Break::TimedOut) => return self.exchange_broken(node, true),
            }
        }
    }

    /// No connection could be made, or it broke.
    pub(super) fn exchange_failed(&mut self, node: NodeNumber, wire: WireIndex) {
        if self.under_way(node, wire).is_none() {
            self.hang_up(node, wire);
        } else if self.hosts[usize::from(node)].frozen {
            // A stopped process learns of it when it goes on.
            self.wait_for_exchange(node, 0);
        } else {
            self.exchange_broken(node, true);
        }
    }

    /// A step of an exchange takes too long, or a stopped process goes on.
    pub(super) fn exchange_due(&mut self, node: NodeNumber) {
        let wire = self.hosts[usize::from(node)]
            .exchange
            .as_ref()
            .and_then(|under_way| under_way.wire);
        if let Some(wire) = wire {
            self.exchange_readable(node, wire);
        }
        let host = &self.hosts[usize::from(node)];
        if let LoopState::Exchanging { until_us } = host.loop_state
            && until_us <= self.now_us
        {
            self.exchange_broken(node, true);
        }
    }

    /// Tries once more over a new connection if nothing can have happened yet; otherwise it is
    /// over.
    fn exchange_broken(&mut self, node: NodeNumber, is_final: bool) {
        let Some(under_way) = &self.hosts[usize::from(node)].exchange else {
            return;
        };
        let nothing_happened = under_way.replies.len() <= under_way.preface_len;
        let failure = if under_way.calls_up {
            ExchangeFailure::Connecting
        } else {
            ExchangeFailure::Reading
        };
        if is_final || under_way.calls_up || !nothing_happened || !under_way.may_retry {
            return self.finish_exchange(node, Some(failure));
        }
        let Some(under_way) = self.hosts[usize::from(node)].exchange.take() else {
            return;
        };
        if let Some(wire) = under_way.wire {
            self.close(wire, Side::Opener);
        }
        self.ask(node, under_way.exchange, false);
    }

    /// Tells the node how it went and goes on with the turn.
    fn finish_exchange(&mut self, node: NodeNumber, failure: Option<ExchangeFailure>) {
        let now_us = self.now_us;
        let host = &mut self.hosts[usize::from(node)];
        let Some(under_way) = host.exchange.take() else {
            return;
        };
        host.loop_state = LoopState::Polling;
        let UnderWay {
            exchange,
            wire,
            preface_len,
            replies,
            ..
        } = *under_way;
        let exchanged = Exchanged::new(replies, preface_len, failure);
        match (wire, address(&exchange)) {
            (Some(wire), Some(to)) if failure.is_none() => {
                let kept = Correspondent {
                    wire,
                    selected: (!exchanged.has_errors()).then_some(exchange.database),
                    used_us: now_us,
                };
                if host.correspondents.len() < MAX_KEPT {
                    host.correspondents.insert(to, kept);
                } else {
                    self.close(wire, Side::Opener);
                }
            }
            (Some(wire), _) => self.close(wire, Side::Opener),
            (None, _) => {}
        }
        if self.input(node, Input::Exchanged(Box::new(exchanged))) == Flow::GoesOn {
            self.go_on(node);
        }
    }

    /// The exchange of a node that goes on over a connection.
    fn under_way(&mut self, node: NodeNumber, wire: WireIndex) -> Option<&mut UnderWay> {
        let under_way = self.hosts[usize::from(node)].exchange.as_mut()?;
        (under_way.wire == Some(wire)).then_some(under_way)
    }

    /// A kept connection is of no more use.
    fn hang_up(&mut self, node: NodeNumber, wire: WireIndex) {
        let host = &mut self.hosts[usize::from(node)];
        host.correspondents.retain(|_, kept| kept.wire != wire);
        self.close(wire, Side::Opener);
    }

    /// Closes what was not used for long (`migrateCloseTimedoutSockets`).
    pub(super) fn close_idle_correspondents(&mut self, node: NodeNumber) {
        let limit_us = (KEPT_FOR_S + 1) * 1_000_000;
        let now_us = self.now_us;
        let idle = |kept: &&Correspondent| now_us - kept.used_us >= limit_us;
        let host = &self.hosts[usize::from(node)];
        let wires: Vec<WireIndex> = host
            .correspondents
            .values()
            .filter(idle)
            .map(|kept| kept.wire)
            .collect();
        for wire in wires {
            self.hang_up(node, wire);
        }
    }
}

fn address(exchange: &Exchange) -> Option<SocketAddr> {
    let ip: IpAddr = exchange.host.parse().ok()?;
    Some(SocketAddr::new(ip, exchange.port))
}
