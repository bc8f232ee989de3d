//! The same server on turmoil's simulated network.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "a test fails by panicking"
)]

use std::cell::RefCell;
use std::future::Future;
use std::io;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::pin::Pin;
use std::rc::Rc;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::BytesMut;
use redrill_node::wire::resp::{decode_reply, encode_command};
use redrill_node::{Config, Mono, Now, Reply, Seed, WallMillis};
use redrill_server::{
    Accepted, Clock, Control, Disk, Files, Listener, MemoryFiles, Network, NoObserver, Replace,
    Server, Stream, serve,
};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt, ReadBuf};
use tokio::sync::mpsc::{UnboundedReceiver, unbounded_channel};
use tokio::task::spawn_local;
use tokio::time::sleep;
use turmoil::net::{TcpListener, TcpStream};

struct TurmoilNetwork;

struct TurmoilStream(TcpStream);

/// A listening socket with its backlog: turmoil sets a connection up only when it is accepted.
struct Backlog(UnboundedReceiver<io::Result<Accepted<TurmoilStream>>>);

impl Network for TurmoilNetwork {
    type Stream = TurmoilStream;
    type Listener = Backlog;

    async fn listen(&self, port: u16) -> io::Result<Backlog> {
        let listener = TcpListener::bind((Ipv4Addr::UNSPECIFIED, port)).await?;
        let (backlog, accepted) = unbounded_channel();
        spawn_local(async move { while backlog.send(accept(&listener).await).is_ok() {} });
        Ok(Backlog(accepted))
    }

    #[allow(
        clippy::manual_async_fn,
        reason = "an async fn would borrow the network"
    )]
    fn connect(&self, to: SocketAddr) -> impl Future<Output = io::Result<TurmoilStream>> + 'static {
        async move { TcpStream::connect(to).await.map(TurmoilStream) }
    }
}

async fn accept(listener: &TcpListener) -> io::Result<Accepted<TurmoilStream>> {
    let (stream, peer) = listener.accept().await?;
    let local = stream.local_addr()?;
    Ok(Accepted {
        stream: TurmoilStream(stream),
        peer,
        local,
    })
}

impl Listener for Backlog {
    type Stream = TurmoilStream;

    fn poll_accept(
        &mut self,
        context: &mut Context<'_>,
    ) -> Poll<io::Result<Accepted<TurmoilStream>>> {
        self.0
            .poll_recv(context)
            .map(|accepted| accepted.expect("the pump runs"))
    }
}

impl Stream for TurmoilStream {
    fn set_nodelay(&mut self, nodelay: bool) -> io::Result<()> {
        self.0.set_nodelay(nodelay)
    }
}

impl AsyncRead for TurmoilStream {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        into: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        Pin::new(&mut self.0).poll_read(context, into)
    }
}

impl AsyncWrite for TurmoilStream {
    fn poll_write(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.0).poll_write(context, bytes)
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.0).poll_flush(context)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.0).poll_shutdown(context)
    }
}

struct TurmoilClock;

impl Clock for TurmoilClock {
    fn now(&self) -> Now {
        let since = turmoil::sim_elapsed().unwrap_or_default();
        Now {
            mono: Mono(since.as_micros() as u64),
            wall: WallMillis(1_700_000_000_000 + since.as_millis() as i64),
        }
    }

    fn sleep_until(&self, at: Mono) -> impl Future<Output = ()> + 'static {
        sleep(Duration::from_micros(
            at.0.saturating_sub(self.now().mono.0),
        ))
    }
}

#[derive(Clone, Default)]
struct StateFile(Rc<RefCell<Option<Vec<u8>>>>);

impl Disk for StateFile {
    async fn load(&self) -> io::Result<Option<Vec<u8>>> {
        Ok(self.0.borrow().clone())
    }

    async fn save(&self, content: Vec<u8>, _: Replace, sync: bool) -> io::Result<()> {
        if sync {
            sleep(Duration::from_millis(2)).await;
        }
        *self.0.borrow_mut() = Some(content);
        Ok(())
    }

    fn files(&self) -> Arc<dyn Files> {
        Arc::new(MemoryFiles::new())
    }

    async fn wait_for<T: 'static>(&self, work: impl FnOnce() -> T + 'static) -> T {
        work()
    }

    #[expect(
        clippy::manual_async_fn,
        reason = "the future must not borrow the disk"
    )]
    fn beside<T: Send + 'static>(
        &self,
        work: impl FnOnce() -> T + Send + 'static,
    ) -> impl Future<Output = Option<T>> + 'static {
        async { Some(work()) }
    }
}

fn ip(number: u8) -> IpAddr {
    IpAddr::V4(Ipv4Addr::new(192, 168, 7, number))
}

async fn run(number: u8, control: Control) -> turmoil::Result {
    let config = Config {
        port: 7000,
        bus_port: 17000,
        cluster_node_timeout_ms: 2000,
        repl_diskless_sync_delay_s: 0,
        protected_mode: false,
        ..Config::default()
    };
    let server = Server {
        config,
        seed: Seed([number; 32]),
        network: TurmoilNetwork,
        clock: TurmoilClock,
        disk: StateFile::default(),
        observer: NoObserver,
        control,
    };
    serve(server).await?;
    Ok(())
}

async fn call(number: u8, words: &[&str]) -> Reply {
    let mut stream = TcpStream::connect((ip(number), 7000)).await.unwrap();
    let mut bytes = BytesMut::new();
    encode_command(words, &mut bytes);
    stream.write_all(&bytes).await.unwrap();
    let mut received = BytesMut::new();
    loop {
        if let Some((reply, _)) = decode_reply(&received).unwrap() {
            return reply;
        }
        assert_ne!(stream.read_buf(&mut received).await.unwrap(), 0);
    }
}

async fn ok(number: u8, words: &[&str]) {
    assert_eq!(call(number, words).await, Reply::OK, "{words:?}");
}

async fn eventually(what: &str, mut holds: impl FnMut() -> bool) {
    for _ in 0..6000 {
        if holds() {
            return;
        }
        sleep(Duration::from_millis(10)).await;
    }
    panic!("never came true: {what}");
}

fn view<T>(control: &Control, look: impl FnOnce(redrill_node::NodeView<'_>) -> T) -> T {
    control.with_node(|node| look(node.view())).unwrap()
}

#[test]
fn a_replica_on_turmoil_takes_over_from_a_master_that_stands_still() {
    let mut sim = turmoil::Builder::new()
        .tcp_capacity(100_000)
        .min_message_latency(Duration::from_millis(1))
        .max_message_latency(Duration::from_millis(2))
        .simulation_duration(Duration::from_secs(120))
        .rng_seed(1)
        .build();
    let controls: Vec<_> = (0..4).map(|_| Control::new()).collect();
    for (number, control) in (1..=4).zip(controls.clone()) {
        sim.host(ip(number), move || run(number, control.clone()));
    }
    sim.client("operator", async move {
        sleep(Duration::from_millis(100)).await;
        for (number, first, last) in [
            (1, "0", "5460"),
            (2, "5461", "10922"),
            (3, "10923", "16383"),
        ] {
            ok(number, &["CLUSTER", "ADDSLOTSRANGE", first, last]).await;
        }
        for number in 2..=4 {
            ok(1, &["CLUSTER", "MEET", &ip(number).to_string(), "7000"]).await;
        }
        let knows_all = |control: &Control| view(control, |view| view.peers().count() == 4);
        eventually("all know all", || controls.iter().all(knows_all)).await;
        let master = view(&controls[0], |view| view.id().to_string());
        ok(4, &["CLUSTER", "REPLICATE", &master]).await;
        eventually("it is in sync", || {
            view(&controls[3], |view| view.master_link_up())
        })
        .await;
        let is_ok = |control: &Control| view(control, |view| view.state_ok());
        eventually("the state is ok", || controls.iter().all(is_ok)).await;
        ok(1, &["SET", "{06S}", "kept"]).await;
        sleep(Duration::from_secs(3)).await;

        controls[0].freeze();
        eventually("it is promoted", || {
            view(&controls[3], |view| view.is_master())
        })
        .await;
        assert_eq!(call(4, &["GET", "{06S}"]).await, Reply::bulk("kept"));
        // The frozen process's kernel still accepts; it answers once it goes on.
        let asked = turmoil::sim_elapsed().unwrap();
        let late = spawn_local(async { call(1, &["PING"]).await });
        sleep(Duration::from_secs(2)).await;
        assert!(!late.is_finished());
        controls[0].thaw();
        assert_eq!(late.await.unwrap(), Reply::Simple("PONG".into()));
        assert!(turmoil::sim_elapsed().unwrap() - asked >= Duration::from_secs(2));
        eventually("the old master follows", || {
            !view(&controls[0], |view| view.is_master())
        })
        .await;
        Ok(())
    });
    sim.run().unwrap();
}
