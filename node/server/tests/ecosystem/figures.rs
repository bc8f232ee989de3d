//! Figures beside the real server. They take minutes and are run by name, in a release build:
//! `cargo test --release -p redrill-server --test ecosystem -- --ignored --nocapture`.

use std::fmt::Write as _;
use std::io::{Read, Write as _};
use std::net::TcpStream;
use std::time::{Duration, Instant};

use crate::Test;
use crate::mixed::{cluster, replica_of, settled};
use crate::place::{Make, Place};
use crate::tools::Tool;

const NEEDS: &[Tool] = &[Tool::Cli, Tool::RealServer];

pub(crate) const TESTS: &[Test] = &[
    Test {
        name: "figures_of_speed_beside_the_real_server",
        needs: NEEDS,
        run: speed,
    },
    Test {
        name: "figures_of_memory_beside_the_real_server",
        needs: NEEDS,
        run: memory,
    },
    Test {
        name: "figures_of_failovers_in_mixed_clusters",
        needs: NEEDS,
        run: failovers,
    },
];

/// How often the two servers take turns.
const ROUNDS: usize = 5;

/// Both servers, each alone in its cluster with all slots: the real one on 7000, ours on 7001.
fn two_alone(place: &mut Place) {
    place.start_alone(&[(Make::Redis, 7000), (Make::Redrill, 7001)], &[]);
}

/// `redis-benchmark`, the servers in turn, each on the first processor and the load on the second.
fn speed(place: &mut Place) {
    two_alone(place);
    for port in [7000, 7001] {
        let pid = place.pid(port);
        place.shell(&format!("taskset -cp 0 {pid}"));
    }
    let mut report = String::from("requests per second, median of rounds in turn\n");
    for pipeline in ["1", "16"] {
        let mut seen: Vec<(String, [Vec<f64>; 2])> = Vec::new();
        for _ in 0..ROUNDS {
            for (make, port) in [(0, 7000), (1, 7001)] {
                let printed = place.shell(&format!(
                    "taskset -c 1 redis-benchmark -p {port} -t get,set,incr,lpush,hset -c 50 -n 200000 -P {pipeline} --csv",
                ));
                place.cli(port, &["DEL", "mylist"]);
                for (name, rate) in rates(&printed) {
                    match seen.iter_mut().find(|(known, _)| *known == name) {
                        Some((_, rates)) => rates[make].push(rate),
                        None => {
                            let mut rates = [Vec::new(), Vec::new()];
                            rates[make].push(rate);
                            seen.push((name, rates));
                        }
                    }
                }
            }
        }
        assert_eq!(seen.len(), 5, "five kinds of command: {seen:?}");
        for (name, [real, ours]) in &mut seen {
            let (real, ours) = (median(real), median(ours));
            writeln!(
                report,
                "-P {pipeline:2}  {name:6}  redis-server {real:9.0}  redrill-server {ours:9.0}  ratio {:.2}",
                ours / real
            )
            .unwrap();
        }
    }
    eprintln!("{report}");
}

/// The commands and rates of `redis-benchmark --csv`.
fn rates(csv: &str) -> impl Iterator<Item = (String, f64)> {
    csv.lines().filter_map(|line| {
        let mut cells = line.split(',').map(|cell| cell.trim_matches('"'));
        let name = cells.next()?.split(' ').next()?.to_owned();
        Some((name, cells.next()?.parse().ok()?))
    })
}

fn median(values: &mut [f64]) -> f64 {
    values.sort_by(f64::total_cmp);
    values[values.len() / 2]
}

/// A million values of 64 bytes.
fn memory(place: &mut Place) {
    const KEYS: usize = 1_000_000;
    const BATCH: usize = 1_000;
    two_alone(place);
    let mut grown = [0; 2];
    for (make, port) in [(0, 7000), (1, 7001)] {
        let empty = place.resident_kb(port);
        let mut stream = TcpStream::connect(("127.0.0.1", place.port(port))).unwrap();
        for batch in 0..KEYS / BATCH {
            let mut commands = String::new();
            for key in batch * BATCH..(batch + 1) * BATCH {
                write!(
                    commands,
                    "*3\r\n$3\r\nSET\r\n$16\r\nkey:{key:012}\r\n$64\r\n{key:064}\r\n"
                )
                .unwrap();
            }
            stream.write_all(commands.as_bytes()).unwrap();
            let mut said = vec![0; BATCH * "+OK\r\n".len()];
            stream.read_exact(&mut said).unwrap();
        }
        assert_eq!(place.cli(port, &["DBSIZE"]), KEYS.to_string());
        grown[make] = place.resident_kb(port) - empty;
    }
    let [real, ours] = grown.map(|kb| kb as f64 / 1024.0);
    eprintln!(
        "a million values of 64 bytes: redis-server {real:.0} MiB, redrill-server {ours:.0} MiB, ratio {:.2}",
        ours / real
    );
}

/// How many failovers there are of each kind.
const FAILOVERS: usize = 20;

/// Masters are killed, real and ours in turn, each replaced by a replica of the other make; then
/// real ones by real ones.
fn failovers(place: &mut Place) {
    let mut report = String::from("from the kill to the first write served, s\n");
    cluster(place, Make::Redis, Make::Redrill);
    let (mut to_ours, mut to_real) = (Vec::new(), Vec::new());
    for _ in 0..FAILOVERS {
        let ours = replica_of(place, 7000);
        to_ours.push(fail_over(place, 7000, ours, Make::Redis));
        to_real.push(fail_over(place, ours, 7000, Make::Redrill));
    }
    place.stop_all();
    let mut among_real = Vec::new();
    cluster(place, Make::Redis, Make::Redis);
    for _ in 0..FAILOVERS / 2 {
        let replica = replica_of(place, 7000);
        among_real.push(fail_over(place, 7000, replica, Make::Redis));
        among_real.push(fail_over(place, replica, 7000, Make::Redis));
    }
    for (name, mut times) in [
        ("redis-server dies, redrill-server takes over", to_ours),
        ("redrill-server dies, redis-server takes over", to_real),
        ("redis-server dies, redis-server takes over", among_real),
    ] {
        let n = times.len();
        let median = median(&mut times);
        writeln!(
            report,
            "{name}: {n} of {n}; min {:.2}, median {median:.2}, max {:.2}",
            times[0],
            times[n - 1]
        )
        .unwrap();
    }
    eprintln!("{report}");
}

/// Kills a master and says how long it took until its replica served a write, s.
fn fail_over(place: &mut Place, master: u16, replica: u16, make: Make) -> f64 {
    let began = Instant::now();
    place.kill(master);
    while !serves(place.port(replica)) {
        assert!(
            began.elapsed() < Duration::from_secs(60),
            "{replica} does not take over"
        );
        std::thread::sleep(Duration::from_millis(5));
    }
    let took = began.elapsed().as_secs_f64();
    place.start(make, master, &[]);
    settled(place);
    took
}

fn serves(port: u16) -> bool {
    let Ok(mut stream) = TcpStream::connect(("127.0.0.1", port)) else {
        return false;
    };
    let mut said = [0; 3];
    stream.write_all(b"SET {b}failover x\r\n").is_ok()
        && stream.read_exact(&mut said).is_ok()
        && said == *b"+OK"
}
