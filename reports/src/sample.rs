//! Runs written by hand for tests: the shape of failovers that were measured on Redis 7.0.15.

use std::collections::BTreeMap;

use redrill_node::{
    Engine, EpochChange, Fact, FailCleared, FailoverKind, FailureReport, NodeId, RoleChange, Slot,
    SlotChange, SlotRange, StateReason, write_digest,
};
use redrill_sim::scenario::{CrashKind, StallKind};
use redrill_sim::trace::{
    ClientInfo, Event, FaultKind, Header, NodeInfo, Operation, Outcome, Phase, ProcessChange,
    Record, SCHEMA_VERSION, Touched, Trace,
};

/// The nodes m1 to m3 and r1 to r3 of [`kill_master`], by name.
const NAMES: [&str; 6] = ["m1", "m2", "m3", "r1", "r2", "r3"];

const RANGES: [SlotRange; 3] = [
    SlotRange {
        first: 0,
        last: 5460,
    },
    SlotRange {
        first: 5461,
        last: 10922,
    },
    SlotRange {
        first: 10923,
        last: 16383,
    },
];

/// Node-timeout 2000: m2 is killed 10 s after forming, r2 is promoted 3.52 s later, m2 comes back
/// 8 s after the kill as a replica. Times after the kill are those of a measured trial.
pub(crate) fn kill_master() -> Trace {
    let mut run = Run::new(
        "kill-master",
        "How long is a dead master's shard without a server?",
    );
    run.form();
    run.fault(
        KILL_MS,
        FaultKind::Crash(CrashKind::Kill),
        &["m2"],
        "m2 is killed (SIGKILL)",
    );
    run.process(KILL_MS, "m2", ProcessChange::Crashed(CrashKind::Kill));
    run.fact(KILL_MS + 3.0, "r2", Fact::MasterLinkLost);
    run.failover_of_m2(KILL_MS, "nobody");
    run.process(KILL_MS + 8000.0, "m2", ProcessChange::Started);
    run.ended(KILL_MS + 8000.0);
    run.return_of_m2(KILL_MS + 8000.0, true);
    run.phase(24_000.0, Phase::Heal);
    run.phase(24_000.5, Phase::Converge);
    run.phase(26_000.0, Phase::Audit);
    run.phase(27_000.0, Phase::Done);
    run.load(26_000.0, |at_ms, slot, _| {
        match (shard(slot), at_ms - KILL_MS) {
            (1, since) if (0.0..3524.0).contains(&since) => Served::No(Outcome::Timeout),
            (_, since) if (2812.0..3570.0).contains(&since) => Served::No(Outcome::ClusterDown),
            (1, since) if since >= 3524.0 => Served::By("r2"),
            (shard, _) => Served::By(NAMES[shard]),
        }
    });
    run.finish()
}

/// Zone b is cut off with its clients for 12 s: the minority's master goes on acknowledging for a
/// while, r2 is promoted on the other side, r1 (in zone b) is cut off too. m1 stalls at the end.
pub(crate) fn partition_and_stall() -> Trace {
    let mut run = Run::new("az-b-isolated", "What does zone b lose when it is cut off?");
    run.form();
    run.cut(KILL_MS, &["m2", "r1"], 1, "zone b is cut off from a and c");
    run.failover_of_m2(KILL_MS, "r1");
    run.fact(
        KILL_MS + 3800.0,
        "m2",
        Fact::PossiblyFailing { node: id("m1") },
    );
    run.fact(
        KILL_MS + 3800.0,
        "m2",
        Fact::ClusterState {
            ok: false,
            why: StateReason::Minority,
        },
    );
    run.ended(KILL_MS + 9000.0);
    run.return_of_m2(KILL_MS + 9100.0, false);
    run.step += 1;
    run.fault(
        KILL_MS + 10_500.0,
        FaultKind::Stall(StallKind::DebugSleep),
        &["m1"],
        "m1 stands still (DEBUG SLEEP 1.5)",
    );
    run.process(
        KILL_MS + 10_500.0,
        "m1",
        ProcessChange::Stalled(StallKind::DebugSleep),
    );
    run.process(KILL_MS + 12_000.0, "m1", ProcessChange::Resumed);
    run.ended(KILL_MS + 12_000.0);
    run.phase(24_000.0, Phase::Heal);
    run.phase(24_000.5, Phase::Converge);
    run.phase(26_000.0, Phase::Audit);
    run.phase(27_000.0, Phase::Done);
    run.load(26_000.0, |at_ms, slot, client| {
        let since = at_ms - KILL_MS;
        let cut = (0.0..9000.0).contains(&since);
        match (client, shard(slot)) {
            (1, 1) if cut && since < 3800.0 => Served::By("m2"),
            (1, _) if cut => Served::No(Outcome::ClusterDown),
            _ if (2812.0..3570.0).contains(&since) => Served::No(Outcome::ClusterDown),
            (_, 1) if cut && since < 3562.0 => Served::No(Outcome::Timeout),
            (_, 1) if since >= 3562.0 => Served::By("r2"),
            (_, 0) if (10_500.0..12_000.0).contains(&since) => Served::No(Outcome::Timeout),
            (_, shard) => Served::By(NAMES[shard]),
        }
    });
    run.finish()
}

/// When the fault of the samples happens, ms.
pub(crate) const KILL_MS: f64 = 12_000.0;

/// The id of a node of the samples.
pub(crate) fn id(name: &str) -> NodeId {
    let mut state = name
        .bytes()
        .fold(7_u64, |state, byte| state * 131 + u64::from(byte));
    NodeId(std::array::from_fn(|_| (next(&mut state) >> 33) as u8))
}

enum Served {
    By(&'static str),
    No(Outcome),
}

fn shard(slot: Slot) -> usize {
    RANGES.iter().position(|range| slot <= range.last).unwrap()
}

fn number(name: &str) -> u16 {
    NAMES.iter().position(|other| *other == name).unwrap() as u16
}

/// A plain generator, so that samples vary without a dependency.
fn next(state: &mut u64) -> u64 {
    *state = state
        .wrapping_mul(6_364_136_223_846_793_005)
        .wrapping_add(1_442_695_040_888_963_407);
    *state
}

struct Run {
    trace: Trace,
    step: u16,
}

impl Run {
    fn new(drill: &str, question: &str) -> Self {
        let zones = ["a", "b", "c"];
        let nodes = NAMES
            .iter()
            .enumerate()
            .map(|(place, name)| NodeInfo {
                name: (*name).to_owned(),
                id: id(name),
                // No replica shares its master's zone.
                zone: [0, 1, 2, 1, 2, 0][place],
                address: format!("10.0.{}.{}:{}", place % 3, place + 1, 7000 + place),
                replica_of: (place >= 3).then(|| place as u16 - 3),
                slots: RANGES.get(place).copied().into_iter().collect(),
                persistent: true,
            })
            .collect();
        let header = Header {
            schema_version: SCHEMA_VERSION,
            drill: drill.to_owned(),
            question: Some(question.to_owned()),
            seed: 42,
            world: "turmoil".to_owned(),
            engine: Engine::default(),
            node_timeout_ms: 2000,
            config: BTreeMap::from([("cluster-node-timeout".to_owned(), "2000".to_owned())]),
            zones: zones.map(str::to_owned).to_vec(),
            nodes,
            clients: zones
                .iter()
                .enumerate()
                .map(|(zone, _)| ClientInfo {
                    name: format!("c{}", zone + 1),
                    zone,
                })
                .collect(),
            epoch_ms: 1_700_000_000_000,
            converge_within_us: 30_000_000,
        };
        Self {
            trace: Trace {
                header,
                records: Vec::new(),
            },
            step: 0,
        }
    }

    fn event(&mut self, at_ms: f64, event: Event) {
        let at_us = (at_ms * 1000.0).round() as u64;
        self.trace.records.push(Record { at_us, event });
    }

    fn fact(&mut self, at_ms: f64, node: &str, fact: Fact) {
        let node = number(node);
        self.event(at_ms, Event::Node { node, fact });
    }

    fn process(&mut self, at_ms: f64, node: &str, change: ProcessChange) {
        let node = number(node);
        self.event(at_ms, Event::Process { node, change });
    }

    fn phase(&mut self, at_ms: f64, phase: Phase) {
        self.event(at_ms, Event::Phase { phase });
    }

    fn fault(&mut self, at_ms: f64, fault: FaultKind, nodes: &[&str], words: &str) {
        let event = Event::FaultBegan {
            step: self.step,
            fault,
            touched: Box::new(Touched {
                nodes: nodes.iter().map(|name| number(name)).collect(),
                clients: [].into(),
                words: words.into(),
                cut: [].into(),
            }),
        };
        self.event(at_ms, event);
    }

    fn cut(&mut self, at_ms: f64, inside: &[&str], client: u16, words: &str) {
        let inside: Vec<u16> = inside
            .iter()
            .map(|name| number(name))
            .chain([6 + client])
            .collect();
        let outside: Vec<u16> = (0..9).filter(|host| !inside.contains(host)).collect();
        let cut = inside
            .iter()
            .flat_map(|&a| outside.iter().flat_map(move |&b| [(a, b), (b, a)]))
            .collect();
        let event = Event::FaultBegan {
            step: self.step,
            fault: FaultKind::Partition,
            touched: Box::new(Touched {
                nodes: inside.iter().copied().filter(|&host| host < 6).collect(),
                clients: [client].into(),
                words: words.into(),
                cut,
            }),
        };
        self.event(at_ms, event);
    }

    fn ended(&mut self, at_ms: f64) {
        self.event(at_ms, Event::FaultEnded { step: self.step });
    }

    fn form(&mut self) {
        self.phase(0.0, Phase::Form);
        for (place, name) in NAMES.into_iter().enumerate() {
            self.process(0.0, name, ProcessChange::Started);
            let started = Fact::Started {
                id: id(name),
                restored: true,
                current_epoch: 6,
                last_vote_epoch: 0,
            };
            self.fact(0.1, name, started);
            let replica_of = (place >= 3).then(|| id(NAMES[place - 3]));
            let role = Fact::Role {
                replica_of,
                why: RoleChange::Start,
            };
            self.fact(0.1, name, role);
            for (owner, range) in RANGES.into_iter().enumerate() {
                let epoch = owner as u64 + 1;
                self.owned(0.1, name, NAMES[owner], epoch, range, SlotChange::Restored);
            }
            for (other, peer) in NAMES.into_iter().enumerate().skip(3) {
                if other != place {
                    let replica_of = Some(id(NAMES[other - 3]));
                    let node = id(peer);
                    self.fact(0.1, name, Fact::PeerRole { node, replica_of });
                }
            }
            if place < 3 {
                let epoch = place as u64 + 1;
                let why = EpochChange::Restored;
                self.fact(0.1, name, Fact::ConfigEpoch { epoch, why });
            }
            self.state(2000.0 + place as f64 * 7.0, name, true);
        }
        self.phase(2100.0, Phase::Disturb);
    }

    fn owned(
        &mut self,
        at_ms: f64,
        viewer: &str,
        owner: &str,
        epoch: u64,
        range: SlotRange,
        why: SlotChange,
    ) {
        let fact = Fact::SlotsOwned {
            owner: Some(id(owner)),
            epoch,
            slots: Box::new([range]),
            why,
        };
        self.fact(at_ms, viewer, fact);
    }

    fn state(&mut self, at_ms: f64, node: &str, ok: bool) {
        let why = if ok {
            StateReason::AllGood
        } else {
            StateReason::SlotOwnerFailed
        };
        self.fact(at_ms, node, Fact::ClusterState { ok, why });
    }

    /// m2 does not answer from `at_ms` on; r2 takes its place 3520 ms later. `cut_off` hears nothing
    /// of it.
    fn failover_of_m2(&mut self, at_ms: f64, cut_off: &str) {
        let before = self.trace.records.len();
        let m2 = id("m2");
        for (delay_ms, node) in [
            (2108.0, "m1"),
            (2114.0, "r1"),
            (2116.0, "m3"),
            (2813.0, "r2"),
        ] {
            self.fact(at_ms + delay_ms, node, Fact::PossiblyFailing { node: m2 });
        }
        let report = |by: &str| Fact::FailureReported {
            node: m2,
            by: id(by),
        };
        self.fact(at_ms + 2600.0, "m3", report("m1"));
        self.fact(at_ms + 2814.0, "m1", report("m3"));
        self.fact(
            at_ms + 2814.0,
            "m1",
            Fact::MarkedFailing {
                node: m2,
                reports: Box::new([FailureReport {
                    by: id("m3"),
                    age_ms: 0,
                }]),
                counted_self: true,
                needed: 2,
            },
        );
        self.state(at_ms + 2814.2, "m1", false);
        for (delay_ms, node) in [
            (2815.0, "m3"),
            (2815.2, "r1"),
            (2815.3, "r2"),
            (2815.8, "r3"),
        ] {
            let from = id("m1");
            self.fact(
                at_ms + delay_ms,
                node,
                Fact::FailReceived { node: m2, from },
            );
            self.state(at_ms + delay_ms + 0.2, node, false);
        }
        self.fact(
            at_ms + 2914.0,
            "r2",
            Fact::ElectionScheduled {
                master: m2,
                delay_ms: 584,
                rank: 0,
                offset: 32_741,
                manual: false,
            },
        );
        self.fact(at_ms + 3518.0, "r2", Fact::CurrentEpoch { epoch: 7 });
        self.fact(
            at_ms + 3518.0,
            "r2",
            Fact::ElectionStarted {
                epoch: 7,
                master: m2,
                needed: 2,
            },
        );
        for (delay_ms, node) in [(3519.0, "m1"), (3519.3, "m3")] {
            let to = id("r2");
            self.fact(
                at_ms + delay_ms,
                node,
                Fact::VoteGranted {
                    to,
                    master: Box::new(m2),
                    epoch: 7,
                },
            );
        }
        for (votes, delay_ms, from) in [(1, 3519.8, "m1"), (2, 3520.0, "m3")] {
            self.fact(
                at_ms + delay_ms,
                "r2",
                Fact::VoteReceived {
                    from: id(from),
                    voter_epoch: 7,
                    election_epoch: 7,
                    votes,
                },
            );
        }
        self.fact(
            at_ms + 3520.0,
            "r2",
            Fact::ElectionWon {
                epoch: 7,
                votes: 2,
                needed: 2,
                master: m2,
                how: FailoverKind::Automatic,
                offset: 32_741,
            },
        );
        let why = EpochChange::Election;
        self.fact(at_ms + 3520.0, "r2", Fact::ConfigEpoch { epoch: 7, why });
        let why = RoleChange::Promoted;
        self.fact(
            at_ms + 3520.0,
            "r2",
            Fact::Role {
                replica_of: None,
                why,
            },
        );
        self.owned(
            at_ms + 3520.0,
            "r2",
            "r2",
            7,
            RANGES[1],
            SlotChange::Promoted,
        );
        self.state(at_ms + 3520.0, "r2", true);
        for (delay_ms, node) in [
            (3521.0, "m3"),
            (3562.0, "r1"),
            (3562.4, "r3"),
            (3563.0, "m1"),
        ] {
            self.owned(
                at_ms + delay_ms,
                node,
                "r2",
                7,
                RANGES[1],
                SlotChange::Claimed,
            );
            self.promoted(at_ms + delay_ms, node);
            self.state(at_ms + delay_ms, node, true);
        }
        let mut place = 0;
        self.trace.records.retain(|record| {
            place += 1;
            let hears = !matches!(&record.event, Event::Node { node, .. }
                if NAMES[usize::from(*node)] == cut_off);
            place <= before || hears
        });
    }

    /// A node learns that r2 is a master.
    fn promoted(&mut self, at_ms: f64, viewer: &str) {
        let node = id("r2");
        let replica_of = None;
        self.fact(at_ms, viewer, Fact::PeerRole { node, replica_of });
    }

    /// m2 learns that r2 has its slots now, and all others that m2 is a replica.
    fn return_of_m2(&mut self, at_ms: f64, restarted: bool) {
        if !restarted {
            // r1 was cut off too.
            self.owned(at_ms + 90.0, "r1", "r2", 7, RANGES[1], SlotChange::Claimed);
            self.promoted(at_ms + 90.0, "r1");
        }
        self.promoted(at_ms + 104.0, "m2");
        for viewer in NAMES.into_iter().filter(|name| *name != "m2") {
            let node = id("m2");
            let replica_of = Some(id("r2"));
            self.fact(at_ms + 130.0, viewer, Fact::PeerRole { node, replica_of });
        }
        if restarted {
            let started = Fact::Started {
                id: id("m2"),
                restored: true,
                current_epoch: 6,
                last_vote_epoch: 0,
            };
            self.fact(at_ms + 0.2, "m2", started);
            for (owner, range) in RANGES.into_iter().enumerate() {
                let epoch = owner as u64 + 1;
                let why = SlotChange::Restored;
                self.owned(at_ms + 0.2, "m2", NAMES[owner], epoch, range, why);
            }
        }
        self.owned(at_ms + 104.0, "m2", "r2", 7, RANGES[1], SlotChange::Claimed);
        self.fact(
            at_ms + 104.0,
            "m2",
            Fact::Role {
                replica_of: Some(id("r2")),
                why: RoleChange::SlotsTaken,
            },
        );
        self.state(at_ms + 104.5, "m2", true);
        for (delay_ms, node) in [(140.0, "m1"), (140.2, "r2"), (153.0, "m3"), (153.5, "r1")] {
            self.fact(
                at_ms + delay_ms,
                node,
                Fact::FailCleared {
                    node: id("m2"),
                    why: FailCleared::MasterWithoutSlots,
                },
            );
        }
    }

    /// Three clients, 60 operations a second each, until `until_ms`.
    fn load(&mut self, until_ms: f64, served: impl Fn(f64, Slot, u16) -> Served) {
        let mut state = 99;
        let mut acknowledged = Vec::new();
        for client in 0..3_u16 {
            for number in 0..u32::MAX {
                let due_ms = 2100.0 + f64::from(number) * 1000.0 / 60.0 + f64::from(client) * 5.0;
                if due_ms >= until_ms {
                    break;
                }
                let key = next(&mut state);
                let slot = (key >> 50) as Slot & 16_383;
                let jitter = (next(&mut state) >> 40) as f64 / f64::from(1 << 24);
                let (outcome, node, took_ms) = match served(due_ms, slot, client) {
                    Served::By(node) => (Outcome::Ok, node, 0.4 + jitter * jitter * 3.0),
                    Served::No(Outcome::Timeout) => (Outcome::Timeout, "m2", 500.0),
                    Served::No(outcome) => (outcome, "m1", 0.5 + jitter),
                };
                let write = write_digest(&key.to_le_bytes(), &number.to_le_bytes());
                let operation = Operation {
                    client,
                    number,
                    issued_us: (due_ms * 1000.0) as u64,
                    write: (key >> 40).is_multiple_of(2).then_some(write),
                    key,
                    slot,
                    node: Some(self::number(node)),
                    requests: 1,
                    outcome,
                };
                if let (Some(write), Outcome::Ok) = (operation.write, outcome) {
                    // What m2 acknowledged while r2 already had its place is gone.
                    let since = due_ms - KILL_MS;
                    let kept = !(node == "m2" && since > 3400.0);
                    acknowledged.push((key, kept.then_some(write), operation.node));
                }
                self.event(due_ms + took_ms, Event::Operation(operation));
            }
        }
        for (key, found, node) in acknowledged {
            self.event(until_ms + 500.0, Event::Audited { key, found, node });
        }
    }

    fn finish(mut self) -> Trace {
        self.trace.records.sort_by_key(|record| record.at_us);
        self.trace
    }
}
