//! `percept eval scenes`: descriptions of the built-in task's pictures, counted as Object HalBench counts.

use std::collections::BTreeSet;

use clap::Args;
use percept_benchmarks::hallucination::chair::{Caption, judge_mentions};
use percept_benchmarks::hallucination::object_halbench::{objects, summarise};
use percept_benchmarks::hallucination::{Class, Vocabulary};
use percept_data::scenes::{Ask, DESCRIBE, SHAPES, Scenes, ScenesConfig};
use percept_data::{Dataset, Sample};
use percept_report::Page;
use serde_json::json;

use super::chair::descriptions;
use super::compare::{CompareArgs, compare};
use super::object_halbench::table;
use super::output::{OutputArgs, add_table, answered_by, print};
use crate::shared::answerer::{AnswererArgs, Query};
use crate::shared::{Done, Failure, Global};

/// Hallucinated shapes in descriptions of the built-in task `scenes`, where company is planted.
#[derive(Debug, Args)]
#[command(
    after_help = "Shapes that an answer names and the image does not show, counted as in object-halbench: of all shapes
named (mention level) and of answers that name any (response level); recall is the share of the images'
shapes that are named. Give training another --seed than 1000000.

Examples:
  percept eval scenes --model runs/base --output eval/base
  percept eval scenes --model runs/adavip --output eval/adavip
  percept eval scenes --compare eval/base eval/adavip"
)]
pub struct ScenesArgs {
    /// Number of images.
    #[arg(long, default_value_t = 500)]
    pub rows: usize,
    /// Probability that a shape appears if its companion shape does, and that it is absent if its companion is
    /// (0.5: independent).
    #[arg(long, default_value_t = 0.5)]
    pub cooccurrence: f32,
    /// Contrast of the faint shapes.
    #[arg(long, default_value_t = 0.5)]
    pub contrast: f32,
    /// Random seed of the images.
    #[arg(long, default_value_t = 1_000_000)]
    pub seed: u64,
    /// Two results to compare instead.
    #[command(flatten)]
    pub compare: CompareArgs,
    /// Who describes.
    #[command(flatten)]
    pub answerer: AnswererArgs,
    /// Where results go.
    #[command(flatten)]
    pub output: OutputArgs,
}

pub fn run(args: &ScenesArgs, global: &Global) -> Result<Done, Failure> {
    if let Some((first, second)) = args.compare.pair() {
        return compare(first, second, global);
    }
    let rows = match args.output.limit {
        0 => args.rows,
        limit => limit.min(args.rows),
    };
    let scenes = Scenes::new(ScenesConfig {
        seed: args.seed,
        len: rows,
        ask: Ask::Description,
        cooccurrence: args.cooccurrence,
        contrast: args.contrast,
        ..ScenesConfig::default()
    })?;
    let samples: Vec<Sample> = (0..rows)
        .map(|row| scenes.get(row))
        .collect::<Result<_, _>>()?;
    let query = |sample: &Sample| Query {
        id: sample.id.clone(),
        text: DESCRIBE.to_owned(),
        image: sample.images.first().cloned(),
    };
    let queries = samples.iter().map(query).collect();
    let log = args.output.log("answers.jsonl")?;
    let quiet = global.quiet || global.json;
    let found = args.answerer.ask(queries, 64, log.as_deref(), quiet)?;
    let words = Vocabulary::parse(&SHAPES.join("\n"));
    let judged: Vec<Caption> = samples
        .iter()
        .zip(&found.texts)
        .enumerate()
        .map(|(row, (sample, text))| {
            let mentions = objects(&words, text);
            judge_mentions(&words, row as u64, text, mentions, &present(&words, sample))
        })
        .collect();
    let scores = summarise(&judged);
    let rows = table(&scores);
    let mut summary = json!({"benchmark": "scenes"});
    summary["scores"] = serde_json::to_value(&scores)?;
    print(global, &rows, std::slice::from_ref(&summary))?;
    let mut page = Page::new("scenes: descriptions");
    page.text(
        "Shapes that a description names and the image does not show: mention level is their share of all shapes named, \
         response level the share of answers with one among answers that name any. 95 % bootstrap intervals over images.",
    );
    add_table(&mut page, &rows);
    descriptions(&mut page, &judged);
    summary["scenes"] = json!({"seed": args.seed, "rows": judged.len(), "cooccurrence": args.cooccurrence,
        "contrast": args.contrast});
    summary["prompt"] = json!(DESCRIBE);
    summary["answered_by"] = answered_by(&Some(found), None);
    args.output.write(&judged, &summary, &page)?;
    Ok(Done::Well)
}

/// The shapes of a picture.
fn present(words: &Vocabulary, sample: &Sample) -> BTreeSet<Class> {
    let shapes = sample
        .meta
        .get("shapes")
        .and_then(serde_json::Value::as_array);
    let names = shapes
        .into_iter()
        .flatten()
        .filter_map(serde_json::Value::as_str);
    names.filter_map(|name| words.class(name)).collect()
}
