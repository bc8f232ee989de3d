//! Whether a cluster is whole, and if not, what is pending.

use std::sync::Arc;

use redrill_node::{NodeId, NodeView, Peer, SLOT_BYTES, SlotSet};

use crate::trace::NodeNumber;
use crate::world::World;

/// What all views must say of a node.
#[derive(Clone, Debug)]
struct Known {
    id: NodeId,
    master: Option<NodeId>,
    slots: Arc<SlotSet>,
}

/// What all views must say, as the first of them says it.
#[derive(Debug, Default)]
struct Reference {
    /// In the order of that view's table.
    known: Vec<Known>,
    /// Places in `known`, by id.
    by_id: Vec<usize>,
}

/// Names nodes for messages.
pub(super) trait Names {
    /// The name of a node of the drill.
    fn node(&self, node: NodeNumber) -> String;
    /// The name of the node of that id, or the id.
    fn id(&self, id: NodeId) -> String;
}

/// What keeps the cluster from being whole: all nodes run, know each other, agree on roles and
/// slots, hold nobody for failing, have state ok, and every replica is in sync. `None` if nothing
/// does. `assigned` are the slots that must have an owner.
pub(super) fn pending(
    world: &dyn World,
    nodes: NodeNumber,
    assigned: &SlotSet,
    names: &dyn Names,
) -> Option<String> {
    let mut reference = Reference::default();
    for node in 0..nodes {
        let mut found = None;
        let looked = world.look(node, &mut |view| {
            found = wrong_with(node, view, nodes, names);
            if found.is_none() && reference.known.is_empty() {
                reference = Reference::new(view);
            }
            if found.is_none() {
                found = disagreement(node, view, &reference, names);
            }
        });
        if !looked {
            return Some(format!("{} does not run", names.node(node)));
        }
        if found.is_some() {
            return found;
        }
    }
    unsound(&reference, assigned, names)
}

/// Which replica has not applied all that its master has produced.
pub(super) fn lagging(world: &dyn World, nodes: NodeNumber, names: &dyn Names) -> Option<String> {
    let mut offsets: Vec<(NodeId, u64)> = Vec::new();
    let mut replicas: Vec<(NodeNumber, NodeId, u64)> = Vec::new();
    for node in 0..nodes {
        world.look(node, &mut |view| match view.master_id() {
            Some(master) => replicas.push((node, master, view.replication_offset())),
            None => offsets.push((view.id(), view.replication_offset())),
        });
    }
    let behind = replicas.into_iter().find_map(|(node, master, offset)| {
        let master = offsets.iter().find(|(id, _)| *id == master)?;
        (master.1 != offset).then_some((node, master.1, offset))
    });
    behind.map(|(node, wanted, offset)| {
        format!("{} stands at offset {offset} of {wanted}", names.node(node))
    })
}

/// What is wrong with one node or in its view, whatever the others say.
fn wrong_with(
    node: NodeNumber,
    view: NodeView<'_>,
    nodes: NodeNumber,
    names: &dyn Names,
) -> Option<String> {
    let who = || names.node(node);
    for peer in view.peers() {
        let whom = || names.id(peer.id);
        if peer.in_handshake() {
            return Some(format!("{} is in handshake with {:?}", who(), peer.address));
        }
        if peer.is_failed() || peer.is_timed_out() {
            return Some(format!("{} holds {} for failing", who(), whom()));
        }
    }
    let count = view.cluster().node_count();
    if count != usize::from(nodes) {
        return Some(format!("{} knows {count} nodes of {nodes}", who()));
    }
    if !view.state_ok() {
        return Some(format!("the cluster state of {} is fail", who()));
    }
    if !view.is_master() && !view.master_link_up() {
        return Some(format!("{} is not in sync with its master", who()));
    }
    None
}

impl Reference {
    fn new(view: NodeView<'_>) -> Self {
        let known: Vec<Known> = view
            .peers()
            .map(|peer| Known {
                id: peer.id,
                master: master_of(peer, view),
                slots: Arc::clone(&peer.slots),
            })
            .collect();
        let mut by_id: Vec<usize> = (0..known.len()).collect();
        by_id.sort_by_key(|&place| known[place].id);
        Self { known, by_id }
    }

    /// Where what is known of a node stands; probably at `guess`.
    fn find(&self, id: NodeId, guess: usize) -> Option<usize> {
        if self.known.get(guess).is_some_and(|known| known.id == id) {
            return Some(guess);
        }
        let id_at = |&place: &usize| self.known[place].id;
        let found = self.by_id.binary_search_by_key(&id, id_at).ok()?;
        Some(self.by_id[found])
    }
}

fn master_of(peer: &Peer, view: NodeView<'_>) -> Option<NodeId> {
    let master = view.cluster().get(peer.replica_of?)?;
    peer.is_replica().then_some(master.id)
}

/// In what a view differs from the reference.
fn disagreement(
    node: NodeNumber,
    view: NodeView<'_>,
    reference: &Reference,
    names: &dyn Names,
) -> Option<String> {
    let mut guess = 0;
    for peer in view.peers() {
        let (who, whom) = (|| names.node(node), || names.id(peer.id));
        let Some(place) = reference.find(peer.id, guess) else {
            return Some(format!("{} knows {}, others do not", who(), whom()));
        };
        // Tables that were filled in the same order differ in the place of the node itself only.
        guess = place + 1;
        let known = &reference.known[place];
        if master_of(peer, view) != known.master {
            return Some(format!(
                "{} and others differ on the role of {}",
                who(),
                whom()
            ));
        }
        let same = Arc::ptr_eq(&known.slots, &peer.slots) || known.slots == peer.slots;
        if !same {
            return Some(format!(
                "{} and others differ on the slots of {}",
                who(),
                whom()
            ));
        }
    }
    None
}

/// What is wrong with what all agree on.
fn unsound(reference: &Reference, assigned: &SlotSet, names: &dyn Names) -> Option<String> {
    let find = |id: NodeId| Some(&reference.known[reference.find(id, 0)?]);
    let mut by_id = reference.by_id.iter().map(|&place| &reference.known[place]);
    let chained = by_id.find(|known| {
        known
            .master
            .is_some_and(|master| find(master).is_none_or(|known| known.master.is_some()))
    });
    if let Some(known) = chained {
        return Some(format!(
            "{} replicates a node that is no master",
            names.id(known.id)
        ));
    }
    let mut owned = [0; SLOT_BYTES];
    for known in &reference.known {
        for (all, of_node) in owned.iter_mut().zip(known.slots.bitmap()) {
            *all |= of_node;
        }
    }
    // All of them at every look but a few: what is left of them is looked at, not each of them.
    let mut unowned = assigned.clone();
    unowned.remove_all(&SlotSet::from_bitmap(owned));
    let unowned = unowned.iter().next();
    unowned.map(|slot| format!("slot {slot} has no owner"))
}
