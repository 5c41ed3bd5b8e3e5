//! `percept eval amber`

use std::collections::{BTreeMap, HashMap};
use std::path::{Path, PathBuf};

use clap::{Args, ValueEnum};
use percept_benchmarks::hallucination::amber::{
    Annotation, Associations, Choice, Description, Discriminative, GROUPS, Generative, Reading,
    Truth, amber_score, judge_description, summarise_choices, summarise_descriptions,
};
use percept_benchmarks::hallucination::files::{by_id, given, rows, text};
use percept_report::Page;
use serde::Deserialize;
use serde_json::{Value, json};

use super::compare::{CompareArgs, compare};
use super::output::{OutputArgs, add_table, answered_by, cells, percent, pictures, print};
use crate::shared::answerer::{AnswererArgs, Query};
use crate::shared::output::note;
use crate::shared::{Done, Failure, Global};

/// AMBER: descriptions and yes/no questions from the official files.
#[derive(Debug, Args)]
#[command(
    after_help = "--data is the folder `data` of the official repository: annotations.json, relation.json,
safe_words.txt, query/query_all.json. Numbers of descriptions differ from published ones: words match
exactly or by association, not by the similarity of spaCy's vectors.

Examples:
  percept eval amber --data AMBER/data --images AMBER/image --model DIR --output runs/amber
  percept eval amber --data AMBER/data --answers inference.json --part discriminative --reading exact"
)]
pub struct AmberArgs {
    /// The official folder `data`.
    #[arg(long, required_unless_present = "compare")]
    pub data: Option<PathBuf>,
    /// Folder of the images.
    #[arg(long)]
    pub images: Option<PathBuf>,
    /// Existing answers to score instead of asking a model: {id, response}.
    #[arg(long, conflicts_with_all = ["model", "endpoint"])]
    pub answers: Option<PathBuf>,
    /// Which questions.
    #[arg(long, value_enum, default_value_t = AmberPart::All)]
    pub part: AmberPart,
    /// How yes/no answers are read: exactly "Yes" or "No" as the official script does, or by their
    /// first word.
    #[arg(long, value_enum, default_value_t = AmberReading::Exact)]
    pub reading: AmberReading,
    /// Text appended to every yes/no question.
    #[arg(long, default_value = " Please answer with Yes or No.")]
    pub suffix: String,
    /// Two results whose descriptions are compared instead.
    #[command(flatten)]
    pub compare: CompareArgs,
    /// Who answers.
    #[command(flatten)]
    pub answerer: AnswererArgs,
    /// Where results go.
    #[command(flatten)]
    pub output: OutputArgs,
}

/// Which questions.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum AmberPart {
    /// Both.
    All,
    /// Descriptions.
    Generative,
    /// Yes/no questions.
    Discriminative,
}

/// How yes/no answers are read.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum AmberReading {
    /// Exact match.
    Exact,
    /// By the first word.
    Word,
}

/// A line of `query/query_all.json`.
#[derive(Debug, Clone, Deserialize)]
struct Item {
    id: u64,
    image: String,
    query: String,
}

pub fn run(args: &AmberArgs, global: &Global) -> Result<Done, Failure> {
    if let Some((first, second)) = args.compare.pair() {
        return compare(first, second, global);
    }
    let Some(data) = &args.data else {
        return Err(Failure::new("no questions: give --data DIR"));
    };
    let annotations: Vec<Annotation> = rows(
        &data.join("annotations.json"),
        "an annotation of AMBER: id, type, truth",
    )?;
    let by_number: HashMap<u64, &Annotation> = annotations.iter().map(|a| (a.id, a)).collect();
    let items: Vec<Item> = rows(
        &data.join("query/query_all.json"),
        "a question of AMBER: id, image, query",
    )?;
    let mut asked = Vec::new();
    for item in items {
        let Some(annotation) = by_number.get(&item.id) else {
            return Err(Failure::new(format!(
                "query_all.json: item {} has no annotation",
                item.id
            )));
        };
        let generative = matches!(annotation.truth, Truth::Objects(_));
        let wanted = match args.part {
            AmberPart::All => true,
            AmberPart::Generative => generative,
            AmberPart::Discriminative => !generative,
        };
        if wanted {
            asked.push((item, *annotation));
        }
    }
    let asked = args.output.cut(asked);
    let (texts, by) = answers(args, &asked, global)?;
    let (mut descriptions, mut choices) = (Vec::new(), Vec::new());
    let words = associations(data)?;
    let reading = match args.reading {
        AmberReading::Exact => Reading::Exact,
        AmberReading::Word => Reading::Word,
    };
    for ((item, annotation), response) in asked.into_iter().zip(texts) {
        match &annotation.truth {
            Truth::Objects(truth) => {
                let found = judge_description(&words, item.id, truth, &annotation.hallu, &response);
                descriptions.push(found);
            }
            Truth::Answer(truth) => choices.push(Choice {
                id: item.id,
                kind: annotation.kind.clone(),
                truth: truth == "yes",
                parsed: reading.parse(&response),
                response,
            }),
        }
    }
    report(args, global, &descriptions, &choices, by)
}

fn associations(data: &Path) -> Result<Associations, Failure> {
    let relation = data.join("relation.json");
    let safe = text(&data.join("safe_words.txt"))?;
    Associations::parse(&text(&relation)?, &safe)
        .map_err(|e| Failure::new(format!("{}: {e}", relation.display())))
}

fn answers(
    args: &AmberArgs,
    asked: &[(Item, &Annotation)],
    global: &Global,
) -> Result<(Vec<String>, Value), Failure> {
    if let Some(path) = &args.answers {
        let ids: Vec<u64> = asked.iter().map(|(item, _)| item.id).collect();
        return Ok((
            by_id(path, &ids, given(path)?)?,
            answered_by(&None, Some(path)),
        ));
    }
    let names: Vec<&str> = asked.iter().map(|(item, _)| item.image.as_str()).collect();
    let images = pictures(&args.answerer, args.images.as_deref(), &names)?;
    let query = |((item, annotation), image): (&(Item, &Annotation), _)| Query {
        id: item.id.to_string(),
        text: match annotation.truth {
            Truth::Objects(_) => item.query.clone(),
            Truth::Answer(_) => format!("{}{}", item.query, args.suffix),
        },
        image: Some(image),
    };
    let queries = asked.iter().zip(images).map(query).collect();
    let log = args.output.log("answers.jsonl")?;
    let mut found = args
        .answerer
        .ask(queries, 512, log.as_deref(), global.quiet || global.json)?;
    let texts = std::mem::take(&mut found.texts);
    Ok((texts, answered_by(&Some(found), None)))
}

fn report(
    args: &AmberArgs,
    global: &Global,
    descriptions: &[Description],
    choices: &[Choice],
    by: Value,
) -> Result<Done, Failure> {
    let generative = (!descriptions.is_empty()).then(|| summarise_descriptions(descriptions));
    let groups = summarise_choices(choices);
    let score = generative
        .as_ref()
        .zip(groups.get("all"))
        .map(|(g, all)| amber_score(g, all));
    let tables = [
        generative.as_ref().map(descriptions_table),
        choices_table(&groups),
    ];
    let mut summary = json!({"benchmark": "amber", "generative": generative,
        "discriminative": groups, "amber_score": score});
    let text: Vec<Vec<String>> = tables.iter().flatten().flatten().cloned().collect();
    print(global, &text, std::slice::from_ref(&summary))?;
    if let (Some(score), false) = (score, global.json) {
        crate::shared::output::say!("AMBER score {score:.1}");
    }
    let unread = choices.iter().filter(|c| c.parsed.is_none()).count();
    if unread * 20 > choices.len() && !global.quiet {
        note!(
            "{unread} of {} answers are neither yes nor no as --reading takes them",
            choices.len()
        );
    }
    let mut page = Page::new("AMBER");
    page.text("Shares in percent with 95 % bootstrap intervals. Yes/no questions: no is the positive class, \
        denominators start at 0.001 as in the official script. Descriptions: words match exactly or by association \
        only, so their numbers differ from published ones.");
    for table in tables.iter().flatten() {
        add_table(&mut page, table);
    }
    page.section("Unmatched nouns");
    let mut counts: BTreeMap<&str, usize> = BTreeMap::new();
    for noun in descriptions.iter().flat_map(|d| &d.unmatched) {
        *counts.entry(noun).or_default() += 1;
    }
    let mut counts: Vec<(&str, usize)> = counts.into_iter().collect();
    counts.sort_by_key(|(_, n)| std::cmp::Reverse(*n));
    let rows: Vec<Vec<String>> = counts
        .iter()
        .take(50)
        .map(|(noun, n)| vec![noun.to_string(), n.to_string()])
        .collect();
    page.table(&["noun", "times"], &rows);
    let described = descriptions.iter().map(serde_json::to_value);
    let chosen = choices.iter().map(serde_json::to_value);
    let records: Vec<Value> = described.chain(chosen).collect::<Result<_, _>>()?;
    summary["reading"] = json!(format!("{:?}", args.reading).to_lowercase());
    summary["suffix"] = json!(args.suffix);
    summary["matching"] = json!("exact or associated; no vector similarity");
    summary["answered_by"] = by;
    args.output.write(&records, &summary, &page)?;
    Ok(Done::Well)
}

fn descriptions_table(found: &Generative) -> Vec<Vec<String>> {
    let shares = [&found.chair, &found.cover, &found.hal, &found.cog];
    let mut row = vec!["generative".to_owned()];
    row.extend(shares.map(percent));
    vec![cells(["part", "CHAIR %", "Cover %", "Hal %", "Cog %"]), row]
}

fn choices_table(groups: &BTreeMap<&'static str, Discriminative>) -> Option<Vec<Vec<String>>> {
    if groups.is_empty() {
        return None;
    }
    let mut table = vec![cells([
        "questions",
        "accuracy %",
        "precision %",
        "recall %",
        "F1 %",
        "count",
        "unread",
    ])];
    for (group, found) in GROUPS
        .iter()
        .filter_map(|group| groups.get_key_value(group))
    {
        let shares = [&found.accuracy, &found.precision, &found.recall, &found.f1];
        let mut row = vec![(*group).to_owned()];
        row.extend(shares.map(percent));
        row.push(found.questions.to_string());
        row.push(found.unparsed.to_string());
        table.push(row);
    }
    Some(table)
}
