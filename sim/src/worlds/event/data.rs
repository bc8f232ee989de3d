//! Files of data of a host: the append-only file and the snapshot, as written and as a loss of
//! power leaves them.

use bytes::BytesMut;
use redrill_node::wire::aof::AofReader;
use redrill_node::wire::rdb::{self, Aux, Rdb};
use redrill_node::wire::resp;
use redrill_node::{
    Action, AppendSync, CommandLine, FromDisk, LoadedFrom, Node, Now, ReplicationId, Rewrite, Save,
    Snapshot, ToDisk,
};

use super::host::{Descriptor, LoopState};
use super::kernel::{Event, Kernel};
use super::turn::Flow;
use crate::trace::NodeNumber;

/// The files of data of a host.
#[derive(Debug, Default)]
pub(super) struct DataFiles {
    /// The base of the append-only file; `None`: there is none.
    base: Option<Snapshot>,
    /// What was appended since.
    log: Vec<CommandLine>,
    /// So many of the log's commands survive a loss of power.
    durable: usize,
    /// Where the increment begins that a rewrite under way writes to.
    new_increment: Option<usize>,
    /// Whether the log stands in a file that counts only once the first base is there.
    is_temporary: bool,
    /// Until when a sync keeps the file busy.
    busy_until_us: u64,
    snapshot: Option<(Snapshot, Option<(ReplicationId, u64)>)>,
}

/// What is on its way to a disk beside the event loop.
#[derive(Debug)]
pub(super) struct DiskWork {
    /// Which start of the process asked for it.
    start: u32,
    what: Work,
}

#[derive(Debug)]
enum Work {
    /// A sync of so many commands.
    Sync(usize),
    Rewrite(Box<Rewrite>),
    Save(Box<Save>),
}

impl DataFiles {
    /// The process ended: what counts only later never will.
    pub(super) fn process_ended(&mut self) {
        self.new_increment = None;
        self.busy_until_us = 0;
        if std::mem::take(&mut self.is_temporary) {
            self.log.clear();
            self.durable = 0;
        }
    }

    /// The host lost power.
    pub(super) fn lose_power(&mut self) {
        self.process_ended();
        self.log.truncate(self.durable);
    }

    /// Loads a node that is about to start, as [`redrill_server`] does.
    pub(super) fn load(&mut self, node: &mut Node, now: Now) {
        if !node.config().appendonly {
            let Some((snapshot, replication)) = &self.snapshot else {
                return;
            };
            node.load_rdb(now, &as_rdb(snapshot, *replication));
            node.loaded(now, LoadedFrom::Rdb);
            return;
        }
        let base = self.base.get_or_insert_with(Snapshot::default);
        node.load_base(now, &as_rdb(base, None));
        let mut bytes = BytesMut::new();
        for command in &self.log {
            resp::encode_command(command, &mut bytes);
        }
        let mut reader = AofReader::new(&bytes, 0);
        let mut commands = 0;
        // A transaction that is cut off is taken back, with all that follows it.
        while let Ok(Some(command)) = reader.next_command() {
            // What is in the log was a command once.
            if node.replay(now, &command).is_err() {
                break;
            }
            commands += 1;
        }
        if commands < self.log.len() {
            self.keep_whole_commands(reader.valid_up_to());
        }
        self.durable = self.durable.min(self.log.len());
        let base_bytes = base_bytes(self.base.as_ref());
        let size_bytes = base_bytes + bytes.len() as u64;
        node.loaded(
            now,
            LoadedFrom::AppendOnly {
                size_bytes,
                base_bytes,
            },
        );
    }

    /// Cuts the log off at a place of its bytes.
    fn keep_whole_commands(&mut self, valid_up_to: usize) {
        let mut end = 0;
        let valid = self.log.iter().take_while(|command| {
            end += resp::command_len(command);
            end <= valid_up_to
        });
        let count = valid.count();
        self.log.truncate(count);
    }
}

fn as_rdb(snapshot: &Snapshot, replication: Option<(ReplicationId, u64)>) -> Rdb {
    Rdb {
        snapshot: snapshot.clone(),
        aux: Aux {
            replication,
            ..Aux::default()
        },
        len: 0,
    }
}

fn base_bytes(base: Option<&Snapshot>) -> u64 {
    let mut bytes = BytesMut::new();
    if let Some(base) = base {
        rdb::encode(base, &mut bytes);
    }
    bytes.len() as u64
}

impl Kernel {
    /// Does what a node asks of its disk.
    pub(super) fn use_disk(&mut self, node: NodeNumber, what: ToDisk) -> Flow {
        match what {
            ToDisk::Append { commands, sync } => return self.append(node, commands, sync),
            ToDisk::Rewrite(rewrite) => self.begin_rewrite(node, rewrite),
            ToDisk::Save(save) => self.work_beside(node, Work::Save(save)),
            ToDisk::StopAppending => {
                let files = &mut self.disks[usize::from(node)].data;
                files.durable = files.log.len();
                files.process_ended();
            }
        }
        Flow::GoesOn
    }

    fn append(&mut self, node: NodeNumber, commands: Vec<CommandLine>, sync: AppendSync) -> Flow {
        let now_us = self.now_us;
        let disk = &mut self.disks[usize::from(node)];
        let writes = !commands.is_empty();
        disk.data.log.extend(commands);
        let mut until_us = now_us;
        if writes {
            // The system lets nobody write to a file that it syncs.
            until_us = until_us.max(disk.data.busy_until_us);
        }
        match sync {
            AppendSync::No => {}
            AppendSync::Beside => {
                let count = disk.data.log.len();
                self.work_beside(node, Work::Sync(count));
            }
            AppendSync::Wait => {
                until_us += disk.times.sync_time_us(until_us);
                disk.syncs_log = true;
            }
        }
        if until_us > now_us {
            self.hosts[usize::from(node)].loop_state = LoopState::Appending { until_us };
            self.queue.push(until_us, Event::Resume(node));
            return Flow::Sleeps;
        }
        self.log_synced(node);
        Flow::GoesOn
    }

    /// The event loop waited for a sync of the log, if it did.
    pub(super) fn log_synced(&mut self, node: NodeNumber) {
        let disk = &mut self.disks[usize::from(node)];
        if std::mem::take(&mut disk.syncs_log) {
            disk.data.durable = disk.data.log.len();
        }
    }

    fn begin_rewrite(&mut self, node: NodeNumber, rewrite: Box<Rewrite>) {
        let files = &mut self.disks[usize::from(node)].data;
        if rewrite.first {
            files.log.clear();
            files.durable = 0;
            files.is_temporary = true;
        }
        files.new_increment = Some(files.log.len());
        self.answer_from_disk(node, FromDisk::RewriteBegan(Ok(())));
        self.work_beside(node, Work::Rewrite(rewrite));
    }

    fn work_beside(&mut self, node: NodeNumber, what: Work) {
        let disk = &mut self.disks[usize::from(node)];
        let done_us = self.now_us + disk.times.sync_time_us(self.now_us);
        if let Work::Sync(_) = what {
            disk.data.busy_until_us = done_us;
        }
        let start = self.hosts[usize::from(node)].starts;
        disk.work.push_back((done_us, DiskWork { start, what }));
        self.queue.push(done_us, Event::Disk(node));
    }

    /// Something may have reached the disk.
    pub(super) fn disk_due(&mut self, node: NodeNumber) {
        let now_us = self.now_us;
        let host = &self.hosts[usize::from(node)];
        let (start, runs) = (host.starts, host.node.is_some());
        loop {
            let disk = &mut self.disks[usize::from(node)];
            let due = disk.work.iter().position(|(done_us, _)| *done_us <= now_us);
            let Some((_, work)) = due.and_then(|place| disk.work.remove(place)) else {
                return;
            };
            if work.start == start && runs {
                let answer = disk.data.done(work.what);
                self.answer_from_disk(node, answer);
            }
        }
    }

    fn answer_from_disk(&mut self, node: NodeNumber, answer: FromDisk) {
        self.hosts[usize::from(node)].from_disk.push_back(answer);
        self.wake_host(node, Descriptor::Disk);
    }

    /// Makes what a process still holds durable, as far as its configuration demands, before it
    /// is ended in order.
    pub(super) fn settle_data(&mut self, node: NodeNumber) {
        let now = self.clock(node);
        let host = &mut self.hosts[usize::from(node)];
        let Some(process) = &mut host.node else {
            return;
        };
        if !process.config().appendonly {
            return;
        }
        let mut actions = Vec::new();
        process.handle(now, redrill_node::Input::Terminate, &mut actions);
        let files = &mut self.disks[usize::from(node)].data;
        for action in actions {
            if let Action::ToDisk(ToDisk::Append { commands, .. }) = action {
                files.log.extend(commands);
            }
        }
        files.durable = files.log.len();
    }
}

impl DataFiles {
    fn done(&mut self, what: Work) -> FromDisk {
        match what {
            Work::Sync(count) => {
                self.busy_until_us = 0;
                self.durable = self.durable.max(count.min(self.log.len()));
                FromDisk::AppendSynced(Ok(()))
            }
            Work::Rewrite(rewrite) => {
                let from = self.new_increment.take().unwrap_or(0);
                self.log.drain(..from);
                self.durable = self.durable.saturating_sub(from);
                self.is_temporary = false;
                let bytes = base_bytes(Some(&rewrite.snapshot));
                self.base = Some(rewrite.snapshot);
                FromDisk::Rewritten(Ok(bytes))
            }
            Work::Save(save) => {
                self.snapshot = Some((save.snapshot, save.replication));
                FromDisk::Saved(Ok(()))
            }
        }
    }
}
