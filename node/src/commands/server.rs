//! The server's role, its time, and the commands of replication.

use super::call::Call;
use super::client::timeout;
use super::error::{CommandError, Outcome};
use super::follows_master;
use super::spec::{Categories, Flags, Spec, command, key, quiet_command};
use crate::clients::{self, Wait};
use crate::node::Node;
use crate::replication::{self, LinkState, Replica, ReplicaState};
use crate::reply::Reply;

const ANYTIME: Flags = Flags::LOADING.union(Flags::STALE).union(Flags::FAST);
const OPERATOR: Flags = Flags::ADMIN.union(Flags::NOSCRIPT);
const SYNC: Flags = OPERATOR
    .union(Flags::NO_ASYNC_LOADING)
    .union(Flags::NO_MULTI);
const REPLICAOF: Flags = OPERATOR.union(Flags::NO_ASYNC_LOADING).union(Flags::STALE);
const REPLCONF: Flags = OPERATOR
    .union(Flags::LOADING)
    .union(Flags::STALE)
    .union(Flags::ALLOW_BUSY);

pub(super) const COMMANDS: &[Spec] = &[
    command("time", 1, ANYTIME, time)
        .about("server", "2.6.0", "Tells the time.")
        .tips(&["nondeterministic_output"]),
    command("role", 1, ANYTIME.union(Flags::NOSCRIPT), role)
        .about("server", "2.8.12", "Tells the role in replication.")
        .categories(Categories::ADMIN.union(Categories::DANGEROUS)),
    quiet_command("wait", 3, Flags::NOSCRIPT, wait)
        .about(
            "generic",
            "3.0.0",
            "Waits until replicas have what the client wrote.",
        )
        .categories(Categories::CONNECTION)
        .tips(&["request_policy:all_shards", "response_policy:agg_min"]),
    command("replicaof", 3, REPLICAOF, replicaof).about(
        "server",
        "5.0.0",
        "Changes the master; not in a cluster.",
    ),
    command("slaveof", 3, REPLICAOF, replicaof).about(
        "server",
        "1.0.0",
        "Changes the master; not in a cluster.",
    ),
    command("swapdb", 3, Flags::WRITE.union(Flags::FAST), swapdb)
        .about("server", "4.0.0", "Swaps two databases; not in a cluster.")
        .categories(Categories::KEYSPACE.union(Categories::DANGEROUS)),
    command("move", 3, Flags::WRITE.union(Flags::FAST), move_key)
        .about(
            "generic",
            "1.0.0",
            "Moves a key to another database; not in a cluster.",
        )
        .categories(Categories::KEYSPACE)
        .keys(&[key(1, &["RW", "access", "update"])]),
    command("lolwut", -1, Flags::READONLY.union(Flags::FAST), lolwut).about(
        "server",
        "5.0.0",
        "Tells the version.",
    ),
    quiet_command("psync", -3, SYNC, psync).about(
        "server",
        "2.8.0",
        "Begins or resumes replication.",
    ),
    quiet_command("sync", 1, SYNC, psync).about("server", "1.0.0", "Begins replication."),
    quiet_command("replconf", -1, REPLCONF, replconf).about(
        "server",
        "3.0.0",
        "Holds what replicas tell their master.",
    ),
];

fn time(call: &mut Call<'_>) -> Outcome {
    let now_ms = call.node.wall().0;
    let (seconds, micros) = (now_ms.div_euclid(1000), now_ms.rem_euclid(1000) * 1000);
    Ok(Reply::Array(vec![
        Reply::bulk(seconds.to_string()),
        Reply::bulk(micros.to_string()),
    ]))
}

/// `roleCommand`.
fn role(call: &mut Call<'_>) -> Outcome {
    let node = &*call.node;
    let offset = replication::offset(node);
    let Some((master, _)) = node.replication.master() else {
        return Ok(Reply::Array(vec![
            Reply::bulk("master"),
            Reply::Integer(offset as i64),
            Reply::Array(online_replicas(node)),
        ]));
    };
    let state = match node.replication.link_state() {
        None => "none",
        Some(LinkState::Connect) => "connect",
        Some(LinkState::Connecting) => "connecting",
        Some(
            LinkState::Greeted
            | LinkState::Authenticating
            | LinkState::Introduced(_)
            | LinkState::Asked,
        ) => "handshake",
        Some(LinkState::Transfer) => "sync",
        Some(LinkState::Connected) => "connected",
    };
    let applied = if node.replication.link_up() {
        offset as i64
    } else {
        -1
    };
    Ok(Reply::Array(vec![
        Reply::bulk("slave"),
        Reply::bulk(master.ip().to_string()),
        Reply::Integer(i64::from(master.port())),
        Reply::bulk(state),
        Reply::Integer(applied),
    ]))
}

fn online_replicas(node: &Node) -> Vec<Reply> {
    let replicas = node.replication.replicas();
    replicas
        .filter(|(_, replica)| replica.state == ReplicaState::Online)
        .filter_map(|(client, replica)| {
            Some(Reply::Array(vec![
                Reply::bulk(replica_host(node, client, replica)?),
                Reply::bulk(replica.port.to_string()),
                Reply::bulk(replica.acknowledged.to_string()),
            ]))
        })
        .collect()
}

/// The host of a replica: the one it announced, else the one it connects from.
pub(super) fn replica_host(
    node: &Node,
    client: crate::ids::ClientId,
    replica: &Replica,
) -> Option<String> {
    match &replica.announced_ip {
        Some(ip) => Some(ip.to_string()),
        None => Some(node.clients.get(client)?.peer.ip().to_string()),
    }
}

/// `waitCommand`.
fn wait(call: &mut Call<'_>) -> Result<Option<Reply>, CommandError> {
    if follows_master(call.node) {
        return Err(CommandError::fixed(
            "ERR WAIT cannot be used with replica instances. Please also note that since Redis \
             4.0 if a replica is configured to be writable (which is not the default) writes to \
             replicas are just local and are not propagated.",
        ));
    }
    let replicas = call.integer(1)?;
    let deadline = timeout(call, 2)?;
    let Some(client) = call.client() else {
        return Ok(None);
    };
    let offset = call
        .node
        .clients
        .get(client)
        .map_or(0, |client| client.write_offset);
    let acknowledged = replication::acknowledged_by(call.node, offset);
    if i64::from(acknowledged) >= replicas || call.node.clients.is_collecting() {
        clients::note_wait(call.node, offset, acknowledged);
        return Ok(Some(Reply::Integer(i64::from(acknowledged))));
    }
    let wait = Wait {
        offset,
        replicas,
        deadline,
    };
    clients::wait(call.node, client, wait);
    Ok(None)
}

fn replicaof(_: &mut Call<'_>) -> Outcome {
    Err(CommandError::fixed(
        "ERR REPLICAOF not allowed in cluster mode.",
    ))
}

fn swapdb(_: &mut Call<'_>) -> Outcome {
    Err(CommandError::fixed(
        "ERR SWAPDB is not allowed in cluster mode",
    ))
}

fn move_key(_: &mut Call<'_>) -> Outcome {
    Err(CommandError::fixed(
        "ERR MOVE is not allowed in cluster mode",
    ))
}

fn lolwut(call: &mut Call<'_>) -> Outcome {
    let version = call.node.config.engine.redis_version();
    Ok(Reply::Verbatim(format!("Redis ver. {version}\n")))
}

fn psync(call: &mut Call<'_>) -> Result<Option<Reply>, CommandError> {
    let arguments = &call.words[1..];
    Ok(call
        .client()
        .and_then(|client| replication::psync(call.node, client, arguments)))
}

fn replconf(call: &mut Call<'_>) -> Result<Option<Reply>, CommandError> {
    let arguments = &call.words[1..];
    Ok(call
        .client()
        .and_then(|client| replication::replconf(call.node, client, arguments)))
}
