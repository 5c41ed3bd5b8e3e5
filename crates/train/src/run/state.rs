//! Where a run stands: everything besides weights and optimiser moments that it needs to go on.
//!
//! Rows, dropout, mini-batch order and sampling are functions of (seed, counters), so the
//! counters are the whole random state.

use std::collections::BTreeMap;

use percept_eval::Estimate;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use crate::run::watch::Watch;

/// Number of the layout of `percept/state.json`.
pub const FORMAT: u32 = 2;

/// Progress of a run.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct State {
    /// Layout of this file.
    pub format: u32,
    /// Steps done in all stages: the `step` of metrics, rollouts and checkpoints.
    pub global_step: usize,
    /// Where each stage stands, by its name in the recipe.
    pub stages: BTreeMap<String, StageState>,
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
            stages: BTreeMap::new(),
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

/// Where a stage stands.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct StageState {
    /// Steps done.
    pub step: usize,
    /// Next position of its row order; where rows are skipped or groups dropped it moves faster than steps.
    pub position: u64,
    /// What the stage itself keeps from one step to the next; null in stages that keep nothing.
    #[serde(default, skip_serializing_if = "Value::is_null")]
    pub memory: Value,
}

impl State {
    /// Where the stage of a name stands.
    pub fn stage(&self, name: &str) -> StageState {
        self.stages.get(name).cloned().unwrap_or_default()
    }

    /// Reads the state of any version; `None` for a layout that is none of them.
    ///
    /// # Errors
    /// What is missing or malformed.
    pub(crate) fn read(mut value: Value) -> Result<Option<Self>, serde_json::Error> {
        match value["format"].as_u64() {
            Some(1) => by_name(&mut value)?,
            Some(format) if format == u64::from(FORMAT) => {}
            Some(_) => return Ok(None),
            // Says which field is missing.
            None => {}
        }
        serde_json::from_value(value).map(Some)
    }
}

/// The layout 1 had a field of its own for each of its two stages.
fn by_name(value: &mut Value) -> Result<(), serde_json::Error> {
    #[derive(Deserialize)]
    struct Before {
        sft_step: usize,
        rl_step: usize,
        sft_position: u64,
        rl_position: u64,
    }
    let before = Before::deserialize(&*value)?;
    value["format"] = json!(FORMAT);
    value["stages"] = json!({
        "sft": { "step": before.sft_step, "position": before.sft_position },
        "rl": { "step": before.rl_step, "position": before.rl_position },
    });
    for stage in ["sft", "rl"] {
        let skipped = value["watch"][format!("skipped_{stage}")].take();
        if !skipped.is_null() {
            value["watch"]["skipped"][stage] = skipped;
        }
    }
    Ok(())
}

/// The numbers of one evaluation.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct StoredEvaluation {
    /// `base`, `sft`, `rl`, or `rl-step-20` for those during a stage.
    pub name: String,
    /// Step it was made at.
    pub global_step: usize,
    /// `State::tokens` at that time.
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

#[cfg(test)]
mod tests {
    use super::*;

    const LAYOUT_1: &str = r#"{
        "format": 1, "global_step": 7, "sft_step": 4, "rl_step": 3, "sft_position": 130, "rl_position": 25,
        "updates": 6, "weight_version": 10, "nonfinite": 0, "tokens": 999, "seconds": 1.5, "evaluations": [],
        "watch": {
            "judged": 24, "graded": true,
            "skipped_sft": { "count": 2, "kinds": [{ "count": 2, "reason": "no image", "place": "a.jsonl:1" }] },
            "skipped_rl": { "count": 0, "kinds": [] }
        }
    }"#;

    #[test]
    fn the_state_of_a_version_with_two_stages_is_read() {
        let value: Value = serde_json::from_str(LAYOUT_1).unwrap();
        let mut state = State::read(value).unwrap().unwrap();
        let at = |step, position| StageState {
            step,
            position,
            memory: Value::Null,
        };
        assert_eq!(state.stage("sft"), at(4, 130));
        assert_eq!(state.stage("rl"), at(3, 25));
        assert_eq!(state.stage("dpo"), at(0, 0));
        assert_eq!((state.format, state.tokens), (FORMAT, 999));
        assert_eq!(state.watch.skipped_of("sft").count(), 2);
        // And again as this version writes it.
        let written = serde_json::to_value(&state).unwrap();
        assert_eq!(State::read(written).unwrap(), Some(state));
    }

    #[test]
    fn a_state_that_lacks_a_field_or_is_of_the_future_is_not_read() {
        for field in ["rl_position", "tokens"] {
            let mut value: Value = serde_json::from_str(LAYOUT_1).unwrap();
            value.as_object_mut().unwrap().remove(field);
            let error = State::read(value).unwrap_err().to_string();
            assert!(error.contains(field), "{error}");
        }
        let value = json!({ "format": FORMAT + 1 });
        assert_eq!(State::read(value).unwrap(), None);
    }
}
