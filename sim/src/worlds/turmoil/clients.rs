//! The one turmoil host of all clients and the operator. For the network each is a host of its
//! own.

use std::cell::RefCell;
use std::collections::{BTreeMap, VecDeque};
use std::future::{Future, poll_fn};
use std::io;
use std::net::SocketAddr;
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll, Waker};

use bytes::{Buf, BytesMut};
use redrill_node::wire::resp::{decode_reply, encode_command};
use redrill_node::{CommandLine, Reply};
use redrill_server::{Network, Stream};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt, ReadBuf};
use tokio::task::spawn_local;
use tokio::time::{Instant, Sleep};

use super::fabric::KernelNumber;
use super::host::{Surroundings, run_kernel};
use super::socket::{HostNetwork, Socket};
use super::time::HostTime;
use crate::client::{Client, ClientAction, ClientInput, ConnectionId};
use crate::network::HostNumber;
use crate::operator;
use crate::recorder::Answer;
use crate::world::Ticket;

/// What the world asks of this host.
#[derive(Debug, Default)]
pub(super) struct Desk {
    orders: RefCell<VecDeque<Order>>,
    waker: RefCell<Option<Waker>>,
}

/// One thing to begin.
#[derive(Debug)]
pub(super) enum Order {
    /// A client.
    Client {
        /// Its host in the network.
        host: HostNumber,
        /// The client.
        client: Rc<Seat>,
    },
    /// An operator's command.
    Operate {
        /// The operator's host in the network.
        host: HostNumber,
        ticket: Ticket,
        to: SocketAddr,
        command: CommandLine,
        patience_us: u64,
    },
}

/// A client, held by the world and by its task.
#[derive(Debug)]
pub(super) struct Seat {
    pub(super) client: RefCell<Client>,
    waker: RefCell<Option<Waker>>,
}

impl Desk {
    pub(super) fn order(&self, order: Order) {
        self.orders.borrow_mut().push_back(order);
        if let Some(waker) = self.waker.borrow_mut().take() {
            waker.wake();
        }
    }

    async fn next(&self) -> Order {
        poll_fn(|context| match self.orders.borrow_mut().pop_front() {
            Some(order) => Poll::Ready(order),
            None => {
                *self.waker.borrow_mut() = Some(context.waker().clone());
                Poll::Pending
            }
        })
        .await
    }
}

impl Seat {
    pub(super) fn new(client: Client) -> Rc<Self> {
        Rc::new(Self {
            client: RefCell::new(client),
            waker: RefCell::new(None),
        })
    }

    /// Has the client's task look at it again.
    pub(super) fn nudge(&self) {
        if let Some(waker) = self.waker.borrow_mut().take() {
            waker.wake();
        }
    }
}

/// Runs the host for ever.
pub(super) async fn live(desk: Rc<Desk>, kernel: KernelNumber, around: Surroundings) {
    let time = HostTime::at_beginning();
    spawn_local(run_kernel(Rc::clone(&around.fabric), kernel, time));
    loop {
        let order = desk.next().await;
        let network = |host| HostNetwork {
            fabric: Rc::clone(&around.fabric),
            directory: Rc::clone(&around.directory),
            host,
            kernel,
            time,
        };
        match order {
            Order::Client { host, client } => {
                let task = Task::new(client, network(host), around.clone());
                spawn_local(task.run());
            }
            Order::Operate {
                host,
                ticket,
                to,
                command,
                patience_us,
            } => {
                let (network, recorder) = (network(host), Rc::clone(&around.recorder));
                spawn_local(async move {
                    let until = time.instant(time.now_us() + patience_us);
                    let asked = tokio::time::timeout_at(until, ask(network, to, command)).await;
                    let answer = match asked {
                        Ok(Ok(reply)) => Answer {
                            text: operator::show(&reply),
                            failed: matches!(reply, Reply::Error(_)),
                        },
                        Ok(Err(error)) => Answer {
                            text: error.to_string(),
                            failed: true,
                        },
                        Err(_) => Answer {
                            text: "no answer in time".to_owned(),
                            failed: true,
                        },
                    };
                    recorder.borrow_mut().answered(ticket, answer);
                });
            }
        }
    }
}

/// Sends one command on a connection of its own.
async fn ask(network: HostNetwork, to: SocketAddr, command: CommandLine) -> io::Result<Reply> {
    let mut stream = network.connect(to).await?;
    stream.set_nodelay(true)?;
    let mut bytes = BytesMut::new();
    encode_command(&command, &mut bytes);
    stream.write_all(&bytes).await?;
    bytes.clear();
    loop {
        if let Some((reply, _)) = decode_reply(&bytes).map_err(io::Error::other)? {
            return Ok(reply);
        }
        if stream.read_buf(&mut bytes).await? == 0 {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
    }
}

/// Carries out what a client wants.
struct Task {
    seat: Rc<Seat>,
    network: HostNetwork,
    around: Surroundings,
    links: BTreeMap<ConnectionId, Link>,
    sleep: Pin<Box<Sleep>>,
    sleeps_until: Option<Instant>,
    actions: Vec<ClientAction>,
}

/// A client's connection.
enum Link {
    Connecting(Pin<Box<dyn Future<Output = io::Result<Socket>>>>),
    Up {
        stream: Socket,
        input: BytesMut,
        output: BytesMut,
    },
}

/// What a link has come to.
enum News {
    Connected,
    Broken,
    Reply(Reply),
}

impl Task {
    fn new(seat: Rc<Seat>, network: HostNetwork, around: Surroundings) -> Self {
        let sleep = Box::pin(tokio::time::sleep_until(network.time.instant(0)));
        Self {
            seat,
            network,
            around,
            links: BTreeMap::new(),
            sleep,
            sleeps_until: None,
            actions: Vec::new(),
        }
    }

    async fn run(mut self) {
        poll_fn(|context| {
            *self.seat.waker.borrow_mut() = Some(context.waker().clone());
            while self.turn(context) {}
            Poll::<()>::Pending
        })
        .await;
    }

    /// Does one thing, if there is one to do.
    fn turn(&mut self, context: &mut Context<'_>) -> bool {
        if self.next_wake_is_over(context) {
            self.handle(ClientInput::Wake);
            return true;
        }
        let news = self
            .links
            .iter_mut()
            .find_map(|(&connection, link)| match link.poll(context) {
                Poll::Ready(news) => Some((connection, news)),
                Poll::Pending => None,
            });
        let Some((connection, news)) = news else {
            return false;
        };
        match news {
            News::Connected => self.handle(ClientInput::Connected(connection)),
            News::Broken => {
                self.links.remove(&connection);
                self.handle(ClientInput::Broken(connection));
            }
            News::Reply(reply) => self.handle(ClientInput::Reply(connection, reply)),
        }
        true
    }

    fn next_wake_is_over(&mut self, context: &mut Context<'_>) -> bool {
        let wake_us = self.seat.client.borrow().next_wake_us();
        if wake_us <= self.network.time.now_us() {
            return true;
        }
        if wake_us == u64::MAX {
            self.sleeps_until = None;
            return false;
        }
        let until = self.network.time.instant(wake_us);
        if self.sleeps_until != Some(until) {
            self.sleeps_until = Some(until);
            self.sleep.as_mut().reset(until);
        }
        self.sleep.as_mut().poll(context).is_ready()
    }

    fn handle(&mut self, input: ClientInput) {
        let now_us = self.network.time.now_us();
        let mut actions = std::mem::take(&mut self.actions);
        self.seat
            .client
            .borrow_mut()
            .handle(now_us, input, &mut actions);
        for action in actions.drain(..) {
            self.carry_out(now_us, action);
        }
        self.actions = actions;
    }

    fn carry_out(&mut self, now_us: u64, action: ClientAction) {
        match action {
            ClientAction::Connect { connection, node } => {
                let address = self.around.directory.nodes[usize::from(node)][0];
                let connecting = Box::pin(self.network.connect(address));
                self.links.insert(connection, Link::Connecting(connecting));
            }
            ClientAction::Send {
                connection,
                command,
            } => {
                if let Some(Link::Up { output, .. }) = self.links.get_mut(&connection) {
                    encode_command(&command, output);
                }
            }
            ClientAction::Close { connection } => {
                self.links.remove(&connection);
            }
            ClientAction::Done(operation) => {
                let mut recorder = self.around.recorder.borrow_mut();
                recorder.operation(now_us, operation);
            }
        }
    }
}

impl Link {
    fn poll(&mut self, context: &mut Context<'_>) -> Poll<News> {
        match self {
            Self::Connecting(connecting) => {
                let Poll::Ready(connected) = connecting.as_mut().poll(context) else {
                    return Poll::Pending;
                };
                let connected = connected.and_then(|mut stream| {
                    stream.set_nodelay(true)?;
                    Ok(stream)
                });
                Poll::Ready(match connected {
                    Ok(stream) => {
                        let (input, output) = (BytesMut::new(), BytesMut::new());
                        *self = Self::Up {
                            stream,
                            input,
                            output,
                        };
                        News::Connected
                    }
                    Err(_) => News::Broken,
                })
            }
            Self::Up {
                stream,
                input,
                output,
            } => {
                while !output.is_empty() {
                    match Pin::new(&mut *stream).poll_write(context, output) {
                        Poll::Ready(Ok(taken)) => output.advance(taken),
                        Poll::Ready(Err(_)) => return Poll::Ready(News::Broken),
                        Poll::Pending => break,
                    }
                }
                loop {
                    match decode_reply(input) {
                        Ok(Some((reply, length))) => {
                            input.advance(length);
                            return Poll::Ready(News::Reply(reply));
                        }
                        Ok(None) => (),
                        Err(_) => return Poll::Ready(News::Broken),
                    }
                    match fill(stream, input, context) {
                        Poll::Ready(Ok(0)) | Poll::Ready(Err(_)) => {
                            return Poll::Ready(News::Broken);
                        }
                        Poll::Ready(Ok(_)) => (),
                        Poll::Pending => return Poll::Pending,
                    }
                }
            }
        }
    }
}

/// Reads what is there. How many bytes that were.
fn fill(
    stream: &mut Socket,
    input: &mut BytesMut,
    context: &mut Context<'_>,
) -> Poll<io::Result<usize>> {
    let mut chunk = [0; 16 << 10];
    let mut read = ReadBuf::new(&mut chunk);
    match Pin::new(stream).poll_read(context, &mut read) {
        Poll::Ready(Ok(())) => {
            input.extend_from_slice(read.filled());
            Poll::Ready(Ok(read.filled().len()))
        }
        Poll::Ready(Err(error)) => Poll::Ready(Err(error)),
        Poll::Pending => Poll::Pending,
    }
}
