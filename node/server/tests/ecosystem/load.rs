//! Load: the stock benchmark, many clients at once, and clients that misbehave.

use std::fs;
use std::io::{ErrorKind, Read, Write};
use std::net::TcpStream;
use std::time::Duration;

use crate::Test;
use crate::place::{Make, Place};
use crate::tools::Tool;

pub(crate) const TESTS: &[Test] = &[
    Test {
        name: "the_stock_benchmark_runs_against_a_cluster_and_with_pipelines",
        needs: &[Tool::Cli],
        run: the_stock_benchmark,
    },
    Test {
        name: "five_thousand_clients_are_served_at_once",
        needs: &[Tool::Cli],
        run: five_thousand_clients,
    },
    Test {
        name: "a_reader_that_does_not_read_is_cut_off",
        needs: &[Tool::Cli],
        run: slow_reader,
    },
    Test {
        name: "the_stock_client_takes_a_backup_and_is_told_of_arguments",
        needs: &[Tool::Cli],
        run: backup,
    },
    Test {
        name: "half_a_frame_holds_up_nobody",
        needs: &[Tool::Cli],
        run: half_a_frame,
    },
    Test {
        name: "memory_stays_within_its_limit_under_load",
        needs: &[Tool::Cli],
        run: memory_limit,
    },
];

fn alone(place: &mut Place, directives: &[(&str, &str)]) {
    place.start_alone(&[(Make::Redrill, 7000)], directives);
}

fn backup(place: &mut Place) {
    alone(place, &[("repl-diskless-sync-delay", "0")]);
    let sets: String = (0..100)
        .map(|number| format!("SET key:{number} value\n"))
        .collect();
    place.cli_with(&["-p", &place.port(7000).to_string()], &sets);
    // It waits until it is told that there is no more.
    for (option, file, keys) in [
        ("--rdb", "all.rdb", 100),
        ("--functions-rdb", "none.rdb", 0),
    ] {
        place.shell(&format!("timeout 60 redis-cli -p 7000 {option} {file}"));
        let backup = fs::read(place.folder().join(file)).unwrap();
        let read = redrill_node::wire::rdb::decode(&backup).unwrap();
        assert_eq!(read.entries.len(), keys, "{file}");
    }
    place.shell("timeout 60 redis-cli --cluster backup 127.0.0.1:7000 .");
    let docs = place.cli(7000, &["--json", "COMMAND", "DOCS", "ZMPOP"]);
    assert!(
        docs.contains(r#""name":"numkeys","type":"integer""#),
        "{docs}"
    );
}

fn connect(place: &Place) -> TcpStream {
    let stream = TcpStream::connect(("127.0.0.1", place.port(7000))).unwrap();
    stream
        .set_read_timeout(Some(Duration::from_secs(30)))
        .unwrap();
    stream
}

#[track_caller]
fn answers(stream: &mut TcpStream, command: &str, answer: &str) {
    stream.write_all(command.as_bytes()).unwrap();
    let mut said = vec![0; answer.len()];
    stream.read_exact(&mut said).unwrap();
    assert_eq!(String::from_utf8_lossy(&said), answer);
}

fn the_stock_benchmark(place: &mut Place) {
    for port in 7000..7003 {
        place.start(Make::Redrill, port, &[]);
    }
    place.shell(
        "redis-cli --cluster create 127.0.0.1:7000 127.0.0.1:7001 127.0.0.1:7002 --cluster-yes",
    );
    place.whole(&[7000, 7001, 7002]);
    for options in ["-P 1", "-P 100 -r 1000"] {
        let printed = place.shell(&format!(
            "redis-benchmark --cluster -p 7000 -t set,get,incr,lpush,rpush,lpop,rpop,sadd,hset,spop,zadd,zpopmin,lrange_100,mset -c 50 -n 10000 {options} -q",
        ));
        assert!(printed.contains("requests per second"), "{printed}");
        let lowered = printed.to_lowercase();
        assert!(
            !lowered.contains("error") && !lowered.contains("err "),
            "{printed}"
        );
    }
}

fn five_thousand_clients(place: &mut Place) {
    alone(place, &[]);
    let mut clients: Vec<TcpStream> = (0..5000).map(|_| connect(place)).collect();
    for client in &mut clients {
        client.write_all(b"INCR visits\r\n").unwrap();
    }
    for client in &mut clients {
        let mut said = [0; 64];
        assert!(client.read(&mut said).unwrap() > 0 && said[0] == b':');
    }
    assert_eq!(place.cli(7000, &["GET", "visits"]), "5000");
    let info = place.cli(7000, &["INFO", "clients"]);
    assert!(info.contains("connected_clients:5001"), "{info}");
}

fn slow_reader(place: &mut Place) {
    alone(place, &[("client-output-buffer-limit", "normal 1mb 0 0")]);
    let set = format!(
        "*3\r\n$3\r\nSET\r\n$4\r\nlong\r\n$60000\r\n{:060000}\r\n",
        0
    );
    answers(&mut connect(place), &set, "+OK\r\n");
    let mut reader = connect(place);
    reader
        .set_write_timeout(Some(Duration::from_secs(10)))
        .unwrap();
    // It asks for far more than the kernel keeps, and reads nothing.
    for _ in 0..1000 {
        if reader.write_all(b"GET long\r\n").is_err() {
            break;
        }
    }
    place.eventually("the reader is gone", |place| {
        place
            .cli(7000, &["INFO", "clients"])
            .contains("connected_clients:1\r")
    });
    answers(&mut connect(place), "PING\r\n", "+PONG\r\n");
    let mut rest = Vec::new();
    match reader.read_to_end(&mut rest) {
        Ok(_) => {}
        Err(error) => assert_eq!(error.kind(), ErrorKind::ConnectionReset),
    }
    assert!(rest.len() < 100_000_000, "{} bytes arrived", rest.len());
}

fn half_a_frame(place: &mut Place) {
    alone(place, &[]);
    let mut stopped: Vec<TcpStream> = (0..50).map(|_| connect(place)).collect();
    for client in &mut stopped {
        client
            .write_all(b"*3\r\n$3\r\nSET\r\n$1\r\nk\r\n$1000000\r\nhalf")
            .unwrap();
    }
    answers(&mut connect(place), "PING\r\n", "+PONG\r\n");
    answers(&mut connect(place), "SET k v\r\n", "+OK\r\n");
    for mut client in stopped {
        client.write_all(&vec![b'x'; 1_000_000 - 4]).unwrap();
        answers(&mut client, "\r\n", "+OK\r\n");
    }
    assert_eq!(place.cli(7000, &["STRLEN", "k"]), "1000000");
}

fn memory_limit(place: &mut Place) {
    alone(
        place,
        &[("maxmemory", "50mb"), ("maxmemory-policy", "allkeys-lru")],
    );
    place.shell("redis-benchmark -p 7000 -t set,hset,lpush -r 1000000 -n 300000 -d 500 -P 16 -q");
    let used = |field: &str| -> f64 {
        let info = place.cli(7000, &["INFO", "memory"]);
        let line = info.lines().find_map(|line| line.strip_prefix(field));
        line.unwrap()
            .trim_start_matches(':')
            .trim()
            .parse()
            .unwrap()
    };
    let limit = f64::from(50 << 20);
    assert!(
        used("used_memory") <= limit * 1.1,
        "{}",
        used("used_memory")
    );
    // What the system gave: the keyspace, the program and the slack of its allocator.
    let resident = place.resident_kb(7000) as f64 * 1024.0;
    assert!(
        resident <= limit * 1.1 + f64::from(20 << 20),
        "{resident} bytes are resident"
    );
    let evicted = place.cli(7000, &["INFO", "stats"]);
    assert!(!evicted.contains("evicted_keys:0\r"), "{evicted}");
}
