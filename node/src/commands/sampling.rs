//! Random picks among the elements of a collection, from the node's stream of its own.

use indexmap::IndexMap;
use rustc_hash::FxBuildHasher;

use super::call::Call;
use super::error::CommandError;

/// What `HRANDFIELD`, `SRANDMEMBER` and `ZRANDMEMBER` are asked for with a count.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Sample {
    /// That many different ones, or all.
    Distinct(usize),
    /// That many, some perhaps more than once.
    Any(usize),
}

/// How many picks one command may ask for where elements may be picked again. Upstream goes on until
/// the client's buffer is full; here an answer is made as a whole.
const MAX_REPEATED: usize = 1 << 22;

impl Sample {
    /// Reads a count; a negative one allows repetition.
    pub(super) fn read(call: &Call<'_>, place: usize) -> Result<Self, CommandError> {
        let count = call.integer(place)?;
        if count == i64::MIN {
            return Err(CommandError::err(format_args!(
                "value is out of range, value must between {} and {}",
                -i64::MAX,
                i64::MAX
            )));
        }
        let size = usize::try_from(count.unsigned_abs()).unwrap_or(usize::MAX);
        if count < 0 && size > MAX_REPEATED {
            return Err(CommandError::fixed("ERR value is out of range"));
        }
        Ok(if count < 0 {
            Self::Any(size)
        } else {
            Self::Distinct(size)
        })
    }

    /// Refuses a count of which each element is told in two parts (`WITHSCORES`).
    pub(super) fn check_doubled(self) -> Result<(), CommandError> {
        let (Self::Distinct(count) | Self::Any(count)) = self;
        if count > (i64::MAX / 2) as usize {
            return Err(CommandError::fixed("ERR value is out of range"));
        }
        Ok(())
    }

    /// Picks places among `len`, which is not 0.
    pub(super) fn places(self, call: &mut Call<'_>, len: usize) -> Vec<usize> {
        match self {
            Self::Distinct(count) if count >= len => (0..len).collect(),
            Self::Distinct(count) => distinct(call, len, count),
            Self::Any(count) => (0..count).map(|_| pick(call, len)).collect(),
        }
    }
}

/// One place among `len`.
pub(super) fn pick(call: &mut Call<'_>, len: usize) -> usize {
    let bound = u32::try_from(len).unwrap_or(u32::MAX);
    call.node.random.members.below(bound) as usize
}

/// Different places among `len`: the start of a shuffle, of which only what moved is kept.
pub(super) fn distinct(call: &mut Call<'_>, len: usize, count: usize) -> Vec<usize> {
    let mut moved: IndexMap<usize, usize, FxBuildHasher> = IndexMap::default();
    let held_at = |moved: &IndexMap<usize, usize, FxBuildHasher>, place: usize| {
        moved.get(&place).copied().unwrap_or(place)
    };
    (0..count.min(len))
        .map(|place| {
            let other = place + pick(call, len - place);
            let picked = held_at(&moved, other);
            let here = held_at(&moved, place);
            moved.insert(other, here);
            picked
        })
        .collect()
}
