//! A run in the event world: the kernel under the director's lead.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::rc::Rc;

use redrill_node::{CommandLine, NodeView};

use super::kernel::{Disk, Kernel};
use super::table::Port;
use crate::client::{Client, Setup, WrittenKey};
use crate::director::Director;
use crate::disk::HostDisk;
use crate::network::{HostNumber, Network};
use crate::plan::Plan;
use crate::recorder::Recorder;
use crate::run::Ended;
use crate::scenario::{CrashKind, Latency, Scenario};
use crate::trace::{NodeNumber, StateLoad};
use crate::world::{Hosts, Ticket, World};

/// Runs a scenario to its end.
pub(crate) fn run(scenario: &Scenario, plan: &Plan, hosts: Hosts) -> Ended {
    let mut world = EventWorld::new(scenario, plan, hosts);
    let recorder = Rc::clone(&world.recorder);
    let mut director = Director::new(scenario, plan, world.hosts, Rc::clone(&recorder));
    while !director.is_done() {
        let until_us = director.next_wake_us();
        if director.is_listening() {
            let heard = recorder.borrow().len();
            while world.kernel.step(until_us) {
                let recorder = recorder.borrow();
                if recorder.len() > heard || recorder.has_answers() {
                    break;
                }
            }
        } else {
            while world.kernel.step(until_us) {}
        }
        let now_us = world.kernel.now_us;
        director.wake(now_us, &mut world);
    }
    let not_formed = director.not_formed().map(str::to_owned);
    let records = recorder.borrow_mut().take_records();
    Ended {
        records,
        not_formed,
        scheduled_events: Some(world.kernel.handled()),
    }
}

struct EventWorld<'a> {
    scenario: &'a Scenario,
    plan: &'a Plan,
    hosts: Hosts,
    kernel: Kernel,
    recorder: Rc<RefCell<Recorder>>,
    addresses: Vec<SocketAddr>,
    /// The kernel's numbers of the workload clients.
    clients: u16,
}

impl<'a> EventWorld<'a> {
    fn new(scenario: &'a Scenario, plan: &'a Plan, hosts: Hosts) -> Self {
        let network = Network::of(scenario, &plan.streams);
        let disks = (0..hosts.nodes).map(|node| {
            let state = plan.nodes[usize::from(node)].state.clone();
            let disk = HostDisk::new(node.into(), scenario.disk.fsync, &plan.streams);
            Disk::new(state, disk)
        });
        let mut ports = BTreeMap::new();
        for (node, planned) in (0..).zip(&plan.nodes) {
            let (ip, bus_port) = (planned.address.ip(), planned.config.bus_port);
            ports.insert(planned.address, (node, Port::Client));
            ports.insert(SocketAddr::new(ip, bus_port), (node, Port::Bus));
        }
        let addresses: Vec<SocketAddr> = plan.nodes.iter().map(|node| node.address).collect();
        let clients = (hosts.nodes..hosts.count() as u16).map(client_ip);
        let ips = addresses
            .iter()
            .map(SocketAddr::ip)
            .chain(clients)
            .collect();
        let kernel = Kernel::new(network, disks.collect(), ports, ips, plan.epoch_ms);
        let recorder = Rc::clone(&kernel.recorder);
        recorder.borrow_mut().expect(scenario);
        Self {
            scenario,
            plan,
            hosts,
            kernel,
            recorder,
            addresses,
            clients: 0,
        }
    }
}

impl World for EventWorld<'_> {
    fn look(&self, node: NodeNumber, look: &mut dyn FnMut(NodeView<'_>)) -> bool {
        match self.kernel.node(node) {
            Some(process) => {
                look(process.view());
                true
            }
            None => false,
        }
    }

    fn answers(&self, node: NodeNumber) -> bool {
        self.kernel.may_turn(node)
    }

    fn start(&mut self, node: NodeNumber) {
        let planned = &self.plan.nodes[usize::from(node)];
        let seed = self.plan.node_seed(node, self.kernel.starts(node));
        self.kernel.network.set_dark(node, false);
        let now_us = self.kernel.now_us;
        let loaded = self.kernel.state_on_disk(node);
        self.recorder.borrow_mut().state_found(now_us, node, loaded);
        if loaded == StateLoad::Torn {
            let text = format!("node {node} cannot start: its state file is torn");
            self.recorder.borrow_mut().remark(now_us, text);
            return;
        }
        if let Err(error) = self.kernel.start(node, planned.config.clone(), seed) {
            self.recorder
                .borrow_mut()
                .remark(now_us, format!("node {node} cannot start: {error}"));
        }
    }

    fn crash(&mut self, node: NodeNumber, how: CrashKind) {
        match how {
            CrashKind::Kill => self.kernel.kill(node),
            CrashKind::Shutdown => {
                self.kernel.settle_data(node);
                self.kernel.kill(node);
            }
            CrashKind::PowerOff => self.kernel.power_off(node),
        }
    }

    fn runs(&self, node: NodeNumber) -> bool {
        self.kernel.is_up(node)
    }

    fn freeze(&mut self, node: NodeNumber) {
        self.kernel.set_frozen(node, true);
    }

    fn thaw(&mut self, node: NodeNumber) {
        self.kernel.set_frozen(node, false);
    }

    fn change_network(&mut self, change: &mut dyn FnMut(&mut Network)) {
        self.kernel.settle_all();
        change(&mut self.kernel.network);
    }

    fn jump_clock(&mut self, node: NodeNumber, by_ms: i64) {
        self.kernel.hosts[usize::from(node)].clock_ahead_ms += by_ms;
    }

    fn slow_disk(&mut self, node: NodeNumber, fault: u16, fsync: Option<Latency>) {
        let disk = &mut self.kernel.disks[usize::from(node)].times;
        disk.set_slow(fault, fsync);
    }

    fn hold_up_disk(&mut self, node: NodeNumber, until_us: u64) {
        self.kernel.disks[usize::from(node)].times.hold_up(until_us);
    }

    fn operate(
        &mut self,
        ticket: Ticket,
        node: NodeNumber,
        command: CommandLine,
        patience_us: u64,
    ) {
        self.kernel
            .operate(ticket, self.hosts.operator(), node, command, patience_us);
    }

    fn start_clients(&mut self) {
        let workload = &self.scenario.workload;
        for (number, spec) in (0..).zip(&workload.clients) {
            let setup = Setup {
                number,
                spec,
                workload,
                nodes: &self.scenario.cluster.nodes,
                addresses: &self.addresses,
                streams: &self.plan.streams,
                start_us: self.kernel.now_us,
            };
            self.kernel
                .add_client(Client::new(setup), self.hosts.client(number));
            self.clients += 1;
        }
    }

    fn set_load(&mut self, factor: f64) {
        for client in 0..self.clients {
            self.kernel.set_rate_factor(client, factor);
        }
    }

    fn clients_are_idle(&self) -> bool {
        self.kernel
            .clients
            .iter()
            .take(self.clients.into())
            .all(|host| host.client.is_idle())
    }

    fn take_written(&mut self) -> Vec<WrittenKey> {
        let clients = self.kernel.clients.iter_mut();
        clients
            .flat_map(|host| host.client.take_written())
            .collect()
    }
}

/// Where a client seems to come from.
fn client_ip(host: HostNumber) -> IpAddr {
    let [high, low] = host.to_be_bytes();
    IpAddr::V4(Ipv4Addr::new(10, 255, high, low))
}
