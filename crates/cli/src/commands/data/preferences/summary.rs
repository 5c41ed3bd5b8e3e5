//! What is said at the end.

use percept_chat::Usage;
use percept_preferences::{CandidateStatus, Collected, Lengths, Places, Tally};

use super::args::DataPreferences;
use crate::shared::output::{note, say};
use crate::shared::{Done, Failure, Global, table};

/// A difference of mean lengths that is said, as a share.
const MUCH_SHORTER: f64 = 0.05;

/// Prints the counts; rows without an answer, and nothing at all, are problems.
pub fn print(
    args: &DataPreferences,
    global: &Global,
    found: &Collected,
    places: &Places,
    usage: [&Usage; 2],
) -> Result<Done, Failure> {
    let tally = found.tally();
    if global.json {
        let mut line = serde_json::to_value(&tally)?;
        line["out"] = places.pairs.display().to_string().into();
        line["answers_this_run"] = serde_json::to_value(usage[0])?;
        line["judge_this_run"] = serde_json::to_value(usage[1])?;
        say!("{line}");
    } else {
        crate::shared::output::result(format_args!(
            "{}",
            table::format(&rows(args, &tally, places, usage))
        ))?;
    }
    if !global.quiet && !global.json {
        notes(&tally, found);
    }
    let failed = tally.of_status(CandidateStatus::Failed);
    match failed == 0 && tally.pairs > 0 {
        true => Ok(Done::Well),
        false => Ok(Done::Problems),
    }
}

fn notes(tally: &Tally, found: &Collected) {
    for reason in found.reasons(5) {
        note!("{reason}");
    }
    let failed = tally.of_status(CandidateStatus::Failed);
    if failed > 0 {
        note!("{failed} answers are missing; run the same command to ask for them again");
    }
    if tally.pairs == 0 {
        note!("no row gave a pair: rows_without_pairs says why");
    }
    if let Some(words) = tally.words.filter(is_much_shorter) {
        note!(
            "chosen answers have {:.1} words, rejected ones {:.1}: a model may learn to be short; --max-shortening auto \
             drops such pairs",
            words.chosen,
            words.rejected
        );
    }
}

fn is_much_shorter(words: &Lengths) -> bool {
    words.chosen < (1.0 - MUCH_SHORTER) * words.rejected
}

fn rows(
    args: &DataPreferences,
    tally: &Tally,
    places: &Places,
    usage: [&Usage; 2],
) -> Vec<Vec<String>> {
    let mut rows: Vec<(String, String)> = Vec::new();
    let mut row = |name: &str, value: String| rows.push((name.to_owned(), value));
    row("pairs in", places.pairs.display().to_string());
    row("rows", tally.rows.to_string());
    row("  with a pair", share(tally.rows_with_pairs, tally.rows));
    for (reason, count) in &tally.rows_without_pairs {
        row(
            &format!("  none: {}", reason.replace('_', " ")),
            share(*count, tally.rows),
        );
    }
    row("pairs", tally.pairs.to_string());
    if let Some(limit) = tally.max_shortening {
        let dropped = format!("{} (limit {limit:.2})", tally.pairs_too_short);
        row("  dropped, chosen too short", dropped);
    }
    if let Some(words) = tally.words {
        row(
            "  words chosen / rejected",
            format!("{:.1} / {:.1}", words.chosen, words.rejected),
        );
        row(
            "  chosen is shorter",
            format!("{:.1} %", 100.0 * words.chosen_shorter),
        );
    }
    row("answers", tally.candidates.to_string());
    for (status, count) in &tally.candidates_by_status {
        row(
            &format!("  {}", named(status)),
            share(*count, tally.candidates),
        );
    }
    let claims = tally.claims.values().sum();
    row("claims", format!("{claims}"));
    for (verdict, count) in &tally.claims {
        row(&format!("  {}", named(verdict)), share(*count, claims));
    }
    if let Some(score) = tally.score {
        row("mean score", format!("{score:.3}"));
    }
    let tokens = format!(
        "{} in, {} out",
        tally.prompt_tokens, tally.completion_tokens
    );
    row("tokens of answers", tokens);
    for (name, usage) in [
        ("this run, answers", usage[0]),
        ("this run, judge", usage[1]),
    ] {
        if usage.requests + usage.cached > 0 {
            row(name, sent(args, usage));
        }
    }
    rows.into_iter()
        .map(|(name, value)| vec![name, value])
        .collect()
}

/// What was sent to a model in this run, and what it cost.
fn sent(args: &DataPreferences, usage: &Usage) -> String {
    let mut text = format!(
        "{} requests, {} replies, {} from the journal, {} + {} tokens",
        usage.requests, usage.replies, usage.cached, usage.prompt_tokens, usage.completion_tokens
    );
    let retries: u64 = usage.retries.values().sum();
    if retries > 0 {
        text.push_str(&format!(", {retries} retries"));
    }
    if args.calls.price_in > 0.0 || args.calls.price_out > 0.0 {
        let least = if usage.uncounted > 0 { "at least " } else { "" };
        text.push_str(&format!(", cost {least}{:.4}", usage.cost));
    }
    text
}

/// The name of a status or a verdict in words.
fn named(value: &impl serde::Serialize) -> String {
    let value = serde_json::to_value(value).ok();
    let name = value
        .as_ref()
        .and_then(|value| value.as_str())
        .unwrap_or_default();
    name.replace('_', " ")
}

fn share(part: usize, whole: usize) -> String {
    match whole {
        0 => part.to_string(),
        _ => format!("{part} ({:.1} %)", 100.0 * part as f64 / whole as f64),
    }
}
