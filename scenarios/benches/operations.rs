//! What an operation of a client costs: the same small drill in both worlds, with few operations
//! and with many. The ratios within one run tell; the times are this machine's.

#![allow(
    missing_docs,
    clippy::unwrap_used,
    reason = "a bench has no user and no caller"
)]

use divan::Bencher;
use redrill::Drill;
use redrill::sim::checkers::check;
use redrill::sim::{Run, WorldKind, run};

fn main() {
    divan::main();
}

/// Ten seconds of three masters with a replica each, and this many operations per second.
fn drill(rate_per_s: u32) -> Drill {
    let text = format!(
        r#"schema = 1
name = "operations"
duration = "10s"

[cluster]
masters = 3
replicas-per-master = 1

[workload]
clients = {{ count = 2, rate = "{}/s", timeout = "500ms" }}
keys = "uniform(10000)"

[[step]]
at = "2s"
crash = "m1"
restart-after = "4s"
"#,
        rate_per_s / 2
    );
    Drill::parse(&text).unwrap()
}

fn run_in(world: WorldKind, drill: &Drill) -> Run {
    run(drill.scenario(), 0, world).unwrap()
}

#[divan::bench(args = [2, 100, 1000], sample_count = 20)]
fn event_world(bencher: Bencher<'_, '_>, rate_per_s: u32) {
    let drill = drill(rate_per_s);
    bencher.bench(|| run_in(WorldKind::Event, &drill));
}

#[divan::bench(args = [100, 1000], sample_count = 2, sample_size = 1)]
fn turmoil_world(bencher: Bencher<'_, '_>, rate_per_s: u32) {
    let drill = drill(rate_per_s);
    bencher.bench(|| run_in(WorldKind::Turmoil, &drill));
}

#[divan::bench(args = [100, 1000], sample_count = 20)]
fn checks(bencher: Bencher<'_, '_>, rate_per_s: u32) {
    let run = run_in(WorldKind::Event, &drill(rate_per_s));
    bencher.bench(|| check(&run.trace));
}
