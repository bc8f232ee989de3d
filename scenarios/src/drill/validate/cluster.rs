//! `[cluster]`: which nodes there are, where they stand, which slots they own.

use redrill_node::{SLOT_COUNT, SlotRange};
use redrill_sim::scenario::{Cluster, Formation, NodeSpec};

use super::Checker;
use super::cluster_nodes::listed;
use crate::drill::mistake::Draft;
use crate::drill::schema;
use crate::drill::source::Spanned;

/// Port of the first node, unless the drill says otherwise.
const FIRST_PORT: u64 = 7000;

/// Greatest client port whose cluster bus (port + 10000) is a port too.
pub(super) const LAST_PORT: u64 = 55_535;

/// A letter marks each replica of a master.
const MAX_REPLICAS_PER_MASTER: u64 = 26;

pub(super) fn cluster(
    written: Option<&Spanned<schema::Cluster>>,
    checker: &mut Checker<'_, '_>,
) -> Cluster {
    let default = schema::Cluster::default();
    let section = written.map_or(&default, |section| &section.value);
    let formation = formation(section, checker);
    let (zones, nodes) = match &section.nodes {
        Some(nodes) => listed(section, nodes, checker),
        None => {
            let zones = zones(section, checker);
            let nodes = laid_out(section, zones.len(), checker);
            (zones, nodes)
        }
    };
    let cluster = Cluster {
        zones,
        nodes,
        formation,
        starts_apart_us: section.starts_apart.as_ref().map(|period| period.value.us),
    };
    if let Some(zones) = &section.zones {
        warn_of_weak_zones(&cluster, zones, checker);
    }
    cluster
}

/// The slots of each of `masters` masters, as `redis-cli --cluster create` shares them out.
fn even_slots(masters: usize) -> Vec<SlotRange> {
    let per_master = SLOT_COUNT as f64 / masters.max(1) as f64;
    let mut first = 0;
    (1..=masters)
        .map(|number| {
            let last = match number == masters {
                true => SLOT_COUNT - 1,
                false => (per_master * number as f64 - 1.0).round() as usize,
            };
            let range = SlotRange {
                first: first as u16,
                last: last as u16,
            };
            first = last + 1;
            range
        })
        .collect()
}

fn formation(section: &schema::Cluster, checker: &mut Checker<'_, '_>) -> Formation {
    match &section.formation {
        None => Formation::Formed,
        Some(word) => checker.word(
            word,
            "formation",
            &[("formed", Formation::Formed), ("meet", Formation::Meet)],
        ),
    }
}

pub(super) fn zones(section: &schema::Cluster, checker: &mut Checker<'_, '_>) -> Vec<String> {
    let Some(written) = &section.zones else {
        return vec!["a".to_owned()];
    };
    let mut zones: Vec<String> = Vec::new();
    for zone in &written.value {
        let name = zone.value.trim();
        let problem = if name.is_empty() || name.contains([',', ':']) {
            Some("a zone's name is not empty and has no comma or colon")
        } else if zones.iter().any(|known| known == name) {
            Some("named twice")
        } else {
            None
        };
        match problem {
            Some(label) => {
                checker.add(Draft::error(
                    format!("`{name}` cannot be the name of this zone"),
                    zone.span,
                    label,
                ));
                checker.cluster_is_wrong = true;
            }
            None => zones.push(name.to_owned()),
        }
    }
    if written.value.is_empty() {
        checker.add(
            Draft::error("a cluster without zones", written.span, "no zone in it")
                .help("leave `zones` out for a cluster in one place"),
        );
        checker.cluster_is_wrong = true;
    }
    if zones.is_empty() {
        zones.push("a".to_owned());
    }
    zones
}

/// Masters `m1`, `m2`, ... over the zones in turn; their replicas `r1`, `r2`, ... (`r1a`, `r1b`
/// when there are more than one each) in the zones after their master's.
fn laid_out(
    section: &schema::Cluster,
    zone_count: usize,
    checker: &mut Checker<'_, '_>,
) -> Vec<NodeSpec> {
    let masters = section.masters.as_ref().map_or(3, |masters| masters.value);
    let replicas = (section.replicas_per_master.as_ref()).map_or(1, |replicas| replicas.value);
    let first_port = (section.first_port.as_ref()).map_or(FIRST_PORT, |port| port.value);
    if let Some(written) = &section.masters
        && !(1..=SLOT_COUNT as u64).contains(&written.value)
    {
        checker.cluster_is_wrong = true;
        let message = match written.value {
            0 => "a cluster without masters".to_owned(),
            count => format!("{count} masters: there are only {SLOT_COUNT} slots"),
        };
        checker.add(
            Draft::error(message, written.span, "expected 1 to 16384")
                .help("a cluster that survives a failure has at least 3 masters"),
        );
        return Vec::new();
    }
    if let Some(written) = &section.replicas_per_master
        && written.value > MAX_REPLICAS_PER_MASTER
    {
        checker.cluster_is_wrong = true;
        checker.add(Draft::error(
            "too many replicas for a master",
            written.span,
            format!("at most {MAX_REPLICAS_PER_MASTER}"),
        ));
        return Vec::new();
    }
    let count = masters * (1 + replicas);
    if first_port == 0 || first_port + count - 1 > LAST_PORT {
        checker.cluster_is_wrong = true;
        let span = (section.first_port.as_ref().map(|port| port.span))
            .or(section.masters.as_ref().map(|masters| masters.span));
        if let Some(span) = span {
            checker.add(Draft::error(
                format!("{count} nodes from port {first_port} on do not fit"),
                span,
                format!("client ports go from 1 to {LAST_PORT}: the bus is 10000 above"),
            ));
        }
        return Vec::new();
    }
    node_specs(
        masters as usize,
        replicas as usize,
        zone_count,
        first_port as u16,
    )
}

fn node_specs(masters: usize, replicas: usize, zones: usize, first_port: u16) -> Vec<NodeSpec> {
    let slots = even_slots(masters);
    let spec = |place: usize, name: String, zone: usize, replica_of, slots| NodeSpec {
        name,
        id: None,
        ip: None,
        port: first_port + place as u16,
        zone,
        replica_of,
        slots,
        config_epoch: place as u64 + 1,
        config: None,
    };
    let mut nodes: Vec<NodeSpec> = (slots.iter().enumerate())
        .map(|(master, range)| {
            let name = format!("m{}", master + 1);
            spec(master, name, master % zones, None, vec![*range])
        })
        .collect();
    for round in 0..replicas {
        for master in 0..masters {
            let letter = match replicas {
                1 => String::new(),
                _ => char::from(b'a' + round as u8).to_string(),
            };
            let name = format!("r{}{letter}", master + 1);
            let zone = (master + replica_step(round, zones)) % zones;
            nodes.push(spec(nodes.len(), name, zone, Some(master), Vec::new()));
        }
    }
    nodes
}

/// How many zones after its master's a replica stands; never the same zone if there is another.
fn replica_step(round: usize, zones: usize) -> usize {
    match zones {
        0 | 1 => 0,
        _ => 1 + round % (zones - 1),
    }
}

/// Says what the loss of one zone would do.
fn warn_of_weak_zones(
    cluster: &Cluster,
    written: &Spanned<Vec<Spanned<String>>>,
    checker: &mut Checker<'_, '_>,
) {
    if cluster.zones.len() < 2 || cluster.nodes.is_empty() || checker.cluster_is_wrong {
        return;
    }
    let masters = (cluster.nodes.iter()).filter(|node| !node.slots.is_empty());
    let voters = masters.clone().count();
    for (zone, written) in written.value.iter().enumerate() {
        if !cluster.nodes.iter().any(|node| node.zone == zone) {
            checker.add(Draft::warning(
                format!("no node stands in zone {}", written.value),
                written.span,
                "an empty zone",
            ));
        }
        let inside = masters.clone().filter(|master| master.zone == zone).count();
        if voters - inside < voters / 2 + 1 {
            checker.add(
                Draft::warning(
                    format!(
                        "zone {} holds {inside} of {voters} masters: without it nobody is elected",
                        written.value
                    ),
                    written.span,
                    "no majority outside this zone",
                )
                .help("three zones with as many masters each survive the loss of one"),
            );
        }
    }
    for node in &cluster.nodes {
        if let Some(master) = node.replica_of.and_then(|place| cluster.nodes.get(place))
            && master.zone == node.zone
        {
            checker.add(Draft::warning(
                format!(
                    "{} shares a zone with its master {}",
                    node.name, master.name
                ),
                written.span,
                "the loss of that zone takes both",
            ));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn slots_are_shared_out_as_redis_cli_does() {
        let text = |masters| {
            let ranges = even_slots(masters);
            ranges
                .iter()
                .map(ToString::to_string)
                .collect::<Vec<_>>()
                .join(" ")
        };
        assert_eq!(text(3), "0-5460 5461-10922 10923-16383");
        assert_eq!(text(1), "0-16383");
        assert_eq!(text(5), "0-3276 3277-6553 6554-9829 9830-13106 13107-16383");
        for masters in 1..200 {
            let owned: usize = (even_slots(masters).iter())
                .map(|range| usize::from(range.last - range.first) + 1)
                .sum();
            assert_eq!(owned, SLOT_COUNT, "{masters}");
        }
    }

    #[test]
    fn a_replica_never_stands_in_its_masters_zone_if_there_is_another() {
        for zones in 2..5 {
            for replicas in 0..4 {
                let nodes = node_specs(5, replicas, zones, 7000);
                for node in &nodes {
                    let master = node.replica_of.map(|place| &nodes[place]);
                    assert!(master.is_none_or(|master| master.zone != node.zone));
                }
            }
        }
    }

    #[test]
    fn three_zones_are_filled_as_in_the_architecture_of_the_manual() {
        let nodes = node_specs(3, 1, 3, 7000);
        let placed: Vec<(&str, usize)> = (nodes.iter())
            .map(|node| (node.name.as_str(), node.zone))
            .collect();
        assert_eq!(
            placed,
            [
                ("m1", 0),
                ("m2", 1),
                ("m3", 2),
                ("r1", 1),
                ("r2", 2),
                ("r3", 0)
            ]
        );
        assert_eq!(nodes[5].port, 7005);
    }
}
