//! What the check says of a data set.

use std::collections::BTreeMap;

use percept_data::{CheckReport, PairCounts, ProblemKind};

use crate::shared::output::say;
use crate::shared::{Failure, table};

pub(super) fn print_report(
    name: &str,
    source: &str,
    report: &CheckReport,
    most: usize,
) -> Result<(), Failure> {
    say!("{name}: {source}");
    let mut rows = vec![vec!["  rows".to_owned(), report.rows.to_string()]];
    for (label, values) in [
        ("  prompt tokens", &report.prompt_tokens),
        ("  image tokens", &report.image_tokens),
    ] {
        rows.push(vec![label.to_owned(), spread(values)]);
    }
    rows.extend(pair_rows(&report.pairs));
    let mut counts: BTreeMap<ProblemKind, usize> = BTreeMap::new();
    for problem in &report.problems {
        *counts.entry(problem.kind).or_default() += 1;
    }
    for (kind, count) in &counts {
        rows.push(vec![
            format!("  {} problems", kind.name()),
            count.to_string(),
        ]);
    }
    crate::shared::output::result(format_args!("{}", table::format(&rows)))?;
    if let Some(bias) = report.pairs.length_bias() {
        say!("length: {bias}");
    }
    for line in report.unread.lines() {
        say!("not used: {line}");
    }
    let mut shown: BTreeMap<ProblemKind, usize> = BTreeMap::new();
    for problem in &report.problems {
        let so_far = shown.entry(problem.kind).or_default();
        *so_far += 1;
        if most == 0 || *so_far <= most {
            say!(
                "{}: {}: {}",
                problem.kind.name(),
                problem.id,
                problem.message
            );
        }
    }
    for (kind, count) in counts
        .iter()
        .filter(|(_, count)| most > 0 && **count > most)
    {
        say!(
            "{}: {} more (--most 0 lists all)",
            kind.name(),
            count - most
        );
    }
    Ok(())
}

/// Pairs by what differs in them, and how long their answers are.
fn pair_rows(pairs: &PairCounts) -> Vec<Vec<String>> {
    let mut rows = Vec::new();
    let mut row = |label: &str, value: String| rows.push(vec![format!("  {label}"), value]);
    for (label, count) in [
        ("pairs of answers", pairs.language),
        ("pairs of pictures", pairs.visual),
        ("pairs of both", pairs.both),
    ] {
        if count > 0 {
            row(label, count.to_string());
        }
    }
    if let Some((chosen, rejected)) = pairs.mean_tokens() {
        row("mean tokens of chosen answers", format!("{chosen:.1}"));
        row("mean tokens of rejected answers", format!("{rejected:.1}"));
    }
    rows
}

/// Smallest, median, largest.
fn spread(values: &[usize]) -> String {
    let mut sorted = values.to_vec();
    sorted.sort_unstable();
    match sorted.as_slice() {
        [] => "none".to_owned(),
        all => format!(
            "{} to {}, median {}",
            all[0],
            all[all.len() - 1],
            all[all.len() / 2]
        ),
    }
}

/// The same as an object.
pub(super) fn json(name: &str, report: &CheckReport) -> serde_json::Value {
    let problems: Vec<serde_json::Value> = report
        .problems
        .iter()
        .map(|p| serde_json::json!({"id": p.id, "kind": p.kind.name(), "message": p.message}))
        .collect();
    let not_used: Vec<serde_json::Value> = report
        .unread
        .iter()
        .map(|(what, rows, first)| serde_json::json!({"what": what, "rows": rows, "first": first}))
        .collect();
    let pairs = &report.pairs;
    let mean = pairs.mean_tokens();
    serde_json::json!({
        "set": name,
        "pairs": (pairs.all() > 0).then(|| serde_json::json!({
            "language": pairs.language,
            "visual": pairs.visual,
            "both": pairs.both,
            "mean_chosen_tokens": mean.map(|(chosen, _)| chosen),
            "mean_rejected_tokens": mean.map(|(_, rejected)| rejected),
            "length_bias": pairs.length_bias(),
        })),
        "rows": report.rows,
        "prompt_tokens": report.prompt_tokens,
        "image_tokens": report.image_tokens,
        "problems": problems,
        "not_used": not_used,
    })
}
