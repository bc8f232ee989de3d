//! What can be wrong with a state file.

use std::ops::Range;

/// A state file, or an output of `CLUSTER NODES`, that cannot be read: where and why.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
#[error("line {line}, column {column}, {field}: {problem}")]
pub struct NodesConfError {
    /// The line, from 1.
    pub line: usize,
    /// The column in bytes, from 1.
    pub column: usize,
    /// The field, such as `flags` or `slots`.
    pub field: &'static str,
    /// What is wrong, and what belongs there.
    pub problem: String,
    /// The bytes at fault.
    pub span: Range<usize>,
    /// A way out.
    pub hint: &'static str,
}

/// For a file that ends too early.
pub(super) const CUT_OFF: &str = "the file is cut off: put back a copy of it, or take it away to \
    start as a new node and let the cluster meet it again";

/// For a file that has something in it that no node writes.
pub(super) const DAMAGED: &str = "no node writes this: put back a copy of the file, or take it \
    away to start as a new node and let the cluster meet it again";

/// For an output of `CLUSTER NODES`.
pub(super) const WHOLE: &str = "give a nodes.conf, or all that CLUSTER NODES prints, unchanged";
