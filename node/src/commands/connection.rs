//! The connection itself.

use super::acl;
use super::call::Call;
use super::client::set_name;
use super::error::{CommandError, Outcome, text};
use super::follows_master;
use super::spec::{Categories, Flags, Spec, command, quiet_command};
use super::transaction;
use crate::clients::{self, Client, ClientFlags};
use crate::ids::ClientId;
use crate::node::Node;
use crate::reply::Reply;
use crate::wire::resp::string_to_i64;

const ANYTIME: Flags = Flags::LOADING.union(Flags::STALE).union(Flags::FAST);
const UNAUTHENTICATED: Flags = ANYTIME
    .union(Flags::NOSCRIPT)
    .union(Flags::NO_AUTH)
    .union(Flags::ALLOW_BUSY);

const fn connection(spec: Spec, since: &'static str, summary: &'static str) -> Spec {
    spec.about("connection", since, summary)
        .categories(Categories::CONNECTION)
}

const fn cluster(spec: Spec, summary: &'static str) -> Spec {
    spec.about("cluster", "3.0.0", summary)
        .categories(Categories::CONNECTION)
}

pub(super) const COMMANDS: &[Spec] = &[
    connection(command("ping", -1, Flags::FAST, ping), "1.0.0", "Answers.")
        .tips(&["request_policy:all_shards", "response_policy:all_succeeded"]),
    connection(
        command("echo", 2, ANYTIME, echo),
        "1.0.0",
        "Answers with what it was sent.",
    ),
    connection(
        command("hello", -1, UNAUTHENTICATED, hello),
        "6.0.0",
        "Introduces the client and chooses the protocol.",
    ),
    connection(
        command(
            "auth",
            -2,
            UNAUTHENTICATED
                .union(Flags::SKIP_SLOWLOG)
                .union(Flags::SKIP_MONITOR),
            auth,
        ),
        "1.0.0",
        "Authenticates the client.",
    ),
    connection(
        command("select", 2, ANYTIME, select),
        "1.0.0",
        "Chooses a database.",
    ),
    connection(
        quiet_command("quit", -1, UNAUTHENTICATED, quit),
        "1.0.0",
        "Closes the connection.",
    ),
    connection(
        command("reset", 1, UNAUTHENTICATED, reset),
        "6.2.0",
        "Makes the connection as new.",
    ),
    cluster(
        command("asking", 1, Flags::FAST, asking),
        "Lets the next command through to a slot that is being imported.",
    ),
    cluster(
        command("readonly", 1, ANYTIME, readonly),
        "Lets the client read from this replica.",
    ),
    cluster(
        command("readwrite", 1, ANYTIME, readwrite),
        "Takes READONLY back.",
    ),
];

fn ping(call: &mut Call<'_>) -> Outcome {
    let client = call.client();
    let client = client.and_then(|client| call.node.clients.get(client));
    if call.words.len() <= 2 && client.is_some_and(|client| !client.resp3 && client.is_subscribed())
    {
        let message = call.words.get(1).cloned().unwrap_or_default();
        return Ok(Reply::Array(vec![
            Reply::bulk("pong"),
            Reply::Bulk(message),
        ]));
    }
    match call.words {
        [_] => Ok(Reply::Simple("PONG".into())),
        [_, message] => Ok(Reply::Bulk(message.clone())),
        _ => Err(CommandError::arity(call.spec.name)),
    }
}

fn echo(call: &mut Call<'_>) -> Outcome {
    Ok(Reply::Bulk(call.word(1).clone()))
}

fn hello(call: &mut Call<'_>) -> Outcome {
    let version = call.words.get(1).map(|word| protocol(word)).transpose()?;
    let mut place = 2;
    while place < call.words.len() {
        let more = call.words.len() - place - 1;
        if call.says(place, "auth") && more >= 2 {
            let (user, password) = (call.word(place + 1), call.word(place + 2));
            acl::authenticate(call, user, password)?;
            place += 2;
        } else if call.says(place, "setname") && more >= 1 {
            set_name(call, place + 1)?;
            place += 1;
        } else {
            return Err(CommandError::err(format_args!(
                "Syntax error in HELLO option '{}'",
                text(call.word(place))
            )));
        }
        place += 1;
    }
    let Some(client) = call.client() else {
        return Ok(Reply::OK);
    };
    if !call.node.is_authenticated(client) {
        return Err(CommandError::fixed(
            "NOAUTH HELLO must be called with the client already authenticated, otherwise the \
             HELLO AUTH <user> <pass> option can be used to authenticate the client and select \
             the RESP protocol version at the same time",
        ));
    }
    if let Some(resp3) = version {
        speak(call.node, client, resp3);
    }
    Ok(introduction(call.node, client))
}

/// Whether that version is RESP3.
fn protocol(word: &[u8]) -> Result<bool, CommandError> {
    match string_to_i64(word) {
        None => Err(CommandError::fixed(
            "ERR Protocol version is not an integer or out of range",
        )),
        Some(2) => Ok(false),
        Some(3) => Ok(true),
        Some(_) => Err(CommandError::fixed("NOPROTO unsupported protocol version")),
    }
}

fn speak(node: &mut Node, client: ClientId, resp3: bool) {
    if let Some(speaker) = node.clients.get_mut(client) {
        speaker.resp3 = resp3;
    }
}

fn introduction(node: &Node, client: ClientId) -> Reply {
    let resp3 = node.clients.get(client).is_some_and(|client| client.resp3);
    let role = if follows_master(node) {
        "replica"
    } else {
        "master"
    };
    let pairs = [
        ("server", Reply::bulk(node.config.engine.server())),
        ("version", Reply::bulk(node.config.engine.version())),
        ("proto", Reply::Integer(if resp3 { 3 } else { 2 })),
        ("id", Reply::Integer(client.0 as i64)),
        ("mode", Reply::bulk("cluster")),
        ("role", Reply::bulk(role)),
        ("modules", Reply::Array(Vec::new())),
    ];
    Reply::Map(pairs.map(|(name, value)| (Reply::bulk(name), value)).into())
}

fn auth(call: &mut Call<'_>) -> Outcome {
    match call.words {
        [_, _] if call.node.config.requirepass.is_none() => Err(CommandError::fixed(
            "ERR AUTH <password> called without any password configured for the default user. \
             Are you sure your configuration is correct?",
        )),
        [_, password] => acl::authenticate(call, b"default", password).map(|()| Reply::OK),
        [_, user, password] => acl::authenticate(call, user, password).map(|()| Reply::OK),
        _ => Err(CommandError::SYNTAX),
    }
}

fn select(call: &mut Call<'_>) -> Outcome {
    match i32::try_from(call.integer(1)?) {
        Ok(0) => Ok(Reply::OK),
        Ok(_) => Err(CommandError::fixed(
            "ERR SELECT is not allowed in cluster mode",
        )),
        Err(_) => Err(CommandError::err(format_args!(
            "value is out of range, value must between {} and {}",
            i32::MIN,
            i32::MAX
        ))),
    }
}

fn quit(call: &mut Call<'_>) -> Result<Option<Reply>, CommandError> {
    if let Some(client) = call.client() {
        clients::reply(call.node, client, Reply::OK);
        clients::close(call.node, client);
    }
    Ok(None)
}

fn reset(call: &mut Call<'_>) -> Outcome {
    let Some(client) = call.client() else {
        return Ok(Reply::OK);
    };
    if call.node.replication.is_replica(client) {
        return Err(CommandError::fixed(
            "ERR can only reset normal client connections",
        ));
    }
    transaction::end(call.node, client);
    clients::forget_all(call.node, client);
    speak(call.node, client, false);
    let has_password = call.node.config.requirepass.is_some();
    let clients = &mut call.node.clients;
    if let Some(renewed) = clients.get_mut(client) {
        renewed.labels_mut().name = None;
        let was_monitor = renewed.flags.contains(ClientFlags::MONITOR);
        renewed.flags &= ClientFlags::NO_EVICT;
        let flags = &mut renewed.flags;
        flags.set(ClientFlags::UNAUTHENTICATED, has_password);
        clients.monitors -= usize::from(was_monitor);
    }
    Ok(Reply::Simple("RESET".into()))
}

fn asking(call: &mut Call<'_>) -> Outcome {
    change_flags(call, |client| client.flags.insert(ClientFlags::ASKING))
}

fn readonly(call: &mut Call<'_>) -> Outcome {
    change_flags(call, |client| client.flags.insert(ClientFlags::READONLY))
}

fn readwrite(call: &mut Call<'_>) -> Outcome {
    change_flags(call, |client| client.flags.remove(ClientFlags::READONLY))
}

pub(super) fn change_flags(call: &mut Call<'_>, change: impl FnOnce(&mut Client)) -> Outcome {
    if let Some(client) = call.client()
        && let Some(client) = call.node.clients.get_mut(client)
    {
        change(client);
    }
    Ok(Reply::OK)
}
