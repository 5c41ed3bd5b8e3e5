//! The report: one HTML file with everything in it. It loads nothing, works from `file://`, and
//! the same page, given a server, is the viewer.

use std::fs;
use std::path::PathBuf;

use serde_json::{Value, json};

use super::answers::Budget;
use super::escape::escape;
use super::sample::{spread, whole_groups};
use super::{answers, pair_payload, payload};
use crate::run::{PairRecord, RolloutRecord};
use crate::{Error, Row, RunDir, Summary};
use percept_base::files::write_atomic;

use crate::{count_rollouts, read_metrics, read_pairs, read_rollouts_page};

/// Rollouts embedded in a report.
const MAX_ROLLOUTS: usize = 200;
/// Steps from which they are taken, evenly spread from the first to the last.
const MAX_STEPS: usize = 8;
/// Pairs embedded in a report, and their bytes without images.
const MAX_PAIRS: usize = 96;
const MAX_PAIR_BYTES: usize = 3 << 20;
/// Bytes of embedded rollouts without images, and of images before base64.
const MAX_TEXT_BYTES: usize = 5 << 20;
const MAX_IMAGE_BYTES: usize = 3 << 20;

const TEMPLATE: &str = include_str!("../../assets/report.html");
const CSS: &str = include_str!("../../assets/report.css");
const SCRIPTS: [&str; 8] = [
    include_str!("../../assets/base.js"),
    include_str!("../../assets/summary.js"),
    include_str!("../../assets/curves.js"),
    include_str!("../../assets/tokens.js"),
    include_str!("../../assets/rollouts.js"),
    include_str!("../../assets/answers.js"),
    include_str!("../../assets/pairs.js"),
    include_str!("../../assets/main.js"),
];

/// What a report shows.
#[derive(Debug, Clone, Default)]
pub struct Report {
    /// Name of the run.
    pub title: String,
    /// The resolved recipe.
    pub recipe_toml: String,
    /// Results; a default one before the first evaluation.
    pub summary: Summary,
    /// All rows of `metrics.jsonl`.
    pub metrics: Vec<Row>,
    /// A sample of the rollouts; what exceeds 5 MiB (and 3 MiB of images) is left out.
    pub rollouts: Vec<RolloutRecord>,
    /// How many rollouts the run stored in all.
    pub rollouts_total: usize,
    /// A sample of the pairs that preference steps kept; what exceeds 3 MiB (and 3 MiB of images) is left out.
    pub pairs: Vec<PairRecord>,
    /// How many steps of the run kept pairs; the sample is of some of them.
    pub pair_steps: usize,
    /// Held-out questions and what each stage answered, for the page's script.
    pub answers: serde_json::Value,
    /// Lines shown at the top: what could not be read, for example.
    pub notices: Vec<String>,
}

impl Report {
    /// Reads a run folder: everything but a bounded sample of the rollouts, whole groups of it
    /// where possible. Files that are missing leave their part of the page empty; a damaged one
    /// becomes a notice.
    pub fn of_run(run: &RunDir) -> Result<Self, Error> {
        let mut report = Self::without_rollouts(run, Budget::FILE)?;
        let steps = run.rollout_steps()?;
        let chosen = spread(&steps, MAX_STEPS);
        for &step in &steps {
            match count_rollouts(&run.rollouts_of(step)) {
                Ok(count) => report.rollouts_total += count,
                Err(error) => report.notices.push(one_line(&error)),
            }
        }
        let share = MAX_ROLLOUTS / chosen.len().max(1);
        for step in chosen {
            // An unreadable file is in the notices already.
            if let Ok(rows) = read_rollouts_page(&run.rollouts_of(step), 0, share + 1) {
                report.rollouts.extend(whole_groups(rows, share));
            }
        }
        report.add_pairs(run)?;
        Ok(report)
    }

    /// A sample of the run's pairs, spread over its steps.
    fn add_pairs(&mut self, run: &RunDir) -> Result<(), Error> {
        let steps = run.pair_steps()?;
        self.pair_steps = steps.len();
        let chosen = spread(&steps, MAX_STEPS);
        let share = MAX_PAIRS / chosen.len().max(1);
        for step in chosen {
            match read_pairs(&run.pairs_of(step)) {
                Ok(pairs) => self.pairs.extend(pairs.into_iter().take(share)),
                Err(error) => self.notices.push(one_line(&error)),
            }
        }
        Ok(())
    }

    /// The same without any rollouts, with as many held-out answers as `budget` allows.
    pub(crate) fn without_rollouts(run: &RunDir, budget: Budget) -> Result<Self, Error> {
        let mut notices = Vec::new();
        let mut or_default = |error: Error| notices.push(one_line(&error));
        let metrics = read_metrics(&run.metrics()).unwrap_or_else(|error| {
            or_default(error);
            Vec::new()
        });
        let summary = if run.summary().is_file() {
            Summary::read(&run.summary()).unwrap_or_else(|error| {
                or_default(error);
                Summary::default()
            })
        } else {
            Summary::default()
        };
        let answers = answers::of_run(run, &summary, budget).unwrap_or_else(|error| {
            or_default(error);
            Value::Null
        });
        let recipe_toml = fs::read_to_string(run.recipe()).unwrap_or_default();
        let title = if summary.name.is_empty() {
            run.name()
        } else {
            summary.name.clone()
        };
        Ok(Self {
            title,
            recipe_toml,
            summary,
            metrics,
            answers,
            notices,
            ..Self::default()
        })
    }

    /// What changes while a run goes on, for `/api/metrics`.
    pub(crate) fn live_data(&self, rollout_steps: &[u64], pair_steps: &[u64]) -> Value {
        json!({
            "summary": self.summary,
            "metrics": payload::metrics(&self.metrics),
            "notices": self.notices,
            "rollout_steps": rollout_steps,
            "pair_steps": pair_steps,
        })
    }
}

/// The page of a report as one HTML document.
pub fn render(report: &Report) -> String {
    let shown = within_budget(&report.rollouts);
    let mut rollouts = payload::rollouts(&shown, MAX_IMAGE_BYTES);
    rollouts["total"] = json!(report.rollouts_total.max(report.rollouts.len()));
    let mut used = 0;
    let pairs = report.pairs.iter().take_while(|pair| {
        used += pair_payload::item_size(pair);
        used <= MAX_PAIR_BYTES
    });
    let pairs: Vec<PairRecord> = pairs.cloned().collect();
    let mut pairs = pair_payload::pairs(&pairs, MAX_IMAGE_BYTES);
    pairs["steps_total"] = json!(report.pair_steps);
    page(report, false, [rollouts, pairs], [&[], &[]])
}

/// The page that asks the server for rollouts and pairs.
pub(crate) fn render_live(report: &Report, rollout_steps: &[u64], pair_steps: &[u64]) -> String {
    let none = || json!({ "items": [], "images": [], "total": 0, "steps_total": 0 });
    page(report, true, [none(), none()], [rollout_steps, pair_steps])
}

/// Makes `report.html` from what is in the run folder.
///
/// # Errors
/// When the folder cannot be listed or the file not be written.
pub fn write_report(run: &RunDir) -> Result<PathBuf, Error> {
    let path = run.report();
    write_atomic(&path, render(&Report::of_run(run)?).as_bytes())?;
    Ok(path)
}

/// `embedded` and `steps` are those of rollouts, then of pairs.
fn page(report: &Report, live: bool, embedded: [Value; 2], steps: [&[u64]; 2]) -> String {
    let mut data = report.live_data(steps[0], steps[1]);
    let [rollouts, pairs] = embedded;
    data["live"] = json!(live);
    data["recipe"] = json!(report.recipe_toml);
    data["rollouts"] = rollouts;
    data["pairs"] = pairs;
    data["answers"] = report.answers.clone();
    let data = script_safe(&data.to_string());
    let script = format!("(() => {{\n\"use strict\";\n{}\n}})();", SCRIPTS.join("\n"));
    let title = escape(&report.title);
    let mut html = String::with_capacity(data.len() + script.len() + CSS.len() + 8_192);
    // One pass over the template: what is put in is never looked at for placeholders.
    let mut rest = TEMPLATE;
    while let Some((before, after)) = rest.split_once("{{") {
        let Some((name, after)) = after.split_once("}}") else {
            break;
        };
        html.push_str(before);
        html.push_str(match name {
            "title" => &title,
            "css" => CSS,
            "js" => &script,
            _ => &data,
        });
        rest = after;
    }
    html.push_str(rest);
    html
}

/// JSON that cannot end the script element it stands in, nor start a comment in it.
fn script_safe(json: &str) -> String {
    let mut safe = String::with_capacity(json.len() + json.len() / 16);
    for c in json.chars() {
        match c {
            '<' => safe.push_str("\\u003c"),
            '>' => safe.push_str("\\u003e"),
            '&' => safe.push_str("\\u0026"),
            '\u{2028}' => safe.push_str("\\u2028"),
            '\u{2029}' => safe.push_str("\\u2029"),
            c => safe.push(c),
        }
    }
    safe
}

/// Of every step as many of its first rollouts as fit its share of the budget.
fn within_budget(rollouts: &[RolloutRecord]) -> Vec<RolloutRecord> {
    let steps = rollouts.chunk_by(|a, b| a.step == b.step);
    let share = MAX_TEXT_BYTES / steps.clone().count().max(1);
    let kept = steps.flat_map(|rows| {
        let mut used = 0;
        rows.iter().take_while(move |row| {
            used += payload::item_size(row);
            used <= share
        })
    });
    kept.take(MAX_ROLLOUTS).cloned().collect()
}

fn one_line(error: &Error) -> String {
    error.to_string().replace("\n  help:", " –")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn very_long_rollouts_do_not_make_a_very_large_page() {
        let record = |step| RolloutRecord {
            step,
            completion: "x".repeat(100_000),
            tokens: vec![1; 50_000],
            token_text: vec!["xx".into(); 50_000],
            log_probs: vec![-0.123_456; 50_000],
            ..Default::default()
        };
        let rollouts: Vec<_> = (0..20).map(|i| record(i / 10)).collect();
        let report = Report {
            rollouts,
            ..Default::default()
        };
        let html = render(&report);
        assert!(html.len() < 10 << 20, "{}", html.len());
        assert!(html.contains("\"step\":1,"));
    }
}
