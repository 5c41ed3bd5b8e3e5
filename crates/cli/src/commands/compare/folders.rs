//! Runs that are there, side by side: what each stage ended with, in the metrics of its kind.

use std::path::{Path, PathBuf};

use percept_report::{Row, RunDir, Summary, read_metrics};
use serde::Serialize;
use serde_json::{Map, Value};

use crate::shared::output::{note, say};
use crate::shared::{Done, Failure, Global, table};

/// Steps at the end of a stage over which its metrics are averaged.
const LAST: usize = 10;

/// What is shown of a stage where it is measured: label, metric, digits.
const SHOWN: [(&str, &str, usize); 9] = [
    ("loss", "train/loss", 4),
    ("rewards/accuracies", "rewards/accuracies", 3),
    ("rewards/margins", "rewards/margins", 4),
    ("rewards/chosen", "rewards/chosen", 4),
    ("rewards/rejected", "rewards/rejected", 4),
    ("reward", "critic/rewards/mean", 3),
    ("tokens/response", "response_length/mean", 1),
    ("entropy", "actor/entropy", 3),
    ("grad norm", "train/grad_norm", 3),
];

/// A stage of a run.
#[derive(Debug, Serialize)]
struct Stage {
    run: String,
    stage: String,
    steps: usize,
    /// Tokens that went through its forward passes.
    tokens: f64,
    /// Seconds of its steps.
    seconds: f64,
    /// Means over its last steps, by metric.
    metrics: Map<String, Value>,
    /// Accuracy of the evaluation after it.
    accuracy: Option<f64>,
}

/// Prints a table of all stages of the runs, or an object a line with `--json`.
pub fn side_by_side(runs: &[PathBuf], global: &Global) -> Result<Done, Failure> {
    let mut stages = Vec::new();
    for run in runs {
        stages.extend(stages_of(run, global)?);
    }
    if global.json {
        for stage in &stages {
            say!("{}", serde_json::to_string(stage)?);
        }
        return Ok(Done::Well);
    }
    crate::shared::output::result(format_args!("{}", table::format(&rows(&stages))))?;
    Ok(Done::Well)
}

fn stages_of(run: &Path, global: &Global) -> Result<Vec<Stage>, Failure> {
    let dir = RunDir::open(run)?;
    let rows = read_metrics(&dir.metrics())?;
    // Evaluations are lines of their own; they train nothing.
    let trained: Vec<&Row> = rows.iter().filter(|row| row.stage != "eval").collect();
    if trained.is_empty() {
        return Err(Failure::new(format!(
            "{}: metrics.jsonl has no step; the run has not trained yet",
            run.display()
        )));
    }
    let summary = dir.summary();
    let summary = summary
        .is_file()
        .then(|| Summary::read(&summary))
        .transpose()?;
    if summary.is_none() && !global.quiet {
        note!(
            "{}: the run has not ended; its numbers are those of now",
            run.display()
        );
    }
    let of_stage = |rows: &[&Row]| {
        let name = rows[0].stage.as_str();
        let evaluated = summary.iter().flat_map(|summary| &summary.stages);
        let accuracy = evaluated
            .filter(|stage| stage.name == name)
            .map(|s| s.accuracy)
            .next_back();
        Stage {
            run: run.display().to_string(),
            stage: name.to_owned(),
            steps: rows.len(),
            tokens: sum(rows, "perf/total_num_tokens"),
            seconds: sum(rows, "timing_s/step"),
            metrics: last(rows),
            accuracy: accuracy.filter(|accuracy| accuracy.is_finite()),
        }
    };
    Ok(trained
        .chunk_by(|a, b| a.stage == b.stage)
        .map(of_stage)
        .collect())
}

fn sum(rows: &[&Row], metric: &str) -> f64 {
    rows.iter().filter_map(|row| row.get(metric)).sum()
}

/// Means over the last steps of what is shown, without steps in which it has no value.
fn last(rows: &[&Row]) -> Map<String, Value> {
    let tail = &rows[rows.len().saturating_sub(LAST)..];
    let mean = |metric: &str| {
        let values = tail.iter().filter_map(|row| row.get(metric));
        let values: Vec<f64> = values.filter(|value| value.is_finite()).collect();
        (!values.is_empty()).then(|| values.iter().sum::<f64>() / values.len() as f64)
    };
    let found = SHOWN
        .iter()
        .filter_map(|(_, metric, _)| Some((*metric, mean(metric)?)));
    found
        .map(|(metric, mean)| (metric.to_owned(), mean.into()))
        .collect()
}

fn rows(stages: &[Stage]) -> Vec<Vec<String>> {
    let measured = |metric: &str| {
        stages
            .iter()
            .any(|stage| stage.metrics.contains_key(metric))
    };
    let shown: Vec<_> = SHOWN
        .iter()
        .filter(|(_, metric, _)| measured(metric))
        .collect();
    let evaluated = stages.iter().any(|stage| stage.accuracy.is_some());
    let mut head = vec!["run".to_owned(), "stage".into(), "steps".into()];
    head.extend(shown.iter().map(|(label, ..)| (*label).to_owned()));
    head.extend(evaluated.then(|| "accuracy %".to_owned()));
    head.extend(["tokens".to_owned(), "seconds".to_owned()]);
    let mut rows = vec![head];
    rows.extend(stages.iter().map(|stage| {
        let number = |value: Option<f64>, digits: usize| {
            value.map_or_else(|| "–".to_owned(), |value| format!("{value:.digits$}"))
        };
        let mut row = vec![
            stage.run.clone(),
            stage.stage.clone(),
            stage.steps.to_string(),
        ];
        row.extend(shown.iter().map(|(_, metric, digits)| {
            number(stage.metrics.get(*metric).and_then(Value::as_f64), *digits)
        }));
        row.extend(evaluated.then(|| number(stage.accuracy.map(|a| 100.0 * a), 1)));
        row.push(format!("{:.2} M", stage.tokens / 1e6));
        row.push(format!("{:.0}", stage.seconds));
        row
    }));
    rows
}
