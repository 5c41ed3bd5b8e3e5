//! `summary.json` from the state of a run.

use std::collections::BTreeMap;

use percept_report::{Change, RunDir, RunWarning, StageSummary, Summary, TypeSummary};

use crate::run::state::{State, StoredEvaluation};
use crate::{Error, Recipe};

/// The recipe's name of a device, and what the driver calls it.
fn device(name: &str) -> String {
    let device = percept_nn::parse_device(name).ok();
    match device.as_ref().and_then(percept_nn::device_model) {
        None => name.to_owned(),
        Some(model) => format!("{name} ({model})"),
    }
}

/// Writes the summary of a run.
///
/// # Errors
/// [`Error::Report`] when the disk refuses.
pub fn write(
    dir: &RunDir,
    recipe: &Recipe,
    state: &State,
    changes: &[Change],
) -> Result<(), Error> {
    let mut before = 0.0;
    let mut stages = Vec::new();
    for evaluation in &state.evaluations {
        stages.push(stage(evaluation, evaluation.seconds - before));
        before = evaluation.seconds;
    }
    let mut facts = facts(recipe);
    if !state.watch.warnings.is_empty() {
        let count = state.watch.warnings.len();
        facts.insert(
            "warnings".to_owned(),
            format!("{count}: see warnings.jsonl"),
        );
    }
    let warnings = state.watch.warnings.iter().map(|warning| RunWarning {
        step: warning.step as u64,
        kind: warning.kind.name().to_owned(),
        message: warning.message.clone(),
    });
    let summary = Summary {
        warnings: warnings.collect(),
        name: dir.name(),
        stages,
        changes: changes.to_vec(),
        steps: state.global_step as u64,
        tokens: state.tokens,
        seconds: state.seconds,
        facts,
    };
    Ok(summary.write(&dir.summary())?)
}

/// What is worth showing beside the name: of the mathematics, that of the stages which the recipe has.
fn facts(recipe: &Recipe) -> BTreeMap<String, String> {
    let algorithm = &recipe.algorithm;
    let general = [
        ("version", env!("CARGO_PKG_VERSION").to_owned()),
        ("device", device(&recipe.trainer.device)),
        ("seed", recipe.trainer.seed.to_string()),
    ];
    let rl = recipe.rl.iter().flat_map(|_| {
        [
            ("advantage", algorithm.advantage.name().to_owned()),
            ("policy loss", algorithm.loss.policy_loss.name().to_owned()),
        ]
    });
    let preference = recipe.dpo.iter();
    let preference =
        preference.map(|_| ("preference loss", recipe.preference.loss.name().to_owned()));
    let all = general.into_iter().chain(rl).chain(preference);
    all.map(|(key, value)| (key.to_owned(), value)).collect()
}

fn stage(found: &StoredEvaluation, seconds: f64) -> StageSummary {
    let by_type = found.by_type.iter().map(|(name, accuracy)| {
        let summary = TypeSummary {
            accuracy: accuracy.mean,
            ci_low: accuracy.low,
            ci_high: accuracy.high,
            n: accuracy.n,
        };
        (name.clone(), summary)
    });
    StageSummary {
        name: found.name.clone(),
        accuracy: found.accuracy.mean,
        ci_low: found.accuracy.low,
        ci_high: found.accuracy.high,
        n: found.accuracy.n,
        ungraded: found.ungraded,
        mean_length: found.response_length,
        by_type: by_type.collect(),
        seconds,
    }
}
