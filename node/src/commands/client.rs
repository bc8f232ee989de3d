//! `CLIENT`: what the node knows of its clients (`networking.c`).

use std::borrow::Cow;
use std::net::SocketAddr;

use crate::word::Word;

use super::call::Call;
use super::connection::change_flags;
use super::error::{CommandError, Outcome, text};
use super::spec::{Categories, Flags, Spec, command, container, quiet_command};
use crate::clients::{self, Client, ClientFlags, PauseKind, PausePurpose};
use crate::config::ClientClass;
use crate::ids::ClientId;
use crate::node::Node;
use crate::reply::Reply;
use crate::time::WallMillis;
use crate::wire::resp::string_to_i64;

const ANYTIME: Flags = Flags::LOADING.union(Flags::STALE);
const ANYONE: Flags = ANYTIME.union(Flags::NOSCRIPT);
const OPERATOR: Flags = ANYONE.union(Flags::ADMIN);

const fn connection(spec: Spec, since: &'static str, summary: &'static str) -> Spec {
    spec.about("connection", since, summary)
        .categories(Categories::CONNECTION)
}

pub(super) const COMMANDS: &[Spec] = &[container("client", SUBCOMMANDS).about(
    "connection",
    "2.4.0",
    "Holds the commands about clients.",
)];

const SUBCOMMANDS: &[Spec] = &[
    connection(
        command("client|help", 2, ANYTIME, help),
        "5.0.0",
        "Lists the subcommands.",
    ),
    connection(
        command("client|id", 2, ANYONE, id),
        "5.0.0",
        "Tells the client's id.",
    ),
    connection(
        command("client|info", 2, ANYONE, info),
        "6.2.0",
        "Describes the client.",
    )
    .tips(&["nondeterministic_output"]),
    connection(
        command("client|list", -2, OPERATOR, list),
        "2.4.0",
        "Describes clients.",
    )
    .tips(&["nondeterministic_output"]),
    connection(
        command("client|getname", 2, ANYONE, getname),
        "2.6.9",
        "Tells the client's name.",
    ),
    connection(
        command("client|setname", 3, ANYONE, setname),
        "2.6.9",
        "Names the client.",
    ),
    connection(
        command("client|setinfo", 4, ANYONE, setinfo),
        "7.2.0",
        "Names the client's library.",
    ),
    connection(
        command("client|getredir", 2, ANYONE, getredir),
        "6.0.0",
        "Tells where invalidations go.",
    ),
    connection(
        command("client|caching", 3, ANYONE, caching),
        "6.0.0",
        "Has the keys of the next command tracked or not.",
    ),
    connection(
        command("client|tracking", -3, ANYONE, tracking),
        "6.0.0",
        "Tells the client of keys that change; not here.",
    ),
    connection(
        command("client|trackinginfo", 2, ANYONE, trackinginfo),
        "6.2.0",
        "Tells what is tracked for the client.",
    ),
    connection(
        command("client|no-evict", 3, OPERATOR, no_evict),
        "7.0.0",
        "Protects the client from eviction.",
    ),
    connection(
        quiet_command("client|reply", 3, ANYONE, reply),
        "3.2.0",
        "Turns replies on or off.",
    ),
    connection(
        command("client|pause", -3, OPERATOR, pause),
        "2.9.50",
        "Holds commands back for a time.",
    ),
    connection(
        command("client|unpause", 2, OPERATOR, unpause),
        "6.2.0",
        "Lets commands flow again.",
    ),
    connection(
        command("client|unblock", -3, OPERATOR, unblock),
        "5.0.0",
        "Ends a client's wait.",
    ),
    connection(
        quiet_command("client|kill", -3, OPERATOR, kill),
        "2.4.0",
        "Closes connections.",
    ),
];

fn help(call: &mut Call<'_>) -> Outcome {
    call.help(&[
        "GETNAME",
        "    Tell the name of this connection.",
        "GETREDIR",
        "    Tell which client gets this one's invalidation messages.",
        "ID",
        "    Tell the id of this connection.",
        "INFO",
        "    Describe this connection.",
        "KILL <ip:port> | <option> <value> [<option> <value> [...]]",
        "    Close connections: by ADDR, ID, TYPE, USER, all but this one unless SKIPME NO.",
        "LIST [TYPE (NORMAL|MASTER|REPLICA|PUBSUB) | ID <id> [<id> ...]]",
        "    Describe connections.",
        "NO-EVICT (ON|OFF)",
        "    Protect this connection from eviction.",
        "PAUSE <timeout> [WRITE|ALL]",
        "    Hold commands back for <timeout> milliseconds.",
        "REPLY (ON|OFF|SKIP)",
        "    Turn the replies to this connection on or off.",
        "SETINFO (LIB-NAME|LIB-VER) <value>",
        "    Name the library behind this connection.",
        "SETNAME <name>",
        "    Name this connection.",
        "UNBLOCK <id> [TIMEOUT|ERROR]",
        "    End a connection's wait.",
        "UNPAUSE",
        "    Let commands flow again.",
    ])
}

fn id(call: &mut Call<'_>) -> Outcome {
    Ok(Reply::Integer(call.client().map_or(0, |id| id.0 as i64)))
}

fn getname(call: &mut Call<'_>) -> Outcome {
    let name = sender(call).and_then(Client::name).cloned();
    Ok(name.map_or(Reply::Nil, Reply::Bulk))
}

fn sender<'a>(call: &'a Call<'_>) -> Option<&'a Client> {
    call.node.clients.get(call.client()?)
}

fn setname(call: &mut Call<'_>) -> Outcome {
    set_name(call, 2)?;
    Ok(Reply::OK)
}

/// Names the client by the word at `place`; an empty one takes its name away
/// (`clientSetNameOrReply`).
pub(super) fn set_name(call: &mut Call<'_>, place: usize) -> Result<(), CommandError> {
    let name = call.word(place);
    if !name.iter().all(u8::is_ascii_graphic) {
        return Err(CommandError::fixed(
            "ERR Client names cannot contain spaces, newlines or special characters.",
        ));
    }
    change_flags(call, |client| {
        client.labels_mut().name = (!name.is_empty()).then(|| name.clone());
    })?;
    Ok(())
}

/// Redis has this from 7.2 on. Client libraries send it to any server and some take a refusal
/// badly, so that it is accepted here.
fn setinfo(call: &mut Call<'_>) -> Outcome {
    let (option, value) = (call.word(2), call.word(3));
    let is_name = call.says(2, "lib-name");
    if !is_name && !call.says(2, "lib-ver") {
        return Err(CommandError::err(format_args!(
            "Unrecognized option '{}'",
            text(option)
        )));
    }
    if !value.iter().all(u8::is_ascii_graphic) {
        return Err(CommandError::err(format_args!(
            "{} cannot contain spaces, newlines or special characters.",
            text(option)
        )));
    }
    let value = (!value.is_empty()).then(|| value.clone());
    change_flags(call, |client| {
        let labels = client.labels_mut();
        if is_name {
            labels.library_name = value;
        } else {
            labels.library_version = value;
        }
    })
}

/// There is no tracking of keys, and so nobody to send invalidations to.
fn getredir(_: &mut Call<'_>) -> Outcome {
    Ok(Reply::Integer(-1))
}

fn caching(_: &mut Call<'_>) -> Outcome {
    Err(CommandError::fixed(
        "ERR CLIENT CACHING can be called only when the client is in tracking mode with OPTIN or \
         OPTOUT mode enabled",
    ))
}

/// Whoever kept copies of keys must not be left to believe that it will be told of changes.
fn tracking(call: &mut Call<'_>) -> Outcome {
    if call.says(2, "off") && call.words.len() == 3 {
        return Ok(Reply::OK);
    }
    if !call.says(2, "on") {
        return Err(CommandError::SYNTAX);
    }
    Err(CommandError::fixed(
        "ERR redrill does not track keys: turn client-side caching off",
    ))
}

fn trackinginfo(_: &mut Call<'_>) -> Outcome {
    let pairs = [
        ("flags", Reply::Set(vec![Reply::bulk("off")])),
        ("redirect", Reply::Integer(-1)),
        ("prefixes", Reply::Array(Vec::new())),
    ];
    let pairs = pairs.map(|(name, value)| (Reply::bulk(name), value));
    Ok(Reply::Map(pairs.into()))
}

fn no_evict(call: &mut Call<'_>) -> Outcome {
    let protect = if call.says(2, "on") {
        true
    } else if call.says(2, "off") {
        false
    } else {
        return Err(CommandError::SYNTAX);
    };
    change_flags(call, |client| {
        client.flags.set(ClientFlags::NO_EVICT, protect);
    })
}

fn reply(call: &mut Call<'_>) -> Result<Option<Reply>, CommandError> {
    if call.says(2, "on") {
        return change_flags(call, |client| {
            client
                .flags
                .remove(ClientFlags::REPLY_OFF | ClientFlags::REPLY_SKIP);
        })
        .map(Some);
    }
    if call.says(2, "off") {
        change_flags(call, |client| client.flags.insert(ClientFlags::REPLY_OFF))?;
    } else if call.says(2, "skip") {
        change_flags(call, |client| {
            if !client.flags.contains(ClientFlags::REPLY_OFF) {
                client.flags.insert(ClientFlags::REPLY_SKIP_NEXT);
            }
        })?;
    } else {
        return Err(CommandError::SYNTAX);
    }
    Ok(None)
}

fn pause(call: &mut Call<'_>) -> Outcome {
    let kind = match call.words.len() {
        3 => PauseKind::All,
        4 if call.says(3, "write") => PauseKind::Writes,
        4 if call.says(3, "all") => PauseKind::All,
        4 => {
            return Err(CommandError::fixed(
                "ERR CLIENT PAUSE mode must be WRITE or ALL",
            ));
        }
        _ => return Err(call.subcommand_syntax()),
    };
    let until = timeout(call, 2)?.unwrap_or_default();
    clients::pause(call.node, PausePurpose::Operator, kind, until);
    Ok(Reply::OK)
}

/// Reads a time in ms; `None` stands for none (`getTimeoutFromObjectOrReply`).
pub(super) fn timeout(call: &Call<'_>, place: usize) -> Result<Option<WallMillis>, CommandError> {
    let timeout_ms = string_to_i64(call.word(place)).ok_or(CommandError::fixed(
        "ERR timeout is not an integer or out of range",
    ))?;
    if timeout_ms < 0 {
        return Err(CommandError::fixed("ERR timeout is negative"));
    }
    let now_ms = call.node.wall().0;
    Ok((timeout_ms > 0).then(|| WallMillis(now_ms.saturating_add(timeout_ms))))
}

fn unpause(call: &mut Call<'_>) -> Outcome {
    clients::resume(call.node, PausePurpose::Operator);
    Ok(Reply::OK)
}

fn unblock(call: &mut Call<'_>) -> Outcome {
    let error = match call.words.len() {
        3 => false,
        4 if call.says(3, "timeout") => false,
        4 if call.says(3, "error") => true,
        4 => {
            return Err(CommandError::fixed(
                "ERR CLIENT UNBLOCK reason should be TIMEOUT or ERROR",
            ));
        }
        _ => return Err(call.subcommand_syntax()),
    };
    let id = call.integer(2)?;
    let why = error.then(|| Reply::error("UNBLOCKED client unblocked via CLIENT UNBLOCK"));
    let unblocked =
        u64::try_from(id).is_ok_and(|id| clients::unblock_waiting(call.node, ClientId(id), why));
    Ok(Reply::Integer(i64::from(unblocked)))
}

/// What kind of client one is (`getClientType`).
#[derive(Clone, Copy, PartialEq, Eq)]
enum Kind {
    Normal,
    Replica,
    PubSub,
    /// The connection to the master, which is no client here.
    Master,
}

fn kind_named(name: &[u8]) -> Result<Kind, CommandError> {
    match name.to_ascii_lowercase().as_slice() {
        b"normal" => Ok(Kind::Normal),
        b"slave" | b"replica" => Ok(Kind::Replica),
        b"pubsub" => Ok(Kind::PubSub),
        b"master" => Ok(Kind::Master),
        _ => Err(CommandError::err(format_args!(
            "Unknown client type '{}'",
            text(name)
        ))),
    }
}

fn kind_of(node: &Node, client: ClientId) -> Kind {
    match node.client_class(client) {
        ClientClass::Replica => Kind::Replica,
        ClientClass::PubSub => Kind::PubSub,
        ClientClass::Normal => Kind::Normal,
    }
}

fn info(call: &mut Call<'_>) -> Outcome {
    let line = call
        .client()
        .and_then(|client| description(call.node, client));
    Ok(Reply::Verbatim(line.unwrap_or_default()))
}

fn list(call: &mut Call<'_>) -> Outcome {
    let node = &*call.node;
    let all = || node.clients.iter().map(|(client, _)| client);
    let listed: Vec<ClientId> = match call.words {
        [_, _] => all().collect(),
        [_, _, option, name] if option.eq_ignore_ascii_case(b"type") => {
            let kind = kind_named(name)?;
            all()
                .filter(|&client| kind_of(node, client) == kind)
                .collect()
        }
        [_, _, option, ids @ ..] if option.eq_ignore_ascii_case(b"id") && !ids.is_empty() => {
            ids.iter().map(client_id).collect::<Result<_, _>>()?
        }
        _ => return Err(CommandError::SYNTAX),
    };
    let lines = listed
        .into_iter()
        .filter_map(|client| description(node, client));
    Ok(Reply::Verbatim(lines.collect()))
}

fn client_id(word: &Word) -> Result<ClientId, CommandError> {
    // A negative id is nobody's, and not an error.
    string_to_i64(word)
        .map(|id| ClientId(id as u64))
        .ok_or(CommandError::fixed("ERR Invalid client ID"))
}

/// A line of `CLIENT LIST` (`catClientInfoString`). Buffers belong to the shell: their sizes read
/// zero here.
pub(crate) fn description(node: &Node, id: ClientId) -> Option<String> {
    let client = node.clients.get(id)?;
    let now = node.wall();
    let seconds = |since: WallMillis| now.since_ms(since).max(0) / 1000;
    let labels = client.labels.as_deref();
    let session = client.session.as_deref();
    let (channels, patterns, shard_channels) = session.map_or((0, 0, 0), |session| {
        let (channels, patterns) = (session.channels.len(), session.patterns.len());
        (channels, patterns, session.shard_channels.len())
    });
    let queued = client
        .transaction()
        .map_or(-1, |transaction| transaction.commands.len() as i64);
    let label = |name: &str, value: Option<&Word>| {
        value.map_or(String::new(), |value| format!(" {name}={}", text(value)))
    };
    let library = label("lib-name", labels.and_then(|own| own.library_name.as_ref()));
    let version = label(
        "lib-ver",
        labels.and_then(|own| own.library_version.as_ref()),
    );
    let mut flags = String::new();
    for (set, letter) in [
        (client.flags.contains(ClientFlags::MONITOR), 'O'),
        (kind_of(node, id) == Kind::Replica, 'S'),
        (client.is_subscribed(), 'P'),
        (client.transaction().is_some(), 'x'),
        (client.is_blocked(), 'b'),
        (session.is_some_and(|session| session.is_stale), 'd'),
        (client.flags.contains(ClientFlags::READONLY), 'r'),
        (client.flags.contains(ClientFlags::NO_EVICT), 'e'),
    ] {
        if set {
            flags.push(letter);
        }
    }
    if flags.is_empty() {
        flags.push('N');
    }
    Some(format!(
        "id={} addr={} laddr={} fd=0 name={} age={} idle={} flags={flags} db=0 sub={channels} \
         psub={patterns} ssub={shard_channels} multi={queued} qbuf=0 qbuf-free=0 argv-mem=0 multi-mem=0 rbs=0 rbp=0 obl=0 oll=0 omem=0 \
         tot-mem=0 events=r cmd={} user=default redir=-1 resp={}{library}{version}\n",
        id.0,
        client.peer,
        local_address(node, client),
        client.name().map_or(Cow::default(), |name| text(name)),
        seconds(client.created),
        seconds(client.last_interaction),
        client.last_command.map_or("NULL", |spec| spec.name),
        if client.resp3 { 3 } else { 2 },
    ))
}

/// Where a client reached this node.
fn local_address(node: &Node, client: &Client) -> SocketAddr {
    SocketAddr::new(client.local, node.config.port)
}

/// Which clients `CLIENT KILL` means.
#[derive(Default)]
struct Victims {
    address: Option<Word>,
    id: Option<u64>,
    kind: Option<Kind>,
    local_address: Option<Word>,
    spare_self: bool,
}

fn kill(call: &mut Call<'_>) -> Result<Option<Reply>, CommandError> {
    let single = call.words.len() == 3;
    let victims = if single {
        Victims {
            address: Some(call.word(2).clone()),
            ..Victims::default()
        }
    } else {
        victims(call)?
    };
    let own = call.client();
    let doomed: Vec<ClientId> = (call.node.clients.iter())
        .filter(|&(id, client)| victims.include(call.node, id, client))
        .map(|(id, _)| id)
        .filter(|&id| !(victims.spare_self && Some(id) == own))
        .collect();
    let answer = match (single, doomed.len()) {
        (true, 0) => return Err(CommandError::fixed("ERR No such client")),
        (true, _) => Reply::OK,
        (false, count) => Reply::Integer(count as i64),
    };
    for &client in doomed.iter().filter(|&&id| Some(id) != own) {
        clients::close(call.node, client);
    }
    match own.filter(|own| doomed.contains(own)) {
        Some(own) => {
            clients::reply(call.node, own, answer);
            clients::close(call.node, own);
            Ok(None)
        }
        None => Ok(Some(answer)),
    }
}

fn victims(call: &Call<'_>) -> Result<Victims, CommandError> {
    let mut victims = Victims {
        spare_self: true,
        ..Victims::default()
    };
    for (index, pair) in call.words[2..].chunks(2).enumerate() {
        let option = 2 + 2 * index;
        let [_, value] = pair else {
            return Err(CommandError::SYNTAX);
        };
        if call.says(option, "id") {
            let id = string_to_i64(value).and_then(|id| u64::try_from(id).ok());
            victims.id = Some(id.filter(|&id| id > 0).ok_or(CommandError::fixed(
                "ERR client-id should be greater than 0",
            ))?);
        } else if call.says(option, "type") {
            victims.kind = Some(kind_named(value)?);
        } else if call.says(option, "addr") {
            victims.address = Some(value.clone());
        } else if call.says(option, "laddr") {
            victims.local_address = Some(value.clone());
        } else if call.says(option, "user") {
            if value != "default" {
                return Err(CommandError::err(format_args!(
                    "No such user '{}'",
                    text(value)
                )));
            }
        } else if call.says(option, "skipme") && value.eq_ignore_ascii_case(b"yes") {
            victims.spare_self = true;
        } else if call.says(option, "skipme") && value.eq_ignore_ascii_case(b"no") {
            victims.spare_self = false;
        } else {
            return Err(CommandError::SYNTAX);
        }
    }
    Ok(victims)
}

impl Victims {
    fn include(&self, node: &Node, id: ClientId, client: &Client) -> bool {
        let address = self
            .address
            .as_ref()
            .is_none_or(|address| *address == *client.peer.to_string());
        let local = self
            .local_address
            .as_ref()
            .is_none_or(|address| *address == *local_address(node, client).to_string());
        address
            && local
            && self.id.is_none_or(|wanted| wanted == id.0)
            && self.kind.is_none_or(|kind| kind == kind_of(node, id))
    }
}
