//! Servers on a network in memory, under a paused clock: an hour passes in no time.

#![allow(
    dead_code,
    unreachable_pub,
    reason = "shared by test files, each of which uses a part"
)]

pub mod memory;

use std::cell::RefCell;
use std::future::Future;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::rc::Rc;
use std::time::Duration;

use bytes::BytesMut;
use redrill_node::wire::resp::{decode_reply, encode_command};
use redrill_node::{Config, Fact, LinkFailure, LinkId, Now, Reply, Seed};
use redrill_server::{Control, Ended, Observer, ServeError, Server, serve};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::task::{JoinHandle, LocalSet, spawn_local};
use tokio::time::{sleep, timeout};

use memory::{MemoryClock, MemoryDisk, MemoryNetwork, MemoryStream, Wire};

/// Runs a test on one thread under a paused clock.
pub fn simulate(test: impl Future<Output = ()>) {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_time()
        .start_paused(true)
        .build()
        .unwrap();
    LocalSet::new().block_on(&runtime, test);
}

/// Something a server did, in the order in which it did it.
#[derive(Clone, PartialEq, Debug)]
pub enum Event {
    Fact(Fact),
    Saving {
        sync: bool,
    },
    Saved {
        sync: bool,
    },
    /// The kernel took these bytes; the port is the server's own or the one it connected to.
    Wrote {
        port: u16,
        bytes: Vec<u8>,
    },
    /// `TCP_NODELAY` was set on a connection.
    Nodelay {
        port: u16,
        on: bool,
    },
    BadPacket(String),
    BadCommand(String),
    LinkDown(LinkFailure),
    Sleeping,
}

pub type Log = Rc<RefCell<Vec<Event>>>;

/// One server process in memory.
pub struct Host {
    pub ip: IpAddr,
    pub config: Config,
    pub control: Control,
    pub disk: MemoryDisk,
    pub log: Log,
    network: MemoryNetwork,
    process: JoinHandle<Result<Ended, ServeError>>,
}

pub fn config(port: u16) -> Config {
    Config {
        port,
        bus_port: port + 10_000,
        cluster_node_timeout_ms: 2000,
        repl_diskless_sync_delay_s: 0,
        protected_mode: false,
        ..Config::default()
    }
}

impl Host {
    pub fn start(wire: &Wire, number: u8, config: Config) -> Self {
        let log = Log::default();
        let ip = IpAddr::V4(Ipv4Addr::new(10, 0, 0, number));
        let network = wire.host(ip, Rc::clone(&log));
        Self::start_on(network, ip, config, MemoryDisk::default(), log)
    }

    fn start_on(
        network: MemoryNetwork,
        ip: IpAddr,
        config: Config,
        disk: MemoryDisk,
        log: Log,
    ) -> Self {
        let control = Control::new();
        let IpAddr::V4(v4) = ip else { unreachable!() };
        let server = Server {
            config: config.clone(),
            seed: Seed([v4.octets()[3]; 32]),
            network: network.clone(),
            clock: MemoryClock::new(),
            disk: disk.clone(),
            observer: Recorder(Rc::clone(&log)),
            control: control.clone(),
        };
        let process = spawn_local(serve(server));
        Self {
            ip,
            config,
            control,
            disk,
            log,
            network,
            process,
        }
    }

    pub fn client_address(&self) -> SocketAddr {
        SocketAddr::new(self.ip, self.config.port)
    }

    pub fn bus_address(&self) -> SocketAddr {
        SocketAddr::new(self.ip, self.config.bus_port)
    }

    /// How the process ended.
    pub async fn ended(self) -> Result<Ended, ServeError> {
        self.process.await.unwrap()
    }

    /// Starts the process anew on the same disk.
    pub async fn restart(self) -> Self {
        self.control.kill();
        self.process.await.unwrap().unwrap();
        Self::start_on(self.network, self.ip, self.config, self.disk, self.log)
    }

    pub fn facts(&self) -> Vec<Fact> {
        let log = self.log.borrow();
        log.iter()
            .filter_map(|event| match event {
                Event::Fact(fact) => Some(fact.clone()),
                _ => None,
            })
            .collect()
    }

    pub fn is_master(&self) -> bool {
        self.control
            .with_node(|node| node.view().is_master())
            .unwrap()
    }

    pub fn state_ok(&self) -> bool {
        self.control
            .with_node(|node| node.view().state_ok())
            .unwrap()
    }
}

struct Recorder(Log);

impl Observer for Recorder {
    fn fact(&self, _: Now, fact: Fact) {
        self.0.borrow_mut().push(Event::Fact(fact));
    }
    fn state_saving(&self, _: Now, _: &[u8], sync: bool) {
        self.0.borrow_mut().push(Event::Saving { sync });
    }
    fn state_saved(&self, _: Now, sync: bool) {
        self.0.borrow_mut().push(Event::Saved { sync });
    }
    fn bad_packet(&self, _: Now, _: LinkId, error: &redrill_node::wire::bus::BusError) {
        self.0
            .borrow_mut()
            .push(Event::BadPacket(error.to_string()));
    }
    fn bad_command(
        &self,
        _: Now,
        _: redrill_node::ClientId,
        error: &redrill_node::wire::resp::RespError,
    ) {
        self.0
            .borrow_mut()
            .push(Event::BadCommand(error.to_string()));
    }
    fn link_down(&self, _: Now, _: LinkId, why: LinkFailure) {
        self.0.borrow_mut().push(Event::LinkDown(why));
    }
    fn sleeping(&self, _: Now, _: redrill_node::Mono) {
        self.0.borrow_mut().push(Event::Sleeping);
    }
}

/// A client with a bare socket.
pub struct Client {
    stream: MemoryStream,
    received: BytesMut,
}

impl Client {
    pub async fn connect(wire: &Wire, to: SocketAddr) -> Self {
        let network = wire.host(IpAddr::V4(Ipv4Addr::new(10, 0, 1, 1)), Log::default());
        // A server that has just been started does not listen yet.
        for _ in 0..100 {
            use redrill_server::Network;
            if let Ok(stream) = network.connect(to).await {
                return Self {
                    stream,
                    received: BytesMut::new(),
                };
            }
            sleep(Duration::from_millis(1)).await;
        }
        panic!("nobody listens at {to}");
    }

    pub async fn send(&mut self, bytes: &[u8]) {
        self.stream.write_all(bytes).await.unwrap();
    }

    /// Whether the bytes could be sent: the server may have closed the connection.
    pub async fn try_send(&mut self, bytes: &[u8]) -> bool {
        self.stream.write_all(bytes).await.is_ok()
    }

    pub async fn reply(&mut self) -> Reply {
        loop {
            if let Some((reply, len)) = decode_reply(&self.received).unwrap() {
                let _ = self.received.split_to(len);
                return reply;
            }
            let read = timeout(
                Duration::from_secs(3600),
                self.stream.read_buf(&mut self.received),
            );
            let len = read.await.expect("no reply within an hour").unwrap();
            assert_ne!(len, 0, "closed instead of a reply");
        }
    }

    /// Whether a reply or the end arrives within some time.
    pub async fn is_answered_within(&mut self, time: Duration) -> bool {
        timeout(time, self.stream.read_buf(&mut self.received))
            .await
            .is_ok()
    }

    /// Everything until the server closes the connection.
    pub async fn rest(&mut self) -> Vec<u8> {
        let mut rest = std::mem::take(&mut self.received).to_vec();
        timeout(
            Duration::from_secs(3600),
            self.stream.read_to_end(&mut rest),
        )
        .await
        .expect("not closed within an hour")
        .unwrap();
        rest
    }

    pub async fn call(&mut self, words: &[&str]) -> Reply {
        let mut bytes = BytesMut::new();
        encode_command(words, &mut bytes);
        self.send(&bytes).await;
        self.reply().await
    }

    pub async fn ok(&mut self, words: &[&str]) {
        assert_eq!(self.call(words).await, Reply::OK, "{words:?}");
    }
}

/// Waits until something holds, for a minute at most.
pub async fn eventually(what: &str, mut holds: impl FnMut() -> bool) {
    for _ in 0..6000 {
        if holds() {
            return;
        }
        sleep(Duration::from_millis(10)).await;
    }
    panic!("never came true: {what}");
}

/// A lone master that owns every slot and serves.
pub async fn lone_master(wire: &Wire) -> (Host, Client) {
    let host = Host::start(wire, 1, config(7000));
    let mut client = Client::connect(wire, host.client_address()).await;
    client.ok(&["CLUSTER", "ADDSLOTSRANGE", "0", "16383"]).await;
    eventually("the cluster state is ok", || host.state_ok()).await;
    (host, client)
}
