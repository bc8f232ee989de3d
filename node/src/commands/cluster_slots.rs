//! `CLUSTER` as far as slots change hands: ADDSLOTS, DELSLOTS, FLUSHSLOTS, SETSLOT.

use super::call::Call;
use super::client::timeout;
use super::cluster::{find_node, valid_slot};
use super::error::{CommandError, Outcome, text};
use super::spec::Spec;
use crate::clients::{self, ClientFlags, Wait};
use crate::cluster::{MYSELF, PeerIndex};
use crate::engine::Quirk;
use crate::input::CommandLine;
use crate::node::Node;
use crate::replication;
use crate::reply::Reply;
use crate::slot::{Slot, SlotSet};
use crate::slots;
use crate::time::WallMillis;
use crate::wire::resp::string_to_i64;

/// Whether slots are taken or given up.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Change {
    Take,
    GiveUp,
}

pub(super) fn add_slots(call: &mut Call<'_>) -> Outcome {
    change_slots(call, Change::Take)
}

pub(super) fn delete_slots(call: &mut Call<'_>) -> Outcome {
    change_slots(call, Change::GiveUp)
}

pub(super) fn add_ranges(call: &mut Call<'_>) -> Outcome {
    change_ranges(call, Change::Take)
}

pub(super) fn delete_ranges(call: &mut Call<'_>) -> Outcome {
    change_ranges(call, Change::GiveUp)
}

fn change_slots(call: &mut Call<'_>, change: Change) -> Outcome {
    let places = 2..call.words.len();
    let slots: Vec<Slot> = places
        .map(|place| slot_at(call, place))
        .collect::<Result<_, _>>()?;
    let mut chosen = SlotSet::new();
    for slot in slots {
        choose(call.node, &mut chosen, slot, change)?;
    }
    apply(call.node, &chosen, change);
    Ok(Reply::OK)
}

fn change_ranges(call: &mut Call<'_>, change: Change) -> Outcome {
    if !call.words.len().is_multiple_of(2) {
        return Err(CommandError::arity(call.spec.name));
    }
    let mut chosen = SlotSet::new();
    for place in (2..call.words.len()).step_by(2) {
        let (first, last) = (slot_at(call, place)?, slot_at(call, place + 1)?);
        if first > last {
            return Err(CommandError::err(format_args!(
                "start slot number {first} is greater than end slot number {last}"
            )));
        }
        for slot in first..=last {
            choose(call.node, &mut chosen, slot, change)?;
        }
    }
    apply(call.node, &chosen, change);
    Ok(Reply::OK)
}

/// `checkSlotAssignmentsOrReply`.
fn choose(
    node: &Node,
    chosen: &mut SlotSet,
    slot: Slot,
    change: Change,
) -> Result<(), CommandError> {
    let owned = node.cluster.owner(slot).is_some();
    let problem = match change {
        Change::GiveUp if !owned => "is already unassigned",
        Change::Take if owned => "is already busy",
        Change::Take | Change::GiveUp if !chosen.insert(slot) => "specified multiple times",
        Change::Take | Change::GiveUp => return Ok(()),
    };
    Err(CommandError::err(format_args!("Slot {slot} {problem}")))
}

fn apply(node: &mut Node, chosen: &SlotSet, change: Change) {
    let chosen: Vec<Slot> = chosen.iter().collect();
    match change {
        Change::Take => slots::add(node, &chosen),
        Change::GiveUp => slots::remove(node, &chosen),
    }
}

pub(super) fn flush_slots(call: &mut Call<'_>) -> Outcome {
    if !call.node.store.is_empty() {
        return Err(CommandError::fixed(
            "ERR DB must be empty to perform CLUSTER FLUSHSLOTS.",
        ));
    }
    slots::flush(call.node);
    Ok(Reply::OK)
}

/// How long the replicas have for a `SETSLOT`, ms (`CLUSTER_OPERATION_TIMEOUT`).
const OPERATION_TIMEOUT_MS: i64 = 2000;

/// What `SETSLOT` does to a slot.
#[derive(Clone, Copy)]
enum Order {
    Migrating(PeerIndex),
    Importing(PeerIndex),
    Stable,
    Assign(PeerIndex),
}

/// Whether a command feeds the stream beside its effect: `SETSLOT` where replicas run it too.
pub(super) fn feeds(node: &Node, spec: &Spec) -> bool {
    node.has_quirk(Quirk::ReplicatesSetSlot) && spec.name == "cluster|setslot"
}

pub(super) fn set_slot(call: &mut Call<'_>) -> Result<Option<Reply>, CommandError> {
    let is_replica = call.node.cluster.myself().is_replica();
    let obeys = call.client().is_none() && feeds(call.node, call.spec);
    if is_replica && !obeys {
        return Err(CommandError::fixed(
            "ERR Please use SETSLOT only with masters.",
        ));
    }
    let slot = slot_at(call, 2)?;
    let order = order(call, slot)?;
    if feeds(call.node, call.spec) {
        let deadline = deadline(call, order)?;
        if !is_replica && runs_on_replicas_first(call, deadline) {
            return Ok(None);
        }
    }
    let node = &mut *call.node;
    match order {
        Order::Migrating(target) => slots::set_migrating(node, slot, target),
        Order::Importing(source) => slots::set_importing(node, slot, source),
        Order::Stable => slots::set_stable(node, slot),
        Order::Assign(owner) => slots::assign(node, slot, owner),
    }
    Ok(Some(Reply::OK))
}

/// What is asked for, if it may be done (`clusterParseSetSlotCommand`).
fn order(call: &Call<'_>, slot: Slot) -> Result<Order, CommandError> {
    let takes_options = feeds(call.node, call.spec);
    let takes = |len: usize| {
        let given = call.words.len();
        given == len || (takes_options && given > len)
    };
    if call.says(3, "migrating") && takes(5) {
        migrating(call, slot)
    } else if call.says(3, "importing") && takes(5) {
        importing(call, slot)
    } else if call.says(3, "stable") && takes(4) {
        Ok(Order::Stable)
    } else if call.says(3, "node") && takes(5) {
        assign(call, slot)
    } else {
        Err(CommandError::fixed(
            "ERR Invalid CLUSTER SETSLOT action or number of arguments. Try CLUSTER HELP",
        ))
    }
}

/// Until when the replicas must have it; `None`: whenever.
fn deadline(call: &Call<'_>, order: Order) -> Result<Option<WallMillis>, CommandError> {
    let options = match order {
        Order::Stable => 4,
        Order::Migrating(_) | Order::Importing(_) | Order::Assign(_) => 5,
    };
    let mut deadline = Some(call.node.wall().plus_ms(OPERATION_TIMEOUT_MS));
    for place in (options..call.words.len()).filter(|&place| call.says(place, "timeout")) {
        if place + 1 == call.words.len() {
            return Err(CommandError::fixed("ERR Missing timeout value"));
        }
        deadline = timeout(call, place + 1)?;
    }
    Ok(deadline)
}

/// Has the replicas run the command, if there are any that can, and it wait for them: what they
/// know outlives this master. A transaction cannot wait; its `SETSLOT` goes to the replicas
/// and is carried out at once.
fn runs_on_replicas_first(call: &mut Call<'_>, deadline: Option<WallMillis>) -> bool {
    let Some(client) = call.client() else {
        return false;
    };
    let sender = call.node.clients.get(client);
    let has_them = sender.is_some_and(|sender| sender.flags.contains(ClientFlags::REPLICATED));
    let takers = replication::set_slot_takers(call.node);
    if has_them || takers == 0 || call.node.cluster.myself().replicas.is_empty() {
        return false;
    }
    let words = CommandLine::from(call.words);
    let wait = Wait {
        offset: call.node.replication.own_offset() + 1,
        replicas: takers as i64,
        deadline,
    };
    replication::feed_replicas(call.node, CommandLine::clone(&words));
    let may_wait = call.client_that_may_wait().is_some();
    if may_wait {
        clients::wait_before_running(call.node, client, wait, words);
    }
    may_wait
}

fn migrating(call: &Call<'_>, slot: Slot) -> Result<Order, CommandError> {
    let is_master = call.node.cluster.myself().is_master();
    if is_master && call.node.cluster.owner(slot) != Some(MYSELF) {
        return Err(CommandError::err(format_args!(
            "I'm not the owner of hash slot {slot}"
        )));
    }
    other_master(call, "I don't know about node").map(Order::Migrating)
}

fn importing(call: &Call<'_>, slot: Slot) -> Result<Order, CommandError> {
    if call.node.cluster.owner(slot) == Some(MYSELF) {
        return Err(CommandError::err(format_args!(
            "I'm already the owner of hash slot {slot}"
        )));
    }
    other_master(call, "I don't know about node").map(Order::Importing)
}

fn assign(call: &Call<'_>, slot: Slot) -> Result<Order, CommandError> {
    let owner = other_master(call, "Unknown node")?;
    let is_mine = call.node.cluster.owner(slot) == Some(MYSELF);
    if is_mine && owner != MYSELF && call.node.store.count_in_slot(slot) != 0 {
        return Err(CommandError::err(format_args!(
            "Can't assign hashslot {slot} to a different node while I still hold keys for this \
             hash slot."
        )));
    }
    Ok(Order::Assign(owner))
}

/// The node that the fifth word names.
fn other_master(call: &Call<'_>, unknown: &str) -> Result<PeerIndex, CommandError> {
    let named = find_node(call, 4)
        .ok_or_else(|| CommandError::err(format_args!("{unknown} {}", text(call.word(4)))))?;
    if call.node.cluster[named].is_replica() {
        return Err(CommandError::fixed("ERR Target node is not a master"));
    }
    Ok(named)
}

/// The slot a word names (`getSlotOrReply`).
fn slot_at(call: &Call<'_>, place: usize) -> Result<Slot, CommandError> {
    string_to_i64(call.word(place))
        .and_then(valid_slot)
        .ok_or(CommandError::fixed("ERR Invalid or out of range slot"))
}
