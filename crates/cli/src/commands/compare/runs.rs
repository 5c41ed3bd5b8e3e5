//! The runs of a comparison, and what is kept of each.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::atomic::AtomicBool;

use percept_base::files::write_atomic;
use percept_eval::Record;
use percept_report::{Row, read_metrics};
use percept_train::{Recipe, Start};
use serde::{Deserialize, Serialize};

use super::stage::Compared;
use crate::shared::output::note;
use crate::shared::progress::{Mode, Progress};
use crate::shared::{Failure, Global};

/// What is kept of a finished run.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Finished {
    /// The recipe it was made with: another one is another result.
    pub recipe: String,
    /// Evaluations with their tokens since the warm start.
    pub points: Vec<StoredPoint>,
    /// Means over its last steps, by metric.
    #[serde(default)]
    pub metrics: BTreeMap<String, f64>,
    /// Tokens that it was trained on.
    pub tokens: f64,
    pub seconds: f64,
}

/// One evaluation of a run.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct StoredPoint {
    pub name: String,
    pub tokens: f64,
    pub scores: BTreeMap<String, f64>,
}

/// Steps at the end of a run over which its metrics are averaged.
const LAST: usize = 10;

/// What is kept of a run where it is measured: label, metric, digits.
pub const MEASURED: [(&str, &str, usize); 6] = [
    ("tokens/response", "response_length/mean", 1),
    ("entropy", "actor/entropy", 3),
    ("rewards/accuracies", "rewards/accuracies", 3),
    ("rewards/margins", "rewards/margins", 4),
    ("rewards/chosen", "rewards/chosen", 4),
    ("rewards/rejected", "rewards/rejected", 4),
];

/// Trains the warm start of a seed unless it is there; the model that all methods begin with.
pub fn warm_start(
    stage: Compared,
    recipe: &Recipe,
    seed: u64,
    output: &Path,
    global: &Global,
    stop: &AtomicBool,
) -> Result<Option<PathBuf>, Failure> {
    let Some(mut warm) = stage.before(recipe) else {
        let Some(path) = recipe.model.path.clone() else {
            return Err(Failure::new(
                "the recipe has neither a stage before the one whose methods are compared nor model.path to start from"
                    .to_owned(),
            ));
        };
        return Ok(Some(path));
    };
    warm.trainer.seed = seed;
    warm.trainer.output_dir = output.join(format!("seed-{seed}"));
    warm.trainer.experiment_name = "warm".into();
    let folder = warm.trainer.output_dir.join("warm");
    let done = folder.join("finished");
    if !done.exists() {
        note!("seed {seed}: warm start");
        let outcome = train_quietly(&warm, global, stop)?;
        if !outcome.finished {
            return Ok(None);
        }
        write_atomic(&done, b"")?;
    }
    let run = percept_report::RunDir::resume(&folder)?;
    let newest = run.latest_checkpoint()?.map(|checkpoint| checkpoint.path);
    newest.map(Some).ok_or_else(|| {
        let folder = folder.display();
        Failure::new(format!(
            "{folder}: no checkpoint\n  help: remove the folder and run again"
        ))
    })
}

/// The recipe of a method's run with this seed, from the warm start.
pub fn of_seed(
    stage: Compared,
    recipe: &Recipe,
    seed: u64,
    method: &str,
    start: &Path,
    output: &Path,
) -> Recipe {
    let mut recipe = stage.alone(recipe);
    recipe.model.tiny = None;
    recipe.model.path = Some(start.to_path_buf());
    recipe.trainer.seed = seed;
    recipe.trainer.output_dir = output.join(format!("seed-{seed}"));
    recipe.trainer.experiment_name = method.to_owned();
    recipe
}

/// The result of a run, made now unless it is there. None when stopped on the way.
pub fn finished(
    recipe: &Recipe,
    results: &Path,
    method: &str,
    seed: u64,
    global: &Global,
    stop: &AtomicBool,
) -> Result<Option<Finished>, Failure> {
    let file = results.join(format!("{method}-seed-{seed}.json"));
    let text = recipe.to_toml()?;
    if let Ok(bytes) = fs::read(&file) {
        let known: Finished = serde_json::from_slice(&bytes)
            .map_err(|e| Failure::new(format!("{}: {e}\n  help: remove it", file.display())))?;
        if known.recipe == text {
            return Ok(Some(known));
        }
        return Err(Failure::new(format!(
            "{}: made with another recipe\n  help: give another --output, or remove {} and {}",
            file.display(),
            file.display(),
            recipe.trainer.output_dir.join(method).display()
        )));
    }
    note!("seed {seed}: {method}");
    let outcome = train_quietly(recipe, global, stop)?;
    if !outcome.finished {
        return Ok(None);
    }
    let mut points = Vec::new();
    for evaluation in &outcome.evaluations {
        points.push(StoredPoint {
            name: evaluation.name.clone(),
            tokens: evaluation.tokens as f64,
            scores: scores(
                &outcome
                    .dir
                    .join("eval")
                    .join(format!("{}.jsonl", evaluation.name)),
            )?,
        });
    }
    let rows = read_metrics(&outcome.dir.join("metrics.jsonl"))?;
    let trained: Vec<&Row> = rows.iter().filter(|row| row.stage != "eval").collect();
    let tail = &trained[trained.len().saturating_sub(LAST)..];
    let mean = |metric: &str| {
        let values: Vec<f64> = tail.iter().filter_map(|row| row.get(metric)).collect();
        let mean = values.iter().sum::<f64>() / values.len() as f64;
        mean.is_finite().then(|| (metric.to_owned(), mean))
    };
    let tokens = trained
        .iter()
        .filter_map(|row| row.get("perf/total_num_tokens"));
    let result = Finished {
        recipe: text,
        metrics: MEASURED
            .iter()
            .filter_map(|(_, metric, _)| mean(metric))
            .collect(),
        tokens: points
            .last()
            .map_or_else(|| tokens.sum(), |point| point.tokens),
        seconds: outcome.seconds,
        points,
    };
    let bytes = serde_json::to_vec(&result).map_err(|e| Failure::new(e.to_string()))?;
    write_atomic(&file, &bytes)?;
    Ok(Some(result))
}

fn train_quietly(
    recipe: &Recipe,
    global: &Global,
    stop: &AtomicBool,
) -> Result<percept_train::Outcome, Failure> {
    let mode = if global.quiet || global.json {
        Mode::Quiet
    } else {
        Mode::Human
    };
    let mut progress = Progress::new(mode);
    let outcome = percept_train::run(recipe, Start::Resume, &mut progress, stop);
    progress.finish();
    Ok(outcome?)
}

/// Mean score of each question in the records of an evaluation.
fn scores(path: &Path) -> Result<BTreeMap<String, f64>, Failure> {
    let broken = |e: &dyn std::fmt::Display| Failure::new(format!("{}: {e}", path.display()));
    let text = fs::read_to_string(path).map_err(|e| broken(&e))?;
    let mut all: BTreeMap<String, Vec<f64>> = BTreeMap::new();
    for line in text.lines() {
        let record: Record = serde_json::from_str(line).map_err(|e| broken(&e))?;
        all.entry(record.id).or_default().extend(record.score);
    }
    let graded = all.into_iter().filter(|(_, scores)| !scores.is_empty());
    Ok(graded
        .map(|(id, scores)| (id, scores.iter().sum::<f64>() / scores.len() as f64))
        .collect())
}
