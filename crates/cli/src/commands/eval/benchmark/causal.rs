//! `percept eval causal-halbench`

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use clap::Args;
use percept_benchmarks::causal::{
    Answered, Group, Metrics, Question, Reading, Tag, by_object, by_pair, measure, original_of,
    paired, questions, records,
};
use percept_data::Media;
use percept_eval::thumbnail;
use percept_report::{Page, escape};
use serde_json::{Value, json};

use super::output::{OutputArgs, add_table, answered_by, cells, percent, pictures, print};
use crate::shared::answerer::{AnswererArgs, Answers, Query};
use crate::shared::output::note;
use crate::shared::{Done, Failure, Global};

/// Pairs that the report shows, worst first.
const SHOWN: usize = 24;
/// Rows of a breakdown that the report shows.
const GROUPS: usize = 80;
/// Causal-HalBench: does the model look, or guess from what usually comes together? CAC, AAC, CHR, CPR.
#[derive(Debug, Args)]
#[command(after_help = "Examples:
  percept eval causal-halbench --data Causal-HalBench --model DIR --output runs/causal
  percept eval causal-halbench --data Causal-HalBench --endpoint URL --api-model NAME --output runs/causal
  percept eval causal-halbench --compare runs/before runs/after")]
pub struct CausalArgs {
    /// Folder with qa.json and images/, as the authors distribute it and `percept halbench build` makes it.
    #[arg(long, required_unless_present = "compare")]
    pub data: Option<PathBuf>,
    /// Folder of the images (default: images/ in --data).
    #[arg(long)]
    pub images: Option<PathBuf>,
    /// Records of an earlier run (records.jsonl): its replies are parsed and scored again; no model is asked.
    #[arg(long, conflicts_with_all = ["model", "endpoint"])]
    pub records: Option<PathBuf>,
    /// Which program's answer parser gives the headline number; all are computed.
    #[arg(
        long,
        default_value = "original",
        value_name = "original|pope|vlmevalkit|lmms"
    )]
    pub parser: Reading,
    /// Compare two output folders: the change from the first to the second.
    #[arg(long, num_args = 2, value_names = ["RUN_A", "RUN_B"], conflicts_with_all = ["data", "model", "endpoint"])]
    pub compare: Vec<PathBuf>,
    /// Who answers.
    #[command(flatten)]
    pub answerer: AnswererArgs,
    /// Where results go.
    #[command(flatten)]
    pub output: OutputArgs,
}

pub fn run(args: &CausalArgs, global: &Global) -> Result<Done, Failure> {
    if let [a, b] = args.compare.as_slice() {
        return compare(a, b, global);
    }
    let Some(data) = &args.data else {
        return Err(Failure::new("no questions: give --data DIR"));
    };
    let asked = args.output.cut(questions(data)?);
    let images = args.images.clone().unwrap_or_else(|| data.join("images"));
    let mut answers: Option<Answers> = None;
    let replies = match &args.records {
        Some(path) => given(path, &asked)?,
        None => {
            let mut found = ask(args, &asked, &images, global)?;
            let texts = std::mem::take(&mut found.texts);
            answers = Some(found);
            texts
        }
    };
    let rows: Vec<Answered> = asked
        .into_iter()
        .zip(replies)
        .map(|(question, response)| Answered {
            parsed: args.parser.read(&response),
            question,
            response,
        })
        .collect();
    let by = answered_by(&answers, args.records.as_deref());
    report(args, global, &rows, &images, by)
}

fn ask(
    args: &CausalArgs,
    asked: &[Question],
    images: &Path,
    global: &Global,
) -> Result<Answers, Failure> {
    let names: Vec<&str> = asked.iter().map(|q| q.image_name.as_str()).collect();
    let pictures = pictures(&args.answerer, Some(images), &names)?;
    let query = |(question, image): (&Question, _)| Query {
        id: question.id.to_string(),
        text: question.q.clone(),
        image: Some(image),
    };
    let queries = asked.iter().zip(pictures).map(query).collect();
    let quiet = global.quiet || global.json;
    let log = args.output.log("answers.jsonl")?;
    args.answerer.ask(queries, 128, log.as_deref(), quiet)
}

/// The replies of an earlier run, in the order of the questions.
fn given(path: &Path, asked: &[Question]) -> Result<Vec<String>, Failure> {
    let key = |q: &Question| (q.image_name.clone(), q.id);
    let mut known: BTreeMap<(String, u64), String> = records(path)?
        .into_iter()
        .map(|row| (key(&row.question), row.response))
        .collect();
    asked
        .iter()
        .map(|question| {
            known.remove(&key(question)).ok_or_else(|| {
                Failure::new(format!(
                    "{}: no reply to question {} of {}\n  help: give the records of a run of the same --data",
                    path.display(),
                    question.id,
                    question.image_name
                ))
            })
        })
        .collect()
}

/// Metrics by reading, the headline marked.
fn table(rows: &[Answered], headline: Reading) -> (Vec<Vec<String>>, Vec<(Reading, Metrics)>) {
    let read = |reading: Reading| {
        let rows: Vec<Answered> = rows
            .iter()
            .map(|row| Answered {
                parsed: reading.read(&row.response),
                ..row.clone()
            })
            .collect();
        (reading, measure(&rows))
    };
    let all: Vec<(Reading, Metrics)> = Reading::ALL.into_iter().map(read).collect();
    let mut head = vec!["%".to_owned()];
    head.extend(all.iter().map(|(reading, _)| {
        let mark = if *reading == headline { "*" } else { "" };
        format!("{mark}{}", reading.name())
    }));
    let mut table = vec![head];
    let count = all.first().map_or(0, |(_, metrics)| metrics.rows().len());
    for index in 0..count {
        let mut line = vec![all[0].1.rows()[index].0.to_owned()];
        line.extend(all.iter().map(|(_, m)| percent(m.rows()[index].1)));
        table.push(line);
    }
    (table, all)
}

fn report(
    args: &CausalArgs,
    global: &Global,
    rows: &[Answered],
    images: &Path,
    by: Value,
) -> Result<Done, Failure> {
    let (table, all) = table(rows, args.parser);
    let metrics = all.iter().find(|(reading, _)| *reading == args.parser);
    let metrics = metrics.map(|(_, metrics)| metrics);
    let parsers: serde_json::Map<String, Value> = all
        .iter()
        .map(|(reading, metrics)| Ok((reading.name().to_owned(), serde_json::to_value(metrics)?)))
        .collect::<Result<_, serde_json::Error>>()?;
    let (objects, pairs) = (by_object(rows), by_pair(rows));
    let summary = json!({"benchmark": "causal-halbench", "parser": args.parser, "metrics": metrics,
        "parsers": parsers, "answered_by": by, "by_object": objects, "by_pair": pairs});
    let line = json!({"benchmark": "causal-halbench", "parser": args.parser, "metrics": metrics});
    print(global, &table, &[line])?;
    let mut page = Page::new("Causal-HalBench");
    page.text("One object of each image was replaced. CAC: how much worse the kept object is recognised without its \
        company. AAC: how much better absent objects are denied once the object that calls them up is gone. CHR: \
        replaced-in objects that are denied. Lower is better; 0 is a model that looks. CPR: pairs with both answers \
        right. 95 % bootstrap intervals over originals with their edits. Columns read the same replies by the rules of \
        several public programs; * marks the headline.");
    add_table(&mut page, &table);
    page.section("By the objects of a pair (contextual → counterfactual)");
    add_table(&mut page, &groups(&pairs));
    page.section("By object");
    add_table(&mut page, &groups(&objects));
    if args.output.output.is_some() {
        let picture = |name: &str| args.answerer.picture(images, images.join(name));
        worst(&mut page, rows, &picture);
    }
    args.output.write(rows, &summary, &page)?;
    Ok(Done::Well)
}

fn groups(groups: &[Group]) -> Vec<Vec<String>> {
    let mut lines = vec![cells(["", "questions", "CAC %", "AAC %", "CHR %"])];
    lines.extend(groups.iter().take(GROUPS).map(|group| {
        let counts = group.target.iter().chain(&group.absent);
        let questions = counts.map(|c| c[0]).sum::<usize>() + group.inpaint[0];
        let share =
            |value: Option<f64>| value.map_or("–".into(), |v| format!("{:.1}", 100.0 * v));
        vec![
            group.name.clone(),
            questions.to_string(),
            share(group.cac()),
            share(group.aac()),
            share(group.chr()),
        ]
    }));
    lines
}

/// The pairs with most wrong answers on the edit, original and edit side by side.
fn worst(page: &mut Page, rows: &[Answered], picture: &dyn Fn(&str) -> Media) {
    let mut edits: BTreeMap<&str, Vec<&Answered>> = BTreeMap::new();
    for row in rows.iter().filter(|row| row.question.tag == Tag::Inpainted) {
        edits.entry(&row.question.image_name).or_default().push(row);
    }
    let mut order: Vec<(usize, &str)> = edits
        .iter()
        .map(|(name, rows)| (rows.iter().filter(|row| !row.is_right()).count(), *name))
        .filter(|(wrong, _)| *wrong > 0)
        .collect();
    order.sort_by_key(|(wrong, name)| (std::cmp::Reverse(*wrong), *name));
    page.section(&format!(
        "Worst pairs ({} of {})",
        order.len().min(SHOWN),
        edits.len()
    ));
    for (_, edit) in order.into_iter().take(SHOWN) {
        let original = original_of(edit);
        let mut html = String::from("<div style=\"display:flex;gap:12px;flex-wrap:wrap\">");
        for name in [original.as_str(), edit] {
            let name_shown = escape(name);
            html.push_str(&match thumbnail(&picture(name)) {
                Ok(data) => format!(
                    "<figure style=\"margin:0\"><img alt=\"{name_shown}\" src=\"{data}\"><figcaption>{name_shown}</figcaption></figure>"
                ),
                Err(reason) => format!("<p>{name_shown}: {}</p>", escape(&reason.to_string())),
            });
        }
        html.push_str("</div><ul>");
        let of_pair = rows.iter().filter(|row| {
            let name = &row.question.image_name;
            name == edit || *name == original
        });
        for row in of_pair.filter(|row| !row.is_right()) {
            html.push_str(&format!(
                "<li>{:?}: {} – {}</li>",
                row.question.tag,
                escape(&row.question.q),
                escape(&row.response)
            ));
        }
        html.push_str("</ul>");
        page.html(&html);
    }
}

fn compare(a: &Path, b: &Path, global: &Global) -> Result<Done, Failure> {
    let [before, after] = [a, b].map(|folder| records(&folder.join("records.jsonl")));
    let (before, after) = (before?, after?);
    let found = paired(&before, &after);
    if found.iter().all(|(_, difference, _)| difference.n == 0) {
        return Err(Failure::new(format!(
            "{} and {} have no image in common",
            a.display(),
            b.display()
        )));
    }
    let values = [measure(&before), measure(&after)].map(|m| [m.cac, m.aac, m.chr]);
    let mut table = vec![cells(["%", "first", "second", "difference", "McNemar p"])];
    let mut objects = Vec::new();
    for (index, (name, difference, p)) in found.into_iter().enumerate() {
        let [first, second] = [&values[0][index], &values[1][index]];
        table.push(vec![
            name.to_owned(),
            percent(first),
            percent(second),
            percent(&difference),
            format!("{p:.2e}"),
        ]);
        objects.push(json!({"metric": name, "first": first, "second": second,
            "difference": difference, "mcnemar_p": p}));
    }
    if !global.quiet && before.len() != after.len() {
        note!(
            "{} and {} answers: only shared images count in the difference",
            before.len(),
            after.len()
        );
    }
    print(global, &table, &objects)?;
    Ok(Done::Well)
}
