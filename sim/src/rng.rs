//! Random streams of a run, keyed by (seed, purpose, entity) and never shared.
//!
//! A draw more for one purpose or entity moves nothing for any other, so the same seed gives the
//! same faults and the same network weather to two configurations that are to be compared.

use std::convert::Infallible;

use rand::{Rng, SeedableRng, TryRng};
use rand_chacha::ChaCha8Rng;

/// What a stream of random numbers is for. The numbers are part of what a seed means: give new
/// purposes new numbers and never reuse one.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[repr(u64)]
pub enum Purpose {
    /// A node's id.
    NodeId = 1,
    /// A node's own randomness, anew for each start of its process.
    NodeSeed = 2,
    /// When in the 100 ms of its cron a node starts.
    CronPhase = 3,
    /// The wall clock when the run begins.
    Epoch = 4,
    /// When a step happens (entity: the step).
    StepTime = 5,
    /// Whom a step hits (entity: the step).
    StepTarget = 6,
    /// Latencies.
    Weather = 7,
    /// Lost segments.
    Loss = 8,
    /// Which keys a client touches (entity: the client).
    ClientKeys = 9,
    /// Whether an operation reads or writes, and where it reads (entity: the client).
    ClientOperations = 10,
    /// When a client starts, within one interval of its rate (entity: the client).
    ClientPhase = 11,
    /// Times of fsyncs (entity: the host).
    Disk = 12,
    /// What is left of a file torn by a power loss (entity: the host).
    TornFile = 13,
    /// Spells of bad links (entity: the spell and its links).
    WeatherSpell = 14,
    /// Pauses (entity: the pause and its host).
    WeatherPause = 15,
    /// Outages of zones (entity: the outage and the zone).
    WeatherOutage = 16,
    /// Crashes of hosts (entity: the crash and its host).
    WeatherCrash = 17,
    /// A shard's id (entity: the master it starts with).
    ShardId = 18,
}

/// All random streams of one seed.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Streams {
    seed: u64,
}

/// One stream of random numbers (ChaCha8: portable and stable).
#[derive(Clone, Debug)]
pub struct Stream(ChaCha8Rng);

impl Streams {
    /// The streams of a seed.
    #[must_use]
    pub const fn new(seed: u64) -> Self {
        Self { seed }
    }

    /// The stream for a purpose and an entity, from its beginning.
    #[must_use]
    pub fn stream(&self, purpose: Purpose, entity: u64) -> Stream {
        let mut key = [0; 32];
        key[..8].copy_from_slice(&self.seed.to_le_bytes());
        key[8..16].copy_from_slice(&(purpose as u64).to_le_bytes());
        key[16..24].copy_from_slice(&entity.to_le_bytes());
        key[24..].copy_from_slice(b"redrill.");
        Stream(ChaCha8Rng::from_seed(key))
    }

    /// A key for draws that are a function of what is drawn for, see [`draw`].
    #[must_use]
    pub fn key(&self, purpose: Purpose) -> u64 {
        self.stream(purpose, 0).word()
    }
}

impl TryRng for Stream {
    type Error = Infallible;

    fn try_next_u32(&mut self) -> Result<u32, Infallible> {
        self.0.try_next_u32()
    }

    fn try_next_u64(&mut self) -> Result<u64, Infallible> {
        self.0.try_next_u64()
    }

    fn try_fill_bytes(&mut self, bytes: &mut [u8]) -> Result<(), Infallible> {
        self.0.try_fill_bytes(bytes)
    }
}

impl Stream {
    /// 64 random bits.
    pub fn word(&mut self) -> u64 {
        self.0.next_u64()
    }

    /// A number from 0 up to, without, `bound`; 0 if `bound` is 0.
    pub fn below(&mut self, bound: u64) -> u64 {
        scale(self.word(), bound)
    }

    /// A number from 0 up to, without, 1.
    pub fn unit(&mut self) -> f64 {
        unit(self.word())
    }

    /// Random bytes.
    pub fn bytes<const N: usize>(&mut self) -> [u8; N] {
        let mut bytes = [0; N];
        self.0.fill_bytes(&mut bytes);
        bytes
    }

    /// Puts `items` into a random order.
    pub fn shuffle<T>(&mut self, items: &mut [T]) {
        for last in (1..items.len()).rev() {
            items.swap(last, self.below(last as u64 + 1) as usize);
        }
    }
}

/// 64 random bits that are a function of `key`, `place` and `time`: however often it is asked,
/// and whatever else is, the answer stays the same.
#[must_use]
pub const fn draw(key: u64, place: u64, time: u64) -> u64 {
    let placed = mix(key ^ place.wrapping_mul(0x9e37_79b9_7f4a_7c15));
    mix(placed ^ time.wrapping_mul(0xd1b5_4a32_d192_ed03))
}

/// The number from 0 up to, without, `bound` that 64 random bits stand for.
#[must_use]
pub const fn scale(word: u64, bound: u64) -> u64 {
    ((word as u128 * bound as u128) >> 64) as u64
}

/// The number from 0 up to, without, 1 that 64 random bits stand for.
#[must_use]
pub const fn unit(word: u64) -> f64 {
    // As a signed number, which processors convert in one step.
    (word >> 11) as i64 as f64 / (1_u64 << 53) as f64
}

/// Spreads a change of any bit over all bits (the finalizer of MurmurHash3, variant 13).
const fn mix(mut word: u64) -> u64 {
    word ^= word >> 30;
    word = word.wrapping_mul(0xbf58_476d_1ce4_e5b9);
    word ^= word >> 27;
    word = word.wrapping_mul(0x94d0_49bb_1331_11eb);
    word ^ (word >> 31)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn streams_differ_by_seed_purpose_and_entity_and_repeat() {
        let first = |seed, purpose, entity| Streams::new(seed).stream(purpose, entity).word();
        let base = first(1, Purpose::NodeId, 0);
        assert_eq!(base, first(1, Purpose::NodeId, 0));
        assert_ne!(base, first(2, Purpose::NodeId, 0));
        assert_ne!(base, first(1, Purpose::NodeSeed, 0));
        assert_ne!(base, first(1, Purpose::NodeId, 1));
    }

    #[test]
    fn a_seed_means_the_same_on_every_machine() {
        let mut stream = Streams::new(42).stream(Purpose::StepTime, 3);
        assert_eq!(stream.word(), 3_144_785_606_270_746_737);
        assert_eq!(stream.below(1000), 942);
        assert_eq!(draw(1, 2, 3), 14_546_638_518_784_374_023);
    }

    #[test]
    fn draws_are_even() {
        let mut buckets = [0_u32; 10];
        for time in 0..100_000 {
            buckets[scale(draw(7, 8, time), 10) as usize] += 1;
        }
        for count in buckets {
            assert!((9_500..10_500).contains(&count), "{buckets:?}");
        }
    }

    #[test]
    fn a_shuffle_keeps_every_item() {
        let mut items: Vec<u32> = (0..100).collect();
        Streams::new(1)
            .stream(Purpose::StepTarget, 0)
            .shuffle(&mut items);
        assert_ne!(items, (0..100).collect::<Vec<_>>());
        items.sort_unstable();
        assert_eq!(items, (0..100).collect::<Vec<_>>());
    }
}
