//! The client strip: what clients saw, in buckets of time.

use redrill_sim::checkers::Ledger;
use redrill_sim::trace::{Event, Operation, Outcome, Trace};

use super::Span;
use crate::statistics::quantile;

/// Buckets are chosen so that a run has at most this many.
const MOST_BUCKETS: u64 = 2000;

/// Widths of buckets that read well, microseconds.
const WIDTHS_US: [u64; 12] = [
    10_000, 20_000, 50_000, 100_000, 200_000, 500_000, 1_000_000, 2_000_000, 5_000_000, 10_000_000,
    30_000_000, 60_000_000,
];

/// What clients saw, over time. Operations are counted where they ended.
#[derive(Clone, PartialEq, Debug)]
pub struct ClientStrip {
    /// Width of a bucket.
    pub bucket_us: u64,
    /// All clients together; the bucket with index `i` begins at `i * bucket_us`.
    pub all: Vec<Bucket>,
    /// The clients of each zone that has any: the zone's index in the header, and its buckets.
    pub zones: Vec<(usize, Vec<Bucket>)>,
    /// Operations that were acknowledged.
    pub ok: u64,
    /// Operations that failed.
    pub failed: u64,
}

/// What clients saw in a short time.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Bucket {
    /// Operations acknowledged.
    pub ok: u32,
    /// Of them, writes that the audit did not find.
    pub lost: u32,
    /// Operations that failed, by how.
    pub failed: Failures,
    /// Median latency of what was acknowledged, microseconds.
    pub p50_us: u64,
    /// 99th percentile of it.
    pub p99_us: u64,
    /// Longest of it.
    pub max_us: u64,
}

/// Operations that failed, by how.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Failures {
    /// No answer in time.
    pub timeout: u32,
    /// No node could be reached.
    pub unreachable: u32,
    /// The connection broke.
    pub lost: u32,
    /// `-CLUSTERDOWN`
    pub cluster_down: u32,
    /// Redirected too often.
    pub redirects: u32,
    /// Another error.
    pub error: u32,
}

impl Failures {
    /// How many in all.
    #[must_use]
    pub const fn total(&self) -> u32 {
        self.timeout
            + self.unreachable
            + self.lost
            + self.cluster_down
            + self.redirects
            + self.error
    }

    /// Each kind with its name, those that did not happen too.
    #[must_use]
    pub const fn by_kind(&self) -> [(&'static str, u32); 6] {
        [
            ("timeout", self.timeout),
            ("unreachable", self.unreachable),
            ("connection lost", self.lost),
            ("CLUSTERDOWN", self.cluster_down),
            ("too many redirects", self.redirects),
            ("error", self.error),
        ]
    }
}

/// The client strip of a run.
pub(super) fn strip(trace: &Trace, run: Span, ledger: &Ledger) -> ClientStrip {
    let bucket_us = WIDTHS_US
        .into_iter()
        .find(|width| run.to_us / width < MOST_BUCKETS)
        .unwrap_or(run.to_us / MOST_BUCKETS + 1);
    let count = usize::try_from(run.to_us / bucket_us + 1).unwrap_or(0);

    let mut all = Filling::new(count);
    let mut zones: Vec<Option<Filling>> = vec![None; trace.header.zones.len()];
    for client in &trace.header.clients {
        if let Some(zone) = zones.get_mut(client.zone) {
            zone.get_or_insert_with(|| Filling::new(count));
        }
    }
    for record in &trace.records {
        let Event::Operation(operation) = &record.event else {
            continue;
        };
        let index = usize::try_from(record.at_us / bucket_us).unwrap_or(usize::MAX);
        all.add(index, record.at_us, operation);
        let zone = trace.header.clients.get(usize::from(operation.client));
        if let Some(Some(filling)) = zone.and_then(|client| zones.get_mut(client.zone)) {
            filling.add(index, record.at_us, operation);
        }
    }
    let mut all = all.finish();
    for lost in &ledger.lost {
        let index = usize::try_from(lost.acknowledged_us / bucket_us).unwrap_or(usize::MAX);
        if let Some(bucket) = all.get_mut(index) {
            bucket.lost += 1;
        }
    }
    ClientStrip {
        bucket_us,
        ok: all.iter().map(|bucket| u64::from(bucket.ok)).sum(),
        failed: all
            .iter()
            .map(|bucket| u64::from(bucket.failed.total()))
            .sum(),
        all,
        zones: zones
            .into_iter()
            .enumerate()
            .filter_map(|(zone, filling)| Some((zone, filling?.finish())))
            .collect(),
    }
}

/// Buckets while they fill.
#[derive(Clone)]
struct Filling {
    buckets: Vec<Bucket>,
    latencies_us: Vec<Vec<u64>>,
}

impl Filling {
    fn new(count: usize) -> Self {
        Self {
            buckets: vec![Bucket::default(); count],
            latencies_us: vec![Vec::new(); count],
        }
    }

    fn add(&mut self, index: usize, at_us: u64, operation: &Operation) {
        let Some(bucket) = self.buckets.get_mut(index) else {
            return;
        };
        let failed = &mut bucket.failed;
        let counter = match operation.outcome {
            Outcome::Ok => {
                self.latencies_us[index].push(at_us.saturating_sub(operation.issued_us));
                &mut bucket.ok
            }
            Outcome::Timeout => &mut failed.timeout,
            Outcome::Unreachable => &mut failed.unreachable,
            Outcome::Lost => &mut failed.lost,
            Outcome::ClusterDown => &mut failed.cluster_down,
            Outcome::TooManyRedirects => &mut failed.redirects,
            Outcome::Error => &mut failed.error,
        };
        *counter += 1;
    }

    fn finish(mut self) -> Vec<Bucket> {
        for (bucket, latencies_us) in self.buckets.iter_mut().zip(&mut self.latencies_us) {
            latencies_us.sort_unstable();
            let sorted: Vec<f64> = latencies_us.iter().map(|us| *us as f64).collect();
            let at = |share: f64| quantile(&sorted, share).unwrap_or_default().round() as u64;
            (bucket.p50_us, bucket.p99_us, bucket.max_us) = (at(0.5), at(0.99), at(1.0));
        }
        self.buckets
    }
}
