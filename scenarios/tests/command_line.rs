//! The binary, run as a user runs it.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod support;

use std::path::{Path, PathBuf};

use support::redrill;
use tempfile::TempDir;

fn folder() -> TempDir {
    tempfile::tempdir().unwrap()
}

fn write(folder: &TempDir, name: &str, text: impl AsRef<[u8]>) -> PathBuf {
    let path = folder.path().join(name);
    std::fs::write(&path, text).unwrap();
    path
}

fn data(name: &str) -> String {
    let path = Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("tests/data")
        .join(name);
    path.to_str().unwrap().to_owned()
}

#[test]
fn help_tells_the_exit_codes() {
    let done = redrill(folder().path(), &["--help"]);
    assert_eq!(done.code, 0);
    for code in ["0 ", "2 ", "3 ", "4 ", "100 ", "102 ", "103 "] {
        assert!(done.out.contains(&format!("\n  {code}")), "{code}");
    }
}

#[test]
fn wrong_usage_is_exit_2() {
    for arguments in [&["fly"][..], &["check"], &["check", "--colour", "x.toml"]] {
        let done = redrill(folder().path(), arguments);
        assert_eq!((done.code, done.out.as_str()), (2, ""), "{arguments:?}");
        assert!(!done.err.is_empty());
    }
}

#[test]
fn init_writes_a_drill_that_is_fine() {
    let folder = folder();
    assert_eq!(redrill(folder.path(), &["init", "mine.toml"]).code, 0);
    let done = redrill(folder.path(), &["check", "mine.toml"]);
    assert_eq!((done.code, done.err.as_str()), (0, ""));
    insta::assert_snapshot!(done.out);
}

#[test]
fn init_never_overwrites() {
    let folder = folder();
    let path = write(&folder, "mine.toml", "precious");
    let done = redrill(folder.path(), &["init", "mine.toml"]);
    assert_eq!(done.code, 2);
    insta::assert_snapshot!(done.err, @"error: mine.toml is there already; give another path, or move it away");
    assert_eq!(std::fs::read_to_string(path).unwrap(), "precious");
}

#[test]
fn a_bad_drill_is_exit_3_with_its_mistakes_on_standard_error() {
    let folder = folder();
    write(&folder, "bad.toml", "[cluster]\nmastres = 3\n");
    let done = redrill(folder.path(), &["check", "bad.toml"]);
    assert_eq!((done.code, done.out.as_str()), (3, ""));
    assert!(done.err.contains("did you mean `masters`?"), "{}", done.err);
    assert!(done.err.contains("bad.toml:2:1"), "{}", done.err);
}

#[test]
fn an_unreadable_file_is_exit_3_and_says_why() {
    let folder = folder();
    let done = redrill(folder.path(), &["check", "none.toml"]);
    assert_eq!(done.code, 3);
    assert!(done.err.contains("cannot read none.toml"), "{}", done.err);
    write(&folder, "binary.toml", b"name = \"a\"\n\xff\xfe\n");
    let done = redrill(folder.path(), &["check", "binary.toml"]);
    assert_eq!(done.code, 3);
    assert!(done.err.contains("line 2 is not UTF-8"), "{}", done.err);
    let done = redrill(folder.path(), &["check", "."]);
    assert_eq!(done.code, 3);
}

#[test]
fn a_set_changes_a_value_and_is_blamed_for_its_own_mistakes() {
    let folder = folder();
    redrill(folder.path(), &["init", "mine.toml"]);
    let set = |set| redrill(folder.path(), &["check", "mine.toml", "--set", set]);
    assert!(
        set("config.cluster-node-timeout=2000")
            .out
            .contains("cluster-node-timeout 2000")
    );
    let done = set("cluster.mastres=5");
    assert_eq!(done.code, 3);
    insta::assert_snapshot!(done.err);
    assert_eq!(set("step.7.at=3s").code, 3);
    assert_eq!(set("nonsense").code, 3);
}

#[test]
fn a_drill_is_made_from_a_real_cluster() {
    let folder = folder();
    let zones = [
        "--zone",
        "a=7000,7003",
        "--zone",
        "b=127.0.0.1:7001,m3",
        "--zone",
        "c=:7004,7005",
    ];
    for file in [
        "nodes-7000.after.conf",
        "cluster-nodes.txt",
        "cluster-nodes.after-failover.txt",
    ] {
        let file = data(file);
        let out = folder.path().join("made.toml");
        let _ = std::fs::remove_file(&out);
        let mut arguments = vec!["import", &file, "--out", "made.toml", "--name", "mine"];
        let zoned = file.contains("after-failover");
        if zoned {
            arguments.extend(zones);
        }
        let done = redrill(folder.path(), &arguments);
        assert_eq!(done.code, 0, "{}", done.err);
        let checked = redrill(folder.path(), &["check", "made.toml"]);
        assert_eq!(checked.code, 0, "{}", checked.err);
        if zoned {
            insta::assert_snapshot!(checked.out);
        }
        assert_eq!(redrill(folder.path(), &arguments).code, 2, "overwritten");
    }
}

#[test]
fn a_truncated_state_file_is_told_with_its_place() {
    let folder = folder();
    let whole = std::fs::read(data("nodes-7000.after.conf")).unwrap();
    for length in [0, 1, 100, 500, whole.len() - 40, whole.len() - 1] {
        write(&folder, "nodes.conf", &whole[..length]);
        let done = redrill(folder.path(), &["import", "nodes.conf"]);
        assert_eq!((done.code, done.out.as_str()), (3, ""), "{length}");
        if length == 500 {
            insta::assert_snapshot!(done.err);
        }
    }
}

#[test]
fn zones_must_fit_the_nodes() {
    let folder = folder();
    let file = data("cluster-nodes.txt");
    let import = |zones: &[&str]| {
        let mut arguments = vec!["import", &*file];
        arguments.extend(zones.iter().flat_map(|zone| ["--zone", zone]));
        redrill(folder.path(), &arguments)
    };
    let all = import(&["a=127.0.0.1"]);
    assert_eq!((all.code, all.err.as_str()), (0, ""));
    for (zones, said) in [
        (&["a=7000"][..], "no --zone speaks of m2 (127.0.0.1:7001)"),
        (
            &["a=127.0.0.1", "b=7001"],
            "127.0.0.1:7001 stands in two zones",
        ),
        (&["a=127.0.0.1,10.0.0.9"], "no node is at `10.0.0.9`"),
    ] {
        let done = import(zones);
        assert_eq!(done.code, 3);
        assert!(done.err.contains(said), "{}", done.err);
    }
    assert_eq!(import(&["a"]).code, 2);
}

#[test]
fn every_shell_gets_its_completions() {
    for shell in ["bash", "zsh", "fish", "elvish", "powershell"] {
        let done = redrill(folder().path(), &["completions", shell]);
        assert_eq!(done.code, 0);
        assert!(done.out.contains("import"), "{shell}");
    }
}

#[test]
fn check_tells_what_an_engine_changes_and_what_it_lacks_here() {
    let folder = folder();
    write(&folder, "mine.toml", "");
    let check = |engine: &str| {
        let done = redrill(folder.path(), &["check", "mine.toml", "--engine", engine]);
        assert_eq!((done.code, done.err.as_str()), (0, ""), "{engine}");
        done.out
    };
    assert!(!check("redis-7.0").contains("unlike"));
    assert!(check("redis-7.2").contains("unlike redis-7.0: shard-ids, gossips-forget,"));
    let newest = check("valkey-9.0");
    assert!(newest.contains("delay-scales-with-timeout"), "{newest}");
    assert!(
        newest.contains("not as in valkey-9.0: there is no CLUSTER MIGRATESLOTS"),
        "{newest}"
    );
    let done = redrill(
        folder.path(),
        &["run", "mine.toml", "--engine", "redis-6.2"],
    );
    assert_eq!(done.code, 2);
    assert!(
        done.err.contains("possible values: redis-7.0, redis-7.2"),
        "{}",
        done.err
    );
}

#[test]
fn check_tells_the_weather_in_words() {
    let folder = folder();
    for file in ["weather.toml", "pauses.csv", "rtt.csv"] {
        let good = Path::new(env!("CARGO_MANIFEST_DIR"))
            .join("tests/good")
            .join(file);
        let text = std::fs::read_to_string(good).unwrap();
        // Paths are relative to the drill, wherever the command is given.
        write(&folder, file, text.replace("tests/good/", ""));
    }
    let elsewhere = tempfile::tempdir().unwrap();
    let drill = folder.path().join("weather.toml");
    let done = redrill(elsewhere.path(), &["check", drill.to_str().unwrap()]);
    assert_eq!((done.code, done.err.as_str()), (0, ""));
    insta::assert_snapshot!(done.out);
}
