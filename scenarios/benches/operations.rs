//! What an operation of a client costs: the same small drill in both worlds, with few operations
//! and with many. The ratios within one run tell; the times are this machine's.

#![allow(
    missing_docs,
    clippy::unwrap_used,
    reason = "a bench has no user and no caller"
)]

use divan::Bencher;
use redrill::sim::checkers::check;
use redrill::sim::{Run, WorldKind, run};
use redrill::{BenchDrill, Drill};

fn main() {
    divan::main();
}

/// Ten seconds of three masters with a replica each, and this many operations per second.
fn drill(rate_per_s: u32) -> Drill {
    let bench = BenchDrill {
        nodes: 6,
        rate_per_s,
        seconds: 10,
        node_timeout_ms: BenchDrill::usual_node_timeout_ms(6),
    };
    Drill::parse(&bench.text()).unwrap()
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
