//! Evaluations of a run: when, with which sampling, and what is kept of them.

use percept_data::Dataset;
use percept_eval::{Evaluation, keep_pictures};
use percept_report::RunDir;
use percept_sampler::SamplingParams;

use crate::run::state::{State, StoredEvaluation};
use crate::{Error, Recipe};

/// How responses of an evaluation are sampled.
pub(crate) fn sampling(recipe: &Recipe) -> SamplingParams {
    let config = &recipe.eval;
    let longest = match config.max_completion_length {
        0 => recipe.rollout.max_completion_length,
        length => length,
    };
    SamplingParams {
        temperature: config.temperature,
        max_tokens: longest,
        seed: recipe.trainer.seed,
        ..SamplingParams::default()
    }
}

/// Writes the records of an evaluation of the first `limit` rows of `val`, with their pictures.
///
/// # Errors
/// [`Error::Write`] or [`Error::Report`] when the disk refuses.
pub(crate) fn store(
    dir: &RunDir,
    name: &str,
    found: &mut Evaluation,
    val: &dyn Dataset,
    limit: usize,
) -> Result<(), Error> {
    let folder = dir.evaluations();
    std::fs::create_dir_all(&folder).map_err(|e| Error::write(&folder, e))?;
    let pictures = keep_pictures(val, limit, &folder)?;
    for record in &mut found.records {
        record.images = pictures.get(&record.id).cloned().unwrap_or_default();
    }
    let path = folder.join(format!("{name}.jsonl"));
    let mut lines = Vec::new();
    for record in &found.records {
        serde_json::to_writer(&mut lines, record).map_err(|e| Error::write(&path, e.into()))?;
        lines.push(b'\n');
    }
    Ok(percept_base::files::write_atomic(&path, &lines)?)
}

/// The numbers of an evaluation at this point of a run.
pub(crate) fn stored(name: &str, found: &Evaluation, state: &State) -> StoredEvaluation {
    StoredEvaluation {
        name: name.to_owned(),
        global_step: state.global_step,
        tokens: state.tokens,
        accuracy: found.accuracy,
        by_type: found.by_type.clone(),
        ungraded: found.ungraded,
        response_length: found.response_length,
        clip_ratio: found.clip_ratio,
        seconds: state.seconds,
    }
}
