//! Checkpoints: a Hugging Face folder that also holds what a resume needs.
//!
//! `checkpoints/step-000120/` is what `transformers` loads (with LoRA: a PEFT adapter folder);
//! `percept/` inside it has the optimiser's moments and `state.json`. A checkpoint is written
//! under a temporary name and renamed when it is complete, so a folder with the final name is
//! always whole; `percept/state.json` is its last file.

use std::cmp::Ordering;
use std::path::{Path, PathBuf};

use percept_report::RunDir;

use crate::run::state::FORMAT;
use crate::{Error, Learner, State};

const STATE: &str = "percept/state.json";
const OPTIMIZER: &str = "percept/optimizer.safetensors";

/// Weights and moments that a later step could go on from: finite, and small enough that products with them are.
///
/// # Errors
/// What is wrong with which tensor.
pub fn check(learner: &Learner) -> Result<(), String> {
    for (name, largest, values) in learner.trained_values() {
        // Also NaN is not at most the largest.
        let bad = values.iter().find(|value| {
            value
                .abs()
                .partial_cmp(&largest)
                .is_none_or(Ordering::is_gt)
        });
        if let Some(value) = bad {
            return Err(format!("{name} holds {value:e}"));
        }
    }
    Ok(())
}

/// Writes a checkpoint of the current step and returns its folder.
///
/// # Errors
/// [`Error::Save`] or [`Error::Write`] when the disk refuses; the checkpoints
/// before this one stay as they are.
pub fn save(
    dir: &RunDir,
    learner: &Learner,
    processor: &percept_model::Processor,
    state: &State,
) -> Result<PathBuf, Error> {
    let target = dir.checkpoint_of(state.global_step as u64);
    let json = serde_json::to_vec_pretty(state).map_err(|e| Error::Checkpoint {
        path: target.clone(),
        message: format!("state has no JSON form: {e}"),
    })?;
    if target.join(STATE).exists() {
        // Same step, same weights: only evaluations and the clock are new.
        percept_report::write_atomic(&target.join(STATE), &json)?;
        return Ok(target);
    }
    let temporary = percept_report::temporary_path(&target);
    if temporary.exists() {
        std::fs::remove_dir_all(&temporary).map_err(|e| Error::write(&temporary, e))?;
    }
    let inner = temporary.join("percept");
    std::fs::create_dir_all(&inner).map_err(|e| Error::write(&inner, e))?;
    let result: Result<(), Error> = (|| {
        learner.save_weights(&temporary)?;
        processor.save(&temporary)?;
        learner.save_moments(&temporary.join(OPTIMIZER))?;
        percept_report::write_atomic(&temporary.join(STATE), &json)?;
        percept_report::replace_dir(&temporary, &target)?;
        Ok(())
    })();
    if result.is_err() {
        // What is left of it must not fill a full disk further; the error is the news.
        let _ = std::fs::remove_dir_all(&temporary);
    }
    match result {
        Ok(()) => Ok(target),
        Err(source) => Err(Error::Save {
            path: target,
            source: Box::new(source),
        }),
    }
}

/// Reads the state of a checkpoint.
///
/// # Errors
/// [`Error::Checkpoint`] when it is not one of ours or of another version.
pub fn load_state(path: &Path) -> Result<State, Error> {
    let bad = |message: String| Error::Checkpoint {
        path: path.to_owned(),
        message,
    };
    let text = std::fs::read_to_string(path.join(STATE))
        .map_err(|e| bad(format!("cannot read {STATE}: {e}")))?;
    let state: State = serde_json::from_str(&text)
        .map_err(|e| bad(format!("{STATE} is not what this version writes: {e}")))?;
    if state.format != FORMAT {
        return Err(bad(format!(
            "{STATE} has format {}, this version reads {FORMAT}; resume it with the version that wrote it",
            state.format
        )));
    }
    Ok(state)
}

/// The optimiser file of a checkpoint.
pub fn optimizer_file(path: &Path) -> PathBuf {
    path.join(OPTIMIZER)
}
