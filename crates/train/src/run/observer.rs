//! What a run tells the outside while it goes on. The trainer never prints.

use std::path::PathBuf;

use crate::run::warning::WarningKind;

/// Named numbers of one step, in the order in which they were measured.
pub type Metrics = Vec<(String, f64)>;

/// Something that happened.
#[derive(Debug, Clone)]
pub enum Event<'a> {
    /// A stage begins (or goes on, when `done` > 0).
    StageStarted {
        /// Its name, as in the recipe: `sft`, `rl`, ….
        stage: &'static str,
        /// Steps done before (resumed runs).
        done: usize,
        /// Steps in all.
        total: usize,
    },
    /// One step of a stage is done and its metrics are on disk.
    Step {
        /// Its name, as in the recipe: `sft`, `rl`, ….
        stage: &'static str,
        /// Steps done, this one included.
        done: usize,
        /// Its metrics.
        metrics: &'a Metrics,
    },
    /// A preference stage asks its reference about its pairs.
    Precomputing {
        /// Pairs done.
        done: usize,
        /// Pairs in all, at most.
        total: usize,
    },
    /// An evaluation goes on.
    Evaluating {
        /// Rows done.
        done: usize,
        /// Rows in all.
        total: usize,
    },
    /// An evaluation is done.
    Evaluated {
        /// Its name: `base`, `sft`, `rl`, `rl step 20`, ….
        name: &'a str,
        /// Share of right answers among graded ones.
        accuracy: f64,
    },
    /// A checkpoint is complete on disk.
    Saved {
        /// Its folder.
        path: PathBuf,
    },
    /// Something a user should know.
    Notice(String),
    /// Something is wrong with the run; each kind is said once.
    Warning {
        /// What it is about.
        kind: WarningKind,
        /// What is wrong, and what can be done.
        message: &'a str,
    },
}

/// Receives the events of a run.
pub trait Observer {
    /// Called between the parts of a run, on the trainer's thread.
    fn event(&mut self, event: Event<'_>);
}

/// Ignores everything.
#[derive(Debug, Default, Clone, Copy)]
pub struct Silent;

impl Observer for Silent {
    fn event(&mut self, _: Event<'_>) {}
}
