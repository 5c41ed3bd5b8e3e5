//! Methods beside a baseline: numbers, table, page.

use std::collections::BTreeMap;

use percept_eval::{Curve, Estimate, Point, estimate, paired_difference};
use percept_report::{Chart, Page, Series};
use percept_train::Recipe;
use serde::Serialize;

use super::runs::{Finished, MEASURED, StoredPoint};
use super::stage::Compared;

/// A line of the table.
#[derive(Debug, Clone, Serialize)]
pub struct Line {
    method: String,
    seeds: usize,
    /// What the evaluations say, where the recipe names validation rows.
    #[serde(flatten)]
    evaluated: Option<Evaluated>,
    /// Means over the last steps of all seeds, by metric.
    metrics: BTreeMap<String, f64>,
    tokens: f64,
    seconds: f64,
}

/// Accuracy of a method beside that of the baseline.
#[derive(Debug, Clone, Serialize)]
struct Evaluated {
    /// At the end.
    accuracy: f64,
    accuracy_difference: Estimate,
    /// Mean over the token budget.
    area: f64,
    area_difference: Estimate,
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
            let mean = |of: &dyn Fn(&Finished) -> Option<f64>| {
                let values: Vec<f64> = seeds.iter().filter_map(of).collect();
                (!values.is_empty()).then(|| values.iter().sum::<f64>() / values.len() as f64)
            };
            let metric = |name: &str| {
                let value = mean(&|run| run.metrics.get(name).copied())?;
                Some((name.to_owned(), value))
            };
            Line {
                method: method.clone(),
                seeds: seeds.len(),
                evaluated: (!ends[index].iter().all(BTreeMap::is_empty)).then(|| Evaluated {
                    accuracy: level(&ends[index]),
                    accuracy_difference: paired_difference(&ends[base], &ends[index]),
                    area: level(&areas[index]),
                    area_difference: paired_difference(&areas[base], &areas[index]),
                }),
                metrics: MEASURED
                    .iter()
                    .filter_map(|(_, name, _)| metric(name))
                    .collect(),
                tokens: mean(&|run| Some(run.tokens)).unwrap_or_default(),
                seconds: mean(&|run| Some(run.seconds)).unwrap_or_default(),
            }
        })
        .collect()
}

/// The table: what was evaluated and measured in any of the lines.
pub fn terminal(lines: &[Line], baseline: &str) -> Vec<Vec<String>> {
    let evaluated = lines.iter().any(|line| line.evaluated.is_some());
    let measured: Vec<_> = MEASURED
        .iter()
        .filter(|(_, name, _)| lines.iter().any(|line| line.metrics.contains_key(*name)))
        .collect();
    let mut head = vec!["method"];
    if evaluated {
        head.extend(["final %", "Δ final", "area %", "Δ area"]);
    }
    head.extend(measured.iter().map(|(label, ..)| *label));
    head.extend(["tokens", "seconds"]);
    let none = || "–".to_owned();
    let mut rows = vec![head.into_iter().map(str::to_owned).collect::<Vec<_>>()];
    rows.extend(lines.iter().map(|line| {
        let difference = |e: &Estimate| {
            if line.method == baseline {
                return none();
            }
            let [mean, low, high] = [e.mean, e.low, e.high].map(|x| x * 100.0);
            format!("{mean:+.1} [{low:+.1}, {high:+.1}]")
        };
        let mut row = vec![line.method.clone()];
        match &line.evaluated {
            Some(of) => row.extend([
                format!("{:.1}", of.accuracy * 100.0),
                difference(&of.accuracy_difference),
                format!("{:.1}", of.area * 100.0),
                difference(&of.area_difference),
            ]),
            None if evaluated => row.extend([(); 4].map(|()| none())),
            None => {}
        }
        row.extend(measured.iter().map(|(_, name, digits)| {
            let value = line.metrics.get(*name);
            value.map_or_else(none, |value| format!("{value:.digits$}"))
        }));
        row.push(format!("{:.2} M", line.tokens / 1e6));
        row.push(format!("{:.0}", line.seconds));
        row
    }));
    rows
}

/// The page: table, curves, recipe.
pub fn page(
    stage: Compared,
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
    let rows = terminal(lines, baseline);
    let evaluated = lines.iter().any(|line| line.evaluated.is_some());
    let spent = match stage {
        Compared::Preference => "trains for the same steps",
        Compared::Reinforcement => "has the tokens that the baseline took",
    };
    page.text(&format!(
        "{seeds} seeds. Each run starts from its seed's warm start, sees the same rows in the same order and {spent}. \
         Metrics are means over the last steps."
    ));
    if evaluated {
        page.text(&format!(
            "Final: accuracy of the last evaluation. Area: mean accuracy over the tokens that every run reached. \
             Differences are to {baseline}, paired by seed and question, with 95 % bootstrap intervals over seeds \
             and questions."
        ));
    }
    let head: Vec<&str> = rows[0].iter().map(String::as_str).collect();
    page.table(&head, &rows[1..]);
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
    if evaluated {
        page.section("Curves").chart(&Chart {
            title: "Accuracy, mean over seeds".into(),
            x: "tokens trained on, millions".into(),
            y: "accuracy, %".into(),
            series: series.collect(),
        });
    }
    page.section("Recipe").html(&format!(
        "<pre>{}</pre>",
        percept_report::escape(&recipe.to_toml().unwrap_or_default())
    ));
    page.render()
}
