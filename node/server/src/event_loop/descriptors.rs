//! The process's descriptors: listeners, connections on their way and connections.

use std::collections::BTreeMap;
use std::future::Future;
use std::io;
use std::pin::Pin;
use std::sync::Arc;

use bytes::BytesMut;
use redrill_node::wire::{bus, resp};
use redrill_node::{ClientId, LinkId, Mono};

use super::snapshot::Outgoing;
use crate::control::Owner;
use crate::data::{RewriteDone, SaveDone};
use crate::master::MasterStream;
use crate::network::Network;
use crate::pipe::Pipe;
use crate::ready::{Readiness, ReadyList, Token};

/// A table of descriptors, found by token or by what they serve.
pub(super) struct Descriptors<N: Network> {
    table: BTreeMap<Token, Descriptor<N>>,
    links: BTreeMap<LinkId, Token>,
    clients: BTreeMap<ClientId, Token>,
    master: Option<Token>,
    next_token: u64,
    ready: Arc<ReadyList>,
}

/// A descriptor and its place in the last poll.
pub(super) struct Descriptor<N: Network> {
    pub(super) readiness: Arc<Readiness>,
    /// The turn whose poll reported it last, and its place among those reported.
    pub(super) reported: (u64, usize),
    /// Whether something was queued since the last flush.
    pub(super) dirty: bool,
    /// Bytes queued, as last told to the control.
    pub(super) noted_queue: usize,
    pub(super) kind: Kind<N>,
}

pub(super) enum Kind<N: Network> {
    ClientListener(N::Listener),
    BusListener(N::Listener),
    /// With what is to leave once it is up.
    Connecting(Owner, Attempt<N::Stream>, BytesMut),
    Link(LinkId, Pipe<N::Stream>, bus::Decoder),
    Client(ClientId, Pipe<N::Stream>, Client),
    Master(Pipe<N::Stream>, MasterStream),
    /// Work for the disk beside the loop.
    Work(Work),
}

/// Work for the disk beside the loop; it ends with what is to be done about it.
pub(super) type Work = Pin<Box<dyn Future<Output = Option<WorkDone>>>>;

/// Work for the disk that is done.
pub(super) enum WorkDone {
    /// A sync of the append-only file.
    Synced(io::Result<()>),
    /// A new base.
    Rewritten(RewriteDone),
    /// A snapshot.
    Saved(SaveDone),
    /// A sync that nobody waits for.
    Closed,
}

pub(super) type Attempt<S> = Pin<Box<dyn Future<Output = io::Result<S>>>>;

/// The process's side of a client.
#[derive(Default)]
pub(super) struct Client {
    pub(super) decoder: resp::RequestDecoder,
    /// Whether its bytes stopped being commands: what else arrives is dropped.
    pub(super) refused: bool,
    /// Whether the node knows that it said the password, where there is one.
    pub(super) authenticated: bool,
    /// Bytes at the front of its output that are a snapshot.
    pub(super) snapshot_len: usize,
    /// A snapshot of which a part is not written yet, or was not loaded yet.
    pub(super) outgoing: Option<Box<Outgoing>>,
    /// Since when its output is above the soft limit.
    pub(super) slow_since: Option<Mono>,
    /// Whether the node closes it: nothing is read, and it goes when its output has left.
    pub(super) closing: bool,
}

/// What a ready descriptor is to be asked.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Role {
    ClientListener,
    BusListener,
    Connecting(Owner),
    Connected(Owner),
    Work,
}

impl<N: Network> Descriptors<N> {
    pub(super) fn new(ready: Arc<ReadyList>) -> Self {
        Self {
            table: BTreeMap::new(),
            links: BTreeMap::new(),
            clients: BTreeMap::new(),
            master: None,
            next_token: 0,
            ready,
        }
    }

    /// Adds a descriptor, which is looked at in the next poll. An older one that serves the same
    /// is closed.
    pub(super) fn add(&mut self, kind: impl FnOnce(Arc<Readiness>) -> Kind<N>) -> Token {
        let token = Token(self.next_token);
        self.next_token += 1;
        let readiness = self.ready.readiness(token);
        let kind = kind(Arc::clone(&readiness));
        let replaced = match kind.owner() {
            Some(Owner::Link(link)) => self.links.insert(link, token),
            Some(Owner::Client(client)) => self.clients.insert(client, token),
            Some(Owner::Master) => self.master.replace(token),
            None => None,
        };
        if let Some(replaced) = replaced {
            self.table.remove(&replaced);
        }
        readiness.mark_ready();
        let descriptor = Descriptor {
            readiness,
            reported: (0, 0),
            dirty: false,
            noted_queue: 0,
            kind,
        };
        self.table.insert(token, descriptor);
        token
    }

    /// The token of the connection that serves `owner`, up or on its way.
    pub(super) fn token(&self, owner: Owner) -> Option<Token> {
        match owner {
            Owner::Link(link) => self.links.get(&link).copied(),
            Owner::Client(client) => self.clients.get(&client).copied(),
            Owner::Master => self.master,
        }
    }

    pub(super) fn get_mut(&mut self, token: Token) -> Option<&mut Descriptor<N>> {
        self.table.get_mut(&token)
    }

    pub(super) fn kind_mut(&mut self, token: Token) -> Option<&mut Kind<N>> {
        Some(&mut self.table.get_mut(&token)?.kind)
    }

    /// Where to put what is to leave by a connection, up or on its way.
    pub(super) fn output(&mut self, token: Token) -> Option<&mut BytesMut> {
        match self.kind_mut(token)? {
            Kind::ClientListener(_) | Kind::BusListener(_) | Kind::Work(_) => None,
            Kind::Connecting(_, _, waiting) => Some(waiting),
            Kind::Link(_, pipe, _) | Kind::Master(pipe, _) => pipe.output(),
            Kind::Client(_, pipe, client) => match &mut client.outgoing {
                Some(outgoing) if pipe.broken().is_none() => Some(&mut outgoing.later),
                Some(_) | None => pipe.output(),
            },
        }
    }

    /// Closes a descriptor.
    pub(super) fn remove(&mut self, token: Token) -> Option<Descriptor<N>> {
        let removed = self.table.remove(&token)?;
        match removed.kind.owner() {
            Some(Owner::Link(link)) => drop(self.links.remove(&link)),
            Some(Owner::Client(client)) => drop(self.clients.remove(&client)),
            Some(Owner::Master) => self.master = None,
            None => {}
        }
        Some(removed)
    }
}

impl<N: Network> Kind<N> {
    pub(super) const fn role(&self) -> Role {
        match self {
            Self::ClientListener(_) => Role::ClientListener,
            Self::BusListener(_) => Role::BusListener,
            Self::Connecting(owner, ..) => Role::Connecting(*owner),
            Self::Link(link, ..) => Role::Connected(Owner::Link(*link)),
            Self::Client(client, ..) => Role::Connected(Owner::Client(*client)),
            Self::Master(..) => Role::Connected(Owner::Master),
            Self::Work(_) => Role::Work,
        }
    }

    pub(super) const fn owner(&self) -> Option<Owner> {
        match self.role() {
            Role::ClientListener | Role::BusListener | Role::Work => None,
            Role::Connecting(owner) | Role::Connected(owner) => Some(owner),
        }
    }

    /// The bytes of a connection that is up.
    pub(super) const fn pipe(&mut self) -> Option<&mut Pipe<N::Stream>> {
        match self {
            Self::ClientListener(_)
            | Self::BusListener(_)
            | Self::Connecting(..)
            | Self::Work(_) => None,
            Self::Link(_, pipe, _) | Self::Client(_, pipe, _) | Self::Master(pipe, _) => Some(pipe),
        }
    }
}
