//! `percept annotate status`.

use std::path::PathBuf;

use clap::Args;
use percept_annotate::{Counts, Kappas, Project, Status, Works};

use super::overlap_args::OverlapArgs;
use crate::shared::output::{result, say};
use crate::shared::{Done, Failure, Global, table};

/// Say how far annotators are, and how far they agree.
#[derive(Debug, Args)]
#[command(
    after_help = "Agreement is of what annotators submitted before a reviewer had a say: Cohen's kappa of every two of them,
Fleiss' kappa of all, and the overlap of boxes (matched one to one; a box without a partner counts 0).

Example:
  percept annotate status labels --overlap 2 --json"
)]
pub struct AnnotateStatus {
    /// Folder of `percept annotate frames --out`.
    pub folder: PathBuf,
    /// As the page was served.
    #[command(flatten)]
    pub overlap: OverlapArgs,
}

pub fn run(args: &AnnotateStatus, global: &Global) -> Result<Done, Failure> {
    let works = Works::read(Project::open(&args.folder)?)?;
    let status = Status::of(&works, &args.overlap.overlap()?);
    if global.json {
        say!("{}", serde_json::to_string(&status)?);
        return Ok(Done::Well);
    }
    let line = |name: &str, counts: &Counts| -> Vec<String> {
        let counts = [
            counts.open,
            counts.submitted,
            counts.returned,
            counts.accepted,
            counts.corrected,
        ];
        let counts = counts.iter().map(usize::to_string);
        std::iter::once(name.to_owned()).chain(counts).collect()
    };
    let head = [
        "annotator",
        "open",
        "submitted",
        "returned",
        "accepted",
        "corrected",
    ];
    let mut rows: Vec<Vec<String>> = vec![head.map(str::to_owned).to_vec()];
    rows.extend(
        status
            .annotators
            .iter()
            .map(|(name, counts)| line(name, counts)),
    );
    rows.push(line("all", &status.all));
    say!(
        "{} pairs, {} pieces of work wanted",
        status.pairs,
        status.wanted
    );
    result(format_args!("{}\n", table::format(&rows)))?;

    let agreement = &status.agreement;
    let head = ["agreement on", "between", "kappa", "items", "value"];
    let mut rows: Vec<Vec<String>> = vec![head.map(str::to_owned).to_vec()];
    kappas(&mut rows, "preference", &agreement.preference);
    kappas(&mut rows, "distorted or not", &agreement.distorted);
    for (label, of) in &agreement.labels {
        kappas(&mut rows, label, of);
    }
    for (a, b, boxes) in &agreement.boxes {
        let between = format!("{a}, {b}");
        let items = boxes.frames.to_string();
        rows.push(vec![
            "boxes".into(),
            between,
            "mean IoU".into(),
            items,
            value(boxes.mean_iou),
        ]);
    }
    if rows.len() > 1 {
        result(format_args!("{}", table::format(&rows)))?;
    }
    Ok(Done::Well)
}

fn kappas(rows: &mut Vec<Vec<String>>, what: &str, of: &Kappas) {
    for two in &of.cohen {
        let between = format!("{}, {}", two.a, two.b);
        let items = two.items.to_string();
        rows.push(vec![
            what.into(),
            between,
            "Cohen".into(),
            items,
            value(two.kappa),
        ]);
    }
    if let Some(all) = &of.fleiss {
        let between = format!("{} raters", all.raters);
        let items = all.items.to_string();
        rows.push(vec![
            what.into(),
            between,
            "Fleiss".into(),
            items,
            value(all.kappa),
        ]);
    }
}

fn value(value: Option<f64>) -> String {
    value.map_or_else(|| "–".to_owned(), |value| format!("{value:.3}"))
}
