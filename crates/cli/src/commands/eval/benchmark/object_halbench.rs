//! `percept eval object-halbench`

use std::path::PathBuf;

use clap::Args;
use percept_benchmarks::hallucination::chair::{Caption, judge_mentions};
use percept_benchmarks::hallucination::object_halbench::{
    ObjectHalbench, SHORT, extraction_prompt, listed_objects, objects, parse_list, summarise,
};
use percept_benchmarks::hallucination::{Mention, Vocabulary};
use percept_report::Page;
use serde_json::{Value, json};

use super::chair::descriptions;
use super::compare::{CompareArgs, compare};
use super::ground::{Description, GroundArgs};
use super::output::{OutputArgs, add_table, cells, number, percent, print};
use crate::shared::answerer::{AnswererArgs, JudgeArgs, Query};
use crate::shared::{Done, Failure, Global};

/// Object HalBench: as CHAIR, with each object counted once per answer.
#[derive(Debug, Args)]
#[command(
    after_help = "Objects are found by word rules, or listed by a judge. Neither is the published extraction
(GPT-3.5 and a spaCy tagger): compare models under one of them.

Examples:
  percept eval object-halbench --instances instances_val2014.json --references captions_val2014.json \\
      --images val2014 --model DIR --output runs/object-halbench
  percept eval object-halbench --instances instances_val2014.json --answers answers.jsonl \\
      --judge-endpoint URL --judge-model NAME
  percept eval object-halbench --compare runs/before runs/after"
)]
pub struct ObjectHalbenchArgs {
    /// What is in the images.
    #[command(flatten)]
    pub ground: GroundArgs,
    /// Existing answers to score instead of asking a model: {image_id, answer} (and question, for a judge).
    #[arg(long, conflicts_with_all = ["model", "endpoint"])]
    pub answers: Option<PathBuf>,
    /// Number of images to describe, drawn from the first --instances file.
    #[arg(long, default_value_t = 300)]
    pub sample: usize,
    /// Your own word list: one class per line, its name first, separated by commas.
    #[arg(long)]
    pub words: Option<PathBuf>,
    /// Who lists objects instead of the word rules.
    #[command(flatten)]
    pub judge: JudgeArgs,
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

pub fn run(args: &ObjectHalbenchArgs, global: &Global) -> Result<Done, Failure> {
    if let Some((first, second)) = args.compare.pair() {
        return compare(first, second, global);
    }
    let quiet = global.quiet || global.json;
    let words = match &args.words {
        Some(path) => Vocabulary::parse(&percept_benchmarks::hallucination::files::text(path)?),
        None => Vocabulary::object_halbench(),
    };
    let found = args.ground.describe(
        &words,
        args.answers.as_deref(),
        args.sample,
        &args.answerer,
        &args.output,
        quiet,
    )?;
    let (mentions, extraction) = match args.judge.named() {
        true => listed(args, &words, &found.descriptions, quiet)?,
        false => {
            let rules = found
                .descriptions
                .iter()
                .map(|description| objects(&words, &description.text));
            (rules.collect(), json!("word rules"))
        }
    };
    let answers: Vec<Caption> = found
        .descriptions
        .iter()
        .zip(mentions)
        .map(|(description, mentions)| {
            judge_mentions(
                &words,
                description.image,
                &description.text,
                mentions,
                &found.objects[&description.image],
            )
        })
        .collect();
    let scores = summarise(&answers);
    let rows = table(&scores);
    let mut summary = json!({"benchmark": "object-halbench", "extraction": extraction});
    summary["scores"] = serde_json::to_value(&scores)?;
    print(global, &rows, std::slice::from_ref(&summary))?;
    let mut page = Page::new("Object HalBench");
    page.text(&format!(
        "Hallucinated objects, every object once an answer. mention: their share of all objects; response: answers \
         with one among answers with any object. Objects found by: {extraction}. 95 % bootstrap intervals over answers."
    ));
    add_table(&mut page, &rows);
    descriptions(&mut page, &answers);
    summary["prompt"] = json!(args.ground.prompt);
    summary["answered_by"] = found.by;
    args.output.write(&answers, &summary, &page)?;
    Ok(Done::Well)
}

/// The numbers, with their names above.
pub fn table(scores: &ObjectHalbench) -> Vec<Vec<String>> {
    vec![
        cells([
            "answers",
            "with objects",
            "mention %",
            "response %",
            "CHAIR_s %",
            "recall %",
            "words",
        ]),
        vec![
            scores.answers.to_string(),
            scores.answers_with_objects.to_string(),
            percent(&scores.mention),
            percent(&scores.response),
            percent(&scores.response_of_all),
            percent(&scores.recall),
            number(&scores.length, 1),
        ],
    ]
}

/// Objects that the judge lists, and who it is. A reply that holds no list stops the command: an
/// answer without objects would pass for one without hallucinations.
fn listed(
    args: &ObjectHalbenchArgs,
    words: &Vocabulary,
    descriptions: &[Description],
    quiet: bool,
) -> Result<(Vec<Vec<Mention>>, Value), Failure> {
    let short = |description: &Description| description.text.split_whitespace().count() <= SHORT;
    let queries = descriptions
        .iter()
        .filter(|description| !short(description))
        .map(|description| Query {
            id: description.image.to_string(),
            text: extraction_prompt(&description.question, &description.text),
            image: None,
        })
        .collect();
    let log = args.output.log("judge.jsonl")?;
    let replies = args
        .judge
        .ask(&args.answerer.calls, queries, log.as_deref(), quiet)?;
    let mut texts = replies.texts.iter();
    let one = |description: &Description| {
        if short(description) {
            return Ok(Vec::new());
        }
        let reply = texts.next().map_or("", String::as_str);
        let list = parse_list(reply)
            .map_err(|what| Failure::new(format!("judge, image {}: {what}", description.image)))?;
        Ok(listed_objects(words, &list))
    };
    let mentions = descriptions
        .iter()
        .map(one)
        .collect::<Result<_, Failure>>()?;
    Ok((
        mentions,
        json!({"judge": replies.identity, "usage": replies.usage}),
    ))
}
