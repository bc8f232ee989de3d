//! The poll, and what is ready: accepting, connecting, reading.

use std::sync::Arc;
use std::task::{Context, Poll, Waker};

use bytes::BytesMut;
use redrill_node::wire::bus;
use redrill_node::{ClientCut, ClientId, FromMaster, Input, LinkFailure, LinkId, Mono};

use super::descriptors::{Client, Kind, Role};
use super::{EventLoop, Stop};
use crate::clock::Clock;
use crate::control::{Ending, Owner};
use crate::disk::Disk;
use crate::master::MasterStream;
use crate::network::{Accepted, Listener, Network};
use crate::observer::Observer;
use crate::pipe::{Pipe, Read, failure};
use crate::ready::Token;

/// The most one read takes off a client or a master, bytes (`PROTO_IOBUF_LEN`).
const CLIENT_READ_LEN: usize = 16 << 10;

/// The most one turn takes off a bus link, bytes. Redis reads until the kernel has no more; a
/// peer that sends faster than that would keep it for ever.
const LINK_READ_LEN: usize = 4 << 20;

/// The most connections one turn accepts on a port (`MAX_ACCEPTS_PER_CALL`).
const MAX_ACCEPTS: usize = 1000;

/// How a poll ended.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Polled {
    /// Descriptors are ready.
    Ready,
    /// Time is up.
    TimedOut,
    /// A signal ended it (`EINTR`): no descriptor is looked at in this turn.
    Interrupted,
}

impl<N: Network, C: Clock, D: Disk, O: Observer> EventLoop<N, C, D, O> {
    /// Polls until `ends_at` at most and takes in all that is ready.
    pub(super) async fn poll_and_read(&mut self, ends_at: Mono) -> Result<(), Stop> {
        self.turn += 1;
        if self.poll(ends_at).await? != Polled::Ready {
            return Ok(());
        }
        let mut reported = std::mem::take(&mut self.reported);
        self.ready.take(&mut reported);
        self.put_in_order(&mut reported);
        for token in reported.drain(..) {
            self.serve(token).await?;
        }
        self.reported = reported;
        Ok(())
    }

    /// Waits until a descriptor is ready, the process is thawed or asked to end, or time is up.
    async fn poll(&mut self, ends_at: Mono) -> Result<Polled, Stop> {
        let freezes = self.control.freezes();
        if !self.ready.is_empty() || self.clock.now().mono >= ends_at {
            // Nothing to wait for, yet the network has to be asked what else is ready.
            tokio::task::yield_now().await;
        }
        std::future::poll_fn(|context| {
            self.control.watch(context.waker());
            if self.control.ending() == Some(Ending::Kill) {
                return Poll::Ready(Err(Stop::Killed));
            }
            if self.control.is_frozen() {
                return Poll::Pending;
            }
            if self.control.freezes() > freezes || self.control.ending().is_some() {
                return Poll::Ready(Ok(Polled::Interrupted));
            }
            if !self.ready.wait(context.waker()) {
                return Poll::Ready(Ok(Polled::Ready));
            }
            self.timer
                .poll_due(&self.clock, ends_at, context)
                .map(|()| Ok(Polled::TimedOut))
        })
        .await
    }

    /// The order in which `epoll` reports: a descriptor that the last poll reported keeps its
    /// place in the kernel's list, any other stands where it became ready.
    fn put_in_order(&mut self, reported: &mut [Token]) {
        let last_turn = self.turn - 1;
        let descriptors = &mut self.descriptors;
        reported.sort_by_cached_key(|&token| match descriptors.get_mut(token) {
            Some(descriptor) if descriptor.reported.0 == last_turn => descriptor.reported.1,
            Some(_) | None => usize::MAX,
        });
        for (place, &token) in reported.iter().enumerate() {
            if let Some(descriptor) = descriptors.get_mut(token) {
                descriptor.reported = (self.turn, place);
            }
        }
    }

    /// Serves one ready descriptor; it may have been closed since it was reported.
    async fn serve(&mut self, token: Token) -> Result<(), Stop> {
        let Some(descriptor) = self.descriptors.get_mut(token) else {
            return Ok(());
        };
        match descriptor.kind.role() {
            Role::ClientListener | Role::BusListener => self.accept(token).await?,
            Role::Connecting(owner) => self.connect(token, owner).await?,
            Role::Work => self.work(token).await?,
            Role::Connected(Owner::Link(link)) => self.read_link(token, link).await?,
            Role::Connected(Owner::Client(client)) => self.read_client(token, client).await?,
            Role::Connected(Owner::Master) => self.read_master(token).await?,
        }
        // The same descriptor may be ready to be written.
        if let Some(descriptor) = self.descriptors.get_mut(token)
            && let Some(pipe) = descriptor.kind.pipe()
            && pipe.queued() > 0
            && !descriptor.dirty
        {
            self.write(token);
        }
        Ok(())
    }

    async fn accept(&mut self, token: Token) -> Result<(), Stop> {
        for _ in 0..MAX_ACCEPTS {
            let Some(descriptor) = self.descriptors.get_mut(token) else {
                return Ok(());
            };
            let waker = Waker::from(Arc::clone(&descriptor.readiness));
            let mut context = Context::from_waker(&waker);
            match &mut descriptor.kind {
                Kind::ClientListener(listener) => match listener.poll_accept(&mut context) {
                    Poll::Ready(Ok(accepted)) => self.client_accepted(accepted).await?,
                    Poll::Ready(Err(error)) => tracing::debug!(%error, "accepting a client"),
                    Poll::Pending => return Ok(()),
                },
                Kind::BusListener(listener) => match listener.poll_accept(&mut context) {
                    Poll::Ready(Ok(accepted)) => self.link_accepted(accepted).await?,
                    Poll::Ready(Err(error)) => tracing::debug!(%error, "accepting a bus link"),
                    Poll::Pending => return Ok(()),
                },
                Kind::Connecting(..)
                | Kind::Link(..)
                | Kind::Client(..)
                | Kind::Master(..)
                | Kind::Work(_) => {
                    return Ok(());
                }
            }
        }
        self.mark_ready(token);
        Ok(())
    }

    async fn client_accepted(&mut self, accepted: Accepted<N::Stream>) -> Result<(), Stop> {
        self.last_client += 1;
        let client = ClientId(self.last_client);
        let limits = self.limits;
        self.descriptors.add(|readiness| {
            let mut pipe = Pipe::new(accepted.stream, readiness, BytesMut::new());
            pipe.set_nodelay(true);
            if limits.keepalive_s > 0 {
                pipe.set_keepalive(limits.keepalive_s);
            }
            Kind::Client(client, pipe, Client::default())
        });
        let (peer, local) = (accepted.peer, accepted.local.ip());
        self.observer
            .client_accepted(self.clock.now(), client, peer);
        self.input(Input::ClientAccepted {
            client,
            peer,
            local,
        })
        .await
    }

    async fn link_accepted(&mut self, accepted: Accepted<N::Stream>) -> Result<(), Stop> {
        let link = LinkId(self.next_accepted_link);
        self.next_accepted_link += 2;
        self.descriptors.add(|readiness| {
            let mut pipe = Pipe::new(accepted.stream, readiness, BytesMut::new());
            pipe.set_nodelay(true);
            Kind::Link(link, pipe, bus::Decoder::new())
        });
        let (peer, local) = (accepted.peer.ip(), accepted.local.ip());
        self.input(Input::LinkAccepted { link, peer, local }).await
    }

    /// Looks whether a connection on its way is up.
    async fn connect(&mut self, token: Token, owner: Owner) -> Result<(), Stop> {
        let Some(descriptor) = self.descriptors.get_mut(token) else {
            return Ok(());
        };
        let Kind::Connecting(_, attempt, waiting) = &mut descriptor.kind else {
            return Ok(());
        };
        let waker = Waker::from(Arc::clone(&descriptor.readiness));
        let stream = match attempt.as_mut().poll(&mut Context::from_waker(&waker)) {
            Poll::Ready(Ok(stream)) => stream,
            Poll::Ready(Err(error)) => return self.ended(token, owner, failure(&error)).await,
            Poll::Pending => return Ok(()),
        };
        let waiting = std::mem::take(waiting);
        let waits_to_leave = !waiting.is_empty();
        let pipe = Pipe::new(stream, Arc::clone(&descriptor.readiness), waiting);
        let limits = self.control.with_node(|node| node.config().limits);
        let (kind, up) = match owner {
            Owner::Link(link) => (
                Kind::Link(link, pipe, bus::Decoder::new()),
                Input::LinkUp { link },
            ),
            Owner::Master => (
                Kind::Master(pipe, MasterStream::new(limits.unwrap_or_default())),
                Input::Master(FromMaster::Up),
            ),
            // Clients connect to us, never the reverse.
            Owner::Client(_) => return Ok(()),
        };
        descriptor.kind = kind;
        descriptor.readiness.mark_ready();
        if waits_to_leave {
            self.mark_dirty(token);
        }
        self.input(up).await
    }

    /// Reads a bus link until the kernel has no more (`clusterReadHandler`).
    async fn read_link(&mut self, token: Token, link: LinkId) -> Result<(), Stop> {
        let mut taken = 0;
        loop {
            let Some(Kind::Link(_, pipe, decoder)) = self.descriptors.kind_mut(token) else {
                return Ok(());
            };
            match decoder.next(&mut pipe.input) {
                Ok(Some(message)) => {
                    let message = message.into();
                    self.input(Input::Bus { link, message }).await?;
                }
                Ok(None) if taken >= LINK_READ_LEN => {
                    self.mark_ready(token);
                    return Ok(());
                }
                Ok(None) => match pipe.read(&mut self.scratch) {
                    Read::Some(len) => taken += len,
                    Read::WouldBlock => return Ok(()),
                    Read::Ended(why) => return self.ended(token, Owner::Link(link), why).await,
                },
                Err(error) => {
                    let fatal = error.is_fatal();
                    self.observer.bad_packet(self.clock.now(), link, &error);
                    self.input(Input::BadPacket {
                        link,
                        error: Box::new(error),
                    })
                    .await?;
                    if fatal {
                        let why = LinkFailure::BadPacket;
                        return self.ended(token, Owner::Link(link), why).await;
                    }
                }
            }
        }
    }

    /// Reads a client once and runs the commands that are complete (`readQueryFromClient`).
    async fn read_client(&mut self, token: Token, client: ClientId) -> Result<(), Stop> {
        let Some(Kind::Client(_, pipe, state)) = self.descriptors.kind_mut(token) else {
            return Ok(());
        };
        if state.closing {
            return Ok(());
        }
        match pipe.read(&mut self.scratch[..CLIENT_READ_LEN]) {
            Read::Some(_) => {}
            Read::WouldBlock => return Ok(()),
            Read::Ended(why) => return self.ended(token, Owner::Client(client), why).await,
        }
        let len = pipe.input.len();
        if len as u64 > self.limits.query_bytes {
            self.close(token);
            let why = ClientCut::Query(len);
            return self.input(Input::ClientCut { client, why }).await;
        }
        loop {
            let Some(Kind::Client(_, pipe, state)) = self.descriptors.kind_mut(token) else {
                return Ok(());
            };
            if state.closing {
                return Ok(());
            }
            if state.refused {
                pipe.input.clear();
                pipe.look_ahead(&mut self.scratch[..CLIENT_READ_LEN]);
                return Ok(());
            }
            state.decoder.set_max_bulk_len(self.limits.bulk_bytes);
            if self.limits.has_password && !state.authenticated {
                let known = self.control.with_node(|node| node.is_authenticated(client));
                state.authenticated = known.unwrap_or_default();
                state.decoder.set_authenticated(state.authenticated);
            }
            match state.decoder.next(&mut pipe.input) {
                Ok(Some(request)) => {
                    let (command, wire_len) = (request.command, request.wire_len);
                    self.input(Input::Command {
                        client,
                        command,
                        wire_len,
                    })
                    .await?;
                }
                Ok(None) => {
                    pipe.look_ahead(&mut self.scratch[..CLIENT_READ_LEN]);
                    return Ok(());
                }
                Err(error) => {
                    state.refused = true;
                    self.observer.bad_command(self.clock.now(), client, &error);
                    self.input(Input::BadCommand { client, error }).await?;
                }
            }
        }
    }

    /// Reads the connection to the master once (`readSyncBulkPayload`, `readQueryFromClient`).
    async fn read_master(&mut self, token: Token) -> Result<(), Stop> {
        let Some(Kind::Master(pipe, _)) = self.descriptors.kind_mut(token) else {
            return Ok(());
        };
        match pipe.read(&mut self.scratch[..CLIENT_READ_LEN]) {
            Read::Some(_) => {}
            Read::WouldBlock => return Ok(()),
            Read::Ended(why) => return self.ended(token, Owner::Master, why).await,
        }
        let mut whole = false;
        loop {
            let Some(Kind::Master(pipe, stream)) = self.descriptors.kind_mut(token) else {
                return Ok(());
            };
            let was_a_client = stream.carries_commands();
            match stream.next(&mut pipe.input) {
                Ok(Some(event)) => {
                    whole = true;
                    // From here on the master is a client (`replicationCreateMasterClient`).
                    if stream.carries_commands() && !was_a_client {
                        pipe.set_nodelay(true);
                    }
                    self.input(Input::Master(event)).await?;
                }
                Ok(None) => {
                    pipe.look_ahead(&mut self.scratch[..CLIENT_READ_LEN]);
                    break;
                }
                Err(error) => {
                    tracing::warn!(%error, "the connection to the master is given up");
                    return self
                        .ended(token, Owner::Master, LinkFailure::BadPacket)
                        .await;
                }
            }
        }
        if whole {
            return Ok(());
        }
        self.input(Input::Master(FromMaster::Progress)).await
    }

    /// Closes a connection that is over and tells the node.
    async fn ended(&mut self, token: Token, owner: Owner, why: LinkFailure) -> Result<(), Stop> {
        self.close(token);
        match owner {
            Owner::Link(link) => {
                self.observer.link_down(self.clock.now(), link, why);
                self.input(Input::LinkDown { link, why }).await
            }
            Owner::Client(client) => self.input(Input::ClientClosed { client }).await,
            Owner::Master => self.input(Input::Master(FromMaster::Down(why))).await,
        }
    }

    fn mark_ready(&mut self, token: Token) {
        if let Some(descriptor) = self.descriptors.get_mut(token) {
            descriptor.readiness.mark_ready();
        }
    }
}
