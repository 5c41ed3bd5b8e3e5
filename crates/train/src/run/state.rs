//! Where a run stands: everything besides weights and optimiser moments that it needs to go on.
//!
//! Rows, dropout, mini-batch order and sampling are functions of (seed, counters), so the
//! counters are the whole random state.

use serde::{Deserialize, Serialize};

use percept_eval::Estimate;

use crate::Watch;

/// Number of the layout of `percept/state.json`.
pub const FORMAT: u32 = 1;

/// Progress of a run.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct State {
    /// Layout of this file.
    pub format: u32,
    /// Steps done in all stages: the `step` of metrics, rollouts and checkpoints.
    pub global_step: usize,
    /// Steps done in `[sft]`.
    pub sft_step: usize,
    /// Steps (rollout batches) done in `[rl]`.
    pub rl_step: usize,
    /// Next row position of the `[sft]` row order.
    pub sft_position: u64,
    /// Next row position of the `[rl]` row order; moves faster than steps under dynamic sampling.
    pub rl_position: u64,
    /// Optimiser updates of the current stage. (AdamW's bias correction counts the gradients of each
    /// parameter; they are with the moments.)
    pub updates: usize,
    /// Changes with every update; stamped on rollouts.
    pub weight_version: u64,
    /// Consecutive updates that were skipped because they were not finite.
    pub nonfinite: usize,
    /// Tokens that were sampled for training or went through passes with a gradient. Passes without
    /// one are counted as `perf/signal_tokens`.
    pub tokens: u64,
    /// Seconds of training and evaluation, over all resumes.
    pub seconds: f64,
    /// Evaluations so far.
    pub evaluations: Vec<StoredEvaluation>,
    /// What was said to be wrong, and what decides whether there is more to say.
    #[serde(default)]
    pub watch: Watch,
}

impl Default for State {
    fn default() -> Self {
        Self {
            format: FORMAT,
            global_step: 0,
            sft_step: 0,
            rl_step: 0,
            sft_position: 0,
            rl_position: 0,
            updates: 0,
            weight_version: 0,
            nonfinite: 0,
            tokens: 0,
            seconds: 0.0,
            evaluations: Vec::new(),
            watch: Watch::default(),
        }
    }
}

/// The numbers of one evaluation.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct StoredEvaluation {
    /// `base`, `sft`, `rl`, or `rl-step-20` for those during a stage.
    pub name: String,
    /// Step it was made at.
    pub global_step: usize,
    /// [`State::tokens`] at that time.
    #[serde(default)]
    pub tokens: u64,
    /// Accuracy.
    pub accuracy: Estimate,
    /// Accuracy by question type.
    pub by_type: Vec<(String, Estimate)>,
    /// Responses that the verifier could not grade.
    pub ungraded: usize,
    /// Mean response length, in tokens.
    pub response_length: f64,
    /// Share of responses cut at the length limit.
    pub clip_ratio: f64,
    /// Seconds since the start of the run, over all resumes.
    pub seconds: f64,
}
