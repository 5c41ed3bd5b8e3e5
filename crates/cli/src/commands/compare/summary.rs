//! Methods beside a baseline: numbers, table, page.

use std::collections::BTreeMap;

use percept_eval::{Curve, Estimate, Point, estimate, paired_difference};
use percept_report::{Chart, Page, Series};
use percept_train::Recipe;
use serde::Serialize;

use super::runs::{Finished, StoredPoint};

/// A line of the table.
#[derive(Debug, Clone, Serialize)]
pub struct Line {
    method: String,
    seeds: usize,
    /// Accuracy at the end.
    accuracy: f64,
    accuracy_difference: Estimate,
    /// Mean accuracy over the token budget.
    area: f64,
    area_difference: Estimate,
    response_length: f64,
    entropy: f64,
    tokens: f64,
    seconds: f64,
}

impl Finished {
    fn curve(&self) -> Curve {
        let point = |p: &StoredPoint| Point {
            tokens: p.tokens,
            scores: p.scores.clone(),
        };
        Curve {
            points: self.points.iter().map(point).collect(),
        }
    }
}

/// Every method beside the baseline.
pub fn summarise(methods: &[String], found: &[Vec<Finished>], baseline: &str) -> Vec<Line> {
    let curves: Vec<Vec<Curve>> = found
        .iter()
        .map(|seeds| seeds.iter().map(Finished::curve).collect())
        .collect();
    let budget = curves
        .iter()
        .flatten()
        .map(Curve::budget)
        .fold(f64::INFINITY, f64::min);
    let base = methods.iter().position(|m| m == baseline).unwrap_or(0);
    let areas: Vec<Vec<_>> = curves
        .iter()
        .map(|seeds| seeds.iter().map(|c| c.area(budget)).collect())
        .collect();
    let ends: Vec<Vec<_>> = curves
        .iter()
        .map(|seeds| seeds.iter().map(Curve::last).collect())
        .collect();
    let level = |seeds: &[BTreeMap<String, f64>]| {
        let all: Vec<f64> = seeds.iter().flat_map(|s| s.values().copied()).collect();
        estimate(&all).mean
    };
    let lines = methods.iter().zip(found).enumerate();
    lines
        .map(|(index, (method, seeds))| {
            let mean = |f: fn(&Finished) -> f64| {
                seeds.iter().map(f).sum::<f64>() / seeds.len().max(1) as f64
            };
            Line {
                method: method.clone(),
                seeds: seeds.len(),
                accuracy: level(&ends[index]),
                accuracy_difference: paired_difference(&ends[base], &ends[index]),
                area: level(&areas[index]),
                area_difference: paired_difference(&areas[base], &areas[index]),
                response_length: mean(|f| f.response_length),
                entropy: mean(|f| f.entropy),
                tokens: mean(|f| f.tokens),
                seconds: mean(|f| f.seconds),
            }
        })
        .collect()
}

const HEAD: [&str; 9] = [
    "method",
    "final %",
    "Δ final",
    "area %",
    "Δ area",
    "tokens/response",
    "entropy",
    "tokens",
    "seconds",
];

/// The table.
pub fn terminal(lines: &[Line], baseline: &str) -> Vec<Vec<String>> {
    let mut rows = vec![HEAD.map(str::to_owned).to_vec()];
    rows.extend(lines.iter().map(|line| {
        let difference = |e: &Estimate| {
            if line.method == baseline {
                return "–".to_owned();
            }
            let [mean, low, high] = [e.mean, e.low, e.high].map(|x| x * 100.0);
            format!("{mean:+.1} [{low:+.1}, {high:+.1}]")
        };
        vec![
            line.method.clone(),
            format!("{:.1}", line.accuracy * 100.0),
            difference(&line.accuracy_difference),
            format!("{:.1}", line.area * 100.0),
            difference(&line.area_difference),
            format!("{:.1}", line.response_length),
            format!("{:.3}", line.entropy),
            format!("{:.2} M", line.tokens / 1e6),
            format!("{:.0}", line.seconds),
        ]
    }));
    rows
}

/// The page: table, curves, recipe.
pub fn page(
    recipe: &Recipe,
    methods: &[String],
    found: &[Vec<Finished>],
    lines: &[Line],
    baseline: &str,
) -> String {
    let mut page = Page::new(format!(
        "Methods compared: {}",
        recipe.trainer.experiment_name
    ));
    let seeds = found.iter().map(Vec::len).max().unwrap_or(0);
    page.text(&format!(
        "{seeds} seeds. Each run starts from its seed's warm start and sees the same rows in the same order. \
         Final: accuracy of the last evaluation. Area: mean accuracy over the tokens that every run reached. \
         Differences are to {baseline}, paired by seed and question, with 95 % bootstrap intervals over seeds \
         and questions."
    ));
    let rows = terminal(lines, baseline);
    page.table(&HEAD, &rows[1..]);
    let series = methods.iter().zip(found).map(|(method, seeds)| {
        let count = seeds.iter().map(|s| s.points.len()).min().unwrap_or(0);
        let at = |i: usize| {
            let tokens = seeds.iter().map(|s| s.points[i].tokens).sum::<f64>();
            let levels: Vec<f64> = seeds
                .iter()
                .map(|s| {
                    let scores = &s.points[i].scores;
                    100.0 * scores.values().sum::<f64>() / scores.len().max(1) as f64
                })
                .collect();
            let seeds = seeds.len().max(1) as f64;
            (tokens / seeds / 1e6, levels.iter().sum::<f64>() / seeds)
        };
        Series {
            name: method.clone(),
            points: (0..count).map(at).collect(),
            ..Series::default()
        }
    });
    page.section("Curves").chart(&Chart {
        title: "Accuracy, mean over seeds".into(),
        x: "tokens trained on, millions".into(),
        y: "accuracy, %".into(),
        series: series.collect(),
    });
    page.section("Recipe").html(&format!(
        "<pre>{}</pre>",
        percept_report::escape(&recipe.to_toml().unwrap_or_default())
    ));
    page.render()
}
