//! Client commands: dispatch, the checks before a command runs, and what follows it. One file a
//! family.

mod acl;
mod bits;
mod blocking;
mod call;
mod client;
mod cluster;
mod cluster_slots;
mod cluster_text;
mod config;
mod config_apply;
mod connection;
mod debug;
mod error;
mod expiry;
mod glob;
mod hashes;
mod info;
mod introspection;
mod keyspace;
mod lcs;
mod lists;
mod migrate;
mod number;
mod objects;
mod pubsub;
mod read_back;
mod redirect;
mod sampling;
mod saving;
mod scanning;
mod server;
mod sets;
mod shapes;
mod shutdown;
mod sort;
mod sorted_set_algebra;
mod sorted_set_ranges;
mod sorted_sets;
mod spec;
mod strings;
mod syntax;
#[cfg(test)]
mod tests;
mod transaction;
mod transfer;
mod watching;

use crate::word::Word;

pub(crate) use self::blocking::Awaited;
use self::call::{Done, Origin};
pub(crate) use self::client::description as describe_client;
pub(crate) use self::config::rewritten as config_rewritten;
use self::error::CommandError;
pub(crate) use self::migrate::{Transfer, exchanged};
pub(crate) use self::read_back::read_back;
use self::redirect::Route;
pub(crate) use self::shutdown::{Pending as PendingShutdown, terminate};
pub(crate) use self::spec::{CommandNumber, Flags, Spec, own_name};
use self::spec::{Lookup, lookup, lookup_renamed};
use crate::clients::{self, PauseKind};
use crate::config::quoted;
use crate::eviction;
use crate::ids::ClientId;
use crate::input::CommandLine;
use crate::node::Node;
use crate::persistence;
use crate::replication::{self, LinkState};
use crate::reply::Reply;
use crate::store::Place;

/// The commands of every family.
static FAMILIES: &[&[Spec]] = &[
    strings::COMMANDS,
    lists::COMMANDS,
    sets::COMMANDS,
    sorted_sets::COMMANDS,
    sorted_set_algebra::COMMANDS,
    hashes::COMMANDS,
    bits::COMMANDS,
    lcs::COMMANDS,
    sort::COMMANDS,
    objects::COMMANDS,
    keyspace::COMMANDS,
    transfer::COMMANDS,
    migrate::COMMANDS,
    expiry::COMMANDS,
    connection::COMMANDS,
    acl::COMMANDS,
    transaction::COMMANDS,
    pubsub::COMMANDS,
    client::COMMANDS,
    server::COMMANDS,
    shutdown::COMMANDS,
    watching::COMMANDS,
    saving::COMMANDS,
    info::COMMANDS,
    config::COMMANDS,
    debug::COMMANDS,
    introspection::COMMANDS,
    cluster::COMMANDS,
];

/// Whether a name matches a pattern.
pub(crate) fn glob_matches(pattern: &[u8], name: &[u8]) -> bool {
    glob::matches(pattern, name, false)
}

/// How many keys one cycle expires at most: upstream's has a quarter of the time between two
/// crons (`ACTIVE_EXPIRE_CYCLE_SLOW_TIME_PERC`).
const EXPIRED_PER_CYCLE: usize = 16_384;

/// A client sent a command: carries it out, or keeps it until the client is no longer blocked.
pub(crate) fn execute(node: &mut Node, client: ClientId, command: CommandLine, wire_len: usize) {
    if let Some(command) = clients::take_command(node, client, command, wire_len) {
        process(node, client, command);
    }
}

/// Carries out a command of a client that is not blocked (`processCommand`).
pub(crate) fn process(node: &mut Node, client: ClientId, words: CommandLine) {
    let Some(name) = words.first() else { return };
    // Somebody speaks HTTP to this port, perhaps against his will (`securityWarningCommand`).
    if name.eq_ignore_ascii_case(b"host:") || name.eq_ignore_ascii_case(b"post") {
        clients::close(node, client);
        return;
    }
    let found = if node.config.renames.is_empty() {
        lookup(&words)
    } else {
        lookup_renamed(&node.config.renames, &words)
    };
    if let Some(sender) = node.clients.get_mut(client) {
        sender.last_command = found.spec();
    }
    let (number, spec) = match found {
        Lookup::Known(number, spec) => (number, spec),
        Lookup::UnknownSubcommand => {
            let error = CommandError::unknown_subcommand(&words[0], &words[1]);
            refuse(node, client, None, error.into());
            return;
        }
        Lookup::Unknown => {
            let error = CommandError::unknown_command(&words);
            refuse(node, client, None, error.into());
            return;
        }
    };
    match check(node, client, spec, &words) {
        Ok(Admission::Run) => run(node, client, number, spec, words),
        Ok(Admission::Postpone) => clients::postpone(node, client, words),
        Ok(Admission::Queue) => {
            let queued = transaction::queue(node, client, number, spec, words);
            finish(node, client, Some(queued));
        }
        Err(refusal) => {
            node.clients.stats.of(number).rejected += 1;
            refuse(node, client, Some(spec), refusal);
        }
    }
}

/// A command is refused before it runs (`rejectCommand`).
fn refuse(node: &mut Node, client: ClientId, spec: Option<&Spec>, refusal: Refusal) {
    let error = transaction::refused(node, client, spec, refusal);
    finish(node, client, Some(error.into()));
}

/// What becomes of a command that nothing speaks against.
enum Admission {
    /// It runs.
    Run,
    /// It waits for the end of a pause.
    Postpone,
    /// It waits for the end of the transaction it stands in.
    Queue,
}

/// Why a command does not run.
#[derive(Debug)]
struct Refusal {
    error: CommandError,
    /// Whether the client is to look elsewhere.
    redirects: bool,
}

impl From<CommandError> for Refusal {
    fn from(error: CommandError) -> Self {
        let redirects = false;
        Self { error, redirects }
    }
}

/// The checks before a command runs, in the order of `processCommand`.
fn check(
    node: &mut Node,
    client: ClientId,
    spec: &'static Spec,
    words: &[Word],
) -> Result<Admission, Refusal> {
    if !spec.takes(words.len()) {
        return Err(CommandError::arity(spec.name).into());
    }
    let Some(sender) = node.clients.get(client) else {
        return Ok(Admission::Run);
    };
    if spec.flags.contains(Flags::PROTECTED) {
        debug::check_allowed(node.config.enable_debug_command, sender.peer)?;
    }
    if clients::needs_password(node, sender) && !spec.flags.contains(Flags::NO_AUTH) {
        return Err(CommandError::NO_AUTH.into());
    }
    let transaction = sender.transaction();
    if transaction.is_some()
        && (spec.flags.contains(Flags::NO_MULTI) || transaction::answers_late(spec))
    {
        return Err(CommandError::fixed("ERR Command not allowed inside a transaction").into());
    }
    let executes = transaction.filter(|_| spec.name == "exec");
    let route = match executes {
        Some(transaction) => redirect::route_all(node, sender.flags, transaction),
        None if spec.keys.is_empty() => Route::Here,
        None => redirect::route(node, sender.flags, spec, words),
    };
    if let Route::Away(redirection) = route {
        return Err(Refusal {
            error: redirection.into(),
            redirects: true,
        });
    }
    // EXEC does what any of its commands does, and may what all of them may.
    let any = spec.flags
        | executes
            .and_then(|queued| queued.any)
            .unwrap_or(Flags::empty());
    let all = executes
        .and_then(|queued| queued.all)
        .unwrap_or(Flags::all())
        & spec.flags;
    let is_queued = transaction.is_some() && transaction::is_queued(spec);
    let writes = any.contains(Flags::WRITE);
    let grows = any.contains(Flags::DENYOOM) || is_queued;
    if node.config.maxmemory_bytes > 0 {
        let has_room = eviction::make_room(node);
        if !has_room && grows {
            return Err(CommandError::OUT_OF_MEMORY.into());
        }
    }
    if node.persistence.is_troubled()
        && (writes || spec.name == "ping")
        && let Some(refusal) = node.persistence.refusal(&node.config)
    {
        return Err(CommandError::coded(refusal).into());
    }
    if writes && !has_good_replicas(node) {
        return Err(CommandError::NO_REPLICAS.into());
    }
    if writes && follows_master(node) {
        return Err(CommandError::READONLY.into());
    }
    if let Some(sender) = node.clients.get(client)
        && !sender.resp3
        && sender.is_subscribed()
        && !SUBSCRIBERS_MAY.contains(&spec.name)
    {
        return Err(CommandError::subscribed(spec.name).into());
    }
    if !all.contains(Flags::STALE) && lost_its_master(node) {
        return Err(CommandError::MASTER_DOWN.into());
    }
    let is_replica = node.replication.is_replica(client);
    if is_replica && spec.flags.intersects(Flags::WRITE | Flags::READONLY) {
        return Err(CommandError::REPLICA_TOUCHES_KEYS.into());
    }
    let held_back = match node.clients.paused() {
        None => false,
        Some(PauseKind::Writes) => {
            any.intersects(Flags::WRITE | Flags::MAY_REPLICATE) || cluster_slots::feeds(node, spec)
        }
        Some(PauseKind::All) => true,
    };
    if held_back && !is_replica {
        return Ok(Admission::Postpone);
    }
    if is_queued {
        return Ok(Admission::Queue);
    }
    Ok(Admission::Run)
}

/// What a client may do while it subscribes and speaks RESP2.
const SUBSCRIBERS_MAY: [&str; 9] = [
    "ping",
    "subscribe",
    "ssubscribe",
    "unsubscribe",
    "sunsubscribe",
    "psubscribe",
    "punsubscribe",
    "quit",
    "reset",
];

/// `checkGoodReplicasStatus`.
fn has_good_replicas(node: &Node) -> bool {
    let config = &node.config;
    config.min_replicas_to_write == 0
        || config.min_replicas_max_lag_s == 0
        || follows_master(node)
        || replication::good_replicas(node) >= config.min_replicas_to_write
}

/// Whether the node follows a master (`masterhost != NULL`). A replica that does not know its
/// master's address does not yet.
pub(crate) fn follows_master(node: &Node) -> bool {
    node.replication.link_state().is_some()
}

fn lost_its_master(node: &Node) -> bool {
    !node.config.replica_serve_stale_data
        && node
            .replication
            .link_state()
            .is_some_and(|state| state != LinkState::Connected)
}

/// The answer to a command for which there are too few replicas.
pub(crate) fn no_replicas() -> Reply {
    CommandError::NO_REPLICAS.into()
}

/// Runs a command for a client and answers.
fn run(
    node: &mut Node,
    client: ClientId,
    number: CommandNumber,
    spec: &'static Spec,
    words: CommandLine,
) {
    if node.config.host.is_timed {
        clients::began(node, client, number, spec, &words);
    }
    let answer = perform(node, client, number, spec, words);
    finish(node, client, answer);
    if node.store.has_ready_keys() {
        blocking::serve_ready(node);
    }
}

/// Runs a command for a client and feeds the stream (`call`).
fn perform(
    node: &mut Node,
    client: ClientId,
    number: CommandNumber,
    spec: &'static Spec,
    words: CommandLine,
) -> Option<Reply> {
    if node.clients.monitors > 0 && !spec.flags.intersects(Flags::SKIP_MONITOR | Flags::ADMIN) {
        let line: Vec<String> = words.iter().map(quoted).collect();
        clients::show_to_monitors(node, client, &line.join(" "));
    }
    let Done {
        answer,
        effect,
        written,
    } = call::run(node, Origin::Client(client), spec, &words);
    let stats = &mut node.clients.stats;
    stats.commands += 1;
    let counted = stats.of(number);
    counted.calls += 1;
    let answer = match answer {
        Ok(answer) => answer,
        Err(error) => {
            counted.failed += 1;
            Some(error.into())
        }
    };
    Done::propagate(effect, written, node, words);
    let offset = node.replication.own_offset();
    if let Some(sender) = node.clients.get_mut(client) {
        sender.write_offset = offset;
    }
    answer
}

/// Answers a client and makes it ready for its next command.
fn finish(node: &mut Node, client: ClientId, answer: Option<Reply>) {
    if let Some(answer) = answer {
        clients::reply(node, client, answer);
    }
    if let Some(sender) = node.clients.get_mut(client)
        && !sender.is_blocked()
    {
        sender.reset();
    }
}

/// Applies a command of this replica's master. It is obeyed without a look at slots, roles or
/// pauses, and not answered.
///
/// A master wraps what one command made of several in MULTI and EXEC; they are applied as they
/// come.
pub(crate) fn apply_from_master(node: &mut Node, command: &CommandLine) {
    if let [mark] = &**command
        && [b"multi".as_slice(), b"exec"].contains(&&*mark.to_ascii_lowercase())
    {
        persistence::append(node, command);
        return;
    }
    let found = if node.config.renames.is_empty() {
        lookup(command)
    } else {
        lookup_renamed(&node.config.renames, command)
    };
    if let Lookup::Known(number, spec) = found
        && spec.takes(command.len())
    {
        let Done { effect, .. } = call::run(node, Origin::Master, spec, command);
        effect.append(node, command);
        let stats = &mut node.clients.stats;
        stats.commands += 1;
        stats.of(number).calls += 1;
    }
}

/// Runs a command of the append-only file; false if nobody knows it. It is obeyed as a master is.
pub(crate) fn replay(node: &mut Node, command: &CommandLine) -> bool {
    let Lookup::Known(_, spec) = lookup(command) else {
        return false;
    };
    if spec.takes(command.len()) {
        call::run(node, Origin::Master, spec, command);
    }
    true
}

/// Tells replicas of a key that a start left out because its time was over.
pub(crate) fn tell_expired(node: &mut Node, key: &Word) {
    replication::propagate(node, [call::fixed("DEL"), key.clone()]);
}

/// The commands' part of `serverCron`: pauses end, keys expire.
pub(crate) fn cron(node: &mut Node) {
    let now = node.wall();
    let stats = &mut node.clients.stats;
    stats.sample(now);
    stats.peak_bytes = stats.peak_bytes.max(node.store.used_bytes());
    clients::close_idle(node);
    blocking::redirect_waiting(node);
    eviction::cron(node);
    shutdown::cron(node);
    if clients::check_pause(node) || follows_master(node) || node.clients.active_expiry_off {
        return;
    }
    for _ in 0..EXPIRED_PER_CYCLE {
        let Some(key) = node.store.first_expired(now) else {
            break;
        };
        if let Some(place) = node.store.find(&key) {
            expire(node, place);
        }
    }
}

/// Whether a key's time is over; removes it then, unless that is somebody else's to do: a
/// replica waits for its master's DEL, and nothing moves during a pause (`expireIfNeeded`).
fn expire_if_due(node: &mut Node, place: Place) -> bool {
    if !node.store.is_expired(place, node.now.wall) {
        return false;
    }
    if !follows_master(node) && !clients::check_pause(node) {
        expire(node, place);
    }
    true
}

/// Removes a key whose time is over and tells the replicas (`deleteExpiredKeyAndPropagate`).
fn expire(node: &mut Node, place: Place) {
    let key = node.store.key(place).clone();
    node.store.remove_at(place);
    clients::touch(node, &key);
    node.clients.stats.expired_keys += 1;
    replication::propagate(node, [call::fixed("DEL"), key]);
}
