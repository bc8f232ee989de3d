//! Servers on real TCP over loopback, in one process.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::wildcard_enum_match_arm,
    reason = "a test fails by panicking"
)]

use std::cell::Cell;
use std::net::{IpAddr, Ipv4Addr, SocketAddr, TcpListener};
use std::path::Path;
use std::rc::Rc;
use std::sync::atomic::{AtomicU16, Ordering};
use std::time::Duration;

use bytes::BytesMut;
use redrill_node::wire::resp::{decode_reply, encode_command};
use redrill_node::{Config, Fact, Now, Reply, Seed};
use redrill_server::{
    Control, Ended, FileDisk, Observer, ServeError, Server, TokioClock, TokioNetwork, serve,
};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::task::{JoinHandle, LocalSet, spawn_local};
use tokio::time::{sleep, timeout};

const LOOPBACK: IpAddr = IpAddr::V4(Ipv4Addr::LOCALHOST);

struct Process {
    config: Config,
    control: Control,
    client: TcpStream,
    facts: Rc<Cell<usize>>,
    task: JoinHandle<Result<Ended, ServeError>>,
}

struct Counter(Rc<Cell<usize>>);

impl Observer for Counter {
    fn fact(&self, _: Now, _: Fact) {
        self.0.set(self.0.get() + 1);
    }
}

impl Process {
    async fn start(number: u8, directory: &Path) -> Self {
        let config = Config {
            port: free_port(),
            bus_port: free_port(),
            cluster_node_timeout_ms: 600,
            repl_diskless_sync_delay_s: 0,
            ..Config::default()
        };
        let control = Control::new();
        let facts = Rc::default();
        let task = spawn_local(serve(Server {
            config: config.clone(),
            seed: Seed([number; 32]),
            network: TokioNetwork::new(vec![LOOPBACK.into()], 511),
            clock: TokioClock::new(),
            disk: FileDisk::new(directory.join(format!("nodes-{number}.conf"))),
            observer: Counter(Rc::clone(&facts)),
            control: control.clone(),
        }));
        eventually("it runs", || control.is_running() || task.is_finished()).await;
        sleep(Duration::from_millis(10)).await;
        assert!(!task.is_finished(), "{:?}", task.await);
        let address = SocketAddr::new(LOOPBACK, config.port);
        let client = TcpStream::connect(address).await.unwrap();
        Self {
            config,
            control,
            client,
            facts,
            task,
        }
    }

    async fn call(&mut self, words: &[&str]) -> Reply {
        let mut bytes = BytesMut::new();
        encode_command(words, &mut bytes);
        self.client.write_all(&bytes).await.unwrap();
        let mut received = BytesMut::new();
        loop {
            if let Some((reply, _)) = decode_reply(&received).unwrap() {
                return reply;
            }
            let read = self.client.read_buf(&mut received);
            let read = timeout(Duration::from_secs(30), read)
                .await
                .expect("no reply in time");
            assert_ne!(read.unwrap(), 0, "closed instead of a reply");
        }
    }

    async fn ok(&mut self, words: &[&str]) {
        assert_eq!(self.call(words).await, Reply::OK, "{words:?}");
    }

    fn view<T>(&self, look: impl FnOnce(redrill_node::NodeView<'_>) -> T) -> T {
        self.control.with_node(|node| look(node.view())).unwrap()
    }
}

/// A port that nobody listens on, below those that the system gives to outgoing connections.
fn free_port() -> u16 {
    static NEXT: AtomicU16 = AtomicU16::new(0);
    let first = 20_000 + (std::process::id() % 1000) as u16 * 10;
    loop {
        let port = first + NEXT.fetch_add(1, Ordering::Relaxed);
        if TcpListener::bind((LOOPBACK, port)).is_ok() {
            return port;
        }
    }
}

async fn eventually(what: &str, mut holds: impl FnMut() -> bool) {
    for _ in 0..3000 {
        if holds() {
            return;
        }
        sleep(Duration::from_millis(10)).await;
    }
    panic!("not within 30 s: {what}");
}

fn on_one_thread(test: impl Future<Output = ()>) {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .unwrap();
    LocalSet::new().block_on(&runtime, test);
}

#[test]
fn a_cluster_on_real_tcp_survives_its_master() {
    on_one_thread(async {
        let directory = tempfile::tempdir().unwrap();
        let mut nodes = Vec::new();
        for number in 0..4 {
            nodes.push(Process::start(number, directory.path()).await);
        }
        for (master, range) in [["0", "5460"], ["5461", "10922"], ["10923", "16383"]]
            .into_iter()
            .enumerate()
        {
            nodes[master]
                .ok(&["CLUSTER", "ADDSLOTSRANGE", range[0], range[1]])
                .await;
        }
        for other in 1..4 {
            let config = nodes[other].config.clone();
            let (port, bus_port) = (config.port.to_string(), config.bus_port.to_string());
            nodes[0]
                .ok(&["CLUSTER", "MEET", "127.0.0.1", &port, &bus_port])
                .await;
        }
        eventually("all know all", || {
            nodes
                .iter()
                .all(|node| node.view(|view| view.peers().count()) == 4)
        })
        .await;
        let master = nodes[0].view(|view| view.id());
        nodes[3]
            .ok(&["CLUSTER", "REPLICATE", &master.to_string()])
            .await;
        eventually("the state is ok", || {
            nodes.iter().all(|node| node.view(|view| view.state_ok()))
        })
        .await;
        eventually("the replica is in sync", || {
            nodes[3].view(|view| view.master_link_up())
        })
        .await;
        nodes[0].ok(&["SET", "{06S}", "kept"]).await;
        assert_eq!(
            nodes[0].call(&["WAIT", "1", "5000"]).await,
            Reply::Integer(1)
        );
        eventually("all know the replica", || {
            nodes.iter().all(|node| {
                node.view(|view| {
                    view.peers()
                        .filter(|peer| peer.replica_of.is_some())
                        .count()
                }) == 1
            })
        })
        .await;

        nodes[0].control.kill();
        let killed = nodes.remove(0);
        assert_eq!(killed.task.await.unwrap().unwrap(), Ended::Killed);
        eventually("the replica is promoted", || {
            nodes[2].view(|view| view.is_master())
        })
        .await;
        eventually("it serves", || nodes[2].view(|view| view.state_ok())).await;
        assert_eq!(nodes[2].call(&["GET", "{06S}"]).await, Reply::bulk("kept"));
        assert!(nodes.iter().all(|node| node.facts.get() > 0));
    });
}
