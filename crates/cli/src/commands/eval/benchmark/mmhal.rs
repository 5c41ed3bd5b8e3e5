//! `percept eval mmhal`

use std::path::PathBuf;

use clap::Args;
use percept_benchmarks::hallucination::files::{by_id, given, rows, text};
use percept_benchmarks::hallucination::mmhal::{Item, Rated, TYPES, Template, rating, summarise};
use percept_data::Media;
use percept_report::Page;
use serde_json::{Value, json};

use super::output::{OutputArgs, add_table, answered_by, cells, number, percent, print};
use crate::shared::answerer::{AnswererArgs, JudgeArgs, Query};
use crate::shared::output::note;
use crate::shared::{Done, Failure, Global};

/// MMHal-Bench: answers rated by a judge.
#[derive(Debug, Args)]
#[command(
    after_help = "Numbers depend on the judge and on its prompt; both are recorded. Published numbers come from
GPT-4 and the authors' template: give their script eval_gpt_mmhal.py as --judge-template to use it.

Examples:
  percept eval mmhal --data response_template.json --images images --model DIR \\
      --judge-endpoint URL --judge-model NAME --output runs/mmhal
  percept eval mmhal --data responses.json --given --judge-endpoint URL --judge-model NAME"
)]
pub struct MmhalArgs {
    /// The benchmark's JSON array (question, image_content, gt_answer, ...).
    #[arg(long)]
    pub data: PathBuf,
    /// Folder of the images, named as in image_src or by image_id.
    #[arg(long)]
    pub images: Option<PathBuf>,
    /// Existing answers to rate instead of asking a model, in the order of the questions.
    #[arg(long, conflicts_with_all = ["model", "endpoint", "given"])]
    pub answers: Option<PathBuf>,
    /// The answers are in --data, as model_answer.
    #[arg(long, conflicts_with_all = ["model", "endpoint"])]
    pub given: bool,
    /// The judge's prompt: a text with four placeholders {} (contents, question, right answer,
    /// answer), or the published script that holds one.
    #[arg(long, value_name = "FILE")]
    pub judge_template: Option<PathBuf>,
    /// Who judges.
    #[command(flatten)]
    pub judge: JudgeArgs,
    /// Who answers.
    #[command(flatten)]
    pub answerer: AnswererArgs,
    /// Where results go.
    #[command(flatten)]
    pub output: OutputArgs,
}

pub fn run(args: &MmhalArgs, global: &Global) -> Result<Done, Failure> {
    if !args.judge.named() {
        return Err(Failure::new(
            "MMHal-Bench has no score without a judge: give --judge-endpoint URL --judge-model NAME",
        ));
    }
    let quiet = global.quiet || global.json;
    let template = match &args.judge_template {
        None => Template::default(),
        Some(path) => Template::parse(&text(path)?)
            .map_err(|e| Failure::new(format!("--judge-template {}: {e}", path.display())))?,
    };
    let expected = "a question of MMHal-Bench: image_content, question, gt_answer";
    let items: Vec<Item> = args.output.cut(rows(&args.data, expected)?);
    let (answers, by) = answers(args, &items, quiet)?;
    let queries = items
        .iter()
        .zip(&answers)
        .enumerate()
        .map(|(at, (item, answer))| Query {
            id: at.to_string(),
            text: template.fill(item, answer),
            image: None,
        });
    let log = args.output.log("judge.jsonl")?;
    let reviews = args.judge.ask(
        &args.answerer.calls,
        queries.collect(),
        log.as_deref(),
        quiet,
    )?;
    let one = |(index, ((item, answer), review)): (usize, ((Item, String), &String))| Rated {
        index,
        item,
        answer,
        rating: rating(review),
        review: review.clone(),
    };
    let rated: Vec<Rated> = items
        .into_iter()
        .zip(answers)
        .zip(&reviews.texts)
        .enumerate()
        .map(one)
        .collect();
    let published = args.judge_template.is_some();
    let judge = json!({"model": reviews.identity, "usage": reviews.usage,
        "template": if published { "given" } else { "built in, not the published one" },
        "template_text": template.text()});
    report(args, global, &rated, by, judge)
}

fn answers(args: &MmhalArgs, items: &[Item], quiet: bool) -> Result<(Vec<String>, Value), Failure> {
    if args.given {
        let said = items.iter().map(|item| item.model_answer.clone()).collect();
        return Ok((said, answered_by(&None, Some(&args.data))));
    }
    if let Some(path) = &args.answers {
        let ids: Vec<u64> = (0..items.len() as u64).collect();
        let mut rows = given(path)?;
        rows.iter_mut().for_each(|row| row.id = None);
        return Ok((by_id(path, &ids, rows)?, answered_by(&None, Some(path))));
    }
    let queries = items
        .iter()
        .enumerate()
        .map(|(at, item)| {
            Ok(Query {
                id: at.to_string(),
                text: item.question.clone(),
                image: Some(picture(args, item)?),
            })
        })
        .collect::<Result<_, Failure>>()?;
    let log = args.output.log("answers.jsonl")?;
    let mut found = args.answerer.ask(queries, 1024, log.as_deref(), quiet)?;
    let texts = std::mem::take(&mut found.texts);
    Ok((texts, answered_by(&Some(found), None)))
}

/// The image of a question under the name that its address ends in, or under its number.
fn picture(args: &MmhalArgs, item: &Item) -> Result<Media, Failure> {
    let Some(folder) = args.images.as_deref() else {
        return Err(Failure::new("no images: give --images DIR"));
    };
    let source = item.image_src.rsplit('/').next().unwrap_or_default();
    let names = [source.to_owned()]
        .into_iter()
        .chain(["jpg", "jpeg", "png"].map(|ending| format!("{}.{ending}", item.image_id)));
    let found = names
        .filter(|name| !name.is_empty())
        .map(|name| folder.join(name))
        .find(|p| p.is_file());
    let media = |path| args.answerer.picture(folder, path);
    found.map(media).ok_or_else(|| {
        Failure::new(format!(
            "no image {source} or {}.jpg in --images {}",
            item.image_id,
            folder.display()
        ))
    })
}

fn report(
    args: &MmhalArgs,
    global: &Global,
    rated: &[Rated],
    by: Value,
    judge: Value,
) -> Result<Done, Failure> {
    let scores = summarise(rated);
    let mut table = vec![
        cells([
            "questions",
            "score (0 to 6)",
            "hallucination %",
            "informativeness %",
        ]),
        vec![
            format!("all {}", rated.len()),
            number(&scores.score, 2),
            percent(&scores.hallucination_rate),
            percent(&scores.informativeness),
        ],
    ];
    let kinds = TYPES
        .iter()
        .filter_map(|kind| scores.by_type.get_key_value(*kind));
    let others = scores
        .by_type
        .iter()
        .filter(|(kind, _)| !TYPES.contains(&kind.as_str()));
    for (kind, mean) in kinds.chain(others) {
        table.push(vec![format!("  {kind} {}", mean.n), number(mean, 2)]);
    }
    let mut summary = json!({"benchmark": "mmhal", "judge": judge["model"]});
    summary["scores"] = serde_json::to_value(&scores)?;
    print(global, &table, std::slice::from_ref(&summary))?;
    if scores.unclear > 0 && !global.quiet {
        note!(
            "{} replies of the judge hold no single rating and count as 0",
            scores.unclear
        );
    }
    let mut page = Page::new("MMHal-Bench");
    page.text(&format!(
        "Answers rated by a judge from 0 to 6; below 3 they hallucinate. Judge: {}; prompt: {}. 95 % bootstrap \
         intervals over questions.",
        judge["model"], judge["template"]
    ));
    for row in &mut table {
        row.resize(4, String::new());
    }
    add_table(&mut page, &table);
    page.section("Answers");
    let escape = percept_report::escape;
    let mut html = String::from(
        "<table><thead><tr><th>type</th><th>rating</th><th>question</th><th>right</th><th>answer</th>\
         <th>review</th></tr></thead><tbody>",
    );
    for r in rated {
        let points = r.rating.map_or_else(|| "–".to_owned(), |n| n.to_string());
        html.push_str("<tr>");
        for text in [
            r.kind(),
            &points,
            &r.item.question,
            &r.item.gt_answer,
            &r.answer,
            &r.review,
        ] {
            let style = "white-space:normal;text-align:left;vertical-align:top";
            html.push_str(&format!("<td style=\"{style}\">{}</td>", escape(text)));
        }
        html.push_str("</tr>");
    }
    html.push_str("</tbody></table>");
    page.html(&html);
    summary["judge"] = judge;
    summary["answered_by"] = by;
    args.output.write(rated, &summary, &page)?;
    Ok(Done::Well)
}
