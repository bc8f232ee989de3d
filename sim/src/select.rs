//! Whom a step hits: selectors resolved against what the nodes are at that moment.

use std::collections::BTreeSet;
use std::sync::Arc;

use redrill_node::{NodeId, NodeView, Slot, SlotSet};

use crate::rng::{Stream, draw};
use crate::scenario::{Scenario, Selector};
use crate::trace::{ClientNumber, NodeNumber, Touched};

/// Nodes and clients, each once, in order.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Selection {
    /// The nodes.
    pub nodes: BTreeSet<NodeNumber>,
    /// The clients.
    pub clients: BTreeSet<ClientNumber>,
}

impl Selection {
    /// As the event log tells of it, with what happens to it in words, and what it cuts.
    pub(crate) fn told(&self, words: String, cut: Vec<(u16, u16)>) -> Touched {
        Touched {
            nodes: self.nodes.iter().copied().collect(),
            clients: self.clients.iter().copied().collect(),
            words: words.into(),
            cut: cut.into(),
        }
    }
}

/// What every node is, by its own view. A node that does not run is what it last was.
#[derive(Clone, Debug)]
pub struct Roles {
    nodes: Vec<Role>,
}

#[derive(Clone, Debug)]
struct Role {
    id: NodeId,
    runs: bool,
    master: Option<NodeId>,
    config_epoch: u64,
    slots: Arc<SlotSet>,
}

impl Roles {
    /// The roles at the start.
    #[must_use]
    pub fn initial(scenario: &Scenario, ids: &[NodeId]) -> Self {
        let specs = &scenario.cluster.nodes;
        let nodes = specs.iter().zip(ids).map(|(spec, &id)| Role {
            id,
            runs: false,
            master: spec.replica_of.map(|master| ids[master]),
            config_epoch: spec.config_epoch,
            slots: Arc::new(
                spec.slots
                    .iter()
                    .flat_map(|range| range.first..=range.last)
                    .collect(),
            ),
        });
        Self {
            nodes: nodes.collect(),
        }
    }

    /// A running node was looked at.
    pub fn observe(&mut self, node: NodeNumber, view: NodeView<'_>) {
        let myself = view.cluster().myself();
        self.nodes[usize::from(node)] = Role {
            id: myself.id,
            runs: true,
            master: view.master_id(),
            config_epoch: myself.config_epoch,
            slots: Arc::clone(&myself.slots),
        };
    }

    /// A node does not run.
    pub fn observe_down(&mut self, node: NodeNumber) {
        self.nodes[usize::from(node)].runs = false;
    }

    /// The node of that id.
    #[must_use]
    pub fn find(&self, id: NodeId) -> Option<NodeNumber> {
        self.numbers().find(|&node| self.role(node).id == id)
    }

    /// A node's id.
    #[must_use]
    pub fn id(&self, node: NodeNumber) -> NodeId {
        self.role(node).id
    }

    fn numbers(&self) -> impl Iterator<Item = NodeNumber> + use<> {
        0..self.nodes.len() as NodeNumber
    }

    fn role(&self, node: NodeNumber) -> &Role {
        &self.nodes[usize::from(node)]
    }

    /// Masters with slots, those before the others that run.
    pub(crate) fn masters(&self) -> Vec<NodeNumber> {
        let masters = self.numbers().filter(|&node| {
            let role = self.role(node);
            role.master.is_none() && !role.slots.is_empty()
        });
        let (running, down): (Vec<_>, Vec<_>) = masters.partition(|&node| self.role(node).runs);
        if running.is_empty() { down } else { running }
    }

    fn replicas(&self) -> Vec<NodeNumber> {
        self.numbers()
            .filter(|&node| self.role(node).master.is_some())
            .collect()
    }

    /// Whoever claims a slot with the highest epoch; a node that runs before one that does not.
    fn owner(&self, slot: Slot) -> Option<NodeNumber> {
        let claims = |node: &NodeNumber| {
            let role = self.role(*node);
            role.master.is_none() && role.slots.contains(slot)
        };
        let rank = |node: &NodeNumber| {
            let role = self.role(*node);
            (role.config_epoch, role.runs)
        };
        self.numbers().filter(claims).max_by_key(rank)
    }
}

impl Selector {
    /// Whether whom it means depends on what the nodes are at the moment.
    #[must_use]
    pub fn goes_by_role(&self) -> bool {
        match self {
            Self::MasterOfSlot(_)
            | Self::ReplicaOf(_)
            | Self::MasterOf(_)
            | Self::Masters
            | Self::Replicas
            | Self::Minority => true,
            Self::Name(_) | Self::Zones(_) | Self::All | Self::Clients | Self::Rest => false,
            Self::One(some) => some.goes_by_role(),
            Self::Union(parts) => parts.iter().any(Self::goes_by_role),
        }
    }

    /// Whom it selects. `choices` decides where one of several is meant; [`Selector::Rest`]
    /// selects nobody here, see [`groups`].
    #[must_use]
    pub fn resolve(&self, scenario: &Scenario, roles: &Roles, choices: &mut Stream) -> Selection {
        let of_nodes = |nodes: Vec<NodeNumber>| Selection {
            nodes: nodes.into_iter().collect(),
            clients: BTreeSet::new(),
        };
        match self {
            Self::Name(name) => by_name(scenario, name),
            Self::Zones(zones) => by_zone(scenario, zones),
            Self::MasterOfSlot(slot) => of_nodes(roles.owner(*slot).into_iter().collect()),
            Self::ReplicaOf(masters) => {
                let masters = masters.resolve(scenario, roles, choices).nodes;
                let is_theirs = |node: &NodeNumber| {
                    let master = roles.role(*node).master.and_then(|id| roles.find(id));
                    master.is_some_and(|master| masters.contains(&master))
                };
                of_nodes(roles.replicas().into_iter().filter(is_theirs).collect())
            }
            Self::MasterOf(replicas) => {
                let replicas = replicas.resolve(scenario, roles, choices).nodes;
                let ids = replicas.iter().filter_map(|&node| roles.role(node).master);
                of_nodes(ids.filter_map(|id| roles.find(id)).collect())
            }
            Self::Masters => of_nodes(roles.masters()),
            Self::Replicas => of_nodes(roles.replicas()),
            Self::All => of_nodes(roles.numbers().collect()),
            Self::Clients => Selection {
                nodes: BTreeSet::new(),
                clients: (0..scenario.workload.clients.len() as ClientNumber).collect(),
            },
            Self::One(some) => some.resolve(scenario, roles, choices).one(choices),
            Self::Union(selectors) => {
                let mut all = Selection::default();
                for selector in selectors {
                    all.add(selector.resolve(scenario, roles, choices));
                }
                all
            }
            Self::Minority => of_nodes(minority(roles, choices)),
            Self::Rest => Selection::default(),
        }
    }
}

/// The groups of a partition. Nobody is in two groups: the first counts.
#[must_use]
pub fn groups(
    groups: &[Vec<Selector>],
    scenario: &Scenario,
    roles: &Roles,
    choices: &mut Stream,
) -> Vec<Selection> {
    let mut taken = Selection::default();
    let mut resolved = Vec::new();
    for selectors in groups {
        let mut group = Selection::default();
        for selector in selectors {
            group.add(selector.resolve(scenario, roles, choices));
        }
        group.remove(&taken);
        taken.add(group.clone());
        resolved.push(group);
    }
    let mut rest = everybody(scenario);
    rest.remove(&taken);
    let with_rest = groups
        .iter()
        .position(|group| group.contains(&Selector::Rest));
    if let Some(place) = with_rest {
        resolved[place].add(rest);
    }
    resolved
}

/// All nodes and clients.
#[must_use]
pub fn everybody(scenario: &Scenario) -> Selection {
    Selection {
        nodes: (0..scenario.cluster.nodes.len() as NodeNumber).collect(),
        clients: (0..scenario.workload.clients.len() as ClientNumber).collect(),
    }
}

impl Selection {
    /// Whether nobody is selected.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.nodes.is_empty() && self.clients.is_empty()
    }

    /// Adds all of another selection.
    pub fn add(&mut self, other: Self) {
        self.nodes.extend(other.nodes);
        self.clients.extend(other.clients);
    }

    /// Removes all of another selection.
    pub fn remove(&mut self, other: &Self) {
        self.nodes.retain(|node| !other.nodes.contains(node));
        self.clients
            .retain(|client| !other.clients.contains(client));
    }

    /// The hosts: nodes by number, clients after `node_count` nodes.
    #[must_use]
    pub fn hosts(&self, node_count: usize) -> Vec<u16> {
        let clients = self.clients.iter().map(|client| node_count as u16 + client);
        self.nodes.iter().copied().chain(clients).collect()
    }

    /// One of them. Each has a rank that does not depend on the others: whoever is chosen of many is
    /// chosen of any few of them too, so that a configuration in which one more is a replica at the
    /// moment meets the same faults as far as can be.
    fn one(self, choices: &mut Stream) -> Self {
        const CLIENTS_BEHIND: u64 = 1 << 16;
        let key = choices.word();
        let rank = |place: u64| draw(key, place, 0);
        let node_rank = |node: &NodeNumber| rank((*node).into());
        let client_rank = |client: &ClientNumber| rank(CLIENTS_BEHIND + u64::from(*client));
        let node = self.nodes.into_iter().min_by_key(node_rank);
        let client = self.clients.into_iter().min_by_key(client_rank);
        let is_node = match (&node, &client) {
            (Some(node), Some(client)) => node_rank(node) <= client_rank(client),
            (node, _) => node.is_some(),
        };
        Self {
            nodes: node.filter(|_| is_node).into_iter().collect(),
            clients: client.filter(|_| !is_node).into_iter().collect(),
        }
    }
}

fn by_name(scenario: &Scenario, name: &str) -> Selection {
    let nodes = (0..)
        .zip(&scenario.cluster.nodes)
        .filter(|(_, node)| node.name == name);
    let clients = (0..)
        .zip(&scenario.workload.clients)
        .filter(|(_, client)| client.name == name);
    Selection {
        nodes: nodes.map(|(number, _)| number).collect(),
        clients: clients.map(|(number, _)| number).collect(),
    }
}

fn by_zone(scenario: &Scenario, zones: &[usize]) -> Selection {
    let nodes = (0..)
        .zip(&scenario.cluster.nodes)
        .filter(|(_, node)| zones.contains(&node.zone));
    let clients = (0..).zip(&scenario.workload.clients);
    let clients = clients.filter(|(_, client)| zones.contains(&client.zone));
    Selection {
        nodes: nodes.map(|(number, _)| number).collect(),
        clients: clients.map(|(number, _)| number).collect(),
    }
}

/// Fewer than half of the masters, and as large a share of the replicas.
fn minority(roles: &Roles, choices: &mut Stream) -> Vec<NodeNumber> {
    let mut masters = roles.masters();
    let most = masters.len().saturating_sub(1) / 2;
    if most == 0 {
        return Vec::new();
    }
    let count = 1 + choices.below(most as u64) as usize;
    let mut replicas = roles.replicas();
    let share = (replicas.len() * count + masters.len() / 2) / masters.len();
    let key = choices.word();
    let rank = |node: &NodeNumber| draw(key, (*node).into(), 0);
    masters.sort_by_key(rank);
    replicas.sort_by_key(rank);
    masters
        .into_iter()
        .take(count)
        .chain(replicas.into_iter().take(share))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rng::{Purpose, Streams};

    fn of_nodes(nodes: &[NodeNumber]) -> Selection {
        Selection {
            nodes: nodes.iter().copied().collect(),
            clients: BTreeSet::new(),
        }
    }

    #[test]
    fn who_is_chosen_of_many_is_chosen_of_fewer_too() {
        let mut chosen = BTreeSet::new();
        for seed in 0..200 {
            let choices = || Streams::new(seed).stream(Purpose::StepTarget, 0);
            let of_six = of_nodes(&[0, 1, 2, 3, 4, 5]).one(&mut choices());
            assert_eq!(of_six.nodes.len(), 1);
            let of_four = of_nodes(&[0, 2, 3, 5]).one(&mut choices());
            if of_six.nodes.iter().all(|node| [0, 2, 3, 5].contains(node)) {
                assert_eq!(of_six, of_four);
            }
            chosen.extend(of_six.nodes);
        }
        assert_eq!(chosen.len(), 6, "each is chosen now and then");
    }

    #[test]
    fn clients_may_be_chosen_like_nodes() {
        let both = Selection {
            nodes: BTreeSet::from([0, 1]),
            clients: BTreeSet::from([0, 1]),
        };
        let clients = (0..400).filter(|seed| {
            let mut choices = Streams::new(*seed).stream(Purpose::StepTarget, 0);
            let one = both.clone().one(&mut choices);
            assert_eq!(one.nodes.len() + one.clients.len(), 1);
            !one.clients.is_empty()
        });
        let clients = clients.count();
        assert!((150..250).contains(&clients), "{clients}");
        let mut choices = Streams::new(0).stream(Purpose::StepTarget, 0);
        assert!(Selection::default().one(&mut choices).is_empty());
    }
}
