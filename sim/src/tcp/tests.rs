use proptest::prelude::*;

use super::Side::{Accepter, Opener};
use super::*;
use crate::network::Degradation;
use crate::network::tests::constant;

const LATENCY_US: u64 = 100;
const LOOPBACK: u32 = 65_483;
const MS: u64 = 1_000;

/// A connection between hosts 0 and 1 whose applications read at once what arrives.
struct Bench {
    connection: Connection,
    network: Network,
    now_us: u64,
    /// (time, side, bytes) of everything that arrived.
    arrivals: Vec<(u64, Side, u64)>,
    eof: [bool; 2],
    broken: [Option<Break>; 2],
    writable: [bool; 2],
    reads: [bool; 2],
}

impl Bench {
    fn new(segment_bytes: u32) -> Self {
        Self {
            connection: Connection::new(0, 1, segment_bytes),
            network: constant(LATENCY_US, 2, segment_bytes),
            now_us: 0,
            arrivals: Vec::new(),
            eof: [false; 2],
            broken: [None; 2],
            writable: [false; 2],
            reads: [true; 2],
        }
    }

    fn nodelay(segment_bytes: u32) -> Self {
        let mut bench = Self::new(segment_bytes);
        for side in Side::BOTH {
            bench
                .connection
                .set_nodelay(side, true, 0, &mut bench.network);
        }
        bench
    }

    fn write(&mut self, side: Side, bytes: u64) -> u64 {
        self.connection
            .write(side, bytes, self.now_us, &mut self.network)
    }

    fn close(&mut self, side: Side) {
        self.connection.close(side, self.now_us, &mut self.network);
    }

    fn fault(&mut self, change: impl FnOnce(&mut Network)) {
        self.look();
        change(&mut self.network);
    }

    fn cut_both(&mut self) {
        self.fault(|network| {
            network.cut(0, 1);
            network.cut(1, 0);
        });
    }

    fn heal_both(&mut self) {
        self.fault(|network| {
            network.heal(0, 1);
            network.heal(1, 0);
        });
    }

    /// Runs until `at_us`.
    fn until(&mut self, at_us: u64) -> &mut Self {
        loop {
            let next_us = self.connection.next_event_us().max(self.now_us);
            if next_us > at_us {
                break;
            }
            self.now_us = next_us;
            self.look();
        }
        self.now_us = at_us;
        self
    }

    fn look(&mut self) {
        let progress = self.connection.poll(self.now_us, &mut self.network);
        for (side, progress) in Side::BOTH.into_iter().zip(progress) {
            let place = side as usize;
            if progress.arrived_bytes > 0 {
                self.arrivals
                    .push((self.now_us, side, progress.arrived_bytes));
                if self.reads[place] {
                    let bytes = progress.arrived_bytes;
                    self.connection
                        .read(side, bytes, self.now_us, &mut self.network);
                }
            }
            self.eof[place] |= progress.eof;
            self.broken[place] = self.broken[place].or(progress.broken);
            self.writable[place] |= progress.writable;
        }
    }

    /// Reads what waits, and from now on all that arrives.
    fn start_reading(&mut self, side: Side) {
        self.reads[side as usize] = true;
        let bytes = self.connection.unread_bytes(side);
        self.connection
            .read(side, bytes, self.now_us, &mut self.network);
    }

    fn arrived_at(&self, side: Side) -> Vec<(u64, u64)> {
        let of_side = self.arrivals.iter().filter(|arrival| arrival.1 == side);
        of_side.map(|&(at_us, _, bytes)| (at_us, bytes)).collect()
    }

    /// A request and its answer, so that the accepter converses.
    fn converse(&mut self) {
        self.write(Opener, 2_300);
        self.until(self.now_us + LATENCY_US);
        self.write(Accepter, 2_300);
        self.until(self.now_us + 2 * LATENCY_US);
    }
}

#[test]
fn bytes_arrive_after_the_latency() {
    let mut bench = Bench::new(LOOPBACK);
    bench.write(Opener, 500);
    bench.until(MS);
    assert_eq!(bench.arrived_at(Accepter), [(LATENCY_US, 500)]);
}

#[test]
fn long_writes_travel_in_segments_within_the_window() {
    let mut bench = Bench::new(1_448);
    let bytes = 50_000;
    assert_eq!(bench.write(Opener, bytes), bytes);
    bench.until(10 * MS);
    let total: u64 = bench
        .arrived_at(Accepter)
        .iter()
        .map(|arrival| arrival.1)
        .sum();
    assert_eq!(total, bytes);
}

#[test]
fn four_gigabytes_arrive_like_the_first_kilobyte() {
    let mut bench = Bench::nodelay(LOOPBACK);
    let (rounds, bytes) = (90_000, 50_000);
    for round in 0..rounds {
        let at_us = round * MS;
        assert_eq!(bench.write(Opener, bytes), bytes);
        bench.until(at_us + MS / 2);
        bench.write(Accepter, 1);
        bench.until(at_us + MS);
        let answered_us = at_us + MS / 2 + LATENCY_US;
        let expected = [
            (at_us + LATENCY_US, Accepter, bytes),
            (answered_us, Opener, 1),
        ];
        assert_eq!(std::mem::take(&mut bench.arrivals), expected);
    }
}

#[test]
fn a_second_small_write_waits_for_the_first_ones_acknowledgement() {
    let mut bench = Bench::new(LOOPBACK);
    bench.write(Opener, 100);
    bench.write(Opener, 50);
    bench.write(Opener, 25);
    bench.until(10 * MS);
    assert_eq!(
        bench.arrived_at(Accepter),
        [(LATENCY_US, 100), (3 * LATENCY_US, 75)],
        "a fresh receiver acknowledges at once, what waited leaves together"
    );
}

#[test]
fn nodelay_does_not_wait() {
    let mut bench = Bench::nodelay(LOOPBACK);
    bench.write(Opener, 100);
    bench.until(10);
    bench.write(Opener, 50);
    bench.until(10 * MS);
    assert_eq!(
        bench.arrived_at(Accepter),
        [(LATENCY_US, 100), (LATENCY_US + 10, 50)]
    );
}

#[test]
fn a_receiver_that_converses_delays_a_one_sided_message_by_40_ms() {
    let mut bench = Bench::new(LOOPBACK);
    for _ in 0..3 {
        bench.converse();
        bench.until(bench.now_us + 500 * MS);
    }
    // A vote request that is answered on another connection, and then the news of the promotion.
    let asked_us = bench.now_us;
    bench.write(Opener, 2_256);
    bench.until(asked_us + MS);
    bench.write(Opener, 2_400);
    bench.until(asked_us + 100 * MS);
    let arrivals = bench.arrived_at(Accepter);
    let late_us = arrivals[arrivals.len() - 1].0 - asked_us;
    assert!((40 * MS..=45 * MS).contains(&late_us), "{late_us}");
}

#[test]
fn a_receiver_that_does_not_converse_acknowledges_when_read() {
    let mut bench = Bench::new(LOOPBACK);
    bench.converse();
    bench.until(500 * MS);
    // The first unanswered message is acknowledged late and ends the conversation.
    bench.write(Opener, 2_256);
    bench.until(1_000 * MS);
    let asked_us = bench.now_us;
    bench.write(Opener, 2_256);
    bench.until(asked_us + MS);
    bench.write(Opener, 2_400);
    bench.until(asked_us + 100 * MS);
    assert_eq!(
        bench.arrived_at(Accepter).last(),
        Some(&(asked_us + MS + LATENCY_US, 2_400))
    );
}

#[test]
fn an_answer_carries_the_acknowledgement() {
    let mut bench = Bench::new(LOOPBACK);
    for _ in 0..3 {
        bench.converse();
        bench.until(bench.now_us + 500 * MS);
    }
    let asked_us = bench.now_us;
    bench.write(Opener, 2_256);
    bench.until(asked_us + 10 * MS);
    bench.write(Opener, 99);
    bench.write(Accepter, 2_256);
    bench.until(asked_us + 100 * MS);
    let expected_us = asked_us + 10 * MS + 2 * LATENCY_US;
    assert_eq!(bench.arrived_at(Accepter).last(), Some(&(expected_us, 99)));
}

#[test]
fn what_is_sent_into_a_partition_arrives_at_the_next_retransmission_after_it_heals() {
    let mut bench = Bench::nodelay(LOOPBACK);
    bench.cut_both();
    bench.write(Opener, 100);
    bench.until(50 * MS);
    bench.write(Opener, 50);
    bench.until(1_000 * MS).heal_both();
    bench.until(60_000 * MS);
    // Sent again after 200, 400 and 800 ms: at 0.2, 0.6 and 1.4 s.
    assert_eq!(bench.arrived_at(Accepter), [(1_400 * MS + LATENCY_US, 150)]);
}

#[test]
fn a_partition_between_two_writes_delays_only_the_second() {
    let mut bench = Bench::nodelay(LOOPBACK);
    bench.write(Opener, 100);
    bench.until(10 * MS).cut_both();
    bench.until(20 * MS);
    bench.write(Opener, 50);
    bench.until(30 * MS).heal_both();
    bench.until(5_000 * MS);
    let resent_us = 20 * MS + 200 * MS + 2 * LATENCY_US;
    assert_eq!(
        bench.arrived_at(Accepter),
        [(LATENCY_US, 100), (resent_us + LATENCY_US, 50)]
    );
}

#[test]
fn a_sender_that_hears_no_acknowledgement_falls_silent() {
    let mut bench = Bench::nodelay(LOOPBACK);
    bench.fault(|network| network.cut(1, 0));
    bench.write(Opener, 100);
    bench.until(100 * MS);
    bench.write(Opener, 50);
    bench.until(300 * MS);
    bench.write(Opener, 25);
    bench.until(3_500 * MS);
    let arrived: Vec<u64> = bench
        .arrived_at(Accepter)
        .iter()
        .map(|arrival| arrival.1)
        .collect();
    assert_eq!(
        arrived,
        [100, 50],
        "the third write finds a sender that waits"
    );
    bench.fault(|network| network.heal(1, 0));
    bench.until(10_000 * MS);
    assert_eq!(
        bench
            .arrived_at(Accepter)
            .iter()
            .map(|arrival| arrival.1)
            .sum::<u64>(),
        175
    );
}

#[test]
fn a_reader_that_stands_still_pushes_back_and_lets_go_again() {
    let mut bench = Bench::nodelay(1_448);
    bench.reads[Accepter as usize] = false;
    let mut taken = 0;
    for _ in 0..1_000 {
        taken += bench.write(Opener, 10_000);
        bench.until(bench.now_us + MS);
    }
    assert!(taken < 1_000_000, "{taken}");
    let waiting = bench.connection.unread_bytes(Accepter);
    assert!(
        waiting <= RECEIVE_BUFFER_BYTES && waiting > RECEIVE_BUFFER_BYTES / 2,
        "{waiting}"
    );
    assert!(!bench.writable[Opener as usize]);
    bench.start_reading(Accepter);
    bench.until(bench.now_us + 1_000 * MS);
    assert!(bench.writable[Opener as usize]);
    let arrived: u64 = bench
        .arrived_at(Accepter)
        .iter()
        .map(|arrival| arrival.1)
        .sum();
    assert_eq!(arrived, taken);
}

#[test]
fn a_window_that_opens_during_a_partition_is_told_after_it() {
    let mut bench = Bench::nodelay(1_448);
    bench.reads[Accepter as usize] = false;
    let mut taken = 0;
    for _ in 0..100 {
        taken += bench.write(Opener, 10_000);
        bench.until(bench.now_us + MS);
    }
    bench.cut_both();
    bench.start_reading(Accepter);
    bench.until(bench.now_us + 5_000 * MS).heal_both();
    bench.until(bench.now_us + 60_000 * MS);
    let arrived: u64 = bench
        .arrived_at(Accepter)
        .iter()
        .map(|arrival| arrival.1)
        .sum();
    assert_eq!(arrived, taken);
}

#[test]
fn a_sender_asks_for_room_when_word_of_it_got_lost_before_it_had_more_to_send() {
    let mut bench = Bench::new(LOOPBACK);
    bench.reads[Opener as usize] = false;
    let mut taken = bench.write(Accepter, 65_590);
    bench.until(LATENCY_US);
    bench.fault(|network| network.cut(0, 1));
    bench.start_reading(Opener);
    taken += bench.write(Accepter, 65_483);
    bench.until(1_000 * MS);
    bench.fault(|network| network.heal(0, 1));
    bench.until(5_000 * MS);
    let arrived = bench.arrived_at(Opener);
    assert!(arrived.last().unwrap().0 > 1_000 * MS, "{arrived:?}");
    assert_eq!(arrived.iter().map(|arrival| arrival.1).sum::<u64>(), taken);
}

#[test]
fn close_sends_what_is_written_and_then_ends_the_stream() {
    let mut bench = Bench::new(LOOPBACK);
    bench.write(Opener, 100);
    bench.write(Opener, 50);
    bench.close(Opener);
    assert!(!bench.connection.is_over());
    bench.until(MS);
    assert_eq!(
        bench.arrived_at(Accepter),
        [(LATENCY_US, 150)],
        "Nagle lets the last bytes go"
    );
    assert!(bench.eof[Accepter as usize]);
    bench.close(Accepter);
    bench.until(2 * MS);
    assert!(bench.connection.is_over());
    assert_eq!(bench.broken, [None, None]);
}

#[test]
fn close_with_unread_bytes_resets() {
    let mut bench = Bench::new(LOOPBACK);
    bench.reads[Accepter as usize] = false;
    bench.write(Opener, 100);
    bench.until(MS);
    bench.close(Accepter);
    bench.until(2 * MS);
    assert_eq!(bench.broken[Opener as usize], Some(Break::Reset));
}

#[test]
fn a_closed_end_resets_who_writes_to_it() {
    let mut bench = Bench::new(LOOPBACK);
    bench.close(Accepter);
    bench.until(MS);
    assert!(bench.eof[Opener as usize]);
    bench.write(Opener, 100);
    bench.until(2 * MS);
    assert_eq!(bench.broken[Opener as usize], Some(Break::Reset));
    assert!(
        !bench.connection.is_over(),
        "the writer has not closed it yet"
    );
    bench.close(Opener);
    assert!(bench.connection.is_over());
}

#[test]
fn a_dark_host_is_silent_and_resets_old_connections_once_it_is_back() {
    let mut bench = Bench::new(LOOPBACK);
    bench.connection.vanish(Accepter, 0, &mut bench.network);
    bench.network.set_dark(1, true);
    bench.write(Opener, 100);
    bench.until(2_000 * MS);
    assert_eq!(bench.broken[Opener as usize], None);
    bench.fault(|network| network.set_dark(1, false));
    bench.until(3_000 * MS);
    assert_eq!(
        bench.broken[Opener as usize], None,
        "sent again at 1.4 and 3.0 s"
    );
    bench.until(3_010 * MS);
    assert_eq!(bench.broken[Opener as usize], Some(Break::Reset));
}

#[test]
fn a_kernel_gives_up_at_last() {
    let mut bench = Bench::new(LOOPBACK);
    bench.connection.vanish(Accepter, 0, &mut bench.network);
    bench.network.set_dark(1, true);
    bench.write(Opener, 100);
    bench.until(900_000 * MS);
    assert_eq!(bench.broken[Opener as usize], None);
    bench.until(1_000_000 * MS);
    assert_eq!(bench.broken[Opener as usize], Some(Break::TimedOut));
    assert_eq!(bench.connection.next_event_us(), NEVER);
}

#[test]
fn news_is_told_even_if_something_else_settled_the_connection_first() {
    let mut bench = Bench::new(LOOPBACK);
    bench.write(Opener, 100);
    bench.now_us = 5 * MS;
    bench.write(Accepter, 1);
    assert_eq!(bench.connection.next_event_us(), 0);
    bench.until(10 * MS);
    assert_eq!(bench.arrived_at(Accepter), [(5 * MS, 100)]);
    assert_eq!(bench.arrived_at(Opener), [(5 * MS + LATENCY_US, 1)]);
}

#[test]
fn a_connection_is_set_up_in_one_and_a_half_round_trips() {
    let mut network = constant(LATENCY_US, 2, LOOPBACK);
    let mut dial = Dial::new(0, 1);
    assert_eq!(dial.send(0, &mut network), Transit::Arrives(100));
    assert_eq!(
        dial.answer(100, true, &mut network),
        Answer::Accepted {
            opener_us: 200,
            accepter_us: 300
        }
    );
    assert_eq!(dial.answer(100, false, &mut network), Answer::Refused(200));
}

#[test]
fn syns_are_sent_again_after_1_3_and_7_s() {
    let mut network = constant(LATENCY_US, 2, LOOPBACK);
    network.cut(0, 1);
    let mut dial = Dial::new(0, 1);
    let mut times = vec![0];
    while !dial.is_last() {
        assert_eq!(
            dial.send(times[times.len() - 1], &mut network),
            Transit::Lost
        );
        times.push(dial.retry_at_us());
    }
    let seconds: Vec<u64> = times.iter().map(|at_us| at_us / 1_000_000).collect();
    assert_eq!(seconds, [0, 1, 3, 7, 15, 31, 63, 127]);
}

#[derive(Clone, Debug)]
enum Act {
    Write(Side, u64),
    Cut(u16, u16),
    Heal(u16, u16),
    Lossy(bool),
    Reading(Side, bool),
    Wait(u64),
}

fn act() -> impl Strategy<Value = Act> {
    let side = prop_oneof![Just(Opener), Just(Accepter)];
    let way = prop_oneof![Just((0, 1)), Just((1, 0))];
    prop_oneof![
        4 => (side.clone(), 1..200_000_u64).prop_map(|(side, bytes)| Act::Write(side, bytes)),
        4 => (side.clone(), 1..3_000_u64).prop_map(|(side, bytes)| Act::Write(side, bytes)),
        1 => way.clone().prop_map(|(from, to)| Act::Cut(from, to)),
        2 => way.prop_map(|(from, to)| Act::Heal(from, to)),
        1 => any::<bool>().prop_map(Act::Lossy),
        1 => (side, any::<bool>()).prop_map(|(side, reads)| Act::Reading(side, reads)),
        4 => (1..2_000_000_u64).prop_map(Act::Wait),
        4 => (1..500_u64).prop_map(Act::Wait),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(300))]

    #[test]
    fn nothing_is_lost_nothing_is_early_and_all_arrives_after_healing(
        acts in prop::collection::vec(act(), 1..60),
        nodelay in any::<[bool; 2]>(),
        segment_bytes in prop_oneof![Just(1_448), Just(LOOPBACK)],
    ) {
        let mut bench = Bench::new(segment_bytes);
        for side in Side::BOTH {
            bench.connection.set_nodelay(side, nodelay[side as usize], 0, &mut bench.network);
        }
        // (time, total bytes written by then), by side that writes.
        let mut written: [Vec<(u64, u64)>; 2] = [vec![(0, 0)], vec![(0, 0)]];
        for act in acts {
            match act {
                Act::Write(side, bytes) => {
                    let taken = bench.write(side, bytes);
                    let total = written[side as usize].last().unwrap().1 + taken;
                    written[side as usize].push((bench.now_us, total));
                }
                Act::Cut(from, to) => bench.fault(|network| network.cut(from, to)),
                Act::Heal(from, to) => bench.fault(|network| network.heal(from, to)),
                Act::Lossy(true) => bench.fault(|network| {
                    for (from, to) in [(0, 1), (1, 0)] {
                        let by = Degradation { loss: 0.3, delay_us: 500 };
                        network.degrade(1, from, to, by);
                    }
                }),
                Act::Lossy(false) => bench.fault(|network| network.restore(1)),
                Act::Reading(side, true) => {
                    bench.look();
                    bench.start_reading(side);
                }
                Act::Reading(side, false) => {
                    bench.look();
                    bench.reads[side as usize] = false;
                }
                Act::Wait(time_us) => {
                    bench.until(bench.now_us + time_us);
                }
            }
        }
        bench.fault(|network| {
            network.restore(1);
            while network.is_cut(0, 1) { network.heal(0, 1); }
            while network.is_cut(1, 0) { network.heal(1, 0); }
        });
        for side in Side::BOTH {
            bench.start_reading(side);
        }
        bench.until(bench.now_us + 300_000 * MS);
        prop_assert_eq!(bench.broken, [None, None]);
        for side in Side::BOTH {
            let written = &written[side as usize];
            let mut total = 0;
            for (at_us, bytes) in bench.arrived_at(side.other()) {
                total += bytes;
                let left_by_us = at_us - LATENCY_US;
                let could = written.iter().rev().find(|&&(by_us, _)| by_us <= left_by_us);
                prop_assert!(total <= could.map_or(0, |&(_, bytes)| bytes), "early at {}", at_us);
            }
            prop_assert_eq!(total, written.last().unwrap().1);
            prop_assert_eq!(bench.connection.unsent_bytes(side), 0);
        }
    }
}
