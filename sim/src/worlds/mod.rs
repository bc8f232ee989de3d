//! Where drills run.

pub(crate) mod event;
