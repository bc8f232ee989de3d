//! `kill -9` under load with `appendfsync always`: no write that was acknowledged may be lost.
//!
//! Two rounds by default; `REDRILL_KILLS=50` makes fifty, and with `--nocapture` tells the numbers.

#![cfg(unix)]
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::print_stdout,
    reason = "a test fails by panicking, and tells its numbers"
)]

use std::collections::BTreeMap;
use std::io::{Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use redrill_node::wire::aof::AofReader;

/// Clients that write at once.
const WRITERS: usize = 8;

/// Commands that a writer has under way at once.
const PIPELINE: usize = 16;

#[test]
fn no_acknowledged_write_is_lost_however_often_the_process_is_killed() {
    let rounds = std::env::var("REDRILL_KILLS").map_or(2, |text| text.parse().unwrap());
    let folder = tempfile::tempdir().unwrap();
    let port = free_port();
    let acknowledged = Arc::new(Mutex::new(BTreeMap::new()));
    let (mut torn, mut rewrites) = (0, 0);
    for round in 0..rounds {
        let mut server = start(port, folder.path());
        let mut control = connect(port);
        if round == 0 {
            ask(&mut control, "CLUSTER ADDSLOTSRANGE 0 16383");
        }
        until_it_serves(&mut control);
        assert_nothing_lost(&mut control, &acknowledged.lock().unwrap());
        let stop = Arc::new(AtomicBool::new(false));
        let writers: Vec<_> = (0..WRITERS)
            .map(|writer| {
                let (acknowledged, stop) = (Arc::clone(&acknowledged), Arc::clone(&stop));
                std::thread::spawn(move || write(port, writer, round, &acknowledged, &stop))
            })
            .collect();
        // Every third kill falls into a rewrite.
        let wait_ms = 150 + (round as u64 * 37) % 200;
        std::thread::sleep(Duration::from_millis(wait_ms));
        if round % 3 == 2 {
            ask(&mut control, "BGREWRITEAOF");
            rewrites += 1;
            std::thread::sleep(Duration::from_millis(round as u64 % 7));
        }
        server.kill().unwrap();
        server.wait().unwrap();
        stop.store(true, Ordering::Relaxed);
        for writer in writers {
            writer.join().unwrap();
        }
        torn += usize::from(is_torn(folder.path()));
    }
    let mut server = start(port, folder.path());
    let mut control = connect(port);
    until_it_serves(&mut control);
    let acknowledged = acknowledged.lock().unwrap();
    assert_nothing_lost(&mut control, &acknowledged);
    server.kill().unwrap();
    server.wait().unwrap();
    let writes: u64 = acknowledged.values().sum();
    assert!(writes > 0, "nothing was acknowledged");
    println!(
        "{rounds} kills, {rewrites} of them in a rewrite, {torn} of them left a torn tail: \
         {writes} acknowledged writes, 0 lost"
    );
}

/// Counts a key of its own up until the server is gone, and notes what was acknowledged.
fn write(
    port: u16,
    writer: usize,
    round: usize,
    acknowledged: &Mutex<BTreeMap<String, u64>>,
    stop: &AtomicBool,
) {
    let key = format!("counter:{round}:{writer}");
    let Ok(mut stream) = TcpStream::connect(("127.0.0.1", port)) else {
        return;
    };
    let request = format!("INCR {key}\r\n").repeat(PIPELINE);
    let mut known = Vec::new();
    let mut room = [0; 4096];
    while !stop.load(Ordering::Relaxed) && stream.write_all(request.as_bytes()).is_ok() {
        let mut answered = 0;
        while answered < PIPELINE {
            let len = stream.read(&mut room).unwrap_or(0);
            if len == 0 {
                return;
            }
            known.extend_from_slice(&room[..len]);
            while let Some(end) = known.windows(2).position(|two| two == b"\r\n") {
                let line: Vec<u8> = known.drain(..end + 2).collect();
                let text = String::from_utf8_lossy(&line[..end]).into_owned();
                let count = text.strip_prefix(':').expect(&text).parse().unwrap();
                acknowledged.lock().unwrap().insert(key.clone(), count);
                answered += 1;
            }
        }
    }
}

fn assert_nothing_lost(control: &mut TcpStream, acknowledged: &BTreeMap<String, u64>) {
    for (key, &count) in acknowledged {
        let answer = ask(control, &format!("GET {key}"));
        let found: u64 = answer.lines().nth(1).unwrap_or("0").parse().unwrap_or(0);
        assert!(found >= count, "{key}: acknowledged {count}, found {found}");
        // What was sent and not acknowledged may have taken effect, no more than that.
        assert!(
            found <= count + PIPELINE as u64,
            "{key}: {count}, found {found}"
        );
    }
}

fn is_torn(folder: &Path) -> bool {
    let files = std::fs::read_dir(folder.join("appendonlydir")).unwrap();
    let increments = files
        .map(|entry| entry.unwrap().path())
        .filter(|path| path.to_string_lossy().ends_with(".incr.aof"));
    increments.into_iter().any(|path| {
        let bytes = std::fs::read(path).unwrap();
        let mut reader = AofReader::new(&bytes, 0);
        loop {
            match reader.next_command() {
                Ok(Some(_)) => {}
                Ok(None) => return false,
                Err(_) => return true,
            }
        }
    })
}

fn start(port: u16, folder: &Path) -> Child {
    Command::new(env!("CARGO_BIN_EXE_redrill-server"))
        .args(["--port", &port.to_string(), "--cluster-enabled", "yes"])
        .args(["--bind", "127.0.0.1", "--save", ""])
        .args(["--appendonly", "yes", "--appendfsync", "always"])
        .arg("--dir")
        .arg(folder)
        .stdout(Stdio::null())
        .spawn()
        .unwrap()
}

fn connect(port: u16) -> TcpStream {
    let deadline = Instant::now() + Duration::from_secs(20);
    loop {
        match TcpStream::connect(("127.0.0.1", port)) {
            Ok(stream) => {
                let patience = Some(Duration::from_secs(20));
                stream.set_read_timeout(patience).unwrap();
                return stream;
            }
            Err(error) => assert!(Instant::now() < deadline, "{error}"),
        }
        std::thread::sleep(Duration::from_millis(10));
    }
}

/// Sends a command and returns the answer as it came.
fn ask(stream: &mut TcpStream, command: &str) -> String {
    stream
        .write_all(format!("{command}\r\n").as_bytes())
        .unwrap();
    let mut answer = Vec::new();
    let mut room = [0; 64 << 10];
    loop {
        let len = stream.read(&mut room).unwrap();
        assert!(len > 0, "the server is gone");
        answer.extend_from_slice(&room[..len]);
        if redrill_node::wire::resp::decode_reply(&answer)
            .unwrap()
            .is_some()
        {
            return String::from_utf8_lossy(&answer).into_owned();
        }
    }
}

fn until_it_serves(stream: &mut TcpStream) {
    let deadline = Instant::now() + Duration::from_secs(20);
    while !ask(stream, "CLUSTER INFO").contains("cluster_state:ok") {
        assert!(Instant::now() < deadline, "the cluster state is not ok");
        std::thread::sleep(Duration::from_millis(20));
    }
}

/// A client port that is free now, and a bus port above it.
fn free_port() -> u16 {
    (21_000..45_000)
        .step_by(17)
        .map(|port| port + (std::process::id() % 17) as u16)
        .find(|&port| {
            let free = |port| TcpListener::bind(SocketAddr::from(([127, 0, 0, 1], port))).is_ok();
            free(port) && free(port + 10_000)
        })
        .unwrap()
}
