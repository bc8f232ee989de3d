//! Client commands: dispatch, the checks before a command runs, and what follows it. One file a
//! family.

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
mod redirect;
mod sampling;
mod saving;
mod scanning;
mod server;
mod sets;
mod shapes;
mod sort;
mod sorted_set_algebra;
mod sorted_set_ranges;
mod sorted_sets;
mod spec;
mod strings;
#[cfg(test)]
mod tests;
mod transfer;

use crate::word::Word;

pub(crate) use self::blocking::Awaited;
use self::call::{Done, Origin};
pub(crate) use self::client::description as describe_client;
pub(crate) use self::config::rewritten as config_rewritten;
use self::error::CommandError;
pub(crate) use self::migrate::{Transfer, exchanged};
use self::redirect::Route;
pub(crate) use self::spec::{CommandNumber, Flags, Spec, own_name};
use self::spec::{Lookup, lookup, lookup_renamed};
use crate::clients::{self, PauseKind};
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
    client::COMMANDS,
    server::COMMANDS,
    saving::COMMANDS,
    info::COMMANDS,
    config::COMMANDS,
    debug::COMMANDS,
    introspection::COMMANDS,
    cluster::COMMANDS,
];

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
            finish(node, client, Some(error.into()));
            return;
        }
        Lookup::Unknown => {
            let error = CommandError::unknown_command(&words);
            finish(node, client, Some(error.into()));
            return;
        }
    };
    match check(node, client, spec, &words) {
        Ok(Admission::Run) => run(node, client, number, spec, words),
        Ok(Admission::Postpone) => clients::postpone(node, client, words),
        Err(refusal) => {
            node.clients.stats.of(number).rejected += 1;
            finish(node, client, Some(refusal.into()));
        }
    }
}

/// What becomes of a command that nothing speaks against.
enum Admission {
    /// It runs.
    Run,
    /// It waits for the end of a pause.
    Postpone,
}

/// The checks before a command runs, in the order of `processCommand`.
fn check(
    node: &mut Node,
    client: ClientId,
    spec: &'static Spec,
    words: &[Word],
) -> Result<Admission, CommandError> {
    if !spec.takes(words.len()) {
        return Err(CommandError::arity(spec.name));
    }
    let Some(sender) = node.clients.get(client) else {
        return Ok(Admission::Run);
    };
    if spec.flags.contains(Flags::PROTECTED) {
        debug::check_allowed(node.config.enable_debug_command, sender.peer)?;
    }
    if !spec.keys.is_empty() {
        match redirect::route(node, sender.flags, spec, words) {
            Route::Here => {}
            Route::Away(redirection) => return Err(redirection.into()),
        }
    }
    let writes = spec.flags.contains(Flags::WRITE);
    if node.config.maxmemory_bytes > 0 {
        let has_room = eviction::make_room(node);
        if !has_room && spec.flags.contains(Flags::DENYOOM) {
            return Err(CommandError::OUT_OF_MEMORY);
        }
    }
    if node.persistence.is_troubled()
        && (writes || spec.name == "ping")
        && let Some(refusal) = node.persistence.refusal(&node.config)
    {
        return Err(CommandError::coded(refusal));
    }
    if writes && !has_good_replicas(node) {
        return Err(CommandError::NO_REPLICAS);
    }
    if writes && follows_master(node) {
        return Err(CommandError::READONLY);
    }
    if !spec.flags.contains(Flags::STALE) && lost_its_master(node) {
        return Err(CommandError::MASTER_DOWN);
    }
    let is_replica = node.replication.is_replica(client);
    if is_replica && spec.flags.intersects(Flags::WRITE | Flags::READONLY) {
        return Err(CommandError::REPLICA_TOUCHES_KEYS);
    }
    let held_back = match node.clients.paused() {
        None => false,
        Some(PauseKind::Writes) => writes,
        Some(PauseKind::All) => true,
    };
    if held_back && !is_replica {
        return Ok(Admission::Postpone);
    }
    Ok(Admission::Run)
}

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

/// Runs a command for a client, feeds the stream and answers (`call`).
fn run(
    node: &mut Node,
    client: ClientId,
    number: CommandNumber,
    spec: &'static Spec,
    words: CommandLine,
) {
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
    finish(node, client, answer);
    if node.store.has_ready_keys() {
        blocking::serve_ready(node);
    }
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
    node.clients.stats.sample(now);
    clients::close_idle(node);
    blocking::redirect_waiting(node);
    eviction::cron(node);
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
    node.clients.stats.expired_keys += 1;
    replication::propagate(node, [call::fixed("DEL"), key]);
}
