//! The experiments that were made on real servers, as drills.

use std::fmt::Write as _;
use std::ops::Range;

use redrill_node::SLOT_COUNT;
use redrill_reports::calibration::measured::{Cell, Experiment, Fault};
use redrill_reports::calibration::simulated::{Cast, trial};
use redrill_reports::calibration::{Comparison, Trial};

use crate::{BadDrill, Drill, NothingRan};

/// Why a measured cell was not simulated.
#[derive(Debug, thiserror::Error)]
pub enum NotSimulated {
    /// The drill of the experiment is not fine: the experiment has values that no drill may have.
    #[error("the drill of {cell} is not fine:\n{mistakes}")]
    Drill {
        /// The cell.
        cell: String,
        /// What is wrong.
        mistakes: BadDrill,
    },
    /// Nothing ran.
    #[error("{cell}: {why}")]
    NothingRan {
        /// The cell.
        cell: String,
        /// Why.
        why: NothingRan,
    },
    /// A run went wrong.
    #[error("{cell}, seed {seed}: {why}")]
    Run {
        /// The cell.
        cell: String,
        /// The seed.
        seed: u64,
        /// Why.
        why: String,
    },
}

/// Simulates a measured cell with these seeds on so many threads and lays both beside each other.
///
/// # Errors
/// [`NotSimulated`] if the experiment makes no drill, or a run breaks an invariant or comes to no
/// end.
pub fn compare(cell: &Cell, seeds: Range<u64>, jobs: usize) -> Result<Comparison, NotSimulated> {
    let simulated = simulate(cell, seeds, jobs)?;
    Ok(Comparison::of(&cell.name, &cell.trials, &simulated))
}

fn simulate(cell: &Cell, seeds: Range<u64>, jobs: usize) -> Result<Vec<Trial>, NotSimulated> {
    let drill = Drill::parse(&drill_text(cell)).map_err(|mistakes| NotSimulated::Drill {
        cell: cell.name.clone(),
        mistakes,
    })?;
    let cast = cast(&cell.experiment);
    let ended = std::sync::Mutex::new(std::collections::BTreeMap::new());
    let outcome = drill.seeds(seeds).jobs(jobs).run_with(|run| {
        let shown = run.trace.zip(run.findings).and_then(|(trace, findings)| {
            let lost = findings.ledger.lost.len() as u64;
            trial(trace, &cast, lost)
        });
        let mut ended = (ended.lock()).unwrap_or_else(std::sync::PoisonError::into_inner);
        ended.insert(run.summary.seed, shown);
    });
    let outcome = outcome.map_err(|why| NotSimulated::NothingRan {
        cell: cell.name.clone(),
        why,
    })?;
    if let Some(failure) = outcome.failures().first() {
        return Err(NotSimulated::Run {
            cell: cell.name.clone(),
            seed: failure.seed.unwrap_or_default(),
            why: failure.words.clone(),
        });
    }
    let ended = (ended.into_inner()).unwrap_or_else(std::sync::PoisonError::into_inner);
    let trials = ended.into_iter().map(|(seed, shown)| {
        shown.ok_or_else(|| NotSimulated::Run {
            cell: cell.name.clone(),
            seed,
            why: "the fault touched nothing".to_owned(),
        })
    });
    trials.collect()
}

/// The writers come first, a master each.
fn cast(experiment: &Experiment) -> Cast {
    let masters = experiment.masters as u16;
    let is_partition = experiment.fault == Fault::Partition;
    Cast {
        hit: is_partition.then(|| vec![0]),
        writers: (0..masters).collect(),
        minority: is_partition.then_some(masters),
    }
}

/// The load runs this long before a fault, and up to half a node-timeout and a second longer: any
/// phase of the pings.
const WARM_UP_MS: f64 = 3000.0;

/// The nodes were started one after the other as fast as a process is made: in their logs, the ticks
/// of one node come 4 to 5 ms after those of the node before it.
const STARTS_APART_MS: u64 = 5;

/// The client port of the first node, where it has to be written down.
const FIRST_PORT: u16 = 7000;

/// The drill that is equal to an experiment.
#[must_use]
pub fn drill_text(cell: &Cell) -> String {
    let experiment = &cell.experiment;
    let timeout_ms = f64::from(experiment.node_timeout_ms);
    let jitter_ms = timeout_ms / 2.0 + 1000.0;
    let holds_ms = experiment.stall_ms().unwrap_or(2.5 * timeout_ms + 2000.0);
    // A failover may begin at the very end of a stall.
    let after_ms = match experiment.stall_ms() {
        Some(_) => timeout_ms + 2500.0,
        None => 1000.0,
    };
    let duration_ms = WARM_UP_MS + jitter_ms + holds_ms + after_ms;
    let mut text = format!(
        "schema = 1\n\
         name = {name:?}\n\
         question = \"Does the simulation behave as {server} does?\"\n\
         duration = \"{duration_ms}ms\"\n\
         {nodes}\
         [network]\n\
         within-zone = \"normal(25us, 5us)\"\n\
         between-zones = \"normal(40us, 8us)\"\n\
         mss = 65483\n\
         mss-between-zones = 1448\n\
         [config]\n\
         cluster-node-timeout = {timeout}\n\
         cluster-require-full-coverage = {coverage:?}\n\
         repl-diskless-sync-delay = 0\n\
         [workload]\n\
         keys = \"unique\"\n\
         writes = 1.0\n",
        name = cell.name,
        server = experiment.server,
        nodes = nodes_text(experiment),
        timeout = experiment.node_timeout_ms,
        coverage = experiment.full_coverage,
    );
    let client = |text: &mut String, who: &str| {
        let _ = write!(
            text,
            "[[workload.clients]]\nrate = \"{}/s\"\ntimeout = \"{}ms\"\n{who}",
            experiment.write_rate, experiment.op_timeout_ms
        );
    };
    let apart = experiment.fault == Fault::Partition;
    let zone = if apart { "zone = \"rest\"\n" } else { "" };
    client(
        &mut text,
        &format!("per-master = 1\nhedge = \"10ms\"\n{zone}"),
    );
    if apart {
        client(
            &mut text,
            "name = \"cut-off\"\nslots-of = \"m1\"\ncount = 1\nsticky = true\nzone = \"apart\"\n",
        );
    }
    if experiment.stale_writer {
        client(
            &mut text,
            "name = \"stale\"\nslots-of = \"m1\"\ncount = 1\nsticky = true\n",
        );
    }
    let first_replica = match experiment.replicas_per_master {
        0 | 1 => "r1",
        _ => "r1a",
    };
    // Whoever sticks to a master must know which will be hit.
    let master = match experiment.stale_writer {
        true => "m1",
        false => "one:master",
    };
    let fault = match experiment.fault {
        Fault::Kill => format!("crash = {master:?}\nrestart-after = \"{holds_ms}ms\"\n"),
        Fault::KillMasterReplica => {
            format!("crash = [\"m1\", {first_replica:?}]\nrestart-after = \"{holds_ms}ms\"\n")
        }
        Fault::Kill2 => format!("crash = [\"m1\", \"m2\"]\nrestart-after = \"{holds_ms}ms\"\n"),
        Fault::DebugSleep => {
            format!("stall = {master:?}\nhow = \"debug-sleep\"\nfor = \"{holds_ms}ms\"\n")
        }
        Fault::Stop => format!("stall = {master:?}\nhow = \"sigstop\"\nfor = \"{holds_ms}ms\"\n"),
        Fault::Stop2 => {
            format!("stall = [\"m1\", \"m2\"]\nhow = \"sigstop\"\nfor = \"{holds_ms}ms\"\n")
        }
        Fault::Partition => {
            format!("partition = [[\"m1\", \"cut-off\"], \"rest\"]\nfor = \"{holds_ms}ms\"\n")
        }
    };
    let _ = write!(
        text,
        "[[step]]\nat = \"{WARM_UP_MS}ms\"\njitter = \"{jitter_ms}ms\"\n{fault}"
    );
    text
}

/// The nodes run on one machine and talk over its loopback; the one that a partition cuts off has a
/// network namespace of its own, a bridge away, and so has its client.
fn nodes_text(experiment: &Experiment) -> String {
    let mut text = format!(
        "[cluster]\n\
         starts-apart = \"{STARTS_APART_MS}ms\"\n\
         formation = \"meet\"\n"
    );
    let (masters, replicas) = (experiment.masters, experiment.replicas_per_master);
    if experiment.fault != Fault::Partition {
        let _ = writeln!(
            text,
            "masters = {masters}\nreplicas-per-master = {replicas}"
        );
        return text;
    }
    text.push_str("zones = [\"apart\", \"rest\"]\n");
    let mut port = FIRST_PORT;
    let mut node = |name: String, zone: &str, role: String| {
        let _ = writeln!(
            text,
            "[[cluster.node]]\nname = {name:?}\naddress = \"10.77.0.1:{port}\"\nzone = {zone:?}\n{role}"
        );
        port += 1;
    };
    let slots = |master: usize| master * SLOT_COUNT / masters;
    for master in 0..masters {
        let zone = if master == 0 { "apart" } else { "rest" };
        let range = format!("slots = \"{}-{}\"", slots(master), slots(master + 1) - 1);
        node(format!("m{}", master + 1), zone, range);
    }
    for replica in 0..masters * replicas {
        let master = replica % masters + 1;
        let of = format!("replica-of = \"m{master}\"");
        let letter = match replicas {
            1 => String::new(),
            _ => char::from(b'a' + (replica / masters) as u8).to_string(),
        };
        node(format!("r{master}{letter}"), "rest", of);
    }
    text
}
