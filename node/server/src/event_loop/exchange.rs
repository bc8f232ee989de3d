//! Questions to other servers, for whose answers the loop stands still (`MIGRATE`).

use std::collections::BTreeMap;
use std::future::{Future, poll_fn};
use std::io;
use std::net::SocketAddr;
use std::pin::pin;
use std::task::Poll;

use bytes::{Buf, BytesMut};
use redrill_node::exchange::{Exchange, ExchangeFailure, Exchanged, KEPT_FOR_S, MAX_KEPT};
use redrill_node::wire::resp;
use redrill_node::{Mono, Reply};
use tokio::io::{AsyncReadExt, AsyncWriteExt};

use super::{EventLoop, Stop};
use crate::clock::Clock;
use crate::disk::Disk;
use crate::network::{Network, Stream};
use crate::observer::Observer;

/// The most that is written in one go, bytes.
const CHUNK_LEN: usize = 64 << 10;

/// No step takes longer, whatever was asked for: a day, ms.
const MAX_TIMEOUT_MS: u64 = 86_400_000;

/// Connections that are kept for the next exchange, by host and port.
pub(super) struct Correspondents<S>(BTreeMap<(Box<str>, u16), Correspondent<S>>);

struct Correspondent<S> {
    stream: S,
    /// The database chosen on it.
    selected: Option<i64>,
    used: Mono,
}

/// Where and how an exchange broke off.
struct Broken {
    failure: ExchangeFailure,
    timed_out: bool,
}

impl<S> Default for Correspondents<S> {
    fn default() -> Self {
        Self(BTreeMap::new())
    }
}

impl<S> Correspondents<S> {
    /// Closes what was not used for long (`migrateCloseTimedoutSockets`).
    pub(super) fn close_idle(&mut self, now: Mono) {
        if !self.0.is_empty() {
            let limit_us = (KEPT_FOR_S + 1) * 1_000_000;
            self.0
                .retain(|_, kept| now.0.saturating_sub(kept.used.0) < limit_us);
        }
    }

    fn keep(&mut self, exchange: &Exchange, kept: Correspondent<S>) {
        if self.0.len() >= MAX_KEPT {
            self.0.pop_first();
        }
        self.0.insert(name(exchange), kept);
    }
}

fn name(exchange: &Exchange) -> (Box<str>, u16) {
    (exchange.host.clone(), exchange.port)
}

impl<N: Network, C: Clock, D: Disk, O: Observer> EventLoop<N, C, D, O> {
    /// Sends commands to another server and reads the replies. Nothing else happens meanwhile.
    pub(super) async fn exchange(&mut self, exchange: &Exchange) -> Result<Exchanged, Stop> {
        self.correspondents.close_idle(self.clock.now().mono);
        let control = self.control.clone();
        let exchanged = control.wait_for(self.correspond(exchange)).await;
        exchanged.ok_or(Stop::Killed)
    }

    /// Tries a kept connection, and a new one if that turns out to be over.
    async fn correspond(&mut self, exchange: &Exchange) -> Exchanged {
        let mut may_retry = true;
        loop {
            let kept = self.correspondents.0.remove(&name(exchange));
            let mut correspondent = match kept {
                Some(kept) => kept,
                None => match self.call_up(exchange).await {
                    Ok(new) => new,
                    Err(error) => {
                        tracing::debug!(%error, host = %exchange.host, "no connection");
                        return Exchanged::failed(ExchangeFailure::Connecting);
                    }
                },
            };
            let selected = correspondent.selected;
            let preface_len = exchange.preface_len(selected);
            let stream = &mut correspondent.stream;
            let (replies, broken) = talk(stream, &self.clock, exchange, selected).await;
            let nothing_happened = replies.len() <= preface_len;
            if let Some(broken) = &broken
                && nothing_happened
                && !broken.timed_out
                && std::mem::take(&mut may_retry)
            {
                continue;
            }
            let failure = broken.map(|broken| broken.failure);
            let exchanged = Exchanged::new(replies, preface_len, failure);
            if failure.is_none() {
                correspondent.selected = (!exchanged.has_errors()).then_some(exchange.database);
                correspondent.used = self.clock.now().mono;
                self.correspondents.keep(exchange, correspondent);
            }
            return exchanged;
        }
    }

    async fn call_up(&self, exchange: &Exchange) -> io::Result<Correspondent<N::Stream>> {
        let connect = async {
            let ip = self.network.resolve(&exchange.host).await?;
            let to = SocketAddr::new(ip, exchange.port);
            self.network.connect(to).await
        };
        let mut stream = within(&self.clock, exchange.timeout_ms, connect).await?;
        stream.set_nodelay(true)?;
        Ok(Correspondent {
            stream,
            selected: None,
            used: self.clock.now().mono,
        })
    }
}

/// Writes every command, then reads as many replies.
async fn talk(
    stream: &mut impl Stream,
    clock: &impl Clock,
    exchange: &Exchange,
    selected: Option<i64>,
) -> (Vec<Reply>, Option<Broken>) {
    let broken = |failure, error: &io::Error| Broken {
        failure,
        timed_out: error.kind() == io::ErrorKind::TimedOut,
    };
    let mut replies = Vec::new();
    let expected = match write(stream, clock, exchange, selected).await {
        Ok(count) => count,
        Err(error) => return (replies, Some(broken(ExchangeFailure::Writing, &error))),
    };
    let mut input = BytesMut::new();
    while replies.len() < expected {
        match read(stream, clock, exchange.timeout_ms, &mut input).await {
            Ok(reply) => replies.push(reply),
            Err(error) => return (replies, Some(broken(ExchangeFailure::Reading, &error))),
        }
    }
    (replies, None)
}

/// Writes the commands and says how many there were.
async fn write(
    stream: &mut impl Stream,
    clock: &impl Clock,
    exchange: &Exchange,
    selected: Option<i64>,
) -> io::Result<usize> {
    let mut count = 0;
    let mut output = BytesMut::new();
    for line in exchange.lines(selected) {
        resp::encode_command(&line, &mut output);
        count += 1;
        while output.len() >= CHUNK_LEN {
            let chunk = output.split_to(CHUNK_LEN);
            within(clock, exchange.timeout_ms, stream.write_all(&chunk)).await?;
        }
    }
    within(clock, exchange.timeout_ms, stream.write_all(&output)).await?;
    Ok(count)
}

/// Reads the next reply.
async fn read(
    stream: &mut impl Stream,
    clock: &impl Clock,
    timeout_ms: u64,
    input: &mut BytesMut,
) -> io::Result<Reply> {
    loop {
        let reply = resp::decode_reply(input).map_err(io::Error::other)?;
        if let Some((reply, len)) = reply {
            input.advance(len);
            return Ok(reply);
        }
        if within(clock, timeout_ms, stream.read_buf(input)).await? == 0 {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
    }
}

/// Waits for some work, but not for longer than a time.
async fn within<T>(
    clock: &impl Clock,
    timeout_ms: u64,
    work: impl Future<Output = io::Result<T>>,
) -> io::Result<T> {
    let timeout_us = timeout_ms.min(MAX_TIMEOUT_MS) * 1000;
    let mut sleep = pin!(clock.sleep_until(clock.now().mono.plus_us(timeout_us)));
    let mut work = pin!(work);
    poll_fn(|context| {
        if let Poll::Ready(result) = work.as_mut().poll(context) {
            return Poll::Ready(result);
        }
        let timed_out = sleep.as_mut().poll(context);
        timed_out.map(|()| Err(io::ErrorKind::TimedOut.into()))
    })
    .await
}
