//! What can be wrong with a snapshot.

/// A snapshot that cannot be loaded: where and why. Nothing of it may be used.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
#[error("{fault} (at byte {offset})")]
pub struct RdbError {
    /// Where, bytes from the start.
    pub offset: usize,
    /// Why.
    pub fault: RdbFault,
}

/// Why a snapshot cannot be loaded, in Redis's words where it has some.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
pub enum RdbFault {
    /// It does not start with `REDIS` and four digits.
    #[error("Wrong signature trying to load DB from file")]
    Signature,
    /// A version this one does not know.
    #[error("Can't handle RDB format version {0}")]
    Version(u32),
    /// It ends too early.
    #[error("Unexpected EOF reading RDB file")]
    EndOfFile,
    /// A length in a form that is none.
    #[error("Unknown length encoding {0}")]
    Length(u8),
    /// A string in a form that is none.
    #[error("Unknown RDB string encoding type {0}")]
    StringEncoding(u8),
    /// A string longer than 512 MB.
    #[error("a string of {0} bytes: at most 536870912 are allowed")]
    StringLength(u64),
    /// A compressed string that does not unpack to the length it says.
    #[error("Invalid LZF compressed string")]
    Lzf,
    /// A packed collection that is damaged.
    #[error("{0} integrity check failed.")]
    Integrity(&'static str),
    /// A member or field that occurs twice.
    #[error("Duplicate {0} detected")]
    DuplicateMember(&'static str),
    /// A score that is no number.
    #[error("Zset with NAN score detected")]
    NotANumber,
    /// A key, and what it holds that is not loaded.
    #[error(
        "the key '{0}' holds {1}: only strings, lists, sets, sorted sets and hashes are loaded"
    )]
    Unsupported(String, &'static str),
    /// Data of a module, beside the keys.
    #[error("The RDB file contains AUX module data I can't load: no matching module '{0}'")]
    ModuleAux(String),
    /// A function in the form of a release candidate.
    #[error("a function of a release candidate of Redis 7.0 cannot be loaded")]
    Function,
    /// An opcode or type that is none.
    #[error("Unknown RDB type {0}")]
    Opcode(u8),
    /// A key outside database 0.
    #[error("a key in database {0}: a cluster node has only database 0")]
    Database(u64),
    /// A key that occurs twice.
    #[error("RDB has duplicated key '{0}'")]
    Duplicate(String),
    /// It was changed after it was written.
    #[error("Wrong RDB checksum expected: ({expected:x}) but got ({found:x})")]
    Checksum {
        /// Of the bytes.
        expected: u64,
        /// What stands there.
        found: u64,
    },
    /// Something follows its end.
    #[error("{0} bytes after the end of the snapshot")]
    Trailing(usize),
}
