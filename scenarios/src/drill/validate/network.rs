//! `[network]` and `[disk]`.

use std::collections::BTreeMap;

use redrill_sim::scenario::{Cluster, Disk, Latency, Network};

use super::Checker;
use crate::drill::mistake::Draft;
use crate::drill::schema;
use crate::drill::source::Spanned;
use crate::drill::suggest::did_you_mean;
use crate::drill::units::Size;

/// TCP segment on an Ethernet of 1500 bytes.
const ETHERNET_MSS_BYTES: u32 = 1448;

const WITHIN_ZONE: Latency = Latency::Normal {
    mean_us: 250.0,
    deviation_us: 50.0,
};

const BETWEEN_ZONES: Latency = Latency::Lognormal {
    p50_us: 1000.0,
    p99_us: 6000.0,
};

/// A solid-state disk.
const FSYNC: Latency = Latency::Lognormal {
    p50_us: 500.0,
    p99_us: 4000.0,
};

pub(super) fn network(
    written: Option<&Spanned<schema::Network>>,
    cluster: &Cluster,
    checker: &mut Checker<'_, '_>,
) -> Network {
    let default = schema::Network::default();
    let section = written.map_or(&default, |section| &section.value);
    let mss_bytes = segment_bytes(section.mss.as_ref(), ETHERNET_MSS_BYTES, checker);
    Network {
        within_zone: (section.within_zone.as_ref()).map_or(WITHIN_ZONE, |latency| latency.value),
        between_zones: (section.between_zones.as_ref())
            .map_or(BETWEEN_ZONES, |latency| latency.value),
        pairs: pairs(section, cluster, checker),
        mss_bytes,
        mss_between_zones_bytes: segment_bytes(
            section.mss_between_zones.as_ref(),
            mss_bytes,
            checker,
        ),
        bandwidth_bytes_per_s: (section.bandwidth.as_ref())
            .map(|bandwidth| bandwidth.value.bytes_per_s),
    }
}

fn segment_bytes(
    written: Option<&Spanned<Size>>,
    usual_bytes: u32,
    checker: &mut Checker<'_, '_>,
) -> u32 {
    match written {
        None => usual_bytes,
        Some(size) if (64..=65_535).contains(&size.value.bytes) => size.value.bytes as u32,
        Some(size) => {
            checker.add(
                Draft::error(
                    "an impossible TCP segment",
                    size.span,
                    "expected 64 to 65535 bytes",
                )
                .help("1448 on Ethernet, 65483 on loopback"),
            );
            usual_bytes
        }
    }
}

pub(super) fn disk(written: Option<&Spanned<schema::Disk>>) -> Disk {
    let fsync = written.and_then(|section| section.value.fsync.as_ref());
    Disk {
        fsync: fsync.map_or(FSYNC, |latency| latency.value),
    }
}

fn pairs(
    section: &schema::Network,
    cluster: &Cluster,
    checker: &mut Checker<'_, '_>,
) -> BTreeMap<(usize, usize), Latency> {
    let mut pairs = BTreeMap::new();
    let links = section.links.as_ref().map_or(&[][..], |links| &links.value);
    for link in links {
        let Some(between) = &link.value.between else {
            checker.add_missing("between", &link.value.unreadable, |key| {
                Draft::error("a link between nothing", link.span, format!("no `{key}`"))
                    .help("add between = [\"a\", \"b\"]")
            });
            continue;
        };
        let Some(latency) = &link.value.latency else {
            checker.add_missing("latency", &link.value.unreadable, |key| {
                Draft::error("a link without a latency", link.span, format!("no `{key}`"))
                    .help("add latency = \"2ms\"")
            });
            continue;
        };
        let zones: Vec<Option<usize>> = (between.value.0.iter())
            .map(|name| zone(name, cluster, checker))
            .collect();
        let pair = match &zones[..] {
            [Some(zone)] => (*zone, *zone),
            [Some(left), Some(right)] => (*left.min(right), *left.max(right)),
            [_] | [_, _] => continue,
            _ => {
                checker.add(
                    Draft::error(
                        "a link joins two zones",
                        between.span,
                        format!("{} here", zones.len()),
                    )
                    .help("name one zone for the links inside it"),
                );
                continue;
            }
        };
        if pairs.insert(pair, latency.value).is_some() {
            checker.add(Draft::error(
                "the same link twice",
                between.span,
                "already given",
            ));
        }
    }
    pairs
}

pub(super) fn zone(
    name: &Spanned<String>,
    cluster: &Cluster,
    checker: &mut Checker<'_, '_>,
) -> Option<usize> {
    let text = name.value.trim();
    let text = text.strip_prefix("zone:").unwrap_or(text);
    let found = cluster.zones.iter().position(|zone| zone == text);
    if found.is_none() && !checker.cluster_is_wrong {
        let help = did_you_mean(text, cluster.zones.iter().map(String::as_str));
        checker.add(
            Draft::error(
                format!("there is no zone `{text}`"),
                name.span,
                "matches nothing",
            )
            .help_if(help),
        );
    }
    found
}
