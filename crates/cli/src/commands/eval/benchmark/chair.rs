//! `percept eval chair`

use std::path::PathBuf;

use clap::Args;
use percept_benchmarks::hallucination::Vocabulary;
use percept_benchmarks::hallucination::chair::{Caption, Chair, judge, summarise};
use percept_report::Page;
use serde_json::{Value, json};

use super::compare::{CompareArgs, compare};
use super::ground::GroundArgs;
use super::output::{OutputArgs, add_table, cells, number, percent, print};
use crate::shared::answerer::AnswererArgs;
use crate::shared::{Done, Failure, Global};

/// Descriptions that the report shows.
const SHOWN: usize = 100;

/// CHAIR: objects of a description that are not in the image.
#[derive(Debug, Args)]
#[command(after_help = "Examples:
  percept eval chair --instances instances_val2014.json --references captions_val2014.json \\
      --images val2014 --model DIR --output runs/chair
  percept eval chair --instances instances_val2014.json --instances instances_train2014.json \\
      --references captions_val2014.json --references captions_train2014.json --captions captions.json

Captions are JSON lines or a JSON array of {image_id, caption}, or {\"imgToEval\": ...}.")]
pub struct ChairArgs {
    /// What is in the images.
    #[command(flatten)]
    pub ground: GroundArgs,
    /// Existing descriptions to score instead of asking a model.
    #[arg(long, conflicts_with_all = ["model", "endpoint"])]
    pub captions: Option<PathBuf>,
    /// Number of images to describe, drawn from the first --instances file.
    #[arg(long, default_value_t = 500)]
    pub sample: usize,
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

pub fn run(args: &ChairArgs, global: &Global) -> Result<Done, Failure> {
    if let Some((first, second)) = args.compare.pair() {
        return compare(first, second, global);
    }
    let words = Vocabulary::chair();
    let found = args.ground.describe(
        &words,
        args.captions.as_deref(),
        args.sample,
        &args.answerer,
        &args.output,
        global.quiet || global.json,
    )?;
    let captions: Vec<Caption> = found
        .descriptions
        .iter()
        .map(|description| {
            judge(
                &words,
                description.image,
                &description.text,
                &found.objects[&description.image],
            )
        })
        .collect();
    let scores = summarise(&captions);
    let rows = table(&scores, captions.len());
    let mut summary = json!({"benchmark": "chair"});
    summary["scores"] = serde_json::to_value(&scores)?;
    print(global, &rows, std::slice::from_ref(&summary))?;
    let mut page = Page::new("CHAIR");
    page.text("Objects of a description that are not in the image: CHAIR_i is their share of all mentioned objects, \
        CHAIR_s the share of descriptions with one. Words and classes as in the official script; 95 % bootstrap \
        intervals over descriptions.");
    add_table(&mut page, &rows);
    by_class(&mut page, &scores);
    descriptions(&mut page, &captions);
    summary["prompt"] = json!(args.ground.prompt);
    summary["answered_by"] = found.by;
    summary["references"] = Value::Bool(!args.ground.references.is_empty());
    args.output.write(&captions, &summary, &page)?;
    Ok(Done::Well)
}

fn table(scores: &Chair, captions: usize) -> Vec<Vec<String>> {
    vec![
        cells([
            "descriptions",
            "CHAIR_i %",
            "CHAIR_s %",
            "recall %",
            "words",
            "mentions",
        ]),
        vec![
            captions.to_string(),
            percent(&scores.chair_i),
            percent(&scores.chair_s),
            percent(&scores.recall),
            number(&scores.length, 1),
            scores.mentions.to_string(),
        ],
    ]
}

fn by_class(page: &mut Page, scores: &Chair) {
    page.section("What is hallucinated");
    let rows: Vec<Vec<String>> = scores
        .by_class
        .iter()
        .map(|(class, n)| vec![class.clone(), n.to_string()])
        .collect();
    page.table(&["class", "mentions"], &rows);
}

/// The descriptions with the most hallucinated mentions.
pub fn descriptions(page: &mut Page, captions: &[Caption]) {
    let mut worst: Vec<&Caption> = captions
        .iter()
        .filter(|c| !c.hallucinated.is_empty())
        .collect();
    worst.sort_by_key(|c| std::cmp::Reverse(c.hallucinated.len()));
    let shown = worst.len().min(SHOWN);
    page.section(&format!(
        "Descriptions with hallucinated objects ({shown} of {})",
        worst.len()
    ));
    let named = |pairs: &[(String, String)]| {
        let one = |(word, class): &(String, String)| match word == class {
            true => word.clone(),
            false => format!("{word} ({class})"),
        };
        pairs.iter().map(one).collect::<Vec<_>>().join(", ")
    };
    let escape = percept_report::escape;
    let mut html = String::from(
        "<table><thead><tr><th>image</th><th>not there</th><th>there</th><th>description</th></tr></thead><tbody>",
    );
    for caption in &worst[..shown] {
        let cell = |text: &str| {
            format!(
                "<td style=\"white-space:normal;text-align:left;vertical-align:top\">{}</td>",
                escape(text)
            )
        };
        html.push_str("<tr>");
        html.push_str(&cell(&caption.image.to_string()));
        html.push_str(&cell(&named(&caption.hallucinated)));
        html.push_str(&cell(&caption.present.join(", ")));
        html.push_str(&cell(&caption.caption));
        html.push_str("</tr>");
    }
    html.push_str("</tbody></table>");
    page.html(&html);
}
