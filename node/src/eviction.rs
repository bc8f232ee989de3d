//! Keys that have to go where memory is full (`evict.c`).

use crate::commands;
use crate::config::MaxmemoryPolicy;
use crate::node::Node;
use crate::replication;
use crate::store::{AccessClock, NEW_KEY_USES, Place};
use crate::word::Word;

/// How many candidates are remembered from one time to the next (`EVPOOL_SIZE`).
const POOL_SIZE: usize = 16;

/// How many keys go at most before somebody else has his turn; upstream's limit is a time
/// (`maxmemory-eviction-tenacity`).
const EVICTED_PER_CALL: usize = 1024;

/// What is remembered of candidates for eviction.
#[derive(Clone, Debug, Default)]
pub(crate) struct Eviction {
    /// The best candidate last.
    pool: Vec<Candidate>,
    /// Whether memory was still full when the last turn of evicting ended.
    is_unfinished: bool,
}

#[derive(Clone, Debug)]
struct Candidate {
    key: Word,
    /// How dispensable it is.
    score: u64,
}

/// What a policy goes by.
#[derive(Clone, Copy, PartialEq, Eq)]
enum By {
    LastUse,
    Uses,
    TimeToLive,
    Chance,
}

impl MaxmemoryPolicy {
    /// Whether uses are counted (`MAXMEMORY_FLAG_LFU`).
    pub(crate) const fn counts_uses(self) -> bool {
        matches!(self, Self::AllkeysLfu | Self::VolatileLfu)
    }

    /// Whether uses are marked at all (`MAXMEMORY_FLAG_NO_SHARED_INTEGERS`).
    pub(crate) const fn marks_uses(self) -> bool {
        self.counts_uses() || matches!(self, Self::AllkeysLru | Self::VolatileLru)
    }

    /// What it goes by, and whether only keys that expire go; `None` if none goes.
    const fn rule(self) -> Option<(By, bool)> {
        Some(match self {
            Self::VolatileLru => (By::LastUse, true),
            Self::VolatileLfu => (By::Uses, true),
            Self::VolatileRandom => (By::Chance, true),
            Self::VolatileTtl => (By::TimeToLive, true),
            Self::AllkeysLru => (By::LastUse, false),
            Self::AllkeysLfu => (By::Uses, false),
            Self::AllkeysRandom => (By::Chance, false),
            Self::Noeviction => return None,
        })
    }
}

/// Makes room as the policy wants it (`performEvictions`). False if memory stays too full: what
/// needs more must be refused.
pub(crate) fn make_room(node: &mut Node) -> bool {
    if !is_full(node) || !may_evict(node) {
        return true;
    }
    for _ in 0..EVICTED_PER_CALL {
        if !is_full(node) {
            node.eviction.is_unfinished = false;
            return true;
        }
        let Some(place) = next_to_go(node) else {
            node.eviction.is_unfinished = false;
            return false;
        };
        evict(node, place);
    }
    node.eviction.is_unfinished = true;
    true
}

/// What of eviction `serverCron` does: the clock that uses are dated by goes on, and what could
/// not be evicted at once is.
pub(crate) fn cron(node: &mut Node) {
    set_clock(node);
    if node.eviction.is_unfinished {
        make_room(node);
    }
}

/// The configuration may have changed: uses of keys are dated or counted as the policy wants it,
/// and what is too much goes with the next cron.
pub(crate) fn reconfigure(node: &mut Node) {
    set_clock(node);
    node.eviction.is_unfinished = is_full(node);
}

fn set_clock(node: &mut Node) {
    let counts_uses = node.config.maxmemory_policy.counts_uses();
    let clock = AccessClock::new(node.wall(), counts_uses);
    node.store.set_clock(clock);
}

/// A key is used, where uses are counted (`updateLFU`).
pub(crate) fn count_use(node: &mut Node, place: Place) {
    let uses = node.store.uses(place, node.config.lfu_decay_time_min);
    let beyond_start = f64::from(uses.saturating_sub(NEW_KEY_USES));
    let odds = beyond_start * f64::from(node.config.lfu_log_factor) + 1.0;
    // The more often a key was used already, the less likely one use more is counted
    // (`LFULogIncr`).
    let drawn = node.random.evictions.number() >> 11;
    let is_counted = (drawn as f64) * odds < (1_u64 << 53) as f64;
    let uses = uses.saturating_add(u8::from(is_counted));
    node.store.set_uses(place, uses);
}

fn is_full(node: &Node) -> bool {
    let limit_bytes = node.config.maxmemory_bytes;
    limit_bytes > 0 && node.store.used_bytes() as u64 > limit_bytes
}

/// Whether eviction is this node's to do now: a replica leaves it to its master, and nothing moves
/// during a pause (`isSafeToPerformEvictions`).
fn may_evict(node: &mut Node) -> bool {
    let is_left_to_master = commands::follows_master(node) && node.config.replica_ignore_maxmemory;
    !is_left_to_master && !crate::clients::check_pause(node)
}

fn evict(node: &mut Node, place: Place) {
    let key = node.store.key(place).clone();
    node.store.remove_at(place);
    crate::clients::touch(node, &key);
    node.clients.stats.evicted_keys += 1;
    replication::propagate(node, [Word::from_static(b"DEL"), key]);
}

fn next_to_go(node: &mut Node) -> Option<Place> {
    let (by, volatile) = node.config.maxmemory_policy.rule()?;
    if by == By::Chance {
        return draw(node, volatile);
    }
    loop {
        if candidates(node, volatile) == 0 {
            return None;
        }
        fill_pool(node, by, volatile);
        while let Some(candidate) = node.eviction.pool.pop() {
            let found = node.store.find(&candidate.key);
            // It may have gone, or may not expire any more.
            let fits = |&place: &Place| !volatile || node.store.expiry(place).is_some();
            if let Some(place) = found.filter(fits) {
                return Some(place);
            }
        }
    }
}

fn candidates(node: &Node, volatile: bool) -> usize {
    if volatile {
        node.store.expiring_len()
    } else {
        node.store.len()
    }
}

/// Some key, by chance.
fn draw(node: &mut Node, volatile: bool) -> Option<Place> {
    let count = u32::try_from(candidates(node, volatile)).unwrap_or(u32::MAX);
    let drawn = node.random.evictions.below(count) as usize;
    if volatile {
        node.store.nth_expiring(drawn)
    } else {
        node.store.nth(drawn)
    }
}

/// Looks at some keys and remembers the best candidates (`evictionPoolPopulate`).
fn fill_pool(node: &mut Node, by: By, volatile: bool) {
    let samples = (node.config.maxmemory_samples.max(1) as usize).min(candidates(node, volatile));
    for _ in 0..samples {
        let Some(place) = draw(node, volatile) else {
            return;
        };
        let score = score(node, by, place);
        let pool = &mut node.eviction.pool;
        let key = node.store.key(place);
        if pool.iter().any(|candidate| candidate.key == *key) {
            continue;
        }
        let at = pool.partition_point(|candidate| candidate.score < score);
        let candidate = Candidate {
            key: key.clone(),
            score,
        };
        if pool.len() < POOL_SIZE {
            pool.insert(at, candidate);
        } else if at > 0 {
            pool.remove(0);
            pool.insert(at - 1, candidate);
        }
    }
}

fn score(node: &Node, by: By, place: Place) -> u64 {
    match by {
        By::LastUse => u64::from(node.store.idle_s(place)),
        By::Uses => u64::from(u8::MAX - node.store.uses(place, node.config.lfu_decay_time_min)),
        By::TimeToLive => {
            let expiry_ms = node.store.expiry(place).unwrap_or(i64::MAX);
            u64::MAX - expiry_ms.max(0).unsigned_abs()
        }
        By::Chance => 0,
    }
}
