//! `CLUSTER` (`clusterCommand`): the checks here, the deeds where they belong.

use std::net::IpAddr;

use super::call::Call;
use super::cluster_slots::{
    add_ranges, add_slots, delete_ranges, delete_slots, flush_slots, set_slot,
};
use super::cluster_text as text_of;
use super::error::{CommandError, Outcome, text};
use super::spec::{Flags, Spec, command, container, quiet_command};
use crate::cluster::{MYSELF, PeerIndex};
use crate::engine::Quirk;
use crate::fact::{EpochChange, FailoverKind};
use crate::ids::NodeId;
use crate::reply::Reply;
use crate::slot::{SLOT_COUNT, Slot, key_slot};
use crate::wire::resp::string_to_i64;
use crate::{epoch, failure, manual_failover, membership, replication};

const ANYONE: Flags = Flags::STALE;
const READER: Flags = Flags::STALE.union(Flags::ADMIN);
const OPERATOR: Flags = READER.union(Flags::NO_ASYNC_LOADING);

/// What is added to a client port to make the bus port (`CLUSTER_PORT_INCR`).
const BUS_PORT_OFFSET: i64 = 10_000;

const fn v3(spec: Spec, summary: &'static str) -> Spec {
    spec.about("cluster", "3.0.0", summary)
}

const fn v7(spec: Spec, summary: &'static str) -> Spec {
    spec.about("cluster", "7.0.0", summary)
}

/// Its answer differs from node to node and from time to time.
const fn varies(spec: Spec) -> Spec {
    spec.tips(&["nondeterministic_output"])
}

pub(super) const COMMANDS: &[Spec] = &[v3(
    container("cluster", SUBCOMMANDS),
    "Holds the commands about the cluster.",
)];

const SUBCOMMANDS: &[Spec] = &[
    v3(
        command("cluster|addslots", -3, OPERATOR, add_slots),
        "Takes slots that nobody has.",
    ),
    v7(
        command("cluster|addslotsrange", -4, OPERATOR, add_ranges),
        "Takes ranges of slots that nobody has.",
    ),
    varies(v3(
        command("cluster|bumpepoch", 2, OPERATOR, bump_epoch),
        "Takes the greatest config epoch.",
    )),
    varies(v3(
        command("cluster|count-failure-reports", 3, READER, count_reports),
        "Counts who reports a node as failing.",
    )),
    v3(
        command("cluster|countkeysinslot", 3, ANYONE, count_keys),
        "Counts the keys of a slot.",
    ),
    v3(
        command("cluster|delslots", -3, OPERATOR, delete_slots),
        "Gives slots up.",
    ),
    v7(
        command("cluster|delslotsrange", -4, OPERATOR, delete_ranges),
        "Gives ranges of slots up.",
    ),
    v3(
        command("cluster|failover", -2, OPERATOR, failover),
        "Has this replica take its master's place.",
    ),
    v3(
        command("cluster|flushslots", 2, OPERATOR, flush_slots),
        "Gives all slots up.",
    ),
    v3(
        command("cluster|forget", 3, OPERATOR, forget),
        "Removes a node from the table.",
    ),
    varies(v3(
        command("cluster|getkeysinslot", 4, ANYONE, get_keys),
        "Lists keys of a slot.",
    )),
    command("cluster|help", 2, Flags::STALE.union(Flags::LOADING), help).about(
        "cluster",
        "5.0.0",
        "Lists the subcommands.",
    ),
    varies(v3(
        command("cluster|info", 2, ANYONE, info),
        "Tells the state of the cluster.",
    )),
    v3(
        command("cluster|keyslot", 3, ANYONE, keyslot),
        "Tells the slot of a key.",
    ),
    varies(v7(
        command("cluster|links", 2, ANYONE, links),
        "Lists the bus connections.",
    )),
    v3(
        command("cluster|meet", -4, OPERATOR, meet),
        "Joins another node.",
    ),
    v3(
        command("cluster|myid", 2, ANYONE, my_id),
        "Tells the node's id.",
    ),
    command("cluster|myshardid", 2, ANYONE, my_shard_id).about(
        "cluster",
        "7.2.0",
        "Tells the id of the node's shard.",
    ),
    varies(v3(
        command("cluster|nodes", 2, ANYONE, nodes),
        "Lists the nodes.",
    )),
    varies(command("cluster|replicas", 3, READER, replicas).about(
        "cluster",
        "5.0.0",
        "Lists the replicas of a master.",
    )),
    v3(
        command("cluster|replicate", 3, OPERATOR, replicate),
        "Makes the node a replica of a master.",
    ),
    v3(
        command("cluster|reset", -2, READER.union(Flags::NOSCRIPT), reset),
        "Makes the node forget the cluster.",
    ),
    v3(
        command("cluster|saveconfig", 2, OPERATOR, save_config),
        "Writes the state file.",
    ),
    v3(
        command("cluster|set-config-epoch", 3, OPERATOR, set_config_epoch),
        "Sets a new node's config epoch.",
    ),
    v3(
        quiet_command("cluster|setslot", -4, OPERATOR, set_slot),
        "Moves a slot, step by step.",
    ),
    varies(v7(
        command("cluster|shards", 2, ANYONE, shards),
        "Lists the shards with their slots and nodes.",
    )),
    varies(v3(
        command("cluster|slaves", 3, READER, replicas),
        "Lists the replicas of a master.",
    )),
    varies(v3(
        command("cluster|slots", 2, ANYONE, slot_map),
        "Lists the slots with their nodes.",
    )),
];

fn help(call: &mut Call<'_>) -> Outcome {
    call.help(&[
        "ADDSLOTS <slot> [<slot> ...]",
        "    Take slots that nobody has.",
        "ADDSLOTSRANGE <start slot> <end slot> [<start slot> <end slot> ...]",
        "    Take ranges of slots that nobody has, both ends included.",
        "BUMPEPOCH",
        "    Take the greatest config epoch, without a vote.",
        "COUNT-FAILURE-REPORTS <node-id>",
        "    Count the masters that report <node-id> as failing.",
        "COUNTKEYSINSLOT <slot>",
        "    Count the keys of <slot> on this node.",
        "DELSLOTS <slot> [<slot> ...]",
        "    Give slots up, in this node's view.",
        "DELSLOTSRANGE <start slot> <end slot> [<start slot> <end slot> ...]",
        "    Give ranges of slots up, in this node's view.",
        "FAILOVER [FORCE|TAKEOVER]",
        "    Have this replica take its master's place.",
        "FLUSHSLOTS",
        "    Give all slots of this node up.",
        "FORGET <node-id>",
        "    Remove <node-id> from this node's table.",
        "GETKEYSINSLOT <slot> <count>",
        "    List at most <count> keys of <slot> on this node.",
        "INFO",
        "    Tell the state of the cluster as this node sees it.",
        "KEYSLOT <key>",
        "    Tell the slot of <key>.",
        "LINKS",
        "    List the bus connections of this node.",
        "MEET <ip> <port> [<bus-port>]",
        "    Join the node at that address.",
        "MYID",
        "    Tell this node's id.",
        "NODES",
        "    List the nodes, a line each:",
        "    <id> <ip:port> <flags> <master> <pings> <pongs> <epoch> <link> <slot> ...",
        "REPLICAS <node-id>",
        "    List the replicas of <node-id>.",
        "REPLICATE <node-id>",
        "    Make this node a replica of <node-id>.",
        "RESET [HARD|SOFT]",
        "    Make this node forget the cluster (default: soft).",
        "SAVECONFIG",
        "    Write the state file now.",
        "SET-CONFIG-EPOCH <epoch>",
        "    Set the config epoch of a node that knows no other.",
        "SETSLOT <slot> (IMPORTING <node-id>|MIGRATING <node-id>|STABLE|NODE <node-id>)",
        "    Move a slot, step by step.",
        "SHARDS",
        "    List the shards with their slots and nodes.",
        "SLOTS",
        "    List the slots with the addresses of those who serve them.",
    ])
}

// -- questions ---------------------------------------------------------------------------------

fn my_id(call: &mut Call<'_>) -> Outcome {
    Ok(Reply::bulk(call.node.cluster.myself().id.to_string()))
}

fn my_shard_id(call: &mut Call<'_>) -> Outcome {
    if !call.node.has_quirk(Quirk::ShardIds) {
        return Err(call.subcommand_syntax());
    }
    let shard_id = call.node.cluster.myself().shard_id;
    Ok(Reply::bulk(shard_id.to_string()))
}

fn nodes(call: &mut Call<'_>) -> Outcome {
    Ok(Reply::Verbatim(text_of::nodes(call.node)))
}

fn info(call: &mut Call<'_>) -> Outcome {
    Ok(Reply::Verbatim(text_of::info(call.node)))
}

fn slot_map(call: &mut Call<'_>) -> Outcome {
    Ok(text_of::slot_map(call.node))
}

fn shards(call: &mut Call<'_>) -> Outcome {
    Ok(text_of::shards(call.node))
}

fn links(call: &mut Call<'_>) -> Outcome {
    Ok(text_of::links(call.node))
}

fn replicas(call: &mut Call<'_>) -> Outcome {
    let master = known_node(call, 2)?;
    let node = &*call.node;
    if node.cluster[master].is_replica() {
        return Err(CommandError::fixed(
            "ERR The specified node is not a master",
        ));
    }
    let replicas = &node.cluster[master].replicas;
    let lines = replicas
        .iter()
        .map(|&replica| Reply::bulk(text_of::node(node, replica)));
    Ok(Reply::Array(lines.collect()))
}

fn count_reports(call: &mut Call<'_>) -> Outcome {
    let index = known_node(call, 2)?;
    let count = failure::report_count(call.node, index);
    Ok(Reply::Integer(count as i64))
}

fn keyslot(call: &mut Call<'_>) -> Outcome {
    Ok(Reply::Integer(i64::from(key_slot(call.word(2)))))
}

fn count_keys(call: &mut Call<'_>) -> Outcome {
    let slot = valid_slot(call.integer(2)?).ok_or(CommandError::fixed("ERR Invalid slot"))?;
    Ok(Reply::Integer(call.node.store.count_in_slot(slot) as i64))
}

fn get_keys(call: &mut Call<'_>) -> Outcome {
    let (slot, max) = (call.integer(2)?, call.integer(3)?);
    let (Some(slot), Ok(max)) = (valid_slot(slot), usize::try_from(max)) else {
        return Err(CommandError::fixed("ERR Invalid slot or number of keys"));
    };
    let keys = call.node.store.keys_in_slot(slot, max);
    Ok(Reply::Array(keys.into_iter().map(Reply::Bulk).collect()))
}

pub(super) fn valid_slot(number: i64) -> Option<Slot> {
    Slot::try_from(number)
        .ok()
        .filter(|&slot| usize::from(slot) < SLOT_COUNT)
}

pub(super) fn find_node(call: &Call<'_>, place: usize) -> Option<PeerIndex> {
    let id = NodeId::from_hex(call.word(place)).ok()?;
    call.node.cluster.find(id)
}

fn known_node(call: &Call<'_>, place: usize) -> Result<PeerIndex, CommandError> {
    find_node(call, place)
        .ok_or_else(|| CommandError::err(format_args!("Unknown node {}", text(call.word(place)))))
}

// -- members -----------------------------------------------------------------------------------

fn meet(call: &mut Call<'_>) -> Outcome {
    if call.words.len() > 5 {
        return Err(call.subcommand_syntax());
    }
    let port = port_at(call, 3, "base")?;
    let bus_port = match call.words.len() {
        5 => port_at(call, 4, "bus")?,
        _ => port.saturating_add(BUS_PORT_OFFSET),
    };
    let host = text(call.word(2));
    let met = match (
        host.parse::<IpAddr>(),
        u16::try_from(port),
        u16::try_from(bus_port),
    ) {
        (Ok(ip), Ok(port), Ok(bus_port)) => membership::meet(call.node, ip, port, bus_port).is_ok(),
        _ => false,
    };
    if !met {
        return Err(CommandError::err(format_args!(
            "Invalid node address specified: {host}:{}",
            text(call.word(3))
        )));
    }
    Ok(Reply::OK)
}

fn port_at(call: &Call<'_>, place: usize, what: &str) -> Result<i64, CommandError> {
    string_to_i64(call.word(place)).ok_or_else(|| {
        CommandError::err(format_args!(
            "Invalid TCP {what} port specified: {}",
            text(call.word(place))
        ))
    })
}

fn forget(call: &mut Call<'_>) -> Outcome {
    let index = known_node(call, 2)?;
    if index == MYSELF {
        return Err(CommandError::fixed(
            "ERR I tried hard but I can't forget myself...",
        ));
    }
    let myself = call.node.cluster.myself();
    if myself.is_replica() && myself.replica_of == Some(index) {
        return Err(CommandError::fixed("ERR Can't forget my master!"));
    }
    membership::forget(call.node, index);
    Ok(Reply::OK)
}

fn replicate(call: &mut Call<'_>) -> Outcome {
    let master = known_node(call, 2)?;
    if master == MYSELF {
        return Err(CommandError::fixed("ERR Can't replicate myself"));
    }
    if call.node.cluster[master].is_replica() {
        return Err(CommandError::fixed(
            "ERR I can only replicate a master, not a replica.",
        ));
    }
    let myself = call.node.cluster.myself();
    if myself.is_master() && !(myself.slots.is_empty() && call.node.store.is_empty()) {
        return Err(CommandError::fixed(
            "ERR To set a master the node must be empty and without assigned slots.",
        ));
    }
    replication::replicate(call.node, master);
    Ok(Reply::OK)
}

fn failover(call: &mut Call<'_>) -> Outcome {
    let kind = match call.words.len() {
        2 => FailoverKind::Manual,
        3 if call.says(2, "force") => FailoverKind::Force,
        3 if call.says(2, "takeover") => FailoverKind::Takeover,
        3 => return Err(CommandError::SYNTAX),
        _ => return Err(call.subcommand_syntax()),
    };
    let cluster = &call.node.cluster;
    let myself = cluster.myself();
    if myself.is_master() {
        return Err(CommandError::fixed(
            "ERR You should send CLUSTER FAILOVER to a replica",
        ));
    }
    let Some(master) = myself.replica_of else {
        return Err(CommandError::fixed(
            "ERR I'm a replica but my master is unknown to me",
        ));
    };
    let out_of_reach = cluster[master].is_failed() || !cluster[master].is_linked();
    if kind == FailoverKind::Manual && out_of_reach {
        return Err(CommandError::fixed(
            "ERR Master is down or failed, please use CLUSTER FAILOVER FORCE",
        ));
    }
    manual_failover::request(call.node, kind);
    Ok(Reply::OK)
}

fn reset(call: &mut Call<'_>) -> Outcome {
    let hard = match call.words.len() {
        2 => false,
        3 if call.says(2, "hard") => true,
        3 if call.says(2, "soft") => false,
        3 => return Err(CommandError::SYNTAX),
        _ => return Err(call.subcommand_syntax()),
    };
    if call.node.cluster.myself().is_master() && !call.node.store.is_empty() {
        return Err(CommandError::fixed(
            "ERR CLUSTER RESET can't be called with master nodes containing keys",
        ));
    }
    membership::reset(call.node, hard);
    Ok(Reply::OK)
}

fn save_config(call: &mut Call<'_>) -> Outcome {
    call.node.save_config(true);
    Ok(Reply::OK)
}

// -- epochs ------------------------------------------------------------------------------------

fn bump_epoch(call: &mut Call<'_>) -> Outcome {
    let word = match epoch::bump(call.node, EpochChange::Bump) {
        Some(_) => "BUMPED",
        None => "STILL",
    };
    let epoch = call.node.cluster.myself().config_epoch;
    Ok(Reply::Simple(format!("{word} {epoch}").into()))
}

fn set_config_epoch(call: &mut Call<'_>) -> Outcome {
    let epoch = call.integer(2)?;
    let Ok(epoch) = u64::try_from(epoch) else {
        return Err(CommandError::err(format_args!(
            "Invalid config epoch specified: {epoch}"
        )));
    };
    if call.node.cluster.node_count() > 1 {
        return Err(CommandError::fixed(
            "ERR The user can assign a config epoch only when the node does not know any other \
             node.",
        ));
    }
    if call.node.cluster.myself().config_epoch != 0 {
        return Err(CommandError::fixed(
            "ERR Node config epoch is already non-zero",
        ));
    }
    epoch::set_config_epoch(call.node, epoch);
    Ok(Reply::OK)
}
