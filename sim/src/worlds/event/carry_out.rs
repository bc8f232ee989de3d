//! What a node wants done at the end of a turn, done in order.

use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;

use redrill_node::{Action, ClientId, LinkId, StateFile, ToMaster, ToReplica};

use super::host::{Descriptor, LoopState};
use super::kernel::{Event, Kernel, State};
use super::table::{End, Port, WireIndex};
use super::turn::Flow;
use super::wire::Parcel;
use crate::scenario::StallKind;
use crate::tcp::Side;
use crate::trace::{NodeNumber, ProcessChange};

impl Kernel {
    /// Does what was held until the end of the turn, then polls again. A slow disk holds up what
    /// comes after it.
    pub(super) fn carry_out(&mut self, node: NodeNumber) {
        while let Some(action) = self.hosts[usize::from(node)].held.pop_front() {
            if self.do_now(node, action) == Flow::Sleeps {
                break;
            }
        }
        self.end_carrying_out(node);
    }

    pub(super) fn end_carrying_out(&mut self, node: NodeNumber) {
        let mut written = std::mem::take(&mut self.written);
        for (wire, side) in written.drain(..) {
            self.flush(wire, side);
        }
        self.written = written;
        if self.may_turn(node) {
            self.poll(node);
        }
    }

    /// Does what a node wants. What it writes leaves with [`Self::end_carrying_out`]. The process
    /// sleeps if nothing else may happen before something is done.
    pub(super) fn do_now(&mut self, node: NodeNumber, action: Action) -> Flow {
        let host = &mut self.hosts[usize::from(node)];
        match action {
            Action::Persist { state, sync } => return self.persist(node, Arc::from(state), sync),
            Action::ToDisk(what) => return self.use_disk(node, what),
            Action::Sleep { duration_us } => return self.sleep(node, duration_us),
            Action::Exchange(asked) => {
                self.begin_exchange(node, asked);
                return Flow::Sleeps;
            }
            Action::Note(fact) => self.recorder.borrow_mut().fact(self.now_us, node, fact),
            Action::SendBus { link, message } => {
                let to = host.links.get(link.0).copied();
                self.put(to, Parcel::Bus(message));
            }
            Action::Reply { client, reply, .. } => {
                let to = host.clients.get(client.0).copied();
                self.put(to, Parcel::Reply(reply));
            }
            Action::ToMaster(ToMaster::Command(command)) => {
                let to = host.master;
                self.put(to, Parcel::Command(command));
            }
            Action::ToReplica { client, what } => self.send_to_replica(node, client, what),
            Action::ConnectLink { link, to } => self.connect_link(node, link, to),
            Action::ConnectMaster { to } => self.connect_master(node, to),
            Action::CloseLink { link } => {
                let end = host.links.remove(link.0);
                self.flush_and_close(end);
            }
            Action::CloseClient { client } => {
                let end = host.clients.remove(client.0);
                self.flush_and_close(end);
            }
            Action::CloseMaster => self.close_master(node),
            // A world keeps no log and ends processes itself.
            Action::Log { .. } | Action::RewriteConfig { .. } | Action::Exit => {}
        }
        Flow::GoesOn
    }

    fn sleep(&mut self, node: NodeNumber, duration_us: u64) -> Flow {
        let until_us = self.now_us + duration_us;
        self.hosts[usize::from(node)].loop_state = LoopState::Sleeping { until_us };
        let stalled = ProcessChange::Stalled(StallKind::DebugSleep);
        let mut recorder = self.recorder.borrow_mut();
        recorder.process(self.now_us, node, stalled);
        self.queue.push(until_us, Event::Resume(node));
        Flow::Sleeps
    }

    fn persist(&mut self, node: NodeNumber, state: Arc<StateFile>, sync: bool) -> Flow {
        let now_us = self.now_us;
        let disk = &mut self.disks[usize::from(node)];
        disk.written = State::Whole(state);
        disk.syncing = sync;
        let took_us = if sync {
            disk.times.sync_time_us(now_us)
        } else {
            0
        };
        if took_us == 0 {
            self.saved(node);
            return Flow::GoesOn;
        }
        let until_us = now_us + took_us;
        self.hosts[usize::from(node)].loop_state = LoopState::Syncing { until_us };
        self.queue.push(until_us, Event::Resume(node));
        Flow::Sleeps
    }

    pub(super) fn saved(&mut self, node: NodeNumber) {
        let disk = &mut self.disks[usize::from(node)];
        let State::Whole(state) = &disk.written else {
            return;
        };
        let (current_epoch, last_vote_epoch) = (state.current_epoch, state.last_vote_epoch);
        let synced = disk.syncing;
        if synced {
            disk.durable.clone_from(&disk.written);
        }
        let mut recorder = self.recorder.borrow_mut();
        recorder.state_saving(node, current_epoch, last_vote_epoch);
        recorder.state_saved(self.now_us, node, synced);
    }

    fn send_to_replica(&mut self, node: NodeNumber, client: ClientId, what: ToReplica) {
        let parcel = match what {
            ToReplica::FullResync(resync) => Parcel::FullResync(resync),
            // A parcel is told from what follows it.
            ToReplica::Release => return,
            ToReplica::Continue { id } => Parcel::Continue(id),
            ToReplica::Stream(command) => Parcel::Stream(command),
        };
        let clients = &self.hosts[usize::from(node)].clients;
        let to = clients.get(client.0).copied();
        self.put(to, parcel);
    }

    fn put(&mut self, to: Option<(WireIndex, Side)>, parcel: Parcel) {
        let Some((wire, side)) = to else { return };
        self.write(wire, side, parcel);
        if self.written.last() != Some(&(wire, side)) {
            self.written.push((wire, side));
        }
    }

    fn flush_and_close(&mut self, end: Option<(WireIndex, Side)>) {
        if let Some((wire, side)) = end {
            self.flush(wire, side);
            self.close(wire, side);
        }
    }

    fn connect_master(&mut self, node: NodeNumber, to: SocketAddr) {
        self.close_master(node);
        if let Some((master, port)) = self.find(to) {
            let wire = self.dial(node, master, port, End::Master(node), true);
            self.hosts[usize::from(node)].master = Some((wire, Side::Opener));
        }
    }

    fn close_master(&mut self, node: NodeNumber) {
        if let Some((wire, side)) = self.hosts[usize::from(node)].master.take() {
            self.close(wire, side);
        }
    }

    fn connect_link(&mut self, node: NodeNumber, link: LinkId, to: SocketAddr) {
        match self.find(to) {
            Some((peer, port)) => {
                let wire = self.dial(node, peer, port, End::Link(node, link), false);
                self.hosts[usize::from(node)]
                    .links
                    .insert(link.0, (wire, Side::Opener));
            }
            None => self.note_ready(node, Descriptor::NoRoute(link)),
        }
    }

    pub(super) fn find(&self, address: SocketAddr) -> Option<(NodeNumber, Port)> {
        let known = self.addresses.get(&address);
        known.copied()
    }

    pub(super) fn ip_of(&self, host: u16) -> IpAddr {
        self.ips[usize::from(host)]
    }
}
