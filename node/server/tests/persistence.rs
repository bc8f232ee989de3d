//! Files of data of a process: what is written, what a start makes of it, a disk that fills up.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::wildcard_enum_match_arm,
    reason = "a test fails by panicking"
)]

mod support;

use std::path::Path;
use std::time::Duration;

use redrill_node::{AppendFsync, Config, Reply};
use redrill_server::{DataFile, Files, LoadError, MemoryFiles, Open, ServeError};
use support::memory::Wire;
use support::{Client, Host, config, eventually, simulate};
use tokio::time::sleep;

const INCREMENT: &str = "./appendonlydir/appendonly.aof.1.incr.aof";
const MANIFEST: &str = "./appendonlydir/appendonly.aof.manifest";

fn appending(appendfsync: AppendFsync) -> Config {
    Config {
        appendonly: true,
        appendfsync,
        save: Vec::new(),
        ..config(7000)
    }
}

async fn master(wire: &Wire, config: Config) -> (Host, Client) {
    let host = Host::start(wire, 1, config);
    let mut client = Client::connect(wire, host.client_address()).await;
    client.ok(&["CLUSTER", "ADDSLOTSRANGE", "0", "16383"]).await;
    eventually("the cluster state is ok", || host.state_ok()).await;
    (host, client)
}

async fn again(wire: &Wire, host: Host) -> (Host, Client) {
    let host = host.restart().await;
    eventually("it runs", || host.control.is_running()).await;
    let client = Client::connect(wire, host.client_address()).await;
    eventually("the cluster state is ok", || host.state_ok()).await;
    (host, client)
}

async fn get(client: &mut Client, key: &str) -> Reply {
    client.call(&["GET", key]).await
}

fn text(files: &MemoryFiles, path: &str) -> String {
    let bytes = files.read(Path::new(path)).unwrap();
    String::from_utf8_lossy(&bytes.unwrap_or_default()).into_owned()
}

fn errors(reply: &Reply) -> String {
    match reply {
        Reply::Error(text) => text.to_string(),
        other => panic!("{other:?} is no error"),
    }
}

#[test]
fn what_was_appended_is_there_after_a_kill_and_a_rewrite_keeps_it() {
    simulate(async {
        let wire = Wire::default();
        let (host, mut client) = master(&wire, appending(AppendFsync::Everysec)).await;
        client.ok(&["SET", "a", "1"]).await;
        client.ok(&["SET", "b", "2", "EX", "1000"]).await;
        client.call(&["RPUSH", "l", "x", "y"]).await;
        let (host, mut client) = again(&wire, host).await;
        assert_eq!(get(&mut client, "a").await, Reply::bulk("1"));
        let said = client.call(&["BGREWRITEAOF"]).await;
        let began = "Background append only file rewriting started";
        assert_eq!(said, Reply::Simple(began.into()));
        client.ok(&["SET", "a", "2"]).await;
        sleep(Duration::from_secs(1)).await;
        assert_eq!(
            text(host.disk.data(), MANIFEST),
            "file appendonly.aof.2.base.rdb seq 2 type b\n\
             file appendonly.aof.2.incr.aof seq 2 type i\n"
        );
        assert_eq!(host.disk.data().paths().len(), 3, "history is gone");
        let (_host, mut client) = again(&wire, host).await;
        assert_eq!(get(&mut client, "a").await, Reply::bulk("2"));
        assert_eq!(client.call(&["LLEN", "l"]).await, Reply::Integer(2));
    });
}

#[test]
fn a_loss_of_power_takes_nothing_that_was_acknowledged_with_always() {
    simulate(async {
        let wire = Wire::default();
        let (host, mut client) = master(&wire, appending(AppendFsync::Always)).await;
        for value in 0..20 {
            client.ok(&["SET", "a", &value.to_string()]).await;
        }
        host.disk.data().lose_power();
        let (_host, mut client) = again(&wire, host).await;
        assert_eq!(get(&mut client, "a").await, Reply::bulk("19"));
    });
}

#[test]
fn a_tail_that_was_cut_off_is_removed_and_the_rest_is_loaded() {
    simulate(async {
        let wire = Wire::default();
        let (host, mut client) = master(&wire, appending(AppendFsync::Always)).await;
        client.ok(&["SET", "a", "1"]).await;
        let whole = text(host.disk.data(), INCREMENT).len() as u64;
        client.ok(&["SET", "b", "2"]).await;
        let files = host.disk.data().clone();
        files.truncate(Path::new(INCREMENT), whole + 9).unwrap();
        let (_host, mut client) = again(&wire, host).await;
        assert_eq!(text(&files, INCREMENT).len() as u64, whole);
        assert_eq!(get(&mut client, "a").await, Reply::bulk("1"));
        assert_eq!(get(&mut client, "b").await, Reply::Nil);
    });
}

#[test]
fn damage_in_the_middle_is_refused_with_its_place_and_a_way_out() {
    simulate(async {
        let wire = Wire::default();
        let (host, mut client) = master(&wire, appending(AppendFsync::Always)).await;
        client.ok(&["SET", "a", "1"]).await;
        let damaged = text(host.disk.data(), INCREMENT).replace("*3", "?3");
        let files = host.disk.data().clone();
        files.put(Path::new(INCREMENT), damaged.as_bytes());
        let error = host.restart().await.ended().await.unwrap_err();
        let ServeError::Load(LoadError::AppendOnly { advice, source }) = error else {
            panic!("{error:?}");
        };
        assert!(advice.contains("redis-check-aof --fix"), "{advice}");
        assert_eq!(source.offset, damaged.find("?3").unwrap());
        assert_eq!(text(&files, INCREMENT), damaged, "left as it is");
    });
}

#[test]
fn a_file_from_before_redis_7_becomes_the_base() {
    simulate(async {
        let wire = Wire::default();
        let (host, _client) = master(&wire, appending(AppendFsync::Always)).await;
        let files = host.disk.data().clone();
        for path in files.paths() {
            files.remove(&path).unwrap();
        }
        let old = b"*3\r\n$3\r\nSET\r\n$1\r\na\r\n$3\r\nold\r\n";
        files.put(Path::new("./appendonly.aof"), old);
        let (_host, mut client) = again(&wire, host).await;
        assert_eq!(get(&mut client, "a").await, Reply::bulk("old"));
        assert_eq!(
            text(&files, MANIFEST),
            "file appendonly.aof seq 1 type b\nfile appendonly.aof.1.incr.aof seq 1 type i\n"
        );
    });
}

#[test]
fn a_disk_that_is_full_refuses_writes_and_keeps_what_is_there() {
    simulate(async {
        let wire = Wire::default();
        let (host, mut client) = master(&wire, appending(AppendFsync::No)).await;
        client.ok(&["SET", "a", "1"]).await;
        let whole = text(host.disk.data(), INCREMENT).len();
        host.disk.data().set_room(Some(5));
        client.ok(&["SET", "a", "2"]).await;
        let refused = errors(&client.call(&["SET", "a", "3"]).await);
        assert!(refused.starts_with("MISCONF Errors writing to the AOF file: "));
        assert_eq!(
            text(host.disk.data(), INCREMENT).len(),
            whole,
            "nothing in part"
        );
        host.disk.data().set_room(None);
        sleep(Duration::from_secs(2)).await;
        client.ok(&["SET", "a", "4"]).await;
        let (_host, mut client) = again(&wire, host).await;
        assert_eq!(get(&mut client, "a").await, Reply::bulk("4"));
    });
}

#[test]
fn with_always_a_server_whose_disk_is_full_ends() {
    simulate(async {
        let wire = Wire::default();
        let (host, mut client) = master(&wire, appending(AppendFsync::Always)).await;
        host.disk.data().set_room(Some(0));
        client.send(b"SET a 1\r\n").await;
        let error = host.ended().await.unwrap_err();
        assert!(matches!(error, ServeError::Append(_)), "{error:?}");
        assert!(client.rest().await.is_empty(), "nothing was acknowledged");
    });
}

#[test]
fn a_snapshot_is_loaded_at_the_next_start_and_saved_when_the_process_is_asked_to_end() {
    simulate(async {
        let wire = Wire::default();
        let (host, mut client) = master(&wire, config(7000)).await;
        client.ok(&["SET", "a", "1"]).await;
        client.ok(&["SAVE"]).await;
        client.ok(&["SET", "a", "2"]).await;
        let (host, mut client) = again(&wire, host).await;
        assert_eq!(get(&mut client, "a").await, Reply::bulk("1"));
        client.ok(&["SET", "a", "3"]).await;
        host.control.stop();
        let files = host.disk.data().clone();
        assert!(host.ended().await.is_ok());
        let saved = files.read(Path::new("./dump.rdb")).unwrap().unwrap();
        let snapshot = redrill_node::wire::rdb::decode(&saved).unwrap();
        let value = snapshot.entries[0].value.as_string().unwrap();
        assert_eq!(value.as_bytes(), b"3");
    });
}

#[test]
fn a_snapshot_that_cannot_be_written_leaves_the_old_one() {
    simulate(async {
        let wire = Wire::default();
        let (host, mut client) = master(&wire, config(7000)).await;
        client.ok(&["SET", "a", "1"]).await;
        client.ok(&["SAVE"]).await;
        let path = Path::new("./dump.rdb");
        let before = host.disk.data().read(path).unwrap();
        client.ok(&["SET", "a", "2"]).await;
        host.disk.data().set_room(Some(20));
        assert_eq!(errors(&client.call(&["SAVE"]).await), "ERR");
        assert_eq!(host.disk.data().read(path).unwrap(), before);
        assert_eq!(host.disk.data().paths().len(), 1, "nothing stays beside it");
    });
}

#[test]
fn switching_the_file_on_keeps_what_is_there_and_what_comes_meanwhile() {
    simulate(async {
        let wire = Wire::default();
        let off = Config {
            save: Vec::new(),
            ..config(7000)
        };
        let (host, mut client) = master(&wire, off).await;
        client.ok(&["SET", "a", "1"]).await;
        host.disk.set_sync_takes(Duration::from_millis(300));
        client.ok(&["CONFIG", "SET", "appendonly", "yes"]).await;
        client.ok(&["SET", "b", "2"]).await;
        sleep(Duration::from_secs(3)).await;
        let parts = text(host.disk.data(), MANIFEST);
        assert!(parts.contains("base.rdb seq 1 type b"), "{parts}");
        assert!(text(host.disk.data(), INCREMENT).contains("SET"));
    });
}

/// The trait is for other file systems too.
#[test]
fn a_file_in_memory_is_what_was_synced_after_a_loss_of_power() {
    let files = MemoryFiles::new();
    let path = Path::new("d/f");
    let mut file: Box<dyn DataFile> = files.open(path, Open::Append).unwrap();
    file.write(b"one").unwrap();
    file.sync().unwrap();
    files.sync_folder(Path::new("d")).unwrap();
    file.write(b"two").unwrap();
    files.lose_power();
    assert_eq!(files.read(path).unwrap().unwrap(), b"one");
}
