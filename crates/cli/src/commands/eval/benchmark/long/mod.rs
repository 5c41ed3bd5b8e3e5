//! `percept eval long`: needles, RULER's synthetic tasks, perplexity.

mod answers;
mod args;
mod ppl;

use std::collections::BTreeMap;
use std::path::Path;

use clap::ValueEnum;
use percept_benchmarks::long::{
    Haystack, Plan, Question, TASKS, grid, questions, string_match_all,
};
use percept_eval::{Estimate, estimate};
use percept_model::{Model, Processor};
use percept_report::{HeatMap, Page};
use serde::Serialize;
use serde_json::{Value, json};

use super::output::{add_table, cells, percent, print};
use crate::shared::output::note;
use crate::shared::{Done, Failure, Global, open};
use answers::{Asking, answers};
pub use args::{LongArgs, Task};

/// A question, what was answered and its score.
#[derive(Serialize)]
struct Record {
    #[serde(flatten)]
    question: Question,
    pred: String,
    score: f64,
}

pub fn run(args: &LongArgs, global: &Global) -> Result<Done, Failure> {
    for (option, value) in [
        ("--samples", args.samples),
        ("--depths", args.depths),
        ("--max-num-seqs", args.max_num_seqs),
        ("--stride", args.stride.unwrap_or(1)),
        ("--max-tokens", args.max_tokens.unwrap_or(1)),
    ] {
        if value == 0 {
            return Err(Failure::new(format!("{option} is 0; expected 1 or more")));
        }
    }
    let text = match &args.text {
        None => None,
        Some(path) => Some((path.as_path(), read(path)?)),
    };
    let (model, processor) = open::model(&args.model)?;
    let longest = model.config().text.max_position_embeddings;
    if let Some(length) = args.length.iter().find(|&&length| length > longest)
        && !global.quiet
    {
        note!("--length {length} exceeds max_position_embeddings of config.json, {longest}");
    }
    if args.task == Task::Ppl {
        let Some((path, text)) = text else {
            return Err(Failure::new("--task ppl scores a text: give --text FILE"));
        };
        return ppl::run(args, global, &model, &processor, path, &text);
    }
    let essay = match text {
        None => None,
        Some((path, text)) => Some(Haystack::essay(&text, &path.display().to_string())?),
    };
    let questions = args.output.cut(make(args, &processor, essay.as_ref())?);
    let identity = open::weights(&args.model)?;
    let preds = answers(
        &Asking {
            model: &model,
            processor: &processor,
            identity: &identity,
            chat: args.apply_chat_template,
            engine: args.memory.engine(args.max_num_seqs),
            quiet: global.quiet || global.json,
        },
        &questions,
        args.output.log("answers.jsonl")?.as_deref(),
    )?;
    let records = questions.into_iter().zip(preds).map(|(question, pred)| {
        let score = string_match_all(&pred, &question.outputs);
        Record {
            question,
            pred,
            score,
        }
    });
    report(args, global, &model, &records.collect::<Vec<_>>(), identity)
}

fn read(path: &Path) -> Result<String, Failure> {
    std::fs::read_to_string(path)
        .map_err(|e| Failure::new(format!("--text {}: {e}", path.display())))
}

/// All questions of the command.
fn make(
    args: &LongArgs,
    processor: &Processor,
    essay: Option<&Haystack>,
) -> Result<Vec<Question>, Failure> {
    let around = match args.apply_chat_template {
        true => answers::chat_prompt(processor, "")?.tokens.len(),
        false => 0,
    };
    let count = |text: &str| Ok(processor.encode_document(text)?.len() + around);
    let mut all = Vec::new();
    for &length in &args.length {
        let plan = Plan {
            length,
            samples: args.samples,
            seed: args.seed,
            max_tokens: args.max_tokens,
            count: &count,
        };
        all.extend(match args.task {
            Task::Needle => grid(&plan, essay.unwrap_or(&Haystack::Noise), args.depths)?,
            _ => questions(&plan, essay)?,
        });
    }
    Ok(all)
}

fn report(
    args: &LongArgs,
    global: &Global,
    model: &Model,
    records: &[Record],
    identity: Value,
) -> Result<Done, Failure> {
    let lengths: Vec<String> = args.length.iter().map(ToString::to_string).collect();
    let mut table = vec![cells(["task"])];
    table[0].extend(lengths.iter().cloned());
    let scores = |task: &str, length: usize| -> Estimate {
        let of = |r: &&Record| r.question.task == task && r.question.length == length;
        let scores: Vec<f64> = records.iter().filter(of).map(|r| r.score).collect();
        estimate(&scores)
    };
    let mut by_task: BTreeMap<&str, BTreeMap<String, Estimate>> = BTreeMap::new();
    let names = ["needle"].into_iter().chain(TASKS.map(|(name, _)| name));
    for task in names.filter(|task| records.iter().any(|r| r.question.task == *task)) {
        let found: Vec<Estimate> = args.length.iter().map(|&l| scores(task, l)).collect();
        let mut row = cells([task]);
        row.extend(found.iter().map(percent));
        table.push(row);
        by_task.insert(task, lengths.iter().cloned().zip(found).collect());
    }
    let mut summary = json!({
        "benchmark": "long",
        "task": args.task.to_possible_value().map(|v| v.get_name().to_owned()),
        "attention": model.config().attention.config(),
        "score": by_task,
        "questions": records.len(),
    });
    print(global, &table, std::slice::from_ref(&summary))?;
    let mut page = Page::new("Long texts");
    page.text(&format!(
        "Score in %: the share of expected strings that stand in the answer (RULER's string_match_all), by tokens of \
         text, question and answer; 95 % bootstrap intervals over questions. Attention: {}.",
        json!(model.config().attention.config())
    ));
    add_table(&mut page, &table);
    if args.task == Task::Needle {
        page.section("By depth");
        page.html(&heat_map(args, &lengths, records).html());
    }
    page.section("Answers");
    let mut rows = vec![cells(["task", "length", "expected", "answer", "score"])];
    rows.extend(records.iter().take(200).map(|r| {
        let Question {
            task,
            length,
            outputs,
            ..
        } = &r.question;
        vec![
            (*task).to_owned(),
            length.to_string(),
            outputs.join(", "),
            r.pred.chars().take(120).collect(),
            format!("{:.2}", r.score),
        ]
    }));
    add_table(&mut page, &rows);
    summary["answered_by"] = identity;
    summary["seed"] = json!(args.seed);
    summary["text"] = json!(args.text);
    args.output.write(records, &summary, &page)?;
    Ok(Done::Well)
}

/// Mean score of each depth and length.
fn heat_map(args: &LongArgs, lengths: &[String], records: &[Record]) -> HeatMap {
    let mut depths: Vec<f64> = records.iter().filter_map(|r| r.question.depth).collect();
    depths.sort_unstable_by(f64::total_cmp);
    depths.dedup();
    let cell = |depth: f64, length: usize| {
        let of = |r: &&Record| r.question.depth == Some(depth) && r.question.length == length;
        let scores: Vec<f64> = records.iter().filter(of).map(|r| r.score).collect();
        (!scores.is_empty()).then(|| scores.iter().sum::<f64>() / scores.len() as f64)
    };
    let rows = depths.into_iter().map(|depth| {
        let cells = args.length.iter().map(|&length| cell(depth, length));
        (format!("{:.0} %", depth * 100.0), cells.collect())
    });
    HeatMap {
        corner: "depth \\ tokens".to_owned(),
        columns: lengths.to_vec(),
        rows: rows.collect(),
    }
}
