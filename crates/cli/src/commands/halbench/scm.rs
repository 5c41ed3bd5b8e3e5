//! `percept halbench scm`

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::path::PathBuf;

use clap::Args;
use percept_base::files::write_atomic;
use percept_benchmarks::causal::object_of;
use percept_benchmarks::hallucination::files::{annotated, rows};
use percept_benchmarks::scm::{Observation, OddsRatio, Scm, estimate_scm};
use percept_data::coco::CocoInstances;
use percept_halbench::base_name;
use percept_report::Page;
use serde_json::{Value, json};

use crate::shared::output::{note, say};
use crate::shared::{Done, Failure, Global, table};

/// Objects that terminal and report show.
const SHOWN: usize = 40;

/// Test whether yes/no answers follow the object or its usual context: odds ratios, causal graph.
#[derive(Debug, Args)]
#[command(after_help = "Examples:
  percept halbench scm --records runs/pope/records.jsonl --annotations instances_val2014.json --output runs/scm")]
pub struct HalbenchScm {
    /// Answered yes/no questions: records.jsonl of `percept eval pope` or `percept eval causal-halbench`.
    #[arg(long, required = true)]
    pub records: Vec<PathBuf>,
    /// COCO instances file of the images.
    #[arg(long)]
    pub annotations: PathBuf,
    /// Which parser of POPE's answers to use.
    #[arg(long, default_value = "original")]
    pub parser: String,
    /// Folder for scm.json and scm.html.
    #[arg(long)]
    pub output: Option<PathBuf>,
}

pub fn run(args: &HalbenchScm, global: &Global) -> Result<Done, Failure> {
    let mut observations = Vec::new();
    for path in &args.records {
        observations.extend(read(path, &args.parser)?);
    }
    let instances = CocoInstances::open(&args.annotations)?;
    let present: BTreeMap<String, BTreeSet<String>> = annotated(&instances)
        .into_iter()
        .map(|picture| (picture.image, picture.objects.into_iter().collect()))
        .collect();
    rename(&mut observations, &present);
    let found = estimate_scm(&observations, &present);
    if found.objects.is_empty() {
        return Err(Failure::new(format!(
            "none of {} answers is about an image and an object of {}\n  help: give the annotations of the images that were asked about",
            observations.len(),
            args.annotations.display()
        )));
    }
    if !global.quiet && found.left_out > 0 {
        note!(
            "{} of {} answers are about images or objects without annotations (edits have none)",
            found.left_out,
            observations.len()
        );
    }
    if global.json {
        say!("{}", json!({ "scm": found }));
    } else {
        let text = table::format(&effects(&found));
        let objects = table::format(&objects(&found));
        crate::shared::output::result(format_args!("{text}\n{objects}"))?;
    }
    if let Some(folder) = &args.output {
        std::fs::create_dir_all(folder)?;
        write_atomic(
            &folder.join("scm.json"),
            &serde_json::to_vec_pretty(&found)?,
        )?;
        write_atomic(&folder.join("scm.html"), page(&found).as_bytes())?;
    }
    Ok(Done::Well)
}

/// Gives images of a built benchmark, whose names have another ending, the names of their annotations.
fn rename(observations: &mut [Observation], present: &BTreeMap<String, BTreeSet<String>>) {
    let names: BTreeMap<String, &String> =
        present.keys().map(|name| (base_name(name), name)).collect();
    for row in observations {
        if present.contains_key(&row.image) {
            continue;
        }
        let stem = row.image.rsplit_once('.').map(|(stem, _)| stem);
        if let Some(name) = names.get(stem.unwrap_or(&row.image)) {
            row.image = (*name).clone();
        }
    }
}

/// What records have to be.
const RECORDS: &str = "records.jsonl of `percept eval causal-halbench` or `percept eval pope`";

/// Records of `percept eval causal-halbench` or `percept eval pope`.
fn read(path: &Path, parser: &str) -> Result<Vec<Observation>, Failure> {
    let rows: Vec<Value> = rows(path, RECORDS)?;
    let one = |(at, row)| {
        observation(row, parser).ok_or_else(|| {
            Failure::new(format!(
                "{}:{}: no answered yes/no question\n  help: give {RECORDS}",
                path.display(),
                at + 1
            ))
        })
    };
    rows.iter().enumerate().map(one).collect()
}

fn observation(row: &Value, parser: &str) -> Option<Observation> {
    let text = |names: [&str; 2]| names.into_iter().find_map(|name| row[name].as_str());
    let parsed = &row["parsed"];
    // POPE's records have an answer for every parser; one that read nothing did not say yes.
    let said = match parsed.as_object() {
        Some(all) => all.get(parser)?.as_str().unwrap_or("no"),
        None => parsed.as_str()?,
    };
    Some(Observation {
        image: text(["image_name", "image"])?.to_owned(),
        object: object_of(text(["q", "text"])?).to_owned(),
        said_yes: said == "yes",
    })
}

fn ratio(found: &OddsRatio) -> String {
    match found.ratio.is_nan() {
        true => "–".into(),
        false => format!("{:.2} [{:.2}, {:.2}]", found.ratio, found.low, found.high),
    }
}

fn effects(found: &Scm) -> Vec<Vec<String>> {
    let line = |what: &str, ratio_of: &OddsRatio| {
        vec![what.to_owned(), ratio(ratio_of), ratio_of.n.to_string()]
    };
    vec![
        ["effect", "odds ratio", "answers"]
            .map(str::to_owned)
            .to_vec(),
        line(
            "context → yes, presence held fixed",
            &found.company_on_answer,
        ),
        line(
            "presence → yes, context held fixed",
            &found.presence_on_answer,
        ),
        line(
            "context with presence, in the questions",
            &found.company_on_presence,
        ),
    ]
}

fn objects(found: &Scm) -> Vec<Vec<String>> {
    let head = [
        "object",
        "context object",
        "yes % absent",
        "… with context",
        "yes % present",
        "… with context",
        "odds ratio",
    ];
    let mut lines = vec![head.map(str::to_owned).to_vec()];
    lines.extend(found.objects.iter().take(SHOWN).map(|effect| {
        let share = |[all, yes]: [usize; 2]| match all {
            0 => "–".to_owned(),
            _ => format!("{:.0} of {all}", 100.0 * yes as f64 / all as f64),
        };
        let mut line = vec![effect.object.clone(), effect.companion.clone()];
        line.extend(effect.counts.map(share));
        line.push(ratio(&effect.company));
        line
    }));
    lines
}

fn page(found: &Scm) -> String {
    let mut page = Page::new("What the answers follow");
    page.text("C: the class that usually stands beside the object is in the image. X: the object itself is there. Y: the \
        model says yes. Numbers are odds ratios with 95 % intervals, adjusted by stratification (Mantel and Haenszel): how \
        much company raises the odds of a yes where presence is the same, and presence where company is the same. 1 is no \
        effect; a model that looks has 1 on C → Y.");
    page.html(&graph(found));
    let add = |page: &mut Page, rows: &[Vec<String>]| {
        let head: Vec<&str> = rows[0].iter().map(String::as_str).collect();
        page.table(&head, &rows[1..]);
    };
    add(&mut page, &effects(found));
    page.section("By object");
    add(&mut page, &objects(found));
    page.render()
}

/// The three nodes with their effects; an arrow is as thick as its logarithm.
fn graph(found: &Scm) -> String {
    let nodes = [
        ("C", "context", 260, 50),
        ("X", "object there", 90, 220),
        ("Y", "says yes", 430, 220),
    ];
    let edges = [
        (0, 1, &found.company_on_presence, 120, 128, "end"),
        (0, 2, &found.company_on_answer, 400, 128, "start"),
        (1, 2, &found.presence_on_answer, 260, 245, "middle"),
    ];
    let mut svg = String::from(
        "<svg viewBox=\"0 0 620 290\" width=\"620\" role=\"img\" aria-label=\"Causal graph\"><defs><marker id=\"tip\" \
         viewBox=\"0 0 10 10\" refX=\"9\" refY=\"5\" markerWidth=\"12\" markerHeight=\"12\" markerUnits=\"userSpaceOnUse\" \
         orient=\"auto\"><path d=\"M0 0L10 5L0 10z\" fill=\"currentColor\"/></marker></defs>",
    );
    for (from, to, effect, x, y, anchor) in edges {
        let (x1, y1, x2, y2) = (nodes[from].2, nodes[from].3, nodes[to].2, nodes[to].3);
        let length = f64::from((x2 - x1) * (x2 - x1) + (y2 - y1) * (y2 - y1)).sqrt();
        // From rim to rim.
        let at = |distance: f64| {
            let t = distance / length;
            (
                f64::from(x1) + t * f64::from(x2 - x1),
                f64::from(y1) + t * f64::from(y2 - y1),
            )
        };
        let ((ax, ay), (bx, by)) = (at(34.0), at(length - 36.0));
        let strength = if effect.ratio.is_nan() {
            0.0
        } else {
            effect.ratio.ln().abs()
        };
        let width = (1.0 + 1.5 * strength).min(8.0);
        svg.push_str(&format!(
            "<line x1=\"{ax:.0}\" y1=\"{ay:.0}\" x2=\"{bx:.0}\" y2=\"{by:.0}\" stroke=\"currentColor\" stroke-width=\"{width:.1}\" \
             marker-end=\"url(#tip)\"/><text x=\"{x}\" y=\"{y}\" text-anchor=\"{anchor}\" fill=\"currentColor\">{}</text>",
            ratio(effect)
        ));
    }
    for (name, label, x, y) in nodes {
        svg.push_str(&format!(
            "<circle cx=\"{x}\" cy=\"{y}\" r=\"32\" fill=\"none\" stroke=\"currentColor\"/><text x=\"{x}\" y=\"{}\" \
             text-anchor=\"middle\" fill=\"currentColor\" font-weight=\"bold\">{name}</text><text x=\"{x}\" y=\"{}\" \
             text-anchor=\"middle\" fill=\"currentColor\" font-size=\"9\">{label}</text>",
            y - 2,
            y + 12
        ));
    }
    svg + "</svg>"
}
