//! Snapshots: saves and rewrites, by command, by `save` points, by the growth of the append-only
//! file and at the end.

use super::{AofState, flag, flush, log, number};
use crate::action::{Action, ToDisk};
use crate::clients;
use crate::config::SavePoint;
use crate::ids::{ClientId, ReplicationId};
use crate::input::Snapshot;
use crate::log_words::LogLevel;
use crate::node::Node;
use crate::reply::Reply;
use crate::store::Store;

/// After a save that failed the next waits so long, s (`CONFIG_BGSAVE_RETRY_DELAY`).
const RETRY_DELAY_S: i64 = 5;

/// So many rewrites may fail in a row before they are held back (`AOF_REWRITE_LIMITE_THRESHOLD`).
const REWRITE_FAILURES: u64 = 3;

/// Rewrites are held back so long at most, min.
const REWRITE_DELAY_MAX_MIN: i64 = 60;

/// A snapshot for `dbfilename`.
#[derive(Clone, PartialEq, Debug)]
pub struct Save {
    /// The keyspace.
    pub snapshot: Snapshot,
    /// The history the snapshot stands in, and where, if that means anything to a replica.
    pub replication: Option<(ReplicationId, u64)>,
    /// Memory in use, bytes.
    pub used_memory_bytes: u64,
    /// Whether the event loop goes on meanwhile.
    pub beside: bool,
}

/// A snapshot that takes the place of all that was appended before.
#[derive(Clone, PartialEq, Debug)]
pub struct Rewrite {
    /// The keyspace.
    pub snapshot: Snapshot,
    /// Memory in use, bytes.
    pub used_memory_bytes: u64,
    /// Whether the base is written as RDB rather than as commands (`aof-use-rdb-preamble`).
    pub as_rdb: bool,
    /// Whether nothing was appended before: what is appended meanwhile counts only once the base
    /// is written (`AOF_WAIT_REWRITE`).
    pub first: bool,
}

/// What became of what a node asked its disk for. Reasons are the system's words (`strerror`).
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum FromDisk {
    /// What was to be appended could not be written. The shell keeps it and writes it first with
    /// the next [`ToDisk::Append`].
    AppendFailed(Box<str>),
    /// What had been kept is written.
    AppendRecovered,
    /// The sync beside the event loop is over.
    AppendSynced(Result<(), Box<str>>),
    /// A rewrite began, and commands go to a new increment; or it cannot begin.
    RewriteBegan(Result<(), Box<str>>),
    /// A rewrite is over: the bytes of the new base.
    Rewritten(Result<u64, Box<str>>),
    /// A save is over.
    Saved(Result<(), Box<str>>),
}

/// What is written beside the event loop. One thing at a time (`child_type`).
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Job {
    /// A snapshot to `dbfilename`.
    Save,
    /// A new base of the append-only file.
    Rewrite,
}

/// Snapshots under way, those to come and what became of the last.
#[derive(Debug)]
pub(super) struct Jobs {
    /// With its begin, Unix s.
    current: Option<(Job, i64)>,
    /// Changes that the save under way covers.
    covered_changes: u64,
    save_scheduled: bool,
    rewrite_scheduled: bool,
    /// Who waits for `SAVE`, or for a rewrite to begin.
    waiting: Option<ClientId>,
    /// The end of the process waits for the last save.
    ending: Option<Shutdown>,
    /// Unix s.
    last_save_s: i64,
    last_try_s: i64,
    save_failed: bool,
    save_took_s: i64,
    saves: u64,
    rewrite_failed: bool,
    rewrite_took_s: i64,
    rewrites: u64,
    failures_in_a_row: u64,
    delay_min: i64,
    /// Before this no rewrite begins by itself, Unix s; 0: no limit.
    no_rewrite_before_s: i64,
}

/// How a server is asked to end (`SHUTDOWN_*`).
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub(crate) struct Shutdown {
    /// `SAVE` or `NOSAVE`; `None`: as the `save` points demand.
    pub(crate) save: Option<bool>,
    /// Ends even if nothing can be saved.
    pub(crate) force: bool,
    /// Who asked, if it was a client.
    pub(crate) client: Option<ClientId>,
}

impl Jobs {
    pub(super) const fn new(now_s: i64) -> Self {
        Self {
            current: None,
            covered_changes: 0,
            save_scheduled: false,
            rewrite_scheduled: false,
            waiting: None,
            ending: None,
            last_save_s: now_s,
            last_try_s: 0,
            save_failed: false,
            save_took_s: -1,
            saves: 0,
            rewrite_failed: false,
            rewrite_took_s: -1,
            rewrites: 0,
            failures_in_a_row: 0,
            delay_min: 0,
            no_rewrite_before_s: 0,
        }
    }

    pub(super) const fn is_busy(&self) -> bool {
        self.current.is_some()
    }

    pub(super) fn is_rewriting(&self) -> bool {
        self.job() == Some(Job::Rewrite)
    }

    fn job(&self) -> Option<Job> {
        self.current.map(|(job, _)| job)
    }

    pub(super) const fn save_failed(&self) -> bool {
        self.save_failed
    }

    pub(super) const fn rewrite_is_scheduled(&self) -> bool {
        self.rewrite_scheduled
    }

    /// How long a job has been under way, s; -1 if it is not.
    fn takes_s(&self, job: Job, now_s: i64) -> i64 {
        let current = self.current.filter(|&(current, _)| current == job);
        current.map_or(-1, |(_, since_s)| now_s - since_s)
    }

    pub(super) fn info_save(&self, now_s: i64) -> [(&'static str, String); 7] {
        let status = if self.save_failed { "err" } else { "ok" };
        let running = u8::from(self.job() == Some(Job::Save));
        [
            ("rdb_bgsave_in_progress", running.to_string()),
            ("rdb_last_save_time", self.last_save_s.to_string()),
            ("rdb_last_bgsave_status", status.to_owned()),
            ("rdb_last_bgsave_time_sec", self.save_took_s.to_string()),
            (
                "rdb_current_bgsave_time_sec",
                self.takes_s(Job::Save, now_s).to_string(),
            ),
            ("rdb_saves", self.saves.to_string()),
            ("rdb_last_cow_size", "0".to_owned()),
        ]
    }

    pub(super) fn info_rewrite(&self, now_s: i64) -> [(&'static str, String); 7] {
        let status = if self.rewrite_failed { "err" } else { "ok" };
        [
            (
                "aof_rewrite_in_progress",
                u8::from(self.is_rewriting()).to_string(),
            ),
            (
                "aof_rewrite_scheduled",
                u8::from(self.rewrite_scheduled).to_string(),
            ),
            ("aof_last_rewrite_time_sec", self.rewrite_took_s.to_string()),
            (
                "aof_current_rewrite_time_sec",
                self.takes_s(Job::Rewrite, now_s).to_string(),
            ),
            ("aof_last_bgrewrite_status", status.to_owned()),
            ("aof_rewrites", self.rewrites.to_string()),
            (
                "aof_rewrites_consecutive_failures",
                self.failures_in_a_row.to_string(),
            ),
        ]
    }

    /// Whether a save that failed was tried again too short a time ago.
    const fn save_must_wait(&self, now_s: i64) -> bool {
        self.save_failed && now_s - self.last_try_s <= RETRY_DELAY_S
    }
}

/// The persistence's part of `serverCron`.
pub(crate) fn cron(node: &mut Node) {
    let points_at = node.config.save.is_empty();
    let jobs = &node.persistence.jobs;
    if points_at && node.persistence.aof.state == AofState::Off && !jobs.rewrite_scheduled {
        if jobs.save_scheduled && jobs.current.is_none() {
            save_beside(node);
        }
        return;
    }
    if node.persistence.jobs.current.is_none()
        && node.persistence.jobs.rewrite_scheduled
        && !rewrites_are_held_back(node)
    {
        rewrite(node);
    }
    if node.persistence.jobs.current.is_none() {
        save_at_a_point(node);
    }
    if node.persistence.jobs.current.is_none() {
        rewrite_what_grew(node);
    }
    let jobs = &node.persistence.jobs;
    if jobs.current.is_none() && jobs.save_scheduled && !jobs.save_must_wait(node.unix_s()) {
        save_beside(node);
    }
}

fn save_at_a_point(node: &mut Node) {
    let (now_s, changes) = (node.unix_s(), node.persistence.changes);
    let jobs = &node.persistence.jobs;
    let since_s = u64::try_from(now_s - jobs.last_save_s).unwrap_or(0);
    let reached = |point: &&SavePoint| changes >= point.changes && since_s > point.after_s;
    if jobs.save_must_wait(now_s) {
        return;
    }
    if let Some(&point) = node.config.save.iter().find(reached) {
        let SavePoint { after_s, changes } = point;
        let line = format!("{changes} changes in {after_s} seconds. Saving...");
        log(node, LogLevel::Notice, line);
        save_beside(node);
    }
}

fn rewrite_what_grew(node: &mut Node) {
    let aof = &node.persistence.aof;
    if aof.state != AofState::On {
        return;
    }
    let (size, base) = (aof.size_bytes, aof.base_size_bytes.max(1));
    let percent = number(&node.config, "auto-aof-rewrite-percentage");
    if percent == 0 || size <= number(&node.config, "auto-aof-rewrite-min-size") {
        return;
    }
    let growth = (size * 100 / base).saturating_sub(100);
    if growth >= percent && !rewrites_are_held_back(node) {
        let line = format!("Starting automatic rewriting of AOF on {growth}% growth");
        log(node, LogLevel::Notice, line);
        rewrite(node);
    }
}

/// After failures in a row a rewrite begins by itself only after a minute, then two, then four
/// (`aofRewriteLimited`).
fn rewrites_are_held_back(node: &mut Node) -> bool {
    let now_s = node.unix_s();
    let jobs = &mut node.persistence.jobs;
    if jobs.failures_in_a_row < REWRITE_FAILURES {
        (jobs.delay_min, jobs.no_rewrite_before_s) = (0, 0);
        return false;
    }
    if jobs.no_rewrite_before_s != 0 {
        let held_back = now_s < jobs.no_rewrite_before_s;
        if !held_back {
            jobs.no_rewrite_before_s = 0;
        }
        return held_back;
    }
    jobs.delay_min = (jobs.delay_min * 2).clamp(1, REWRITE_DELAY_MAX_MIN);
    jobs.no_rewrite_before_s = now_s + jobs.delay_min * 60;
    let line = format!(
        "Background AOF rewrite has repeatedly failed and triggered the limit, will retry in {} \
         minutes",
        jobs.delay_min
    );
    log(node, LogLevel::Warning, line);
    true
}

/// `SAVE`. It is answered once the file is there.
pub(crate) fn save_command(node: &mut Node, client: Option<ClientId>) -> Option<Reply> {
    if node.persistence.jobs.job() == Some(Job::Save) {
        return Some(Reply::error("ERR Background save already in progress"));
    }
    node.persistence.jobs.waiting = client;
    save(node, false);
    None
}

/// `BGSAVE`, or with `schedule` `BGSAVE SCHEDULE`.
pub(crate) fn save_beside_command(node: &mut Node, schedule: bool) -> Reply {
    match node.persistence.jobs.job() {
        Some(Job::Save) => Reply::error("ERR Background save already in progress"),
        Some(Job::Rewrite) if schedule => {
            node.persistence.jobs.save_scheduled = true;
            Reply::Simple("Background saving scheduled".into())
        }
        Some(Job::Rewrite) => Reply::error(
            "ERR Another child process is active (AOF?): can't BGSAVE right now. Use BGSAVE \
             SCHEDULE in order to schedule a BGSAVE whenever possible.",
        ),
        None => {
            save_beside(node);
            Reply::Simple("Background saving started".into())
        }
    }
}

/// `BGREWRITEAOF`. It is answered once the rewrite has begun.
pub(crate) fn rewrite_command(node: &mut Node, client: Option<ClientId>) -> Option<Reply> {
    match node.persistence.jobs.job() {
        Some(Job::Rewrite) => Some(Reply::error(
            "ERR Background append only file rewriting already in progress",
        )),
        Some(Job::Save) => {
            node.persistence.jobs.rewrite_scheduled = true;
            node.persistence.jobs.failures_in_a_row = 0;
            let said = "Background append only file rewriting scheduled";
            Some(Reply::Simple(said.into()))
        }
        None => {
            node.persistence.jobs.waiting = client;
            rewrite(node);
            None
        }
    }
}

/// Unix s of the last save, for `LASTSAVE`.
pub(crate) const fn last_save_s(node: &Node) -> i64 {
    node.persistence.jobs.last_save_s
}

/// A client is gone; nobody waits for its answer.
pub(crate) fn client_gone(node: &mut Node, client: ClientId) {
    let waiting = &mut node.persistence.jobs.waiting;
    *waiting = waiting.filter(|&waiting| waiting != client);
}

/// Begins a save beside the event loop (`rdbSaveBackground`).
pub(crate) fn save_beside(node: &mut Node) {
    node.persistence.jobs.save_scheduled = false;
    save(node, true);
}

fn save(node: &mut Node, beside: bool) {
    let now_s = node.unix_s();
    let jobs = &mut node.persistence.jobs;
    jobs.saves += 1;
    jobs.covered_changes = node.persistence.changes;
    if beside {
        jobs.last_try_s = now_s;
        jobs.current = Some((Job::Save, now_s));
    }
    let save = Save {
        snapshot: node.replication.snapshot(&node.store),
        replication: node.replication.saved_position(),
        used_memory_bytes: node.store.used_bytes() as u64,
        beside,
    };
    node.immediate(Action::ToDisk(ToDisk::Save(Box::new(save))));
}

/// Begins a rewrite (`rewriteAppendOnlyFileBackground`).
fn rewrite(node: &mut Node) {
    let now_s = node.unix_s();
    node.persistence.aof.needs_select = true;
    if node.persistence.aof.state != AofState::Off
        && let Some(append) = flush(node, true)
    {
        node.immediate(append);
    }
    let persistence = &mut node.persistence;
    persistence.jobs.rewrites += 1;
    persistence.jobs.rewrite_scheduled = false;
    persistence.jobs.current = Some((Job::Rewrite, now_s));
    let rewrite = Rewrite {
        snapshot: node.replication.snapshot(&node.store),
        used_memory_bytes: node.store.used_bytes() as u64,
        as_rdb: flag(&node.config, "aof-use-rdb-preamble"),
        first: node.persistence.aof.state == AofState::WaitsForRewrite,
    };
    node.persistence.aof.increment_bytes = 0;
    node.immediate(Action::ToDisk(ToDisk::Rewrite(Box::new(rewrite))));
}

/// `CONFIG SET appendonly` (`startAppendOnly`, `stopAppendOnly`). Called after the configuration
/// has changed.
pub(crate) fn set_appendonly(node: &mut Node, on: bool) {
    let now_s = node.unix_s();
    match (node.persistence.aof.state, on) {
        (AofState::Off, true) => {
            let aof = &mut node.persistence.aof;
            aof.state = AofState::WaitsForRewrite;
            aof.last_sync_s = now_s;
            (aof.write_error, aof.sync_error) = (None, None);
            if node.persistence.jobs.is_busy() {
                node.persistence.jobs.rewrite_scheduled = true;
                log(node, LogLevel::Warning, AOF_SCHEDULED);
            } else {
                rewrite(node);
            }
        }
        (AofState::WaitsForRewrite | AofState::On, false) => stop(node),
        (AofState::Off, false) | (AofState::WaitsForRewrite | AofState::On, true) => {}
    }
}

const AOF_SCHEDULED: &str = "AOF was enabled but there is already another background operation. An \
                             AOF background was scheduled to start when possible.";

fn stop(node: &mut Node) {
    if let Some(append) = flush(node, true) {
        node.immediate(append);
    }
    node.immediate(Action::ToDisk(ToDisk::StopAppending));
    let persistence = &mut node.persistence;
    persistence.aof = super::AppendOnly {
        needs_select: true,
        ..super::AppendOnly::default()
    };
    persistence.jobs.rewrite_scheduled = false;
    if persistence.jobs.is_rewriting() {
        persistence.jobs.current = None;
    }
}

/// A snapshot of a master took the keyspace's place: what was appended before is of no more use
/// (`restartAOFAfterSYNC`).
pub(crate) fn sync_began(node: &mut Node) {
    if node.persistence.aof.state != AofState::Off {
        node.persistence.aof.buffer.clear();
        node.persistence.aof.buffered_bytes = 0;
        stop(node);
        set_appendonly(node, true);
    }
}

/// The disk answered.
pub(crate) fn answered(node: &mut Node, event: FromDisk) {
    let aof = &mut node.persistence.aof;
    match event {
        FromDisk::AppendFailed(reason) => {
            aof.sync_under_way = false;
            aof.unsynced = true;
            aof.write_error = Some(reason);
        }
        FromDisk::AppendRecovered => {
            aof.write_error = None;
            let line = "AOF write error looks solved, Redis can write again.";
            log(node, LogLevel::Warning, line);
        }
        FromDisk::AppendSynced(result) => {
            aof.sync_under_way = false;
            aof.sync_error = result.err();
        }
        FromDisk::RewriteBegan(result) => rewrite_began(node, result),
        FromDisk::Rewritten(result) => rewritten(node, result),
        FromDisk::Saved(result) => saved(node, &result),
    }
}

fn rewrite_began(node: &mut Node, result: Result<(), Box<str>>) {
    let waiting = node.persistence.jobs.waiting.take();
    let answer = match result {
        Ok(()) => Reply::Simple("Background append only file rewriting started".into()),
        Err(_) => {
            let jobs = &mut node.persistence.jobs;
            jobs.current = None;
            jobs.rewrite_failed = true;
            if node.persistence.aof.state == AofState::WaitsForRewrite {
                node.persistence.aof.state = AofState::Off;
                log(node, LogLevel::Warning, CANNOT_ENABLE);
            }
            Reply::error(
                "ERR Can't execute an AOF background rewriting. Please check the server logs for \
                 more information.",
            )
        }
    };
    if let Some(client) = waiting {
        clients::reply(node, client, answer);
    }
}

const CANNOT_ENABLE: &str = "Redis needs to enable the AOF but can't trigger a background AOF \
                             rewrite operation. Check the above logs for more info about the error.";

/// `backgroundRewriteDoneHandler`.
fn rewritten(node: &mut Node, result: Result<u64, Box<str>>) {
    let now_s = node.unix_s();
    let persistence = &mut node.persistence;
    if !persistence.jobs.is_rewriting() {
        return;
    }
    persistence.jobs.rewrite_took_s = persistence.jobs.takes_s(Job::Rewrite, now_s);
    persistence.jobs.current = None;
    persistence.jobs.rewrite_failed = result.is_err();
    match result {
        Ok(base_bytes) => {
            persistence.jobs.failures_in_a_row = 0;
            let aof = &mut persistence.aof;
            if aof.state != AofState::Off {
                aof.state = AofState::On;
                aof.size_bytes = base_bytes + aof.increment_bytes;
                aof.base_size_bytes = aof.size_bytes;
            }
        }
        Err(_) => persistence.jobs.failures_in_a_row += 1,
    }
    // Tried until it succeeds.
    if node.persistence.aof.state == AofState::WaitsForRewrite {
        node.persistence.jobs.rewrite_scheduled = true;
    }
}

/// `backgroundSaveDoneHandlerDisk`, and the end of `SAVE`.
fn saved(node: &mut Node, result: &Result<(), Box<str>>) {
    let now_s = node.unix_s();
    let jobs = &mut node.persistence.jobs;
    let beside = jobs.job() == Some(Job::Save);
    if beside {
        jobs.save_took_s = jobs.takes_s(Job::Save, now_s);
        jobs.current = None;
    }
    if result.is_ok() {
        jobs.save_failed = false;
        jobs.last_save_s = now_s;
        let covered = std::mem::take(&mut jobs.covered_changes);
        node.persistence.changes = node.persistence.changes.saturating_sub(covered);
    } else if beside {
        jobs.save_failed = true;
    }
    if beside {
        let (level, line) = match result {
            Ok(()) => (
                LogLevel::Notice,
                "Background saving terminated with success",
            ),
            Err(_) => (LogLevel::Warning, "Background saving error"),
        };
        log(node, level, line);
        return;
    }
    if let Some(ending) = node.persistence.jobs.ending.take() {
        end(node, ending, result.is_ok());
    } else if let Some(client) = node.persistence.jobs.waiting.take() {
        let answer = match result {
            Ok(()) => Reply::OK,
            Err(_) => Reply::error("ERR"),
        };
        clients::reply(node, client, answer);
    }
}

/// Makes what is in memory durable as the configuration demands, and ends the process
/// (`finishShutdown`). Whoever waits for replicas first does so before.
///
/// If the client asked and it cannot be done, it is told so; the server then goes on.
pub(crate) fn shutdown(node: &mut Node, how: Shutdown) {
    let jobs = &mut node.persistence.jobs;
    if jobs.ending.is_some() {
        return;
    }
    if jobs.job() == Some(Job::Rewrite) && node.persistence.aof.state == AofState::WaitsForRewrite {
        if !how.force {
            log(node, LogLevel::Warning, "Writing initial AOF, can't exit.");
            refuse_to_end(node);
            return;
        }
        log(node, LogLevel::Warning, "Writing initial AOF. Exit anyway.");
    }
    match node.persistence.jobs.current.take() {
        Some((Job::Save, _)) => {
            let line = "There is a child saving an .rdb. Killing it!";
            log(node, LogLevel::Warning, line);
        }
        Some((Job::Rewrite, _)) => {
            let line = "There is a child rewriting the AOF. Killing it!";
            log(node, LogLevel::Warning, line);
        }
        None => {}
    }
    if node.persistence.aof.state != AofState::Off {
        log(node, LogLevel::Notice, "Calling fsync() on the AOF file.");
        if let Some(append) = flush(node, true) {
            node.immediate(append);
        }
        node.immediate(Action::ToDisk(ToDisk::StopAppending));
    }
    let wanted = how.save.unwrap_or(!node.config.save.is_empty());
    if wanted {
        let line = "Saving the final RDB snapshot before exiting.";
        log(node, LogLevel::Notice, line);
        node.persistence.jobs.ending = Some(how);
        save(node, false);
    } else {
        end(node, how, true);
    }
}

fn end(node: &mut Node, how: Shutdown, saved: bool) {
    if !saved && !how.force {
        let line = "Error trying to save the DB, can't exit.";
        log(node, LogLevel::Warning, line);
        refuse_to_end(node);
        return;
    }
    if !saved {
        let line = "Error trying to save the DB. Exit anyway.";
        log(node, LogLevel::Warning, line);
    }
    node.immediate(Action::Exit);
}

fn refuse_to_end(node: &mut Node) {
    let line = "Errors trying to shut down the server. Check the logs for more information.";
    log(node, LogLevel::Warning, line);
    clients::unblock_shutdown(node);
}

impl crate::replication::Replication {
    fn snapshot(&self, store: &Store) -> Snapshot {
        Snapshot {
            entries: store.snapshot(),
            stream_digest: self.stream_digest(),
            open_slots: Vec::new(),
        }
    }
}
