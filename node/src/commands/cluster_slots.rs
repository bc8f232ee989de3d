//! `CLUSTER` as far as slots change hands: ADDSLOTS, DELSLOTS, FLUSHSLOTS, SETSLOT.

use super::call::Call;
use super::cluster::{find_node, valid_slot};
use super::error::{CommandError, Outcome, text};
use crate::cluster::{MYSELF, PeerIndex};
use crate::node::Node;
use crate::reply::Reply;
use crate::slot::{Slot, SlotSet};
use crate::slots;
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

pub(super) fn set_slot(call: &mut Call<'_>) -> Outcome {
    if call.node.cluster.myself().is_replica() {
        return Err(CommandError::fixed(
            "ERR Please use SETSLOT only with masters.",
        ));
    }
    let slot = slot_at(call, 2)?;
    match call.words.len() {
        5 if call.says(3, "migrating") => migrating(call, slot)?,
        5 if call.says(3, "importing") => importing(call, slot)?,
        4 if call.says(3, "stable") => slots::set_stable(call.node, slot),
        5 if call.says(3, "node") => assign(call, slot)?,
        _ => {
            return Err(CommandError::fixed(
                "ERR Invalid CLUSTER SETSLOT action or number of arguments. Try CLUSTER HELP",
            ));
        }
    }
    Ok(Reply::OK)
}

fn migrating(call: &mut Call<'_>, slot: Slot) -> Result<(), CommandError> {
    if call.node.cluster.owner(slot) != Some(MYSELF) {
        return Err(CommandError::err(format_args!(
            "I'm not the owner of hash slot {slot}"
        )));
    }
    let target = other_master(call, "I don't know about node")?;
    slots::set_migrating(call.node, slot, target);
    Ok(())
}

fn importing(call: &mut Call<'_>, slot: Slot) -> Result<(), CommandError> {
    if call.node.cluster.owner(slot) == Some(MYSELF) {
        return Err(CommandError::err(format_args!(
            "I'm already the owner of hash slot {slot}"
        )));
    }
    let source = other_master(call, "I don't know about node")?;
    slots::set_importing(call.node, slot, source);
    Ok(())
}

fn assign(call: &mut Call<'_>, slot: Slot) -> Result<(), CommandError> {
    let owner = other_master(call, "Unknown node")?;
    let is_mine = call.node.cluster.owner(slot) == Some(MYSELF);
    if is_mine && owner != MYSELF && call.node.store.count_in_slot(slot) != 0 {
        return Err(CommandError::err(format_args!(
            "Can't assign hashslot {slot} to a different node while I still hold keys for this \
             hash slot."
        )));
    }
    slots::assign(call.node, slot, owner);
    Ok(())
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
