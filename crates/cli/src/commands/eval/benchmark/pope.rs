//! `percept eval pope`

use std::path::{Path, PathBuf};

use clap::Args;
use percept_base::files::write_atomic;
use percept_benchmarks::hallucination::files::{annotated, by_id, given, rows};
use percept_benchmarks::hallucination::pope::{
    Answered, Parser, Question, SPLITS, Split, summarise,
};
use percept_benchmarks::hallucination::pope_build::{Strategy, questions, select};
use percept_data::coco::CocoInstances;
use percept_report::Page;
use serde_json::{Value, json};

use super::output::{OutputArgs, add_table, answered_by, cells, percent, pictures, print};
use crate::shared::answerer::{AnswererArgs, Answers, Query};
use crate::shared::output::note;
use crate::shared::{Done, Failure, Global};

/// Mistakes that the report shows.
const SHOWN: usize = 200;

/// POPE: is this object in the image? With every published answer parser side by side.
#[derive(Debug, Args)]
#[command(after_help = "Examples:
  percept eval pope --data POPE/output/coco --images val2014 --model DIR --output runs/pope
  percept eval pope --data coco_pope_random.json --images val2014 --endpoint URL --api-model NAME
  percept eval pope --data coco_pope_random.json --answers answers.jsonl --parser lmms
  percept eval pope --build instances.json --output my-pope")]
pub struct PopeArgs {
    /// Question files (JSON lines: question_id, image, text, label), or a folder with
    /// coco_pope_random.json, coco_pope_popular.json and coco_pope_adversarial.json.
    #[arg(long, required_unless_present = "build")]
    pub data: Vec<PathBuf>,
    /// Folder of the images.
    #[arg(long)]
    pub images: Option<PathBuf>,
    /// Existing answers to score instead of asking a model, one file per question file.
    #[arg(long, conflicts_with_all = ["model", "endpoint"])]
    pub answers: Vec<PathBuf>,
    /// Which official script's answer parser gives the headline number; all are computed.
    #[arg(
        long,
        default_value = "original",
        value_name = "original|vlmevalkit|lmms"
    )]
    pub parser: Parser,
    /// Text appended to every question; lmms-eval uses "\nAnswer the question using a single word or
    /// phrase.".
    #[arg(long, default_value = "", hide_default_value = true)]
    pub suffix: String,
    /// Build question files from COCO instances instead and write them to --output.
    #[arg(
        long,
        value_name = "INSTANCES.json",
        requires = "output",
        conflicts_with = "data"
    )]
    pub build: Option<PathBuf>,
    /// Number of images that --build asks about.
    #[arg(long, default_value_t = 500, requires = "build")]
    pub build_images: usize,
    /// Number of present objects, and of absent ones, per image of --build.
    #[arg(long, default_value_t = 3, requires = "build")]
    pub objects: usize,
    /// Seed of --build.
    #[arg(long, default_value_t = 0, requires = "build")]
    pub seed: u64,
    /// Who answers.
    #[command(flatten)]
    pub answerer: AnswererArgs,
    /// Where results go.
    #[command(flatten)]
    pub output: OutputArgs,
}

pub fn run(args: &PopeArgs, global: &Global) -> Result<Done, Failure> {
    let files = match &args.build {
        Some(instances) => {
            let files = build(args, instances)?;
            if !args.answerer.named() {
                for file in &files {
                    crate::shared::output::say!("{}", file.display());
                }
                return Ok(Done::Well);
            }
            files
        }
        None => question_files(&args.data)?,
    };
    let mut asked: Vec<(String, Question)> = Vec::new();
    let mut said: Vec<String> = Vec::new();
    if !args.answers.is_empty() && args.answers.len() != files.len() {
        return Err(Failure::new(format!(
            "--answers: {} files for {} files of questions; expected one for each",
            args.answers.len(),
            files.len()
        )));
    }
    for (at, file) in files.iter().enumerate() {
        let expected = "a question of POPE: question_id, image, text, label (yes or no)";
        let rows: Vec<Question> = args.output.cut(rows(file, expected)?);
        if let Some(path) = args.answers.get(at) {
            let ids: Vec<u64> = rows.iter().map(|q| q.question_id).collect();
            said.extend(by_id(path, &ids, given(path)?)?);
        }
        asked.extend(
            rows.into_iter()
                .map(|question| (split_name(file), question)),
        );
    }
    let mut answers: Option<Answers> = None;
    if args.answers.is_empty() {
        let mut found = ask(args, &asked, global)?;
        said = std::mem::take(&mut found.texts);
        answers = Some(found);
    }
    let answered = |((split, question), answer)| Answered {
        split,
        question,
        answer,
    };
    let rows: Vec<Answered> = asked.into_iter().zip(said).map(answered).collect();
    let splits = summarise(&rows);
    let by = answered_by(&answers, args.answers.first().map(PathBuf::as_path));
    report(args, global, &rows, &splits, by)
}

fn ask(args: &PopeArgs, asked: &[(String, Question)], global: &Global) -> Result<Answers, Failure> {
    let names: Vec<&str> = asked.iter().map(|(_, q)| q.image.as_str()).collect();
    let images = pictures(&args.answerer, args.images.as_deref(), &names)?;
    let query = |((split, question), image): (&(String, Question), _)| Query {
        id: format!("{split}/{}", question.question_id),
        text: format!("{}{}", question.text, args.suffix.replace("\\n", "\n")),
        image: Some(image),
    };
    let queries = asked.iter().zip(images).map(query).collect();
    let quiet = global.quiet || global.json;
    args.answerer.ask(
        queries,
        128,
        args.output.log("answers.jsonl")?.as_deref(),
        quiet,
    )
}

/// The files of a folder that has the official names, or the files themselves.
fn question_files(data: &[PathBuf]) -> Result<Vec<PathBuf>, Failure> {
    let mut files = Vec::new();
    for path in data {
        if !path.is_dir() {
            files.push(path.clone());
            continue;
        }
        let names = SPLITS.map(|split| path.join(format!("coco_pope_{split}.json")));
        let found: Vec<PathBuf> = names.into_iter().filter(|file| file.is_file()).collect();
        if found.is_empty() {
            return Err(Failure::new(format!(
                "--data {}: no coco_pope_random.json, coco_pope_popular.json or coco_pope_adversarial.json in it",
                path.display()
            )));
        }
        files.extend(found);
    }
    Ok(files)
}

/// `random` of `coco_pope_random.json`; the name of any other file.
fn split_name(file: &Path) -> String {
    let stem = file
        .file_stem()
        .unwrap_or_default()
        .to_string_lossy()
        .into_owned();
    match stem.rsplit_once("_pope_") {
        Some((_, split)) => split.to_owned(),
        None => stem,
    }
}

fn build(args: &PopeArgs, instances: &Path) -> Result<Vec<PathBuf>, Failure> {
    let pictures = annotated(&CocoInstances::open(instances)?);
    let chosen = select(&pictures, args.build_images, args.objects, args.seed)?;
    let folder = args.output.output.clone().unwrap_or_default();
    std::fs::create_dir_all(&folder)?;
    let mut files = Vec::new();
    for strategy in Strategy::ALL {
        let mut text = Vec::new();
        for question in questions(&chosen, strategy, args.objects, args.seed)? {
            serde_json::to_writer(&mut text, &question)?;
            text.push(b'\n');
        }
        let path = folder.join(format!("coco_pope_{}.json", strategy.name()));
        write_atomic(&path, &text)?;
        files.push(path);
    }
    Ok(files)
}

fn report(
    args: &PopeArgs,
    global: &Global,
    rows: &[Answered],
    splits: &[Split],
    by: Value,
) -> Result<Done, Failure> {
    let head = cells([
        "split",
        "parser",
        "accuracy %",
        "precision %",
        "recall %",
        "F1 %",
        "yes %",
        "unread",
    ]);
    let (mut table, mut objects) = (vec![head], Vec::new());
    for split in splits {
        for (parser, scores) in &split.parsers {
            let mark = if *parser == args.parser { "*" } else { "" };
            let mut row = vec![split.split.clone(), format!("{mark}{}", parser.name())];
            let shares = [
                &scores.accuracy,
                &scores.precision,
                &scores.recall,
                &scores.f1,
                &scores.yes_ratio,
            ];
            row.extend(shares.map(percent));
            row.push(scores.unparsed.to_string());
            table.push(row);
        }
        let all: serde_json::Map<String, Value> = split
            .parsers
            .iter()
            .map(|(parser, scores)| Ok((parser.name().to_owned(), serde_json::to_value(scores)?)))
            .collect::<Result<_, serde_json::Error>>()?;
        let headline = &all[args.parser.name()];
        objects.push(
            json!({"benchmark": "pope", "split": split.split, "parser": args.parser,
            "scores": headline, "parsers": all}),
        );
    }
    print(global, &table, &objects)?;
    let unread = splits.last().map_or(0, |split| {
        let mine = split
            .parsers
            .iter()
            .find(|(parser, _)| *parser == args.parser);
        mine.map_or(0, |(_, scores)| scores.unparsed)
    });
    if unread * 20 > rows.len() && !global.quiet {
        note!(
            "{unread} of {} answers are neither yes nor no to {}",
            rows.len(),
            args.parser.name()
        );
    }
    let mut page = Page::new("POPE");
    page.text("Is this object in the image? \"yes\" is the positive class. 95 % bootstrap intervals over images. \
        Each row reads the same answers as another public program does; * marks the headline. \
        yes % is the share of answers read as yes; unread are answers that are neither.");
    add_table(&mut page, &table);
    let wrong: Vec<&Answered> = rows
        .iter()
        .filter(|r| args.parser.parse(&r.answer) != Some(r.question.label))
        .collect();
    page.section(&format!(
        "Mistakes ({} of {})",
        wrong.len().min(SHOWN),
        wrong.len()
    ));
    let line = |r: &&Answered| {
        let label = format!("{:?}", r.question.label).to_lowercase();
        vec![
            r.question.image.clone(),
            r.split.clone(),
            r.question.text.clone(),
            label,
            r.answer.clone(),
        ]
    };
    let lines: Vec<Vec<String>> = wrong.iter().take(SHOWN).map(line).collect();
    page.table(&["image", "split", "question", "right", "answer"], &lines);
    let records: Vec<Value> = rows.iter().map(record).collect::<Result<_, _>>()?;
    let summary = json!({"benchmark": "pope", "parser": args.parser, "suffix": args.suffix,
        "answered_by": by, "splits": objects});
    args.output.write(&records, &summary, &page)?;
    Ok(Done::Well)
}

fn record(row: &Answered) -> Result<Value, serde_json::Error> {
    let mut value = serde_json::to_value(row)?;
    let read: serde_json::Map<String, Value> = Parser::ALL
        .into_iter()
        .map(|parser| {
            Ok((
                parser.name().to_owned(),
                serde_json::to_value(parser.parse(&row.answer))?,
            ))
        })
        .collect::<Result<_, serde_json::Error>>()?;
    value["parsed"] = read.into();
    Ok(value)
}
