//! `[workload]`: the clients and what they do.

use redrill_sim::scenario::{ClientSpec, Cluster, Keys, Workload};

use super::Checker;
use crate::drill::mistake::Draft;
use crate::drill::schema;
use crate::drill::source::Spanned;
use crate::drill::suggest::did_you_mean;
use crate::drill::units::{MILLISECOND_US, Rate};

/// Bytes that make every value unique.
const MIN_VALUE_BYTES: usize = 24;

const VALUE_BYTES: usize = 32;

/// Greatest value, 512 MB in Redis; a simulation has no use for more than this.
const MAX_VALUE_BYTES: u64 = 1 << 20;

const KEYS: Keys = Keys::Uniform { count: 10_000 };

const WRITES: f64 = 0.5;

const RATE: Rate = Rate { per_s: 100.0 };

const TIMEOUT_US: u64 = 500 * MILLISECOND_US;

/// More clients than this are a slip of the pen.
const MAX_CLIENTS: u64 = 10_000;

pub(super) fn workload(
    written: Option<&Spanned<schema::Workload>>,
    cluster: &Cluster,
    checker: &mut Checker<'_, '_>,
) -> Workload {
    let default = schema::Workload::default();
    let section = written.map_or(&default, |section| &section.value);
    let mut clients = Vec::new();
    match &section.clients {
        None => add_group(&schema::Clients::default(), cluster, &mut clients, checker),
        Some(groups) => {
            for group in &groups.value.0 {
                add_group(&group.value, cluster, &mut clients, checker);
            }
        }
    }
    Workload {
        clients,
        keys: section.keys.as_ref().map_or(KEYS, |keys| keys.value),
        writes: section
            .writes
            .as_ref()
            .map_or(WRITES, |share| share.value.0),
        read_from_replicas: (section.read_from_replicas.as_ref()).is_some_and(|flag| flag.value),
        value_bytes: value_bytes(section, checker),
    }
}

fn value_bytes(section: &schema::Workload, checker: &mut Checker<'_, '_>) -> usize {
    let Some(size) = &section.value_size else {
        return VALUE_BYTES;
    };
    if !(MIN_VALUE_BYTES as u64..=MAX_VALUE_BYTES).contains(&size.value.bytes) {
        checker.add(
            Draft::error(
                "an impossible size of values",
                size.span,
                format!("expected {MIN_VALUE_BYTES} to {MAX_VALUE_BYTES} bytes"),
            )
            .help("every value carries what makes it unique"),
        );
    }
    size.value.bytes as usize
}

/// Where a client stands, and whose slots it keeps to.
type Post = (usize, Option<usize>);

fn add_group(
    group: &schema::Clients,
    cluster: &Cluster,
    clients: &mut Vec<ClientSpec>,
    checker: &mut Checker<'_, '_>,
) {
    let posts = posts(group, cluster, checker);
    let rate = group.rate.as_ref().map_or(RATE, |rate| rate.value);
    if let Some(written) = &group.rate
        && written.value.per_s <= 0.0
    {
        checker.add(
            Draft::error(
                "a client that does nothing",
                written.span,
                "expected more than zero",
            )
            .help("for no load at all, write clients = { count = 0 }"),
        );
    }
    for (written, key) in [(&group.timeout, "timeout"), (&group.hedge, "hedge")] {
        if let Some(written) = written
            && written.value.us == 0
        {
            checker.add(Draft::error(
                format!("an impossible time: a {key} of nothing"),
                written.span,
                "expected more than zero",
            ));
        }
    }
    let is_lone = posts.len() == 1;
    for (place, (zone, only_slots_of)) in posts.into_iter().enumerate() {
        let name = match &group.name {
            Some(name) if is_lone => name.value.clone(),
            Some(name) => format!("{}{}", name.value, place + 1),
            None => free_name(cluster, clients),
        };
        report_taken_name(&name, group, cluster, clients, checker);
        clients.push(ClientSpec {
            name,
            zone,
            rate_per_s: rate.per_s,
            timeout_us: group.timeout.as_ref().map_or(TIMEOUT_US, |it| it.value.us),
            hedge_us: group.hedge.as_ref().map(|hedge| hedge.value.us),
            only_slots_of,
            sticky: group.sticky.as_ref().is_some_and(|flag| flag.value),
        });
    }
}

fn free_name(cluster: &Cluster, clients: &[ClientSpec]) -> String {
    let is_free = |name: &String| !is_taken(name, cluster, clients);
    let names = (clients.len() + 1..).map(|number| format!("c{number}"));
    { names }.find(is_free).unwrap_or_default()
}

fn is_taken(name: &str, cluster: &Cluster, clients: &[ClientSpec]) -> bool {
    cluster.nodes.iter().any(|node| node.name == name)
        || clients.iter().any(|client| client.name == name)
}

/// One post a client of the group.
fn posts(group: &schema::Clients, cluster: &Cluster, checker: &mut Checker<'_, '_>) -> Vec<Post> {
    let zone = group
        .zone
        .as_ref()
        .map(|zone| zone_index(zone, cluster, checker));
    let zones = 0..cluster.zones.len();
    let counts = [&group.count, &group.per_zone, &group.per_master];
    let mut given = counts.iter().filter_map(|count| count.as_ref());
    if let (Some(first), Some(second)) = (given.next(), given.next()) {
        checker.add(
            Draft::error(
                "`count`, `per-zone` and `per-master` exclude each other",
                second.span,
                "the second",
            )
            .also(first.span, "the first"),
        );
        return Vec::new();
    }
    if let Some(count) = counts.iter().find_map(|count| count.as_ref())
        && count.value > MAX_CLIENTS
    {
        checker.add(Draft::error(
            "too many clients",
            count.span,
            format!("at most {MAX_CLIENTS}"),
        ));
        return Vec::new();
    }
    if let (Some(zone), Some(per_zone)) = (&group.zone, &group.per_zone) {
        checker.add(
            Draft::error(
                "`zone` and `per-zone` exclude each other",
                zone.span,
                "one zone",
            )
            .also(per_zone.span, "every zone")
            .help("use `count` for clients in one zone"),
        );
    }
    let slots_of = slots_of(group, cluster, checker);
    if let Some(count) = &group.count {
        // Without a zone of their own, clients go round the zones.
        let spread = |number: usize| zone.unwrap_or(number % cluster.zones.len().max(1));
        return (0..count.value as usize)
            .map(|number| (spread(number), slots_of))
            .collect();
    }
    if let Some(per_master) = &group.per_master {
        let masters = cluster.nodes.iter().enumerate();
        return masters
            .filter(|(_, node)| node.replica_of.is_none() && !node.slots.is_empty())
            .flat_map(|(place, node)| {
                let post = (zone.unwrap_or(node.zone), Some(place));
                std::iter::repeat_n(post, per_master.value as usize)
            })
            .collect();
    }
    let per_zone = group
        .per_zone
        .as_ref()
        .map_or(1, |count| count.value as usize);
    match zone {
        Some(zone) => vec![(zone, None); per_zone],
        None => zones
            .flat_map(|zone| vec![(zone, None); per_zone])
            .collect(),
    }
}

/// The master whose slots the clients keep to.
fn slots_of(
    group: &schema::Clients,
    cluster: &Cluster,
    checker: &mut Checker<'_, '_>,
) -> Option<usize> {
    let written = group.slots_of.as_ref()?;
    if let Some(per_master) = &group.per_master {
        checker.add(
            Draft::error(
                "`slots-of` and `per-master` exclude each other",
                written.span,
                "one master",
            )
            .also(per_master.span, "every master"),
        );
    }
    let masters = (cluster.nodes.iter().enumerate()).filter(|(_, node)| !node.slots.is_empty());
    let found = masters.clone().find(|(_, node)| node.name == written.value);
    if found.is_none() && !checker.cluster_is_wrong {
        let names = masters.map(|(_, node)| node.name.as_str());
        checker.add(
            Draft::error(
                format!("no master with slots is called `{}`", written.value),
                written.span,
                "whose slots?",
            )
            .help_if(did_you_mean(&written.value, names)),
        );
    }
    found.map(|(place, _)| place)
}

fn zone_index(zone: &Spanned<String>, cluster: &Cluster, checker: &mut Checker<'_, '_>) -> usize {
    let found = cluster.zones.iter().position(|known| *known == zone.value);
    if found.is_none() && !checker.cluster_is_wrong {
        let help = did_you_mean(&zone.value, cluster.zones.iter().map(String::as_str));
        checker.add(
            Draft::error(
                format!("there is no zone `{}`", zone.value),
                zone.span,
                "nowhere to put the clients",
            )
            .help_if(help),
        );
    }
    found.unwrap_or(0)
}

fn report_taken_name(
    name: &str,
    group: &schema::Clients,
    cluster: &Cluster,
    clients: &[ClientSpec],
    checker: &mut Checker<'_, '_>,
) {
    let Some(written) = &group.name else {
        return;
    };
    let taken = is_taken(name, cluster, clients);
    if taken || name.is_empty() || name.contains([':', ',']) {
        checker.add(Draft::error(
            format!("`{name}` cannot be the name of a client"),
            written.span,
            if taken {
                "already the name of another"
            } else {
                "a name has no colon or comma"
            },
        ));
    }
}
