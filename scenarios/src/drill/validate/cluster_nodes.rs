//! `[[cluster.node]]`: nodes that are listed one by one, as `redrill import` writes them.

use std::collections::BTreeMap;
use std::net::{IpAddr, SocketAddr};

use redrill_node::{NodeId, SLOT_COUNT, SlotRange};
use redrill_sim::scenario::NodeSpec;

use super::Checker;
use super::cluster::{LAST_PORT, zones};
use crate::drill::mistake::Draft;
use crate::drill::read::{Anything, OneOrMany};
use crate::drill::schema;
use crate::drill::source::{Span, Spanned};
use crate::drill::suggest::did_you_mean;
use crate::drill::tree::Value;

/// The nodes of `[[cluster.node]]`, masters first.
pub(super) fn listed(
    section: &schema::Cluster,
    written: &Spanned<Vec<Spanned<schema::ClusterNode>>>,
    checker: &mut Checker<'_, '_>,
) -> (Vec<String>, Vec<NodeSpec>) {
    report_layout_keys(section, checker);
    if written.value.is_empty() {
        checker.cluster_is_wrong = true;
        checker.add(Draft::error(
            "a cluster without nodes",
            written.span,
            "the list is empty",
        ));
    }
    let mut zones = match &section.zones {
        Some(_) => zones(section, checker),
        None => Vec::new(),
    };
    let mut drafts: Vec<NodeDraft<'_>> = Vec::new();
    for node in &written.value {
        let draft = NodeDraft::read(node, section.zones.is_some(), &mut zones, checker);
        drafts.extend(draft);
    }
    if zones.is_empty() {
        zones.push("a".to_owned());
    }
    // A replica's place in the list may come before its master's.
    let (masters, replicas): (Vec<_>, Vec<_>) =
        (drafts.into_iter()).partition(|draft| draft.replica_of.is_none());
    let drafts: Vec<NodeDraft<'_>> = masters.into_iter().chain(replicas).collect();
    report_twins(&drafts, checker);
    let specs = link_replicas(&drafts, checker);
    if specs.len() < written.value.len() {
        checker.cluster_is_wrong = true;
    }
    if specs.iter().all(|spec| spec.replica_of.is_some()) {
        checker.cluster_is_wrong = true;
        if !specs.is_empty() {
            checker.add(Draft::error(
                "a cluster without masters",
                written.span,
                "every node replicates another",
            ));
        }
    }
    report_slots(&drafts, written.span, checker);
    (zones, specs)
}

fn report_layout_keys(section: &schema::Cluster, checker: &mut Checker<'_, '_>) {
    let layout = [
        ("masters", section.masters.as_ref().map(|it| it.span)),
        (
            "replicas-per-master",
            section.replicas_per_master.as_ref().map(|it| it.span),
        ),
        ("first-port", section.first_port.as_ref().map(|it| it.span)),
    ];
    for (key, span) in layout {
        if let Some(span) = span {
            checker.add(
                Draft::error(
                    format!("`{key}` and [[cluster.node]] exclude each other"),
                    span,
                    "the nodes are listed one by one",
                )
                .help("remove one of them"),
            );
        }
    }
}

struct NodeDraft<'a> {
    span: Span,
    name: &'a Spanned<String>,
    id: Option<(NodeId, Span)>,
    address: (Option<IpAddr>, u16, Span),
    zone: usize,
    slots: Vec<(SlotRange, Span)>,
    replica_of: Option<&'a Spanned<String>>,
    config_epoch: u64,
}

impl<'a> NodeDraft<'a> {
    fn read(
        written: &'a Spanned<schema::ClusterNode>,
        zones_are_fixed: bool,
        zones: &mut Vec<String>,
        checker: &mut Checker<'_, '_>,
    ) -> Option<Self> {
        let node = &written.value;
        let missing = |key: &str, example: &str| {
            Draft::error(format!("a node without `{key}`"), written.span, "this node")
                .help(format!("add {example}"))
        };
        for (is_missing, key, example) in [
            (node.name.is_none(), "name", "name = \"m1\""),
            (
                node.address.is_none(),
                "address",
                "address = \"10.0.0.1:6379\"",
            ),
        ] {
            if is_missing {
                checker.add_missing(key, &node.unreadable, |key| missing(key, example));
            }
        }
        let id = match &node.id {
            None => None,
            Some(id) => match id.value.parse::<NodeId>() {
                Ok(parsed) => Some((parsed, id.span)),
                Err(error) => {
                    checker.add(Draft::error("not a node id", id.span, error.to_string()));
                    None
                }
            },
        };
        let zone = match &node.zone {
            None => 0,
            Some(zone) => match zones.iter().position(|known| *known == zone.value) {
                Some(index) => index,
                None if zones_are_fixed => {
                    let help = did_you_mean(&zone.value, zones.iter().map(String::as_str));
                    checker.add(
                        Draft::error(
                            format!("there is no zone `{}`", zone.value),
                            zone.span,
                            "not in `zones`",
                        )
                        .help_if(help),
                    );
                    0
                }
                None => {
                    zones.push(zone.value.clone());
                    zones.len() - 1
                }
            },
        };
        let slots =
            (node.slots.as_ref()).map_or_else(Vec::new, |slots| slot_ranges(&slots.value, checker));
        if let (Some(master), Some(slots)) = (&node.replica_of, &node.slots) {
            checker.add(
                Draft::error(
                    "a replica with slots",
                    slots.span,
                    "slots belong to masters",
                )
                .also(master.span, "it replicates this one"),
            );
        }
        Some(Self {
            span: written.span,
            name: node.name.as_ref()?,
            id,
            address: address(node.address.as_ref()?, checker)?,
            zone,
            slots,
            replica_of: node.replica_of.as_ref(),
            config_epoch: node.config_epoch.as_ref().map_or(0, |epoch| epoch.value),
        })
    }
}

fn address(
    text: &Spanned<String>,
    checker: &mut Checker<'_, '_>,
) -> Option<(Option<IpAddr>, u16, Span)> {
    let written = text.value.trim();
    let parsed = match written.parse::<SocketAddr>() {
        Ok(address) => Some((Some(address.ip()), address.port())),
        Err(_) => match written.strip_prefix(':').unwrap_or(written).parse::<u16>() {
            Ok(port) => Some((None, port)),
            Err(_) => None,
        },
    };
    let fits = parsed.filter(|(_, port)| (1..=LAST_PORT).contains(&u64::from(*port)));
    if fits.is_none() {
        checker.add(
            Draft::error("not an address", text.span, "expected a host and a port").help(format!(
                "write \"10.0.0.1:6379\"; ports go from 1 to {LAST_PORT}"
            )),
        );
    }
    fits.map(|(ip, port)| (ip, port, text.span))
}

pub(super) fn slot_ranges(
    written: &OneOrMany<Anything>,
    checker: &mut Checker<'_, '_>,
) -> Vec<(SlotRange, Span)> {
    let mut ranges = Vec::new();
    for entry in &written.0 {
        let range = if let Value::Integer(slot) = entry.value.0 {
            u16::try_from(slot).ok().map(|slot| (slot, slot))
        } else if let Value::Text(text) = &entry.value.0 {
            let (first, last) = text.split_once('-').unwrap_or((text, text));
            let slot = |text: &str| text.trim().parse::<u16>().ok();
            slot(first).zip(slot(last))
        } else {
            None
        };
        match range.filter(|(first, last)| first <= last && usize::from(*last) < SLOT_COUNT) {
            Some((first, last)) => ranges.push((SlotRange { first, last }, entry.span)),
            None => checker.add(
                Draft::error("not a range of slots", entry.span, "expected 0 to 16383")
                    .help("write \"0-5460\" for a range, or 42 for one slot"),
            ),
        }
    }
    ranges
}

fn report_twins(drafts: &[NodeDraft<'_>], checker: &mut Checker<'_, '_>) {
    let mut names = BTreeMap::new();
    let mut addresses = BTreeMap::new();
    let mut ids = BTreeMap::new();
    for draft in drafts {
        let (ip, port, span) = draft.address;
        if let Some(first) = names.insert(draft.name.value.as_str(), draft.name.span) {
            checker.add(
                Draft::error(
                    format!("two nodes called `{}`", draft.name.value),
                    draft.name.span,
                    "the second",
                )
                .also(first, "the first"),
            );
        }
        if let Some(first) = addresses.insert((ip, port), span) {
            checker.add(
                Draft::error("two nodes at one address", span, "the second")
                    .also(first, "the first"),
            );
        }
        if let Some((id, span)) = draft.id
            && let Some(first) = ids.insert(id, span)
        {
            checker.add(
                Draft::error("two nodes with one id", span, "the second").also(first, "the first"),
            );
        }
    }
}

fn link_replicas(drafts: &[NodeDraft<'_>], checker: &mut Checker<'_, '_>) -> Vec<NodeSpec> {
    let mut specs = Vec::new();
    for draft in drafts {
        let replica_of = match draft.replica_of {
            None => None,
            Some(name) => {
                let master = (drafts.iter()).position(|other| other.name.value == name.value);
                match master.map(|place| (place, &drafts[place])) {
                    Some((place, other)) if other.replica_of.is_none() => Some(place),
                    Some((_, other)) => {
                        checker.add(
                            Draft::error(
                                format!("`{}` is a replica itself", name.value),
                                name.span,
                                "a replica of a replica",
                            )
                            .also(other.name.span, "this one"),
                        );
                        continue;
                    }
                    None => {
                        let names = drafts.iter().map(|other| other.name.value.as_str());
                        checker.add(
                            Draft::error(
                                format!("no node is called `{}`", name.value),
                                name.span,
                                "replicates nobody",
                            )
                            .help_if(did_you_mean(&name.value, names)),
                        );
                        continue;
                    }
                }
            }
        };
        specs.push(NodeSpec {
            name: draft.name.value.clone(),
            id: draft.id.map(|(id, _)| id),
            ip: draft.address.0,
            port: draft.address.1,
            zone: draft.zone,
            replica_of,
            slots: draft.slots.iter().map(|(range, _)| *range).collect(),
            config_epoch: draft.config_epoch,
            config: None,
        });
    }
    specs
}

/// Reports slots that two masters own, and notes the first that nobody owns.
fn report_slots(drafts: &[NodeDraft<'_>], all: Span, checker: &mut Checker<'_, '_>) {
    let mut ranges: Vec<(SlotRange, Span)> = (drafts.iter())
        .flat_map(|draft| draft.slots.iter().copied())
        .collect();
    ranges.sort_by_key(|(range, _)| *range);
    let mut next = 0_usize;
    let mut before: Option<Span> = None;
    let mut gap: Option<SlotRange> = None;
    let mut note_gap = |from: usize, to: usize| {
        gap.get_or_insert(SlotRange {
            first: from as u16,
            last: (to - 1) as u16,
        });
    };
    for (range, span) in &ranges {
        let (first, end) = (usize::from(range.first), usize::from(range.last) + 1);
        if first < next {
            let message = format!("slot {first} has two owners");
            let mistake = Draft::error(message, *span, "claimed here");
            checker.add(match before {
                Some(before) => mistake.also(before, "and here"),
                None => mistake,
            });
        } else if first > next {
            note_gap(next, first);
        }
        if end > next {
            next = end;
            before = Some(*span);
        }
    }
    if next < SLOT_COUNT {
        note_gap(next, SLOT_COUNT);
    }
    checker.unowned = gap.map(|gap| (gap, drafts.first().map_or(all, |draft| draft.span)));
}
