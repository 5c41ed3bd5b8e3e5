//! Checkpoints: a Hugging Face folder that also holds what a resume needs.
//!
//! `checkpoints/step-000120/` is what `transformers` loads (with LoRA: a PEFT adapter folder);
//! `percept/` inside it has the optimiser's moments and `state.json`. A checkpoint is written
//! under a temporary name and renamed when it is complete, so a folder with the final name is
//! always whole; `percept/state.json` is its last file.

use std::path::{Path, PathBuf};

use percept_model::Processor;
use percept_report::RunDir;

use crate::Error;
use crate::policy::Policy;
use crate::run::state::{FORMAT, State};

const STATE: &str = "percept/state.json";
const OPTIMIZER: &str = "percept/optimizer.safetensors";

/// The checkpoints of a run.
pub(crate) struct Checkpoints {
    dir: RunDir,
    /// `trainer.max_ckpt_to_keep`.
    keep: usize,
    /// One was written with weights that no update has gone on from yet: the ones before it stay.
    unproven: bool,
}

impl Checkpoints {
    /// Those of the run in `dir`, of which the newest `keep` stay (0: all).
    pub(crate) fn new(dir: RunDir, keep: usize) -> Self {
        Self {
            dir,
            keep,
            unproven: false,
        }
    }

    /// The folder of the run.
    pub(crate) fn dir(&self) -> &RunDir {
        &self.dir
    }

    /// Writes a checkpoint of the current step, unless the last update was not finite: its weights may be
    /// what it failed on.
    ///
    /// # Errors
    /// [`Error::Diverged`] for weights that no later step can mend; [`Error::Save`] or [`Error::Write`]
    /// when the disk refuses, and the checkpoints before this one stay as they are.
    pub(crate) fn save(
        &mut self,
        policy: &impl Policy,
        processor: &Processor,
        state: &State,
    ) -> Result<Option<PathBuf>, Error> {
        if state.nonfinite > 0 {
            return Ok(None);
        }
        policy.check().map_err(|what| Error::Diverged {
            step: state.global_step,
            what,
            before: self.before(),
        })?;
        let path = write(&self.dir, policy, processor, state)?;
        // Finite weights may still be ones that no update can go on from: until one has, those before them stay.
        self.unproven = true;
        match self.keep {
            0 => {}
            keep => self.dir.prune(keep + 1)?,
        }
        Ok(Some(path))
    }

    /// An update went on from the newest checkpoint: it is good.
    ///
    /// # Errors
    /// [`Error::Report`] when the disk refuses.
    pub(crate) fn proved(&mut self) -> Result<(), Error> {
        match self.unproven {
            true => self.prune(),
            false => Ok(()),
        }
    }

    /// `trainer.max_ckpt_to_keep`.
    ///
    /// # Errors
    /// [`Error::Report`] when the disk refuses.
    pub(crate) fn prune(&mut self) -> Result<(), Error> {
        self.unproven = false;
        match self.keep {
            0 => Ok(()),
            keep => Ok(self.dir.prune(keep)?),
        }
    }

    /// Too many updates in a row were not finite.
    pub(crate) fn not_finite(&self, count: usize) -> Error {
        Error::NonFinite {
            count,
            before: self.before(),
        }
    }

    /// Where a run that diverged can go on.
    fn before(&self) -> String {
        match self.dir.latest_checkpoint() {
            Ok(Some(checkpoint)) => format!(
                "{} is good: go on from it with --resume --set …lr=…",
                checkpoint.path.display()
            ),
            _ => "there is no checkpoint before it: begin again".to_owned(),
        }
    }
}

/// Writes a checkpoint of the current step and returns its folder.
fn write(
    dir: &RunDir,
    policy: &impl Policy,
    processor: &Processor,
    state: &State,
) -> Result<PathBuf, Error> {
    let target = dir.checkpoint_of(state.global_step as u64);
    let json = serde_json::to_vec_pretty(state).map_err(|e| Error::Checkpoint {
        path: target.clone(),
        message: format!("state has no JSON form: {e}"),
    })?;
    if target.join(STATE).exists() {
        // Same step, same weights: only evaluations and the clock are new.
        percept_base::files::write_atomic(&target.join(STATE), &json)?;
        return Ok(target);
    }
    let temporary = percept_base::files::temporary_path(&target);
    if temporary.exists() {
        std::fs::remove_dir_all(&temporary).map_err(|e| Error::write(&temporary, e))?;
    }
    let inner = temporary.join("percept");
    std::fs::create_dir_all(&inner).map_err(|e| Error::write(&inner, e))?;
    let result: Result<(), Error> = (|| {
        policy.save_weights(&temporary)?;
        processor.save(&temporary)?;
        policy.save_optimizer(&temporary.join(OPTIMIZER))?;
        percept_base::files::write_atomic(&temporary.join(STATE), &json)?;
        percept_base::files::replace_dir(&temporary, &target)?;
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
pub(crate) fn load_state(path: &Path) -> Result<State, Error> {
    let bad = |message: String| Error::Checkpoint {
        path: path.to_owned(),
        message,
    };
    let text = std::fs::read_to_string(path.join(STATE))
        .map_err(|e| bad(format!("cannot read {STATE}: {e}")))?;
    let malformed =
        |e: serde_json::Error| bad(format!("{STATE} is not what this version writes: {e}"));
    let value: serde_json::Value = serde_json::from_str(&text).map_err(malformed)?;
    let format = value["format"].clone();
    State::read(value).map_err(malformed)?.ok_or_else(|| {
        bad(format!(
            "{STATE} has format {format}, this version reads 1 to {FORMAT}; resume it with the version that wrote it"
        ))
    })
}

/// The optimiser file of a checkpoint.
pub(crate) fn optimizer_file(path: &Path) -> PathBuf {
    path.join(OPTIMIZER)
}
