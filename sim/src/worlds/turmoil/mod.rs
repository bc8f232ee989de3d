//! The turmoil world: every node a turmoil host that runs the whole server, with its codecs, its
//! sockets and its event loop.

mod clients;
mod fabric;
mod host;
mod socket;
mod time;

use std::cell::RefCell;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::rc::Rc;
use std::time::Duration;

use redrill_node::{CommandLine, NodeView};

use crate::client::{Client, Setup, WrittenKey};
use crate::clock::HostClock;
use crate::director::Director;
use crate::disk::HostDisk;
use crate::network::Network;
use crate::plan::Plan;
use crate::recorder::Recorder;
use crate::run::Ended;
use crate::scenario::{CrashKind, Latency, Scenario};
use crate::trace::{NodeNumber, ProcessChange};
use crate::world::{Hosts, Ticket, World};
use clients::{Desk, Order, Seat};
use fabric::{Fabric, Shared};
use host::{NodeHost, Surroundings};
use socket::Directory;
use time::TICK_US;

/// Segments that turmoil keeps for a stream. The model keeps a stream far below that.
const STREAM_CAPACITY: usize = 1 << 20;

/// Longer than any run.
const FOR_EVER: Duration = Duration::from_secs(u32::MAX as u64);

/// Runs a scenario to its end.
///
/// # Errors
/// What turmoil says if it fails.
pub(crate) fn run(scenario: &Scenario, plan: &Plan, hosts: Hosts) -> Result<Ended, String> {
    let mut sim = turmoil::Builder::new()
        .tick_duration(Duration::from_micros(TICK_US))
        .simulation_duration(FOR_EVER)
        .min_message_latency(Duration::ZERO)
        .max_message_latency(Duration::ZERO)
        .tcp_capacity(STREAM_CAPACITY)
        .epoch(std::time::UNIX_EPOCH)
        .rng_seed(0)
        .build();
    let recorder = Rc::new(RefCell::new(Recorder::new()));
    let mut world = TurmoilWorld::new(scenario, plan, hosts, &recorder, &mut sim);
    let mut director = Director::new(scenario, plan, hosts, Rc::clone(&recorder));
    loop {
        if director.is_due(world.now_us) {
            director.wake(world.now_us, &mut world);
        }
        if director.is_done() {
            break;
        }
        sim.step().map_err(|error| error.to_string())?;
        world.now_us += TICK_US;
        world.wake_sleepers();
    }
    world.fabric.borrow_mut().end();
    Ok(Ended {
        not_formed: director.not_formed().map(str::to_owned),
        records: recorder.borrow_mut().take_records(),
        scheduled_events: None,
    })
}

struct TurmoilWorld<'a> {
    scenario: &'a Scenario,
    plan: &'a Plan,
    hosts: Hosts,
    now_us: u64,
    fabric: Shared,
    recorder: Rc<RefCell<Recorder>>,
    nodes: Vec<Rc<NodeHost>>,
    desk: Rc<Desk>,
    clients: Vec<Rc<Seat>>,
}

impl<'a> TurmoilWorld<'a> {
    fn new(
        scenario: &'a Scenario,
        plan: &'a Plan,
        hosts: Hosts,
        recorder: &Rc<RefCell<Recorder>>,
        sim: &mut turmoil::Sim<'_>,
    ) -> Self {
        let network = Network::of(scenario, &plan.streams);
        let kernels = usize::from(hosts.nodes) + 1;
        let fabric = Rc::new(RefCell::new(Fabric::new(network, kernels)));
        let names: Vec<String> = (0..hosts.nodes)
            .map(|node| format!("node-{node}"))
            .collect();
        let around = Surroundings {
            fabric: Rc::clone(&fabric),
            directory: Rc::new(Directory {
                nodes: plan
                    .nodes
                    .iter()
                    .map(|node| addresses(node.address, node.config.bus_port))
                    .collect(),
                turmoil: names.iter().map(|name| sim.lookup(name.as_str())).collect(),
                outside: IpAddr::V4(Ipv4Addr::LOCALHOST),
            }),
            recorder: Rc::clone(recorder),
            plan: Rc::new(plan.clone()),
        };
        let mut nodes = Vec::new();
        for (number, (node, name)) in (0..).zip(plan.nodes.iter().zip(&names)) {
            let clock = HostClock::new(plan.epoch_ms);
            let disk = HostDisk::new(u64::from(number), scenario.disk.fsync, &plan.streams);
            let host = Rc::new(NodeHost::new(number, node.config.clone(), clock, disk));
            host.install_state(node.state.to_text());
            let (held, around) = (Rc::clone(&host), around.clone());
            sim.host(name.as_str(), move || {
                let (host, around) = (Rc::clone(&held), around.clone());
                async move {
                    host::live(host, around).await;
                    Ok(())
                }
            });
            nodes.push(host);
        }
        let desk = Rc::new(Desk::default());
        let held = Rc::clone(&desk);
        sim.host("outside", move || {
            let (desk, around) = (Rc::clone(&held), around.clone());
            async move {
                clients::live(desk, kernels - 1, around).await;
                Ok(())
            }
        });
        Self {
            scenario,
            plan,
            hosts,
            now_us: 0,
            fabric,
            recorder: Rc::clone(recorder),
            nodes,
            desk,
            clients: Vec::new(),
        }
    }

    fn node(&self, node: NodeNumber) -> &NodeHost {
        &self.nodes[usize::from(node)]
    }

    /// Notes which processes have slept enough.
    fn wake_sleepers(&self) {
        for host in &self.nodes {
            if host
                .sleeps_until_us
                .get()
                .is_some_and(|until_us| until_us <= self.now_us)
            {
                host.sleeps_until_us.set(None);
                let mut recorder = self.recorder.borrow_mut();
                recorder.process(self.now_us, host.node, ProcessChange::Resumed);
            }
        }
    }
}

impl World for TurmoilWorld<'_> {
    fn look(&self, node: NodeNumber, look: &mut dyn FnMut(NodeView<'_>)) -> bool {
        let host = self.node(node);
        host.runs.get()
            && host
                .control
                .borrow()
                .with_node(|node| look(node.view()))
                .is_some()
    }

    fn answers(&self, node: NodeNumber) -> bool {
        let host = self.node(node);
        let control = host.control.borrow();
        let is_awake = host.sleeps_until_us.get().is_none() && !control.is_frozen();
        host.runs.get() && is_awake && control.is_running()
    }

    fn start(&mut self, node: NodeNumber) {
        self.fabric.borrow_mut().network.set_dark(node, false);
        self.node(node).start();
    }

    fn crash(&mut self, node: NodeNumber, how: CrashKind) {
        let host = self.node(node);
        host.end();
        match how {
            CrashKind::Kill => host.control.borrow().kill(),
            CrashKind::Shutdown => host.control.borrow().stop(),
            CrashKind::PowerOff => {
                let mut fabric = self.fabric.borrow_mut();
                fabric.lose_power(usize::from(node), self.now_us);
                fabric.network.set_dark(node, true);
                host.disk.borrow_mut().lose_power(self.now_us);
                host.data.lose_power();
                host.control.borrow().kill();
            }
        }
    }

    fn runs(&self, node: NodeNumber) -> bool {
        self.node(node).runs.get()
    }

    fn freeze(&mut self, node: NodeNumber) {
        self.node(node).control.borrow().freeze();
    }

    fn thaw(&mut self, node: NodeNumber) {
        self.node(node).control.borrow().thaw();
    }

    fn change_network(&mut self, change: &mut dyn FnMut(&mut Network)) {
        self.fabric.borrow_mut().change_network(self.now_us, change);
    }

    fn jump_clock(&mut self, node: NodeNumber, by_ms: i64) {
        let host = self.node(node);
        let mut clock = host.clock.get();
        clock.jump(by_ms);
        host.clock.set(clock);
    }

    fn slow_disk(&mut self, node: NodeNumber, fault: u16, fsync: Option<Latency>) {
        self.node(node).disk.borrow_mut().set_slow(fault, fsync);
    }

    fn hold_up_disk(&mut self, node: NodeNumber, until_us: u64) {
        self.node(node).disk.borrow_mut().hold_up(until_us);
    }

    fn operate(
        &mut self,
        ticket: Ticket,
        node: NodeNumber,
        command: CommandLine,
        patience_us: u64,
    ) {
        self.desk.order(Order::Operate {
            host: self.hosts.operator(),
            ticket,
            to: self.plan.nodes[usize::from(node)].address,
            command,
            patience_us,
        });
    }

    fn start_clients(&mut self) {
        let addresses = self.plan.addresses();
        for (number, spec) in (0..).zip(&self.scenario.workload.clients) {
            let client = Seat::new(Client::new(Setup {
                number,
                spec,
                workload: &self.scenario.workload,
                nodes: &self.scenario.cluster.nodes,
                addresses: &addresses,
                streams: &self.plan.streams,
                start_us: self.now_us,
            }));
            self.clients.push(Rc::clone(&client));
            self.desk.order(Order::Client {
                host: self.hosts.client(number),
                client,
            });
        }
    }

    fn set_load(&mut self, factor: f64) {
        for seat in &self.clients {
            seat.client
                .borrow_mut()
                .set_rate_factor(self.now_us, factor);
            seat.nudge();
        }
    }

    fn clients_are_idle(&self) -> bool {
        self.clients
            .iter()
            .all(|seat| seat.client.borrow().is_idle())
    }

    fn take_written(&mut self) -> Vec<WrittenKey> {
        let clients = self.clients.iter();
        clients
            .flat_map(|seat| seat.client.borrow_mut().take_written())
            .collect()
    }
}

fn addresses(client: SocketAddr, bus_port: u16) -> [SocketAddr; 2] {
    [client, SocketAddr::new(client.ip(), bus_port)]
}
