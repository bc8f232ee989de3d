//! RESP frames.

/// What is wrong with a client's bytes.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
pub enum RespError {
    /// Placeholder variant, replaced by the codec.
    #[error("Protocol error: invalid bulk length")]
    BulkLength,
}

/// Length of a command on the wire, bytes.
#[must_use]
pub fn command_len(words: &[impl AsRef<[u8]>]) -> usize {
    fn digits(mut number: usize) -> usize {
        let mut count = 1;
        while number >= 10 {
            number /= 10;
            count += 1;
        }
        count
    }
    let bulk = |len: usize| 1 + digits(len) + 2 + len + 2;
    1 + digits(words.len())
        + 2
        + words
            .iter()
            .map(|word| bulk(word.as_ref().len()))
            .sum::<usize>()
}
