//! What can be wrong with an append-only file.

/// An append-only file that cannot be read on.
#[derive(Clone, Copy, PartialEq, Eq, Debug, thiserror::Error)]
#[error("{fault} at offset {offset}")]
pub struct AofError {
    /// Where, bytes from the start.
    pub offset: usize,
    /// What.
    pub fault: AofFault,
}

/// Why an append-only file cannot be read on.
#[derive(Clone, Copy, PartialEq, Eq, Debug, thiserror::Error)]
pub enum AofFault {
    /// It ends in the middle of a command: whoever wrote it was interrupted.
    #[error("unexpected end of file")]
    EndOfFile,
    /// It ends between `MULTI` and `EXEC`.
    #[error("incomplete transaction")]
    Transaction,
    /// This is no command.
    #[error("bad file format")]
    Format,
}

impl AofFault {
    /// Whether the part before it is whole, so that the file may be cut off there
    /// (`aof-load-truncated`).
    #[must_use]
    pub const fn is_truncation(self) -> bool {
        match self {
            Self::EndOfFile | Self::Transaction => true,
            Self::Format => false,
        }
    }
}

/// A manifest that cannot be read (`aofLoadManifestFromFile`).
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
#[error("line {line}: {reason}")]
pub struct ManifestError {
    /// The line, counted from 1; 0: the file as a whole.
    pub line: usize,
    /// Its text.
    pub text: String,
    /// Redis's words for it.
    pub reason: &'static str,
}
