//! Clients: who is connected, who waits for what, and when writes are held back.

mod idle;
mod key_waits;
mod pause;
mod session;
mod slow;
mod stats;
mod subscriptions;
mod wait;
mod watch;

use std::collections::VecDeque;
use std::net::{IpAddr, SocketAddr};

use crate::word::Word;

use indexmap::IndexMap;
use rustc_hash::FxBuildHasher;

use crate::action::Action;
use crate::commands::{self, Spec};
use crate::fact::Fact;
use crate::ids::ClientId;
use crate::input::{ClientCut, CommandLine};
use crate::log_words::LogLevel;
use crate::node::Node;
use crate::replication;
use crate::reply::Reply;
use crate::time::WallMillis;
use crate::wire::resp::RespError;

pub(crate) use self::idle::close_idle;
use self::key_waits::KeyWaits;
pub(crate) use self::key_waits::{stop_waiting_for_keys, wait_for_keys};
use self::pause::Pauses;
pub(crate) use self::pause::{
    PauseKind, PausePurpose, check_pause, pause, pause_writes, resume, resume_writes, writes_paused,
};
pub(crate) use self::session::{QueuedCommand, Session, Transaction};
pub(crate) use self::slow::{SlowCommand, SlowLog, began, measure};
pub(crate) use self::stats::Stats;
pub(crate) use self::subscriptions::{
    Subscriptions, Topic, deliver, forget_all, leave_slots, publish, subscribe, unsubscribe,
    unsubscribe_all,
};
pub(crate) use self::wait::{
    Wait, note_wait, redirect_blocked, unblock_waiting, wait, wait_before_running,
};
pub(crate) use self::watch::{
    Watchers, after, before, has_expired, touch, touch_all, unwatch_all, watch,
};

/// The clients of a node, and what it counted of them.
#[derive(Debug, Default)]
pub(crate) struct Clients {
    /// The oldest first.
    table: IndexMap<ClientId, Client, FxBuildHasher>,
    /// Where the client stands in it that sent something last: it is asked for again and again.
    recent: usize,
    /// Clients blocked in `WAIT`, the newest first (`clients_waiting_acks`).
    waiting: VecDeque<ClientId>,
    /// Clients that wait for keys.
    key_waits: KeyWaits,
    /// Clients whose command a pause holds back.
    postponed: Vec<ClientId>,
    /// Clients that are free again: what they sent meanwhile runs at the end of the turn.
    unblocked: VecDeque<ClientId>,
    pauses: Pauses,
    /// `DEBUG SET-ACTIVE-EXPIRE 0`.
    pub(crate) active_expiry_off: bool,
    pub(crate) stats: Stats,
    pub(crate) watchers: Watchers,
    pub(crate) subscriptions: Subscriptions,
    pub(crate) slow: SlowLog,
    /// Number of clients that see every command.
    pub(crate) monitors: usize,
    /// A shutdown that waits for replicas.
    pub(crate) shutdown: Option<commands::PendingShutdown>,
    /// The client whose transaction runs, and the answers to its commands so far.
    collecting: Option<(ClientId, Vec<Reply>)>,
}

/// One client.
#[derive(Debug)]
pub(crate) struct Client {
    pub(crate) peer: SocketAddr,
    /// The address it reached this node at.
    pub(crate) local: IpAddr,
    pub(crate) created: WallMillis,
    pub(crate) last_interaction: WallMillis,
    pub(crate) flags: ClientFlags,
    /// Whether it speaks RESP3.
    pub(crate) resp3: bool,
    /// The replication offset after its last command: what its `WAIT` waits for.
    pub(crate) write_offset: u64,
    pub(crate) last_command: Option<&'static Spec>,
    pub(crate) labels: Option<Box<Labels>>,
    /// What few clients ever have.
    pub(crate) session: Option<Box<Session>>,
    blocked: Option<Blocked>,
    queue: VecDeque<Queued>,
}

/// What a client calls itself.
#[derive(Clone, Debug, Default)]
pub(crate) struct Labels {
    pub(crate) name: Option<Word>,
    pub(crate) library_name: Option<Word>,
    pub(crate) library_version: Option<Word>,
}

bitflags::bitflags! {
    /// What a client is and asked for (`CLIENT_*`).
    #[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
    pub(crate) struct ClientFlags: u16 {
        /// The next command may go to a slot that is being imported.
        const ASKING = 1;
        /// It reads from replicas.
        const READONLY = 2;
        /// It is never evicted.
        const NO_EVICT = 4;
        /// It wants no replies.
        const REPLY_OFF = 8;
        /// It wants no reply to the next command.
        const REPLY_SKIP_NEXT = 16;
        /// It wants no reply to this command.
        const REPLY_SKIP = 32;
        /// It has to say the password first.
        const UNAUTHENTICATED = 64;
        /// It sees the commands of all clients.
        const MONITOR = 128;
        /// The replicas have its command already (`replication_done`).
        const REPLICATED = 256;
    }
}

/// Why a client's commands are not carried out.
#[derive(Clone, Copy, Debug)]
enum Blocked {
    /// It waits for replicas.
    Wait(Wait),
    /// It waits for a key to hold something.
    OnKeys,
    /// Its command waits for the end of a pause.
    Postponed,
    /// It waits for the end of the server.
    Shutdown,
}

/// What a blocked client sent.
#[derive(Debug)]
enum Queued {
    Command(CommandLine),
    Bad(RespError),
}

impl Clients {
    pub(crate) fn new() -> Self {
        Self::default()
    }

    pub(crate) fn get(&self, client: ClientId) -> Option<&Client> {
        match self.table.get_index(self.recent) {
            Some((&recent, found)) if recent == client => Some(found),
            Some(_) | None => self.table.get(&client),
        }
    }

    pub(crate) fn get_mut(&mut self, client: ClientId) -> Option<&mut Client> {
        let is_recent = |(&recent, _): (&ClientId, &Client)| recent == client;
        if !self.table.get_index(self.recent).is_some_and(is_recent) {
            self.recent = self.table.get_index_of(&client)?;
        }
        self.table
            .get_index_mut(self.recent)
            .map(|(_, found)| found)
    }

    /// Every client, the oldest first.
    pub(crate) fn iter(&self) -> impl Iterator<Item = (ClientId, &Client)> {
        self.table.iter().map(|(&id, client)| (id, client))
    }

    pub(crate) fn len(&self) -> usize {
        self.table.len()
    }

    /// The answers of a client's commands are kept from here on: they are one answer.
    pub(crate) fn begin_collecting(&mut self, client: ClientId) {
        self.collecting = Some((client, Vec::new()));
    }

    /// The answers that were kept.
    pub(crate) fn end_collecting(&mut self) -> Vec<Reply> {
        let collected = self.collecting.take();
        collected.map_or_else(Vec::new, |(_, replies)| replies)
    }

    /// Whether a transaction runs.
    pub(crate) const fn is_collecting(&self) -> bool {
        self.collecting.is_some()
    }

    /// Number of clients that wait for something.
    pub(crate) fn blocked_count(&self) -> usize {
        self.waiting.len() + self.key_waits.len() + self.postponed.len()
    }

    /// Number of clients that wait no longer than a time.
    pub(crate) fn with_deadline_count(&self) -> usize {
        let waits = self.table.values().filter_map(Client::waits_for);
        let for_replicas = waits.filter(|wait| wait.deadline.is_some()).count();
        for_replicas + self.key_waits.with_deadline_count()
    }
}

impl Client {
    fn new(peer: SocketAddr, local: IpAddr, now: WallMillis) -> Self {
        Self {
            peer,
            local,
            created: now,
            last_interaction: now,
            flags: ClientFlags::empty(),
            resp3: false,
            write_offset: 0,
            last_command: None,
            labels: None,
            session: None,
            blocked: None,
            queue: VecDeque::new(),
        }
    }

    pub(crate) const fn is_blocked(&self) -> bool {
        self.blocked.is_some()
    }

    /// What it calls itself.
    pub(crate) fn labels_mut(&mut self) -> &mut Labels {
        self.labels.get_or_insert_default()
    }

    pub(crate) fn name(&self) -> Option<&Word> {
        self.labels.as_ref()?.name.as_ref()
    }

    /// Makes it ready for its next command (`resetClient`).
    pub(crate) fn reset(&mut self) {
        if self.flags.is_empty() {
            return;
        }
        if self.last_command.is_none_or(|spec| spec.name != "asking") {
            self.flags.remove(ClientFlags::ASKING);
        }
        self.flags
            .remove(ClientFlags::REPLY_SKIP | ClientFlags::REPLICATED);
        if self.flags.contains(ClientFlags::REPLY_SKIP_NEXT) {
            self.flags.remove(ClientFlags::REPLY_SKIP_NEXT);
            self.flags.insert(ClientFlags::REPLY_SKIP);
        }
    }

    const fn waits_for(&self) -> Option<Wait> {
        match self.blocked {
            Some(Blocked::Wait(wait)) => Some(wait),
            Some(Blocked::OnKeys | Blocked::Postponed | Blocked::Shutdown) | None => None,
        }
    }
}

/// A client connected (`acceptCommonHandler`).
pub(crate) fn accepted(node: &mut Node, client: ClientId, peer: SocketAddr, local: IpAddr) {
    let connections = node.clients.len() + node.cluster.link_count();
    let is_full = connections >= node.config.maxclients as usize;
    let mut new = Client::new(peer, local, node.wall());
    if node.config.requirepass.is_some() {
        new.flags.insert(ClientFlags::UNAUTHENTICATED);
    }
    node.clients.table.insert(client, new);
    let refusal = if is_full {
        Some("ERR max number of clients + cluster connections reached")
    } else if is_outside(node, peer) {
        Some(DENIED)
    } else {
        None
    };
    match refusal {
        Some(refusal) => {
            node.clients.stats.rejected_connections += 1;
            let reply = Reply::error(refusal);
            let resp3 = false;
            node.outbox.push(Action::Reply {
                client,
                reply,
                resp3,
            });
            close(node, client);
        }
        None => node.clients.stats.connections += 1,
    }
}

/// Whether a client has to say the password before anything else (`authRequired`).
pub(crate) fn needs_password(node: &Node, client: &Client) -> bool {
    node.config.requirepass.is_some() && client.flags.contains(ClientFlags::UNAUTHENTICATED)
}

/// Whether a client comes from another host although only this one is trusted
/// (`protected-mode`).
fn is_outside(node: &Node, peer: SocketAddr) -> bool {
    let config = &node.config;
    config.protected_mode && config.requirepass.is_none() && !peer.ip().to_canonical().is_loopback()
}

const DENIED: &str = "DENIED Redis is running in protected mode because protected mode is enabled \
    and no password is set for the default user. In this mode connections are only accepted from \
    the loopback interface. If you want to connect from external computers to Redis you may adopt \
    one of the following solutions: 1) Just disable protected mode sending the command 'CONFIG \
    SET protected-mode no' from the loopback interface by connecting to Redis from the same host \
    the server is running, however MAKE SURE Redis is not publicly accessible from internet if you \
    do so. Use CONFIG REWRITE to make this change permanent. 2) Alternatively you can just disable \
    the protected mode by editing the Redis configuration file, and setting the protected mode \
    option to 'no', and then restarting the server. 3) If you started the server manually just for \
    testing, restart it with the '--protected-mode no' option. 4) Setup a an authentication \
    password for the default user. NOTE: You only need to do one of the above things in order for \
    the server to start accepting connections from the outside.";

/// A client's connection was closed because it passed a limit.
pub(crate) fn cut(node: &mut Node, client: ClientId, why: ClientCut) {
    let described = commands::describe_client(node, client).unwrap_or_default();
    let described = described.trim_end();
    let line = match why {
        ClientCut::Output => format!(
            "Client {described} scheduled to be closed ASAP for overcoming of output buffer \
             limits."
        ),
        ClientCut::Query(bytes) => format!(
            "Closing client that reached max query buffer length: {described} (qbuf length: \
             {bytes})"
        ),
    };
    node.log(LogLevel::Warning, line);
    if why == ClientCut::Output {
        node.clients.stats.output_limit_disconnections += 1;
    }
    replication::replica_closed(node, client);
    closed(node, client);
}

/// A client's connection ended.
pub(crate) fn closed(node: &mut Node, client: ClientId) {
    if (node.clients.get(client)).is_some_and(|client| client.session.is_some()) {
        watch::unwatch_all(node, client);
        subscriptions::forget_all(node, client);
    }
    let clients = &mut node.clients;
    let Some(gone) = clients.table.shift_remove(&client) else {
        return;
    };
    if gone.flags.contains(ClientFlags::MONITOR) {
        clients.monitors -= 1;
    }
    if gone.is_blocked() {
        clients.waiting.retain(|&waiting| waiting != client);
        clients.key_waits.remove(client);
        clients.postponed.retain(|&postponed| postponed != client);
    }
    clients.unblocked.retain(|&unblocked| unblocked != client);
}

/// Closes a client's connection once its replies are sent.
pub(crate) fn close(node: &mut Node, client: ClientId) {
    replication::replica_closed(node, client);
    closed(node, client);
    node.outbox.push(Action::CloseClient { client });
}

/// A client sent something that is not a command.
pub(crate) fn bad_command(node: &mut Node, client: ClientId, error: RespError) {
    let Some(sender) = node.clients.get_mut(client) else {
        return;
    };
    if sender.is_blocked() || !sender.queue.is_empty() {
        sender.queue.push_back(Queued::Bad(error));
        return;
    }
    node.note(Fact::BadCommand {
        error: error.to_string().into(),
    });
    if let Some(refusal) = error.reply() {
        reply(node, client, refusal);
    }
    close(node, client);
}

/// Takes a client's command, unless it has to wait behind others of the same client.
pub(crate) fn take_command(
    node: &mut Node,
    client: ClientId,
    command: CommandLine,
    wire_len: usize,
) -> Option<CommandLine> {
    let now = node.wall();
    node.clients.stats.input_bytes += wire_len as u64;
    let sender = node.clients.get_mut(client)?;
    sender.last_interaction = now;
    if sender.is_blocked() || !sender.queue.is_empty() {
        sender.queue.push_back(Queued::Command(command));
        return None;
    }
    Some(command)
}

/// Holds a client's command back until a pause ends.
pub(crate) fn postpone(node: &mut Node, client: ClientId, command: CommandLine) {
    let Some(sender) = node.clients.table.get_mut(&client) else {
        return;
    };
    sender.queue.push_front(Queued::Command(command));
    sender.blocked = Some(Blocked::Postponed);
    node.clients.postponed.push(client);
}

/// Answers a client, if it wants answers.
pub(crate) fn reply(node: &mut Node, client: ClientId, reply: Reply) {
    if let Reply::Error(text) = &reply {
        node.clients.stats.count_error(text);
    }
    if let Some((executing, replies)) = &mut node.clients.collecting
        && *executing == client
    {
        replies.push(reply);
        return;
    }
    let muted = ClientFlags::REPLY_OFF | ClientFlags::REPLY_SKIP;
    if let Some(receiver) = node.clients.get(client)
        && !receiver.flags.intersects(muted)
    {
        let resp3 = receiver.resp3;
        node.outbox.push(Action::Reply {
            client,
            reply,
            resp3,
        });
    }
}

/// Tells a client something that is no answer. It hears it even if it wants no answers.
pub(crate) fn push(node: &mut Node, client: ClientId, reply: Reply) {
    if let Some((executing, replies)) = &mut node.clients.collecting
        && *executing == client
    {
        replies.push(reply);
        return;
    }
    let resp3 = node.clients.get(client).is_some_and(|client| client.resp3);
    node.outbox.push(Action::Reply {
        client,
        reply,
        resp3,
    });
}

/// Shows a command to the clients that see every command (`replicationFeedMonitors`).
pub(crate) fn show_to_monitors(node: &mut Node, client: ClientId, line: &str) {
    let now_ms = node.wall().0;
    let (seconds, micros) = (now_ms.div_euclid(1000), now_ms.rem_euclid(1000) * 1000);
    let peer = node.clients.get(client).map(|client| client.peer);
    let peer = peer.map_or_else(String::new, |peer| peer.to_string());
    let shown = format!("{seconds}.{micros:06} [0 {peer}] {line}");
    let monitors: Vec<(ClientId, bool)> = (node.clients.iter())
        .filter(|(_, client)| client.flags.contains(ClientFlags::MONITOR))
        .map(|(id, client)| (id, client.resp3))
        .collect();
    for (client, resp3) in monitors {
        let reply = Reply::Simple(shown.clone().into());
        node.outbox.push(Action::Reply {
            client,
            reply,
            resp3,
        });
    }
}

/// Has a client wait for the end of the server.
pub(crate) fn block_for_shutdown(node: &mut Node, client: ClientId) {
    if let Some(waiting) = node.clients.table.get_mut(&client) {
        waiting.blocked = Some(Blocked::Shutdown);
    }
}

/// The server does not end after all: whoever waited for that is told and free again.
pub(crate) fn unblock_shutdown(node: &mut Node) {
    let waits = |client: &Client| matches!(client.blocked, Some(Blocked::Shutdown));
    let waiting: Vec<ClientId> = (node.clients.iter())
        .filter(|(_, client)| waits(client))
        .map(|(id, _)| id)
        .collect();
    for client in waiting {
        let told = Reply::error("ERR Errors trying to SHUTDOWN. Check logs.");
        reply(node, client, told);
        unblock(node, client);
    }
}

/// The end of a turn, as far as clients go (`beforeSleep`): waits end, and what blocked clients
/// had sent runs.
pub(crate) fn turn_end(node: &mut Node) {
    wait::end_overdue(node);
    if node.clients.key_waits.len() > 0 {
        key_waits::end_overdue(node);
    }
    wait::end_satisfied(node);
    run_unblocked(node);
}

/// Runs what clients that are free again had sent. While keys are on their way to another server
/// the process stands still.
pub(crate) fn run_unblocked(node: &mut Node) {
    while node.transfers.is_empty()
        && let Some(client) = node.clients.unblocked.pop_front()
    {
        run_queue(node, client);
        let left = node.clients.get(client);
        if left.is_some_and(|left| !left.is_blocked() && !left.queue.is_empty()) {
            node.clients.unblocked.push_front(client);
        }
    }
}

fn run_queue(node: &mut Node, client: ClientId) {
    while node.transfers.is_empty()
        && let Some(sender) = node.clients.get_mut(client)
        && !sender.is_blocked()
        && let Some(next) = sender.queue.pop_front()
    {
        match next {
            Queued::Command(command) => commands::process(node, client, command),
            Queued::Bad(error) => {
                sender.queue.clear();
                bad_command(node, client, error);
            }
        }
    }
}

/// Sets a client free; what it sent meanwhile runs at the end of the turn (`unblockClient`).
fn unblock(node: &mut Node, client: ClientId) {
    let clients = &mut node.clients;
    let Some(blocked) = clients.table.get_mut(&client) else {
        return;
    };
    if let Some(Blocked::Wait(_) | Blocked::OnKeys) = blocked.blocked.take() {
        blocked.reset();
    }
    clients.waiting.retain(|&waiting| waiting != client);
    clients.key_waits.remove(client);
    clients.postponed.retain(|&postponed| postponed != client);
    if !clients.unblocked.contains(&client) {
        clients.unblocked.push_back(client);
    }
}
