//! The disk of a host: files, and what a loss of power leaves of them.

use std::collections::BTreeMap;

use crate::network::Distribution;
use crate::rng::{Purpose, Streams, draw, scale};
use crate::scenario::Latency;

/// A host's disk.
///
/// A process that writes sees its new content at once; a kill keeps it. A loss of power keeps only
/// what was synced: a file replaced by renaming falls back to the last synced content as a whole,
/// one written in place is torn.
#[derive(Clone, Debug)]
pub struct HostDisk {
    host: u64,
    time_key: u64,
    torn_key: u64,
    usual: Distribution,
    /// Slower times, by fault; the last fault counts.
    slow: BTreeMap<u16, Distribution>,
    /// Until when the disk does nothing, microseconds since the run began.
    held_up_until_us: u64,
    files: BTreeMap<String, File>,
}

#[derive(Clone, Default, Debug)]
struct File {
    /// What a process reads.
    content: Option<Vec<u8>>,
    /// What survives a loss of power, unless `torn_by_power_loss`.
    synced: Option<Vec<u8>>,
    /// The unsynced content was written over the synced one.
    torn_by_power_loss: bool,
}

impl HostDisk {
    /// The empty disk of a host.
    #[must_use]
    pub fn new(host: u64, fsync: Latency, streams: &Streams) -> Self {
        Self {
            host,
            time_key: streams.key(Purpose::Disk),
            torn_key: streams.key(Purpose::TornFile),
            usual: Distribution::new(fsync),
            slow: BTreeMap::new(),
            held_up_until_us: 0,
            files: BTreeMap::new(),
        }
    }

    /// A file's content; `None` if there is no such file.
    #[must_use]
    pub fn read(&self, name: &str) -> Option<&[u8]> {
        self.files.get(name)?.content.as_deref()
    }

    /// Puts a new content in a file's place by renaming; a loss of power before
    /// [`Self::sync`] leaves the old one.
    pub fn replace(&mut self, name: &str, content: Vec<u8>) {
        let file = self.file(name);
        file.content = Some(content);
    }

    /// Truncates a file and writes a new content; a loss of power before [`Self::sync`] leaves
    /// a part of it.
    pub fn overwrite(&mut self, name: &str, content: Vec<u8>) {
        let file = self.file(name);
        file.content = Some(content);
        file.torn_by_power_loss = true;
    }

    /// Makes a file's content survive a loss of power. It takes [`Self::sync_time_us`].
    pub fn sync(&mut self, name: &str) {
        let file = self.file(name);
        file.synced.clone_from(&file.content);
        file.torn_by_power_loss = false;
    }

    /// How long a sync that begins now takes, microseconds.
    #[must_use]
    pub fn sync_time_us(&self, now_us: u64) -> u64 {
        let times = self
            .slow
            .last_key_value()
            .map_or(&self.usual, |(_, slow)| slow);
        let waits_us = self.held_up_until_us.saturating_sub(now_us);
        waits_us + times.at(draw(self.time_key, self.host, now_us))
    }

    /// Lets the disk do nothing until a time: what is to be synced before waits for it.
    pub fn hold_up(&mut self, until_us: u64) {
        self.held_up_until_us = self.held_up_until_us.max(until_us);
    }

    /// Makes every sync take other times as long as a fault holds; `None` ends it.
    pub fn set_slow(&mut self, fault: u16, fsync: Option<Latency>) {
        match fsync {
            Some(fsync) => self.slow.insert(fault, Distribution::new(fsync)),
            None => self.slow.remove(&fault),
        };
    }

    /// The host loses power: what is not synced is gone.
    pub fn lose_power(&mut self, now_us: u64) {
        let (key, host) = (self.torn_key, self.host);
        for file in self.files.values_mut() {
            if file.torn_by_power_loss {
                let bits = draw(key, host, now_us);
                if let Some(content) = &mut file.content {
                    content.truncate(scale(bits, content.len() as u64) as usize);
                }
                file.synced.clone_from(&file.content);
                file.torn_by_power_loss = false;
            } else {
                file.content.clone_from(&file.synced);
            }
        }
    }

    fn file(&mut self, name: &str) -> &mut File {
        self.files.entry(name.to_owned()).or_default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn disk() -> HostDisk {
        let mut disk = HostDisk::new(0, Latency::Constant { value_us: 500.0 }, &Streams::new(1));
        disk.replace("nodes.conf", b"old".to_vec());
        disk.sync("nodes.conf");
        disk
    }

    #[test]
    fn a_synced_file_survives_a_loss_of_power() {
        let mut disk = disk();
        disk.replace("nodes.conf", b"new".to_vec());
        disk.sync("nodes.conf");
        disk.lose_power(7);
        assert_eq!(disk.read("nodes.conf"), Some(&b"new"[..]));
    }

    #[test]
    fn an_unsynced_file_is_seen_but_does_not_survive() {
        let mut disk = disk();
        disk.replace("nodes.conf", b"new".to_vec());
        disk.replace("other", b"x".to_vec());
        assert_eq!(disk.read("nodes.conf"), Some(&b"new"[..]));
        disk.lose_power(7);
        assert_eq!(disk.read("nodes.conf"), Some(&b"old"[..]));
        assert_eq!(disk.read("other"), None);
    }

    #[test]
    fn a_file_written_in_place_is_torn() {
        let mut lengths = Vec::new();
        for at_us in 0..50 {
            let mut disk = disk();
            disk.overwrite("nodes.conf", b"0123456789".to_vec());
            disk.lose_power(at_us);
            let left = disk.read("nodes.conf").unwrap().to_vec();
            assert!(b"0123456789".starts_with(&left));
            disk.lose_power(at_us + 1);
            assert_eq!(disk.read("nodes.conf"), Some(&left[..]), "torn once");
            lengths.push(left.len());
        }
        lengths.sort_unstable();
        lengths.dedup();
        assert!(lengths.len() > 5 && !lengths.contains(&10), "{lengths:?}");
    }

    #[test]
    fn a_disk_that_is_held_up_syncs_when_it_goes_on() {
        let mut disk = disk();
        disk.hold_up(70_000);
        disk.hold_up(50_000);
        assert_eq!(disk.sync_time_us(20_000), 50_500);
        assert_eq!(disk.sync_time_us(70_000), 500);
    }

    #[test]
    fn a_slow_disk_is_slow_until_restored() {
        let mut disk = disk();
        disk.set_slow(3, Some(Latency::Constant { value_us: 90_000.0 }));
        assert_eq!(disk.sync_time_us(1), 90_000);
        disk.set_slow(3, None);
        assert_eq!(disk.sync_time_us(1), 500);
    }
}
