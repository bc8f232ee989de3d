//! Where drills run.

pub(crate) mod event;
pub(crate) mod turmoil;
