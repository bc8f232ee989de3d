//! What the README shows is what the binary prints.

#![allow(clippy::unwrap_used, clippy::panic)]

mod support;

use std::path::{Path, PathBuf};

use support::redrill;

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .parent()
        .unwrap()
        .into()
}

/// The text blocks of the README, in order.
fn shown() -> Vec<String> {
    let readme = std::fs::read_to_string(root().join("README.md")).unwrap();
    readme
        .split("```text\n")
        .skip(1)
        .map(|rest| rest.split("\n```").next().unwrap().to_owned())
        .collect()
}

/// Both streams of a command, run where `scenarios` lies.
fn printed(folder: &Path, arguments: &[&str], code: i32) -> String {
    std::os::unix::fs::symlink(root().join("scenarios"), folder.join("scenarios")).unwrap();
    let done = redrill(folder, arguments);
    assert_eq!(done.code, code, "{}", done.err);
    done.out + &done.err
}

#[track_caller]
fn assert_printed(shown: &str, printed: &str) {
    assert!(
        printed.contains(shown),
        "the README shows\n{shown}\nbut this is printed:\n{printed}"
    );
}

#[test]
fn the_first_run_and_its_timeline_are_real() {
    let folder = tempfile::tempdir().unwrap();
    let drill = "scenarios/drills/debug-sleep-master.toml";
    let printed = printed(folder.path(), &["run", drill, "--timeline"], 0);
    let shown = shown();
    assert_printed(&shown[0], &printed);
    assert_printed(&shown[1], &printed);
}

#[test]
fn the_mistakes_are_real() {
    let folder = tempfile::tempdir().unwrap();
    let drill = r#"schema = 1
name = "mine"
duration = "60s"
[cluster]
masters = 3
replicas-per-master = 1
[config]
cluster-node-timeot = 5000
[[step]]
at = "10s"
crash = "m4"
restart-after = "20sec"
"#;
    std::fs::write(folder.path().join("mine.toml"), drill).unwrap();
    let printed = printed(folder.path(), &["check", "mine.toml"], 3);
    assert_printed(&shown()[2], &printed);
}

#[test]
fn every_drill_of_the_library_is_listed_with_its_question() {
    let readme = std::fs::read_to_string(root().join("README.md")).unwrap();
    for entry in std::fs::read_dir(root().join("scenarios/drills")).unwrap() {
        let path = entry.unwrap().path();
        let drill = redrill::Drill::from_file(&path).unwrap_or_else(|bad| panic!("{bad}"));
        let name = path.file_stem().unwrap().to_str().unwrap();
        let question = drill.scenario().question.as_deref().unwrap_or_default();
        let row = format!("| [{name}](scenarios/drills/{name}.toml) | {question} |");
        assert!(readme.contains(&row), "the README lacks: {row}");
    }
}
