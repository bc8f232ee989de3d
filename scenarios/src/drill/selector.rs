//! Selectors: nodes and clients by name or by role.

use std::collections::BTreeSet;

use redrill_node::key_slot;
use redrill_sim::scenario::{ClientSpec, Cluster, Selector};

use super::mistake::{Draft, Mistakes};
use super::source::{Span, Spanned};
use super::suggest::{did_you_mean, nearest};

/// What a selector may stand for at some place of a drill.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Place {
    /// The links of hosts: nodes and clients.
    Links,
    /// A group of a partition: nodes and clients, or the rest.
    Group,
    /// Processes, clocks, disks: nodes only.
    Processes,
}

/// The names a selector may use.
pub(crate) struct Names<'a> {
    pub(crate) cluster: &'a Cluster,
    pub(crate) clients: &'a [ClientSpec],
    /// False where the cluster is itself wrong, so that a name proves nothing.
    pub(crate) complete: bool,
}

/// A node or a client, by its place in the drill.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub(crate) enum Member {
    Node(usize),
    Client(usize),
}

const WORDS: &[&str] = &[
    "masters", "replicas", "all", "clients", "one", "minority", "rest",
];

const PREFIXES: &[&str] = &["zone", "master-of", "replica-of", "one"];

/// Reads a list of selectors as one.
pub(crate) fn read_all(
    written: &[Spanned<String>],
    place: Place,
    names: &Names<'_>,
    mistakes: &mut Mistakes,
) -> Option<Selector> {
    let mut selectors = read_each(written, place, names, mistakes)?;
    match selectors.len() {
        1 => selectors.pop(),
        _ => Some(Selector::Union(selectors)),
    }
}

/// Reads a list of selectors; reports every one that is wrong.
pub(crate) fn read_each(
    written: &[Spanned<String>],
    place: Place,
    names: &Names<'_>,
    mistakes: &mut Mistakes,
) -> Option<Vec<Selector>> {
    let read: Vec<Option<Selector>> = (written.iter())
        .map(|text| read(text, place, names, mistakes))
        .collect();
    read.into_iter().collect()
}

/// Reads a selector; reports it if it cannot be read or selects nothing.
pub(crate) fn read(
    text: &Spanned<String>,
    place: Place,
    names: &Names<'_>,
    mistakes: &mut Mistakes,
) -> Option<Selector> {
    let reader = Reader { names, place };
    let found = reader.selector(text.value.trim()).and_then(|selector| {
        reader.check(&selector)?;
        Ok(selector)
    });
    match found {
        Ok(selector) => Some(selector),
        Err(Refused::Unsure) => None,
        Err(Refused::Because {
            message,
            label,
            help,
        }) => {
            mistakes.add(Draft::error(message, text.span, label).help_if(help));
            None
        }
    }
}

/// Reports members that stand in two groups.
pub(crate) fn report_overlap(
    groups: &[(Vec<Selector>, Span)],
    names: &Names<'_>,
    mistakes: &mut Mistakes,
) {
    let members: Vec<(BTreeSet<Member>, Span)> = groups
        .iter()
        .map(|(selectors, span)| {
            let members = selectors.iter().filter_map(|it| fixed_members(it, names));
            (members.flatten().collect(), *span)
        })
        .collect();
    for (place, (group, span)) in members.iter().enumerate() {
        for (earlier, earlier_span) in &members[..place] {
            let Some(both) = group.intersection(earlier).next() else {
                continue;
            };
            let name = names.name_of(*both);
            mistakes.add(
                Draft::error(
                    format!("`{name}` stands in two groups of a partition"),
                    *span,
                    "here",
                )
                .also(*earlier_span, "and here"),
            );
            return;
        }
    }
}

/// Whom a selector names, if that does not depend on the seed or on what has happened.
pub(crate) fn fixed_members(selector: &Selector, names: &Names<'_>) -> Option<BTreeSet<Member>> {
    let members = match selector {
        Selector::Name(name) => names.find(name).into_iter().collect(),
        Selector::Zones(zones) => names.in_zones(zones).collect(),
        Selector::All => names.nodes().collect(),
        Selector::Clients => names.client_members().collect(),
        Selector::Union(parts) => {
            let mut members = BTreeSet::new();
            for part in parts {
                members.extend(fixed_members(part, names)?);
            }
            members
        }
        Selector::MasterOfSlot(_)
        | Selector::ReplicaOf(_)
        | Selector::MasterOf(_)
        | Selector::Masters
        | Selector::Replicas
        | Selector::One(_)
        | Selector::Minority
        | Selector::Rest => return None,
    };
    Some(members)
}

/// A selector in words, for `check`.
pub(crate) fn words(selector: &Selector, zones: &[String]) -> String {
    match selector {
        Selector::Name(name) => name.clone(),
        Selector::Zones(selected) => {
            let selected: Vec<&str> = (selected.iter())
                .filter_map(|zone| zones.get(*zone))
                .map(String::as_str)
                .collect();
            match &selected[..] {
                [zone] => format!("zone {zone}"),
                many => format!("zones {}", many.join(" and ")),
            }
        }
        Selector::MasterOfSlot(slot) => format!("the master of slot {slot}"),
        Selector::ReplicaOf(of) => format!("the replicas of {}", words(of, zones)),
        Selector::MasterOf(of) => format!("the master of {}", words(of, zones)),
        Selector::Masters => "all masters".to_owned(),
        Selector::Replicas => "all replicas".to_owned(),
        Selector::All => "all nodes".to_owned(),
        Selector::Clients => "the clients".to_owned(),
        Selector::One(of) if **of == Selector::All => "a node drawn per seed".to_owned(),
        Selector::One(of) if **of == Selector::Masters => "a master drawn per seed".to_owned(),
        Selector::One(of) if **of == Selector::Replicas => "a replica drawn per seed".to_owned(),
        Selector::One(of) if **of == Selector::Clients => "a client drawn per seed".to_owned(),
        Selector::One(of) => format!("one of {} (drawn per seed)", words(of, zones)),
        Selector::Union(parts) => {
            let parts: Vec<String> = parts.iter().map(|part| words(part, zones)).collect();
            parts.join(", ")
        }
        Selector::Minority => "a minority of the masters (drawn per seed)".to_owned(),
        Selector::Rest => "everyone else".to_owned(),
    }
}

impl Names<'_> {
    pub(crate) fn find(&self, name: &str) -> Option<Member> {
        let node = (self.cluster.nodes.iter()).position(|node| node.name == name);
        let client = || self.clients.iter().position(|client| client.name == name);
        (node.map(Member::Node)).or_else(|| client().map(Member::Client))
    }

    fn nodes(&self) -> impl Iterator<Item = Member> + use<> {
        (0..self.cluster.nodes.len()).map(Member::Node)
    }

    fn client_members(&self) -> impl Iterator<Item = Member> + use<> {
        (0..self.clients.len()).map(Member::Client)
    }

    fn in_zones(&self, zones: &[usize]) -> impl Iterator<Item = Member> {
        let zone_of = |member: &Member| match *member {
            Member::Node(node) => self.cluster.nodes[node].zone,
            Member::Client(client) => self.clients[client].zone,
        };
        (self.nodes())
            .chain(self.client_members())
            .filter(move |member| zones.contains(&zone_of(member)))
    }

    fn name_of(&self, member: Member) -> &str {
        match member {
            Member::Node(node) => &self.cluster.nodes[node].name,
            Member::Client(client) => &self.clients[client].name,
        }
    }

    pub(crate) fn node_names(&self) -> Vec<&str> {
        (self.cluster.nodes.iter())
            .map(|node| node.name.as_str())
            .collect()
    }

    fn masters(&self) -> usize {
        (self.cluster.nodes.iter())
            .filter(|node| node.replica_of.is_none())
            .count()
    }

    fn replicas(&self) -> usize {
        self.cluster.nodes.len() - self.masters()
    }
}

enum Refused {
    /// The cluster is wrong itself, and that has been reported.
    Unsure,
    Because {
        message: String,
        label: String,
        help: Option<String>,
    },
}

fn refuse(message: impl Into<String>, label: impl Into<String>) -> Refused {
    Refused::Because {
        message: message.into(),
        label: label.into(),
        help: None,
    }
}

impl Refused {
    fn help(mut self, way_out: Option<String>) -> Self {
        if let Self::Because { help, .. } = &mut self {
            *help = way_out;
        }
        self
    }
}

struct Reader<'a> {
    names: &'a Names<'a>,
    place: Place,
}

impl Reader<'_> {
    fn selector(&self, text: &str) -> Result<Selector, Refused> {
        if let Some((prefix, rest)) = text.split_once(':') {
            return self.prefixed(prefix.trim(), rest.trim());
        }
        match text {
            "masters" | "master" => Ok(Selector::Masters),
            "replicas" | "replica" => Ok(Selector::Replicas),
            "all" => Ok(Selector::All),
            "clients" | "client" => Ok(Selector::Clients),
            "one" => Ok(Selector::One(Box::new(Selector::All))),
            "minority" => Ok(Selector::Minority),
            "rest" => Ok(Selector::Rest),
            "" => Err(refuse("an empty selector", "names nobody")),
            name => self.name(name),
        }
    }

    fn prefixed(&self, prefix: &str, rest: &str) -> Result<Selector, Refused> {
        match prefix {
            "zone" | "zones" => self.zones(rest),
            "master-of" => match rest.split_once(':') {
                Some(("slot", slot)) => slot_number(slot).map(Selector::MasterOfSlot),
                Some(("key", key)) => Ok(Selector::MasterOfSlot(key_slot(key.as_bytes()))),
                Some(_) | None => {
                    let of = Box::new(self.selector(rest)?);
                    Ok(Selector::MasterOf(of))
                }
            },
            "replica-of" => match rest.split_once(':') {
                Some(("slot" | "key", _)) => {
                    let master = self.prefixed("master-of", rest)?;
                    Ok(Selector::ReplicaOf(Box::new(master)))
                }
                Some(_) | None => {
                    let of = Box::new(self.selector(rest)?);
                    Ok(Selector::ReplicaOf(of))
                }
            },
            "one" => {
                let of = Box::new(self.selector(rest)?);
                Ok(Selector::One(of))
            }
            other => {
                let help = nearest(other, PREFIXES.iter().copied()).map_or_else(
                    || format!("known: {}:", PREFIXES.join(":, ")),
                    |near| format!("did you mean `{near}:`?"),
                );
                Err(refuse(
                    format!("unknown selector `{other}:`"),
                    "not a role selector",
                )
                .help(Some(help)))
            }
        }
    }

    fn name(&self, name: &str) -> Result<Selector, Refused> {
        if self.names.find(name).is_some() {
            return Ok(Selector::Name(name.to_owned()));
        }
        if !self.names.complete {
            return Err(Refused::Unsure);
        }
        let zone = (self.names.cluster.zones.iter()).find(|zone| *zone == name);
        let help = match zone {
            Some(zone) => Some(format!("did you mean the zone? write `zone:{zone}`")),
            None => {
                let nodes = self.names.node_names();
                let clients = self.names.clients.iter().map(|client| client.name.as_str());
                let near = nearest(
                    name,
                    (nodes.iter().copied())
                        .chain(clients)
                        .chain(WORDS.iter().copied()),
                );
                near.map(|near| format!("did you mean `{near}`?"))
                    .or_else(|| did_you_mean(name, nodes))
            }
        };
        Err(refuse(
            format!("no node or client is called `{name}`"),
            "matches nothing",
        )
        .help(help))
    }

    fn zones(&self, list: &str) -> Result<Selector, Refused> {
        let known = &self.names.cluster.zones;
        let mut zones = Vec::new();
        for name in list.split(',').map(str::trim) {
            match known.iter().position(|zone| zone == name) {
                Some(zone) if !zones.contains(&zone) => zones.push(zone),
                Some(_) => {}
                None if !self.names.complete => return Err(Refused::Unsure),
                None => {
                    let help = did_you_mean(name, known.iter().map(String::as_str));
                    return Err(
                        refuse(format!("there is no zone `{name}`"), "matches nothing").help(help),
                    );
                }
            }
        }
        Ok(Selector::Zones(zones))
    }

    /// Whether a selector fits its place and can match anything at all.
    fn check(&self, selector: &Selector) -> Result<(), Refused> {
        if let Selector::One(of) | Selector::ReplicaOf(of) | Selector::MasterOf(of) = selector
            && matches!(**of, Selector::Minority | Selector::Rest)
        {
            return Err(refuse(
                "nothing can be picked from a set that is drawn",
                "not here",
            ));
        }
        self.check_place(selector)?;
        if self.names.complete {
            self.check_matches(selector)?;
        }
        Ok(())
    }

    fn check_place(&self, selector: &Selector) -> Result<(), Refused> {
        match selector {
            Selector::Rest if self.place != Place::Group => Err(refuse(
                "`rest` only makes sense in a partition",
                "the rest of what?",
            )),
            Selector::Clients if self.place == Place::Processes => Err(clients_have_no_server()),
            Selector::Name(name) if self.place == Place::Processes => match self.names.find(name) {
                Some(Member::Client(_)) => Err(clients_have_no_server()),
                Some(Member::Node(_)) | None => Ok(()),
            },
            Selector::One(of) => self.check_place(of),
            // Only nodes have masters and replicas, wherever the selector stands.
            Selector::ReplicaOf(of) | Selector::MasterOf(of) => Reader {
                names: self.names,
                place: Place::Processes,
            }
            .check_place(of),
            Selector::Union(parts) => parts.iter().try_for_each(|part| self.check_place(part)),
            Selector::Name(_)
            | Selector::Zones(_)
            | Selector::MasterOfSlot(_)
            | Selector::Masters
            | Selector::Replicas
            | Selector::All
            | Selector::Clients
            | Selector::Minority
            | Selector::Rest => Ok(()),
        }
    }

    fn check_matches(&self, selector: &Selector) -> Result<(), Refused> {
        let nothing = |why: String| Err(refuse("a selector that matches nothing", why));
        match selector {
            Selector::Zones(zones) => {
                let mut members = self.names.in_zones(zones);
                let fits = |member: Member| {
                    self.place != Place::Processes || matches!(member, Member::Node(_))
                };
                if members.any(fits) {
                    Ok(())
                } else {
                    nothing("no node stands in that zone".to_owned())
                }
            }
            Selector::Replicas if self.names.replicas() == 0 => {
                nothing("the drill has no replicas".to_owned())
            }
            Selector::Clients if self.names.clients.is_empty() => {
                nothing("the drill has no clients".to_owned())
            }
            Selector::Minority if self.names.masters() < 3 => nothing(format!(
                "{} masters have no minority: one of them gone is no majority left",
                self.names.masters()
            )),
            Selector::ReplicaOf(of) => {
                if self.names.replicas() == 0 {
                    return nothing("the drill has no replicas".to_owned());
                }
                self.check_matches(of)
            }
            Selector::MasterOf(of) | Selector::One(of) => self.check_matches(of),
            Selector::Union(parts) => parts.iter().try_for_each(|part| self.check_matches(part)),
            Selector::Name(_)
            | Selector::MasterOfSlot(_)
            | Selector::Masters
            | Selector::Replicas
            | Selector::All
            | Selector::Clients
            | Selector::Minority
            | Selector::Rest => Ok(()),
        }
    }
}

fn clients_have_no_server() -> Refused {
    refuse("this happens to nodes, not to clients", "expected nodes")
}

fn slot_number(text: &str) -> Result<u16, Refused> {
    let slot = text.trim().parse::<u16>().ok().filter(|slot| *slot < 16384);
    slot.ok_or_else(|| {
        refuse(format!("`{text}` is not a slot"), "no such slot")
            .help(Some("slots go from 0 to 16383".to_owned()))
    })
}
