//! Event logs written by hand: a small cluster, told fact by fact.
//!
//! [`Log::formed`] is a healthy cluster of three masters `m1..m3` with a replica `r1..r3` each and
//! two clients, node-timeout 1000 ms, disturbed from 5 s on. Times are milliseconds of the log.

use redrill_node::{
    Engine, EpochChange, Fact, FailoverKind, FailureReport, NodeId, ReplicationId, RoleChange,
    SlotChange, SlotRange, StateReason,
};

use super::{Code, Findings, Verdict, check};
use crate::scenario::CrashKind;
use crate::trace::{
    ClientInfo, Event, FaultKind, Header, NodeInfo, NodeNumber, Operation, Outcome, Phase,
    ProcessChange, Record, SCHEMA_VERSION, StateLoad, Touched, Trace,
};

/// An event log in the making.
#[derive(Clone)]
pub(super) struct Log {
    pub(super) trace: Trace,
    at_us: u64,
    operations: u32,
    step: u16,
}

/// The slots of the n-th of three masters.
pub(super) const THIRDS: [SlotRange; 3] = [
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

pub(super) const NAMES: [&str; 6] = ["m1", "m2", "m3", "r1", "r2", "r3"];

impl Log {
    /// A healthy cluster at 5 s.
    pub(super) fn formed() -> Self {
        let node = |number: usize| NodeInfo {
            name: NAMES[number].into(),
            id: NodeId([number as u8 + 1; 20]),
            zone: number % 3,
            address: format!("10.0.0.{number}:6379"),
            replica_of: (number >= 3).then(|| number as NodeNumber - 3),
            slots: if number < 3 {
                vec![THIRDS[number]]
            } else {
                Vec::new()
            },
            persistent: false,
        };
        let client = |name: &str| ClientInfo {
            name: name.into(),
            zone: 0,
        };
        let header = Header {
            schema_version: SCHEMA_VERSION,
            drill: "by-hand".into(),
            question: None,
            seed: 1,
            world: "event".into(),
            engine: Engine::default(),
            node_timeout_ms: 1000,
            config: std::collections::BTreeMap::new(),
            zones: vec!["a".into(), "b".into(), "c".into()],
            nodes: (0..6).map(node).collect(),
            clients: vec![client("c1"), client("c2")],
            epoch_ms: 1_700_000_000_000,
            converge_within_us: 30_000_000,
        };
        let trace = Trace {
            header,
            records: Vec::new(),
        };
        let mut log = Self {
            trace,
            at_us: 0,
            operations: 0,
            step: 0,
        };
        log.phase(Phase::Form);
        for name in NAMES {
            log.start(
                name,
                StateLoad::Whole {
                    current_epoch: 3,
                    last_vote_epoch: 0,
                },
            );
        }
        log.at(2100);
        for name in NAMES {
            log.state(name, true, StateReason::AllGood);
        }
        for shard in 0..3u8 {
            let id = history(shard + 1);
            log.stream(NAMES[usize::from(shard)], shard + 1, 100, 1);
            let done = Fact::FullResyncDone {
                id,
                offset: 100,
                keys: 0,
            };
            log.fact(NAMES[usize::from(shard) + 3], done);
        }
        log.at(5000).phase(Phase::Disturb);
        log
    }

    /// Goes on at a time of the log, ms.
    pub(super) fn at(&mut self, at_ms: u64) -> &mut Self {
        assert!(at_ms * 1000 >= self.at_us, "a log goes forward");
        self.at_us = at_ms * 1000;
        self
    }

    /// Goes on some ms later.
    pub(super) fn later(&mut self, by_ms: u64) -> &mut Self {
        self.at_us += by_ms * 1000;
        self
    }

    pub(super) fn event(&mut self, event: Event) -> &mut Self {
        self.trace.records.push(Record {
            at_us: self.at_us,
            event,
        });
        self
    }

    pub(super) fn fact(&mut self, node: &str, fact: Fact) -> &mut Self {
        self.event(Event::Node {
            node: number(node),
            fact,
        })
    }

    pub(super) fn phase(&mut self, phase: Phase) -> &mut Self {
        self.event(Event::Phase { phase })
    }

    // -- processes -----------------------------------------------------------------------------

    pub(super) fn process(&mut self, node: &str, change: ProcessChange) -> &mut Self {
        self.event(Event::Process {
            node: number(node),
            change,
        })
    }

    /// Starts a node with what its state file holds; roles and slots are those of the header.
    pub(super) fn start(&mut self, node: &str, outcome: StateLoad) -> &mut Self {
        let (current_epoch, last_vote_epoch) = match outcome {
            StateLoad::Whole {
                current_epoch,
                last_vote_epoch,
            } => (current_epoch, last_vote_epoch),
            StateLoad::Absent | StateLoad::Torn => (0, 0),
        };
        self.process(node, ProcessChange::Started);
        self.event(Event::StateLoaded {
            node: number(node),
            outcome,
        });
        self.started(node, current_epoch, last_vote_epoch)
    }

    /// What a node tells at its start.
    pub(super) fn started(
        &mut self,
        node: &str,
        current_epoch: u64,
        last_vote_epoch: u64,
    ) -> &mut Self {
        let id = id(node);
        let restored = current_epoch > 0;
        self.fact(
            node,
            Fact::Started {
                id,
                restored,
                current_epoch,
                last_vote_epoch,
            },
        );
        let info = self.trace.header.nodes[usize::from(number(node))].clone();
        let replica_of = info
            .replica_of
            .map(|master| NAMES[usize::from(master)])
            .map(self::id);
        self.fact(
            node,
            Fact::Role {
                replica_of,
                why: RoleChange::Start,
            },
        );
        for (shard, slots) in THIRDS.into_iter().enumerate() {
            let owner = Some(self::id(NAMES[shard]));
            self.owned(node, owner, shard as u64 + 1, slots, SlotChange::Restored);
        }
        self
    }

    pub(super) fn crash(&mut self, node: &str, kind: CrashKind) -> &mut Self {
        let words = format!("{node} ends");
        self.fault(FaultKind::Crash(kind), &[node], Vec::new(), words);
        self.process(node, ProcessChange::Crashed(kind))
    }

    /// A scripted fault; its step's number.
    pub(super) fn fault(
        &mut self,
        fault: FaultKind,
        nodes: &[&str],
        cut: Vec<(u16, u16)>,
        words: String,
    ) -> u16 {
        let step = self.step;
        self.step += 1;
        let touched = Box::new(Touched {
            nodes: nodes.iter().map(|node| number(node)).collect(),
            clients: [].into(),
            words: words.into(),
            cut: cut.into(),
        });
        self.event(Event::FaultBegan {
            step,
            fault,
            touched,
        });
        step
    }

    /// Cuts every link between some nodes and all others; the step's number.
    pub(super) fn cut_off(&mut self, nodes: &[&str]) -> u16 {
        let inside: Vec<u16> = nodes.iter().map(|node| number(node)).collect();
        let mut cut = Vec::new();
        for one in 0..6 {
            for other in 0..6 {
                if inside.contains(&one) != inside.contains(&other) {
                    cut.push((one, other));
                }
            }
        }
        self.fault(
            FaultKind::Partition,
            nodes,
            cut,
            format!("{nodes:?} are cut off"),
        )
    }

    pub(super) fn heal(&mut self, step: u16) -> &mut Self {
        self.event(Event::FaultEnded { step })
    }

    // -- facts ---------------------------------------------------------------------------------

    pub(super) fn state(&mut self, node: &str, ok: bool, why: StateReason) -> &mut Self {
        self.fact(node, Fact::ClusterState { ok, why })
    }

    pub(super) fn owned(
        &mut self,
        node: &str,
        owner: Option<NodeId>,
        epoch: u64,
        slots: SlotRange,
        why: SlotChange,
    ) -> &mut Self {
        self.fact(
            node,
            Fact::SlotsOwned {
                owner,
                epoch,
                slots: [slots].into(),
                why,
            },
        )
    }

    pub(super) fn stream(&mut self, node: &str, shard: u8, offset: u64, digest: u64) -> &mut Self {
        self.fact(
            node,
            Fact::Stream {
                id: history(shard),
                offset,
                digest,
            },
        )
    }

    pub(super) fn suspects(&mut self, node: &str, suspect: &str) -> &mut Self {
        self.fact(node, Fact::PossiblyFailing { node: id(suspect) })
    }

    pub(super) fn reported(&mut self, listener: &str, suspect: &str, by: &str) -> &mut Self {
        let (node, by) = (id(suspect), id(by));
        self.fact(listener, Fact::FailureReported { node, by })
    }

    pub(super) fn marks(
        &mut self,
        node: &str,
        suspect: &str,
        reporters: &[(&str, i64)],
        counted_self: bool,
    ) -> &mut Self {
        let reports = reporters
            .iter()
            .map(|(by, age_ms)| FailureReport {
                by: id(by),
                age_ms: *age_ms,
            })
            .collect();
        let node_id = id(suspect);
        self.fact(
            node,
            Fact::MarkedFailing {
                node: node_id,
                reports,
                counted_self,
                needed: 2,
            },
        )
    }

    /// The two other masters agree that a master failed, and all running nodes hear of it.
    pub(super) fn agree_on_failure(&mut self, master: &str) -> &mut Self {
        let others: Vec<&str> = ["m1", "m2", "m3"]
            .into_iter()
            .filter(|m| *m != master)
            .collect();
        let (first, second) = (others[0], others[1]);
        self.suspects(first, master);
        self.suspects(second, master);
        self.later(200);
        self.reported(first, master, second);
        self.marks(first, master, &[(second, 0)], true);
        self.state(first, false, StateReason::SlotOwnerFailed);
        self.later(1);
        for node in NAMES
            .into_iter()
            .filter(|node| *node != first && *node != master)
        {
            self.fact(
                node,
                Fact::FailReceived {
                    node: id(master),
                    from: id(first),
                },
            );
            self.state(node, false, StateReason::SlotOwnerFailed);
        }
        self
    }

    /// A replica asks for votes.
    pub(super) fn asks(&mut self, replica: &str, master: &str, epoch: u64) -> &mut Self {
        self.fact(replica, Fact::CurrentEpoch { epoch });
        self.fact(
            replica,
            Fact::ElectionStarted {
                epoch,
                master: id(master),
                needed: 2,
            },
        )
    }

    pub(super) fn votes(&mut self, voter: &str, to: &str, master: &str, epoch: u64) -> &mut Self {
        self.fact(voter, Fact::CurrentEpoch { epoch });
        let (to, master) = (id(to), id(master));
        self.fact(
            voter,
            Fact::VoteGranted {
                to,
                master: Box::new(master),
                epoch,
            },
        );
        let node = number(voter);
        let (synced, current_epoch, last_vote_epoch) = (true, epoch, epoch);
        self.event(Event::StateSaved {
            node,
            synced,
            current_epoch,
            last_vote_epoch,
        })
    }

    pub(super) fn counts(
        &mut self,
        replica: &str,
        from: &str,
        epoch: u64,
        votes: u16,
    ) -> &mut Self {
        let (voter_epoch, election_epoch) = (epoch, epoch);
        let from = id(from);
        self.fact(
            replica,
            Fact::VoteReceived {
                from,
                voter_epoch,
                election_epoch,
                votes,
            },
        )
    }

    pub(super) fn wins(
        &mut self,
        replica: &str,
        master: &str,
        epoch: u64,
        how: FailoverKind,
        offset: u64,
    ) -> &mut Self {
        let master = id(master);
        self.fact(
            replica,
            Fact::ElectionWon {
                epoch,
                votes: 2,
                needed: 2,
                master,
                how,
                offset,
            },
        )
    }

    /// A replica is a master now, and every other running node learns of it.
    pub(super) fn takes_over(
        &mut self,
        replica: &str,
        master: &str,
        epoch: u64,
        offset: u64,
        learners: &[&str],
    ) -> &mut Self {
        let shard = number(master) as usize % 3;
        let why = RoleChange::Promoted;
        self.fact(
            replica,
            Fact::ConfigEpoch {
                epoch,
                why: EpochChange::Election,
            },
        );
        self.fact(
            replica,
            Fact::Role {
                replica_of: None,
                why,
            },
        );
        let (forked, previous) = (history(shard as u8 + 11), history(shard as u8 + 1));
        self.fact(
            replica,
            Fact::ReplicationIdChanged {
                id: forked,
                previous: Box::new(previous),
                offset,
            },
        );
        let owner = Some(id(replica));
        self.owned(replica, owner, epoch, THIRDS[shard], SlotChange::Promoted);
        self.state(replica, true, StateReason::AllGood);
        self.later(1);
        for learner in learners {
            let node = id(replica);
            self.fact(learner, Fact::PeerConfigEpoch { node, epoch });
            self.fact(
                learner,
                Fact::PeerRole {
                    node,
                    replica_of: None,
                },
            );
            self.owned(learner, owner, epoch, THIRDS[shard], SlotChange::Claimed);
            self.state(learner, true, StateReason::AllGood);
        }
        self
    }

    /// `r1` replaces `m1` by the book, in epoch 4, at the offset it has.
    pub(super) fn elect_r1(&mut self, offset: u64) -> &mut Self {
        let scheduled = Fact::ElectionScheduled {
            master: id("m1"),
            delay_ms: 600,
            rank: 0,
            offset,
            manual: false,
        };
        self.fact("r1", scheduled);
        self.later(700).asks("r1", "m1", 4);
        self.later(1)
            .votes("m2", "r1", "m1", 4)
            .votes("m3", "r1", "m1", 4);
        self.later(1)
            .counts("r1", "m2", 4, 1)
            .counts("r1", "m3", 4, 2);
        self.wins("r1", "m1", 4, FailoverKind::Automatic, offset);
        self.takes_over("r1", "m1", 4, offset, &["m2", "m3", "r2", "r3"])
    }

    /// `m1` runs again and learns that `r1` is its master now.
    pub(super) fn m1_follows_r1(&mut self, offset: u64) -> &mut Self {
        let (r1, m1) = (id("r1"), id("m1"));
        self.fact("m1", Fact::CurrentEpoch { epoch: 4 });
        self.fact("m1", Fact::PeerConfigEpoch { node: r1, epoch: 4 });
        self.fact(
            "m1",
            Fact::PeerRole {
                node: r1,
                replica_of: None,
            },
        );
        self.owned("m1", Some(r1), 4, THIRDS[0], SlotChange::Claimed);
        self.fact(
            "m1",
            Fact::Role {
                replica_of: Some(r1),
                why: RoleChange::SlotsTaken,
            },
        );
        let done = Fact::FullResyncDone {
            id: history(11),
            offset,
            keys: 0,
        };
        self.fact("m1", done);
        self.state("m1", true, StateReason::AllGood);
        self.later(1);
        for learner in ["m2", "m3", "r1", "r2", "r3"] {
            self.fact(
                learner,
                Fact::PeerRole {
                    node: m1,
                    replica_of: Some(r1),
                },
            );
        }
        self
    }

    // -- clients -------------------------------------------------------------------------------

    /// An operation of `c1` on key `key` in the slots of `m1`, ending now.
    pub(super) fn operation(
        &mut self,
        key: u64,
        write: Option<u64>,
        node: &str,
        took_ms: u64,
        outcome: Outcome,
    ) -> &mut Self {
        let operation = Operation {
            client: 0,
            number: self.operations,
            issued_us: self.at_us - took_ms * 1000,
            write,
            key,
            slot: 7,
            node: Some(number(node)),
            requests: 1,
            outcome,
        };
        self.operations += 1;
        self.event(Event::Operation(operation))
    }

    /// A write that is issued in a ms, and that a node executes, streams and acknowledges 2 ms
    /// later. Its digest is `write`.
    pub(super) fn write(&mut self, key: u64, write: u64, node: &str, offset: u64) -> &mut Self {
        self.later(2).fact(node, Fact::Wrote { write, offset });
        let shard = match node {
            "r1" => 11,
            master => number(master) as u8 % 3 + 1,
        };
        self.stream(node, shard, offset, offset);
        self.later(1)
            .operation(key, Some(write), node, 2, Outcome::Ok)
    }

    /// A replica applied its shard's stream.
    pub(super) fn applied(&mut self, node: &str, offset: u64) -> &mut Self {
        let shard = number(node) as u8 % 3 + 1;
        self.stream(node, shard, offset, offset)
    }

    pub(super) fn converged(&mut self) -> &mut Self {
        self.phase(Phase::Heal).phase(Phase::Converge);
        self.later(10_000).phase(Phase::Audit)
    }

    pub(super) fn audited(&mut self, key: u64, found: Option<u64>, node: &str) -> &mut Self {
        self.event(Event::Audited {
            key,
            found,
            node: Some(number(node)),
        })
    }

    /// Ends the log and judges it.
    pub(super) fn check(&mut self) -> Findings {
        self.phase(Phase::Done);
        check(&self.trace)
    }

    /// Heals, converges, and judges.
    pub(super) fn converge_and_check(&mut self) -> Findings {
        self.converged().check()
    }
}

/// Number of a node.
pub(super) fn number(name: &str) -> NodeNumber {
    NAMES
        .iter()
        .position(|known| *known == name)
        .expect("a node of the log") as NodeNumber
}

/// Id of a node.
pub(super) fn id(name: &str) -> NodeId {
    NodeId([number(name) as u8 + 1; 20])
}

/// The n-th replication history: 1 to 3 of the masters, 11 to 13 of their replicas once promoted.
pub(super) fn history(number: u8) -> ReplicationId {
    ReplicationId([number; 20])
}

/// Asserts that nothing is wrong.
#[track_caller]
pub(super) fn assert_valid(findings: &Findings) {
    assert!(
        findings.verdict() == Verdict::Valid,
        "expected a valid log, got {:#?}\n{:#?}",
        findings.violations,
        findings.unknowns
    );
}

/// Asserts that exactly one rule is broken, and that its violation says `words`.
#[track_caller]
pub(super) fn assert_breaks(findings: &Findings, code: Code, words: &str) {
    assert_eq!(findings.broken(), [code], "{:#?}", findings.violations);
    let said: Vec<&str> = findings
        .violations
        .iter()
        .map(|violation| violation.words.as_str())
        .collect();
    assert!(
        said.iter().any(|said| said.contains(words)),
        "{words:?} is not in {said:#?}"
    );
}
