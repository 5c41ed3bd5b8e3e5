//! The report: one HTML file with everything in it. It loads nothing, works from `file://`, and
//! the same page, given a server, is the viewer.

use std::fs;
use std::path::PathBuf;

use serde_json::{Value, json};

use super::answers::Budget;
use super::escape::escape;
use super::{answers, payload};
use crate::run::RolloutRecord;
use crate::{Error, Row, RunDir, Summary};
use percept_base::files::write_atomic;

use crate::{count_rollouts, read_metrics, read_rollouts_page};

/// Rollouts embedded in a report.
const MAX_ROLLOUTS: usize = 200;
/// Steps from which they are taken, evenly spread from the first to the last.
const MAX_STEPS: usize = 8;
/// Bytes of embedded rollouts without images, and of images before base64.
const MAX_TEXT_BYTES: usize = 5 << 20;
const MAX_IMAGE_BYTES: usize = 3 << 20;

const TEMPLATE: &str = include_str!("../../assets/report.html");
const CSS: &str = include_str!("../../assets/report.css");
const SCRIPTS: [&str; 7] = [
    include_str!("../../assets/base.js"),
    include_str!("../../assets/summary.js"),
    include_str!("../../assets/curves.js"),
    include_str!("../../assets/tokens.js"),
    include_str!("../../assets/rollouts.js"),
    include_str!("../../assets/answers.js"),
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
        Ok(report)
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
    pub(crate) fn live_data(&self, rollout_steps: &[u64]) -> Value {
        json!({
            "summary": self.summary,
            "metrics": payload::metrics(&self.metrics),
            "notices": self.notices,
            "rollout_steps": rollout_steps,
        })
    }
}

/// The page of a report as one HTML document.
pub fn render(report: &Report) -> String {
    let shown = within_budget(&report.rollouts);
    let mut rollouts = payload::rollouts(&shown, MAX_IMAGE_BYTES);
    rollouts["total"] = json!(report.rollouts_total.max(report.rollouts.len()));
    page(report, false, rollouts, &[])
}

/// The page that asks the server for rollouts.
pub(crate) fn render_live(report: &Report, rollout_steps: &[u64]) -> String {
    page(
        report,
        true,
        json!({ "items": [], "images": [], "total": 0 }),
        rollout_steps,
    )
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

fn page(report: &Report, live: bool, rollouts: Value, rollout_steps: &[u64]) -> String {
    let mut data = report.live_data(rollout_steps);
    data["live"] = json!(live);
    data["recipe"] = json!(report.recipe_toml);
    data["rollouts"] = rollouts;
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

/// At most `count` of the steps, evenly spread, the first and the last among them.
fn spread(steps: &[u64], count: usize) -> Vec<u64> {
    if steps.len() <= count {
        return steps.to_vec();
    }
    (0..count)
        .map(|i| steps[i * (steps.len() - 1) / (count - 1)])
        .collect()
}

/// The first `share` rows, without a group that is cut, unless it is the only one.
fn whole_groups(mut rows: Vec<RolloutRecord>, share: usize) -> Vec<RolloutRecord> {
    if rows.len() <= share {
        return rows;
    }
    let cut = rows[share].prompt_id.clone();
    let whole = rows[..share]
        .iter()
        .rposition(|row| row.prompt_id != cut)
        .map(|last| last + 1);
    rows.truncate(whole.unwrap_or(share));
    rows
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
    fn steps_are_spread_from_the_first_to_the_last() {
        let steps: Vec<u64> = (1..=100).collect();
        assert_eq!(spread(&steps, 4), [1, 34, 67, 100]);
        assert_eq!(spread(&[5, 9], 4), [5, 9]);
        assert!(spread(&[], 4).is_empty());
    }

    #[test]
    fn a_group_that_would_be_cut_is_left_out_unless_it_is_the_only_one() {
        let rows = |ids: &str| -> Vec<RolloutRecord> {
            ids.chars()
                .map(|id| RolloutRecord {
                    prompt_id: id.into(),
                    ..Default::default()
                })
                .collect()
        };
        assert_eq!(whole_groups(rows("aaabbb"), 5).len(), 3);
        assert_eq!(whole_groups(rows("aaabbbc"), 6).len(), 6);
        assert_eq!(whole_groups(rows("aaaaaa"), 5).len(), 5);
        assert_eq!(whole_groups(rows("aab"), 5).len(), 3);
    }

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
