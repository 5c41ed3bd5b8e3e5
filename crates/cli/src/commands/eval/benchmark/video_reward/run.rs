//! Pairs and scorers in, one table out.

use std::path::Path;

use percept_benchmarks::video_reward::files::ClipPair;
use serde_json::{Map, Value, json};

use super::args::ScorerArgs;
use super::measure::{Numbers, measure};
use super::page;
use super::scorers::Scorer;
use crate::commands::eval::benchmark::output::{cells, percent, print};
use crate::shared::output::note;
use crate::shared::{Done, Failure, Global};

/// Runs a benchmark of pairs of clips.
pub fn run(
    name: &str,
    title: &str,
    file: &Path,
    pairs: Vec<ClipPair>,
    args: &ScorerArgs,
    global: &Global,
) -> Result<Done, Failure> {
    let pairs = args.output.cut(pairs);
    let quiet = global.quiet || global.json;
    let scorers = args.scorers(&pairs, file, quiet)?;
    let numbers = measure(&pairs, &scorers, args.theta);
    say_unscored(&numbers, global);
    let objects: Vec<Value> = numbers.iter().map(|n| object(name, n)).collect();
    let table = table(&numbers);
    print(global, &table, &objects)?;
    let page = page::pairs(title, &table, &numbers, &pairs, &scorers);
    let records: Vec<Value> = pairs.iter().map(|pair| record(pair, &scorers)).collect();
    let sources: Map<String, Value> = scorers
        .iter()
        .map(|scorer| (scorer.name.clone(), scorer.source.clone()))
        .collect();
    let summary =
        json!({"benchmark": name, "pairs": pairs.len(), "scorers": sources, "results": objects});
    args.output.write(&records, &summary, &page)?;
    Ok(Done::Well)
}

fn table(numbers: &[Numbers]) -> Vec<Vec<String>> {
    let mut rows = vec![cells([
        "reward model",
        "dimension",
        "pairs",
        "ties",
        "acc. w/o ties %",
        "acc. w/ ties %",
        "tie at",
        "unscored",
        "ECE",
    ])];
    for n in numbers {
        let a = &n.accuracy;
        rows.push(vec![
            n.scorer.clone(),
            n.dimension.to_owned(),
            a.pairs.to_string(),
            a.human_ties.to_string(),
            percent(&a.without_ties),
            percent(&a.with_ties),
            format!("{:.4}", a.threshold),
            a.unscored.to_string(),
            format!("{:.3}", n.calibration.ece),
        ]);
    }
    rows
}

fn object(name: &str, n: &Numbers) -> Value {
    json!({"benchmark": name, "reward_model": n.scorer, "dimension": n.dimension,
        "accuracy": n.accuracy, "calibration": n.calibration})
}

fn record(pair: &ClipPair, scorers: &[Scorer]) -> Value {
    let preferences: Map<String, Value> = pair
        .preferences
        .iter()
        .map(|(dimension, preference)| ((*dimension).to_owned(), json!(preference)))
        .collect();
    let of = |scorer: &Scorer| {
        let one = |(dimension, _): &(&'static str, _)| {
            let scores = [&pair.a, &pair.b].map(|clip| scorer.scores.of(clip, dimension));
            ((*dimension).to_owned(), json!(scores))
        };
        let all: Map<String, Value> = pair.preferences.iter().map(one).collect();
        (scorer.name.clone(), Value::Object(all))
    };
    let scores: Map<String, Value> = scorers.iter().map(of).collect();
    json!({"id": pair.id, "path_A": pair.a, "path_B": pair.b, "prompt": pair.prompt,
        "models": pair.models, "preferences": preferences, "scores": scores})
}

/// Pairs that count as wrong because nothing is known of them are no small matter.
fn say_unscored(numbers: &[Numbers], global: &Global) {
    let mut told: Vec<&str> = Vec::new();
    for n in numbers.iter().filter(|n| n.accuracy.unscored > 0) {
        if !told.contains(&n.scorer.as_str()) && !global.quiet {
            told.push(&n.scorer);
            note!(
                "{}: {} of {} pairs have a clip without a score and count as wrong",
                n.scorer,
                n.accuracy.unscored,
                n.accuracy.pairs
            );
        }
    }
}
