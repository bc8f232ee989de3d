//! What a node counts of its clients and their commands, for `INFO`.

use std::collections::BTreeMap;

use crate::commands::CommandNumber;
use crate::time::WallMillis;

/// Samples that the rate of commands is averaged over (`STATS_METRIC_SAMPLES`).
const RATE_SAMPLES: usize = 16;

/// The counters of `INFO`.
#[derive(Debug, Default)]
pub(crate) struct Stats {
    /// When the node started; 0 until the first cron.
    pub(crate) connections: u64,
    pub(crate) rejected_connections: u64,
    pub(crate) output_limit_disconnections: u64,
    pub(crate) commands: u64,
    pub(crate) input_bytes: u64,
    pub(crate) keyspace_hits: u64,
    pub(crate) keyspace_misses: u64,
    pub(crate) expired_keys: u64,
    pub(crate) evicted_keys: u64,
    pub(crate) errors: u64,
    /// The most memory that was used, as of the last cron, bytes.
    pub(crate) peak_bytes: usize,
    /// Error replies by code.
    pub(crate) errors_by_code: BTreeMap<Box<str>, u64>,
    /// By number of the command.
    by_command: Vec<CommandStats>,
    rate: Rate,
}

/// What is counted of one command.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct CommandStats {
    /// Runs.
    pub(crate) calls: u64,
    /// How long they took, microseconds.
    pub(crate) took_us: u64,
    /// Refused before they ran.
    pub(crate) rejected: u64,
    /// Runs that ended in an error.
    pub(crate) failed: u64,
}

/// Commands a second (`instantaneous_ops_per_sec`).
#[derive(Debug, Default)]
struct Rate {
    samples: [i64; RATE_SAMPLES],
    next: usize,
    last: Option<(WallMillis, u64)>,
}

impl Stats {
    /// The counters of a command.
    pub(crate) fn of(&mut self, command: CommandNumber) -> &mut CommandStats {
        if self.by_command.len() <= command {
            self.by_command.resize(command + 1, CommandStats::default());
        }
        &mut self.by_command[command]
    }

    /// The counters of every command that was ever named.
    pub(crate) fn commands(&self) -> impl Iterator<Item = (CommandNumber, CommandStats)> {
        let counted = |stats: &CommandStats| stats.calls + stats.rejected + stats.failed > 0;
        self.by_command
            .iter()
            .copied()
            .enumerate()
            .filter(move |(_, stats)| counted(stats))
    }

    /// Counts an error reply under its code, its first word.
    pub(crate) fn count_error(&mut self, text: &str) {
        self.errors += 1;
        let code = text.split(' ').next().unwrap_or_default();
        match self.errors_by_code.get_mut(code) {
            Some(count) => *count += 1,
            None => {
                self.errors_by_code.insert(code.into(), 1);
            }
        }
    }

    /// Takes a sample of the rate of commands (`trackInstantaneousMetric`).
    pub(crate) fn sample(&mut self, now: WallMillis) {
        let commands = self.commands;
        if let Some((at, before)) = self.rate.last.replace((now, commands)) {
            let elapsed_ms = now.since_ms(at);
            let rate = if elapsed_ms > 0 {
                (commands - before) as i64 * 1000 / elapsed_ms
            } else {
                0
            };
            self.rate.samples[self.rate.next] = rate;
            self.rate.next = (self.rate.next + 1) % RATE_SAMPLES;
        }
    }

    /// Commands a second, of late.
    pub(crate) fn commands_per_s(&self) -> i64 {
        self.rate.samples.iter().sum::<i64>() / RATE_SAMPLES as i64
    }

    /// `CONFIG RESETSTAT`.
    pub(crate) fn reset(&mut self) {
        *self = Self::default();
    }
}
