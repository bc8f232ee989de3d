//! Actions, carried out in order.

use std::net::SocketAddr;

use bytes::BytesMut;
use redrill_node::wire::{bus, resp};
use redrill_node::{
    Action, ClientId, ConfigRewrite, FullResync, Input, LinkId, Message, StateFile, ToDisk,
    ToMaster, ToReplica,
};

use super::descriptors::Kind;
use super::{EventLoop, ServeError, Stop, limits, snapshot};
use crate::clock::Clock;
use crate::control::Owner;
use crate::disk::{Disk, Replace};
use crate::network::Network;
use crate::observer::Observer;
use crate::ready::Token;
use crate::tokio_net::os_words;

impl<N: Network, C: Clock, D: Disk, O: Observer> EventLoop<N, C, D, O> {
    /// Gives the node an input and does what it asks for.
    pub(super) async fn input(&mut self, input: Input) -> Result<(), Stop> {
        let mut actions = std::mem::take(&mut self.actions);
        let mut next = Some(input);
        while let Some(input) = next {
            self.control.handle(self.clock.now(), input, &mut actions);
            for action in actions.drain(..) {
                self.carry_out(action).await?;
            }
            // What was answered at once comes before anything else.
            next = self.answers.pop_front();
        }
        self.actions = actions;
        Ok(())
    }

    async fn carry_out(&mut self, action: Action) -> Result<(), Stop> {
        match action {
            Action::Persist { state, sync } => self.persist(&state, sync).await?,
            Action::ConnectLink { link, to } => self.open(Owner::Link(link), to),
            Action::SendBus { link, message } => self.send_bus(link, &message),
            Action::CloseLink { link } => self.close_owned(Owner::Link(link)),
            Action::Reply {
                client,
                reply,
                resp3,
            } => self.queue(Owner::Client(client), |output| {
                resp::encode_reply(&reply, resp3, output);
            }),
            Action::CloseClient { client } => self.close_client(client),
            Action::Sleep { duration_us } => self.sleep(duration_us).await?,
            Action::Exchange(exchange) => {
                let outcome = self.exchange(&exchange).await?;
                self.answers.push_back(Input::Exchanged(Box::new(outcome)));
                self.stood_still = true;
            }
            Action::ConnectMaster { to } => self.open(Owner::Master, to),
            Action::ToMaster(ToMaster::Command(command)) => self.queue(Owner::Master, |output| {
                resp::encode_command(&command, output);
            }),
            Action::CloseMaster => self.close_owned(Owner::Master),
            Action::ToReplica { client, what } => self.send_to_replica(client, &what),
            Action::ToDisk(what) => self.use_disk(what).await?,
            Action::Exit => self.exits = true,
            Action::Note(fact) => self.observer.fact(self.clock.now(), fact),
            Action::Log { level, line } => self.observer.log(self.clock.now(), level, &line),
            Action::RewriteConfig { client } => self.rewrite_config(client),
        }
        Ok(())
    }

    /// Writes the state file. What was queued before leaves before, what is queued after leaves
    /// after.
    async fn persist(&mut self, state: &StateFile, sync: bool) -> Result<(), Stop> {
        self.flush();
        let content = state.state().to_text().into_bytes();
        self.observer.state_saving(self.clock.now(), &content, sync);
        let replace = if self.torn_state_file {
            Replace::InPlace
        } else {
            Replace::Atomic
        };
        let save = self.disk.save(content, replace, sync);
        match self.control.wait_for(save).await {
            Some(Ok(())) => {
                self.observer.state_saved(self.clock.now(), sync);
                Ok(())
            }
            Some(Err(error)) => Err(Stop::Failed(ServeError::SaveState(error))),
            None => Err(Stop::Killed),
        }
    }

    async fn use_disk(&mut self, what: ToDisk) -> Result<(), Stop> {
        match what {
            ToDisk::Append { commands, sync } => self.append(&commands, sync).await,
            ToDisk::Rewrite(rewrite) => {
                self.rewrite(*rewrite);
                Ok(())
            }
            ToDisk::Save(save) => self.save(*save).await,
            ToDisk::StopAppending => self.stop_appending().await,
        }
    }

    /// Writes the configuration file anew.
    fn rewrite_config(&mut self, client: ClientId) {
        let config = self.control.with_node(|node| node.config().clone());
        let Some(config) = config else { return };
        let file = config.host.config_file.as_deref().unwrap_or_default();
        let written = (self.disk).rewrite(file.as_ref(), &mut |old| config.rewrite(old));
        let result = match written {
            Ok(()) => ConfigRewrite::Done,
            Err(error) => ConfigRewrite::Failed(os_words(&error).into()),
        };
        self.answers
            .push_back(Input::ConfigRewritten { client, result });
    }

    /// `DEBUG SLEEP`: the whole loop stands still, the kernel goes on.
    async fn sleep(&mut self, duration_us: u64) -> Result<(), Stop> {
        let now = self.clock.now();
        let until = now.mono.plus_us(duration_us);
        self.observer.sleeping(now, until);
        let sleep = self.clock.sleep_until(until);
        self.control.wait_for(sleep).await.ok_or(Stop::Killed)
    }
}

/// What leaves.
impl<N: Network, C: Clock, D: Disk, O: Observer> EventLoop<N, C, D, O> {
    /// Offers the kernel all that was queued since the last flush
    /// (`handleClientsWithPendingWrites`).
    pub(super) fn flush(&mut self) {
        for place in 0..self.dirty.len() {
            let token = self.dirty[place];
            if let Some(descriptor) = self.descriptors.get_mut(token) {
                descriptor.dirty = false;
                self.write(token);
            }
        }
        self.dirty.clear();
    }

    /// Offers the kernel what is queued on one connection, and closes it if that was the last.
    pub(super) fn write(&mut self, token: Token) {
        let Some(descriptor) = self.descriptors.get_mut(token) else {
            return;
        };
        if let Kind::Client(_, pipe, client) = &mut descriptor.kind
            && client.outgoing.is_some()
        {
            snapshot::write(pipe, client, &descriptor.readiness);
        }
        let Some(pipe) = descriptor.kind.pipe() else {
            return;
        };
        let before = pipe.queued();
        pipe.write();
        let (mut queued, broken) = (pipe.queued(), pipe.broken().is_some());
        if let Kind::Client(_, _, client) = &mut descriptor.kind {
            client.snapshot_len = client.snapshot_len.saturating_sub(before - queued);
            queued += client.held_len();
            if queued < limits::UNCOUNTED {
                client.slow_since = None;
            }
        }
        let noted = std::mem::replace(&mut descriptor.noted_queue, queued);
        if let (true, Some(owner)) = (noted != queued, descriptor.kind.owner()) {
            self.control.note_queue(owner, queued);
        }
        if let Kind::Client(_, _, state) = &descriptor.kind
            && state.closing
            && ((queued == 0 && state.outgoing.is_none()) || broken)
        {
            self.close(token);
        }
    }

    /// Closes a connection at once.
    pub(super) fn close(&mut self, token: Token) {
        let Some(descriptor) = self.descriptors.remove(token) else {
            return;
        };
        if let (true, Some(owner)) = (descriptor.noted_queue > 0, descriptor.kind.owner()) {
            self.control.note_queue(owner, 0);
        }
    }

    pub(super) fn mark_dirty(&mut self, token: Token) {
        if let Some(descriptor) = self.descriptors.get_mut(token)
            && !std::mem::replace(&mut descriptor.dirty, true)
        {
            self.dirty.push(token);
        }
    }

    fn open(&mut self, owner: Owner, to: SocketAddr) {
        self.close_owned(owner);
        let attempt = Box::pin(self.network.connect(to));
        self.descriptors
            .add(|_| Kind::Connecting(owner, attempt, BytesMut::new()));
    }

    fn close_owned(&mut self, owner: Owner) {
        if let Some(token) = self.descriptors.token(owner) {
            self.close(token);
        }
    }

    fn close_client(&mut self, client: ClientId) {
        let Some(token) = self.descriptors.token(Owner::Client(client)) else {
            return;
        };
        if let Some(Kind::Client(_, pipe, state)) = self.descriptors.kind_mut(token) {
            if pipe.broken().is_some() {
                return self.close(token);
            }
            state.closing = true;
            state.outgoing.take_if(|outgoing| !outgoing.closes);
            self.mark_dirty(token);
        }
    }

    /// Puts bytes into a connection's output, if it is there.
    fn queue(&mut self, owner: Owner, put: impl FnOnce(&mut BytesMut)) {
        let Some(token) = self.descriptors.token(owner) else {
            return;
        };
        if let Some(output) = self.descriptors.output(token) {
            put(output);
            let len = output.len();
            self.mark_dirty(token);
            if let Owner::Client(client) = owner
                && len >= limits::UNCOUNTED
            {
                self.limit_output(token, client);
            }
        }
    }

    fn send_bus(&mut self, link: LinkId, message: &Message) {
        self.queue(Owner::Link(link), |output| bus::encode(message, output));
    }

    fn send_to_replica(&mut self, client: ClientId, what: &ToReplica) {
        match what {
            ToReplica::FullResync(resync) => {
                let FullResync { id, offset, .. } = &**resync;
                let head = if resync.announced {
                    format!("+FULLRESYNC {id} {offset}\r\n")
                } else {
                    String::new()
                };
                self.send_snapshot(client, &head, &resync.snapshot, resync.mark, resync.closes);
            }
            ToReplica::Release => self.release(client),
            ToReplica::Continue { id } => self.queue(Owner::Client(client), |output| {
                output.extend_from_slice(format!("+CONTINUE {id}\r\n").as_bytes());
            }),
            ToReplica::Stream(command) => self.queue(Owner::Client(client), |output| {
                resp::encode_command(command, output);
            }),
        }
    }
}
