//! The two worlds held against each other: every drill of the library runs in both, and shows the
//! same facts in both. Times have their tolerance.
//!
//! `CONFORMANCE_SEEDS=100 cargo test --release -p redrill --test conformance -- --nocapture` shows
//! the table of `docs/worlds.md`, with so many runs of each drill in each world.

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::print_stdout,
    clippy::wildcard_enum_match_arm
)]

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;
use std::ops::Range;
use std::path::{Path, PathBuf};
use std::sync::Mutex;

use redrill::reports::measures::{Failover, FailoverHow};
use redrill::reports::statistics::{
    Interval, fisher_exact, kolmogorov_smirnov, median_interval, quantile, stratified_rank_sum,
};
use redrill::sim::WorldKind;
use redrill::sim::trace::{Event, NodeNumber, ProcessChange, Trace};
use redrill::{Drill, Ended};
use redrill_node::Fact;

/// Runs of each drill in the turmoil world, which takes ten times as long as the other.
const TURMOIL_SEEDS: u64 = 5;

/// Runs of each drill in the event world.
const EVENT_SEEDS: u64 = 12;

/// A test on all drills together rejects below this p-value.
const REJECTED_BELOW: f64 = 0.01;

/// One of the 55 tests on times rejects below this one: every change of what is drawn throws all of
/// them anew, and at 0.01 each second throw would find a difference that is none.
const TIMES_REJECTED_BELOW: f64 = 0.001;

/// How far the medians of a phase may lie apart, as a share, all drills together. Whatever happens
/// in the turmoil world happens at a whole millisecond, so that ticks lie 101 ms apart instead of
/// 100.9 and a message takes up to 1 ms longer: less than 1 %. What more a few runs show is chance as
/// long as the 95 % interval of the median reaches this far; with many runs it is short.
const MEDIANS_WITHIN: f64 = 0.05;

/// What is shorter than this is a matter of which tick came first: manual failovers begin with
/// whatever happens next on the replica, at the latest its cron.
const TICK_MS: f64 = 101.0;

/// What a run did, in words without times.
type Facts = BTreeSet<String>;

/// What the runs of a drill in a world showed.
#[derive(Default)]
struct Shown {
    runs: usize,
    /// How many runs have each fact.
    facts: BTreeMap<String, usize>,
    /// Whom the steps hit, by seed.
    hit: BTreeMap<u64, Vec<(u16, Vec<NodeNumber>)>>,
    /// Times of all failovers, ms after what caused them, by phase.
    phases: BTreeMap<&'static str, Vec<f64>>,
}

impl Shown {
    fn of(drill: &Drill, world: WorldKind, seeds: Range<u64>) -> Self {
        let shown = Mutex::new(Self::default());
        let drill = drill.clone().world(world).seeds(seeds);
        let outcome = drill.run_with(|run| shown.lock().unwrap().add(run));
        outcome.unwrap().assert_valid();
        let mut shown = shown.into_inner().unwrap();
        for times in shown.phases.values_mut() {
            times.sort_unstable_by(f64::total_cmp);
        }
        shown
    }

    fn add(&mut self, run: &Ended<'_>) {
        let trace = run.trace.unwrap();
        self.runs += 1;
        for fact in facts(run, trace) {
            *self.facts.entry(fact).or_default() += 1;
        }
        self.hit.insert(run.summary.seed, hit(trace));
        for failover in &run.summary.measures.as_ref().unwrap().failovers {
            for (phase, ms) in phases(failover) {
                self.phases.entry(phase).or_default().push(ms);
            }
        }
    }

    fn with(&self, fact: &str) -> (usize, usize) {
        (self.facts.get(fact).copied().unwrap_or_default(), self.runs)
    }
}

fn facts(run: &Ended<'_>, trace: &Trace) -> Facts {
    let mut facts = Facts::new();
    let measures = run.summary.measures.as_ref().unwrap();
    for failover in &measures.failovers {
        let Failover { node, promoted, .. } = failover;
        let by_whom = match (failover.how, failover.is_false) {
            (_, true) => "without need",
            (FailoverHow::Automatic, _) => "after a failure",
            (_, _) => "by an operator",
        };
        facts.insert(format!("{promoted} replaces {node} {by_whom}"));
    }
    facts.insert(format!("{} promotions", measures.failovers.len()));
    for step in &run.summary.steps_expected {
        let promotions = step.failovers.unwrap_or_default();
        facts.insert(format!("step {}: {promotions} promotions", step.step));
    }
    for broken in run.findings.unwrap().broken() {
        facts.insert(format!("{} broken", broken.name()));
    }
    facts.insert(format!("verdict {:?}", run.summary.verdict));
    if measures.lost_acked_writes > 0 {
        facts.insert("acknowledged writes lost".to_owned());
    }
    for cause in measures.lost_by_cause.keys() {
        facts.insert(format!("loss of cause {cause}"));
    }
    if measures.coverage_gap_ms > 0.0 {
        facts.insert("slots without a server for a while".to_owned());
    }
    if serves_all(trace) {
        facts.insert("every node that runs serves at the end".to_owned());
    }
    facts
}

/// Whether the cluster state was ok at the end, on every node whose process ran.
fn serves_all(trace: &Trace) -> bool {
    let mut ok = vec![false; trace.header.nodes.len()];
    let mut runs = vec![false; trace.header.nodes.len()];
    for record in &trace.records {
        match &record.event {
            Event::Node {
                node,
                fact: Fact::ClusterState { ok: is_ok, .. },
            } => {
                ok[usize::from(*node)] = *is_ok;
            }
            Event::Process { node, change } => match change {
                ProcessChange::Started => {
                    (runs[usize::from(*node)], ok[usize::from(*node)]) = (true, false);
                }
                ProcessChange::Crashed(_) => runs[usize::from(*node)] = false,
                ProcessChange::Stalled(_) | ProcessChange::Resumed => (),
            },
            _ => (),
        }
    }
    runs.iter().zip(ok).all(|(runs, ok)| !runs || ok)
}

fn hit(trace: &Trace) -> Vec<(u16, Vec<NodeNumber>)> {
    let began = trace
        .records
        .iter()
        .filter_map(|record| match &record.event {
            Event::FaultBegan { step, touched, .. } => Some((*step, touched.nodes.to_vec())),
            _ => None,
        });
    began.collect()
}

fn phases(failover: &Failover) -> Vec<(&'static str, f64)> {
    let phases = [
        ("PFAIL", failover.first_pfail_ms),
        ("FAIL", failover.fail_ms),
        ("election", failover.election_start_ms),
        ("won", Some(failover.won_ms)),
        ("write gap", failover.write_gap_ms),
    ];
    let known = |(phase, ms): (&'static str, Option<f64>)| Some((phase, ms?));
    phases.into_iter().filter_map(known).collect()
}

fn drills() -> Vec<PathBuf> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("drills");
    let entries = std::fs::read_dir(root).unwrap();
    let mut files: Vec<PathBuf> = entries.map(|entry| entry.unwrap().path()).collect();
    files.sort();
    assert!(files.len() >= 13, "{files:?}");
    files
}

/// Minutes of weather on a few hosts, and large clusters, take minutes a run in the turmoil world.
/// They are made of the same faults as the others.
fn is_left_out(drill: &Drill) -> bool {
    let scenario = drill.scenario();
    !scenario.weather.is_calm() || scenario.cluster.nodes.len() > 12
}

/// How facts are compared that happen in every run of the event world, or in none.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Certainty {
    /// They are taken for certain: a single run of the turmoil world that differs is worth a second
    /// look.
    Believed,
    /// What happens in 19 runs of 20 happens in each of a dozen as often as not: only what chance
    /// does not explain is a difference.
    Tested,
}

/// What differs between the worlds more than chance and their grain explain.
fn differences(event: &Shown, turmoil: &Shown, certainty: Certainty) -> Vec<String> {
    let mut differences = Vec::new();
    for (seed, hit) in &turmoil.hit {
        if event.hit.get(seed).is_some_and(|other| other != hit) {
            differences.push(format!(
                "seed {seed} hits {hit:?} and {:?}",
                event.hit[seed]
            ));
        }
    }
    let all: BTreeSet<&String> = event.facts.keys().chain(turmoil.facts.keys()).collect();
    for fact in all {
        let (one, other) = (event.with(fact), turmoil.with(fact));
        let is_certain = one.0 == 0 || one.0 == one.1;
        let same = match is_certain && certainty == Certainty::Believed {
            true => one.0 * other.1 == other.0 * one.1,
            false => fisher_exact(one, other) >= REJECTED_BELOW,
        };
        if !same {
            differences.push(format!("{fact}: {one:?} and {other:?} of all runs"));
        }
    }
    for (phase, times) in &event.phases {
        let others = turmoil.phases.get(phase).map_or(&[][..], Vec::as_slice);
        let (Some(one), Some(other)) = (quantile(times, 0.5), quantile(others, 0.5)) else {
            differences.push(format!("{phase}: only in one of the worlds"));
            continue;
        };
        let p_value = kolmogorov_smirnov(&alone(times), &alone(others)).unwrap();
        let is_apart = (one - other).abs() > TICK_MS;
        if is_apart && p_value < TIMES_REJECTED_BELOW {
            differences.push(format!("{phase}: {one:.0} ms and {other:.0} ms"));
        }
    }
    differences
}

/// A phase of all drills together.
#[derive(Default)]
struct Pooled {
    /// The times of the turmoil world and of the event world, by drill.
    drills: Vec<(Vec<f64>, Vec<f64>)>,
    /// Each time of the turmoil world by the median of the event world.
    ratios: Vec<f64>,
}

impl Pooled {
    /// Adds a drill; both ascending.
    fn add(&mut self, event: &[f64], turmoil: &[f64]) {
        let median = quantile(event, 0.5).unwrap();
        self.ratios.extend(turmoil.iter().map(|ms| ms / median));
        self.drills.push((turmoil.to_vec(), event.to_vec()));
    }

    /// How much later the median of the turmoil world is, as a share, with its interval, and the
    /// p-value of neither world being the later one, drill by drill.
    fn judged(&mut self) -> (f64, Interval, f64) {
        self.ratios.sort_unstable_by(f64::total_cmp);
        let p_value = stratified_rank_sum(&self.drills).unwrap();
        let Interval { low, high } = median_interval(&alone(&self.ratios)).unwrap();
        let interval = Interval {
            low: low - 1.0,
            high: high - 1.0,
        };
        (
            quantile(&self.ratios, 0.5).unwrap() - 1.0,
            interval,
            p_value,
        )
    }
}

fn alone(times: &[f64]) -> Vec<Vec<f64>> {
    times.iter().map(|ms| vec![*ms]).collect()
}

/// The seeds of a drill. No two drills share any: what one seed makes of two drills is alike, and
/// would count twice.
fn seeds(first: u64, usual: u64) -> Range<u64> {
    let wanted = std::env::var("CONFORMANCE_SEEDS").ok();
    first..first + wanted.map_or(usual, |seeds| seeds.parse().unwrap())
}

#[test]
fn both_worlds_show_the_same_facts() {
    let (differences, table) = compare(0, 1, Certainty::Believed);
    println!("{table}");
    if differences.is_empty() {
        return;
    }
    // With so many tests one is wrong now and then. What differs does so again, in more and other
    // runs.
    let (again, table) = compare(500, 2, Certainty::Tested);
    println!("{table}");
    assert!(
        again.is_empty(),
        "event and turmoil differ:\n{differences:#?}\nand again:\n{again:#?}\n{table}"
    );
}

/// What differs between the worlds, and the table of all times. The seeds begin at this one of each
/// drill's, and there are so many times the usual number.
fn compare(skipped: u64, times_usual: u64, certainty: Certainty) -> (Vec<String>, String) {
    let mut table =
        "| drill | phase | event | turmoil | | KS p |\n|---|---|---|---|---|---|\n".to_owned();
    let mut all = Vec::new();
    let mut pooled: BTreeMap<&str, Pooled> = BTreeMap::new();
    for (first, path) in (skipped..).step_by(1000).zip(drills()) {
        let drill = Drill::from_file(&path).unwrap_or_else(|bad| panic!("{bad}"));
        if is_left_out(&drill) {
            continue;
        }
        let name = drill.scenario().name.clone();
        let shown = |world, usual: u64| Shown::of(&drill, world, seeds(first, usual * times_usual));
        let event = shown(WorldKind::Event, EVENT_SEEDS);
        let turmoil = shown(WorldKind::Turmoil, TURMOIL_SEEDS);
        for difference in differences(&event, &turmoil, certainty) {
            all.push(format!("{name}: {difference}"));
        }
        for (phase, times) in &event.phases {
            let Some(others) = turmoil.phases.get(phase) else {
                continue;
            };
            row(&mut table, &name, phase, times, others);
            if quantile(times, 0.5) > Some(TICK_MS) {
                pooled.entry(phase).or_default().add(times, others);
            }
        }
    }
    for (phase, mut times) in pooled {
        let (later, interval, p_value) = times.judged();
        let (count, percent) = (times.ratios.len(), 100.0 * later);
        let _ = writeln!(
            table,
            "| all | {phase} | | {count} | {percent:+.1} % | {p_value:.3} |"
        );
        let apart = interval.low > MEDIANS_WITHIN || interval.high < -MEDIANS_WITHIN;
        if p_value < TIMES_REJECTED_BELOW || apart {
            all.push(format!("{phase}: {percent:+.1} %, p = {p_value:.4}"));
        }
    }
    (all, table)
}

/// A phase of a drill in both worlds.
fn row(table: &mut String, drill: &str, phase: &str, event: &[f64], turmoil: &[f64]) {
    let p_value = kolmogorov_smirnov(&alone(event), &alone(turmoil)).unwrap();
    let (one, other) = (
        quantile(event, 0.5).unwrap(),
        quantile(turmoil, 0.5).unwrap(),
    );
    let apart = if one > 0.0 {
        100.0 * (other / one - 1.0)
    } else {
        0.0
    };
    let _ = writeln!(
        table,
        "| {drill} | {phase} | {one:.0} | {other:.0} | {apart:+.1} % | {p_value:.3} |"
    );
}
