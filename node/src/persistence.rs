//! Persistence: what goes to the append-only file, snapshots to disk, and what a start reads.
//!
//! The node decides, the shell does: [`ToDisk`] goes out in order with all
//! other actions, and what became of them comes back as [`FromDisk`]. The shell keeps files,
//! the node counts.

pub(crate) mod jobs;
mod load;

use crate::action::{Action, ToDisk};
use crate::config::{AppendFsync, Config, Setting};
use crate::input::CommandLine;
use crate::log_words::LogLevel;
use crate::node::Node;
use crate::wire::resp::command_len;
use crate::word::Word;

pub use self::jobs::{FromDisk, Rewrite, Save};
pub(crate) use self::jobs::{
    Shutdown, answered, client_gone, cron, last_save_s, rewrite_command, save_beside_command,
    save_command, set_appendonly, shutdown, sync_began,
};
pub use self::load::{LoadedFrom, ReplayError};

/// How long a write is put off at most while a sync goes on, s.
const WRITES_WAIT_S: i64 = 2;

/// How durable appended commands have to be.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum AppendSync {
    /// Durable before anything that comes after it leaves the machine (`appendfsync always`). A
    /// server that cannot do that ends.
    Wait,
    /// A sync begins beside the event loop and is answered by [`FromDisk::AppendSynced`], or by
    /// [`FromDisk::AppendFailed`] if it did not come to it.
    Beside,
    /// When the system likes.
    No,
}

/// What a node knows of its persistence.
#[derive(Debug)]
pub(crate) struct Persistence {
    /// The append-only file.
    aof: AppendOnly,
    /// Changes since the last save (`dirty`).
    pub(crate) changes: u64,
    jobs: jobs::Jobs,
    pub(crate) loaded: load::Counts,
}

/// The append-only file, as the node sees it.
#[derive(Debug, Default)]
struct AppendOnly {
    state: AofState,
    needs_select: bool,
    /// What is to be written at the end of the turn.
    buffer: Vec<CommandLine>,
    buffered_bytes: u64,
    /// Whether something is written that no sync began for.
    unsynced: bool,
    sync_under_way: bool,
    /// Unix s.
    last_sync_s: i64,
    /// Since when writes are put off, Unix s.
    postponed_since_s: Option<i64>,
    /// How often a write did not wait for a sync any longer.
    delayed_syncs: u64,
    /// Why the last write failed, as the system says it.
    write_error: Option<Box<str>>,
    /// Why the last sync beside the loop failed.
    sync_error: Option<Box<str>>,
    /// Bytes of base and increments.
    size_bytes: u64,
    /// Bytes when the last rewrite ended.
    base_size_bytes: u64,
    /// Bytes of the increment written now.
    increment_bytes: u64,
}

/// Whether commands are appended (`aof_state`).
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
enum AofState {
    #[default]
    Off,
    /// Switched on; the first base is not written yet.
    WaitsForRewrite,
    On,
}

impl Persistence {
    pub(crate) fn new(config: &Config, now_s: i64) -> Self {
        let state = if config.appendonly {
            AofState::On
        } else {
            AofState::Off
        };
        Self {
            aof: AppendOnly {
                state,
                needs_select: true,
                last_sync_s: now_s,
                ..AppendOnly::default()
            },
            changes: 0,
            jobs: jobs::Jobs::new(now_s),
            loaded: load::Counts::default(),
        }
    }

    /// Whether commands are appended now.
    pub(crate) fn appends(&self) -> bool {
        match self.aof.state {
            AofState::Off => false,
            AofState::WaitsForRewrite => self.jobs.is_rewriting(),
            AofState::On => true,
        }
    }

    /// Why writes are refused (`writeCommandsDeniedByDiskError`).
    pub(crate) fn refusal(&self, config: &Config) -> Option<String> {
        let stops = || flag(config, "stop-writes-on-bgsave-error");
        if self.jobs.save_failed() && !config.save.is_empty() && stops() {
            return Some(RDB_MISCONF.to_owned());
        }
        if self.aof.state == AofState::Off {
            return None;
        }
        let error = self
            .aof
            .write_error
            .as_ref()
            .or(self.aof.sync_error.as_ref());
        error.map(|error| format!("MISCONF Errors writing to the AOF file: {error}"))
    }

    /// Whether [`Self::refusal`] is worth a look.
    pub(crate) const fn is_troubled(&self) -> bool {
        self.jobs.save_failed() || self.aof.write_error.is_some() || self.aof.sync_error.is_some()
    }
}

/// What a write is answered when snapshots fail (`shared.bgsaveerr`).
const RDB_MISCONF: &str = "MISCONF Redis is configured to save RDB snapshots, but it's currently \
                           unable to persist to disk. Commands that may modify the data set are \
                           disabled, because this instance is configured to report errors during \
                           writes if RDB snapshotting fails (stop-writes-on-bgsave-error option). \
                           Please check the Redis logs for details about the RDB error.";

/// Feeds a command that changed the keyspace to the append-only file (`feedAppendOnlyFile`).
pub(crate) fn append(node: &mut Node, command: &CommandLine) {
    if !node.persistence.appends() {
        return;
    }
    let aof = &mut node.persistence.aof;
    if std::mem::take(&mut aof.needs_select) {
        aof.push(["SELECT", "0"].map(Word::from).into());
    }
    aof.push(CommandLine::clone(command));
}

impl AppendOnly {
    fn push(&mut self, command: CommandLine) {
        self.buffered_bytes += command_len(&command) as u64;
        self.buffer.push(command);
    }
}

/// The end of a turn: what was appended is written before any reply leaves.
pub(crate) fn turn_end(node: &mut Node, actions: &mut Vec<Action>) {
    if node.persistence.aof.state != AofState::Off
        && let Some(action) = flush(node, false)
    {
        // A line of the log may stand before it.
        actions.append(&mut node.take_immediate());
        actions.push(action);
    }
}

/// What is to be written and synced now (`flushAppendOnlyFile`). With `force` nothing is put off.
fn flush(node: &mut Node, force: bool) -> Option<Action> {
    let now_s = node.unix_s();
    let policy = node.config.appendfsync;
    let held = node.config.no_appendfsync_on_rewrite && node.persistence.jobs.is_busy();
    let aof = &mut node.persistence.aof;
    let everysec = policy == AppendFsync::Everysec;
    if aof.buffer.is_empty() && aof.write_error.is_none() {
        let due = match policy {
            AppendFsync::Always => true,
            AppendFsync::Everysec => now_s > aof.last_sync_s && !aof.sync_under_way,
            AppendFsync::No => false,
        };
        if !(due && aof.unsynced) || held {
            return None;
        }
    } else if everysec && aof.sync_under_way && !force {
        match aof.postponed_since_s {
            None => {
                aof.postponed_since_s = Some(now_s);
                return None;
            }
            Some(since_s) if now_s - since_s < WRITES_WAIT_S => return None,
            Some(_) => {
                aof.delayed_syncs += 1;
                log(node, LogLevel::Notice, DISK_IS_BUSY);
            }
        }
    }
    let aof = &mut node.persistence.aof;
    aof.postponed_since_s = None;
    let sync = match policy {
        AppendFsync::Always if !held => AppendSync::Wait,
        AppendFsync::Everysec if !held && now_s > aof.last_sync_s => {
            aof.last_sync_s = now_s;
            if aof.sync_under_way {
                AppendSync::No
            } else {
                AppendSync::Beside
            }
        }
        AppendFsync::Always | AppendFsync::Everysec | AppendFsync::No => AppendSync::No,
    };
    aof.unsynced = sync == AppendSync::No;
    aof.sync_under_way |= sync == AppendSync::Beside;
    let bytes = std::mem::take(&mut aof.buffered_bytes);
    aof.size_bytes += bytes;
    aof.increment_bytes += bytes;
    let commands = std::mem::take(&mut aof.buffer);
    Some(Action::ToDisk(ToDisk::Append { commands, sync }))
}

const DISK_IS_BUSY: &str = "Asynchronous AOF fsync is taking too long (disk is busy?). Writing the \
                            AOF buffer without waiting for fsync to complete, this may slow down \
                            Redis.";

/// Writes a line to the log, in the words of Redis.
pub(crate) fn log(node: &mut Node, level: LogLevel, line: impl Into<Box<str>>) {
    let line = line.into();
    node.immediate(Action::Log { level, line });
}

/// A directive that is `yes` or `no`.
pub(crate) fn flag(config: &Config, name: &str) -> bool {
    config.setting(name) == Some(Setting::Flag(true))
}

/// A directive that is a number or an amount of memory.
fn number(config: &Config, name: &str) -> u64 {
    match config.setting(name) {
        Some(Setting::Number(number)) => u64::try_from(number).unwrap_or(0),
        Some(Setting::Bytes(bytes)) => bytes,
        Some(Setting::Flag(_) | Setting::Text(_) | Setting::Words(_)) | None => 0,
    }
}

/// The fields of `INFO persistence`.
pub(crate) fn info(node: &Node) -> Vec<(&'static str, String)> {
    let (persistence, now_s) = (&node.persistence, node.unix_s());
    let (aof, jobs) = (&persistence.aof, &persistence.jobs);
    let ok = |ok: bool| if ok { "ok" } else { "err" }.to_owned();
    let bit = |bit: bool| u8::from(bit).to_string();
    let is_on = aof.state != AofState::Off;
    let mut fields = vec![
        ("loading", bit(false)),
        ("async_loading", bit(false)),
        ("current_cow_peak", "0".to_owned()),
        ("current_cow_size", "0".to_owned()),
        ("current_cow_size_age", "0".to_owned()),
        ("current_fork_perc", "0.00".to_owned()),
        ("current_save_keys_processed", "0".to_owned()),
        ("current_save_keys_total", "0".to_owned()),
        (
            "rdb_changes_since_last_save",
            persistence.changes.to_string(),
        ),
    ];
    fields.extend(jobs.info_save(now_s));
    fields.extend([
        (
            "rdb_last_load_keys_expired",
            persistence.loaded.expired.to_string(),
        ),
        (
            "rdb_last_load_keys_loaded",
            persistence.loaded.keys.to_string(),
        ),
        ("aof_enabled", bit(is_on)),
    ]);
    fields.extend(jobs.info_rewrite(now_s));
    let written = aof.write_error.is_none() && aof.sync_error.is_none();
    fields.extend([
        ("aof_last_write_status", ok(written)),
        ("aof_last_cow_size", "0".to_owned()),
        ("module_fork_in_progress", bit(false)),
        ("module_fork_last_cow_size", "0".to_owned()),
    ]);
    if is_on {
        fields.extend([
            ("aof_current_size", aof.size_bytes.to_string()),
            ("aof_base_size", aof.base_size_bytes.to_string()),
            ("aof_pending_rewrite", bit(jobs.rewrite_is_scheduled())),
            ("aof_buffer_length", aof.buffered_bytes.to_string()),
            ("aof_pending_bio_fsync", bit(aof.sync_under_way)),
            ("aof_delayed_fsync", aof.delayed_syncs.to_string()),
        ]);
    }
    fields
}
