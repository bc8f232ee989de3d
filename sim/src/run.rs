//! Runs scenarios.

use rayon::prelude::*;

use crate::plan::{Plan, PlanError};
use crate::scenario::Scenario;
use crate::trace::{ClientInfo, Header, NodeInfo, NodeNumber, Record, SCHEMA_VERSION, Trace};
use crate::trace_io::TraceHash;
use crate::world::{Hosts, WorldKind};
use crate::worlds;

/// A run that came to its end.
#[derive(Clone, PartialEq, Debug)]
pub struct Run {
    /// Everything that happened.
    pub trace: Trace,
    /// The hash of it.
    pub trace_hash: TraceHash,
    /// How many things its scheduler had happen (segments that arrived, turns of event loops,
    /// timers); `None` in a world without one.
    pub scheduled_events: Option<u64>,
}

/// Why a run came to no end.
#[derive(Clone, PartialEq, Debug, thiserror::Error)]
pub enum RunError {
    /// The scenario cannot be run.
    #[error(transparent)]
    Plan(#[from] PlanError),
    /// There are more clients than numbers.
    #[error("the workload has {0} clients, at most {most} can be simulated", most = MOST_CLIENTS)]
    TooManyClients(usize),
    /// The cluster did not form, so that nothing could be disturbed.
    #[error("the cluster did not form: {pending}")]
    NotFormed {
        /// What was pending when time was up.
        pending: String,
        /// Everything that happened until then.
        trace: Box<Trace>,
    },
    /// The world itself failed.
    #[error("the {world} world failed: {why}")]
    World {
        /// Which.
        world: WorldKind,
        /// Why.
        why: String,
    },
    /// Threads for several seeds could not be started.
    #[error("cannot start threads: {0}")]
    Threads(String),
}

/// The most clients that have a number.
const MOST_CLIENTS: usize = 16_384;

/// Runs a scenario once.
///
/// The same scenario, seed and world give the same run, byte for byte, in any build, on any
/// thread.
///
/// # Errors
/// [`RunError`] if the scenario cannot be run or its cluster does not form. What goes wrong later
/// stands in the event log.
pub fn run(scenario: &Scenario, seed: u64, world: WorldKind) -> Result<Run, RunError> {
    let clients = scenario.workload.clients.len();
    if clients > MOST_CLIENTS {
        return Err(RunError::TooManyClients(clients));
    }
    let plan = Plan::new(scenario, seed)?;
    let hosts = Hosts {
        nodes: plan.nodes.len() as u16,
        clients: clients as u16,
    };
    let ended = match world {
        WorldKind::Event => worlds::event::run(scenario, &plan, hosts),
        WorldKind::Turmoil => worlds::turmoil::run(scenario, &plan, hosts)
            .map_err(|why| RunError::World { world, why })?,
    };
    let header = header(scenario, &plan, seed, world);
    let trace = Trace {
        header,
        records: ended.records,
    };
    if let Some(pending) = ended.not_formed {
        return Err(RunError::NotFormed {
            pending,
            trace: Box::new(trace),
        });
    }
    let trace_hash = TraceHash::of(&trace);
    Ok(Run {
        trace,
        trace_hash,
        scheduled_events: ended.scheduled_events,
    })
}

/// Runs a scenario with several seeds on `jobs` threads. Each run is given to `each` on the thread
/// that ran it, as soon as it ends, so that only what `each` returns has to be kept; it may show
/// progress too. The results stand in the order of the seeds, whatever the number of threads.
///
/// # Errors
/// [`RunError::Threads`] if the threads cannot be started. A run that fails is given to `each`.
pub fn run_seeds<T: Send>(
    scenario: &Scenario,
    seeds: &[u64],
    world: WorldKind,
    jobs: usize,
    each: impl Fn(u64, Result<Run, RunError>) -> T + Sync,
) -> Result<Vec<T>, RunError> {
    in_parallel(seeds.len(), jobs, |place| {
        let seed = seeds[place];
        each(seed, run(scenario, seed, world))
    })
}

/// Does `count` pieces of work on `jobs` threads, each told its place, the first ones first. The
/// results stand in the order of the places, whatever the number of threads.
///
/// # Errors
/// [`RunError::Threads`] if the threads cannot be started.
pub fn in_parallel<T: Send>(
    count: usize,
    jobs: usize,
    work: impl Fn(usize) -> T + Sync,
) -> Result<Vec<T>, RunError> {
    let threads = rayon::ThreadPoolBuilder::new()
        .num_threads(jobs.max(1))
        .build()
        .map_err(|error| RunError::Threads(error.to_string()))?;
    // They are taken one by one: runs differ in length, and the first ones should end first.
    let places = || (0..count).into_par_iter().with_max_len(1);
    Ok(threads.install(|| places().map(&work).collect()))
}

/// What is left of a world at its end.
pub(crate) struct Ended {
    /// Everything that happened.
    pub(crate) records: Vec<Record>,
    /// Why the cluster did not form, if it did not.
    pub(crate) not_formed: Option<String>,
    /// See [`Run::scheduled_events`].
    pub(crate) scheduled_events: Option<u64>,
}

fn header(scenario: &Scenario, plan: &Plan, seed: u64, world: WorldKind) -> Header {
    let specs = scenario.cluster.nodes.iter().zip(&plan.nodes);
    let nodes = specs.map(|(spec, node)| NodeInfo {
        name: spec.name.clone(),
        id: node.id,
        zone: spec.zone,
        address: node.address.to_string(),
        replica_of: spec.replica_of.map(|master| master as NodeNumber),
        slots: spec.slots.clone(),
        persistent: node.config.appendonly,
    });
    let clients = scenario.workload.clients.iter();
    let clients = clients.map(|client| ClientInfo {
        name: client.name.clone(),
        zone: client.zone,
    });
    Header {
        schema_version: SCHEMA_VERSION,
        drill: scenario.name.clone(),
        question: scenario.question.clone(),
        seed,
        world: world.name().to_owned(),
        engine: scenario.engine,
        node_timeout_ms: scenario.config.cluster_node_timeout_ms,
        config: scenario.config_text.clone(),
        zones: scenario.cluster.zones.clone(),
        nodes: nodes.collect(),
        clients: clients.collect(),
        epoch_ms: plan.epoch_ms,
        converge_within_us: scenario.converge_within_us,
    }
}
