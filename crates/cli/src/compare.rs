//! `percept compare`: methods under the same data, seeds and token budget.
//!
//! Folder: `seed-K/warm` is the warm start of a seed (the recipe's `[sft]`), `seed-K/METHOD` a run
//! of its `[rl]` from there. A finished run leaves its file in `results/`; what has one is not run
//! again, what was killed goes on where it stopped.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::atomic::AtomicBool;

use percept_eval::{Curve, Estimate, Point, Record, estimate, paired_difference};
use percept_report::{Chart, Page, Series, read_metrics, write_atomic};
use percept_train::{Recipe, Start, with_method};
use serde::{Deserialize, Serialize};

use crate::args::Compare;
use crate::output::{note, say};
use crate::progress::{Mode, Progress};
use crate::shared_args::Global;
use crate::{Done, Failure, table, train};

/// What is kept of a finished run.
#[derive(Debug, Clone, Serialize, Deserialize)]
struct Finished {
    /// The recipe it was made with: another one is another result.
    recipe: String,
    /// Evaluations with their tokens since the warm start.
    points: Vec<StoredPoint>,
    response_length: f64,
    entropy: f64,
    tokens: f64,
    seconds: f64,
}

#[derive(Debug, Clone, Serialize, Deserialize)]
struct StoredPoint {
    name: String,
    tokens: f64,
    scores: BTreeMap<String, f64>,
}

/// Steps at the end of a run over which response length and entropy are averaged.
const LAST: usize = 10;

pub fn run(args: &Compare, global: &Global) -> Result<Done, Failure> {
    let mut set = args.set.clone();
    set.extend(train::strict_setting(args.strict));
    let recipe = percept_train::load(&args.recipe, &set)?;
    if recipe.rl.is_none() {
        return Err(Failure::new(format!(
            "{}: no [rl] table; there is nothing to compare",
            args.recipe.display()
        )));
    }
    let mut methods = args.methods.clone();
    // The baseline comes first: what it spends is the budget of the others.
    methods.retain(|method| *method != args.baseline);
    methods.insert(0, args.baseline.clone());
    // All that can be wrong with a method is said before the first hour of training.
    let recipes = methods
        .iter()
        .map(|method| Ok((method.clone(), with_method(&recipe, method)?)))
        .collect::<Result<Vec<(String, Recipe)>, Failure>>()?;
    let stop = train::stop_on_ctrl_c()?;
    let results = args.output.join("results");
    fs::create_dir_all(&results)
        .map_err(|e| Failure::new(format!("{}: {e}", results.display())))?;
    let mut found: Vec<Vec<Finished>> = vec![Vec::new(); recipes.len()];
    for seed in 0..args.seeds {
        let seed = recipe.trainer.seed + seed as u64;
        let Some(start) = warm_start(&recipe, seed, args, global, &stop)? else {
            return Ok(Done::Stopped);
        };
        let mut budget = 0;
        for ((method, recipe), found) in recipes.iter().zip(&mut found) {
            let mut recipe = of_seed(recipe, seed, method, &start, &args.output);
            if budget > 0 {
                recipe.trainer.max_tokens = budget;
            }
            let Some(result) = finished(&recipe, &results, method, seed, global, &stop)? else {
                return Ok(Done::Stopped);
            };
            if budget == 0 {
                budget = result.tokens as u64;
            }
            found.push(result);
        }
    }
    let rows = summarise(&methods, &found, &args.baseline);
    let page = page(&recipe, &methods, &found, &rows, &args.baseline);
    let report = args.output.join("compare.html");
    write_atomic(&report, page.as_bytes())?;
    let json = serde_json::to_vec_pretty(&rows).unwrap_or_default();
    write_atomic(&args.output.join("compare.json"), &json)?;
    if global.json {
        say!(
            "{}",
            serde_json::json!({ "event": "finished", "methods": rows, "report": report })
        );
        return Ok(Done::Well);
    }
    crate::output::result(format_args!(
        "{}",
        table::format(&terminal(&rows, &args.baseline))
    ))?;
    say!("report  {}", report.display());
    Ok(Done::Well)
}

/// Trains the warm start of a seed unless it is there; the model that all methods begin with.
fn warm_start(
    recipe: &Recipe,
    seed: u64,
    args: &Compare,
    global: &Global,
    stop: &AtomicBool,
) -> Result<Option<PathBuf>, Failure> {
    if recipe.sft.is_none() {
        let Some(path) = recipe.model.path.clone() else {
            return Err(Failure::new(
                "the recipe has neither an [sft] stage nor model.path to start from".to_owned(),
            ));
        };
        return Ok(Some(path));
    }
    let mut warm = recipe.clone();
    warm.rl = None;
    // What only [rl] reads would be said to do nothing.
    warm.algorithm = percept_train::AlgorithmConfig::default();
    warm.trainer.seed = seed;
    warm.trainer.output_dir = args.output.join(format!("seed-{seed}"));
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

fn of_seed(recipe: &Recipe, seed: u64, method: &str, start: &Path, output: &Path) -> Recipe {
    let mut recipe = recipe.clone();
    recipe.sft = None;
    recipe.model.tiny = None;
    recipe.model.path = Some(start.to_path_buf());
    recipe.trainer.seed = seed;
    recipe.trainer.output_dir = output.join(format!("seed-{seed}"));
    recipe.trainer.experiment_name = method.to_owned();
    recipe
}

/// The result of a run, made now unless it is there. None when stopped on the way.
fn finished(
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
    let metrics = read_metrics(&outcome.dir.join("metrics.jsonl"))?;
    let tail = &metrics[metrics.len().saturating_sub(LAST)..];
    let mean = |name: &str| {
        let values: Vec<f64> = tail.iter().filter_map(|row| row.get(name)).collect();
        values.iter().sum::<f64>() / values.len() as f64
    };
    let result = Finished {
        recipe: text,
        response_length: mean("response_length/mean"),
        entropy: mean("actor/entropy"),
        tokens: points.last().map_or(0.0, |point| point.tokens),
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

/// A line of the table.
#[derive(Debug, Clone, Serialize)]
struct Line {
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

fn summarise(methods: &[String], found: &[Vec<Finished>], baseline: &str) -> Vec<Line> {
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

fn terminal(lines: &[Line], baseline: &str) -> Vec<Vec<String>> {
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

fn page(
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
