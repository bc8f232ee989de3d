//! The rules of the cluster protocol, one node at a time: scripted peers speak, the node answers.

#![allow(
    clippy::expect_used,
    clippy::panic,
    clippy::wildcard_enum_match_arm,
    unreachable_pub,
    reason = "a test names what it looks for and fails loudly"
)]

use std::net::{IpAddr, Ipv4Addr};
use std::sync::Arc;

use bytes::Bytes;
use proptest::prelude::*;
use redrill_node::{
    Action, Address, Body, ClientId, CommandLine, Config, ElectionReset, Engine, Fact, Gossip,
    Header, Input, LinkId, Message, MessageFlags, Mono, Node, NodeFlags, NodeId, Now, Ping, Quirk,
    Reply, SavedNode, SavedState, Seed, Slot, SlotRange, SlotSet, VoteRefusal, WallMillis, Word,
};

const TIMEOUT_MS: i64 = 2000;

/// Node 0 is the node under test; 0 to 2 are masters of a third each, 3 to 5 their replicas.
struct Lone {
    node: Node,
    now_ms: i64,
    actions: Vec<Action>,
}

fn id(peer: u8) -> NodeId {
    NodeId([peer + 1; 20])
}

fn ip(peer: u8) -> IpAddr {
    IpAddr::V4(Ipv4Addr::new(10, 0, 0, peer + 1))
}

fn address(peer: u8) -> Address {
    Address {
        ip: Some(ip(peer)),
        port: 6379,
        bus_port: 16379,
    }
}

fn third(master: u8) -> SlotSet {
    let bound = |index: u8| (16384 * usize::from(index) / 3) as Slot;
    SlotSet::from(SlotRange {
        first: bound(master),
        last: bound(master + 1) - 1,
    })
}

fn saved(myself: u8) -> SavedState {
    let nodes = (0..6).map(|peer| SavedNode {
        id: id(peer),
        address: address(peer),
        hostname: None,
        shard_id: None,
        flags: if peer < 3 {
            NodeFlags::MASTER
        } else {
            NodeFlags::REPLICA
        } | if peer == myself {
            NodeFlags::MYSELF
        } else {
            NodeFlags::empty()
        },
        replica_of: (peer >= 3).then(|| id(peer - 3)),
        ping_sent_ms: 0,
        pong_received_ms: 0,
        config_epoch: if peer < 3 { u64::from(peer) + 1 } else { 0 },
        link_up: false,
        slots: Arc::new(if peer < 3 {
            third(peer)
        } else {
            SlotSet::new()
        }),
        migrating: Vec::new(),
        importing: Vec::new(),
    });
    SavedState {
        nodes: nodes.collect(),
        current_epoch: 6,
        last_vote_epoch: 0,
    }
}

impl Lone {
    fn new(myself: u8) -> Self {
        Self::with(myself, |_| {})
    }

    fn with(myself: u8, config: impl FnOnce(&mut Config)) -> Self {
        let mut wanted = Config {
            announce_ip: Some(ip(myself)),
            cluster_node_timeout_ms: TIMEOUT_MS,
            protected_mode: false,
            ..Config::default()
        };
        config(&mut wanted);
        let now_ms = 1_700_000_000_000;
        let now = Now {
            mono: Mono(0),
            wall: WallMillis(now_ms),
        };
        let node = Node::new(wanted, Seed([3; 32]), Some(saved(myself)), now).expect("usable");
        let mut lone = Self {
            node,
            now_ms,
            actions: Vec::new(),
        };
        for peer in (0..6).filter(|&peer| peer != myself) {
            let local = ip(myself);
            let link = LinkId(u64::from(peer) * 2 + 1);
            lone.input(Input::LinkAccepted {
                link,
                peer: ip(peer),
                local,
            });
        }
        // Links to everyone come up at the first cron.
        lone.pass_ms(100);
        let opened: Vec<LinkId> = (lone.actions.iter())
            .filter_map(|action| match action {
                Action::ConnectLink { link, .. } => Some(*link),
                _ => None,
            })
            .collect();
        for link in opened {
            lone.input(Input::LinkUp { link });
        }
        lone.actions.clear();
        lone
    }

    fn input(&mut self, input: Input) {
        let mono = Mono((self.now_ms - 1_700_000_000_000).unsigned_abs() * 1000);
        let now = Now {
            mono,
            wall: WallMillis(self.now_ms),
        };
        self.node.handle(now, input, &mut self.actions);
        self.node.handle(now, Input::TurnEnd, &mut self.actions);
    }

    /// Lets time pass with a cron each 100 ms.
    fn pass_ms(&mut self, millis: i64) {
        for _ in 0..millis / 100 {
            self.now_ms += 100;
            self.input(Input::Wake);
        }
    }

    fn hear(&mut self, from: u8, change: impl FnOnce(&mut Message)) {
        let mut message = Message {
            header: Header {
                sender: id(from),
                current_epoch: 6,
                config_epoch: u64::from(from % 3) + 1,
                offset: 0,
                slots: Arc::new(third(from % 3)),
                replica_of: (from >= 3).then(|| id(from - 3)),
                ip: Some(ip(from)),
                port: 6379,
                plain_port: 0,
                bus_port: 16379,
                flags: if from < 3 {
                    NodeFlags::MASTER
                } else {
                    NodeFlags::REPLICA
                },
                state_ok: true,
                message_flags: MessageFlags::empty(),
            },
            body: Body::Ping(Ping::default()),
        };
        change(&mut message);
        self.input(Input::Bus {
            link: LinkId(u64::from(from) * 2 + 1),
            message: message.into(),
        });
    }

    fn hear_report(&mut self, from: u8, about: u8, flags: NodeFlags) {
        self.hear(from, |message| {
            message.body = Body::Ping(about_node(about, flags))
        });
    }

    fn hear_fail(&mut self, from: u8, about: u8) {
        self.hear(from, |message| message.body = Body::Fail(id(about)));
    }

    fn ask_for_vote(&mut self, from: u8, epoch: u64) {
        self.hear(from, |message| {
            message.header.current_epoch = epoch;
            message.body = Body::FailoverAuthRequest;
        });
    }

    fn facts(&self) -> Vec<&Fact> {
        let facts = self.actions.iter().filter_map(|action| match action {
            Action::Note(fact) => Some(fact),
            _ => None,
        });
        facts.collect()
    }

    fn sent(&self, wanted: impl Fn(&Body) -> bool) -> usize {
        let sent = self.actions.iter().filter(|action| match action {
            Action::SendBus { message, .. } => wanted(&message.body),
            _ => false,
        });
        sent.count()
    }

    fn last_refusal(&self) -> Option<VoteRefusal> {
        self.facts().into_iter().rev().find_map(|fact| match fact {
            Fact::VoteRefused { why, .. } => Some(**why),
            _ => None,
        })
    }

    fn granted(&self) -> usize {
        self.facts()
            .into_iter()
            .filter(|fact| matches!(fact, Fact::VoteGranted { .. }))
            .count()
    }

    fn owner(&self, slot: Slot) -> Option<NodeId> {
        self.node.view().owner(slot)
    }
}

fn about_node(about: u8, flags: NodeFlags) -> Ping {
    let role = if about < 3 {
        NodeFlags::MASTER
    } else {
        NodeFlags::REPLICA
    };
    let entry = Gossip {
        node: id(about),
        ping_sent_s: 0,
        pong_received_s: 0,
        address: address(about),
        plain_port: 0,
        flags: role | flags,
    };
    Ping {
        gossip: vec![entry].into(),
        ..Ping::default()
    }
}

// -- failure detection ----------------------------------------------------------------------

#[test]
fn silence_for_longer_than_the_node_timeout_is_suspected() {
    let mut lone = Lone::new(0);
    lone.pass_ms(TIMEOUT_MS);
    assert!(
        !lone
            .facts()
            .iter()
            .any(|fact| matches!(fact, Fact::PossiblyFailing { .. }))
    );
    lone.pass_ms(TIMEOUT_MS);
    let suspects = lone
        .facts()
        .into_iter()
        .filter(|fact| matches!(fact, Fact::PossiblyFailing { .. }));
    assert_eq!(suspects.count(), 5);
}

#[test]
fn data_of_any_kind_holds_a_suspicion_back() {
    let mut lone = Lone::new(0);
    for _ in 0..10 {
        lone.pass_ms(1000);
        lone.hear_fail(1, 9);
    }
    let suspected = |fact: &&Fact| **fact == Fact::PossiblyFailing { node: id(1) };
    assert!(!lone.facts().iter().any(suspected));
}

fn with_suspect(about: u8) -> Lone {
    let mut lone = Lone::new(0);
    for _ in 0..TIMEOUT_MS * 2 / 500 {
        lone.pass_ms(500);
        for peer in (1..6).filter(|&peer| peer != about) {
            lone.hear(peer, |_| {});
        }
    }
    assert!(
        lone.facts()
            .contains(&&Fact::PossiblyFailing { node: id(about) })
    );
    lone.actions.clear();
    lone
}

#[test]
fn a_quorum_of_masters_makes_a_fail_and_replicas_do_not_count() {
    let mut lone = with_suspect(1);
    lone.hear_report(3, 1, NodeFlags::PFAIL);
    lone.hear_report(5, 1, NodeFlags::PFAIL);
    assert_eq!(lone.sent(|body| matches!(body, Body::Fail(_))), 0);
    lone.hear_report(2, 1, NodeFlags::PFAIL);
    assert_eq!(lone.sent(|body| *body == Body::Fail(id(1))), 5);
}

#[test]
fn a_report_expires_after_two_node_timeouts() {
    let mut lone = Lone::new(0);
    lone.hear_report(2, 1, NodeFlags::PFAIL);
    for _ in 0..2 * TIMEOUT_MS / 100 + 1 {
        lone.pass_ms(100);
        lone.hear(2, |message| message.body = Body::FailoverAuthAck);
    }
    // It suspects node 1 itself by now, but the report is too old to count.
    let suspected = |fact: &&Fact| **fact == Fact::PossiblyFailing { node: id(1) };
    assert!(lone.facts().iter().any(suspected));
    lone.hear_report(4, 1, NodeFlags::PFAIL);
    lone.hear(2, |message| message.body = Body::FailoverAuthAck);
    assert_eq!(lone.sent(|body| matches!(body, Body::Fail(_))), 0);
}

#[test]
fn a_fail_message_is_believed_and_not_passed_on() {
    let mut lone = Lone::new(0);
    lone.hear_fail(2, 1);
    assert!(lone.facts().contains(&&Fact::FailReceived {
        node: id(1),
        from: id(2)
    }));
    assert_eq!(lone.sent(|body| matches!(body, Body::Fail(_))), 0);
}

#[test]
fn nobody_is_talked_into_its_own_failure() {
    let mut lone = Lone::new(0);
    lone.hear_fail(1, 0);
    lone.hear_report(1, 0, NodeFlags::FAIL);
    lone.hear_report(2, 0, NodeFlags::FAIL);
    assert!(!lone.facts().iter().any(|fact| matches!(
        fact,
        Fact::FailReceived { .. } | Fact::MarkedFailing { .. } | Fact::FailureReported { .. }
    )));
}

// -- votes ----------------------------------------------------------------------------------

#[test]
fn a_vote_is_saved_before_it_leaves() {
    let mut lone = Lone::new(0);
    lone.hear_fail(2, 1);
    lone.actions.clear();
    lone.ask_for_vote(4, 7);
    let saved = lone.actions.iter().position(|action| match action {
        Action::Persist { state, sync } => *sync && state.last_vote_epoch == 7,
        _ => false,
    });
    let left = lone.actions.iter().position(|action| match action {
        Action::SendBus { message, .. } => message.body == Body::FailoverAuthAck,
        _ => false,
    });
    assert!(saved.expect("saved") < left.expect("sent"));
}

#[test]
fn a_voter_never_votes_twice_in_one_epoch() {
    let mut lone = Lone::new(0);
    lone.hear_fail(2, 1);
    lone.ask_for_vote(4, 7);
    lone.ask_for_vote(4, 7);
    assert_eq!(
        (lone.granted(), lone.last_refusal()),
        (1, Some(VoteRefusal::AlreadyVoted))
    );
}

#[test]
fn a_voter_remembers_its_vote_across_a_restart() {
    let mut state = saved(0);
    state.current_epoch = 7;
    state.last_vote_epoch = 7;
    let config = Config {
        cluster_node_timeout_ms: TIMEOUT_MS,
        ..Config::default()
    };
    let now = Now {
        mono: Mono(0),
        wall: WallMillis(1_700_000_000_000),
    };
    let mut lone = Lone::new(0);
    lone.node = Node::new(config, Seed([1; 32]), Some(state), now).expect("usable");
    for peer in [2, 4] {
        let link = LinkId(u64::from(peer) * 2 + 1);
        lone.input(Input::LinkAccepted {
            link,
            peer: ip(peer),
            local: ip(0),
        });
    }
    lone.hear_fail(2, 1);
    lone.ask_for_vote(4, 7);
    assert_eq!(
        (lone.granted(), lone.last_refusal()),
        (0, Some(VoteRefusal::AlreadyVoted))
    );
}

#[test]
fn a_request_of_an_older_epoch_is_refused() {
    let mut lone = Lone::new(0);
    lone.hear_fail(2, 1);
    lone.hear(2, |message| message.header.current_epoch = 9);
    lone.ask_for_vote(4, 8);
    assert_eq!(
        lone.last_refusal(),
        Some(VoteRefusal::StaleEpoch { current_epoch: 9 })
    );
}

#[test]
fn a_replica_of_a_living_master_is_refused_unless_it_forces() {
    let mut lone = Lone::new(0);
    lone.ask_for_vote(4, 7);
    assert_eq!(lone.last_refusal(), Some(VoteRefusal::MasterIsUp));
    lone.hear(4, |message| {
        message.header.current_epoch = 7;
        message.header.message_flags = MessageFlags::FORCEACK;
        message.body = Body::FailoverAuthRequest;
    });
    assert_eq!(lone.granted(), 1);
}

#[test]
fn one_master_is_voted_for_once_in_two_node_timeouts() {
    let mut lone = Lone::new(0);
    lone.hear_fail(2, 1);
    lone.ask_for_vote(4, 7);
    lone.ask_for_vote(4, 8);
    let guarded = VoteRefusal::VotedForThatMaster {
        wait_ms: 2 * TIMEOUT_MS,
    };
    assert_eq!((lone.granted(), lone.last_refusal()), (1, Some(guarded)));
    lone.now_ms += 2 * TIMEOUT_MS;
    lone.ask_for_vote(4, 9);
    assert_eq!(lone.granted(), 2);
}

#[test]
fn a_stale_claim_to_a_slot_gets_no_vote() {
    let mut lone = Lone::new(0);
    // Master 2 took one of master 1's slots under a higher epoch.
    let mut slots = third(2);
    slots.insert(6000);
    lone.hear(2, |message| {
        message.header.config_epoch = 12;
        message.header.current_epoch = 12;
        message.header.slots = Arc::new(slots);
    });
    lone.hear_fail(2, 1);
    lone.ask_for_vote(4, 13);
    let stale = VoteRefusal::StaleSlotEpoch {
        slot: 6000,
        slot_epoch: 12,
        request_epoch: 2,
    };
    assert_eq!(lone.last_refusal(), Some(stale));
}

#[test]
fn a_master_without_slots_does_not_vote() {
    let mut lone = Lone::new(3);
    lone.hear_fail(2, 1);
    lone.ask_for_vote(4, 7);
    assert_eq!((lone.granted(), lone.last_refusal()), (0, None));
}

// -- engines ---------------------------------------------------------------------------------

/// Every engine with a node of it, and whether it has a quirk.
fn engines(quirk: Quirk, myself: u8) -> impl Iterator<Item = (Engine, Lone, bool)> {
    let all = Engine::ALL.iter().copied();
    all.map(move |engine| {
        let lone = Lone::with(myself, |config| {
            config.engine = engine;
            // It never had a master's stream.
            config.cluster_replica_validity_factor = 0;
        });
        (engine, lone, engine.has(quirk))
    })
}

impl Lone {
    fn command(&mut self, line: &str) {
        let client = ClientId(1);
        let peer = std::net::SocketAddr::new(ip(200), 50_000);
        self.input(Input::ClientAccepted {
            client,
            peer,
            local: ip(0),
        });
        let words = line.split(' ').map(|word| word.as_bytes());
        let command: Vec<redrill_node::Word> =
            words.map(redrill_node::Word::copy_from_slice).collect();
        self.input(Input::Command {
            client,
            wire_len: redrill_node::wire::resp::command_len(&command),
            command: command.into(),
        });
        self.input(Input::ClientClosed { client });
    }

    /// The delays of the elections it scheduled.
    fn delays_ms(&self) -> Vec<i64> {
        let delays = self.facts().into_iter().filter_map(|fact| match fact {
            Fact::ElectionScheduled { delay_ms, .. } => Some(*delay_ms),
            _ => None,
        });
        delays.collect()
    }

    fn asked(&self) -> usize {
        let asked = |fact: &&Fact| matches!(fact, Fact::ElectionStarted { .. });
        self.facts().into_iter().filter(asked).count()
    }

    fn reset_by(&self) -> Vec<ElectionReset> {
        let resets = self.facts().into_iter().filter_map(|fact| match fact {
            Fact::ElectionReset { why, .. } => Some(*why),
            _ => None,
        });
        resets.collect()
    }
}

#[test]
fn later_engines_vote_for_one_masters_replicas_as_often_as_asked() {
    for (engine, mut lone, new) in engines(Quirk::NoVoteGuard, 0) {
        lone.hear_fail(2, 1);
        lone.ask_for_vote(4, 7);
        lone.ask_for_vote(4, 8);
        assert_eq!(lone.granted(), if new { 2 } else { 1 }, "{engine:?}");
        lone.ask_for_vote(4, 8);
        let twice = Some(VoteRefusal::AlreadyVoted);
        assert!(
            !new || lone.last_refusal() == twice,
            "{engine:?}: one epoch, one vote"
        );
    }
}

#[test]
fn a_candidate_that_hears_its_epoch_claimed_begins_anew() {
    for (engine, mut lone, new) in engines(Quirk::ClaimResetsElection, 3) {
        lone.hear_fail(1, 0);
        lone.pass_ms(1200);
        assert_eq!(lone.asked(), 1, "{engine:?}");
        lone.actions.clear();
        lone.hear(2, |message| {
            message.header.current_epoch = 7;
            message.header.config_epoch = 7;
        });
        let by = id(2);
        let claim = ElectionReset::Claim { by, epoch: 7 };
        let wanted = if new { vec![claim] } else { vec![] };
        assert_eq!(lone.reset_by(), wanted, "{engine:?}");
        lone.pass_ms(1200);
        // Otherwise it waits for twice the time an election may take.
        assert_eq!(lone.asked(), usize::from(new), "{engine:?}");
    }
}

#[test]
fn a_late_vote_of_an_election_that_was_given_up_counts_for_the_next() {
    // As upstream from Valkey 8.1: the epoch of the election changes only with the next request.
    for (engine, mut lone, new) in engines(Quirk::ClaimResetsElection, 3) {
        lone.hear_fail(1, 0);
        lone.pass_ms(1200);
        lone.hear(2, |message| {
            message.header.current_epoch = 7;
            message.header.config_epoch = 7;
        });
        let vote = |lone: &mut Lone, from: u8, epoch: u64| {
            lone.hear(from, |message| {
                message.header.current_epoch = epoch;
                message.header.config_epoch = if from == 2 { 7 } else { 2 };
                message.body = Body::FailoverAuthAck;
            });
        };
        vote(&mut lone, 1, 7);
        lone.pass_ms(1200);
        if new {
            assert_eq!(lone.asked(), 2, "{engine:?}");
            vote(&mut lone, 2, 8);
        }
        let won = |fact: &&Fact| {
            matches!(
                fact,
                Fact::ElectionWon {
                    epoch: 8,
                    votes: 2,
                    ..
                }
            )
        };
        let wins = lone.facts().into_iter().filter(won).count();
        assert_eq!(wins, usize::from(new), "{engine:?}: {:?}", lone.facts());
    }
}

#[test]
fn replicas_of_several_failed_masters_stand_in_line_by_shard() {
    for (engine, mut lone, new) in engines(Quirk::FailedMasterRank, 4) {
        for about in [0, 1, 2] {
            lone.hear_fail((about + 1) % 3, about);
        }
        lone.pass_ms(100);
        let fixed_ms = if engine.has(Quirk::DelayScalesWithTimeout) {
            TIMEOUT_MS / 30
        } else {
            500
        };
        // Master 0 comes first, master 2 later.
        let rank_ms = if new { fixed_ms } else { 0 };
        let delay_ms = lone.delays_ms()[0];
        let wanted = fixed_ms + rank_ms..2 * fixed_ms + rank_ms;
        assert!(
            wanted.contains(&delay_ms),
            "{engine:?}: {delay_ms} not in {wanted:?}"
        );
    }
}

#[test]
fn a_rank_may_become_better_while_a_replica_waits() {
    for (engine, mut lone, new) in engines(Quirk::RankMayImprove, 3) {
        let sibling = |lone: &mut Lone, flags: NodeFlags| {
            lone.hear(4, |message| {
                message.header.replica_of = Some(id(0));
                message.header.offset = 1000;
                message.header.flags |= flags;
            });
        };
        sibling(&mut lone, NodeFlags::empty());
        lone.hear_fail(1, 0);
        lone.pass_ms(100);
        sibling(&mut lone, NodeFlags::NOFAILOVER);
        lone.pass_ms(100);
        let better =
            |fact: &&Fact| matches!(fact, Fact::RankUpdated { rank: 0, added_ms } if *added_ms < 0);
        let improved = lone.facts().into_iter().filter(better).count();
        let in_time = engine != Engine::Valkey90 || improved > 0 || lone.asked() == 1;
        assert!(in_time, "{engine:?}");
        assert_eq!(improved, usize::from(new), "{engine:?}: {:?}", lone.facts());
    }
}

#[test]
fn a_fail_message_starts_the_delay_at_once() {
    for (engine, mut lone, new) in engines(Quirk::FailStartsElection, 3) {
        lone.hear_fail(1, 0);
        assert_eq!(lone.delays_ms().len(), usize::from(new), "{engine:?}");
        lone.pass_ms(100);
        assert_eq!(lone.delays_ms().len(), 1, "{engine:?}");
    }
}

#[test]
fn a_manual_failover_does_not_wait_for_an_expired_election() {
    for (engine, mut lone, new) in engines(Quirk::ManualFailoverResetsElection, 3) {
        lone.hear_fail(1, 0);
        lone.pass_ms(5500);
        assert_eq!(
            lone.asked(),
            1,
            "{engine:?}: nobody voted, and the time is over"
        );
        lone.actions.clear();
        lone.command("CLUSTER FAILOVER FORCE");
        lone.pass_ms(300);
        assert_eq!(lone.asked(), usize::from(new), "{engine:?}");
        let why = if new {
            vec![ElectionReset::ManualFailover]
        } else {
            vec![]
        };
        assert_eq!(lone.reset_by(), why, "{engine:?}");
    }
}

#[test]
fn a_replicas_header_tells_the_epoch_of_its_master_not_its_own() {
    for (engine, mut lone, new) in engines(Quirk::EpochFromMastersOnly, 0) {
        lone.hear(4, |message| message.header.config_epoch = 9);
        let view = lone.node.view();
        let peer = view.peers().find(|peer| peer.id == id(4)).expect("known");
        assert_eq!(peer.config_epoch, if new { 0 } else { 9 }, "{engine:?}");
    }
}

// -- slots and epochs -----------------------------------------------------------------------

#[test]
fn slots_go_to_a_strictly_higher_epoch_only() {
    let mut lone = Lone::new(0);
    let both: Arc<SlotSet> = Arc::new(third(1).iter().chain(third(2).iter()).collect());
    lone.hear(2, |message| {
        message.header.config_epoch = 2;
        message.header.slots = Arc::clone(&both);
    });
    assert_eq!(
        lone.owner(6000),
        Some(id(1)),
        "an equal epoch takes nothing"
    );
    lone.hear(2, |message| {
        message.header.config_epoch = 8;
        message.header.slots = both;
    });
    assert_eq!(lone.owner(6000), Some(id(2)));
}

#[test]
fn a_master_with_a_stale_view_is_told_by_one_update() {
    let mut lone = Lone::new(0);
    lone.hear(4, |message| {
        message.header.config_epoch = 9;
        message.header.current_epoch = 9;
        message.header.replica_of = None;
        message.header.flags = NodeFlags::MASTER;
    });
    assert_eq!(lone.owner(6000), Some(id(4)));
    lone.actions.clear();
    lone.hear(1, |_| {});
    let told =
        |body: &Body| matches!(body, Body::Update { node, config_epoch: 9, .. } if *node == id(4));
    assert_eq!(lone.sent(told), 1);
}

#[test]
fn a_master_that_lost_all_its_slots_follows_their_new_owner() {
    let mut lone = Lone::new(0);
    lone.hear(3, |message| {
        message.header.config_epoch = 9;
        message.header.current_epoch = 9;
        message.header.replica_of = None;
        message.header.flags = NodeFlags::MASTER;
    });
    let view = lone.node.view();
    assert_eq!((view.is_master(), view.master_id()), (false, Some(id(3))));
}

#[test]
fn of_two_masters_with_one_epoch_the_smaller_id_moves_on() {
    let mut smaller = Lone::new(0);
    smaller.hear(1, |message| message.header.config_epoch = 1);
    assert_eq!(
        smaller.node.view().current_epoch(),
        6,
        "node 1 is known under epoch 2"
    );
    let mut lone = Lone::new(1);
    lone.hear(2, |message| {
        message.header.config_epoch = 3;
        message.header.current_epoch = 6;
    });
    assert_eq!(lone.node.view().current_epoch(), 6);
    let mut state = saved(0);
    state.nodes[1].config_epoch = 1;
    let config = Config {
        announce_ip: Some(ip(0)),
        ..Config::default()
    };
    let now = Now {
        mono: Mono(0),
        wall: WallMillis(1_700_000_000_000),
    };
    let mut lone = Lone::new(0);
    lone.node = Node::new(config, Seed([1; 32]), Some(state), now).expect("usable");
    lone.input(Input::LinkAccepted {
        link: LinkId(3),
        peer: ip(1),
        local: ip(0),
    });
    lone.hear(1, |message| message.header.config_epoch = 1);
    let collided = |fact: &&Fact| {
        matches!(
            fact,
            Fact::ConfigEpoch {
                epoch: 7,
                why: redrill_node::EpochChange::Collision
            }
        )
    };
    assert!(lone.facts().iter().any(collided));
}

#[test]
fn a_stranger_is_answered_but_not_believed() {
    let mut lone = Lone::new(0);
    lone.hear(1, |message| {
        message.header.sender = id(99);
        message.header.current_epoch = 1000;
        message.body = Body::Ping(about_node(77, NodeFlags::empty()));
    });
    // Link 3 is tied to node 1 only once node 1 speaks on it.
    assert_eq!(lone.node.view().current_epoch(), 6);
    assert_eq!(lone.node.view().peers().count(), 6);
    assert_eq!(lone.sent(|body| matches!(body, Body::Pong(_))), 1);
}

#[test]
fn a_forged_fail_of_a_stranger_is_ignored() {
    let mut lone = Lone::new(0);
    lone.hear(1, |message| {
        message.header.sender = id(99);
        message.body = Body::Fail(id(2));
    });
    assert!(
        lone.facts()
            .contains(&&Fact::UnknownSender { node: id(99) })
    );
    assert!(!lone.node.view().peers().any(redrill_node::Peer::is_failed));
}

proptest! {
    /// Whatever members say, in whatever order, epochs never go back and a node's own slots are
    /// its own or a higher epoch's.
    #[test]
    fn epochs_never_go_back(script in proptest::collection::vec(
        (1_u8..6, 0_u64..20, 0_u64..20, 0_u8..4, any::<bool>()), 1..60))
    {
        let mut lone = Lone::new(0);
        let mut epoch = lone.node.view().current_epoch();
        let mut owned_under = 1;
        for (from, current, config, kind, as_master) in script {
            lone.pass_ms(100);
            lone.hear(from, |message| {
                message.header.current_epoch = current;
                message.header.config_epoch = config;
                if as_master {
                    message.header.replica_of = None;
                    message.header.flags = NodeFlags::MASTER;
                }
                message.body = match kind {
                    0 => Body::Ping(Ping::default()),
                    1 => Body::FailoverAuthRequest,
                    2 => Body::Fail(id(1)),
                    _ => Body::Update {
                        node: id(from),
                        config_epoch: config,
                        slots: Arc::new(third(0)),
                    },
                };
            });
            let now = lone.node.view().current_epoch();
            prop_assert!(now >= epoch, "{epoch} -> {now}");
            epoch = now;
            let view = lone.node.view();
            let cluster = view.cluster();
            if let Some(owner) = cluster.owner(0) {
                let under = cluster[owner].config_epoch;
                prop_assert!(under >= owned_under, "slot 0: {owned_under} -> {under}");
                owned_under = under;
            }
        }
    }

    /// Each node grants at most one vote an epoch, whatever it is asked.
    #[test]
    fn at_most_one_vote_an_epoch(requests in proptest::collection::vec((3_u8..6, 5_u64..12, 0_i64..5000), 1..40)) {
        let mut lone = Lone::new(0);
        lone.hear_fail(2, 1);
        lone.hear_fail(1, 2);
        for (from, epoch, wait_ms) in requests {
            lone.now_ms += wait_ms;
            lone.ask_for_vote(from, epoch);
        }
        let mut epochs: Vec<u64> = lone.facts().into_iter().filter_map(|fact| match fact {
            Fact::VoteGranted { epoch, .. } => Some(*epoch),
            _ => None,
        }).collect();
        let given = epochs.len();
        epochs.dedup();
        prop_assert_eq!(epochs.len(), given);
    }
}

impl Lone {
    /// What the node would say of its cluster: every node with its flags, epochs and slots, and the
    /// epoch.
    fn picture(&mut self) -> String {
        let client = ClientId(77);
        self.input(Input::ClientAccepted {
            client,
            peer: "10.9.9.9:4000".parse().expect("an address"),
            local: ip(0),
        });
        let mut picture = String::new();
        for words in [["CLUSTER", "NODES"], ["CLUSTER", "INFO"]] {
            self.actions.clear();
            let command: CommandLine = words.map(Word::from).into();
            self.input(Input::Command {
                client,
                command,
                wire_len: 0,
            });
            for action in &self.actions {
                if let Action::Reply {
                    reply: Reply::Verbatim(text),
                    ..
                } = action
                {
                    let is_counted = |line: &&str| !line.starts_with("cluster_stats");
                    picture.extend(
                        text.lines()
                            .filter(is_counted)
                            .map(|line| format!("{line}\n")),
                    );
                }
            }
        }
        self.input(Input::ClientClosed { client });
        self.actions.clear();
        assert!(picture.contains("cluster_current_epoch"), "{picture}");
        picture
    }
}

fn every_body() -> Vec<Body> {
    vec![
        Body::Ping(about_node(1, NodeFlags::FAIL)),
        Body::Pong(about_node(1, NodeFlags::FAIL)),
        Body::Fail(id(1)),
        Body::FailoverAuthRequest,
        Body::FailoverAuthAck,
        Body::Update {
            node: id(1),
            config_epoch: 99,
            slots: Arc::new(third(0)),
        },
        Body::ManualFailoverStart,
        Body::Publish {
            channel: Bytes::from_static(b"news"),
            message: Bytes::from_static(b"text"),
            sharded: false,
        },
    ]
}

#[test]
fn whoever_is_no_member_changes_nothing_whatever_it_says() {
    for body in every_body() {
        let mut lone = Lone::new(0);
        let before = lone.picture();
        let speaks_of_nodes = matches!(body, Body::Ping(_) | Body::Pong(_) | Body::Fail(_));
        let link = LinkId(99);
        let (peer, local) = (ip(40), ip(0));
        lone.input(Input::LinkAccepted { link, peer, local });
        for _ in 0..3 {
            lone.hear(2, |message| {
                message.header.sender = id(40);
                message.header.current_epoch = 99;
                message.header.config_epoch = 99;
                message.header.slots = Arc::new(third(0));
                message.body = body.clone();
            });
        }
        let unknown = |fact: &&Fact| matches!(fact, Fact::UnknownSender { .. });
        if speaks_of_nodes {
            assert!(lone.facts().iter().any(unknown), "{body:?}");
        }
        assert_eq!(lone.granted(), 0);
        assert_eq!(lone.picture(), before, "{body:?}");
    }
}

#[test]
fn a_replayed_epoch_changes_nothing() {
    let mut lone = Lone::new(0);
    lone.hear(1, |message| message.header.config_epoch = 9);
    lone.pass_ms(200);
    let before = lone.picture();
    // A packet of before, kept by somebody, which claims what its sender had then.
    lone.hear(1, |message| {
        message.header.current_epoch = 2;
        message.header.config_epoch = 1;
        message.header.slots = Arc::new(third(2));
        message.body = Body::FailoverAuthRequest;
    });
    lone.hear(2, |message| {
        message.body = Body::Update {
            node: id(1),
            config_epoch: 2,
            slots: Arc::new(third(0)),
        };
    });
    lone.hear(4, |message| {
        message.header.current_epoch = 2;
        message.body = Body::FailoverAuthAck;
    });
    assert_eq!(lone.granted(), 0);
    assert_eq!(lone.picture(), before);
}

#[test]
fn packets_that_are_none_are_noted_and_change_nothing() {
    let captured = include_bytes!("fixtures/bus-packets.bin");
    let changes: [&[(usize, u8)]; 4] = [
        // A foreign signature, a length, a version and a count that lie.
        &[(0, b'X')],
        &[(4, 0xff)],
        &[(9, 9)],
        &[(14, 0xff), (15, 0xff)],
    ];
    for changed in changes {
        let len = u32::from_be_bytes([captured[4], captured[5], captured[6], captured[7]]);
        let mut packet = captured[..len as usize].to_vec();
        for &(place, byte) in changed {
            packet[place] = byte;
        }
        let error = redrill_node::wire::bus::decode(&packet).expect_err("no packet");
        let mut lone = Lone::new(0);
        let before = lone.picture();
        let link = LinkId(3);
        lone.input(Input::BadPacket {
            link,
            error: Box::new(error),
        });
        let noted = |fact: &&Fact| matches!(fact, Fact::BadPacket { .. });
        assert!(lone.facts().iter().any(noted), "{changed:?}");
        assert_eq!(lone.picture(), before);
    }
}
