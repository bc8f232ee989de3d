//! What is appended, saved and refused.

use super::*;
use crate::action::ToDisk;
use crate::config::{AppendFsync, SavePoint};
use crate::persistence::{AppendSync, FromDisk, LoadedFrom};
use crate::store::Value;
use crate::wire::rdb::{Aux, Rdb};
use crate::{Snapshot, SnapshotEntry};

fn appending(appendfsync: AppendFsync) -> Lone {
    serving_with(Config {
        appendonly: true,
        appendfsync,
        save: Vec::new(),
        ..Config::default()
    })
}

/// What was appended since the turn began, and how durably.
fn appended(lone: &Lone) -> Vec<(Vec<String>, AppendSync)> {
    let action = |action: &Action| match action {
        Action::ToDisk(ToDisk::Append { commands, sync }) => {
            Some((commands.iter().map(line_of).collect(), *sync))
        }
        _ => None,
    };
    lone.actions.iter().filter_map(action).collect()
}

fn lines(lines: &[&str]) -> Vec<String> {
    lines.iter().map(|&line| line.to_owned()).collect()
}

fn failed() -> FromDisk {
    FromDisk::AppendFailed("No space left on device".into())
}

#[test]
fn with_always_a_write_is_synced_before_it_is_acknowledged() {
    let mut lone = appending(AppendFsync::Always);
    assert_eq!(lone.ask("SET a 1"), "OK");
    let first = lines(&["SELECT 0", "SET a 1"]);
    assert_eq!(appended(&lone), [(first, AppendSync::Wait)]);
    let place = |wanted: fn(&Action) -> bool| lone.actions.iter().position(wanted);
    let synced = place(|action| matches!(action, Action::ToDisk(ToDisk::Append { .. })));
    let answered = place(|action| matches!(action, Action::Reply { .. }));
    assert!(synced.is_some() && synced < answered);
    lone.ask("SET b 2 EX 10");
    let next = lines(&["SET b 2 PXAT 1700000010000"]);
    assert_eq!(appended(&lone), [(next, AppendSync::Wait)]);
    lone.ask("GET a");
    assert_eq!(appended(&lone), []);
}

#[test]
fn a_node_that_keeps_nothing_appends_nothing() {
    let mut lone = serving();
    lone.ask("SET a 1");
    assert_eq!(appended(&lone), []);
}

#[test]
fn a_write_waits_two_seconds_at_most_for_a_sync_that_goes_on() {
    let mut lone = appending(AppendFsync::Everysec);
    lone.pass_ms(2000);
    lone.ask("SET a 1");
    assert_eq!(appended(&lone)[0].1, AppendSync::Beside);
    lone.ask("SET a 2");
    assert_eq!(appended(&lone), [], "put off");
    lone.pass_ms(1000);
    assert_eq!(lone.ask("SET a 3"), "OK");
    assert_eq!(appended(&lone), []);
    lone.pass_ms(1000);
    lone.ask("GET a");
    let both = lines(&["SET a 2", "SET a 3"]);
    assert_eq!(appended(&lone), [(both, AppendSync::No)]);
    assert!(lone.ask("INFO persistence").contains("aof_delayed_fsync:1"));
    lone.give(Input::Disk(FromDisk::AppendSynced(Ok(()))));
    lone.pass_ms(1000);
    lone.ask("GET a");
    assert_eq!(appended(&lone), [(Vec::new(), AppendSync::Beside)]);
}

#[test]
fn a_full_disk_refuses_writes_until_it_takes_them_again() {
    let mut lone = appending(AppendFsync::Everysec);
    lone.ask("SET a 1");
    lone.give(Input::Disk(failed()));
    let refusal = "MISCONF Errors writing to the AOF file: No space left on device";
    let refused = format!("-{refusal}");
    for line in ["SET a 2", "PING"] {
        let answer = lone.ask(line);
        assert!(answer.ends_with(refusal), "{answer} instead of {refused}");
        // What is kept is tried again with every turn.
        assert_eq!(appended(&lone).len(), 1);
    }
    assert_eq!(lone.ask("GET a"), "\"1\"", "state is kept, and read");
    assert!(
        lone.ask("INFO persistence")
            .contains("aof_last_write_status:err")
    );
    lone.give(Input::Disk(FromDisk::AppendRecovered));
    assert_eq!(lone.ask("SET a 2"), "OK");
}

#[test]
fn a_snapshot_that_fails_stops_writes_as_long_as_there_are_save_points() {
    let mut lone = serving();
    lone.ask("SET a 1");
    assert_eq!(lone.ask("BGSAVE"), "Background saving started");
    let busy = lone.ask("BGSAVE");
    assert!(
        busy.ends_with("ERR Background save already in progress"),
        "{busy}"
    );
    lone.give(Input::Disk(FromDisk::Saved(Err(
        "No space left on device".into()
    ))));
    let answer = lone.ask("SET a 2");
    assert!(
        answer.contains("MISCONF Redis is configured to save RDB snapshots"),
        "{answer}"
    );
    lone.ask("CONFIG SET stop-writes-on-bgsave-error no");
    assert_eq!(lone.ask("SET a 2"), "OK");
    lone.ask("CONFIG SET stop-writes-on-bgsave-error yes");
    lone.ask("BGSAVE");
    lone.give(Input::Disk(FromDisk::Saved(Ok(()))));
    assert_eq!(lone.ask("SET a 3"), "OK");
    assert!(
        lone.ask("INFO persistence")
            .contains("rdb_changes_since_last_save:1")
    );
}

#[test]
fn a_save_point_that_is_reached_saves() {
    let mut lone = serving_with(Config {
        save: vec![SavePoint {
            after_s: 60,
            changes: 2,
        }],
        ..Config::default()
    });
    let saves = |lone: &Lone| {
        let is_save =
            |action: &&Action| matches!(action, Action::ToDisk(ToDisk::Save(save)) if save.beside);
        lone.actions.iter().filter(is_save).count()
    };
    lone.ask("SET a 1");
    lone.pass_ms(61_000);
    lone.cron();
    assert_eq!(saves(&lone), 0, "one change is not two");
    lone.ask("SET a 2");
    lone.cron();
    assert_eq!(saves(&lone), 1);
    lone.cron();
    assert_eq!(saves(&lone), 0, "one at a time");
}

#[test]
fn save_is_answered_when_the_file_is_there() {
    let mut lone = serving();
    assert_eq!(lone.ask("SAVE"), "");
    lone.give(Input::Disk(FromDisk::Saved(Ok(()))));
    lone.end_turn();
    assert_eq!(lone.said_to(ALICE), ["OK"]);
}

#[test]
fn the_append_only_file_is_switched_on_and_off_while_the_node_runs() {
    let mut lone = serving();
    lone.ask("CONFIG SET appendonly yes");
    let first = lone.actions.iter().any(|action| match action {
        Action::ToDisk(ToDisk::Rewrite(rewrite)) => rewrite.first,
        _ => false,
    });
    assert!(first);
    lone.give(Input::Disk(FromDisk::RewriteBegan(Ok(()))));
    lone.ask("SET a 1");
    assert_eq!(appended(&lone).len(), 1, "into the file beside");
    lone.give(Input::Disk(FromDisk::Rewritten(Ok(100))));
    assert!(lone.ask("INFO persistence").contains("aof_enabled:1"));
    lone.ask("CONFIG SET appendonly no");
    assert!(
        lone.actions
            .contains(&Action::ToDisk(ToDisk::StopAppending))
    );
    lone.ask("SET a 2");
    assert_eq!(appended(&lone), []);
}

fn entry(key: &'static str, expires_at_ms: Option<i64>) -> SnapshotEntry {
    SnapshotEntry {
        key: key.into(),
        value: Value::String("v".into()),
        expires_at_ms,
    }
}

fn file(entries: Vec<SnapshotEntry>) -> Rdb {
    Rdb {
        snapshot: Snapshot {
            entries: entries.into(),
            stream_digest: 0,
            open_slots: Vec::new(),
        },
        aux: Aux::default(),
        len: 0,
    }
}

#[test]
fn a_master_leaves_out_what_expired_and_takes_responsibility_for_what_nobody_owns() {
    let mut lone = fresh(Config::default());
    let old = entry("old", Some(START_MS - 1));
    let rdb = file(vec![
        old,
        entry("new", Some(START_MS + 1)),
        entry("b", None),
    ]);
    assert_eq!(lone.node.load_rdb(lone.now, &rdb), (2, 1));
    lone.node.loaded(lone.now, LoadedFrom::Rdb);
    let slot = crate::slot::key_slot(b"new");
    assert_eq!(lone.node.cluster.owner(slot), Some(MYSELF));
    lone.end_turn();
    let saved = |action: &Action| matches!(action, Action::Persist { sync: true, .. });
    assert!(lone.actions.iter().any(saved));
}

#[test]
fn keys_of_a_slot_that_another_node_owns_make_it_imported() {
    let mut lone = fresh(Config::default());
    let other = lone.know(2, NodeFlags::MASTER);
    let slot = crate::slot::key_slot(b"b");
    lone.node.cluster.set_owner(slot, Some(other));
    lone.node.load_rdb(lone.now, &file(vec![entry("b", None)]));
    lone.node.loaded(lone.now, LoadedFrom::Rdb);
    assert_eq!(lone.node.cluster.importing.get(&slot), Some(&other));
}
