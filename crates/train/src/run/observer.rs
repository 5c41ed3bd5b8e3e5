//! What a run tells the outside while it goes on. The trainer never prints.

use std::path::PathBuf;

use serde::{Deserialize, Serialize};

use crate::WarningKind;

/// Named numbers of one step, in the order in which they were measured.
pub type Metrics = Vec<(String, f64)>;

/// Part of a run.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Stage {
    /// Supervised fine-tuning.
    Sft,
    /// Reinforcement learning.
    Rl,
}

impl Stage {
    /// `sft` or `rl`, as in the recipe.
    pub fn name(self) -> &'static str {
        match self {
            Stage::Sft => "sft",
            Stage::Rl => "rl",
        }
    }
}

/// Something that happened.
#[derive(Debug, Clone)]
pub enum Event<'a> {
    /// A stage begins (or goes on, when `done` > 0).
    StageStarted {
        /// Which stage.
        stage: Stage,
        /// Steps done before (resumed runs).
        done: usize,
        /// Steps in all.
        total: usize,
    },
    /// One step of a stage is done and its metrics are on disk.
    Step {
        /// Which stage.
        stage: Stage,
        /// Steps done, this one included.
        done: usize,
        /// Its metrics.
        metrics: &'a Metrics,
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
