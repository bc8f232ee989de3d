//! Drills from Rust: what a `cargo test` user writes.

use std::path::Path;

use redrill_sim::scenario::Scenario;

use crate::drill::{self, BadDrill, Mistake};

/// A drill that is ready to run.
#[derive(Clone, Debug)]
pub struct Drill {
    loaded: drill::Loaded,
}

impl Drill {
    /// Reads a drill file.
    ///
    /// # Errors
    /// [`BadDrill`] with every mistake in it, or that the file cannot be read.
    pub fn from_file(path: impl AsRef<Path>) -> Result<Self, BadDrill> {
        Self::from_file_with(path, &[])
    }

    /// Reads a drill file and changes values of it, each as `path=value`.
    ///
    /// # Errors
    /// As [`Drill::from_file`].
    pub fn from_file_with(path: impl AsRef<Path>, set: &[String]) -> Result<Self, BadDrill> {
        let loaded = drill::load(path.as_ref(), set)?;
        Ok(Self { loaded })
    }

    /// What is doubtful about the drill.
    #[must_use]
    pub fn warnings(&self) -> &[Mistake] {
        &self.loaded.warnings
    }

    /// What will run.
    #[must_use]
    pub fn scenario(&self) -> &Scenario {
        &self.loaded.scenario
    }

    /// What a run will do, in words.
    #[must_use]
    pub fn describe(&self) -> String {
        drill::describe::describe(&self.loaded.scenario)
    }
}
