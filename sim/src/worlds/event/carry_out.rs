//! What a node wants done at the end of a turn, done in order.

use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;

use redrill_node::{Action, LinkId, StateFile, ToMaster, ToReplica};

use super::host::{Descriptor, LoopState};
use super::kernel::{Event, Kernel, State};
use super::table::{End, Port, WireIndex};
use super::turn::Flow;
use super::wire::Parcel;
use crate::tcp::Side;
use crate::trace::NodeNumber;

impl Kernel {
    /// Does what was held until the end of the turn, then polls again. A slow disk holds up what
    /// comes after it.
    pub(super) fn carry_out(&mut self, node: NodeNumber) {
        let mut written = std::mem::take(&mut self.written);
        while let Some(action) = self.hosts[usize::from(node)].held.pop_front() {
            if self.do_now(node, action, &mut written) == Flow::Sleeps {
                break;
            }
        }
        self.end_carrying_out(node, written);
    }

    pub(super) fn end_carrying_out(
        &mut self,
        node: NodeNumber,
        mut written: Vec<(WireIndex, Side)>,
    ) {
        for (wire, side) in written.drain(..) {
            self.flush(wire, side);
        }
        self.written = written;
        if self.may_turn(node) {
            self.poll(node);
        }
    }

    /// Does what a node wants. It sleeps if it has to wait for its disk before anything else.
    pub(super) fn do_now(
        &mut self,
        node: NodeNumber,
        action: Action,
        written: &mut Vec<(WireIndex, Side)>,
    ) -> Flow {
        match action {
            Action::Persist { state, sync } => self.persist(node, Arc::from(state), sync),
            action @ (Action::Append { .. }
            | Action::Rewrite(_)
            | Action::Save(_)
            | Action::StopAppending) => match self.use_disk(node, action) {
                true => Flow::GoesOn,
                false => Flow::Sleeps,
            },
            action @ (Action::ConnectLink { .. }
            | Action::SendBus { .. }
            | Action::CloseLink { .. }
            | Action::Reply { .. }
            | Action::CloseClient { .. }
            | Action::ConnectMaster { .. }
            | Action::ToMaster(_)
            | Action::CloseMaster
            | Action::ToReplica { .. }
            | Action::Log { .. }
            | Action::Exit
            | Action::Note(_)
            | Action::RewriteConfig { .. }
            | Action::Exchange(_)
            | Action::Sleep { .. }) => {
                self.send(node, action, written);
                Flow::GoesOn
            }
        }
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

    fn send(&mut self, node: NodeNumber, action: Action, written: &mut Vec<(WireIndex, Side)>) {
        let host = &mut self.hosts[usize::from(node)];
        match action {
            Action::SendBus { link, message } => {
                let to = host.links.get(link.0).copied();
                self.put(to, Parcel::Bus(message), written);
            }
            Action::Reply { client, reply, .. } => {
                let to = host.clients.get(client.0).copied();
                self.put(to, Parcel::Reply(reply), written);
            }
            Action::ToMaster(ToMaster::Command(command)) => {
                let to = host.master;
                self.put(to, Parcel::Command(command), written);
            }
            Action::ToReplica { client, what } => {
                let to = host.clients.get(client.0).copied();
                let parcel = match what {
                    ToReplica::FullResync(resync) => Parcel::FullResync(resync),
                    // A parcel is told from what follows it.
                    ToReplica::Release => return,
                    ToReplica::Continue { id } => Parcel::Continue(id),
                    ToReplica::Stream(command) => Parcel::Stream(command),
                };
                self.put(to, parcel, written);
            }
            Action::ConnectLink { link, to } => self.connect_link(node, link, to),
            Action::CloseLink { link } => {
                if let Some((wire, side)) = host.links.remove(link.0) {
                    self.flush(wire, side);
                    self.close(wire, side);
                }
            }
            Action::CloseClient { client } => {
                if let Some((wire, side)) = host.clients.remove(client.0) {
                    self.flush(wire, side);
                    self.close(wire, side);
                }
            }
            Action::ConnectMaster { to } => {
                if let Some((wire, side)) = host.master.take() {
                    self.close(wire, side);
                }
                if let Some((master, port)) = self.find(to) {
                    let wire = self.dial(node, master, port, End::Master(node), true);
                    self.hosts[usize::from(node)].master = Some((wire, Side::Opener));
                }
            }
            Action::CloseMaster => {
                if let Some((wire, side)) = host.master.take() {
                    self.close(wire, side);
                }
            }
            Action::Note(fact) => self.recorder.borrow_mut().fact(self.now_us, node, fact),
            // These were dealt with where they came up.
            Action::Persist { .. } | Action::Sleep { .. } | Action::Exchange(_) => {}
            // The first four went to the disk; a world keeps no log and ends processes itself.
            Action::Append { .. }
            | Action::Rewrite(_)
            | Action::Save(_)
            | Action::StopAppending
            | Action::Log { .. }
            | Action::RewriteConfig { .. }
            | Action::Exit => {}
        }
    }

    fn put(
        &mut self,
        to: Option<(WireIndex, Side)>,
        parcel: Parcel,
        written: &mut Vec<(WireIndex, Side)>,
    ) {
        let Some((wire, side)) = to else { return };
        self.write(wire, side, parcel);
        if written.last() != Some(&(wire, side)) {
            written.push((wire, side));
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
