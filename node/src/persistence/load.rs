//! What a start reads (`loadDataFromDisk`).

use crate::cluster::MYSELF;
use crate::commands;
use crate::fact::{Fact, SlotChange, SlotMigration};
use crate::input::CommandLine;
use crate::log_words::LogLevel;
use crate::node::Node;
use crate::slot::{Slot, SlotSet};
use crate::time::Now;
use crate::wire::rdb::Rdb;
use crate::{replication, slots};

use super::log;

/// Keys of the last load.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub(crate) struct Counts {
    pub(crate) keys: u64,
    /// Keys left out because their time was over.
    pub(crate) expired: u64,
}

/// A command of an append-only file that cannot be run.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
pub enum ReplayError {
    /// Nobody knows this command.
    #[error("Unknown command '{0}'")]
    UnknownCommand(String),
}

/// What a keyspace was loaded from.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum LoadedFrom {
    /// From nothing, or from `dbfilename`.
    Rdb,
    /// From the append-only file.
    AppendOnly {
        /// Bytes of all its parts.
        size_bytes: u64,
        /// Bytes of its base.
        base_bytes: u64,
    },
}

/// Loading. It happens between [`Node::new`] and the first input; what is worth telling is told
/// with the first input.
impl Node {
    /// Takes in `dbfilename` (`rdbLoad`). A master leaves out keys whose time is over, and a
    /// history that the file tells of goes on: a replica asks its master for what comes after it,
    /// a master lets replicas of that history go on.
    ///
    /// Tells how many keys were loaded, and how many left out.
    pub fn load_rdb(&mut self, now: Now, rdb: &Rdb) -> (u64, u64) {
        self.now = now;
        let is_master = self.cluster.myself().is_master();
        if let Some((id, offset)) = rdb.aux.replication {
            replication::restore(self, id, offset, rdb.snapshot.stream_digest);
        }
        let mut counts = Counts::default();
        for entry in rdb.snapshot.entries.iter() {
            let expired = entry.expires_at_ms.is_some_and(|at_ms| at_ms < now.wall.0);
            if is_master && expired {
                counts.expired += 1;
                if rdb.aux.replication.is_some() {
                    commands::tell_expired(self, &entry.key);
                }
                continue;
            }
            counts.keys += 1;
            let (key, value) = (entry.key.clone(), entry.value.clone());
            self.store.set(key, value, entry.expires_at_ms);
        }
        self.persistence.loaded = counts;
        (counts.keys, counts.expired)
    }

    /// Takes in the base of an append-only file. Keys whose time is over are kept: commands after
    /// it may name them.
    pub fn load_base(&mut self, now: Now, rdb: &Rdb) {
        self.now = now;
        self.store.load(&rdb.snapshot.entries);
        self.persistence.loaded = Counts {
            keys: self.store.len() as u64,
            expired: 0,
        };
    }

    /// Runs a command of the append-only file. It is obeyed without a look at slots, roles and
    /// times, and not answered.
    ///
    /// # Errors
    /// [`ReplayError`] if there is no such command.
    pub fn replay(&mut self, now: Now, command: &CommandLine) -> Result<(), ReplayError> {
        self.now = now;
        if commands::replay(self, command) {
            return Ok(());
        }
        let name = command.first().map(|name| String::from_utf8_lossy(name));
        Err(ReplayError::UnknownCommand(
            name.unwrap_or_default().into_owned(),
        ))
    }

    /// Loading is over. A master takes what slots its keys are in that nobody owns, and imports
    /// those that others own (`verifyClusterConfigWithData`).
    pub fn loaded(&mut self, now: Now, from: LoadedFrom) {
        self.now = now;
        let persistence = &mut self.persistence;
        persistence.changes = 0;
        if let LoadedFrom::AppendOnly {
            size_bytes,
            base_bytes,
        } = from
        {
            persistence.aof.size_bytes = size_bytes;
            persistence.aof.base_size_bytes = base_bytes;
        }
        if self.cluster.myself().is_master() {
            verify_slots(self);
        }
    }
}

fn verify_slots(node: &mut Node) {
    let used: Vec<Slot> = node.store.used_slots().collect();
    let mut changed = false;
    for slot in used {
        let owner = node.cluster.owner(slot);
        if owner == Some(MYSELF) || node.cluster.importing.contains_key(&slot) {
            continue;
        }
        changed = true;
        match owner {
            None => {
                let line = format!(
                    "I have keys for unassigned slot {slot}. Taking responsibility for it."
                );
                log(node, LogLevel::Warning, line);
                let taken: SlotSet = std::iter::once(slot).collect();
                let epoch = node.cluster.myself().config_epoch;
                slots::give(node, &taken, Some(MYSELF), epoch, SlotChange::FoundKeys);
            }
            Some(owner) => {
                let line = format!(
                    "I have keys for slot {slot}, but the slot is assigned to another node. \
                     Setting it to importing state."
                );
                log(node, LogLevel::Warning, line);
                let from = node.cluster[owner].id;
                node.cluster.importing.insert(slot, owner);
                node.note(Fact::SlotMigration {
                    slot,
                    state: SlotMigration::Importing(from),
                });
            }
        }
    }
    if changed {
        node.save_config(true);
    }
}
